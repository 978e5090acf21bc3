//! An application that is not ours: pysaml2, where `tests/setup.sh` has installed it. It reads our metadata, asks, reads what
//! we answer, and speaks Single Logout with us, by the clock of this computer.

use super::idp_support::{OURS, sealer};
use super::support::*;
use crate::clock::Timestamp;
use crate::saml::idp::*;
use crate::saml::logout::*;
use crate::saml::*;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use url::Url;

const APP: &str = "https://app.example.org/pysaml2";
const APP_ACS: &str = "https://app.example.org/pysaml2/acs";
const APP_SLO: &str = "https://app.example.org/pysaml2/slo";
const SSO: &str = "https://gateway.example.com/samlp/app";
const SLO: &str = "https://gateway.example.com/samlp/app/logout";

/// pysaml2 with our metadata; RSA is our key, OTHER_RSA its own.
struct Peer {
    place: Judge,
    now: Timestamp,
}

impl Peer {
    fn new() -> Option<Self> {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/venv/bin/python");
        if !python.exists() {
            return None;
        }
        let (place, now) = (Judge::new(), Timestamp::now());
        place.file("sp.key", &OTHER_RSA.pem);
        place.file("sp.crt", &OTHER_RSA.certificate_pem);
        let at = |binding| Endpoint { binding, location: url(SSO) };
        let logout = |binding| LogoutService { binding, location: url(SLO), response_location: None };
        let mut ours = IdpDescription::new(OURS, vec![at(Binding::Redirect), at(Binding::Post)], vec![&RSA.certified]);
        ours.want_authn_requests_signed = true;
        ours.logout = vec![logout(Binding::Redirect), logout(Binding::Post)];
        place.file("idp.xml", write_idp(&ours, signer(), now).expect("written"));
        Some(Self { place, now })
    }

    fn does(&self, order: Value) -> Value {
        let mut order = order;
        for (name, value) in [("entity_id", APP), ("acs", APP_ACS), ("slo", APP_SLO)] {
            order[name] = json!(value);
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(root.join("target/peers/venv/bin/python"))
            .args(["-W", "ignore"])
            .arg(root.join("tests/peers/pysaml2_sp.py"))
            .arg(self.place.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python starts");
        child.stdin.take().expect("a pipe").write_all(order.to_string().as_bytes()).expect("written");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{order}\n{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// What is registered of it: its own metadata.
    fn application(&self) -> SpTrust {
        let metadata = self.does(json!({"do": "metadata"}));
        let read = read_sp(text(&metadata, "xml"), MetadataOptions::default(), self.now).expect("its metadata are read");
        assert!(read.trust.authn_requests_signed() && read.trust.want_assertions_signed);
        read.trust
    }

    fn receive(&self, application: &SpTrust, sent: &Value) -> CheckedRequest {
        let policy = MessagePolicy::default();
        let terms = RequestTerms {
            application,
            require_signed: true,
            name_id_formats: &NameIdFormat::ALL,
            destination: SSO,
            decryption_keys: &[],
            policy: &policy,
            now: Timestamp::now(),
        };
        let arrived = ArrivedRequest::decode(incoming(sent)).expect("a request");
        let mut checks = Vec::new();
        receive_authn_request(&arrived, &terms, &mut checks).unwrap_or_else(|refused| panic!("{refused} {checks:#?}"))
    }
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn incoming(sent: &Value) -> Incoming<'_> {
    match sent.get("query") {
        Some(query) => Incoming::Redirect { raw_query: query.as_str().expect("a query") },
        None => Incoming::Post { message: text(sent, "form"), relay_state: None },
    }
}

/// What we send, as the peer takes it.
fn outgoing(sent: &Outgoing) -> (&'static str, String) {
    match sent {
        Outgoing::Redirect(url) => ("query", url.query().expect("a query").to_owned()),
        Outgoing::PostForm { fields, .. } => ("form", fields[0].1.clone()),
    }
}

#[test]
fn pysaml2_asks_and_understands_what_we_answer() {
    let Some(peer) = Peer::new() else { return };
    let (application, sealer) = (peer.application(), sealer());
    let attribute = |name: &str, values: &[&str]| ReleasedAttribute {
        name: name.to_owned(),
        name_format: None,
        friendly_name: None,
        values: values.iter().map(|value| ReleasedValue::Text((*value).to_owned())).collect(),
    };
    let attributes = [attribute("urn:oid:0.9.2342.19200300.100.1.3", &["ada@example.edu"]), attribute("groups", &["staff & <co>", "b"])];
    for (binding, sign_response, format) in [("redirect", false, NameIdFormat::Persistent), ("post", true, NameIdFormat::EmailAddress)] {
        let sent = peer.does(json!({"do": "request", "binding": binding, "relay_state": "state &"}));
        let request = peer.receive(&application, &sent);
        assert_eq!((request.id(), request.reply_to().acs_url()), (text(&sent, "id"), APP_ACS));
        let reply_to = request.into_reply_to();
        let settings = ResponseSettings { sign_response, name_id_format: format, ..ResponseSettings::default() };
        let from =
            Responder { entity_id: OURS, application: &application, settings: &settings, signing_key: &RSA.certified, sealer: &sealer };
        let statement = Statement {
            subject: Subject { user_id: "u1", email: Some("ada@example.edu") },
            attributes: &attributes,
            authn_instant: peer.now,
            authn_context_class_ref: Some(names::AC_PASSWORD),
            authenticating_authorities: &[],
            session_index: "_session1",
            session_not_on_or_after: Some(peer.now.plus_seconds(3600)),
        };
        let issued = reply_to.respond(&from, &statement, Timestamp::now()).expect("made");
        let (_, form) = outgoing(&issued.outgoing);
        let read = peer.does(json!({"do": "response", "saml_response": form, "request_id": text(&sent, "id")}));
        assert_eq!((text(&read, "name_id"), read["format"].as_str()), (issued.name_id.value.as_str(), issued.name_id.format.as_deref()));
        assert_eq!((text(&read, "session_index"), text(&read, "context")), ("_session1", names::AC_PASSWORD));
        assert_eq!(read["attributes"]["groups"], json!(["staff & <co>", "b"]), "{read}");
        assert!(read["attributes"].to_string().contains("ada@example.edu"), "{read}");
    }
}

#[test]
fn pysaml2_and_we_sign_each_other_out() {
    let Some(peer) = Peer::new() else { return };
    let (application, policy, now) = (peer.application(), MessagePolicy::default(), Timestamp::now());
    let terms = LogoutTerms {
        partner: application.entity_id(),
        keys: application.keys(),
        destination: SLO,
        decryption_keys: &[],
        policy: &policy,
        now,
    };
    let name = NameId { value: "_ada".to_owned(), format: Some(names::NAMEID_TRANSIENT.to_owned()), ..NameId::default() };
    for (word, binding) in [("redirect", Binding::Redirect), ("post", Binding::Post)] {
        // It begins.
        let order = json!({"do": "logout", "binding": word, "name_id": "_ada", "format": names::NAMEID_TRANSIENT, "session_index": "_s1", "destination": SLO});
        let sent = peer.does(order);
        let mut checks = Vec::new();
        let arrived = ArrivedLogout::request(incoming(&sent)).expect("a request");
        let received = receive_logout_request(&arrived, &terms, &mut checks).unwrap_or_else(|refused| panic!("{refused} {checks:#?}"));
        assert_eq!(received.id(), text(&sent, "id"));
        assert!(received.concerns(&name, Some("_s1")) && !received.concerns(&name, Some("_s2")));
        let service = application.logout_service(binding).expect("an endpoint");
        assert_eq!(service.binding, binding);
        let answer = received.answer(OURS, service, &LogoutOutcome::Done, signer(), now).expect("made");
        let (kind, message) = outgoing(&answer);
        assert_eq!(peer.does(json!({"do": "logout_response", kind: message}))["success"], json!(true));
        // We begin. It knows no such session, and says so in a signed answer.
        let order = LogoutOrder { session_indexes: &["_s1".to_owned()], ..LogoutOrder::new(OURS, &name) };
        let request = logout_request(&order, service, None, signer(), now).expect("made");
        let (kind, message) = outgoing(&request);
        let sent = peer.does(json!({"do": "logout_request", kind: message, "name_id": "_bob", "format": names::NAMEID_TRANSIENT}));
        let arrived = ArrivedLogout::response(incoming(&sent)).expect("a response");
        let mut checks = Vec::new();
        let response = receive_logout_response(&arrived, &order.id, &LogoutTerms { now: Timestamp::now(), ..terms }, &mut checks);
        let response = response.unwrap_or_else(|refused| panic!("{refused} {checks:#?}"));
        assert!(matches!(response.outcome(), LogoutOutcome::Failed { .. }), "{response:?}");
    }
}
