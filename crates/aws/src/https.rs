//! The HTTP client of calls without an SDK client, built from the crates that the SDK links already.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::{sleep, timeout};

use app::ports::{PortError, PortErrorKind, Result};

use crate::error::{failure, kind, unexpected};

const ATTEMPT: Duration = Duration::from_secs(8);

type Connection = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client that trusts the machine's certificates. It is created at the first request: reading some 150 certificate files takes
/// half of a function's start, and most invocations send no request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Https {
    client: Arc<OnceLock<Connection>>,
}

impl Https {
    fn client(&self, operation: &'static str) -> Result<&Connection> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let certificates =
            |error| unexpected(operation, format!("the trusted certificates could not be read: {error}"));
        let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(certificates)?;
        // Local emulators have addresses without TLS.
        let connector = connector.https_or_http().enable_http1().build();
        Ok(self.client.get_or_init(|| Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends a request and returns the body of the response. Errors name `operation` and never the address, which may be a secret.
    pub(crate) async fn send(&self, operation: &'static str, request: Request<Full<Bytes>>) -> Result<Bytes> {
        self.exchange(operation, request).await.map(Response::into_body)
    }

    /// Sends a request like [`Self::send`], and returns the whole response.
    pub(crate) async fn exchange(
        &self,
        operation: &'static str,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>> {
        let retryable = |message: &str| failure(operation, PortErrorKind::Retryable, message);
        let response = timeout(ATTEMPT, self.client(operation)?.request(request)).await;
        let response = response.map_err(|_| retryable("no response within 8 s"))?.map_err(|error| {
            retryable(if error.is_connect() { "no connection" } else { "the connection was closed" })
        })?;
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let request_id = header("x-amz-request-id").or_else(|| header("x-amzn-requestid")).map(ToOwned::to_owned);
        let error_type = header("x-amzn-errortype").map(ToOwned::to_owned);
        let (head, body) = response.into_parts();
        let body = timeout(ATTEMPT, body.collect()).await;
        let body = body.ok().and_then(std::result::Result::ok).map(http_body_util::Collected::to_bytes);
        if status.is_success() {
            let body = body.ok_or_else(|| retryable("the response ended early"))?;
            return Ok(Response::from_parts(head, body));
        }
        let body = body.unwrap_or_default();
        let (code, message) = code_and_message(&body);
        Err(PortError {
            operation,
            code: error_type.or(code).map(|code| bare(&code).to_owned()),
            message: message.unwrap_or_else(|| format!("the response status is {status}")),
            request_id,
            // Of the status alone: a caller may take the code into account (`with_kind_of_code`).
            kind: kind(None, Some(status.as_u16())),
        })
    }
}

/// Repeats a call after a retryable error, with these pauses.
pub(crate) async fn retried<T, F: Future<Output = Result<T>>>(
    waits: impl IntoIterator<Item = Duration>,
    mut call: impl FnMut() -> F,
) -> Result<T> {
    for wait in waits {
        match call().await {
            Err(error) if error.kind == PortErrorKind::Retryable => sleep(wait).await,
            outcome => return outcome,
        }
    }
    call().await
}

fn code_and_message(body: &[u8]) -> (Option<String>, Option<String>) {
    if let Ok(document) = serde_json::from_slice::<serde_json::Value>(body) {
        let text = |names: [&str; 3]| names.iter().find_map(|name| document.get(name)?.as_str().map(ToOwned::to_owned));
        return (text(["__type", "Code", "code"]), text(["Message", "message", "errorMessage"]));
    }
    let text = String::from_utf8_lossy(body);
    (text_of(&text, "Code"), text_of(&text, "Message"))
}

/// Returns the content of the first element of this name in XML without attributes, as S3 responds.
pub(crate) fn text_of(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).first().map(|&inner| inner.to_owned())
}

/// Returns the contents of all elements of this name, which are not nested in each other.
pub(crate) fn elements<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(open.as_str()).skip(1).filter_map(|rest| Some(rest.split_once(close.as_str())?.0)).collect()
}

/// Reduces `com.amazonaws.securityhub#InvalidAccessException:http://…` to `InvalidAccessException`.
fn bare(code: &str) -> &str {
    let code = code.split_once(':').map_or(code, |(code, _)| code);
    code.rsplit_once('#').map_or(code, |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_read_from_xml_and_json() {
        let some = |text: &str| Some(text.to_owned());
        let xml = b"<Error><Code>AccessDenied</Code><Message>not you</Message></Error>";
        assert_eq!(code_and_message(xml), (some("AccessDenied"), some("not you")));
        assert_eq!(code_and_message(br#"{"Message":"no","Code":"X"}"#), (some("X"), some("no")));
        assert_eq!(code_and_message(br#"{"__type":"a#X","message":"no"}"#), (some("a#X"), some("no")));
        for nothing in [&b""[..], b"{}", b"[1]", b"null", b"<html>", b"\xff\xfe"] {
            assert_eq!(code_and_message(nothing), (None, None));
        }
        let list = "<L><C><K>a</K></C><C><K>b</K></C><C><K>c</L>";
        assert_eq!(elements(list, "C"), ["<K>a</K>", "<K>b</K>"]);
        for code in ["X", "a#X", "X:http://internal.amazon.com/a/", "com.amazonaws.s#X:http://b#c"] {
            assert_eq!(bare(code), "X", "{code}");
        }
    }
}
