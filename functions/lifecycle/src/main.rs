//! The CloudFormation custom resource. Each request is answered: here, or by `deploy` when its work is done.

use std::sync::Arc;

use lambda_runtime::Error;

use app::lifecycle::StackLifecycle;
use app::lifecycle::ports::LifecycleEnv;
use aws::runtime;
use aws::settings::{LifecycleSettings, environment};
use aws::{Clients, SignedUrlResponder, SqsDeployQueue, StateTable, SystemClock};

mod answer;

/// The adapters of this function.
enum AwsLifecycle {}

impl LifecycleEnv for AwsLifecycle {
    type Requests = StateTable;
    type Queue = SqsDeployQueue;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    // Missing settings must not end the process before the request is answered.
    let lifecycle = match LifecycleSettings::from_env(environment) {
        Ok(settings) => {
            let clients = Clients::connect().await;
            Ok(Arc::new(StackLifecycle::<AwsLifecycle> {
                requests: StateTable::new(&clients, &settings.state_table_name),
                queue: SqsDeployQueue::new(&clients, &settings.deploy_queue_url),
                clock: SystemClock,
            }))
        }
        Err(missing) => Err(missing.to_string()),
    };
    let responder = &SignedUrlResponder::persistent();
    let lifecycle = &lifecycle;
    runtime::run(move |event, context| answer::handle(event, context, lifecycle, responder)).await
}
