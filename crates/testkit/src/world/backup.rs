//! AWS Backup in member accounts, and what an aggregator has recorded of it.

use super::{State, World, error};
use app::inventory::{Listed, ListedVault, MemberBackup, Narrowed, Recorded, Recording, Rows, Source, Spot};
use app::ports::{PortError, PortErrorKind, Result};
use domain::ids::{AccountId, RegionName};
use domain::inventory::document::{
    Plan, RecoveryPoint, Resource, Restore, Rule, Selection, SelectionPart, Vault, VaultKind, VaultPart,
};
use std::collections::{BTreeMap, BTreeSet};

/// What there is in the organisation.
#[derive(Debug, Clone, Default)]
pub struct FakeBackup {
    /// Accounts and Regions.
    pub places: BTreeMap<(AccountId, RegionName), FakePlace>,
    /// Accounts in which there is no role.
    pub closed: BTreeSet<AccountId>,
    /// Regions that are not enabled in an account.
    pub off: BTreeSet<(AccountId, RegionName)>,
    /// Whether the aggregator says where it takes from; if not, places are known by what is in them.
    pub names_sources: bool,
}

/// What there is in an account and Region.
#[derive(Debug, Clone)]
pub struct FakePlace {
    /// The switches for services.
    pub opt_in: BTreeMap<String, bool>,
    /// What AWS Config records.
    pub recording: Recording,
    /// Why the aggregator has nothing new from here.
    pub stale: Option<String>,
    /// Resources of all types.
    pub resources: Vec<Resource>,
    /// Plans with their selections.
    pub plans: Vec<Plan>,
    /// Vaults with policies and locks.
    pub vaults: Vec<Vault>,
    /// Whether the list of vaults tells of locks.
    pub lists_locks: bool,
    /// Recovery points, with tags.
    pub recovery_points: Vec<RecoveryPoint>,
    /// Restores.
    pub restores: Vec<Restore>,
}

impl Default for FakePlace {
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
            restores: Vec::new(),
        }
    }
}

impl State {
    fn recorded<'s>(&'s self, kind: &'s str, of: &'s Narrowed) -> impl Iterator<Item = &'s FakePlace> {
        let places = self.backup.places.iter();
        places
            .filter(|((account, region), _)| of.takes(account, region))
            .map(|(_, place)| place)
            .filter(|place| place.stale.is_none() && place.recording.has(kind))
    }

    fn place(&self, operation: &'static str, at: Spot<'_>) -> Result<&FakePlace> {
        let place = (at.account.clone(), at.region.clone());
        if self.backup.off.contains(&place) {
            let code = Some("UnrecognizedClientException".to_owned());
            return Err(PortError { code, ..error(operation, PortErrorKind::Denied) });
        }
        self.backup.places.get(&place).ok_or_else(|| error(operation, PortErrorKind::Denied))
    }
}

fn none(operation: &'static str) -> PortError {
    PortError { code: Some("ResourceNotFoundException".to_owned()), ..error(operation, PortErrorKind::NotFound) }
}

const SELECT: &str = "config:SelectAggregateResourceConfig";

fn rows<T>(items: impl Iterator<Item = T>) -> Result<Rows<T>> {
    Ok(Rows { items: items.collect(), odd: Vec::new() })
}

impl Recorded for World {
    async fn sources(&self) -> Result<Vec<Source>> {
        self.remote("config:DescribeConfigurationAggregatorSourcesStatus", |state| {
            let named = state.backup.names_sources;
            let places = state.backup.places.iter().filter(|_| named);
            Ok(places
                .map(|((account, region), place)| Source {
                    account: account.clone(),
                    region: region.clone(),
                    stale: place.stale.clone(),
                })
                .collect())
        })
        .await
    }

    async fn resources(&self, kind: &'static str, of: &Narrowed) -> Result<Rows<Resource>> {
        self.remote(SELECT, |state| {
            let all = state.recorded(kind, of).flat_map(|place| &place.resources);
            rows(all.filter(|resource| resource.kind.as_str() == kind).cloned())
        })
        .await
    }

    async fn recovery_points(&self, of: &Narrowed) -> Result<Rows<RecoveryPoint>> {
        self.remote(SELECT, |state| {
            let points = state.recorded("AWS::Backup::RecoveryPoint", of).flat_map(|place| &place.recovery_points);
            rows(points.cloned())
        })
        .await
    }

    async fn plans(&self, of: &Narrowed) -> Result<Rows<Plan>> {
        self.remote(SELECT, |state| {
            let plans = state.recorded("AWS::Backup::BackupPlan", of).flat_map(|place| &place.plans);
            rows(plans.cloned().map(|mut plan| {
                for selection in &mut plan.selections {
                    selection.list_of_tags.clear();
                    selection.conditions = domain::inventory::document::Conditions::default();
                    selection.unread = vec![SelectionPart::ListOfTags, SelectionPart::Conditions];
                }
                plan
            }))
        })
        .await
    }

    async fn vaults(&self, of: &Narrowed) -> Result<Rows<Vault>> {
        self.remote(SELECT, |state| {
            let vaults = state.recorded("AWS::Backup::BackupVault", of).flat_map(|place| &place.vaults);
            let ordinary = vaults.filter(|vault| vault.kind == VaultKind::Ordinary);
            let unread = || vec![VaultPart::Policy, VaultPart::Lock];
            rows(ordinary.cloned().map(|vault| Vault { policy: None, lock: None, unread: unread(), ..vault }))
        })
        .await
    }
}

fn plan_arn(at: Spot<'_>, id: &str) -> String {
    format!("arn:aws:backup:{}:{}:backup-plan:{id}", at.region, at.account)
}

fn vault_arn(at: Spot<'_>, name: &str) -> String {
    format!("arn:aws:backup:{}:{}:backup-vault:{name}", at.region, at.account)
}

fn plan<'s>(state: &'s State, operation: &'static str, at: Spot<'_>, id: &str) -> Result<&'s Plan> {
    state.place(operation, at)?.plans.iter().find(|plan| plan.id == id).ok_or_else(|| none(operation))
}

fn vault<'s>(state: &'s State, operation: &'static str, at: Spot<'_>, name: &str) -> Result<&'s Vault> {
    state.place(operation, at)?.vaults.iter().find(|vault| vault.name == name).ok_or_else(|| none(operation))
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

    async fn opt_in(&self, at: Spot<'_>) -> Result<BTreeMap<String, bool>> {
        const OPERATION: &str = "backup:DescribeRegionSettings";
        self.remote(OPERATION, |state| Ok(state.place(OPERATION, at)?.opt_in.clone())).await
    }

    async fn recording(&self, at: Spot<'_>) -> Result<Recording> {
        const OPERATION: &str = "config:DescribeConfigurationRecorders";
        self.remote(OPERATION, |state| Ok(state.place(OPERATION, at)?.recording.clone())).await
    }

    async fn plans(&self, at: Spot<'_>) -> Result<Vec<Listed>> {
        const OPERATION: &str = "backup:ListBackupPlans";
        self.remote(OPERATION, |state| {
            let plans = state.place(OPERATION, at)?.plans.iter();
            let listed =
                plans.map(|plan| Listed { id: plan.id.clone(), name: plan.name.clone(), arn: plan_arn(at, &plan.id) });
            Ok(listed.collect())
        })
        .await
    }

    async fn rules(&self, at: Spot<'_>, id: &str) -> Result<Vec<Rule>> {
        const OPERATION: &str = "backup:GetBackupPlan";
        self.remote(OPERATION, |state| Ok(plan(state, OPERATION, at, id)?.rules.clone())).await
    }

    async fn selections(&self, at: Spot<'_>, id: &str) -> Result<Vec<Listed>> {
        const OPERATION: &str = "backup:ListBackupSelections";
        self.remote(OPERATION, |state| {
            let selections = plan(state, OPERATION, at, id)?.selections.iter();
            let listed = selections.map(|of| Listed { id: of.id.clone(), name: of.name.clone(), arn: String::new() });
            Ok(listed.collect())
        })
        .await
    }

    async fn selection(&self, at: Spot<'_>, id: &str, selection: &str) -> Result<Selection> {
        const OPERATION: &str = "backup:GetBackupSelection";
        self.remote(OPERATION, |state| {
            let selections = &plan(state, OPERATION, at, id)?.selections;
            selections.iter().find(|of| of.id == selection).cloned().ok_or_else(|| none(OPERATION))
        })
        .await
    }

    async fn vaults(&self, at: Spot<'_>) -> Result<Vec<ListedVault>> {
        const OPERATION: &str = "backup:ListBackupVaults";
        self.remote(OPERATION, |state| {
            let place = state.place(OPERATION, at)?;
            let listed = place.vaults.iter().map(|of| ListedVault {
                vault: Vault {
                    policy: None,
                    tags: BTreeMap::new(),
                    lock: of.lock.filter(|_| place.lists_locks),
                    ..of.clone()
                },
                arn: vault_arn(at, &of.name),
                lock_is_known: place.lists_locks,
            });
            Ok(listed.collect())
        })
        .await
    }

    async fn vault(&self, at: Spot<'_>, name: &str) -> Result<Vault> {
        const OPERATION: &str = "backup:DescribeBackupVault";
        self.remote(OPERATION, |state| {
            let vault = vault(state, OPERATION, at, name)?.clone();
            Ok(Vault { policy: None, tags: BTreeMap::new(), ..vault })
        })
        .await
    }

    async fn policy(&self, at: Spot<'_>, name: &str) -> Result<Option<String>> {
        const OPERATION: &str = "backup:GetBackupVaultAccessPolicy";
        self.remote(OPERATION, |state| {
            let policy = &vault(state, OPERATION, at, name)?.policy;
            Ok(policy.as_ref().map(|policy| policy.as_str().map_or_else(|| policy.to_string(), ToOwned::to_owned)))
        })
        .await
    }

    async fn tags(&self, at: Spot<'_>, arn: &str) -> Result<BTreeMap<String, String>> {
        const OPERATION: &str = "backup:ListTags";
        self.remote(OPERATION, |state| {
            let place = state.place(OPERATION, at)?;
            let plan = place.plans.iter().find(|plan| plan_arn(at, &plan.id) == arn).map(|plan| &plan.tags);
            let vault = place.vaults.iter().find(|vault| vault_arn(at, &vault.name) == arn).map(|vault| &vault.tags);
            plan.or(vault).cloned().ok_or_else(|| none(OPERATION))
        })
        .await
    }

    async fn recovery_points(&self, at: Spot<'_>, name: &str) -> Result<Rows<RecoveryPoint>> {
        const OPERATION: &str = "backup:ListRecoveryPointsByBackupVault";
        self.remote(OPERATION, |state| {
            vault(state, OPERATION, at, name)?;
            let points = state.place(OPERATION, at)?.recovery_points.iter().filter(|point| point.vault == name);
            rows(points.map(|point| RecoveryPoint { tags: BTreeMap::new(), ..point.clone() }))
        })
        .await
    }

    async fn restores(&self, at: Spot<'_>) -> Result<Rows<Restore>> {
        const OPERATION: &str = "backup:ListRestoreJobs";
        self.remote(OPERATION, |state| rows(state.place(OPERATION, at)?.restores.iter().cloned())).await
    }

    async fn others(&self, at: Spot<'_>, kind: &'static str) -> Result<Rows<Resource>> {
        let operation = match kind {
            "AWS::FSx::FileSystem" => "fsx:DescribeFileSystems",
            "AWS::StorageGateway::Volume" => "storagegateway:ListVolumes",
            _ => "backup-gateway:ListVirtualMachines",
        };
        self.remote(operation, |state| {
            let resources = state.place(operation, at)?.resources.iter();
            rows(resources.filter(|resource| resource.kind.as_str() == kind).cloned())
        })
        .await
    }
}
