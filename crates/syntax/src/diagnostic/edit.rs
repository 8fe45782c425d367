use super::{Edit, SourceText};

/// Applies groups of edits and returns the new text and the number of applied groups. A group is skipped if it touches an applied one,
/// or if a position is not in the text.
pub fn apply<'e>(text: &str, edits: impl IntoIterator<Item = &'e [Edit]>) -> (String, usize) {
    let source = SourceText::new("", text);
    let mut spans: Vec<(usize, usize, &str)> = Vec::new();
    let mut applied = 0;
    for group in edits {
        // The edits of a group are applied together or not at all.
        let resolved = group.iter().map(|edit| {
            let (from, to) = (source.offset(edit.from)?, source.offset(edit.to)?);
            (from <= to).then_some((from, to, edit.new.as_str()))
        });
        let Some(resolved) = resolved.collect::<Option<Vec<_>>>() else { continue };
        let touches = |(from, to, _): &(usize, usize, &str)| spans.iter().any(|(a, b, _)| from <= b && a <= to);
        if !resolved.is_empty() && !resolved.iter().any(touches) {
            spans.extend(resolved);
            applied += 1;
        }
    }
    spans.sort_unstable();
    // The byte order mark, if there is one.
    let mut out = text.strip_suffix(source.text).unwrap_or_default().to_owned();
    let mut done = 0;
    for (from, to, new) in spans {
        out.push_str(source.text.get(done..from).unwrap_or_default());
        out.push_str(new);
        done = to;
    }
    out.push_str(source.text.get(done..).unwrap_or_default());
    (out, applied)
}
