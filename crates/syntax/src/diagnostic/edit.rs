use super::{Edit, Position};

/// Applies groups of edits and returns the new text and the number of applied groups. A group is skipped if it touches an applied one,
/// or if a position is not in the text.
#[must_use]
pub fn apply<'e>(text: &str, edits: impl IntoIterator<Item = &'e [Edit]>) -> (String, usize) {
    let lines = Lines::of(text);
    let mut spans: Vec<(usize, usize, &str)> = Vec::new();
    let mut applied = 0;
    for group in edits {
        // The edits of a group are applied together or not at all.
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
        applied += 1;
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
    (out, applied)
}

/// The byte offsets of the lines of a text, as [`super::Source`] splits them.
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
