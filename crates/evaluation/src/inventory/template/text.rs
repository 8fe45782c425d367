//! Conversion of template values.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Content, Part, Piece, TagForm};

pub(super) fn text(part: &Part) -> Option<&str> {
    part.as_text()
}

/// Returns the known start of a text.
pub(super) fn prefix(part: &Part) -> String {
    match &part.content {
        Content::Text(text) => text.clone(),
        Content::Pieces(pieces) => {
            let known = pieces.iter().map_while(|piece| match piece {
                Piece::Text(text) => Some(text.as_str()),
                Piece::Resource { .. } | Piece::Unknown => None,
            });
            known.collect()
        }
        Content::List(_) | Content::Mapping(_) | Content::Unknown => String::new(),
    }
}

/// Returns tags, with `None` for unknown values, and whether there may be more.
pub(super) fn tags(part: Option<&Part>, form: TagForm) -> (BTreeMap<String, Option<String>>, bool) {
    let mut tags = BTreeMap::new();
    let Some(part) = part else { return (tags, false) };
    let mut unread = false;
    let mut add = |key: Option<&str>, value: Option<&Part>| match key {
        Some(key) => {
            // A tag without a value has an empty one.
            let value = value.map_or_else(|| Some(String::new()), |value| text(value).map(str::to_owned));
            tags.insert(key.to_owned(), value);
        }
        None => unread = true,
    };
    match (form, part.items(), part.entries()) {
        (TagForm::Pairs, Some(items), _) => {
            for item in items {
                add(item.get("Key").and_then(text), item.get("Value"));
            }
        }
        (TagForm::Mapping, _, Some(entries)) => {
            for (key, value) in entries {
                add(Some(key), Some(value));
            }
        }
        _ => unread = true,
    }
    (tags, unread)
}

/// Returns JSON, if completely known.
pub(super) fn json(part: &Part) -> Option<Value> {
    Some(match &part.content {
        Content::Text(text) => Value::String(text.clone()),
        Content::Pieces(_) | Content::Unknown => return None,
        Content::List(items) => Value::Array(items.iter().map(json).collect::<Option<_>>()?),
        Content::Mapping(entries) => Value::Object(
            entries.iter().map(|(key, value)| Some((key.clone(), json(value)?))).collect::<Option<Map<_, _>>>()?,
        ),
    })
}
