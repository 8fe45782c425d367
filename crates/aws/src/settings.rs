//! What the functions are told by their environment. Every variable is set in template.yaml; all that are missing or wrong are named
//! at once.

use domain::ids::{AccountId, RegionName};
use domain::notice::FindingHome;
use std::fmt;
use std::time::Duration;

/// The longest window that a message of SQS can wait for, with a minute to spare.
const LONGEST_WINDOW: u64 = 840;

/// Variables that are not set, and such that cannot be used.
#[derive(Clone, PartialEq, Eq)]
pub struct BadSettings {
    missing: Vec<&'static str>,
    wrong: Vec<String>,
}

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.missing.is_empty() {
            let plural = if self.missing.len() == 1 { "" } else { "s" };
            let names = self.missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            write!(f, "missing environment variable{plural} {names}: template.yaml sets what this function needs")?;
        }
        for (index, wrong) in self.wrong.iter().enumerate() {
            let separator = if index == 0 && self.missing.is_empty() { "" } else { "; " };
            write!(f, "{separator}{wrong}")?;
        }
        Ok(())
    }
}

// Start-up errors are printed with `Debug`; people read them.
impl fmt::Debug for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for BadSettings {}

/// Where the findings of Security Hub are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityHubMode {
    /// Nowhere.
    Off,
    /// In the application's account and Region.
    Central,
    /// In the account and Region of each violation, through a role there.
    Member,
}

/// A topic's ARN, and what it says of the application that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicArn {
    /// The ARN.
    pub arn: String,
    /// Its partition, such as `aws`.
    pub partition: String,
    /// The account and Region of the topic, and so of the application.
    pub home: FindingHome,
}

impl TopicArn {
    /// `arn:<partition>:sns:<Region>:<account>:<name>`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let (Some("arn"), Some(partition), Some("sns"), Some(region), Some(account), Some(_)) =
            (next(), next(), next(), next(), next(), next())
        else {
            return None;
        };
        let home = FindingHome { account: AccountId::parse(account).ok()?, region: RegionName::parse(region).ok()? };
        Some(Self { arn: text.to_owned(), partition: partition.to_owned(), home })
    }
}

/// The environment of this process.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct Reader<L> {
    lookup: L,
    missing: Vec<&'static str>,
    wrong: Vec<String>,
}

/// Each gives `None` only where it has noted why.
impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.trim().is_empty())
    }

    #[expect(clippy::option_option, clippy::unnecessary_wraps, reason = "the outer one says whether it can be used")]
    fn optional(&mut self, name: &'static str) -> Option<Option<String>> {
        Some(self.value(name))
    }

    fn required(&mut self, name: &'static str) -> Option<String> {
        let value = self.value(name);
        if value.is_none() {
            self.missing.push(name);
        }
        value
    }

    fn read<T>(&mut self, name: &'static str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.required(name)?;
        let value = read(text.trim());
        if value.is_none() {
            self.wrong.push(format!(
                "the environment variable `{name}` is `{}`: {expected} is expected",
                text.escape_debug()
            ));
        }
        value
    }

    fn window(&mut self, name: &'static str) -> Option<Duration> {
        let expected = format!("a whole number of seconds from 0 to {LONGEST_WINDOW}");
        let seconds =
            self.read(name, &expected, |text| text.parse().ok().filter(|seconds: &u64| *seconds <= LONGEST_WINDOW));
        seconds.map(Duration::from_secs)
    }

    fn security_hub(&mut self, name: &'static str) -> Option<SecurityHubMode> {
        self.read(name, "`off`, `central` or `member`", |text| match text {
            "off" => Some(SecurityHubMode::Off),
            "central" => Some(SecurityHubMode::Central),
            "member" => Some(SecurityHubMode::Member),
            _ => None,
        })
    }

    fn switch(&mut self, name: &'static str) -> Option<bool> {
        self.read(name, "`enabled` or `disabled`", |text| match text {
            "enabled" => Some(true),
            "disabled" => Some(false),
            _ => None,
        })
    }

    fn topic(&mut self, name: &'static str) -> Option<TopicArn> {
        self.read(name, "the ARN of an SNS topic", TopicArn::parse)
    }
}

/// What settings must have in common to make sense.
trait Coherent {
    /// The first thing that does not.
    fn fault(&self) -> Option<String> {
        None
    }
}

macro_rules! settings {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $kind:ident $variable:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: settings!(@type $kind),)*
        }

        impl $name {
            /// Every variable that is read.
            pub const VARIABLES: &'static [&'static str] = &[$($variable),*];

            /// Reads the settings.
            ///
            /// # Errors
            /// Names every variable that is missing, empty or wrong.
            pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, BadSettings> {
                let mut reader = Reader { lookup, missing: Vec::new(), wrong: Vec::new() };
                $(let $field = reader.$kind($variable);)*
                let whole = || Some(Self { $($field: $field?,)* });
                match whole() {
                    Some(settings) => match settings.fault() {
                        None => Ok(settings),
                        Some(fault) => Err(BadSettings { missing: Vec::new(), wrong: vec![fault] }),
                    },
                    None => Err(BadSettings { missing: reader.missing, wrong: reader.wrong }),
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
    /// Of `deploy`.
    DeploySettings {
        /// The policy repository.
        repository_name: required "REPOSITORY_NAME",
        /// Its branch.
        branch_name: required "BRANCH_NAME",
        /// The policy file in it.
        policy_file: required "POLICY_FILE",
        /// The state table.
        state_table_name: required "STATE_TABLE_NAME",
        /// The topic for notices.
        notification_topic_arn: required "NOTIFICATION_TOPIC_ARN",
        /// Where frameworks forward compliance events to.
        compliance_event_bus_arn: required "COMPLIANCE_EVENT_BUS_ARN",
        /// The bucket for templates that are too large for a call.
        template_bucket_name: required "TEMPLATE_BUCKET_NAME",
        /// The queue that feeds the function.
        deploy_queue_url: required "DEPLOY_QUEUE_URL",
        /// The StackSets administration role.
        administration_role_arn: required "ADMINISTRATION_ROLE_ARN",
        /// The StackSets execution role in every target account.
        execution_role_name: required "EXECUTION_ROLE_NAME",
        /// The topic that chat channels subscribe to.
        chat_topic_arn: optional "CHAT_TOPIC_ARN",
        /// Whether targets may be organizational units.
        organizational_units: switch "ORGANIZATIONAL_UNITS",
        /// Whether verdicts are also written as comments on their commits.
        comment_on_commits: switch "COMMENT_ON_COMMITS",
    }
}

settings! {
    /// Of `lifecycle`.
    LifecycleSettings {
        /// The state table.
        state_table_name: required "STATE_TABLE_NAME",
        /// The queue that wakes `deploy`.
        deploy_queue_url: required "DEPLOY_QUEUE_URL",
    }
}

settings! {
    /// Of `report`.
    ReportSettings {
        /// The state table.
        state_table_name: required "STATE_TABLE_NAME",
        /// The topic for notices.
        notification_topic: topic "NOTIFICATION_TOPIC_ARN",
        /// The topic that chat channels subscribe to.
        chat_topic_arn: optional "CHAT_TOPIC_ARN",
        /// The organisation's Config aggregator, for names and tags of resources.
        config_aggregator_name: optional "CONFIG_AGGREGATOR_NAME",
        /// The queue that feeds the function.
        report_queue_url: required "REPORT_QUEUE_URL",
        /// The queue behind it, for what cannot be understood.
        dead_letter_queue_url: required "REPORT_DEAD_LETTER_QUEUE_URL",
        /// How long what follows a notice is held, to be told together.
        digest_window: window "DIGEST_WINDOW_SECONDS",
        /// Where findings are imported.
        security_hub: security_hub "SECURITY_HUB",
        /// The role in member accounts.
        member_role_name: optional "MEMBER_ROLE_NAME",
        /// The bus for events about violations.
        event_bus_name: optional "NOTICE_EVENT_BUS_NAME",
    }
}

settings! {
    /// Of `sweep`.
    SweepSettings {
        /// The state table.
        state_table_name: required "STATE_TABLE_NAME",
        /// The topic for notices.
        notification_topic: topic "NOTIFICATION_TOPIC_ARN",
        /// The topic that chat channels subscribe to.
        chat_topic_arn: optional "CHAT_TOPIC_ARN",
        /// The organisation's Config aggregator.
        config_aggregator_name: optional "CONFIG_AGGREGATOR_NAME",
        /// Where findings are imported.
        security_hub: security_hub "SECURITY_HUB",
        /// The role in member accounts.
        member_role_name: optional "MEMBER_ROLE_NAME",
        /// The bus for events about violations.
        event_bus_name: optional "NOTICE_EVENT_BUS_NAME",
        /// The organisation; when it is known, its accounts are asked for.
        organization_id: optional "ORGANIZATION_ID",
    }
}

/// Who is told of violations: what `report` and `sweep` have in common.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// The topic for notices.
    pub notification_topic: &'a TopicArn,
    /// The topic that chat channels subscribe to.
    pub chat_topic_arn: Option<&'a str>,
    /// Where findings are imported.
    pub security_hub: SecurityHubMode,
    /// The role in member accounts.
    pub member_role_name: Option<&'a str>,
    /// The bus for events about violations.
    pub event_bus_name: Option<&'a str>,
}

impl Telling<'_> {
    fn fault(&self) -> Option<String> {
        (self.security_hub == SecurityHubMode::Member && self.member_role_name.is_none()).then(|| {
            "the environment variable `SECURITY_HUB` is `member` and `MEMBER_ROLE_NAME` is not set: findings are imported in \
             member accounts through a role that each of them has"
                .to_owned()
        })
    }
}

macro_rules! telling {
    ($($name:ident),*) => {$(
        impl $name {
            /// Who is told of violations.
            #[must_use]
            pub fn telling(&self) -> Telling<'_> {
                Telling {
                    notification_topic: &self.notification_topic,
                    chat_topic_arn: self.chat_topic_arn.as_deref(),
                    security_hub: self.security_hub,
                    member_role_name: self.member_role_name.as_deref(),
                    event_bus_name: self.event_bus_name.as_deref(),
                }
            }
        }

        impl Coherent for $name {
            fn fault(&self) -> Option<String> {
                self.telling().fault()
            }
        }
    )*};
}

telling!(ReportSettings, SweepSettings);
impl Coherent for DeploySettings {}
impl Coherent for LifecycleSettings {}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:012345678901:notices";

    /// What `report` has when all that is required is set.
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
        move |asked| if asked == name { Some(value.to_owned()) } else { set(asked) }
    }

    #[test]
    fn all_missing_variables_are_named_at_once() {
        let only_branch = |name: &str| (name == "BRANCH_NAME").then(|| "main".to_owned());
        let error = DeploySettings::from_env(only_branch).unwrap_err().to_string();
        for name in DeploySettings::VARIABLES.iter().filter(|name| !["BRANCH_NAME", "CHAT_TOPIC_ARN"].contains(name)) {
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        assert!(!error.contains("BRANCH_NAME") && !error.contains("CHAT_TOPIC_ARN"), "{error}");
    }

    #[test]
    fn an_empty_variable_is_a_missing_one_and_an_optional_one_may_be_empty() {
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
    fn what_cannot_be_used_is_named_with_what_was_expected() {
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
    fn findings_in_member_accounts_need_a_role_there() {
        let error = ReportSettings::from_env(with("SECURITY_HUB", "member")).unwrap_err().to_string();
        assert!(error.contains("`MEMBER_ROLE_NAME` is not set"), "{error}");
        let lookup = |name: &str| match name {
            "SECURITY_HUB" => Some("member".to_owned()),
            "MEMBER_ROLE_NAME" => Some("compliance".to_owned()),
            name => set(name),
        };
        let settings = SweepSettings::from_env(lookup).unwrap();
        assert_eq!(settings.telling().security_hub, SecurityHubMode::Member);
        assert_eq!(settings.telling().member_role_name, Some("compliance"));
    }
}
