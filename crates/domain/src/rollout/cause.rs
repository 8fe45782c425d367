//! Why an instance is not as it should be, as far as CloudFormation's own words are known, and what to do about it.
//!
//! Status reasons are prose that AWS documents nowhere and may change. What is matched here are the words that people have
//! reported; where only one variant is on record the matcher asks for its essential words and not for the sentence. A reason that
//! no matcher knows stays as it is.

/// A known cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The role in the target account is missing or does not trust the administration role.
    ExecutionRole,
    /// The role in the administrator account is missing or does not trust CloudFormation.
    AdministrationRole,
    /// StackSets could not make its own role in the account (service-managed permissions).
    ServiceManagedRole,
    /// CloudFormation has no trusted access to the organisation.
    TrustedAccess,
    /// An opt-in Region that the account has not enabled, or one where its STS is off. A token that the Region calls invalid counts
    /// as well: that is how most services answer there.
    RegionNotEnabled,
    /// AWS Config has no recorder there, or it is off.
    ConfigRecorder,
    /// Another framework of the account and Region has the same controls with the same parameters.
    SameControls,
    /// A quota is used up.
    LimitReached(Limit),
    /// The account is suspended or closed.
    AccountClosed,
    /// The management account, which service-managed permissions never reach.
    ManagementAccount,
    /// IAM does not allow an action, such as `backup:CreateFramework`; none where the reason does not name it.
    NotAuthorized(Option<String>),
    /// A policy denies the action explicitly, as service control policies do.
    Denied(Option<String>),
    /// The template makes IAM resources, and the capability for that was not given.
    Capabilities,
    /// A stack that termination protection keeps from being deleted.
    TerminationProtection,
    /// An earlier operation left the stack where nothing but repair by hand is possible.
    StackBroken,
    /// Somebody else works on the stack at this moment.
    StackBusy,
    /// A framework, stack or other resource of that name is there already.
    NameTaken,
    /// Too many calls at once.
    Throttled,
    /// Too many others failed.
    ToleranceExceeded,
    /// The operation was stopped.
    Stopped,
}

/// A quota, with its default value (AWS Backup, AWS Config and CloudFormation quotas).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Frameworks of an account and Region: 15.
    Frameworks,
    /// Controls of an account and Region: 50, a control of two frameworks counts twice.
    Controls,
    /// One of the two: AWS Backup does not always say which.
    AuditManager,
    /// AWS Config rules of an account and Region: 1,000.
    ConfigRules,
    /// StackSets of an administrator account, 1,000, or instances of a StackSet, 100,000.
    StackSets,
    /// Some other one.
    Other,
}

/// More of a reason is not looked at; CloudFormation's own are a few hundred characters.
const LOOKED_AT: usize = 2_000;
/// The longest name of an action that is repeated to people.
const ACTION: usize = 100;

impl Cause {
    /// The cause that a status reason gives; `None` where it is not known.
    #[must_use]
    pub fn of(reason: &str) -> Option<Self> {
        let lower: String = reason.chars().take(LOOKED_AT).map(|c| c.to_ascii_lowercase()).collect();
        let has = |words: &str| lower.contains(words);
        let any = |words: &[&str]| words.iter().any(|words| has(words));
        // CloudFormation puts logical id and type of the resource before the words of the service.
        let message = lower.split_once("resourcestatusreason:").map_or(lower.as_str(), |(_, message)| message);

        if has("failure tolerance") && any(&["cancel", "exceed"]) {
            return Some(Self::ToleranceExceeded);
        }
        if any(&["operation was stopped", "operation has been stopped", "operation is stopped"]) {
            return Some(Self::Stopped);
        }
        if let Some(role) = role(&lower) {
            return Some(role);
        }
        if has("default_role_creation_error") {
            return Some(Self::ServiceManagedRole);
        }
        if any(&["organizations access", "trusted access"]) {
            return Some(Self::TrustedAccess);
        }
        if any(&["account_suspended", "account_closed", "account is closed", "account has been closed"])
            || (has("suspended") && has("account"))
        {
            return Some(Self::AccountClosed);
        }
        if has("management account") && any(&["never deploy", "not deploy"]) {
            return Some(Self::ManagementAccount);
        }
        if any(&["throttl", "rate exceeded", "requestlimitexceeded", "too many requests", "toomanyrequests"]) {
            return Some(Self::Throttled);
        }
        if region_not_enabled(&lower) {
            return Some(Self::RegionNotEnabled);
        }
        if any(&["controls in framework", "same controls"]) && has("exist") {
            return Some(Self::SameControls);
        }
        if any(&["limitexceeded", "limit exceeded", "maxnumberof", "maximum number of", "quota"])
            || (any(&["limit ", "limits ", "limit.", "maximum "]) && any(&["reached", "exceeds", "exceeded"]))
        {
            return Some(Self::LimitReached(Limit::of(message, has("aws::backup::framework"))));
        }
        if any(&["noavailableconfigurationrecorder", "configuration recorder", "config recorder", "resource tracking"])
            || (has("config ") && any(&["not recording", "recording is", "not record", "turn on recording"]))
            || (has("aws config") && any(&["not enabled", "not turned on", "is disabled", "is off", "not set up"]))
        {
            return Some(Self::ConfigRecorder);
        }
        if any(&["insufficientcapabilities", "requires capabilities"]) {
            return Some(Self::Capabilities);
        }
        if any(&["terminationprotection", "termination protection"]) {
            return Some(Self::TerminationProtection);
        }
        if let Some(state) = state(&lower) {
            return Some(state);
        }
        if any(&["not authorized", "accessdenied", "access denied", "unauthorizedoperation"]) {
            let action = action(reason);
            let denied = any(&["explicit deny", "service control policy"]);
            return Some(if denied { Self::Denied(action) } else { Self::NotAuthorized(action) });
        }
        any(&["already exists", "alreadyexists"]).then_some(Self::NameTaken)
    }

    /// Every word of the JSON form.
    pub const WORDS: [&str; 20] = [
        "executionRole",
        "administrationRole",
        "serviceManagedRole",
        "trustedAccess",
        "regionNotEnabled",
        "configRecorder",
        "sameControls",
        "limitReached",
        "accountClosed",
        "managementAccount",
        "notAuthorized",
        "denied",
        "capabilities",
        "terminationProtection",
        "stackBroken",
        "stackBusy",
        "nameTaken",
        "throttled",
        "toleranceExceeded",
        "stopped",
    ];

    /// The word of the JSON form.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ExecutionRole => "executionRole",
            Self::AdministrationRole => "administrationRole",
            Self::ServiceManagedRole => "serviceManagedRole",
            Self::TrustedAccess => "trustedAccess",
            Self::RegionNotEnabled => "regionNotEnabled",
            Self::ConfigRecorder => "configRecorder",
            Self::SameControls => "sameControls",
            Self::LimitReached(_) => "limitReached",
            Self::AccountClosed => "accountClosed",
            Self::ManagementAccount => "managementAccount",
            Self::NotAuthorized(_) => "notAuthorized",
            Self::Denied(_) => "denied",
            Self::Capabilities => "capabilities",
            Self::TerminationProtection => "terminationProtection",
            Self::StackBroken => "stackBroken",
            Self::StackBusy => "stackBusy",
            Self::NameTaken => "nameTaken",
            Self::Throttled => "throttled",
            Self::ToleranceExceeded => "toleranceExceeded",
            Self::Stopped => "stopped",
        }
    }

    /// The cause in words, to follow the number of instances and a colon.
    #[must_use]
    pub fn words(&self) -> String {
        let named = |action: &Option<String>| action.as_deref().map(|action| format!(" {action}")).unwrap_or_default();
        match self {
            Self::ExecutionRole => "the execution role is missing in the account or cannot be assumed".into(),
            Self::AdministrationRole => "the administration role is missing or cannot be assumed".into(),
            Self::ServiceManagedRole => "StackSets could not make its role in the account".into(),
            Self::TrustedAccess => "CloudFormation has no trusted access to the organization".into(),
            Self::RegionNotEnabled => "the Region is not enabled in the account".into(),
            Self::ConfigRecorder => "AWS Config does not record in the account and Region".into(),
            Self::SameControls => "another framework there has the same controls and parameters".into(),
            Self::LimitReached(limit) => format!("the limit of {} is reached", limit.words()),
            Self::AccountClosed => "the account is suspended or closed".into(),
            Self::ManagementAccount => {
                "StackSets with service-managed permissions never deploy to the management account".into()
            }
            Self::NotAuthorized(action) => format!("the role is not allowed{}", or_what(&named(action))),
            Self::Denied(action) => format!("a policy denies the role{}", or_what(&named(action))),
            Self::Capabilities => "the template makes IAM resources and was not given the capability".into(),
            Self::TerminationProtection => "termination protection keeps the stack from being deleted".into(),
            Self::StackBroken => "an earlier operation left the stack in a state that cannot be updated".into(),
            Self::StackBusy => "another operation was at work on the stack".into(),
            Self::NameTaken => "something of the same name exists there already".into(),
            Self::Throttled => "AWS took no more calls at that moment".into(),
            Self::ToleranceExceeded => "more instances failed than the policy tolerates".into(),
            Self::Stopped => "the operation was stopped".into(),
        }
    }

    /// What to do, in a sentence. It holds for deployments and for removals.
    #[must_use]
    pub fn advice(&self) -> String {
        let that = |action: &Option<String>| action.clone().unwrap_or_else(|| "what the reason names".into());
        match self {
            Self::ExecutionRole => {
                "Deploy framework/prerequisites/execution-role.yaml in these accounts; its role must have the name that the application's parameter gives and trust the administration role.".into()
            }
            Self::AdministrationRole => {
                "Deploy framework/prerequisites/administration-role.yaml in the account that runs the application.".into()
            }
            Self::ServiceManagedRole => {
                "See whether a service control policy keeps StackSets from making roles named `stacksets-exec-*` in these accounts.".into()
            }
            Self::TrustedAccess => {
                "Activate it from the management account: `aws cloudformation activate-organizations-access`.".into()
            }
            Self::RegionNotEnabled => {
                "Enable the Region in these accounts and in the account that runs the application, or take it out of the policy's targets.".into()
            }
            Self::ConfigRecorder => {
                "Turn on the recorder of AWS Config in these accounts and Regions, at least for the resource types of AWS Backup.".into()
            }
            Self::SameControls => {
                "Delete the other framework there, or make one control or parameter of this one different.".into()
            }
            Self::LimitReached(limit) => limit.advice().into(),
            Self::AccountClosed => {
                "Take these accounts out of the policy's targets, or have them reactivated.".into()
            }
            Self::ManagementAccount => {
                "Cover it with a framework of its own that has self-managed permissions, or exclude it in the policy.".into()
            }
            Self::NotAuthorized(action) => format!(
                "Allow {} to the execution role of these accounts: compare it with framework/prerequisites/execution-role.yaml.",
                that(action)
            ),
            Self::Denied(action) => format!(
                "Have the service control policy, or whichever policy denies it, allow {} to the role that StackSets uses there.",
                that(action)
            ),
            Self::Capabilities => {
                "Update the application: it gives the capabilities that it finds a template to need.".into()
            }
            Self::TerminationProtection => {
                "Turn off termination protection of these stacks in their accounts.".into()
            }
            Self::StackBroken => {
                "Continue the rollback of these stacks in their accounts, or delete them there.".into()
            }
            Self::StackBusy | Self::Throttled => "Nothing: the next attempt is likely to succeed.".into(),
            Self::NameTaken => {
                "Delete or rename what was made there by other means, or give the framework another name.".into()
            }
            Self::ToleranceExceeded => {
                "Mend what failed; `failureTolerance` in the policy says how many may fail before the rest is cancelled.".into()
            }
            Self::Stopped => "Nothing, unless it was stopped for a reason: the next attempt comes to them.".into(),
        }
    }
}

impl Limit {
    fn of(message: &str, of_framework: bool) -> Self {
        let has = |words: &str| message.contains(words);
        if has("configrule") || has("config rule") {
            Self::ConfigRules
        } else if has("stack set") || has("stacksets") || has("stack instance") || has("stackinstance") {
            Self::StackSets
        } else if has("number of controls") || has("controls limit") || has("limit of controls") {
            Self::Controls
        } else if has("number of frameworks") || has("frameworks limit") || has("limit of frameworks") {
            Self::Frameworks
        } else if of_framework {
            Self::AuditManager
        } else {
            Self::Other
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Frameworks => "frameworks",
            Self::Controls => "controls",
            Self::AuditManager => "frameworks or controls",
            Self::ConfigRules => "AWS Config rules",
            Self::StackSets => "StackSets or their instances",
            Self::Other => "an AWS service",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Frameworks => {
                "Delete frameworks there that nobody needs, or have the quota of AWS Backup raised: an account has 15 in each Region by default."
            }
            Self::Controls => {
                "Take controls out of frameworks there, or have the quota of AWS Backup raised: an account has 50 in each Region by default, and one of two frameworks counts twice."
            }
            Self::AuditManager => {
                "Delete frameworks or controls there that nobody needs, or have the quota of AWS Backup raised: an account has 15 frameworks and 50 controls in each Region by default."
            }
            Self::ConfigRules => {
                "Delete rules there that nobody needs, or have the quota of AWS Config raised: an account has 1,000 in each Region by default."
            }
            Self::StackSets => {
                "Delete StackSets that nobody needs, or have the quotas of CloudFormation raised: an account has 1,000 StackSets of 100,000 instances by default."
            }
            Self::Other => "Have the quota that the reason names raised in these accounts.",
        }
    }
}

/// The roles of self-managed permissions. "Account X should have 'EXECUTION' role with trust relationship to Role 'ADMINISTRATION'"
/// and "... 'ADMINISTRATION' role with trust relationship to CloudFormation service" are told apart by what is to be trusted, since
/// both roles may have any name.
fn role(lower: &str) -> Option<Cause> {
    if lower.contains("relationship to cloudformation") {
        return Some(Cause::AdministrationRole);
    }
    if lower.contains("relationship to role") {
        return Some(Cause::ExecutionRole);
    }
    let cannot_be_assumed = lower.contains("role")
        && ["sts:assumerole", "cannot be assumed", "unable to assume", "failed to assume", "could not assume"]
            .iter()
            .any(|words| lower.contains(words));
    let missing = lower.contains("should have '") && lower.contains("role");
    if !(missing || cannot_be_assumed) {
        return None;
    }
    // The administration role is who may not assume; the role that it may not assume comes after "on resource".
    let subject = lower.split_once("on resource").map_or(lower, |(_, resource)| resource);
    let of_administration = subject.contains("administrationrole") && !subject.contains("executionrole");
    Some(if of_administration { Cause::AdministrationRole } else { Cause::ExecutionRole })
}

fn region_not_enabled(lower: &str) -> bool {
    let any = |words: &[&str]| words.iter().any(|words| lower.contains(words));
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

/// A stack that is in a state: "Stack:ARN is in ROLLBACK_FAILED state and can not be updated".
fn state(lower: &str) -> Option<Cause> {
    if !(lower.contains(" state") && lower.contains("is in ")) {
        return None;
    }
    let broken = ["_failed state", "rollback_complete state", "_failed, ", "review_in_progress state"];
    if broken.iter().any(|words| lower.contains(words)) {
        return Some(Cause::StackBroken);
    }
    if lower.contains("_in_progress") {
        return Some(Cause::StackBusy);
    }
    (lower.contains("can not be") || lower.contains("cannot be")).then_some(Cause::StackBroken)
}

/// The action of "is not authorized to perform: `ACTION` on resource ...", if it looks like one.
fn action(reason: &str) -> Option<String> {
    let (_, rest) = reason.split_once("to perform")?;
    let rest = rest.trim_start_matches([':', ' ']);
    let action: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '*')).collect();
    let (service, name) = action.split_once(':')?;
    let whole = !service.is_empty() && !name.is_empty() && action.len() <= ACTION;
    whole.then_some(action)
}

fn or_what(action: &str) -> &str {
    if action.is_empty() { " what it needs" } else { action }
}

#[cfg(test)]
mod tests;
