//! An [`Authentication`] becomes a user: the mapping table makes the profile, the directory finds or makes the user, and
//! [`linking`] decides whose an identity is that nobody has seen before.
//!
//! Every way into a login passes here after its protocol has done its part, so a policy cannot be forgotten on one of
//! them: blocked users, identities that are only linked, and new identities are dealt with in [`Gateway::identify`].

use super::Gateway;
use crate::application::Application;
use crate::clock::Timestamp;
use crate::connection::config::ConnectionConfig;
use crate::connection::{Authentication, Connection};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Step as Note, Trace, Word};
use crate::login::{Arrived, LoginTransaction, remove_paths};
use crate::profile::{Fact, Outcome, Profile, RawAttribute, RawAttributes, RowNote, Written, normalize};
use crate::store::{ConflictRecord, IdentityLogin, IfUnknown, LinkedBy, MATCHES, Recorded, UserLogin};
use crate::user::effective::{Groups, Sources, effective_of_user, effective_profile};
use crate::user::linking::{self, Candidate, CandidateIdentity, Conflict, Decision, Newcomer, OnConflict, Policy};
use crate::user::{ProfileSync, StoredIdentity, User, folded, sync};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

/// A user who may sign in, with what applications see.
pub(super) struct Identified {
    pub user_id: String,
    pub profiles: Profiles,
}

/// The effective profile of a login.
pub(super) struct Profiles {
    /// For sessions.
    pub lasting: Written,
    /// For what this login gives: with the attributes that are not to be kept.
    pub of_transaction: Written,
    pub transient: Vec<String>,
}

/// Whose login it is.
pub(super) enum Whose {
    Known(Identified),
    /// Nobody knows the identity; the person may prove one of these users by one of these connections.
    Ask {
        user_ids: Vec<String>,
        connections: Vec<String>,
    },
}

/// Of which login this is, for records and decisions.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub transaction: &'a LoginTransaction,
    pub now: Timestamp,
}

/// Seconds by which clocks may differ, and instants be rounded, for a login to count as one of this transaction. Whoever is
/// taken for not fresh is only asked once more.
const CLOCKS: i64 = 5;

/// Maps what the connection said. Limits are checked here, before anything is recorded.
pub(super) fn arrive(
    connection: &dyn Connection,
    authentication: &Authentication,
    began: Timestamp,
    forced: bool,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<Arrived> {
    let config = connection.config();
    let mut rows = Vec::new();
    let mapped = config.mapping.to_profile(&authentication.attributes, &mut rows);
    let transient = transient_paths(config, &authentication.attributes, &rows);
    let recordable = recordable(config, &authentication.attributes, &rows, &transient, mapped.as_ref().ok());
    trace.note(now, Note::received(&config.name, &recordable));
    note_rows(trace, "to_profile", rows, &transient, now);
    let profile = mapped
        .and_then(|profile| {
            let mut complete = profile.clone();
            normalize(&mut complete, &authentication.identity.user_id_for_new_user(), &authentication.identity.user_id)?;
            Ok(profile)
        })
        .map_err(|error| Error::new(ErrorKind::ProfileIncomplete, error.to_string()))?;
    Ok(Arrived {
        identity: authentication.identity.clone(),
        profile: profile.into_map(),
        transient,
        auth_time: authentication.auth_time,
        fresh: forced || authentication.auth_time >= began.plus_seconds(-CLOCKS),
        acr: authentication.acr.clone(),
        upstream: authentication.upstream.clone(),
    })
}

impl Gateway {
    /// Records the login in the directory and makes the profile, or says what must be settled first.
    pub(super) async fn identify(&self, config: &ConnectionConfig, arrived: &Arrived, of: Of<'_>, trace: &mut Trace) -> Result<Whose> {
        let lasting = arrived.lasting_profile();
        let row = Row::of(arrived, &lasting, config)?;
        // Whether or not the connection was so when the identity came first; what is refused changes nothing.
        if config.profile.link_only {
            let Some(user) = self.directory.user_of(&arrived.identity.connection, &arrived.identity.user_id).await? else {
                let matches = self.same_email(arrived, config).await?;
                return self.settle(config, arrived, &row, matches, of, trace).await;
            };
            trace.note(of.now, Note::User { user_id: user.user_id, created: false, why: KNOWN.into() });
            return Err(only_linked());
        }
        let unknown = if config.linking.policy == Policy::Never { IfUnknown::MakeUser } else { IfUnknown::MakeUserUnlessEmailIsTaken };
        match self.directory.record_login(&row.login(unknown, of.now)).await? {
            Recorded::Login(login) => self.known(&row, *login, None, of.now, trace).map(Whose::Known),
            Recorded::Taken(users) => self.settle(config, arrived, &row, users, of, trace).await,
        }
    }

    /// A new identity becomes a user of its own: the person says that no known account is theirs.
    pub(super) async fn make_separate(
        &self,
        config: &ConnectionConfig,
        arrived: &Arrived,
        why: &'static str,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Identified> {
        if config.profile.link_only {
            return Err(only_linked());
        }
        let lasting = arrived.lasting_profile();
        let row = Row::of(arrived, &lasting, config)?;
        match self.directory.record_login(&row.login(IfUnknown::MakeUser, now)).await? {
            Recorded::Login(login) => self.known(&row, *login, Some(why), now, trace),
            Recorded::Taken(_) => Err(Error::new(ErrorKind::Internal, "a user was to be made and was looked for")),
        }
    }

    /// The person has proven `proven`, freshly; the new identity joins the user who has it.
    pub(super) async fn join_proven(
        &self,
        config: &ConnectionConfig,
        arrived: &Arrived,
        proven: (&ConnectionConfig, &Arrived),
        user_ids: &[String],
        of: Of<'_>,
        trace: &mut Trace,
    ) -> Result<Identified> {
        let (known_config, known) = proven;
        if known_config.profile.link_only {
            return Err(only_linked());
        }
        let owner = self.directory.user_of(&known.identity.connection, &known.identity.user_id).await?;
        let owner = owner.filter(|owner| user_ids.contains(&owner.user_id));
        let Some(owner) = owner else {
            return Err(self.conflict(arrived, Conflict::OtherAccountProven, user_ids.to_vec(), of, trace).await?);
        };
        let known_lasting = known.lasting_profile();
        let known_row = Row::of(known, &known_lasting, known_config)?;
        // The proof is a login of the known account like any other: blocked users and link-only identities prove nothing.
        let Recorded::Login(login) = self.directory.record_login(&known_row.login(IfUnknown::MakeUser, of.now)).await? else {
            return Err(Error::new(ErrorKind::Internal, "a user was to be made and was looked for"));
        };
        may_sign_in(&login)?;
        if login.user_id != owner.user_id {
            return Err(self.conflict(arrived, Conflict::Changed, user_ids.to_vec(), of, trace).await?);
        }
        let lasting = arrived.lasting_profile();
        let row = Row::of(arrived, &lasting, config)?;
        let by = linked_by("ask", &owner.user_id, of);
        match self.directory.link_login(&row.login(IfUnknown::MakeUser, of.now), &owner.user_id, false, &by).await {
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::Conflict => {
                return Err(self.conflict(arrived, Conflict::Changed, user_ids.to_vec(), of, trace).await?);
            }
            Err(error) => return Err(error),
        }
        let why = "the person proved this account and the new identity, each by a fresh login";
        trace.note(of.now, Note::User { user_id: owner.user_id.clone(), created: false, why: why.into() });
        let user = self.directory.user(&owner.user_id).await?.ok_or_else(|| Error::new(ErrorKind::Conflict, Conflict::Changed.advice()))?;
        let profile = self.effective(&user)?.ok_or_else(|| Error::new(ErrorKind::Internal, "a user who came has no profile"))?;
        let profile = Written::profile(&profile)?;
        note_profile(trace, &profile, of.now)?;
        let profiles = Profiles { lasting: profile.clone(), of_transaction: profile, transient: Vec::new() };
        Ok(Identified { user_id: user.user_id, profiles })
    }

    /// The profile of a user as the directory has it; `None` where it was deleted, or nobody came yet.
    pub(super) fn effective(&self, user: &User) -> Result<Option<Profile>> {
        effective_of_user(user, self.admin.sync_of(user)).map_err(|error| Error::new(ErrorKind::ProfileIncomplete, error.to_string()))
    }

    /// May somebody sign in by this identity, as far as it and its connection are concerned?
    pub(super) fn lets_in(&self, stored: &StoredIdentity) -> bool {
        let only_linked = self.connections.enabled(&stored.identity.connection).is_some_and(|known| known.config().profile.link_only);
        stored.allows_login && !only_linked
    }

    /// Users with the e-mail address of a new identity.
    async fn same_email(&self, arrived: &Arrived, config: &ConnectionConfig) -> Result<Vec<User>> {
        match arrived.email() {
            Some(email) if config.linking.policy != Policy::Never => self.directory.users_by_email(&email, MATCHES).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Nobody knows the identity, and its connection's policy looks at who has its e-mail address.
    async fn settle(
        &self,
        config: &ConnectionConfig,
        arrived: &Arrived,
        row: &Row<'_>,
        matches: Vec<User>,
        of: Of<'_>,
        trace: &mut Trace,
    ) -> Result<Whose> {
        let email = arrived.email().unwrap_or_default();
        let application = self.application(&of.transaction.client_id).map(Arc::as_ref);
        let candidates: Vec<Candidate> = matches.iter().map(|user| self.candidate(user, &email, application)).collect();
        let newcomer = Newcomer {
            connection: &config.name,
            email_verified: arrived.email_verified(),
            trusted: config.is_trusted_for(&email),
            link_only: config.profile.link_only,
        };
        // Where some were not looked at, one that is left is not the only one.
        let unseen = config.linking.policy == Policy::VerifiedEmail && matches.len() >= MATCHES;
        let decision =
            if unseen { Decision::Conflict(Conflict::SeveralMatches) } else { linking::decide(&config.linking, newcomer, &candidates) };
        match decision {
            Decision::NewUser { why } => self.make_separate(config, arrived, why, of.now, trace).await.map(Whose::Known),
            Decision::LinkTo { user_id, why } => {
                let by = linked_by("verified_email", &user_id, of);
                let login = row.login(IfUnknown::MakeUser, of.now);
                match self.directory.link_login(&login, &user_id, config.linking.among.is_none(), &by).await {
                    Ok(login) => self.known(row, login, Some(why), of.now, trace).map(Whose::Known),
                    Err(error) if error.kind == ErrorKind::Conflict => {
                        Err(self.conflict(arrived, Conflict::Changed, vec![user_id], of, trace).await?)
                    }
                    Err(error) => Err(error),
                }
            }
            Decision::Ask { user_ids, mut connections } => {
                // Whoever is not believed about the address learns nothing of the ways in which its owner signs in.
                if !(newcomer.email_verified && newcomer.trusted) {
                    connections = application.map(|application| self.usable_connections(application)).unwrap_or_default();
                    connections.retain(|name| self.connections.enabled(name).is_some_and(|way| !way.config().profile.link_only));
                }
                trace.note(
                    of.now,
                    Note::Decision {
                        what: format!("the person may prove one of {} known accounts", user_ids.len()),
                        why: "an account with the same e-mail address is known, and the connection's policy asks".into(),
                    },
                );
                Ok(Whose::Ask { user_ids, connections })
            }
            Decision::Conflict(conflict) => {
                let users = matches.into_iter().map(|user| user.user_id).collect();
                let refusal = self.conflict(arrived, conflict, users, of, trace).await?;
                if config.linking.on_conflict == OnConflict::SeparateUser && !config.profile.link_only {
                    let why = "the conflict is recorded, and the connection's policy makes a separate user";
                    return self.make_separate(config, arrived, why, of.now, trace).await.map(Whose::Known);
                }
                Err(refusal)
            }
        }
    }

    /// `application`: the one in whose login somebody has come.
    fn candidate(&self, user: &User, email: &str, application: Option<&Application>) -> Candidate {
        let identity = |stored: &StoredIdentity| {
            let text = |name: &str| stored.profile.get(name).and_then(Value::as_str).unwrap_or_default();
            let connection = self.connections.enabled(&stored.identity.connection);
            CandidateIdentity {
                connection: stored.identity.connection.clone(),
                same_email: !email.is_empty() && folded(text("email")) == email,
                email_verified: stored.profile.get("email_verified").and_then(Value::as_bool).unwrap_or(false),
                trusted: connection.is_some_and(|connection| connection.config().is_trusted_for(email)),
                allows_login: self.lets_in(stored),
                usable: application.is_some_and(|application| self.accepts(application, &stored.identity.connection)),
            }
        };
        Candidate { user_id: user.user_id.clone(), blocked: user.blocked, identities: user.identities.iter().map(identity).collect() }
    }

    /// Records a conflict; the error is what the person is told.
    async fn conflict(
        &self,
        arrived: &Arrived,
        conflict: Conflict,
        candidates: Vec<String>,
        of: Of<'_>,
        trace: &mut Trace,
    ) -> Result<Error> {
        trace.note(
            of.now,
            Note::Decision {
                what: "the identity is not joined to a known account".into(),
                why: format!("conflict: {}", conflict.name()).into(),
            },
        );
        let record = ConflictRecord {
            connection: arrived.identity.connection.clone(),
            subject: arrived.identity.user_id.clone(),
            reason: conflict.name().to_owned(),
            email: arrived.lasting_email(),
            candidates,
            correlation_id: of.transaction.correlation_id.clone(),
            first_at: of.now,
            last_at: of.now,
            times: 1,
        };
        self.directory.record_conflict(&record).await?;
        Ok(Error::new(ErrorKind::AccountConflict, conflict.advice()))
    }

    /// The directory knows the user: may they sign in, and what do applications see?
    fn known(&self, row: &Row<'_>, login: UserLogin, why: Option<&'static str>, now: Timestamp, trace: &mut Trace) -> Result<Identified> {
        let why = why.unwrap_or(if login.created { "the first login of this identity" } else { KNOWN });
        trace.note(now, Note::User { user_id: login.user_id.clone(), created: login.created, why: why.into() });
        may_sign_in(&login)?;
        let arrived = row.arrived;
        let of_primary = login.primary.as_ref();
        // Of a linked identity's login, what it gives itself comes last.
        let mut linked_groups = login.linked_groups.clone();
        if of_primary.is_some() {
            linked_groups.extend(
                row.lasting.get("groups").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned),
            );
        }
        let make = |profile: &Map<String, Value>| {
            let sources = Sources {
                user_id: &login.user_id,
                profile: of_primary.map_or(profile, |primary| &primary.profile),
                root: of_primary.map_or(&login.root, |primary| &primary.root),
                sync: of_primary.map_or(row.sync, |primary| self.admin.sync_of_connection(&primary.connection)),
                subject: of_primary.map_or(&arrived.identity.user_id, |primary| &primary.subject),
                groups: Groups { linked: &linked_groups, assigned: &login.assigned_groups },
                user_metadata: &login.user_metadata,
                app_metadata: &login.app_metadata,
                custom_fields: &login.custom_fields,
            };
            let profile = effective_profile(&sources).map_err(|error| Error::new(ErrorKind::ProfileIncomplete, error.to_string()))?;
            Written::profile(&profile)
        };
        let lasting = make(row.lasting)?;
        note_profile(trace, &lasting, now)?;
        // What is not to be kept is of the primary identity's own login only: a linked one gives no attributes.
        let transient = if of_primary.is_none() { arrived.transient.clone() } else { Vec::new() };
        let of_transaction = if transient.is_empty() { lasting.clone() } else { make(&arrived.profile)? };
        Ok(Identified { user_id: login.user_id, profiles: Profiles { lasting, of_transaction, transient } })
    }
}

/// Blocked users and identities that are only linked sign in nowhere.
fn may_sign_in(login: &UserLogin) -> Result<()> {
    if login.blocked {
        return Err(Error::new(ErrorKind::UserBlocked, "This account is blocked."));
    }
    if !login.allows_login {
        return Err(only_linked());
    }
    Ok(())
}

fn only_linked() -> Error {
    Error::new(ErrorKind::LinkOnlyIdentity, Conflict::LinkOnly.advice())
}

/// What the directory is told of a login, in its written forms.
struct Row<'a> {
    arrived: &'a Arrived,
    lasting: &'a Map<String, Value>,
    profile: Written,
    root: String,
    groups: String,
    email: Option<String>,
    sync: ProfileSync,
    allows_login: bool,
}

impl<'a> Row<'a> {
    fn of(arrived: &'a Arrived, lasting: &'a Map<String, Value>, config: &ConnectionConfig) -> Result<Self> {
        Ok(Self {
            arrived,
            lasting,
            profile: Written::object(lasting)?,
            root: written(&Value::Object(sync::root_of(lasting)))?,
            groups: lasting.get("groups").map_or_else(|| Ok("[]".to_owned()), written)?,
            email: arrived.lasting_email(),
            sync: config.profile.sync,
            allows_login: !config.profile.link_only,
        })
    }

    fn login(&self, unknown: IfUnknown, now: Timestamp) -> IdentityLogin<'_> {
        IdentityLogin {
            identity: &self.arrived.identity,
            profile: self.profile.as_raw(),
            root: &self.root,
            sync: self.sync,
            groups: &self.groups,
            email: self.email.as_deref(),
            email_verified: self.lasting.get("email_verified").and_then(Value::as_bool).unwrap_or(false),
            allows_login: self.allows_login,
            unknown,
            now,
        }
    }
}

fn written(value: &Value) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::Internal, "a record cannot be written").because(error))
}

fn linked_by(how: &str, actor: &str, of: Of<'_>) -> LinkedBy {
    LinkedBy {
        link_id: id::random_id(),
        how: how.to_owned(),
        actor: actor.to_owned(),
        correlation_id: of.transaction.correlation_id.clone(),
    }
}

/// What the connection said, without what is not to be kept: attributes of those names, those that fed such a field, and
/// those that say the same.
fn recordable<'a>(
    config: &ConnectionConfig,
    attributes: &'a RawAttributes,
    rows: &[RowNote],
    transient: &[String],
    mapped: Option<&Profile>,
) -> Cow<'a, RawAttributes> {
    if transient.is_empty() {
        return Cow::Borrowed(attributes);
    }
    let fed = rows.iter().filter(|row| transient.contains(&row.field)).filter_map(|row| row.source.as_deref());
    let names: Vec<&str> = config.profile.non_persistent.iter().map(String::as_str).chain(fed).collect();
    // A list as long as the attributes must not be walked for each of them.
    let values = mapped.into_iter().flat_map(|profile| transient.iter().filter_map(|path| profile.get(path)));
    let values = values.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    let kept_out: HashSet<Cow<'_, str>> = values.map(comparable).collect();
    let says = |value: &Value| kept_out.contains(&comparable(value));
    let hidden = |attribute: &RawAttribute| {
        let named = |name: &str| names.contains(&name);
        named(&attribute.name) || attribute.friendly_name.as_deref().is_some_and(named) || attribute.values.iter().any(says)
    };
    Cow::Owned(attributes.without(hidden, |fact: Fact| names.iter().any(|name| name.strip_prefix('$') == Some(fact.name()))))
}

/// A value as a text that no other value has; the list is that of its elements.
fn comparable(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(format!("\0{other}")),
    }
}

/// The paths of the profile that are not to be stored: those that are named so, and all that would be different if the
/// attributes and facts that are named so had not come, by whichever name or expression they got there.
fn transient_paths(config: &ConnectionConfig, attributes: &RawAttributes, rows: &[RowNote]) -> Vec<String> {
    let names = &config.profile.non_persistent;
    if names.is_empty() {
        return Vec::new();
    }
    let named = |known: &str| names.iter().any(|name| name == known);
    let attribute = |known: &RawAttribute| named(&known.name) || known.friendly_name.as_deref().is_some_and(named);
    let fact = |known: Fact| names.iter().any(|name| name.strip_prefix('$') == Some(known.name()));
    let mut rest = Vec::new();
    // Where a row requires what has been left out, it and the rows after it are not known to be the same.
    let _ = config.mapping.to_profile(&attributes.without(attribute, fact), &mut rest);
    let mut paths = names.clone();
    for (index, row) in rows.iter().enumerate() {
        let same = rest.get(index);
        match (&row.value, same.and_then(|same| same.value.as_ref())) {
            (None, _) => {}
            (Some(value), Some(same)) if value == same => {}
            (Some(Value::Object(members)), same) if row.field.ends_with(".*") => {
                let root = row.field.trim_end_matches(".*");
                let differs = |(name, value): &(&String, &Value)| same.is_none_or(|same| same.get(name.as_str()) != Some(*value));
                paths.extend(members.iter().filter(differs).map(|(name, _)| format!("{root}.{name}")));
            }
            (Some(_), _) => paths.push(row.field.clone()),
        }
    }
    paths
}

/// Why a login is somebody's.
const KNOWN: &str = "this identity is known";

const METADATA: [&str; 3] = ["user_metadata", "app_metadata", "custom_fields"];

/// What is recorded of a profile: not the metadata, which are no connection's, and nothing that is not to be kept.
fn note_profile(trace: &mut Trace, lasting: &Written, now: Timestamp) -> Result<()> {
    // Read again only where there may be something to leave out.
    let has_metadata = METADATA.iter().any(|name| lasting.as_raw().get().contains(name));
    let shown = match if has_metadata { lasting.value() } else { Value::Null } {
        Value::Object(mut members) => {
            remove_paths(&mut members, &METADATA.map(str::to_owned));
            Written::object(&members)?
        }
        _ => lasting.clone(),
    };
    trace.note(now, Note::Profile { profile: shown });
    Ok(())
}

/// `transient`: paths whose values are not recorded.
pub(super) fn note_rows(trace: &mut Trace, direction: &'static str, rows: Vec<RowNote>, transient: &[String], now: Timestamp) {
    let hidden = |row: &RowNote| {
        let read = if direction == "to_profile" { Some(row.field.as_str()) } else { row.source.as_deref() };
        let below = |path: &str, root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'));
        let path = read.unwrap_or_default().trim_end_matches(".*");
        transient.iter().any(|kept_out| below(path, kept_out) || below(kept_out, path))
    };
    // An expression may have read anything, and says so when it fails.
    let by_expression = |row: &RowNote| {
        !transient.is_empty() && row.source.as_deref() == Some("cel") && (direction == "from_profile" || row.value.is_none())
    };
    for row in rows {
        let says_something = row.value.is_some() || row.detail.is_some();
        let hide = by_expression(&row) || (row.value.is_some() && hidden(&row));
        let (value, detail) = if says_something && hide { (None, Some("not recorded".to_owned())) } else { (row.value, row.detail) };
        let outcome = outcome(row.outcome, detail);
        trace.note(now, Note::Mapping { direction: direction.into(), field: row.field, source: row.source, value, outcome });
    }
}

fn outcome(outcome: Outcome, detail: Option<String>) -> Word {
    let name = match outcome {
        Outcome::Taken => "taken",
        Outcome::Default => "default",
        Outcome::Absent => "absent",
        Outcome::Unlisted => "unlisted",
        Outcome::Unusable => "unusable",
    };
    detail.map_or(Word::Borrowed(name), |detail| format!("{name}: {detail}").into())
}
