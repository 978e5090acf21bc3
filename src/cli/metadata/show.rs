//! How the results of `isthmus metadata` look.

use crate::broker::metadata::{Report, Waiting};
use crate::clock::Timestamp;
use crate::connection::metadata::{Description, Owner, Role, Trial};
use serde_json::json;
use std::fmt::Write as _;

/// `running`: a gateway said so; else it is what this machine has on disk.
pub fn reports(found: &[Report], running: bool) -> String {
    let mut text = String::new();
    if !running {
        text += "No gateway answers; this is what was kept on disk.\n";
    }
    if found.is_empty() {
        text += "No connection and no application has metadata that are fetched.";
    }
    for report in found {
        let Report { owner, source, entities, faults, valid_until, due, failure, waiting: changes } = report;
        let _ = writeln!(text, "{}  {source}", titled(owner));
        match entities {
            Some(entities) => {
                let left_out = faults.filter(|faults| *faults > 0).map(|faults| format!(", {faults} left out")).unwrap_or_default();
                let until = valid_until.as_ref().map(|until| format!(", valid until {until}")).unwrap_or_default();
                let _ = writeln!(text, "  in force: {entities} entities{left_out}{until}");
            }
            None => text += "  in force: nothing\n",
        }
        if let Some(due) = due {
            let _ = writeln!(text, "  next look: {due}");
        }
        if let Some(failure) = failure {
            let _ = writeln!(text, "  FAILED {} times, last {}: {}", failure.count, failure.at, failure.reason);
        }
        text += &waiting(changes);
    }
    text.trim_end().to_owned()
}

/// What waits for an operator.
pub fn waiting(changes: &[Waiting]) -> String {
    let mut text = String::new();
    for change in changes {
        let _ = writeln!(text, "  WAITS {}  {}  since {}", change.key, change.approval.entity_id, change.since);
        for line in &change.changes {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

pub fn approved(change: &Waiting) -> String {
    format!("approved for {}:\n{}", titled(&change.approval.owner), waiting(std::slice::from_ref(change))).trim_end().to_owned()
}

/// What a source has, and what that would mean.
pub fn trial(tried: &Trial, as_json: bool, now: Timestamp) -> String {
    let aggregate = tried.snapshot.aggregate();
    let idps = aggregate.entities().filter(|entity| entity.is_idp).count();
    let applications = aggregate.entities().filter(|entity| entity.is_sp).count();
    let only = tried.only(now);
    let meaning: Vec<String> = tried.events.iter().map(ToString::to_string).collect();
    if as_json {
        let value = json!({
            "entities": aggregate.len(),
            "identity_providers": idps,
            "applications": applications,
            "left_out": aggregate.fault_count(),
            "signed": aggregate.is_signed(),
            "valid_until": aggregate.valid_until().map(|until| until.to_string()),
            "cache_seconds": aggregate.cache_seconds(),
            (what(tried)): only.as_ref().map(|only| json!({
                "entity_id": only.entity_id(),
                "certificates": only.fingerprints(),
                "endpoints": only.places().iter().map(ToString::to_string).collect::<Vec<_>>(),
            })),
            "compared": tried.compared,
            "would_mean": meaning,
        });
        return serde_json::to_string_pretty(&value).unwrap_or_default();
    }
    let mut text = format!(
        "{} entities, {idps} of them identity providers, {applications} applications, {} left out\n",
        aggregate.len(),
        aggregate.fault_count()
    );
    text += if aggregate.is_signed() { "signed by a certificate that was named\n" } else { "no signature was verified\n" };
    if let Some(until) = aggregate.valid_until() {
        let _ = writeln!(text, "valid until {until}");
    }
    for fault in aggregate.faults().iter().take(20) {
        let _ = writeln!(text, "left out: {fault}");
    }
    text += &only.as_ref().map(one).unwrap_or_default();
    text += if tried.compared {
        "beside what is in force it would mean:\n"
    } else {
        "there is nothing in force to compare it with; it would mean:\n"
    };
    if meaning.is_empty() {
        text += "  no change";
    }
    for line in &meaning {
        let _ = writeln!(text, "  {line}");
    }
    text.trim_end().to_owned()
}

const fn what(tried: &Trial) -> &'static str {
    match tried.role {
        Role::IdentityProvider => "identity_provider",
        Role::Application(_) => "application",
    }
}

/// Connections by their names, as they were before there were others.
fn titled(owner: &Owner) -> String {
    match owner {
        Owner::Connection(name) => name.clone(),
        Owner::Application(_) => owner.to_string(),
    }
}

fn one(described: &Description) -> String {
    let mut text = format!("{}\n", described.entity_id());
    for fingerprint in described.fingerprints() {
        let _ = writeln!(text, "  certificate {fingerprint}");
    }
    for place in described.places() {
        let _ = writeln!(text, "  {place}");
    }
    text
}
