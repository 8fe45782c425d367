//! What the functions are told by their environment. Every variable is set in template.yaml; all that are missing are named
//! at once.

use std::fmt;

/// Variables that are not set.
#[derive(Clone, PartialEq, Eq)]
pub struct MissingSettings(Vec<&'static str>);

impl fmt::Display for MissingSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(
            f,
            "missing environment variable{plural} {}: template.yaml sets what this function needs",
            self.0.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        )
    }
}

// Start-up errors are printed with `Debug`; people read them.
impl fmt::Debug for MissingSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for MissingSettings {}

/// The environment of this process.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct Reader<L> {
    lookup: L,
    missing: Vec<&'static str>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.trim().is_empty())
    }

    fn required(&mut self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.missing.push(name);
            String::new()
        })
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
            /// Names every required variable that is missing or empty.
            pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, MissingSettings> {
                let mut reader = Reader { lookup, missing: Vec::new() };
                let settings = Self { $($field: reader.$kind($variable),)* };
                if reader.missing.is_empty() { Ok(settings) } else { Err(MissingSettings(reader.missing)) }
            }
        }
    };
    (@type required) => { String };
    (@type optional) => { Option<String> };
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
        /// The StackSets administration role.
        administration_role_arn: required "ADMINISTRATION_ROLE_ARN",
        /// The StackSets execution role in every target account.
        execution_role_name: required "EXECUTION_ROLE_NAME",
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
    /// Of `report` and `sweep`.
    ReportSettings {
        /// The state table.
        state_table_name: required "STATE_TABLE_NAME",
        /// The topic for notices.
        notification_topic_arn: required "NOTIFICATION_TOPIC_ARN",
        /// The organisation's Config aggregator, for names and ARNs of resources.
        config_aggregator_name: optional "CONFIG_AGGREGATOR_NAME",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_variables_are_named_at_once() {
        let only_branch = |name: &str| (name == "BRANCH_NAME").then(|| "main".to_owned());
        let error = DeploySettings::from_env(only_branch).unwrap_err().to_string();
        for name in DeploySettings::VARIABLES.iter().filter(|name| **name != "BRANCH_NAME") {
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        assert!(!error.contains("BRANCH_NAME"), "{error}");
    }

    #[test]
    fn an_empty_variable_is_a_missing_one_and_an_optional_one_may_be_empty() {
        let lookup = |name: &str| Some(if name == "STATE_TABLE_NAME" { " " } else { "" }.to_owned());
        let error = ReportSettings::from_env(lookup).unwrap_err().to_string();
        assert!(error.contains("`STATE_TABLE_NAME`, `NOTIFICATION_TOPIC_ARN`"), "{error}");
        assert!(!error.contains("CONFIG_AGGREGATOR_NAME"), "{error}");

        let settings = ReportSettings::from_env(|name| (name != "CONFIG_AGGREGATOR_NAME").then(|| "x".to_owned()));
        assert_eq!(settings.unwrap().config_aggregator_name, None);
    }
}
