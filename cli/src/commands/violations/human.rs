//! The list as a table.

use console::{style, truncate_str};
use jiff::Timestamp;

use app::inspect::ListedViolation;
use domain::notice::BlindSpot;
use domain::violation::{AppliedExemption, OpenedBy};
use framework::control::{Severity, resource_kind};

use super::ListingView;
use crate::plain::{blocks, count, escaped, positive, time};
use crate::table::{self, Column, Cut};

const COLUMNS: [Column; 9] = [
    Column::new("AGE", 4),
    Column::new("SEVERITY", 8),
    Column::new("RESOURCE", 12),
    Column::new("KIND", 10),
    Column::new("ACCOUNT", 12),
    Column::new("REGION", 9),
    Column { head: "CONTROL", least: 24, cut: Cut::Start },
    Column::new("OWNER", 6),
    Column::new("OPENED BY", 10),
];
const EXEMPT: Column = Column::new("EXEMPT UNTIL", 12);

const SEVERITY: usize = 1;

/// Renders table, summary and remarks. The table is at most `room` columns wide.
pub(super) fn page(shown: &ListingView<'_>, room: Option<usize>) -> String {
    blocks([listed(shown, room), vec![summary(shown)], caveats(shown)])
}

fn listed(shown: &ListingView<'_>, room: Option<usize>) -> Vec<String> {
    if shown.violations.is_empty() {
        return Vec::new();
    }
    let now = shown.listing.at;
    let any_exempt = shown.violations.iter().any(|violation| violation.exempt(now).is_some());
    let columns: Vec<Column> = COLUMNS.into_iter().chain(any_exempt.then_some(EXEMPT)).collect();
    let rows: Vec<Vec<String>> = shown.violations.iter().map(|violation| row(violation, now)).collect();
    let color = |number: usize, cells: &mut [String]| {
        if let (Some(cell), Some(violation)) = (cells.get_mut(SEVERITY), shown.violations.get(number)) {
            *cell = colored(cell, violation.record.severity);
        }
    };
    table::lines(&columns, &rows, room, color).unwrap_or_else(|| {
        shown.violations.iter().flat_map(|violation| block(violation, now, room.unwrap_or(0))).collect()
    })
}

/// Returns the cells of [`COLUMNS`] and [`EXEMPT`].
fn row(violation: &ListedViolation, now: Timestamp) -> Vec<String> {
    let key = &violation.record.key;
    vec![
        age(violation, now),
        violation.record.severity.label().to_lowercase(),
        escaped(name(violation)),
        escaped(resource_kind(&key.resource_type)),
        account(violation),
        key.region.to_string(),
        escaped(&key.control),
        violation.owner.as_deref().map_or_else(|| "-".to_owned(), escaped),
        opened_by(violation.record.opened_by).to_owned(),
        violation.exempt(now).map_or_else(|| "-".to_owned(), |exempt| exempt.until.to_string()),
    ]
}

/// Renders a violation on several lines, for a terminal that is too narrow for the table.
fn block(violation: &ListedViolation, now: Timestamp, room: usize) -> Vec<String> {
    let key = &violation.record.key;
    let severity = violation.record.severity;
    let owner = violation.owner.as_deref().map_or_else(|| "unknown".to_owned(), escaped);
    let mut rest = vec![
        format!("{} {}", account(violation), key.region),
        escaped(&key.control),
        format!("owner {owner}; opened by: {}", opened_by(violation.record.opened_by)),
    ];
    if let Some(AppliedExemption { until, .. }) = violation.exempt(now) {
        rest.push(format!("exempt until {until}"));
    }
    let label = severity.label().to_lowercase();
    let what = format!("{}, {}", escaped(name(violation)), escaped(resource_kind(&key.resource_type)));
    let age = age(violation, now);
    let left = room.saturating_sub(label.len().saturating_add(age.len()).saturating_add(2));
    let first = format!("{} {age} {}", colored(&label, severity), truncate_str(&what, left, "…"));
    let rest = rest.iter().map(|text| truncate_str(&format!("    {text}"), room, "…").into_owned());
    std::iter::once(first).chain(rest).collect()
}

fn colored(text: &str, severity: Severity) -> String {
    match severity {
        Severity::Critical => style(text).red().bold().to_string(),
        Severity::High => style(text).red().to_string(),
        Severity::Medium => style(text).yellow().to_string(),
        Severity::Low | Severity::Informational => text.to_owned(),
    }
}

pub(super) fn name(violation: &ListedViolation) -> &str {
    let named = violation.record.resource.name.as_deref().filter(|name| !name.trim().is_empty());
    named.unwrap_or(&violation.record.key.resource_id)
}

fn account(violation: &ListedViolation) -> String {
    let id = &violation.record.key.account;
    violation.account_name.as_deref().map_or_else(|| id.to_string(), |name| format!("{id} ({})", escaped(name)))
}

fn age(violation: &ListedViolation, now: Timestamp) -> String {
    match violation.days {
        0 => format!("{} h", now.duration_since(violation.since).as_hours().max(0)),
        days => format!("{days} d"),
    }
}

pub(super) fn opened_by(found: OpenedBy) -> &'static str {
    match found {
        OpenedBy::Rollout => "rollout",
        OpenedBy::Regression => "regression",
        OpenedBy::FirstResult => "first result",
    }
}

fn summary(shown: &ListingView<'_>) -> String {
    let listing = shown.listing;
    let open = listing.violations.len();
    let mut text = match shown.oldest() {
        None if shown.narrowed => "no open violation on record matches".to_owned(),
        None => "no open violations on record".to_owned(),
        Some(oldest) => {
            let severities = shown.by_severity().map(|(severity, number)| (number, severity.label().to_lowercase()));
            let severities = positive(severities);
            let matching = match (shown.narrowed, open) {
                (false, _) => "",
                (true, 1) => " matches",
                (true, _) => " match",
            };
            let (open, since, age) = (count(open, "open violation"), time(oldest.since), age(oldest, listing.at));
            format!("{open}{matching}: {severities}; the oldest since {since} ({age})")
        }
    };
    let listed = shown.violations.len();
    if listed < open {
        text.push_str(&format!("; {listed} listed"));
    }
    let exempt = listing.violations.iter().filter(|violation| violation.exempt(listing.at).is_some()).count();
    if exempt > 0 {
        text.push_str(&format!("; {exempt} of them exempt"));
    }
    if listing.excluded_exempt > 0 {
        text.push_str(&format!("; {} exempt not listed (--exempt include)", listing.excluded_exempt));
    }
    text
}

/// Returns remarks for a list from which compliance must not be concluded.
pub(super) fn caveats(shown: &ListingView<'_>) -> Vec<String> {
    let listing = shown.listing;
    let mut lines = Vec::new();
    if !listing.in_force {
        lines.push(
            "no framework is in force: no resource is evaluated, and an empty list does not mean compliance".to_owned(),
        );
    }
    lines.extend(listing.blind.iter().map(|spot @ BlindSpot { account, region, since, reason, .. }| {
        let name = listing.account_names.get(account).map(|name| format!(" ({})", escaped(name))).unwrap_or_default();
        let (since, summary, command) = (time(*since), reason.cause.summary(), spot.command());
        format!("blind spot: {account}{name} {region} since {since}: {summary}; `{command}`")
    }));
    lines
}
