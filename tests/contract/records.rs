//! Violations for the tests of stores and channels.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use domain::notice::{Notice, NoticeContext, ViolationNotice};
use domain::violation::{
    Channel, ClosedReason, DetectionSource, OpenedBy, PendingDelivery, ResourceDetails, ResultOrdering, Update,
    ViolationKey, ViolationRecord, ViolationStatus,
};
use framework::control::Severity;
use framework::ids::{AccountId, RegionName};

pub(crate) const CONTROL: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
pub(crate) const ACCOUNT: &str = "222222222222";

pub(crate) fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

pub(crate) fn region(name: &str) -> RegionName {
    RegionName::parse(name).unwrap()
}

pub(crate) fn at(minute: u8) -> Timestamp {
    format!("2026-11-23T12:{minute:02}:00.5Z").parse().unwrap()
}

pub(crate) fn key(resource: &str) -> ViolationKey {
    ViolationKey {
        account: account(ACCOUNT),
        region: region("eu-west-1"),
        control: CONTROL.to_owned(),
        resource_type: "AWS::RDS::DBCluster".to_owned(),
        resource_id: resource.to_owned(),
    }
}

/// An open violation without pending deliveries.
pub(crate) fn record(resource: &str) -> ViolationRecord {
    ViolationRecord {
        key: key(resource),
        status: ViolationStatus::Open,
        since: Some(at(1)),
        ordering: ResultOrdering { triggered: at(1), recorded: at(1), notified: at(1) },
        rule_name: "AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-1b2c".to_owned(),
        rule_arn: "arn:aws:config:eu-west-1:222222222222:config-rule/x".to_owned(),
        annotation: Some("said \"so\"\n\u{202e}".to_owned()),
        opened_by: OpenedBy::FirstResult,
        detected_by: DetectionSource::Event,
        closed_reason: None,
        severity: Severity::High,
        resource: ResourceDetails {
            name: Some(resource.to_owned()),
            arn: None,
            tags: BTreeMap::from([("owner".to_owned(), "Zoë \u{1f9ef}".to_owned())]),
        },
        exemption: None,
        last_pending_at: None,
        finding_sent_at: None,
        pending: Vec::new(),
        delivery_claimed_until: None,
        delivery_failures: BTreeMap::new(),
    }
}

/// An open violation whose opening is pending for both topics since a minute.
pub(crate) fn owing(resource: &str, minute: u8) -> ViolationRecord {
    let outlets = BTreeSet::from([Channel::Topic, Channel::Chat]);
    let debt = PendingDelivery {
        update: Update::Opened,
        at: at(minute),
        since: Some(at(1)),
        channels: outlets,
        earlier_transitions: 0,
    };
    ViolationRecord { pending: vec![debt], ..record(resource) }
}

/// A closed violation without pending deliveries.
pub(crate) fn closed(resource: &str) -> ViolationRecord {
    ViolationRecord {
        status: ViolationStatus::Closed,
        closed_reason: Some(ClosedReason::Satisfied),
        ..record(resource)
    }
}

/// The notice of an update of a record, written at a minute.
pub(crate) fn notice(record: &ViolationRecord, what: Update, minute: u8) -> Notice {
    let debt = PendingDelivery {
        update: what,
        at: at(minute),
        since: record.since,
        channels: BTreeSet::new(),
        earlier_transitions: 0,
    };
    ViolationNotice::new(record, &debt, NoticeContext::default()).into()
}
