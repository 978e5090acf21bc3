//! A PrefixList and XML: what our reader reads libxml2 reads too, and every canonical form of every element is the same.
#![no_main]

use isthmus_fuzz::differential::{canonical, edits};
use isthmus_fuzz::mutate;
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        canonical::compare(text);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Half of it knows elements, half knows namespaces as well.
    if seed % 2 == 0 {
        return edits::mutate(data, size, max_size, seed).unwrap_or_else(|| fuzzer_mutate(data, size, max_size));
    }
    mutate::xml(data, size, max_size, seed, &[], fuzzer_mutate)
});
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutate::cross(one, other, out, seed) });
