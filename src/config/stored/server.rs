//! Resource servers, and what applications may have of them.

use super::{checked, fault, text};
use crate::application::{ClientGrant, ResourceServer, TOKEN_LIFETIME, TokenFormat};
use crate::broker::live::{Checked, Fault, Made};
use crate::oidc::{JwtDialect, SigningAlg};
use serde_json::{Map, Value};
use std::sync::Arc;

pub fn make(id: &str, body: &Map<String, Value>) -> Result<Checked, Vec<Fault>> {
    let mut faults = Vec::new();
    let identifier = text(body, "identifier").unwrap_or_default();
    if identifier.is_empty() || identifier.chars().any(|c| c.is_whitespace() || c.is_control()) {
        faults.push(fault(
            "/identifier",
            "an identifier has no blanks and is not empty",
            "an address is usual, as in https://api.example/",
        ));
    }
    let mut scopes: Vec<(String, String)> = Vec::new();
    for (index, scope) in body.get("scopes").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let value = scope.get("value").and_then(Value::as_str).unwrap_or_default();
        // RFC 6749 3.3: scope-token.
        let good = !value.is_empty() && value.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if !good {
            faults.push(fault(
                &format!("/scopes/{index}/value"),
                "is no scope",
                "use printable ASCII without blanks, quotes and backslashes",
            ));
        } else if scopes.iter().any(|(known, _)| known == value) {
            faults.push(fault(&format!("/scopes/{index}/value"), "is there twice", "remove one of the two"));
        }
        scopes.push((value.to_owned(), scope.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()));
    }
    let tokens = token_format(body, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let lifetime = body.get("token_lifetime").and_then(Value::as_u64).and_then(|seconds| u32::try_from(seconds).ok());
    let server = ResourceServer {
        id: id.to_owned(),
        identifier: identifier.to_owned(),
        name: text(body, "name").unwrap_or(identifier).to_owned(),
        scopes,
        token_lifetime: lifetime.unwrap_or(TOKEN_LIFETIME),
        tokens,
        allow_offline_access: body.get("allow_offline_access").and_then(Value::as_bool).unwrap_or(false),
    };
    let kept = super::without_effect(body, "", KEPT);
    Ok(checked(Made::ResourceServer(Arc::new(server)), kept))
}

/// JWTs where `token_dialect` says so, signed with `signing_alg`; opaque ones where it says nothing.
fn token_format(body: &Map<String, Value>, faults: &mut Vec<Fault>) -> TokenFormat {
    let alg = text(body, "signing_alg").unwrap_or("RS256");
    let known = SigningAlg::from_wire(alg);
    if known.is_none() {
        let names: Vec<&str> = SigningAlg::ALL.iter().map(|alg| alg.as_str()).collect();
        let message = format!("access tokens signed with {alg} are not available");
        faults.push(fault("/signing_alg", message, format!("use one of {}", names.join(", "))));
    }
    let dialect = match text(body, "token_dialect") {
        // There are no roles: what the forms with permissions would add is nothing.
        Some("rfc9068_profile" | "rfc9068_profile_authz") => JwtDialect::Rfc9068,
        Some("access_token" | "access_token_authz") => JwtDialect::Auth0,
        Some(other) => {
            let message = format!("there is no form of access tokens called {other}");
            faults.push(fault("/token_dialect", message, "use rfc9068_profile or access_token, or leave it out for opaque tokens"));
            return TokenFormat::Opaque;
        }
        None => return TokenFormat::Opaque,
    };
    known.map_or(TokenFormat::Opaque, |alg| TokenFormat::Jwt { dialect, alg })
}

/// Members that are kept, and mean nothing here.
const KEPT: &[(&str, &str)] = &[
    ("token_lifetime_for_web", "token_lifetime counts for all"),
    ("enforce_policies", "there are no roles in this version"),
    ("skip_consent_for_verifiable_first_party_clients", "nobody is asked for consent in this version"),
    ("signing_secret", "access tokens are not signed with secrets"),
    ("token_encryption", "access tokens are not encrypted"),
    ("consent_policy", "nobody is asked for consent in this version"),
    ("authorization_details", "they are not understood in this version"),
    ("proof_of_possession", "whether tokens are bound to keys is said of each client"),
];

pub fn grant(id: &str, body: &Map<String, Value>) -> Result<Checked, Vec<Fault>> {
    let need = |member: &str| text(body, member).map(str::to_owned).ok_or_else(|| vec![fault(&format!("/{member}"), "is missing", "")]);
    let scopes = body.get("scope").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let grant = ClientGrant { id: id.to_owned(), client_id: need("client_id")?, audience: need("audience")?, scopes };
    Ok(checked(Made::ClientGrant(grant), Vec::new()))
}
