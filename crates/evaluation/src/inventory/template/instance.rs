//! The volumes that an instance creates.
//!
//! Source: CloudFormation template reference, `AWS::EC2::Instance` (`PropagateTagsToVolumeOnCreation`), and user guide,
//! "Resource tag": CloudFormation does not add tags of the stack to volumes of block device mappings.

use std::collections::BTreeMap;

use syntax::template::TemplateResource;

use super::text::{self, text_of};
use super::types::{INSTANCE, VOLUME};
use super::{ItemId, TemplateImport, TemplateStack, known_start, placeholder, template_type};
use crate::inventory::document::{self, ResourcePart};

/// The property that gives the volumes the tags of the instance.
pub(crate) const PROPAGATE: &str = "PropagateTagsToVolumeOnCreation";

/// The tags of the volumes of an instance, by [`PROPAGATE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VolumeTags {
    /// None: the property is absent.
    Absent,
    /// None: the property is false, or unknown.
    Off,
    /// Those of the instance.
    Propagated,
}

impl TemplateImport<'_> {
    /// Adds one volume for all that an instance creates: every instance has at least its root volume.
    pub(super) fn volumes(&mut self, number: usize, stack: &TemplateStack<'_>, resource: &TemplateResource<'_>) {
        let (Some(known), Some(instance)) = (template_type(VOLUME), template_type(INSTANCE)) else { return };
        if resource.kind != INSTANCE {
            return;
        }
        let propagates = resource.properties.get(PROPAGATE).map(|_| text_of(&resource.properties, PROPAGATE));
        let (tags, mut tags_unread) = match propagates {
            None | Some(Some("false")) => (BTreeMap::new(), false),
            Some(Some("true")) => {
                let (mut tags, unread) = text::tags(resource.properties.get(instance.tags), instance.tag_form);
                for key in self.target.tags.keys() {
                    tags.entry(key.clone()).or_insert(None);
                }
                (tags, unread)
            }
            Some(_) => (BTreeMap::new(), true),
        };
        // A launch template may tag volumes.
        tags_unread |= resource.properties.get("LaunchTemplate").is_some() || self.has_expansion(number, resource);
        let arn = self.target.arn(self.partition, known, None);
        let (Some(partial), Ok(kind)) = (arn, framework::ids::ResourceType::parse(VOLUME)) else { return };
        let unread = std::iter::once(ResourcePart::ArnEnd).chain(tags_unread.then_some(ResourcePart::Tags));
        let written = document::Resource {
            id: Some(format!("{}.volumes", placeholder(stack, resource.logical_id))),
            arn: known_start(&partial).to_owned(),
            kind,
            account: self.target.account.to_string(),
            region: self.target.region.to_string(),
            name: None,
            tags,
            cluster: None,
            engine: None,
            encrypted: None,
            encryption_key: None,
            aws_managed_key: None,
            latest_restore_minutes: None,
            created: None,
            active: true,
            unread: unread.collect(),
        };
        let index = self.inventory.resources.len();
        if self.inventory.add_resource(written).is_ok() {
            self.complete_arn(partial);
            self.origin(ItemId::Resource(index), number, resource, Vec::new());
            if let Some(origin) = self.added.origins.last_mut() {
                origin.volumes = Some(match propagates {
                    None => VolumeTags::Absent,
                    Some(Some("true")) => VolumeTags::Propagated,
                    Some(_) => VolumeTags::Off,
                });
            }
        }
    }
}
