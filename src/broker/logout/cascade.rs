//! Who is told of a session's end, and the beginning of it: the session is ended first, then those are told who can be told
//! from here.

use super::LogoutReply;
use crate::application::SamlApplication;
use crate::broker::{Browser, Gateway, decode};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id;
use crate::login::trace::{Step as Note, Trace};
use crate::login::{Logout, LogoutStarter, Mirror, Partner, Party, Session, Told, Way};
use crate::oidc::logout_token::frontchannel_address;
use crate::saml::Binding;
use crate::saml::logout::LogoutService;

/// Applications of one logout that are told, or listed at least.
const PARTIES: usize = 100;

/// What begins.
pub(super) struct Beginning<'a> {
    pub starter: LogoutStarter,
    pub sessions: Vec<Session>,
    /// In a frame of somebody's page.
    pub framed: bool,
    pub browser: &'a Browser,
    pub correlation_id: &'a str,
    pub trace: Trace,
    pub now: Timestamp,
}

impl Gateway {
    /// Ends the sessions, tells whom it can, and answers what the browser does next.
    pub(super) async fn begin_logout(&self, beginning: Beginning<'_>) -> Result<LogoutReply> {
        let (browser, now) = (beginning.browser, beginning.now);
        let cookie = browser.session.as_deref().map(Session::sid_of);
        let ends_cookie = cookie.is_some_and(|sid| beginning.sessions.iter().any(|session| session.sid == sid));
        let logout = self.end_and_tell(beginning).await?;
        let mut reply = self.continue_logout(logout, now).await?;
        reply.ends_cookie = ends_cookie;
        Ok(reply)
    }

    /// Ends the sessions and tells all who need no browser.
    pub(super) async fn end_and_tell(&self, beginning: Beginning<'_>) -> Result<Logout> {
        let Beginning { starter, sessions, framed, browser: _, correlation_id, trace, now } = beginning;
        let mut logout = Logout {
            id: id::random_id(),
            correlation_id: correlation_id.to_owned(),
            starter,
            parties: Vec::new(),
            framed,
            frames_over: false,
            answered: false,
            trace,
        };
        for session in sessions {
            // Of two requests at once, one ends it and tells the others.
            let Some(key) = Session::key_of_sid(&session.sid) else { continue };
            let Some(session) = self.sessions.take(&key).await?.map(|bytes| decode::<Session>(&bytes)).transpose()? else { continue };
            let why = format!("{} of {}", session.sid, session.user_id);
            logout.trace.note(now, Note::Decision { what: "session ended".to_owned(), why: why.into() });
            let client_id = logout.starter.client_id().map(str::to_owned);
            self.note_logout(&session.user_id, client_id.as_deref(), Some(correlation_id), now);
            self.tell_about(&mut logout, &session, now).await?;
        }
        Ok(logout)
    }

    async fn tell_about(&self, logout: &mut Logout, session: &Session, now: Timestamp) -> Result<()> {
        for sid in session.sids() {
            // Told one by one: what is waiting now belongs to this session.
            let mut of_session = Logout { parties: Vec::new(), ..logout.clone() };
            self.add_clients(&mut of_session, sid).await?;
            for partner in self.partners_of(sid).await? {
                self.add_partner(&mut of_session, partner);
            }
            self.tell_from_here(&mut of_session, &session.user_id, sid, now).await;
            logout.parties.extend(of_session.parties);
        }
        self.add_upstream(logout, session, now).await;
        // The identity providers last.
        logout.parties.sort_by_key(|party| matches!(party.way, Way::Upstream { .. }));
        logout.parties.truncate(PARTIES);
        if logout.framed {
            leave_out_pages(logout);
        }
        for party in logout.parties.iter().filter(|party| party.told != Told::Waiting) {
            logout.trace.note(now, Note::Decision { what: format!("told {}", party.name), why: party.told.text().into() });
        }
        Ok(())
    }

    async fn add_clients(&self, logout: &mut Logout, sid: &str) -> Result<()> {
        for client_id in self.clients_of(sid).await? {
            let Some(application) = self.application(&client_id) else { continue };
            let Some(client) = &application.oidc else { continue };
            let frame = frontchannel_address(&self.issuer, client, sid)?;
            let (way, told) = match (&client.backchannel_logout_uri, frame) {
                (Some(_), _) => (Way::BackChannel { client_id: client_id.clone() }, Told::Waiting),
                (None, Some(address)) => (Way::Frame { client_id: client_id.clone(), address: address.into() }, Told::Waiting),
                // Who began it knows.
                (None, None) if logout.starter.client_id() == Some(client_id.as_str()) => continue,
                (None, None) => (Way::Nowhere, Told::Impossible),
            };
            logout.parties.push(Party::new(application.name.clone(), way, told));
        }
        Ok(())
    }

    /// An application once, by its newest name; not the one that began it.
    fn add_partner(&self, logout: &mut Logout, partner: Partner) {
        let Some(application) = self.application(&partner.client_id) else { return };
        let known = |party: &Party| matches!(&party.way, Way::Saml(known) if known.client_id == partner.client_id && known.mirror == partner.mirror);
        if logout.starter.is(&partner.client_id, partner.mirror.as_ref()) || logout.parties.iter().any(known) {
            return;
        }
        let can = application.saml.as_ref().is_some_and(|saml| saml.sp.logout_service().is_some() || saml.sp.soap_logout().is_some());
        let (way, told) = if can { (Way::Saml(Box::new(partner)), Told::Waiting) } else { (Way::Nowhere, Told::Impossible) };
        // The same application may be told as an OpenID client as well: that is another session of it.
        logout.parties.push(Party::new(application.name.clone(), way, told));
    }

    async fn add_upstream(&self, logout: &mut Logout, session: &Session, now: Timestamp) {
        let name = &session.identity.connection;
        if let LogoutStarter::Upstream { connection, .. } | LogoutStarter::Provider { connection } = &logout.starter
            && connection == name
        {
            return;
        }
        let Some(connection) = self.connections.enabled(name) else { return };
        let is_openid = connection.config().saml().is_none();
        if is_openid {
            connection.prepare(None, now).await;
        }
        let by_saml = || connection.saml(session.upstream.idp.as_deref(), now).is_some_and(|saml| saml.tells_of_logout(&session.upstream));
        if (is_openid && connection.end_session(&session.upstream, "").is_some()) || by_saml() {
            let way = Way::Upstream { connection: name.clone(), session: Box::new(session.upstream.clone()) };
            logout.parties.push(Party::new(connection.config().display_name.clone(), way, Told::Waiting));
        }
    }

    /// Can the browser take a request there?
    pub(super) fn can_be_visited(&self, way: &Way) -> bool {
        match way {
            Way::Saml(partner) => self.service_provider_of(&partner.client_id).is_ok_and(|(_, saml)| takes_requests(saml).is_some()),
            Way::Upstream { .. } => true,
            Way::BackChannel { .. } | Way::Frame { .. } | Way::Nowhere => false,
        }
    }

    /// Does a request by this way need a page of ours?
    pub(super) fn needs_page(&self, way: &Way) -> bool {
        match way {
            Way::Frame { .. } => true,
            Way::Saml(partner) => {
                let found = self.service_provider_of(&partner.client_id).ok();
                found.and_then(|(_, saml)| takes_requests(saml)).is_none_or(|service| service.binding == Binding::Post)
            }
            // Providers by OpenID Connect show their pages in no frame.
            Way::Upstream { connection, .. } => self.connections.enabled(connection).is_some_and(|known| known.config().saml().is_none()),
            Way::BackChannel { .. } | Way::Nowhere => false,
        }
    }
}

/// Where an application takes our requests: by redirect if it can, since browsers leave most cookies out of a form of another
/// site, and an application that does not see its cookie may find nothing to end.
pub(super) fn takes_requests(saml: &SamlApplication) -> Option<&LogoutService> {
    saml.sp.logout_service().and_then(|_| saml.sp.trust().logout_service(Binding::Redirect))
}

/// In a frame no page of ours can be shown: who needs one cannot be told.
fn leave_out_pages(logout: &mut Logout) {
    for party in &mut logout.parties {
        if matches!(party.way, Way::Frame { .. }) {
            party.told = Told::Impossible;
        }
    }
}

impl LogoutStarter {
    /// The application that began it.
    pub(super) fn client_id(&self) -> Option<&str> {
        match self {
            Self::OpenId { client_id, .. } => client_id.as_deref(),
            Self::Application { client_id, .. } => Some(client_id),
            Self::Upstream { .. } | Self::Provider { .. } => None,
        }
    }

    fn is(&self, client_id: &str, mirror: Option<&Mirror>) -> bool {
        matches!(self, Self::Application { client_id: own, mirror: of, .. } if own == client_id && of.as_ref() == mirror)
    }
}
