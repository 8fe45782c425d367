//! The chapters about plans, failed rollouts, adopted StackSets and removed frameworks.

use anyhow::{Context, Result};
use serde_json::json;

use super::context::{StoryContext, count, file, short};
use super::{StoryRun, fleet};

/// The account that is suspended during a rollout.
const SUSPENDED: &str = "333333333333";
/// A new account of the organization, without the execution role.
const NEW: &str = "444444444444";
/// A StackSet that was created before the policy.
const LEGACY: &str = "backup-legacy";

pub(super) fn all(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    partly_failed(story, context)?;
    let with_legacy = adoption(story, context)?;
    removal(story, context, &with_legacy)
}

/// The chapter before the second push.
pub(super) fn plan(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("`plan` shows the effects of a push");
    story.narrate("The checkout has a framework with five controls, which is not committed yet.");
    let three = file(story, "framework/framework.yaml")?;
    let five = file(story, "framework/examples/five-controls/framework.yaml")?;
    let mark = story.cloud.journal().mark();
    context.checkout.edit(&[("framework.yaml", &five)])?;
    let (output, status) = story.run(&["plan"], context.checkout.directory())?;
    story.check("`plan` exits with status 0", status == Some(0), &exit(status));
    story.contains(
        "the plan names the new controls and 6 updated instances",
        &output,
        &[
            "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK",
            "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
            "UpdateStackSet",
            "6",
        ],
    );
    context.checkout.edit(&[("framework.yaml", &three)])?;
    let (_, status) = story.run(&["plan", "--exit-code"], context.checkout.directory())?;
    story.check("`plan --exit-code` exits with status 0 for the deployed framework", status == Some(0), &exit(status));
    let calls = story.cloud.journal().since(mark);
    let is_read_only = calls.iter().all(|call| !call.mutating);
    story.check("`plan` made no mutating AWS call", is_read_only, &format!("{} calls", calls.len()));
    Ok(())
}

fn partly_failed(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("A rollout fails in one account and skips a suspended account");
    story.narrate(&format!(
        "Account {SUSPENDED} is suspended. The new account {NEW} does not have the execution role yet."
    ));
    story.cloud.add_account(NEW, "archive");
    story.cloud.set_suspended(SUSPENDED, true);
    story.cloud.set_execution_role(NEW, false);
    let more = context.policy.replace(
        "\"222222222222\"]\n        regions",
        &format!("\"222222222222\", \"{SUSPENDED}\", \"{NEW}\"]\n        regions"),
    );
    anyhow::ensure!(more != context.policy, "the targets of the story's policy have changed");
    let mark = story.cloud.journal().mark();
    let commit = context
        .checkout
        .push("Two more accounts", &[("framework.yaml", &five(story)?), ("backup-compliance.yaml", &more)])?;
    let mail = story.next_mail("rollout.failed")?;
    story.contains(
        "the notice counts all instances",
        &mail.text,
        &[short(&commit), "4 of 8 instances", "2 failed", "2 skipped"],
    );
    story.contains(
        "the notice names the failed instances, the reason and the remediation",
        &mail.text,
        &[
            &format!("{NEW}/eu-west-1"),
            &format!("{NEW}/us-east-1"),
            "AWSCloudFormationStackSetExecutionRole",
            "framework/prerequisites/execution-role.yaml",
        ],
    );
    story.contains(
        "the notice names the skipped account and the reason",
        &mail.text,
        &[&format!("{SUSPENDED}/eu-west-1"), "suspended"],
    );
    story.contains("the notice announces the next attempt", &mail.text, &["retries"]);
    let instances = fleet::instances(&context.client)?;
    let current = instances.iter().filter(|(_, _, status)| status == "CURRENT").count();
    story.check(
        "CloudFormation reports 4 of 8 instances as CURRENT",
        (current, instances.len()) == (4, 8),
        &fleet::describe(&instances),
    );
    count(story, "push that fails in one account", "deploy", mark);
    retried(story, context)
}

/// Continues [`partly_failed`] after the creation of the role.
fn retried(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.narrate("You create the role. The hourly reconciliation retries without another push.");
    story.cloud.set_execution_role(NEW, true);
    let function = context.outputs.get("DeployFunction").context("no DeployFunction")?;
    context.client.invoke(function, &json!({"source": "backup-compliance.schedule", "task": "full-reconciliation"}))?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.contains(
        "the notice counts all instances as current except the suspended ones",
        &mail.text,
        &["6 of 8 instances", "2 skipped", SUSPENDED],
    );
    story.no_more_mail("exactly one notice was sent");

    story.narrate("A push removes both accounts from the policy.");
    story.cloud.set_suspended(SUSPENDED, false);
    context.checkout.push("Remove the two accounts", &[("backup-compliance.yaml", &context.policy)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.contains("the notice counts 4 of 4 instances", &mail.text, &["4 of 4 instances"]);
    Ok(())
}

fn five(story: &StoryRun<'_>) -> Result<String> {
    file(story, "framework/examples/five-controls/framework.yaml")
}

/// Returns the policy with both frameworks.
fn adoption(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<String> {
    story.chapter("A StackSet that was created by hand is adopted");
    // AWS Backup rejects a second framework with equal controls in an account and Region.
    let template = five(story)?
        .replace("FrameworkName: backup_compliance", "FrameworkName: backup_legacy")
        .replace("ParameterValue: \"35\"", "ParameterValue: \"30\"");
    let create = [("StackSetName", LEGACY), ("TemplateBody", &template), ("Capabilities.member.1", "CAPABILITY_IAM")];
    context.client.query("cloudformation", "CreateStackSet", &create)?;
    let at = [("StackSetName", LEGACY), ("Accounts.member.1", "111111111111"), ("Regions.member.1", "us-east-1")];
    context.client.query("cloudformation", "CreateStackInstances", &at)?;
    let before = fleet::stacks(&context.client, LEGACY)?;
    story.narrate(&format!(
        "The StackSet `{LEGACY}` is older than the policy. It requires 30 days and has one instance. A push adds it to the \\
         policy, with two accounts."
    ));
    let policy = |adopt: &str| {
        let framework = format!(
            "frameworks:\n  - name: {LEGACY}\n    template: legacy.yaml\n{adopt}    targets:\n      \
             - accounts: [\"111111111111\", \"222222222222\"]\n        regions: [us-east-1]\n"
        );
        context.policy.replacen("frameworks:\n", &framework, 1)
    };
    context
        .checkout
        .push("Add the legacy framework", &[("legacy.yaml", &template), ("backup-compliance.yaml", &policy(""))])?;
    let mail = story.next_mail("policy.rejected")?;
    story.contains(
        "the StackSet is unchanged, and the notice explains how to adopt it",
        &mail.text,
        &["was not created by this application", "adopt: true"],
    );
    let mark = story.cloud.journal().mark();
    let adopting = policy("    adopt: true\n");
    context.checkout.push("Adopt the legacy framework", &[("backup-compliance.yaml", &adopting)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.contains(
        "the notice counts 2 of 2 instances, 1 of them created",
        &mail.text,
        &[LEGACY, "2 of 2 instances", "1 created"],
    );
    let deleted =
        story.cloud.mutating_calls_of("deploy", mark).iter().any(|call| call.operation == "DeleteStackInstances");
    let after = fleet::stacks(&context.client, LEGACY)?;
    let kept = before.iter().all(|stack| after.contains(stack));
    story.check("the existing stack was kept", kept && !deleted, &before.join(", "));
    count(story, "push that adopts a StackSet", "deploy", mark);
    story.no_more_mail("no other notice was sent");
    Ok(adopting)
}

fn removal(story: &mut StoryRun<'_>, context: &StoryContext, with_legacy: &str) -> Result<()> {
    story.chapter("A push removes a framework from the policy");
    anyhow::ensure!(with_legacy != context.policy, "the policy has no second framework");
    context.checkout.push("Remove the legacy framework", &[("backup-compliance.yaml", &context.policy)])?;
    let mail = story.next_mail("violation.digest")?;
    story.contains(
        "the notice explains how to remove the framework",
        &mail.text,
        &[LEGACY, "no longer declares", "removeUndeclared: true"],
    );
    let instances = fleet::instances_of(&context.client, LEGACY)?;
    story.check("the framework keeps its 2 instances", instances.len() == 2, &fleet::describe(&instances));
    let mark = story.cloud.journal().mark();
    let removing = context.policy.replacen("version: 1\n", "version: 1\nremoveUndeclared: true\n", 1);
    context.checkout.push("Remove undeclared frameworks", &[("backup-compliance.yaml", &removing)])?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.contains("the notice reports the removal", &mail.text, &[LEGACY, "was removed", "2 deleted"]);
    let calls = story.cloud.mutating_calls_of("deploy", mark).into_iter();
    let calls: Vec<String> = calls.filter(|call| call.service == "cloudformation").map(|call| call.operation).collect();
    story.check(
        "`deploy` deleted the instances first, then the StackSet",
        calls == ["DeleteStackInstances", "DeleteStackSet"],
        &calls.join(", "),
    );
    let exists = fleet::exists(&context.client, LEGACY)?;
    story.check("the StackSet was deleted", !exists, &format!("exists: {exists}"));
    let rest = fleet::instances(&context.client)?;
    story.check("the other framework is unchanged", rest.len() == 4, &fleet::describe(&rest));
    count(story, "push that removes a framework", "deploy", mark);
    story.no_more_mail("exactly one notice was sent for each push");
    Ok(())
}

/// Describes an exit status.
fn exit(status: Option<i32>) -> String {
    status.map_or_else(|| "ended by a signal".to_owned(), |status| format!("exit status {status}"))
}
