//! What scripts can make of an answer, and what not.

use super::*;
use crate::application::release::ReleasePolicy;
use crate::keys::{CertifiedKey, Digest, KeyKind, PrivateKey, SignatureScheme};
use crate::profile::{Direction, MappingLibrary};
use crate::saml::idp::{AssertionConsumerService, NameIdFormat, SpParts, SpTrust};
use crate::saml::names;
use serde_json::json;

fn application(change: impl FnOnce(&mut SamlSpSettings)) -> SamlApplication {
    let acs = AssertionConsumerService::new("https://app.example/acs", None, None).expect("an address");
    let trust = SpTrust::new(SpParts { entity_id: "urn:app".to_owned(), acs: vec![acs], ..SpParts::default() }).expect("an application");
    let mut settings = SamlSpSettings::new(trust);
    change(&mut settings);
    let mapping = MappingLibrary::built_in().table("saml", Direction::FromProfile).expect("a table");
    SamlApplication { sp: Arc::new(SamlSp::new(settings).expect("valid")), mapping, release: ReleasePolicy::default(), valid_until: None }
}

fn certificate(kind: KeyKind) -> (String, String) {
    let key = CertifiedKey::self_signed(PrivateKey::generate(kind).expect("a key"), "app").expect("a certificate");
    let text = |pem: Vec<u8>| String::from_utf8(pem).expect("text");
    let public = key.certificate().public_key().expect("a key").public_key_to_pem().expect("pem");
    (text(key.certificate().to_pem().expect("pem")), text(public))
}

fn set(saml: &SamlApplication, wishes: Value) -> Result<Arc<SamlSp>> {
    Wishes(wishes.as_object()).sp(saml)
}

/// The setting that is refused.
fn refused(saml: &SamlApplication, wishes: Value) -> String {
    let Err(error) = set(saml, wishes.clone()) else { unreachable!("{wishes} is not refused") };
    assert_eq!(error.kind, ErrorKind::ScriptFailed);
    assert!(!error.detail.contains("samlConfiguration"), "the application is not told what scripts do");
    let why = error.source.expect("a reason").to_string();
    why.trim_start_matches("samlConfiguration.").split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn every_setting_takes_effect() {
    let saml = application(|_| {});
    let (certificate, public) = certificate(KeyKind::Rsa);
    let sp = set(
        &saml,
        json!({
            "issuer": "urn:us", "audience": "urn:them", "recipient": "https://app.example/r", "destination": "https://app.example/d",
            "signatureAlgorithm": "rsa-sha512", "digestAlgorithm": "sha384", "signResponse": true, "lifetimeInSeconds": 60,
            "nameIdentifierFormat": names::NAMEID_EMAIL, "nameIdentifierProbes": ["mail"], "authnContextClassRef": "urn:class",
            "typedAttributes": false, "includeAttributeNameFormat": false, "encryptionCert": certificate, "encryptionPublicKey": public,
            "encryptionAlgorithm": "http://www.w3.org/2009/xmlenc11#aes128-gcm", "mapIdentities": false, "relayState": null,
        }),
    )
    .expect("all good");
    let response = sp.response();
    assert_eq!((response.issuer.as_deref(), response.audience.as_deref()), (Some("urn:us"), Some("urn:them")));
    assert_eq!(response.recipient.as_deref(), Some("https://app.example/r"));
    assert_eq!(response.destination.as_deref(), Some("https://app.example/d"));
    assert_eq!((response.signature, response.digest), (Some(SignatureScheme::RsaPkcs1(Digest::Sha512)), Some(Digest::Sha384)));
    assert!(response.sign_assertion && response.sign_response);
    assert_eq!((response.lifetime_seconds, response.name_id_format), (60, NameIdFormat::EmailAddress));
    assert_eq!(
        (response.name_id_probes.as_slice(), response.authn_context_class_ref.as_str()),
        (["mail".to_owned()].as_slice(), "urn:class")
    );
    assert_eq!((response.attributes.types, response.attributes.name_formats), (ValueTypes::AnyType, NameFormats::Omitted));
    assert_eq!((response.encrypt, response.cipher), (EncryptedParts::Assertion, Some(ContentCipher::Aes128Gcm)));
    assert_eq!(sp.trust().encryption_keys.len(), 1);
    assert_eq!(sp.trust().acs(), saml.sp.trust().acs(), "and it goes where it goes");
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    let saml = application(|_| {});
    let ec = certificate(KeyKind::EcP256).0;
    let (rsa, other) = (certificate(KeyKind::Rsa).0, certificate(KeyKind::Rsa).1);
    for (wishes, setting) in [
        (json!({"key": "k"}), "key"),
        (json!({"cert": "c"}), "cert"),
        (json!({"signingCert": "c"}), "signingCert"),
        (json!({"mapIdentities": true}), "mapIdentities"),
        (json!({"logout": {}}), "logout"),
        (json!({"colour": "red"}), "colour"),
        (json!({"audience": 7}), "audience"),
        (json!({"audience": "x".repeat(2049)}), "audience"),
        (json!({"audience": " x"}), "settings"),
        (json!({"recipient": "nowhere"}), "settings"),
        (json!({"lifetimeInSeconds": 90_000}), "settings"),
        (json!({"lifetimeInSeconds": -1}), "lifetimeInSeconds"),
        (json!({"signatureAlgorithm": "rsa-md5"}), "signatureAlgorithm"),
        (json!({"digestAlgorithm": "md5"}), "digestAlgorithm"),
        (json!({"nameIdentifierFormat": "urn:x"}), "nameIdentifierFormat"),
        (json!({"nameIdentifierProbes": []}), "nameIdentifierProbes"),
        (json!({"nameIdentifierProbes": "mail"}), "nameIdentifierProbes"),
        (json!({"typedAttributes": "yes"}), "typedAttributes"),
        (json!({"encryptionCert": "c"}), "encryptionCert"),
        (json!({"encryptionCert": ec}), "encryptionCert"),
        (json!({"encryptionPublicKey": other}), "encryptionPublicKey"),
        (json!({"encryptionCert": rsa, "encryptionPublicKey": other}), "encryptionPublicKey"),
        (json!({"encryptionAlgorithm": "des"}), "encryptionAlgorithm"),
    ] {
        assert_eq!(refused(&saml, wishes.clone()), setting, "{wishes}");
    }
}

#[test]
fn nothing_becomes_weaker_than_it_is_registered() {
    let strict = application(|settings| settings.response.sign_response = true);
    assert_eq!(refused(&strict, json!({"signResponse": false})), "signResponse");
    assert_eq!(refused(&strict, json!({"signatureAlgorithm": "rsa-sha1"})), "signatureAlgorithm");
    assert_eq!(refused(&strict, json!({"digestAlgorithm": "sha1"})), "signatureAlgorithm");
    assert_eq!(refused(&strict, json!({"encryptionAlgorithm": "http://www.w3.org/2001/04/xmlenc#aes256-cbc"})), "encryptionAlgorithm");
    let weak = application(|settings| {
        settings.response.signature = Some(SignatureScheme::RsaPkcs1(Digest::Sha1));
        settings.response.cipher = Some(ContentCipher::Aes128Cbc);
    });
    for wishes in [json!({"digestAlgorithm": "sha1"}), json!({"encryptionAlgorithm": "aes256-cbc"}), json!({"signResponse": false})] {
        assert!(set(&weak, wishes.clone()).is_ok(), "{wishes}");
    }
}

#[test]
fn the_relay_state_of_a_request_goes_back_as_it_came() {
    let saml = application(|settings| settings.allow_unsolicited = true);
    let reply =
        |state: Option<&str>| SamlReply { to: SamlReplyTo::unsolicited(saml.sp.trust(), true, state).expect("allowed"), mirror: None };
    let wish = json!({"relayState": "/start"});
    let to = Wishes(wish.as_object()).reply_to(&reply(Some("/other"))).expect("nobody asked");
    assert_eq!(to.relay_state(), Some("/start"));
    let asked = |state: Value| {
        let asked = json!({"name_id_format": null, "encrypted": false, "not_on_or_after": null});
        let kept = json!({"entity_id": "urn:app", "acs_url": "https://app.example/acs", "in_response_to": "_1", "relay_state": state, "asked": asked});
        SamlReply { to: serde_json::from_value(kept).expect("a right to answer"), mirror: None }
    };
    assert!(Wishes(wish.as_object()).reply_to(&asked("theirs".into())).is_err(), "it came with the request");
    let to = Wishes(wish.as_object()).reply_to(&asked(Value::Null)).expect("none came");
    assert_eq!(to.relay_state(), Some("/start"));
    let long = json!({"relayState": "x".repeat(1025)});
    assert!(Wishes(long.as_object()).reply_to(&reply(None)).is_err());
    assert_eq!(Wishes(None).reply_to(&reply(Some("/x"))).expect("unchanged").relay_state(), Some("/x"));
}

#[test]
fn mappings_take_the_place_of_the_table_and_attributes_come_on_top() {
    let saml = application(|_| {});
    let profile =
        json!({"email": "j@x.example", "upn": "j@x", "custom": {"team": "blue"}, "user_metadata": {"food": "rice"}, "groups": ["a", "b"]});
    let profile = Profile::from_map(profile.as_object().cloned().expect("an object"));
    let wishes = json!({
        "mappings": {"mail": "email", "food": "user_metadata.food", "team": "team", "gone": "user_metadata.none", "member": "groups"},
        "attributes": {"mail": null, "tier": ["gold", 1]}, "createUpnClaim": true,
    });
    let wishes = Wishes(wishes.as_object());
    let mapped = wishes.mapped(&profile).expect("good").expect("mappings");
    let released = wishes.released(mapped, &saml.mapping, &profile).expect("good");
    let shown: Vec<_> = released.into_iter().map(|attribute| (attribute.name, attribute.value)).collect();
    let expected = [
        ("food", json!("rice")),
        ("team", json!("blue")),
        ("member", json!(["a", "b"])),
        (UPN, json!("j@x")),
        ("tier", json!(["gold", 1])),
    ];
    assert_eq!(shown, expected.map(|(name, value)| (name.to_owned(), value)));
    for wrong in [json!({"mappings": {"a": 1}}), json!({"mappings": "email"})] {
        assert!(Wishes(wrong.as_object()).mapped(&profile).is_err(), "{wrong}");
    }
    for wrong in [json!({"attributes": {"": 1}}), json!({"passthroughClaimsWithNoMapping": true})] {
        assert!(Wishes(wrong.as_object()).released(Vec::new(), &saml.mapping, &profile).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_passed_on_unnamed_can_be_left_out_or_renamed() {
    let saml = application(|_| {});
    let profile = Profile::from_map(Map::new());
    let names_after = |wishes: Value, names: &[&str]| -> Vec<String> {
        let given = names.iter().map(|name| attribute(name, json!("x"))).collect();
        let released = Wishes(wishes.as_object()).released(given, &saml.mapping, &profile).expect("good");
        released.into_iter().map(|attribute| attribute.name).collect()
    };
    let given = ["urn:oid:2.5.4.4", "http://schemas.auth0.com/team"];
    assert_eq!(names_after(json!({"passthroughClaimsWithNoMapping": false}), &given), ["urn:oid:2.5.4.4"]);
    assert_eq!(names_after(json!({"passthroughClaimsWithNoMapping": true}), &given), given);
    assert_eq!(names_after(json!({"mapUnknownClaimsAsIs": true}), &given), ["urn:oid:2.5.4.4", "team"]);
    assert_eq!(names_after(json!({"mapUnknownClaimsAsIs": false}), &["team"]), ["http://schemas.auth0.com/team"]);
    assert_eq!(names_after(json!({"createUpnClaim": false}), &[UPN, given[0]]), [given[0]]);
}
