//! Rules and Actions: the operator's JavaScript, run in a sandbox between authentication and the answer.
//!
//! A [`Script`] is a text with its settings; a [`Host`] runs scripts on threads of its own and never on a reactor's. What
//! goes in and what comes out are plain data ([`LoginInput`], [`Outcome`]): nothing here reads or writes a store, and a
//! script changes nothing but through what its run answers. Who applies an outcome is the broker.

mod api;
mod begin;
mod cache;
mod check;
mod claims;
mod desk;
mod flow;
mod host;
mod input;
mod mask;
mod outcome;
mod pool;
mod position;
mod requests;
mod rule_data;
mod sandbox;
mod script;
mod tokens;
mod worker;

#[cfg(test)]
mod tests;

pub use check::{MAX_CODE, check};
pub use host::{Host, Stats};
pub use input::{Fetch, FetchAnswer, FetchRequest, LoginInput, Resume, Scripts};
pub use outcome::{Change, Denial, MetadataChange, Outcome, Ran, Redirect, ScriptError, Status};
pub use script::{Kind, Limits, OnError, Script, Trigger};
