//! Independent judges: xmlsec1 signs and encrypts what we read, and verifies and decrypts what we write; xmllint
//! canonicalises what we canonicalise.

use super::support::*;
use crate::keys::{Digest, SignatureScheme};
use crate::saml::encryption::{ContentCipher, KeyTransport};
use crate::saml::idp::{Encrypt, Sign, respond};
use crate::saml::metadata::{MetadataOptions, read_idp, write_sp};
use crate::saml::signature::sign;
use crate::saml::*;

const IDS: [&str; 16] = [
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:assertion:Assertion",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:Response",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:LogoutRequest",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:LogoutResponse",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:ArtifactResolve",
    "--id-attr:ID",
    "urn:oasis:names:tc:SAML:2.0:protocol:ArtifactResponse",
];

/// Whether xmlsec1 verifies the first signature of the document.
pub fn xmlsec1_verifies(xml: &str, key: &TestKey) -> bool {
    let judge = Judge::new();
    judge.file("x.xml", xml);
    judge.file("c.pem", &key.certificate_pem);
    let arguments =
        [["--verify", "--enabled-key-data", "x509", "--trusted-pem", "c.pem", "--pubkey-cert-pem", "c.pem"].as_slice(), &IDS, &["x.xml"]]
            .concat();
    judge.run("xmlsec1", &arguments).0
}

/// What xmlsec1 makes of the first encrypted element of the document.
pub fn xmlsec1_decrypts(xml: &str, key: &TestKey) -> String {
    let judge = Judge::new();
    judge.file("x.xml", xml);
    judge.file("k.pem", &key.pem);
    let (good, out, error) = judge.run("xmlsec1", &["--decrypt", "--privkey-pem", "k.pem", "x.xml"]);
    assert!(good, "{error}\n{xml}");
    String::from_utf8(out).expect("utf-8")
}

/// Asserts that the message or metadata are built as the schema says, where the schemas of OASIS were installed with pysaml2.
pub fn is_built_as_the_schema_says(xml: &str) {
    let Some(schemas) = schemas() else { return };
    let judge = Judge::new();
    for entry in std::fs::read_dir(schemas).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "xsd") {
            continue;
        }
        let mut text = std::fs::read_to_string(&path).expect("a schema");
        for place in
            ["TR/2002/REC-xmldsig-core-20020212/", "TR/2002/REC-xmlenc-core-20021210/", "TR/xmldsig-core/", "TR/xmlenc-core/", "2001/"]
        {
            text = text.replace(&format!("=\"http://www.w3.org/{place}x"), "=\"x").replace(&format!("='http://www.w3.org/{place}x"), "='x");
        }
        judge.file(path.file_name().and_then(|name| name.to_str()).expect("a name"), text);
    }
    let imports = [
        (names::SAMLP, "saml-schema-protocol-2.0.xsd"),
        (names::MD, "saml-schema-metadata-2.0.xsd"),
        (names::XENC11, "xenc-schema-11.xsd"),
        (names::MDUI, "sstc-saml-metadata-ui-v1.0.xsd"),
        (names::MDATTR, "sstc-metadata-attr.xsd"),
        (names::IDPDISC, "idpdisc.xsd"),
    ]
    .map(|(namespace, file)| format!("<xs:import namespace=\"{namespace}\" schemaLocation=\"{file}\"/>"));
    // pysaml2 does not bring the schema of the discovery protocol: one element, of a type of the metadata.
    judge.file("idpdisc.xsd", IDPDISC_SCHEMA);
    judge.file("all.xsd", format!("<xs:schema xmlns:xs=\"{}\">{}</xs:schema>", names::XS, imports.concat()));
    judge.file("x.xml", xml);
    let (good, _, error) = judge.run("xmllint", &["--nonet", "--noout", "--schema", "all.xsd", "x.xml"]);
    assert!(good, "{error}\n{xml}");
}

const IDPDISC_SCHEMA: &str = r#"<schema xmlns="http://www.w3.org/2001/XMLSchema" xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"
    targetNamespace="urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol"><import
    namespace="urn:oasis:names:tc:SAML:2.0:metadata" schemaLocation="saml-schema-metadata-2.0.xsd"/><element name="DiscoveryResponse"
    type="md:IndexedEndpointType"/></schema>"#;

fn schemas() -> Option<std::path::PathBuf> {
    let venv = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/venv/lib");
    let pythons = std::fs::read_dir(venv).ok()?;
    pythons.filter_map(Result::ok).map(|entry| entry.path().join("site-packages/saml2/data/schemas")).find(|path| path.is_dir())
}

/// How xmlsec1 is to sign: SignatureMethod, DigestMethod, canonicalisation, PrefixList.
type Style<'s> = (&'s str, &'s str, &'s str, &'s str);

/// Lets xmlsec1 fill in a signature template of its own style: default prefix, line breaks, empty elements.
fn xmlsec1_signs(xml: &str, place_after: &str, id: &str, key: &TestKey, style: Style<'_>) -> String {
    let (algorithm, digest, c14n, prefixes) = style;
    let inclusive = if prefixes.is_empty() {
        String::new()
    } else {
        format!("<ec:InclusiveNamespaces xmlns:ec=\"{}\" PrefixList=\"{prefixes}\"/>", names::EXC_C14N)
    };
    let template = format!(
        "\n<Signature xmlns=\"{}\">\n <SignedInfo>\n  <CanonicalizationMethod Algorithm=\"{c14n}\"/>\n  <SignatureMethod Algorithm=\"{algorithm}\"/>\n  <Reference URI=\"#{id}\">\n   <Transforms><Transform Algorithm=\"{}\"/><Transform Algorithm=\"{c14n}\">{inclusive}</Transform></Transforms>\n   <DigestMethod Algorithm=\"{digest}\"/><DigestValue/>\n  </Reference>\n </SignedInfo>\n <SignatureValue/>\n <KeyInfo><X509Data/></KeyInfo>\n</Signature>\n",
        names::DS,
        names::ENVELOPED
    );
    xmlsec1_fills(xml, place_after, &template, key)
}

/// Lets xmlsec1 fill in a signature template.
pub fn xmlsec1_fills(xml: &str, place_after: &str, template: &str, key: &TestKey) -> String {
    let at = xml.find(place_after).expect("the place") + place_after.len();
    let judge = Judge::new();
    judge.file("x.xml", [&xml[..at], template, &xml[at..]].concat());
    judge.file("k.pem", &key.pem);
    judge.file("c.pem", &key.certificate_pem);
    let arguments = [["--sign", "--privkey-pem", "k.pem,c.pem"].as_slice(), &IDS, &["x.xml"]].concat();
    let (good, out, error) = judge.run("xmlsec1", &arguments);
    assert!(good, "{error}");
    String::from_utf8(out).expect("utf-8")
}

/// An assertion in a style that canonicalisation has to work for.
fn odd() -> String {
    let (response, assertion) = unsigned();
    let odd = assertion
        .replace("Name=\"groups\"", "\n\tName='gr&#xE4;u&lt;ps&quot;'   xml:lang = \"de\"  ")
        .replace(">staff<", ">\r\nst&#13;aff &gt; <![CDATA[<&>]]> \u{1f600}<")
        .replace("<saml:AttributeStatement>", "<saml:AttributeStatement xmlns:unused=\"urn:u\" xmlns:xs=\"urn:again\">");
    response.replace(&assertion, &odd).replacen(
        "<samlp:Response",
        "<samlp:Response xmlns:outer=\"urn:outer\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xml:lang=\"en\"",
        1,
    )
}

const ISSUER_END: &str = "</saml:Issuer>";

#[test]
fn what_xmlsec1_signs_we_verify() {
    let policy = ResponsePolicy { allow_inclusive_c14n: true, allow_sha1: true, ..ResponsePolicy::default() };
    for (key, algorithm, digest) in [
        (&RSA, names::RSA_SHA256, names::SHA256),
        (&RSA, names::RSA_SHA512, names::SHA512),
        (&RSA, names::RSA_SHA384, names::SHA384),
        (&RSA, names::RSA_SHA1, names::SHA1),
        (&EC, names::ECDSA_SHA256, names::SHA256),
        (&EC384, names::ECDSA_SHA384, names::SHA384),
        (&EC, names::ECDSA_SHA512, names::SHA256),
    ] {
        for (c14n, prefixes) in [(names::EXC_C14N, ""), (names::EXC_C14N, "xs outer #default missing"), (names::C14N, "")] {
            let odd = odd();
            let response = xmlsec1_signs(&odd, ISSUER_END, "_response1", key, (algorithm, digest, c14n, prefixes));
            let verified = receive_with(&response, key, &policy, &expected());
            let verified = verified.unwrap_or_else(|rejection| panic!("{algorithm} {c14n} {prefixes}: {rejection}"));
            assert_eq!(verified.attributes()[1].name, "gräu<ps\"");
            assert_eq!(verified.attributes()[1].values[0].text(), Some("\nst\raff > <&> \u{1f600}"));
            let assertion_at = odd.find("<saml:Assertion").expect("there");
            let (before, rest) = odd.split_at(assertion_at);
            let after_issuer = &rest[..rest.find(ISSUER_END).expect("there") + ISSUER_END.len()];
            let assertion = xmlsec1_signs(&odd, after_issuer, "_assertion1", key, (algorithm, digest, c14n, prefixes));
            assert!(assertion.len() > before.len());
            receive_with(&assertion, key, &policy, &expected())
                .unwrap_or_else(|rejection| panic!("{algorithm} {c14n} {prefixes}: {rejection}"));
        }
    }
}

#[test]
fn inclusive_canonicalization_only_by_name() {
    let response = xmlsec1_signs(&odd(), ISSUER_END, "_response1", &RSA, (names::RSA_SHA256, names::SHA256, names::C14N, ""));
    assert_eq!(refusal(&response).name(), "transform-refused");
}

#[test]
fn both_signed_by_xmlsec1_with_prefix_lists_verify() {
    let odd = odd();
    let rest = &odd[odd.find("<saml:Assertion").expect("there")..];
    let after_issuer = &rest[..rest.find(ISSUER_END).expect("there") + ISSUER_END.len()];
    let inner = xmlsec1_signs(&odd, after_issuer, "_assertion1", &RSA, (names::RSA_SHA256, names::SHA256, names::EXC_C14N, "xs"));
    let both = {
        // xmlsec1 signs the first template it finds, which is now the response's.
        xmlsec1_signs(&inner, ISSUER_END, "_response1", &RSA, (names::RSA_SHA256, names::SHA256, names::EXC_C14N, ""))
    };
    receive(&both).expect("accepted");
}

#[test]
fn what_we_sign_xmlsec1_verifies() {
    for key in [&RSA, &EC, &EC384] {
        for sign in [Sign::Assertion, Sign::Response, Sign::Both] {
            let answer = idp::Answer { sign, ..answer().with_attribute("x\"<", None, &["tab\tline\nreturn\r&<>\"'", "ü\u{1f600}"]) };
            let xml = respond(&answer, Signer::new(&key.certified), now()).expect("written");
            assert!(xmlsec1_verifies(&xml, key), "{sign:?}\n{xml}");
            assert!(!xmlsec1_verifies(&xml.replace("subject-1", "subject-2"), key));
        }
    }
    for digest in [Digest::Sha384, Digest::Sha512] {
        let signer = Signer { scheme: SignatureScheme::RsaPkcs1(digest), ..signer() };
        assert!(xmlsec1_verifies(&respond(&answer(), signer, now()).expect("written"), &RSA));
    }
}

#[test]
fn our_metadata_and_requests_are_verified_by_xmlsec1() {
    let sp = sp();
    let ours = SpMetadata::new(&sp, vec![&RSA.certified], vec![&ENCRYPTION.certified]);
    let xml = write_sp(&ours, signer(), now()).expect("written");
    assert!(xmlsec1_verifies(&xml, &RSA), "{xml}");
    let options = RequestOptions { subject_hint: Some("a&b".to_owned()), proxy_count: Some(0), ..RequestOptions::new() };
    let outgoing = authn_request(&sp, &idp(&RSA), &options, Binding::Post, None, Some(signer()), now()).expect("made");
    let Outgoing::PostForm { fields, .. } = outgoing else { panic!("{outgoing:?}") };
    let xml = binding::decode_post(&fields[0].1).expect("decoded");
    assert!(xmlsec1_verifies(&xml, &RSA), "{xml}");
}

#[test]
fn metadata_signed_by_xmlsec1_are_read() {
    let certificate = RSA.certificate_pem.clone();
    let body: String = String::from_utf8(certificate).expect("pem").lines().filter(|line| !line.starts_with("--")).collect();
    let xml = format!(
        "<EntityDescriptor xmlns=\"{}\" ID=\"_m\" entityID=\"{IDP}\">\n<IDPSSODescriptor protocolSupportEnumeration=\"{}\"><KeyDescriptor><KeyInfo xmlns=\"{}\"><X509Data><X509Certificate>{body}</X509Certificate></X509Data></KeyInfo></KeyDescriptor><SingleSignOnService Binding=\"{}\" Location=\"https://idp.example.edu/sso\"/></IDPSSODescriptor></EntityDescriptor>",
        names::MD,
        names::SAMLP,
        names::DS,
        names::BINDING_POST
    );
    let after = format!("entityID=\"{IDP}\">");
    let signed = xmlsec1_signs(&xml, &after, "_m", &OTHER_RSA, (names::RSA_SHA256, names::SHA256, names::EXC_C14N, ""));
    let pinned = OTHER_RSA.trusted();
    let options = MetadataOptions { entity_id: None, pinned: Some(&pinned) };
    assert_eq!(read_idp(&signed, options, now()).expect("read").sso_endpoints.len(), 1);
}

#[test]
fn what_we_encrypt_xmlsec1_decrypts() {
    for cipher in [ContentCipher::Aes128Gcm, ContentCipher::Aes192Gcm, ContentCipher::Aes256Gcm] {
        // xmlsec1 1.2 knows only the older form of OAEP, with SHA-1 as its mask digest.
        for transport in [KeyTransport::OaepMgf1p(Digest::Sha1), KeyTransport::OaepMgf1p(Digest::Sha256)] {
            let encrypt = Some(Encrypt { recipient: &ENCRYPTION.certificate, cipher, transport });
            let xml = respond(&idp::Answer { encrypt, ..answer() }, signer(), now()).expect("written");
            let judge = Judge::new();
            judge.file("x.xml", &xml);
            judge.file("k.pem", &ENCRYPTION.pem);
            let (good, out, error) = judge.run("xmlsec1", &["--decrypt", "--privkey-pem", "k.pem", "x.xml"]);
            if !good && transport == KeyTransport::OaepMgf1p(Digest::Sha256) {
                // This xmlsec1 uses the one digest for the mask too, or refuses it.
                continue;
            }
            assert!(good, "{cipher:?} {transport:?} {error}");
            assert!(String::from_utf8_lossy(&out).contains(">subject-1<"));
        }
    }
}

#[test]
fn what_xmlsec1_encrypts_we_decrypt() {
    for (cipher, session_key) in [
        (names::AES128_GCM, "aes-128"),
        (names::AES192_GCM, "aes-192"),
        (names::AES256_GCM, "aes-256"),
        (names::AES128_CBC, "aes-128"),
        (names::AES192_CBC, "aes-192"),
        (names::AES256_CBC, "aes-256"),
    ] {
        let (response, assertion) = unsigned();
        let signed = sign(&assertion, signer()).expect("signed");
        let judge = Judge::new();
        judge.file("c.pem", &ENCRYPTION.certificate_pem);
        judge.file("x.xml", &signed);
        judge.file(
            "t.xml",
            format!(
                "<EncryptedData xmlns=\"{}\" Type=\"{}\">\n<EncryptionMethod Algorithm=\"{cipher}\"/>\n<KeyInfo xmlns=\"{}\"><EncryptedKey xmlns=\"{}\"><EncryptionMethod Algorithm=\"{}\"/><CipherData><CipherValue/></CipherData></EncryptedKey></KeyInfo>\n<CipherData><CipherValue/></CipherData></EncryptedData>",
                names::XENC,
                names::TYPE_ELEMENT,
                names::DS,
                names::XENC,
                names::RSA_OAEP_MGF1P
            ),
        );
        let arguments = ["--encrypt", "--pubkey-cert-pem", "c.pem", "--session-key", session_key, "--xml-data", "x.xml", "t.xml"];
        let (good, out, error) = judge.run("xmlsec1", &arguments);
        assert!(good, "{error}");
        let data = String::from_utf8(out).expect("utf-8").replace("<?xml version=\"1.0\"?>", "");
        let xml = response.replace(&assertion, &format!("<saml:EncryptedAssertion>{data}</saml:EncryptedAssertion>"));
        let cbc = cipher.ends_with("cbc");
        if cbc {
            assert_eq!(refusal(&xml).name(), "algorithm-refused");
        }
        let policy = ResponsePolicy { allow_cbc: cbc, ..ResponsePolicy::default() };
        let verified = receive_with(&xml, &RSA, &policy, &expected()).unwrap_or_else(|rejection| panic!("{cipher}: {rejection}"));
        assert_eq!(verified.subject(), "subject-1");
    }
}

#[test]
fn our_canonical_forms_are_those_of_xmllint() {
    let documents = [
        "<a/>",
        "<a  b = '1'  a=\"2\" ></a >",
        "<a xmlns='urn:u' xmlns:p='urn:v' p:z='1' b='2' p:a='3'><p:b/><c xmlns=''><d/></c></a>",
        "<p:a xmlns:p='urn:u' xmlns:q='urn:v'><q:b q:c='1' p:c='2' c='3'/><p:b xmlns:p='urn:w'><p:c/></p:b></p:a>",
        "<a xmlns:p='urn:u'><b xmlns:p='urn:u'><p:c/></b><p:d/></a>",
        "<a>&lt;&gt;&amp;&quot;&apos;&#13;&#9;&#10;x\r\ny\rz</a>",
        "<a b='&lt;>&amp;&quot;&apos;&#13;&#9;&#10; \n\t'/>",
        "<a><![CDATA[<b>&amp;]]>]]&gt;</a>",
        "<a xml:lang='de' xml:space='preserve'> <b xml:lang='en'/> </a>",
        "<a xmlns='urn:u'><b xmlns='urn:u'/><c xmlns='urn:v'><d xmlns=''/></c></a>",
        // Not here: & in a namespace URI, which libxml2 forgets to escape.
        "<a xmlns:b='urn:x' b:c='\u{e4}\u{1f600}'>\u{e4}\u{1f600}</a>",
        "<ns1:a xmlns:ns1='urn:u' xmlns:ns10='urn:v' xmlns:ns2='urn:w' ns10:x='' ns2:x='' ns1:x='' x=''/>",
        "<a xmlns:z='urn:a' xmlns:a='urn:z' z:q='1' a:q='2'/>",
        "<a xmlns='urn:u' xmlns:p='urn:u' p:b='1' b='2'><p:c/></a>",
        "<a xmlns=''><b xmlns='urn:u'><c xmlns=''/></b></a>",
    ];
    let (response, _) = unsigned();
    for xml in documents.into_iter().chain([response.as_str(), &odd()]) {
        let document = xml::parse(xml, xml::Limits::MESSAGE).expect(xml);
        for (option, method) in [("--exc-c14n", xml::Canonicalization::Exclusive(&[])), ("--c14n", xml::Canonicalization::Inclusive)] {
            let judge = Judge::new();
            judge.file("x.xml", xml);
            let (good, out, error) = judge.run("xmllint", &[option, "x.xml"]);
            assert!(good, "{error}");
            // xmllint ends with a line break of its own.
            let theirs = String::from_utf8(out).expect("utf-8");
            let ours = xml::canonicalize(document.root(), method, &[]);
            assert_eq!(ours.trim_end_matches('\n'), theirs.trim_end_matches('\n'), "{option} {xml}");
        }
    }
}
