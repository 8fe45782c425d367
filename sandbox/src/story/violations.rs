//! The chapters about many violations: a flood, a lost event, an exemption, reminders.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::context::{StoryContext, WINDOW_SECONDS, bus, settle};
use super::{StoryRun, fleet};
use crate::aging::move_state_back;
use crate::config::{RecordedResource, RuleCompliance, RuleEvaluation};
use crate::events::samples;
use crate::wait;

const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const CLUSTER: &str = "AWS::RDS::DBCluster";
const TABLE: &str = "AWS::DynamoDB::Table";
/// The accounts of the flood.
const FLOODED: [&str; 2] = ["111111111111", "222222222222"];
const REGION: &str = "eu-west-1";
/// The number of violations in the flood.
const FLOOD: usize = 500;

pub(super) fn all(story: &mut StoryRun<'_>, context: &mut StoryContext) -> Result<()> {
    rules(story, context)?;
    flood(story, context)?;
    lost_event(story, context)?;
    exemption(story, context)?;
    weeks_later(story, context)
}

/// Stores the result of a sample event in Config.
pub(super) fn recorded(story: &StoryRun<'_>, event: &Value) -> Result<()> {
    let detail = &event["detail"];
    let result = &detail["newEvaluationResult"];
    let text = |value: &Value| value.as_str().map(str::to_owned).context("the sample event lacks a field");
    let name = text(&detail["configRuleName"])?;
    let control = fleet::control_of(&name).with_context(|| format!("`{name}` does not contain a control"))?;
    let evaluation = RuleEvaluation {
        account: text(&detail["awsAccountId"])?,
        region: text(&detail["awsRegion"])?,
        control,
        resource_type: text(&detail["resourceType"])?,
        resource_id: text(&detail["resourceId"])?,
        compliance: serde_json::from_value(result["complianceType"].clone())?,
        at: text(&result["evaluationResultIdentifier"]["orderingTimestamp"])?.parse().ok(),
        annotation: None,
    };
    drop(story.cloud.evaluate(&evaluation));
    Ok(())
}

fn evaluation(account: &str, resource_type: &str, resource_id: &str, compliance: RuleCompliance) -> RuleEvaluation {
    RuleEvaluation {
        account: account.to_owned(),
        region: REGION.to_owned(),
        control: COVERAGE.to_owned(),
        resource_type: resource_type.to_owned(),
        resource_id: resource_id.to_owned(),
        compliance,
        at: None,
        annotation: None,
    }
}

/// Stores a result for each control of each deployed framework, as on AWS after a day.
fn rules(story: &StoryRun<'_>, context: &StoryContext) -> Result<()> {
    for (account, region, _) in fleet::instances(&context.client)? {
        for control in fleet::control_names(story.cloud, &account, &region)? {
            let kind = fleet::evaluated_type(&control);
            let compliant = evaluation(&account, kind, "compliant-resource", RuleCompliance::Compliant);
            drop(story.cloud.evaluate(&RuleEvaluation { region: region.clone(), control, ..compliant }));
        }
    }
    Ok(())
}

fn flood(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("A daily evaluation finds 500 tables outside of backup plans");
    story.narrate("AWS Config sends one event for each table, for 250 tables in each of two accounts.");
    let mut events = Vec::new();
    for number in 0..FLOOD {
        let account = FLOODED[number % FLOODED.len()];
        let name = format!("table-{number:03}");
        story.cloud.add_resource(table(account, &name));
        events.extend(story.cloud.evaluate(&evaluation(account, TABLE, &name, RuleCompliance::NonCompliant)));
    }
    anyhow::ensure!(events.len() == FLOOD, "Config sent {} events", events.len());
    let began = Instant::now();
    let (first, rest) = events.split_first().context("no events")?;
    story.cloud.deliver(bus(context)?, first)?;
    let queue = context.outputs.get("ReportQueueUrl").context("no ReportQueueUrl")?;
    let bodies: Vec<String> = rest.iter().map(Value::to_string).collect();
    context.client.sqs_send_all(queue, &bodies)?;
    let records = story.wait_for("500 recorded violations without a pending notice", || {
        let records = flooded(context)?;
        let pending = records.iter().filter(|record| !record["pending_group"].is_null()).count();
        Ok(match (records.len(), pending) {
            (FLOOD, 0) => ControlFlow::Break(FLOOD),
            (count, pending) => ControlFlow::Continue(format!("{count} records, {pending} with a pending notice")),
        })
    })?;
    story.check(
        "each violation is recorded, and no notice is pending",
        records == FLOOD,
        &format!("{records} records"),
    );
    let mails = story.rest_of_mail();
    let digests = mails.iter().filter(|mail| mail.kind == "violation.digest");
    if let Some(digest) = digests.max_by_key(|mail| opened(&mail.subject)) {
        story.listener.mail(digest);
        story.contains(
            "the digest lists 25 violations, counts the others, and names the command that lists all",
            &digest.text,
            &["more", "backup-compliance violations"],
        );
    }
    let reported: usize = mails.iter().map(|mail| opened(&mail.subject)).sum();
    let seen = format!("{} e-mails about {reported} violations", mails.len());
    // Limit: for each account the first notice, one for each digest window, and one more at the end.
    let windows = began.elapsed().as_secs() / u64::from(WINDOW_SECONDS);
    let most = FLOODED.len() * (usize::try_from(windows)? + 2);
    story.check("a few e-mails report 500 violations", (1..=most).contains(&mails.len()), &seen);
    story.check("the e-mails count each violation once", reported == FLOOD, &seen);
    Ok(())
}

/// Returns the records of the flood.
fn flooded(context: &StoryContext) -> Result<Vec<Value>> {
    let table = context.outputs.get("StateTableName").context("no StateTableName")?;
    let mut records = context.client.scan(table)?;
    records.retain(|item| item["sk"]["S"].as_str().is_some_and(|key| key.contains("#table-")));
    Ok(records)
}

/// Returns the number of opened violations in a notice: one, or the number in its subject.
fn opened(subject: &str) -> usize {
    let words: Vec<&str> = subject.split_whitespace().collect();
    let counted = words.windows(2).find(|pair| pair[1].trim_end_matches([',', ':']) == "opened");
    counted.map_or(1, |pair| pair[0].parse().unwrap_or(0))
}

fn table(account: &str, name: &str) -> RecordedResource {
    RecordedResource {
        account: account.to_owned(),
        region: REGION.to_owned(),
        resource_type: TABLE.to_owned(),
        resource_id: name.to_owned(),
        resource_name: name.to_owned(),
        arn: format!("arn:aws:dynamodb:{REGION}:{account}:table/{name}"),
        tags: [("owner".to_owned(), "shop-team@example.com".to_owned())].into(),
        configuration: json!({}),
    }
}

fn lost_event(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("The sweep finds a lost event and a blind spot");
    story.narrate(
        "EventBridge delivers AWS Config's events on a best-effort basis. The hourly sweep compares the records with AWS Config.",
    );
    let carts = evaluation("222222222222", TABLE, "carts", RuleCompliance::NonCompliant);
    let lost = story.cloud.evaluate(&carts);
    story.check("AWS Config sent an event, which is lost", lost.is_some(), "not delivered");
    story.cloud.set_blind_spot("111111111111", "us-east-1", true);
    let summary = sweep(story, context)?;
    let mail = story.next_mail("violation.opened")?;
    story.contains("the sweep detected the violation", &mail.text, &["carts", "222222222222", "sweep"]);
    let mail = story.next_mail("violation.digest")?;
    story.contains(
        "the notice names the unreadable account and Region, the cause and a command",
        &mail.text,
        &["111111111111", "us-east-1", "What to do: ", "aws "],
    );
    let counts =
        format!("opened {}, closed {}, blind spots {}", summary["opened"], summary["closed"], summary["blindSpots"]);
    let is_expected =
        (&summary["opened"], &summary["closed"], &summary["blindSpots"]) == (&json!(1), &json!(0), &json!(1));
    story.check("the sweep opened one violation, closed none and has one blind spot", is_expected, &counts);
    let summary = sweep(story, context)?;
    story.check(
        "the next sweep opens no violation",
        summary["opened"] == json!(0),
        &format!("opened {}", summary["opened"]),
    );
    story.cloud.set_blind_spot("111111111111", "us-east-1", false);
    story.no_more_mail("exactly one notice was sent for each problem");
    Ok(())
}

/// Invokes the sweep with the event of its schedule.
fn sweep(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<Value> {
    let function = context.outputs.get("SweepFunction").context("no SweepFunction")?;
    let event = json!({ "source": "backup-compliance.schedule", "task": "sweep" });
    story.listener.progress("the sweep is running");
    let summary = context.client.invoke(function, &event)?;
    anyhow::ensure!(summary["complete"] == json!(true), "the sweep was not complete: {summary}");
    Ok(summary)
}

/// Days from today to the end of the exemption.
const EXEMPT_DAYS: i64 = 10;

fn exemption(story: &mut StoryRun<'_>, context: &mut StoryContext) -> Result<()> {
    story.chapter("A push adds an exemption");
    scratch(story, context, "scratch-1")?;
    let mail = story.next_mail("violation.opened")?;
    story.contains("the notice reports a temporary cluster", &mail.text, &["scratch-1"]);
    let until = later(EXEMPT_DAYS).to_string();
    let until = until.get(..10).unwrap_or(&until);
    story.narrate(&format!("The policy repository exempts clusters named `scratch-*` until {until}, with a reason."));
    let policy = format!(
        "{}\nexemptions:\n  - control: {COVERAGE}\n    resources: [\"arn:aws:rds:*:*:cluster:scratch-*\"]\n    \
         reason: temporary test clusters\n    owner: data-platform@example.com\n    until: {until}\n",
        context.policy.trim_end()
    );
    context.policy = policy;
    context.checkout.push("Exempt scratch clusters", &[("backup-compliance.yaml", &context.policy)])?;
    let table = context.outputs.get("StateTableName").context("no StateTableName")?;
    story.wait_for("`deploy` to publish the exemption", || {
        let mut items = context.client.scan(table)?;
        items.retain(|item| item["pk"]["S"] == "framework");
        let published = items.iter().any(|item| item["document"].to_string().contains("temporary test clusters"));
        Ok(wait::when(published, || format!("{} published documents without it", items.len())))
    })?;
    let summary = sweep(story, context)?;
    story.check("the sweep applies the exemption", summary["exempted"] == json!(1), &summary["exempted"].to_string());
    let mail = story.next_mail("violation.exempted")?;
    story.contains(
        "the notice explains why the cluster is exempt",
        &mail.text,
        &["scratch-1", "temporary test clusters", until],
    );
    let mail = story.next_mail("violation.digest")?;
    story.contains(
        "the notice warns the owner that the exemption ends within 14 days",
        &mail.text,
        &["data-platform@example.com", until],
    );
    scratch(story, context, "scratch-2")?;
    settle(story, context)?;
    let exempt = story.wait_for("a record of `scratch-2`", || {
        let records = context.client.scan(table)?;
        let count = records.len();
        let record = records.into_iter().find(|item| item["sk"]["S"].to_string().contains("scratch-2"));
        Ok(record.map_or_else(
            || ControlFlow::Continue(format!("{count} other records")),
            |record| ControlFlow::Break(record["document"]["S"].to_string()),
        ))
    })?;
    let noted = exempt.contains("temporary test clusters");
    story.check("a second temporary cluster is recorded as exempt", noted, if noted { "exempt" } else { &exempt });
    story.no_more_mail("no notice was sent for it");
    Ok(())
}

/// Opens a violation of a temporary cluster in account 111111111111.
fn scratch(story: &mut StoryRun<'_>, context: &StoryContext, name: &str) -> Result<()> {
    story.cloud.add_resource(RecordedResource {
        resource_type: CLUSTER.to_owned(),
        arn: format!("arn:aws:rds:{REGION}:111111111111:cluster:{name}"),
        ..table("111111111111", name)
    });
    let event = story.cloud.evaluate(&evaluation("111111111111", CLUSTER, name, RuleCompliance::NonCompliant));
    story.cloud.deliver(bus(context)?, &event.context("Config sent no event")?)?;
    Ok(())
}

/// Returns the time this many days after the start of the story: the story has one current day, also at midnight.
fn later(days: i64) -> Timestamp {
    samples::now().checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
}

fn weeks_later(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("Eight to eleven days later");
    let table = context.outputs.get("StateTableName").context("no StateTableName")?;
    let pass = |days: i64| move_state_back(&context.client, table, SignedDuration::from_hours(24 * days));
    pass(8)?;
    let summary = sweep(story, context)?;
    // The owners of the flood's tables, of the table `carts` and of the backup plans.
    let owners = ["archive-team@example.com", "orders-team@example.com", "shop-team@example.com"];
    let mails = story.next_mails("violation.reminder", owners.len())?;
    for owner in owners {
        let reminder = mails.iter().find(|mail| mail.text.contains(owner)).map_or("", |mail| mail.text.as_str());
        story.contains(
            "each owner receives one reminder of violations that are open for 7 days",
            reminder,
            &[owner, "7 days or more"],
        );
    }
    // The flood, the table `carts`, and three backup plans.
    let open = FLOOD + 4;
    let seen = format!("{} violations in {} e-mails", summary["reminded"], mails.len());
    story.check(
        "the reminders cover all open violations that are not exempt",
        summary["reminded"] == json!(open),
        &seen,
    );
    pass(1)?;
    let summary = sweep(story, context)?;
    story.check(
        "no reminder is repeated within a week",
        summary["reminded"] == json!(0),
        &format!("{} reminders a day later", summary["reminded"]),
    );

    pass(EXEMPT_DAYS + 1 - 9)?;
    let summary = sweep(story, context)?;
    let ended = format!("{} exemptions ended", summary["exemptionsEnded"]);
    story.check("the exemption ends after its last day", summary["exemptionsEnded"] == json!(2), &ended);
    let mail = story.next_mail("violation.digest")?;
    story.contains(
        "the notice reports the violations whose exemption ended",
        &mail.text,
        &["scratch-1", "scratch-2", "xemption"],
    );
    story.no_more_mail("exactly one notice was sent for each event");
    Ok(())
}
