//! What `[application.saml]` takes and refuses, through the whole file.

use crate::application::Application;
use crate::config::{Findings, check, load, render_human};
use crate::connection::metadata::Members;
use crate::keys::{CertifiedKey, Digest, KeyKind, PrivateKey, SignatureScheme};
use crate::saml::binding::ResponseBinding;
use crate::saml::encryption::{ContentCipher, KeyTransport};
use crate::saml::idp::{AssertionConsumerService, EncryptedParts, Identifier, NameFormats, NameIdFormat, ValueTypes};
use crate::saml::{Binding, names};
use std::fs;
use tempfile::TempDir;

const HEAD: &str = "issuer = \"https://login.example.org\"\n[[application]]\nclient_id = \"wiki\"\n";
const LITERAL: &str = "entity_id = \"https://wiki.example\"\nacs_urls = [\"https://wiki.example/acs\", \"https://wiki.example/acs2\"]\n";

/// A directory with certificates (`sp.pem`, `ec.pem`), metadata and a mapping table of ours.
fn place() -> TempDir {
    let place = TempDir::new().expect("a directory");
    let pem = |kind| {
        let key = CertifiedKey::self_signed(PrivateKey::generate(kind).expect("a key"), "sp").expect("a certificate");
        String::from_utf8(key.certificate().to_pem().expect("pem")).expect("text")
    };
    let rsa = pem(KeyKind::Rsa);
    let base64: String = rsa.lines().filter(|line| !line.starts_with("-----")).collect();
    fs::write(place.path().join("sp.pem"), rsa).expect("written");
    fs::write(place.path().join("ec.pem"), pem(KeyKind::EcP256)).expect("written");
    fs::write(place.path().join("sp.xml"), metadata(&base64)).expect("written");
    fs::create_dir(place.path().join("mappings")).expect("a directory");
    let table = "direction = \"from_profile\"\n[[row]]\nrelease = \"mail\"\nfrom = [\"email\"]\n";
    fs::write(place.path().join("mappings/own.toml"), table).expect("written");
    place
}

fn metadata(certificate: &str) -> String {
    let key = format!(
        "<ds:KeyInfo xmlns:ds=\"{}\"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
        names::DS
    );
    format!(
        "<md:EntityDescriptor xmlns:md=\"{}\" entityID=\"https://wiki.example/sp\"><md:SPSSODescriptor WantAssertionsSigned=\"true\" protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:KeyDescriptor>{key}</md:KeyDescriptor><md:SingleLogoutService Binding=\"{}\" Location=\"https://wiki.example/slo\"/><md:NameIDFormat>{}</md:NameIDFormat><md:NameIDFormat>{}</md:NameIDFormat><md:AssertionConsumerService Binding=\"{}\" Location=\"https://wiki.example/acs\" index=\"1\"/></md:SPSSODescriptor></md:EntityDescriptor>",
        names::MD,
        names::BINDING_REDIRECT,
        names::NAMEID_EMAIL,
        names::NAMEID_TRANSIENT,
        names::BINDING_POST,
    )
}

fn written(place: &TempDir, text: &str) -> std::path::PathBuf {
    let path = place.path().join("isthmus.toml");
    fs::write(&path, text).expect("written");
    path
}

fn found(lines: &str) -> Findings {
    let place = place();
    check(&written(&place, &format!("{HEAD}[application.saml]\n{lines}\n")))
}

/// The places of problems below `application[0].saml`, and whether each has a line.
fn problems(lines: &str) -> Vec<String> {
    let findings = found(lines);
    assert!(findings.problems.iter().all(|problem| problem.line > 0), "{}", render_human(&findings));
    findings.problems.into_iter().map(|problem| problem.path.trim_start_matches("application[0].saml.").to_owned()).collect()
}

fn warnings(lines: &str) -> Vec<String> {
    let findings = found(lines);
    assert!(findings.problems.is_empty(), "{}", render_human(&findings));
    findings.warnings.into_iter().map(|problem| problem.path.trim_start_matches("application[0].saml.").to_owned()).collect()
}

fn application(text: &str) -> Application {
    let place = place();
    let config = load(&written(&place, text)).unwrap_or_else(|findings| unreachable!("{}", render_human(&findings)));
    config.applications.into_iter().next().expect("an application")
}

fn read(lines: &str) -> Application {
    application(&format!("{HEAD}[application.saml]\n{lines}\n"))
}

#[test]
fn metadata_alone_are_enough_and_the_rest_is_safe() {
    let application = read("metadata_file = \"sp.xml\"");
    let saml = application.saml.expect("a SAML application");
    assert!(application.oidc.is_none());
    assert_eq!((saml.sp.trust().entity_id(), saml.mapping.name()), ("https://wiki.example/sp", "saml"));
    assert!(saml.sp.trust().keys().is_some() && saml.sp.trust().encryption_keys.len() == 1);
    assert_eq!(saml.sp.logout_service().map(|service| service.binding), Some(Binding::Redirect), "the only one it has");
    let response = saml.sp.response();
    assert!(response.sign_assertion && !response.sign_response && !saml.sp.allow_unsolicited());
    assert_eq!((response.lifetime_seconds, response.encrypt), (300, EncryptedParts::Nothing));
    assert_eq!(response.name_id_format, NameIdFormat::Transient, "an address is not given because metadata wish for it");
}

#[test]
fn every_setting_is_read() {
    let lines = format!(
        "{LITERAL}certificates = \"sp.pem\"\nencryption_certificates = [\"sp.pem\"]\nslo_url = \"https://wiki.example/slo\"\n\
         slo_response_url = \"https://wiki.example/slo/answer\"\nsign_assertion = true\nsign_response = true\n\
         signature_algorithm = \"rsa-sha512\"\ndigest_algorithm = \"sha384\"\nencrypt = \"both\"\nencryption_algorithm = \"aes128-gcm\"\n\
         key_transport = \"rsa-oaep-mgf1p\"\nissuer = \"urn:us\"\naudience = \"urn:them\"\nrecipient = \"https://wiki.example/r\"\n\
         destination = \"https://wiki.example/d\"\nlifetime = 120\nbackdate = 5\nname_id_format = \"email\"\n\
         name_id_formats = [\"email\", \"{}\"]\nname_id_probes = [\"mail\"]\nauthn_context_class_ref = \"urn:class\"\n\
         typed_attributes = false\nattribute_name_format = \"none\"\nrequire_signed_requests = true\nallow_unsolicited = true\n\
         logout_binding = \"redirect\"\nclock_skew = 7\nmessage_max_age = 99\nmapping = \"own\"\n\
         release = \"requested\"\nrequested_attributes = [\"mail\"]\nentity_categories = [\"urn:category\"]\n\
         identifiers = [\"pairwise-id\", \"eduPersonTargetedID\"]\nscope = \"wiki.example\"\ndiscovery_urls = [\"https://wiki.example/picked\"]",
        names::NAMEID_TRANSIENT
    );
    let saml = read(&lines).saml.expect("a SAML application");
    let (sp, response) = (&saml.sp, saml.sp.response());
    assert!(response.sign_assertion && response.sign_response && sp.allow_unsolicited());
    assert_eq!(response.signature, Some(SignatureScheme::RsaPkcs1(Digest::Sha512)));
    assert_eq!((response.digest, response.encrypt), (Some(Digest::Sha384), EncryptedParts::Both));
    assert_eq!((response.cipher, response.transport), (Some(ContentCipher::Aes128Gcm), Some(KeyTransport::OAEP_MGF1P)));
    assert_eq!((response.issuer.as_deref(), response.audience.as_deref()), (Some("urn:us"), Some("urn:them")));
    assert_eq!(response.recipient.as_deref(), Some("https://wiki.example/r"));
    assert_eq!(response.destination.as_deref(), Some("https://wiki.example/d"));
    assert_eq!((response.lifetime_seconds, response.backdate_seconds), (120, 5));
    assert_eq!(response.name_id_format, NameIdFormat::EmailAddress);
    assert_eq!(response.name_id_probes, ["mail"]);
    assert_eq!(response.authn_context_class_ref, "urn:class");
    assert_eq!((response.attributes.types, response.attributes.name_formats), (ValueTypes::AnyType, NameFormats::Omitted));
    assert_eq!(sp.name_id_formats().len(), 2);
    assert_eq!((sp.mirror(), sp.discovery_urls()[0].as_str()), (false, "https://wiki.example/picked"));
    assert!(read(&format!("{LITERAL}mirror = true")).saml.is_some_and(|saml| saml.sp.mirror()));
    let terms = sp.request_terms("https://login.example.org/saml/sso", &[], crate::clock::Timestamp::from_seconds(0));
    assert!(terms.require_signed);
    assert_eq!((terms.policy.skew_seconds, terms.policy.max_age_seconds), (7, 99));
    let logout = sp.logout_service().expect("an endpoint");
    assert_eq!((logout.binding, logout.for_responses().as_str()), (Binding::Redirect, "https://wiki.example/slo/answer"));
    assert_eq!(sp.trust().acs().iter().map(|acs| acs.index).collect::<Vec<_>>(), [Some(0), Some(1)]);
    assert_eq!(sp.trust().default_acs().map(|acs| acs.location()), Some("https://wiki.example/acs"));
    assert_eq!(saml.mapping.name(), "own");
    assert!(saml.release.only_requested && saml.release.categories == ["urn:category"]);
    assert_eq!(sp.trust().attribute_consuming_services[0].attributes[0].name, "mail");
    assert_eq!(response.identifiers.kinds, [Identifier::PairwiseId, Identifier::TargetedId]);
    assert_eq!(response.identifiers.scope.as_deref(), Some("wiki.example"));
}

#[test]
fn the_outer_table_is_for_claims_if_there_are_claims() {
    let oidc = "[application.oidc]\nredirect_uris = [\"https://wiki.example/cb\"]\n";
    let tables = |lines: &str| {
        let application = application(&format!("{HEAD}{lines}"));
        (application.mapping.name().to_owned(), application.saml.expect("a SAML application").mapping.name().to_owned())
    };
    let saml = format!("[application.saml]\n{LITERAL}");
    let both = |claims: &str, attributes: &str| (claims.to_owned(), attributes.to_owned());
    assert_eq!(tables(&saml), both("saml", "saml"));
    assert_eq!(tables(&format!("mapping = \"own\"\n{saml}")), both("own", "own"));
    assert_eq!(tables(&format!("{oidc}{saml}")), both("oidc", "saml"));
    assert_eq!(tables(&format!("mapping = \"own\"\n{oidc}{saml}")), both("own", "saml"));
    assert_eq!(tables(&format!("{oidc}{saml}mapping = \"own\"\n")), both("oidc", "own"));
}

#[test]
fn faults_are_told_at_their_place() {
    let broken = |line: &str, places: &[&str]| assert_eq!(problems(&format!("{LITERAL}{line}")), places, "{line}");
    broken("sign_assertion = false", &["sign_assertion"]);
    broken("signature_algorithm = \"hmac-sha256\"", &["signature_algorithm"]);
    broken("digest_algorithm = \"md5\"", &["digest_algorithm"]);
    broken("encrypt = \"assertion\"", &["encrypt"]);
    broken("encrypt = true", &["encrypt"]);
    broken("lifetime = 0", &["lifetime"]);
    broken("backdate = 601", &["backdate"]);
    broken("clock_skew = 601", &["clock_skew"]);
    broken("name_id_format = \"x509\"", &["name_id_format"]);
    broken("name_id_formats = [\"transient\"]", &["name_id_formats"]);
    broken("name_id_formats = [\"persistent\", \"kerberos\"]", &["name_id_formats[1]"]);
    broken("name_id_probes = [\"\"]", &["name_id_probes"]);
    broken("recipient = \"wiki\"", &["recipient"]);
    broken("issuer = \" x\"", &["issuer"]);
    broken("require_signed_requests = true", &["require_signed_requests"]);
    broken("authn_requests_signed = true", &["entity_id"]);
    broken("slo_url = \"http://wiki.example/slo\"", &["slo_url"]);
    broken("slo_response_url = \"https://wiki.example/slo\"", &["slo_response_url"]);
    broken("certificates = [\"sp.pem\", \"nowhere.pem\"]", &["certificates[1]"]);
    broken("encryption_certificates = [\"ec.pem\"]", &["encryption_certificates"]);
    broken("mapping = \"nowhere\"", &["mapping"]);
    broken("release = \"requested\"", &["release"]);
    broken("release = \"some\"", &["release"]);
    broken("identifiers = [\"pairwise-id\"]", &["identifiers[0]"]);
    broken("identifiers = [\"eduPersonTargetedID\", \"uid\", \"eduPersonTargetedID\"]", &["identifiers[1]", "identifiers[2]"]);
    broken("scope = \"wiki example\"", &["scope"]);
    broken("sing_response = true", &["sing_response"]);
    broken("discovery_urls = [\"http://wiki.example/picked\"]", &["discovery_urls[0]"]);
    broken("metadata_refresh = 60", &["metadata_refresh"]);
    broken("metadata_certificates = [\"sp.pem\"]", &["metadata_certificates"]);
    assert_eq!(problems(""), ["entity_id", "acs_urls"]);
    let addresses = "entity_id = \"x\"\nacs_urls = [\"http://wiki.example/acs\", \"https://wiki.example/\", \"javascript:0\"]";
    assert_eq!(problems(addresses), ["acs_urls[0]", "acs_urls[2]"]);
    let several = format!("{LITERAL}lifetime = 90000\nencrypt = \"both\"\naudience = \"\"");
    assert_eq!(problems(&several), ["lifetime", "encrypt", "audience"], "all at once");
}

#[test]
fn metadata_are_read_strictly() {
    let broken = |lines: &str, places: &[&str]| assert_eq!(problems(lines), places, "{lines}");
    broken("metadata_file = \"nowhere.xml\"", &["metadata_file"]);
    broken("metadata_file = \"sp.pem\"", &["metadata_file"]);
    broken("metadata_file = \"sp.xml\"\nentity_id = \"https://other.example\"", &["metadata_file"]);
    broken("metadata = \"<x/>\"\nmetadata_file = \"sp.xml\"", &["metadata", "metadata_file"]);
    broken("metadata_file = \"sp.xml\"\nacs_urls = [\"https://wiki.example/acs\"]", &["acs_urls"]);
    broken("metadata_file = \"sp.xml\"\nmetadata_certificates = [\"sp.pem\"]", &["metadata_file"]);
    broken("metadata_file = \"sp.xml\"\nmetadata_certificates = [\"nowhere.pem\"]", &["metadata_certificates[0]"]);
    broken("metadata_file = \"sp.xml\"\nsign_assertion = false\nsign_response = true", &["sign_assertion"]);
}

#[test]
fn metadata_by_url_are_a_source_and_contradict_what_is_written() {
    let place = place();
    let text = |lines: &str| format!("{HEAD}[application.saml]\nmetadata_url = \"https://wiki.example/metadata?token=x\"\n{lines}");
    let read = |lines: &str| load(&written(&place, &text(lines))).unwrap_or_else(|findings| unreachable!("{}", render_human(&findings)));
    let config =
        read("metadata_refresh = 60\nentity_id = \"https://wiki.example/sp\"\nencrypt = \"assertion\"\nrequire_signed_requests = true\n");
    let application = &config.applications[0];
    let by_metadata = application.by_metadata.as_ref().expect("living");
    assert!(application.saml.is_none() && !by_metadata.template.believes_categories, "nobody has signed what it says of itself");
    assert_eq!(
        (by_metadata.source.as_str(), by_metadata.entity_id.as_deref()),
        ("https://wiki.example/metadata", Some("https://wiki.example/sp"))
    );
    let living = &config.application_metadata["wiki"];
    assert_eq!((living.members, living.source.cadence.at_most_seconds), (Members::One, 60));
    assert!(
        living.source.cache.as_ref().is_some_and(|cache| cache.ends_with("data/state/applications.d/wiki")),
        "{:?}",
        living.source.cache
    );
    let signed = read("metadata_certificates = [\"sp.pem\"]\n");
    assert!(signed.applications[0].by_metadata.as_ref().expect("living").template.believes_categories);

    let broken = |lines: &str, places: &[&str]| {
        let findings = check(&written(&place, &text(lines)));
        let found: Vec<_> = findings.problems.iter().map(|problem| problem.path.trim_start_matches("application[0].saml.")).collect();
        assert_eq!(found, places, "{lines}: {}", render_human(&findings));
    };
    broken("metadata_file = \"sp.xml\"", &["metadata_file"]);
    broken("acs_urls = [\"https://wiki.example/acs\"]\ncertificates = [\"sp.pem\"]", &["acs_urls", "certificates"]);
    broken("acs = [{ url = \"https://wiki.example/acs\" }]", &["acs"]);
    broken("metadata_certificates = []", &["metadata_certificates"]);
    broken("metadata_certificates = [\"nowhere.pem\"]", &["metadata_certificates[0]"]);
    broken("metadata_refresh = 0", &["metadata_refresh"]);
    broken("lifetime = 0\nsign_assertion = false", &["lifetime", "sign_assertion"]);
    broken("federation_url = \"https://f.example\"", &["federation_url"]);
    let findings = check(&written(&place, &text("").replace("https://wiki.example/metadata", "http://wiki.example/metadata")));
    assert_eq!(findings.problems.len(), 1, "{}", render_human(&findings));
}

#[test]
fn a_check_says_where_metadata_come_from_and_that_nobody_signs_them() {
    let url = "metadata_url = \"https://wiki.example/metadata\"\n";
    let findings = found(url);
    let said = |list: &[crate::config::Problem]| list.iter().map(|one| (one.path.clone(), one.message.clone())).collect::<Vec<_>>();
    let (warnings, notes) = (said(&findings.warnings), said(&findings.notes));
    assert!(matches!(&warnings[..], [(path, text)] if path.ends_with("metadata_url") && text.starts_with("weakened: ")), "{warnings:?}");
    assert!(
        matches!(&notes[..], [(_, text)] if text.contains("the application wiki is known by metadata from https://wiki.example/metadata"))
    );
    assert!(render_human(&findings).contains("note: the application wiki"));
    let signed = found(&format!("{url}metadata_certificates = [\"sp.pem\"]\n"));
    assert!(signed.warnings.is_empty() && signed.notes[0].message.ends_with("signed by `metadata_certificates`"), "{signed:?}");
}

#[test]
fn addresses_have_bindings_of_their_own() {
    let signed = "entity_id = \"https://wiki.example\"\ncertificates = [\"sp.pem\"]\n";
    let list = |tables: &str| format!("{signed}acs = [{tables}]");
    let acs = |tables: &str| {
        let saml = read(&list(tables)).saml.expect("a SAML application");
        let shown = |acs: &AssertionConsumerService| (acs.location().to_owned(), acs.binding, acs.index);
        let default = saml.sp.trust().default_acs().map(shown).expect("a default");
        (saml.sp.trust().acs().iter().map(shown).collect::<Vec<_>>(), default)
    };
    let (posted, fetched) = ("https://wiki.example/acs".to_owned(), "https://wiki.example/artifact".to_owned());
    let post = (posted, ResponseBinding::Post, Some(0));
    let (all, default) = acs("{ url = \"https://wiki.example/acs\" }, { url = \"https://wiki.example/artifact\", binding = \"artifact\" }");
    assert_eq!((all, default), (vec![post.clone(), (fetched.clone(), ResponseBinding::Artifact, Some(1))], post));
    let (all, default) = acs(
        "{ url = \"https://wiki.example/acs\" }, { url = \"https://wiki.example/artifact\", binding = \"artifact\", index = 7, default = true }",
    );
    assert_eq!((all.len(), default), (2, (fetched, ResponseBinding::Artifact, Some(7))));
    let broken = |lines: &str, places: &[&str]| assert_eq!(problems(lines), places, "{lines}");
    broken(&list(""), &["acs"]);
    broken(&list("{ binding = \"artifact\" }, { url = \"http://wiki.example/acs\" }"), &["acs[0].url", "acs[1].url"]);
    broken(&list("{ url = \"https://wiki.example/acs\", binding = \"soap\", sort = 1 }"), &["acs[0].binding", "acs[0].sort"]);
    let same = "{ url = \"https://wiki.example/a\", default = true }, { url = \"https://wiki.example/b\", default = true }";
    broken(&list(same), &["acs"]);
    let twice = "{ url = \"https://wiki.example/a\", index = 1 }, { url = \"https://wiki.example/b\" }";
    broken(&list(twice), &["entity_id"]);
    broken(&format!("{LITERAL}acs = [{{ url = \"https://wiki.example/acs\" }}]"), &["acs_urls"]);
    broken("entity_id = \"x\"\nacs = [{ url = \"https://wiki.example/acs\", binding = \"artifact\" }]", &["entity_id"]);
}

#[test]
fn every_weakness_is_a_warning() {
    let signed = format!("{LITERAL}certificates = [\"sp.pem\"]\nencryption_certificates = [\"sp.pem\"]\n");
    let weak = |line: &str, places: &[&str]| assert_eq!(warnings(&format!("{signed}{line}")), places, "{line}");
    weak("", &[]);
    weak("signature_algorithm = \"rsa-sha1\"", &["signature_algorithm"]);
    weak("digest_algorithm = \"sha1\"", &["digest_algorithm"]);
    weak("encrypt = \"assertion\"\nencryption_algorithm = \"aes256-cbc\"", &["encryption_algorithm"]);
    weak("sign_assertion = false\nsign_response = true", &["sign_assertion"]);
    weak("allow_sha1 = true\nallow_inclusive_c14n = true\nallow_cbc = true", &["allow_sha1", "allow_inclusive_c14n", "allow_cbc"]);
    weak("allow_unsolicited = true", &["allow_unsolicited"]);
    weak("require_signed_requests = false", &["require_signed_requests"]);
    weak("require_signed_requests = true", &[]);
    weak("signature_algorithm = \"ecdsa-sha1\"", &["signature_algorithm"]);
    weak("signature_algorithm = \"ecdsa-sha512\"\ndigest_algorithm = \"sha384\"\nencryption_algorithm = \"aes128-gcm\"", &[]);
    assert_eq!(warnings("metadata_file = \"sp.xml\"\nname_id_format = \"persistent\""), ["name_id_format"], "the metadata do not list it");
    assert_eq!(warnings("metadata_file = \"sp.xml\""), [""; 0]);
}

#[test]
fn two_applications_with_one_entity_id_are_pointed_out() {
    let place = place();
    let text = format!("{HEAD}[application.saml]\n{LITERAL}[[application]]\nclient_id = \"other\"\n[application.saml]\n{LITERAL}");
    let findings = check(&written(&place, &text));
    assert_eq!(findings.problems, [], "each has an address of its own");
    assert_eq!(findings.warnings.iter().map(|warning| warning.path.as_str()).collect::<Vec<_>>(), ["application[1].saml"]);
}

#[test]
fn an_application_without_oidc_has_no_token_for_the_api() {
    let place = place();
    let text = format!("{HEAD}[application.saml]\n{LITERAL}[application.api]\nscopes = [\"read:users\"]\n");
    let findings = check(&written(&place, &text));
    assert_eq!(findings.problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["application[0].api.scopes"]);
}
