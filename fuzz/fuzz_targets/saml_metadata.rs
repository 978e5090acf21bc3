//! Metadata of a partner: any text. With a pinned key only what that key signed is believed.
#![no_main]

use isthmus::saml::MetadataOptions;
use isthmus::saml::metadata::read_idp;
use isthmus_fuzz::{keys, login, mutate};
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};
use openssl::x509::X509;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    for entity_id in [None, Some(login::IDP)] {
        let read = read_idp(text, MetadataOptions { entity_id, pinned: None }, login::now());
        if let Ok(read) = &read {
            assert!(!read.entity_id.is_empty() && !read.signing_certificates.is_empty());
            assert!(entity_id.is_none_or(|wanted| wanted == read.entity_id));
            assert!(read.valid_until.is_none_or(|until| until > login::now()));
        }
        if let Ok(pinned) = read_idp(text, MetadataOptions { entity_id, pinned: Some(&keys::SP) }, login::now()) {
            let sso: Vec<_> = pinned.sso_endpoints.iter().map(|endpoint| endpoint.location.as_str()).collect();
            assert_eq!((pinned.entity_id.as_str(), sso.as_slice()), (login::IDP, [login::SSO].as_slice()), "nobody signed this");
            let key = |of: &X509| of.public_key().and_then(|key| key.public_key_to_der()).unwrap_or_default();
            let signing: Vec<_> = pinned.signing_certificates.iter().map(key).collect();
            assert_eq!(signing, [key(keys::IDP_EC.certificate())], "nobody signed this key");
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::xml(data, size, max_size, seed, &login::METADATA, fuzzer_mutate)
});
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutate::cross(one, other, out, seed) });
