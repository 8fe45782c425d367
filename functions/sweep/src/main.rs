//! Finds what was left undone: notices on record that were never told.

use app::report::Report;
use aws::runtime::{self, Failure};
use aws::settings::{ReportSettings, environment};
use aws::{Clients, ConfigAggregator, StateTable, SystemClock, Topic};
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = ReportSettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let table = StateTable::new(clients.dynamodb(), &settings.state_table_name);
    let report = &Report {
        violations: table.clone(),
        notifier: Topic::new(clients.sns(), &settings.notification_topic_arn),
        frameworks: table,
        resources: ConfigAggregator::new(clients.config(), settings.config_aggregator_name),
        clock: SystemClock,
    };
    runtime::run(move |event, _| async move {
        app::sweep::asked(&event).map_err(Failure::event)?;
        let reported = app::sweep::sweep(report).await.map_err(|error| Failure::port(&error))?;
        runtime::document(&reported)
    })
    .await
}
