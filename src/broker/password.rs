//! The page for name and password, for connections whose people have no other one: shown to the browser of the login alone,
//! counted by name and address, and as slow for who does not exist as for who does.
//!
//! What is typed is looked at by the connection ([`crate::connection::password`]); whoever has proven who they are goes the
//! way of every answer of an identity provider (`upstream.rs`).

use super::accounts::{Letters, SentFor};
use super::begin::trace_op;
use super::form::Form;
use super::happened::Ended;
use super::limits::{Meter, Pace, network, seconds};
use super::{Answer, Browser, Gateway, NamedBy, Outcome, PasswordPage, PasswordProblem};
use crate::clock::Timestamp;
use crate::connection::Connection;
use crate::connection::config::SecondFactor;
use crate::connection::password::{NotProven, Typed, Unproven};
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Part, Trace};
use crate::login::{LoginTransaction, PendingAuthn, Proof, Stage};
use crate::secret::Secret;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// What the browser sends to the page.
#[derive(Clone, Copy)]
pub struct PasswordForm<'a> {
    pub transaction_id: &'a str,
    /// Name and password; `None`: the page is only looked at.
    pub typed: Option<(&'a str, &'a Secret<String>)>,
    pub csrf: Option<&'a str>,
    /// The person wants to set up a second factor.
    pub enrol: bool,
    /// From where it comes.
    pub address: Option<IpAddr>,
    /// What a mail says that this may cause.
    pub letters: &'a Letters,
}

/// A wrong password is answered when a multiple of this has passed: how long it took to find out tells nobody which
/// accounts exist. So is one that was not looked at because too many were: who is turned away at once comes back at once.
const STEP: Duration = Duration::from_millis(400);

/// How often passwords may be wrong.
#[derive(Debug, Default)]
pub struct Tries {
    /// For one name from one network: nobody locks somebody else out from elsewhere.
    names: Option<Meter>,
    /// From one network, whatever the name: whoever tries one password with all names.
    networks: Option<Meter>,
    exempt: Vec<IpNet>,
}

impl Tries {
    /// `pace`: for one name from one network; one network may fail ten times as often. `exempt`: networks of many people, of
    /// which only the names are counted.
    pub fn new(pace: Option<Pace>, exempt: Vec<IpNet>) -> Self {
        let ten_times = |pace: Pace| Pace { times: pace.times.saturating_mul(10), burst: pace.burst.saturating_mul(10), ..pace };
        Self { names: pace.map(Meter::new), networks: pace.map(ten_times).map(Meter::new), exempt }
    }

    /// Takes a turn before the password is looked at, so that many at once are no way around. `Err`: seconds to wait.
    pub(super) fn take(&self, key: &Key, now: Timestamp) -> Result<(), u64> {
        if let (Some(meter), Some(network)) = (&self.networks, self.counted(key)) {
            meter.take(&network, now).map_err(seconds)?;
        }
        match &self.names {
            Some(meter) => meter.take(key, now).map_err(seconds),
            None => Ok(()),
        }
    }

    /// The password was good, or nobody could say.
    pub(super) fn give_back(&self, key: &Key, now: Timestamp) {
        if let (Some(meter), Some(network)) = (&self.networks, self.counted(key)) {
            meter.give_back(&network, now);
        }
        if let Some(meter) = &self.names {
            meter.give_back(key, now);
        }
    }

    fn counted(&self, key: &Key) -> Option<IpAddr> {
        key.2.filter(|address| !self.exempt.iter().any(|network| network.contains(address)))
    }
}

/// Connection, name in one spelling, and network.
pub(super) type Key = (String, String, Option<IpAddr>);

pub(super) fn key(connection: &str, name: &str, address: Option<IpAddr>) -> Key {
    (connection.to_owned(), spelling(name), address.map(|address| network(address.to_canonical())))
}

/// One spelling for all that a directory may take for the same name (RFC 4518, and what Active Directory ignores beside it):
/// compatibility forms, case, marks, blanks, and what is not seen. Names that it tells apart may be counted as one; that
/// nobody tries on by another spelling counts for more.
fn spelling(name: &str) -> String {
    let counted = |letter: &char| letter.is_alphanumeric() && !is_combining_mark(*letter) || letter.is_ascii_punctuation();
    // Both ways: some letters are one only in capitals, and small ones of others are two.
    let folded = name.nfkd().flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let mut spelled = String::with_capacity(name.len());
    for letter in folded.nfkd().filter(counted) {
        match plain(letter) {
            Some(letters) => spelled.push_str(letters),
            None => spelled.push(letter),
        }
    }
    spelled
}

/// Letters that Windows compares as others, and no compatibility form takes apart.
const fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ø' => "o",
        'ł' => "l",
        'đ' => "d",
        _ => return None,
    })
}

impl Gateway {
    /// The page for name and password: looked at, or sent.
    pub async fn password(&self, form: PasswordForm<'_>, browser: &Browser, now: Timestamp) -> Outcome {
        match Box::pin(self.password_inner(form, browser, now)).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn password_inner(&self, form: PasswordForm<'_>, browser: &Browser, now: Timestamp) -> Result<Outcome> {
        let transaction = match self.login_of(form.transaction_id, browser, now).await? {
            // Whoever goes back from the second factor may type another name.
            Ok(transaction) => transaction.before_factor(),
            Err(outcome) => return Ok(*outcome),
        };
        let correlation_id = transaction.correlation_id.clone();
        let place = asked(&transaction).and_then(|(name, pending)| Some((self.connections.enabled(name)?, pending)));
        let Some((connection, pending)) = place.filter(|(connection, _)| connection.asks_password()) else {
            let error = Error::new(ErrorKind::UnknownConnection, "This sign-in does not ask for a password, or not any more.");
            return Ok(Outcome::refused(error, Some(transaction.restart)).in_login(&correlation_id));
        };
        let connection = connection.as_ref();
        let page = Shown { gateway: self, transaction: &transaction, connection, enrol: form.enrol };
        let ours = self.is_our_form(Form::Password, &transaction, form.csrf)?;
        let outcome = match form.typed.filter(|_| ours) {
            None => page.look(transaction.asked.login_hint.as_deref().unwrap_or_default(), None)?,
            Some(typed) => Box::pin(self.typed_password(&page, pending, typed, (form.address, form.letters), (browser, now))).await?,
        };
        Ok(outcome.in_login(&correlation_id))
    }

    async fn typed_password(
        &self,
        page: &Shown<'_>,
        pending: &PendingAuthn,
        (name, password): (&str, &Secret<String>),
        (address, letters): (Option<IpAddr>, &Letters),
        (browser, now): (&Browser, Timestamp),
    ) -> Result<Outcome> {
        let (transaction, connection) = (page.transaction, page.connection);
        let (began, config) = (Instant::now(), connection.config());
        let key = key(&config.name, name, address);
        if let Err(wait) = self.tries.take(&key, now) {
            self.note_unproven(page, "too many wrong passwords for this name from this address, or from this address", now);
            return page.look(name, Some(PasswordProblem::TooMany(u32::try_from(wait).unwrap_or(u32::MAX))));
        }
        let mut trace = Trace::default();
        let proven = match Typed::new(name, password) {
            Some(typed) => connection.verify_password(typed, pending, now, &mut trace).await,
            None => Err(NotProven::again(Unproven::Wrong, "nothing, too much or control characters were typed")),
        };
        let refused = match proven {
            Ok(authentication) => {
                self.tries.give_back(&key, now);
                return Box::pin(self.accept_password((transaction, page.enrol), &config.name, Ok(authentication), (browser, now), trace))
                    .await;
            }
            Err(NotProven::Refused(refused)) => {
                self.tries.give_back(&key, now);
                return Box::pin(self.accept_password((transaction, page.enrol), &config.name, Err(*refused), (browser, now), trace)).await;
            }
            Err(NotProven::Again { why, reason }) => (why, reason),
        };
        let (why, reason) = refused;
        if matches!(why, Unproven::Wrong | Unproven::Locked | Unproven::Busy) {
            tokio::time::sleep_until(began + answered_after(began.elapsed())).await;
        }
        match why {
            Unproven::Wrong | Unproven::Locked => {}
            // The password was right, or nobody could say.
            Unproven::Expired
            | Unproven::MustChange
            | Unproven::Disabled
            | Unproven::Unverified
            | Unproven::Busy
            | Unproven::Unavailable => self.tries.give_back(&key, now),
        }
        if why == Unproven::Unverified {
            self.remind(&config.name, name, SentFor::Somebody(Some(transaction.browser.clone())), letters, now).await?;
        }
        self.note_unproven(page, &reason, now);
        self.sessions.commit(vec![trace_op(&transaction.correlation_id, Part::Login, &trace)?]).await?;
        page.look(name, Some(PasswordProblem::Unproven(why)))
    }

    /// For operators. What was typed is not noted: it may be a password in the wrong field.
    fn note_unproven(&self, page: &Shown<'_>, reason: &str, now: Timestamp) {
        let (transaction, connection) = (page.transaction, page.connection.config().name.as_str());
        let correlation_id = transaction.correlation_id.as_str();
        tracing::info!(correlation_id, connection, reason, "a password let nobody in");
        self.events.login(connection, ErrorKind::AccessDenied.wire().code);
        self.note_wrong_password(Ended { client_id: &transaction.client_id, connection, correlation_id, now }, reason);
    }
}

/// The page of one login.
struct Shown<'a> {
    gateway: &'a Gateway,
    transaction: &'a LoginTransaction,
    connection: &'a dyn Connection,
    /// The person wants to set up a second factor.
    enrol: bool,
}

impl Shown<'_> {
    fn look(&self, name: &str, problem: Option<PasswordProblem>) -> Result<Outcome> {
        let database = self.connection.accounts();
        let page = PasswordPage {
            transaction_id: self.transaction.id.clone(),
            csrf: self.gateway.csrf_of(Form::Password, self.transaction)?,
            application: self.transaction.restart.application.clone(),
            connection: self.connection.config().display_name.clone(),
            name: name.to_owned(),
            may_enrol: self.connection.config().second_factor == SecondFactor::Optional,
            problem,
            named_by: database.map_or_else(NamedBy::default, |(settings, _)| match (settings.names.email, settings.names.username) {
                (true, false) => NamedBy::Email,
                (true, true) => NamedBy::Either,
                (false, _) => NamedBy::Username,
            }),
            sign_up: database.is_some_and(|(settings, _)| self.gateway.lets_sign_up(settings)),
            reset: database.is_some_and(|(settings, _)| self.gateway.lets_reset(settings)),
        };
        Ok(Outcome::of(Answer::AskPassword(Box::new(page))))
    }
}

/// The connection that a login has been sent to, for itself or for the proof of an account, and what it was asked.
pub(super) fn asked(transaction: &LoginTransaction) -> Option<(&str, &PendingAuthn)> {
    match &transaction.stage {
        Stage::AwaitingIdp { connection, pending } => Some((connection, pending)),
        Stage::AwaitingLink(link) => match &link.proof {
            Proof::Again { pending, .. } => Some((&link.arrived.identity.connection, pending)),
            Proof::Known { connection, pending } => Some((connection, pending)),
            _ => None,
        },
        _ => None,
    }
}

/// The next multiple of [`STEP`].
pub(super) fn answered_after(took: Duration) -> Duration {
    let steps = took.as_millis() / STEP.as_millis() + 1;
    STEP * u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn wrong_answers_come_at_steps() {
        for (took, expected) in [(0, 400), (1, 400), (399, 400), (400, 800), (950, 1200)] {
            assert_eq!(answered_after(Duration::from_millis(took)), Duration::from_millis(expected), "{took}");
        }
    }

    #[test]
    fn tries_are_counted_by_name_and_network_and_by_network() {
        let tries = Tries::new(Some(Pace { times: 2, seconds: 60, burst: 2 }), vec!["127.0.0.0/8".parse().expect("a network")]);
        let take = |name: &str, address: &str| tries.take(&key("staff", name, Some(address.parse().expect("an address"))), START).is_ok();
        assert_eq!([take("Jane", "192.0.2.1"), take(" jane ", "192.0.2.1"), take("JANE", "192.0.2.1")], [true, true, false]);
        assert!(take("jane", "192.0.2.2") && take("joe", "192.0.2.1"), "another address, another name");
        // Twenty from one network, whatever the names; four have been taken, of which one was refused.
        let passed = (0..40).filter(|number| take(&format!("user{number}"), "192.0.2.1")).count();
        assert_eq!(passed, 16);
        // Where everybody seems to come from, only the names are counted.
        assert!((0..40).all(|number| take(&format!("user{number}"), "127.0.0.1")));
        assert!(take("ann", "127.0.0.1") && take("ann", "127.0.0.1") && !take("ann", "::ffff:127.0.0.1"));
    }

    #[test]
    fn what_a_directory_takes_for_one_name_is_counted_as_one() {
        for (name, spellings) in [
            (
                "jane doe",
                vec![
                    "Jane Doe",
                    "  jane \u{a0} doe\u{3000}",
                    "ｊａｎｅ　ＤＯＥ",
                    "ja\u{ad}ne\u{200b} do\u{2060}e\u{feff}",
                    "j\u{61}\u{301}ne doe",
                    "\u{202e}jane\u{fe0f} doe\u{e0041}",
                ],
            ),
            ("müller", vec!["MU\u{308}LLER", "mu\u{308}ller", "Muller"]),
            (
                "strasse@x.example",
                vec!["STRASSE@X.EXAMPLE", "straße@x.example", "STRAẞE@x.example", "ﬅrasse@ｘ.example", "ſtrasse＠x.example"],
            ),
            ("ΑΣ", vec!["ας", "ασ"]),
            ("aeoethold", vec!["ÆŒÞØŁĐ", "æœþøłđ", "Ǽœþǿłđ"]),
        ] {
            for other in spellings {
                assert_eq!(spelling(other), spelling(name), "{other:?}");
            }
        }
        let apart = ["jane", "jane1", "jane.doe", "jane-doe", "jane_doe", "jane@x", "джейн", "ジェーン", "简"].map(spelling);
        for (at, name) in apart.iter().enumerate() {
            assert!(!name.is_empty() && !apart[..at].contains(name), "{name}");
        }
        let tries = Tries::new(Some(Pace { times: 2, seconds: 60, burst: 2 }), Vec::new());
        let take = |name: &str| tries.take(&key("staff", name, None), START).is_ok();
        assert_eq!([take("jane"), take("ＪＡＮＥ"), take("ja\u{200b}ne")], [true, true, false]);
    }

    #[test]
    fn who_signs_in_has_used_nothing_up() {
        let tries = Tries::new(Some(Pace { times: 1, seconds: 60, burst: 1 }), Vec::new());
        let key = key("staff", "jane", None);
        for _ in 0..5 {
            assert!(tries.take(&key, START).is_ok());
            tries.give_back(&key, START);
        }
        assert!(tries.take(&key, START).is_ok() && tries.take(&key, START) == Err(60));
    }
}
