//! Wildcards of AWS Backup selections, of exemptions and of IAM policies.

/// A pattern in which `*` matches any text, the empty one too; every other character matches itself, case included.
///
/// The AWS Backup developer guide uses `*` anywhere in a selection, the API reference at the end of an ARN only. This follows the guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    text: Box<str>,
    /// The parts before, between and after each `*`; none without a `*`.
    parts: Box<[Box<str>]>,
}

impl Wildcard {
    /// Parses a pattern; every text is one.
    pub fn new(text: &str) -> Self {
        let parts = text.contains('*').then(|| text.split('*').map(Into::into).collect());
        Self { text: text.into(), parts: parts.unwrap_or_default() }
    }

    /// Returns the pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it consists of `*` alone and matches every text.
    pub fn is_everything(&self) -> bool {
        !self.text.is_empty() && self.text.bytes().all(|byte| byte == b'*')
    }

    /// Whether the pattern matches a whole text. Linear in the two lengths: the leftmost match of a part leaves the most room for
    /// the parts after it.
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.parts else { return *self.text == *text };
        let inner = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last));
        inner.is_some_and(|inner| middle.iter().try_fold(inner, |rest, part| after(rest, part)).is_some())
    }

    /// Whether the pattern matches every text (`Some(true)`) or no text (`Some(false)`) that begins with `prefix`; `None` if that
    /// depends on the rest.
    pub fn matches_prefix(&self, prefix: &str) -> Option<bool> {
        let pattern: Vec<char> = self.text.chars().collect();
        let mut positions = reachable(&pattern, [0]);
        for c in prefix.chars() {
            positions = step(&pattern, &positions, c);
            if positions.is_empty() {
                return Some(false);
            }
        }
        (pattern.last() == Some(&'*') && positions.contains(&pattern.len())).then_some(true)
    }
}

/// Returns the text after the first occurrence of a part.
fn after<'t>(text: &'t str, part: &str) -> Option<&'t str> {
    /// Bytes. The search of the standard library has a set-up cost that pays for longer parts only.
    const SHORT: usize = 16;
    if part.len() > SHORT {
        return text.split_once(part).map(|(_, rest)| rest);
    }
    let part = part.as_bytes();
    // Two `*` side by side are one.
    let Some(first) = part.first() else { return Some(text) };
    let at = text.as_bytes().windows(part.len()).position(|own| own.first() == Some(first) && own == part)?;
    // The bytes of a text begin and end at character boundaries wherever they occur.
    text.get(at.checked_add(part.len())?..)
}

/// Returns the positions in a pattern that are reachable from these without reading a character, by skipping each `*`. `positions`
/// is sorted; so is the result, without duplicates.
pub fn reachable(pattern: &[char], positions: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut reached: Vec<usize> = Vec::new();
    for position in positions {
        let mut next = position;
        while reached.last().is_none_or(|last| *last < next) {
            reached.push(next);
            if pattern.get(next) == Some(&'*') {
                next += 1;
            }
        }
    }
    reached
}

/// Returns the positions in a pattern after one more character.
pub fn step(pattern: &[char], positions: &[usize], c: char) -> Vec<usize> {
    let next = positions.iter().filter_map(|position| match pattern.get(*position) {
        Some('*') => Some(*position),
        Some(own) if *own == c => Some(position + 1),
        _ => None,
    });
    reachable(pattern, next)
}

/// Whether a pattern of IAM matches a text: `*` matches any text, `?` any one character. Returns to the last `*` only, so the time is
/// at most proportional to the product of the lengths.
pub fn glob(pattern: &str, text: &str, ignore_case: bool) -> bool {
    let fold = |c: char| if ignore_case { c.to_ascii_lowercase() } else { c };
    let pattern: Vec<char> = pattern.chars().map(fold).collect();
    let text: Vec<char> = text.chars().map(fold).collect();
    let (mut at, mut position) = (0, 0);
    // The last `*` and the end of the text that it matches.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(at) {
        match pattern.get(position) {
            Some('*') => {
                star = Some((position, at));
                position += 1;
            }
            Some(own) if own == c || *own == '?' => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((star_position, end)) = star else { return false };
                star = Some((star_position, end + 1));
                at = end + 1;
                position = star_position + 1;
            }
        }
    }
    pattern.get(position..).is_none_or(|rest| rest.iter().all(|c| *c == '*'))
}

/// Whether a pattern with `*` matches a whole text; see [`Wildcard`], which is quicker for a pattern that is used often.
pub fn matches(pattern: &str, text: &str) -> bool {
    Wildcard::new(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) if naive(rest, text) => true,
            (Some((b'*', _)), Some((_, behind))) => naive(pattern, behind),
            (Some((own, rest)), Some((c, behind))) => own == c && naive(rest, behind),
            _ => false,
        }
    }

    #[test]
    fn star_anywhere_matches_any_text() {
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
            assert_eq!(Wildcard::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_pattern_takes_linear_time() {
        let text = "a".repeat(20_000);
        let pattern = format!("{}b", "*a".repeat(200));
        assert!(!Wildcard::new(&pattern).matches(&text));
        assert!(!glob(&pattern, &text, true));
        assert_eq!(Wildcard::new(&pattern).matches_prefix(&"a".repeat(500)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn all_matchers_agree_with_the_definition(pattern in "[ab*]{0,6}", text in "[ab]{0,7}") {
            let expected = naive(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Wildcard::new(&pattern).matches(&text), expected);
            prop_assert_eq!(matches(&pattern, &text), expected);
            prop_assert_eq!(glob(&pattern, &text, false), expected);
        }

        #[test]
        fn prefix_result_holds_for_every_continuation(pattern in "[ab*]{0,5}", prefix in "[ab]{0,4}") {
            let pattern = Wildcard::new(&pattern);
            let ends = ["", "a", "b", "ab", "ba", "x", "xa", "bbb", "aab", "xab", "abab", "xbba"];
            let matches: Vec<bool> = ends.iter().map(|end| pattern.matches(&format!("{prefix}{end}"))).collect();
            match pattern.matches_prefix(&prefix) {
                Some(expected) => prop_assert!(matches.iter().all(|matches| *matches == expected)),
                None => prop_assert!(matches.iter().any(|matches| !matches)),
            }
        }
    }
}
