//! The times since which controls are in force, carried over from one publication to the next.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use framework::ids::{AccountId, RegionName};

use super::state::{ControlVariant, PublishedFramework};

/// Times older than this become one time per control, so that variants merge again: a publication has to fit into one item.
const SETTLED: SignedDuration = SignedDuration::from_hours(30 * 24);

impl PublishedFramework {
    /// Returns these facts with times: a control that was in force with the same parameters keeps its time, any other begins
    /// `now`. Variants are split where times differ.
    pub fn following(self, published: Option<&Self>, now: Timestamp) -> Self {
        let before: &[ControlVariant] = published.map_or(&[], |published| &published.variants);
        let settled = settled(before, now);
        let variants = self.variants.iter().flat_map(|variant| split(variant, before, &settled, now)).collect();
        Self { variants, ..self }
    }
}

fn settled(before: &[ControlVariant], now: Timestamp) -> BTreeMap<&str, Timestamp> {
    let limit = now.checked_sub(SETTLED).unwrap_or(Timestamp::MIN);
    let mut settled: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for (control, since) in before.iter().flat_map(|variant| &variant.since).filter(|(_, since)| **since <= limit) {
        let newest = settled.entry(control).or_insert(*since);
        *newest = (*newest).max(*since);
    }
    settled
}

fn split(
    variant: &ControlVariant,
    before: &[ControlVariant],
    settled: &BTreeMap<&str, Timestamp>,
    now: Timestamp,
) -> Vec<ControlVariant> {
    // Accounts and Regions by the times of their controls, in the order of the controls.
    let mut by_times: BTreeMap<Vec<Option<Timestamp>>, BTreeMap<AccountId, BTreeSet<RegionName>>> = BTreeMap::new();
    for account in &variant.accounts {
        for region in &variant.regions {
            let here: Vec<&ControlVariant> =
                before.iter().filter(|old| old.accounts.contains(account) && old.regions.contains(region)).collect();
            let times = variant.controls.iter().map(|(control, parameters)| {
                let old = here.iter().find(|old| old.controls.contains_key(control));
                match old.filter(|old| old.controls.get(control) == Some(parameters)) {
                    // `None`: in force before times were recorded.
                    Some(old) => old.since.get(control).map(|since| match settled.get(control.as_str()) {
                        Some(newest) if since <= newest => *newest,
                        _ => *since,
                    }),
                    None => Some(now),
                }
            });
            by_times.entry(times.collect()).or_default().entry(account.clone()).or_default().insert(region.clone());
        }
    }
    let mut variants = Vec::new();
    for (times, regions_of) in by_times {
        let mut by_regions: BTreeMap<BTreeSet<RegionName>, BTreeSet<AccountId>> = BTreeMap::new();
        for (account, regions) in regions_of {
            by_regions.entry(regions).or_default().insert(account);
        }
        let controls = variant.controls.keys().cloned();
        let since: BTreeMap<String, Timestamp> =
            controls.zip(times).filter_map(|(control, since)| Some((control, since?))).collect();
        variants.extend(by_regions.into_iter().map(|(regions, accounts)| ControlVariant {
            accounts,
            regions,
            controls: variant.controls.clone(),
            since: since.clone(),
        }));
    }
    variants
}
