//! The function `inventory`: keeps an inventory of the organization in the application's bucket.

use std::time::Duration;

use lambda_runtime::Error;
use tokio::time::sleep_until;

use app::inventory::{InventoryEnv, InventoryRenewal, InventoryScope, ReadRequest, check_event};
use aws::runtime::{self, FunctionError};
use aws::settings::{InventorySettings, environment};
use aws::{Clients, ConfigAggregator, InventoryBucket, MemberBackups, SystemClock, metrics};

/// Time reserved for the completed reads to be stored, or the document to be assembled and stored.
const RESERVE: Duration = Duration::from_secs(90);
/// Time limit in an invocation without a deadline.
const LIMIT: Duration = Duration::from_mins(13);
/// Locations that are read concurrently. Rates of AWS Backup apply to each of them.
const JOBS: usize = 32;

/// The adapters of this function.
#[derive(Debug)]
enum AwsInventory {}

impl InventoryEnv for AwsInventory {
    type Store = InventoryBucket;
    type Aggregator = ConfigAggregator;
    type Members = MemberBackups;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = InventorySettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let (aggregator, role) = (settings.config_aggregator_name, settings.inventory_role_name);
    let renewal = &InventoryRenewal::<AwsInventory> {
        store: clients.inventory_bucket(&settings.template_bucket_name),
        aggregator: clients.patient_aggregator(&aggregator),
        members: role.as_deref().map(|role| clients.member_backups(role)),
        request: ReadRequest { aggregator, role, scope: InventoryScope::default() },
        jobs: JOBS,
        clock: SystemClock,
    };
    runtime::run(move |event, context| async move {
        check_event(&event).map_err(FunctionError::event)?;
        let stop = sleep_until(runtime::deadline(&context, RESERVE, LIMIT));
        let renewed = renewal.run(stop).await.map_err(|error| FunctionError::port(&error))?;
        metrics::emit_counts(&renewal.clock, "inventory", &renewed);
        runtime::document(&renewed)
    })
    .await
}
