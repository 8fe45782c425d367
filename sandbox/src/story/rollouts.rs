//! The chapters about rollouts that do not go all the way, or are about something that others made, or about taking away.

use anyhow::{Context, Result};
use serde_json::json;

use super::chapters::{Stage, count, file, short};
use super::{Story, fleet};

/// Suspended while a rollout goes on.
const SUSPENDED: &str = "333333333333";
/// New in the organisation, and nobody has made the execution role there.
const NEW: &str = "444444444444";
/// What somebody made by hand before there was a policy.
const LEGACY: &str = "backup-legacy";

pub(super) fn all(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    partly_failed(story, stage)?;
    let with_legacy = adoption(story, stage)?;
    removal(story, stage, &with_legacy)
}

/// Before the second push.
pub(super) fn plan(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("A plan before the next push");
    story.say("In the checkout the framework has five controls. Nothing is committed; this is what a push would do.");
    let three = file(story, "framework/framework.yaml")?;
    let five = file(story, "framework/examples/five-controls/framework.yaml")?;
    let mark = story.cloud.journal().mark();
    stage.checkout.edit(&[("framework.yaml", &five)])?;
    let (said, status) = story.run(&["plan"], stage.checkout.directory())?;
    story.claim("`plan` exits with status 0", status == Some(0), &exit(status));
    story.says(
        "it names the new controls, and the 6 instances that would be updated",
        &said,
        &[
            "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK",
            "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
            "UpdateStackSet",
            "6",
        ],
    );
    stage.checkout.edit(&[("framework.yaml", &three)])?;
    let (_, status) = story.run(&["plan", "--exit-code"], stage.checkout.directory())?;
    story.claim("for the framework in force, `plan --exit-code` finds no change", status == Some(0), &exit(status));
    let calls = story.cloud.journal().since(mark);
    let changing: Vec<String> = calls.iter().filter(|call| call.mutating).map(|call| call.operation.clone()).collect();
    story.claim("planning changed nothing", changing.is_empty(), &format!("{} reading calls", calls.len()));
    Ok(())
}

fn partly_failed(story: &mut Story<'_>, stage: &Stage) -> Result<()> {
    story.chapter("A rollout meets a suspended account, and one without the execution role");
    story
        .say(&format!("{SUSPENDED} is suspended. {NEW} is new and does not have the execution role of StackSets yet."));
    story.cloud.join(NEW, "archive");
    story.cloud.suspend(SUSPENDED, true);
    story.cloud.execution_role(NEW, false);
    let more = stage.policy.replace(
        "\"222222222222\"]\n        regions",
        &format!("\"222222222222\", \"{SUSPENDED}\", \"{NEW}\"]\n        regions"),
    );
    anyhow::ensure!(more != stage.policy, "the policy of the story has other targets by now");
    let mark = story.cloud.journal().mark();
    let commit = stage
        .checkout
        .push("Two more accounts", &[("framework.yaml", &five(story)?), ("backup-compliance.yaml", &more)])?;
    let mail = story.next_mail("rollout.failed")?;
    story.says("it counts every instance", &mail.text, &[short(&commit), "4 of 8 instances", "2 failed", "2 skipped"]);
    story.says(
        "it names who failed, why, and what to do",
        &mail.text,
        &[
            &format!("{NEW}/eu-west-1"),
            &format!("{NEW}/us-east-1"),
            "AWSCloudFormationStackSetExecutionRole",
            "framework/prerequisites/execution-role.yaml",
        ],
    );
    story.says("it names who was skipped, and why", &mail.text, &[&format!("{SUSPENDED}/eu-west-1"), "suspended"]);
    story.says("it says what comes next", &mail.text, &["tries again"]);
    let instances = fleet::instances(&stage.client)?;
    let current = instances.iter().filter(|(_, _, status)| status == "CURRENT").count();
    story.claim(
        "that is how it is: 4 of 8 instances are CURRENT",
        (current, instances.len()) == (4, 8),
        &fleet::describe(&instances),
    );
    count(story, "push that fails in one account", "deploy", mark);

    story.say("The role is created. Without another push, the hourly reconciliation tries again.");
    story.cloud.execution_role(NEW, true);
    let function = stage.outputs.get("DeployFunction").context("no DeployFunction")?;
    stage.client.invoke(function, &json!({"source": "backup-compliance.schedule", "look": "full"}))?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.says("all are as wanted but the suspended ones", &mail.text, &["6 of 8 instances", "2 skipped", SUSPENDED]);
    story.no_more_mail("exactly one notice was sent");

    story.say("Both accounts are taken out of the policy again.");
    story.cloud.suspend(SUSPENDED, false);
    stage.checkout.push("As before", &[("backup-compliance.yaml", &stage.policy)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.says("4 of 4 instances are left", &mail.text, &["4 of 4 instances"]);
    Ok(())
}

fn five(story: &Story<'_>) -> Result<String> {
    file(story, "framework/examples/five-controls/framework.yaml")
}

/// Gives the policy with both frameworks.
fn adoption(story: &mut Story<'_>, stage: &Stage) -> Result<String> {
    story.chapter("A StackSet that was created by hand is adopted");
    // AWS Backup takes no second framework with equal controls in an account and Region.
    let template = five(story)?
        .replace("FrameworkName: backup_compliance", "FrameworkName: backup_legacy")
        .replace("ParameterValue: \"35\"", "ParameterValue: \"30\"");
    let create = [("StackSetName", LEGACY), ("TemplateBody", &template), ("Capabilities.member.1", "CAPABILITY_IAM")];
    stage.client.query("cloudformation", "CreateStackSet", &create)?;
    let at = [("StackSetName", LEGACY), ("Accounts.member.1", "111111111111"), ("Regions.member.1", "us-east-1")];
    stage.client.query("cloudformation", "CreateStackInstances", &at)?;
    let before = fleet::stacks(&stage.client, LEGACY)?;
    story.say(&format!(
        "`{LEGACY}` is older than the policy, asks for 30 days, and is deployed in one account. Now the policy names it, for two \
         accounts."
    ));
    let policy = |adopt: &str| {
        let framework = format!(
            "frameworks:\n  - name: {LEGACY}\n    template: legacy.yaml\n{adopt}    targets:\n      \
             - accounts: [\"111111111111\", \"222222222222\"]\n        regions: [us-east-1]\n"
        );
        stage.policy.replacen("frameworks:\n", &framework, 1)
    };
    stage.checkout.push("Name the old one", &[("legacy.yaml", &template), ("backup-compliance.yaml", &policy(""))])?;
    let mail = story.next_mail("policy.rejected")?;
    story.says(
        "it is left alone, and the notice says how to take it over",
        &mail.text,
        &["was not made by this application", "adopt: true"],
    );
    let mark = story.cloud.journal().mark();
    let adopting = policy("    adopt: true\n");
    stage.checkout.push("Take the old one over", &[("backup-compliance.yaml", &adopting)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.says("2 of 2 instances, one of them new", &mail.text, &[LEGACY, "2 of 2 instances", "1 created"]);
    let deleted =
        story.cloud.mutating_calls_of("deploy", mark).iter().any(|call| call.operation == "DeleteStackInstances");
    let after = fleet::stacks(&stage.client, LEGACY)?;
    let kept = before.iter().all(|stack| after.contains(stack));
    story.claim("the stack that was there is the one that is there now", kept && !deleted, &before.join(", "));
    count(story, "push that adopts a StackSet", "deploy", mark);
    story.no_more_mail("no other notice was sent");
    Ok(adopting)
}

fn removal(story: &mut Story<'_>, stage: &Stage, with_legacy: &str) -> Result<()> {
    story.chapter("A framework leaves the policy");
    anyhow::ensure!(with_legacy != stage.policy, "the policy has no second framework");
    stage.checkout.push("Drop the old one", &[("backup-compliance.yaml", &stage.policy)])?;
    let mail = story.next_mail("violation.digest")?;
    story.says(
        "nothing is removed without a notice, and the notice says what to write",
        &mail.text,
        &[LEGACY, "no longer declares", "removeUndeclared: true"],
    );
    let instances = fleet::instances_of(&stage.client, LEGACY)?;
    story.claim("its 2 instances are still there", instances.len() == 2, &fleet::describe(&instances));
    let mark = story.cloud.journal().mark();
    let removing = stage.policy.replacen("version: 1\n", "version: 1\nremoveUndeclared: true\n", 1);
    stage.checkout.push("Remove what is not declared", &[("backup-compliance.yaml", &removing)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.says("it is removed, and a notice says so", &mail.text, &[LEGACY, "is removed", "2 deleted"]);
    let calls = story.cloud.mutating_calls_of("deploy", mark).into_iter();
    let calls: Vec<String> = calls.filter(|call| call.service == "cloudformation").map(|call| call.operation).collect();
    story.claim(
        "instances first, then the StackSet, and nothing else was touched",
        calls == ["DeleteStackInstances", "DeleteStackSet"],
        &calls.join(", "),
    );
    story.claim("the StackSet is gone", !fleet::is_there(&stage.client, LEGACY)?, "DescribeStackSet finds nothing");
    let rest = fleet::instances(&stage.client)?;
    story.claim("the other framework is as it was", rest.len() == 4, &fleet::describe(&rest));
    count(story, "push that removes a framework", "deploy", mark);
    story.no_more_mail("exactly one notice was sent for each");
    Ok(())
}

/// An exit status in words.
fn exit(status: Option<i32>) -> String {
    status.map_or_else(|| "ended by a signal".to_owned(), |status| format!("exit status {status}"))
}
