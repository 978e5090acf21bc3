//! What our metadata say of us beside the protocol, and that others can read it.

use super::judges::{is_built_as_the_schema_says, xmlsec1_verifies};
use super::support::*;
use crate::saml::idp::{Localized, Logo};
use crate::saml::metadata::about::{Contact, ContactKind, EntityInfo, Organization, Requested, RequestedSet, UiInfo};
use crate::saml::metadata::write_sp;
use crate::saml::xml::{Limits, parse};
use crate::saml::*;
use url::Url;

const HOSTILE: &str = "</md:ServiceName><x a=\"&'> ]]> \u{1F600}";

fn texts(texts: &[(&str, &str)]) -> Vec<Localized> {
    texts.iter().map(|(language, text)| Localized { language: Some((*language).to_owned()), text: (*text).to_owned() }).collect()
}

fn about() -> EntityInfo {
    EntityInfo {
        ui: UiInfo {
            display_names: texts(&[("en", "Notes"), ("de", HOSTILE)]),
            descriptions: texts(&[("en", "Takes notes")]),
            information_urls: texts(&[("en", "https://notes.example/about?a=1&b=2")]),
            privacy_statement_urls: texts(&[("en", "https://notes.example/privacy")]),
            logos: vec![Logo {
                url: Url::parse("https://notes.example/logo.png").expect("an address"),
                width: Some(80),
                height: Some(60),
                language: Some("en".to_owned()),
            }],
        },
        organization: Some(Organization {
            names: texts(&[("en", "Example")]),
            display_names: texts(&[("en", HOSTILE)]),
            urls: texts(&[("en", "https://example.org/")]),
        }),
        contacts: [ContactKind::Technical, ContactKind::Support, ContactKind::Administrative, ContactKind::Billing, ContactKind::Security]
            .map(|kind| Contact {
                kind,
                company: Some("Example".to_owned()),
                given_name: Some(HOSTILE.to_owned()),
                surname: Some("Doe".to_owned()),
                emails: vec!["ops@example.org".to_owned()],
                telephones: vec!["+43 1 234".to_owned()],
            })
            .into(),
        entity_attributes: vec![
            (names::ENTITY_CATEGORY, vec!["http://refeds.org/category/research-and-scholarship".to_owned(), HOSTILE.to_owned()]),
            (names::ASSURANCE_CERTIFICATION, Vec::new()),
            (names::SUBJECT_ID_REQUIREMENT, vec!["pairwise-id".to_owned()]),
        ],
    }
}

fn sets() -> Vec<RequestedSet> {
    let requested = |name: &str, required| Requested { name: name.to_owned(), friendly_name: Some("mail".to_owned()), required };
    vec![
        RequestedSet { index: 3, names: texts(&[("en", HOSTILE)]), attributes: vec![requested("urn:oid:0.9.2342.19200300.100.1.3", true)] },
        RequestedSet { index: 4, names: texts(&[("en", "nothing")]), attributes: Vec::new() },
        RequestedSet { index: 5, names: texts(&[("en", "b")]), attributes: vec![requested("groups", false), requested("a\"b", false)] },
    ]
}

fn written() -> String {
    let sp = sp();
    let ours =
        SpMetadata { about: about(), attribute_sets: sets(), ..SpMetadata::new(&sp, vec![&RSA.certified], vec![&ENCRYPTION.certified]) };
    write_sp(&ours, signer(), now()).expect("written")
}

#[test]
fn everything_that_is_said_of_us_is_signed_and_built_as_the_schemas_say() {
    let xml = written();
    assert!(xmlsec1_verifies(&xml, &RSA), "{xml}");
    is_built_as_the_schema_says(&xml);
}

#[test]
fn every_text_stays_in_its_place() {
    let xml = written();
    let document = parse(&xml, Limits::METADATA).expect("read");
    let root = document.root();
    let attribute = |element: xml::Element<'_>, name: &str| element.attribute(name).map(str::to_owned);
    let role = root.child(names::MD, "SPSSODescriptor").expect("a role");
    let ui = role.child(names::MD, "Extensions").and_then(|extensions| extensions.child(names::MDUI, "UIInfo")).expect("what people see");
    let display: Vec<_> = ui.children_named(names::MDUI, "DisplayName").map(|name| name.text().into_owned()).collect();
    assert_eq!(display, ["Notes", HOSTILE]);
    let services: Vec<_> = role.children_named(names::MD, "AttributeConsumingService").collect();
    assert_eq!(services.iter().map(|service| attribute(*service, "index")).collect::<Vec<_>>(), [Some("3".into()), Some("5".into())]);
    assert_eq!(
        services.iter().map(|service| attribute(*service, "isDefault")).collect::<Vec<_>>(),
        [Some("true".into()), Some("false".into())]
    );
    let requested: Vec<_> = services.iter().flat_map(|service| service.children_named(names::MD, "RequestedAttribute")).collect();
    let formats: Vec<_> = requested.iter().filter_map(|requested| requested.attribute("NameFormat")).collect();
    assert_eq!(formats, [names::ATTRNAME_URI, names::ATTRNAME_BASIC, names::ATTRNAME_BASIC]);
    let categories = root.child(names::MD, "Extensions").and_then(|extensions| extensions.child(names::MDATTR, "EntityAttributes"));
    let categories: Vec<_> = categories.expect("entity attributes").children_named(names::SAML, "Attribute").collect();
    assert_eq!(categories.len(), 2, "an attribute without values is not written");
    assert_eq!(root.children_named(names::MD, "ContactPerson").count(), 5);
    assert_eq!(
        root.child(names::MD, "Organization")
            .and_then(|o| o.child(names::MD, "OrganizationDisplayName"))
            .map(|o| o.text().into_owned())
            .as_deref(),
        Some(HOSTILE)
    );
}

#[test]
fn nothing_is_said_where_nothing_is_set() {
    let sp = sp();
    let xml = write_sp(&SpMetadata::new(&sp, vec![&RSA.certified], vec![&ENCRYPTION.certified]), signer(), now()).expect("written");
    for silent in ["Extensions", "Organization", "ContactPerson", "AttributeConsumingService"] {
        assert!(!xml.contains(silent), "{silent}");
    }
    is_built_as_the_schema_says(&xml);
}

#[test]
fn a_discovery_service_learns_where_it_may_send_people_back_to() {
    let sp = sp();
    let back = "https://login.example.org/connections/edu/discovery";
    for ui in [UiInfo::default(), about().ui] {
        let about = EntityInfo { ui, ..EntityInfo::default() };
        let discovery_response = Some(back.parse().expect("an address"));
        let ours = SpMetadata { about, discovery_response, ..SpMetadata::new(&sp, vec![&RSA.certified], vec![&ENCRYPTION.certified]) };
        let xml = write_sp(&ours, signer(), now()).expect("written");
        is_built_as_the_schema_says(&xml);
        let document = parse(&xml, Limits::METADATA).expect("XML");
        let role = document.root().child(names::MD, "SPSSODescriptor").expect("a role");
        let extensions = role.child(names::MD, "Extensions").expect("extensions");
        let found: Vec<_> = extensions.children_named(names::IDPDISC, "DiscoveryResponse").collect();
        let said = |name| found[0].attribute(name);
        assert_eq!((found.len(), said("Location"), said("index")), (1, Some(back), Some("0")));
        assert_eq!(said("Binding"), Some("urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol"), "Discovery 2.5");
    }
}
