//! One AWS configuration and the clients derived from it. Endpoints are overridden by the SDK's own variables only.

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{ConfigLoader, SdkConfig};

use crate::channels::Channels;
use crate::config::{ConfigAggregator, ConfigCompliance};
use crate::events::EventBus;
use crate::https::Https;
use crate::members::{MemberAccounts, Sessions};
use crate::organization::OrganizationAccounts;
use crate::s3::TemplateBucket;
use crate::security_hub::{FindingImporter, SecurityHub};
use crate::settings::{ChannelSettings, SecurityHubMode, SweepSettings, environment};
use crate::sns::Topic;
use crate::units::OrganizationUnits;

/// The configuration that all clients share, connections included.
#[derive(Clone)]
pub struct Clients {
    config: SdkConfig,
    sessions: Sessions,
}

// The configuration holds credentials.
impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// Attempts of a call that waits out throttling. They end within the operation timeout of [`Clients::connect`].
const PATIENT_ATTEMPTS: u32 = 8;

impl Clients {
    /// Reads Region, credentials and endpoints from the environment, as Lambda sets it.
    pub async fn connect() -> Self {
        Self::from_config(limited(aws_config::from_env()).load().await)
    }

    /// Uses an existing configuration, such as that of contract tests with the endpoint of a local cloud.
    #[must_use]
    pub fn from_config(config: SdkConfig) -> Self {
        Self { config, sessions: Sessions::default() }
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

    /// EventBridge.
    #[must_use]
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    /// Organizations.
    #[must_use]
    pub fn organizations(&self) -> aws_sdk_organizations::Client {
        aws_sdk_organizations::Client::new(&self.config)
    }

    /// The role of this name in member accounts.
    #[must_use]
    pub fn members(&self, partition: &str, role: &str) -> MemberAccounts {
        MemberAccounts::new(self.config.clone(), self.sessions.clone(), partition, role)
    }

    /// AWS Backup in member accounts, through the role of this name.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn member_backups(&self, role: &str) -> crate::MemberBackups {
        let region = self.region();
        let partition = framework::ids::partition(&region);
        let endpoint = self.config.endpoint_url().map(ToOwned::to_owned).or_else(|| environment("AWS_ENDPOINT_URL"));
        crate::MemberBackups::new(self.members(partition, role), partition, endpoint)
    }

    /// The configuration for many calls without a deadline: throttling is waited out.
    fn patient(&self) -> SdkConfig {
        self.config.to_builder().retry_config(RetryConfig::standard().with_max_attempts(PATIENT_ATTEMPTS)).build()
    }

    /// An aggregator of AWS Config for an inventory.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn patient_aggregator(&self, name: &str) -> ConfigAggregator {
        ConfigAggregator::new(aws_sdk_config::Client::new(&self.patient()), Some(name.to_owned()))
    }

    /// Names, tags and backup plans of resources, through the aggregator of this name.
    #[must_use]
    pub fn aggregator(&self, name: Option<String>) -> ConfigAggregator {
        ConfigAggregator::new(self.config(), name)
    }

    /// Results of AWS Config, through the APIs that are configured.
    #[must_use]
    pub fn compliance(&self, settings: &SweepSettings) -> ConfigCompliance {
        let partition = &settings.notification_topic.partition;
        let patient = self.patient();
        let members = settings
            .member_role_name
            .as_deref()
            .map(|role| MemberAccounts::new(patient.clone(), self.sessions.clone(), partition, role));
        let client = aws_sdk_config::Client::new(&patient);
        ConfigCompliance::new(ConfigAggregator::new(client, settings.config_aggregator_name.clone()), members)
    }

    /// The accounts of the organization, if its id is configured.
    #[must_use]
    pub fn organization(&self, settings: &SweepSettings) -> OrganizationAccounts {
        OrganizationAccounts::new(settings.organization_id.is_some().then(|| self.organizations()))
    }

    /// The organizational units, if the application may read them.
    #[must_use]
    pub fn organizational_units(&self, enabled: bool) -> OrganizationUnits {
        if !enabled {
            return OrganizationUnits::disabled();
        }
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_ORGANIZATIONS");
        OrganizationUnits::new(self.config.credentials_provider(), endpoint, &self.region())
    }

    /// The channels for notices of violations.
    #[must_use]
    pub fn channels(&self, telling: &ChannelSettings<'_>) -> Channels {
        let ChannelSettings { notification_topic, chat_topic_arn, security_hub, member_role_name, event_bus_name } =
            *telling;
        let importer = match (security_hub, member_role_name) {
            (SecurityHubMode::Central, _) => {
                Some(FindingImporter::Central(notification_topic.home.clone(), self.config.credentials_provider()))
            }
            (SecurityHubMode::Member, Some(role)) => {
                Some(FindingImporter::Member(self.members(&notification_topic.partition, role)))
            }
            (SecurityHubMode::Off, _) | (SecurityHubMode::Member, None) => None,
        };
        let security_hub = importer.map(|importer| {
            SecurityHub::new(
                Https::default(),
                self.endpoint("AWS_ENDPOINT_URL_SECURITYHUB"),
                &notification_topic.partition,
                importer,
            )
        });
        Channels::new(
            Topic::new(self.sns(), &notification_topic.arn),
            chat_topic_arn.map(|arn| Topic::chat(self.sns(), arn)),
            security_hub,
            event_bus_name.map(|name| EventBus::new(self.eventbridge(), name)),
        )
    }

    /// The custom endpoint of a service that is called without an SDK client.
    fn endpoint(&self, variable: &str) -> Option<String> {
        environment(variable).or_else(|| self.config.endpoint_url().map(ToOwned::to_owned))
    }

    /// The bucket for templates.
    #[must_use]
    pub fn template_bucket(&self, name: &str) -> TemplateBucket {
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_S3");
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

/// Sets the attempts and timeouts of all clients.
pub(crate) fn limited(loader: ConfigLoader) -> ConfigLoader {
    loader
        // Two retries: connections go stale while an execution environment is frozen, and throttling is common.
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(3))
                .operation_attempt_timeout(Duration::from_secs(15))
                .operation_timeout(Duration::from_secs(40))
                .build(),
        )
}
