//! Rollouts in a realistic organization: units, suspended accounts, missing roles, foreign StackSets, removals.

use std::time::Duration;

use serde_json::{Value, json};

use sandbox::organization::WORKLOADS;
use sandbox::wait;
use sandbox::wire;

use crate::application::{DeployedApplication, FunctionProcess, STACK_SET, event, failures};
use crate::cost;
use crate::server::Server;

const POLICY: &str = "backup-compliance.yaml";

/// A framework with a parameter that a target can override.
const FRAMEWORK: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Days: { Type: String, Default: "35" }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: backup
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters: [{ ParameterName: requiredRetentionDays, ParameterValue: !Ref Days }]
"#;

/// A policy with one framework; `more` is added to the framework, `top` to the policy.
fn policy(name: &str, targets: &str, more: &str, top: &str) -> String {
    format!(
        "version: 1\n{top}frameworks:\n  - name: {name}\n    template: framework.yaml\n{more}    targets:\n      - {targets}\n"
    )
}

fn accounts(ids: &[String], regions: &str) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    format!("{{ accounts: [{}], regions: [{regions}] }}", ids.join(", "))
}

fn three(regions: &str) -> String {
    accounts(&["111111111111", "222222222222", "333333333333"].map(str::to_owned), regions)
}

fn push(application: &DeployedApplication, message: &str, policy: &str) -> String {
    let files = [(POLICY, Some(policy.as_bytes())), ("framework.yaml", Some(FRAMEWORK.as_bytes()))];
    application.push(message, &files)
}

/// Reconciles until nothing is left to do, and returns the changes.
fn converge(deploy: &mut FunctionProcess<'_>, first: &str) -> Vec<String> {
    assert_eq!(deploy.answer(&event(first)), failures(&[]), "{first}");
    let mut changes = deploy.changes();
    for _ in 0..20 {
        assert_eq!(deploy.answer(&event("schedule-light.json")), failures(&[]));
        let more = deploy.changes();
        if more.is_empty() {
            return changes;
        }
        changes.extend(more);
    }
    panic!("it does not come to rest: {changes:?}");
}

/// The calls to StackSets among these calls.
fn stack_set_calls(changes: &[String]) -> Vec<&str> {
    changes.iter().filter_map(|call| call.strip_prefix("cloudformation:")).collect()
}

fn numbers(notice: &Value, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| notice["instances"][name].as_u64().unwrap_or(u64::MAX)).collect()
}

#[test]
fn unchanged_push_costs_the_same_for_any_fleet() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    let mut costs = Vec::new();
    for size in [1, 40] {
        let ids: Vec<String> = (0..size).map(|n| format!("1000000000{n:02}")).collect();
        push(&application, "A fleet", &policy(STACK_SET, &accounts(&ids, "us-east-1, eu-west-1"), "", ""));
        converge(&mut deploy, "codecommit-push.json");
        application.take_notices(&["rollout.succeeded"]);
        assert_eq!(application.instances().len(), 2 * size);

        application.push("Explain", &[("README.md", Some(format!("# {size}\n").as_bytes()))]);
        assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]));
        cost::print(&format!("unchanged push, {} instances", 2 * size), &deploy.calls());
        assert_eq!(deploy.changes(), Vec::<String>::new());
        costs.push(deploy.calls());
    }
    assert_eq!(costs[0], costs[1]);
    assert!(costs[0].len() <= 6, "{:?}", costs[0]);
    application.take_notices(&[]);
    deploy.stop();
    application.stop();
}

/// Long because each step depends on the state after the steps before.
#[test]
fn suspended_account_and_missing_role_are_reported() {
    let application = DeployedApplication::start();
    let mut deploy = application.function_with("deploy", &[("COMMENT_ON_COMMITS", "enabled")]);
    application.cloud.set_suspended("333333333333", true);
    application.cloud.set_execution_role("222222222222", false);
    let commit = push(&application, "Three accounts", &policy(STACK_SET, &three("us-east-1, eu-west-1"), "", ""));
    converge(&mut deploy, "codecommit-push.json");
    let notice = application.take_notices(&["rollout.failed"]).remove(0);
    let counted = ["total", "succeeded", "failed", "skipped"];
    assert_eq!(numbers(&notice, &counted), [6, 2, 2, 2], "{notice}");
    let faults = notice["failures"].as_array().unwrap();
    assert!(faults.iter().all(|fault| fault["account"] == "222222222222" && fault["outcome"] == "failed"), "{notice}");
    let reason = faults[0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship"),
        "{reason}"
    );
    let skipped = notice["skipped"].as_array().unwrap();
    assert!(
        skipped.iter().all(|fault| fault["account"] == "333333333333" && fault["outcome"] == "skipped"),
        "{notice}"
    );
    assert!(notice["next"].as_str().unwrap().contains("retries: retry 1 of 3"), "{notice}");
    assert!(notice["groups"].to_string().contains("framework/prerequisites/execution-role.yaml"), "{notice}");

    // The author sees the same in a comment on the commit.
    let comments = || application.cloud.comments(&application.cloud.options().repository);
    let said = comments();
    assert_eq!((said.len(), &said[0].0), (1, &commit), "{said:?}");
    let text = said[0].1.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["2 of 6 instances", "222222222222", "333333333333", "AWSCloudFormationStackSetExecutionRole"] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }

    // A quick check does not retry; the full reconciliation does, and succeeds once the role exists. The suspended
    // account stays in the notice.
    assert_eq!(deploy.answer(&event("schedule-light.json")), failures(&[]));
    assert_eq!(deploy.changes(), Vec::<String>::new());
    application.cloud.set_execution_role("222222222222", true);
    let changes = converge(&mut deploy, "schedule-full.json");
    assert_eq!(stack_set_calls(&changes), ["UpdateStackInstances"], "{changes:?}");
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    assert_eq!(numbers(&notice, &counted), [6, 4, 0, 2], "{notice}");
    assert_eq!(comments().len(), 2);

    // Under another name: the old framework is kept, with one notice, until the policy allows its removal.
    let renamed = |top: &str| policy("backup-next", &three("us-east-1"), "", top);
    push(&application, "Another name", &renamed(""));
    converge(&mut deploy, "codecommit-push.json");
    let notices = application.take_notices(&["rollout.succeeded", "violation.digest"]);
    let warning = notices.iter().find(|notice| notice["kind"] == "violation.digest").unwrap();
    assert!(warning.to_string().contains("no longer declares the framework `backup-compliance`"), "{warning}");
    assert_eq!(application.instances().len(), 6);
    push(&application, "Clean up", &renamed("removeUndeclared: true\n"));
    let changes = converge(&mut deploy, "codecommit-push.json");
    let calls = stack_set_calls(&changes);
    assert_eq!(calls.last(), Some(&"DeleteStackSet"), "{calls:?}");
    assert!(calls.iter().rev().skip(1).all(|call| *call == "DeleteStackInstances"), "{calls:?}");
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    assert_eq!((&notice["stackSet"], &notice["removed"]), (&json!(STACK_SET), &json!(true)), "{notice}");
    assert_eq!(numbers(&notice, &["retained"]), [2], "{notice}");
    let let_go: Vec<&str> =
        notice["retained"].as_array().unwrap().iter().filter_map(|at| at["account"].as_str()).collect();
    assert_eq!(let_go, ["333333333333"; 2], "a suspended account keeps its stack, with a notice");
    let gone = application.client.query("cloudformation", "DescribeStackSet", &[("StackSetName", STACK_SET)]);
    assert!(gone.unwrap_err().to_string().contains("StackSetNotFoundException"));
    deploy.stop();
    application.stop();
}

/// The stacks of the StackSet's instances.
fn stacks(application: &DeployedApplication) -> Vec<String> {
    let listed =
        application.client.query("cloudformation", "ListStackInstances", &[("StackSetName", STACK_SET)]).unwrap();
    wire::xml_elements(&listed, "StackId").into_iter().map(str::to_owned).collect()
}

#[test]
fn foreign_stack_set_is_adopted_if_policy_allows() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    let create = [
        ("StackSetName", STACK_SET),
        ("TemplateBody", FRAMEWORK),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "backup"),
    ];
    application.client.query("cloudformation", "CreateStackSet", &create).unwrap();
    let place = [
        ("StackSetName", STACK_SET),
        ("Accounts.member.1", "111111111111"),
        ("Regions.member.1", "us-east-1"),
        ("Regions.member.2", "sa-east-1"),
    ];
    application.client.query("cloudformation", "CreateStackInstances", &place).unwrap();
    let before = stacks(&application);
    assert_eq!(before.len(), 2);

    push(&application, "Ours", &policy(STACK_SET, &three("us-east-1"), "", ""));
    assert!(stack_set_calls(&converge(&mut deploy, "codecommit-push.json")).is_empty());
    let notice = application.take_notices(&["policy.rejected"]).remove(0);
    assert!(notice["diagnostics"][0]["help"].as_str().unwrap().contains("adopt: true"), "{notice}");
    assert_eq!(stacks(&application), before);

    push(&application, "Ours, really", &policy(STACK_SET, &three("us-east-1"), "    adopt: true\n", ""));
    let changes = converge(&mut deploy, "codecommit-push.json");
    let calls = stack_set_calls(&changes);
    println!("| adoption | {} |", calls.join(" "));
    assert_eq!(calls.iter().filter(|call| **call == "DeleteStackInstances").count(), 1, "{calls:?}");
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    assert_eq!(numbers(&notice, &["total", "succeeded", "created", "deleted"]), [3, 3, 2, 1], "{notice}");
    let wanted: Vec<&String> = before.iter().filter(|stack| stack.contains(":us-east-1:")).collect();
    assert!(stacks(&application).contains(wanted[0]), "the instance that the policy wants has kept its stack");
    let described =
        application.client.query("cloudformation", "DescribeStackSet", &[("StackSetName", STACK_SET)]).unwrap();
    for kept in ["<Key>team</Key>", "<Key>backup-compliance:policy</Key>", "<Active>true</Active>"] {
        assert!(described.contains(kept), "{kept}: {described}");
    }
    deploy.stop();
    application.stop();
}

#[test]
fn organizational_units_are_deployed_and_tracked() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    let unit = |id: &str| {
        policy(
            STACK_SET,
            &format!("{{ organizationalUnits: [{id}], regions: [us-east-1], parameters: {{ Days: \"90\" }} }}"),
            "",
            "",
        )
    };
    push(&application, "No such unit", &unit("ou-sbox-nowhere1"));
    assert!(stack_set_calls(&converge(&mut deploy, "codecommit-push.json")).is_empty());
    let notice = application.take_notices(&["policy.rejected"]).remove(0);
    assert!(
        notice["diagnostics"][0]["message"]
            .as_str()
            .unwrap()
            .contains("the organizational unit `ou-sbox-nowhere1` is not in this organization"),
        "{notice}"
    );

    push(&application, "The workloads", &unit(WORKLOADS));
    let changes = converge(&mut deploy, "codecommit-push.json");
    assert_eq!(stack_set_calls(&changes), ["CreateStackSet", "CreateStackInstances"], "{changes:?}");
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    assert_eq!(numbers(&notice, &["total", "succeeded", "created"]), [3, 3, 3], "{notice}");

    // AWS deploys to a new account itself, without the parameters of the target: the next full reconciliation sets
    // them.
    application.cloud.add_account("444444444444", "newcomer");
    application.cloud.move_account("444444444444", WORKLOADS);
    let days = || {
        let place = [
            ("StackSetName", STACK_SET),
            ("StackInstanceAccount", "444444444444"),
            ("StackInstanceRegion", "us-east-1"),
        ];
        let instance = application.client.query("cloudformation", "DescribeStackInstance", &place).unwrap();
        wire::xml_text(&instance, "ParameterValue")
    };
    assert_eq!((application.instances().len(), days()), (4, None));
    assert_eq!(deploy.answer(&event("stackset-operation.json")), failures(&[]));
    assert_eq!(deploy.changes(), Vec::<String>::new(), "changes by StackSets themselves cause no full reconciliation");
    let changes = converge(&mut deploy, "schedule-full.json");
    assert_eq!(stack_set_calls(&changes), ["UpdateStackInstances"], "{changes:?}");
    assert_eq!(days().as_deref(), Some("90"));
    let notice = application.take_notices(&["rollout.succeeded"]).remove(0);
    assert_eq!(numbers(&notice, &["total", "succeeded", "updated"]), [4, 4, 1], "{notice}");
    application.cloud.remove_account("444444444444");
    assert_eq!(application.instances().len(), 3);
    let changes = converge(&mut deploy, "schedule-full.json");
    assert!(stack_set_calls(&changes).is_empty(), "{changes:?}");
    application.take_notices(&[]);
    deploy.stop();
    application.stop();
}

#[test]
fn deletion_of_application_stops_rollout() {
    let application = DeployedApplication::start_with(Duration::from_secs(3));
    let mut deploy = application.function("deploy");
    let mut lifecycle = application.function("lifecycle");
    push(&application, "Three accounts", &policy(STACK_SET, &three("us-east-1"), "", ""));
    assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]));
    assert!(deploy.changes().contains(&"cloudformation:CreateStackInstances".to_owned()), "{:?}", deploy.changes());

    let server = Server::start(&[]);
    let mut request = event("lifecycle-delete.json");
    request["ResponseURL"] = json!(server.signed_url());
    lifecycle.answer(&request);
    deploy.answer(&json!({"source": "backup-compliance.lifecycle", "requestId": request["RequestId"]}));
    assert!(deploy.changes().contains(&"cloudformation:StopStackSetOperation".to_owned()), "{:?}", deploy.changes());
    let mut calls = Vec::new();
    application.wait_for("an answer to CloudFormation", || {
        assert_eq!(deploy.answer(&event("schedule-light.json")), failures(&[]));
        calls.extend(deploy.changes());
        Ok(wait::when(!server.received().is_empty(), || format!("none, after the calls {calls:?}")))
    });
    let answers = server.received();
    assert_eq!((answers.len(), &answers[0].json()["Status"]), (1, &json!("SUCCESS")), "{:?}", answers[0].json());
    assert_eq!(stack_set_calls(&calls), ["DeleteStackInstances", "DeleteStackSet"], "{calls:?}");
    deploy.stop();
    lifecycle.stop();
    application.stop();
}
