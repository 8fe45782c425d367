//! Puts the parts together. Equal parts make equal documents, in whatever order they came.

use super::{Known, Narrowed, Odd, Outcome, PlaceRead, QUERIED, Reason, Trouble, place, unread};
use domain::ids::{AccountId, RegionName};
use domain::inventory::document::{Document, Part, RecoveryPoint, RecoveryPointPart, Resource};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

type PlaceKey = (AccountId, RegionName);

pub(super) fn document(known: Known, asked: &BTreeSet<PlaceKey>, narrowed: &Narrowed, began: Timestamp) -> Outcome {
    let Known { sources, resources, recovery_points, places: mut read, plans, vaults, mut troubles } = known;
    let mut places: BTreeMap<PlaceKey, PlaceRead> = BTreeMap::new();
    for (account, region) in asked {
        let place = (account.clone(), region.clone());
        let read = read.remove(&place).unwrap_or_else(|| place::not_asked(account.clone(), region.clone()));
        places.insert(place, read);
    }
    let mut gaps = Gaps { places: &mut places, troubles: &mut troubles, narrowed };
    for kind in QUERIED {
        if !resources.contains_key(kind) {
            gaps.everywhere(Part::Resources, &format!("the aggregator could not be asked for {kind}"));
        }
    }
    for source in sources.into_iter().flatten() {
        if let Some(why) = source.stale {
            let place = (source.account, source.region);
            gaps.at(&place, Part::Resources, "resources", Reason::Stale, &why);
        }
    }
    let mut all: BTreeMap<String, Resource> = BTreeMap::new();
    for (kind, rows) in resources {
        gaps.odd(Part::Resources, &kind, rows.odd);
        for resource in rows.items {
            gaps.resource(resource, &mut all);
        }
    }
    let aggregated = recovery_points.unwrap_or_default();
    // Where AWS Backup itself was asked, a row that nobody can read is no gap.
    let lacks = |gaps: &Gaps<'_>, place: &PlaceKey, part: Part| gaps.lacks(place, part);
    let mut points: BTreeMap<(PlaceKey, String), RecoveryPoint> = BTreeMap::new();
    let mut tags: BTreeMap<(PlaceKey, String), BTreeMap<String, String>> = BTreeMap::new();
    for point in aggregated.items {
        let place = (point.account.clone(), point.region.clone());
        let key = (place.clone(), point.arn.clone());
        if lacks(&gaps, &place, Part::RecoveryPoints) {
            points.insert(key, point);
        } else if !point.unread.contains(&RecoveryPointPart::Tags) {
            tags.insert(key, point.tags);
        }
    }
    let mut document = Document::new(began);
    document.plans = plans
        .items
        .into_iter()
        .filter(|plan| lacks(&gaps, &(plan.account.clone(), plan.region.clone()), Part::Plans))
        .collect();
    document.vaults = vaults
        .items
        .into_iter()
        .filter(|vault| lacks(&gaps, &(vault.account.clone(), vault.region.clone()), Part::Vaults))
        .collect();
    for odd in [plans.odd, vaults.odd, aggregated.odd].into_iter().flatten() {
        if odd.place.as_ref().is_none_or(|place| lacks(&gaps, place, Part::Plans)) {
            gaps.say(odd.place, "a row of the aggregator", Reason::Odd, &odd.why);
        }
    }
    for (place, read) in places {
        let PlaceRead { place: entry, resources, plans, vaults, recovery_points, restores, troubles: own } = read;
        troubles.extend(own);
        document.places.push(entry);
        for resource in resources {
            all.entry(resource.arn.clone()).or_insert(resource);
        }
        document.plans.extend(plans);
        document.vaults.extend(vaults);
        document.restores.extend(restores);
        for mut point in recovery_points {
            let key = (place.clone(), point.arn.clone());
            if let Some(known) = tags.remove(&key) {
                point.tags = known;
                point.unread.retain(|part| *part != RecoveryPointPart::Tags);
            }
            points.insert(key, point);
        }
    }
    document.resources = all.into_values().collect();
    document.recovery_points = points.into_values().collect();
    document.plans.sort_by(|one, other| {
        (&one.account, &one.region, &one.name, &one.id).cmp(&(&other.account, &other.region, &other.name, &other.id))
    });
    document.vaults.sort_by(|one, other| {
        (&one.account, &one.region, &one.name).cmp(&(&other.account, &other.region, &other.name))
    });
    document.restores.sort_by(|one, other| (&one.resource, one.completed).cmp(&(&other.resource, other.completed)));
    if document.places.is_empty() {
        let why = "the aggregator shows no account and no Region that is asked about".to_owned();
        troubles.push(Trouble { place: None, what: "everything".to_owned(), reason: Reason::NotRecorded, why });
    }
    troubles.sort();
    troubles.dedup();
    Outcome { document, troubles }
}

/// What is missing where.
struct Gaps<'a> {
    places: &'a mut BTreeMap<PlaceKey, PlaceRead>,
    troubles: &'a mut Vec<Trouble>,
    narrowed: &'a Narrowed,
}

impl Gaps<'_> {
    fn lacks(&self, place: &PlaceKey, part: Part) -> bool {
        self.places.get(place).is_some_and(|read| read.place.unread.iter().any(|unread| unread.part == part))
    }

    fn say(&mut self, place: Option<PlaceKey>, what: &str, reason: Reason, why: &str) {
        self.troubles.push(Trouble { place, what: what.to_owned(), reason, why: why.to_owned() });
    }

    /// The reason was told before.
    fn everywhere(&mut self, part: Part, why: &str) {
        self.places.values_mut().for_each(|read| read.place.unread.push(unread(part, why)));
    }

    fn at(&mut self, place: &PlaceKey, part: Part, what: &str, reason: Reason, why: &str) {
        if let Some(read) = self.places.get_mut(place) {
            read.place.unread.push(unread(part, why));
            self.say(Some(place.clone()), what, reason, why);
        }
    }

    fn odd(&mut self, part: Part, what: &str, odd: Vec<Odd>) {
        for odd in odd {
            match &odd.place {
                Some(place) => self.at(place, part, what, Reason::Odd, &odd.why),
                // A place that nobody can name is not in the document, so nothing is claimed of it.
                None => self.say(None, what, Reason::Odd, &odd.why),
            }
        }
    }

    /// Takes a resource in, if a document can hold it.
    fn resource(&mut self, resource: Resource, all: &mut BTreeMap<String, Resource>) {
        let place = AccountId::parse(&resource.account).ok().zip(RegionName::parse(&resource.region).ok());
        let Some(place) = place else {
            let why = format!("`{}` is in no account or Region that is known", resource.arn);
            return self.say(None, resource.kind.as_str(), Reason::Odd, &why);
        };
        if !self.narrowed.takes(&place.0, &place.1) {
            return;
        }
        match resource.check() {
            // Pages may show one twice when things change meanwhile.
            Ok(()) => drop(all.insert(resource.arn.clone(), resource)),
            Err(why) => self.at(&place, Part::Resources, resource.kind.as_str(), Reason::Odd, &why),
        }
    }
}
