//! Who a client says it is, and by what it wants to prove it (RFC 6749 2.3, OpenID Connect Core 9, RFC 7523, RFC 8705).
//!
//! [`ClientCredentials::extract`] reads what a request carries; nothing of it is proven then. What can be proven without
//! I/O is proven here: secrets, and what an assertion claims. Signatures and the single use of assertions are the broker's.

use super::assertion::{self, ASSERTION_TYPE};
use super::client::ClientFacts;
use super::mtls::ClientCertificate;
use super::names::{ClientSigningAlg, TokenEndpointAuthMethod};
use super::params::{self, Params};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// RFC 6749 5.2: `invalid_client` carries a challenge when the client tried the `Authorization` header.
pub const CHALLENGE: &str = "Basic realm=\"token\", charset=\"UTF-8\"";

/// What a request to an endpoint for clients carries of its sender.
#[derive(Clone, Copy, Debug)]
pub struct ClientProof<'a> {
    /// Value of the `Authorization` header.
    pub authorization: Option<&'a str>,
    pub body: &'a Params,
    /// The certificate of the TLS connection.
    pub certificate: Option<&'a ClientCertificate>,
    /// Path of the endpoint that was called, as in `/oauth/token`.
    pub endpoint: &'a str,
}

/// By what a client wants to prove who it is.
#[derive(Debug)]
pub enum Presented {
    Basic(Secret<String>),
    Post(Secret<String>),
    /// A JWT; by a shared secret or a key, as the client is registered.
    Assertion(Secret<String>),
    /// Nothing in the request: a public client, or one that is known by its certificate.
    Nothing,
}

/// What a client presented, still unproven.
#[derive(Debug)]
pub struct ClientCredentials {
    client_id: String,
    presented: Presented,
}

impl ClientCredentials {
    /// Finds the credentials in the `Authorization` header or the body.
    pub fn extract(authorization: Option<&str>, body: &Params) -> Result<Self> {
        let by_assertion = ["client_assertion", "client_assertion_type"].iter().any(|name| body.get(name).is_some());
        let ways = [authorization.is_some(), body.get("client_secret").is_some(), by_assertion];
        // RFC 6749 2.3: not more than one method in one request.
        if ways.iter().filter(|way| **way).count() > 1 {
            return Err(Error::new(ErrorKind::InvalidRequest, "the client authenticated in two ways"));
        }
        let credentials = match authorization {
            Some(authorization) => Self::from_basic(authorization)?,
            None if by_assertion => Self::from_assertion(body)?,
            None => return Self::from_body(body),
        };
        // RFC 7521 4.2: the client_id is not needed, and if it is there it is the same.
        if body.get("client_id").is_some_and(|client_id| client_id != credentials.client_id) {
            return Err(Error::new(ErrorKind::InvalidRequest, "the client_id differs from the one that is authenticated"));
        }
        Ok(credentials)
    }

    /// RFC 6749 2.3.1: Basic, with identifier and secret form-encoded first.
    fn from_basic(authorization: &str) -> Result<Self> {
        let malformed = || Error::new(ErrorKind::InvalidClient, "the Authorization header is not readable");
        let (scheme, encoded) = authorization.split_once(' ').ok_or_else(malformed)?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return Err(malformed());
        }
        let decoded = Secret::new(STANDARD.decode(encoded.trim_matches(' ')).map_err(|_| malformed())?);
        let mut parts = decoded.expose().splitn(2, |byte| *byte == b':');
        let (Some(client_id), Some(secret)) = (parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let client_id = params::decode(client_id).map_err(|_| malformed())?;
        let secret = Secret::new(params::decode(secret).map_err(|_| malformed())?);
        if client_id.is_empty() {
            return Err(malformed());
        }
        Ok(Self { client_id, presented: Presented::Basic(secret) })
    }

    /// RFC 7523 2.2. Whom the assertion names is read before it is verified, for looking up the keys.
    fn from_assertion(body: &Params) -> Result<Self> {
        if body.require("client_assertion_type")? != ASSERTION_TYPE {
            return Err(Error::new(ErrorKind::InvalidClient, "this client_assertion_type is not supported"));
        }
        let token = body.require("client_assertion")?;
        let client_id = assertion::unproven_subject(token)
            .ok_or_else(|| Error::new(ErrorKind::InvalidClient, "the client_assertion is no JWT that names a client"))?;
        Ok(Self { client_id, presented: Presented::Assertion(Secret::new(token.to_owned())) })
    }

    fn from_body(body: &Params) -> Result<Self> {
        let client_id = body.text("client_id").ok_or_else(|| Error::new(ErrorKind::InvalidClient, "the client did not say who it is"))?;
        let presented = body.text("client_secret").map_or(Presented::Nothing, |secret| Presented::Post(Secret::new(secret)));
        Ok(Self { client_id, presented })
    }

    /// For looking up the client's facts.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub const fn presented(&self) -> &Presented {
        &self.presented
    }

    /// Is this how a client of that registration proves who it is? What is presented for one method never serves another.
    pub const fn is_by(&self, method: TokenEndpointAuthMethod) -> bool {
        use TokenEndpointAuthMethod as Method;
        match self.presented {
            Presented::Basic(_) => matches!(method, Method::ClientSecretBasic),
            Presented::Post(_) => matches!(method, Method::ClientSecretPost),
            Presented::Assertion(_) => matches!(method, Method::ClientSecretJwt | Method::PrivateKeyJwt),
            Presented::Nothing => matches!(method, Method::TlsClientAuth | Method::SelfSignedTlsClientAuth | Method::None),
        }
    }

    /// Is the presented secret one of the client's? Takes the same time for an unknown client.
    pub fn has_secret_of(&self, client: Option<&ClientFacts>) -> bool {
        let unknown = [id::digest("")];
        let digests = match client {
            Some(client) if !client.secret_digests.is_empty() => client.secret_digests.as_slice(),
            _ => &unknown,
        };
        let secret = match &self.presented {
            Presented::Basic(secret) | Presented::Post(secret) => secret.expose().as_str(),
            Presented::Assertion(_) | Presented::Nothing => "",
        };
        let presented = id::digest(secret);
        let matches = digests.iter().fold(false, |found, digest| found | id::eq_constant_time(digest.as_bytes(), presented.as_bytes()));
        matches && !secret.is_empty() && client.is_some()
    }
}

/// What a client of this method may sign its assertions with.
pub fn assertion_algs(client: &ClientFacts) -> Vec<ClientSigningAlg> {
    use ClientSigningAlg as Alg;
    let fits = |alg: &Alg| match client.token_endpoint_auth_method {
        TokenEndpointAuthMethod::PrivateKeyJwt => alg.is_asymmetric(),
        TokenEndpointAuthMethod::ClientSecretJwt => !alg.is_asymmetric() && *alg != Alg::None,
        _ => false,
    };
    let registered = |alg: &Alg| client.token_endpoint_auth_signing_alg.is_none_or(|registered| registered == *alg);
    // FAPI 2.0 Security Profile 5.4.1.
    let profile = |alg: &Alg| !client.fapi2 || matches!(alg, Alg::PS256 | Alg::ES256 | Alg::EdDSA | Alg::Ed25519);
    Alg::ALL.iter().copied().filter(fits).filter(registered).filter(profile).collect()
}

/// The one refusal: it does not tell an unknown client from a wrong proof.
pub fn invalid_client() -> Error {
    Error::new(ErrorKind::InvalidClient, "client authentication failed")
}

#[cfg(test)]
#[path = "client_auth_tests.rs"]
mod tests;
