//! Values of a plan as parts of a template.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use syntax::diagnostic::Position;
use syntax::template::{Content, Part, Piece};

use super::NOWHERE;
use super::types::is_kept;

fn at_key<'v>(marks: &'v Value, key: &str) -> Option<&'v Value> {
    if marks == &Value::Bool(true) { Some(marks) } else { marks.get(key) }
}

/// Combines a value with its marks. What is unknown or sensitive is unknown.
pub(super) fn merged(after: Option<&Value>, unknown: Option<&Value>, sensitive: Option<&Value>) -> Option<Part> {
    let is_true = |mark: Option<&Value>| mark == Some(&Value::Bool(true));
    if is_true(unknown) || (is_true(sensitive) && after.is_some_and(|after| !after.is_null())) {
        return Some(of(Content::Unknown));
    }
    let content = match after? {
        Value::Null => return None,
        Value::Bool(value) => Content::Text(value.to_string()),
        Value::Number(value) => Content::Text(value.to_string()),
        Value::String(value) => Content::Text(value.clone()),
        Value::Array(items) => {
            let item = |(index, item): (usize, &Value)| {
                let unknown = unknown.and_then(|marks| marks.get(index));
                merged(Some(item), unknown, sensitive.and_then(|marks| marks.get(index)))
            };
            let mut parts: Vec<Part> = items.iter().enumerate().filter_map(item).collect();
            // A set with more marks than values has unknown members.
            if unknown.and_then(Value::as_array).is_some_and(|marks| marks.len() > items.len()) {
                parts.push(of(Content::Unknown));
            }
            Content::List(parts)
        }
        Value::Object(entries) => {
            let own = entries.iter().filter_map(|(key, value)| {
                let unknown = unknown.and_then(|marks| at_key(marks, key));
                Some((key.clone(), merged(Some(value), unknown, sensitive.and_then(|marks| at_key(marks, key)))?))
            });
            let marks = unknown.and_then(Value::as_object);
            let more = marks
                .into_iter()
                .flatten()
                .filter(|(key, mark)| !entries.contains_key(*key) && **mark == Value::Bool(true));
            let more = more.map(|(key, _)| (key.clone(), of(Content::Unknown)));
            Content::Mapping(own.chain(more).collect())
        }
    };
    Some(of(content))
}

/// Returns a part without a position.
pub(super) fn of(content: Content) -> Part {
    Part { at: NOWHERE, content }
}

pub(super) fn text(text: &str) -> Part {
    of(Content::Text(text.to_owned()))
}

pub(super) fn reference(address: &str, attribute: Option<&str>) -> Part {
    let piece = Piece::Resource { logical_id: address.to_owned(), attribute: attribute.map(str::to_owned) };
    of(Content::Pieces(vec![piece]))
}

/// Returns the only item of a block that a resource has at most once; `None` if it is absent.
pub(super) fn only(part: Part) -> Option<Part> {
    match part.content {
        Content::List(items) if items.len() <= 1 => items.into_iter().next(),
        Content::List(_) => Some(of(Content::Unknown)),
        _ => Some(part),
    }
}

/// Gives a part and all in it a position.
pub(super) fn placed(part: &mut Part, at: Position) {
    part.at = at;
    match &mut part.content {
        Content::List(items) => items.iter_mut().for_each(|item| placed(item, at)),
        Content::Mapping(entries) => entries.iter_mut().for_each(|(_, entry)| placed(entry, at)),
        Content::Text(_) | Content::Pieces(_) | Content::Unknown => {}
    }
}

/// A value of which only the supported arguments are kept.
#[derive(Debug, Default)]
pub(super) struct Kept(pub(super) Value);

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeptVisitor;
        impl<'de> Visitor<'de> for KeptVisitor {
            type Value = Kept;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the values of a resource")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Kept, E> {
                Ok(Kept(Value::Bool(value)))
            }

            fn visit_unit<E>(self) -> Result<Kept, E> {
                Ok(Kept(Value::Null))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kept, A::Error> {
                let mut kept = serde_json::Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    if is_kept(&key) {
                        kept.insert(key, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Kept(Value::Object(kept)))
            }
        }
        deserializer.deserialize_any(KeptVisitor)
    }
}
