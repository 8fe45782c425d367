//! Reads one account and Region through the role.

use std::collections::{BTreeMap, BTreeSet};

use evaluation::inventory::document::{
    LocationPart, LocationRecord, Plan, PlanPart, RecoveryPoint, RecoveryPointPart, Resource, Selection, SelectionPart,
    Vault, VaultPart,
};
use framework::control;
use framework::ids::Location;

use super::ports::{ListedItem, ListedVault, MemberBackup, Recording, Rows};
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

pub(super) fn not_entered(at: Location, error: &PortError) -> LocationRead {
    let reason = match error.kind {
        PortErrorKind::Retryable => ReadFailureReason::Unavailable,
        _ => ReadFailureReason::NoRole,
    };
    LocationRead::new(at).all_unread(reason, &message_of(error))
}

impl LocationRead {
    pub(super) fn new(Location { account, region }: Location) -> Self {
        Self {
            location: LocationRecord { account, region, opt_in: BTreeMap::new(), unread: Vec::new() },
            resources: Vec::new(),
            plans: Vec::new(),
            vaults: Vec::new(),
            recovery_points: Vec::new(),
            restore_minutes: BTreeMap::new(),
            aws_managed_keys: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn all_unread(mut self, reason: ReadFailureReason, message: &str) -> Self {
        self.failure("the parts that only AWS Backup has", reason, message);
        self.location.unread.extend(ALL.map(|part| unread(part, message)));
        self
    }

    pub(super) fn lacks(&self, part: LocationPart) -> bool {
        self.location.unread.iter().any(|unread| unread.part == part)
    }

    fn failure(&mut self, subject: impl Into<String>, reason: ReadFailureReason, message: impl Into<String>) {
        let location = Some((self.location.account.clone(), self.location.region.clone()));
        self.failures.push(ReadFailure::new(location, subject, reason, message));
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
        self.failure(subject, ReadFailureReason::of(error), message_of(error));
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

    /// Returns a whole part, or `None` after its failure was recorded.
    fn whole<T>(&mut self, read: Result<T>, part: LocationPart, subject: &str) -> Option<T> {
        read.map_err(|error| self.lack(part, subject, ReadFailureReason::of(&error), message_of(&error))).ok()
    }

    fn lack(&mut self, part: LocationPart, subject: &str, reason: ReadFailureReason, message: String) {
        self.failure(subject, reason, message.as_str());
        self.location.unread.push(unread(part, message));
    }

    /// Returns the valid rows, and records the others.
    fn valid<T>(&mut self, rows: Rows<T>, part: LocationPart, subject: &str) -> Vec<T> {
        let invalid = rows.invalid.into_iter();
        invalid.for_each(|row| self.lack(part, subject, ReadFailureReason::Invalid, row.message));
        rows.items
    }
}

/// Reads a location; `recorded` are its resources in the aggregator. Calls are sequential, because locations are read concurrently.
pub(super) async fn read(members: &impl MemberBackup, at: Location, recorded: &[&Resource]) -> LocationRead {
    let mut here = LocationRead::new(at.clone());
    match members.opt_in(&at).await {
        Ok(opt_in) => here.location.opt_in = opt_in,
        Err(error) if is_region_disabled(&error) => {
            return here.all_unread(ReadFailureReason::RegionDisabled, &message_of(&error));
        }
        // Absent opt-in services are unknown by definition.
        Err(error) => here.record_failure("opt-in services", &error),
    }
    let mut reader = LocationReader { members, at: &at, here };
    reader.recording().await;
    reader.plans().await;
    reader.vaults().await;
    reader.others().await;
    reader.restores(recorded).await;
    reader.keys(recorded).await;
    reader.here
}

struct LocationReader<'a, M> {
    members: &'a M,
    at: &'a Location,
    here: LocationRead,
}

impl<M: MemberBackup> LocationReader<'_, M> {
    /// Types that AWS Config does not record may still exist.
    async fn recording(&mut self) {
        let read = self.members.recording(self.at).await;
        let recording = self.here.whole(read, LocationPart::Resources, "recorded types of AWS Config");
        let Some(recording) = recording else { return };
        let missing: Vec<&str> = QUERIED.into_iter().filter(|kind| !recording.has(kind)).collect();
        if !missing.is_empty() {
            let message = match recording {
                Recording::Nothing => "AWS Config does not record in this location".to_owned(),
                _ => format!("AWS Config does not record {} here", missing.join(", ")),
            };
            self.here.lack(LocationPart::Resources, "resources", ReadFailureReason::NotRecorded, message);
        }
    }

    async fn plans(&mut self) {
        let listed = self.here.whole(self.members.plans(self.at).await, LocationPart::Plans, "backup plans");
        for listed in listed.into_iter().flatten() {
            let plan = self.plan(listed).await;
            self.here.plans.extend(plan);
        }
    }

    /// Reads rules, selections and tags; `None` if the plan was deleted since the list.
    async fn plan(&mut self, ListedItem { id, name, arn }: ListedItem) -> Option<Plan> {
        let mut unread = Vec::new();
        let rules = self.members.rules(self.at, &id).await;
        let rules = self.here.part_of(rules, PlanPart::Rules, &mut unread, format!("rules of the plan {name}"))?;
        let selections = self.selections(&id, &name).await;
        let subject = format!("selections of the plan {name}");
        let selections = self.here.part_of(selections, PlanPart::Selections, &mut unread, subject)?;
        let tags = self.members.tags(self.at, &arn).await;
        let tags = self.here.part_of(tags, PlanPart::Tags, &mut unread, format!("tags of the plan {name}"))?;
        let Location { account, region } = self.at.clone();
        Some(Plan { id, name, account, region, tags, rules, selections, unread })
    }

    async fn selections(&mut self, plan: &str, plan_name: &str) -> Result<Vec<Selection>> {
        let mut selections = Vec::new();
        for listed in self.members.selections(self.at, plan).await? {
            match self.members.selection(self.at, plan, &listed.id).await {
                Ok(selection) => selections.push(selection),
                Err(error) if error.kind == PortErrorKind::NotFound => {}
                Err(error) => {
                    self.here.record_failure(format!("selection {} of the plan {plan_name}", listed.name), &error);
                    let unread = SelectionPart::CONTENT.to_vec();
                    selections.push(Selection { id: listed.id, name: listed.name, unread, ..Selection::default() });
                }
            }
        }
        Ok(selections)
    }

    async fn vaults(&mut self) {
        let listed = self.members.vaults(self.at).await;
        let message = listed.as_ref().err().map(message_of);
        let listed = self.here.whole(listed, LocationPart::Vaults, "vaults");
        self.here.location.unread.extend(message.map(|message| unread(LocationPart::RecoveryPoints, message)));
        for listed in listed.into_iter().flatten() {
            let Some(vault) = self.vault(listed).await else { continue };
            let read = self.members.recovery_points(self.at, &vault.name).await;
            if read.as_ref().is_err_and(|error| error.kind == PortErrorKind::NotFound) {
                continue;
            }
            let subject = format!("recovery points in the vault {}", vault.name);
            if let Some(rows) = self.here.whole(read, LocationPart::RecoveryPoints, &subject) {
                let points = self.here.valid(rows, LocationPart::RecoveryPoints, "a recovery point");
                self.here.recovery_points.extend(points.into_iter().map(untagged));
            }
            self.here.vaults.push(vault);
        }
    }

    /// Reads lock, policy and tags; `None` if the vault was deleted since the list.
    async fn vault(&mut self, ListedVault { mut vault, arn, lock_is_known }: ListedVault) -> Option<Vault> {
        if !lock_is_known {
            let read = self.members.vault(self.at, &vault.name).await.map(Some);
            let subject = format!("lock of the vault {}", vault.name);
            if let Some(described) = self.here.part_of(read, VaultPart::Lock, &mut vault.unread, subject)? {
                vault = described;
            }
        }
        match self.members.policy(self.at, &vault.name).await {
            Ok(policy) => vault.policy = policy.map(|text| serde_json::from_str(&text).unwrap_or(text.into())),
            Err(error) => {
                self.here.record_failure(format!("policy of the vault {}", vault.name), &error);
                vault.unread.push(VaultPart::Policy);
            }
        }
        let read = self.members.tags(self.at, &arn).await;
        let subject = format!("tags of the vault {}", vault.name);
        vault.tags = self.here.part_of(read, VaultPart::Tags, &mut vault.unread, subject)?;
        Some(vault)
    }

    /// Reads the resources that AWS Config cannot query.
    async fn others(&mut self) {
        for kind in UNQUERIED {
            let read = self.members.others(self.at, kind).await;
            let is_retryable = read.as_ref().is_err_and(|error| error.kind == PortErrorKind::Retryable);
            if is_retryable && self.here.lacks_service_for(kind) {
                // Neither the service nor an opt-in setting exists in this Region.
                continue;
            }
            if let Some(rows) = self.here.whole(read, LocationPart::Resources, kind) {
                let resources = self.here.valid(rows, LocationPart::Resources, kind);
                self.here.resources.extend(resources);
            }
        }
    }

    /// Reads the restore times that AWS compares: one call for each resource that has recovery points.
    async fn restores(&mut self, recorded: &[&Resource]) {
        const PART: LocationPart = LocationPart::Restores;
        let all = recorded.iter().copied().chain(&self.here.resources);
        let own = evaluated("RESTORE_TIME_FOR_RESOURCES_MEET_TARGET", all);
        let own: BTreeSet<String> = own.map(|resource| resource.arn.clone()).collect();
        if own.is_empty() {
            return;
        }
        let listed = self.members.protected_resources(self.at).await;
        let Some(listed) = self.here.whole(listed, PART, "resources with recovery points") else { return };
        for arn in own.intersection(&listed) {
            match self.members.latest_restore_minutes(self.at, arn).await {
                Ok(minutes) => self.here.restore_minutes.extend(minutes.map(|minutes| (arn.clone(), minutes))),
                // Deleted since the list.
                Err(error) if error.kind == PortErrorKind::NotFound => {}
                Err(error) => {
                    let (kind, reason) = (error.kind, ReadFailureReason::of(&error));
                    self.here.lack(PART, &format!("latest restore of {arn}"), reason, message_of(&error));
                    // Other errors would repeat for each resource.
                    if kind != PortErrorKind::Rejected {
                        return;
                    }
                }
            }
        }
    }

    /// Reads who manages the KMS keys of resources that need copies in air-gapped vaults, once for each key.
    async fn keys(&mut self, recorded: &[&Resource]) {
        let mut known: BTreeMap<&str, Option<bool>> = BTreeMap::new();
        for resource in evaluated("RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT", recorded.iter().copied()) {
            let Some(key) = resource.encryption_key.as_deref() else { continue };
            let is_managed = match known.get(key) {
                Some(is_managed) => *is_managed,
                None => {
                    let is_managed = self.key(key).await;
                    known.insert(key, is_managed);
                    is_managed
                }
            };
            self.here.aws_managed_keys.extend(is_managed.map(|is_managed| (resource.arn.clone(), is_managed)));
        }
    }

    async fn key(&mut self, key: &str) -> Option<bool> {
        if let Some(is_managed) = is_aws_managed(key, self.at.account.as_str()) {
            return Some(is_managed);
        }
        match self.members.is_aws_managed_key(self.at, key).await {
            Ok(is_managed) => Some(is_managed),
            // Deleted; only customer managed keys can be.
            Err(error) if error.kind == PortErrorKind::NotFound => Some(false),
            // An absent manager is unknown by definition.
            Err(error) => {
                self.here.record_failure(format!("manager of the KMS key {key}"), &error);
                None
            }
        }
    }
}

/// Returns the resources whose types a control evaluates.
fn evaluated<'r>(
    control: &str,
    resources: impl IntoIterator<Item = &'r Resource>,
) -> impl Iterator<Item = &'r Resource> {
    let types = control::find(control).map(|control| control.resource_types).unwrap_or_default();
    resources.into_iter().filter(|resource| types.contains(&resource.kind.as_str()))
}

/// Returns whether AWS manages a KMS key, if its name shows it. The prefix `alias/aws/` is reserved, other aliases are
/// of customer managed keys, and an AWS managed key is in the account that uses it.
fn is_aws_managed(key: &str, account: &str) -> Option<bool> {
    let (owner, name) = match key.splitn(6, ':').collect::<Vec<_>>()[..] {
        [.., owner, name] => (owner, name),
        _ => (account, key),
    };
    match name.strip_prefix("alias/") {
        Some(alias) => Some(alias.starts_with("aws/")),
        None => (owner != account).then_some(false),
    }
}

/// AWS Backup returns the tags of recovery points only one by one, so the aggregator's are used.
fn untagged(mut point: RecoveryPoint) -> RecoveryPoint {
    if !point.unread.contains(&RecoveryPointPart::Tags) {
        point.unread.push(RecoveryPointPart::Tags);
    }
    point
}
