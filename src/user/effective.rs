//! What applications see of a user: the profile of the primary identity, the root attributes as the sync mode leaves
//! them, the groups of all that give groups, and the metadata (S4-27: attributes of several providers are not merged).

use super::sync::{ProfileSync, ROOT_ATTRIBUTES};
use super::{StoredIdentity, User};
use crate::profile::mapping::MappingError;
use crate::profile::{Normalized, Profile, normalize};
use serde_json::{Map, Value};

/// The parts of an effective profile.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    pub user_id: &'a str,
    /// What the primary identity's connection said.
    pub profile: &'a Map<String, Value>,
    /// The root attributes that are kept for the primary identity.
    pub root: &'a Map<String, Value>,
    /// Sync mode of the primary identity's connection.
    pub sync: ProfileSync,
    /// The subject of the primary identity: the name of last resort.
    pub subject: &'a str,
    pub groups: Groups<'a>,
    pub user_metadata: &'a Map<String, Value>,
    pub app_metadata: &'a Map<String, Value>,
    pub custom_fields: &'a Map<String, Value>,
}

/// Where groups come from. Each connection owns what it gave: a login replaces its own and leaves the others alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Groups<'a> {
    /// Of the other linked identities, in their order.
    pub linked: &'a [String],
    /// Given by the operator.
    pub assigned: &'a [String],
}

/// Puts the parts together and fills in what is always there (S1-1).
///
/// # Errors
/// Where the connection sent what breaks a limit of the profile.
pub fn effective_profile(sources: &Sources<'_>) -> Result<Profile, MappingError> {
    effective_and_noted(sources).map(|(profile, _)| profile)
}

/// [`effective_profile`], and what was filled in or dropped on the way.
pub fn effective_and_noted(sources: &Sources<'_>) -> Result<(Profile, Normalized), MappingError> {
    let mut members = sources.profile.clone();
    if !sources.sync.replaces_at_login() {
        for name in ROOT_ATTRIBUTES {
            members.shift_remove(*name);
        }
        for (name, value) in sources.root {
            members.insert(name.clone(), value.clone());
        }
    }
    join_groups(&mut members, sources.groups);
    let mut profile = Profile::from_map(members);
    let done = normalize(&mut profile, sources.user_id, sources.subject)?;
    let mut members = profile.into_map();
    for (name, object) in
        [("user_metadata", sources.user_metadata), ("app_metadata", sources.app_metadata), ("custom_fields", sources.custom_fields)]
    {
        if object.is_empty() {
            members.shift_remove(name);
        } else {
            members.insert(name.to_owned(), Value::Object(object.clone()));
        }
    }
    Ok((Profile::from_map(members), done))
}

/// The effective profile of a user as the directory has it; `sync` is that of the primary identity's connection.
/// `None` for a user whose profile was deleted, or who was not imported and never came by any identity. Who came by a linked one only has the
/// attributes of the primary identity, of which none are known yet.
pub fn effective_of_user(user: &User, sync: ProfileSync) -> Result<Option<Profile>, MappingError> {
    // Imported users have a profile before they come.
    let came = user.identities.iter().any(|stored| stored.last_login.is_some() || !stored.profile.is_empty());
    let Some(primary) = user.primary().filter(|_| came) else {
        return Ok(None);
    };
    let linked = groups_of(user.identities.iter().skip(1));
    let sources = Sources {
        user_id: &user.user_id,
        profile: &primary.profile,
        root: &primary.root,
        sync,
        subject: &primary.identity.user_id,
        groups: Groups { linked: &linked, assigned: &user.groups },
        user_metadata: &user.user_metadata,
        app_metadata: &user.app_metadata,
        custom_fields: &user.custom_fields,
    };
    effective_profile(&sources).map(Some)
}

/// The groups that identities carry, in order.
pub fn groups_of<'a>(identities: impl Iterator<Item = &'a StoredIdentity>) -> Vec<String> {
    identities
        .filter_map(|stored| stored.profile.get("groups")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn join_groups(members: &mut Map<String, Value>, groups: Groups<'_>) {
    if groups.linked.is_empty() && groups.assigned.is_empty() {
        return;
    }
    let list = members.entry("groups").or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(list) = list else { return };
    let mut seen: std::collections::HashSet<String> = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    for group in groups.linked.iter().chain(groups.assigned) {
        if seen.insert(group.clone()) {
            list.push(Value::from(group.as_str()));
        }
    }
}
