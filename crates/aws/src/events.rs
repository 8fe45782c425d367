//! The event bus that receives an event for each notice.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use app::ports::{PortError, Result};
use domain::notice::Notice;

use crate::batches::batches;
use crate::clients::Clients;
use crate::error::{failed_entry, unexpected, wrap};

const OPERATION: &str = "events:PutEvents";
const SOURCE: &str = "backup-compliance";
/// Events in one call: the limit of `PutEvents`.
const BATCH: usize = 10;
/// Bytes in one call. `PutEvents` accepts 1 MB; this also fits into the earlier limit of 256 KB.
const BATCH_BYTES: usize = 240 * 1024;

/// An event bus.
#[derive(Debug, Clone)]
pub struct EventBus {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

impl EventBus {
    /// The bus of this name or ARN.
    pub fn new(clients: &Clients, name: &str) -> Self {
        Self { client: aws_sdk_eventbridge::Client::new(&clients.config), name: name.to_owned() }
    }

    /// Puts an event for each notice that has one. Returns the outcome of each notice, in order.
    pub(crate) async fn put(&self, notices: &[Notice]) -> Vec<Result<()>> {
        let mut outcomes = vec![Ok(()); notices.len()];
        let entries = notices.iter().enumerate().filter_map(|(index, notice)| {
            let (kind, detail) = notice.event()?;
            let detail = detail.to_string();
            let size = SOURCE.len().saturating_add(kind.len()).saturating_add(detail.len());
            let entry = PutEventsRequestEntry::builder().event_bus_name(&self.name).source(SOURCE);
            Some((size, (index, entry.detail_type(kind).detail(detail).build())))
        });
        for batch in batches(entries, BATCH, BATCH_BYTES) {
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
        let response = self.client.put_events().set_entries(Some(entries)).send().await;
        let error = match response.map_err(wrap(OPERATION)) {
            // The call also succeeds when EventBridge rejects single events.
            Ok(response) if response.entries().len() == indices.len() => {
                for (index, entry) in indices.into_iter().zip(response.entries()) {
                    if let Some(code) = entry.error_code() {
                        fail(index, failed_entry(OPERATION, code, entry.error_message()));
                    }
                }
                return;
            }
            Ok(response) => {
                let found = response.entries().len();
                unexpected(OPERATION, format!("{} events sent, {found} outcomes in the response", indices.len()))
            }
            Err(error) => error,
        };
        indices.into_iter().for_each(|index| fail(index, error.clone()));
    }
}
