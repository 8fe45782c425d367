//! AWS Backup in member accounts through a role, with the recorded types of AWS Config and what it cannot query.

mod others;
mod read;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::retry::RetryConfig;
use aws_sdk_backup::config::retry::RetryPartition;
use aws_sdk_backup::types::VaultType;
use aws_sdk_config::types::RecordingStrategyType;

use app::inventory::{ListedItem, ListedVault, MemberBackup, Recording, Rows};
use app::ports::{PortErrorKind, Result};
use evaluation::inventory::document::{RecoveryPoint, Resource, Rule, Selection, Vault};
use framework::ids::{AccountId, Location};

use crate::error::{invalid, optional, unexpected, wrap};
use crate::https::Https;
use crate::members::MemberAccounts;
use crate::pages::sdk_pages;

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

type CachedClients = (Location, LocationClients);

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

    /// Returns the cached clients of a location, so that its calls share connections.
    async fn clients(&self, at: &Location) -> Result<LocationClients> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().iter().find(|(known, _)| known == at).map(|(_, clients)| clients.clone());
        if let Some(known) = known {
            return Ok(known);
        }
        let there = self.members.sdk_config(&at.account, &at.region).await?.into_builder();
        let there = there.retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS)).build();
        // A retry partition for each location, so that a throttled one does not slow the others.
        let partition = |service: &str| RetryPartition::new(format!("{service}/{}/{}", at.account, at.region));
        let backup = aws_sdk_backup::config::Builder::from(&there).retry_partition(partition("backup"));
        let config = aws_sdk_config::config::Builder::from(&there).retry_partition(partition("config"));
        let clients = LocationClients {
            backup: aws_sdk_backup::Client::from_conf(backup.build()),
            config: aws_sdk_config::Client::from_conf(config.build()),
        };
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((at.clone(), clients.clone()));
        Ok(clients)
    }
}

/// Returns a required field of a response.
fn there<T>(operation: &'static str, what: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| unexpected(operation, format!("the response has no {what}")))
}

impl MemberBackup for MemberBackups {
    async fn enter(&self, account: &AccountId) -> Result<()> {
        self.members.credentials(account).await.map(drop)
    }

    async fn opt_in(&self, at: &Location) -> Result<BTreeMap<String, bool>> {
        const OPERATION: &str = "backup:DescribeRegionSettings";
        let client = self.clients(at).await?.backup;
        let answer = client.describe_region_settings().send().await.map_err(wrap(OPERATION))?;
        let switches = there(OPERATION, "ResourceTypeOptInPreference", answer.resource_type_opt_in_preference)?;
        Ok(switches.into_iter().collect())
    }

    async fn recording(&self, at: &Location) -> Result<Recording> {
        const STATUS: &str = "config:DescribeConfigurationRecorderStatus";
        const RECORDERS: &str = "config:DescribeConfigurationRecorders";
        let client = self.clients(at).await?.config;
        let status = client.describe_configuration_recorder_status().send().await.map_err(wrap(STATUS))?;
        // Service-linked recorders only record for their service.
        let own = status.configuration_recorders_status().iter().filter(|one| one.service_principal().is_none());
        let recording: BTreeSet<&str> = own.filter(|one| one.recording()).filter_map(|one| one.name()).collect();
        if recording.is_empty() {
            return Ok(Recording::Nothing);
        }
        let recorders = client.describe_configuration_recorders().send().await.map_err(wrap(RECORDERS))?;
        let mut own = recorders.configuration_recorders().iter().filter(|one| one.service_principal().is_none());
        let recorder = own.find(|one| one.name().is_some_and(|name| recording.contains(name)));
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

    async fn plans(&self, at: &Location) -> Result<Vec<ListedItem>> {
        const OPERATION: &str = "backup:ListBackupPlans";
        let request = self.clients(at).await?.backup.list_backup_plans().max_results(PAGE);
        let mut plans = Vec::new();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages(OPERATION, ask, |page| {
            for plan in page.backup_plans_list.unwrap_or_default() {
                let id = there(OPERATION, "id of a plan", plan.backup_plan_id)?;
                let arn = there(OPERATION, "ARN of a plan", plan.backup_plan_arn)?;
                let name = there(OPERATION, "name of a plan", plan.backup_plan_name)?;
                plans.push(ListedItem { id, name, arn });
            }
            Ok(page.next_token)
        })
        .await?;
        Ok(plans)
    }

    async fn rules(&self, at: &Location, plan: &str) -> Result<Vec<Rule>> {
        const OPERATION: &str = "backup:GetBackupPlan";
        let request = self.clients(at).await?.backup.get_backup_plan().backup_plan_id(plan);
        let answer = request.send().await.map_err(wrap(OPERATION))?;
        let rules = there(OPERATION, "plan", answer.backup_plan())?.rules();
        rules.iter().map(|of| read::rule(of).map_err(invalid(OPERATION))).collect()
    }

    async fn selections(&self, at: &Location, plan: &str) -> Result<Vec<ListedItem>> {
        const OPERATION: &str = "backup:ListBackupSelections";
        let request = self.clients(at).await?.backup.list_backup_selections().backup_plan_id(plan).max_results(PAGE);
        let mut selections = Vec::new();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages(OPERATION, ask, |page| {
            for selection in page.backup_selections_list.unwrap_or_default() {
                let id = there(OPERATION, "id of a selection", selection.selection_id)?;
                let name = there(OPERATION, "name of a selection", selection.selection_name)?;
                selections.push(ListedItem { id, name, arn: String::new() });
            }
            Ok(page.next_token)
        })
        .await?;
        Ok(selections)
    }

    async fn selection(&self, at: &Location, plan: &str, selection: &str) -> Result<Selection> {
        const OPERATION: &str = "backup:GetBackupSelection";
        let request = self.clients(at).await?.backup.get_backup_selection().backup_plan_id(plan);
        let answer = request.selection_id(selection).send().await.map_err(wrap(OPERATION))?;
        let of = there(OPERATION, "selection", answer.backup_selection())?;
        read::selection(selection, of).map_err(invalid(OPERATION))
    }

    async fn vaults(&self, at: &Location) -> Result<Vec<ListedVault>> {
        const OPERATION: &str = "backup:ListBackupVaults";
        let request = self.clients(at).await?.backup.list_backup_vaults().max_results(PAGE);
        let mut vaults = Vec::new();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages(OPERATION, ask, |page| {
            for vault in page.backup_vault_list() {
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
                let vault = known.map_err(invalid(OPERATION))?;
                vaults.push(ListedVault { vault, arn: arn.to_owned(), lock_is_known: lock.locked.is_some() });
            }
            Ok(page.next_token)
        })
        .await?;
        Ok(vaults)
    }

    async fn vault(&self, at: &Location, name: &str) -> Result<Vault> {
        const OPERATION: &str = "backup:DescribeBackupVault";
        let request = self.clients(at).await?.backup.describe_backup_vault().backup_vault_name(name);
        let answer = request.send().await.map_err(wrap(OPERATION))?;
        let lock = read::LockDescription {
            locked: Some(there(OPERATION, "`Locked`", answer.locked())?),
            min: answer.min_retention_days(),
            max: answer.max_retention_days(),
            compliance: answer.lock_date().is_some(),
        };
        let vault = read::vault(at, name, answer.vault_type(), answer.encryption_key_arn(), &lock);
        vault.map_err(invalid(OPERATION))
    }

    async fn policy(&self, at: &Location, vault: &str) -> Result<Option<String>> {
        let request = self.clients(at).await?.backup.get_backup_vault_access_policy().backup_vault_name(vault);
        let answer = request.send().await.map_err(wrap("backup:GetBackupVaultAccessPolicy"));
        let answer = optional(answer, |error| error.kind == PortErrorKind::NotFound)?;
        Ok(answer.and_then(|answer| answer.policy).filter(|policy| !policy.is_empty()))
    }

    async fn tags(&self, at: &Location, arn: &str) -> Result<BTreeMap<String, String>> {
        let request = self.clients(at).await?.backup.list_tags().resource_arn(arn).max_results(PAGE);
        let mut tags = BTreeMap::new();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages("backup:ListTags", ask, |page| {
            tags.extend(page.tags.unwrap_or_default());
            Ok(page.next_token)
        })
        .await?;
        Ok(tags)
    }

    async fn recovery_points(&self, at: &Location, vault: &str) -> Result<Rows<RecoveryPoint>> {
        let request = self.clients(at).await?.backup.list_recovery_points_by_backup_vault();
        let request = request.backup_vault_name(vault).max_results(PAGE);
        let mut rows = Rows::default();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages("backup:ListRecoveryPointsByBackupVault", ask, |page| {
            for point in page.recovery_points() {
                read::take(&mut rows, at, read::recovery_point(at, vault, point));
            }
            Ok(page.next_token)
        })
        .await?;
        Ok(rows)
    }

    async fn protected_resources(&self, at: &Location) -> Result<BTreeSet<String>> {
        const OPERATION: &str = "backup:ListProtectedResources";
        let request = self.clients(at).await?.backup.list_protected_resources().max_results(PAGE);
        let mut arns = BTreeSet::new();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages(OPERATION, ask, |page| {
            for resource in page.results.unwrap_or_default() {
                arns.insert(there(OPERATION, "ARN of a resource", resource.resource_arn)?);
            }
            Ok(page.next_token)
        })
        .await?;
        Ok(arns)
    }

    async fn latest_restore_minutes(&self, at: &Location, arn: &str) -> Result<Option<u64>> {
        const OPERATION: &str = "backup:DescribeProtectedResource";
        let request = self.clients(at).await?.backup.describe_protected_resource().resource_arn(arn);
        let answer = request.send().await.map_err(wrap(OPERATION))?;
        let minutes = answer.latest_restore_execution_time_minutes().map(u64::try_from).transpose();
        minutes.map_err(invalid(OPERATION))
    }

    async fn is_aws_managed_key(&self, at: &Location, key: &str) -> Result<bool> {
        others::is_aws_managed_key(self, at, key).await
    }

    async fn others(&self, at: &Location, kind: &'static str) -> Result<Rows<Resource>> {
        others::read(self, at, kind).await
    }
}
