//! One account: what AWS Config knows of it, what is on record, and what is overdue.

use super::compare::{Doubt, Places, Verdict, changed, judge};
use super::{Round, Sweep, Swept, spot};
use crate::events::too_long;
use crate::in_force::covering;
use crate::ports::{
    BackupPlans, Clock, ComplianceSource, EvaluationResult, Organization, Outlets, PolicyDirectory, PortErrorKind,
    ResourceDirectory, ResourceId, Result, Sight, SweepStore, Versioned, Via, ViolationStore,
};
use crate::report::{Judge, look_up, resource_id};
use crate::telling::AT_ONCE;
use domain::ids::{AccountId, RegionName};
use domain::notice::{BlindCause, BlindReason, BlindSpot};
use domain::violation::{Change, Closing, Heard, Key, Outlet, Record, ResourceFacts, Status};
use futures_util::StreamExt;
use futures_util::stream::iter;
use jiff::SignedDuration;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use tracing::{info, warn};

/// Security Hub forgets a finding 90 days after its last update.
const FINDING_LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The time between two attempts to import a finding that was given up.
const GIVEN_UP_RETRY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Types that Config's inventory can be asked for, so that one that is not there is gone (awslabs/aws-config-resource-schema).
const IN_INVENTORY: [&str; 10] = [
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

/// How long the sweep needs at most from the first record that it stores of an account to its delivery. If it ends in between, the
/// next sweep delivers.
const CLAIM: SignedDuration = SignedDuration::from_mins(10);

/// What can be seen of each Region, and how.
type Seen = BTreeMap<RegionName, (Via, Sight)>;
/// Why a Region cannot be seen.
pub(super) type Unseen = BTreeMap<RegionName, BlindReason>;

/// Results of one rule that are COMPLIANT, by resource, asked for once.
type Satisfied = BTreeMap<(RegionName, String), BTreeMap<(String, String), EvaluationResult>>;

impl<S, O, D, R, X, G, C> Sweep<S, O, D, R, X, G, C>
where
    S: ViolationStore + SweepStore,
    O: Outlets,
    D: PolicyDirectory,
    R: ResourceDirectory + BackupPlans,
    X: ComplianceSource,
    G: Organization,
    C: Clock,
{
    /// Compares one account. A failure concerns this account only: it is a blind spot until the next sweep.
    pub(super) async fn account(
        &self,
        round: &Round<'_>,
        account: &AccountId,
        blind: &mut Vec<BlindSpot>,
        swept: &mut Swept,
    ) {
        if let Err(error) = self.compare(round, account, blind, swept).await {
            warn!(%account, %error, "the account could not be compared");
            let regions = round.in_force.controls_in(account).into_keys();
            let reason = error.blind();
            blind.extend(regions.map(|region| spot(account, &region, reason.clone(), round.now)));
            swept.failures.push(error.to_string());
        }
    }

    async fn compare(
        &self,
        round: &Round<'_>,
        account: &AccountId,
        blind: &mut Vec<BlindSpot>,
        swept: &mut Swept,
    ) -> Result<()> {
        let in_force = round.in_force.controls_in(account);
        let open = self.store.open_in(account).await?;
        let mut regions: BTreeSet<RegionName> = in_force.keys().cloned().collect();
        regions.extend(open.iter().map(|record| record.value.key.region.clone()));
        let (seen, unseen) = self.look(account, &regions).await?;
        let sights: BTreeMap<&RegionName, &Sight> = seen.iter().map(|(region, (_, sight))| (region, sight)).collect();
        let published = !round.in_force.frameworks.is_empty();
        let places = Places { in_force: &in_force, published, seen: &sights };
        blind.extend(places.blind(account, &unseen, round.now));

        let mut known: BTreeMap<Key, Versioned<Record>> =
            open.into_iter().map(|record| (record.value.key.clone(), record)).collect();
        let mut news: BTreeMap<Key, Versioned<Record>> = BTreeMap::new();

        // What Config says is broken, and is not on record as open.
        let mut broken = places.broken(account, round.now);
        broken.retain(|key, _| {
            let excess = key.excess_length();
            if let Some(length) = excess {
                let why = too_long(length);
                warn!(violation = %key, why, "not recorded");
                swept.failures.push(why);
            }
            excess.is_none()
        });
        let unknown: Vec<Key> = broken.keys().filter(|key| !known.contains_key(*key)).cloned().collect();
        let on_file = if unknown.is_empty() { BTreeMap::new() } else { self.store.read(&unknown).await? };
        let resources = look_up(&self.resources, unknown.iter()).await;
        let judging = Judge {
            in_force: round.in_force,
            reporting: round.reporting,
            outlets: round.outlets,
            heard: Heard::Sweep,
            now: round.now,
        };
        for (key, change) in unknown.iter().filter_map(|key| broken.get(key).map(|change| (key, change))) {
            let before = on_file.get(key);
            let known = before.map(|before| &before.value);
            let replayed = judging.replay(known, std::iter::once(change), resources.get(key));
            if let Some(value) = replayed.record {
                let counter = if before.is_some() { &mut swept.repaired } else { &mut swept.opened };
                *counter = counter.saturating_add(1);
                info!(violation = %key, "found by the sweep");
                news.insert(key.clone(), Versioned { value, version: before.map_or(0, |before| before.version) });
            }
        }

        // What is on record as open, and Config does not say is broken.
        let mut satisfied = Satisfied::new();
        let verdicts: BTreeMap<Key, Verdict> = known
            .iter()
            .map(|(key, record)| (key.clone(), judge(&record.value, &places, broken.contains_key(key), round.now)))
            .collect();
        let searched = verdicts.iter().filter(|(_, verdict)| match verdict {
            Verdict::Search => true,
            Verdict::Ask(doubt) => *doubt.if_gone == Verdict::Search,
            Verdict::Open | Verdict::Close(_) => false,
        });
        // A doubt that cannot be settled now stays one; it must not hold back what was found above.
        let (missing, mut trouble) = match self.missing(searched).await {
            Ok(missing) => (missing, None),
            Err(error) => (BTreeSet::new(), Some(error)),
        };
        for (key, record) in &mut known {
            let verdict = match verdicts.get(key) {
                None | Some(Verdict::Open) => continue,
                Some(Verdict::Ask(_)) if trouble.is_some() => continue,
                Some(Verdict::Ask(doubt)) => {
                    match self.settle(account, record, doubt, &seen, &mut satisfied, round).await {
                        Ok(verdict) => verdict,
                        Err(error) => {
                            trouble = Some(error);
                            continue;
                        }
                    }
                }
                Some(verdict) => verdict.clone(),
            };
            let verdict = match verdict {
                Verdict::Search if missing.contains(key) => Verdict::Close(Closing::ResourceGone),
                other => other,
            };
            if let Verdict::Close(closing) = verdict {
                info!(violation = %key, ?closing, "closed by the sweep");
                self.close(record, closing, &satisfied, round);
                swept.closed = swept.closed.saturating_add(1);
                news.insert(key.clone(), record.clone());
            }
        }

        if let Some(error) = trouble {
            warn!(%account, %error, "whether open violations are gone is left to the next sweep");
            swept.failures.push(error.to_string());
        }

        // What is open, and overdue.
        let fresh = self.fresh(round, &known).await;
        for (key, record) in known {
            if record.value.status == Status::Open {
                let mut later = record.clone();
                if let Some(resource) = fresh.get(&key) {
                    later.value.severity = round.reporting.severity(&key, resource);
                    later.value.resource.clone_from(resource);
                }
                overdue(&mut later.value, round, swept);
                if later.value != record.value {
                    news.insert(key, later);
                }
            }
        }
        let stored = self.store_all(news, swept).await;
        self.tell(round, stored, false, swept).await;
        Ok(())
    }

    /// What Config knows of resources now, where that may have changed what the policy says of them: where nothing was known when the
    /// violation was opened, and everywhere if the policy goes by tags.
    async fn fresh(&self, round: &Round<'_>, known: &BTreeMap<Key, Versioned<Record>>) -> BTreeMap<Key, ResourceFacts> {
        let by_tags = round.reporting.goes_by_tags();
        let open = known.values().filter(|record| record.value.status == Status::Open);
        let asked = open.filter(|record| by_tags || record.value.resource.arn.is_none());
        look_up(&self.resources, asked.map(|record| &record.value.key)).await
    }

    /// Of these, the resources that Config's inventory does not have any more. Without an aggregator nobody can say.
    async fn missing<'k>(&self, searched: impl Iterator<Item = (&'k Key, &'k Verdict)>) -> Result<BTreeSet<Key>> {
        let searched = searched.map(|(key, _)| key);
        let keys: Vec<&Key> = searched.filter(|key| IN_INVENTORY.contains(&key.resource_type.as_str())).collect();
        if keys.is_empty() || !self.source.ways().contains(&Via::Aggregator) {
            return Ok(BTreeSet::new());
        }
        let wanted: BTreeSet<ResourceId> = keys.iter().map(|key| resource_id(key)).collect();
        let wanted: Vec<ResourceId> = wanted.into_iter().collect();
        let there = self.resources.look_up(&wanted).await?;
        Ok(keys.into_iter().filter(|key| !there.contains_key(&resource_id(key))).cloned().collect())
    }

    /// Looks at every Region in the best way that shows it. Returns as well why the others are not shown, as the last way has it.
    async fn look(&self, account: &AccountId, regions: &BTreeSet<RegionName>) -> Result<(Seen, Unseen)> {
        let mut seen = Seen::new();
        let mut unseen = Unseen::new();
        let mut failed = None;
        let ways = self.source.ways();
        if ways.is_empty() {
            let reason = BlindReason { cause: BlindCause::NoSource, detail: None };
            unseen.extend(regions.iter().map(|region| (region.clone(), reason.clone())));
        }
        for via in ways {
            let missing: BTreeSet<RegionName> =
                regions.iter().filter(|region| !seen.contains_key(*region)).cloned().collect();
            if missing.is_empty() {
                break;
            }
            match self.source.look(via, account, &missing).await {
                Ok(sights) => {
                    for (region, sight) in sights {
                        if !sight.rules.is_empty() {
                            seen.insert(region, (via, sight));
                        } else if let Some(reason) = sight.blind {
                            unseen.insert(region, reason);
                        }
                    }
                }
                Err(error) => {
                    warn!(%account, ?via, %error, "AWS Config could not be asked in this way");
                    unseen.extend(missing.into_iter().map(|region| (region, error.blind())));
                    failed = Some(error);
                }
            }
        }
        // Where one way fails another may do; where none did, the failure is the reason.
        match failed {
            Some(error) if seen.is_empty() => Err(error),
            _ => Ok((seen, unseen)),
        }
    }

    /// Settles a doubt: is the resource right, or gone?
    async fn settle(
        &self,
        account: &AccountId,
        record: &Versioned<Record>,
        doubt: &Doubt,
        seen: &Seen,
        satisfied: &mut Satisfied,
        round: &Round<'_>,
    ) -> Result<Verdict> {
        let key = &record.value.key;
        let Some((via, _)) = seen.get(&key.region) else { return Ok(Verdict::Open) };
        for rule in &doubt.rules {
            if let Entry::Vacant(unasked) = satisfied.entry((key.region.clone(), rule.clone())) {
                let results = self.source.satisfied(*via, account, &key.region, rule).await?;
                let by_resource =
                    |result: EvaluationResult| ((result.resource_type.clone(), result.resource_id.clone()), result);
                unasked.insert(results.into_iter().map(by_resource).collect());
            }
        }
        Ok(match result(record, satisfied) {
            // Not newer than what is on record: the aggregator lags behind.
            Some(result) => {
                let change = changed(account, &key.region, result, round.now);
                if change.ordering > record.value.ordering { Verdict::Close(Closing::Satisfied) } else { Verdict::Open }
            }
            None => (*doubt.if_gone).clone(),
        })
    }

    fn close(&self, record: &mut Versioned<Record>, closing: Closing, satisfied: &Satisfied, round: &Round<'_>) {
        let key = record.value.key.clone();
        match result(record, satisfied).filter(|_| closing == Closing::Satisfied) {
            Some(result) => {
                let change: Change = changed(&key.account, &key.region, result, round.now);
                record.value.ordering = change.ordering;
                record.value.annotation = change.annotation;
            }
            // The same result, told at a later time: whatever Config says next is newer.
            None => record.value.ordering.notified = record.value.ordering.notified.max(round.now),
        }
        record.value.closed_by(closing, round.outlets, round.now);
    }

    /// Stores records side by side, with a claim on their delivery; those that another writer has changed meanwhile wait for the
    /// next sweep.
    async fn store_all(&self, news: BTreeMap<Key, Versioned<Record>>, swept: &mut Swept) -> Vec<Versioned<Record>> {
        let until = self.clock.now().checked_add(CLAIM).ok();
        let mut work = iter(news.into_values().map(|mut record| async move {
            record.value.delivery_claimed_until = until.filter(|_| !record.value.owed.is_empty());
            let stored = self.store.put(&record).await;
            stored.map(|version| Versioned { version, ..record })
        }))
        .buffer_unordered(AT_ONCE);
        let mut stored = Vec::new();
        while let Some(outcome) = work.next().await {
            match outcome {
                Ok(record) => stored.push(record),
                Err(error) if error.kind == PortErrorKind::Conflict => {
                    info!("changed meanwhile, left to the next sweep")
                }
                Err(error) => {
                    warn!(%error, "not stored, left to the next sweep");
                    swept.failures.push(error.to_string());
                }
            }
        }
        stored
    }
}

fn result<'s>(record: &Versioned<Record>, satisfied: &'s Satisfied) -> Option<&'s EvaluationResult> {
    let key = &record.value.key;
    let resource = (key.resource_type.clone(), key.resource_id.clone());
    satisfied
        .iter()
        .filter(|((region, rule), _)| *region == key.region && super::compare::control(rule) == key.control)
        .filter_map(|(_, results)| results.get(&resource))
        .max_by_key(|result| (result.triggered, result.recorded))
}

/// Exemptions that have come or gone, findings that would be forgotten.
fn overdue(record: &mut Record, round: &Round<'_>, swept: &mut Swept) {
    let Round { reporting, outlets, now, .. } = round;
    // As long as no policy was published nobody knows what is exempt.
    if round.in_force.reporting.is_some() {
        let covering = covering(reporting, &record.key, &record.resource, *now);
        match (record.exempt.is_some(), covering) {
            (false, Some(exempt)) => {
                record.exempted(exempt, outlets, *now);
                swept.exempted = swept.exempted.saturating_add(1);
            }
            (true, None) => {
                record.exemption_ended(outlets, *now);
                swept.exemptions_ended = swept.exemptions_ended.saturating_add(1);
            }
            (true, Some(exempt)) => record.exempt = Some(exempt),
            (false, None) => {}
        }
    }
    if record.exempt.is_some() {
        return;
    }
    let fresh = record.finding_at.is_some_and(|at| now.duration_since(at) < FINDING_LASTS);
    // Where Security Hub rejected it for days, one attempt a week: it may have been enabled since.
    let given_up = record.undelivered.get(&Outlet::Finding).filter(|undelivered| undelivered.given_up);
    let fresh = fresh || given_up.is_some_and(|given_up| now.duration_since(given_up.last) < GIVEN_UP_RETRY);
    if outlets.contains(&Outlet::Finding) && !fresh && record.owed_to(Outlet::Finding).next().is_none() {
        record.refresh_finding(outlets, *now);
    }
}
