//! Organizational units and their accounts, from AWS Organizations.
//!
//! Requests are sent without the SDK client, signed by AWS's signing crate: the five calls read a few fields each, and the package
//! of `deploy` stays small.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use aws_credential_types::provider::SharedCredentialsProvider;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use serde_json::{Value, json};

use app::deploy::ports::OrganizationalUnits;
use app::ports::{PortError, PortErrorKind, Result};
use domain::rollout::Membership;
use framework::ids::{AccountId, UnitId};

use crate::error::{invalid, unexpected};
use crate::https::Https;
use crate::pages::pages;
use crate::signed::{JsonCall, Signer};

const DESCRIBE: &str = "organizations:DescribeOrganization";
const ROOTS: &str = "organizations:ListRoots";
const ACCOUNTS: &str = "organizations:ListAccountsForParent";
const UNITS: &str = "organizations:ListOrganizationalUnitsForParent";
/// Units that are read concurrently. The quotas of AWS Organizations are low, and other tools of the organization share them.
const AT_ONCE: usize = 4;
/// Milliseconds between the attempts of one call: six attempts.
const WAITS: [u64; 5] = [250, 500, 1_000, 2_000, 4_000];

/// The organization's units, if the application may read them.
#[derive(Debug, Clone)]
pub struct OrganizationUnits {
    organizations: Option<Organizations>,
}

impl OrganizationUnits {
    /// Reads nothing: policies with organizational units fail.
    pub fn disabled() -> Self {
        Self { organizations: None }
    }

    /// `region` is that of the application; the service has one endpoint in each partition.
    pub(crate) fn new(credentials: Option<SharedCredentialsProvider>, endpoint: Option<String>, region: &str) -> Self {
        let (home, suffix) = service_endpoint(region);
        let address = endpoint.unwrap_or_else(|| format!("https://organizations.{home}.{suffix}/"));
        let signer = Signer::new(Https::default(), credentials, "organizations", home);
        Self { organizations: Some(Organizations { signer, address }) }
    }
}

/// Returns the Region of signatures and the DNS suffix ("AWS Organizations endpoints and quotas" of the general reference; equal to
/// the endpoint rules of the SDK).
fn service_endpoint(region: &str) -> (&'static str, &'static str) {
    match region {
        _ if region.starts_with("cn-") => ("cn-northwest-1", "amazonaws.com.cn"),
        _ if region.starts_with("us-gov-") => ("us-gov-west-1", "amazonaws.com"),
        _ if region.starts_with("eusc-") => ("eusc-de-east-1", "amazonaws.eu"),
        _ => ("us-east-1", "amazonaws.com"),
    }
}

impl OrganizationalUnits for OrganizationUnits {
    async fn membership(&self, units: &BTreeSet<UnitId>) -> Result<Membership> {
        match &self.organizations {
            _ if units.is_empty() => Ok(Membership::default()),
            Some(organizations) => membership(organizations, units).await,
            None => {
                let reason = "the application may not read the accounts of organizational units";
                Err(PortError { kind: PortErrorKind::Denied, ..unexpected(ACCOUNTS, reason) })
            }
        }
    }
}

trait OrganizationsApi {
    fn call(&self, operation: &'static str, body: Value) -> impl Future<Output = Result<Value>> + Send;
}

#[derive(Debug, Clone)]
struct Organizations {
    signer: Signer,
    address: String,
}

impl OrganizationsApi for Organizations {
    async fn call(&self, operation: &'static str, body: Value) -> Result<Value> {
        let call = JsonCall {
            operation,
            address: &self.address,
            target: "AWSOrganizationsV20161128",
            content_type: "application/x-amz-json-1.1",
            waits: &WAITS,
        };
        self.signer.json(call, &body).await
    }
}

#[derive(Debug, Default)]
struct Children {
    units: BTreeSet<UnitId>,
    accounts: BTreeSet<AccountId>,
    inactive: BTreeSet<AccountId>,
}

async fn membership(organizations: &(impl OrganizationsApi + Sync), units: &BTreeSet<UnitId>) -> Result<Membership> {
    let organization = organizations.call(DESCRIBE, json!({})).await?;
    let management = text(DESCRIBE, &organization, "/Organization/MasterAccountId", AccountId::parse)?;
    // An organization has one root today, although the API returns a list.
    let roots = list(organizations, ROOTS, &json!({}), "Roots").await?;
    let root = roots.first().map(|root| text(ROOTS, root, "/Id", UnitId::parse)).transpose()?;
    // Level by level, so that a subtree that several units share is read once.
    let mut known: BTreeMap<UnitId, Option<Children>> = BTreeMap::new();
    let mut next = units.clone();
    while !next.is_empty() {
        let reads = iter(next).map(|unit| async move { Ok((unit.clone(), children(organizations, &unit).await?)) });
        let found: Vec<(UnitId, Option<Children>)> = reads.buffer_unordered(AT_ONCE).try_collect().await?;
        known.extend(found);
        let units = known.values().flatten().flat_map(|children| &children.units);
        next = units.filter(|unit| !known.contains_key(*unit)).cloned().collect();
    }
    let exists = |unit: &&UnitId| known.get(*unit).is_some_and(Option::is_some);
    Ok(Membership {
        root,
        management: Some(management),
        units: units.iter().filter(exists).map(|unit| (unit.clone(), accounts_below(&known, unit))).collect(),
        inactive: known.values().flatten().flat_map(|children| &children.inactive).cloned().collect(),
    })
}

fn accounts_below(known: &BTreeMap<UnitId, Option<Children>>, unit: &UnitId) -> BTreeSet<AccountId> {
    let mut accounts = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut rest = vec![unit];
    while let Some(unit) = rest.pop() {
        if let (true, Some(Some(children))) = (seen.insert(unit), known.get(unit)) {
            accounts.extend(children.accounts.iter().cloned());
            rest.extend(&children.units);
        }
    }
    accounts
}

/// Reads the direct children of a unit; `None` if it does not exist.
async fn children(organizations: &(impl OrganizationsApi + Sync), unit: &UnitId) -> Result<Option<Children>> {
    let parent = json!({ "ParentId": unit.as_str() });
    let read = async {
        let accounts = list(organizations, ACCOUNTS, &parent, "Accounts").await?;
        Ok::<_, PortError>((accounts, list(organizations, UNITS, &parent, "OrganizationalUnits").await?))
    };
    let (accounts, units) = match read.await {
        Ok(read) => read,
        // `ParentNotFoundException`: never existed, was deleted, or belongs to another organization.
        Err(PortError { kind: PortErrorKind::NotFound, .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut children = Children::default();
    for account in &accounts {
        let id = text(ACCOUNTS, account, "/Id", AccountId::parse)?;
        if !is_active(account) {
            children.inactive.insert(id.clone());
        }
        children.accounts.insert(id);
    }
    for unit in &units {
        children.units.insert(text(UNITS, unit, "/Id", UnitId::parse)?);
    }
    Ok(Some(children))
}

async fn list(
    organizations: &(impl OrganizationsApi + Sync),
    operation: &'static str,
    body: &Value,
    name: &str,
) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let ask = |token: Option<String>| {
        let mut body = body.clone();
        if let (Some(token), Some(fields)) = (token, body.as_object_mut()) {
            fields.insert("NextToken".into(), token.into());
        }
        organizations.call(operation, body)
    };
    pages(operation, ask, |mut page: Value| {
        if let Some(Value::Array(items)) = page.get_mut(name).map(Value::take) {
            all.extend(items);
        }
        Ok(page.get("NextToken").and_then(Value::as_str).map(ToOwned::to_owned))
    })
    .await?;
    Ok(all)
}

fn text<T, E: ToString>(
    operation: &'static str,
    value: &Value,
    path: &str,
    read: impl Fn(&str) -> std::result::Result<T, E>,
) -> Result<T> {
    let text = value.pointer(path).and_then(Value::as_str).unwrap_or_default();
    read(text).map_err(invalid(operation))
}

/// `State` replaces `Status`, which older endpoints send alone.
fn is_active(account: &Value) -> bool {
    let field = |name: &str| account.get(name).and_then(Value::as_str);
    field("State").or_else(|| field("Status")).is_none_or(|state| state == "ACTIVE")
}

#[cfg(test)]
mod tests;
