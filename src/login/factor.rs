//! A login that waits for a second factor: the password was right, and the connection wants more, or the person does.

use super::{Arrived, Stage};
use serde::{Deserialize, Serialize};

/// What is known, and what is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingFactor {
    /// The stage in which the password was asked for: from there the login goes on.
    pub question: Stage,
    pub arrived: Arrived,
    pub step: FactorStep,
}

/// What the person does now. Texts are sealed for this login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactorStep {
    /// Types the code that the app shows, or a recovery code.
    Code,
    /// Takes this secret into an app and types its first code.
    Enrol { secret: String },
    /// Puts the recovery codes away. The app is proven, and counts from the next step on.
    Keep { secret: String, codes: String },
}
