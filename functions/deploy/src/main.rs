//! Brings what is deployed to what the policy repository says: pushes, ended operations, CloudFormation requests, schedules.

use app::deploy::redelivery::redeliver;
use app::deploy::{Application, Deploy};
use app::events::{Batch, Trigger, trigger};
use aws::metrics::emit_counts;
use aws::runtime::{self, Failure};
use aws::settings::{DeploySettings, environment};
use aws::{
    Clients, CloudFormationStackSets, CodeCommitRepository, Queue, SignedUrlResponder, StateTable, SystemClock, Topic,
    Topics,
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
            comment_on_commits: settings.comment_on_commits,
        },
        repository: CodeCommitRepository::new(clients.codecommit(), &settings.repository_name, &settings.branch_name),
        stack_sets: CloudFormationStackSets::new(
            clients.cloudformation(),
            clients.template_bucket(&settings.template_bucket_name),
            &settings.administration_role_arn,
            &settings.execution_role_name,
        ),
        organization: clients.organizational_units(settings.organizational_units),
        memory: StateTable::new(clients.dynamodb(), &settings.state_table_name),
        notifier: Topics::new(
            Topic::new(clients.sns(), &settings.notification_topic_arn),
            settings.chat_topic_arn.as_deref().map(|arn| Topic::chat(clients.sns(), arn)),
        ),
        responder: SignedUrlResponder::default(),
        clock: SystemClock,
    };
    let queue = &Queue::new(clients.sqs(), &settings.deploy_queue_url);
    runtime::run(move |event, _| async move {
        let batch = Batch::read(event);
        let triggers =
            batch.triggers(|event| trigger(event, &deploy.application.repository, &deploy.application.branch));
        let looked = match triggers.as_slice() {
            // In a queue it would block the group, so it is dropped there; a person wants to know what was expected.
            [Trigger::Nonsense(why)] if !batch.queued => Err(Failure::event(why.as_str())),
            triggers => deploy.handle(triggers).await.map_err(|error| Failure::port(&error)),
        };
        match &looked {
            Ok(seen) => emit_counts(&deploy.clock, "deploy", &seen.counts),
            Err(_) => redeliver(queue, &batch.messages).await,
        }
        runtime::answer(&batch, looked, |_| Vec::new())
    })
    .await
}
