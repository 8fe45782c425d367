//! AWS Backup in member accounts through a role, with the recorded types of AWS Config and the resources that its
//! queries do not support.

mod others;
mod read;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::retry::RetryConfig;
use aws_sdk_backup::config::retry::RetryPartition;
use aws_sdk_backup::types::{RestoreJobStatus, VaultType};
use aws_sdk_config::types::RecordingStrategyType;

use app::inventory::{ListedItem, ListedVault, LocationRef, MemberBackup, Recording, Rows};
use app::ports::{PortErrorKind, Result};
use evaluation::inventory::document::{RecoveryPoint, Resource, Restore, Rule, Selection, Vault};
use framework::ids::{AccountId, RegionName};

use crate::error::{unexpected, wrap};
use crate::https::Https;
use crate::members::MemberAccounts;

/// The maximum page size of the lists.
const PAGE: i32 = 1000;
/// Attempts at one call: AWS Backup has low rate limits, and an inventory is not urgent.
const ATTEMPTS: u32 = 8;
/// The maximum of cached clients, more than locations are ever read concurrently.
const KEPT: usize = 256;

/// AWS Backup in member accounts, through a role in each account.
#[derive(Debug, Clone)]
pub struct MemberBackups {
    members: MemberAccounts,
    partition: String,
    https: Https,
    /// The local cloud, which replaces the services that are called without an SDK client.
    endpoint: Option<String>,
    kept: Arc<Mutex<VecDeque<CachedClients>>>,
}

type CachedClients = ((AccountId, RegionName), LocationClients);

#[derive(Debug, Clone)]
struct LocationClients {
    backup: aws_sdk_backup::Client,
    config: aws_sdk_config::Client,
}

impl MemberBackups {
    pub(crate) fn new(members: MemberAccounts, partition: &str, endpoint: Option<String>) -> Self {
        let partition = partition.to_owned();
        Self { members, partition, https: Https::default(), endpoint, kept: Arc::default() }
    }

    fn known(&self, location: &(AccountId, RegionName)) -> Option<LocationClients> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == location).map(|(_, clients)| clients.clone())
    }

    /// Returns the cached clients of a location, so that its calls share connections.
    async fn clients(&self, at: LocationRef<'_>) -> Result<LocationClients> {
        let key = (at.account.clone(), at.region.clone());
        if let Some(known) = self.known(&key) {
            return Ok(known);
        }
        let there = self.members.sdk_config(at.account, at.region).await?;
        // A retry partition for each location, so that a throttled one does not slow the others.
        let partition = format!("{}/{}", at.account, at.region);
        let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let backup = aws_sdk_backup::config::Builder::from(&there)
            .retry_config(retry.clone())
            .retry_partition(RetryPartition::new(format!("backup/{partition}")));
        let config = aws_sdk_config::config::Builder::from(&there)
            .retry_config(retry)
            .retry_partition(RetryPartition::new(format!("config/{partition}")));
        let clients = LocationClients {
            backup: aws_sdk_backup::Client::from_conf(backup.build()),
            config: aws_sdk_config::Client::from_conf(config.build()),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((key, clients.clone()));
        Ok(clients)
    }
}

/// Iterates over pages: `$ask` builds the request of one, `$take` consumes its response.
macro_rules! pages {
    ($operation:expr, $ask:expr, |$answer:ident| $take:block) => {{
        let mut pages = crate::config::Pages::of($operation);
        while pages.more() {
            let $answer = $ask
                .max_results(PAGE)
                .set_next_token(pages.token())
                .send()
                .await
                .map_err(|error| wrap($operation, &error))?;
            $take
            pages.turn($answer.next_token())?;
        }
    }};
}

/// Returns a required field of a response.
fn there<T>(operation: &'static str, what: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| unexpected(operation, format!("the response has no {what}")))
}

impl MemberBackup for MemberBackups {
    async fn enter(&self, account: &AccountId) -> Result<()> {
        self.members.credentials(account).await.map(drop)
    }

    async fn opt_in(&self, at: LocationRef<'_>) -> Result<BTreeMap<String, bool>> {
        const OPERATION: &str = "backup:DescribeRegionSettings";
        let answer = self.clients(at).await?.backup.describe_region_settings().send().await;
        let answer = answer.map_err(|error| wrap(OPERATION, &error))?;
        let switches = there(OPERATION, "ResourceTypeOptInPreference", answer.resource_type_opt_in_preference())?;
        Ok(switches.iter().map(|(name, on)| (name.clone(), *on)).collect())
    }

    async fn recording(&self, at: LocationRef<'_>) -> Result<Recording> {
        const STATUS: &str = "config:DescribeConfigurationRecorderStatus";
        const RECORDERS: &str = "config:DescribeConfigurationRecorders";
        let client = self.clients(at).await?.config;
        let status = client.describe_configuration_recorder_status().send().await;
        let status = status.map_err(|error| wrap(STATUS, &error))?;
        // Service-linked recorders only record for their service.
        let own = status.configuration_recorders_status().iter().filter(|one| one.service_principal().is_none());
        let recording: BTreeSet<&str> = own.filter(|one| one.recording()).filter_map(|one| one.name()).collect();
        if recording.is_empty() {
            return Ok(Recording::Nothing);
        }
        let recorders = client.describe_configuration_recorders().send().await;
        let recorders = recorders.map_err(|error| wrap(RECORDERS, &error))?;
        let recorder = recorders
            .configuration_recorders()
            .iter()
            .find(|one| one.service_principal().is_none() && one.name().is_some_and(|name| recording.contains(name)));
        let group = there(RECORDERS, "recorder that records", recorder)?.recording_group();
        // The default group records everything.
        let Some(group) = group else { return Ok(Recording::Everything) };
        let names = |types: &[aws_sdk_config::types::ResourceType]| {
            types.iter().map(|kind| kind.as_str().to_owned()).collect::<BTreeSet<String>>()
        };
        let excluded = || names(group.exclusion_by_resource_types().map(|by| by.resource_types()).unwrap_or_default());
        let strategy = group.recording_strategy().and_then(|strategy| strategy.use_only());
        Ok(match strategy {
            Some(RecordingStrategyType::AllSupportedResourceTypes) => Recording::Everything,
            Some(RecordingStrategyType::ExclusionByResourceTypes) => Recording::AllBut(excluded()),
            Some(RecordingStrategyType::InclusionByResourceTypes) => Recording::Only(names(group.resource_types())),
            // Recorders from before recording strategies.
            None if group.all_supported() => Recording::Everything,
            None => Recording::Only(names(group.resource_types())),
            Some(other) => return Err(unexpected(RECORDERS, format!("unknown recording strategy {}", other.as_str()))),
        })
    }

    async fn plans(&self, at: LocationRef<'_>) -> Result<Vec<ListedItem>> {
        const OPERATION: &str = "backup:ListBackupPlans";
        let client = self.clients(at).await?.backup;
        let mut plans = Vec::new();
        pages!(OPERATION, client.list_backup_plans(), |answer| {
            for plan in answer.backup_plans_list() {
                let id = there(OPERATION, "id of a plan", plan.backup_plan_id())?.to_owned();
                let arn = there(OPERATION, "ARN of a plan", plan.backup_plan_arn())?.to_owned();
                let name = there(OPERATION, "name of a plan", plan.backup_plan_name())?.to_owned();
                plans.push(ListedItem { id, name, arn });
            }
        });
        Ok(plans)
    }

    async fn rules(&self, at: LocationRef<'_>, plan: &str) -> Result<Vec<Rule>> {
        const OPERATION: &str = "backup:GetBackupPlan";
        let answer = self.clients(at).await?.backup.get_backup_plan().backup_plan_id(plan).send().await;
        let answer = answer.map_err(|error| wrap(OPERATION, &error))?;
        let rules = there(OPERATION, "plan", answer.backup_plan())?.rules();
        rules.iter().map(|of| read::rule(of).map_err(|message| unexpected(OPERATION, message))).collect()
    }

    async fn selections(&self, at: LocationRef<'_>, plan: &str) -> Result<Vec<ListedItem>> {
        const OPERATION: &str = "backup:ListBackupSelections";
        let client = self.clients(at).await?.backup;
        let mut selections = Vec::new();
        pages!(OPERATION, client.list_backup_selections().backup_plan_id(plan), |answer| {
            for selection in answer.backup_selections_list() {
                let id = there(OPERATION, "id of a selection", selection.selection_id())?.to_owned();
                let name = there(OPERATION, "name of a selection", selection.selection_name())?.to_owned();
                selections.push(ListedItem { id, name, arn: String::new() });
            }
        });
        Ok(selections)
    }

    async fn selection(&self, at: LocationRef<'_>, plan: &str, selection: &str) -> Result<Selection> {
        const OPERATION: &str = "backup:GetBackupSelection";
        let client = self.clients(at).await?.backup;
        let answer = client.get_backup_selection().backup_plan_id(plan).selection_id(selection).send().await;
        let answer = answer.map_err(|error| wrap(OPERATION, &error))?;
        let of = there(OPERATION, "selection", answer.backup_selection())?;
        read::selection(selection, of).map_err(|message| unexpected(OPERATION, message))
    }

    async fn vaults(&self, at: LocationRef<'_>) -> Result<Vec<ListedVault>> {
        const OPERATION: &str = "backup:ListBackupVaults";
        let client = self.clients(at).await?.backup;
        let mut vaults = Vec::new();
        pages!(OPERATION, client.list_backup_vaults(), |answer| {
            for vault in answer.backup_vault_list() {
                let arn = there(OPERATION, "ARN of a vault", vault.backup_vault_arn())?;
                let own = arn.split(':').nth(4) == Some(at.account.as_str());
                // A restore access vault is a view of another vault.
                if !own || vault.vault_type() == Some(&VaultType::RestoreAccessBackupVault) {
                    continue;
                }
                let name = there(OPERATION, "name of a vault", vault.backup_vault_name())?;
                let lock = read::LockDescription {
                    locked: vault.locked(),
                    min: vault.min_retention_days(),
                    max: vault.max_retention_days(),
                    compliance: vault.lock_date().is_some(),
                };
                let known = read::vault(at, name, vault.vault_type(), vault.encryption_key_arn(), &lock);
                let vault = known.map_err(|message| unexpected(OPERATION, message))?;
                vaults.push(ListedVault { vault, arn: arn.to_owned(), lock_is_known: lock.locked.is_some() });
            }
        });
        Ok(vaults)
    }

    async fn vault(&self, at: LocationRef<'_>, name: &str) -> Result<Vault> {
        const OPERATION: &str = "backup:DescribeBackupVault";
        let answer = self.clients(at).await?.backup.describe_backup_vault().backup_vault_name(name).send().await;
        let answer = answer.map_err(|error| wrap(OPERATION, &error))?;
        let lock = read::LockDescription {
            locked: Some(there(OPERATION, "`Locked`", answer.locked())?),
            min: answer.min_retention_days(),
            max: answer.max_retention_days(),
            compliance: answer.lock_date().is_some(),
        };
        let vault = read::vault(at, name, answer.vault_type(), answer.encryption_key_arn(), &lock);
        vault.map_err(|message| unexpected(OPERATION, message))
    }

    async fn policy(&self, at: LocationRef<'_>, vault: &str) -> Result<Option<String>> {
        const OPERATION: &str = "backup:GetBackupVaultAccessPolicy";
        let client = self.clients(at).await?.backup;
        let answer = client.get_backup_vault_access_policy().backup_vault_name(vault).send().await;
        match answer.map_err(|error| wrap(OPERATION, &error)) {
            Ok(answer) => Ok(answer.policy().filter(|policy| !policy.is_empty()).map(ToOwned::to_owned)),
            Err(error) if error.kind == PortErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn tags(&self, at: LocationRef<'_>, arn: &str) -> Result<BTreeMap<String, String>> {
        const OPERATION: &str = "backup:ListTags";
        let client = self.clients(at).await?.backup;
        let mut tags = BTreeMap::new();
        pages!(OPERATION, client.list_tags().resource_arn(arn), |answer| {
            tags.extend(answer.tags().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        });
        Ok(tags)
    }

    async fn recovery_points(&self, at: LocationRef<'_>, vault: &str) -> Result<Rows<RecoveryPoint>> {
        const OPERATION: &str = "backup:ListRecoveryPointsByBackupVault";
        let client = self.clients(at).await?.backup;
        let mut rows = Rows::default();
        pages!(OPERATION, client.list_recovery_points_by_backup_vault().backup_vault_name(vault), |answer| {
            for point in answer.recovery_points() {
                read::take(&mut rows, at, read::recovery_point(at, vault, point));
            }
        });
        Ok(rows)
    }

    async fn restores(&self, at: LocationRef<'_>) -> Result<Rows<Restore>> {
        const OPERATION: &str = "backup:ListRestoreJobs";
        let client = self.clients(at).await?.backup;
        let mut rows = Rows::default();
        pages!(OPERATION, client.list_restore_jobs().by_status(RestoreJobStatus::Completed), |answer| {
            // A local cloud may ignore the filter.
            for job in answer.restore_jobs().iter().filter(|job| job.status() == Some(&RestoreJobStatus::Completed)) {
                read::take(&mut rows, at, read::restore(job));
            }
        });
        Ok(rows)
    }

    async fn others(&self, at: LocationRef<'_>, kind: &'static str) -> Result<Rows<Resource>> {
        others::read(self, at, kind).await
    }
}
