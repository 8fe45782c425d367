//! Checks of backup plans, selections and vaults. The rules are in the families 70, 80 and 100.
//!
//! A value that only a deployment knows is not reported, nor is anything that a macro may change.

use std::collections::{BTreeMap, BTreeSet};

use syntax::diagnostic::{Diagnostic, Diagnostics, Edit, Level, Position, SourceText, Span};
use syntax::template::{Content, Expansion, Part, Piece, Resolver, Template, TemplateResource, resources_of};
use syntax::yaml::{Node, Value};

use crate::backup::arn::UNKNOWN;
use crate::backup::lock::LockDays;
use crate::backup::name::NameFormat;
use crate::backup::{Given, Rejection};
use crate::rules::{LintRule, selections};

mod plan;
mod selection;
#[cfg(test)]
mod tests;
mod vault;

const PLAN: &str = "AWS::Backup::BackupPlan";
const SELECTION: &str = "AWS::Backup::BackupSelection";
const VAULT: &str = "AWS::Backup::BackupVault";
const AIR_GAPPED_VAULT: &str = "AWS::Backup::LogicallyAirGappedBackupVault";

/// Returns whether a type is checked here.
fn is_checked(kind: &str) -> bool {
    matches!(kind, PLAN | SELECTION | VAULT | AIR_GAPPED_VAULT)
}

/// Returns whether a template has a backup plan, selection or vault.
fn has_resources(template: &Template) -> bool {
    template.resources().any(|(_, kind, _)| is_checked(kind))
}

/// Returns whether a template has backup resources and no misspelled framework.
pub(super) fn is_complete_without_framework(template: &Template) -> bool {
    let is_misspelled = |kind: &str| {
        let kind = kind.to_ascii_lowercase();
        kind.contains("framew") || kind.starts_with("aws::backup::fr")
    };
    has_resources(template) && !template.resources().any(|(_, kind, _)| is_misspelled(kind))
}

/// The diagnostics of the backup plans, selections and vaults of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupDiagnostics {
    /// The diagnostics in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The logical ids of the resources with an error, which CloudFormation fails to create.
    pub rejected: BTreeSet<String>,
}

/// Checks the backup plans, selections and vaults of a template with these parameter values, which may include pseudo parameters.
pub fn check_backup(template: &Template, parameters: &BTreeMap<String, String>) -> BackupDiagnostics {
    if !has_resources(template) {
        return BackupDiagnostics::default();
    }
    let source = SourceText::new(template.file(), template.text());
    let mut diagnostics = Diagnostics::new(&source);
    let rejected = check(&mut diagnostics, template, &Resolver::new(template, parameters));
    let rejected = rejected.into_iter().map(str::to_owned).collect();
    BackupDiagnostics { diagnostics: diagnostics.into_vec(), rejected }
}

/// Checks the backup plans, selections and vaults of a Terraform plan, in the form of those of a template. The position of a
/// diagnostic is that of its resource.
pub fn check_backup_resources(resources: &[TemplateResource<'_>]) -> BackupDiagnostics {
    let source = SourceText::new("", "");
    let mut diagnostics = Diagnostics::new(&source);
    let kinds = resources.iter().map(|resource| (resource.logical_id, resource.kind)).collect();
    let checked: Vec<&TemplateResource<'_>> = resources.iter().filter(|resource| is_checked(resource.kind)).collect();
    let rejected = check_all(&mut diagnostics, Context::new(kinds, &checked, true), &checked);
    let rejected = rejected.into_iter().map(str::to_owned).collect();
    BackupDiagnostics { diagnostics: diagnostics.into_vec(), rejected }
}

/// Reports the violations, and returns the logical ids of the resources with an error.
pub(super) fn check<'t>(
    diagnostics: &mut Diagnostics<'_, '_>,
    template: &'t Template,
    resolver: &Resolver<'t>,
) -> BTreeSet<&'t str> {
    if !has_resources(template) {
        return BTreeSet::new();
    }
    let expansions = Expansions::of(template);
    if expansions.change_everything {
        return BTreeSet::new();
    }
    let resources = resources_of(template, resolver, is_checked);
    let kinds = template.resources().map(|(id, kind, _)| (id, kind)).collect();
    let all: Vec<&TemplateResource<'t>> = resources.iter().collect();
    let context = Context::new(kinds, &all, false);
    let is_judged =
        |resource: &&&TemplateResource<'t>| resource.is_on != Some(false) && !expansions.are_in(resource.body);
    let judged: Vec<&TemplateResource<'t>> = all.iter().filter(is_judged).copied().collect();
    check_all(diagnostics, context, &judged)
}

fn check_all<'t>(
    diagnostics: &mut Diagnostics<'_, '_>,
    context: Context<'_, '_>,
    resources: &[&TemplateResource<'t>],
) -> BTreeSet<&'t str> {
    let mut rejected = BTreeSet::new();
    for resource in resources {
        let mut reporter = Reporter { diagnostics, body: resource.body, has_error: false };
        match resource.kind {
            PLAN => plan::check(&mut reporter, &context, resource),
            SELECTION => selection::check(&mut reporter, &context, resource),
            _ => vault::check(&mut reporter, &context, resource),
        }
        if reporter.has_error {
            rejected.insert(resource.logical_id);
        }
    }
    rejected
}

/// The other resources of the template.
struct Context<'t, 'r> {
    /// Types by logical id.
    kinds: BTreeMap<&'t str, &'t str>,
    /// Vaults that certainly exist, by logical id.
    vaults: BTreeMap<&'r str, VaultBounds<'r>>,
    /// Their logical ids by name.
    named: BTreeMap<&'r str, &'r str>,
    is_terraform: bool,
}

impl<'t, 'r> Context<'t, 'r> {
    fn new(kinds: BTreeMap<&'t str, &'t str>, resources: &[&'r TemplateResource<'_>], is_terraform: bool) -> Self {
        let vaults = resources.iter().filter_map(|resource| VaultBounds::of(resource));
        let vaults: BTreeMap<&str, VaultBounds<'_>> = vaults.map(|vault| (vault.logical_id, vault)).collect();
        let named = vaults.values().filter_map(|vault| Some((vault.name?, vault.logical_id))).collect();
        Self { kinds, vaults, named, is_terraform }
    }
}

/// The parts that CloudFormation generates.
struct Expansions {
    /// Whether one may change every resource: a macro, or a transform outside of the resources. A loop only adds resources.
    change_everything: bool,
    /// Their positions, sorted.
    at: Vec<Position>,
}

impl Expansions {
    fn of(template: &Template) -> Self {
        let all = template.expansions();
        // In the order of the file.
        let bodies: Vec<&Node> = template.named_resources().map(|(_, _, body)| body).collect();
        let is_in_resource = |at: Position| {
            let after = bodies.partition_point(|body| body.at <= at);
            after.checked_sub(1).and_then(|index| bodies.get(index)).is_some_and(|body| at < body.end)
        };
        let changes = |expansion: &Expansion| expansion.what != "`Fn::ForEach`" && !is_in_resource(expansion.at);
        let mut at: Vec<Position> = all.iter().map(|expansion| expansion.at).collect();
        at.sort_unstable();
        Self { change_everything: all.iter().any(changes), at }
    }

    fn are_in(&self, body: &Node) -> bool {
        let from = self.at.partition_point(|at| *at < body.at);
        self.at.get(from).is_some_and(|at| *at < body.end)
    }
}

/// The retention that a vault accepts.
struct VaultBounds<'r> {
    logical_id: &'r str,
    name: Option<&'r str>,
    lock: LockDays,
}

impl<'r> VaultBounds<'r> {
    fn of(resource: &'r TemplateResource<'_>) -> Option<Self> {
        let part = match resource.kind {
            AIR_GAPPED_VAULT => &resource.properties,
            VAULT => resource.properties.get("LockConfiguration")?,
            _ => return None,
        };
        let name = resource.properties.get("BackupVaultName").and_then(Part::as_text);
        (resource.is_on == Some(true)).then(|| Self { logical_id: resource.logical_id, name, lock: lock_days(part) })
    }
}

fn lock_days(part: &Part) -> LockDays {
    LockDays {
        min: number(part.get("MinRetentionDays")),
        max: number(part.get("MaxRetentionDays")),
        changeable: number(part.get("ChangeableForDays")),
    }
}

/// Returns an integer; a text that is not one is unknown.
fn number(part: Option<&Part>) -> Given<i64> {
    part.map_or(Given::Absent, |part| {
        part.as_text().and_then(|text| text.trim().parse().ok()).map_or(Given::Unknown, Given::Known)
    })
}

/// Returns the text of a string, with [`UNKNOWN`] in place of unknown parts.
fn partial_text(part: &Part) -> Option<String> {
    match &part.content {
        Content::Text(text) => Some(text.clone()),
        Content::Pieces(pieces) => Some(pieces.iter().fold(String::new(), |mut text, piece| {
            match piece {
                Piece::Text(known) => text.push_str(known),
                Piece::Resource { .. } | Piece::Pseudo(_) | Piece::Unknown => text.push(UNKNOWN),
            }
            text
        })),
        Content::List(_) | Content::Mapping(_) | Content::Unknown => None,
    }
}

/// Returns the text of an ARN, as [`partial_text`]. `None` if an unknown part is followed by `:`: it may contain several parts of the ARN,
/// unlike a pseudo parameter.
fn arn_text(part: &Part) -> Option<String> {
    if let Content::Pieces(pieces) = &part.content {
        let mut left = pieces.iter().skip_while(|piece| matches!(piece, Piece::Text(_) | Piece::Pseudo(_)));
        if left.any(|piece| matches!(piece, Piece::Text(known) if known.contains(':'))) {
            return None;
        }
    }
    partial_text(part)
}

/// Reports violations in one resource.
struct Reporter<'r, 's, 'f, 't> {
    diagnostics: &'r mut Diagnostics<'s, 'f>,
    body: &'t Node,
    has_error: bool,
}

impl Reporter<'_, '_, '_, '_> {
    /// Reports a violation at a position; with the corrected value, an edit of the scalar there.
    fn report(&mut self, rule: &'static LintRule, at: Position, rejection: Rejection) {
        let Rejection { message, help, corrected, .. } = rejection;
        // A selection with conditions that never hold is created, and selects nothing.
        self.has_error |= rule.level == Level::Error && rule.id != selections::CONTRADICTION.id;
        if !self.diagnostics.has_room(rule.level) {
            // Only counted.
            return self.diagnostics.report(rule, at, message, help);
        }
        let node = node_at(self.body, at);
        let edit = |new: String| {
            let node = node.filter(|node| matches!(node.value, Value::Scalar { .. }))?;
            self.diagnostics.source().rewritten(node, &new)
        };
        let edits: Vec<Edit> = corrected.and_then(edit).into_iter().collect();
        let span = node.map_or_else(|| Span::from(at), Span::from);
        self.diagnostics.report_fixable(rule, span, message, help, edits);
    }

    /// Reports a violation of a rule at the value of a property, or at the mapping without it.
    fn report_in(&mut self, rule: &'static LintRule, mapping: &Part, rejection: Rejection) {
        let at = mapping.get(rejection.property).map_or(mapping.at, |part| part.at);
        self.report(rule, at, rejection);
    }

    /// Reports a name with characters that AWS Backup rejects.
    fn name(&mut self, rule: &'static LintRule, mapping: &Part, format: NameFormat) {
        let Some(part) = mapping.get(format.property()) else { return };
        if let Some(rejection) = partial_text(part).and_then(|name| format.rejection(&name)) {
            self.report(rule, part.at, rejection);
        }
    }

    /// Reports values that are not numbers.
    fn integers(&mut self, rule: &'static LintRule, mapping: &Part, names: &[&'static str]) {
        for property in names {
            let Some(part) = mapping.get(property) else { continue };
            // An empty text is the default of a parameter that every deployment gives.
            let is_wrong = |text: &&str| !text.is_empty() && text.trim().parse::<f64>().is_err();
            let Some(text) = part.as_text().filter(is_wrong) else { continue };
            let message = format!("`{property}` is `{}`, which is not a number", syntax::text::printable(text));
            let help = "write an integer without a unit".to_owned();
            self.report(rule, part.at, Rejection { property, message, help, corrected: None });
        }
    }
}

/// Returns the outermost value at a position.
fn node_at(node: &Node, at: Position) -> Option<&Node> {
    if node.at == at {
        return Some(node);
    }
    let is_around = |child: &&Node| child.at <= at && at < child.end;
    // At most as deep as a template.
    match &node.value {
        Value::Scalar { .. } => None,
        Value::Sequence(items) => items.iter().find(is_around).and_then(|item| node_at(item, at)),
        Value::Mapping(entries) => {
            entries.iter().map(|(_, value)| value).find(is_around).and_then(|value| node_at(value, at))
        }
    }
}
