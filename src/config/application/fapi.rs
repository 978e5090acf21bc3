//! `security_profile = "fapi2"`: what contradicts the FAPI 2.0 Security Profile is refused, all of it at once, and what it
//! demands is set.

use crate::oidc::{ApplicationType, ClientFacts, ClientSigningAlg, GrantType, ResponseType, SigningAlg, TokenEndpointAuthMethod};
use crate::toml_file::Section;

/// FAPI 2.0 Security Profile 5.4.1.
const ALGORITHMS: [&str; 4] = ["PS256", "ES256", "EdDSA", "Ed25519"];

/// Checks a client that is read, and sets what the section does not say. In development http will do for redirect URIs.
pub fn apply(development: bool, section: &Section<'_>, client: &mut ClientFacts) {
    check_authentication(section, client);
    check_flow(section, client);
    check_algorithms(section, client);
    // 5.3.2.2: https only; what returns to the person's own machine never leaves it.
    let plain = client.redirect_uris.iter().find(|uri| uri.starts_with("http:"));
    if let Some(uri) = plain.filter(|_| client.application_type == ApplicationType::Web && !development) {
        refuse(section, "redirect_uris", format!("{uri} is not https"), "use https");
    }
    client.require_pkce = true;
    client.request_objects.pushed_required = true;
    if !section.has("id_token_signed_response_alg") {
        client.id_token_signed_response_alg = SigningAlg::ES256;
    }
}

/// 5.3.2.1: confidential clients only, by a key of theirs, and tokens that are worth nothing without it.
fn check_authentication(section: &Section<'_>, client: &ClientFacts) {
    use TokenEndpointAuthMethod::{PrivateKeyJwt, SelfSignedTlsClientAuth, TlsClientAuth};
    let method = client.token_endpoint_auth_method;
    if !matches!(method, PrivateKeyJwt | TlsClientAuth | SelfSignedTlsClientAuth) {
        let why = format!("a client that proves itself by {} does not", method.as_str());
        refuse(section, "token_endpoint_auth_method", why, "use private_key_jwt, tls_client_auth or self_signed_tls_client_auth");
    }
    if !client.dpop_bound_access_tokens && !client.tls_client_certificate_bound_access_tokens {
        let help = "set dpop_bound_access_tokens or tls_client_certificate_bound_access_tokens";
        refuse(section, "security_profile", "access tokens that anybody can use do not".to_owned(), help);
    }
}

/// 5.3.2.2: codes only, with PKCE, and only for requests that were pushed.
fn check_flow(section: &Section<'_>, client: &ClientFacts) {
    if let Some(other) = client.response_types.iter().find(|known| **known != ResponseType::Code) {
        refuse(section, "response_types", format!("the response type {} does not", other.as_str()), "keep code alone");
    }
    if client.grant_types.contains(&GrantType::Implicit) {
        refuse(section, "grant_types", "implicit does not".to_owned(), "remove it");
    }
    if client.grant_types.contains(&GrantType::DeviceCode) {
        let why = "the device grant, whose requests nobody can push, does not".to_owned();
        refuse(section, "grant_types", why, "remove urn:ietf:params:oauth:grant-type:device_code, or make another application for devices");
    }
    for key in ["require_pkce", "require_pushed_authorization_requests"] {
        if section.bool(key) == Some(false) {
            refuse(section, key, format!("`{key} = false` does not"), "remove it");
        }
    }
}

fn check_algorithms(section: &Section<'_>, client: &ClientFacts) {
    if client.request_objects.unsigned {
        refuse(section, "unsigned_request_objects", "what nobody has signed does not".to_owned(), "remove it");
    }
    let of_client = |alg: Option<ClientSigningAlg>| alg.map(ClientSigningAlg::as_str);
    let said = section.has("id_token_signed_response_alg").then(|| client.id_token_signed_response_alg.as_str());
    for (key, alg) in [
        ("id_token_signed_response_alg", said),
        ("userinfo_signed_response_alg", client.userinfo_signed_response_alg.map(SigningAlg::as_str)),
        ("token_endpoint_auth_signing_alg", of_client(client.token_endpoint_auth_signing_alg)),
        ("request_object_signing_alg", of_client(client.request_objects.signing_alg)),
    ] {
        if let Some(alg) = alg.filter(|alg| !ALGORITHMS.contains(alg)) {
            refuse(section, key, format!("{alg} does not"), "use PS256, ES256 or EdDSA");
        }
    }
}

fn refuse(section: &Section<'_>, key: &str, why: String, help: &str) {
    section.problem(key, format!("this has to keep to FAPI 2.0 (security_profile), and {why}"), help);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_file::{Problem, TomlFile};

    /// A client that keeps to it, by what its section says beside the profile.
    fn good() -> ClientFacts {
        ClientFacts {
            redirect_uris: vec!["https://app.example/cb".to_owned()],
            token_endpoint_auth_method: TokenEndpointAuthMethod::PrivateKeyJwt,
            dpop_bound_access_tokens: true,
            require_pkce: false,
            ..ClientFacts::public("app")
        }
    }

    fn applied(text: &str, change: impl FnOnce(&mut ClientFacts)) -> (ClientFacts, Vec<Problem>) {
        let file = TomlFile::new("isthmus.toml", text);
        let table = file.parse();
        let mut client = good();
        change(&mut client);
        apply(false, &file.root(&table), &mut client);
        (client, file.into_findings().problems)
    }

    #[test]
    fn what_the_profile_demands_is_set() {
        let (client, problems) = applied("security_profile = \"fapi2\"", |_| {});
        assert!(problems.is_empty(), "{problems:?}");
        assert!(client.require_pkce && client.request_objects.pushed_required);
        assert_eq!(client.id_token_signed_response_alg, SigningAlg::ES256);
        for method in [TokenEndpointAuthMethod::TlsClientAuth, TokenEndpointAuthMethod::SelfSignedTlsClientAuth] {
            let bound = |client: &mut ClientFacts| {
                client.token_endpoint_auth_method = method;
                client.dpop_bound_access_tokens = false;
                client.tls_client_certificate_bound_access_tokens = true;
            };
            assert!(applied("", bound).1.is_empty(), "{method:?}");
        }
    }

    type Change = fn(&mut ClientFacts);

    /// Each contradiction by itself, and the key that it is reported at.
    const CONTRADICTIONS: &[(&str, &str, Change)] = &[
        ("token_endpoint_auth_method", "", |client| client.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretBasic),
        ("token_endpoint_auth_method", "", |client| client.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretJwt),
        ("token_endpoint_auth_method", "", |client| client.token_endpoint_auth_method = TokenEndpointAuthMethod::None),
        ("security_profile", "", |client| client.dpop_bound_access_tokens = false),
        ("response_types", "", |client| client.response_types = vec![ResponseType::Code, ResponseType::CodeIdToken]),
        ("grant_types", "", |client| client.grant_types.push(GrantType::Implicit)),
        ("grant_types", "", |client| client.grant_types.push(GrantType::DeviceCode)),
        ("require_pkce", "require_pkce = false", |_| {}),
        ("require_pushed_authorization_requests", "require_pushed_authorization_requests = false", |_| {}),
        ("id_token_signed_response_alg", "id_token_signed_response_alg = \"RS256\"", |_| {}),
        ("userinfo_signed_response_alg", "", |client| client.userinfo_signed_response_alg = Some(SigningAlg::RS256)),
        ("token_endpoint_auth_signing_alg", "", |client| client.token_endpoint_auth_signing_alg = Some(ClientSigningAlg::RS256)),
        ("request_object_signing_alg", "", |client| client.request_objects.signing_alg = Some(ClientSigningAlg::None)),
        ("unsigned_request_objects", "", |client| client.request_objects.unsigned = true),
        ("redirect_uris", "", |client| client.redirect_uris.push("http://127.0.0.1/cb".to_owned())),
    ];

    #[test]
    fn every_contradiction_is_refused_and_all_of_them_at_once() {
        for (key, text, change) in CONTRADICTIONS {
            let (_, problems) = applied(text, change);
            let told: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
            assert_eq!(told, [*key], "{text}");
            assert!(problems[0].message.contains("FAPI 2.0") && !problems[0].help.is_empty(), "{problems:?}");
        }
        let lines: Vec<&str> = CONTRADICTIONS.iter().map(|(_, text, _)| *text).collect();
        let (_, problems) = applied(&lines.join("\n"), |client| CONTRADICTIONS.iter().for_each(|(_, _, change)| change(client)));
        let mut told: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        let mut expected: Vec<&str> = CONTRADICTIONS.iter().map(|(key, ..)| *key).collect();
        told.sort_unstable();
        expected.sort_unstable();
        // One key may be told of twice, for two reasons; the authentication has three, of which a client has one.
        expected.dedup_by(|one, other| one == other && *one != "grant_types");
        assert_eq!(told, expected);
    }
}
