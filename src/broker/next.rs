//! What happens next in a login: the only place that decides. Pure; every step returns here.

use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::login::{Asked, Session};

/// A decision, with the reason that goes into the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub step: Step,
    pub why: &'static str,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The person chooses among these connections.
    ChooseConnection(Vec<String>),
    /// To this identity provider; `force` demands a fresh login there.
    SendToIdp {
        connection: String,
        force: bool,
    },
    /// The session answers the application.
    Issue,
    Refuse(ErrorKind),
}

/// What is known when a login begins.
#[derive(Debug)]
pub struct Situation<'a> {
    pub asked: &'a Asked,
    pub application: &'a Application,
    pub session: Option<&'a Session>,
    /// Names of the enabled connections that the application may use, in the order of the chooser.
    pub usable: &'a [String],
    /// The connection that is responsible for the domain of the login hint.
    pub by_hint: Option<&'a str>,
}

/// Decides the first step of a login.
///
/// The order matters: a session that satisfies the request answers it; what must not interrupt is refused;
/// what is left goes to an identity provider, chosen by parameter, by hint, or by the person.
pub fn next_step(situation: &Situation<'_>, now: Timestamp) -> Decision {
    let asked = situation.asked;
    let session = match situation.session {
        None => Err("there is no session"),
        Some(session) => usable_session(situation, session, now).map(|()| session),
    };
    let why = match session {
        Ok(_) => return decide(Step::Issue, "the session satisfies the request"),
        Err(why) => why,
    };
    // OpenID Connect Core 3.1.2.1: with prompt=none, no authentication or consent page may be shown.
    if asked.passive {
        return decide(Step::Refuse(ErrorKind::LoginRequired), why);
    }
    // With max_age, a session of the identity provider may be too old as well: ask for a fresh login there.
    let force = asked.fresh_login || asked.max_age.is_some();
    let connection = match &asked.connection {
        Some(name) if situation.usable.contains(name) => Some(name.as_str()),
        Some(_) => return decide(Step::Refuse(ErrorKind::UnknownConnection), "the asked connection is not available to this application"),
        None => situation.by_hint.filter(|name| situation.usable.iter().any(|usable| usable == name)),
    };
    match (connection, situation.usable) {
        (_, []) => decide(Step::Refuse(ErrorKind::UnknownConnection), "the application has no connection that is enabled"),
        (Some(name), _) => decide(Step::SendToIdp { connection: name.to_owned(), force }, why),
        (None, [only]) => decide(Step::SendToIdp { connection: only.clone(), force }, why),
        (None, several) => decide(Step::ChooseConnection(several.to_vec()), why),
    }
}

fn usable_session(situation: &Situation<'_>, session: &Session, now: Timestamp) -> Result<(), &'static str> {
    let asked = situation.asked;
    if !session.alive(now) {
        return Err("the session has expired");
    }
    if asked.fresh_login {
        return Err("the application demands a fresh login");
    }
    if asked.choose {
        return Err("the application lets the person choose an account");
    }
    // Core 3.1.2.1: max_age counts from auth_time; 0 always demands a fresh login.
    if asked.max_age.is_some_and(|max_age| max_age == 0 || now.seconds_since(session.auth_time) > i64::from(max_age)) {
        return Err("the login is older than the application tolerates");
    }
    if !situation.usable.contains(&session.identity.connection) {
        return Err("the application does not accept the connection of the session");
    }
    if asked.connection.as_ref().is_some_and(|name| *name != session.identity.connection) {
        return Err("the session came by another connection");
    }
    if asked.expected_user.as_ref().is_some_and(|user| *user != session.user_id) {
        return Err("the session belongs to another user than id_token_hint names");
    }
    if !asked.acr_values.is_empty() && !session.acr.as_ref().is_some_and(|acr| asked.acr_values.contains(acr)) {
        return Err("the session's authentication context is not the one asked for");
    }
    Ok(())
}

const fn decide(step: Step, why: &'static str) -> Decision {
    Decision { step, why }
}
