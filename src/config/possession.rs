//! How clients prove that they have a key: `[client_certificates]` and `dpop_nonce`.

use super::context::Context;
use crate::broker::possession::PossessionSettings;
use crate::config::application::check_uri;
use crate::oidc::Authorities;
use crate::startup::AskForCertificates;
use crate::toml_file::Section;

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Possession {
    pub settings: PossessionSettings,
    /// The header by which trusted proxies pass certificates on.
    pub header: Option<String>,
    /// Our own listener asks clients for certificates; `None`: it does not.
    pub ask: Option<AskForCertificates>,
}

pub fn read(context: &Context<'_>, root: &Section<'_>) -> Possession {
    let dpop_nonce = root.bool("dpop_nonce").unwrap_or(false);
    let Some(section) = root.section("client_certificates") else {
        return Possession { settings: PossessionSettings { dpop_nonce, ..PossessionSettings::default() }, ..Possession::default() };
    };
    let header = header(root, &section);
    if header.is_none() && !root.has("tls") {
        let help = "name the `header` in which a proxy of `trusted_proxies` passes them on, or terminate TLS here with [tls]";
        root.problem("client_certificates", "nobody asks clients for certificates", help);
    }
    let authorities = authorities(context, &section);
    let mtls_base = section.string("base").map(|at| {
        let base = at.value.trim_end_matches('/').to_owned();
        if let Err((message, help)) = check_uri(at.value, false) {
            section.problem("base", format!("`{}` {message}", at.value), help);
        }
        base
    });
    let ca_file = section.string("ca_file").map(|at| context.resolve(at.value));
    section.finish();
    let ask = header.is_none().then_some(AskForCertificates { authorities: ca_file });
    Possession { settings: PossessionSettings { dpop_nonce, authorities, mtls_base }, header, ask }
}

/// Anybody can send a header; only a proxy that is trusted says who has shown a certificate.
fn header(root: &Section<'_>, section: &Section<'_>) -> Option<String> {
    let name = section.string("header")?.value.to_ascii_lowercase();
    let token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !token {
        section.problem("header", format!("`{name}` is no name of a header"), "write it as in \"Client-Cert\" or \"X-SSL-Cert\"");
    }
    if !root.has("trusted_proxies") {
        section.problem("header", "no proxy is trusted, so that the header is never read", "list the proxies in `trusted_proxies`");
    }
    Some(name)
}

fn authorities(context: &Context<'_>, section: &Section<'_>) -> Authorities {
    let Some(at) = section.string("ca_file") else { return Authorities::default() };
    let read = context.read_file(at.value).and_then(|pem| Authorities::from_pem(pem.as_bytes()).map_err(|error| error.detail));
    read.unwrap_or_else(|why| {
        section.problem("ca_file", format!("{}: {why}", at.value), "name a PEM file with the certificates of those who issue them");
        Authorities::default()
    })
}
