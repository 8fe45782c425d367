//! `lifecycle`: the CloudFormation custom resource that starts the first rollout and cleans up at the end.
//!
//! Protocol: CloudFormation user guide, "Custom resource request and response reference". The request is kept with its
//! pre-signed URL and `deploy` is woken, which does the work and answers; what goes wrong before that is answered here.
//!
//! CloudFormation takes the first answer that it gets, so both must give the same one. Hence an answer is settled in the table
//! before it is put: whoever comes first decides, and whoever finds a settled answer that was not noted as put, puts it again.

use crate::ports::{Clock, DeployQueue, PortError, RequestStore, Responder};
use domain::rollout::digest_of;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// CloudFormation takes answers of up to 4,096 bytes; the rest of an answer is well below the difference.
const REASON_LIMIT: usize = 2_000;

/// The pre-signed URL that an answer goes to. Who has it can answer in our place, so it is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResponseUrl(String);

impl ResponseUrl {
    /// For the responder, and nobody else.
    #[must_use]
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

/// What an answer needs of a request: all of it text that is copied back as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Where the answer goes.
    pub response_url: ResponseUrl,
    /// `StackId`.
    pub stack_id: String,
    /// `RequestId`.
    pub request_id: String,
    /// `LogicalResourceId`.
    pub logical_resource_id: String,
    /// The id that the resource has, or gets.
    pub physical_resource_id: String,
}

impl Envelope {
    /// Reads as much as an answer needs. Whatever else is wrong with a request can then be answered.
    ///
    /// # Errors
    /// When there is no usable `ResponseURL`: nobody can be answered.
    pub fn read(event: &Value) -> Result<Self, String> {
        let text = |key: &str| event.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let url = text("ResponseURL").ok_or("the event has no `ResponseURL`: not a request of CloudFormation")?;
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err("the `ResponseURL` is no http address".into());
        }
        let stack_id = text("StackId").unwrap_or_default();
        let logical = text("LogicalResourceId").unwrap_or_default();
        // Never a fresh id: another id than before means a replacement, and CloudFormation would delete the old resource.
        let physical = text("PhysicalResourceId").map_or_else(
            || {
                let digest = digest_of(&json!([stack_id, logical])).0;
                format!("backup-compliance-{}", digest.chars().take(12).collect::<String>())
            },
            ToOwned::to_owned,
        );
        Ok(Self {
            response_url: ResponseUrl::from(url),
            stack_id: stack_id.to_owned(),
            request_id: text("RequestId").unwrap_or_default().to_owned(),
            logical_resource_id: logical.to_owned(),
            physical_resource_id: physical,
        })
    }
}

/// What CloudFormation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestKind {
    /// The application was created: roll out.
    Create,
    /// It was changed: roll out again.
    Update,
    /// It is being deleted: remove everything, then answer.
    Delete,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What it asks for.
    pub kind: RequestKind,
    /// What the answer needs.
    pub envelope: Envelope,
}

/// A request and since when it waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The request.
    pub request: Request,
    /// Since when.
    pub since: Timestamp,
    /// What it is answered with, once that is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

impl Request {
    /// Reads the rest of a request.
    ///
    /// # Errors
    /// Says what is wrong, for the answer.
    pub fn read(event: &Value, envelope: Envelope) -> Result<Self, String> {
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
        // A Delete must work whatever the properties were; the others are told of a template that lost them.
        if kind != RequestKind::Delete && !event.get("ResourceProperties").is_some_and(Value::is_object) {
            return Err("the request has no ResourceProperties".into());
        }
        Ok(Self { kind, envelope })
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    envelope: Envelope,
    failure: Option<String>,
}

impl Answer {
    /// All went well.
    #[must_use]
    pub fn success(envelope: &Envelope) -> Self {
        Self { envelope: envelope.clone(), failure: None }
    }

    /// It did not, and why. A long reason is cut.
    #[must_use]
    pub fn failure(envelope: &Envelope, reason: &str) -> Self {
        let reason = if reason.trim().is_empty() { "no reason is known" } else { reason };
        let mut kept = String::new();
        for c in reason.chars() {
            if kept.len().saturating_add(c.len_utf8()) > REASON_LIMIT {
                kept.push_str("...");
                break;
            }
            kept.push(c);
        }
        Self { envelope: envelope.clone(), failure: Some(kept) }
    }

    /// The `RequestId` that it is about.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.envelope.request_id
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The body: `Reason` only with FAILED, nothing optional that is empty.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({
            "Status": if self.failure.is_none() { "SUCCESS" } else { "FAILED" },
            "PhysicalResourceId": self.envelope.physical_resource_id,
            "StackId": self.envelope.stack_id,
            "RequestId": self.envelope.request_id,
            "LogicalResourceId": self.envelope.logical_resource_id,
        });
        if let (Some(reason), Some(fields)) = (&self.failure, body.as_object_mut()) {
            fields.insert("Reason".into(), json!(reason));
        }
        body
    }
}

/// The use case.
#[derive(Debug)]
pub struct Lifecycle<S, Q, C> {
    /// Keeps requests.
    pub requests: S,
    /// Wakes `deploy`.
    pub queue: Q,
    /// The time.
    pub clock: C,
}

/// Who answers CloudFormation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// `deploy` will: the request is kept and `deploy` is woken.
    Handed(Request),
    /// This answer is to be settled, and put now.
    Answer(Answer),
}

impl<S: RequestStore, Q: DeployQueue, C: Clock> Lifecycle<S, Q, C> {
    /// Takes a request on.
    pub async fn take(&self, event: &Value, envelope: Envelope) -> Handled {
        let request = match Request::read(event, envelope.clone()) {
            Ok(request) => request,
            Err(reason) => return Handled::Answer(Answer::failure(&envelope, &reason)),
        };
        match self.hand_over(&request).await {
            Ok(()) => Handled::Handed(request),
            Err(error) => Handled::Answer(Answer::failure(&envelope, &error.explained())),
        }
    }

    async fn hand_over(&self, request: &Request) -> Result<(), PortError> {
        self.requests.keep(request, self.clock.now()).await?;
        self.queue.look(&request.envelope.request_id).await
    }

    /// Settles the answer of a request that could not be handed over; `None` when it was answered before.
    ///
    /// # Errors
    /// When that could not be stored.
    pub async fn settle(&self, request: &Request, answer: &Answer) -> Result<Option<Answer>, PortError> {
        self.requests.settle(request, answer, self.clock.now()).await
    }

    /// Notes that CloudFormation has an answer.
    ///
    /// # Errors
    /// When that could not be stored: then `deploy` gives the same answer once more.
    pub async fn answered(&self, request_id: &str) -> Result<(), PortError> {
        self.requests.answered(request_id, self.clock.now()).await
    }
}

/// Puts an answer.
///
/// # Errors
/// When CloudFormation did not take it.
pub async fn put(responder: &impl Responder, answer: &Answer) -> Result<(), PortError> {
    responder.answer(&answer.envelope.response_url, answer).await
}
