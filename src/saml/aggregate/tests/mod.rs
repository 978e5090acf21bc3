//! Aggregates that are right, that are wrong, and that somebody made wrong on purpose.

use super::canonical::Canonical;
use super::*;
use crate::saml::metadata::{MetadataOptions, read_idp};
use crate::saml::names;
use crate::saml::signature::{Signer, sign};
use crate::saml::tests::support::{EC, Judge, OTHER_RSA, RSA, TestKey, now};
use crate::saml::xml::{Canonicalization, Limits, XmlErrorKind, canonicalize, parse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use federation::{Federation, english_name, entity_id};

#[path = "../../../../benches/metadata/federation.rs"]
mod federation;

mod refused;
mod signed;

fn certificate(key: &TestKey) -> String {
    STANDARD.encode(key.certificate.to_der().expect("der"))
}

fn pinned(key: &TestKey) -> Terms {
    Terms::new(Trust::new(std::slice::from_ref(&key.certificate), false).expect("usable"))
}

fn unsigned() -> Terms {
    Terms::new(Trust::new(&[], true).expect("meant"))
}

fn read(xml: &str, terms: &Terms) -> Result<Aggregate, AggregateError> {
    Aggregate::read(xml.as_bytes(), terms, now())
}

/// A federation as text, signed by the key, if there is one.
fn federation(entities: usize, key: Option<&TestKey>) -> String {
    let certificates = [certificate(&RSA), certificate(&OTHER_RSA), certificate(&EC)];
    let federation = Federation { entities, valid_until: "2026-12-01T00:00:00Z", certificates: &certificates };
    let mut out = Vec::new();
    let scheme = |key: &TestKey, data: &[u8]| {
        let scheme = crate::keys::SignatureScheme::RsaPkcs1(crate::keys::Digest::Sha256);
        key.certified.key.sign(scheme, data).expect("signed")
    };
    match key {
        Some(key) => federation.write_signed(&mut out, |data| scheme(key, data)),
        None => federation.write_unsigned(&mut out),
    }
    .expect("written");
    String::from_utf8(out).expect("utf-8")
}

/// One identity provider; `inside` goes before its role.
fn entity(name: &str, attributes: &str, inside: &str) -> String {
    format!(
        "<md:EntityDescriptor entityID=\"https://{name}/\" {attributes}>{inside}<md:IDPSSODescriptor \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:KeyDescriptor><ds:KeyInfo><ds:X509Data>\
         <ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService \
         Binding=\"{}\" Location=\"https://{name}/sso\"/></md:IDPSSODescriptor></md:EntityDescriptor>",
        certificate(&EC),
        names::BINDING_REDIRECT
    )
}

fn group(attributes: &str, inside: &str) -> String {
    format!(
        "<md:EntitiesDescriptor xmlns:md=\"{}\" xmlns:ds=\"{}\" ID=\"_root\" validUntil=\"2026-12-01T00:00:00Z\" {attributes}>{inside}</md:EntitiesDescriptor>",
        names::MD,
        names::DS
    )
}

#[test]
fn a_federation_is_read_indexed_and_read_in_full_on_demand() {
    let xml = federation(60, None);
    let aggregate = read(&xml, &unsigned()).expect("read");
    assert_eq!((aggregate.len(), aggregate.fault_count(), aggregate.is_signed(), aggregate.is_single()), (60, 0, false, false));
    assert_eq!(aggregate.cache_seconds(), Some(6 * 3600));
    assert_eq!(aggregate.valid_until(), Timestamp::parse("2026-12-01T00:00:00Z"));
    let entity = aggregate.entity(&entity_id(1)).expect("there");
    assert!(entity.is_idp && !entity.is_sp && !entity.hidden);
    assert_eq!(entity.name("de-CH"), "Universität Berlin 1");
    assert_eq!(entity.name("xx"), english_name(1));
    assert_eq!(entity.registration_authority.as_deref(), Some("https://rr.example.fr/"));
    assert_eq!(
        entity.categories.iter().map(|category| &**category).collect::<Vec<_>>(),
        ["http://refeds.org/category/research-and-scholarship"]
    );
    let logos: Vec<_> = entity.logos.iter().map(|logo| (&*logo.url, logo.width, logo.height)).collect();
    assert_eq!(logos, [("https://www.berlin-1.example/logo.png", 80, 60)]);
    let scopes: Vec<_> = entity.scopes.iter().map(|scope| (scope.value.as_str(), scope.regexp)).collect();
    assert_eq!(scopes, [("berlin-1.example", false)]);
    assert!(entity.keywords.iter().any(|keyword| &*keyword.text == "research network"));
    assert!(aggregate.entity(&entity_id(49)).expect("there").hidden);
    assert!(aggregate.entity(&entity_id(2)).is_some_and(|sp| sp.is_sp && !sp.is_idp));
    assert!(aggregate.entity("https://nobody.example/").is_none());

    // The same as the reader of single documents says.
    for number in [0, 1, 3, 58] {
        let wanted = entity_id(number);
        let (one, other) = (aggregate.idp(&wanted, now()).expect("read"), {
            let options = MetadataOptions { entity_id: Some(&wanted), pinned: None };
            read_idp(&xml, options, now()).expect("read")
        });
        let facts = |of: &IdpMetadata| {
            let fingerprints: Vec<_> = of.keys.fingerprints().map(str::to_owned).collect();
            (of.entity_id.clone(), of.sso_endpoints.clone(), of.slo_endpoints.clone(), of.scopes.clone(), fingerprints)
        };
        assert_eq!(facts(&one), facts(&other));
        assert_eq!((one.valid_until, one.cache_seconds), (other.valid_until, other.cache_seconds));
    }
    assert!(aggregate.idp(&entity_id(2), now()).is_err(), "an application");
}

#[test]
fn canonical_octets_are_those_of_the_tree() {
    let texts = [
        "<a xmlns='d' xmlns:p='u' xmlns:q='v' xml:lang='de'><p:b q:x='1' y='&#10;'><q:c xmlns=''/><c xmlns='d'/></p:b>1\r\n2&lt;<![CDATA[&>]]></a>",
        "<?xml version='1.0'?><p:a xmlns:p='u'><!-- x --><p:a xmlns:p='w'><p:a xmlns:p='u' z='&quot;' a='>'/></p:a>\u{e4}<?pi?></p:a>",
        "<a><b xmlns='x'><c xmlns=''><d xmlns='x' xmlns:xml='http://www.w3.org/XML/1998/namespace'/></c></b></a>",
    ];
    for text in texts {
        for prefixes in [vec![], vec!["q", "#default"], vec!["p", "x"]] {
            let document = parse(text, Limits::METADATA).expect("read");
            let expected = canonicalize(document.root(), Canonicalization::Exclusive(&prefixes), &[]);
            assert_eq!(streamed(text, &prefixes), expected, "{text} {prefixes:?}");
        }
    }
}

/// The canonical form of a well-formed document, piece by piece.
fn streamed(text: &str, prefixes: &[&str]) -> String {
    let prefixes: Vec<String> = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
    let (mut pieces, mut scope, mut canonical) = (pieces::Pieces::new(text.as_bytes()), scope::Scope::new(), Canonical::new(&prefixes));
    loop {
        let piece = pieces.next().expect("a piece");
        match piece {
            pieces::Piece::Eof => return canonical.out,
            pieces::Piece::Start | pieces::Piece::Empty => {
                let tag = scope.open(pieces.raw(), piece == pieces::Piece::Empty).expect("a tag");
                canonical.start(&tag, &scope);
                if piece == pieces::Piece::Empty {
                    canonical.end(&scope.close(None).expect("closed"));
                }
            }
            pieces::Piece::End => canonical.end(&scope.close(Some(pieces.raw())).expect("closed")),
            _ => opening::character_data(piece, pieces.raw(), |text| canonical.text(text)).expect("text"),
        }
    }
}

#[test]
fn pieces_are_the_same_however_the_source_delivers_them() {
    struct Drops<'a>(&'a [u8]);
    impl std::io::Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(1).min(self.0.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }
    let xml = federation(4, Some(&RSA));
    let drops = std::io::BufReader::with_capacity(3, Drops(xml.as_bytes()));
    assert_eq!(Aggregate::read(drops, &pinned(&RSA), now()).expect("read").len(), 4);
    let marked = format!("\u{feff}{xml}");
    assert_eq!(read(&marked, &pinned(&RSA)).expect("a byte order mark").len(), 4);
}

#[test]
fn what_is_wrong_with_one_entity_costs_that_entity() {
    let inside = [
        entity("good.example", "", ""),
        entity("good.example", "", ""),
        "<md:EntityDescriptor><md:Extensions/></md:EntityDescriptor>".to_owned(),
        entity("late.example", "validUntil=\"2026-11-20T00:00:00Z\"", ""),
        entity("odd.example", "validUntil=\"soon\"", ""),
        entity("keyless.example", "", "").replace("md:KeyDescriptor", "md:Nothing"),
        entity("placeless.example", "", "").replace("https://placeless.example/sso", "javascript:alert(1)"),
        entity("last.example", "", ""),
        format!("<md:Extensions>{}</md:Extensions>", entity("hidden.example", "", "")),
    ]
    .join("\n");
    let aggregate = read(&group("", &format!("\n{inside}")), &unsigned()).expect("read");
    let names: Vec<_> = aggregate.entities().map(|entity| entity.entity_id.to_string()).collect();
    assert_eq!(names, ["https://good.example/", "https://last.example/"]);
    let faults: Vec<_> = aggregate.faults().iter().map(ToString::to_string).collect();
    let expected = [
        (3, "https://good.example/", "the entityID occurs before"),
        (4, "", "EntityDescriptor has no entityID"),
        (5, "https://late.example/", "valid until 2026-11-20T00:00:00Z"),
        (6, "https://odd.example/", "validUntil is not a date"),
        (7, "https://keyless.example/", "usable signing certificate"),
        (8, "https://placeless.example/", "not an http(s) address"),
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, (line, name, reason)) in faults.iter().zip(expected) {
        assert!(fault.starts_with(&format!("line {line}: {name}")) && fault.contains(reason), "{fault}");
    }
}

#[test]
fn groups_nest_and_the_shortest_time_of_all_counts() {
    let inner = format!(
        "<md:EntitiesDescriptor validUntil=\"2026-11-22T00:00:00Z\" cacheDuration=\"PT10M\">{}<md:EntitiesDescriptor validUntil=\"?\">{}</md:EntitiesDescriptor></md:EntitiesDescriptor>",
        entity("inner.example", "validUntil=\"2026-11-25T00:00:00Z\" cacheDuration=\"PT1H\"", ""),
        entity("broken.example", "", ""),
    );
    let xml = group("cacheDuration=\"P1D\"", &(inner + &entity("outer.example", "", "")));
    let aggregate = read(&xml, &unsigned()).expect("read");
    let inner = aggregate.idp("https://inner.example/", now()).expect("read");
    assert_eq!((inner.valid_until, inner.cache_seconds), (Timestamp::parse("2026-11-22T00:00:00Z"), Some(600)));
    let outer = aggregate.idp("https://outer.example/", now()).expect("read");
    assert_eq!((outer.valid_until, outer.cache_seconds), (Timestamp::parse("2026-12-01T00:00:00Z"), Some(86_400)));
    assert_eq!(aggregate.fault_count(), 1);
    assert!(aggregate.faults()[0].reason.contains("around it is not a date"));

    let later = Timestamp::parse("2026-11-22T00:00:00Z").expect("a date");
    assert!(aggregate.idp("https://inner.example/", later).expect_err("over").reason.contains("valid until"));
    assert!(aggregate.search("inner", "en", 5, now()).len() == 1 && aggregate.search("inner", "en", 5, later).is_empty());
}

#[test]
fn people_find_their_institution_by_any_of_its_words() {
    let aggregate = read(&federation(200, None), &unsigned()).expect("read");
    let names = |text: &str, language: &str| -> Vec<String> {
        aggregate.search(text, language, 10, now()).into_iter().map(|found| found.name.to_owned()).collect()
    };
    assert_eq!(names("zurich 33", "de"), ["Universität Zürich 33"]);
    assert_eq!(names("ZÜRI 33", "en"), [english_name(33)]);
    assert_eq!(names("universite geneve 96", "fr"), ["Université de Genève 96"]);
    assert_eq!(names("lodz 66", "pl"), [english_name(66)], "no Polish name: the English one");
    assert_eq!(names("大学66", "ja"), ["東京大学66"], "within a run without spaces");
    assert_eq!(names("aachen-31", "en"), [english_name(31)], "by its domain");
    assert!(names("nowhere", "en").is_empty() && names("?", "en").is_empty());
    assert_eq!(names("", "en").len(), 10, "everybody");
    assert!(aggregate.search("lodz", "en", 1000, now()).iter().all(|found| !found.entity.hidden && found.entity.is_idp));
    // A name that begins so first, in the language asked for before others, keywords last.
    assert!(names("universit", "fr").iter().all(|name| name.starts_with("Université")));
    assert!(names("aachen", "en").iter().all(|name| name.contains("Aachen")));
    assert!(names(&"a ".repeat(10_000), "en").len() <= 10);
}
