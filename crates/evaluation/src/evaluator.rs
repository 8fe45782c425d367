//! Evaluates an inventory against Audit Manager's controls, each result with its reason as data.
//!
//! [`ControlQuery::all`] reads the controls of a framework; [`Evaluator`] evaluates everything in an [`Inventory`]:
//! compliant, not compliant, or undecided. Equal input yields equal results in equal order.
//!
//! Where AWS's documents leave two likely readings, the result is undecided. Where one reading is far more likely, it
//! is assumed:
//! - a list of Regions or accounts requires a copy to each of them;
//! - a lock without a minimum keeps for one day, the least possible, and one without a maximum for 36,500 days: a
//!   framework with these bounds, which the console fills in, requires only a lock;
//! - an instance of a cluster is evaluated as its cluster, because AWS Backup never backs it up alone;
//! - recovery points that are being created or deleted are not evaluated, nor are the policies of air-gapped vaults,
//!   which AWS Config records as another type;
//! - the age of a recovery point counts from the start of its creation.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ptr;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use framework::ids::{AccountId, RegionName};

use crate::inventory::document::{PlanPart, RecoveryPointPart, RecoveryPointStatus, Restore, VaultKind, VaultPart};
use crate::inventory::item_span::document_key;
use crate::inventory::{
    Inventory, InventoryGap, Located, LocationId, LocationPart, PROTECTED, Plan, ProtectedType, RecoveryPoint,
    StoredResource, Symbol, Vault, protected,
};
use coverage::SelectionMatch;
use prepared_query::{ControlTest, PreparedQuery, SubjectKind, control_test};
use reason::ComplianceResult::Undecided;
use recovery_points::{encrypted, kept};
use selection::{Candidate, CompiledSelection};
use ternary::Ternary;

mod control_query;
mod coverage;
pub(crate) mod display;
mod exemption;
mod plan;
mod prepared_query;
mod reason;
mod recovery_points;
pub mod remediation;
mod selection;
mod ternary;
#[cfg(test)]
mod tests;
mod value;
pub mod vault_policy;
mod vaults;

pub use control_query::{ControlQuery, QueryScope};
pub use exemption::{FindExemption, ViolatingItem, ViolationExemption};
pub use reason::{ComplianceResult, FailedClause, NonComplianceReason, RemediationStep};
pub(crate) use reason::{NotSelectedReason, Uncertainty};

/// The result of one control for one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation<'a> {
    /// The index of the query, in the order given to [`Evaluator::new`].
    pub query_index: usize,
    /// The query.
    pub query: &'a ControlQuery,
    /// The evaluated item.
    pub subject: Subject<'a>,
    /// The result.
    pub result: ComplianceResult<'a>,
}

impl<'a> Evaluation<'a> {
    /// Returns account, Region and AWS Config's type of the item; `None` if the inventory lacks its location.
    pub fn location(&self, inventory: &'a Inventory) -> Option<(&'a AccountId, &'a RegionName, &'a str)> {
        let kind = self.query.control.resource_types.first().copied().unwrap_or_default();
        Some(match self.subject {
            Subject::Resource(resource) => {
                let location = inventory.location_of_resource(resource)?;
                (&location.account, &location.region, inventory.kind(resource))
            }
            Subject::Plan(plan) => (&plan.account, &plan.region, kind),
            Subject::Vault(vault) => (&vault.account, &vault.region, kind),
            Subject::RecoveryPoint(point) => (&point.account, &point.region, kind),
        })
    }

    /// Returns the fix of a result that is not compliant.
    pub fn fix(&self) -> Option<String> {
        match &self.result {
            ComplianceResult::NotCompliant(NonComplianceReason::NotSelected(not_selected)) => {
                let Some(fix) = not_selected.fix() else { return Some(self.query.control.remediation.to_owned()) };
                Some(match not_selected.cluster {
                    Some(arn) => format!("for its cluster `{}`: {fix}", arn.escape_debug()),
                    None => fix.to_string(),
                })
            }
            ComplianceResult::NotCompliant(NonComplianceReason::AwsManagedKey) => {
                Some("encrypt the resource with a customer managed key".to_owned())
            }
            ComplianceResult::NotCompliant(_) => Some(self.query.control.remediation.to_owned()),
            ComplianceResult::Compliant(_) | ComplianceResult::Undecided(_) => None,
        }
    }
}

/// An item that a control evaluates.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A resource that may need a backup.
    Resource(&'a StoredResource),
    /// A backup plan.
    Plan(&'a Plan),
    /// A vault.
    Vault(&'a Vault),
    /// A recovery point.
    RecoveryPoint(&'a RecoveryPoint),
}

impl Subject<'_> {
    /// Returns the id in AWS Config.
    pub fn id(&self) -> &str {
        match self {
            Self::Resource(resource) => resource.id(),
            Self::Plan(plan) => &plan.id,
            Self::Vault(vault) => &vault.name,
            Self::RecoveryPoint(point) => &point.arn,
        }
    }

    /// Returns the name, for items that have one besides the id.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Resource(resource) => resource.name(),
            Self::Plan(plan) => Some(&plan.name),
            Self::Vault(_) | Self::RecoveryPoint(_) => None,
        }
    }

    /// Identifies the item in the document that it was read from, for [`crate::inventory::item_spans`].
    pub fn document_key(&self, account: &AccountId, region: &RegionName) -> String {
        let (list, named) = match self {
            Self::Resource(resource) => ("resources", resource.arn()),
            Self::Plan(plan) => ("plans", plan.name.as_str()),
            Self::Vault(vault) => ("vaults", vault.name.as_str()),
            Self::RecoveryPoint(point) => ("recoveryPoints", point.arn.as_str()),
        };
        document_key(list, account.as_str(), region.as_str(), self.id(), named)
    }

    /// Returns the address in memory, which identifies the item.
    fn address(&self) -> *const () {
        match *self {
            Self::Resource(resource) => ptr::from_ref(resource).cast(),
            Self::Plan(plan) => ptr::from_ref(plan).cast(),
            Self::Vault(vault) => ptr::from_ref(vault).cast(),
            Self::RecoveryPoint(point) => ptr::from_ref(point).cast(),
        }
    }
}

impl Eq for Subject<'_> {}

impl PartialEq for Subject<'_> {
    /// Compares identity: two equal resources of one inventory are different subjects.
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Hash for Subject<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

/// Numbers of evaluations by result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EvaluationCounts {
    /// Compliant.
    pub compliant: u64,
    /// Not compliant.
    pub not_compliant: u64,
    /// Undecided.
    pub undecided: u64,
    /// Not compliant, but exempt.
    pub exempt: u64,
}

impl EvaluationCounts {
    /// Adds one evaluation.
    pub fn add(&mut self, result: &ComplianceResult<'_>) {
        match result {
            ComplianceResult::Compliant(_) => self.compliant += 1,
            ComplianceResult::NotCompliant(_) => self.not_compliant += 1,
            ComplianceResult::Undecided(_) => self.undecided += 1,
        }
    }
}

/// Evaluates control queries over an inventory.
#[derive(Debug)]
pub struct Evaluator<'a> {
    inventory: &'a Inventory,
    queries: Vec<PreparedQuery<'a>>,
    /// By location id.
    locations: Vec<LocationIndex<'a>>,
    kinds: HashMap<Symbol, &'static ProtectedType>,
    /// By the cluster ARN that member instances name.
    clusters: HashMap<&'a str, &'a StoredResource>,
    /// Sorted by resource, newest first.
    points: Vec<&'a Located<RecoveryPoint>>,
    /// The latest restore of each resource.
    restores: HashMap<&'a str, &'a Restore>,
    /// The first location whose recovery points were not all read.
    point_gap: Option<InventoryGap<'a>>,
}

/// The plans, selections and vaults of one location.
#[derive(Debug, Default)]
struct LocationIndex<'a> {
    /// Indexes of plans in the inventory.
    plans: Vec<usize>,
    /// Selections with the index of their plan.
    selections: Vec<(usize, CompiledSelection<'a>)>,
    /// By name; `None` where several vaults have the name, so that it is ambiguous.
    vaults: BTreeMap<&'a str, Option<&'a Vault>>,
}

impl<'a> Evaluator<'a> {
    /// Compiles patterns, schedules and policies, once each.
    pub fn new(inventory: &'a Inventory, queries: &'a [ControlQuery]) -> Self {
        let mut locations: Vec<LocationIndex<'a>> =
            inventory.locations.iter().map(|_| LocationIndex::default()).collect();
        for (number, plan) in inventory.plans.iter().enumerate() {
            if let Some(local) = locations.get_mut(plan.location.index()) {
                local.plans.push(number);
                let compiled = |selection| (number, CompiledSelection::new(inventory, &plan.item, selection));
                local.selections.extend(plan.item.selections.iter().map(compiled));
            }
        }
        for vault in &inventory.vaults {
            if let Some(local) = locations.get_mut(vault.location.index()) {
                let it = &vault.item;
                let own = local.vaults.entry(&it.name).or_insert(Some(it));
                *own = own.filter(|own| (own.kind, own.lock, &own.unread) == (it.kind, it.lock, &it.unread));
            }
        }
        for (alias, vault) in &inventory.vault_aliases {
            let Some(vault) = inventory.vaults.get(*vault) else { continue };
            if let Some(local) = locations.get_mut(vault.location.index()) {
                local.vaults.insert(alias, Some(&vault.item));
            }
        }
        let mut evaluator = Self {
            inventory,
            queries: Vec::new(),
            locations,
            kinds: HashMap::new(),
            clusters: HashMap::new(),
            points: Vec::new(),
            restores: HashMap::new(),
            point_gap: None,
        };
        evaluator.queries = queries.iter().map(|query| evaluator.prepared(query)).collect();
        evaluator.index();
        evaluator
    }

    /// Builds only the indexes that the queries need.
    fn index(&mut self) {
        let inventory = self.inventory;
        let members: HashSet<&str> = inventory.resources.iter().filter_map(StoredResource::cluster).collect();
        for resource in &inventory.resources {
            if !self.kinds.contains_key(&resource.kind)
                && let Some(protected) = protected(inventory.kind(resource))
            {
                self.kinds.insert(resource.kind, protected);
            }
            // Clusters of templates may share an ARN; their members name them by id.
            for key in [resource.key(), resource.id()] {
                if members.contains(key) {
                    self.clusters.insert(key, resource);
                }
            }
        }
        let asks = |test: fn(&ControlTest<'_>) -> bool| self.queries.iter().any(|prepared| test(&prepared.test));
        if asks(|test| matches!(test, ControlTest::Recent { .. })) {
            self.points = inventory.recovery_points.iter().collect();
            self.points.sort_by(|one, other| {
                one.item.resource.cmp(&other.item.resource).then(other.item.created.cmp(&one.item.created))
            });
        }
        if asks(|test| matches!(test, ControlTest::Recent { air_gapped: true, .. })) {
            let is_of_points =
                |gap: &InventoryGap<'_>| gap.part.is_none_or(|part| part == LocationPart::RecoveryPoints);
            self.point_gap = inventory.gaps().into_iter().find(is_of_points);
        }
        if asks(|test| matches!(test, ControlTest::Restored { .. })) {
            for restore in &inventory.restores {
                let last = self.restores.entry(&restore.resource).or_insert(restore);
                if last.completed < restore.completed {
                    *last = restore;
                }
            }
        }
    }

    fn prepared(&self, query: &'a ControlQuery) -> PreparedQuery<'a> {
        let kind = match query.control.resource_types {
            ["AWS::Backup::BackupPlan"] => SubjectKind::Plans,
            ["AWS::Backup::BackupVault"] => SubjectKind::Vaults,
            ["AWS::Backup::RecoveryPoint"] => SubjectKind::RecoveryPoints,
            _ => SubjectKind::Resources,
        };
        let test = control_test(query);
        let plans = self.inventory.plans.iter().map(|plan| match &test {
            ControlTest::Copied(copies) => {
                copies.satisfied_by(&plan.item, self.inventory.locations.get(plan.location.index()))
            }
            ControlTest::Locked { min, max } => vec![self.locks(plan, *min, *max)],
            _ => vec![Ternary::Yes],
        });
        let tag = match &query.scope {
            QueryScope::Tag { key, .. } => self.inventory.symbols.find(key),
            _ => None,
        };
        let has_all_types = PROTECTED.iter().all(|it| query.control.resource_types.contains(&it.config_type));
        PreparedQuery { query, kind, has_all_types, plans: plans.collect(), tag, test }
    }

    /// Evaluates every item: resources first, in the order of the inventory; for each item, the queries in their
    /// order.
    pub fn each(&self, mut take: impl FnMut(Evaluation<'a>)) {
        let queries = |kind| self.queries.iter().enumerate().filter(move |(_, prepared)| prepared.kind == kind);
        let mut matching = Vec::new();
        if queries(SubjectKind::Resources).next().is_some() {
            for resource in &self.inventory.resources {
                self.resource(resource, &mut matching, &mut take);
            }
        }
        let date = self.inventory.as_of.to_zoned(TimeZone::UTC).date();
        let is_ordinary = |vault: &&Located<Vault>| vault.item.kind == VaultKind::Ordinary;
        let is_kept = |point: &&Located<RecoveryPoint>| {
            !matches!(point.item.status, RecoveryPointStatus::Creating | RecoveryPointStatus::Deleting)
        };
        let (plans, vaults) = (self.inventory.plans.iter(), self.inventory.vaults.iter().filter(is_ordinary));
        let points = self.inventory.recovery_points.iter().filter(is_kept);
        let plans = plans.map(|one| (SubjectKind::Plans, Subject::Plan(&one.item), one.location));
        let vaults = vaults.map(|one| (SubjectKind::Vaults, Subject::Vault(&one.item), one.location));
        let points = points.map(|one| (SubjectKind::RecoveryPoints, Subject::RecoveryPoint(&one.item), one.location));
        for (kind, subject, location) in plans.chain(vaults).chain(points) {
            for (query_index, prepared) in queries(kind) {
                if let Some(result) = self.other(prepared, subject, location, date) {
                    take(Evaluation { query_index, query: prepared.query, subject, result });
                }
            }
        }
    }

    /// Calls `take` with the index of the query and each resource in its scope for whose type AWS Config has no rule of the control: it is
    /// not judged.
    pub fn each_without_rule(&self, mut take: impl FnMut(usize, &'a StoredResource)) {
        for (query_index, prepared) in self.queries.iter().enumerate() {
            if prepared.kind != SubjectKind::Resources || self.kinds.values().all(|kind| prepared.judges(kind)) {
                continue;
            }
            for resource in self.inventory.resources.iter().filter(|resource| resource.active) {
                let engine = resource.engine.map(|engine| self.inventory.symbols.get(engine));
                let kind = self.kinds.get(&resource.kind);
                let is_other = kind.is_some_and(|kind| kind.is_evaluated(engine) && !prepared.judges(kind));
                if is_other && self.resource_in_scope(prepared, resource) != Ternary::No {
                    take(query_index, resource);
                }
            }
        }
    }

    fn resource_in_scope(&self, prepared: &PreparedQuery<'_>, resource: &StoredResource) -> Ternary {
        let is_it = |id: &str| resource.id() == id || resource.name() == Some(id) || resource.arn() == id;
        let has_tag = |_: &str, value: Option<&str>| {
            has_tag(resource, prepared.tag, |found| match (value, found) {
                (None, _) => Ternary::Yes,
                (Some(_), None) => Ternary::Unknown,
                (Some(value), Some(found)) => (self.inventory.symbols.get(found) == value).into(),
            })
        };
        in_scope(&prepared.query.scope, self.inventory.kind(resource), is_it, has_tag)
    }

    /// Evaluates a plan, vault or recovery point, if it is in the scope of the query.
    fn other(
        &self,
        prepared: &PreparedQuery<'a>,
        subject: Subject<'a>,
        location: LocationId,
        date: Date,
    ) -> Option<ComplianceResult<'a>> {
        let (tags, tags_unread) = match subject {
            Subject::Plan(plan) => (&plan.tags, plan.unread.contains(&PlanPart::Tags)),
            Subject::Vault(vault) => (&vault.tags, vault.unread.contains(&VaultPart::Tags)),
            Subject::RecoveryPoint(point) => (&point.tags, point.unread.contains(&RecoveryPointPart::Tags)),
            Subject::Resource(_) => return None,
        };
        let kind = prepared.query.control.resource_types.first()?;
        let is_it = |id: &str| subject.id() == id || subject.name() == Some(id);
        let has_tag = |key: &str, value: Option<&str>| match tags.get(key) {
            Some(found) => value.is_none_or(|value| value == found).into(),
            None => Ternary::unknown_if(tags_unread),
        };
        match in_scope(&prepared.query.scope, kind, is_it, has_tag) {
            Ternary::No => return None,
            Ternary::Unknown => return Some(Undecided(vec![prepared.scope_unknown(tags_unread)])),
            Ternary::Yes => {}
        }
        Some(match (&prepared.test, subject) {
            (ControlTest::Unclear(name), _) => Undecided(vec![Uncertainty::Parameter(name)]),
            (ControlTest::OftenAndLong { most_minutes, days }, Subject::Plan(plan)) => {
                plan::often_and_long(plan, *most_minutes, *days, date)
            }
            (ControlTest::NotDeleted { exempt }, Subject::Vault(vault)) => self.not_deleted(vault, location, exempt),
            (ControlTest::Encrypted, Subject::RecoveryPoint(point)) => encrypted(point),
            (ControlTest::Kept { days }, Subject::RecoveryPoint(point)) => kept(point, *days),
            _ => Undecided(vec![Uncertainty::Scope]),
        })
    }

    /// Evaluates a resource. All its queries share its candidate and its matching selections.
    fn resource(
        &self,
        resource: &'a StoredResource,
        matching: &mut Vec<SelectionMatch>,
        take: &mut impl FnMut(Evaluation<'a>),
    ) {
        let Some(protected) = self.kinds.get(&resource.kind).copied() else { return };
        let cluster = resource.cluster().and_then(|arn| self.clusters.get(arn).copied());
        // A member has the engine of its cluster.
        let engine = cluster.and_then(|cluster| cluster.engine).or(resource.engine);
        let engine = engine.map(|engine| self.inventory.symbols.get(engine));
        if !resource.active || !protected.is_evaluated(engine) {
            return;
        }
        let backed_up = match resource.cluster() {
            None => Ok((resource, protected)),
            Some(arn) => cluster
                .and_then(|cluster| Some((cluster, *self.kinds.get(&cluster.kind)?)))
                .ok_or(Uncertainty::Cluster(arn)),
        };
        let candidate = backed_up.and_then(|(resource, protected)| match resource.engine {
            None if protected.shared => Err(Uncertainty::Engine),
            _ => Ok(self.candidate(resource, protected)),
        });
        let mut covered = false;
        for (query_index, prepared) in self.queries.iter().enumerate() {
            if prepared.kind != SubjectKind::Resources
                || !prepared.judges(protected)
                || (matches!(prepared.test, ControlTest::Copied(_)) && !protected.evaluates_copies(engine))
            {
                continue;
            }
            let result = match (self.resource_in_scope(prepared, resource), &prepared.test, &candidate) {
                (Ternary::No, ..) => continue,
                (Ternary::Unknown, ..) => Undecided(vec![prepared.scope_unknown(resource.tags_unread)]),
                (_, ControlTest::Unclear(name), _) => Undecided(vec![Uncertainty::Parameter(name)]),
                (.., Err(unknown)) => Undecided(vec![unknown.clone()]),
                (_, ControlTest::Recent { most_minutes, air_gapped }, Ok(own)) => {
                    self.recent(own.resource, *most_minutes, *air_gapped)
                }
                (_, ControlTest::Restored { most_minutes }, Ok(own)) => self.restored(own.resource, *most_minutes),
                (.., Ok(candidate)) => {
                    if !covered {
                        self.matching(candidate, matching);
                        covered = true;
                    }
                    self.planned(prepared, candidate, matching, resource.cluster())
                }
            };
            take(Evaluation { query_index, query: prepared.query, subject: Subject::Resource(resource), result });
        }
    }

    fn candidate(&self, resource: &'a StoredResource, protected: &'static ProtectedType) -> Candidate<'a> {
        let service = protected.opt_in(resource.engine.map(|engine| self.inventory.symbols.get(engine)));
        let record = self.inventory.location_of_resource(resource).and_then(|location| location.record.as_ref());
        let opt_in = record.and_then(|record| record.opt_in.get(service)).map_or(Ternary::Unknown, |on| (*on).into());
        Candidate { resource, protected, opt_in, service }
    }
}

/// Returns whether an item of the type `kind` is in a scope.
fn in_scope(
    scope: &QueryScope,
    kind: &str,
    is_it: impl Fn(&str) -> bool,
    has_tag: impl Fn(&str, Option<&str>) -> Ternary,
) -> Ternary {
    let is_of = |types: &[String]| types.iter().any(|own| own == kind);
    match scope {
        QueryScope::All => Ternary::Yes,
        QueryScope::Unknown => Ternary::Unknown,
        QueryScope::Types(types) => is_of(types).into(),
        QueryScope::Resource { id, types } => (is_it(id) && (types.is_empty() || is_of(types))).into(),
        QueryScope::Tag { key, value, types } => {
            let has_it = has_tag(key, value.as_deref());
            if types.is_empty() || is_of(types) { has_it } else { has_it.and(Ternary::Unknown) }
        }
    }
}

/// Returns whether a resource has a tag whose value, `None` if unknown, `fits`.
#[inline]
fn has_tag(resource: &StoredResource, key: Option<Symbol>, fits: impl Fn(Option<Symbol>) -> Ternary) -> Ternary {
    match key.and_then(|key| resource.tag(key)) {
        Some(tag) => fits(tag.value),
        None => Ternary::unknown_if(resource.tags_unread),
    }
}

/// Removes duplicates and keeps the order.
fn distinct(unknown: Vec<Uncertainty<'_>>) -> Vec<Uncertainty<'_>> {
    let mut each: Vec<Uncertainty<'_>> = Vec::new();
    for one in unknown {
        if !each.contains(&one) {
            each.push(one);
        }
    }
    each
}

/// Returns an undecided result, each uncertainty once.
fn undecided(unknown: Vec<Uncertainty<'_>>) -> ComplianceResult<'_> {
    let mut each = distinct(unknown);
    if each.is_empty() {
        each.push(Uncertainty::Scope);
    }
    Undecided(each)
}
