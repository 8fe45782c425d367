//! Errors of StackSets as the Query protocol returns them.

use crate::http::HttpResponse;
use crate::ids::AccountRegion;
use crate::wire;

/// An error is the response to the caller.
pub(super) type ServiceResult<T> = Result<T, HttpResponse>;

pub(super) fn invalid(message: &str) -> HttpResponse {
    wire::query_error(400, "ValidationError", message)
}

pub(super) fn in_progress(name: &str) -> HttpResponse {
    let message = format!("Another Operation on StackSet {name} is in progress");
    wire::query_error(409, "OperationInProgressException", &message)
}

pub(super) fn instance_not_found(name: &str, (account, region): &AccountRegion) -> HttpResponse {
    let message = format!("Stack Instance not found for StackSet {name}, account {account}, region {region}");
    wire::query_error(404, "StackInstanceNotFoundException", &message)
}
