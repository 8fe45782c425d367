//! Brings what is deployed to what the policy repository says: pushes, ended operations, CloudFormation requests, schedules.

use app::deploy::{Application, Deploy};
use app::events::{Batch, trigger};
use aws::runtime::{self, Failure};
use aws::settings::{DeploySettings, environment};
use aws::{
    Clients, CloudFormationStackSets, CodeCommitRepository, SignedUrlResponder, StateTable, SystemClock, TemplateBucket,
    Topic,
};
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = DeploySettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let deploy = &Deploy {
        application: Application {
            repository: settings.repository_name.clone(),
            branch: settings.branch_name.clone(),
            policy_file: settings.policy_file,
            event_bus_arn: settings.compliance_event_bus_arn,
        },
        repository: CodeCommitRepository::new(clients.codecommit(), &settings.repository_name, &settings.branch_name),
        stack_sets: CloudFormationStackSets::new(
            clients.cloudformation(),
            TemplateBucket::new(clients.s3(), &settings.template_bucket_name, &clients.region()),
            &settings.administration_role_arn,
            &settings.execution_role_name,
        ),
        memory: StateTable::new(clients.dynamodb(), &settings.state_table_name),
        notifier: Topic::new(clients.sns(), &settings.notification_topic_arn),
        responder: SignedUrlResponder::new()?,
        clock: SystemClock,
    };
    runtime::run(move |event, _| async move {
        let batch = Batch::read(event);
        let triggers = batch.triggers(|event| trigger(event, &deploy.application.repository, &deploy.application.branch));
        let looked = deploy.handle(&triggers).await;
        runtime::answer(&batch, looked.map_err(|error| Failure::port(&error)), |_| Vec::new())
    })
    .await
}
