//! What the identity provider role of SAML costs: `cargo bench --bench saml_idp`.
//!
//! CPU of this thread for one request received and for one response made: RSA and elliptic curve, plain and encrypted, few
//! values and a thousand groups. `--only WORD`: parts with this word in their name.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]

use isthmus::clock::Timestamp;
use isthmus::error::Result as CrateResult;
use isthmus::keys::{CertifiedKey, KeyKind, PrivateKey, Sealer};
use isthmus::saml::idp::{
    ArrivedRequest, AssertionConsumerService, EncryptedParts, EncryptionKey, NameIdFormat, ReleasedAttribute, ReleasedValue, RequestTerms,
    Responder, ResponseSettings, SamlReplyTo, SpParts, SpTrust, Statement, Subject, receive_authn_request,
};
use isthmus::saml::{
    Binding, Endpoint, IdpTrust, Incoming, MessagePolicy, Outgoing, RequestOptions, Signer, SpSettings, TrustedKeys, authn_request,
};
use isthmus::secret::Secret;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use url::Url;

const OURS: &str = "https://gateway.example.com/saml/idp";
const SSO: &str = "https://gateway.example.com/samlp/app";
const APP: &str = "https://app.example.org/sp";
const ACS: &str = "https://app.example.org/acs";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let only = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => String::new(),
        (Some("--only"), Some(word)) => word,
        _ => {
            eprintln!("bench: known is --only WORD");
            return ExitCode::FAILURE;
        }
    };
    match parts(&only) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn parts(only: &str) -> Result<(), String> {
    let scene = Scene::new()?;
    let now = Timestamp::from_seconds(1_795_000_000);
    println!("  part                                              CPU us");
    let row = |name: &str, call: &dyn Fn() -> Result<(), String>| -> Result<(), String> {
        if name.contains(only) {
            call()?;
            println!("  {name:<48} {:>8.1}", thread_cpu(call)?);
        }
        Ok(())
    };
    for (what, encrypt) in [("", EncryptedParts::Nothing), (", encrypted", EncryptedParts::Assertion)] {
        for groups in [10, 1000] {
            let settings = ResponseSettings { encrypt, ..ResponseSettings::default() };
            let attributes = attributes(groups);
            for (kind, key) in [("RSA", &scene.rsa), ("ECDSA", &scene.ec)] {
                row(&format!("respond, {kind}, {groups} groups{what}"), &|| scene.respond(key, &settings, &attributes, now))?;
            }
        }
    }
    for (kind, key) in [("RSA", &scene.rsa), ("ECDSA", &scene.ec)] {
        let application = scene.application(key)?;
        for (name, binding) in [("Redirect", Binding::Redirect), ("POST", Binding::Post)] {
            let sent = scene.request(key, binding, now)?;
            for second_opinion in [false, true] {
                // In a redirect there is nothing for a second engine to look at.
                if second_opinion && binding == Binding::Redirect {
                    continue;
                }
                let policy = MessagePolicy { second_opinion, ..MessagePolicy::default() };
                let twice = if second_opinion { ", both engines" } else { "" };
                row(&format!("receive, {kind}, {name}{twice}"), &|| receive(&sent, &application, &policy, now))?;
            }
        }
    }
    Ok(())
}

struct Scene {
    rsa: CertifiedKey,
    ec: CertifiedKey,
    encryption: CertifiedKey,
    sealer: Sealer,
}

impl Scene {
    fn new() -> Result<Self, String> {
        let key = |kind| PrivateKey::generate(kind).and_then(|key| CertifiedKey::self_signed(key, "bench")).map_err(told);
        let sealer = Sealer::new(&Secret::new(vec![7; 32])).map_err(told)?;
        Ok(Self { rsa: key(KeyKind::Rsa)?, ec: key(KeyKind::EcP256)?, encryption: key(KeyKind::Rsa)?, sealer })
    }

    fn application(&self, key: &CertifiedKey) -> Result<SpTrust, String> {
        let parts = SpParts {
            entity_id: APP.to_owned(),
            acs: vec![AssertionConsumerService::new(ACS, Some(0), None)?],
            signing_certificates: vec![key.certificate().clone()],
            encryption_keys: vec![EncryptionKey::new(self.encryption.certificate().clone(), Vec::new())?],
            ..SpParts::default()
        };
        SpTrust::new(parts).map_err(|problems| problems.join("; "))
    }

    fn respond(
        &self,
        key: &CertifiedKey,
        settings: &ResponseSettings,
        attributes: &[ReleasedAttribute],
        now: Timestamp,
    ) -> Result<(), String> {
        let application = self.application(&self.rsa)?;
        let reply_to = SamlReplyTo::unsolicited(&application, true, Some("state")).map_err(|why| why.to_string())?;
        let from = Responder { entity_id: OURS, application: &application, settings, signing_key: key, sealer: &self.sealer };
        let statement = Statement {
            subject: Subject { user_id: "samlp|acme|ada", email: Some("ada@example.edu") },
            attributes,
            authn_instant: now,
            authn_context_class_ref: None,
            authenticating_authorities: &[],
            session_index: "_session1",
            session_not_on_or_after: None,
        };
        reply_to.respond(&from, &statement, now).map(|issued| drop(black_box(issued))).map_err(told)
    }

    fn request(&self, key: &CertifiedKey, binding: Binding, now: Timestamp) -> Result<Outgoing, String> {
        let make = || -> CrateResult<Outgoing> {
            let url = |text: &str| Url::parse(text).unwrap_or_else(|_| unreachable!("a constant"));
            let sp = SpSettings { entity_id: APP.to_owned(), acs_url: url(ACS) };
            let keys = TrustedKeys::new(std::slice::from_ref(self.rsa.certificate()))?;
            let idp = IdpTrust {
                entity_id: OURS.to_owned(),
                sso_endpoints: vec![Endpoint { binding, location: url(SSO) }],
                logout_services: Vec::new(),
                artifact_services: Vec::new(),
                keys,
                scopes: Vec::new(),
                want_authn_requests_signed: true,
                encryption_keys: Vec::new(),
            };
            authn_request(&sp, &idp, &RequestOptions::new(), binding, Some("state"), Some(Signer::new(key)), now)
        };
        make().map_err(told)
    }
}

fn receive(sent: &Outgoing, application: &SpTrust, policy: &MessagePolicy, now: Timestamp) -> Result<(), String> {
    let incoming = match sent {
        Outgoing::Redirect(url) => Incoming::Redirect { raw_query: url.query().unwrap_or_default() },
        Outgoing::PostForm { fields, .. } => {
            let field = |at: usize| fields.get(at).map(|(_, value)| value.as_str());
            Incoming::Post { message: field(0).unwrap_or_default(), relay_state: field(1) }
        }
    };
    let terms = RequestTerms {
        application,
        require_signed: true,
        name_id_formats: &[NameIdFormat::Persistent],
        destination: SSO,
        decryption_keys: &[],
        policy,
        now,
    };
    let arrived = ArrivedRequest::decode(incoming).map_err(|why| why.to_string())?;
    receive_authn_request(&arrived, &terms, &mut Vec::new()).map(|request| drop(black_box(request))).map_err(|why| why.to_string())
}

fn attributes(groups: usize) -> Vec<ReleasedAttribute> {
    let attribute = |name: &str, values: Vec<String>| ReleasedAttribute {
        name: name.to_owned(),
        name_format: None,
        friendly_name: None,
        values: values.into_iter().map(ReleasedValue::Text).collect(),
    };
    vec![
        attribute("urn:oid:0.9.2342.19200300.100.1.3", vec!["ada@example.edu".to_owned()]),
        attribute("urn:oid:2.5.4.42", vec!["Ada".to_owned()]),
        attribute("groups", (0..groups).map(|number| format!("cn=group-{number},ou=groups,dc=example,dc=edu")).collect()),
    ]
}

fn told(error: isthmus::error::Error) -> String {
    error.detail
}

/// CPU microseconds of one call, in this thread: the median of seven rounds.
fn thread_cpu(call: &dyn Fn() -> Result<(), String>) -> Result<f64, String> {
    let begin = Instant::now();
    let mut count = 0_u32;
    while begin.elapsed() < Duration::from_millis(60) {
        call()?;
        count += 1;
    }
    let mut rounds = Vec::new();
    for _ in 0..7 {
        let before = cpu()?;
        for _ in 0..count {
            call()?;
        }
        rounds.push((cpu()? - before) / f64::from(count));
    }
    rounds.sort_by(f64::total_cmp);
    rounds.get(3).copied().ok_or_else(|| "nothing was measured".to_owned())
}

/// Microseconds on a processor, from the scheduler's own count.
fn cpu() -> Result<f64, String> {
    const PATH: &str = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(PATH).map_err(|error| format!("{PATH}: {error}"))?;
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse::<f64>().ok());
    nanoseconds.map(|nanoseconds| nanoseconds / 1000.0).ok_or_else(|| format!("{PATH} is not understood"))
}
