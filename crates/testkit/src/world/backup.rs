//! AWS Backup in member accounts, and the data that an aggregator has recorded of it.

use std::collections::{BTreeMap, BTreeSet};

use app::inventory::{
    AggregatorSource, InventoryScope, ListedItem, ListedVault, MemberBackup, RecordedInventory, Recording, Rows,
};
use app::ports::{PortError, PortErrorKind, Result};
use evaluation::inventory::document::{
    Plan, RecoveryPoint, Resource, Rule, Selection, SelectionPart, Vault, VaultKind, VaultPart,
};
use framework::ids::{AccountId, Location, RegionName};

use super::{World, WorldState, error};

/// The state of AWS Backup in the organization.
#[derive(Debug, Clone, Default)]
pub struct FakeBackup {
    /// Accounts and Regions.
    pub locations: BTreeMap<(AccountId, RegionName), FakeLocation>,
    /// Accounts without the role.
    pub closed: BTreeSet<AccountId>,
    /// Regions that are not enabled in an account.
    pub off: BTreeSet<(AccountId, RegionName)>,
    /// Whether the aggregator lists its sources; if not, locations are known by their data.
    pub names_sources: bool,
}

/// The state of an account and Region.
#[derive(Debug, Clone)]
pub struct FakeLocation {
    /// The opt-in services.
    pub opt_in: BTreeMap<String, bool>,
    /// The types that AWS Config records.
    pub recording: Recording,
    /// The reason why the aggregator has no current data.
    pub stale: Option<String>,
    /// Resources of all types, with restore times and key managers.
    pub resources: Vec<Resource>,
    /// Plans with their selections.
    pub plans: Vec<Plan>,
    /// Vaults with policies and locks.
    pub vaults: Vec<Vault>,
    /// Whether the list of vaults contains locks.
    pub lists_locks: bool,
    /// Recovery points, with tags.
    pub recovery_points: Vec<RecoveryPoint>,
}

impl Default for FakeLocation {
    fn default() -> Self {
        Self {
            opt_in: BTreeMap::new(),
            recording: Recording::Everything,
            stale: None,
            resources: Vec::new(),
            plans: Vec::new(),
            vaults: Vec::new(),
            lists_locks: true,
            recovery_points: Vec::new(),
        }
    }
}

impl WorldState {
    fn recorded<'s>(&'s self, kind: &'s str, of: &'s InventoryScope) -> impl Iterator<Item = &'s FakeLocation> {
        let locations = self.backup.locations.iter();
        locations
            .filter(|((account, region), _)| of.includes(account, region))
            .map(|(_, location)| location)
            .filter(|location| location.stale.is_none() && location.recording.has(kind))
    }

    fn location(&self, operation: &'static str, at: &Location) -> Result<&FakeLocation> {
        let location = (at.account.clone(), at.region.clone());
        if self.backup.off.contains(&location) {
            let code = Some("UnrecognizedClientException".to_owned());
            return Err(PortError { code, ..error(operation, PortErrorKind::Denied) });
        }
        self.backup.locations.get(&location).ok_or_else(|| error(operation, PortErrorKind::Denied))
    }
}

fn none(operation: &'static str) -> PortError {
    PortError { code: Some("ResourceNotFoundException".to_owned()), ..error(operation, PortErrorKind::NotFound) }
}

const SELECT: &str = "config:SelectAggregateResourceConfig";

/// Lists of resources have neither restore times nor key managers.
fn listed(resource: &Resource) -> Resource {
    Resource { latest_restore_minutes: None, aws_managed_key: None, ..resource.clone() }
}

fn rows<T>(items: impl Iterator<Item = T>) -> Result<Rows<T>> {
    Ok(Rows { items: items.collect(), invalid: Vec::new() })
}

impl RecordedInventory for World {
    async fn sources(&self) -> Result<Vec<AggregatorSource>> {
        self.remote("config:DescribeConfigurationAggregatorSourcesStatus", |state| {
            let named = state.backup.names_sources;
            let locations = state.backup.locations.iter().filter(|_| named);
            Ok(locations
                .map(|((account, region), location)| AggregatorSource {
                    account: account.clone(),
                    region: region.clone(),
                    stale: location.stale.clone(),
                })
                .collect())
        })
        .await
    }

    async fn resources(&self, kind: &'static str, of: &InventoryScope) -> Result<Rows<Resource>> {
        self.remote(SELECT, |state| {
            let all = state.recorded(kind, of).flat_map(|location| &location.resources);
            rows(all.filter(|resource| resource.kind.as_str() == kind).map(listed))
        })
        .await
    }

    async fn recovery_points(&self, of: &InventoryScope) -> Result<Rows<RecoveryPoint>> {
        self.remote(SELECT, |state| {
            let points =
                state.recorded("AWS::Backup::RecoveryPoint", of).flat_map(|location| &location.recovery_points);
            rows(points.cloned())
        })
        .await
    }

    async fn plans(&self, of: &InventoryScope) -> Result<Rows<Plan>> {
        self.remote(SELECT, |state| {
            let plans = state.recorded("AWS::Backup::BackupPlan", of).flat_map(|location| &location.plans);
            rows(plans.cloned().map(|mut plan| {
                for selection in &mut plan.selections {
                    selection.list_of_tags.clear();
                    selection.conditions = evaluation::inventory::document::Conditions::default();
                    selection.unread = vec![SelectionPart::ListOfTags, SelectionPart::Conditions];
                }
                plan
            }))
        })
        .await
    }

    async fn vaults(&self, of: &InventoryScope) -> Result<Rows<Vault>> {
        self.remote(SELECT, |state| {
            let vaults = state.recorded("AWS::Backup::BackupVault", of).flat_map(|location| &location.vaults);
            let ordinary = vaults.filter(|vault| vault.kind == VaultKind::Ordinary);
            let unread = || vec![VaultPart::Policy, VaultPart::Lock];
            rows(ordinary.cloned().map(|vault| Vault { policy: None, lock: None, unread: unread(), ..vault }))
        })
        .await
    }
}

fn plan_arn(at: &Location, id: &str) -> String {
    format!("arn:aws:backup:{}:{}:backup-plan:{id}", at.region, at.account)
}

fn vault_arn(at: &Location, name: &str) -> String {
    format!("arn:aws:backup:{}:{}:backup-vault:{name}", at.region, at.account)
}

fn plan<'s>(state: &'s WorldState, operation: &'static str, at: &Location, id: &str) -> Result<&'s Plan> {
    state.location(operation, at)?.plans.iter().find(|plan| plan.id == id).ok_or_else(|| none(operation))
}

fn vault<'s>(state: &'s WorldState, operation: &'static str, at: &Location, name: &str) -> Result<&'s Vault> {
    state.location(operation, at)?.vaults.iter().find(|vault| vault.name == name).ok_or_else(|| none(operation))
}

impl MemberBackup for World {
    async fn enter(&self, account: &AccountId) -> Result<()> {
        const OPERATION: &str = "sts:AssumeRole";
        self.remote(OPERATION, |state| match state.backup.closed.contains(account) {
            true => Err(error(OPERATION, PortErrorKind::Denied)),
            false => Ok(()),
        })
        .await
    }

    async fn opt_in(&self, at: &Location) -> Result<BTreeMap<String, bool>> {
        const OPERATION: &str = "backup:DescribeRegionSettings";
        self.remote(OPERATION, |state| Ok(state.location(OPERATION, at)?.opt_in.clone())).await
    }

    async fn recording(&self, at: &Location) -> Result<Recording> {
        const OPERATION: &str = "config:DescribeConfigurationRecorders";
        self.remote(OPERATION, |state| Ok(state.location(OPERATION, at)?.recording.clone())).await
    }

    async fn plans(&self, at: &Location) -> Result<Vec<ListedItem>> {
        const OPERATION: &str = "backup:ListBackupPlans";
        self.remote(OPERATION, |state| {
            let plans = state.location(OPERATION, at)?.plans.iter();
            let listed = plans.map(|plan| ListedItem {
                id: plan.id.clone(),
                name: plan.name.clone(),
                arn: plan_arn(at, &plan.id),
            });
            Ok(listed.collect())
        })
        .await
    }

    async fn rules(&self, at: &Location, id: &str) -> Result<Vec<Rule>> {
        const OPERATION: &str = "backup:GetBackupPlan";
        self.remote(OPERATION, |state| Ok(plan(state, OPERATION, at, id)?.rules.clone())).await
    }

    async fn selections(&self, at: &Location, id: &str) -> Result<Vec<ListedItem>> {
        const OPERATION: &str = "backup:ListBackupSelections";
        self.remote(OPERATION, |state| {
            let selections = plan(state, OPERATION, at, id)?.selections.iter();
            let listed =
                selections.map(|of| ListedItem { id: of.id.clone(), name: of.name.clone(), arn: String::new() });
            Ok(listed.collect())
        })
        .await
    }

    async fn selection(&self, at: &Location, id: &str, selection: &str) -> Result<Selection> {
        const OPERATION: &str = "backup:GetBackupSelection";
        self.remote(OPERATION, |state| {
            let selections = &plan(state, OPERATION, at, id)?.selections;
            selections.iter().find(|of| of.id == selection).cloned().ok_or_else(|| none(OPERATION))
        })
        .await
    }

    async fn vaults(&self, at: &Location) -> Result<Vec<ListedVault>> {
        const OPERATION: &str = "backup:ListBackupVaults";
        self.remote(OPERATION, |state| {
            let location = state.location(OPERATION, at)?;
            let listed = location.vaults.iter().map(|of| ListedVault {
                vault: Vault {
                    policy: None,
                    tags: BTreeMap::new(),
                    lock: of.lock.filter(|_| location.lists_locks),
                    ..of.clone()
                },
                arn: vault_arn(at, &of.name),
                lock_is_known: location.lists_locks,
            });
            Ok(listed.collect())
        })
        .await
    }

    async fn vault(&self, at: &Location, name: &str) -> Result<Vault> {
        const OPERATION: &str = "backup:DescribeBackupVault";
        self.remote(OPERATION, |state| {
            let vault = vault(state, OPERATION, at, name)?.clone();
            Ok(Vault { policy: None, tags: BTreeMap::new(), ..vault })
        })
        .await
    }

    async fn policy(&self, at: &Location, name: &str) -> Result<Option<String>> {
        const OPERATION: &str = "backup:GetBackupVaultAccessPolicy";
        self.remote(OPERATION, |state| {
            let policy = &vault(state, OPERATION, at, name)?.policy;
            Ok(policy.as_ref().map(|policy| policy.as_str().map_or_else(|| policy.to_string(), ToOwned::to_owned)))
        })
        .await
    }

    async fn tags(&self, at: &Location, arn: &str) -> Result<BTreeMap<String, String>> {
        const OPERATION: &str = "backup:ListTags";
        self.remote(OPERATION, |state| {
            let location = state.location(OPERATION, at)?;
            let plan = location.plans.iter().find(|plan| plan_arn(at, &plan.id) == arn).map(|plan| &plan.tags);
            let vault = location.vaults.iter().find(|vault| vault_arn(at, &vault.name) == arn).map(|vault| &vault.tags);
            plan.or(vault).cloned().ok_or_else(|| none(OPERATION))
        })
        .await
    }

    async fn recovery_points(&self, at: &Location, name: &str) -> Result<Rows<RecoveryPoint>> {
        const OPERATION: &str = "backup:ListRecoveryPointsByBackupVault";
        self.remote(OPERATION, |state| {
            vault(state, OPERATION, at, name)?;
            let points = state.location(OPERATION, at)?.recovery_points.iter().filter(|point| point.vault == name);
            rows(points.map(|point| RecoveryPoint { tags: BTreeMap::new(), ..point.clone() }))
        })
        .await
    }

    async fn protected_resources(&self, at: &Location) -> Result<BTreeSet<String>> {
        const OPERATION: &str = "backup:ListProtectedResources";
        self.remote(OPERATION, |state| {
            let FakeLocation { resources, recovery_points, .. } = state.location(OPERATION, at)?;
            let restored = resources.iter().filter(|resource| resource.latest_restore_minutes.is_some());
            let restored = restored.map(|resource| resource.arn.clone());
            Ok(recovery_points.iter().map(|point| point.resource.clone()).chain(restored).collect())
        })
        .await
    }

    async fn latest_restore_minutes(&self, at: &Location, arn: &str) -> Result<Option<u64>> {
        const OPERATION: &str = "backup:DescribeProtectedResource";
        self.remote(OPERATION, |state| {
            let resource = state.location(OPERATION, at)?.resources.iter().find(|resource| resource.arn == arn);
            Ok(resource.ok_or_else(|| none(OPERATION))?.latest_restore_minutes)
        })
        .await
    }

    async fn is_aws_managed_key(&self, at: &Location, key: &str) -> Result<bool> {
        const OPERATION: &str = "kms:DescribeKey";
        self.remote(OPERATION, |state| {
            let all = state.location(OPERATION, at)?.resources.iter();
            let mut users = all.filter(|resource| resource.encryption_key.as_deref() == Some(key));
            users.find_map(|user| user.aws_managed_key).ok_or_else(|| none(OPERATION))
        })
        .await
    }

    async fn others(&self, at: &Location, kind: &'static str) -> Result<Rows<Resource>> {
        let operation = match kind {
            "AWS::FSx::FileSystem" => "fsx:DescribeFileSystems",
            "AWS::StorageGateway::Volume" => "storagegateway:ListVolumes",
            _ => "backup-gateway:ListVirtualMachines",
        };
        self.remote(operation, |state| {
            let resources = state.location(operation, at)?.resources.iter();
            rows(resources.filter(|resource| resource.kind.as_str() == kind).map(listed))
        })
        .await
    }
}
