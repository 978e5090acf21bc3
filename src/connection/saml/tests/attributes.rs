//! What becomes of attributes of every kind, on the way from a signed response to the profile.

use super::*;
use crate::profile::RawAttributes;
use crate::saml::Scope;
use serde_json::json;

const ISSUER: &str = "https://idp.uni.example/idp/shibboleth";
const TEMPLATE: &str = include_str!("../../../../tests/fixtures/saml/vendors/shibboleth.xml");
const XSI: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

/// A login whose assertion has these attributes, and no others.
fn login(statement: &str, change: impl FnOnce(&mut Settings)) -> (SamlConnection, Result<Authentication, Refused>) {
    let connection = connection(ISSUER, "saml", change);
    let (_, pending) = asked(&connection, &UpstreamRequest::default());
    let answer = Answer { template: TEMPLATE, signed: Signed::Assertion, encrypted: false };
    let posted = answer.posted(&connection, &pending, |xml| {
        let (before, rest) = xml.split_once("<saml2:AttributeStatement>").expect("a statement");
        let (_, after) = rest.split_once("</saml2:AttributeStatement>").expect("its end");
        format!("{before}<saml2:AttributeStatement>{statement}</saml2:AttributeStatement>{after}")
    });
    let outcome = complete(&connection, &pending, &posted);
    (connection, outcome)
}

fn attributes(statement: &str) -> RawAttributes {
    login(statement, |_| ()).1.expect("accepted").attributes
}

fn attribute(name: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<saml2:AttributeValue>{value}</saml2:AttributeValue>")).collect();
    format!("<saml2:Attribute Name=\"{name}\">{values}</saml2:Attribute>")
}

#[test]
fn s2_22_a_name_that_comes_twice_keeps_all_values_whatever_its_format() {
    let basic = attribute("x", &["1", "2"]);
    let uri = basic.replace("Name=\"x\"", "Name=\"x\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:uri\"").replace('1', "3");
    let raw = attributes(&format!("{basic}{uri}"));
    assert_eq!(raw.values("x"), [&json!("1"), &json!("2"), &json!("3"), &json!("2")]);
    let formats: Vec<_> = raw.attributes().iter().map(|attribute| attribute.name_format.as_deref()).collect();
    assert_eq!(formats, [None, Some("urn:oasis:names:tc:SAML:2.0:attrname-format:uri")]);
}

#[test]
fn typed_values_are_the_text_that_stands_there() {
    let typed = |xsi_type: &str, value: &str| {
        format!(
            "<saml2:Attribute Name=\"{xsi_type}\"><saml2:AttributeValue {XSI} xsi:type=\"xsd:{xsi_type}\">{value}</saml2:AttributeValue></saml2:Attribute>"
        )
    };
    let cases = [
        ("boolean", "1"),
        ("integer", "0042"),
        ("dateTime", "2026-11-21T02:42:00+01:00"),
        ("base64Binary", "AAEC/w=="),
        ("anyURI", "urn:x"),
    ];
    let statement: String = cases.iter().map(|(xsi_type, value)| typed(xsi_type, value)).collect();
    let raw = attributes(&statement);
    for (xsi_type, value) in cases {
        assert_eq!(raw.values(xsi_type), [&json!(value)], "{xsi_type}");
    }
    // The field has the kind, not the value.
    let statement = typed("boolean", "true").replace("Name=\"boolean\"", "Name=\"email_verified\"") + &attribute("mail", &["a@b.example"]);
    let (connection, outcome) = login(&statement, |_| ());
    assert_eq!(profile(&connection, &outcome.expect("accepted")).bool("email_verified"), Some(true));
}

#[test]
fn nil_empty_and_missing_values_are_absent() {
    let nil = format!("<saml2:Attribute Name=\"nil\"><saml2:AttributeValue {XSI} xsi:nil=\"true\"/></saml2:Attribute>");
    let statement = [nil, attribute("none", &[]), attribute("mail", &["", "  "]), attribute("displayName", &["", "Jane"])].concat();
    let (connection, outcome) = login(&statement, |_| ());
    let authentication = outcome.expect("accepted");
    assert!(authentication.attributes.values("nil").is_empty() && authentication.attributes.values("none").is_empty());
    let profile = profile(&connection, &authentication);
    assert_eq!((profile.get("email"), profile.str("name")), (None, Some("Jane")));
    assert!(!profile.as_map().values().any(serde_json::Value::is_null));
}

#[test]
fn a_name_id_inside_an_attribute_is_its_text_and_its_qualifiers_are_sources() {
    const EPTID: &str = "urn:oid:1.3.6.1.4.1.5923.1.1.1.10";
    let connection = connection(ISSUER, "saml", |_| ());
    let (_, pending) = asked(&connection, &UpstreamRequest::default());
    let answer = Answer { template: TEMPLATE, signed: Signed::Assertion, encrypted: true };
    let authentication = complete(&connection, &pending, &answer.posted(&connection, &pending, |xml| xml)).expect("accepted");
    let raw = &authentication.attributes;
    assert_eq!((raw.first_text(EPTID), raw.first_text("eduPersonTargetedID")), (Some("o7Gt8sBkQz"), Some("o7Gt8sBkQz")));
    assert_eq!(raw.first_text(&format!("{EPTID}#NameQualifier")), Some(ISSUER));
    assert_eq!(raw.first_text(&format!("{EPTID}#SPNameQualifier")), Some(connection.sp.entity_id.as_str()));
    assert_eq!(raw.first_text(&format!("{EPTID}#Format")), Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"));
    // Rows that take all the rest do not take them.
    let written = serde_json::to_string(profile(&connection, &authentication).as_map()).expect("JSON");
    assert!(written.contains("o7Gt8sBkQz") && !written.contains("#NameQualifier"), "{written}");
}

#[test]
fn large_values_and_many_values_arrive_whole() {
    let large = "x".repeat(100 * 1024);
    let raw = attributes(&attribute("large", &[&large]));
    assert_eq!(raw.first_text("large").map(str::len), Some(100 * 1024));
    let groups: Vec<String> = (0..1000).map(|number| format!("group-{number:04}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    assert_eq!(attributes(&attribute("groups", &groups)).values("groups").len(), 1000);
}

#[test]
fn values_of_another_scope_are_left_out() {
    let scoped = |settings: &mut Settings| settings.idp.scopes = vec![Scope { value: "uni.example".to_owned(), regexp: false }];
    let statement = attribute("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", &["staff@uni.example", "staff@evil.example"]);
    let raw = login(&statement, scoped).1.expect("accepted").attributes;
    assert_eq!(raw.values("urn:oid:1.3.6.1.4.1.5923.1.1.1.9"), [&json!("staff@uni.example")]);
}

#[test]
fn subject_identifiers_are_one_value_of_their_form_in_lower_case_and_in_scope() {
    for name in ["urn:oasis:names:tc:SAML:attribute:subject-id", "urn:oasis:names:tc:SAML:attribute:pairwise-id"] {
        let values = |statement: &str| {
            let scoped = |settings: &mut Settings| settings.idp.scopes = vec![Scope { value: "uni.example".to_owned(), regexp: false }];
            let raw = login(statement, scoped).1.expect("accepted").attributes;
            raw.values(name).into_iter().map(|value| value.as_str().expect("a text").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(values(&attribute(name, &["FM1234@Uni.Example"])), ["fm1234@uni.example"]);
        for wrong in ["fm1234", "fm 1234@uni.example", "fm1234@evil.example", "fm1234@evil.example@uni.example", ""] {
            assert!(values(&attribute(name, &[wrong])).is_empty(), "{wrong}");
        }
        assert!(values(&attribute(name, &["a@uni.example", "b@uni.example"])).is_empty());
        assert!(values(&[attribute(name, &["a@uni.example"]), attribute(name, &["b@uni.example"])].concat()).is_empty());
        // Another one's value does not make one that is left the only one.
        assert!(values(&attribute(name, &["a@uni.example", "b@evil.example"])).is_empty());
    }
}

#[test]
fn the_subject_is_taken_only_from_what_its_scope_allows() {
    const SUBJECT_ID: &str = "urn:oasis:names:tc:SAML:attribute:subject-id";
    let by_attribute = |settings: &mut Settings| {
        settings.policy.subject_attribute = Some(SUBJECT_ID.to_owned());
        settings.idp.scopes = vec![Scope { value: "uni.example".to_owned(), regexp: false }];
    };
    let authentication = login(&attribute(SUBJECT_ID, &["FM1234@UNI.example"]), by_attribute).1.expect("accepted");
    assert_eq!(authentication.identity.user_id, "fm1234@uni.example");
    assert_eq!(authentication.attributes.fact(crate::profile::Fact::Subject), Some("fm1234@uni.example"));
    for wrong in ["fm1234@evil.example", "no identifier"] {
        let refused = login(&attribute(SUBJECT_ID, &[wrong]), by_attribute).1.map(drop).expect_err(wrong);
        assert_eq!(refused.reason, "subject-attribute-missing");
    }
}
