//! Which attributes reach which SAML application.

use crate::harness::browser::Browser;
use crate::harness::gateway::Gateway;
use crate::harness::idp::{Idp, Person};
use crate::harness::saml_answer::{SamlAnswer, authn_request};
use crate::harness::scene::Scene;

const MAIL: &str = "urn:oid:0.9.2342.19200300.100.1.3";
const SURNAME: &str = "urn:oid:2.5.4.4";
const MEMBER_OF: &str = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1";
const RESEARCH: &str = "http://refeds.org/category/research-and-scholarship";
const PAIRWISE_ID: &str = "urn:oasis:names:tc:SAML:attribute:pairwise-id";
const SUBJECT_ID: &str = "urn:oasis:names:tc:SAML:attribute:subject-id";
const TARGETED_ID: &str = "urn:oid:1.3.6.1.4.1.5923.1.1.1.10";

/// Mail for research and scholarship only; the surname for all.
const TABLE: &str = "direction = \"from_profile\"\n\
    [[row]]\nrelease = \"urn:oid:0.9.2342.19200300.100.1.3\"\nfriendly_name = \"mail\"\nname_format = \"uri\"\nfrom = [\"email\"]\n\
    categories = [\"http://refeds.org/category/research-and-scholarship\", \"https://refeds.org/category/code-of-conduct/v2\"]\n\
    [[row]]\nrelease = \"urn:oid:2.5.4.4\"\nfriendly_name = \"sn\"\nname_format = \"uri\"\nfrom = [\"family_name\"]\n";

/// An application whose sign-ins may begin here.
fn application(name: &str, top: &str, saml: &str) -> String {
    format!(
        "client_id = \"{name}\"\n{top}\n[application.saml]\nentity_id = \"urn:{name}\"\nacs_urls = [\"https://{name}.example/acs\"]\n\
         allow_unsolicited = true\n{saml}\n"
    )
}

/// Metadata with two sets of wishes and a category.
fn metadata() -> String {
    let wish =
        |name: &str| format!("<md:RequestedAttribute Name=\"{name}\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:uri\"/>");
    let service = |index: u8, default: bool, name: &str| {
        format!(
            "<md:AttributeConsumingService index=\"{index}\" isDefault=\"{default}\"><md:ServiceName xml:lang=\"en\">S</md:ServiceName>{}</md:AttributeConsumingService>",
            wish(name)
        )
    };
    format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:mdattr=\"urn:oasis:names:tc:SAML:metadata:attribute\" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" entityID=\"urn:lab\"><md:Extensions><mdattr:EntityAttributes><saml:Attribute Name=\"http://macedir.org/entity-category\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:uri\"><saml:AttributeValue>{RESEARCH}</saml:AttributeValue></saml:Attribute></mdattr:EntityAttributes></md:Extensions><md:SPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:AssertionConsumerService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"https://lab.example/acs\" index=\"0\"/>{}{}</md:SPSSODescriptor></md:EntityDescriptor>",
        service(1, true, MAIL),
        service(2, false, SURNAME),
    )
}

async fn answer(gateway: &Gateway, idp: &Idp, path: &str) -> SamlAnswer {
    let browser = Browser::new();
    let request = idp.read(&browser.open(gateway.url(path).as_str()).await.away());
    let answer = idp.respond(&request, &Person::jane());
    SamlAnswer::of(&browser.post(&answer.from, &answer.to, &answer.fields()).await.away())
}

#[tokio::test]
async fn attributes_keep_their_formats_friendly_names_and_all_values() {
    let scene = Scene::with(|setup| setup.application(&application("wiki", "", "attribute_name_format = \"none\""))).await;
    let answer = answer(&scene.gateway, &scene.idp, "/samlp/wiki?connection=acme").await;
    assert_eq!(answer.values(MEMBER_OF), ["staff", "admins"]);
    assert_eq!(answer.said_of(MEMBER_OF, "FriendlyName").as_deref(), Some("isMemberOf"));
    assert_eq!(answer.said_of(MAIL, "NameFormat").as_deref(), Some("urn:oasis:names:tc:SAML:2.0:attrname-format:uri"), "as the table says");
    assert!(!answer.names().iter().any(|name| name == "urn:oid:2.5.4.10"), "nothing is said of what is not known");
}

#[tokio::test]
async fn rows_for_entity_categories_are_for_applications_that_have_them() {
    let scene = Scene::with(|setup| {
        setup
            .file("mappings/research.toml", TABLE)
            .file("lab.xml", &metadata())
            .application(&application("wiki", "mapping = \"research\"", ""))
            .application(&application("journal", "mapping = \"research\"", &format!("entity_categories = [\"{RESEARCH}\"]")))
            .application("client_id = \"lab\"\nmapping = \"research\"\n[application.saml]\nmetadata_file = \"lab.xml\"\nallow_unsolicited = true\n")
            .application("client_id = \"plain\"\nmapping = \"research\"\n[application.saml]\nmetadata_file = \"lab.xml\"\nallow_unsolicited = true\nentity_categories = []\n")
            .application("client_id = \"asks\"\nmapping = \"research\"\n[application.saml]\nmetadata_file = \"lab.xml\"\nallow_unsolicited = true\nrelease = \"requested\"\n")
    })
    .await;
    for (client, expected) in [
        ("wiki", vec![SURNAME]),
        ("journal", vec![MAIL, SURNAME]),
        ("lab", vec![MAIL, SURNAME]),
        ("plain", vec![SURNAME]),
        ("asks", vec![MAIL]),
    ] {
        let answer = answer(&scene.gateway, &scene.idp, &format!("/samlp/{client}?connection=acme")).await;
        assert_eq!(answer.names(), expected, "{client}");
    }
}

#[tokio::test]
async fn a_request_names_the_set_of_attributes_that_it_wants() {
    let scene = Scene::with(|setup| {
        setup
            .file("lab.xml", &metadata())
            .application("client_id = \"lab\"\n[application.saml]\nmetadata_file = \"lab.xml\"\nrelease = \"requested\"\n")
    })
    .await;
    let request = |index: &str| format!("/samlp/lab?connection=acme&{}", authn_request("urn:lab", index));
    for (index, expected) in [
        ("", vec![MAIL]),
        ("AttributeConsumingServiceIndex=\"1\"", vec![MAIL]),
        ("AttributeConsumingServiceIndex=\"2\"", vec![SURNAME]),
        ("AttributeConsumingServiceIndex=\"9\"", vec![]),
    ] {
        let answer = answer(&scene.gateway, &scene.idp, &request(index)).await;
        assert_eq!(answer.names(), expected, "{index}");
    }
}

#[tokio::test]
async fn identifiers_of_ours_are_pairwise_and_scoped() {
    let saml = "identifiers = [\"pairwise-id\", \"subject-id\", \"eduPersonTargetedID\"]\nscope = \"example.org\"";
    let scene = Scene::with(|setup| {
        setup
            .application(&application("wiki", "", saml))
            .application(&application("journal", "", saml))
            .application(&application("none", "", ""))
    })
    .await;
    let wiki = answer(&scene.gateway, &scene.idp, "/samlp/wiki?connection=acme").await;
    let again = answer(&scene.gateway, &scene.idp, "/samlp/wiki?connection=acme").await;
    let journal = answer(&scene.gateway, &scene.idp, "/samlp/journal?connection=acme").await;
    assert_eq!(wiki.values(PAIRWISE_ID), again.values(PAIRWISE_ID));
    assert_ne!(wiki.values(PAIRWISE_ID), journal.values(PAIRWISE_ID));
    assert_eq!(wiki.values(SUBJECT_ID), journal.values(SUBJECT_ID));
    assert!(wiki.values(PAIRWISE_ID)[0].ends_with("@example.org"));
    let (targeted, name_id) = (&wiki.values(TARGETED_ID)[0], wiki.text("NameID").expect("a NameID"));
    assert!(targeted.contains(&format!(">{name_id}</saml:NameID>")) && targeted.contains("SPNameQualifier=\"urn:wiki\""), "{targeted}");
    let none = answer(&scene.gateway, &scene.idp, "/samlp/none?connection=acme").await;
    assert!([PAIRWISE_ID, SUBJECT_ID, TARGETED_ID].iter().all(|name| none.values(name).is_empty()), "only where they are wanted");
}
