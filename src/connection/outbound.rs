//! The one HTTP client: time-outs, no redirects, no proxies, bounded bodies.

pub mod download;

use crate::error::{Error, ErrorKind, Result};
use crate::rules::{Fetch, FetchAnswer, FetchRequest};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Bytes of an answer at most.
const LIMIT: usize = 4 * 1024 * 1024;

/// A client with our limits.
pub fn client() -> Result<Client> {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| Error::new(ErrorKind::Internal, "an HTTP client cannot be made").because(error))
}

/// The body as text, at most four mebibytes of it.
pub async fn text(mut response: Response) -> Result<String> {
    let unreadable = || Error::new(ErrorKind::Internal, "an answer cannot be read");
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreadable().because(error))? {
        if body.len() + chunk.len() > LIMIT {
            return Err(Error::new(ErrorKind::Internal, "an answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|error| unreadable().because(error))
}

/// Nobody is asked: for programs that run no scripts.
pub struct NoFetch;

impl Fetch for NoFetch {
    fn fetch(&self, _request: FetchRequest) -> Pin<Box<dyn Future<Output = Result<FetchAnswer>> + Send + '_>> {
        Box::pin(std::future::ready(Err(Error::new(ErrorKind::AccessDenied, "no host may be asked"))))
    }
}
