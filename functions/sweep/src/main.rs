//! The function `sweep`: compares the records with AWS Config and makes pending deliveries.

use std::time::Duration;

use lambda_runtime::Error;

use app::ports::Clock as _;
use app::sweep::ports::SweepEnv;
use app::sweep::{Sweep, check_event};
use app::violations::ViolationEnv;
use aws::runtime::{self, FunctionError};
use aws::settings::{SweepSettings, environment};
use aws::{
    Channels, Clients, ConfigAggregator, ConfigCompliance, OrganizationAccounts, StateTable, SystemClock, metrics,
};

/// Time reserved after look-ups and findings, for the records of deliveries.
const RESERVE: Duration = Duration::from_secs(20);
/// Time limit for look-ups and findings in an invocation without a deadline.
const LIMIT: Duration = Duration::from_mins(14);

/// The adapters of this function.
enum AwsSweep {}

impl ViolationEnv for AwsSweep {
    type Store = StateTable;
    type Channels = Channels;
    type Resources = ConfigAggregator;
    type Clock = SystemClock;
}

impl SweepEnv for AwsSweep {
    type Source = ConfigCompliance;
    type Organization = OrganizationAccounts;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = SweepSettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let table = &StateTable::new(&clients, &settings.state_table_name);
    let channels = &clients.channels(&settings.channels());
    let resources = &clients.aggregator(settings.config_aggregator_name.clone());
    let (source, organization) = (&clients.compliance(&settings), &clients.organization(&settings));
    runtime::run(move |event, context| async move {
        let deadline = runtime::deadline(&context, RESERVE, LIMIT);
        let sweep = Sweep::<AwsSweep> {
            store: table.clone(),
            channels: channels.until(deadline),
            resources: resources.until(deadline),
            source: source.clone(),
            organization: organization.clone(),
            clock: SystemClock,
        };
        check_event(&event, SystemClock.now()).map_err(FunctionError::event)?;
        let swept = sweep.run(|| runtime::time_left(&context)).await.map_err(|error| FunctionError::port(&error))?;
        metrics::emit_counts(&sweep.clock, "sweep", &swept);
        runtime::document(&swept)
    })
    .await
}
