//! Canonical forms: ours and libxml2's of the same subset of the same document.

use super::libxml2::{self, Subset};
use isthmus::saml::xml::{Canonicalization, Limits, canonicalize, parse};

/// Elements of one document that become an apex in turn.
const APEXES: usize = 40;

/// Elements of a document that is small.
const SMALL: usize = 8;

/// What came out of one document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Subsets that were compared.
    pub subsets: usize,
    /// Our reader refuses the document.
    pub unread: bool,
}

/// A PrefixList, then the document, which begins with the first `<`.
///
/// # Panics
/// When libxml2 cannot read what we read, or reads another tree, or makes other bytes.
pub fn compare(input: &str) -> Compared {
    let (list, text) = input.split_at(input.find('<').unwrap_or(input.len()));
    let mut compared = Compared::default();
    let Ok(ours) = parse(text, Limits::METADATA) else { return Compared { unread: true, ..compared } };
    let theirs = libxml2::Document::read(text).unwrap_or_else(|| panic!("libxml2 does not read {text:?}"));
    let elements: Vec<_> = ours.elements().collect();
    assert_eq!(elements.len(), theirs.elements().len(), "other elements in {text:?}");
    // Comments are not in our tree; where the document has none, the forms with and without them are one.
    let comments: &[bool] = if parse(text, Limits::MESSAGE).is_ok() { &[false, true] } else { &[false] };
    let strange = |what: fn(&str) -> bool| ours.namespace_names().any(what);
    let relative = strange(libxml2::calls_relative);
    if strange(libxml2::does_not_escape) {
        return compared;
    }
    let given: Vec<&str> = list.split_ascii_whitespace().take(16).collect();
    let all = ["#default", "x", "y", "saml", "samlp", "ds", "xml", "a"];
    for (apex, element) in elements.iter().enumerate().take(APEXES) {
        let within = elements.iter().enumerate().filter(|(_, inner)| inner.parent() == Some(*element)).map(|(index, _)| index);
        let children: Vec<usize> = within.collect();
        let (first, odd): (Vec<usize>, Vec<usize>) =
            (children.iter().take(1).copied().collect(), children.iter().skip(1).step_by(2).copied().collect());
        let omitted = [&[], first.as_slice(), odd.as_slice()];
        // All of them for small documents; for each element another one where there are many.
        let omitted = if elements.len() > SMALL { &omitted[apex % 3..=apex % 3] } else { &omitted };
        for omit in omitted {
            for exclusive in [Some([].as_slice()), Some(given.as_slice()), Some(all.as_slice()), None] {
                let left_out: Vec<_> = omit.iter().filter_map(|index| elements.get(*index).copied()).collect();
                let method = exclusive.map_or(Canonicalization::Inclusive, Canonicalization::Exclusive);
                let our_bytes = canonicalize(*element, method, &left_out);
                for comments in comments {
                    let subset = Subset { apex, omit, exclusive, comments: *comments };
                    match theirs.canonical(subset) {
                        Some(their_bytes) => assert_eq!(our_bytes, their_bytes, "{subset:?} of {text:?}"),
                        None => assert!(relative, "libxml2 refuses {subset:?} of {text:?}"),
                    }
                    compared.subsets += 1;
                }
            }
        }
    }
    compared
}
