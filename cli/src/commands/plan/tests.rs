use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;
use serde_json::Value;

use app::events::{DeployTrigger, ReconcileScope};
use domain::rollout::Membership;
use framework::ids::{AccountId, UnitId};
use testkit::deploy::{EVENT_BUS, deploy};
use testkit::world::World;

use super::*;

const SCHEMA: &str = include_str!("../../../../schemas/plan.schema.json");
const TEMPLATE: &str = r#"Parameters:
  ComplianceEventBusArn: { Type: String, Default: "" }
  Days: { Type: String, Default: "35" }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters:
            - { ParameterName: requiredRetentionDays, ParameterValue: !Ref Days }
"#;
const ACCOUNTS: &str = r#"version: 1
frameworks:
  - name: alpha
    template: framework.yaml
    targets:
      - accounts: ["111111111111", "222222222222"]
        regions: [eu-west-1, us-east-1]
      - accounts: ["333333333333"]
        regions: [eu-west-1]
        parameters: { Days: "90" }
"#;
const UNITS: &str = r#"version: 1
removeUndeclared: true
frameworks:
  - name: beta
    template: framework.yaml
    targets:
      - organizationalUnits: [ou-abcd-11111111]
        excludedAccounts: ["333333333333"]
        regions: [eu-west-1]
"#;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: PlanArgs,
}

fn args(line: &str) -> PlanArgs {
    Line::try_parse_from(std::iter::once("plan").chain(line.split_whitespace())).unwrap().args
}

fn account(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

fn world() -> World {
    let world = World::new();
    let accounts = ["111111111111", "222222222222", "333333333333", "999999999999"].map(account);
    world.state().units = Membership {
        root: Some(UnitId::parse("r-abcd").unwrap()),
        management: Some(account("999999999999")),
        units: BTreeMap::from([(UnitId::parse("ou-abcd-11111111").unwrap(), BTreeSet::from(accounts))]),
        inactive: BTreeSet::new(),
    };
    world
}

fn push(world: &World, policy: &str, template: &str) {
    world.push("Policy", &[("backup-compliance.yaml", Some(policy)), ("framework.yaml", Some(template))]);
}

async fn roll_out(world: &World) {
    let deploy = deploy("policy", world, world);
    loop {
        deploy.handle(&[DeployTrigger::Push, DeployTrigger::Schedule(ReconcileScope::Full)]).await.unwrap();
        if world.end_operations() == 0 {
            return;
        }
    }
}

async fn planned(world: &World, only: Option<&str>) -> anyhow::Result<(PlannedState, Planned)> {
    let commit = world.state().head.clone().unwrap();
    let question = PlanRequest {
        commit: commit.clone(),
        policy_file: "backup-compliance.yaml".into(),
        owner: "policy@main".into(),
        event_bus_arn: Some(EVENT_BUS.into()),
        only: only.map(|name| StackSetName::parse(name).unwrap()),
    };
    let planner = Planner { repository: world.clone(), stack_sets: world.clone(), organization: world.clone() };
    let memory = app::deploy::ports::DeployStore::load_state(world).await.unwrap();
    let planned = ask(&planner, &question, Some(&memory)).await?;
    Ok((PlannedState { owner: question.owner, commit: Some(commit), notes: vec!["a note".into()] }, planned))
}

/// A push that changes the template, an account and overrides.
async fn changed() -> World {
    let world = world();
    push(&world, ACCOUNTS, TEMPLATE);
    roll_out(&world).await;
    let policy = ACCOUNTS.replace("\"222222222222\"", "\"444444444444\"").replace("\"90\"", "\"91\"");
    push(&world, &policy, &TEMPLATE.replace("\"35\"", "\"40\""));
    world
}

fn diagnostics(document: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn plan_json_of_each_kind_matches_schema() {
    let first = world();
    push(&first, UNITS, TEMPLATE);
    let changed = changed().await;
    let removal = self::world();
    push(&removal, ACCOUNTS, TEMPLATE);
    roll_out(&removal).await;
    push(&removal, UNITS, TEMPLATE);
    let left = self::world();
    push(&left, ACCOUNTS, TEMPLATE);
    roll_out(&left).await;
    push(&left, &UNITS.replace("removeUndeclared: true\n", ""), TEMPLATE);
    let wrong = self::world();
    push(&wrong, &ACCOUNTS.replace("333333333333", "3333"), TEMPLATE);
    for (case, world) in
        [("creation", first), ("change", changed), ("removal", removal), ("left", left), ("findings", wrong)]
    {
        let (subject, planned) = planned(&world, None).await.unwrap();
        let document = machine::json(&subject, &planned);
        assert_eq!(diagnostics(&document), Vec::<String>::new(), "{case}: {document:#}");
        match case {
            "findings" => assert_eq!(document["findings"][0]["line"], 8),
            "removal" => assert_eq!(document["undeclared"][0]["plan"]["instances"]["delete"], 5),
            "left" => assert_eq!(document["undeclared"][0]["action"], "left"),
            "change" => assert_eq!(document["frameworks"][0]["instances"]["update"], 3),
            _ => assert_eq!(document["frameworks"][0]["instances"]["create"], 2),
        }
        let mut invalid = document.clone();
        invalid["changes"] = "perhaps".into();
        assert!(!diagnostics(&invalid).is_empty(), "the schema accepts anything");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn plan_page_shows_changes_and_reasons() {
    let world = changed().await;
    let (subject, planned) = planned(&world, None).await.unwrap();
    insta::assert_snapshot!("plan_change", human::page(&subject, &planned, false, None));
    insta::assert_snapshot!("plan_change_all", human::page(&subject, &planned, true, None));
    for room in 60..130 {
        let page = human::page(&subject, &planned, false, Some(room));
        let table = page.lines().filter(|line| line.starts_with("  update") || line.starts_with("  create"));
        for line in table {
            assert!(console::measure_text_width(line) <= room, "{room}: {line}");
        }
    }
    roll_out(&world).await;
    let (subject, planned) = self::planned(&world, None).await.unwrap();
    assert!(human::page(&subject, &planned, false, None).contains("no changes: 5 unchanged\n"));
}

#[tokio::test(flavor = "current_thread")]
async fn plan_page_shows_skipped_accounts_and_findings() {
    let world = world();
    push(&world, UNITS, TEMPLATE);
    let (subject, planned) = planned(&world, None).await.unwrap();
    insta::assert_snapshot!("plan_units", human::page(&subject, &planned, false, None));
    push(&world, &UNITS.replace("ou-abcd-11111111", "ou-abcd-22222222"), TEMPLATE);
    let (subject, planned) = self::planned(&world, None).await.unwrap();
    let page = human::page(&subject, &planned, false, None);
    assert!(page.starts_with("backup-compliance.yaml:7:9: the organizational unit `ou-abcd-22222222`"), "{page}");
    assert!(page.contains("a push would be rejected: 1 finding\n"), "{page}");
}

#[tokio::test(flavor = "current_thread")]
async fn plan_of_one_framework_rejects_unknown_name() {
    let world = changed().await;
    let (_, planned) = planned(&world, Some("alpha")).await.unwrap();
    assert_eq!(planned.unwrap().frameworks.len(), 1);
    let error = self::planned(&world, Some("omega")).await.unwrap_err().to_string();
    assert_eq!(error, "the policy does not declare the framework `omega`; it declares alpha");
}

#[test]
fn options_override_stack_parameters() {
    let outputs = BTreeMap::from([("EventBusArn".to_owned(), EVENT_BUS.to_owned())]);
    let parameters = [("RepositoryName", "policy"), ("BranchName", "live"), ("PolicyFile", "a/b.yaml")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let outputs = cloud::StackOutputs { stack: "stack".to_owned(), outputs };
    let stack = ApplicationStack { outputs, parameters };
    let of = |line: &str, stack: Option<&ApplicationStack>| Followed::of(&args(line), stack);
    let followed = of("", Some(&stack)).unwrap();
    let owner = |followed: &Followed| app::deploy::owner(&followed.repository, &followed.branch);
    assert_eq!((owner(&followed).as_str(), followed.policy_file.as_str()), ("policy@live", "a/b.yaml"));
    assert_eq!(followed.event_bus.as_deref(), Some(EVENT_BUS));
    assert_eq!(owner(&of("--branch test", Some(&stack)).unwrap()), "policy@test");
    let alone = of("--repository other", None).unwrap();
    assert_eq!((owner(&alone).as_str(), alone.event_bus.as_deref()), ("other@main", None));
    let error = of("--stack gone", None).unwrap_err().to_string();
    assert!(
        error.contains("the stack `gone` of Backup Compliance does not exist") && error.contains("--repository"),
        "{error}"
    );
}
