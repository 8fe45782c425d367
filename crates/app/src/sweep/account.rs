//! Compares the records of one account with AWS Config, and updates exemptions and findings.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream::iter;
use jiff::SignedDuration;
use tracing::{info, warn};

use domain::notice::{BlindSpot, BlindSpotCause, BlindSpotReason};
use domain::violation::{
    Channel, ClosedReason, ComplianceChange, DetectionSource, ViolationKey, ViolationRecord, ViolationStatus,
};
use framework::ids::{AccountId, RegionName};

use super::compare::{AccountComparison, RecordCheck, ResultQuery, change_of};
use super::{Round, Sweep, SweepSummary};
use crate::delivery::PARALLEL_WRITES;
use crate::events::{control_of, too_long};
use crate::in_force::covering_exemption;
use crate::ports::{Clock, PortError, PortErrorKind, Result, Versioned};
use crate::report::{Replay, look_up, resource_id};
use crate::sweep::ports::{ComplianceApi, ComplianceSource, EvaluationResult, RegionCompliance, SweepEnv};
use crate::violations::{ResourceDirectory, ResourceId, ViolationStore};

/// Findings are refreshed at this age: Security Hub deletes a finding 90 days after its last update.
const FINDING_REFRESH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The time between two imports of a finding whose delivery was given up.
const GIVEN_UP_RETRY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Types in AWS Config's inventory: a missing resource of these was deleted (awslabs/aws-config-resource-schema).
const INVENTORY_TYPES: [&str; 10] = [
    "AWS::Backup::BackupPlan",
    "AWS::Backup::BackupVault",
    "AWS::Backup::RecoveryPoint",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Instance",
    "AWS::EC2::Volume",
    "AWS::EFS::FileSystem",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
];

/// An upper bound of the time from the first stored record of an account to its delivery. If the sweep ends in between, the next one
/// delivers.
const CLAIM: SignedDuration = SignedDuration::from_mins(10);

/// The results of each visible Region, and the API that returned them.
type Visible = BTreeMap<RegionName, (ComplianceApi, RegionCompliance)>;

/// COMPLIANT results by Region and rule, then by resource type and id. Each rule is read once.
type CompliantResults = BTreeMap<(RegionName, String), BTreeMap<(String, String), EvaluationResult>>;

/// The records of one account.
struct Records {
    /// Open records before the comparison; those that it closes are updated in place.
    open: BTreeMap<ViolationKey, Versioned<ViolationRecord>>,
    /// New and changed records.
    changed: BTreeMap<ViolationKey, Versioned<ViolationRecord>>,
}

impl<E: SweepEnv> Sweep<E> {
    /// Compares one account. If that fails, its Regions are blind spots until the next sweep.
    pub(super) async fn account(
        &self,
        round: &Round<'_>,
        account: &AccountId,
        blind: &mut Vec<BlindSpot>,
        swept: &mut SweepSummary,
    ) {
        if let Err(error) = self.compare(round, account, blind, swept).await {
            warn!(%account, %error, "account not compared");
            let reason = error.blind_spot_reason();
            let regions = round.in_force.controls_in(account).into_keys();
            blind.extend(regions.map(|region| BlindSpot {
                account: account.clone(),
                region,
                reason: reason.clone(),
                since: round.now,
            }));
            swept.failures.push(error.to_string());
        }
    }

    async fn compare(
        &self,
        round: &Round<'_>,
        account: &AccountId,
        blind: &mut Vec<BlindSpot>,
        swept: &mut SweepSummary,
    ) -> Result<()> {
        let in_force = round.in_force.controls_in(account);
        let open = self.store.open_in(account).await?;
        let mut regions: BTreeSet<RegionName> = in_force.keys().cloned().collect();
        regions.extend(open.iter().map(|record| record.value.key.region.clone()));
        let (visible, reasons) = self.read_results(account, &regions).await?;
        let sights: BTreeMap<&RegionName, &RegionCompliance> =
            visible.iter().map(|(region, (_, sight))| (region, sight)).collect();
        let is_published = !round.in_force.frameworks.is_empty();
        let state = AccountComparison { in_force: &in_force, is_published, visible: &sights };
        blind.extend(state.blind_spots(account, &reasons, round.now));

        let open = open.into_iter().map(|record| (record.value.key.clone(), record)).collect();
        let mut records = Records { open, changed: BTreeMap::new() };
        let non_compliant = state.non_compliant(account, round.now);
        self.open_unrecorded(round, &non_compliant, &mut records, swept).await?;
        let trouble = self.close_resolved(round, &state, &visible, &non_compliant, &mut records, swept).await;
        if let Some(error) = trouble {
            warn!(%account, %error, "some open violations not compared, left to the next sweep");
            swept.failures.push(error.to_string());
        }
        self.update_open(round, &mut records, swept).await;
        let stored = self.store_all(records.changed, swept).await;
        self.deliver(round, stored, false, swept).await;
        Ok(())
    }

    /// Opens the NON_COMPLIANT results without an open record.
    async fn open_unrecorded(
        &self,
        round: &Round<'_>,
        non_compliant: &BTreeMap<ViolationKey, ComplianceChange>,
        records: &mut Records,
        swept: &mut SweepSummary,
    ) -> Result<()> {
        let mut unrecorded = Vec::new();
        for key in non_compliant.keys() {
            if let Some(length) = key.excess_length() {
                let reason = too_long(length);
                warn!(violation = %key, reason, "violation not recorded");
                swept.failures.push(reason);
            } else if !records.open.contains_key(key) {
                unrecorded.push(key.clone());
            }
        }
        let closed = if unrecorded.is_empty() { BTreeMap::new() } else { self.store.read(&unrecorded).await? };
        let resources = look_up(&self.resources, unrecorded.iter()).await;
        let Round { in_force, reporting, channels, now } = *round;
        let replay = Replay { in_force, reporting, channels, detected_by: DetectionSource::Sweep, now };
        for (key, change) in unrecorded.iter().filter_map(|key| non_compliant.get_key_value(key)) {
            let before = closed.get(key);
            let known = before.map(|before| &before.value);
            if let Some(value) = replay.apply(known, std::iter::once(change), resources.get(key)).record {
                let counter = if before.is_some() { &mut swept.reopened } else { &mut swept.opened };
                *counter = counter.saturating_add(1);
                info!(violation = %key, "violation opened by the sweep");
                let version = before.map_or(0, |before| before.version);
                records.changed.insert(key.clone(), Versioned { value, version });
            }
        }
        Ok(())
    }

    /// Closes open records without a NON_COMPLIANT result, where AWS Config confirms it. Returns an error of AWS Config that left
    /// records open.
    async fn close_resolved(
        &self,
        round: &Round<'_>,
        state: &AccountComparison<'_>,
        visible: &Visible,
        non_compliant: &BTreeMap<ViolationKey, ComplianceChange>,
        records: &mut Records,
        swept: &mut SweepSummary,
    ) -> Option<PortError> {
        let checks: BTreeMap<ViolationKey, RecordCheck> = records
            .open
            .iter()
            .map(|(key, record)| (key.clone(), state.check(&record.value, non_compliant.contains_key(key), round.now)))
            .collect();
        let candidates = checks.iter().filter(|(_, check)| match check {
            RecordCheck::FindResource => true,
            RecordCheck::ReadResults(query) => *query.if_missing == RecordCheck::FindResource,
            RecordCheck::Keep | RecordCheck::Close(_) => false,
        });
        let (deleted, mut trouble) = match self.deleted_resources(candidates.map(|(key, _)| key)).await {
            Ok(deleted) => (deleted, None),
            Err(error) => (BTreeSet::new(), Some(error)),
        };
        let mut compliant = CompliantResults::new();
        for (key, record) in &mut records.open {
            let check = match checks.get(key) {
                None | Some(RecordCheck::Keep) => continue,
                Some(RecordCheck::ReadResults(_)) if trouble.is_some() => continue,
                Some(RecordCheck::ReadResults(query)) => {
                    match self.check_results(record, query, visible, &mut compliant, round).await {
                        Ok(check) => check,
                        Err(error) => {
                            trouble = Some(error);
                            continue;
                        }
                    }
                }
                Some(check) => check.clone(),
            };
            let closing = match check {
                RecordCheck::Close(closing) => closing,
                RecordCheck::FindResource if deleted.contains(key) => ClosedReason::ResourceGone,
                _ => continue,
            };
            info!(violation = %key, ?closing, "violation closed by the sweep");
            close(record, closing, &compliant, round);
            swept.closed = swept.closed.saturating_add(1);
            records.changed.insert(key.clone(), record.clone());
        }
        trouble
    }

    /// Updates severities, exemptions and findings of the records that are still open.
    async fn update_open(&self, round: &Round<'_>, records: &mut Records, swept: &mut SweepSummary) {
        let is_open = |record: &&Versioned<ViolationRecord>| record.value.status == ViolationStatus::Open;
        // Tags matter where the policy selects by tags, and where no look-up has succeeded yet.
        let by_tags = round.reporting.depends_on_tags();
        let outdated = records.open.values().filter(is_open);
        let outdated = outdated.filter(|record| by_tags || record.value.resource.arn.is_none());
        let resources = look_up(&self.resources, outdated.map(|record| &record.value.key)).await;
        for (key, record) in records.open.iter().filter(|(_, record)| is_open(record)) {
            let mut updated = record.clone();
            if let Some(resource) = resources.get(key) {
                updated.value.severity = round.reporting.severity(key, resource);
                updated.value.resource.clone_from(resource);
            }
            update(&mut updated.value, round, swept);
            if updated.value != record.value {
                records.changed.insert(key.clone(), updated);
            }
        }
    }

    /// Returns the violations whose resource AWS Config's inventory no longer contains. Without an aggregator that is unknown.
    async fn deleted_resources<'k>(
        &self,
        keys: impl Iterator<Item = &'k ViolationKey>,
    ) -> Result<BTreeSet<ViolationKey>> {
        let keys: Vec<&ViolationKey> =
            keys.filter(|key| INVENTORY_TYPES.contains(&key.resource_type.as_str())).collect();
        if keys.is_empty() || !self.source.apis().contains(&ComplianceApi::Aggregator) {
            return Ok(BTreeSet::new());
        }
        let ids: BTreeSet<ResourceId> = keys.iter().map(|key| resource_id(key)).collect();
        let existing = self.resources.look_up(&Vec::from_iter(ids)).await?;
        Ok(keys.into_iter().filter(|key| !existing.contains_key(&resource_id(key))).cloned().collect())
    }

    /// Reads the results of each Region by the best API that shows its rules. Also returns why other Regions are not visible, by the
    /// last API.
    async fn read_results(
        &self,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<(Visible, BTreeMap<RegionName, BlindSpotReason>)> {
        let mut visible = Visible::new();
        let mut reasons = BTreeMap::new();
        let mut failed = None;
        let ways = self.source.apis();
        if ways.is_empty() {
            let reason = BlindSpotReason { cause: BlindSpotCause::NoSource, detail: None };
            reasons.extend(regions.iter().map(|region| (region.clone(), reason.clone())));
        }
        for via in ways {
            let missing: BTreeSet<RegionName> =
                regions.iter().filter(|region| !visible.contains_key(*region)).cloned().collect();
            if missing.is_empty() {
                break;
            }
            match self.source.read_results(via, account, &missing).await {
                Ok(sights) => {
                    for (region, sight) in sights {
                        if !sight.rules.is_empty() {
                            visible.insert(region, (via, sight));
                        } else if let Some(reason) = sight.blind {
                            reasons.insert(region, reason);
                        }
                    }
                }
                Err(error) => {
                    warn!(%account, ?via, %error, "AWS Config not read");
                    reasons.extend(missing.into_iter().map(|region| (region, error.blind_spot_reason())));
                    failed = Some(error);
                }
            }
        }
        // An error counts only if no other API has shown a Region.
        match failed {
            Some(error) if visible.is_empty() => Err(error),
            _ => Ok((visible, reasons)),
        }
    }

    /// Decides about a record by the COMPLIANT results of its rules.
    async fn check_results(
        &self,
        record: &Versioned<ViolationRecord>,
        query: &ResultQuery,
        visible: &Visible,
        compliant: &mut CompliantResults,
        round: &Round<'_>,
    ) -> Result<RecordCheck> {
        let ViolationKey { account, region, .. } = &record.value.key;
        let Some((via, _)) = visible.get(region) else { return Ok(RecordCheck::Keep) };
        for rule in &query.rules {
            if let Entry::Vacant(unread) = compliant.entry((region.clone(), rule.clone())) {
                let results = self.source.compliant_results(*via, account, region, rule).await?;
                let by_resource =
                    |result: EvaluationResult| ((result.resource_type.clone(), result.resource_id.clone()), result);
                unread.insert(results.into_iter().map(by_resource).collect());
            }
        }
        Ok(match latest_result(record, compliant) {
            // An older result is a delayed one of the aggregator.
            Some(result) if change_of(account, region, result, round.now).ordering > record.value.ordering => {
                RecordCheck::Close(ClosedReason::Satisfied)
            }
            Some(_) => RecordCheck::Keep,
            None => (*query.if_missing).clone(),
        })
    }

    /// Stores records in parallel, with a claim on their delivery. Records that another writer has changed are left to the next sweep.
    async fn store_all(
        &self,
        records: BTreeMap<ViolationKey, Versioned<ViolationRecord>>,
        swept: &mut SweepSummary,
    ) -> Vec<Versioned<ViolationRecord>> {
        let until = self.clock.now().checked_add(CLAIM).ok();
        let mut writes = iter(records.into_values().map(|mut record| async move {
            record.value.delivery_claimed_until = until.filter(|_| !record.value.pending.is_empty());
            let stored = self.store.put(&record).await;
            stored.map(|version| Versioned { version, ..record })
        }))
        .buffer_unordered(PARALLEL_WRITES);
        let mut stored = Vec::new();
        while let Some(outcome) = writes.next().await {
            match outcome {
                Ok(record) => stored.push(record),
                Err(error) if error.kind == PortErrorKind::Conflict => {
                    info!("record changed concurrently, left to the next sweep");
                }
                Err(error) => {
                    warn!(%error, "record not stored, left to the next sweep");
                    swept.failures.push(error.to_string());
                }
            }
        }
        stored
    }
}

fn close(
    record: &mut Versioned<ViolationRecord>,
    closing: ClosedReason,
    compliant: &CompliantResults,
    round: &Round<'_>,
) {
    let ViolationKey { account, region, .. } = record.value.key.clone();
    match latest_result(record, compliant).filter(|_| closing == ClosedReason::Satisfied) {
        Some(result) => {
            let change = change_of(&account, &region, result, round.now);
            record.value.ordering = change.ordering;
            record.value.annotation = change.annotation;
        }
        // Results of AWS Config after this time are newer than the record.
        None => record.value.ordering.notified = record.value.ordering.notified.max(round.now),
    }
    record.value.record_closing(closing, round.channels, round.now);
}

fn latest_result<'s>(
    record: &Versioned<ViolationRecord>,
    compliant: &'s CompliantResults,
) -> Option<&'s EvaluationResult> {
    let key = &record.value.key;
    let resource = (key.resource_type.clone(), key.resource_id.clone());
    compliant
        .iter()
        .filter(|((region, rule), _)| *region == key.region && control_of(rule) == key.control)
        .filter_map(|(_, results)| results.get(&resource))
        .max_by_key(|result| (result.triggered, result.recorded))
}

/// Updates the exemption of an open record, and refreshes its finding before Security Hub deletes it.
fn update(record: &mut ViolationRecord, round: &Round<'_>, swept: &mut SweepSummary) {
    let Round { reporting, channels, now, .. } = round;
    // Exemptions are unknown until a policy is published.
    if round.in_force.reporting.is_some() {
        let covering = covering_exemption(reporting, &record.key, &record.resource, *now);
        match (record.exemption.is_some(), covering) {
            (false, Some(exempt)) => {
                record.record_exemption(exempt, channels, *now);
                swept.exempted = swept.exempted.saturating_add(1);
            }
            (true, None) => {
                record.record_exemption_end(channels, *now);
                swept.exemptions_ended = swept.exemptions_ended.saturating_add(1);
            }
            (true, Some(exempt)) => record.exemption = Some(exempt),
            (false, None) => {}
        }
    }
    if record.exemption.is_some() {
        return;
    }
    let is_fresh = record.finding_sent_at.is_some_and(|at| now.duration_since(at) < FINDING_REFRESH);
    // A given-up delivery is retried weekly, since Security Hub may have been enabled.
    let given_up = record.delivery_failures.get(&Channel::SecurityHub).filter(|undelivered| undelivered.is_abandoned);
    let is_fresh = is_fresh || given_up.is_some_and(|given_up| now.duration_since(given_up.last) < GIVEN_UP_RETRY);
    if channels.contains(&Channel::SecurityHub)
        && !is_fresh
        && record.pending_for(Channel::SecurityHub).next().is_none()
    {
        record.request_finding_refresh(channels, *now);
    }
}
