//! `notice`: what people and machines would be told of an event.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use app::deploy::Wanted;
use app::events::{Batch, NotUnderstood, compliance_change};
use clap::ValueEnum;
use domain::notice::{Notice, ResourceFacts, ViolationNotice};
use domain::violation::{Change, Compliance, Key, Outcome, Pending, Record, apply};
use serde_json::json;

use crate::{Format, Verdict, event_file, output, repository};

/// Render the notice that a compliance change leads to.
///
/// Reads a `Config Rules Compliance Change`, alone or in an SQS batch, and shows what the function `report` would tell if
/// it knew nothing before. Needs no AWS account, and so knows no names or ARNs of resources beyond what the event says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance notice events/config-noncompliant.json
  backup-compliance notice events/config-noncompliant-backup-plan.json --policy framework
  backup-compliance notice events/config-compliant.json --channel json | jq .control")]
pub(crate) struct Args {
    /// A file with the event as JSON, or `-` for standard input.
    #[arg(value_name = "EVENT")]
    event: PathBuf,
    /// The form in which the notice is shown.
    #[arg(long, value_enum, default_value_t = Channel::Email)]
    channel: Channel,
    /// A policy file, or a folder with a `backup-compliance.yaml`: where the parameters of the controls are taken from.
    #[arg(long, value_name = "DIR|POLICY_FILE")]
    policy: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Channel {
    /// Subject and text, as a person gets them.
    Email,
    /// The document that queues, functions and web hooks get.
    Json,
}

pub(crate) fn run(args: &Args, format: Format) -> anyhow::Result<Verdict> {
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    let (changes, ignored) = changes(args)?;
    for why in &ignored {
        output::problem(&format!("no notice: {why}"));
    }
    let notices: Vec<Notice> =
        applied(changes).iter().map(|(record, pending)| notice(record, *pending, policy.as_ref())).collect();
    match (format, args.channel) {
        (Format::Json, _) => {
            let documents: Vec<_> = notices.iter().map(Notice::json).collect();
            output::line(&serde_json::to_string_pretty(&json!({ "notices": documents, "ignored": ignored }))?)?;
        }
        (Format::Human, Channel::Email) => {
            for (number, notice) in notices.iter().enumerate() {
                let rule = if number == 0 { "" } else { "----\n\n" };
                output::line(&format!("{rule}Subject: {}\n\n{}", notice.subject(), notice.text()))?;
            }
        }
        (Format::Human, Channel::Json) => {
            for notice in &notices {
                output::line(&serde_json::to_string_pretty(&notice.json())?)?;
            }
        }
    }
    Ok(if ignored.is_empty() { Verdict::Clean } else { Verdict::Findings })
}

fn read_policy(path: &Path) -> anyhow::Result<Wanted> {
    repository::policy(path, None)?.map_err(|faults| {
        let shown = path.display();
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        anyhow!("the policy in `{shown}` has faults, see `backup-compliance lint {shown}`: {first}")
    })
}

/// The compliance changes of the file, and why other events in it are none.
fn changes(args: &Args) -> anyhow::Result<(Vec<Change>, Vec<String>)> {
    let shown = args.event.display();
    let batch = Batch::read(event_file::read(&args.event)?);
    let several = batch.messages.len() > 1;
    let (mut changes, mut ignored) = (Vec::new(), Vec::new());
    for (index, message) in batch.messages.iter().enumerate() {
        let place = if several { format!("message {}: ", index + 1) } else { String::new() };
        let event = message.event.as_ref().map_err(|why| anyhow!("{shown}: {place}{why}"))?;
        match compliance_change(event) {
            Ok(change) => changes.push(change),
            Err(NotUnderstood::NotOurs(why)) => ignored.push(format!("{place}{why}")),
            Err(NotUnderstood::Poisoned(why)) => bail!("{shown}: {place}{why}"),
        }
    }
    if batch.messages.is_empty() {
        ignored.push("the batch has no messages".to_owned());
    }
    Ok((changes, ignored))
}

/// What is on record after all of them, for one who knew nothing before, and the notice to show of it.
fn applied(mut changes: Vec<Change>) -> Vec<(Record, Pending)> {
    changes.sort_by_key(|change| change.ordering);
    let mut records: BTreeMap<Key, (Record, Compliance)> = BTreeMap::new();
    for change in &changes {
        if let Outcome::Store(record) = apply(records.get(&change.key).map(|(record, _)| record), change) {
            records.insert(change.key.clone(), (*record, change.compliance));
        }
    }
    records.into_values().map(|(record, compliance)| shown(record, compliance)).collect()
}

/// A resource that nobody knew to be open is not told of: then the notice that there would be, had it been.
fn shown(record: Record, compliance: Compliance) -> (Record, Pending) {
    let pending = record.pending.unwrap_or_else(|| {
        output::aside(&format!(
            "note: `report` tells this only of a violation that it knows to be open, here {}",
            record.key
        ));
        if compliance == Compliance::NotApplicable { Pending::NoLongerApplies } else { Pending::Resolved }
    });
    (record, pending)
}

fn notice(record: &Record, pending: Pending, policy: Option<&Wanted>) -> Notice {
    let Key { account, region, control, .. } = &record.key;
    let frameworks = policy.map(|policy| policy.frameworks.as_slice()).unwrap_or_default();
    let parameters =
        frameworks.iter().find_map(|framework| framework.facts.parameters(account, region, control)).cloned();
    let notice = ViolationNotice::new(record, pending, ResourceFacts::default(), parameters);
    match pending {
        Pending::Opened => Notice::ViolationOpened(notice),
        Pending::Resolved | Pending::NoLongerApplies => Notice::ViolationResolved(notice),
    }
}
