//! Do the values that a policy gives fit the parameters that the template declares?

use std::collections::BTreeMap;

use crate::fault::{Faults, nearest};
use crate::ids::shown;
use crate::lint::rules;
use crate::template::Template;

/// Which values are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// All that a deployment would give.
    All,
    /// Some; a deployment gives the others.
    Some,
}

pub(crate) fn check(
    faults: &mut Faults<'_, '_>,
    template: &Template,
    given: &BTreeMap<String, String>,
    values: Values,
) {
    let declared = template.parameters();
    let section = template.root().get("Parameters");
    for name in given.keys().filter(|name| !template.declares(name) && !name.starts_with("AWS::")) {
        let fix = match nearest(name, declared.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it in the template or remove it from the policy".to_owned(),
        };
        let problem = format!("the policy gives the parameter `{}`, which this template does not declare", shown(name));
        let at = section.map_or(template.root().at, |section| section.at);
        faults.tell(&rules::PARAMETERS, at, problem, fix, Vec::new());
    }
    if values == Values::Some {
        return;
    }
    let entries = section.and_then(|section| section.entries()).unwrap_or_default();
    for (key, _) in entries {
        let Some(name) = key.as_str() else { continue };
        if declared.get(name).is_some_and(Option::is_none) && !given.contains_key(name) {
            let problem = format!("the parameter `{}` has no default and the policy gives no value", shown(name));
            let fix = "give it a `Default`, or a value under `parameters` in the policy";
            faults.tell(&rules::PARAMETERS, key, problem, fix, Vec::new());
        }
    }
}
