//! The parameter overrides that instances were last given. StackSets do not list them with the instances, and asking for each
//! instance would cost a call for each.

use super::step::products;
use super::{Filter, Instance, Observed, Operation, Parameters, Places, Through};
use crate::ids::UnitId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known of the overrides of a StackSet's instances: grouped, so that it stays small where many share them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Given {
    /// Whether an instance that is in no group is known to have none. It is not for a StackSet that others have worked on.
    complete: bool,
    /// Instances that share overrides, and the unit that they are deployed through.
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    #[serde(flatten)]
    at: Places,
    overrides: Parameters,
}

/// What one instance was given, and the unit that it was deployed through then, where that is known.
type Known = (Arc<Parameters>, Option<UnitId>);

impl Given {
    /// Of a StackSet that nobody else has worked on: what was not given is not there. Accounts that StackSets deploys to on its own
    /// get none either.
    #[must_use]
    pub fn all_known() -> Self {
        Self { complete: true, groups: Vec::new() }
    }

    /// Notes what an operation that has ended gave. What a deletion took is seen by what is no longer there: not all of it may be.
    pub fn note(&mut self, operation: &Operation) {
        let (at, overrides) = match operation {
            Operation::ManagedExecution | Operation::UpdateStackSet | Operation::DeleteInstances { .. } => return,
            Operation::CreateInstances { at, overrides } | Operation::UpdateInstances { at, overrides } => {
                (at, Arc::new(overrides.clone()))
            }
        };
        let creates = matches!(operation, Operation::CreateInstances { .. });
        let through = at.through.as_ref().filter(|_| creates).map(|through| &through.unit);
        let mut all = self.expanded();
        for instance in at.instances() {
            if self.complete && overrides.is_empty() {
                all.remove(&instance);
                continue;
            }
            let known = all.get(&instance).filter(|_| !creates).and_then(|(_, unit)| unit.as_ref());
            let unit = through.or(known).cloned();
            all.insert(instance, (Arc::clone(&overrides), unit));
        }
        self.regroup(&all);
    }

    /// Adds to what was observed what only we know. Forgets instances that are no longer there, or are there through another unit:
    /// what comes in their place has what it is given then, and nothing where StackSets deploys on its own. Says whether what is
    /// known has changed.
    pub fn complete(&mut self, observed: &mut Observed) -> bool {
        let before = self.expanded();
        let mut all = before.clone();
        all.retain(|instance, (_, unit)| match observed.instances.get(instance) {
            None => false,
            Some(found) if unit.is_none() => {
                unit.clone_from(&found.unit);
                true
            }
            Some(found) => *unit == found.unit,
        });
        let none = Arc::new(Parameters::new());
        for (instance, found) in &mut observed.instances {
            let known = all.get(instance).map(|(overrides, _)| Arc::clone(overrides));
            found.overrides = known.or_else(|| self.complete.then(|| Arc::clone(&none)));
        }
        let changed = all != before;
        if changed {
            self.regroup(&all);
        }
        changed
    }

    fn regroup(&mut self, all: &BTreeMap<Instance, Known>) {
        let pairs = all.iter().map(|(instance, known)| (instance, known.clone()));
        self.groups = products(pairs)
            .into_iter()
            .map(|(accounts, regions, (overrides, unit))| {
                let through = unit.map(|unit| Through { unit, filter: Filter::Listed });
                Group { at: Places { accounts, regions, through }, overrides: Parameters::clone(&overrides) }
            })
            .collect();
    }

    fn expanded(&self) -> BTreeMap<Instance, Known> {
        let mut all = BTreeMap::new();
        for group in &self.groups {
            let overrides = Arc::new(group.overrides.clone());
            let unit = group.at.through.as_ref().map(|through| &through.unit);
            all.extend(group.at.instances().map(|instance| (instance, (Arc::clone(&overrides), unit.cloned()))));
        }
        all
    }
}
