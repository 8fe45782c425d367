//! CloudFormation requests that wait for their answer. Partition `request`: an item a request, with the pre-signed URL;
//! a bare mark when answered; removed by the table's time to live when the URL is worth nothing any more.

use super::{StateTable, document, number, read_document, text};
use crate::error::wrap;
use app::lifecycle::{Request, Waiting};
use app::ports::{PortErrorKind, RequestStore, Result};
use jiff::Timestamp;

const REQUESTS: &str = "request";
/// CloudFormation waits for an hour.
const KEPT_SECONDS: i64 = 2 * 60 * 60;

impl RequestStore for StateTable {
    async fn keep(&self, request: &Request, at: Timestamp) -> Result<()> {
        let waiting = Waiting { request: request.clone(), since: at };
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

    async fn waiting(&self) -> Result<Vec<Waiting>> {
        let items = self.partition(REQUESTS).await?;
        // What has no document any more was answered.
        let waiting = items.iter().filter(|item| item.contains_key("document")).map(read_document);
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

    async fn forget(&self, request_id: &str) -> Result<()> {
        self.delete(REQUESTS, request_id).await
    }
}
