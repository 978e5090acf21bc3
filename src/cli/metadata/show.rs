//! How the results of `isthmus metadata` look.

use crate::broker::metadata::{Report, Waiting};
use crate::clock::Timestamp;
use crate::connection::metadata::{Trial, places};
use crate::saml::IdpMetadata;
use serde_json::json;
use std::fmt::Write as _;

/// `running`: a gateway said so; else it is what this machine has on disk.
pub fn reports(found: &[Report], running: bool) -> String {
    let mut text = String::new();
    if !running {
        text += "No gateway answers; this is what was kept on disk.\n";
    }
    if found.is_empty() {
        text += "No connection has metadata that are fetched.";
    }
    for report in found {
        let Report { connection, source, entities, faults, valid_until, due, failure, waiting: changes } = report;
        let _ = writeln!(text, "{connection}  {source}");
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
    format!("approved for {}:\n{}", change.approval.connection, waiting(std::slice::from_ref(change))).trim_end().to_owned()
}

/// What a source has, and what that would mean.
pub fn trial(tried: &Trial, as_json: bool, now: Timestamp) -> String {
    let aggregate = tried.snapshot.aggregate();
    let idps: Vec<_> = aggregate.entities().filter(|entity| entity.is_idp).collect();
    let only = match idps.as_slice() {
        [only] => tried.snapshot.idp(&only.entity_id, now).ok(),
        _ => None,
    };
    let meaning: Vec<String> = tried.events.iter().map(ToString::to_string).collect();
    if as_json {
        let value = json!({
            "entities": aggregate.len(),
            "identity_providers": idps.len(),
            "left_out": aggregate.fault_count(),
            "signed": aggregate.is_signed(),
            "valid_until": aggregate.valid_until().map(|until| until.to_string()),
            "cache_seconds": aggregate.cache_seconds(),
            "identity_provider": only.as_ref().map(|idp| json!({
                "entity_id": idp.entity_id,
                "certificates": idp.keys.fingerprints().collect::<Vec<_>>(),
                "endpoints": places(idp).iter().map(ToString::to_string).collect::<Vec<_>>(),
            })),
            "compared": tried.compared,
            "would_mean": meaning,
        });
        return serde_json::to_string_pretty(&value).unwrap_or_default();
    }
    let mut text =
        format!("{} entities, {} of them identity providers, {} left out\n", aggregate.len(), idps.len(), aggregate.fault_count());
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

fn one(idp: &IdpMetadata) -> String {
    let mut text = format!("{}\n", idp.entity_id);
    for fingerprint in idp.keys.fingerprints() {
        let _ = writeln!(text, "  certificate {fingerprint}");
    }
    for place in places(idp) {
        let _ = writeln!(text, "  {place}");
    }
    text
}
