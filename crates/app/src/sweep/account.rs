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

use super::compare::{AccountComparison, RecordCheck};
use super::{Round, Sweep, SweepSummary};
use crate::delivery::PARALLEL_WRITES;
use crate::events::{control_of, too_long};
use crate::in_force::PolicyContext;
use crate::ports::{Clock, PortError, PortErrorKind, Result, Versioned};
use crate::report::{Replay, look_up, resource_id};
use crate::sweep::ports::{ComplianceApi, ComplianceSource, EvaluationResult, SweepEnv};
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

/// An upper bound of the time from the first stored record of an account to its delivery.
const CLAIM: SignedDuration = SignedDuration::from_mins(10);

/// COMPLIANT results by Region and rule, then by resource type and id. Each rule is read once.
type CompliantResults = BTreeMap<(RegionName, String), BTreeMap<(String, String), EvaluationResult>>;

struct Records {
    /// Open records before the comparison; those that it closes are updated in place.
    open: BTreeMap<ViolationKey, Versioned<ViolationRecord>>,
    changed: BTreeMap<ViolationKey, Versioned<ViolationRecord>>,
}

impl<E: SweepEnv> Round<'_, E> {
    /// Compares one account. If that fails, its Regions are blind spots until the next sweep.
    pub(super) async fn account(&mut self, account: &AccountId) {
        if let Err(error) = self.compare(account).await {
            warn!(%account, %error, "account not compared");
            let reason = error.blind_spot_reason();
            let regions = self.context.in_force.controls_in(account).into_keys();
            self.blind.extend(regions.map(|region| BlindSpot {
                account: account.clone(),
                region,
                reason: reason.clone(),
                since: self.context.now,
            }));
            self.summary.failures.push(error.to_string());
        }
    }

    async fn compare(&mut self, account: &AccountId) -> Result<()> {
        let PolicyContext { in_force: published, now, .. } = self.context;
        let in_force = published.controls_in(account);
        let open = self.sweep.store.open_in(account).await?;
        let mut regions: BTreeSet<RegionName> = in_force.keys().cloned().collect();
        regions.extend(open.iter().map(|record| record.value.key.region.clone()));
        let is_published = !published.frameworks.is_empty();
        let mut state = AccountComparison { account, now, in_force, is_published, visible: BTreeMap::new() };
        let reasons = self.sweep.read_results(&mut state, &regions).await?;
        self.blind.extend(state.blind_spots(&reasons));

        let open = open.into_iter().map(|record| (record.value.key.clone(), record)).collect();
        let mut records = Records { open, changed: BTreeMap::new() };
        let non_compliant = state.non_compliant();
        self.open_unrecorded(&non_compliant, &mut records).await?;
        if let Some(error) = self.close_resolved(&state, &non_compliant, &mut records).await {
            warn!(%account, %error, "some open violations not compared, left to the next sweep");
            self.summary.failures.push(error.to_string());
        }
        self.update_open(&mut records).await;
        let stored = self.store_all(records.changed).await;
        self.deliver(stored, false).await;
        Ok(())
    }

    async fn open_unrecorded(
        &mut self,
        non_compliant: &BTreeMap<ViolationKey, ComplianceChange>,
        records: &mut Records,
    ) -> Result<()> {
        let mut unrecorded = Vec::new();
        for key in non_compliant.keys() {
            if let Some(length) = key.excess_length() {
                let reason = too_long(length);
                warn!(violation = %key, reason, "violation not recorded");
                self.summary.failures.push(reason);
            } else if !records.open.contains_key(key) {
                unrecorded.push(key.clone());
            }
        }
        let closed = if unrecorded.is_empty() { BTreeMap::new() } else { self.sweep.store.read(&unrecorded).await? };
        let resources = look_up(&self.sweep.resources, unrecorded.iter()).await;
        let replay = Replay { context: self.context, detected_by: DetectionSource::Sweep };
        for (key, change) in unrecorded.iter().filter_map(|key| non_compliant.get_key_value(key)) {
            let known = closed.get(key);
            let before = known.map(|known| &known.value);
            let replayed = replay.apply(before, std::iter::once(change), resources.get(key));
            let Some(value) = replayed.record else { continue };
            *(if known.is_some() { &mut self.summary.reopened } else { &mut self.summary.opened }) += 1;
            info!(violation = %key, "violation opened by the sweep");
            let version = known.map_or(0, |known| known.version);
            records.changed.insert(key.clone(), Versioned { value, version });
        }
        Ok(())
    }

    /// Closes open records without a NON_COMPLIANT result, where AWS Config confirms it. Returns an error that left records open.
    async fn close_resolved(
        &mut self,
        state: &AccountComparison<'_>,
        non_compliant: &BTreeMap<ViolationKey, ComplianceChange>,
        records: &mut Records,
    ) -> Option<PortError> {
        let check = |(key, record): (&ViolationKey, &Versioned<ViolationRecord>)| {
            (key.clone(), state.check(&record.value, non_compliant.contains_key(key)))
        };
        let checks: BTreeMap<ViolationKey, RecordCheck> = records.open.iter().map(check).collect();
        let candidates = checks.iter().filter(|(_, check)| match check {
            RecordCheck::FindResource => true,
            RecordCheck::ReadResults { if_missing, .. } => **if_missing == RecordCheck::FindResource,
            RecordCheck::Keep | RecordCheck::Close(_) => false,
        });
        let (deleted, mut failed) = match self.sweep.deleted_resources(candidates.map(|(key, _)| key)).await {
            Ok(deleted) => (deleted, None),
            Err(error) => (BTreeSet::new(), Some(error)),
        };
        let mut compliant = CompliantResults::new();
        for (key, record) in &mut records.open {
            let check = match checks.get(key) {
                None | Some(RecordCheck::Keep) => continue,
                Some(RecordCheck::ReadResults { .. }) if failed.is_some() => continue,
                Some(RecordCheck::ReadResults { rules, if_missing }) => {
                    match self.sweep.check_results(state, &record.value, rules, &mut compliant).await {
                        Ok(check) => check.unwrap_or_else(|| (**if_missing).clone()),
                        Err(error) => {
                            failed = Some(error);
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
            match latest_result(&record.value, &compliant).filter(|_| closing == ClosedReason::Satisfied) {
                Some(result) => {
                    let change = state.change(&key.region, result);
                    record.value.ordering = change.ordering;
                    record.value.annotation = change.annotation;
                }
                // Results of AWS Config after this time are newer than the record.
                None => record.value.ordering.notified = record.value.ordering.notified.max(state.now),
            }
            record.value.record_closing(closing, self.context.channels, state.now);
            self.summary.closed += 1;
            records.changed.insert(key.clone(), record.clone());
        }
        failed
    }

    async fn update_open(&mut self, records: &mut Records) {
        let reporting = self.context.reporting;
        let open = || records.open.iter().filter(|(_, record)| record.value.status == ViolationStatus::Open);
        // Tags matter where the policy selects by tags, and where no look-up has succeeded yet.
        let by_tags = reporting.depends_on_tags();
        let outdated = open().filter(|(_, record)| by_tags || record.value.resource.arn.is_none());
        let resources = look_up(&self.sweep.resources, outdated.map(|(key, _)| key)).await;
        for (key, record) in open() {
            let mut updated = record.clone();
            if let Some(resource) = resources.get(key) {
                updated.value.severity = reporting.severity(key, resource);
                updated.value.resource.clone_from(resource);
            }
            update(&mut updated.value, self.context, &mut self.summary);
            if updated.value != record.value {
                records.changed.insert(key.clone(), updated);
            }
        }
    }

    /// Stores records in parallel, with a claim on their delivery. Records that another writer has changed are left to the next sweep.
    async fn store_all(
        &mut self,
        records: BTreeMap<ViolationKey, Versioned<ViolationRecord>>,
    ) -> Vec<Versioned<ViolationRecord>> {
        let Sweep { store, clock, .. } = self.sweep;
        let until = clock.now().checked_add(CLAIM).ok();
        let writes = records.into_values().map(|mut record| async move {
            record.value.delivery_claimed_until = until.filter(|_| !record.value.pending.is_empty());
            store.put(&record).await.map(|version| Versioned { version, ..record })
        });
        let mut writes = iter(writes).buffer_unordered(PARALLEL_WRITES);
        let mut stored = Vec::new();
        while let Some(outcome) = writes.next().await {
            if outcome.as_ref().is_err_and(|error| error.kind == PortErrorKind::Conflict) {
                info!("record changed concurrently, left to the next sweep");
                continue;
            }
            stored.extend(self.summary.check(outcome, "record not stored, left to the next sweep"));
        }
        stored
    }
}

impl<E: SweepEnv> Sweep<E> {
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

    /// Reads the results of each Region by the best API that shows its rules. Returns why other Regions are not visible.
    async fn read_results(
        &self,
        AccountComparison { account, visible, .. }: &mut AccountComparison<'_>,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, BlindSpotReason>> {
        let mut reasons = BTreeMap::new();
        let mut failed = None;
        let apis = self.source.apis();
        if apis.is_empty() {
            let reason = BlindSpotReason { cause: BlindSpotCause::NoSource, detail: None };
            reasons.extend(regions.iter().map(|region| (region.clone(), reason.clone())));
        }
        for via in apis {
            let missing: BTreeSet<RegionName> =
                regions.iter().filter(|region| !visible.contains_key(*region)).cloned().collect();
            if missing.is_empty() {
                break;
            }
            match self.source.read_results(via, account, &missing).await {
                Ok(results) => {
                    for (region, results) in results {
                        if !results.rules.is_empty() {
                            visible.insert(region, (via, results));
                        } else if let Some(reason) = results.blind {
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
        failed.filter(|_| visible.is_empty()).map_or(Ok(reasons), Err)
    }

    /// Decides about a record by the COMPLIANT results of its rules; `None` if there are none.
    async fn check_results(
        &self,
        state: &AccountComparison<'_>,
        record: &ViolationRecord,
        rules: &[String],
        compliant: &mut CompliantResults,
    ) -> Result<Option<RecordCheck>> {
        let region = &record.key.region;
        let Some((via, _)) = state.visible.get(region) else { return Ok(Some(RecordCheck::Keep)) };
        for rule in rules {
            if let Entry::Vacant(unread) = compliant.entry((region.clone(), rule.clone())) {
                let results = self.source.compliant_results(*via, state.account, region, rule).await?;
                let by_resource =
                    |result: EvaluationResult| ((result.resource_type.clone(), result.resource_id.clone()), result);
                unread.insert(results.into_iter().map(by_resource).collect());
            }
        }
        // An older result is a delayed one of the aggregator.
        Ok(latest_result(record, compliant).map(|result| {
            match state.change(region, result).ordering > record.ordering {
                true => RecordCheck::Close(ClosedReason::Satisfied),
                false => RecordCheck::Keep,
            }
        }))
    }
}

fn latest_result<'s>(record: &ViolationRecord, compliant: &'s CompliantResults) -> Option<&'s EvaluationResult> {
    let key = &record.key;
    let resource = (key.resource_type.clone(), key.resource_id.clone());
    let of_control =
        compliant.iter().filter(|((region, rule), _)| *region == key.region && control_of(rule) == key.control);
    let results = of_control.filter_map(|(_, results)| results.get(&resource));
    results.max_by_key(|result| (result.triggered, result.recorded))
}

/// Updates the exemption of an open record, and refreshes its finding before Security Hub deletes it.
fn update(record: &mut ViolationRecord, context: PolicyContext<'_>, summary: &mut SweepSummary) {
    let PolicyContext { in_force, channels, now, .. } = context;
    // Exemptions are unknown until a policy is published.
    if in_force.reporting.is_some() {
        match (record.exemption.is_some(), context.exemption(&record.key, &record.resource)) {
            (false, Some(exempt)) => {
                record.record_exemption(exempt, channels, now);
                summary.exempted += 1;
            }
            (true, None) => {
                record.record_exemption_end(channels, now);
                summary.exemptions_ended += 1;
            }
            (true, Some(exempt)) => record.exemption = Some(exempt),
            (false, None) => {}
        }
    }
    if record.exemption.is_some() {
        return;
    }
    const HUB: Channel = Channel::SecurityHub;
    let is_fresh = record.finding_sent_at.is_some_and(|at| now.duration_since(at) < FINDING_REFRESH);
    // A given-up delivery is retried weekly, since Security Hub may have been enabled.
    let given_up = record.delivery_failures.get(&HUB).filter(|failure| failure.is_abandoned);
    let is_fresh = is_fresh || given_up.is_some_and(|given_up| now.duration_since(given_up.last) < GIVEN_UP_RETRY);
    if channels.contains(&HUB) && !is_fresh && record.pending_for(HUB).next().is_none() {
        record.request_finding_refresh(channels, now);
    }
}
