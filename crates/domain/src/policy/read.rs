//! Reads a [`Policy`] from the YAML tree. Each part is read on its own, so that all errors are reported; a part with errors is
//! left out of the policy, which is then discarded.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use framework::control::{self, Control};
use framework::ids::{AccountId, RegionName, StackSetName};
use syntax::diagnostic::Position;
use syntax::text::printable;
use syntax::yaml::{self, Dialect, Node, ScalarKind};

use super::fields::{Errors, FieldKeys, Fields, did_you_mean, list, meaning, name, reject, sequence, text, unique};
use super::{
    ConcurrencyMode, CountOrPercentage, Exemption, FrameworkPolicy, Policy, PolicyTarget, RegionConcurrency, Reporting,
    RolloutSettings,
};
use targets::{accounts, targets};

pub(super) mod notices;
pub(super) mod preview;
pub(super) mod targets;

const DIALECT: Dialect = Dialect {
    aliases_rejected_by: None,
    merges: false,
    empty_help: "a policy starts with `version: 1` and lists its frameworks under `frameworks`",
};

pub(super) const POLICY: FieldKeys = FieldKeys {
    of: "the policy",
    known: &["version", "removeUndeclared", "newRegions", "frameworks", "notices", "exemptions", "preview"],
};

pub(super) const FRAMEWORK: FieldKeys = FieldKeys {
    of: "a framework",
    known: &["name", "template", "parameters", "targets", "rollout", "adopt", "callAs", "autoDeployment"],
};

pub(super) const ROLLOUT: FieldKeys = FieldKeys {
    of: "`rollout`",
    known: &["maxConcurrency", "failureTolerance", "concurrencyMode", "regions", "regionOrder"],
};

pub(super) const EXEMPTION: FieldKeys =
    FieldKeys { of: "an exemption", known: &["control", "resources", "accounts", "tags", "reason", "owner", "until"] };

const ACCOUNTS: &str = "[\"111111111111\"]";
const REGIONS: &str = "[eu-west-1]";
const RESOURCES: &str = "[\"arn:aws:rds:*:*:cluster:scratch-*\"]";

/// Maximum bytes of the value of a template parameter (CloudFormation quotas).
const MOST_VALUE_BYTES: usize = 4096;
/// Maximum characters of the value of a tag (AWS's rules for tags).
const MOST_TAG_CHARACTERS: usize = 256;
/// Maximum bytes of [`Reporting`] as JSON: it is one item of the state table, and DynamoDB limits items to 400 KB.
const MOST_REPORTING_BYTES: usize = 380_000;
/// Maximum exemptions. The shortest has more than 100 bytes of JSON, so more exceed [`MOST_REPORTING_BYTES`].
const MOST_EXEMPTIONS: usize = MOST_REPORTING_BYTES / 100;

pub(super) fn policy(errors: &mut Errors<'_>) -> Option<Policy> {
    let root = yaml::read(errors, &DIALECT)?;
    let fields = Fields::of(errors, &root, &POLICY)?;
    fields.required(errors, "version", Policy::VERSION, version);
    let newer = fields.optional(errors, "newRegions", new_regions).unwrap_or_default();
    let example = "[{ name: ..., template: ..., targets: [...] }]";
    let frameworks = fields.required(errors, "frameworks", example, |errors, node| frameworks(errors, node, &newer));
    targets::report_accounts_in_partitions(errors, frameworks.as_deref().unwrap_or_default());
    let notices = fields.optional(errors, "notices", notices::notices);
    let (reporting, severity_positions) = notices.unwrap_or_default();
    let exemptions = fields.optional(errors, "exemptions", exemptions).unwrap_or_default();
    let (exemption_positions, exemptions) = exemptions.into_iter().unzip();
    let reporting = Reporting { exemptions, ..reporting };
    let bytes = serde_json::to_string(&reporting).map_or(0, |json| json.len());
    if bytes > MOST_REPORTING_BYTES {
        let problem = format!("`notices` and `exemptions` have {bytes} bytes of JSON");
        let fix = format!("keep them below {MOST_REPORTING_BYTES}: replace long lists by patterns with `*`");
        errors.report_file_error(problem, fix);
    }
    let preview = fields.optional(errors, "preview", preview::preview).unwrap_or_default();
    let remove_undeclared = flag(errors, &fields, "removeUndeclared").unwrap_or(false);
    Some(Policy {
        frameworks: frameworks?,
        reporting,
        exemption_positions,
        severity_positions,
        remove_undeclared,
        preview,
    })
}

fn version(errors: &mut Errors<'_>, node: &Node) -> Option<()> {
    let (problem, fix) = match (node.scalar_kind(), node.as_str()) {
        (Some(ScalarKind::Number), Some(Policy::VERSION)) => return Some(()),
        (Some(ScalarKind::Number), Some(other)) => {
            (format!("policy version {} is not supported", printable(other)), "write `version: 1`")
        }
        _ => (format!("`version` is {}", node.describe()), "write the number: `version: 1`"),
    };
    reject(errors, node.at, problem, fix)
}

/// Regions that this version does not know and the policy allows in targets.
fn new_regions(errors: &mut Errors<'_>, node: &Node) -> Option<Vec<RegionName>> {
    let items = list(errors, node, "newRegions", "[xx-example-1]")?;
    Some(unique(errors, items, "the Region", |errors, item| {
        let region = name(errors, item, "the Region", RegionName::parse)?;
        if framework::ids::REGIONS.contains(&region.as_str()) {
            let problem = format!("the Region `{region}` is known to this version");
            return reject(errors, item.at, problem, "remove it from `newRegions`");
        }
        Some(region)
    }))
}

fn frameworks(errors: &mut Errors<'_>, node: &Node, newer: &[RegionName]) -> Option<Vec<FrameworkPolicy>> {
    let items = list(errors, node, "frameworks", "`- name: backup-compliance` with `template` and `targets`")?;
    let mut names: BTreeMap<StackSetName, Position> = BTreeMap::new();
    Some(items.iter().filter_map(|item| framework(errors, item, &mut names, newer)).collect())
}

fn framework(
    errors: &mut Errors<'_>,
    node: &Node,
    names: &mut BTreeMap<StackSetName, Position>,
    newer: &[RegionName],
) -> Option<FrameworkPolicy> {
    let fields = Fields::of(errors, node, &FRAMEWORK)?;
    let name = fields.required(errors, "name", "backup-compliance", |errors, node| {
        let name = name(errors, node, "`name`", StackSetName::parse)?;
        if let Some(first) = names.get(&name) {
            let problem = format!("the framework name `{name}` is already used at {first}");
            let fix = "give each framework its own name: it is also the name of its StackSet";
            errors.report_error(node.at, problem, fix);
        } else {
            names.insert(name.clone(), node.at);
        }
        Some(name)
    });
    let template = fields.required(errors, "template", "framework.yaml", path);
    let parameters = fields.optional(errors, "parameters", parameters).unwrap_or_default();
    let targets = targets(errors, &fields, newer);
    let rollout = fields.optional(errors, "rollout", |errors, node| rollout(errors, node, &targets));
    let adopt = flag(errors, &fields, "adopt").unwrap_or(false);
    let (call_as, auto_deployment) = targets::service_managed(errors, &fields, &targets);
    Some(FrameworkPolicy {
        name: name?,
        template: template?,
        parameters,
        targets,
        rollout: rollout.unwrap_or_default(),
        adopt,
        call_as,
        auto_deployment,
        at: fields.at,
    })
}

/// A path in the repository, as CodeCommit requires it: relative, with forward slashes, without `.` and `..`.
fn path(errors: &mut Errors<'_>, node: &Node) -> Option<String> {
    let path = text(errors, node, "`template`")?;
    let problems = [
        (path.contains('\\'), "contains a backslash"),
        (path.starts_with('/'), "is absolute"),
        (path.split('/').any(|part| part == ".."), "leaves the repository"),
        (path.split('/').any(|part| part.is_empty() || part == "."), "has an empty or `.` part"),
        (path.chars().any(char::is_control), "contains a control character"),
    ];
    let Some((_, problem)) = problems.into_iter().find(|(is_found, _)| *is_found) else {
        return Some(path.to_owned());
    };
    let fix = "write the path relative to the root of the repository, such as `policies/framework.yaml`";
    reject(errors, node.at, format!("the path `{}` {problem}", printable(path)), fix)
}

fn flag(errors: &mut Errors<'_>, fields: &Fields<'_>, key: &str) -> Option<bool> {
    fields.optional(errors, key, |errors, node| boolean(errors, node, key))
}

fn boolean(errors: &mut Errors<'_>, node: &Node, key: &str) -> Option<bool> {
    match (node.scalar_kind(), node.as_str()) {
        (Some(ScalarKind::Boolean), Some(text)) => Some(text.eq_ignore_ascii_case("true")),
        (_, text) => {
            let shown = text.map_or_else(|| node.describe().to_owned(), |text| format!("`{}`", printable(text)));
            let fix = format!("write `{key}: true` or `{key}: false`");
            reject(errors, node.at, format!("`{key}` is {shown}"), fix)
        }
    }
}

fn parameters(errors: &mut Errors<'_>, node: &Node) -> Option<BTreeMap<String, String>> {
    let Some(entries) = node.entries() else {
        let fix = "write names and values, such as `{ MinimumRetentionDays: \"35\" }`";
        return reject(errors, node.at, format!("`parameters` is {}", node.describe()), fix);
    };
    let entries = entries.iter().filter_map(|(key, value)| {
        let text = parameter_value(errors, key, value)?;
        Some((key.as_str()?.to_owned(), text.to_owned()))
    });
    Some(entries.collect())
}

fn parameter_value<'n>(errors: &mut Errors<'_>, key: &Node, value: &'n Node) -> Option<&'n str> {
    let name = printable(key.as_str()?);
    let (problem, fix) = match value.as_str() {
        _ if value.tag.is_some() => {
            ("has a tag".to_owned(), "write the value itself: CloudFormation functions belong in the template")
        }
        _ if value.is_null() => ("has no value".to_owned(), "write \"\" for an empty text, or remove the parameter"),
        Some(text) if text.len() > MOST_VALUE_BYTES => {
            let fix = "shorten it: CloudFormation accepts at most 4096 bytes";
            (format!("has a value of {} bytes", text.len()), fix)
        }
        Some(text) => return Some(text),
        None => (format!("is {}", value.describe()), "write one text, and lists as \"a,b\""),
    };
    reject(errors, value.at, format!("the parameter `{name}` {problem}"), fix)
}

fn rollout(errors: &mut Errors<'_>, node: &Node, targets: &[PolicyTarget]) -> Option<RolloutSettings> {
    let fields = Fields::of(errors, node, &ROLLOUT)?;
    let default = RolloutSettings::default();
    Some(RolloutSettings {
        max_concurrency: amount(errors, &fields, "maxConcurrency", 1).unwrap_or(default.max_concurrency),
        failure_tolerance: amount(errors, &fields, "failureTolerance", 0).unwrap_or(default.failure_tolerance),
        mode: one_of(errors, &fields, "concurrencyMode", &MODES).unwrap_or(default.mode),
        regions: one_of(errors, &fields, "regions", &CONCURRENCIES).unwrap_or(default.regions),
        region_order: fields
            .optional(errors, "regionOrder", |errors, node| region_order(errors, node, targets))
            .unwrap_or_default(),
    })
}

fn amount(errors: &mut Errors<'_>, fields: &Fields<'_>, key: &str, least: u8) -> Option<CountOrPercentage> {
    fields.optional(errors, key, |errors, node| {
        let fix =
            format!("write a number of accounts such as `{}`, or a share from `{least}%` to `100%`", least.max(1));
        let Some(text) = node.as_str() else {
            return reject(errors, node.at, format!("`{key}` is {}", node.describe()), fix);
        };
        let number = |digits: &str| digits.parse::<u32>().ok().filter(|_| !digits.starts_with('+'));
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
        let fix = match (node.scalar_kind(), number(text)) {
            (Some(ScalarKind::Text), Some(count)) if count >= u32::from(least) => {
                format!("remove the quotes: write `{key}: {count}`")
            }
            _ => fix,
        };
        amount.or_else(|| reject(errors, node.at, format!("`{key}` is `{}`", printable(text)), fix))
    })
}

pub(super) const MODES: [(&str, ConcurrencyMode); 2] =
    [("soft", ConcurrencyMode::Soft), ("strict", ConcurrencyMode::Strict)];
pub(super) const CONCURRENCIES: [(&str, RegionConcurrency); 2] =
    [("parallel", RegionConcurrency::Parallel), ("sequential", RegionConcurrency::Sequential)];

fn one_of<T: Copy>(errors: &mut Errors<'_>, fields: &Fields<'_>, key: &str, known: &[(&str, T)]) -> Option<T> {
    fields.optional(errors, key, |errors, node| {
        let word = text(errors, node, &format!("`{key}`"))?;
        meaning(errors, node.at, word, known, format!("`{key}` is `{}`", printable(word)))
    })
}

fn region_order(errors: &mut Errors<'_>, node: &Node, targets: &[PolicyTarget]) -> Option<Vec<RegionName>> {
    // A target with an error may be meant to list the Region.
    let targets_are_known = errors.is_empty();
    let in_targets: Vec<RegionName> = targets.iter().flat_map(|target| target.regions.clone()).collect();
    let items = list(errors, node, "regionOrder", REGIONS)?;
    Some(unique(errors, items, "the Region", |errors, item| {
        let region = name(errors, item, "the Region", |text| RegionName::parse_listed(text, &in_targets))?;
        if targets_are_known && !in_targets.contains(&region) {
            let problem = format!("the Region `{region}` is not in a target of this framework");
            return reject(errors, item.at, problem, "list only Regions of the targets");
        }
        Some(region)
    }))
}

fn exemptions(errors: &mut Errors<'_>, node: &Node) -> Option<Vec<(Position, Exemption)>> {
    let fix = "write a list; each item has `control`, `resources`, `reason`, `owner` and `until`";
    let items = sequence(errors, node, "`exemptions`", fix)?;
    if items.len() > MOST_EXEMPTIONS {
        let problem = format!("`exemptions` has {} items", items.len());
        let fix =
            format!("keep at most {MOST_EXEMPTIONS}: replace exemptions of single resources by patterns with `*`");
        return reject(errors, node.at, problem, fix);
    }
    let mut exemptions: Vec<(Position, Exemption)> = Vec::new();
    let mut known = BTreeMap::new();
    for item in items {
        let Some(exemption) = exemption(errors, item) else { continue };
        let first = *known.entry(conditions(&exemption)).or_insert(item.at);
        // An exemption with an error may be meant differently.
        if errors.is_empty() && first != item.at {
            let problem = format!("the exemption at {first} is for the same control, resources, accounts and tags");
            errors.report_error(item.at, problem, "keep one of the two");
        }
        exemptions.push((item.at, exemption));
    }
    Some(exemptions)
}

/// The conditions of an exemption; reason, owner and last day are not among them.
type ExemptionConditions = (&'static str, BTreeSet<String>, BTreeSet<AccountId>, BTreeMap<String, String>);

fn conditions(exemption: &Exemption) -> ExemptionConditions {
    let Exemption { control, resources, accounts, tags, .. } = exemption;
    (control.name, resources.iter().cloned().collect(), accounts.iter().cloned().collect(), tags.clone())
}

fn exemption(errors: &mut Errors<'_>, node: &Node) -> Option<Exemption> {
    let fields = Fields::of(errors, node, &EXEMPTION)?;
    let control = fields.required(errors, "control", "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", control_name);
    let resources = fields.required(errors, "resources", RESOURCES, resources);
    let accounts = fields.optional(errors, "accounts", accounts);
    let tags = fields.optional(errors, "tags", tags);
    let mut required_text = |key: &str, example: &str| {
        fields.required(errors, key, example, |errors, node| text(errors, node, &format!("`{key}`")))
    };
    let reason = required_text("reason", "throw-away test clusters");
    let owner = required_text("owner", "data-platform@example.com");
    let until = fields.required(errors, "until", "2027-01-31", date);
    Some(Exemption {
        control: control?,
        resources: resources.unwrap_or_default(),
        accounts: accounts.unwrap_or_default(),
        tags: tags.unwrap_or_default(),
        reason: reason?.to_owned(),
        owner: owner?.to_owned(),
        until: until?,
    })
}

/// Tags that a resource must have; `*` in a value matches any text.
fn tags(errors: &mut Errors<'_>, node: &Node) -> Option<BTreeMap<String, String>> {
    const EXAMPLE: &str = "such as `{ environment: sandbox }`";
    let Some(entries) = node.entries() else {
        let fix = format!("write keys and values, {EXAMPLE}");
        return reject(errors, node.at, format!("`tags` is {}", node.describe()), fix);
    };
    if entries.is_empty() {
        let fix = format!("name at least one, {EXAMPLE}, or remove the key");
        return reject(errors, node.at, "`tags` is empty", fix);
    }
    let entries = entries.iter().filter_map(|(key, value)| {
        let (name, text) = (tag_key(errors, key), tag_value(errors, key, value));
        Some((name?.to_owned(), text?.to_owned()))
    });
    Some(entries.collect())
}

fn tag_key<'n>(errors: &mut Errors<'_>, node: &'n Node) -> Option<&'n str> {
    let name = node.as_str()?;
    let characters = name.chars().count();
    if !(1..=notices::MOST_KEY_CHARACTERS).contains(&characters) {
        let problem = format!("the key of the tag `{}` has {characters} characters", printable(name));
        return reject(errors, node.at, problem, "write a key of 1 to 128 characters");
    }
    Some(name)
}

/// The value of a tag, which may be empty. Numbers and booleans are rejected: YAML may not keep them as written.
fn tag_value<'n>(errors: &mut Errors<'_>, key: &Node, value: &'n Node) -> Option<&'n str> {
    let name = printable(key.as_str()?);
    let (problem, fix) = match (value.scalar_kind(), value.as_str()) {
        _ if value.tag.is_some() => ("has a YAML tag".to_owned(), "write the value itself".to_owned()),
        _ if value.is_null() => {
            ("has no value".to_owned(), "write \"\" for an empty value, or \"*\" for any value".to_owned())
        }
        (Some(ScalarKind::Text), Some(text)) => match text.chars().count() {
            0..=MOST_TAG_CHARACTERS => return Some(text),
            characters => {
                (format!("has a value of {characters} characters"), "shorten it: AWS accepts at most 256".to_owned())
            }
        },
        (Some(_), Some(text)) => {
            let text = printable(text);
            (format!("is {}, `{text}`", value.describe()), format!("put it in quotes: \"{text}\""))
        }
        _ => (format!("is {}", value.describe()), "write a text; `*` matches any text".to_owned()),
    };
    reject(errors, value.at, format!("the tag `{name}` {problem}"), fix)
}

fn control_name(errors: &mut Errors<'_>, node: &Node) -> Option<&'static Control> {
    let name = text(errors, node, "`control`")?;
    control::find(name).or_else(|| {
        let other = || "write the name of a control of AWS Backup Audit Manager".to_owned();
        let fix = did_you_mean(control::closest_name(name)).unwrap_or_else(other);
        reject(errors, node.at, format!("unknown control `{}`", printable(name)), fix)
    })
}

fn resources(errors: &mut Errors<'_>, node: &Node) -> Option<Vec<String>> {
    let patterns = list(errors, node, "resources", RESOURCES)?.iter().filter_map(|item| {
        let pattern = text(errors, item, "the resource")?;
        if pattern.starts_with("arn:") || pattern == "*" {
            return Some(pattern.to_owned());
        }
        let fix = "write an ARN, in which `*` matches any text, such as \"arn:aws:rds:*:*:cluster:scratch-*\"";
        reject(errors, item.at, format!("the resource `{}` is not an ARN", printable(pattern)), fix)
    });
    Some(patterns.collect())
}

fn date(errors: &mut Errors<'_>, node: &Node) -> Option<Date> {
    const LENGTH: usize = "2027-01-31".len();
    const FIX: &str = "write the last day of the exemption as year-month-day, such as `2027-01-31`";
    let Some(text) = node.as_str() else {
        return reject(errors, node.at, format!("`until` is {}", node.describe()), FIX);
    };
    // The parser accepts other forms too, such as a date with a time, which are not a whole day.
    let date = Some(text).filter(|text| text.len() == LENGTH).and_then(|text| text.parse::<Date>().ok());
    date.or_else(|| reject(errors, node.at, format!("`{}` is not a date", printable(text)), FIX))
}
