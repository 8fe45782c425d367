//! One role per function, and no more in it than its function does.

use serde_json::{Value, json};

use crate::template::{Template, listed, texts};

const TEMPLATES: &[&str] = &[
    "template.yaml",
    "framework/framework.yaml",
    "framework/examples/five-controls/framework.yaml",
    "framework/prerequisites/administration-role.yaml",
    "framework/prerequisites/execution-role.yaml",
];

/// The statements of a role, as if every optional parameter had been given.
fn statements(template: &Template, role: &str) -> Vec<Value> {
    let properties = template.properties(role);
    assert!(properties.get("ManagedPolicyArns").is_none(), "{role}: a managed policy grants more than is needed");
    let policies = properties["Policies"].as_array().unwrap();
    policies
        .iter()
        .flat_map(|policy| template.resolve(&policy["PolicyDocument"]["Statement"]).as_array().unwrap().clone())
        .collect()
}

fn actions(template: &Template, role: &str) -> Vec<String> {
    let all = statements(template, role);
    all.iter().flat_map(|statement| texts(&statement["Action"])).map(str::to_owned).collect()
}

#[test]
fn no_two_functions_share_a_role() {
    let template = Template::application();
    let mut roles: Vec<String> = template
        .of_type("AWS::Serverless::Function")
        .iter()
        .map(|id| template.properties(id)["Role"].to_string())
        .collect();
    roles.sort();
    let all = roles.len();
    roles.dedup();
    assert_eq!(roles.len(), all);
}

#[test]
fn roles_name_their_actions_and_their_resources() {
    let template = Template::application();
    for role in template.of_type("AWS::IAM::Role") {
        assert!(template.properties(role).get("RoleName").is_none(), "{role}: CAPABILITY_IAM is all we ask for");
        for statement in statements(&template, role) {
            assert_eq!(statement["Effect"], "Allow", "{role}");
            for action in texts(&statement["Action"]) {
                assert!(!action.contains('*'), "{role}: {action}");
            }
            for resource in listed(&statement["Resource"]) {
                assert_ne!(resource, "*", "{role}: {statement}");
            }
        }
    }
}

#[test]
fn every_star_for_a_resource_says_why() {
    for path in TEMPLATES {
        let template = Template::read(path);
        let mut before = "";
        for line in template.text().lines() {
            let stars = line.contains("Resource: \"*\"") || line.contains("Resource: '*'") || line.trim() == "- \"*\"";
            let said = line.contains('#') || before.trim_start().starts_with('#');
            assert!(!stars || said, "{path}: {line}");
            before = line;
        }
    }
}

#[test]
fn the_administration_role_is_handed_to_cloudformation_only() {
    let template = Template::application();
    for role in template.of_type("AWS::IAM::Role") {
        for statement in statements(&template, role) {
            let iam: Vec<&str> =
                texts(&statement["Action"]).into_iter().filter(|action| action.starts_with("iam:")).collect();
            if iam.is_empty() {
                continue;
            }
            assert_eq!(role, "DeployRole");
            let only = "arn:aws:iam::000000000000:role/AWSCloudFormationStackSetAdministrationRole";
            assert_eq!(statement["Resource"], only);
            if iam.contains(&"iam:PassRole") {
                let to = json!({"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}});
                assert_eq!(statement["Condition"], to);
            }
        }
    }
}

/// Who may touch which records: the first part of a record's key decides.
#[test]
fn records_are_kept_apart() {
    let template = Template::application();
    let violations = || json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["violation#*"]}});
    let frameworks = || json!({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["framework"]}});
    let expected = [
        (
            "DeployRole",
            vec![
                json!({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["rollout", "request", "framework", "policy"]}}),
            ],
        ),
        ("LifecycleRole", vec![json!({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["request"]}})]),
        ("ReportRole", vec![frameworks(), violations(), Value::Null]),
        ("SweepRole", vec![frameworks(), violations(), Value::Null]),
    ];
    for (role, conditions) in expected {
        let table: Vec<Value> = statements(&template, role)
            .into_iter()
            .filter(|statement| texts(&statement["Action"]).iter().any(|action| action.starts_with("dynamodb:")))
            .collect();
        let found: Vec<&Value> =
            table.iter().map(|statement| statement.get("Condition").unwrap_or(&Value::Null)).collect();
        assert_eq!(found, Vec::from_iter(&conditions), "{role}");
        for statement in table {
            let table_itself = statement["Resource"] == json!({"Fn::GetAtt": ["StateTable", "Arn"]});
            // A condition on leading keys is met by a scan, which has none.
            assert!(!texts(&statement["Action"]).contains(&"dynamodb:Scan"), "{role}");
            assert_eq!(
                table_itself,
                statement.get("Condition").is_some(),
                "{role}: without a condition only the index"
            );
        }
    }
    for role in ["ReportRole", "SweepRole"] {
        let read_only = &statements(&template, role)[0];
        assert_eq!(texts(&read_only["Action"]), ["dynamodb:Query"], "{role}");
    }
}

#[test]
fn only_deploy_works_on_stack_sets_and_only_the_aggregator_is_asked() {
    let template = Template::application();
    for role in template.of_type("AWS::IAM::Role") {
        let actions = actions(&template, role);
        let any = |service: &str| actions.iter().any(|action| action.starts_with(service));
        assert_eq!(any("cloudformation:"), role == "DeployRole", "{role}");
        assert_eq!(any("codecommit:"), role == "DeployRole", "{role}");
        assert_eq!(any("s3:"), role == "DeployRole", "{role}");
        assert_eq!(any("config:"), ["ReportRole", "SweepRole"].contains(&role), "{role}");
        assert_eq!(any("sns:"), ["DeployRole", "ReportRole", "SweepRole"].contains(&role), "{role}");
        assert_eq!(any("lambda:"), role == "ScheduleRole", "{role}");
    }
    for statement in statements(&template, "DeployRole") {
        if texts(&statement["Action"]).iter().any(|action| action.starts_with("cloudformation:")) {
            let stack_sets = "arn:aws:cloudformation:us-east-1:000000000000:stackset/*";
            assert!(texts(&statement["Resource"]).contains(&stack_sets), "{statement}");
        }
    }
}

#[test]
fn queues_and_topic_admit_only_our_rules_and_alarms() {
    let template = Template::application();
    for id in template.of_type("AWS::SQS::QueuePolicy") {
        let allowed: Vec<&Value> = allowed(&template, id);
        assert_eq!(allowed.len(), 1, "{id}");
        assert_eq!(allowed[0]["Principal"], json!({"Service": "events.amazonaws.com"}), "{id}");
        assert_eq!(allowed[0]["Action"], "sqs:SendMessage", "{id}");
        for source in listed(&allowed[0]["Condition"]["ArnEquals"]["aws:SourceArn"]) {
            let rule = source["Fn::GetAtt"][0].as_str().unwrap();
            assert_eq!(template.resource(rule)["Type"], "AWS::Events::Rule", "{id}");
        }
    }
    let allowed = allowed(&template, "NotificationTopicPolicy");
    assert_eq!(allowed.len(), 1);
    assert_eq!(allowed[0]["Principal"], json!({"Service": "cloudwatch.amazonaws.com"}));
    assert_eq!(allowed[0]["Condition"], json!({"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}));
}

fn allowed<'template>(template: &'template Template, id: &str) -> Vec<&'template Value> {
    let statements = template.properties(id)["PolicyDocument"]["Statement"].as_array().unwrap();
    statements.iter().filter(|statement| statement["Effect"] == "Allow").collect()
}
