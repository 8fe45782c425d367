//! `backup-compliance inventory` against the local cloud, and `evaluate` of the inventory.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use runtime_api::host_environment;
use sandbox::cloud::{LocalCloud, Options};
use sandbox::config::{AGGREGATOR, RecordedResource};
use sandbox::member_services::MemberData;
use sandbox::tools::Tools;
use sandbox::wait;

use crate::binaries::{program, workspace};

struct InventoryOutput {
    status: Option<i32>,
    out: String,
    err: String,
}

fn command(cloud: &LocalCloud, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("backup-compliance", &cloud.directory().join("tmp/cli")));
    command.args(arguments).current_dir(folder).env_clear().envs(host_environment());
    command.envs(cloud.environment()).env("HOME", "/nonexistent");
    command
}

fn run(cloud: &LocalCloud, folder: &Path, arguments: &[&str]) -> InventoryOutput {
    ran(&command(cloud, folder, arguments).output().unwrap())
}

fn ran(output: &Output) -> InventoryOutput {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    InventoryOutput { status: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The plan of account 222222222222 selects resources with the tag `backup=daily`, which neither the cluster `orders`
/// nor the table `carts` has.
fn daily() -> MemberData {
    MemberData {
        plans: vec![json!({
            "BackupPlanId": "p-1",
            "BackupPlan": {"BackupPlanName": "daily", "Rules": [{
                "RuleName": "daily", "ScheduleExpression": "cron(0 3 * * ? *)", "TargetBackupVaultName": "daily",
                "Lifecycle": {"DeleteAfterDays": 35},
            }]},
            "Selections": [{"SelectionId": "s-1", "BackupSelection": {
                "SelectionName": "by-tag", "IamRoleArn": "arn:aws:iam::222222222222:role/backup",
                "ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "backup", "ConditionValue": "daily"}],
            }}],
        })],
        vaults: vec![json!({"BackupVaultName": "daily"})],
        ..MemberData::default()
    }
}

fn create_stack(cloud: &LocalCloud) {
    let template = json!({
        "Parameters": {"ConfigAggregatorName": {"Type": "String"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "of-the-stack"}}},
        "Outputs": {"Topic": {"Value": {"Ref": "Topic"}}},
    });
    let parameters = [
        ("StackName", "backup-compliance"),
        ("TemplateBody", &template.to_string()),
        ("Parameters.member.1.ParameterKey", "ConfigAggregatorName"),
        ("Parameters.member.1.ParameterValue", AGGREGATOR),
    ];
    let client = cloud.client();
    client.query("cloudformation", "CreateStack", &parameters).unwrap();
    wait::until("a stack with 1 output", || {
        let outputs = client.stack_outputs("backup-compliance");
        Ok(wait::when(outputs.as_ref().is_ok_and(|outputs| outputs.len() == 1), || format!("{outputs:?}")))
    })
    .unwrap();
}

/// Long because a cloud is started and filled once.
#[test]
fn inventory_is_read_and_evaluated() {
    let tools = Tools::ensure(&workspace(), &mut |line| println!("{line}")).unwrap();
    let cloud = LocalCloud::start(&tools, Options::default()).unwrap();
    let folder = cloud.directory().join("tmp/work");
    std::fs::create_dir_all(&folder).unwrap();
    cloud.member_services().put("222222222222", "eu-west-1", daily());
    let framework = workspace().join("framework/framework.yaml");
    let framework = framework.to_str().unwrap();
    let inventory = ["inventory", "--aggregator", AGGREGATOR, "--output", "inventory.json"];
    let judge = || {
        let judged = run(
            &cloud,
            &folder,
            &["evaluate", "--format", "json", "--all", "--framework", framework, "inventory.json"],
        );
        let document: Value = serde_json::from_str(&judged.out).unwrap_or_else(|_| panic!("{}", judged.err));
        (judged.status, document)
    };

    let read = run(&cloud, &folder, &inventory);
    assert_eq!((read.status, read.out.as_str()), (Some(0), ""), "{}", read.err);
    for said in
        ["in 3 accounts and Regions", "AWS::RDS::DBCluster", "1 backup plan, 1 vault", "written to inventory.json"]
    {
        assert!(read.err.contains(said), "`{said}` is missing:\n{}", read.err);
    }
    assert!(!folder.join("inventory.json.partial").exists());
    let (status, judged) = judge();
    assert_eq!(status, Some(1), "{judged}");
    let text = judged.to_string();
    assert!(text.contains("orders") && text.contains("by-tag"), "the nearest selection is named: {text}");

    // With the tag, or a plan, on the cluster, the table and the others, the first control has no findings.
    let mut resources = cloud.config().resources();
    for resource in &mut resources {
        resource.tags.insert("backup".to_owned(), "daily".to_owned());
        cloud.add_resource(resource.clone());
    }
    for (account, region) in [("111111111111", "us-east-1"), ("333333333333", "us-east-1")] {
        cloud.member_services().put(account, region, daily());
    }
    let read = run(&cloud, &folder, &inventory);
    assert_eq!(read.status, Some(0), "{}", read.err);
    let covered = run(
        &cloud,
        &folder,
        &[
            "evaluate",
            "--control",
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            "--strict",
            "--framework",
            framework,
            "inventory.json",
        ],
    );
    assert_eq!(covered.status, Some(0), "{}{}", covered.out, covered.err);

    // An account that denies access: all dependent results are undecided, with advice.
    cloud.set_assume_role_allowed("333333333333", false);
    let read = run(&cloud, &folder, &[&inventory[..], &["--format", "json"]].concat());
    assert_eq!(read.status, Some(1), "{}", read.err);
    let summary: Value = serde_json::from_str(&read.out).unwrap();
    assert_eq!((&summary["complete"], &summary["locations"]["complete"]), (&json!(false), &json!(2)), "{summary}");
    assert_eq!(summary["unread"][0]["reason"], "noRole", "{summary}");
    assert!(summary["unread"][0]["fix"].as_str().unwrap().contains("inventory-role.yaml"), "{summary}");
    let (_, judged) = judge();
    assert!(judged.to_string().contains("sts:AssumeRole"), "{judged}");
    cloud.set_assume_role_allowed("333333333333", true);

    // To standard output, with filters, and from the aggregator only.
    let narrow = ["--in-account", "222222222222", "--in-region", "eu-west-1"];
    let read = run(&cloud, &folder, &[&["inventory", "--aggregator", AGGREGATOR], &narrow[..]].concat());
    assert_eq!(read.status, Some(0), "{}", read.err);
    let document: Value = serde_json::from_str(&read.out).unwrap();
    assert_eq!(document["locations"].as_array().unwrap().len(), 1);
    let mark = cloud.journal().mark();
    let read = run(&cloud, &folder, &["inventory", "--aggregator", AGGREGATOR, "--aggregator-only"]);
    assert_eq!(read.status, Some(1), "{}", read.err);
    assert!(cloud.journal().since(mark).iter().all(|call| call.service == "config"));
    assert!(read.err.contains("run without --aggregator-only"), "{}", read.err);

    // The aggregator's name is a parameter of the stack.
    let alone = run(&cloud, &folder, &["inventory"]);
    assert_eq!(alone.status, Some(2), "{}", alone.err);
    assert!(alone.err.starts_with("reading the stack `backup-compliance`\nerror: the stack"), "{}", alone.err);
    create_stack(&cloud);
    let read = run(&cloud, &folder, &["inventory", "--in-account", "222222222222", "--in-region", "eu-west-1"]);
    assert_eq!(read.status, Some(0), "{}", read.err);

    // No source is readable.
    let wrong = run(&cloud, &folder, &["inventory", "--aggregator", "missing", "--output", "other.json"]);
    assert_eq!(wrong.status, Some(2), "{}", wrong.err);
    assert!(wrong.err.starts_with("querying the aggregator `missing`: 0 of 9 queries\n"), "{}", wrong.err);
    assert!(
        wrong.err.lines().last().unwrap().starts_with("error: the aggregator `missing` does not exist"),
        "{}",
        wrong.err
    );
    assert!(!folder.join("other.json").exists() && !folder.join("other.json.partial").exists());
    let wrong = run(&cloud, &folder, &["inventory", "--output", "missing/other.json"]);
    assert!(wrong.status == Some(2) && wrong.err.contains("the folder `missing`"), "{}", wrong.err);
    assert_eq!(cloud.stop(), Vec::new(), "a process is left behind");
}

/// Starts the program, waits until this number of lines is kept, and stops it with a signal.
fn broken_off(cloud: &LocalCloud, folder: &Path, arguments: &[&str], lines: usize, signal: &str) -> InventoryOutput {
    let mut command = command(cloud, folder, arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let kept = || std::fs::read_to_string(folder.join("inventory.json.partial")).map_or(0, |text| text.lines().count());
    wait::until(&format!("{lines} lines in the partial file"), || {
        let kept = kept();
        Ok(wait::when(kept >= lines, || format!("{kept}")))
    })
    .unwrap();
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success(), "it was done before it could be broken off");
    ran(&child.wait_with_output().unwrap())
}

#[test]
fn interrupted_inventory_resumes() {
    let tools = Tools::ensure(&workspace(), &mut |line| println!("{line}")).unwrap();
    let cloud = LocalCloud::start(&tools, Options::default()).unwrap();
    let folder = cloud.directory().join("tmp/work");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..40 {
        let account = format!("4444555566{number:02}");
        cloud.add_account(&account, "one of many");
        let mut resource: RecordedResource = cloud.config().resources().remove(0);
        resource.arn = format!("arn:aws:dynamodb:eu-west-1:{account}:table/t");
        resource.resource_type = "AWS::DynamoDB::Table".to_owned();
        (resource.account, resource.region) = (account.clone(), "eu-west-1".to_owned());
        cloud.add_resource(resource);
        cloud.member_services().put(&account, "eu-west-1", daily());
    }
    let inventory = ["inventory", "--aggregator", AGGREGATOR, "--jobs", "2", "--output", "inventory.json"];
    let stopped = broken_off(&cloud, &folder, &inventory, 15, "-INT");
    assert_eq!(stopped.status, Some(2), "{}", stopped.err);
    assert!(stopped.err.contains("the same command resumes from `inventory.json.partial`"), "{}", stopped.err);
    let killed = broken_off(&cloud, &folder, &inventory, 25, "-KILL");
    assert_eq!(killed.status, None);
    assert!(!folder.join("inventory.json").exists());

    let other = run(&cloud, &folder, &[&inventory[..], &["--in-region", "eu-west-1"]].concat());
    assert!(
        other.status == Some(2) && other.err.contains("another aggregator, role, account or Region"),
        "{}",
        other.err
    );

    let mark = cloud.journal().mark();
    let done = run(&cloud, &folder, &inventory);
    assert_eq!(done.status, Some(0), "{}", done.err);
    assert!(done.err.contains("resuming `inventory.json.partial`"), "{}", done.err);
    let calls = cloud.journal().since(mark);
    let count = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
    assert_eq!(count("SelectAggregateResourceConfig"), 0, "the aggregator was done with");
    // At least 14 of 43 reads were kept: 25 lines without the first one and those of the aggregator's ten parts.
    assert!((1..=29).contains(&count("DescribeRegionSettings")), "{}", count("DescribeRegionSettings"));
    let read =
        |name: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap() };
    let mut gone_on = read("inventory.json");
    let whole = run(&cloud, &folder, &inventory);
    assert_eq!(whole.status, Some(0), "{}", whole.err);
    let mut whole = read("inventory.json");
    assert!(gone_on["asOf"].as_str() < whole["asOf"].as_str(), "as of the first part");
    (gone_on["asOf"], whole["asOf"]) = (Value::Null, Value::Null);
    assert_eq!(gone_on, whole);
    assert_eq!(whole["locations"].as_array().unwrap().len(), 43);
    assert_eq!(cloud.stop(), Vec::new(), "a process is left behind");
}
