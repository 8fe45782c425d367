//! Reads a document piece by piece, so that it is never in memory twice.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Inventory, document};
use crate::fault::{Fault, Position, nearest};
use crate::ids::shown;

const KEYS: [&str; 8] = ["version", "asOf", "places", "resources", "plans", "vaults", "recoveryPoints", "restores"];

/// Reads a document on top of those that were read before, if any were.
pub(super) fn inventory(before: Option<Inventory>, file: &str, text: &str) -> Result<Inventory, Box<Fault>> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let known = before.as_ref().map_or(0, |before| before.resources.len());
    let quick = {
        let mut deserializer = serde_json::Deserializer::from_str(bare);
        Root(before).deserialize(&mut deserializer).and_then(|inventory| deserializer.end().map(|()| inventory))
    };
    match quick {
        Ok(inventory) => inventory.check_resources(known).map(|()| inventory).map_err(|fault| {
            let (problem, fix) = split(&fault);
            Box::new(Fault::of_file(file, problem, fix))
        }),
        // Once more, keeping track of where in the document it is: that costs time, so only who needs it pays.
        Err(error) => Err(Box::new(fault(file, bare, &error))),
    }
}

fn fault(file: &str, text: &str, error: &serde_json::Error) -> Fault {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let traced = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let path = match Root(None).deserialize(traced) {
        Err(_) => track.path().to_string(),
        Ok(_) => ".".to_owned(),
    };
    let at = Position { line: error.line().max(1), column: error.column().max(1) };
    let message = error.to_string();
    // The place stands beside the message in a fault.
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let (problem, fix) = match error.classify() {
        serde_json::error::Category::Data => explained(message),
        _ => (message.to_owned(), "the document must be JSON, see schemas/inventory.schema.json".to_owned()),
    };
    let problem = if path == "." { problem } else { format!("`{}`: {problem}", shown(&path)) };
    Fault::at(file, text, at, problem, fix)
}

/// What is wrong and what would be right, from a message of serde.
fn explained(message: &str) -> (String, String) {
    if let Some(rest) = message.strip_prefix("unknown field `")
        && let Some((name, expected)) = rest.split_once('`')
    {
        return (format!("there is no key `{}`", shown(name)), suggestion(name, expected));
    }
    if let Some(rest) = message.strip_prefix("unknown variant `")
        && let Some((name, expected)) = rest.split_once('`')
    {
        return (format!("`{}` is none of the words that can stand here", shown(name)), suggestion(name, expected));
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        let name = rest.trim_end_matches('`');
        return (format!("the key `{name}` is missing"), format!("add `{name}`"));
    }
    if let Some(rest) = message.strip_prefix("duplicate field `") {
        let name = rest.trim_end_matches('`');
        return (format!("the key `{name}` is there twice"), "keep one of the two".to_owned());
    }
    if let Some((found, expected)) = message.split_once(", expected ") {
        let found = found.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
        return (format!("{} stands here", shown(found)), format!("it must be {expected}"));
    }
    split(message)
}

fn suggestion(name: &str, expected: &str) -> String {
    let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match nearest(name, words.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None if words.is_empty() => "remove it".to_owned(),
        None => format!("it can be `{}`", words.join("`, `")),
    }
}

/// Our own messages say both, with a semicolon between.
fn split(message: &str) -> (String, String) {
    match message.split_once("; ") {
        Some((problem, fix)) => (problem.to_owned(), fix.to_owned()),
        None => (message.to_owned(), "see schemas/inventory.schema.json".to_owned()),
    }
}

/// The document as a whole, on top of those before it.
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
            let Some(known) = KEYS.iter().copied().find(|known| *known == key) else {
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
                "places" => map.next_value_seed(each(|place| into.add_place(place)))?,
                "resources" => map.next_value_seed(each(|resource| into.add_resource(resource)))?,
                "plans" => map.next_value_seed(each(|plan| {
                    into.add_plan(plan);
                    Ok(())
                }))?,
                "vaults" => map.next_value_seed(each(|vault| {
                    into.add_vault(vault);
                    Ok(())
                }))?,
                "recoveryPoints" => map.next_value_seed(each(|point| {
                    into.add_recovery_point(point);
                    Ok(())
                }))?,
                "restores" => map.next_value_seed(each(|restore| {
                    into.add_restore(restore);
                    Ok(())
                }))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        for needed in ["version", "asOf"] {
            if !seen.contains(&needed) {
                return Err(de::Error::missing_field(needed));
            }
        }
        Ok(inventory)
    }
}

/// A list whose items are handed on one by one.
struct Each<T, F>(F, PhantomData<T>);

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

/// One item of it: what is wrong with it is said while the reader still stands there.
struct Item<'a, T, F>(&'a mut Each<T, F>);

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> DeserializeSeed<'de> for Item<'_, T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let item = T::deserialize(deserializer)?;
        (self.0.0)(item).map_err(de::Error::custom)
    }
}
