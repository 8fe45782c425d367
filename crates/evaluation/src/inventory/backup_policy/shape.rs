//! The settings of a backup policy, and what AWS Organizations rejects in a document.

use syntax::diagnostic::Position;
use syntax::template::{Content, Part};
use syntax::text::{closest_match, printable};

use super::{APPEND, ASSIGN, FOR_CHILDREN, PLANS, REMOVE};

/// The form of a setting.
#[derive(Debug)]
pub(super) enum SettingShape {
    /// One value.
    Text,
    /// Several values.
    List,
    /// Settings that no control depends on.
    Free,
    /// Settings with these names.
    Group(&'static [(&'static str, SettingShape)]),
    /// Settings of one form, with any names.
    Named(&'static SettingShape),
}

use SettingShape::{Free, Group, List, Named, Text};

const LIFECYCLE: SettingShape = Group(&[
    ("move_to_cold_storage_after_days", Text),
    ("delete_after_days", Text),
    ("opt_in_to_archive_for_supported_resources", Text),
]);

const COPY: SettingShape = Group(&[("target_backup_vault_arn", Text), ("lifecycle", LIFECYCLE)]);

const RULE: SettingShape = Group(&[
    ("schedule_expression", Text),
    ("schedule_expression_timezone", Text),
    ("target_backup_vault_name", Text),
    ("target_logically_air_gapped_backup_vault_arn", Text),
    ("start_backup_window_minutes", Text),
    ("complete_backup_window_minutes", Text),
    ("enable_continuous_backup", Text),
    ("lifecycle", LIFECYCLE),
    ("copy_actions", Named(&COPY)),
    ("recovery_point_tags", Free),
    ("index_actions", Free),
    ("scan_actions", Free),
]);

const CONDITION: SettingShape = Group(&[("condition_key", Text), ("condition_value", Text)]);

const CONDITIONS: SettingShape = Group(&[
    ("string_equals", Named(&CONDITION)),
    ("string_not_equals", Named(&CONDITION)),
    ("string_like", Named(&CONDITION)),
    ("string_not_like", Named(&CONDITION)),
]);

const BY_TAG: SettingShape =
    Group(&[("iam_role_arn", Text), ("tag_key", Text), ("tag_value", List), ("conditions", CONDITIONS)]);

const BY_TYPE: SettingShape = Group(&[
    ("iam_role_arn", Text),
    ("resource_types", List),
    ("not_resource_types", List),
    ("conditions", CONDITIONS),
]);

const PLAN: SettingShape = Group(&[
    ("regions", List),
    ("rules", Named(&RULE)),
    ("selections", Group(&[("tags", Named(&BY_TAG)), ("resources", Named(&BY_TYPE))])),
    ("advanced_backup_settings", Free),
    ("backup_plan_tags", Free),
    ("scan_settings", Free),
]);

/// The form of a policy.
pub(super) const POLICY: SettingShape = Group(&[(PLANS, Named(&PLAN))]);

impl SettingShape {
    /// Returns the form of a setting in a group.
    pub(super) fn get(&self, name: &str) -> Option<&'static SettingShape> {
        match self {
            Group(all) => all.iter().find(|(own, _)| *own == name).map(|(_, shape)| shape),
            Named(shape) => Some(shape),
            Text | List | Free => None,
        }
    }
}

/// A part of a document that AWS Organizations rejects, or ignores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyViolation {
    pub(crate) at: Position,
    pub(crate) message: String,
    pub(crate) help: String,
    pub(crate) is_warning: bool,
}

/// Returns the violations of a document in its order. Parts that only a deployment knows violate nothing.
pub(crate) fn violations(policy: &Part) -> Vec<PolicyViolation> {
    // The effective policy of an account, as AWS shows it, has no operators.
    let mut inspection = PolicyInspection { is_effective: !has_operator(policy), found: Vec::new() };
    if policy.entries().is_some() && policy.get(PLANS).is_none() {
        inspection.report(
            policy.at,
            "the backup policy has no `plans`".to_owned(),
            "add `plans`, with a plan by its name",
        );
    }
    inspection.setting(policy, &POLICY, "");
    inspection.found
}

fn has_operator(part: &Part) -> bool {
    match &part.content {
        Content::Mapping(entries) => entries.iter().any(|(key, value)| key.starts_with("@@") || has_operator(value)),
        Content::List(items) => items.iter().any(has_operator),
        Content::Text(_) | Content::Pieces(_) | Content::Unknown => false,
    }
}

struct PolicyInspection {
    is_effective: bool,
    found: Vec<PolicyViolation>,
}

impl PolicyInspection {
    fn report(&mut self, at: Position, message: String, help: impl Into<String>) {
        // As many as are shown of a file.
        if self.found.len() < 100 {
            self.found.push(PolicyViolation { at, message, help: help.into(), is_warning: false });
        }
    }

    fn setting(&mut self, part: &Part, shape: &SettingShape, path: &str) {
        match shape {
            _ if matches!(part.content, Content::Unknown | Content::Pieces(_)) => {}
            Free => {}
            Group(_) | Named(_) => self.group(part, shape, path),
            Text | List => self.value(part, matches!(shape, List), path),
        }
    }

    fn group(&mut self, part: &Part, shape: &SettingShape, path: &str) {
        let shown = if path.is_empty() { "the backup policy".to_owned() } else { format!("`{}`", printable(path)) };
        let Some(entries) = part.entries() else {
            let what = describe(part);
            return self.report(part.at, format!("{shown} is {what}"), "write an object with settings by their names");
        };
        for (key, value) in entries {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match shape.get(key) {
                _ if key == FOR_CHILDREN => self.allowed(value),
                _ if key.starts_with("@@") => {
                    let message = format!("`{}` sets a value, and {shown} is a group of settings", printable(key));
                    self.report(value.at, message, "write the operator at each setting in it");
                }
                Some(shape) => self.setting(value, shape, &inner),
                None => self.unknown(value.at, key, &shown, shape),
            }
        }
        if path.ends_with(".selections") && part.get("tags").is_some() && part.get("resources").is_some() {
            let help = "select by `resources` with `conditions`, which may name tags too";
            self.report(part.at, format!("{shown} has both `tags` and `resources`, of which a plan has one"), help);
        }
    }

    fn unknown(&mut self, at: Position, key: &str, shown: &str, shape: &SettingShape) {
        let names: Vec<&str> = match shape {
            Group(all) => all.iter().map(|(name, _)| *name).collect(),
            _ => Vec::new(),
        };
        let near = closest_match(key, names.iter().copied());
        let help = near.map_or_else(|| "remove it".to_owned(), |near| format!("did you mean `{near}`?"));
        let message = format!("{shown} has the unknown setting `{}`", printable(key));
        // AWS may have added it.
        self.found.push(PolicyViolation { at, message, help, is_warning: near.is_none() });
    }

    fn allowed(&mut self, part: &Part) {
        const KNOWN: [&str; 5] = ["@@all", "@@none", ASSIGN, APPEND, REMOVE];
        let Some(items) = part.items() else {
            let message = format!("`{FOR_CHILDREN}` is {}", describe(part));
            return self.report(part.at, message, "write a list, such as `[\"@@none\"]`");
        };
        for item in items {
            if let Some(name) = item.as_text().filter(|name| !KNOWN.contains(name)) {
                let message = format!("`{}` is not an operator", printable(name));
                self.report(item.at, message, format!("use `{}`", KNOWN.join("`, `")));
            }
        }
    }

    fn value(&mut self, part: &Part, is_list: bool, path: &str) {
        let shown = printable(path);
        let Some(entries) = part.entries() else {
            if !self.is_effective {
                let value = if is_list { "[...]" } else { "\"...\"" };
                let help = format!("write `{{ \"{ASSIGN}\": {value} }}`");
                self.report(part.at, format!("the value of `{shown}` has no operator"), help);
            }
            return;
        };
        if !entries.iter().any(|(key, _)| [ASSIGN, APPEND, REMOVE].contains(&key.as_str())) {
            self.report(part.at, format!("`{shown}` has no operator"), format!("write `\"{ASSIGN}\"` with its value"));
        }
        for (key, value) in entries {
            match key.as_str() {
                FOR_CHILDREN => self.allowed(value),
                ASSIGN | APPEND | REMOVE => {
                    if !is_list && key != ASSIGN {
                        let message = format!("`{shown}` has one value, which `{key}` cannot change");
                        self.report(value.at, message, format!("use `{ASSIGN}`"));
                    } else {
                        self.operand(value, is_list, path);
                    }
                }
                _ => {
                    let message = format!("`{}` is not an operator", printable(key));
                    self.report(value.at, message, format!("use `{ASSIGN}`, `{APPEND}` or `{REMOVE}`"));
                }
            }
        }
    }

    fn operand(&mut self, part: &Part, is_list: bool, path: &str) {
        let is_scalar = |part: &Part| matches!(part.content, Content::Text(_) | Content::Pieces(_) | Content::Unknown);
        let is_right = is_scalar(part) || (is_list && part.items().is_some_and(|items| items.iter().all(is_scalar)));
        if !is_right {
            let help = if is_list { "write a list of strings" } else { "write a string" };
            self.report(part.at, format!("the value of `{}` is {}", printable(path), describe(part)), help);
        }
    }
}

fn describe(part: &Part) -> &'static str {
    match part.content {
        Content::List(_) => "a list",
        Content::Mapping(_) => "an object",
        Content::Text(_) | Content::Pieces(_) | Content::Unknown => "a string",
    }
}
