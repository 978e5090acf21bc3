//! `isthmus explain`: what would happen with this message? The messages are made and signed by `xmlsec1`; no gateway runs.

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
fn only_what_the_scopes_give_is_released() {
    let desk = Desk::new();
    let (status, report) = desk.explain(desk.response(|_| {}), &["--application", "notes", "--scope", "openid email admin"]);
    assert_eq!(status, 0);
    let released = &report["released"];
    assert_eq!(released["scopes"], "openid email");
    assert_eq!(released["scopes_refused"], json!(["admin"]));
    assert!(released["claims"].get("email").is_some() && released["claims"].get("name").is_none(), "{released:#}");
    assert!(released["withheld"].as_array().unwrap().contains(&json!({"name": "name", "scope": "profile"})), "{released:#}");
    assert!(released.get("dialect").is_none());
}

#[test]
fn base64_and_the_posted_form_are_the_same_message() {
    let desk = Desk::new();
    let posted = STANDARD.encode(desk.response(|_| {}));
    let escaped: String = url::form_urlencoded::byte_serialize(posted.as_bytes()).collect();
    for (content, form) in [(posted.clone(), "base64"), (format!("RelayState=x&SAMLResponse={escaped}"), "form"), (escaped, "base64")] {
        let (status, report) = desk.explain(&content, &[]);
        assert_eq!((status, &report["input"]), (0, &json!({"kind": "saml_response", "form": form})), "{report:#}");
        assert_eq!(report["profile"]["user_id"], "samlp|acme|jane-1");
    }
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
    // The login stops there.
    assert_eq!(report["checks"].as_array().unwrap().last().unwrap()["name"], "digest");
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
fn claims_and_tokens_are_mapped_and_not_judged() {
    let desk = Desk::new();
    let claims = json!({"$name_id": "jane-1", "mail": ["Jane.Doe@acme.example"], "displayName": "Jane Doe"});
    let (status, report) = desk.explain(claims.to_string(), &["--application", "notes"]);
    assert_eq!((status, report["verdict"].as_str()), (0, Some("not_judged")), "{report:#}");
    assert_eq!((&report["input"]["kind"], &report["checks"]), (&json!("claims"), &json!([])));
    assert_eq!((&report["profile"]["user_id"], &report["profile"]["name"]), (&json!("samlp|acme|jane-1"), &json!("Jane Doe")));
    assert_eq!(report["released"]["claims"]["name"], "Jane Doe");
    assert_eq!(report["verified"], false);

    let (status, report) = desk.explain(token(&json!({"sub": "jane", "iss": "https://op.example", "email": "jane@acme.example"})), &[]);
    assert_eq!((status, &report["input"]), (0, &json!({"kind": "id_token", "form": "jwt"})));
    let signature = check(&report, "signature");
    assert_eq!((&signature["passed"], &signature["found"]), (&Value::Null, &json!("not checked (algorithm RS256)")));
    assert_eq!(report["profile"]["user_id"], "oidc|acme|jane");
    assert_eq!(report["said"]["facts"], json!({"issuer": "https://op.example", "subject": "jane"}));
    assert!(!report.to_string().contains(&URL_SAFE_NO_PAD.encode("the-signature")), "{report:#}");

    let (status, report) = desk.explain("{}", &[]);
    assert_eq!((status, &report["profile"]["user_id"]), (0, &json!("samlp|acme|(unknown)")));
    assert!(has_note(&report, "Nobody is named"), "{report:#}");
}

#[test]
fn a_mapping_that_refuses_is_a_refusal() {
    let desk = Desk::with("mapping = \"acme\"", "", "");
    fs::create_dir(desk.place.path().join("mappings")).unwrap();
    let table = "direction = \"to_profile\"\nextends = \"saml\"\n[[row]]\nfield = \"employee_id\"\nfrom = [\"employeeNumber\"]\ntake = \"first\"\nrequire = true\n";
    fs::write(desk.place.path().join("mappings/acme.toml"), table).unwrap();
    let (status, report) = desk.explain(desk.response(|_| {}), &[]);
    assert_eq!((status, &report["verified"]), (1, &json!(true)), "{report:#}");
    let refusal = &report["refusals"][0];
    assert_eq!((&refusal["by"], &refusal["code"]), (&json!("mapping"), &json!("ISTH-3005")));
    assert_eq!(report["mapping"]["error"]["field"], "employee_id");
    assert!(report.get("profile").is_none(), "{report:#}");
    assert_eq!(desk.explain("{\"employeeNumber\": \"7\"}", &[]).0, 0);
    assert_eq!(desk.explain("{}", &[]).0, 1);
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

#[test]
fn what_is_not_kept_is_named_and_serves_the_login() {
    let desk = Desk::with("non_persistent_attrs = [\"isMemberOf\", \"urn:oid:2.5.4.42\"]\nprofile_sync = \"never_on_login\"", "", "");
    let (status, report) = desk.explain(desk.response(|_| {}), &["--application", "notes"]);
    assert_eq!(status, 0, "{report:#}");
    // As at a login, a friendly name is not the name under which the row found the groups.
    assert_eq!(report["not_kept"], json!([]), "{report:#}");
    // The sync mode leaves the root attributes to operators, so the name is made from what there is.
    assert_eq!(report["profile"]["name"], "Jane.Doe@acme.example");
    assert!(report["profile"].get("given_name").is_none(), "{report:#}");

    let desk = Desk::with("non_persistent_attrs = [\"urn:oid:1.3.6.1.4.1.5923.1.5.1.1\", \"email\"]", "", "");
    let (_, report) = desk.explain(desk.response(|_| {}), &["--application", "notes", "--dialect", "gigya"]);
    assert_eq!(report["not_kept"], json!(["email", "groups"]), "{report:#}");
    assert_eq!(report["released"]["claims"]["groups"], json!(["staff", "admins"]));
    let gigya = &report["dialect"]["profile"];
    assert_eq!(gigya["profile"]["email"], "Jane.Doe@acme.example", "{gigya:#}");
    assert!(gigya["identities"][0].get("email").is_none() && gigya["identities"][0].get("lastName").is_some(), "{gigya:#}");
}

#[test]
fn a_person_is_shown_in_a_dialect_with_this_one_identity() {
    let desk = Desk::with("", "", "legacy_profile = true\ndialect = \"logto\"");
    let xml = desk.response(|_| {});
    let (status, report) = desk.explain(&xml, &["--dialect", "gigya", "--application", "notes"]);
    assert_eq!((status, &report["dialect"]["name"]), (0, &json!("gigya")), "{report:#}");
    let identities = report["dialect"]["profile"]["identities"].as_array().expect("identities");
    assert_eq!((identities.len(), &identities[0]["providerUID"]), (1, &json!("jane-1")), "{report:#}");
    assert_eq!(identities[0]["isLoginIdentity"], true);
    assert_eq!(report["released"]["dialect"]["name"], "gigya");
    // Without a wish it is the application's own dialect, with the sub that /userinfo has in every one.
    let (_, report) = desk.explain(&xml, &["--application", "notes"]);
    assert_eq!(report["released"]["dialect"]["name"], "logto");
    assert_eq!(report["released"]["dialect"]["profile"]["sub"], "samlp|acme|jane-1");
    assert!(report.get("dialect").is_none());
    assert!(desk.unusable(&xml, &["--dialect", "klingon"]).contains("klingon"));
}

#[test]
fn the_subject_may_be_an_attribute() {
    let desk = Desk::with("subject_comparison = \"ignore_case\"", "subject_attribute = \"urn:oid:0.9.2342.19200300.100.1.3\"", "");
    let (_, report) = desk.explain(desk.response(|_| {}), &[]);
    assert_eq!(report["profile"]["user_id"], "samlp|acme|jane.doe@acme.example");
    let (_, unverified) = desk.explain(desk.response(|response| response.sign = Sign::Nothing), &[]);
    assert_eq!(unverified["profile"]["user_id"], "samlp|acme|jane.doe@acme.example");
    let (_, claims) = desk.explain("{\"urn:oid:0.9.2342.19200300.100.1.3\": \"X@Y.example\", \"sub\": \"z\"}", &[]);
    assert_eq!(claims["profile"]["user_id"], "samlp|acme|x@y.example");
}

#[test]
fn xml_that_a_login_does_not_read_is_refused_by_name() {
    let desk = Desk::new();
    let doctype = desk.response(|response| response.prolog = "<!DOCTYPE samlp:Response>".to_owned());
    let laughs: String = (1..20).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let laughs = format!("<!DOCTYPE r [<!ENTITY l0 \"ha\">{laughs}]><r>&l19;</r>");
    let external = "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r>&x;</r>".to_owned();
    let deep = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let big = format!("<samlp:Response>{}</samlp:Response>", "x".repeat(300 * 1024));
    for (content, name) in [
        (doctype, "document-type"),
        (laughs, "document-type"),
        (external, "document-type"),
        (deep, "too-large"),
        (format!("{}{}", "<a>".repeat(5_000), "</a>".repeat(5_000)), "too-complex"),
        (big, "too-large"),
        ("<samlp:Response".to_owned(), "not-well-formed"),
        ("<html xmlns=\"http://www.w3.org/1999/xhtml\"/>".to_owned(), "wrong-root"),
    ] {
        let (status, report) = desk.explain(&content, &[]);
        assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!(name)), "{report:#}");
        assert!(report.get("profile").is_none() && report["verified"] == false, "{report:#}");
        assert!(!report.to_string().contains("root:"), "{report:#}");
    }
    // Comments are refused too, and what the message means is shown all the same.
    let comment = desk.response(|_| {}).replace(">jane-1<", ">jane<!-- x -->-1<");
    let (status, report) = desk.explain(comment, &[]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("comment-or-instruction")));
    assert_eq!((&report["profile"]["user_id"], &report["verified"]), (&json!("samlp|acme|jane-1"), &json!(false)));
}

#[test]
fn what_cannot_be_used_is_another_matter_than_what_is_refused() {
    let desk = Desk::new();
    for (content, why) in [
        (b"hello".to_vec(), "neither XML"),
        (Vec::new(), "neither XML"),
        (vec![0xff, 0xfe, 0x00], "not UTF-8"),
        (STANDARD.encode("hello").into_bytes(), "not of XML"),
        (b"{\"a\": 1".to_vec(), "not a JSON object"),
        (format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(), "recursion limit"),
        (b"a.b.c.d.e".to_vec(), "encrypted token"),
        (vec![b'<'; 20 * 1024 * 1024], "larger than 2097152 bytes"),
        (vec![b' '; 2 * 1024 * 1024 + 1], "larger than 2097152 bytes"),
    ] {
        let said = desk.unusable(content, &[]);
        assert!(said.contains(why), "{why}: {}", &said[..said.len().min(500)]);
    }
    let output = desk.run(&["--connection", "acme", "nowhere.xml"]);
    assert_eq!((output.status.code(), said(&output).contains("nowhere.xml")), (Some(2), true));
    let file = desk.file("{}");
    let output = desk.run(&["--connection", "nobody\u{1b}[2J", text(&file)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("there are: acme") && !said(&output).contains('\u{1b}'), "{}", said(&output));
    let output = desk.run(&["--connection", "acme", "--application", "nothing", text(&file)]);
    assert_eq!((output.status.code(), said(&output).contains("there are: notes")), (Some(2), true), "{}", said(&output));
    assert_eq!(desk.run(&[text(&file)]).status.code(), Some(2));
    assert_eq!(desk.run(&["--connection", "acme", "--config", "nowhere.toml", text(&file)]).status.code(), Some(2));
}

#[test]
fn standard_input_is_read_too() {
    let desk = Desk::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command.args(["explain", "--connection", "acme", "--json", "-"]).current_dir(desk.place.path()).env("TEST_SECRET", SECRET);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(desk.response(|_| {}).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &report["verdict"]), (Some(0), &json!("accepted")), "{report:#}");
}

#[test]
fn people_can_read_it_at_eighty_columns() {
    let desk = Desk::new();
    let xml = desk.idp.respond(&desk.request(), &Person::max()).xml;
    let human = desk.human(&xml, &["--application", "notes"]);
    for line in human.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let place = |title: &str| human.find(&format!("\n{title}")).unwrap_or_else(|| panic!("no {title} in:\n{human}"));
    let places = ["Checks", "Mapping", "Profile", "Released"].map(place);
    assert!(places.is_sorted(), "{human}");
    assert!(human.starts_with("A login would go through") && human.contains("samlp|acme|max-3"), "{human}");
    assert!(!human.contains("not verified"), "{human}");
}

#[test]
fn nothing_from_the_message_moves_the_cursor() {
    let desk = Desk::new();
    let hostile = "\u{7f}\u{9b}2J\u{202e}evil";
    let person = Person::new("eve-5").with(("displayName", "displayName"), &[hostile]).with(("x\u{202e}y", "x\u{9b}y"), &["1"]);
    let xml = desk.idp.respond(&desk.request(), &person).xml;
    let claims = json!({"displayName": "\u{1b}[2J\r\n\u{8}x", "\u{1b}]0;title\u{7}": "y", "sub": "\u{1b}c"}).to_string();
    for content in [xml, claims, token(&json!({"sub": "\u{1b}[1A", "name": "\u{85}"}))] {
        for more in [&["--application", "notes"][..], &["--application", "notes", "--json"]] {
            let shown = desk.human(&content, more);
            let bad = shown.chars().find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'));
            assert_eq!(bad, None, "{shown}");
        }
    }
    let (_, report) = desk.explain(json!({"displayName": hostile}).to_string(), &[]);
    assert_eq!(report["profile"]["name"], hostile);
}
