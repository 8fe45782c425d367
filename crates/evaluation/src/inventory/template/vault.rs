//! Vaults of a template.

use syntax::template::Resource;

use super::text::{self, text};
use super::types::{AIR_GAPPED_VAULT, TagForm};
use super::{ItemId, TemplateImport, TemplateStack, placeholder, property};
use crate::inventory::LocationPart;
use crate::inventory::document::{Lock, LockMode, Unread, Vault, VaultKind, VaultPart};

impl TemplateImport<'_> {
    /// Long because policy, tags, lock and name may each be unresolved.
    pub(super) fn vault(&mut self, number: usize, stack: &TemplateStack<'_>, resource: &Resource<'_>) {
        let name = vault_name(stack, resource);
        let air_gapped = resource.kind == AIR_GAPPED_VAULT;
        let mut unread = Vec::new();
        let policy = property(resource, "AccessPolicy");
        let policy = match policy.map(text::json) {
            Some(None) => {
                unread.push(VaultPart::Policy);
                None
            }
            Some(policy) => policy,
            None => None,
        };
        let (tags, tags_unread) = text::tags(property(resource, "BackupVaultTags"), TagForm::Mapping);
        let tags_unread = tags_unread || tags.values().any(Option::is_none);
        if tags_unread {
            unread.push(VaultPart::Tags);
        }
        let lock_part = if air_gapped { Some(&resource.properties) } else { property(resource, "LockConfiguration") };
        let mut lock = None;
        if let Some(part) = lock_part {
            let days = |name: &str| match part.get(name) {
                None => Some(None),
                Some(days) => text(days).and_then(|days| days.parse().ok()).map(Some),
            };
            match (part.entries(), days("MinRetentionDays"), days("MaxRetentionDays")) {
                (Some(_), Some(min_retention_days), Some(max_retention_days)) if resource.is_on == Some(true) => {
                    let is_compliance = air_gapped || part.get("ChangeableForDays").is_some();
                    let mode = if is_compliance { LockMode::Compliance } else { LockMode::Governance };
                    lock = Some(Lock { min_retention_days, max_retention_days, mode });
                }
                _ => unread.push(VaultPart::Lock),
            }
        }
        let vault = Vault {
            name,
            account: self.target.account.clone(),
            region: self.target.region.clone(),
            kind: if air_gapped { VaultKind::AirGapped } else { VaultKind::Ordinary },
            tags: tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            encryption_key: property(resource, "EncryptionKeyArn").and_then(text).map(str::to_owned),
            policy,
            lock,
            unread,
        };
        let location = self.inventory.location_of(&vault.account, &vault.region);
        if property(resource, "BackupVaultName").is_none_or(|name| text(name).is_none())
            && let Some(here) =
                self.inventory.locations.get_mut(location.index()).and_then(|location| location.record.as_mut())
        {
            // A rule may refer to this vault by name.
            let reason = format!("the vault `{}` in {} may have any name", resource.logical_id, stack.template.file());
            here.unread.push(Unread { part: LocationPart::Vaults, reason });
        }
        let origins = &self.added.origins;
        let of_before = self.inventory.vaults.iter().enumerate().position(|(index, known)| {
            known.location == location
                && known.item.name == vault.name
                // Conditions may keep either of two vaults with one name.
                && !origins.iter().any(|origin| origin.item == ItemId::Vault(index))
        });
        let index = match of_before {
            Some(index) => {
                if let Some(known) = self.inventory.vaults.get_mut(index) {
                    known.item = vault;
                }
                index
            }
            None => {
                self.inventory.add_vault(vault);
                self.inventory.vaults.len().saturating_sub(1)
            }
        };
        self.origin(ItemId::Vault(index), number, resource, Vec::new());
    }
}

/// Returns the name, or a placeholder.
pub(super) fn vault_name(stack: &TemplateStack<'_>, resource: &Resource<'_>) -> String {
    let name = property(resource, "BackupVaultName").and_then(text);
    name.map_or_else(|| placeholder(stack, resource.logical_id), str::to_owned)
}
