//! Digest windows, in which notices are buffered. Partition `window`: one item for each group, removed by the time to live.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use app::ports::Result;
use app::report::ports::{DigestWindow, WindowStore};
use domain::violation::ViolationGroup;

use super::{StateTable, condition_met, key, number, read_number, read_text};
use crate::error::{unexpected, wrap};

const WINDOWS: &str = "window";
/// Time to live after the end of a window: one day, for troubleshooting.
const TTL_SECONDS: i64 = 24 * 60 * 60;

impl WindowStore for StateTable {
    async fn windows(&self, groups: &[ViolationGroup]) -> Result<BTreeMap<ViolationGroup, DigestWindow>> {
        let by_name: BTreeMap<String, &ViolationGroup> =
            groups.iter().map(|group| (group.to_string(), group)).collect();
        let mut windows = BTreeMap::new();
        for item in self.items(by_name.keys().map(|name| (WINDOWS.to_owned(), name.clone()))).await? {
            let name = read_text(&item, "sk").unwrap_or_default();
            let Some(group) = by_name.get(name) else { continue };
            let until = read_number(&item, "until").and_then(|until| Timestamp::from_millisecond(until).ok());
            let until = until.ok_or_else(|| {
                let message = format!("the item `{WINDOWS}` / `{name}` cannot be read: no `until`");
                unexpected("dynamodb:BatchGetItem", message)
            })?;
            let is_flush_requested = item.get("flush_requested") == Some(&AttributeValue::Bool(true));
            windows.insert((*group).clone(), DigestWindow { until, is_flush_requested });
        }
        Ok(windows)
    }

    async fn open_window(&self, group: &ViolationGroup, now: Timestamp, until: Timestamp) -> Result<bool> {
        let mut item = key(WINDOWS, &group.to_string());
        item.insert("until".into(), number(until.as_millisecond()));
        item.insert("flush_requested".into(), AttributeValue::Bool(false));
        item.insert("expires_at".into(), number(until.as_second().saturating_add(TTL_SECONDS)));
        // `until` is a reserved word of DynamoDB expressions.
        let put = self.put(item).condition_expression("attribute_not_exists(pk) OR #until <= :now");
        let put = put.expression_attribute_names("#until", "until");
        let put = put.expression_attribute_values(":now", number(now.as_millisecond())).send().await;
        Ok(condition_met(put.map_err(wrap("dynamodb:PutItem")))?.is_some())
    }

    async fn record_flush_request(&self, group: &ViolationGroup, until: Timestamp) -> Result<()> {
        let update = self.client.update_item().table_name(&self.name);
        let update = update
            .set_key(Some(key(WINDOWS, &group.to_string())))
            .update_expression("SET flush_requested = :requested")
            // An update of an expired item would recreate it without `until`, and a later window needs its own flush.
            .condition_expression("#until = :until")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":requested", AttributeValue::Bool(true));
        condition_met(update.send().await.map_err(wrap("dynamodb:UpdateItem"))).map(drop)
    }
}
