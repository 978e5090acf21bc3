//! As `saml_response`, and libxmlsec1 must say yes to everything that the first engine accepts, byte for byte.
#![no_main]

use isthmus::saml::ResponsePolicy;
use isthmus_fuzz::{base64, login, mutate};
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| {
    let form_value = base64(data);
    for alone in [login::lax(), login::strict()] {
        let Ok(verified) = login::receive(&form_value, &alone) else { continue };
        login::assert_genuine(&verified);
        let both = login::receive(&form_value, &ResponsePolicy { second_opinion: true, ..alone });
        login::assert_genuine(&both.unwrap_or_else(|rejection| panic!("the engines differ: {rejection}")));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::xml(data, size, max_size, seed, &login::RESPONSES, fuzzer_mutate)
});
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutate::cross(one, other, out, seed) });
