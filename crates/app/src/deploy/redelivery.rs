//! The next attempt after a failed one.
//!
//! The deploy queue is FIFO with one message group: as long as one message is in flight, every other trigger waits behind it. A failed
//! batch therefore becomes visible again after seconds, not at the end of the visibility timeout, which is there for an invocation that
//! ended without a response.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use tracing::warn;

use crate::deploy::ports::TriggerQueue;
use crate::events::BatchMessage;

/// The delay before the second attempt, without jitter. It grows by as much with each receive.
const STEP: Duration = Duration::from_secs(15);
/// The delay grows up to this many steps.
const STEPS: u32 = 3;
/// The longest delay, jitter included.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Makes a failed batch visible again after [`delay`]. If that fails, the visibility timeout of the queue applies.
pub async fn redeliver(queue: &impl TriggerQueue, messages: &[BatchMessage]) {
    let receipts: Vec<&str> =
        messages.iter().map(|message| message.receipt.as_str()).filter(|receipt| !receipt.is_empty()).collect();
    if receipts.is_empty() {
        return;
    }
    if let Err(error) = queue.redeliver(&receipts, delay(messages)).await {
        warn!(%error, "the failed batch stays in flight until the visibility timeout of the queue ends");
    }
}

/// The delay before the next attempt: 15 to 20 s after the first receive, 30 to 40 s after the second, then 45 to 60 s. The message
/// received most often decides for the whole batch, so that the messages of a group keep their order. The jitter is derived from the
/// message id: equal input, equal delay.
pub fn delay(messages: &[BatchMessage]) -> Duration {
    let most = messages.iter().max_by_key(|message| message.receives);
    let receives = most.map_or(1, |message| message.receives);
    let base = STEP.saturating_mul(receives.clamp(1, STEPS));
    let id = most.map_or("", |message| message.id.as_str());
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((id, receives));
    // A third of the base at most, in milliseconds.
    let jitter = u64::try_from(base.as_millis() / 3).ok().and_then(|most| hash.checked_rem(most.saturating_add(1)));
    base.saturating_add(Duration::from_millis(jitter.unwrap_or_default())).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, receives: u32) -> BatchMessage {
        BatchMessage {
            id: id.into(),
            receipt: format!("receipt-{id}"),
            receives,
            body: String::new(),
            event: Err("none".into()),
        }
    }

    #[test]
    fn delay_grows_with_receive_count_and_has_jitter() {
        for (receives, from, to) in
            [(0, 15, 20), (1, 15, 20), (2, 30, 40), (3, 45, 60), (10, 45, 60), (u32::MAX, 45, 60)]
        {
            let delays: std::collections::BTreeSet<Duration> =
                (0..100).map(|n| delay(&[message(&format!("m-{n}"), receives)])).collect();
            let range = Duration::from_secs(from)..=Duration::from_secs(to);
            assert!(delays.iter().all(|delay| range.contains(delay)), "{receives}: {delays:?}");
            assert!(delays.len() > 50, "{receives}: hardly any jitter: {delays:?}");
        }
    }

    #[test]
    fn delay_follows_the_most_received_message() {
        let both = delay(&[message("new", 1), message("old", 3), message("newer", 1)]);
        assert_eq!(both, delay(&[message("old", 3)]));
        assert_eq!(delay(&[]), delay(&[message("", 1)]));
    }
}
