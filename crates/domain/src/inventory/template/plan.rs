//! Backup plans of a template, with their rules.

use super::text::{self, prefix, text};
use super::types::TagForm;
use super::{Adding, Stack, Target, Thing, property, stand_in};
use crate::inventory::document::{CopyAction, Lifecycle, Plan, PlanPart, Rule, RulePart, SelectionPart};
use crate::template::{Part, Resource};

impl Adding<'_> {
    pub(super) fn plan(&mut self, number: usize, stack: &Stack<'_>, resource: &Resource<'_>) {
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
            id: stand_in(stack, resource.logical_id),
            name: name.to_owned(),
            account: self.target.account.clone(),
            region: self.target.region.clone(),
            tags: tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            rules,
            selections: Vec::new(),
            unread,
        };
        let place = self.inventory.place_of(&plan.account, &plan.region);
        let origins = &self.added.origins;
        let of_before = self.inventory.plans.iter().enumerate().position(|(index, known)| {
            known.place == place
                && known.it.name == plan.name
                // Two templates may each have one of the name.
                && !origins.iter().any(|origin| origin.thing == Thing::Plan(index))
        });
        let index = match of_before {
            Some(index) => {
                if let Some(known) = self.inventory.plans.get_mut(index) {
                    // Those that people made by hand stay; nobody knows which these are.
                    let mut selections = std::mem::take(&mut known.it.selections);
                    for selection in &mut selections {
                        if !selection.unread.contains(&SelectionPart::Existence) {
                            selection.unread.push(SelectionPart::Existence);
                        }
                    }
                    known.it = Plan { selections, ..plan };
                }
                index
            }
            None => {
                self.inventory.add_plan(plan);
                self.inventory.plans.len().saturating_sub(1)
            }
        };
        self.origin(Thing::Plan(index), number, resource, Vec::new());
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
            // What is not known may be so: then a schedule that is too seldom is undecided.
            continuous: part.get("EnableContinuousBackup").is_some_and(|flag| text(flag) != Some("false")),
            copies,
            start_window_minutes: known("StartWindowMinutes").and_then(|minutes| minutes.parse().ok()),
            completion_window_minutes: known("CompletionWindowMinutes").and_then(|minutes| minutes.parse().ok()),
            unread,
        }
    }

    /// Where a copy goes, as far as Region and account tell. Where it is not known whether that is another place, nobody knows.
    ///
    /// Where the plan's own account or Region is not known, the copy's is left out of the ARN: nobody knows whether it is another.
    fn copy(&self, arn: &Part) -> Option<String> {
        if let Some((_, Some("BackupVaultArn"))) = arn.reference() {
            let Target { account, region, .. } = self.target;
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
