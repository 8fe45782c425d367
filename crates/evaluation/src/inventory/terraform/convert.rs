//! The resources of a plan as those of a template: each argument becomes the property that it equals.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use framework::ids::RegionName;
use syntax::diagnostic::Position;
use syntax::template::{Content, Part, TemplateResource};

use super::configuration::{ConfigResource, ReferenceResolver, Target, fits, static_address};
use super::read::RawChange;
use super::types::{CLUSTER_INSTANCE, EFS_POLICY, INSTANCE, LOCK, POLICY, POLICY_ATTACHMENT, SETTINGS, property};
use super::values::{of, only, placed, reference, text};
use super::{NOWHERE, TerraformPlan};
use crate::inventory::partial_arn::NAME;
use crate::inventory::protected;
use crate::inventory::types::{ORGANIZATION_POLICY, PHYSICAL_NAME, TagForm, VOLUMES, template_type};

/// A resource of a plan in the form of a template.
pub(crate) struct PlannedResource<'t> {
    /// The logical id is the address, and the line is the index of the resource from 1.
    pub(crate) resource: TemplateResource<'t>,
    pub(crate) region: Option<RegionName>,
}

/// The opt-in settings of a Region.
pub(crate) struct RegionSettings {
    pub(crate) region: Option<RegionName>,
    pub(crate) opt_in: BTreeMap<String, bool>,
}

impl TerraformPlan {
    /// Returns the resources with a type in CloudFormation.
    pub(crate) fn resources(&self) -> Vec<PlannedResource<'_>> {
        let conversion = Conversion::new(self, ReferenceResolver::new(&self.configuration, &self.variables));
        let all = self.changes.iter().enumerate();
        let planned = all.filter_map(|(index, change)| {
            let (region, properties) = conversion.resource(index, change)?;
            let resource = TemplateResource {
                logical_id: change.address.as_str(),
                kind: change.kind.kind,
                at: place(index),
                condition: None,
                is_on: Some(true),
                body: &self.body,
                properties,
            };
            Some(PlannedResource { resource, region })
        });
        planned.collect()
    }

    /// Returns the known settings of `aws_backup_region_settings`.
    pub(crate) fn settings(&self) -> Vec<RegionSettings> {
        let resolver = ReferenceResolver::new(&self.configuration, &self.variables);
        let all = self.changes.iter().filter(|change| change.kind.name == SETTINGS);
        let settings = all.map(|change| {
            let part = change.value("resource_type_opt_in_preference");
            let entries = part.and_then(Part::entries).unwrap_or_default().iter();
            let opt_in = entries.filter_map(|(name, part)| Some((name.clone(), part.as_text()?.parse().ok()?)));
            RegionSettings { region: self.region_of(&resolver, change), opt_in: opt_in.collect() }
        });
        settings.collect()
    }
}

/// The position of a resource: its index.
fn place(index: usize) -> Position {
    Position { line: index + 1, column: 1 }
}

/// The attributes that only AWS knows before a resource exists, so that an unknown value of them is no argument.
const COMPUTED: &[&str] =
    &["condition", "not_resources", "availability_zone_name", "target_logically_air_gapped_backup_vault_arn"];

/// Attachments by the index of the resource that they change.
#[derive(Default)]
struct Attachments {
    by_index: BTreeMap<usize, usize>,
    /// One may change any resource.
    are_unclear: bool,
}

struct Conversion<'p> {
    plan: &'p TerraformPlan,
    resolver: ReferenceResolver<'p>,
    /// The indexes of resources that exist, by ARN and by id.
    by_arn: HashMap<&'p str, usize>,
    by_id: HashMap<(&'static str, &'p str), usize>,
    locks: Attachments,
    policies: Attachments,
    efs_policies: Attachments,
}

impl<'p> Conversion<'p> {
    fn new(plan: &'p TerraformPlan, resolver: ReferenceResolver<'p>) -> Self {
        let all = || plan.changes.iter().enumerate();
        let by_arn = all().filter_map(|(index, change)| Some((change.text("arn")?, index))).collect();
        let by_id = all().filter_map(|(index, change)| Some(((change.kind.kind, change.text("id")?), index))).collect();
        let none = Attachments::default;
        let mut conversion =
            Self { plan, resolver, by_arn, by_id, locks: none(), policies: none(), efs_policies: none() };
        conversion.locks = conversion.attachments(LOCK, "backup_vault_name");
        conversion.policies = conversion.attachments(POLICY, "backup_vault_name");
        conversion.efs_policies = conversion.attachments(EFS_POLICY, "file_system_id");
        conversion
    }

    /// Returns the resources that those of a type change, by the argument that names them.
    fn attachments(&self, kind: &str, argument: &str) -> Attachments {
        let mut found = Attachments::default();
        let of_type = self.plan.changes.iter().enumerate().filter(|(_, change)| change.kind.name == kind);
        let mut by_name: HashMap<(&str, Option<RegionName>), Vec<usize>> = HashMap::new();
        for (index, change) in self.plan.changes.iter().enumerate() {
            let name = change.kind.naming.filter(|(_, property)| *property == "BackupVaultName");
            if let Some(name) = name.and_then(|(name, _)| change.text(name)) {
                by_name.entry((name, self.region(change))).or_default().push(index);
            }
        }
        for (index, change) in of_type {
            let name = self.argument(change, argument);
            let name = name.as_ref().and_then(Part::as_text);
            let target = match (self.referenced(change, argument), name) {
                (Some(index), _) => Some(index),
                (None, Some(name)) => match by_name.get(&(name, self.region(change))).map(Vec::as_slice) {
                    Some([only]) => Some(*only),
                    Some(_) => None,
                    None => match self.by_id.get(&("AWS::EFS::FileSystem", name)) {
                        Some(known) => Some(*known),
                        // It is elsewhere.
                        None => continue,
                    },
                },
                (None, None) => None,
            };
            match target {
                Some(target) => {
                    found.by_index.insert(target, index);
                }
                None => found.are_unclear = true,
            }
        }
        found
    }

    fn region(&self, change: &RawChange) -> Option<RegionName> {
        self.plan.region_of(&self.resolver, change)
    }

    fn block(&self, change: &RawChange) -> Option<&'p ConfigResource> {
        self.resolver.block(&change.module, change.kind.name, &change.name)
    }

    /// Returns an argument; `None` if it is absent.
    fn argument(&self, change: &RawChange, name: &str) -> Option<Part> {
        let part = change.value(name)?;
        let is_given = || self.block(change).is_none_or(|block| block.expressions.get(name).is_some());
        let is_absent = part.content == Content::Unknown && COMPUTED.contains(&name) && !is_given();
        (!is_absent).then(|| part.clone())
    }

    /// Returns the only resource that a reference may mean.
    fn find(&self, target: &Target) -> Option<usize> {
        if let Some(index) = self.plan.by_address.get(&target.address) {
            return Some(*index);
        }
        let all = self.plan.by_static.get(&static_address(&target.address))?;
        let address = |index: &&usize| self.plan.address(**index).is_some_and(|address| fits(&target.address, address));
        // More than two make no difference.
        let mut found = all.iter().filter(address).take(2);
        let first = found.next()?;
        found.next().is_none().then_some(*first)
    }

    /// Returns the only resource that the expression of an argument refers to.
    fn referenced(&self, change: &RawChange, argument: &str) -> Option<usize> {
        self.referenced_by(change, self.block(change)?.expressions.get(argument)?)
    }

    fn referenced_by(&self, change: &RawChange, expression: &Value) -> Option<usize> {
        let found = self.resolver.references(&change.module, expression);
        let mut targets = found.targets.iter();
        let target = targets.next().filter(|_| found.are_all)?;
        self.find(target).filter(|_| targets.next().is_none())
    }

    fn address(&self, index: usize) -> &str {
        self.plan.address(index).unwrap_or_default()
    }

    fn resource(&self, index: usize, change: &RawChange) -> Option<(Option<RegionName>, Part)> {
        let entries = match change.kind.kind {
            "" => return None,
            "AWS::Backup::BackupPlan" => self.backup_plan(change),
            "AWS::Backup::BackupSelection" => self.selection(change),
            ORGANIZATION_POLICY => self.organization_policy(index, change),
            kind if kind.starts_with("AWS::Backup::") => self.vault(index, change),
            _ => self.protected(index, change),
        };
        let at = place(index);
        let mut properties = of(Content::Mapping(Vec::new()));
        if let Content::Mapping(all) = &mut properties.content {
            all.extend(entries);
        }
        placed_unless(&mut properties, at);
        Some((self.region(change), properties))
    }

    /// Returns the tags with those of the provider.
    fn tags(&self, change: &RawChange) -> Option<Part> {
        let own = self.argument(change, "tags");
        let Some(mut all) = self.argument(change, "tags_all") else { return own };
        if all.content == Content::Unknown && self.lacks_default_tags(change) {
            // The provider leaves it open if there are no tags.
            return own;
        }
        // Terraform does not mark the sensitive values of `tags_all`.
        let own = own.as_ref();
        match (&mut all.content, own.and_then(Part::entries)) {
            _ if change.has_secret_tags => all.content = Content::Unknown,
            (Content::Mapping(entries), Some(own)) => {
                let is_unknown =
                    |key: &str| own.iter().any(|(name, tag)| name == key && tag.content == Content::Unknown);
                entries
                    .iter_mut()
                    .filter(|(key, _)| is_unknown(key))
                    .for_each(|(_, tag)| tag.content = Content::Unknown);
            }
            _ => {}
        }
        Some(all)
    }

    fn lacks_default_tags(&self, change: &RawChange) -> bool {
        let provider = self.block(change).map(|block| block.provider.as_str());
        provider.and_then(|provider| self.resolver.has_default_tags(provider)) == Some(false)
    }

    fn backup_plan(&self, change: &RawChange) -> Vec<(String, Part)> {
        let mut plan = Vec::new();
        plan.extend(self.argument(change, "name").map(|name| ("BackupPlanName".to_owned(), name)));
        if let Some(mut rules) = self.argument(change, "rule") {
            let configured = self.block(change).and_then(|block| block.expressions.get("rule")?.as_array());
            let configured = configured.map(Vec::as_slice).unwrap_or_default();
            if let Content::List(items) = &mut rules.content {
                let is_only = items.len() == 1;
                items.iter_mut().for_each(|rule| self.rule(change, rule, configured, is_only));
            }
            plan.push(("BackupPlanRule".to_owned(), renamed(rules)));
        }
        let mut entries = vec![("BackupPlan".to_owned(), of(Content::Mapping(plan)))];
        entries.extend(self.tags(change).map(|tags| ("BackupPlanTags".to_owned(), tags)));
        entries
    }

    /// Replaces unknown vaults of a rule by references.
    fn rule(&self, change: &RawChange, rule: &mut Part, configured: &[Value], is_only: bool) {
        let name = rule.get("rule_name").and_then(Part::as_text).map(str::to_owned);
        let has_name = |block: &&Value| {
            let own = block.get("rule_name").and_then(|name| name.get("constant_value")?.as_str());
            own.is_some() && own == name.as_deref()
        };
        // The rules are a set, so that their order differs.
        let mut named = configured.iter().filter(has_name);
        let block = match (named.next(), named.next(), configured) {
            (Some(block), None, _) => Some(block),
            (None, _, [block]) if is_only => Some(block),
            _ => None,
        };
        let (Some(block), Content::Mapping(entries)) = (block, &mut rule.content) else { return };
        entries.retain(|(key, part)| {
            part.content != Content::Unknown || !COMPUTED.contains(&key.as_str()) || block.get(key).is_some()
        });
        for (key, part) in entries.iter_mut() {
            match (key.as_str(), &mut part.content) {
                ("target_vault_name", Content::Unknown) => self.refer(change, part, block.get(key.as_str()), None),
                ("target_logically_air_gapped_backup_vault_arn", Content::Unknown) => {
                    self.refer(change, part, block.get(key.as_str()), Some("BackupVaultArn"));
                }
                ("copy_action", Content::List(copies)) => {
                    let own = block.get("copy_action").and_then(Value::as_array).map(Vec::as_slice);
                    if let ([copy], Some([block])) = (copies.as_mut_slice(), own)
                        && let Content::Mapping(copy) = &mut copy.content
                        && let Some((key, part)) = copy.iter_mut().find(|(key, _)| key == "destination_vault_arn")
                        && part.content == Content::Unknown
                    {
                        self.refer(change, part, block.get(key.as_str()), Some("BackupVaultArn"));
                    }
                }
                _ => {}
            }
        }
    }

    fn refer(&self, change: &RawChange, part: &mut Part, expression: Option<&Value>, attribute: Option<&str>) {
        if let Some(index) = expression.and_then(|expression| self.referenced_by(change, expression)) {
            *part = reference(self.address(index), attribute);
        }
    }

    fn selection(&self, change: &RawChange) -> Vec<(String, Part)> {
        let mut own = Vec::new();
        own.extend(self.argument(change, "name").map(|name| ("SelectionName".to_owned(), name)));
        for (argument, property) in [("resources", "Resources"), ("not_resources", "NotResources")] {
            own.extend(self.arns(change, argument).map(|list| (property.to_owned(), list)));
        }
        let tags = self.argument(change, "selection_tag").and_then(not_empty);
        own.extend(tags.map(|tags| ("ListOfTags".to_owned(), renamed(tags))));
        own.extend(self.argument(change, "condition").and_then(conditions).map(|part| ("Conditions".to_owned(), part)));
        let plan = match self.argument(change, "plan_id") {
            Some(part) => match (part.as_text(), self.referenced(change, "plan_id")) {
                (_, Some(index)) => reference(self.address(index), None),
                (Some(id), None) => match self.by_id.get(&("AWS::Backup::BackupPlan", id)) {
                    Some(index) => reference(self.address(*index), None),
                    None => part,
                },
                (None, None) => part,
            },
            None => of(Content::Unknown),
        };
        vec![("BackupPlanId".to_owned(), plan), ("BackupSelection".to_owned(), of(Content::Mapping(own)))]
    }

    /// Returns a list of ARNs, in which resources of the plan are references.
    fn arns(&self, change: &RawChange, argument: &str) -> Option<Part> {
        let part = not_empty(self.argument(change, argument)?)?;
        let refer = |index: usize| {
            let kind = self.plan.changes.get(index).map(|change| template_type(change.kind.kind));
            kind.flatten().map(|known| reference(self.address(index), Some(known.arn())))
        };
        let (mut items, has_unknown) = match part.content {
            Content::List(items) => {
                let is_unknown = |item: &Part| item.content == Content::Unknown;
                let has_unknown = items.iter().any(is_unknown);
                let known = items.into_iter().filter(|item| !is_unknown(item));
                let known = known.map(|item| {
                    let index = item.as_text().and_then(|arn| self.by_arn.get(arn));
                    index.and_then(|index| refer(*index)).unwrap_or(item)
                });
                (known.collect(), has_unknown)
            }
            _ => (Vec::new(), true),
        };
        if has_unknown {
            let expression = self.block(change).and_then(|block| block.expressions.get(argument));
            let found = expression.map(|expression| self.resolver.references(&change.module, expression));
            let is_arn = |target: &Target| target.attribute.as_deref() == Some("arn");
            // An expression with others may choose among them.
            let found = found.filter(|found| found.are_all && found.targets.iter().all(is_arn));
            let targets = found.iter().flat_map(|found| &found.targets);
            items.extend(targets.filter_map(|target| refer(self.find(target)?)));
            // The plan does not contain the literal members.
            items.push(of(Content::Unknown));
        }
        Some(of(Content::List(items)))
    }

    /// Returns a policy with the targets that it is attached to.
    fn organization_policy(&self, index: usize, change: &RawChange) -> Vec<(String, Part)> {
        let mut entries: Vec<(String, Part)> = [("type", "Type"), ("content", "Content")]
            .into_iter()
            .filter_map(|(argument, property)| Some((property.to_owned(), self.argument(change, argument)?)))
            .collect();
        let is_it = |attachment: &&RawChange| {
            let id = self.argument(attachment, "policy_id");
            attachment.kind.name == POLICY_ATTACHMENT
                && match id.as_ref().and_then(Part::as_text) {
                    Some(id) => change.text("id") == Some(id),
                    None => self.referenced(attachment, "policy_id").is_none_or(|own| own == index),
                }
        };
        let unknown = || of(Content::Unknown);
        let targets = self.plan.changes.iter().filter(is_it);
        let targets = targets.map(|attachment| self.argument(attachment, "target_id").unwrap_or_else(unknown));
        entries.push(("TargetIds".to_owned(), of(Content::List(targets.collect()))));
        entries
    }

    fn vault(&self, index: usize, change: &RawChange) -> Vec<(String, Part)> {
        let mut entries = Vec::new();
        if let Some((argument, property)) = change.kind.naming {
            entries.extend(self.argument(change, argument).map(|name| (property.to_owned(), name)));
        }
        for argument in ["min_retention_days", "max_retention_days"] {
            let days = self.argument(change, argument);
            entries.extend(days.and_then(|days| Some((property(argument)?.to_owned(), days))));
        }
        entries.extend(self.tags(change).map(|tags| ("BackupVaultTags".to_owned(), tags)));
        let lock = self.locks.by_index.get(&index).and_then(|index| Some((*index, self.plan.changes.get(*index)?)));
        if let Some((index, lock)) = lock {
            let days = ["min_retention_days", "max_retention_days", "changeable_for_days"];
            let days = days.into_iter().filter_map(|name| Some((name.to_owned(), self.argument(lock, name)?)));
            let mut part = renamed(of(Content::Mapping(days.collect())));
            placed(&mut part, place(index));
            entries.push(("LockConfiguration".to_owned(), part));
        } else if self.locks.are_unclear {
            entries.push(("LockConfiguration".to_owned(), of(Content::Unknown)));
        }
        let policy = self.policies.by_index.get(&index).and_then(|index| self.plan.changes.get(*index));
        let policy = match policy {
            Some(policy) => self.argument(policy, "policy"),
            None => self.policies.are_unclear.then(|| of(Content::Unknown)),
        };
        entries.extend(policy.map(|policy| ("AccessPolicy".to_owned(), policy)));
        entries
    }

    fn protected(&self, index: usize, change: &RawChange) -> Vec<(String, Part)> {
        let mut entries = Vec::new();
        let arguments = ["engine", "availability_zone_name", "replica", "volume_configuration"];
        let given = arguments.into_iter().filter_map(|name| Some((name.to_owned(), self.argument(change, name)?)));
        if let Content::Mapping(given) = renamed(of(Content::Mapping(given.collect()))).content {
            entries.extend(given);
        }
        entries.extend(change.kind.engine.map(|engine| ("FileSystemType".to_owned(), text(engine))));
        if let Some((argument, property)) = change.kind.naming {
            entries.extend(self.argument(change, argument).map(|name| (property.to_owned(), name)));
        }
        entries.extend(self.physical_name(change).map(|name| (PHYSICAL_NAME.to_owned(), text(&name))));
        if change.kind.name == CLUSTER_INSTANCE {
            let cluster = match self.referenced(change, "cluster_identifier") {
                Some(index) => Some(reference(self.address(index), None)),
                None => self.argument(change, "cluster_identifier"),
            };
            entries.extend(cluster.map(|cluster| ("DBClusterIdentifier".to_owned(), cluster)));
        }
        if let Some(policy) = self.efs_policies.by_index.get(&index).and_then(|index| self.plan.changes.get(*index)) {
            let policy = self.argument(policy, "backup_policy").and_then(only);
            let status = policy.map(|policy| policy.get("status").cloned().unwrap_or(of(Content::Unknown)));
            let status = status.unwrap_or(of(Content::Unknown));
            let policy = of(Content::Mapping(vec![("Status".to_owned(), status)]));
            entries.push(("BackupPolicy".to_owned(), policy));
        }
        if let (Some(known), Some(tags)) = (template_type(change.kind.kind), self.tags(change)) {
            let tags = if known.tag_form == TagForm::Pairs { pairs(tags) } else { tags };
            entries.push((known.tags.to_owned(), tags));
        }
        if change.kind.name == INSTANCE {
            entries.push((VOLUMES.to_owned(), self.volumes(change)));
        }
        entries
    }

    /// Returns the end of the ARN of a resource whose type has no name.
    fn physical_name(&self, change: &RawChange) -> Option<String> {
        let known = protected(change.kind.kind).filter(|_| change.kind.naming.is_none())?;
        let end = |arn: &Part| {
            let (_, end) = arn.as_text()?.rsplit_once(&format!(":{}", known.arn_kind))?;
            Some(end.to_owned()).filter(|end| !end.is_empty())
        };
        let own = self.argument(change, "arn").as_ref().and_then(end);
        let is_gateway_volume = change.kind.kind == "AWS::StorageGateway::Volume";
        own.or_else(|| {
            let gateway = self.argument(change, "gateway_arn").as_ref().and_then(end);
            let gateway = gateway.unwrap_or_else(|| NAME.to_string());
            is_gateway_volume.then(|| format!("{gateway}/volume/vol-{NAME}"))
        })
    }

    /// Returns the volumes that an instance creates, each with its tags and the argument that gives them.
    fn volumes(&self, change: &RawChange) -> Part {
        let has_template = self.argument(change, "launch_template").and_then(not_empty).is_some();
        let volume = |argument: &str, tags: Part| {
            // A launch template may tag volumes.
            let tags = if has_template { of(Content::Unknown) } else { tags };
            of(Content::Mapping(vec![("Argument".to_owned(), text(argument)), ("Tags".to_owned(), tags)]))
        };
        let none = || of(Content::Mapping(Vec::new()));
        if let Some(tags) = self.argument(change, "volume_tags") {
            return of(Content::List(vec![volume("volume_tags", tags)]));
        }
        let own = self.argument(change, "tags");
        let all = self.tags(change);
        let own = own.as_ref().and_then(Part::entries).unwrap_or_default();
        let is_default = |key: &str| !own.iter().any(|(name, _)| name == key);
        let defaults: Vec<&str> = all
            .as_ref()
            .and_then(Part::entries)
            .unwrap_or_default()
            .iter()
            .map(|(key, _)| key.as_str())
            .filter(|key| is_default(key))
            .collect();
        // Whether the tags of the provider are on it depends on the provider's version.
        let with_defaults = |mut tags: Part| {
            if let Content::Mapping(entries) = &mut tags.content {
                for key in &defaults {
                    if !entries.iter().any(|(name, _)| name == key) {
                        entries.push(((*key).to_owned(), of(Content::Unknown)));
                    }
                }
            }
            tags
        };
        let mut volumes = Vec::new();
        for argument in ["root_block_device", "ebs_block_device"] {
            let blocks = self.argument(change, argument);
            let blocks = blocks.as_ref().and_then(Part::items).unwrap_or_default();
            for block in blocks {
                let all = block.get("tags_all").filter(|all| all.entries().is_some());
                let tags = match all {
                    Some(all) => all.clone(),
                    None => with_defaults(block.get("tags").cloned().unwrap_or_else(none)),
                };
                volumes.push(volume(argument, tags));
            }
            if blocks.is_empty() && argument == "root_block_device" {
                volumes.push(volume("volume_tags", with_defaults(none())));
            }
        }
        let mut distinct: Vec<Part> = Vec::new();
        for volume in volumes {
            // At most as many as an instance has devices.
            if distinct.len() < 64 && !distinct.contains(&volume) {
                distinct.push(volume);
            }
        }
        of(Content::List(distinct))
    }
}

/// Gives a part the position of its resource, unless it is from another one.
fn placed_unless(properties: &mut Part, at: Position) {
    properties.at = at;
    if let Content::Mapping(entries) = &mut properties.content {
        for (_, part) in entries.iter_mut().filter(|(_, part)| part.at == NOWHERE) {
            placed(part, at);
        }
    }
}

fn not_empty(part: Part) -> Option<Part> {
    (part.items() != Some(&[])).then_some(part)
}

/// Returns tags in the form of a list.
fn pairs(tags: Part) -> Part {
    let Content::Mapping(entries) = tags.content else { return tags };
    let pair = |(key, value): (String, Part)| {
        of(Content::Mapping(vec![("Key".to_owned(), text(&key)), ("Value".to_owned(), value)]))
    };
    of(Content::List(entries.into_iter().map(pair).collect()))
}

/// Combines the blocks `condition`.
fn conditions(part: Part) -> Option<Part> {
    let Content::List(blocks) = part.content else { return Some(part) };
    let mut all: Vec<(String, Part)> = Vec::new();
    for block in blocks {
        let Content::Mapping(entries) = renamed(block).content else { return Some(of(Content::Unknown)) };
        for (operator, list) in entries {
            match (
                all.iter_mut().find(|(known, _)| *known == operator).map(|(_, list)| &mut list.content),
                list.content,
            ) {
                (Some(Content::List(known)), Content::List(more)) => known.extend(more),
                (Some(known), _) => *known = Content::Unknown,
                (None, content) => all.push((operator, of(content))),
            }
        }
    }
    (!all.is_empty()).then(|| of(Content::Mapping(all)))
}

/// Renames arguments to properties. Empty blocks and zeros, which the provider does not send, are absent.
fn renamed(part: Part) -> Part {
    let content = match part.content {
        Content::List(items) => Content::List(items.into_iter().map(renamed).collect()),
        Content::Mapping(entries) => {
            let entry = |(key, part): (String, Part)| {
                let part = not_empty(renamed(part))?;
                let part = if matches!(key.as_str(), "lifecycle" | "managed_ebs_volume") { only(part)? } else { part };
                let is_unset = match key.as_str() {
                    "cold_storage_after"
                    | "delete_after"
                    | "min_retention_days"
                    | "max_retention_days"
                    | "changeable_for_days" => part.as_text() == Some("0"),
                    "schedule" => part.as_text() == Some(""),
                    _ => false,
                };
                let name = property(&key).map_or(key, str::to_owned);
                (!is_unset).then_some((name, part))
            };
            Content::Mapping(entries.into_iter().filter_map(entry).collect())
        }
        content => content,
    };
    Part { content, ..part }
}
