//! Links for people of databases, which a program hands to them by its own ways: for another password, and for proving an
//! address. Whoever has such a link can do what it is for, so that this has a scope of its own.

use super::call::{Call, Reply, connection_name};
use super::problem::Refusal;
use super::shape::{Kind, Shape, fault, may, must};
use super::users::existing;
use super::{Answer, Body, Operation};
use crate::broker::accounts::{Linking, Purpose, SentFor};
use crate::error::ErrorKind;
use crate::user::User;
use serde_json::{Value, json};
use url::Url;

const TICKET: Shape = Shape {
    name: "Ticket",
    members: &[must("ticket", Kind::Formatted("uri", 4000), "It works once")],
    open: false,
    example: r#"{"ticket": "https://login.example.org/login/new-password?ticket=.."}"#,
};

const PASSWORD_CHANGE: Shape = Shape {
    name: "PasswordChangeTicket",
    members: &[
        may("user_id", Kind::Text(1, 6000), "Whose password"),
        may("connection_id", Kind::Text(1, 128), "Instead of `user_id`: id or name of the connection .."),
        may("email", Kind::Text(1, 254), ".. and the address of the person there"),
        may("result_url", Kind::Formatted("uri", 2000), "Where the person goes on"),
        may("ttl_sec", Kind::Integer(0, 2_592_000), "Seconds for which it works; 0 is an hour"),
        may("mark_email_as_verified", Kind::Boolean, "true: you send it to the address, and whoever follows it has read that mail"),
        may("client_id", Kind::Text(1, 255), "Has no effect: see result_url"),
    ],
    open: false,
    example: r#"{"user_id": "auth0|5f0c1c0a", "result_url": "https://notes.example/", "ttl_sec": 3600}"#,
};

const EMAIL_VERIFICATION: Shape = Shape {
    name: "EmailVerificationTicket",
    members: &[
        must("user_id", Kind::Text(1, 6000), "Whose address"),
        may("result_url", Kind::Formatted("uri", 2000), "Where the person goes on"),
        may("ttl_sec", Kind::Integer(0, 2_592_000), "Seconds for which it works; 0 is a day"),
        may("client_id", Kind::Text(1, 255), "Has no effect: see result_url"),
    ],
    open: false,
    example: r#"{"user_id": "auth0|5f0c1c0a"}"#,
};

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Tickets", POST "/tickets/password-change" "post_password_change" "Make a link by which somebody chooses another password",
        &["create:user_tickets"], &[], Body::Json(&PASSWORD_CHANGE), (201, Answer::One(&TICKET)), &[404], password_change),
    operation!("Tickets", POST "/tickets/email-verification" "post_email_verification" "Make a link that proves somebody's address",
        &["create:user_tickets"], &[], Body::Json(&EMAIL_VERIFICATION), (201, Answer::One(&TICKET)), &[404], email_verification),
];

async fn password_change(call: Call) -> Result<Reply, Refusal> {
    let (user, at) = match (text(&call, "user_id"), text(&call, "connection_id"), text(&call, "email")) {
        (Some(user_id), None, None) => (existing(&call, &user_id).await?, None),
        (None, Some(connection), Some(email)) => by_address(&call, &connection, &email).await?,
        _ => return Err(vec![fault("/user_id", "is needed, or `connection_id` and `email` instead of it")].into()),
    };
    let proves_address = call.body.get("mark_email_as_verified").and_then(Value::as_bool).unwrap_or(false);
    make(&call, (&user, at.as_deref()), Purpose::Password, proves_address).await
}

async fn email_verification(call: Call) -> Result<Reply, Refusal> {
    let user = existing(&call, &text(&call, "user_id").unwrap_or_default()).await?;
    make(&call, (&user, None), Purpose::Verify, true).await
}

async fn make(call: &Call, of: (&User, Option<&str>), purpose: Purpose, proves_address: bool) -> Result<Reply, Refusal> {
    let result_url = text(call, "result_url");
    let is_web = |text: &String| Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    if result_url.as_ref().is_some_and(|url| !is_web(url)) {
        return Err(vec![fault("/result_url", "is no address of a page")].into());
    }
    let life = call.body.get("ttl_sec").and_then(Value::as_u64).and_then(|life| u32::try_from(life).ok()).filter(|life| *life > 0);
    // The program has the link itself, and says whose the account is.
    let how = Linking { result_url, proves_address, sent_for: SentFor::Operator, life };
    let link = call.gateway.link_for_user(purpose, of, how, call.now).await?;
    let link = link.ok_or_else(|| Refusal::from(vec![fault("/user_id", "has no account with an address at a database")]))?;
    Ok(Reply::created(json!({ "ticket": link })))
}

fn text(call: &Call, member: &str) -> Option<String> {
    call.body.get(member).and_then(Value::as_str).map(str::to_owned)
}

async fn by_address(call: &Call, connection: &str, email: &str) -> Result<(User, Option<String>), Refusal> {
    let connection = connection_name(call, connection).await?;
    let missing = || Refusal::new(ErrorKind::NotFound, "There is no such user.").with_code("inexistent_user");
    let user = call.gateway.holder_of(&connection, email).await?.ok_or_else(missing)?;
    Ok((user, Some(connection)))
}
