//! Tests of the emulators and of the corrections that the README lists, each on one local cloud.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr, reason = "a test")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use sandbox::client::CloudClient;
use sandbox::cloud::{LocalCloud, Options};
use sandbox::config::{RuleCompliance, RuleEvaluation};
use sandbox::http::HttpRequest;
use sandbox::organization::{ROOT, WORKLOADS};
use sandbox::tools::Tools;
use sandbox::wire;

const TEMPLATE: &str = "
Parameters:
  Days: {Type: Number, Default: 35}
  Bus: {Type: String, Default: ''}
Conditions:
  Sends: !Not [!Equals [!Ref Bus, '']]
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: policy
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters: [{ParameterName: requiredRetentionDays, ParameterValue: !Ref Days}]
        - !If [Sends, {ControlName: BACKUP_LAST_RECOVERY_POINT_CREATED}, !Ref AWS::NoValue]
Outputs:
  Arn: {Value: !GetAtt Framework.FrameworkArn}
";

fn start() -> LocalCloud {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tools = Tools::ensure(workspace, &mut |line| eprintln!("{line}")).unwrap();
    LocalCloud::start(&tools, Options::default()).unwrap()
}

/// Creates a FIFO queue that receives the events that match a rule of the default bus.
fn queue_of(client: &CloudClient, name: &str, pattern: &Value) -> String {
    let attributes = json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"});
    let ask = json!({"QueueName": format!("{name}.fifo"), "Attributes": attributes});
    let queue = client.json("sqs", "AmazonSQS.CreateQueue", &ask).unwrap();
    client.json("events", "AWSEvents.PutRule", &json!({"Name": name, "EventPattern": pattern.to_string()})).unwrap();
    let target = json!({
        "Id": "queue", "Arn": format!("arn:aws:sqs:us-east-1:000000000000:{name}.fifo"), "SqsParameters": {"MessageGroupId": "deploy"},
    });
    client.json("events", "AWSEvents.PutTargets", &json!({"Rule": name, "Targets": [target]})).unwrap();
    queue["QueueUrl"].as_str().unwrap().to_owned()
}

fn next_event(client: &CloudClient, queue: &str) -> Value {
    for _ in 0..10 {
        if let Some(body) = client.sqs_receive(queue, 2).unwrap().first() {
            return serde_json::from_str(body).unwrap();
        }
    }
    panic!("no event arrived within 20 s");
}

fn code_of(result: anyhow::Result<String>) -> String {
    result.unwrap_err().to_string().split(": ").nth(1).unwrap().to_owned()
}

#[test]
fn stack_sets_match_aws() {
    let cloud = start();
    let client = cloud.client();
    let cfn = |action: &str, parameters: &[(&str, &str)]| client.query("cloudformation", action, parameters);
    let queue = queue_of(&client, "operations", &json!({"source": ["aws.cloudformation"]}));
    let key = HttpRequest::new("PUT", "/templates");
    assert!(client.send("s3", key).unwrap().is_success());
    assert!(client.send("s3", HttpRequest::new("PUT", "/templates/a/t.yaml").body(TEMPLATE)).unwrap().is_success());

    let url = "https://templates.s3.us-east-1.amazonaws.com/a/t.yaml";
    cfn("CreateStackSet", &[("StackSetName", "s"), ("TemplateURL", url)]).unwrap();
    assert_eq!(
        code_of(cfn("CreateStackSet", &[("StackSetName", "s"), ("TemplateBody", "x")])),
        "NameAlreadyExistsException"
    );
    let described = cfn("DescribeStackSet", &[("StackSetName", "s")]).unwrap();
    assert_eq!(wire::xml_text(&described, "TemplateBody").as_deref(), Some(TEMPLATE.trim()));

    cloud.fail_instance("222222222222", "eu-west-1", "role not found", 1);
    let create = [
        ("StackSetName", "s"),
        ("OperationId", "create-1"),
        ("Accounts.member.1", "111111111111"),
        ("Accounts.member.2", "222222222222"),
        ("Regions.member.1", "eu-west-1"),
        ("ParameterOverrides.member.1.ParameterKey", "Days"),
        ("ParameterOverrides.member.1.ParameterValue", "90"),
    ];
    cfn("CreateStackInstances", &create).unwrap();
    assert_eq!(code_of(cfn("CreateStackInstances", &create)), "OperationIdAlreadyExistsException");
    let event = next_event(&client, &queue);
    assert_eq!(event["detail"]["stack-set-operation-id"], "create-1");
    assert_eq!(event["detail"]["status-details"]["status"], "FAILED");
    let results = cfn("ListStackSetOperationResults", &[("StackSetName", "s"), ("OperationId", "create-1")]).unwrap();
    assert_eq!(wire::xml_text(&results, "StatusReason").as_deref(), Some("role not found"));

    let frameworks = cloud.frameworks("111111111111", "eu-west-1").unwrap();
    assert_eq!(frameworks[0]["FrameworkControls"][1]["ControlInputParameters"][0]["ParameterValue"], "90");
    assert_eq!(frameworks[0]["FrameworkControls"].as_array().map(Vec::len), Some(2));
    assert_eq!(cloud.frameworks("222222222222", "eu-west-1").unwrap(), Vec::<Value>::new());

    let update = [
        ("StackSetName", "s"),
        ("OperationId", "update-1"),
        ("UsePreviousTemplate", "true"),
        ("Parameters.member.1.ParameterKey", "Bus"),
        ("Parameters.member.1.ParameterValue", "arn:bus"),
    ];
    cfn("UpdateStackSet", &update).unwrap();
    assert_eq!(next_event(&client, &queue)["detail"]["status-details"]["status"], "SUCCEEDED");
    let frameworks =
        client.in_account("222222222222", "eu-west-1").rest("backup", "GET", "/audit/frameworks/policy", None).unwrap();
    assert_eq!(frameworks["FrameworkControls"].as_array().map(Vec::len), Some(3));

    delete_stack_set(&client, &queue);
    assert_eq!(cloud.stop(), []);
}

/// Deletes the instances of the StackSet `s`, and the StackSet.
fn delete_stack_set(client: &CloudClient, queue: &str) {
    let cfn = |action: &str, parameters: &[(&str, &str)]| client.query("cloudformation", action, parameters);
    let delete = [
        ("StackSetName", "s"),
        ("OperationId", "delete-1"),
        ("Accounts.member.1", "111111111111"),
        ("Accounts.member.2", "222222222222"),
        ("Regions.member.1", "eu-west-1"),
        ("RetainStacks", "false"),
    ];
    cfn("DeleteStackInstances", &delete).unwrap();
    assert_eq!(code_of(cfn("DeleteStackSet", &[("StackSetName", "s")])), "OperationInProgressException");
    next_event(client, queue);
    cfn("DeleteStackSet", &[("StackSetName", "s")]).unwrap();
    assert_eq!(code_of(cfn("DescribeStackSet", &[("StackSetName", "s")])), "StackSetNotFoundException");
}

#[test]
fn stack_sets_auto_deploy_to_accounts_of_units() {
    let cloud = start();
    let client = cloud.client();
    let cfn = |action: &str, parameters: &[(&str, &str)]| client.query("cloudformation", action, parameters);
    let queue = queue_of(&client, "operations", &json!({"source": ["aws.cloudformation"]}));
    let create = [
        ("StackSetName", "s"),
        ("TemplateBody", TEMPLATE),
        ("PermissionModel", "SERVICE_MANAGED"),
        ("AutoDeployment.Enabled", "true"),
        ("AutoDeployment.RetainStacksOnAccountRemoval", "false"),
        ("ManagedExecution.Active", "true"),
    ];
    assert_eq!(code_of(cfn("CreateStackSet", &create[..3])), "ValidationError", "AutoDeployment is missing");
    cfn("CreateStackSet", &create).unwrap();
    let unit = "DeploymentTargets.OrganizationalUnitIds.member.1";
    let whole = [("StackSetName", "s"), (unit, WORKLOADS), ("Regions.member.1", "eu-west-1")];
    let overrides =
        [("ParameterOverrides.member.1.ParameterKey", "Days"), ("ParameterOverrides.member.1.ParameterValue", "90")];
    assert_eq!(
        code_of(cfn("CreateStackInstances", &[("StackSetName", "s"), ("Accounts.member.1", "111111111111"), whole[2]])),
        "ValidationError"
    );
    cfn("CreateStackInstances", &[&whole[..], &overrides[..]].concat()).unwrap();
    next_event(&client, &queue);
    let days = |account: &str| {
        let frameworks = cloud.frameworks(account, "eu-west-1").unwrap();
        let control = frameworks.first()?["FrameworkControls"].get(1)?.clone();
        control["ControlInputParameters"][0]["ParameterValue"].as_str().map(str::to_owned)
    };
    assert_eq!(days("333333333333").as_deref(), Some("90"));
    let targets = cfn("ListStackSetAutoDeploymentTargets", &[("StackSetName", "s")]).unwrap();
    assert_eq!(wire::xml_text(&targets, "OrganizationalUnitId").as_deref(), Some(WORKLOADS));

    cloud.add_account("444444444444", "newcomer");
    assert_eq!(days("444444444444"), None, "the account is not in a unit yet");
    cloud.move_account("444444444444", WORKLOADS);
    let event = next_event(&client, &queue);
    assert_eq!(event["detail"]["status-details"]["status"], "SUCCEEDED");
    assert_eq!(days("444444444444").as_deref(), Some("35"), "without the overrides of its unit");
    cloud.move_account("444444444444", ROOT);
    next_event(&client, &queue);
    assert_eq!(days("444444444444"), None);
    assert_eq!(cloud.stop(), []);
}

#[test]
fn push_sends_event_and_stop_removes_everything() {
    let cloud = start();
    let client = cloud.client();
    let queue =
        queue_of(&client, "pushes", &json!({"source": ["aws.codecommit"], "detail": {"referenceName": ["main"]}}));
    let work = cloud.directory().join("tmp/work");
    std::fs::create_dir_all(&work).unwrap();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=Mary", "-c", "user.email=mary@example.com"];
        assert!(Command::new("git").current_dir(&work).args(identity).args(arguments).status().unwrap().success());
    };
    git(&["init", "--quiet", "-b", "main"]);
    git(&["commit", "--quiet", "--allow-empty", "-m", "first"]);
    git(&["push", "--quiet", cloud.repository_path().to_str().unwrap(), "main", "main:other"]);
    let event = next_event(&client, &queue);
    assert_eq!(
        (&event["detail"]["event"], &event["detail"]["referenceName"]),
        (&json!("referenceCreated"), &json!("main"))
    );
    let ask = json!({"repositoryName": cloud.options().repository, "branchName": "main"});
    let branch = client.json("codecommit", "CodeCommit_20150413.GetBranch", &ask).unwrap();
    assert_eq!(branch["branch"]["commitId"], event["detail"]["commitId"]);

    let mark = cloud.journal().mark();
    cloud.fail_next("codecommit", "GetBranch", 400, "ThrottlingException", "slow down", 1);
    let error = client.json("codecommit", "CodeCommit_20150413.GetBranch", &ask).unwrap_err().to_string();
    assert!(error.contains("ThrottlingException: slow down"), "{error}");
    assert!(client.json("codecommit", "CodeCommit_20150413.GetBranch", &ask).is_ok());
    let journal = cloud.journal().since(mark);
    assert_eq!(journal.iter().map(|entry| entry.status).collect::<Vec<_>>(), [400, 200]);
    assert!(journal.iter().all(|entry| !entry.mutating && !entry.from_function && entry.who == "test"));

    assert!(cloud.deliver("arn:aws:events:us-east-1:000000000000:event-bus/none", &event).is_err());
    assert!(cloud.running().len() >= 2);
    let directory = cloud.directory().to_owned();
    assert_eq!(cloud.stop(), []);
    assert!(!directory.exists());
}

#[test]
fn services_of_report_and_sweep_answer() {
    let cloud = start();
    let client = cloud.client();
    let queue = queue_of(&client, "results", &json!({"source": ["aws.config"]}));
    let volume = RuleEvaluation {
        account: "222222222222".into(),
        region: "eu-west-1".into(),
        control: "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN".into(),
        resource_type: "AWS::EC2::Volume".into(),
        resource_id: "vol-1".into(),
        compliance: RuleCompliance::NonCompliant,
        at: None,
        annotation: Some("in no plan".into()),
    };
    let event = cloud.evaluate(&volume).unwrap();
    cloud.deliver("default", &event).unwrap();
    assert_eq!(next_event(&client, &queue), event);

    // Credentials of a role in a member account belong to that account, in Config and in all other services.
    let assume = |account: &str| {
        let role = format!("arn:aws:iam::{account}:role/reader");
        client.query("sts", "AssumeRole", &[("RoleArn", &role), ("RoleSessionName", "sweep")])
    };
    let key = wire::xml_text(&assume("222222222222").unwrap(), "AccessKeyId").unwrap();
    let member = client.in_account(&key, "eu-west-1");
    let whoami = member.query("sts", "GetCallerIdentity", &[]).unwrap();
    assert_eq!(wire::xml_text(&whoami, "Account").as_deref(), Some("222222222222"));
    let rules = member.json("config", "StarlingDoveService.DescribeConfigRules", &json!({})).unwrap();
    assert_eq!(rules["ConfigRules"][0]["ConfigRuleName"], event["detail"]["configRuleName"]);
    let central = client.json("config", "StarlingDoveService.DescribeConfigRules", &json!({})).unwrap();
    assert_eq!(central["ConfigRules"], json!([]));
    cloud.set_assume_role_allowed("222222222222", false);
    assert_eq!(code_of(assume("222222222222")), "AccessDenied");
    assert_eq!(code_of(assume("999999999999")), "AccessDenied");

    let mark = cloud.journal().mark();
    let accounts = client.json("organizations", "AWSOrganizationsV20161128.ListAccounts", &json!({})).unwrap();
    assert_eq!(accounts["Accounts"].as_array().map(Vec::len), Some(4));
    let error = client.rest("securityhub", "POST", "/findings/import", Some(&json!({"Findings": []}))).unwrap_err();
    assert!(error.to_string().contains("InvalidInputException"), "{error}");
    let counts = cloud.journal().counts(mark, cloud.journal().mark(), None);
    let expected = [("organizations:ListAccounts".to_owned(), 1), ("securityhub:BatchImportFindings".to_owned(), 1)];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);

    // Delayed messages are neither visible nor in flight.
    let created = client.json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": "later"})).unwrap();
    let later = created["QueueUrl"].as_str().unwrap();
    let send = json!({"QueueUrl": later, "MessageBody": "x", "DelaySeconds": 2});
    client.json("sqs", "AmazonSQS.SendMessage", &send).unwrap();
    assert_eq!((client.sqs_depth(later).unwrap(), client.sqs_delayed(later).unwrap()), ((0, 0), 1));
    assert_eq!(client.sqs_receive(later, 5).unwrap(), ["x"]);

    // A custom event on the default bus.
    let mine = queue_of(&client, "mine", &json!({"source": ["backup-compliance"]}));
    let entry = json!({"Source": "backup-compliance", "DetailType": "Backup Compliance Violation Opened", "Detail": "{\"a\":1}"});
    let put = client.json("events", "AWSEvents.PutEvents", &json!({"Entries": [entry]})).unwrap();
    assert_eq!(put["FailedEntryCount"], 0);
    assert_eq!(next_event(&client, &mine)["detail"], json!({"a": 1}));
    assert_eq!(cloud.stop(), []);
}

#[test]
fn deliver_all_sends_a_flood_to_the_queue() {
    let cloud = start();
    let client = cloud.client();
    let created = client.json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": "flood"})).unwrap();
    let queue = created["QueueUrl"].as_str().unwrap();
    let pattern = json!({"source": ["aws.config"], "account": ["111111111111"]}).to_string();
    client.json("events", "AWSEvents.PutRule", &json!({"Name": "flood", "EventPattern": pattern})).unwrap();
    let target = json!({"Id": "queue", "Arn": "arn:aws:sqs:us-east-1:000000000000:flood"});
    client.json("events", "AWSEvents.PutTargets", &json!({"Rule": "flood", "Targets": [target]})).unwrap();
    let find = |account: &str, id: usize| {
        cloud.evaluate(&RuleEvaluation {
            account: account.into(),
            region: "us-east-1".into(),
            control: "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN".into(),
            resource_type: "AWS::EC2::Volume".into(),
            resource_id: format!("vol-{id}"),
            compliance: RuleCompliance::NonCompliant,
            at: None,
            annotation: None,
        })
    };
    let mut events: Vec<Value> = (0..25).filter_map(|id| find("111111111111", id)).collect();
    events.extend((0..3).filter_map(|id| find("222222222222", id)));
    assert_eq!(cloud.deliver_all("default", &events).unwrap(), ["flood"]);
    assert_eq!(client.sqs_depth(queue).unwrap(), (25, 0));
    assert_eq!(cloud.deliver_all("default", &events[25..]).unwrap(), Vec::<String>::new());
    let rules = client
        .json(
            "config",
            "StarlingDoveService.DescribeAggregateComplianceByConfigRules",
            &json!({"ConfigurationAggregatorName": "organization", "Filters": {"AccountId": "222222222222"}}),
        )
        .unwrap();
    let compliance = &rules["AggregateComplianceByConfigRules"][0]["Compliance"];
    assert_eq!(compliance["ComplianceContributorCount"]["CappedCount"], 3);
    assert_eq!(cloud.stop(), []);
}
