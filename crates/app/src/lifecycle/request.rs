//! Requests of CloudFormation for the custom resource, and their answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use domain::rollout::digest_of;

/// Longest reason in bytes. CloudFormation accepts answers of 4,096 bytes, and the other fields need less than the difference.
const REASON_LIMIT: usize = 2_000;

/// The pre-signed URL for an answer. It is a credential for answering and never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResponseUrl(String);

impl ResponseUrl {
    /// Returns the URL; for the responder only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ResponseUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl std::fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseUrl(hidden)")
    }
}

/// The fields of a request that its answer repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestEnvelope {
    /// The URL for the answer.
    pub response_url: ResponseUrl,
    /// `StackId`.
    pub stack_id: String,
    /// `RequestId`.
    pub request_id: String,
    /// `LogicalResourceId`.
    pub logical_resource_id: String,
    /// The existing or new id of the resource.
    pub physical_resource_id: String,
}

impl RequestEnvelope {
    /// Reads the fields for an answer. Any problem but an invalid `ResponseURL` can then be answered.
    pub fn read(event: &Value) -> Result<Self, String> {
        let text = |key: &str| event.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let url = text("ResponseURL").ok_or("the event has no `ResponseURL`: it is not a request of CloudFormation")?;
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err("the `ResponseURL` is not an HTTP URL".into());
        }
        let stack_id = text("StackId").unwrap_or_default();
        let logical = text("LogicalResourceId").unwrap_or_default();
        // Derived, not random: CloudFormation would take a different id for a replacement and delete the old resource.
        let derived = || format!("backup-compliance-{:.12}", digest_of(&json!([stack_id, logical])).0);
        Ok(Self {
            response_url: ResponseUrl::from(url),
            stack_id: stack_id.to_owned(),
            request_id: text("RequestId").unwrap_or_default().to_owned(),
            logical_resource_id: logical.to_owned(),
            physical_resource_id: text("PhysicalResourceId").map_or_else(derived, ToOwned::to_owned),
        })
    }
}

/// The `RequestType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestKind {
    /// The application is created: roll out.
    Create,
    /// The application is updated: roll out again.
    Update,
    /// The application is deleted: remove all StackSets, then answer.
    Delete,
}

/// A request of CloudFormation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudFormationRequest {
    /// Its type.
    pub kind: RequestKind,
    /// The fields for the answer.
    pub envelope: RequestEnvelope,
}

/// A stored request that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingRequest {
    /// The request.
    pub request: CloudFormationRequest,
    /// When it was stored.
    pub since: Timestamp,
    /// Its answer, once it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<RequestAnswer>,
}

impl CloudFormationRequest {
    /// Reads the rest of a request. The error is the reason for the answer.
    pub fn read(event: &Value, envelope: RequestEnvelope) -> Result<Self, String> {
        let kind = match event.get("RequestType").and_then(Value::as_str) {
            Some("Create") => RequestKind::Create,
            Some("Update") => RequestKind::Update,
            Some("Delete") => RequestKind::Delete,
            Some(other) => return Err(format!("unknown RequestType `{other}`: Create, Update or Delete is expected")),
            None => return Err("the request has no RequestType".into()),
        };
        if envelope.request_id.is_empty() {
            return Err("the request has no RequestId".into());
        }
        // A Delete has to succeed with any properties.
        if kind != RequestKind::Delete && !event.get("ResourceProperties").is_some_and(Value::is_object) {
            return Err("the request has no ResourceProperties".into());
        }
        Ok(Self { kind, envelope })
    }
}

/// The answer to a request: SUCCESS or FAILED.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestAnswer {
    /// The repeated fields of the request.
    pub envelope: RequestEnvelope,
    failure: Option<String>,
}

impl RequestAnswer {
    /// A SUCCESS.
    pub fn success(envelope: &RequestEnvelope) -> Self {
        Self { envelope: envelope.clone(), failure: None }
    }

    /// A FAILED with a reason, which is cut to 2,000 bytes.
    pub fn failure(envelope: &RequestEnvelope, reason: &str) -> Self {
        let reason = if reason.trim().is_empty() { "the reason is unknown" } else { reason };
        let (kept, rest) = reason.split_at(reason.floor_char_boundary(REASON_LIMIT));
        let mark = if rest.is_empty() { "" } else { "..." };
        Self { envelope: envelope.clone(), failure: Some(format!("{kept}{mark}")) }
    }

    /// The `RequestId`.
    pub fn request_id(&self) -> &str {
        &self.envelope.request_id
    }

    /// The reason of a FAILED.
    pub fn reason(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The JSON body; `Reason` only with FAILED.
    pub fn body(&self) -> Value {
        let mut body = json!({
            "Status": if self.failure.is_none() { "SUCCESS" } else { "FAILED" },
            "PhysicalResourceId": self.envelope.physical_resource_id,
            "StackId": self.envelope.stack_id,
            "RequestId": self.envelope.request_id,
            "LogicalResourceId": self.envelope.logical_resource_id,
        });
        if let (Some(reason), Some(body)) = (&self.failure, body.as_object_mut()) {
            body.insert("Reason".to_owned(), json!(reason));
        }
        body
    }
}
