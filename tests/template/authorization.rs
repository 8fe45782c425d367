//! Each statement of a policy is one that IAM can match, by AWS's service authorization reference as the pinned cfn-lint carries it.

use std::fs;

use serde_json::Value;

use sandbox::tools::Tools;

use super::parsed::{ParsedTemplate, listed, texts};
use super::permissions::TEMPLATES;
use crate::files;

/// Resources that a statement refers to by logical id, by type: the pattern of their ARNs.
const ARNS: &[(&str, &str)] = &[
    ("AWS::DynamoDB::Table", "arn:aws:dynamodb:*:*:table/*"),
    ("AWS::KMS::Key", "arn:aws:kms:*:*:key/*"),
    ("AWS::Logs::LogGroup", "arn:aws:logs:*:*:log-group:*:*"),
    ("AWS::S3::Bucket", "arn:aws:s3:::*"),
    ("AWS::SNS::Topic", "arn:aws:sns:*:*:*"),
    ("AWS::SQS::Queue", "arn:aws:sqs:*:*:*"),
    ("AWS::Serverless::Function", "arn:aws:lambda:*:*:function:*"),
];

/// The actions of all services, each with the resource types that it supports.
pub(crate) struct Authorization(Value);

impl Authorization {
    /// Reads the data of the pinned cfn-lint.
    pub(crate) fn read() -> Self {
        let tools = Tools::ensure(&files::root(), &mut |_| {}).unwrap();
        let mut versions = fs::read_dir(tools.bin.join("../lib")).unwrap().map(|entry| entry.unwrap().path());
        let python = versions.find(|path| path.join("site-packages/cfnlint").is_dir()).expect("an installed cfn-lint");
        let file = python.join("site-packages/cfnlint/data/AdditionalSpecs/Policies.json");
        Self(serde_json::from_slice(&fs::read(file).unwrap()).unwrap())
    }

    /// Patterns of the ARNs that an action supports, with `*` for each part that varies. None: the action supports `*` only.
    pub(crate) fn resources(&self, action: &str) -> Vec<String> {
        let (service, name) = action.split_once(':').unwrap();
        let service = &self.0[service];
        let action = service["Actions"].get(name.to_lowercase()).unwrap_or_else(|| panic!("AWS has no `{action}`"));
        let types = texts(&action["Resources"]).into_iter().map(|kind| &service["Resources"][kind.to_lowercase()]);
        types.flat_map(|kind| texts(&kind["ARNFormats"])).map(|format| pattern(format, |_| "*")).collect()
    }

    /// Whether IAM can match the statement: each action supports one of its resources, and each resource is supported
    /// by an action.
    fn check(&self, actions: &[String], resources: &[String]) -> Result<(), String> {
        let mut supported = Vec::new();
        for action in actions.iter().filter(|action| !action.contains('*')) {
            let patterns = self.resources(action);
            let has_one = |resource: &String| patterns.iter().any(|pattern| arns_overlap(pattern, resource));
            if !resources.iter().any(|resource| resource == "*" || has_one(resource)) {
                let needed = if patterns.is_empty() { "`*`".to_owned() } else { patterns.join(", ") };
                return Err(format!("`{action}` supports {needed}, not {resources:?}"));
            }
            supported.extend(patterns);
        }
        let is_dead =
            |resource: &&String| *resource != "*" && !supported.iter().any(|known| arns_overlap(known, resource));
        match resources.iter().find(is_dead) {
            Some(resource) if actions.iter().all(|action| !action.contains('*')) => {
                Err(format!("none of {actions:?} supports `{resource}`"))
            }
            _ => Ok(()),
        }
    }
}

/// A text with each placeholder replaced, and the `.*` of a regular expression by `*`.
fn pattern(text: &str, value: impl Fn(&str) -> &'static str) -> String {
    let mut parts = text.split("${");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        out.push_str(value(name));
        out.push_str(rest);
    }
    out.replace(".*", "*")
}

/// Whether there is an ARN that matches both patterns. A `*` stays within its part of the ARN.
fn arns_overlap(one: &str, other: &str) -> bool {
    let parts = |arn| str::splitn(arn, 6, ':').collect::<Vec<_>>();
    let (one, other) = (parts(one), parts(other));
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| overlap(one, other))
}

/// Whether there is a text that matches both patterns.
fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // Row `i`, column `j`: whether the patterns from `i` and from `j` on overlap.
    let mut next = vec![false; other.len() + 1];
    for i in (0..=one.len()).rev() {
        let mut row = vec![false; other.len() + 1];
        for j in (0..=other.len()).rev() {
            row[j] = match (one.get(i), other.get(j)) {
                (None, None) => true,
                (Some(b'*'), Some(b'*')) => next[j] || row[j + 1],
                (Some(b'*'), right) => next[j] || (right.is_some() && row[j + 1]),
                (left, Some(b'*')) => row[j + 1] || (left.is_some() && next[j]),
                (left, right) => left == right && next[j + 1],
            };
        }
        next = row;
    }
    next[0]
}

/// The statements in a value that has its parameters and conditions resolved: their actions and the patterns of their resources.
fn statements(template: &ParsedTemplate, value: &Value, found: &mut Vec<(Vec<String>, Vec<String>)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| statements(template, item, found)),
        Value::Object(members) => match (members.get("Action"), members.get("Resource")) {
            (Some(action), Some(resource)) if members.contains_key("Effect") => {
                let arns = listed(resource).into_iter().map(|resource| arn(template, resource)).collect();
                found.push((texts(action).into_iter().map(str::to_owned).collect(), arns));
            }
            _ => members.values().for_each(|member| statements(template, member, found)),
        },
        _ => {}
    }
}

fn arn(template: &ParsedTemplate, resource: &Value) -> String {
    let of = |id: &str| {
        let kind = &template.resource(id.split('.').next().unwrap_or_default())["Type"];
        ARNS.iter().find(|(known, _)| kind == known).unwrap_or_else(|| panic!("{id}: the ARN of a {kind}")).1
    };
    match (resource.as_str(), &resource["Ref"], &resource["Fn::GetAtt"][0]) {
        (Some(text), ..) => pattern(text, of),
        (_, Value::String(id), _) | (_, _, Value::String(id)) => of(id).to_owned(),
        _ => panic!("{resource}"),
    }
}

/// A statement that IAM cannot match grants nothing, and fails only on AWS.
#[test]
fn actions_support_resources_of_their_statement() {
    let authorization = Authorization::read();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for path in TEMPLATES {
        let template = ParsedTemplate::read(path);
        let conditions = template.conditions();
        for not in [&[][..], &conditions] {
            for (id, resource) in template.section("Resources") {
                let mut found = Vec::new();
                statements(&template, &template.resolve_without(resource, not), &mut found);
                checked += found.len();
                let faults = found.iter().filter_map(|(actions, arns)| authorization.check(actions, arns).err());
                wrong.extend(faults.map(|fault| format!("{path}: {id}: {fault}")));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 150, "{checked} statements");
}

#[test]
fn unsupported_resource_is_found() {
    let authorization = Authorization::read();
    let check = |action: &str, resource: &str| authorization.check(&[action.to_owned()], &[resource.to_owned()]);
    let files = "arn:aws:fsx:*:000000000000:file-system/*";
    assert_eq!(check("fsx:DescribeFileSystems", "*"), Ok(()));
    let fault = check("fsx:DescribeFileSystems", files).unwrap_err();
    assert!(fault.starts_with("`fsx:DescribeFileSystems` supports `*`, not "), "{fault}");
    assert_eq!(check("fsx:DeleteFileSystem", files), Ok(()));
    assert!(check("fsx:DeleteFileSystem", "arn:aws:fsx:*:000000000000:volume/*").is_err());
    let both = ["fsx:DeleteFileSystem".to_owned()];
    let fault = authorization.check(&both, &[files.to_owned(), "arn:aws:ec2:*:*:volume/*".to_owned()]).unwrap_err();
    assert!(fault.contains("supports `arn:aws:ec2:*:*:volume/*`"), "{fault}");
    for (one, other, expected) in
        [("a*c", "ab*", true), ("a*c", "b*", false), ("*", "", true), ("a", "a*b", false), ("a*/x", "*b/*", true)]
    {
        assert_eq!(overlap(one, other), expected, "{one} {other}");
    }
}
