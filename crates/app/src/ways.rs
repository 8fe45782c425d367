//! What would bring a resource into a backup plan that is there already.

use crate::ports::Selection;
use domain::violation::ResourceFacts;

/// More than that is a choice, not an instruction.
const MOST: usize = 3;

/// One sentence a way, best first: a tag that a selection asks for, then a selection that lists resources.
pub(crate) fn ways(selections: &[Selection], resource: &ResourceFacts) -> Vec<String> {
    let by_tag = selections.iter().flat_map(|selection| {
        let Selection { plan, name, .. } = selection;
        selection.tags.iter().filter(|(key, value)| resource.tags.get(key) != Some(value)).map(move |(key, value)| {
            let now = match resource.tags.get(key) {
                Some(other) => format!(" (it has `{key}` = `{other}`)"),
                None => String::new(),
            };
            format!("Tag it `{key}` = `{value}`{now}: the selection `{name}` of the backup plan `{plan}` takes such resources.")
        })
    });
    let by_arn = selections.iter().filter(|selection| !selection.resources.is_empty()).map(|selection| {
        let what = resource.arn.as_deref().map_or_else(|| "its ARN".to_owned(), |arn| format!("`{arn}`"));
        format!(
            "Or add {what} to the resources of the selection `{}` of the backup plan `{}`.",
            selection.name, selection.plan
        )
    });
    by_tag.chain(by_arn).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn selection(name: &str, tags: &[(&str, &str)], resources: &[&str]) -> Selection {
        Selection {
            plan: "gold".into(),
            name: name.into(),
            tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            resources: resources.iter().map(|pattern| (*pattern).into()).collect(),
        }
    }

    #[test]
    fn a_tag_that_is_missing_comes_before_a_list_and_a_tag_that_is_there_is_no_way() {
        let selections = [
            selection("listed", &[], &["arn:aws:rds:*:*:cluster:a"]),
            selection("tagged", &[("backup", "daily"), ("stage", "prod")], &[]),
        ];
        let tags = BTreeMap::from([("stage".to_owned(), "prod".to_owned()), ("backup".to_owned(), "no".to_owned())]);
        let resource = ResourceFacts { tags, ..ResourceFacts::default() };
        let ways = ways(&selections, &resource);
        assert_eq!(ways.len(), 2, "{ways:?}");
        assert!(
            ways[0].contains("`backup` = `daily` (it has `backup` = `no`)") && ways[0].contains("`tagged`"),
            "{ways:?}"
        );
        assert!(ways[1].contains("`listed`"), "{ways:?}");
        assert!(super::ways(&[], &resource).is_empty());
    }
}
