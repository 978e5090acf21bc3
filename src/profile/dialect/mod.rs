//! The forms in which a profile is rendered for applications.

use serde::{Deserialize, Serialize};

/// A form that another product made known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    #[default]
    Auth0,
    Gigya,
    Logto,
}
