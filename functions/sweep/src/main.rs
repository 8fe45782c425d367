//! Compares the records with AWS Config's own state, and sees to what is overdue.

use app::ports::Clock as _;
use app::sweep::{Sweep, asked};
use aws::runtime::{self, Failure};
use aws::settings::{SweepSettings, environment};
use aws::{Clients, StateTable, SystemClock, metrics};
use lambda_runtime::Error;
use std::time::Duration;

/// What is left of an invocation, at the least, after look-ups and findings: the records of all deliveries.
const RESERVE: Duration = Duration::from_secs(20);
/// The longest that a sweep looks up and imports where the invocation has no deadline.
const MOST: Duration = Duration::from_mins(14);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = SweepSettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let table = StateTable::new(clients.dynamodb(), &settings.state_table_name);
    let channels = &clients.channels(&settings.telling());
    let resources = &clients.aggregator(settings.config_aggregator_name.clone());
    let (source, organization) = (&clients.compliance(&settings), &clients.organization(&settings));
    let table = &table;
    runtime::run(move |event, context| async move {
        let deadline = runtime::deadline(&context, RESERVE, MOST);
        let sweep = Sweep {
            store: table.clone(),
            outlets: channels.until(deadline),
            directory: table.clone(),
            resources: resources.until(deadline),
            source: source.clone(),
            organization: organization.clone(),
            clock: SystemClock,
        };
        asked(&event, SystemClock.now()).map_err(Failure::event)?;
        let swept = sweep.run(|| runtime::time_left(&context)).await.map_err(|error| Failure::port(&error))?;
        metrics::emit_counts(&sweep.clock, "sweep", &swept);
        runtime::document(&swept)
    })
    .await
}
