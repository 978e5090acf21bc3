//! A whole connection: what it asks, what it makes of answers, what it says of itself.

mod attributes;
mod request;
mod vendors;

use super::SamlConnection;
use crate::clock::Timestamp;
use crate::connection::config::{ConnectionConfig, ConnectionKind, ProfileSettings, SamlConnection as Settings, SecondFactor};
use crate::connection::{Authentication, Callback, Connection, Refused, UpstreamRequest};
use crate::keys::{CertifiedKey, Keyring, SamlKeys};
use crate::login::PendingAuthn;
use crate::login::trace::Trace;
use crate::profile::{Direction, MappingLibrary, Profile};
use crate::saml::encryption::{ContentCipher, KeyTransport, encrypt_assertion};
use crate::saml::signature::sign;
use crate::saml::{Binding, Endpoint, IdpTrust, Signer, TrustedKeys};
use crate::user::linking::Linking;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::{Arc, LazyLock};
use url::Url;

const OURS: &str = "https://login.example.org";
const TRANSACTION: &str = "0123456789abcdef0123456789abcdef";

static KEYRING: LazyLock<Arc<Keyring>> = LazyLock::new(keyring);
static PARTNER: LazyLock<Arc<SamlKeys>> = LazyLock::new(|| keyring().saml());

fn keyring() -> Arc<Keyring> {
    let certs = tempfile::tempdir().expect("a directory");
    Arc::new(Keyring::open_or_create(certs.path()).expect("keys"))
}

/// The key of the identity provider.
fn partner() -> &'static CertifiedKey {
    PARTNER.signing(None).expect("a key").active()
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T02:42:00Z").expect("a date")
}

/// A connection to the identity provider `issuer`, with a built-in mapping table.
fn connection(issuer: &str, mapping: &str, change: impl FnOnce(&mut Settings)) -> SamlConnection {
    let location = |path: &str| Url::parse(&format!("https://idp.example/{path}")).expect("an address");
    let idp = IdpTrust {
        entity_id: issuer.to_owned(),
        logout_services: Vec::new(),
        artifact_services: Vec::new(),
        encryption_keys: Vec::new(),
        sso_endpoints: vec![
            Endpoint { binding: Binding::Redirect, location: location("sso?tenant=1") },
            Endpoint { binding: Binding::Post, location: location("sso/post") },
        ],
        keys: TrustedKeys::new(std::slice::from_ref(partner().certificate())).expect("usable"),
        scopes: Vec::new(),
        want_authn_requests_signed: false,
    };
    let mut settings = Settings::new(idp);
    change(&mut settings);
    let config = ConnectionConfig {
        name: "acme".to_owned(),
        display_name: "Acme".to_owned(),
        enabled: true,
        domains: Vec::new(),
        applications: None,
        mapping: MappingLibrary::built_in().table(mapping, Direction::ToProfile).expect("built in"),
        profile: ProfileSettings::default(),
        second_factor: SecondFactor::Off,
        linking: Linking::default(),
        provider: None,
        kind: ConnectionKind::Saml(Arc::new(settings)),
    };
    SamlConnection::new(config, OURS, Arc::clone(&KEYRING)).expect("a connection")
}

/// What was asked for, and what must be remembered.
fn asked(connection: &SamlConnection, asked: &UpstreamRequest) -> (crate::connection::BrowserStep, PendingAuthn) {
    connection.begin(TRANSACTION, asked, now(), &mut Trace::default()).expect("asked")
}

/// What of a response is signed.
#[derive(Clone, Copy)]
enum Signed {
    Assertion,
    Response,
    Both,
    Nothing,
}

/// One answer of an identity provider, from a template.
struct Answer<'t> {
    template: &'t str,
    signed: Signed,
    encrypted: bool,
}

impl Answer<'_> {
    /// As the browser posts it. `change` is made before anything is signed.
    fn posted(&self, connection: &SamlConnection, pending: &PendingAuthn, change: impl Fn(String) -> String) -> String {
        STANDARD.encode(self.xml(connection, pending, change))
    }

    fn xml(&self, connection: &SamlConnection, pending: &PendingAuthn, change: impl Fn(String) -> String) -> String {
        let at = |seconds: i64| now().plus_seconds(seconds).to_string();
        let mut xml = self.template.trim().to_owned();
        if let Some((_, rest)) = xml.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
            xml = rest.trim().to_owned();
        }
        for (name, value) in [
            ("now", at(0)),
            ("before", at(-300)),
            ("until", at(300)),
            ("long", at(3600)),
            ("acs", connection.sp.acs_url.to_string()),
            ("audience", connection.sp.entity_id.clone()),
            ("issuer", connection.settings().idp.entity_id.clone()),
            ("request", pending.request_id.clone()),
        ] {
            xml = xml.replace(&format!("{{{{{name}}}}}"), &value);
        }
        xml = change(xml);
        let signer = Signer::new(partner());
        if matches!(self.signed, Signed::Assertion | Signed::Both) {
            let assertion = assertion(&xml).to_owned();
            xml = xml.replace(&assertion, &sign(&assertion, signer).expect("signed"));
        }
        if self.encrypted {
            let assertion = assertion(&xml).to_owned();
            let keys = KEYRING.saml();
            let sealed =
                encrypt_assertion(&assertion, keys.encryption().active().certificate(), ContentCipher::Aes128Gcm, KeyTransport::OAEP)
                    .expect("encrypted");
            xml = xml.replace(&assertion, &sealed);
        }
        if matches!(self.signed, Signed::Response | Signed::Both) {
            xml = sign(&xml, signer).expect("signed");
        }
        xml
    }
}

/// The text of the assertion, whatever its prefix.
fn assertion(xml: &str) -> &str {
    let begin = xml.match_indices("Assertion ").find_map(|(at, _)| {
        let from = xml[..at].rfind('<')?;
        let prefix = &xml[from + 1..at];
        (prefix.is_empty() || prefix.ends_with(':')).then_some((from, prefix))
    });
    let (from, prefix) = begin.expect("an assertion");
    let end = format!("</{prefix}Assertion>");
    let to = from + xml[from..].find(&end).expect("its end") + end.len();
    &xml[from..to]
}

fn complete(connection: &SamlConnection, pending: &PendingAuthn, posted: &str) -> Result<Authentication, Refused> {
    connection.complete(Callback::SamlResponse { response: posted }, pending, now(), &mut Trace::default())
}

/// What the connection's table makes of a login.
fn profile(connection: &SamlConnection, authentication: &Authentication) -> Profile {
    connection.config.mapping.to_profile(&authentication.attributes, &mut Vec::new()).expect("mapped")
}
