//! Mails that prove addresses, as jobs: the mail goes into the queue, where it waits for its server, and the job is done.

use super::super::call::{Call, Reply};
use super::super::problem::Refusal;
use super::super::shape::{Kind, Shape, fault, may, must};
use super::super::users::existing;
use super::{invalid, shown};
use crate::broker::accounts::Mailed;
use crate::error::ErrorKind;
use crate::http::login::account::letters;
use crate::user::{StoredIdentity, User};
use serde_json::Value;

pub const VERIFICATION: Shape = Shape {
    name: "VerificationEmail",
    members: &[
        must("user_id", Kind::Text(1, 6000), "Whose address"),
        may("client_id", Kind::Text(1, 255), "Of an application that is known here. It changes nothing"),
        may("identity", Kind::Record(&IDENTITY), "Which account of the user; the first one at a database if it is not said"),
    ],
    open: false,
    example: r#"{"user_id": "auth0|5f0c1c0a", "identity": {"provider": "auth0", "user_id": "5f0c1c0a"}}"#,
};

const IDENTITY: Shape = Shape {
    name: "VerificationIdentity",
    members: &[must("user_id", Kind::Text(1, 6000), "Without the provider"), must("provider", Kind::Text(1, 50), "auth0, or custom")],
    open: false,
    example: r#"{"provider": "auth0", "user_id": "5f0c1c0a"}"#,
};

pub async fn verification_email(call: Call) -> Result<Reply, Refusal> {
    if !call.gateway.mailer.is_there() {
        return Err(vec![fault("", "cannot be asked for: there is no mail server, so nobody is written to")].into());
    }
    let text = |name: &str| call.body.get(name).and_then(Value::as_str);
    if text("client_id").is_some_and(|client_id| !call.gateway.applications.contains_key(client_id)) {
        return Err(vec![fault("/client_id", "is no client that is known here")].into());
    }
    let user = existing(&call, text("user_id").unwrap_or_default()).await?;
    let identity = call.body.get("identity").filter(|identity| !identity.is_null());
    let meant = identity.map(|identity| one_of(&user, identity)).transpose()?;
    let is_meant = |stored: &StoredIdentity| meant.is_none_or(|meant| meant.identity == stored.identity);
    let mailed = call.gateway.mail_verification(&user, is_meant, &letters(&call.request), call.now).await?;
    let at = if identity.is_some() { "/identity" } else { "/user_id" };
    match mailed {
        Mailed::Queued { connection } => {
            let job = call.state.jobs.note_verification(&user.user_id, connection, call.by()).await.map_err(invalid)?;
            Ok(Reply::created(shown(&call, &job)?))
        }
        Mailed::NoAccount => Err(vec![fault(at, "has no account with an address at a database")].into()),
        Mailed::Verified => Err(Refusal::new(ErrorKind::Conflict, "The address is verified already.").with_code("email_verified")),
        Mailed::TooMany => {
            let message = "As many mails as may went to this address; ask again in some minutes.";
            Err(Refusal::new(ErrorKind::TooManyRequests, message).with_code("too_many_requests"))
        }
    }
}

/// The identity that provider and subject name.
fn one_of<'u>(user: &'u User, named: &Value) -> Result<&'u StoredIdentity, Refusal> {
    let [provider, subject] = ["provider", "user_id"].map(|name| named.get(name).and_then(Value::as_str).unwrap_or_default());
    let is_named = |stored: &&StoredIdentity| {
        let identity = &stored.identity;
        let same = identity.user_id == subject || format!("{}|{}", identity.connection, identity.user_id) == subject;
        identity.provider == provider && same
    };
    let mut found = user.identities.iter().filter(is_named);
    match (found.next(), found.next()) {
        (Some(stored), None) => Ok(stored),
        (None, _) => Err(Refusal::new(ErrorKind::NotFound, "The user has no such identity.").with_code("inexistent_identity")),
        (Some(_), Some(_)) => {
            let message = "Several connections have this subject: write it as connection|subject.";
            Err(Refusal::new(ErrorKind::Conflict, message).with_code("ambiguous_identity"))
        }
    }
}
