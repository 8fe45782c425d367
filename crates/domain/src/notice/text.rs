//! Plain text that fits an e-mail, whatever the names in it.

/// Lines of prose end here.
const WIDTH: usize = 76;
/// Where the values of a field list begin.
const LABEL: usize = 12;

/// One printable line of at most `limit` characters. Control characters become spaces, others than ASCII a `?`, so that a
/// resource cannot be named to look like a header or a second line.
pub(super) fn subject(text: &str, limit: usize) -> String {
    let mut line: String = one_line(text).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    if line.chars().count() > limit {
        line = line.chars().take(limit.saturating_sub(3)).collect();
        line.push_str("...");
    }
    line
}

/// The text without control characters and line breaks (they become spaces), without direction overrides.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c })
        .collect()
}

/// A paragraph, wrapped, each line behind `indent` spaces.
pub(super) fn paragraph(text: &str, indent: usize) -> String {
    let lines = wrap(&one_line(text), WIDTH.saturating_sub(indent));
    let prefix = " ".repeat(indent);
    lines.iter().map(|line| format!("{prefix}{line}\n")).collect()
}

/// `  Label     value`, wrapped under the value.
pub(super) fn field(label: &str, value: &str) -> String {
    let lines = wrap(&one_line(value), WIDTH.saturating_sub(LABEL));
    lines
        .iter()
        .enumerate()
        .map(|(number, line)| {
            let shown = if number == 0 { label } else { "" };
            format!("  {shown:<width$}{line}\n", width = LABEL.saturating_sub(2))
        })
        .collect()
}

/// Breaks at spaces. A word that is longer than a line (an ARN, a link) stays whole: broken, it could not be copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let joined = line.chars().count() + word.chars().count() + usize::from(!line.is_empty());
        if !line.is_empty() && joined > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// `1 instance`, `6 instances`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
