//! StackSets: what they are, their instances and their operations.
//!
//! moto is asked first whether it takes a StackSet as it is to be created or updated, and has the member stacks in its member
//! accounts; all answers come from the book that is kept here. moto's own operations and instances are left aside: it forgets
//! operation ids, deploys an instance from the StackSet's first template whatever came later, never updates one, knows neither
//! units nor managed execution, and gives up on a template whose outputs name a resource type it does not have.
//!
//! Operations take a set time and are over then, with the status that the failures and the failure tolerance give; instances are
//! *outdated* while an operation runs.

mod book;
mod shown;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::Client;
use crate::events;
use crate::gateway::Call;
use crate::http::{self, Request, Response};
use crate::ids;
use crate::organization::Organization;
use crate::wire::{self, Form, xml_escape};
pub(crate) use book::Member;
use book::{Book, Definition, Fate, Operation, Outcome, Preferences, Set, Stage, Tolerance};

/// The StackSets of the central account, and as a delegated administrator those of the organisation.
#[derive(Debug)]
pub struct StackSets {
    moto: SocketAddr,
    inside: Client,
    account: String,
    region: String,
    /// How long an operation takes.
    pub(crate) delay: Duration,
    organization: Arc<Organization>,
    book: Mutex<Book>,
}

/// An operation that was accepted, and will be over.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    set: (bool, String),
    operation: String,
}

/// An answer that is a refusal.
type Refusable<T> = Result<T, Response>;

impl StackSets {
    pub(crate) fn new(
        moto: SocketAddr,
        inside: Client,
        account: &str,
        region: &str,
        delay: Duration,
        organization: Arc<Organization>,
    ) -> Self {
        let (account, region) = (account.to_owned(), region.to_owned());
        Self { moto, inside, account, region, delay, organization, book: Mutex::default() }
    }

    /// Lets the next `times` operations that touch this instance fail there with this reason.
    pub fn fail_instance(&self, account: &str, region: &str, reason: &str, times: u32) {
        self.with(|book| book.conditions.fail(account, region, reason, times));
    }

    /// Whether an account has the role that self-managed StackSets work through, as they all have at first.
    pub fn execution_role(&self, account: &str, there: bool) {
        self.with(|book| {
            let without = &mut book.conditions.without_role;
            if there { without.remove(account) } else { without.insert(account.to_owned()) }
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
        let standing = self.organization.standing();
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.settle(Instant::now(), self.delay, &standing);
        act(&mut book)
    }

    pub(crate) fn answer(&self, call: &Call, request: &Request) -> (Response, Option<Accepted>) {
        let answered = match call.operation.as_str() {
            "CreateStackSet" => self.create_stack_set(call, request).map(|response| (response, None)),
            "UpdateStackSet" => self.update_stack_set(call, request).map(accepted),
            "CreateStackInstances" | "UpdateStackInstances" | "DeleteStackInstances" => {
                Ok(accepted(self.operate(call)))
            }
            "DeleteStackSet" => self.delete_stack_set(call, request).map(|response| (response, None)),
            _ => Ok((self.look(call).unwrap_or_else(|refusal| refusal), None)),
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
    fn create_stack_set(&self, call: &Call, request: &Request) -> Result<Response> {
        let (delegated, name) = key_of(&call.form);
        if self.with(|book| book.sets.contains_key(&(delegated, name.clone()))) {
            let message = format!("StackSet {name} already exists");
            return Ok(wire::query_error(409, "NameAlreadyExistsException", &message));
        }
        let form = match self.with_template_body(&call.form) {
            Ok(form) => form,
            Err(error) => return Ok(invalid(&format!("{error:#}"))),
        };
        let service_managed = form.get("PermissionModel") == Some("SERVICE_MANAGED");
        if service_managed && let Some(why) = self.organization.refuses_stack_sets(delegated) {
            return Ok(invalid(why));
        }
        let definition = match Definition::default().given(&form, service_managed) {
            Ok(definition) => definition,
            Err(refusal) => return Ok(refusal),
        };
        if let Some(refusal) = definition.refusal(delegated) {
            return Ok(refusal);
        }
        let response = self.moto(&form, request)?;
        if !response.is_success() {
            return Ok(response);
        }
        let id = format!("{name}:{}", ids::uuid());
        let set = Set {
            id: id.clone(),
            definition,
            managed_execution: form.get("ManagedExecution.Active") == Some("true"),
            ..Set::default()
        };
        self.with(|book| book.sets.insert((delegated, name), set));
        Ok(wire::query_response(&call.operation, &format!("<StackSetId>{}</StackSetId>", xml_escape(&id))))
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

    /// The StackSet that a request is about.
    fn find(&self, form: &Form) -> Refusable<((bool, String), Set)> {
        let key = key_of(form);
        let asked = form.get("StackSetName").unwrap_or_default();
        let id = asked.rsplit('/').next().filter(|id| id.contains(':'));
        let set = self.with(|book| book.sets.get(&key).cloned()).filter(|set| id.is_none_or(|id| id == set.id));
        let Some(set) = set else {
            return Err(wire::query_error(404, "StackSetNotFoundException", &format!("StackSet {asked} not found")));
        };
        if set.definition.service_managed
            && let Some(why) = self.organization.refuses_stack_sets(key.0)
        {
            return Err(invalid(why));
        }
        Ok((key, set))
    }

    /// AWS refuses to delete a StackSet that has instances or an operation; moto looks at its own instances only.
    fn delete_stack_set(&self, call: &Call, request: &Request) -> Result<Response> {
        let (key, set) = match self.find(&call.form) {
            Ok(found) => found,
            Err(refusal) => return Ok(refusal),
        };
        if set.is_busy() {
            return Ok(in_progress(&key.1));
        }
        if !set.members.is_empty() {
            return Ok(wire::query_error(409, "StackSetNotEmptyException", "StackSet is not empty"));
        }
        let mut form = call.form.clone();
        form.set("StackSetName", &key.1);
        let response = self.moto(&form, request)?;
        if response.is_success() {
            self.with(|book| {
                if let Some(set) = book.sets.remove(&key) {
                    book.deleted.insert(set.id.clone(), set);
                }
            });
        }
        Ok(response)
    }

    /// Changes the definition, and works every instance or those that are named.
    fn update_stack_set(&self, call: &Call, request: &Request) -> Result<Refusable<(Response, Accepted)>> {
        let (key, set) = match self.find(&call.form) {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut form = match self.with_template_body(&call.form) {
            Ok(form) => form,
            Err(error) => return Ok(Err(invalid(&format!("{error:#}")))),
        };
        let prepared = || {
            let operation = self.operation(&form, &set, "UPDATE")?;
            if form
                .get("PermissionModel")
                .is_some_and(|model| (model == "SERVICE_MANAGED") != set.definition.service_managed)
            {
                return Err(invalid("The permission model of a stack set with instances cannot be changed"));
            }
            let managed = form.get("ManagedExecution.Active").map(|active| active == "true");
            if managed.is_some_and(|managed| managed != set.managed_execution) && set.is_busy() {
                let message = "ManagedExecution cannot be changed while operations are running or queued";
                return Err(wire::query_error(400, "InvalidOperationException", message));
            }
            let definition = set.definition.clone().given(&form, set.definition.service_managed)?;
            definition.refusal(key.0).map_or(Ok((operation, definition, managed)), Err)
        };
        let (operation, definition, managed) = match prepared() {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for name in ["Accounts", "Regions", "DeploymentTargets"] {
            form.remove(name);
        }
        form.set("StackSetName", &key.1);
        let response = self.moto(&form, request)?;
        if !response.is_success() {
            return Ok(Err(response));
        }
        Ok(Ok(self.accept(call, &key, operation, |set| {
            set.definition = definition;
            set.managed_execution = managed.unwrap_or(set.managed_execution);
            // Whether or not the template is another one.
            set.outdate();
        })))
    }

    /// The three operations on instances.
    fn operate(&self, call: &Call) -> Refusable<(Response, Accepted)> {
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

    /// An operation as a request asks for it. moto gives it an id of its own and forgets the caller's, runs several at once, and
    /// accepts an id twice; AWS keeps the caller's id, refuses one that was used before, and a second operation while one runs,
    /// unless execution is managed.
    fn operation(&self, form: &Form, set: &Set, action: &'static str) -> Refusable<Operation> {
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
        let standing = self.organization.standing();
        let below = |unit: &str| self.organization.accounts_below(unit);
        let outcomes = targets::outcomes(form, set, action, &standing, below)?;
        Ok(Operation {
            id,
            action,
            all: update_all && outcomes.is_empty(),
            outcomes,
            overrides: if update_all { None } else { given_parameters(form, "ParameterOverrides", &BTreeMap::new()) },
            preferences: preferences(form),
            retain: form.get("RetainStacks") == Some("true"),
            stage: Stage::Queued,
            stopping: false,
            created: ids::now_millis(),
            ended: None,
        })
    }

    fn accept(
        &self,
        call: &Call,
        key: &(bool, String),
        operation: Operation,
        change: impl FnOnce(&mut Set),
    ) -> (Response, Accepted) {
        let id = operation.id.clone();
        let standing = self.organization.standing();
        self.with(|book| {
            let Some(set) = book.sets.get_mut(key) else { return };
            change(set);
            set.accept(operation, Instant::now() + self.delay, &mut book.conditions, &standing);
        });
        let answer = wire::query_response(&call.operation, &format!("<OperationId>{}</OperationId>", xml_escape(&id)));
        (answer, Accepted { set: key.clone(), operation: id })
    }

    /// What StackSets do on their own when an account has come into a unit, or has left it.
    pub(crate) fn account_moved(&self, account: &str) -> Vec<Accepted> {
        let standing = self.organization.standing();
        let is_below = |unit: &String| self.organization.accounts_below(unit).is_some_and(|all| all.contains(account));
        self.with(|book| {
            let mut begun = Vec::new();
            for (key, set) in &mut book.sets {
                let Some((true, retain)) = set.definition.auto_deployment else { continue };
                let operations = [("CREATE", set.joined(account, is_below)), ("DELETE", set.left(account, is_below))];
                for (action, outcomes) in operations.into_iter().filter(|(_, outcomes)| !outcomes.is_empty()) {
                    let id = ids::uuid();
                    let operation = Operation {
                        id: id.clone(),
                        action,
                        outcomes,
                        overrides: None,
                        all: false,
                        preferences: Preferences::default(),
                        retain: action == "DELETE" && retain,
                        stage: Stage::Queued,
                        stopping: false,
                        created: ids::now_millis(),
                        ended: None,
                    };
                    set.accept(operation, Instant::now() + self.delay, &mut book.conditions, &standing);
                    begun.push(Accepted { set: key.clone(), operation: id });
                }
            }
            begun
        })
    }

    /// The stacks of members, in their accounts. Outputs are left out: moto gives up on those of a type it does not have.
    fn tell_moto(&self) {
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
            let request = Request::new("POST", "/")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("x-moto-account-id", &account)
                .body(form.encode());
            // What the instance shows comes from the book; a resource type unknown to moto must not fail a rollout.
            let _ = Client::new(self.moto, &account, &region).send("cloudformation", request);
        }
    }

    /// Waits until an operation is over; returns the event that says so.
    pub(crate) fn finish(&self, accepted: &Accepted) -> Option<Value> {
        std::thread::sleep(self.delay);
        let event = loop {
            let state = self.with(|book| {
                let set = book.sets.get(&accepted.set)?;
                let operation = set.operations.iter().find(|operation| operation.id == accepted.operation)?;
                let over = operation.stage == Stage::Ended;
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
        self.tell_moto();
        Some(event)
    }

    fn arn(&self, set: &Set) -> String {
        format!("arn:aws:cloudformation:{}:{}:stackset/{}", self.region, self.account, set.id)
    }

    /// Everything that is asked of StackSets, operations and instances, and the end of an operation that is asked for.
    fn look(&self, call: &Call) -> Refusable<Response> {
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
                let place = (text("StackInstanceAccount"), text("StackInstanceRegion"));
                let member = set.members.get(&place).ok_or_else(|| instance_not_found(&key.1, &place.0, &place.1))?;
                let inside = member.xml(&set.id, &place, true);
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
            other => wire::query_error(400, "InvalidAction", &format!("the sandbox's StackSets have no {other}")),
        })
    }

    fn stop(&self, key: &(bool, String), id: &str) -> Refusable<()> {
        self.with(|book| {
            let operations = book.sets.get_mut(key).into_iter().flat_map(|set| &mut set.operations);
            let mut running = operations
                .filter(|operation| operation.id == id && operation.stage != Stage::Ended && !operation.stopping);
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

/// The answer to an operation, and the operation if it was accepted.
fn accepted(outcome: Refusable<(Response, Accepted)>) -> (Response, Option<Accepted>) {
    match outcome {
        Ok((response, accepted)) => (response, Some(accepted)),
        Err(refusal) => (refusal, None),
    }
}

/// Whether a delegated administrator asks, and the name of the StackSet.
fn key_of(form: &Form) -> (bool, String) {
    let name = form.get("StackSetName").unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
    (form.get("CallAs") == Some("DELEGATED_ADMIN"), name)
}

fn invalid(message: &str) -> Response {
    wire::query_error(400, "ValidationError", message)
}

/// The parameters of a list, those that keep their value from `previous`; `None`: there is no list.
fn given_parameters(form: &Form, name: &str, previous: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    let prefix = format!("{name}.");
    if !form.0.iter().any(|(key, _)| key == name || key.starts_with(&prefix)) {
        return None;
    }
    let mut given: BTreeMap<String, String> = form.parameters(name).into_iter().collect();
    for n in 1.. {
        let Some(key) = form.get(&format!("{name}.member.{n}.ParameterKey")) else { break };
        if form.get(&format!("{name}.member.{n}.UsePreviousValue")) == Some("true")
            && let Some(value) = previous.get(key)
        {
            given.insert(key.to_owned(), value.clone());
        }
    }
    Some(given)
}

fn preferences(form: &Form) -> Preferences {
    let get = |name: &str| form.get(&format!("OperationPreferences.{name}"));
    let number = |name: &str| get(name).and_then(|text| text.parse().ok());
    let tolerance = match (number("FailureToleranceCount"), number("FailureTolerancePercentage")) {
        (_, Some(percentage)) => Tolerance::Percentage(percentage),
        (count, None) => Tolerance::Count(count.unwrap_or(0)),
    };
    let parallel = get("RegionConcurrencyType") == Some("PARALLEL");
    Preferences { tolerance, in_order: (!parallel).then(|| form.list("OperationPreferences.RegionOrder")) }
}

impl Definition {
    /// With what a request gives. Parameters, capabilities and roles that are left out fall back; tags and auto-deployment stay.
    fn given(mut self, form: &Form, service_managed: bool) -> Refusable<Self> {
        let previous = form.get("UsePreviousTemplate") == Some("true");
        match (form.get("TemplateBody"), previous) {
            (Some(body), false) => body.clone_into(&mut self.template),
            (None, true) if !self.template.is_empty() => {}
            _ => return Err(invalid("Specify exactly one of TemplateBody, TemplateURL and UsePreviousTemplate")),
        }
        self.parameters = given_parameters(form, "Parameters", &self.parameters).unwrap_or_default();
        self.capabilities = form.list("Capabilities");
        if let Some(description) = form.get("Description") {
            description.clone_into(&mut self.description);
        }
        if form.0.iter().any(|(key, _)| key == "Tags" || key.starts_with("Tags.")) {
            let tag = |n: usize, field: &str| form.get(&format!("Tags.member.{n}.{field}")).map(str::to_owned);
            self.tags = (1..).map_while(|n| Some((tag(n, "Key")?, tag(n, "Value").unwrap_or_default()))).collect();
        }
        self.service_managed = service_managed;
        self.administration_role = form.get("AdministrationRoleARN").map(str::to_owned);
        self.execution_role = form.get("ExecutionRoleName").map(str::to_owned);
        if let Some(enabled) = form.get("AutoDeployment.Enabled") {
            let retain = form.get("AutoDeployment.RetainStacksOnAccountRemoval");
            if enabled != "true" && retain.is_some() {
                return Err(invalid("RetainStacksOnAccountRemoval can only be given when AutoDeployment is enabled"));
            }
            self.auto_deployment = Some((enabled == "true", retain == Some("true")));
        }
        Ok(self)
    }

    /// Why CloudFormation does not take it.
    fn refusal(&self, delegated: bool) -> Option<Response> {
        if self.template.contains("AWS::IAM::") && !self.capabilities.iter().any(|given| given.ends_with("IAM")) {
            let message = "Requires capabilities : [CAPABILITY_IAM]";
            return Some(wire::query_error(400, "InsufficientCapabilitiesException", message));
        }
        let why = match (self.service_managed, self.auto_deployment.is_some()) {
            (false, _) if delegated => "A delegated administrator works with service managed stack sets only",
            (false, true) => "AutoDeployment can only be given with the SERVICE_MANAGED permission model",
            (true, false) => "AutoDeployment must be given with the SERVICE_MANAGED permission model",
            (true, true) if self.administration_role.is_some() || self.execution_role.is_some() => {
                "AdministrationRoleARN and ExecutionRoleName cannot be given with the SERVICE_MANAGED permission model"
            }
            _ => return None,
        };
        Some(invalid(why))
    }
}

impl Set {
    /// Instances that an account gets which is now in a unit of this StackSet.
    fn joined(&self, account: &str, is_below: impl Fn(&String) -> bool) -> Vec<Outcome> {
        let mut outcomes: BTreeMap<(String, String), Outcome> = BTreeMap::new();
        for (unit, regions) in self.auto_targets.iter().filter(|(unit, _)| is_below(unit)) {
            for region in regions {
                let place = (account.to_owned(), region.clone());
                if !self.members.contains_key(&place) {
                    let fresh = Outcome { place: place.clone(), unit: Some(unit.clone()), result: Fate::Succeeds };
                    outcomes.entry(place).or_insert(fresh);
                }
            }
        }
        outcomes.into_values().collect()
    }

    /// Instances of an account that is no longer in the unit that it was reached through.
    fn left(&self, account: &str, is_below: impl Fn(&String) -> bool) -> Vec<Outcome> {
        let of_it = self.members.iter().filter(|((owner, _), _)| owner == account);
        let away = of_it.filter(|(_, member)| member.unit.as_ref().is_some_and(|unit| !is_below(unit)));
        away.map(|(place, member)| Outcome { place: place.clone(), unit: member.unit.clone(), result: Fate::Succeeds })
            .collect()
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

#[cfg(test)]
mod tests;
