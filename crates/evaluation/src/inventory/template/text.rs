//! Conversion of template values.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value};

use syntax::yaml::Node;

use super::{Content, Part, Piece, TagForm};
use crate::inventory::partial_arn::{pseudo, with_unknowns};

pub(super) fn text_of<'p>(part: &'p Part, name: &str) -> Option<&'p str> {
    part.get(name)?.as_text()
}

/// Returns a number, if the property is absent or known.
pub(super) fn number<T: FromStr>(part: &Part, name: &str) -> Option<Option<T>> {
    match part.get(name) {
        None => Some(None),
        Some(number) => number.as_text()?.parse().ok().map(Some),
    }
}

/// Returns the known start of a text, in which unknown pseudo parameters keep their names.
pub(super) fn prefix(part: &Part) -> String {
    match &part.content {
        Content::Text(text) => text.clone(),
        Content::Pieces(pieces) => pieces.iter().map_while(known).collect(),
        Content::List(_) | Content::Mapping(_) | Content::Unknown => String::new(),
    }
}

/// Returns a text of known parts and unknown pseudo parameters, which are private characters.
pub(super) fn with_pseudo(part: &Part) -> Option<String> {
    let Content::Pieces(pieces) = &part.content else { return None };
    let text: String = pieces.iter().map(known).collect::<Option<_>>()?;
    Some(with_unknowns(&text).into_owned())
}

/// Returns the text of a piece, or an unknown pseudo parameter as it is written.
pub(super) fn known(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Text(text) => Some(text),
        Piece::Pseudo(name) => pseudo(name),
        Piece::Resource { .. } | Piece::Unknown => None,
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
            let value = value.map_or_else(|| Some(String::new()), |value| value.as_text().map(str::to_owned));
            tags.insert(key.to_owned(), value);
        }
        None => unread = true,
    };
    match (form, part.items(), part.entries()) {
        (TagForm::Pairs, Some(items), _) => {
            items.iter().for_each(|item| add(text_of(item, "Key"), item.get("Value")));
        }
        (TagForm::Mapping, _, Some(entries)) => {
            entries.iter().for_each(|(key, value)| add(Some(key), Some(value)));
        }
        _ => unread = true,
    }
    (tags, unread)
}

/// Returns the known tags of a mapping, and whether there may be more.
pub(super) fn known_tags(part: Option<&Part>) -> (BTreeMap<String, String>, bool) {
    let (tags, unread) = tags(part, TagForm::Mapping);
    let is_incomplete = unread || tags.values().any(Option::is_none);
    (tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(), is_incomplete)
}

/// Collects the known items of a list, and returns whether these are all. An absent list is empty.
pub(super) fn collect<T>(into: &mut Vec<T>, list: Option<&Part>, item: impl Fn(&Part) -> Option<T>) -> bool {
    let Some(list) = list else { return true };
    let before = into.len();
    let items = list.items().unwrap_or_default();
    into.extend(items.iter().filter_map(item));
    list.items().is_some() && into.len() == before.saturating_add(items.len())
}

/// Returns the path of the CDK construct that a resource is from. The last part of most paths names the resource in its construct.
pub(super) fn construct(body: &Node) -> Option<String> {
    let path = body.get("Metadata")?.get("aws:cdk:path")?.as_str()?;
    let path = ["/Resource", "/Default"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    Some(path.to_owned())
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
