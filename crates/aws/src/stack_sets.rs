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
use app::deploy::ports::{Acceptance, DeployedStackSets, StackSets, StartRequest};
use app::ports::{PortErrorKind, Result};
use domain::policy::{ConcurrencyMode, CountOrPercentage, RegionConcurrency, RolloutSettings};
use domain::rollout::{
    AccountFilterType, AutoDeployment, CallAs, Desired, DetailedStatus, Digest, Instance, InstanceStatus, Observed,
    ObservedInstance, ObservedStackSet, Operation, OperationStatus, OperationTargets, Parameters, PermissionModel,
    Permissions,
};
use framework::ids::{AccountId, RegionName, UnitId};
use syntax::template::Template;

use crate::clients::Clients;
use crate::error::{has_code, invalid, optional, unexpected, wrap};
use crate::pages::sdk_pages;
use crate::s3::{Staged, TemplateBucket};

const CREATE: &str = "cloudformation:CreateStackSet";
const UPDATE: &str = "cloudformation:UpdateStackSet";
const INSTANCES: &str = "cloudformation:ListStackInstances";
const NO_STACK_SET: &str = "StackSetNotFoundException";
const NO_OPERATION: &str = "OperationNotFoundException";
const OWNER_TAG: &str = "backup-compliance:policy";
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
    pub fn new(
        clients: &Clients,
        bucket: TemplateBucket,
        administration_role_arn: &str,
        execution_role_name: &str,
    ) -> Self {
        Self {
            client: Client::new(&clients.config),
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

    /// The administration role and the execution role, for self-managed permissions only.
    fn own_roles(&self, desired: &Desired) -> (Option<String>, Option<String>) {
        let roles = (self.administration_role_arn.clone(), self.execution_role_name.clone());
        (desired.permissions == Permissions::SelfManaged).then_some(roles).unzip()
    }

    async fn update(&self, start: &StartRequest<'_>, desired: &Desired) -> Result<Acceptance> {
        let staged = self.staged(&desired.template).await?;
        let (administration_role_arn, execution_role_name) = self.own_roles(desired);
        let request = self.client.update_stack_set().stack_set_name(desired.name.as_str());
        let outcome = request
            .call_as(call_as(start.of.call_as))
            .operation_id(start.id)
            .set_template_body(staged.is_none().then(|| desired.template.clone()))
            .set_template_url(staged.as_ref().map(|staged| staged.url.clone()))
            .set_parameters(Some(parameters(&desired.parameters)))
            .set_capabilities(Some(capabilities(desired)))
            .set_tags(Some(tags(desired, start.owner, &start.observed.tags)))
            // An update without a custom role resets it to the default name.
            .set_administration_role_arn(administration_role_arn)
            .set_execution_role_name(execution_role_name)
            .set_auto_deployment(auto_deployment(&desired.permissions))
            .operation_preferences(preferences(&desired.rollout))
            .send()
            .await;
        self.unstage(staged).await;
        accepted(outcome.map_err(wrap(UPDATE)))
    }

    /// Enables managed execution and keeps the other settings. An update resets parameters that it omits to the template's defaults,
    /// and capabilities and roles to none.
    async fn manage_execution(&self, start: &StartRequest<'_>) -> Result<Acceptance> {
        let found = self.stack_set(start.of).await?.ok_or_else(|| unexpected(UPDATE, "the StackSet was deleted"))?;
        let kept = found.parameters().iter().filter_map(|parameter| parameter.parameter_key());
        let kept = kept.map(|key| Parameter::builder().parameter_key(key).use_previous_value(true).build());
        let request = self.client.update_stack_set().stack_set_name(start.of.name.as_str());
        let outcome = request
            .call_as(call_as(start.of.call_as))
            .operation_id(start.id)
            .use_previous_template(true)
            .set_parameters(Some(kept.collect()))
            .set_capabilities(found.capabilities.clone())
            .set_administration_role_arn(found.administration_role_arn.clone())
            .set_execution_role_name(found.execution_role_name.clone())
            .managed_execution(ManagedExecution::builder().active(true).build())
            .set_operation_preferences(start.desired.map(|desired| preferences(&desired.rollout)))
            .send()
            .await;
        accepted(outcome.map_err(wrap(UPDATE)))
    }

    async fn stack_set(&self, of: StackSetRef<'_>) -> Result<Option<StackSet>> {
        let request = self.client.describe_stack_set().stack_set_name(of.name.as_str()).call_as(call_as(of.call_as));
        let found = request.send().await.map_err(wrap("cloudformation:DescribeStackSet"));
        let found = optional(found, |error| has_code(error, &[NO_STACK_SET]))?.and_then(|found| found.stack_set);
        // CloudFormation describes deleted StackSets for a while.
        Ok(found.filter(|found| found.status != Some(StackSetStatus::Deleted)))
    }

    /// Reads the units to whose new accounts StackSets deploys automatically.
    async fn auto_targets(&self, of: StackSetRef<'_>) -> Result<BTreeMap<UnitId, BTreeSet<RegionName>>> {
        const OPERATION: &str = "cloudformation:ListStackSetAutoDeploymentTargets";
        let request = self.client.list_stack_set_auto_deployment_targets().stack_set_name(of.name.as_str());
        let request = request.call_as(call_as(of.call_as));
        let mut targets: BTreeMap<UnitId, BTreeSet<RegionName>> = BTreeMap::new();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages(OPERATION, ask, |page| {
            for summary in page.summaries() {
                let unit = UnitId::parse(summary.organizational_unit_id().unwrap_or_default());
                let regions = targets.entry(unit.map_err(invalid(OPERATION))?).or_default();
                for region in summary.regions() {
                    regions.insert(RegionName::parse(region).map_err(invalid(OPERATION))?);
                }
            }
            Ok(page.next_token)
        })
        .await?;
        Ok(targets)
    }
}

impl DeployedStackSets for CloudFormationStackSets {
    async fn describe(&self, of: StackSetRef<'_>) -> Result<Option<ObservedStackSet>> {
        Ok(self.stack_set(of).await?.map(read_stack_set))
    }

    async fn observe(&self, of: StackSetRef<'_>, stack_set: ObservedStackSet) -> Result<Observed> {
        let service_managed = stack_set.permissions == PermissionModel::ServiceManaged;
        let mut observed = Observed { stack_set: Some(stack_set), ..Observed::default() };
        let request = self.client.list_stack_instances().stack_set_name(of.name.as_str()).call_as(call_as(of.call_as));
        let mut pages = request.into_paginator().items().send();
        while let Some(item) = pages.next().await {
            let item = optional(item.map_err(wrap(INSTANCES)), |error| has_code(error, &[NO_STACK_SET]))?;
            let Some(summary) = item else { return Ok(Observed::default()) };
            let (instance, found) = read_instance(&summary)?;
            observed.instances.insert(instance, found);
        }
        if service_managed {
            observed.auto_targets = self.auto_targets(of).await?;
        }
        Ok(observed)
    }

    async fn operation(&self, of: StackSetRef<'_>, id: &str) -> Result<Option<OperationStatus>> {
        let request = self.client.describe_stack_set_operation().stack_set_name(of.name.as_str());
        let found = request.call_as(call_as(of.call_as)).operation_id(id).send().await;
        let found = found.map_err(wrap("cloudformation:DescribeStackSetOperation"));
        let found = optional(found, |error| has_code(error, &[NO_OPERATION, NO_STACK_SET]))?;
        let status = found.and_then(|found| found.stack_set_operation?.status);
        Ok(status.map(|status| OperationStatus::from_api(status.as_str())))
    }
}

impl StackSets for CloudFormationStackSets {
    async fn create(&self, desired: &Desired, owner: &str) -> Result<()> {
        let staged = self.staged(&desired.template).await?;
        let (administration_role_arn, execution_role_name) = self.own_roles(desired);
        let request = self.client.create_stack_set().stack_set_name(desired.name.as_str());
        let outcome = request
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
            .set_administration_role_arn(administration_role_arn)
            .set_execution_role_name(execution_role_name)
            .set_auto_deployment(auto_deployment(&desired.permissions))
            // Operations that users start are then queued and do not fail those of the application.
            .managed_execution(ManagedExecution::builder().active(true).build())
            .send()
            .await;
        self.unstage(staged).await;
        // Created in between: the next reconciliation decides by its owner tag.
        optional(outcome.map_err(wrap(CREATE)), |error| has_code(error, &["NameAlreadyExistsException"])).map(drop)
    }

    async fn start(&self, start: StartRequest<'_>) -> Result<Acceptance> {
        let StartRequest { of, id, operation, desired, .. } = start;
        let (name, call_as) = (of.name.as_str(), call_as(of.call_as));
        let preferences = desired.map(|desired| preferences(&desired.rollout));
        match operation {
            Operation::ManagedExecution => self.manage_execution(&start).await,
            Operation::UpdateStackSet => {
                let missing = || unexpected(UPDATE, "the desired definition is missing");
                self.update(&start, desired.ok_or_else(missing)?).await
            }
            Operation::CreateInstances { at, overrides } => {
                let request = self.client.create_stack_instances().stack_set_name(name).call_as(call_as);
                let request = request.set_accounts(accounts(at)).set_deployment_targets(deployment_targets(at));
                let request = request
                    .set_regions(Some(texts(&at.regions)))
                    .set_parameter_overrides((!overrides.is_empty()).then(|| parameters(overrides)))
                    .set_operation_preferences(preferences);
                let outcome = request.operation_id(id).send().await;
                accepted(outcome.map_err(wrap("cloudformation:CreateStackInstances")))
            }
            Operation::UpdateInstances { at, overrides } => {
                let request = self.client.update_stack_instances().stack_set_name(name).call_as(call_as);
                let request = request.set_accounts(accounts(at)).set_deployment_targets(deployment_targets(at));
                let request = request
                    .set_regions(Some(texts(&at.regions)))
                    // An empty list removes all overrides; a missing list keeps them.
                    .set_parameter_overrides(Some(parameters(overrides)))
                    .set_operation_preferences(preferences);
                let outcome = request.operation_id(id).send().await;
                accepted(outcome.map_err(wrap("cloudformation:UpdateStackInstances")))
            }
            Operation::DeleteInstances { at, retain } => {
                let request = self.client.delete_stack_instances().stack_set_name(name).call_as(call_as);
                let request = request.set_accounts(accounts(at)).set_deployment_targets(deployment_targets(at));
                let request =
                    request.set_regions(Some(texts(&at.regions))).retain_stacks(*retain).set_operation_preferences(
                        preferences.or_else(|| Some(self::preferences(&RolloutSettings::for_removal()))),
                    );
                let outcome = request.operation_id(id).send().await;
                accepted(outcome.map_err(wrap("cloudformation:DeleteStackInstances")))
            }
        }
    }

    async fn stop(&self, of: StackSetRef<'_>, id: &str) -> Result<()> {
        let request = self.client.stop_stack_set_operation().stack_set_name(of.name.as_str());
        let outcome = request.call_as(call_as(of.call_as)).operation_id(id).send().await;
        let outcome = outcome.map_err(wrap("cloudformation:StopStackSetOperation"));
        // The operation has ended in between, or is stopping.
        optional(outcome, |error| has_code(error, &[NO_OPERATION, "InvalidOperationException"])).map(drop)
    }

    async fn delete(&self, of: StackSetRef<'_>) -> Result<()> {
        let request = self.client.delete_stack_set().stack_set_name(of.name.as_str()).call_as(call_as(of.call_as));
        let outcome = request.send().await.map_err(wrap("cloudformation:DeleteStackSet"));
        optional(outcome, |error| error.kind == PortErrorKind::NotFound).map(drop)
    }
}

/// An operation id that is in use was accepted with an earlier call, whose answer was lost.
fn accepted<T>(outcome: Result<T>) -> Result<Acceptance> {
    let started = optional(outcome, |error| has_code(error, &["OperationIdAlreadyExistsException"]))?;
    Ok(started.map_or(Acceptance::AlreadyStarted, |_| Acceptance::Started))
}

fn read_stack_set(found: StackSet) -> ObservedStackSet {
    let tags = found.tags.unwrap_or_default().into_iter();
    let mut tags: BTreeMap<String, String> =
        tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect();
    let parameters = found.parameters.unwrap_or_default().into_iter();
    ObservedStackSet {
        id: found.stack_set_id.unwrap_or_default(),
        owner: tags.remove(OWNER_TAG),
        definition: tags.remove(DEFINITION_TAG).map(Digest),
        permissions: match found.permission_model {
            Some(PermissionModels::ServiceManaged) => PermissionModel::ServiceManaged,
            _ => PermissionModel::SelfManaged,
        },
        managed_execution: found.managed_execution.and_then(|managed| managed.active).unwrap_or(false),
        auto_deployment: found.auto_deployment.map(|auto| AutoDeployment {
            enabled: auto.enabled.unwrap_or(false),
            retain_stacks: auto.retain_stacks_on_account_removal.unwrap_or(false),
        }),
        template: found.template_body,
        parameters: parameters.filter_map(|of| Some((of.parameter_key?, of.parameter_value?))).collect(),
        tags,
    }
}

fn read_instance(summary: &StackInstanceSummary) -> Result<(Instance, ObservedInstance)> {
    let account = AccountId::parse(summary.account().unwrap_or_default()).map_err(invalid(INSTANCES))?;
    let region = RegionName::parse(summary.region().unwrap_or_default()).map_err(invalid(INSTANCES))?;
    let detailed = summary.stack_instance_status().and_then(|status| status.detailed_status());
    let found = ObservedInstance {
        status: InstanceStatus::from_api(summary.status().map_or("", |status| status.as_str())),
        detailed: DetailedStatus::from_api(detailed.map_or("", |status| status.as_str())),
        reason: summary.status_reason().map(ToOwned::to_owned),
        // StackSets does not list overrides; the rollout record has those that were applied.
        overrides: None,
        unit: summary.organizational_unit_id().and_then(|unit| UnitId::parse(unit).ok()),
    };
    Ok((Instance { account, region }, found))
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
    let (filter, accounts) = match &through.filter {
        AccountFilterType::Whole => (None, None),
        AccountFilterType::Listed => (Some(AwsAccountFilterType::Intersection), Some(texts(&at.accounts))),
        AccountFilterType::Except(excluded) => (Some(AwsAccountFilterType::Difference), Some(texts(excluded))),
    };
    let targets = DeploymentTargets::builder().organizational_unit_ids(through.unit.as_str());
    Some(targets.set_account_filter_type(filter).set_accounts(accounts).build())
}

fn texts<T: ToString>(ids: &BTreeSet<T>) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn preferences(rollout: &RolloutSettings) -> StackSetOperationPreferences {
    let order = rollout.region_order.iter().map(ToString::to_string).collect();
    let builder = StackSetOperationPreferences::builder()
        .region_concurrency_type(match rollout.regions {
            RegionConcurrency::Parallel => RegionConcurrencyType::Parallel,
            RegionConcurrency::Sequential => RegionConcurrencyType::Sequential,
        })
        .concurrency_mode(match rollout.mode {
            ConcurrencyMode::Soft => AwsConcurrencyMode::SoftFailureTolerance,
            ConcurrencyMode::Strict => AwsConcurrencyMode::StrictFailureTolerance,
        })
        .set_region_order(Some(order).filter(|order: &Vec<String>| !order.is_empty()));
    let builder = match rollout.max_concurrency {
        CountOrPercentage::Count(count) => builder.max_concurrent_count(clamp(count)),
        CountOrPercentage::Percentage(percentage) => builder.max_concurrent_percentage(i32::from(percentage)),
    };
    let builder = match rollout.failure_tolerance {
        CountOrPercentage::Count(count) => builder.failure_tolerance_count(clamp(count)),
        CountOrPercentage::Percentage(percentage) => builder.failure_tolerance_percentage(i32::from(percentage)),
    };
    builder.build()
}

fn clamp(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
