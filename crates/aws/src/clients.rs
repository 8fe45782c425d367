//! One AWS configuration, and the clients made of it. Endpoints are overridden by the SDK's own variables only.

use crate::https::Https;
use crate::s3::TemplateBucket;
use crate::settings::environment;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use std::time::Duration;

/// The configuration that all clients share, connections included.
#[derive(Debug, Clone)]
pub struct Clients {
    config: SdkConfig,
}

impl Clients {
    /// Reads the environment that Lambda gives: Region, credentials, endpoints.
    pub async fn connect() -> Self {
        let config = aws_config::from_env()
            // Two retries: connections go stale while an execution environment is frozen, and throttling is common.
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .operation_attempt_timeout(Duration::from_secs(15))
                    .operation_timeout(Duration::from_secs(40))
                    .build(),
            )
            .load()
            .await;
        Self { config }
    }

    /// Clients of a configuration that somebody else made: contract tests name the endpoint of a local cloud in it.
    #[must_use]
    pub fn from_config(config: SdkConfig) -> Self {
        Self { config }
    }

    /// CloudFormation.
    #[must_use]
    pub fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.config)
    }

    /// CodeCommit.
    #[must_use]
    pub fn codecommit(&self) -> aws_sdk_codecommit::Client {
        aws_sdk_codecommit::Client::new(&self.config)
    }

    /// AWS Config.
    #[must_use]
    pub fn config(&self) -> aws_sdk_config::Client {
        aws_sdk_config::Client::new(&self.config)
    }

    /// DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// The bucket for templates.
    #[must_use]
    pub fn template_bucket(&self, name: &str) -> TemplateBucket {
        let endpoint = environment("AWS_ENDPOINT_URL_S3").or_else(|| self.config.endpoint_url().map(ToOwned::to_owned));
        let credentials = self.config.credentials_provider();
        TemplateBucket::new(Https::default(), credentials, endpoint, name, &self.region())
    }

    /// SNS.
    #[must_use]
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }

    /// SQS.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    fn region(&self) -> String {
        self.config.region().map(|region| region.as_ref().to_owned()).unwrap_or_default()
    }
}
