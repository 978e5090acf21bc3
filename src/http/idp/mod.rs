//! The identity provider role: what applications that speak SAML call.

pub mod artifact;
pub mod metadata;
pub mod slo;
pub mod sso;

use crate::broker::idp::IdpEndpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::login::Mirror;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// `/saml/mirror/{connection}/..` and `/saml/mirror/{connection}/{base64url(entityID)}/..`.
#[derive(Deserialize)]
pub struct MirrorPlace {
    connection: String,
    idp: Option<String>,
}

impl MirrorPlace {
    /// # Errors
    /// When the second part is no name in base64url.
    fn endpoint(self) -> Result<IdpEndpoint> {
        let decode = |text: String| URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let idp = match self.idp {
            None => None,
            Some(text) => Some(decode(text).ok_or_else(|| Error::new(ErrorKind::NotFound, ""))?),
        };
        Ok(IdpEndpoint::Mirror(Mirror { connection: self.connection, idp }))
    }
}
