//! Vaults of a template.

use syntax::template::TemplateResource;

use super::text::{self, text_of};
use super::{ItemId, TemplateImport, placeholder};
use crate::inventory::LocationPart;
use crate::inventory::document::{Lock, LockMode, Unread, Vault, VaultKind, VaultPart};
use crate::inventory::types::AIR_GAPPED_VAULT;

impl TemplateImport<'_> {
    pub(super) fn vault(&mut self, number: usize, resource: &TemplateResource<'_>) {
        let name = vault_name(self.file(number), resource);
        let air_gapped = resource.kind == AIR_GAPPED_VAULT;
        let mut unread = Vec::new();
        let policy = resource.properties.get("AccessPolicy").map(text::json);
        if policy == Some(None) {
            unread.push(VaultPart::Policy);
        }
        let (tags, tags_unread) = text::known_tags(resource.properties.get("BackupVaultTags"));
        if tags_unread {
            unread.push(VaultPart::Tags);
        }
        let lock_part =
            if air_gapped { Some(&resource.properties) } else { resource.properties.get("LockConfiguration") };
        let mut lock = None;
        // A rejected lock locks nothing.
        if let Some(part) = lock_part.filter(|_| !self.is_rejected(number, resource)) {
            let days = |name| text::number(part, name);
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
            account: self.target().account.clone(),
            region: self.target().region.clone(),
            kind: if air_gapped { VaultKind::AirGapped } else { VaultKind::Ordinary },
            tags,
            encryption_key: text_of(&resource.properties, "EncryptionKeyArn").map(str::to_owned),
            policy: policy.flatten(),
            lock,
            unread,
        };
        let reason = format!("the vault `{}` in {} may have any name", resource.logical_id, self.file(number));
        if text_of(&resource.properties, "BackupVaultName").is_none()
            && let Some(here) = self
                .locations
                .get(self.current)
                .and_then(|here| self.inventory.locations.get_mut(here.index())?.record.as_mut())
        {
            // A rule may refer to this vault by name.
            here.unread.push(Unread { part: LocationPart::Vaults, reason });
        }
        let vaults = &self.inventory.vaults;
        let index = self.replaced(vaults, ItemId::Vault, |known| known.name == vault.name).unwrap_or(vaults.len());
        if self.shared_vault_names.contains(&vault.name) {
            self.inventory.vault_aliases.push((self.placeholder(number, resource.logical_id), index));
        }
        match self.inventory.vaults.get_mut(index) {
            Some(known) => known.item = vault,
            None => self.inventory.add_vault(vault),
        }
        self.origin(ItemId::Vault(index), number, resource, Vec::new());
    }
}

/// Returns the name, or a placeholder.
pub(super) fn vault_name(file: &str, resource: &TemplateResource<'_>) -> String {
    let name = text_of(&resource.properties, "BackupVaultName");
    name.map_or_else(|| placeholder(file, resource.logical_id), str::to_owned)
}
