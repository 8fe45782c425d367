//! Do the values that a policy gives fit the parameters that the template declares?

use std::collections::BTreeMap;

use crate::fault::{Faults, nearest};
use crate::ids::shown;
use crate::template::Template;

pub(super) fn check(faults: &mut Faults<'_, '_>, template: &Template, given: &BTreeMap<String, String>) {
    let declared = template.parameters();
    let section = template.root().get("Parameters");
    for name in given.keys().filter(|name| !template.declares(name)) {
        let fix = match nearest(name, declared.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it in the template or remove it from the policy".to_owned(),
        };
        let problem = format!("the policy gives the parameter `{}`, which this template does not declare", shown(name));
        match section {
            Some(section) => faults.at(section.at, problem, fix),
            None => faults.in_file(problem, fix),
        }
    }
    let entries = section.and_then(|section| section.entries()).unwrap_or_default();
    for (key, _) in entries {
        let Some(name) = key.as_str() else { continue };
        if declared.get(name).is_some_and(Option::is_none) && !given.contains_key(name) {
            let problem = format!("the parameter `{}` has no default and the policy gives no value", shown(name));
            faults.at(key.at, problem, "give it a `Default`, or a value under `parameters` in the policy");
        }
    }
}
