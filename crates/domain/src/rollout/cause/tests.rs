use super::*;

/// Reasons that users have reported, or wordings of AWS errors; the ids are invented.
const REASONS: &[(&str, FailureCause)] = &[
    (
        "Account 111111111111 should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role 'AWSCloudFormationStackSetAdministrationRole'.",
        FailureCause::ExecutionRole,
    ),
    (
        "Account 111111111111 should have 'fleet-exec' role with trust relationship to Role 'fleet-admin'.",
        FailureCause::ExecutionRole,
    ),
    (
        "User: arn:aws:sts::111111111111:assumed-role/AWSCloudFormationStackSetAdministrationRole/6c83d676-b9b9-4369-baa0-2c09a8d5e601 is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/AWSCloudFormationStackSetExecutionRole",
        FailureCause::ExecutionRole,
    ),
    (
        "Account 111111111111 should have 'AWSCloudFormationStackSetAdministrationRole' role with trust relationship to CloudFormation service.",
        FailureCause::AdministrationRole,
    ),
    (
        "cloudformation:CreateStackSet failed: ValidationError: Account 000000000000 should have 'AWSCloudFormationStackSetAdministrationRole' role (request 1f0c)",
        FailureCause::AdministrationRole,
    ),
    ("DEFAULT_ROLE_CREATION_ERROR", FailureCause::ServiceManagedRole),
    ("You must enable organizations access to operate a service managed stack set", FailureCause::TrustedAccess),
    (
        "STS is not activated in this region for account:111111111111. Your account administrator can activate STS in this region using the IAM Console.",
        FailureCause::RegionNotEnabled,
    ),
    ("Region ap-east-1 is not enabled for account 111111111111", FailureCause::RegionNotEnabled),
    (
        "The security token included in the request is invalid (Service: AmazonCloudFormation; Status Code: 403; Error Code: InvalidClientTokenId; Request ID: 5d5a; Proxy: null)",
        FailureCause::RegionNotEnabled,
    ),
    (
        "ResourceLogicalId:Rule, ResourceType:AWS::Config::ConfigRule, ResourceStatusReason:You must create a configuration recorder before you can create or update a Config rule. (Service: AmazonConfig; Status Code: 400; Error Code: NoAvailableConfigurationRecorderException; Request ID: 9bb82856-c9b9-4bba-80d2-acd1c21a9979; Proxy: null).",
        FailureCause::ConfigRecorder,
    ),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Config is not recording in this account and Region.",
        FailureCause::ConfigRecorder,
    ),
    ("AWS Config is not enabled in this Region.", FailureCause::ConfigRecorder),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Resource handler returned message: \"Controls in framework baseline from account 111111111111 already exist. (Service: Backup, Status Code: 400, Request ID: f1255d8f-1897-4a07-b0b6-ab37c923c790)\" (RequestToken: 1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d, HandlerErrorCode: AlreadyExists).",
        FailureCause::SameControls,
    ),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Resource handler returned message: \"Maximum number of frameworks reached\" (HandlerErrorCode: ServiceLimitExceeded).",
        FailureCause::LimitReached(Quota::Frameworks),
    ),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:The number of controls exceeds the limit of 50.",
        FailureCause::LimitReached(Quota::Controls),
    ),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:A limit in the request has been exceeded (HandlerErrorCode: ServiceLimitExceeded)",
        FailureCause::LimitReached(Quota::AuditManager),
    ),
    (
        "Failed to put config rule because the maximum number of config rules: 1000 is reached. (Error Code: MaxNumberOfConfigRulesExceededException)",
        FailureCause::LimitReached(Quota::ConfigRules),
    ),
    (
        "cloudformation:CreateStackSet failed: LimitExceededException: The maximum number of StackSets is reached",
        FailureCause::LimitReached(Quota::StackSets),
    ),
    (
        "ResourceLogicalId:Channel, ResourceType:AWS::Config::DeliveryChannel, ResourceStatusReason:Failed to put delivery channel 'x' because the maximum number of delivery channels: 1 is reached.",
        FailureCause::LimitReached(Quota::Other),
    ),
    ("ACCOUNT_SUSPENDED", FailureCause::AccountClosed),
    ("the account is suspended", FailureCause::AccountClosed),
    ("Account 111111111111 is SUSPENDED", FailureCause::AccountClosed),
    ("Insufficient capabilities: InsufficientCapabilitiesException", FailureCause::Capabilities),
    ("Requires capabilities : [CAPABILITY_NAMED_IAM]", FailureCause::Capabilities),
    (
        "Stack [StackSet-x] cannot be deleted while TerminationProtection is enabled",
        FailureCause::TerminationProtection,
    ),
    (
        "Stack:arn:aws:cloudformation:us-east-1:111111111111:stack/StackSet-x/8f083a20-2c23-11ea-a185-0a6046b66d41 is in UPDATE_ROLLBACK_FAILED state and can not be updated.",
        FailureCause::StackBroken,
    ),
    ("Stack:x is in ROLLBACK_COMPLETE state and can not be updated.", FailureCause::StackBroken),
    ("Stack:x is in UPDATE_IN_PROGRESS state and can not be updated.", FailureCause::StackBusy),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Resource of type 'AWS::Backup::Framework' with identifier 'baseline' already exists.",
        FailureCause::NameTaken,
    ),
    ("Stack [StackSet-x] already exists", FailureCause::NameTaken),
    (
        "Rate exceeded (Service: AmazonCloudFormation; Status Code: 400; Error Code: Throttling)",
        FailureCause::Throttled,
    ),
    ("RequestLimitExceeded", FailureCause::Throttled),
    ("Cancelled since failure tolerance has exceeded", FailureCause::ToleranceExceeded),
    ("Cancelled since the operation was stopped", FailureCause::Stopped),
];

#[test]
fn cause_of_known_reasons() {
    for (reason, cause) in REASONS {
        assert_eq!(FailureCause::from_reason(reason).as_ref(), Some(cause), "{reason}");
        assert_eq!(FailureCause::from_reason(&reason.to_ascii_uppercase()).as_ref(), Some(cause), "{reason}");
    }
    for reason in [crate::rollout::SkipReason::Suspended, crate::rollout::SkipReason::ManagementAccount] {
        assert!(FailureCause::from_reason(reason.description()).is_some(), "{reason:?}");
    }
}

#[test]
fn cause_names_the_denied_action() {
    let resource = "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:";
    for (reason, cause) in [
        (
            "User: arn:aws:sts::111111111111:assumed-role/x/y is not authorized to perform: backup:CreateFramework on resource: * (Service: Backup; Status Code: 403; Error Code: AccessDeniedException)",
            FailureCause::NotAuthorized(Some("backup:CreateFramework".into())),
        ),
        (
            "User: arn:aws:sts::111111111111:assumed-role/stacksets-exec-1/y is not authorized to perform: cloudformation:CreateStack on resource: arn:aws:cloudformation:us-east-1:111111111111:stack/StackSet-x/* with an explicit deny in a service control policy",
            FailureCause::Denied(Some("cloudformation:CreateStack".into())),
        ),
        ("Access Denied", FailureCause::NotAuthorized(None)),
        ("not authorized to perform: <script>", FailureCause::NotAuthorized(None)),
        ("not authorized to perform: a:", FailureCause::NotAuthorized(None)),
    ] {
        assert_eq!(FailureCause::from_reason(&format!("{resource}{reason}")), Some(cause), "{reason}");
    }
    let endless = format!("not authorized to perform: a:{}", "b".repeat(1_000));
    assert_eq!(FailureCause::from_reason(&endless), Some(FailureCause::NotAuthorized(None)));
}

#[test]
fn cause_of_other_reasons_is_none() {
    for reason in [
        "",
        "CloudFormation gave no reason",
        "no stack instance exists",
        "User initiated operation",
        "Template error: instance of Fn::GetAtt references undefined resource Framework",
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Invalid control name",
        "the instance is inoperable: an earlier delete failed",
        "unknown instance status `NEW`",
    ] {
        assert_eq!(FailureCause::from_reason(reason), None, "{reason}");
    }
}

/// Each fits in two lines of a mail, is described in the schema, and files that it names exist.
#[test]
fn cause_has_short_text_and_advice() {
    let limits =
        [Quota::Frameworks, Quota::Controls, Quota::AuditManager, Quota::ConfigRules, Quota::StackSets, Quota::Other];
    let mut causes: Vec<FailureCause> = REASONS.iter().map(|(_, cause)| cause.clone()).collect();
    causes.extend(limits.map(FailureCause::LimitReached));
    causes.extend([FailureCause::ManagementAccount, FailureCause::NotAuthorized(None), FailureCause::Denied(None)]);
    causes.extend([FailureCause::NotAuthorized(Some("a:B".into())), FailureCause::Denied(Some("a:B".into()))]);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let words: Vec<serde_json::Value> = causes.iter().map(|cause| serde_json::json!(cause)).collect();
    let words: std::collections::BTreeSet<&str> = words.iter().filter_map(serde_json::Value::as_str).collect();
    assert_eq!(words.len(), 20, "{words:?}");
    let schema = std::fs::read_to_string(folder.join("schemas/notice.schema.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let described = &schema["$defs"]["rollout"]["properties"]["groups"]["items"]["properties"]["cause"]["enum"];
    assert_eq!(words, described.as_array().unwrap().iter().filter_map(serde_json::Value::as_str).collect());
    for cause in causes {
        let (words, advice) = (cause.description(), cause.advice());
        assert!(words.len() <= 90 && !words.ends_with('.') && !words.contains("  "), "{words}");
        assert!(advice.len() <= 200 && advice.ends_with('.') && !advice.contains("  "), "{advice}");
        for file in advice.split([' ', ';', ':']).filter(|word| word.contains(".yaml")) {
            assert!(folder.join(file.trim_end_matches('.')).is_file(), "{file}");
        }
    }
}
