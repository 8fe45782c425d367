//! Notices about one violation.

use super::text::{
    self, count, field, field_of_lines, fit, item, moment, one_line, paragraph, quoted, sentence, shown, span,
};
use super::{link, words};
use crate::control::{self, Severity};
use crate::violation::{Closing, Debt, Exempt, Found, Heard, Key, Record, ResourceFacts, Told};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const UNKNOWN_CONTROL: &str =
    "This version does not know the control. See what the Config rule above checks, and correct the resource.";
/// Tags shown to people; the rest is counted.
const TAGS: usize = 10;
/// Ways into a backup plan that are told.
const WAYS: usize = 5;
/// Longest name, and longest text of somebody else, that stands in a mail or a chat.
pub(super) const NAME: usize = 300;
const WORDS: usize = 500;
const AUDIT_MANAGER: &str = "https://docs.aws.amazon.com/aws-backup/latest/devguide/controls-and-remediation.html";

/// A violation as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationNotice {
    /// Which violation.
    pub key: Key,
    /// What is told of it.
    pub what: Told,
    /// How bad it is.
    pub severity: Severity,
    /// What AWS Config knows of the resource.
    pub resource: ResourceFacts,
    /// Who owns the resource, by the tag that the policy names.
    pub owner: Option<String>,
    /// The name or alias of the account.
    pub account_name: Option<String>,
    /// Since when the resource breaks (or broke) the control.
    pub since: Option<Timestamp>,
    /// When the result came that this notice tells of.
    pub at: Timestamp,
    /// When what this notice tells was recorded: later for every later notice of one violation.
    pub recorded_at: Timestamp,
    /// Earlier turns that are not told one by one: the resource went back and forth faster than anybody could be told.
    pub folded: u32,
    /// How the violation came to be.
    pub found: Found,
    /// Who brought the news.
    pub heard: Heard,
    /// The Config rule.
    pub rule_name: String,
    /// Its ARN.
    pub rule_arn: String,
    /// What the rule adds in words.
    pub annotation: Option<String>,
    /// The control's parameters in force for this account and Region. `None` when nobody knows, which is not the same as
    /// none: those that a framework does not give have their defaults.
    pub parameters: Option<BTreeMap<String, String>>,
    /// What would bring the resource into a backup plan that is there already, one sentence each, best first.
    pub ways: Vec<String>,
    /// The exemption that nearly applies, and what it lacks, in one sentence.
    pub near_exemption: Option<String>,
}

/// What a notice says beyond what is on record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoticeContext {
    /// The name or alias of the account.
    pub account_name: Option<String>,
    /// The key of the tag that names an owner.
    pub owner_tag: Option<String>,
    /// The control's parameters in force.
    pub parameters: Option<BTreeMap<String, String>>,
    /// See [`ViolationNotice::ways`].
    pub ways: Vec<String>,
    /// See [`ViolationNotice::near_exemption`].
    pub near_exemption: Option<String>,
}

impl ViolationNotice {
    /// The notice of a debt of a record.
    #[must_use]
    pub fn new(record: &Record, debt: &Debt, context: NoticeContext) -> Self {
        let NoticeContext { account_name, owner_tag, parameters, ways, near_exemption } = context;
        Self {
            key: record.key.clone(),
            what: debt.what.clone(),
            severity: record.severity,
            owner: owner_tag.and_then(|key| record.resource.tags.get(&key).cloned()),
            resource: record.resource.clone(),
            account_name,
            since: debt.since.or(record.since),
            at: record.ordering.triggered,
            recorded_at: debt.at,
            folded: debt.folded,
            found: record.found,
            heard: record.heard,
            rule_name: record.rule_name.clone(),
            rule_arn: record.rule_arn.clone(),
            annotation: record.annotation.clone(),
            parameters,
            ways,
            near_exemption,
        }
    }

    /// It was closed for another reason than that the resource satisfies the control.
    fn no_longer_applies(&self) -> bool {
        matches!(&self.what, Told::Resolved(closing) if *closing != Closing::Satisfied)
    }

    /// The name that people use, in one line.
    pub(super) fn whole_name(&self) -> String {
        one_line(self.resource.name.as_deref().unwrap_or(&self.key.resource_id))
    }

    pub(super) fn name(&self) -> String {
        shown(self.resource.name.as_deref().unwrap_or(&self.key.resource_id), NAME)
    }

    pub(super) fn kind_of_resource(&self) -> String {
        shown(control::resource_kind(&self.key.resource_type), 128)
    }

    pub(super) fn control(&self) -> Option<&'static control::Control> {
        control::find(&self.key.control)
    }

    /// What the control asks for. Numbers are only named where they are known.
    pub(super) fn requirement(&self) -> Option<String> {
        requirement(&self.key.control, self.parameters.as_ref())
    }

    /// The exemption that has come, or has gone.
    pub(super) fn exempt(&self) -> Option<&Exempt> {
        match &self.what {
            Told::Exempted(exempt) | Told::ExemptionEnded(exempt) => Some(exempt),
            Told::Opened | Told::Resolved(_) | Told::Refreshed => None,
        }
    }

    /// Returns those who answer for it: the owner of the resource, and the owner of the exemption that has come or gone.
    pub(super) fn owners(&self) -> impl Iterator<Item = &str> {
        let exempt = self.exempt().map(|exempt| exempt.owner.as_str());
        self.owner.as_deref().into_iter().chain(exempt)
    }

    /// How bad it is as it is told: what is resolved or exempt requires no action.
    pub(super) const fn severity_told(&self) -> Severity {
        if words::is_open(&self.what) { self.severity } else { Severity::Informational }
    }

    /// When it was closed: by a result, or by whoever noticed that there is none any more.
    pub(super) fn ended(&self) -> Timestamp {
        let by_result = matches!(self.what, Told::Resolved(Closing::Satisfied | Closing::NotApplicable));
        if by_result && self.since.is_none_or(|since| self.at > since) { self.at } else { self.recorded_at }
    }

    pub(super) fn timeline(&self) -> Option<String> {
        link::timeline(&self.key.region, &self.key.resource_type, &self.key.resource_id)
    }

    /// What is so with the resource, to follow its name.
    pub(super) fn state(&self) -> String {
        let control = self.control();
        match &self.what {
            Told::Resolved(Closing::Satisfied) => {
                control.map_or("satisfies the backup control", |control| control.fixed).to_owned()
            }
            Told::Resolved(Closing::NotApplicable | Closing::ControlRemoved) => {
                "is no longer subject to the control".to_owned()
            }
            Told::Resolved(Closing::ResourceGone) => "is gone".to_owned(),
            Told::Resolved(Closing::FrameworkRemoved) => "is no longer covered by a framework".to_owned(),
            Told::Exempted(exempt) => format!("is exempt until {}", exempt.until),
            Told::Opened | Told::ExemptionEnded(_) | Told::Refreshed => {
                control.map_or("breaks a backup control", |control| control.broken).to_owned()
            }
        }
    }

    /// What stands before the resource.
    fn lead(&self) -> &'static str {
        match &self.what {
            Told::ExemptionEnded(_) => "Exemption ended: ",
            Told::Opened | Told::Resolved(_) | Told::Exempted(_) | Told::Refreshed => "",
        }
    }

    fn mark(&self) -> &'static str {
        match &self.what {
            Told::Resolved(_) => "RESOLVED",
            Told::Exempted(_) => "EXEMPT",
            Told::Opened | Told::ExemptionEnded(_) | Told::Refreshed => self.severity.label(),
        }
    }

    /// The resource and the place are never cut off: where there is no room for all, first the kind of the resource is left out,
    /// then what is so with it. The digits say that it is an account.
    pub(super) fn subject(&self, limit: usize) -> String {
        let Key { account, region, .. } = &self.key;
        let (start, kind) = (format!("[{}] {}", self.mark(), self.lead()), sentence(&self.kind_of_resource()));
        let (state, place) = (self.state(), format!("({account}, {region})"));
        let whole = |name: &str| format!("{start}{kind} {} {state} {place}", quoted(name));
        let without_kind = |name: &str| format!("{start}{} {state} {place}", quoted(name));
        let without_state = |name: &str| format!("{start}{} {place}", quoted(name));
        text::subject_of(&self.name(), limit, &[&whole, &without_kind, &without_state])
    }

    fn summary(&self) -> String {
        let Key { account, region, .. } = &self.key;
        let lead = if matches!(self.what, Told::Resolved(_)) { "Resolved: " } else { self.lead() };
        let kind = sentence(&self.kind_of_resource());
        let account_name = self.account_name.as_deref().map(|name| format!(" {}", quoted(&shown(name, 64))));
        let account_name = account_name.unwrap_or_default();
        format!("{lead}{kind} {} {} (account {account}{account_name}, {region}).", quoted(&self.name()), self.state())
    }

    /// How it was found, to follow "Found".
    pub(super) fn story(&self) -> String {
        format!("{}{}", words::found(self.found), words::heard(self.heard))
    }

    /// The tags that are shown, each in a line of its own.
    pub(super) fn tags(&self) -> Vec<String> {
        let tags = &self.resource.tags;
        let mut lines: Vec<String> = tags.iter().take(TAGS).map(|(key, value)| format!("{key}={value}")).collect();
        let more = tags.len().saturating_sub(TAGS);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines.iter().map(|line| shown(line, NAME)).collect()
    }

    pub(super) fn shown_account(&self) -> String {
        match self.account_name.as_deref() {
            Some(name) => format!("{} ({})", self.key.account, shown(name, 64)),
            None => self.key.account.to_string(),
        }
    }

    fn facts(&self) -> String {
        let id = match self.resource.name.as_deref() {
            Some(name) if name != self.key.resource_id => field("Id", &shown(&self.key.resource_id, 1_000)),
            _ => String::new(),
        };
        [
            field("Resource", &format!("{} ({})", self.name(), shown(&self.key.resource_type, 128))),
            id,
            optional("ARN", self.resource.arn.as_deref()),
            field_of_lines("Tags", &self.tags()),
            optional("Owner", self.owner.as_deref().map(|owner| shown(owner, NAME)).as_deref()),
            field("Account", &self.shown_account()),
            field("Region", self.key.region.as_str()),
            field("Control", &shown(&self.key.control, NAME)),
            optional("Required", self.requirement().map(|words| shown(&words, WORDS)).as_deref()),
        ]
        .concat()
    }

    /// What would be done about it, best first: what brings just this resource into a plan, then what the control asks for.
    pub(super) fn steps(&self) -> Vec<String> {
        let ways = self.ways.iter().take(WAYS).map(|way| shown(way, WORDS));
        let general = self.control().map_or(UNKNOWN_CONTROL, |control| control.remediation);
        ways.chain([general.to_owned()]).collect()
    }

    pub(super) fn documentation(&self) -> &'static str {
        self.control().map_or(AUDIT_MANAGER, |control| control.documentation)
    }

    pub(super) fn near(&self) -> Option<String> {
        self.near_exemption.as_deref().map(|near| shown(near, WORDS))
    }

    /// That there were more turns, in a sentence.
    pub(super) fn before(&self) -> Option<String> {
        let turns = usize::try_from(self.folded).unwrap_or(usize::MAX);
        (turns > 0).then(|| format!("{}, back and forth, not told one by one", count(turns, "earlier turn")))
    }

    pub(super) fn text(&self) -> String {
        if words::is_open(&self.what) { self.opened_text() } else { self.resolved_text() }
    }

    fn opened_text(&self) -> String {
        let steps = self.steps();
        let todo = match steps.as_slice() {
            [only] => paragraph(only, 2),
            several => several.iter().map(|step| item(step)).collect(),
        };
        let exemption = self.exempt().map(|exempt| {
            field(
                "Was exempt",
                &format!("until {}, {}: {}", exempt.until, shown(&exempt.owner, NAME), shown(&exempt.reason, WORDS)),
            )
        });
        [
            paragraph(&self.summary(), 0),
            "\n".into(),
            self.facts(),
            field("Since", &moment(self.since.unwrap_or(self.at))),
            field("Found", &self.story()),
            optional("Before", self.before().as_deref()),
            exemption.unwrap_or_default(),
            field("Severity", self.severity.label()),
            optional("Config says", self.annotation.as_deref().map(|words| shown(words, WORDS)).as_deref()),
            field("Config rule", &shown(&self.rule_name, NAME)),
            "\nWhat to do\n".into(),
            todo,
            paragraph(self.documentation(), 2),
            self.near()
                .map(|near| format!("\nAn exemption that nearly applies\n{}", paragraph(&near, 2)))
                .unwrap_or_default(),
            self.timeline()
                .map(|link| format!("\nIn the AWS console of the account\n{}", paragraph(&link, 2)))
                .unwrap_or_default(),
            "\n".into(),
            paragraph("The next message about it says that it is resolved, or reminds of it.", 0),
        ]
        .concat()
    }

    fn resolved_text(&self) -> String {
        let ended = self.ended();
        let (when, end) = match &self.what {
            Told::Exempted(exempt) => (
                [
                    field("Exempt until", &exempt.until.to_string()),
                    field("Reason", &shown(&exempt.reason, WORDS)),
                    field("Exempted by", &shown(&exempt.owner, NAME)),
                ]
                .concat(),
                format!(
                    "The resource still breaks the control, and the policy exempts it: no action is required. If it still \
                     breaks the control after {}, a new notice is sent.",
                    exempt.until
                ),
            ),
            Told::Resolved(closing) => (String::new(), words::closed_sentence(*closing).to_owned()),
            Told::Opened | Told::ExemptionEnded(_) | Told::Refreshed => Default::default(),
        };
        [
            paragraph(&self.summary(), 0),
            "\n".into(),
            self.facts(),
            optional("Open since", self.since.map(moment).as_deref()),
            match &self.what {
                Told::Exempted(_) => field("Exempt since", &moment(ended)),
                _ => [
                    field("Resolved", &moment(ended)),
                    optional("Open for", self.since.map(|since| span(since, ended)).as_deref()),
                ]
                .concat(),
            },
            optional("Before", self.before().as_deref()),
            when,
            "\n".into(),
            paragraph(&end, 0),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        let closed = words::closed_word(&self.what);
        let reason = match &self.what {
            Told::Opened | Told::Refreshed => Some("result"),
            Told::ExemptionEnded(_) => Some("exemptionEnded"),
            Told::Resolved(_) | Told::Exempted(_) => None,
        };
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
                "name": fit(&self.whole_name(), 3_500),
                "arn": optional(&self.resource.arn, 3_500),
                "tags": tags,
                "moreTags": more_tags,
            },
            "owner": optional(&self.owner, 1_000),
            "since": self.since,
            "at": self.at,
            "recordedAt": self.recorded_at,
            "earlierTurns": self.folded,
            "found": words::found_word(self.found),
            "heard": words::heard_word(self.heard),
            "rule": { "name": fit(&self.rule_name, 800), "arn": fit(&self.rule_arn, 1_500) },
            "annotation": optional(&self.annotation, 2_000),
            "ways": self.ways.iter().take(WAYS).map(|way| fit(way, 1_000)).collect::<Vec<_>>(),
            "nearExemption": optional(&self.near_exemption, 1_500),
            "exemption": self.exempt().map(|exempt| json!({
                "reason": fit(&exempt.reason, 1_500),
                "owner": fit(&exempt.owner, 500),
                "until": exempt.until,
            })),
            "reason": reason,
            "closed": closed,
            "noLongerApplies": self.no_longer_applies(),
            "console": self.timeline(),
        })
    }
}

/// What a control asks for with these parameters. Numbers are only named where they are known.
pub(super) fn requirement(control: &str, parameters: Option<&BTreeMap<String, String>>) -> Option<String> {
    let control = control::find(control)?;
    Some(match parameters {
        Some(parameters) => control.requirement(parameters),
        None if control.parameters.is_empty() => control.requirement(&BTreeMap::new()),
        None => control.title.to_owned(),
    })
}

/// A control in the JSON form.
pub(super) fn control_json(name: &str, parameters: Option<&BTreeMap<String, String>>) -> Value {
    /// More than any control has.
    const MOST: usize = 12;
    let control = control::find(name);
    let shown: Map<String, Value> = parameters
        .into_iter()
        .flatten()
        .take(MOST)
        .map(|(name, value)| (fit(name, 100), json!(fit(value, 300))))
        .collect();
    json!({
        "name": fit(name, 800),
        "requirement": requirement(name, parameters).map(|words| fit(&words, 1_000)),
        "parameters": shown,
        "remediation": control.map(|control| control.remediation),
        "documentation": control.map(|control| control.documentation),
    })
}

/// As many tags as a notice has room for, as they are.
fn fit_tags(tags: &BTreeMap<String, String>) -> Map<String, Value> {
    /// 50 tags, the most that a resource has, of twice the usual length.
    const ROOM: usize = 12_000;
    let mut room = ROOM;
    let mut shown = Map::new();
    for (key, value) in tags {
        let (key, value) = (fit(key, 1_000), fit(value, 2_000));
        let cost = Value::String(json!({ &key: &value }).to_string()).to_string().len();
        let Some(left) = room.checked_sub(cost) else { break };
        room = left;
        shown.insert(key, Value::String(value));
    }
    shown
}

fn optional(label: &str, value: Option<&str>) -> String {
    value.map(|value| field(label, value)).unwrap_or_default()
}
