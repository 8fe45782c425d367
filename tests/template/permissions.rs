//! One role per function, with exactly the permissions that the function needs. Long because it lists the permissions of every role.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::authorization::Authorization;
use super::calls::{CALLS, SWITCHED};
use super::parsed::{ParsedTemplate, listed, texts};
use crate::files;

pub(crate) const TEMPLATES: &[&str] = &[
    "template.yaml",
    "framework/framework.yaml",
    "framework/examples/five-controls/framework.yaml",
    "framework/prerequisites/administration-role.yaml",
    "framework/prerequisites/execution-role.yaml",
    "framework/prerequisites/github-oidc-role.yaml",
    "framework/prerequisites/gitlab-oidc-role.yaml",
    "framework/prerequisites/inventory-role.yaml",
    "framework/prerequisites/member-role.yaml",
];

const MEMBER_ROLE: &str = "framework/prerequisites/member-role.yaml";
const INVENTORY_ROLE: &str = "framework/prerequisites/inventory-role.yaml";

/// The statements of a role, as if every optional parameter had a value.
fn statements(template: &ParsedTemplate, role: &str) -> Vec<Value> {
    let properties = template.properties(role);
    assert!(properties.get("ManagedPolicyArns").is_none(), "{role}: a managed policy grants more than is needed");
    let policies = properties["Policies"].as_array().unwrap();
    policies
        .iter()
        .flat_map(|policy| template.resolve(&policy["PolicyDocument"]["Statement"]).as_array().unwrap().clone())
        .collect()
}

fn actions(template: &ParsedTemplate, role: &str) -> Vec<String> {
    let all = statements(template, role);
    all.iter().flat_map(|statement| texts(&statement["Action"])).map(str::to_owned).collect()
}

#[test]
fn functions_have_separate_roles() {
    let template = ParsedTemplate::application();
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
fn roles_list_actions_and_resources() {
    let template = ParsedTemplate::application();
    let authorization = Authorization::read();
    for role in template.of_type("AWS::IAM::Role") {
        assert!(template.properties(role).get("RoleName").is_none(), "{role}: CAPABILITY_IAM is all we ask for");
        for statement in statements(&template, role) {
            assert_eq!(statement["Effect"], "Allow", "{role}");
            for action in texts(&statement["Action"]) {
                assert!(!action.contains('*'), "{role}: {action}");
            }
            let without = texts(&statement["Action"]).iter().all(|action| authorization.resources(action).is_empty());
            for resource in listed(&statement["Resource"]) {
                assert_eq!(resource == "*", without, "{role}: {statement}");
            }
        }
    }
}

#[test]
fn roles_allow_exactly_the_calls_of_their_function() {
    let template = ParsedTemplate::application();
    let roles: Vec<&str> = CALLS.iter().map(|(role, _)| *role).collect();
    assert_eq!(template.of_type("AWS::IAM::Role"), roles);
    for (role, calls) in CALLS {
        let polled =
            ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"];
        let mut may: BTreeSet<String> = actions(&template, role).into_iter().collect();
        may.retain(|action| !action.starts_with("kms:") && !action.starts_with("logs:"));
        let takes = polled.iter().filter(|action| may.remove(**action)).count();
        let queue = ["DeployRole", "ReportRole", "PreviewRole"].contains(role);
        assert_eq!(takes, if queue { polled.len() } else { 0 }, "{role}: the permissions for polling");
        assert_eq!(may.iter().map(String::as_str).collect::<Vec<_>>(), *calls, "{role}");
    }
}

/// Each call that the adapters name in their errors is allowed to a role.
#[test]
fn calls_of_adapters_are_allowed_to_a_role() {
    let mut allowed: BTreeSet<&str> = CALLS.iter().flat_map(|(_, calls)| calls.iter().copied()).collect();
    let member = actions(&ParsedTemplate::read(MEMBER_ROLE), "MemberRole");
    allowed.extend(member.iter().map(String::as_str));
    let inventory = actions(&ParsedTemplate::read(INVENTORY_ROLE), "InventoryRole");
    allowed.extend(inventory.iter().map(String::as_str));
    // One permission covers both operations.
    allowed.extend(["s3:HeadObject", "sns:PublishBatch", "sqs:SendMessageBatch"]);
    // Lambda needs it to poll, and `deploy` to set the time of the next attempt.
    allowed.insert("sqs:ChangeMessageVisibility");
    let mut named = BTreeSet::new();
    operations(&files::root().join("crates/aws/src"), &mut named);
    assert!(named.len() > 15, "{named:?}");
    let unknown: Vec<&String> = named.iter().filter(|operation| !allowed.contains(operation.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Adapters that only the command line uses, with the permissions of its user.
const OF_PEOPLE: [&str; 2] = ["dead_letters.rs", "stack.rs"];

/// The strings `"service:Operation"` in the sources of a folder.
fn operations(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if OF_PEOPLE.iter().any(|name| entry.ends_with(name)) {
            continue;
        }
        if entry.is_dir() {
            operations(&entry, found);
            continue;
        }
        let source = fs::read_to_string(&entry).unwrap();
        let quoted = source.split('"').filter(|text| {
            text.split_once(':').is_some_and(|(service, operation)| {
                !service.is_empty()
                    && service.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                    && operation.starts_with(|first: char| first.is_ascii_uppercase())
                    && operation.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
        });
        found.extend(quoted.map(str::to_owned));
    }
}

#[test]
fn resource_star_gives_a_reason() {
    for path in TEMPLATES {
        let template = ParsedTemplate::read(path);
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
fn administration_role_is_passed_to_cloudformation() {
    let template = ParsedTemplate::application();
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

/// The roles that may access each kind of record: the first part of a record's key decides. The indexes contain
/// violations only.
#[test]
fn roles_access_their_records_only() {
    let template = ParsedTemplate::application();
    let table = || json!({"Fn::GetAtt": ["StateTable", "Arn"]});
    let index = |name: &str| json!(format!("${{StateTable.Arn}}/index/{name}"));
    let keys = |keys: &[&str]| json!({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": keys}});
    let violations = || json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["violation#*"]}});
    let expected = [
        (
            "DeployRole",
            vec![
                row(
                    &["DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"],
                    table(),
                    keys(&["rollout", "request", "framework", "policy"]),
                ),
                row(&["Query", "Scan"], index("open"), Value::Null),
            ],
        ),
        ("LifecycleRole", vec![row(&["PutItem", "UpdateItem"], table(), keys(&["request"]))]),
        (
            "ReportRole",
            vec![
                row(&["Query"], table(), keys(&["framework"])),
                row(&["BatchGetItem", "PutItem"], table(), violations()),
                row(&["BatchGetItem", "PutItem", "UpdateItem"], table(), keys(&["window"])),
                row(&["Query"], index("pending"), Value::Null),
            ],
        ),
        (
            "SweepRole",
            vec![
                row(&["Query"], table(), keys(&["framework"])),
                row(&["BatchGetItem", "PutItem"], table(), violations()),
                row(&["GetItem", "PutItem"], table(), keys(&["sweep"])),
                row(&["Scan"], index("pending"), Value::Null),
                row(&["Query", "Scan"], index("open"), Value::Null),
                row(&["PutItem"], table(), keys(&["framework"])),
            ],
        ),
    ];
    for (role, expected) in expected {
        let found: Vec<Value> = statements(&template, role)
            .into_iter()
            .filter(|statement| texts(&statement["Action"]).iter().any(|action| action.starts_with("dynamodb:")))
            .collect();
        assert_eq!(found.len(), expected.len(), "{role}");
        for (statement, (actions, resource, condition)) in found.iter().zip(expected) {
            let named: Vec<&str> =
                texts(&statement["Action"]).iter().map(|action| action.strip_prefix("dynamodb:").unwrap()).collect();
            assert_eq!(named, actions, "{role}: {statement}");
            assert_eq!(statement["Resource"], resource, "{role}: {statement}");
            assert_eq!(*statement.get("Condition").unwrap_or(&Value::Null), condition, "{role}: {statement}");
            // A condition on leading keys does not restrict a scan, which has none.
            assert!(!named.contains(&"Scan") || resource != table(), "{role}: {statement}");
        }
    }
}

/// A permission on records: actions of DynamoDB, resource, condition.
fn row(actions: &'static [&'static str], resource: Value, condition: Value) -> (&'static [&'static str], Value, Value) {
    (actions, resource, condition)
}

/// The indexes that the roles name exist in the table.
#[test]
fn indexes_of_roles_exist() {
    let template = ParsedTemplate::application();
    let table = &template.properties("StateTable")["GlobalSecondaryIndexes"];
    let there: BTreeSet<String> =
        table.as_array().unwrap().iter().map(|index| index["IndexName"].as_str().unwrap().to_owned()).collect();
    let mut named = BTreeSet::new();
    for role in template.of_type("AWS::IAM::Role") {
        for statement in statements(&template, role) {
            let resources = texts(&statement["Resource"]).into_iter().map(str::to_owned).collect::<Vec<_>>();
            named.extend(resources.iter().filter_map(|arn| arn.split_once("/index/")).map(|(_, name)| name.to_owned()));
        }
    }
    assert_eq!(named, there);
}

#[test]
fn stack_sets_and_aggregator_are_the_only_targets() {
    let template = ParsedTemplate::application();
    for role in template.of_type("AWS::IAM::Role") {
        let actions = actions(&template, role);
        let any = |service: &str| actions.iter().any(|action| action.starts_with(service));
        assert_eq!(any("cloudformation:"), role == "DeployRole", "{role}");
        assert_eq!(any("codecommit:"), ["DeployRole", "PreviewRole"].contains(&role), "{role}");
        assert_eq!(any("s3:"), ["DeployRole", "InventoryRole", "PreviewRole"].contains(&role), "{role}");
        assert_eq!(any("config:"), ["InventoryRole", "ReportRole", "SweepRole"].contains(&role), "{role}");
        assert_eq!(any("sns:"), ["DeployRole", "ReportRole", "SweepRole"].contains(&role), "{role}");
        assert_eq!(any("lambda:"), ["InventoryScheduleRole", "ScheduleRole"].contains(&role), "{role}");
        for outlet in ["events:", "securityhub:"] {
            assert_eq!(any(outlet), ["ReportRole", "SweepRole"].contains(&role), "{role}: {outlet}");
        }
        assert_eq!(any("sts:"), ["InventoryRole", "ReportRole", "SweepRole"].contains(&role), "{role}");
        assert_eq!(any("organizations:"), ["DeployRole", "SweepRole"].contains(&role), "{role}");
    }
    for statement in statements(&template, "DeployRole") {
        let mut named = texts(&statement["Action"]);
        named.retain(|action| action.starts_with("cloudformation:"));
        if !named.is_empty() && named != ["cloudformation:CreateStackSet"] {
            let stack_sets = "arn:aws:cloudformation:us-east-1:000000000000:stackset/*";
            assert!(texts(&statement["Resource"]).contains(&stack_sets), "{statement}");
        }
    }
}

/// The statement of a role that allows an action, with its resource and condition resolved.
fn statement(template: &ParsedTemplate, role: &str, action: &str) -> Value {
    let mut found = statements(template, role);
    found.retain(|statement| texts(&statement["Action"]).contains(&action));
    assert_eq!(found.len(), 1, "{role}: {action}");
    found.remove(0)
}

#[test]
fn notification_targets_are_named() {
    let template = ParsedTemplate::application();
    for role in ["ReportRole", "SweepRole"] {
        let of = |action: &str| statement(&template, role, action);
        assert_eq!(of("events:PutEvents")["Resource"], "arn:aws:events:us-east-1:000000000000:event-bus/default");
        // The product that an account has for its own findings, in this account and Region only.
        let product = "arn:aws:securityhub:us-east-1:000000000000:product/000000000000/default";
        assert_eq!(of("securityhub:BatchImportFindings")["Resource"], product);
        let member = of("sts:AssumeRole");
        assert_eq!(member["Resource"], "arn:aws:iam::*:role/backup-compliance-member");
        assert_eq!(member["Condition"], json!({"StringEquals": {"aws:ResourceOrgID": "o-exampleorgid"}}));
    }
    for role in ["DeployRole", "ReportRole", "SweepRole"] {
        let topics = json!([{"Ref": "NotificationTopic"}, {"Ref": "ChatTopic"}]);
        assert_eq!(statement(&template, role, "sns:Publish")["Resource"], topics, "{role}");
    }
    let queues = json!([{"Fn::GetAtt": ["ReportQueue", "Arn"]}, {"Fn::GetAtt": ["ReportDeadLetterQueue", "Arn"]}]);
    assert_eq!(statement(&template, "ReportRole", "sqs:SendMessage")["Resource"], queues);
}

/// A feature that a parameter switches off has no permissions. Without an organization, only this account can be a
/// target.
#[test]
fn disabled_features_have_no_permissions() {
    let template = ParsedTemplate::application();
    let off = |conditions: &[&str], action: &str, role: &str| {
        let policies = template.properties(role)["Policies"].as_array().unwrap();
        let statements = &template.resolve_without(&policies[0]["PolicyDocument"]["Statement"], conditions);
        let allowing = statements.as_array().unwrap().iter();
        allowing.filter(|statement| texts(&statement["Action"]).contains(&action)).cloned().collect::<Vec<Value>>()
    };
    for (condition, actions) in SWITCHED {
        for (role, action) in *actions {
            assert_eq!(off(&[], action, role).len(), 1, "{role}: {action}");
            assert_eq!(off(&[condition], action, role), Vec::<Value>::new(), "{role}: {action} without {condition}");
        }
    }
    for role in ["ReportRole", "SweepRole"] {
        let alone = off(&["HasOrganization"], "sts:AssumeRole", role);
        assert_eq!(alone[0]["Resource"], "arn:aws:iam::000000000000:role/backup-compliance-member", "{role}");
        assert!(alone[0].get("Condition").is_none(), "{role}: {alone:?}");
        let topics = off(&["HasChat"], "sns:Publish", role);
        assert_eq!(topics.len(), 1, "{role}");
        assert_eq!(topics[0]["Resource"], json!([{"Ref": "NotificationTopic"}]), "{role}");
    }
}

/// The function `inventory` assumes the read-only role only, and has its two objects only.
#[test]
fn inventory_function_is_limited_to_its_objects() {
    let template = ParsedTemplate::application();
    let of = |action: &str| statement(&template, "InventoryRole", action);
    for action in ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"] {
        assert_eq!(of(action)["Resource"], "${TemplateBucket.Arn}/inventory/*", "{action}");
    }
    assert_eq!(of("s3:ListBucket")["Condition"], json!({"StringEquals": {"s3:prefix": "inventory/"}}));
    let role = of("sts:AssumeRole");
    assert_eq!(role["Resource"], "arn:aws:iam::*:role/backup-compliance-inventory");
    assert_eq!(role["Condition"], json!({"StringEquals": {"aws:ResourceOrgID": "o-exampleorgid"}}));
    let alone = template.resolve_without(&template.properties("InventoryRole")["Policies"], &["HasOrganization"]);
    assert!(alone.to_string().contains("arn:aws:iam::000000000000:role/backup-compliance-inventory"), "{alone}");
    // The default names are equal.
    let prerequisite = ParsedTemplate::read(INVENTORY_ROLE);
    let default = &template.section("Parameters")["InventoryRoleName"]["Default"];
    assert_eq!(*default, prerequisite.section("Parameters")["RoleName"]["Default"]);
}

/// StackSets with organizational units belong to the management account; all others belong to this account.
#[test]
fn foreign_stack_sets_need_organizational_units() {
    let template = ParsedTemplate::application();
    let policies = template.properties("DeployRole")["Policies"].as_array().unwrap();
    let all = &policies[0]["PolicyDocument"]["Statement"];
    let of = |statements: &Value| -> Vec<String> {
        let statements = statements.as_array().unwrap().iter();
        let resources = statements.flat_map(|statement| listed(&statement["Resource"]).into_iter().cloned());
        resources.filter_map(|arn| arn.as_str().map(str::to_owned)).filter(|arn| arn.contains(":stackset/")).collect()
    };
    let own = "arn:aws:cloudformation:us-east-1:000000000000:stackset/*";
    assert_eq!(of(&template.resolve_without(all, &["HasOrganizationalUnits"])), [own]);
    assert_eq!(of(&template.resolve(all)), [own, "arn:aws:cloudformation:us-east-1:*:stackset/*"]);
    let units = statement(&template, "DeployRole", "organizations:ListAccountsForParent");
    for resource in texts(&units["Resource"]) {
        assert!(resource.contains("/o-exampleorgid/"), "{resource}: of another organization");
    }
}

#[test]
fn member_role_is_minimal() {
    let template = ParsedTemplate::read(MEMBER_ROLE);
    let application = ParsedTemplate::application();
    let trust = template.resolve(&template.properties("MemberRole")["AssumeRolePolicyDocument"]["Statement"]);
    let trust = trust.as_array().unwrap();
    assert_eq!(trust.len(), 1);
    assert_eq!(trust[0]["Principal"], json!({"AWS": "arn:aws:iam::000000000000:root"}));
    let patterns = texts(&trust[0]["Condition"]["ArnLike"]["aws:PrincipalArn"]);
    let trusted: Vec<&str> = patterns
        .iter()
        .map(|pattern| {
            let name = pattern.strip_prefix("arn:aws:iam::000000000000:role/backup-compliance-").unwrap();
            name.strip_suffix("-*").unwrap()
        })
        .collect();
    assert_eq!(trusted, ["ReportRole", "SweepRole"]);
    for (role, function) in trusted.iter().zip(["ReportFunction", "SweepFunction"]) {
        // The generated name: the stack, the logical id, a suffix; without a path.
        assert_eq!(application.properties(function)["Role"], json!({"Fn::GetAtt": [role, "Arn"]}));
        assert!(application.properties(role).get("Path").is_none(), "{role}");
    }
    let mut may = actions(&template, "MemberRole");
    may.sort();
    assert_eq!(
        may,
        [
            "config:DescribeConfigRules",
            "config:DescribeConfigurationRecorderStatus",
            "config:GetComplianceDetailsByConfigRule",
            "securityhub:BatchImportFindings",
        ]
    );
    for statement in statements(&template, "MemberRole") {
        let lists = texts(&statement["Action"]).iter().all(|action| action.starts_with("config:Describe"));
        assert_eq!(statement["Resource"] == "*", lists, "{statement}");
    }
}

/// The role trusts a named principal, and the function of a named stack.
#[test]
fn inventory_role_trusts_named_principals() {
    let template = ParsedTemplate::read(INVENTORY_ROLE);
    let trust = template.resolve(&template.properties("InventoryRole")["AssumeRolePolicyDocument"]["Statement"]);
    let trust = trust.as_array().unwrap();
    assert_eq!(trust.len(), 1);
    assert_eq!(trust[0]["Principal"], json!({"AWS": "arn:aws:iam::000000000000:root"}));
    assert_eq!(trust[0]["Action"], "sts:AssumeRole");
    let trusted = texts(&trust[0]["Condition"]["ArnLike"]["aws:PrincipalArn"]);
    let principal = "arn:aws:iam::000000000000:${PrincipalName}";
    let function = "arn:aws:iam::000000000000:role/-InventoryRole-*";
    assert_eq!(trusted, [principal, function], "the name of the stack is empty");
    let alone = template
        .resolve_without(&template.properties("InventoryRole")["AssumeRolePolicyDocument"], &["HasApplication"]);
    assert_eq!(texts(&alone["Statement"][0]["Condition"]["ArnLike"]["aws:PrincipalArn"]), [principal]);
    // The generated name: the stack, the logical id, a suffix; without a path.
    assert!(ParsedTemplate::application().properties("InventoryRole").get("Path").is_none());
    assert!(template.section("Parameters")["PrincipalName"].get("Default").is_none());
    // A condition that is missing by mistake would admit every principal.
    let pattern = template.section("Parameters")["PrincipalName"]["AllowedPattern"].as_str().unwrap().to_owned();
    assert!(pattern.starts_with("^(role|user)/") && pattern.contains("{3}"), "{pattern}");
}

/// The calls of `backup-compliance inventory` in a member account, which are exactly the actions of the role, and
/// which of them support no resource.
#[test]
fn inventory_role_is_read_only() {
    const LISTS: [&str; 10] = [
        "backup-gateway:ListVirtualMachines",
        "backup:DescribeProtectedResource",
        "backup:DescribeRegionSettings",
        "backup:ListBackupPlans",
        "backup:ListBackupVaults",
        "backup:ListProtectedResources",
        "config:DescribeConfigurationRecorderStatus",
        "config:DescribeConfigurationRecorders",
        "fsx:DescribeFileSystems",
        "storagegateway:ListVolumes",
    ];
    let template = ParsedTemplate::read(INVENTORY_ROLE);
    // The operations that the adapters name are those that the role allows.
    let mut called = BTreeSet::new();
    for file in ["crates/aws/src/backup.rs", "crates/aws/src/backup/others.rs"] {
        let text = files::read(file);
        for quoted in text.split('"').skip(1).step_by(2) {
            let is_call = |service: &str| quoted.strip_prefix(service).is_some_and(|rest| rest.starts_with(':'));
            let services = ["backup", "config", "fsx", "storagegateway", "backup-gateway", "kms"];
            if services.into_iter().any(is_call) && !quoted.contains(' ') {
                called.insert(quoted.to_owned());
            }
        }
    }
    let may: BTreeSet<String> = actions(&template, "InventoryRole").into_iter().collect();
    assert_eq!(may, called);
    assert!(may.len() > 15, "{may:?}");
    for action in &may {
        let verb = action.split_once(':').unwrap().1;
        assert!(["Describe", "Get", "List"].iter().any(|reads| verb.starts_with(reads)), "{action}");
    }
    for statement in statements(&template, "InventoryRole") {
        let named = texts(&statement["Action"]);
        let lists = named.iter().all(|action| LISTS.contains(action));
        assert_eq!(statement["Resource"] == "*", lists, "{statement}");
        if !lists {
            assert!(!named.iter().any(|action| LISTS.contains(action)), "{statement}");
            assert!(statement["Resource"].as_str().unwrap().contains(":000000000000:"), "{statement}");
        }
    }
}

#[test]
fn queues_and_topic_admit_own_rules_and_alarms() {
    let template = ParsedTemplate::application();
    for id in template.of_type("AWS::SQS::QueuePolicy") {
        let allowed: Vec<&Value> = allowed(&template, id);
        assert_eq!(allowed.len(), 1, "{id}");
        assert_eq!(allowed[0]["Principal"], json!({"Service": "events.amazonaws.com"}), "{id}");
        assert_eq!(allowed[0]["Action"], "sqs:SendMessage", "{id}");
        for source in listed(&template.resolve(&allowed[0]["Condition"]["ArnEquals"]["aws:SourceArn"])) {
            let rule = source["Fn::GetAtt"][0].as_str().unwrap();
            assert_eq!(template.resource(rule)["Type"], "AWS::Events::Rule", "{id}");
        }
    }
    let allowed = allowed(&template, "NotificationTopicPolicy");
    assert_eq!(allowed.len(), 1);
    assert_eq!(allowed[0]["Principal"], json!({"Service": "cloudwatch.amazonaws.com"}));
    assert_eq!(allowed[0]["Condition"], json!({"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}));
}

fn allowed<'template>(template: &'template ParsedTemplate, id: &str) -> Vec<&'template Value> {
    let statements = template.properties(id)["PolicyDocument"]["Statement"].as_array().unwrap();
    statements.iter().filter(|statement| statement["Effect"] == "Allow").collect()
}
