//! Instances grouped by what became of them and why: 700 accounts with the same missing role are one thing to mend.

use super::{Cause, Instance, InstanceFault, Outcome};
use std::collections::HashMap;

/// Instances that came to the same end for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'v> {
    /// What became of them.
    pub outcome: Outcome,
    /// Why, where CloudFormation's words are known ones.
    pub cause: Option<Cause>,
    /// The reason as the first of them has it. The others' may name other accounts, Regions and requests.
    pub reason: &'v str,
    /// How many there are.
    pub count: usize,
    /// The first of them, as many as were asked for.
    pub first: Vec<&'v Instance>,
}

/// Groups all instances and names the first few of each group. Failures come before what follows from them, large groups before
/// small ones.
#[must_use]
pub fn group(faults: &[InstanceFault], named: usize) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    // The same reason but for the ids in it is the rule, so its cause is looked for once.
    let mut by_likeness: HashMap<(Outcome, String), usize> = HashMap::new();
    let mut by_cause: HashMap<(Outcome, Cause), usize> = HashMap::new();
    for InstanceFault { instance, outcome, reason } in faults {
        let place = *by_likeness.entry((*outcome, normalised(reason))).or_insert_with(|| {
            let mut new = |cause| {
                groups.push(Group { outcome: *outcome, cause, reason, count: 0, first: Vec::new() });
                groups.len().saturating_sub(1)
            };
            match Cause::of(reason) {
                Some(cause) => {
                    *by_cause.entry((*outcome, cause)).or_insert_with_key(|(_, cause)| new(Some(cause.clone())))
                }
                None => new(None),
            }
        });
        let Some(group) = groups.get_mut(place) else { continue };
        group.count = group.count.saturating_add(1);
        if group.first.len() < named {
            group.first.push(instance);
        }
    }
    // A stable sort: equal groups stay as their first instances are.
    groups.sort_by_key(|group| (rank(group.outcome), std::cmp::Reverse(group.count)));
    groups
}

const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Failed => 0,
        Outcome::NotDeleted => 1,
        Outcome::Cancelled => 2,
        Outcome::NeverReached => 3,
        Outcome::Skipped => 4,
    }
}

/// The reason with placeholders for what differs from one instance to the next: account ids, Regions, ARNs, UUIDs, ids of requests
/// and stacks. Only for comparing; nobody is shown it.
#[must_use]
pub fn normalised(reason: &str) -> String {
    /// What comes after that much does not tell reasons apart.
    const COMPARED: usize = 2_000;
    let mut out = String::with_capacity(reason.len().min(COMPARED));
    let mut rest = reason;
    while !rest.is_empty() && out.len() < COMPARED {
        // Only ASCII ends a word, so this is the start of a character.
        let end = rest.bytes().position(|byte| !is_of_word(byte)).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        push_word(&mut out, word);
        let mut after = after.chars();
        out.extend(after.next().map(|c| if c.is_ascii_whitespace() || c.is_ascii_control() { ' ' } else { c }));
        rest = after.as_str();
    }
    out.truncate(out.trim_end_matches([' ', '.']).len());
    out
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || !byte.is_ascii()
        || matches!(byte, b'-' | b'_' | b':' | b'/' | b'.' | b'*' | b'+' | b'=' | b'@')
}

fn push_word(out: &mut String, word: &str) {
    // `Stack:arn:...` is written without a space.
    if let Some((before, _)) = word.split_once("arn:").filter(|(before, _)| before.is_empty() || before.ends_with(':'))
    {
        out.push_str(before);
        out.push_str("ARN");
    } else if !word.bytes().any(|byte| byte.is_ascii_digit()) {
        // Everything that is made up has a digit in it.
        out.push_str(word);
    } else {
        for part in word.split_inclusive([':', '/', '.']) {
            let name = part.strip_suffix([':', '/', '.']).unwrap_or(part);
            push_name(out, name);
            out.push_str(part.strip_prefix(name).unwrap_or_default());
        }
    }
}

/// A name without what is made up in it.
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
            out.push_str(is_made_up(part).unwrap_or(part));
        }
    }
}

/// Account ids and other long numbers; hexadecimal ids; the suffixes that CloudFormation gives names.
fn is_made_up(part: &str) -> Option<&'static str> {
    let (mut digits, mut upper, mut lower_hex, mut other) = (0_usize, 0_usize, 0_usize, 0_usize);
    for byte in part.bytes() {
        let counter = match byte {
            b'0'..=b'9' => &mut digits,
            b'A'..=b'Z' => &mut upper,
            b'a'..=b'f' => &mut lower_hex,
            _ => &mut other,
        };
        *counter = counter.saturating_add(1);
    }
    if digits == part.len() {
        return (digits >= 6).then_some(if digits == 12 { "ACCOUNT" } else { "NUMBER" });
    }
    let one_case = upper == 0 || lower_hex == 0;
    (part.len() >= 10 && digits > 0 && other == 0 && one_case).then_some("ID")
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
