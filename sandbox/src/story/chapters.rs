//! The chapters about rollouts that go well and about one violation; [`super::rollouts`] has those about other rollouts,
//! [`super::violations`] those about many violations.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::policy::{AUTHOR, Checkout};
use super::{Story, fleet, logs, rollouts, violations};
use crate::app::{self, Build};
use crate::client::Client;
use crate::events::samples;
use crate::journal::{Entry, Mark};
use crate::wait::{self, Observed};

const ACCOUNT_THAT_LEAVES: &str = "333333333333";

/// What the chapters share.
pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) checkout: Checkout,
    pub(super) policy: String,
}

/// The digest window: short, since a reader waits for its end.
pub(super) const WINDOW_SECONDS: u32 = 4;

pub(super) fn all(story: &mut Story<'_>) -> Result<()> {
    let mut stage = deploy_application(story)?;
    first_push(story, &stage)?;
    rollouts::plan(story, &stage)?;
    push_that_changes_nothing(story, &stage)?;
    violation_opens(story, &stage)?;
    repeated_and_late(story, &stage)?;
    violation_is_resolved(story, &stage)?;
    framework_grows(story, &stage)?;
    violations::all(story, &mut stage)?;
    account_leaves(story, &mut stage)?;
    broken_pushes(story, &stage)?;
    rollouts::all(story, &stage)?;
    delete_application(story, &stage)
}

fn deploy_application(story: &mut Story<'_>) -> Result<Stage> {
    story.chapter("`sam deploy` creates the application");
    story.say("Its four functions, queues, event bus, topic and table are created in the local cloud.");
    let mut line = |line: &str| story.listener.progress(line);
    let window = format!("DigestWindowSeconds={WINDOW_SECONDS}");
    let parameters = [window.as_str(), "SecurityHub=central", "OrganizationId=o-sandbox123"];
    let outputs = app::deploy(story.cloud, story.tools, Build::Development, &parameters, &mut line)?;
    let missing: Vec<&str> = [
        "DeployFunction",
        "LifecycleFunction",
        "ReportFunction",
        "SweepFunction",
        "DeployQueueUrl",
        "ReportQueueUrl",
        "EventBusArn",
        "NotificationTopicArn",
        "StateTableName",
    ]
    .into_iter()
    .filter(|name| outputs.get(*name).is_none_or(String::is_empty))
    .collect();
    let seen = if missing.is_empty() { format!("{} outputs", outputs.len()) } else { format!("missing: {missing:?}") };
    story.claim("the stack has all of its outputs", missing.is_empty(), &seen);
    let client = story.cloud.client();
    let lifecycle = names(&story.cloud.journal().calls_of("lifecycle", Mark::default()));
    let woke = lifecycle.contains(&"SendMessage".to_owned());
    story.claim("the custom resource asked for the first rollout", woke, &lifecycle.join(", "));
    // `deploy` leaves a mark for each request that CloudFormation took the answer to.
    let table = outputs.get("StateTableName").context("no StateTableName")?;
    let requests = client.scan(table)?.into_iter().filter(|item| item["pk"]["S"] == "request").collect::<Vec<_>>();
    let answered = requests.iter().filter(|item| item["answered_at"]["S"].is_string()).count();
    let seen = format!("{answered} of {} requests answered", requests.len());
    story.claim("CloudFormation was answered", (answered, requests.len()) == (1, 1), &seen);
    let topic = outputs.get("NotificationTopicArn").context("no NotificationTopicArn")?;
    story.cloud.open_mailbox(topic)?;
    story.say("You subscribe to the notices. The e-mails that you receive are shown below.");
    let checkout = Checkout::new(&story.cloud.directory().join("checkout"), story.cloud.repository_path())?;
    let policy = std::fs::read_to_string(story.tools.workspace.join("framework/backup-compliance.yaml"))?;
    Ok(Stage { client, outputs, checkout, policy })
}

fn first_push(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("git push puts the policy in force");
    story.say("The starter policy: one framework with three controls, for three accounts in two Regions.");
    let mark = story.cloud.journal().mark();
    let framework = file(story, "framework/framework.yaml")?;
    let message = "Protect every account";
    let commit =
        stage.checkout.push(message, &[("framework.yaml", &framework), ("backup-compliance.yaml", &stage.policy)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.says(
        "it names commit, author and 6 of 6",
        &mail.text,
        &[short(&commit), message, AUTHOR, "6 of 6 instances"],
    );
    let instances = fleet::instances(&stage.client)?;
    let current = instances.iter().filter(|(_, _, status)| status == "CURRENT").count();
    story.claim("6 stack instances are CURRENT", (instances.len(), current) == (6, 6), &fleet::describe(&instances));
    let controls = fleet::controls(story.cloud, &instances)?;
    story.claim("each account and Region has the framework with its 3 controls", controls == [3; 6], &each(&controls));
    count(story, "first push, until everything is rolled out", "deploy", mark);
    Ok(())
}

fn push_that_changes_nothing(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("A push that changes only a README");
    let mark = story.cloud.journal().mark();
    let commit = stage.checkout.push("Explain the policy", &[("README.md", "# Our backup policy\n")])?;
    let said = story.wait_for("a line of `deploy` about the commit", || {
        let lines = logs(&stage.client, "deploy");
        let count = lines.len();
        let line = lines.into_iter().find(|line| line.contains(&commit) && line.contains("looked at the framework"));
        Ok(line.map_or_else(|| ControlFlow::Continue(format!("{count} other lines")), ControlFlow::Break))
    })?;
    story.claim("deploy says that nothing changed", said.contains("Unchanged"), message_of(&said));
    let mutating = story.cloud.mutating_calls_of("deploy", mark);
    story.claim(
        "not one AWS call changed anything",
        mutating.is_empty(),
        &format!("{} changing calls", mutating.len()),
    );
    count(story, "push that changes nothing", "deploy", mark);
    story.no_more_mail("no notice was sent");
    Ok(())
}

fn violation_opens(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("The Aurora cluster `orders` is in no backup plan");
    story.say(
        "AWS Config in account 222222222222 finds the cluster NON_COMPLIANT; the framework's rule forwards the event.",
    );
    let mark = story.cloud.journal().mark();
    let (event, since) = cluster(story, "NON_COMPLIANT", 0)?;
    let matched = story.cloud.deliver(bus(stage)?, &event)?;
    story.claim("one rule of the event bus matches the event", matched.len() == 1, &matched.join(", "));
    let mail = story.next_mail("violation.opened")?;
    story.says(
        "it says what, where, since when and what to do",
        &mail.text,
        &[
            "Aurora cluster orders",
            "222222222222",
            "eu-west-1",
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            &samples::shown(since),
            "What to do",
            "backup plan",
        ],
    );
    story.says(
        "it names the owner, and the tag by which an existing backup plan would select the cluster",
        &mail.text,
        &["orders-team@example.com", "`backup` = `daily`", "by-tag"],
    );
    settle(story, stage)?;
    count(story, "violation opens", "report", mark);
    finding(story, "FAILED", "ACTIVE")?;
    story.no_more_mail("exactly one notice was sent");
    Ok(())
}

fn repeated_and_late(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("The same event again, and an older one that comes late");
    let mark = story.cloud.journal().mark();
    let ((again, _), (late, _)) = (cluster(story, "NON_COMPLIANT", 0)?, cluster(story, "COMPLIANT", -10)?);
    story.cloud.deliver(bus(stage)?, &again)?;
    story.wait_for("`report` to read the record for the repeated event", || Ok(read_by_report(story, mark, 1)))?;
    story.cloud.deliver(bus(stage)?, &late)?;
    story.wait_for("`report` to read the record for the late event", || Ok(read_by_report(story, mark, 2)))?;
    settle(story, stage)?;
    count(story, "repeated event and late event", "report", mark);
    story.no_more_mail("nothing is sent for either");
    Ok(())
}

fn violation_is_resolved(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("The cluster is added to a backup plan");
    let mark = story.cloud.journal().mark();
    let (event, _) = cluster(story, "COMPLIANT", 30)?;
    story.cloud.deliver(bus(stage)?, &event)?;
    let mail = story.next_mail("violation.resolved")?;
    story.says(
        "it says that the cluster is compliant again",
        &mail.text,
        &["Aurora cluster orders", "is in a backup plan"],
    );
    settle(story, stage)?;
    count(story, "violation is resolved", "report", mark);
    finding(story, "PASSED", "ACTIVE")?;
    story.no_more_mail("exactly one notice was sent");
    Ok(())
}

fn framework_grows(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("The framework grows to five controls");
    story.say("Recovery points must be kept 35 days, and every plan must run every 24 hours and keep backups 35 days.");
    let framework = file(story, "framework/examples/five-controls/framework.yaml")?;
    let mark = story.cloud.journal().mark();
    let commit = stage.checkout.push("Ask for 35 days", &[("framework.yaml", &framework)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.says("6 of 6 instances are updated", &mail.text, &[short(&commit), "6 of 6 instances", "6 updated"]);
    let instances = fleet::instances(&stage.client)?;
    let controls = fleet::controls(story.cloud, &instances)?;
    story.claim("each framework has 5 controls", controls == [5; 6], &each(&controls));
    count(story, "push that updates 6 instances", "deploy", mark);

    story.say("A plan that runs monthly and keeps 8 days turns NON_COMPLIANT.");
    let event = body(story, "config-noncompliant-backup-plan.json")?;
    story.cloud.deliver(bus(stage)?, &event)?;
    violations::recorded(story, &event)?;
    let mail = story.next_mail("violation.opened")?;
    story.says("it says what the framework requires", &mail.text, &["monthly-archive", "every 24 hours", "35 days"]);
    settle(story, stage)?;
    story.no_more_mail("exactly one notice was sent");
    Ok(())
}

fn account_leaves(story: &mut Story<'_>, stage: &mut Stage) -> Result<()> {
    story.chapter("A push removes one account");
    let fewer = stage.policy.replace(&format!(", \"{ACCOUNT_THAT_LEAVES}\""), "");
    anyhow::ensure!(fewer != stage.policy, "the starter policy no longer names {ACCOUNT_THAT_LEAVES}");
    stage.policy = fewer;
    let mark = story.cloud.journal().mark();
    stage.checkout.push("Let an account go", &[("backup-compliance.yaml", &stage.policy)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.says("2 instances are deleted, 4 are left", &mail.text, &["2 deleted", "4 of 4 instances"]);
    let instances = fleet::instances(&stage.client)?;
    let gone = instances.iter().all(|(account, _, _)| account != ACCOUNT_THAT_LEAVES);
    story.claim(
        "the account is out and 4 instances remain",
        gone && instances.len() == 4,
        &fleet::describe(&instances),
    );
    count(story, "push that deletes 2 instances", "deploy", mark);
    Ok(())
}

fn broken_pushes(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("Three broken pushes");
    let before = (fleet::instances(&stage.client)?, definition(&stage.client)?);
    let good = file(story, "framework/examples/five-controls/framework.yaml")?;
    let unknown = good.replacen("BACKUP_RECOVERY_POINT_ENCRYPTED", "BACKUP_RECOVERY_POINT_ENCRYPTION", 1);
    let short_account = stage.policy.replace("\"222222222222\"", "\"22222222222\"");
    let unclosed = stage.policy.replace("[us-east-1, eu-west-1]", "[us-east-1, eu-west-1");
    let pushes: [(&str, &str, &str, String, &[&str]); 3] = [
        (
            "YAML that does not parse",
            "Break the YAML",
            "backup-compliance.yaml",
            unclosed,
            &["backup-compliance.yaml, line "],
        ),
        (
            "an account id with 11 digits",
            "Mistype an account",
            "backup-compliance.yaml",
            short_account,
            &["backup-compliance.yaml, line ", "22222222222", "12 digits"],
        ),
        (
            "a control that does not exist",
            "Mistype a control",
            "framework.yaml",
            unknown,
            &["framework.yaml, line ", "BACKUP_RECOVERY_POINT_ENCRYPTION", "BACKUP_RECOVERY_POINT_ENCRYPTED"],
        ),
    ];
    for (what, message, name, content, expected) in pushes {
        story.say(&format!("Pushed: {what}."));
        let mark = story.cloud.journal().mark();
        let commit = stage
            .checkout
            .push(message, &[("backup-compliance.yaml", &stage.policy), ("framework.yaml", &good), (name, &content)])?;
        let mail = story.next_mail("policy.rejected")?;
        let mut expected = expected.to_vec();
        expected.extend([short(&commit), "column ", "Fix: "]);
        story.says("it names file, line, column and the fix", &mail.text, &expected);
        let touched: Vec<String> = story
            .cloud
            .mutating_calls_of("deploy", mark)
            .into_iter()
            .filter(|call| call.service == "cloudformation")
            .map(|call| call.operation)
            .collect();
        story.claim("no StackSet was touched", touched.is_empty(), &format!("{} changing calls", touched.len()));
    }
    let after = (fleet::instances(&stage.client)?, definition(&stage.client)?);
    story.claim("what is deployed is as it was", before == after, &fleet::describe(&after.0));
    story.no_more_mail("exactly one notice was sent for each");
    Ok(())
}

fn delete_application(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("sam delete removes the application");
    let mark = story.cloud.journal().mark();
    let groups = log_groups(&stage.client)?;
    app::delete(story.cloud, story.tools, &mut |line| story.listener.progress(line))?;
    let deleted: Vec<String> = story
        .cloud
        .mutating_calls_of("deploy", mark)
        .into_iter()
        .filter(|call| call.service == "cloudformation")
        .map(|call| call.operation)
        .collect();
    story.claim(
        "the instances were deleted first, then the StackSet, and CloudFormation was answered",
        deleted == ["DeleteStackInstances", "DeleteStackSet"],
        &deleted.join(", "),
    );
    story.claim("the StackSet is gone", !fleet::exists(&stage.client)?, "DescribeStackSet finds nothing");
    let left: usize = ["111111111111", "222222222222", ACCOUNT_THAT_LEAVES]
        .iter()
        .flat_map(|account| ["us-east-1", "eu-west-1"].map(|region| (*account, region)))
        .map(|(account, region)| story.cloud.frameworks(account, region).map(|frameworks| frameworks.len()))
        .sum::<Result<usize>>()?;
    story.claim("no framework is left in any account", left == 0, &format!("{left} frameworks"));
    let mut left = resources_left(&stage.client, &groups)?;
    let logs = ["DeployLogGroupName", "LifecycleLogGroupName"].map(|output| stage.outputs.get(output).cloned());
    let kept = left.extract_if(.., |name| logs.contains(&Some(name.clone()))).count();
    story.claim(
        "the logs of the removal are left, and no other resource of the application",
        left.is_empty() && kept == logs.len(),
        &if left.is_empty() { format!("{kept} log groups") } else { left.join(", ") },
    );
    Ok(())
}

// ------------------------------------------------------------------------------------------------ helpers

pub(super) fn file(story: &Story<'_>, path: &str) -> Result<String> {
    std::fs::read_to_string(story.tools.workspace.join(path)).with_context(|| format!("read `{path}`"))
}

/// The event in a sample file of `events/`, moved to the present: the body of its one message.
pub(super) fn body(story: &Story<'_>, name: &str) -> Result<Value> {
    let batch = samples::read(&story.tools.workspace.join("events").join(name))?;
    let body = batch["Records"][0]["body"].as_str().with_context(|| format!("`{name}` has no message"))?;
    Ok(serde_json::from_str(body)?)
}

/// How many controls each framework has, in words.
fn each(controls: &[usize]) -> String {
    let numbers: Vec<String> = controls.iter().map(usize::to_string).collect();
    format!("{} frameworks with {} controls", controls.len(), numbers.join(", "))
}

/// The result of AWS Config for the cluster, so many minutes after the sample's, and its time.
fn cluster(story: &Story<'_>, compliance: &str, minutes: i64) -> Result<(Value, Timestamp)> {
    let sample = body(story, "config-noncompliant-resource-id.json")?.to_string();
    let mut event: Value = serde_json::from_str(&samples::moved_by(&sample, SignedDuration::from_mins(minutes)))?;
    let result = &mut event["detail"]["newEvaluationResult"];
    result["complianceType"] = json!(compliance);
    if compliance == "COMPLIANT" {
        result["annotation"] = Value::Null;
    }
    let time = result["evaluationResultIdentifier"]["orderingTimestamp"].as_str().context("the sample has no time")?;
    let time = time.parse()?;
    Ok((event, time))
}

pub(super) fn bus(stage: &Stage) -> Result<&str> {
    stage.outputs.get("EventBusArn").map(String::as_str).context("no EventBusArn")
}

pub(super) fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

pub(super) fn names(calls: &[Entry]) -> Vec<String> {
    calls.iter().map(|call| call.operation.clone()).collect()
}

/// Notes which calls a function made, for the summary.
pub(super) fn count(story: &mut Story<'_>, what: &str, function: &str, mark: Mark) {
    let calls = names(&story.cloud.journal().calls_of(function, mark));
    story.listener.detail(&format!("{} AWS calls of {function}: {}.", calls.len(), calls.join(", ")));
    story.summary.calls.push((what.to_owned(), function.to_owned(), calls));
}

/// Whether `report` has read records so many times since the mark: once for every batch.
fn read_by_report(story: &Story<'_>, mark: Mark, times: usize) -> Observed<()> {
    let calls = story.cloud.journal().calls_of("report", mark);
    let reads = calls.iter().filter(|call| call.operation == "BatchGetItem").count();
    wait::when(reads >= times, || format!("{reads} of {times} reads"))
}

/// Claims that Security Hub has one finding about the cluster, in this state.
fn finding(story: &mut Story<'_>, compliance: &str, state: &str) -> Result<()> {
    let about_it = || {
        let findings = story.cloud.findings().into_iter();
        let found: Vec<Value> = findings.filter(|finding| finding["Id"].to_string().contains("cluster-7XK3")).collect();
        let states: Vec<String> = found
            .iter()
            .map(|finding| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                format!("{} {}", text(&finding["Compliance"]["Status"]), text(&finding["RecordState"]))
            })
            .collect();
        let is_there = states.iter().any(|found| *found == format!("{compliance} {state}"));
        Ok(if is_there { ControlFlow::Break(states) } else { ControlFlow::Continue(format!("{states:?}")) })
    };
    let states = story.wait_for(&format!("a finding {compliance} {state} in Security Hub"), about_it)?;
    story.claim(&format!("Security Hub has one finding, {compliance}"), states.len() == 1, &states.join(", "));
    Ok(())
}

/// Waits until the report queue is empty and none of its messages is being processed.
pub(super) fn settle(story: &Story<'_>, stage: &Stage) -> Result<()> {
    let queue = stage.outputs.get("ReportQueueUrl").context("no ReportQueueUrl")?;
    story.wait_for("an empty report queue", || {
        let (waiting, received) = stage.client.sqs_depth(queue)?;
        Ok(wait::when((waiting, received) == (0, 0), || {
            format!("{waiting} waiting messages, {received} received ones")
        }))
    })
}

/// What a log line says, without the time and the request that it begins with.
fn message_of(line: &str) -> &str {
    line.split_once("}: ").map_or(line, |(_, message)| message).trim()
}

/// The definition of the StackSet, as its tag has it.
fn definition(client: &Client) -> Result<String> {
    let xml = client.query("cloudformation", "DescribeStackSet", &[("StackSetName", fleet::STACK_SET)])?;
    Ok(crate::wire::xml_elements(&xml, "Tags").concat())
}

/// Functions, queues, topics, tables, buckets and log groups that still carry the application's name.
///
/// Of the log groups only those count that were there before: MiniStack makes a new one for the last lines of a function that
/// answers CloudFormation just before its group is deleted. On AWS the function's role may not create log groups.
fn resources_left(client: &Client, groups: &[(String, Value)]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let functions = client.rest("lambda", "GET", "/2015-03-31/functions/", None)?;
    let queues = client.json("sqs", "AmazonSQS.ListQueues", &json!({}))?;
    let tables = client.json("dynamodb", "DynamoDB_20120810.ListTables", &json!({}))?;
    let rules = client.json("events", "AWSEvents.ListRules", &json!({}))?;
    let buses = client.json("events", "AWSEvents.ListEventBuses", &json!({}))?;
    let topics = client.query("sns", "ListTopics", &[])?;
    let texts = |list: &Value, field: Option<&str>| -> Vec<String> {
        let items = list.as_array().cloned().unwrap_or_default();
        let text = |item: &Value| {
            field.map_or_else(|| item.as_str().map(str::to_owned), |name| item[name].as_str().map(str::to_owned))
        };
        items.iter().filter_map(text).collect()
    };
    found.extend(texts(&functions["Functions"], Some("FunctionName")));
    found.extend(texts(&queues["QueueUrls"], None));
    found.extend(texts(&tables["TableNames"], None));
    let kept = log_groups(client)?.into_iter().filter(|group| groups.contains(group));
    found.extend(kept.map(|(name, _)| name));
    found.extend(texts(&rules["Rules"], Some("Name")));
    found.extend(texts(&buses["EventBuses"], Some("Name")));
    found.extend(crate::wire::xml_elements(&topics, "TopicArn").into_iter().map(str::to_owned));
    found.retain(|name| name.contains(app::STACK));
    Ok(found)
}

/// The log groups, each with the time of its creation.
fn log_groups(client: &Client) -> Result<Vec<(String, Value)>> {
    let answer = client.json("logs", "Logs_20140328.DescribeLogGroups", &json!({}))?;
    let groups = answer["logGroups"].as_array().cloned().unwrap_or_default();
    Ok(groups
        .iter()
        .filter_map(|group| Some((group["logGroupName"].as_str()?.to_owned(), group["creationTime"].clone())))
        .collect())
}
