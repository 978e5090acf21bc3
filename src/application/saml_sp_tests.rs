use super::*;
use crate::keys::{Digest, KeyKind, PrivateKey, SignatureScheme};
use crate::saml::encryption::KeyTransport;
use crate::saml::idp::{EncryptionKey, LiteralSp, SpParts};
use crate::saml::names;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const ACS: &str = "https://app.example.com/acs";

fn literal<'a>(certificates: &'a [&'a str]) -> LiteralSp<'a> {
    LiteralSp {
        entity_id: "https://app.example.com/",
        acs_urls: &[ACS],
        signing_certificates: certificates,
        encryption_certificates: certificates,
        ..LiteralSp::default()
    }
}

fn certificate(kind: KeyKind) -> String {
    let key = CertifiedKey::self_signed(PrivateKey::generate(kind).expect("a key"), "test").expect("a certificate");
    STANDARD.encode(key.certificate_der())
}

fn bare() -> SamlSpSettings {
    SamlSpSettings::new(literal(&[]).trust().expect("usable"))
}

fn problems(settings: SamlSpSettings) -> Vec<&'static str> {
    SamlSp::new(settings).expect_err("refused").into_iter().map(|problem| problem.setting).collect()
}

#[test]
fn the_safe_settings_need_nothing_but_an_address() {
    let application = SamlSp::new(bare()).expect("valid");
    let response = application.response();
    assert!(response.sign_assertion && !response.sign_response && !application.allow_unsolicited());
    assert_eq!(application.name_id_formats(), [NameIdFormat::Persistent, NameIdFormat::Transient]);
    assert_eq!(application.weaknesses(), []);
    assert_eq!(application.trust().default_acs().map(|acs| acs.location()), Some(ACS));
    assert!(application.logout_service().is_none());
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut settings = bare();
    settings.response = ResponseSettings {
        sign_assertion: false,
        signature: Some(SignatureScheme::EdDsa),
        encrypt: EncryptedParts::Both,
        issuer: Some(String::new()),
        audience: Some(" x".to_owned()),
        recipient: Some("app".to_owned()),
        destination: Some("javascript:alert(1)".to_owned()),
        lifetime_seconds: 0,
        backdate_seconds: 601,
        name_id_probes: vec![" ".to_owned()],
        authn_context_class_ref: String::new(),
        ..ResponseSettings::default()
    };
    settings.require_signed_requests = true;
    settings.name_id_formats = Some(vec![NameIdFormat::Transient]);
    settings.policy = MessagePolicy { skew_seconds: -1, max_age_seconds: 0, ..MessagePolicy::default() };
    let all = [
        "sign_assertion",
        "signature_algorithm",
        "issuer",
        "audience",
        "recipient",
        "destination",
        "lifetime",
        "backdate",
        "clock_skew",
        "message_max_age",
        "authn_context_class_ref",
        "name_id_probes",
        "require_signed_requests",
        "name_id_formats",
        "encrypt",
    ];
    assert_eq!(problems(settings), all);
}

#[test]
fn what_the_application_wants_signed_is_signed() {
    let acs = crate::saml::idp::AssertionConsumerService::new(ACS, None, None).expect("an address");
    let parts = SpParts { entity_id: "x".to_owned(), acs: vec![acs], want_assertions_signed: true, ..SpParts::default() };
    let mut settings = SamlSpSettings::new(SpTrust::new(parts).expect("usable"));
    settings.response.sign_assertion = false;
    settings.response.sign_response = true;
    assert_eq!(problems(settings), ["sign_assertion"]);
}

#[test]
fn an_address_is_a_name_id_only_where_the_operator_says_so() {
    let mut settings = bare();
    settings.response.name_id_format = NameIdFormat::EmailAddress;
    let application = SamlSp::new(settings.clone()).expect("valid");
    assert!(application.name_id_formats().contains(&NameIdFormat::EmailAddress));
    settings.name_id_formats = Some(vec![NameIdFormat::EmailAddress, NameIdFormat::EmailAddress]);
    assert_eq!(SamlSp::new(settings).expect("valid").name_id_formats(), [NameIdFormat::EmailAddress]);
}

#[test]
fn without_a_key_there_is_no_logout() {
    let service = |binding, path: &str| LogoutService {
        binding,
        location: format!("https://app.example.com/{path}").parse().expect("a URL"),
        response_location: None,
    };
    let services = [service(Binding::Redirect, "r"), service(Binding::Post, "p")];
    let rsa = certificate(KeyKind::Rsa);
    let certificates = [rsa.as_str()];
    let with =
        |certificates| SamlSpSettings::new(LiteralSp { logout_services: &services, ..literal(certificates) }.trust().expect("usable"));
    let path = |settings| SamlSp::new(settings).expect("valid").logout_service().map(|service| service.location.path().to_owned());
    assert_eq!(path(with(&[])), None);
    assert_eq!(path(with(&certificates)).as_deref(), Some("/p"));
    assert_eq!(path(SamlSpSettings { logout_binding: Binding::Redirect, ..with(&certificates) }).as_deref(), Some("/r"));
    let off = SamlSp::new(SamlSpSettings { logout: false, ..with(&certificates) }).expect("valid");
    assert!(off.logout_service().is_none() && off.logout_terms("x", &[], Timestamp::from_seconds(0)).keys.is_none());
}

#[test]
fn algorithms_are_those_that_both_know() {
    let rsa = certificate(KeyKind::Rsa);
    let key = |methods: &[&str]| {
        let certificate = crate::keys::parse_certificate(&rsa).expect("a certificate");
        EncryptionKey::new(certificate, methods.iter().map(|uri| (*uri).to_owned()).collect()).expect("usable")
    };
    let settings = |methods: &[&str]| {
        let mut settings = SamlSpSettings::new(literal(&[]).trust().expect("usable"));
        settings.trust.encryption_keys = vec![key(methods)];
        settings.response.encrypt = EncryptedParts::Assertion;
        settings
    };
    for (methods, cipher, transport) in [
        (&[][..], ContentCipher::Aes256Gcm, KeyTransport::OAEP),
        (&[names::AES128_GCM, names::AES256_CBC][..], ContentCipher::Aes128Gcm, KeyTransport::OAEP),
        (&[names::AES128_GCM, names::AES192_GCM, names::RSA_OAEP_MGF1P][..], ContentCipher::Aes192Gcm, KeyTransport::OAEP_MGF1P),
        (&[names::RSA_OAEP, names::RSA_OAEP_MGF1P][..], ContentCipher::Aes256Gcm, KeyTransport::OAEP),
    ] {
        let application = SamlSp::new(settings(methods)).expect("valid");
        let encrypt = application.response().encryption_to(application.trust()).expect("usable");
        assert_eq!((encrypt.cipher, encrypt.transport), (cipher, transport), "{methods:?}");
    }
    // CBC is never chosen, only named, and then it is told.
    let mut cbc = settings(&[names::AES256_CBC]);
    assert_eq!(problems(cbc.clone()), ["encrypt"]);
    cbc.response.cipher = Some(ContentCipher::Aes256Cbc);
    let weak: Vec<_> = SamlSp::new(cbc).expect("valid").weaknesses().into_iter().map(|(setting, _)| setting).collect();
    assert_eq!(weak, ["encryption_algorithm"]);
}

#[test]
fn literal_settings_are_refused_with_all_their_faults() {
    let ec = certificate(KeyKind::EcP256);
    let refused = LiteralSp {
        entity_id: "x",
        acs_urls: &["http://app.example.com/acs", "ftp://x/", "nowhere", "https://u@app.example.com/", "https://app.example.com/#x"],
        signing_certificates: &["x"],
        encryption_certificates: &[ec.as_str()],
        ..LiteralSp::default()
    };
    let problems = refused.trust().expect_err("refused");
    assert_eq!(problems.len(), 7, "{problems:#?}");
    for word in ["use https", "not an http(s) address", "fragment or a user name", "signing certificate", "RSA key"] {
        assert!(problems.iter().any(|problem| problem.contains(word)), "{word} in {problems:#?}");
    }
    let empty = LiteralSp { authn_requests_signed: true, ..LiteralSp::default() }.trust().expect_err("refused");
    assert_eq!(empty.len(), 3, "{empty:#?}");
    for local in ["http://localhost:8080/acs", "http://127.0.0.1/acs", "http://[::1]/acs"] {
        LiteralSp { entity_id: "x", acs_urls: &[local], ..LiteralSp::default() }.trust().expect(local);
    }
}

#[test]
fn every_weakening_is_listed_by_itself() {
    let rsa = certificate(KeyKind::Rsa);
    let with_keys = || SamlSpSettings { require_signed_requests: true, ..SamlSpSettings::new(literal(&[&rsa]).trust().expect("usable")) };
    let listed = |settings: SamlSpSettings| SamlSp::new(settings).expect("valid").weaknesses();
    assert_eq!(listed(with_keys()), []);
    type Change = fn(&mut SamlSpSettings);
    let switches: [(&str, Change); 10] = [
        ("signed with SHA-1", |settings| settings.response.signature = Some(SignatureScheme::RsaPkcs1(Digest::Sha1))),
        ("signed with SHA-1", |settings| settings.response.signature = Some(SignatureScheme::Ecdsa(Digest::Sha1))),
        ("digest with SHA-1", |settings| settings.response.digest = Some(Digest::Sha1)),
        ("AES-CBC", |settings| settings.response.cipher = Some(ContentCipher::Aes128Cbc)),
        ("AES-CBC", |settings| settings.response.cipher = Some(ContentCipher::Aes256Cbc)),
        ("only the response", |settings| (settings.response.sign_assertion, settings.response.sign_response) = (false, true)),
        ("requests may be signed with SHA-1", |settings| settings.policy.allow_sha1 = true),
        ("inclusive canonicalization", |settings| settings.policy.allow_inclusive_c14n = true),
        ("encrypted with AES-CBC", |settings| settings.policy.allow_cbc = true),
        ("without a request", |settings| settings.allow_unsolicited = true),
    ];
    for (words, change) in switches {
        let mut settings = with_keys();
        change(&mut settings);
        let weaknesses = listed(settings);
        assert!(weaknesses.len() == 1 && weaknesses[0].1.contains(words), "{words}: {weaknesses:?}");
    }
}

#[test]
fn certificates_that_end_are_told_thirty_days_before() {
    let rsa = certificate(KeyKind::Rsa);
    let application = SamlSp::new(SamlSpSettings::new(literal(&[&rsa]).trust().expect("usable"))).expect("valid");
    let end = crate::keys::parse_certificate(&rsa).ok().and_then(|certificate| crate::keys::certificate_end(&certificate)).expect("an end");
    assert_eq!(application.ending_certificates(end.plus_seconds(-31 * 86_400)), Vec::<String>::new());
    let told = application.ending_certificates(end.plus_seconds(-29 * 86_400));
    assert!(told.len() == 2 && told[0].contains("signing") && told[1].contains("encryption"), "{told:?}");
}

#[test]
fn a_mirror_and_an_issuer_for_all_contradict_each_other() {
    let mirror = SamlSpSettings { mirror: true, ..bare() };
    assert!(SamlSp::new(mirror.clone()).is_ok_and(|sp| sp.mirror()));
    let response = ResponseSettings { issuer: Some("https://one.example".to_owned()), ..mirror.response.clone() };
    let problems = SamlSp::new(SamlSpSettings { response, ..mirror }).expect_err("refused");
    assert_eq!(problems.iter().map(|problem| problem.setting).collect::<Vec<_>>(), ["issuer"]);
}
