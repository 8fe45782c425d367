//! Reads a [`Policy`] from the YAML tree. Each part is read on its own, so that all errors are reported; a part with errors is
//! left out of the policy, which is then discarded.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use framework::control::{self, Control};
use framework::ids::{RegionName, StackSetName};
use syntax::diagnostic::{Diagnostics, Position};
use syntax::text::{closest_match, printable};
use syntax::yaml::{self, Dialect, Node, ScalarKind};

use super::fields::{Fields, Keys, list, name, quoted_list, reject, text};
use super::{
    ConcurrencyMode, CountOrPercentage, Exemption, FrameworkPolicy, Policy, PolicyTarget, RegionConcurrency, Reporting,
    RolloutSettings,
};
use targets::{accounts, targets};

pub(super) mod notices;
pub(super) mod targets;

const DIALECT: Dialect = Dialect {
    aliases_rejected_by: None,
    merges: false,
    empty_help: "a policy starts with `version: 1` and lists its frameworks under `frameworks`",
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

/// Maximum bytes of the value of a template parameter (CloudFormation quotas).
const MOST_VALUE_BYTES: usize = 4096;
/// Maximum characters of the value of a tag (AWS's rules for tags).
const MOST_TAG_CHARACTERS: usize = 256;
/// Maximum bytes of [`Reporting`] as JSON: it is one item of the state table, and DynamoDB limits items to 400 KB.
const MOST_REPORTING_BYTES: usize = 380_000;

pub(super) fn policy(diagnostics: &mut Diagnostics<'_, '_>) -> Option<Policy> {
    let root = yaml::read(diagnostics, &DIALECT)?;
    let fields = Fields::of(diagnostics, &root, &POLICY)?;
    version(diagnostics, &fields);
    let newer = new_regions(diagnostics, &fields);
    let frameworks = frameworks(diagnostics, &fields, &newer);
    let reporting = notices::notices(diagnostics, &fields);
    let (exemptions_at, exemptions) = exemptions(diagnostics, &fields).into_iter().unzip();
    let reporting = Reporting { exemptions, ..reporting };
    let bytes = serde_json::to_string(&reporting).map_or(0, |json| json.len());
    if bytes > MOST_REPORTING_BYTES {
        let problem = format!("`notices` and `exemptions` have {bytes} bytes of JSON");
        let fix = format!("keep them below {MOST_REPORTING_BYTES}: replace long lists by patterns with `*`");
        diagnostics.report_file_error(problem, fix);
    }
    let remove_undeclared = flag(diagnostics, &fields, "removeUndeclared").unwrap_or(false);
    Some(Policy { frameworks, reporting, exemption_positions: exemptions_at, remove_undeclared })
}

fn version(diagnostics: &mut Diagnostics<'_, '_>, fields: &Fields<'_>) {
    let Some(node) = fields.required(diagnostics, "version", Policy::VERSION) else { return };
    match (node.scalar_kind(), node.as_str()) {
        (Some(ScalarKind::Number), Some(Policy::VERSION)) => {}
        (Some(ScalarKind::Number), Some(other)) => {
            diagnostics.report_error(
                node.at,
                format!("policy version {} is not supported", printable(other)),
                "write `version: 1`",
            );
        }
        _ => diagnostics.report_error(
            node.at,
            format!("`version` is {}", node.describe()),
            "write the number: `version: 1`",
        ),
    }
}

/// Regions that this version does not know and the policy allows in targets.
fn new_regions(diagnostics: &mut Diagnostics<'_, '_>, fields: &Fields<'_>) -> Vec<RegionName> {
    let Some(node) = fields.optional(diagnostics, "newRegions") else { return Vec::new() };
    let mut newer: Vec<RegionName> = Vec::new();
    for item in list(diagnostics, node, "newRegions", "[xx-example-1]").unwrap_or_default() {
        let Some(region) = name(diagnostics, item, "the Region", RegionName::parse) else { continue };
        if framework::ids::REGIONS.contains(&region.as_str()) {
            let problem = format!("the Region `{region}` is known to this version");
            diagnostics.report_error(item.at, problem, "remove it from `newRegions`");
        } else if newer.contains(&region) {
            diagnostics.report_error(item.at, format!("the Region `{region}` is listed twice"), "list it once");
        } else {
            newer.push(region);
        }
    }
    newer
}

fn frameworks(
    diagnostics: &mut Diagnostics<'_, '_>,
    fields: &Fields<'_>,
    newer: &[RegionName],
) -> Vec<FrameworkPolicy> {
    const EXAMPLE: &str = "`- name: backup-compliance` with `template` and `targets`";
    let Some(node) = fields.required(diagnostics, "frameworks", "[{ name: ..., template: ..., targets: [...] }]")
    else {
        return Vec::new();
    };
    let items = list(diagnostics, node, "frameworks", EXAMPLE).unwrap_or_default();
    let mut names: BTreeMap<StackSetName, Position> = BTreeMap::new();
    items.iter().filter_map(|item| framework(diagnostics, item, &mut names, newer)).collect()
}

fn framework(
    diagnostics: &mut Diagnostics<'_, '_>,
    node: &Node,
    names: &mut BTreeMap<StackSetName, Position>,
    newer: &[RegionName],
) -> Option<FrameworkPolicy> {
    let fields = Fields::of(diagnostics, node, &FRAMEWORK)?;
    let name = fields.required(diagnostics, "name", "backup-compliance").and_then(|node| {
        let name = name(diagnostics, node, "`name`", StackSetName::parse)?;
        match names.get(&name) {
            Some(first) => {
                let problem = format!("the framework name `{name}` is already used at {first}");
                diagnostics.report_error(
                    node.at,
                    problem,
                    "give each framework its own name: it is also the name of its StackSet",
                );
            }
            None => drop(names.insert(name.clone(), node.at)),
        }
        Some(name)
    });
    let template = fields.required(diagnostics, "template", "framework.yaml").and_then(|node| path(diagnostics, node));
    let parameters = parameters(diagnostics, &fields);
    let targets = targets(diagnostics, &fields, newer);
    let rollout = rollout(diagnostics, &fields, &targets);
    let adopt = flag(diagnostics, &fields, "adopt").unwrap_or(false);
    let (call_as, auto_deployment) = targets::service_managed(diagnostics, &fields, &targets);
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

/// A path in the repository, as CodeCommit requires it: relative, with forward slashes, without `.` and `..`.
fn path(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<String> {
    let path = text(diagnostics, node, "`template`")?;
    let shown = printable(path);
    let problem = if path.contains('\\') {
        format!("the path `{shown}` contains a backslash")
    } else if path.starts_with('/') {
        format!("the path `{shown}` is absolute")
    } else if path.split('/').any(|part| part == "..") {
        format!("the path `{shown}` leaves the repository")
    } else if path.split('/').any(|part| part.is_empty() || part == ".") {
        format!("the path `{shown}` has an empty or `.` part")
    } else if path.chars().any(char::is_control) {
        format!("the path `{shown}` contains a control character")
    } else {
        return Some(path.to_owned());
    };
    let fix = "write the path relative to the root of the repository, such as `policies/framework.yaml`";
    reject(diagnostics, node.at, problem, fix)
}

/// `true` or `false`; `None` if the key is missing, or has another value, which is reported.
fn flag(diagnostics: &mut Diagnostics<'_, '_>, fields: &Fields<'_>, key: &str) -> Option<bool> {
    let node = fields.optional(diagnostics, key)?;
    boolean(diagnostics, node, key)
}

fn boolean(diagnostics: &mut Diagnostics<'_, '_>, node: &Node, key: &str) -> Option<bool> {
    match (node.scalar_kind(), node.as_str()) {
        (Some(ScalarKind::Boolean), Some(text)) if text.eq_ignore_ascii_case("true") => Some(true),
        (Some(ScalarKind::Boolean), Some(_)) => Some(false),
        _ => {
            let shown = node.as_str().map(|text| format!("`{}`", printable(text)));
            let problem = format!("`{key}` is {}", shown.unwrap_or_else(|| node.describe().to_owned()));
            reject(diagnostics, node.at, problem, format!("write `{key}: true` or `{key}: false`"))
        }
    }
}

fn parameters(diagnostics: &mut Diagnostics<'_, '_>, fields: &Fields<'_>) -> BTreeMap<String, String> {
    let Some(node) = fields.optional(diagnostics, "parameters") else { return BTreeMap::new() };
    let Some(entries) = node.entries() else {
        let fix = "write names and values, such as `{ MinimumRetentionDays: \"35\" }`";
        diagnostics.report_error(node.at, format!("`parameters` is {}", node.describe()), fix);
        return BTreeMap::new();
    };
    let mut parameters = BTreeMap::new();
    for (key, value) in entries {
        let (Some(name), Some(text)) = (key.as_str(), parameter_value(diagnostics, key, value)) else { continue };
        parameters.insert(name.to_owned(), text.to_owned());
    }
    parameters
}

fn parameter_value<'n>(diagnostics: &mut Diagnostics<'_, '_>, key: &Node, value: &'n Node) -> Option<&'n str> {
    let name = printable(key.as_str()?);
    let diagnostic = if value.tag.is_some() {
        ("has a tag".to_owned(), "write the value itself: CloudFormation functions belong in the template")
    } else if value.is_null() {
        ("has no value".to_owned(), "write \"\" for an empty text, or remove the parameter")
    } else {
        match value.as_str() {
            Some(text) if text.len() > MOST_VALUE_BYTES => (
                format!("has a value of {} bytes", text.len()),
                "shorten it: CloudFormation accepts at most 4096 bytes",
            ),
            Some(text) => return Some(text),
            None => (format!("is {}", value.describe()), "write one text, and lists as \"a,b\""),
        }
    };
    reject(diagnostics, value.at, format!("the parameter `{name}` {}", diagnostic.0), diagnostic.1)
}

fn rollout(diagnostics: &mut Diagnostics<'_, '_>, fields: &Fields<'_>, targets: &[PolicyTarget]) -> RolloutSettings {
    let mut rollout = RolloutSettings::default();
    let Some(node) = fields.optional(diagnostics, "rollout") else { return rollout };
    let Some(fields) = Fields::of(diagnostics, node, &ROLLOUT) else { return rollout };
    if let Some(amount) = amount(diagnostics, &fields, "maxConcurrency", 1) {
        rollout.max_concurrency = amount;
    }
    if let Some(amount) = amount(diagnostics, &fields, "failureTolerance", 0) {
        rollout.failure_tolerance = amount;
    }
    if let Some(mode) = one_of(diagnostics, &fields, "concurrencyMode", &MODES) {
        rollout.mode = mode;
    }
    if let Some(regions) = one_of(diagnostics, &fields, "regions", &CONCURRENCIES) {
        rollout.regions = regions;
    }
    if let Some(node) = fields.optional(diagnostics, "regionOrder") {
        rollout.region_order = region_order(diagnostics, node, targets);
    }
    rollout
}

/// A whole number, or a whole percentage.
fn amount(
    diagnostics: &mut Diagnostics<'_, '_>,
    fields: &Fields<'_>,
    key: &str,
    least: u8,
) -> Option<CountOrPercentage> {
    let node = fields.optional(diagnostics, key)?;
    let fix = format!("write a number of accounts such as `{}`, or a share from `{least}%` to `100%`", least.max(1));
    let Some(text) = node.as_str() else {
        return reject(diagnostics, node.at, format!("`{key}` is {}", node.describe()), fix);
    };
    let number =
        |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten();
    let amount = match text.strip_suffix('%') {
        Some(digits) => number(digits)
            .and_then(|percent| u8::try_from(percent).ok())
            .filter(|percent| (least..=100).contains(percent))
            .map(CountOrPercentage::Percentage),
        // As in the JSON Schema that editors use, a number in quotes is a text.
        None if node.scalar_kind() == Some(ScalarKind::Number) => {
            number(text).filter(|count| *count >= u32::from(least)).map(CountOrPercentage::Count)
        }
        None => None,
    };
    if amount.is_none() {
        diagnostics.report_error(node.at, format!("`{key}` is `{}`", printable(text)), fix);
    }
    amount
}

pub(super) const MODES: [(&str, ConcurrencyMode); 2] =
    [("soft", ConcurrencyMode::Soft), ("strict", ConcurrencyMode::Strict)];
pub(super) const CONCURRENCIES: [(&str, RegionConcurrency); 2] =
    [("parallel", RegionConcurrency::Parallel), ("sequential", RegionConcurrency::Sequential)];

/// One of a few words, with its meaning.
fn one_of<T: Copy>(
    diagnostics: &mut Diagnostics<'_, '_>,
    fields: &Fields<'_>,
    key: &str,
    known: &[(&str, T)],
) -> Option<T> {
    let node = fields.optional(diagnostics, key)?;
    let text = text(diagnostics, node, &format!("`{key}`"))?;
    let found = known.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let all: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let fix = match closest_match(text, all.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write {}", quoted_list(&all, "or")),
        };
        diagnostics.report_error(node.at, format!("`{key}` is `{}`", printable(text)), fix);
    }
    found
}

fn region_order(diagnostics: &mut Diagnostics<'_, '_>, node: &Node, targets: &[PolicyTarget]) -> Vec<RegionName> {
    let mut order: Vec<RegionName> = Vec::new();
    // A target with an error may be meant to list the Region.
    let targets_are_known = diagnostics.is_empty();
    let in_targets: Vec<RegionName> = targets.iter().flat_map(|target| target.regions.clone()).collect();
    for item in list(diagnostics, node, "regionOrder", REGIONS).unwrap_or_default() {
        let parse = |text: &str| RegionName::parse_listed(text, &in_targets);
        let Some(region) = name(diagnostics, item, "the Region", parse) else { continue };
        if order.contains(&region) {
            diagnostics.report_error(item.at, format!("the Region `{region}` is listed twice"), "list it once");
        } else if targets_are_known && !targets.iter().any(|target| target.regions.contains(&region)) {
            let problem = format!("the Region `{region}` is not in a target of this framework");
            diagnostics.report_error(item.at, problem, "list only Regions of the targets");
        } else {
            order.push(region);
        }
    }
    order
}

fn exemptions(diagnostics: &mut Diagnostics<'_, '_>, fields: &Fields<'_>) -> Vec<(Position, Exemption)> {
    let Some(node) = fields.optional(diagnostics, "exemptions") else { return Vec::new() };
    let Some(items) = node.as_sequence() else {
        let fix = "write a list; each item has `control`, `resources`, `reason`, `owner` and `until`";
        diagnostics.report_error(node.at, format!("`exemptions` is {}", node.describe()), fix);
        return Vec::new();
    };
    let mut exemptions: Vec<(Position, Exemption)> = Vec::new();
    for item in items {
        let Some(exemption) = exemption(diagnostics, item) else { continue };
        // An exemption with an error may be meant differently.
        if diagnostics.is_empty()
            && let Some((first, _)) = exemptions.iter().find(|(_, earlier)| same_conditions(earlier, &exemption))
        {
            let problem = format!("the exemption at {first} is for the same control, resources, accounts and tags");
            diagnostics.report_error(item.at, problem, "keep one of the two");
        }
        exemptions.push((item.at, exemption));
    }
    exemptions
}

/// Whether two exemptions differ in reason, owner and last day at most.
fn same_conditions(one: &Exemption, other: &Exemption) -> bool {
    fn same<T: Ord>(one: &[T], other: &[T]) -> bool {
        one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
    }
    one.control == other.control
        && same(&one.resources, &other.resources)
        && same(&one.accounts, &other.accounts)
        && one.tags == other.tags
}

fn exemption(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<Exemption> {
    let fields = Fields::of(diagnostics, node, &EXEMPTION)?;
    let control = fields
        .required(diagnostics, "control", "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN")
        .and_then(|node| control_name(diagnostics, node));
    let resources = fields
        .required(diagnostics, "resources", "[\"arn:aws:rds:*:*:cluster:scratch-*\"]")
        .map(|node| resources(diagnostics, node))
        .unwrap_or_default();
    let accounts = fields.optional(diagnostics, "accounts").map(|node| accounts(diagnostics, node)).unwrap_or_default();
    let tags = fields.optional(diagnostics, "tags").map_or_else(BTreeMap::new, |node| tags(diagnostics, node));
    let reason = fields
        .required(diagnostics, "reason", "throw-away test clusters")
        .and_then(|node| text(diagnostics, node, "`reason`"));
    let owner = fields
        .required(diagnostics, "owner", "data-platform@example.com")
        .and_then(|node| text(diagnostics, node, "`owner`"));
    let until = fields.required(diagnostics, "until", "2027-01-31").and_then(|node| date(diagnostics, node));
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

/// Tags that a resource must have; `*` in a value matches any text.
fn tags(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> BTreeMap<String, String> {
    const EXAMPLE: &str = "`{ environment: sandbox }`";
    let entries = node.entries().unwrap_or_default();
    if entries.is_empty() {
        let (problem, fix) = match node.entries() {
            Some(_) => {
                ("`tags` is empty".to_owned(), format!("name at least one, such as {EXAMPLE}, or remove the key"))
            }
            None => (format!("`tags` is {}", node.describe()), format!("write keys and values, such as {EXAMPLE}")),
        };
        diagnostics.report_error(node.at, problem, fix);
    }
    let mut tags = BTreeMap::new();
    for (key, value) in entries {
        let (Some(name), Some(text)) = (tag_key(diagnostics, key), tag_value(diagnostics, key, value)) else {
            continue;
        };
        tags.insert(name.to_owned(), text.to_owned());
    }
    tags
}

fn tag_key<'n>(diagnostics: &mut Diagnostics<'_, '_>, node: &'n Node) -> Option<&'n str> {
    let name = node.as_str()?;
    let characters = name.chars().count();
    if !(1..=notices::MOST_KEY_CHARACTERS).contains(&characters) {
        let problem = format!("the key of the tag `{}` has {characters} characters", printable(name));
        return reject(diagnostics, node.at, problem, "write a key of 1 to 128 characters");
    }
    Some(name)
}

/// The value of a tag, which may be empty. Numbers and booleans are rejected: YAML may not keep them as written.
fn tag_value<'n>(diagnostics: &mut Diagnostics<'_, '_>, key: &Node, value: &'n Node) -> Option<&'n str> {
    let name = printable(key.as_str()?);
    let diagnostic = if value.tag.is_some() {
        ("has a YAML tag".to_owned(), "write the value itself".to_owned())
    } else if value.is_null() {
        ("has no value".to_owned(), "write \"\" for an empty value, or \"*\" for any value".to_owned())
    } else {
        match (value.scalar_kind(), value.as_str()) {
            (Some(ScalarKind::Text), Some(text)) => match text.chars().count() {
                0..=MOST_TAG_CHARACTERS => return Some(text),
                characters => (
                    format!("has a value of {characters} characters"),
                    "shorten it: AWS accepts at most 256".to_owned(),
                ),
            },
            (Some(_), Some(text)) => (
                format!("is {}, `{}`", value.describe(), printable(text)),
                format!("put it in quotes: \"{}\"", printable(text)),
            ),
            _ => (format!("is {}", value.describe()), "write a text; `*` matches any text".to_owned()),
        }
    };
    reject(diagnostics, value.at, format!("the tag `{name}` {}", diagnostic.0), diagnostic.1)
}

fn control_name(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<&'static Control> {
    let name = text(diagnostics, node, "`control`")?;
    let found = control::find(name);
    if found.is_none() {
        let fix = match control::closest_name(name) {
            Some(control) => format!("did you mean `{control}`?"),
            None => "write the name of a control of AWS Backup Audit Manager".to_owned(),
        };
        diagnostics.report_error(node.at, format!("unknown control `{}`", printable(name)), fix);
    }
    found
}

fn resources(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Vec<String> {
    let mut resources = Vec::new();
    for item in list(diagnostics, node, "resources", "[\"arn:aws:rds:*:*:cluster:scratch-*\"]").unwrap_or_default() {
        let Some(pattern) = text(diagnostics, item, "the resource") else { continue };
        if pattern.starts_with("arn:") || pattern == "*" {
            resources.push(pattern.to_owned());
        } else {
            let fix = "write an ARN, in which `*` matches any text, such as \"arn:aws:rds:*:*:cluster:scratch-*\"";
            diagnostics.report_error(item.at, format!("the resource `{}` is not an ARN", printable(pattern)), fix);
        }
    }
    resources
}

fn date(diagnostics: &mut Diagnostics<'_, '_>, node: &Node) -> Option<Date> {
    const LENGTH: usize = "2027-01-31".len();
    const FIX: &str = "write the last day of the exemption as year-month-day, such as `2027-01-31`";
    let Some(text) = node.as_str() else {
        return reject(diagnostics, node.at, format!("`until` is {}", node.describe()), FIX);
    };
    // The parser accepts other forms too, such as a date with a time, which are not a whole day.
    let date = Some(text).filter(|text| text.len() == LENGTH).and_then(|text| text.parse::<Date>().ok());
    if date.is_none() {
        diagnostics.report_error(node.at, format!("`{}` is not a date", printable(text)), FIX);
    }
    date
}
