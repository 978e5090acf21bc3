//! What needs no browser: logout tokens (OpenID Connect Back-Channel Logout 1.0, 2.5) and LogoutRequests in SOAP (SAML
//! Bindings 3.2), from here to there.
//!
//! Who does not take one while the person waits, or while nobody does, is told again out of the queue of the directory, by
//! whichever node is there: a stop loses nothing.

use crate::broker::mail::NotSent;
use crate::broker::{Gateway, decode, encode};
use crate::clock::Timestamp;
use crate::connection::outbound::GuardedFetch;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::{Logout, Partner, Told, Way};
use crate::oidc::logout_token::{Taken, logout_token, taken};
use crate::rules::{Fetch as _, FetchRequest};
use crate::store::{LogEvent, LogType, QueuedMessage};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;
use url::Url;

/// Milliseconds that a person waits for an application, and that one has in the background.
const WHILE_WAITING: u64 = 3000;
const IN_BACKGROUND: u64 = 10_000;
/// Seconds between one try and the next; with the last of them it is given up.
const PAUSES: [i64; 6] = [2, 10, 60, 300, 1800, 7200];
/// Seconds after which nobody is told any more, however often it was tried: sessions there have ended by themselves.
const WORTH: i64 = 12 * 3600;

/// Something that is sent from here, as the queue keeps it. Where it goes is looked up each time: it may have changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Message {
    Token {
        client_id: String,
        user_id: String,
        sid: String,
    },
    Soap {
        partner: Box<Partner>,
    },
    /// To a person, by e-mail.
    Letter {
        id: String,
        sealed: String,
    },
}

/// What came of one try. The texts are for the operator and for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Done,
    /// It was understood, and the answer is no.
    Refused(String),
    /// It may work another time.
    Failed(String),
}

impl Message {
    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::Token { client_id, .. } => client_id,
            Self::Soap { partner } => &partner.client_id,
            Self::Letter { .. } => "",
        }
    }
}

impl Gateway {
    /// Tells all who are told without the browser, side by side. Who takes logout tokens and does not answer is told again
    /// in the background; who takes SOAP, by the browser where that can be.
    pub(super) async fn tell_from_here(&self, logout: &mut Logout, user_id: &str, sid: &str, now: Timestamp) {
        let mut under_way = JoinSet::new();
        for (place, party) in logout.parties.iter().enumerate().filter(|(_, party)| party.told == Told::Waiting) {
            let message = match &party.way {
                Way::BackChannel { client_id } => {
                    Message::Token { client_id: client_id.clone(), user_id: user_id.to_owned(), sid: sid.to_owned() }
                }
                Way::Saml(partner) if self.takes_soap(partner) => Message::Soap { partner: partner.clone() },
                Way::Saml(_) | Way::Upstream { .. } | Way::Frame { .. } | Way::Nowhere => continue,
            };
            let gateway = self.clone();
            under_way.spawn(async move { (place, gateway.attempt(&message, WHILE_WAITING, now).await, message) });
        }
        let mut again = Vec::new();
        while let Some(told) = under_way.join_next().await {
            let Ok((place, attempt, message)) = told else { continue };
            let by_browser = logout.parties.get(place).is_some_and(|party| !logout.framed && self.can_be_visited(&party.way));
            let Some(party) = logout.parties.get_mut(place) else { continue };
            party.told = match attempt {
                Attempt::Done => Told::Confirmed,
                Attempt::Refused(_) | Attempt::Failed(_) if by_browser => Told::Waiting,
                Attempt::Refused(why) => Told::Failed(why),
                Attempt::Failed(why) => {
                    again.push(message);
                    Told::Failed(format!("{why}; it will be told again"))
                }
            };
        }
        let first = now.plus_seconds(i64::try_from(WHILE_WAITING / 1000).unwrap_or(0));
        self.queue(again, (1, first.plus_seconds(PAUSES.first().copied().unwrap_or(0))), now).await;
    }

    /// Tells the applications of a session that ended while nobody was there: only what needs no browser reaches them.
    pub(in crate::broker) async fn tell_in_background(
        &self,
        clients: &[String],
        partners: Vec<Partner>,
        user_id: &str,
        sid: &str,
        now: Timestamp,
    ) {
        let takes = |client_id: &&String| self.token_address(client_id).is_some();
        let token = |client_id: &String| Message::Token { client_id: client_id.clone(), user_id: user_id.to_owned(), sid: sid.to_owned() };
        let soap = partners.into_iter().filter(|partner| self.takes_soap(partner));
        let soap = soap.map(|partner| Message::Soap { partner: Box::new(partner) });
        self.queue(clients.iter().filter(takes).map(token).chain(soap).collect(), (0, now), now).await;
    }

    /// A message to a person, sealed under its id.
    ///
    /// # Errors
    /// Those of the directory.
    pub(in crate::broker) async fn queue_letter(&self, id: String, sealed: String, now: Timestamp) -> Result<()> {
        let message = String::from_utf8(encode(&Message::Letter { id: id.clone(), sealed })?).unwrap_or_default();
        let expires_at = now.plus_seconds(WORTH);
        self.directory.queue_messages(&[QueuedMessage { id, message, attempts: 0, due_at: now, expires_at }]).await
    }

    async fn queue(&self, messages: Vec<Message>, (attempts, due_at): (i64, Timestamp), now: Timestamp) {
        if messages.is_empty() {
            return;
        }
        let queued = |message: &Message| {
            let text = String::from_utf8(encode(message)?).unwrap_or_default();
            Ok(QueuedMessage { id: id::random_id(), message: text, attempts, due_at, expires_at: now.plus_seconds(WORTH) })
        };
        let written = match messages.iter().map(queued).collect::<Result<Vec<_>>>() {
            Ok(queued) => self.directory.queue_messages(&queued).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            for message in &messages {
                self.note_untold(message, &format!("it cannot be queued: {}", error.detail), now);
            }
        }
    }

    /// One message of the queue, claimed by this node.
    pub(super) async fn tell_queued(&self, queued: &QueuedMessage, now: Timestamp) -> Result<()> {
        let Ok(message) = decode::<Message>(queued.message.as_bytes()) else {
            tracing::warn!(id = queued.id, "a queued message cannot be read");
            return self.directory.end_message(&queued.id).await.map(drop);
        };
        let why = match self.attempt(&message, IN_BACKGROUND, now).await {
            Attempt::Done => return self.directory.end_message(&queued.id).await.map(drop),
            Attempt::Refused(why) => why,
            Attempt::Failed(why) => {
                let place = usize::try_from(queued.attempts - 1).unwrap_or(0);
                let next = PAUSES.get(place).map(|pause| now.plus_seconds(*pause)).filter(|next| *next < queued.expires_at);
                if let Some(next) = next {
                    return self.directory.put_off_message(&queued.id, queued.attempts, next).await.map(drop);
                }
                why
            }
        };
        self.note_untold(&message, &why, now);
        self.directory.end_message(&queued.id).await.map(drop)
    }

    /// One try, within `time` milliseconds.
    async fn attempt(&self, message: &Message, time: u64, now: Timestamp) -> Attempt {
        match message {
            Message::Token { client_id, user_id, sid } => {
                let Some(address) = self.token_address(client_id) else {
                    return Attempt::Refused("the application takes no logout tokens any more".to_owned());
                };
                // Each try has a token of its own, as long as they live.
                match self.token_for(client_id, user_id, sid, now) {
                    Ok(token) => deliver(&address, &token, time).await,
                    Err(error) => Attempt::Failed(error.detail),
                }
            }
            Message::Letter { id, sealed } => match self.send_sealed(id, sealed).await {
                Ok(()) => Attempt::Done,
                Err(NotSent::Refused(why)) => Attempt::Refused(why),
                Err(NotSent::Failed(why)) => Attempt::Failed(why),
            },
            Message::Soap { partner } => {
                let asked = tokio::time::timeout(Duration::from_millis(time), self.ask_by_soap(partner, now));
                asked.await.unwrap_or_else(|_| Attempt::Failed("it does not answer in time".to_owned()))
            }
        }
    }

    fn token_address(&self, client_id: &str) -> Option<String> {
        self.application(client_id)?.oidc.as_ref()?.backchannel_logout_uri.clone()
    }

    fn token_for(&self, client_id: &str, user_id: &str, sid: &str, now: Timestamp) -> Result<String> {
        let gone = || Error::new(ErrorKind::UnauthorizedClient, "the application is not there any more");
        let application = self.application(client_id).ok_or_else(gone)?;
        let client = application.oidc.as_ref().ok_or_else(gone)?;
        logout_token(&self.keys, &self.issuer, client, &self.subject_for(application, user_id)?, sid, now)
    }

    fn note_untold(&self, message: &Message, why: &str, now: Timestamp) {
        let (what, user_id, details) = match message {
            Message::Letter { .. } => return tracing::warn!(why, "a message to a person was not sent"),
            Message::Token { user_id, sid, .. } => ("logout token", Some(user_id.clone()), json!({ "session_id": sid })),
            Message::Soap { partner } => ("LogoutRequest", None, json!({ "session_index": partner.session_index })),
        };
        tracing::warn!(client_id = message.client_id(), why, "an application was not told of a logout");
        self.log.record(LogEvent {
            client_id: Some(message.client_id().to_owned()),
            user_id,
            description: Some(format!("the application did not take the {what}: {why}")),
            details: Some(details),
            ..LogEvent::new(LogType::FailedLogout, now)
        });
    }
}

/// One try with a logout token.
async fn deliver(address: &str, token: &str, time: u64) -> Attempt {
    let host = Url::parse(address).ok().and_then(|url| url.host().map(|host| host.to_string().to_ascii_lowercase()));
    let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
    let request = FetchRequest {
        method: "POST".to_owned(),
        url: address.to_owned(),
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
        body: Some(body),
        time,
        hosts: host.into_iter().collect(),
    };
    match GuardedFetch.fetch(request).await {
        Ok(answer) => match taken(answer.status) {
            Taken::Yes => Attempt::Done,
            Taken::No => Attempt::Refused(format!("the application answered with status {}", answer.status)),
            Taken::NotNow => Attempt::Failed(format!("the application answered with status {}", answer.status)),
        },
        Err(error) => Attempt::Failed(error.detail),
    }
}
