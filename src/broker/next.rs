//! What happens next in a login: the only place that decides. Pure; every step returns here.

use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::{Asked, Session, TimeBy};
use crate::saml::Comparison;

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
    /// The application is answered as soon as the person has agreed to what it will see.
    Consent,
    Refuse(ErrorKind),
}

/// Has the person agreed to what the application will see?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// They have, or need not be asked.
    #[default]
    Given,
    Missing,
}

/// What is known when a login begins.
#[derive(Debug)]
pub struct Situation<'a> {
    pub asked: &'a Asked,
    pub application: &'a Application,
    pub session: Option<&'a Session>,
    /// What the application calls the person of the session.
    pub subject: Option<&'a str>,
    /// Seconds since the connection of the session was last asked, once that is known.
    pub profile_age: Option<i64>,
    /// Names of the enabled connections that the application may use, in the order of the chooser.
    pub usable: &'a [String],
    /// The connection that is responsible for the domain of the login hint.
    pub by_hint: Option<&'a str>,
    /// The connection of the session wants a second factor that the session does not have.
    pub lacks_factor: bool,
    /// Those of the usable connections that may be asked without the person noticing (IsPassive).
    pub probes: &'a [String],
}

/// Decides the first step of a login.
///
/// The order matters: a session that satisfies the request answers it; what must not interrupt is refused;
/// what is left goes to an identity provider, chosen by parameter, by hint, or by the person. Whoever has come from there
/// passes [`check_arrived`] and [`consent`] before the application is answered.
pub fn next_step(situation: &Situation<'_>, now: Timestamp) -> Decision {
    let asked = situation.asked;
    // SAML Core 3.4.1.5.1: a ProxyCount of zero permits nobody but us to authenticate, and we authenticate nobody ourselves.
    if asked.proxy_count == Some(0) {
        return decide(Step::Refuse(ErrorKind::ProxyCountExceeded), "the application does not allow others to be asked");
    }
    let session = match situation.session {
        None => Err("there is no session"),
        Some(session) => usable_session(situation, session, now).map(|()| session),
    };
    let why = match session {
        // What it will see is known when scripts have run: then comes [`consent`].
        Ok(_) => return decide(Step::Issue, ANSWERS),
        Err(why) => why,
    };
    // OpenID Connect Core 3.1.2.1: with prompt=none, no authentication or consent page may be shown.
    if asked.passive {
        return probe(situation, why);
    }
    // With max_age, a session of the identity provider may be too old as well: ask for a fresh login there.
    let force = asked.fresh_login || asked.max_age.is_some();
    let Ok(connection) = named_connection(situation) else {
        return decide(Step::Refuse(ErrorKind::UnknownConnection), "the asked connection is not available to this application");
    };
    match (connection, situation.usable) {
        (_, []) => decide(Step::Refuse(ErrorKind::UnknownConnection), "the application has no connection that is enabled"),
        (Some(name), _) => decide(Step::SendToIdp { connection: name.to_owned(), force }, why),
        (None, [only]) => decide(Step::SendToIdp { connection: only.clone(), force }, why),
        (None, several) => decide(Step::ChooseConnection(several.to_vec()), why),
    }
}

const ANSWERS: &str = "the session satisfies the request";

/// The last question before an application is answered, by a session or by a login that has just ended: may it be?
pub const fn consent(asked: &Asked, consent: Consent) -> Decision {
    match (consent, asked.passive) {
        (Consent::Given, _) => decide(Step::Issue, ANSWERS),
        // Core 3.1.2.6: with prompt=none nobody can be asked.
        (Consent::Missing, true) => decide(Step::Refuse(ErrorKind::ConsentRequired), "the person has not agreed to what is asked"),
        (Consent::Missing, false) => decide(Step::Consent, "the person has not agreed to what is asked"),
    }
}

/// What must hold of whoever has signed in, beside what their connection has checked. `subject` is what the application
/// calls them.
///
/// # Errors
/// For the application.
pub fn check_arrived(asked: &Asked, acr: Option<&str>, subject: &str) -> Result<()> {
    // Core 3.1.2.1 (id_token_hint) and 5.5.1 (sub with a value): this person or nobody.
    if asked.expected_user.as_deref().is_some_and(|expected| expected != subject) || !asked.claims.accepts_subject(subject) {
        return Err(Error::new(ErrorKind::LoginRequired, "Another user signed in than the application asked for."));
    }
    // Core 5.5.1.1: a login without what is essential has failed.
    if asked.acr_essential && !acr.is_some_and(|acr| asked.acr_values.iter().any(|asked| asked == acr)) {
        return Err(Error::new(
            ErrorKind::UnmetAuthenticationRequirements,
            "The sign-in was not of the kind that the application asked for.",
        ));
    }
    Ok(())
}

/// The connection that the request names, by parameter or by hint, or by which the session came; `Err` where the one by
/// parameter may not be used.
fn named_connection<'a>(situation: &Situation<'a>) -> Result<Option<&'a str>, ()> {
    let asked = situation.asked;
    let usable = |name: &str| situation.usable.iter().any(|usable| usable == name);
    match &asked.connection {
        Some(name) if usable(name) => Ok(Some(name.as_str())),
        Some(_) => Err(()),
        // Whoever must prove themselves again does so where they came from.
        None => {
            let came_by = situation.session.filter(|_| !asked.choose).map(|session| session.identity.connection.as_str());
            Ok([situation.by_hint, came_by].into_iter().flatten().find(|name| usable(name)))
        }
    }
}

/// Nobody may be interrupted. The identity provider may know who it is, if its connection lets us ask without anybody
/// noticing, and if it is clear which one to ask.
fn probe(situation: &Situation<'_>, why: &'static str) -> Decision {
    let refused = decide(Step::Refuse(ErrorKind::LoginRequired), why);
    // With max_age=0 somebody would have to sign in.
    if situation.asked.max_age == Some(0) {
        return refused;
    }
    let named = match (named_connection(situation), situation.usable) {
        (Ok(Some(name)), _) => name,
        (Ok(None), [only]) => only,
        // Core 3.1.2.6: they may be signed in at one of several, and cannot be asked at which.
        (Ok(None), [_, _, ..]) if situation.probes.len() > 1 => {
            return decide(
                Step::Refuse(ErrorKind::AccountSelectionRequired),
                "several connections may be asked, and it is not clear which",
            );
        }
        _ => return refused,
    };
    if !situation.probes.iter().any(|probed| probed == named) {
        return refused;
    }
    decide(Step::SendToIdp { connection: named.to_owned(), force: false }, "the connection may be asked without anybody noticing")
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
    if asked.max_age.is_some_and(|max_age| max_age == 0 || !session.signed_in_within(i64::from(max_age), now)) {
        return Err(match session.auth_time_by {
            TimeBy::Witness => "the login is older than the application tolerates",
            TimeBy::Arrival => "nobody knows how old the login is, which the application limits",
        });
    }
    if situation.lacks_factor {
        return Err("the connection wants a second factor, which the session does not have");
    }
    if !situation.usable.contains(&session.identity.connection) {
        return Err("the application does not accept the connection of the session");
    }
    if !situation.application.profile.is_fresh(situation.profile_age) {
        return Err("the profile is older than the application tolerates, so its connection is asked again");
    }
    if asked.connection.as_ref().is_some_and(|name| *name != session.identity.connection) {
        return Err("the session came by another connection");
    }
    if asked.idp.is_some() && asked.idp != session.upstream.idp {
        return Err("the session came by another identity provider");
    }
    if asked.expected_user.as_deref().is_some_and(|subject| Some(subject) != situation.subject) {
        return Err("the session belongs to another user than id_token_hint names");
    }
    if situation.subject.is_some_and(|subject| !asked.claims.accepts_subject(subject)) {
        return Err("the session belongs to another user than the claims parameter names");
    }
    if !asked.acr_values.is_empty() && !meets(asked, session) {
        return Err("the session's authentication context is not the one asked for");
    }
    Ok(())
}

/// Is the session's authentication context what is asked for? `acr` is the application's word for it, and the class that of
/// the identity provider. What is "better" than something only its identity provider knows: it is asked.
fn meets(asked: &Asked, session: &Session) -> bool {
    // Core 5.5.1.1: the acr claim itself must be one of the values.
    if asked.acr_essential {
        return session.acr.as_ref().is_some_and(|acr| asked.acr_values.contains(acr));
    }
    let known = [session.acr.as_ref(), session.upstream.authn_context.as_ref()];
    asked.acr_comparison != Some(Comparison::Better) && known.into_iter().flatten().any(|acr| asked.acr_values.contains(acr))
}

const fn decide(step: Step, why: &'static str) -> Decision {
    Decision { step, why }
}

#[cfg(test)]
#[path = "next_tests.rs"]
mod tests;
