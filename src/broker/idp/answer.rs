//! Answers to SAML applications: the assertion of a login, and the status of one that failed.

use super::artifact::keep_op;
use super::tailored::Wishes;
use crate::application::release::Chosen;
use crate::broker::finish::{Issue, Issued};
use crate::broker::logout::partner_ops;
use crate::broker::recording::note_rows;
use crate::broker::release::{recorded, unrecorded};
use crate::broker::rules::{changed_names, changed_profile};
use crate::broker::{Answer, Gateway, Outcome, Reply};
use crate::clock::Timestamp;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Step as Note, Trace};
use crate::login::{Mirror, Partner, SamlReply, Session};
use crate::profile::{Released, RowNote, Written};
use crate::saml::idp::{Refusal, ReleasedAttribute, ReleasedValue, Statement, Subject};
use crate::store::Op;
use serde_json::{Map, Value};

/// Seconds for which the ID of an answered request is remembered; older requests are refused by their IssueInstant.
const ANSWERED: u64 = 2 * 3600;

impl Gateway {
    /// The signed response with the assertion of a login.
    pub(in crate::broker) fn issue_assertion(&self, issue: &Issue<'_>, reply: &SamlReply, trace: &mut Trace) -> Result<Issued> {
        let (application, session, now) = (issue.application, issue.session, issue.now);
        let gone = || Error::new(ErrorKind::UnauthorizedClient, "The application does not take SAML any more.");
        let saml = application.saml.as_ref().ok_or_else(gone)?;
        speaks_for(reply.mirror.as_ref(), session)?;
        let entity_id = self.idp_entity_id(reply.mirror.as_ref());
        let keys = self.keyring.saml();
        let wishes = Wishes(issue.scripted.as_deref().map(|scripted| &scripted.saml));
        let (sp, to) = (wishes.sp(saml)?, wishes.reply_to(reply)?);
        let responder = sp.responder(&entity_id, sp.signing_key(&keys)?, self.keyring.sealer());
        let (mut attributes, email) = self.released_attributes(issue, reply, trace)?;
        // What the operator has us make takes the place of what a row gives under the same name.
        let identifiers = responder.identifiers(&session.user_id)?;
        attributes.retain(|attribute| !identifiers.iter().any(|identifier| identifier.name == attribute.name));
        attributes.extend(identifiers);
        let connection = self.connections.enabled(&session.identity.connection);
        let authorities = authorities(connection.map(AsRef::as_ref), session);
        let session_index = session_index(&session.sid, &application.client_id);
        let authn_context = wishes.authn_context()?;
        let statement = Statement {
            subject: Subject { user_id: &session.user_id, email: email.as_deref() },
            attributes: &attributes,
            authn_instant: session.auth_time,
            authn_context_class_ref: authn_context.as_deref().or(session.upstream.authn_context.as_deref()),
            authenticating_authorities: &authorities,
            session_index: &session_index,
            session_not_on_or_after: Some(session.expires_at),
        };
        let issued = to.respond(&responder, &statement, now)?;
        trace.note(now, Note::Finished { reply: format!("an assertion for {} at {}", application.client_id, reply.to.acs_url()) });
        let partner = Partner {
            client_id: application.client_id.clone(),
            entity_id: reply.to.entity_id().to_owned(),
            name_id: issued.name_id,
            session_index,
            mirror: reply.mirror.clone(),
        };
        let mut writes = partner_ops(&session.sid, &partner, self.lifetimes.session)?;
        let secrets = issued.kept.iter().map(|kept| kept.key.clone()).collect();
        writes.extend(issued.kept.map(keep_op));
        Ok(Issued {
            answer: Answer::Reply(Reply::Saml(issued.outgoing)),
            claims: reply.to.in_response_to().map(|id| answered(reply.to.entity_id(), id)).into_iter().collect(),
            writes,
            secrets,
        })
    }

    /// The attributes by the application's table, and the e-mail address for a NameID.
    fn released_attributes(
        &self,
        issue: &Issue<'_>,
        reply: &SamlReply,
        trace: &mut Trace,
    ) -> Result<(Vec<ReleasedAttribute>, Option<String>)> {
        let application = issue.application;
        let saml = application.saml.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "another protocol"))?;
        let mut members = issue.profile.value().as_object().cloned().unwrap_or_default();
        let mut transient = issue.transient.to_vec();
        if let Some(scripted) = &issue.scripted {
            changed_profile(&mut members, &scripted.user);
            transient.extend(changed_names(scripted));
        }
        let readable = self.readable_profile(application, members, &issue.session.user_id);
        transient.extend(readable.sealed);
        let wishes = Wishes(issue.scripted.as_deref().map(|scripted| &scripted.saml));
        let mut rows = Vec::new();
        let released = match wishes.mapped(&readable.profile)? {
            Some(mapped) => mapped,
            None => {
                let released = saml.mapping.from_profile(&readable.profile, &mut rows);
                released.map_err(|error| Error::new(ErrorKind::Misconfigured, error.to_string()))?
            }
        };
        let mut unrecorded = unrecorded(&rows, &transient);
        // Nobody knows any more where these came from.
        unrecorded.extend(wishes.own_attributes());
        let Chosen { released, withheld } = saml.release.choose(released, saml.sp.trust(), reply.to.asked_attribute_service());
        rows.extend(withheld.into_iter().map(|(name, why)| RowNote::unmet(&name, why.to_owned())));
        let released = wishes.released(released, &saml.mapping, &readable.profile)?;
        note_rows(trace, "from_profile", rows, &transient, issue.now);
        let shown: Map<String, Value> = released.iter().map(|row| (row.name.clone(), row.value.clone())).collect();
        let claims = Written::object(&recorded(&shown, &unrecorded))?;
        trace.note(issue.now, Note::Released { application: application.client_id.clone(), to: "the assertion".into(), claims });
        let email = readable.profile.get("email").and_then(|value| value.as_str().map(str::to_owned));
        Ok((released.into_iter().map(attribute).collect(), email))
    }

    /// The response that says why there is no assertion.
    pub(in crate::broker) async fn refuse_by_saml(&self, client_id: &str, reply: &SamlReply, error: &Error, now: Timestamp) -> Outcome {
        let (top, second) = error.kind.wire().saml;
        self.answer_by_saml(client_id, reply, Refusal { top, second, message: Some(&error.detail) }, now).await
    }

    pub(in crate::broker) async fn answer_by_saml(
        &self,
        client_id: &str,
        reply: &SamlReply,
        refusal: Refusal<'_>,
        now: Timestamp,
    ) -> Outcome {
        let entity_id = self.idp_entity_id(reply.mirror.as_ref());
        let answer = self.service_provider_of(client_id).and_then(|(_, saml)| {
            let keys = self.keyring.saml();
            let responder = saml.sp.responder(&entity_id, saml.sp.signing_key(&keys)?, self.keyring.sealer());
            reply.to.refuse(&responder, refusal, now)
        });
        match self.kept(answer).await {
            Ok(outgoing) => Outcome::of(Answer::Reply(Reply::Saml(outgoing))),
            Err(error) => Outcome::refused(error, None),
        }
    }
}

/// The name of a session at one application: nobody can tell from two of them that they are one session.
fn session_index(sid: &str, client_id: &str) -> String {
    let digest = id::digest(&format!("saml session index {sid} {client_id}"));
    format!("_{}", digest.get(..40).unwrap_or(&digest))
}

/// The mark that a request has been answered with an assertion.
fn answered(entity_id: &str, request_id: &str) -> Op {
    Op::Claim { key: format!("saml-answered:{}", id::digest(&format!("{entity_id} {request_id}"))), ttl: ANSWERED }
}

/// An entity that stands for one identity provider says nothing of somebody who came by another, however they came here.
fn speaks_for(mirror: Option<&Mirror>, session: &Session) -> Result<()> {
    let came_by = |mirror: &Mirror| {
        let same_idp = mirror.idp.is_none() || mirror.idp == session.upstream.idp;
        mirror.connection == session.identity.connection && same_idp
    };
    if mirror.is_none_or(came_by) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::UnknownConnection, "The sign-in was by another identity provider than the one that was asked for."))
}

/// The identity providers that were involved, the nearest to the user first (SAML Core 2.7.2.2).
fn authorities(connection: Option<&dyn Connection>, session: &Session) -> Vec<String> {
    let beyond = session.upstream.authenticating_authorities.iter().cloned();
    beyond.chain(session.upstream.idp.clone().or_else(|| connection?.idp_entity_id())).collect()
}

fn attribute(released: Released) -> ReleasedAttribute {
    let values = match released.value {
        Value::Array(values) => values.into_iter().filter_map(value).collect(),
        single => value(single).into_iter().collect(),
    };
    ReleasedAttribute { name: released.name, name_format: released.name_format, friendly_name: released.friendly_name, values }
}

/// What is not there has no value.
fn value(value: Value) -> Option<ReleasedValue> {
    Some(match value {
        Value::Null => return None,
        Value::String(text) => ReleasedValue::Text(text),
        Value::Bool(truth) => ReleasedValue::Boolean(truth),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => ReleasedValue::Integer(integer),
            None => ReleasedValue::Double(number.as_f64()?),
        },
        structured => ReleasedValue::Structured(structured.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::{TimeBy, UpstreamSession};
    use crate::user::Identity;

    fn session(connection: &str, idp: Option<&str>) -> Session {
        let identity = Identity { connection: connection.into(), provider: "samlp".into(), user_id: "jane".into(), is_social: false };
        let now = Timestamp::from_seconds(1_800_000_000);
        Session {
            sid: "sid".into(),
            user_id: "samlp|one|jane".into(),
            identity,
            profile: Written::object(&Map::new()).expect("JSON"),
            auth_time: now,
            auth_time_by: TimeBy::Witness,
            acr: None,
            amr: Vec::new(),
            created_at: now,
            expires_at: now,
            upstream: UpstreamSession { idp: idp.map(str::to_owned), ..UpstreamSession::default() },
            correlation_id: "c".into(),
            before: Vec::new(),
        }
    }

    #[test]
    fn a_mirror_speaks_only_for_whom_it_stands_for() {
        let mirror = |connection: &str, idp: Option<&str>| Mirror { connection: connection.into(), idp: idp.map(str::to_owned) };
        assert!(speaks_for(None, &session("one", None)).is_ok());
        assert!(speaks_for(Some(&mirror("one", None)), &session("one", None)).is_ok());
        assert!(speaks_for(Some(&mirror("one", None)), &session("one", Some("x"))).is_ok());
        assert!(speaks_for(Some(&mirror("one", Some("x"))), &session("one", Some("x"))).is_ok());
        assert!(speaks_for(Some(&mirror("two", None)), &session("one", None)).is_err());
        assert!(speaks_for(Some(&mirror("one", Some("y"))), &session("one", Some("x"))).is_err());
        assert!(speaks_for(Some(&mirror("one", Some("x"))), &session("one", None)).is_err());
    }

    #[test]
    fn nobody_can_tell_that_two_indexes_are_one_session() {
        let (wiki, notes) = (session_index("sid", "wiki"), session_index("sid", "notes"));
        assert_ne!(wiki, notes);
        assert_eq!(wiki, session_index("sid", "wiki"));
        assert!(!wiki.contains("sid") && wiki.starts_with('_') && wiki.len() == 41, "{wiki}");
    }
}
