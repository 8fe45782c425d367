//! EventBridge's event patterns, as far as this project uses them.

use serde_json::Value;

/// Whether an event matches a pattern: each member of the pattern matches the event's member of that name.
pub(crate) fn matches(pattern: &Value, event: &Value) -> bool {
    let members = pattern.as_object().expect("a pattern is an object");
    members.iter().all(|(name, expected)| match expected {
        Value::Array(alternatives) => alternatives.iter().any(|alternative| meets(alternative, event.get(name))),
        nested => event.get(name).is_some_and(|inner| inner.is_object() && matches(nested, inner)),
    })
}

/// Matches one alternative against one member. Of an array in the event, one matching element is enough.
fn meets(alternative: &Value, actual: Option<&Value>) -> bool {
    if let Some(exists) = alternative.get("exists") {
        return exists.as_bool().unwrap() == actual.is_some();
    }
    match actual {
        None => false,
        Some(Value::Array(elements)) => elements.iter().any(|element| meets_one(alternative, element)),
        Some(element) => meets_one(alternative, element),
    }
}

fn meets_one(alternative: &Value, actual: &Value) -> bool {
    let Some(filter) = alternative.as_object() else { return alternative == actual };
    let (name, argument) = filter.iter().next().expect("a filter has a name");
    match (name.as_str(), actual) {
        ("prefix", Value::String(text)) => text.starts_with(argument.as_str().unwrap()),
        ("suffix", Value::String(text)) => text.ends_with(argument.as_str().unwrap()),
        ("wildcard", Value::String(text)) => wildcard(argument.as_str().unwrap(), text),
        ("anything-but", actual) => argument.as_array().map_or(argument != actual, |not| !not.contains(actual)),
        ("prefix" | "suffix" | "wildcard", _) => false,
        (unknown, _) => panic!("the filter `{unknown}` is not known here"),
    }
}

/// Matches `*` with any text, including the empty one.
fn wildcard(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| wildcard(rest, tail.split_at(at).1))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{matches, wildcard};

    #[test]
    fn pattern_needs_all_members_and_one_alternative() {
        let event = json!({"source": "aws.config", "resources": ["a", "b"], "detail": {"state": "x", "n": 1}});
        assert!(matches(&json!({"source": ["aws.s3", "aws.config"]}), &event));
        assert!(matches(&json!({"resources": ["b"], "detail": {"n": [1]}}), &event));
        assert!(!matches(&json!({"resources": ["c"]}), &event));
        assert!(!matches(&json!({"source": ["aws.config"], "detail": {"state": ["y"]}}), &event));
        assert!(!matches(&json!({"source": {"inner": ["x"]}}), &event));
        assert!(!matches(&json!({"detail": {"missing": ["x"]}}), &event));
    }

    #[test]
    fn filters_match_as_documented() {
        let event = json!({"a": "abc", "n": 1});
        assert!(matches(&json!({"a": [{"prefix": "ab"}]}), &event));
        assert!(!matches(&json!({"a": [{"prefix": "b"}]}), &event));
        assert!(matches(&json!({"a": [{"suffix": "bc"}]}), &event));
        assert!(!matches(&json!({"n": [{"prefix": "1"}]}), &event));
        assert!(matches(&json!({"a": [{"anything-but": ["x"]}]}), &event));
        assert!(!matches(&json!({"a": [{"anything-but": "abc"}]}), &event));
        assert!(matches(&json!({"z": [{"exists": false}], "a": [{"exists": true}]}), &event));
        assert!(!matches(&json!({"a": [{"exists": false}]}), &event));
    }

    #[test]
    fn wildcards_match_any_text() {
        assert!(wildcard("a*c", "ac"));
        assert!(wildcard("a*c", "a/b:c"));
        assert!(wildcard("*b*", "abc"));
        assert!(!wildcard("a*c", "acd"));
        assert!(!wildcard("a*c", "bc"));
    }
}
