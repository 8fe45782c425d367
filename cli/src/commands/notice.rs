//! `notice`: renders the notice about an event.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use app::deploy::DesiredPolicy;
use app::events::{Batch, EventError, compliance_change};
use app::in_force::today;
use domain::notice::{FindingHome, Notice, NoticeContext, ViolationDigest, ViolationNotice};
use domain::policy::{ExemptionMatch, Reporting};
use domain::violation::{
    AppliedExemption, ChangeOutcome, Channel, ClosedReason, ComplianceChange, ComplianceType, DetectionSource,
    OpenedBy, Opening, PendingDelivery, ResourceDetails, Transition, Update, ViolationGroup, ViolationKey,
    ViolationRecord, apply,
};

use crate::{CommandOutcome, OutputFormat, input, output, repository};

/// Render the notice about a compliance change.
///
/// Reads a `Config Rules Compliance Change` event, alone or in an SQS batch, and prints the notice that the function `report` would
/// send with an empty state table. Several changes of one account and control become one digest, but separate findings and events.
/// Calls no AWS API: the notice has only the names, ARNs and tags of resources that the event contains.
///
/// Exit status: 0 when each change has a notice, 1 when an event has none, 2 on errors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance notice events/config-noncompliant.json
  backup-compliance notice events/config-noncompliant.json --channel chat
  backup-compliance notice events/config-noncompliant-backup-plan.json \\
    --policy framework
  backup-compliance notice events/config-compliant.json --channel json \\
    | jq .closedReason
  backup-compliance notice events/config-compliant.json --channel finding \\
    | jq .Compliance")]
pub(crate) struct NoticeArgs {
    /// A file with the event as JSON, or `-` for standard input.
    #[arg(value_name = "EVENT")]
    event: PathBuf,
    /// The channel whose format is printed.
    #[arg(long, value_enum, default_value_t = NoticeForm::Email)]
    channel: NoticeForm,
    /// A policy file, or a folder with a `backup-compliance.yaml`, with parameters of controls, severities and exemptions.
    #[arg(long, value_name = "DIR|POLICY_FILE")]
    policy: Option<PathBuf>,
    /// The format of the output.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
    format: OutputFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NoticeForm {
    /// Subject and text of the e-mail.
    Email,
    /// The document for queues, functions and web hooks.
    Json,
    /// The custom notification for Amazon Q Developer in chat applications.
    Chat,
    /// The finding for AWS Security Hub, imported in the account and Region of the resource.
    Finding,
    /// Detail type and detail of the event on the event bus.
    Event,
}

impl NoticeForm {
    const fn channel(self) -> Channel {
        match self {
            Self::Email | Self::Json => Channel::Topic,
            Self::Chat => Channel::Chat,
            Self::Finding => Channel::SecurityHub,
            Self::Event => Channel::EventBus,
        }
    }
}

pub(crate) fn run(args: &NoticeArgs) -> anyhow::Result<CommandOutcome> {
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    let reporting = policy.as_ref().map(|policy| policy.reporting.clone()).unwrap_or_default();
    let (changes, mut ignored) = changes(args)?;
    let mut records = Vec::new();
    for (record, compliance) in applied(changes, &reporting) {
        match &record.exemption {
            Some(AppliedExemption { until, owner, .. }) => ignored.push(format!(
                "{} is exempt until {until} ({owner}): the violation is recorded, and no notice is sent",
                record.key
            )),
            None => records.push(with_pending(record, compliance)),
        }
    }
    ignored.iter().for_each(|reason| output::error(&format!("no notice: {reason}")));
    let notices = notices(&records, args.channel.channel(), &reporting, policy.as_ref());
    let documents: Vec<Value> = notices.iter().filter_map(|notice| document(notice, args.channel)).collect();
    match (args.format, args.channel) {
        (OutputFormat::Json, _) => output::json(&json!({ "notices": documents, "ignored": ignored }))?,
        (OutputFormat::Human, NoticeForm::Email) => {
            for (number, notice) in notices.iter().enumerate() {
                let rule = if number == 0 { "" } else { "----\n\n" };
                output::line(&format!("{rule}Subject: {}\n\n{}", notice.subject(), notice.text()))?;
            }
        }
        (OutputFormat::Human, _) => documents.iter().try_for_each(output::json)?,
    }
    Ok(if ignored.is_empty() { CommandOutcome::Clean } else { CommandOutcome::Findings })
}

fn document(notice: &Notice, channel: NoticeForm) -> Option<Value> {
    match channel {
        NoticeForm::Email | NoticeForm::Json => Some(notice.json()),
        NoticeForm::Chat => Some(notice.chat()),
        NoticeForm::Finding => {
            let ViolationKey { account, region, .. } = notice.violation()?.key.clone();
            notice.finding(&FindingHome { account, region })
        }
        NoticeForm::Event => {
            notice.event().map(|(detail_type, detail)| json!({ "detail-type": detail_type, "detail": detail }))
        }
    }
}

fn read_policy(path: &Path) -> anyhow::Result<DesiredPolicy> {
    repository::read_policy(path, None)?.desired.map_err(|diagnostics| {
        let shown = path.display();
        let first = diagnostics.first().map(ToString::to_string).unwrap_or_default();
        anyhow!("the policy in `{shown}` is not valid: {first}; run `backup-compliance lint {shown}` to see all errors")
    })
}

/// Returns the compliance changes of the file, and the reasons for ignoring other events.
fn changes(args: &NoticeArgs) -> anyhow::Result<(Vec<ComplianceChange>, Vec<String>)> {
    let shown = args.event.display();
    let batch = Batch::read(input::event(&args.event)?);
    let several = batch.messages.len() > 1;
    let (mut changes, mut ignored) = (Vec::new(), Vec::new());
    for (index, message) in batch.messages.iter().enumerate() {
        let position = if several { format!("message {}: ", index + 1) } else { String::new() };
        let event = message.event.as_ref().map_err(|error| anyhow!("{shown}: {position}{error}"))?;
        match compliance_change(event) {
            Ok(change) => changes.push(change),
            Err(EventError::Foreign(reason)) => ignored.push(format!("{position}{reason}")),
            Err(EventError::Invalid(error)) => bail!("{shown}: {position}{error}"),
        }
    }
    if batch.messages.is_empty() {
        ignored.push("the batch has no messages".to_owned());
    }
    Ok((changes, ignored))
}

const CHANNELS: [Channel; 4] = [Channel::Topic, Channel::Chat, Channel::SecurityHub, Channel::EventBus];

/// Applies the changes to an empty state. Returns the records with their pending deliveries.
fn applied(mut changes: Vec<ComplianceChange>, reporting: &Reporting) -> Vec<(ViolationRecord, ComplianceType)> {
    changes.sort_by_key(|change| change.ordering);
    let mut records: BTreeMap<ViolationKey, (ViolationRecord, ComplianceType)> = BTreeMap::new();
    for change in &changes {
        let known = records.get(&change.key).map(|(record, _)| record);
        let ChangeOutcome::Store { mut record, transition: turn } = apply(known, change) else { continue };
        let now = change.ordering.notified;
        match turn {
            Some(Transition::Opens) => record.record_opening(opening(change, reporting), &CHANNELS.into(), now),
            Some(Transition::Closes(closing)) => record.record_closing(closing, &CHANNELS.into(), now),
            None => {}
        }
        records.insert(change.key.clone(), (*record, change.compliance));
    }
    records.into_values().collect()
}

/// Returns the facts that `report` would record, as far as event and policy contain them.
fn opening(change: &ComplianceChange, reporting: &Reporting) -> Opening {
    let resource = ResourceDetails::default();
    let exemption = match reporting.match_exemptions(&change.key, &resource, today(change.ordering.notified)) {
        ExemptionMatch::Covered(exemption) => Some(exemption.into()),
        ExemptionMatch::Unmatched | ExemptionMatch::NearMiss(_) => None,
    };
    Opening {
        opened_by: if change.had_result { OpenedBy::Regression } else { OpenedBy::Rollout },
        detected_by: DetectionSource::Event,
        severity: reporting.severity(&change.key, &resource),
        resource,
        exemption,
    }
}

/// Adds the notice about the end of a violation that was not open on record.
fn with_pending(mut record: ViolationRecord, compliance: ComplianceType) -> ViolationRecord {
    if record.pending.is_empty() {
        let note = "`report` sends this notice only if the violation is open on record";
        output::hint(&format!("note: {note}, here {}", record.key));
        let closing = match compliance {
            ComplianceType::NotApplicable => ClosedReason::NotApplicable,
            _ => ClosedReason::Satisfied,
        };
        record.record_closing(closing, &CHANNELS.into(), record.ordering.notified);
    }
    record
}

/// Returns one notice for each account and control, but one finding or event for each transition.
fn notices(
    records: &[ViolationRecord],
    channel: Channel,
    reporting: &Reporting,
    policy: Option<&DesiredPolicy>,
) -> Vec<Notice> {
    let updates = records.iter().flat_map(|record| {
        record.pending_for(channel).map(|delivery| (record.key.group(), notice(record, delivery, reporting, policy)))
    });
    if matches!(channel, Channel::SecurityHub | Channel::EventBus) {
        return updates.map(|(_, notice)| Notice::from(notice)).collect();
    }
    let mut groups: BTreeMap<ViolationGroup, Vec<ViolationNotice>> = BTreeMap::new();
    for (group, notice) in updates {
        groups.entry(group).or_default().push(notice);
    }
    groups
        .into_iter()
        .map(|(ViolationGroup { account, control }, entries)| match <[ViolationNotice; 1]>::try_from(entries) {
            Ok([only]) => Notice::from(only),
            Err(entries) => Notice::ViolationDigest(ViolationDigest { account, account_name: None, control, entries }),
        })
        .collect()
}

fn notice(
    record: &ViolationRecord,
    delivery: &PendingDelivery,
    reporting: &Reporting,
    policy: Option<&DesiredPolicy>,
) -> ViolationNotice {
    let ViolationKey { account, region, control, .. } = &record.key;
    let mut frameworks = policy.iter().flat_map(|policy| &policy.frameworks);
    let parameters = frameworks.find_map(|framework| framework.published.parameters(account, region, control));
    let parameters = parameters.cloned();
    let exemption = reporting.match_exemptions(&record.key, &record.resource, today(delivery.at));
    let closest_exemption = match (&delivery.update, exemption) {
        (Update::Opened, ExemptionMatch::NearMiss(sentence)) => Some(sentence),
        _ => None,
    };
    let owner_tag = Some(reporting.owner_tag.clone());
    let context = NoticeContext { owner_tag, parameters, closest_exemption, ..NoticeContext::default() };
    ViolationNotice::new(record, delivery, context)
}
