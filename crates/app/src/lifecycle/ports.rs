//! The ports of `lifecycle`.

use jiff::Timestamp;

use super::request::{CloudFormationRequest, RequestAnswer, WaitingRequest};
use crate::ports::{Call, Clock};

/// The adapters that [`StackLifecycle`](super::StackLifecycle) works with. It may run in a spawned task, hence the bounds.
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
    fn store(&self, request: &CloudFormationRequest, at: Timestamp) -> impl Call<()>;
    /// Settles the answer of a request, stored or not. Returns the answer of the first writer; `None` if it was sent before.
    fn settle(
        &self,
        request: &CloudFormationRequest,
        answer: &RequestAnswer,
        at: Timestamp,
    ) -> impl Call<Option<RequestAnswer>>;
    /// Reads the waiting requests, oldest first, with their settled answers.
    fn waiting(&self) -> impl Call<Vec<WaitingRequest>>;
    /// Records that a request was answered, so that a late second delivery is not answered again.
    fn record_answered(&self, request_id: &str, at: Timestamp) -> impl Call<()>;
}

/// Answers CloudFormation through the pre-signed URL of a request.
pub trait Responder {
    /// Sends the answer, with retries.
    fn answer(&self, answer: &RequestAnswer) -> impl Call<()>;
}

/// Triggers `deploy`.
pub trait DeployQueue {
    /// Requests a reconciliation for a CloudFormation request.
    fn request_reconciliation(&self, request_id: &str) -> impl Call<()>;
}
