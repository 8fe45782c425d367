//! CloudFormation StackSets.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{
    AccountFilterType as AwsAccountFilterType, AutoDeployment as AwsAutoDeployment, CallAs as AwsCallAs, Capability,
    ConcurrencyMode as AwsConcurrencyMode, DeploymentTargets, ManagedExecution, Parameter, PermissionModels,
    RegionConcurrencyType, StackInstanceSummary, StackSet, StackSetOperationPreferences, StackSetStatus, Tag,
};
use tracing::warn;

use app::deploy::StackSetRef;
use app::deploy::ports::{Acceptance, StackSets, StartRequest};
use app::ports::{PortError, PortErrorKind, Result};
use domain::policy::{ConcurrencyMode, CountOrPercentage, RegionConcurrency, RolloutSettings};
use domain::rollout::{
    AccountFilterType, AutoDeployment, CallAs, Desired, DetailedStatus, Digest, Instance, InstanceStatus, Observed,
    ObservedInstance, ObservedStackSet, Operation, OperationStatus, OperationTargets, Parameters, PermissionModel,
    Permissions,
};
use framework::ids::{AccountId, RegionName, UnitId};
use syntax::template::Template;

use crate::error::{unexpected, wrap};
use crate::s3::{Staged, TemplateBucket};

/// The tag with the owner: the application that manages the StackSet.
const OWNER_TAG: &str = "backup-compliance:policy";
/// The tag with the digest of the definition that was applied last.
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
    /// Creates the adapter. The roles are those of self-managed StackSets.
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
            // The lifecycle rule of the bucket deletes it later.
            warn!(%error, "the staged template was not deleted");
        }
    }

    async fn update(&self, start: &StartRequest<'_>, desired: &Desired) -> Result<Acceptance> {
        let staged = self.staged(&desired.template).await?;
        let own_roles = desired.permissions == Permissions::SelfManaged;
        let outcome = self
            .client
            .update_stack_set()
            .stack_set_name(desired.name.as_str())
            .call_as(call_as(start.of.call_as))
            .operation_id(start.id)
            .set_template_body(staged.is_none().then(|| desired.template.clone()))
            .set_template_url(staged.as_ref().map(|staged| staged.url.clone()))
            .set_parameters(Some(parameters(&desired.parameters)))
            .set_capabilities(Some(capabilities(desired)))
            .set_tags(Some(tags(desired, start.owner, &start.observed.tags)))
            // An update without a custom role resets it to the default name.
            .set_administration_role_arn(own_roles.then(|| self.administration_role_arn.clone()))
            .set_execution_role_name(own_roles.then(|| self.execution_role_name.clone()))
            .set_auto_deployment(auto_deployment(&desired.permissions))
            .operation_preferences(preferences(&desired.rollout))
            .send()
            .await;
        self.unstage(staged).await;
        outcome
            .map_or_else(|error| repeated(wrap("cloudformation:UpdateStackSet", &error)), |_| Ok(Acceptance::Started))
    }

    /// Enables managed execution and keeps the other settings. An update resets parameters that it omits to the template's defaults,
    /// and capabilities and roles to none.
    async fn manage_execution(&self, start: &StartRequest<'_>) -> Result<Acceptance> {
        const OPERATION: &str = "cloudformation:UpdateStackSet";
        let described = self.stack_set(start.of).await?;
        let found = described.ok_or_else(|| unexpected(OPERATION, "the StackSet was deleted"))?;
        let kept = found.parameters().iter().filter_map(|parameter| parameter.parameter_key());
        let kept: Vec<_> =
            kept.map(|key| Parameter::builder().parameter_key(key).use_previous_value(true).build()).collect();
        self.client
            .update_stack_set()
            .stack_set_name(start.of.name.as_str())
            .call_as(call_as(start.of.call_as))
            .operation_id(start.id)
            .use_previous_template(true)
            .set_parameters(Some(kept))
            .set_capabilities(found.capabilities.clone())
            .set_administration_role_arn(found.administration_role_arn.clone())
            .set_execution_role_name(found.execution_role_name.clone())
            .managed_execution(ManagedExecution::builder().active(true).build())
            .set_operation_preferences(start.desired.map(|desired| preferences(&desired.rollout)))
            .send()
            .await
            .map_or_else(|error| repeated(wrap(OPERATION, &error)), |_| Ok(Acceptance::Started))
    }

    async fn stack_set(&self, of: StackSetRef<'_>) -> Result<Option<StackSet>> {
        let request = self.client.describe_stack_set().stack_set_name(of.name.as_str()).call_as(call_as(of.call_as));
        let found = match request.send().await {
            Ok(found) => found.stack_set,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_stack_set_not_found_exception()) => {
                None
            }
            Err(error) => return Err(wrap("cloudformation:DescribeStackSet", &error)),
        };
        // CloudFormation describes deleted StackSets for a while.
        Ok(found.filter(|found| found.status != Some(StackSetStatus::Deleted)))
    }

    /// Reads the units to whose new accounts StackSets deploys automatically.
    async fn auto_targets(&self, of: StackSetRef<'_>) -> Result<BTreeMap<UnitId, BTreeSet<RegionName>>> {
        const OPERATION: &str = "cloudformation:ListStackSetAutoDeploymentTargets";
        let mut targets: BTreeMap<UnitId, BTreeSet<RegionName>> = BTreeMap::new();
        let mut token = None;
        loop {
            let page = self
                .client
                .list_stack_set_auto_deployment_targets()
                .stack_set_name(of.name.as_str())
                .call_as(call_as(of.call_as))
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| wrap(OPERATION, &error))?;
            for summary in page.summaries() {
                let unit = UnitId::parse(summary.organizational_unit_id().unwrap_or_default())
                    .map_err(|error| unexpected(OPERATION, error.to_string()))?;
                let regions = targets.entry(unit).or_default();
                for region in summary.regions() {
                    let region = RegionName::parse(region).map_err(|error| unexpected(OPERATION, error.to_string()))?;
                    regions.insert(region);
                }
            }
            token = page.next_token;
            if token.as_ref().is_none_or(String::is_empty) {
                return Ok(targets);
            }
        }
    }
}

impl StackSets for CloudFormationStackSets {
    async fn describe(&self, of: StackSetRef<'_>) -> Result<Option<ObservedStackSet>> {
        Ok(self.stack_set(of).await?.map(|found| read_stack_set(&found)))
    }

    async fn observe(&self, of: StackSetRef<'_>, stack_set: ObservedStackSet) -> Result<Observed> {
        const OPERATION: &str = "cloudformation:ListStackInstances";
        let service_managed = stack_set.permissions == PermissionModel::ServiceManaged;
        let mut observed = Observed { stack_set: Some(stack_set), ..Observed::default() };
        let request = self.client.list_stack_instances().stack_set_name(of.name.as_str()).call_as(call_as(of.call_as));
        let mut pages = request.into_paginator().items().send();
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
        if service_managed {
            observed.auto_targets = self.auto_targets(of).await?;
        }
        Ok(observed)
    }

    async fn operation(&self, of: StackSetRef<'_>, id: &str) -> Result<Option<OperationStatus>> {
        let response = self
            .client
            .describe_stack_set_operation()
            .stack_set_name(of.name.as_str())
            .call_as(call_as(of.call_as))
            .operation_id(id)
            .send()
            .await;
        match response {
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
        let own_roles = desired.permissions == Permissions::SelfManaged;
        let outcome = self
            .client
            .create_stack_set()
            .stack_set_name(desired.name.as_str())
            .call_as(call_as(desired.permissions.call_as()))
            .permission_model(match desired.permissions.model() {
                PermissionModel::SelfManaged => PermissionModels::SelfManaged,
                PermissionModel::ServiceManaged => PermissionModels::ServiceManaged,
            })
            .description(format!("AWS Backup Audit Manager framework, managed by the policy {owner}"))
            .set_template_body(staged.is_none().then(|| desired.template.clone()))
            .set_template_url(staged.as_ref().map(|staged| staged.url.clone()))
            .set_parameters(Some(parameters(&desired.parameters)))
            .set_capabilities(Some(capabilities(desired)))
            .set_tags(Some(tags(desired, owner, &BTreeMap::new())))
            .set_administration_role_arn(own_roles.then(|| self.administration_role_arn.clone()))
            .set_execution_role_name(own_roles.then(|| self.execution_role_name.clone()))
            .set_auto_deployment(auto_deployment(&desired.permissions))
            // Operations that users start are then queued and do not fail those of the application.
            .managed_execution(ManagedExecution::builder().active(true).build())
            .send()
            .await
            .map(|_| ());
        self.unstage(staged).await;
        outcome.or_else(|error| match error.as_service_error() {
            // Created in between: the next reconciliation decides by its owner tag.
            Some(service) if service.is_name_already_exists_exception() => Ok(()),
            _ => Err(wrap("cloudformation:CreateStackSet", &error)),
        })
    }

    /// Long because each operation has its own request builder.
    async fn start(&self, start: StartRequest<'_>) -> Result<Acceptance> {
        let StartRequest { of, id, operation, desired, .. } = start;
        let preferences = desired.map(|desired| preferences(&desired.rollout));
        match operation {
            Operation::ManagedExecution => self.manage_execution(&start).await,
            Operation::UpdateStackSet => {
                let desired = desired
                    .ok_or_else(|| unexpected("cloudformation:UpdateStackSet", "the desired definition is missing"))?;
                self.update(&start, desired).await
            }
            Operation::CreateInstances { at, overrides } => self
                .client
                .create_stack_instances()
                .stack_set_name(of.name.as_str())
                .call_as(call_as(of.call_as))
                .operation_id(id)
                .set_accounts(accounts(at))
                .set_deployment_targets(deployment_targets(at))
                .set_regions(Some(texts(&at.regions)))
                .set_parameter_overrides((!overrides.is_empty()).then(|| parameters(overrides)))
                .set_operation_preferences(preferences)
                .send()
                .await
                .map_or_else(
                    |error| repeated(wrap("cloudformation:CreateStackInstances", &error)),
                    |_| Ok(Acceptance::Started),
                ),
            Operation::UpdateInstances { at, overrides } => self
                .client
                .update_stack_instances()
                .stack_set_name(of.name.as_str())
                .call_as(call_as(of.call_as))
                .operation_id(id)
                .set_accounts(accounts(at))
                .set_deployment_targets(deployment_targets(at))
                .set_regions(Some(texts(&at.regions)))
                // An empty list removes all overrides; a missing list keeps them.
                .set_parameter_overrides(Some(parameters(overrides)))
                .set_operation_preferences(preferences)
                .send()
                .await
                .map_or_else(
                    |error| repeated(wrap("cloudformation:UpdateStackInstances", &error)),
                    |_| Ok(Acceptance::Started),
                ),
            Operation::DeleteInstances { at, retain } => self
                .client
                .delete_stack_instances()
                .stack_set_name(of.name.as_str())
                .call_as(call_as(of.call_as))
                .operation_id(id)
                .set_accounts(accounts(at))
                .set_deployment_targets(deployment_targets(at))
                .set_regions(Some(texts(&at.regions)))
                .retain_stacks(*retain)
                .set_operation_preferences(preferences.or_else(|| Some(removal_preferences())))
                .send()
                .await
                .map_or_else(
                    |error| repeated(wrap("cloudformation:DeleteStackInstances", &error)),
                    |_| Ok(Acceptance::Started),
                ),
        }
    }

    async fn stop(&self, of: StackSetRef<'_>, id: &str) -> Result<()> {
        self.client
            .stop_stack_set_operation()
            .stack_set_name(of.name.as_str())
            .call_as(call_as(of.call_as))
            .operation_id(id)
            .send()
            .await
            .map(drop)
            .or_else(|error| match error.as_service_error() {
                // The operation has ended in between, or is stopping.
                Some(service)
                    if service.is_operation_not_found_exception() || service.is_invalid_operation_exception() =>
                {
                    Ok(())
                }
                _ => Err(wrap("cloudformation:StopStackSetOperation", &error)),
            })
    }

    async fn delete(&self, of: StackSetRef<'_>) -> Result<()> {
        let request = self.client.delete_stack_set().stack_set_name(of.name.as_str()).call_as(call_as(of.call_as));
        match request.send().await.map_err(|error| wrap("cloudformation:DeleteStackSet", &error)) {
            Err(error) if error.kind != PortErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// An operation id that is in use was accepted with an earlier call, whose answer was lost.
fn repeated(error: PortError) -> Result<Acceptance> {
    match error.code.as_deref() {
        Some("OperationIdAlreadyExistsException") => Ok(Acceptance::AlreadyStarted),
        _ => Err(error),
    }
}

fn read_stack_set(found: &StackSet) -> ObservedStackSet {
    let mut tags: BTreeMap<String, String> = found
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect();
    let auto = found.auto_deployment();
    ObservedStackSet {
        id: found.stack_set_id.clone().unwrap_or_default(),
        owner: tags.remove(OWNER_TAG),
        definition: tags.remove(DEFINITION_TAG).map(Digest),
        permissions: match found.permission_model() {
            Some(PermissionModels::ServiceManaged) => PermissionModel::ServiceManaged,
            _ => PermissionModel::SelfManaged,
        },
        managed_execution: found.managed_execution().and_then(|managed| managed.active()).unwrap_or(false),
        auto_deployment: auto.map(|auto| AutoDeployment {
            enabled: auto.enabled().unwrap_or(false),
            retain_stacks: auto.retain_stacks_on_account_removal().unwrap_or(false),
        }),
        template: found.template_body.clone(),
        parameters: found
            .parameters()
            .iter()
            .filter_map(|parameter| {
                Some((parameter.parameter_key()?.to_owned(), parameter.parameter_value()?.to_owned()))
            })
            .collect(),
        tags,
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
            // StackSets does not list overrides; the rollout record has those that were applied.
            overrides: None,
            unit: summary.organizational_unit_id().and_then(|unit| UnitId::parse(unit).ok()),
        },
    ))
}

fn parameters(values: &Parameters) -> Vec<Parameter> {
    values.iter().map(|(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build()).collect()
}

fn capabilities(desired: &Desired) -> Vec<Capability> {
    desired.capabilities.iter().map(|name| Capability::from(name.as_str())).collect()
}

/// The tags of the application and the other tags: an update with tags removes those that it omits.
fn tags(desired: &Desired, owner: &str, others: &BTreeMap<String, String>) -> Vec<Tag> {
    let definition = desired.definition_digest();
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let ours = [tag(OWNER_TAG, owner), tag(DEFINITION_TAG, &definition.0)];
    ours.into_iter().chain(others.iter().map(|(key, value)| tag(key, value))).collect()
}

fn call_as(of: CallAs) -> AwsCallAs {
    match of {
        CallAs::Own => AwsCallAs::SelfValue,
        CallAs::DelegatedAdministrator => AwsCallAs::DelegatedAdmin,
    }
}

fn auto_deployment(permissions: &Permissions) -> Option<AwsAutoDeployment> {
    let AutoDeployment { enabled, retain_stacks } = permissions.service_managed()?.auto_deployment;
    // Retention on account removal is valid only with automatic deployment.
    let builder = AwsAutoDeployment::builder().enabled(enabled);
    Some(builder.set_retain_stacks_on_account_removal(enabled.then_some(retain_stacks)).build())
}

/// The accounts; only for self-managed permissions.
fn accounts(at: &OperationTargets) -> Option<Vec<String>> {
    at.through.is_none().then(|| texts(&at.accounts))
}

/// The unit and the filter of its accounts; only for service-managed permissions.
fn deployment_targets(at: &OperationTargets) -> Option<DeploymentTargets> {
    let through = at.through.as_ref()?;
    let builder = DeploymentTargets::builder().organizational_unit_ids(through.unit.as_str());
    Some(
        match &through.filter {
            AccountFilterType::Whole => builder,
            AccountFilterType::Listed => {
                builder.account_filter_type(AwsAccountFilterType::Intersection).set_accounts(Some(texts(&at.accounts)))
            }
            AccountFilterType::Except(excluded) => {
                builder.account_filter_type(AwsAccountFilterType::Difference).set_accounts(Some(texts(excluded)))
            }
        }
        .build(),
    )
}

fn texts<T: ToString>(ids: &BTreeSet<T>) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn preferences(rollout: &RolloutSettings) -> StackSetOperationPreferences {
    let builder = StackSetOperationPreferences::builder()
        .region_concurrency_type(match rollout.regions {
            RegionConcurrency::Parallel => RegionConcurrencyType::Parallel,
            RegionConcurrency::Sequential => RegionConcurrencyType::Sequential,
        })
        .concurrency_mode(match rollout.mode {
            ConcurrencyMode::Soft => AwsConcurrencyMode::SoftFailureTolerance,
            ConcurrencyMode::Strict => AwsConcurrencyMode::StrictFailureTolerance,
        })
        .set_region_order(
            (!rollout.region_order.is_empty()).then(|| rollout.region_order.iter().map(ToString::to_string).collect()),
        );
    let builder = match rollout.max_concurrency {
        CountOrPercentage::Count(count) => builder.max_concurrent_count(clamp(count)),
        CountOrPercentage::Percentage(percentage) => builder.max_concurrent_percentage(i32::from(percentage)),
    };
    match rollout.failure_tolerance {
        CountOrPercentage::Count(count) => builder.failure_tolerance_count(clamp(count)),
        CountOrPercentage::Percentage(percentage) => builder.failure_tolerance_percentage(i32::from(percentage)),
    }
    .build()
}

/// Tolerates all failures, so that one account does not block the removal from the others.
fn removal_preferences() -> StackSetOperationPreferences {
    StackSetOperationPreferences::builder()
        .region_concurrency_type(RegionConcurrencyType::Parallel)
        .concurrency_mode(AwsConcurrencyMode::SoftFailureTolerance)
        .max_concurrent_percentage(100)
        .failure_tolerance_percentage(100)
        .build()
}

fn clamp(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
