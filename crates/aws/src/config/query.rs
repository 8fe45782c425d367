//! Expressions of advanced queries, and the rows that they find.

use serde_json::Value;

/// An expression must be shorter than this, in characters.
pub(super) const LONGEST: usize = 4096;

/// A text as the query language writes it; `None` for one that could end the quotes. How the language escapes a quote is not
/// documented, and no id of AWS has one.
pub(super) fn literal(text: &str) -> Option<String> {
    let plain = !text.is_empty() && !text.chars().any(|c| matches!(c, '\'' | '"' | '\\' | '%') || c.is_control());
    plain.then(|| format!("'{text}'"))
}

/// A field of a row or of a configuration, whatever the case of its first letter: `a.b` as nested objects, or as one key.
pub(super) fn field<'v>(row: &'v Value, path: &str) -> Option<&'v Value> {
    if let Some(found) = child(row, path) {
        return Some(found);
    }
    path.split('.').try_fold(row, child)
}

fn child<'v>(row: &'v Value, name: &str) -> Option<&'v Value> {
    row.get(name)
        .or_else(|| row.as_object()?.iter().find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value)))
}

/// A text that is not empty.
pub(super) fn text<'v>(row: &'v Value, path: &str) -> Option<&'v str> {
    field(row, path)?.as_str().filter(|text| !text.is_empty())
}

/// A list; one thing alone is a list of it, and nothing is an empty one.
pub(super) fn list<'v>(row: &'v Value, path: &str) -> Vec<&'v Value> {
    match field(row, path) {
        Some(Value::Array(values)) => values.iter().collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(value) => vec![value],
    }
}

/// The configuration of a row: an object, or JSON in a text.
pub(super) fn configuration(row: &Value) -> Option<Value> {
    match field(row, "configuration")? {
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Null => None,
        value => Some(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_that_could_end_the_quotes_is_no_literal() {
        assert_eq!(literal("cluster-7XK3").as_deref(), Some("'cluster-7XK3'"));
        let arn = "arn:aws:backup:eu-west-1:222222222222:recovery-point:1/2";
        assert_eq!(literal(arn), Some(format!("'{arn}'")));
        assert_eq!(literal("ümlaut & <co>").as_deref(), Some("'ümlaut & <co>'"));
        for bad in ["", "'", "a' OR 'a' = 'a", "a\\", "a\"b", "a\nb", "%", "\u{0}"] {
            assert_eq!(literal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn rows_are_read_in_all_their_shapes() {
        let row = json!({"a": {"B": {"c": "x"}}, "d.e": "y", "empty": "", "none": null, "one": 1, "many": [1, 2]});
        assert_eq!(text(&row, "a.b.c"), Some("x"));
        assert_eq!(text(&row, "d.e"), Some("y"));
        for nothing in ["empty", "none", "one", "a.b.x", "a.b.c.d", ""] {
            assert_eq!(text(&row, nothing), None, "{nothing}");
        }
        assert_eq!(list(&row, "many").len(), 2);
        assert_eq!(list(&row, "one").len(), 1);
        assert!(list(&row, "none").is_empty() && list(&row, "missing").is_empty());
        assert_eq!(text(&json!([1]), "a"), None);
        assert_eq!(configuration(&json!({"configuration": "{\"a\":1}"})), Some(json!({"a": 1})));
        assert_eq!(configuration(&json!({"configuration": {"a": 1}})), Some(json!({"a": 1})));
        for nothing in [json!({}), json!({"configuration": null}), json!({"configuration": "no JSON"}), json!(5)] {
            assert_eq!(configuration(&nothing), None, "{nothing}");
        }
    }
}
