//! Member accounts, through a role that each of them has.

use crate::error::{unexpected, wrap};
use app::ports::Result;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::config::Region;
use domain::ids::{AccountId, RegionName};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const OPERATION: &str = "sts:AssumeRole";
/// What CloudTrail in the member account shows.
const SESSION: &str = "backup-compliance";
/// Credentials that hold no longer than this are not used any more.
const MARGIN: Duration = Duration::from_mins(5);

/// The role of this name in every member account. Clones share its credentials.
#[derive(Clone)]
pub struct Members {
    config: Arc<SdkConfig>,
    partition: String,
    role: String,
    known: Arc<Mutex<BTreeMap<AccountId, Credentials>>>,
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("role", &self.role).finish_non_exhaustive()
    }
}

impl Members {
    pub(crate) fn new(config: SdkConfig, partition: &str, role: &str) -> Self {
        Self { config: Arc::new(config), partition: partition.to_owned(), role: role.to_owned(), known: Arc::default() }
    }

    /// AWS Config in an account and Region.
    pub(crate) async fn config(&self, account: &AccountId, region: &RegionName) -> Result<aws_sdk_config::Client> {
        let credentials = SharedCredentialsProvider::new(self.credentials(account).await?);
        let config = self.config.to_builder().region(Region::new(region.as_str().to_owned()));
        // The shared cache of identities is for the application's own.
        let config = config.identity_cache(aws_config::identity::IdentityCache::no_cache());
        Ok(aws_sdk_config::Client::new(&config.credentials_provider(credentials).build()))
    }

    /// The role's credentials in an account: assumed once, and again when they are about to expire.
    #[expect(clippy::disallowed_methods, reason = "credentials expire at a wall-clock time")]
    pub(crate) async fn credentials(&self, account: &AccountId) -> Result<Credentials> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(account).cloned();
        let soon = SystemTime::now().checked_add(MARGIN);
        if let Some(known) = known.filter(|known| known.expiry() > soon) {
            return Ok(known);
        }
        let credentials = self.assume(account).await?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(account.clone(), credentials.clone());
        Ok(credentials)
    }

    // By the STS client itself: `AssumeRoleProvider` hides which error it was.
    async fn assume(&self, account: &AccountId) -> Result<Credentials> {
        let Self { partition, role, .. } = self;
        let answer = aws_sdk_sts::Client::new(&self.config)
            .assume_role()
            .role_arn(format!("arn:{partition}:iam::{account}:role/{role}"))
            .role_session_name(SESSION)
            .send()
            .await
            .map_err(|error| wrap(OPERATION, &error))?;
        let assumed = answer.credentials().ok_or_else(|| unexpected(OPERATION, "no credentials in the answer"))?;
        let expiry =
            SystemTime::try_from(*assumed.expiration()).map_err(|error| unexpected(OPERATION, error.to_string()))?;
        Ok(Credentials::new(
            assumed.access_key_id(),
            assumed.secret_access_key(),
            Some(assumed.session_token().to_owned()),
            Some(expiry),
            "MemberRole",
        ))
    }
}
