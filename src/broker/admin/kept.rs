//! Secrets that a change of a connection keeps, and where they would be sent by it.
//!
//! A secret is never given back, so that a program with `update:connections` cannot read it. It could have it sent to itself:
//! by another token endpoint, another directory. So whoever has a secret sent to somebody new has to bring it along.

use super::objects::ObjectKind;
use crate::broker::live::{Fault, Made};
use crate::connection::recipients::Recipients;
use serde_json::{Map, Value};

type Body = Map<String, Value>;

/// What a caller has at the place of a secret and is no text: neither a sealed one, nor the name of something on this machine.
pub fn misplaced(kind: &ObjectKind, body: &Body) -> Vec<Fault> {
    let wrong = kind.secrets.iter().filter(|place| at(body, place).is_some_and(|value| !value.is_string() && !value.is_null()));
    let told = |place: &&str| Fault {
        pointer: (*place).to_owned(),
        message: "is no text: a secret is sent as it is, and neither the environment nor a file of this machine can be named".to_owned(),
        help: "send the secret itself, or null to take it away".to_owned(),
    };
    wrong.map(told).collect()
}

/// Secrets that are the same before and after a change that has somebody new given them. `made` is the object after it,
/// `made_before` the one before: `None` where it cannot be used any more.
pub(super) fn faults(
    kind: &ObjectKind,
    (before, after): (&Body, &Body),
    made: &Made,
    made_before: impl FnOnce() -> Option<Made>,
) -> Vec<Fault> {
    let is_kept = |place: &&&str| at(after, place).is_some_and(|value| !value.is_null() && at(before, place) == Some(value));
    let kept: Vec<&&str> = kind.secrets.iter().filter(is_kept).collect();
    if kept.is_empty() {
        return Vec::new();
    }
    let known = made_before().map(|made| recipients(&made)).unwrap_or_default();
    let Some(new) = recipients(made).beyond(&known) else { return Vec::new() };
    let told = |place: &&str| Fault {
        pointer: (*place).to_owned(),
        message: format!("is kept, and was not given for {new}: who has a secret sent elsewhere must know it"),
        help: "send it again in the same change, or null to take it away".to_owned(),
    };
    kept.into_iter().map(told).collect()
}

fn recipients(made: &Made) -> Recipients {
    match made {
        Made::Connection(connection) => Recipients::of(connection.config()),
        _ => Recipients::default(),
    }
}

/// What stands at a pointer without `*`.
fn at<'b>(body: &'b Body, pointer: &str) -> Option<&'b Value> {
    let mut steps = pointer.split('/').skip(1);
    let first = body.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}
