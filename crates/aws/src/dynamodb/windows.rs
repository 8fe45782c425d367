//! Digest windows, in which notices are buffered. Partition `window`: one item for each group, removed by the time to live.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use app::ports::Result;
use app::report::ports::{DigestWindow, WindowStore};
use domain::violation::ViolationGroup;

use super::{StateTable, condition_met, key, number, read_text};
use crate::error::{unexpected, wrap};

const WINDOWS: &str = "window";
/// Time to live after the end of a window: one day, for troubleshooting.
const TTL_SECONDS: i64 = 24 * 60 * 60;

impl WindowStore for StateTable {
    async fn windows(&self, groups: &[ViolationGroup]) -> Result<BTreeMap<ViolationGroup, DigestWindow>> {
        let by_name: BTreeMap<String, &ViolationGroup> =
            groups.iter().map(|group| (group.to_string(), group)).collect();
        let items = self.items(by_name.keys().map(|name| (WINDOWS.to_owned(), name.clone()))).await?;
        let mut windows = BTreeMap::new();
        for item in items {
            let name = read_text(&item, "sk").unwrap_or_default();
            let Some(group) = by_name.get(name) else { continue };
            let until = item.get("until").and_then(|until| until.as_n().ok()?.parse().ok());
            let until = until.and_then(|until| Timestamp::from_millisecond(until).ok()).ok_or_else(|| {
                let message = format!("the item `{WINDOWS}` / `{name}` cannot be read: no `until`");
                unexpected("dynamodb:BatchGetItem", message)
            })?;
            let flush_asked = item.get("flush_requested").and_then(|requested| requested.as_bool().ok()).copied();
            windows
                .insert((*group).clone(), DigestWindow { until, is_flush_requested: flush_asked.unwrap_or_default() });
        }
        Ok(windows)
    }

    async fn open_window(&self, group: &ViolationGroup, now: Timestamp, until: Timestamp) -> Result<bool> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(key(WINDOWS, &group.to_string())))
            .item("until", number(until.as_millisecond()))
            .item("flush_requested", AttributeValue::Bool(false))
            .item("expires_at", number(until.as_second().saturating_add(TTL_SECONDS)))
            // `until` is a reserved word of DynamoDB expressions.
            .condition_expression("attribute_not_exists(pk) OR #until <= :now")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", number(now.as_millisecond()));
        condition_met(put.send().await.map_err(|error| wrap("dynamodb:PutItem", &error)))
    }

    async fn record_flush_request(&self, group: &ViolationGroup, until: Timestamp) -> Result<()> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(WINDOWS, &group.to_string())))
            .update_expression("SET flush_requested = :requested")
            // An update of an expired item would recreate it without `until`, and a later window needs its own flush.
            .condition_expression("#until = :until")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":requested", AttributeValue::Bool(true));
        condition_met(update.send().await.map_err(|error| wrap("dynamodb:UpdateItem", &error))).map(drop)
    }
}
