//! Turns compliance changes into violations on record, and into notices.

use app::events::Batch;
use app::report::Report;
use aws::runtime::{self, Failure};
use aws::settings::{ReportSettings, environment};
use aws::{Clients, FeedQueue, StateTable, SystemClock, metrics};
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = ReportSettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let table = StateTable::new(clients.dynamodb(), &settings.state_table_name);
    let report = &Report {
        store: table.clone(),
        outlets: clients.channels(&settings.telling()),
        directory: table,
        resources: clients.aggregator(settings.config_aggregator_name.clone()),
        queue: FeedQueue::new(clients.sqs(), &settings.report_queue_url, &settings.dead_letter_queue_url, "report"),
        clock: SystemClock,
        window: settings.digest_window,
    };
    runtime::run(move |event, _| async move {
        let batch = Batch::read(event);
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
