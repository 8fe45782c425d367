//! AWS Config: resources, rules and results, held in memory; asked through the aggregator, or in a member account itself.

mod pages;
mod rules;
mod select;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::gateway::Call;
use crate::http::{Request, Response};
use crate::{seed, wire};

use pages::{Limits, page};
use rules::{Place, RESOURCE_COMPLIANCE, Rules};
use select::Query;

pub use rules::{Compliance, Evaluation};

/// The one aggregator there is.
pub const AGGREGATOR: &str = "organization";

/// A resource of a member account as Config would record it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// The account, 12 digits.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The type, for instance `AWS::RDS::DBCluster`.
    pub resource_type: String,
    /// The id that compliance events name.
    pub resource_id: String,
    /// The name people know; may be empty.
    #[serde(default)]
    pub resource_name: String,
    /// The ARN.
    #[serde(default)]
    pub arn: String,
    /// The tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The configuration, in the type's own shape.
    #[serde(default)]
    pub configuration: Value,
}

/// Code and message of a refusal.
type Refused = (&'static str, String);

/// What the aggregator does not show of an account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hidden {
    /// The rules and their results: the compliance operations know nothing of the place, queries do.
    Rules,
    /// Everything: the aggregator has no data from there.
    Everything,
}

/// What Config has recorded.
#[derive(Debug)]
pub struct Config {
    account: String,
    region: String,
    state: Mutex<State>,
}

/// Account, Region, type, id.
type Identity = (String, String, String, String);

#[derive(Debug)]
struct State {
    resources: BTreeMap<Identity, Resource>,
    rules: Rules,
    hidden: BTreeMap<Place, Hidden>,
    /// Whether `AWS::Config::ResourceCompliance` is among the recorded types.
    records_compliance: bool,
    empty_pages: bool,
}

impl Config {
    pub(crate) fn new(account: &str, region: &str) -> Self {
        let state = State {
            resources: seed::resources().into_iter().map(|resource| (identity(&resource), resource)).collect(),
            rules: Rules::default(),
            hidden: BTreeMap::new(),
            records_compliance: true,
            empty_pages: false,
        };
        Self { account: account.to_owned(), region: region.to_owned(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything recorded.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        self.state().resources.values().cloned().collect()
    }

    /// Records a resource, in place of one with the same account, Region, type and id.
    pub fn add(&self, resource: Resource) {
        self.state().resources.insert(identity(&resource), resource);
    }

    /// Forgets a resource; what rules found of it stays, see [`Config::forget_results`].
    pub fn remove(&self, account: &str, region: &str, resource_type: &str, resource_id: &str) {
        let identity = (account.to_owned(), region.to_owned(), resource_type.to_owned(), resource_id.to_owned());
        self.state().resources.remove(&identity);
    }

    /// Lets a rule find something of a resource. Gives the event that Config sends when the result is another than before, or the
    /// first: deliver it, or lose it.
    pub fn evaluate(&self, evaluation: &Evaluation) -> Option<Value> {
        self.state().rules.evaluate(evaluation)
    }

    /// Forgets what rules found of a resource, without an event.
    pub fn forget_results(&self, account: &str, region: &str, resource_type: &str, resource_id: &str) {
        self.state().rules.forget(account, region, resource_type, resource_id);
    }

    /// Removes the rules of a control, or of the whole framework, without an event.
    pub fn remove_rules(&self, account: &str, region: &str, control: Option<&str>) {
        self.state().rules.remove(account, region, control);
    }

    /// Deletes the framework and makes it anew: rules that come after this have other names and ARNs.
    pub fn renew_framework(&self, account: &str, region: &str) {
        self.state().rules.renew(account, region);
    }

    /// What the aggregator does not show of a place; `None`: it shows all.
    pub fn hide(&self, account: &str, region: &str, what: Option<Hidden>) {
        let place = (account.to_owned(), region.to_owned());
        match what {
            Some(what) => self.state().hidden.insert(place, what),
            None => self.state().hidden.remove(&place),
        };
    }

    /// Whether the type `AWS::Config::ResourceCompliance` is recorded, which it is at first.
    pub fn record_compliance(&self, records: bool) {
        self.state().records_compliance = records;
    }

    /// Whether an empty page with a token comes before each page. At first one comes after the first page, if there are more.
    pub fn send_empty_pages(&self, always: bool) {
        self.state().empty_pages = always;
    }

    /// Records one resource, or a list of them, given as JSON.
    pub(crate) fn add_json(&self, body: &Value) -> Result<usize> {
        let resources: Vec<Resource> = serde_json::from_value(list(body))
            .context("a resource has account, region, resourceType, resourceId and may have resourceName, arn, tags, configuration")?;
        let count = resources.len();
        resources.into_iter().for_each(|resource| self.add(resource));
        Ok(count)
    }

    /// Evaluates once or often, as JSON tells; gives the events.
    pub(crate) fn evaluate_json(&self, body: &Value) -> Result<Vec<Value>> {
        let evaluations: Vec<Evaluation> = serde_json::from_value(list(body)).context(
            "an evaluation has account, region, control, resourceType, resourceId, compliance and may have at, annotation",
        )?;
        Ok(evaluations.iter().filter_map(|evaluation| self.evaluate(evaluation)).collect())
    }

    /// Whether an operation is answered here; all others are MiniStack's.
    pub(crate) fn knows(operation: &str) -> bool {
        operation.contains("Aggregat")
            || matches!(
                operation,
                "DescribeConfigRules" | "DescribeComplianceByConfigRule" | "GetComplianceDetailsByConfigRule"
            )
    }

    /// Answers the caller, who is in this account.
    pub(crate) fn answer(&self, call: &Call, account: &str, request: &Request) -> Response {
        let Ok(ask) = serde_json::from_slice::<Value>(&request.body) else {
            return wire::json_error(400, "SerializationException", "the body is not JSON");
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
                other => Err(("InvalidAction", format!("the sandbox's Config has no {other}"))),
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

fn identity(resource: &Resource) -> Identity {
    (resource.account.clone(), resource.region.clone(), resource.resource_type.clone(), resource.resource_id.clone())
}

fn list(body: &Value) -> Value {
    if body.is_array() { body.clone() } else { json!([body]) }
}

fn aggregator(ask: &Value) -> Result<(), Refused> {
    let name = ask["ConfigurationAggregatorName"].as_str().unwrap_or_default();
    if name == AGGREGATOR {
        return Ok(());
    }
    Err(("NoSuchConfigurationAggregatorException", format!("The configuration aggregator does not exist: {name}")))
}

/// A field that must be there, and not be longer than this.
fn required<'a>(ask: &'a Value, name: &str, longest: usize) -> Result<&'a str, Refused> {
    let value = ask[name].as_str().unwrap_or_default();
    if value.is_empty() || value.chars().count() > longest {
        let why = format!("1 validation error detected: Value at '{name}' must have a length between 1 and {longest}");
        return Err(("ValidationException", why));
    }
    Ok(value)
}

/// Whether a field of a filter is not given, or is this.
fn matches(filter: &Value, wanted: &str) -> bool {
    filter.as_str().is_none_or(|filter| filter == wanted)
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

impl State {
    /// Whether the aggregator shows the resources of a place, or also its rules.
    fn shows(&self, account: &str, region: &str, rules: bool) -> bool {
        match self.hidden.get(&(account.to_owned(), region.to_owned())) {
            None => true,
            Some(Hidden::Rules) => !rules,
            Some(Hidden::Everything) => false,
        }
    }

    // -------------------------------------------------------------------------------------------- the aggregator

    fn find(&self, identifier: &Value) -> Option<&Resource> {
        let text = |name: &str| identifier[name].as_str().unwrap_or_default().to_owned();
        let (account, region) = (text("SourceAccountId"), text("SourceRegion"));
        if !self.shows(&account, &region, false) {
            return None;
        }
        self.resources.get(&(account, region, text("ResourceType"), text("ResourceId")))
    }

    fn get(&self, ask: &Value) -> Result<Value, Refused> {
        match self.find(&ask["ResourceIdentifier"]) {
            Some(resource) => Ok(json!({"ConfigurationItem": item(resource, true)})),
            None => Err(("ResourceNotDiscoveredException", "Resource is not discovered".to_owned())),
        }
    }

    fn batch_get(&self, ask: &Value) -> Result<Value, Refused> {
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

    /// A place is a source once something is recorded there.
    fn sources(&self, ask: &Value) -> Result<Value, Refused> {
        let places: BTreeSet<Place> =
            self.resources.keys().map(|(account, region, _, _)| (account.clone(), region.clone())).collect();
        let row = |(account, region): &Place| {
            let mut row = json!({"SourceId": account, "SourceType": "ACCOUNT", "AwsRegion": region, "LastUpdateStatus": "SUCCEEDED"});
            if !self.shows(account, region, false) {
                row["LastUpdateStatus"] = json!("FAILED");
                row["LastErrorCode"] = json!("AccessDenied");
                row["LastErrorMessage"] = json!("the aggregator is not authorised");
            }
            row
        };
        let rows: Vec<Value> = places.iter().map(row).collect();
        page(&rows, ask, "AggregatedSourceStatusList", &Limits { default: 100, most: 100 }, self.empty_pages)
    }

    fn select(&self, ask: &Value) -> Result<Value, Refused> {
        let expression = required(ask, "Expression", 4096)?;
        let Some(query) = Query::parse(expression) else {
            let why = "the sandbox reads SELECT fields WHERE conditions with comparisons, IN, LIKE, BETWEEN, AND, OR and NOT, and \
                       SELECT fields, COUNT(*) WHERE conditions GROUP BY fields";
            return Err(("InvalidExpressionException", why.to_owned()));
        };
        let shown =
            |resource: &Resource| self.shows(&resource.account, &resource.region, false) && query.holds(resource);
        let known = self.resources.values().filter(|resource| shown(resource));
        let mut rows: Vec<Value> = known.map(|resource| query.row(resource, Timestamp::now())).collect();
        if self.records_compliance && expression.contains(RESOURCE_COMPLIANCE) {
            let derived = self.rules.resource_compliance();
            let derived = derived.iter().filter(|(item, _)| shown(item));
            rows.extend(derived.map(|(item, captured)| query.row(item, *captured)));
        }
        let rows = query.answered(rows.into_iter());
        let mut answer = page(&rows, ask, "Results", &Limits { default: 25, most: 100 }, self.empty_pages)?;
        let fields: Vec<Value> = query.fields.iter().map(|name| json!({"Name": name})).collect();
        answer["QueryInfo"] = json!({"SelectFields": fields});
        Ok(answer)
    }

    /// Rules without a result that counts are not shown, as on AWS.
    fn aggregate_compliance(&self, ask: &Value) -> Result<Value, Refused> {
        let filters = &ask["Filters"];
        let mut rows = Vec::new();
        for ((account, region), rule) in self.rules.all() {
            let Some((verdict, compliance)) = rule.compliance() else { continue };
            let wanted = matches(&filters["AccountId"], account)
                && matches(&filters["AwsRegion"], region)
                && matches(&filters["ConfigRuleName"], &rule.name)
                && matches(&filters["ComplianceType"], verdict.text());
            if wanted && self.shows(account, region, true) {
                rows.push(json!({
                    "ConfigRuleName": rule.name, "Compliance": compliance, "AccountId": account, "AwsRegion": region,
                }));
            }
        }
        let limits = Limits { default: 1000, most: 1000 };
        page(&rows, ask, "AggregateComplianceByConfigRules", &limits, self.empty_pages)
    }

    fn aggregate_details(&self, ask: &Value) -> Result<Value, Refused> {
        let name = required(ask, "ConfigRuleName", 128)?;
        let (account, region) = (required(ask, "AccountId", 12)?, required(ask, "AwsRegion", 64)?);
        let wanted = &ask["ComplianceType"];
        let rule = self.rules.named(account, region, name).filter(|_| self.shows(account, region, true));
        let results = rule.into_iter().flat_map(|rule| rule.results.iter().map(move |found| (rule, found)));
        // The aggregator carries no NOT_APPLICABLE.
        let rows: Vec<Value> = results
            .filter(|(_, (_, outcome))| outcome.compliance != Compliance::NotApplicable)
            .filter(|(_, (_, outcome))| matches(wanted, outcome.compliance.text()))
            .map(|(rule, (resource, outcome))| {
                let mut row = rule.result(resource, outcome);
                (row["AccountId"], row["AwsRegion"]) = (json!(account), json!(region));
                row
            })
            .collect();
        page(&rows, ask, "AggregateEvaluationResults", &Limits { default: 50, most: 100 }, self.empty_pages)
    }

    // -------------------------------------------------------------------------------------------- the account itself

    fn config_rules(&self, account: &str, region: &str, ask: &Value) -> Result<Value, Refused> {
        let rules = self.named(account, region, &ask["ConfigRuleNames"])?;
        let rows: Vec<Value> = rules.iter().map(|rule| rule.described()).collect();
        page(&rows, ask, "ConfigRules", &Limits { default: 25, most: 25 }, self.empty_pages)
    }

    fn compliance_by_rule(&self, account: &str, region: &str, ask: &Value) -> Result<Value, Refused> {
        let wanted = texts(&ask["ComplianceTypes"]);
        let mut rows = Vec::new();
        for rule in self.named(account, region, &ask["ConfigRuleNames"])? {
            let (verdict, compliance) = match rule.compliance() {
                Some((verdict, compliance)) => (verdict.text(), compliance),
                None => ("INSUFFICIENT_DATA", json!({"ComplianceType": "INSUFFICIENT_DATA"})),
            };
            if wanted.is_empty() || wanted.contains(verdict) {
                rows.push(json!({"ConfigRuleName": rule.name, "Compliance": compliance}));
            }
        }
        page(&rows, ask, "ComplianceByConfigRules", &Limits { default: 25, most: 25 }, self.empty_pages)
    }

    fn details(&self, account: &str, region: &str, ask: &Value) -> Result<Value, Refused> {
        // The model says 64; names of service-linked rules are longer, and AWS is taken to let them pass.
        let name = required(ask, "ConfigRuleName", 128)?;
        let wanted = texts(&ask["ComplianceTypes"]);
        if wanted.contains("INSUFFICIENT_DATA") {
            let why = "INSUFFICIENT_DATA cannot be filtered for".to_owned();
            return Err(("InvalidParameterValueException", why));
        }
        let rule = self.rules.named(account, region, name).ok_or_else(|| no_such_rule(name))?;
        let rows: Vec<Value> = rule
            .results
            .iter()
            .filter(|(_, outcome)| wanted.is_empty() || wanted.contains(outcome.compliance.text()))
            .map(|(resource, outcome)| rule.result(resource, outcome))
            .collect();
        page(&rows, ask, "EvaluationResults", &Limits { default: 10, most: 100 }, self.empty_pages)
    }

    fn named(&self, account: &str, region: &str, names: &Value) -> Result<Vec<&rules::Rule>, Refused> {
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

fn no_such_rule(name: &str) -> Refused {
    ("NoSuchConfigRuleException", format!("The ConfigRule '{name}' provided in the request is invalid"))
}

/// A configuration item; the base form, which batch calls give, has no tags.
fn item(resource: &Resource, whole: bool) -> Value {
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
