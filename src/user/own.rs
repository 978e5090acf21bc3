//! What operators set of people at connections that are the gateway's own, where no login brings it: address, username and
//! telephone number.

use super::metadata::{Fault, pointer};
use super::patch::told;
use super::{DATABASE, StoredIdentity};
use crate::error::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

/// An update of these members; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPatch {
    email: Option<String>,
    email_verified: Option<bool>,
    /// `Some(None)` removes it; so for the number.
    username: Option<Option<String>>,
    phone_number: Option<Option<String>>,
    phone_verified: Option<bool>,
    /// The names that were given.
    named: Vec<&'static str>,
}

/// The members, as Auth0 names them.
pub const MEMBERS: [&str; 5] = ["email", "email_verified", "username", "phone_number", "phone_verified"];

impl OwnPatch {
    /// Takes its members out of an update.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUserData`] names what is wrong.
    pub fn take(members: &mut Map<String, Value>) -> Result<Self> {
        let (mut patch, mut faults) = (Self::default(), Vec::new());
        for name in MEMBERS {
            let Some(value) = members.shift_remove(name) else { continue };
            patch.named.push(name);
            if let Err((problem, help)) = patch.set(name, &value) {
                faults.push(Fault::new(pointer("", name), problem, help));
            }
        }
        if faults.is_empty() { Ok(patch) } else { Err(Error::new(ErrorKind::InvalidUserData, told(&faults))) }
    }

    /// Is nothing to be changed?
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Is there an address or a username in it, by which somebody could be known?
    pub fn names_somebody(&self) -> bool {
        self.email.is_some() || self.username.as_ref().is_some_and(Option::is_some)
    }

    /// The profile of an identity as the update leaves it. A new address is not verified, unless the update says so.
    ///
    /// # Errors
    /// [`ErrorKind::ProtectedAttribute`] names the members, where the connection is not the gateway's own.
    pub fn apply(&self, identity: &StoredIdentity) -> Result<Map<String, Value>> {
        let mut profile = identity.profile.clone();
        if self.is_empty() {
            return Ok(profile);
        }
        if identity.identity.provider != DATABASE {
            let fault = |name: &&str| Fault::new(pointer("", name), "belongs to the connection", "leave it out");
            let faults: Vec<Fault> = self.named.iter().map(fault).collect();
            return Err(Error::new(ErrorKind::ProtectedAttribute, told(&faults)));
        }
        if let Some(email) = &self.email {
            let is_new = profile.get("email").and_then(Value::as_str) != Some(email);
            profile.insert("email".to_owned(), Value::from(email.as_str()));
            if is_new {
                profile.insert("email_verified".to_owned(), Value::from(false));
            }
        }
        for (name, value) in [("username", &self.username), ("phone_number", &self.phone_number)] {
            match value {
                Some(Some(text)) => drop(profile.insert(name.to_owned(), Value::from(text.as_str()))),
                Some(None) => drop(profile.shift_remove(name)),
                None => {}
            }
        }
        for (name, value) in [("email_verified", self.email_verified), ("phone_number_verified", self.phone_verified)] {
            if let Some(verified) = value {
                profile.insert(name.to_owned(), Value::from(verified));
            }
        }
        Ok(profile)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), (String, &'static str)> {
        match name {
            "email" => self.email = Some(text(value, is_email, "is no e-mail address of at most 254 octets, 64 before the @")?),
            "username" if value.is_null() => self.username = Some(None),
            "username" => self.username = Some(Some(text(value, is_username, "is no username: 1 to 128 characters without blanks")?)),
            "phone_number" if value.is_null() => self.phone_number = Some(None),
            "phone_number" => self.phone_number = Some(Some(text(value, is_phone_number, "is not + and 1 to 15 digits")?)),
            _ => {
                let flag = value.as_bool().ok_or_else(|| ("is neither true nor false".to_owned(), "write it without quotes"))?;
                *(if name == "email_verified" { &mut self.email_verified } else { &mut self.phone_verified }) = Some(flag);
            }
        }
        Ok(())
    }
}

fn text(value: &Value, good: fn(&str) -> bool, problem: &str) -> Result<String, (String, &'static str)> {
    let text = value.as_str().filter(|text| good(text));
    text.map(str::to_owned).ok_or_else(|| (problem.to_owned(), "write another one, or leave it out"))
}

fn is_email(text: &str) -> bool {
    let (local, domain) = text.rsplit_once('@').unwrap_or_default();
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control()) && !local.contains('@');
    plain && !local.is_empty() && !domain.is_empty() && local.len() <= 64 && text.len() <= 254
}

fn is_username(text: &str) -> bool {
    (1..=128).contains(&text.chars().count()) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_phone_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::user::Identity;
    use serde_json::json;

    fn identity(provider: &str, profile: &Value) -> StoredIdentity {
        StoredIdentity {
            identity: Identity { connection: "c".into(), provider: provider.into(), user_id: "s".into(), is_social: false },
            profile: profile.as_object().cloned().unwrap_or_default(),
            root: Map::new(),
            allows_login: true,
            created_at: Timestamp::from_seconds(0),
            last_login: None,
            logins_count: 0,
        }
    }

    fn take(members: Value) -> Result<OwnPatch> {
        let Value::Object(mut members) = members else { panic!("an object") };
        let patch = OwnPatch::take(&mut members)?;
        assert_eq!(members.len(), 0);
        Ok(patch)
    }

    #[test]
    fn a_new_address_is_not_verified_unless_it_is_said() {
        let before = identity(DATABASE, &json!({"email": "a@x", "email_verified": true, "username": "ann"}));
        let apply = |members| Value::Object(take(members).expect("good").apply(&before).expect("applied"));
        assert_eq!(apply(json!({"email": "b@x"})), json!({"email": "b@x", "email_verified": false, "username": "ann"}));
        assert_eq!(apply(json!({"email": "a@x", "username": null})), json!({"email": "a@x", "email_verified": true}));
        let both = apply(json!({"email": "b@x", "email_verified": true, "phone_number": "+431", "phone_verified": false}));
        assert_eq!(both["email_verified"], true);
        assert_eq!((&both["phone_number"], &both["phone_number_verified"]), (&json!("+431"), &json!(false)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, value) in [
            ("email", json!("a@b@c")),
            ("email", json!(null)),
            ("email", json!(format!("{}@x", "a".repeat(65)))),
            ("username", json!("a b")),
            ("phone_number", json!("0043")),
            ("email_verified", json!("true")),
        ] {
            let error = take(json!({name: value})).expect_err(name);
            assert_eq!(error.kind, ErrorKind::InvalidUserData);
            assert!(error.detail.contains(&format!("/{name}")), "{}", error.detail);
        }
    }

    #[test]
    fn s4_14_a_connection_s_data_cannot_be_set() {
        let patch = take(json!({"email": "b@x", "phone_verified": true})).expect("good");
        let error = patch.apply(&identity("samlp", &json!({"email": "a@x"}))).expect_err("protected");
        assert_eq!(error.kind, ErrorKind::ProtectedAttribute);
        assert!(error.detail.contains("/email") && error.detail.contains("/phone_verified"), "{}", error.detail);
    }
}
