//! What a good response gives.

use super::support::*;
use crate::clock::Timestamp;
use crate::saml::idp::{Encrypt, Sign, respond};
use crate::saml::signature::Signer;
use crate::saml::*;

#[test]
fn every_combination_of_signatures_keys_and_encryption_is_accepted() {
    for key in [&RSA, &EC, &EC384] {
        for sign in [Sign::Assertion, Sign::Response, Sign::Both] {
            for encrypt in [None, Some(Encrypt::to(&ENCRYPTION.certificate))] {
                let mut answer = answer();
                (answer.sign, answer.encrypt) = (sign, encrypt);
                let xml = respond(&answer, Signer::new(&key.certified), now()).expect("written");
                let verified = receive_with(&xml, key, &ResponsePolicy::default(), &expected());
                let verified = verified.unwrap_or_else(|rejection| panic!("{sign:?} {encrypt:?}: {rejection}\n{xml}"));
                assert_eq!(verified.subject(), "subject-1");
                assert_eq!((verified.response_id(), verified.assertion_id()), ("_response1", "_assertion1"));
                assert_eq!(verified.attributes().len(), 2);
            }
        }
    }
}

#[test]
fn everything_that_was_said_arrives() {
    let mut answer = answer();
    answer.session_index = Some("s1".to_owned());
    answer.session_not_on_or_after = Some(now().plus_seconds(3600));
    answer.authenticating_authorities = vec!["https://upstream.example".to_owned()];
    answer.name_id.name_qualifier = Some(IDP.to_owned());
    answer.name_id.sp_name_qualifier = Some(SP.to_owned());
    let verified = receive(&respond(&answer, signer(), now()).expect("written")).expect("accepted");
    assert_eq!(verified.issuer(), IDP);
    assert_eq!(verified.name_id(), Some(&answer.name_id));
    assert_eq!(verified.attributes(), answer.attributes);
    assert_eq!(verified.attributes()[1].values[1].text(), Some("admins & <owners>"));
    assert_eq!(verified.authn_instant(), Some(now()));
    assert_eq!(verified.session_index(), Some("s1"));
    assert_eq!(verified.session_not_on_or_after(), Some(now().plus_seconds(3600)));
    assert_eq!(verified.authn_context_class_ref(), Some(names::AC_PASSWORD_PROTECTED_TRANSPORT));
    assert_eq!(verified.authenticating_authorities(), ["https://upstream.example"]);
    assert_eq!(verified.not_on_or_after(), now().plus_seconds(300 + 60 + 1));
}

#[test]
fn repeated_attributes_nil_types_and_structured_values_are_kept() {
    let xml = with_assertion(|assertion| {
        let more = concat!(
            r#"<saml:Attribute Name="groups"><saml:AttributeValue>more</saml:AttributeValue></saml:Attribute>"#,
            r#"<saml:Attribute Name="eptid"><saml:AttributeValue><saml:NameID NameQualifier="i" SPNameQualifier="s"> x </saml:NameID></saml:AttributeValue></saml:Attribute>"#,
            r#"<saml:Attribute Name="nil"><saml:AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/></saml:Attribute>"#,
            r#"<saml:Attribute Name="tree"><saml:AttributeValue><a>1<b>2</b></a></saml:AttributeValue></saml:Attribute>"#,
            r#"<saml:Attribute Name="none"/>"#,
            r#"<saml:Attribute Name="unfriendly" FriendlyName=" "/>"#,
            r#"<saml:Attribute Name="cdata"><saml:AttributeValue>a<![CDATA[<b>]]>&amp;c</saml:AttributeValue></saml:Attribute>"#,
        );
        assertion.replace("</saml:AttributeStatement>", &format!("{more}</saml:AttributeStatement>"))
    });
    let verified = receive(&xml).expect("accepted");
    let values = |name: &str| -> Vec<Option<String>> {
        let of = verified.attributes().iter().filter(|attribute| attribute.name == name);
        of.flat_map(|attribute| &attribute.values).map(|value| value.text().map(str::to_owned)).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(values("groups"), [some("staff"), some("admins & <owners>"), some("more")]);
    assert_eq!(values("eptid"), [some("x")]);
    assert_eq!(values("nil"), [None]);
    assert_eq!(values("tree"), [some("12")]);
    assert_eq!(values("none"), []);
    assert_eq!(values("cdata"), [some("a<b>&c")]);
    // An empty friendly name is none.
    assert!(verified.attributes().iter().any(|attribute| attribute.name == "unfriendly" && attribute.friendly_name.is_none()));
    let targeted = verified.attributes().iter().find(|attribute| attribute.name == "eptid").expect("there");
    let AttributeValue::NameId(name_id) = &targeted.values[0] else { panic!("{targeted:?}") };
    assert_eq!((name_id.name_qualifier.as_deref(), name_id.sp_name_qualifier.as_deref()), (Some("i"), Some("s")));
}

#[test]
fn values_that_look_like_markup_stay_values() {
    let evil = "x</saml:AttributeValue></saml:Attribute><saml:Attribute Name=\"role\"><saml:AttributeValue>admin";
    let mut answer = answer().with_attribute("a\"b<c", Some("<&\">"), &[evil, "tab\tnew\nline\rend", "\u{0}\u{1b}\u{fffe}"]);
    answer.name_id.value = "a&b <c>".to_owned();
    let verified = receive(&respond(&answer, signer(), now()).expect("written")).expect("accepted");
    assert_eq!(verified.subject(), "a&b <c>");
    assert!(!verified.attributes().iter().any(|attribute| attribute.name == "role"));
    let attribute = verified.attributes().last().expect("there");
    assert_eq!((attribute.name.as_str(), attribute.friendly_name.as_deref()), ("a\"b<c", Some("<&\">")));
    let texts: Vec<_> = attribute.values.iter().filter_map(AttributeValue::text).collect();
    assert_eq!(texts, [evil, "tab\tnew\nline\rend", "\u{fffd}\u{fffd}\u{fffd}"]);
}

#[test]
fn every_check_is_in_the_trace() {
    let mut checks = Vec::new();
    let form = form(&signed_assertion());
    receive_response(&form, &sp(), &idp(&RSA), &[], &ResponsePolicy::default(), &expected(), &mut checks).expect("accepted");
    let names: Vec<_> = checks.iter().map(|check| check.name).collect();
    for name in ["encoding", "well-formed", "signature", "digest", "audience", "recipient", "status", "name-id", "authn-statement"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(checks.len() > 35, "{}", checks.len());
    #[cfg(feature = "xmlsec")]
    assert!(names.contains(&"second-opinion-bytes"));
}

#[test]
fn the_attribute_configured_as_subject_replaces_the_name_id() {
    let policy = ResponsePolicy { subject_attribute: Some("urn:oid:0.9.2342.19200300.100.1.3".to_owned()), ..ResponsePolicy::default() };
    let verified = receive_with(&signed_assertion(), &RSA, &policy, &expected()).expect("accepted");
    assert_eq!(verified.subject(), "ada@example.edu");
    let without_name_id = with_assertion(|assertion| assertion.replace(cut(&assertion, "saml:NameID"), ""));
    assert_eq!(receive_with(&without_name_id, &RSA, &policy, &expected()).expect("accepted").subject(), "ada@example.edu");
    let policy = ResponsePolicy { subject_attribute: Some("missing".to_owned()), ..policy };
    let refused = receive_with(&signed_assertion(), &RSA, &policy, &expected()).expect_err("refused");
    assert_eq!(refused.name(), "subject-attribute-missing");
}

#[test]
fn dates_of_all_dialects_are_read() {
    for date in ["2026-11-21T02:42:00.1234567Z", "2026-11-21T02:42:00", "2026-11-21T03:42:00+01:00"] {
        let xml =
            with_assertion(|assertion| assertion.replace("AuthnInstant=\"2026-11-21T02:42:00Z\"", &format!("AuthnInstant=\"{date}\"")));
        let instant = receive(&xml).expect("accepted").authn_instant().expect("there");
        assert_eq!(instant.seconds(), Timestamp::parse("2026-11-21T02:42:00Z").expect("a date").seconds(), "{date}");
    }
}

#[test]
fn the_login_can_be_found_before_anything_is_verified() {
    assert_eq!(peek_in_response_to(&form(&signed_assertion())).as_deref(), Some(REQUEST));
    assert_eq!(peek_in_response_to("not base64!"), None);
    assert_eq!(peek_in_response_to(&form("<Response InResponseTo=\"x\"/>")), None);
    assert_eq!(peek_issuer(&form(&signed_assertion())).as_deref(), Some(IDP));
    let bare = signed_assertion().replacen(&format!("<saml:Issuer>{IDP}</saml:Issuer>"), "", 1);
    assert_eq!(peek_issuer(&form(&bare)).as_deref(), Some(IDP), "that of its assertion");
    assert_eq!(peek_issuer("not base64!"), None);
    assert_eq!(peek_issuer(&form("<Response><Issuer>x</Issuer></Response>")), None);
}
