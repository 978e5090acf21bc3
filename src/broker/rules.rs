//! Rules and actions in a login: what they are given, and what becomes of what they answer.
//!
//! [`Gateway::run_scripts`] is the one place: a login by an identity provider, single sign-on and a refresh all come here,
//! after it is known who the person is and before anything is given. Where no script is enabled nobody calls it.
//! [`context`] makes the input, [`apply`] lays changes over a profile, [`resume`] sends people elsewhere and takes them
//! back, [`exchange`] is for programs that ask for themselves.

mod apply;
mod context;
mod exchange;
mod resume;

pub(super) use apply::{changed_names, changed_profile, changed_user, lay_over, of_the_profile, with_claims};
pub(super) use context::{REFRESH, query_of};
pub(super) use resume::Pausing;
pub use resume::Return;

use super::Gateway;
use super::admin::By;
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{ScriptChange, ScriptFailure, Step as Note, Trace};
use crate::login::{Asked, Scripted};
use crate::oidc::Scopes;
use crate::profile::normalize::check_limits;
use crate::profile::{Profile, Written};
use crate::rules::{LoginInput, MetadataChange, Outcome, Ran, Resume, Status};
use crate::user::metadata::Update;
use crate::user::patch::{Editor, UserPatch};
use crate::user::{Identity, User, sealing};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// Who asks, as far as scripts may know: read only where there are scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    /// `Accept-Language`.
    pub language: Option<String>,
    pub method: String,
    /// Two letters, from the header that the operator names.
    pub country: Option<String>,
}

/// As `ReplyTo::protocol` says it.
const SAML: &str = "samlp";

/// A login whose person is known, before anything is given.
pub(super) struct Situation<'a> {
    pub application: &'a Application,
    pub user_id: &'a str,
    /// By which the person came.
    pub identity: &'a Identity,
    /// The effective profile of this transaction.
    pub profile: Map<String, Value>,
    /// Paths in it that are not to be recorded.
    pub transient: &'a [String],
    pub protocol: &'static str,
    /// An older login answers.
    pub single_sign_on: bool,
    pub sid: &'a str,
    pub auth_time: Timestamp,
    /// How the person proved who they are, where that was here.
    pub amr: &'a [String],
    pub scopes: &'a Scopes,
    pub audience: Option<&'a str>,
    /// Of a browser's login; not of a refresh.
    pub asked: Option<&'a Asked>,
    pub redirect_uri: Option<&'a str>,
    /// Parameters of the request, without secrets.
    pub query: Map<String, Value>,
    pub body: Map<String, Value>,
    pub caller: Option<&'a Caller>,
    pub correlation_id: &'a str,
    pub resume: Option<Resume>,
    pub no_redirect: bool,
    pub now: Timestamp,
}

/// What scripts made of a login that may go on.
pub(super) enum Verdict {
    Go(Box<Made>),
    /// To another page first.
    Elsewhere(Box<Outcome>),
}

/// What they have made.
#[derive(Default)]
pub(super) struct Made {
    pub scripted: Option<Box<Scripted>>,
    /// The scopes, where a script has changed them.
    pub scopes: Option<Scopes>,
    /// Another user, as whom the login goes on.
    pub primary: Option<User>,
}

impl Gateway {
    /// Runs the rules and post-login actions of a login, records each, and stores what they want stored.
    ///
    /// # Errors
    /// [`ErrorKind::RuleDenied`] with the script's words; [`ErrorKind::ScriptFailed`]; [`ErrorKind::InteractionRequired`]
    /// where somebody would have to be sent elsewhere and cannot; those of the host and the directory.
    pub(super) async fn run_scripts(&self, mut situation: Situation<'_>, trace: &mut Trace) -> Result<Verdict> {
        let user = self.directory.user(situation.user_id).await?.filter(|user| !user.blocked);
        let user = user.ok_or_else(|| Error::new(ErrorKind::InvalidGrant, "the user may not sign in any more"))?;
        let user = self.readable_user(user, false);
        sealing::strip(&mut situation.profile);
        let given = context::user(&user, situation.profile.clone(), situation.identity, situation.now);
        if let Some(resume) = &mut situation.resume {
            // What was kept of the user are the scripts' changes; the rest is as it is now.
            resume.so_far.user = apply::laid_over(&given, &resume.so_far.user);
        }
        let input = LoginInput {
            user: given.clone(),
            context: context::context(self, &situation, &user),
            event: context::event(self, &situation, &user),
            resume: situation.resume.take(),
            no_redirect: situation.no_redirect,
        };
        let noted = input.resume.as_ref().map_or(0, |resume| resume.so_far.ran.len());
        let mut outcome = self.host.login(&self.scripts, input).await?;
        note_runs(trace, outcome.ran.get(noted..).unwrap_or_default(), situation.transient, situation.now);
        if let Some(script) = &outcome.failed {
            return Err(failed(script, &outcome.ran));
        }
        if outcome.redirect.is_some() && outcome.denied.is_none() {
            if situation.no_redirect {
                return Err(Error::new(ErrorKind::InteractionRequired, "a rule wants to show the person a page"));
            }
            let roots: Vec<&str> = situation.transient.iter().filter_map(|path| path.split('.').next()).collect();
            outcome.user = apply::differences(&given, &outcome.user);
            outcome.user.retain(|name, _| !roots.contains(&name.as_str()));
            return Ok(Verdict::Elsewhere(Box::new(outcome)));
        }
        let primary = match &outcome.primary_user {
            Some(user_id) if outcome.denied.is_none() && user_id != situation.user_id => {
                Some(self.primary(user_id, situation.identity).await?)
            }
            _ => None,
        };
        let owner = primary.as_ref().map_or(situation.user_id, |user| user.user_id.as_str());
        self.persist(owner, &outcome, situation.correlation_id, situation.now).await?;
        if let Some(denial) = outcome.denied {
            return Err(Error::new(ErrorKind::RuleDenied, denial.message));
        }
        let scripted = Scripted {
            user: apply::differences(&given, &outcome.user),
            id_token: outcome.id_token_claims,
            access_token: outcome.access_token_claims,
            // Of no use to anybody else, and maybe long.
            saml: if situation.protocol == SAML { outcome.saml } else { Map::new() },
        };
        let mut changed = situation.profile;
        changed_profile(&mut changed, &scripted.user);
        check_limits(&Profile::from_map(changed)).map_err(|error| {
            Error::new(ErrorKind::ScriptFailed, "The rules have made a profile that breaks a limit.").because(error.to_string())
        })?;
        let scopes = outcome.scopes.map(|wanted| self.allowed_scopes(situation.application, situation.scopes, situation.audience, &wanted));
        Ok(Verdict::Go(Box::new(Made { scripted: (!scripted.is_empty()).then(|| Box::new(scripted)), scopes, primary })))
    }

    /// The user as whom a script wants the login to go on: only one to whom the login's identity belongs by now (S4-27).
    async fn primary(&self, user_id: &str, identity: &Identity) -> Result<User> {
        let refuse =
            |why: &'static str| Error::new(ErrorKind::ScriptFailed, "A rule named a user as whom the login cannot go on.").because(why);
        let user = self.directory.user(user_id).await?.ok_or_else(|| refuse("primaryUser: there is no such user"))?;
        if user.blocked {
            return Err(refuse("primaryUser: the user is blocked"));
        }
        if !user.identity(&identity.connection, &identity.user_id).is_some_and(|stored| self.lets_in(stored)) {
            return Err(refuse("primaryUser: the identity of this login is not linked to that user"));
        }
        Ok(user)
    }

    /// S4-20: in the order in which scripts asked for it.
    async fn persist(&self, user_id: &str, outcome: &Outcome, correlation_id: &str, now: Timestamp) -> Result<()> {
        let mut seen = 0;
        for change in &outcome.persist {
            let Some(patch) = patch_of(change)? else { continue };
            let actor = actor_of(change, &outcome.ran, &mut seen);
            let by = By { actor: &actor, correlation_id };
            self.admin.update_user(user_id, &patch, Update::Merge, by, now).await.map_err(|error| match error.kind {
                ErrorKind::StoreUnavailable | ErrorKind::Conflict => error,
                _ => Error::new(ErrorKind::ScriptFailed, "What a rule wants to store cannot be stored.").because(error.detail),
            })?;
        }
        Ok(())
    }

    /// A script may take any scope away, and add those that the application or the resource server knows; offline access is
    /// decided when the code is made, and openid by who asks.
    fn allowed_scopes(&self, application: &Application, granted: &Scopes, audience: Option<&str>, wanted: &[String]) -> Scopes {
        let asked: Scopes = wanted.iter().map(String::as_str).collect();
        let by_audience = audience.and_then(|audience| self.scopes_for_audience(audience, &asked).ok()).unwrap_or_default();
        let of_client = |scope: &str| {
            !["openid", "offline_access"].contains(&scope) && application.oidc.as_ref().is_some_and(|client| client.may_have_scope(scope))
        };
        asked.iter().filter(|scope| granted.contains(scope) || by_audience.contains(scope) || of_client(scope)).collect()
    }

    /// The profile of a user as whom a login goes on.
    pub(super) fn profile_of(&self, user: &User) -> Result<Written> {
        let profile = self.effective(user)?.ok_or_else(|| Error::new(ErrorKind::ScriptFailed, "The user has no profile."))?;
        Written::profile(&profile)
    }
}

/// A script wants single sign-on or a refresh to go on as another user than the one whose it is.
pub(super) fn other_user() -> Error {
    Error::new(ErrorKind::LoginRequired, "The account has changed: the person must sign in again.")
}

fn patch_of(change: &MetadataChange) -> Result<Option<UserPatch>> {
    let mut members = Map::new();
    for (name, part) in [("user_metadata", &change.user_metadata), ("app_metadata", &change.app_metadata)] {
        // An empty object would empty what is stored.
        if !part.is_empty() {
            members.insert(name.to_owned(), Value::Object(part.clone()));
        }
    }
    if members.is_empty() {
        return Ok(None);
    }
    UserPatch::parse(&members, Editor::Operator)
        .map(Some)
        .map_err(|error| Error::new(ErrorKind::ScriptFailed, "What a rule wants to store cannot be stored.").because(error.detail))
}

/// For the audit log: the script whose run says that it changed one of these keys. Changes come in the order of the runs.
fn actor_of(change: &MetadataChange, ran: &[Ran], seen: &mut usize) -> String {
    let keys = |part: &'static str, members: &Map<String, Value>| members.keys().map(|key| format!("{part}.{key}")).collect::<Vec<_>>();
    let paths = [keys("user_metadata", &change.user_metadata), keys("app_metadata", &change.app_metadata)].concat();
    let is_one = |path: &str| {
        paths.iter().any(|known| path.strip_prefix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
    };
    let found = ran.iter().enumerate().skip(*seen).find(|(_, run)| run.changes.iter().any(|change| is_one(&change.path)));
    let Some((at, run)) = found else { return "rules".to_owned() };
    *seen = at;
    format!("{}:{}", run.kind, run.script)
}

fn failed(script: &str, ran: &[Ran]) -> Error {
    let failure = ran.iter().rev().find_map(|run| match &run.status {
        Status::Failed(error) => Some(error),
        _ => None,
    });
    let place = |error: &crate::rules::ScriptError| match (error.line, error.column) {
        (Some(line), Some(column)) => format!("{script}:{line}:{column}: {}", error.message),
        (Some(line), None) => format!("{script}:{line}: {}", error.message),
        _ => format!("{script}: {}", error.message),
    };
    let why = failure.map_or_else(|| script.to_owned(), place);
    Error::new(ErrorKind::ScriptFailed, "A rule of this sign-in service failed.").because(why)
}

/// What scripts have read of values that are not to be kept may stand in anything that they write.
fn note_runs(trace: &mut Trace, ran: &[Ran], transient: &[String], now: Timestamp) {
    let hide = !transient.is_empty();
    let value = |value: &Option<Value>| value.as_ref().map(|value| if hide { Value::from(NOT_RECORDED) } else { value.clone() });
    let text = |text: &String| if hide { NOT_RECORDED.to_owned() } else { text.clone() };
    for run in ran {
        let (status, error) = match &run.status {
            Status::Done => ("done", None),
            Status::Denied => ("denied", None),
            Status::Redirected => ("redirected", None),
            Status::Failed(error) => ("failed", Some(error)),
        };
        let changes = run.changes.iter().map(|change| ScriptChange {
            path: change.path.clone(),
            before: value(&change.before),
            after: value(&change.after),
        });
        let error = error.map(|error| ScriptFailure {
            message: text(&error.message),
            line: error.line,
            column: error.column,
            limit: error.limit.clone(),
        });
        trace.note(
            now,
            Note::Script {
                script: run.script.clone(),
                kind: run.kind.clone().into(),
                took: run.took,
                status: status.into(),
                changes: changes.collect(),
                log: run.log.iter().map(text).collect(),
                error,
            },
        );
    }
}

const NOT_RECORDED: &str = "(not recorded)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Change;
    use serde_json::json;

    #[test]
    fn s4_20_the_audit_log_names_the_script_that_stored() {
        let ran = |script: &str, paths: &[&str]| Ran {
            script: script.to_owned(),
            kind: "rule".to_owned(),
            took: 1,
            status: Status::Done,
            changes: paths.iter().map(|path| Change { path: (*path).to_owned(), before: None, after: Some(json!(1)) }).collect(),
            log: Vec::new(),
        };
        let runs = [ran("a", &["user.plan"]), ran("b", &["app_metadata.plan"]), ran("c", &["app_metadata.plan.level", "user_metadata.x"])];
        let change =
            |value: Value| MetadataChange { user_metadata: Map::new(), app_metadata: value.as_object().cloned().expect("an object") };
        let mut seen = 0;
        assert_eq!(actor_of(&change(json!({"plan": 1})), &runs, &mut seen), "rule:b");
        seen += 1;
        assert_eq!(actor_of(&change(json!({"plan": {"level": 2}})), &runs, &mut seen), "rule:c");
        assert_eq!(actor_of(&change(json!({"planet": 1})), &runs, &mut 0), "rules");
    }
}
