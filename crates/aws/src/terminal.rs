//! Credentials and Region of a user at a terminal, found as the AWS CLI finds them.

use crate::Clients;
use crate::clients::limited;
use crate::settings::environment;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::os_shim_internal::{Env, Fs};
use domain::fault::nearest;
use std::error::Error;

/// Profiles that an error lists.
const LISTED: usize = 10;

/// What the options `--profile` and `--region` of the AWS CLI name; without them, the environment decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The profile.
    pub profile: Option<String>,
    /// The Region.
    pub region: Option<String>,
}

/// Why AWS cannot be called with a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAccess {
    /// It is in no file.
    #[error("the profile `{name}` does not exist in {files}: {known}")]
    UnknownProfile {
        /// Its name.
        name: String,
        /// The files that were read.
        files: String,
        /// The profiles that they have.
        known: String,
    },
    /// A file cannot be read.
    #[error("the profiles in {files} cannot be read: {why}")]
    Unreadable {
        /// The files.
        files: String,
        /// Why.
        why: String,
    },
}

impl Clients {
    /// Clients with the credentials and the Region that the AWS CLI would use. Calls to a host that cannot be reached end within ten
    /// seconds.
    ///
    /// # Errors
    /// When the profile does not exist, or the files with the profiles cannot be read.
    pub async fn at_terminal(access: &Access) -> Result<Self, NoAccess> {
        let profile = access.profile.clone().or_else(|| environment("AWS_PROFILE"));
        if let Some(profile) = &profile {
            exists(profile).await?;
        }
        let http_client = crate::reach::client();
        let mut loader = aws_config::from_env().http_client(http_client.clone());
        if let Some(profile) = &access.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &access.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = limited(loader).load().await;
        let inner = match &access.profile {
            // A profile that is named goes before credentials in the environment.
            Some(profile) => Some(of_profile(profile, &config, http_client)),
            None => config.credentials_provider(),
        };
        let credentials = inner.map(|inner| SharedCredentialsProvider::new(Explained { inner, profile }));
        let mut config = config.into_builder();
        config.set_credentials_provider(credentials);
        Ok(Self::from_config(config.build()))
    }
}

fn of_profile(
    profile: &str,
    config: &SdkConfig,
    http_client: aws_smithy_runtime_api::client::http::SharedHttpClient,
) -> SharedCredentialsProvider {
    let mut provider = ProviderConfig::default()
        .with_region(config.region().cloned())
        .with_http_client(http_client)
        .with_behavior_version(Some(aws_config::BehaviorVersion::latest()));
    if let Some(retry) = config.retry_config() {
        provider = provider.with_retry_config(retry.clone());
    }
    if let Some(timeouts) = config.timeout_config() {
        provider = provider.with_timeout_config(timeouts.clone());
    }
    let credentials = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build();
    SharedCredentialsProvider::new(credentials)
}

/// Whether a profile is in the files of the AWS CLI.
async fn exists(name: &str) -> Result<(), NoAccess> {
    let file = |variable, usual: &str| environment(variable).unwrap_or_else(|| usual.to_owned());
    let files = format!(
        "{} and {}",
        file("AWS_CONFIG_FILE", "~/.aws/config"),
        file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    );
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await;
    let profiles = match profiles {
        Ok(profiles) => profiles,
        Err(error) => return Err(NoAccess::Unreadable { files, why: chain(&error) }),
    };
    if profiles.get_profile(name).is_some() {
        return Ok(());
    }
    Err(NoAccess::UnknownProfile { name: name.to_owned(), files, known: known(name, &profiles) })
}

/// The profiles that there are, as far as that helps to name another one.
fn known(name: &str, profiles: &ProfileSet) -> String {
    let mut names: Vec<&str> = profiles.profiles().collect();
    names.sort_unstable();
    if let Some(near) = nearest(name, names.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    let first: Vec<&str> = names.iter().take(LISTED).copied().collect();
    match names.len().saturating_sub(LISTED) {
        _ if names.is_empty() => "there are no profiles".to_owned(),
        0 => format!("the profiles are {}", first.join(", ")),
        more => format!("the profiles are {} and {more} more", first.join(", ")),
    }
}

/// Credentials whose errors name the profile and the way out.
#[derive(Debug)]
struct Explained {
    inner: SharedCredentialsProvider,
    profile: Option<String>,
}

/// How the reason begins, for those who show it.
pub const NO_CREDENTIALS: &str = "no AWS credentials: ";

impl Explained {
    fn explain(&self, error: CredentialsError) -> CredentialsError {
        let all = chain(&error);
        let is_sso = ["SSO token", "UnauthorizedException", "sso/cache"].iter().any(|words| all.contains(words));
        let name = self.profile.as_deref();
        let reason = match (is_sso, name) {
            (true, Some(name)) => format!(
                "the session of the profile `{name}` with IAM Identity Center has expired or is missing: sign in with `aws sso login \
                 --profile {name}`"
            ),
            (true, None) => {
                "the session with IAM Identity Center has expired or is missing: sign in with `aws sso login`"
                    .to_owned()
            }
            (false, Some(name)) => format!("the profile `{name}` gives none: {all}"),
            (false, None) => return error,
        };
        CredentialsError::provider_error(format!("{NO_CREDENTIALS}{reason}"))
    }
}

impl ProvideCredentials for Explained {
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

/// An error and all that led to it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}
