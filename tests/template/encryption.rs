//! Encryption at rest with the key of the application, and in transit.

use serde_json::{Value, json};

use super::parsed::ParsedTemplate;

#[test]
fn data_at_rest_is_encrypted_with_the_key() {
    let template = ParsedTemplate::application();
    let places = [
        ("AWS::SQS::Queue", "/KmsMasterKeyId"),
        ("AWS::SNS::Topic", "/KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "/KmsKeyId"),
        ("AWS::DynamoDB::Table", "/SSESpecification/KMSMasterKeyId"),
        (
            "AWS::S3::Bucket",
            "/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault/KMSMasterKeyID",
        ),
    ];
    for (kind, place) in places {
        // CI encrypts the policy without permissions on the key.
        for id in template.of_type(kind).into_iter().filter(|id| *id != "PolicyBucket") {
            assert_eq!(template.properties(id).pointer(place), Some(&json!({"Fn::GetAtt": ["Key", "Arn"]})), "{id}");
        }
    }
    assert_eq!(template.properties("Key")["EnableKeyRotation"], true);
    let policy = "/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault/SSEAlgorithm";
    assert_eq!(template.properties("PolicyBucket").pointer(policy), Some(&json!("AES256")));
}

#[test]
fn key_admits_services_that_write() {
    let template = ParsedTemplate::application();
    let statements = template.properties("Key")["KeyPolicy"]["Statement"].as_array().unwrap();
    let services: Vec<Value> = statements
        .iter()
        .filter_map(|statement| statement["Principal"].get("Service"))
        .map(|service| template.resolve(service))
        .collect();
    assert_eq!(services, ["events.amazonaws.com", "cloudwatch.amazonaws.com", "logs.us-east-1.amazonaws.com"]);
}

/// A writer or reader of an encrypted queue or topic needs the key too; a missing permission fails only on AWS.
#[test]
fn roles_use_key_through_their_services() {
    let template = ParsedTemplate::application();
    for role in template.of_type("AWS::IAM::Role") {
        let policies = template.resolve(&template.properties(role)["Policies"]);
        let statements = policies[0]["PolicyDocument"]["Statement"].as_array().unwrap();
        let mut used: Vec<&str> = Vec::new();
        let mut through = Vec::new();
        for statement in statements {
            for action in super::parsed::texts(&statement["Action"]) {
                used.push(action.split(':').next().unwrap());
            }
            through.extend(super::parsed::texts(&statement["Condition"]["StringEquals"]["kms:ViaService"]));
        }
        used.sort_unstable();
        used.dedup();
        used.retain(|service| ["codecommit", "dynamodb", "s3", "sns", "sqs"].contains(service));
        through.sort_unstable();
        let expected: Vec<String> = used.iter().map(|service| format!("{service}.us-east-1.amazonaws.com")).collect();
        assert_eq!(through, expected, "{role}");
    }
}

#[test]
fn plain_http_is_rejected() {
    let template = ParsedTemplate::application();
    let policies = ["AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy"];
    for id in policies.iter().flat_map(|kind| template.of_type(kind)) {
        let statements = template.properties(id)["PolicyDocument"]["Statement"].as_array().unwrap();
        let refuses = |statement: &&Value| {
            statement["Effect"] == "Deny"
                && statement["Principal"] == "*"
                && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
        };
        assert_eq!(statements.iter().filter(refuses).count(), 1, "{id}");
    }
}

#[test]
fn bucket_is_private_and_deletable() {
    let template = ParsedTemplate::application();
    let bucket = template.properties("TemplateBucket");
    for id in template.of_type("AWS::S3::Bucket") {
        let blocked = template.properties(id)["PublicAccessBlockConfiguration"].as_object().unwrap();
        assert_eq!(blocked.len(), 4, "{id}");
        assert!(blocked.values().all(|value| value == true), "{id}");
    }
    assert_eq!(bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"], 7);
    // With old versions, CloudFormation cannot delete the bucket.
    assert!(bucket.get("VersioningConfiguration").is_none());
}

/// The writer of the policy decides about the frameworks of all accounts, and without its successors an older version would be in force.
#[test]
fn policy_bucket_is_written_by_ci_only() {
    let template = ParsedTemplate::application();
    let bucket = template.properties("PolicyBucket");
    assert_eq!(bucket["VersioningConfiguration"], json!({"Status": "Enabled"}));
    assert_eq!(bucket["NotificationConfiguration"]["EventBridgeConfiguration"], json!({"EventBridgeEnabled": true}));
    for rule in bucket["LifecycleConfiguration"]["Rules"].as_array().unwrap() {
        assert!(!rule.to_string().contains("Expiration"), "versions stay: {rule}");
    }
    let policy = template.resolve(&template.properties("PolicyBucketPolicy")["PolicyDocument"]);
    let statements = policy["Statement"].as_array().unwrap();
    assert!(statements.iter().all(|statement| statement["Effect"] == "Deny" && statement["Principal"] == "*"));
    let of = |sid: &str| statements.iter().find(|statement| statement["Sid"] == sid).unwrap();
    let writer = "arn:aws:iam::000000000000:role/backup-compliance-policy-writer";
    assert_eq!(of("OnlyCiWrites")["Action"], json!(["s3:PutObject", "s3:ReplicateObject"]));
    assert_eq!(of("OnlyCiWrites")["Condition"], json!({"ArnNotEquals": {"aws:PrincipalArn": writer}}));
    assert_eq!(of("VersionsStay")["Action"], json!(["s3:DeleteObject", "s3:DeleteObjectVersion"]));
    assert_eq!(of("VersionsStay").get("Condition"), None);
    for sid in ["OnlyCiWrites", "VersionsStay"] {
        assert_eq!(of(sid)["Resource"], "${PolicyBucket.Arn}/*", "{sid}");
    }
    for id in ["PolicyBucket", "PolicyBucketPolicy"] {
        assert_eq!(template.resource(id)["Condition"], "PolicyIsInS3", "{id}");
    }
}

/// The log of the removal stays, and so does the key of all data that outlives the stack: without the key, that log
/// and the backup that DynamoDB keeps of the table are unreadable.
#[test]
fn removal_log_and_key_are_retained() {
    const STAYS: [&str; 4] = ["DeployLogGroup", "Key", "LifecycleLogGroup", "PolicyBucket"];
    let template = ParsedTemplate::application();
    for (id, resource) in template.section("Resources") {
        let policy = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or("Delete");
        // A failed creation leaves no resources.
        let (deleted, replaced) =
            if STAYS.contains(&id.as_str()) { ("RetainExceptOnCreate", "Retain") } else { ("Delete", "Delete") };
        assert_eq!((policy("DeletionPolicy"), policy("UpdateReplacePolicy")), (deleted, replaced), "{id}");
    }
    for id in ["StateTable", "TemplateBucket"] {
        assert_eq!(template.resource(id)["DeletionPolicy"], "Delete", "{id}: said and not left to a default");
    }
    let page = crate::files::read("docs/deploy.md");
    let removing = page.split("\n## ").find(|section| section.starts_with("Remove")).unwrap();
    for output in ["DeployLogGroupName", "LifecycleLogGroupName", "KeyArn", "PolicyBucketName"] {
        assert!(template.section("Outputs").contains_key(output), "{output}");
        assert!(removing.contains(output), "{output}");
    }
}

/// The name of a retained log group must differ from the names that the next stack of the same name creates.
#[test]
fn retained_log_group_has_unique_name() {
    let template = ParsedTemplate::application();
    let name = |id: &str| template.resolve(&template.properties(id)["LogGroupName"]).as_str().unwrap().to_owned();
    let Value::String(stack) = template.resolve(&json!({"Ref": "AWS::StackId"})) else { panic!("no stack id") };
    let id = stack.rsplit('/').next().unwrap();
    for group in template.of_type("AWS::Logs::LogGroup") {
        let stays = template.resource(group)["DeletionPolicy"] != "Delete";
        assert_eq!(name(group).ends_with(&format!("-{id}")), stays, "{group}: {}", name(group));
    }
    // The key policy admits CloudWatch Logs for these names.
    let policy = &template.properties("Key")["KeyPolicy"]["Statement"];
    let logs = template.resolve(policy.as_array().unwrap().last().unwrap());
    let arn = logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"].as_str().unwrap();
    let prefix = arn.split_once(":log-group:").unwrap().1.strip_suffix('*').unwrap();
    for group in template.of_type("AWS::Logs::LogGroup") {
        assert!(name(group).starts_with(prefix), "{group}");
    }
}
