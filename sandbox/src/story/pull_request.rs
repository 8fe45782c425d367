//! The chapters about a pull request: its comment predicts violations, and after the merge they arrive.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::context::{StoryContext, body, bus, count, file, settle, short};
use super::{StoryRun, fleet, violations};
use crate::config::{RecordedResource, RuleCompliance, RuleEvaluation};
use crate::member_services::MemberData;

const ACCOUNT: &str = "222222222222";
const REGION: &str = "eu-west-1";
const CONTROL: &str = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";
/// Backup plans that run or keep backups too seldom for the new framework: id, name, schedule, days. AWS Config records the first one
/// from the start.
const PLANS: [(&str, &str, &str, u32); 3] = [
    ("8f81f553-3a74-4a3f-b93d-b3360dc80c50", "monthly-archive", "cron(0 5 1 * ? *)", 8),
    ("2d9e4c71-6b0a-4f35-9c1e-7a8b5d3f2e10", "weekly-reports", "cron(0 4 ? * SUN *)", 90),
    ("f47a1b2c-93d8-4e6f-a05b-1c2d3e4f5a6b", "daily-scratch", "cron(0 3 * * ? *)", 7),
];

pub(super) fn all(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    let id = request(story, context)?;
    merge(story, context, &id)
}

fn request(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<String> {
    story.chapter("A pull request predicts three violations");
    story.narrate("The nightly inventory reads the resources, backup plans and vaults of the organization.");
    backup_plans(story);
    let function = context.outputs.get("InventoryFunction").context("no InventoryFunction")?;
    story.listener.progress("the inventory is read");
    let event = json!({ "source": "backup-compliance.schedule", "task": "inventory" });
    let read = context.client.invoke(function, &event)?;
    story.listener.detail(&format!("inventory: {read}"));
    story.narrate(
        "A pull request grows the framework to five controls: plans must run every 24 hours and keep backups for 35 days, and recovery \
         points must be kept for 35 days.",
    );
    let framework = file(story, "framework/examples/five-controls/framework.yaml")?;
    let mark = story.cloud.journal().mark();
    context.checkout.push_to("require-35-days", "Require 35 days", &[("framework.yaml", &framework)])?;
    let target = json!({
        "repositoryName": story.cloud.options().repository, "sourceReference": "require-35-days", "destinationReference": "main",
    });
    let ask = json!({ "title": "Require 35 days", "targets": [target] });
    let created = context.client.json("codecommit", "CodeCommit_20150413.CreatePullRequest", &ask)?;
    let id = created["pullRequest"]["pullRequestId"].as_str().context("no pull request")?.to_owned();
    story.listener.progress("waiting for the comment on the pull request");
    let comments = story.wait_for("a comment on the pull request", || {
        let comments = story.cloud.pull_request_comments(&id);
        Ok(match comments.is_empty() {
            true => ControlFlow::Continue("no comment".to_owned()),
            false => ControlFlow::Break(comments),
        })
    })?;
    let text = comments.first().map(|(_, text)| text.clone()).unwrap_or_default();
    text.lines().for_each(|line| story.narrate(line));
    story.check("the pull request has one comment", comments.len() == 1, &format!("{} comments", comments.len()));
    story.contains(
        "the comment predicts three violations, the rollout and the cost",
        &text,
        &["violations: 3 new, 0 resolved", "New violations (3)", "stack instances: 6 updated", "cost of evaluations"],
    );
    let names: Vec<&str> = PLANS.iter().map(|(_, name, ..)| *name).collect();
    story.contains("the comment names the three backup plans", &text, &names);
    count(story, "pull request", "preview", mark);
    Ok(id)
}

fn merge(story: &mut StoryRun<'_>, context: &StoryContext, id: &str) -> Result<()> {
    story.chapter("The merge, and the same three violations");
    let mark = story.cloud.journal().mark();
    let ask = json!({ "pullRequestId": id, "repositoryName": story.cloud.options().repository });
    let merged = context.client.json("codecommit", "CodeCommit_20150413.MergePullRequestByFastForward", &ask)?;
    let commit = &merged["pullRequest"]["pullRequestTargets"][0]["sourceCommit"];
    let commit = commit.as_str().context("no commit")?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.contains(
        "the notice counts 6 updated instances",
        &mail.text,
        &[short(commit), "6 of 6 instances", "6 updated"],
    );
    let instances = fleet::instances(&context.client)?;
    let controls = fleet::controls(story.cloud, &instances)?;
    story.check("AWS Backup has 5 controls in each framework", controls == [5; 6], &fleet::each(&controls));
    count(story, "push that updates 6 instances", "deploy", mark);

    story.narrate("AWS Config evaluates the three plans as NON_COMPLIANT.");
    let first = body(story, "config-noncompliant-backup-plan.json")?;
    violations::recorded(story, &first)?;
    let others = PLANS.iter().skip(1).map(|(id, ..)| evaluation(id));
    let events = others.filter_map(|evaluation| story.cloud.evaluate(&evaluation));
    let events: Vec<Value> = [first].into_iter().chain(events).collect();
    story.cloud.deliver_all(bus(context)?, &events)?;
    let table = context.outputs.get("StateTableName").context("no StateTableName")?;
    story.listener.progress("waiting for the notices");
    story.wait_for("three recorded violations without a pending notice", || {
        let mut records = context.client.scan(table)?;
        records.retain(|item| item["sk"]["S"].as_str().is_some_and(|key| key.starts_with(CONTROL)));
        let pending = records.iter().filter(|record| !record["pending_group"].is_null()).count();
        Ok(match (records.len(), pending) {
            (3, 0) => ControlFlow::Break(()),
            (count, pending) => ControlFlow::Continue(format!("{count} records, {pending} with a pending notice")),
        })
    })?;
    settle(story, context)?;
    let mails = story.rest_of_mail();
    mails.iter().for_each(|mail| story.listener.mail(mail));
    let text: String = mails.iter().map(|mail| mail.text.as_str()).collect();
    let names: Vec<&str> = PLANS.iter().map(|(_, name, ..)| *name).collect();
    story.contains("the notices report the three plans that the comment predicted", &text, &names);
    story.contains("the notices name the requirements of the framework", &text, &["every 24 hours", "35 days"]);
    Ok(())
}

/// Puts the plans into AWS Backup of the account, and those that AWS Config does not record into AWS Config.
fn backup_plans(story: &StoryRun<'_>) {
    let rule = |schedule: &str, days: u32| {
        json!({
            "RuleName": "rule", "ScheduleExpression": schedule, "TargetBackupVaultName": "Default",
            "Lifecycle": {"DeleteAfterDays": days},
        })
    };
    let plans = PLANS.iter().map(|(id, name, schedule, days)| {
        json!({ "BackupPlanId": id, "BackupPlan": {"BackupPlanName": name, "Rules": [rule(schedule, *days)]} })
    });
    let data = MemberData { plans: plans.collect(), ..MemberData::default() };
    story.cloud.member_services().put(ACCOUNT, REGION, data);
    for (id, name, ..) in PLANS.iter().skip(1) {
        story.cloud.add_resource(RecordedResource {
            account: ACCOUNT.to_owned(),
            region: REGION.to_owned(),
            resource_type: "AWS::Backup::BackupPlan".to_owned(),
            resource_id: (*id).to_owned(),
            resource_name: (*name).to_owned(),
            arn: format!("arn:aws:backup:{REGION}:{ACCOUNT}:backup-plan:{id}"),
            tags: [("owner".to_owned(), "archive-team@example.com".to_owned())].into(),
            configuration: json!({"BackupPlanId": id, "BackupPlan": {"BackupPlanName": name}}),
        });
    }
}

fn evaluation(plan: &str) -> RuleEvaluation {
    RuleEvaluation {
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        control: CONTROL.to_owned(),
        resource_type: "AWS::Backup::BackupPlan".to_owned(),
        resource_id: plan.to_owned(),
        compliance: RuleCompliance::NonCompliant,
        at: None,
        annotation: None,
    }
}
