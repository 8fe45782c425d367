//! Backup selections of templates, each put to its plan.

use super::{
    Adding, Content, Meant, PLAN, Part, Piece, Plan, PlanPart, Resource, Selection, SelectionPart, Stack, TagValue,
    Thing, property, stand_in, text,
};

impl Adding<'_> {
    pub(super) fn selection(&mut self, number: usize, stack: &Stack<'_>, resource: &Resource<'_>) {
        let own = property(resource, "BackupSelection");
        let mut selection = self.read(number, own);
        selection.id = stand_in(stack, resource.logical_id);
        if selection.name.is_empty() {
            resource.logical_id.clone_into(&mut selection.name);
        }
        let plan = property(resource, "BackupPlanId");
        let is_whole = own.is_some_and(|own| own.entries().is_some()) && !self.has_expansion(number, resource);
        if !is_whole {
            selection.unread = vec![
                SelectionPart::Resources,
                SelectionPart::NotResources,
                SelectionPart::ListOfTags,
                SelectionPart::Conditions,
            ];
        }
        let index = self.plan_of(number, stack, resource, plan);
        // One that may not be there takes in nothing for certain.
        let plan_is_there = self
            .added
            .origins
            .iter()
            .all(|origin| Some(origin.thing) != index.map(Thing::Plan) || origin.doubts.is_empty());
        let is_there = resource.is_on == Some(true) && plan_is_there;
        if !is_there {
            selection.unread.push(SelectionPart::Existence);
        }
        let Some(plan) = index.and_then(|index| self.inventory.plans.get_mut(index)) else { return };
        // The same one before its change.
        plan.it.selections.retain(|known| known.name != selection.name || known.id.contains('#'));
        plan.it.selections.push(selection);
    }

    /// The plan that a selection belongs to.
    fn plan_of(
        &mut self,
        number: usize,
        stack: &Stack<'_>,
        resource: &Resource<'_>,
        id: Option<&Part>,
    ) -> Option<usize> {
        if let Some((logical_id, None | Some("BackupPlanId"))) = id.and_then(Part::reference)
            && stack.template.resources().any(|(name, kind, _)| name == logical_id && kind == PLAN)
        {
            let of_plan = self.added.origins.iter().find(|origin| {
                origin.stack == number && origin.logical_id == logical_id && matches!(origin.thing, Thing::Plan(_))
            });
            // A plan whose condition is off takes its selections along.
            return match of_plan?.thing {
                Thing::Plan(index) => Some(index),
                Thing::Resource(_) | Thing::Vault(_) => None,
            };
        }
        let known = id.and_then(text);
        let place = self.inventory.place_of(&self.target.account, &self.target.region);
        if let Some(known) = known
            && let Some(index) = self.inventory.plans.iter().position(|plan| plan.place == place && plan.it.id == known)
        {
            return Some(index);
        }
        // Some plan that is described elsewhere.
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
        for (name, part) in [("Resources", SelectionPart::Resources), ("NotResources", SelectionPart::NotResources)] {
            let Some(list) = own.get(name) else { continue };
            let arns = list.items().map(|items| items.iter().map(|item| self.arn_of(number, item)));
            let into = match part {
                SelectionPart::Resources => &mut selection.resources,
                _ => &mut selection.not_resources,
            };
            let mut all_known = arns.is_some();
            for arn in arns.into_iter().flatten() {
                match arn {
                    Some(arn) => into.push(arn),
                    None => all_known = false,
                }
            }
            if !all_known {
                selection.unread.push(part);
            }
        }
        if let Some(list) = own.get("ListOfTags") {
            let mut all_known = list.items().is_some();
            for item in list.items().unwrap_or_default() {
                match pair(item) {
                    Some(pair) => selection.list_of_tags.push(pair),
                    None => all_known = false,
                }
            }
            if !all_known {
                selection.unread.push(SelectionPart::ListOfTags);
            }
        }
        if let Some(conditions) = own.get("Conditions") {
            let mut all_known = conditions.entries().is_some();
            for (operator, list) in conditions.entries().unwrap_or_default() {
                let into = match operator.as_str() {
                    "StringEquals" => &mut selection.conditions.string_equals,
                    "StringNotEquals" => &mut selection.conditions.string_not_equals,
                    "StringLike" => &mut selection.conditions.string_like,
                    "StringNotLike" => &mut selection.conditions.string_not_like,
                    // Nobody knows what AWS makes of another one.
                    _ => {
                        all_known = false;
                        continue;
                    }
                };
                all_known &= list.items().is_some();
                for item in list.items().unwrap_or_default() {
                    match pair(item) {
                        Some(pair) => into.push(pair),
                        None => all_known = false,
                    }
                }
            }
            if !all_known {
                selection.unread.push(SelectionPart::Conditions);
            }
        }
        selection
    }

    /// An ARN or a pattern; for a resource of the template whose ARN nobody knows, what stands for it.
    fn arn_of(&self, number: usize, part: &Part) -> Option<String> {
        let meant = self.meant.get(number)?;
        match &part.content {
            Content::Text(text) => Some(text.clone()),
            Content::Pieces(pieces) => match pieces.as_slice() {
                [Piece::Resource { logical_id, attribute: Some(attribute) }] => {
                    let of = meant.get(logical_id)?;
                    (of.arn_attribute == attribute).then(|| of.key.clone())
                }
                [Piece::Text(start), Piece::Resource { logical_id, attribute: None }] => {
                    let of = meant.get(logical_id)?;
                    self.is_start(start, of).then(|| of.key.clone())
                }
                _ => None,
            },
            Content::List(_) | Content::Mapping(_) | Content::Unknown => None,
        }
    }

    /// Whether a text and the name of a resource behind it are the ARN of that resource.
    fn is_start(&self, start: &str, of: &Meant) -> bool {
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

fn pair(item: &Part) -> Option<TagValue> {
    let of = |name: &str| item.get(name).and_then(text).map(str::to_owned);
    let kind = item.get("ConditionType");
    // `ListOfTags` has but one way to compare.
    if kind.is_some() && kind.and_then(text) != Some("STRINGEQUALS") {
        return None;
    }
    Some(TagValue { key: of("ConditionKey")?, value: of("ConditionValue")? })
}
