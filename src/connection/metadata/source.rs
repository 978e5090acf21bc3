//! Settings of one source of metadata.

use super::partner::Role;
use super::refresher::{Cadence, Hold};
use crate::connection::outbound::download::{Patience, Reach};
use crate::error::{Error, ErrorKind, Result};
use crate::saml::aggregate::Terms;
use std::path::PathBuf;
use url::{Host, Url};

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    Url(Url),
}

/// A source of metadata, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) origin: Origin,
    pub(super) terms: Terms,
    pub cadence: Cadence,
    pub hold: Hold,
    /// Where the last good copy is kept, without an ending. Without it a large document is in memory while it is verified, and
    /// a restart without network has no metadata.
    pub cache: Option<PathBuf>,
    /// What its entities are to us.
    pub role: Role,
    /// The entity that the document must have.
    pub expects: Option<String>,
    pub patience: Patience,
    /// Which machines may be asked.
    pub reach: Reach,
    /// Bytes of a document at most.
    pub limit: u64,
}

impl Source {
    /// # Errors
    /// An address that is neither https nor signed: whoever is on the way could write the metadata.
    pub fn new(origin: Origin, terms: Terms) -> Result<Self> {
        if let Origin::Url(url) = &origin {
            let refuse =
                |why: &str| Err(Error::new(ErrorKind::Misconfigured, format!("metadata cannot be fetched from {}: {why}", shown(url))));
            match url.scheme() {
                "https" => {}
                "http" if terms.trust.is_pinned() || is_loopback(url) => {}
                "http" => return refuse("without https a certificate is needed to verify their signature with"),
                _ => return refuse("it is not an http(s) address"),
            }
            if !url.username().is_empty() || url.password().is_some() {
                return refuse("an address with a password in it would be logged");
            }
        }
        Ok(Self {
            origin,
            terms,
            cadence: Cadence::default(),
            hold: Hold::default(),
            cache: None,
            role: Role::IdentityProvider,
            expects: None,
            patience: Patience::default(),
            reach: Reach::default(),
            limit: 200 * 1024 * 1024,
        })
    }

    /// For logs and messages: an address without its query, in which a token may be.
    pub fn shown(&self) -> String {
        match &self.origin {
            Origin::File(path) => path.display().to_string(),
            Origin::Url(url) => shown(url),
        }
    }

    /// What a copy on disk must have been made from.
    pub(super) fn name(&self) -> String {
        match &self.origin {
            Origin::File(path) => path.display().to_string(),
            Origin::Url(url) => url.to_string(),
        }
    }
}

fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
