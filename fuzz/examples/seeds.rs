//! Writes the seeds that are made, not written by hand: `cargo run --example seeds` in this directory.
//! Others beside them (named otherwise) stay.

use isthmus::oidc::RefreshToken;
use isthmus_fuzz::{base64, keys, login};
use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let write = |target: &str, name: &str, content: &str| -> std::io::Result<()> {
        let directory = seeds.join(target);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(name), content)
    };
    for (name, xml) in login::messages() {
        let accepted = login::receive(&base64(xml.as_bytes()), &login::strict());
        let right = !name.starts_with("wrong_") && name != "unsigned";
        assert_eq!(accepted.is_ok(), right, "{name}: {accepted:?}");
        write("saml_response", &format!("{name}.xml"), &xml)?;
        if name == "both" {
            write("saml_response", "both.form", &base64(xml.as_bytes()))?;
        }
    }
    for (name, query) in login::signed_queries() {
        write("redirect_binding", &format!("{name}.signed.query"), &query)?;
    }
    for (name, query) in login::unsigned_queries() {
        write("redirect_binding", &format!("{name}.query"), &query)?;
    }
    for (name, xml) in login::signed_requests() {
        write("redirect_binding", &format!("{name}.xml"), &xml)?;
    }
    for (name, xml) in login::metadata() {
        write("saml_metadata", &format!("{name}.xml"), &xml)?;
        write("saml_aggregate", &format!("{name}.xml"), &xml)?;
    }
    let token = RefreshToken::issue(&"0f".repeat(16), 1, &keys::sealer()).expect("a token");
    let body = format!("grant_type=refresh_token&scope=openid&refresh_token={}", token.expose());
    write("token_request", "refresh", &format!("Basic {}\n{body}", base64(b"notes:s3cret")))?;
    write("token_request", "refresh_post", &format!("\n{body}&client_id=notes&client_secret=s3cret"))?;
    let code = format!("grant_type=authorization_code&redirect_uri=https%3A%2F%2Fnotes.example%2Fcallback&code={}", "A".repeat(54));
    write("token_request", "code", &format!("Basic {}\n{code}", base64(b"n%6ftes:s3+cret".as_slice())))?;
    write("token_request", "code_basic", &format!("basic {}\n{code}&client_id=notes", base64(b"notes:s3cret")))?;
    write("token_request", "code_public", &format!("\n{code}&client_id=notes&code_verifier={}", "v".repeat(43)))?;
    for (name, xml) in [
        ("plain", "<a xmlns='u' b=' x\r\n&#10;y'>1<c/>&lt;<![CDATA[]]&gt;]]></a>"),
        ("prefixes", "<p:a xmlns:p='u' xmlns='d'><b p:c='1' c='2' xmlns:x='y'/><q:b xmlns:q='u' xmlns=''/></p:a>"),
        ("declared", "\u{feff}<?xml version='1.0' encoding='UTF-8'?>\n<a xml:lang='de' xml:space='preserve'>\u{e4}&#x1F600;</a>\n"),
    ] {
        write("xml", name, xml)?;
    }
    write("xml", "response", &login::messages()[2].1)
}
