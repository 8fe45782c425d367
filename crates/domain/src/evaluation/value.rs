//! Which value a tag must have to satisfy all conditions on it.

use std::collections::{BTreeMap, VecDeque};

use super::pattern::{Pattern, reachable, step};

/// Most sets of places that the search looks at. Patterns that people write need a handful.
const MOST_STATES: usize = 500;

/// Most characters in all patterns. AWS takes 256 in a value.
const MOST_CHARS: usize = 2_000;

/// A value that every one of these patterns matches and none of those; `None` if there is none, or if it takes too long to find.
///
/// What a person would take comes first: the pattern without its `*`, then `true`, then the shortest there is.
pub(super) fn satisfying(like: &[&Pattern], unlike: &[&Pattern]) -> Option<String> {
    let fits = |value: &str| like.iter().all(|own| own.matches(value)) && !unlike.iter().any(|own| own.matches(value));
    let bare = like.iter().map(|pattern| pattern.text().replace('*', "")).filter(|text| !text.is_empty());
    let likely = bare.chain(["true".to_owned()]).find(|value| fits(value));
    likely.or_else(|| shortest(like, unlike).filter(|value| fits(value)))
}

/// Goes through all texts by length, and takes those for one that leave every pattern in the same places.
fn shortest(like: &[&Pattern], unlike: &[&Pattern]) -> Option<String> {
    let patterns: Vec<Vec<char>> = like.iter().chain(unlike).map(|pattern| pattern.text().chars().collect()).collect();
    if patterns.iter().map(Vec::len).sum::<usize>() > MOST_CHARS {
        return None;
    }
    let mut alphabet: Vec<char> = patterns.iter().flatten().copied().filter(|c| *c != '*').collect();
    alphabet.sort_unstable();
    alphabet.dedup();
    // One that stands in no pattern stands for all others.
    alphabet.extend(('a'..='z').chain('0'..='9').find(|c| !alphabet.contains(c)));
    let start: Vec<Vec<usize>> = patterns.iter().map(|pattern| reachable(pattern, [0])).collect();
    let mut came_from: BTreeMap<Vec<Vec<usize>>, Option<(usize, char)>> = BTreeMap::from([(start.clone(), None)]);
    let mut order = vec![start];
    let mut waiting = VecDeque::from([0]);
    while let Some(index) = waiting.pop_front() {
        let state = order.get(index)?.clone();
        let ends = |(places, pattern): (&Vec<usize>, &Vec<char>)| places.contains(&pattern.len());
        let mut own = state.iter().zip(&patterns);
        if own.by_ref().take(like.len()).all(ends) && !own.any(ends) {
            let mut text = Vec::new();
            let mut at = state;
            while let Some(Some((before, c))) = came_from.get(&at) {
                text.push(*c);
                at = order.get(*before)?.clone();
            }
            return Some(text.iter().rev().collect());
        }
        for c in &alphabet {
            let next: Vec<Vec<usize>> =
                state.iter().zip(&patterns).map(|(places, pattern)| step(pattern, places, *c)).collect();
            let alive = next.iter().take(like.len()).all(|places| !places.is_empty());
            if alive && !came_from.contains_key(&next) {
                if order.len() >= MOST_STATES {
                    return None;
                }
                came_from.insert(next.clone(), Some((index, *c)));
                waiting.push_back(order.len());
                order.push(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(like: &[&str], unlike: &[&str]) -> Option<String> {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text)).collect::<Vec<_>>();
        let (like, unlike) = (patterns(like), patterns(unlike));
        satisfying(&like.iter().collect::<Vec<_>>(), &unlike.iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_satisfies_all_conditions_is_found() {
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
    fn a_search_without_end_is_given_up() {
        let long: Vec<String> = (0..12).map(|i| format!("*{}*", "ab".repeat(i + 2).replace("ba", "b*a"))).collect();
        let like: Vec<&str> = long.iter().map(String::as_str).collect();
        let _ = value(&like, &["*"]);
    }
}
