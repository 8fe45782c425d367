//! Rolls the policy out: after pushes, ended StackSet operations, CloudFormation requests, and on a schedule.

use lambda_runtime::Error;

use app::deploy::ports::DeployEnv;
use app::deploy::redelivery::redeliver;
use app::deploy::{Application, Deploy};
use app::events::{Batch, DeployTrigger, trigger};
use aws::metrics::emit_counts;
use aws::runtime::{self, FunctionError};
use aws::settings::{DeploySettings, environment};
use aws::{
    Clients, CloudFormationStackSets, InventoryBucket, OrganizationUnits, PolicyOrigin, SignedUrlResponder,
    SqsDeployQueue, StateTable, SystemClock, Topic, Topics,
};

/// The adapters of this function.
enum AwsDeploy {}

impl DeployEnv for AwsDeploy {
    type Repository = PolicyOrigin;
    type StackSets = CloudFormationStackSets;
    type Organization = OrganizationUnits;
    type Inventories = InventoryBucket;
    type Store = StateTable;
    type Notifier = Topics;
    type Responder = SignedUrlResponder;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = &DeploySettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let deploy = &Deploy::<AwsDeploy> {
        application: Application {
            repository: settings.repository_name.clone(),
            branch: settings.branch_name.clone(),
            policy_file: settings.policy_file.clone(),
            event_bus_arn: settings.compliance_event_bus_arn.clone(),
            comment_on_commits: settings.comment_on_commits,
        },
        repository: clients.policy_origin(
            settings.policy_bucket_name.as_deref(),
            &settings.repository_name,
            &settings.branch_name,
        ),
        stack_sets: CloudFormationStackSets::new(
            &clients,
            clients.template_bucket(&settings.template_bucket_name),
            &settings.administration_role_arn,
            &settings.execution_role_name,
        ),
        organization: clients.organizational_units(settings.organizational_units),
        inventories: clients.inventory_bucket(&settings.template_bucket_name),
        store: StateTable::new(&clients, &settings.state_table_name),
        notifier: Topics::new(
            Topic::new(&clients, &settings.notification_topic_arn),
            settings.chat_topic_arn.as_deref().map(|arn| Topic::chat(&clients, arn)),
        ),
        responder: SignedUrlResponder::default(),
        clock: SystemClock,
    };
    let queue = &SqsDeployQueue::new(&clients, &settings.deploy_queue_url);
    runtime::run(move |event, _| async move {
        let batch = Batch::read(event);
        let triggers = batch.triggers(|event| trigger(event, settings.place()), DeployTrigger::Invalid);
        let reconciled = match triggers.as_slice() {
            // A direct invocation fails with the reason; in a queue an invalid event would block the message group, so it is dropped.
            [DeployTrigger::Invalid(why)] if !batch.queued => Err(FunctionError::event(why.as_str())),
            triggers => deploy.handle(triggers).await.map_err(|error| FunctionError::port(&error)),
        };
        match &reconciled {
            Ok(seen) => emit_counts(&deploy.clock, "deploy", &seen.counts),
            Err(_) => redeliver(queue, &batch.messages).await,
        }
        runtime::answer(&batch, reconciled, |_| Vec::new())
    })
    .await
}
