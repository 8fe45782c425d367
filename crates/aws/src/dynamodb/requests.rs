//! CloudFormation requests without a response. Partition `request`: one item for each request with its pre-signed URL, replaced by
//! a marker when it is answered. The time to live removes both when the URL has expired.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;

use app::lifecycle::ports::RequestStore;
use app::lifecycle::{CloudFormationRequest, RequestAnswer, WaitingRequest};
use app::ports::Result;

use super::{StateTable, TableItem, condition_met, document, item, key, number, read_document, read_text, text};
use crate::error::{invalid, unexpected, wrap};

const REQUESTS: &str = "request";
/// Time to live: CloudFormation waits for one hour.
const TTL_SECONDS: i64 = 2 * 60 * 60;

impl RequestStore for StateTable {
    async fn store(&self, request: &CloudFormationRequest, at: Timestamp) -> Result<()> {
        let waiting = WaitingRequest { request: request.clone(), since: at, answer: None };
        let attributes = [("document", document(&waiting)?), ("expires_at", expires(at))];
        let item = item(REQUESTS, &request.envelope.request_id, attributes);
        // Lambda may deliver a request twice. CloudFormation's hour began with the first delivery.
        let put = self.put(item).condition_expression("attribute_not_exists(pk)");
        condition_met(put.send().await.map_err(wrap("dynamodb:PutItem"))).map(drop)
    }

    async fn settle(
        &self,
        request: &CloudFormationRequest,
        answer: &RequestAnswer,
        at: Timestamp,
    ) -> Result<Option<RequestAnswer>> {
        const OPERATION: &str = "dynamodb:UpdateItem";
        let waiting = WaitingRequest { request: request.clone(), since: at, answer: None };
        let json = serde_json::to_string(answer).map_err(invalid(OPERATION))?;
        let update = self.client.update_item().table_name(&self.name);
        let update = update
            .set_key(Some(key(REQUESTS, &request.envelope.request_id)))
            .update_expression(
                "SET document = if_not_exists(document, :waiting), answer = if_not_exists(answer, :answer), \
                 expires_at = if_not_exists(expires_at, :expires)",
            )
            .condition_expression("attribute_not_exists(answered_at)")
            .expression_attribute_values(":waiting", document(&waiting)?)
            .expression_attribute_values(":answer", text(json))
            .expression_attribute_values(":expires", expires(at))
            .return_values(ReturnValue::AllNew);
        let settled = condition_met(update.send().await.map_err(wrap(OPERATION)))?;
        settled.map_or(Ok(None), |settled| read_answer(&settled.attributes.unwrap_or_default()))
    }

    async fn waiting(&self) -> Result<Vec<WaitingRequest>> {
        let items = self.partition(REQUESTS).await?;
        // An item without a document is the marker of an answered request.
        let waiting = items.iter().filter(|item| item.contains_key("document")).map(|item| {
            let waiting: WaitingRequest = read_document(item)?;
            Ok(WaitingRequest { answer: read_answer(item)?, ..waiting })
        });
        let mut waiting: Vec<WaitingRequest> = waiting.collect::<Result<_>>()?;
        waiting.sort_by_key(|waiting| waiting.since);
        Ok(waiting)
    }

    async fn record_answered(&self, request_id: &str, at: Timestamp) -> Result<()> {
        let attributes = [("answered_at", text(at.to_string())), ("expires_at", expires(at))];
        self.put_item(item(REQUESTS, request_id, attributes)).await
    }
}

fn expires(at: Timestamp) -> AttributeValue {
    number(at.as_second().saturating_add(TTL_SECONDS))
}

fn read_answer(item: &TableItem) -> Result<Option<RequestAnswer>> {
    let answer = read_text(item, "answer").map(serde_json::from_str).transpose();
    // The error of the parser is dropped, since it may quote the pre-signed URL.
    answer.map_err(|_| unexpected("dynamodb:Query", "the settled answer of a request cannot be read"))
}
