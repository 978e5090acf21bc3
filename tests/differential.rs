//! What fuzzing kept, replayed: our canonical forms beside libxml2's, our signatures beside libxmlsec1's.
//!
//! The comparison, and how inputs become documents, are those of the fuzz targets `c14n_libxml2` and `signature_xmlsec`; a
//! difference is a panic that shows the document. `fuzz/README.md` says how to find more.
#![cfg(feature = "xmlsec")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "the targets use more of these files")]

#[path = "../fuzz/src/differential/mod.rs"]
mod differential;
#[path = "../fuzz/src/keys.rs"]
mod keys;
#[path = "../fuzz/src/login.rs"]
mod login;

use differential::libxml2::{self, Subset};
use differential::xmlsec::{self, Verdict};
use differential::{canonical, signed};
use std::fs;
use std::path::Path;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    fs::read_dir(directory).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_kept_document_has_the_canonical_forms_that_libxml2_makes() {
    let mut subsets = 0;
    for seed in seeds("c14n_libxml2") {
        let Ok(text) = String::from_utf8(seed) else { continue };
        subsets += canonical::compare(&text).subsets;
    }
    assert!(subsets > 5_000, "only {subsets} were compared");
}

#[test]
fn every_kept_signature_that_we_accept_is_one_that_xmlsec_accepts() {
    let (mut both, mut neither) = (0, 0);
    for seed in seeds("signature_xmlsec") {
        let Some(text) = signed::document(&seed) else { continue };
        let compared = signed::compare(&text);
        both += compared.both;
        neither += compared.neither;
    }
    assert!(both > 50 && neither > 150, "{both} accepted and {neither} refused by both");
}

#[test]
fn the_judges_can_say_no() {
    let signed = isthmus::saml::signature::sign("<a ID=\"_a\"><b>genuine</b></a>", isthmus::saml::Signer::new(&keys::IDP_EC)).unwrap();
    let certificate = keys::IDP_EC.certificate_der();
    let verdict = xmlsec::verify(&signed, 0, &certificate);
    assert_eq!(verdict, Verdict::Verified(b"<a ID=\"_a\"><b>genuine</b></a>".to_vec()));
    assert_eq!(xmlsec::verify(&signed.replace("genuine", "forged"), 0, &certificate), Verdict::Refused);
    assert_eq!(xmlsec::verify(&signed, 0, &keys::ATTACKER_EC.certificate_der()), Verdict::Refused);

    let document = libxml2::Document::read("<a xmlns:p='urn:p'><!-- x --><p:b/><c/></a>").unwrap();
    let whole = Subset { apex: 0, omit: &[2], exclusive: Some(&["p"]), comments: true };
    assert_eq!(document.canonical(whole).unwrap(), "<a xmlns:p=\"urn:p\"><!-- x --><p:b></p:b></a>");
    let part = Subset { exclusive: Some(&[]), comments: false, ..whole };
    assert_eq!(document.canonical(part).unwrap(), "<a><p:b xmlns:p=\"urn:p\"></p:b></a>");
    assert!(libxml2::Document::read("<a>").is_none());
}
