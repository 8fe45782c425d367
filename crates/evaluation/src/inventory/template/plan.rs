//! Backup plans of templates, with their rules.

use syntax::template::{Part, TemplateResource};

use super::text::{self, collect, prefix, text_of};
use super::{ItemId, TemplateImport};
use crate::inventory::document::{CopyAction, Lifecycle, Plan, PlanPart, Rule, RulePart, SelectionPart};
use crate::inventory::partial_arn::{UNKNOWN_ACCOUNT, UNKNOWN_REGION, parts};

impl TemplateImport<'_> {
    pub(super) fn plan(&mut self, number: usize, resource: &TemplateResource<'_>) {
        let own = resource.properties.get("BackupPlan");
        let name = own.and_then(|own| text_of(own, "BackupPlanName")).unwrap_or(resource.logical_id);
        let mut unread = Vec::new();
        let (tags, tags_unread) = text::known_tags(resource.properties.get("BackupPlanTags"));
        if tags_unread {
            unread.push(PlanPart::Tags);
        }
        let mut rules = Vec::new();
        let list = own.and_then(|own| own.get("BackupPlanRule"));
        let are_known = collect(&mut rules, list, |item| item.entries().map(|_| self.rule(number, item)));
        if !are_known || own.is_some_and(|own| own.entries().is_none()) || self.has_expansion(number, resource) {
            unread.push(PlanPart::Rules);
        }
        let plan = Plan {
            id: self.placeholder(number, resource.logical_id),
            name: name.to_owned(),
            account: self.target().account.clone(),
            region: self.target().region.clone(),
            tags,
            rules,
            selections: Vec::new(),
            unread,
        };
        let plans = &self.inventory.plans;
        let index = self.replaced(plans, ItemId::Plan, |known| known.name == plan.name).unwrap_or(plans.len());
        match self.inventory.plans.get_mut(index) {
            Some(known) => {
                // Selections that were created elsewhere remain; which these are is unknown.
                let mut selections = std::mem::take(&mut known.item.selections);
                for selection in &mut selections {
                    if !selection.unread.contains(&SelectionPart::Existence) {
                        selection.unread.push(SelectionPart::Existence);
                    }
                }
                known.item = Plan { selections, ..plan };
            }
            None => self.inventory.add_plan(plan),
        }
        self.origin(ItemId::Plan(index), number, resource, Vec::new());
    }

    /// Returns the placeholder of the only vault of a template with this name, if other templates use the name too.
    fn own_vault(&self, number: usize, name: &str) -> Option<String> {
        let own = self.vaults.get(number).filter(|_| self.shared_vault_names.contains(name))?;
        let mut own = own.iter().filter(|(_, (other, _))| *other == name);
        let (logical_id, _) = own.next()?;
        own.next().is_none().then(|| self.placeholder(number, logical_id))
    }

    fn rule(&self, number: usize, part: &Part) -> Rule {
        let mut unread = Vec::new();
        let known = |name: &str| text_of(part, name);
        if part.get("ScheduleExpression").is_some() && known("ScheduleExpression").is_none() {
            unread.push(RulePart::Schedule);
        }
        let target = part.get("TargetBackupVault");
        let target_vault = match target.map(|target| (target.as_text(), target.reference())) {
            Some((Some(name), _)) => Some(name.to_owned()),
            Some((None, Some((logical_id, None | Some("BackupVaultName"))))) => {
                self.vaults.get(number).and_then(|vaults| vaults.get(logical_id)).map(|(name, _)| name.clone())
            }
            _ => None,
        };
        let target_vault = target_vault.map(|name| self.own_vault(number, &name).unwrap_or(name));
        if target_vault.is_none() {
            unread.push(RulePart::TargetVault);
        }
        let lifecycle = part.get("Lifecycle").map_or(Some(Lifecycle::default()), lifecycle_of);
        if lifecycle.is_none() {
            unread.push(RulePart::Lifecycle);
        }
        let copy = |item: &Part| {
            let vault = self.vault_arn(number, item.get("DestinationBackupVaultArn")?)?;
            let lifecycle = item.get("Lifecycle").and_then(lifecycle_of).unwrap_or_default();
            Some(CopyAction { vault, lifecycle })
        };
        let mut copies = Vec::new();
        if !collect(&mut copies, part.get("CopyActions"), copy) {
            unread.push(RulePart::Copies);
        }
        Rule {
            name: known("RuleName").unwrap_or_default().to_owned(),
            schedule: known("ScheduleExpression").map(str::to_owned),
            target_vault: target_vault.unwrap_or_default(),
            // An unknown one is an air-gapped vault too.
            target_air_gapped_vault: part
                .get("TargetLogicallyAirGappedBackupVaultArn")
                .map(|arn| self.vault_arn(number, arn).unwrap_or_default()),
            lifecycle: lifecycle.unwrap_or_default(),
            // An unresolved value may be true: then a schedule that is too infrequent is undecided.
            continuous: part.get("EnableContinuousBackup").is_some_and(|flag| flag.as_text() != Some("false")),
            copies,
            start_window_minutes: known("StartWindowMinutes").and_then(|minutes| minutes.parse().ok()),
            completion_window_minutes: known("CompletionWindowMinutes").and_then(|minutes| minutes.parse().ok()),
            unread,
        }
    }

    /// Returns the ARN of a vault, as far as it is known. Unknown pseudo parameters keep their names.
    fn vault_arn(&self, number: usize, arn: &Part) -> Option<String> {
        if let Some((logical_id, Some("BackupVaultArn"))) = arn.reference() {
            let vault = self.vaults.get(number).and_then(|vaults| vaults.get(logical_id));
            let target = vault.and_then(|(_, target)| self.targets.get(*target)).unwrap_or(self.target());
            let region = target.region().map_or(UNKNOWN_REGION, |region| region.as_str());
            let account = target.account().map_or(UNKNOWN_ACCOUNT, |account| account.as_str());
            let name = vault.map_or("?", |(name, _)| name);
            return Some(format!(
                "arn:{}:backup:{region}:{account}:backup-vault:{name}",
                self.partition.unwrap_or("aws")
            ));
        }
        let known = prefix(arn);
        parts(&known).is_some().then_some(known)
    }
}

fn lifecycle_of(part: &Part) -> Option<Lifecycle> {
    part.entries()?;
    Some(Lifecycle {
        cold_after_days: text::number(part, "MoveToColdStorageAfterDays").unwrap_or_default(),
        delete_after_days: text::number(part, "DeleteAfterDays")?,
    })
}
