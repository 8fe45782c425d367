//! StackSets: moto holds them and the member stacks; here are operations, instances, and what moto does otherwise than AWS.
//!
//! moto's own stack instances are left aside: it forgets operation ids, deploys an instance from the StackSet's first template
//! whatever came later, never updates one, and gives up on a template whose outputs name a resource type it does not have.
//! So instances are kept here, and their stacks are made in moto's member accounts one by one.
//!
//! Every correction is one function, and says why it is there. Operations take a set time and are over then, with
//! the status that the forced failures and the failure tolerance give; instances are *outdated* while an operation runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::Client;
use crate::events;
use crate::gateway::Call;
use crate::http::{self, Request, Response};
use crate::ids;
use crate::wire::{self, Form, xml_escape};

/// The StackSets of the central account.
#[derive(Debug)]
pub struct StackSets {
    moto: SocketAddr,
    inside: Client,
    account: String,
    region: String,
    /// How long an operation takes.
    pub(crate) delay: Duration,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    sets: BTreeMap<String, Set>,
    failures: Vec<Failure>,
}

#[derive(Debug, Default)]
struct Set {
    id: String,
    operations: Vec<Operation>,
    members: BTreeMap<(String, String), Member>,
}

/// A stack instance, with what its stack was last deployed with.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) template: String,
    /// The parameters of the StackSet with the overrides of this instance on top.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) deployed: bool,
    overrides: BTreeMap<String, String>,
    stack_id: String,
    status: &'static str,
    detailed: &'static str,
    reason: String,
}

#[derive(Debug, Clone)]
struct Operation {
    id: String,
    action: &'static str,
    results: Vec<Outcome>,
    created: String,
    over: Instant,
    /// Set once it is over.
    ended: Option<String>,
    tolerance: Tolerance,
    retain: bool,
}

#[derive(Debug, Clone)]
struct Outcome {
    account: String,
    region: String,
    /// The reason of a failure.
    failure: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Tolerance {
    Count(usize),
    Percentage(usize),
}

#[derive(Debug, Clone)]
struct Failure {
    account: String,
    region: String,
    reason: String,
    times: u32,
}

/// An operation that was accepted, and will be over.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    set: String,
    operation: String,
}

impl StackSets {
    pub(crate) fn new(moto: SocketAddr, inside: Client, account: &str, region: &str, delay: Duration) -> Self {
        Self { moto, inside, account: account.to_owned(), region: region.to_owned(), delay, book: Mutex::default() }
    }

    /// Lets the next `times` operations that touch this instance fail there with this reason.
    pub fn fail_instance(&self, account: &str, region: &str, reason: &str, times: u32) {
        self.with(|book| {
            book.failures.push(Failure {
                account: account.to_owned(),
                region: region.to_owned(),
                reason: reason.to_owned(),
                times,
            });
        });
    }

    /// The stack instances that are deployed in one account and Region.
    pub(crate) fn members_in(&self, account: &str, region: &str) -> Vec<Member> {
        self.with(|book| {
            let sets = book.sets.values();
            let key = (account.to_owned(), region.to_owned());
            sets.filter_map(|set| set.members.get(&key).cloned()).filter(|member| member.deployed).collect()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        let mut book = self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        for set in book.sets.values_mut() {
            set.settle(now);
        }
        act(&mut book)
    }

    pub(crate) fn answer(&self, call: &Call, request: &Request) -> (Response, Option<Accepted>) {
        let name = call.form.get("StackSetName").unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
        let answered = match call.operation.as_str() {
            "CreateStackSet" => self.create_stack_set(&name, call, request).map(|response| (response, None)),
            "UpdateStackSet" | "CreateStackInstances" | "UpdateStackInstances" | "DeleteStackInstances" => {
                self.operate(&name, call, request)
            }
            "DescribeStackSetOperation"
            | "ListStackSetOperations"
            | "ListStackSetOperationResults"
            | "ListStackInstances"
            | "DescribeStackInstance" => self.look(&name, call, request).map(|response| (response, None)),
            "DeleteStackSet" => self.delete_stack_set(&name, call, request).map(|response| (response, None)),
            _ => self.moto(&call.form, request).map(|response| (response, None)),
        };
        answered.unwrap_or_else(|error| (wire::query_error(500, "InternalFailure", &format!("{error:#}")), None))
    }

    fn moto(&self, form: &Form, request: &Request) -> Result<Response> {
        let mut forwarded = request.clone();
        forwarded.body = form.encode().into_bytes();
        forwarded.method = "POST".to_owned();
        forwarded.target = "/".to_owned();
        forwarded
            .headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("host") && !name.eq_ignore_ascii_case("content-type"));
        let forwarded = forwarded
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("x-moto-account-id", &self.account);
        http::send(self.moto, &forwarded)
    }

    /// moto accepts a second StackSet of the same name; AWS refuses it.
    fn create_stack_set(&self, name: &str, call: &Call, request: &Request) -> Result<Response> {
        if self.describe(name)?.is_some() {
            return Ok(wire::query_error(
                409,
                "NameAlreadyExistsException",
                &format!("StackSet {name} already exists"),
            ));
        }
        let form = match self.with_template_body(&call.form) {
            Ok(form) => form,
            Err(error) => return Ok(wire::query_error(400, "ValidationError", &format!("{error:#}"))),
        };
        let response = self.moto(&form, request)?;
        if response.is_success() {
            let id = wire::xml_text(&response.text(), "StackSetId").unwrap_or_default();
            self.with(|book| book.sets.insert(name.to_owned(), Set { id, ..Set::default() }));
        }
        Ok(response)
    }

    /// moto would look for the template in an S3 of its own; the application put it into MiniStack's.
    fn with_template_body(&self, form: &Form) -> Result<Form> {
        let mut form = form.clone();
        if let Some(url) = form.get("TemplateURL").map(str::to_owned) {
            let (bucket, key) =
                bucket_and_key(&url).with_context(|| format!("TemplateURL `{url}` is not an S3 address"))?;
            let object = self.inside.object(&bucket, &key)?;
            form.remove("TemplateURL");
            form.set("TemplateBody", &String::from_utf8_lossy(&object));
        } else if let Some(body) = form.get("TemplateBody")
            && body.len() > 51_200
        {
            anyhow::bail!(
                "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200"
            );
        }
        Ok(form)
    }

    /// Template and parameters as moto has them now, if there is such a StackSet.
    fn describe(&self, name: &str) -> Result<Option<(String, BTreeMap<String, String>)>> {
        let client = Client::new(self.moto, &self.account, &self.region);
        let mut form = Form::default();
        form.set("Action", "DescribeStackSet");
        form.set("Version", "2010-05-15");
        form.set("StackSetName", name);
        let request = Request::new("POST", "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-moto-account-id", &self.account)
            .body(form.encode());
        let response = client.send("cloudformation", request)?;
        if !response.is_success() {
            return Ok(None);
        }
        let xml = response.text();
        let parameters =
            wire::xml_elements(&xml, "Parameters").into_iter().flat_map(|list| wire::xml_elements(list, "member"));
        let parameters = parameters
            .filter_map(|member| {
                Some((wire::xml_text(member, "ParameterKey")?, wire::xml_text(member, "ParameterValue")?))
            })
            .collect();
        Ok(Some((wire::xml_text(&xml, "TemplateBody").unwrap_or_default(), parameters)))
    }

    /// AWS refuses to delete a StackSet that has instances or an operation; moto looks at its own instances only.
    fn delete_stack_set(&self, name: &str, call: &Call, request: &Request) -> Result<Response> {
        let (members, busy) =
            self.with(|book| book.sets.get(name).map_or((0, false), |set| (set.members.len(), set.is_busy())));
        if busy {
            return Ok(in_progress(name));
        }
        if members > 0 {
            return Ok(wire::query_error(409, "StackSetNotEmptyException", "StackSet is not empty"));
        }
        let response = self.moto(&call.form, request)?;
        if response.is_success() {
            self.with(|book| book.sets.remove(name));
        }
        Ok(response)
    }

    /// The four operations. moto gives them ids of its own and forgets the caller's, runs several at once, and accepts an id
    /// twice; AWS returns the caller's id, refuses a second operation while one runs, and an id that was used before.
    fn operate(&self, name: &str, call: &Call, request: &Request) -> Result<(Response, Option<Accepted>)> {
        let mut form = match self.with_template_body(&call.form) {
            Ok(form) => form,
            Err(error) => return Ok((wire::query_error(400, "ValidationError", &format!("{error:#}")), None)),
        };
        let id = form.get("OperationId").map_or_else(ids::uuid, str::to_owned);
        let refusal = self.with(|book| {
            let set = book.sets.get(name)?;
            if set.operations.iter().any(|operation| operation.id == id) {
                let message = format!("OperationId {id} was already used for StackSet {name}");
                return Some(wire::query_error(409, "OperationIdAlreadyExistsException", &message));
            }
            set.is_busy().then(|| in_progress(name))
        });
        if let Some(refusal) = refusal {
            return Ok((refusal, None));
        }
        form.set("OperationId", &id);
        accounts_at_the_top(&mut form);
        let regions = form.list("Regions");
        let mut pairs: Vec<(String, String)> = form
            .list("Accounts")
            .iter()
            .flat_map(|account| regions.iter().map(|region| (account.clone(), region.clone())))
            .collect();
        let existing = self.existing(name);
        if call.operation == "UpdateStackSet" {
            pairs = if pairs.is_empty() { existing.clone() } else { pairs };
            for name in ["Accounts", "Regions"] {
                form.remove(name);
            }
        }
        if call.operation == "UpdateStackInstances"
            && let Some((account, region)) = pairs.iter().find(|pair| !existing.contains(pair))
        {
            return Ok((instance_not_found(name, account, region), None));
        }
        // A StackSet that is not there is moto's to refuse, whatever the operation.
        if call.operation == "UpdateStackSet" || !self.with(|book| book.sets.contains_key(name)) {
            let response = self.moto(&form, request)?;
            if !response.is_success() {
                return Ok((response, None));
            }
        }
        if matches!(call.operation.as_str(), "UpdateStackSet" | "DeleteStackInstances") {
            pairs.retain(|pair| existing.contains(pair));
        }
        let overrides: BTreeMap<String, String> = form.parameters("ParameterOverrides").into_iter().collect();
        let (template, parameters) = self.describe(name)?.unwrap_or_default();
        let (action, stack_action) = match call.operation.as_str() {
            "CreateStackInstances" => ("CREATE", "CreateStack"),
            "DeleteStackInstances" => ("DELETE", "DeleteStack"),
            _ => ("UPDATE", "UpdateStack"),
        };
        let members = self.with(|book| {
            let failures = &mut book.failures;
            let Some(set) = book.sets.get_mut(name) else { return Vec::new() };
            let results = pairs.iter().map(|(account, region)| Outcome {
                account: account.clone(),
                region: region.clone(),
                failure: failure_of(failures, account, region),
            });
            let operation = Operation {
                id: id.clone(),
                action,
                results: results.collect(),
                created: ids::now_millis(),
                over: Instant::now() + self.delay,
                ended: None,
                tolerance: tolerance(&form),
                retain: form.get("RetainStacks") == Some("true"),
            };
            let touched = operation.results.iter().filter(|outcome| outcome.failure.is_none());
            let touched: Vec<_> = touched.map(|outcome| (outcome.account.clone(), outcome.region.clone())).collect();
            let retained = operation.retain;
            set.begin(
                name,
                operation,
                &template,
                &parameters,
                (call.operation != "UpdateStackSet").then_some(&overrides),
            );
            let touched = touched.into_iter().filter(|_| !retained);
            touched.filter_map(|pair| Some((pair.clone(), set.members.get(&pair)?.clone()))).collect()
        });
        for ((account, region), member) in members {
            self.member_stack(stack_action, &account, &region, &member);
        }
        let answer = wire::query_response(&call.operation, &format!("<OperationId>{}</OperationId>", xml_escape(&id)));
        Ok((answer, Some(Accepted { set: name.to_owned(), operation: id })))
    }

    fn existing(&self, name: &str) -> Vec<(String, String)> {
        self.with(|book| book.sets.get(name).map(|set| set.members.keys().cloned().collect()).unwrap_or_default())
    }

    /// The stack of an instance, in the member account. Outputs are left out: moto gives up on those of a type it does not have.
    fn member_stack(&self, action: &str, account: &str, region: &str, member: &Member) {
        let mut form = Form::default();
        form.set("Action", action);
        form.set("Version", "2010-05-15");
        form.set("StackName", member.stack_id.split('/').nth(1).unwrap_or_default());
        if action != "DeleteStack" {
            form.set("TemplateBody", &without_outputs(&member.template));
            for (n, (key, value)) in member.parameters.iter().enumerate() {
                form.set(&format!("Parameters.member.{}.ParameterKey", n + 1), key);
                form.set(&format!("Parameters.member.{}.ParameterValue", n + 1), value);
            }
        }
        let request = Request::new("POST", "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-moto-account-id", account)
            .body(form.encode());
        // What the instance shows comes from the book; a resource type unknown to moto must not fail a rollout.
        let _ = Client::new(self.moto, account, region).send("cloudformation", request);
    }

    /// Waits until an operation is over; returns the event that says so.
    pub(crate) fn finish(&self, accepted: &Accepted) -> Option<Value> {
        std::thread::sleep(self.delay);
        self.with(|book| {
            let set = book.sets.get_mut(&accepted.set)?;
            set.settle(Instant::now() + self.delay);
            let operation = set.operations.iter().find(|operation| operation.id == accepted.operation)?;
            let arn = format!("arn:aws:cloudformation:{}:{}:stackset/{}", self.region, self.account, set.id);
            Some(events::event(
                &self.account,
                &self.region,
                "aws.cloudformation",
                "CloudFormation StackSet Operation Status Change",
                std::slice::from_ref(&arn),
                &json!({
                    "stack-set-arn": arn, "stack-set-operation-id": operation.id,
                    "status-details": {"status": operation.status()},
                }),
            ))
        })
    }

    /// What is asked of operations and instances is answered from the book: moto has neither results nor statuses, filters
    /// nothing, gives an instance another stack id each time, and fails on an instance that is not there.
    fn look(&self, name: &str, call: &Call, request: &Request) -> Result<Response> {
        let known = self.with(|book| {
            let set = book.sets.get(name)?;
            Some(match call.operation.as_str() {
                "ListStackSetOperations" => {
                    page(call, set.operations.iter().rev().map(|operation| operation.xml(&set.id)).collect())
                }
                "ListStackInstances" => page(call, set.members_xml(&call.form)),
                "DescribeStackInstance" => {
                    let key = |name: &str| call.form.get(name).unwrap_or_default().to_owned();
                    let (account, region) = (key("StackInstanceAccount"), key("StackInstanceRegion"));
                    match set.members.get(&(account.clone(), region.clone())) {
                        Some(member) => {
                            let inside = member.xml(&set.id, &account, &region, true);
                            wire::query_response(&call.operation, &format!("<StackInstance>{inside}</StackInstance>"))
                        }
                        None => instance_not_found(name, &account, &region),
                    }
                }
                _ => {
                    let id = call.form.get("OperationId").unwrap_or_default();
                    match set.operations.iter().find(|operation| operation.id == id) {
                        None => wire::query_error(
                            404,
                            "OperationNotFoundException",
                            &format!("Operation {id} not found in StackSet {name}"),
                        ),
                        Some(operation) if call.operation == "DescribeStackSetOperation" => {
                            let inside = operation.xml(&set.id);
                            wire::query_response(
                                &call.operation,
                                &format!("<StackSetOperation>{inside}</StackSetOperation>"),
                            )
                        }
                        Some(operation) => page(call, operation.results_xml()),
                    }
                }
            })
        });
        // Without a book there is no such StackSet: moto has the words for it.
        known.map_or_else(|| self.moto(&call.form, request), Ok)
    }
}

/// A template without its `Outputs`, in YAML by its top-level lines.
fn without_outputs(template: &str) -> String {
    if let Ok(Value::Object(mut object)) = serde_json::from_str(template) {
        object.remove("Outputs");
        return Value::Object(object).to_string();
    }
    let mut within = false;
    let kept = template.lines().filter(|line| {
        if !line.starts_with([' ', '#', '-']) && !line.trim().is_empty() {
            within = line.starts_with("Outputs:");
        }
        !within
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// SDKs may send accounts within `DeploymentTargets`, which moto reads for organizational units only.
fn accounts_at_the_top(form: &mut Form) {
    let within = form.list("DeploymentTargets.Accounts");
    if form.list("Accounts").is_empty() && !within.is_empty() {
        form.remove("DeploymentTargets");
        for (n, account) in within.iter().enumerate() {
            form.set(&format!("Accounts.member.{}", n + 1), account);
        }
    }
}

fn in_progress(name: &str) -> Response {
    wire::query_error(
        409,
        "OperationInProgressException",
        &format!("Another Operation on StackSet {name} is in progress"),
    )
}

fn instance_not_found(name: &str, account: &str, region: &str) -> Response {
    let message = format!("Stack Instance not found for StackSet {name}, account {account}, region {region}");
    wire::query_error(404, "StackInstanceNotFoundException", &message)
}

fn failure_of(failures: &mut Vec<Failure>, account: &str, region: &str) -> Option<String> {
    let at = failures.iter().position(|failure| failure.account == account && failure.region == region)?;
    let failure = failures.get_mut(at)?;
    let reason = failure.reason.clone();
    failure.times = failure.times.saturating_sub(1);
    if failure.times == 0 {
        failures.remove(at);
    }
    Some(reason)
}

fn tolerance(form: &Form) -> Tolerance {
    let number = |name: &str| form.get(&format!("OperationPreferences.{name}")).and_then(|text| text.parse().ok());
    match (number("FailureToleranceCount"), number("FailureTolerancePercentage")) {
        (_, Some(percentage)) => Tolerance::Percentage(percentage),
        (count, None) => Tolerance::Count(count.unwrap_or(0)),
    }
}

/// One page of `Summaries`, by `MaxResults` and `NextToken`; moto gives everything at once.
fn page(call: &Call, rows: Vec<String>) -> Response {
    let start: usize = call.form.get("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let most: usize = call.form.get("MaxResults").and_then(|most| most.parse().ok()).unwrap_or(100);
    let more = start + most < rows.len();
    let next = if more { format!("<NextToken>{}</NextToken>", start + most) } else { String::new() };
    let rows: String = rows.iter().skip(start).take(most).map(|row| format!("<member>{row}</member>")).collect();
    wire::query_response(&call.operation, &format!("<Summaries>{rows}</Summaries>{next}"))
}

/// Bucket and key of an S3 address, path style or virtual-hosted.
fn bucket_and_key(url: &str) -> Option<(String, String)> {
    let rest = url.split_once("://")?.1;
    let (host, path) = rest.split_once('/')?;
    let path = path.split('?').next()?;
    let virtual_hosted = host.split_once(".s3").filter(|(bucket, _)| !bucket.is_empty());
    let (bucket, key) = match virtual_hosted {
        Some((bucket, _)) => (bucket, path),
        None => path.split_once('/')?,
    };
    Some((bucket.to_owned(), key.to_owned()))
}

impl Set {
    fn is_busy(&self) -> bool {
        self.operations.iter().any(|operation| operation.ended.is_none())
    }

    fn begin(
        &mut self,
        name: &str,
        operation: Operation,
        template: &str,
        parameters: &BTreeMap<String, String>,
        overrides: Option<&BTreeMap<String, String>>,
    ) {
        for outcome in &operation.results {
            let key = (outcome.account.clone(), outcome.region.clone());
            let fresh = || Member {
                template: String::new(),
                parameters: BTreeMap::new(),
                deployed: false,
                overrides: BTreeMap::new(),
                stack_id: format!(
                    "arn:aws:cloudformation:{}:{}:stack/StackSet-{name}-{}/{}",
                    outcome.region,
                    outcome.account,
                    ids::uuid(),
                    ids::uuid()
                ),
                status: "OUTDATED",
                detailed: "RUNNING",
                reason: String::new(),
            };
            let is_new = !self.members.contains_key(&key);
            let member = self.members.entry(key).or_insert_with(fresh);
            (member.status, member.detailed, member.reason) = ("OUTDATED", "RUNNING", "User Initiated".to_owned());
            // Creating an instance that is there leaves it as it is.
            if operation.action == "DELETE" || (operation.action == "CREATE" && !is_new && member.deployed) {
                continue;
            }
            if let Some(overrides) = overrides {
                member.overrides.clone_from(overrides);
            }
            if outcome.failure.is_none() {
                member.template = template.to_owned();
                member.parameters = parameters.clone();
                member.parameters.extend(member.overrides.clone());
            }
        }
        self.operations.push(operation);
    }

    /// Ends the operations whose time is over.
    fn settle(&mut self, now: Instant) {
        for operation in
            self.operations.iter_mut().filter(|operation| operation.ended.is_none() && operation.over <= now)
        {
            operation.ended = Some(ids::now_millis());
            for outcome in &operation.results {
                let key = (outcome.account.clone(), outcome.region.clone());
                match (&outcome.failure, operation.action, self.members.get_mut(&key)) {
                    (None, "DELETE", _) => {
                        self.members.remove(&key);
                    }
                    (None, _, Some(member)) => {
                        (member.status, member.detailed, member.deployed) = ("CURRENT", "SUCCEEDED", true);
                        member.reason.clear();
                    }
                    (Some(reason), action, Some(member)) => {
                        member.status = if action == "DELETE" { "INOPERABLE" } else { "OUTDATED" };
                        member.detailed = "FAILED";
                        member.reason.clone_from(reason);
                    }
                    (_, _, None) => {}
                }
            }
        }
    }

    fn members_xml(&self, form: &Form) -> Vec<String> {
        let wanted = |name: &str, value: &str| form.get(name).is_none_or(|filter| filter == value);
        let members = self.members.iter().filter(|((account, region), _)| {
            wanted("StackInstanceAccount", account) && wanted("StackInstanceRegion", region)
        });
        members.map(|((account, region), member)| member.xml(&self.id, account, region, false)).collect()
    }
}

impl Member {
    fn xml(&self, set: &str, account: &str, region: &str, with_overrides: bool) -> String {
        let overrides: String = self
            .overrides
            .iter()
            .map(|(key, value)| {
                format!(
                    "<member><ParameterKey>{}</ParameterKey><ParameterValue>{}</ParameterValue></member>",
                    xml_escape(key),
                    xml_escape(value)
                )
            })
            .collect();
        let overrides = if with_overrides {
            format!("<ParameterOverrides>{overrides}</ParameterOverrides>")
        } else {
            String::new()
        };
        let reason = if self.reason.is_empty() {
            String::new()
        } else {
            format!("<StatusReason>{}</StatusReason>", xml_escape(&self.reason))
        };
        format!(
            "<StackSetId>{}</StackSetId><Region>{region}</Region><Account>{account}</Account><StackId>{}</StackId>\
             <Status>{}</Status><StackInstanceStatus><DetailedStatus>{}</DetailedStatus></StackInstanceStatus>\
             <DriftStatus>NOT_CHECKED</DriftStatus>{reason}{overrides}",
            xml_escape(set),
            xml_escape(&self.stack_id),
            self.status,
            self.detailed
        )
    }
}

impl Operation {
    fn failed(&self) -> usize {
        self.results.iter().filter(|outcome| outcome.failure.is_some()).count()
    }

    /// Over, it has failed when one Region has more failures than are tolerated.
    fn status(&self) -> &'static str {
        if self.ended.is_none() {
            return "RUNNING";
        }
        let mut regions: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for outcome in &self.results {
            let (all, failed) = regions.entry(&outcome.region).or_default();
            *all += 1;
            *failed += usize::from(outcome.failure.is_some());
        }
        let beyond = regions.values().any(|(all, failed)| match self.tolerance {
            Tolerance::Count(count) => *failed > count,
            Tolerance::Percentage(percentage) => *failed > all * percentage / 100,
        });
        if beyond { "FAILED" } else { "SUCCEEDED" }
    }

    fn xml(&self, set: &str) -> String {
        let ended = self.ended.as_ref().map(|at| format!("<EndTimestamp>{at}</EndTimestamp>")).unwrap_or_default();
        format!(
            "<OperationId>{}</OperationId><StackSetId>{}</StackSetId><Action>{}</Action><Status>{}</Status>\
             <CreationTimestamp>{}</CreationTimestamp>{ended}<RetainStacks>{}</RetainStacks>\
             <StatusDetails><FailedStackInstancesCount>{}</FailedStackInstancesCount></StatusDetails>",
            xml_escape(&self.id),
            xml_escape(set),
            self.action,
            self.status(),
            self.created,
            self.retain,
            self.failed()
        )
    }

    fn results_xml(&self) -> Vec<String> {
        let row = |outcome: &Outcome| {
            let (status, reason) = match (&outcome.failure, &self.ended) {
                (_, None) => ("RUNNING", String::new()),
                (None, Some(_)) => ("SUCCEEDED", String::new()),
                (Some(reason), Some(_)) => ("FAILED", format!("<StatusReason>{}</StatusReason>", xml_escape(reason))),
            };
            format!(
                "<Account>{}</Account><Region>{}</Region><Status>{status}</Status>{reason}",
                outcome.account, outcome.region
            )
        };
        self.results.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests;
