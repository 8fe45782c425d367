//! Evaluates whether the access policy of a vault prevents the deletion of recovery points.
//!
//! Source: AWS Config developer guide, `backup-recovery-point-manual-deletion-disabled`: a Deny of three actions, with
//! a wildcard as principal and as resource, from which only the roles of `principalArnList` may be exempt. Cases that
//! AWS does not document (a Deny spread over statements, conditions on other keys than the principal's ARN, resources
//! with a wildcard other than `*`) are uncertain.

use serde_json::Value;

use syntax::wildcard::glob;

/// The actions that a policy must deny.
const DENIED: [&str; 3] =
    ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle", "backup:PutBackupVaultAccessPolicy"];

/// The result for a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyResult {
    /// One statement denies all actions.
    Denied,
    /// Some actions are not denied.
    Allowed(Vec<AllowedAction>),
    /// AWS does not document the effect.
    Uncertain(PolicyUncertainty),
}

/// An action that the policy does not deny to everyone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedAction {
    /// The action.
    pub action: &'static str,
    /// The shortfall of the strictest statement; `None` if no statement denies the action.
    pub gap: Option<DenyGap>,
}

/// The reason why a Deny does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DenyGap {
    /// It applies to some principals only.
    Principal,
    /// It applies to some resources only.
    Resource,
    /// It exempts a principal that the framework does not name.
    Excepts(String),
    /// A condition restricts it to some principals.
    Condition(String),
}

/// A case that AWS does not document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyUncertainty {
    /// The policy is invalid.
    Unreadable(String),
    /// All actions are denied, but not by one statement.
    Spread,
    /// A condition on another key than the principal's ARN.
    Condition(String),
    /// A resource with a wildcard other than `*`.
    Resource(String),
}

/// How far a statement denies an action. Ordered by strictness.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum DenyStrength {
    /// It does not name the action.
    Not,
    /// It denies the action with a shortfall.
    Nearly(DenyGap),
    Perhaps(PolicyUncertainty),
    Fully,
}

/// Evaluates a policy: JSON, or a string with JSON. `exempt` are the ARNs of the roles that may delete.
pub fn evaluate(policy: &Value, exempt: &[&str]) -> PolicyResult {
    let parsed = policy.as_str().map(serde_json::from_str::<Value>);
    let policy = match &parsed {
        None => policy,
        Some(Ok(parsed)) => parsed,
        Some(Err(error)) => return PolicyResult::Uncertain(PolicyUncertainty::Unreadable(error.to_string())),
    };
    let statements: &[Value] = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements,
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return PolicyResult::Uncertain(PolicyUncertainty::Unreadable("`Statement` is missing".to_owned())),
    };
    let mut best: [DenyStrength; 3] = [const { DenyStrength::Not }; 3];
    let mut whole = DenyStrength::Not;
    for statement in statements {
        let all = DENIED.map(|action| denies(statement, action, exempt));
        whole = whole.max(all.iter().min().cloned().unwrap_or(DenyStrength::Not));
        for (best, new) in best.iter_mut().zip(all) {
            if new > *best {
                *best = new;
            }
        }
    }
    match whole {
        DenyStrength::Fully => return PolicyResult::Denied,
        DenyStrength::Perhaps(uncertainty) => return PolicyResult::Uncertain(uncertainty),
        _ => {}
    }
    let mut open = Vec::new();
    let mut uncertainty = None;
    for (action, denies) in DENIED.into_iter().zip(best) {
        match denies {
            DenyStrength::Not => open.push(AllowedAction { action, gap: None }),
            DenyStrength::Nearly(gap) => open.push(AllowedAction { action, gap: Some(gap) }),
            DenyStrength::Perhaps(new) => uncertainty = uncertainty.or(Some(new)),
            DenyStrength::Fully => {}
        }
    }
    match open.is_empty() {
        true => PolicyResult::Uncertain(uncertainty.unwrap_or(PolicyUncertainty::Spread)),
        false => PolicyResult::Allowed(open),
    }
}

fn denies(statement: &Value, action: &str, exempt: &[&str]) -> DenyStrength {
    if statement.get("Effect").and_then(Value::as_str) != Some("Deny") || !is_about(statement, action) {
        return DenyStrength::Not;
    }
    if let Some(problem) = malformed(statement) {
        return DenyStrength::Perhaps(PolicyUncertainty::Unreadable(problem));
    }
    let principal = match statement.get("Principal") {
        Some(Value::String(all)) => all == "*",
        Some(Value::Object(kinds)) => kinds.get("AWS").is_some_and(|aws| texts(aws).any(|principal| principal == "*")),
        // The rule requires a `Principal` with a wildcard, so `NotPrincipal` does not count.
        _ => false,
    };
    if !principal {
        return DenyStrength::Nearly(DenyGap::Principal);
    }
    let resources = || statement.get("Resource").into_iter().flat_map(texts);
    let uncertainty = if resources().any(|resource| resource == "*") {
        None
    } else if let Some(wild) = resources().find(|resource| resource.contains('*')) {
        Some(PolicyUncertainty::Resource(wild.to_owned()))
    } else {
        return DenyStrength::Nearly(DenyGap::Resource);
    };
    let operators = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
    let conditioned = operators
        .flat_map(|(operator, keys)| {
            keys.as_object().into_iter().flatten().map(|(key, values)| condition(operator, key, values, exempt))
        })
        // All conditions of a statement must hold, so the weakest decides.
        .min()
        .unwrap_or(DenyStrength::Fully);
    match (conditioned, uncertainty) {
        (DenyStrength::Fully, Some(uncertainty)) => DenyStrength::Perhaps(uncertainty),
        (conditioned, _) => conditioned,
    }
}

/// Returns an error that IAM rejects a statement for, so that its effect is unknown (IAM user guide, "Grammar of the
/// IAM JSON policy language").
fn malformed(statement: &Value) -> Option<String> {
    for (one, other) in [("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")] {
        if statement.get(one).is_some() == statement.get(other).is_some() {
            return Some(format!("a statement needs exactly one of `{one}` and `{other}`"));
        }
    }
    let is_texts = |value: &Value| match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_string),
        other => other.is_string(),
    };
    let mut lists = ["Action", "NotAction", "Resource", "NotResource"].into_iter().filter_map(|key| statement.get(key));
    if !lists.all(is_texts) {
        return Some("actions or resources are not a nonempty list of strings".to_owned());
    }
    // Numbers and booleans are valid values here.
    let is_values = |value: &Value| match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(|item| !item.is_object() && !item.is_array()),
        other => !other.is_object() && !other.is_null(),
    };
    let is_keys = |keys: &Value| keys.as_object().is_some_and(|keys| keys.values().all(is_values));
    let problem = match statement.get("Condition")? {
        Value::Object(operators) if operators.values().all(is_keys) => return None,
        Value::Object(_) => "a `Condition` is not valid",
        _ => "a `Condition` is not an object",
    };
    Some(problem.to_owned())
}

fn is_about(statement: &Value, action: &str) -> bool {
    let names = |key: &str| statement.get(key).into_iter().flat_map(texts).any(|pattern| glob(pattern, action, true));
    match statement.get("Action") {
        Some(_) => names("Action"),
        None => statement.get("NotAction").is_some() && !names("NotAction"),
    }
}

/// Returns how strictly a Deny applies under one of its conditions.
fn condition(operator: &str, key: &str, values: &Value, exempt: &[&str]) -> DenyStrength {
    let shown = || format!("{operator} {key}");
    // `ForAllValues`, `ForAnyValue` and `IfExists` make no difference for a key that always has one value.
    let operator = operator.rsplit_once(':').map_or(operator, |(_, operator)| operator);
    let operator = operator.strip_suffix("IfExists").unwrap_or(operator);
    if !key.eq_ignore_ascii_case("aws:PrincipalArn") {
        return DenyStrength::Perhaps(PolicyUncertainty::Condition(shown()));
    }
    match operator {
        "StringNotEquals" | "StringNotLike" | "ArnNotEquals" | "ArnNotLike" | "StringNotEqualsIgnoreCase" => {
            match texts(values).find(|arn| !exempt.contains(arn)) {
                Some(other) => DenyStrength::Nearly(DenyGap::Excepts(other.to_owned())),
                None => DenyStrength::Fully,
            }
        }
        "StringLike" | "ArnLike" | "ArnEquals" if texts(values).any(|pattern| pattern == "*") => DenyStrength::Fully,
        "StringEquals" | "StringLike" | "ArnEquals" | "ArnLike" | "StringEqualsIgnoreCase" => {
            DenyStrength::Nearly(DenyGap::Condition(shown()))
        }
        _ => DenyStrength::Perhaps(PolicyUncertainty::Condition(shown())),
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let items: &[Value] = match value {
        Value::Array(items) => items,
        other => std::slice::from_ref(other),
    };
    items.iter().filter_map(Value::as_str)
}
