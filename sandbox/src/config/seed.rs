//! The resources of the member accounts when a sandbox starts.

use serde_json::{Value, json};

use super::resource::RecordedResource;

pub(super) fn resources() -> Vec<RecordedResource> {
    let mut orders = resource(
        ("222222222222", "eu-west-1", "AWS::RDS::DBCluster", "cluster-7XK3Q2EXAMPLE5NWQ4", "orders"),
        "arn:aws:rds:eu-west-1:222222222222:cluster:orders",
        &[("owner", "orders-team@example.com"), ("stage", "production")],
    );
    orders.configuration = json!({"engine": "aurora-postgresql", "status": "available"});
    vec![
        orders,
        plan(
            "8f81f553-3a74-4a3f-b93d-b3360dc80c50",
            "monthly-archive",
            &json!([{
                "RuleName": "monthly", "ScheduleExpression": "cron(0 5 1 * ? *)", "TargetBackupVault": "Default",
                "Lifecycle": {"DeleteAfterDays": 8},
            }]),
        ),
        // Selects all resources with the tag `backup=daily`.
        plan(
            "c1b5f7a4-0d2e-4a7f-9d07-55d3b16c0e21",
            "daily",
            &json!([{
                "RuleName": "daily", "ScheduleExpression": "cron(0 3 * * ? *)", "TargetBackupVault": "Default",
                "Lifecycle": {"DeleteAfterDays": 35},
            }]),
        ),
        selection_by_tag(),
        resource(
            ("222222222222", "eu-west-1", "AWS::DynamoDB::Table", "carts", "carts"),
            "arn:aws:dynamodb:eu-west-1:222222222222:table/carts",
            &[("owner", "orders-team@example.com"), ("stage", "production")],
        ),
        resource(
            ("111111111111", "us-east-1", "AWS::EC2::Volume", "vol-0a1b2c3d4e5f60718", ""),
            "arn:aws:ec2:us-east-1:111111111111:volume/vol-0a1b2c3d4e5f60718",
            &[("owner", "shop-team@example.com"), ("stage", "production"), ("Name", "web-data")],
        ),
        resource(
            ("333333333333", "us-east-1", "AWS::S3::Bucket", "clickstream-raw", "clickstream-raw"),
            "arn:aws:s3:::clickstream-raw",
            &[("owner", "analytics-team@example.com"), ("stage", "sandbox")],
        ),
    ]
}

/// Creates the selection of the plan `daily`.
fn selection_by_tag() -> RecordedResource {
    let (plan, selection) = ("c1b5f7a4-0d2e-4a7f-9d07-55d3b16c0e21", "6b0f3f0e-8f63-4c39-8f5e-2d1a9d0a7c11");
    let id = format!("{plan}_{selection}");
    let mut by_tag =
        resource(("222222222222", "eu-west-1", "AWS::Backup::BackupSelection", id.as_str(), "by-tag"), "", &[]);
    by_tag.configuration = json!({
        "BackupPlanId": plan, "SelectionId": selection,
        "BackupSelection": {
            "SelectionName": "by-tag",
            "IamRoleArn": "arn:aws:iam::222222222222:role/service-role/AWSBackupDefaultServiceRole",
            "Resources": [], "NotResources": [],
            "ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "backup", "ConditionValue": "daily"}],
            "Conditions": {},
        },
    });
    by_tag
}

fn resource(
    (account, region, kind, id, name): (&str, &str, &str, &str, &str),
    arn: &str,
    tags: &[(&str, &str)],
) -> RecordedResource {
    RecordedResource {
        account: account.to_owned(),
        region: region.to_owned(),
        resource_type: kind.to_owned(),
        resource_id: id.to_owned(),
        resource_name: name.to_owned(),
        arn: arn.to_owned(),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        configuration: json!({}),
    }
}

/// Creates a backup plan in account 222222222222, eu-west-1.
fn plan(id: &str, name: &str, rules: &Value) -> RecordedResource {
    let key = ("222222222222", "eu-west-1", "AWS::Backup::BackupPlan", id, name);
    let arn = format!("arn:aws:backup:eu-west-1:222222222222:backup-plan:{id}");
    let mut plan = resource(key, &arn, &[("owner", "archive-team@example.com")]);
    plan.configuration = json!({"BackupPlanId": id, "BackupPlan": {"BackupPlanName": name, "BackupPlanRule": rules}});
    plan
}
