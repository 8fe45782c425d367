//! Resources that AWS Backup protects, of a template.

use std::collections::BTreeMap;

use framework::ids::ResourceType;
use syntax::template::{Part, TemplateResource};

use super::text::{self, text_of};
use super::{AMBIGUOUS_CLUSTER, ItemId, ReferenceTarget, TemplateImport, known_start};
use crate::inventory::document::{self, ResourcePart};
use crate::inventory::types::{CLUSTER, GLOBAL_TABLE, PHYSICAL_NAME, TagForm, TemplateType, template_type};

impl TemplateImport<'_> {
    pub(super) fn resource(&mut self, number: usize, resource: &TemplateResource<'_>) {
        let Some(known) = template_type(resource.kind) else { return };
        let name = name_of(resource, known);
        let partial_name = known.name.and_then(|name| text::with_pseudo(resource.properties.get(name)?));
        let partial_name = partial_name.filter(|_| name.is_none());
        let arn = self.target().arn(self.partition, known, name.as_deref().or(partial_name.as_deref()));
        let (Some(partial), Ok(kind)) = (arn, ResourceType::parse(known.config_type)) else { return };
        let arn = known_start(&partial).to_owned();
        let is_whole = arn == partial;
        let mut unread = Vec::new();
        if !is_whole {
            unread.push(ResourcePart::ArnEnd);
        }
        let (mut tags, tags_unread) = self.tags(resource, known);
        if tags_unread || self.has_expansion(number, resource) {
            unread.push(ResourcePart::Tags);
        }
        if self.terraform(number).is_none() {
            self.stack_tags((number, resource.logical_id), &mut tags, tags_unread);
        }
        let mut uncertainties = Vec::new();
        if let Some(by) = automatic_backups(resource) {
            // EFS then creates a plan that selects by this tag.
            tags.insert("aws:elasticfilesystem:default-backup".to_owned(), Some("enabled".to_owned()));
            uncertainties.push(format!("the effect of the automatic backups of EFS, which `{by}` enables"));
        }
        let written = document::Resource {
            id: (!is_whole || self.is_twin(known, name.as_deref()))
                .then(|| self.placeholder(number, resource.logical_id)),
            arn,
            kind,
            account: self.target().account.to_string(),
            region: self.target().region.to_string(),
            name: Some(name.unwrap_or_else(|| resource.logical_id.to_owned())),
            tags,
            cluster: self.cluster(number, resource),
            engine: known.engine.and_then(|name| text_of(&resource.properties, name)).map(str::to_lowercase),
            // No control for resources evaluates it.
            encrypted: None,
            encryption_key: None,
            aws_managed_key: None,
            latest_restore_minutes: None,
            created: None,
            active: true,
            unread,
        };
        let index = self.inventory.resources.len();
        // The ARN agrees with the location by construction.
        if self.inventory.add_resource(written).is_ok() {
            self.complete_arn(partial);
            self.origin(ItemId::Resource(index), number, resource, uncertainties);
        }
    }

    /// Adds the tags that CloudFormation adds.
    fn stack_tags(
        &self,
        (number, logical_id): (usize, &str),
        tags: &mut BTreeMap<String, Option<String>>,
        tags_unread: bool,
    ) {
        for (key, value) in self.tags_of_stack(number) {
            // Tags of the resource override those of the stack; an unresolved key may be this one.
            tags.entry(key.to_owned()).or_insert_with(|| (!tags_unread).then(|| value.to_owned()));
        }
        tags.insert("aws:cloudformation:logical-id".to_owned(), Some(logical_id.to_owned()));
        for key in ["aws:cloudformation:stack-id", "aws:cloudformation:stack-name"] {
            tags.entry(key.to_owned()).or_insert(None);
        }
    }

    /// Gives the last resource its ARN with the unknown parts.
    pub(super) fn complete_arn(&mut self, partial: String) {
        let is_known = self.target().knows_account && self.target().knows_region;
        // Patterns with pseudo parameters may also match a whole ARN.
        if let Some(added) = self.inventory.resources.last_mut().filter(|added| added.arn_end_unread || !is_known) {
            added.partial_arn = Some(partial.into());
        }
    }

    /// Returns the clusters with this name, with template index and logical id.
    fn clusters<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (usize, &'s str, &'s ReferenceTarget)> {
        let all = self.references.iter().enumerate();
        let all = all.flat_map(|(number, own)| own.iter().map(move |(id, target)| (number, id.as_str(), target)));
        all.filter(move |(.., own)| own.known.config_type == CLUSTER && own.name.as_deref() == Some(name))
    }

    /// Returns whether a resource is one of several clusters with its name.
    fn is_twin(&self, known: &TemplateType, name: Option<&str>) -> bool {
        known.config_type == CLUSTER && self.has_twin(name)
    }

    /// Returns whether several clusters have this name, and so the same ARN.
    fn has_twin(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.clusters(name).nth(1).is_some())
    }

    /// Returns the reference of an instance to its cluster.
    fn cluster(&self, number: usize, resource: &TemplateResource<'_>) -> Option<String> {
        let own = resource.properties.get("DBClusterIdentifier").filter(|_| resource.kind == "AWS::RDS::DBInstance")?;
        let key = |logical_id: &str, cluster: &ReferenceTarget| match self.has_twin(cluster.name.as_deref()) {
            true => self.placeholder(number, logical_id),
            false => cluster.key.clone(),
        };
        if let Some((logical_id, None)) = own.reference()
            && let Some(cluster) = self.references.get(number).and_then(|references| references.get(logical_id))
        {
            return Some(key(logical_id, cluster));
        }
        let Some(name) = own.as_text().map(str::to_lowercase) else { return Some("DBClusterIdentifier".to_owned()) };
        let here: Vec<_> = self.clusters(&name).filter(|(template, ..)| *template == number).collect();
        let anywhere: Vec<_> = self.clusters(&name).collect();
        // A cluster of the same template takes precedence, because other templates may have other targets.
        match (here.as_slice(), anywhere.as_slice()) {
            ([(_, logical_id, cluster)], _) => Some(key(logical_id, cluster)),
            ([], [(_, _, cluster)]) => Some(cluster.key.clone()),
            ([], []) => {
                let arn = self.target().arn(self.partition, template_type(CLUSTER)?, Some(&name));
                arn.map(|arn| known_start(&arn).to_owned())
            }
            // Conditions may keep either.
            (here, anywhere) => {
                let all = if here.is_empty() { anywhere } else { here };
                let file = |number: &usize| self.file(*number);
                let named = all.iter().take(3).map(|(number, id, _)| format!("`{id}` in {}", file(number)));
                let more = if all.len() > 3 { ", ..." } else { "" };
                Some(format!("{name}{AMBIGUOUS_CLUSTER}{}{more}", named.collect::<Vec<_>>().join(", ")))
            }
        }
    }

    /// Returns the tags in the template, and whether there may be more.
    fn tags(&self, resource: &TemplateResource<'_>, known: &TemplateType) -> (BTreeMap<String, Option<String>>, bool) {
        if known.kind != GLOBAL_TABLE {
            return text::tags(resource.properties.get(known.tags), known.tag_form);
        }
        // A global table has tags in each Region.
        let replicas = resource.properties.get("Replicas").and_then(Part::items).unwrap_or_default();
        let here = replicas.iter().find(|replica| {
            self.target().knows_region && text_of(replica, "Region") == Some(self.target().region.as_str())
        });
        match (here, replicas) {
            (Some(replica), _) | (None, [replica]) => text::tags(replica.get("Tags"), TagForm::Pairs),
            _ => (BTreeMap::new(), true),
        }
    }
}

/// Returns the name at the end of the ARN. RDS converts names to lower case.
pub(super) fn name_of(resource: &TemplateResource<'_>, known: &TemplateType) -> Option<String> {
    if let Some(name) = text_of(&resource.properties, PHYSICAL_NAME) {
        return Some(name.to_owned());
    }
    let name = text_of(&resource.properties, known.name?)?;
    Some(if known.kind.starts_with("AWS::RDS::") { name.to_lowercase() } else { name.to_owned() })
}

/// Returns the property that enables the automatic backups of an EFS file system.
fn automatic_backups(resource: &TemplateResource<'_>) -> Option<&'static str> {
    if resource.kind != "AWS::EFS::FileSystem" {
        return None;
    }
    match resource.properties.get("BackupPolicy").map(|policy| text_of(policy, "Status")) {
        Some(Some("DISABLED" | "DISABLING")) => None,
        Some(_) => Some("BackupPolicy"),
        // One Zone file systems have automatic backups by default (API reference, CreateFileSystem).
        None => resource.properties.get("AvailabilityZoneName").map(|_| "AvailabilityZoneName"),
    }
}
