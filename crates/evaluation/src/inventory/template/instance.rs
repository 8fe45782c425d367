//! The volumes that an instance creates.
//!
//! Source: CloudFormation template reference, `AWS::EC2::Instance` (`PropagateTagsToVolumeOnCreation`), and user guide,
//! "Resource tag": CloudFormation does not add tags of the stack to volumes of block device mappings.

use std::collections::BTreeMap;

use syntax::template::TemplateResource;

use super::text::{self, text_of};
use super::{ItemId, TagForm, TemplateImport, known_start, template_type};
use crate::inventory::document::{self, ResourcePart};
use crate::inventory::types::{INSTANCE, VOLUME, VOLUMES};

/// The property that gives the volumes the tags of the instance.
pub(crate) const PROPAGATE: &str = "PropagateTagsToVolumeOnCreation";

/// The tags of the volumes of an instance, by [`PROPAGATE`] or an argument of Terraform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VolumeTags {
    /// None: the property is absent.
    Absent,
    /// None: the property is false, or unknown.
    Off,
    /// Those of the instance.
    Propagated,
    /// Those of `volume_tags`, or of all blocks `root_block_device` or `ebs_block_device`, in Terraform.
    Argument(&'static str),
}

impl TemplateImport<'_> {
    /// Adds the volumes that an instance creates.
    pub(super) fn volumes(&mut self, number: usize, resource: &TemplateResource<'_>) {
        if resource.kind != INSTANCE {
            return;
        }
        let Some(volumes) = resource.properties.get(VOLUMES).filter(|_| self.terraform(number).is_some()) else {
            return self.template_volume(number, resource);
        };
        for (index, volume) in volumes.items().unwrap_or_default().iter().enumerate() {
            let argument = match text_of(volume, "Argument") {
                Some("root_block_device") => "root_block_device",
                Some("ebs_block_device") => "ebs_block_device",
                _ => "volume_tags",
            };
            let (tags, tags_unread) = text::tags(volume.get("Tags"), TagForm::Mapping);
            let id = format!("{}.volumes[{index}]", self.placeholder(number, resource.logical_id));
            self.volume(number, resource, id, (tags, tags_unread), VolumeTags::Argument(argument));
        }
    }

    /// Adds one volume for all that an instance of a template creates: every instance has at least its root volume.
    fn template_volume(&mut self, number: usize, resource: &TemplateResource<'_>) {
        let Some(instance) = template_type(INSTANCE) else { return };
        let propagates = resource.properties.get(PROPAGATE).map(|_| text_of(&resource.properties, PROPAGATE));
        let (tags, mut tags_unread) = match propagates {
            None | Some(Some("false")) => (BTreeMap::new(), false),
            Some(Some("true")) => {
                let (mut tags, unread) = text::tags(resource.properties.get(instance.tags), instance.tag_form);
                for key in self.tags_of_stack(number).into_keys() {
                    tags.entry(key.to_owned()).or_insert(None);
                }
                (tags, unread)
            }
            Some(_) => (BTreeMap::new(), true),
        };
        // A launch template may tag volumes.
        tags_unread |= resource.properties.get("LaunchTemplate").is_some() || self.has_expansion(number, resource);
        let kind = match propagates {
            None => VolumeTags::Absent,
            Some(Some("true")) => VolumeTags::Propagated,
            Some(_) => VolumeTags::Off,
        };
        let id = format!("{}.volumes", self.placeholder(number, resource.logical_id));
        self.volume(number, resource, id, (tags, tags_unread), kind);
    }

    /// Adds a volume with its tags, and whether there may be more.
    fn volume(
        &mut self,
        number: usize,
        resource: &TemplateResource<'_>,
        id: String,
        (tags, tags_unread): (BTreeMap<String, Option<String>>, bool),
        kind_of_tags: VolumeTags,
    ) {
        let Some(known) = template_type(VOLUME) else { return };
        let target = self.target();
        let arn = target.arn(self.partition, known, None);
        let (Some(partial), Ok(kind)) = (arn, framework::ids::ResourceType::parse(VOLUME)) else { return };
        let unread = std::iter::once(ResourcePart::ArnEnd).chain(tags_unread.then_some(ResourcePart::Tags));
        let written = document::Resource {
            id: Some(id),
            arn: known_start(&partial).to_owned(),
            kind,
            account: target.account.to_string(),
            region: target.region.to_string(),
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
                origin.volumes = Some(kind_of_tags);
            }
        }
    }
}
