//! AWS Security Hub, with the rules of `BatchImportFindings` that a finding provider can break.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::ApiCall;
use crate::http::{HttpRequest, HttpResponse};
use crate::ids::AccountRegion;
use crate::{ids, wire};

/// Fields that belong to the customer: an import neither sets nor changes them in an existing finding.
const CUSTOMER_FIELDS: [&str; 4] = ["Note", "UserDefinedFields", "VerificationState", "Workflow"];

/// Required texts of a finding, with their maximum lengths.
const TEXTS: [(&str, usize); 8] = [
    ("SchemaVersion", 32),
    ("Id", 512),
    ("ProductArn", 2048),
    ("GeneratorId", 512),
    ("CreatedAt", 64),
    ("UpdatedAt", 64),
    ("Title", 256),
    ("Description", 1024),
];

/// The largest finding, in bytes.
const LARGEST: usize = 240 * 1024;

/// Security Hub in all accounts and Regions.
#[derive(Debug)]
pub(crate) struct SecurityHubEmulator {
    state: Mutex<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    enabled: BTreeSet<AccountRegion>,
    /// By account and Region, product and id.
    findings: BTreeMap<(AccountRegion, String, String), Value>,
}

impl SecurityHubEmulator {
    /// Creates Security Hub, enabled in one account and Region.
    pub(crate) fn new(account: &str, region: &str) -> Self {
        let hub = Self { state: Mutex::default() };
        hub.enable(account, region);
        hub
    }

    fn state(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enable(&self, account: &str, region: &str) {
        self.state().enabled.insert((account.to_owned(), region.to_owned()));
    }

    pub(crate) fn disable(&self, account: &str, region: &str) {
        self.state().enabled.remove(&(account.to_owned(), region.to_owned()));
    }

    /// Returns the findings of all accounts and Regions.
    pub(crate) fn findings(&self) -> Vec<Value> {
        self.state().findings.values().cloned().collect()
    }

    /// Answers a caller in this account.
    pub(crate) fn answer(&self, call: &ApiCall, account: &str, request: &HttpRequest) -> HttpResponse {
        let key = (account.to_owned(), call.region.clone());
        let ask: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let mut state = self.state();
        if call.operation == "EnableSecurityHub" {
            return if state.enabled.insert(key) {
                wire::json_response(&json!({}))
            } else {
                wire::json_error(409, "ResourceConflictException", "Account is already subscribed to Security Hub")
            };
        }
        if !state.enabled.contains(&key) {
            let why = format!("Account {account} is not subscribed to AWS Security Hub");
            return wire::json_error(401, "InvalidAccessException", &why);
        }
        match call.operation.as_str() {
            "DescribeHub" => {
                let arn = format!("arn:aws:securityhub:{}:{account}:hub/default", call.region);
                wire::json_response(&json!({"HubArn": arn, "AutoEnableControls": true}))
            }
            "DisableSecurityHub" => {
                state.enabled.remove(&key);
                wire::json_response(&json!({}))
            }
            "BatchImportFindings" => state.import(&key, &ask),
            "GetFindings" => state.get(&key, &ask),
            other => wire::json_error(404, "InvalidAction", &format!("operation {other} is not supported")),
        }
    }
}

impl HubState {
    fn import(&mut self, key: &AccountRegion, ask: &Value) -> HttpResponse {
        let findings = ask["Findings"].as_array().cloned().unwrap_or_default();
        if findings.is_empty() || findings.len() > 100 {
            let why = format!("Findings must have between 1 and 100 members, not {}", findings.len());
            return wire::json_error(400, "InvalidInputException", &why);
        }
        let (mut imported, mut failed) = (0, Vec::new());
        for finding in findings {
            match check(key, &finding) {
                Ok(updated) => {
                    self.keep(key, finding, updated);
                    imported += 1;
                }
                Err((code, message)) => {
                    failed.push(json!({"Id": finding["Id"], "ErrorCode": code, "ErrorMessage": message}));
                }
            }
        }
        wire::json_response(&json!({"FailedCount": failed.len(), "SuccessCount": imported, "FailedFindings": failed}))
    }

    /// Stores a finding. An import that is not later than the stored finding succeeds without a change.
    fn keep(&mut self, key: &AccountRegion, mut finding: Value, updated: Timestamp) {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        let key = (key.clone(), text("ProductArn"), text("Id"));
        let known = self.findings.get(&key);
        if known.and_then(|known| time(known, "UpdatedAt")).is_some_and(|known| updated <= known) {
            return;
        }
        for name in CUSTOMER_FIELDS {
            match known.map(|known| known[name].clone()) {
                Some(Value::Null) => drop(finding.as_object_mut().map(|finding| finding.remove(name))),
                Some(value) => finding[name] = value,
                None => {}
            }
        }
        if finding["Workflow"].is_null() {
            finding["Workflow"] = json!({"Status": "NEW"});
        }
        if finding["RecordState"].is_null() {
            finding["RecordState"] = json!("ACTIVE");
        }
        finding["ProcessedAt"] = json!(ids::now_millis());
        self.findings.insert(key, finding);
    }

    fn get(&self, key: &AccountRegion, ask: &Value) -> HttpResponse {
        let most = ask["MaxResults"].as_u64().unwrap_or(10);
        if !(1..=100).contains(&most) {
            return wire::json_error(400, "InvalidInputException", "MaxResults must be between 1 and 100");
        }
        let from: usize = ask["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or_default();
        let mut found = Vec::new();
        for ((of, _, _), finding) in &self.findings {
            let held = ask["Filters"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, filters)| passes(finding, name, filters))
                .collect::<Option<Vec<_>>>();
            let Some(held) = held else {
                let why = "supported filters: Id, ProductArn, AwsAccountId, GeneratorId, RecordState, ComplianceStatus, \\
                           WorkflowStatus, SeverityLabel, ResourceId";
                return wire::json_error(400, "InvalidInputException", why);
            };
            if of == key && held.iter().all(|held| *held) {
                found.push(finding.clone());
            }
        }
        let until = found.len().min(from.saturating_add(usize::try_from(most).unwrap_or(usize::MAX)));
        let mut answer = json!({"Findings": found.get(from..until).unwrap_or_default()});
        if until < found.len() {
            answer["NextToken"] = json!(until.to_string());
        }
        wire::json_response(&answer)
    }
}

fn time(finding: &Value, name: &str) -> Option<Timestamp> {
    finding[name].as_str()?.parse().ok()
}

/// Validates a finding; returns the time of its update.
fn check((account, region): &AccountRegion, finding: &Value) -> Result<Timestamp, (&'static str, String)> {
    let invalid = |why: String| Err(("InvalidInput", why));
    for (name, longest) in TEXTS {
        let length = finding[name].as_str().unwrap_or_default().chars().count();
        if length == 0 || length > longest {
            return invalid(format!("finding.{name} must have a length between 1 and {longest}, not {length}"));
        }
    }
    let product = format!("arn:aws:securityhub:{region}:{account}:product/{account}/default");
    if finding["AwsAccountId"] != account.as_str() || finding["ProductArn"] != product.as_str() {
        let why = format!("the caller, account {account} in {region}, imports for itself only, as {product}");
        return Err(("InvalidAccess", why));
    }
    if finding["SchemaVersion"] != "2018-10-08" {
        return invalid("finding.SchemaVersion must be 2018-10-08".to_owned());
    }
    let (Some(_), Some(updated)) = (time(finding, "CreatedAt"), time(finding, "UpdatedAt")) else {
        return invalid("finding.CreatedAt and finding.UpdatedAt must be times".to_owned());
    };
    let resources = finding["Resources"].as_array().map_or(&[][..], Vec::as_slice);
    let is_whole = |resource: &Value| {
        ["Type", "Id"].iter().all(|name| resource[*name].as_str().is_some_and(|text| !text.is_empty()))
            && resource["Type"].as_str().is_some_and(|kind| !kind.contains(':'))
    };
    if resources.is_empty() || resources.len() > 32 || !resources.iter().all(is_whole) {
        return invalid("finding.Resources must be 1 to 32 resources with an ASFF Type and an Id".to_owned());
    }
    let provider = &finding["FindingProviderFields"];
    if provider["Severity"].is_null() && finding["Severity"].is_null() {
        return invalid("finding.Severity or finding.FindingProviderFields.Severity is required".to_owned());
    }
    if provider["Types"].is_null() && finding["Types"].is_null() {
        return invalid("finding.Types or finding.FindingProviderFields.Types is required".to_owned());
    }
    if finding.to_string().len() > LARGEST {
        return invalid("the finding is larger than 240 KB".to_owned());
    }
    Ok(updated)
}

/// Whether a finding passes the filters of one field; `None` for an unsupported field.
fn passes(finding: &Value, name: &str, filters: &Value) -> Option<bool> {
    let value = match name {
        "Id" | "ProductArn" | "AwsAccountId" | "GeneratorId" | "RecordState" => &finding[name],
        "ComplianceStatus" => &finding["Compliance"]["Status"],
        "WorkflowStatus" => &finding["Workflow"]["Status"],
        "SeverityLabel" => &finding["FindingProviderFields"]["Severity"]["Label"],
        "ResourceId" => &finding["Resources"][0]["Id"],
        _ => return None,
    };
    let value = value.as_str().unwrap_or_default();
    let passes = |filter: &Value| {
        let expected = filter["Value"].as_str().unwrap_or_default();
        match filter["Comparison"].as_str() {
            Some("PREFIX") => value.starts_with(expected),
            Some("NOT_EQUALS") => value != expected,
            _ => value == expected,
        }
    };
    Some(filters.as_array().is_none_or(|filters| filters.iter().any(passes)))
}

#[cfg(test)]
mod tests;
