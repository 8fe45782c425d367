//! The state table.

use jiff::Timestamp;

use app::deploy::ports::DeployStore;
use app::deploy::{AcceptedRevision, DeployState, PublishedFramework, RolloutRecord};
use app::lifecycle::ports::RequestStore;
use app::lifecycle::{CloudFormationRequest, RequestAnswer, WaitingRequest};
use app::ports::{PortErrorKind, Result, Versioned};
use domain::policy::Reporting;
use framework::ids::{CommitId, StackSetName};

use super::{World, error};

impl DeployStore for World {
    async fn load_state(&self) -> Result<DeployState> {
        self.remote("dynamodb:Query", |state| {
            Ok(DeployState {
                rollouts: state.rollouts.clone(),
                removing: state.removing,
                reporting_digest: state.reporting_digest.clone(),
                accepted: state.accepted.clone(),
            })
        })
        .await
    }

    async fn put_rollout(&self, rollout: &Versioned<RolloutRecord>) -> Result<()> {
        const OPERATION: &str = "dynamodb:PutItem";
        self.remote(OPERATION, |state| {
            let name = rollout.value.name.clone();
            let stored = state.rollouts.get(&name).map_or(0, |stored| stored.version);
            if stored != rollout.version {
                return Err(error(OPERATION, PortErrorKind::Conflict));
            }
            state.rollouts.insert(name, Versioned { value: rollout.value.clone(), version: stored + 1 });
            Ok(())
        })
        .await
    }

    async fn delete_rollout(&self, name: &StackSetName) -> Result<()> {
        self.remote("dynamodb:DeleteItem", |state| {
            state.rollouts.remove(name);
            Ok(())
        })
        .await
    }

    async fn set_removal(&self, removing: bool) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.removing = removing;
            Ok(())
        })
        .await
    }

    async fn rejected_commit(&self) -> Result<Option<CommitId>> {
        self.remote("dynamodb:GetItem", |state| Ok(state.rejected.clone())).await
    }

    async fn set_rejected_commit(&self, commit: &CommitId) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.rejected = Some(commit.clone());
            Ok(())
        })
        .await
    }

    async fn put_accepted(&self, accepted: &AcceptedRevision) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.accepted = Some(accepted.clone());
            Ok(())
        })
        .await
    }

    async fn framework(&self, name: &StackSetName) -> Result<Option<PublishedFramework>> {
        self.remote("dynamodb:GetItem", |state| Ok(state.frameworks.get(name).cloned())).await
    }

    async fn put_framework(&self, facts: &PublishedFramework) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.frameworks.insert(facts.stack_set.clone(), facts.clone());
            Ok(())
        })
        .await
    }

    async fn put_reporting(&self, reporting: &Reporting) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.reporting = Some(reporting.clone());
            Ok(())
        })
        .await?;
        self.remote("dynamodb:PutItem", |state| {
            state.reporting_digest = Some(reporting.digest().0);
            Ok(())
        })
        .await
    }

    async fn delete_framework(&self, name: &StackSetName) -> Result<()> {
        self.remote("dynamodb:DeleteItem", |state| {
            state.frameworks.remove(name);
            Ok(())
        })
        .await
    }
}

impl RequestStore for World {
    async fn store(&self, request: &CloudFormationRequest, at: Timestamp) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            if state.answered.contains(&request.envelope.request_id) {
                return Ok(());
            }
            state.requests.entry(request.envelope.request_id.clone()).or_insert_with(|| WaitingRequest {
                request: request.clone(),
                since: at,
                answer: None,
            });
            Ok(())
        })
        .await
    }

    async fn settle(
        &self,
        request: &CloudFormationRequest,
        answer: &RequestAnswer,
        at: Timestamp,
    ) -> Result<Option<RequestAnswer>> {
        self.remote("dynamodb:UpdateItem", |state| {
            let id = &request.envelope.request_id;
            if state.answered.contains(id) {
                return Ok(None);
            }
            let unknown = || WaitingRequest { request: request.clone(), since: at, answer: None };
            let waiting = state.requests.entry(id.clone()).or_insert_with(unknown);
            Ok(Some(waiting.answer.get_or_insert_with(|| answer.clone()).clone()))
        })
        .await
    }

    async fn waiting(&self) -> Result<Vec<WaitingRequest>> {
        self.remote("dynamodb:Query", |state| {
            let mut waiting: Vec<WaitingRequest> = state.requests.values().cloned().collect();
            waiting.sort_by_key(|waiting| waiting.since);
            Ok(waiting)
        })
        .await
    }

    async fn record_answered(&self, request_id: &str, _at: Timestamp) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.requests.remove(request_id);
            state.answered.insert(request_id.to_owned());
            Ok(())
        })
        .await
    }
}
