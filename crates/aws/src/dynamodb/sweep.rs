//! What the sweep remembers. Partition `sweep`: how far it is, the places that could not be seen, the exemptions whose owner was
//! told that they end, the week of the last reminders.

use super::{StateTable, document, key, read_document, read_version};
use app::ports::{Progress, Reminders, Result, SweepStore, Versioned};
use domain::ids::{AccountId, RegionName};
use domain::notice::{BlindReason, BlindSpot};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const SWEEP: &str = "sweep";
const PROGRESS: &str = "progress";
const BLIND: &str = "blind";
const EXPIRY: &str = "expiry";
const REMINDERS: &str = "reminders";

/// Places that could not be seen, by reason and time. An item holds 400 KB, and an organisation that lacks its aggregator has
/// thousands of places with one reason: a few bytes each.
#[derive(Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Spots(Vec<(BlindReason, Timestamp, BTreeMap<AccountId, BTreeSet<RegionName>>)>);

impl Spots {
    fn pack(spots: &[BlindSpot]) -> Self {
        let mut packed: BTreeMap<(&BlindReason, Timestamp), BTreeMap<AccountId, BTreeSet<RegionName>>> =
            BTreeMap::new();
        for BlindSpot { account, region, reason, since } in spots {
            let places = packed.entry((reason, *since)).or_default();
            places.entry(account.clone()).or_default().insert(region.clone());
        }
        Self(packed.into_iter().map(|((reason, since), places)| (reason.clone(), since, places)).collect())
    }

    /// In the order of accounts and Regions.
    fn unpack(self) -> Vec<BlindSpot> {
        let mut spots = Vec::new();
        for (reason, since, places) in self.0 {
            for (account, regions) in places {
                let here = regions.into_iter();
                spots.extend(here.map(|region| BlindSpot {
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
struct Stored {
    began: Timestamp,
    after: AccountId,
    blind: Spots,
    #[serde(default)]
    again: Option<AccountId>,
}

impl StateTable {
    async fn swept<T: DeserializeOwned + Default>(&self, what: &str) -> Result<T> {
        self.item(SWEEP, what).await?.as_ref().map_or_else(|| Ok(T::default()), read_document)
    }

    async fn put_swept<T: Serialize>(&self, what: &str, value: &T) -> Result<()> {
        let mut item = key(SWEEP, what);
        item.insert("document".into(), document(value)?);
        self.put_item(item).await
    }
}

impl SweepStore for StateTable {
    async fn progress(&self) -> Result<Versioned<Option<Progress>>> {
        let Some(item) = self.item(SWEEP, PROGRESS).await? else { return Ok(Versioned { value: None, version: 0 }) };
        let stored: Option<Stored> = read_document(&item)?;
        let value =
            stored.map(|Stored { began, after, blind, again }| Progress { began, after, blind: blind.unpack(), again });
        Ok(Versioned { value, version: read_version(&item) })
    }

    async fn put_progress(&self, progress: &Versioned<Option<Progress>>) -> Result<u64> {
        let stored = progress.value.as_ref().map(|Progress { began, after, blind, again }| Stored {
            began: *began,
            after: after.clone(),
            blind: Spots::pack(blind),
            again: again.clone(),
        });
        let mut item = key(SWEEP, PROGRESS);
        item.insert("document".into(), document(&stored)?);
        self.put_version(item, progress.version).await
    }

    async fn blind_spots(&self) -> Result<Vec<BlindSpot>> {
        self.swept(BLIND).await.map(Spots::unpack)
    }

    async fn put_blind_spots(&self, spots: &[BlindSpot]) -> Result<()> {
        self.put_swept(BLIND, &Spots::pack(spots)).await
    }

    async fn expiry_told(&self) -> Result<BTreeSet<String>> {
        self.swept(EXPIRY).await
    }

    async fn put_expiry_told(&self, told: &BTreeSet<String>) -> Result<()> {
        self.put_swept(EXPIRY, told).await
    }

    async fn reminders(&self) -> Result<Option<Reminders>> {
        self.swept(REMINDERS).await
    }

    async fn put_reminders(&self, reminders: &Reminders) -> Result<()> {
        self.put_swept(REMINDERS, reminders).await
    }

    async fn put_accounts(&self, accounts: &BTreeMap<AccountId, String>) -> Result<()> {
        self.put_accounts_item(accounts).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::notice::BlindCause;

    fn spot(account: u64, region: &str, detail: &str) -> BlindSpot {
        BlindSpot {
            account: AccountId::parse(&format!("{account:012}")).unwrap(),
            region: RegionName::parse(region).unwrap(),
            reason: BlindReason { cause: BlindCause::AccessDenied, detail: Some(detail.into()) },
            since: Timestamp::from_second(1_796_000_000).unwrap(),
        }
    }

    #[test]
    fn places_come_back_as_they_went() {
        let mut other = spot(1, "eu-west-1", "no aggregator");
        other.since = Timestamp::UNIX_EPOCH;
        let mut spots = vec![
            spot(2, "us-east-1", "no aggregator"),
            spot(2, "eu-west-1", "denied \"so\""),
            spot(1, "eu-west-1", "no aggregator"),
            other,
        ];
        let unpacked = Spots::pack(&spots).unpack();
        spots.sort();
        assert_eq!(unpacked, spots);
        assert_eq!(Spots::pack(&[]).unpack(), []);
    }

    #[test]
    fn a_large_organisation_fits_into_an_item() {
        let spots: Vec<BlindSpot> = (0..5000)
            .flat_map(|account| {
                ["eu-west-1", "eu-central-1", "us-east-1"].map(|region| spot(account, region, "no aggregator"))
            })
            .collect();
        let stored = serde_json::to_string(&Spots::pack(&spots)).unwrap();
        assert!(stored.len() < 350 * 1024, "{}", stored.len());
    }
}
