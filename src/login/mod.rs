//! What is remembered of a login: the transaction while it runs, the session and the grant after it, and
//! the trace that tells an operator why it went as it did. Plain data and transitions, no I/O.

mod arrived;
mod consent;
pub mod device;
mod factor;
mod grant;
mod logout;
mod partner;
mod pushed;
mod received;
mod reply_to;
mod scripted;
pub mod session;
pub mod trace;
mod transaction;

pub use arrived::{Arrived, NewFactor, PendingLink, Proof, remove_paths};
pub use consent::PendingConsent;
pub use device::{DeviceDecision, DeviceGrant, DevicePointer, DevicePolls};
pub use factor::{FactorStep, PendingFactor};
pub use grant::{AccessToken, CodeGrant, CodeTombstone, Dialects};
pub use logout::{FrameAnswer, Logout, LogoutStarter, PartnerFrame, Party, Told, Way};
pub use partner::Partner;
pub use pushed::{LIFETIME as LIFETIME_OF_PUSHED, PushedRequest};
pub use reply_to::{DeviceReply, Mirror, ReplyTo, SamlReply};
pub use scripted::{CameBy, PendingScript, Scripted};
pub use session::{Session, TimeBy, UpstreamSession};
pub use trace::{Step as TraceStep, Trace};
pub use transaction::{Asked, Hint, LoginTransaction, PendingAuthn, PendingOidc, Restart, Spent, Stage, Stored};
