//! Windows in which what comes is held. Partition `window`: an item a group; removed by the table's time to live.

use super::{StateTable, key, number, read_text};
use crate::error::{unexpected, wrap};
use app::ports::{PortErrorKind, Result, Window, WindowStore};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::violation::Group;
use jiff::Timestamp;
use std::collections::BTreeMap;

const WINDOWS: &str = "window";
/// An ended window is worth nothing; a day leaves time to look at it.
const KEPT_SECONDS: i64 = 24 * 60 * 60;

impl WindowStore for StateTable {
    async fn windows(&self, groups: &[Group]) -> Result<BTreeMap<Group, Window>> {
        let by_name: BTreeMap<String, &Group> = groups.iter().map(|group| (group.to_string(), group)).collect();
        let items = self.items(by_name.keys().map(|name| (WINDOWS.to_owned(), name.clone()))).await?;
        let mut windows = BTreeMap::new();
        for item in items {
            let name = read_text(&item, "sk").unwrap_or_default();
            let Some(group) = by_name.get(name) else { continue };
            let until = item.get("until").and_then(|until| until.as_n().ok()?.parse().ok());
            let until = until.and_then(|until| Timestamp::from_millisecond(until).ok()).ok_or_else(|| {
                unexpected(
                    "dynamodb:BatchGetItem",
                    format!("the item `{WINDOWS}` / `{name}` cannot be read: no `until`"),
                )
            })?;
            let flush_asked =
                item.get("flush_asked").and_then(|asked| asked.as_bool().ok()).copied().unwrap_or_default();
            windows.insert((*group).clone(), Window { until, flush_asked });
        }
        Ok(windows)
    }

    async fn open_window(&self, group: &Group, now: Timestamp, until: Timestamp) -> Result<bool> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(key(WINDOWS, &group.to_string())))
            .item("until", number(until.as_millisecond()))
            .item("flush_asked", AttributeValue::Bool(false))
            .item("expires_at", number(until.as_second().saturating_add(KEPT_SECONDS)))
            // `until` is a word of the expression language.
            .condition_expression("attribute_not_exists(pk) OR #until <= :now")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .send()
            .await
            .map_err(|error| wrap("dynamodb:PutItem", &error));
        match put {
            Ok(_) => Ok(true),
            Err(error) if error.kind == PortErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn flush_asked(&self, group: &Group, until: Timestamp) -> Result<()> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(WINDOWS, &group.to_string())))
            .update_expression("SET flush_asked = :asked")
            // One that has gone meanwhile must not come back without its end, and a later one needs a flush of its own.
            .condition_expression("#until = :until")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":asked", AttributeValue::Bool(true))
            .send()
            .await
            .map_err(|error| wrap("dynamodb:UpdateItem", &error));
        match update {
            Err(error) if error.kind == PortErrorKind::Conflict => Ok(()),
            other => other.map(drop),
        }
    }
}
