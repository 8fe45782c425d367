//! The desired state of one StackSet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use framework::ids::{RegionName, StackSetName, UnitId};

use super::{Instance, Membership, Parameters, SkipReason};
use crate::digest::{Digest, digest_of};
use crate::policy::{AccountFilter, AutoDeployment, CallAs, RolloutSettings};

/// The desired state of a StackSet by the policy at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The name of the StackSet.
    pub name: StackSetName,
    /// The framework template, byte for byte as in the repository.
    pub template: String,
    /// Exactly the capabilities that the template needs.
    pub capabilities: Vec<String>,
    /// Parameters of the StackSet itself.
    pub parameters: Parameters,
    /// The permission model, with the organizational units of service-managed permissions.
    pub permissions: Permissions,
    /// Adopt an existing StackSet of this name that no policy owns.
    pub adopt: bool,
    /// Every desired instance; with service-managed permissions, empty until [`Self::resolve_organizational_units`].
    pub instances: BTreeMap<Instance, DesiredInstance>,
    /// Instances in the organizational units to which StackSets does not deploy.
    pub skipped: BTreeMap<Instance, SkipReason>,
    /// Preferences of its operations.
    pub rollout: RolloutSettings,
}

/// The desired state of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredInstance {
    /// Parameter overrides, shared by all instances of a target.
    pub overrides: Arc<Parameters>,
    /// The organizational unit to deploy through; `None` with self-managed permissions.
    pub unit: Option<UnitId>,
}

impl From<Parameters> for DesiredInstance {
    fn from(overrides: Parameters) -> Self {
        Self { overrides: Arc::new(overrides), unit: None }
    }
}

/// The permission model of a StackSet (`PermissionModel` of the CloudFormation API).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "model")]
pub enum Permissions {
    /// Roles that a user created in every target account; targets are accounts.
    #[default]
    SelfManaged,
    /// Roles that AWS creates; targets are organizational units.
    ServiceManaged(ServiceManaged),
}

impl Permissions {
    /// The permission model alone.
    pub fn model(&self) -> PermissionModel {
        match self {
            Self::SelfManaged => PermissionModel::SelfManaged,
            Self::ServiceManaged(_) => PermissionModel::ServiceManaged,
        }
    }

    /// The caller.
    pub fn call_as(&self) -> CallAs {
        self.service_managed().map_or(CallAs::Own, |service| service.call_as)
    }

    /// The settings of service-managed permissions.
    pub fn service_managed(&self) -> Option<&ServiceManaged> {
        if let Self::ServiceManaged(service) = self { Some(service) } else { None }
    }
}

/// `PermissionModel` of the CloudFormation API, which cannot change while a StackSet has instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PermissionModel {
    /// `SELF_MANAGED`, the default of the API.
    #[default]
    SelfManaged,
    /// `SERVICE_MANAGED`.
    ServiceManaged,
}

/// Settings of service-managed permissions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceManaged {
    /// The caller.
    pub call_as: CallAs,
    /// Deployment to accounts that join the organizational units.
    pub auto_deployment: AutoDeployment,
    /// The targets; an account in several belongs to the first.
    pub targets: Vec<OrganizationalUnitTarget>,
}

/// A target with organizational units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationalUnitTarget {
    /// The organizational units; includes child units.
    pub units: BTreeSet<UnitId>,
    /// Selects some of their accounts.
    pub accounts: AccountFilter,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
    /// Parameter overrides of these instances.
    pub overrides: Parameters,
}

impl Desired {
    /// Digest of template, parameters, capabilities and auto-deployment, kept in a tag: CloudFormation may rewrite templates.
    pub fn definition_digest(&self) -> Digest {
        let mut definition = serde_json::json!({
            "template": self.template,
            "parameters": self.parameters,
            "capabilities": self.capabilities,
        });
        if let (Some(service), Some(fields)) = (self.permissions.service_managed(), definition.as_object_mut()) {
            fields.insert("autoDeployment".into(), serde_json::json!(service.auto_deployment));
        }
        digest_of(&definition)
    }

    /// Digest of the definition, the targets with their overrides, and the rollout settings: equal digests mean that the policy
    /// has not changed. The accounts of organizational units are not included.
    pub fn digest(&self) -> Digest {
        let targets = match &self.permissions {
            Permissions::SelfManaged => {
                let instances = self.instances.iter();
                let instances = instances.map(|(instance, goal)| (instance.to_string(), &*goal.overrides));
                serde_json::json!(instances.collect::<BTreeMap<_, _>>())
            }
            Permissions::ServiceManaged(service) => serde_json::json!(service),
        };
        digest_of(&serde_json::json!({
            "definition": self.definition_digest().0,
            "targets": targets,
            "rollout": self.rollout,
        }))
    }

    /// Resolves the organizational units into instances. An account in several targets belongs, in each Region, to the first.
    /// Changes nothing with self-managed permissions.
    pub fn resolve_organizational_units(&mut self, membership: &Membership) {
        let Permissions::ServiceManaged(service) = &self.permissions else { return };
        self.instances.clear();
        self.skipped.clear();
        for target in &service.targets {
            let overrides = Arc::new(target.overrides.clone());
            for unit in &target.units {
                let accounts = membership.accounts(unit).filter(|account| target.accounts.selects(account));
                for account in accounts {
                    let skip = membership.skip_reason(account);
                    for region in &target.regions {
                        let instance = Instance { account: account.clone(), region: region.clone() };
                        let goal = || DesiredInstance { overrides: overrides.clone(), unit: Some(unit.clone()) };
                        match skip {
                            Some(reason) => _ = self.skipped.insert(instance, reason),
                            None => _ = self.instances.entry(instance).or_insert_with(goal),
                        }
                    }
                }
            }
        }
    }

    /// The targeted organizational units, which [`Self::resolve_organizational_units`] resolves.
    pub fn organizational_units(&self) -> BTreeSet<UnitId> {
        let targets = self.permissions.service_managed().into_iter().flat_map(|service| &service.targets);
        targets.flat_map(|target| target.units.iter().cloned()).collect()
    }
}
