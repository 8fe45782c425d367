//! What stands around the frameworks of a template: selections, rules that forward events, the recorder of AWS Config.

use std::collections::BTreeSet;

use super::rules;
use crate::control::{RuleName, SCOPE_NAMES};
use crate::evaluation::pattern::Pattern;
use crate::fault::Faults;
use crate::framework::read::Read;
use crate::template::{Content, Part, Resolver, Resource, Template, resources_of};
use crate::yaml::Node;

const SELECTION: &str = "AWS::Backup::BackupSelection";
const EVENT_RULE: &str = "AWS::Events::Rule";
const RECORDER: &str = "AWS::Config::ConfigurationRecorder";
const CONFIG_RULE: &str = "AWS::Config::ConfigRule";

pub(super) fn check<'t>(
    faults: &mut Faults<'_, '_>,
    template: &'t Template,
    resolver: &Resolver<'t>,
    frameworks: &[Read<'t>],
) {
    let expansions = template.expansions();
    for expansion in &expansions {
        let problem = format!("what {} makes cannot be known before a deployment", expansion.what);
        faults.tell(&rules::EXPANSION, expansion.at, problem, "look at the processed template too", Vec::new());
    }
    let Some(first) = frameworks.first() else { return };
    let resources =
        resources_of(template, resolver, |kind| [SELECTION, EVENT_RULE, RECORDER, CONFIG_RULE].contains(&kind));
    let of = |kind: &'static str| resources.iter().filter(move |resource| resource.kind == kind);
    circular(faults, of(SELECTION), frameworks);
    // Whatever brings resources that cannot be seen may bring a rule or a recorder.
    let may_have_more = !expansions.is_empty()
        || template.resources().any(|(_, kind, _)| {
            kind == "AWS::CloudFormation::Stack" || kind.ends_with("::MODULE") || kind.starts_with("AWS::Serverless::")
        });
    forwarding(faults, of(EVENT_RULE), first.id, may_have_more);
    recorders(faults, of(RECORDER), frameworks, first.id, may_have_more);
    old_rules(faults, of(CONFIG_RULE), frameworks);
}

/// The control of coverage, narrowed to the tag by which a selection picks resources.
fn circular<'r>(
    faults: &mut Faults<'_, '_>,
    selections: impl Iterator<Item = &'r Resource<'r>>,
    frameworks: &[Read<'_>],
) {
    let picked: Vec<(String, Wanted, &str)> = selections
        .filter(|selection| selection.is_on != Some(false))
        .flat_map(|selection| {
            let tags = selection.properties.get("BackupSelection").map(tags_of).unwrap_or_default();
            tags.into_iter().map(|(key, value)| (key, value, selection.logical_id))
        })
        .collect();
    for control in frameworks.iter().flat_map(|framework| &framework.controls) {
        let used = &control.used;
        let [(key, Some(value))] = used.scope.tags.as_slice() else { continue };
        if used.control.name != "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" {
            continue;
        }
        if let Some((_, _, selection)) = picked.iter().find(|(k, v, _)| k == key && v.takes(value)) {
            let shown = crate::ids::shown;
            let problem = format!(
                "the control looks only at resources with the tag `{}` = `{}`, all of which `{}` selects",
                shown(key),
                shown(value),
                shown(selection)
            );
            let fix = "narrow it to what must be backed up, by another tag or by types, or not at all";
            let place = control.node.get("ControlScope").map_or(used.at, |scope| scope.at);
            faults.tell(&rules::CIRCULAR, place, problem, fix, Vec::new());
        }
    }
}

/// The value that a selection asks of a tag.
enum Wanted {
    Equal(String),
    /// With `*` for anything.
    Like(String),
}

impl Wanted {
    fn takes(&self, value: &str) -> bool {
        match self {
            Self::Equal(text) => text == value,
            Self::Like(pattern) => Pattern::new(pattern).matches(value),
        }
    }
}

/// The tags of which each alone brings every resource that has it into a selection.
fn tags_of(selection: &Part) -> Vec<(String, Wanted)> {
    let is_given = |key: &str| selection.get(key).is_some_and(|part| part.items() != Some(&[]));
    if is_given("NotResources") {
        return Vec::new();
    }
    let pair = |entry: &Part, wanted: fn(String) -> Wanted| {
        let key = entry.get("ConditionKey")?.as_text()?;
        let key = key.strip_prefix("aws:ResourceTag/").unwrap_or(key);
        Some((key.to_owned(), wanted(entry.get("ConditionValue")?.as_text()?.to_owned())))
    };
    let operators = selection.get("Conditions").and_then(Part::entries).unwrap_or_default();
    let conditions: Vec<(&str, &Part)> = operators
        .iter()
        .flat_map(|(operator, list)| list.items().unwrap_or_default().iter().map(move |item| (operator.as_str(), item)))
        .collect();
    match conditions.as_slice() {
        [] if !is_given("Conditions") => {
            let listed = selection.get("ListOfTags").and_then(Part::items).unwrap_or_default();
            listed.iter().filter_map(|entry| pair(entry, Wanted::Equal)).collect()
        }
        // One condition on everything.
        [(operator @ ("StringEquals" | "StringLike"), only)] => {
            let wanted = if *operator == "StringLike" { Wanted::Like } else { Wanted::Equal };
            let resources = selection.get("Resources").and_then(Part::items).unwrap_or_default();
            let is_everything = !is_given("ListOfTags")
                && (!is_given("Resources") || resources.iter().any(|resource| resource.as_text() == Some("*")));
            pair(only, wanted).filter(|_| is_everything).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a list of a pattern may have this.
fn may_match(part: Option<&Part>, wanted: &str) -> bool {
    may_be(part, |text| text == wanted)
}

/// Whether a list of a pattern may have one of these.
fn may_be(part: Option<&Part>, is_wanted: impl Fn(&str) -> bool) -> bool {
    match part.map(|part| &part.content) {
        // What is not asked for may be anything.
        None | Some(Content::Unknown | Content::Pieces(_)) => true,
        Some(Content::List(items)) => items.iter().any(|item| item.as_text().is_none_or(&is_wanted)),
        Some(Content::Text(text)) => is_wanted(text),
        Some(Content::Mapping(_)) => false,
    }
}

/// Whether a rule of events may send anything anywhere.
fn sends(rule: &Part) -> bool {
    let is_off = rule.get("State").and_then(Part::as_text) == Some("DISABLED");
    let has_targets = match rule.get("Targets").map(|targets| &targets.content) {
        Some(Content::List(targets)) => !targets.is_empty(),
        Some(_) => true,
        None => false,
    };
    !is_off && has_targets
}

fn forwarding<'r>(
    faults: &mut Faults<'_, '_>,
    rules_of_events: impl Iterator<Item = &'r Resource<'r>>,
    framework: &Node,
    may_have_more: bool,
) {
    let mut is_forwarded = may_have_more;
    for rule in rules_of_events {
        let Some(pattern) = rule.properties.get("EventPattern") else {
            is_forwarded |= rule.properties.content == Content::Unknown;
            continue;
        };
        if !may_match(pattern.get("source"), "aws.config")
            || !may_match(pattern.get("detail-type"), "Config Rules Compliance Change")
        {
            continue;
        }
        let detail = |key: &str| pattern.get("detail").and_then(|detail| detail.get(key));
        // The rules of Audit Manager have names that no two accounts have alike: a plain name is that of another rule.
        let is_of_framework = |name: &str| RuleName::parse(name).control.is_some();
        if !may_match(detail("messageType"), "ComplianceChangeNotification")
            || !may_be(detail("configRuleName"), is_of_framework)
            || !sends(&rule.properties)
        {
            continue;
        }
        // A condition usually asks for the bus, which a deployment gives: rules that are off now count.
        is_forwarded = true;
        let verdicts = pattern
            .get("detail")
            .and_then(|detail| detail.get("newEvaluationResult"))
            .and_then(|result| result.get("complianceType"));
        if let Some(verdicts) = verdicts
            && !may_match(Some(verdicts), "COMPLIANT")
        {
            let problem = "the rule forwards violations and not what ends them";
            let fix = "remove `complianceType` from the pattern, or add COMPLIANT and NOT_APPLICABLE";
            faults.tell(&rules::ONE_WAY, verdicts.at, problem, fix, Vec::new());
        }
    }
    if !is_forwarded {
        let problem = "no rule of the template forwards compliance changes to the central account";
        let fix = "add the rule `ComplianceChangeRule` of the starter framework and its role";
        faults.tell(&rules::NOT_FORWARDED, framework, problem, fix, Vec::new());
    }
}

const OF_BACKUP: &[&str] = &[
    "AWS::Backup::BackupPlan",
    "AWS::Backup::BackupSelection",
    "AWS::Backup::BackupVault",
    "AWS::Backup::RecoveryPoint",
];

/// The types that AWS Config must record for these frameworks ("Turning on resource tracking"): those of AWS Backup, and those that are
/// judged, without which no events arrive.
fn needed(frameworks: &[Read<'_>]) -> BTreeSet<&'static str> {
    let mut needed: BTreeSet<&'static str> = OF_BACKUP.iter().copied().collect();
    for control in frameworks.iter().flat_map(|framework| &framework.controls) {
        let types = &control.used.scope.resource_types;
        let is_wanted = |kind: &&&str| {
            types.is_empty() || SCOPE_NAMES.iter().any(|(name, of)| of == *kind && types.iter().any(|one| one == name))
        };
        needed.extend(control.used.control.resource_types.iter().filter(is_wanted));
    }
    needed
}

fn recorders<'r>(
    faults: &mut Faults<'_, '_>,
    recorders: impl Iterator<Item = &'r Resource<'r>>,
    frameworks: &[Read<'_>],
    framework: &Node,
    may_have_more: bool,
) {
    let needed = needed(frameworks);
    let listed = |types: &[&str]| types.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
    let mut is_there = false;
    for recorder in recorders {
        is_there = true;
        let missing = not_recorded(&recorder.properties, &needed);
        if !missing.is_empty() {
            let problem = format!("the recorder leaves out {}", listed(&missing));
            let at = recorder.properties.get("RecordingGroup").map_or(recorder.at, |group| group.at);
            faults.tell(&rules::NOT_RECORDED, at, problem, "record them too, or `AllSupported: true`", Vec::new());
        }
    }
    if !is_there && !may_have_more {
        let needed: Vec<&str> = needed.into_iter().collect();
        let problem = format!("AWS Config must record {} in every account", listed(&needed));
        let fix = "see that the recorder of the accounts does; nothing is to be changed here";
        faults.tell(&rules::RECORDER_ELSEWHERE, framework, problem, fix, Vec::new());
    }
}

/// What a recorder is known to leave out.
fn not_recorded(recorder: &Part, needed: &BTreeSet<&'static str>) -> Vec<&'static str> {
    // Without a recording group, everything is recorded.
    let Some(group) = recorder.get("RecordingGroup") else { return Vec::new() };
    if group.content == Content::Unknown {
        return Vec::new();
    }
    let excluded = group.get("ExclusionByResourceTypes").and_then(|excluded| excluded.get("ResourceTypes"));
    if let Some(excluded) = excluded.and_then(Part::items).filter(|excluded| !excluded.is_empty()) {
        let is_excluded = |kind: &&'static str| excluded.iter().any(|part| part.as_text() == Some(*kind));
        return needed.iter().copied().filter(is_excluded).collect();
    }
    let is_all = group.get("AllSupported").map(|all| all.as_text());
    match (is_all, group.get("ResourceTypes")) {
        // Neither everything nor anything by name. A strategy may say more.
        (Some(Some("false")), None) if group.get("RecordingStrategy").is_none() => needed.iter().copied().collect(),
        (Some(Some("false")) | None, Some(types)) => match types.items() {
            Some(items) if items.iter().all(|item| item.as_text().is_some()) => {
                let is_missing = |kind: &&'static str| !items.iter().any(|item| item.as_text() == Some(*kind));
                needed.iter().copied().filter(is_missing).collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn old_rules<'r>(
    faults: &mut Faults<'_, '_>,
    config_rules: impl Iterator<Item = &'r Resource<'r>>,
    frameworks: &[Read<'_>],
) {
    const OLD: &[&str] = &["DYNAMODB_IN_BACKUP_PLAN", "EBS_IN_BACKUP_PLAN", "EFS_IN_BACKUP_PLAN", "RDS_IN_BACKUP_PLAN"];
    const CONTROL: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
    let mut controls = frameworks.iter().flat_map(|framework| &framework.controls);
    if !controls.any(|control| control.used.control.name == CONTROL) {
        return;
    }
    for rule in config_rules {
        let source = rule.properties.get("Source").and_then(|source| source.get("SourceIdentifier"));
        if let Some(source) = source
            && let Some(name) = source.as_text().filter(|name| OLD.contains(name))
        {
            let problem = format!("the Config rule `{name}` asks what the control `{CONTROL}` asks");
            faults.tell(&rules::OLD_RULES, source.at, problem, "remove the rule if nothing else reads it", Vec::new());
        }
    }
}
