//! What an application may read of a profile, and what of that is recorded: sealed values, the whole profile of legacy
//! applications, and the values that no trace shows.

use super::Gateway;
use super::rules::{changed_user, lay_over, of_the_profile, with_claims};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::{Dialects, Scripted};
use crate::oidc::bearer::invalid_token;
use crate::profile::dialect::Dialect;
use crate::profile::{Profile, RowNote};
use crate::user::metadata::Part;
use crate::user::{Identity, PersonView, User, sealing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A profile as an application may read it.
pub(super) struct Readable {
    pub profile: Profile,
    /// The free data in which something is sealed: not recorded.
    pub sealed: Vec<String>,
}

impl Gateway {
    /// The profile with what is sealed in it opened or left out, as the application may read it.
    pub(super) fn readable_profile(&self, application: &Application, mut members: Map<String, Value>, user_id: &str) -> Readable {
        let sealed = |part: &Part| members.get(part.name()).is_some_and(sealing::has_sealed);
        let parts: Vec<String> = Part::ALL.iter().filter(|part| sealed(part)).map(|part| part.name().to_owned()).collect();
        if !parts.is_empty() {
            self.open_or_strip(&mut members, application.profile.reads_sealed, user_id);
        }
        Readable { profile: Profile::from_map(members), sealed: parts }
    }

    /// A body for later, as it is stored: sealed for its grant, if one is given. What is made for an application that reads
    /// sealed values is not stored in the clear.
    pub(super) fn kept_body(&self, body: String, seal: Option<&str>) -> Result<Box<RawValue>> {
        let written = |text| {
            RawValue::from_string(text).map_err(|error| Error::new(ErrorKind::Internal, "an answer cannot be written").because(error))
        };
        let Some(grant_id) = seal else { return written(body) };
        let sealed = self.keyring.sealer().seal(&body_context(grant_id), body.as_bytes())?;
        written(Value::from(STANDARD.encode(sealed)).to_string())
    }

    /// The body again. Bodies are objects; one that is a text was sealed, and an application that does not read sealed
    /// values any more does not get it.
    pub(super) fn told_body(&self, application: &Application, kept: &RawValue, grant_id: &str) -> Result<String> {
        if !kept.get().starts_with('"') {
            return Ok(kept.get().to_owned());
        }
        if !application.profile.reads_sealed {
            return Err(invalid_token());
        }
        let unreadable = || Error::new(ErrorKind::Internal, "a sealed answer cannot be opened");
        let sealed: String = serde_json::from_str(kept.get()).map_err(|error| unreadable().because(error))?;
        let sealed = STANDARD.decode(sealed).map_err(|error| unreadable().because(error))?;
        let body = self.keyring.sealer().open(&body_context(grant_id), &sealed)?;
        String::from_utf8(body).map_err(|error| unreadable().because(error))
    }

    fn open_or_strip(&self, parts: &mut Map<String, Value>, trusted: bool, user_id: &str) {
        let lost = sealing::open_or_strip(parts, trusted, self.keyring.sealer(), user_id);
        if !lost.is_empty() {
            tracing::error!(user_id, places = lost.join(", "), "sealed values do not open: the key or the user has changed");
        }
    }

    /// The free data of a user as an application may read them.
    pub(super) fn readable_user(&self, mut user: User, trusted: bool) -> User {
        let mut parts = Map::new();
        for part in Part::ALL {
            parts.insert(part.name().to_owned(), Value::Object(std::mem::take(part.of_mut(&mut user))));
        }
        self.open_or_strip(&mut parts, trusted, &user.user_id);
        for part in Part::ALL {
            if let Some(Value::Object(members)) = parts.shift_remove(part.name()) {
                *part.of_mut(&mut user) = members;
            }
        }
        user
    }

    /// The profile of this transaction in every dialect, as nothing that happens later changes it (S4-16).
    pub(super) async fn whole_profile(
        &self,
        application: &Application,
        (user_id, login): (&str, &Identity),
        profile: Profile,
        scripted: &Scripted,
        seal: Option<&str>,
        now: Timestamp,
    ) -> Result<Dialects> {
        let refuse = || Error::new(ErrorKind::InvalidGrant, "the user may not sign in any more");
        let user = self.directory.user(user_id).await?.filter(|user| !user.blocked).ok_or_else(refuse)?;
        let mut user = self.readable_user(user, application.profile.reads_sealed);
        changed_user(&mut user, &scripted.user);
        let view = PersonView::new(&user, profile, Some(login));
        let written = |dialect| -> Result<Box<RawValue>> {
            let mut shown = self.in_dialect(dialect, &user.user_id, &view, now);
            if dialect == Dialect::Auth0 {
                lay_over(&mut shown, &scripted.user);
                with_claims(&mut shown, &of_the_profile(&scripted.id_token));
            }
            self.kept_body(Value::Object(shown).to_string(), seal)
        };
        Ok(Dialects { auth0: written(Dialect::Auth0)?, gigya: written(Dialect::Gigya)?, logto: written(Dialect::Logto)? })
    }
}

/// Binds a sealed answer to its grant.
fn body_context(grant_id: &str) -> String {
    format!("userinfo {grant_id}")
}

/// The claims that were made from what is not to be stored; in a name, one `*` stands for anything.
pub(super) fn unrecorded(rows: &[RowNote], transient: &[String]) -> Vec<String> {
    if transient.is_empty() {
        return Vec::new();
    }
    let root = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
    let roots: Vec<String> = transient.iter().map(|path| root(path)).collect();
    // An expression may have read anything.
    let hidden = |row: &&RowNote| row.source.as_deref().is_some_and(|source| source == "cel" || roots.contains(&root(source)));
    rows.iter().filter(hidden).map(|row| row.field.clone()).collect()
}

/// What the trace shows of released claims.
pub(super) fn recorded(claims: &Map<String, Value>, unrecorded: &[String]) -> Map<String, Value> {
    let is = |name: &str, pattern: &str| match pattern.split_once('*') {
        Some((before, behind)) => name.strip_prefix(before).is_some_and(|rest| rest.ends_with(behind)),
        None => name == pattern,
    };
    let show = |(name, value): (&String, &Value)| {
        let value = if unrecorded.iter().any(|pattern| is(name, pattern)) { Value::from("(not recorded)") } else { value.clone() };
        (name.clone(), value)
    };
    claims.iter().map(show).collect()
}
