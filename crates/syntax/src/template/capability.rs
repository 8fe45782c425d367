use super::Template;
use super::intrinsic::call;
use crate::yaml::Node;

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

impl Template {
    /// Returns the required capabilities.
    pub fn capabilities(&self) -> Vec<Capability> {
        let is_transform =
            |node: &Node| node.tag.as_deref() == Some("Transform") || node.get("Fn::Transform").is_some();
        let is_expanded = self.root.get("Transform").is_some() || self.root.descendants().any(is_transform);
        let (mut iam, mut named, mut expand) = (false, false, is_expanded);
        let written_out = self.without_loops();
        for (_, kind, body) in written_out.as_ref().unwrap_or(self).resources() {
            // SAM generates roles for functions.
            iam |= kind.starts_with("AWS::IAM::") || (is_expanded && kind.starts_with("AWS::Serverless::"));
            named |= NAMES.iter().any(|(of, property)| *of == kind && is_named(body, property));
            expand |= kind == "AWS::CloudFormation::Stack" || kind.ends_with("::MODULE");
        }
        let iam = if named { Some(Capability::NamedIam) } else { iam.then_some(Capability::Iam) };
        iam.into_iter().chain(expand.then_some(Capability::AutoExpand)).collect()
    }
}

fn is_named(body: &Node, property: &str) -> bool {
    let Some(name) = body.get("Properties").and_then(|properties| properties.get(property)) else { return false };
    let is_no_value = call(name).is_some_and(|call| call.function == "Ref" && call.text() == Some("AWS::NoValue"));
    !name.is_null() && !is_no_value
}
