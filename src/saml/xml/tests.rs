use super::*;

fn read(text: &str) -> Result<Document<'_>, XmlError> {
    parse(text, Limits::MESSAGE)
}

#[test]
fn texts_and_attributes_are_normalized_as_xml_says() {
    let document = read("<a b='x\r\n\ty&#10;&lt;'>1\r\n2\r3<![CDATA[&]]>&amp;&#x41;<c/>4</a>").expect("read");
    let root = document.root();
    assert_eq!(root.attribute("b"), Some("x  y\n<"));
    assert_eq!(root.text(), "1\n2\n3&&A4");
    assert_eq!(root.children().count(), 1);
}

#[test]
fn names_are_resolved_by_namespace_never_by_prefix() {
    let document = read("<p:a xmlns:p='u' xmlns='d'><b p:c='1' c='2'/><q:b xmlns:q='u'/></p:a>").expect("read");
    let root = document.root();
    assert!(root.is("u", "a"));
    let b = root.child("d", "b").expect("there");
    assert_eq!((b.attribute("c"), b.attribute_ns("u", "c")), (Some("2"), Some("1")));
    assert!(root.child("u", "b").is_some());
    assert!(root.child("", "b").is_none());
    assert_eq!(b.resolve_prefix("p"), Some("u"));
    assert_eq!(b.resolve_prefix("x"), None);
}

#[test]
fn ranges_and_lines_are_those_of_the_source() {
    let text = "<a>\n <b>x</b>\n <c/></a>";
    let document = read(text).expect("read");
    let found: Vec<_> = document.root().children().map(|child| (&text[child.range()], child.line())).collect();
    assert_eq!(found, [("<b>x</b>", 2), ("<c/>", 3)]);
    assert_eq!(&text[document.root().range()], text);
}

#[test]
fn a_fragment_is_read_with_the_bindings_of_its_place() {
    let outer = read("<p:a xmlns:p='u' xmlns='d'/>").expect("read");
    let context = outer.root().namespace_context();
    let fragment = parse_in_context("<p:b><c/></p:b>", Limits::MESSAGE, &context).expect("read");
    assert!(fragment.root().is("u", "b"));
    let canonical = canonicalize(fragment.root(), Canonicalization::Exclusive(&[]), &[]);
    assert_eq!(canonical, "<p:b xmlns:p=\"u\"><c xmlns=\"d\"></c></p:b>");
    assert!(parse("<p:b/>", Limits::MESSAGE).is_err());
}

#[test]
fn canonical_bytes_read_back_to_the_same_canonical_bytes() {
    let text = "<p:a xmlns:p='u' xmlns:q='v' q:z=\"&#9;'&quot;\"><b xmlns='w'>&#13;&gt;</b>\u{e4}</p:a>";
    let once = canonicalize(read(text).expect("read").root(), Canonicalization::Exclusive(&[]), &[]);
    let again = canonicalize(read(&once).expect("read").root(), Canonicalization::Exclusive(&[]), &[]);
    assert_eq!(once, again);
}

#[test]
fn an_apex_takes_along_what_its_form_says() {
    let document = read("<a xmlns='d' xmlns:p='u' xmlns:q='v' xml:lang='de'><p:b><q:c/></p:b></a>").expect("read");
    let apex = document.root().child("u", "b").expect("there");
    assert_eq!(canonicalize(apex, Canonicalization::Exclusive(&[]), &[]), r#"<p:b xmlns:p="u"><q:c xmlns:q="v"></q:c></p:b>"#);
    let listed = canonicalize(apex, Canonicalization::Exclusive(&["q", "#default", "x"]), &[]);
    assert_eq!(listed, r#"<p:b xmlns="d" xmlns:p="u" xmlns:q="v"><q:c></q:c></p:b>"#);
    let inclusive = canonicalize(apex, Canonicalization::Inclusive, &[]);
    assert_eq!(inclusive, r#"<p:b xmlns="d" xmlns:p="u" xmlns:q="v" xml:lang="de"><q:c></q:c></p:b>"#);
    let c = apex.child("v", "c").expect("there");
    assert_eq!(canonicalize(apex, Canonicalization::Exclusive(&[]), &[c]), r#"<p:b xmlns:p="u"></p:b>"#);
}

#[test]
fn metadata_may_have_comments_and_instructions_which_never_split_a_text() {
    let text = "<?xml version='1.0'?><!-- a --><?b c?><a>x<!-- y -->z<?w?>!</a><!-- b -->";
    let document = parse(text, Limits::METADATA).expect("read");
    assert_eq!(document.root().text(), "xz!");
    let error = read("<a>\n<!-- x --></a>").expect_err("refused");
    assert_eq!((error.kind, error.line), (XmlErrorKind::Comment, 2));
}

#[test]
fn what_is_skipped_must_be_well_formed_too() {
    let broken = [
        "<a><!-- -- --></a>",
        "<a><!-- ---></a>",
        "<a><?XML x?></a>",
        "<a><?a:b?></a>",
        "<a><? x?></a>",
        "<?xml encoding='UTF-8' version='1.0'?><a/>",
        "<?xml version='1.0' version='1.0'?><a/>",
        "<?xml version='1.0' standalone='maybe'?><a/>",
        "<?xml version='1.0' standalone='yes' encoding='UTF-8'?><a/>",
    ];
    let refused = |text: &&str| matches!(parse(text, Limits::METADATA), Err(XmlError { kind: XmlErrorKind::Malformed(_), .. }));
    let read: Vec<_> = broken.into_iter().filter(|text| !refused(text)).collect();
    assert!(read.is_empty(), "{read:?}");
    for text in ["<a><!----><!-- - --><?b?><?b ?? ?></a>", "<?xml version='1.0' encoding='utf-8' standalone='no' ?><a/>"] {
        assert!(parse(text, Limits::METADATA).is_ok(), "{text}");
    }
}

#[test]
fn the_writer_escapes_everything_it_is_given() {
    let mut writer = Writer::new();
    writer.start("a").attribute("b", "\"<&>\t\n\r").text("<&>\r]]>\u{7}").leaf("c", "").optional("d", None);
    let text = writer.finish();
    assert_eq!(text, "<a b=\"&quot;&lt;&amp;>&#x9;&#xA;&#xD;\">&lt;&amp;&gt;&#xD;]]&gt;\u{fffd}<c></c></a>");
    let document = read(&text).expect("read");
    assert_eq!(document.root().attribute("b"), Some("\"<&>\t\n\r"));
    assert_eq!(document.root().text(), "<&>\r]]>\u{fffd}");
}
