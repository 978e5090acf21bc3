//! JSON that was written once, for all that keep a copy of it.

use super::Profile;
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A JSON value in its written form. A clone shares the text, and no writer of a record that holds it walks it again.
#[derive(Clone, Debug)]
pub struct Written(Arc<RawValue>);

impl Written {
    pub fn object(members: &Map<String, Value>) -> Result<Self> {
        let raw = to_raw_value(members).map_err(|error| Error::new(ErrorKind::Internal, "an object cannot be written").because(error))?;
        Ok(Self(raw.into()))
    }

    pub fn profile(profile: &Profile) -> Result<Self> {
        Self::object(profile.as_map())
    }

    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }

    /// Reads it again.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }

    /// For a member of a tagged enum: what serde has buffered there is no text any more.
    pub fn buffered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = to_raw_value(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)?;
        Ok(Self(raw.into()))
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(raw.into()))
    }
}
