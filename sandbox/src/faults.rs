//! Errors on demand: the next calls of an operation are refused as AWS would refuse them.

use std::sync::Mutex;

use crate::http::Response;
use crate::wire;

/// What is answered in place of the service.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The service as it signs requests.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// The HTTP status.
    pub status: u16,
    /// The error code, for instance `Throttling`.
    pub code: String,
    /// The error message.
    pub message: String,
    /// How many calls are still to be refused.
    pub times: u32,
}

/// The faults that are waiting.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Mutex<Vec<Fault>>,
}

impl Faults {
    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.push(fault);
        }
    }

    /// Forgets every fault that has not struck yet.
    pub fn clear(&self) {
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.clear();
        }
    }

    pub(crate) fn strike(&self, service: &str, operation: &str, protocol: Protocol) -> Option<Response> {
        let mut waiting = self.waiting.lock().ok()?;
        let at = waiting.iter().position(|fault| fault.service == service && fault.operation == operation)?;
        let fault = waiting.get_mut(at)?;
        fault.times = fault.times.saturating_sub(1);
        let response = match protocol {
            Protocol::Query => wire::query_error(fault.status, &fault.code, &fault.message),
            Protocol::Json => wire::json_error(fault.status, &fault.code, &fault.message),
            Protocol::RestXml => Response::new(
                fault.status,
                "application/xml",
                format!(
                    "<Error><Code>{}</Code><Message>{}</Message></Error>",
                    wire::xml_escape(&fault.code),
                    wire::xml_escape(&fault.message)
                ),
            ),
        };
        if fault.times == 0 {
            waiting.remove(at);
        }
        Some(response)
    }
}

/// How a service writes its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// XML with an `ErrorResponse` around.
    Query,
    /// JSON with the code in `x-amzn-errortype`; JSON 1.0, 1.1 and REST-JSON alike.
    Json,
    /// S3's bare `Error` element.
    RestXml,
}

#[cfg(test)]
mod tests;
