//! How a client proves who it is and signs its requests, in Auth0's words: `client_authentication_methods`,
//! `signed_request_object`, `require_proof_of_possession`. Its public keys stand in the client itself, as PEM.

use super::document::Document;
use super::fault;
use crate::broker::live::Fault;
use crate::oidc::jose;
use serde_json::{Map, Value};

/// Keys that a client has for one purpose, at most.
const MOST: usize = 10;

const METHODS: &str = "client_authentication_methods";

const NAMES: [&str; 3] = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"];

/// Writes them into the document.
pub fn translate(body: &Map<String, Value>, document: &mut Document) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut keys: Vec<Map<String, Value>> = Vec::new();
    let own = body.get("isthmus").and_then(Value::as_object);
    authentication(body, document, &mut keys, &mut faults);
    if let Some(signed) = body.get("signed_request_object").filter(|value| !value.is_null()) {
        document.take("oidc.require_signed_request_object", signed.get("required"));
        // A client that has registered itself has its keys in words of the standard.
        let elsewhere = own.is_some_and(|own| own.contains_key("jwks") || own.contains_key("jwks_uri"));
        if signed.get("credentials").is_some() || !elsewhere {
            public_keys(signed, "/signed_request_object", &mut keys, &mut faults);
        }
    }
    // By DPoP (RFC 9449), if its own settings do not choose certificates (RFC 8705).
    let by_certificate = own.and_then(|own| own.get("tls_client_certificate_bound_access_tokens")) == Some(&Value::Bool(true));
    if !by_certificate {
        document.take("oidc.dpop_bound_access_tokens", body.get("require_proof_of_possession"));
    }
    if !keys.is_empty() {
        // One key may be for both.
        let mut distinct: Vec<Value> = Vec::new();
        for key in keys.into_iter().map(Value::Object) {
            if !distinct.contains(&key) {
                distinct.push(key);
            }
        }
        document.take("oidc.jwks", Some(&Value::Object(Map::from_iter([("keys".to_owned(), Value::Array(distinct))]))));
    }
    faults
}

fn authentication(body: &Map<String, Value>, document: &mut Document, keys: &mut Vec<Map<String, Value>>, faults: &mut Vec<Fault>) {
    let Some(methods) = body.get(METHODS).filter(|value| !value.is_null()) else { return };
    let here = format!("/{METHODS}");
    let named: Vec<(&String, &Value)> = methods.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
    let [(name, of_method)] = named.as_slice() else {
        return faults.push(fault(&here, "must be an object with one method", format!("use one of {}", NAMES.join(", "))));
    };
    if !NAMES.contains(&name.as_str()) {
        return faults.push(fault(
            &format!("{here}/{name}"),
            "is no method that is known here",
            format!("use one of {}", NAMES.join(", ")),
        ));
    }
    if body.get("token_endpoint_auth_method").is_some_and(|value| !value.is_null()) {
        let message = "stands beside client_authentication_methods";
        return faults.push(fault("/token_endpoint_auth_method", message, "set it to null, or remove the other"));
    }
    document.set("oidc.token_endpoint_auth_method", name.as_str());
    document.place("oidc.token_endpoint_auth_method", "/client_authentication_methods");
    let here = format!("{here}/{name}");
    if name.as_str() == "tls_client_auth" {
        let subject = of_method.pointer("/credentials/0/subject_dn");
        match subject.filter(|subject| subject.is_string()) {
            Some(subject) => document.take("oidc.tls_client_auth_subject_dn", Some(subject)),
            None => faults.push(fault(&format!("{here}/credentials"), "names no subject_dn", "add the subject of the certificate")),
        }
        return;
    }
    public_keys(of_method, &here, keys, faults);
}

/// The keys of `credentials`, at `here`.
fn public_keys(of: &Value, here: &str, keys: &mut Vec<Map<String, Value>>, faults: &mut Vec<Fault>) {
    let here = format!("{here}/credentials");
    let listed = of.get("credentials").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if listed.is_empty() || listed.len() > MOST {
        return faults.push(fault(&here, format!("must be a list of 1 to {MOST} credentials"), "add public keys, each with its `pem`"));
    }
    for (at, credential) in listed.iter().enumerate() {
        let here = format!("{here}/{at}");
        let Some(pem) = credential.get("pem").and_then(Value::as_str) else {
            faults.push(fault(&here, "has no pem", "keys stand in the client itself here: write the public key, or a certificate of it"));
            continue;
        };
        match jose::jwk_of_pem(pem) {
            Err(error) => faults.push(fault(&format!("{here}/pem"), error.detail, "write a PEM with a public key or a certificate")),
            Ok(mut jwk) => {
                if let Some(alg) = credential.get("alg").filter(|alg| alg.is_string()) {
                    jwk.insert("alg".to_owned(), alg.clone());
                }
                keys.push(jwk);
            }
        }
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
