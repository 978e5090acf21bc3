//! Signatures: what our engine says of each, and what libxmlsec1 says of the same one in the same document.

use super::edits;
use super::tree::{self, Element};
use super::xmlsec::{self, Verdict};
use crate::{keys, login};
use isthmus::saml::names;
use isthmus::saml::signature::{Allowed, SignedXml, verify_each};
use isthmus::saml::xml::{self, Document, Limits};
use std::sync::LazyLock;

/// What came out of one document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Our reader, or what we ask of the whole document, refuses.
    pub unread: bool,
    /// Signatures that both accept, over the same bytes.
    pub both: usize,
    pub neither: usize,
    /// We are stricter.
    pub only_theirs: usize,
    /// libxmlsec1 does not have the algorithm.
    pub unknown: usize,
}

/// What the edits begin with: signed responses, by RSA and ECDSA, assertion, response or both.
pub static BASES: LazyLock<Vec<Element>> = LazyLock::new(|| {
    let genuine = login::messages().into_iter().filter(|(name, _)| !name.starts_with("wrong_") && !name.starts_with("encrypted"));
    genuine.filter_map(|(_, xml)| tree::read(&xml)).collect()
});

/// The document that the fuzzer's bytes make.
pub fn document(bytes: &[u8]) -> Option<String> {
    edits::document(bytes, &BASES)
}

/// # Panics
/// When we accept what libxmlsec1 refuses, or both accept and hashed other bytes.
pub fn compare(text: &str) -> Compared {
    let mut compared = Compared::default();
    let Ok(document) = xml::parse(text, Limits::MESSAGE) else { return Compared { unread: true, ..compared } };
    let everything = Allowed { sha1: true, inclusive_c14n: true };
    let Ok(outcomes) = verify_each(&document, &keys::IDP, everything) else { return Compared { unread: true, ..compared } };
    for (place, ours) in outcomes {
        let number = document.elements().position(|element| element == place).unwrap_or(usize::MAX);
        match (&ours, theirs(text, number, &document)) {
            (_, Verdict::Unknown) => compared.unknown += 1,
            (Ok(ours), Verdict::Verified(bytes)) => {
                assert_eq!(ours.bytes(), String::from_utf8_lossy(&bytes), "other bytes of {text:?}");
                compared.both += 1;
            }
            (Ok(ours), Verdict::Refused) => {
                panic!("only we accept the signature of {:?} in {text:?}", SignedXml::bytes(ours));
            }
            (Err(_), Verdict::Verified(_)) => compared.only_theirs += 1,
            (Err(_), Verdict::Refused) => compared.neither += 1,
        }
    }
    compared
}

fn theirs(text: &str, number: usize, document: &Document<'_>) -> Verdict {
    let algorithms = document.elements().filter(|element| element.is(names::DS, "SignatureMethod"));
    let unknown = |algorithm: &str| algorithm.starts_with("http://www.w3.org/2007/05/xmldsig-more#") && !xmlsec::knows(algorithm);
    if algorithms.filter_map(|element| element.attribute("Algorithm")).any(unknown) {
        return Verdict::Unknown;
    }
    let keys = [&keys::IDP_EC, &keys::IDP_RSA].map(|key| key.certificate_der());
    let mut verdicts = keys.iter().map(|key| xmlsec::verify(text, number, key));
    verdicts.find(|verdict| *verdict != Verdict::Refused).unwrap_or(Verdict::Refused)
}
