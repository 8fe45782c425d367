//! Simulates the passing of days for the application: moves the times of its stored state into the past.
//!
//! The functions are real processes that read the real clock. After all times in the state table moved back by a
//! week, the functions act on the state of an hour ago as on the state of a week ago.

use std::collections::BTreeMap;

use anyhow::Result;
use jiff::SignedDuration;
use jiff::civil::Date;
use serde_json::{Value, json};

use domain::policy::Reporting;

use crate::client::CloudClient;
use crate::events::samples::moved_by;

/// Requests of CloudFormation keep their times.
const REQUESTS: &str = "request";
/// Sort keys of the item with the exemptions, and of the one with the exemptions whose end was announced.
const REPORTING: &str = "#reporting";
const EXPIRY: &str = "expiring-exemptions";
/// The type of numbers in DynamoDB's JSON: seconds of a time to live, and versions. No test depends on them.
const NUMBERS: &str = "N";

/// Moves all times and dates in the state table back, dates by whole days.
pub fn move_state_back(client: &CloudClient, table: &str, by: SignedDuration) -> Result<()> {
    let items = client.scan(table)?;
    let renamed = renamed(&items, by)?;
    for mut item in items {
        if item["pk"]["S"] == REQUESTS {
            continue;
        }
        for (name, value) in item.as_object_mut().into_iter().flatten() {
            if !matches!(name.as_str(), "pk" | "sk") {
                move_back(value, by);
            }
        }
        let document = item["document"]["S"].as_str().unwrap_or_default();
        if item["sk"]["S"] == EXPIRY {
            item["document"]["S"] =
                renamed.iter().fold(document.to_owned(), |text, (old, new)| text.replace(old, new)).into();
        }
        client.json("dynamodb", "DynamoDB_20120810.PutItem", &json!({"TableName": table, "Item": item}))?;
    }
    Ok(())
}

/// Maps the digests of exemptions before the move to those after it: the digest includes the last day of the
/// exemption.
fn renamed(items: &[Value], by: SignedDuration) -> Result<BTreeMap<String, String>> {
    let Some(reporting) = items.iter().find(|item| item["sk"]["S"] == REPORTING) else { return Ok(BTreeMap::new()) };
    let reporting: Reporting = serde_json::from_str(reporting["document"]["S"].as_str().unwrap_or_default())?;
    let digests = reporting.exemptions.into_iter().map(|mut exemption| {
        let before = exemption.digest().0;
        exemption.until = exemption.until.checked_sub(whole_days(by))?;
        Ok((before, exemption.digest().0))
    });
    digests.collect()
}

fn whole_days(time: SignedDuration) -> SignedDuration {
    SignedDuration::from_hours(time.as_hours() / 24 * 24)
}

/// Moves the times in an attribute, also those in a JSON document in its text.
fn move_back(value: &mut Value, by: SignedDuration) {
    match value {
        Value::Object(members) => {
            let values = members.iter_mut().filter(|(name, _)| name.as_str() != NUMBERS);
            values.for_each(|(_, value)| move_back(value, by));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_back(item, by)),
        Value::String(text) => {
            let document: Option<Value> =
                serde_json::from_str(text).ok().filter(|document: &Value| !document.is_number());
            *text = match (document, text.parse::<Date>()) {
                (Some(mut document), _) => {
                    move_back(&mut document, by);
                    document.to_string()
                }
                (None, Ok(date)) if text.len() == "2026-11-23".len() => {
                    date.checked_sub(whole_days(by)).map_or_else(|_| text.clone(), |date| date.to_string())
                }
                _ => moved_by(text, -by),
            };
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn move_back_moves_times_and_dates_at_all_depths() {
        let document =
            json!({"at": "2026-11-23T04:12:09.5Z", "until": "2026-12-01", "days": 7, "name": "v-2026-11-23"});
        let mut item = json!({
            "document": {"S": document.to_string()}, "pending_since": {"S": "2026-11-23T04:12:09.500000000Z"},
            "version": {"N": "3"}, "list": {"L": [{"S": "2026-12-01"}]},
        });
        move_back(&mut item, SignedDuration::from_hours(50));
        let moved: Value = serde_json::from_str(item["document"]["S"].as_str().unwrap()).unwrap();
        let expected =
            json!({"at": "2026-11-21T02:12:09.5Z", "until": "2026-11-29", "days": 7, "name": "v-2026-11-23"});
        assert_eq!(moved, expected);
        assert_eq!(item["pending_since"]["S"], "2026-11-21T02:12:09.500000000Z");
        assert_eq!((&item["version"]["N"], &item["list"]["L"][0]["S"]), (&json!("3"), &json!("2026-11-29")));
    }
}
