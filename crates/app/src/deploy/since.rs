//! Since when a control is in force where: what is published next, after what was published last.

use super::memory::{FrameworkFacts, Variant};
use domain::ids::{AccountId, RegionName};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// After so long it does not matter any more when exactly a control came into force. What is older becomes one time, so that
/// accounts that joined one by one do not stay apart for ever: what is published must fit an item of the table.
const SETTLED: SignedDuration = SignedDuration::from_hours(30 * 24);

impl FrameworkFacts {
    /// These facts as they are to be published now. Where a control was in force with the same parameters before, it has been
    /// since then; where it was not, since now. Targets are split where that differs within one.
    #[must_use]
    pub fn following(self, published: Option<&Self>, now: Timestamp) -> Self {
        let before: &[Variant] = published.map_or(&[], |published| &published.variants);
        let settled = settled(before, now);
        let variants = self.variants.into_iter().flat_map(|variant| split(&variant, before, &settled, now)).collect();
        Self { stack_set: self.stack_set, variants }
    }
}

/// The newest time of each control that lies long enough back, for all that do.
fn settled(before: &[Variant], now: Timestamp) -> BTreeMap<&str, Timestamp> {
    let limit = now.checked_sub(SETTLED).unwrap_or(Timestamp::MIN);
    let mut settled: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for (control, since) in before.iter().flat_map(|variant| &variant.since).filter(|(_, since)| **since <= limit) {
        let newest = settled.entry(control).or_insert(*since);
        *newest = (*newest).max(*since);
    }
    settled
}

fn split(
    variant: &Variant,
    before: &[Variant],
    settled: &BTreeMap<&str, Timestamp>,
    now: Timestamp,
) -> impl Iterator<Item = Variant> + use<> {
    // The times in the order of the controls: the accounts and Regions that share them.
    let mut alike: BTreeMap<Vec<Option<Timestamp>>, BTreeMap<AccountId, BTreeSet<RegionName>>> = BTreeMap::new();
    for account in &variant.accounts {
        for region in &variant.regions {
            let here: Vec<&Variant> =
                before.iter().filter(|old| old.accounts.contains(account) && old.regions.contains(region)).collect();
            let times = variant.controls.iter().map(|(control, parameters)| {
                let old = here.iter().find(|old| old.controls.contains_key(control));
                match old.filter(|old| old.controls.get(control) == Some(parameters)) {
                    // `None`: it was there before anybody wrote down since when.
                    Some(old) => old.since.get(control).map(|since| match settled.get(control.as_str()) {
                        Some(newest) if since <= newest => *newest,
                        _ => *since,
                    }),
                    None => Some(now),
                }
            });
            let places = alike.entry(times.collect()).or_default();
            places.entry(account.clone()).or_default().insert(region.clone());
        }
    }
    let mut variants = Vec::new();
    for (times, places) in alike {
        let mut by_regions: BTreeMap<BTreeSet<RegionName>, BTreeSet<AccountId>> = BTreeMap::new();
        for (account, regions) in places {
            by_regions.entry(regions).or_default().insert(account);
        }
        let controls = variant.controls.keys().cloned();
        let since: BTreeMap<String, Timestamp> =
            controls.zip(times).filter_map(|(control, since)| Some((control, since?))).collect();
        variants.extend(by_regions.into_iter().map(|(regions, accounts)| Variant {
            accounts,
            regions,
            controls: variant.controls.clone(),
            since: since.clone(),
        }));
    }
    variants.into_iter()
}
