//! Matches exemptions with violations.

use jiff::civil::Date;
use serde_json::json;

use framework::control;
use syntax::text::printable;
use syntax::wildcard;

use super::Exemption;
use crate::digest::{Digest, digest_of};
use crate::violation::{AppliedExemption, ResourceDetails, ViolationKey};

/// The result of matching a violation with the exemptions of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExemptionMatch<'a> {
    /// No exemption applies.
    Unmatched,
    /// An exemption fails in one condition only, which this sentence explains.
    NearMiss(String),
    /// The violation is exempt, by the exemption that applies longest.
    Covered(&'a Exemption),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnmetCondition<'a> {
    Date,
    Account,
    Tag(&'a str, &'a str),
}

impl Exemption {
    /// Whether a violation is exempt on a day (UTC).
    pub fn covers(&self, key: &ViolationKey, resource: &ResourceDetails, today: Date) -> bool {
        self.names(key, resource) && self.unmet(key, resource, today).next().is_none()
    }

    /// Explains in one sentence why the exemption does not cover a violation, if one condition is unmet. An exemption for all
    /// resources is a near miss only after its last day; otherwise it would be one for every violation.
    pub(super) fn nearly(&self, key: &ViolationKey, resource: &ResourceDetails, today: Date) -> Option<String> {
        if !self.names(key, resource) {
            return None;
        }
        let mut conditions = self.unmet(key, resource, today);
        let (Some(unmet), None) = (conditions.next(), conditions.next()) else { return None };
        if unmet != UnmetCondition::Date && self.resources.iter().all(|pattern| pattern == "*") {
            return None;
        }
        let condition = match unmet {
            UnmetCondition::Date => format!("ended on {}.", self.until),
            UnmetCondition::Account => match self.accounts.as_slice() {
                [only] => format!("applies in account {only} only."),
                accounts => format!("applies in {} other accounts only.", accounts.len()),
            },
            UnmetCondition::Tag(name, pattern) => {
                let value = resource.tags.get(name).map(|value| format!("has `{}`.", printable(value)));
                let value = value.unwrap_or_else(|| "does not have it.".to_owned());
                format!("requires the tag `{}` = `{}`; the resource {value}", printable(name), printable(pattern))
            }
        };
        let pattern = self.resources.first().map(|pattern| printable(pattern)).unwrap_or_default();
        Some(format!("The exemption of `{pattern}` (owner {}) {condition}", printable(&self.owner)))
    }

    fn names(&self, key: &ViolationKey, resource: &ResourceDetails) -> bool {
        if self.control.name != key.control {
            return false;
        }
        if self.resources.iter().any(|pattern| pattern == "*") {
            return true;
        }
        let derived_arn = || control::derived_arn(&key.account, &key.region, &key.resource_type, &key.resource_id);
        let arn = resource.arn.clone().or_else(derived_arn);
        arn.is_some_and(|arn| self.resources.iter().any(|pattern| wildcard::matches(pattern, &arn)))
    }

    fn unmet<'a>(
        &'a self,
        key: &ViolationKey,
        resource: &'a ResourceDetails,
        today: Date,
    ) -> impl Iterator<Item = UnmetCondition<'a>> {
        let date = (today > self.until).then_some(UnmetCondition::Date);
        let account =
            (!self.accounts.is_empty() && !self.accounts.contains(&key.account)).then_some(UnmetCondition::Account);
        let tags = self.tags.iter().filter(|(name, pattern)| !has_tag(resource, name, pattern));
        date.into_iter().chain(account).chain(tags.map(|(name, pattern)| UnmetCondition::Tag(name, pattern)))
    }

    /// Whether it applies on a day (UTC) and its last day is at most `days` later.
    pub fn expires_within(&self, today: Date, days: u32) -> bool {
        let left = self.until.duration_since(today).as_hours() / 24;
        (0..=i64::from(days)).contains(&left)
    }

    /// Identifies the exemption: a change of its reason keeps the digest, any other change does not.
    pub fn digest(&self) -> Digest {
        let Self { control, resources, accounts, tags, reason: _, owner, until } = self;
        digest_of(&json!([control.name, resources, accounts, tags, owner, until]))
    }
}

/// Whether a resource has a tag with a matching value. A resource whose tags are unknown has none.
pub(super) fn has_tag(resource: &ResourceDetails, name: &str, pattern: &str) -> bool {
    resource.tags.get(name).is_some_and(|value| wildcard::matches(pattern, value))
}

impl From<&Exemption> for AppliedExemption {
    fn from(exemption: &Exemption) -> Self {
        Self { reason: exemption.reason.clone(), owner: exemption.owner.clone(), until: exemption.until }
    }
}
