//! One AWS configuration, and the clients made of it. Endpoints are overridden by the SDK's own variables only.

use crate::config::{ConfigAggregator, ConfigCompliance};
use crate::events::EventBus;
use crate::https::Https;
use crate::members::{Members, Sessions};
use crate::organization::OrganizationAccounts;
use crate::outlets::Channels;
use crate::s3::TemplateBucket;
use crate::security_hub::{Importer, SecurityHub};
use crate::settings::{SecurityHubMode, SweepSettings, Telling, environment};
use crate::sns::Topic;
use crate::units::OrganizationUnits;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{ConfigLoader, SdkConfig};
use std::fmt;
use std::time::Duration;

/// The configuration that all clients share, connections included.
#[derive(Clone)]
pub struct Clients {
    config: SdkConfig,
    sessions: Sessions,
}

// What it holds is long, and some of it is nobody's business.
impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// Attempts of a patient call. All of them together end within the operation timeout of [`Clients::connect`].
const PATIENT_ATTEMPTS: u32 = 8;

impl Clients {
    /// Reads the environment that Lambda gives: Region, credentials, endpoints.
    pub async fn connect() -> Self {
        Self::from_config(limited(aws_config::from_env()).load().await)
    }

    /// Clients of a configuration that somebody else made: contract tests name the endpoint of a local cloud in it.
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
    pub fn members(&self, partition: &str, role: &str) -> Members {
        Members::new(self.config.clone(), self.sessions.clone(), partition, role)
    }

    /// AWS Backup in member accounts, through the role of this name.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn member_backups(&self, role: &str) -> crate::MemberBackups {
        let region = self.region();
        let partition = domain::ids::partition(&region);
        let endpoint = self.config.endpoint_url().map(ToOwned::to_owned).or_else(|| environment("AWS_ENDPOINT_URL"));
        crate::MemberBackups::new(self.members(partition, role), partition, endpoint)
    }

    /// For calls that are many and not in a hurry: a throttle is waited out.
    fn patient(&self) -> SdkConfig {
        self.config.to_builder().retry_config(RetryConfig::standard().with_max_attempts(PATIENT_ATTEMPTS)).build()
    }

    /// AWS Config for an inventory.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn patient_aggregator(&self, name: &str) -> ConfigAggregator {
        ConfigAggregator::new(aws_sdk_config::Client::new(&self.patient()), Some(name.to_owned()))
    }

    /// Names, tags and backup plans, through the aggregator of this name.
    #[must_use]
    pub fn aggregator(&self, name: Option<String>) -> ConfigAggregator {
        ConfigAggregator::new(self.config(), name)
    }

    /// AWS Config's own state, in the ways that are set up.
    #[must_use]
    pub fn compliance(&self, settings: &SweepSettings) -> ConfigCompliance {
        let partition = &settings.notification_topic.partition;
        let patient = self.patient();
        let members = settings
            .member_role_name
            .as_deref()
            .map(|role| Members::new(patient.clone(), self.sessions.clone(), partition, role));
        let client = aws_sdk_config::Client::new(&patient);
        ConfigCompliance::new(ConfigAggregator::new(client, settings.config_aggregator_name.clone()), members)
    }

    /// The organisation, if its id was given.
    #[must_use]
    pub fn organization(&self, settings: &SweepSettings) -> OrganizationAccounts {
        OrganizationAccounts::new(settings.organization_id.is_some().then(|| self.organizations()))
    }

    /// The organizational units, if the application is set up to ask for them.
    #[must_use]
    pub fn organizational_units(&self, enabled: bool) -> OrganizationUnits {
        if !enabled {
            return OrganizationUnits::off();
        }
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_ORGANIZATIONS");
        OrganizationUnits::new(self.config.credentials_provider(), endpoint, &self.region())
    }

    /// Everybody who is told of violations.
    #[must_use]
    pub fn channels(&self, telling: &Telling<'_>) -> Channels {
        let Telling { notification_topic, chat_topic_arn, security_hub, member_role_name, event_bus_name } = *telling;
        let importer = match (security_hub, member_role_name) {
            (SecurityHubMode::Central, _) => {
                Some(Importer::Central(notification_topic.home.clone(), self.config.credentials_provider()))
            }
            (SecurityHubMode::Member, Some(role)) => {
                Some(Importer::Member(self.members(&notification_topic.partition, role)))
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

    /// The endpoint of a service that is called without an SDK client, where one is given.
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

/// With the attempts and the timeouts that all clients have.
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
