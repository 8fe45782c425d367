//! Errors of AWS calls as [`PortError`]. The SDK's own `Display` prints only "service error".

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use app::ports::{PortError, PortErrorKind, Result};

/// Codes of errors that may pass: throttling, internal errors, expired credentials. All codes in these lists are
/// without the suffix `Exception`, which some AWS protocols omit.
const RETRYABLE: &[&str] = &[
    "Throttling",
    "Throttled",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequests",
    "ProvisionedThroughputExceeded",
    "LimitExceededException.Throttled",
    "SlowDown",
    "ServiceUnavailable",
    "InternalFailure",
    "InternalServerError",
    "InternalError",
    "TransactionInProgress",
    "EncryptionIntegrityChecksFailed",
    "EncryptionKeyUnavailable",
    "KMSThrottling",
    "ExpiredToken",
];
const DENIED: &[&str] = &[
    "AccessDenied",
    "AuthorizationError",
    "UnauthorizedOperation",
    "EncryptionKeyAccessDenied",
    "KMSAccessDenied",
    "InvalidClientTokenId",
    "UnrecognizedClient",
];
/// Concurrent changes. `StackSetNotEmpty`: instances are still being deleted, or another caller has just created one.
const CONFLICT: &[&str] = &["OperationInProgress", "StaleRequest", "StackSetNotEmpty", "ConditionalCheckFailed"];

pub(crate) fn wrap<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| {
        let metadata = error.as_service_error().map(ProvideErrorMetadata::meta);
        let response = error.raw_response();
        let header = |name| response.and_then(|response| response.headers().get(name));
        let request_id = metadata.and_then(|metadata| metadata.extra("aws_request_id"));
        let request_id = request_id.or_else(|| header("x-amzn-requestid")).or_else(|| header("x-amz-request-id"));
        let code = metadata.and_then(|metadata| metadata.code());
        let message = metadata.and_then(|metadata| metadata.message());
        PortError {
            operation,
            kind: kind(code, response.map(|response| response.status().as_u16())),
            code: code.map(ToOwned::to_owned),
            message: message.map_or_else(|| DisplayErrorContext(&error).to_string(), ToOwned::to_owned),
            request_id: request_id.map(ToOwned::to_owned),
        }
    }
}

/// Replaces an error that is a regular answer by `None`.
pub(crate) fn optional<T>(outcome: Result<T>, is_answer: impl FnOnce(&PortError) -> bool) -> Result<Option<T>> {
    match outcome {
        Err(error) if is_answer(&error) => Ok(None),
        outcome => outcome.map(Some),
    }
}

pub(crate) fn has_code(error: &PortError, codes: &[&str]) -> bool {
    error.code.as_deref().is_some_and(|code| codes.contains(&code))
}

/// The error of one entry of a batch request that succeeded as a whole.
pub(crate) fn failed_entry(operation: &'static str, code: &str, message: Option<&str>) -> PortError {
    let kind = match kind(Some(code), Some(400)) {
        // `InternalError`, `InternalException` and similar codes.
        PortErrorKind::Rejected if code.starts_with("Internal") => PortErrorKind::Retryable,
        kind => kind,
    };
    let message = message.unwrap_or("the service returned no reason").to_owned();
    PortError { code: Some(code.to_owned()), ..failure(operation, kind, message) }
}

/// Derives the kind of a request without an SDK client from its code: AWS's JSON services return nearly all errors with status 400.
pub(crate) fn with_kind_of_code(error: PortError) -> PortError {
    match error.kind {
        PortErrorKind::Rejected => PortError { kind: kind(error.code.as_deref(), Some(400)), ..error },
        _ => error,
    }
}

pub(crate) fn kind(code: Option<&str>, status: Option<u16>) -> PortErrorKind {
    let is_in = |codes: &[&str], code: &str| codes.contains(&code.strip_suffix("Exception").unwrap_or(code));
    match code {
        Some(code) if is_in(RETRYABLE, code) => PortErrorKind::Retryable,
        Some(code) if is_in(DENIED, code) => PortErrorKind::Denied,
        Some(code) if is_in(CONFLICT, code) => PortErrorKind::Conflict,
        // Each service has its own code for a missing resource.
        Some(code) if ["NotFound", "DoesNotExist", "NonExistent", "NoSuch"].iter().any(|word| code.contains(word)) => {
            PortErrorKind::NotFound
        }
        // No status: a timeout or a connection error.
        _ => match status {
            None | Some(429 | 500..=599) => PortErrorKind::Retryable,
            Some(401 | 403) => PortErrorKind::Denied,
            Some(404) => PortErrorKind::NotFound,
            Some(_) => PortErrorKind::Rejected,
        },
    }
}

/// Converts an error of a parser into one of a response or request that breaks the service's API.
pub(crate) fn invalid<E: ToString>(operation: &'static str) -> impl Fn(E) -> PortError {
    move |error| unexpected(operation, error.to_string())
}

/// The error of a response or request that breaks the service's API.
pub(crate) fn unexpected(operation: &'static str, message: impl Into<String>) -> PortError {
    failure(operation, PortErrorKind::Rejected, message)
}

/// An error that no service returned, without a code.
pub(crate) fn failure(operation: &'static str, kind: PortErrorKind, message: impl Into<String>) -> PortError {
    PortError { operation, code: None, message: message.into(), request_id: None, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_or_status_determines_error_kind() {
        let cases = [
            (Some("ThrottlingException"), Some(400), PortErrorKind::Retryable),
            (Some("AccessDenied"), Some(403), PortErrorKind::Denied),
            (Some("OperationInProgressException"), Some(409), PortErrorKind::Conflict),
            (Some("ConditionalCheckFailedException"), Some(400), PortErrorKind::Conflict),
            (Some("StackSetNotEmptyException"), Some(409), PortErrorKind::Conflict),
            (Some("StackSetNotFoundException"), Some(404), PortErrorKind::NotFound),
            (Some("BranchDoesNotExistException"), Some(400), PortErrorKind::NotFound),
            (Some("AWS.SimpleQueueService.NonExistentQueue"), Some(400), PortErrorKind::NotFound),
            (Some("NoSuchConfigurationAggregatorException"), Some(400), PortErrorKind::NotFound),
            (Some("ValidationError"), Some(400), PortErrorKind::Rejected),
            (Some("ANewWord"), Some(503), PortErrorKind::Retryable),
            (None, None, PortErrorKind::Retryable),
            (None, Some(403), PortErrorKind::Denied),
        ];
        for (code, status, expected) in cases {
            assert_eq!(kind(code, status), expected, "{code:?} {status:?}");
        }
    }
}
