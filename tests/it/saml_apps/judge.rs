//! The judges: `xmlsec1` for signatures, `xmllint` with the schemas of OASIS for form.

use crate::harness::gateway::Gateway;
use crate::harness::peers::installed;
use crate::harness::process::text;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const RESPONSE: &str = "urn:oasis:names:tc:SAML:2.0:protocol:Response";
const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion";
const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor";

/// Which parts carry a signature that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub response: bool,
    pub assertion: bool,
}

/// Verifies every signature of a response with the gateway's published key.
///
/// # Panics
/// When there is none at all, or one is not good. An encrypted assertion has to be opened before.
#[track_caller]
pub fn verify(gateway: &Gateway, xml: &str) -> Verdict {
    let certificate = gateway.key_file("saml-signing.active.crt.pem");
    let signed = |parent: &str, until: &str| {
        let head = xml.split_once(&format!(":{parent} ")).and_then(|(_, rest)| rest.split(until).next());
        let there = head.is_some_and(|head| head.contains("<ds:Signature"));
        let xpath = format!("//*[local-name()='{parent}']/*[local-name()='Signature']");
        assert!(!there || xmlsec1(xml, text(&certificate), &xpath), "xmlsec1 does not verify the signature of the {parent}: {xml}");
        there
    };
    let verdict = Verdict { response: signed("Response", "<samlp:Status>"), assertion: signed("Assertion", "<saml:Subject>") };
    assert!(verdict.response || verdict.assertion || xml.contains("EncryptedAssertion"), "nothing is signed: {xml}");
    verdict
}

/// Verifies metadata with the gateway's published key.
#[track_caller]
pub fn verify_metadata(gateway: &Gateway, xml: &str) {
    let certificate = gateway.key_file("saml-signing.active.crt.pem");
    assert!(xmlsec1(xml, text(&certificate), "/*/*[local-name()='Signature']"), "xmlsec1 does not verify {xml}");
}

/// Whether the signature at `xpath` is good, by one certificate.
pub fn xmlsec1(xml: &str, certificate: &str, xpath: &str) -> bool {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("signed.xml");
    fs::write(&file, xml).unwrap();
    let ids = ["--id-attr:ID", RESPONSE, "--id-attr:ID", ASSERTION, "--id-attr:ID", METADATA];
    let mut command = Command::new("xmlsec1");
    command.args(["--verify", "--enabled-key-data", "x509", "--trusted-pem", certificate, "--pubkey-cert-pem", certificate]).args(ids);
    command.args(["--node-xpath", xpath, text(&file)]);
    command.output().expect("xmlsec1 runs; tests/setup.sh installs it").status.success()
}

/// Asserts that a message or metadata are valid by the schemas of OASIS, which pysaml2 brings.
#[track_caller]
pub fn is_built_as_the_schema_says(xml: &str) {
    let place = schemas();
    let file = place.path().join("x.xml");
    fs::write(&file, xml).unwrap();
    let mut command = Command::new("xmllint");
    command.args(["--nonet", "--noout", "--schema", text(&place.path().join("all.xsd")), text(&file)]);
    let output = command.output().expect("xmllint runs; tests/setup.sh installs it");
    assert!(output.status.success(), "{}\n{xml}", String::from_utf8_lossy(&output.stderr));
}

/// A copy of them that refers to itself only, and imports all.
fn schemas() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(installed_schemas()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "xsd") {
            continue;
        }
        let mut schema = fs::read_to_string(&path).unwrap();
        for directory in
            ["TR/2002/REC-xmldsig-core-20020212/", "TR/2002/REC-xmlenc-core-20021210/", "TR/xmldsig-core/", "TR/xmlenc-core/", "2001/"]
        {
            for quote in ['"', '\''] {
                schema = schema.replace(&format!("={quote}http://www.w3.org/{directory}x"), &format!("={quote}x"));
            }
        }
        fs::write(place.path().join(path.file_name().unwrap()), schema).unwrap();
    }
    let imports = [
        ("urn:oasis:names:tc:SAML:2.0:protocol", "saml-schema-protocol-2.0.xsd"),
        ("urn:oasis:names:tc:SAML:2.0:metadata", "saml-schema-metadata-2.0.xsd"),
        ("http://www.w3.org/2009/xmlenc11#", "xenc-schema-11.xsd"),
    ]
    .map(|(namespace, file)| format!("<xs:import namespace=\"{namespace}\" schemaLocation=\"{file}\"/>"));
    let all = format!("<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\">{}</xs:schema>", imports.concat());
    fs::write(place.path().join("all.xsd"), all).unwrap();
    place
}

fn installed_schemas() -> PathBuf {
    let libraries = fs::read_dir(installed("venv/lib")).unwrap();
    let mut found = libraries.map(|entry| entry.unwrap().path().join("site-packages/saml2/data/schemas"));
    found.find(|path| path.is_dir()).expect("the schemas that pysaml2 brings")
}
