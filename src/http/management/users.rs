//! Users: what can be asked of them, and by whom. [`read`] answers questions, [`write`] changes users, [`identities`] links and
//! unlinks.
//!
//! A program needs a scope for users; a person's own token reaches the person's own user and nobody else's
//! ([`Caller::of`]).

mod factors;
mod identities;
mod read;
mod shapes;
mod write;

pub use read::existing;
pub use shapes::{DIALECT, USER};

use super::call::Call;
use super::problem::Refusal;
use super::shape::{Kind, Member, must};
use super::{Answer, Body, CHECKPOINT, FIELDS, Operation, PAGES};
use crate::error::{Error, ErrorKind};
use crate::store::{LogEvent, LogType};
use serde_json::Value;
use shapes::{CONFLICT, ENROLLMENT, FREE_DATA, IDENTITY, LINK, LISTING, METHOD, NEW_IDENTITY, NEW_USER, NOTHING, PATCH, UNLINK};

const READ: &[&str] = &["read:users"];
const UPDATE: &[&str] = &["update:users"];
const TAG: &str = "Users";

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!(TAG, GET "/users" "get_users" "List and search users",
        READ, &[PAGES, CHECKPOINT, FIELDS, LISTING, DIALECT], Body::Nothing, (200, Answer::Page(&USER, "users")), &[414], read::list),
    operation!(TAG, POST "/users" "post_users" "Make a user",
        &["create:users"], &[], Body::Json(&NEW_USER), (201, Answer::One(&USER)), &[409], write::create),
    operation!(TAG, GET "/users/{id}" "get_users_by_id" "Read a user",
        &["read:users", "read:current_user"], &[FIELDS, DIALECT], Body::Nothing, (200, Answer::One(&USER)), &[404], read::get),
    operation!(TAG, PATCH "/users/{id}" "patch_users_by_id" "Change a user",
        &["update:users", "update:users_app_metadata", "update:current_user_metadata", "create:current_user_metadata", "delete:current_user_metadata"], &[], Body::Json(&PATCH),
        (200, Answer::One(&USER)), &[404, 409, 412], write::update),
    operation!(TAG, DELETE "/users/{id}" "delete_users_by_id" "Delete a user, with all identities, sessions and tokens",
        &["delete:users"], &[], Body::Nothing, (204, Answer::Nothing), &[], write::delete),
    operation!(TAG, PUT "/users/{id}/user_metadata" "put_user_metadata" "Replace a user's user_metadata",
        &["update:users", "update:current_user_metadata"], &[], Body::Json(&FREE_DATA),
        (200, Answer::One(&USER)), &[404, 409, 412], write::put_user_metadata),
    operation!(TAG, PUT "/users/{id}/app_metadata" "put_app_metadata" "Replace a user's app_metadata",
        &["update:users", "update:users_app_metadata"], &[], Body::Json(&FREE_DATA),
        (200, Answer::One(&USER)), &[404, 409, 412], write::put_app_metadata),
    operation!(TAG, PUT "/users/{id}/custom_fields" "put_custom_fields" "Replace a user's custom_fields",
        UPDATE, &[], Body::Json(&FREE_DATA), (200, Answer::One(&USER)), &[404, 409, 412], write::put_custom_fields),
    operation!(TAG, POST "/users/{id}/forget-profile" "post_forget_profile" "Forget what connections said of a user, until the next login",
        UPDATE, &[], Body::Nothing, (204, Answer::Nothing), &[404, 409], write::forget_profile),
    operation!(TAG, GET "/users-by-email" "get_users_by_email" "Users with an e-mail address",
        READ, &[EMAIL, FIELDS, DIALECT], Body::Nothing, (200, Answer::List(&USER)), &[], read::by_email),
    operation!(TAG, POST "/users/{id}/identities" "post_identities" "Link another user to this one",
        &["update:users", "update:current_user_identities"], &[], Body::Json(&NEW_IDENTITY),
        (201, Answer::List(&IDENTITY)), &[404, 409], identities::link),
    operation!(TAG, DELETE "/users/{id}/identities/{provider}/{user_id}" "delete_user_identity_by_user_id" "Make a linked identity a user of its own",
        &["update:users", "update:current_user_identities"], &[UNLINK], Body::Nothing,
        (200, Answer::List(&IDENTITY)), &[404, 409], identities::unlink),
    operation!(TAG, GET "/users/{id}/links" "get_links" "How a user's identities came together, the newest first",
        READ, &[PAGES], Body::Nothing, (200, Answer::Page(&LINK, "links")), &[404], identities::links),
    operation!(TAG, POST "/users/{id}/links/{link_id}/undo" "undo_link" "Take a link back; the answer is the user that is there again",
        UPDATE, &[], Body::Nothing, (200, Answer::One(&USER)), &[404, 409], identities::undo),
    operation!(TAG, GET "/conflicts" "get_conflicts" "Identities that could not be joined to anybody, the newest first",
        READ, &[PAGES], Body::Nothing, (200, Answer::Page(&CONFLICT, "conflicts")), &[], identities::conflicts),
    operation!(TAG, GET "/users/{id}/roles" "get_user_roles" "Always empty: there are no roles here",
        READ, &[PAGES], Body::Nothing, (200, Answer::Page(&NOTHING, "roles")), &[404], read::no_roles),
    operation!(TAG, GET "/users/{id}/permissions" "get_user_permissions" "Always empty: there are no permissions here",
        READ, &[PAGES], Body::Nothing, (200, Answer::Page(&NOTHING, "permissions")), &[404], read::no_permissions),
    operation!(TAG, GET "/users/{id}/organizations" "get_user_organizations" "Always empty: there are no organizations here",
        READ, &[PAGES], Body::Nothing, (200, Answer::Page(&NOTHING, "organizations")), &[404], read::no_organizations),
    operation!(TAG, GET "/users/{id}/enrollments" "get_user_enrollments" "The authenticator apps of a user",
        READ, &[], Body::Nothing, (200, Answer::List(&ENROLLMENT)), &[404], factors::enrollments),
    operation!(TAG, GET "/users/{id}/authentication-methods" "get_authentication_methods" "The second factors of a user",
        &["read:authentication_methods"], &[PAGES], Body::Nothing, (200, Answer::Page(&METHOD, "authenticators")), &[404], factors::list),
    operation!(TAG, DELETE "/users/{id}/authentication-methods" "delete_authentication_methods" "Remove all second factors of a user",
        &["delete:authentication_methods"], &[], Body::Nothing, (204, Answer::Nothing), &[404], factors::remove_all),
    operation!(TAG, DELETE "/users/{id}/authentication-methods/{authentication_method_id}" "delete_authentication_methods_by_authentication_method_id" "Remove a second factor of a user; recovery codes go with the app",
        &["delete:authentication_methods"], &[], Body::Nothing, (204, Answer::Nothing), &[404], factors::remove),
    operation!(TAG, DELETE "/users/{id}/multifactor/{provider}" "delete_multifactor_by_provider" "Remove the authenticator app of a user, and its recovery codes",
        UPDATE, &[], Body::Nothing, (204, Answer::Nothing), &[404], factors::remove_provider),
];

const EMAIL: &[Member] = &[must("email", Kind::Text(1, 320), "Whatever its case")];

/// Whose token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Program,
    /// The user of the path, for themselves.
    Person,
}

impl Caller {
    /// Who asks about the user of the path. A program needs one of `scopes`; a person's own token is for the person's own
    /// user, as long as it is not blocked.
    ///
    /// # Errors
    /// 403 `insufficient_scope` in every other case, the same whether or not there is such a user.
    pub async fn of(call: &Call, scopes: &[&str]) -> Result<Self, Refusal> {
        let refused = |message: String| Refusal::new(ErrorKind::InsufficientScope, message).with_code("insufficient_scope");
        let Some(own) = &call.access.user_id else {
            return if scopes.iter().any(|scope| call.may(scope)) {
                Ok(Self::Program)
            } else {
                Err(refused(format!("Insufficient scope, expected any of: {}", scopes.join(", "))))
            };
        };
        if own != call.name("id") {
            return Err(refused("The token is for the own user only.".to_owned()));
        }
        if call.gateway.directory.user(own).await?.is_some_and(|user| user.blocked) {
            return Err(refused("The user is blocked.".to_owned()));
        }
        Ok(Self::Person)
    }
}

/// Tells the log what became of a user.
fn note(call: &Call, kind: LogType, user_id: &str, details: Option<Value>) {
    call.gateway.log.record(LogEvent {
        user_id: Some(user_id.to_owned()),
        client_id: Some(call.access.client_id.clone()),
        details,
        ..LogEvent::new(kind, call.now)
    });
}

/// An error about a user, as Auth0's SDKs know it.
pub fn refusal(error: Error) -> Refusal {
    let code = match error.kind {
        ErrorKind::NotFound => "inexistent_user",
        ErrorKind::InvalidUserData | ErrorKind::ProtectedAttribute => "invalid_body",
        ErrorKind::InsufficientScope => "insufficient_scope",
        ErrorKind::Conflict => "conflict",
        ErrorKind::AccountConflict => return Refusal::new(ErrorKind::Conflict, error.detail).with_code("user_exists"),
        ErrorKind::IdpResponseInvalid => return Refusal::new(ErrorKind::InvalidUserData, error.detail).with_code("invalid_body"),
        _ => return error.into(),
    };
    Refusal::from(error).with_code(code)
}
