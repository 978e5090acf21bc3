//! Inputs that nobody means well with: each is refused by name, quickly, without a panic.

use super::support::*;
use crate::saml::binding::{decode_post, decode_redirect};
use crate::saml::*;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write as _;

#[test]
fn documents_that_are_not_strict_xml_are_refused_by_name() {
    let good = signed_assertion();
    let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    let wide = format!("<a {}/>", (0..100).map(|n| format!("a{n}=\"\"")).collect::<Vec<_>>().join(" "));
    let many = format!("<a>{}</a>", "<b c=\"\" d=\"\"/>".repeat(10_001));
    let laughs = "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]><lolz>&lol2;</lolz>";
    for (xml, name) in [
        (format!("<!DOCTYPE Response>{good}"), "document-type"),
        (laughs.to_owned(), "document-type"),
        ("<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><x/>".to_owned(), "document-type"),
        (good.replace("subject-1", "&lol;"), "not-well-formed"),
        (good.replace("subject-1", "\u{0}"), "not-well-formed"),
        (good.replace("subject-1", "&#0;"), "not-well-formed"),
        (good.replace("subject-1", "&#x1;"), "not-well-formed"),
        (good.replace("subject-1", "&#xD800;"), "not-well-formed"),
        (good.replace("subject-1", "&#99999999999;"), "not-well-formed"),
        (good.replace("subject-1", "&#+49;"), "not-well-formed"),
        (good.replace("subject-1", "a & b"), "not-well-formed"),
        (good.replace("subject-1", "]]>"), "not-well-formed"),
        (good.replace("subject-1", "\u{ffff}"), "not-well-formed"),
        (good[..good.len() / 2].to_owned(), "not-well-formed"),
        (good[..good.len() - 1].to_owned(), "not-well-formed"),
        (format!("{good}<x/>"), "not-well-formed"),
        (format!("{good}<<<&&"), "not-well-formed"),
        (format!("{good}trailing"), "not-well-formed"),
        (format!("{good}<!-- x -->"), "comment-or-instruction"),
        (format!("<?pi x?>{good}"), "comment-or-instruction"),
        (format!("{good}<?xml version=\"1.0\"?>"), "not-well-formed"),
        (format!("x{good}"), "not-well-formed"),
        (format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{good}"), "encoding"),
        (format!("<?xml version=\"1.1\"?>{good}"), "not-well-formed"),
        (deep(65), "too-complex"),
        (deep(30_000), "too-complex"),
        (wide, "too-complex"),
        (many, "too-complex"),
        ("x".repeat(300 * 1024), "too-large"),
        ("<a b=\"1\" b=\"2\"/>".to_owned(), "not-well-formed"),
        ("<a xmlns:p=\"u\" xmlns:q=\"u\" p:b=\"1\" q:b=\"2\"/>".to_owned(), "not-well-formed"),
        ("<p:a/>".to_owned(), "not-well-formed"),
        ("<a p:b=\"\"/>".to_owned(), "not-well-formed"),
        ("<a xmlns:xml=\"u\"/>".to_owned(), "not-well-formed"),
        ("<a xmlns:p=\"\"/>".to_owned(), "not-well-formed"),
        ("<a xmlns:xmlns=\"u\"/>".to_owned(), "not-well-formed"),
        ("<xmlns:a/>".to_owned(), "not-well-formed"),
        ("<a xmlns:p=\"u\" xmlns:p=\"v\"/>".to_owned(), "not-well-formed"),
        ("<a b=\"<\"/>".to_owned(), "not-well-formed"),
        ("<a b='1'c='2'/>".to_owned(), "not-well-formed"),
        ("<a b=1/>".to_owned(), "not-well-formed"),
        ("<a b/>".to_owned(), "not-well-formed"),
        ("<a></b>".to_owned(), "not-well-formed"),
        ("<a><b></a></b>".to_owned(), "not-well-formed"),
        ("<1a/>".to_owned(), "not-well-formed"),
        ("<a:b:c xmlns:a=\"u\"/>".to_owned(), "not-well-formed"),
        (" ".to_owned(), "not-well-formed"),
        (String::new(), "not-well-formed"),
        ("<Response/>".to_owned(), "wrong-root"),
        (format!("<x:Response xmlns:x=\"{}\"/>", names::SAML), "wrong-root"),
    ] {
        let rejection = refusal(&xml);
        assert_eq!(rejection.name(), name, "{rejection} for {}", xml.chars().take(120).collect::<String>());
    }
}

#[test]
fn a_declaration_a_byte_order_mark_and_white_space_are_harmless() {
    let good = signed_assertion();
    receive(&format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\n{good}\r\n")).expect("accepted");
}

#[test]
fn post_values_that_are_not_base64_of_utf_8_are_refused() {
    for value in ["%", "a", "????", "PGEv\u{0}Pg=="] {
        assert_eq!(decode_post(value).expect_err("refused").name(), "encoding", "{value}");
    }
    assert_eq!(decode_post("/////w==").expect_err("refused").name(), "encoding");
    assert_eq!(decode_post(&"A".repeat(1 << 20)).expect_err("refused").name(), "too-large");
    assert_eq!(decode_post(" PG\r\nEv\tPg== \n").expect("white space is harmless"), "<a/>");
}

#[test]
fn a_deflate_bomb_stops_at_the_limit() {
    use base64::Engine as _;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b' '; 50 << 20]).expect("compressed");
    let bomb = base64::engine::general_purpose::STANDARD.encode(encoder.finish().expect("compressed"));
    let bomb = bomb.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(decode_redirect(&format!("SAMLRequest={bomb}")).expect_err("refused").name(), "too-large");
    let query = "SAMLRequest=AAAA";
    assert!(["compression-broken", "encoding"].contains(&decode_redirect(query).expect_err("refused").name()));
    assert_eq!(decode_redirect(&"a".repeat(1 << 20)).expect_err("refused").name(), "too-large");
}

#[test]
fn nothing_that_was_cut_or_flipped_panics_or_passes() {
    let good = signed_assertion();
    let trusted = idp(&RSA);
    let policy = ResponsePolicy { second_opinion: false, ..ResponsePolicy::default() };
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let mut checks = Vec::new();
        let outcome = receive_response(&form(&changed), &sp(), &trusted, &[], &policy, &expected(), &mut checks);
        if let Ok(verified) = outcome {
            assert_eq!(verified.subject(), "subject-1", "changed at {at}");
            assert_eq!(verified.attributes(), answer().attributes, "changed at {at}");
        }
        let cut = good.get(..at).unwrap_or_default();
        assert!(receive_response(&form(cut), &sp(), &trusted, &[], &policy, &expected(), &mut checks).is_err());
    }
}

/// A response whose SignedInfo declares this namespace and holds these elements; nobody signed it.
fn with_signed_info(namespace: &str, content: &str) -> String {
    let (response, _) = unsigned();
    let signed_info = format!(
        "<ds:SignedInfo xmlns:p='{namespace}'><ds:CanonicalizationMethod Algorithm=\"{}\"/>{content}</ds:SignedInfo>",
        names::EXC_C14N
    );
    let signature =
        format!("<ds:Signature xmlns:ds=\"{}\">{signed_info}<ds:SignatureValue>AAAA</ds:SignatureValue></ds:Signature>", names::DS);
    response.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
}

#[test]
fn a_canonical_form_cannot_be_made_much_larger_than_the_message() {
    // Each of the 9,000 elements would repeat the declaration.
    let long = with_signed_info(&format!("urn:{}", "x".repeat(20_000)), &"<p:a/>".repeat(9_000));
    assert_eq!(refusal(&long).name(), "too-complex");
    let many = with_signed_info(&format!("urn:{}", "x".repeat(2_000)), &"<p:a/>".repeat(9_000));
    assert_eq!(refusal(&many).name(), "too-complex");
    let usual = with_signed_info("urn:x", "<p:a/>");
    assert_eq!(refusal(&usual).name(), "signature-structure");
}

#[test]
fn what_a_message_says_is_short_and_on_one_line_in_the_trace() {
    let (response, _) = unsigned();
    for said in ["x".repeat(200_000), "https://evil.example/&#10;another line".to_owned()] {
        let mut checks = Vec::new();
        let form = form(&response.replacen(&format!("Destination=\"{ACS}"), &format!("Destination=\"{said}"), 1));
        let refused = receive_response(&form, &sp(), &idp(&RSA), &[], &ResponsePolicy::default(), &expected(), &mut checks);
        let told = rejection::shown(refused.expect_err("refused").to_string());
        let found = &checks.last().expect("a check").found;
        for text in [&told, found] {
            assert!(text.len() < 1100 && !text.contains('\n'), "{text}");
        }
    }
}
