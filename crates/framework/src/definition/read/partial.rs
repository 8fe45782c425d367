//! Checks the known parts of parameter values: BC033 of partly known values, BC132 and BC133.

use syntax::template::{NodeValue, Piece, call};
use syntax::text::printable;
use syntax::yaml::Node;

use super::{GivenParameter, Reading};
use crate::control::ParameterKind;
use crate::ids::{AccountId, RegionName};
use crate::rules::parameters::{BLANK_IN_LIST, NOT_A_PRINCIPAL, VALUE_TYPE};

/// Stands for an unknown part of an item.
const UNKNOWN: char = '\u{0}';

/// Checks a value of which some parts are known. Unknown parts may be anything.
pub(super) fn check<'t>(reading: &mut Reading<'_, '_, '_, 't>, given: &GivenParameter<'t>) {
    let pieces = pieces(reading, given.value);
    let is_known = |piece: &Piece| matches!(piece, Piece::Text(_) | Piece::Resource { .. });
    if !pieces.iter().any(is_known) {
        return;
    }
    let items = items(pieces);
    let texts: Vec<String> = items.iter().map(|item| text(item)).collect();
    let is_too_long = |most: usize| texts.len() > most;
    let bad = |is_bad: &dyn Fn(&str) -> bool| texts.iter().find(|item| is_bad(item)).map(|item| shown(item));
    let (bad, expected) = match given.parameter.kind {
        ParameterKind::ArnList { most } if is_too_long(most) => (None, format!("at most {most} role ARNs")),
        ParameterKind::ArnList { .. } => return principals(reading, given, &items),
        ParameterKind::Integer { .. } | ParameterKind::Period { .. } => {
            let is_digit = |c: char| c.is_ascii_digit() || c == UNKNOWN;
            match bad(&|item| !item.chars().all(is_digit)) {
                None => return,
                bad => (bad, "an integer in digits".to_owned()),
            }
        }
        ParameterKind::RegionList => {
            let is_wrong = |item: &str| match item.contains(UNKNOWN) {
                true => item.contains(char::is_whitespace),
                false => RegionName::parse_listed(item, &[]).is_err(),
            };
            match bad(&is_wrong) {
                None => return,
                bad => (bad, "Region codes separated by commas without spaces".to_owned()),
            }
        }
        ParameterKind::AccountList { most } => {
            let is_wrong = |item: &str| match item.contains(UNKNOWN) {
                true => !item.chars().all(|c| c.is_ascii_digit() || c == UNKNOWN),
                false => AccountId::parse(item).is_err(),
            };
            match bad(&is_wrong) {
                None if !is_too_long(most) => return,
                bad => (bad, format!("at most {most} 12-digit account ids separated by commas without spaces")),
            }
        }
        ParameterKind::OneOf(_) => return,
    };
    let message = match bad {
        Some(item) => format!("the parameter `{}` has the item `{item}`", given.parameter.name),
        None => format!("the parameter `{}` has {} items", given.parameter.name, texts.len()),
    };
    reading.diagnostics.report(&VALUE_TYPE, given.value, message, format!("it must be {expected}"));
}

/// Checks the items of a known list of ARNs.
pub(super) fn check_known<'t>(reading: &mut Reading<'_, '_, '_, 't>, given: &GivenParameter<'t>, value: &str) {
    if let ParameterKind::ArnList { .. } = given.parameter.kind {
        principals(reading, given, &items(vec![Piece::Text(value.to_owned())]));
    }
}

/// Returns the pieces of a value; none if all of it is unknown. Dynamic references are unknown pieces.
fn pieces<'t>(reading: &Reading<'_, '_, '_, 't>, node: &'t Node) -> Vec<Piece> {
    let pieces = match reading.resolver.resolve(node) {
        NodeValue::Text(text) => vec![Piece::Text(text)],
        NodeValue::Pieces(pieces) => pieces,
        NodeValue::Unknown => {
            // A text with a dynamic reference.
            let written = match call(node) {
                None => node.as_str(),
                Some(call) => call.text().filter(|text| call.function == "Sub" && !text.contains("${")),
            };
            written
                .filter(|text| text.contains("{{resolve:"))
                .map(|text| Piece::Text(text.to_owned()))
                .into_iter()
                .collect()
        }
        NodeValue::Tree(_) | NodeValue::Texts(_) | NodeValue::Absent => Vec::new(),
    };
    let mut all = Vec::new();
    for piece in pieces {
        let Piece::Text(text) = piece else {
            all.push(piece);
            continue;
        };
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{resolve:") {
            all.push(Piece::Text(before.to_owned()));
            all.push(Piece::Unknown);
            rest = after.split_once("}}").map_or("", |(_, rest)| rest);
        }
        all.push(Piece::Text(rest.to_owned()));
    }
    all.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    all
}

/// Splits a list at its known commas.
fn items(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut items: Vec<Vec<Piece>> = Vec::new();
    let mut item = Vec::new();
    for piece in pieces {
        let Piece::Text(text) = piece else {
            item.push(piece);
            continue;
        };
        for (number, part) in text.split(',').enumerate() {
            if number > 0 {
                items.push(std::mem::take(&mut item));
            }
            if !part.is_empty() {
                item.push(Piece::Text(part.to_owned()));
            }
        }
    }
    items.push(item);
    items
}

/// The text of an item, with [`UNKNOWN`] for each unknown part.
fn text(item: &[Piece]) -> String {
    let part = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Resource { .. } | Piece::Pseudo(_) | Piece::Unknown => UNKNOWN.to_string(),
    };
    item.iter().map(part).collect()
}

fn shown(item: &str) -> String {
    printable(&item.replace(UNKNOWN, "..."))
}

/// Checks the ARNs of principals: white space, and ARNs and names of something else.
fn principals<'t>(reading: &mut Reading<'_, '_, '_, 't>, given: &GivenParameter<'t>, items: &[Vec<Piece>]) {
    let name = given.parameter.name;
    let texts: Vec<String> = items.iter().map(|item| text(item)).collect();
    if texts.iter().any(|item| item.trim() != item) {
        let message = format!("the parameter `{name}` has white space around an item");
        let help = "separate the ARNs by commas without spaces: AWS does not document whether it ignores spaces";
        let trimmed: Vec<&str> = texts.iter().map(|item| item.trim()).collect();
        let edits = match given.text {
            Some(_) => reading.rewritten(&BLANK_IN_LIST, given.value, &trimmed.join(",")),
            None => Vec::new(),
        };
        reading.diagnostics.report_fixable(&BLANK_IN_LIST, given.value, message, help, edits);
    }
    for (item, text) in items.iter().zip(&texts) {
        let is_blank = |piece: &&Piece| matches!(piece, Piece::Text(text) if text.trim().is_empty());
        let mut parts = item.iter().filter(|piece| !is_blank(piece));
        match (parts.next(), parts.next()) {
            (Some(Piece::Resource { logical_id, attribute }), None) => {
                reference(reading, given, logical_id, attribute.as_deref());
            }
            (Some(Piece::Text(_)), _) => arn(reading, given, text.trim()),
            _ => {}
        }
    }
}

/// Reports a reference whose value is the name or another attribute of a role, or the ARN of another kind of resource.
fn reference<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    given: &GivenParameter<'t>,
    logical_id: &str,
    attribute: Option<&str>,
) {
    let name = given.parameter.name;
    let Some(kind) = reading.resolver.resource_type(logical_id) else { return };
    let resource = printable(logical_id);
    let of = match (kind, attribute) {
        ("AWS::IAM::Role", None) => format!("the name of the role `{resource}`"),
        ("AWS::IAM::User", None) => format!("the name of the user `{resource}`"),
        ("AWS::IAM::Role" | "AWS::IAM::User", Some("Arn")) => return,
        ("AWS::IAM::Role" | "AWS::IAM::User", Some(other)) => {
            format!("the attribute `{}` of `{resource}`", printable(other))
        }
        (kind, Some("Arn")) if kind.starts_with("AWS::") && !kind.starts_with("AWS::CloudFormation::") => {
            let message = format!("the parameter `{name}` has the ARN of `{resource}`, which is not a principal");
            let help = "list ARNs of IAM roles";
            return reading.diagnostics.report(&NOT_A_PRINCIPAL, given.value, message, help);
        }
        _ => return,
    };
    let is_in_sub = call(given.value).is_some_and(|call| call.function == "Sub");
    let help = match (is_in_sub, reading.diagnostics.source().is_json()) {
        (true, _) => format!("write `${{{resource}.Arn}}`"),
        (false, true) => format!("write `{{\"Fn::GetAtt\": [\"{resource}\", \"Arn\"]}}`"),
        (false, false) => format!("write `!GetAtt {resource}.Arn`"),
    };
    let message = format!("the parameter `{name}` has {of}, not its ARN");
    reading.diagnostics.report(&VALUE_TYPE, given.value, message, help);
}

/// Reports a text that is not the ARN of a principal. Unknown parts are taken for parts without a colon.
fn arn(reading: &mut Reading<'_, '_, '_, '_>, given: &GivenParameter<'_>, item: &str) {
    const PREFIX: &str = "arn:";
    let known = item.split(UNKNOWN).next().unwrap_or_default();
    let name = given.parameter.name;
    if !known.starts_with(PREFIX) && !PREFIX.starts_with(known) {
        // A wholly known value was checked before.
        if given.text.is_none() {
            let message = format!("the parameter `{name}` has the item `{}`", shown(item));
            reading.diagnostics.report(&VALUE_TYPE, given.value, message, "it must be the ARN of an IAM role");
        }
        return;
    }
    let mut parts = item.splitn(6, ':').skip(2);
    let (service, _, account, resource) = (parts.next(), parts.next(), parts.next(), parts.next());
    let is_known = |part: &str| !part.contains(UNKNOWN);
    let starts = |prefixes: &[&str], resource: &str| {
        let start = resource.split(UNKNOWN).next().unwrap_or_default();
        prefixes.iter().any(|prefix| start.starts_with(prefix) || prefix.starts_with(start)) || start.starts_with('*')
    };
    let is_principal = match (service, resource) {
        (Some(service), _) if account.is_some() && !is_known(service) => true,
        (Some("iam"), Some(resource)) => starts(&["role/", "user/", "root"], resource),
        (Some("sts"), Some(resource)) => starts(&["assumed-role/", "federated-user/"], resource),
        (Some(_), Some(_)) => false,
        // The end may be in an unknown part.
        _ => !is_known(item),
    };
    if !is_principal {
        let message =
            format!("the parameter `{name}` has the item `{}`, which is not the ARN of a principal", shown(item));
        let help = "list ARNs of IAM roles, such as `arn:aws:iam::111111111111:role/name`";
        reading.diagnostics.report(&NOT_A_PRINCIPAL, given.value, message, help);
    }
}
