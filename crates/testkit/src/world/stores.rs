//! What is remembered: a table.

use super::{World, error};
use app::deploy::{FrameworkFacts, Memory, Rollout};
use app::lifecycle::{Request, Waiting};
use app::ports::{
    DeployStore, FrameworkDirectory, PortErrorKind, RequestStore, ResourceDirectory, ResourceId, Result, Versioned,
    ViolationStore,
};
use domain::ids::{CommitId, StackSetName};
use domain::notice::ResourceFacts;
use domain::violation::{Key, Ordering, Record};
use jiff::Timestamp;
use std::collections::BTreeMap;

impl DeployStore for World {
    async fn memory(&self) -> Result<Memory> {
        self.call("dynamodb:Query", |state| Ok(Memory { rollouts: state.rollouts.clone(), removing: state.removing }))
    }

    async fn put_rollout(&self, rollout: &Versioned<Rollout>) -> Result<()> {
        const OPERATION: &str = "dynamodb:PutItem";
        self.call(OPERATION, |state| {
            let name = rollout.value.name.clone();
            let stored = state.rollouts.get(&name).map_or(0, |stored| stored.version);
            if stored != rollout.version {
                return Err(error(OPERATION, PortErrorKind::Conflict));
            }
            state.rollouts.insert(name, Versioned { value: rollout.value.clone(), version: stored + 1 });
            Ok(())
        })
    }

    async fn forget_rollout(&self, name: &StackSetName) -> Result<()> {
        self.call("dynamodb:DeleteItem", |state| {
            state.rollouts.remove(name);
            Ok(())
        })
    }

    async fn set_removal(&self, removing: bool) -> Result<()> {
        self.call("dynamodb:PutItem", |state| {
            state.removing = removing;
            Ok(())
        })
    }

    async fn rejected(&self) -> Result<Option<CommitId>> {
        self.call("dynamodb:GetItem", |state| Ok(state.rejected.clone()))
    }

    async fn set_rejected(&self, commit: &CommitId) -> Result<()> {
        self.call("dynamodb:PutItem", |state| {
            state.rejected = Some(commit.clone());
            Ok(())
        })
    }

    async fn put_framework(&self, facts: &FrameworkFacts) -> Result<()> {
        self.call("dynamodb:PutItem", |state| {
            state.frameworks.insert(facts.stack_set.clone(), facts.clone());
            Ok(())
        })
    }

    async fn forget_framework(&self, name: &StackSetName) -> Result<()> {
        self.call("dynamodb:DeleteItem", |state| {
            state.frameworks.remove(name);
            Ok(())
        })
    }
}

impl RequestStore for World {
    async fn keep(&self, request: &Request, at: Timestamp) -> Result<()> {
        self.call("dynamodb:PutItem", |state| {
            if state.answered.contains(&request.envelope.request_id) {
                return Ok(());
            }
            state
                .requests
                .entry(request.envelope.request_id.clone())
                .or_insert_with(|| Waiting { request: request.clone(), since: at });
            Ok(())
        })
    }

    async fn waiting(&self) -> Result<Vec<Waiting>> {
        self.call("dynamodb:Query", |state| {
            let mut waiting: Vec<Waiting> = state.requests.values().cloned().collect();
            waiting.sort_by_key(|waiting| waiting.since);
            Ok(waiting)
        })
    }

    async fn answered(&self, request_id: &str, _at: Timestamp) -> Result<()> {
        self.call("dynamodb:PutItem", |state| {
            state.requests.remove(request_id);
            state.answered.insert(request_id.to_owned());
            Ok(())
        })
    }

    async fn forget(&self, request_id: &str) -> Result<()> {
        self.call("dynamodb:DeleteItem", |state| {
            state.requests.remove(request_id);
            Ok(())
        })
    }
}

impl ViolationStore for World {
    async fn read(&self, keys: &[Key]) -> Result<BTreeMap<Key, Record>> {
        self.call("dynamodb:BatchGetItem", |state| {
            Ok(keys
                .iter()
                .filter_map(|key| state.violations.get(key).map(|record| (key.clone(), record.clone())))
                .collect())
        })
    }

    async fn put(&self, record: &Record, seen: Option<&Ordering>) -> Result<()> {
        const OPERATION: &str = "dynamodb:PutItem";
        self.call(OPERATION, |state| {
            let stored = state.violations.get(&record.key).map(|stored| stored.ordering);
            let in_order = stored.is_none_or(|stored| stored < record.ordering);
            if stored != seen.copied() || !in_order {
                return Err(error(OPERATION, PortErrorKind::Conflict));
            }
            state.violations.insert(record.key.clone(), record.clone());
            Ok(())
        })
    }

    async fn told(&self, record: &Record, _at: Timestamp) -> Result<()> {
        self.call("dynamodb:UpdateItem", |state| {
            if let Some(stored) = state.violations.get_mut(&record.key)
                && stored.ordering == record.ordering
            {
                stored.pending = None;
            }
            Ok(())
        })
    }

    async fn owing(&self, before: Timestamp, limit: usize) -> Result<Vec<Record>> {
        self.call("dynamodb:Query", |state| {
            Ok(state
                .violations
                .values()
                .filter(|record| record.pending.is_some() && record.ordering.notified < before)
                .take(limit)
                .cloned()
                .collect())
        })
    }
}

impl FrameworkDirectory for World {
    async fn frameworks(&self) -> Result<Vec<FrameworkFacts>> {
        self.call("dynamodb:Query", |state| Ok(state.frameworks.values().cloned().collect()))
    }
}

impl ResourceDirectory for World {
    async fn look_up(&self, resources: &[ResourceId]) -> Result<BTreeMap<ResourceId, ResourceFacts>> {
        self.call("config:BatchGetAggregateResourceConfig", |state| {
            Ok(resources
                .iter()
                .filter_map(|id| state.resources.get(id).map(|facts| (id.clone(), facts.clone())))
                .collect())
        })
    }
}
