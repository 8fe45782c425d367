//! Tags, conditions and sizes of backup selections.
//!
//! Sources: API reference, `BackupSelection`, `Condition` and `Conditions`; AWS Backup developer guide, "Assign resources with AWS
//! CLI". AWS Backup's own message about a selection of nothing is "Either 'ListOfTags' or 'Resources' section must be non-empty".

use syntax::text::printable;
use syntax::wildcard::Wildcard;

use super::{Rejection, quoted};

/// The prefix of the keys of `Conditions`. Those of `ListOfTags` do not have it.
pub const TAG_PREFIX: &str = "aws:ResourceTag/";

/// Most ARNs without wildcards.
pub const MOST_ARNS: usize = 500;

/// Most ARNs with wildcards.
pub const MOST_PATTERNS: usize = 30;

/// The only `ConditionType` of `ListOfTags`.
pub const STRING_EQUALS: &str = "STRINGEQUALS";

/// The operators of `Conditions`.
pub const OPERATORS: [&str; 4] = ["StringEquals", "StringLike", "StringNotEquals", "StringNotLike"];

/// Returns the rejection of a `ConditionType` of `ListOfTags`.
pub fn tag_operator(operator: &str) -> Option<Rejection> {
    const PROPERTY: &str = "ConditionType";
    if operator == STRING_EQUALS || operator.is_empty() {
        return None;
    }
    let message = format!("`ConditionType` is `{}`; `ListOfTags` supports only `{STRING_EQUALS}`", printable(operator));
    let with_case = operator.eq_ignore_ascii_case(STRING_EQUALS);
    let help = match OPERATORS.iter().find(|known| known.eq_ignore_ascii_case(operator)) {
        Some(_) if with_case => format!("write `{STRING_EQUALS}`"),
        Some(known) => format!(
            "write the condition under `Conditions`, as `{known}` with the key `{TAG_PREFIX}<key>`, and the resources that it \
             narrows under `Resources`"
        ),
        None => format!("write `{STRING_EQUALS}`, or use `Conditions`"),
    };
    let corrected = with_case.then(|| STRING_EQUALS.to_owned());
    Some(Rejection { property: PROPERTY, message, help, corrected })
}

/// Returns the doubt about a key of `ListOfTags` with the prefix of `Conditions`.
pub fn prefixed_tag(key: &str) -> Option<Rejection> {
    let bare = key.strip_prefix(TAG_PREFIX).filter(|bare| !bare.is_empty())?;
    let message = format!(
        "the key `{}` of `ListOfTags` has the prefix of `Conditions`; AWS Backup documents tag keys without it",
        printable(key)
    );
    Some(Rejection {
        property: "ConditionKey",
        message,
        help: format!("write `{}`", quoted(bare)),
        corrected: Some(bare.to_owned()),
    })
}

/// Returns the doubt about a key of `Conditions` without its prefix.
pub fn bare_condition(key: &str) -> Option<Rejection> {
    if key.starts_with(TAG_PREFIX) || key.is_empty() {
        return None;
    }
    let message = format!(
        "the key `{}` of `Conditions` does not start with `{TAG_PREFIX}`; AWS Backup does not document its effect",
        printable(key)
    );
    let with_case = key
        .get(..TAG_PREFIX.len())
        .filter(|start| start.eq_ignore_ascii_case(TAG_PREFIX))
        .and_then(|_| key.get(TAG_PREFIX.len()..));
    // `ec2:ResourceTag/` and others are keys of IAM.
    let of_service = || key.split_once(":ResourceTag/").map(|(_, tag)| tag).filter(|tag| !tag.is_empty());
    let corrected = match with_case.or_else(of_service) {
        Some(tag) => Some(format!("{TAG_PREFIX}{tag}")),
        None if key.starts_with("aws:") => None,
        None => Some(format!("{TAG_PREFIX}{key}")),
    };
    let help = match &corrected {
        Some(corrected) => format!("write `{}`", quoted(corrected)),
        None => format!("write `{TAG_PREFIX}<tag key>`"),
    };
    Some(Rejection { property: "ConditionKey", message, help, corrected })
}

/// Returns the rejection of too many ARNs, or too many with wildcards.
pub fn too_many(property: &'static str, arns: usize, patterns: usize) -> Option<Rejection> {
    let (number, what, most) = match (arns, patterns) {
        (_, patterns) if patterns > MOST_PATTERNS => (patterns, "ARNs with wildcards", MOST_PATTERNS),
        (arns, _) if arns > MOST_ARNS => (arns, "ARNs", MOST_ARNS),
        _ => return None,
    };
    let message = format!("`{property}` has {number} {what}; AWS Backup accepts {most}");
    let help = match property {
        "NotResources" => "exclude by a tag with `Conditions`, or merge patterns",
        _ => "distribute them over several selections, or select by a type or a tag",
    };
    Some(Rejection::new(property, message, help))
}

/// A condition on the value of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueCondition<'a> {
    /// Whether the value is a pattern: `StringLike`, `StringNotLike`.
    pub is_like: bool,
    /// Whether the operator is negative: `StringNotEquals`, `StringNotLike`.
    pub is_negative: bool,
    /// The value or pattern.
    pub value: &'a str,
}

impl ValueCondition<'_> {
    /// Returns the operator.
    pub fn operator(self) -> &'static str {
        match (self.is_like, self.is_negative) {
            (false, false) => "StringEquals",
            (true, false) => "StringLike",
            (false, true) => "StringNotEquals",
            (true, true) => "StringNotLike",
        }
    }

    fn fits(self, value: &str) -> bool {
        let equal = if self.is_like { Wildcard::new(self.value).matches(value) } else { self.value == value };
        equal != self.is_negative
    }

    /// Whether only one value satisfies it.
    fn is_exact(self) -> bool {
        let is_pattern = self.is_like && self.value.contains('*');
        !self.is_negative && !is_pattern
    }
}

/// Returns two conditions on one tag of which never both hold. All conditions of a selection must hold.
pub fn contradiction<'a>(conditions: &[ValueCondition<'a>]) -> Option<(ValueCondition<'a>, ValueCondition<'a>)> {
    /// A selection has at most 30 conditions.
    const MOST: usize = 64;
    let all = || conditions.iter().take(MOST).copied();
    if let Some(exact) = all().find(|condition| condition.is_exact()) {
        let other = all().find(|other| !other.fits(exact.value));
        return other.map(|other| (exact, other));
    }
    // The other positive conditions are patterns.
    for like in all().filter(|condition| !condition.is_negative) {
        let excludes = |other: &ValueCondition<'_>| {
            other.is_negative
                && other.is_like
                && (other.value == like.value || Wildcard::new(other.value).is_everything())
        };
        if let Some(other) = all().find(excludes) {
            return Some((like, other));
        }
        let disjoint = |other: &ValueCondition<'_>| {
            let (ends, others) = (ends(like.value), ends_of(other));
            others.is_some_and(|others| are_disjoint(ends, others))
        };
        if let Some(other) = all().find(disjoint) {
            return Some((like, other));
        }
    }
    None
}

/// Returns the literal start and end of a pattern.
fn ends(pattern: &str) -> (&str, &str) {
    let start = pattern.split('*').next().unwrap_or_default();
    let end = pattern.rsplit('*').next().unwrap_or_default();
    (start, end)
}

fn ends_of<'a>(condition: &ValueCondition<'a>) -> Option<(&'a str, &'a str)> {
    (!condition.is_negative).then(|| ends(condition.value))
}

fn are_disjoint(one: (&str, &str), other: (&str, &str)) -> bool {
    let starts = one.0.starts_with(other.0) || other.0.starts_with(one.0);
    let ends = one.1.ends_with(other.1) || other.1.ends_with(one.1);
    !starts || !ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(text: &str) -> ValueCondition<'_> {
        let (operator, value) = text.split_once(' ').unwrap_or((text, ""));
        let (is_like, is_negative) = match operator {
            "=" => (false, false),
            "~" => (true, false),
            "!=" => (false, true),
            _ => (true, true),
        };
        ValueCondition { is_like, is_negative, value }
    }

    #[test]
    fn contradictions_are_found() {
        for (texts, expected) in [
            (&["= dev", "= prod"][..], true),
            (&["= dev", "= dev"], false),
            (&["= dev", "!= dev"], true),
            (&["= dev", "!= prod"], false),
            (&["= dev", "~ p*"], true),
            (&["= prod", "~ p*"], false),
            (&["= prod", "!~ p*"], true),
            (&["= prod", "!~ d*"], false),
            (&["~ prod", "= dev"], true),
            (&["~ p*", "~ d*"], true),
            (&["~ p*", "~ pr*"], false),
            (&["~ *a", "~ *b"], true),
            (&["~ *a", "~ b*"], false),
            (&["~ *a*", "~ *b*"], false),
            (&["~ p*", "!~ p*"], true),
            (&["~ p*", "!~ *"], true),
            (&["~ *", "!~ *"], true),
            (&["~ p*", "!~ *x"], false),
            (&["!= dev", "!= prod"], false),
            (&["!~ *"], false),
            (&["!~ *", "!= x"], false),
            (&["~ *", "!= x", "!= y", "= y"], true),
            (&[], false),
        ] {
            let conditions: Vec<_> = texts.iter().map(|text| condition(text)).collect();
            assert_eq!(contradiction(&conditions).is_some(), expected, "{texts:?}");
        }
    }

    #[test]
    fn tag_operators_differ_in_case_or_kind() {
        assert_eq!(tag_operator("STRINGEQUALS"), None);
        for (operator, corrected, help) in [
            ("StringEquals", Some("STRINGEQUALS"), "write `STRINGEQUALS`"),
            ("stringequals", Some("STRINGEQUALS"), "write `STRINGEQUALS`"),
            ("STRINGNOTEQUALS", None, "`StringNotEquals`"),
            ("StringLike", None, "`StringLike`"),
            ("STRINGNOTLIKE", None, "`StringNotLike`"),
            ("EQUALS", None, "STRINGEQUALS"),
        ] {
            let rejection = tag_operator(operator).unwrap_or_else(|| panic!("{operator} is accepted"));
            assert_eq!(rejection.corrected.as_deref(), corrected, "{operator}");
            assert!(rejection.help.contains(help), "{operator}: {}", rejection.help);
        }
    }

    #[test]
    fn keys_have_the_prefix_in_conditions_only() {
        for (key, tag, condition) in [
            ("backup", None, Some("aws:ResourceTag/backup")),
            ("aws:ResourceTag/backup", Some("backup"), None),
            ("aws:resourcetag/backup", None, Some("aws:ResourceTag/backup")),
            ("ec2:ResourceTag/x", None, Some("aws:ResourceTag/x")),
            ("team:owner", None, Some("aws:ResourceTag/team:owner")),
            ("aws:ResourceTag/", None, None),
        ] {
            assert_eq!(prefixed_tag(key).and_then(|it| it.corrected).as_deref(), tag, "{key}");
            assert_eq!(bare_condition(key).and_then(|it| it.corrected).as_deref(), condition, "{key}");
        }
        assert!(bare_condition("aws:RequestTag/backup").is_some_and(|it| it.corrected.is_none()));
        assert!(bare_condition("übermäßig-lang-ä").is_some());
    }

    #[test]
    fn sizes_of_lists_have_limits() {
        for (arns, patterns, is_accepted) in
            [(0, 0, true), (500, 30, true), (501, 0, false), (31, 31, false), (501, 1, false), (40, 30, true)]
        {
            assert_eq!(too_many("Resources", arns, patterns).is_none(), is_accepted, "{arns} {patterns}");
        }
    }
}
