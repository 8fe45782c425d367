//! What the policy wants of one StackSet.

use super::{Instance, Membership, Parameters};
use crate::ids::{AccountId, RegionName, StackSetName, UnitId};
use crate::policy::Rollout;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A StackSet as the policy at one commit wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The StackSet's name.
    pub name: StackSetName,
    /// The framework template, byte for byte as it is in the repository.
    pub template: String,
    /// The capabilities that the template needs and no others.
    pub capabilities: Vec<String>,
    /// Parameters of the StackSet itself.
    pub parameters: Parameters,
    /// Who creates the roles in the target accounts, and so how targets are named.
    pub permissions: Permissions,
    /// Take over a StackSet of this name that nobody of ours manages.
    pub adopt: bool,
    /// Every wanted instance. With service-managed permissions there are none before [`Self::place`].
    pub instances: BTreeMap<Instance, Wanted>,
    /// Instances that the policy's organizational units contain and that StackSets do not deploy to.
    pub skipped: BTreeMap<Instance, SkipReason>,
    /// How operations proceed.
    pub rollout: Rollout,
}

/// An instance that the policy wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Parameter overrides, shared by all instances of a target.
    pub overrides: Arc<Parameters>,
    /// The organizational unit through which StackSets reach it; `None` with self-managed permissions.
    pub unit: Option<UnitId>,
}

impl From<Parameters> for Wanted {
    fn from(overrides: Parameters) -> Self {
        Self { overrides: Arc::new(overrides), unit: None }
    }
}

/// Why StackSets do not deploy to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SkipReason {
    /// The account is suspended or closed.
    Suspended,
    /// It is the management account, and permissions are service-managed.
    ManagementAccount,
}

impl SkipReason {
    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Suspended => "the account is suspended",
            Self::ManagementAccount => {
                "StackSets with service-managed permissions never deploy to the management account"
            }
        }
    }
}

/// The permission model of a StackSet (`PermissionModel` of the CloudFormation API).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "model")]
pub enum Permissions {
    /// Roles that somebody made in every target account; targets are accounts.
    #[default]
    SelfManaged,
    /// Roles that AWS makes; targets are organizational units.
    ServiceManaged(ServiceManaged),
}

impl Permissions {
    /// Which of the two it is.
    #[must_use]
    pub fn model(&self) -> PermissionModel {
        match self {
            Self::SelfManaged => PermissionModel::SelfManaged,
            Self::ServiceManaged(_) => PermissionModel::ServiceManaged,
        }
    }

    /// For whom calls are made.
    #[must_use]
    pub fn call_as(&self) -> CallAs {
        match self {
            Self::SelfManaged => CallAs::Own,
            Self::ServiceManaged(service) => service.call_as,
        }
    }

    /// What is particular to service-managed permissions.
    #[must_use]
    pub fn service_managed(&self) -> Option<&ServiceManaged> {
        match self {
            Self::SelfManaged => None,
            Self::ServiceManaged(service) => Some(service),
        }
    }
}

/// `PermissionModel` of the CloudFormation API; it cannot be changed while a StackSet has instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PermissionModel {
    /// `SELF_MANAGED`, also where AWS says nothing.
    #[default]
    SelfManaged,
    /// `SERVICE_MANAGED`.
    ServiceManaged,
}

/// What is particular to service-managed permissions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceManaged {
    /// For whom calls are made.
    pub call_as: CallAs,
    /// What happens to accounts that join or leave the units.
    pub auto_deployment: AutoDeployment,
    /// The units and what applies there; an account of several belongs to the first.
    pub targets: Vec<UnitTarget>,
}

/// Organizational units and Regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitTarget {
    /// The units; their child units belong to them.
    pub units: BTreeSet<UnitId>,
    /// Which of their accounts.
    pub accounts: AccountFilter,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
    /// Parameter overrides of these instances.
    pub overrides: Parameters,
}

/// Which accounts of organizational units (`AccountFilterType` of the CloudFormation API).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AccountFilter {
    /// All of them (`NONE`).
    #[default]
    All,
    /// Those of the units that are in this list (`INTERSECTION`).
    Only(BTreeSet<AccountId>),
    /// Those of the units that are not in this list (`DIFFERENCE`).
    Except(BTreeSet<AccountId>),
}

impl AccountFilter {
    /// Whether an account of the units is meant.
    #[must_use]
    pub fn admits(&self, account: &AccountId) -> bool {
        match self {
            Self::All => true,
            Self::Only(listed) => listed.contains(account),
            Self::Except(listed) => !listed.contains(account),
        }
    }
}

/// For whom calls are made (`CallAs` of the CloudFormation API); has to be said on every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallAs {
    /// `SELF`: this account, or the management account with service-managed permissions.
    #[default]
    Own,
    /// `DELEGATED_ADMIN`: an administrator that the organisation has delegated to; the StackSet is in the management account.
    DelegatedAdministrator,
}

/// What happens to accounts that join or leave a targeted unit (`AutoDeployment` of the CloudFormation API).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoDeployment {
    /// StackSets deploys to accounts that join, without overrides, and removes from accounts that leave.
    pub enabled: bool,
    /// Stacks of accounts that leave stay; only with `enabled`.
    pub retain_stacks: bool,
}

impl Desired {
    /// Digest of what the StackSet itself carries: template, parameters, capabilities, auto-deployment. Kept as a tag of the
    /// StackSet, so that a change is seen without comparing templates that CloudFormation may have rewritten.
    #[must_use]
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

    /// Digest of everything that this rollout depends on: the definition, the targets with their overrides as the policy names
    /// them, and the rollout settings. Equal digests mean that the policy has not changed; what an organisation makes of its units
    /// is no part of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let targets = match &self.permissions {
            Permissions::SelfManaged => {
                let instances = self.instances.iter();
                let instances: BTreeMap<String, &Parameters> =
                    instances.map(|(instance, wanted)| (instance.to_string(), &*wanted.overrides)).collect();
                serde_json::json!(instances)
            }
            Permissions::ServiceManaged(service) => serde_json::json!(service),
        };
        digest_of(&serde_json::json!({
            "definition": self.definition_digest().0,
            "targets": targets,
            "rollout": self.rollout,
        }))
    }

    /// Finds the instances that the policy's organizational units come to. An account that several targets name belongs, in each
    /// Region, to the first of them. Changes nothing with self-managed permissions.
    pub fn place(&mut self, membership: &Membership) {
        let Permissions::ServiceManaged(service) = &self.permissions else { return };
        self.instances.clear();
        self.skipped.clear();
        for target in &service.targets {
            let overrides = Arc::new(target.overrides.clone());
            for unit in &target.units {
                let accounts = membership.accounts(unit).filter(|account| target.accounts.admits(account));
                for account in accounts {
                    let skip = membership.skips(account);
                    for region in &target.regions {
                        let instance = Instance { account: account.clone(), region: region.clone() };
                        match skip {
                            Some(reason) => drop(self.skipped.insert(instance, reason)),
                            None => {
                                let wanted = || Wanted { overrides: overrides.clone(), unit: Some(unit.clone()) };
                                self.instances.entry(instance).or_insert_with(wanted);
                            }
                        }
                    }
                }
            }
        }
    }

    /// The units that the policy names; what [`Self::place`] has to know of.
    #[must_use]
    pub fn units(&self) -> BTreeSet<UnitId> {
        let targets = self.permissions.service_managed().into_iter().flat_map(|service| &service.targets);
        targets.flat_map(|target| target.units.iter().cloned()).collect()
    }
}

/// 128 bits of SHA-256 over canonical JSON, as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a JSON value. Objects are sorted by key (serde_json without `preserve_order`), so equal values have equal
/// digests.
#[must_use]
pub fn digest_of(value: &serde_json::Value) -> Digest {
    let hash = Sha256::digest(value.to_string().as_bytes());
    Digest(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
