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

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;

use crate::inventory::document::{PlanPart, RecoveryPointPart, RecoveryPointStatus, Restore, VaultKind, VaultPart};
use crate::inventory::{
    Inventory, InventoryGap, Located, LocationPart, Plan, ProtectedType, RecoveryPoint, Resource, Symbol, Vault,
    protected,
};
use coverage::SelectionMatch;
use prepared_query::{ControlTest, PreparedQuery, SubjectKind, control_test};
use recovery_points::{encrypted, kept};
use selection::{Candidate, CompiledSelection};
use ternary::Ternary;

mod control_query;
mod coverage;
pub(crate) mod display;
mod plan;
mod prepared_query;
mod reason;
mod recovery_points;
pub mod remediation;
pub mod schedule;
mod selection;
mod ternary;
#[cfg(test)]
mod tests;
mod value;
pub mod vault_policy;
mod vaults;

pub use control_query::{ControlQuery, QueryScope};
pub use reason::{
    ClosestSelection, ComplianceReason, ComplianceResult, ConditionOperator, FailedClause, LockShortfall,
    NonComplianceReason, NotSelectedReason, RemediationStep, RuleShortfall, Uncertainty, UnlockedVault,
};

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

/// An item that a control evaluates.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A resource that may need a backup.
    Resource(&'a Resource),
    /// A backup plan.
    Plan(&'a Plan),
    /// A vault.
    Vault(&'a Vault),
    /// A recovery point.
    RecoveryPoint(&'a RecoveryPoint),
}

impl Subject<'_> {
    /// Returns the id in AWS Config.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Resource(resource) => resource.id(),
            Self::Plan(plan) => &plan.id,
            Self::Vault(vault) => &vault.name,
            Self::RecoveryPoint(point) => &point.arn,
        }
    }

    /// Returns the name, for items that have one besides the id.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Resource(resource) => resource.name(),
            Self::Plan(plan) => Some(&plan.name),
            Self::Vault(_) | Self::RecoveryPoint(_) => None,
        }
    }
}

impl Eq for Subject<'_> {}

impl PartialEq for Subject<'_> {
    /// Compares identity: two equal resources of one inventory are different subjects.
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Resource(one), Self::Resource(other)) => std::ptr::eq(one, other),
            (Self::Plan(one), Self::Plan(other)) => std::ptr::eq(one, other),
            (Self::Vault(one), Self::Vault(other)) => std::ptr::eq(one, other),
            (Self::RecoveryPoint(one), Self::RecoveryPoint(other)) => std::ptr::eq(one, other),
            _ => false,
        }
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
    clusters: HashMap<&'a str, &'a Resource>,
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
    #[must_use]
    pub fn new(inventory: &'a Inventory, queries: &'a [ControlQuery]) -> Self {
        let mut locations: Vec<LocationIndex<'a>> =
            inventory.locations.iter().map(|_| LocationIndex::default()).collect();
        for (number, plan) in inventory.plans.iter().enumerate() {
            if let Some(local) = locations.get_mut(plan.location.index()) {
                local.plans.push(number);
                let compiled = plan
                    .item
                    .selections
                    .iter()
                    .map(|selection| CompiledSelection::new(inventory, &plan.item, selection));
                local.selections.extend(compiled.map(|compiled| (number, compiled)));
            }
        }
        for vault in &inventory.vaults {
            if let Some(local) = locations.get_mut(vault.location.index()) {
                let it = &vault.item;
                let own = local.vaults.entry(&it.name).or_insert(Some(it));
                *own = own.filter(|own| (own.kind, own.lock, &own.unread) == (it.kind, it.lock, &it.unread));
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
        for resource in &inventory.resources {
            if let Some(cluster) = resource.cluster() {
                self.clusters.insert(cluster, resource);
            }
        }
        // Until here, each entry holds one of the cluster's members.
        let members = std::mem::take(&mut self.clusters);
        for resource in &inventory.resources {
            if !self.kinds.contains_key(&resource.kind)
                && let Some(protected) = protected(inventory.kind(resource))
            {
                self.kinds.insert(resource.kind, protected);
            }
            // Clusters of templates may share an ARN; their members name them by id.
            for key in [resource.key(), resource.id()] {
                if members.contains_key(key) {
                    self.clusters.insert(key, resource);
                }
            }
        }
        let asks = |test: fn(&ControlTest<'_>) -> bool| self.queries.iter().any(|prepared| test(&prepared.test));
        if asks(|test| matches!(test, ControlTest::Recent { .. } | ControlTest::AirGapped { .. })) {
            self.points = inventory.recovery_points.iter().collect();
            self.points.sort_by(|one, other| {
                one.item.resource.cmp(&other.item.resource).then(other.item.created.cmp(&one.item.created))
            });
        }
        if asks(|test| matches!(test, ControlTest::AirGapped { .. })) {
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
            ControlTest::Copied(copies) => copies.satisfied_by(&plan.item),
            ControlTest::Locked { min, max } => vec![self.locks(plan, *min, *max)],
            _ => vec![Ternary::Yes],
        });
        let tag = match &query.scope {
            QueryScope::Tag { key, .. } => self.inventory.symbols.find(key),
            _ => None,
        };
        PreparedQuery { query, kind, plans: plans.collect(), tag, test }
    }

    /// Evaluates every item: resources first, in the order of the inventory; for each item, the queries in their
    /// order.
    pub fn each(&self, mut take: impl FnMut(Evaluation<'a>)) {
        let kind = |kind| self.queries.iter().enumerate().filter(move |(_, prepared)| prepared.kind == kind);
        let mut matching = Vec::new();
        if kind(SubjectKind::Resources).next().is_some() {
            for resource in &self.inventory.resources {
                self.resource(resource, &mut matching, &mut take);
            }
        }
        let date = self.inventory.as_of.to_zoned(TimeZone::UTC).date();
        for plan in &self.inventory.plans {
            for (number, prepared) in kind(SubjectKind::Plans) {
                let tags = &plan.item.tags;
                let unread = plan.item.unread.contains(&PlanPart::Tags);
                let subject = Subject::Plan(&plan.item);
                self.other(number, prepared, subject, (tags, unread), &mut take, || match prepared.test {
                    ControlTest::OftenAndLong { most_minutes, days } => {
                        plan::often_and_long(&plan.item, most_minutes, days, date)
                    }
                    _ => ComplianceResult::Undecided(vec![Uncertainty::Scope]),
                });
            }
        }
        for vault in self.inventory.vaults.iter().filter(|vault| vault.item.kind == VaultKind::Ordinary) {
            for (number, prepared) in kind(SubjectKind::Vaults) {
                let unread = vault.item.unread.contains(&VaultPart::Tags);
                let subject = Subject::Vault(&vault.item);
                self.other(number, prepared, subject, (&vault.item.tags, unread), &mut take, || match &prepared.test {
                    ControlTest::NotDeleted { exempt } => self.not_deleted(vault, exempt),
                    _ => ComplianceResult::Undecided(vec![Uncertainty::Scope]),
                });
            }
        }
        for point in &self.inventory.recovery_points {
            if matches!(point.item.status, RecoveryPointStatus::Creating | RecoveryPointStatus::Deleting) {
                continue;
            }
            for (number, prepared) in kind(SubjectKind::RecoveryPoints) {
                let unread = point.item.unread.contains(&RecoveryPointPart::Tags);
                let subject = Subject::RecoveryPoint(&point.item);
                self.other(number, prepared, subject, (&point.item.tags, unread), &mut take, || match prepared.test {
                    ControlTest::Encrypted => encrypted(&point.item),
                    ControlTest::Kept { days } => kept(&point.item, days),
                    _ => ComplianceResult::Undecided(vec![Uncertainty::Scope]),
                });
            }
        }
    }

    /// Returns all evaluations.
    #[must_use]
    pub fn all(&self) -> Vec<Evaluation<'a>> {
        let mut all = Vec::new();
        self.each(|evaluation| all.push(evaluation));
        all
    }

    /// Evaluates a plan, vault or recovery point that is in the scope of the query.
    fn other(
        &self,
        number: usize,
        prepared: &PreparedQuery<'a>,
        subject: Subject<'a>,
        (tags, tags_unread): (&BTreeMap<String, String>, bool),
        take: &mut impl FnMut(Evaluation<'a>),
        judge: impl FnOnce() -> ComplianceResult<'a>,
    ) {
        let is_own =
            |types: &[String]| types.iter().any(|kind| prepared.query.control.resource_types == [kind.as_str()]);
        let in_scope = match &prepared.query.scope {
            QueryScope::All => Ternary::Yes,
            QueryScope::Types(types) => is_own(types).into(),
            QueryScope::Resource { id, types } => {
                let is_it = subject.id() == id || subject.name() == Some(id);
                (is_it && (types.is_empty() || is_own(types))).into()
            }
            QueryScope::Tag { key, value, types } => match tags.get(key) {
                Some(found) if value.as_ref().is_some_and(|value| value != found) => Ternary::No,
                Some(_) if types.is_empty() || is_own(types) => Ternary::Yes,
                Some(_) => Ternary::Unknown,
                None if tags_unread => Ternary::Unknown,
                None => Ternary::No,
            },
            QueryScope::Unknown => Ternary::Unknown,
        };
        let result = match (in_scope, &prepared.test) {
            (Ternary::No, _) => return,
            (Ternary::Unknown, _) => ComplianceResult::Undecided(vec![prepared.scope_unknown(tags_unread)]),
            (Ternary::Yes, ControlTest::Unclear(name)) => {
                ComplianceResult::Undecided(vec![Uncertainty::Parameter(name)])
            }
            (Ternary::Yes, _) => judge(),
        };
        take(Evaluation { query_index: number, query: prepared.query, subject, result });
    }

    /// Long because all queries of a resource share its candidate and its matching selections.
    fn resource(
        &self,
        resource: &'a Resource,
        matching: &mut Vec<SelectionMatch>,
        take: &mut impl FnMut(Evaluation<'a>),
    ) {
        let Some(protected) = self.kinds.get(&resource.kind).copied() else { return };
        let cluster = resource.cluster().and_then(|arn| self.clusters.get(arn).copied());
        let engine = cluster.and_then(|cluster| cluster.engine).or(resource.engine);
        let engine = engine.map(|engine| self.inventory.symbols.get(engine));
        if !resource.active || !protected.is_evaluated(engine) {
            return;
        }
        // A member has the engine of its cluster.
        let lacks_engine =
            |resource: &Resource, protected: &ProtectedType| protected.needs_engine() && resource.engine.is_none();
        let candidate = match resource.cluster() {
            None if lacks_engine(resource, protected) => Err(Uncertainty::Engine),
            None => Ok(self.candidate(resource, protected)),
            Some(arn) => {
                let cluster = self.clusters.get(arn).copied();
                let cluster = cluster.and_then(|cluster| Some((cluster, self.kinds.get(&cluster.kind).copied()?)));
                match cluster {
                    None => Err(Uncertainty::Cluster(arn)),
                    Some((cluster, kind)) if lacks_engine(cluster, kind) => Err(Uncertainty::Engine),
                    Some((cluster, kind)) => Ok(self.candidate(cluster, kind)),
                }
            }
        };
        let mut covered = false;
        for (number, prepared) in self.queries.iter().enumerate() {
            if prepared.kind != SubjectKind::Resources
                || (matches!(prepared.test, ControlTest::Copied(_)) && !protected.evaluates_copies(engine))
            {
                continue;
            }
            let result = match (self.in_scope(prepared, resource), &prepared.test, &candidate) {
                (Ternary::No, _, _) => continue,
                (Ternary::Unknown, _, _) => {
                    ComplianceResult::Undecided(vec![prepared.scope_unknown(resource.tags_unread)])
                }
                (Ternary::Yes, ControlTest::Unclear(name), _) => {
                    ComplianceResult::Undecided(vec![Uncertainty::Parameter(name)])
                }
                (Ternary::Yes, _, Err(unknown)) => ComplianceResult::Undecided(vec![unknown.clone()]),
                (Ternary::Yes, ControlTest::Recent { most_minutes }, Ok(candidate)) => {
                    self.recent(candidate.resource, *most_minutes, false)
                }
                (Ternary::Yes, ControlTest::AirGapped { most_minutes }, Ok(candidate)) => {
                    self.recent(candidate.resource, *most_minutes, true)
                }
                (Ternary::Yes, ControlTest::Restored { most_minutes }, Ok(candidate)) => {
                    self.restored(candidate.resource, *most_minutes)
                }
                (Ternary::Yes, _, Ok(candidate)) => {
                    if !covered {
                        self.matching(candidate, matching);
                        covered = true;
                    }
                    self.planned(prepared, candidate, matching, resource.cluster())
                }
            };
            take(Evaluation {
                query_index: number,
                query: prepared.query,
                subject: Subject::Resource(resource),
                result,
            });
        }
    }

    fn in_scope(&self, prepared: &PreparedQuery<'_>, resource: &Resource) -> Ternary {
        let own = self.inventory.kind(resource);
        let is_of = |types: &[String]| types.iter().any(|kind| kind == own);
        match &prepared.query.scope {
            QueryScope::All => Ternary::Yes,
            QueryScope::Unknown => Ternary::Unknown,
            QueryScope::Types(types) => is_of(types).into(),
            QueryScope::Resource { id, types } => {
                let is_it = resource.id() == id || resource.name() == Some(id) || resource.arn() == id;
                (is_it && (types.is_empty() || is_of(types))).into()
            }
            QueryScope::Tag { value, types, .. } => {
                let has_it = match prepared.tag.and_then(|key| resource.tag(key)) {
                    None if resource.tags_unread => Ternary::Unknown,
                    None => Ternary::No,
                    Some(found) => match (value, found.value) {
                        (None, _) => Ternary::Yes,
                        (Some(_), None) => Ternary::Unknown,
                        (Some(value), Some(found)) => (self.inventory.symbols.get(found) == value).into(),
                    },
                };
                if types.is_empty() || is_of(types) { has_it } else { has_it.and(Ternary::Unknown) }
            }
        }
    }

    fn candidate(&self, resource: &'a Resource, protected: &'static ProtectedType) -> Candidate<'a> {
        let service = protected.opt_in(resource.engine.map(|engine| self.inventory.symbols.get(engine)));
        let record = self.inventory.at(resource.location).and_then(|location| location.record.as_ref());
        let opt_in = record.and_then(|record| record.opt_in.get(service)).map_or(Ternary::Unknown, |on| (*on).into());
        Candidate { resource, protected, opt_in, service }
    }
}

/// Removes duplicates and keeps the order.
fn undecided(unknown: Vec<Uncertainty<'_>>) -> ComplianceResult<'_> {
    let mut each: Vec<Uncertainty<'_>> = Vec::new();
    for one in unknown {
        if !each.contains(&one) {
            each.push(one);
        }
    }
    if each.is_empty() {
        each.push(Uncertainty::Scope);
    }
    ComplianceResult::Undecided(each)
}

impl<'a> From<InventoryGap<'a>> for Uncertainty<'a> {
    fn from(gap: InventoryGap<'a>) -> Self {
        let InventoryGap { account, region, part, reason } = gap;
        Self::Location { account, region, part, reason }
    }
}
