//! Notices about one violation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use framework::control::{self, Severity};

use super::labels::{self, UpdateKind};
use super::text::{
    self, field, field_of_lines, fit, item, moment, one_line, optional, paragraph, quoted, section, sentence, shown,
    span,
};
use super::{Render, link};
use crate::violation::{
    AppliedExemption, ClosedReason, DetectionSource, OpenedBy, PendingDelivery, ResourceDetails, Update, ViolationKey,
    ViolationRecord,
};

const UNKNOWN_CONTROL: &str =
    "This version does not know the control. Read the description of the Config rule above, and correct the resource.";
const TAGS: usize = 10;
const OPTIONS: usize = 5;
/// Characters of a name, and of another external text, in a mail or a chat.
pub(super) const MAX_NAME: usize = 300;
const MAX_TEXT: usize = 500;
const AUDIT_MANAGER: &str = "https://docs.aws.amazon.com/aws-backup/latest/devguide/controls-and-remediation.html";

/// An update of one violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationNotice {
    /// The violation.
    pub key: ViolationKey,
    /// The update.
    pub update: Update,
    /// The severity of the violation.
    pub severity: Severity,
    /// The resource in AWS Config.
    pub resource: ResourceDetails,
    /// The value of the owner tag.
    pub owner: Option<String>,
    /// The name or alias of the account.
    pub account_name: Option<String>,
    /// Start of the violation.
    pub since: Option<Timestamp>,
    /// Time of the result that caused the update.
    pub at: Timestamp,
    /// When the update was recorded: later for each later notice of a violation.
    pub recorded_at: Timestamp,
    /// Earlier transitions without notices of their own: they followed each other faster than they could be delivered.
    pub earlier_transitions: u32,
    /// Why the violation opened.
    pub opened_by: OpenedBy,
    /// The source that reported the opening.
    pub detected_by: DetectionSource,
    /// The Config rule's name.
    pub rule_name: String,
    /// The Config rule's ARN.
    pub rule_arn: String,
    /// The rule's annotation.
    pub annotation: Option<String>,
    /// The control's parameters in force; defaults apply to those that are missing. `None` if they are not known.
    pub parameters: Option<BTreeMap<String, String>>,
    /// Changes that would add the resource to an existing backup plan, one sentence each, best first.
    pub remediation_options: Vec<String>,
    /// The exemption that almost covers the violation, and the condition that it fails, in one sentence.
    pub closest_exemption: Option<String>,
}

/// Facts for a notice that are not on record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoticeContext {
    /// The name or alias of the account.
    pub account_name: Option<String>,
    /// The key of the owner tag.
    pub owner_tag: Option<String>,
    /// The control's parameters in force.
    pub parameters: Option<BTreeMap<String, String>>,
    /// See [`ViolationNotice::remediation_options`].
    pub remediation_options: Vec<String>,
    /// See `ViolationNotice::closest_exemption`.
    pub closest_exemption: Option<String>,
}

impl ViolationNotice {
    /// Creates the notice of a pending delivery of a record.
    pub fn new(record: &ViolationRecord, delivery: &PendingDelivery, context: NoticeContext) -> Self {
        let NoticeContext { account_name, owner_tag, parameters, remediation_options, closest_exemption } = context;
        Self {
            key: record.key.clone(),
            update: delivery.update.clone(),
            severity: record.severity,
            owner: owner_tag.and_then(|key| record.resource.tags.get(&key).cloned()),
            resource: record.resource.clone(),
            account_name,
            since: delivery.since.or(record.since),
            at: record.ordering.triggered,
            recorded_at: delivery.at,
            earlier_transitions: delivery.earlier_transitions,
            opened_by: record.opened_by,
            detected_by: record.detected_by,
            rule_name: record.rule_name.clone(),
            rule_arn: record.rule_arn.clone(),
            annotation: record.annotation.clone(),
            parameters,
            remediation_options,
            closest_exemption,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        UpdateKind::of(&self.update).is_open()
    }

    pub(super) fn full_name(&self) -> String {
        one_line(self.resource.name.as_deref().unwrap_or(&self.key.resource_id))
    }

    pub(super) fn name(&self) -> String {
        shown(self.resource.name.as_deref().unwrap_or(&self.key.resource_id), MAX_NAME)
    }

    pub(super) fn resource_kind(&self) -> String {
        shown(control::resource_kind(&self.key.resource_type), 128)
    }

    pub(super) fn control(&self) -> Option<&'static control::Control> {
        control::find(&self.key.control)
    }

    pub(super) fn requirement(&self) -> Option<String> {
        requirement(&self.key.control, self.parameters.as_ref())
    }

    pub(super) const fn exemption(&self) -> Option<&AppliedExemption> {
        match &self.update {
            Update::Exempted(exempt) | Update::ExemptionEnded(exempt) => Some(exempt),
            Update::Opened | Update::Resolved(_) | Update::Refreshed => None,
        }
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = &str> {
        self.owner.as_deref().into_iter().chain(self.exemption().map(|exempt| exempt.owner.as_str()))
    }

    /// Returns the severity of the update: resolved and exempt violations require no action.
    pub(super) const fn severity_of_update(&self) -> Severity {
        if UpdateKind::of(&self.update).is_open() { self.severity } else { Severity::Informational }
    }

    /// Returns when the violation ended: the time of the result, or of the discovery that results are missing.
    pub(super) fn ended(&self) -> Timestamp {
        let by_result = matches!(self.update, Update::Resolved(ClosedReason::Satisfied | ClosedReason::NotApplicable));
        if by_result && self.since.is_none_or(|since| self.at > since) { self.at } else { self.recorded_at }
    }

    pub(super) fn timeline(&self) -> Option<String> {
        link::timeline(&self.key.region, &self.key.resource_type, &self.key.resource_id)
    }

    pub(super) fn state(&self) -> String {
        let control = self.control();
        let state = match &self.update {
            Update::Resolved(ClosedReason::Satisfied) => {
                control.map_or("satisfies the backup control", |control| control.compliance)
            }
            Update::Resolved(ClosedReason::NotApplicable | ClosedReason::ControlRemoved) => {
                "is no longer subject to the control"
            }
            Update::Resolved(ClosedReason::ResourceGone) => "was deleted",
            Update::Resolved(ClosedReason::FrameworkRemoved) => "is no longer covered by a framework",
            Update::Exempted(exempt) => return format!("is exempt until {}", exempt.until),
            Update::Opened | Update::ExemptionEnded(_) | Update::Refreshed => {
                control.map_or("breaks a backup control", |control| control.violation)
            }
        };
        state.to_owned()
    }

    fn prefix(&self) -> &'static str {
        if UpdateKind::of(&self.update) == UpdateKind::ExemptionEnded { "Exemption ended: " } else { "" }
    }

    fn summary(&self) -> String {
        let ViolationKey { account, region, .. } = &self.key;
        let prefix = if matches!(self.update, Update::Resolved(_)) { "Resolved: " } else { self.prefix() };
        let kind = sentence(&self.resource_kind());
        let account_name = labels::name_after_account(self.account_name.as_deref());
        format!("{prefix}{kind} {} {} (account {account}{account_name}, {region}).", quoted(&self.name()), self.state())
    }

    pub(super) fn tags(&self) -> Vec<String> {
        let tags = &self.resource.tags;
        let more = tags.len().saturating_sub(TAGS);
        let first = tags.iter().take(TAGS).map(|(key, value)| shown(&format!("{key}={value}"), MAX_NAME));
        first.chain((more > 0).then(|| format!("and {more} more"))).collect()
    }

    fn facts(&self) -> String {
        let id = self.resource.name.as_ref().filter(|name| **name != self.key.resource_id);
        let id = id.map(|_| shown(&self.key.resource_id, 1_000));
        [
            field("Resource", &format!("{} ({})", self.name(), shown(&self.key.resource_type, 128))),
            optional("Id", id),
            optional("ARN", self.resource.arn.as_deref()),
            field_of_lines("Tags", &self.tags()),
            optional("Owner", self.owner.as_deref().map(|owner| shown(owner, MAX_NAME))),
            field("Account", &self.shown_account()),
            field("Region", self.key.region.as_str()),
            field("Control", &shown(&self.key.control, MAX_NAME)),
            optional("Required", self.requirement().map(|text| shown(&text, MAX_TEXT))),
        ]
        .concat()
    }

    pub(super) fn shown_account(&self) -> String {
        match self.account_name.as_deref() {
            Some(name) => format!("{} ({})", self.key.account, shown(name, 64)),
            None => self.key.account.to_string(),
        }
    }

    /// Returns the remediation: first the options for this resource, then the general advice for the control.
    pub(super) fn remediation(&self) -> Vec<String> {
        let options = self.remediation_options.iter().take(OPTIONS).map(|option| shown(option, MAX_TEXT));
        let general = self.control().map_or(UNKNOWN_CONTROL, |control| control.remediation);
        options.chain([general.to_owned()]).collect()
    }

    pub(super) fn documentation(&self) -> &'static str {
        self.control().map_or(AUDIT_MANAGER, |control| control.documentation)
    }

    pub(super) fn closest_exemption(&self) -> Option<String> {
        self.closest_exemption.as_deref().map(|sentence| shown(sentence, MAX_TEXT))
    }

    pub(super) fn earlier_transitions(&self) -> Option<String> {
        labels::earlier_transitions(usize::try_from(self.earlier_transitions).unwrap_or(usize::MAX))
    }

    fn opened_text(&self) -> String {
        let remediation = match self.remediation().as_slice() {
            [only] => paragraph(only, 2),
            several => several.iter().map(|step| item(step)).collect(),
        };
        let exemption = self.exemption().map(|exempt| {
            format!("until {}, {}: {}", exempt.until, shown(&exempt.owner, MAX_NAME), shown(&exempt.reason, MAX_TEXT))
        });
        let indented = |text: Option<String>| text.map(|text| paragraph(&text, 2)).unwrap_or_default();
        [
            paragraph(&self.summary(), 0),
            "\n".into(),
            self.facts(),
            field("Since", &moment(self.since.unwrap_or(self.at))),
            field("Opened by", &labels::opened_by(self.opened_by, self.detected_by)),
            optional("Before", self.earlier_transitions()),
            optional("Was exempt", exemption),
            field("Severity", self.severity.label()),
            optional("Annotation", self.annotation.as_deref().map(|text| shown(text, MAX_TEXT))),
            field("Config rule", &shown(&self.rule_name, MAX_NAME)),
            section("What to do", &(remediation + &paragraph(self.documentation(), 2))),
            section("Closest exemption", &indented(self.closest_exemption())),
            section("In the AWS console of the account", &indented(self.timeline())),
            "\n".into(),
            paragraph("The next notice about it reports its end, or is a weekly reminder.", 0),
        ]
        .concat()
    }

    fn ended_text(&self) -> String {
        let (ended, exempt) = (self.ended(), self.exemption());
        let open_for = self.since.filter(|_| exempt.is_none()).map(|since| span(since, ended));
        let end = match exempt {
            Some(AppliedExemption { until, .. }) => format!(
                "The resource still breaks the control, and the policy exempts it: no action is required. If it still \
                 breaks the control after {until}, a new notice is sent."
            ),
            None => labels::closed_reason(&self.update).map(labels::closed_sentence).unwrap_or_default().to_owned(),
        };
        [
            paragraph(&self.summary(), 0),
            "\n".into(),
            self.facts(),
            optional("Open since", self.since.map(moment)),
            field(if exempt.is_some() { "Exempt since" } else { "Resolved" }, &moment(ended)),
            optional("Open for", open_for),
            optional("Before", self.earlier_transitions()),
            optional("Exempt until", exempt.map(|exempt| exempt.until.to_string())),
            optional("Reason", exempt.map(|exempt| shown(&exempt.reason, MAX_TEXT))),
            optional("Exempted by", exempt.map(|exempt| shown(&exempt.owner, MAX_NAME))),
            "\n".into(),
            paragraph(&end, 0),
        ]
        .concat()
    }
}

impl Render for ViolationNotice {
    /// Resource, account and Region are never cut. In a line that is too long, first the kind is omitted, then the state.
    fn subject(&self) -> String {
        let ViolationKey { account, region, .. } = &self.key;
        let mark = match UpdateKind::of(&self.update) {
            UpdateKind::Resolved => "RESOLVED",
            UpdateKind::Exempted => "EXEMPT",
            UpdateKind::Opened | UpdateKind::ExemptionEnded => self.severity.label(),
        };
        let (prefix, kind, state) = (self.prefix(), sentence(&self.resource_kind()), self.state());
        let line = |middle: String| format!("[{mark}] {prefix}{middle} ({account}, {region})");
        let whole = |name: &str| line(format!("{kind} {} {state}", quoted(name)));
        let without_kind = |name: &str| line(format!("{} {state}", quoted(name)));
        let without_state = |name: &str| line(quoted(name));
        text::subject(&self.name(), &[&whole, &without_kind, &without_state])
    }

    fn text(&self) -> String {
        if self.is_open() { self.opened_text() } else { self.ended_text() }
    }

    fn json(&self) -> Value {
        let reason = match UpdateKind::of(&self.update) {
            UpdateKind::Opened => Some("result"),
            UpdateKind::ExemptionEnded => Some("exemptionEnded"),
            UpdateKind::Resolved | UpdateKind::Exempted => None,
        };
        let closed = labels::closed_reason(&self.update);
        let tags = fit_tags(&self.resource.tags);
        let more_tags = self.resource.tags.len().saturating_sub(tags.len());
        let optional = |text: &Option<String>, budget| text.as_deref().map(|text| fit(text, budget));
        json!({
            "id": fit(&self.key.to_string(), 4_000),
            "account": self.key.account,
            "accountName": optional(&self.account_name, 400),
            "region": self.key.region,
            "control": control_json(&self.key.control, self.parameters.as_ref()),
            "resource": {
                "type": fit(&self.key.resource_type, 400),
                "id": fit(&self.key.resource_id, 3_500),
                "name": fit(&self.full_name(), 3_500),
                "arn": optional(&self.resource.arn, 3_500),
                "tags": tags,
                "moreTags": more_tags,
            },
            "owner": optional(&self.owner, 1_000),
            "since": self.since,
            "at": self.at,
            "recordedAt": self.recorded_at,
            "earlierTransitions": self.earlier_transitions,
            "openedBy": self.opened_by,
            "detectedBy": self.detected_by,
            "rule": { "name": fit(&self.rule_name, 800), "arn": fit(&self.rule_arn, 1_500) },
            "annotation": optional(&self.annotation, 2_000),
            "remediationOptions": self.remediation_options.iter().take(OPTIONS).map(|option| fit(option, 1_000)).collect::<Vec<_>>(),
            "closestExemption": optional(&self.closest_exemption, 1_500),
            "exemption": self.exemption().map(|exempt| json!({
                "reason": fit(&exempt.reason, 1_500),
                "owner": fit(&exempt.owner, 500),
                "until": exempt.until,
            })),
            "reason": reason,
            "closedReason": closed,
            "noLongerApplies": closed.is_some_and(|reason| reason != ClosedReason::Satisfied),
            "console": self.timeline(),
        })
    }
}

/// Returns the requirement of a control with its parameters. Without known parameters it contains no numbers.
pub(super) fn requirement(control: &str, parameters: Option<&BTreeMap<String, String>>) -> Option<String> {
    let control = control::find(control)?;
    Some(match parameters {
        Some(parameters) => control.requirement(parameters),
        None if control.parameters.is_empty() => control.requirement(&BTreeMap::new()),
        None => control.title.to_owned(),
    })
}

pub(super) fn control_json(name: &str, parameters: Option<&BTreeMap<String, String>>) -> Value {
    /// More than any control has.
    const MAX_PARAMETERS: usize = 12;
    let control = control::find(name);
    let parameters_shown = parameters.into_iter().flatten().take(MAX_PARAMETERS);
    let parameters_shown: Map<String, Value> =
        parameters_shown.map(|(name, value)| (fit(name, 100), json!(fit(value, 300)))).collect();
    json!({
        "name": fit(name, 800),
        "requirement": requirement(name, parameters).map(|text| fit(&text, 1_000)),
        "parameters": parameters_shown,
        "remediation": control.map(|control| control.remediation),
        "documentation": control.map(|control| control.documentation),
    })
}

fn fit_tags(tags: &BTreeMap<String, String>) -> Map<String, Value> {
    /// 50 tags, the most of a resource, of twice the usual length.
    const ROOM: usize = 12_000;
    let fitted = tags.iter().scan(ROOM, |room, (key, value)| {
        let (key, value) = (fit(key, 1_000), fit(value, 2_000));
        let cost = Value::String(json!({ &key: &value }).to_string()).to_string().len();
        *room = room.checked_sub(cost)?;
        Some((key, Value::String(value)))
    });
    fitted.collect()
}
