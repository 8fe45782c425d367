//! Credentials and Region of the command line, resolved as by the AWS CLI.

use std::error::Error;

use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::os_shim_internal::{Env, Fs};

use syntax::text::closest_match;

use crate::Clients;
use crate::clients::limited;
use crate::settings::environment;

const LISTED: usize = 10;

/// The options `--profile` and `--region`. Without them the environment applies, as for the AWS CLI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileOptions {
    /// The profile.
    pub profile: Option<String>,
    /// The Region.
    pub region: Option<String>,
}

/// An unusable profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProfileError(String);

impl Clients {
    /// Creates clients with the credentials and Region that the AWS CLI would use. Calls to an unreachable host fail within
    /// ten seconds.
    pub async fn at_terminal(access: &ProfileOptions) -> Result<Self, ProfileError> {
        let profile = access.profile.clone().or_else(|| environment("AWS_PROFILE"));
        if let Some(profile) = &profile {
            require_profile(profile).await?;
        }
        let http_client = crate::circuit_breaker::client();
        let mut loader = aws_config::from_env().http_client(http_client.clone());
        if let Some(profile) = &access.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &access.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = limited(loader).load().await;
        let inner = match &access.profile {
            // `--profile` takes precedence over credentials in the environment.
            Some(profile) => Some(profile_credentials(profile, &config, http_client)),
            None => config.credentials_provider(),
        };
        let credentials = inner.map(|inner| SharedCredentialsProvider::new(ExplainedCredentials { inner, profile }));
        let mut config = config.into_builder();
        config.set_credentials_provider(credentials);
        Ok(Self::from_config(config.build()))
    }
}

fn profile_credentials(
    profile: &str,
    config: &SdkConfig,
    http_client: aws_smithy_runtime_api::client::http::SharedHttpClient,
) -> SharedCredentialsProvider {
    let mut provider = ProviderConfig::default().with_region(config.region().cloned()).with_http_client(http_client);
    provider = provider.with_behavior_version(Some(aws_config::BehaviorVersion::latest()));
    if let Some(retry) = config.retry_config() {
        provider = provider.with_retry_config(retry.clone());
    }
    if let Some(timeouts) = config.timeout_config() {
        provider = provider.with_timeout_config(timeouts.clone());
    }
    let credentials = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build();
    SharedCredentialsProvider::new(credentials)
}

async fn require_profile(name: &str) -> Result<(), ProfileError> {
    let file = |variable, usual: &str| environment(variable).unwrap_or_else(|| usual.to_owned());
    let config = file("AWS_CONFIG_FILE", "~/.aws/config");
    let files = format!("{config} and {}", file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"));
    match aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await {
        Err(error) => Err(ProfileError(format!("the profiles in {files} cannot be read: {}", chain(&error)))),
        Ok(profiles) if profiles.get_profile(name).is_some() => Ok(()),
        Ok(profiles) => {
            let known = known(name, &profiles);
            Err(ProfileError(format!("the profile `{name}` does not exist in {files}: {known}")))
        }
    }
}

fn known(name: &str, profiles: &ProfileSet) -> String {
    let mut names: Vec<&str> = profiles.profiles().collect();
    names.sort_unstable();
    if let Some(similar) = closest_match(name, names.iter().copied()) {
        return format!("did you mean `{similar}`?");
    }
    let first: Vec<&str> = names.iter().take(LISTED).copied().collect();
    match names.len().saturating_sub(LISTED) {
        _ if names.is_empty() => "no profiles are defined".to_owned(),
        0 => format!("the profiles are {}", first.join(", ")),
        more => format!("the profiles are {} and {more} more", first.join(", ")),
    }
}

/// Credentials whose errors name the profile and the fix.
#[derive(Debug)]
struct ExplainedCredentials {
    inner: SharedCredentialsProvider,
    profile: Option<String>,
}

/// Prefix of a credentials error, by which the command line finds the reason in an SDK error.
pub const NO_CREDENTIALS: &str = "no AWS credentials: ";

impl ExplainedCredentials {
    fn explain(&self, error: CredentialsError) -> CredentialsError {
        let all = chain(&error);
        let is_sso = ["SSO token", "UnauthorizedException", "sso/cache"].iter().any(|words| all.contains(words));
        let name = self.profile.as_deref();
        let reason = match (is_sso, name) {
            (true, name) => {
                let of = name.map(|name| format!(" of the profile `{name}`")).unwrap_or_default();
                let option = name.map(|name| format!(" --profile {name}")).unwrap_or_default();
                format!(
                    "the IAM Identity Center session{of} is missing or has expired: sign in with `aws sso login{option}`"
                )
            }
            (false, Some(name)) => format!("the profile `{name}` provides none: {all}"),
            (false, None) => return error,
        };
        CredentialsError::provider_error(format!("{NO_CREDENTIALS}{reason}"))
    }
}

impl ProvideCredentials for ExplainedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            self.inner.provide_credentials().await.map_err(|error| self.explain(error))
        })
    }

    fn fallback_on_interrupt(&self) -> Option<aws_credential_types::Credentials> {
        self.inner.fallback_on_interrupt()
    }
}

fn chain(error: &dyn Error) -> String {
    let errors = std::iter::successors(Some(error), |error| (*error).source());
    errors.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
