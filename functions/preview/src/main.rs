//! The function `preview`: predicts the effects of pull requests of the policy repository in comments.

use lambda_runtime::Error;

use app::deploy::redelivery::redeliver;
use app::events::Batch;
use app::review::ports::ReviewEnv;
use app::review::{Review, ReviewScope, ReviewTrigger, review_trigger};
use aws::metrics::emit_counts;
use aws::runtime::{self, FunctionError};
use aws::settings::{PreviewSettings, environment};
use aws::{Clients, CodeCommitRepository, InventoryBucket, SqsDeployQueue, SystemClock};

/// The adapters of this function.
enum AwsPreview {}

impl ReviewEnv for AwsPreview {
    type Repository = CodeCommitRepository;
    type PullRequests = CodeCommitRepository;
    type Inventories = InventoryBucket;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::init_logs();
    let settings = PreviewSettings::from_env(environment)?;
    let clients = Clients::connect().await;
    let repository = CodeCommitRepository::new(&clients, &settings.repository_name, &settings.branch_name);
    let review = &Review::<AwsPreview> {
        scope: ReviewScope {
            repository: settings.repository_name,
            branch: settings.branch_name,
            policy_file: settings.policy_file,
            approve: settings.approve,
        },
        pull_requests: repository.clone(),
        repository,
        inventories: clients.inventory_bucket(&settings.template_bucket_name),
        clock: SystemClock,
    };
    let queue = &SqsDeployQueue::new(&clients, &settings.preview_queue_url);
    runtime::run(move |event, _| async move {
        let batch = Batch::read(event);
        let read = |event: &_| review_trigger(event, &review.scope.repository);
        let triggers = batch.triggers(read, ReviewTrigger::Invalid);
        let reviewed = match triggers.as_slice() {
            // A direct invocation fails with the reason; in a queue an invalid event would block the message group, so it is dropped.
            [ReviewTrigger::Invalid(reason)] if !batch.queued => Err(FunctionError::event(reason.as_str())),
            triggers => review.handle(triggers).await.map_err(|error| FunctionError::port(&error)),
        };
        match &reviewed {
            Ok(counts) => emit_counts(&review.clock, "preview", counts),
            Err(_) => redeliver(queue, &batch.messages).await,
        }
        runtime::answer(&batch, reviewed, |_| Vec::new())
    })
    .await
}
