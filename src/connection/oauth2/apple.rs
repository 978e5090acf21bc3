//! Two ways of Apple: a client secret that we make ourselves, and a name that comes beside the code, once.

use crate::clock::Timestamp;
use crate::connection::config::AppleSecret;
use crate::error::Result;
use crate::id::base64url;
use crate::keys::{Digest, SignatureScheme};
use crate::oidc::Params;
use crate::secret::Secret;
use serde_json::{Map, Value, json};

/// Who reads the secret.
const AUDIENCE: &str = "https://appleid.apple.com";
/// Seconds for which it is good.
const LIFETIME: i64 = 300;
/// Octets of what comes beside the code, and of a name in it.
const LONGEST: usize = 4096;
const LONGEST_NAME: usize = 150;

/// A client secret for now: a JWT of the developer's key.
///
/// # Errors
/// When the key cannot sign by ES256.
pub fn client_secret(apple: &AppleSecret, client_id: &str, now: Timestamp) -> Result<Secret<String>> {
    let header = json!({ "alg": "ES256", "kid": apple.key_id });
    let claims = json!({
        "iss": apple.team_id, "sub": client_id, "aud": AUDIENCE, "iat": now.seconds(), "exp": now.seconds() + LIFETIME,
    });
    let message = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let signature = apple.key.sign(SignatureScheme::Ecdsa(Digest::Sha256), message.as_bytes())?;
    Ok(Secret::new(format!("{message}.{}", base64url(&signature))))
}

/// The name in the parameter `user`, which comes with the first login only. It came by the browser and nobody has signed it:
/// a name may be believed so, an address never.
pub fn name_of_first_answer(params: &Params, claims: &mut Map<String, Value>) {
    let user = params.get("user").filter(|user| user.len() <= LONGEST);
    let Some(Ok(user)) = user.map(serde_json::from_str::<Value>) else { return };
    for (theirs, claim) in [("firstName", "given_name"), ("lastName", "family_name")] {
        let name = user.pointer(&format!("/name/{theirs}")).and_then(Value::as_str).map(str::trim);
        let name = name.filter(|name| !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control));
        if let Some(name) = name {
            claims.entry(claim).or_insert_with(|| name.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::from_base64url;
    use crate::keys::{KeyKind, PrivateKey};

    #[test]
    fn the_secret_is_a_statement_of_the_developers_key() {
        let key = PrivateKey::generate(KeyKind::EcP256).expect("a key");
        let public = key.public_der().expect("a key");
        let apple = AppleSecret { team_id: "TEAM".into(), key_id: "KEY".into(), key };
        assert!(!format!("{apple:?}").contains("key:"));
        let secret = client_secret(&apple, "org.example.login", Timestamp::from_seconds(1_800_000_000)).expect("made");
        let parts: Vec<&str> = secret.expose().split('.').collect();
        let read = |part: &str| serde_json::from_slice::<Value>(&from_base64url(part).expect("base64url")).expect("JSON");
        assert_eq!(read(parts[0]), json!({ "alg": "ES256", "kid": "KEY" }));
        let claims = json!({
            "iss": "TEAM", "sub": "org.example.login", "aud": "https://appleid.apple.com", "iat": 1_800_000_000, "exp": 1_800_000_300,
        });
        assert_eq!(read(parts[1]), claims);
        // RFC 7518 3.4: two numbers side by side.
        let signature = from_base64url(parts[2]).expect("base64url");
        assert_eq!(signature.len(), 64);
        let number = |octets: &[u8]| openssl::bn::BigNum::from_slice(octets).expect("a number");
        let pair = openssl::ecdsa::EcdsaSig::from_private_components(number(&signature[..32]), number(&signature[32..])).expect("two");
        let ec = openssl::pkey::PKey::public_key_from_der(&public).expect("a key").ec_key().expect("a key");
        let digest = openssl::sha::sha256(format!("{}.{}", parts[0], parts[1]).as_bytes());
        assert!(pair.verify(&digest, &ec).expect("a check"));
    }

    #[test]
    fn a_name_is_taken_from_the_browser_and_nothing_else() {
        let told = |user: &str, claims: Value| {
            let params = Params::from_pairs([("user".to_owned(), user.to_owned())]).expect("parameters");
            let mut claims = claims.as_object().cloned().expect("an object");
            name_of_first_answer(&params, &mut claims);
            Value::Object(claims)
        };
        let user = r#"{"name":{"firstName":"Jane","lastName":" Doe "},"email":"admin@acme.example","sub":"admin"}"#;
        assert_eq!(told(user, json!({ "sub": "jane" })), json!({ "sub": "jane", "given_name": "Jane", "family_name": "Doe" }));
        assert_eq!(told(user, json!({ "given_name": "J" })), json!({ "given_name": "J", "family_name": "Doe" }));
        let long = format!(r#"{{"name":{{"firstName":"{}"}}}}"#, "J".repeat(LONGEST_NAME + 1));
        let large = format!(r#"{{"name":{{"firstName":"Jane"}},"more":"{}"}}"#, "x".repeat(LONGEST));
        let hostile = ["", "{", "7", r#"{"name":"Jane"}"#, r#"{"name":{"firstName":"","lastName":"a\u0000"}}"#, &long, &large];
        for user in hostile {
            assert_eq!(told(user, json!({})), json!({}), "{user}");
        }
        let longest = long.replacen('J', "", 1);
        assert_eq!(told(&longest, json!({}))["given_name"], "J".repeat(LONGEST_NAME));
    }
}
