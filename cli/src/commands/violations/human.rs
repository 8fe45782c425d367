//! The list for people.

use console::{style, truncate_str};
use domain::control::{Severity, resource_kind};
use domain::violation::{Exempt, Found};
use jiff::Timestamp;

use super::Shown;
use crate::plain::{self, count, shown};
use crate::table::{self, Column, Cut};
use app::inspect::OpenViolation;

const COLUMNS: [Column; 9] = [
    column("AGE", 4),
    column("SEVERITY", 8),
    column("RESOURCE", 12),
    column("KIND", 10),
    column("ACCOUNT", 12),
    column("REGION", 9),
    Column { head: "CONTROL", least: 24, cut: Cut::Start },
    column("OWNER", 6),
    column("FOUND", 10),
];
const EXEMPT: Column = column("EXEMPT UNTIL", 12);

const fn column(head: &'static str, least: usize) -> Column {
    Column { head, least, cut: Cut::End }
}

/// Where the severity stands.
const SEVERITY: usize = 1;

/// The whole page, at most `room` wide as far as it is a table.
pub(super) fn page(shown: &Shown<'_>, room: Option<usize>) -> String {
    let mut lines = Vec::new();
    if !shown.violations.is_empty() {
        lines = listed(shown, room);
        lines.push(String::new());
    }
    lines.push(summary(shown));
    let caveats = caveats(shown);
    if !caveats.is_empty() {
        lines.push(String::new());
        lines.extend(caveats);
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn listed(shown: &Shown<'_>, room: Option<usize>) -> Vec<String> {
    let now = shown.listing.at;
    let any_exempt = shown.violations.iter().any(|violation| violation.exempt(now).is_some());
    let columns: Vec<Column> = COLUMNS.into_iter().chain(any_exempt.then_some(EXEMPT)).collect();
    let rows: Vec<Vec<String>> = shown.violations.iter().map(|violation| row(violation, now, any_exempt)).collect();
    let Some(widths) = table::widths(&columns, &rows, room) else {
        return shown.violations.iter().flat_map(|violation| block(violation, now, room.unwrap_or(0))).collect();
    };
    let heads: Vec<String> = columns.iter().map(|column| column.head.to_owned()).collect();
    let head = style(table::line(&table::cells(&columns, &heads, &widths))).bold().to_string();
    let rows = rows.iter().zip(shown.violations).map(|(row, violation)| {
        let mut cells = table::cells(&columns, row, &widths);
        if let Some(cell) = cells.get_mut(SEVERITY) {
            *cell = coloured(cell, violation.record.severity);
        }
        table::line(&cells)
    });
    std::iter::once(head).chain(rows).collect()
}

fn row(violation: &OpenViolation, now: Timestamp, with_exempt: bool) -> Vec<String> {
    let key = &violation.record.key;
    let mut cells = vec![
        age(violation, now),
        violation.record.severity.label().to_lowercase(),
        shown(name(violation)),
        shown(resource_kind(&key.resource_type)),
        account(violation),
        key.region.to_string(),
        shown(&key.control),
        violation.owner.as_deref().map_or_else(|| "-".to_owned(), shown),
        found(violation.record.found).to_owned(),
    ];
    if with_exempt {
        cells.push(violation.exempt(now).map_or_else(|| "-".to_owned(), |exempt| exempt.until.to_string()));
    }
    cells
}

/// A violation on several lines, for a terminal that is too narrow for the table.
fn block(violation: &OpenViolation, now: Timestamp, room: usize) -> Vec<String> {
    let key = &violation.record.key;
    let severity = violation.record.severity;
    let mut rest = vec![
        format!("{} {}", account(violation), key.region),
        shown(&key.control),
        format!(
            "owner {}; found: {}",
            violation.owner.as_deref().map_or_else(|| "unknown".to_owned(), shown),
            found(violation.record.found)
        ),
    ];
    if let Some(Exempt { until, .. }) = violation.exempt(now) {
        rest.push(format!("exempt until {until}"));
    }
    let label = severity.label().to_lowercase();
    let what = format!("{}, {}", shown(name(violation)), shown(resource_kind(&key.resource_type)));
    let age = age(violation, now);
    let left = room.saturating_sub(label.len().saturating_add(age.len()).saturating_add(2));
    let first = format!("{} {age} {}", coloured(&label, severity), truncate_str(&what, left, "…"));
    let rest = rest.iter().map(|text| truncate_str(&format!("    {text}"), room, "…").into_owned());
    std::iter::once(first).chain(rest).collect()
}

fn coloured(text: &str, severity: Severity) -> String {
    match severity {
        Severity::Critical => style(text).red().bold().to_string(),
        Severity::High => style(text).red().to_string(),
        Severity::Medium => style(text).yellow().to_string(),
        Severity::Low | Severity::Informational => text.to_owned(),
    }
}

/// The name that people use, else the id.
pub(super) fn name(violation: &OpenViolation) -> &str {
    let named = violation.record.resource.name.as_deref().filter(|name| !name.trim().is_empty());
    named.unwrap_or(&violation.record.key.resource_id)
}

fn account(violation: &OpenViolation) -> String {
    let id = &violation.record.key.account;
    violation.account_name.as_deref().map_or_else(|| id.to_string(), |name| format!("{id} ({})", shown(name)))
}

fn age(violation: &OpenViolation, now: Timestamp) -> String {
    match violation.days {
        0 => format!("{} h", now.duration_since(violation.since).as_hours().max(0)),
        days => format!("{days} d"),
    }
}

pub(super) fn found(found: Found) -> &'static str {
    match found {
        Found::Rollout => "rollout",
        Found::Regression => "regression",
        Found::FirstResult => "first result",
    }
}

fn summary(shown: &Shown<'_>) -> String {
    let listing = shown.listing;
    let open = listing.violations.len();
    let mut text = match shown.oldest() {
        None if shown.narrowed => "no open violation on record matches".to_owned(),
        None => "no open violations on record".to_owned(),
        Some(oldest) => {
            let severities = shown.by_severity().into_iter().filter(|(_, number)| *number > 0);
            let severities: Vec<String> =
                severities.map(|(severity, number)| format!("{number} {}", severity.label().to_lowercase())).collect();
            let matching = match (shown.narrowed, open) {
                (false, _) => "",
                (true, 1) => " matches",
                (true, _) => " match",
            };
            format!(
                "{}{matching}: {}; the oldest since {} ({})",
                count(plain::number(open), "open violation"),
                severities.join(", "),
                plain::time(oldest.since),
                age(oldest, listing.at)
            )
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
    if listing.exempt_left_out > 0 {
        text.push_str(&format!("; {} exempt left out (--exempt include)", listing.exempt_left_out));
    }
    text
}

/// What the list does not say: nobody is to take silence for compliance.
pub(super) fn caveats(shown: &Shown<'_>) -> Vec<String> {
    let listing = shown.listing;
    let mut lines = Vec::new();
    if !listing.in_force {
        lines.push(
            "no framework is in force: nothing is evaluated, and an empty list says nothing about compliance"
                .to_owned(),
        );
    }
    lines.extend(listing.blind.iter().map(|spot| {
        let name = listing.account_names.get(&spot.account);
        let name = name.map_or_else(String::new, |name| format!(" ({})", plain::shown(name)));
        format!(
            "not seen: {}{name} {} since {}: {}; `{}`",
            spot.account,
            spot.region,
            plain::time(spot.since),
            spot.reason.cause.sentence(),
            spot.command()
        )
    }));
    lines
}
