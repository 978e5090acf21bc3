//! Claims by where they come from: a mapping table that reads `tokenset.email` means the ID token's, one that reads
//! `userinfo.email` that of UserInfo. Without such names both are one, and where both say something, UserInfo counts.

use crate::profile::{MappingTable, RawAttributes};
use serde_json::{Map, Value};

const TOKEN_SET: &str = "tokenset.";
const USER_INFO: &str = "userinfo.";

/// What a table reads so.
#[derive(Debug, Default)]
pub struct Apart {
    names: Vec<String>,
}

impl Apart {
    pub fn of(table: &MappingTable) -> Self {
        let mut names: Vec<String> = table.read_names().filter(|name| is_apart(name)).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        Self { names }
    }

    /// A table that tells them apart says itself whether UserInfo is needed.
    pub fn needs_userinfo(&self) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name.starts_with(USER_INFO))
    }

    /// All claims as attributes, and those that are read apart under their own names.
    pub fn attributes(
        &self,
        mut claims: Map<String, Value>,
        id_token: &Map<String, Value>,
        userinfo: &Map<String, Value>,
    ) -> RawAttributes {
        if !self.names.is_empty() {
            // A claim that is named so is not what it says.
            claims.retain(|name, _| !is_apart(name));
        }
        let mut attributes = RawAttributes::from_claims(&claims);
        for name in &self.names {
            for (prefix, from) in [(TOKEN_SET, id_token), (USER_INFO, userinfo)] {
                if let Some(path) = name.strip_prefix(prefix) {
                    attributes.push_claim(name, from, path);
                }
            }
        }
        attributes
    }
}

fn is_apart(name: &str) -> bool {
    [TOKEN_SET, USER_INFO].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|path| !path.is_empty()))
}
