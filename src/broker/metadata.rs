//! Metadata at work: who looks after the sources, what is told of them, and what operators have approved.
//!
//! [`watch`] runs beside the listeners. Every second it sees which sources want something, and does that for a few at once.
//! What comes of it goes to the log, to the counters, and, where anything changed, into the audit log with the difference in
//! words. Which endpoints of a partner are approved is a stored object, so that every node knows it: nodes write down what
//! they found first and changes that move nobody; operators write down the rest. Every node finds every change by itself; the
//! one that is first to write down what it led to has it audited, the others do not.

use super::Gateway;
use super::live::{Fault, Live, Made};
use crate::clock::Timestamp;
use crate::connection::metadata::{Approval, Event, Owner, Pending, Tended};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::store::{AuditEvent, Expect, ObjectWrite};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Looks after all sources, for ever. `clock` is asked every second.
pub async fn watch(live: Arc<Live>, clock: fn() -> Timestamp) {
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let (gateway, now) = (live.gateway(), clock());
        for tended in gateway.feeds.all() {
            if tasks.len() < AT_ONCE && tended.wants(&gateway.approvals, now) {
                tasks.spawn(look_after(Arc::clone(&live), tended, now));
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Takes the last good copies from disk, before anybody signs in.
pub async fn restore(gateway: &Gateway, now: Timestamp) {
    for tended in gateway.feeds.all() {
        let events = tended.restore(&gateway.approvals, now).await;
        tell(gateway, &tended, events, now).await;
    }
}

async fn look_after(live: Arc<Live>, tended: Arc<Tended>, now: Timestamp) {
    let gateway = live.gateway();
    let tending = tended.tend(&gateway.approvals, now).await;
    if matches!(tended.owner, Owner::Application(_)) {
        // What is told to be in force is so.
        live.renew(now).await;
    }
    if let Some(outcome) = tending.outcome() {
        gateway.events.metadata(&tended.owner, outcome);
    }
    tell(&gateway, &tended, tending.events, now).await;
    if let Some(found) = tended.in_force(now)
        && let Err(error) = note(&gateway, &found, now).await
    {
        tracing::warn!(of = %tended.owner, %error, "the endpoints in force cannot be written down for other nodes");
    }
}

/// Writes down what is in force, unless that would approve anything.
async fn note(gateway: &Gateway, found: &Approval, now: Timestamp) -> Result<()> {
    let is_news = |known: &Approval| known != found && (known.source != found.source || known.covers(found));
    if gateway.approvals.iter().find(|known| known.owner == found.owner).is_some_and(|known| !is_news(known)) {
        return Ok(());
    }
    // As it is at this moment: an operator may just have approved something else.
    let stored = gateway.directory.object(KIND, &found.object_id()).await?;
    let known = stored.as_ref().and_then(|stored| serde_json::from_str::<Approval>(&stored.body).ok());
    if known.as_ref().is_some_and(|known| !is_news(known)) {
        return Ok(());
    }
    let expect = stored.map_or(Expect::Nothing, |stored| Expect::Version(stored.version));
    match write(gateway, found, expect, now).await {
        // Another node was quicker.
        Err(error) if error.kind == ErrorKind::Conflict => Ok(()),
        done => done,
    }
}

/// An operator agrees to what waits. Every node follows within seconds.
///
/// # Errors
/// Those of the directory.
pub async fn approve(gateway: &Gateway, waiting: &Waiting, by: &str, now: Timestamp) -> Result<()> {
    write(gateway, &waiting.approval, Expect::Any, now).await?;
    let detail = json!({
        waiting.approval.owner.kind(): waiting.approval.owner.name(),
        "entity_id": waiting.approval.entity_id,
        "key": waiting.key,
        "changes": waiting.changes,
        "actor": by,
    });
    audit(gateway, "metadata.approval", &detail, now).await;
    Ok(())
}

async fn write(gateway: &Gateway, approval: &Approval, expect: Expect, now: Timestamp) -> Result<()> {
    let body =
        serde_json::to_string(approval).map_err(|error| Error::new(ErrorKind::Internal, "a record cannot be written").because(error))?;
    let id = approval.object_id();
    let write = ObjectWrite { kind: KIND, id: &id, name: None, body: Some(&body), expect };
    gateway.directory.write_objects(&[write], now).await.map(drop)
}

/// Reads the stored form.
///
/// # Errors
/// When it is none.
pub fn stored(body: &Map<String, Value>) -> Result<Made, Vec<Fault>> {
    let wrong = |error: serde_json::Error| Fault { pointer: String::new(), message: error.to_string(), help: String::new() };
    serde_json::from_value(Value::Object(body.clone())).map(Made::MetadataApproval).map_err(|error| vec![wrong(error)])
}

async fn tell(gateway: &Gateway, tended: &Tended, events: Vec<Event>, now: Timestamp) {
    let (of, source) = (&tended.owner, tended.shown());
    let mut changes: Vec<(&'static str, String)> = Vec::new();
    let states: Vec<(&'static str, String)> = AUDITED.iter().map(|kind| (*kind, state(tended, kind, &events, now))).collect();
    for event in events {
        let text = event.to_string();
        match &event {
            Event::Failed { .. } | Event::Expired { .. } | Event::Gone => {
                tracing::warn!(%of, source, "metadata: {text}");
            }
            Event::Held(_) => tracing::warn!(%of, source, "metadata: {text}; see isthmus metadata show"),
            _ => tracing::info!(%of, source, "metadata: {text}"),
        }
        if let Some(kind) = audited(&event) {
            changes.push((kind, text));
        }
    }
    for (kind, state) in states {
        let texts: Vec<&str> = changes.iter().filter(|(of, _)| *of == kind).map(|(_, text)| text.as_str()).collect();
        if texts.is_empty() || !is_first(gateway, of, &source, kind, &state, now).await {
            continue;
        }
        let shown: Vec<String> = texts.iter().take(SHOWN).map(|text| text.chars().take(CHARACTERS).collect()).collect();
        let detail = json!({ of.kind(): of.name(), "source": source, "count": texts.len(), "changes": shown });
        audit(gateway, kind, &detail, now).await;
    }
}

/// What these events of one kind have led to, the same on every node.
fn state(tended: &Tended, kind: &str, events: &[Event], now: Timestamp) -> String {
    let mut changed = BTreeSet::new();
    let mut led_to = Vec::new();
    for event in events.iter().filter(|event| audited(event) == Some(kind)) {
        match event {
            Event::Changed { entity_id, .. } => drop(changed.insert(entity_id.as_str())),
            Event::Members { .. } => {
                let snapshot = tended.snapshot(None, now);
                let members: BTreeSet<&str> =
                    snapshot.iter().flat_map(|snapshot| snapshot.aggregate().entities()).map(|entity| &*entity.entity_id).collect();
                led_to.push(format!("{members:?}"));
            }
            Event::Held(pending) => led_to.push(format!("held {}", pending.key)),
            Event::Approved(pending) => led_to.push(format!("approved {}", pending.key)),
            other => led_to.push(other.to_string()),
        }
    }
    led_to.push(tended.state(&changed.into_iter().collect::<Vec<_>>(), now));
    id::hex(&id::sha256(led_to.join("\n").as_bytes()))
}

/// Is this the first node that says so? It is if nobody has written down that state, and this node does.
async fn is_first(gateway: &Gateway, of: &Owner, source: &str, kind: &str, state: &str, now: Timestamp) -> bool {
    let id = format!("{}!{kind}", of.key());
    let told = Told { source: source.to_owned(), state: state.to_owned() };
    let Ok(body) = serde_json::to_string(&told) else { return true };
    for _ in 0..TRIES {
        // Without the directory nothing is audited either, and that is said then.
        let Ok(stored) = gateway.directory.object(TOLD, &id).await else { return true };
        let known = stored.as_ref().and_then(|stored| serde_json::from_str::<Told>(&stored.body).ok());
        if known.as_ref() == Some(&told) {
            return false;
        }
        let expect = stored.map_or(Expect::Nothing, |stored| Expect::Version(stored.version));
        let write = ObjectWrite { kind: TOLD, id: &id, name: None, body: Some(&body), expect };
        match gateway.directory.write_objects(&[write], now).await {
            Err(error) if error.kind == ErrorKind::Conflict => {}
            _ => return true,
        }
    }
    true
}

/// What was told last of one kind of events at one source.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    source: String,
    state: String,
}

const fn audited(event: &Event) -> Option<&'static str> {
    match event {
        Event::Loaded { .. } | Event::Failed { .. } => None,
        Event::Changed { .. } | Event::Members { .. } | Event::Gone => Some("metadata.changed"),
        Event::Held(_) | Event::Withdrawn { .. } => Some("metadata.held"),
        Event::Approved(_) => Some("metadata.approved"),
        Event::Expired { .. } => Some("metadata.expired"),
    }
}

async fn audit(gateway: &Gateway, kind: &str, detail: &Value, now: Timestamp) {
    let event = AuditEvent { at: now, kind: kind.to_owned(), correlation_id: id::correlation_id(), detail: detail.to_string() };
    if let Err(error) = gateway.directory.audit(&event).await {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::error!(kind, source, "metadata have changed and that cannot be audited");
    }
}

/// How a source fares, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    #[serde(flatten)]
    pub owner: Owner,
    /// Without the query of an address.
    pub source: String,
    /// Those in force; `None`: there are none.
    pub entities: Option<usize>,
    /// Left out because something is wrong with them.
    pub faults: Option<usize>,
    pub valid_until: Option<String>,
    /// When it is looked at next.
    pub due: Option<String>,
    pub failure: Option<Failure>,
    pub waiting: Vec<Waiting>,
}

/// The last refresh failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub at: String,
    pub reason: String,
    /// In a row.
    pub count: u32,
}

/// A change that waits for an operator, and what approving it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub key: String,
    pub since: String,
    pub changes: Vec<String>,
    pub approval: Approval,
}

/// All sources, by the names of who uses them.
pub fn reports(gateway: &Gateway, now: Timestamp) -> Vec<Report> {
    gateway.feeds.all().iter().map(|tended| report(tended, now)).collect()
}

fn report(tended: &Tended, now: Timestamp) -> Report {
    let snapshot = tended.snapshot(None, now);
    let statuses = tended.status();
    let waiting = statuses.iter().flat_map(|(_, status)| &status.pending).map(|pending| waiting(tended, pending));
    let failure = statuses.iter().filter_map(|(_, status)| status.failure.as_ref()).max_by_key(|(at, ..)| *at);
    let valid_until =
        snapshot.as_ref().and_then(|snapshot| snapshot.valid_until(tended.role(), tended.sole(snapshot, now).as_deref(), now));
    Report {
        owner: tended.owner.clone(),
        source: tended.shown(),
        entities: snapshot.as_ref().map(|snapshot| snapshot.aggregate().len()),
        faults: snapshot.as_ref().map(|snapshot| snapshot.aggregate().fault_count()),
        valid_until: valid_until.map(|until| until.to_string()),
        due: statuses.iter().map(|(_, status)| status.due).min().filter(|due| *due > Timestamp::from_seconds(0)).map(|due| due.to_string()),
        failure: failure.map(|(at, reason, count)| Failure { at: at.to_string(), reason: reason.clone(), count: *count }),
        waiting: waiting.collect(),
    }
}

fn waiting(tended: &Tended, pending: &Pending) -> Waiting {
    Waiting {
        key: pending.key.clone(),
        since: pending.since.to_string(),
        changes: pending.changes.iter().map(ToString::to_string).collect(),
        approval: tended.approval(&pending.entity_id, pending.places.clone()),
    }
}

/// Of the stored object.
const KIND: &str = "metadata_approval";
/// Of the objects that say what was told last.
pub const TOLD: &str = "metadata_told";
/// How often a node tries to be first.
const TRIES: usize = 5;
/// How long a source may want something before that is seen.
const EVERY: Duration = Duration::from_secs(1);
/// Sources that are looked after at the same time.
const AT_ONCE: usize = 8;
/// Kinds of lines in the audit log.
const AUDITED: [&str; 4] = ["metadata.changed", "metadata.held", "metadata.approved", "metadata.expired"];
/// Changes of one line, and characters of each.
const SHOWN: usize = 50;
const CHARACTERS: usize = 4000;
