//! The chapters about many violations: a flood, a lost event, an exemption, reminders.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::chapters::{Stage, WINDOW_SECONDS, bus, settle};
use super::{Story, fleet};
use crate::aging::age;
use crate::config::{Compliance, Evaluation, Resource};
use crate::events::samples;
use crate::wait;

const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const CLUSTER: &str = "AWS::RDS::DBCluster";
const TABLE: &str = "AWS::DynamoDB::Table";
/// Where the flood comes from.
const FLOODED: [&str; 2] = ["111111111111", "222222222222"];
const REGION: &str = "eu-west-1";
/// Violations of the flood.
const FLOOD: usize = 500;
pub(super) fn all(story: &mut Story<'_>, stage: &mut Stage) -> Result<()> {
    rules(story, stage)?;
    flood(story, stage)?;
    lost_event(story, stage)?;
    exemption(story, stage)?;
    weeks_later(story, stage)
}

/// Config's own state after an event that came from a sample file.
pub(super) fn recorded(story: &Story<'_>, event: &Value) -> Result<()> {
    let detail = &event["detail"];
    let result = &detail["newEvaluationResult"];
    let text = |value: &Value| value.as_str().map(str::to_owned).context("the sample event lacks a field");
    let name = text(&detail["configRuleName"])?;
    let control = fleet::control_of(&name).with_context(|| format!("`{name}` names no control"))?;
    let evaluation = Evaluation {
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

fn evaluation(account: &str, resource_type: &str, resource_id: &str, compliance: Compliance) -> Evaluation {
    Evaluation {
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

/// Every control of every framework that is deployed has a rule that has found something, as on AWS after a day.
fn rules(story: &Story<'_>, stage: &Stage) -> Result<()> {
    for (account, region, _) in fleet::instances(&stage.client)? {
        for control in fleet::control_names(story.cloud, &account, &region)? {
            let kind = fleet::evaluated_type(&control);
            let fine = evaluation(&account, kind, "all-is-well", Compliance::Compliant);
            drop(story.cloud.evaluate(&Evaluation { region: region.clone(), control, ..fine }));
        }
    }
    Ok(())
}

// ------------------------------------------------------------------------------------------------ a flood

fn flood(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("The evaluation of the day finds 500 tables in no backup plan");
    story.say("250 in each of two accounts; every one is an event of its own.");
    let mut events = Vec::new();
    for number in 0..FLOOD {
        let account = FLOODED[number % FLOODED.len()];
        let name = format!("table-{number:03}");
        story.cloud.add_resource(table(account, &name));
        events.extend(story.cloud.evaluate(&evaluation(account, TABLE, &name, Compliance::NonCompliant)));
    }
    anyhow::ensure!(events.len() == FLOOD, "Config sent {} events", events.len());
    let began = Instant::now();
    let (first, rest) = events.split_first().context("no events")?;
    story.cloud.deliver(bus(stage)?, first)?;
    let queue = stage.outputs.get("ReportQueueUrl").context("no ReportQueueUrl")?;
    let bodies: Vec<String> = rest.iter().map(Value::to_string).collect();
    stage.client.sqs_send_all(queue, &bodies)?;
    let records = story.wait_for("500 recorded violations without a pending notice", || {
        let records = flooded(stage)?;
        let pending = records.iter().filter(|record| !record["pending_group"].is_null()).count();
        Ok(match (records.len(), pending) {
            (FLOOD, 0) => ControlFlow::Break(FLOOD),
            (count, pending) => ControlFlow::Continue(format!("{count} records, {pending} with a pending notice")),
        })
    })?;
    story.claim("each is recorded, and no notice is pending", records == FLOOD, &format!("{records} records"));
    let mails = story.rest_of_mail();
    let digests = mails.iter().filter(|mail| mail.kind == "violation.digest");
    if let Some(digest) = digests.max_by_key(|mail| opened(&mail.subject)) {
        story.listener.mail(digest);
        story.says(
            "a digest counts, names 25, and says where to see the rest",
            &digest.text,
            &["more", "backup-compliance violations"],
        );
    }
    let told: usize = mails.iter().map(|mail| opened(&mail.subject)).sum();
    let seen = format!("{} e-mails about {told} violations", mails.len());
    // For each account the first notice, one whenever a window ends, and one more for what comes at that moment.
    let windows = began.elapsed().as_secs() / u64::from(WINDOW_SECONDS);
    let most = FLOODED.len() * (usize::try_from(windows)? + 2);
    story.claim("500 violations lead to a few e-mails", (1..=most).contains(&mails.len()), &seen);
    story.claim("and each violation is counted once", told == FLOOD, &seen);
    Ok(())
}

/// The records of the flood.
fn flooded(stage: &Stage) -> Result<Vec<Value>> {
    let table = stage.outputs.get("StateTableName").context("no StateTableName")?;
    let mut records = stage.client.scan(table)?;
    records.retain(|item| item["sk"]["S"].as_str().is_some_and(|key| key.contains("#table-")));
    Ok(records)
}

/// How many violations a mail says have opened: one, or as many as its subject says.
fn opened(subject: &str) -> usize {
    let words: Vec<&str> = subject.split_whitespace().collect();
    let counted = words.windows(2).find(|pair| pair[1].trim_end_matches([',', ':']) == "opened");
    counted.map_or(1, |pair| pair[0].parse().unwrap_or(0))
}

fn table(account: &str, name: &str) -> Resource {
    Resource {
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

// ------------------------------------------------------------------------------------------------ a lost event

fn lost_event(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("An event gets lost, and a Region cannot be seen");
    story.say(
        "AWS Config sends its events once, at best effort. The hourly sweep compares the records with AWS Config.",
    );
    let carts = evaluation("222222222222", TABLE, "carts", Compliance::NonCompliant);
    let lost = story.cloud.evaluate(&carts);
    story.claim("AWS Config sent an event that was not delivered", lost.is_some(), "not delivered");
    story.cloud.blind("111111111111", "us-east-1", true);
    let swept = sweep(story, stage)?;
    let mail = story.next_mail("violation.opened")?;
    story.says("the sweep has found it", &mail.text, &["carts", "222222222222", "sweep"]);
    let mail = story.next_mail("violation.digest")?;
    story.says(
        "and names the account and Region that it could not read, with the cause, what to do and a command",
        &mail.text,
        &["111111111111", "us-east-1", "What to do: ", "aws "],
    );
    let counts = format!("opened {}, closed {}, blind spots {}", swept["opened"], swept["closed"], swept["blindSpots"]);
    let right = (&swept["opened"], &swept["closed"], &swept["blindSpots"]) == (&json!(1), &json!(0), &json!(1));
    story.claim("it found one violation, closed none and has one blind spot", right, &counts);
    let swept = sweep(story, stage)?;
    story.claim(
        "the next sweep has nothing to add",
        swept["opened"] == json!(0),
        &format!("opened {}", swept["opened"]),
    );
    story.cloud.blind("111111111111", "us-east-1", false);
    story.no_more_mail("exactly one notice was sent for each");
    Ok(())
}

/// Invokes the sweep as the schedule does.
fn sweep(story: &mut Story<'_>, stage: &Stage) -> Result<Value> {
    let function = stage.outputs.get("SweepFunction").context("no SweepFunction")?;
    let event = json!({ "source": "backup-compliance.schedule", "look": "sweep" });
    story.listener.progress("the sweep is running");
    let swept = stage.client.invoke(function, &event)?;
    anyhow::ensure!(swept["complete"] == json!(true), "the sweep was not complete: {swept}");
    Ok(swept)
}

// ------------------------------------------------------------------------------------------------ an exemption

/// Days that the exemption holds from today.
const EXEMPT_DAYS: i64 = 10;

fn exemption(story: &mut Story<'_>, stage: &mut Stage) -> Result<()> {
    story.chapter("An exemption is pushed");
    scratch(story, stage, "scratch-1")?;
    let mail = story.next_mail("violation.opened")?;
    story.says("a throw-away cluster is reported like any other", &mail.text, &["scratch-1"]);
    let until = later(EXEMPT_DAYS).to_string();
    let until = until.get(..10).unwrap_or(&until);
    story.say(&format!("The owner exempts `scratch-*` until {until}, with a reason, in the policy repository."));
    let policy = format!(
        "{}\nexemptions:\n  - control: {COVERAGE}\n    resources: [\"arn:aws:rds:*:*:cluster:scratch-*\"]\n    \
         reason: throw-away test clusters\n    owner: data-platform@example.com\n    until: {until}\n",
        stage.policy.trim_end()
    );
    stage.policy = policy;
    stage.checkout.push("Exempt scratch clusters", &[("backup-compliance.yaml", &stage.policy)])?;
    let table = stage.outputs.get("StateTableName").context("no StateTableName")?;
    story.wait_for("`deploy` to publish the exemption", || {
        let mut items = stage.client.scan(table)?;
        items.retain(|item| item["pk"]["S"] == "framework");
        let published = items.iter().any(|item| item["document"].to_string().contains("throw-away test clusters"));
        Ok(wait::when(published, || format!("{} published documents without it", items.len())))
    })?;
    let swept = sweep(story, stage)?;
    story.claim("the sweep applies it", swept["exempted"] == json!(1), &format!("{} exempt", swept["exempted"]));
    let mail = story.next_mail("violation.exempted")?;
    story.says(
        "the subscribers are told why it is no longer reported",
        &mail.text,
        &["scratch-1", "throw-away test clusters", until],
    );
    let mail = story.next_mail("violation.digest")?;
    story.says(
        "its owner is told that the exemption ends within 14 days",
        &mail.text,
        &["data-platform@example.com", until],
    );
    scratch(story, stage, "scratch-2")?;
    settle(story, stage)?;
    let exempt = story.wait_for("a record of `scratch-2`", || {
        let records = stage.client.scan(table)?;
        let count = records.len();
        let record = records.into_iter().find(|item| item["sk"]["S"].to_string().contains("scratch-2"));
        Ok(record.map_or_else(
            || ControlFlow::Continue(format!("{count} other records")),
            |record| ControlFlow::Break(record["document"]["S"].to_string()),
        ))
    })?;
    let noted = exempt.contains("throw-away test clusters");
    story.claim("another such cluster is recorded as exempt", noted, if noted { "exempt" } else { &exempt });
    story.no_more_mail("and no notice is sent for it");
    Ok(())
}

/// A throw-away cluster in account 111111111111 is in no backup plan.
fn scratch(story: &mut Story<'_>, stage: &Stage, name: &str) -> Result<()> {
    story.cloud.add_resource(Resource {
        resource_type: CLUSTER.to_owned(),
        arn: format!("arn:aws:rds:{REGION}:111111111111:cluster:{name}"),
        ..table("111111111111", name)
    });
    let event = story.cloud.evaluate(&evaluation("111111111111", CLUSTER, name, Compliance::NonCompliant));
    story.cloud.deliver(bus(stage)?, &event.context("Config sent no event")?)?;
    Ok(())
}

/// So many days after the story began: the whole story has one today, also when midnight passes.
fn later(days: i64) -> Timestamp {
    samples::now().checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
}

// ------------------------------------------------------------------------------------------------ weeks later

fn weeks_later(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("Eight to eleven days later: the application's records are made older");
    let table = stage.outputs.get("StateTableName").context("no StateTableName")?;
    let pass = |days: i64| age(&stage.client, table, SignedDuration::from_hours(24 * days));
    pass(8)?;
    let swept = sweep(story, stage)?;
    // Of the tables of the flood, the table `carts` and a backup plan.
    let owners = ["archive-team@example.com", "orders-team@example.com", "shop-team@example.com"];
    let mails = story.next_mails("violation.reminder", owners.len())?;
    for owner in owners {
        let reminder = mails.iter().find(|mail| mail.text.contains(owner)).map_or("", |mail| mail.text.as_str());
        story.says("each owner gets one reminder of what is open for 7 days", reminder, &[owner, "7 days or more"]);
    }
    let open = FLOOD + 2;
    let seen = format!("{} violations in {} e-mails", swept["reminded"], mails.len());
    story.claim("the reminders cover every open violation that is not exempt", swept["reminded"] == json!(open), &seen);
    pass(1)?;
    let swept = sweep(story, stage)?;
    story.claim(
        "none is sent again within a week",
        swept["reminded"] == json!(0),
        &format!("{} reminded a day later", swept["reminded"]),
    );

    pass(EXEMPT_DAYS + 1 - 9)?;
    let swept = sweep(story, stage)?;
    let ended = format!("{} exemptions ended", swept["exemptionsEnded"]);
    story.claim("the exemption ends after its last day", swept["exemptionsEnded"] == json!(2), &ended);
    let mail = story.next_mail("violation.digest")?;
    story.says("the violations that were exempt are reported now", &mail.text, &["scratch-1", "scratch-2", "xemption"]);
    story.no_more_mail("exactly one notice was sent for each");
    Ok(())
}
