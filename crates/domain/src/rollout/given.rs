//! The parameter overrides that instances were last given. StackSets do not list them with the instances, and asking for each
//! instance would cost a call for each.

use super::step::products;
use super::{Instance, Observed, Operation, Parameters, Places};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    overrides: Parameters,
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
        let mut all = self.expanded();
        for instance in at.instances() {
            match &overrides {
                Some(overrides) if !self.complete || !overrides.is_empty() => {
                    drop(all.insert(instance, Arc::clone(overrides)));
                }
                _ => drop(all.remove(&instance)),
            }
        }
        let pairs = all.iter().map(|(instance, overrides)| (instance, Arc::clone(overrides)));
        self.groups = products(pairs)
            .into_iter()
            .map(|(accounts, regions, overrides)| Group {
                at: Places { accounts, regions, through: None },
                overrides: Parameters::clone(&overrides),
            })
            .collect();
    }

    /// Adds to what was observed what only we know.
    pub fn complete(&self, observed: &mut Observed) {
        let all = self.expanded();
        let none = Arc::new(Parameters::new());
        for (instance, found) in &mut observed.instances {
            found.overrides = all.get(instance).cloned().or_else(|| self.complete.then(|| Arc::clone(&none)));
        }
    }

    fn expanded(&self) -> BTreeMap<Instance, Arc<Parameters>> {
        let mut all = BTreeMap::new();
        for group in &self.groups {
            let overrides = Arc::new(group.overrides.clone());
            all.extend(group.at.instances().map(|instance| (instance, Arc::clone(&overrides))));
        }
        all
    }
}
