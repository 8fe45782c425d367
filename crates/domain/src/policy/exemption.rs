//! Which violations an exemption covers.

use jiff::civil::Date;
use serde_json::json;

use super::Exemption;
use crate::control;
use crate::ids::shown;
use crate::rollout::{Digest, digest_of};
use crate::violation::{Exempt, Key, ResourceFacts};

/// What the exemptions say of a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exempting<'a> {
    /// Nothing.
    No,
    /// One nearly applies; what it lacks, in one sentence.
    Nearly(String),
    /// It is exempt. Of several that hold, the one that holds longest.
    Covered(&'a Exemption),
}

/// Whether a text is what a pattern says, in which `*` stands for any text, also none. Case counts. Takes time in proportion to
/// the two lengths, whatever the pattern.
#[must_use]
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once('*') else { return pattern == text };
    let (middle, last) = others.rsplit_once('*').unwrap_or(("", others));
    let inner = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    // The leftmost place of each part leaves the most room for those behind it.
    inner.is_some_and(|inner| {
        middle.split('*').try_fold(inner, |rest, part| rest.split_once(part).map(|(_, behind)| behind)).is_some()
    })
}

/// A condition of an exemption that a violation does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack<'a> {
    /// Its last day is over.
    Time,
    /// It is for other accounts.
    Account,
    /// It asks for a tag that the resource does not have, or has with another value.
    Tag(&'a str, &'a str),
}

impl Exemption {
    /// Whether a violation is exempt on a day (UTC).
    #[must_use]
    pub fn covers(&self, key: &Key, resource: &ResourceFacts, today: Date) -> bool {
        self.is_about(key, resource) && self.lacks(key, resource, today).next().is_none()
    }

    /// What it lacks to cover a violation, in one sentence, if that is one thing only.
    ///
    /// An exemption for all resources is near nothing before it has ended: everything else would be.
    pub(super) fn nearly(&self, key: &Key, resource: &ResourceFacts, today: Date) -> Option<String> {
        if !self.is_about(key, resource) {
            return None;
        }
        let mut lacks = self.lacks(key, resource, today);
        let (Some(lack), None) = (lacks.next(), lacks.next()) else { return None };
        if lack != Lack::Time && self.resources.iter().all(|pattern| pattern == "*") {
            return None;
        }
        let pattern = self.resources.first().map(|pattern| shown(pattern)).unwrap_or_default();
        let exemption = format!("The exemption of `{pattern}` (owner {})", shown(&self.owner));
        Some(match lack {
            Lack::Time => format!("{exemption} held until {}.", self.until),
            Lack::Account => match self.accounts.as_slice() {
                [only] => format!("{exemption} holds in account {only} only."),
                accounts => format!("{exemption} holds in {} other accounts only.", accounts.len()),
            },
            Lack::Tag(name, wanted) => {
                let asks = format!("{exemption} asks for the tag `{}` with `{}`", shown(name), shown(wanted));
                match resource.tags.get(name) {
                    Some(found) => format!("{asks}; here it is `{}`.", shown(found)),
                    None => format!("{asks}; here it is missing."),
                }
            }
        })
    }

    /// Whether control and resource are those that it names.
    fn is_about(&self, key: &Key, resource: &ResourceFacts) -> bool {
        if self.control.name != key.control {
            return false;
        }
        if self.resources.iter().any(|pattern| pattern == "*") {
            return true;
        }
        let arn = resource.arn.clone().or_else(|| control::derived_arn(key));
        arn.is_some_and(|arn| self.resources.iter().any(|pattern| wildcard(pattern, &arn)))
    }

    fn lacks<'a>(&'a self, key: &Key, resource: &'a ResourceFacts, today: Date) -> impl Iterator<Item = Lack<'a>> {
        let time = (today > self.until).then_some(Lack::Time);
        let account = (!self.accounts.is_empty() && !self.accounts.contains(&key.account)).then_some(Lack::Account);
        let tags = self.tags.iter().filter(|(name, wanted)| !has_tag(resource, name, wanted));
        time.into_iter().chain(account).chain(tags.map(|(name, wanted)| Lack::Tag(name, wanted)))
    }

    /// Whether it still holds on a day and its last day is at most so many days later.
    #[must_use]
    pub fn expires_within(&self, today: Date, days: u32) -> bool {
        let left = self.until.duration_since(today).as_hours() / 24;
        (0..=i64::from(days)).contains(&left)
    }

    /// What it is known by: another reason makes no other exemption, any other change does.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Self { control, resources, accounts, tags, reason: _, owner, until } = self;
        digest_of(&json!([control.name, resources, accounts, tags, owner, until]))
    }
}

/// Whether a resource has a tag with such a value. One whose tags nobody knows has none.
pub(super) fn has_tag(resource: &ResourceFacts, name: &str, pattern: &str) -> bool {
    resource.tags.get(name).is_some_and(|value| wildcard(pattern, value))
}

impl From<&Exemption> for Exempt {
    fn from(exemption: &Exemption) -> Self {
        Self { reason: exemption.reason.clone(), owner: exemption.owner.clone(), until: exemption.until }
    }
}
