//! Backup selections of templates.

use std::collections::BTreeMap;

use super::text::{collect, known, text_of};
use super::{
    Content, ItemId, PLAN, Part, Piece, Plan, PlanPart, ReferenceTarget, Selection, SelectionPart, TagValue,
    TemplateImport, TemplateResource,
};
use crate::inventory::partial_arn::parts;

impl TemplateImport<'_> {
    pub(super) fn selection(&mut self, number: usize, resource: &TemplateResource<'_>) {
        let own = resource.properties.get("BackupSelection");
        let mut selection = self.read(number, own);
        selection.id = self.placeholder(number, resource.logical_id);
        if selection.name.is_empty() {
            resource.logical_id.clone_into(&mut selection.name);
        }
        let is_whole = own.is_some_and(|own| own.entries().is_some()) && !self.has_expansion(number, resource);
        if !is_whole {
            selection.unread = SelectionPart::CONTENT.to_vec();
        }
        let index = self.plan_of(number, resource);
        // A selection that may not exist matches nothing for certain.
        let mut of_plan = self.added.origins.iter().filter(|origin| Some(origin.item) == index.map(ItemId::Plan));
        if resource.is_on != Some(true) || of_plan.any(|origin| !origin.uncertainties.is_empty()) {
            selection.unread.push(SelectionPart::Existence);
        }
        let Some(plan) = index.and_then(|index| self.inventory.plans.get_mut(index)) else { return };
        // Replaces the deployed version of the selection.
        plan.item.selections.retain(|known| known.name != selection.name || known.id.contains('#'));
        plan.item.selections.push(selection);
    }

    fn is_plan(&self, number: usize, logical_id: &str) -> bool {
        if let Some(plan) = self.terraform(number) {
            return plan.kind(logical_id) == Some("aws_backup_plan");
        }
        let file = self.files.get(number);
        file.is_some_and(|file| file.resources.iter().any(|own| own.logical_id == logical_id && own.kind == PLAN))
    }

    /// Returns the index of the selection's plan.
    fn plan_of(&mut self, number: usize, resource: &TemplateResource<'_>) -> Option<usize> {
        let id = resource.properties.get("BackupPlanId");
        if let Some((logical_id, None | Some("BackupPlanId"))) = id.and_then(Part::reference)
            && self.is_plan(number, logical_id)
        {
            // A plan with a false condition removes its selections.
            let mut origins = self.added.origins.iter();
            return origins.find_map(|origin| match origin.item {
                ItemId::Plan(index) if origin.stack == number && origin.logical_id == logical_id => Some(index),
                _ => None,
            });
        }
        let plan_id = id.and_then(Part::as_text);
        let mut plans = self.inventory.plans.iter();
        let is_it = |id: &str| {
            plans.position(|plan| Some(&plan.location) == self.locations.get(self.current) && plan.item.id == id)
        };
        if let Some(index) = plan_id.and_then(is_it) {
            return Some(index);
        }
        // A plan from elsewhere.
        let name = plan_id.map_or_else(|| format!("of {}", resource.logical_id), str::to_owned);
        self.inventory.add_plan(Plan {
            id: name.clone(),
            name,
            account: self.target().account.clone(),
            region: self.target().region.clone(),
            tags: BTreeMap::new(),
            rules: Vec::new(),
            selections: Vec::new(),
            unread: vec![PlanPart::Tags, PlanPart::Rules],
        });
        self.inventory.plans.len().checked_sub(1)
    }

    fn read(&self, number: usize, own: Option<&Part>) -> Selection {
        let mut selection = Selection::default();
        let Some(own) = own else { return selection };
        selection.name = text_of(own, "SelectionName").unwrap_or_default().to_owned();
        let selected = (&mut selection.resources, own.get("Resources"), SelectionPart::Resources);
        let excluded = (&mut selection.not_resources, own.get("NotResources"), SelectionPart::NotResources);
        for (into, list, part) in [selected, excluded] {
            if !collect(into, list, |item| self.arn_of(number, item)) {
                selection.unread.push(part);
            }
        }
        if !collect(&mut selection.list_of_tags, own.get("ListOfTags"), pair) {
            selection.unread.push(SelectionPart::ListOfTags);
        }
        if let Some(conditions) = own.get("Conditions") {
            let mut all_known = conditions.entries().is_some();
            for (operator, list) in conditions.entries().unwrap_or_default() {
                let into = match operator.as_str() {
                    "StringEquals" => &mut selection.conditions.string_equals,
                    "StringNotEquals" => &mut selection.conditions.string_not_equals,
                    "StringLike" => &mut selection.conditions.string_like,
                    "StringNotLike" => &mut selection.conditions.string_not_like,
                    // The effect of other operators is unknown.
                    _ => {
                        all_known = false;
                        continue;
                    }
                };
                all_known &= collect(into, Some(list), pair);
            }
            if !all_known {
                selection.unread.push(SelectionPart::Conditions);
            }
        }
        selection
    }

    /// Returns an ARN or a pattern, or the placeholder of a resource whose ARN is unknown.
    fn arn_of(&self, number: usize, part: &Part) -> Option<String> {
        let references = self.references.get(number)?;
        let pieces = match &part.content {
            Content::Text(text) => return Some(text.clone()),
            Content::Pieces(pieces) => pieces.as_slice(),
            Content::List(_) | Content::Mapping(_) | Content::Unknown => return None,
        };
        let (last, start) = pieces.split_last()?;
        let start: String = start.iter().map(known).collect::<Option<_>>()?;
        let target = match last {
            Piece::Resource { logical_id, attribute: Some(attribute) } if start.is_empty() => {
                references.get(logical_id).filter(|of| of.known.arn == attribute)
            }
            Piece::Resource { logical_id, attribute: None } => {
                references.get(logical_id).filter(|of| self.is_start(&start, of))
            }
            last => return Some(format!("{start}{}", known(last)?)),
        };
        target.map(|of| of.key.clone())
    }

    /// Returns whether a prefix and the name of the resource form its ARN.
    fn is_start(&self, start: &str, of: &ReferenceTarget) -> bool {
        let Some([arn, _, service, region, account, kind]) = parts(start) else { return false };
        let fits = |written: &str, known: Option<&str>| {
            // An unknown part and the same pseudo parameter are equal.
            of.protected.service == "s3"
                || written == "*"
                || known.map_or(written.starts_with('$'), |own| own == written)
        };
        arn == "arn"
            && service == of.protected.service
            && kind == of.protected.arn_kind
            && fits(region, self.target().region().map(|region| region.as_str()))
            && fits(account, self.target().account().map(|account| account.as_str()))
    }
}

fn pair(item: &Part) -> Option<TagValue> {
    let of = |name: &str| text_of(item, name).map(str::to_owned);
    let kind = item.get("ConditionType");
    // `ListOfTags` has one operator only.
    if kind.is_some() && kind.and_then(Part::as_text) != Some("STRINGEQUALS") {
        return None;
    }
    Some(TagValue { key: of("ConditionKey")?, value: of("ConditionValue")? })
}
