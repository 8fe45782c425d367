//! `RecordedInventory` and `MemberBackup`: the same organization in the fake and in the local cloud has the same inventory.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use app::inventory::{CompletedRead, InventoryOutcome, InventoryScope, ReadFailureReason, ReadOptions, read};
use aws::Clients;
use evaluation::inventory::document::{LocationPart, Plan, RecoveryPoint, Resource, Vault};
use framework::ids::{AccountId, RegionName};
use sandbox::config::{AGGREGATOR, Hidden, RecordedResource as Recorded};
use sandbox::member_services::MemberData;
use testkit::world::{FakeLocation, World};

use crate::cloud::Local;

const ACCOUNT: &str = "444455556666";
const OTHER: &str = "777788889999";
const REGION: &str = "eu-west-1";
const ROLE: &str = "backup-compliance-inventory";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"backup:DeleteRecoveryPoint","Resource":"*"}]}"#;

fn key(account: &str, region: &str) -> (AccountId, RegionName) {
    (AccountId::parse(account).unwrap(), RegionName::parse(region).unwrap())
}

fn options() -> ReadOptions {
    let accounts = BTreeSet::from([key(ACCOUNT, REGION).0, key(OTHER, REGION).0]);
    ReadOptions { scope: InventoryScope { accounts, regions: BTreeSet::new() }, jobs: 3 }
}

fn began() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn point_arn(number: u32) -> String {
    format!("arn:aws:backup:{REGION}:{ACCOUNT}:recovery-point:{number}")
}

const CLUSTER: &str = "arn:aws:rds:eu-west-1:444455556666:cluster:orders";
const DISK: &str = "arn:aws:ec2:eu-west-1:444455556666:volume/vol-2";
const MANAGED_KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/00000000-0000-0000-0000-000000000001";
const OWN_KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/00000000-0000-0000-0000-000000000002";
const FILES: &str = "arn:aws:fsx:eu-west-1:444455556666:file-system/fs-0123456789abcdef0";
const VOLUME: &str = "arn:aws:storagegateway:eu-west-1:444455556666:gateway/sgw-1/volume/vol-1";
const MACHINE: &str = "arn:aws:backup-gateway:eu-west-1:444455556666:vm/vm-1";

/// The organization in the fake.
/// Long because it lists the resources of one organization.
fn fake() -> World {
    let world = World::new();
    let here = json!({"account": ACCOUNT, "region": REGION});
    let with = |more: Value| {
        let mut all = here.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let resources: Vec<Resource> = [
        json!({"arn": CLUSTER, "type": "AWS::RDS::DBCluster", "id": "cluster-1", "name": "orders", "engine": "aurora-mysql",
            "encrypted": true, "encryptionKey": MANAGED_KEY, "awsManagedKey": true, "latestRestoreMinutes": 61,
            "created": "2025-01-02T03:04:05Z", "tags": {"backup": "daily", "empty": ""}}),
        json!({"arn": DISK, "type": "AWS::EC2::Volume", "id": "vol-2", "encrypted": true, "encryptionKey": OWN_KEY,
            "awsManagedKey": false}),
        json!({"arn": "arn:aws:rds:eu-west-1:444455556666:db:orders-1", "type": "AWS::RDS::DBInstance", "id": "db-1",
            "name": "orders-1", "engine": "aurora-mysql", "cluster": CLUSTER}),
        json!({"arn": "arn:aws:ec2:eu-west-1:444455556666:instance/i-1", "type": "AWS::EC2::Instance", "id": "i-1", "active": false}),
        json!({"arn": "arn:aws:s3:::bucket", "type": "AWS::S3::Bucket", "id": "bucket", "name": "bucket"}),
        json!({"arn": FILES, "type": "AWS::FSx::FileSystem", "id": "fs-0123456789abcdef0", "engine": "ONTAP", "encrypted": true,
            "created": "2025-01-02T03:04:05.5Z", "tags": {"backup": "weekly"}}),
        json!({"arn": VOLUME, "type": "AWS::StorageGateway::Volume", "id": "vol-1", "tags": {"a": "b"}}),
        json!({"arn": MACHINE, "type": "AWS::BackupGateway::VirtualMachine", "name": "vm one", "tags": {"c": "d"}}),
    ]
    .into_iter()
    .map(|resource| of(with(resource)))
    .collect();
    let plans: Vec<Plan> = vec![
        of(with(json!({"id": "plan-1", "name": "gold", "tags": {"owner": "ada"}, "rules": [{
                "name": "daily", "schedule": "cron(0 3 * * ? *)", "targetVault": "daily", "continuous": true,
                "lifecycle": {"coldAfterDays": 7, "deleteAfterDays": 97}, "startWindowMinutes": 60, "completionWindowMinutes": 120,
                "copies": [{"vault": "arn:aws:backup:us-east-1:444455556666:backup-vault:copies", "lifecycle": {"deleteAfterDays": 30}}],
            }, {"name": "for ever", "targetVault": "daily"}],
            "selections": [{"id": "s-1", "name": "by tag", "listOfTags": [{"key": "backup", "value": "daily"}],
                "notResources": ["arn:aws:ec2:*"],
                "conditions": {"stringEquals": [{"key": "aws:ResourceTag/a", "value": "b"}],
                    "stringNotLike": [{"key": "aws:ResourceTag/c", "value": "*d"}]}},
                {"id": "s-2", "name": "by arn", "resources": [CLUSTER]}]}))),
        of(with(json!({"id": "plan-2", "name": "silver"}))),
    ];
    let policy: Value = serde_json::from_str(POLICY).unwrap();
    let vaults: Vec<Vault> = vec![
        of(with(
            json!({"name": "daily", "encryptionKey": "arn:aws:kms:eu-west-1:444455556666:key/1", "policy": policy,
            "tags": {"x": "y"}, "lock": {"minRetentionDays": 7, "maxRetentionDays": 365, "mode": "governance"}}),
        )),
        of(with(
            json!({"name": "gapped", "kind": "airGapped", "lock": {"minRetentionDays": 7, "maxRetentionDays": 90, "mode": "compliance"}}),
        )),
        of(with(json!({"name": "Default"}))),
    ];
    let points: Vec<RecoveryPoint> = vec![
        of(with(json!({"arn": point_arn(1), "resource": CLUSTER, "vault": "daily", "created": "2026-11-26T03:00:00Z",
            "completed": "2026-11-26T03:30:00Z", "lifecycle": {"deleteAfterDays": 97}, "encrypted": true, "tags": {"t": "u"}}))),
        of(with(
            json!({"arn": point_arn(2), "resource": CLUSTER, "vault": "gapped", "created": "2026-11-25T03:00:00Z",
            "status": "CREATING", "encrypted": false, "unread": []}),
        )),
    ];
    let opt_in = MemberData::default().opt_in;
    let location = FakeLocation {
        opt_in: opt_in.clone(),
        resources,
        plans,
        vaults,
        recovery_points: points,
        ..FakeLocation::default()
    };
    world.state().backup.locations.insert(key(ACCOUNT, REGION), location);
    let table = json!({"arn": "arn:aws:dynamodb:us-east-1:777788889999:table/t", "type": "AWS::DynamoDB::Table", "id": "t",
        "account": OTHER, "region": "us-east-1"});
    let location = FakeLocation { opt_in, resources: vec![of(table)], ..FakeLocation::default() };
    world.state().backup.locations.insert(key(OTHER, "us-east-1"), location);
    world
}

fn recorded(kind: &str, id: &str, name: &str, arn: &str, tags: &[(&str, &str)], configuration: Value) -> Recorded {
    Recorded {
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        resource_type: kind.to_owned(),
        resource_id: id.to_owned(),
        resource_name: name.to_owned(),
        arn: arn.to_owned(),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        configuration,
    }
}

fn seconds(time: &str) -> f64 {
    time.parse::<Timestamp>().unwrap().as_millisecond() as f64 / 1000.0
}

/// The same organization in the local cloud.
/// Long because it lists the resources of one organization.
fn fill(local: &Local) {
    for account in [ACCOUNT, OTHER] {
        local.cloud.add_account(account, "an account");
    }
    let add = |resource| local.cloud.add_resource(resource);
    add(recorded(
        "AWS::RDS::DBCluster",
        "cluster-1",
        "orders",
        CLUSTER,
        &[("backup", "daily"), ("empty", "")],
        json!({"engine": "aurora-mysql", "storageEncrypted": true, "kmsKeyId": MANAGED_KEY, "clusterCreateTime": "2025-01-02T03:04:05.000Z", "port": 3306}),
    ));
    add(recorded(
        "AWS::RDS::DBInstance",
        "db-1",
        "orders-1",
        "arn:aws:rds:eu-west-1:444455556666:db:orders-1",
        &[],
        json!({"engine": "aurora-mysql", "dBClusterIdentifier": "orders"}),
    ));
    let disk = json!({"encrypted": true, "kmsKeyId": OWN_KEY});
    add(recorded("AWS::EC2::Volume", "vol-2", "", DISK, &[], disk));
    let instance = json!({"state": {"name": "stopped", "code": 80}});
    add(recorded("AWS::EC2::Instance", "i-1", "", "arn:aws:ec2:eu-west-1:444455556666:instance/i-1", &[], instance));
    add(recorded("AWS::S3::Bucket", "bucket", "bucket", "arn:aws:s3:::bucket", &[], json!({})));
    let point = json!({
        "RecoveryPointArn": point_arn(1), "ResourceArn": CLUSTER, "BackupVaultName": "daily", "Status": "COMPLETED",
        "CreationDate": "2026-11-26T03:00:00.000Z", "IsEncrypted": true, "Lifecycle": {"DeleteAfterDays": 97},
    });
    add(recorded("AWS::Backup::RecoveryPoint", &point_arn(1), "", &point_arn(1), &[("t", "u")], point));
    let point = json!({
        "RecoveryPointArn": point_arn(2), "ResourceArn": CLUSTER, "BackupVaultName": "gapped", "Status": "CREATING",
        "CreationDate": "2026-11-25T03:00:00.000Z", "IsEncrypted": false,
    });
    add(recorded("AWS::Backup::RecoveryPoint", &point_arn(2), "", &point_arn(2), &[], point));
    add(Recorded {
        account: OTHER.to_owned(),
        region: "us-east-1".to_owned(),
        ..recorded("AWS::DynamoDB::Table", "t", "", "arn:aws:dynamodb:us-east-1:777788889999:table/t", &[], json!({}))
    });
    let plans = vec![
        json!({"BackupPlanId": "plan-1", "Tags": {"owner": "ada"}, "BackupPlan": {"BackupPlanName": "gold", "Rules": [
            {"RuleName": "daily", "ScheduleExpression": "cron(0 3 * * ? *)", "TargetBackupVaultName": "daily",
                "EnableContinuousBackup": true, "Lifecycle": {"MoveToColdStorageAfterDays": 7, "DeleteAfterDays": 97},
                "StartWindowMinutes": 60, "CompletionWindowMinutes": 120, "RuleId": "r", "CopyActions": [{
                    "DestinationBackupVaultArn": "arn:aws:backup:us-east-1:444455556666:backup-vault:copies",
                    "Lifecycle": {"DeleteAfterDays": 30}}]},
            {"RuleName": "for ever", "TargetBackupVaultName": "daily"}]},
            "Selections": [
                {"SelectionId": "s-1", "BackupSelection": {"SelectionName": "by tag", "IamRoleArn": "arn:x", "Resources": [],
                    "NotResources": ["arn:aws:ec2:*"],
                    "ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "backup", "ConditionValue": "daily"}],
                    "Conditions": {"StringEquals": [{"ConditionKey": "aws:ResourceTag/a", "ConditionValue": "b"}],
                        "StringNotLike": [{"ConditionKey": "aws:ResourceTag/c", "ConditionValue": "*d"}]}}},
                {"SelectionId": "s-2", "BackupSelection": {"SelectionName": "by arn", "IamRoleArn": "arn:x", "Resources": [CLUSTER]}}]}),
        json!({"BackupPlanId": "plan-2", "BackupPlan": {"BackupPlanName": "silver", "Rules": []}}),
    ];
    let vaults = vec![
        json!({"BackupVaultName": "daily", "EncryptionKeyArn": "arn:aws:kms:eu-west-1:444455556666:key/1", "Policy": POLICY,
            "Tags": {"x": "y"}, "Locked": true, "MinRetentionDays": 7, "MaxRetentionDays": 365, "RecoveryPoints": [{
                "RecoveryPointArn": point_arn(1), "ResourceArn": CLUSTER, "ResourceType": "Aurora", "Status": "COMPLETED",
                "CreationDate": seconds("2026-11-26T03:00:00Z"), "CompletionDate": seconds("2026-11-26T03:30:00Z"),
                "Lifecycle": {"DeleteAfterDays": 97}, "IsEncrypted": true}]}),
        json!({"BackupVaultName": "gapped", "VaultType": "LOGICALLY_AIR_GAPPED_BACKUP_VAULT", "Locked": true, "MinRetentionDays": 7,
            "MaxRetentionDays": 90, "RecoveryPoints": [{"RecoveryPointArn": point_arn(2), "ResourceArn": CLUSTER,
                "Status": "CREATING", "CreationDate": seconds("2026-11-25T03:00:00Z"), "IsEncrypted": false}]}),
        json!({"BackupVaultName": "Default"}),
        // A view of a vault of another account.
        json!({"BackupVaultName": "theirs", "VaultType": "RESTORE_ACCESS_BACKUP_VAULT"}),
        json!({"BackupVaultName": "shared", "BackupVaultArn": "arn:aws:backup:eu-west-1:222222222222:backup-vault:shared"}),
    ];
    let protected_resources = vec![
        json!({"ResourceArn": CLUSTER, "ResourceType": "Aurora", "LatestRestoreExecutionTimeMinutes": 61}),
        json!({"ResourceArn": FILES, "ResourceType": "FSx"}),
        // It was deleted.
        json!({"ResourceArn": "arn:aws:ec2:eu-west-1:444455556666:volume/vol-3", "LatestRestoreExecutionTimeMinutes": 1}),
    ];
    let keys = vec![
        json!({"KeyId": "1", "Arn": MANAGED_KEY, "KeyManager": "AWS"}),
        json!({"KeyId": "2", "Arn": OWN_KEY, "KeyManager": "CUSTOMER"}),
    ];
    let tag = |key: &str, value: &str| json!([{"Key": key, "Value": value}]);
    let location = MemberData {
        plans,
        vaults,
        protected_resources,
        keys,
        file_systems: vec![
            json!({"ResourceARN": FILES, "FileSystemId": "fs-0123456789abcdef0", "FileSystemType": "ONTAP",
            "KmsKeyId": "k", "CreationTime": 1_735_787_045.5, "Tags": tag("backup", "weekly")}),
        ],
        volumes: vec![json!({"VolumeARN": VOLUME, "VolumeId": "vol-1", "Tags": tag("a", "b")})],
        virtual_machines: vec![json!({"ResourceArn": MACHINE, "Name": "vm one", "Tags": tag("c", "d")})],
        ..MemberData::default()
    };
    local.cloud.member_services().put(ACCOUNT, REGION, location);
}

async fn from_fake(world: &World) -> InventoryOutcome {
    read(world, Some(world), &options(), (began(), Vec::new()), |_: &CompletedRead| Ok(()), |_| ()).await.unwrap()
}

async fn from_cloud(clients: &Clients) -> InventoryOutcome {
    let aggregator = clients.patient_aggregator(AGGREGATOR);
    let members = clients.member_backups(ROLE);
    read(&aggregator, Some(&members), &options(), (began(), Vec::new()), |_| Ok(()), |_| ()).await.unwrap()
}

fn parts(outcome: &InventoryOutcome, account: &str) -> BTreeSet<LocationPart> {
    let locations = outcome.document.locations.iter().filter(|location| location.account.as_str() == account);
    locations.flat_map(|location| &location.unread).map(|unread| unread.part).collect()
}

#[tokio::test]
async fn fake_and_adapter_return_same_inventory() {
    let expected = from_fake(&fake()).await;
    assert_eq!(expected.failures, []);
    assert_eq!((expected.document.resources.len(), expected.document.plans.len()), (9, 2));
    let local = Local::start().await;
    fill(&local);
    let found = from_cloud(&local.clients).await;
    assert_eq!(found.failures, []);
    assert_eq!(json!(found.document), json!(expected.document));
    // Page by page, with empty pages among them, and with locks returned for each vault.
    local.cloud.member_services().set_page_size(Some(1));
    local.cloud.config().send_empty_pages(true);
    let paged = from_cloud(&local.new_clients().await).await;
    assert_eq!(json!(paged.document), json!(expected.document));
    assert_eq!(local.cloud.stop(), []);
}

/// Long because a cloud is started once for all failures.
#[tokio::test]
async fn fake_and_adapter_report_same_failures() {
    let local = Local::start().await;
    fill(&local);
    let cloud = &local.cloud;
    // Throttled for a while: nothing is missing.
    for (service, operation) in [
        ("config", "SelectAggregateResourceConfig"),
        ("backup", "ListBackupVaults"),
        ("backup", "DescribeProtectedResource"),
        ("fsx", "DescribeFileSystems"),
        ("kms", "DescribeKey"),
    ] {
        cloud.fail_next(service, operation, 400, "ThrottlingException", "Rate exceeded", 2);
    }
    let found = from_cloud(&local.clients).await;
    assert_eq!(found.failures, []);
    assert_eq!(json!(found.document), json!(from_fake(&fake()).await.document));

    // A Region that is not enabled.
    let world = fake();
    world.state().backup.off.insert(key(OTHER, "us-east-1"));
    cloud.member_services().set_region_enabled(OTHER, "us-east-1", false);
    let (found, expected) = (from_cloud(&local.new_clients().await).await, from_fake(&world).await);
    assert_eq!(parts(&found, OTHER), parts(&expected, OTHER));
    let reasons =
        |outcome: &InventoryOutcome| outcome.failures.iter().map(|failure| failure.reason).collect::<Vec<_>>();
    assert_eq!(
        (reasons(&found), reasons(&expected)),
        (vec![ReadFailureReason::RegionDisabled], vec![ReadFailureReason::RegionDisabled])
    );
    cloud.member_services().set_region_enabled(OTHER, "us-east-1", true);

    // An account that denies access: plans and vaults come from the aggregator.
    let world = fake();
    world.state().backup.closed.insert(key(OTHER, "us-east-1").0);
    cloud.set_assume_role_allowed(OTHER, false);
    let (found, expected) = (from_cloud(&local.new_clients().await).await, from_fake(&world).await);
    assert_eq!(parts(&found, OTHER), parts(&expected, OTHER));
    assert_eq!(
        (reasons(&found), reasons(&expected)),
        (vec![ReadFailureReason::NoRole], vec![ReadFailureReason::NoRole])
    );
    assert_eq!(json!(found.document.resources), json!(expected.document.resources));
    cloud.set_assume_role_allowed(OTHER, true);

    // One call that is denied.
    let world = fake();
    world.fail_next("backup:GetBackupVaultAccessPolicy", app::ports::PortErrorKind::Denied);
    cloud.fail_next("backup", "GetBackupVaultAccessPolicy", 403, "AccessDeniedException", "no", 1);
    let (found, expected) = (from_cloud(&local.new_clients().await).await, from_fake(&world).await);
    assert_eq!(
        (reasons(&found), reasons(&expected)),
        (vec![ReadFailureReason::Denied], vec![ReadFailureReason::Denied])
    );
    assert_eq!(json!(found.document), json!(expected.document));

    // A recorder that excludes types, and one that is off.
    let group = json!({"recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"},
        "exclusionByResourceTypes": {"resourceTypes": ["AWS::EFS::FileSystem"]}});
    cloud.member_services().put(
        OTHER,
        "us-east-1",
        MemberData { recording_group: Some(group), ..MemberData::default() },
    );
    let found = from_cloud(&local.new_clients().await).await;
    assert_eq!(found.failures[0].message, "AWS Config does not record AWS::EFS::FileSystem here");
    cloud.member_services().put(OTHER, "us-east-1", MemberData { recording: false, ..MemberData::default() });
    let found = from_cloud(&local.new_clients().await).await;
    assert_eq!((reasons(&found), found.failures.len()), (vec![ReadFailureReason::NotRecorded], 1));
    cloud.member_services().put(OTHER, "us-east-1", MemberData::default());

    // Accounts without data in the aggregator.
    cloud.config().set_hidden(OTHER, "us-east-1", Some(Hidden::Everything));
    let found = from_cloud(&local.new_clients().await).await;
    assert_eq!(
        (reasons(&found), parts(&found, OTHER)),
        (vec![ReadFailureReason::Stale], BTreeSet::from([LocationPart::Resources]))
    );
    cloud.config().set_hidden(OTHER, "us-east-1", None);

    // Invalid numbers and words are reported, and not replaced by defaults.
    let invalid = json!({"BackupVaultName": "odd", "Locked": true, "MinRetentionDays": -7});
    cloud.member_services().put(OTHER, "us-east-1", MemberData { vaults: vec![invalid], ..MemberData::default() });
    let found = from_cloud(&local.new_clients().await).await;
    assert!(found.failures[0].message.contains("MinRetentionDays of the vault odd is -7"), "{:?}", found.failures);
    assert_eq!(parts(&found, OTHER), BTreeSet::from([LocationPart::Vaults, LocationPart::RecoveryPoints]));
    assert_eq!(local.cloud.stop(), []);
}
