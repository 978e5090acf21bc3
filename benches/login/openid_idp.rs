//! The identity provider that speaks OpenID Connect: token endpoint and UserInfo over TLS, on connections that stay open.
//!
//! It keeps nothing: a code says for whom it is, to which question, and which verifier it takes.

use crate::load::{form, mail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use isthmus::clock::Timestamp;
use isthmus::id;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, BigNumRef};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use url::{Url, form_urlencoded};

pub const CLIENT_ID: &str = "gateway";
pub const CLIENT_SECRET: &str = "a secret of the gateway";

/// Beside the gateway's configuration: whose certificates the gateway takes for good.
pub const CERTIFICATE: &str = "provider-tls.pem";

/// Answers until this process ends.
pub struct OpenIdIdp {
    issuer: String,
    key: PKey<Private>,
    groups: usize,
}

impl OpenIdIdp {
    /// Listens on loopback; its certificate is in `place` then. Everybody is in so many groups.
    pub fn start(place: &Path, groups: usize) -> Result<Arc<Self>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("the OpenID provider of the bench: {error}");
        let tls_key = Rsa::generate(2048).and_then(PKey::from_rsa).map_err(|error| failed(&error))?;
        let certificate = certificate(&tls_key).map_err(|error| failed(&error))?;
        std::fs::write(place.join(CERTIFICATE), certificate.to_pem().map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
        let mut acceptor = SslAcceptor::mozilla_modern_v5(SslMethod::tls()).map_err(|error| failed(&error))?;
        acceptor.set_private_key(&tls_key).map_err(|error| failed(&error))?;
        acceptor.set_certificate(&certificate).map_err(|error| failed(&error))?;
        let acceptor = acceptor.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| failed(&error))?;
        let port = listener.local_addr().map_err(|error| failed(&error))?.port();
        let key = Rsa::generate(2048).and_then(PKey::from_rsa).map_err(|error| failed(&error))?;
        let idp = Arc::new(Self { issuer: format!("https://localhost:{port}"), key, groups });
        let serving = Arc::clone(&idp);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (idp, acceptor) = (Arc::clone(&serving), acceptor.clone());
                // A connection that ends, ends; the login that wanted it says so.
                thread::spawn(move || accept(&acceptor, stream).map(|stream| idp.serve(stream)));
            }
        });
        Ok(idp)
    }

    /// Its part of the gateway's configuration.
    pub fn configuration(&self) -> String {
        format!(
            r#"[connection.oidc]
issuer = "{}"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
private_network = true
"#,
            self.issuer
        )
    }

    /// The query of the answer to the authorization request behind `location`.
    pub fn answer(&self, location: &str, subject: &str) -> Result<String, String> {
        let url = Url::parse(location).map_err(|error| format!("{location}: {error}"))?;
        let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
        let asked = |name: &str| asked.get(name).map(String::as_str).ok_or_else(|| format!("no {name} in {location}"));
        let code = [subject, asked("nonce")?, asked("code_challenge")?].join(".");
        Ok(form(&[("code", &code), ("state", asked("state")?), ("iss", &self.issuer)]))
    }

    fn serve(&self, stream: SslStream<TcpStream>) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = Request::read(&mut stream)? {
            let answer = self.reply(&request);
            let (status, body) = answer.map_or_else(|why| ("400 Bad Request", json!({ "error": why })), |body| ("200 OK", body));
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.get_mut().write_all([head, body].concat().as_bytes())?;
        }
        Ok(())
    }

    fn reply(&self, request: &Request) -> Result<Value, String> {
        let issuer = &self.issuer;
        match request.path.as_str() {
            "/.well-known/openid-configuration" => Ok(json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
                "userinfo_endpoint": format!("{issuer}/userinfo"), "jwks_uri": format!("{issuer}/jwks"),
                "authorization_response_iss_parameter_supported": true,
            })),
            "/jwks" => {
                let rsa = self.key.rsa().map_err(|error| error.to_string())?;
                let number = |number: &BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
                Ok(
                    json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": number(rsa.n()), "e": number(rsa.e()) }] }),
                )
            }
            "/token" => self.token(&request.body),
            "/userinfo" => {
                let subject = request.authorization.strip_prefix("Bearer ").ok_or("no token")?;
                let groups: Vec<String> = (0..self.groups).map(|number| format!("group-{number:04}")).collect();
                Ok(json!({
                    "sub": subject, "name": "Łucja Müller", "given_name": "Łucja", "family_name": "Müller", "preferred_username": subject,
                    "email": mail(subject), "email_verified": true, "phone_number": "+49 30 901820", "locale": "pl",
                    "zoneinfo": "Europe/Warsaw", "organization": "Example Organisation", "groups": groups,
                }))
            }
            other => Err(format!("there is no {other}")),
        }
    }

    fn token(&self, body: &[u8]) -> Result<Value, String> {
        let asked: HashMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        let asked = |name: &str| asked.get(name).map(String::as_str).ok_or_else(|| format!("no {name}"));
        let [subject, nonce, challenge] = asked("code")?.split('.').collect::<Vec<_>>()[..] else {
            return Err("no code of ours".to_owned());
        };
        if URL_SAFE_NO_PAD.encode(id::sha256(asked("code_verifier")?.as_bytes())) != challenge {
            return Err("another verifier".to_owned());
        }
        let now = Timestamp::now().seconds();
        let at_hash = id::sha256(subject.as_bytes());
        let at_hash = at_hash.get(..16).map(|half| URL_SAFE_NO_PAD.encode(half));
        let claims = json!({
            "iss": self.issuer, "aud": CLIENT_ID, "sub": subject, "nonce": nonce, "at_hash": at_hash, "iat": now, "exp": now + 300,
            "auth_time": now, "sid": subject,
        });
        let id_token = self.signed(&claims).map_err(|error| error.to_string())?;
        Ok(json!({ "access_token": subject, "token_type": "Bearer", "expires_in": 300, "id_token": id_token }))
    }

    fn signed(&self, claims: &Value) -> Result<String, openssl::error::ErrorStack> {
        let [header, claims] =
            [&json!({ "alg": "RS256", "typ": "JWT", "kid": "1" }), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = Signer::new(MessageDigest::sha256(), &self.key)?.sign_oneshot_to_vec(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// As much of a request as is looked at.
struct Request {
    path: String,
    authorization: String,
    body: Vec<u8>,
}

impl Request {
    /// `None`: the connection has ended.
    fn read(stream: &mut BufReader<SslStream<TcpStream>>) -> std::io::Result<Option<Self>> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut authorization, mut length) = (String::new(), 0);
        loop {
            line.clear();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "authorization" => value.clone_into(&mut authorization),
                "content-length" => length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok(Some(Self { path, authorization, body }))
    }
}

fn accept(acceptor: &SslAcceptor, stream: TcpStream) -> Option<SslStream<TcpStream>> {
    stream.set_nodelay(true).ok()?;
    acceptor.accept(stream).ok()
}

/// For `localhost`, by itself.
fn certificate(key: &PKey<Private>) -> Result<X509, openssl::error::ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "bench OpenID provider")?;
    let (name, mut builder) = (name.build(), X509::builder()?);
    builder.set_version(2)?;
    builder.set_serial_number(&*BigNum::from_u32(1)?.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(2)?)?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    let localhost = SubjectAlternativeName::new().dns("localhost").build(&builder.x509v3_context(None, None))?;
    builder.append_extension(localhost)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}
