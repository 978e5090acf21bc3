//! The way of the browser through a logout: to each SAML partner in turn, and back to who began it.
//!
//! First our page tells all of them at once, in hidden frames ([`super::frames`]); who answered there is then visited in the
//! window, which browsers do not keep the partner's cookies from. Every stop is entered from our page, which stays on the
//! screen until the partner answers: a partner that does not is gone on without. Nothing here ends a session; that has
//! happened before.

use super::cascade::takes_requests;
use super::frames::frame_ops;
use super::{LoggedOut, LogoutEntry, LogoutPage, LogoutReply};
use crate::broker::begin::trace_op;
use crate::broker::idp::IdpEndpoint;
use crate::broker::{Gateway, decode, encode};
use crate::clock::Timestamp;
use crate::connection::note_checks;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Part, Step as Note};
use crate::login::{FrameAnswer, Logout, LogoutStarter, Partner, Told, Way};
use crate::saml::idp::EncryptedParts;
use crate::saml::logout::{ArrivedLogout, LogoutOrder, LogoutOutcome, ReceivedLogoutResponse, logout_request, receive_logout_response};
use crate::saml::{Binding, Check, Outgoing, Rejection, Signer, names, rejection};
use crate::store::Op;

/// Seconds for which a logout can be gone on with.
pub(super) const KEPT: u64 = 1800;

/// What the person, or the page by itself, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutStep {
    /// On to who is next; to the same one again, if it has not answered.
    Next,
    /// On without the one that has not answered.
    Skip,
    /// The page has waited for its frames: on without those that said nothing there.
    Framed,
}

/// Where a logout message of SAML arrived.
#[derive(Clone, Copy, Debug)]
pub enum LogoutReceiver<'a> {
    Application(&'a IdpEndpoint),
    Connection(&'a str),
}

impl Gateway {
    /// The page of a logout under way.
    pub async fn logout_page(&self, id: &str) -> Result<LogoutReply> {
        let logout = self.logout_of(id).await?;
        Ok(reply(&logout, LoggedOut::Page(self.page_of(&logout))))
    }

    /// The person, or the page by itself, goes on.
    pub async fn logout_step(&self, id: &str, step: LogoutStep, now: Timestamp) -> Result<LogoutReply> {
        let mut logout = self.logout_of(id).await?;
        logout.frames_shown();
        if step == LogoutStep::Framed {
            logout.leave_silent_ones();
        }
        if let (LogoutStep::Skip, Some(party)) = (step, logout.stop())
            && matches!(party.told, Told::Asked { .. })
        {
            party.settle(Told::Skipped);
            let what = format!("gone on without {}", party.name);
            logout.trace.note(now, Note::Decision { what, why: "it did not answer".into() });
        }
        self.visit_next(logout, now).await
    }

    /// Where a logout stands: answered if nothing is left to do, else on its page; in a frame without one.
    pub(super) async fn continue_logout(&self, mut logout: Logout, now: Timestamp) -> Result<LogoutReply> {
        if logout.is_through() || logout.framed {
            return self.visit_next(logout, now).await;
        }
        logout.frame_partners(|| format!("_{}", id::random_id()));
        let to = page_address(&logout);
        let mut ops = vec![put(&logout)?, trace_op(&logout.correlation_id, Part::Begin, &logout.trace)?];
        ops.extend(frame_ops(&logout));
        self.sessions.commit(ops).await?;
        Ok(reply(&logout, LoggedOut::Redirect(to)))
    }

    /// Sends the browser to who is next, or back.
    async fn visit_next(&self, mut logout: Logout, now: Timestamp) -> Result<LogoutReply> {
        loop {
            let Some(way) = logout.current().map(|party| party.way.clone()) else { return self.finish_logout(logout, now).await };
            let request_id = format!("_{}", id::random_id());
            let order = if logout.framed && self.needs_page(&way) { Ok(None) } else { self.order(&way, &request_id, now) };
            let told = match &order {
                Ok(Some(_)) => Told::Asked { request_id: request_id.clone() },
                Ok(None) => Told::Impossible,
                Err(error) => Told::Failed(error.detail.clone()),
            };
            let Some(party) = logout.stop() else { continue };
            let name = party.name.clone();
            party.told = told;
            let Ok(Some(outgoing)) = order else { continue };
            logout.trace.note(now, sent(name, &request_id, &outgoing));
            let way_back = Op::Put { key: Logout::request_key(&request_id), value: logout.id.clone().into_bytes(), ttl: KEPT };
            let ops = vec![put(&logout)?, way_back, trace_op(&logout.correlation_id, Part::Begin, &logout.trace)?];
            self.sessions.commit(ops).await?;
            return Ok(reply(&logout, LoggedOut::Saml(outgoing)));
        }
    }

    /// Our LogoutRequest; `None` where the partner takes none (any more).
    fn order(&self, way: &Way, request_id: &str, now: Timestamp) -> Result<Option<Outgoing>> {
        match way {
            Way::Saml(partner) => self.order_to_application(partner, request_id, now),
            Way::Upstream { connection, session } => {
                let Some(known) = self.connections.enabled(connection) else { return Ok(None) };
                match known.saml(session.idp.as_deref(), now) {
                    Some(saml) => saml.logout_order(request_id, session, Some(names::LOGOUT_USER), now),
                    None => Ok(known.end_session(session, request_id).map(Outgoing::Redirect)),
                }
            }
            Way::BackChannel { .. } | Way::Frame { .. } | Way::Nowhere => Ok(None),
        }
    }

    pub(super) fn order_to_application(&self, partner: &Partner, request_id: &str, now: Timestamp) -> Result<Option<Outgoing>> {
        let (_, saml) = self.service_provider_of(&partner.client_id)?;
        let Some(service) = takes_requests(saml) else { return Ok(None) };
        self.with_order(partner, request_id, |order, signer| logout_request(order, service, None, signer, now)).map(Some)
    }

    /// What is asked of an application, however it gets there, and what signs it.
    pub(super) fn with_order<T>(
        &self,
        partner: &Partner,
        request_id: &str,
        write: impl FnOnce(&LogoutOrder<'_>, Signer<'_>) -> Result<T>,
    ) -> Result<T> {
        let (_, saml) = self.service_provider_of(&partner.client_id)?;
        let settings = saml.sp.response();
        let own = self.idp_entity_id(partner.mirror.as_ref());
        // Who reads encrypted NameIDs in assertions reads them here too.
        let encrypted = matches!(settings.encrypt, EncryptedParts::NameId | EncryptedParts::Both);
        let encrypt = encrypted.then(|| settings.encryption_to(saml.sp.trust())).transpose()?;
        let order = LogoutOrder {
            id: request_id.to_owned(),
            session_indexes: std::slice::from_ref(&partner.session_index),
            reason: Some(names::LOGOUT_USER),
            encrypt,
            ..LogoutOrder::new(settings.issuer.as_deref().unwrap_or(&own), &partner.name_id)
        };
        let keys = self.keyring.saml();
        let signer = Signer::with(saml.sp.signing_key(&keys)?, settings.signature, settings.digest)?;
        write(&order, signer)
    }

    /// A partner's answer. Whatever it says, the logout goes on.
    ///
    /// # Errors
    /// When it answers nothing that is under way, or comes from somebody else than was asked.
    pub(super) async fn logout_answered(
        &self,
        receiver: LogoutReceiver<'_>,
        arrived: &ArrivedLogout,
        now: Timestamp,
    ) -> Result<LogoutReply> {
        let unknown = || Error::new(ErrorKind::InvalidRequest, "This answers no sign-out that is under way here.");
        let request_id = arrived.in_response_to().ok_or_else(unknown)?;
        let key = Logout::request_key(request_id);
        let found = self.sessions.get_many(std::slice::from_ref(&key)).await?.into_iter().next().flatten();
        let id = found.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unknown)?;
        let mut logout = self.logout_of(&id).await?;
        let in_frame = logout.framed_by(request_id).map(|party| party.way.clone());
        let way = in_frame.clone().or_else(|| logout.asked_by(request_id).map(|party| party.way.clone())).ok_or_else(unknown)?;
        let mut checks = Vec::new();
        let read = self.read_answer(receiver, arrived, (&way, request_id), &mut checks, now).ok_or_else(unknown)?;
        // Of two copies of an answer, one goes on with the logout.
        if self.sessions.take(&key).await?.is_none() {
            return Ok(reply(&logout, LoggedOut::Redirect(page_address(&logout))));
        }
        let told = told_by(read.as_ref());
        if in_frame.is_some() {
            return self.frame_answered(&logout, FrameAnswer { at: now, request_id: request_id.to_owned(), told }).await;
        }
        note_checks(checks, now, &mut logout.trace);
        if let Err(rejection) = &read {
            let detail = rejection::shown(rejection.to_string());
            tracing::warn!(correlation_id = logout.correlation_id, reason = rejection.name(), detail, "logout answer refused");
        }
        if let Some(party) = logout.asked_by(request_id) {
            let what = format!("{} answered", party.name);
            party.settle(told);
            let why = party.told.text();
            logout.trace.note(now, Note::Decision { what, why: why.into() });
        }
        self.continue_logout(logout, now).await
    }

    /// The verified answer; `None` where it came to another address than that of who was asked.
    fn read_answer(
        &self,
        receiver: LogoutReceiver<'_>,
        arrived: &ArrivedLogout,
        (way, request_id): (&Way, &str),
        checks: &mut Vec<Check>,
        now: Timestamp,
    ) -> Option<Result<ReceivedLogoutResponse, Rejection>> {
        match (receiver, way) {
            (LogoutReceiver::Application(endpoint), Way::Saml(partner)) => {
                if matches!(endpoint, IdpEndpoint::Application(client_id) if *client_id != partner.client_id) {
                    return None;
                }
                let (_, saml) = self.service_provider_of(&partner.client_id).ok()?;
                let (destination, keys) = (self.slo_address(endpoint), self.keyring.saml());
                let keys = keys.decryption_keys();
                let terms = saml.sp.logout_terms(&destination, &keys, now);
                Some(receive_logout_response(arrived, request_id, &terms, checks))
            }
            (LogoutReceiver::Connection(name), Way::Upstream { connection, session }) if name == connection => {
                let saml = self.connections.enabled(name)?.saml(session.idp.as_deref(), now)?;
                Some(saml.logout_response_received(arrived, request_id, now, checks))
            }
            _ => None,
        }
    }

    /// The starter's answer, once.
    async fn finish_logout(&self, mut logout: Logout, now: Timestamp) -> Result<LogoutReply> {
        let claim = Op::Claim { key: format!("logout-answered:{}", logout.id), ttl: KEPT };
        let ours = self.sessions.commit(vec![claim]).await?.first() == Some(&true);
        if !ours {
            return Ok(reply(&logout, LoggedOut::Page(self.page_of(&logout))));
        }
        let outcome = logout.outcome();
        logout.answered = true;
        let answer = self.starters_answer(&logout, &outcome, now)?;
        self.note_end(&mut logout, told_starter(&answer, &outcome), &outcome, now);
        self.sessions.commit(vec![put(&logout)?, trace_op(&logout.correlation_id, Part::Begin, &logout.trace)?]).await?;
        Ok(reply(&logout, answer))
    }

    /// For those who count, log and look: how a logout ended.
    pub(super) fn note_end(&self, logout: &mut Logout, reply: String, outcome: &LogoutOutcome, now: Timestamp) {
        logout.trace.note(now, Note::Finished { reply });
        self.events.logout(logout.starter.name(), if *outcome == LogoutOutcome::Done { "success" } else { "partial" });
        let missing: Vec<String> = logout.missing().map(|party| format!("{}: {}", party.name, party.told.text())).collect();
        if !missing.is_empty() {
            let why = format!("not everybody has confirmed the logout: {}", missing.join(", "));
            self.note_failed_logout(why, logout.starter.client_id(), &logout.correlation_id, now);
        }
    }

    fn starters_answer(&self, logout: &Logout, outcome: &LogoutOutcome, now: Timestamp) -> Result<LoggedOut> {
        let wished = logout.framed.then_some(Binding::Redirect);
        let answer = match &logout.starter {
            LogoutStarter::OpenId { after: Some(after), .. } if logout.missing().next().is_none() => {
                return Ok(LoggedOut::Redirect(after.clone()));
            }
            LogoutStarter::OpenId { .. } if logout.parties.is_empty() => return Ok(LoggedOut::Redirect("/logged-out".to_owned())),
            // The application cannot be told who has not confirmed, so the person is.
            LogoutStarter::OpenId { .. } | LogoutStarter::Provider { .. } => None,
            LogoutStarter::Application { client_id, mirror, request } => {
                self.answer_to_application(client_id, mirror.as_ref(), request, outcome, wished, now).unwrap_or_else(|error| {
                    tracing::warn!(client_id, %error, "an application does not get the answer to its logout");
                    None
                })
            }
            LogoutStarter::Upstream { connection, request } => {
                let saml = self.connections.enabled(connection).and_then(|known| known.saml(Some(request.issuer()), now));
                let answer = saml.map(|saml| saml.logout_answer(request, outcome, wished.unwrap_or_else(|| saml.prefers_logout_by()), now));
                answer.transpose()?.flatten()
            }
        };
        Ok(answer.map_or_else(|| LoggedOut::Page(self.page_of(logout)), LoggedOut::Saml))
    }

    /// `None` where the application has no address for it.
    pub(super) fn answer_to_application(
        &self,
        client_id: &str,
        mirror: Option<&crate::login::Mirror>,
        request: &crate::saml::logout::ReceivedLogout,
        outcome: &LogoutOutcome,
        wished: Option<Binding>,
        now: Timestamp,
    ) -> Result<Option<Outgoing>> {
        let (_, saml) = self.service_provider_of(client_id)?;
        let service = wished.map_or_else(|| saml.sp.logout_service(), |wished| saml.sp.trust().logout_service(wished));
        let Some(service) = service else { return Ok(None) };
        let (settings, own) = (saml.sp.response(), self.idp_entity_id(mirror));
        let keys = self.keyring.saml();
        let signer = Signer::with(saml.sp.signing_key(&keys)?, settings.signature, settings.digest)?;
        request.answer(settings.issuer.as_deref().unwrap_or(&own), service, outcome, signer, now).map(Some)
    }

    pub(super) async fn logout_of(&self, id: &str) -> Result<Logout> {
        let found = self.sessions.get_many(&[Logout::key(id)]).await?.into_iter().next().flatten();
        let gone = || Error::new(ErrorKind::NotFound, "This sign-out is not known here any more. Your session at this service is over.");
        let logout = found.map(|bytes| decode::<Logout>(&bytes)).transpose()?.ok_or_else(gone)?;
        self.with_frame_answers(logout).await
    }

    fn page_of(&self, logout: &Logout) -> LogoutPage {
        let entry = |party: &crate::login::Party| LogoutEntry {
            name: party.name.clone(),
            told: party.told.clone(),
            good: match party.told {
                Told::Confirmed => Some(true),
                Told::Waiting | Told::Asked { .. } | Told::Shown => None,
                Told::Unknown | Told::Failed(_) | Told::Skipped | Told::Impossible => Some(false),
            },
        };
        let after = match &logout.starter {
            LogoutStarter::OpenId { client_id, after: Some(after) } if logout.answered => {
                let name = client_id.as_deref().and_then(|client_id| self.application(client_id)).map(|known| known.name.clone());
                Some((name.unwrap_or_default(), after.clone()))
            }
            _ => None,
        };
        LogoutPage {
            id: logout.id.clone(),
            entries: logout.parties.iter().map(entry).collect(),
            frames: if logout.answered { Vec::new() } else { logout.frames().map(str::to_owned).collect() },
            partner_frames: if logout.answered { Vec::new() } else { self.partner_frames(logout) },
            next: logout.current().map(|party| party.name.clone()),
            stuck: logout.current().filter(|party| matches!(party.told, Told::Asked { .. })).map(|party| party.name.clone()),
            answered: logout.answered,
            after,
        }
    }
}

/// What a partner's answer comes to.
pub(super) fn told_by(read: std::result::Result<&ReceivedLogoutResponse, &Rejection>) -> Told {
    match read.map(ReceivedLogoutResponse::outcome) {
        Ok(LogoutOutcome::Done) => Told::Confirmed,
        Ok(LogoutOutcome::Partial) => Told::Failed("it could not tell everybody".to_owned()),
        Ok(LogoutOutcome::Failed { second: Some(second), .. }) if second == "UnknownPrincipal" => Told::Unknown,
        Ok(LogoutOutcome::Failed { top, second, .. }) => Told::Failed(format!("it answers {}", second.as_ref().unwrap_or(top))),
        Err(rejection) => Told::Failed(format!("its answer was refused ({})", rejection.name())),
    }
}

fn put(logout: &Logout) -> Result<Op> {
    Ok(Op::Put { key: Logout::key(&logout.id), value: encode(logout)?, ttl: KEPT })
}

fn page_address(logout: &Logout) -> String {
    format!("/logout/{}", logout.id)
}

pub(super) fn reply(logout: &Logout, answer: LoggedOut) -> LogoutReply {
    LogoutReply { answer, ends_cookie: false, correlation_id: Some(logout.correlation_id.clone()) }
}

fn sent(to: String, request_id: &str, outgoing: &Outgoing) -> Note {
    let (binding, mut address) = match outgoing {
        Outgoing::Redirect(url) => ("HTTP-Redirect", url.clone()),
        Outgoing::PostForm { action, .. } => ("HTTP-POST", action.clone()),
    };
    // An OpenID provider has no messages: its address says everything.
    let is_openid = matches!(outgoing, Outgoing::Redirect(url) if url.query_pairs().any(|(name, _)| name == "post_logout_redirect_uri"));
    let message = if is_openid { "RP-initiated logout" } else { "LogoutRequest" };
    address.set_query(None);
    let facts = vec![("message".to_owned(), message.to_owned())];
    Note::RequestOut { connection: to, binding: binding.into(), destination: address.into(), request_id: request_id.to_owned(), facts }
}

fn told_starter(answer: &LoggedOut, outcome: &LogoutOutcome) -> String {
    let how = if *outcome == LogoutOutcome::Done { "everybody has confirmed" } else { "not everybody has confirmed" };
    match answer {
        LoggedOut::Saml(_) => format!("a LogoutResponse: {how}"),
        LoggedOut::Redirect(_) => format!("back to the application: {how}"),
        LoggedOut::Page(_) | LoggedOut::Confirm { .. } | LoggedOut::Framed => format!("a page: {how}"),
    }
}
