use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::http_client_fn;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::display::DisplayErrorContext;

use super::*;

/// A fake network that decides by the number of the request.
#[derive(Debug, Clone)]
struct Network {
    sent: Arc<Mutex<u32>>,
    connect: Duration,
    reachable: fn(u32) -> bool,
    status: u16,
}

impl Network {
    fn new(connect: Duration, reachable: fn(u32) -> bool) -> Self {
        Self { sent: Arc::default(), connect, reachable, status: 503 }
    }

    fn sent(&self) -> u32 {
        *self.sent.lock().unwrap()
    }

    /// A client with the eight attempts of an inventory.
    fn client(&self) -> aws_sdk_sts::Client {
        let network = self.clone();
        let inner = http_client_fn(move |_, _| SharedHttpConnector::new(network.clone()));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .retry_config(RetryConfig::standard().with_max_attempts(8))
            .http_client(CircuitBreaker { inner, hosts: HostStates::default() })
            .build();
        aws_sdk_sts::Client::new(&config)
    }
}

impl HttpConnector for Network {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let network = self.clone();
        HttpConnectorFuture::new(async move {
            let number = {
                let mut sent = network.sent.lock().unwrap();
                *sent += 1;
                *sent
            };
            if (network.reachable)(number) {
                let status = StatusCode::try_from(network.status).unwrap();
                return Ok(HttpResponse::new(status, SdkBody::empty()));
            }
            sleep(network.connect).await;
            Err(match network.connect {
                Duration::ZERO => ConnectorError::io("no such name".into()),
                _ => ConnectorError::timeout("no connection".into()),
            })
        })
    }
}

async fn call(client: &aws_sdk_sts::Client) -> String {
    DisplayErrorContext(client.get_caller_identity().send().await.unwrap_err()).to_string()
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn unreachable_host_fails_within_ten_seconds() {
    for (connect, attempts) in [(Duration::ZERO, 5), (Duration::from_secs(3), 2)] {
        let network = Network::new(connect, |_| false);
        let client = network.client();
        let began = Instant::now();
        let error = call(&client).await;
        assert!(began.elapsed() <= Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(error.contains("the host `sts.eu-west-1.amazonaws.com` cannot be reached: "), "{error}");
        assert_eq!(network.sent(), attempts);

        // Later calls fail immediately.
        for _ in 0..100 {
            assert!(call(&client).await.contains("cannot be reached"));
        }
        assert!(began.elapsed() <= Duration::from_secs(10) && network.sent() == attempts, "{:?}", began.elapsed());

        // One call is tried when the circuit closes.
        sleep(OPEN_FOR).await;
        call(&client).await;
        assert_eq!(network.sent(), attempts + 1);
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn briefly_unreachable_host_is_retried() {
    let network = Network { status: 400, ..Network::new(Duration::ZERO, |number| number > 3) };
    let client = network.client();
    assert!(!call(&client).await.contains("cannot be reached"));
    assert_eq!(network.sent(), 4);
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn throttling_host_keeps_eight_attempts() {
    let network = Network::new(Duration::ZERO, |_| true);
    call(&network.client()).await;
    assert_eq!(network.sent(), 8);
}

#[test]
fn host_is_read_from_url() {
    for (uri, expected) in [
        ("https://sts.eu-west-1.amazonaws.com/?a=b", "sts.eu-west-1.amazonaws.com"),
        ("http://127.0.0.1:9", "127.0.0.1:9"),
        ("https://a?b=c/d", "a"),
        ("/path", ""),
    ] {
        assert_eq!(host(uri), expected, "{uri}");
    }
}
