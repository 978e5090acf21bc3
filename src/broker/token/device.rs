//! A device asks whether the person has decided (RFC 8628 3.4 and 3.5).

use super::code::granted;
use super::{Asking, TokenRefusal, Tokens};
use crate::broker::{Gateway, decode, encode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::{DeviceDecision, DeviceGrant, DevicePolls};
use crate::oidc::DeviceCode;
use crate::oidc::token::invalid_device_code;
use crate::store::Op;
use serde_json::{Map, Value};

impl Gateway {
    pub(super) async fn device_grant(&self, asking: Asking<'_>, code: &DeviceCode, now: Timestamp) -> Result<Tokens, TokenRefusal> {
        let grant_id = code.grant_id();
        let key = DeviceGrant::key(grant_id, &code.digest());
        let keys = [key.clone(), DeviceDecision::key(grant_id), DevicePolls::key(grant_id)];
        let mut found = self.sessions.get_many(&keys).await?.into_iter();
        let mut next = || found.next().flatten();
        let (grant, decision, polls) = (next(), next(), next());
        let grant: DeviceGrant = decode(&grant.ok_or_else(invalid_device_code)?)?;
        if grant.client_id != asking.client.client_id {
            return Err(invalid_device_code().into());
        }
        let in_login = |error: Error| TokenRefusal { error, correlation_id: Some(grant.correlation_id.clone()) };
        if now >= grant.expires_at {
            return Err(in_login(Error::new(ErrorKind::ExpiredToken, "the device code has expired")));
        }
        if decision.is_none() {
            return Err(in_login(self.waits(&grant, grant_id, polls, now).await?));
        }
        // Of two polls at once one gets the decision, and from then on the code is unknown.
        let taken = self.sessions.take(&DeviceDecision::key(grant_id)).await?;
        let decision: DeviceDecision<Map<String, Value>> = decode(&taken.ok_or_else(invalid_device_code)?)?;
        self.sessions.commit(vec![Op::Delete { key }, Op::Delete { key: DevicePolls::key(grant_id) }]).await?;
        match decision {
            DeviceDecision::Denied => Err(in_login(Error::new(ErrorKind::AccessDenied, "the person did not agree"))),
            DeviceDecision::Approved(approved) if approved.binding.client_id != asking.client.client_id => {
                Err(in_login(invalid_device_code()))
            }
            DeviceDecision::Approved(approved) => {
                let granted = granted(grant_id.to_owned(), *approved, asking.confirmation.clone());
                self.give_at_first(asking, granted, now).await.map_err(in_login)
            }
        }
    }

    /// Nobody has decided yet; who asks too often is told to ask less.
    async fn waits(&self, grant: &DeviceGrant, grant_id: &str, polls: Option<Vec<u8>>, now: Timestamp) -> Result<Error> {
        let before = polls.map(|bytes| decode::<DevicePolls>(&bytes)).transpose()?;
        let (polls, early) = DevicePolls::poll(before, now);
        let ttl = u64::try_from(grant.expires_at.seconds_since(now)).unwrap_or(1);
        self.sessions.commit(vec![Op::Put { key: DevicePolls::key(grant_id), value: encode(&polls)?, ttl }]).await?;
        Ok(match early {
            true => Error::new(ErrorKind::SlowDown, format!("wait {} seconds between two requests", polls.interval)),
            false => Error::new(ErrorKind::AuthorizationPending, "the person has not decided yet"),
        })
    }
}
