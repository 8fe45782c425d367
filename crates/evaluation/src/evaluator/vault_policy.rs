//! Evaluates whether the access policy of a vault prevents the deletion of recovery points.
//!
//! Source: AWS Config developer guide, `backup-recovery-point-manual-deletion-disabled`: a Deny of three actions, with
//! a wildcard as principal and as resource, from which only the roles of `principalArnList` may be exempt. Cases that
//! AWS does not document (a Deny spread over statements, conditions on other keys than the principal's ARN, resources
//! with a wildcard other than `*`) are uncertain.

use serde_json::Value;

use syntax::wildcard::glob;

/// The actions that a policy must deny.
pub const DENIED: [&str; 3] =
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
#[must_use]
pub fn evaluate(policy: &Value, exempt: &[&str]) -> PolicyResult {
    let parsed;
    let policy = match policy {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(value) => {
                parsed = value;
                &parsed
            }
            Err(error) => return PolicyResult::Uncertain(PolicyUncertainty::Unreadable(error.to_string())),
        },
        other => other,
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
        let least = all.iter().min().cloned().unwrap_or(DenyStrength::Not);
        whole = whole.max(least);
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
    let open: Vec<AllowedAction> = DENIED
        .into_iter()
        .zip(&best)
        .filter_map(|(action, denies)| match denies {
            DenyStrength::Not => Some(AllowedAction { action, gap: None }),
            DenyStrength::Nearly(gap) => Some(AllowedAction { action, gap: Some(gap.clone()) }),
            DenyStrength::Perhaps(_) | DenyStrength::Fully => None,
        })
        .collect();
    if !open.is_empty() {
        return PolicyResult::Allowed(open);
    }
    let uncertainty = best.into_iter().find_map(|denies| match denies {
        DenyStrength::Perhaps(uncertainty) => Some(uncertainty),
        _ => None,
    });
    PolicyResult::Uncertain(uncertainty.unwrap_or(PolicyUncertainty::Spread))
}

fn denies(statement: &Value, action: &str, exempt: &[&str]) -> DenyStrength {
    if statement.get("Effect").and_then(Value::as_str) != Some("Deny") || !is_about(statement, action) {
        return DenyStrength::Not;
    }
    if let Some(problem) = malformed(statement) {
        return DenyStrength::Perhaps(PolicyUncertainty::Unreadable(problem.to_owned()));
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
fn malformed(statement: &Value) -> Option<&'static str> {
    for (one, other, problem) in [
        ("Action", "NotAction", "a statement needs exactly one of `Action` and `NotAction`"),
        ("Resource", "NotResource", "a statement needs exactly one of `Resource` and `NotResource`"),
        ("Principal", "NotPrincipal", "a statement needs exactly one of `Principal` and `NotPrincipal`"),
    ] {
        if statement.get(one).is_some() == statement.get(other).is_some() {
            return Some(problem);
        }
    }
    let is_texts = |value: &Value| match value {
        Value::String(_) => true,
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_string),
        _ => false,
    };
    if ["Action", "NotAction", "Resource", "NotResource"]
        .into_iter()
        .filter_map(|key| statement.get(key))
        .any(|value| !is_texts(value))
    {
        return Some("actions or resources are not a nonempty list of strings");
    }
    // Numbers and booleans are valid values here.
    let is_values = |value: &Value| match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(|item| !item.is_object() && !item.is_array()),
        other => !other.is_object() && !other.is_null(),
    };
    match statement.get("Condition") {
        None => None,
        Some(Value::Object(operators)) => {
            let is_right =
                operators.values().all(|keys| keys.as_object().is_some_and(|keys| keys.values().all(is_values)));
            (!is_right).then_some("a `Condition` is not valid")
        }
        Some(_) => Some("a `Condition` is not an object"),
    }
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
