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
use ports::{DeployQueue, LifecycleEnv, RequestStore, Responder};

/// Hands requests of CloudFormation over to `deploy`.
#[derive(Debug)]
pub struct Lifecycle<E: LifecycleEnv> {
    /// Stores requests.
    pub requests: E::Requests,
    /// Triggers `deploy`.
    pub queue: E::Queue,
    /// The time.
    pub clock: E::Clock,
}

/// The function that answers CloudFormation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handover {
    /// `deploy`: the request is stored and `deploy` is triggered.
    HandedOver(CloudFormationRequest),
    /// `lifecycle`: this answer has to be settled and sent.
    Answer(RequestAnswer),
}

impl<E: LifecycleEnv> Lifecycle<E> {
    /// Hands a request over, or returns the answer of its failure.
    pub async fn receive(&self, event: &Value, envelope: RequestEnvelope) -> Handover {
        let request = match CloudFormationRequest::read(event, envelope.clone()) {
            Ok(request) => request,
            Err(reason) => return Handover::Answer(RequestAnswer::failure(&envelope, &reason)),
        };
        match self.hand_over(&request).await {
            Ok(()) => Handover::HandedOver(request),
            Err(error) => Handover::Answer(RequestAnswer::failure(&envelope, &error.with_fix())),
        }
    }

    async fn hand_over(&self, request: &CloudFormationRequest) -> Result<(), PortError> {
        self.requests.store(request, self.clock.now()).await?;
        self.queue.request_reconciliation(&request.envelope.request_id).await
    }

    /// Settles the answer of a request that could not be handed over; `None` if it was answered before.
    ///
    /// # Errors
    /// The answer could not be stored.
    pub async fn settle(
        &self,
        request: &CloudFormationRequest,
        answer: &RequestAnswer,
    ) -> Result<Option<RequestAnswer>, PortError> {
        self.requests.settle(request, answer, self.clock.now()).await
    }

    /// Records that the answer was sent.
    ///
    /// # Errors
    /// The record could not be stored: `deploy` sends the same answer again.
    pub async fn record_answered(&self, request_id: &str) -> Result<(), PortError> {
        self.requests.record_answered(request_id, self.clock.now()).await
    }
}

/// Sends an answer.
///
/// # Errors
/// CloudFormation did not accept it.
pub async fn send_answer(responder: &impl Responder, answer: &RequestAnswer) -> Result<(), PortError> {
    responder.answer(&answer.envelope.response_url, answer).await
}
