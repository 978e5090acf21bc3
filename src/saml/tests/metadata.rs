//! Partners' metadata with their oddities, and ours.

use super::support::*;
use crate::saml::metadata::{read_idp, write_sp};
use crate::saml::signature::sign;
use crate::saml::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn certificate(key: &TestKey) -> String {
    STANDARD.encode(key.certificate.to_der().expect("der"))
}

fn key_descriptor(usage: &str, key: &TestKey) -> String {
    let line_broken = certificate(key).as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n   ");
    format!(
        "<md:KeyDescriptor{usage}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{line_broken}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )
}

fn entity(entity_id: &str, keys: &str) -> String {
    format!(
        r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:shibmd="urn:mace:shibboleth:metadata:1.0" xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui" ID="_e" entityID="{entity_id}" validUntil="2027-01-01T00:00:00" cacheDuration="P1D">
<!-- made by hand --><?pi x?>
<md:Extensions><shibmd:Scope regexp="false"> example.edu </shibmd:Scope></md:Extensions>
<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol urn:oasis:names:tc:SAML:2.0:protocol" WantAuthnRequestsSigned="true" cacheDuration="PT1H">
<md:Extensions><shibmd:Scope regexp="true">^(.+\.)?example\.edu$</shibmd:Scope><mdui:UIInfo><mdui:DisplayName xml:lang="de">Beispiel</mdui:DisplayName><mdui:DisplayName xml:lang="en">Example &amp; Co</mdui:DisplayName></mdui:UIInfo></md:Extensions>
{keys}
<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.edu/slo" ResponseLocation="https://idp.example.edu/slo/done"/>
<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>
<md:SingleSignOnService Binding="urn:mace:shibboleth:1.0:profiles:AuthnRequest" Location="https://idp.example.edu/shib1"/>
<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.edu/sso/post"/>
<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location=" https://idp.example.edu/sso?idpid=C01 "/>
</md:IDPSSODescriptor></md:EntityDescriptor>"#
    )
}

fn read(xml: &str) -> Result<IdpMetadata, MetadataError> {
    read_idp(xml, MetadataOptions::default(), now())
}

#[test]
fn vendors_oddities_are_read() {
    let keys = [
        key_descriptor(" use=\"encryption\"", &OTHER_RSA),
        "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509SubjectName>CN=x</ds:X509SubjectName></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>".to_owned(),
        key_descriptor(" use=\"signing\"", &RSA),
        key_descriptor("", &EC),
    ]
    .concat();
    let read = read(&entity(IDP, &keys)).expect("read");
    assert_eq!(read.entity_id, IDP);
    assert_eq!(read.signing_certificates.len(), 2, "no use = both uses, encryption = no signing");
    assert_eq!(read.sso_endpoints.len(), 2);
    assert_eq!(read.sso_endpoints[1].location.as_str(), "https://idp.example.edu/sso?idpid=C01");
    assert_eq!(read.slo_endpoints.len(), 1);
    assert_eq!(read.slo_endpoints[0].for_responses().as_str(), "https://idp.example.edu/slo/done");
    assert_eq!(read.name_id_formats, [names::NAMEID_TRANSIENT, names::NAMEID_PERSISTENT]);
    assert!(read.want_authn_requests_signed);
    assert_eq!(read.scopes.len(), 2);
    assert_eq!((read.scopes[0].value.as_str(), read.scopes[1].regexp), ("example.edu", true));
    assert_eq!(read.display_name.as_deref(), Some("Example & Co"));
    assert_eq!(read.valid_until.map(|until| until.to_string()).as_deref(), Some("2027-01-01T00:00:00Z"));
    assert_eq!(read.cache_seconds, Some(3600));
    let trust = read.trust();
    let xml = signed_assertion();
    let mut checks = Vec::new();
    receive_response(&form(&xml), &sp(), &trust, &[], &ResponsePolicy::default(), &expected(), &mut checks).expect("accepted");
}

#[test]
fn metadata_that_cannot_be_used_are_refused_with_the_reason() {
    let keys = key_descriptor(" use=\"signing\"", &RSA);
    let good = entity(IDP, &keys);
    for (xml, reason) in [
        (good.replace(&format!(" entityID=\"{IDP}\""), ""), "no entityID"),
        (entity(" ", &keys), "no entityID"),
        (entity(IDP, ""), "usable signing certificate"),
        (entity(IDP, &key_descriptor(" use=\"encryption\"", &RSA)), "usable signing certificate"),
        (good.replace("<ds:X509Certificate>", "<ds:X509Certificate>x"), "not readable"),
        (good.replace("2027-01-01T00:00:00", "2026-11-21T02:42:00Z"), "were valid until"),
        (good.replace("2027-01-01T00:00:00", "soon"), "validUntil"),
        (good.replace("SingleSignOnService", "SomethingElse"), "no SingleSignOnService"),
        (good.replace("https://idp.example.edu/sso/post", "javascript:alert(1)"), "not an http(s) address"),
        (good.replace("IDPSSODescriptor", "SPSSODescriptor"), "no IDPSSODescriptor"),
        (good.replace("urn:oasis:names:tc:SAML:2.0:protocol", "urn:x"), "does not support SAML 2.0"),
        ("<html><body>Sign in</body></html>".to_owned(), "this is not SAML metadata"),
        ("{\"issuer\":\"x\"}".to_owned(), "not well-formed"),
        (format!("<!DOCTYPE x>{good}"), "DOCTYPE"),
    ] {
        let error = read(&xml).expect_err(reason);
        assert!(error.reason.contains(reason), "{error} instead of {reason}");
    }
    let error = read(&good.replace("https://idp.example.edu/sso/post", "nowhere")).expect_err("refused");
    assert!(error.line.is_some_and(|line| line > 5), "{error:?}");
}

#[test]
fn an_aggregate_is_searched_by_entity_id() {
    let keys = key_descriptor("", &RSA);
    let strip = |xml: String| xml.replace("ID=\"_e\" ", "");
    let aggregate = format!(
        "<md:EntitiesDescriptor xmlns:md=\"{}\" validUntil=\"2026-12-01T00:00:00Z\" cacheDuration=\"PT10M\">{}<md:EntitiesDescriptor>{}</md:EntitiesDescriptor></md:EntitiesDescriptor>",
        names::MD,
        strip(entity("https://one.example", &keys)),
        strip(entity(IDP, &keys))
    );
    let options = MetadataOptions { entity_id: Some(IDP), pinned: None };
    let found = read_idp(&aggregate, options, now()).expect("read");
    assert_eq!((found.entity_id.as_str(), found.cache_seconds), (IDP, Some(600)));
    assert_eq!(found.valid_until.map(|until| until.to_string()).as_deref(), Some("2026-12-01T00:00:00Z"));
    assert!(read(&aggregate).expect_err("ambiguous").reason.contains("2 identity providers"));
    let missing = MetadataOptions { entity_id: Some("https://none.example"), pinned: None };
    assert!(read_idp(&aggregate, missing, now()).expect_err("missing").reason.contains("https://none.example"));
    let deep = format!("{}{}", "<md:EntitiesDescriptor>".repeat(5000), "</md:EntitiesDescriptor>".repeat(5000));
    assert!(read(&deep).is_err(), "no overflow of the stack");
}

#[test]
fn a_pinned_certificate_must_have_signed_it() {
    let pinned = OTHER_RSA.trusted();
    let options = MetadataOptions { entity_id: None, pinned: Some(&pinned) };
    let plain = entity(IDP, &key_descriptor("", &RSA)).replace("<?pi x?>", "");
    let signed = sign(&plain, Signer::new(&OTHER_RSA.certified)).expect("signed");
    assert_eq!(read_idp(&signed, options, now()).expect("read").entity_id, IDP);
    assert!(read_idp(&plain, options, now()).expect_err("unsigned").reason.contains("not signed"));
    let changed = signed.replace("idp.example.edu/sso?", "evil.example/sso?");
    assert!(read_idp(&changed, options, now()).expect_err("changed").reason.contains("digest"));
    let foreign = sign(&plain, signer()).expect("signed");
    assert!(read_idp(&foreign, options, now()).is_err());
}

#[test]
fn ours_are_signed_and_publish_every_key() {
    let sp = sp();
    let mut ours = SpMetadata::new(&sp, vec![&RSA.certified, &OTHER_RSA.certified], vec![&ENCRYPTION.certified]);
    ours.name_id_formats = vec![names::NAMEID_PERSISTENT.to_owned()];
    let xml = write_sp(&ours, signer(), now()).expect("written");
    for (key, count) in [(&RSA, 2), (&OTHER_RSA, 1), (&ENCRYPTION, 1)] {
        assert_eq!(xml.matches(&certificate(key)).count(), count);
    }
    assert!(xml.contains("validUntil=\"2026-11-28T02:42:00Z\" cacheDuration=\"PT21600S\""), "{xml}");
    let document = xml::parse(&xml, xml::Limits::MESSAGE).expect("strict XML");
    let order: Vec<_> = document.root().children().map(|child| child.local_name()).collect();
    assert_eq!(order, ["Signature", "SPSSODescriptor"]);
    let role = document.root().child(names::MD, "SPSSODescriptor").expect("a role");
    let order: Vec<_> = role.children().map(|child| child.local_name()).collect();
    assert_eq!(order, ["KeyDescriptor", "KeyDescriptor", "KeyDescriptor", "NameIDFormat", "AssertionConsumerService"]);
}

#[test]
fn an_entity_inside_another_describes_nobody() {
    let inner = entity(IDP, &key_descriptor("", &OTHER_RSA));
    let evil =
        entity("https://evil.example", &key_descriptor("", &OTHER_RSA)).replacen("<md:Extensions>", &format!("<md:Extensions>{inner}"), 1);
    let good = entity(IDP, &key_descriptor("", &RSA));
    let options = MetadataOptions { entity_id: Some(IDP), ..MetadataOptions::default() };
    let around = |entities: &str| {
        format!(
            "<md:EntitiesDescriptor xmlns:md=\"{}\"><md:EntitiesDescriptor>{entities}</md:EntitiesDescriptor></md:EntitiesDescriptor>",
            names::MD
        )
    };
    let read = read_idp(&around(&format!("{evil}{good}")), options, now()).expect("read");
    assert_eq!(read.keys.fingerprints().collect::<Vec<_>>(), RSA.trusted().fingerprints().collect::<Vec<_>>());
    assert!(read_idp(&around(&evil), options, now()).is_err());
}
