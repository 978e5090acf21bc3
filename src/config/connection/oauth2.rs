//! `[connection.oauth2]`, and `[connection.social]`: the same or `[connection.oidc]` with what is known of a provider.

use super::presets::{self, Preset, Protocol};
use super::{client, oidc, upstream_params};
use crate::config::context::Context;
use crate::config::secrets;
use crate::connection::config::{AppleSecret, ConnectionKind, OAuth2Connection};
use crate::connection::oauth2::is_path;
use crate::keys::{KeyKind, PrivateKey};
use crate::oidc::TokenEndpointAuthMethod;
use crate::oidc::rp::provider;
use crate::toml_file::{Section, nearest};
use std::sync::Arc;
use url::Url;

const METHODS: &[(&str, TokenEndpointAuthMethod)] = &[
    ("client_secret_basic", TokenEndpointAuthMethod::ClientSecretBasic),
    ("client_secret_post", TokenEndpointAuthMethod::ClientSecretPost),
    ("tls_client_auth", TokenEndpointAuthMethod::TlsClientAuth),
    ("self_signed_tls_client_auth", TokenEndpointAuthMethod::SelfSignedTlsClientAuth),
    ("none", TokenEndpointAuthMethod::None),
];

/// `[connection.social]`.
pub fn social(context: &Context<'_>, settings: Section<'_>) -> Option<ConnectionKind> {
    let at = settings.required("preset")?;
    let Some(preset) = presets::named(at.value) else {
        let near = nearest(at.value, presets::names()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let all: Vec<_> = presets::names().collect();
        let help = format!("{near}there are {}; others by [connection.oidc] or [connection.oauth2]", all.join(", "));
        settings.problem("preset", format!("`{}` is no provider that is known here", at.value), help);
        return None;
    };
    by_preset(context, settings, preset)
}

fn by_preset(context: &Context<'_>, section: Section<'_>, preset: &'static Preset) -> Option<ConnectionKind> {
    // Who names another issuer means another place.
    let usual = if section.has("issuer") { &preset.elsewhere } else { &preset.settings };
    let section = section.or(usual);
    section.value("preset");
    let kind = match preset.protocol {
        Protocol::OAuth2 => read(context, &section, Some(preset)).map(|read| ConnectionKind::OAuth2(Arc::new(read))),
        Protocol::Oidc => {
            let apple = if preset.makes_secret { Some(apple(context, &section)) } else { None };
            let read = oidc::read(context, &section);
            match (read, apple) {
                (Some(read), None) => Some(ConnectionKind::Oidc(Arc::new(read))),
                (Some(mut read), Some(Some(apple))) => {
                    read.apple = Some(Arc::new(apple));
                    Some(ConnectionKind::Oidc(Arc::new(read)))
                }
                _ => None,
            }
        }
    };
    section.finish();
    kind
}

/// `[connection.oauth2]`, and that of a preset.
pub fn read(context: &Context<'_>, section: &Section<'_>, preset: Option<&Preset>) -> Option<OAuth2Connection> {
    let required = |key: &'static str| {
        section.required(key)?;
        oidc::endpoint(context, section, key)
    };
    let (authorization_endpoint, token_endpoint) = (required("authorization_endpoint"), required("token_endpoint"));
    let userinfo_endpoint = required("userinfo_endpoint");
    let client = client::read(context, section, METHODS);
    let pkce = section.bool("pkce").unwrap_or(true);
    if !pkce && section.is_written("pkce") {
        let message = "weakened: codes are not bound to the login that asked for them";
        section.warning("pkce", message, "keep it only for a provider that refuses requests with a code_challenge");
    }
    if !pkce && client.method == TokenEndpointAuthMethod::None {
        section.problem("pkce", "without a secret and without PKCE whoever has a code has the tokens", "remove it, or add `client_secret`");
    }
    let (subject, more, issuer) = (subject(section), more(context, section), section.string("issuer").map(|at| at.value.to_owned()));
    let settings = OAuth2Connection {
        authorization_endpoint: authorization_endpoint?,
        token_endpoint: token_endpoint?,
        userinfo_endpoint: userinfo_endpoint?,
        more,
        client_id: client.id?,
        callback: client.callback,
        client_secret: client.secret,
        auth_method: client.method,
        client_certificate: client.certificate,
        scopes: oidc::scopes_of(section).unwrap_or_default(),
        pkce,
        issuer,
        subject: subject?,
        parameters: upstream_params::read(section),
        userinfo_parameters: upstream_params::texts(section, "userinfo_parameters"),
        quirk: preset.and_then(|preset| preset.quirk),
        store_tokens: section.bool("store_tokens").unwrap_or(false),
        reach: client::reach(context, section),
    };
    Some(settings)
}

fn subject(section: &Section<'_>) -> Option<Vec<String>> {
    if !section.has("subject") {
        section.required("subject")?;
    }
    let paths = section.strings("subject")?;
    if paths.is_empty() || paths.iter().any(|at| !is_path(at.value)) {
        let help = "write where the provider's unchanging identifier of a person stands in its answer, as `id` or `data.id`";
        section.problem("subject", "this is no path into the profile", help);
        return None;
    }
    Some(paths.into_iter().map(|at| at.value.to_owned()).collect())
}

/// `more = { emails = "https://.." }`.
fn more(context: &Context<'_>, section: &Section<'_>) -> Vec<(String, Url)> {
    let Some(table) = section.section("more") else { return Vec::new() };
    let mut more = Vec::new();
    for (member, at) in table.entries() {
        let url = at.value.as_str().and_then(|text| Url::parse(text).ok());
        match url.filter(|url| provider::is_endpoint(url, context.development && crate::config::application::is_loopback(url))) {
            Some(url) => more.push((member.to_owned(), url)),
            None => {
                table.file().problem(
                    at.span.clone(),
                    &at.path,
                    "this is no https address",
                    "write what else is asked with the access token",
                );
            }
        }
    }
    more
}

/// What Apple gives its developers instead of a client secret.
fn apple(context: &Context<'_>, section: &Section<'_>) -> Option<AppleSecret> {
    let text = |key: &'static str| section.required(key).map(|at| at.value.to_owned());
    let (team_id, key_id) = (text("team_id"), text("key_id"));
    let kept = context.stored().and_then(|stored| stored.key.cloned());
    if !section.has("private_key") && kept.is_none() {
        section.problem(
            "private_key",
            "`private_key` is missing",
            "add the .p8 file that Apple gave: `private_key = { file = \"AuthKey.p8\" }`",
        );
    }
    let pem = secrets::read(context, section, "private_key").or(kept)?;
    let key = PrivateKey::from_pem(pem.expose().as_bytes()).ok().filter(|key| key.kind() == KeyKind::EcP256);
    if key.is_none() {
        section.problem("private_key", "this is no private key of the curve P-256", "name the .p8 file that Apple gave");
    }
    Some(AppleSecret { team_id: team_id?, key_id: key_id?, key: key? })
}

#[cfg(test)]
mod tests {
    use crate::config::render_human;
    use crate::config::tests::{GOOD, config, findings};
    use crate::connection::config::ConnectionKind;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::PKey;

    const SECRET: &str = "client_secret = \"secret\"\n";
    const PLAIN: &str = "authorization_endpoint = \"https://hub.example/a\"\ntoken_endpoint = \"https://hub.example/t\"\n\
        userinfo_endpoint = \"https://hub.example/u\"\nclient_id = \"x\"\n";

    fn with(protocol: &str, settings: &str) -> String {
        format!("{GOOD}\n[[connection]]\nname = \"hub\"\n[connection.{protocol}]\n{settings}\n")
    }

    /// Where the problems are, and what is weak.
    fn found(protocol: &str, settings: &str) -> (Vec<String>, Vec<String>) {
        let found = findings(&with(protocol, settings));
        let path = |path: &str| path.strip_prefix(&format!("connection[1].{protocol}.")).unwrap_or(path).to_owned();
        let weak = found.warnings.iter().filter(|warning| warning.message.starts_with("weakened"));
        (found.problems.iter().map(|problem| path(&problem.path)).collect(), weak.map(|warning| path(&warning.path)).collect())
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let good = format!("{PLAIN}{SECRET}subject = \"data.id\"\n");
        assert_eq!(found("oauth2", &good), (vec![], vec![]), "{}", render_human(&findings(&with("oauth2", &good))));
        let subject = |subject: &str| format!("{PLAIN}{SECRET}subject = {subject}");
        let more = |more: &str| format!("{good}{more}");
        let public = format!("{PLAIN}subject = \"id\"\n");
        for (settings, expected) in [
            (subject("[]"), "subject"),
            (subject("\"data..id\""), "subject"),
            (subject("[\"id\", \"a.b.c.d.e.f.g.h.i\"]"), "subject"),
            (good.replace("https://hub.example/t", "http://hub.example/t"), "token_endpoint"),
            (good.replace("https://hub.example/u", "https://hub.example/u#x"), "userinfo_endpoint"),
            (more("more = { emails = \"http://hub.example/e\" }"), "more.emails"),
            (more("more = { emails = 1 }"), "more.emails"),
            (more("scopes = [\"me mail\"]"), "scopes[0]"),
            (more("scopes = [\"\"]"), "scopes[0]"),
            (more("parameters = { state = \"x\" }"), "parameters.state"),
            (more("userinfo_parameters = { v = 2 }"), "userinfo_parameters.v"),
            (more("parameters = { hd = \"x\" }\n[connection.oauth2.upstream_params]\nhd = { value = \"y\" }"), "upstream_params.hd"),
            (more("[connection.oauth2.upstream_params]\ncode_challenge = { value = \"y\" }"), "upstream_params.code_challenge"),
            (format!("{public}pkce = false"), "pkce"),
            (format!("{public}token_endpoint_auth_method = \"client_secret_post\""), "client_secret"),
            (more("token_endpoint_auth_method = \"none\""), "client_secret"),
            (format!("{public}token_endpoint_auth_method = \"tls_client_auth\""), "client_certificate"),
            (format!("{public}client_key = \"key\""), "client_certificate"),
        ] {
            assert_eq!(found("oauth2", &settings).0, [expected], "{settings}");
        }
        for (line, expected) in [("pkce = false", "pkce"), ("private_network = true", "private_network")] {
            assert_eq!(found("oauth2", &more(line)), (vec![], vec![expected.to_owned()]), "{line}");
        }
    }

    #[test]
    fn apple_signs_by_one_curve() {
        let pem = |curve| {
            let key = EcKey::generate(&EcGroup::from_curve_name(curve).expect("a curve")).expect("a key");
            String::from_utf8(PKey::from_ec_key(key).expect("a key").private_key_to_pem_pkcs8().expect("PEM")).expect("a text")
        };
        let apple = |key: &str| format!("preset = \"apple\"\nclient_id = \"x\"\nteam_id = \"T\"\nkey_id = \"K\"\n{key}");
        let key = |curve| apple(&format!("private_key = \"\"\"\n{}\"\"\"\n", pem(curve)));
        assert_eq!(found("social", &key(Nid::X9_62_PRIME256V1)).0, [""; 0]);
        assert_eq!(found("social", &key(Nid::SECP384R1)).0, ["private_key"]);
        assert_eq!(found("social", &apple("")).0, ["private_key"]);
        assert_eq!(found("social", &apple("private_key = \"x\"")).0, ["private_key"]);
    }

    #[test]
    fn another_issuer_is_another_place() {
        let of = |issuer: &str| {
            let text = with("social", &format!("preset = \"microsoft\"\nclient_id = \"x\"\n{SECRET}{issuer}"));
            let kind = config(&text).connections.into_iter().nth(1).expect("a connection").kind;
            let ConnectionKind::Oidc(settings) = kind else { panic!("{kind:?}") };
            settings.metadata.to_string()
        };
        assert_eq!(of(""), "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration");
        assert_eq!(of("issuer = \"https://op.example\""), "https://op.example/.well-known/openid-configuration");
    }
}
