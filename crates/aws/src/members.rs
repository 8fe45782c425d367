//! Clients for member accounts, through a role that each of them has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::config::Region;

use app::ports::Result;
use framework::ids::{AccountId, RegionName};

use crate::error::{invalid, unexpected, wrap};

const OPERATION: &str = "sts:AssumeRole";
/// The session name that CloudTrail shows in the member account.
const SESSION: &str = "backup-compliance";
/// Credentials that expire within this time are renewed.
const MARGIN: Duration = Duration::from_mins(5);

pub(crate) type Sessions = Arc<Mutex<BTreeMap<(String, AccountId), Credentials>>>;

/// The role of this name in every member account.
#[derive(Clone)]
pub struct MemberAccounts {
    config: Arc<SdkConfig>,
    partition: String,
    role: String,
    sessions: Sessions,
}

impl fmt::Debug for MemberAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("role", &self.role).finish_non_exhaustive()
    }
}

impl MemberAccounts {
    pub(crate) fn new(config: SdkConfig, sessions: Sessions, partition: &str, role: &str) -> Self {
        Self { config: Arc::new(config), partition: partition.to_owned(), role: role.to_owned(), sessions }
    }

    pub(crate) async fn config(&self, account: &AccountId, region: &RegionName) -> Result<aws_sdk_config::Client> {
        Ok(aws_sdk_config::Client::new(&self.sdk_config(account, region).await?))
    }

    pub(crate) async fn sdk_config(&self, account: &AccountId, region: &RegionName) -> Result<SdkConfig> {
        let credentials = SharedCredentialsProvider::new(self.credentials(account).await?);
        let config = self.config.to_builder().region(Region::new(region.as_str().to_owned()));
        // The shared identity cache holds the application's own credentials.
        let config = config.identity_cache(aws_config::identity::IdentityCache::no_cache());
        Ok(config.credentials_provider(credentials).build())
    }

    /// Returns the credentials of the role in an account: assumed once, and renewed before they expire.
    #[expect(clippy::disallowed_methods, reason = "credentials expire at a wall-clock time")]
    pub(crate) async fn credentials(&self, account: &AccountId) -> Result<Credentials> {
        let session = (self.role.clone(), account.clone());
        let known = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&session).cloned();
        let soon = SystemTime::now().checked_add(MARGIN);
        if let Some(known) = known.filter(|known| known.expiry() > soon) {
            return Ok(known);
        }
        let credentials = self.assume(account).await?;
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(session, credentials.clone());
        Ok(credentials)
    }

    // `AssumeRoleProvider` of the SDK hides the error code.
    async fn assume(&self, account: &AccountId) -> Result<Credentials> {
        let Self { partition, role, .. } = self;
        let response = aws_sdk_sts::Client::new(&self.config)
            .assume_role()
            .role_arn(format!("arn:{partition}:iam::{account}:role/{role}"))
            .role_session_name(SESSION)
            .send()
            .await
            .map_err(wrap(OPERATION))?;
        let assumed = response.credentials().ok_or_else(|| unexpected(OPERATION, "the response has no credentials"))?;
        let expiry = SystemTime::try_from(*assumed.expiration()).map_err(invalid(OPERATION))?;
        Ok(Credentials::new(
            assumed.access_key_id(),
            assumed.secret_access_key(),
            Some(assumed.session_token().to_owned()),
            Some(expiry),
            "MemberRole",
        ))
    }
}
