//! Reads one account and Region through the role.

use std::collections::BTreeMap;

use evaluation::inventory::document::{
    LocationPart, LocationRecord, Plan, PlanPart, RecoveryPoint, RecoveryPointPart, Selection, SelectionPart, Vault,
    VaultPart,
};
use framework::ids::{AccountId, RegionName};

use super::ports::{InvalidRow, ListedVault, LocationRef, MemberBackup};
use super::{LocationRead, QUERIED, ReadFailure, ReadFailureReason, UNQUERIED, message_of, unread};
use crate::ports::{PortError, PortErrorKind, Result};

/// The parts that need the role. Resources are among them: without the role it is unknown which types AWS Config
/// records.
const ALL: [LocationPart; 5] = [
    LocationPart::Resources,
    LocationPart::Plans,
    LocationPart::Vaults,
    LocationPart::RecoveryPoints,
    LocationPart::Restores,
];

/// Error codes for a Region that is not enabled in the account. `UnrecognizedClientException` is assumed to be one,
/// because fresh credentials are valid in all other Regions.
pub(super) fn is_region_disabled(error: &PortError) -> bool {
    let codes =
        ["OptInRequired", "UnrecognizedClientException", "InvalidClientTokenId", "SubscriptionRequiredException"];
    error.code.as_deref().is_some_and(|code| codes.contains(&code)) && !error.operation.starts_with("sts:")
}

fn nothing(account: AccountId, region: RegionName) -> LocationRead {
    LocationRead {
        location: LocationRecord { account, region, opt_in: BTreeMap::new(), unread: Vec::new() },
        resources: Vec::new(),
        plans: Vec::new(),
        vaults: Vec::new(),
        recovery_points: Vec::new(),
        restores: Vec::new(),
        failures: Vec::new(),
    }
}

/// Returns the record of a location whose role cannot be assumed.
pub(super) fn not_entered(account: AccountId, region: RegionName, error: &PortError) -> LocationRead {
    let reason = match error.kind {
        PortErrorKind::Retryable => ReadFailureReason::Unavailable,
        _ => ReadFailureReason::NoRole,
    };
    without(account, region, reason, &message_of(error))
}

/// Returns the record of a location that only the aggregator covers.
pub(super) fn aggregator_only(account: AccountId, region: RegionName) -> LocationRead {
    without(account, region, ReadFailureReason::AggregatorOnly, "only the aggregator was read")
}

fn without(account: AccountId, region: RegionName, reason: ReadFailureReason, message: &str) -> LocationRead {
    let mut here = nothing(account, region);
    here.all_unread(reason, message);
    here
}

impl LocationRead {
    fn all_unread(&mut self, reason: ReadFailureReason, message: &str) {
        self.failure("the parts that only AWS Backup has".to_owned(), reason, message.to_owned());
        self.location.unread.extend(ALL.map(|part| unread(part, message)));
    }

    fn failure(&mut self, subject: String, reason: ReadFailureReason, message: String) {
        let location = Some((self.location.account.clone(), self.location.region.clone()));
        self.failures.push(ReadFailure { location, subject, reason, message });
    }

    /// Returns whether the opt-in services were read and do not contain a type.
    fn lacks_service_for(&self, kind: &str) -> bool {
        let switch = match kind {
            "AWS::FSx::FileSystem" => "FSx",
            "AWS::StorageGateway::Volume" => "Storage Gateway",
            "AWS::BackupGateway::VirtualMachine" => "VirtualMachine",
            _ => return false,
        };
        !self.location.opt_in.is_empty() && !self.location.opt_in.contains_key(switch)
    }

    /// Records a failure; the caller marks the unread part.
    fn record_failure(&mut self, subject: impl Into<String>, error: &PortError) {
        self.failure(subject.into(), ReadFailureReason::of(error), message_of(error));
    }

    /// Returns a part of an item, or its default and an entry in `unread`; `None` if the item was deleted since the list.
    fn part_of<T: Default, P>(&mut self, read: Result<T>, part: P, unread: &mut Vec<P>, subject: String) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) if error.kind == PortErrorKind::NotFound => None,
            Err(error) => {
                self.record_failure(subject, &error);
                unread.push(part);
                Some(T::default())
            }
        }
    }

    /// Records a failure of a whole part.
    fn record_unread(&mut self, part: LocationPart, subject: &str, error: &PortError) {
        self.record_failure(subject, error);
        self.location.unread.push(unread(part, message_of(error)));
    }

    fn invalid(&mut self, part: LocationPart, subject: &str, invalid: Vec<InvalidRow>) {
        for invalid in invalid {
            self.failure(subject.to_owned(), ReadFailureReason::Invalid, invalid.message.clone());
            self.location.unread.push(unread(part, invalid.message));
        }
    }
}

/// Reads a location. Calls are sequential, because locations are read concurrently.
pub(super) async fn read(members: &impl MemberBackup, account: AccountId, region: RegionName) -> LocationRead {
    let mut here = nothing(account.clone(), region.clone());
    let at = LocationRef { account: &account, region: &region };
    match members.opt_in(at).await {
        Ok(opt_in) => here.location.opt_in = opt_in,
        Err(error) if is_region_disabled(&error) => {
            here.all_unread(ReadFailureReason::RegionDisabled, &message_of(&error));
            return here;
        }
        // Absent opt-in services are unknown by definition.
        Err(error) => here.record_failure("opt-in services", &error),
    }
    recording(members, at, &mut here).await;
    plans(members, at, &mut here).await;
    vaults(members, at, &mut here).await;
    match members.restores(at).await {
        Ok(rows) => {
            here.restores = rows.items;
            here.invalid(LocationPart::Restores, "a restore", rows.invalid);
        }
        Err(error) => here.record_unread(LocationPart::Restores, "restores", &error),
    }
    for kind in UNQUERIED {
        match members.others(at, kind).await {
            Ok(rows) => {
                here.resources.extend(rows.items);
                here.invalid(LocationPart::Resources, kind, rows.invalid);
            }
            // Neither the service nor an opt-in setting exists in this Region.
            Err(error) if error.kind == PortErrorKind::Retryable && here.lacks_service_for(kind) => {}
            Err(error) => here.record_unread(LocationPart::Resources, kind, &error),
        }
    }
    here
}

/// Types that AWS Config does not record may still exist.
async fn recording(members: &impl MemberBackup, at: LocationRef<'_>, here: &mut LocationRead) {
    let recording = match members.recording(at).await {
        Ok(recording) => recording,
        Err(error) => return here.record_unread(LocationPart::Resources, "recorded types of AWS Config", &error),
    };
    let missing: Vec<&str> = QUERIED.into_iter().filter(|kind| !recording.has(kind)).collect();
    if !missing.is_empty() {
        let message = match recording {
            super::Recording::Nothing => "AWS Config does not record in this location".to_owned(),
            _ => format!("AWS Config does not record {} here", missing.join(", ")),
        };
        here.failure("resources".to_owned(), ReadFailureReason::NotRecorded, message.clone());
        here.location.unread.push(unread(LocationPart::Resources, message));
    }
}

async fn plans(members: &impl MemberBackup, at: LocationRef<'_>, here: &mut LocationRead) {
    let listed = match members.plans(at).await {
        Ok(listed) => listed,
        Err(error) => return here.record_unread(LocationPart::Plans, "backup plans", &error),
    };
    for listed in listed {
        let mut plan = Plan {
            id: listed.id,
            name: listed.name,
            account: at.account.clone(),
            region: at.region.clone(),
            tags: BTreeMap::new(),
            rules: Vec::new(),
            selections: Vec::new(),
            unread: Vec::new(),
        };
        let read = members.rules(at, &plan.id).await;
        let subject = format!("rules of the plan {}", plan.name);
        let Some(rules) = here.part_of(read, PlanPart::Rules, &mut plan.unread, subject) else { continue };
        plan.rules = rules;
        let read = selections(members, at, &plan, here).await;
        let subject = format!("selections of the plan {}", plan.name);
        let Some(selections) = here.part_of(read, PlanPart::Selections, &mut plan.unread, subject) else { continue };
        plan.selections = selections;
        let read = members.tags(at, &listed.arn).await;
        let subject = format!("tags of the plan {}", plan.name);
        let Some(tags) = here.part_of(read, PlanPart::Tags, &mut plan.unread, subject) else { continue };
        plan.tags = tags;
        here.plans.push(plan);
    }
}

async fn selections(
    members: &impl MemberBackup,
    at: LocationRef<'_>,
    plan: &Plan,
    here: &mut LocationRead,
) -> Result<Vec<Selection>> {
    let mut selections = Vec::new();
    for listed in members.selections(at, &plan.id).await? {
        match members.selection(at, &plan.id, &listed.id).await {
            Ok(selection) => selections.push(selection),
            Err(error) if error.kind == PortErrorKind::NotFound => {}
            Err(error) => {
                here.record_failure(format!("selection {} of the plan {}", listed.name, plan.name), &error);
                let unread = SelectionPart::CONTENT.to_vec();
                selections.push(Selection { id: listed.id, name: listed.name, unread, ..Selection::default() });
            }
        }
    }
    Ok(selections)
}

async fn vaults(members: &impl MemberBackup, at: LocationRef<'_>, here: &mut LocationRead) {
    let listed = match members.vaults(at).await {
        Ok(listed) => listed,
        Err(error) => {
            here.record_unread(LocationPart::Vaults, "vaults", &error);
            here.location.unread.push(unread(LocationPart::RecoveryPoints, message_of(&error)));
            return;
        }
    };
    for listed in listed {
        let Some(vault) = vault(members, at, listed, here).await else { continue };
        match members.recovery_points(at, &vault.name).await {
            Ok(rows) => {
                here.recovery_points.extend(rows.items.into_iter().map(untagged));
                here.invalid(LocationPart::RecoveryPoints, "a recovery point", rows.invalid);
            }
            Err(error) if error.kind == PortErrorKind::NotFound => continue,
            Err(error) => {
                let subject = format!("recovery points in the vault {}", vault.name);
                here.record_unread(LocationPart::RecoveryPoints, &subject, &error);
            }
        }
        here.vaults.push(vault);
    }
}

/// AWS Backup returns the tags of recovery points only one by one, so the aggregator's are used.
fn untagged(mut point: RecoveryPoint) -> RecoveryPoint {
    if !point.unread.contains(&RecoveryPointPart::Tags) {
        point.unread.push(RecoveryPointPart::Tags);
    }
    point
}

/// Reads lock, policy and tags; `None` if the vault was deleted since the list.
async fn vault(
    members: &impl MemberBackup,
    at: LocationRef<'_>,
    listed: ListedVault,
    here: &mut LocationRead,
) -> Option<Vault> {
    let mut vault = listed.vault;
    if !listed.lock_is_known {
        let read = members.vault(at, &vault.name).await.map(Some);
        let subject = format!("lock of the vault {}", vault.name);
        if let Some(described) = here.part_of(read, VaultPart::Lock, &mut vault.unread, subject)? {
            vault = described;
        }
    }
    match members.policy(at, &vault.name).await {
        Ok(policy) => vault.policy = policy.map(|text| serde_json::from_str(&text).unwrap_or(text.into())),
        Err(error) => {
            here.record_failure(format!("policy of the vault {}", vault.name), &error);
            vault.unread.push(VaultPart::Policy);
        }
    }
    let read = members.tags(at, &listed.arn).await;
    let subject = format!("tags of the vault {}", vault.name);
    vault.tags = here.part_of(read, VaultPart::Tags, &mut vault.unread, subject)?;
    Some(vault)
}
