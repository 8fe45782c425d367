//! The state of the sweep. Partition `sweep`: its progress, the known blind spots, the exemptions whose owner was notified of their
//! end, the week of the last reminders.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use app::ports::{Result, Versioned};
use app::sweep::ports::{ReminderWeek, SweepProgress, SweepStore};
use domain::notice::{BlindSpot, BlindSpotReason};
use framework::ids::{AccountId, RegionName};

use super::deploy::{ACCOUNTS, FRAMEWORKS};
use super::{StateTable, document_item, read_document, read_version};

const SWEEP: &str = "sweep";
const PROGRESS: &str = "progress";
const BLIND_SPOTS: &str = "blind-spots";
const EXPIRING: &str = "expiring-exemptions";
const REMINDERS: &str = "reminders";

/// Blind spots by reason and time, a few bytes each: an organization without its aggregator has thousands of them with one reason,
/// and an item has at most 400 KB.
#[derive(Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct PackedBlindSpots(Vec<(BlindSpotReason, Timestamp, BTreeMap<AccountId, BTreeSet<RegionName>>)>);

impl PackedBlindSpots {
    fn pack(spots: &[BlindSpot]) -> Self {
        let mut packed: BTreeMap<(&BlindSpotReason, Timestamp), BTreeMap<AccountId, BTreeSet<RegionName>>> =
            BTreeMap::new();
        for BlindSpot { account, region, reason, since } in spots {
            let locations = packed.entry((reason, *since)).or_default();
            locations.entry(account.clone()).or_default().insert(region.clone());
        }
        Self(packed.into_iter().map(|((reason, since), locations)| (reason.clone(), since, locations)).collect())
    }

    /// Returns the blind spots sorted by account and Region.
    fn unpack(self) -> Vec<BlindSpot> {
        let mut spots = Vec::new();
        for (reason, since, locations) in self.0 {
            for (account, regions) in locations {
                spots.extend(regions.into_iter().map(|region| BlindSpot {
                    account: account.clone(),
                    region,
                    reason: reason.clone(),
                    since,
                }));
            }
        }
        spots.sort();
        spots
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredProgress {
    began: Timestamp,
    after: AccountId,
    blind: PackedBlindSpots,
    #[serde(default)]
    again: Option<AccountId>,
}

impl SweepStore for StateTable {
    async fn progress(&self) -> Result<Versioned<Option<SweepProgress>>> {
        let Some(item) = self.item(SWEEP, PROGRESS).await? else { return Ok(Versioned { value: None, version: 0 }) };
        let stored: Option<StoredProgress> = read_document(&item)?;
        let value = stored.map(|StoredProgress { began, after, blind, again }| SweepProgress {
            began,
            after,
            blind: blind.unpack(),
            after_again: again,
        });
        Ok(Versioned { value, version: read_version(&item) })
    }

    async fn put_progress(&self, progress: &Versioned<Option<SweepProgress>>) -> Result<u64> {
        let stored =
            progress.value.as_ref().map(|SweepProgress { began, after, blind, after_again: again }| StoredProgress {
                began: *began,
                after: after.clone(),
                blind: PackedBlindSpots::pack(blind),
                again: again.clone(),
            });
        self.put_version(document_item(SWEEP, PROGRESS, &stored)?, progress.version).await
    }

    async fn blind_spots(&self) -> Result<Vec<BlindSpot>> {
        let packed: Option<PackedBlindSpots> = self.document(SWEEP, BLIND_SPOTS).await?;
        Ok(packed.unwrap_or_default().unpack())
    }

    async fn put_blind_spots(&self, spots: &[BlindSpot]) -> Result<()> {
        self.put_document(SWEEP, BLIND_SPOTS, &PackedBlindSpots::pack(spots)).await
    }

    async fn notified_exemptions(&self) -> Result<BTreeSet<String>> {
        self.document(SWEEP, EXPIRING).await.map(Option::unwrap_or_default)
    }

    async fn put_notified_exemptions(&self, notified: &BTreeSet<String>) -> Result<()> {
        self.put_document(SWEEP, EXPIRING, notified).await
    }

    async fn reminders(&self) -> Result<Option<ReminderWeek>> {
        self.document(SWEEP, REMINDERS).await
    }

    async fn put_reminders(&self, reminders: &ReminderWeek) -> Result<()> {
        self.put_document(SWEEP, REMINDERS, reminders).await
    }

    async fn put_accounts(&self, accounts: &BTreeMap<AccountId, String>) -> Result<()> {
        self.put_document(FRAMEWORKS, ACCOUNTS, accounts).await
    }
}

#[cfg(test)]
mod tests {
    use domain::notice::BlindSpotCause;

    use super::*;

    fn spot(account: u64, region: &str, detail: &str) -> BlindSpot {
        BlindSpot {
            account: AccountId::parse(&format!("{account:012}")).unwrap(),
            region: RegionName::parse(region).unwrap(),
            reason: BlindSpotReason { cause: BlindSpotCause::AccessDenied, detail: Some(detail.into()) },
            since: Timestamp::from_second(1_796_000_000).unwrap(),
        }
    }

    #[test]
    fn packed_blind_spots_round_trip() {
        let mut other = spot(1, "eu-west-1", "no aggregator");
        other.since = Timestamp::UNIX_EPOCH;
        let mut spots = vec![
            spot(2, "us-east-1", "no aggregator"),
            spot(2, "eu-west-1", "denied \"so\""),
            spot(1, "eu-west-1", "no aggregator"),
            other,
        ];
        let unpacked = PackedBlindSpots::pack(&spots).unpack();
        spots.sort();
        assert_eq!(unpacked, spots);
        assert_eq!(PackedBlindSpots::pack(&[]).unpack(), []);
    }

    #[test]
    fn blind_spots_of_15000_regions_fit_into_an_item() {
        let spots: Vec<BlindSpot> = (0..5000)
            .flat_map(|account| {
                ["eu-west-1", "eu-central-1", "us-east-1"].map(|region| spot(account, region, "no aggregator"))
            })
            .collect();
        let stored = serde_json::to_string(&PackedBlindSpots::pack(&spots)).unwrap();
        assert!(stored.len() < 350 * 1024, "{}", stored.len());
    }
}
