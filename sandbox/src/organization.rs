//! The organisation: its accounts and their names, and whom a role in one of them lets in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::gateway::Call;
use crate::http::{Request, Response};
use crate::wire;

/// The id of the organisation.
pub const ORGANIZATION: &str = "o-sandbox123";

/// The accounts of the starter policy, and what they are called.
const MEMBERS: [(&str, &str); 3] =
    [("111111111111", "shop"), ("222222222222", "payments"), ("333333333333", "analytics")];

/// The most that `ListAccounts` gives at once.
const PAGE: usize = 20;

#[derive(Debug)]
pub(crate) struct Organization {
    central: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    accounts: BTreeMap<String, String>,
    /// Accounts that let nobody assume a role in them.
    closed: BTreeSet<String>,
    /// The account behind an access key that `AssumeRole` gave out.
    sessions: BTreeMap<String, String>,
}

impl Organization {
    pub(crate) fn new(central: &str) -> Self {
        let mut accounts: BTreeMap<String, String> =
            MEMBERS.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect();
        accounts.insert(central.to_owned(), "backup administration".to_owned());
        let state = State { accounts, closed: BTreeSet::new(), sessions: BTreeMap::new() };
        Self { central: central.to_owned(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an account in, under a name, or changes its name.
    pub(crate) fn join(&self, account: &str, name: &str) {
        self.state().accounts.insert(account.to_owned(), name.to_owned());
    }

    /// Lets an account go.
    pub(crate) fn leave(&self, account: &str) {
        self.state().accounts.remove(account);
    }

    /// Whether roles of an account can be assumed, as they all can at first.
    pub(crate) fn open(&self, account: &str, open: bool) {
        let mut state = self.state();
        if open {
            state.closed.remove(account);
        } else {
            state.closed.insert(account.to_owned());
        }
    }

    /// The account behind an access key: the one that a role was assumed in; an access key that is an account's id; else the
    /// central account.
    pub(crate) fn account_of(&self, access_key: &str) -> String {
        if let Some(account) = self.state().sessions.get(access_key) {
            return account.clone();
        }
        let is_id = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
        if is_id { access_key.to_owned() } else { self.central.clone() }
    }

    /// The refusal of an `AssumeRole` in an account that is closed or not of the organisation.
    pub(crate) fn refuses(&self, call: &Call) -> Option<Response> {
        let role = call.form.get("RoleArn")?;
        let account = role.split(':').nth(4).unwrap_or_default();
        let state = self.state();
        if state.accounts.contains_key(account) && !state.closed.contains(account) {
            return None;
        }
        let why = format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role}", call.access_key);
        Some(wire::query_error(403, "AccessDenied", &why))
    }

    /// Remembers whose credentials an answer of `AssumeRole` holds.
    pub(crate) fn assumed(&self, call: &Call, answer: &Response) {
        let account = call.form.get("RoleArn").and_then(|role| role.split(':').nth(4));
        let (Some(account), Some(key)) = (account, wire::xml_text(&answer.text(), "AccessKeyId")) else { return };
        self.state().sessions.insert(key, account.to_owned());
    }

    pub(crate) fn knows(operation: &str) -> bool {
        matches!(operation, "ListAccounts" | "DescribeAccount" | "DescribeOrganization")
    }

    pub(crate) fn answer(&self, call: &Call, account: &str, request: &Request) -> Response {
        let ask: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if account != self.central {
            let why = "You don't have permissions to access this resource.";
            return wire::json_error(400, "AccessDeniedException", why);
        }
        let state = self.state();
        match call.operation.as_str() {
            "DescribeOrganization" => wire::json_response(&json!({"Organization": {
                "Id": ORGANIZATION, "FeatureSet": "ALL", "MasterAccountId": self.central,
                "Arn": format!("arn:aws:organizations::{}:organization/{ORGANIZATION}", self.central),
            }})),
            "DescribeAccount" => {
                let id = ask["AccountId"].as_str().unwrap_or_default();
                match state.accounts.get(id) {
                    Some(name) => wire::json_response(&json!({"Account": self.described(id, name)})),
                    None => wire::json_error(
                        400,
                        "AccountNotFoundException",
                        "You specified an account that doesn't exist.",
                    ),
                }
            }
            _ => self.list(&state, &ask),
        }
    }

    fn list(&self, state: &State, ask: &Value) -> Response {
        let most = ask["MaxResults"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE);
        let from = ask["NextToken"].as_str().map_or(Some(0), |token| token.parse::<usize>().ok());
        let Some(from) = from.filter(|_| (1..=PAGE).contains(&most)) else {
            return wire::json_error(400, "InvalidInputException", "MaxResults or NextToken is not valid");
        };
        let page = state.accounts.iter().skip(from).take(most).map(|(id, name)| self.described(id, name));
        let mut answer = json!({"Accounts": page.collect::<Vec<_>>()});
        if from + most < state.accounts.len() {
            answer["NextToken"] = json!((from + most).to_string());
        }
        wire::json_response(&answer)
    }

    fn described(&self, id: &str, name: &str) -> Value {
        json!({
            "Id": id, "Name": name, "Status": "ACTIVE", "State": "ACTIVE", "JoinedMethod": "CREATED",
            "Email": format!("aws+{id}@example.com"), "JoinedTimestamp": 1_700_000_000.0,
            "Arn": format!("arn:aws:organizations::{}:account/{ORGANIZATION}/{id}", self.central),
        })
    }
}

#[cfg(test)]
mod tests;
