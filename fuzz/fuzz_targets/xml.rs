//! The reader and the canonical forms: what was read can be written, read again, and is the same.
#![no_main]

use isthmus::saml::xml::{Canonicalization, Element, Limits, canonicalize, parse, parse_in_context};
use isthmus_fuzz::mutate;
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};

const PREFIXES: &[&str] = &["#default", "saml", "x", "xml"];

fn assert_same(one: Element<'_>, other: Element<'_>) {
    assert_eq!((one.namespace(), one.local_name()), (other.namespace(), other.local_name()));
    assert_eq!(one.text(), other.text());
    for name in ["ID", "Id", "Algorithm", "URI", "Name", "Format"] {
        assert_eq!(one.attribute(name), other.attribute(name));
    }
    assert_eq!(one.children().count(), other.children().count());
    for (one, other) in one.children().zip(other.children()) {
        assert_same(one, other);
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let relaxed = parse(text, Limits::METADATA);
    let Ok(document) = parse(text, Limits::MESSAGE) else { return };
    assert_same(document.root(), relaxed.expect("metadata may be more").root());
    for method in [Canonicalization::Exclusive(&[]), Canonicalization::Exclusive(PREFIXES), Canonicalization::Inclusive] {
        let once = canonicalize(document.root(), method, &[]);
        let again = parse(&once, Limits::METADATA).unwrap_or_else(|error| panic!("{error} in {once}"));
        assert_same(document.root(), again.root());
        assert_eq!(canonicalize(again.root(), method, &[]), once);
    }
    // Every element, cut out of its document, is still what it was in its place.
    for element in document.elements().take(64) {
        let apart = canonicalize(element, Canonicalization::Exclusive(&[]), &[]);
        assert_same(element, parse(&apart, Limits::METADATA).expect("canonical").root());
        let context = element.namespace_context();
        let cut = &document.source()[element.range()];
        // A root's declarations count too: one more namespace may be in force than the limit allows.
        let fragment = parse_in_context(cut, Limits::MESSAGE, &context).unwrap_or_else(|error| panic!("{error} in {cut}"));
        assert_same(element, fragment.root());
        assert_eq!(canonicalize(fragment.root(), Canonicalization::Exclusive(&[]), &[]), apart);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate::xml(data, size, max_size, seed, &[], fuzzer_mutate) });
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutate::cross(one, other, out, seed) });
