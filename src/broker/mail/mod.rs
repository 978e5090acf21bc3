//! Messages to people by e-mail: written here, kept sealed in the queue of the directory, and sent from there by whichever
//! node is there ([`super::logout`] works the queue off). No request waits for a mail server.

mod smtp;

pub(super) use smtp::is_mailbox;
pub use smtp::{MailSettings, MailTls, is_sender};

use super::Gateway;
use super::limits::{Meter, Pace, network};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::user::folded;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use smtp::Smtp;
use std::net::IpAddr;

/// A message to one person, in plain text.
#[derive(Clone, Serialize, Deserialize)]
pub struct Letter {
    pub to: String,
    pub subject: String,
    pub text: String,
}

/// What is in it is for who gets it.
impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letter(..)")
    }
}

/// Why a message was not sent; for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It will not be taken another time either.
    Refused(String),
    Failed(String),
}

/// What sends messages, and how many.
#[derive(Default)]
pub struct Mailer {
    smtp: Option<Smtp>,
    /// To one address.
    addresses: Option<Meter>,
    /// Asked for from one network.
    networks: Option<Meter>,
    exempt: Vec<IpNet>,
}

/// Messages to one address: nobody's mailbox is flooded by asking here.
const TO_ONE: Pace = Pace { times: 3, seconds: 900, burst: 3 };

/// Messages that one network may ask for.
const FROM_ONE: Pace = Pace { times: 20, seconds: 900, burst: 20 };

impl Mailer {
    /// `exempt`: networks of many people.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(settings: Option<&MailSettings>, exempt: Vec<IpNet>) -> Result<Self> {
        let smtp = settings.map(Smtp::new).transpose()?;
        Ok(Self { smtp, addresses: Some(Meter::new(TO_ONE)), networks: Some(Meter::new(FROM_ONE)), exempt })
    }

    /// Can anything be sent?
    pub const fn is_there(&self) -> bool {
        self.smtp.is_some()
    }

    /// May another message be asked for from there? `Err`: seconds to wait.
    pub(super) fn ask(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), u64> {
        let from = address.map(|address| network(address.to_canonical()));
        let from = from.filter(|from| !self.exempt.iter().any(|network| network.contains(from)));
        match (&self.networks, from) {
            (Some(meter), Some(from)) => meter.take(&from, now).map_err(super::limits::seconds),
            _ => Ok(()),
        }
    }

    /// May another one of this kind go to this address? Nobody uses up what another kind may send.
    pub(super) fn may_write_to(&self, kind: &str, connection: &str, email: &str, now: Timestamp) -> bool {
        self.addresses.as_ref().is_none_or(|meter| meter.take(&(kind, connection, folded(email)), now).is_ok())
    }

    async fn send(&self, letter: &Letter) -> Result<(), NotSent> {
        match &self.smtp {
            Some(smtp) => smtp.send(letter).await,
            None => Err(NotSent::Refused("no mail server is configured".to_owned())),
        }
    }
}

impl Gateway {
    /// Puts a message into the queue.
    ///
    /// # Errors
    /// Those of the directory.
    pub(super) async fn post(&self, letter: &Letter, now: Timestamp) -> Result<()> {
        let id = id::random_id();
        let text = super::encode(letter)?;
        let sealed = STANDARD.encode(self.keyring.sealer().seal(&context(&id), &text)?);
        self.queue_letter(id, sealed, now).await
    }

    /// One message of the queue.
    pub(super) async fn send_sealed(&self, id: &str, sealed: &str) -> Result<(), NotSent> {
        let opened = STANDARD.decode(sealed).ok().and_then(|sealed| self.keyring.sealer().open(&context(id), &sealed).ok());
        let letter = opened.and_then(|text| super::decode::<Letter>(&text).ok());
        match letter {
            Some(letter) => self.mailer.send(&letter).await,
            None => Err(NotSent::Refused("the message does not open: the seal key is another".to_owned())),
        }
    }
}

fn context(id: &str) -> String {
    format!("letter|{id}")
}

/// What a mail server has against a configuration.
fn misconfigured(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[tokio::test]
    async fn what_waits_is_sealed_and_opens_under_its_own_name_only() {
        let gateway = crate::broker::tests::gateway().await;
        let letter = Letter { to: "jane@acme.example".into(), subject: "s".into(), text: "https://login.example/?ticket=secret".into() };
        gateway.post(&letter, START).await.expect("queued");
        let queued = gateway.directory.claim_message(START, START.plus_seconds(60)).await.expect("read").expect("waits");
        assert!(!queued.message.contains("secret") && !queued.message.contains("jane"), "{}", queued.message);
        assert_eq!(format!("{letter:?}"), "Letter(..)");
        // There is no server: it was opened, and is refused.
        let sealed = queued.message.split("\"sealed\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("sealed").to_owned();
        assert_eq!(gateway.send_sealed(&queued.id, &sealed).await, Err(NotSent::Refused("no mail server is configured".to_owned())));
        let moved = gateway.send_sealed("another", &sealed).await;
        assert!(matches!(moved, Err(NotSent::Refused(why)) if why.contains("does not open")));
    }

    #[test]
    fn mailboxes_are_not_flooded() {
        let mailer = Mailer::new(None, vec!["127.0.0.0/8".parse().expect("a network")]).expect("made");
        let to = |email: &str| mailer.may_write_to("reset", "people", email, START);
        assert_eq!([to("a@x.example"), to("A@x.example"), to("a@x.example"), to("a@x.example")], [true, true, true, false]);
        assert!(
            to("b@x.example")
                && mailer.may_write_to("reset", "others", "a@x.example", START)
                && mailer.may_write_to("exists", "people", "a@x.example", START)
        );
        let ask = |address: &str| mailer.ask(Some(address.parse().expect("an address")), START).is_ok();
        assert_eq!((0..40).filter(|_| ask("192.0.2.1")).count(), 20);
        assert!(ask("192.0.2.2") && (0..40).all(|_| ask("127.0.0.1")));
    }
}
