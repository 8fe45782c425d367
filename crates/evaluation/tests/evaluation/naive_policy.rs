//! A naive second implementation of vault policies: every possible principal tries every action.

use serde_json::Value;

use super::{Answer, like};

const ACTIONS: [&str; 3] =
    ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle", "backup:PutBackupVaultAccessPolicy"];
const SOMEBODY: &str = "arn:aws:iam::111122223333:user/somebody";

pub(crate) fn is_protected(policy: &Value, exempt: &[&str]) -> Answer {
    let statements = policy["Statement"].as_array().unwrap();
    let people = people(policy, exempt);
    let to_all =
        |statement: &Value, action: &str| all(people.iter().map(|person| is_denied(statement, person, action)));
    // One statement must deny everything.
    let in_one = any(statements.iter().map(|statement| all(ACTIONS.iter().map(|action| to_all(statement, action)))));
    if in_one == Some(true) {
        return in_one;
    }
    let spread = all(ACTIONS.iter().map(|action| any(statements.iter().map(|statement| to_all(statement, action)))));
    // AWS does not document several statements that deny everything together.
    if spread == Some(false) { Some(false) } else { None }
}

/// One principal of each kind: those that a condition names or may match, and another one, without exempt ones.
fn people(policy: &Value, exempt: &[&str]) -> Vec<String> {
    let mut people = vec![SOMEBODY.to_owned()];
    for statement in policy["Statement"].as_array().unwrap() {
        for keys in statement["Condition"].as_object().into_iter().flat_map(|operators| operators.values()) {
            for value in keys.as_object().into_iter().flat_map(|keys| keys.values()).flat_map(texts) {
                people.push(value.replace('*', "any"));
            }
        }
    }
    people.retain(|person| !exempt.contains(&person.as_str()));
    people
}

fn is_denied(statement: &Value, person: &str, action: &str) -> Answer {
    if statement["Effect"] != "Deny" {
        return Some(false);
    }
    let names = |key: &str| {
        let (action, patterns) = (action.to_lowercase(), texts(&statement[key]));
        patterns.iter().any(|pattern| like(&pattern.to_lowercase(), &action))
    };
    let is_about = match (statement.get("Action"), statement.get("NotAction")) {
        (Some(_), _) => names("Action"),
        (None, Some(_)) => !names("NotAction"),
        (None, None) => false,
    };
    if !is_about {
        return Some(false);
    }
    // IAM would have rejected it.
    if statement.get("Resource").is_none()
        || (statement.get("Principal").is_some() == statement.get("NotPrincipal").is_some())
    {
        return None;
    }
    let principal = &statement["Principal"];
    let is_for_all = principal == "*" || texts(&principal["AWS"]).contains(&"*");
    let resources = texts(&statement["Resource"]);
    let is_everywhere = if resources.contains(&"*") {
        Some(true)
    } else if resources.iter().any(|resource| resource.contains('*')) {
        None
    } else {
        Some(false)
    };
    let conditions = statement["Condition"].as_object().into_iter().flatten().flat_map(|(operator, keys)| {
        keys.as_object().unwrap().iter().map(move |(key, values)| holds(operator, key, &texts(values), person))
    });
    all([Some(is_for_all), is_everywhere].into_iter().chain(conditions))
}

fn holds(operator: &str, key: &str, values: &[&str], person: &str) -> Answer {
    if key != "aws:PrincipalArn" {
        return None;
    }
    let (is, is_like) = (values.contains(&person), values.iter().any(|value| like(value, person)));
    match operator {
        "StringEquals" => Some(is),
        "StringNotEquals" => Some(!is),
        "StringLike" | "ArnLike" | "ArnEquals" => Some(is_like),
        "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => Some(!is_like),
        _ => None,
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn all(answers: impl Iterator<Item = Answer>) -> Answer {
    let answers: Vec<Answer> = answers.collect();
    if answers.contains(&Some(false)) {
        Some(false)
    } else if answers.contains(&None) {
        None
    } else {
        Some(true)
    }
}

fn any(answers: impl Iterator<Item = Answer>) -> Answer {
    all(answers.map(|answer| answer.map(|it| !it))).map(|it| !it)
}
