//! What the member accounts own when a sandbox starts.

use std::collections::BTreeMap;

use crate::config::Resource;

pub(crate) fn resources() -> Vec<Resource> {
    let tags = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
    };
    vec![
        Resource {
            account: "222222222222".to_owned(),
            region: "eu-west-1".to_owned(),
            resource_type: "AWS::RDS::DBCluster".to_owned(),
            resource_id: "cluster-7XK3Q2EXAMPLE5NWQ4".to_owned(),
            resource_name: "orders".to_owned(),
            arn: "arn:aws:rds:eu-west-1:222222222222:cluster:orders".to_owned(),
            tags: tags(&[("owner", "orders-team@example.com"), ("stage", "production")]),
            configuration: serde_json::json!({"engine": "aurora-postgresql", "status": "available"}),
        },
        Resource {
            account: "222222222222".to_owned(),
            region: "eu-west-1".to_owned(),
            resource_type: "AWS::Backup::BackupPlan".to_owned(),
            resource_id: "8f81f553-3a74-4a3f-b93d-b3360dc80c50".to_owned(),
            resource_name: "monthly-archive".to_owned(),
            arn: "arn:aws:backup:eu-west-1:222222222222:backup-plan:8f81f553-3a74-4a3f-b93d-b3360dc80c50".to_owned(),
            tags: tags(&[("owner", "archive-team@example.com")]),
            configuration: serde_json::json!({
                "BackupPlanId": "8f81f553-3a74-4a3f-b93d-b3360dc80c50",
                "BackupPlan": {"BackupPlanName": "monthly-archive", "BackupPlanRule": [{
                    "RuleName": "monthly", "ScheduleExpression": "cron(0 5 1 * ? *)", "TargetBackupVault": "Default",
                    "Lifecycle": {"DeleteAfterDays": 8},
                }]},
            }),
        },
    ]
}
