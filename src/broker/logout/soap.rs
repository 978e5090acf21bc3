//! Logout in SOAP (SAML Bindings 3.2, Profiles 4.4): a partner and we speak without the browser. Both directions are signed.

use super::back_channel::Attempt;
use super::browser::{LogoutReceiver, told_by};
use super::cascade::Beginning;
use super::index::Found;
use super::saml::Asked;
use crate::broker::begin::trace_op;
use crate::broker::{Browser, Gateway};
use crate::clock::Timestamp;
use crate::connection::outbound;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::Part;
use crate::login::{LogoutStarter, Partner, Told};
use crate::saml::logout::{ArrivedLogout, LogoutOutcome, logout_request_in_envelope, receive_logout_response};
use crate::saml::rejection::shown;
use crate::saml::soap::{FaultCode, fault};
use crate::saml::{Rejection, Signer};

/// What a single logout service answers in SOAP.
#[derive(Debug)]
pub enum SoapLogout {
    /// A LogoutResponse in its envelope.
    Response(String),
    /// A SOAP fault: it was no request that could be read.
    Fault(String),
    /// A SOAP fault, for somebody who is not answered at all (SAML Bindings 3.2.3.3).
    Refused(String),
}

impl Gateway {
    /// A single logout service in SOAP: ends the session and tells those who need no browser. Nobody is there whom a browser
    /// could take to the others: the answer says so.
    ///
    /// # Errors
    /// When a store does not answer, or the key cannot sign.
    pub async fn soap_logout(
        &self,
        receiver: LogoutReceiver<'_>,
        envelope: String,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<SoapLogout> {
        let message = match ArrivedLogout::request_in_envelope(envelope) {
            Ok(message) => message,
            Err(rejection) => {
                let why = shown(rejection.to_string());
                tracing::info!(reason = rejection.name(), detail = why, "no LogoutRequest in an envelope");
                return Ok(SoapLogout::Fault(fault(FaultCode::of(&rejection), &why)));
            }
        };
        let browser = Browser::default();
        let asked = match self.logout_read(receiver, &message, &browser, correlation_id, now).await {
            Ok(asked) => asked,
            Err(error) if error.kind == ErrorKind::StoreUnavailable => return Err(error),
            Err(error) => {
                let why = error.source.as_ref().map(|source| shown(source.to_string()));
                tracing::warn!(%error, why, "a LogoutRequest in an envelope was refused");
                // Whoever is not believed learns nothing, not even whether there is such a partner.
                return Ok(SoapLogout::Refused(fault(FaultCode::Client, "The request was refused.")));
            }
        };
        let Asked { starter, found: Found { sessions, known }, trace } = asked;
        let beginning = Beginning { starter, sessions, framed: true, browser: &browser, correlation_id, trace, now };
        let mut logout = self.end_and_tell(beginning).await?;
        for party in logout.parties.iter_mut().filter(|party| party.told == Told::Waiting) {
            party.told = Told::Impossible;
        }
        logout.answered = true;
        let outcome = match known {
            true => logout.outcome(),
            false => LogoutOutcome::Failed { top: "Responder".to_owned(), second: Some("UnknownPrincipal".to_owned()), message: None },
        };
        let answer = self.answer_in_envelope(&logout.starter, &outcome, now)?;
        if known {
            self.note_end(&mut logout, format!("a LogoutResponse in SOAP: {outcome:?}"), &outcome, now);
        } else {
            let error = Error::new(ErrorKind::InvalidRequest, "No session is known that this request to sign out could be about.");
            self.logout_refused(error, logout.starter.name(), logout.starter.client_id(), correlation_id, now);
        }
        self.sessions.commit(vec![trace_op(&logout.correlation_id, Part::Begin, &logout.trace)?]).await?;
        Ok(SoapLogout::Response(answer))
    }

    fn answer_in_envelope(&self, starter: &LogoutStarter, outcome: &LogoutOutcome, now: Timestamp) -> Result<String> {
        match starter {
            LogoutStarter::Application { client_id, mirror, request } => {
                let (_, saml) = self.service_provider_of(client_id)?;
                let (settings, own) = (saml.sp.response(), self.idp_entity_id(mirror.as_ref()));
                let keys = self.keyring.saml();
                let signer = Signer::with(saml.sp.signing_key(&keys)?, settings.signature, settings.digest)?;
                request.answer_in_envelope(settings.issuer.as_deref().unwrap_or(&own), outcome, signer, now)
            }
            LogoutStarter::Upstream { connection, request } => {
                let gone = || Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available.");
                let saml = self.connections.enabled(connection).and_then(|known| known.saml(Some(request.issuer()), now));
                saml.ok_or_else(gone)?.logout_answer_in_envelope(request, outcome, now)
            }
            LogoutStarter::OpenId { .. } | LogoutStarter::Provider { .. } => {
                Err(Error::new(ErrorKind::Internal, "a request in SOAP of an OpenID application"))
            }
        }
    }

    /// Is this application told in SOAP?
    pub(super) fn takes_soap(&self, partner: &Partner) -> bool {
        self.service_provider_of(&partner.client_id).is_ok_and(|(_, saml)| saml.sp.soap_logout().is_some())
    }

    /// One LogoutRequest, and what the application says to it.
    pub(super) async fn ask_by_soap(&self, partner: &Partner, now: Timestamp) -> Attempt {
        let request_id = format!("_{}", id::random_id());
        let order = self.service_provider_of(&partner.client_id).and_then(|(_, saml)| {
            let gone = || Error::new(ErrorKind::UnauthorizedClient, "the application takes no LogoutRequests in SOAP any more");
            let location = saml.sp.soap_logout().ok_or_else(gone)?.clone();
            let envelope =
                self.with_order(partner, &request_id, |order, signer| logout_request_in_envelope(order, &location, signer, now))?;
            Ok((location, envelope))
        });
        let (location, envelope) = match order {
            Ok(order) => order,
            Err(error) => return Attempt::Refused(error.detail),
        };
        match outbound::soap::ask(&location, envelope, self.documents.reach()).await {
            Ok(Ok(envelope)) => self.said_by_soap(partner, envelope, &request_id, now),
            Ok(Err(why)) => Attempt::Failed(why),
            Err(error) => Attempt::Failed(error.detail),
        }
    }

    fn said_by_soap(&self, partner: &Partner, envelope: String, request_id: &str, now: Timestamp) -> Attempt {
        let Ok((_, saml)) = self.service_provider_of(&partner.client_id) else {
            return Attempt::Refused("the application is not there any more".to_owned());
        };
        let keys = self.keyring.saml();
        let keys = keys.decryption_keys();
        // It came by a connection of ours: no address of ours is named.
        let terms = saml.sp.logout_terms("", &keys, now);
        let read = ArrivedLogout::response_in_envelope(envelope);
        let read = read.and_then(|message| receive_logout_response(&message, request_id, &terms, &mut Vec::new()));
        if let Err(rejection) = &read {
            log_refused(partner, rejection);
        }
        match told_by(read.as_ref()) {
            Told::Confirmed => Attempt::Done,
            told @ Told::Unknown => Attempt::Refused(told.text()),
            Told::Failed(why) => Attempt::Refused(why),
            _ => Attempt::Refused("it said nothing".to_owned()),
        }
    }
}

fn log_refused(partner: &Partner, rejection: &Rejection) {
    let detail = shown(rejection.to_string());
    tracing::warn!(client_id = partner.client_id, reason = rejection.name(), detail, "an answer to a LogoutRequest in SOAP was refused");
}
