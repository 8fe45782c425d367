//! `redrive`: what is in a dead-letter queue, and how it gets out of it.

mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use anyhow::{anyhow, bail};
use app::inspect::{Action, DeadLetters, Destination, Fate, Job, NoRedrive, Reader, Redriven, redrive};
use clap::ValueEnum;

use crate::cloud::{self, Cloud, Outputs};
use crate::{Format, Verdict, output, plain};

/// So many messages are shown unless --limit says otherwise.
const SHOWN: usize = 100;

/// Show what is in a dead-letter queue, and send it back.
///
/// Each message is shown with what it is about and why it is there; where only the function's log has the error, with the command
/// that reads it. Nothing is changed without --send or --delete. Messages are hidden from other readers meanwhile: for 30 seconds at
/// most, with --send or --delete for 2 minutes. A message is deleted only after its queue has taken it. Those that can never be
/// understood are kept back. Credentials and Region are those that the AWS CLI would use.
///
/// Exit status: 0 when the queue is empty or all went back, 1 when messages are left, 2 when that cannot be done.
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
pub(crate) struct Args {
    /// Which of the stack's dead-letter queues.
    #[arg(value_enum, value_name = "QUEUE", default_value_t = Queue::Report, conflicts_with = "dead_letters")]
    queue: Queue,
    /// The application's stack, which says where its queues are.
    #[arg(long, value_name = "NAME", default_value = cloud::STACK, conflicts_with = "dead_letters")]
    stack: String,
    /// The URL of a dead-letter queue, instead of asking the stack for it.
    #[arg(long, value_name = "URL")]
    dead_letters: Option<String>,
    /// The URL of the queue that its messages belong into.
    #[arg(long, value_name = "URL", requires = "dead_letters")]
    to: Option<String>,
    /// Send messages back to their queue, and delete each from this one when it was taken.
    #[arg(long)]
    send: bool,
    /// Send also those that can never be understood: after an update, say, that understands more.
    #[arg(long, requires = "send")]
    force: bool,
    /// Delete the messages that --only names.
    #[arg(long, requires = "only", conflicts_with = "send")]
    delete: bool,
    /// Only these messages.
    #[arg(long, value_name = "MESSAGE_ID", num_args = 1..)]
    only: Vec<String>,
    /// No more than so many messages; without it all are sent, and the first hundred shown.
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    limit: Option<usize>,
    /// The form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    access: cloud::Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Queue {
    /// Compliance changes that `report` could not process.
    Report,
    /// Triggers that `deploy` could not process.
    Deploy,
    /// Events that EventBridge or the scheduler could not deliver to their queue.
    Undelivered,
}

/// The log of a function, as a command of the AWS CLI reads it.
struct Log {
    group: String,
    /// Profile and Region, as this command was given them.
    options: String,
}

impl Args {
    /// The log of the function that reads the queue; `None` for events that no function has received, and for a stack of a version that
    /// does not name it.
    fn log(&self, outputs: &Outputs) -> Option<Log> {
        let group = match self.queue {
            Queue::Report => outputs.get("ReportLogGroupName").ok()?,
            Queue::Deploy => outputs.get("DeployLogGroupName").ok()?,
            Queue::Undelivered => return None,
        };
        Some(Log { group, options: self.access.options()? })
    }

    fn job(&self, queue: String, destination: Destination, reader: Reader) -> Job {
        let action = match (self.send, self.delete) {
            (true, _) => Action::Send { force: self.force },
            (false, true) => Action::Delete,
            (false, false) => Action::Look,
        };
        let limit = self.limit.or((action == Action::Look && self.only.is_empty()).then_some(SHOWN));
        Job { queue, destination, reader, only: self.only.iter().cloned().collect::<BTreeSet<_>>(), limit, action }
    }

    /// The job with the queues that were named; `None` when the stack's are meant.
    fn named(&self) -> anyhow::Result<Option<Job>> {
        let Some(queue) = &self.dead_letters else { return Ok(None) };
        let destination = match &self.to {
            Some(to) if to == queue => bail!("--dead-letters and --to are the same queue"),
            Some(to) => Destination::Queue(to.clone()),
            None if self.send => {
                bail!("--send needs --to with --dead-letters: the queue that its messages belong into")
            }
            None => Destination::Target(Vec::new()),
        };
        Ok(Some(self.job(queue.clone(), destination, Reader::Either)))
    }

    fn of_stack(&self, outputs: &Outputs) -> anyhow::Result<Job> {
        let (queue, destination, reader) = match self.queue {
            Queue::Report => (
                outputs.get("ReportDeadLetterQueueUrl")?,
                Destination::Queue(outputs.get("ReportQueueUrl")?),
                Reader::Report,
            ),
            Queue::Deploy => (
                outputs.get("DeployDeadLetterQueueUrl")?,
                Destination::Queue(outputs.get("DeployQueueUrl")?),
                Reader::Deploy,
            ),
            Queue::Undelivered => (
                outputs.get("UndeliveredEventsQueueUrl")?,
                Destination::Target(vec![outputs.get("ReportQueueUrl")?, outputs.get("DeployQueueUrl")?]),
                Reader::Either,
            ),
        };
        Ok(self.job(queue, destination, reader))
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let named = args.named()?;
    let (job, log, done) = cloud::wait(async {
        let cloud = Cloud::connect(&args.access).await?;
        let (job, log) = match named {
            Some(job) => (job, None),
            None => {
                let outputs = cloud.outputs(&args.stack).await?;
                (args.of_stack(&outputs)?, args.log(&outputs))
            }
        };
        let done = work(&cloud.queues(), &job).await?;
        Ok((job, log, done))
    })?;
    match args.format {
        Format::Human => output::text(&show::page(&job, &done, log.as_ref()))?,
        Format::Json => {
            let json = show::json(&job, &done, log.as_ref());
            output::line(&serde_json::to_string_pretty(&json)?)?;
        }
    }
    verdict(&job, &done)
}

async fn work(port: &impl DeadLetters, job: &Job) -> anyhow::Result<Redriven> {
    let mut progress = output::Progress::of("messages");
    let done = redrive(port, job, |taken, of| progress.at(taken, of)).await;
    done.map_err(|error| match error {
        NoRedrive::Port(error) => cloud::problem(&error),
        error @ NoRedrive::HandsOn { .. } => anyhow!("{}", plain::shown(&error.to_string())),
    })
}

fn verdict(job: &Job, done: &Redriven) -> anyhow::Result<Verdict> {
    if let Some(error) = &done.failed {
        return Err(cloud::problem(error).context("ended before its time"));
    }
    let gone = |fate: &Fate| matches!(fate, Fate::Sent { .. } | Fate::Deleted);
    // Who named messages has not asked for the others.
    let others = done.more > 0 && job.only.is_empty();
    let all_gone = done.letters.iter().all(|handled| gone(&handled.fate));
    Ok(if all_gone && !others && done.missing.is_empty() { Verdict::Clean } else { Verdict::Findings })
}
