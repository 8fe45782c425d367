//! Known causes of failed instances, recognized by CloudFormation's status reason, and their remediation.
//!
//! AWS does not document status reasons and may change them. The matchers use wordings that users have reported; where only one
//! is on record, its essential words and not the sentence. An unknown reason has no cause and is reported as it is.

use serde::Serialize;

/// A known cause of a failed instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureCause {
    /// The role in the target account is missing or does not trust the administration role.
    ExecutionRole,
    /// The role in the administrator account is missing or does not trust CloudFormation.
    AdministrationRole,
    /// StackSets could not create its own role in the account (service-managed permissions).
    ServiceManagedRole,
    /// CloudFormation has no trusted access to the organization.
    TrustedAccess,
    /// An opt-in Region that the account has not enabled, or one without STS. Most services report an invalid token there.
    RegionNotEnabled,
    /// AWS Config has no recorder, or its recorder is off.
    ConfigRecorder,
    /// Another framework of the account and Region has the same controls with the same parameters.
    SameControls,
    /// A quota is exhausted.
    LimitReached(#[serde(skip)] Quota),
    /// The account is suspended or closed.
    AccountClosed,
    /// The management account, to which service-managed permissions never deploy.
    ManagementAccount,
    /// IAM does not allow an action, such as `backup:CreateFramework`; `None` if the reason does not name it.
    NotAuthorized(#[serde(skip)] Option<String>),
    /// A policy denies the action explicitly, as service control policies do.
    Denied(#[serde(skip)] Option<String>),
    /// The template creates IAM resources without the capability for them.
    Capabilities,
    /// Termination protection prevents the deletion of the stack.
    TerminationProtection,
    /// An earlier operation left the stack in a state that needs manual repair.
    StackBroken,
    /// Another operation is working on the stack.
    StackBusy,
    /// A framework, stack or other resource of that name exists already.
    NameTaken,
    /// Too many calls at the same time.
    Throttled,
    /// More instances failed than the policy tolerates.
    ToleranceExceeded,
    /// The operation was stopped.
    Stopped,
}

/// A quota with its default (AWS Backup, AWS Config and CloudFormation quotas).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quota {
    /// Frameworks in an account and Region: 15.
    Frameworks,
    /// Controls in an account and Region: 50; a control in two frameworks counts twice.
    Controls,
    /// Frameworks or controls: AWS Backup does not always report which.
    AuditManager,
    /// AWS Config rules in an account and Region: 1,000.
    ConfigRules,
    /// StackSets of an administrator account, 1,000, or instances of a StackSet, 100,000.
    StackSets,
    /// Another quota.
    Other,
}

/// Maximum characters of a reason that are searched; CloudFormation's own reasons have a few hundred.
const SEARCHED: usize = 2_000;
/// Maximum characters of the name of an action in a report.
const MAX_ACTION: usize = 100;

impl FailureCause {
    /// Recognizes the cause in a status reason, if it is known. The order matters: a reason may have words of several.
    pub fn from_reason(reason: &str) -> Option<Self> {
        let lower: String = reason.chars().take(SEARCHED).map(|c| c.to_ascii_lowercase()).collect();
        let has = |words: &str| lower.contains(words);
        let any = |words: &[&str]| contains_any(&lower, words);
        // CloudFormation puts the logical id and type of the resource before the message of the service.
        let message = lower.split_once("resourcestatusreason:").map_or(lower.as_str(), |(_, message)| message);

        Some(if has("failure tolerance") && any(&["cancel", "exceed"]) {
            Self::ToleranceExceeded
        } else if any(&["operation was stopped", "operation has been stopped", "operation is stopped"]) {
            Self::Stopped
        } else if let Some(role) = role(&lower) {
            role
        } else if has("default_role_creation_error") {
            Self::ServiceManagedRole
        } else if any(&["organizations access", "trusted access"]) {
            Self::TrustedAccess
        } else if any(&["account_suspended", "account_closed", "account is closed", "account has been closed"])
            || (has("suspended") && has("account"))
        {
            Self::AccountClosed
        } else if has("management account") && any(&["never deploy", "not deploy"]) {
            Self::ManagementAccount
        } else if any(&["throttl", "rate exceeded", "requestlimitexceeded", "too many requests", "toomanyrequests"]) {
            Self::Throttled
        } else if region_not_enabled(&lower) {
            Self::RegionNotEnabled
        } else if any(&["controls in framework", "same controls"]) && has("exist") {
            Self::SameControls
        } else if any(&["limitexceeded", "limit exceeded", "maxnumberof", "maximum number of", "quota"])
            || (any(&["limit ", "limits ", "limit.", "maximum "]) && any(&["reached", "exceeds", "exceeded"]))
        {
            Self::LimitReached(Quota::of(message, has("aws::backup::framework")))
        } else if any(&[
            "noavailableconfigurationrecorder",
            "configuration recorder",
            "config recorder",
            "resource tracking",
        ]) || (has("config ") && any(&["not recording", "recording is", "not record", "turn on recording"]))
            || (has("aws config") && any(&["not enabled", "not turned on", "is disabled", "is off", "not set up"]))
        {
            Self::ConfigRecorder
        } else if any(&["insufficientcapabilities", "requires capabilities"]) {
            Self::Capabilities
        } else if any(&["terminationprotection", "termination protection"]) {
            Self::TerminationProtection
        } else if let Some(state) = state(&lower) {
            state
        } else if any(&["not authorized", "accessdenied", "access denied", "unauthorizedoperation"]) {
            let action = action(reason);
            let denied = any(&["explicit deny", "service control policy"]);
            if denied { Self::Denied(action) } else { Self::NotAuthorized(action) }
        } else if any(&["already exists", "alreadyexists"]) {
            Self::NameTaken
        } else {
            return None;
        })
    }

    /// The cause for reports, after the number of instances and a colon.
    pub fn description(&self) -> String {
        let named = |action: &Option<String>| action.clone().unwrap_or_else(|| "an action that it needs".to_owned());
        match self {
            Self::ExecutionRole => "the execution role is missing in the account or cannot be assumed".into(),
            Self::AdministrationRole => "the administration role is missing or cannot be assumed".into(),
            Self::ServiceManagedRole => "StackSets could not create its role in the account".into(),
            Self::TrustedAccess => "CloudFormation has no trusted access to the organization".into(),
            Self::RegionNotEnabled => "the Region is not enabled in the account".into(),
            Self::ConfigRecorder => "AWS Config does not record in the account and Region".into(),
            Self::SameControls => "another framework there has the same controls and parameters".into(),
            Self::LimitReached(limit) => format!("the limit of {} is reached", limit.texts().0),
            Self::AccountClosed => "the account is suspended or closed".into(),
            Self::ManagementAccount => {
                "StackSets with service-managed permissions never deploy to the management account".into()
            }
            Self::NotAuthorized(action) => format!("the role is not allowed {}", named(action)),
            Self::Denied(action) => format!("a policy denies the role {}", named(action)),
            Self::Capabilities => "the template creates IAM resources, and the capability is missing".into(),
            Self::TerminationProtection => "termination protection prevents the deletion of the stack".into(),
            Self::StackBroken => "an earlier operation left the stack in a state that cannot be updated".into(),
            Self::StackBusy => "another operation was working on the stack".into(),
            Self::NameTaken => "a resource of the same name exists already".into(),
            Self::Throttled => "AWS throttled the calls".into(),
            Self::ToleranceExceeded => "more instances failed than the policy tolerates".into(),
            Self::Stopped => "the operation was stopped".into(),
        }
    }

    /// The remediation in a sentence, for deployments and removals.
    pub fn advice(&self) -> String {
        let action_or_reason =
            |action: &Option<String>| action.clone().unwrap_or_else(|| "the action in the reason".into());
        match self {
            Self::ExecutionRole => {
                "Deploy framework/prerequisites/execution-role.yaml in these accounts; its role must have the name that the application's parameter gives and trust the administration role.".into()
            }
            Self::AdministrationRole => {
                "Deploy framework/prerequisites/administration-role.yaml in the account that runs the application.".into()
            }
            Self::ServiceManagedRole => {
                "Check whether a service control policy prevents StackSets from creating roles named `stacksets-exec-*` in these accounts.".into()
            }
            Self::TrustedAccess => {
                "Activate it from the management account: `aws cloudformation activate-organizations-access`.".into()
            }
            Self::RegionNotEnabled => {
                "Enable the Region in these accounts and in the account that runs the application, or remove it from the policy's targets.".into()
            }
            Self::ConfigRecorder => {
                "Turn on the recorder of AWS Config in these accounts and Regions, at least for the resource types of AWS Backup.".into()
            }
            Self::SameControls => {
                "Delete the other framework there, or change a control or parameter of this one.".into()
            }
            Self::LimitReached(limit) => limit.texts().1.into(),
            Self::AccountClosed => "Remove these accounts from the policy's targets, or have them reactivated.".into(),
            Self::ManagementAccount => {
                "Cover it with its own framework with self-managed permissions, or exclude it in the policy.".into()
            }
            Self::NotAuthorized(action) => format!(
                "Allow {} to the execution role of these accounts: compare it with framework/prerequisites/execution-role.yaml.",
                action_or_reason(action)
            ),
            Self::Denied(action) => format!(
                "Change the service control policy or other policy that denies it: allow {} to the role that StackSets uses there.",
                action_or_reason(action)
            ),
            Self::Capabilities => {
                "Update the application: it passes the capabilities that it detects in a template.".into()
            }
            Self::TerminationProtection => "Turn off termination protection of these stacks in their accounts.".into(),
            Self::StackBroken => {
                "Continue the rollback of these stacks in their accounts, or delete them there.".into()
            }
            Self::StackBusy | Self::Throttled => "Nothing to do: the next attempt is likely to succeed.".into(),
            Self::NameTaken => "Delete or rename the existing resource, or give the framework another name.".into(),
            Self::ToleranceExceeded => {
                "Fix the failed instances; `failureTolerance` in the policy sets how many may fail before the others are cancelled.".into()
            }
            Self::Stopped => "Nothing to do, unless it was stopped for a reason: the next attempt includes these instances.".into(),
        }
    }
}

impl Quota {
    fn of(message: &str, of_framework: bool) -> Self {
        let any = |words: &[&str]| contains_any(message, words);
        if any(&["configrule", "config rule"]) {
            Self::ConfigRules
        } else if any(&["stack set", "stacksets", "stack instance", "stackinstance"]) {
            Self::StackSets
        } else if any(&["number of controls", "controls limit", "limit of controls"]) {
            Self::Controls
        } else if any(&["number of frameworks", "frameworks limit", "limit of frameworks"]) {
            Self::Frameworks
        } else if of_framework {
            Self::AuditManager
        } else {
            Self::Other
        }
    }

    /// The quota in a description, and the remediation.
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Frameworks => (
                "frameworks",
                "Delete unused frameworks there, or request a higher quota of AWS Backup: the default is 15 in each account and Region.",
            ),
            Self::Controls => (
                "controls",
                "Remove controls from frameworks there, or request a higher quota of AWS Backup: the default is 50 in each account and Region, and a control in two frameworks counts twice.",
            ),
            Self::AuditManager => (
                "frameworks or controls",
                "Delete unused frameworks or controls there, or request a higher quota of AWS Backup: the default is 15 frameworks and 50 controls in each account and Region.",
            ),
            Self::ConfigRules => (
                "AWS Config rules",
                "Delete unused rules there, or request a higher quota of AWS Config: the default is 1,000 in each account and Region.",
            ),
            Self::StackSets => (
                "StackSets or their instances",
                "Delete unused StackSets, or request higher quotas of CloudFormation: the default is 1,000 StackSets in an account and 100,000 instances in a StackSet.",
            ),
            Self::Other => ("an AWS service", "Request a higher quota in these accounts; the reason names it."),
        }
    }
}

fn contains_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|words| text.contains(words))
}

/// The roles of self-managed permissions. "Account X should have 'EXECUTION' role with trust relationship to Role 'ADMINISTRATION'"
/// and "... 'ADMINISTRATION' role with trust relationship to CloudFormation service" differ in the trusted principal; the roles may
/// have any name.
fn role(lower: &str) -> Option<FailureCause> {
    if lower.contains("relationship to cloudformation") {
        return Some(FailureCause::AdministrationRole);
    }
    if lower.contains("relationship to role") {
        return Some(FailureCause::ExecutionRole);
    }
    let denied = ["sts:assumerole", "cannot be assumed", "unable to assume", "failed to assume", "could not assume"];
    if !(lower.contains("role") && (lower.contains("should have '") || contains_any(lower, &denied))) {
        return None;
    }
    // The administration role is the caller that may not assume; the role that it may not assume follows "on resource".
    let subject = lower.split_once("on resource").map_or(lower, |(_, resource)| resource);
    let of_administration = subject.contains("administrationrole") && !subject.contains("executionrole");
    Some(if of_administration { FailureCause::AdministrationRole } else { FailureCause::ExecutionRole })
}

fn region_not_enabled(lower: &str) -> bool {
    let any = |words: &[&str]| contains_any(lower, words);
    any(&[
        "sts is not activated in this region",
        "regiondisabled",
        "security token included in the request is invalid",
        "unrecognizedclient",
        "invalidclienttokenid",
    ]) || (lower.contains("region")
        && !lower.contains("config is")
        && any(&["not enabled", "is disabled", "not opted", "opt-in", "opt in", "not activated"]))
}

/// A stack in a state that prevents operations: "Stack:ARN is in ROLLBACK_FAILED state and can not be updated".
fn state(lower: &str) -> Option<FailureCause> {
    if !(lower.contains(" state") && lower.contains("is in ")) {
        return None;
    }
    let broken = ["_failed state", "rollback_complete state", "_failed, ", "review_in_progress state"];
    if contains_any(lower, &broken) {
        return Some(FailureCause::StackBroken);
    }
    if lower.contains("_in_progress") {
        return Some(FailureCause::StackBusy);
    }
    contains_any(lower, &["can not be", "cannot be"]).then_some(FailureCause::StackBroken)
}

/// The action in "is not authorized to perform: `ACTION` on resource ...", if it has the form of one.
fn action(reason: &str) -> Option<String> {
    let (_, rest) = reason.split_once("to perform")?;
    let rest = rest.trim_start_matches([':', ' ']);
    let action: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '*')).collect();
    let (service, name) = action.split_once(':')?;
    let whole = !service.is_empty() && !name.is_empty() && action.len() <= MAX_ACTION;
    whole.then_some(action)
}

#[cfg(test)]
mod tests;
