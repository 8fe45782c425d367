//! Violations to store and to tell.

use std::collections::{BTreeMap, BTreeSet};

use domain::control::Severity;
use domain::ids::{AccountId, RegionName};
use domain::notice::{Notice, NoticeContext, ViolationNotice};
use domain::violation::{Closing, Debt, Found, Heard, Key, Ordering, Outlet, Record, ResourceFacts, Status, Told};
use jiff::Timestamp;

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

pub(crate) fn key(resource: &str) -> Key {
    Key {
        account: account(ACCOUNT),
        region: region("eu-west-1"),
        control: CONTROL.to_owned(),
        resource_type: "AWS::RDS::DBCluster".to_owned(),
        resource_id: resource.to_owned(),
    }
}

/// An open violation that owes nothing.
pub(crate) fn record(resource: &str) -> Record {
    Record {
        key: key(resource),
        status: Status::Open,
        since: Some(at(1)),
        ordering: Ordering { triggered: at(1), recorded: at(1), notified: at(1) },
        rule_name: "AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-1b2c".to_owned(),
        rule_arn: "arn:aws:config:eu-west-1:222222222222:config-rule/x".to_owned(),
        annotation: Some("said \"so\"\n\u{202e}".to_owned()),
        found: Found::FirstResult,
        heard: Heard::Event,
        closed: None,
        severity: Severity::High,
        resource: ResourceFacts {
            name: Some(resource.to_owned()),
            arn: None,
            tags: BTreeMap::from([("owner".to_owned(), "Zoë \u{1f9ef}".to_owned())]),
        },
        exempt: None,
        last_owed: None,
        finding_at: None,
        owed: Vec::new(),
        delivery_claimed_until: None,
        undelivered: BTreeMap::new(),
    }
}

/// One that owes its opening to both topics since a minute.
pub(crate) fn owing(resource: &str, minute: u8) -> Record {
    let outlets = BTreeSet::from([Outlet::Topic, Outlet::Chat]);
    let debt = Debt { what: Told::Opened, at: at(minute), since: Some(at(1)), outlets, folded: 0 };
    Record { owed: vec![debt], ..record(resource) }
}

/// One that is closed and owes nothing.
pub(crate) fn closed(resource: &str) -> Record {
    Record { status: Status::Closed, closed: Some(Closing::Satisfied), ..record(resource) }
}

/// The notice of a turn of a record, written down at a minute.
pub(crate) fn notice(record: &Record, what: Told, minute: u8) -> Notice {
    let debt = Debt { what, at: at(minute), since: record.since, outlets: BTreeSet::new(), folded: 0 };
    ViolationNotice::new(record, &debt, NoticeContext::default()).into()
}
