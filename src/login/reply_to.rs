//! The right to send somebody's browser to an application, as a value.

use crate::clock::Timestamp;
use crate::oidc::CheckedRedirect;
use crate::saml::idp::SamlReplyTo;
use serde::{Deserialize, Serialize};

/// Where the outcome of a login goes. It exists only for an address that was matched against the
/// application's registration; before that, the only possible answer is our own page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplyTo {
    Oidc(CheckedRedirect),
    Saml(Box<SamlReply>),
    Device(Box<DeviceReply>),
}

/// A device that waits (RFC 8628). No browser is sent to it: it learns the outcome when it asks again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReply {
    pub grant_id: String,
    /// The code that it shows.
    pub user_code: String,
    pub expires_at: Timestamp,
}

/// An answer to a SAML application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamlReply {
    pub to: SamlReplyTo,
    /// The entity as which we were asked and answer: one that stands for a connection, or `None`, the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

/// An identity provider that has an entity of its own here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    pub connection: String,
    /// Entity ID of one of many that the connection stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
}

impl ReplyTo {
    /// The registered address itself: redirect URI or assertion consumer service; a device has none.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Oidc(redirect) => Some(redirect.redirect_uri()),
            Self::Saml(reply) => Some(reply.to.acs_url()),
            Self::Device(_) => None,
        }
    }

    /// What scripts call the protocol.
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::Oidc(_) => "oidc-basic-profile",
            Self::Saml(_) => "samlp",
            Self::Device(_) => "oauth2-device-code",
        }
    }
}
