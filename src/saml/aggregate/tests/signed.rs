//! Signatures over whole documents, ours and those of an independent judge, and what attackers make of them.

use super::*;

fn refusal(xml: &str, terms: &Terms) -> &'static str {
    match read(xml, terms).expect_err("refused") {
        AggregateError::Signature(rejection) => rejection.name(),
        other => panic!("another refusal: {other}"),
    }
}

/// Lets xmlsec1 sign: SignatureMethod, DigestMethod, PrefixList.
fn xmlsec1_signs(xml: &str, key: &TestKey, (algorithm, digest, prefixes): (&str, &str, &str)) -> String {
    let list = format!("<ec:InclusiveNamespaces xmlns:ec=\"{}\" PrefixList=\"{prefixes}\"/>", names::EXC_C14N);
    let list = if prefixes.is_empty() { "" } else { &list };
    let template = format!(
        "\n<Signature xmlns=\"{}\">\n <SignedInfo>\n  <CanonicalizationMethod Algorithm=\"{c14n}\"/>\n  <SignatureMethod Algorithm=\"{algorithm}\"/>\n  <Reference URI=\"#_root\">\n   <Transforms><Transform Algorithm=\"{}\"/><Transform Algorithm=\"{c14n}\">{list}</Transform></Transforms>\n   <DigestMethod Algorithm=\"{digest}\"/><DigestValue/>\n  </Reference>\n </SignedInfo>\n <SignatureValue/>\n <KeyInfo><X509Data/></KeyInfo>\n</Signature>\n",
        names::DS,
        names::ENVELOPED,
        c14n = names::EXC_C14N,
    );
    let at = xml.find('>').expect("the root's tag") + 1;
    let judge = Judge::new();
    judge.file("x.xml", [&xml[..at], &template, &xml[at..]].concat());
    judge.file("k.pem", &key.pem);
    judge.file("c.pem", &key.certificate_pem);
    let id = format!("{}:EntitiesDescriptor", names::MD);
    let (good, out, error) = judge.run("xmlsec1", &["--sign", "--privkey-pem", "k.pem,c.pem", "--id-attr:ID", &id, "x.xml"]);
    assert!(good, "{error}");
    String::from_utf8(out).expect("utf-8")
}

/// Everything that canonicalisation has an opinion about.
fn odd() -> String {
    let inside = format!(
        "\r\n <!-- a comment --><md:Extensions xmlns:x='urn:x' xmlns:unused='urn:unused'><x:y b='&#9;&quot;' a='2' xmlns='urn:d'><z x:q='1' xml:lang='de'/>\n<![CDATA[<&>]]>&amp;&#xD;</x:y></md:Extensions>{}{}<md:EntitiesDescriptor>{}</md:EntitiesDescriptor>",
        entity(
            "one.example",
            "xmlns:mdui='urn:oasis:names:tc:SAML:metadata:ui' ID='_one'",
            "<md:Extensions ><mdui:nothing/></md:Extensions>"
        ),
        entity("two.example", "xmlns:md='urn:oasis:names:tc:SAML:2.0:metadata'", ""),
        entity("three.example", "", ""),
    );
    group("xmlns:q='urn:q'", &inside)
}

#[test]
fn what_xmlsec1_signs_is_accepted() {
    for (key, algorithm, digest) in
        [(&*RSA, names::RSA_SHA256, names::SHA256), (&*RSA, names::RSA_SHA512, names::SHA512), (&*EC, names::ECDSA_SHA384, names::SHA384)]
    {
        for prefixes in ["", "q #default unused"] {
            let xml = xmlsec1_signs(&odd(), key, (algorithm, digest, prefixes));
            let aggregate = read(&xml, &pinned(key)).unwrap_or_else(|error| panic!("{algorithm} {prefixes}: {error}\n{xml}"));
            assert!(aggregate.is_signed());
            assert_eq!((aggregate.len(), aggregate.fault_count()), (3, 0), "{:?}", aggregate.faults());
            assert!(aggregate.idp("https://three.example/", now()).is_ok());
        }
    }
}

#[test]
fn a_large_federation_is_accepted_only_from_the_pinned_key() {
    let xml = federation(50, Some(&RSA));
    let aggregate = read(&xml, &pinned(&RSA)).expect("read");
    assert_eq!((aggregate.len(), aggregate.is_signed()), (50, true));
    assert_eq!(refusal(&xml, &pinned(&OTHER_RSA)), "signature-invalid");
    assert_eq!(refusal(&xml, &pinned(&EC)), "signature-invalid");
    let named = sign(&group("", &entity("a.example", "", "")), Signer::new(&RSA.certified)).expect("signed");
    assert_eq!(refusal(&named, &pinned(&OTHER_RSA)), "wrong-key");
    // Nobody has to verify it who pinned nothing.
    assert!(!read(&xml, &unsigned()).expect("read").is_signed());
}

#[test]
fn any_changed_octet_is_noticed() {
    let xml = federation(3, Some(&RSA));
    for (from, to) in [
        ("<md:GivenName>Team", "<md:GivenName>team"),
        ("https://sso.berlin-1.example/sso/HTTP-POST", "https://sso.evil.example/sso/HTTP-POST"),
        ("regexp=\"false\"", "regexp=\"true\""),
        ("validUntil='2026-12-01", "validUntil='2026-12-02"),
        ("</md:EntityDescriptor>\n", "</md:EntityDescriptor> \n"),
        ("<md:Organization>", "<md:Organization x='y'>"),
    ] {
        assert!(xml.contains(from), "{from}");
        assert_eq!(refusal(&xml.replacen(from, to, 1), &pinned(&RSA)), "digest-differs", "{from}");
    }
    let comment = xml.replacen("<md:Organization>", "<!-- said nothing --><md:Organization>", 1);
    assert!(read(&comment, &pinned(&RSA)).is_ok(), "comments are not signed");
}

#[test]
fn what_nobody_signed_is_refused_where_a_key_is_pinned() {
    let genuine = sign(&group("", &entity("a.example", "", "")), Signer::new(&RSA.certified)).expect("signed");
    assert!(read(&genuine, &pinned(&RSA)).is_ok());
    assert_eq!(refusal(&group("", &entity("a.example", "", "")), &pinned(&RSA)), "unsigned");
    // An entity that is signed by itself does not make the document signed.
    let signed_entity =
        sign(&entity("a.example", &format!("xmlns:md='{}' xmlns:ds='{}' ID='_e'", names::MD, names::DS), ""), Signer::new(&RSA.certified))
            .expect("signed");
    assert_eq!(refusal(&group("", &signed_entity), &pinned(&RSA)), "unsigned");
    assert!(read(&signed_entity, &Terms { validity: Validity::Optional, ..pinned(&RSA) }).expect("alone it is").is_single());
    assert!(Trust::new(&[], false).is_err(), "not by leaving out the certificate");
}

#[test]
fn wrapped_signatures_cover_nothing() {
    let evil = entity("evil.example", "", "");
    let genuine = sign(&group("", &entity("a.example", "", "")), Signer::new(&RSA.certified)).expect("signed");
    let from = genuine.find("<ds:Signature").expect("there");
    let to = genuine.find("</ds:Signature>").expect("there") + "</ds:Signature>".len();
    let (signature, without) = (&genuine[from..to], [&genuine[..from], &genuine[to..]].concat());

    // The signature at a forged root, what it is about inside.
    let forged =
        |id: &str| group("", &format!("{signature}<md:Extensions>{without}</md:Extensions>{evil}")).replacen("ID=\"_root\"", id, 1);
    assert_eq!(refusal(&forged("ID=\"_forged\""), &pinned(&RSA)), "wrong-reference");
    assert_eq!(refusal(&forged("ID=\"_root\""), &pinned(&RSA)), "duplicate-id");
    assert_eq!(refusal(&forged(""), &pinned(&RSA)), "id-missing");
    // The whole genuine document inside another one.
    assert_eq!(refusal(&group("", &format!("{evil}{genuine}")).replacen("_root", "_other", 1), &pinned(&RSA)), "unsigned");
    // Something beside what was signed.
    let beside = genuine.replace("</md:EntitiesDescriptor>", &format!("{evil}</md:EntitiesDescriptor>"));
    assert_eq!(refusal(&beside, &pinned(&RSA)), "digest-differs");
    // Hidden in the signature, which is cut out before hashing.
    let inside = genuine.replace("</ds:Signature>", &format!("<ds:Object>{evil}</ds:Object></ds:Signature>"));
    assert_eq!(refusal(&inside, &pinned(&RSA)), "signature-structure");
    // Not in its place.
    let late = without.replace("</md:EntitiesDescriptor>", &format!("{signature}</md:EntitiesDescriptor>"));
    assert_eq!(refusal(&late, &pinned(&RSA)), "unsigned");
    // Twice.
    let twice = [&genuine[..to], signature, &genuine[to..]].concat();
    assert_eq!(refusal(&twice, &pinned(&RSA)), "several-signatures");
    let foreign = sign(&group("", &evil), Signer::new(&OTHER_RSA.certified)).expect("signed");
    let second = &foreign[foreign.find("<ds:Signature").expect("there")..foreign.find("</ds:Signature>").expect("there") + 15];
    let last = genuine.replace("</md:EntitiesDescriptor>", &format!("{second}</md:EntitiesDescriptor>"));
    assert_eq!(refusal(&last, &pinned(&RSA)), "several-signatures");
}

#[test]
fn weak_and_foreign_algorithms_are_refused() {
    for (algorithm, digest) in [(names::RSA_SHA1, names::SHA256), (names::RSA_SHA256, names::SHA1)] {
        assert_eq!(refusal(&xmlsec1_signs(&odd(), &RSA, (algorithm, digest, "")), &pinned(&RSA)), "algorithm-refused");
    }
    let xml = xmlsec1_signs(&odd(), &RSA, (names::RSA_SHA256, names::SHA256, ""));
    for (from, to, name) in [
        (names::EXC_C14N, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "transform-refused"),
        (names::ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116", "transform-refused"),
        (names::RSA_SHA256, "http://www.w3.org/2000/09/xmldsig#hmac-sha1", "algorithm-refused"),
    ] {
        assert_eq!(refusal(&xml.replacen(from, to, 1), &pinned(&RSA)), name);
    }
}

#[test]
fn an_id_that_occurs_twice_costs_the_second() {
    let inside = [entity("one.example", "ID='_e'", ""), entity("two.example", "ID='_e'", ""), entity("three.example", "ID='_f'", "")];
    let xml = sign(&group("", &inside.concat()), Signer::new(&RSA.certified)).expect("signed");
    let aggregate = read(&xml, &pinned(&RSA)).expect("read");
    let left: Vec<_> = aggregate.entities().map(|entity| &*entity.entity_id).collect();
    assert_eq!(left, ["https://one.example/", "https://three.example/"]);
    assert!(aggregate.faults()[0].reason.contains("_e occurs twice"));
}

#[test]
fn no_mutation_panics_or_says_what_nobody_signed() {
    let genuine = sign(&group("", &[entity("a.example", "ID='_a'", ""), entity("b.example", "", "")].concat()), Signer::new(&EC.certified));
    let genuine = genuine.expect("signed").into_bytes();
    let terms = pinned(&EC);
    let facts = |aggregate: &Aggregate| -> Vec<(String, String)> {
        let read = aggregate.entities().map(|entity| entity.idp(now()).expect("read"));
        read.map(|idp| (idp.entity_id, idp.sso_endpoints.iter().map(|endpoint| endpoint.location.to_string()).collect())).collect()
    };
    let signed = facts(&Aggregate::read(&*genuine, &terms, now()).expect("read"));
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let pieces: [&[u8]; 8] =
        [b"<", b">", b"&", b"\"", b"<!--", b"]]>", b"xmlns=''", b"<md:EntityDescriptor entityID='https://evil.example/'/>"];
    let mut accepted = 0;
    for _ in 0..2000 {
        let mut bytes = genuine.clone();
        let (at, length) = (random(bytes.len()), random(40));
        let end = (at + length).min(bytes.len());
        match random(4) {
            0 => bytes[at] = bytes[at].wrapping_add(1 + random(255) as u8),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, pieces[random(pieces.len())].iter().copied())),
            _ => {
                let (copy, to) = (bytes[at..end].to_vec(), random(genuine.len()));
                drop(bytes.splice(to..to, copy));
            }
        }
        if let Ok(aggregate) = Aggregate::read(&*bytes, &terms, now()) {
            assert_eq!(facts(&aggregate), signed, "{}", String::from_utf8_lossy(&bytes));
            accepted += 1;
        }
        drop(Aggregate::read(&*bytes, &unsigned(), now()));
    }
    assert!(accepted > 0, "white space outside the root, at least, means nothing");
}
