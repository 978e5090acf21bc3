//! Honest but strange signatures that other engines refuse, or read otherwise: refused by name here too.

use super::support::*;
use crate::saml::signature::{Allowed, signature_scheme, verify_each};
use crate::saml::xml::{Canonicalization, Limits, canonicalize, parse};
use crate::saml::{Rejection, names};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const LIST: &str = r#"<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="p q"/>"#;

const NAMESPACES: &str = r#"xmlns:p="urn:p" xmlns:q="urn:q""#;

#[test]
fn prefixes_are_separated_by_one_space_each() {
    let genuine = signed(NAMESPACES, names::EXC_C14N, LIST, &["p", "q"]);
    assert_eq!(verify(&genuine).expect("verified"), r#"<a xmlns:p="urn:p" xmlns:q="urn:q" ID="_a"><b>genuine</b></a>"#);
    assert!(verify(&signed(NAMESPACES, names::EXC_C14N, &LIST.replace("p q", ""), &[])).is_ok());
    refused(&signed(NAMESPACES, names::EXC_C14N, &LIST.replace("p q", " p q"), &["p", "q"]));
    for separator in ["&#9;", "&#10;", "&#13;", "  ", "\n ", " &#32;"] {
        let list = LIST.replace("p q", &format!("p{separator}q"));
        refused(&signed(NAMESPACES, names::EXC_C14N, &list, &["p", "q"]));
    }
}

#[test]
fn a_transform_has_one_prefix_list_and_nothing_else() {
    refused(&signed(NAMESPACES, names::EXC_C14N, &[LIST.replace("p q", "p"), LIST.replace("p q", "q")].concat(), &["p", "q"]));
    refused(&signed(NAMESPACES, names::EXC_C14N, &format!("{LIST}<ds:XPath/>"), &["p", "q"]));
    refused(&signed(NAMESPACES, names::EXC_C14N, "<ds:XPath/>", &[]));
}

#[test]
fn inclusive_c14n_takes_no_parameters() {
    assert!(verify(&signed(NAMESPACES, names::C14N, "", &[])).is_ok());
    refused(&signed(NAMESPACES, names::C14N, LIST, &[]));
}

// Canonical XML 1.3, at its end.
#[test]
fn a_document_with_a_relative_or_ambiguous_namespace_name_has_no_canonical_form() {
    for (name, good) in [
        ("urn:r", true),
        ("http://example.com/r#x", true),
        ("http://example.com:80/r?a=b;c", true),
        // Absolute, and not to libxml2; written as it stands by libxml2.
        ("tag:example.com,2004:r", false),
        ("http:///r", false),
        ("http://example.com:x/r", false),
        ("http://example.com/r#x#y", false),
        ("http://example.com/r?a&amp;b", false),
        ("relative", false),
        ("#fragment", false),
        ("//example.com/r", false),
        ("1:r", false),
        ("urn:a b", false),
        ("http://example.com/\u{e4}", false),
    ] {
        let xml = signed(&format!("xmlns:r=\"{name}\""), names::EXC_C14N, "", &[]);
        if good { drop(verify(&xml).expect(name)) } else { refused(&xml) }
    }
}

#[test]
fn what_holds_text_holds_nothing_else() {
    let genuine = signed(NAMESPACES, names::EXC_C14N, "", &[]);
    assert!(verify(&genuine).is_ok());
    refused(&resigned(&genuine.replace("</ds:DigestValue>", "<ds:X>AAAA</ds:X></ds:DigestValue>")));
    refused(&resigned(&genuine.replace("#sha256\"/><ds:DigestValue>", "#sha256\"><ds:X/></ds:DigestMethod><ds:DigestValue>")));
}

fn refused(xml: &str) {
    assert_eq!(verify(xml).expect_err(xml).name(), "signature-structure", "{xml}");
}

/// A document with these declarations, well signed with these transforms; `prefixes` as they are meant.
fn signed(declarations: &str, form: &str, parameters: &str, prefixes: &[&str]) -> String {
    let info = format!(
        concat!(
            r#"<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{exclusive}"/><ds:SignatureMethod Algorithm="{rsa}"/>"#,
            r##"<ds:Reference URI="#_a"><ds:Transforms><ds:Transform Algorithm="{enveloped}"/>"##,
            r#"<ds:Transform Algorithm="{form}">{parameters}</ds:Transform></ds:Transforms>"#,
            r#"<ds:DigestMethod Algorithm="{sha256}"/><ds:DigestValue>DIGEST</ds:DigestValue></ds:Reference></ds:SignedInfo>"#,
        ),
        exclusive = names::EXC_C14N,
        rsa = names::RSA_SHA256,
        enveloped = names::ENVELOPED,
        form = form,
        parameters = parameters,
        sha256 = names::SHA256,
    );
    let signature = format!(r#"<ds:Signature xmlns:ds="{}">{info}<ds:SignatureValue>VALUE</ds:SignatureValue></ds:Signature>"#, names::DS);
    let xml = format!(r#"<a ID="_a" {declarations}>{signature}<b>genuine</b></a>"#);
    let method = if form == names::C14N { Canonicalization::Inclusive } else { Canonicalization::Exclusive(prefixes) };
    let xml = xml.replace("DIGEST", &STANDARD.encode(crate::id::sha256(of_document(&xml, method).as_bytes())));
    resigned(&xml)
}

/// With the value that its SignedInfo asks for.
fn resigned(xml: &str) -> String {
    let scheme = signature_scheme(names::RSA_SHA256, Allowed::default()).expect("known");
    let value = RSA.certified.key.sign(scheme, of_signed_info(xml).as_bytes()).expect("signed");
    let (before, rest) = xml.split_once("<ds:SignatureValue>").expect("there");
    let (_, after) = rest.split_once("</ds:SignatureValue>").expect("there");
    format!("{before}<ds:SignatureValue>{}</ds:SignatureValue>{after}", STANDARD.encode(value))
}

fn of_document(xml: &str, method: Canonicalization<'_>) -> String {
    let document = parse(xml, Limits::MESSAGE).expect("read");
    let signature = document.root().child(names::DS, "Signature").expect("there");
    canonicalize(document.root(), method, &[signature])
}

fn of_signed_info(xml: &str) -> String {
    let document = parse(xml, Limits::MESSAGE).expect("read");
    let signature = document.root().child(names::DS, "Signature").expect("there");
    canonicalize(signature.child(names::DS, "SignedInfo").expect("there"), Canonicalization::Exclusive(&[]), &[])
}

fn verify(xml: &str) -> Result<String, Rejection> {
    let document = parse(xml, Limits::MESSAGE).expect("read");
    let allowed = Allowed { inclusive_c14n: true, ..Allowed::default() };
    let mut outcomes = verify_each(&document, &RSA.trusted(), allowed).expect("in place");
    let (_, outcome) = outcomes.pop().expect("a signature");
    outcome.map(|signed| signed.bytes().to_owned())
}
