//! `notice`: what people and machines would be told of an event.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use app::deploy::Wanted;
use app::events::{Batch, NotUnderstood, compliance_change};
use clap::ValueEnum;
use domain::notice::{Digest, FindingHome, Notice, NoticeContext, ViolationNotice};
use domain::policy::{Exempting, Reporting};
use domain::violation::{
    Change, Closing, Compliance, Debt, Exempt, Found, Group, Heard, Key, Opening, Outcome, Outlet, Record,
    ResourceFacts, Told, Turn, apply,
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::{Format, Verdict, event_file, output, repository};

/// Render the notice that a compliance change leads to.
///
/// Reads a `Config Rules Compliance Change`, alone or in an SQS batch, and shows what the function `report` would tell if
/// it knew nothing before: several changes of one account and control are one digest, but single findings and events. Needs
/// no AWS account, and so knows no names, ARNs or tags of resources beyond what the event says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance notice events/config-noncompliant.json
  backup-compliance notice events/config-noncompliant.json --channel chat
  backup-compliance notice events/config-noncompliant-backup-plan.json \\
    --policy framework
  backup-compliance notice events/config-compliant.json --channel json \\
    | jq .closed
  backup-compliance notice events/config-compliant.json --channel finding \\
    | jq .Compliance")]
pub(crate) struct Args {
    /// A file with the event as JSON, or `-` for standard input.
    #[arg(value_name = "EVENT")]
    event: PathBuf,
    /// The form in which the notice is shown.
    #[arg(long, value_enum, default_value_t = Channel::Email)]
    channel: Channel,
    /// A policy file, or a folder with a `backup-compliance.yaml`: where the parameters of the controls, the severities and
    /// the exemptions are taken from.
    #[arg(long, value_name = "DIR|POLICY_FILE")]
    policy: Option<PathBuf>,
    /// The form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Channel {
    /// Subject and text, as a person gets them.
    Email,
    /// The document that queues, functions and web hooks get.
    Json,
    /// The custom notification for Amazon Q Developer in chat applications.
    Chat,
    /// The finding for AWS Security Hub, imported in the account and Region of the resource.
    Finding,
    /// The event on the event bus: its type and detail.
    Event,
}

impl Channel {
    /// Who gets this form.
    const fn outlet(self) -> Outlet {
        match self {
            Self::Email | Self::Json => Outlet::Topic,
            Self::Chat => Outlet::Chat,
            Self::Finding => Outlet::Finding,
            Self::Event => Outlet::Event,
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    let reporting = policy.as_ref().map(|policy| policy.reporting.clone()).unwrap_or_default();
    let (changes, mut ignored) = changes(args)?;
    let mut records = Vec::new();
    for (record, compliance) in applied(changes, &reporting) {
        match &record.exempt {
            Some(exempt) => ignored.push(format!(
                "{} is exempt until {} ({}): it is recorded, and nobody is told",
                record.key, exempt.until, exempt.owner
            )),
            None => records.push(shown(record, compliance)),
        }
    }
    for why in &ignored {
        output::problem(&format!("no notice: {why}"));
    }
    let notices = notices(&records, args.channel.outlet(), &reporting, policy.as_ref());
    match (args.format, args.channel) {
        (Format::Json, channel) => {
            let documents: Vec<Value> = notices.iter().filter_map(|notice| document(notice, channel)).collect();
            output::line(&serde_json::to_string_pretty(&json!({ "notices": documents, "ignored": ignored }))?)?;
        }
        (Format::Human, Channel::Email) => {
            for (number, notice) in notices.iter().enumerate() {
                let rule = if number == 0 { "" } else { "----\n\n" };
                output::line(&format!("{rule}Subject: {}\n\n{}", notice.subject(), notice.text()))?;
            }
        }
        (Format::Human, channel) => {
            for document in notices.iter().filter_map(|notice| document(notice, channel)) {
                output::line(&serde_json::to_string_pretty(&document)?)?;
            }
        }
    }
    Ok(if ignored.is_empty() { Verdict::Clean } else { Verdict::Findings })
}

/// What a machine gets through a channel; the text of a mail goes to people only.
fn document(notice: &Notice, channel: Channel) -> Option<Value> {
    match channel {
        Channel::Email | Channel::Json => Some(notice.json()),
        Channel::Chat => Some(notice.chat()),
        Channel::Finding => {
            let Key { account, region, .. } = notice.violation()?.key.clone();
            notice.finding(&FindingHome { account, region })
        }
        Channel::Event => {
            notice.event().map(|(detail_type, detail)| json!({ "detail-type": detail_type, "detail": detail }))
        }
    }
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

fn outlets() -> BTreeSet<Outlet> {
    [Outlet::Topic, Outlet::Chat, Outlet::Finding, Outlet::Event].into()
}

/// What is on record after all of them, for one who knew nothing before, with what is owed.
fn applied(mut changes: Vec<Change>, reporting: &Reporting) -> Vec<(Record, Compliance)> {
    changes.sort_by_key(|change| change.ordering);
    let mut records: BTreeMap<Key, (Record, Compliance)> = BTreeMap::new();
    for change in &changes {
        let known = records.get(&change.key).map(|(record, _)| record);
        let Outcome::Store { mut record, turn } = apply(known, change) else { continue };
        let now = change.ordering.notified;
        match turn {
            Some(Turn::Opens) => record.opened(opening(change, reporting), &outlets(), now),
            Some(Turn::Closes(closing)) => record.closed_by(closing, &outlets(), now),
            None => {}
        }
        records.insert(change.key.clone(), (*record, change.compliance));
    }
    records.into_values().collect()
}

/// What the exemptions say on the day of a result, which is a day of UTC.
fn exempting<'a>(reporting: &'a Reporting, key: &Key, resource: &ResourceFacts, at: Timestamp) -> Exempting<'a> {
    reporting.exempting(key, resource, at.to_zoned(TimeZone::UTC).date())
}

/// What `report` would write down of a violation that opens, as far as an event and a policy tell.
fn opening(change: &Change, reporting: &Reporting) -> Opening {
    let resource = ResourceFacts::default();
    let exempt = match exempting(reporting, &change.key, &resource, change.ordering.notified) {
        Exempting::Covered(exemption) => {
            Some(Exempt { reason: exemption.reason.clone(), owner: exemption.owner.clone(), until: exemption.until })
        }
        Exempting::No | Exempting::Nearly(_) => None,
    };
    Opening {
        found: if change.had_result { Found::Regression } else { Found::Rollout },
        heard: Heard::Event,
        severity: reporting.severity(&change.key, &resource),
        resource,
        exempt,
    }
}

/// A resource that nobody knew to be open is not told of: then what would be told, had it been.
fn shown(mut record: Record, compliance: Compliance) -> Record {
    if record.owed.is_empty() {
        output::aside(&format!(
            "note: `report` tells this only of a violation that it knows to be open, here {}",
            record.key
        ));
        let closing = if compliance == Compliance::NotApplicable { Closing::NotApplicable } else { Closing::Satisfied };
        let now = record.ordering.notified;
        record.closed_by(closing, &outlets(), now);
    }
    record
}

/// People get one message for each account and control, machines one for each turn.
fn notices(records: &[Record], outlet: Outlet, reporting: &Reporting, policy: Option<&Wanted>) -> Vec<Notice> {
    let turns = records.iter().flat_map(|record| {
        record.owed_to(outlet).map(|debt| (record.key.group(), notice(record, debt, reporting, policy)))
    });
    if matches!(outlet, Outlet::Finding | Outlet::Event) {
        return turns.map(|(_, notice)| Notice::from(notice)).collect();
    }
    let mut groups: BTreeMap<Group, Vec<ViolationNotice>> = BTreeMap::new();
    for (group, notice) in turns {
        groups.entry(group).or_default().push(notice);
    }
    groups
        .into_iter()
        .flat_map(|(Group { account, control }, mut entries)| match (entries.pop(), entries.is_empty()) {
            (None, _) => None,
            (Some(only), true) => Some(Notice::from(only)),
            (Some(last), false) => {
                entries.push(last);
                Some(Notice::ViolationDigest(Digest { account, account_name: None, control, entries }))
            }
        })
        .collect()
}

fn notice(record: &Record, debt: &Debt, reporting: &Reporting, policy: Option<&Wanted>) -> ViolationNotice {
    let Key { account, region, control, .. } = &record.key;
    let frameworks = policy.map(|policy| policy.frameworks.as_slice()).unwrap_or_default();
    let parameters =
        frameworks.iter().find_map(|framework| framework.facts.parameters(account, region, control)).cloned();
    let near_exemption = match (&debt.what, exempting(reporting, &record.key, &record.resource, debt.at)) {
        (Told::Opened, Exempting::Nearly(sentence)) => Some(sentence),
        _ => None,
    };
    let owner_tag = Some(reporting.owner_tag.clone());
    ViolationNotice::new(
        record,
        debt,
        NoticeContext { owner_tag, parameters, near_exemption, ..NoticeContext::default() },
    )
}
