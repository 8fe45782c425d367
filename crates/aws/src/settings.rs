//! Settings of the functions from environment variables, which template.yaml sets.

use std::fmt;
use std::time::Duration;

use app::events::PolicyPlace;
use domain::notice::FindingHome;
use framework::ids::{AccountId, RegionName};

/// Seconds: the longest delay of an SQS message minus one minute.
const LONGEST_WINDOW: u64 = 840;

/// Missing and invalid environment variables.
#[derive(Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems(missing, invalid))]
pub struct SettingsError {
    missing: Vec<&'static str>,
    invalid: Vec<String>,
}

fn problems(missing: &[&str], invalid: &[String]) -> String {
    let plural = if missing.len() == 1 { "" } else { "s" };
    let names = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let missing = (!missing.is_empty())
        .then(|| format!("missing environment variable{plural} {names}: template.yaml sets what this function needs"));
    missing.iter().chain(invalid).map(String::as_str).collect::<Vec<_>>().join("; ")
}

// `main` prints start-up errors with `Debug`.
impl fmt::Debug for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The account and Region that Security Hub findings are imported into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityHubMode {
    /// No findings.
    Off,
    /// Those of the application.
    Central,
    /// Those of the violation, through a role in that account.
    Member,
}

/// The ARN of a topic, with the partition, account and Region of the application in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicArn {
    /// The ARN.
    pub arn: String,
    /// The partition, such as `aws`.
    pub partition: String,
    /// The account and Region of the topic and of the application.
    pub home: FindingHome,
}

impl TopicArn {
    /// `arn:<partition>:sns:<Region>:<account>:<name>`.
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').filter(|part| !part.is_empty()).collect();
        let ["arn", partition, "sns", region, account, _] = *parts else { return None };
        let home = FindingHome { account: AccountId::parse(account).ok()?, region: RegionName::parse(region).ok()? };
        Some(Self { arn: text.to_owned(), partition: partition.to_owned(), home })
    }
}

/// Returns an environment variable of this process.
#[expect(clippy::disallowed_methods, reason = "the only function that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct EnvironmentReader<L> {
    lookup: L,
    error: SettingsError,
    /// A conflict between variables; reported only if every variable is valid.
    conflict: Option<String>,
}

/// Each method records an error before it returns `None`.
impl<L: Fn(&str) -> Option<String>> EnvironmentReader<L> {
    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.trim().is_empty())
    }

    #[expect(
        clippy::option_option,
        clippy::unnecessary_wraps,
        reason = "the outer option is the validity, as for the other kinds"
    )]
    fn optional(&mut self, name: &'static str) -> Option<Option<String>> {
        Some(self.value(name))
    }

    fn required(&mut self, name: &'static str) -> Option<String> {
        let value = self.value(name);
        if value.is_none() {
            self.error.missing.push(name);
        }
        value
    }

    fn read<T>(&mut self, name: &'static str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.required(name)?;
        let value = read(text.trim());
        if value.is_none() {
            let text = text.escape_debug();
            self.error.invalid.push(format!("the environment variable `{name}` is `{text}`: {expected} is expected"));
        }
        value
    }

    fn window(&mut self, name: &'static str) -> Option<Duration> {
        let expected = format!("a whole number of seconds from 0 to {LONGEST_WINDOW}");
        let seconds = self.read(name, &expected, |text| text.parse().ok().filter(|seconds| *seconds <= LONGEST_WINDOW));
        seconds.map(Duration::from_secs)
    }

    fn word<T: Copy>(&mut self, name: &'static str, expected: &str, words: &[(&str, T)]) -> Option<T> {
        self.read(name, expected, |text| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value))
    }

    fn security_hub(&mut self, name: &'static str) -> Option<SecurityHubMode> {
        let (off, central, member) = (SecurityHubMode::Off, SecurityHubMode::Central, SecurityHubMode::Member);
        let words = [("off", off), ("central", central), ("member", member)];
        let mode = self.word(name, "`off`, `central` or `member`", &words);
        if mode == Some(SecurityHubMode::Member) && self.value("MEMBER_ROLE_NAME").is_none() {
            let conflict = format!(
                "the environment variable `{name}` is `member` and `MEMBER_ROLE_NAME` is not set: findings are imported into \
                 member accounts through a role in each of them"
            );
            self.conflict = Some(conflict);
        }
        mode
    }

    fn switch(&mut self, name: &'static str) -> Option<bool> {
        self.word(name, "`enabled` or `disabled`", &[("enabled", true), ("disabled", false)])
    }

    fn topic(&mut self, name: &'static str) -> Option<TopicArn> {
        self.read(name, "the ARN of an SNS topic", TopicArn::parse)
    }
}

macro_rules! settings {
    ($(#[$doc:meta])* $name:ident {
        $($field:ident: $kind:ident $variable:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $(#[doc = concat!("The environment variable `", $variable, "`.")] pub $field: settings!(@type $kind),)*
        }

        impl $name {
            /// The variables, required and optional.
            pub const VARIABLES: &'static [&'static str] = &[$($variable),*];

            /// Reads the settings.
            ///
            /// # Errors
            /// When variables are missing, empty or invalid. The error names all of them.
            pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
                let mut reader = EnvironmentReader { lookup, error: SettingsError::default(), conflict: None };
                $(let $field = reader.$kind($variable);)*
                let whole = || Some(Self { $($field: $field?,)* });
                match (whole(), reader.conflict) {
                    (Some(settings), None) => Ok(settings),
                    (Some(_), Some(conflict)) => Err(SettingsError { invalid: vec![conflict], ..reader.error }),
                    (None, _) => Err(reader.error),
                }
            }
        }
    };
    (@type required) => { String };
    (@type optional) => { Option<String> };
    (@type window) => { Duration };
    (@type switch) => { bool };
    (@type security_hub) => { SecurityHubMode };
    (@type topic) => { TopicArn };
}

settings! {
    /// Settings of `deploy`.
    DeploySettings {
        repository_name: required "REPOSITORY_NAME",
        branch_name: required "BRANCH_NAME",
        policy_bucket_name: optional "POLICY_BUCKET_NAME",
        policy_file: required "POLICY_FILE",
        state_table_name: required "STATE_TABLE_NAME",
        notification_topic_arn: required "NOTIFICATION_TOPIC_ARN",
        compliance_event_bus_arn: required "COMPLIANCE_EVENT_BUS_ARN",
        template_bucket_name: required "TEMPLATE_BUCKET_NAME",
        deploy_queue_url: required "DEPLOY_QUEUE_URL",
        administration_role_arn: required "ADMINISTRATION_ROLE_ARN",
        execution_role_name: required "EXECUTION_ROLE_NAME",
        chat_topic_arn: optional "CHAT_TOPIC_ARN",
        organizational_units: switch "ORGANIZATIONAL_UNITS",
        comment_on_commits: switch "COMMENT_ON_COMMITS",
    }
}

impl DeploySettings {
    /// The place of the policy.
    pub fn place(&self) -> PolicyPlace<'_> {
        match self.policy_bucket_name.as_deref() {
            Some(bucket) => PolicyPlace::Object { bucket },
            None => PolicyPlace::Branch { repository: &self.repository_name, branch: &self.branch_name },
        }
    }
}

settings! {
    /// Settings of `lifecycle`.
    LifecycleSettings {
        state_table_name: required "STATE_TABLE_NAME",
        deploy_queue_url: required "DEPLOY_QUEUE_URL",
    }
}

settings! {
    /// Settings of `inventory`.
    InventorySettings {
        config_aggregator_name: required "CONFIG_AGGREGATOR_NAME",
        inventory_role_name: optional "INVENTORY_ROLE_NAME",
        template_bucket_name: required "TEMPLATE_BUCKET_NAME",
    }
}

settings! {
    /// Settings of `report`.
    ReportSettings {
        state_table_name: required "STATE_TABLE_NAME",
        notification_topic: topic "NOTIFICATION_TOPIC_ARN",
        chat_topic_arn: optional "CHAT_TOPIC_ARN",
        config_aggregator_name: optional "CONFIG_AGGREGATOR_NAME",
        report_queue_url: required "REPORT_QUEUE_URL",
        dead_letter_queue_url: required "REPORT_DEAD_LETTER_QUEUE_URL",
        digest_window: window "DIGEST_WINDOW_SECONDS",
        security_hub: security_hub "SECURITY_HUB",
        member_role_name: optional "MEMBER_ROLE_NAME",
        event_bus_name: optional "NOTICE_EVENT_BUS_NAME",
    }
}

settings! {
    /// Settings of `sweep`.
    SweepSettings {
        state_table_name: required "STATE_TABLE_NAME",
        notification_topic: topic "NOTIFICATION_TOPIC_ARN",
        chat_topic_arn: optional "CHAT_TOPIC_ARN",
        config_aggregator_name: optional "CONFIG_AGGREGATOR_NAME",
        security_hub: security_hub "SECURITY_HUB",
        member_role_name: optional "MEMBER_ROLE_NAME",
        event_bus_name: optional "NOTICE_EVENT_BUS_NAME",
        organization_id: optional "ORGANIZATION_ID",
    }
}

settings! {
    /// Settings of `preview`.
    PreviewSettings {
        repository_name: required "REPOSITORY_NAME",
        branch_name: required "BRANCH_NAME",
        policy_file: required "POLICY_FILE",
        template_bucket_name: required "TEMPLATE_BUCKET_NAME",
        preview_queue_url: required "PREVIEW_QUEUE_URL",
        approve: switch "APPROVE_PULL_REQUESTS",
    }
}

/// The channels of `report` and `sweep`.
#[derive(Debug, Clone, Copy)]
pub struct ChannelSettings<'a> {
    /// The topic for notices.
    pub notification_topic: &'a TopicArn,
    /// The topic that chat channels subscribe to.
    pub chat_topic_arn: Option<&'a str>,
    /// The account and Region of Security Hub findings.
    pub security_hub: SecurityHubMode,
    /// The role in member accounts.
    pub member_role_name: Option<&'a str>,
    /// The bus for events about violations.
    pub event_bus_name: Option<&'a str>,
}

macro_rules! channel_settings {
    ($channels:ident: $($name:ident),*) => {$(
        impl $name {
            /// The settings of the channels.
            pub fn channels(&self) -> $channels<'_> {
                $channels {
                    notification_topic: &self.notification_topic,
                    chat_topic_arn: self.chat_topic_arn.as_deref(),
                    security_hub: self.security_hub,
                    member_role_name: self.member_role_name.as_deref(),
                    event_bus_name: self.event_bus_name.as_deref(),
                }
            }
        }
    )*};
}

channel_settings!(ChannelSettings: ReportSettings, SweepSettings);

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:012345678901:notices";

    /// The environment of `report` with the required variables only.
    fn set(name: &str) -> Option<String> {
        let value = match name {
            "NOTIFICATION_TOPIC_ARN" => TOPIC,
            "DIGEST_WINDOW_SECONDS" => "300",
            "SECURITY_HUB" => "off",
            "STATE_TABLE_NAME" | "REPORT_QUEUE_URL" | "REPORT_DEAD_LETTER_QUEUE_URL" => "x",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn with<'a>(name: &'a str, value: &'a str) -> impl Fn(&str) -> Option<String> + 'a {
        move |variable| if variable == name { Some(value.to_owned()) } else { set(variable) }
    }

    #[test]
    fn error_names_all_missing_variables() {
        let only_branch = |name: &str| (name == "BRANCH_NAME").then(|| "main".to_owned());
        let error = DeploySettings::from_env(only_branch).unwrap_err().to_string();
        let unnamed = ["BRANCH_NAME", "CHAT_TOPIC_ARN", "POLICY_BUCKET_NAME"];
        for name in DeploySettings::VARIABLES {
            assert_eq!(error.contains(&format!("`{name}`")), !unnamed.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn empty_variable_counts_as_missing_unless_optional() {
        let lookup = |name: &str| Some(if name == "STATE_TABLE_NAME" { " " } else { "" }.to_owned());
        let error = ReportSettings::from_env(lookup).unwrap_err().to_string();
        assert!(error.contains("`STATE_TABLE_NAME`, `NOTIFICATION_TOPIC_ARN`, `REPORT_QUEUE_URL`"), "{error}");
        assert!(!error.contains("CONFIG_AGGREGATOR_NAME"), "{error}");

        let settings = ReportSettings::from_env(set).unwrap();
        assert_eq!(settings.config_aggregator_name, None);
        assert_eq!(settings.digest_window, Duration::from_secs(300));
        assert_eq!(settings.security_hub, SecurityHubMode::Off);
        let TopicArn { arn, partition, home } = settings.notification_topic;
        assert_eq!((arn.as_str(), partition.as_str()), (TOPIC, "aws"));
        assert_eq!((home.account.as_str(), home.region.as_str()), ("012345678901", "eu-west-1"));
    }

    #[test]
    fn invalid_variable_is_named_with_expected_form() {
        for (name, wrong, expected) in [
            ("DIGEST_WINDOW_SECONDS", "5m", "from 0 to 840"),
            ("DIGEST_WINDOW_SECONDS", "-1", "from 0 to 840"),
            ("DIGEST_WINDOW_SECONDS", "841", "from 0 to 840"),
            ("DIGEST_WINDOW_SECONDS", "99999999999999999999", "from 0 to 840"),
            ("SECURITY_HUB", "yes", "`off`, `central` or `member`"),
            ("NOTIFICATION_TOPIC_ARN", "notices", "the ARN of an SNS topic"),
            ("NOTIFICATION_TOPIC_ARN", "arn:aws:sns:eu-west-1:12:notices", "the ARN of an SNS topic"),
            ("NOTIFICATION_TOPIC_ARN", "arn:aws:sns:nowhere-1:012345678901:n", "the ARN of an SNS topic"),
            ("NOTIFICATION_TOPIC_ARN", "arn:aws:sqs:eu-west-1:012345678901:n", "the ARN of an SNS topic"),
        ] {
            let error = ReportSettings::from_env(with(name, wrong)).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}` is `{wrong}`")) && error.contains(expected), "{error}");
            assert!(!error.contains("missing"), "{error}");
        }
        let both = |name: &str| if name == "SECURITY_HUB" { Some("yes".to_owned()) } else { None };
        let error = SweepSettings::from_env(both).unwrap_err().to_string();
        assert!(
            error.contains("missing environment variables `STATE_TABLE_NAME`") && error.contains("is `yes`"),
            "{error}"
        );
        for fine in ["0", "840", " 60 "] {
            assert!(ReportSettings::from_env(with("DIGEST_WINDOW_SECONDS", fine)).is_ok(), "{fine:?}");
        }
    }

    #[test]
    fn member_findings_require_a_member_role() {
        let error = ReportSettings::from_env(with("SECURITY_HUB", "member")).unwrap_err().to_string();
        assert!(error.contains("`MEMBER_ROLE_NAME` is not set"), "{error}");
        let lookup = |name: &str| match name {
            "SECURITY_HUB" => Some("member".to_owned()),
            "MEMBER_ROLE_NAME" => Some("compliance".to_owned()),
            name => set(name),
        };
        let settings = SweepSettings::from_env(lookup).unwrap();
        assert_eq!(settings.channels().security_hub, SecurityHubMode::Member);
        assert_eq!(settings.channels().member_role_name, Some("compliance"));
    }
}
