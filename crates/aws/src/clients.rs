//! One AWS configuration and the clients derived from it. Endpoints are overridden by the SDK's own variables only.

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{ConfigLoader, SdkConfig};

use crate::members::{MemberAccounts, Sessions};
use crate::settings::environment;

/// The configuration that all clients share, connections included.
#[derive(Clone)]
pub struct Clients {
    pub(crate) config: SdkConfig,
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
    pub fn from_config(config: SdkConfig) -> Self {
        Self { config, sessions: Sessions::default() }
    }

    /// The role of this name in member accounts.
    pub fn members(&self, partition: &str, role: &str) -> MemberAccounts {
        MemberAccounts::new(self.config.clone(), self.sessions.clone(), partition, role)
    }

    /// For many calls without a deadline: throttling is waited out.
    pub(crate) fn patient(&self) -> Self {
        let retries = RetryConfig::standard().with_max_attempts(PATIENT_ATTEMPTS);
        Self { config: self.config.to_builder().retry_config(retries).build(), sessions: self.sessions.clone() }
    }

    /// The custom endpoint of a service that is called without an SDK client.
    pub(crate) fn endpoint(&self, variable: &str) -> Option<String> {
        environment(variable).or_else(|| self.config.endpoint_url().map(ToOwned::to_owned))
    }

    pub(crate) fn region(&self) -> String {
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
