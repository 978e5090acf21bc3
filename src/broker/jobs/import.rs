//! One part of an import: from its users to what the directory writes.
//!
//! Everything is decided here, over what the directory knows of these users; the directory then writes all of it or
//! nothing, and nothing where somebody was faster. Deciding again is always right.

use super::{ImportTarget, Jobs};
use super::{open_credential, seal_credential};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::Sealer;
use crate::secret::Secret;
use crate::store::{CredentialKind, ImportInsert, ImportKnown, ImportNames, ImportUpdate, KnownIdentity};
use crate::user::import::{ErrorCode, ImportError, ImportedPassword, ImportedUser, subject, without_secrets};
use crate::user::metadata::{self, Part, Update};
use crate::user::sealing::{self, SealedPath};
use crate::user::{DATABASE, Identity, ProfileSync, folded};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

/// A part as its upload left it: what was in the file before, if anything, and the user.
pub(super) type Entry = (Option<String>, Value);

/// For what and where a part is sealed.
pub(super) fn context(job_id: &str, part: i64) -> String {
    format!("job_parts|{job_id}|{part}")
}

/// What a user of a file is called: by each of these names a file may have one user.
pub(super) fn fold_keys(item: &str, connection: &str, target: &ImportTarget) -> Vec<(&'static str, String)> {
    #[derive(Deserialize)]
    struct Names {
        user_id: Option<Value>,
        email: Option<Value>,
        username: Option<Value>,
    }
    // What is no such object has other faults.
    let Ok(names) = serde_json::from_str::<Names>(item) else { return Vec::new() };
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    let mut keys = Vec::new();
    if let Some(user_id) = text(&names.user_id) {
        keys.push(("user_id", target.subject_comparison.kept(subject(&user_id, &target.provider, connection))));
    }
    if target.provider == DATABASE {
        keys.extend(text(&names.email).map(|email| ("email", folded(&email))));
        keys.extend(text(&names.username).map(|username| ("username", folded(&username))));
    }
    keys
}

/// What a part comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) inserts: Vec<ImportInsert>,
    pub(super) updates: Vec<ImportUpdate>,
    pub(super) unchanged: i64,
    pub(super) failed: i64,
    /// JSON: `[{user, errors}, ..]`.
    pub(super) errors: Option<String>,
}

/// A part that is read: its users, or what is wrong with each.
pub(super) struct ReadPart {
    entries: Vec<(Value, Result<Candidate, Vec<ImportError>>)>,
    pub(super) subjects: Vec<String>,
    pub(super) emails: Vec<String>,
    pub(super) usernames: Vec<String>,
    pub(super) user_ids: Vec<String>,
}

#[derive(Debug)]
struct Candidate {
    user: ImportedUser,
    /// `None`: the file does not say, and a new user gets one.
    subject: Option<String>,
    email: String,
    username: Option<String>,
}

impl ReadPart {
    pub(super) fn new(entries: Vec<Entry>, connection: &str, target: Option<&ImportTarget>) -> Self {
        let mut part = Self { entries: Vec::new(), subjects: Vec::new(), emails: Vec::new(), usernames: Vec::new(), user_ids: Vec::new() };
        let mut seen = HashSet::new();
        for (mark, value) in entries {
            let candidate = match (mark, target) {
                (_, None) => Err(vec![ImportError::new(ErrorCode::ConnectionNotFound, None, "has no connection any more")]),
                (Some(name), _) => Err(vec![twice(&name)]),
                (None, Some(target)) => candidate(&value, connection, target),
            };
            if let (Ok(candidate), Some(target)) = (&candidate, target) {
                part.ask(candidate, connection, target, &mut seen);
            }
            part.entries.push((value, candidate));
        }
        part
    }

    pub(super) fn names<'a>(&'a self, connection: &'a str) -> ImportNames<'a> {
        ImportNames { connection, subjects: &self.subjects, emails: &self.emails, usernames: &self.usernames, user_ids: &self.user_ids }
    }

    fn ask(&mut self, candidate: &Candidate, connection: &str, target: &ImportTarget, seen: &mut HashSet<(&'static str, String)>) {
        if let Some(subject) = candidate.subject.as_ref().filter(|subject| seen.insert(("subject", (*subject).clone()))) {
            self.subjects.push(subject.clone());
            self.user_ids.push(identity(connection, target, subject).user_id_for_new_user());
        }
        if target.provider == DATABASE {
            if seen.insert(("email", candidate.email.clone())) {
                self.emails.push(candidate.email.clone());
            }
            if let Some(username) = candidate.username.as_ref().filter(|name| seen.insert(("username", (*name).clone()))) {
                self.usernames.push(username.clone());
            }
        }
    }
}

fn candidate(value: &Value, connection: &str, target: &ImportTarget) -> Result<Candidate, Vec<ImportError>> {
    let user = ImportedUser::parse(value)?;
    let mut errors = Vec::new();
    let mut fault = |code, path: &str, problem: &str| errors.push(ImportError::new(code, Some(path), problem));
    let subject = user.user_id.as_deref().map(|id| target.subject_comparison.kept(subject(id, &target.provider, connection)));
    let own = target.provider == DATABASE;
    match &subject {
        None if !own => fault(ErrorCode::ObjectRequired, "user_id", "is missing; only the connection's provider can make one"),
        Some(subject) if subject.is_empty() => fault(ErrorCode::MinLength, "user_id", "has nothing but a prefix"),
        _ => {}
    }
    for (is_there, path) in [
        (matches!(user.password, Some(ImportedPassword::Bcrypt(_))), "password_hash"),
        (matches!(user.password, Some(ImportedPassword::Custom(_))), "custom_password_hash"),
        (user.factors.is_some(), "mfa_factors"),
    ] {
        if is_there && !own {
            fault(ErrorCode::NotPassed, path, "has no place at a connection whose provider signs people in");
        }
    }
    let (email, username) = (folded(&user.email), user.username.as_deref().filter(|_| own).map(folded));
    if errors.is_empty() { Ok(Candidate { user, subject, email, username }) } else { Err(errors) }
}

/// What decides.
pub(super) struct Planner<'a> {
    pub(super) connection: &'a str,
    pub(super) target: &'a ImportTarget,
    pub(super) upsert: bool,
    pub(super) sealed: &'a [SealedPath],
    pub(super) sealer: &'a Sealer,
}

/// One user, decided.
enum Decision {
    Insert(Box<ImportInsert>),
    Update(Box<ImportUpdate>),
    Unchanged,
}

/// Why not: what is wrong with the user, or with us.
enum Refusal {
    User(Vec<ImportError>),
    Fault(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        Self::User(vec![error])
    }
}

impl Jobs {
    /// The users of a part.
    pub(super) fn opened_part(&self, job_id: &str, part: i64, body: &str) -> Result<Vec<Entry>> {
        let unreadable = |what| Error::new(ErrorKind::Internal, what);
        let sealed = STANDARD.decode(body).map_err(|error| unreadable("a part of an import is unreadable").because(error))?;
        let text = self.sealer().open(&context(job_id, part), &sealed)?;
        serde_json::from_slice(&text).map_err(|error| unreadable("a part of an import is unreadable").because(error))
    }
}

/// What becomes of the users of a part. Without a target all of them failed before.
pub(super) fn plan(part: &ReadPart, known: &ImportKnown, planner: Option<&Planner<'_>>, mask: &Mask<'_>) -> Result<Plan> {
    let people = People::new(known);
    let (mut plan, mut errors, mut taken) = (Plan::default(), Vec::new(), Taken::default());
    for (value, candidate) in &part.entries {
        let decision = match (candidate, planner) {
            (Ok(candidate), Some(planner)) => planner.decide(candidate, &people, &mut taken),
            (Ok(_), None) => Err(ImportError::new(ErrorCode::ConnectionNotFound, None, "has no connection any more").into()),
            (Err(errors), _) => Err(Refusal::User(errors.clone())),
        };
        match decision {
            Ok(Decision::Insert(insert)) => plan.inserts.push(*insert),
            Ok(Decision::Update(update)) => plan.updates.push(*update),
            Ok(Decision::Unchanged) => plan.unchanged += 1,
            Err(Refusal::User(found)) => {
                plan.failed += 1;
                errors.push(json!({ "user": mask.shown(value)?, "errors": found }));
            }
            Err(Refusal::Fault(error)) => return Err(error),
        }
    }
    plan.errors = (!errors.is_empty()).then(|| Value::Array(errors).to_string());
    Ok(plan)
}

/// How users are shown in reports.
pub(super) struct Mask<'a> {
    pub(super) sealed: &'a [SealedPath],
    pub(super) sealer: &'a Sealer,
}

impl Mask<'_> {
    /// Without secrets and without what is sealed where it is stored.
    fn shown(&self, value: &Value) -> Result<Value> {
        let mut shown = without_secrets(value);
        if let Value::Object(members) = &mut shown {
            for part in [Part::UserMetadata, Part::AppMetadata] {
                if let Some(Value::Object(object)) = members.get_mut(part.name()) {
                    sealing::seal(part, object, self.sealed, self.sealer, "")?;
                }
            }
            sealing::mark(members);
        }
        Ok(shown)
    }
}

/// Who is there, by every name.
struct People<'k> {
    by_subject: HashMap<&'k str, &'k KnownIdentity>,
    by_email: HashMap<&'k str, &'k KnownIdentity>,
    by_username: HashMap<&'k str, &'k KnownIdentity>,
    user_ids: HashSet<&'k str>,
}

impl<'k> People<'k> {
    fn new(known: &'k ImportKnown) -> Self {
        let all = || known.identities.iter();
        Self {
            by_subject: all().map(|one| (one.subject.as_str(), one)).collect(),
            by_email: all().filter_map(|one| Some((one.email.as_deref()?, one))).collect(),
            by_username: all().filter_map(|one| Some((one.username.as_deref()?, one))).collect(),
            user_ids: known.user_ids.iter().map(String::as_str).collect(),
        }
    }
}

/// What users of this part are called already.
#[derive(Default)]
struct Taken(HashSet<(&'static str, String)>);

impl Planner<'_> {
    fn decide(&self, candidate: &Candidate, people: &People<'_>, taken: &mut Taken) -> Result<Decision, Refusal> {
        let own = self.target.provider == DATABASE;
        let by_email = people.by_email.get(candidate.email.as_str()).filter(|_| own);
        let existing = match &candidate.subject {
            Some(subject) => people.by_subject.get(subject.as_str()),
            None => by_email,
        };
        if existing.is_some() && !self.upsert {
            let by_id = candidate.subject.is_some();
            let (code, path) = if by_id { (ErrorCode::Conflict, "user_id") } else { (ErrorCode::ConflictEmail, "email") };
            return Err(conflict(code, path));
        }
        let subject = existing.map(|known| &known.subject).or(candidate.subject.as_ref());
        let names = [("user_id", subject), ("email", Some(&candidate.email).filter(|_| own)), ("username", candidate.username.as_ref())];
        for (name, value) in names {
            if value.is_some_and(|value| !taken.0.insert((name, value.clone()))) {
                return Err(twice(name).into());
            }
        }
        match existing {
            Some(known) => self.update(&candidate.user, known),
            None if by_email.is_some() => Err(conflict(ErrorCode::ConflictEmail, "email")),
            None => match &candidate.username {
                Some(name) if people.by_username.contains_key(name.as_str()) => Err(conflict(ErrorCode::ConflictUsername, "username")),
                _ => self.insert(candidate, people),
            },
        }
    }

    fn insert(&self, candidate: &Candidate, people: &People<'_>) -> Result<Decision, Refusal> {
        let user = &candidate.user;
        let subject = candidate.subject.clone().unwrap_or_else(|| id::hex(&id::random_bytes::<12>()));
        let identity = identity(self.connection, self.target, &subject);
        let user_id = identity.user_id_for_new_user();
        if people.user_ids.contains(user_id.as_str()) {
            return Err(conflict(ErrorCode::Conflict, "user_id"));
        }
        let mut profile = Map::new();
        let email_verified = user.email_verified.unwrap_or(false);
        profile.insert("email".into(), user.email.as_str().into());
        profile.insert("email_verified".into(), email_verified.into());
        for (name, value) in [("phone_number", &user.phone_number), ("username", &user.username)] {
            profile.extend(value.as_deref().map(|value| (name.to_owned(), Value::from(value))));
        }
        profile.extend(user.phone_verified.map(|verified| ("phone_number_verified".to_owned(), Value::from(verified))));
        profile.extend(user.root.clone());
        let password = user.password.as_ref().map(|password| (CredentialKind::Password, password.json()));
        let factors = user.factors.clone().map(|factors| (CredentialKind::Factors, factors));
        let mut credentials = Vec::new();
        for (kind, plain) in password.into_iter().chain(factors) {
            credentials.push((kind, self.sealed_credential(&subject, kind, &plain)?));
        }
        Ok(Decision::Insert(Box::new(ImportInsert {
            allows_login: !self.target.link_only,
            blocked: user.blocked,
            profile: Value::Object(profile).to_string(),
            root: Value::Object(user.root.clone()).to_string(),
            user_metadata: self.sealed_part(Part::UserMetadata, user.user_metadata.as_ref(), &user_id)?,
            app_metadata: self.sealed_part(Part::AppMetadata, user.app_metadata.as_ref(), &user_id)?,
            email: candidate.email.clone(),
            email_verified,
            username: candidate.username.clone(),
            credentials,
            identity,
        })))
    }

    /// Of what may be updated only what is otherwise; nothing, where all of it is so already.
    fn update(&self, user: &ImportedUser, known: &KnownIdentity) -> Result<Decision, Refusal> {
        let own = self.target.provider == DATABASE;
        let connection_says = known.came && !own;
        let (mut profile, mut root) = (known.profile.clone(), known.root.clone());
        let refreshed = connection_says && self.target.sync == ProfileSync::OnEachLogin;
        let mut faults = Vec::new();
        for (name, value) in &user.root {
            if refreshed {
                if profile.get(name) != Some(value) {
                    faults.push(ImportError::new(ErrorCode::NotPassed, Some(name), "is refreshed by the connection at every login"));
                }
                continue;
            }
            root.insert(name.clone(), value.clone());
            if !connection_says {
                profile.insert(name.clone(), value.clone());
            }
        }
        let verified = user.email_verified.map(Value::from);
        let mut email_verified = None;
        if let Some(value) = verified.filter(|value| profile.get("email_verified") != Some(value)) {
            if connection_says {
                faults.push(ImportError::new(ErrorCode::NotPassed, Some("email_verified"), "is what the connection says"));
            } else {
                profile.insert("email_verified".into(), value);
                email_verified = user.email_verified;
            }
        }
        if !faults.is_empty() {
            return Err(Refusal::User(faults));
        }
        let update = ImportUpdate {
            user_id: known.user_id.clone(),
            subject: known.subject.clone(),
            seen_updated_at: known.updated_at,
            seen_logins_count: known.logins_count,
            profile: (profile != known.profile).then(|| Value::Object(profile).to_string()),
            root: (root != known.root).then(|| Value::Object(root).to_string()),
            user_metadata: self.changed_part(Part::UserMetadata, user.user_metadata.as_ref(), &known.user_metadata, &known.user_id)?,
            app_metadata: self.changed_part(Part::AppMetadata, user.app_metadata.as_ref(), &known.app_metadata, &known.user_id)?,
            email_verified,
            password: self.changed_password(user, known)?,
        };
        let texts = [&update.profile, &update.root, &update.user_metadata, &update.app_metadata, &update.password];
        let is_change = update.email_verified.is_some() || texts.into_iter().any(Option::is_some);
        Ok(if is_change { Decision::Update(Box::new(update)) } else { Decision::Unchanged })
    }

    fn changed_part(
        &self,
        part: Part,
        given: Option<&Map<String, Value>>,
        stored: &Map<String, Value>,
        user_id: &str,
    ) -> Result<Option<String>, Refusal> {
        let Some(given) = given else { return Ok(None) };
        let mut opened = Map::from_iter([(part.name().to_owned(), Value::Object(stored.clone()))]);
        // What does not open is different.
        let _lost = sealing::open(&mut opened, self.sealer, user_id);
        let wanted = metadata::updated(part, &Map::new(), given, Update::Replace);
        if opened.get(part.name()).and_then(Value::as_object) == Some(&wanted) {
            return Ok(None);
        }
        self.sealed_part(part, Some(given), user_id).map(Some)
    }

    /// As it is stored; the limits hold for the sealed form.
    fn sealed_part(&self, part: Part, given: Option<&Map<String, Value>>, user_id: &str) -> Result<String, Refusal> {
        let Some(given) = given else { return Ok("{}".to_owned()) };
        let mut object = metadata::updated(part, &Map::new(), given, Update::Replace);
        sealing::seal(part, &mut object, self.sealed, self.sealer, user_id)?;
        let mut faults = Vec::new();
        metadata::check_size(&object, "", &mut faults);
        match faults.first() {
            Some(fault) => Err(ImportError::new(ErrorCode::MaxLength, Some(part.name()), &fault.problem).into()),
            None => Ok(Value::Object(object).to_string()),
        }
    }

    fn changed_password(&self, user: &ImportedUser, known: &KnownIdentity) -> Result<Option<String>, Refusal> {
        let Some(password @ ImportedPassword::Custom(_)) = &user.password else { return Ok(None) };
        let wanted = password.json();
        let stored = known
            .password
            .as_deref()
            .and_then(|sealed| open_credential(self.sealer, self.connection, &known.subject, CredentialKind::Password, sealed).ok());
        if stored.is_some_and(|stored| id::eq_constant_time(stored.expose().as_bytes(), wanted.expose().as_bytes())) {
            return Ok(None);
        }
        Ok(Some(self.sealed_credential(&known.subject, CredentialKind::Password, &wanted)?))
    }

    fn sealed_credential(&self, subject: &str, kind: CredentialKind, plain: &Secret<String>) -> Result<String> {
        seal_credential(self.sealer, self.connection, subject, kind, plain)
    }
}

fn identity(connection: &str, target: &ImportTarget, subject: &str) -> Identity {
    Identity {
        connection: connection.to_owned(),
        provider: target.provider.clone(),
        user_id: subject.to_owned(),
        is_social: target.is_social,
    }
}

fn twice(name: &str) -> ImportError {
    let message = format!("A user with this {name} was already provided.");
    ImportError { code: ErrorCode::DuplicatedUser, message, path: None }
}

fn conflict(code: ErrorCode, path: &str) -> Refusal {
    ImportError::new(code, Some(path), "belongs to a user who is there already").into()
}
