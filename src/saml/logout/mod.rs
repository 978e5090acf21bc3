//! The messages of Single Logout (SAML Core 3.7, Profiles 4.4), the same for both roles.
//!
//! A LogoutRequest is believed only with a signature, and answered only once it was: [`ReceivedLogout::answer`] is the way
//! to an answer. Which sessions end, who else is told, and that an ID is used once, is the caller's business.

mod receive;
mod services;
mod write;

pub use receive::{ArrivedLogout, LogoutTerms, ReceivedLogout, ReceivedLogoutResponse, receive_logout_request, receive_logout_response};
pub(super) use services::{logout_services, soap_logout_service, write_logout_services};
pub use write::{LogoutOrder, logout_request, logout_request_in_envelope};

use super::binding::Binding;
use url::Url;

/// Where a partner takes logout messages by one binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutService {
    pub binding: Binding,
    pub location: Url,
    /// Where it takes answers, if elsewhere.
    pub response_location: Option<Url>,
}

impl LogoutService {
    /// Where answers go.
    pub fn for_responses(&self) -> &Url {
        self.response_location.as_ref().unwrap_or(&self.location)
    }
}

/// What came of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// Everybody who had to be told confirmed it.
    Done,
    /// The session is over here, but not everybody confirmed it.
    Partial,
    /// Nothing was ended. The status codes without their common prefix, and a text for people.
    Failed { top: String, second: Option<String>, message: Option<String> },
}
