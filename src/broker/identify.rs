//! An [`Authentication`] becomes a user: the mapping table makes the profile, the directory finds or makes the user, and
//! [`linking`] decides whose an identity is that nobody has seen before.
//!
//! Every way into a login passes here after its protocol has done its part, so a policy cannot be forgotten on one of
//! them: blocked users, identities that are only linked, and new identities are dealt with in [`Gateway::identify`].

use super::Gateway;
use super::admin::By;
use super::recording::{note_dropped, note_profile, note_rows, recordable};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::connection::config::ConnectionConfig;
use crate::connection::{Authentication, Connection};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Step as Note, Trace};
use crate::login::{Arrived, LoginTransaction};
use crate::profile::normalize::check_limits;
use crate::profile::{Profile, Written, transient};
use crate::store::{ConflictRecord, IdentityLogin, IfUnknown, LinkedBy, MATCHES, Recorded, UserLogin};
use crate::user::effective::{Groups, Sources, effective_and_noted, effective_of_user};
use crate::user::linking::{self, Candidate, CandidateIdentity, Conflict, Decision, Newcomer, OnConflict, Policy};
use crate::user::metadata::{Part, Update};
use crate::user::patch::{Editor, UserPatch};
use crate::user::{ProfileSync, StoredIdentity, User, folded, sync};
use serde_json::{Map, Value};
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
    let names = &config.profile.non_persistent;
    let mut rows = Vec::new();
    let mapped = config.mapping.to_profile(&authentication.attributes, &mut rows);
    let transient = transient::paths(names, &config.mapping, &authentication.attributes, &rows);
    let recordable = recordable(names, &authentication.attributes, &rows, &transient, mapped.as_ref().ok());
    trace.note(now, Note::received(&config.name, &recordable));
    note_rows(trace, "to_profile", rows, &transient, now);
    let profile = mapped
        .and_then(|profile| check_limits(&profile).map(|()| profile))
        .map_err(|error| Error::new(ErrorKind::ProfileIncomplete, error.to_string()))?;
    Ok(Arrived {
        identity: authentication.identity.clone(),
        profile: profile.into_map(),
        transient,
        auth_time: authentication.auth_time,
        auth_time_by: authentication.auth_time_by,
        fresh: authentication.auth_time_by.is_witness() && (forced || authentication.auth_time >= began.plus_seconds(-CLOCKS)),
        acr: authentication.acr.clone(),
        amr: Vec::new(),
        new_factor: None,
        upstream: authentication.upstream.clone(),
        app_metadata: authentication.app_metadata.clone(),
        tokens: None,
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
            Recorded::Login(login) => self.recorded(&row, *login, None, of, trace).await.map(Whose::Known),
            Recorded::Taken(users) => self.settle(config, arrived, &row, users, of, trace).await,
        }
    }

    /// A new identity becomes a user of its own: the person says that no known account is theirs.
    pub(super) async fn make_separate(
        &self,
        config: &ConnectionConfig,
        arrived: &Arrived,
        why: &'static str,
        of: Of<'_>,
        trace: &mut Trace,
    ) -> Result<Identified> {
        if config.profile.link_only {
            return Err(only_linked());
        }
        let lasting = arrived.lasting_profile();
        let row = Row::of(arrived, &lasting, config)?;
        match self.directory.record_login(&row.login(IfUnknown::MakeUser, of.now)).await? {
            Recorded::Login(login) => self.recorded(&row, *login, Some(why), of, trace).await,
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
            Ok(_) => self.note_linked(&owner.user_id, &arrived.identity, "ask", of.now),
            Err(error) if error.kind == ErrorKind::Conflict => {
                return Err(self.conflict(arrived, Conflict::Changed, user_ids.to_vec(), of, trace).await?);
            }
            Err(error) => return Err(error),
        }
        for came in [known, arrived] {
            self.keep_app_metadata(came, &owner.user_id, &Map::new(), of).await?;
        }
        self.keep_tokens(known, of.now).await?;
        self.keep_tokens(arrived, of.now).await?;
        let why = if arrived.fresh {
            "the person proved this account and the new identity, each by a fresh login"
        } else {
            "the person proved this account by a fresh login, and the new identity has the same address, which is believed"
        };
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
        stored.allows_login && !self.only_links(&stored.identity.connection)
    }

    /// Can people of this connection be asked for a fresh login? Others prove no account.
    pub(super) fn asks_afresh(&self, connection: &str) -> bool {
        self.connections.enabled(connection).is_some_and(|known| known.asks_afresh())
    }

    /// Do identities of this connection sign nobody in, whatever is said of each?
    pub(super) fn only_links(&self, connection: &str) -> bool {
        self.connections.enabled(connection).is_some_and(|known| known.config().profile.link_only)
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
        let unseen = config.linking.policy == Policy::VerifiedEmail && matches.len() >= MATCHES;
        let matches: Vec<User> = matches.into_iter().filter(|user| !self.only_claims(user, &email)).collect();
        let candidates: Vec<Candidate> = matches.iter().map(|user| self.candidate(user, &email, application)).collect();
        let newcomer = Newcomer {
            connection: &config.name,
            email_verified: arrived.email_verified(),
            trusted: config.is_trusted_for(&email),
            link_only: config.profile.link_only,
            provable: arrived.fresh || self.asks_afresh(&config.name),
        };
        // Where some were not looked at, one that is left is not the only one.
        let decision =
            if unseen { Decision::Conflict(Conflict::SeveralMatches) } else { linking::decide(&config.linking, newcomer, &candidates) };
        match decision {
            Decision::NewUser { why } => self.make_separate(config, arrived, why, of, trace).await.map(Whose::Known),
            Decision::LinkTo { user_id, why } => {
                let by = linked_by("verified_email", &user_id, of);
                let login = row.login(IfUnknown::MakeUser, of.now);
                match self.directory.link_login(&login, &user_id, config.linking.among.is_none(), &by).await {
                    Ok(login) => {
                        self.note_linked(&login.user_id, &arrived.identity, "verified_email", of.now);
                        self.recorded(row, login, Some(why), of, trace).await.map(Whose::Known)
                    }
                    Err(error) if error.kind == ErrorKind::Conflict => {
                        Err(self.conflict(arrived, Conflict::Changed, vec![user_id], of, trace).await?)
                    }
                    Err(error) => Err(error),
                }
            }
            Decision::Ask { user_ids, mut connections } => {
                // Whoever is not believed about the address learns nothing of the ways in which its owner signs in.
                if !newcomer.is_believed() {
                    connections = application.map(|application| self.usable_connections(application)).unwrap_or_default();
                    connections.retain(|name| !self.only_links(name) && self.asks_afresh(name));
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
                    return self.make_separate(config, arrived, why, of, trace).await.map(Whose::Known);
                }
                Err(refusal)
            }
        }
    }

    /// Has somebody only signed up here with this address, and never proven it? Anybody can, with anybody's address.
    fn only_claims(&self, user: &User, email: &str) -> bool {
        let mut with_it = user
            .identities
            .iter()
            .filter(|stored| stored.profile.get("email").and_then(Value::as_str).is_some_and(|known| folded(known) == email));
        with_it.all(|stored| {
            let here = self.connections.config(&stored.identity.connection).is_some_and(ConnectionConfig::keeps_accounts);
            here && stored.profile.get("email_verified") != Some(&Value::Bool(true))
        })
    }

    /// `application`: the one in whose login somebody has come.
    fn candidate(&self, user: &User, email: &str, application: Option<&Application>) -> Candidate {
        let identity = |stored: &StoredIdentity| {
            let text = |name: &str| stored.profile.get(name).and_then(Value::as_str).unwrap_or_default();
            let connection = self.connections.enabled(&stored.identity.connection);
            CandidateIdentity {
                connection: stored.identity.connection.clone(),
                same_email: !email.is_empty() && folded(text("email")) == email,
                // What was written beforehand, by an import for instance, is nobody's word: only a login brings that.
                email_verified: stored.last_login.is_some()
                    && stored.profile.get("email_verified").and_then(Value::as_bool).unwrap_or(false),
                trusted: connection.is_some_and(|connection| connection.config().is_trusted_for(email)),
                allows_login: self.lets_in(stored),
                usable: application.is_some_and(|application| self.accepts(application, &stored.identity.connection))
                    && self.asks_afresh(&stored.identity.connection),
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

    /// [`Self::known`]; and what the provider gave is kept, if its connection says so.
    async fn recorded(
        &self,
        row: &Row<'_>,
        mut login: UserLogin,
        why: Option<&'static str>,
        of: Of<'_>,
        trace: &mut Trace,
    ) -> Result<Identified> {
        if !login.blocked && login.allows_login {
            let stored = self.keep_app_metadata(row.arrived, &login.user_id, &login.app_metadata, of).await?;
            login.app_metadata = stored.unwrap_or(login.app_metadata);
        }
        let identified = self.known(row, login, why, of.now, trace)?;
        self.keep_tokens(row.arrived, of.now).await?;
        Ok(identified)
    }

    /// S4-18: who keeps the accounts may write `app_metadata`, first-level member by member. Gives those that are stored
    /// then, if any is another than it was.
    async fn keep_app_metadata(
        &self,
        arrived: &Arrived,
        user_id: &str,
        stored: &Map<String, Value>,
        of: Of<'_>,
    ) -> Result<Option<Map<String, Value>>> {
        let given = &arrived.app_metadata;
        let is_stored = |(name, value): (&String, &Value)| stored.get(name) == Some(value).filter(|value| !value.is_null());
        if given.iter().all(is_stored) {
            return Ok(None);
        }
        let unusable = |error: Error| match error.kind {
            ErrorKind::StoreUnavailable | ErrorKind::Conflict => error,
            _ => Error::new(ErrorKind::ProfileIncomplete, format!("the accounts' app_metadata cannot be stored: {}", error.detail)),
        };
        let members = Map::from_iter([(Part::AppMetadata.name().to_owned(), Value::Object(given.clone()))]);
        let patch = UserPatch::parse(&members, Editor::Operator).map_err(unusable)?;
        let actor = format!("connection:{}", arrived.identity.connection);
        let by = By { actor: &actor, correlation_id: &of.transaction.correlation_id };
        let user = self.admin.update_user(user_id, &patch, Update::Merge, by, of.now).await.map_err(unusable)?;
        Ok(Some(user.app_metadata))
    }

    /// The directory knows the user: may they sign in, and what do applications see?
    fn known(&self, row: &Row<'_>, login: UserLogin, why: Option<&'static str>, now: Timestamp, trace: &mut Trace) -> Result<Identified> {
        let why = why.unwrap_or(if login.created { "the first login of this identity" } else { KNOWN });
        trace.note(now, Note::User { user_id: login.user_id.clone(), created: login.created, why: why.into() });
        may_sign_in(&login)?;
        let arrived = row.arrived;
        if login.created {
            self.note_signup(&login.user_id, &arrived.identity, now);
        }
        let of_primary = login.primary.as_ref();
        // Of a linked identity's login, what it gives itself comes last.
        let mut linked_groups = login.linked_groups.clone();
        if of_primary.is_some() {
            linked_groups.extend(
                row.lasting.get("groups").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned),
            );
        }
        let make = |profile: &Map<String, Value>| -> Result<_> {
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
            let made = effective_and_noted(&sources).map_err(|error| Error::new(ErrorKind::ProfileIncomplete, error.to_string()))?;
            Ok((Written::profile(&made.0)?, made.1.dropped))
        };
        let (lasting, dropped) = make(row.lasting)?;
        note_dropped(trace, dropped, now);
        note_profile(trace, &lasting, now)?;
        // What is not to be kept is of the primary identity's own login only: a linked one gives no attributes.
        let transient = if of_primary.is_none() { arrived.transient.clone() } else { Vec::new() };
        let of_transaction = if transient.is_empty() { lasting.clone() } else { make(&arrived.profile)?.0 };
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
    kept_here: bool,
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
            kept_here: config.keeps_accounts(),
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
            kept_here: self.kept_here,
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

/// Why a login is somebody's.
const KNOWN: &str = "this identity is known";
