//! LogoutRequests of applications and identity providers: whether they are believed, and which sessions they end.

use super::browser::LogoutReceiver;
use super::cascade::Beginning;
use super::index::Found;
use super::{LoggedOut, LogoutReply};
use crate::broker::begin::trace_op;
use crate::broker::idp::mirror_of;
use crate::broker::{Browser, Gateway};
use crate::clock::Timestamp;
use crate::connection::note_checks;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::LogoutStarter;
use crate::login::trace::{Part, Step as Note, Trace};
use crate::saml::binding::MessageKind;
use crate::saml::logout::{ArrivedLogout, LogoutOutcome, ReceivedLogout, receive_logout_request};
use crate::saml::{Binding, Incoming, Rejection, rejection};
use crate::store::Op;

/// A message that came to a single logout service.
#[derive(Clone, Copy, Debug)]
pub struct SloMessage<'a> {
    pub receiver: LogoutReceiver<'a>,
    pub kind: MessageKind,
    pub message: Incoming<'a>,
    /// In a frame of somebody's page.
    pub framed: bool,
}

/// A LogoutRequest that is believed.
pub(super) struct Asked {
    pub starter: LogoutStarter,
    pub found: Found,
    pub trace: Trace,
}

impl Gateway {
    /// A single logout service (SAML Profiles 4.4.3): takes LogoutRequests, and answers to ours.
    ///
    /// # Errors
    /// For our own page: who sent it cannot be told, because it is not known who that is.
    pub async fn single_logout(
        &self,
        arrived: SloMessage<'_>,
        browser: &Browser,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<LogoutReply> {
        // A disabled connection takes part in nothing.
        if let LogoutReceiver::Connection(name) = arrived.receiver
            && self.connections.enabled(name).is_none()
        {
            return Err(Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."));
        }
        match arrived.kind {
            MessageKind::Response => {
                let message = ArrivedLogout::response(arrived.message).map_err(|rejection| unreadable(&rejection))?;
                self.logout_answered(arrived.receiver, &message, now).await
            }
            MessageKind::Request => {
                let message = ArrivedLogout::request(arrived.message).map_err(|rejection| unreadable(&rejection))?;
                self.logout_asked(&arrived, &message, browser, correlation_id, now).await
            }
        }
    }

    async fn logout_asked(
        &self,
        arrived: &SloMessage<'_>,
        message: &ArrivedLogout,
        browser: &Browser,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<LogoutReply> {
        let Asked { starter, found, trace } = self.logout_read(arrived.receiver, message, browser, correlation_id, now).await?;
        let Found { sessions, known } = found;
        if !known {
            return self.nobody_known(&starter, trace, correlation_id, now).await;
        }
        self.begin_logout(Beginning { starter, sessions, framed: arrived.framed, browser, correlation_id, trace, now }).await
    }

    /// A request that is believed, and the sessions that it is about.
    ///
    /// # Errors
    /// When it is not believed, or was used before: that is written down already.
    pub(super) async fn logout_read(
        &self,
        receiver: LogoutReceiver<'_>,
        message: &ArrivedLogout,
        browser: &Browser,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<Asked> {
        let mut trace = Trace::default();
        let (by, client_id, read) = self.read_request(receiver, message, &mut trace, now)?;
        let request = match read {
            Ok(request) => request,
            Err(rejection) => {
                let error = rejected(&rejection);
                let (code, reason) = (error.kind.wire().code.to_owned(), rejection.name().to_owned());
                trace.note(now, Note::Refused { code, reason, detail: rejection::shown(rejection.to_string()) });
                self.sessions.commit(vec![trace_op(correlation_id, Part::Begin, &trace)?]).await?;
                return Err(self.logout_refused(error, by, client_id.as_deref(), correlation_id, now));
            }
        };
        if !self.is_new(&request, now).await? {
            let error = Error::new(ErrorKind::InvalidRequest, "This request to sign out was used before.");
            return Err(self.logout_refused(error, by, client_id.as_deref(), correlation_id, now));
        }
        let found = match (receiver, &client_id) {
            (LogoutReceiver::Connection(name), _) => self.found_by_connection(name, &request, browser).await?,
            (LogoutReceiver::Application(endpoint), Some(client_id)) => {
                self.found_by_application((client_id, mirror_of(endpoint).as_ref()), &request, browser).await?
            }
            (LogoutReceiver::Application(_), None) => Found::default(),
        };
        let starter = match (receiver, client_id) {
            (LogoutReceiver::Application(endpoint), Some(client_id)) => {
                LogoutStarter::Application { client_id, mirror: mirror_of(endpoint), request }
            }
            (LogoutReceiver::Connection(name), _) => LogoutStarter::Upstream { connection: name.to_owned(), request },
            (LogoutReceiver::Application(_), None) => return Err(Error::new(ErrorKind::Internal, "a request of nobody")),
        };
        Ok(Asked { starter, found, trace })
    }

    /// Whose request it is, and whether it may be believed.
    fn read_request(
        &self,
        receiver: LogoutReceiver<'_>,
        message: &ArrivedLogout,
        trace: &mut Trace,
        now: Timestamp,
    ) -> Result<(&'static str, Option<String>, Result<ReceivedLogout, Rejection>)> {
        let binding = match message.binding() {
            _ if message.is_soap() => "SOAP",
            Binding::Redirect => "HTTP-Redirect",
            Binding::Post => "HTTP-POST",
        };
        let note = |from: &str, trace: &mut Trace| {
            let issuer = message.issuer().chars().take(200).collect();
            let parameters = vec![("LogoutRequest by".to_owned(), binding.to_owned()), ("Issuer".to_owned(), issuer)];
            trace.note(now, Note::RequestIn { application: from.to_owned(), parameters });
        };
        let mut checks = Vec::new();
        match receiver {
            LogoutReceiver::Application(endpoint) => {
                let (application, saml) = self.service_provider(endpoint, message.issuer(), now)?;
                note(&application.client_id, trace);
                let (destination, keys) = (self.slo_address(endpoint), self.keyring.saml());
                let keys = keys.decryption_keys();
                let read = receive_logout_request(message, &saml.sp.logout_terms(&destination, &keys, now), &mut checks);
                note_checks(checks, now, trace);
                Ok(("saml", Some(application.client_id.clone()), read))
            }
            LogoutReceiver::Connection(name) => {
                let connection = self.connections.enabled(name).and_then(|known| known.saml(Some(message.issuer()), now));
                let saml = connection.ok_or_else(|| Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."))?;
                note(name, trace);
                let read = saml.logout_request_received(message, now, &mut checks);
                note_checks(checks, now, trace);
                Ok(("idp", None, read))
            }
        }
    }

    /// An ID is used once (SAML Profiles 4.4.4 leaves it open; a copy of the request must not end the next session).
    async fn is_new(&self, request: &ReceivedLogout, now: Timestamp) -> Result<bool> {
        let key = format!("once:{}", id::digest(&format!("logout {} {}", request.issuer(), request.id())));
        let ttl = u64::try_from(request.remember_until().seconds_since(now)).unwrap_or(0) + 1;
        Ok(self.sessions.commit(vec![Op::Claim { key, ttl }]).await?.first() == Some(&true))
    }

    // SAML Core 3.2.2.2: the principal is not one of whom we know anything. One whose session is over is another matter.
    async fn nobody_known(&self, starter: &LogoutStarter, mut trace: Trace, correlation_id: &str, now: Timestamp) -> Result<LogoutReply> {
        let outcome = LogoutOutcome::Failed { top: "Responder".to_owned(), second: Some("UnknownPrincipal".to_owned()), message: None };
        let answer = match starter {
            LogoutStarter::Application { client_id, mirror, request } => {
                self.answer_to_application(client_id, mirror.as_ref(), request, &outcome, None, now)?
            }
            LogoutStarter::Upstream { connection, request } => {
                match self.connections.enabled(connection).and_then(|known| known.saml(Some(request.issuer()), now)) {
                    Some(saml) => saml.logout_answer(request, &outcome, saml.prefers_logout_by(), now)?,
                    None => None,
                }
            }
            LogoutStarter::OpenId { .. } | LogoutStarter::Provider { .. } => None,
        };
        trace.note(now, Note::Finished { reply: "a LogoutResponse: no such session is known".to_owned() });
        self.sessions.commit(vec![trace_op(correlation_id, Part::Begin, &trace)?]).await?;
        let error = Error::new(ErrorKind::InvalidRequest, "No session is known that this request to sign out could be about.");
        let error = self.logout_refused(error, starter.name(), starter.client_id(), correlation_id, now);
        let answer = answer.map(LoggedOut::Saml).ok_or(error)?;
        Ok(LogoutReply { answer, ends_cookie: false, correlation_id: Some(correlation_id.to_owned()) })
    }

    pub(super) fn logout_refused(&self, error: Error, by: &str, client_id: Option<&str>, correlation_id: &str, now: Timestamp) -> Error {
        self.events.logout(by, "refused");
        self.note_failed_logout(error.detail.clone(), client_id, correlation_id, now);
        error
    }
}

fn unreadable(rejection: &Rejection) -> Error {
    Error::new(ErrorKind::InvalidRequest, "This is no logout message that could be read.").because(rejection.to_string())
}

fn rejected(rejection: &Rejection) -> Error {
    let detail = format!("The request to sign out was refused ({}).", rejection.name());
    Error::new(ErrorKind::InvalidRequest, detail).because(rejection.to_string())
}
