//! Logout tokens on their way to applications (OpenID Connect Back-Channel Logout 1.0, 2.5), by the guarded client.

use crate::broker::Gateway;
use crate::clock::Timestamp;
use crate::connection::outbound::GuardedFetch;
use crate::error::Result;
use crate::login::{Logout, Told, Way};
use crate::oidc::logout_token::logout_token;
use crate::rules::{Fetch as _, FetchRequest};
use crate::store::{LogEvent, LogType};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;
use url::Url;

/// Milliseconds that a person waits for an application, and that one has in the background.
const WHILE_WAITING: u64 = 3000;
const IN_BACKGROUND: u64 = 10_000;
/// Seconds before each further try.
const PAUSES: [u64; 4] = [2, 10, 60, 300];

/// A logout token for one application, and where it goes.
#[derive(Clone)]
struct Delivery {
    client_id: String,
    address: String,
    user_id: String,
    sid: String,
}

impl Gateway {
    /// Tells all applications that take logout tokens, side by side. Who does not answer is told again in the background.
    pub(super) async fn tell_back_channels(&self, logout: &mut Logout, user_id: &str, sid: &str, now: Timestamp) -> Result<()> {
        let mut under_way = JoinSet::new();
        for (place, party) in logout.parties.iter().enumerate().filter(|(_, party)| party.told == Told::Waiting) {
            let Way::BackChannel { client_id } = &party.way else { continue };
            let Some(delivery) = self.delivery(client_id, user_id, sid) else { continue };
            let token = self.token_for(&delivery, now)?;
            under_way.spawn(async move { (place, deliver(&delivery.address, &token, WHILE_WAITING).await, delivery) });
        }
        let mut failed = Vec::new();
        while let Some(told) = under_way.join_next().await {
            let Ok((place, told, delivery)) = told else { continue };
            let Some(party) = logout.parties.get_mut(place) else { continue };
            party.told = match told {
                Ok(()) => Told::Confirmed,
                Err(why) => {
                    failed.push(delivery);
                    Told::Failed(why)
                }
            };
        }
        self.keep_telling(failed, Duration::from_millis(WHILE_WAITING), now);
        Ok(())
    }

    /// Tells the applications of a session that ended while nobody was there: only logout tokens reach them.
    pub(in crate::broker) fn tell_in_background(&self, clients: &[String], user_id: &str, sid: &str, now: Timestamp) {
        let deliveries = clients.iter().filter_map(|client_id| self.delivery(client_id, user_id, sid)).collect();
        self.keep_telling(deliveries, Duration::ZERO, now);
    }

    fn delivery(&self, client_id: &str, user_id: &str, sid: &str) -> Option<Delivery> {
        let address = self.application(client_id)?.oidc.as_ref()?.backchannel_logout_uri.clone()?;
        Some(Delivery { client_id: client_id.to_owned(), address, user_id: user_id.to_owned(), sid: sid.to_owned() })
    }

    fn token_for(&self, delivery: &Delivery, now: Timestamp) -> Result<String> {
        let gone = || crate::error::Error::new(crate::error::ErrorKind::UnauthorizedClient, "the application is not there any more");
        let application = self.application(&delivery.client_id).ok_or_else(gone)?;
        let client = application.oidc.as_ref().ok_or_else(gone)?;
        let subject = self.subject_for(application, &delivery.user_id)?;
        logout_token(&self.keys, &self.issuer, client, &subject, &delivery.sid, now)
    }

    /// Tries until it works or the pauses are over. What is under way when the program stops is lost.
    fn keep_telling(&self, deliveries: Vec<Delivery>, spent: Duration, now: Timestamp) {
        for delivery in deliveries {
            let gateway = self.clone();
            tokio::spawn(async move { gateway.tell_again(delivery, spent, now).await });
        }
    }

    async fn tell_again(&self, delivery: Delivery, spent: Duration, now: Timestamp) {
        let mut later = i64::try_from(spent.as_secs()).unwrap_or(0);
        let first = spent.is_zero().then_some(0);
        let mut why = String::new();
        for pause in first.into_iter().chain(PAUSES) {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            later += pause.cast_signed();
            // Each try has a token of its own, as long as they live.
            let told = match self.token_for(&delivery, now.plus_seconds(later)) {
                Ok(token) => deliver(&delivery.address, &token, IN_BACKGROUND).await,
                Err(error) => Err(error.detail),
            };
            match told {
                Ok(()) => return,
                Err(reason) => why = reason,
            }
        }
        tracing::warn!(client_id = delivery.client_id, why, "an application was not told of a logout");
        self.log.record(LogEvent {
            client_id: Some(delivery.client_id.clone()),
            user_id: Some(delivery.user_id),
            description: Some(format!("the application did not take the logout token: {why}")),
            details: Some(json!({ "session_id": delivery.sid })),
            ..LogEvent::new(LogType::FailedLogout, now.plus_seconds(later))
        });
    }
}

/// One try; the error is a text for the operator.
async fn deliver(address: &str, token: &str, time: u64) -> Result<(), String> {
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
        // Back-Channel Logout 2.8: 200; some frameworks answer 204.
        Ok(answer) if matches!(answer.status, 200 | 204) => Ok(()),
        Ok(answer) => Err(format!("the application answered with status {}", answer.status)),
        Err(error) => Err(error.detail),
    }
}
