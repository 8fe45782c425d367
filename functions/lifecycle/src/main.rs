//! The CloudFormation custom resource. Whatever happens, CloudFormation is answered: here, or by `deploy` once it has done what
//! was asked.

use app::lifecycle::Lifecycle;
use aws::runtime;
use aws::settings::{LifecycleSettings, environment};
use aws::{Clients, Queue, SignedUrlResponder, StateTable, SystemClock};
use lambda_runtime::Error;
use std::sync::Arc;

mod answer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    // Missing settings must not end the process: the request behind this start would never be answered.
    let lifecycle = match LifecycleSettings::from_env(environment) {
        Ok(settings) => {
            let clients = Clients::connect().await;
            Ok(Arc::new(Lifecycle {
                requests: StateTable::new(clients.dynamodb(), &settings.state_table_name),
                queue: Queue::new(clients.sqs(), &settings.deploy_queue_url),
                clock: SystemClock,
            }))
        }
        Err(missing) => Err(missing.to_string()),
    };
    let responder = &SignedUrlResponder::untiring();
    let lifecycle = &lifecycle;
    runtime::run(move |event, context| answer::handle(event, context, lifecycle, responder)).await
}
