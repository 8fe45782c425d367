//! CloudFormation requests that wait for their answer. Partition `request`: an item a request, with the pre-signed URL;
//! a bare mark when answered; removed by the table's time to live when the URL is worth nothing any more.

use super::{Item, StateTable, document, number, read_document, read_text, text};
use crate::error::{unexpected, wrap};
use app::lifecycle::{Answer, Request, Waiting};
use app::ports::{PortErrorKind, RequestStore, Result};
use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;

const REQUESTS: &str = "request";
/// CloudFormation waits for an hour.
const KEPT_SECONDS: i64 = 2 * 60 * 60;

impl RequestStore for StateTable {
    async fn keep(&self, request: &Request, at: Timestamp) -> Result<()> {
        let waiting = Waiting { request: request.clone(), since: at, answer: None };
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("pk", text(REQUESTS))
            .item("sk", text(&request.envelope.request_id))
            .item("document", document(&waiting)?)
            .item("expires_at", number(at.as_second().saturating_add(KEPT_SECONDS)))
            // Lambda delivers a request again when it is unsure: the first delivery counts, its clock runs.
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await
            .map(|_| ())
            .map_err(|error| wrap("dynamodb:PutItem", &error));
        match put {
            Err(error) if error.kind == PortErrorKind::Conflict => Ok(()),
            other => other,
        }
    }

    async fn settle(&self, request: &Request, answer: &Answer, at: Timestamp) -> Result<Option<Answer>> {
        const OPERATION: &str = "dynamodb:UpdateItem";
        let waiting = Waiting { request: request.clone(), since: at, answer: None };
        let json = serde_json::to_string(answer).map_err(|error| unexpected(OPERATION, error.to_string()))?;
        let settled = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", text(REQUESTS))
            .key("sk", text(&request.envelope.request_id))
            .update_expression(
                "SET document = if_not_exists(document, :waiting), answer = if_not_exists(answer, :answer), \
                 expires_at = if_not_exists(expires_at, :expires)",
            )
            .condition_expression("attribute_not_exists(answered_at)")
            .expression_attribute_values(":waiting", document(&waiting)?)
            .expression_attribute_values(":answer", text(json))
            .expression_attribute_values(":expires", number(at.as_second().saturating_add(KEPT_SECONDS)))
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

    async fn waiting(&self) -> Result<Vec<Waiting>> {
        let items = self.partition(REQUESTS).await?;
        // What has no document any more was answered.
        let waiting = items.iter().filter(|item| item.contains_key("document")).map(|item| {
            let waiting: Waiting = read_document(item)?;
            Ok(Waiting { answer: read_answer(item)?, ..waiting })
        });
        let mut waiting: Vec<Waiting> = waiting.collect::<Result<_>>()?;
        waiting.sort_by_key(|waiting| waiting.since);
        Ok(waiting)
    }

    async fn answered(&self, request_id: &str, at: Timestamp) -> Result<()> {
        self.client
            .put_item()
            .table_name(&self.name)
            .item("pk", text(REQUESTS))
            .item("sk", text(request_id))
            .item("answered_at", text(at.to_string()))
            .item("expires_at", number(at.as_second().saturating_add(KEPT_SECONDS)))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| wrap("dynamodb:PutItem", &error))
    }
}

fn read_answer(item: &Item) -> Result<Option<Answer>> {
    let answer = read_text(item, "answer").map(serde_json::from_str).transpose();
    // The text itself holds the pre-signed URL, and an error of the parser may quote it.
    answer.map_err(|_| unexpected("dynamodb:Query", "the settled answer of a request cannot be read"))
}
