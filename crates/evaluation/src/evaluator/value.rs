//! Finds a tag value that satisfies all conditions on the tag.

use std::collections::BTreeSet;

use syntax::wildcard::{Wildcard, reachable, step};

/// The maximum of explored states. Usual patterns need fewer than ten.
const MOST_STATES: usize = 500;

/// The maximum of characters in all patterns. AWS accepts 256 in a value.
const MOST_CHARS: usize = 2_000;

/// Returns a value that matches every pattern of `like` and none of `unlike`; `None` if none exists, or if the search
/// exceeds its limits.
///
/// Prefers a pattern without its `*`, then `true`, then the shortest value.
pub(super) fn satisfying(like: &[&Wildcard], unlike: &[&Wildcard]) -> Option<String> {
    let fits = |value: &str| like.iter().all(|own| own.matches(value)) && !unlike.iter().any(|own| own.matches(value));
    let bare = like.iter().map(|pattern| pattern.text().replace('*', "")).filter(|text| !text.is_empty());
    let likely = bare.chain(["true".to_owned()]).find(|value| fits(value));
    likely.or_else(|| shortest(like, unlike).filter(|value| fits(value)))
}

/// Searches by length over the product of the pattern automata.
fn shortest(like: &[&Wildcard], unlike: &[&Wildcard]) -> Option<String> {
    let patterns: Vec<Vec<char>> = like.iter().chain(unlike).map(|pattern| pattern.text().chars().collect()).collect();
    if patterns.iter().map(Vec::len).sum::<usize>() > MOST_CHARS {
        return None;
    }
    let mut alphabet: Vec<char> = patterns.iter().flatten().copied().filter(|c| *c != '*').collect();
    alphabet.sort_unstable();
    alphabet.dedup();
    // One character outside all patterns represents all others.
    alphabet.extend(('a'..='z').chain('0'..='9').find(|c| !alphabet.contains(c)));
    let start: Vec<Vec<usize>> = patterns.iter().map(|pattern| reachable(pattern, [0])).collect();
    let mut seen = BTreeSet::from([start.clone()]);
    // In the order of discovery, with the index of the state before and the character after it.
    let mut states = vec![(start, None::<(usize, char)>)];
    let mut index = 0;
    while let Some((state, mut from)) = states.get(index).cloned() {
        let ends = |(positions, pattern): (&Vec<usize>, &Vec<char>)| positions.contains(&pattern.len());
        let mut own = state.iter().zip(&patterns);
        if own.by_ref().take(like.len()).all(ends) && !own.any(ends) {
            let mut text = Vec::new();
            while let Some((before, c)) = from {
                text.push(c);
                from = states.get(before)?.1;
            }
            return Some(text.iter().rev().collect());
        }
        for c in &alphabet {
            let next: Vec<Vec<usize>> =
                state.iter().zip(&patterns).map(|(positions, pattern)| step(pattern, positions, *c)).collect();
            let alive = next.iter().take(like.len()).all(|positions| !positions.is_empty());
            if alive && !seen.contains(&next) {
                if states.len() >= MOST_STATES {
                    return None;
                }
                seen.insert(next.clone());
                states.push((next, Some((index, *c))));
            }
        }
        index += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(like: &[&str], unlike: &[&str]) -> Option<String> {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Wildcard::new(text)).collect::<Vec<_>>();
        let (like, unlike) = (patterns(like), patterns(unlike));
        satisfying(&like.iter().collect::<Vec<_>>(), &unlike.iter().collect::<Vec<_>>())
    }

    #[test]
    fn satisfying_value_is_found() {
        assert_eq!(value(&["include*"], &[]).as_deref(), Some("include"));
        assert_eq!(value(&["*"], &[]).as_deref(), Some("true"));
        assert_eq!(value(&["a*", "*b"], &[]).as_deref(), Some("ab"));
        assert_eq!(value(&["a*", "*b"], &["ab"]).as_deref(), Some("aab"));
        assert_eq!(value(&["*"], &["true"]).as_deref(), Some(""));
        assert_eq!(value(&["a*"], &["*"]), None);
        assert_eq!(value(&["a*", "b*"], &[]), None);
        assert_eq!(value(&["x"], &["x"]), None);
    }

    #[test]
    fn value_search_is_bounded() {
        let long: Vec<String> = (0..12).map(|i| format!("*{}*", "ab".repeat(i + 2).replace("ba", "b*a"))).collect();
        let like: Vec<&str> = long.iter().map(String::as_str).collect();
        let _ = value(&like, &["*"]);
    }
}
