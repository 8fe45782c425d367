//! Compares the records with AWS Config's own state, and sees to what is overdue.

use app::sweep::{Sweep, asked};
use aws::runtime::{self, Failure};
use aws::settings::{SweepSettings, environment};
use aws::{Clients, StateTable, SystemClock, metrics};
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = SweepSettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let table = StateTable::new(clients.dynamodb(), &settings.state_table_name);
    let sweep = &Sweep {
        store: table.clone(),
        outlets: clients.channels(&settings.telling()),
        directory: table,
        resources: clients.aggregator(settings.config_aggregator_name.clone()),
        source: clients.compliance(&settings),
        organization: clients.organization(&settings),
        clock: SystemClock,
    };
    runtime::run(move |event, context| async move {
        let as_of = asked(&event).map_err(Failure::event)?;
        let swept = sweep.run(as_of, || runtime::time_left(&context)).await.map_err(|error| Failure::port(&error))?;
        metrics::emit_counts(&sweep.clock, "sweep", &swept);
        runtime::document(&swept)
    })
    .await
}
