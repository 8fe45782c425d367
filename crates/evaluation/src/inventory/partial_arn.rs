//! ARNs before a deployment, of which the account, the Region or the name is unknown, and patterns with pseudo
//! parameters. Whatever the unknown parts are: if a pattern matches in every case, it matches.

use std::borrow::Cow;
use std::collections::BTreeSet;

use syntax::wildcard::{Wildcard, reachable, step};

/// Characters that represent the unknown parts. They are private, so that no ARN contains them.
const PARTITION: char = '\u{F0000}';
const REGION: char = '\u{F0001}';
const ACCOUNT: char = '\u{F0002}';
/// The name of a resource; not empty, and without `:` and `/`.
pub(crate) const NAME: char = '\u{F0003}';

/// The pseudo parameters, as patterns contain them, with their representation in ARNs.
const PSEUDO: [(&str, &str, char); 3] = [
    ("AWS::Partition", "${AWS::Partition}", PARTITION),
    ("AWS::Region", "${AWS::Region}", REGION),
    ("AWS::AccountId", "${AWS::AccountId}", ACCOUNT),
];

/// The Region and account of a deployment that are unknown, as in ARNs of documents.
pub(crate) const UNKNOWN_REGION: &str = "${AWS::Region}";
pub(crate) const UNKNOWN_ACCOUNT: &str = "${AWS::AccountId}";

/// Returns the pseudo parameter as patterns contain it.
pub(crate) fn pseudo(name: &str) -> Option<&'static str> {
    PSEUDO.iter().find(|(own, ..)| *own == name).map(|(_, text, _)| *text)
}

/// Returns the six parts of an ARN that may contain `${AWS::Region}` and others.
pub(crate) fn parts(arn: &str) -> Option<[&str; 6]> {
    let mut is_inside = false;
    let mut parts = arn.splitn(6, |c| {
        is_inside = c == '{' || (is_inside && c != '}');
        c == ':' && !is_inside
    });
    Some([parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?])
}

/// Returns the ARN with private characters instead of `${AWS::Region}` and others.
pub(crate) fn with_unknowns(text: &str) -> Cow<'_, str> {
    if !text.contains("${AWS::") {
        return text.into();
    }
    let replaced = |text: String, (_, written, unknown): &(&str, &str, char)| {
        text.replace(written, unknown.encode_utf8(&mut [0; 4]))
    };
    PSEUDO.iter().fold(text.to_owned(), replaced).into()
}

/// Returns whether a pattern matches every ARN (`Some(true)`) or none (`Some(false)`) that a partial ARN represents.
pub(crate) fn matches(pattern: &Wildcard, partial: &str) -> Option<bool> {
    let pattern = with_unknowns(pattern.text());
    let found = matches_text(&pattern, partial);
    if found == Some(true) || !pattern.contains(is_unknown) {
        return found;
    }
    // An unknown part of the pattern may also equal known text.
    matches_text(&pattern.replace(is_unknown, "*"), partial).filter(|matches| !matches)
}

fn matches_text(pattern: &str, partial: &str) -> Option<bool> {
    let colons = |text: &str| text.matches(':').count();
    // With equally many colons, no `*` matches one, so that each part matches alone. No unknown part has a colon.
    match colons(pattern).cmp(&colons(partial)) {
        std::cmp::Ordering::Greater => Some(false),
        std::cmp::Ordering::Less => matches_all(pattern, partial),
        std::cmp::Ordering::Equal => {
            let mut parts = pattern.split(':').zip(partial.split(':'));
            // The first part that does not match decides, else the first unknown one.
            let both = |all: Option<bool>, (pattern, own): (&str, &str)| match matches_part(pattern, own) {
                Some(false) => Err(()),
                Some(true) => Ok(all),
                None => Ok(None),
            };
            parts.try_fold(Some(true), both).unwrap_or(Some(false))
        }
    }
}

fn matches_part(pattern: &str, part: &str) -> Option<bool> {
    match (pattern, part.chars().any(is_unknown)) {
        ("*", _) => Some(true),
        (_, false) => Some(syntax::wildcard::matches(pattern, part)),
        (_, true) => matches_all(pattern, part),
    }
}

/// The maximum of sets of positions. Usual patterns need fewer than ten.
const MOST: usize = 64;

/// The maximum of characters of a pattern; ARNs have fewer.
const LONGEST: usize = 2_048;

/// Compares by the positions in the pattern that each possible text leads to.
fn matches_all(pattern: &str, partial: &str) -> Option<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut sets = BTreeSet::from([reachable(&pattern, [0])]);
    for c in partial.chars() {
        sets = match c {
            _ if !is_unknown(c) || pattern.contains(&c) => sets.iter().map(|set| step(&pattern, set, c)).collect(),
            _ => after_unknown(&pattern, sets, c)?,
        };
        if sets.iter().all(Vec::is_empty) {
            return Some(false);
        }
    }
    let mut ends = sets.iter().map(|set| set.contains(&pattern.len()));
    let first = ends.next()?;
    ends.all(|other| other == first).then_some(first)
}

/// Returns the sets of positions after at least one character of an unknown part; `None` if there are too many.
fn after_unknown(pattern: &[char], sets: BTreeSet<Vec<usize>>, unknown: char) -> Option<BTreeSet<Vec<usize>>> {
    if pattern.len() > LONGEST {
        return None;
    }
    let is_possible = |c: char| match unknown {
        ACCOUNT => c.is_ascii_digit(),
        PARTITION | REGION => c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
        _ => c.is_ascii_alphanumeric() || "._-".contains(c),
    };
    let mut alphabet: BTreeSet<char> = pattern.iter().copied().filter(|c| is_possible(*c)).collect();
    // One character outside the pattern represents all others.
    alphabet.extend(('0'..='z').find(|c| is_possible(*c) && !pattern.contains(c)));
    let mut found = BTreeSet::new();
    let mut left: Vec<Vec<usize>> = sets.into_iter().collect();
    while let Some(set) = left.pop() {
        for c in &alphabet {
            let next = step(pattern, &set, *c);
            if found.insert(next.clone()) {
                left.push(next);
            }
        }
        if found.len() > MOST {
            return None;
        }
    }
    Some(found)
}

/// Returns whether a character represents an unknown part.
pub(crate) fn is_unknown(c: char) -> bool {
    (PARTITION..=NAME).contains(&c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(pattern: &str, partial: &str) -> Option<bool> {
        let partial = with_unknowns(partial).replace('@', NAME.encode_utf8(&mut [0; 4]));
        matches(&Wildcard::new(pattern), &partial)
    }

    #[test]
    fn unknown_parts_match_if_every_possibility_does() {
        let volume = "arn:aws:ec2:${AWS::Region}:${AWS::AccountId}:volume/vol-@";
        for (pattern, expected) in [
            ("*", Some(true)),
            ("arn:aws:ec2:*", Some(true)),
            ("arn:aws:ec2:*:*:volume/*", Some(true)),
            ("arn:aws:ec2:*:*:volume/vol-*", Some(true)),
            ("arn:aws:ec2:*:volume/*", Some(true)),
            ("arn:*:*:*:*:volume/*", Some(true)),
            ("arn:aws:ec2:${AWS::Region}:${AWS::AccountId}:volume/*", Some(true)),
            ("arn:aws:ec2:${AWS::Region}:*:volume/*", Some(true)),
            ("arn:aws:ec2:eu-west-1:*:volume/*", None),
            ("arn:aws:ec2:eu-*:*:volume/*", None),
            ("arn:aws:ec2:EU-*:*:volume/*", Some(false)),
            ("arn:aws:ec2:*:111122223333:volume/*", None),
            ("arn:aws:ec2:*:*:volume/vol-0123456789abcdef0", None),
            ("arn:aws:ec2:*:*:volume/i-*", Some(false)),
            ("arn:aws:ec2:*:*:instance/*", Some(false)),
            ("arn:aws:ec2:*:instance/*", Some(false)),
            ("arn:aws-cn:ec2:*:*:volume/*", Some(false)),
            ("arn:aws:rds:*:*:db:*", Some(false)),
            ("arn:aws:ec2:::volume/*", Some(false)),
            ("", Some(false)),
        ] {
            assert_eq!(of(pattern, volume), expected, "{pattern}");
        }
        let instance = "arn:aws:rds:eu-west-1:111122223333:db:@";
        for (pattern, expected) in [
            ("arn:aws:rds:*:*:cluster:*", Some(false)),
            ("arn:aws:rds:*:*:db:*", Some(true)),
            ("arn:aws:rds:*:db:*", Some(true)),
            ("arn:aws:rds:*:*:db:orders", None),
            ("arn:aws:rds:*:*:*", Some(true)),
            ("arn:aws:rds:*:*:db:a:b", Some(false)),
        ] {
            assert_eq!(of(pattern, instance), expected, "{pattern}");
        }
        for (pattern, partial, expected) in [
            ("arn:aws:s3:::logs-${AWS::AccountId}", "arn:aws:s3:::logs-${AWS::AccountId}", Some(true)),
            ("arn:aws:s3:::logs-${AWS::AccountId}", "arn:aws:s3:::logs-111122223333", None),
            ("arn:aws:s3:::logs-${AWS::AccountId}", "arn:aws:s3:::data-111122223333", Some(false)),
            ("arn:aws:s3:::logs-${AWS::AccountId}", "arn:aws:s3:::@", None),
            ("arn:aws:s3:::logs-*", "arn:aws:s3:::logs-${AWS::AccountId}", Some(true)),
            ("arn:aws:s3:::logs-1*", "arn:aws:s3:::logs-${AWS::AccountId}", None),
            ("arn:aws:s3:::logs-a*", "arn:aws:s3:::logs-${AWS::AccountId}", Some(false)),
        ] {
            assert_eq!(of(pattern, partial), expected, "{pattern} {partial}");
        }
        let unclear = "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:volume/vol-@";
        assert_eq!(of("arn:aws:ec2:*:*:volume/*", unclear), None);
        assert_eq!(of("arn:${AWS::Partition}:ec2:*:*:volume/*", unclear), Some(true));
        assert_eq!(of("arn:*:ec2:*:*:volume/*", unclear), Some(true));
    }

    #[test]
    fn hostile_pattern_is_bounded() {
        let partial = format!("arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-{NAME}");
        for pattern in
            ["*a".repeat(1_000), "*".repeat(100_000), "*ab*ba".repeat(300), format!("{}b", "*a*b".repeat(9_000))]
        {
            let _ = matches(&Wildcard::new(&pattern), &partial);
        }
    }

    proptest! {
        #[test]
        fn partial_result_holds_for_every_name(pattern in "[ab:*]{0,6}", start in "[ab:]{0,3}", end in "[ab:]{0,2}") {
            let partial = format!("{start}{NAME}{end}");
            let names = ["a", "b", "ab", "ba", "x", "xa", "bbb", "aab", "xab", "abab", "xbba", "aaaaaa"];
            let pattern = Wildcard::new(&pattern);
            let found: Vec<bool> = names.iter().map(|name| pattern.matches(&format!("{start}{name}{end}"))).collect();
            if let Some(expected) = matches(&pattern, &partial) {
                prop_assert!(found.iter().all(|one| *one == expected), "{:?}", pattern);
            }
        }
    }
}
