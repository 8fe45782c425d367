//! The interface of the stack for other tools: outputs, parameters, environment variables, binaries.

use serde_json::{Value, json};

use aws::settings::{
    DeploySettings, InventorySettings, LifecycleSettings, PreviewSettings, ReportSettings, SweepSettings,
};

use super::parsed::ParsedTemplate;

/// Each function, its binary, and the environment variables that it reads.
const FUNCTIONS: &[(&str, &str, &[&str])] = &[
    ("DeployFunction", "deploy", DeploySettings::VARIABLES),
    ("InventoryFunction", "inventory", InventorySettings::VARIABLES),
    ("LifecycleFunction", "lifecycle", LifecycleSettings::VARIABLES),
    ("PreviewFunction", "preview", PreviewSettings::VARIABLES),
    ("ReportFunction", "report", ReportSettings::VARIABLES),
    ("SweepFunction", "sweep", SweepSettings::VARIABLES),
];

#[test]
fn functions_get_exactly_the_variables_they_read() {
    let template = ParsedTemplate::application();
    assert!(template.section("Globals")["Function"].get("Environment").is_none());
    for (id, _, expected) in FUNCTIONS {
        let variables = template.properties(id)["Environment"]["Variables"].as_object().unwrap();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(Vec::from_iter(variables.keys()), expected, "{id}");
    }
}

#[test]
fn functions_have_one_binary_each() {
    let template = ParsedTemplate::application();
    let ids: Vec<&str> = FUNCTIONS.iter().map(|(id, _, _)| *id).collect();
    assert_eq!(template.of_type("AWS::Serverless::Function"), ids);
    let globals = &template.section("Globals")["Function"];
    assert_eq!(globals["Runtime"], "provided.al2023");
    assert_eq!(globals["Handler"], "bootstrap");
    assert_eq!(globals["Architectures"], json!([{"Ref": "Architecture"}]));
    for (id, binary, _) in FUNCTIONS {
        let metadata = &template.resource(id)["Metadata"];
        assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{id}");
        assert_eq!(metadata["BuildProperties"]["Binary"], *binary, "{id}");
        assert_eq!(template.properties(id)["CodeUri"], format!("functions/{binary}"), "{id}");
        assert!(template.properties(id)["Timeout"].as_i64().is_some_and(|seconds| seconds <= 900), "{id}");
    }
}

#[test]
fn outputs_are_declared() {
    let template = ParsedTemplate::application();
    let outputs = template.section("Outputs");
    for (name, value) in [
        ("DeployFunction", json!({"Ref": "DeployFunction"})),
        ("InventoryFunction", json!({"Ref": "InventoryFunction"})),
        ("LifecycleFunction", json!({"Ref": "LifecycleFunction"})),
        ("ReportFunction", json!({"Ref": "ReportFunction"})),
        ("SweepFunction", json!({"Ref": "SweepFunction"})),
        ("PreviewFunction", json!({"Ref": "PreviewFunction"})),
        ("DeployQueueUrl", json!({"Ref": "DeployQueue"})),
        ("ReportQueueUrl", json!({"Ref": "ReportQueue"})),
        ("EventBusArn", json!({"Fn::GetAtt": ["ComplianceEventBus", "Arn"]})),
        ("NotificationTopicArn", json!({"Ref": "NotificationTopic"})),
        ("StateTableName", json!({"Ref": "StateTable"})),
    ] {
        assert_eq!(outputs[name]["Value"], value, "{name}");
    }
    for (name, output) in outputs {
        assert!(output["Description"].is_string(), "{name}");
    }
    assert_eq!(outputs["ChatTopicArn"]["Value"], json!({"Ref": "ChatTopic"}));
    for (output, resource) in [("ChatTopicArn", "ChatTopic"), ("InventoryFunction", "InventoryFunction")] {
        assert_eq!(outputs[output]["Condition"], template.resource(resource)["Condition"], "{output}");
    }
    assert_eq!(outputs["PolicyBucketName"]["Value"], json!({"Ref": "PolicyBucket"}));
    assert_eq!(outputs["PolicyBucketName"]["Condition"], template.resource("PolicyBucket")["Condition"]);
    assert_eq!(outputs["RepositoryCloneUrl"]["Condition"], template.resource("PushRule")["Condition"]);
}

/// Long because it lists the default of every parameter.
#[test]
fn parameters_are_declared_and_described() {
    let template = ParsedTemplate::application();
    let parameters = template.section("Parameters");
    for (name, default) in [
        ("PolicySource", json!("codecommit")),
        ("RepositoryName", Value::Null),
        ("BranchName", json!("main")),
        ("PolicyFile", json!("backup-compliance.yaml")),
        ("RepositoryKeyArn", json!("")),
        ("PolicyWriterRoleName", json!("backup-compliance-policy-writer")),
        ("NotificationEmail", json!("")),
        ("OrganizationId", json!("")),
        ("ConfigAggregatorName", json!("")),
        ("Architecture", json!("x86_64")),
        ("AdministrationRoleName", json!("AWSCloudFormationStackSetAdministrationRole")),
        ("ExecutionRoleName", json!("AWSCloudFormationStackSetExecutionRole")),
        ("MemberRoleName", json!("")),
        ("InventoryRoleName", json!("backup-compliance-inventory")),
        ("DigestWindowSeconds", json!(300)),
        ("ChatNotifications", json!("disabled")),
        ("SecurityHub", json!("off")),
        ("NoticeEventBusName", json!("default")),
        ("OrganizationalUnits", json!("disabled")),
        ("CommentOnCommits", json!("disabled")),
        ("PullRequestReviews", json!("comments")),
        ("FullReconciliationRate", json!("rate(1 hour)")),
        ("InventoryRate", json!("rate(1 hour)")),
    ] {
        assert_eq!(*parameters[name].get("Default").unwrap_or(&Value::Null), default, "{name}");
    }
    assert_eq!(parameters["Architecture"]["AllowedValues"], json!(["x86_64", "arm64"]));
    assert_eq!(parameters["SecurityHub"]["AllowedValues"], json!(["off", "central", "member"]));
    assert_eq!(parameters["PolicySource"]["AllowedValues"], json!(["codecommit", "s3"]));
    for (name, is_valid) in [
        ("backup-policy", true),
        ("github.com/acme/backup-frameworks", true),
        ("gitlab.example.com/acme/platform/backup", true),
        ("/backup", false),
        ("github.com//backup", false),
        ("https://github.com/acme/backup", false),
        ("github.com/acme/", false),
    ] {
        assert_eq!(template.takes("RepositoryName", name), is_valid, "{name}");
    }
    let groups = template.section("Metadata")["AWS::CloudFormation::Interface"]["ParameterGroups"].as_array().unwrap();
    let grouped: Vec<&str> = groups
        .iter()
        .flat_map(|group| group["Parameters"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(grouped.len(), parameters.len());
    for (name, parameter) in parameters {
        assert!(parameter["Description"].is_string(), "{name}");
        let limited = ["AllowedPattern", "AllowedValues", "MaxValue"].iter().find_map(|limit| parameter.get(*limit));
        assert!(limited.is_some(), "{name}: anything goes");
        assert_eq!(
            parameter.get("AllowedPattern").is_some(),
            parameter.get("ConstraintDescription").is_some(),
            "{name}"
        );
        assert!(grouped.contains(&name.as_str()), "{name} is in no group");
    }
}

/// An account imports only its own findings, so Security Hub findings in member accounts need the member role. Targets
/// that are organizational units send events from accounts that only the organization as a whole admits.
#[test]
fn rules_require_dependent_parameters() {
    let template = ParsedTemplate::application();
    let rules = template.section("Rules");
    let given = |name: &str| json!({"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]});
    let in_codecommit = json!({"Fn::Equals": [{"Ref": "PolicySource"}, "codecommit"]});
    let expected = [
        // An object has no comments.
        ("CommentsNeedCodeCommit", "CommentOnCommits", "enabled", "PolicySource", in_codecommit),
        ("FindingsInMemberAccountsNeedTheRole", "SecurityHub", "member", "MemberRoleName", given("MemberRoleName")),
        (
            "OrganizationalUnitsNeedTheOrganization",
            "OrganizationalUnits",
            "enabled",
            "OrganizationId",
            given("OrganizationId"),
        ),
    ];
    assert_eq!(Vec::from_iter(rules.keys()), expected.each_ref().map(|(name, ..)| name));
    for (name, parameter, value, needed, assertion) in expected {
        let rule = &rules[name];
        assert_eq!(rule["RuleCondition"], json!({"Fn::Equals": [{"Ref": parameter}, value]}), "{name}");
        let assertions = rule["Assertions"].as_array().unwrap();
        assert_eq!(assertions.len(), 1, "{name}");
        assert_eq!(assertions[0]["Assert"], assertion, "{name}");
        assert!(assertions[0]["AssertDescription"].as_str().is_some_and(|text| text.contains(needed)), "{name}");
    }
}

/// A value under a condition is empty if the condition does not hold, and the code works without it.
#[test]
fn optional_parameters_may_be_empty() {
    let template = ParsedTemplate::application();
    let bucket = &template.properties("DeployFunction")["Environment"]["Variables"]["POLICY_BUCKET_NAME"];
    assert_eq!(*bucket, json!({"Fn::If": ["PolicyIsInS3", {"Ref": "PolicyBucket"}, ""]}));
    for id in ["DeployFunction", "ReportFunction", "SweepFunction"] {
        let variable = &template.properties(id)["Environment"]["Variables"]["CHAT_TOPIC_ARN"];
        assert_eq!(*variable, json!({"Fn::If": ["HasChat", {"Ref": "ChatTopic"}, ""]}), "{id}");
    }
    for (name, given) in [
        ("HasOrganization", "OrganizationId"),
        ("HasAggregator", "ConfigAggregatorName"),
        ("HasEmail", "NotificationEmail"),
        ("HasRepositoryKey", "RepositoryKeyArn"),
        ("HasMemberRole", "MemberRoleName"),
        ("HasInventoryRole", "InventoryRoleName"),
        ("HasNoticeBus", "NoticeEventBusName"),
    ] {
        let condition = json!({"Fn::Not": [{"Fn::Equals": [{"Ref": given}, ""]}]});
        assert_eq!(template.section("Conditions")[name], condition, "{name}");
    }
    for (name, parameter, value) in [
        ("PolicyIsInCodeCommit", "PolicySource", "codecommit"),
        ("PolicyIsInS3", "PolicySource", "s3"),
        ("HasChat", "ChatNotifications", "enabled"),
        ("HasOrganizationalUnits", "OrganizationalUnits", "enabled"),
        ("CommentsOnCommits", "CommentOnCommits", "enabled"),
        ("ApprovesPullRequests", "PullRequestReviews", "approvals"),
        ("FindingsAreCentral", "SecurityHub", "central"),
        ("FindingsAreInMembers", "SecurityHub", "member"),
    ] {
        let condition = json!({"Fn::Equals": [{"Ref": parameter}, value]});
        assert_eq!(template.section("Conditions")[name], condition, "{name}");
    }
}

#[test]
fn functions_log_json_with_retention() {
    let template = ParsedTemplate::application();
    for (id, binary, _) in FUNCTIONS {
        let logging = &template.properties(id)["LoggingConfig"];
        assert_eq!(logging["LogFormat"], "JSON", "{id}");
        let group = logging["LogGroup"]["Ref"].as_str().unwrap();
        let properties = template.properties(group);
        assert_eq!(properties["RetentionInDays"], json!({"Ref": "LogRetentionDays"}), "{group}");
        let name = template.resolve(&properties["LogGroupName"]);
        assert!(name.as_str().unwrap().starts_with(&format!("/aws/lambda/backup-compliance-{binary}")), "{group}");
    }
    assert_eq!(template.of_type("AWS::Logs::LogGroup").len(), FUNCTIONS.len());
}

#[test]
fn table_matches_adapters() {
    let template = ParsedTemplate::application();
    let table = template.properties("StateTable");
    let key = |hash: &str, range: &str| json!([{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}]);
    assert_eq!(table["KeySchema"], key("pk", "sk"));
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["TimeToLiveSpecification"], json!({"AttributeName": "expires_at", "Enabled": true}));
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    let indexes = table["GlobalSecondaryIndexes"].as_array().unwrap();
    let expected = [("pending", key("pending_group", "pending_since")), ("open", key("open_account", "open_since"))];
    assert_eq!(indexes.len(), expected.len());
    for (index, (name, key)) in indexes.iter().zip(expected) {
        assert_eq!(index["IndexName"], name);
        assert_eq!(index["KeySchema"], key, "{name}");
        assert_eq!(index["Projection"]["ProjectionType"], "ALL", "{name}");
    }
}

#[test]
fn template_has_no_test_switch_and_no_endpoint() {
    let text = ParsedTemplate::application().text().to_lowercase();
    for word in ["endpoint_url", "localhost", "ministack", "moto", "test_mode"] {
        assert!(!text.contains(word), "{word}");
    }
}
