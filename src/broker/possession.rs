//! Whether the sender of a request has the key to which its token is bound, or is going to be: by a DPoP proof (RFC 9449)
//! or by the certificate of its connection (RFC 8705).

use super::Gateway;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::oidc::bearer::{PresentedToken, Scheme, invalid_token};
use crate::oidc::dpop::{self, DpopProof};
use crate::oidc::{Authorities, ClientCertificate, ClientFacts, KeyConfirmation};
use crate::store::Op;
use std::sync::Arc;

/// Seconds for which a second use of a proof must be noticed: its window lies on both sides of now.
const PROOF_REMEMBERED: u64 = 2 * dpop::WINDOW.unsigned_abs() + 5;

/// How possession is proven here.
#[derive(Clone, Debug, Default)]
pub struct PossessionSettings {
    /// DPoP proofs must carry a nonce of ours.
    pub dpop_nonce: bool,
    /// Whose certificates are good for `tls_client_auth`.
    pub authorities: Authorities,
    /// Base of the addresses at which clients show certificates, where that is not the issuer.
    pub mtls_base: Option<String>,
}

/// What a request shows beside its credentials or its token.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Value of the header `DPoP`.
    pub dpop: Option<String>,
    pub certificate: Option<Arc<ClientCertificate>>,
    pub method: String,
    /// Path of the endpoint, as in `/oauth/token`.
    pub path: String,
}

impl Gateway {
    /// The keys to which the tokens of this request are going to be bound: those that it shows.
    ///
    /// # Errors
    /// Where the client is registered for bound tokens and shows none, or a proof is not good.
    pub async fn confirmation(&self, client: &ClientFacts, shown: &Shown, now: Timestamp) -> Result<KeyConfirmation> {
        let jkt = self.shown_key(client, shown, now).await?;
        // RFC 9449 5.2: without a proof such a client gets nothing.
        if client.dpop_bound_access_tokens && jkt.is_none() {
            return Err(Error::new(ErrorKind::InvalidDpopProof, "this client needs a DPoP proof"));
        }
        let certificate = shown.certificate.as_ref().map(|certificate| certificate.thumbprint().to_owned());
        let x5t_s256 = match client.tls_client_certificate_bound_access_tokens {
            true if certificate.is_none() => {
                return Err(Error::new(ErrorKind::InvalidRequest, "this client needs a client certificate"));
            }
            true => certificate,
            false => certificate.filter(|_| client.fapi2 && jkt.is_none()),
        };
        let confirmation = KeyConfirmation { jkt, x5t_s256 };
        // FAPI 2.0 Security Profile 5.3.2.1: sender-constrained tokens only.
        if client.fapi2 && confirmation.is_none() {
            return Err(Error::new(ErrorKind::InvalidRequest, "this client needs a DPoP proof or a client certificate"));
        }
        Ok(confirmation)
    }

    /// Thumbprint of the key of the DPoP proof, if there is one.
    pub(super) async fn shown_key(&self, client: &ClientFacts, shown: &Shown, now: Timestamp) -> Result<Option<String>> {
        let Some(proof) = &shown.dpop else { return Ok(None) };
        self.proof(proof, shown, (None, client.fapi2), now).await.map(|proof| Some(proof.jkt))
    }

    /// Sees that a token at one of our own resources comes from whom it is bound to. `fapi2`: the client has to keep to it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidToken`] where it does not, or by the wrong scheme; those of the proof.
    pub async fn check_possession(
        &self,
        bound: &KeyConfirmation,
        fapi2: bool,
        presented: &PresentedToken,
        shown: &Shown,
        now: Timestamp,
    ) -> Result<()> {
        match (&bound.jkt, presented.scheme) {
            (None, Scheme::Bearer) => {}
            // RFC 9449 7.2: a bound token is no bearer token, nor the reverse.
            (Some(_), Scheme::Bearer) | (None, Scheme::Dpop) => return Err(invalid_token()),
            (Some(jkt), Scheme::Dpop) => {
                let missing = || Error::new(ErrorKind::InvalidDpopProof, "the DPoP proof is missing");
                let proof = shown.dpop.as_deref().ok_or_else(missing)?;
                if self.proof(proof, shown, (Some(presented.token.expose()), fapi2), now).await?.jkt != *jkt {
                    return Err(invalid_token());
                }
            }
        }
        // RFC 8705 3.
        let shows = shown.certificate.as_ref().map(|certificate| certificate.thumbprint());
        if bound.x5t_s256.is_some() && bound.x5t_s256.as_deref() != shows {
            return Err(invalid_token());
        }
        Ok(())
    }

    /// A nonce for the next proofs; `None` where none is needed.
    pub fn dpop_nonce(&self, now: Timestamp) -> Option<String> {
        if !self.possession.dpop_nonce {
            return None;
        }
        dpop::nonce(self.keyring.sealer(), now).ok()
    }

    /// RFC 9449 4.3: fits the request, has a nonce of ours where that is asked, and was never seen before.
    async fn proof(&self, proof: &str, shown: &Shown, (token, fapi2): (Option<&str>, bool), now: Timestamp) -> Result<DpopProof> {
        let urls = self.endpoint(&shown.path);
        let expected = dpop::Expected { method: &shown.method, urls: &urls, access_token: token, fapi2 };
        let proof = dpop::check(proof, expected, now)?;
        let is_ours = |nonce: &String| dpop::is_nonce(self.keyring.sealer(), nonce, now);
        if self.possession.dpop_nonce && !proof.nonce.as_ref().is_some_and(is_ours) {
            return Err(Error::new(ErrorKind::UseDpopNonce, "the DPoP proof needs the nonce of the header DPoP-Nonce"));
        }
        let key = format!("dpop:{}", id::digest(&format!("{}\n{}", proof.jkt, proof.jti)));
        let first = self.sessions.commit(vec![Op::Claim { key, ttl: PROOF_REMEMBERED }]).await?;
        if first.first() != Some(&true) {
            return Err(Error::new(ErrorKind::InvalidDpopProof, "the DPoP proof was used before"));
        }
        Ok(proof)
    }
}
