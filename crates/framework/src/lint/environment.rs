//! Checks of the resources around a framework: backup selections, EventBridge rules, the AWS Config recorder. The family has BC050 to
//! BC054 and BC058; the check of BC005 is here too.

use std::collections::BTreeSet;

use syntax::diagnostic::Diagnostics;
use syntax::template::{Content, Part, Resolver, Template, TemplateResource, resources_of};
use syntax::text::printable;
use syntax::wildcard;
use syntax::yaml::Node;

use crate::control::{RuleName, SCOPE_NAMES};
use crate::definition::read::ReadFramework;
use crate::rules::family;
use crate::rules::template::EXPANSION;

family! {
    CIRCULAR "BC050" Warning "A control evaluates only resources that a backup selection selects anyway"
        "The control's scope is the tag by which a backup selection of the same template selects resources. Every \
         resource with the tag is selected, and a forgotten resource does not have the tag. The control therefore \
         finds almost nothing. Use a tag that declares the need for backups, such as the environment, or remove the \
         scope."
    NOT_FORWARDED "BC051" Warning "Compliance changes are not forwarded"
        "The template has a framework but no EventBridge rule that forwards `Config Rules Compliance Change` \
         events. The central account then detects violations only in the sweep. A rule is ignored if it is \
         disabled, has no targets, or matches other messages or Config rules only. Copy the rule and its role from \
         the starter framework."
    ONE_WAY "BC052" Warning "Resolved violations are not forwarded"
        "The EventBridge rule matches only NON_COMPLIANT. A violation is resolved by an event with COMPLIANT or \
         NOT_APPLICABLE; without it, the violation stays open until the sweep."
    NOT_RECORDED "BC053" Warning "The recorder excludes resource types that the controls need"
        "AWS Config must record the types of AWS Backup and the evaluated types. Otherwise controls have no result \
         and events are missing."
    RECORDER_ELSEWHERE "BC054" Note "AWS Config must record these types in every account"
        "The template has no AWS Config recorder, which is usual because accounts already have one. Make sure that \
         it records the listed types, or the controls have no result."
    OLD_RULES "BC058" Note "An older Config rule checks the same"
        "The Config rules `DYNAMODB_IN_BACKUP_PLAN`, `EBS_IN_BACKUP_PLAN`, `EFS_IN_BACKUP_PLAN` and \
         `RDS_IN_BACKUP_PLAN` each check one type for membership in a backup plan. With the control in addition, \
         AWS Config evaluates and charges twice."
}

const SELECTION: &str = "AWS::Backup::BackupSelection";
const EVENT_RULE: &str = "AWS::Events::Rule";
const RECORDER: &str = "AWS::Config::ConfigurationRecorder";
const CONFIG_RULE: &str = "AWS::Config::ConfigRule";

pub(super) fn check<'t>(
    diagnostics: &mut Diagnostics<'_, '_>,
    template: &'t Template,
    resolver: &Resolver<'t>,
    frameworks: &[ReadFramework<'t>],
) {
    let expansions = template.expansions();
    for expansion in &expansions {
        let message = format!("the result of {} is unknown before a deployment", expansion.what);
        diagnostics.report(&EXPANSION, expansion.at, message, "check the processed template too");
    }
    let Some(first) = frameworks.first() else { return };
    let resources =
        resources_of(template, resolver, |kind| [SELECTION, EVENT_RULE, RECORDER, CONFIG_RULE].contains(&kind));
    let of = |kind: &'static str| resources.iter().filter(move |resource| resource.kind == kind);
    circular(diagnostics, of(SELECTION), frameworks);
    // Generated and nested resources may include a rule or a recorder.
    let may_have_more = !expansions.is_empty()
        || template.resources().any(|(_, kind, _)| {
            kind == "AWS::CloudFormation::Stack" || kind.ends_with("::MODULE") || kind.starts_with("AWS::Serverless::")
        });
    forwarding(diagnostics, of(EVENT_RULE), first.id, may_have_more);
    recorders(diagnostics, of(RECORDER), frameworks, first.id, may_have_more);
    legacy_rules(diagnostics, of(CONFIG_RULE), frameworks);
}

/// Reports a coverage control whose scope is the tag by which a selection selects resources.
fn circular<'r>(
    diagnostics: &mut Diagnostics<'_, '_>,
    selections: impl Iterator<Item = &'r TemplateResource<'r>>,
    frameworks: &[ReadFramework<'_>],
) {
    let selected: Vec<(TagCondition, &str)> = selections
        .filter(|selection| selection.is_on != Some(false))
        .flat_map(|selection| {
            let tags = selection.properties.get("BackupSelection").map(tags_of).unwrap_or_default();
            tags.into_iter().map(|tag| (tag, selection.logical_id))
        })
        .collect();
    for control in frameworks.iter().flat_map(|framework| &framework.controls) {
        let used = &control.used;
        let [(key, Some(value))] = used.scope.tags.as_slice() else { continue };
        if used.control.name != "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" {
            continue;
        }
        if let Some((_, selection)) = selected.iter().find(|((k, v, matches), _)| k == key && matches(v, value)) {
            let message = format!(
                "the control evaluates only resources with the tag `{}` = `{}`, and `{}` selects all of them",
                printable(key),
                printable(value),
                printable(selection)
            );
            let help = "use a tag or types that declare the need for backups, or remove the scope";
            let at = control.node.get("ControlScope").map_or(used.at, |scope| scope.at);
            diagnostics.report(&CIRCULAR, at, message, help);
        }
    }
}

/// The key of a tag, a value or pattern, and whether a value matches it.
type TagCondition = (String, String, fn(&str, &str) -> bool);

/// Returns the tags that each alone select every resource that has them.
fn tags_of(selection: &Part) -> Vec<TagCondition> {
    let is_given = |key: &str| selection.get(key).is_some_and(|part| part.items() != Some(&[]));
    if is_given("NotResources") {
        return Vec::new();
    }
    let condition = |entry: &Part, matches: fn(&str, &str) -> bool| -> Option<TagCondition> {
        let key = entry.get("ConditionKey")?.as_text()?;
        let key = key.strip_prefix("aws:ResourceTag/").unwrap_or(key);
        Some((key.to_owned(), entry.get("ConditionValue")?.as_text()?.to_owned(), matches))
    };
    let equals = |value: &str, other: &str| value == other;
    let operators = selection.get("Conditions").and_then(Part::entries).unwrap_or_default();
    let conditions: Vec<(&str, &Part)> = operators
        .iter()
        .flat_map(|(operator, list)| list.items().unwrap_or_default().iter().map(move |item| (operator.as_str(), item)))
        .collect();
    match conditions.as_slice() {
        [] if !is_given("Conditions") => {
            let listed = selection.get("ListOfTags").and_then(Part::items).unwrap_or_default();
            listed.iter().filter_map(|entry| condition(entry, equals)).collect()
        }
        // A single condition, on all resources.
        [(operator @ ("StringEquals" | "StringLike"), only)] => {
            let matches = if *operator == "StringLike" { wildcard::matches } else { equals };
            let resources = selection.get("Resources").and_then(Part::items).unwrap_or_default();
            let is_everything = !is_given("ListOfTags")
                && (!is_given("Resources") || resources.iter().any(|resource| resource.as_text() == Some("*")));
            condition(only, matches).filter(|_| is_everything).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a list of an event pattern may match a value.
fn may_match(part: Option<&Part>, value: &str) -> bool {
    may_match_any(part, |text| text == value)
}

/// Whether a list of an event pattern may match a value with this property.
fn may_match_any(part: Option<&Part>, is_match: impl Fn(&str) -> bool) -> bool {
    match part.map(|part| &part.content) {
        // An absent key matches everything.
        None | Some(Content::Unknown | Content::Pieces(_)) => true,
        Some(Content::List(items)) => items.iter().any(|item| item.as_text().is_none_or(&is_match)),
        Some(Content::Text(text)) => is_match(text),
        Some(Content::Mapping(_)) => false,
    }
}

/// Whether an EventBridge rule is enabled and may have targets.
fn sends(rule: &Part) -> bool {
    let has_targets = rule.get("Targets").is_some_and(|targets| targets.items() != Some(&[]));
    rule.get("State").and_then(Part::as_text) != Some("DISABLED") && has_targets
}

fn forwarding<'r>(
    diagnostics: &mut Diagnostics<'_, '_>,
    event_rules: impl Iterator<Item = &'r TemplateResource<'r>>,
    framework: &Node,
    may_have_more: bool,
) {
    let mut is_forwarded = may_have_more;
    for rule in event_rules {
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
        // The names of Audit Manager's Config rules differ in every account, so a fixed name belongs to another rule.
        let is_of_framework = |name: &str| RuleName::parse(name).control.is_some();
        if !may_match(detail("messageType"), "ComplianceChangeNotification")
            || !may_match_any(detail("configRuleName"), is_of_framework)
            || !sends(&rule.properties)
        {
            continue;
        }
        // Rules that a condition switches off count too: the condition usually tests for the bus, which a deployment gives.
        is_forwarded = true;
        let results = detail("newEvaluationResult").and_then(|result| result.get("complianceType"));
        if let Some(results) = results.filter(|results| !may_match(Some(results), "COMPLIANT")) {
            let message = "the rule forwards opened violations but not resolved ones";
            let help = "remove `complianceType` from the pattern, or add COMPLIANT and NOT_APPLICABLE";
            diagnostics.report(&ONE_WAY, results.at, message, help);
        }
    }
    if !is_forwarded {
        let message = "the template has no rule that forwards compliance changes to the central account";
        let help = "add the rule `ComplianceChangeRule` of the starter framework and its role";
        diagnostics.report(&NOT_FORWARDED, framework, message, help);
    }
}

const OF_BACKUP: &[&str] = &[
    "AWS::Backup::BackupPlan",
    "AWS::Backup::BackupSelection",
    "AWS::Backup::BackupVault",
    "AWS::Backup::RecoveryPoint",
];

/// Returns the types that AWS Config must record for these frameworks ("Turning on resource tracking"): those of AWS Backup, and the
/// evaluated types, without which events are missing.
fn needed(frameworks: &[ReadFramework<'_>]) -> BTreeSet<&'static str> {
    let mut needed: BTreeSet<&'static str> = OF_BACKUP.iter().copied().collect();
    for control in frameworks.iter().flat_map(|framework| &framework.controls) {
        let types = &control.used.scope.resource_types;
        let is_in_scope = |kind: &&&str| {
            types.is_empty()
                || SCOPE_NAMES.iter().any(|(name, of, _)| of == *kind && types.iter().any(|one| one == name))
        };
        needed.extend(control.used.control.resource_types.iter().filter(is_in_scope));
    }
    needed
}

fn recorders<'r>(
    diagnostics: &mut Diagnostics<'_, '_>,
    recorders: impl Iterator<Item = &'r TemplateResource<'r>>,
    frameworks: &[ReadFramework<'_>],
    framework: &Node,
    may_have_more: bool,
) {
    let needed = needed(frameworks);
    let listed = |types: &[&str]| types.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
    let mut has_recorder = false;
    for recorder in recorders {
        has_recorder = true;
        let missing = not_recorded(&recorder.properties, &needed);
        if !missing.is_empty() {
            let message = format!("the recorder excludes {}", listed(&missing));
            let at = recorder.properties.get("RecordingGroup").map_or(recorder.at, |group| group.at);
            diagnostics.report(&NOT_RECORDED, at, message, "record them too, or set `AllSupported: true`");
        }
    }
    if !has_recorder && !may_have_more {
        let needed: Vec<&str> = needed.into_iter().collect();
        let message = format!("AWS Config must record {} in every account", listed(&needed));
        let help = "verify the recorder of each account; the template needs no change";
        diagnostics.report(&RECORDER_ELSEWHERE, framework, message, help);
    }
}

/// Returns the needed types that a recorder certainly excludes.
fn not_recorded(recorder: &Part, needed: &BTreeSet<&'static str>) -> Vec<&'static str> {
    // Without a recording group, a recorder records all types.
    let Some(group) = recorder.get("RecordingGroup") else { return Vec::new() };
    if group.content == Content::Unknown {
        return Vec::new();
    }
    let lists = |types: &[Part], kind: &str| types.iter().any(|part| part.as_text() == Some(kind));
    let excluded = group.get("ExclusionByResourceTypes").and_then(|excluded| excluded.get("ResourceTypes"));
    if let Some(excluded) = excluded.and_then(Part::items).filter(|excluded| !excluded.is_empty()) {
        return needed.iter().copied().filter(|kind| lists(excluded, kind)).collect();
    }
    match (group.get("AllSupported").map(Part::as_text), group.get("ResourceTypes").map(Part::items)) {
        // Neither all types nor a list. A recording strategy may add types.
        (Some(Some("false")), None) if group.get("RecordingStrategy").is_none() => needed.iter().copied().collect(),
        (Some(Some("false")) | None, Some(Some(types))) if types.iter().all(|item| item.as_text().is_some()) => {
            needed.iter().copied().filter(|kind| !lists(types, kind)).collect()
        }
        _ => Vec::new(),
    }
}

fn legacy_rules<'r>(
    diagnostics: &mut Diagnostics<'_, '_>,
    config_rules: impl Iterator<Item = &'r TemplateResource<'r>>,
    frameworks: &[ReadFramework<'_>],
) {
    const LEGACY: &[&str] =
        &["DYNAMODB_IN_BACKUP_PLAN", "EBS_IN_BACKUP_PLAN", "EFS_IN_BACKUP_PLAN", "RDS_IN_BACKUP_PLAN"];
    const CONTROL: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
    let mut controls = frameworks.iter().flat_map(|framework| &framework.controls);
    if !controls.any(|control| control.used.control.name == CONTROL) {
        return;
    }
    for rule in config_rules {
        let source = rule.properties.get("Source").and_then(|source| source.get("SourceIdentifier"));
        if let Some(source) = source
            && let Some(name) = source.as_text().filter(|name| LEGACY.contains(name))
        {
            let message = format!("the Config rule `{name}` checks the same as the control `{CONTROL}`");
            diagnostics.report(&OLD_RULES, source.at, message, "remove the rule if nothing else uses it");
        }
    }
}
