//! The lines of a text that a change adds or edits.

use std::collections::BTreeSet;

use similar::{Algorithm, DiffTag, capture_diff_slices};

/// Longest compared text, in lines: the time of a comparison grows with the square of the differences.
const MOST_LINES: usize = 20_000;

/// Returns the numbers of the lines, from 1, that are not in the text before; none for texts of more than 20,000 lines.
pub(super) fn changed_lines(before: &str, after: &str) -> BTreeSet<usize> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    if before.len().max(after.len()) > MOST_LINES {
        return BTreeSet::new();
    }
    let operations = capture_diff_slices(Algorithm::Myers, &before, &after);
    let changed = operations.iter().filter(|operation| operation.tag() != DiffTag::Equal);
    changed.flat_map(|operation| operation.new_range()).map(|index| index.saturating_add(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_lists_added_and_edited() {
        let lines = |before, after| changed_lines(before, after).into_iter().collect::<Vec<usize>>();
        let none: [usize; 0] = [];
        assert_eq!(lines("a\nb\nc\n", "a\nb\nc\n"), none);
        assert_eq!(lines("a\nb\nc\n", "a\nx\nc\nd\n"), [2, 4]);
        assert_eq!(lines("a\nb\nc\n", "a\nc\n"), none);
        assert_eq!(lines("", "a\nb"), [1, 2]);
        // A line that occurs twice: only the second one is new.
        assert_eq!(lines("- x\n- y\n", "- x\n- y\n- x\n"), [3]);
    }

    #[test]
    fn changed_lines_of_huge_text_is_empty() {
        assert_eq!(changed_lines("", &"a\n".repeat(MOST_LINES + 1)), BTreeSet::new());
        assert_eq!(changed_lines("", &"a\n".repeat(MOST_LINES)).len(), MOST_LINES);
    }
}
