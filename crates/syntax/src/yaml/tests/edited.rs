use proptest::prelude::*;

/// Returns a strategy for a valid text with a few characters deleted, inserted or replaced, which reaches errors deeper than the syntax.
pub(crate) fn edited(valid: &'static str) -> impl Strategy<Value = String> {
    let edit = (0..valid.len(), 0..12_usize, "[-:\\[\\]{},&*!|>'\"#% \t\n0-9a-zA-Z$é]{0,6}");
    proptest::collection::vec(edit, 1..4).prop_map(|edits| {
        let mut text: Vec<char> = valid.chars().collect();
        for (at, length, new) in edits {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, new.chars());
        }
        text.into_iter().collect()
    })
}
