//! Numbers made of the log: logins of a day, people of a month. Older than the log is kept there are none.

use super::call::{Call, Reply};
use super::problem::Refusal;
use super::shape::{Kind, Member, Shape, fault, may, must};
use super::{Answer, Body, Operation};
use crate::clock::Timestamp;
use serde_json::{Value, json};

const DAY: Shape = Shape {
    name: "DailyStats",
    members: &[
        must("date", Kind::Formatted("date-time", 40), "Its beginning, UTC"),
        must("logins", Kind::Integer(0, i64::MAX), ""),
        must("signups", Kind::Integer(0, i64::MAX), "Users who came for the first time"),
        must("leaked_passwords", Kind::Integer(0, 0), "Always 0: nobody looks for them"),
        must("created_at", Kind::Formatted("date-time", 40), ""),
        must("updated_at", Kind::Formatted("date-time", 40), ""),
    ],
    open: false,
    example: r#"{"date": "2026-11-21T00:00:00Z", "logins": 12, "signups": 1, "leaked_passwords": 0, "created_at": "2026-11-21T00:00:00Z", "updated_at": "2026-11-21T09:00:00Z"}"#,
};

const DAYS: &[Member] = &[
    may("from", Kind::Text(8, 8), "First day, as in 20261101; 30 days before the last if it is not said"),
    may("to", Kind::Text(8, 8), "Last day; today if it is not said"),
];

/// Days of one answer.
const MOST: i64 = 366;
const SECONDS: i64 = 24 * 3600;

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Stats", GET "/stats/daily" "get_daily" "Logins and new users, day by day",
        &["read:stats"], &[DAYS], Body::Nothing, (200, Answer::List(&DAY)), &[], daily),
    operation!("Stats", GET "/stats/active-users" "get_active_users" "How many users have signed in during the last 30 days",
        &["read:stats"], &[], Body::Nothing, (200, Answer::Any), &[], active),
];

async fn daily(call: Call) -> Result<Reply, Refusal> {
    let wrong = |name: &str, message: &str| Refusal::from(vec![fault(&format!("/{name}"), message)]).with_code("invalid_query_string");
    let day =
        |name: &str| call.text(name).map(|text| read(text).ok_or_else(|| wrong(name, "is no day; write it as in 20261121"))).transpose();
    let today = Timestamp::from_seconds(call.now.seconds() - call.now.seconds().rem_euclid(SECONDS));
    let last = day("to")?.unwrap_or(today);
    let first = day("from")?.unwrap_or_else(|| last.plus_seconds(-30 * SECONDS));
    if first > last || last.seconds_since(first) >= MOST * SECONDS {
        return Err(wrong("from", "must be a day before `to`, and not more than a year"));
    }
    let days = call.gateway.directory.log_days(first, last.plus_seconds(SECONDS)).await?;
    let shown = |day: &crate::store::LogDay| {
        let end = day.day.plus_seconds(SECONDS).min(call.now);
        json!({
            "date": day.day.to_string(), "logins": day.logins, "signups": day.signups, "leaked_passwords": 0,
            "created_at": day.day.to_string(), "updated_at": end.to_string(),
        })
    };
    Ok(Reply::ok(days.iter().map(shown).collect()))
}

async fn active(call: Call) -> Result<Reply, Refusal> {
    let since = call.now.plus_seconds(-30 * SECONDS);
    Ok(Reply::ok(Value::from(call.gateway.directory.active_users(since).await?)))
}

/// `YYYYMMDD`.
fn read(text: &str) -> Option<Timestamp> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    Timestamp::parse(&format!("{year}-{month}-{day}T00:00:00Z"))
}
