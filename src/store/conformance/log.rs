//! The log of what happened.

use super::NOW;
use crate::clock::Timestamp;
use crate::store::{Directory, LogDay, LogEvent, LogFilter, LogPage, LogType};
use serde_json::json;

const DAY: i64 = 24 * 3600;

pub(super) async fn all(directory: &dyn Directory) {
    events_are_found_by_all_that_is_asked(directory).await;
    days_and_active_users_are_counted(directory).await;
    old_events_go_in_steps(directory).await;
}

/// Ids as the recorder makes them: they begin with the time.
fn event(kind: LogType, at: Timestamp, number: u32, user: Option<&str>) -> LogEvent {
    let log_id = format!("{:016x}{number:08x}00000000", at.millis());
    LogEvent { log_id, user_id: user.map(str::to_owned), ..LogEvent::new(kind, at) }
}

async fn ids(directory: &dyn Directory, filter: &LogFilter, page: LogPage, limit: usize) -> Vec<u32> {
    let events = directory.log_events(filter, &page, limit).await.expect("read");
    events.iter().map(|event| u32::from_str_radix(&event.log_id[16..24], 16).expect("a number")).collect()
}

async fn events_are_found_by_all_that_is_asked(directory: &dyn Directory) {
    let full = LogEvent {
        description: Some("ü '; DROP TABLE log_events; --".into()),
        client_id: Some("notes".into()),
        connection: Some("acme".into()),
        details: Some(json!({"n": [1, null, {"ü": "\u{0}"}]})),
        ..event(LogType::Login, NOW, 1, Some("jane"))
    };
    let odd = LogEvent { user_id: Some("a\0b".into()), ..event(LogType::FailedLogin, NOW.plus_seconds(1), 2, None) };
    let others: Vec<LogEvent> =
        (3..=6).map(|number| event(LogType::Logout, NOW.plus_seconds(i64::from(number)), number, Some("bob"))).collect();
    let events: Vec<LogEvent> = [vec![full.clone(), odd.clone()], others].concat();
    directory.insert_log_events(&events).await.expect("written");
    directory.insert_log_events(&events[..2]).await.expect("written twice is written once");
    directory.insert_log_events(&[]).await.expect("nothing to do");
    assert_eq!(directory.log_event(&full.log_id).await.expect("read"), Some(full.clone()));
    assert_eq!(directory.log_event(&odd.log_id).await.expect("read"), Some(odd));
    for absent in ["nothing", "a\0b"] {
        assert_eq!(directory.log_event(absent).await.expect("an answer"), None);
    }
    let any = LogFilter::default();
    assert_eq!(ids(directory, &any, LogPage::Newest, 100).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(ids(directory, &any, LogPage::Newest, 2).await, [6, 5]);
    assert_eq!(ids(directory, &any, LogPage::Before(events[4].log_id.clone()), 2).await, [4, 3]);
    assert_eq!(ids(directory, &any, LogPage::After(events[1].log_id.clone()), 3).await, [3, 4, 5]);
    assert_eq!(ids(directory, &any, LogPage::After(String::new()), 2).await, [1, 2]);
    let user = |user: &str| LogFilter { user_id: Some(user.into()), ..LogFilter::default() };
    for (filter, expected) in [
        (user("bob"), vec![6, 5, 4, 3]),
        (user("' OR 1=1"), vec![]),
        (LogFilter { kind: Some(LogType::Login), ..LogFilter::default() }, vec![1]),
        (LogFilter { client_id: Some("notes".into()), ..LogFilter::default() }, vec![1]),
        (LogFilter { connection: Some("acme".into()), ..LogFilter::default() }, vec![1]),
        (LogFilter { from: Some(NOW.plus_seconds(5)), ..LogFilter::default() }, vec![6, 5]),
        (LogFilter { to: Some(NOW.plus_seconds(1)), ..LogFilter::default() }, vec![1]),
        (LogFilter { kind: Some(LogType::Logout), from: Some(NOW), to: Some(NOW.plus_seconds(5)), ..user("bob") }, vec![4, 3]),
        (LogFilter { kind: Some(LogType::Login), ..user("bob") }, vec![]),
    ] {
        assert_eq!(ids(directory, &filter, LogPage::Newest, 100).await, expected, "{filter:?}");
    }
}

async fn days_and_active_users_are_counted(directory: &dyn Directory) {
    // The first full day after everything above.
    let day = Timestamp::from_seconds((NOW.seconds() / DAY + 10) * DAY);
    let events = [
        event(LogType::Login, day, 10, Some("jane")),
        event(LogType::Login, day.plus_seconds(DAY - 1), 11, Some("jane")),
        event(LogType::Signup, day.plus_seconds(5), 12, Some("jane")),
        event(LogType::FailedLogin, day.plus_seconds(6), 13, Some("mallory")),
        event(LogType::SilentLogin, day.plus_seconds(7), 14, Some("ann")),
        event(LogType::Login, day.plus_seconds(3 * DAY), 15, Some("bob")),
        event(LogType::Login, day.plus_seconds(3 * DAY), 16, None),
    ];
    directory.insert_log_events(&events).await.expect("written");
    let days = directory.log_days(day, day.plus_seconds(9 * DAY)).await.expect("counted");
    let third = day.plus_seconds(3 * DAY);
    assert_eq!(days, [LogDay { day, logins: 2, signups: 1 }, LogDay { day: third, logins: 2, signups: 0 }]);
    assert_eq!(directory.log_days(day, day.plus_seconds(3 * DAY)).await.expect("counted").len(), 1);
    assert_eq!(directory.active_users(day).await.expect("counted"), 3);
    assert_eq!(directory.active_users(third).await.expect("counted"), 1);
}

async fn old_events_go_in_steps(directory: &dyn Directory) {
    let before = NOW.plus_seconds(5);
    let mut left = vec![6, 5, 4, 3, 2, 1];
    for (limit, gone) in [(2, 2), (2, 2), (2, 0)] {
        assert_eq!(directory.forget_log_events(before, limit).await.expect("forgotten"), gone);
        left.truncate(left.len() - usize::try_from(gone).expect("few"));
        let filter = LogFilter { to: Some(NOW.plus_seconds(DAY)), ..LogFilter::default() };
        assert_eq!(ids(directory, &filter, LogPage::Newest, 100).await, left, "the oldest go first");
    }
}
