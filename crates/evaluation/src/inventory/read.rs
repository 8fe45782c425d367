//! Streams a document into an inventory, so that it is never in memory twice.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use syntax::diagnostic::{Diagnostic, Position};
use syntax::text::{closest_match, printable};

use super::{Inventory, document};

const KEYS: [&str; 8] = ["version", "asOf", "locations", "resources", "plans", "vaults", "recoveryPoints", "restores"];

/// Reads a document on top of earlier ones.
pub(super) fn inventory(before: Option<Inventory>, file: &str, text: &str) -> Result<Inventory, Box<Diagnostic>> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let known = before.as_ref().map_or(0, |before| before.resources.len());
    let mut deserializer = serde_json::Deserializer::from_str(bare);
    let read = Root(before).deserialize(&mut deserializer);
    match read.and_then(|inventory| deserializer.end().map(|()| inventory)) {
        Ok(inventory) => inventory.check_resources(known).map(|()| inventory).map_err(|diagnostic| {
            let (problem, fix) = split(&diagnostic);
            Box::new(Diagnostic::of_file(file, problem, fix))
        }),
        // Tracking the JSON path is slow, so only a failed read is repeated with it.
        Err(error) => Err(Box::new(diagnostic(file, bare, &error))),
    }
}

fn diagnostic(file: &str, text: &str, error: &serde_json::Error) -> Diagnostic {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let traced = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let path = match Root(None).deserialize(traced) {
        Err(_) => track.path().to_string(),
        Ok(_) => ".".to_owned(),
    };
    let at = Position { line: error.line().max(1), column: error.column().max(1) };
    let message = error.to_string();
    // The diagnostic has the position already.
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let (problem, fix) = match error.classify() {
        serde_json::error::Category::Data => explained(message),
        _ => (message.to_owned(), "the document must be JSON, see schemas/inventory.schema.json".to_owned()),
    };
    let problem = if path == "." { problem } else { format!("`{}`: {problem}", printable(&path)) };
    Diagnostic::at(file, text, at, problem, fix)
}

/// Returns message and fix for a message of serde.
fn explained(message: &str) -> (String, String) {
    let named = |prefix: &str| message.strip_prefix(prefix)?.split_once('`');
    if let Some((name, expected)) = named("unknown field `") {
        return (format!("unknown key `{}`", printable(name)), suggestion(name, expected));
    }
    if let Some((name, expected)) = named("unknown variant `") {
        return (format!("`{}` is not a valid value", printable(name)), suggestion(name, expected));
    }
    if let Some((name, _)) = named("missing field `") {
        return (format!("the key `{name}` is missing"), format!("add `{name}`"));
    }
    if let Some((name, _)) = named("duplicate field `") {
        return (format!("duplicate key `{name}`"), "keep one of the two".to_owned());
    }
    if let Some((found, expected)) = message.split_once(", expected ") {
        let found = found.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
        let expected = if matches!(expected, "u32" | "u64") { "an integer of at least 0" } else { expected };
        return (format!("invalid value: {}", printable(found)), format!("it must be {expected}"));
    }
    split(message)
}

fn suggestion(name: &str, expected: &str) -> String {
    let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match closest_match(name, words.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None if words.is_empty() => "remove it".to_owned(),
        None => format!("it can be `{}`", words.join("`, `")),
    }
}

/// Splits our own messages, which have the form "message; fix".
fn split(message: &str) -> (String, String) {
    match message.split_once("; ") {
        Some((problem, fix)) => (problem.to_owned(), fix.to_owned()),
        None => (message.to_owned(), "see schemas/inventory.schema.json".to_owned()),
    }
}

struct Root(Option<Inventory>);

impl<'de> DeserializeSeed<'de> for Root {
    type Value = Inventory;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inventory, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root {
    type Value = Inventory;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an inventory, which is an object with `version`, `asOf` and lists")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inventory, A::Error> {
        let before = self.0.as_ref().map(Inventory::as_of);
        let mut inventory = self.0.unwrap_or_else(|| Inventory::new(Timestamp::UNIX_EPOCH));
        let mut seen: Vec<&'static str> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            // `places` is the name in documents of earlier builds.
            let name = if key == "places" { "locations" } else { key.as_str() };
            let Some(known) = KEYS.iter().copied().find(|known| *known == name) else {
                return Err(de::Error::unknown_field(&key, &KEYS));
            };
            if seen.contains(&known) {
                return Err(de::Error::duplicate_field(known));
            }
            seen.push(known);
            let into = &mut inventory;
            match known {
                "version" => drop(map.next_value::<document::Version>()?),
                "asOf" => {
                    let own = map.next_value()?;
                    into.as_of = before.map_or(own, |before| before.min(own));
                }
                "locations" => map.next_value_seed(each(|location| into.add_location(location)))?,
                "resources" => map.next_value_seed(each(|resource| into.add_resource(resource)))?,
                "plans" => map.next_value_seed(all(|plan| into.add_plan(plan)))?,
                "vaults" => map.next_value_seed(all(|vault| into.add_vault(vault)))?,
                "recoveryPoints" => map.next_value_seed(all(|point| into.add_recovery_point(point)))?,
                // The restores.
                _ => map.next_value_seed(all(|restore| into.restores.push(restore)))?,
            }
        }
        match ["version", "asOf"].into_iter().find(|needed| !seen.contains(needed)) {
            Some(needed) => Err(de::Error::missing_field(needed)),
            None => Ok(inventory),
        }
    }
}

/// Passes the items of a list on one by one.
struct Each<T, F>(F, PhantomData<T>);

/// Passes items on that are always valid.
fn all<T>(mut take: impl FnMut(T)) -> Each<T, impl FnMut(T) -> Result<(), String>> {
    each(move |item| {
        take(item);
        Ok(())
    })
}

fn each<T, F: FnMut(T) -> Result<(), String>>(take: F) -> Each<T, F> {
    Each(take, PhantomData)
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Item(&mut self))?.is_some() {}
        Ok(())
    }
}

/// Reports an invalid item at its position.
struct Item<'a, T, F>(&'a mut Each<T, F>);

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> DeserializeSeed<'de> for Item<'_, T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let item = T::deserialize(deserializer)?;
        (self.0.0)(item).map_err(de::Error::custom)
    }
}
