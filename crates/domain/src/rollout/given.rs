//! The parameter overrides that instances were last given. `ListStackInstances` does not return them, and
//! `DescribeStackInstance` would cost a call for each instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use framework::ids::UnitId;

use super::step::products;
use super::verdict::evaluate;
use super::{Instance, Observed, Operation, OperationTargets, Parameters};

/// The known overrides of a StackSet's instances, in groups that share them, so that the record stays small.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AppliedOverrides {
    /// Whether instances outside the groups have no overrides. Unknown for a StackSet that another writer has changed.
    complete: bool,
    groups: Vec<OverrideGroup>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OverrideGroup {
    #[serde(flatten)]
    at: OperationTargets,
    /// `None` if unknown.
    #[serde(default)]
    overrides: Option<Parameters>,
    /// The organizational unit that they were last observed in, and one that an operation has used since; empty if unknown.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    units: BTreeSet<UnitId>,
}

/// The known overrides of an instance; by default unknown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct InstanceOverrides {
    overrides: Option<Arc<Parameters>>,
    units: BTreeSet<UnitId>,
}

impl AppliedOverrides {
    /// For a StackSet that only this application changes: an instance has the overrides that it was given, and no others.
    /// Auto-deployment sets none either.
    pub fn known_empty() -> Self {
        Self { complete: true, groups: Vec::new() }
    }

    /// For a StackSet without a record: if it exists, the overrides are unknown.
    pub fn unrecorded(stack_set_exists: bool) -> Self {
        if stack_set_exists { Self::default() } else { Self::known_empty() }
    }

    /// Adds the overrides that only the record has to `observed`. Returns whether overrides came into doubt.
    pub fn apply(&mut self, observed: &mut Observed, owner: &str) -> bool {
        match &observed.stack_set {
            None => *self = Self::known_empty(),
            // Not ours, or not any more: the other writer may have set any overrides.
            Some(found) if found.owner.as_deref() != Some(owner) => *self = Self::default(),
            Some(_) => {}
        }
        let doubted = self.forget_uncertain(observed);
        self.add_to(observed);
        doubted
    }

    /// Notes the overrides that an operation has set, after its end.
    pub fn record_operation(&mut self, operation: &Operation) {
        let (at, overrides) = match operation {
            Operation::ManagedExecution | Operation::UpdateStackSet => return,
            Operation::DeleteInstances { at, .. } => (at, None),
            Operation::CreateInstances { at, overrides } | Operation::UpdateInstances { at, overrides } => {
                (at, Some(Arc::new(overrides.clone())))
            }
        };
        let unit = at.through.as_ref().map(|through| &through.unit);
        let created = matches!(operation, Operation::CreateInstances { .. });
        let mut all = self.expanded();
        for instance in at.instances() {
            match &overrides {
                Some(overrides) if !self.complete || !overrides.is_empty() => {
                    // The account may move before it is observed again, so the organizational unit counts from now on. Assumed: an
                    // instance that is updated through the new unit of its account is listed with the new or the old one.
                    let before = all.get(&instance).map(|known| known.units.clone()).unwrap_or_default();
                    let units = match unit {
                        Some(unit) if created => BTreeSet::from([unit.clone()]),
                        Some(unit) if !before.is_empty() => before.into_iter().chain([unit.clone()]).collect(),
                        _ => before,
                    };
                    drop(all.insert(instance, InstanceOverrides { overrides: Some(Arc::clone(overrides)), units }));
                }
                // An instance that the deletion did not reach keeps its overrides; a deleted one is forgotten when observed.
                None if self.complete => drop(all.insert(instance, InstanceOverrides::default())),
                _ => drop(all.remove(&instance)),
            }
        }
        self.keep(&all);
    }

    /// Forgets overrides that have become uncertain, and returns whether there were any:
    ///
    /// * of an instance that is not in the desired state: a failed or stopped operation may not have reached it, and an update
    ///   of the StackSet would make it current with overrides that it never got;
    /// * of an instance that is deleted, or is in another organizational unit: auto-deployment creates it without overrides.
    pub fn forget_uncertain(&mut self, observed: &Observed) -> bool {
        let mut all = self.expanded();
        let mut changed = false;
        all.retain(|instance, known| {
            let Some(found) = observed.instances.get(instance) else {
                changed = true;
                return false;
            };
            if known.overrides.is_none() {
                return true;
            }
            let moved = !known.units.is_empty() && found.unit.as_ref().is_none_or(|unit| !known.units.contains(unit));
            if moved || evaluate(instance, found).is_some() {
                *known = InstanceOverrides::default();
                changed = true;
                return self.complete;
            }
            if !known.units.iter().eq(&found.unit) {
                known.units = found.unit.iter().cloned().collect();
                changed = true;
            }
            true
        });
        for (instance, found) in observed.instances.iter().filter(|_| self.complete) {
            if !all.contains_key(instance) && evaluate(instance, found).is_some() {
                all.insert(instance.clone(), InstanceOverrides::default());
                changed = true;
            }
        }
        if changed {
            self.keep(&all);
        }
        changed
    }

    /// Adds the known overrides to the observed instances.
    pub fn add_to(&self, observed: &mut Observed) {
        let mut now = self.clone();
        now.forget_uncertain(observed);
        let all = now.expanded();
        let none = Arc::new(Parameters::new());
        for (instance, found) in &mut observed.instances {
            found.overrides = match all.get(instance) {
                Some(known) => known.overrides.clone(),
                None => self.complete.then(|| Arc::clone(&none)),
            };
        }
    }

    fn keep(&mut self, all: &BTreeMap<Instance, InstanceOverrides>) {
        self.groups = products(all.iter().map(|(instance, known)| (instance, known.clone())))
            .into_iter()
            .map(|(accounts, regions, known)| OverrideGroup {
                at: OperationTargets { accounts, regions, through: None },
                overrides: known.overrides.as_deref().cloned(),
                units: known.units,
            })
            .collect();
    }

    fn expanded(&self) -> BTreeMap<Instance, InstanceOverrides> {
        let mut all = BTreeMap::new();
        for group in &self.groups {
            let known =
                InstanceOverrides { overrides: group.overrides.clone().map(Arc::new), units: group.units.clone() };
            all.extend(group.at.instances().map(|instance| (instance, known.clone())));
        }
        all
    }
}
