//! Pages of AWS Config: with limits, tokens, and sometimes an empty page that has a token.

use serde_json::{Value, json};

use super::resource::ConfigError;

/// Returns one page of the rows, in the field `name`.
///
/// An empty page follows the first of several pages; with `always`, an empty page precedes each page.
pub(super) fn page(
    rows: &[Value],
    ask: &Value,
    name: &str,
    limits: &PageLimits,
    always: bool,
) -> Result<Value, ConfigError> {
    let (from, empty) = start_of(ask)?;
    let empty = empty || (always && ask.get("NextToken").is_none_or(Value::is_null));
    if from > rows.len() {
        return Err(bad_token());
    }
    if empty {
        return Ok(json!({name: [], "NextToken": token(from, false)}));
    }
    let limit = limits.of(ask)?;
    let until = rows.len().min(from + limit);
    let mut answer = json!({name: rows.get(from..until).unwrap_or_default()});
    if until < rows.len() {
        answer["NextToken"] = json!(token(until, always || from == 0));
    }
    Ok(answer)
}

/// The limits of a page.
#[derive(Debug)]
pub(super) struct PageLimits {
    pub(super) default: usize,
    pub(super) most: usize,
}

impl PageLimits {
    fn of(&self, ask: &Value) -> Result<usize, ConfigError> {
        let asked = ask["Limit"].as_u64().or(ask["MaxResults"].as_u64()).unwrap_or_default();
        match usize::try_from(asked).unwrap_or(usize::MAX) {
            0 => Ok(self.default),
            asked if asked > self.most => Err((
                "InvalidLimitException",
                format!("The specified limit {asked} is not valid: it must be between 0 and {}", self.most),
            )),
            asked => Ok(asked),
        }
    }
}

fn token(from: usize, empty: bool) -> String {
    format!("{from}.{}", if empty { "empty" } else { "rows" })
}

fn start_of(ask: &Value) -> Result<(usize, bool), ConfigError> {
    let Some(token) = ask["NextToken"].as_str() else { return Ok((0, false)) };
    let (from, kind) = token.split_once('.').ok_or_else(bad_token)?;
    let from = from.parse().map_err(|_| bad_token())?;
    match kind {
        "empty" => Ok((from, true)),
        "rows" => Ok((from, false)),
        _ => Err(bad_token()),
    }
}

fn bad_token() -> ConfigError {
    ("InvalidNextTokenException", "The specified next token is not valid".to_owned())
}
