//! Responses of the shapes that products document, through the whole way to the profile; and one hostile change of each.
//!
//! The fixtures are written by hand after those shapes; times, addresses, signatures and encryption are put in here.

use super::*;
use serde_json::{Value, json};

struct Vendor {
    name: &'static str,
    template: &'static str,
    issuer: &'static str,
    mapping: &'static str,
    signed: Signed,
    encrypted: bool,
    subject: &'static str,
    profile: fn() -> Value,
    /// Before it is signed: by whoever has the identity provider's key but wants more, or answers something else.
    hostile: fn(String) -> String,
    refused: &'static str,
}

fn vendors() -> Vec<Vendor> {
    vec![
        Vendor {
            name: "Entra ID",
            template: include_str!("../../../../tests/fixtures/saml/vendors/entra.xml"),
            issuer: "https://sts.windows.net/3f6e7b1c-0c3e-4f0c-9d50-2f3c1b7a9e11/",
            mapping: "entra",
            signed: Signed::Assertion,
            encrypted: false,
            subject: "adele.vance@contoso.example",
            profile: || {
                json!({
                    "email": "adele.vance@contoso.example", "name": "Adele Vance", "given_name": "Adele", "family_name": "Vance",
                    "groups": ["11111111-2222-4333-8444-555555555555", "66666666-7777-4888-9999-000000000000"],
                })
            },
            // Another tenant of the same service.
            hostile: |xml| xml.replace(">https://sts.windows.net/3f6e7b1c", ">https://sts.windows.net/00000000"),
            refused: "wrong-issuer",
        },
        Vendor {
            name: "ADFS",
            template: include_str!("../../../../tests/fixtures/saml/vendors/adfs.xml"),
            issuer: "http://sts.fabrikam.example/adfs/services/trust",
            mapping: "adfs",
            signed: Signed::Assertion,
            encrypted: false,
            subject: "FABRIKAM\\bgreen",
            profile: || {
                json!({
                    "email": "Bob.Green@fabrikam.example", "given_name": "Bob", "family_name": "Green",
                    "groups": ["Domain Users", "Sales & Marketing"],
                })
            },
            // For another relying party whose name begins as ours does.
            hostile: |xml| xml.replace("/metadata</Audience>", "/metadata/</Audience>"),
            refused: "wrong-audience",
        },
        Vendor {
            name: "Okta",
            template: include_str!("../../../../tests/fixtures/saml/vendors/okta.xml"),
            issuer: "http://www.okta.com/exk1fcia6d6EMsf331d8",
            mapping: "okta",
            signed: Signed::Both,
            encrypted: false,
            subject: "carla@acme.example",
            profile: || {
                json!({
                    "email": "carla@acme.example", "given_name": "Carla", "family_name": "Ng", "groups": ["Everyone", "Engineering"],
                })
            },
            // A comment that cuts the NameID in two for some parsers.
            hostile: |xml| xml.replace(">carla@acme.example</saml2:NameID>", ">carla@acme.example<!---->.evil.example</saml2:NameID>"),
            refused: "comment-or-instruction",
        },
        Vendor {
            name: "Google Workspace",
            template: include_str!("../../../../tests/fixtures/saml/vendors/google.xml"),
            issuer: "https://accounts.google.com/o/saml2?idpid=C01abcd23",
            mapping: "google-workspace",
            signed: Signed::Response,
            encrypted: false,
            subject: "dana@acme.example",
            profile: || json!({ "email": "dana@acme.example", "given_name": "Dana", "family_name": "Ortiz", "groups": ["Team \u{1f33b}"] }),
            // The answer to somebody else's request.
            hostile: |xml| xml.replacen("InResponseTo=\"_0123", "InResponseTo=\"_9123", 1),
            refused: "wrong-in-response-to",
        },
        Vendor {
            name: "Keycloak",
            template: include_str!("../../../../tests/fixtures/saml/vendors/keycloak.xml"),
            issuer: "https://id.acme.example/realms/staff",
            mapping: "saml",
            signed: Signed::Both,
            encrypted: false,
            subject: "G-5b8f6b4e-0c1a-4d0b-8e4e-9b6d1f2a3c4d",
            profile: || {
                json!({
                    "email": "erin@acme.example", "given_name": "Erin", "family_name": "O'Hara",
                    "roles": ["offline_access", "manage-account"],
                })
            },
            // Valid for another address of ours only.
            hostile: |xml| {
                xml.replace(
                    "Recipient=\"https://login.example.org/connections/acme",
                    "Recipient=\"https://login.example.org/connections/evil",
                )
            },
            refused: "wrong-recipient",
        },
        Vendor {
            name: "Shibboleth",
            template: include_str!("../../../../tests/fixtures/saml/vendors/shibboleth.xml"),
            issuer: "https://idp.uni.example/idp/shibboleth",
            mapping: "shibboleth",
            signed: Signed::Response,
            encrypted: true,
            subject: "AAdzZWNyZXQxJ7kQv0m2b8nZ4cF1",
            profile: || json!({ "email": "frank@uni.example", "name": "Frank Müller" }),
            hostile: |xml| xml.replace("NotBefore=\"2026-11-21T02:37:00Z\"", "NotBefore=\"2026-11-21T02:50:00Z\""),
            refused: "not-yet-valid",
        },
        Vendor {
            name: "SimpleSAMLphp",
            template: include_str!("../../../../tests/fixtures/saml/vendors/simplesamlphp.xml"),
            issuer: "https://sso.uni.example/simplesaml/saml2/idp/metadata.php",
            mapping: "saml",
            signed: Signed::Both,
            encrypted: false,
            subject: "b6f0c1d2e3a4958677061524334251607182930a",
            profile: || json!({ "email": "gita@uni.example", "name": "Gita Rao" }),
            // A condition that we do not know might forbid anything.
            hostile: |xml| xml.replace("</saml:Conditions>", "<saml:Condition xmlns:e=\"urn:e\" xsi:type=\"e:Never\"/></saml:Conditions>"),
            refused: "unknown-condition",
        },
    ]
}

#[test]
fn responses_of_each_vendor_become_profiles() {
    for vendor in vendors() {
        let connection = connection(vendor.issuer, vendor.mapping, |_| ());
        let (_, pending) = asked(&connection, &UpstreamRequest::default());
        let answer = Answer { template: vendor.template, signed: vendor.signed, encrypted: vendor.encrypted };
        let authentication = complete(&connection, &pending, &answer.posted(&connection, &pending, |xml| xml));
        let authentication = authentication.unwrap_or_else(|refused| panic!("{}: {refused:?}", vendor.name));
        assert_eq!(authentication.identity.user_id, vendor.subject, "{}", vendor.name);
        let profile = profile(&connection, &authentication);
        let expected = (vendor.profile)();
        for (member, value) in expected.as_object().expect("an object") {
            assert_eq!(profile.get(member), Some(value), "{}: {member} of {:?}", vendor.name, profile.as_map());
        }
        assert!(authentication.upstream.session_index.is_some() && authentication.upstream.name_id.is_some(), "{}", vendor.name);
    }
}

#[test]
fn a_hostile_change_of_each_is_refused_for_what_it_is() {
    for vendor in vendors() {
        let connection = connection(vendor.issuer, vendor.mapping, |_| ());
        let (_, pending) = asked(&connection, &UpstreamRequest::default());
        let answer = Answer { template: vendor.template, signed: vendor.signed, encrypted: vendor.encrypted };
        let change = |xml: String| {
            let changed = (vendor.hostile)(xml.clone());
            assert_ne!(changed, xml, "{}: nothing was changed", vendor.name);
            changed
        };
        // A comment is put in afterwards, as whoever has only the message could: our own writer signs none.
        let posted = if vendor.refused == "comment-or-instruction" {
            STANDARD.encode(change(answer.xml(&connection, &pending, |xml| xml)))
        } else {
            answer.posted(&connection, &pending, change)
        };
        let refused = complete(&connection, &pending, &posted).map(drop).expect_err(vendor.name);
        assert_eq!(refused.reason, vendor.refused, "{}", vendor.name);
    }
}

#[test]
fn no_vendor_s_response_is_believed_without_its_signature_or_with_a_changed_value() {
    for vendor in vendors() {
        let connection = connection(vendor.issuer, vendor.mapping, |_| ());
        let (_, pending) = asked(&connection, &UpstreamRequest::default());
        let unsigned = Answer { template: vendor.template, signed: Signed::Nothing, encrypted: vendor.encrypted };
        let refused = complete(&connection, &pending, &unsigned.posted(&connection, &pending, |xml| xml)).map(drop);
        let expected = if vendor.encrypted { "encrypted-but-unsigned" } else { "unsigned" };
        assert_eq!(refused.expect_err(vendor.name).reason, expected, "{}", vendor.name);
        let answer = Answer { template: vendor.template, signed: vendor.signed, encrypted: false };
        let xml = answer.xml(&connection, &pending, |xml| xml);
        let changed = xml.replace(vendor.subject, "admin");
        assert_ne!(changed, xml, "{}", vendor.name);
        let refused = complete(&connection, &pending, &STANDARD.encode(changed)).map(drop);
        assert_eq!(refused.expect_err(vendor.name).reason, "digest-differs", "{}", vendor.name);
    }
}

#[test]
fn parity_the_authorities_behind_an_identity_provider_are_kept() {
    let vendor = vendors().pop().expect("the last one");
    let connection = connection(vendor.issuer, vendor.mapping, |_| ());
    let (_, pending) = asked(&connection, &UpstreamRequest::default());
    let answer = Answer { template: vendor.template, signed: vendor.signed, encrypted: false };
    let authentication = complete(&connection, &pending, &answer.posted(&connection, &pending, |xml| xml)).expect("accepted");
    let authorities = ["https://home.uni.example/idp", "https://hub.example/idp"];
    assert_eq!(authentication.upstream.authenticating_authorities, authorities);
    let facts: Vec<&str> = authentication.attributes.facts(crate::profile::Fact::AuthenticatingAuthority).collect();
    assert_eq!(facts, authorities);
}
