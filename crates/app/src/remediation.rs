//! Remediation options for a violation of the coverage control.

use domain::violation::ViolationRecord;
use evaluation::inventory::document::{Plan, Resource, ResourcePart};
use evaluation::remediation;
use framework::ids::ResourceType;

use crate::inventory::QUERIED;

/// Returns the remediation options among the plans of the account and Region, and the undecided ones; one sentence each.
pub(crate) fn options(plans: &[Plan], record: &ViolationRecord) -> Vec<String> {
    let resource = ResourceType::parse(&record.key.resource_type).ok().map(|kind| described(kind, record));
    resource.and_then(|resource| remediation::options(plans, resource).ok()).unwrap_or_default()
}

fn described(kind: ResourceType, record: &ViolationRecord) -> Resource {
    let (key, facts) = (&record.key, &record.resource);
    // Only advanced queries of AWS Config return tags, and only of these types.
    let is_queried = facts.arn.is_some() && QUERIED.contains(&kind.as_str());
    let arn_end = facts.arn.is_none().then_some(ResourcePart::ArnEnd);
    let tags = (facts.tags.is_empty() && !is_queried).then_some(ResourcePart::Tags);
    Resource {
        arn: facts.arn.clone().unwrap_or_else(|| format!("arn:{}:", key.region.partition())),
        kind,
        account: key.account.to_string(),
        region: key.region.to_string(),
        id: Some(key.resource_id.clone()),
        name: facts.name.clone(),
        tags: facts.tags.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect(),
        cluster: None,
        engine: None,
        encrypted: None,
        encryption_key: None,
        aws_managed_key: None,
        latest_restore_minutes: None,
        created: None,
        active: true,
        unread: arn_end.into_iter().chain(tags).collect(),
    }
}
