//! Valid settings of a database.

use super::{CustomSettings, PasswordPolicy};
use std::collections::BTreeMap;

/// What a database lets its people do.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    pub names: Names,
    /// People may make accounts by themselves.
    pub sign_up: bool,
    /// People may choose a new password by a link that is mailed to them.
    pub reset: bool,
    /// Nobody signs in before the address of their account is proven.
    pub require_verified_email: bool,
    pub policy: PasswordPolicy,
    /// The accounts are not here but behind an endpoint of the operator's.
    pub custom: Option<CustomSettings>,
    /// `acr` values of applications, and what each is called here.
    pub acr: BTreeMap<String, String>,
}

/// What people type beside their password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    pub email: bool,
    pub username: bool,
}
