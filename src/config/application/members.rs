//! Members of `[application.oidc]` that a simple client does without, by their names in the registries of OAuth and OpenID Connect.

use super::{check_uri, is_loopback};
use crate::config::context::Context;
use crate::oidc::{
    ClientAbout, ClientJwks, ClientKeys, ClientSigningAlg, ContentEncryption, Encryption, KeyManagementAlg, RequestObjects, SigningAlg,
    SubjectType, TlsSubject, TokenEndpointAuthMethod,
};
use crate::toml_file::{Section, to_json};
use serde_json::Value;
use std::sync::Arc;
use url::Url;

/// What was read.
pub struct Members {
    pub keys: ClientKeys,
    pub token_endpoint_auth_signing_alg: Option<ClientSigningAlg>,
    pub tls_client_auth: Option<TlsSubject>,
    pub request_objects: RequestObjects,
    pub id_token_encryption: Option<Encryption>,
    pub userinfo_signed_response_alg: Option<SigningAlg>,
    pub userinfo_encryption: Option<Encryption>,
    pub subject_type: SubjectType,
    pub sector_identifier: Option<String>,
    pub about: ClientAbout,
}

impl Members {
    /// Does anything of it need the secret in clear?
    pub fn has_mac(&self) -> bool {
        let mac = |alg: ClientSigningAlg| !alg.is_asymmetric() && alg != ClientSigningAlg::None;
        self.request_objects.signing_alg.is_some_and(mac)
    }
}

/// Reads them; `method` and `redirect_uris` are what they must agree with.
pub fn read(context: &Context<'_>, section: &Section<'_>, method: TokenEndpointAuthMethod, redirect_uris: &[String]) -> Members {
    let keys = keys(context, section);
    if matches!(keys, ClientKeys::None)
        && matches!(method, TokenEndpointAuthMethod::PrivateKeyJwt | TokenEndpointAuthMethod::SelfSignedTlsClientAuth)
    {
        let message = format!("{} needs the client's public keys", method.as_str());
        section.problem("token_endpoint_auth_method", message, "add `jwks_uri`, `jwks` or `jwks_file`");
    }
    let subject_type = named(section, "subject_type", SubjectType::ALL, SubjectType::as_str).unwrap_or(SubjectType::Public);
    let members = Members {
        token_endpoint_auth_signing_alg: auth_signing_alg(section, method),
        tls_client_auth: tls_subject(section, method),
        request_objects: request_objects(section),
        id_token_encryption: encryption(section, "id_token_encrypted_response_alg", "id_token_encrypted_response_enc"),
        userinfo_signed_response_alg: named(section, "userinfo_signed_response_alg", SigningAlg::ALL, SigningAlg::as_str),
        userinfo_encryption: encryption(section, "userinfo_encrypted_response_alg", "userinfo_encrypted_response_enc"),
        sector_identifier: sector_identifier(section, subject_type, redirect_uris),
        subject_type,
        about: ClientAbout {
            client_uri: page(section, "client_uri"),
            logo_uri: page(section, "logo_uri"),
            policy_uri: page(section, "policy_uri"),
            tos_uri: page(section, "tos_uri"),
        },
        keys,
    };
    let encrypted = [
        ("id_token_encrypted_response_alg", members.id_token_encryption),
        ("userinfo_encrypted_response_alg", members.userinfo_encryption),
    ];
    for (key, _) in encrypted.into_iter().filter(|(_, encryption)| encryption.is_some() && matches!(members.keys, ClientKeys::None)) {
        section.problem(key, "there is no key to encrypt to", "add `jwks_uri`, `jwks` or `jwks_file`");
    }
    members
}

/// One of the words of a standard.
pub fn named<T: Copy>(section: &Section<'_>, key: &'static str, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
    let choices: Vec<(&str, T)> = all.iter().map(|value| (name(*value), *value)).collect();
    section.choice(key, &choices)
}

pub fn keys(context: &Context<'_>, section: &Section<'_>) -> ClientKeys {
    let given: Vec<_> = ["jwks", "jwks_file", "jwks_uri"].into_iter().filter(|key| section.has(key)).collect();
    if let [_, second, ..] = given.as_slice() {
        section.problem(second, format!("{} contradict each other", given.join(", ")), "keep one of them");
    }
    let inline = section.value("jwks").map(|at| ("jwks", at.value.as_str().map_or_else(|| Ok(to_json(at.value)), json)));
    let file = section.string("jwks_file").map(|at| ("jwks_file", context.read_file(at.value).and_then(|text| json(&text))));
    let uri = section.string("jwks_uri").and_then(|at| {
        if let Err((message, help)) = check_uri(at.value, false) {
            section.problem("jwks_uri", format!("`{}` {message}", at.value), help);
        }
        Url::parse(at.value).ok()
    });
    let Some((key, read)) = inline.or(file) else { return uri.map_or(ClientKeys::None, ClientKeys::Uri) };
    match read.and_then(|set| ClientJwks::parse(&set).map_err(|error| error.detail)) {
        Ok(set) => {
            for (at, why) in set.unusable() {
                section.warning(key, format!("the key at place {at} is never used: {why}"), "replace it, or remove it");
            }
            ClientKeys::Jwks(Arc::new(set))
        }
        Err(why) => {
            section.problem(key, why, "write a JWK Set (RFC 7517 5) with the public keys of the application");
            ClientKeys::None
        }
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))
}

fn auth_signing_alg(section: &Section<'_>, method: TokenEndpointAuthMethod) -> Option<ClientSigningAlg> {
    let key = "token_endpoint_auth_signing_alg";
    let alg = named(section, key, ClientSigningAlg::ALL, ClientSigningAlg::as_str)?;
    let fits = match method {
        TokenEndpointAuthMethod::PrivateKeyJwt => alg.is_asymmetric(),
        TokenEndpointAuthMethod::ClientSecretJwt => !alg.is_asymmetric() && alg != ClientSigningAlg::None,
        _ => false,
    };
    if !fits {
        section.problem(
            key,
            format!("{} does not go with {}", alg.as_str(), method.as_str()),
            "remove it, or change `token_endpoint_auth_method`",
        );
    }
    Some(alg)
}

/// RFC 8705 2.1.2: exactly one of the five.
fn tls_subject(section: &Section<'_>, method: TokenEndpointAuthMethod) -> Option<TlsSubject> {
    const KEYS: [&str; 5] = [
        "tls_client_auth_subject_dn",
        "tls_client_auth_san_dns",
        "tls_client_auth_san_uri",
        "tls_client_auth_san_ip",
        "tls_client_auth_san_email",
    ];
    let text = |key: &'static str| section.string(key).map(|at| at.value.to_owned());
    let ip = text("tls_client_auth_san_ip").and_then(|text| match text.parse() {
        Ok(address) => Some(TlsSubject::SanIp(address)),
        Err(_) => {
            section.problem("tls_client_auth_san_ip", format!("`{text}` is no IP address"), "write it as 192.0.2.1 or 2001:db8::1");
            None
        }
    });
    let named = [
        text("tls_client_auth_subject_dn").map(TlsSubject::Dn),
        text("tls_client_auth_san_dns").map(TlsSubject::SanDns),
        text("tls_client_auth_san_uri").map(TlsSubject::SanUri),
        ip,
        text("tls_client_auth_san_email").map(TlsSubject::SanEmail),
    ];
    let (wanted, count) = (method == TokenEndpointAuthMethod::TlsClientAuth, KEYS.iter().filter(|key| section.has(key)).count());
    match (wanted, count) {
        (true, 1) | (false, 0) => {}
        (true, _) => section.problem(
            "token_endpoint_auth_method",
            "tls_client_auth needs exactly one name of the client's certificate",
            format!("set one of {}", KEYS.join(", ")),
        ),
        (false, _) => {
            let key = KEYS.into_iter().find(|key| section.has(key)).unwrap_or(KEYS[0]);
            section.problem(key, "it is for tls_client_auth only", "remove it, or change `token_endpoint_auth_method`");
        }
    }
    named.into_iter().flatten().next()
}

fn request_objects(section: &Section<'_>) -> RequestObjects {
    let signing_alg = named(section, "request_object_signing_alg", ClientSigningAlg::ALL, ClientSigningAlg::as_str);
    if signing_alg == Some(ClientSigningAlg::None) {
        let message = "weakened: request objects come unsigned: whoever sends a person here chooses what is asked";
        section.warning("request_object_signing_alg", message, "use RS256, PS256 or ES256 as soon as the application can sign");
    }
    let unsigned = section.bool("unsigned_request_objects").unwrap_or(false);
    if unsigned {
        let message = "weakened: request objects may come unsigned: whoever sends a person here chooses what is asked";
        section.warning("unsigned_request_objects", message, "remove it as soon as the application signs them all");
    }
    let request_uris = section.strings("request_uris").unwrap_or_default().into_iter().map(|at| {
        // Core 6.2: a fragment may carry the digest of the content.
        let (address, _) = at.value.split_once('#').unwrap_or((at.value, ""));
        if let Err((message, help)) = check_uri(address, false) {
            section.file().problem(at.span.clone(), &at.path, format!("`{}` {message}", at.value), help);
        }
        at.value.to_owned()
    });
    let required = section.bool("require_signed_request_object").unwrap_or(false);
    if required && (unsigned || signing_alg == Some(ClientSigningAlg::None)) {
        section.problem("require_signed_request_object", "unsigned request objects are no signed ones", "remove one of the two");
    }
    if unsigned && signing_alg.is_some() {
        let message = "`request_object_signing_alg` says already how they are signed";
        section.problem("unsigned_request_objects", message, "remove one of the two");
    }
    RequestObjects {
        signing_alg,
        unsigned,
        encryption: encryption(section, "request_object_encryption_alg", "request_object_encryption_enc"),
        request_uris: request_uris.collect(),
        required,
        pushed_required: section.bool("require_pushed_authorization_requests").unwrap_or(false),
    }
}

/// Registration 2: without `enc` it is A128CBC-HS256; `enc` alone means nothing.
fn encryption(section: &Section<'_>, alg_key: &'static str, enc_key: &'static str) -> Option<Encryption> {
    let alg = named(section, alg_key, KeyManagementAlg::ALL, KeyManagementAlg::as_str);
    let enc = named(section, enc_key, ContentEncryption::ALL, ContentEncryption::as_str);
    if enc.is_some() && !section.has(alg_key) {
        section.problem(enc_key, format!("`{enc_key}` without `{alg_key}`"), format!("add `{alg_key}`"));
    }
    alg.map(|alg| Encryption { alg, enc: enc.unwrap_or(ContentEncryption::A128CbcHs256) })
}

/// Core 8.1: the host of `sector_identifier_uri`, or the one host of all redirect URIs.
fn sector_identifier(section: &Section<'_>, subject_type: SubjectType, redirect_uris: &[String]) -> Option<String> {
    // Whoever answers by https at a host speaks for it. A scheme of one's own may name any, and loopback is on every machine.
    let speaks = |url: &Url| url.scheme() == "https" && !is_loopback(url);
    let host = |text: &str| Url::parse(text).ok().filter(speaks).and_then(|url| url.host_str().map(str::to_owned));
    let key = "sector_identifier_uri";
    if let Some(at) = section.string(key) {
        if let Err((message, help)) = check_uri(at.value, false) {
            section.problem(key, format!("`{}` {message}", at.value), help);
        }
        return host(at.value);
    }
    if subject_type == SubjectType::Public {
        return None;
    }
    let mut hosts: Vec<String> = redirect_uris.iter().filter_map(|uri| host(uri)).collect();
    hosts.sort();
    hosts.dedup();
    match hosts.as_slice() {
        [one] => Some(one.clone()),
        // An application without a host of its own is a sector of its own.
        [] => None,
        _ => {
            let message = format!("the redirect URIs have several hosts ({}), and pairwise subjects need one", hosts.join(", "));
            section.problem("subject_type", message, format!("add `{key}`: its host stands for all of them"));
            None
        }
    }
}

/// An address for people.
fn page(section: &Section<'_>, key: &'static str) -> Option<String> {
    let at = section.string(key).filter(|at| !at.value.is_empty())?;
    if let Err((message, help)) = check_uri(at.value, false) {
        section.problem(key, format!("`{}` {message}", at.value), help);
    }
    Some(at.value.to_owned())
}
