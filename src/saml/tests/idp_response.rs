//! Our answers to applications, as they read them: our own service provider role, xmlsec1, and the schemas.

use super::idp_support::*;
use super::judges::{is_built_as_the_schema_says, xmlsec1_decrypts, xmlsec1_verifies};
use super::support::*;
use crate::error::ErrorKind;
use crate::keys::{Digest, SignatureScheme};
use crate::saml::encryption::{ContentCipher, KeyTransport};
use crate::saml::idp::*;
use crate::saml::*;

const HOSTILE: &str = "</saml:AttributeValue></saml:Attribute><x a=\"'&lt;\">]]><!-- \u{0}\u{1}\u{fffe} \r\n\t\u{1f600}";

fn released(name: &str, values: Vec<ReleasedValue>) -> ReleasedAttribute {
    ReleasedAttribute { name: name.to_owned(), name_format: None, friendly_name: None, values }
}

fn text(text: &str) -> ReleasedValue {
    ReleasedValue::Text(text.to_owned())
}

fn attributes() -> Vec<ReleasedAttribute> {
    let friendly = ReleasedAttribute {
        friendly_name: Some("mail".to_owned()),
        ..released("urn:oid:0.9.2342.19200300.100.1.3", vec![text("ada@example.edu")])
    };
    vec![
        friendly,
        released("groups", vec![text("staff"), text("admins & <owners>")]),
        released(
            "flags",
            vec![ReleasedValue::Boolean(true), ReleasedValue::Integer(3), ReleasedValue::Structured("{\"a\":[]}".to_owned())],
        ),
        released("nothing", Vec::new()),
    ]
}

fn statement(attributes: &[ReleasedAttribute]) -> Statement<'_> {
    Statement {
        subject: Subject { user_id: "samlp|acme|ada", email: Some("ada@example.edu") },
        attributes,
        authn_instant: now().plus_seconds(-30),
        authn_context_class_ref: Some(names::AC_PASSWORD_PROTECTED_TRANSPORT),
        authenticating_authorities: &[],
        session_index: "_session1",
        session_not_on_or_after: Some(now().plus_seconds(3600)),
    }
}

fn reply_to(children: &str) -> SamlReplyTo {
    by_redirect(&request_with("", children), Some("state")).expect("accepted").into_reply_to()
}

struct Scene {
    application: SpTrust,
    settings: ResponseSettings,
}

impl Scene {
    fn new() -> Self {
        Self { application: application(), settings: ResponseSettings::default() }
    }

    fn answer(&self, key: &TestKey, reply_to: &SamlReplyTo, statement: &Statement<'_>) -> crate::error::Result<Issued> {
        let sealer = sealer();
        let from = Responder {
            entity_id: OURS,
            application: &self.application,
            settings: &self.settings,
            signing_key: &key.certified,
            sealer: &sealer,
        };
        reply_to.respond(&from, statement, now())
    }

    /// The answer to a request without wishes.
    fn xml(&self) -> String {
        xml_of(&self.answer(&RSA, &reply_to(""), &statement(&attributes())).expect("made").outgoing)
    }
}

/// What the application's own software makes of it.
fn read(xml: &str, key: &TestKey) -> Result<VerifiedAssertion, Rejection> {
    let sp = SpSettings { entity_id: APP.to_owned(), acs_url: APP_ACS.parse().expect("a URL") };
    let idp = IdpTrust { entity_id: OURS.to_owned(), ..idp(key) };
    let expected = Expected { request_id: Some(ASKED), ..expected() };
    receive_response(
        &form(xml),
        &sp,
        &idp,
        &[&ENCRYPTION.certified],
        &ResponsePolicy { allow_cbc: true, ..ResponsePolicy::default() },
        &expected,
        &mut Vec::new(),
    )
}

#[test]
fn everything_that_is_said_arrives_at_the_registered_address() {
    let scene = Scene::new();
    let authorities = [IDP.to_owned()];
    let (attributes, reply_to) = (attributes(), reply_to(""));
    let said = Statement { authenticating_authorities: &authorities, ..statement(&attributes) };
    let issued = scene.answer(&RSA, &reply_to, &said).expect("made");
    let Outgoing::PostForm { action, fields } = &issued.outgoing else { panic!("never by redirect") };
    assert_eq!((action.as_str(), &fields[1]), (APP_ACS, &("RelayState".to_owned(), "state".to_owned())));
    let xml = xml_of(&issued.outgoing);
    is_built_as_the_schema_says(&xml);
    let verified = read(&xml, &RSA).expect("accepted");
    assert_eq!((verified.assertion_id(), verified.response_id()), (issued.assertion_id.as_str(), issued.response_id.as_str()));
    assert_eq!(verified.name_id(), Some(&issued.name_id));
    assert_eq!(verified.authenticating_authorities(), authorities);
    assert_eq!(verified.authn_context_class_ref(), Some(names::AC_PASSWORD_PROTECTED_TRANSPORT));
    assert_eq!((verified.authn_instant(), verified.session_index()), (Some(now().plus_seconds(-30)), Some("_session1")));
    assert_eq!(verified.session_not_on_or_after(), Some(now().plus_seconds(3600)));
    let types: Vec<_> = verified
        .attributes()
        .iter()
        .map(|attribute| (attribute.name.as_str(), attribute.name_format.as_deref(), attribute.friendly_name.as_deref()))
        .collect();
    assert_eq!(
        types,
        [
            ("urn:oid:0.9.2342.19200300.100.1.3", Some(names::ATTRNAME_URI), Some("mail")),
            ("groups", Some(names::ATTRNAME_BASIC), None),
            ("flags", Some(names::ATTRNAME_BASIC), None),
        ],
        "an attribute without values is not there"
    );
    let flags: Vec<_> = verified.attributes()[2].values.clone();
    let typed = |value: &str, xsi_type: &str| AttributeValue::Text { value: value.to_owned(), xsi_type: Some(xsi_type.to_owned()) };
    assert_eq!(flags, [typed("true", "boolean"), typed("3", "double"), typed("{\"a\":[]}", "anyType")]);
    assert!(!xml.contains("SubjectLocality"));
}

#[test]
fn every_signature_is_verified_by_another_program() {
    let mut scene = Scene::new();
    for (key, schemes) in [
        (&RSA, vec![None, Some(SignatureScheme::RsaPkcs1(Digest::Sha384)), Some(SignatureScheme::RsaPkcs1(Digest::Sha512))]),
        (&EC, vec![None, Some(SignatureScheme::Ecdsa(Digest::Sha512))]),
        (&EC384, vec![None]),
    ] {
        for scheme in schemes {
            for (assertion, response, digest) in
                [(true, false, None), (false, true, Some(Digest::Sha512)), (true, true, Some(Digest::Sha384))]
            {
                scene.settings = ResponseSettings {
                    sign_assertion: assertion,
                    sign_response: response,
                    signature: scheme,
                    digest,
                    ..ResponseSettings::default()
                };
                let xml = xml_of(&scene.answer(key, &reply_to(""), &statement(&attributes())).expect("made").outgoing);
                assert!(xmlsec1_verifies(&xml, key), "{scheme:?} {assertion} {response}\n{xml}");
                assert!(!xmlsec1_verifies(&xml.replace("ada@example.edu", "eve@example.edu"), key));
                assert_eq!(xml.matches("<ds:Signature ").count(), usize::from(assertion) + usize::from(response));
                is_built_as_the_schema_says(&xml);
                read(&xml, key).expect("accepted");
            }
        }
    }
    // This xmlsec1 does not know RSA-PSS; our own engine does.
    scene.settings = ResponseSettings { signature: Some(SignatureScheme::RsaPss(Digest::Sha256)), ..ResponseSettings::default() };
    let xml = scene.xml();
    assert!(xml.contains(names::RSA_PSS_SHA256));
    read(&xml, &RSA).expect("accepted");
    scene.settings.signature = Some(SignatureScheme::Ecdsa(Digest::Sha256));
    let refused = scene.answer(&RSA, &reply_to(""), &statement(&[])).expect_err("refused");
    assert_eq!(refused.kind, ErrorKind::Misconfigured);
}

#[test]
fn no_answer_leaves_without_a_signature() {
    let mut scene = Scene::new();
    scene.settings.sign_assertion = false;
    assert_eq!(scene.xml().matches("<ds:Signature ").count(), 1);
    let parts = SpParts { want_assertions_signed: true, ..parts(&[&RSA.certificate]) };
    scene.application = SpTrust::new(parts).expect("usable");
    scene.settings.sign_response = true;
    assert_eq!(scene.xml().matches("<ds:Signature ").count(), 2, "what the application wants signed is");
}

#[test]
fn what_is_encrypted_another_program_opens() {
    let mut scene = Scene::new();
    for (cipher, transport) in [
        (None, None),
        (Some(ContentCipher::Aes256Gcm), Some(KeyTransport::OAEP_MGF1P)),
        (Some(ContentCipher::Aes128Gcm), Some(KeyTransport::OAEP_MGF1P)),
        (Some(ContentCipher::Aes256Cbc), Some(KeyTransport::OAEP_MGF1P)),
        (Some(ContentCipher::Aes128Cbc), Some(KeyTransport::OAEP_MGF1P)),
    ] {
        for encrypt in [EncryptedParts::Assertion, EncryptedParts::NameId, EncryptedParts::Both] {
            scene.settings = ResponseSettings { encrypt, cipher, transport, ..ResponseSettings::default() };
            let issued = scene.answer(&RSA, &reply_to(""), &statement(&attributes())).expect("made");
            let xml = xml_of(&issued.outgoing);
            is_built_as_the_schema_says(&xml);
            assert!(!xml.contains(&issued.name_id.value), "the name is hidden");
            assert_eq!(xml.contains("ada@example.edu"), encrypt == EncryptedParts::NameId);
            if encrypt == EncryptedParts::Assertion {
                read(&xml, &RSA).expect("accepted");
            }
            if transport.is_some() {
                let opened = xmlsec1_decrypts(&xml, &ENCRYPTION);
                let outer = if encrypt == EncryptedParts::NameId { issued.name_id.value.as_str() } else { "ada@example.edu" };
                assert!(opened.contains(outer), "{cipher:?} {encrypt:?}: {opened}");
            } else {
                assert!(xml.contains(names::AES256_GCM) && xml.contains(names::RSA_OAEP) && !xml.contains("sha1"), "{xml}");
            }
        }
    }
}

#[test]
fn a_request_can_have_its_name_id_encrypted() {
    let wish = format!("<samlp:NameIDPolicy Format=\"{}\"/>", names::NAMEID_ENCRYPTED);
    let issued = Scene::new().answer(&RSA, &reply_to(&wish), &statement(&[])).expect("made");
    let xml = xml_of(&issued.outgoing);
    assert!(xml.contains("<saml:EncryptedID") && !xml.contains("<saml:NameID"), "{xml}");
}

#[test]
fn persistent_names_are_stable_and_pairwise() {
    let scene = Scene::new();
    let name = |scene: &Scene, user_id: &'static str| {
        let said = Statement { subject: Subject { user_id, email: None }, ..statement(&[]) };
        let reply_to = SamlReplyTo::unsolicited(&scene.application, true, None).expect("allowed");
        scene.answer(&RSA, &reply_to, &said).expect("made").name_id
    };
    let one = name(&scene, "samlp|acme|ada");
    assert_eq!(one, name(&scene, "samlp|acme|ada"));
    assert_ne!(one.value, name(&scene, "samlp|acme|bob").value);
    let mut other = Scene::new();
    other.application = SpTrust::new(SpParts { entity_id: "https://other.example".to_owned(), ..parts(&[]) }).expect("usable");
    assert_ne!(one.value, name(&other, "samlp|acme|ada").value);
    assert!(one.value.len() >= 33 && one.value.len() <= 256 && !one.value.contains("ada"));
    assert_eq!((one.name_qualifier.as_deref(), one.sp_name_qualifier.as_deref()), (Some(OURS), Some(APP)));
    assert_eq!(one.format.as_deref(), Some(names::NAMEID_PERSISTENT));
    // The signing key does not change it.
    let mut elsewhere = Scene::new();
    elsewhere.settings.lifetime_seconds = 60;
    let reply_to = SamlReplyTo::unsolicited(&elsewhere.application, true, None).expect("allowed");
    assert_eq!(elsewhere.answer(&EC, &reply_to, &statement(&[])).expect("made").name_id.value, one.value);
}

#[test]
fn the_other_formats_of_names() {
    let mut scene = Scene::new();
    let attributes =
        [released("nothing", Vec::new()), released("upn", vec![text(" "), text("ada.l")]), released("alt", vec![text("ada@alt.example")])];
    let name = |scene: &Scene, email: Option<&'static str>| {
        let said = Statement { subject: Subject { user_id: "u1", email }, ..statement(&attributes) };
        scene.answer(&RSA, &reply_to(""), &said).map(|issued| (issued.name_id.value, issued.name_id.sp_name_qualifier))
    };
    scene.settings.name_id_format = NameIdFormat::Transient;
    let (one, two) = (name(&scene, None).expect("made").0, name(&scene, None).expect("made").0);
    assert!(one != two && one.len() == 41, "160 random bits each time: {one} {two}");

    scene.settings.name_id_format = NameIdFormat::EmailAddress;
    assert_eq!(name(&scene, Some("ada@example.edu")).expect("made"), ("ada@example.edu".to_owned(), None));
    for none in [None, Some("ada"), Some("@example.edu"), Some("a b@example.edu")] {
        assert_eq!(name(&scene, none).expect_err("refused").kind, ErrorKind::ProfileIncomplete, "{none:?}");
    }
    scene.settings.name_id_probes = vec!["missing".to_owned(), "nothing".to_owned(), "upn".to_owned(), "alt".to_owned()];
    assert_eq!(name(&scene, Some("ada@example.edu")).expect("made").0, "ada@alt.example", "the first that is an address");

    scene.settings.name_id_format = NameIdFormat::Unspecified;
    assert_eq!(name(&scene, None).expect("made").0, "ada.l", "the first with a value");
    scene.settings.name_id_probes.clear();
    assert_eq!(name(&scene, None).expect("made").0, "u1");
    // What the request names comes first.
    let wish = format!("<samlp:NameIDPolicy Format=\"{}\"/>", names::NAMEID_TRANSIENT);
    let issued = scene.answer(&RSA, &reply_to(&wish), &statement(&[])).expect("made");
    assert_eq!(issued.name_id.format.as_deref(), Some(names::NAMEID_TRANSIENT));
}

#[test]
fn settings_are_kept() {
    let mut scene = Scene::new();
    scene.settings = ResponseSettings {
        issuer: Some("urn:ours".to_owned()),
        audience: Some("urn:audience".to_owned()),
        recipient: Some("https://app.example.org/recipient".to_owned()),
        destination: Some("https://app.example.org/destination".to_owned()),
        lifetime_seconds: 120,
        backdate_seconds: 10,
        attributes: AttributeStyle { types: ValueTypes::AnyType, name_formats: NameFormats::Omitted },
        ..ResponseSettings::default()
    };
    let attributes = attributes();
    let said = Statement { authn_context_class_ref: None, session_not_on_or_after: None, ..statement(&attributes) };
    let issued = scene.answer(&RSA, &reply_to(""), &said).expect("made");
    let Outgoing::PostForm { action, .. } = &issued.outgoing else { panic!("a form") };
    assert_eq!(action.as_str(), APP_ACS, "it goes to the registered address in any case");
    let xml = xml_of(&issued.outgoing);
    for part in [
        ">urn:ours</saml:Issuer>",
        "<saml:Audience>urn:audience</saml:Audience>",
        "Recipient=\"https://app.example.org/recipient\"",
        "Destination=\"https://app.example.org/destination\"",
        "NotBefore=\"2026-11-21T02:41:50Z\" NotOnOrAfter=\"2026-11-21T02:44:00Z\"",
        "xsi:type=\"xs:anyType\">staff<",
        ">urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified<",
    ] {
        assert!(xml.contains(part), "{part} in {xml}");
    }
    assert!(!xml.contains("NameFormat") && !xml.contains("xs:string") && !xml.contains("SessionNotOnOrAfter"), "{xml}");
    is_built_as_the_schema_says(&xml);
}

#[test]
fn conditions_of_the_request_shorten_the_assertion() {
    let wish = "<saml:Conditions NotOnOrAfter=\"2026-11-21T02:42:30Z\"/>";
    let issued = Scene::new().answer(&RSA, &reply_to(wish), &statement(&[])).expect("made");
    assert_eq!(issued.not_on_or_after, now().plus_seconds(30));
    assert!(xml_of(&issued.outgoing).contains("NotOnOrAfter=\"2026-11-21T02:42:30Z\""));
    // The sign-in took longer.
    let (scene, sealer, right) = (Scene::new(), sealer(), reply_to(wish));
    let from = Responder {
        entity_id: OURS,
        application: &scene.application,
        settings: &scene.settings,
        signing_key: &RSA.certified,
        sealer: &sealer,
    };
    let late = right.respond(&from, &statement(&[]), now().plus_seconds(30)).expect_err("refused");
    assert_eq!(late.kind, ErrorKind::LoginExpired);
}

#[test]
fn values_cannot_break_out_of_their_elements() {
    let mut scene = Scene::new();
    scene.settings.name_id_format = NameIdFormat::Unspecified;
    let attributes = [ReleasedAttribute {
        name: HOSTILE.to_owned(),
        name_format: Some(HOSTILE.to_owned()),
        friendly_name: Some(HOSTILE.to_owned()),
        values: vec![text(HOSTILE), ReleasedValue::Structured(HOSTILE.to_owned())],
    }];
    let authorities = [HOSTILE.to_owned()];
    let said = Statement {
        subject: Subject { user_id: HOSTILE, email: None },
        authenticating_authorities: &authorities,
        authn_context_class_ref: Some(HOSTILE),
        session_index: HOSTILE,
        ..statement(&attributes)
    };
    for encrypt in [EncryptedParts::Nothing, EncryptedParts::Assertion] {
        scene.settings.encrypt = encrypt;
        let issued = scene.answer(&RSA, &reply_to(""), &said).expect("made");
        let xml = xml_of(&issued.outgoing);
        let verified = read(&xml, &RSA).expect("accepted");
        // What XML cannot carry at all is replaced; everything else arrives as it was.
        let clean = HOSTILE.replace(['\u{0}', '\u{1}', '\u{fffe}'], "\u{fffd}");
        assert_eq!(verified.attributes().len(), 1);
        assert_eq!(
            (verified.attributes()[0].name.as_str(), verified.attributes()[0].values[0].text()),
            (clean.as_str(), Some(clean.as_str()))
        );
        assert_eq!((verified.subject(), verified.session_index()), (clean.trim(), Some(clean.as_str())));
        assert!(encrypt == EncryptedParts::Assertion || xmlsec1_verifies(&xml, &RSA));
    }
}

#[test]
fn refusals_are_signed_and_say_both_codes() {
    let scene = Scene::new();
    let sealer = sealer();
    let from = Responder {
        entity_id: OURS,
        application: &scene.application,
        settings: &scene.settings,
        signing_key: &EC.certified,
        sealer: &sealer,
    };
    for kind in ErrorKind::ALL {
        let (top, second) = kind.wire().saml;
        let refusal = Refusal { top, second, message: Some("<b>no</b>") };
        let outgoing = reply_to("").refuse(&from, refusal, now()).expect("made").outgoing;
        let xml = xml_of(&outgoing);
        let rejection = read(&xml, &EC).expect_err("a refusal");
        let full = |code: &str| format!("{}{code}", names::STATUS_PREFIX);
        assert_eq!(
            rejection,
            Rejection::StatusNotSuccess { top: full(top), second: Some(full(second)), message: Some("<b>no</b>".to_owned()) }
        );
        assert!(!xml.contains("Assertion"), "{xml}");
    }
    let outgoing =
        reply_to("").refuse(&from, Refusal { top: "Responder", second: "NoPassive", message: None }, now()).expect("made").outgoing;
    let xml = xml_of(&outgoing);
    assert!(xmlsec1_verifies(&xml, &EC) && !xmlsec1_verifies(&xml.replace("NoPassive", "AuthnFailed"), &EC));
    is_built_as_the_schema_says(&xml);
}

#[test]
fn an_address_that_is_registered_no_more_gets_nothing() {
    let mut scene = Scene::new();
    let reply_to = reply_to("");
    scene.answer(&RSA, &reply_to, &statement(&[])).expect("still registered");
    let elsewhere = AssertionConsumerService::new("https://app.example.org/new", None, None).expect("an address");
    for parts in [SpParts { acs: vec![elsewhere], ..parts(&[]) }, SpParts { entity_id: "https://other.example".to_owned(), ..parts(&[]) }] {
        scene.application = SpTrust::new(parts).expect("usable");
        assert_eq!(scene.answer(&RSA, &reply_to, &statement(&[])).expect_err("refused").kind, ErrorKind::InvalidRedirectUri);
    }
}

#[test]
fn the_right_to_answer_can_be_kept_and_read_again() {
    let reply_to = reply_to(&format!("<samlp:NameIDPolicy Format=\"{}\"/>", names::NAMEID_TRANSIENT));
    let kept = serde_json::to_string(&reply_to).expect("written");
    assert_eq!(serde_json::from_str::<SamlReplyTo>(&kept).expect("read"), reply_to);
}
