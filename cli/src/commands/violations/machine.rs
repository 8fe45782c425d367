//! The list as JSON and CSV.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use app::inspect::ListedViolation;
use domain::notice::BlindSpot;
use domain::violation::AppliedExemption;
use framework::control::{find, resource_kind};

use super::{ListingView, human};
use crate::plain::csv_row;

/// Renders the list as JSON. `counts` includes violations that are not listed; unknown values are null.
pub(super) fn json(shown: &ListingView<'_>) -> Value {
    let listing = shown.listing;
    let violations = shown.violations.iter().map(|violation| violation_json(violation, listing.at));
    let by_severity: Map<String, Value> =
        shown.by_severity().map(|(severity, number)| (severity.label().to_owned(), number.into())).collect();
    let blind = listing.blind.iter().map(|spot| blind_spot_json(spot, listing.account_names.get(&spot.account)));
    json!({
        "version": 1,
        "at": listing.at,
        "inForce": listing.in_force,
        "violations": violations.collect::<Vec<_>>(),
        "counts": {
            "open": listing.violations.len(),
            "listed": shown.violations.len(),
            "exemptNotListed": listing.excluded_exempt,
            "bySeverity": by_severity,
            "oldest": shown.oldest().map(|oldest| oldest.since),
        },
        "blindSpots": blind.collect::<Vec<_>>(),
    })
}

fn violation_json(violation: &ListedViolation, now: Timestamp) -> Value {
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
        "openedBy": record.opened_by,
        "detectedBy": record.detected_by,
        "ruleName": record.rule_name,
        "ruleArn": Some(&record.rule_arn).filter(|arn| !arn.is_empty()),
        "annotation": record.annotation,
        "exempt": violation.exempt(now),
    })
}

fn blind_spot_json(spot: &BlindSpot, account_name: Option<&String>) -> Value {
    json!({
        "account": spot.account,
        "accountName": account_name,
        "region": spot.region,
        "since": spot.since,
        "cause": spot.reason.cause,
        "summary": spot.reason.cause.summary(),
        "detail": spot.reason.detail,
        "remediation": spot.reason.cause.remediation(),
        "console": spot.console(),
        "command": spot.command(),
    })
}

type Cell = fn(&ListedViolation, Timestamp) -> String;

const COLUMNS: [(&str, Cell); 19] = [
    ("account", |violation, _| violation.record.key.account.to_string()),
    ("account_name", |violation, _| violation.account_name.clone().unwrap_or_default()),
    ("region", |violation, _| violation.record.key.region.to_string()),
    ("control", |violation, _| violation.record.key.control.clone()),
    ("resource_kind", |violation, _| resource_kind(&violation.record.key.resource_type).to_owned()),
    ("resource_type", |violation, _| violation.record.key.resource_type.clone()),
    ("resource_id", |violation, _| violation.record.key.resource_id.clone()),
    ("resource_name", |violation, _| human::name(violation).to_owned()),
    ("resource_arn", |violation, _| violation.record.resource.arn.clone().unwrap_or_default()),
    ("owner", |violation, _| violation.owner.clone().unwrap_or_default()),
    ("severity", |violation, _| violation.record.severity.label().to_owned()),
    ("since", |violation, _| violation.since.to_string()),
    ("age_days", |violation, _| violation.days.to_string()),
    ("opened_by", |violation, _| human::opened_by(violation.record.opened_by).to_owned()),
    ("rule_name", |violation, _| violation.record.rule_name.clone()),
    ("annotation", |violation, _| violation.record.annotation.clone().unwrap_or_default()),
    ("exempt_until", |violation, now| exemption(violation, now, |exempt| exempt.until.to_string())),
    ("exempt_owner", |violation, now| exemption(violation, now, |exempt| exempt.owner.clone())),
    ("exempt_reason", |violation, now| exemption(violation, now, |exempt| exempt.reason.clone())),
];

fn exemption(violation: &ListedViolation, now: Timestamp, field: fn(&AppliedExemption) -> String) -> String {
    violation.exempt(now).map(field).unwrap_or_default()
}

/// Renders the list as CSV (RFC 4180), safe to open in a spreadsheet.
pub(super) fn csv(shown: &ListingView<'_>) -> anyhow::Result<String> {
    let mut text = csv_row(&COLUMNS.map(|(head, _)| head))?;
    for violation in shown.violations {
        text.push_str(&csv_row(&COLUMNS.map(|(_, cell)| cell(violation, shown.listing.at)))?);
    }
    Ok(text)
}
