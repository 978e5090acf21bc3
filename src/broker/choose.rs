//! Which identity provider: what was asked, what was chosen before, what the person finds and picks.
//!
//! A connection is one identity provider, or a federation of thousands. With a handful of connections they are listed;
//! with more of them, or with a federation, the person searches by name or e-mail address, and the server answers.

use super::begin::trace_op;
use super::said::said;
use super::{Answer, Browser, Chooser, Gateway, Offer, Outcome, REMAINS, encode};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::connection::{Connection, UpstreamRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{LoginTransaction, Stored};
use crate::store::Op;
use crate::user::folded;
use std::sync::Arc;
use url::Url;

/// Connections that are listed without a search.
const LISTED: usize = 12;

/// What one search shows at most.
const FOUND: usize = 40;

/// Bytes of a search at most.
const SEARCH: usize = 200;

/// Choices that a browser remembers.
pub const REMEMBERED: usize = 3;

/// An identity provider that somebody picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    pub connection: String,
    /// Its entity ID, where the connection has many.
    pub idp: Option<String>,
}

impl Pick {
    /// The form's value: the connection's name, and behind a space the entity ID. Neither has a space in it.
    pub fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            Some((connection, idp)) => Self { connection: connection.to_owned(), idp: Some(idp.to_owned()) },
            None => Self { connection: text.to_owned(), idp: None },
        }
    }

    /// As [`Pick::parse`] reads it.
    pub fn text(&self) -> String {
        match &self.idp {
            Some(idp) => format!("{} {idp}", self.connection),
            None => self.connection.clone(),
        }
    }
}

/// What came from the chooser page, or goes to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choosing<'a> {
    pub pick: Option<&'a Pick>,
    pub search: Option<&'a str>,
    /// The person's language, as in `de`.
    pub language: &'a str,
    /// What this browser picked before, the last one first.
    pub remembered: &'a [Pick],
}

impl Gateway {
    /// The person chose an identity provider, looks for one, or wants to see the page.
    pub async fn choose(&self, transaction_id: &str, choosing: Choosing<'_>, browser: &Browser, now: Timestamp) -> Outcome {
        match self.choose_inner(transaction_id, choosing, browser, now).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn choose_inner(&self, transaction_id: &str, choosing: Choosing<'_>, browser: &Browser, now: Timestamp) -> Result<Outcome> {
        let transaction = match self.login_of(transaction_id, browser, now).await? {
            Ok(transaction) => transaction,
            Err(outcome) => return Ok(*outcome),
        };
        let (key, correlation_id) = (LoginTransaction::key(&transaction.id), transaction.correlation_id.clone());
        let allowed = self.choosable(&transaction);
        let Some(pick) = choosing.pick else {
            return Ok(Outcome::of(Answer::Choose(self.chooser(&transaction, choosing, now))).in_login(&correlation_id));
        };
        if !allowed.contains(&pick.connection) {
            return Ok(Outcome::refused(Error::new(ErrorKind::UnknownConnection, ""), Some(transaction.restart)).in_login(&correlation_id));
        }
        let mut trace = Trace::default();
        let what = match &pick.idp {
            None => format!("to the identity provider of {}", pick.connection),
            Some(idp) => format!("to {} of {}", idp.chars().take(200).collect::<String>(), pick.connection),
        };
        trace.note(now, Note::Decision { what, why: "the person chose it".into() });
        let force = transaction.asked.max_age.is_some();
        let restart = transaction.restart.clone();
        let (answer, transaction) = match self.send_to_idp(transaction, (pick, choosing), force, now, &mut trace).await {
            Ok(sent) => sent,
            Err(error) if error.kind == ErrorKind::StoreUnavailable => return Err(error),
            Err(error) => {
                self.save_refusal((&correlation_id, Part::Choice), &mut trace, &error, now).await;
                return Ok(Outcome::refused(error, Some(restart)).in_login(&correlation_id));
            }
        };
        let put = Op::Put { key, value: encode(&Stored::Running(Box::new(transaction)))?, ttl: self.lifetimes.transaction + REMAINS };
        self.sessions.commit(vec![put, trace_op(&correlation_id, Part::Choice, &trace)?]).await?;
        Ok(Outcome::of(answer).in_login(&correlation_id))
    }

    /// To an identity provider; to a page or service that finds one, where the connection has many and none is named.
    pub(super) async fn send_to_idp(
        &self,
        mut transaction: LoginTransaction,
        (to, choosing): (&Pick, Choosing<'_>),
        force: bool,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(Answer, LoginTransaction)> {
        let unavailable = || Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available.");
        let connection = self.connections.enabled(&to.connection).ok_or_else(unavailable)?;
        let idp = to.idp.clone().or_else(|| transaction.asked.idp.clone());
        if connection.has_many() && idp.is_none() {
            // Nobody may be interrupted by a page.
            if transaction.asked.passive {
                return Err(Error::new(ErrorKind::LoginRequired, "It is not clear which identity provider could be asked."));
            }
            transaction.asked.connection = Some(to.connection.clone());
            let answer = match connection.discovery_service() {
                Some(service) => Answer::Elsewhere(self.ask_discovery(connection.as_ref(), service, &transaction)),
                None => Answer::Choose(self.chooser(&transaction, choosing, now)),
            };
            trace.note(
                now,
                Note::Decision { what: "the person looks for an identity provider".into(), why: "the connection has many".into() },
            );
            return Ok((answer, transaction));
        }
        let asked = UpstreamRequest {
            force_authn: force || transaction.asked.fresh_login,
            by_age: transaction.asked.max_age.is_some() && !transaction.asked.fresh_login,
            passive: transaction.asked.passive,
            max_age: transaction.asked.max_age,
            acr_values: transaction.asked.acr_values.clone(),
            acr_comparison: transaction.asked.acr_comparison,
            login_hint: transaction.asked.login_hint.clone(),
            ui_locales: transaction.asked.ui_locales.clone(),
            select_account: transaction.asked.choose,
            scopes: transaction.asked.scopes.iter().map(str::to_owned).collect(),
            idp: idp.filter(|_| connection.has_many()),
            requester: transaction.client_id.clone(),
            requester_ids: transaction.asked.requester_ids.clone(),
            proxy_count: transaction.asked.proxy_count,
            said: said(&transaction),
        };
        let (step, pending) = connection.start(&self.keys, &transaction.id, &asked, now, trace).await?;
        Ok((Answer::Upstream(step), transaction.sent_to(to.connection.clone(), pending)))
    }

    /// The address at a discovery service (Identity Provider Discovery Service Protocol 2.4.1), for a connection of ours.
    fn ask_discovery(&self, connection: &dyn Connection, service: &Url, transaction: &LoginTransaction) -> String {
        let name = &connection.config().name;
        let back = format!("{}/connections/{name}/discovery?login={}", self.issuer, transaction.id);
        let mut url = service.clone();
        let entity_id = connection.sp_entity_id().unwrap_or_default();
        url.query_pairs_mut().append_pair("entityID", &entity_id).append_pair("return", &back).append_pair("returnIDParam", "entityID");
        url.into()
    }

    /// Names of the connections among which a person may choose in this login.
    fn choosable(&self, transaction: &LoginTransaction) -> Vec<String> {
        let usable = self.application(&transaction.client_id).map(|application| self.usable_connections(application)).unwrap_or_default();
        let mut usable = self.fitting(usable, &transaction.asked);
        if let Some(asked) = &transaction.asked.connection {
            usable.retain(|name| name == asked);
        }
        usable
    }

    pub(super) fn chooser(&self, transaction: &LoginTransaction, choosing: Choosing<'_>, now: Timestamp) -> Chooser {
        let page = self.offers(&self.choosable(transaction), choosing, now);
        Chooser {
            hidden: vec![("login".to_owned(), transaction.id.clone())],
            action: "/login",
            application: transaction.restart.application.clone(),
            ..page
        }
    }

    /// What the page offers; `usable` are names of enabled connections.
    pub(super) fn offers(&self, usable: &[String], choosing: Choosing<'_>, now: Timestamp) -> Chooser {
        let connections: Vec<&Arc<dyn Connection>> = usable.iter().filter_map(|name| self.connections.enabled(name)).collect();
        let (many, single): (Vec<_>, Vec<_>) = connections.into_iter().partition(|connection| connection.has_many());
        let search = choosing.search.map(str::trim).filter(|text| !text.is_empty()).map(|text| clipped(text, SEARCH));
        let known = |pick: &Pick| usable.contains(&pick.connection);
        let remembered = choosing.remembered.iter().filter(|pick| known(pick));
        let remembered = remembered.filter_map(|pick| self.offer_of(pick, choosing.language, now)).take(REMEMBERED).collect();
        let searchable = !many.is_empty() || single.len() > LISTED;
        let mut offers: Vec<Offer> = match &search {
            Some(text) => found(&single, &many, text, choosing.language, now),
            None if single.len() <= LISTED => single.iter().map(|connection| offer(connection.as_ref())).collect(),
            None => Vec::new(),
        };
        let more = offers.len() > FOUND;
        offers.truncate(FOUND);
        Chooser { search, remembered, offers, more, searchable, ..Chooser::default() }
    }

    fn offer_of(&self, pick: &Pick, language: &str, now: Timestamp) -> Option<Offer> {
        let connection = self.connections.enabled(&pick.connection)?;
        match (&pick.idp, connection.has_many()) {
            (None, false) => Some(offer(connection.as_ref())),
            (Some(idp), true) => {
                let choice = connection.idp_in(idp, language, now)?;
                Some(Offer { value: pick.text(), name: choice.name, logo: choice.logo, icon: None, detail: None })
            }
            _ => None,
        }
    }

    /// Where an identity provider is to be found that somebody names by its entity ID.
    pub(super) fn pick_of(&self, entity_id: &str, application: &Application, now: Timestamp) -> Option<Pick> {
        let usable = self.usable_connections(application);
        let mut connections = usable.into_iter().filter_map(|name| self.connections.enabled(&name).map(|connection| (name, connection)));
        connections.find_map(|(name, connection)| match connection.has_many() {
            true => connection.idp(entity_id, now).map(|_| Pick { connection: name, idp: Some(entity_id.to_owned()) }),
            false => {
                let is_it = connection.idp_entity_id().as_deref() == Some(entity_id);
                is_it.then_some(Pick { connection: name, idp: None })
            }
        })
    }
}

/// The person's own domain first, then names, in the order of the search.
fn found(single: &[&Arc<dyn Connection>], many: &[&Arc<dyn Connection>], text: &str, language: &str, now: Timestamp) -> Vec<Offer> {
    let domain = text.rsplit_once('@').map(|(_, domain)| domain.trim().to_ascii_lowercase());
    let words: Vec<String> = folded(domain.as_deref().unwrap_or(text)).split_whitespace().map(str::to_owned).collect();
    let speaks_for = |connection: &dyn Connection| domain.as_ref().is_some_and(|domain| connection.config().domains.contains(domain));
    let matches = |connection: &dyn Connection| {
        let config = connection.config();
        let name = folded(&config.display_name);
        words.iter().all(|word| name.contains(word.as_str()) || config.domains.iter().any(|domain| domain.contains(word.as_str())))
    };
    let own = single.iter().filter(|connection| speaks_for(connection.as_ref()));
    let others = single.iter().filter(|connection| !speaks_for(connection.as_ref()) && matches(connection.as_ref()));
    let mut offers: Vec<Offer> = own.chain(others).map(|connection| offer(connection.as_ref())).collect();
    for connection in many {
        let name = &connection.config().name;
        let choices = connection.search_idps(domain.as_deref().unwrap_or(text), language, FOUND + 1, now);
        offers.extend(choices.into_iter().map(|choice| Offer {
            value: Pick { connection: name.clone(), idp: Some(choice.entity_id) }.text(),
            name: choice.name,
            logo: choice.logo,
            icon: None,
            detail: choice.domains.into_iter().next(),
        }));
    }
    offers
}

fn offer(connection: &dyn Connection) -> Offer {
    let config = connection.config();
    let icon = config.provider.map(|provider| &provider.icon);
    Offer { value: config.name.clone(), name: config.display_name.clone(), logo: None, icon, detail: None }
}

fn clipped(text: &str, bytes: usize) -> String {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pick_is_read_as_it_is_written() {
        for (text, connection, idp) in
            [("acme", "acme", None), ("edu https://idp.example/x y", "edu", Some("https://idp.example/x y")), ("", "", None)]
        {
            let pick = Pick::parse(text);
            assert_eq!((pick.connection.as_str(), pick.idp.as_deref()), (connection, idp));
            assert_eq!(pick.text(), text);
        }
    }

    #[test]
    fn a_search_is_cut_between_characters() {
        assert_eq!(clipped("äöü", 3), "ä");
        assert_eq!(clipped("abc", 200), "abc");
    }
}
