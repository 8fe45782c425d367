//! A circuit breaker for unreachable hosts.
//!
//! Eight attempts with growing pauses suit a service that throttles. When a name cannot be resolved or an endpoint has no route,
//! they cost minutes for each call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, ConnectorBuilder, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::time::{Instant, sleep};

/// The circuit of a host opens after failures for this long. With connection timeouts, which the SDK retries after a pause, that
/// takes up to seven seconds. The SDK treats a call without progress for five seconds as stalled, so this must be shorter.
const GIVE_UP_AFTER: Duration = Duration::from_secs(4);
/// The pause after an attempt that failed immediately.
const PAUSE: Duration = Duration::from_secs(1);
/// Calls to a host fail immediately for this long after its circuit has opened.
const OPEN_FOR: Duration = Duration::from_secs(10);

pub(crate) fn client() -> SharedHttpClient {
    // Configured like `default_https_client` of aws-smithy-runtime.
    let client = Builder::new().build_with_connector_fn(|settings, components| {
        let mut builder = ConnectorBuilder::default()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    });
    SharedHttpClient::new(CircuitBreaker { inner: client, hosts: HostStates::default() })
}

#[derive(Debug, Clone)]
struct CircuitBreaker<T> {
    inner: T,
    hosts: HostStates,
}

#[derive(Debug, Clone, Default)]
struct HostStates(Arc<Mutex<BTreeMap<String, FailingHost>>>);

#[derive(Debug, Clone, Copy)]
struct FailingHost {
    /// Start of the first failed attempt.
    since: Instant,
    opened: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
#[error("the host `{host}` cannot be reached")]
struct Unreachable {
    host: String,
    #[source]
    error: Option<ConnectorError>,
}

impl Unreachable {
    /// An error that the SDK does not retry.
    fn of(host: String, error: Option<ConnectorError>) -> ConnectorError {
        ConnectorError::other(Box::new(Self { host, error }), None)
    }
}

impl HostStates {
    fn is_open(&self, host: &str) -> bool {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(host).and_then(|failing| failing.opened).is_some_and(|at| at.elapsed() < OPEN_FOR)
    }

    fn reached(&self, host: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }

    /// Records a failed attempt. Returns whether the circuit is open.
    fn failed(&self, host: &str, began: Instant) -> bool {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = hosts.entry(host.to_owned()).or_insert(FailingHost { since: began, opened: None });
        if failing.since.elapsed() >= GIVE_UP_AFTER {
            failing.opened = Some(Instant::now());
        }
        failing.opened.is_some()
    }
}

impl HttpClient for CircuitBreaker<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(CircuitBreaker { inner, hosts: self.hosts.clone() })
    }
}

impl HttpConnector for CircuitBreaker<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { inner, hosts } = self.clone();
        HttpConnectorFuture::new(send(inner, hosts, request))
    }
}

/// Sends a request, and retries while the host is unreachable and its circuit is closed.
async fn send(
    connector: SharedHttpConnector,
    hosts: HostStates,
    mut request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let host = host(request.uri()).to_owned();
    if hosts.is_open(&host) {
        return Err(Unreachable::of(host, None));
    }
    loop {
        let (retry, began) = (request.try_clone(), Instant::now());
        let error = match connector.call(request).await {
            Ok(response) => {
                hosts.reached(&host);
                return Ok(response);
            }
            Err(error) => error,
        };
        if !(error.is_io() || error.is_timeout()) {
            return Err(error);
        }
        if hosts.failed(&host, began) {
            return Err(Unreachable::of(host, Some(error)));
        }
        request = match retry {
            Some(retry) if error.is_io() => retry,
            // The SDK retries timeouts itself.
            _ => return Err(error),
        };
        sleep(PAUSE).await;
    }
}

fn host(uri: &str) -> &str {
    let after = uri.split_once("://").map_or(uri, |(_, after)| after);
    after.split(['/', '?']).next().unwrap_or(after)
}

#[cfg(test)]
mod tests;
