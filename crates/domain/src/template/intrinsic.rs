//! CloudFormation's functions, in their short (`!Ref X`) and long (`Ref: X`) form.

use crate::yaml::{Node, Value};

/// A call of a function.
pub(crate) struct Call<'t> {
    /// The function without its `Fn::`, such as `If`.
    pub(crate) function: &'t str,
    /// What it is called with.
    pub(crate) argument: &'t Value,
}

/// The call that a node is, if it is one.
pub(crate) fn call(node: &Node) -> Option<Call<'_>> {
    if let Some(tag) = &node.tag {
        return Some(Call { function: tag, argument: &node.value });
    }
    let [(key, argument)] = node.entries()? else { return None };
    let function = match key.as_str()? {
        name @ ("Ref" | "Condition") => name,
        name => name.strip_prefix("Fn::")?,
    };
    match &argument.tag {
        None => Some(Call { function, argument: &argument.value }),
        // The argument is itself a call, in a place where no function we evaluate takes one.
        Some(_) => Some(Call { function: "", argument: &argument.value }),
    }
}

impl<'t> Call<'t> {
    pub(crate) fn text(&self) -> Option<&'t str> {
        match self.argument {
            Value::Scalar { text, .. } => Some(text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&'t [Node]> {
        match self.argument {
            Value::Sequence(items) => Some(items),
            Value::Scalar { .. } | Value::Mapping(_) => None,
        }
    }
}
