//! What a provider says of a session's end: logout tokens (Back-Channel Logout 1.0), and addresses that it loads in frames
//! (Front-Channel Logout 1.0).

use super::OidcConnection;
use super::believe::{Kind, opened};
use crate::clock::Timestamp;
use crate::connection::LogoutNotice;
use crate::id;
use crate::login::UpstreamSession;
use crate::oidc::OidcKeys;
use crate::oidc::rp::logout::{self, ExpectedLogoutToken};
use crate::oidc::rp::{Check, IssuerRule, Rejection, id_token};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

/// Octets of a logout token at most.
const LONGEST: usize = 64 * 1024;

impl OidcConnection {
    /// A logout token that is believed.
    pub(super) async fn logout_notice(
        &self,
        keys: &OidcKeys,
        token: &str,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<LogoutNotice, Rejection> {
        let settings = &self.settings;
        let refuse = |rule, why: String| Rejection::Token { rule, why };
        if token.len() > LONGEST {
            return Err(refuse("logout-token-malformed", "the logout token is too long".to_owned()));
        }
        let provider = self.remote.provider(now).await?;
        // 2.6, 1: encrypted as ID tokens are.
        let decrypted = opened(keys, token, settings.id_token_encryption);
        let decrypted =
            decrypted.map_err(|why| refuse("logout-token-decryption", format!("the logout token cannot be decrypted: {why}")))?;
        // 2.6, 3: and signed as they are.
        let allowed = settings.id_token_algs.clone().unwrap_or_else(|| id_token::algorithms(&provider.id_token_algs));
        let verified = self.verified(Kind::LogoutToken, &provider, &decrypted, &allowed, now, checks).await?;
        let (issuer, client_id) = (&settings.issuer, settings.client_id.as_str());
        let facts = logout::check(verified, &ExpectedLogoutToken { issuer, client_id, skew: settings.clock_skew, now }, checks)?;
        Ok(LogoutNotice {
            user_id: facts.subject.map(|subject| self.config.identity(&subject).user_id),
            sid: facts.sid,
            once: Some((id::digest(&format!("logout token {} {}", self.config.name, facts.jti)), facts.remember_until)),
        })
    }

    /// An address of ours that the provider has loaded (Front-Channel Logout 2): it names the session, or is nobody's.
    pub(super) fn framed_notice(&self, iss: &str, sid: &str) -> Result<LogoutNotice, Rejection> {
        let is_theirs = match &self.settings.issuer {
            IssuerRule::Exact(issuer) => issuer == iss,
            // Which tenant it is, only an ID token says.
            IssuerRule::OfTenants { .. } => false,
        };
        if !is_theirs || sid.is_empty() || sid.len() > 1024 {
            let why = "a frame names its session by iss and sid, and the iss is that of the provider".to_owned();
            return Err(Rejection::Token { rule: "logout-frame", why });
        }
        Ok(LogoutNotice { user_id: None, sid: Some(sid.to_owned()), once: None })
    }

    /// The ID token as a session keeps it, if the provider is told of logouts.
    pub(super) fn sealed(&self, id_token: &Secret<String>) -> Option<String> {
        if !self.settings.logout {
            return None;
        }
        let sealed = self.keyring.sealer().seal(&self.context(), id_token.expose().as_bytes());
        sealed.inspect_err(|error| tracing::warn!(%error, "an ID token cannot be kept")).ok().map(|octets| URL_SAFE_NO_PAD.encode(octets))
    }

    /// RP-Initiated Logout 1.0, 2. By an address, since a form of another site comes without the provider's cookie.
    pub(super) fn end_session_address(&self, session: &UpstreamSession, state: &str) -> Option<Url> {
        let mut url = self.remote.known()?.end_session_endpoint.clone().filter(|_| self.settings.logout)?;
        let open = |kept: &String| self.keyring.sealer().open(&self.context(), &URL_SAFE_NO_PAD.decode(kept).ok()?).ok();
        let hint = session.id_token.as_ref().and_then(open).and_then(|octets| String::from_utf8(octets).ok());
        let mut query = url.query_pairs_mut();
        if let Some(hint) = &hint {
            query.append_pair("id_token_hint", hint);
        }
        query.append_pair("client_id", &self.settings.client_id);
        query.append_pair("post_logout_redirect_uri", &self.signed_out_uri).append_pair("state", state);
        drop(query);
        Some(url)
    }

    /// A sealed ID token is one of this connection and of nothing else.
    fn context(&self) -> String {
        format!("ID token of {}", self.config.name)
    }
}
