//! Changes to a text.

use super::{Edit, Position};

/// The text with these changes made, and how many of them: a change that touches one made before it is left for the next time, and
/// so is one whose place is not in the text.
#[must_use]
pub fn apply<'e>(text: &str, edits: impl IntoIterator<Item = &'e [Edit]>) -> (String, usize) {
    let lines = Lines::of(text);
    let mut spans: Vec<(usize, usize, &str)> = Vec::new();
    let mut made = 0;
    for group in edits {
        // What mends a fault together is done together or not at all.
        let resolved: Option<Vec<(usize, usize, &str)>> = group
            .iter()
            .map(|edit| {
                let (from, to) = (lines.offset(edit.from)?, lines.offset(edit.to)?);
                (from <= to).then_some((from, to, edit.new.as_str()))
            })
            .collect();
        let Some(resolved) = resolved.filter(|resolved| !resolved.is_empty()) else { continue };
        let touches = |(from, to, _): &(usize, usize, &str)| spans.iter().any(|(a, b, _)| from <= b && a <= to);
        if resolved.iter().any(touches) {
            continue;
        }
        spans.extend(resolved);
        made += 1;
    }
    spans.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (from, to, new) in spans {
        out.push_str(text.get(done..from).unwrap_or_default());
        out.push_str(new);
        done = to;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    (out, made)
}

/// Where each line of a text starts, in bytes. Lines as [`super::Source`] counts them.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let mut starts = vec![if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }];
        let bytes = text.as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(index + 1) != Some(&b'\n')) {
                starts.push(index + 1);
            }
        }
        Self { text, starts }
    }

    fn offset(&self, at: Position) -> Option<usize> {
        let start = *self.starts.get(at.line.checked_sub(1)?)?;
        let end = self.starts.get(at.line).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end)?;
        let mut columns = line.char_indices().map(|(index, _)| index).chain([line.len()]);
        columns.nth(at.column.checked_sub(1)?).map(|index| start + index)
    }
}
