//! Organizational units, and which accounts belong to them.
//!
//! Plain requests, signed by AWS's own signing crate: the package of `deploy` is to stay small, and five calls with an answer of a
//! few fields each need no client of the SDK.

use crate::error::unexpected;
use crate::https::Https;
use crate::signed::{JsonCall, Manner, Signer};
use app::ports::{OrganizationalUnits, PortError, PortErrorKind, Result};
use aws_credential_types::provider::SharedCredentialsProvider;
use domain::ids::{AccountId, UnitId};
use domain::rollout::Membership;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

const DESCRIBE: &str = "organizations:DescribeOrganization";
const ROOTS: &str = "organizations:ListRoots";
const ACCOUNTS: &str = "organizations:ListAccountsForParent";
const UNITS: &str = "organizations:ListOrganizationalUnitsForParent";
/// How many units are asked about side by side. Organizations takes few calls in a second, and other tools of the organisation share
/// them.
const AT_ONCE: usize = 4;
/// Waits between the attempts at one call; one attempt more than there are waits.
const WAITS: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The organisation's units, if the application is set up to ask.
#[derive(Debug, Clone)]
pub struct OrganizationUnits {
    organizations: Option<Organizations>,
}

impl OrganizationUnits {
    /// Nobody is asked; a policy that names organizational units cannot be rolled out.
    #[must_use]
    pub fn off() -> Self {
        Self { organizations: None }
    }

    /// `region` is that of the application: the service has one endpoint in each partition.
    pub(crate) fn new(credentials: Option<SharedCredentialsProvider>, endpoint: Option<String>, region: &str) -> Self {
        let (home, suffix) = home(region);
        let address = endpoint.unwrap_or_else(|| format!("https://organizations.{home}.{suffix}/"));
        let signer = Signer::new(credentials, "organizations", home, Manner::Usual);
        Self { organizations: Some(Organizations { https: Https::default(), signer, address }) }
    }
}

/// The Region that signatures are for, and the end of the host name ("AWS Organizations endpoints and quotas" of the general
/// reference; the same is in the endpoint rules of the SDK).
fn home(region: &str) -> (&'static str, &'static str) {
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
                let why = "the application is not set up to ask which accounts belong to organizational units";
                Err(PortError { kind: PortErrorKind::Denied, ..unexpected(ACCOUNTS, why) })
            }
        }
    }
}

/// One call to AWS Organizations.
trait Ask {
    /// The answer; what may succeed later was tried again.
    fn ask(&self, operation: &'static str, body: Value) -> impl Future<Output = Result<Value>> + Send;
}

#[derive(Debug, Clone)]
struct Organizations {
    https: Https,
    signer: Signer,
    address: String,
}

impl Ask for Organizations {
    async fn ask(&self, operation: &'static str, body: Value) -> Result<Value> {
        let call = JsonCall {
            operation,
            address: &self.address,
            target: "AWSOrganizationsV20161128",
            content_type: "application/x-amz-json-1.1",
            waits: &WAITS,
        };
        self.signer.json(&self.https, call, &body).await
    }
}

/// What is directly below a unit.
#[derive(Debug, Default)]
struct Below {
    units: BTreeSet<UnitId>,
    accounts: BTreeSet<AccountId>,
    inactive: BTreeSet<AccountId>,
}

async fn membership(organizations: &(impl Ask + Sync), units: &BTreeSet<UnitId>) -> Result<Membership> {
    let organization = organizations.ask(DESCRIBE, json!({})).await?;
    let management = text(DESCRIBE, &organization, "/Organization/MasterAccountId", AccountId::parse)?;
    // There is one root today; the list is a list all the same.
    let roots = list(organizations, ROOTS, &json!({}), "Roots").await?;
    let root = roots.first().map(|root| text(ROOTS, root, "/Id", UnitId::parse)).transpose()?;
    // Level by level, so that a subtree that several units share is asked about once.
    let mut known: BTreeMap<UnitId, Option<Below>> = BTreeMap::new();
    let mut next = units.clone();
    while !next.is_empty() {
        let asked = iter(next).map(|unit| async move { Ok((unit.clone(), below(organizations, &unit).await?)) });
        let found: Vec<(UnitId, Option<Below>)> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
        known.extend(found);
        let children = known.values().flatten().flat_map(|below| &below.units);
        next = children.filter(|unit| !known.contains_key(*unit)).cloned().collect();
    }
    let exists = |unit: &&UnitId| known.get(*unit).is_some_and(Option::is_some);
    Ok(Membership {
        root,
        management: Some(management),
        units: units.iter().filter(exists).map(|unit| (unit.clone(), accounts_below(&known, unit))).collect(),
        inactive: known.values().flatten().flat_map(|below| &below.inactive).cloned().collect(),
    })
}

/// The accounts of a unit and of all its child units.
fn accounts_below(known: &BTreeMap<UnitId, Option<Below>>, unit: &UnitId) -> BTreeSet<AccountId> {
    let mut accounts = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut rest = vec![unit];
    while let Some(unit) = rest.pop() {
        if let (true, Some(Some(below))) = (seen.insert(unit), known.get(unit)) {
            accounts.extend(below.accounts.iter().cloned());
            rest.extend(&below.units);
        }
    }
    accounts
}

/// What is directly below a unit; `None` where there is no such unit.
async fn below(organizations: &(impl Ask + Sync), unit: &UnitId) -> Result<Option<Below>> {
    let parent = json!({ "ParentId": unit.as_str() });
    let accounts = match list(organizations, ACCOUNTS, &parent, "Accounts").await {
        Ok(accounts) => accounts,
        // `ParentNotFoundException`: it never was, was deleted meanwhile, or belongs to another organisation.
        Err(error) if error.kind == PortErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let units = match list(organizations, UNITS, &parent, "OrganizationalUnits").await {
        Ok(units) => units,
        Err(error) if error.kind == PortErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut below = Below::default();
    for account in &accounts {
        let id = text(ACCOUNTS, account, "/Id", AccountId::parse)?;
        if !is_active(account) {
            below.inactive.insert(id.clone());
        }
        below.accounts.insert(id);
    }
    for unit in &units {
        below.units.insert(text(UNITS, unit, "/Id", UnitId::parse)?);
    }
    Ok(Some(below))
}

/// All pages of a list. A page may be empty and not the last.
async fn list(
    organizations: &(impl Ask + Sync),
    operation: &'static str,
    body: &Value,
    name: &str,
) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut body = body.clone();
    loop {
        let mut page = organizations.ask(operation, body.clone()).await?;
        if let Some(Value::Array(items)) = page.get_mut(name).map(Value::take) {
            all.extend(items);
        }
        match page.get_mut("NextToken").map(Value::take) {
            Some(Value::String(token)) if !token.is_empty() => {
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("NextToken".into(), Value::String(token));
                }
            }
            _ => return Ok(all),
        }
    }
}

fn text<T, E: ToString>(
    operation: &'static str,
    value: &Value,
    path: &str,
    read: impl Fn(&str) -> std::result::Result<T, E>,
) -> Result<T> {
    let text = value.pointer(path).and_then(Value::as_str).unwrap_or_default();
    read(text).map_err(|error| unexpected(operation, error.to_string()))
}

/// `State` has come in the place of `Status`; whoever does not send it yet sends the other.
fn is_active(account: &Value) -> bool {
    let said = |name: &str| account.get(name).and_then(Value::as_str);
    said("State").or_else(|| said("Status")).is_none_or(|state| state == "ACTIVE")
}

#[cfg(test)]
mod tests;
