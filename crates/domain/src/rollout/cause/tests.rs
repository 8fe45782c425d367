use super::*;

/// Reasons as people have reported them, or as AWS words its errors; ids are made up.
const REASONS: &[(&str, Cause)] = &[
    (
        "Account 111111111111 should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role 'AWSCloudFormationStackSetAdministrationRole'.",
        Cause::ExecutionRole,
    ),
    (
        "Account 111111111111 should have 'fleet-exec' role with trust relationship to Role 'fleet-admin'.",
        Cause::ExecutionRole,
    ),
    (
        "User: arn:aws:sts::111111111111:assumed-role/AWSCloudFormationStackSetAdministrationRole/6c83d676-b9b9-4369-baa0-2c09a8d5e601 is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/AWSCloudFormationStackSetExecutionRole",
        Cause::ExecutionRole,
    ),
    (
        "Account 111111111111 should have 'AWSCloudFormationStackSetAdministrationRole' role with trust relationship to CloudFormation service.",
        Cause::AdministrationRole,
    ),
    (
        "cloudformation:CreateStackSet failed: ValidationError: Account 000000000000 should have 'AWSCloudFormationStackSetAdministrationRole' role (request 1f0c)",
        Cause::AdministrationRole,
    ),
    ("DEFAULT_ROLE_CREATION_ERROR", Cause::ServiceManagedRole),
    ("You must enable organizations access to operate a service managed stack set", Cause::TrustedAccess),
    (
        "STS is not activated in this region for account:111111111111. Your account administrator can activate STS in this region using the IAM Console.",
        Cause::RegionNotEnabled,
    ),
    ("Region ap-east-1 is not enabled for account 111111111111", Cause::RegionNotEnabled),
    (
        "The security token included in the request is invalid (Service: AmazonCloudFormation; Status Code: 403; Error Code: InvalidClientTokenId; Request ID: 5d5a; Proxy: null)",
        Cause::RegionNotEnabled,
    ),
    (
        "ResourceLogicalId:Rule, ResourceType:AWS::Config::ConfigRule, ResourceStatusReason:You must create a configuration recorder before you can create or update a Config rule. (Service: AmazonConfig; Status Code: 400; Error Code: NoAvailableConfigurationRecorderException; Request ID: 9bb82856-c9b9-4bba-80d2-acd1c21a9979; Proxy: null).",
        Cause::ConfigRecorder,
    ),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Config is not recording in this account and Region.",
        Cause::ConfigRecorder,
    ),
    ("AWS Config is not enabled in this Region.", Cause::ConfigRecorder),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Resource handler returned message: \"Controls in framework baseline from account 111111111111 already exist. (Service: Backup, Status Code: 400, Request ID: f1255d8f-1897-4a07-b0b6-ab37c923c790)\" (RequestToken: 1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d, HandlerErrorCode: AlreadyExists).",
        Cause::SameControls,
    ),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Resource handler returned message: \"Maximum number of frameworks reached\" (HandlerErrorCode: ServiceLimitExceeded).",
        Cause::LimitReached(Limit::Frameworks),
    ),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:The number of controls exceeds the limit of 50.",
        Cause::LimitReached(Limit::Controls),
    ),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:A limit in the request has been exceeded (HandlerErrorCode: ServiceLimitExceeded)",
        Cause::LimitReached(Limit::AuditManager),
    ),
    (
        "Failed to put config rule because the maximum number of config rules: 1000 is reached. (Error Code: MaxNumberOfConfigRulesExceededException)",
        Cause::LimitReached(Limit::ConfigRules),
    ),
    (
        "cloudformation:CreateStackSet failed: LimitExceededException: The maximum number of StackSets is reached",
        Cause::LimitReached(Limit::StackSets),
    ),
    (
        "ResourceLogicalId:Channel, ResourceType:AWS::Config::DeliveryChannel, ResourceStatusReason:Failed to put delivery channel 'x' because the maximum number of delivery channels: 1 is reached.",
        Cause::LimitReached(Limit::Other),
    ),
    ("ACCOUNT_SUSPENDED", Cause::AccountClosed),
    ("the account is suspended", Cause::AccountClosed),
    ("Account 111111111111 is SUSPENDED", Cause::AccountClosed),
    ("Insufficient capabilities: InsufficientCapabilitiesException", Cause::Capabilities),
    ("Requires capabilities : [CAPABILITY_NAMED_IAM]", Cause::Capabilities),
    ("Stack [StackSet-x] cannot be deleted while TerminationProtection is enabled", Cause::TerminationProtection),
    (
        "Stack:arn:aws:cloudformation:us-east-1:111111111111:stack/StackSet-x/8f083a20-2c23-11ea-a185-0a6046b66d41 is in UPDATE_ROLLBACK_FAILED state and can not be updated.",
        Cause::StackBroken,
    ),
    ("Stack:x is in ROLLBACK_COMPLETE state and can not be updated.", Cause::StackBroken),
    ("Stack:x is in UPDATE_IN_PROGRESS state and can not be updated.", Cause::StackBusy),
    (
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Resource of type 'AWS::Backup::Framework' with identifier 'baseline' already exists.",
        Cause::NameTaken,
    ),
    ("Stack [StackSet-x] already exists", Cause::NameTaken),
    ("Rate exceeded (Service: AmazonCloudFormation; Status Code: 400; Error Code: Throttling)", Cause::Throttled),
    ("RequestLimitExceeded", Cause::Throttled),
    ("Cancelled since failure tolerance has exceeded", Cause::ToleranceExceeded),
    ("Cancelled since the operation was stopped", Cause::Stopped),
];

#[test]
fn known_reasons_have_a_cause() {
    for (reason, cause) in REASONS {
        assert_eq!(Cause::of(reason).as_ref(), Some(cause), "{reason}");
        assert_eq!(Cause::of(&reason.to_ascii_uppercase()).as_ref(), Some(cause), "{reason}");
    }
    for reason in [crate::rollout::SkipReason::Suspended, crate::rollout::SkipReason::ManagementAccount] {
        assert!(Cause::of(reason.words()).is_some(), "{reason:?}");
    }
}

#[test]
fn what_is_not_allowed_is_named() {
    let resource = "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:";
    for (reason, cause) in [
        (
            "User: arn:aws:sts::111111111111:assumed-role/x/y is not authorized to perform: backup:CreateFramework on resource: * (Service: Backup; Status Code: 403; Error Code: AccessDeniedException)",
            Cause::NotAuthorized(Some("backup:CreateFramework".into())),
        ),
        (
            "User: arn:aws:sts::111111111111:assumed-role/stacksets-exec-1/y is not authorized to perform: cloudformation:CreateStack on resource: arn:aws:cloudformation:us-east-1:111111111111:stack/StackSet-x/* with an explicit deny in a service control policy",
            Cause::Denied(Some("cloudformation:CreateStack".into())),
        ),
        ("Access Denied", Cause::NotAuthorized(None)),
        ("not authorized to perform: <script>", Cause::NotAuthorized(None)),
        ("not authorized to perform: a:", Cause::NotAuthorized(None)),
    ] {
        assert_eq!(Cause::of(&format!("{resource}{reason}")), Some(cause), "{reason}");
    }
    let endless = format!("not authorized to perform: a:{}", "b".repeat(1_000));
    assert_eq!(Cause::of(&endless), Some(Cause::NotAuthorized(None)));
}

#[test]
fn other_reasons_stay_as_they_are() {
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
        assert_eq!(Cause::of(reason), None, "{reason}");
    }
}

/// Each fits a line or two of a mail, and files that it names are there.
#[test]
fn every_cause_has_words_and_advice() {
    let limits =
        [Limit::Frameworks, Limit::Controls, Limit::AuditManager, Limit::ConfigRules, Limit::StackSets, Limit::Other];
    let mut causes: Vec<Cause> = REASONS.iter().map(|(_, cause)| cause.clone()).collect();
    causes.extend(limits.map(Cause::LimitReached));
    causes.extend([Cause::ManagementAccount, Cause::NotAuthorized(None), Cause::Denied(None)]);
    causes.extend([Cause::NotAuthorized(Some("a:B".into())), Cause::Denied(Some("a:B".into()))]);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let told: std::collections::BTreeSet<&str> = causes.iter().map(Cause::word).collect();
    assert_eq!(told, Cause::WORDS.into_iter().collect());
    for cause in causes {
        let (words, advice) = (cause.words(), cause.advice());
        assert!(words.len() <= 90 && !words.ends_with('.') && !words.contains("  "), "{words}");
        assert!(advice.len() <= 200 && advice.ends_with('.') && !advice.contains("  "), "{advice}");
        for file in advice.split([' ', ';', ':']).filter(|word| word.contains(".yaml")) {
            assert!(folder.join(file.trim_end_matches('.')).is_file(), "{file}");
        }
    }
}
