//! The event bus that other systems listen on.

use crate::error::{partial, unexpected, wrap};
use app::ports::{PortError, Result};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::notice::Notice;

const OPERATION: &str = "events:PutEvents";
/// The source that rules match.
const SOURCE: &str = "backup-compliance";
/// `PutEvents` takes at most ten events.
const BATCH: usize = 10;
/// And 1 MB in all. Less is asked of it: that limit was 256 KB until 2025, and is still in some Regions' documentation.
const BATCH_BYTES: usize = 240 * 1024;

/// An event bus.
#[derive(Debug, Clone)]
pub struct EventBus {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

impl EventBus {
    /// The bus of this name or ARN.
    #[must_use]
    pub fn new(client: aws_sdk_eventbridge::Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// Puts an event for each notice that has one; the outcome of each notice, in order.
    pub(crate) async fn put(&self, notices: &[Notice]) -> Vec<Result<()>> {
        let mut outcomes = vec![Ok(()); notices.len()];
        let mut batch: Vec<(usize, PutEventsRequestEntry)> = Vec::new();
        let mut bytes = 0_usize;
        let events = notices.iter().enumerate().filter_map(|(index, notice)| Some((index, notice.event()?)));
        for (index, (kind, detail)) in events {
            let detail = detail.to_string();
            let size = SOURCE.len().saturating_add(kind.len()).saturating_add(detail.len());
            if !batch.is_empty() && (batch.len() == BATCH || bytes.saturating_add(size) > BATCH_BYTES) {
                self.put_batch(std::mem::take(&mut batch), &mut outcomes).await;
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            let entry = PutEventsRequestEntry::builder()
                .event_bus_name(&self.name)
                .source(SOURCE)
                .detail_type(kind)
                .detail(detail)
                .build();
            batch.push((index, entry));
        }
        if !batch.is_empty() {
            self.put_batch(batch, &mut outcomes).await;
        }
        outcomes
    }

    async fn put_batch(&self, batch: Vec<(usize, PutEventsRequestEntry)>, outcomes: &mut [Result<()>]) {
        let (indices, entries): (Vec<usize>, Vec<PutEventsRequestEntry>) = batch.into_iter().unzip();
        let mut fail = |index: usize, error: PortError| {
            if let Some(outcome) = outcomes.get_mut(index) {
                *outcome = Err(error);
            }
        };
        match self.client.put_events().set_entries(Some(entries)).send().await {
            // The call succeeds even where single events were refused.
            Ok(answer) if answer.entries().len() == indices.len() => {
                for (index, entry) in indices.into_iter().zip(answer.entries()) {
                    if let Some(code) = entry.error_code() {
                        fail(index, partial(OPERATION, code, entry.error_message()));
                    }
                }
            }
            Ok(answer) => {
                let found = answer.entries().len();
                let error = unexpected(OPERATION, format!("{} events were put, {found} answered for", indices.len()));
                indices.into_iter().for_each(|index| fail(index, error.clone()));
            }
            Err(error) => {
                let error = wrap(OPERATION, &error);
                indices.into_iter().for_each(|index| fail(index, error.clone()));
            }
        }
    }
}
