//! Patterns of AWS, made ready once and compared often.

use super::truth::Truth;

/// A pattern of a backup selection: `*` is any text, also none, wherever it stands; everything else is itself, case included.
///
/// The guide uses `*` anywhere, the API reference allows it at the end of an ARN only; we follow the guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: Box<str>,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// No `*`.
    Exactly,
    /// Before the first `*`, between them, after the last. Parts are ends of bytes in the text of the pattern.
    Around { first: Box<str>, middle: Box<[Box<str>]>, last: Box<str> },
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let shape = match text.split_once('*') {
            None => Shape::Exactly,
            Some((first, others)) => {
                let (middle, last) = others.rsplit_once('*').unwrap_or(("", others));
                Shape::Around {
                    first: first.into(),
                    // Two `*` side by side are one.
                    middle: middle.split('*').filter(|part| !part.is_empty()).map(Into::into).collect(),
                    last: last.into(),
                }
            }
        };
        Self { text: text.into(), shape }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it matches every text.
    pub(crate) fn is_everything(&self) -> bool {
        !self.text.is_empty() && self.text.bytes().all(|byte| byte == b'*')
    }

    /// Takes time in proportion to the two lengths, whatever the pattern: the leftmost place of each part leaves the most room
    /// for those behind it.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match &self.shape {
            Shape::Exactly => *self.text == *text,
            Shape::Around { first, middle, last } => {
                let inner = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last));
                inner.is_some_and(|inner| middle.iter().try_fold(inner, |rest, part| behind(rest, part)).is_some())
            }
        }
    }

    /// Whether it matches a text of which only the beginning is known.
    ///
    /// It matches whatever follows only when it can be at a `*` that ends it; it may match when it can be anywhere.
    pub(crate) fn matches_beginning(&self, beginning: &str) -> Truth {
        let pattern: Vec<char> = self.text.chars().collect();
        let mut places = reachable(&pattern, [0]);
        for c in beginning.chars() {
            places = step(&pattern, &places, c);
            if places.is_empty() {
                return Truth::No;
            }
        }
        match pattern.last() {
            Some('*') if places.contains(&pattern.len()) => Truth::Yes,
            _ => Truth::Unknown,
        }
    }
}

/// What follows the first time that a part is in a text.
fn behind<'t>(text: &'t str, part: &str) -> Option<&'t str> {
    /// The search of the standard library prepares itself at length, which pays for long parts only. Short ones are compared at each
    /// place, so the time stays in proportion.
    const SHORT: usize = 16;
    if part.len() > SHORT {
        return text.split_once(part).map(|(_, behind)| behind);
    }
    let part = part.as_bytes();
    let first = part.first()?;
    let at = text.as_bytes().windows(part.len()).position(|own| own.first() == Some(first) && own == part)?;
    // Where the bytes of a text are in a text, it begins and ends at characters.
    text.get(at.checked_add(part.len())?..)
}

/// The places in a pattern that can be reached from these without reading anything: over each `*`. These are sorted, and so is
/// what comes of them, each place once.
pub(super) fn reachable(pattern: &[char], places: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut reached: Vec<usize> = Vec::new();
    for place in places {
        let mut next = place;
        while reached.last().is_none_or(|last| *last < next) {
            reached.push(next);
            if pattern.get(next) == Some(&'*') {
                next += 1;
            }
        }
    }
    reached
}

/// Where one can be after reading a character.
pub(super) fn step(pattern: &[char], places: &[usize], c: char) -> Vec<usize> {
    let next = places.iter().filter_map(|place| match pattern.get(*place) {
        Some('*') => Some(*place),
        Some(own) if *own == c => Some(place + 1),
        _ => None,
    });
    reachable(pattern, next)
}

/// Whether a text is what a pattern of IAM says: `*` is any text, `?` any one character. Goes back to the last `*` only, so it
/// takes time in proportion to the product of the lengths at worst.
pub(crate) fn glob(pattern: &str, text: &str, ignore_case: bool) -> bool {
    let fold = |c: char| if ignore_case { c.to_ascii_lowercase() } else { c };
    let pattern: Vec<char> = pattern.chars().map(fold).collect();
    let text: Vec<char> = text.chars().map(fold).collect();
    let (mut at, mut place) = (0, 0);
    // The last `*` and how much of the text it has taken in.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(at) {
        match pattern.get(place) {
            Some('*') => {
                star = Some((place, at));
                place += 1;
            }
            Some(own) if own == c || *own == '?' => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star_place, taken)) = star else { return false };
                star = Some((star_place, taken + 1));
                at = taken + 1;
                place = star_place + 1;
            }
        }
    }
    pattern.get(place..).is_none_or(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::wildcard;
    use proptest::prelude::*;

    /// From the definition.
    fn plainly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) if plainly(rest, text) => true,
            (Some((b'*', _)), Some((_, behind))) => plainly(pattern, behind),
            (Some((own, rest)), Some((c, behind))) => own == c && plainly(rest, behind),
            _ => false,
        }
    }

    #[test]
    fn a_star_stands_for_any_text_wherever_it_is() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "x", true),
            ("a*", "a", true),
            ("*exclude*", "do exclude me", true),
            ("*exclude*", "do Exclude me", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a**b", "ab", true),
            ("arn:aws:rds:*:*:db:*", "arn:aws:rds:eu-west-1:111111111111:db:orders", true),
            ("arn:aws:rds:*:*:db:*", "arn:aws:rds:eu-west-1:111111111111:cluster:orders", false),
            ("", "", true),
            ("", "a", false),
            ("?", "a", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let text = "a".repeat(20_000);
        let pattern = format!("{}b", "*a".repeat(200));
        assert!(!Pattern::new(&pattern).matches(&text));
        assert!(!glob(&pattern, &text, true));
        assert_eq!(Pattern::new(&pattern).matches_beginning(&"a".repeat(500)), Truth::Unknown);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn matching_agrees_with_the_definition_and_with_the_other_matcher(pattern in "[ab*]{0,6}", text in "[ab]{0,7}") {
            let expected = plainly(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), expected);
            prop_assert_eq!(wildcard(&pattern, &text), expected);
            prop_assert_eq!(glob(&pattern, &text, false), expected);
        }

        /// Yes and no hold for every end that was tried; where it is not known, one end fits and one does not.
        #[test]
        fn a_beginning_is_judged_by_all_its_ends(pattern in "[ab*]{0,5}", beginning in "[ab]{0,4}") {
            let pattern = Pattern::new(&pattern);
            let ends = ["", "a", "b", "ab", "ba", "x", "xa", "bbb", "aab", "xab", "abab", "xbba"];
            let fits: Vec<bool> = ends.iter().map(|end| pattern.matches(&format!("{beginning}{end}"))).collect();
            match pattern.matches_beginning(&beginning) {
                Truth::Yes => prop_assert!(fits.iter().all(|fits| *fits)),
                Truth::No => prop_assert!(fits.iter().all(|fits| !fits)),
                Truth::Unknown => prop_assert!(fits.iter().any(|fits| !fits)),
            }
        }
    }
}
