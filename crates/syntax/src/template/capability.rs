use super::Template;
use super::intrinsic::call;
use crate::yaml::{Node, Value};

/// A capability that callers of CloudFormation must acknowledge for a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Capability {
    /// The template has IAM resources.
    #[serde(rename = "CAPABILITY_IAM")]
    Iam,
    /// The template has named IAM resources. Includes [`Self::Iam`].
    #[serde(rename = "CAPABILITY_NAMED_IAM")]
    NamedIam,
    /// The template has macros, modules or nested stacks.
    #[serde(rename = "CAPABILITY_AUTO_EXPAND")]
    AutoExpand,
}

impl Capability {
    /// Returns the name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "CAPABILITY_IAM",
            Self::NamedIam => "CAPABILITY_NAMED_IAM",
            Self::AutoExpand => "CAPABILITY_AUTO_EXPAND",
        }
    }
}

/// Returns the property that names a resource of a type. For other types these properties refer to existing resources.
const NAMES: &[(&str, &str)] = &[
    ("AWS::IAM::Group", "GroupName"),
    ("AWS::IAM::InstanceProfile", "InstanceProfileName"),
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
    ("AWS::IAM::Role", "RoleName"),
    ("AWS::IAM::User", "UserName"),
];

pub(super) fn needed(template: &Template) -> Vec<Capability> {
    let is_expanded = template.root.get("Transform").is_some() || has_transform(&template.root);
    let (mut iam, mut named, mut expand) = (false, false, is_expanded);
    for (_, kind, body) in template.resources() {
        // SAM generates roles for functions.
        iam |= kind.starts_with("AWS::IAM::") || (is_expanded && kind.starts_with("AWS::Serverless::"));
        named |= NAMES.iter().any(|(of, property)| *of == kind && is_named(body, property));
        expand |= kind == "AWS::CloudFormation::Stack" || kind.ends_with("::MODULE");
    }
    let mut needed = Vec::new();
    match (iam, named) {
        (_, true) => needed.push(Capability::NamedIam),
        (true, false) => needed.push(Capability::Iam),
        (false, false) => {}
    }
    if expand {
        needed.push(Capability::AutoExpand);
    }
    needed
}

fn is_named(body: &Node, property: &str) -> bool {
    let Some(name) = body.get("Properties").and_then(|properties| properties.get(property)) else { return false };
    let is_no_value = call(name).is_some_and(|call| call.function == "Ref" && call.text() == Some("AWS::NoValue"));
    !name.is_null() && !is_no_value
}

/// Whether a macro is used. Recursive: the tree has at most [`crate::yaml::MAX_DEPTH`] levels.
fn has_transform(node: &Node) -> bool {
    if node.tag.as_deref() == Some("Transform") {
        return true;
    }
    match &node.value {
        Value::Scalar { .. } => false,
        Value::Sequence(items) => items.iter().any(has_transform),
        Value::Mapping(entries) => {
            entries.iter().any(|(key, value)| key.as_str() == Some("Fn::Transform") || has_transform(value))
        }
    }
}
