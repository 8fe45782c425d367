//! Advanced queries: literals, and access to the rows.

use std::collections::BTreeMap;

use serde_json::Value;

use framework::ids::{AccountId, RegionName};

/// Expressions are shorter than this number of characters.
pub(super) const LONGEST: usize = 4096;

/// The properties of every type.
pub(super) const COMMON: &str = "accountId, awsRegion, resourceType, resourceId, resourceName, arn, tags";

/// Quotes a text; `None` if it could end the quotes. The escape syntax is not documented, and no AWS id needs it.
pub(super) fn literal(text: &str) -> Option<String> {
    let plain = !text.is_empty() && !text.chars().any(|c| matches!(c, '\'' | '"' | '\\' | '%') || c.is_control());
    plain.then(|| format!("'{text}'"))
}

/// Returns a field of a row or configuration, ignoring case: `a.b` as nested objects, or as one key.
pub(super) fn field<'v>(row: &'v Value, path: &str) -> Option<&'v Value> {
    child(row, path).or_else(|| path.split('.').try_fold(row, child))
}

fn child<'v>(row: &'v Value, name: &str) -> Option<&'v Value> {
    row.get(name)
        .or_else(|| row.as_object()?.iter().find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value)))
}

pub(super) fn text<'v>(row: &'v Value, path: &str) -> Option<&'v str> {
    field(row, path)?.as_str().filter(|text| !text.is_empty())
}

pub(super) fn owned(row: &Value, path: &str) -> Option<String> {
    text(row, path).map(ToOwned::to_owned)
}

pub(super) fn location(row: &Value) -> Option<(AccountId, RegionName)> {
    Some((AccountId::parse(text(row, "accountId")?).ok()?, RegionName::parse(text(row, "awsRegion")?).ok()?))
}

/// Returns a list; a single value is a list of one.
pub(super) fn list<'v>(row: &'v Value, path: &str) -> Vec<&'v Value> {
    match field(row, path) {
        Some(Value::Array(values)) => values.iter().collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(value) => vec![value],
    }
}

/// Returns the configuration of a row: an object, or a string with JSON.
pub(super) fn configuration(row: &Value) -> Option<Value> {
    match field(row, "configuration")? {
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Null => None,
        value => Some(value.clone()),
    }
}

/// Parses a list of `{key, value}`, or an object.
pub(super) fn tags(row: &Value) -> BTreeMap<String, String> {
    let as_text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    if let Some(Value::Object(tags)) = field(row, "tags")
        && !tags.contains_key("key")
    {
        return tags.iter().filter_map(|(key, value)| Some((key.clone(), as_text(value)?))).collect();
    }
    let tags = list(row, "tags").into_iter();
    tags.filter_map(|tag| {
        let key = as_text(field(tag, "key")?)?;
        Some((key, field(tag, "value").and_then(as_text).unwrap_or_default()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_that_could_end_quotes_is_not_a_literal() {
        assert_eq!(literal("cluster-7XK3").as_deref(), Some("'cluster-7XK3'"));
        let arn = "arn:aws:backup:eu-west-1:222222222222:recovery-point:1/2";
        assert_eq!(literal(arn), Some(format!("'{arn}'")));
        assert_eq!(literal("ümlaut & <co>").as_deref(), Some("'ümlaut & <co>'"));
        for bad in ["", "'", "a' OR 'a' = 'a", "a\\", "a\"b", "a\nb", "%", "\u{0}"] {
            assert_eq!(literal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn fields_are_found_in_every_row_shape() {
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
