//! Metadata of a federation: any text, read as it comes. With a pinned key only what that key signed is believed, and what is
//! found is what the reader of single documents finds.
#![no_main]

use isthmus::saml::MetadataOptions;
use isthmus::saml::aggregate::{Aggregate, Terms, Trust, Validity};
use isthmus::saml::metadata::read_idp;
use isthmus_fuzz::{keys, login, mutate};
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| {
    let trust = Trust::new(&[], true).expect("meant");
    if let Ok(aggregate) = Aggregate::read(data, &Terms { trust, validity: Validity::Optional }, login::now()) {
        let text = str::from_utf8(data).expect("what was read is UTF-8");
        assert!(!aggregate.is_empty() && !aggregate.is_signed());
        assert!(aggregate.valid_until().is_none_or(|until| until > login::now()));
        for entity in aggregate.entities() {
            assert!(aggregate.entity(&entity.entity_id).is_some_and(|found| found.entity_id == entity.entity_id));
            let read = entity.idp(login::now());
            assert_eq!(read.is_ok(), entity.is_idp, "read once, read again: {read:?}");
            let options = MetadataOptions { entity_id: Some(&entity.entity_id), pinned: None };
            if let (Ok(read), Ok(single), 0) = (read, read_idp(text, options, login::now()), aggregate.fault_count()) {
                assert_eq!(read.sso_endpoints, single.sso_endpoints);
                assert_eq!(read.valid_until, single.valid_until);
                assert!(read.keys.fingerprints().eq(single.keys.fingerprints()));
            }
            let offered = entity.is_idp && !entity.hidden;
            let found = aggregate.search("", "en", usize::MAX, login::now());
            assert_eq!(found.iter().any(|found| found.entity.entity_id == entity.entity_id), offered);
        }
    }
    let trust = Trust::pinned(keys::SP.clone());
    if let Ok(aggregate) = Aggregate::read(data, &Terms { trust, validity: Validity::Optional }, login::now()) {
        assert!(aggregate.is_signed());
        for entity in aggregate.entities() {
            let read = entity.idp(login::now()).expect("only an identity provider was signed");
            let sso: Vec<_> = read.sso_endpoints.iter().map(|endpoint| endpoint.location.as_str()).collect();
            assert_eq!((read.entity_id.as_str(), sso.as_slice()), (login::IDP, [login::SSO].as_slice()), "nobody signed this");
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::xml(data, size, max_size, seed, &login::METADATA, fuzzer_mutate)
});
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutate::cross(one, other, out, seed) });
