//! Client authentication: the one function by which every endpoint for clients learns who calls it.
//!
//! The method is fixed by the registration. Whoever cannot be believed gets one answer, whatever the reason, and an unknown
//! client takes the time of a known one: secrets are compared with something, signatures verified with some key.

use super::Gateway;
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::oidc::client_auth::{Presented, assertion_algs, invalid_client};
use crate::oidc::discovery::path;
use crate::oidc::{ClientCredentials, ClientFacts, ClientJwks, ClientProof, ClientSigningAlg, TokenEndpointAuthMethod, assertion};
use crate::store::Op;
use serde_json::json;
use std::sync::{Arc, LazyLock};

impl Gateway {
    /// The application that sends this request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidClient`] where that is not proven, [`ErrorKind::InvalidRequest`] for what can be no proof,
    /// [`ErrorKind::TooManyRequests`] after too many failures from where it comes.
    pub async fn authenticate_client(&self, how: ClientProof<'_>, now: Timestamp) -> Result<Arc<Application>> {
        let credentials = ClientCredentials::extract(how.authorization, how.body)?;
        let application = self.application(credentials.client_id());
        // Counted alike whether the client exists or not: nobody learns which do.
        self.check_failures(credentials.client_id(), how.address, now)?;
        let known = application.and_then(|application| application.oidc.as_ref());
        let client = known.filter(|client| credentials.is_by(client.token_endpoint_auth_method) && is_strong_enough(client));
        let proven = match credentials.presented() {
            Presented::Basic(_) | Presented::Post(_) => credentials.has_secret_of(client),
            Presented::Assertion(token) => self.assertion_proves(client, token.expose(), how.endpoint, now).await?,
            Presented::Nothing => match client {
                Some(client) => self.certificate_proves(client, &how, now).await?,
                None => false,
            },
        };
        let proven = application.filter(|_| proven && client.is_some());
        if proven.is_none() {
            self.note_failure(credentials.client_id(), how.address, now);
        }
        proven.map(Arc::clone).ok_or_else(invalid_client)
    }

    /// RFC 7523 3: signed as registered, for us, of this moment, and never seen before.
    async fn assertion_proves(&self, client: Option<&ClientFacts>, token: &str, endpoint: &str, now: Timestamp) -> Result<bool> {
        let Some(client) = client else {
            let _ = DECOY.as_ref().map(|keys| keys.verify(token, ClientSigningAlg::ALL));
            return Ok(false);
        };
        let verified = match self.verify_client_jwt(client, token, &assertion_algs(client), now).await {
            Ok(verified) => verified,
            Err(error) => return self.not_believed(client, error),
        };
        let endpoints = [self.endpoint(path::TOKEN), self.endpoint(endpoint)].concat();
        let good = match assertion::check(&verified.claims, client, &self.issuer, &endpoints, now) {
            Ok(good) => good,
            Err(error) => return self.not_believed(client, error),
        };
        let key = format!("assertion:{}", id::digest(&format!("{}\n{}", client.client_id, good.jti)));
        let first = self.sessions.commit(vec![Op::Claim { key, ttl: good.remembered }]).await?;
        if first.first() != Some(&true) {
            return self.not_believed(client, Error::new(ErrorKind::InvalidClient, "the client assertion was used before"));
        }
        Ok(true)
    }

    /// RFC 8705 2. A public client has nothing to prove.
    async fn certificate_proves(&self, client: &ClientFacts, how: &ClientProof<'_>, now: Timestamp) -> Result<bool> {
        match (client.token_endpoint_auth_method, how.certificate) {
            (TokenEndpointAuthMethod::None, _) => Ok(true),
            (TokenEndpointAuthMethod::TlsClientAuth, Some(certificate)) => {
                let subject = client.tls_client_auth.as_ref();
                Ok(subject.is_some_and(|subject| certificate.is_of(subject, &self.possession.authorities, now)))
            }
            (TokenEndpointAuthMethod::SelfSignedTlsClientAuth, Some(certificate)) => {
                let found = self.keys_pass(client, now, |keys| certificate.is_registered_in(keys, now)).await;
                found.or_else(|error| self.not_believed(client, error))
            }
            _ => Ok(false),
        }
    }

    /// Why is for the operator alone; that the gateway itself is in trouble is for both.
    fn not_believed(&self, client: &ClientFacts, error: Error) -> Result<bool> {
        if error.kind.wire().status >= 500 {
            return Err(error);
        }
        tracing::info!(client_id = client.client_id, reason = error.detail, "a client assertion was refused");
        Ok(false)
    }

    /// The addresses of an endpoint: the usual one, and that for clients with certificates if there is one.
    pub(super) fn endpoint(&self, path: &str) -> Vec<String> {
        let bases = std::iter::once(self.issuer.as_str()).chain(self.possession.mtls_base.as_deref());
        bases.map(|base| format!("{}{path}", base.trim_end_matches('/'))).collect()
    }
}

/// An application in its part as a client; whoever was authenticated has one.
pub(super) fn facts(application: &Application) -> Result<&ClientFacts> {
    application.oidc.as_ref().ok_or_else(invalid_client)
}

/// FAPI 2.0 Security Profile 5.3.2.1: by a key, not by a secret.
fn is_strong_enough(client: &ClientFacts) -> bool {
    use TokenEndpointAuthMethod::{PrivateKeyJwt, SelfSignedTlsClientAuth, TlsClientAuth};
    !client.fapi2 || matches!(client.token_endpoint_auth_method, PrivateKeyJwt | TlsClientAuth | SelfSignedTlsClientAuth)
}

/// Keys of nobody (RFC 7515 A.2 and A.3), so that an unknown client's assertion costs a verification too.
static DECOY: LazyLock<Option<ClientJwks>> = LazyLock::new(|| {
    let keys = json!({ "keys": [
        { "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" },
        { "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
    ] });
    ClientJwks::parse(&keys).ok()
});

#[cfg(test)]
#[path = "client_auth_tests.rs"]
mod tests;
