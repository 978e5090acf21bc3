//! The redirect binding: any octets as the query, and as a message that is put into one. What the signature covers is what
//! is read, and whatever was encoded is decoded to the same.
#![no_main]

use isthmus::saml::Signer;
use isthmus::saml::binding::{MESSAGE_LIMIT, MessageKind, RELAY_STATE_LIMIT, decode_redirect, encode_redirect};
use isthmus::saml::idp::{AuthnRequest, receive_post, receive_redirect};
use isthmus_fuzz::{base64, keys, login, mutate};
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::sync::LazyLock;
use url::Url;

static DESTINATION: LazyLock<Url> = LazyLock::new(|| Url::parse(login::SSO).expect("a URL"));

/// What the application asked, as its own signed messages say it.
static GENUINE: LazyLock<Vec<AuthnRequest>> = LazyLock::new(|| {
    let read = |(_, query): (String, String)| receive_redirect(&query, Some(&keys::SP), &mut Vec::new()).expect("a genuine request");
    login::signed_queries().into_iter().map(read).collect()
});

fn query(raw: &str) {
    let Ok(message) = decode_redirect(raw) else {
        assert!(receive_redirect(raw, None, &mut Vec::new()).is_err());
        return;
    };
    assert!(message.xml.len() <= MESSAGE_LIMIT);
    round_trip(message.kind, &message.xml, message.relay_state.as_deref());
    let unsigned = receive_redirect(raw, None, &mut Vec::new());
    if let Ok(request) = &unsigned {
        assert!(!request.signed && !request.id.is_empty() && !request.issuer.is_empty());
        assert_eq!(request.relay_state, message.relay_state);
    }
    let signed = receive_redirect(raw, Some(&keys::SP), &mut Vec::new());
    if let Ok(request) = signed {
        assert!(GENUINE.contains(&request), "nobody signed this: {request:#?}");
        assert_eq!(unsigned.ok(), Some(AuthnRequest { signed: false, ..request }), "the same query reads differently");
    }
}

fn round_trip(kind: MessageKind, xml: &str, relay_state: Option<&str>) {
    for signer in [None, Some(Signer::new(&keys::SP_EC))] {
        let url = encode_redirect(kind, xml, &DESTINATION, relay_state, signer).expect("it can be encoded");
        assert_eq!((url.origin(), url.path()), (DESTINATION.origin(), DESTINATION.path()));
        let raw = url.query().expect("a query");
        assert!(raw.bytes().all(|byte| byte.is_ascii_graphic()), "{raw}");
        let Ok(message) = decode_redirect(raw) else {
            // Escaping may carry a large relay state over what is read; what the application may send is below.
            assert!(xml.len() > MESSAGE_LIMIT || relay_state.is_some_and(|state| state.len() > RELAY_STATE_LIMIT), "{raw}");
            return;
        };
        assert_eq!((message.kind, message.xml.as_str(), message.relay_state.as_deref()), (kind, xml, relay_state));
        assert_eq!(message.is_signed(), signer.is_some());
        let verified = message.verify(&keys::SP, Default::default(), &mut Vec::new());
        assert_eq!(verified.is_ok(), signer.is_some());
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    query(text);
    if text.starts_with('<') {
        let (xml, relay_state) = text.split_once('\0').map_or((text, None), |(xml, state)| (xml, Some(state)));
        let url = encode_redirect(MessageKind::Request, xml, &DESTINATION, relay_state, None).expect("it can be encoded");
        query(url.query().expect("a query"));
        for keys in [None, Some(&*keys::SP)] {
            if let Ok(request) = receive_post(&base64(xml.as_bytes()), relay_state, keys, &mut Vec::new()) {
                let genuine =
                    |genuine: &AuthnRequest| AuthnRequest { relay_state: request.relay_state.clone(), ..genuine.clone() } == request;
                assert!(keys.is_none() || GENUINE.iter().any(genuine), "nobody signed this: {request:#?}");
            }
        }
    }
});

// A query is mutated as octets, a message as XML.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::xml(data, size, max_size, seed, &login::REQUESTS, fuzzer_mutate)
});
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutate::cross(one, other, out, seed) });
