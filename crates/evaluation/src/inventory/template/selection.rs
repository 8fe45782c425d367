//! Backup selections of templates.

use super::{
    Content, ItemId, PLAN, Part, Piece, Plan, PlanPart, ReferenceTarget, Resource, Selection, SelectionPart, TagValue,
    TemplateImport, TemplateStack, placeholder, property, text,
};

impl TemplateImport<'_> {
    pub(super) fn selection(&mut self, number: usize, stack: &TemplateStack<'_>, resource: &Resource<'_>) {
        let own = property(resource, "BackupSelection");
        let mut selection = self.read(number, own);
        selection.id = placeholder(stack, resource.logical_id);
        if selection.name.is_empty() {
            resource.logical_id.clone_into(&mut selection.name);
        }
        let plan = property(resource, "BackupPlanId");
        let is_whole = own.is_some_and(|own| own.entries().is_some()) && !self.has_expansion(number, resource);
        if !is_whole {
            selection.unread = SelectionPart::CONTENT.to_vec();
        }
        let index = self.plan_of(number, stack, resource, plan);
        // A selection that may not exist matches nothing for certain.
        let plan_is_there = self
            .added
            .origins
            .iter()
            .all(|origin| Some(origin.item) != index.map(ItemId::Plan) || origin.uncertainties.is_empty());
        let is_there = resource.is_on == Some(true) && plan_is_there;
        if !is_there {
            selection.unread.push(SelectionPart::Existence);
        }
        let Some(plan) = index.and_then(|index| self.inventory.plans.get_mut(index)) else { return };
        // Replaces the deployed version of the selection.
        plan.item.selections.retain(|known| known.name != selection.name || known.id.contains('#'));
        plan.item.selections.push(selection);
    }

    /// Returns the index of the selection's plan.
    fn plan_of(
        &mut self,
        number: usize,
        stack: &TemplateStack<'_>,
        resource: &Resource<'_>,
        id: Option<&Part>,
    ) -> Option<usize> {
        if let Some((logical_id, None | Some("BackupPlanId"))) = id.and_then(Part::reference)
            && stack.template.resources().any(|(name, kind, _)| name == logical_id && kind == PLAN)
        {
            let of_plan = self.added.origins.iter().find(|origin| {
                origin.stack == number && origin.logical_id == logical_id && matches!(origin.item, ItemId::Plan(_))
            });
            // A plan with a false condition removes its selections.
            return match of_plan?.item {
                ItemId::Plan(index) => Some(index),
                ItemId::Resource(_) | ItemId::Vault(_) => None,
            };
        }
        let known = id.and_then(text);
        let location = self.inventory.location_of(&self.target.account, &self.target.region);
        if let Some(known) = known
            && let Some(index) =
                self.inventory.plans.iter().position(|plan| plan.location == location && plan.item.id == known)
        {
            return Some(index);
        }
        // A plan from elsewhere.
        let name = known.map_or_else(|| format!("of {}", resource.logical_id), str::to_owned);
        self.inventory.add_plan(Plan {
            id: name.clone(),
            name,
            account: self.target.account.clone(),
            region: self.target.region.clone(),
            tags: std::collections::BTreeMap::new(),
            rules: Vec::new(),
            selections: Vec::new(),
            unread: vec![PlanPart::Tags, PlanPart::Rules],
        });
        self.inventory.plans.len().checked_sub(1)
    }

    fn read(&self, number: usize, own: Option<&Part>) -> Selection {
        let mut selection = Selection::default();
        let Some(own) = own else { return selection };
        selection.name = own.get("SelectionName").and_then(text).unwrap_or_default().to_owned();
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
        match &part.content {
            Content::Text(text) => Some(text.clone()),
            Content::Pieces(pieces) => match pieces.as_slice() {
                [Piece::Resource { logical_id, attribute: Some(attribute) }] => {
                    let of = references.get(logical_id)?;
                    (of.arn_attribute == attribute).then(|| of.key.clone())
                }
                [Piece::Text(start), Piece::Resource { logical_id, attribute: None }] => {
                    let of = references.get(logical_id)?;
                    self.is_start(start, of).then(|| of.key.clone())
                }
                _ => None,
            },
            Content::List(_) | Content::Mapping(_) | Content::Unknown => None,
        }
    }

    /// Returns whether a prefix and the name of the resource form its ARN.
    fn is_start(&self, start: &str, of: &ReferenceTarget) -> bool {
        let parts: Vec<&str> = start.splitn(6, ':').collect();
        let [arn, _, service, region, account, kind] = parts.as_slice() else { return false };
        let fits = |written: &str, known: Option<&str>| of.service == "s3" || written == "*" || Some(written) == known;
        *arn == "arn"
            && *service == of.service
            && *kind == of.arn_kind
            && fits(region, self.target.region().map(|region| region.as_str()))
            && fits(account, self.target.account().map(|account| account.as_str()))
    }
}

/// Collects the known items of a list, and returns whether these are all. An absent list is empty.
fn collect<T>(into: &mut Vec<T>, list: Option<&Part>, item: impl Fn(&Part) -> Option<T>) -> bool {
    let Some(list) = list else { return true };
    let before = into.len();
    let items = list.items().unwrap_or_default();
    into.extend(items.iter().filter_map(item));
    list.items().is_some() && into.len() == before.saturating_add(items.len())
}

fn pair(item: &Part) -> Option<TagValue> {
    let of = |name: &str| item.get(name).and_then(text).map(str::to_owned);
    let kind = item.get("ConditionType");
    // `ListOfTags` has one operator only.
    if kind.is_some() && kind.and_then(text) != Some("STRINGEQUALS") {
        return None;
    }
    Some(TagValue { key: of("ConditionKey")?, value: of("ConditionValue")? })
}
