//! Fault injection: the next calls of an operation return an error of AWS.

use std::sync::Mutex;

use crate::call::Protocol;
use crate::http::HttpResponse;
use crate::wire;

/// The error that an operation returns.
#[derive(Debug, Clone)]
pub struct InjectedFault {
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
    /// How many further calls fail.
    pub times: u32,
}

/// The faults that did not occur yet.
#[derive(Debug, Default)]
pub struct FaultInjector {
    waiting: Mutex<Vec<InjectedFault>>,
}

impl FaultInjector {
    /// Adds a fault.
    pub fn add(&self, fault: InjectedFault) {
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.push(fault);
        }
    }

    /// Removes all faults.
    pub fn clear(&self) {
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.clear();
        }
    }

    pub(crate) fn strike(&self, service: &str, operation: &str, protocol: Protocol) -> Option<HttpResponse> {
        let mut waiting = self.waiting.lock().ok()?;
        let at = waiting.iter().position(|fault| fault.service == service && fault.operation == operation)?;
        let fault = waiting.get_mut(at)?;
        fault.times = fault.times.saturating_sub(1);
        let response = match protocol {
            Protocol::Query => wire::query_error(fault.status, &fault.code, &fault.message),
            Protocol::Json => wire::json_error(fault.status, &fault.code, &fault.message),
            Protocol::RestXml => HttpResponse::new(
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

#[cfg(test)]
mod tests;
