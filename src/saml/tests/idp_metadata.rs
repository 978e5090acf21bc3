//! Applications' metadata with their oddities, and ours as an identity provider.

use super::idp_support::OURS;
use super::judges::{is_built_as_the_schema_says, xmlsec1_verifies};
use super::support::*;
use crate::saml::idp::*;
use crate::saml::logout::LogoutService;
use crate::saml::metadata::read_idp;
use crate::saml::signature::sign;
use crate::saml::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

const APP: &str = "https://app.example.org/sp";

fn certificate(key: &TestKey) -> String {
    STANDARD.encode(key.certificate.to_der().expect("der"))
}

fn key(attributes: &str, key: &TestKey, methods: &str) -> String {
    format!(
        "<md:KeyDescriptor{attributes}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n {}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo>{methods}</md:KeyDescriptor>",
        certificate(key)
    )
}

fn entity(keys: &str) -> String {
    format!(
        r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute" xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui" ID="_e" entityID="{APP}" validUntil="2027-01-01T00:00:00Z" cacheDuration="P1D">
<!-- made by hand -->
<md:Extensions><mdattr:EntityAttributes><saml:Attribute Name="http://macedir.org/entity-category" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"><saml:AttributeValue>http://refeds.org/category/research-and-scholarship</saml:AttributeValue><saml:AttributeValue> http://refeds.org/category/hide-from-discovery </saml:AttributeValue></saml:Attribute></mdattr:EntityAttributes></md:Extensions>
<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" AuthnRequestsSigned="true" WantAssertionsSigned="1">
<md:Extensions><mdui:UIInfo><mdui:DisplayName xml:lang="de">Anwendung</mdui:DisplayName><mdui:DisplayName xml:lang="en">An &lt;App&gt;</mdui:DisplayName><mdui:Logo width="80" height="60">https://app.example.org/logo.png</mdui:Logo><mdui:Logo width="1" height="1">javascript:alert(1)</mdui:Logo></mdui:UIInfo></md:Extensions>
{keys}
<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="https://app.example.org/slo/soap"/>
<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://app.example.org/slo" ResponseLocation="https://app.example.org/slo/done"/>
<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>
<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos</md:NameIDFormat>
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact" Location="https://app.example.org/acs/artifact" index="1" isDefault="true"/>
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://app.example.org/acs" index="2"/>
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location=" https://APP.example.org/acs2 " index="3" isDefault="true"/>
<md:AttributeConsumingService index="0"><md:ServiceName xml:lang="en">App</md:ServiceName><md:RequestedAttribute Name="urn:oid:0.9.2342.19200300.100.1.3" FriendlyName="mail" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri" isRequired="true"/><md:RequestedAttribute Name="groups"/></md:AttributeConsumingService>
</md:SPSSODescriptor></md:EntityDescriptor>"#
    )
}

fn read(xml: &str) -> Result<ApplicationMetadata, MetadataError> {
    read_sp(xml, MetadataOptions::default(), now())
}

#[test]
fn everything_that_applications_say_is_read() {
    let methods = "<md:EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#aes128-gcm\"/>";
    let keys = [key(" use=\"signing\"", &EC, ""), key("", &RSA, ""), key(" use=\"encryption\"", &ENCRYPTION, methods)].concat();
    let xml = entity(&keys);
    is_built_as_the_schema_says(&xml);
    let read = read(&xml).expect("read");
    let trust = &read.trust;
    assert_eq!((trust.entity_id(), trust.authn_requests_signed(), trust.want_assertions_signed), (APP, true, true));
    assert_eq!(trust.keys().map(|keys| keys.fingerprints().count()), Some(2), "no use = both uses");
    assert_eq!(trust.encryption_keys.len(), 2);
    let acs: Vec<_> = trust.acs().iter().map(|acs| (acs.location(), acs.index)).collect();
    let places = ["https://app.example.org/acs/artifact", "https://app.example.org/acs", "https://APP.example.org/acs2"];
    assert_eq!(acs, [(places[0], Some(1)), (places[1], Some(2)), (places[2], Some(3))], "as written");
    let bindings = [ResponseBinding::Artifact, ResponseBinding::Post, ResponseBinding::Post];
    assert_eq!(trust.acs().iter().map(|acs| acs.binding).collect::<Vec<_>>(), bindings);
    assert_eq!(trust.default_acs().and_then(|acs| acs.index), Some(1));
    assert_eq!(trust.logout_services.len(), 1);
    assert_eq!(trust.soap_logout.as_ref().map(Url::as_str), Some("https://app.example.org/slo/soap"));
    let done = Url::parse("https://app.example.org/slo/done").expect("a URL");
    assert_eq!(trust.logout_service(Binding::Post).map(LogoutService::for_responses), Some(&done));
    assert_eq!(trust.name_id_formats, [NameIdFormat::Transient]);
    let wishes = &trust.attribute_consuming_services[0];
    let wanted: Vec<_> = wishes.attributes.iter().map(|wish| (wish.name.as_str(), wish.friendly_name.as_deref(), wish.required)).collect();
    assert_eq!((wishes.index, wanted), (Some(0), vec![("urn:oid:0.9.2342.19200300.100.1.3", Some("mail"), true), ("groups", None, false)]));
    assert_eq!((read.display_name.as_deref(), read.display_names.len()), (Some("An <App>"), 2));
    assert_eq!(read.logos.iter().map(|logo| logo.url.as_str()).collect::<Vec<_>>(), ["https://app.example.org/logo.png"]);
    let categories: Vec<_> = read.entity_categories().collect();
    assert_eq!(categories, ["http://refeds.org/category/research-and-scholarship", "http://refeds.org/category/hide-from-discovery"]);
    assert_eq!(
        (read.valid_until.map(|until| until.to_string()).as_deref(), read.cache_seconds),
        (Some("2027-01-01T00:00:00Z"), Some(86400))
    );
}

#[test]
fn metadata_that_cannot_be_used_are_refused_with_line_and_reason() {
    let good = entity(&key("", &RSA, ""));
    read(&good).expect("good");
    for (xml, reason) in [
        (good.replace(&format!(" entityID=\"{APP}\""), ""), "no entityID"),
        (entity(""), "no signing certificate to verify them with"),
        (entity(&key(" use=\"encryption\"", &RSA, "")), "no signing certificate to verify them with"),
        (
            entity(&[key("", &RSA, ""), key(" use=\"encryption\"", &EC, "")].concat())
                .replace(&key("", &RSA, ""), &key(" use=\"signing\"", &RSA, "")),
            "RSA key of 2048 bits",
        ),
        (good.replace("<ds:X509Certificate>", "<ds:X509Certificate>x"), "a certificate for signing is not readable"),
        (good.replace("2027-01-01T00:00:00Z", "2026-11-21T02:42:00Z"), "were valid until"),
        (
            good.replace("bindings:HTTP-POST", "bindings:PAOS").replace("bindings:HTTP-Artifact", "bindings:PAOS"),
            "no AssertionConsumerService for HTTP-POST",
        ),
        (good.replace("\"https://app.example.org/acs\"", "\"javascript:alert(1)\""), "not an http(s) address"),
        (good.replace("\"https://app.example.org/acs\"", "\"http://app.example.org/acs\""), "use https"),
        (good.replace("\"https://app.example.org/acs\"", "\"\""), "not an http(s) address"),
        (good.replace("https://app.example.org/slo/done", "mailto:x"), "the ResponseLocation of SingleLogoutService"),
        (good.replace("index=\"3\"", "index=\"2\""), "the index 2 is given to two"),
        (good.replace("index=\"3\"", "index=\"x\""), "index is not a number"),
        (good.replace("SPSSODescriptor", "IDPSSODescriptor"), "no SPSSODescriptor"),
        (good.replace("urn:oasis:names:tc:SAML:2.0:protocol\"", "urn:oasis:names:tc:SAML:1.1:protocol\""), "does not support SAML 2.0"),
        ("<html/>".to_owned(), "this is not SAML metadata"),
        (format!("<!DOCTYPE x>{good}"), "DOCTYPE"),
    ] {
        let error = read(&xml).expect_err(reason);
        assert!(error.reason.contains(reason), "{error} instead of {reason}");
    }
    let error = read(&good.replace("https://app.example.org/acs\"", "nowhere\"")).expect_err("refused");
    assert!(error.line.is_some_and(|line| line > 8), "{error:?}");
}

#[test]
fn keys_without_use_never_switch_a_check_off() {
    // A signature is demanded, and the one key serves for it.
    let read = read(&entity(&key("", &RSA, ""))).expect("read");
    assert!(read.trust.authn_requests_signed() && read.trust.keys().is_some());
    // A key that can only sign is no obstacle where it may be for both.
    let ec = entity(&key("", &EC, ""));
    assert!(read_sp(&ec, MetadataOptions::default(), now()).expect("read").trust.encryption_keys.is_empty());
}

#[test]
fn an_application_is_picked_out_of_many_and_must_be_signed_by_the_pinned_key() {
    let one = entity(&key("", &RSA, "")).replace("ID=\"_e\" ", "");
    let other = one.replace(APP, "https://other.example");
    let around = format!("<md:EntitiesDescriptor xmlns:md=\"{}\" ID=\"_all\">{one}{other}</md:EntitiesDescriptor>", names::MD);
    assert!(read(&around).expect_err("ambiguous").reason.contains("2 applications"));
    let pinned = OTHER_RSA.trusted();
    let options = MetadataOptions { entity_id: Some("https://other.example"), pinned: Some(&pinned) };
    assert!(read_sp(&around, options, now()).expect_err("unsigned").reason.contains("not signed"));
    let signed = sign(&around, Signer::new(&OTHER_RSA.certified)).expect("signed");
    assert_eq!(read_sp(&signed, options, now()).expect("read").trust.entity_id(), "https://other.example");
    assert!(read_sp(&signed.replace("/acs\"", "/evil\""), options, now()).expect_err("changed").reason.contains("digest"));
}

#[test]
fn ours_are_signed_complete_and_understood() {
    let at = |binding, path: &str| Endpoint {
        binding,
        location: Url::parse(&format!("https://gateway.example.com/{path}?a=1&b=\"")).expect("a URL"),
    };
    let mut ours =
        IdpDescription::new(OURS, vec![at(Binding::Redirect, "sso"), at(Binding::Post, "sso")], vec![&RSA.certified, &OTHER_RSA.certified]);
    ours.encryption_keys = vec![&ENCRYPTION.certified];
    ours.want_authn_requests_signed = true;
    let logout = |binding, done: Option<&str>| LogoutService {
        binding,
        location: at(binding, "slo").location,
        response_location: done.map(|path| at(binding, path).location),
    };
    ours.logout = vec![logout(Binding::Redirect, None), logout(Binding::Post, Some("done"))];
    let text = |language: Option<&str>, text: &str| Localized { language: language.map(str::to_owned), text: text.to_owned() };
    ours.display = Display {
        names: vec![text(None, "Sign in & <go>"), text(Some("de"), "Anmeldung")],
        descriptions: vec![text(Some("en"), "x")],
        logos: vec![Logo {
            url: "https://gateway.example.com/logo".parse().expect("a URL"),
            width: Some(80),
            height: None,
            language: None,
        }],
    };
    for key in [&RSA, &EC] {
        let xml = write_idp(&ours, Signer::new(&key.certified), now()).expect("written");
        assert!(xmlsec1_verifies(&xml, key), "{xml}");
        is_built_as_the_schema_says(&xml);
    }
    let xml = write_idp(&ours, signer(), now()).expect("written");
    assert!(xml.contains("validUntil=\"2026-11-28T02:42:00Z\" cacheDuration=\"PT21600S\""), "{xml}");
    let pinned = RSA.trusted();
    let read = read_idp(&xml, MetadataOptions { entity_id: Some(OURS), pinned: Some(&pinned) }, now()).expect("read");
    assert_eq!(read.signing_certificates.len(), 2, "the current and the next");
    assert!(read.want_authn_requests_signed);
    assert_eq!((read.sso_endpoints, read.slo_endpoints.len()), (ours.sso.clone(), 2));
    assert_eq!(read.name_id_formats, [names::NAMEID_PERSISTENT, names::NAMEID_TRANSIENT]);
    assert_eq!(read.display_name.as_deref(), Some("Sign in & <go>"));
    let plain = IdpDescription::new(OURS, ours.sso.clone(), vec![&RSA.certified]);
    let xml = write_idp(&plain, signer(), now()).expect("written");
    assert!(!xml.contains("Extensions"), "{xml}");
    is_built_as_the_schema_says(&xml);
}
