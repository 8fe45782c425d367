//! Whether the access policy of a vault keeps people from deleting recovery points.
//!
//! Source: AWS Config developer guide, `backup-recovery-point-manual-deletion-disabled`: a Deny of three actions, with a wildcard
//! as principal and as resource, from which only the roles of `principalArnList` may be excepted. What AWS does not settle (a
//! Deny that is spread over statements, conditions on anything but the principal's ARN, resources with a wildcard that are not
//! `*`) is a doubt and not a verdict.

use serde_json::Value;

use super::pattern::glob;

/// What a policy must deny.
pub const DENIED: [&str; 3] =
    ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle", "backup:PutBackupVaultAccessPolicy"];

/// What a policy comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// One statement denies all that it must.
    Denied,
    /// Something is not denied.
    Open(Vec<Open>),
    /// AWS does not say what it makes of it.
    Doubtful(Doubt),
}

/// An action that somebody may do who should not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Open {
    /// The action.
    pub action: &'static str,
    /// Why the statement that denies it most nearly does not count; `None` when none denies it.
    pub because: Option<Because>,
}

/// Why a Deny does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// It is for some principals only.
    Principal,
    /// It is for some resources only.
    Resource,
    /// It excepts somebody whom the framework does not name.
    Excepts(String),
    /// It holds for some principals only, by its condition.
    Condition(String),
}

/// What AWS's documents do not settle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// The policy is none that we can read.
    Unreadable(String),
    /// All is denied, but not by one statement.
    Spread,
    /// A condition that nobody can judge from here.
    Condition(String),
    /// A resource with a wildcard that is not `*`.
    Resource(String),
}

/// Whether a statement denies an action to all that it must.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Denies {
    /// It is about something else.
    Not,
    /// It comes near.
    Nearly(Because),
    Perhaps(Doubt),
    Fully,
}

/// Judges a policy: the JSON itself, or a text with it. `exempt` are the ARNs of the roles that may delete.
#[must_use]
pub fn judge(policy: &Value, exempt: &[&str]) -> Denial {
    let parsed;
    let policy = match policy {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(value) => {
                parsed = value;
                &parsed
            }
            Err(error) => return Denial::Doubtful(Doubt::Unreadable(error.to_string())),
        },
        other => other,
    };
    let statements: &[Value] = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements,
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return Denial::Doubtful(Doubt::Unreadable("there is no `Statement`".to_owned())),
    };
    let mut best: [Denies; 3] = [const { Denies::Not }; 3];
    let mut whole = Denies::Not;
    for statement in statements {
        let all = DENIED.map(|action| denies(statement, action, exempt));
        let least = all.iter().min().cloned().unwrap_or(Denies::Not);
        whole = whole.max(least);
        for (best, new) in best.iter_mut().zip(all) {
            if new > *best {
                *best = new;
            }
        }
    }
    match whole {
        Denies::Fully => return Denial::Denied,
        Denies::Perhaps(doubt) => return Denial::Doubtful(doubt),
        _ => {}
    }
    let open: Vec<Open> = DENIED
        .into_iter()
        .zip(&best)
        .filter_map(|(action, denies)| match denies {
            Denies::Not => Some(Open { action, because: None }),
            Denies::Nearly(because) => Some(Open { action, because: Some(because.clone()) }),
            Denies::Perhaps(_) | Denies::Fully => None,
        })
        .collect();
    if !open.is_empty() {
        return Denial::Open(open);
    }
    let doubt = best.into_iter().find_map(|denies| match denies {
        Denies::Perhaps(doubt) => Some(doubt),
        _ => None,
    });
    Denial::Doubtful(doubt.unwrap_or(Doubt::Spread))
}

fn denies(statement: &Value, action: &str, exempt: &[&str]) -> Denies {
    if statement.get("Effect").and_then(Value::as_str) != Some("Deny") || !is_about(statement, action) {
        return Denies::Not;
    }
    if let Some(problem) = malformed(statement) {
        return Denies::Perhaps(Doubt::Unreadable(problem.to_owned()));
    }
    let principal = match statement.get("Principal") {
        Some(Value::String(all)) => all == "*",
        Some(Value::Object(kinds)) => kinds.get("AWS").is_some_and(|aws| texts(aws).any(|principal| principal == "*")),
        // `NotPrincipal` too: the rule asks for a `Principal` with a wildcard.
        _ => false,
    };
    if !principal {
        return Denies::Nearly(Because::Principal);
    }
    let resources = || statement.get("Resource").into_iter().flat_map(texts);
    let doubt = if resources().any(|resource| resource == "*") {
        None
    } else if let Some(wild) = resources().find(|resource| resource.contains('*')) {
        Some(Doubt::Resource(wild.to_owned()))
    } else {
        return Denies::Nearly(Because::Resource);
    };
    let operators = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
    let conditioned = operators
        .flat_map(|(operator, keys)| {
            keys.as_object().into_iter().flatten().map(|(key, values)| condition(operator, key, values, exempt))
        })
        // All conditions of a statement must hold, so the worst of them says whom it leaves out.
        .min()
        .unwrap_or(Denies::Fully);
    match (conditioned, doubt) {
        (Denies::Fully, Some(doubt)) => Denies::Perhaps(doubt),
        (conditioned, _) => conditioned,
    }
}

/// What IAM refuses in a statement, so that nobody knows what is in force (IAM user guide, "Grammar of the IAM JSON policy
/// language").
fn malformed(statement: &Value) -> Option<&'static str> {
    for (one, other, problem) in [
        ("Action", "NotAction", "a statement has not exactly one of `Action` and `NotAction`"),
        ("Resource", "NotResource", "a statement has not exactly one of `Resource` and `NotResource`"),
        ("Principal", "NotPrincipal", "a statement has not exactly one of `Principal` and `NotPrincipal`"),
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
        return Some("a list of actions or resources is empty, or no list of texts");
    }
    // Numbers and booleans may stand for texts here.
    let is_values = |value: &Value| match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(|item| !item.is_object() && !item.is_array()),
        other => !other.is_object() && !other.is_null(),
    };
    match statement.get("Condition") {
        None => None,
        Some(Value::Object(operators)) => {
            let is_right =
                operators.values().all(|keys| keys.as_object().is_some_and(|keys| keys.values().all(is_values)));
            (!is_right).then_some("a `Condition` is not written as one")
        }
        Some(_) => Some("a `Condition` is no object"),
    }
}

fn is_about(statement: &Value, action: &str) -> bool {
    let names = |key: &str| statement.get(key).into_iter().flat_map(texts).any(|pattern| glob(pattern, action, true));
    match statement.get("Action") {
        Some(_) => names("Action"),
        None => statement.get("NotAction").is_some() && !names("NotAction"),
    }
}

/// To whom a Deny still applies under one of its conditions.
fn condition(operator: &str, key: &str, values: &Value, exempt: &[&str]) -> Denies {
    let shown = || format!("{operator} {key}");
    // Asking of each value makes no difference for a key that has one, and neither does allowing it to be absent.
    let operator = operator.rsplit_once(':').map_or(operator, |(_, operator)| operator);
    let operator = operator.strip_suffix("IfExists").unwrap_or(operator);
    if !key.eq_ignore_ascii_case("aws:PrincipalArn") {
        return Denies::Perhaps(Doubt::Condition(shown()));
    }
    match operator {
        "StringNotEquals" | "StringNotLike" | "ArnNotEquals" | "ArnNotLike" | "StringNotEqualsIgnoreCase" => {
            match texts(values).find(|arn| !exempt.contains(arn)) {
                Some(other) => Denies::Nearly(Because::Excepts(other.to_owned())),
                None => Denies::Fully,
            }
        }
        "StringLike" | "ArnLike" | "ArnEquals" if texts(values).any(|pattern| pattern == "*") => Denies::Fully,
        "StringEquals" | "StringLike" | "ArnEquals" | "ArnLike" | "StringEqualsIgnoreCase" => {
            Denies::Nearly(Because::Condition(shown()))
        }
        _ => Denies::Perhaps(Doubt::Condition(shown())),
    }
}

/// A text, or the texts of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let items: &[Value] = match value {
        Value::Array(items) => items,
        other => std::slice::from_ref(other),
    };
    items.iter().filter_map(Value::as_str)
}
