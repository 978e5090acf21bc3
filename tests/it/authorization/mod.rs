//! The authorization endpoint: every response type in every mode, claims by name, and requests that come as objects or are
//! pushed before.

mod claims;
mod consent;
mod objects;
mod pushed;
mod response_types;

use crate::harness::app::App;
use crate::harness::browser::Departure;
use crate::harness::gateway::Setup;
use crate::harness::idp::Idp;
use crate::harness::scene::Scene;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use isthmus::clock::Timestamp;
use openssl::bn::BigNumRef;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use serde_json::{Value, json};

const EMAIL: &str = "Jane.Doe@acme.example";
const ALL: [&str; 6] = ["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"];

/// An application that may use all response types, with more lines of `[application.oidc]`.
async fn scene_of(oidc: &str) -> Scene {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let setup = Setup::new().connection(&idp.toml("", "")).application(&app.toml("", &format!("{}\n{oidc}", every_type())));
    Scene::of(setup, idp, app).await
}

fn every_type() -> String {
    format!("response_types = {}", json!(ALL))
}

/// A key of an application, and request objects by it.
struct Signer {
    key: PKey<Private>,
}

impl Signer {
    fn new() -> Self {
        Self { key: PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap() }
    }

    /// Its `jwks` in `[application.oidc]`.
    fn toml(&self) -> String {
        let rsa = self.key.rsa().unwrap();
        let number = |number: &BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
        format!("jwks = {{ keys = [{{ kty = \"RSA\", n = \"{}\", e = \"{}\" }}] }}", number(rsa.n()), number(rsa.e()))
    }

    fn sign(&self, typ: Option<&str>, claims: &Value) -> String {
        let mut header = json!({ "alg": "RS256" });
        if let Some(typ) = typ {
            header["typ"] = typ.into();
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(claims));
        let mut signer = openssl::sign::Signer::new(MessageDigest::sha256(), &self.key).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signer.sign_oneshot_to_vec(message.as_bytes()).unwrap()))
    }
}

/// The claims of a request object in good order, with changes; null takes one away.
fn object_of(scene: &Scene, changes: &Value) -> Value {
    let now = Timestamp::now().seconds();
    let mut claims = json!({
        "iss": "notes", "aud": scene.gateway.issuer(), "client_id": "notes", "exp": now + 60, "iat": now,
    });
    for (name, value) in scene.app.authorize(&scene.gateway, &[]).query_pairs() {
        claims[name.as_ref()] = value.as_ref().into();
    }
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn half_hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(&openssl::sha::sha256(text.as_bytes())[..16])
}

/// A part of a JWT; what judges signatures are other people's libraries.
fn part(token: &str, number: usize) -> Value {
    let encoded = token.split('.').nth(number).expect("a part of a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).expect("base64url")).expect("JSON")
}

fn id_token(answer: &Departure) -> Value {
    part(&answer.parameter("id_token").expect("an ID token"), 1)
}
