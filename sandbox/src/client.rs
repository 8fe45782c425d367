//! A client of the local cloud without the SDK: its requests have the form of signed ones, with a signature of zeros.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::{self, HttpRequest, HttpResponse};
use crate::wire::{self, Form};

/// Calls one endpoint as one account in one Region. Methods fail with the code and message of the service.
#[derive(Debug, Clone)]
pub struct CloudClient {
    server: SocketAddr,
    access_key: String,
    region: String,
}

impl CloudClient {
    /// Creates a client of the server at this address.
    pub fn new(server: SocketAddr, access_key: &str, region: &str) -> Self {
        Self { server, access_key: access_key.to_owned(), region: region.to_owned() }
    }

    /// Returns a client of the same endpoint for another account (its id is the access key) and Region.
    pub fn in_account(&self, account: &str, region: &str) -> Self {
        Self::new(self.server, account, region)
    }

    /// Sends a request with an `Authorization` header whose signature is not valid.
    pub fn send(&self, service: &str, request: HttpRequest) -> Result<HttpResponse> {
        let date = crate::ids::now_seconds().replace(['-', ':'], "");
        let day = date.get(..8).unwrap_or_default();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{day}/{}/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature={}",
            self.access_key,
            self.region,
            "0".repeat(64)
        );
        http::send(self.server, &request.header("authorization", &authorization).header("x-amz-date", &date))
    }

    /// Calls an operation of a Query service; returns the XML.
    pub fn query(&self, service: &str, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let version = match service {
            "cloudformation" => "2010-05-15",
            "sns" => "2010-03-31",
            "iam" => "2010-05-08",
            "sts" => "2011-06-15",
            "monitoring" => "2010-08-01",
            _ => "2012-11-05",
        };
        let mut form = Form::default();
        form.set("Action", action);
        form.set("Version", version);
        for (name, value) in parameters {
            form.set(name, value);
        }
        let request = HttpRequest::new("POST", "/")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(form.encode());
        let response = self.send(service, request)?;
        if !response.is_success() {
            let text = response.text();
            let code = wire::xml_text(&text, "Code").unwrap_or_else(|| response.status.to_string());
            bail!("{action}: {code}: {}", wire::xml_text(&text, "Message").unwrap_or(text));
        }
        Ok(response.text())
    }

    /// Calls an operation of a JSON service; `target` is the prefix and the operation (`AWSEvents.ListRules`).
    pub fn json(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        let kind = if matches!(service, "sqs" | "dynamodb") {
            "application/x-amz-json-1.0"
        } else {
            "application/x-amz-json-1.1"
        };
        let request = HttpRequest::new("POST", "/")
            .header("content-type", kind)
            .header("x-amz-target", target)
            .body(body.to_string());
        json_answer(target, &self.send(service, request)?)
    }

    /// Calls an operation of a REST-JSON service.
    pub fn rest(&self, service: &str, method: &str, target: &str, body: Option<&Value>) -> Result<Value> {
        let request = HttpRequest::new(method, target).header("content-type", "application/json");
        let request = body.iter().fold(request, |request, body| request.body(body.to_string()));
        json_answer(&format!("{method} {target}"), &self.send(service, request)?)
    }

    /// Sends a message to a queue, with a message group id for a FIFO queue.
    pub fn sqs_send(&self, queue_url: &str, body: &str, group: Option<&str>) -> Result<()> {
        let mut message = json!({"QueueUrl": queue_url, "MessageBody": body});
        if let Some(group) = group {
            message["MessageGroupId"] = json!(group);
        }
        self.json("sqs", "AmazonSQS.SendMessage", &message).map(drop)
    }

    /// Receives up to ten messages and deletes them; waits up to `seconds` for the first.
    pub fn sqs_receive(&self, queue_url: &str, seconds: u32) -> Result<Vec<String>> {
        let ask = json!({"QueueUrl": queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": seconds});
        let answer = self.json("sqs", "AmazonSQS.ReceiveMessage", &ask)?;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        for message in &messages {
            let delete = json!({"QueueUrl": queue_url, "ReceiptHandle": message["ReceiptHandle"]});
            self.json("sqs", "AmazonSQS.DeleteMessage", &delete)?;
        }
        Ok(messages.iter().filter_map(|message| message["Body"].as_str().map(str::to_owned)).collect())
    }

    /// Returns the numbers of visible messages and of messages in flight.
    pub fn sqs_depth(&self, queue_url: &str) -> Result<(u64, u64)> {
        let ask = json!({"QueueUrl": queue_url, "AttributeNames": ["All"]});
        let answer = self.json("sqs", "AmazonSQS.GetQueueAttributes", &ask)?;
        let number = |name: &str| answer["Attributes"][name].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok((number("ApproximateNumberOfMessages"), number("ApproximateNumberOfMessagesNotVisible")))
    }

    /// Returns the number of delayed messages.
    pub fn sqs_delayed(&self, queue_url: &str) -> Result<u64> {
        let ask = json!({"QueueUrl": queue_url, "AttributeNames": ["All"]});
        let answer = self.json("sqs", "AmazonSQS.GetQueueAttributes", &ask)?;
        let delayed = answer["Attributes"]["ApproximateNumberOfMessagesDelayed"].as_str();
        Ok(delayed.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Sends messages to a queue in batches of ten.
    pub fn sqs_send_all(&self, queue_url: &str, bodies: &[String]) -> Result<()> {
        for bodies in bodies.chunks(10) {
            let entries = bodies.iter().enumerate().map(|(n, body)| json!({"Id": n.to_string(), "MessageBody": body}));
            let ask = json!({"QueueUrl": queue_url, "Entries": entries.collect::<Vec<_>>()});
            let answer = self.json("sqs", "AmazonSQS.SendMessageBatch", &ask)?;
            let failed = answer["Failed"].as_array().map_or(0, Vec::len);
            anyhow::ensure!(failed == 0, "SendMessageBatch failed for {failed} of {} messages", bodies.len());
        }
        Ok(())
    }

    /// Creates a queue and subscribes it to a topic; returns its URL. Message bodies are SNS's envelope: `Message`
    /// has the text for the `sqs` protocol, `MessageAttributes` the attributes.
    pub fn subscribe_queue(&self, topic_arn: &str, queue_name: &str) -> Result<String> {
        let created = self.json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": queue_name}))?;
        let url = created["QueueUrl"].as_str().context("CreateQueue gave no URL")?.to_owned();
        let ask = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
        let attributes = self.json("sqs", "AmazonSQS.GetQueueAttributes", &ask)?;
        let arn = attributes["Attributes"]["QueueArn"].as_str().context("the queue has no ARN")?;
        self.query("sns", "Subscribe", &[("TopicArn", topic_arn), ("Protocol", "sqs"), ("Endpoint", arn)])?;
        Ok(url)
    }

    /// Returns all items of a table, in DynamoDB's JSON.
    pub fn scan(&self, table: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut ask = json!({"TableName": table});
        loop {
            let answer = self.json("dynamodb", "DynamoDB_20120810.Scan", &ask)?;
            items.extend(answer["Items"].as_array().cloned().unwrap_or_default());
            match &answer["LastEvaluatedKey"] {
                Value::Null => return Ok(items),
                key => ask["ExclusiveStartKey"] = key.clone(),
            }
        }
    }

    /// Returns the log lines of a group, oldest first; `filter` is a CloudWatch Logs filter pattern, empty for all
    /// lines.
    pub fn logs(&self, group: &str, filter: &str) -> Result<Vec<String>> {
        let mut ask = json!({"logGroupName": group});
        if !filter.is_empty() {
            ask["filterPattern"] = json!(filter);
        }
        let answer = self.json("logs", "Logs_20140328.FilterLogEvents", &ask)?;
        let events = answer["events"].as_array().cloned().unwrap_or_default();
        Ok(events.iter().filter_map(|event| event["message"].as_str().map(str::to_owned)).collect())
    }

    /// Returns the outputs of a stack.
    pub fn stack_outputs(&self, stack: &str) -> Result<BTreeMap<String, String>> {
        let xml = self.query("cloudformation", "DescribeStacks", &[("StackName", stack)])?;
        let outputs =
            wire::xml_elements(&xml, "Outputs").into_iter().flat_map(|list| wire::xml_elements(list, "member"));
        Ok(outputs
            .filter_map(|output| Some((wire::xml_text(output, "OutputKey")?, wire::xml_text(output, "OutputValue")?)))
            .collect())
    }

    /// Invokes a function and waits for its response.
    pub fn invoke(&self, function: &str, event: &Value) -> Result<Value> {
        let target = format!("/2015-03-31/functions/{}/invocations", wire::percent_encode(function));
        let request =
            HttpRequest::new("POST", &target).header("content-type", "application/json").body(event.to_string());
        let response = self.send("lambda", request)?;
        if let Some(kind) = response.get("x-amz-function-error") {
            bail!("`{function}` failed ({kind}): {}", response.text());
        }
        json_answer(&format!("Invoke {function}"), &response)
    }

    /// Creates a bucket that keeps the versions of its objects and sends their events to EventBridge.
    pub fn create_versioned_bucket(&self, bucket: &str) -> Result<()> {
        let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        let events = "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
        for (query, body) in [("", ""), ("?versioning", versioning), ("?notification", events)] {
            let response = self.send("s3", HttpRequest::new("PUT", &format!("/{bucket}{query}")).body(body))?;
            ensure!(response.is_success(), "PUT {bucket}{query}: {}: {}", response.status, response.text());
        }
        Ok(())
    }

    /// Writes an object with metadata, and returns its version id.
    pub fn put_object(&self, bucket: &str, key: &str, body: Vec<u8>, metadata: &[(&str, &str)]) -> Result<String> {
        let request = HttpRequest::new("PUT", &format!("/{bucket}/{key}")).body(body);
        let named = |(name, value): &(&str, &str)| (format!("x-amz-meta-{name}"), (*value).to_owned());
        let request = metadata.iter().map(named).fold(request, |request, (name, value)| request.header(&name, &value));
        let response = self.send("s3", request)?;
        ensure!(response.is_success(), "PutObject {bucket}/{key}: {}: {}", response.status, response.text());
        let version = response.get("x-amz-version-id").map(ToOwned::to_owned);
        version.with_context(|| format!("PutObject {bucket}/{key}: the bucket has no versions"))
    }

    /// Returns the content of an S3 object.
    pub fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>> {
        let response = self.send("s3", HttpRequest::new("GET", &format!("/{bucket}/{key}")))?;
        if !response.is_success() {
            bail!("GetObject {bucket}/{key}: {}: {}", response.status, response.text());
        }
        Ok(response.body)
    }
}

fn json_answer(what: &str, response: &HttpResponse) -> Result<Value> {
    if !response.is_success() {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let code = response.get("x-amzn-errortype").or(body["__type"].as_str()).unwrap_or("error").to_owned();
        let message =
            body["message"].as_str().or(body["Message"].as_str()).map_or_else(|| response.text(), str::to_owned);
        bail!("{what}: {} {code}: {message}", response.status);
    }
    if response.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&response.body).with_context(|| format!("{what}: the response is not valid JSON"))
}
