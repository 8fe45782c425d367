//! The chapters about successful rollouts and one violation. [`super::rollouts`] has the other rollouts,
//! [`super::violations`] the chapters about many violations.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::context::{StoryContext, WINDOW_SECONDS, body, bus, count, file, names, settle, short};
use super::policy::{AUTHOR, Checkout};
use super::{StoryRun, fleet, logs, object, pull_request, rollouts, terraform, violations};
use crate::app::{self, Build};
use crate::client::CloudClient;
use crate::events::samples;
use crate::journal::Mark;
use crate::wait::{self, Observation};

const REMOVED_ACCOUNT: &str = "333333333333";

pub(super) fn all(story: &mut StoryRun<'_>) -> Result<()> {
    let mut context = deploy_application(story)?;
    first_push(story, &context)?;
    rollouts::plan(story, &context)?;
    terraform::all(story, &context)?;
    push_that_changes_nothing(story, &context)?;
    violation_opens(story, &context)?;
    repeated_and_late(story, &context)?;
    violation_is_resolved(story, &context)?;
    pull_request::all(story, &context)?;
    violations::all(story, &mut context)?;
    account_leaves(story, &mut context)?;
    broken_pushes(story, &context)?;
    rollouts::all(story, &context)?;
    object::all(story, &context)?;
    delete_application(story, &context)
}

fn deploy_application(story: &mut StoryRun<'_>) -> Result<StoryContext> {
    story.chapter("`sam deploy` creates the application");
    story.narrate("SAM creates the functions, queues, an event bus, a topic and a table in the local cloud.");
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
    story.check("the stack has all outputs", missing.is_empty(), &seen);
    let client = story.cloud.client();
    let lifecycle = names(&story.cloud.journal().calls_of("lifecycle", Mark::default()));
    let requested = lifecycle.contains(&"SendMessage".to_owned());
    story.check("the custom resource requested the first rollout", requested, &lifecycle.join(", "));
    // `deploy` marks each request whose response CloudFormation accepted.
    let table = outputs.get("StateTableName").context("no StateTableName")?;
    let requests = client.scan(table)?.into_iter().filter(|item| item["pk"]["S"] == "request").collect::<Vec<_>>();
    let answered = requests.iter().filter(|item| item["answered_at"]["S"].is_string()).count();
    let seen = format!("{answered} of {} requests answered", requests.len());
    story.check("CloudFormation received a response", (answered, requests.len()) == (1, 1), &seen);
    let topic = outputs.get("NotificationTopicArn").context("no NotificationTopicArn")?;
    story.cloud.open_mailbox(topic)?;
    story.narrate("You subscribe to the notices by e-mail. The demo shows the e-mails that you receive.");
    let checkout = Checkout::new(&story.cloud.directory().join("checkout"), story.cloud.repository_path())?;
    let policy = std::fs::read_to_string(story.tools.workspace.join("framework/backup-compliance.yaml"))?;
    Ok(StoryContext { client, outputs, checkout, policy })
}

fn first_push(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("`git push` deploys the policy");
    story.narrate("The starter policy deploys one framework with three controls to three accounts in two Regions.");
    let mark = story.cloud.journal().mark();
    let framework = file(story, "framework/framework.yaml")?;
    let message = "Protect every account";
    let commit = context
        .checkout
        .push(message, &[("framework.yaml", &framework), ("backup-compliance.yaml", &context.policy)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.contains(
        "the notice names the commit and its author, and counts 6 of 6 instances",
        &mail.text,
        &[short(&commit), message, AUTHOR, "6 of 6 instances"],
    );
    let instances = fleet::instances(&context.client)?;
    let current = instances.iter().filter(|(_, _, status)| status == "CURRENT").count();
    story.check(
        "CloudFormation reports 6 stack instances as CURRENT",
        (instances.len(), current) == (6, 6),
        &fleet::describe(&instances),
    );
    let controls = fleet::controls(story.cloud, &instances)?;
    story.check(
        "AWS Backup has a framework with 3 controls in each account and Region",
        controls == [3; 6],
        &fleet::each(&controls),
    );
    count(story, "first push, until the rollout succeeded", "deploy", mark);
    Ok(())
}

fn push_that_changes_nothing(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("A push that changes only a README");
    let mark = story.cloud.journal().mark();
    let commit = context.checkout.push("Explain the policy", &[("README.md", "# Our backup policy\n")])?;
    let line = story.wait_for("a line of `deploy` about the commit", || {
        let lines = logs(&context.client, "deploy");
        let count = lines.len();
        let line = lines.into_iter().find(|line| line.contains(&commit) && line.contains("reconciled the framework"));
        Ok(line.map_or_else(|| ControlFlow::Continue(format!("{count} other lines")), ControlFlow::Break))
    })?;
    story.check("`deploy` logs the framework as unchanged", line.contains("Unchanged"), message_of(&line));
    let mutating = story.cloud.mutating_calls_of("deploy", mark);
    story.check(
        "`deploy` made no mutating AWS call",
        mutating.is_empty(),
        &format!("{} mutating calls", mutating.len()),
    );
    count(story, "push that changes nothing", "deploy", mark);
    story.no_more_mail("no notice was sent");
    Ok(())
}

fn violation_opens(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("The Aurora cluster `orders` is not in a backup plan");
    story.narrate(
        "AWS Config in account 222222222222 evaluates the cluster as NON_COMPLIANT. An EventBridge rule of the framework forwards the event.",
    );
    let mark = story.cloud.journal().mark();
    let (event, since) = cluster(story, "NON_COMPLIANT", 0)?;
    let matched = story.cloud.deliver(bus(context)?, &event)?;
    story.check("one rule of the event bus matches the event", matched.len() == 1, &matched.join(", "));
    let mail = story.next_mail("violation.opened")?;
    story.contains(
        "the notice names the resource, the location, the time and the remediation",
        &mail.text,
        &[
            "Aurora cluster orders",
            "222222222222",
            "eu-west-1",
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            &samples::format_time(since),
            "What to do",
            "backup plan",
        ],
    );
    story.contains(
        "the notice names the owner, and the tag that an existing backup plan selects",
        &mail.text,
        &["orders-team@example.com", "`backup` = `daily`", "by-tag"],
    );
    settle(story, context)?;
    count(story, "violation opens", "report", mark);
    finding(story, "FAILED", "ACTIVE")?;
    story.no_more_mail("exactly one notice was sent");
    Ok(())
}

fn repeated_and_late(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("A duplicate event and a late event");
    let mark = story.cloud.journal().mark();
    let ((duplicate, _), (late, _)) = (cluster(story, "NON_COMPLIANT", 0)?, cluster(story, "COMPLIANT", -10)?);
    story.cloud.deliver(bus(context)?, &duplicate)?;
    story.wait_for("`report` to read the record for the duplicate event", || Ok(read_by_report(story, mark, 1)))?;
    story.cloud.deliver(bus(context)?, &late)?;
    story.wait_for("`report` to read the record for the late event", || Ok(read_by_report(story, mark, 2)))?;
    settle(story, context)?;
    count(story, "duplicate event and late event", "report", mark);
    story.no_more_mail("no notice was sent for either event");
    Ok(())
}

fn violation_is_resolved(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("The cluster is added to a backup plan");
    let mark = story.cloud.journal().mark();
    let (event, _) = cluster(story, "COMPLIANT", 30)?;
    story.cloud.deliver(bus(context)?, &event)?;
    let mail = story.next_mail("violation.resolved")?;
    story.contains(
        "the notice reports the cluster as compliant",
        &mail.text,
        &["Aurora cluster orders", "is in a backup plan"],
    );
    settle(story, context)?;
    count(story, "violation is resolved", "report", mark);
    finding(story, "PASSED", "ACTIVE")?;
    story.no_more_mail("exactly one notice was sent");
    Ok(())
}

fn account_leaves(story: &mut StoryRun<'_>, context: &mut StoryContext) -> Result<()> {
    story.chapter("A push removes one account");
    let fewer = context.policy.replace(&format!(", \"{REMOVED_ACCOUNT}\""), "");
    anyhow::ensure!(fewer != context.policy, "the starter policy no longer names {REMOVED_ACCOUNT}");
    context.policy = fewer;
    let mark = story.cloud.journal().mark();
    context.checkout.push("Remove an account", &[("backup-compliance.yaml", &context.policy)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.contains(
        "the notice counts 2 deleted and 4 remaining instances",
        &mail.text,
        &["2 deleted", "4 of 4 instances"],
    );
    let instances = fleet::instances(&context.client)?;
    let removed = instances.iter().all(|(account, _, _)| account != REMOVED_ACCOUNT);
    story.check(
        "the account has no instances, and 4 instances remain",
        removed && instances.len() == 4,
        &fleet::describe(&instances),
    );
    count(story, "push that deletes 2 instances", "deploy", mark);
    Ok(())
}

fn broken_pushes(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("Three invalid policies are rejected");
    let before = (fleet::instances(&context.client)?, definition(&context.client)?);
    let good = file(story, "framework/examples/five-controls/framework.yaml")?;
    let unknown = good.replacen("BACKUP_RECOVERY_POINT_ENCRYPTED", "BACKUP_RECOVERY_POINT_ENCRYPTION", 1);
    let short_account = context.policy.replace("\"222222222222\"", "\"22222222222\"");
    let unclosed = context.policy.replace("[us-east-1, eu-west-1]", "[us-east-1, eu-west-1");
    let pushes: [(&str, &str, &str, String, &[&str]); 3] = [
        ("invalid YAML", "Break the YAML", "backup-compliance.yaml", unclosed, &["backup-compliance.yaml, line "]),
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
        story.narrate(&format!("The commit has {what}."));
        let mark = story.cloud.journal().mark();
        let commit = context.checkout.push(
            message,
            &[("backup-compliance.yaml", &context.policy), ("framework.yaml", &good), (name, &content)],
        )?;
        let mail = story.next_mail("policy.rejected")?;
        let mut expected = expected.to_vec();
        expected.extend([short(&commit), "column ", "Fix: "]);
        story.contains("the notice names the file, the line, the column and a fix", &mail.text, &expected);
        let mutating: Vec<String> = story
            .cloud
            .mutating_calls_of("deploy", mark)
            .into_iter()
            .filter(|call| call.service == "cloudformation")
            .map(|call| call.operation)
            .collect();
        story.check("no StackSet was changed", mutating.is_empty(), &format!("{} mutating calls", mutating.len()));
    }
    let after = (fleet::instances(&context.client)?, definition(&context.client)?);
    story.check("the deployed frameworks are unchanged", before == after, &fleet::describe(&after.0));
    story.no_more_mail("exactly one notice was sent for each commit");
    Ok(())
}

fn delete_application(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("`sam delete` deletes the application");
    let mark = story.cloud.journal().mark();
    let groups = log_groups(&context.client)?;
    app::delete(story.cloud, story.tools, &mut |line| story.listener.progress(line))?;
    let deleted: Vec<String> = story
        .cloud
        .mutating_calls_of("deploy", mark)
        .into_iter()
        .filter(|call| call.service == "cloudformation")
        .map(|call| call.operation)
        .collect();
    story.check(
        "`deploy` deleted the instances first, then the StackSet",
        deleted == ["DeleteStackInstances", "DeleteStackSet"],
        &deleted.join(", "),
    );
    let exists = fleet::exists(&context.client, fleet::STACK_SET)?;
    story.check("the StackSet was deleted", !exists, &format!("exists: {exists}"));
    let left: usize = ["111111111111", "222222222222", REMOVED_ACCOUNT]
        .iter()
        .flat_map(|account| ["us-east-1", "eu-west-1"].map(|region| (*account, region)))
        .map(|(account, region)| story.cloud.frameworks(account, region).map(|frameworks| frameworks.len()))
        .sum::<Result<usize>>()?;
    story.check("no account has a framework", left == 0, &format!("{left} frameworks"));
    let mut left = resources_left(&context.client, &groups)?;
    let logs = ["DeployLogGroupName", "LifecycleLogGroupName"].map(|output| context.outputs.get(output).cloned());
    let kept = left.extract_if(.., |name| logs.contains(&Some(name.clone()))).count();
    story.check(
        "only the logs of the deletion remain of the application",
        left.is_empty() && kept == logs.len(),
        &if left.is_empty() { format!("{kept} log groups") } else { left.join(", ") },
    );
    Ok(())
}

/// Returns the event of AWS Config for the cluster, this many minutes after the sample's, and its time.
fn cluster(story: &StoryRun<'_>, compliance: &str, minutes: i64) -> Result<(Value, Timestamp)> {
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

/// Whether `report` has read records this many times since the mark: once for each batch.
fn read_by_report(story: &StoryRun<'_>, mark: Mark, times: usize) -> Observation<()> {
    let calls = story.cloud.journal().calls_of("report", mark);
    let reads = calls.iter().filter(|call| call.operation == "BatchGetItem").count();
    wait::when(reads >= times, || format!("{reads} of {times} reads"))
}

/// Checks that Security Hub has one finding about the cluster, in this state.
fn finding(story: &mut StoryRun<'_>, compliance: &str, state: &str) -> Result<()> {
    let poll = || {
        let findings = story.cloud.findings().into_iter();
        let found: Vec<Value> = findings.filter(|finding| finding["Id"].to_string().contains("cluster-7XK3")).collect();
        let states: Vec<String> = found
            .iter()
            .map(|finding| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                format!("{} {}", text(&finding["Compliance"]["Status"]), text(&finding["RecordState"]))
            })
            .collect();
        let exists = states.iter().any(|found| *found == format!("{compliance} {state}"));
        Ok(if exists { ControlFlow::Break(states) } else { ControlFlow::Continue(format!("{states:?}")) })
    };
    let states = story.wait_for(&format!("a finding {compliance} {state} in Security Hub"), poll)?;
    story.check(&format!("Security Hub has one finding, {compliance}"), states.len() == 1, &states.join(", "));
    Ok(())
}

/// Returns the message of a log line, without its time and span.
fn message_of(line: &str) -> &str {
    line.split_once("}: ").map_or(line, |(_, message)| message).trim()
}

/// Returns the tags of the StackSet, which include the digest of its definition.
fn definition(client: &CloudClient) -> Result<String> {
    let xml = client.query("cloudformation", "DescribeStackSet", &[("StackSetName", fleet::STACK_SET)])?;
    Ok(crate::wire::xml_elements(&xml, "Tags").concat())
}

/// Returns the functions, queues, topics, tables, buckets and log groups that have the application's name.
///
/// Only log groups that existed before count: MiniStack creates a new one for the last lines of a function that
/// responds to CloudFormation just before its group is deleted. On AWS, the function's role may not create log
/// groups.
fn resources_left(client: &CloudClient, groups: &[(String, Value)]) -> Result<Vec<String>> {
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

/// Returns the log groups, each with its creation time.
fn log_groups(client: &CloudClient) -> Result<Vec<(String, Value)>> {
    let answer = client.json("logs", "Logs_20140328.DescribeLogGroups", &json!({}))?;
    let groups = answer["logGroups"].as_array().cloned().unwrap_or_default();
    Ok(groups
        .iter()
        .filter_map(|group| Some((group["logGroupName"].as_str()?.to_owned(), group["creationTime"].clone())))
        .collect())
}
