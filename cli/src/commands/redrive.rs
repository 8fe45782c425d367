//! `redrive`: shows the messages of a dead-letter queue, sends them back or deletes them.

mod show;
#[cfg(test)]
mod tests;

use anyhow::{anyhow, bail};
use clap::ValueEnum;

use app::inspect::{
    Action, Consumer, DeadLetters, Destination, RedriveError, RedriveJob, RedriveOutcome, RedriveResult, redrive,
};
use aws::DeadLetterQueues;

use crate::cloud::{self, StackOutputs};
use crate::{CommandOutcome, OutputFormat, output, plain};

/// Default of --limit without --send and --delete.
const SHOWN: usize = 100;

/// Show, send back or delete dead-lettered messages.
///
/// Shows each message with its subject and the reason of its failure, or with the command that reads the error from the function's
/// log. Changes nothing without --send or --delete. Messages are hidden from other consumers meanwhile: for up to 30 seconds, with
/// --send or --delete for up to 2 minutes. A message is deleted only after its queue has accepted it. Invalid messages are not sent
/// back without --force. Credentials and Region are resolved as by the AWS CLI.
///
/// Exit status: 0 if no messages are left, 1 if messages are left, 2 on errors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance redrive
  backup-compliance redrive report --send
  backup-compliance redrive undelivered --stack backup-compliance-test
  backup-compliance redrive report --send --force \\
    --only 5fea7756-0ea4-451a-a703-a558b933e274
  backup-compliance redrive report --delete \\
    --only 5fea7756-0ea4-451a-a703-a558b933e274
  backup-compliance redrive \\
    --dead-letters https://sqs.eu-west-1.amazonaws.com/111111111111/dead \\
    --to https://sqs.eu-west-1.amazonaws.com/111111111111/live --send
  backup-compliance redrive --format json undelivered | jq '.messages[].reason'")]
pub(crate) struct RedriveArgs {
    /// The dead-letter queue of the stack.
    #[arg(value_enum, value_name = "QUEUE", default_value_t = DeadLetterQueue::Report, conflicts_with = "dead_letters")]
    queue: DeadLetterQueue,
    /// The application's stack, whose outputs name its queues.
    #[arg(long, value_name = "NAME", default_value = cloud::STACK, conflicts_with = "dead_letters")]
    stack: String,
    /// The URL of a dead-letter queue, instead of one of the stack.
    #[arg(long, value_name = "URL")]
    dead_letters: Option<String>,
    /// The URL of the queue that its messages are sent back to.
    #[arg(long, value_name = "URL", requires = "dead_letters")]
    to: Option<String>,
    /// Send messages back to their queue, then delete them from this one.
    #[arg(long)]
    send: bool,
    /// Also send invalid messages, for example after an update that can read them.
    #[arg(long, requires = "send")]
    force: bool,
    /// Delete the messages named by --only.
    #[arg(long, requires = "only", conflicts_with = "send")]
    delete: bool,
    /// Only these messages.
    #[arg(long, value_name = "MESSAGE_ID", num_args = 1..)]
    only: Vec<String>,
    /// The maximum number of messages. By default all are sent, and the first 100 shown.
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    limit: Option<usize>,
    /// The format of the output.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
    format: OutputFormat,
    #[command(flatten)]
    access: cloud::AwsOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DeadLetterQueue {
    /// Compliance changes that `report` could not process.
    Report,
    /// Triggers that `deploy` could not process.
    Deploy,
    /// Events about pull requests that `preview` could not process.
    Preview,
    /// Events that EventBridge or the scheduler could not deliver to their queue.
    Undelivered,
}

/// The log of a function, for a command of the AWS CLI.
struct FunctionLog {
    group: String,
    /// The options --profile and --region of this command.
    options: String,
}

impl RedriveArgs {
    /// Returns the log of the function that reads the queue; `None` for undelivered events and for stacks without the output.
    fn log(&self, outputs: &StackOutputs) -> Option<FunctionLog> {
        let group = match self.queue {
            DeadLetterQueue::Report => "ReportLogGroupName",
            DeadLetterQueue::Deploy => "DeployLogGroupName",
            DeadLetterQueue::Preview => "PreviewLogGroupName",
            DeadLetterQueue::Undelivered => return None,
        };
        Some(FunctionLog { group: outputs.get(group).ok()?, options: self.access.options()? })
    }

    fn job(&self, queue: String, destination: Destination, reader: Consumer) -> RedriveJob {
        let action = match (self.send, self.delete) {
            (true, _) => Action::Send { force: self.force },
            (false, true) => Action::Delete,
            (false, false) => Action::Show,
        };
        let limit = self.limit.or((action == Action::Show && self.only.is_empty()).then_some(SHOWN));
        RedriveJob { queue, destination, reader, only: self.only.iter().cloned().collect(), limit, action }
    }

    /// Returns the job for --dead-letters; `None` without that option.
    fn explicit_job(&self) -> anyhow::Result<Option<RedriveJob>> {
        let Some(queue) = &self.dead_letters else { return Ok(None) };
        let destination = match &self.to {
            Some(to) if to == queue => bail!("--dead-letters and --to are the same queue"),
            Some(to) => Destination::Queue(to.clone()),
            None if self.send => {
                bail!("--send needs --to with --dead-letters: the queue that messages are sent back to")
            }
            None => Destination::Target(Vec::new()),
        };
        Ok(Some(self.job(queue.clone(), destination, Consumer::Any)))
    }

    fn stack_job(&self, outputs: &StackOutputs) -> anyhow::Result<RedriveJob> {
        let queue = |name| outputs.get(name).map(Destination::Queue);
        let (dead_letters, destination, reader) = match self.queue {
            DeadLetterQueue::Report => ("ReportDeadLetterQueueUrl", queue("ReportQueueUrl"), Consumer::Report),
            DeadLetterQueue::Deploy => ("DeployDeadLetterQueueUrl", queue("DeployQueueUrl"), Consumer::Deploy),
            DeadLetterQueue::Preview => ("PreviewDeadLetterQueueUrl", queue("PreviewQueueUrl"), Consumer::Preview),
            DeadLetterQueue::Undelivered => {
                let targets = ["ReportQueueUrl", "DeployQueueUrl", "PreviewQueueUrl"].map(|name| outputs.get(name));
                let targets = targets.into_iter().collect::<anyhow::Result<_>>();
                ("UndeliveredEventsQueueUrl", targets.map(Destination::Target), Consumer::Any)
            }
        };
        Ok(self.job(outputs.get(dead_letters)?, destination?, reader))
    }
}

pub(crate) fn run(args: &RedriveArgs) -> anyhow::Result<CommandOutcome> {
    let explicit = args.explicit_job()?;
    let (job, log, done) = cloud::block_on(async {
        let aws = cloud::connect(&args.access).await?;
        let (job, log) = match explicit {
            Some(job) => (job, None),
            None => {
                let outputs = cloud::outputs(&aws, &args.stack).await?;
                (args.stack_job(&outputs)?, args.log(&outputs))
            }
        };
        let done = execute(&DeadLetterQueues::new(&aws), &job).await?;
        Ok((job, log, done))
    })?;
    match args.format {
        OutputFormat::Human => output::text(&show::page(&job, &done, log.as_ref()))?,
        OutputFormat::Json => output::json(&show::json(&job, &done, log.as_ref()))?,
    }
    verdict(&job, &done)
}

async fn execute(port: &impl DeadLetters, job: &RedriveJob) -> anyhow::Result<RedriveResult> {
    redrive(port, job, output::progress("messages")).await.map_err(|error| match error {
        RedriveError::Port(error) => cloud::aws_error(error),
        error @ RedriveError::NotADeadLetterQueue { .. } => anyhow!("{}", plain::escaped(&error.to_string())),
    })
}

fn verdict(job: &RedriveJob, done: &RedriveResult) -> anyhow::Result<CommandOutcome> {
    if let Some(error) = &done.failed {
        return Err(cloud::aws_error(error.clone()).context("ended early"));
    }
    let is_removed = |fate: &RedriveOutcome| matches!(fate, RedriveOutcome::Sent { .. } | RedriveOutcome::Deleted);
    // With --only, other messages do not matter.
    let others = done.more > 0 && job.only.is_empty();
    let all_removed = done.messages.iter().all(|handled| is_removed(&handled.outcome));
    Ok(if all_removed && !others && done.missing.is_empty() { CommandOutcome::Clean } else { CommandOutcome::Findings })
}
