//! Safe display of names on a terminal and in a spreadsheet, and formatting of numbers and times.

use std::fmt::Display;

use csv::{Terminator, WriterBuilder};
use jiff::Timestamp;

use syntax::text::is_invisible;

/// Longest displayed text, in characters.
const LONGEST: usize = 1_000;

/// Returns a text as one line: characters that move the cursor or change colors or text direction are escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(LONGEST) {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

/// Escapes a text like [`escaped`], but keeps its lines.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            _ if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            _ => out.push(c),
        }
    }
    out
}

/// Returns a text as a cell that a spreadsheet does not interpret as a formula.
fn cell(text: &str) -> String {
    let is_formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '＝' | '＋' | '－' | '＠');
    let visible = |c: char| if c.is_control() || is_invisible(c) { ' ' } else { c };
    let plain: String = text.chars().map(visible).collect();
    // Some spreadsheets skip leading blanks.
    if text.starts_with(is_formula) || plain.trim_start().starts_with(is_formula) { format!("'{plain}") } else { plain }
}

/// Returns a row of CSV (RFC 4180) with its line end, safe to open in a spreadsheet. Never fails, because it is written to memory.
pub(crate) fn csv_row<T: AsRef<str>>(texts: &[T]) -> anyhow::Result<String> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(texts.iter().map(|text| cell(text.as_ref())))?;
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("{}", error.error()))?;
    Ok(String::from_utf8(bytes)?)
}

/// Returns `1 message`, `6 messages`.
pub(crate) fn count<N: Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    format!("{number} {noun}{}", if number == N::from(1) { "" } else { "s" })
}

/// Lists the numbers that are not 0, as in `2 failed, 1 skipped`.
pub(crate) fn positive<T: Display>(numbers: impl IntoIterator<Item = (usize, T)>) -> String {
    let numbers = numbers.into_iter().filter(|(number, _)| *number > 0);
    numbers.map(|(number, what)| format!("{number} {what}")).collect::<Vec<_>>().join(", ")
}

/// Joins the lines of blocks, with an empty line between two blocks. Empty blocks are omitted.
pub(crate) fn blocks(blocks: impl IntoIterator<Item = Vec<String>>) -> String {
    let blocks = blocks.into_iter().filter(|lines| !lines.is_empty());
    blocks.map(|lines| format!("{}\n", lines.join("\n"))).collect::<Vec<_>>().join("\n")
}

/// Formats a time in UTC to the minute.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_invisible_characters() {
        let every_invisible =
            (0..=0x10_ffff_u32).filter_map(char::from_u32).filter(|c| c.is_control() || is_invisible(*c));
        for c in every_invisible {
            let line = escaped(&format!("a{c}b"));
            assert!(line.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{c:?}: {line}");
            let lines = visible(&format!("a{c}b"));
            assert!(lines.chars().all(|c| c == '\n' || c.is_ascii_graphic()), "{c:?}: {lines}");
        }
        assert_eq!(visible("Größe\n\u{1b}[2J\u{202e}"), "Größe\n\\u{1b}[2J\\u{202e}");
        assert_eq!(escaped("Größe \"a\\b\" 'c' 日本"), "Größe \"a\\b\" 'c' 日本");
        assert_eq!(escaped("\u{1b}[2Jx\r\n\u{202e}"), "\\u{1b}[2Jx\\r\\n\\u{202e}");
        assert_eq!(escaped(&"x".repeat(2_000)).chars().count(), 1_001);
    }

    #[test]
    fn cells_are_not_formulas() {
        for (text, expected) in [
            ("orders", "orders"),
            ("a=b", "a=b"),
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "' =1"),
            ("\rx", "' x"),
            (" =1", "' =1"),
            ("\u{200b}=1", "' =1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("a\nb\u{0}c\u{202e}d", "a b c d"),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
