//! A little identity provider and service provider to test with, and a way to break messages before they are signed.

use crate::clock::Timestamp;
use crate::keys::CertifiedKey;
use crate::saml::binding::{Binding, MessageKind, Outgoing, encode_post};
use crate::saml::idp::{Answer, respond};
use crate::saml::signature::{Signer, sign};
use crate::saml::*;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509NameBuilder};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use url::Url;

pub const IDP: &str = "https://idp.example.edu/entity";
pub const SP: &str = "https://gateway.example.com/saml/metadata/acme";
pub const ACS: &str = "https://gateway.example.com/login/callback";
pub const REQUEST: &str = "_request1";

/// A key that the tests may also see in PEM, for the judges.
pub struct TestKey {
    pub pem: Vec<u8>,
    pub certificate_pem: Vec<u8>,
    pub certificate: X509,
    pub certified: CertifiedKey,
}

impl TestKey {
    fn new(key: &PKey<Private>) -> Self {
        let mut name = X509NameBuilder::new().expect("a name");
        name.append_entry_by_nid(Nid::COMMONNAME, "test").expect("a name");
        let name = name.build();
        let mut builder = X509::builder().expect("a builder");
        builder.set_version(2).expect("set");
        builder.set_subject_name(&name).expect("set");
        builder.set_issuer_name(&name).expect("set");
        builder.set_pubkey(key).expect("set");
        builder.set_not_before(&Asn1Time::days_from_now(0).expect("a date")).expect("set");
        builder.set_not_after(&Asn1Time::days_from_now(3650).expect("a date")).expect("set");
        builder.sign(key, MessageDigest::sha256()).expect("signed");
        let certificate = builder.build();
        let pem = key.private_key_to_pem_pkcs8().expect("pem");
        let certificate_pem = certificate.to_pem().expect("pem");
        let certified = CertifiedKey::from_pem(&pem, &certificate_pem).expect("a certified key");
        Self { pem, certificate_pem, certificate, certified }
    }

    pub fn trusted(&self) -> TrustedKeys {
        TrustedKeys::new(std::slice::from_ref(&self.certificate)).expect("usable")
    }
}

fn rsa() -> TestKey {
    TestKey::new(&PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key"))
}

fn ec(curve: Nid) -> TestKey {
    let group = EcGroup::from_curve_name(curve).expect("a curve");
    TestKey::new(&PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key"))
}

pub static RSA: LazyLock<TestKey> = LazyLock::new(rsa);
pub static OTHER_RSA: LazyLock<TestKey> = LazyLock::new(rsa);
pub static ENCRYPTION: LazyLock<TestKey> = LazyLock::new(rsa);
pub static EC: LazyLock<TestKey> = LazyLock::new(|| ec(Nid::X9_62_PRIME256V1));
pub static EC384: LazyLock<TestKey> = LazyLock::new(|| ec(Nid::SECP384R1));
pub static EC521: LazyLock<TestKey> = LazyLock::new(|| ec(Nid::SECP521R1));

pub fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T02:42:00Z").expect("a date")
}

pub fn sp() -> SpSettings {
    SpSettings { entity_id: SP.to_owned(), acs_url: Url::parse(ACS).expect("a URL") }
}

pub fn idp(key: &TestKey) -> IdpTrust {
    let at = |binding, path: &str| Endpoint { binding, location: Url::parse(&format!("https://idp.example.edu/{path}")).expect("a URL") };
    IdpTrust {
        entity_id: IDP.to_owned(),
        sso_endpoints: vec![at(Binding::Redirect, "sso?idpid=C01"), at(Binding::Post, "sso/post")],
        logout_services: Vec::new(),
        artifact_services: Vec::new(),
        keys: key.trusted(),
        scopes: Vec::new(),
        want_authn_requests_signed: false,
        encryption_keys: Vec::new(),
    }
}

pub fn expected() -> Expected<'static> {
    Expected {
        request_id: Some(REQUEST),
        requested_at: now().plus_seconds(-20),
        now: now(),
        force_authn: false,
        max_age_seconds: None,
        requested_authn_context: None,
    }
}

pub fn answer() -> Answer<'static> {
    let mut answer = Answer::new(IDP, SP, ACS, Some(REQUEST), "subject-1", now())
        .with_attribute("urn:oid:0.9.2342.19200300.100.1.3", Some("mail"), &["ada@example.edu"])
        .with_attribute("groups", None, &["staff", "admins & <owners>"]);
    answer.response_id = "_response1".to_owned();
    answer.assertion_id = "_assertion1".to_owned();
    answer.session_index = Some("_session1".to_owned());
    answer
}

pub fn form(xml: &str) -> String {
    match encode_post(MessageKind::Response, xml, &Url::parse(ACS).expect("a URL"), None) {
        Outgoing::PostForm { fields, .. } => fields.into_iter().next().expect("a field").1,
        Outgoing::Redirect(_) => String::new(),
    }
}

/// Receives `xml` as the answer to our request, under a policy.
pub fn receive_with(xml: &str, key: &TestKey, policy: &ResponsePolicy, expected: &Expected<'_>) -> Result<VerifiedAssertion, Rejection> {
    let mut checks = Vec::new();
    let outcome = receive_response(&form(xml), &sp(), &idp(key), &[&ENCRYPTION.certified], policy, expected, &mut checks);
    // The trace tells the same story as the outcome.
    assert!(outcome.is_err() || checks.iter().all(|check| check.passed), "{checks:#?}");
    outcome
}

pub fn receive(xml: &str) -> Result<VerifiedAssertion, Rejection> {
    receive_with(xml, &RSA, &ResponsePolicy::default(), &expected())
}

pub fn refusal(xml: &str) -> Rejection {
    receive(xml).expect_err("must be refused")
}

pub fn signer() -> Signer<'static> {
    Signer::new(&RSA.certified)
}

/// A response whose assertion was changed before it was signed.
pub fn with_assertion(change: impl Fn(String) -> String) -> String {
    let (response, assertion) = unsigned();
    let changed = change(assertion.clone());
    assert_ne!(changed, assertion, "the change must change something");
    response.replace(&assertion, &sign(&changed, signer()).expect("signed"))
}

/// A signed response (with an unsigned assertion) that was changed before it was signed.
pub fn with_response(change: impl Fn(String) -> String) -> String {
    let (response, _) = unsigned();
    let changed = change(response.clone());
    assert_ne!(changed, response, "the change must change something");
    sign(&changed, signer()).expect("signed")
}

/// An unsigned response and the assertion in it.
pub fn unsigned() -> (String, String) {
    let response = respond(&Answer { sign: idp::Sign::Nothing, ..answer() }, signer(), now()).expect("written");
    let from = response.find("<saml:Assertion").expect("an assertion");
    let to = response.find("</samlp:Response>").expect("an end");
    let assertion = response[from..to].to_owned();
    (response, assertion)
}

pub fn signed_assertion() -> String {
    respond(&answer(), signer(), now()).expect("written")
}

/// The text of the first element of that (prefixed) name.
pub fn cut<'x>(xml: &'x str, name: &str) -> &'x str {
    let begins = |end: &str| xml.find(&format!("<{name}{end}"));
    let from = [begins(" "), begins(">")].into_iter().flatten().min().unwrap_or_else(|| panic!("{name} in {xml}"));
    let end = format!("</{name}>");
    let to = from + xml[from..].find(&end).expect("its end") + end.len();
    &xml[from..to]
}

/// A file for a judge, in a directory that goes away.
pub struct Judge(pub tempfile::TempDir);

impl Judge {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("written");
        path
    }

    pub fn run(&self, program: &str, arguments: &[&str]) -> (bool, Vec<u8>, String) {
        let output = Command::new(program).args(arguments).current_dir(self.0.path()).output().expect("the judge runs");
        (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
