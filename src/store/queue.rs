//! Messages to partners that wait to be sent again. Whoever claims one has it until its lease ends, so that what a node that
//! died was sending is sent by another. It may come twice, and is never lost before it expires.

use crate::clock::Timestamp;

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMessage {
    pub id: String,
    /// JSON of whoever sends it.
    pub message: String,
    /// How often it was tried; of a claimed one, this time included.
    pub attempts: i64,
    pub due_at: Timestamp,
    /// Then it is worth nothing any more.
    pub expires_at: Timestamp,
}
