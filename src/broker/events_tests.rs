//! Recording and writing.

use super::*;
use crate::store::{LogFilter, LogPage, LogType, open_directory};
use serde_json::json;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

async fn all(directory: &dyn Directory) -> Vec<LogEvent> {
    directory.log_events(&LogFilter::default(), &LogPage::After(String::new()), 100_000).await.expect("read")
}

#[tokio::test]
async fn events_are_written_in_the_background_and_the_rest_at_the_stop() {
    let directory = open_directory("sqlite::memory:").await.expect("a directory");
    let (recorder, writer) = log_of(Arc::clone(&directory));
    let (stop, stopped) = watch::channel(false);
    let writing = tokio::spawn(writer.run(stopped));
    for number in 0..450 {
        recorder.record(LogEvent { user_id: Some(format!("u{number}")), ..LogEvent::new(LogType::Login, at(5)) });
    }
    // Batches are written when they are full, or when half a second is over.
    for _ in 0..400 {
        if all(&*directory).await.len() == 450 {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    let written = all(&*directory).await;
    let users: Vec<String> = written.iter().filter_map(|event| event.user_id.clone()).collect();
    assert_eq!(users, (0..450).map(|number| format!("u{number}")).collect::<Vec<_>>(), "of one moment in their order");
    recorder.record(LogEvent::new(LogType::Logout, at(4)));
    recorder.record(LogEvent::new(LogType::Logout, at(6)));
    stop.send(true).expect("running");
    writing.await.expect("stopped");
    let written = all(&*directory).await;
    assert_eq!((written.len(), written[0].date, written[451].date), (452, at(4), at(6)), "ids sort by time");
    assert_eq!(directory.log_event(&written[7].log_id).await.expect("read").as_ref(), Some(&written[7]));
    assert_eq!(recorder.dropped(), 0);
    recorder.record(LogEvent::new(LogType::Logout, at(7)));
    assert_eq!(recorder.dropped(), 1, "nobody writes any more");
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted_and_nobody_waits() {
    let directory = open_directory("sqlite::memory:").await.expect("a directory");
    let (recorder, mut writer) = log_of(Arc::clone(&directory));
    for _ in 0..WAITING + 7 {
        recorder.record(LogEvent::new(LogType::Login, at(0)));
    }
    assert_eq!(recorder.dropped(), 7);
    writer.warn_of_dropped();
    let first = writer.told_at.expect("told");
    recorder.record(LogEvent::new(LogType::Login, at(0)));
    writer.warn_of_dropped();
    assert_eq!((writer.told, writer.told_at), (7, Some(first)), "once a minute");
    writer.told_at = first.checked_sub(WARN_EVERY);
    writer.warn_of_dropped();
    assert_eq!(writer.told, 8);
    // A directory that is gone.
    directory.close().await.expect("closed");
    let (_stop, stopped) = watch::channel(true);
    writer.run(stopped).await;
    assert_eq!(recorder.dropped(), WAITING as u64 + 8);
}

#[test]
fn no_secret_enters_and_nothing_is_long() {
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.c2lnbmF0dXJl";
    let event = cleaned(LogEvent {
        description: Some(format!("refused {jwt} here")),
        user_agent: Some("x".repeat(5000)),
        user_name: Some("jane\nadmin".into()),
        audience: Some("Bearer zzz".into()),
        details: Some(json!({
            "password": "zzz", "client_secret": "zzz", "access_token": "zzz", "code": "zzz", "Cookie": "zzz", "SAMLResponse": "zzz",
            "inner": [{"text": jwt, "refresh_token": "zzz", "grant_type": "authorization_code"}],
        })),
        ..LogEvent::new(LogType::FailedCodeExchange, at(0))
    });
    let text = serde_json::to_string(&event).expect("JSON");
    assert!(!text.contains("zzz") && !text.contains("eyJ"), "{text}");
    assert_eq!(event.details.expect("details")["inner"][0]["grant_type"], "authorization_code");
    assert_eq!(event.user_agent.map(|text| text.len()), Some(MAX_TEXT));
    assert_eq!(event.user_name.as_deref(), Some("jane admin"));
    let large = cleaned(LogEvent { details: Some(json!(vec!["x".repeat(500); 100])), ..LogEvent::new(LogType::Login, at(0)) });
    assert!(large.details.expect("said").to_string().len() < 100);
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let deep = cleaned(LogEvent { details: Some(deep), ..LogEvent::new(LogType::Login, at(0)) });
    assert!(deep.details.expect("said").to_string().len() < 100);
}

#[tokio::test]
async fn events_are_kept_for_some_days() {
    let directory = open_directory("sqlite::memory:").await.expect("a directory");
    let (day, count) = (24 * 3600, 2_500);
    let events: Vec<LogEvent> = (0..count).map(|number| cleaned(LogEvent::new(LogType::Login, at(number)))).collect();
    directory.insert_log_events(&events).await.expect("written");
    assert_eq!(forget_old_events(&*directory, 2, at(2 * day)).await.expect("forgotten"), 0);
    assert_eq!(forget_old_events(&*directory, 2, at(2 * day + 2_400)).await.expect("forgotten"), 2_400);
    let left = all(&*directory).await;
    assert_eq!((left.len(), left[0].date), (100, at(2_400)));
}
