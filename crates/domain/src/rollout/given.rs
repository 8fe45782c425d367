//! The parameter overrides that instances were last given. StackSets do not list them with the instances, and asking for each
//! instance would cost a call for each.

use super::step::products;
use super::verdict::judge;
use super::{Instance, Observed, Operation, Parameters, Places};
use crate::ids::UnitId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is known of the overrides of a StackSet's instances: grouped, so that it stays small where many share them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Given {
    /// Whether an instance that is in no group is known to have none. It is not for a StackSet that others have worked on.
    complete: bool,
    /// Instances that share overrides.
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    #[serde(flatten)]
    at: Places,
    /// `None`: nobody knows.
    #[serde(default)]
    overrides: Option<Parameters>,
    /// The unit that they were last seen deployed through, and one that they were worked through since; empty where nobody knows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    units: BTreeSet<UnitId>,
}

/// What is known of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    overrides: Option<Arc<Parameters>>,
    units: BTreeSet<UnitId>,
}

impl Known {
    const NOTHING: Self = Self { overrides: None, units: BTreeSet::new() };
}

impl Given {
    /// Of a StackSet that nobody else has worked on: what was not given is not there. Accounts that StackSets deploys to on its own
    /// get none either.
    #[must_use]
    pub fn all_known() -> Self {
        Self { complete: true, groups: Vec::new() }
    }

    /// Notes what an operation that has ended gave or took.
    pub fn note(&mut self, operation: &Operation) {
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
                    // An account may move before it is seen again, so the unit counts from now on. Assumed: what is updated through
                    // the unit that its account has moved to may be listed with that one or still with the old one.
                    let before = all.get(&instance).map(|known| known.units.clone()).unwrap_or_default();
                    let units = match unit {
                        Some(unit) if created => BTreeSet::from([unit.clone()]),
                        Some(unit) if !before.is_empty() => before.into_iter().chain([unit.clone()]).collect(),
                        _ => before,
                    };
                    drop(all.insert(instance, Known { overrides: Some(Arc::clone(overrides)), units }));
                }
                // One that the deletion did not come to is still there with what it has; one that is gone is forgotten when that
                // is seen.
                None if self.complete => drop(all.insert(instance, Known::NOTHING)),
                _ => drop(all.remove(&instance)),
            }
        }
        self.keep(&all);
    }

    /// Forgets what need not be so any more, and says whether there was any.
    ///
    /// An instance that is not as it should be: an operation that failed or was stopped may not have come to it, and an update of
    /// the StackSet would make it look right with overrides that it never got. One that is gone, or is deployed through another
    /// unit than before: if it comes, or has come, again without us, then without overrides.
    pub fn doubt(&mut self, observed: &Observed) -> bool {
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
            if moved || judge(instance, found).is_some() {
                *known = Known::NOTHING;
                changed = true;
                return self.complete;
            }
            if !known.units.iter().eq(&found.unit) {
                known.units = found.unit.iter().cloned().collect();
                changed = true;
            }
            true
        });
        if self.complete {
            for (instance, found) in &observed.instances {
                if judge(instance, found).is_some() && !all.contains_key(instance) {
                    all.insert(instance.clone(), Known::NOTHING);
                    changed = true;
                }
            }
        }
        if changed {
            self.keep(&all);
        }
        changed
    }

    /// Adds to what was observed what only we know.
    pub fn complete(&self, observed: &mut Observed) {
        let mut now = self.clone();
        now.doubt(observed);
        let all = now.expanded();
        let none = Arc::new(Parameters::new());
        for (instance, found) in &mut observed.instances {
            found.overrides = match all.get(instance) {
                Some(known) => known.overrides.clone(),
                None => self.complete.then(|| Arc::clone(&none)),
            };
        }
    }

    fn keep(&mut self, all: &BTreeMap<Instance, Known>) {
        self.groups = products(all.iter().map(|(instance, known)| (instance, known.clone())))
            .into_iter()
            .map(|(accounts, regions, known)| Group {
                at: Places { accounts, regions, through: None },
                overrides: known.overrides.as_deref().cloned(),
                units: known.units,
            })
            .collect();
    }

    fn expanded(&self) -> BTreeMap<Instance, Known> {
        let mut all = BTreeMap::new();
        for group in &self.groups {
            let known = Known { overrides: group.overrides.clone().map(Arc::new), units: group.units.clone() };
            all.extend(group.at.instances().map(|instance| (instance, known.clone())));
        }
        all
    }
}
