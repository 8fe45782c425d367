//! AWS Organizations in memory, and the roles that callers assumed.
//!
//! moto also emulates organizations, but chooses the ids of accounts; the starter policy has fixed ids.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::call::ApiCall;
use crate::http::{HttpRequest, HttpResponse};
use crate::ids;
use crate::wire;

/// The id of the organization.
pub const ORGANIZATION: &str = "o-sandbox123";

/// The root, with the central account.
pub const ROOT: &str = "r-sbox";

/// The unit `workloads` below the root, with `shop` and `payments`.
pub const WORKLOADS: &str = "ou-sbox-workloads";

/// The unit `data` below `workloads`, with `analytics`.
pub const DATA: &str = "ou-sbox-datateam";

/// The accounts of the starter policy, with their names and units.
const MEMBERS: [(&str, &str, &str); 3] =
    [("111111111111", "shop", WORKLOADS), ("222222222222", "payments", WORKLOADS), ("333333333333", "analytics", DATA)];

/// The largest page of a list.
const PAGE: usize = 20;

#[derive(Debug)]
pub(crate) struct Organizations {
    central: String,
    state: Mutex<OrganizationState>,
}

#[derive(Debug)]
struct OrganizationState {
    /// The management account; if it is another account, the central account is a delegated administrator.
    management: String,
    /// Whether StackSets has trusted access (`ActivateOrganizationsAccess`).
    trusted: bool,
    units: BTreeMap<String, Unit>,
    accounts: BTreeMap<String, Account>,
    /// Accounts whose roles cannot be assumed.
    closed: BTreeSet<String>,
    /// The accounts of access keys that `AssumeRole` returned.
    sessions: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Unit {
    name: String,
    parent: String,
}

#[derive(Debug)]
struct Account {
    name: String,
    parent: String,
    suspended: bool,
}

/// The accounts that StackSets does not deploy to.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountRestrictions {
    pub(crate) management: String,
    pub(crate) suspended: BTreeSet<String>,
}

impl Organizations {
    pub(crate) fn new(central: &str) -> Self {
        let account = |name: &str, parent: &str| Account { name: name.into(), parent: parent.into(), suspended: false };
        let mut accounts: BTreeMap<String, Account> =
            MEMBERS.iter().map(|(id, name, unit)| ((*id).to_owned(), account(name, unit))).collect();
        accounts.insert(central.to_owned(), account("backup administration", ROOT));
        let unit = |name: &str, parent: &str| Unit { name: name.to_owned(), parent: parent.to_owned() };
        let units = BTreeMap::from([
            (WORKLOADS.to_owned(), unit("workloads", ROOT)),
            (DATA.to_owned(), unit("data", WORKLOADS)),
        ]);
        let state = OrganizationState {
            management: central.to_owned(),
            trusted: true,
            units,
            accounts,
            closed: BTreeSet::new(),
            sessions: BTreeMap::new(),
        };
        Self { central: central.to_owned(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, OrganizationState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an account below the root, or changes its name.
    pub(crate) fn add_account(&self, account: &str, name: &str) {
        let mut state = self.state();
        let fresh = || Account { name: String::new(), parent: ROOT.to_owned(), suspended: false };
        state.accounts.entry(account.to_owned()).or_insert_with(fresh).name = name.to_owned();
    }

    /// Moves an account to a unit.
    pub(crate) fn move_account(&self, account: &str, unit: &str) {
        if let Some(account) = self.state().accounts.get_mut(account) {
            unit.clone_into(&mut account.parent);
        }
    }

    /// Removes an account.
    pub(crate) fn remove_account(&self, account: &str) {
        self.state().accounts.remove(account);
    }

    /// Suspends an account, or ends its suspension.
    pub(crate) fn set_suspended(&self, account: &str, suspended: bool) {
        if let Some(account) = self.state().accounts.get_mut(account) {
            account.suspended = suspended;
        }
    }

    /// Creates a unit; returns its id.
    pub(crate) fn create_unit(&self, parent: &str, name: &str) -> String {
        let id = format!("ou-sbox-{:08x}", ids::random() & 0xffff_ffff);
        self.state().units.insert(id.clone(), Unit { name: name.to_owned(), parent: parent.to_owned() });
        id
    }

    /// Makes another account the management account, and the central account a delegated administrator.
    pub(crate) fn set_management_account(&self, management: &str) {
        self.add_account(management, "management");
        management.clone_into(&mut self.state().management);
    }

    /// Sets whether StackSets has trusted access.
    pub(crate) fn set_trusted_access(&self, trusted: bool) {
        self.state().trusted = trusted;
    }

    /// Returns CloudFormation's error message if the caller may not use service-managed StackSets.
    pub(crate) fn stack_sets_error(&self, delegated: bool) -> Option<&'static str> {
        let state = self.state();
        match (state.management == self.central, delegated) {
            _ if !state.trusted => Some("You must enable organizations access to operate a service managed stack set"),
            (true, true) => Some("Account used is not a delegated administrator"),
            (false, false) => Some(
                "You must be the organization's management account or delegated administrator to operate a service managed stack set",
            ),
            _ => None,
        }
    }

    /// Returns the accounts that StackSets does not deploy to.
    pub(crate) fn restrictions(&self) -> AccountRestrictions {
        let state = self.state();
        let suspended = state.accounts.iter().filter(|(_, account)| account.suspended).map(|(id, _)| id.clone());
        AccountRestrictions { management: state.management.clone(), suspended: suspended.collect() }
    }

    /// Returns the accounts below a unit or the root, including child units; `None` if the unit does not exist.
    pub(crate) fn accounts_below(&self, unit: &str) -> Option<BTreeSet<String>> {
        let state = self.state();
        state.knows(unit).then(|| {
            let below = state.accounts.iter().filter(|(_, account)| state.is_below(&account.parent, unit));
            below.map(|(id, _)| id.clone()).collect()
        })
    }

    /// Sets whether roles of an account can be assumed; all can at the start.
    pub(crate) fn set_assume_role_allowed(&self, account: &str, open: bool) {
        let mut state = self.state();
        if open {
            state.closed.remove(account);
        } else {
            state.closed.insert(account.to_owned());
        }
    }

    /// Returns the account of an access key: the account of the assumed role, the account with this id, or the central
    /// account.
    pub(crate) fn account_of(&self, access_key: &str) -> String {
        if let Some(account) = self.state().sessions.get(access_key) {
            return account.clone();
        }
        let is_id = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
        if is_id { access_key.to_owned() } else { self.central.clone() }
    }

    /// Whether `AssumeRole` returned an access key.
    pub(crate) fn has_assumed(&self, access_key: &str) -> bool {
        self.state().sessions.contains_key(access_key)
    }

    /// Returns the error of an `AssumeRole` in an account that is closed or not in the organization.
    pub(crate) fn assume_role_error(&self, call: &ApiCall) -> Option<HttpResponse> {
        let role = call.form.get("RoleArn")?;
        let account = role.split(':').nth(4).unwrap_or_default();
        let state = self.state();
        if state.accounts.contains_key(account) && !state.closed.contains(account) {
            return None;
        }
        let why = format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role}", call.access_key);
        Some(wire::query_error(403, "AccessDenied", &why))
    }

    /// Stores the account of the credentials in a response of `AssumeRole`.
    pub(crate) fn record_assumed_role(&self, call: &ApiCall, answer: &HttpResponse) {
        let account = call.form.get("RoleArn").and_then(|role| role.split(':').nth(4));
        let (Some(account), Some(key)) = (account, wire::xml_text(&answer.text(), "AccessKeyId")) else { return };
        self.state().sessions.insert(key, account.to_owned());
    }

    pub(crate) fn knows(operation: &str) -> bool {
        matches!(
            operation,
            "ListAccounts"
                | "DescribeAccount"
                | "DescribeOrganization"
                | "ListRoots"
                | "ListAccountsForParent"
                | "ListOrganizationalUnitsForParent"
                | "ListChildren"
                | "ListParents"
                | "DescribeOrganizationalUnit"
        )
    }

    pub(crate) fn answer(&self, call: &ApiCall, account: &str, request: &HttpRequest) -> HttpResponse {
        let ask: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let state = self.state();
        if account != self.central && account != state.management {
            let why = "You don't have permissions to access this resource.";
            return wire::json_error(400, "AccessDeniedException", why);
        }
        let text = |name: &str| ask[name].as_str().unwrap_or_default();
        let answered = match call.operation.as_str() {
            "DescribeOrganization" => Ok(json!({"Organization": {
                "Id": ORGANIZATION, "FeatureSet": "ALL", "MasterAccountId": state.management,
                "Arn": format!("arn:aws:organizations::{}:organization/{ORGANIZATION}", state.management),
            }})),
            "DescribeAccount" => match state.accounts.get(text("AccountId")) {
                Some(account) => Ok(json!({"Account": state.account(text("AccountId"), account)})),
                None => Err(("AccountNotFoundException", "You specified an account that doesn't exist.")),
            },
            "DescribeOrganizationalUnit" => match state.units.get(text("OrganizationalUnitId")) {
                Some(unit) => Ok(json!({"OrganizationalUnit": state.unit(text("OrganizationalUnitId"), unit)})),
                None => Err(NO_UNIT),
            },
            "ListRoots" => {
                let arn = format!("arn:aws:organizations::{}:root/{ORGANIZATION}/{ROOT}", state.management);
                let types = json!([{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]);
                page("Roots", vec![json!({"Id": ROOT, "Arn": arn, "Name": "Root", "PolicyTypes": types})], &ask)
            }
            "ListAccounts" => {
                page("Accounts", state.accounts.iter().map(|(id, it)| state.account(id, it)).collect(), &ask)
            }
            "ListParents" => {
                let child = text("ChildId");
                let parent = state.accounts.get(child).map(|account| &account.parent);
                match parent.or_else(|| state.units.get(child).map(|unit| &unit.parent)) {
                    Some(parent) => page("Parents", vec![json!({"Id": parent, "Type": kind_of(parent)})], &ask),
                    None => {
                        Err(("ChildNotFoundException", "We can't find an organizational unit (OU) or AWS account."))
                    }
                }
            }
            _ if !state.knows(text("ParentId")) => {
                Err(("ParentNotFoundException", "You specified parent that doesn't exist."))
            }
            operation => state.children(operation, text("ParentId"), &ask),
        };
        match answered {
            Ok(answer) => wire::json_response(&answer),
            Err((code, message)) => wire::json_error(400, code, message),
        }
    }
}

const NO_UNIT: (&str, &str) =
    ("OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.");

/// Returns one page of a list, by `MaxResults` and `NextToken`.
fn page(name: &str, rows: Vec<Value>, ask: &Value) -> Result<Value, (&'static str, &'static str)> {
    let most = ask["MaxResults"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE);
    let from = ask["NextToken"].as_str().map_or(Some(0), |token| token.parse::<usize>().ok());
    let Some(from) = from.filter(|_| (1..=PAGE).contains(&most)) else {
        return Err(("InvalidInputException", "MaxResults or NextToken is not valid"));
    };
    let all = rows.len();
    let mut answer = json!({name: rows.into_iter().skip(from).take(most).collect::<Vec<_>>()});
    if from + most < all {
        answer["NextToken"] = json!((from + most).to_string());
    }
    Ok(answer)
}

fn kind_of(parent: &str) -> &'static str {
    if parent == ROOT { "ROOT" } else { "ORGANIZATIONAL_UNIT" }
}

impl OrganizationState {
    /// Answers the operations that list the children of a unit or the root.
    fn children(&self, operation: &str, parent: &str, ask: &Value) -> Result<Value, (&'static str, &'static str)> {
        let accounts = self.accounts.iter().filter(|(_, account)| account.parent == parent);
        let units = self.units.iter().filter(|(_, unit)| unit.parent == parent);
        match operation {
            "ListAccountsForParent" => {
                page("Accounts", accounts.map(|(id, account)| self.account(id, account)).collect(), ask)
            }
            "ListOrganizationalUnitsForParent" => {
                page("OrganizationalUnits", units.map(|(id, unit)| self.unit(id, unit)).collect(), ask)
            }
            _ => {
                let kind = ask["ChildType"].as_str().unwrap_or_default();
                let ids: Vec<&String> = if kind == "ACCOUNT" {
                    accounts.map(|(id, _)| id).collect()
                } else {
                    units.map(|(id, _)| id).collect()
                };
                page("Children", ids.into_iter().map(|id| json!({"Id": id, "Type": kind})).collect(), ask)
            }
        }
    }

    fn knows(&self, unit: &str) -> bool {
        unit == ROOT || self.units.contains_key(unit)
    }

    /// Whether a unit is equal to another, or below it.
    fn is_below(&self, unit: &str, above: &str) -> bool {
        unit == above || self.units.get(unit).is_some_and(|unit| self.is_below(&unit.parent, above))
    }

    fn account(&self, id: &str, account: &Account) -> Value {
        let status = if account.suspended { "SUSPENDED" } else { "ACTIVE" };
        json!({
            "Id": id, "Name": account.name, "Status": status, "State": status, "JoinedMethod": "CREATED",
            "Email": format!("aws+{id}@example.com"), "JoinedTimestamp": 1_700_000_000.0,
            "Arn": format!("arn:aws:organizations::{}:account/{ORGANIZATION}/{id}", self.management),
        })
    }

    fn unit(&self, id: &str, unit: &Unit) -> Value {
        let arn = format!("arn:aws:organizations::{}:ou/{ORGANIZATION}/{id}", self.management);
        json!({"Id": id, "Arn": arn, "Name": unit.name})
    }
}

#[cfg(test)]
mod tests;
