//! Reads one account and Region through the role there.

use super::ports::{ListedVault, MemberBackup, Odd, Spot};
use super::{PlaceRead, QUERIED, Reason, Trouble, UNQUERIED, said, unread};
use crate::ports::{PortError, PortErrorKind, Result};
use domain::ids::{AccountId, RegionName};
use domain::inventory::document::{
    Part, Place, Plan, PlanPart, RecoveryPoint, RecoveryPointPart, Selection, SelectionPart, Vault, VaultPart,
};
use std::collections::BTreeMap;

/// All parts that the role is for, the resources included: without it nobody knows what AWS Config records.
const ALL: [Part; 5] = [Part::Resources, Part::Plans, Part::Vaults, Part::RecoveryPoints, Part::Restores];

/// What services answer where a Region is not enabled in the account. Assumed of `UnrecognizedClientException`: credentials that
/// were given out a moment ago are known everywhere else.
pub(super) fn is_region_off(error: &PortError) -> bool {
    let codes =
        ["OptInRequired", "UnrecognizedClientException", "InvalidClientTokenId", "SubscriptionRequiredException"];
    error.code.as_deref().is_some_and(|code| codes.contains(&code)) && !error.operation.starts_with("sts:")
}

fn nothing(account: AccountId, region: RegionName) -> PlaceRead {
    PlaceRead {
        place: Place { account, region, opt_in: BTreeMap::new(), unread: Vec::new() },
        resources: Vec::new(),
        plans: Vec::new(),
        vaults: Vec::new(),
        recovery_points: Vec::new(),
        restores: Vec::new(),
        troubles: Vec::new(),
    }
}

/// A place of an account whose role cannot be assumed.
pub(super) fn not_entered(account: AccountId, region: RegionName, error: &PortError) -> PlaceRead {
    let reason = match error.kind {
        PortErrorKind::Retryable => Reason::Unavailable,
        _ => Reason::NoRole,
    };
    without(account, region, reason, &said(error))
}

/// A place of which only the aggregator tells.
pub(super) fn not_asked(account: AccountId, region: RegionName) -> PlaceRead {
    without(account, region, Reason::NotAsked, "only the aggregator was asked")
}

fn without(account: AccountId, region: RegionName, reason: Reason, why: &str) -> PlaceRead {
    let mut here = nothing(account, region);
    here.all_unread(reason, why);
    here
}

impl PlaceRead {
    fn all_unread(&mut self, reason: Reason, why: &str) {
        self.trouble("everything that only AWS Backup itself knows".to_owned(), reason, why.to_owned());
        self.place.unread.extend(ALL.map(|part| unread(part, why)));
    }

    fn trouble(&mut self, what: String, reason: Reason, why: String) {
        let place = Some((self.place.account.clone(), self.place.region.clone()));
        self.troubles.push(Trouble { place, what, reason, why });
    }

    /// Whether the switches were read, and none is for a type.
    fn lacks_switch_for(&self, kind: &str) -> bool {
        let switch = match kind {
            "AWS::FSx::FileSystem" => "FSx",
            "AWS::StorageGateway::Volume" => "Storage Gateway",
            "AWS::BackupGateway::VirtualMachine" => "VirtualMachine",
            _ => return false,
        };
        !self.place.opt_in.is_empty() && !self.place.opt_in.contains_key(switch)
    }

    /// Something of a part could not be read; the document has it where it belongs.
    fn lost(&mut self, what: impl Into<String>, error: &PortError) {
        self.trouble(what.into(), Reason::of(error), said(error));
    }

    /// A whole part could not be read.
    fn part_lost(&mut self, part: Part, what: &str, error: &PortError) {
        self.lost(what, error);
        self.place.unread.push(unread(part, said(error)));
    }

    fn odd(&mut self, part: Part, what: &str, odd: Vec<Odd>) {
        for odd in odd {
            self.trouble(what.to_owned(), Reason::Odd, odd.why.clone());
            self.place.unread.push(unread(part, odd.why));
        }
    }
}

/// Reads all of a place. Calls come one after another: places are read side by side.
pub(super) async fn read(members: &impl MemberBackup, account: AccountId, region: RegionName) -> PlaceRead {
    let mut here = nothing(account.clone(), region.clone());
    let at = Spot { account: &account, region: &region };
    match members.opt_in(at).await {
        Ok(opt_in) => here.place.opt_in = opt_in,
        Err(error) if is_region_off(&error) => {
            here.all_unread(Reason::RegionOff, &said(&error));
            return here;
        }
        // Without an entry no switch is known, which the document says by itself.
        Err(error) => here.lost("switches for services", &error),
    }
    recording(members, at, &mut here).await;
    plans(members, at, &mut here).await;
    vaults(members, at, &mut here).await;
    match members.restores(at).await {
        Ok(rows) => {
            here.restores = rows.items;
            here.odd(Part::Restores, "a restore", rows.odd);
        }
        Err(error) => here.part_lost(Part::Restores, "restores", &error),
    }
    for kind in UNQUERIED {
        match members.others(at, kind).await {
            Ok(rows) => {
                here.resources.extend(rows.items);
                here.odd(Part::Resources, kind, rows.odd);
            }
            // Neither does anybody answer, nor does AWS Backup have a switch for it: the service is not in this Region.
            Err(error) if error.kind == PortErrorKind::Retryable && here.lacks_switch_for(kind) => {}
            Err(error) => here.part_lost(Part::Resources, kind, &error),
        }
    }
    here
}

/// What AWS Config does not record may be there all the same.
async fn recording(members: &impl MemberBackup, at: Spot<'_>, here: &mut PlaceRead) {
    let recording = match members.recording(at).await {
        Ok(recording) => recording,
        Err(error) => return here.part_lost(Part::Resources, "what AWS Config records", &error),
    };
    let missing: Vec<&str> = QUERIED.into_iter().filter(|kind| !recording.has(kind)).collect();
    if !missing.is_empty() {
        let why = match recording {
            super::Recording::Nothing => "AWS Config does not record here".to_owned(),
            _ => format!("AWS Config does not record {} here", missing.join(", ")),
        };
        here.trouble("resources".to_owned(), Reason::NotRecorded, why.clone());
        here.place.unread.push(unread(Part::Resources, why));
    }
}

async fn plans(members: &impl MemberBackup, at: Spot<'_>, here: &mut PlaceRead) {
    let listed = match members.plans(at).await {
        Ok(listed) => listed,
        Err(error) => return here.part_lost(Part::Plans, "backup plans", &error),
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
        match members.rules(at, &plan.id).await {
            Ok(rules) => plan.rules = rules,
            // Deleted since it was listed.
            Err(error) if error.kind == PortErrorKind::NotFound => continue,
            Err(error) => {
                here.lost(format!("rules of the plan {}", plan.name), &error);
                plan.unread.push(PlanPart::Rules);
            }
        }
        match selections(members, at, &plan, here).await {
            Ok(selections) => plan.selections = selections,
            Err(error) if error.kind == PortErrorKind::NotFound => continue,
            Err(error) => {
                here.lost(format!("selections of the plan {}", plan.name), &error);
                plan.unread.push(PlanPart::Selections);
            }
        }
        match members.tags(at, &listed.arn).await {
            Ok(tags) => plan.tags = tags,
            Err(error) if error.kind == PortErrorKind::NotFound => continue,
            Err(error) => {
                here.lost(format!("tags of the plan {}", plan.name), &error);
                plan.unread.push(PlanPart::Tags);
            }
        }
        here.plans.push(plan);
    }
}

async fn selections(
    members: &impl MemberBackup,
    at: Spot<'_>,
    plan: &Plan,
    here: &mut PlaceRead,
) -> Result<Vec<Selection>> {
    let mut selections = Vec::new();
    for listed in members.selections(at, &plan.id).await? {
        match members.selection(at, &plan.id, &listed.id).await {
            Ok(selection) => selections.push(selection),
            Err(error) if error.kind == PortErrorKind::NotFound => {}
            Err(error) => {
                here.lost(format!("selection {} of the plan {}", listed.name, plan.name), &error);
                let unread = vec![
                    SelectionPart::Resources,
                    SelectionPart::NotResources,
                    SelectionPart::ListOfTags,
                    SelectionPart::Conditions,
                ];
                selections.push(Selection { id: listed.id, name: listed.name, unread, ..Selection::default() });
            }
        }
    }
    Ok(selections)
}

async fn vaults(members: &impl MemberBackup, at: Spot<'_>, here: &mut PlaceRead) {
    let listed = match members.vaults(at).await {
        Ok(listed) => listed,
        Err(error) => {
            here.part_lost(Part::Vaults, "vaults", &error);
            here.place.unread.push(unread(Part::RecoveryPoints, said(&error)));
            return;
        }
    };
    for listed in listed {
        let Some(vault) = vault(members, at, listed, here).await else { continue };
        match members.recovery_points(at, &vault.name).await {
            Ok(rows) => {
                here.recovery_points.extend(rows.items.into_iter().map(untagged));
                here.odd(Part::RecoveryPoints, "a recovery point", rows.odd);
            }
            Err(error) if error.kind == PortErrorKind::NotFound => continue,
            Err(error) => {
                let what = format!("recovery points in the vault {}", vault.name);
                here.part_lost(Part::RecoveryPoints, &what, &error);
            }
        }
        here.vaults.push(vault);
    }
}

/// AWS Backup has the tags of recovery points one by one only; they are filled in from the aggregator, where that has them.
fn untagged(mut point: RecoveryPoint) -> RecoveryPoint {
    if !point.unread.contains(&RecoveryPointPart::Tags) {
        point.unread.push(RecoveryPointPart::Tags);
    }
    point
}

/// A vault with lock, policy and tags; `None`: it was deleted since it was listed.
async fn vault(members: &impl MemberBackup, at: Spot<'_>, listed: ListedVault, here: &mut PlaceRead) -> Option<Vault> {
    let mut vault = listed.vault;
    if !listed.lock_is_known {
        match members.vault(at, &vault.name).await {
            Ok(described) => vault = described,
            Err(error) if error.kind == PortErrorKind::NotFound => return None,
            Err(error) => {
                here.lost(format!("lock of the vault {}", vault.name), &error);
                vault.unread.push(VaultPart::Lock);
            }
        }
    }
    match members.policy(at, &vault.name).await {
        Ok(policy) => vault.policy = policy.map(|text| serde_json::from_str(&text).unwrap_or(text.into())),
        Err(error) => {
            here.lost(format!("policy of the vault {}", vault.name), &error);
            vault.unread.push(VaultPart::Policy);
        }
    }
    match members.tags(at, &listed.arn).await {
        Ok(tags) => vault.tags = tags,
        Err(error) if error.kind == PortErrorKind::NotFound => return None,
        Err(error) => {
            here.lost(format!("tags of the vault {}", vault.name), &error);
            vault.unread.push(VaultPart::Tags);
        }
    }
    Some(vault)
}
