//! Reads `preview`: the limits of a change.

use syntax::text::printable;
use syntax::yaml::Node;

use crate::policy::PreviewLimits;
use crate::policy::fields::{Errors, FieldKeys, Fields, reject, whole_number};

pub(in crate::policy) const PREVIEW: FieldKeys =
    FieldKeys { of: "`preview`", known: &["maxNewViolations", "maxUndecided", "maxMonthlyIncrease"] };

pub(super) fn preview(errors: &mut Errors<'_>, node: &Node) -> Option<PreviewLimits> {
    let fields = Fields::of(errors, node, &PREVIEW)?;
    let mut limit = |key| fields.optional(errors, key, |errors, node| limit(errors, node, key));
    Some(PreviewLimits {
        max_new_violations: limit("maxNewViolations"),
        max_undecided: limit("maxUndecided"),
        max_monthly_increase: limit("maxMonthlyIncrease"),
    })
}

fn limit(errors: &mut Errors<'_>, node: &Node, key: &str) -> Option<u32> {
    whole_number(node).or_else(|| {
        let shown = node.as_str().map_or_else(|| node.describe().to_owned(), |text| format!("`{}`", printable(text)));
        let fix = format!("write a whole number without quotes, such as `{key}: 0`, or remove the key for no limit");
        reject(errors, node.at, format!("`{key}` is {shown}"), fix)
    })
}
