//! Metadata that live: where they come from, when they are looked at again, and what happens when they change.
//!
//! - [`Source`]: a file or an address, the terms on which a document is accepted, how often to look. Valid or not made.
//! - [`Refresher`]: the decisions, without I/O and without a clock.
//! - [`Feed`]: one source at work. It fetches, verifies, keeps the last good copy on disk, and swaps [`Snapshot`]s; readers
//!   take the newest and are never kept waiting.
//! - [`Mdq`]: a feed for each entity, made when it is asked for (Metadata Query Protocol).
//! - [`Role`]: whether its entities are identity providers to us, or an application. [`Owner`]: whose source it is.
//! - [`Change`]: differences in words. `cache` writes copies, `connection/outbound/download` fetches.
//!
//! Nothing here knows the configuration or the registry of connections: whoever wires it hands in sources and takes
//! [`Event`]s, which belong in the audit log.

mod cache;
mod difference;
mod feed;
mod feeds;
mod mdq;
mod partner;
mod refresher;
mod snapshot;
mod source;
mod trial;

pub use difference::{Change, Place, difference, places};
pub use feed::{Feed, Status};
pub use feeds::{Feeds, Living, Members, Tended, Tending};
pub use mdq::{Mdq, MdqForm, NotFound};
pub use partner::{Description, Owner, Role};
pub use refresher::{Cadence, Hold, Refresher};
pub use snapshot::{Approval, Event, NotPending, Pending, Snapshot};
pub use source::{Origin, Source};
pub use trial::{Trial, trial};

#[cfg(test)]
mod application_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
