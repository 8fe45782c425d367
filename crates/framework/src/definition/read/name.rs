//! Reads the name of a framework: BC011.

use syntax::template::{NodeValue, Piece, Resolved};
use syntax::text::printable;
use syntax::yaml::Node;

use super::Reading;
use crate::rules::framework::FRAMEWORK_NAME;

const MOST: usize = 256;

const HELP: &str = "use a letter followed by letters, digits and underscores, at most 256 characters";

/// Reads `FrameworkName`: a letter, then letters, digits and underscores, at most 256 (AWS Backup API).
pub(super) fn read<'t>(reading: &mut Reading<'_, '_, '_, 't>, properties: &'t Node) -> Resolved {
    let (node, name) = reading.text(properties, "FrameworkName");
    if name == Resolved::Unknown {
        partial_name(reading, node);
    }
    let Resolved::Text(text) = &name else { return name };
    let Some(message) = violation(text) else { return name };
    // Hyphens, dots and spaces are conventionally replaced by underscores.
    let is_close = starts_with_letter(text) && text.chars().all(|c| !is_invalid(c) || "-. ".contains(c));
    let edits = match is_close && text.contains(is_invalid) {
        true => reading.rewritten(&FRAMEWORK_NAME, node, &text.replace(is_invalid, "_")),
        false => Vec::new(),
    };
    reading.diagnostics.report_fixable(&FRAMEWORK_NAME, node, message, HELP, edits);
    name
}

/// Returns the message about an invalid name.
pub(crate) fn violation(name: &str) -> Option<String> {
    let shown = printable(name);
    match name.chars().find(|c| is_invalid(*c)) {
        _ if name.is_empty() => Some("the framework name is empty".to_owned()),
        Some(odd) => Some(format!("the framework name `{shown}` contains `{}`", odd.escape_debug())),
        None if !starts_with_letter(name) => Some(format!("the framework name `{shown}` does not start with a letter")),
        None if name.len() > MOST => Some(format!("the framework name `{shown}` has {} characters", name.len())),
        None => None,
    }
}

fn is_invalid(c: char) -> bool {
    !c.is_ascii_alphanumeric() && c != '_'
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Checks the known parts of a name. Every Region code has a hyphen and every account id starts with a digit, so some names that contain
/// them are invalid everywhere.
fn partial_name<'t>(reading: &mut Reading<'_, '_, '_, 't>, node: &'t Node) {
    /// Not a Region and an account, so that comparisons with one are false.
    const SAMPLES: &[(&str, &str)] = &[("AWS::Region", "xx-xxxx-0"), ("AWS::AccountId", "000000000000")];
    let pieces = match reading.resolver.with_pseudo(SAMPLES).resolve(node) {
        NodeValue::Pieces(pieces) => pieces,
        NodeValue::Text(text) => vec![Piece::Text(text)],
        _ => return,
    };
    let written = match reading.resolver.resolve(node) {
        NodeValue::Pieces(pieces) => pieces,
        _ => Vec::new(),
    };
    let text = |piece: &'_ Piece| if let Piece::Text(text) = piece { Some(text.clone()) } else { None };
    let odd_part =
        written.iter().filter_map(text).find(|text| text.contains(is_invalid) && !text.contains("{{resolve:"));
    let odd = |text: &str| text.chars().find(|c| is_invalid(*c));
    let is_dynamic = pieces.iter().filter_map(text).any(|text| text.contains("{{resolve:"));
    let first = pieces.first().and_then(text).filter(|first| !starts_with_letter(first));
    let (message, help) = if let Some((part, odd)) = odd_part.as_deref().and_then(|part| Some((part, odd(part)?))) {
        let message = format!("the framework name contains `{}` in `{}`", odd.escape_debug(), printable(part));
        (message, format!("write `{}`: {HELP}", printable(&part.replace(is_invalid, "_"))))
    } else if is_dynamic {
        return;
    } else if let Some(odd) = pieces.iter().filter_map(text).find_map(|text| odd(&text)) {
        let message = format!("the framework name contains the Region code, which has a `{}`", odd.escape_debug());
        let help = format!("{HELP}; `!Join [_, !Split ['-', !Ref AWS::Region]]` is the Region code with underscores");
        (message, help)
    } else if first.is_some() {
        let of_account = match written.first() {
            Some(Piece::Text(_)) => "",
            _ => ": the account id starts with a digit",
        };
        (format!("the framework name does not start with a letter{of_account}"), HELP.to_owned())
    } else {
        return;
    };
    reading.diagnostics.report(&FRAMEWORK_NAME, node, message, help);
}
