//! `[connection.saml.unsolicited]`: answers to no question of ours.

use crate::application::Application;
use crate::connection::config::ConnectionConfig;
use crate::connection::unsolicited::{ApplicationProtocol, RelayState, Unsolicited, UnsolicitedMode};
use crate::oidc::request_object::Proven;
use crate::toml_file::Section;
use url::{Url, form_urlencoded};

/// Parameters that the connection itself decides, or that make no sense where nobody has asked.
const NOT_IN_QUERY: &[&str] = &["client_id", "connection", "prompt", "request", "request_uri", "id_token_hint", "idp"];

pub fn read(section: &Section<'_>, force_authn: bool) -> Option<Unsolicited> {
    let section = section.section("unsolicited")?;
    let application = section.required("application").map(|at| at.value.to_owned());
    let modes = [("hint", UnsolicitedMode::Hint), ("accept_directly", UnsolicitedMode::AcceptDirectly)];
    let mode = section.choice("mode", &modes).unwrap_or(UnsolicitedMode::Hint);
    if mode == UnsolicitedMode::AcceptDirectly {
        let message = "weakened: answers that nobody asked for sign people in; whoever has one can plant a session in a browser";
        section.warning("mode", message, "use `hint`: a login that begins here follows, and people notice nothing of it");
        if force_authn {
            let message = "`accept_directly` and `force_authn` contradict each other: nobody was asked for a fresh login";
            section.problem("mode", message, "use `hint`, or remove `force_authn`");
        }
    }
    let protocols = [("oidc", ApplicationProtocol::Oidc), ("saml", ApplicationProtocol::Saml)];
    let protocol = section.choice("protocol", &protocols);
    let read = (query(&section), relay_states(&section));
    section.finish();
    Some(Unsolicited { application: application?, mode, protocol, query: read.0, relay_states: read.1 })
}

fn query(section: &Section<'_>) -> Vec<(String, String)> {
    let Some(at) = section.string("query") else { return Vec::new() };
    let pairs: Vec<(String, String)> = form_urlencoded::parse(at.value.as_bytes()).into_owned().collect();
    for (name, _) in &pairs {
        if NOT_IN_QUERY.contains(&name.as_str()) {
            section.problem(
                "query",
                format!("`{name}` cannot be part of it"),
                "give what an application would ask, such as `scope=openid`",
            );
        }
    }
    pairs
}

/// Texts as they are; one that ends in `*` is for all that begins so, below an https address.
fn relay_states(section: &Section<'_>) -> Option<Vec<RelayState>> {
    let mut states = Vec::new();
    for at in section.strings("relay_states")? {
        let Some(prefix) = at.value.strip_suffix('*') else {
            states.push(RelayState::Exactly(at.value.to_owned()));
            continue;
        };
        // Without the slash behind the host, another host could begin the same.
        let url = Url::parse(prefix).ok().filter(|url| url.scheme() == "https" || super::super::application::is_loopback(url));
        let whole = url.is_some_and(|url| prefix.starts_with(&format!("{}/", url.origin().ascii_serialization())));
        if !whole {
            let message = format!("`{}` is no beginning of https addresses of one host", at.value);
            section.file().problem(at.span.clone(), &at.path, message, "write it as https://host/path*");
        }
        states.push(RelayState::Below(prefix.to_owned()));
    }
    Some(states)
}

/// What must hold between a connection and the application that it names.
pub fn check(root: &Section<'_>, connections: &[ConnectionConfig], applications: &[&Application]) {
    let pushed_only = root.bool("require_pushed_authorization_requests").unwrap_or(false);
    for section in root.sections("connection") {
        let name = section.value("name").and_then(|at| at.value.as_str());
        let Some(rules) = connections.iter().find(|known| Some(known.name.as_str()) == name).and_then(ConnectionConfig::unsolicited) else {
            continue;
        };
        let Some(place) = section.section("saml").and_then(|saml| saml.section("unsolicited")) else { continue };
        let Some(application) = applications.iter().find(|known| known.client_id == rules.application) else {
            let message = format!("there is no application `{}` in this file", rules.application);
            place.warning("application", message, "such sign-ins are refused until the management API has it");
            continue;
        };
        let by_oidc = rules.protocol != Some(ApplicationProtocol::Saml);
        let by_metadata = application.by_metadata.as_ref().map(|by_metadata| by_metadata.template.settings.allow_unsolicited);
        let saml = application.saml.as_ref().map(|saml| saml.sp.allow_unsolicited()).or(by_metadata);
        let oidc = application.oidc.as_ref().filter(|_| by_oidc);
        match (oidc, saml) {
            (Some(client), _)
                if client.needs_pkce() && (client.initiate_login_uri.is_none() || rules.mode == UnsolicitedMode::AcceptDirectly) =>
            {
                let message = format!("`{}` needs PKCE, so nobody but itself can begin its logins", application.client_id);
                let help = "give it an `initiate_login_uri` and use mode = \"hint\"; or, with a secret, `require_pkce = false`";
                place.problem("application", message, help);
            }
            (Some(client), _) if client.initiate_login_uri.is_none() && Proven::default().check(client, pushed_only).is_err() => {
                let message =
                    format!("requests of `{}` must be signed or pushed, so nobody but itself can begin its logins", application.client_id);
                place.problem("application", message, "give it an `initiate_login_uri`");
            }
            (Some(_), _) => {}
            (None, Some(true)) => {}
            (None, Some(false)) => {
                let message = format!("`{}` wants its sign-ins to begin with itself", application.client_id);
                place.problem("application", message, "set allow_unsolicited in its [application.saml]");
            }
            (None, None) => place.problem("protocol", "the application does not speak this protocol", "choose the other one"),
        }
    }
}
