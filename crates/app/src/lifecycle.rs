//! `lifecycle`: the CloudFormation custom resource that starts the first rollout and removes everything at the end.
//!
//! Protocol: CloudFormation user guide, "Custom resource request and response reference". A request is stored with its pre-signed
//! URL, then `deploy` is triggered, does the work and answers. A request that cannot be handed over is answered here.
//!
//! CloudFormation accepts the first answer, so both functions have to send the same. An answer is therefore settled in the table
//! before it is sent: the first writer decides. A settled answer that is not recorded as sent is sent again.

pub mod ports;
mod request;

pub use request::{CloudFormationRequest, RequestAnswer, RequestEnvelope, RequestKind, ResponseUrl, WaitingRequest};

use serde_json::Value;

use crate::ports::{Clock, PortError};
use ports::{DeployQueue, LifecycleEnv, RequestStore};

/// Hands requests of CloudFormation over to `deploy`.
#[derive(Debug)]
pub struct StackLifecycle<E: LifecycleEnv> {
    /// Stores requests.
    pub requests: E::Requests,
    /// Triggers `deploy`.
    pub queue: E::Queue,
    /// The time.
    pub clock: E::Clock,
}

impl<E: LifecycleEnv> StackLifecycle<E> {
    /// Stores a request and triggers `deploy`, which answers it. The error is the reason for a FAILED.
    pub async fn receive(&self, event: &Value, envelope: RequestEnvelope) -> Result<CloudFormationRequest, String> {
        let request = CloudFormationRequest::read(event, envelope)?;
        let advice = |error: PortError| error.with_fix();
        self.requests.store(&request, self.clock.now()).await.map_err(advice)?;
        self.queue.request_reconciliation(&request.envelope.request_id).await.map_err(advice)?;
        Ok(request)
    }
}
