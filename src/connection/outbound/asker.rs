//! Questions to the endpoints of providers: bounded in size and time, without redirects, to no machine that may not be
//! asked, over connections that stay open.

use super::download::{INSIDE, Reach};
use crate::error::{Error, ErrorKind, Result as CrateResult};
use crate::keys::ClientCertificate;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Identity, RequestBuilder, Response};
use std::time::Duration;
use url::Url;
use url::form_urlencoded::byte_serialize;

/// How long a provider may take.
const CONNECT: Duration = Duration::from_secs(3);
const TOTAL: Duration = Duration::from_secs(10);

/// Some answer nobody without a name.
const AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The value of the Authorization header by which a client proves who it is (RFC 6749 2.3.1): both parts are encoded as forms are.
pub fn basic(client_id: &str, client_secret: &str) -> Secret<String> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(client_secret)))))
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Asked {
    pub status: u16,
    /// The media type, without parameters, lower case.
    pub content_type: String,
    pub body: Vec<u8>,
}

/// A client; keep it, it holds its connections.
#[derive(Clone, Debug)]
pub struct Asker {
    client: Client,
    reach: Reach,
}

impl Asker {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(reach: Reach) -> CrateResult<Self> {
        Self::built(reach, TOTAL, None)
    }

    /// The same with another limit for the whole answer.
    #[cfg(test)]
    pub(super) fn patient(reach: Reach, total: Duration) -> CrateResult<Self> {
        Self::built(reach, total, None)
    }

    /// One that shows this certificate to servers that ask for it.
    ///
    /// # Errors
    /// When there can be no HTTP client, or none with this certificate.
    pub fn proving(reach: Reach, certificate: Option<&ClientCertificate>) -> CrateResult<Self> {
        Self::built(reach, TOTAL, certificate)
    }

    fn built(reach: Reach, total: Duration, certificate: Option<&ClientCertificate>) -> CrateResult<Self> {
        let client = match certificate {
            None => reach.client(),
            Some(certificate) => {
                let identity = Identity::from_pkcs8_pem(certificate.certificates().as_bytes(), certificate.key().expose().as_bytes());
                let unusable = |error| Error::new(ErrorKind::Misconfigured, "the client certificate cannot be used").because(error);
                reach.client_apart().identity(identity.map_err(unusable)?)
            }
        };
        client
            .user_agent(AGENT)
            .connect_timeout(CONNECT)
            .timeout(total)
            .build()
            .map(|client| Self { client, reach })
            .map_err(|error| Error::new(ErrorKind::Internal, "an HTTP client cannot be made").because(error))
    }

    /// Gets a document, at most `limit` octets of it; `authorization` is the value of that header.
    ///
    /// # Errors
    /// Why there is no answer, without what was sent.
    pub async fn get(&self, url: &Url, accept: &'static str, authorization: Option<&Secret<String>>, limit: u64) -> Result<Asked, String> {
        self.send(url, self.client.get(url.clone()).header(ACCEPT, accept), authorization, limit).await
    }

    /// Posts a form.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, url: &Url, form: String, authorization: Option<&Secret<String>>, limit: u64) -> Result<Asked, String> {
        let request = self.client.post(url.clone()).header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        self.send(url, request, authorization, limit).await
    }

    /// Posts a JSON document, with more headers.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post_json(&self, url: &Url, body: String, headers: &[(&'static str, String)], limit: u64) -> Result<Asked, String> {
        let request = self.client.post(url.clone()).header(ACCEPT, "application/json").header(CONTENT_TYPE, "application/json").body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        self.send(url, request, None, limit).await
    }

    async fn send(&self, url: &Url, request: RequestBuilder, authorization: Option<&Secret<String>>, limit: u64) -> Result<Asked, String> {
        if !self.reach.allows_literal(url) {
            return Err(INSIDE.to_owned());
        }
        let request = match authorization {
            None => request,
            Some(value) => {
                let mut value =
                    HeaderValue::from_str(value.expose()).map_err(|_| "a token has characters that no header can have".to_owned())?;
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
        };
        read(request.send().await.map_err(super::why)?, limit).await
    }
}

async fn read(mut answer: Response, limit: u64) -> Result<Asked, String> {
    let too_large = || format!("its answer has more than {limit} bytes");
    if answer.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(super::why)? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Asked { status, content_type, body })
}
