//! The intrinsic functions of CloudFormation, in short (`!Ref X`) and full (`Ref: X`) form.

use crate::yaml::{Node, Value};

/// A function call.
pub struct FunctionCall<'t> {
    /// The function without its `Fn::`, such as `If`.
    pub function: &'t str,
    /// The argument.
    pub argument: &'t Value,
}

/// Returns the function call of a node, if it is one.
pub fn call(node: &Node) -> Option<FunctionCall<'_>> {
    if let Some(tag) = &node.tag {
        return Some(FunctionCall { function: tag, argument: &node.value });
    }
    let [(key, argument)] = node.entries()? else { return None };
    let function = match key.as_str()? {
        name @ ("Ref" | "Condition") => name,
        name => name.strip_prefix("Fn::")?,
    };
    // No supported function allows a call as its argument.
    let function = if argument.tag.is_none() { function } else { "" };
    Some(FunctionCall { function, argument: &argument.value })
}

impl<'t> FunctionCall<'t> {
    /// Returns the argument if it is one scalar.
    pub fn text(&self) -> Option<&'t str> {
        if let Value::Scalar { text, .. } = self.argument { Some(text) } else { None }
    }

    /// Returns the argument if it is a list.
    pub fn list(&self) -> Option<&'t [Node]> {
        if let Value::Sequence(items) = self.argument { Some(items) } else { None }
    }
}
