//! Reads JSON, of which the YAML parser rejects unpaired surrogate escapes (`\\ud83d\\ude00`) and tabs after a colon.

use super::reader::{NodeBuilder, NodeContent, Stop};
use crate::diagnostic::Position;

/// Whether a file is valid JSON with an object. The YAML parser reports the errors of anything else.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Returns the position of the first comment if the file is JSON apart from comments (`//` to the end of the line, `/* */`).
pub(super) fn comment(text: &str) -> Option<Position> {
    if !text.trim_start().starts_with('{') || !(text.contains("//") || text.contains("/*")) {
        return None;
    }
    let mut reader = JsonReader { rest: text, at: Position { line: 1, column: 1 } };
    let (mut first, mut stripped) = (None, String::new());
    while let Some(next) = reader.rest.chars().next() {
        let rest = reader.rest;
        let length = match next {
            '"' => {
                let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
                strings.next()?.ok()?;
                strings.byte_offset()
            }
            '/' if rest.starts_with("//") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => next.len_utf8(),
        };
        let is_comment = next == '/' && length > 1;
        if is_comment {
            first.get_or_insert(reader.at);
        }
        let passed = reader.skip(length);
        stripped.push_str(if is_comment { " " } else { passed });
    }
    first.filter(|_| is_json(&stripped))
}

/// Passes valid JSON to a builder. The grammar was checked, so commas and colons are only separators.
pub(super) fn read(builder: &mut NodeBuilder<'_, '_, '_>, text: &str) -> Result<(), Stop> {
    let mut reader = JsonReader { rest: text, at: Position { line: 1, column: 1 } };
    while let Some(next) = reader.rest.chars().next() {
        let at = reader.at;
        match next {
            '{' | '[' => {
                reader.skip(1);
                let content = if next == '{' { NodeContent::mapping() } else { NodeContent::Sequence(Vec::new()) };
                builder.start(at, 0, None, content)?;
            }
            '}' | ']' => {
                reader.skip(1);
                builder.end(reader.at)?;
            }
            '"' => {
                let mut strings = serde_json::Deserializer::from_str(reader.rest).into_iter::<String>();
                let Some(Ok(value)) = strings.next() else {
                    let message = "the string has an unpaired surrogate escape";
                    return Err(builder.stop(at, message, "write both halves of the character"));
                };
                reader.skip(strings.byte_offset());
                builder.scalar((at, reader.at), value, false, None, 0)?;
            }
            c if matches!(c, ',' | ':') || c.is_whitespace() => {
                reader.skip(c.len_utf8());
            }
            _ => {
                let ends = |c: char| matches!(c, ',' | ':' | '}' | ']' | '{' | '[' | '"') || c.is_whitespace();
                let length = reader.rest.find(ends).unwrap_or(reader.rest.len());
                let word = reader.skip(length).to_owned();
                builder.scalar((at, reader.at), word, true, None, 0)?;
            }
        }
    }
    Ok(())
}

struct JsonReader<'t> {
    rest: &'t str,
    at: Position,
}

impl<'t> JsonReader<'t> {
    /// Advances by a number of bytes and returns them.
    fn skip(&mut self, bytes: usize) -> &'t str {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        let mut characters = passed.chars().peekable();
        while let Some(c) = characters.next() {
            // A carriage return alone ends a line too.
            if c == '\n' || (c == '\r' && characters.peek().map_or(!rest.starts_with('\n'), |next| *next != '\n')) {
                self.at = Position { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.rest = rest;
        passed
    }
}
