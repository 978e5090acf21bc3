//! `isthmus explain`: what would happen with this message? The messages are made and signed by `xmlsec1`; no gateway runs.

mod files;
mod person;

use crate::harness::app::{App, SECRET};
use crate::harness::idp::{AuthnRequest, Encryption, Idp, Person, Response, Sign, now, unique_id};
use crate::harness::process::text;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const ISSUER: &str = "http://localhost:8400";

/// A configuration, an identity provider, and files to explain.
struct Desk {
    place: TempDir,
    idp: Idp,
}

impl Desk {
    fn new() -> Self {
        Self::with("", "", "")
    }

    /// `top`: lines of the connection; `saml`: of its protocol; `app`: of the application.
    fn with(top: &str, saml: &str, app: &str) -> Self {
        let (place, idp) = (tempfile::tempdir().unwrap(), Idp::new("acme"));
        let config =
            format!("issuer = \"{ISSUER}\"\n[[connection]]\n{}\n[[application]]\n{}", idp.toml(top, saml), App::new("notes").toml(app, ""));
        fs::write(place.path().join("isthmus.toml"), config).unwrap();
        Self { place, idp }
    }

    fn request(&self) -> AuthnRequest {
        AuthnRequest {
            xml: String::new(),
            id: unique_id(),
            issuer: format!("{ISSUER}/connections/acme/metadata"),
            acs_url: format!("{ISSUER}/connections/acme/acs"),
            destination: self.idp.sso_url.clone(),
            force_authn: false,
            is_passive: false,
            relay_state: None,
            post: false,
        }
    }

    /// A response about Jane, with changes.
    fn response(&self, change: impl FnOnce(&mut Response)) -> String {
        self.idp.respond_with(&self.request(), &Person::jane(), change).xml
    }

    fn file(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.place.path().join("message");
        fs::write(&path, content).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
        command.arg("explain").args(arguments).current_dir(self.place.path()).env("TEST_SECRET", SECRET);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// The exit status and the JSON for a file of this content, at the connection `acme`.
    fn explain(&self, content: impl AsRef<[u8]>, more: &[&str]) -> (i32, Value) {
        let path = self.file(content);
        let output = self.run(&[&["--connection", "acme", "--json", text(&path)], more].concat());
        let said = said(&output);
        assert!(!said.contains(SECRET) && !said.contains("PRIVATE KEY"), "{said}");
        let status = output.status.code().expect("it ended by itself");
        (status, serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}")))
    }

    /// What it says about a file that it cannot use.
    fn unusable(&self, content: impl AsRef<[u8]>, more: &[&str]) -> String {
        let path = self.file(content);
        let output = self.run(&[&["--connection", "acme", text(&path)], more].concat());
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(output.stdout.is_empty(), "{}", said(&output));
        said(&output)
    }

    fn human(&self, content: impl AsRef<[u8]>, more: &[&str]) -> String {
        let path = self.file(content);
        said(&self.run(&[&["--connection", "acme", text(&path)], more].concat()))
    }

    fn make_keys(&self) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
        let output = command.args(["keys", "generate"]).current_dir(self.place.path()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        fs::read_to_string(self.place.path().join("certs/saml-encryption.active.crt.pem")).unwrap()
    }

    /// Names of everything in its directory.
    fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(self.place.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn check<'r>(report: &'r Value, name: &str) -> &'r Value {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name}: {report:#}"))
}

fn row<'r>(rows: &'r Value, field: &str) -> &'r Value {
    rows.as_array().expect("rows").iter().find(|row| row["field"] == field).unwrap_or_else(|| panic!("no row {field}: {rows:#}"))
}

fn days_ago(response: &mut Response, days: u64) {
    let by = Duration::from_secs(days * 86_400);
    for time in [&mut response.issue_instant, &mut response.not_before, &mut response.not_on_or_after, &mut response.authn_instant] {
        *time -= by;
    }
}

fn has_note(report: &Value, part: &str) -> bool {
    report["notes"].as_array().expect("notes").iter().any(|note| note.as_str().expect("a text").contains(part))
}

fn token(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&json!({"alg": "RS256", "kid": "1"})), part(claims), URL_SAFE_NO_PAD.encode("the-signature"))
}

#[test]
fn a_good_response_is_explained_to_the_end() {
    let desk = Desk::new();
    let xml = desk.response(|_| {});
    let before = desk.listing();
    let (status, report) = desk.explain(&xml, &["--application", "notes"]);
    assert_eq!((status, report["verdict"].as_str()), (0, Some("accepted")), "{report:#}");
    assert_eq!(report["input"], json!({"kind": "saml_response", "form": "xml"}));
    assert_eq!((&report["verified"], &report["refusals"]), (&json!(true), &json!([])));
    // Every check of a login, in its order, with both engines.
    let names: Vec<&str> = report["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    let place = |name: &str| names.iter().position(|known| *known == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
    assert!(place("encoding") < place("signature") && place("signature") < place("digest"), "{names:?}");
    assert!(place("digest") < place("second-opinion-bytes") && place("second-opinion-bytes") < place("audience"), "{names:?}");
    assert_eq!(check(&report, "audience")["expected"], format!("{ISSUER}/connections/acme/metadata"));
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["passed"] == true), "{report:#}");
    assert_eq!(report["said"]["facts"]["name_id"], "jane-1");

    let mail = row(&report["mapping"]["rows"], "email");
    assert_eq!((&mail["outcome"], &mail["source"]), (&json!("taken"), &json!("urn:oid:0.9.2342.19200300.100.1.3")), "{mail}");
    assert_eq!(row(&report["mapping"]["rows"], "phone_number")["outcome"], "absent");
    assert_eq!(report["profile"]["user_id"], "samlp|acme|jane-1");
    assert_eq!(report["profile"]["name"], "Jane Doe");
    assert!(report["profile"].get("phone_number").is_none(), "{report:#}");
    let origin = |field: &str| row(&report["provenance"], field).clone();
    assert_eq!(origin("name")["verified"], true);
    assert_eq!(origin("picture")["source"], json!({"kind": "derived", "from": ["email"]}));
    assert!(report["filled_in"].as_array().unwrap().iter().any(|filled| filled["field"] == "nickname"), "{report:#}");

    let released = &report["released"];
    assert_eq!((&released["sub"], &released["claims"]["groups"]), (&json!("samlp|acme|jane-1"), &json!(["staff", "admins"])));
    assert_eq!(row(&released["rows"], "email")["outcome"], "taken");
    assert!(has_note(&report, "used before") && has_note(&report, "is taken for it"), "{report:#}");
    // Nothing was written, and the keys were not made.
    assert_eq!(desk.listing(), [before, vec!["message".to_owned()]].concat());
}

#[test]
fn a_tampered_response_is_refused_and_still_mapped_as_unverified() {
    let desk = Desk::new();
    let tampered = desk.response(|_| {}).replace(">admins<", ">owners<");
    let (status, report) = desk.explain(&tampered, &["--application", "notes"]);
    assert_eq!((status, report["verdict"].as_str()), (1, Some("refused")));
    let refusal = &report["refusals"][0];
    assert_eq!((&refusal["name"], &refusal["code"], &refusal["by"]), (&json!("digest-differs"), &json!("ISTH-3001"), &json!("message")));
    assert!(refusal["meaning"].as_str().unwrap().contains("changed after it was signed"), "{refusal}");
    assert_eq!(check(&report, "digest")["passed"], false);
    // A login stops there; an operator learns what else there is, good or bad.
    let failed = report["checks"].as_array().unwrap().iter().filter(|check| check["passed"] == false).count();
    assert_eq!((failed, &check(&report, "audience")["passed"]), (1, &json!(true)));
    let worse = desk.response(|response| response.audience = "https://other.example".to_owned()).replace(">admins<", ">owners<");
    let (_, report) = desk.explain(&worse, &[]);
    assert_eq!((&check(&report, "digest")["passed"], &check(&report, "audience")["passed"]), (&json!(false), &json!(false)));
    let (_, report) = desk.explain(&tampered, &[]);
    assert_eq!((&report["verified"], &report["profile"]["groups"]), (&json!(false), &json!(["staff", "owners"])));
    assert!(report["provenance"].as_array().unwrap().iter().all(|origin| origin["verified"] == false), "{report:#}");
    let human = desk.human(&tampered, &[]);
    for heading in ["Mapping (saml)", "Profile"] {
        assert!(human.contains(&format!("{heading} - not verified: this would be refused")), "{human}");
    }
}

#[test]
fn an_old_capture_is_checked_as_of_its_own_time() {
    let desk = Desk::new();
    let xml = desk.response(|response| days_ago(response, 3));
    let (status, report) = desk.explain(&xml, &[]);
    assert_eq!((status, report["verdict"].as_str()), (0, Some("accepted")), "{report:#}");
    let time = &report["time"];
    assert_eq!((&time["from"], &time["accepted_now"]), (&json!("message"), &json!(false)));
    assert_eq!(time["refused_now"]["name"], "issued-too-long-ago");

    let (status, report) = desk.explain(&xml, &["--at", "now"]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("issued-too-long-ago")));
    assert_eq!((&report["time"]["from"], &report["verified"]), (&json!("option"), &json!(false)));

    let then = (now() - Duration::from_secs(3 * 86_400 - 3000)).format(&time::format_description::well_known::Rfc3339).unwrap();
    let (status, report) = desk.explain(&xml, &["--at", &then]);
    assert_eq!((status, report["time"]["at"].as_str()), (1, Some(then.as_str())), "{report:#}");

    let (status, report) = desk.explain(desk.response(|_| {}), &["--at", "now"]);
    assert_eq!((status, &report["time"]["accepted_now"]), (0, &json!(true)), "{report:#}");
    assert!(desk.unusable(&xml, &["--at", "yesterday"]).contains("yesterday"));
}

#[test]
fn an_audience_that_is_not_us_is_refused() {
    let desk = Desk::new();
    let xml = desk.response(|response| response.audience = "https://other.example/metadata".to_owned());
    let (status, report) = desk.explain(&xml, &[]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("wrong-audience")), "{report:#}");
    let audience = check(&report, "audience");
    assert_eq!((&audience["passed"], &audience["found"]), (&json!(false), &json!("https://other.example/metadata")));
}

#[test]
fn a_response_to_no_request_is_refused_as_at_a_login() {
    let desk = Desk::new();
    let (status, report) = desk.explain(desk.response(|response| response.in_response_to = None), &[]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("unsolicited")));
    assert_eq!(report["refusals"][0]["code"], "ISTH-3004");
    let empty = desk.response(|response| response.in_response_to = Some(String::new()));
    assert_eq!(desk.explain(empty, &[]).0, 1);
}

#[test]
fn an_unsigned_response_is_refused() {
    let desk = Desk::new();
    let (status, report) = desk.explain(desk.response(|response| response.sign = Sign::Nothing), &[]);
    assert_eq!((status, &report["refusals"][0]["name"], &report["verified"]), (1, &json!("unsigned"), &json!(false)));
    assert_eq!(report["profile"]["user_id"], "samlp|acme|jane-1");
}

#[test]
fn a_failure_of_the_identity_provider_is_told_in_its_words() {
    let desk = Desk::new();
    let (status, report) =
        desk.explain(desk.response(|response| (response.status, response.sign) = (vec!["Responder", "AuthnFailed"], Sign::Response)), &[]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("status-not-success")));
    assert_eq!(report["refusals"][0]["code"], "ISTH-1013");
    assert!(report.get("profile").is_none() && has_note(&report, "no assertion"), "{report:#}");
}

#[test]
fn an_encrypted_assertion_needs_our_keys() {
    let desk = Desk::new();
    let stranger = Idp::new("stranger").certificate_pem();
    let encrypted = |certificate: String| {
        desk.response(|response| {
            response.encrypt = Some(Encryption::aes256_gcm(certificate));
            response.sign = Sign::Assertion;
        })
    };
    let (status, report) = desk.explain(encrypted(stranger.clone()), &[]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("decryption-key-missing")), "{report:#}");
    assert!(has_note(&report, "nothing can be decrypted") && has_note(&report, "cannot be read"), "{report:#}");
    assert!(report.get("mapping").is_none(), "{report:#}");

    let ours = desk.make_keys();
    let (status, report) = desk.explain(encrypted(ours), &[]);
    assert_eq!((status, report["verdict"].as_str()), (0, Some("accepted")), "{report:#}");
    assert_eq!(report["profile"]["user_id"], "samlp|acme|jane-1");
    let (status, report) = desk.explain(encrypted(stranger), &[]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("decryption-failed")));
    assert!(report.get("profile").is_none() && has_note(&report, "cannot be decrypted"), "{report:#}");
}

#[test]
fn a_refused_message_that_is_encrypted_is_read_with_our_keys() {
    let desk = Desk::new();
    let ours = desk.make_keys();
    let xml = desk.response(|response| {
        response.encrypt = Some(Encryption::aes256_gcm(ours));
        response.audience = "https://other.example".to_owned();
    });
    let (status, report) = desk.explain(xml, &[]);
    assert_eq!((status, &report["refusals"][0]["name"], &report["verified"]), (1, &json!("wrong-audience"), &json!(false)));
    assert_eq!(report["profile"]["name"], "Jane Doe");
}

fn assertion_of(response: &str) -> String {
    let end = "</saml:Assertion>";
    let (start, until) = (response.find("<saml:Assertion").unwrap(), response.find(end).unwrap() + end.len());
    response[start..until].to_owned()
}

#[test]
fn an_assertion_alone_is_checked_and_is_no_login() {
    let desk = Desk::new();
    let assertion = assertion_of(&desk.response(|_| {}));
    let (status, report) = desk.explain(&assertion, &[]);
    assert_eq!((status, &report["input"]["kind"]), (1, &json!("saml_assertion")), "{report:#}");
    assert_eq!((&report["refusals"][0]["name"], &report["verified"]), (&json!("wrong-root"), &json!(true)), "{report:#}");
    assert!(has_note(&report, "A login needs the Response around it"), "{report:#}");
    for name in ["signature", "digest", "second-opinion-bytes", "assertion-issuer", "recipient", "audience", "authn-statement"] {
        assert_eq!(check(&report, name)["passed"], true, "{name}");
    }
    assert_eq!(check(&report, "message-kind")["passed"], false);
    assert_eq!(report["profile"]["user_id"], "samlp|acme|jane-1");

    let (_, tampered) = desk.explain(assertion.replace(">staff<", ">owners<"), &[]);
    assert_eq!((&tampered["refusals"][0]["name"], &tampered["verified"]), (&json!("digest-differs"), &json!(false)));
    let (_, foreign) = desk.explain(assertion_of(&desk.response(|response| response.audience = "https://x.example".to_owned())), &[]);
    assert_eq!((&foreign["refusals"][0]["name"], &foreign["verified"]), (&json!("wrong-audience"), &json!(false)));
    let (_, unsigned) = desk.explain(assertion_of(&desk.response(|response| response.sign = Sign::Nothing)), &[]);
    assert_eq!((&unsigned["refusals"][0]["name"], &unsigned["verified"]), (&json!("unsigned"), &json!(false)));
}

#[test]
fn settings_that_refuse_are_named() {
    let desk = Desk::with("enabled = false", "", "connections = []\nenabled = false");
    let (status, report) = desk.explain(desk.response(|_| {}), &["--application", "notes"]);
    let refusals = report["refusals"].as_array().unwrap();
    let names: Vec<&str> = refusals.iter().map(|refusal| refusal["name"].as_str().unwrap()).collect();
    assert_eq!((status, names), (1, vec!["connection-enabled", "application-enabled", "application-connection"]));
    // The message itself is good, which is what somebody wants to know before the connection is enabled.
    assert_eq!((&report["verified"], &report["time"]["accepted_now"]), (&json!(true), &json!(true)));
    assert!(refusals.iter().all(|refusal| refusal["by"] == "settings"), "{report:#}");
    assert_eq!(report["released"]["claims"]["email"], "Jane.Doe@acme.example");

    let desk = Desk::with("link_only = true", "", "");
    let (status, report) = desk.explain(desk.response(|_| {}), &[]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("connection-signs-in")));
}

#[test]
fn a_fresh_sign_in_is_judged_by_how_long_a_login_may_take() {
    let desk = Desk::with("", "force_authn = true", "");
    let (status, report) = desk.explain(desk.response(|_| {}), &[]);
    assert_eq!((status, &check(&report, "fresh-authentication")["passed"]), (0, &json!(true)), "{report:#}");
    assert!(has_note(&report, "fresh sign-in"), "{report:#}");
    let (status, report) = desk.explain(desk.response(|response| response.authn_instant -= Duration::from_secs(3600)), &[]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("authentication-too-old")));
}
