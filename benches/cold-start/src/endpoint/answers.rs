//! The constant responses: an empty table, a topic that accepts all notices, a repository without the branch.

use serde_json::{Map, Value, json};

#[cfg(test)]
mod tests;

/// A response and the operation it is for.
#[derive(Debug)]
pub(crate) struct Canned {
    pub(crate) operation: String,
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

/// Returns the response to a request, by its `X-Amz-Target` (JSON protocols) or by the `Action` of its form (Query
/// protocol).
pub(crate) fn to(target: Option<&str>, body: &[u8]) -> Canned {
    match target {
        Some(target) => json_protocol(target, body),
        None => query_protocol(&String::from_utf8_lossy(body)),
    }
}

fn json_protocol(target: &str, body: &[u8]) -> Canned {
    let operation = target.rsplit('.').next().unwrap_or(target);
    let (status, answer) = match operation {
        "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems" => (200, json!({})),
        "Query" | "Scan" => (200, json!({"Items": [], "Count": 0, "ScannedCount": 0})),
        "BatchGetItem" => (200, json!({"Responses": no_items(body), "UnprocessedKeys": {}})),
        "BatchWriteItem" => (200, json!({"UnprocessedItems": {}})),
        "SendMessage" => (200, json!({"MessageId": "1", "MD5OfMessageBody": ""})),
        "GetBranch" => (400, json!({"__type": "BranchDoesNotExistException", "message": "no such branch"})),
        // Unknown operations fail: a function without a response is not measured at its work.
        other => (400, json!({"__type": "ValidationException", "message": format!("no answer for `{other}`")})),
    };
    let content_type =
        if target.starts_with("DynamoDB") { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" };
    Canned { operation: operation.to_owned(), status, content_type, body: answer.to_string() }
}

/// Returns an empty list of items for each requested table.
fn no_items(body: &[u8]) -> Value {
    let asked = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let tables = asked.get("RequestItems").and_then(Value::as_object).map(|tables| tables.keys().cloned());
    tables.into_iter().flatten().map(|table| (table, json!([]))).collect::<Map<_, _>>().into()
}

fn query_protocol(form: &str) -> Canned {
    let fields = form.split('&').filter_map(|pair| pair.split_once('=')).collect::<Vec<_>>();
    let action = fields.iter().find(|(key, _)| *key == "Action").map_or("", |(_, value)| value);
    let (status, inner) = match action {
        "Publish" => (200, "<MessageId>1</MessageId>".to_owned()),
        "PublishBatch" => {
            let entries = fields
                .iter()
                .filter(|(key, _)| key.starts_with("PublishBatchRequestEntries.member.") && key.ends_with(".Id"))
                // Ids consist of letters, digits, `-` and `_`: they need no decoding.
                .map(|(_, id)| format!("<member><Id>{id}</Id><MessageId>{id}</MessageId></member>"))
                .collect::<String>();
            (200, format!("<Successful>{entries}</Successful><Failed/>"))
        }
        "DescribeStackSet" => return error("StackSetNotFoundException", action, "no such stack set", 404),
        "ListStackSets" | "ListStackInstances" | "ListStackSetOperations" => (200, "<Summaries/>".to_owned()),
        other => return error("ValidationError", other, &format!("no answer for `{other}`"), 400),
    };
    let body = format!(
        "<{action}Response><{action}Result>{inner}</{action}Result>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    );
    Canned { operation: action.to_owned(), status, content_type: "text/xml", body }
}

fn error(code: &str, action: &str, message: &str, status: u16) -> Canned {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>"
    );
    Canned { operation: action.to_owned(), status, content_type: "text/xml", body }
}
