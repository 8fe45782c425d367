//! Groups instances by outcome and cause: 700 accounts with the same missing role need one fix.

use std::collections::HashMap;

use super::{FailureCause, Instance, InstanceFailure, InstanceOutcome};

/// Instances with the same outcome and cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup<'v> {
    /// The outcome.
    pub outcome: InstanceOutcome,
    /// The cause, if the reason is a known one.
    pub cause: Option<FailureCause>,
    /// The reason of the first instance. Those of the others may name other accounts, Regions and requests.
    pub reason: &'v str,
    /// The number of instances.
    pub count: usize,
    /// The first instances.
    pub first: Vec<&'v Instance>,
}

/// Groups instances and keeps the first `named` of each group: failures before their consequences, large groups first.
pub fn group_failures(diagnostics: &[InstanceFailure], named: usize) -> Vec<FailureGroup<'_>> {
    let mut groups: Vec<FailureGroup<'_>> = Vec::new();
    // Most reasons differ in ids only, so the cause is searched once for each normalized reason.
    let mut by_reason: HashMap<(InstanceOutcome, String), usize> = HashMap::new();
    let mut by_cause: HashMap<(InstanceOutcome, FailureCause), usize> = HashMap::new();
    for InstanceFailure { instance, outcome, reason } in diagnostics {
        let index = *by_reason.entry((*outcome, normalized(reason))).or_insert_with(|| {
            let mut new = |cause| {
                groups.push(FailureGroup { outcome: *outcome, cause, reason, count: 0, first: Vec::new() });
                groups.len().saturating_sub(1)
            };
            match FailureCause::from_reason(reason) {
                Some(cause) => {
                    *by_cause.entry((*outcome, cause)).or_insert_with_key(|(_, cause)| new(Some(cause.clone())))
                }
                None => new(None),
            }
        });
        let Some(group) = groups.get_mut(index) else { continue };
        group.count = group.count.saturating_add(1);
        if group.first.len() < named {
            group.first.push(instance);
        }
    }
    // A stable sort: equal groups stay in the order of their first instances.
    groups.sort_by_key(|group| (group.outcome, std::cmp::Reverse(group.count)));
    groups
}

/// Replaces account ids, Regions, ARNs, UUIDs and ids of requests and stacks by placeholders, to compare reasons.
fn normalized(reason: &str) -> String {
    const COMPARED: usize = 2_000;
    let mut out = String::with_capacity(reason.len().min(COMPARED));
    let is_separator = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_:/.*+=@".contains(c);
    for part in reason.split_inclusive(is_separator) {
        if out.len() >= COMPARED {
            break;
        }
        let word = part.trim_end_matches(is_separator);
        push_word(&mut out, word);
        let separator = part.strip_prefix(word).unwrap_or_default().chars();
        out.extend(separator.map(|c| if c.is_ascii_whitespace() || c.is_ascii_control() { ' ' } else { c }));
    }
    out.truncate(out.trim_end_matches([' ', '.']).len());
    out
}

fn push_word(out: &mut String, word: &str) {
    // CloudFormation writes `Stack:arn:...` without a space.
    if let Some((before, _)) = word.split_once("arn:").filter(|(before, _)| before.is_empty() || before.ends_with(':'))
    {
        out.push_str(before);
        out.push_str("ARN");
    } else if !word.bytes().any(|byte| byte.is_ascii_digit()) {
        // Every generated id has a digit.
        out.push_str(word);
    } else {
        for part in word.split_inclusive([':', '/', '.']) {
            let name = part.strip_suffix([':', '/', '.']).unwrap_or(part);
            push_name(out, name);
            out.push_str(part.strip_prefix(name).unwrap_or_default());
        }
    }
}

fn push_name(out: &mut String, name: &str) {
    const UUID: [usize; 5] = [8, 4, 4, 4, 12];
    if is_region(name) {
        out.push_str("REGION");
        return;
    }
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = name.split('-');
    let mut is_first = true;
    while let Some(part) = parts.next() {
        if !std::mem::take(&mut is_first) {
            out.push('-');
        }
        let mut ahead = parts.clone();
        let is_uuid = part.len() == 8
            && is_hex(part)
            && UUID.iter().skip(1).all(|length| ahead.next().is_some_and(|part| part.len() == *length && is_hex(part)));
        if is_uuid {
            out.push_str("ID");
            parts = ahead;
        } else {
            out.push_str(placeholder(part).unwrap_or(part));
        }
    }
}

/// The placeholder of an account id or another long number, a hexadecimal id, or a suffix that CloudFormation adds to names.
fn placeholder(part: &str) -> Option<&'static str> {
    let all = |is_allowed: fn(&u8) -> bool| part.as_bytes().iter().all(is_allowed);
    if all(u8::is_ascii_digit) {
        return (part.len() >= 6).then_some(if part.len() == 12 { "ACCOUNT" } else { "NUMBER" });
    }
    let one_case =
        all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'Z')) || all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (part.len() >= 10 && one_case && part.contains(|c: char| c.is_ascii_digit())).then_some("ID")
}

/// `eu-west-1`, `us-gov-east-1`, `eusc-de-east-1`.
fn is_region(name: &str) -> bool {
    let mut parts = name.split('-');
    let letters = |part: &str| (2..=10).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase());
    let number = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let (Some(first), Some(last)) = (parts.next(), parts.next_back()) else { return false };
    let between = parts.clone().count();
    (2..=4).contains(&first.len()) && letters(first) && number(last) && (1..=2).contains(&between) && parts.all(letters)
}

#[cfg(test)]
mod tests;
