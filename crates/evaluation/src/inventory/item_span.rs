//! Finds items in the text of a document, for output formats with file positions.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use syntax::diagnostic::Position;

/// The start and the end of the text that names an item.
pub type ItemSpan = (Position, Position);

/// Returns the spans of the items with these keys ([`crate::Subject::document_key`]), in one pass over the text. A text that
/// is not a document has none.
pub fn item_spans(text: &str, wanted: &BTreeSet<String>) -> BTreeMap<String, ItemSpan> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = BTreeMap::new();
    let mut cursor = Cursor { text, offset: 0, at: Position { line: 1, column: 1 } };
    let (mut list, mut item) = (Cow::Borrowed(""), NamedItem::default());
    let (mut depth, mut string, mut key) = (0_usize, None, None);
    for token in (Tokens { text, offset: 0 }) {
        match token {
            Token::Open => {
                depth += 1;
                (string, key) = (None, None);
                if depth == ITEM {
                    item = NamedItem::default();
                }
            }
            Token::Close | Token::Comma => {
                if let (ITEM, Some(key), Some(value)) = (depth, key.take(), string.take()) {
                    item.set(&unescaped(key), value);
                }
                if matches!(token, Token::Close) {
                    if depth == ITEM
                        && let Some((key, value)) = item.named(&list).filter(|(key, _)| wanted.contains(key))
                    {
                        let span = (cursor.advance(value.0), cursor.advance(value.0 + value.1.len()));
                        found.entry(key).or_insert(span);
                    }
                    depth = depth.saturating_sub(1);
                }
                (string, key) = (None, None);
            }
            Token::Colon => {
                key = string.take().map(|(_, text)| text);
                if let (DOCUMENT, Some(key)) = (depth, key) {
                    list = unescaped(key);
                }
            }
            Token::String(offset, text) => string = Some((offset, text)),
        }
    }
    found
}

/// The depth of the document's keys, and that of the keys of an item in a list.
const DOCUMENT: usize = 1;
const ITEM: usize = 3;

/// A string with its quotes, and its byte offset.
type Quoted<'t> = (usize, &'t str);

/// The values that identify an item.
#[derive(Default)]
struct NamedItem<'t> {
    arn: Option<Quoted<'t>>,
    id: Option<Quoted<'t>>,
    name: Option<Quoted<'t>>,
    account: Option<Quoted<'t>>,
    region: Option<Quoted<'t>>,
}

impl<'t> NamedItem<'t> {
    fn set(&mut self, key: &str, value: Quoted<'t>) {
        match key {
            "arn" => self.arn = Some(value),
            "id" => self.id = Some(value),
            "name" => self.name = Some(value),
            "account" => self.account = Some(value),
            "region" => self.region = Some(value),
            _ => {}
        }
    }

    /// Returns the key of the item of a list, and the value that names it.
    fn named(&self, list: &str) -> Option<(String, Quoted<'t>)> {
        let (id, named) = match list {
            "resources" => (self.id.or(self.arn)?, self.arn?),
            "recoveryPoints" => (self.arn?, self.arn?),
            "plans" => (self.id?, self.name.or(self.id)?),
            "vaults" => (self.name?, self.name?),
            _ => return None,
        };
        let text = |value: Quoted<'t>| unescaped(value.1);
        Some((document_key(list, &text(self.account?), &text(self.region?), &text(id), &text(named)), named))
    }
}

/// Identifies an item by its list, location, id and the text that names it.
pub(crate) fn document_key(list: &str, account: &str, region: &str, id: &str, named: &str) -> String {
    [list, account, region, id, named].join("\n")
}

/// Returns the text of a string with quotes.
fn unescaped(quoted: &str) -> Cow<'_, str> {
    let bare = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    match bare.contains('\\') {
        true => serde_json::from_str(quoted).map_or(Cow::Borrowed(bare), Cow::Owned),
        false => Cow::Borrowed(bare),
    }
}

#[derive(Clone, Copy)]
enum Token<'t> {
    /// `{` or `[`.
    Open,
    /// `}` or `]`.
    Close,
    Comma,
    Colon,
    String(usize, &'t str),
}

struct Tokens<'t> {
    text: &'t str,
    offset: usize,
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let is_token = |byte: &u8| matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"');
        let bytes = self.text.as_bytes();
        let at = self.offset + bytes.get(self.offset..)?.iter().position(is_token)?;
        self.offset = at + 1;
        Some(match bytes.get(at)? {
            b'{' | b'[' => Token::Open,
            b'}' | b']' => Token::Close,
            b',' => Token::Comma,
            b':' => Token::Colon,
            _ => {
                let mut is_escaped = false;
                let is_end = |byte: &u8| {
                    let is_end = *byte == b'"' && !is_escaped;
                    is_escaped = *byte == b'\\' && !is_escaped;
                    is_end
                };
                self.offset += bytes.get(self.offset..)?.iter().position(is_end)? + 1;
                Token::String(at, self.text.get(at..self.offset)?)
            }
        })
    }
}

/// Converts ascending byte offsets to positions.
struct Cursor<'t> {
    text: &'t str,
    offset: usize,
    at: Position,
}

impl Cursor<'_> {
    fn advance(&mut self, offset: usize) -> Position {
        let passed = self.text.get(self.offset..offset).unwrap_or_default();
        let lines = passed.bytes().filter(|byte| *byte == b'\n').count();
        let columns = passed.rsplit('\n').next().unwrap_or_default().chars().count();
        self.at = match lines {
            0 => Position { column: self.at.column + columns, ..self.at },
            lines => Position { line: self.at.line + lines, column: columns + 1 },
        };
        self.offset = offset;
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"version": 1, "resources": [
  {"tags": {"arn": "x", "é": "}\"]"}, "arn": "arn:aws:s3:::ä-b", "id": "b\u002f1", "account": "1", "region": "r"},
  {"account": "1", "region": "r", "arn": "arn:aws:s3:::c"}], "restores": [{"arn": "arn:aws:s3:::c"}],
"plans": [{"rules": [{"name": "no", "copies": [{}]}], "id": "p", "name": "daily", "account": "1", "region": "r"}],
"vaults": [{"name": "Default", "account": "2", "region": "r"}, {"name": "Default", "account": "1", "region": "r"}]}"#;

    fn spans(text: &str) -> Vec<(usize, usize, usize)> {
        let keys = [
            document_key("resources", "1", "r", "b/1", "arn:aws:s3:::ä-b"),
            document_key("resources", "1", "r", "arn:aws:s3:::c", "arn:aws:s3:::c"),
            document_key("plans", "1", "r", "p", "daily"),
            document_key("vaults", "1", "r", "Default", "Default"),
            document_key("vaults", "3", "r", "Default", "Default"),
        ];
        let found = item_spans(text, &keys.iter().cloned().collect());
        assert_eq!(found.len(), 4, "{found:?}");
        let of = |key: &String| found.get(key).map(|(from, to)| (from.line, from.column, to.column - from.column));
        keys.iter().filter_map(of).collect()
    }

    #[test]
    fn item_is_at_the_text_that_names_it() {
        assert_eq!(spans(TEXT), [(2, 46, 18), (3, 42, 16), (4, 74, 7), (5, 73, 9)]);
        assert_eq!(spans(&format!("\u{feff}{TEXT}")), spans(TEXT));
    }

    #[test]
    fn minified_item_differs_by_column() {
        let places = spans(&TEXT.replace('\n', ""));
        assert!(places.iter().all(|place| place.0 == 1) && places.is_sorted(), "{places:?}");
    }

    #[test]
    fn broken_text_has_no_items() {
        let wanted = BTreeSet::from([document_key("vaults", "1", "r", "d", "d")]);
        for text in ["", "\"", "]]]", "{\"vaults\": [{\"name\": \"d\\", "[[{\"name\":\"d\"}]]", "{:::,,,}"] {
            assert!(item_spans(text, &wanted).is_empty(), "{text}");
        }
    }
}
