//! The ACS: any octets, as a form value and as the XML in one. Whatever is accepted was said by the identity provider.
#![no_main]

use isthmus::saml::peek_in_response_to;
use isthmus_fuzz::{base64, login, mutate};
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};

fn judge(form_value: &str) {
    let _ = peek_in_response_to(form_value);
    let lax = login::receive(form_value, &login::lax());
    let strict = login::receive(form_value, &login::strict());
    for verified in lax.iter().chain(&strict) {
        login::assert_genuine(verified);
    }
    assert!(lax.is_ok() || strict.is_err(), "the strict policy accepts what the lax one refuses");
}

fuzz_target!(|data: &[u8]| {
    // Base64 has no angle bracket, and XML begins with one.
    match str::from_utf8(data) {
        Ok(text) if !text.contains('<') => judge(text),
        _ => judge(&base64(data)),
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::xml(data, size, max_size, seed, &login::RESPONSES, fuzzer_mutate)
});
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutate::cross(one, other, out, seed) });
