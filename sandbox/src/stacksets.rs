//! CloudFormation StackSets: their definitions, instances and operations.
//!
//! moto validates each StackSet that is created or updated, and has the member stacks in its member accounts. All
//! responses come from the state that is kept here. moto's own operations and instances are not used: moto loses
//! operation ids, deploys instances from the StackSet's first template, never updates them, supports neither
//! organizational units nor managed execution, and fails for templates whose outputs refer to a resource type that it
//! does not have.
//!
//! An operation takes a fixed time. It ends with the status that follows from its failures and its failure tolerance.
//! Instances are `OUTDATED` while an operation runs.

mod book;
mod errors;
mod request;
mod targets;
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::call::ApiCall;
use crate::client::CloudClient;
use crate::events;
use crate::http::{self, HttpRequest, HttpResponse};
use crate::ids;
use crate::organization::Organizations;
use crate::wire::{self, Form, xml_escape};
use book::{OperationStage, StackSetBook, StackSetDefinition, StackSetOperation, StackSetRecord};
use errors::{ServiceResult, in_progress, invalid};
use request::{bucket_and_key, key_of, preferences, requested_parameters};

pub(crate) use book::StackInstance;

/// The StackSets of the central account, and those it manages as a delegated administrator.
#[derive(Debug)]
pub struct StackSets {
    moto: SocketAddr,
    inside: CloudClient,
    account: String,
    region: String,
    /// How long an operation takes.
    pub(crate) delay: Duration,
    organization: Arc<Organizations>,
    book: Mutex<StackSetBook>,
}

/// A running operation.
#[derive(Debug, Clone)]
pub(crate) struct AcceptedOperation {
    set: (bool, String),
    operation: String,
}

/// The response to the caller, and the operation that it started.
type Started = (HttpResponse, Option<AcceptedOperation>);

impl StackSets {
    pub(crate) fn new(
        moto: SocketAddr,
        inside: CloudClient,
        account: &str,
        region: &str,
        delay: Duration,
        organization: Arc<Organizations>,
    ) -> Self {
        let (account, region) = (account.to_owned(), region.to_owned());
        Self { moto, inside, account, region, delay, organization, book: Mutex::default() }
    }

    /// Fails the next `times` operations on this instance with this reason.
    pub fn fail_instance(&self, account: &str, region: &str, reason: &str, times: u32) {
        self.with(|book| book.conditions.fail(account, region, reason, times));
    }

    /// Sets whether an account has the execution role of self-managed StackSets; all accounts have it at the start.
    pub fn set_execution_role(&self, account: &str, there: bool) {
        self.with(|book| {
            let without = &mut book.conditions.without_role;
            if there { without.remove(account) } else { without.insert(account.to_owned()) }
        });
    }

    /// Returns the deployed stack instances in one account and Region.
    pub(crate) fn members_in(&self, account: &str, region: &str) -> Vec<StackInstance> {
        self.with(|book| {
            let sets = book.sets.values();
            let key = (account.to_owned(), region.to_owned());
            sets.filter_map(|set| set.members.get(&key).cloned()).filter(|member| member.deployed).collect()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut StackSetBook) -> T) -> T {
        let restrictions = self.organization.restrictions();
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.settle(Instant::now(), self.delay, &restrictions);
        act(&mut book)
    }

    pub(crate) fn answer(&self, call: &ApiCall, request: &HttpRequest) -> Started {
        let started = match call.operation.as_str() {
            "CreateStackSet" => self.create_stack_set(call, request).map(|response| (response, None)),
            "UpdateStackSet" => self.update_stack_set(call, request),
            "CreateStackInstances" | "UpdateStackInstances" | "DeleteStackInstances" => self.operate(call),
            "DeleteStackSet" => self.delete_stack_set(call, request).map(|response| (response, None)),
            _ => self.read(call).map(|response| (response, None)),
        };
        started.unwrap_or_else(|error| (error, None))
    }

    /// Forwards a request to moto; an error is moto's.
    fn moto(&self, form: &Form, request: &HttpRequest) -> ServiceResult<HttpResponse> {
        let mut forwarded = HttpRequest { method: "POST".to_owned(), target: "/".to_owned(), ..request.clone() };
        forwarded
            .headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("host") && !name.eq_ignore_ascii_case("content-type"));
        let forwarded = forwarded
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("x-moto-account-id", &self.account)
            .body(form.encode());
        match http::send(self.moto, &forwarded) {
            Ok(response) if response.is_success() => Ok(response),
            Ok(response) => Err(response),
            Err(error) => Err(wire::query_error(500, "InternalFailure", &format!("{error:#}"))),
        }
    }

    /// Creates a StackSet. moto accepts a second StackSet of the same name; AWS rejects it.
    fn create_stack_set(&self, call: &ApiCall, request: &HttpRequest) -> ServiceResult<HttpResponse> {
        let (delegated, name) = key_of(&call.form);
        if self.with(|book| book.sets.contains_key(&(delegated, name.clone()))) {
            let message = format!("StackSet {name} already exists");
            return Err(wire::query_error(409, "NameAlreadyExistsException", &message));
        }
        let form = self.with_template_body(&call.form)?;
        let service_managed = form.get("PermissionModel") == Some("SERVICE_MANAGED");
        if service_managed && let Some(why) = self.organization.stack_sets_error(delegated) {
            return Err(invalid(why));
        }
        let definition = StackSetDefinition::default().updated(&form, service_managed)?;
        definition.validate(delegated)?;
        self.moto(&form, request)?;
        let id = format!("{name}:{}", ids::uuid());
        let set = StackSetRecord {
            id: id.clone(),
            definition,
            managed_execution: form.get("ManagedExecution.Active") == Some("true"),
            ..StackSetRecord::default()
        };
        self.with(|book| book.sets.insert((delegated, name), set));
        Ok(wire::query_response(&call.operation, &format!("<StackSetId>{}</StackSetId>", xml_escape(&id))))
    }

    /// Replaces `TemplateURL` by the template: moto would read it from its own S3, and the application wrote it to
    /// MiniStack's.
    fn with_template_body(&self, form: &Form) -> ServiceResult<Form> {
        let mut form = form.clone();
        if let Some(url) = form.get("TemplateURL").map(str::to_owned) {
            let location = bucket_and_key(&url);
            let (bucket, key) = location.ok_or_else(|| invalid(&format!("TemplateURL `{url}` is not an S3 URL")))?;
            let object = self.inside.object(&bucket, &key).map_err(|error| invalid(&format!("{error:#}")))?;
            form.remove("TemplateURL");
            form.set("TemplateBody", &String::from_utf8_lossy(&object));
        } else if form.get("TemplateBody").is_some_and(|body| body.len() > 51_200) {
            return Err(invalid(
                "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200",
            ));
        }
        Ok(form)
    }

    /// Returns the StackSet of a request, with its key.
    fn find(&self, form: &Form) -> ServiceResult<((bool, String), StackSetRecord)> {
        let key = key_of(form);
        let asked = form.get("StackSetName").unwrap_or_default();
        let id = asked.rsplit('/').next().filter(|id| id.contains(':'));
        let set = self.with(|book| book.sets.get(&key).cloned()).filter(|set| id.is_none_or(|id| id == set.id));
        let Some(set) = set else {
            return Err(wire::query_error(404, "StackSetNotFoundException", &format!("StackSet {asked} not found")));
        };
        if set.definition.service_managed
            && let Some(why) = self.organization.stack_sets_error(key.0)
        {
            return Err(invalid(why));
        }
        Ok((key, set))
    }

    /// Deletes a StackSet without instances and operations, as AWS requires; moto checks only its own instances.
    fn delete_stack_set(&self, call: &ApiCall, request: &HttpRequest) -> ServiceResult<HttpResponse> {
        let (key, set) = self.find(&call.form)?;
        if set.is_busy() {
            return Err(in_progress(&key.1));
        }
        if !set.members.is_empty() {
            return Err(wire::query_error(409, "StackSetNotEmptyException", "StackSet is not empty"));
        }
        let mut form = call.form.clone();
        form.set("StackSetName", &key.1);
        let response = self.moto(&form, request)?;
        self.with(|book| {
            if let Some(set) = book.sets.remove(&key) {
                book.deleted.insert(set.id.clone(), set);
            }
        });
        Ok(response)
    }

    /// Changes the definition, and updates all instances or the given ones.
    fn update_stack_set(&self, call: &ApiCall, request: &HttpRequest) -> ServiceResult<Started> {
        let (key, set) = self.find(&call.form)?;
        let mut form = self.with_template_body(&call.form)?;
        let operation = self.operation(&form, &set, "UPDATE")?;
        let service_managed = set.definition.service_managed;
        if form.get("PermissionModel").is_some_and(|model| (model == "SERVICE_MANAGED") != service_managed) {
            return Err(invalid("The permission model of a stack set with instances cannot be changed"));
        }
        let managed = form.get("ManagedExecution.Active").map(|active| active == "true");
        if managed.is_some_and(|managed| managed != set.managed_execution) && set.is_busy() {
            let message = "ManagedExecution cannot be changed while operations are running or queued";
            return Err(wire::query_error(400, "InvalidOperationException", message));
        }
        let definition = set.definition.updated(&form, service_managed)?;
        definition.validate(key.0)?;
        for name in ["Accounts", "Regions", "DeploymentTargets"] {
            form.remove(name);
        }
        form.set("StackSetName", &key.1);
        self.moto(&form, request)?;
        Ok(self.accept(call, &key, operation, |set| {
            set.definition = definition;
            set.managed_execution = managed.unwrap_or(set.managed_execution);
            // Also if the template did not change.
            set.outdate();
        }))
    }

    /// Starts an operation on instances: create, update or delete.
    fn operate(&self, call: &ApiCall) -> ServiceResult<Started> {
        let (key, set) = self.find(&call.form)?;
        let action = match call.operation.as_str() {
            "CreateStackInstances" => "CREATE",
            "DeleteStackInstances" => "DELETE",
            _ => "UPDATE",
        };
        let operation = self.operation(&call.form, &set, action)?;
        let whole = targets::whole_units(&call.form);
        let regions: BTreeSet<String> = call.form.list("Regions").into_iter().collect();
        let without_filter = targets::without_filter(&call.form);
        Ok(self.accept(call, &key, operation, |set| {
            for unit in whole {
                let known = set.auto_targets.entry(unit.clone()).or_default();
                match action {
                    "CREATE" => known.extend(regions.iter().cloned()),
                    "DELETE" if without_filter => known.retain(|region| !regions.contains(region)),
                    _ => {}
                }
                if known.is_empty() {
                    set.auto_targets.remove(&unit);
                }
            }
        }))
    }

    /// Creates an operation from a request. moto replaces the caller's operation id, runs several operations at once,
    /// and accepts an id twice. AWS keeps the caller's id, rejects a used one, and rejects a second operation while
    /// one runs, unless managed execution is active.
    fn operation(&self, form: &Form, set: &StackSetRecord, action: &'static str) -> ServiceResult<StackSetOperation> {
        let id = form.get("OperationId").map_or_else(ids::uuid, str::to_owned);
        let name = set.name();
        if set.operations.iter().any(|operation| operation.id == id) {
            let message = format!("OperationId {id} was already used for StackSet {name}");
            return Err(wire::query_error(409, "OperationIdAlreadyExistsException", &message));
        }
        if set.is_busy() && !set.managed_execution {
            return Err(in_progress(name));
        }
        let update_all = form.get("Action") == Some("UpdateStackSet");
        let restrictions = self.organization.restrictions();
        let below = |unit: &str| self.organization.accounts_below(unit);
        let outcomes = targets::outcomes(form, set, action, &restrictions, below)?;
        Ok(StackSetOperation {
            all: update_all && outcomes.is_empty(),
            overrides: if update_all {
                None
            } else {
                requested_parameters(form, "ParameterOverrides", &BTreeMap::new())
            },
            preferences: preferences(form),
            retain: form.get("RetainStacks") == Some("true"),
            ..StackSetOperation::new(&id, action, outcomes)
        })
    }

    fn accept(
        &self,
        call: &ApiCall,
        key: &(bool, String),
        operation: StackSetOperation,
        change: impl FnOnce(&mut StackSetRecord),
    ) -> Started {
        let id = operation.id.clone();
        let restrictions = self.organization.restrictions();
        self.with(|book| {
            let Some(set) = book.sets.get_mut(key) else { return };
            change(set);
            set.accept(operation, Instant::now() + self.delay, &mut book.conditions, &restrictions);
        });
        let answer = wire::query_response(&call.operation, &format!("<OperationId>{}</OperationId>", xml_escape(&id)));
        (answer, Some(AcceptedOperation { set: key.clone(), operation: id }))
    }

    /// Starts the operations of auto-deployment after an account joined or left a unit.
    pub(crate) fn account_moved(&self, account: &str) -> Vec<AcceptedOperation> {
        let restrictions = self.organization.restrictions();
        let is_below = |unit: &String| self.organization.accounts_below(unit).is_some_and(|all| all.contains(account));
        self.with(|book| {
            let mut begun = Vec::new();
            for (key, set) in &mut book.sets {
                let Some((true, retain)) = set.definition.auto_deployment else { continue };
                let operations = [("CREATE", set.joined(account, is_below)), ("DELETE", set.left(account, is_below))];
                for (action, outcomes) in operations.into_iter().filter(|(_, outcomes)| !outcomes.is_empty()) {
                    let id = ids::uuid();
                    let retain = action == "DELETE" && retain;
                    let operation = StackSetOperation { retain, ..StackSetOperation::new(&id, action, outcomes) };
                    set.accept(operation, Instant::now() + self.delay, &mut book.conditions, &restrictions);
                    begun.push(AcceptedOperation { set: key.clone(), operation: id });
                }
            }
            begun
        })
    }

    /// Creates, updates and deletes the member stacks in moto. Outputs are removed: moto fails for those of unknown
    /// resource types.
    fn sync_stacks(&self) {
        for (action, (account, region), member) in self.with(|book| std::mem::take(&mut book.stacks)) {
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
            let request = HttpRequest::new("POST", "/")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("x-moto-account-id", &account)
                .body(form.encode());
            // Errors are ignored: the state is kept here, and a resource type unknown to moto must not fail a
            // rollout.
            let _ = CloudClient::new(self.moto, &account, &region).send("cloudformation", request);
        }
    }

    /// Waits for the end of an operation; returns its event.
    pub(crate) fn finish(&self, accepted: &AcceptedOperation) -> Option<Value> {
        std::thread::sleep(self.delay);
        let event = loop {
            let state = self.with(|book| {
                let set = book.sets.get(&accepted.set)?;
                let operation = set.operations.iter().find(|operation| operation.id == accepted.operation)?;
                let over = operation.stage == OperationStage::Ended;
                Some(over.then(|| (self.arn(set), operation.id.clone(), operation.status())))
            })?;
            match state {
                None => std::thread::sleep(Duration::from_millis(5)),
                Some((arn, id, status)) => {
                    break events::event(
                        &self.account,
                        &self.region,
                        "aws.cloudformation",
                        "CloudFormation StackSet Operation Status Change",
                        std::slice::from_ref(&arn),
                        &json!({
                            "stack-set-arn": arn, "stack-set-operation-id": id, "status-details": {"status": status},
                        }),
                    );
                }
            }
        };
        self.sync_stacks();
        Some(event)
    }

    fn arn(&self, set: &StackSetRecord) -> String {
        format!("arn:aws:cloudformation:{}:{}:stackset/{}", self.region, self.account, set.id)
    }

    /// Answers the reading operations, and `StopStackSetOperation`.
    fn read(&self, call: &ApiCall) -> ServiceResult<HttpResponse> {
        let form = &call.form;
        if call.operation == "ListStackSets" {
            let delegated = key_of(form).0;
            let sets = self.with(|book| {
                let sets = book.sets.iter().filter(|((of_delegate, _), _)| *of_delegate == delegated);
                sets.map(|(_, set)| set.summary_xml()).collect()
            });
            return Ok(page(call, sets));
        }
        if call.operation == "DescribeStackSet" {
            let asked = form.get("StackSetName").unwrap_or_default().rsplit('/').next().unwrap_or_default();
            let gone = self.with(|book| book.deleted.get(asked).cloned());
            let (set, status) = match gone {
                Some(set) => (set, "DELETED"),
                None => (self.find(form)?.1, "ACTIVE"),
            };
            return Ok(wire::query_response(&call.operation, &set.described_xml(&self.arn(&set), status)));
        }
        let (key, set) = self.find(form)?;
        let id = form.get("OperationId").unwrap_or_default();
        let operation = || {
            let found = set.operations.iter().find(|operation| operation.id == id);
            found.ok_or_else(|| {
                let message = format!("Operation {id} not found in StackSet {}", key.1);
                wire::query_error(404, "OperationNotFoundException", &message)
            })
        };
        Ok(match call.operation.as_str() {
            "ListStackSetOperations" => {
                page(call, set.operations.iter().rev().map(|operation| operation.xml(&set.id)).collect())
            }
            "ListStackInstances" => page(call, set.members_xml(form)),
            "ListStackSetAutoDeploymentTargets" => page(call, set.auto_targets_xml()),
            "DescribeStackInstance" => {
                let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
                let location = (text("StackInstanceAccount"), text("StackInstanceRegion"));
                let member = set.members.get(&location);
                let member = member.ok_or_else(|| errors::instance_not_found(&key.1, &location))?;
                let inside = member.xml(&set.id, &location, true);
                wire::query_response(&call.operation, &format!("<StackInstance>{inside}</StackInstance>"))
            }
            "DescribeStackSetOperation" => {
                let inside = operation()?.xml(&set.id);
                wire::query_response(&call.operation, &format!("<StackSetOperation>{inside}</StackSetOperation>"))
            }
            "ListStackSetOperationResults" => page(call, operation()?.results_xml()),
            "StopStackSetOperation" => {
                operation()?;
                self.stop(&key, id)?;
                wire::query_response(&call.operation, "")
            }
            other => wire::query_error(400, "InvalidAction", &format!("operation {other} is not supported")),
        })
    }

    fn stop(&self, key: &(bool, String), id: &str) -> ServiceResult<()> {
        self.with(|book| {
            let operations = book.sets.get_mut(key).into_iter().flat_map(|set| &mut set.operations);
            let mut running = operations.filter(|operation| {
                operation.id == id && operation.stage != OperationStage::Ended && !operation.stopping
            });
            match running.next() {
                None => {
                    Err(wire::query_error(400, "InvalidOperationException", &format!("Operation {id} is not running")))
                }
                Some(operation) => {
                    operation.stopping = true;
                    Ok(())
                }
            }
        })
    }
}

/// Removes the `Outputs` of a template; in YAML by its top-level lines.
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

/// Returns one page of `Summaries`, by `MaxResults` and `NextToken`; moto returns all rows at once.
fn page(call: &ApiCall, rows: Vec<String>) -> HttpResponse {
    let start: usize = call.form.get("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let most: usize = call.form.get("MaxResults").and_then(|most| most.parse().ok()).unwrap_or(100);
    let more = start + most < rows.len();
    let next = if more { format!("<NextToken>{}</NextToken>", start + most) } else { String::new() };
    let rows: String = rows.iter().skip(start).take(most).map(|row| format!("<member>{row}</member>")).collect();
    wire::query_response(&call.operation, &format!("<Summaries>{rows}</Summaries>{next}"))
}

#[cfg(test)]
mod tests;
