//! CloudFormation's YAML as JSON: short forms of intrinsic functions become their long forms.

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};

type Events<'input> = std::iter::Peekable<Box<dyn Iterator<Item = Event<'input>> + 'input>>;

/// Parses the first document of a text. Panics if it is not YAML that CloudFormation accepts.
pub(crate) fn parse(text: &str) -> Value {
    let events: Box<dyn Iterator<Item = Event<'_>>> =
        Box::new(Parser::new_from_str(text).map(|event| event.unwrap().0));
    let mut events = events.peekable();
    while let Some(Event::StreamStart | Event::DocumentStart(_)) = events.peek() {
        events.next();
    }
    node(&mut events)
}

fn node(events: &mut Events<'_>) -> Value {
    match events.next().expect("a node") {
        Event::Scalar(text, style, _, tag) => tagged(scalar(&text, style, tag.is_some()), tag.as_deref()),
        Event::SequenceStart(_, tag) => {
            let mut items = Vec::new();
            while !matches!(events.peek(), Some(Event::SequenceEnd)) {
                items.push(node(events));
            }
            events.next();
            tagged(Value::Array(items), tag.as_deref())
        }
        Event::MappingStart(_, tag) => {
            let mut members = Map::new();
            while !matches!(events.peek(), Some(Event::MappingEnd)) {
                let Value::String(key) = node(events) else { panic!("a key that is not text") };
                assert_ne!(key, "<<", "CloudFormation does not support merge keys");
                let value = node(events);
                assert!(members.insert(key.clone(), value).is_none(), "`{key}` is there twice");
            }
            events.next();
            tagged(Value::Object(members), tag.as_deref())
        }
        // `sam deploy` resolves aliases; CloudFormation rejects them.
        Event::Alias(_) => panic!("CloudFormation does not support aliases"),
        other => panic!("{other:?} instead of a node"),
    }
}

fn scalar(text: &str, style: ScalarStyle, tagged: bool) -> Value {
    if style != ScalarStyle::Plain || tagged {
        return json!(text);
    }
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => json!(true),
        "false" => json!(false),
        // Text here stays text in JSON: account ids with a leading zero, versions, dates.
        _ => text.parse::<i64>().ok().filter(|number| number.to_string() == text).map_or(json!(text), Value::from),
    }
}

fn tagged(value: Value, tag: Option<&Tag>) -> Value {
    let Some(tag) = tag else { return value };
    assert_eq!(tag.handle, "!", "an unknown tag `{}{}`", tag.handle, tag.suffix);
    match (tag.suffix.as_str(), value) {
        (name @ ("Ref" | "Condition"), value) => json!({ name: value }),
        ("GetAtt", Value::String(path)) => {
            let (resource, attribute) = path.split_once('.').expect("a resource and an attribute");
            json!({ "Fn::GetAtt": [resource, attribute] })
        }
        (name, value) => json!({ format!("Fn::{name}"): value }),
    }
}

#[test]
fn short_forms_become_long_forms() {
    let parsed = parse("a: !Sub 'x-${B}'\nb: !GetAtt C.Arn\nc: !If [D, !Ref E, 1]\nd: '1'\ne: {f: yes}");
    assert_eq!(
        parsed,
        json!({
            "a": {"Fn::Sub": "x-${B}"},
            "b": {"Fn::GetAtt": ["C", "Arn"]},
            "c": {"Fn::If": ["D", {"Ref": "E"}, 1]},
            "d": "1",
            "e": {"f": "yes"}
        })
    );
}
