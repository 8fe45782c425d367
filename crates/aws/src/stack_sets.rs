//! CloudFormation StackSets with self-managed permissions.

use crate::error::{unexpected, wrap};
use crate::s3::{Staged, TemplateBucket};
use app::ports::{Accepted, Result, StackSets};
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{
    Capability, ConcurrencyMode, ManagedExecution, Parameter, RegionConcurrencyType, StackInstanceSummary,
    StackSetOperationPreferences, StackSetStatus, Tag,
};
use domain::ids::{AccountId, RegionName, StackSetName};
use domain::policy::{Amount, RegionConcurrency, Rollout};
use domain::rollout::{
    Desired, DetailedStatus, Digest, Instance, InstanceStatus, Observed, ObservedInstance, ObservedStackSet, Operation,
    OperationStatus, Parameters,
};
use domain::template::Template;
use std::collections::BTreeSet;
use tracing::warn;

/// Says that a StackSet is ours, and of which policy.
const OWNER_TAG: &str = "backup-compliance:policy";
/// Says which definition it was last given.
const DEFINITION_TAG: &str = "backup-compliance:definition";

/// StackSets of this account and Region.
#[derive(Debug, Clone)]
pub struct CloudFormationStackSets {
    client: Client,
    bucket: TemplateBucket,
    administration_role_arn: String,
    execution_role_name: String,
}

impl CloudFormationStackSets {
    /// Works with these two roles.
    #[must_use]
    pub fn new(
        client: Client,
        bucket: TemplateBucket,
        administration_role_arn: &str,
        execution_role_name: &str,
    ) -> Self {
        Self {
            client,
            bucket,
            administration_role_arn: administration_role_arn.to_owned(),
            execution_role_name: execution_role_name.to_owned(),
        }
    }

    async fn staged(&self, template: &str) -> Result<Option<Staged>> {
        if template.len() > Template::INLINE_LIMIT { self.bucket.put(template).await.map(Some) } else { Ok(None) }
    }

    async fn unstage(&self, staged: Option<Staged>) {
        if let Some(staged) = staged
            && let Err(error) = self.bucket.remove(&staged).await
        {
            // The bucket's own expiry removes it in the end.
            warn!(%error, "the staged template stays behind");
        }
    }

    async fn update(&self, id: &str, desired: &Desired, owner: &str) -> Result<()> {
        let staged = self.staged(&desired.template).await?;
        let outcome = self
            .client
            .update_stack_set()
            .stack_set_name(desired.name.as_str())
            .operation_id(id)
            .set_template_body(staged.is_none().then(|| desired.template.clone()))
            .set_template_url(staged.as_ref().map(|staged| staged.url.clone()))
            .set_parameters(Some(parameters(&desired.parameters)))
            .set_capabilities(Some(capabilities(desired)))
            .set_tags(Some(tags(desired, owner)))
            // A custom role that is left out of an update falls back to the default name.
            .administration_role_arn(&self.administration_role_arn)
            .execution_role_name(&self.execution_role_name)
            .operation_preferences(preferences(&desired.rollout))
            .send()
            .await
            .map(|_| ());
        self.unstage(staged).await;
        outcome.or_else(|error| match error.as_service_error() {
            Some(service) if service.is_operation_id_already_exists_exception() => Ok(()),
            _ => Err(wrap("cloudformation:UpdateStackSet", &error)),
        })
    }
}

impl StackSets for CloudFormationStackSets {
    async fn describe(&self, name: &StackSetName) -> Result<Option<ObservedStackSet>> {
        const OPERATION: &str = "cloudformation:DescribeStackSet";
        let found = match self.client.describe_stack_set().stack_set_name(name.as_str()).send().await {
            Ok(found) => found.stack_set,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_stack_set_not_found_exception()) => {
                None
            }
            Err(error) => return Err(wrap(OPERATION, &error)),
        };
        // A deleted StackSet can still be described for a while.
        let Some(found) = found.filter(|found| found.status != Some(StackSetStatus::Deleted)) else { return Ok(None) };
        let tag = |key: &str| {
            found.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value()).map(ToOwned::to_owned)
        };
        Ok(Some(ObservedStackSet {
            id: found.stack_set_id.clone().unwrap_or_default(),
            owner: tag(OWNER_TAG),
            definition: tag(DEFINITION_TAG).map(Digest),
        }))
    }

    async fn observe(&self, name: &StackSetName, stack_set: ObservedStackSet) -> Result<Observed> {
        const OPERATION: &str = "cloudformation:ListStackInstances";
        let mut observed = Observed { stack_set: Some(stack_set), ..Observed::default() };
        let mut pages =
            self.client.list_stack_instances().stack_set_name(name.as_str()).into_paginator().items().send();
        while let Some(item) = pages.next().await {
            match item {
                Ok(summary) => {
                    let (instance, found) = read_instance(&summary)?;
                    observed.instances.insert(instance, found);
                }
                Err(error)
                    if error.as_service_error().is_some_and(|error| error.is_stack_set_not_found_exception()) =>
                {
                    return Ok(Observed::default());
                }
                Err(error) => return Err(wrap(OPERATION, &error)),
            }
        }
        Ok(observed)
    }

    async fn operation(&self, name: &StackSetName, id: &str) -> Result<Option<OperationStatus>> {
        let answer =
            self.client.describe_stack_set_operation().stack_set_name(name.as_str()).operation_id(id).send().await;
        match answer {
            Ok(found) => {
                let status = found.stack_set_operation.and_then(|operation| operation.status);
                Ok(status.map(|status| OperationStatus::from_api(status.as_str())))
            }
            Err(error)
                if error.as_service_error().is_some_and(|error| {
                    error.is_operation_not_found_exception() || error.is_stack_set_not_found_exception()
                }) =>
            {
                Ok(None)
            }
            Err(error) => Err(wrap("cloudformation:DescribeStackSetOperation", &error)),
        }
    }

    async fn create(&self, desired: &Desired, owner: &str) -> Result<()> {
        let staged = self.staged(&desired.template).await?;
        let outcome = self
            .client
            .create_stack_set()
            .stack_set_name(desired.name.as_str())
            .description(format!("AWS Backup Audit Manager framework, managed by the policy {owner}"))
            .set_template_body(staged.is_none().then(|| desired.template.clone()))
            .set_template_url(staged.as_ref().map(|staged| staged.url.clone()))
            .set_parameters(Some(parameters(&desired.parameters)))
            .set_capabilities(Some(capabilities(desired)))
            .set_tags(Some(tags(desired, owner)))
            .administration_role_arn(&self.administration_role_arn)
            .execution_role_name(&self.execution_role_name)
            // Operations that others start by hand then queue instead of failing ours.
            .managed_execution(ManagedExecution::builder().active(true).build())
            .send()
            .await
            .map(|_| ());
        self.unstage(staged).await;
        outcome.or_else(|error| match error.as_service_error() {
            // Created meanwhile, by us or not: the next look tells by its tag.
            Some(service) if service.is_name_already_exists_exception() => Ok(()),
            _ => Err(wrap("cloudformation:CreateStackSet", &error)),
        })
    }

    async fn start(
        &self,
        name: &StackSetName,
        id: &str,
        operation: &Operation,
        desired: Option<&Desired>,
        owner: &str,
    ) -> Result<Accepted> {
        let preferences = desired.map(|desired| preferences(&desired.rollout));
        match operation {
            Operation::UpdateStackSet => {
                let desired = desired.ok_or_else(|| {
                    unexpected("cloudformation:UpdateStackSet", "there is no definition to update to")
                })?;
                self.update(id, desired, owner).await.map(|()| Accepted::Now)
            }
            Operation::CreateInstances { accounts, regions, overrides } => self
                .client
                .create_stack_instances()
                .stack_set_name(name.as_str())
                .operation_id(id)
                .set_accounts(Some(texts(accounts)))
                .set_regions(Some(names(regions)))
                .set_parameter_overrides((!overrides.is_empty()).then(|| parameters(overrides)))
                .set_operation_preferences(preferences)
                .send()
                .await
                .map(|_| Accepted::Now)
                .or_else(|error| match error.as_service_error() {
                    Some(service) if service.is_operation_id_already_exists_exception() => Ok(Accepted::Before),
                    _ => Err(wrap("cloudformation:CreateStackInstances", &error)),
                }),
            Operation::UpdateInstances { accounts, regions, overrides } => self
                .client
                .update_stack_instances()
                .stack_set_name(name.as_str())
                .operation_id(id)
                .set_accounts(Some(texts(accounts)))
                .set_regions(Some(names(regions)))
                // An empty list takes all overrides back; no list would keep them.
                .set_parameter_overrides(Some(parameters(overrides)))
                .set_operation_preferences(preferences)
                .send()
                .await
                .map(|_| Accepted::Now)
                .or_else(|error| match error.as_service_error() {
                    Some(service) if service.is_operation_id_already_exists_exception() => Ok(Accepted::Before),
                    _ => Err(wrap("cloudformation:UpdateStackInstances", &error)),
                }),
            Operation::DeleteInstances { accounts, regions, retain } => self
                .client
                .delete_stack_instances()
                .stack_set_name(name.as_str())
                .operation_id(id)
                .set_accounts(Some(texts(accounts)))
                .set_regions(Some(names(regions)))
                .retain_stacks(*retain)
                .set_operation_preferences(preferences.or_else(|| Some(removal_preferences())))
                .send()
                .await
                .map(|_| Accepted::Now)
                .or_else(|error| match error.as_service_error() {
                    Some(service) if service.is_operation_id_already_exists_exception() => Ok(Accepted::Before),
                    _ => Err(wrap("cloudformation:DeleteStackInstances", &error)),
                }),
        }
    }

    async fn delete(&self, name: &StackSetName) -> Result<()> {
        const OPERATION: &str = "cloudformation:DeleteStackSet";
        match self.client.delete_stack_set().stack_set_name(name.as_str()).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = wrap(OPERATION, &error);
                if error.kind == app::ports::PortErrorKind::NotFound { Ok(()) } else { Err(error) }
            }
        }
    }
}

fn read_instance(summary: &StackInstanceSummary) -> Result<(Instance, ObservedInstance)> {
    const OPERATION: &str = "cloudformation:ListStackInstances";
    let account = AccountId::parse(summary.account().unwrap_or_default())
        .map_err(|error| unexpected(OPERATION, error.to_string()))?;
    let region = RegionName::parse(summary.region().unwrap_or_default())
        .map_err(|error| unexpected(OPERATION, error.to_string()))?;
    let detailed = summary.stack_instance_status().and_then(|status| status.detailed_status());
    Ok((
        Instance { account, region },
        ObservedInstance {
            status: InstanceStatus::from_api(summary.status().map_or("", |status| status.as_str())),
            detailed: DetailedStatus::from_api(detailed.map_or("", |status| status.as_str())),
            reason: summary.status_reason().map(ToOwned::to_owned),
            // Not listed by StackSets; the caller knows what it last gave.
            overrides: Parameters::new(),
        },
    ))
}

fn parameters(given: &Parameters) -> Vec<Parameter> {
    given.iter().map(|(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build()).collect()
}

fn capabilities(desired: &Desired) -> Vec<Capability> {
    desired.capabilities.iter().map(|name| Capability::from(name.as_str())).collect()
}

fn tags(desired: &Desired, owner: &str) -> Vec<Tag> {
    let definition = desired.definition_digest();
    [(OWNER_TAG, owner), (DEFINITION_TAG, definition.0.as_str())]
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .into()
}

fn texts(accounts: &BTreeSet<AccountId>) -> Vec<String> {
    accounts.iter().map(ToString::to_string).collect()
}

fn names(regions: &BTreeSet<RegionName>) -> Vec<String> {
    regions.iter().map(ToString::to_string).collect()
}

fn preferences(rollout: &Rollout) -> StackSetOperationPreferences {
    let builder = StackSetOperationPreferences::builder()
        .region_concurrency_type(match rollout.regions {
            RegionConcurrency::Parallel => RegionConcurrencyType::Parallel,
            RegionConcurrency::Sequential => RegionConcurrencyType::Sequential,
        })
        // With the strict mode, concurrency is at most the tolerance plus one, whatever the policy asks for.
        .concurrency_mode(ConcurrencyMode::SoftFailureTolerance)
        .set_region_order(
            (!rollout.region_order.is_empty()).then(|| rollout.region_order.iter().map(ToString::to_string).collect()),
        );
    let builder = match rollout.max_concurrency {
        Amount::Count(count) => builder.max_concurrent_count(clamp(count)),
        Amount::Percentage(percentage) => builder.max_concurrent_percentage(i32::from(percentage)),
    };
    match rollout.failure_tolerance {
        Amount::Count(count) => builder.failure_tolerance_count(clamp(count)),
        Amount::Percentage(percentage) => builder.failure_tolerance_percentage(i32::from(percentage)),
    }
    .build()
}

/// One broken account must not keep the others from being cleaned up.
fn removal_preferences() -> StackSetOperationPreferences {
    StackSetOperationPreferences::builder()
        .region_concurrency_type(RegionConcurrencyType::Parallel)
        .concurrency_mode(ConcurrencyMode::SoftFailureTolerance)
        .max_concurrent_percentage(100)
        .failure_tolerance_percentage(100)
        .build()
}

fn clamp(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
