//! AWS Config in memory: resources, rules and compliance results, for the aggregator and for member accounts.

mod pages;
mod resource;
mod rules;
mod seed;
mod select;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::ApiCall;
use crate::http::{HttpRequest, HttpResponse};
use crate::ids::AccountRegion;
use crate::wire;
use pages::{PageLimits, page};
use resource::ConfigError;
use rules::{RESOURCE_COMPLIANCE, RuleStore};
use select::AdvancedQuery;

pub use resource::RecordedResource;
pub use rules::{RuleCompliance, RuleEvaluation};

/// The name of the only aggregator.
pub const AGGREGATOR: &str = "organization";

/// The data that the aggregator hides of an account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hidden {
    /// Rules and their results: compliance operations do not show them; queries show the resources.
    Rules,
    /// All data.
    Everything,
}

/// The recorded state of all accounts and Regions.
#[derive(Debug)]
pub struct Config {
    account: String,
    region: String,
    state: Mutex<ConfigState>,
}

/// Account, Region, type, id.
type ResourceKey = (String, String, String, String);

#[derive(Debug)]
struct ConfigState {
    resources: BTreeMap<ResourceKey, RecordedResource>,
    rules: RuleStore,
    hidden: BTreeMap<AccountRegion, Hidden>,
    /// Whether the type `AWS::Config::ResourceCompliance` is recorded.
    records_compliance: bool,
    empty_pages: bool,
}

impl Config {
    pub(crate) fn new(account: &str, region: &str) -> Self {
        let state = ConfigState {
            resources: seed::resources().into_iter().map(|resource| (identity(&resource), resource)).collect(),
            rules: RuleStore::default(),
            hidden: BTreeMap::new(),
            records_compliance: true,
            empty_pages: false,
        };
        Self { account: account.to_owned(), region: region.to_owned(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, ConfigState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns all recorded resources.
    pub fn resources(&self) -> Vec<RecordedResource> {
        self.state().resources.values().cloned().collect()
    }

    /// Records a resource; replaces one with the same account, Region, type and id.
    pub fn add(&self, resource: RecordedResource) {
        self.state().resources.insert(identity(&resource), resource);
    }

    /// Removes a resource; its results stay, see [`Config::forget_results`].
    pub fn remove(&self, account: &str, region: &str, resource_type: &str, resource_id: &str) {
        let identity = (account.to_owned(), region.to_owned(), resource_type.to_owned(), resource_id.to_owned());
        self.state().resources.remove(&identity);
    }

    /// Stores the result of a rule for a resource. Returns the event that Config sends if the result is new or
    /// changed.
    pub fn evaluate(&self, evaluation: &RuleEvaluation) -> Option<Value> {
        self.state().rules.evaluate(evaluation)
    }

    /// Removes the results of a resource, without an event.
    pub fn forget_results(&self, account: &str, region: &str, resource_type: &str, resource_id: &str) {
        self.state().rules.forget(account, region, resource_type, resource_id);
    }

    /// Removes the rules of a control, or of the whole framework, without an event.
    pub fn remove_rules(&self, account: &str, region: &str, control: Option<&str>) {
        self.state().rules.remove(account, region, control);
    }

    /// Recreates the framework: later rules have other names and ARNs.
    pub fn recreate_framework(&self, account: &str, region: &str) {
        self.state().rules.renew(account, region);
    }

    /// Sets the data that the aggregator hides of an account and Region; `None`: it shows all.
    pub fn set_hidden(&self, account: &str, region: &str, what: Option<Hidden>) {
        let location = (account.to_owned(), region.to_owned());
        match what {
            Some(what) => self.state().hidden.insert(location, what),
            None => self.state().hidden.remove(&location),
        };
    }

    /// Sets whether the type `AWS::Config::ResourceCompliance` is recorded; it is at the start.
    pub fn record_compliance(&self, records: bool) {
        self.state().records_compliance = records;
    }

    /// Sets whether an empty page with a token precedes each page. By default an empty page follows only the first of
    /// several pages.
    pub fn send_empty_pages(&self, always: bool) {
        self.state().empty_pages = always;
    }

    /// Records a resource or a list of resources.
    pub(crate) fn add_json(&self, body: &Value) -> Result<usize> {
        let resources: Vec<RecordedResource> = serde_json::from_value(list(body))
            .context("a resource has account, region, resourceType, resourceId and may have resourceName, arn, tags, configuration")?;
        let count = resources.len();
        resources.into_iter().for_each(|resource| self.add(resource));
        Ok(count)
    }

    /// Stores one or more results of rules; returns the events.
    pub(crate) fn evaluate_json(&self, body: &Value) -> Result<Vec<Value>> {
        let evaluations: Vec<RuleEvaluation> = serde_json::from_value(list(body)).context(
            "an evaluation has account, region, control, resourceType, resourceId, compliance and may have at, annotation",
        )?;
        Ok(evaluations.iter().filter_map(|evaluation| self.evaluate(evaluation)).collect())
    }

    /// Whether this module answers an operation; MiniStack answers all others.
    pub(crate) fn knows(operation: &str) -> bool {
        operation.contains("Aggregat")
            || matches!(
                operation,
                "DescribeConfigRules" | "DescribeComplianceByConfigRule" | "GetComplianceDetailsByConfigRule"
            )
    }

    /// Answers a caller in this account.
    pub(crate) fn answer(&self, call: &ApiCall, account: &str, request: &HttpRequest) -> HttpResponse {
        let Ok(ask) = serde_json::from_slice::<Value>(&request.body) else {
            return wire::json_error(400, "SerializationException", "the body is not valid JSON");
        };
        let state = self.state();
        let answer = match call.operation.as_str() {
            "DescribeConfigurationAggregators" => Ok(self.aggregators()),
            "DescribeConfigRules" => state.config_rules(account, &call.region, &ask),
            "DescribeComplianceByConfigRule" => state.compliance_by_rule(account, &call.region, &ask),
            "GetComplianceDetailsByConfigRule" => state.details(account, &call.region, &ask),
            operation => aggregator(&ask).and_then(|()| match operation {
                "BatchGetAggregateResourceConfig" => state.batch_get(&ask),
                "GetAggregateResourceConfig" => state.get(&ask),
                "SelectAggregateResourceConfig" => state.select(&ask),
                "DescribeConfigurationAggregatorSourcesStatus" => state.sources(&ask),
                "DescribeAggregateComplianceByConfigRules" => state.aggregate_compliance(&ask),
                "GetAggregateComplianceDetailsByConfigRule" => state.aggregate_details(&ask),
                other => Err(("InvalidAction", format!("operation {other} is not supported"))),
            }),
        };
        match answer {
            Ok(answer) => wire::json_response(&answer),
            Err((code, message)) => wire::json_error(400, code, &message),
        }
    }

    fn aggregators(&self) -> Value {
        let arn =
            format!("arn:aws:config:{}:{}:config-aggregator/config-aggregator-sandbox", self.region, self.account);
        json!({"ConfigurationAggregators": [{
            "ConfigurationAggregatorName": AGGREGATOR, "ConfigurationAggregatorArn": arn,
            "OrganizationAggregationSource": {"AllAwsRegions": true, "RoleArn": format!("arn:aws:iam::{}:role/config", self.account)},
        }]})
    }
}

fn identity(resource: &RecordedResource) -> ResourceKey {
    (resource.account.clone(), resource.region.clone(), resource.resource_type.clone(), resource.resource_id.clone())
}

fn list(body: &Value) -> Value {
    if body.is_array() { body.clone() } else { json!([body]) }
}

fn aggregator(ask: &Value) -> Result<(), ConfigError> {
    let name = ask["ConfigurationAggregatorName"].as_str().unwrap_or_default();
    if name == AGGREGATOR {
        return Ok(());
    }
    Err(("NoSuchConfigurationAggregatorException", format!("The configuration aggregator does not exist: {name}")))
}

/// Returns a required field of limited length.
fn required<'a>(ask: &'a Value, name: &str, longest: usize) -> Result<&'a str, ConfigError> {
    let value = ask[name].as_str().unwrap_or_default();
    if value.is_empty() || value.chars().count() > longest {
        let why = format!("1 validation error detected: Value at '{name}' must have a length between 1 and {longest}");
        return Err(("ValidationException", why));
    }
    Ok(value)
}

/// Whether a filter is missing, or is equal to the value.
fn matches(filter: &Value, value: &str) -> bool {
    filter.as_str().is_none_or(|filter| filter == value)
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

impl ConfigState {
    /// Whether the aggregator shows the resources of an account and Region, or also its rules.
    fn shows(&self, account: &str, region: &str, rules: bool) -> bool {
        match self.hidden.get(&(account.to_owned(), region.to_owned())) {
            None => true,
            Some(Hidden::Rules) => !rules,
            Some(Hidden::Everything) => false,
        }
    }

    fn find(&self, identifier: &Value) -> Option<&RecordedResource> {
        let text = |name: &str| identifier[name].as_str().unwrap_or_default().to_owned();
        let (account, region) = (text("SourceAccountId"), text("SourceRegion"));
        if !self.shows(&account, &region, false) {
            return None;
        }
        self.resources.get(&(account, region, text("ResourceType"), text("ResourceId")))
    }

    fn get(&self, ask: &Value) -> Result<Value, ConfigError> {
        match self.find(&ask["ResourceIdentifier"]) {
            Some(resource) => Ok(json!({"ConfigurationItem": item(resource, true)})),
            None => Err(("ResourceNotDiscoveredException", "Resource is not discovered".to_owned())),
        }
    }

    fn batch_get(&self, ask: &Value) -> Result<Value, ConfigError> {
        let identifiers = ask["ResourceIdentifiers"].as_array().cloned().unwrap_or_default();
        if identifiers.is_empty() || identifiers.len() > 100 {
            return Err(("ValidationException", "ResourceIdentifiers must have between 1 and 100 members".to_owned()));
        }
        let (mut found, mut unprocessed) = (Vec::new(), Vec::new());
        for identifier in identifiers {
            match self.find(&identifier) {
                Some(resource) => found.push(item(resource, false)),
                None => unprocessed.push(identifier),
            }
        }
        Ok(json!({"BaseConfigurationItems": found, "UnprocessedResourceIdentifiers": unprocessed}))
    }

    /// Accounts and Regions with recorded resources are the sources of the aggregator.
    fn sources(&self, ask: &Value) -> Result<Value, ConfigError> {
        let sources: BTreeSet<AccountRegion> =
            self.resources.keys().map(|(account, region, _, _)| (account.clone(), region.clone())).collect();
        let row = |(account, region): &AccountRegion| {
            let mut row = json!({"SourceId": account, "SourceType": "ACCOUNT", "AwsRegion": region, "LastUpdateStatus": "SUCCEEDED"});
            if !self.shows(account, region, false) {
                row["LastUpdateStatus"] = json!("FAILED");
                row["LastErrorCode"] = json!("AccessDenied");
                row["LastErrorMessage"] = json!("the aggregator is not authorized");
            }
            row
        };
        let rows: Vec<Value> = sources.iter().map(row).collect();
        page(&rows, ask, "AggregatedSourceStatusList", &PageLimits { default: 100, most: 100 }, self.empty_pages)
    }

    fn select(&self, ask: &Value) -> Result<Value, ConfigError> {
        let expression = required(ask, "Expression", 4096)?;
        let Some(query) = AdvancedQuery::parse(expression) else {
            let why = "supported: SELECT fields WHERE conditions with comparisons, IN, LIKE, BETWEEN, AND, OR and NOT, and \\
                       SELECT fields, COUNT(*) WHERE conditions GROUP BY fields";
            return Err(("InvalidExpressionException", why.to_owned()));
        };
        let shown = |resource: &RecordedResource| {
            self.shows(&resource.account, &resource.region, false) && query.holds(resource)
        };
        let known = self.resources.values().filter(|resource| shown(resource));
        let mut rows: Vec<Value> = known.map(|resource| query.row(resource, Timestamp::now())).collect();
        if self.records_compliance && expression.contains(RESOURCE_COMPLIANCE) {
            let derived = self.rules.resource_compliance();
            let derived = derived.iter().filter(|(item, _)| shown(item));
            rows.extend(derived.map(|(item, captured)| query.row(item, *captured)));
        }
        let rows = query.answered(rows.into_iter());
        let mut answer = page(&rows, ask, "Results", &PageLimits { default: 25, most: 100 }, self.empty_pages)?;
        let fields: Vec<Value> = query.fields.iter().map(|name| json!({"Name": name})).collect();
        answer["QueryInfo"] = json!({"SelectFields": fields});
        Ok(answer)
    }

    /// As on AWS, rules whose results are all NOT_APPLICABLE are not shown.
    fn aggregate_compliance(&self, ask: &Value) -> Result<Value, ConfigError> {
        let filters = &ask["Filters"];
        let mut rows = Vec::new();
        for ((account, region), rule) in self.rules.all() {
            let Some((result, compliance)) = rule.compliance() else { continue };
            let is_match = matches(&filters["AccountId"], account)
                && matches(&filters["AwsRegion"], region)
                && matches(&filters["ConfigRuleName"], &rule.name)
                && matches(&filters["ComplianceType"], result.text());
            if is_match && self.shows(account, region, true) {
                rows.push(json!({
                    "ConfigRuleName": rule.name, "Compliance": compliance, "AccountId": account, "AwsRegion": region,
                }));
            }
        }
        let limits = PageLimits { default: 1000, most: 1000 };
        page(&rows, ask, "AggregateComplianceByConfigRules", &limits, self.empty_pages)
    }

    fn aggregate_details(&self, ask: &Value) -> Result<Value, ConfigError> {
        let name = required(ask, "ConfigRuleName", 128)?;
        let (account, region) = (required(ask, "AccountId", 12)?, required(ask, "AwsRegion", 64)?);
        let compliance = &ask["ComplianceType"];
        let rule = self.rules.named(account, region, name).filter(|_| self.shows(account, region, true));
        let results = rule.into_iter().flat_map(|rule| rule.results.iter().map(move |found| (rule, found)));
        // The aggregator does not show NOT_APPLICABLE.
        let rows: Vec<Value> = results
            .filter(|(_, (_, outcome))| outcome.compliance != RuleCompliance::NotApplicable)
            .filter(|(_, (_, outcome))| matches(compliance, outcome.compliance.text()))
            .map(|(rule, (resource, outcome))| {
                let mut row = rule.result(resource, outcome);
                (row["AccountId"], row["AwsRegion"]) = (json!(account), json!(region));
                row
            })
            .collect();
        page(&rows, ask, "AggregateEvaluationResults", &PageLimits { default: 50, most: 100 }, self.empty_pages)
    }

    fn config_rules(&self, account: &str, region: &str, ask: &Value) -> Result<Value, ConfigError> {
        let rules = self.named(account, region, &ask["ConfigRuleNames"])?;
        let rows: Vec<Value> = rules.iter().map(|rule| rule.described()).collect();
        page(&rows, ask, "ConfigRules", &PageLimits { default: 25, most: 25 }, self.empty_pages)
    }

    fn compliance_by_rule(&self, account: &str, region: &str, ask: &Value) -> Result<Value, ConfigError> {
        let types = texts(&ask["ComplianceTypes"]);
        let mut rows = Vec::new();
        for rule in self.named(account, region, &ask["ConfigRuleNames"])? {
            let (result, compliance) = match rule.compliance() {
                Some((result, compliance)) => (result.text(), compliance),
                None => ("INSUFFICIENT_DATA", json!({"ComplianceType": "INSUFFICIENT_DATA"})),
            };
            if types.is_empty() || types.contains(result) {
                rows.push(json!({"ConfigRuleName": rule.name, "Compliance": compliance}));
            }
        }
        page(&rows, ask, "ComplianceByConfigRules", &PageLimits { default: 25, most: 25 }, self.empty_pages)
    }

    fn details(&self, account: &str, region: &str, ask: &Value) -> Result<Value, ConfigError> {
        // The API model limits names to 64 characters. Names of service-linked rules are longer; AWS is assumed to
        // accept them.
        let name = required(ask, "ConfigRuleName", 128)?;
        let types = texts(&ask["ComplianceTypes"]);
        if types.contains("INSUFFICIENT_DATA") {
            let why = "INSUFFICIENT_DATA cannot be filtered for".to_owned();
            return Err(("InvalidParameterValueException", why));
        }
        let rule = self.rules.named(account, region, name).ok_or_else(|| no_such_rule(name))?;
        let rows: Vec<Value> = rule
            .results
            .iter()
            .filter(|(_, outcome)| types.is_empty() || types.contains(outcome.compliance.text()))
            .map(|(resource, outcome)| rule.result(resource, outcome))
            .collect();
        page(&rows, ask, "EvaluationResults", &PageLimits { default: 10, most: 100 }, self.empty_pages)
    }

    fn named(&self, account: &str, region: &str, names: &Value) -> Result<Vec<&rules::ConfigRule>, ConfigError> {
        let names = texts(names);
        if names.len() > 25 {
            return Err(("ValidationException", "ConfigRuleNames must have at most 25 members".to_owned()));
        }
        if names.is_empty() {
            return Ok(self.rules.of(account, region).collect());
        }
        let find = |name: &str| self.rules.named(account, region, name).ok_or_else(|| no_such_rule(name));
        names.into_iter().map(find).collect()
    }
}

fn no_such_rule(name: &str) -> ConfigError {
    ("NoSuchConfigRuleException", format!("The ConfigRule '{name}' provided in the request is invalid"))
}

/// Returns a configuration item; the base form, which batch operations return, has no tags.
fn item(resource: &RecordedResource, whole: bool) -> Value {
    let mut item = json!({
        "version": "1.3", "accountId": resource.account, "awsRegion": resource.region, "resourceType": resource.resource_type,
        "resourceId": resource.resource_id, "arn": resource.arn, "configurationItemStatus": "OK",
        "configuration": resource.configuration.to_string(), "supplementaryConfiguration": {},
    });
    if !resource.resource_name.is_empty() {
        item["resourceName"] = json!(resource.resource_name);
    }
    if whole {
        item["tags"] = json!(resource.tags);
        item["relationships"] = json!([]);
    }
    item
}

#[cfg(test)]
mod tests;
