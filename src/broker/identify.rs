//! An [`Authentication`] becomes a user: the mapping table makes the profile, the directory finds or makes
//! the user.

use super::Gateway;
use crate::clock::Timestamp;
use crate::connection::{Authentication, Connection};
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Step as Note, Trace, Word};
use crate::profile::{Outcome, RowNote, Written, normalize};
use crate::store::{IdentityLogin, UserLogin};

impl Gateway {
    /// Maps, normalizes, and records the login in the directory.
    pub(super) async fn identify(
        &self,
        connection: &dyn Connection,
        authentication: &Authentication,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(Written, UserLogin)> {
        let profile = map_profile(connection, authentication, now, trace)?;
        let login = IdentityLogin { identity: &authentication.identity, profile: profile.as_raw(), now };
        let user = self.directory.record_login(&login).await?;
        let why = if user.created { "the first login of this identity" } else { "this identity is known" };
        trace.note(now, Note::User { user_id: user.user_id.clone(), created: user.created, why: why.into() });
        if user.blocked {
            return Err(Error::new(ErrorKind::UserBlocked, "This account is blocked."));
        }
        Ok((profile, user))
    }
}

fn map_profile(connection: &dyn Connection, authentication: &Authentication, now: Timestamp, trace: &mut Trace) -> Result<Written> {
    let mut rows = Vec::new();
    let mapped = connection.config().mapping.to_profile(&authentication.attributes, &mut rows);
    note_rows(trace, "to_profile", rows, now);
    let profile = mapped
        .and_then(|mut profile| {
            normalize(&mut profile, &authentication.identity.user_id_for_new_user(), &authentication.identity.user_id)?;
            Ok(profile)
        })
        .map_err(|error| Error::new(ErrorKind::ProfileIncomplete, error.to_string()))?;
    let profile = Written::profile(&profile)?;
    trace.note(now, Note::Profile { profile: profile.clone() });
    Ok(profile)
}

pub(super) fn note_rows(trace: &mut Trace, direction: &'static str, rows: Vec<RowNote>, now: Timestamp) {
    for row in rows {
        trace.note(
            now,
            Note::Mapping {
                direction: direction.into(),
                field: row.field,
                source: row.source,
                value: row.value,
                outcome: outcome(row.outcome, row.detail),
            },
        );
    }
}

fn outcome(outcome: Outcome, detail: Option<String>) -> Word {
    let name = match outcome {
        Outcome::Taken => "taken",
        Outcome::Default => "default",
        Outcome::Absent => "absent",
        Outcome::Unlisted => "unlisted",
        Outcome::Unusable => "unusable",
        Outcome::Unmet => "unmet",
    };
    detail.map_or(Word::Borrowed(name), |detail| format!("{name}: {detail}").into())
}
