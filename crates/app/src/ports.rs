//! The ports that several use cases share, and the error of all ports. Each use case has its other ports in a `ports` module.

use jiff::Timestamp;

use domain::notice::{BlindSpotCause, BlindSpotReason};

/// A failed call of a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} failed: {}{message}{}", code.as_deref().map(|code| format!("{code}: ")).unwrap_or_default(), request(request_id.as_deref()))]
pub struct PortError {
    /// Service and operation, such as `cloudformation:CreateStackSet`.
    pub operation: &'static str,
    /// The service's error code.
    pub code: Option<String>,
    /// The service's message.
    pub message: String,
    /// The request id, for AWS Support.
    pub request_id: Option<String>,
    /// How to react.
    pub kind: PortErrorKind,
}

fn request(id: Option<&str>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

/// How to react to a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortErrorKind {
    /// Throttled, timed out or a server error: the same call may succeed later.
    Retryable,
    /// The caller lacks a permission.
    Denied,
    /// The resource does not exist.
    NotFound,
    /// Another writer is active, or was just before: read again.
    Conflict,
    /// The service rejects the request; a retry would fail, too.
    Rejected,
    /// The invocation has no time left for the call; a later run makes it.
    OutOfTime,
}

impl PortError {
    /// The fix, where one is known.
    pub fn fix(&self) -> Option<String> {
        let action = self.operation;
        match self.kind {
            PortErrorKind::Denied if action.starts_with("organizations:") => Some(
                "set the application's parameter `OrganizationalUnits` to `enabled`, and run it in the management account or a delegated administrator's account: other accounts may not call AWS Organizations"
                    .to_owned(),
            ),
            PortErrorKind::Denied => Some(format!(
                "the role of this function, or a policy above it, does not allow `{action}`: compare it with the role in template.yaml"
            )),
            PortErrorKind::Rejected if self.message.contains("AdministrationRole") => {
                Some("the StackSets administration role is missing or cannot be assumed: deploy framework/prerequisites/administration-role.yaml in this account".to_owned())
            }
            PortErrorKind::Rejected if self.message.contains("ExecutionRole") => {
                Some("the StackSets execution role is missing in a target account: deploy framework/prerequisites/execution-role.yaml there".to_owned())
            }
            _ => None,
        }
    }

    /// The reason of the blind spot that this error causes.
    pub fn blind_spot_reason(&self) -> BlindSpotReason {
        let code = self.code.as_deref().unwrap_or_default();
        let cause = match self.kind {
            // Only Regions that are not enabled reject the credentials of the role.
            _ if ["InvalidClientTokenId", "UnrecognizedClientException", "OptInRequired"].contains(&code) => {
                BlindSpotCause::RegionNotEnabled
            }
            PortErrorKind::Denied if self.operation == "sts:AssumeRole" => BlindSpotCause::RoleNotAssumable,
            PortErrorKind::Denied => BlindSpotCause::AccessDenied,
            PortErrorKind::NotFound if code.contains("ConfigurationAggregator") => BlindSpotCause::NoSource,
            PortErrorKind::Retryable | PortErrorKind::OutOfTime => BlindSpotCause::Throttled,
            PortErrorKind::NotFound | PortErrorKind::Conflict | PortErrorKind::Rejected => BlindSpotCause::CallFailed,
        };
        // Without the message, which differs between accounts.
        let code = self.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        BlindSpotReason { cause, detail: Some(format!("{} failed{code}", self.operation)) }
    }

    /// The error with its fix, if one is known.
    pub fn with_fix(&self) -> String {
        self.fix().map_or_else(|| self.to_string(), |advice| format!("{self}; {advice}"))
    }
}

/// The result of a call of a port.
pub type Result<T, E = PortError> = std::result::Result<T, E>;

/// A call of a port, as an `async fn` of an adapter returns it. Tasks may be moved between threads, hence `Send`.
pub trait Call<T>: Future<Output = Result<T>> + Send {}

impl<T, F: Future<Output = Result<T>> + Send> Call<T> for F {}

/// The current time.
pub trait Clock {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// A document and the version that it was read at, for optimistic locking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The document.
    pub value: T,
    /// Its version; 0 for one that was never stored.
    pub version: u64,
}
