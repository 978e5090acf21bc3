//! Links that work once: they prove that somebody reads the mail of an address, or let them choose a password.
//!
//! What stands in a link is random, and only its digest is kept, in the session store. Of those for a password the newest of
//! an account is the only one, and worth nothing as soon as the password, or the address, is another.

use crate::broker::{Browser, Gateway, decode, encode, is_browser};
use crate::clock::Timestamp;
use crate::connection::database::Whose;
use crate::error::Result;
use crate::id;
use crate::store::{CredentialKind, Op};
use crate::user::{User, folded};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// The address is proven.
    Verify,
    /// A password is chosen.
    Password,
}

impl Purpose {
    /// Path of the page.
    pub const fn page(self) -> &'static str {
        match self {
            Self::Verify => "/login/verify",
            Self::Password => "/login/new-password",
        }
    }

    /// Seconds.
    pub const fn life(self) -> u32 {
        match self {
            Self::Verify => 24 * 3600,
            Self::Password => 3600,
        }
    }
}

/// What a link stands for.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ticket {
    pub purpose: Purpose,
    pub connection: String,
    pub subject: String,
    pub email: String,
    pub username: Option<String>,
    /// Digest of the password as it was kept then.
    mark: Option<String>,
    /// Where an operator's program wants the person to go on.
    pub result_url: Option<String>,
    /// Whoever follows it has read a mail to the address.
    pub proves_address: bool,
    /// Links that were mailed before this was noted work on.
    #[serde(default)]
    pub sent_for: SentFor,
    pub expires_at: Timestamp,
}

impl Ticket {
    pub(super) fn whose(&self) -> Whose {
        Whose { subject: self.subject.clone(), email: Some(self.email.clone()), username: self.username.clone() }
    }
}

/// For whom a link that proves an address was sent: what must be shown beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SentFor {
    /// An operator, who says whose the account is.
    Operator,
    /// Whoever has made the account, or has typed its password, in the browser of this digest or by a program.
    Somebody(Option<String>),
}

/// Nobody vouches for whom it was sent that is not said.
impl Default for SentFor {
    fn default() -> Self {
        Self::Somebody(None)
    }
}

impl SentFor {
    /// Nothing more must be shown in this browser.
    pub(super) fn believes(&self, browser: &Browser) -> bool {
        match self {
            Self::Operator => true,
            Self::Somebody(digest) => digest.as_ref().is_some_and(|digest| is_browser(browser, digest)),
        }
    }
}

/// Whose link it will be.
pub struct Holder<'a> {
    pub connection: &'a str,
    pub subject: &'a str,
    pub email: &'a str,
    pub username: Option<&'a str>,
}

impl Gateway {
    /// Makes a link; those for a password that the account has are worth nothing from here on.
    pub(in crate::broker) async fn link_for(&self, purpose: Purpose, holder: Holder<'_>, how: Linking, now: Timestamp) -> Result<String> {
        let life = how.life.unwrap_or(purpose.life());
        let ticket = Ticket {
            purpose,
            connection: holder.connection.to_owned(),
            subject: holder.subject.to_owned(),
            email: holder.email.to_owned(),
            username: holder.username.map(str::to_owned),
            mark: self.mark_of(holder.connection, holder.subject).await?,
            result_url: how.result_url,
            proves_address: how.proves_address,
            sent_for: how.sent_for,
            expires_at: now.plus_seconds(i64::from(life)),
        };
        let token = id::random_token();
        let (digest, ttl) = (id::digest(&token), u64::from(life));
        let mut writes = vec![Op::Put { key: key(&token), value: encode(&ticket)?, ttl }];
        if purpose == Purpose::Password {
            writes.push(Op::Put { key: newest(holder.connection, holder.subject), value: digest.into_bytes(), ttl });
        }
        self.sessions.commit(writes).await?;
        Ok(format!("{}{}?ticket={token}", self.issuer, purpose.page()))
    }

    /// What a link stands for; `None` where it does not work, or not any more. It can be looked at as often as one likes.
    pub(in crate::broker) async fn ticket(&self, purpose: Purpose, token: &str, now: Timestamp) -> Result<Option<(Ticket, User)>> {
        if token.len() > LONGEST {
            return Ok(None);
        }
        let found = self.sessions.get_many(&[key(token)]).await?.into_iter().next().flatten();
        let Some(ticket) = found.map(|bytes| decode::<Ticket>(&bytes)).transpose()? else { return Ok(None) };
        if ticket.purpose != purpose || now >= ticket.expires_at {
            return Ok(None);
        }
        if purpose == Purpose::Password {
            let newest = self.sessions.get_many(&[newest(&ticket.connection, &ticket.subject)]).await?.into_iter().next().flatten();
            if newest.is_none_or(|newest| newest != id::digest(token).as_bytes()) {
                return Ok(None);
            }
        }
        let Some(user) = self.directory.user_of(&ticket.connection, &ticket.subject).await? else { return Ok(None) };
        let stored = user.identity(&ticket.connection, &ticket.subject);
        let email = stored.and_then(|stored| stored.profile.get("email")).and_then(Value::as_str);
        if email.map(folded) != Some(folded(&ticket.email)) {
            return Ok(None);
        }
        if purpose == Purpose::Password && self.mark_of(&ticket.connection, &ticket.subject).await? != ticket.mark {
            return Ok(None);
        }
        Ok(Some((ticket, user)))
    }

    /// Uses a link up: of two who do at once, one has it.
    pub(in crate::broker) async fn spend_ticket(&self, token: &str) -> Result<bool> {
        Ok(self.sessions.take(&key(token)).await?.is_some())
    }

    /// A link that was used in vain works again, for as long as it would have.
    pub(in crate::broker) async fn give_ticket_back(&self, token: &str, ticket: &Ticket, now: Timestamp) -> Result<()> {
        let ttl = u64::try_from(ticket.expires_at.seconds() - now.seconds()).unwrap_or(0);
        if ttl > 0 {
            self.sessions.commit(vec![Op::Put { key: key(token), value: encode(ticket)?, ttl }]).await?;
        }
        Ok(())
    }

    /// The links for a password that an account has are worth nothing any more.
    pub(in crate::broker) async fn forget_password_links(&self, connection: &str, subject: &str) -> Result<()> {
        self.sessions.commit(vec![Op::Delete { key: newest(connection, subject) }]).await.map(drop)
    }

    async fn mark_of(&self, connection: &str, subject: &str) -> Result<Option<String>> {
        let sealed = self.directory.credential(connection, subject, CredentialKind::Password).await?;
        Ok(sealed.map(|sealed| id::digest(&sealed)))
    }
}

/// What else a link is to be.
#[derive(Clone, Debug, Default)]
pub struct Linking {
    pub result_url: Option<String>,
    /// It goes to the address by mail, and to nobody else.
    pub proves_address: bool,
    pub sent_for: SentFor,
    /// Seconds; `None`: as is usual.
    pub life: Option<u32>,
}

fn key(token: &str) -> String {
    format!("ticket:{}", id::digest(token))
}

/// Where the digest of an account's newest link for a password is.
fn newest(connection: &str, subject: &str) -> String {
    format!("ticket-of:{}", id::digest(&format!("{}|{connection}|{subject}", connection.len())))
}

/// Octets of what stands in a link.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewUser, OwnProfile};
    use crate::user::{DATABASE, Identity};
    use serde_json::Map;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[tokio::test]
    async fn a_link_is_of_one_kind_and_dies_with_its_time_and_with_the_password_that_is_kept() {
        let gateway = crate::broker::tests::gateway().await;
        let identity = Identity { connection: "people".into(), provider: DATABASE.into(), user_id: "7".into(), is_social: false };
        let profile = Map::from_iter([("email".to_owned(), Value::from("jane@acme.example"))]);
        let new = NewUser { own: Some(OwnProfile::of(profile)), ..NewUser::bare(identity) };
        assert!(gateway.directory.create_user(&new, NOW).await.expect("made"));
        let keep = async |sealed: &str| gateway.directory.put_credential("people", "7", CredentialKind::Password, sealed, NOW).await;
        assert!(keep("one").await.expect("kept"));
        let made = async |purpose| {
            let holder = Holder { connection: "people", subject: "7", email: "jane@acme.example", username: None };
            let link = gateway.link_for(purpose, holder, Linking::default(), NOW).await.expect("made");
            link.split_once("ticket=").expect("a ticket").1.to_owned()
        };
        let works = async |purpose, token: &str, now| gateway.ticket(purpose, token, now).await.expect("read").is_some();
        let (password, proof) = (made(Purpose::Password).await, made(Purpose::Verify).await);
        assert!(works(Purpose::Password, &password, NOW).await && works(Purpose::Verify, &proof, NOW).await);
        assert!(!works(Purpose::Verify, &password, NOW).await && !works(Purpose::Password, &proof, NOW).await);
        let at_its_end = |purpose: Purpose| NOW.plus_seconds(i64::from(purpose.life()));
        assert!(!works(Purpose::Password, &password, at_its_end(Purpose::Password)).await);
        assert!(!works(Purpose::Verify, &proof, at_its_end(Purpose::Verify)).await);
        // Whoever has written another password, by whatever way.
        assert!(keep("two").await.expect("kept"));
        assert!(!works(Purpose::Password, &password, NOW).await && works(Purpose::Verify, &proof, NOW).await);
    }

    #[test]
    fn a_link_that_says_not_for_whom_it_was_sent_works_and_asks_for_the_password() {
        let ticket = Ticket {
            purpose: Purpose::Verify,
            connection: "people".into(),
            subject: "7".into(),
            email: "jane@acme.example".into(),
            username: None,
            mark: None,
            result_url: None,
            proves_address: true,
            sent_for: SentFor::Operator,
            expires_at: NOW,
        };
        let mut kept = serde_json::to_value(&ticket).expect("an object");
        kept.as_object_mut().expect("an object").remove("sent_for").expect("was there");
        let read: Ticket = decode(kept.to_string().as_bytes()).expect("reads");
        assert_eq!(read.sent_for, SentFor::Somebody(None));
        assert_eq!(Linking::default().sent_for, SentFor::Somebody(None));
    }
}
