//! Turns compliance changes into violations on record, and into notices.

use app::events::Batch;
use app::report::Report;
use aws::runtime::{self, Failure};
use aws::settings::{ReportSettings, environment};
use aws::{Clients, FeedQueue, StateTable, SystemClock, metrics};
use lambda_runtime::Error;
use std::time::Duration;

/// What is left of an invocation, at the least, after names, tags and plans were looked up: people are still to be notified.
const AFTER_LOOK_UPS: Duration = Duration::from_secs(40);
/// The longest that all look-ups of a batch take together.
const LOOK_UPS: Duration = Duration::from_secs(15);
/// What is left after findings were imported: events and the records of all deliveries. Later findings are left to the sweep.
const AFTER_FINDINGS: Duration = Duration::from_secs(20);
/// The longest that findings take where the invocation has no deadline.
const MOST: Duration = Duration::from_secs(40);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = ReportSettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let table = StateTable::new(clients.dynamodb(), &settings.state_table_name);
    let channels = &clients.channels(&settings.telling());
    let resources = &clients.aggregator(settings.config_aggregator_name.clone());
    let queue = &FeedQueue::new(clients.sqs(), &settings.report_queue_url, &settings.dead_letter_queue_url, "report");
    let (table, window) = (&table, settings.digest_window);
    runtime::run(move |event, context| async move {
        let batch = Batch::read(event);
        let report = Report {
            store: table.clone(),
            outlets: channels.until(runtime::deadline(&context, AFTER_FINDINGS, MOST)),
            directory: table.clone(),
            resources: resources.until(runtime::deadline(&context, AFTER_LOOK_UPS, LOOK_UPS)),
            queue: queue.clone(),
            clock: SystemClock,
            window,
        };
        let reported = report.handle(&batch.messages).await;
        metrics::emit_counts(&report.clock, "report", &reported);
        // A person who tries an event wants to see what is wrong with it; a queue wants to know which messages to keep.
        let outcome = match reported.failures.as_slice() {
            [] => Ok(reported),
            _ if batch.queued => Ok(reported),
            failures => Err(Failure::event(failures.join("; "))),
        };
        runtime::answer(&batch, outcome, |reported| reported.failed.iter().cloned().collect())
    })
    .await
}
