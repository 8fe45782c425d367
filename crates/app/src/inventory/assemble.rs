//! Assembles the document from the parts that were read. Equal parts yield equal documents, in whatever order they arrive.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use evaluation::inventory::document::{Document, LocationPart, RecoveryPoint, RecoveryPointPart, Resource};
use framework::ids::{AccountId, Location, RegionName};

use super::{
    CollectedReads, InvalidRow, InventoryOutcome, InventoryScope, LocationKey, LocationRead, QUERIED, ReadFailure,
    ReadFailureReason, unread,
};

/// Long because it merges the aggregator and AWS Backup in one fixed order of precedence.
pub(super) fn document(
    known: CollectedReads,
    in_scope: &BTreeSet<LocationKey>,
    scope: &InventoryScope,
    began: Timestamp,
) -> InventoryOutcome {
    let CollectedReads { sources, resources, recovery_points: aggregated, .. } = known;
    let CollectedReads { locations: mut read, plans, vaults, mut failures, .. } = known;
    let aggregator_only = |(account, region): LocationKey| {
        let reason = ReadFailureReason::AggregatorOnly;
        LocationRead::new(Location { account, region }).all_unread(reason, "only the aggregator was read")
    };
    let entry = |location: &LocationKey| {
        let read = read.remove(location).unwrap_or_else(|| aggregator_only(location.clone()));
        (location.clone(), read)
    };
    let mut locations: BTreeMap<LocationKey, LocationRead> = in_scope.iter().map(entry).collect();
    let mut gaps = GapRecorder { locations: &mut locations, failures: &mut failures, scope };
    for kind in QUERIED {
        if !resources.contains_key(kind) {
            // The failure is recorded already.
            let message = format!("the aggregator query for {kind} failed");
            let everywhere = gaps.locations.values_mut();
            everywhere.for_each(|read| read.location.unread.push(unread(LocationPart::Resources, message.as_str())));
        }
    }
    for source in sources.into_iter().flatten() {
        if let Some(message) = source.stale {
            let location = (source.account, source.region);
            gaps.mark(&location, LocationPart::Resources, "resources", ReadFailureReason::Stale, &message);
        }
    }
    let mut all: BTreeMap<String, Resource> = BTreeMap::new();
    for (kind, rows) in resources {
        gaps.invalid(LocationPart::Resources, &kind, rows.invalid);
        for resource in rows.items {
            gaps.resource(resource, &mut all);
        }
    }
    // If AWS Backup itself returned the location, an unreadable row is not a gap.
    let mut points: BTreeMap<(LocationKey, String), RecoveryPoint> = BTreeMap::new();
    let mut tags: BTreeMap<(LocationKey, String), BTreeMap<String, String>> = BTreeMap::new();
    for point in aggregated.items {
        let location = (point.account.clone(), point.region.clone());
        let key = (location.clone(), point.arn.clone());
        if gaps.is_unread(&location, LocationPart::RecoveryPoints) {
            points.insert(key, point);
        } else if !point.unread.contains(&RecoveryPointPart::Tags) {
            tags.insert(key, point.tags);
        }
    }
    let mut document = Document::new(began);
    let is_unread =
        |account: &AccountId, region: &RegionName, part| gaps.is_unread(&(account.clone(), region.clone()), part);
    document.plans = plans.items;
    document.plans.retain(|plan| is_unread(&plan.account, &plan.region, LocationPart::Plans));
    document.vaults = vaults.items;
    document.vaults.retain(|vault| is_unread(&vault.account, &vault.region, LocationPart::Vaults));
    for invalid in [plans.invalid, vaults.invalid, aggregated.invalid].into_iter().flatten() {
        if invalid.location.as_ref().is_none_or(|location| gaps.is_unread(location, LocationPart::Plans)) {
            gaps.record(invalid.location, "a row of the aggregator", ReadFailureReason::Invalid, &invalid.message);
        }
    }
    for (location, read) in locations {
        let LocationRead { location: entry, resources, restore_minutes, aws_managed_keys, .. } = read;
        let LocationRead { plans, vaults, recovery_points, failures: own, .. } = read;
        failures.extend(own);
        document.locations.push(entry);
        for resource in resources {
            all.entry(resource.arn.clone()).or_insert(resource);
        }
        for (arn, minutes) in restore_minutes {
            all.entry(arn).and_modify(|resource| resource.latest_restore_minutes = Some(minutes));
        }
        for (arn, is_managed) in aws_managed_keys {
            all.entry(arn).and_modify(|resource| resource.aws_managed_key = Some(is_managed));
        }
        document.plans.extend(plans);
        document.vaults.extend(vaults);
        for mut point in recovery_points {
            let key = (location.clone(), point.arn.clone());
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
    if document.locations.is_empty() {
        let message = "the aggregator has no account and Region in scope";
        failures.push(ReadFailure::new(None, "everything", ReadFailureReason::NotRecorded, message));
    }
    failures.sort();
    failures.dedup();
    InventoryOutcome { document, failures }
}

struct GapRecorder<'a> {
    locations: &'a mut BTreeMap<LocationKey, LocationRead>,
    failures: &'a mut Vec<ReadFailure>,
    scope: &'a InventoryScope,
}

impl GapRecorder<'_> {
    fn is_unread(&self, location: &LocationKey, part: LocationPart) -> bool {
        self.locations.get(location).is_some_and(|read| read.lacks(part))
    }

    fn record(&mut self, location: Option<LocationKey>, subject: &str, reason: ReadFailureReason, message: &str) {
        self.failures.push(ReadFailure::new(location, subject, reason, message));
    }

    fn mark(
        &mut self,
        location: &LocationKey,
        part: LocationPart,
        subject: &str,
        reason: ReadFailureReason,
        message: &str,
    ) {
        if let Some(read) = self.locations.get_mut(location) {
            read.location.unread.push(unread(part, message));
            self.record(Some(location.clone()), subject, reason, message);
        }
    }

    fn invalid(&mut self, part: LocationPart, subject: &str, invalid: Vec<InvalidRow>) {
        for invalid in invalid {
            match &invalid.location {
                Some(location) => self.mark(location, part, subject, ReadFailureReason::Invalid, &invalid.message),
                // The document does not contain an unknown location, so it claims nothing about it.
                None => self.record(None, subject, ReadFailureReason::Invalid, &invalid.message),
            }
        }
    }

    fn resource(&mut self, resource: Resource, all: &mut BTreeMap<String, Resource>) {
        let location = AccountId::parse(&resource.account).ok().zip(RegionName::parse(&resource.region).ok());
        let Some(location) = location else {
            let message = format!("`{}` has an invalid account or Region", resource.arn);
            return self.record(None, resource.kind.as_str(), ReadFailureReason::Invalid, &message);
        };
        if !self.scope.includes(&location.0, &location.1) {
            return;
        }
        match resource.check() {
            // Pages may repeat a resource when data changes between them.
            Ok(()) => drop(all.insert(resource.arn.clone(), resource)),
            Err(message) => self.mark(
                &location,
                LocationPart::Resources,
                resource.kind.as_str(),
                ReadFailureReason::Invalid,
                &message,
            ),
        }
    }
}
