//! Accounts that an endpoint of the operator's keeps (S4-18): each of the five operations is one signed question to it.
//!
//! Who asks is proven as webhooks prove it (Standard Webhooks 1.0): `webhook-id`, `webhook-timestamp`, and `webhook-signature`
//! with the HMAC-SHA-256 of both and of the body. The answer is a JSON object, and what it does not say clearly is not taken
//! for an answer: a page of a proxy in between makes nobody's password wrong.

use super::{Account, AccountError, Accounts, Answering, NewAccount, Weakness, Whose};
use crate::clock::Timestamp;
use crate::connection::config::ConnectionConfig;
use crate::connection::oauth2::profile;
use crate::connection::outbound::asker::{Asked, Asker};
use crate::connection::outbound::download::Reach;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::secret::Secret;
use crate::store::{Directory, NewUser, OwnProfile};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Octets of an answer at most.
const LIMIT: u64 = 256 * 1024;

/// Characters of what the endpoint tells operators.
const MESSAGE: usize = 300;

/// What a secret begins with that is written as webhook libraries write it; the rest is base64.
const PREFIX: &str = "whsec_";

/// Octets that a secret has at least.
pub const SECRET: usize = 24;

/// The operator's endpoint.
#[derive(Clone, Debug)]
pub struct CustomSettings {
    pub endpoint: Url,
    /// Those that questions are signed with: more than one while they change.
    pub secrets: Vec<SigningSecret>,
    pub reach: Reach,
}

/// Octets that both sides know.
#[derive(Clone)]
pub struct SigningSecret(Secret<Vec<u8>>);

impl SigningSecret {
    /// The octets of the text, or what stands in base64 behind `whsec_`. `None`: fewer than [`SECRET`] octets, or no base64.
    pub fn parse(text: &Secret<String>) -> Option<Self> {
        let text = text.expose().trim();
        let octets = match text.strip_prefix(PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).ok()?,
            None => text.as_bytes().to_vec(),
        };
        (octets.len() >= SECRET).then(|| Self(Secret::new(octets)))
    }

    fn sign(&self, signed: &str) -> Result<String, openssl::error::ErrorStack> {
        let key = PKey::hmac(self.0.expose())?;
        let mac = Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(signed.as_bytes())?;
        Ok(format!("v1,{}", STANDARD.encode(mac)))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret")
    }
}

/// Accounts behind an endpoint.
pub struct CustomAccounts {
    /// The endpoint knows who asks by its name.
    config: ConnectionConfig,
    settings: CustomSettings,
    asker: Asker,
    directory: Arc<dyn Directory>,
}

impl CustomAccounts {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(config: ConnectionConfig, settings: CustomSettings, directory: Arc<dyn Directory>) -> Result<Self> {
        let asker = Asker::new(settings.reach)?;
        Ok(Self { config, settings, asker, directory })
    }

    /// Who has just been made can be written to before the first login: links are for users whom the directory knows.
    async fn remember(&self, made: &Account, new: &NewAccount, now: Timestamp) {
        // The first login brings the rest, by the connection's mapping.
        let mut profile = Map::from_iter([("email".to_owned(), Value::from(new.email.as_str()))]);
        if let Some(username) = &new.username {
            profile.insert("username".to_owned(), username.as_str().into());
        }
        let user = NewUser {
            allows_login: !self.config.profile.link_only,
            user_metadata: new.user_metadata.clone(),
            own: Some(OwnProfile::of(profile)),
            ..NewUser::bare(self.config.identity(&made.subject))
        };
        if let Err(error) = self.directory.create_user(&user, now).await {
            tracing::warn!(connection = self.config.name, %error, "an account was made and is not known here before its first login");
        }
    }

    /// Asks, and gives what was answered.
    async fn ask(&self, operation: &'static str, about: Value, now: Timestamp) -> Result<Map<String, Value>, AccountError> {
        let mut question = Map::from_iter([("operation".to_owned(), json!(operation)), ("connection".to_owned(), json!(self.config.name))]);
        if let Value::Object(about) = about {
            question.extend(about.into_iter().filter(|(_, value)| !value.is_null()));
        }
        let body = Value::Object(question).to_string();
        let headers = headers(&self.settings.secrets, &body, now).map_err(|error| AccountError::Unavailable(error.to_string()))?;
        let answer = self.asker.post_json(&self.settings.endpoint, body, &headers, LIMIT).await;
        judge(&answer.map_err(AccountError::Unavailable)?)
    }
}

impl Accounts for CustomAccounts {
    fn login<'a>(&'a self, name: &'a str, password: &'a Secret<String>, now: Timestamp) -> Answering<'a, Account> {
        Box::pin(async move {
            let answer = self.ask("login", json!({ "username": name, "password": password.expose() }), now).await?;
            account(answer)
        })
    }

    fn create<'a>(&'a self, new: &'a NewAccount, now: Timestamp) -> Answering<'a, Account> {
        Box::pin(async move {
            let mut about = new.profile.clone();
            about.extend([
                ("email".to_owned(), json!(new.email)),
                ("username".to_owned(), json!(new.username)),
                ("password".to_owned(), json!(new.password.expose())),
            ]);
            if !new.user_metadata.is_empty() {
                about.insert("user_metadata".to_owned(), Value::Object(new.user_metadata.clone()));
            }
            let made = account(self.ask("create", Value::Object(about), now).await?)?;
            self.remember(&made, new, now).await;
            Ok(made)
        })
    }

    fn verify<'a>(&'a self, whose: &'a Whose, now: Timestamp) -> Answering<'a, ()> {
        Box::pin(async move { self.ask("verify", of(whose), now).await.map(drop) })
    }

    fn delete<'a>(&'a self, whose: &'a Whose, now: Timestamp) -> Answering<'a, ()> {
        Box::pin(async move { self.ask("delete", of(whose), now).await.map(drop) })
    }

    fn change_password<'a>(&'a self, whose: &'a Whose, password: &'a Secret<String>, now: Timestamp) -> Answering<'a, ()> {
        Box::pin(async move {
            let mut about = of(whose);
            about["password"] = json!(password.expose());
            self.ask("change_password", about, now).await.map(drop)
        })
    }
}

fn of(whose: &Whose) -> Value {
    json!({ "user_id": whose.subject, "email": whose.email, "username": whose.username })
}

/// Standard Webhooks 1.0: the signatures of all secrets, with blanks between them.
fn headers(secrets: &[SigningSecret], body: &str, now: Timestamp) -> Result<[(&'static str, String); 3]> {
    let (id, at) = (format!("msg_{}", id::random_id()), now.seconds().to_string());
    let signed = format!("{id}.{at}.{body}");
    let signatures: Result<Vec<_>, _> = secrets.iter().map(|secret| secret.sign(&signed)).collect();
    let signatures = signatures.map_err(|error| Error::new(ErrorKind::Internal, "a question cannot be signed").because(error))?;
    Ok([("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", signatures.join(" "))])
}

/// What an answer says: the object of a good one, or the error that it names.
fn judge(answer: &Asked) -> Result<Map<String, Value>, AccountError> {
    let unavailable = |why: &str| AccountError::Unavailable(format!("the endpoint answered with status {}{why}", answer.status));
    let good = (200..300).contains(&answer.status);
    if answer.status == 204 && answer.body.is_empty() {
        return Ok(Map::new());
    }
    if answer.content_type != "application/json" {
        return Err(unavailable(&format!(" and {}, not application/json", shown(&answer.content_type))));
    }
    let members: Map<String, Value> = serde_json::from_slice(&answer.body).map_err(|_| unavailable(" and no JSON object"))?;
    let Some(error) = members.get("error") else {
        return if good { Ok(members) } else { Err(unavailable(" and no `error`")) };
    };
    Err(match error.as_str() {
        Some("no_such_user") => AccountError::NoSuchUser,
        Some("wrong_password") => AccountError::WrongPassword,
        Some("exists") => AccountError::Exists,
        Some("too_weak") => AccountError::TooWeak(Weakness::Unsuitable),
        Some("busy") => AccountError::Busy,
        Some("refused") => {
            let message = members.get("message").and_then(Value::as_str).map(shown);
            AccountError::Refused(message.map_or_else(|| "the endpoint refused".to_owned(), |why| format!("the endpoint refused: {why}")))
        }
        _ => unavailable(" and an `error` that is not known"),
    })
}

/// S1-9: whose account it is stands in `user_id`. `app_metadata` is for the user's, everything else is the profile.
fn account(mut members: Map<String, Value>) -> Result<Account, AccountError> {
    let subject = profile::subject(&members, &["user_id".to_owned()])
        .map_err(|why| AccountError::Refused(format!("the endpoint's answer has no `user_id` that can be kept: {why}")))?;
    members.shift_remove("user_id");
    let app_metadata = match members.shift_remove("app_metadata") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(AccountError::Refused("the `app_metadata` of the endpoint's answer is no object".to_owned())),
    };
    for name in ["user_metadata", "identities", "password"] {
        members.shift_remove(name);
    }
    Ok(Account { subject, profile: members, app_metadata })
}

/// For operators: short, and without control characters.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Option<SigningSecret> {
        SigningSecret::parse(&Secret::new(text.to_owned()))
    }

    fn answered(status: u16, content_type: &str, body: &str) -> Asked {
        Asked { status, content_type: content_type.to_owned(), body: body.as_bytes().to_vec() }
    }

    fn judged(status: u16, body: &str) -> Result<Map<String, Value>, AccountError> {
        judge(&answered(status, "application/json", body))
    }

    #[test]
    fn secrets_are_long_enough_and_not_shown() {
        let good = secret("0123456789abcdefghijklmnopqrst").expect("a secret");
        assert_eq!(format!("{good:?}"), "SigningSecret");
        let encoded = secret("whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0").expect("a secret");
        assert_eq!(encoded.sign("x").expect("signs"), good.sign("x").expect("signs"));
        for bad in ["", "short", "whsec_c2hvcnQ=", "whsec_%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%"] {
            assert!(secret(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_question_is_signed_as_webhooks_are() {
        // The example of the Standard Webhooks libraries.
        let example = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signed = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        assert_eq!(example.sign(signed).expect("signs"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let another = secret("another secret of twenty-four octets").expect("a secret");
        let [(_, id), (_, at), (_, signatures)] =
            headers(&[example.clone(), another.clone()], "{}", Timestamp::from_seconds(1_800_000_000)).expect("signed");
        assert_eq!(at, "1800000000");
        let expected = [example, another].map(|secret| secret.sign(&format!("{id}.{at}.{{}}")).expect("signs"));
        assert_eq!(signatures, expected.join(" "));
    }

    #[test]
    fn only_a_clear_answer_makes_a_password_wrong() {
        for (status, body, expected) in [
            (200, r#"{"error":"wrong_password"}"#, "WrongPassword"),
            (401, r#"{"error":"wrong_password"}"#, "WrongPassword"),
            (404, r#"{"error":"no_such_user"}"#, "NoSuchUser"),
            (409, r#"{"error":"exists"}"#, "Exists"),
            (422, r#"{"error":"too_weak"}"#, "TooWeak(Unsuitable)"),
            (503, r#"{"error":"busy"}"#, "Busy"),
        ] {
            assert_eq!(format!("{:?}", judged(status, body).expect_err("an error")), expected, "{status} {body}");
        }
        for (status, content_type, body) in [
            (404, "text/html", "<h1>Not Found</h1>"),
            (200, "text/html", r#"{"user_id":"7"}"#),
            (200, "application/json", "[]"),
            (200, "application/json", ""),
            (401, "application/json", "{}"),
            (302, "application/json", r#"{"user_id":"7"}"#),
            (500, "application/json", r#"{"error":"oh no"}"#),
            (200, "application/json", r#"{"error":7}"#),
        ] {
            let error = judge(&answered(status, content_type, body)).expect_err("no answer");
            assert!(matches!(error, AccountError::Unavailable(_)), "{status} {content_type} {body}: {error:?}");
        }
        assert_eq!(judge(&answered(204, "", "")).expect("done"), Map::new());
        let refused = judged(403, "{\"error\":\"refused\",\"message\":\"not\\nfor contractors\"}").expect_err("refused");
        assert_eq!(refused.to_string(), "the endpoint refused: not for contractors");
    }

    #[test]
    fn s1_9_an_account_has_a_user_id() {
        let account_of = |body: &str| account(judged(200, body).expect("an object"));
        let good = account_of(r#"{"user_id":7,"email":"a@b","app_metadata":{"plan":"gold"},"user_metadata":{"a":1},"identities":[]}"#);
        let good = good.expect("an account");
        assert_eq!((good.subject.as_str(), good.text("email")), ("7", Some("a@b")));
        assert_eq!((Value::from(good.profile), Value::from(good.app_metadata)), (json!({"email": "a@b"}), json!({"plan": "gold"})));
        for bad in [
            r#"{"email":"a@b"}"#,
            r#"{"user_id":""}"#,
            r#"{"user_id":null}"#,
            r#"{"user_id":1.5}"#,
            r#"{"user_id":["7"]}"#,
            r#"{"user_id":"a\u0000b"}"#,
            r#"{"user_id":"7","app_metadata":[]}"#,
        ] {
            assert!(matches!(account_of(bad), Err(AccountError::Refused(_))), "{bad}");
        }
    }
}
