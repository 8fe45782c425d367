//! An end to attempts at a host that cannot be reached.
//!
//! Eight attempts with growing pauses are right for a service that throttles. Where a name cannot be resolved, or a network has no
//! way to an endpoint, they are minutes in which nothing happens, for each call again.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, ConnectorBuilder, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A host that was not reached for so long is given up. Where connections time out, which the SDK tries again after a pause, that takes
/// up to seven seconds. The SDK takes a call that is silent for five seconds for a stalled one, so this must be shorter.
const PATIENCE: Duration = Duration::from_secs(4);
/// The pause after an attempt that failed at once.
const PAUSE: Duration = Duration::from_secs(1);
/// When a host is given up, all other calls to it fail at once for so long.
const CLOSED: Duration = Duration::from_secs(10);

/// The SDK's own client, for as long as hosts can be reached.
pub(crate) fn client() -> SharedHttpClient {
    // As `default_https_client` of aws-smithy-runtime makes it.
    let client = Builder::new().build_with_connector_fn(|settings, components| {
        let mut builder = ConnectorBuilder::default()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    });
    SharedHttpClient::new(Reach { inner: client, hosts: Hosts::default() })
}

/// A client, or a connector of one, that knows which hosts cannot be reached.
#[derive(Debug, Clone)]
struct Reach<T> {
    inner: T,
    hosts: Hosts,
}

/// Hosts that were not reached since their last answer.
#[derive(Debug, Clone, Default)]
struct Hosts(Arc<Mutex<BTreeMap<String, Failing>>>);

#[derive(Debug, Clone, Copy)]
struct Failing {
    /// The beginning of the first attempt.
    since: Instant,
    given_up: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
#[error("the host `{host}` cannot be reached")]
struct Unreachable {
    host: String,
    #[source]
    error: Option<ConnectorError>,
}

impl Unreachable {
    /// An error after which the SDK does not try again.
    fn of(host: String, error: Option<ConnectorError>) -> ConnectorError {
        ConnectorError::other(Box::new(Self { host, error }), None)
    }
}

impl Hosts {
    fn is_closed(&self, host: &str) -> bool {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(host).and_then(|failing| failing.given_up).is_some_and(|at| at.elapsed() < CLOSED)
    }

    fn reached(&self, host: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }

    /// Whether the host is given up after this failure of an attempt that began then.
    fn failed(&self, host: &str, began: Instant) -> bool {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = hosts.entry(host.to_owned()).or_insert(Failing { since: began, given_up: None });
        if failing.since.elapsed() >= PATIENCE {
            failing.given_up = Some(Instant::now());
        }
        failing.given_up.is_some()
    }
}

impl HttpClient for Reach<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Reach { inner, hosts: self.hosts.clone() })
    }
}

impl HttpConnector for Reach<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { inner, hosts } = self.clone();
        HttpConnectorFuture::new(attempts(inner, hosts, request))
    }
}

/// Sends a request, again and again while the host cannot be reached.
async fn attempts(
    connector: SharedHttpConnector,
    hosts: Hosts,
    mut request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let host = host(request.uri()).to_owned();
    if hosts.is_closed(&host) {
        return Err(Unreachable::of(host, None));
    }
    loop {
        let (again, began) = (request.try_clone(), Instant::now());
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
        request = match again {
            Some(again) if error.is_io() => again,
            // The SDK's next attempt.
            _ => return Err(error),
        };
        sleep(PAUSE).await;
    }
}

/// The host of an address.
fn host(uri: &str) -> &str {
    let after = uri.split_once("://").map_or(uri, |(_, after)| after);
    after.split(['/', '?']).next().unwrap_or(after)
}

#[cfg(test)]
mod tests;
