//! The log of what happened, of everybody and of one user.

mod query;

use super::call::{Call, Reply, bounds, paged, selected};
use super::problem::Refusal;
use super::shape::{Kind, Member, Shape, may};
use super::users::existing;
use super::{Answer, Body, CHECKPOINT, FIELDS, Operation, PAGES};
use crate::error::ErrorKind;
use crate::store::{LogEvent, LogFilter, LogPage};
use serde_json::{Value, json};

pub const LOG_EVENT: Shape = Shape {
    name: "LogEvent",
    members: &[
        may("log_id", Kind::Text(1, 64), "Sorts by time"),
        may("_id", Kind::Text(1, 64), "The same"),
        may("date", Kind::Formatted("date-time", 40), ""),
        may("type", Kind::Text(1, 40), "Such as `s`, a login that went well"),
        may("description", Kind::Text(0, 2000), ""),
        may("client_id", Kind::Text(0, 600), ""),
        may("client_name", Kind::Text(0, 600), ""),
        may("connection", Kind::Text(0, 600), ""),
        may("connection_id", Kind::Text(0, 600), ""),
        may("ip", Kind::Text(0, 600), ""),
        may("user_agent", Kind::Text(0, 600), ""),
        may("user_id", Kind::Text(0, 6000), ""),
        may("user_name", Kind::Text(0, 600), ""),
        may("hostname", Kind::Text(0, 600), ""),
        may("scope", Kind::Text(0, 600), ""),
        may("audience", Kind::Text(0, 600), ""),
        may("details", Kind::Any, ""),
    ],
    open: false,
    example: r#"{"log_id": "0000019be4b3f8a00000000112ab34cd", "_id": "0000019be4b3f8a00000000112ab34cd", "date": "2026-11-21T09:00:00Z", "type": "s", "client_id": "notes", "connection": "acme", "ip": "192.0.2.7", "user_id": "samlp|acme|jane"}"#,
};

const LISTING: &[Member] = &[
    may("q", Kind::Text(0, 4096), "Terms with AND: type, user_id, client_id, connection, date:[from TO to]"),
    may("search", Kind::Text(0, 4096), "Another name of q"),
    may("sort", Kind::OneOf(&["date:-1", "date:1"]), "The newest first, or the oldest"),
];

const OF_ONE_ID: &[Member] = &[may("sort", Kind::OneOf(&["date:-1", "date:1"]), "The newest first, or the oldest")];

/// As far as one can go page by page.
const REACHED: usize = 1000;

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Logs", GET "/logs" "get_logs" "What happened: a page, or with `from` what came after an event",
        &["read:logs"], &[PAGES, CHECKPOINT, FIELDS, LISTING], Body::Nothing, (200, Answer::Page(&LOG_EVENT, "logs")), &[], list),
    operation!("Logs", GET "/logs/{id}" "get_logs_by_id" "One event",
        &["read:logs"], &[], Body::Nothing, (200, Answer::One(&LOG_EVENT)), &[404], get),
    operation!("Users", GET "/users/{id}/logs" "get_logs_by_user" "What happened to one user",
        &["read:logs", "read:logs_users"], &[PAGES, OF_ONE_ID], Body::Nothing, (200, Answer::Page(&LOG_EVENT, "logs")), &[404], of_user),
];

async fn list(call: Call) -> Result<Reply, Refusal> {
    let wrong = |message: String| Refusal::new(ErrorKind::InvalidRequest, message).with_code("invalid_query_string");
    let filter = query::parse(call.text("q").or_else(|| call.text("search")).unwrap_or_default())
        .map_err(|message| wrong(format!("q: {message}")))?;
    if !(call.query.contains_key("from") || call.query.contains_key("take")) {
        return page(&call, filter).await;
    }
    // Pages are named by SDKs even so, and mean nothing then.
    if ["q", "search", "sort"].iter().any(|name| call.query.contains_key(*name)) {
        return Err(wrong("from and take do not go with q and sort".to_owned()));
    }
    // As Auth0: from here to the present, the oldest first; without a beginning, from the oldest that is kept.
    let after = LogPage::After(call.text("from").unwrap_or_default().to_owned());
    let events = call.gateway.directory.log_events(&filter, &after, call.number("take").unwrap_or(50)).await?;
    Ok(Reply::ok(events.iter().map(|event| selected(&call, shown(event))).collect()))
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    let missing = || Refusal::new(ErrorKind::NotFound, "The log event does not exist.").with_code("inexistent_log");
    let event = call.gateway.directory.log_event(call.name("id")).await?.ok_or_else(missing)?;
    Ok(Reply::ok(shown(&event)))
}

async fn of_user(call: Call) -> Result<Reply, Refusal> {
    let user = existing(&call, call.name("id")).await?;
    page(&call, LogFilter { user_id: Some(user.user_id), ..LogFilter::default() }).await
}

async fn page(call: &Call, filter: LogFilter) -> Result<Reply, Refusal> {
    let (start, limit) = bounds(call);
    if start.saturating_add(limit) > REACHED {
        let message = format!("Only the first {REACHED} events can be paged through; use from and take");
        return Err(Refusal::new(ErrorKind::InvalidRequest, message).with_code("invalid_query_string"));
    }
    let order = if call.text("sort") == Some("date:1") { LogPage::After(String::new()) } else { LogPage::Newest };
    // To say how many there are, as many as can be reached are counted.
    let wanted = if call.flag("include_totals") == Some(true) { REACHED } else { start + limit };
    let events = call.gateway.directory.log_events(&filter, &order, wanted).await?;
    let total = events.len();
    let shown = events.iter().skip(start).take(limit).map(|event| selected(call, shown(event))).collect();
    Ok(Reply::ok(paged(call, "logs", shown, total)))
}

fn shown(event: &LogEvent) -> Value {
    let mut shown = serde_json::to_value(event).unwrap_or_else(|_| json!({}));
    if let Some(members) = shown.as_object_mut() {
        members.insert("_id".to_owned(), event.log_id.as_str().into());
    }
    shown
}
