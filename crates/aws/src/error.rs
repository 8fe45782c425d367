//! Errors of the SDK, wrapped once: operation, code, message, request id, and what to make of them. The SDK's own `Display`
//! says no more than "service error".

use app::ports::{PortError, PortErrorKind};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Codes that say "not now".
const RETRYABLE: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "LimitExceededException.Throttled",
    "SlowDown",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalFailure",
    "InternalServerError",
    "InternalError",
    "InternalErrorException",
    "TransactionInProgressException",
    "EncryptionIntegrityChecksFailedException",
    "EncryptionKeyUnavailableException",
    "KMSThrottlingException",
    "ExpiredToken",
    "ExpiredTokenException",
];

/// Codes that say "you may not".
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
    "EncryptionKeyAccessDeniedException",
    "KMSAccessDeniedException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
];

/// Codes that say "somebody else is at it".
const CONFLICT: &[&str] = &[
    "OperationInProgressException",
    "OperationInProgress",
    "StaleRequestException",
    "StaleRequest",
    // Instances are still on their way out, or somebody has just made one.
    "StackSetNotEmptyException",
    "StackSetNotEmpty",
    "ConditionalCheckFailedException",
];

/// Wraps an error of the SDK.
pub(crate) fn wrap<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let metadata = error.as_service_error().map(ProvideErrorMetadata::meta);
    let code = metadata.and_then(|metadata| metadata.code()).map(ToOwned::to_owned);
    let request_id = metadata
        .and_then(|metadata| metadata.extra("aws_request_id"))
        .or_else(|| {
            error.raw_response().and_then(|response| {
                response.headers().get("x-amzn-requestid").or_else(|| response.headers().get("x-amz-request-id"))
            })
        })
        .map(ToOwned::to_owned);
    let status = error.raw_response().map(|response| response.status().as_u16());
    let message = metadata
        .and_then(|metadata| metadata.message())
        .map_or_else(|| DisplayErrorContext(error).to_string(), ToOwned::to_owned);
    PortError { operation, kind: kind(code.as_deref(), status), code, message, request_id }
}

/// An error of a part of a request: the call as a whole succeeded.
pub(crate) fn partial(operation: &'static str, code: &str, message: Option<&str>) -> PortError {
    let kind = match kind(Some(code), Some(400)) {
        // `InternalError` and its like, in whatever words.
        PortErrorKind::Refused if code.starts_with("Internal") => PortErrorKind::Retryable,
        kind => kind,
    };
    let message = message.unwrap_or("the service gives no reason").to_owned();
    PortError { operation, code: Some(code.to_owned()), message, request_id: None, kind }
}

/// The error of a request without an SDK client, sorted by its code: of AWS's JSON services nearly all errors have the status 400.
pub(crate) fn sorted(error: PortError) -> PortError {
    match error.kind {
        PortErrorKind::Refused => PortError { kind: kind(error.code.as_deref(), Some(400)), ..error },
        _ => error,
    }
}

fn kind(code: Option<&str>, status: Option<u16>) -> PortErrorKind {
    match code {
        Some(code) if RETRYABLE.contains(&code) => PortErrorKind::Retryable,
        Some(code) if DENIED.contains(&code) => PortErrorKind::Denied,
        Some(code) if CONFLICT.contains(&code) => PortErrorKind::Conflict,
        // One thing, and each service has its own word for it.
        Some(code) if ["NotFound", "DoesNotExist", "NonExistent", "NoSuch"].iter().any(|word| code.contains(word)) => {
            PortErrorKind::NotFound
        }
        // No answer at all (time-out, connection), or one that says that the service is unwell.
        _ => match status {
            None | Some(429 | 500..=599) => PortErrorKind::Retryable,
            Some(401 | 403) => PortErrorKind::Denied,
            Some(404) => PortErrorKind::NotFound,
            Some(_) => PortErrorKind::Refused,
        },
    }
}

/// An error of ours about what a service answered.
pub(crate) fn unexpected(operation: &'static str, message: impl Into<String>) -> PortError {
    PortError { operation, code: None, message: message.into(), request_id: None, kind: PortErrorKind::Refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_to_make_of_them() {
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
            (Some("ValidationError"), Some(400), PortErrorKind::Refused),
            (Some("ANewWord"), Some(503), PortErrorKind::Retryable),
            (None, None, PortErrorKind::Retryable),
            (None, Some(403), PortErrorKind::Denied),
        ];
        for (code, status, expected) in cases {
            assert_eq!(kind(code, status), expected, "{code:?} {status:?}");
        }
    }
}
