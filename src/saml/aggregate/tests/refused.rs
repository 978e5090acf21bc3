//! Documents that are refused as a whole, and bounds.

use super::*;

fn refused(xml: &str) -> AggregateError {
    read(xml, &unsigned()).expect_err("refused")
}

fn xml_refusal(xml: &str) -> (XmlErrorKind, usize) {
    match refused(xml) {
        AggregateError::Xml(error) => (error.kind, error.line),
        other => panic!("another refusal: {other}"),
    }
}

#[test]
fn a_document_must_say_how_long_it_may_be_used_and_not_for_too_long() {
    let of = |date: &str| group("", &entity("a.example", "", "")).replace("2026-12-01T00:00:00Z", date);
    assert!(read(&of("2026-12-19T02:42:00Z"), &unsigned()).is_ok(), "28 days");
    assert!(matches!(refused(&of("2026-12-19T02:42:01Z")), AggregateError::ValidTooLong { .. }));
    assert!(matches!(refused(&of("2026-11-21T02:42:00Z")), AggregateError::Expired { .. }));
    assert_eq!(refused(&of("soon")), AggregateError::ValidUntilUnreadable { found: "soon".to_owned() });
    let without = group("", &entity("a.example", "", "")).replace("validUntil=\"2026-12-01T00:00:00Z\"", "");
    assert_eq!(refused(&without), AggregateError::ValidUntilMissing);

    let terms = |validity| Terms { validity, ..unsigned() };
    assert!(read(&of("2027-12-19T02:42:01Z"), &terms(Validity::Required { at_most_seconds: 400 * 86_400 })).is_ok());
    let optional = terms(Validity::Optional);
    assert!(read(&without, &optional).is_ok() && read(&of("2099-01-01T00:00:00Z"), &optional).is_ok());
    assert!(matches!(read(&of("2026-11-21T02:41:59Z"), &optional), Err(AggregateError::Expired { .. })), "never what is over");
}

#[test]
fn what_is_no_metadata_is_said() {
    let foreign = "<a xmlns='urn:x'/>";
    assert_eq!(refused(foreign), AggregateError::NotMetadata { found: "a".to_owned() });
    let html = "<html><body>Maintenance</body></html>";
    assert_eq!(refused(html), AggregateError::NotMetadata { found: "html".to_owned() });
    assert_eq!(refused(&group("", "")), AggregateError::Empty { fault: None });
    let only_bad = refused(&group("", "\n<md:EntityDescriptor/>"));
    assert!(matches!(only_bad, AggregateError::Empty { fault: Some(Fault { line: 2, .. }) }), "{only_bad}");
    for garbage in ["", " ", "garbage", "{\"a\":1}", "<", "<a", "<md:EntitiesDescriptor>", "\u{feff}", "<!-- -->"] {
        assert!(matches!(refused(garbage), AggregateError::Xml(_)), "{garbage}");
    }
}

#[test]
fn what_no_saml_document_has_is_refused_with_its_line() {
    let good = group("", &format!("\n{}\n", entity("a.example", "", "")));
    assert_eq!(xml_refusal(&format!("\n<!DOCTYPE x [<!ENTITY a 'b'>]>{good}")), (XmlErrorKind::DocumentType, 2));
    assert!(matches!(xml_refusal(&good.replace("</md:Ent", "&nbsp;</md:Ent")).0, XmlErrorKind::Malformed(_)));
    assert_eq!(xml_refusal(&format!("{good}\n<a/>")).1, 4);
    assert_eq!(xml_refusal(&format!("{good}x")).1, 3);
    assert!(matches!(xml_refusal(&format!("<?xml version='1.0' encoding='utf-16'?>{good}")).0, XmlErrorKind::Encoding(_)));
    assert!(matches!(xml_refusal(&format!(" <?xml version='1.0'?>{good}")).0, XmlErrorKind::Malformed(_)));
    assert!(matches!(xml_refusal(&good.replace("<md:KeyDescriptor>", "<md:KeyDescriptor a='1' a='2'>")).0, XmlErrorKind::Malformed(_)));
    assert!(matches!(xml_refusal(&good.replace("<md:KeyDescriptor>", "<q:KeyDescriptor>")).0, XmlErrorKind::Malformed(_)));
    assert!(matches!(xml_refusal(&good.replace("<md:KeyDescriptor>", "<md:KeyDescriptor a='\u{1}'>")).0, XmlErrorKind::Malformed(_)));
    let (end, _) = good.rsplit_once("</md").expect("the end");
    assert!(matches!(xml_refusal(end).0, XmlErrorKind::Malformed(_)));
    let mut bytes = good.into_bytes();
    let at = bytes.len() / 2;
    bytes[at] = 0xff;
    let error = Aggregate::read(&*bytes, &unsigned(), now()).expect_err("refused");
    assert!(matches!(error, AggregateError::Xml(XmlError { kind: XmlErrorKind::Encoding(_), .. })), "{error}");
}

#[test]
fn depth_attributes_names_and_single_pieces_are_bounded() {
    let too_complex = |xml: &str| match xml_refusal(xml).0 {
        XmlErrorKind::TooComplex { what, .. } => what,
        other => panic!("another refusal: {other:?}"),
    };
    let deep = group("", &"<md:EntitiesDescriptor>".repeat(100_000));
    assert_eq!(too_complex(&deep), "levels of nesting");
    let many: String = (0..100).map(|number| format!(" a{number}='1'")).collect();
    assert_eq!(too_complex(&group(&many, "")), "attributes on one element");
    let declared: String = (0..6)
        .map(|level| {
            let of_level: String = (0..60).map(|number| format!(" xmlns:a{level}b{number}='u'")).collect();
            format!("<md:EntitiesDescriptor{of_level}>")
        })
        .collect();
    assert_eq!(too_complex(&group("", &declared)), "namespace declarations");
    assert_eq!(too_complex(&group(&format!("a='{}'", "x".repeat(2_000_000)), "")), "bytes in one tag or text");
    assert_eq!(too_complex(&group("", &format!("<!--{}-->", " ".repeat(2_000_000)))), "bytes in one tag or text");
    let signature = format!("<ds:Signature>{}</ds:Signature>", "<a/>".repeat(40_000));
    assert_eq!(too_complex(&group("", &signature)), "bytes in the Signature");
    let lead = " ".repeat(200_000);
    assert_eq!(too_complex(&group("", &format!("{lead}<a/>"))), "bytes before the first element");
}

#[test]
fn an_entity_that_is_too_large_costs_itself_and_no_memory() {
    let large = entity("large.example", "", &format!("<md:Extensions>{}</md:Extensions>", "<md:a>x</md:a>".repeat(400_000)));
    let xml = group("", &format!("{}{large}{}", entity("a.example", "", ""), entity("b.example", "", "")));
    let signed = xml.clone();
    let aggregate = read(&signed, &unsigned()).expect("read");
    assert_eq!(aggregate.len(), 2);
    assert!(aggregate.faults()[0].reason.contains("bytes"), "{:?}", aggregate.faults());
}
