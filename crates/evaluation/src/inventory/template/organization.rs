//! Backup policies of AWS Organizations, which create a backup plan in each account and Region that they apply to.
//!
//! Source: AWS Backup developer guide, "Managing AWS Backup resources across multiple AWS accounts".

use std::borrow::Cow;
use std::collections::BTreeMap;

use framework::ids::{AccountId, RegionName, UnitId};
use syntax::diagnostic::{Diagnostic, Level, Position, SourceText};
use syntax::template::Part;

use super::text::text_of;
use super::{
    CheckedFile, Content, DeploymentTarget, ItemId, Origin, Plan, PlanPart, Selection, SelectionPart, TagValue,
    TemplateImport, TemplateResource, UnresolvedPart,
};
use crate::inventory::backup_policy::{self, EffectivePolicy, PolicySetting};
use crate::inventory::document::{Conditions, CopyAction, Lifecycle, Rule, RulePart};
use crate::inventory::partial_arn::{UNKNOWN_ACCOUNT, UNKNOWN_REGION};
use crate::inventory::types::ORGANIZATION_POLICY;

/// The start of the ids of plans that backup policies create.
pub(crate) const ORGANIZATION_PLAN: &str = "orgs/";

/// The level that a policy is attached to. Policies are merged in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PolicyLevel {
    Root,
    /// A file of its own, which does not name its level.
    File,
    /// The number of an organizational unit of the account.
    Unit(usize),
    Account,
}

/// A backup policy that applies to the account, or may apply to it.
struct AttachedPolicy<'p> {
    /// The index of its file.
    file: usize,
    content: Cow<'p, Part>,
    level: PolicyLevel,
    is_certain: bool,
    /// The logical id or address, the type and the position; `None` for a file of its own.
    resource: Option<(&'p str, &'p str, Position)>,
}

impl AttachedPolicy<'_> {
    fn plans(&self) -> impl Iterator<Item = &str> {
        let plans = self.content.get("plans").and_then(Part::entries).unwrap_or_default().iter();
        plans.map(|(name, _)| name.as_str()).filter(|name| !name.starts_with("@@"))
    }
}

const APPLIES: &str = "give the account with --account and its units with --organizational-unit";
const PARENTS: &str = "give the policies of the root and of the units too, from the root down";

impl<'i> TemplateImport<'i> {
    /// Adds the plans of all backup policies.
    pub(super) fn policies(&mut self, files: &'i [CheckedFile<'i>]) {
        let mut attached: Vec<AttachedPolicy<'i>> = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let found = match file {
                CheckedFile::Policy(policy) => {
                    attached.push(AttachedPolicy {
                        file: number,
                        content: Cow::Borrowed(policy.content()),
                        level: PolicyLevel::File,
                        is_certain: true,
                        resource: None,
                    });
                    policy.diagnostics()
                }
                CheckedFile::Template(_) | CheckedFile::Terraform(_) => self.attached(number, file, &mut attached),
            };
            if file.policy().is_some() && found.iter().any(|diagnostic| diagnostic.level == Level::Error) {
                // AWS Organizations rejects it.
                attached.pop();
            }
            if let Some(backup) = self.added.backup.get_mut(number) {
                backup.diagnostics.extend(found);
            }
        }
        // Those that only may apply come last, and make their plans uncertain.
        attached.sort_by_key(|policy| (!policy.is_certain, policy.level));
        let mut effective = EffectivePolicy::new();
        for policy in &attached {
            effective.merge(&policy.content, policy.level != PolicyLevel::Root);
            if let (false, Some((logical_id, _, at))) = (policy.is_certain, policy.resource) {
                let what = format!("whether the backup policy `{logical_id}` applies to the account");
                self.unresolved_policy(policy.file, at, what, APPLIES);
            }
        }
        for (name, setting) in effective.plans() {
            let of_plan = || attached.iter().filter(|policy| policy.plans().any(|own| own == name));
            let Some(first) = of_plan().next() else { continue };
            let position = || files.get(first.file)?.policy()?.position(name);
            let at = first.resource.map(|(.., at)| at).or_else(position).unwrap_or(Position { line: 1, column: 1 });
            if is_incomplete(setting) {
                let what = format!("what a parent policy adds to the plan `{name}` of the backup policy");
                self.unresolved_policy(first.file, at, what, PARENTS);
            }
            let is_certain = of_plan().all(|policy| policy.is_certain);
            for index in 0..self.targets.len() {
                self.current = index;
                self.organization_plan((name, setting), is_certain, first, at);
            }
        }
    }

    fn unresolved_policy(&mut self, stack: usize, at: Position, what: String, fix: &'static str) {
        // The position in a plan of Terraform is the index of the resource.
        let at = if self.terraform(stack).is_some() { Position { line: 1, column: 1 } } else { at };
        self.added.unresolved.push(UnresolvedPart { stack, at, what, fix, is_about_plans: true });
    }

    /// Collects the backup policies of a template or a plan of Terraform, and returns the diagnostics about them.
    fn attached(
        &self,
        number: usize,
        file: &'i CheckedFile<'i>,
        attached: &mut Vec<AttachedPolicy<'i>>,
    ) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let text = file.template().map_or("", |stack| stack.template.text());
        let source = SourceText::new(file.file(), text);
        let files: &'i [super::ImportFile<'i>] = self.files;
        let resources = files.get(number).map(|file| file.resources.as_slice()).unwrap_or_default();
        for resource in resources.iter().filter(|resource| is_backup_policy(resource)) {
            let Some(part) = resource.properties.get("Content") else { continue };
            let content = match backup_policy::content(part) {
                Ok(Some(content)) => content,
                Ok(None) => Part { at: part.at, content: Content::Unknown },
                Err(violation) => {
                    found.push(violation.diagnostic(&source));
                    continue;
                }
            };
            let violations = backup_policy::violations(&content);
            let is_rejected = violations.iter().any(|violation| !violation.is_warning);
            found.extend(violations.into_iter().map(|violation| violation.diagnostic(&source)));
            let Some((level, is_certain)) = attachment(self.base, resource.properties.get("TargetIds")) else {
                continue;
            };
            if is_rejected {
                continue;
            }
            let kind = self.terraform(number).and_then(|plan| plan.kind(resource.logical_id)).unwrap_or(resource.kind);
            attached.push(AttachedPolicy {
                file: number,
                content: Cow::Owned(content),
                level,
                is_certain: is_certain && resource.is_on == Some(true),
                resource: Some((resource.logical_id, kind, resource.at)),
            });
        }
        found
    }

    /// Adds the plan of a backup policy to the current target.
    fn organization_plan(
        &mut self,
        (name, setting): (&str, &PolicySetting),
        is_certain: bool,
        source: &AttachedPolicy<'_>,
        at: Position,
    ) {
        let target = self.target();
        let is_here = is_in_region(setting.get("regions"), target.region());
        let plans = &self.inventory.plans;
        let is_it = |known: &Plan| known.name == name && known.id.starts_with(ORGANIZATION_PLAN);
        let replaced = self.replaced(plans, ItemId::Plan, is_it);
        if is_here == Some(false) {
            if let Some(known) = replaced.and_then(|index| self.inventory.plans.get_mut(index)) {
                // AWS Backup deletes the plan in this Region.
                known.item.selections.clear();
            }
            return;
        }
        let exists = is_certain && is_here == Some(true);
        let mut selections = selections(setting.get("selections"), target);
        if !exists {
            selections.iter_mut().for_each(|selection| selection.unread.push(SelectionPart::Existence));
        }
        let rules = setting.get("rules").map(|rules| rules.entries.as_slice()).unwrap_or_default();
        let plan = Plan {
            id: format!("{ORGANIZATION_PLAN}{}#{name}", self.file(source.file)),
            name: name.to_owned(),
            account: target.account.clone(),
            region: target.region.clone(),
            tags: BTreeMap::new(),
            rules: rules.iter().map(|(name, rule)| rule_of(name, rule, target)).collect(),
            selections,
            unread: unread(setting),
        };
        let index = replaced.unwrap_or(self.inventory.plans.len());
        match self.inventory.plans.get_mut(index) {
            Some(known) => known.item = plan,
            None => self.inventory.add_plan(plan),
        }
        let uncertainty = "whether it exists, which the targets and Regions of the backup policy decide".to_owned();
        let (logical_id, kind) = match source.resource {
            Some((logical_id, kind, _)) => (logical_id, format!("plan `{name}` of {kind}")),
            None => (name, "plan of a backup policy".to_owned()),
        };
        self.added.origins.push(Origin {
            item: ItemId::Plan(index),
            stack: source.file,
            logical_id: logical_id.to_owned(),
            kind,
            at,
            uncertainties: if exists { Vec::new() } else { vec![uncertainty] },
            volumes: None,
            construct: None,
        });
    }
}

/// Returns the parts of a plan of which there may be more.
fn unread(plan: &PolicySetting) -> Vec<PlanPart> {
    let is_open = |name: &str| plan.get(name).is_none_or(|own| own.is_open || own.entries.is_empty());
    let parts = [("rules", PlanPart::Rules), ("selections", PlanPart::Selections)];
    let open = parts.into_iter().filter(|(name, _)| is_open(name)).map(|(_, part)| part);
    std::iter::once(PlanPart::Tags).chain(open).collect()
}

fn is_backup_policy(resource: &TemplateResource<'_>) -> bool {
    resource.kind == ORGANIZATION_POLICY
        && resource.is_on != Some(false)
        && text_of(&resource.properties, "Type") == Some("BACKUP_POLICY")
}

/// Returns the level of a policy with these targets, and whether it certainly applies to the account; `None` if it does not.
fn attachment(target: &DeploymentTarget, targets: Option<&Part>) -> Option<(PolicyLevel, bool)> {
    // One that nothing in the file attaches may be attached elsewhere.
    let unknown = (PolicyLevel::Account, false);
    let Some(targets) = targets else { return Some(unknown) };
    let Some(items) = targets.items().filter(|items| !items.is_empty()) else { return Some(unknown) };
    let of = |item: &Part| {
        let Some(id) = item.as_text() else { return Some(unknown) };
        if let Ok(unit) = UnitId::parse(id) {
            if unit.as_str().starts_with("r-") {
                return Some((PolicyLevel::Root, true));
            }
            let known = target.units.iter().position(|own| *own == unit).map(|index| (PolicyLevel::Unit(index), true));
            return known.or_else(|| target.units.is_empty().then_some((PolicyLevel::Unit(0), false)));
        }
        match target.account() {
            Some(account) => (account.as_str() == id).then_some((PolicyLevel::Account, true)),
            None => AccountId::parse(id).is_ok().then_some(unknown),
        }
    };
    items.iter().filter_map(of).min_by_key(|(level, is_certain)| (!is_certain, *level))
}

/// Returns whether the plan exists in a Region; `None` if that is not known.
fn is_in_region(regions: Option<&PolicySetting>, region: Option<&RegionName>) -> Option<bool> {
    let regions = regions?;
    let is_listed = regions.items.iter().any(|own| Some(own.as_str()) == region.map(RegionName::as_str));
    match region {
        Some(_) if is_listed => Some(true),
        Some(_) if !regions.is_open => Some(false),
        _ => None,
    }
}

/// Whether a plan depends on a policy that is not known: it changes what it inherits, or lacks what every plan has.
fn is_incomplete(plan: &PolicySetting) -> bool {
    let has =
        |name: &str| plan.get(name).is_some_and(|own| own.is_open || !own.entries.is_empty() || !own.items.is_empty());
    let lacks_part = |rule: &PolicySetting| RULE_PARTS.iter().any(|name| rule.get(name).is_none());
    plan.depends_on_parent()
        || ["regions", "rules", "selections"].iter().any(|name| !has(name))
        || plan.get("rules").is_some_and(|rules| rules.entries.iter().any(|(_, rule)| lacks_part(rule)))
}

/// The parts that every rule has.
const RULE_PARTS: [&str; 2] = ["schedule_expression", "target_backup_vault_name"];

/// Returns a text with the account and Region instead of its placeholders.
fn placed(text: &str, target: &DeploymentTarget) -> String {
    let account = target.account().map_or(UNKNOWN_ACCOUNT, AccountId::as_str);
    let region = target.region().map_or(UNKNOWN_REGION, RegionName::as_str);
    text.replace("$account", account).replace("$region", region)
}

fn rule_of(name: &str, rule: &PolicySetting, target: &DeploymentTarget) -> Rule {
    let text = |name: &str| rule.text(name);
    let mut unread = Vec::new();
    if text("schedule_expression").is_none() {
        unread.push(RulePart::Schedule);
    }
    if text("target_backup_vault_name").is_none() {
        unread.push(RulePart::TargetVault);
    }
    // A rule that lacks required parts changes one of a parent policy, which may have the others.
    let is_partial = RULE_PARTS.iter().any(|name| rule.get(name).is_none());
    let lifecycle = match rule.get("lifecycle") {
        Some(lifecycle) => lifecycle_of(lifecycle),
        None => Some(Lifecycle::default()).filter(|_| !is_partial),
    };
    if lifecycle.is_none() {
        unread.push(RulePart::Lifecycle);
    }
    let actions = rule.get("copy_actions");
    let copy = |(vault, action): &(String, PolicySetting)| CopyAction {
        vault: placed(action.text("target_backup_vault_arn").unwrap_or(vault), target),
        lifecycle: action.get("lifecycle").and_then(lifecycle_of).unwrap_or_default(),
    };
    if actions.map_or(is_partial, |actions| actions.is_open) {
        unread.push(RulePart::Copies);
    }
    let minutes = |name: &str| text(name).and_then(|minutes| minutes.parse().ok());
    Rule {
        name: name.to_owned(),
        schedule: text("schedule_expression").map(str::to_owned),
        target_vault: text("target_backup_vault_name").unwrap_or_default().to_owned(),
        target_air_gapped_vault: rule
            .get("target_logically_air_gapped_backup_vault_arn")
            .map(|_| placed(text("target_logically_air_gapped_backup_vault_arn").unwrap_or_default(), target)),
        lifecycle: lifecycle.unwrap_or_default(),
        continuous: rule.get("enable_continuous_backup").is_some()
            && !text("enable_continuous_backup").is_some_and(|flag| flag.eq_ignore_ascii_case("false")),
        copies: actions.map(|actions| actions.entries.iter().map(copy).collect()).unwrap_or_default(),
        start_window_minutes: minutes("start_backup_window_minutes"),
        completion_window_minutes: minutes("complete_backup_window_minutes"),
        unread,
    }
}

/// Returns the retention; `None` if it is not known.
fn lifecycle_of(lifecycle: &PolicySetting) -> Option<Lifecycle> {
    let days = |name: &str| match lifecycle.get(name) {
        None => Some(None),
        Some(_) => lifecycle.text(name)?.parse().ok().map(Some),
    };
    (!lifecycle.is_open).then_some(())?;
    Some(Lifecycle {
        cold_after_days: days("move_to_cold_storage_after_days").unwrap_or_default(),
        delete_after_days: days("delete_after_days")?,
    })
}

fn selections(selections: Option<&PolicySetting>, target: &DeploymentTarget) -> Vec<Selection> {
    let of = |kind: &str| {
        let group = selections.and_then(|selections| selections.get(kind));
        group.map(|group| group.entries.as_slice()).unwrap_or_default()
    };
    let by_tag = of("tags").iter().map(|(name, own)| (name, own, by_tag(own)));
    let by_type = of("resources").iter().map(|(name, own)| (name, own, by_type(own, target)));
    let with_conditions = |(name, own, selection): (&String, &PolicySetting, Selection)| {
        let (conditions, are_known) = conditions(own.get("conditions"));
        let mut unread = selection.unread;
        if !are_known {
            unread.push(SelectionPart::Conditions);
        }
        Selection { name: name.clone(), conditions, unread, ..selection }
    };
    let is_some = |selection: &Selection| {
        // One without tags and types would select everything; a policy cannot.
        !(selection.resources.is_empty() && selection.list_of_tags.is_empty() && selection.unread.is_empty())
    };
    by_tag.chain(by_type).map(with_conditions).filter(is_some).collect()
}

fn by_tag(own: &PolicySetting) -> Selection {
    let (key, values) = (own.text("tag_key"), own.get("tag_value"));
    let items = values.map(|values| values.items.as_slice()).unwrap_or_default();
    let tag = |value: &String| key.map(|key| TagValue { key: key.to_owned(), value: value.clone() });
    let is_open = own.is_open || key.is_none() || values.is_none_or(|values| values.is_open);
    Selection {
        list_of_tags: items.iter().filter_map(tag).collect(),
        unread: if is_open { vec![SelectionPart::ListOfTags] } else { Vec::new() },
        ..Selection::default()
    }
}

fn by_type(own: &PolicySetting, target: &DeploymentTarget) -> Selection {
    let patterns = |name: &str| {
        let items = own.get(name).map(|list| list.items.as_slice()).unwrap_or_default();
        items.iter().map(|pattern| placed(pattern, target)).collect()
    };
    let mut unread = Vec::new();
    if own.get("resource_types").is_none_or(|types| types.is_open) {
        unread.push(SelectionPart::Resources);
    }
    if own.is_open || own.get("not_resource_types").is_some_and(|types| types.is_open) {
        unread.push(SelectionPart::NotResources);
    }
    Selection {
        resources: patterns("resource_types"),
        not_resources: patterns("not_resource_types"),
        unread,
        ..Selection::default()
    }
}

/// Returns the known conditions, and whether these are all.
fn conditions(own: Option<&PolicySetting>) -> (Conditions, bool) {
    let mut conditions = Conditions::default();
    let Some(own) = own else { return (conditions, true) };
    let mut are_known = !own.is_open;
    for (operator, list) in &own.entries {
        let into = match operator.as_str() {
            "string_equals" => &mut conditions.string_equals,
            "string_not_equals" => &mut conditions.string_not_equals,
            "string_like" => &mut conditions.string_like,
            _ => &mut conditions.string_not_like,
        };
        are_known &= !list.is_open;
        for (_, condition) in &list.entries {
            match (condition.text("condition_key"), condition.text("condition_value")) {
                (Some(key), Some(value)) => into.push(TagValue { key: key.to_owned(), value: value.to_owned() }),
                _ => are_known = false,
            }
        }
    }
    (conditions, are_known)
}
