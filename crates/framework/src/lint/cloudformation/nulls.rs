//! Checks for nulls: BC110.

use syntax::diagnostic::Diagnostics;
use syntax::template::Template;
use syntax::text::printable;
use syntax::yaml::{Node, Value};

use crate::rules::cloudformation::NULL;

pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, template: &Template) {
    // The name of the mapping key above each node.
    let mut left: Vec<(&Node, &str)> = vec![(template.root(), "the template")];
    while let Some((node, name)) = left.pop() {
        // The parameters of a macro are its own.
        if node.tag.as_deref() == Some("Transform") {
            continue;
        }
        for item in node.as_sequence().unwrap_or_default() {
            if is_null(item) {
                let message = format!("an item of `{}` is null", printable(name));
                let help = "CloudFormation rejects null values: write the item, or remove its `-`";
                diagnostics.report(&NULL, item, message, help);
            }
            left.push((item, name));
        }
        for (key, value) in node.entries().unwrap_or_default() {
            let name = key.as_str().unwrap_or_default();
            if is_null(value) {
                let name = printable(name);
                let help = format!("CloudFormation rejects null values: write a value, or remove `{name}`");
                diagnostics.report(&NULL, value, format!("`{name}` is null"), help);
            }
            if name != "Fn::Transform" {
                left.push((value, name));
            }
        }
    }
}

/// Faster than [`Node::is_null`], which looks at numbers too: every node is checked.
fn is_null(node: &Node) -> bool {
    let is_null = |text: &str| matches!(text, "" | "~" | "null" | "Null" | "NULL");
    node.tag.is_none() && matches!(&node.value, Value::Scalar { text, plain: true } if is_null(text))
}
