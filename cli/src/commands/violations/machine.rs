//! The list for programs and spreadsheets.

use domain::control::{find, resource_kind};
use serde_json::{Map, Value, json};

use super::{Shown, human};
use crate::plain::csv_row;
use app::inspect::OpenViolation;

/// The version of the JSON form. Fields are added without a new one.
const VERSION: u32 = 1;

/// The list as JSON.
///
/// `version`, `at`; `violations`, each with `account`, `accountName`, `region`, `control`, `controlTitle`, `resourceType`,
/// `resourceKind`, `resourceId`, `resourceName`, `resourceArn`, `tags`, `owner`, `severity`, `since`, `ageDays`, `found`
/// (`rollout`, `regression`, `firstResult`), `heard` (`event`, `sweep`), `ruleName`, `ruleArn`, `annotation`, `exempt` (`reason`,
/// `owner`, `until`); `counts` of all that match, listed or not; `blindSpots`; `inForce`. What is not known is null.
pub(super) fn json(shown: &Shown<'_>) -> Value {
    let listing = shown.listing;
    let violations: Vec<Value> = shown
        .violations
        .iter()
        .map(|violation| {
            let record = &violation.record;
            let key = &record.key;
            json!({
                "account": key.account,
                "accountName": violation.account_name,
                "region": key.region,
                "control": key.control,
                "controlTitle": find(&key.control).map(|control| control.title),
                "resourceType": key.resource_type,
                "resourceKind": resource_kind(&key.resource_type),
                "resourceId": key.resource_id,
                "resourceName": record.resource.name,
                "resourceArn": record.resource.arn,
                "tags": record.resource.tags,
                "owner": violation.owner,
                "severity": record.severity,
                "since": violation.since,
                "ageDays": violation.days,
                "found": record.found,
                "heard": record.heard,
                "ruleName": record.rule_name,
                "ruleArn": Some(&record.rule_arn).filter(|arn| !arn.is_empty()),
                "annotation": record.annotation,
                "exempt": violation.exempt(listing.at),
            })
        })
        .collect();
    let by_severity: Map<String, Value> = shown
        .by_severity()
        .into_iter()
        .map(|(severity, number)| (severity.label().to_owned(), number.into()))
        .collect();
    let blind: Vec<Value> = listing
        .blind
        .iter()
        .map(|spot| {
            json!({
                "account": spot.account,
                "accountName": listing.account_names.get(&spot.account),
                "region": spot.region,
                "since": spot.since,
                "cause": spot.reason.cause.word(),
                "why": spot.reason.cause.sentence(),
                "detail": spot.reason.detail,
                "todo": spot.reason.cause.todo(),
                "console": spot.console(),
                "command": spot.command(),
            })
        })
        .collect();
    json!({
        "version": VERSION,
        "at": listing.at,
        "inForce": listing.in_force,
        "violations": violations,
        "counts": {
            "open": listing.violations.len(),
            "listed": shown.violations.len(),
            "exemptLeftOut": listing.exempt_left_out,
            "bySeverity": by_severity,
            "oldest": shown.oldest().map(|oldest| oldest.since),
        },
        "blindSpots": blind,
    })
}

const HEADS: [&str; 19] = [
    "account",
    "account_name",
    "region",
    "control",
    "resource_kind",
    "resource_type",
    "resource_id",
    "resource_name",
    "resource_arn",
    "owner",
    "severity",
    "since",
    "age_days",
    "found",
    "rule_name",
    "annotation",
    "exempt_until",
    "exempt_owner",
    "exempt_reason",
];

/// The list as CSV (RFC 4180), safe to open in a spreadsheet.
///
/// # Errors
/// When it cannot be written, which does not happen in memory.
pub(super) fn csv(shown: &Shown<'_>) -> anyhow::Result<String> {
    let mut text = csv_row(&HEADS)?;
    for violation in shown.violations {
        text.push_str(&csv_row(&row(violation, shown))?);
    }
    Ok(text)
}

fn row(violation: &OpenViolation, shown: &Shown<'_>) -> [String; HEADS.len()] {
    let record = &violation.record;
    let key = &record.key;
    let exempt = violation.exempt(shown.listing.at);
    [
        key.account.to_string(),
        violation.account_name.clone().unwrap_or_default(),
        key.region.to_string(),
        key.control.clone(),
        resource_kind(&key.resource_type).to_owned(),
        key.resource_type.clone(),
        key.resource_id.clone(),
        human::name(violation).to_owned(),
        record.resource.arn.clone().unwrap_or_default(),
        violation.owner.clone().unwrap_or_default(),
        record.severity.label().to_owned(),
        violation.since.to_string(),
        violation.days.to_string(),
        human::found(record.found).to_owned(),
        record.rule_name.clone(),
        record.annotation.clone().unwrap_or_default(),
        exempt.map(|exempt| exempt.until.to_string()).unwrap_or_default(),
        exempt.map(|exempt| exempt.owner.clone()).unwrap_or_default(),
        exempt.map(|exempt| exempt.reason.clone()).unwrap_or_default(),
    ]
}
