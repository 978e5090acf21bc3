//! What an operator is told about a login: where its fields came from.

pub mod origin;
