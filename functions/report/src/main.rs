//! The function `report`: records compliance changes as violations and delivers notices.

use std::time::Duration;

use lambda_runtime::Error;

use app::events::Batch;
use app::report::Report;
use app::report::ports::ReportEnv;
use app::violations::ViolationEnv;
use aws::runtime::{self, FunctionError};
use aws::settings::{ReportSettings, environment};
use aws::{Channels, Clients, ConfigAggregator, SqsReportQueue, StateTable, SystemClock, metrics};

/// Time reserved after the look-ups of names, tags and plans, for the deliveries.
const AFTER_LOOK_UPS: Duration = Duration::from_secs(40);
/// Time limit for all look-ups of a batch.
const LOOK_UPS: Duration = Duration::from_secs(15);
/// Time reserved after the import of findings, for events and the records of deliveries. The sweep imports later findings.
const AFTER_FINDINGS: Duration = Duration::from_secs(20);
/// Time limit for findings in an invocation without a deadline.
const FINDINGS: Duration = Duration::from_secs(40);

/// The adapters of this function.
enum AwsReport {}

impl ViolationEnv for AwsReport {
    type Store = StateTable;
    type Channels = Channels;
    type Resources = ConfigAggregator;
    type Clock = SystemClock;
}

impl ReportEnv for AwsReport {
    type Queue = SqsReportQueue;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = ReportSettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let table = &StateTable::new(&clients, &settings.state_table_name);
    let channels = &clients.channels(&settings.channels());
    let resources = &clients.aggregator(settings.config_aggregator_name.clone());
    let queue = &SqsReportQueue::new(&clients, &settings.report_queue_url, &settings.dead_letter_queue_url, "report");
    let digest_window = settings.digest_window;
    runtime::run(move |event, context| async move {
        let batch = Batch::read(event);
        let report = Report::<AwsReport> {
            store: table.clone(),
            channels: channels.until(runtime::deadline(&context, AFTER_FINDINGS, FINDINGS)),
            resources: resources.until(runtime::deadline(&context, AFTER_LOOK_UPS, LOOK_UPS)),
            queue: queue.clone(),
            clock: SystemClock,
            digest_window,
        };
        let reported = report.handle(&batch.messages).await;
        metrics::emit_counts(&report.clock, "report", &reported);
        // A direct invocation returns the error, a queue the messages to redeliver.
        let outcome = match reported.failures.as_slice() {
            [] => Ok(reported),
            _ if batch.queued => Ok(reported),
            failures => Err(FunctionError::event(failures.join("; "))),
        };
        runtime::answer(&batch, outcome, |reported| reported.failed.iter().cloned().collect())
    })
    .await
}
