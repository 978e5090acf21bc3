//! Changes of users.

use super::read::answer;
use super::{Caller, refusal};
use crate::broker::admin::{SealedValues, UserEdit};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::http::login::account::letters_in;
use crate::http::management::call::{Call, Reply};
use crate::http::management::problem::Refusal;
use crate::http::management::shape::fault;
use crate::http::words::{Language, Words};
use crate::secret::Secret;
use crate::store::LogType;
use crate::user::metadata::{Part, Update};
use crate::user::own::OwnPatch;
use crate::user::patch::{Editor, UserPatch};
use crate::user::{CUSTOM, DATABASE, StoredIdentity, User};
use serde_json::{Map, Value};

pub async fn create(call: Call) -> Result<Reply, Refusal> {
    let mut members = call.body.as_object().cloned().unwrap_or_default();
    let [connection, user_id, password] = ["connection", "user_id", "password"].map(|name| take_text(&mut members, name));
    let verify = mails(&call, &mut members)?;
    let connection = connection.unwrap_or_default();
    let unknown = || Refusal::from(vec![fault("/connection", "is no connection of this gateway")]);
    let place = call.gateway.place_of(&connection).ok_or_else(unknown)?;
    let refused = |error: Error| match error.kind {
        ErrorKind::Conflict => Refusal::from(error).with_code("user_exists"),
        _ => refusal(error),
    };
    if password.is_some() && place.provider != DATABASE {
        return Err(vec![fault("/password", "belongs to the connection: its users have their passwords there")].into());
    }
    let admin = &call.gateway.admin;
    // Said before anything is made.
    if let Some(password) = password.clone().map(Secret::new) {
        let about = ["email", "username", "name", "given_name", "family_name", "nickname"];
        let about = about.iter().filter_map(|name| members.get(*name).and_then(Value::as_str));
        admin.check_password(&connection, &password, about).map_err(weak)?;
    }
    let user = admin.create_user(&place, user_id.as_deref(), &members, call.by(), call.now).await.map_err(refused)?;
    set_password(&call, &user.user_id, password).await?;
    if verify {
        write_to(&call, &user, None).await?;
    }
    let record = admin.user_record(&user.user_id, SealedValues::Absent).await.map_err(refusal)?;
    Ok(answer(&call, 201, &record))
}

pub async fn update(call: Call) -> Result<Reply, Refusal> {
    let mut members = call.body.as_object().cloned().unwrap_or_default();
    let (mut password, mut own, mut verify, mut connection) = (None, OwnPatch::default(), false, None);
    let editor = match Caller::of(&call, &["update:users", "update:users_app_metadata"]).await? {
        Caller::Person => {
            own_metadata_only(&call, &members).await?;
            Editor::Person
        }
        Caller::Program => {
            if !call.may("update:users") && members.keys().any(|name| name != Part::AppMetadata.name()) {
                let message = "Insufficient scope, expected any of: update:users";
                return Err(Refusal::new(ErrorKind::InsufficientScope, message).with_code("insufficient_scope"));
            }
            verify = mails(&call, &mut members)?;
            members.shift_remove("client_id");
            connection = take_text(&mut members, "connection");
            if let Some(connection) = &connection {
                let user = super::read::existing(&call, call.name("id")).await?;
                if !user.identities.iter().any(|stored| &stored.identity.connection == connection) {
                    return Err(vec![fault("/connection", "is no connection of this user")].into());
                }
            }
            password = take_text(&mut members, "password");
            own = OwnPatch::take(&mut members).map_err(refusal)?;
            Editor::Operator
        }
    };
    let patch = UserPatch::parse(&members, editor).map_err(refusal)?;
    if password.is_some() {
        let user = super::read::existing(&call, call.name("id")).await?;
        if user.primary().is_none_or(|primary| ![DATABASE, CUSTOM].contains(&primary.identity.provider.as_str())) {
            return Err(vec![fault("/password", "belongs to the connection: its users have their passwords there")].into());
        }
        // Said before anything is changed.
        let given = Secret::new(password.clone().unwrap_or_default());
        call.gateway.admin.check_password_of(&user, &given).map_err(weak)?;
    }
    let user = edit(&call, patch, own, Update::Merge).await?;
    set_password(&call, &user.user_id, password).await?;
    if verify {
        write_to(&call, &user, connection.as_deref()).await?;
    }
    if user.blocked && members.get("blocked") == Some(&Value::Bool(true)) {
        call.gateway.tell_of_block(&user.user_id, call.now).await?;
    }
    replied(&call, &user.user_id).await
}

pub async fn put_user_metadata(call: Call) -> Result<Reply, Refusal> {
    put(call, Part::UserMetadata, &["update:users"]).await
}

pub async fn put_app_metadata(call: Call) -> Result<Reply, Refusal> {
    put(call, Part::AppMetadata, &["update:users", "update:users_app_metadata"]).await
}

pub async fn put_custom_fields(call: Call) -> Result<Reply, Refusal> {
    put(call, Part::CustomFields, &["update:users"]).await
}

async fn put(call: Call, part: Part, scopes: &[&str]) -> Result<Reply, Refusal> {
    let editor = match Caller::of(&call, scopes).await? {
        Caller::Person => Editor::Person,
        Caller::Program => Editor::Operator,
    };
    let members = Map::from_iter([(part.name().to_owned(), call.body.clone())]);
    let patch = UserPatch::parse(&members, editor).map_err(refusal)?;
    let user = edit(&call, patch, OwnPatch::default(), Update::Replace).await?;
    replied(&call, &user.user_id).await
}

/// Deletes; nobody is left of whom a token or a session could speak. Somebody who is not there is as good as deleted.
pub async fn delete(call: Call) -> Result<Reply, Refusal> {
    let user_id = call.name("id");
    // Before the user goes: what could not be ended is tried again with the call.
    call.gateway.end_everything_of(user_id, call.now).await?;
    call.gateway.delete_accounts_of(user_id, call.now).await?;
    match call.gateway.admin.delete_user(user_id, call.by(), call.now).await {
        Ok(()) => {}
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Reply::Empty(204)),
        Err(error) => return Err(error.into()),
    }
    super::note(&call, LogType::UserDeleted, user_id, None);
    Ok(Reply::Empty(204))
}

pub async fn forget_profile(call: Call) -> Result<Reply, Refusal> {
    call.gateway.admin.forget_profile(call.name("id"), call.by(), call.now).await.map_err(refusal)?;
    Ok(Reply::Empty(204))
}

async fn edit(call: &Call, patch: UserPatch, own: OwnPatch, how: Update) -> Result<User, Refusal> {
    let seen = call.expected_version()?.map(Timestamp::from_millis);
    let edit = UserEdit { patch, own, how, seen };
    call.gateway.admin.edit_user(call.name("id"), &edit, call.by(), call.now).await.map_err(|error| match error.kind {
        ErrorKind::Conflict if seen.is_some() => Refusal::from(error).with_status(412).with_code("precondition_failed"),
        _ => refusal(error),
    })
}

async fn replied(call: &Call, user_id: &str) -> Result<Reply, Refusal> {
    let record = call.gateway.admin.user_record(user_id, SealedValues::Absent).await.map_err(refusal)?;
    Ok(answer(call, 200, &record))
}

/// A person with a narrower scope may only add, or only delete, members of its own metadata (S3-1); of anything else
/// [`UserPatch`] says no (S3-2).
async fn own_metadata_only(call: &Call, members: &Map<String, Value>) -> Result<(), Refusal> {
    if call.may("update:current_user_metadata") {
        return Ok(());
    }
    // `null` empties the object.
    let empty = Map::new();
    let given = match members.get(Part::UserMetadata.name()) {
        Some(Value::Object(given)) => given,
        Some(Value::Null) => &empty,
        _ => return Ok(()),
    };
    let stored = super::read::existing(call, call.name("id")).await?.user_metadata;
    let deletes = given.is_empty() || given.values().any(Value::is_null);
    let creates = given.iter().any(|(name, value)| !value.is_null() && !stored.contains_key(name));
    let changes = given.iter().any(|(name, value)| !value.is_null() && stored.contains_key(name));
    let missing = match () {
        () if changes => Some("update:current_user_metadata"),
        () if creates && !call.may("create:current_user_metadata") => Some("create:current_user_metadata"),
        () if deletes && !call.may("delete:current_user_metadata") => Some("delete:current_user_metadata"),
        () => None,
    };
    let refused = |scope: &str| {
        Refusal::new(ErrorKind::InsufficientScope, format!("Insufficient scope, expected: {scope}")).with_code("insufficient_scope")
    };
    missing.map_or(Ok(()), |scope| Err(refused(scope)))
}

fn take_text(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    match members.shift_remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Is somebody to be written to, to prove an address? What is not sent is refused, so that nobody is left waiting for it.
fn mails(call: &Call, members: &mut Map<String, Value>) -> Result<bool, Refusal> {
    let (mut faults, mut verify) = (Vec::new(), false);
    for name in ["verify_email", "verify_phone_number", "verify_password"] {
        match members.shift_remove(name) {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) if name == "verify_email" && call.gateway.mailer.is_there() => verify = true,
            Some(_) => faults.push(fault(&format!("/{name}"), "cannot be asked for: no such message is sent from here; leave it out")),
        }
    }
    if faults.is_empty() { Ok(verify) } else { Err(faults.into()) }
}

/// A link that proves the address, to a user of a database: to the account at this connection, or to the first that has one.
/// Where nobody can be written to, or nothing is to be proven, nothing is sent.
async fn write_to(call: &Call, user: &User, at: Option<&str>) -> Result<(), Refusal> {
    let letters = letters_in(&Words::of(Language::English));
    let is_meant = |stored: &StoredIdentity| at.is_none_or(|at| at == stored.identity.connection);
    call.gateway.mail_verification(user, is_meant, &letters, call.now).await?;
    Ok(())
}

fn weak(error: Error) -> Refusal {
    vec![fault("/password", &error.detail)].into()
}

async fn set_password(call: &Call, user_id: &str, password: Option<String>) -> Result<(), Refusal> {
    let Some(password) = password.map(Secret::new) else { return Ok(()) };
    call.gateway.set_password(user_id, &password, call.by(), call.now).await.map_err(refusal)
}
