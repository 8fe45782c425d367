//! The ports of `lifecycle`.

use std::future::Future;

use jiff::Timestamp;

use super::request::{CloudFormationRequest, RequestAnswer, ResponseUrl, WaitingRequest};
use crate::ports::{Clock, Result};

/// The adapters that [`Lifecycle`](super::Lifecycle) works with. It may run in a spawned task, hence the bounds.
pub trait LifecycleEnv: 'static {
    /// Stores requests.
    type Requests: RequestStore + Send + Sync;
    /// Triggers `deploy`.
    type Queue: DeployQueue + Send + Sync;
    /// The time.
    type Clock: Clock + Send + Sync;
}

/// Stores CloudFormation requests until they are answered.
pub trait RequestStore {
    /// Stores a request. Idempotent, even if it was answered in between.
    fn store(&self, request: &CloudFormationRequest, at: Timestamp) -> impl Future<Output = Result<()>> + Send;
    /// Settles the answer of a request, stored or not. Returns the answer of the first writer; `None` if the request was answered
    /// before.
    fn settle(
        &self,
        request: &CloudFormationRequest,
        answer: &RequestAnswer,
        at: Timestamp,
    ) -> impl Future<Output = Result<Option<RequestAnswer>>> + Send;
    /// Reads the waiting requests, oldest first, with their settled answers.
    fn waiting(&self) -> impl Future<Output = Result<Vec<WaitingRequest>>> + Send;
    /// Records that a request was answered, so that a late second delivery is not answered again.
    fn record_answered(&self, request_id: &str, at: Timestamp) -> impl Future<Output = Result<()>> + Send;
}

/// Answers CloudFormation through the pre-signed URL of a request.
pub trait Responder {
    /// Sends the answer, with retries.
    ///
    /// # Errors
    /// CloudFormation did not accept it.
    fn answer(&self, url: &ResponseUrl, answer: &RequestAnswer) -> impl Future<Output = Result<()>> + Send;
}

/// Triggers `deploy`.
pub trait DeployQueue {
    /// Requests a reconciliation for a CloudFormation request.
    fn request_reconciliation(&self, request_id: &str) -> impl Future<Output = Result<()>> + Send;
}
