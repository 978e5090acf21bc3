//! Every switch that weakens something is listed by `isthmus check`, and so is every certificate that ends soon.

use super::tests::{GOOD, findings, written};
use super::{check, render_human};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Builder};
use std::fs;

/// A certificate that ends in so many days.
fn ending(key: &PKey<Private>, days: u32) -> X509 {
    let mut builder = X509Builder::new().expect("a builder");
    builder.set_pubkey(key).expect("set");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a date")).expect("set");
    builder.set_not_after(&Asn1Time::days_from_now(days).expect("a date")).expect("set");
    builder.sign(key, MessageDigest::sha256()).expect("signed");
    builder.build()
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key")
}

#[test]
fn session_management_is_listed_as_the_weakening_that_it_is() {
    for (line, expected) in [("", 0), ("session_management = false\n", 0), ("session_management = true\n", 1)] {
        let found = findings(&format!("{line}{GOOD}"));
        assert!(found.problems.is_empty(), "{}", render_human(&found));
        let listed =
            found.warnings.iter().filter(|warning| warning.path == "session_management" && warning.message.starts_with("weakened"));
        assert_eq!(listed.count(), expected, "{line}");
    }
}

#[test]
fn several_providers_that_answer_to_one_address_are_listed_and_one_is_not() {
    let provider = |name: &str, enabled: bool, callback: &str| {
        format!(
            "\n[[connection]]\nname = \"{name}\"\nenabled = {enabled}\n[connection.oauth2]\nauthorization_endpoint = \"https://{name}.example/a\"\n\
             token_endpoint = \"https://{name}.example/t\"\nuserinfo_endpoint = \"https://{name}.example/u\"\nclient_id = \"x\"\nsubject = \"id\"\n{callback}\n"
        )
    };
    let (own, shared) = ("", "callback = \"shared\"");
    for (second, enabled, expected) in
        [(own, true, &[][..]), (shared, false, &[]), (shared, true, &["connection[1].oauth2.callback", "connection[2].oauth2.callback"])]
    {
        let found = findings(&format!("{GOOD}{}{}", provider("hub", true, shared), provider("lab", enabled, second)));
        assert!(found.problems.is_empty(), "{}", render_human(&found));
        let weak: Vec<_> = found.warnings.iter().filter(|warning| warning.message.starts_with("weakened")).collect();
        assert_eq!(weak.iter().map(|warning| warning.path.as_str()).collect::<Vec<_>>(), expected);
        assert!(weak.iter().all(|warning| warning.message.contains("hub and lab")));
    }
    let wrong = findings(&format!("{GOOD}{}", provider("hub", true, "callback = \"/login/callback\"")));
    assert_eq!(wrong.problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["connection[1].oauth2.callback"]);
}

#[test]
fn every_weakening_of_a_connection_is_listed_by_itself() {
    let metadata = "metadata_file = \"idp.xml\"\n";
    for (key, line) in [
        ("allow_sha1", "allow_sha1 = true"),
        ("allow_inclusive_c14n", "allow_inclusive_c14n = true"),
        ("allow_cbc", "allow_cbc = true"),
        ("signature_algorithm", "signature_algorithm = \"rsa-sha1\""),
        ("signature_algorithm", "signature_algorithm = \"ecdsa-sha1\""),
        ("digest_algorithm", "digest_algorithm = \"sha1\""),
    ] {
        let found = findings(&GOOD.replace(metadata, &format!("{metadata}{line}\n")));
        assert!(found.problems.is_empty(), "{line}: {}", render_human(&found));
        let warnings: Vec<_> = found.warnings.iter().map(|warning| (warning.path.as_str(), warning.message.contains("weakened"))).collect();
        assert_eq!(warnings, [(format!("connection[0].saml.{key}").as_str(), true)], "{line}");
        assert!(found.warnings[0].help.contains("remove it"), "{line}");
    }
    // What is strong is not listed.
    for line in [
        "allow_sha1 = false",
        "signature_algorithm = \"rsa-pss-sha256\"",
        "signature_algorithm = \"ecdsa-sha512\"",
        "digest_algorithm = \"sha384\"",
    ] {
        let found = findings(&GOOD.replace(metadata, &format!("{metadata}{line}\n")));
        assert!(found.problems.is_empty() && found.warnings.is_empty(), "{line}: {}", render_human(&found));
    }
    for (key, line) in [("signature_algorithm", "\"hmac-sha1\""), ("signature_algorithm", "\"eddsa\""), ("digest_algorithm", "\"md5\"")] {
        let found = findings(&GOOD.replace(metadata, &format!("{metadata}{key} = {line}\n")));
        assert!(found.problems.iter().any(|problem| problem.path == format!("connection[0].saml.{key}")), "{line}");
    }
    let one_engine = findings(&format!("{GOOD}[saml]\nsignature_check = \"strict\"\n"));
    assert!(one_engine.warnings.iter().any(|warning| warning.path == "saml.signature_check"), "{}", render_human(&one_engine));
}

#[test]
fn certificates_of_ours_that_end_within_thirty_days_are_listed() {
    let place = written(GOOD);
    fs::create_dir(place.path().join("certs")).expect("made");
    let key = rsa();
    for (name, days) in
        [("saml-signing.active", 29), ("saml-encryption.active", 31), ("saml-encryption.next", 3), ("saml-signing.previous", 1)]
    {
        fs::write(place.path().join(format!("certs/{name}.crt.pem")), ending(&key, days).to_pem().expect("pem")).expect("written");
    }
    let found = check(&place.path().join("isthmus.toml"));
    let mut told: Vec<&str> = found.warnings.iter().map(|warning| warning.message.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("saml-encryption.next") && told[1].contains("saml-signing.active"), "{told:?}");
    assert!(found.warnings.iter().any(|warning| warning.help.contains("keys rotate --purpose saml-signing,")), "{:?}", found.warnings);
    assert!(found.problems.is_empty());
}

#[test]
fn certificates_of_theirs_that_end_within_thirty_days_are_listed() {
    let base64 = |certificate: X509| {
        let pem = String::from_utf8(certificate.to_pem().expect("pem")).expect("text");
        pem.lines().filter(|line| !line.starts_with("--")).collect::<String>()
    };
    let key = rsa();
    let metadata = |signing: u32, encryption: u32| {
        let descriptor = |usage: &str, days: u32| {
            let certificate = base64(ending(&key, days));
            format!(
                "<md:KeyDescriptor use=\"{usage}\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
            )
        };
        format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" entityID=\"https://idp.example\">\
             <md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{}{}\
             <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.example/sso\"/></md:IDPSSODescriptor></md:EntityDescriptor>",
            descriptor("signing", signing),
            descriptor("encryption", encryption)
        )
    };
    for (signing, encryption, expected) in [(31, 31, vec![]), (29, 31, vec!["signing"]), (31, 29, vec!["encryption"])] {
        let place = written(GOOD);
        fs::write(place.path().join("idp.xml"), metadata(signing, encryption)).expect("written");
        let found = check(&place.path().join("isthmus.toml"));
        let told: Vec<&str> = found.warnings.iter().map(|warning| warning.message.as_str()).collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        assert!(expected.iter().all(|purpose| told[0].contains(&format!("a {purpose} certificate"))), "{told:?}");
    }
    // Written down literally, too.
    let pem = String::from_utf8(ending(&key, 10).to_pem().expect("pem")).expect("text");
    let literal = GOOD.replace(
        "metadata_file = \"idp.xml\"\n",
        &format!("entity_id = \"https://idp.example\"\nsso_url = \"https://idp.example/sso\"\ncertificates = [\"\"\"\n{pem}\"\"\"]\n"),
    );
    let found = findings(&literal);
    assert_eq!(found.warnings.len(), 1, "{}", render_human(&found));
    assert!(found.warnings[0].path.ends_with("certificates"), "{}", found.warnings[0].path);
}
