//! From the tree of a policy file to a [`Policy`]. Nothing stops at the first fault: each part is read for itself, and a part that
//! cannot be read is left out of a policy that nobody gets to see.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::fields::{Fields, Keys, list, name, text, words};
use super::{
    Amount, ConcurrencyMode, Exemption, FrameworkPolicy, Policy, RegionConcurrency, Reporting, Rollout, Target,
};
use crate::control::{self, Control};
use crate::fault::{Faults, Position, nearest};
use crate::ids::{RegionName, StackSetName, shown};
use crate::yaml::{self, Dialect, Node, ScalarKind};

pub(super) mod notices;
pub(super) mod targets;

use targets::{accounts, targets};

const DIALECT: Dialect = Dialect {
    aliases_refused_by: None,
    merges: false,
    empty_fix: "a policy starts with `version: 1` and lists its frameworks under `frameworks`",
};

pub(super) const POLICY: Keys = Keys {
    of: "the policy",
    known: &["version", "removeUndeclared", "newRegions", "frameworks", "notices", "exemptions"],
    unsupported: &[],
};

pub(super) const FRAMEWORK: Keys = Keys {
    of: "a framework",
    known: &["name", "template", "parameters", "targets", "rollout", "adopt", "callAs", "autoDeployment"],
    unsupported: &[],
};

pub(super) const ROLLOUT: Keys = Keys {
    of: "`rollout`",
    known: &["maxConcurrency", "failureTolerance", "concurrencyMode", "regions", "regionOrder"],
    unsupported: &[],
};

pub(super) const EXEMPTION: Keys = Keys {
    of: "an exemption",
    known: &["control", "resources", "accounts", "tags", "reason", "owner", "until"],
    unsupported: &[],
};

const ACCOUNTS: &str = "[\"111111111111\"]";
const REGIONS: &str = "[eu-west-1]";

/// Most bytes of the value of a template parameter (CloudFormation quotas).
const MOST_VALUE_BYTES: usize = 4096;
/// Most characters of the value of a tag (AWS's rules for tags).
const MOST_TAG_CHARACTERS: usize = 256;
/// Most bytes of what a policy says about violations: it is kept as one item of the state table, which holds 400 KB.
const MOST_REPORTING_BYTES: usize = 380_000;

pub(super) fn policy(faults: &mut Faults<'_, '_>) -> Option<Policy> {
    let root = yaml::read(faults, &DIALECT)?;
    let fields = Fields::of(faults, &root, &POLICY)?;
    version(faults, &fields);
    let newer = new_regions(faults, &fields);
    let frameworks = frameworks(faults, &fields, &newer);
    let reporting = notices::notices(faults, &fields);
    let (exemptions_at, exemptions) = exemptions(faults, &fields).into_iter().unzip();
    let reporting = Reporting { exemptions, ..reporting };
    let bytes = serde_json::to_string(&reporting).map_or(0, |json| json.len());
    if bytes > MOST_REPORTING_BYTES {
        let problem = format!("`notices` and `exemptions` come to {bytes} bytes");
        let fix = format!("keep them below {MOST_REPORTING_BYTES}: patterns say in one line what lists say in many");
        faults.in_file(problem, fix);
    }
    let remove_undeclared = flag(faults, &fields, "removeUndeclared").unwrap_or(false);
    Some(Policy { frameworks, reporting, exemptions_at, remove_undeclared })
}

fn version(faults: &mut Faults<'_, '_>, fields: &Fields<'_>) {
    let Some(node) = fields.required(faults, "version", Policy::VERSION) else { return };
    match (node.scalar_kind(), node.as_str()) {
        (Some(ScalarKind::Number), Some(Policy::VERSION)) => {}
        (Some(ScalarKind::Number), Some(other)) => {
            faults.at(
                node.at,
                format!("version {} of the policy format is not known", shown(other)),
                "write `version: 1`",
            );
        }
        _ => faults.at(node.at, format!("`version` is {}", node.describe()), "write the number: `version: 1`"),
    }
}

/// Regions that the policy names although this version does not know them.
fn new_regions(faults: &mut Faults<'_, '_>, fields: &Fields<'_>) -> Vec<RegionName> {
    let Some(node) = fields.optional(faults, "newRegions") else { return Vec::new() };
    let mut newer: Vec<RegionName> = Vec::new();
    for item in list(faults, node, "newRegions", "[xx-example-1]").unwrap_or_default() {
        let Some(region) = name(faults, item, "the Region", RegionName::parse) else { continue };
        if crate::ids::REGIONS.contains(&region.as_str()) {
            faults.at(
                item.at,
                format!("the Region `{region}` is known to this version"),
                "remove it from `newRegions`",
            );
        } else if newer.contains(&region) {
            faults.at(item.at, format!("the Region `{region}` is listed twice"), "keep it once");
        } else {
            newer.push(region);
        }
    }
    newer
}

fn frameworks(faults: &mut Faults<'_, '_>, fields: &Fields<'_>, newer: &[RegionName]) -> Vec<FrameworkPolicy> {
    const EXAMPLE: &str = "`- name: backup-compliance` with `template` and `targets`";
    let Some(node) = fields.required(faults, "frameworks", "[{ name: ..., template: ..., targets: [...] }]") else {
        return Vec::new();
    };
    let items = list(faults, node, "frameworks", EXAMPLE).unwrap_or_default();
    let mut names: BTreeMap<StackSetName, Position> = BTreeMap::new();
    items.iter().filter_map(|item| framework(faults, item, &mut names, newer)).collect()
}

fn framework(
    faults: &mut Faults<'_, '_>,
    node: &Node,
    names: &mut BTreeMap<StackSetName, Position>,
    newer: &[RegionName],
) -> Option<FrameworkPolicy> {
    let fields = Fields::of(faults, node, &FRAMEWORK)?;
    let name = fields.required(faults, "name", "backup-compliance").and_then(|node| {
        let name = name(faults, node, "`name`", StackSetName::parse)?;
        match names.get(&name) {
            Some(first) => {
                let problem = format!("two frameworks have the name `{name}`, the first at {first}");
                faults.at(node.at, problem, "a framework's name is its StackSet's: give each its own");
            }
            None => drop(names.insert(name.clone(), node.at)),
        }
        Some(name)
    });
    let template = fields.required(faults, "template", "framework.yaml").and_then(|node| path(faults, node));
    let parameters = parameters(faults, &fields);
    let targets = targets(faults, &fields, newer);
    let rollout = rollout(faults, &fields, &targets);
    let adopt = flag(faults, &fields, "adopt").unwrap_or(false);
    let (call_as, auto_deployment) = targets::service_managed(faults, &fields, &targets);
    Some(FrameworkPolicy {
        name: name?,
        template: template?,
        parameters,
        targets,
        rollout,
        adopt,
        call_as,
        auto_deployment,
        at: fields.at,
    })
}

/// A path inside the repository, as CodeCommit knows it: relative, forward slashes, no detours.
fn path(faults: &mut Faults<'_, '_>, node: &Node) -> Option<String> {
    let path = text(faults, node, "`template`")?;
    let shown = shown(path);
    let problem = if path.contains('\\') {
        format!("the path `{shown}` contains a backslash")
    } else if path.starts_with('/') {
        format!("the path `{shown}` is absolute")
    } else if path.split('/').any(|part| part == "..") {
        format!("the path `{shown}` leads upwards")
    } else if path.split('/').any(|part| part.is_empty() || part == ".") {
        format!("the path `{shown}` has an empty or `.` part")
    } else if path.chars().any(char::is_control) {
        format!("the path `{shown}` contains a control character")
    } else {
        return Some(path.to_owned());
    };
    faults.at(node.at, problem, "write the path from the top of the repository, such as `policies/framework.yaml`");
    None
}

/// `true` or `false`; `None` where the key is missing or has something else, which is then reported.
fn flag(faults: &mut Faults<'_, '_>, fields: &Fields<'_>, key: &str) -> Option<bool> {
    let node = fields.optional(faults, key)?;
    boolean(faults, node, key)
}

fn boolean(faults: &mut Faults<'_, '_>, node: &Node, key: &str) -> Option<bool> {
    match (node.scalar_kind(), node.as_str()) {
        (Some(ScalarKind::Boolean), Some(text)) if text.eq_ignore_ascii_case("true") => Some(true),
        (Some(ScalarKind::Boolean), Some(_)) => Some(false),
        _ => {
            let shown = node.as_str().map(|text| format!("`{}`", shown(text)));
            let problem = format!("`{key}` is {}", shown.unwrap_or_else(|| node.describe().to_owned()));
            faults.at(node.at, problem, format!("write `{key}: true` or `{key}: false`"));
            None
        }
    }
}

fn parameters(faults: &mut Faults<'_, '_>, fields: &Fields<'_>) -> BTreeMap<String, String> {
    let Some(node) = fields.optional(faults, "parameters") else { return BTreeMap::new() };
    let Some(entries) = node.entries() else {
        let fix = "write names and values, such as `{ MinimumRetentionDays: \"35\" }`";
        faults.at(node.at, format!("`parameters` is {}", node.describe()), fix);
        return BTreeMap::new();
    };
    let mut parameters = BTreeMap::new();
    for (key, value) in entries {
        let (Some(name), Some(text)) = (key.as_str(), parameter_value(faults, key, value)) else { continue };
        parameters.insert(name.to_owned(), text.to_owned());
    }
    parameters
}

fn parameter_value<'n>(faults: &mut Faults<'_, '_>, key: &Node, value: &'n Node) -> Option<&'n str> {
    let name = shown(key.as_str()?);
    let fault = if value.tag.is_some() {
        ("has a tag".to_owned(), "functions of CloudFormation belong in the template; write the value itself")
    } else if value.is_null() {
        ("has no value".to_owned(), "write \"\" for an empty text, or remove the parameter")
    } else {
        match value.as_str() {
            Some(text) if text.len() > MOST_VALUE_BYTES => {
                (format!("has a value of {} bytes", text.len()), "CloudFormation takes 4096 bytes at most")
            }
            Some(text) => return Some(text),
            None => (format!("is {}", value.describe()), "a parameter is one text; write lists as \"a,b\""),
        }
    };
    faults.at(value.at, format!("the parameter `{name}` {}", fault.0), fault.1);
    None
}

fn rollout(faults: &mut Faults<'_, '_>, fields: &Fields<'_>, targets: &[Target]) -> Rollout {
    let mut rollout = Rollout::default();
    let Some(node) = fields.optional(faults, "rollout") else { return rollout };
    let Some(fields) = Fields::of(faults, node, &ROLLOUT) else { return rollout };
    if let Some(node) = fields.optional(faults, "maxConcurrency")
        && let Some(amount) = amount(faults, node, "maxConcurrency", 1)
    {
        rollout.max_concurrency = amount;
    }
    if let Some(node) = fields.optional(faults, "failureTolerance")
        && let Some(amount) = amount(faults, node, "failureTolerance", 0)
    {
        rollout.failure_tolerance = amount;
    }
    if let Some(node) = fields.optional(faults, "concurrencyMode")
        && let Some(mode) = one_of(faults, node, "concurrencyMode", &MODES)
    {
        rollout.mode = mode;
    }
    if let Some(node) = fields.optional(faults, "regions")
        && let Some(regions) = one_of(faults, node, "regions", &CONCURRENCIES)
    {
        rollout.regions = regions;
    }
    if let Some(node) = fields.optional(faults, "regionOrder") {
        rollout.region_order = region_order(faults, node, targets);
    }
    rollout
}

/// A whole number, or a whole number of percent.
fn amount(faults: &mut Faults<'_, '_>, node: &Node, key: &str, least: u8) -> Option<Amount> {
    let fix = format!("write a number of accounts such as `{}`, or a share from `{least}%` to `100%`", least.max(1));
    let Some(text) = node.as_str() else {
        faults.at(node.at, format!("`{key}` is {}", node.describe()), fix);
        return None;
    };
    let number =
        |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten();
    let amount = match text.strip_suffix('%') {
        Some(digits) => number(digits)
            .and_then(|percent| u8::try_from(percent).ok())
            .filter(|percent| (least..=100).contains(percent))
            .map(Amount::Percentage),
        // A number in quotes is a text to the JSON Schema that editors use, so it is one here.
        None if node.scalar_kind() == Some(ScalarKind::Number) => {
            number(text).filter(|count| *count >= u32::from(least)).map(Amount::Count)
        }
        None => None,
    };
    if amount.is_none() {
        faults.at(node.at, format!("`{key}` is `{}`", shown(text)), fix);
    }
    amount
}

pub(super) const MODES: [(&str, ConcurrencyMode); 2] =
    [("soft", ConcurrencyMode::Soft), ("strict", ConcurrencyMode::Strict)];
pub(super) const CONCURRENCIES: [(&str, RegionConcurrency); 2] =
    [("parallel", RegionConcurrency::Parallel), ("sequential", RegionConcurrency::Sequential)];

/// One of a few words, and what it stands for.
fn one_of<T: Copy>(faults: &mut Faults<'_, '_>, node: &Node, key: &str, known: &[(&str, T)]) -> Option<T> {
    let text = text(faults, node, &format!("`{key}`"))?;
    let found = known.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let all: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let fix = match nearest(text, all.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("it is {}", words(&all).replace(" and ", " or ")),
        };
        faults.at(node.at, format!("`{key}` is `{}`", shown(text)), fix);
    }
    found
}

fn region_order(faults: &mut Faults<'_, '_>, node: &Node, targets: &[Target]) -> Vec<RegionName> {
    let mut order: Vec<RegionName> = Vec::new();
    // A target with a fault may have been meant to name the Region.
    let targets_are_known = faults.is_empty();
    let in_targets: Vec<RegionName> = targets.iter().flat_map(|target| target.regions.clone()).collect();
    for item in list(faults, node, "regionOrder", REGIONS).unwrap_or_default() {
        let parse = |text: &str| RegionName::parse_listed(text, &in_targets);
        let Some(region) = name(faults, item, "the Region", parse) else { continue };
        if order.contains(&region) {
            faults.at(item.at, format!("the Region `{region}` is in the order twice"), "keep it once");
        } else if targets_are_known && !targets.iter().any(|target| target.regions.contains(&region)) {
            let fix = "list only Regions that are in the targets";
            faults.at(item.at, format!("the Region `{region}` is in no target of this framework"), fix);
        } else {
            order.push(region);
        }
    }
    order
}

fn exemptions(faults: &mut Faults<'_, '_>, fields: &Fields<'_>) -> Vec<(Position, Exemption)> {
    let Some(node) = fields.optional(faults, "exemptions") else { return Vec::new() };
    let Some(items) = node.as_sequence() else {
        let fix = "write a list; each item has `control`, `resources`, `reason`, `owner` and `until`";
        faults.at(node.at, format!("`exemptions` is {}", node.describe()), fix);
        return Vec::new();
    };
    let mut exemptions: Vec<(Position, Exemption)> = Vec::new();
    for item in items {
        let Some(exemption) = exemption(faults, item) else { continue };
        // One with a fault may have been meant to say something else.
        if faults.is_empty()
            && let Some((first, _)) = exemptions.iter().find(|(_, earlier)| same_conditions(earlier, &exemption))
        {
            let problem = format!("the exemption at {first} is for the same control, resources, accounts and tags");
            faults.at(item.at, problem, "keep the one that holds");
        }
        exemptions.push((item.at, exemption));
    }
    exemptions
}

/// Whether two exemptions are about the same, whoever answers for them and however long they hold.
fn same_conditions(one: &Exemption, other: &Exemption) -> bool {
    fn same<T: Ord>(one: &[T], other: &[T]) -> bool {
        one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
    }
    one.control == other.control
        && same(&one.resources, &other.resources)
        && same(&one.accounts, &other.accounts)
        && one.tags == other.tags
}

fn exemption(faults: &mut Faults<'_, '_>, node: &Node) -> Option<Exemption> {
    let fields = Fields::of(faults, node, &EXEMPTION)?;
    let control = fields
        .required(faults, "control", "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN")
        .and_then(|node| control_name(faults, node));
    let resources = fields
        .required(faults, "resources", "[\"arn:aws:rds:*:*:cluster:scratch-*\"]")
        .map(|node| resources(faults, node))
        .unwrap_or_default();
    let accounts = fields.optional(faults, "accounts").map(|node| accounts(faults, node)).unwrap_or_default();
    let tags = fields.optional(faults, "tags").map_or_else(BTreeMap::new, |node| tags(faults, node));
    let reason =
        fields.required(faults, "reason", "throw-away test clusters").and_then(|node| text(faults, node, "`reason`"));
    let owner =
        fields.required(faults, "owner", "data-platform@example.com").and_then(|node| text(faults, node, "`owner`"));
    let until = fields.required(faults, "until", "2027-01-31").and_then(|node| date(faults, node));
    Some(Exemption {
        control: control?,
        resources,
        accounts,
        tags,
        reason: reason?.to_owned(),
        owner: owner?.to_owned(),
        until: until?,
    })
}

/// Tags that a resource must have: keys, and values in which `*` stands for any text.
fn tags(faults: &mut Faults<'_, '_>, node: &Node) -> BTreeMap<String, String> {
    const EXAMPLE: &str = "`{ environment: sandbox }`";
    let entries = node.entries().unwrap_or_default();
    if entries.is_empty() {
        let (problem, fix) = match node.entries() {
            Some(_) => {
                ("`tags` is empty".to_owned(), format!("name at least one, such as {EXAMPLE}, or remove the key"))
            }
            None => (format!("`tags` is {}", node.describe()), format!("write keys and values, such as {EXAMPLE}")),
        };
        faults.at(node.at, problem, fix);
    }
    let mut tags = BTreeMap::new();
    for (key, value) in entries {
        let (Some(name), Some(text)) = (tag_key(faults, key), tag_value(faults, key, value)) else { continue };
        tags.insert(name.to_owned(), text.to_owned());
    }
    tags
}

fn tag_key<'n>(faults: &mut Faults<'_, '_>, node: &'n Node) -> Option<&'n str> {
    let name = node.as_str()?;
    let characters = name.chars().count();
    if !(1..=notices::MOST_KEY_CHARACTERS).contains(&characters) {
        let problem = format!("the key of the tag `{}` has {characters} characters", shown(name));
        faults.at(node.at, problem, "the key of a tag has 1 to 128 characters");
        return None;
    }
    Some(name)
}

/// The value of a tag. It may be empty, as tags may. A number or a boolean is refused: YAML may not keep it as written.
fn tag_value<'n>(faults: &mut Faults<'_, '_>, key: &Node, value: &'n Node) -> Option<&'n str> {
    let name = shown(key.as_str()?);
    let fault = if value.tag.is_some() {
        ("has a YAML tag".to_owned(), "write the value itself".to_owned())
    } else if value.is_null() {
        ("has no value".to_owned(), "write \"\" for an empty one, or \"*\" for any".to_owned())
    } else {
        match (value.scalar_kind(), value.as_str()) {
            (Some(ScalarKind::Text), Some(text)) => match text.chars().count() {
                0..=MOST_TAG_CHARACTERS => return Some(text),
                characters => (format!("has a value of {characters} characters"), "AWS keeps 256 at most".to_owned()),
            },
            (Some(_), Some(text)) => (
                format!("is {}, `{}`", value.describe(), shown(text)),
                format!("put it in quotes: \"{}\"", shown(text)),
            ),
            _ => (format!("is {}", value.describe()), "write a text, with `*` for any text".to_owned()),
        }
    };
    faults.at(value.at, format!("the tag `{name}` {}", fault.0), fault.1);
    None
}

fn control_name(faults: &mut Faults<'_, '_>, node: &Node) -> Option<&'static Control> {
    let name = text(faults, node, "`control`")?;
    let found = control::find(name);
    if found.is_none() {
        let fix = match control::nearest(name) {
            Some(control) => format!("did you mean `{control}`?"),
            None => "name a control of AWS Backup Audit Manager".to_owned(),
        };
        faults.at(node.at, format!("there is no control `{}`", shown(name)), fix);
    }
    found
}

fn resources(faults: &mut Faults<'_, '_>, node: &Node) -> Vec<String> {
    let mut resources = Vec::new();
    for item in list(faults, node, "resources", "[\"arn:aws:rds:*:*:cluster:scratch-*\"]").unwrap_or_default() {
        let Some(pattern) = text(faults, item, "the resource") else { continue };
        if pattern.starts_with("arn:") || pattern == "*" {
            resources.push(pattern.to_owned());
        } else {
            let fix = "write the ARN, with `*` for any text, such as \"arn:aws:rds:*:*:cluster:scratch-*\"";
            faults.at(item.at, format!("the resource `{}` is no ARN", shown(pattern)), fix);
        }
    }
    resources
}

fn date(faults: &mut Faults<'_, '_>, node: &Node) -> Option<Date> {
    const LENGTH: usize = "2027-01-31".len();
    const FIX: &str = "write the last day on which it holds as year-month-day, such as `2027-01-31`";
    let Some(text) = node.as_str() else {
        faults.at(node.at, format!("`until` is {}", node.describe()), FIX);
        return None;
    };
    // The date parser takes other forms too, such as a date with a time, which would not mean a whole day.
    let date = Some(text).filter(|text| text.len() == LENGTH).and_then(|text| text.parse::<Date>().ok());
    if date.is_none() {
        faults.at(node.at, format!("`{}` is not a date", shown(text)), FIX);
    }
    date
}
