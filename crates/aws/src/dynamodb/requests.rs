//! CloudFormation requests without a response. Partition `request`: one item for each request with its pre-signed URL, replaced by
//! a marker when it is answered. The time to live removes both when the URL has expired.

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;

use app::lifecycle::ports::RequestStore;
use app::lifecycle::{CloudFormationRequest, RequestAnswer, WaitingRequest};
use app::ports::{PortErrorKind, Result};

use super::{StateTable, TableItem, condition_met, document, key, number, read_document, read_text, text};
use crate::error::{unexpected, wrap};

const REQUESTS: &str = "request";
/// Time to live: CloudFormation waits for one hour.
const TTL_SECONDS: i64 = 2 * 60 * 60;

impl RequestStore for StateTable {
    async fn store(&self, request: &CloudFormationRequest, at: Timestamp) -> Result<()> {
        let waiting = WaitingRequest { request: request.clone(), since: at, answer: None };
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(key(REQUESTS, &request.envelope.request_id)))
            .item("document", document(&waiting)?)
            .item("expires_at", number(at.as_second().saturating_add(TTL_SECONDS)))
            // Lambda may deliver a request twice. CloudFormation's hour began with the first delivery.
            .condition_expression("attribute_not_exists(pk)");
        condition_met(put.send().await.map_err(|error| wrap("dynamodb:PutItem", &error))).map(drop)
    }

    async fn settle(
        &self,
        request: &CloudFormationRequest,
        answer: &RequestAnswer,
        at: Timestamp,
    ) -> Result<Option<RequestAnswer>> {
        const OPERATION: &str = "dynamodb:UpdateItem";
        let waiting = WaitingRequest { request: request.clone(), since: at, answer: None };
        let json = serde_json::to_string(answer).map_err(|error| unexpected(OPERATION, error.to_string()))?;
        let settled = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(REQUESTS, &request.envelope.request_id)))
            .update_expression(
                "SET document = if_not_exists(document, :waiting), answer = if_not_exists(answer, :answer), \
                 expires_at = if_not_exists(expires_at, :expires)",
            )
            .condition_expression("attribute_not_exists(answered_at)")
            .expression_attribute_values(":waiting", document(&waiting)?)
            .expression_attribute_values(":answer", text(json))
            .expression_attribute_values(":expires", number(at.as_second().saturating_add(TTL_SECONDS)))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| wrap(OPERATION, &error));
        match settled {
            Ok(settled) => read_answer(&settled.attributes.unwrap_or_default()),
            Err(error) if error.kind == PortErrorKind::Conflict => Ok(None),
            Err(error) => Err(error),
        }
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
        let mut marker = key(REQUESTS, request_id);
        marker.insert("answered_at".into(), text(at.to_string()));
        marker.insert("expires_at".into(), number(at.as_second().saturating_add(TTL_SECONDS)));
        self.put_item(marker).await
    }
}

fn read_answer(item: &TableItem) -> Result<Option<RequestAnswer>> {
    let answer = read_text(item, "answer").map(serde_json::from_str).transpose();
    // The error of the parser is dropped, since it may quote the pre-signed URL.
    answer.map_err(|_| unexpected("dynamodb:Query", "the settled answer of a request cannot be read"))
}
