//! Backup plans of templates, with their rules.

use syntax::template::{Part, Resource};

use super::text::{self, prefix, text};
use super::types::TagForm;
use super::{DeploymentTarget, ItemId, TemplateImport, TemplateStack, placeholder, property};
use crate::inventory::document::{CopyAction, Lifecycle, Plan, PlanPart, Rule, RulePart, SelectionPart};

impl TemplateImport<'_> {
    /// Long because an unresolved part may be at every level of a plan.
    pub(super) fn plan(&mut self, number: usize, stack: &TemplateStack<'_>, resource: &Resource<'_>) {
        let own = property(resource, "BackupPlan");
        let name = own.and_then(|own| own.get("BackupPlanName")).and_then(text).unwrap_or(resource.logical_id);
        let mut unread = Vec::new();
        let (tags, tags_unread) = text::tags(property(resource, "BackupPlanTags"), TagForm::Mapping);
        if tags_unread || tags.values().any(Option::is_none) {
            unread.push(PlanPart::Tags);
        }
        let mut rules = Vec::new();
        match own.map(|own| (own.entries().is_some(), own.get("BackupPlanRule"))) {
            Some((true, Some(list))) => match list.items() {
                Some(items) => {
                    for item in items {
                        match item.entries() {
                            Some(_) => rules.push(self.rule(number, item)),
                            None => unread.push(PlanPart::Rules),
                        }
                    }
                }
                None => unread.push(PlanPart::Rules),
            },
            Some((true, None)) | None => {}
            Some((false, _)) => unread.push(PlanPart::Rules),
        }
        if self.has_expansion(number, resource) {
            unread.push(PlanPart::Rules);
        }
        unread.dedup();
        let plan = Plan {
            id: placeholder(stack, resource.logical_id),
            name: name.to_owned(),
            account: self.target.account.clone(),
            region: self.target.region.clone(),
            tags: tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            rules,
            selections: Vec::new(),
            unread,
        };
        let location = self.inventory.location_of(&plan.account, &plan.region);
        let origins = &self.added.origins;
        let of_before = self.inventory.plans.iter().enumerate().position(|(index, known)| {
            known.location == location
                && known.item.name == plan.name
                // Two templates may have plans of the same name.
                && !origins.iter().any(|origin| origin.item == ItemId::Plan(index))
        });
        let index = match of_before {
            Some(index) => {
                if let Some(known) = self.inventory.plans.get_mut(index) {
                    // Selections that were created elsewhere remain; which these are is unknown.
                    let mut selections = std::mem::take(&mut known.item.selections);
                    for selection in &mut selections {
                        if !selection.unread.contains(&SelectionPart::Existence) {
                            selection.unread.push(SelectionPart::Existence);
                        }
                    }
                    known.item = Plan { selections, ..plan };
                }
                index
            }
            None => {
                self.inventory.add_plan(plan);
                self.inventory.plans.len().saturating_sub(1)
            }
        };
        self.origin(ItemId::Plan(index), number, resource, Vec::new());
    }

    fn rule(&self, number: usize, part: &Part) -> Rule {
        let mut unread = Vec::new();
        let known = |name: &str| part.get(name).and_then(text);
        if part.get("ScheduleExpression").is_some() && known("ScheduleExpression").is_none() {
            unread.push(RulePart::Schedule);
        }
        let target = part.get("TargetBackupVault");
        let target_vault = match target.map(|target| (text(target), target.reference())) {
            Some((Some(name), _)) => Some(name.to_owned()),
            Some((None, Some((logical_id, None | Some("BackupVaultName"))))) => {
                self.vaults.get(number).and_then(|vaults| vaults.get(logical_id)).cloned()
            }
            _ => None,
        };
        if target_vault.is_none() {
            unread.push(RulePart::TargetVault);
        }
        let lifecycle = part.get("Lifecycle").map_or(Some(Lifecycle::default()), lifecycle_of);
        if lifecycle.is_none() {
            unread.push(RulePart::Lifecycle);
        }
        let mut copies = Vec::new();
        if let Some(list) = part.get("CopyActions") {
            let items = list.items();
            for item in items.unwrap_or_default() {
                match item.get("DestinationBackupVaultArn").and_then(|arn| self.copy(arn)) {
                    Some(vault) => copies.push(CopyAction {
                        vault,
                        lifecycle: item.get("Lifecycle").and_then(lifecycle_of).unwrap_or_default(),
                    }),
                    None => unread.push(RulePart::Copies),
                }
            }
            if items.is_none() {
                unread.push(RulePart::Copies);
            }
        }
        unread.dedup();
        Rule {
            name: known("RuleName").unwrap_or_default().to_owned(),
            schedule: known("ScheduleExpression").map(str::to_owned),
            target_vault: target_vault.unwrap_or_default(),
            lifecycle: lifecycle.unwrap_or_default(),
            // An unresolved value may be true: then a schedule that is too infrequent is undecided.
            continuous: part.get("EnableContinuousBackup").is_some_and(|flag| text(flag) != Some("false")),
            copies,
            start_window_minutes: known("StartWindowMinutes").and_then(|minutes| minutes.parse().ok()),
            completion_window_minutes: known("CompletionWindowMinutes").and_then(|minutes| minutes.parse().ok()),
            unread,
        }
    }

    /// Returns the target vault of a copy, as far as Region and account are known. If the plan's own Region or account
    /// is unknown, that of the copy is left empty, because it may be the same.
    fn copy(&self, arn: &Part) -> Option<String> {
        if let Some((_, Some("BackupVaultArn"))) = arn.reference() {
            let DeploymentTarget { account, region, .. } = self.target;
            return Some(format!("arn:{}:backup:{region}:{account}:backup-vault:?", region.partition()));
        }
        let known = prefix(arn);
        let mut parts: Vec<&str> = known.splitn(6, ':').collect();
        let [_, _, _, region, account, _] = parts.as_mut_slice() else { return None };
        if !self.target.knows_region {
            *region = "";
        }
        if !self.target.knows_account {
            *account = "";
        }
        Some(parts.join(":"))
    }
}

fn lifecycle_of(part: &Part) -> Option<Lifecycle> {
    part.entries()?;
    let days = |name: &str| match part.get(name) {
        None => Some(None),
        Some(days) => text(days).and_then(|days| days.parse().ok()).map(Some),
    };
    Some(Lifecycle {
        cold_after_days: days("MoveToColdStorageAfterDays").unwrap_or_default(),
        delete_after_days: days("DeleteAfterDays")?,
    })
}
