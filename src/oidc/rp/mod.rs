//! The relying party (OpenID Connect Core 3.1, RFC 9700): what a provider is asked, and what of its answer is believed.
//!
//! [`provider`] reads what a provider says of itself, [`request`] makes the authorization request, [`callback`] reads what
//! the browser brings back, [`pushed`] and [`token`] the answers of those endpoints, [`id_token`] holds an ID token against the
//! rules, in their order, [`userinfo`] UserInfo that is a JWT, and
//! [`logout`] logout tokens. Each rule is a [`Rejection`] of its own, so that an operator reads which one failed; and every rule that was
//! looked at is a [`Check`] of the trace, whether it passed or not. Nothing here asks anybody anything.

pub mod callback;
pub mod id_token;
pub mod logout;
pub mod provider;
pub mod pushed;
pub mod rejection;
pub mod request;
pub mod token;
pub mod userinfo;

pub use callback::{AuthorizationAnswer, ExpectedAnswer};
pub use id_token::{ExpectedIdToken, IdTokenFacts};
pub use provider::{IssuerRule, Overrides, Provider};
pub use rejection::{Check, Rejection};
pub use request::AuthenticationRequest;
pub use token::TokenAnswer;
