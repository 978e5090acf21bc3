//! What operators made through the management API: connections, applications, rules and the like, as the store sees them.
//!
//! The store knows a kind, an id, a name that may be unique, and a body; what a body means is the business of its reader.

use crate::clock::Timestamp;

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Such as `connection` or `client`.
    pub kind: String,
    pub id: String,
    /// JSON, secrets sealed.
    pub body: String,
    /// Of the last change; larger than that of every change before it, whatever it changed.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A change of one object.
#[derive(Clone, Copy, Debug)]
pub struct ObjectWrite<'a> {
    pub kind: &'a str,
    pub id: &'a str,
    /// No other object of the kind has this name.
    pub name: Option<&'a str>,
    /// `None` deletes.
    pub body: Option<&'a str>,
    pub expect: Expect,
}

/// What must be there for a change to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing of this id.
    Nothing,
    /// The object as of this version: nobody has changed it since.
    Version(i64),
    /// The object or nothing.
    Any,
}

/// An object that changed after some version; `body` is `None` where it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectChange {
    pub kind: String,
    pub id: String,
    pub body: Option<String>,
    pub version: i64,
}
