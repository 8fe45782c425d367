//! A CloudFormation template for queries: resources, references, values for sample parameters.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::yaml;
use crate::files;

/// The account and Region of the sample events from the account of the application.
pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const REGION: &str = "us-east-1";

pub(crate) struct ParsedTemplate {
    text: String,
    root: Value,
}

impl ParsedTemplate {
    /// Reads a template, by its path from the root of the repository.
    pub(crate) fn read(path: &str) -> Self {
        let text = files::read(path);
        let root = yaml::parse(&text);
        Self { text, root }
    }

    /// The template of the application.
    pub(crate) fn application() -> Self {
        Self::read("template.yaml")
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A top-level section.
    pub(crate) fn section(&self, name: &str) -> &Map<String, Value> {
        self.root[name].as_object().unwrap_or_else(|| panic!("a section `{name}`"))
    }

    /// The names of all conditions.
    pub(crate) fn conditions(&self) -> Vec<&str> {
        self.root["Conditions"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    pub(crate) fn resource(&self, id: &str) -> &Value {
        self.section("Resources").get(id).unwrap_or_else(|| panic!("a resource `{id}`"))
    }

    /// Whether a parameter accepts a value.
    pub(crate) fn takes(&self, parameter: &str, value: &str) -> bool {
        let pattern = json!({"pattern": self.root["Parameters"][parameter]["AllowedPattern"]});
        jsonschema::validator_for(&pattern).unwrap().is_valid(&json!(value))
    }

    /// The properties of a resource.
    pub(crate) fn properties(&self, id: &str) -> &Value {
        &self.resource(id)["Properties"]
    }

    /// The logical ids of all resources of a type, sorted.
    pub(crate) fn of_type(&self, kind: &str) -> Vec<&str> {
        let found: Vec<&str> =
            self.section("Resources").iter().filter(|(_, r)| r["Type"] == kind).map(|(id, _)| id.as_str()).collect();
        assert!(!found.is_empty(), "no resource of type `{kind}`");
        found
    }

    /// The resources that a resource depends on, directly or through others, by reference or `DependsOn`.
    pub(crate) fn depends_on(&self, id: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![id.to_owned()];
        while let Some(next) = open.pop() {
            let mut names = BTreeSet::new();
            references(self.resource(&next), &mut names);
            names.extend(texts(&self.resource(&next)["DependsOn"]).into_iter().map(|name| self.owner(name)));
            for name in names {
                if self.section("Resources").contains_key(&name) && seen.insert(name.clone()) {
                    open.push(name);
                }
            }
        }
        seen
    }

    /// The resource of this file that a `DependsOn` names: the SAM transform generates resources from a function.
    fn owner(&self, name: &str) -> String {
        let Some(function) = name.strip_suffix("EventInvokeConfig") else { return name.to_owned() };
        assert!(self.properties(function)["EventInvokeConfig"].is_object(), "`{name}` does not exist");
        function.to_owned()
    }

    /// Resolves references to parameters and pseudo parameters, and `Fn::If`, as if every optional parameter had a
    /// value. References to resources stay.
    pub(crate) fn resolve(&self, value: &Value) -> Value {
        self.resolve_without(value, &[])
    }

    /// Like [`Self::resolve`], with conditions that do not hold.
    pub(crate) fn resolve_without(&self, value: &Value, not: &[&str]) -> Value {
        match value {
            Value::Array(items) => {
                items.iter().map(|item| self.resolve_without(item, not)).filter(|item| !is_missing(item)).collect()
            }
            Value::Object(members) => match members.iter().next() {
                Some((name, argument)) if name == "Ref" => {
                    self.sample(argument.as_str().unwrap()).map_or_else(|| value.clone(), Value::from)
                }
                Some((name, Value::String(text))) if name == "Fn::Sub" => self.substitute(text),
                Some((name, argument)) if name == "Fn::Sub" => {
                    let mut text = argument[0].as_str().unwrap().to_owned();
                    for (name, own) in self.resolve_without(&argument[1], not).as_object().unwrap() {
                        // A reference to a resource stays a placeholder.
                        text = own.as_str().map_or(text.clone(), |own| text.replace(&format!("${{{name}}}"), own));
                    }
                    self.substitute(&text)
                }
                Some((name, argument)) if name == "Fn::If" => {
                    let holds = !not.contains(&argument[0].as_str().unwrap());
                    self.resolve_without(&argument[if holds { 1 } else { 2 }], not)
                }
                Some((name, argument)) if ["Fn::Join", "Fn::Select", "Fn::Split"].contains(&name.as_str()) => {
                    call(name, &self.resolve_without(argument, not)).unwrap_or_else(|| value.clone())
                }
                _ => members
                    .iter()
                    .map(|(key, member)| (key.clone(), self.resolve_without(member, not)))
                    .filter(|(_, member)| !is_missing(member))
                    .collect(),
            },
            other => other.clone(),
        }
    }

    fn substitute(&self, text: &str) -> Value {
        let mut out = text.to_owned();
        for name in placeholders(text) {
            if let Some(value) = self.sample(&name) {
                out = out.replace(&format!("${{{name}}}"), &value);
            }
        }
        json!(out)
    }

    fn sample(&self, name: &str) -> Option<String> {
        let given: BTreeMap<&str, &str> = [
            ("AWS::AccountId", ACCOUNT),
            ("AWS::Partition", "aws"),
            ("AWS::Region", REGION),
            ("AWS::StackId", "arn:aws:cloudformation:us-east-1:000000000000:stack/backup-compliance/1b2c-3d4e5f6a7b8c"),
            ("AWS::StackName", "backup-compliance"),
            ("AWS::URLSuffix", "amazonaws.com"),
            ("RepositoryName", "backup-policy"),
            ("RepositoryKeyArn", "arn:aws:kms:us-east-1:000000000000:key/1a2b3c4d"),
            // The generated name of a resource, which is a parameter of other templates.
            ("PolicyBucket", "backup-compliance-policybucket-1a2b3c4d5e6f"),
            ("PolicyBucketName", "backup-compliance-policybucket-1a2b3c4d5e6f"),
            ("OrganizationId", "o-exampleorgid"),
            ("MemberRoleName", "backup-compliance-member"),
            ("ConfigAggregatorName", "organization"),
            ("ApplicationAccountId", ACCOUNT),
            ("ComplianceEventBusArn", "arn:aws:events:us-east-1:000000000000:event-bus/backup-compliance"),
        ]
        .into();
        if let Some(value) = given.get(name) {
            return Some((*value).to_owned());
        }
        let default = &self.root["Parameters"][name]["Default"];
        default.as_str().map(str::to_owned).or_else(|| default.as_i64().map(|number| number.to_string()))
    }
}

/// The strings in a value that is one string or a list of them.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The values in a value that is one or a list of them.
pub(crate) fn listed(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

/// The value of an intrinsic function with resolved arguments; `None` if an argument is unknown.
fn call(name: &str, arguments: &Value) -> Option<Value> {
    let [first, second] = arguments.as_array()?.as_slice() else { return None };
    let list = || second.as_array().filter(|items| items.iter().all(Value::is_string));
    match name {
        "Fn::Join" => Some(json!(list()?.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(first.as_str()?))),
        "Fn::Select" => list()?.get(usize::try_from(first.as_u64()?).ok()?).cloned(),
        "Fn::Split" => Some(second.as_str()?.split(first.as_str()?).map(Value::from).collect()),
        _ => None,
    }
}

/// Whether a value marks a missing member or item.
fn is_missing(value: &Value) -> bool {
    *value == json!({"Ref": "AWS::NoValue"})
}

fn references(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, out)),
        Value::Object(members) => {
            for (key, member) in members {
                match (key.as_str(), member) {
                    ("Ref", Value::String(name)) => _ = out.insert(name.clone()),
                    ("Fn::GetAtt", Value::Array(path)) => _ = out.insert(path[0].as_str().unwrap().to_owned()),
                    ("Fn::Sub", Value::String(text)) => {
                        out.extend(placeholders(text).iter().map(|name| name.split('.').next().unwrap().to_owned()));
                    }
                    ("Fn::Sub", Value::Array(parts)) => {
                        references(&json!({"Fn::Sub": parts[0]}), out);
                        references(&parts[1], out);
                    }
                    (_, member) => references(member, out),
                }
            }
        }
        _ => {}
    }
}

fn placeholders(text: &str) -> Vec<String> {
    text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).collect()
}
