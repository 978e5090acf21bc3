//! An update of a user, as an operator or the person asks for it: a JSON object that names what is to change.
//!
//! What connections say of a user is never edited here (S0-6, S4-13, S4-14, S4-22): identities are linked and unlinked,
//! and root attributes may be edited only where the connection does not refresh them (S1-5, S1-6, S1-8). All that is
//! wrong with an update is said at once, and then nothing of it is done.

use super::metadata::{self, Fault, Part, Update, pointer};
use super::sealing::{self, SealedPath};
use super::{ProfileSync, ROOT_ATTRIBUTES, User};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Sealer;
use crate::toml_file::nearest;
use serde_json::{Map, Value};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editor {
    Operator,
    /// The person, for themselves: `user_metadata` and nothing else (S3-1, S3-2).
    Person,
}

/// An update that is well-formed; whether it may be done depends on the user too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserPatch {
    /// `None` removes the attribute.
    root: Vec<(&'static str, Option<String>)>,
    parts: Vec<(Part, Map<String, Value>)>,
    blocked: Option<bool>,
    groups: Option<Vec<String>>,
}

/// Where sealed values are, and what seals them.
#[derive(Clone, Copy, Debug)]
pub struct Sealing<'a> {
    pub paths: &'a [SealedPath],
    pub sealer: &'a Sealer,
}

impl UserPatch {
    /// Reads an update. Accepted members: the root attributes `name`, `given_name`, `family_name`, `nickname` and
    /// `picture` (`null` removes), `user_metadata`, `app_metadata` and `custom_fields` (`null` is an empty object),
    /// `blocked`, and `groups`, those that the operator gives.
    ///
    /// # Errors
    /// [`ErrorKind::InsufficientScope`] where the person asks for what only operators may,
    /// [`ErrorKind::ProtectedAttribute`] where nobody may, else [`ErrorKind::InvalidUserData`]; each names the members.
    pub fn parse(members: &Map<String, Value>, editor: Editor) -> Result<Self> {
        let mut patch = Self::default();
        let mut refused = Refused::default();
        for (name, value) in members {
            patch.take(name, value, editor, &mut refused);
        }
        refused.result().map(|()| patch)
    }

    /// A block or its end.
    pub fn blocked(blocked: bool) -> Self {
        Self { blocked: Some(blocked), ..Self::default() }
    }

    /// The free data that look as if they held a secret and are not sealed (S0-13), as JSON pointers.
    pub fn secret_looking(&self, sealed: &[SealedPath]) -> Vec<String> {
        self.parts.iter().flat_map(|(part, given)| unsealed_secrets(*part, given, sealed)).collect()
    }

    /// The user as the update leaves it. `sync` is that of the primary identity's connection. Identities keep every
    /// byte of what their connections said.
    ///
    /// # Errors
    /// [`ErrorKind::ProtectedAttribute`] for root attributes that the connection refreshes,
    /// [`ErrorKind::InvalidUserData`] where the result would be too large.
    pub fn apply(&self, user: &User, sync: ProfileSync, how: Update, sealing: Sealing<'_>) -> Result<User> {
        let (mut user, mut refused) = (user.clone(), Refused::default());
        for (name, value) in &self.root {
            if !sync.allows_edits() {
                let problem = "is refreshed by the connection at every login";
                refused.protected.push(Fault::new(
                    pointer("", name),
                    problem,
                    "set profile_sync = \"on_first_login\" there to edit it here",
                ));
            } else if let Some(primary) = user.identities.first_mut() {
                match value {
                    Some(text) => drop(primary.root.insert((*name).to_owned(), Value::from(text.as_str()))),
                    None => drop(primary.root.shift_remove(*name)),
                }
            }
        }
        for (part, given) in &self.parts {
            let mut object = metadata::updated(*part, part.of(&user), given, how);
            sealing::seal(*part, &mut object, sealing.paths, sealing.sealer, &user.user_id)?;
            metadata::check_size(&object, &pointer("", part.name()), &mut refused.invalid);
            *part.of_mut(&mut user) = object;
        }
        user.blocked = self.blocked.unwrap_or(user.blocked);
        if let Some(groups) = &self.groups {
            user.groups.clone_from(groups);
        }
        refused.result().map(|()| user)
    }

    fn take(&mut self, name: &str, value: &Value, editor: Editor, refused: &mut Refused) {
        let here = pointer("", name);
        let root = ROOT_ATTRIBUTES.iter().copied().find(|known| *known == name);
        let part = Part::parse(name);
        let known = root.is_some() || part.is_some() || ["blocked", "groups"].contains(&name);
        if !known {
            return refused.unknown(name, here);
        }
        if editor == Editor::Person && part != Some(Part::UserMetadata) {
            return refused.operators_only.push(Fault::new(here, "may be changed by operators only", "leave it out"));
        }
        if let Some(part) = part {
            return self.take_part(part, value, here, refused);
        }
        match (root, value) {
            (Some(attribute), value) => match root_attribute(attribute, value) {
                Ok(text) => self.root.push((attribute, text)),
                Err((problem, help)) => refused.invalid.push(Fault::new(here, problem, help)),
            },
            (None, Value::Bool(blocked)) if name == "blocked" => self.blocked = Some(*blocked),
            (None, value) if name == "groups" => self.groups = groups(value, &here, &mut refused.invalid),
            _ => refused.invalid.push(Fault::new(here, "is neither true nor false", "write true or false, without quotes")),
        }
    }

    fn take_part(&mut self, part: Part, value: &Value, here: String, refused: &mut Refused) {
        if self.parts.iter().any(|(known, _)| *known == part) {
            let problem = format!("is {} again, in another spelling", part.name());
            return refused.invalid.push(Fault::new(here, problem, format!("write {} once", part.name())));
        }
        let given = match value {
            Value::Null => Map::new(),
            Value::Object(given) => given.clone(),
            _ => return refused.invalid.push(Fault::new(here, "is not an object", "write it as in {\"key\": \"value\"}")),
        };
        metadata::check(part, &given, &here, &mut refused.invalid);
        self.parts.push((part, given));
    }
}

/// Reads the groups that an operator gives; repetitions are left out. `None` where something is wrong.
pub fn groups(value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<Vec<String>> {
    let Value::Array(items) = value else {
        faults.push(Fault::new(at, "is not a list of texts", "write it as in [\"staff\"], or [] to take all away"));
        return None;
    };
    if items.len() > MAX_GROUPS {
        faults.push(Fault::new(at, format!("has more than {MAX_GROUPS} groups"), "give fewer"));
        return None;
    }
    let (mut groups, before) = (Vec::with_capacity(items.len()), faults.len());
    for (index, item) in items.iter().enumerate() {
        match item.as_str() {
            Some(group) if is_plain(group, MAX_GROUP) => {
                if !groups.iter().any(|known| known == group) {
                    groups.push(group.to_owned());
                }
            }
            _ => {
                let help = format!("write 1 to {MAX_GROUP} characters without control characters");
                faults.push(Fault::new(format!("{at}/{index}"), "is no name of a group", help));
            }
        }
    }
    (faults.len() == before).then_some(groups)
}

/// Pointers of what looks secret and is not sealed.
pub fn unsealed_secrets(part: Part, given: &Map<String, Value>, sealed: &[SealedPath]) -> Vec<String> {
    let is_sealed = |found: &String| {
        let path = found.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
        SealedPath::parse(&path).is_ok_and(|found| sealed.iter().any(|path| path.covers(&found)))
    };
    let found = metadata::secret_looking(given, &pointer("", part.name()));
    found.into_iter().filter(|found| !is_sealed(found)).collect()
}

fn root_attribute(name: &str, value: &Value) -> Result<Option<String>, (String, &'static str)> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        _ => return Err(("is not a text".to_owned(), "write it in quotes, or null to remove it")),
    };
    let limit = match name {
        "nickname" => MAX_NICKNAME,
        "picture" => MAX_PICTURE,
        _ => MAX_NAME,
    };
    if !is_plain(text, limit) {
        let problem = format!("has not 1 to {limit} characters, or control characters among them");
        return Err((problem, "write a shorter text, or null to remove it"));
    }
    let is_address = || url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if name == "picture" && (text.contains(char::is_whitespace) || !is_address()) {
        return Err(("is no http or https address".to_owned(), "write the whole address of the picture"));
    }
    Ok(Some(text.clone()))
}

fn is_plain(text: &str, limit: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= limit && !text.chars().any(char::is_control)
}

/// What an update may not do.
#[derive(Debug, Default)]
struct Refused {
    operators_only: Vec<Fault>,
    protected: Vec<Fault>,
    invalid: Vec<Fault>,
}

impl Refused {
    /// A member that no update has: the connections', the gateway's, or nobody's.
    fn unknown(&mut self, name: &str, here: String) {
        if PROTECTED.contains(&name) || crate::profile::Field::parse(name).is_some() {
            let help = if name == "identities" { "use link and unlink" } else { "leave it out" };
            return self.protected.push(Fault::new(here, "belongs to the connections or to the gateway", help));
        }
        let accepted = ROOT_ATTRIBUTES.iter().copied().chain(Part::ALL.map(Part::name)).chain(["blocked", "groups"]);
        let help = match nearest(name, accepted) {
            Some(near) => format!("did you mean {near}?"),
            None => "put it into user_metadata, app_metadata or custom_fields".to_owned(),
        };
        self.invalid.push(Fault::new(here, "is not known here", help));
    }

    fn result(self) -> Result<()> {
        let kind = match () {
            () if !self.operators_only.is_empty() => ErrorKind::InsufficientScope,
            () if !self.protected.is_empty() => ErrorKind::ProtectedAttribute,
            () if !self.invalid.is_empty() => ErrorKind::InvalidUserData,
            () => return Ok(()),
        };
        let faults: Vec<Fault> = [self.operators_only, self.protected, self.invalid].into_iter().flatten().collect();
        Err(Error::new(kind, told(&faults)))
    }
}

/// All faults in one text.
pub fn told(faults: &[Fault]) -> String {
    let mut texts: Vec<String> = faults.iter().take(MAX_TOLD).map(ToString::to_string).collect();
    if faults.len() > MAX_TOLD {
        texts.push(format!("and {} more", faults.len() - MAX_TOLD));
    }
    texts.join("; ")
}

/// Members of a user, in one dialect or another, that are no profile fields and that nobody writes.
const PROTECTED: &[&str] = &[
    "blocked_for",
    "clientID",
    "client_id",
    "created_at",
    "last_ip",
    "last_login",
    "last_password_reset",
    "logins_count",
    "multifactor",
    "multifactor_last_modified",
    "password",
    "phone_verified",
    "provider",
    "verify_email",
];

const MAX_TOLD: usize = 20;
/// Characters (details B).
const MAX_NAME: usize = 150;
const MAX_NICKNAME: usize = 350;
const MAX_PICTURE: usize = 2000;
const MAX_GROUP: usize = 256;
const MAX_GROUPS: usize = 1000;

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
