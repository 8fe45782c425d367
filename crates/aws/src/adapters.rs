//! Assembles the adapters from the clients and the settings of a function.

use crate::channels::Channels;
use crate::clients::Clients;
use crate::codecommit::CodeCommitRepository;
use crate::config::{ConfigAggregator, ConfigCompliance};
use crate::events::EventBus;
use crate::inventories::InventoryBucket;
use crate::organization::OrganizationAccounts;
use crate::policy_object::{PolicyObject, PolicyOrigin};
use crate::s3::{Bucket, TemplateBucket};
use crate::security_hub::{FindingImporter, SecurityHub};
#[cfg(feature = "inventory")]
use crate::settings::environment;
use crate::settings::{ChannelSettings, SecurityHubMode, SweepSettings};
use crate::sns::Topic;
use crate::units::OrganizationUnits;

impl Clients {
    /// AWS Backup in member accounts, through the role of this name.
    #[cfg(feature = "inventory")]
    pub fn member_backups(&self, role: &str) -> crate::MemberBackups {
        let partition = framework::ids::partition(&self.region());
        let endpoint = self.config.endpoint_url().map(ToOwned::to_owned).or_else(|| environment("AWS_ENDPOINT_URL"));
        crate::MemberBackups::new(self.members(partition, role), partition, endpoint)
    }

    /// An aggregator of AWS Config for an inventory.
    #[cfg(feature = "inventory")]
    pub fn patient_aggregator(&self, name: &str) -> ConfigAggregator {
        ConfigAggregator::new(&self.patient(), Some(name.to_owned()))
    }

    /// Names, tags and backup plans of resources, through the aggregator of this name.
    pub fn aggregator(&self, name: Option<String>) -> ConfigAggregator {
        ConfigAggregator::new(self, name)
    }

    /// Results of AWS Config, through the APIs that are configured.
    pub fn compliance(&self, settings: &SweepSettings) -> ConfigCompliance {
        let patient = self.patient();
        let role = settings.member_role_name.as_deref();
        let members = role.map(|role| patient.members(&settings.notification_topic.partition, role));
        ConfigCompliance::new(patient.aggregator(settings.config_aggregator_name.clone()), members)
    }

    /// The accounts of the organization, if its id is configured.
    pub fn organization(&self, settings: &SweepSettings) -> OrganizationAccounts {
        OrganizationAccounts::new(settings.organization_id.is_some().then_some(self))
    }

    /// The organizational units, if the application may read them.
    pub fn organizational_units(&self, enabled: bool) -> OrganizationUnits {
        if !enabled {
            return OrganizationUnits::disabled();
        }
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_ORGANIZATIONS");
        OrganizationUnits::new(self.config.credentials_provider(), endpoint, &self.region())
    }

    /// The channels for notices of violations.
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
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_SECURITYHUB");
        let security_hub = importer.map(|importer| SecurityHub::new(endpoint, &notification_topic.partition, importer));
        Channels::new(
            Topic::new(self, &notification_topic.arn),
            chat_topic_arn.map(|arn| Topic::chat(self, arn)),
            security_hub,
            event_bus_name.map(|name| EventBus::new(self, name)),
        )
    }

    /// The bucket for templates.
    pub fn template_bucket(&self, name: &str) -> TemplateBucket {
        TemplateBucket::new(self.bucket(name))
    }

    /// The source of the policy: the object in this bucket, if one is given, or else the branch of the CodeCommit repository.
    pub fn policy_origin(&self, bucket: Option<&str>, repository: &str, branch: &str) -> PolicyOrigin {
        match bucket {
            Some(bucket) => PolicyOrigin::Object(PolicyObject::new(self.bucket(bucket))),
            None => PolicyOrigin::Branch(CodeCommitRepository::new(self, repository, branch)),
        }
    }

    fn bucket(&self, name: &str) -> Bucket {
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_S3");
        Bucket::new(self.config.credentials_provider(), endpoint, name, &self.region())
    }

    /// The inventory in the bucket of this name.
    pub fn inventory_bucket(&self, name: &str) -> InventoryBucket {
        InventoryBucket::new(self.bucket(name))
    }
}
