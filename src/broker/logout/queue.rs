//! The queue of messages to those who did not take them: looked at by every node, each message sent by one of them.

use crate::broker::live::Live;
use crate::clock::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const POLL: Duration = Duration::from_secs(1);
/// Messages that one node sends at once.
const AT_ONCE: usize = 16;
/// Seconds for which a message is its sender's: longer than a try takes.
const LEASE: i64 = 30;
/// What is under way at a stop has this long. What is not through then is sent by whoever looks when its lease is over.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// Sends what is due until `stop` turns true, or its sender goes.
pub async fn deliver_queued(live: Arc<Live>, clock: fn() -> Timestamp, mut stop: watch::Receiver<bool>) {
    let mut sending = JoinSet::new();
    let mut failing = false;
    while !*stop.borrow() && stop.has_changed().is_ok() {
        while sending.len() < AT_ONCE {
            let (gateway, now) = (live.gateway(), clock());
            match gateway.directory.claim_message(now, now.plus_seconds(LEASE)).await {
                Ok(Some(queued)) => {
                    failing = false;
                    sending.spawn(async move {
                        if let Err(error) = gateway.tell_queued(&queued, now).await {
                            tracing::warn!(%error, "what came of a queued message cannot be written");
                        }
                    });
                }
                Ok(None) => {
                    failing = false;
                    break;
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "the queue of messages cannot be read");
                    }
                    failing = true;
                    break;
                }
            }
        }
        tokio::select! {
            () = sleep(POLL) => {}
            Some(_) = sending.join_next() => {}
            _ = stop.changed() => {}
        }
    }
    let _ = timeout(LAST_WORDS, async { while sending.join_next().await.is_some() {} }).await;
}
