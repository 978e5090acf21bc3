use super::*;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509Builder, X509NameBuilder};
use serde_json::json;

/// Begin and end of every certificate here.
const FROM: i64 = 1_000_000;
const UNTIL: i64 = 2_000_000;

struct Made {
    certificate: X509,
    key: PKey<Private>,
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn number() -> openssl::bn::BigNum {
    openssl::bn::BigNum::new().expect("a number")
}

fn make(name: &str, by: Option<&Made>, is_authority: bool) -> Made {
    let key = key();
    let mut subject = X509NameBuilder::new().expect("a name");
    subject.append_entry_by_text("O", "Acme").expect("an entry");
    subject.append_entry_by_text("CN", name).expect("an entry");
    let subject = subject.build();
    let mut builder = X509Builder::new().expect("a builder");
    builder.set_version(2).expect("set");
    builder.set_subject_name(&subject).expect("set");
    builder.set_issuer_name(by.map_or(&subject, |by| by.certificate.subject_name())).expect("set");
    builder.set_pubkey(&key).expect("set");
    builder.set_not_before(&Asn1Time::from_unix(FROM).expect("a time")).expect("set");
    builder.set_not_after(&Asn1Time::from_unix(UNTIL).expect("a time")).expect("set");
    let mut constraints = BasicConstraints::new();
    if is_authority {
        constraints.ca();
    }
    builder.append_extension(constraints.critical().build().expect("an extension")).expect("set");
    if !is_authority {
        let names = SubjectAlternativeName::new()
            .dns("notes.example")
            .uri("spiffe://acme/notes")
            .email("notes@acme.example")
            .ip("192.0.2.7")
            .build(&builder.x509v3_context(None, None))
            .expect("an extension");
        builder.append_extension(names).expect("set");
    }
    builder.sign(by.map_or(&key, |by| &by.key), MessageDigest::sha256()).expect("signed");
    Made { certificate: builder.build(), key }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn authorities(made: &Made) -> Authorities {
    Authorities::from_pem(&made.certificate.to_pem().expect("PEM")).expect("authorities")
}

fn of(made: &Made, chain: &[&Made]) -> ClientCertificate {
    ClientCertificate::new(made.certificate.clone(), chain.iter().map(|link| link.certificate.clone()).collect()).expect("a certificate")
}

fn dn() -> TlsSubject {
    TlsSubject::Dn("CN=notes, O=ACME".to_owned())
}

#[test]
fn an_authority_must_vouch_for_the_certificate() {
    let (root, stranger) = (make("root", None, true), make("root", None, true));
    let middle = make("middle", Some(&root), true);
    let (direct, deep) = (make("notes", Some(&root), false), make("notes", Some(&middle), false));
    let forged = make("notes", Some(&stranger), false);
    let alone = make("notes", None, false);
    let trusted = authorities(&root);
    assert!(of(&direct, &[]).is_of(&dn(), &trusted, at(FROM + 1)));
    assert!(of(&deep, &[&middle]).is_of(&dn(), &trusted, at(FROM + 1)));
    for refused in [of(&deep, &[]), of(&forged, &[&stranger]), of(&alone, &[])] {
        assert!(!refused.is_of(&dn(), &trusted, at(FROM + 1)));
    }
    // A client's certificate is no authority.
    let below = make("notes", Some(&direct), false);
    assert!(!of(&below, &[&direct]).is_of(&dn(), &trusted, at(FROM + 1)));
    assert!(!of(&direct, &[]).is_of(&dn(), &Authorities::default(), at(FROM + 1)), "nobody vouches for anything");
}

#[test]
fn certificates_are_good_from_their_first_to_their_last_second() {
    let root = make("root", None, true);
    let (notes, trusted) = (of(&make("notes", Some(&root), false), &[]), authorities(&root));
    for (seconds, good) in [(FROM - 1, false), (FROM, true), (UNTIL, true), (UNTIL + 1, false)] {
        assert_eq!(notes.is_of(&dn(), &trusted, at(seconds)), good, "{seconds}");
    }
}

#[test]
fn a_certificate_names_the_client_in_the_registered_way_only() {
    let root = make("root", None, true);
    let (notes, trusted) = (of(&make("notes", Some(&root), false), &[]), authorities(&root));
    let text = str::to_owned;
    let cases = [
        (TlsSubject::SanDns(text("NOTES.example")), true),
        (TlsSubject::SanDns(text("wiki.example")), false),
        (TlsSubject::SanDns(text("spiffe://acme/notes")), false),
        (TlsSubject::SanUri(text("spiffe://acme/notes")), true),
        (TlsSubject::SanUri(text("spiffe://acme/Notes")), false),
        (TlsSubject::SanEmail(text("notes@acme.example")), true),
        (TlsSubject::SanEmail(text("notes.example")), false),
        (TlsSubject::SanIp("192.0.2.7".parse().expect("an address")), true),
        (TlsSubject::SanIp("192.0.2.8".parse().expect("an address")), false),
        (TlsSubject::SanIp("2001:db8::7".parse().expect("an address")), false),
        (TlsSubject::Dn(text("CN=wiki,O=Acme")), false),
        (TlsSubject::Dn(text("")), false),
    ];
    for (subject, good) in cases {
        assert_eq!(notes.is_of(&subject, &trusted, at(FROM + 1)), good, "{subject:?}");
    }
}

#[test]
fn a_self_signed_certificate_must_have_a_registered_key() {
    let (notes, other) = (make("notes", None, false), make("notes", None, false));
    let certificate = of(&notes, &[]);
    let text = |name: &str| {
        let key = notes.key.ec_key().expect("a key");
        let (mut x, mut y, mut context) = (number(), number(), openssl::bn::BigNumContext::new().expect("a context"));
        key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).expect("a point");
        id::base64url(&if name == "x" { x } else { y }.to_vec_padded(32).expect("32 octets"))
    };
    let key = json!({ "kty": "EC", "crv": "P-256", "x": text("x"), "y": text("y"), "use": "sig" });
    let x5c = |made: &Made| json!({ "kty": "EC", "x5c": [STANDARD.encode(made.certificate.to_der().expect("DER"))] });
    let registered = |key: Value, seconds| {
        certificate.is_registered_in(&ClientJwks::parse(&json!({ "keys": [{ "kty": "RSA" }, key] })).expect("keys"), at(seconds))
    };
    assert!(registered(key.clone(), FROM));
    assert!(registered(x5c(&notes), FROM));
    assert!(!registered(x5c(&other), FROM), "a certificate of the same names by another key");
    assert!(!registered(key.clone(), UNTIL + 1));
    for (name, value) in [("x", text("y")), ("crv", "P-384".to_owned()), ("kty", "RSA".to_owned()), ("y", String::new())] {
        let mut wrong = key.clone();
        wrong[name] = value.into();
        assert!(!registered(wrong, FROM), "{name}");
    }
    assert!(!certificate.is_registered_in(&ClientJwks::parse(&json!({ "keys": [] })).expect("keys"), at(FROM)));
}

#[test]
fn a_thumbprint_is_that_of_the_certificate() {
    let notes = make("notes", None, false);
    let der = notes.certificate.to_der().expect("DER");
    let certificate = ClientCertificate::from_der(&der, &[]).expect("read");
    assert_eq!(certificate.thumbprint(), id::base64url(&id::sha256(&der)));
    let pem = notes.certificate.to_pem().expect("PEM");
    assert_eq!(ClientCertificate::from_pem(&pem).expect("read").thumbprint(), certificate.thumbprint());
    assert!(ClientCertificate::from_pem(b"").is_err() && ClientCertificate::from_der(b"x", &[]).is_err());
}

#[test]
fn proxies_write_certificates_in_several_ways() {
    let root = make("root", None, true);
    let (notes, middle) = (make("notes", Some(&root), false), make("middle", Some(&root), true));
    let base64 = |made: &Made| STANDARD.encode(made.certificate.to_der().expect("DER"));
    let pem = String::from_utf8(notes.certificate.to_pem().expect("PEM")).expect("text");
    let escaped = pem.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D").replace('\n', "%0A").replace(' ', "%20");
    let expected = of(&notes, &[]);
    for text in [format!(":{}:", base64(&notes)), escaped, pem.replace('\n', "%0A"), pem.replace('\n', " "), base64(&notes)] {
        let read = ClientCertificate::from_header(&text, None).expect("read").expect("a certificate");
        assert_eq!(read.thumbprint(), expected.thumbprint(), "{text}");
    }
    let chain = format!(":{}:, :{}:", base64(&middle), base64(&root));
    let read = ClientCertificate::from_header(&format!(":{}:", base64(&notes)), Some(&chain)).expect("read").expect("a certificate");
    assert_eq!(read.chain.len(), 2);
    assert!(ClientCertificate::from_header("", None).expect("read").is_none());
    for text in [":", ":x", "::", "-----BEGIN CERTIFICATE-----", "%", "x", ":AAAA:"] {
        assert!(ClientCertificate::from_header(text, None).is_err(), "{text}");
    }
    for octets in crate::oidc::testing::hostile(5_000) {
        let _ = ClientCertificate::from_header(&String::from_utf8_lossy(&octets), None);
    }
}
