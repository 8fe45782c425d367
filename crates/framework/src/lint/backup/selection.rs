//! Backup selections.

use std::collections::BTreeMap;

use syntax::template::{Content, Part, Piece, TemplateResource};
use syntax::text::printable;

use super::{Context, Reporter, arn_text, partial_text};
use crate::backup::selection::{self, OPERATORS, TAG_PREFIX, ValueCondition};
use crate::backup::{Rejection, arn, name};
use crate::rules::{plans, selections};

pub(super) fn check(
    reporter: &mut Reporter<'_, '_, '_, '_>,
    context: &Context<'_, '_>,
    resource: &TemplateResource<'_>,
) {
    let own = resource.properties.get("BackupSelection").filter(|own| own.entries().is_some());
    let Some(own) = own else { return };
    reporter.name(&plans::NAME, own, name::SELECTION);
    nothing_selected(reporter, own, resource.logical_id);
    for property in ["Resources", "NotResources"] {
        arns(reporter, context, own, property);
    }
    for entry in own.get("ListOfTags").and_then(Part::items).unwrap_or_default() {
        listed_tag(reporter, entry);
    }
    union(reporter, own);
    conditions(reporter, own);
}

fn nothing_selected(reporter: &mut Reporter<'_, '_, '_, '_>, own: &Part, id: &str) {
    let is_empty = |property: &str| own.get(property).is_none_or(|list| list.items().is_some_and(<[Part]>::is_empty));
    if !is_empty("Resources") || !is_empty("ListOfTags") {
        return;
    }
    let message = format!(
        "the selection `{}` has neither `Resources` nor `ListOfTags`, and AWS Backup rejects it",
        printable(id)
    );
    let help = match own.get("Conditions") {
        Some(_) => "add `Resources: [\"*\"]`, which `Conditions` narrows",
        None => "add `Resources` with ARNs or patterns, or `ListOfTags`",
    };
    reporter.report_in(&selections::NOTHING_SELECTED, own, Rejection::new("Resources", message, help));
}

/// Checks a list of ARNs and patterns.
fn arns(reporter: &mut Reporter<'_, '_, '_, '_>, context: &Context<'_, '_>, own: &Part, property: &'static str) {
    let Some(list) = own.get(property) else { return };
    let items = list.items().unwrap_or_default();
    let mut patterns = 0_usize;
    for item in items {
        if let Some(rejection) = reference(context, item, property) {
            reporter.report(&selections::NOT_ARN, item.at, rejection);
            continue;
        }
        patterns += usize::from(partial_text(item).is_some_and(|text| text.contains('*')));
        let Some(text) = arn_text(item) else { continue };
        if let Some(rejection) = arn::not_an_arn(property, &text) {
            reporter.report(&selections::NOT_ARN, item.at, rejection);
        } else if let Some(rejection) = arn::matches_nothing(property, &text) {
            reporter.report(&selections::NO_MATCH, item.at, rejection);
        }
    }
    if let Some(rejection) = selection::too_many(property, items.len(), patterns) {
        reporter.report(&selections::TOO_MANY_ARNS, list.at, rejection);
    }
}

/// How the ARN of a resource is written.
enum ArnSource {
    Attribute(&'static str),
    /// Service and resource part of an ARN that ends with the result of `Ref`.
    Parts(&'static str, &'static str),
}

/// The types whose `Ref` is a name or an id (CloudFormation template reference, "Return values" of each type).
const NAMED: &[(&str, ArnSource)] = &[
    ("AWS::DynamoDB::Table", ArnSource::Attribute("Arn")),
    ("AWS::DynamoDB::GlobalTable", ArnSource::Attribute("Arn")),
    ("AWS::Serverless::SimpleTable", ArnSource::Attribute("Arn")),
    ("AWS::RDS::DBInstance", ArnSource::Attribute("DBInstanceArn")),
    ("AWS::RDS::DBCluster", ArnSource::Attribute("DBClusterArn")),
    ("AWS::DocDB::DBCluster", ArnSource::Parts("rds", "cluster:")),
    ("AWS::Neptune::DBCluster", ArnSource::Parts("rds", "cluster:")),
    ("AWS::EC2::Volume", ArnSource::Parts("ec2", "volume/")),
    ("AWS::EC2::Instance", ArnSource::Parts("ec2", "instance/")),
    ("AWS::EFS::FileSystem", ArnSource::Attribute("Arn")),
    ("AWS::FSx::FileSystem", ArnSource::Attribute("ResourceARN")),
    ("AWS::FSx::Volume", ArnSource::Attribute("ResourceARN")),
    ("AWS::S3::Bucket", ArnSource::Attribute("Arn")),
    ("AWS::EKS::Cluster", ArnSource::Attribute("Arn")),
];

/// Returns the rejection of a `Ref` that is not an ARN.
fn reference(context: &Context<'_, '_>, item: &Part, property: &'static str) -> Option<Rejection> {
    let Content::Pieces(pieces) = &item.content else { return None };
    let [Piece::Resource { logical_id, attribute: None }] = pieces.as_slice() else { return None };
    let kind = context.kinds.get(logical_id.as_str())?;
    let (_, source) = NAMED.iter().find(|(known, _)| known == kind)?;
    let help = match source {
        ArnSource::Attribute(attribute) => format!("write `!GetAtt {logical_id}.{attribute}`"),
        ArnSource::Parts(service, start) => format!(
            "write `!Sub \"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{start}${{{logical_id}}}\"`"
        ),
    };
    let message = format!("`Ref` of `{}` ({kind}) is its name or id, not its ARN", printable(logical_id));
    Some(Rejection::new(property, message, help))
}

/// Checks an entry of `ListOfTags`.
fn listed_tag(reporter: &mut Reporter<'_, '_, '_, '_>, entry: &Part) {
    if entry.entries().is_none() {
        return;
    }
    match entry.get("ConditionType") {
        None => {
            let message = "an entry of `ListOfTags` has no `ConditionType`, which is required";
            let help = format!("add `ConditionType: {}`", selection::STRING_EQUALS);
            reporter.report(&selections::TAG_OPERATOR, entry.at, Rejection::new("ConditionType", message, help));
        }
        Some(part) => {
            if let Some(rejection) = part.as_text().and_then(selection::tag_operator) {
                reporter.report(&selections::TAG_OPERATOR, part.at, rejection);
            }
        }
    }
    if let Some(part) = entry.get("ConditionKey")
        && let Some(doubt) = part.as_text().and_then(selection::prefixed_tag)
    {
        reporter.report(&selections::PREFIXED_TAG, part.at, doubt);
    }
}

/// Reports wildcards together with tags, which select the union.
fn union(reporter: &mut Reporter<'_, '_, '_, '_>, own: &Part) {
    let tags = own.get("ListOfTags").and_then(Part::items).unwrap_or_default();
    let resources = own.get("Resources").and_then(Part::items).unwrap_or_default();
    let pattern = resources.iter().filter_map(partial_text).find(|text| text.contains('*'));
    let (Some(pattern), Some(first), Some(list)) = (pattern, tags.first(), own.get("ListOfTags")) else { return };
    let pattern = match pattern.contains(arn::UNKNOWN) {
        true => "the pattern in `Resources`".to_owned(),
        false => format!("`{}`", printable(&pattern)),
    };
    let message = format!(
        "the selection selects every resource that matches {pattern}, and also every resource with a tag of `ListOfTags`"
    );
    let text = |property: &str| first.get(property).and_then(Part::as_text).map(printable);
    let help = match (tags.len(), text("ConditionKey"), text("ConditionValue")) {
        (1, Some(key), Some(value)) => format!(
            "to select only those with the tag, replace `ListOfTags` by `Conditions: {{ StringEquals: [{{ ConditionKey: \
             \"{TAG_PREFIX}{}\", ConditionValue: \"{value}\" }}] }}`",
            key.strip_prefix(TAG_PREFIX).unwrap_or(&key)
        ),
        (1, ..) => format!("to select only those with the tag, use `Conditions` with the key `{TAG_PREFIX}<key>`"),
        _ => "to select only those with a tag, use one selection with `Conditions` for each tag".to_owned(),
    };
    reporter.report(&selections::UNION, list.at, Rejection::new("ListOfTags", message, help));
}

/// Checks the conditions.
fn conditions(reporter: &mut Reporter<'_, '_, '_, '_>, own: &Part) {
    let Some(conditions) = own.get("Conditions") else { return };
    let mut by_tag: BTreeMap<&str, (Vec<ValueCondition<'_>>, &Part)> = BTreeMap::new();
    for (operator, list) in conditions.entries().unwrap_or_default() {
        if !OPERATORS.contains(&operator.as_str()) {
            unknown_operator(reporter, operator, list);
            continue;
        }
        for item in list.items().unwrap_or_default() {
            let (Some(part), value) = (item.get("ConditionKey"), item.get("ConditionValue")) else { continue };
            let Some(key) = part.as_text() else { continue };
            if let Some(doubt) = selection::bare_condition(key) {
                reporter.report(&selections::BARE_CONDITION, part.at, doubt);
            } else if let Some(value) = value.and_then(Part::as_text) {
                let (is_like, is_negative) = (operator.ends_with("Like"), operator.contains("Not"));
                let entry = by_tag.entry(key).or_insert_with(|| (Vec::new(), item));
                entry.0.push(ValueCondition { is_like, is_negative, value });
            }
        }
    }
    for (key, (conditions, first)) in by_tag {
        let Some((one, other)) = selection::contradiction(&conditions) else { continue };
        let [one, other] = [one, other].map(|it| format!("`{}` with `{}`", it.operator(), printable(it.value)));
        let message =
            format!("no value of `{}` satisfies both {one} and {other}, and all conditions must hold", printable(key));
        let help = "use one selection for each value, or one condition with `StringLike` and a pattern";
        reporter.report(&selections::CONTRADICTION, first.at, Rejection::new("Conditions", message, help));
    }
}

fn unknown_operator(reporter: &mut Reporter<'_, '_, '_, '_>, operator: &str, list: &Part) {
    let known = OPERATORS.iter().find(|known| known.eq_ignore_ascii_case(operator));
    let help = match known {
        Some(known) => format!("write `{known}`; operators are case-sensitive"),
        None => format!("use one of `{}`", OPERATORS.join("`, `")),
    };
    let message = format!("`Conditions` has no operator `{}`", printable(operator));
    reporter.report(&selections::OPERATOR, list.at, Rejection::new("Conditions", message, help));
}
