//! Messages that wait to be sent again.

use super::{NOW, race};
use crate::id::random_id;
use crate::store::{Directory, QueuedMessage};
use std::sync::Arc;

pub(super) async fn all(directory: &Arc<dyn Directory>) {
    one_message_from_the_queue_to_its_end(&**directory).await;
    of_many_who_claim_a_message_one_gets_it(directory).await;
}

fn message(due_in: i64) -> QueuedMessage {
    let (due_at, expires_at) = (NOW.plus_seconds(due_in), NOW.plus_seconds(9000));
    QueuedMessage { id: random_id(), message: r#"{"a":"ü"}"#.to_owned(), attempts: 0, due_at, expires_at }
}

async fn one_message_from_the_queue_to_its_end(directory: &dyn Directory) {
    let at = |seconds| NOW.plus_seconds(seconds);
    let claim = async |now: i64| directory.claim_message(at(now), at(now + 30)).await.expect("an answer");
    assert_eq!(claim(1000).await, None);
    let (first, second) = (message(10), message(5));
    directory.queue_messages(&[first.clone(), second.clone()]).await.expect("queued");
    directory.queue_messages(std::slice::from_ref(&first)).await.expect("queued before");
    assert_eq!(claim(4).await, None, "not due yet");
    assert_eq!(claim(10).await, Some(QueuedMessage { attempts: 1, due_at: at(40), ..second.clone() }), "the one that waits longest");
    assert_eq!(claim(10).await, Some(QueuedMessage { attempts: 1, due_at: at(40), ..first.clone() }));
    assert_eq!(claim(39).await, None, "both are somebody's");
    assert!(directory.put_off_message(&second.id, 1, at(20)).await.expect("put off"));
    assert_eq!(claim(20).await, Some(QueuedMessage { attempts: 2, due_at: at(50), ..second.clone() }));
    assert!(!directory.put_off_message(&second.id, 1, at(21)).await.expect("an answer"), "it is somebody else's claim");
    // Whoever had it is gone: when the lease ends, it is the next one's.
    assert_eq!(claim(40).await, Some(QueuedMessage { attempts: 2, due_at: at(70), ..first.clone() }));
    for id in [&first.id, &second.id] {
        assert!(directory.end_message(id).await.expect("ended"));
        assert!(!directory.end_message(id).await.expect("an answer"));
        assert!(!directory.put_off_message(id, 2, at(0)).await.expect("an answer"));
    }
    assert_eq!(claim(8000).await, None);
    assert!(!directory.end_message("no\0body's").await.expect("an answer"));
}

async fn of_many_who_claim_a_message_one_gets_it(directory: &Arc<dyn Directory>) {
    let messages: Vec<_> = (0..5).map(|_| message(0)).collect();
    directory.queue_messages(&messages).await.expect("queued");
    let claimed = race(12, || {
        let directory = Arc::clone(directory);
        async move { directory.claim_message(NOW, NOW.plus_seconds(30)).await.expect("an answer") }
    });
    let mut ids: Vec<String> = claimed.await.into_iter().flatten().map(|message| message.id).collect();
    // In PostgreSQL, who waited for somebody's claim may go away with nothing; the next look finds the rest.
    while let Some(left) = directory.claim_message(NOW, NOW.plus_seconds(30)).await.expect("an answer") {
        ids.push(left.id);
    }
    let mut expected: Vec<String> = messages.into_iter().map(|message| message.id).collect();
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected, "each once");
    for id in expected {
        directory.end_message(&id).await.expect("ended");
    }
}
