//! What a protocol rule found, for the login trace: noted whether it passed or not.

/// One check of a login trace. Where it fails, the refusal has the same name, or one that says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Stable, kebab-case.
    pub name: &'static str,
    pub passed: bool,
    pub expected: String,
    pub found: String,
}
