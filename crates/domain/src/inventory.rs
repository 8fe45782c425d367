//! What there is to judge: resources, backup plans with their selections, vaults, recovery points, restores, and the switches of
//! AWS Backup, as of one moment; and what of it could not be read.
//!
//! Two forms: [`document`] is what is written down, one struct a JSON object; [`Inventory`] is what is judged, the same in a
//! third of the memory. The published schema is `schemas/inventory.schema.json`.
//!
//! One rule holds throughout: what a document leaves out is not there, and what could not be read is named under `unread`. A
//! judgement that hangs on something unread is undecided.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::fault::Fault;
use crate::ids::{AccountId, RegionName};

pub mod document;
mod read;
mod service;
pub mod template;
#[cfg(test)]
mod tests;
mod text;

pub use document::{Document, Part, Plan, RecoveryPoint, Restore, Rule, Selection, Vault};
pub use service::SWITCHES;
pub(crate) use service::{Protected, protected};
use service::{in_right_case, protected_types};
pub(crate) use text::Text;
use text::Texts;

/// Everything that is known, as of one moment.
#[derive(Debug, Clone)]
pub struct Inventory {
    pub(crate) as_of: Timestamp,
    pub(crate) texts: Texts,
    pub(crate) places: Vec<Place>,
    place_ids: HashMap<(Text, Text), PlaceId>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) plans: Vec<Placed<Plan>>,
    pub(crate) vaults: Vec<Placed<Vault>>,
    pub(crate) recovery_points: Vec<Placed<RecoveryPoint>>,
    pub(crate) restores: Vec<Restore>,
}

/// An account and Region, by its number in the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlaceId(u32);

/// An account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// What was read there; `None` where the document says nothing of the place, so that nothing was.
    pub read: Option<document::Place>,
}

/// Something and the place that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed<T> {
    pub(crate) place: PlaceId,
    pub(crate) it: T,
}

/// A resource that may need a backup. Texts that many resources share are kept once.
#[derive(Debug, Clone)]
pub struct Resource {
    pub(crate) arn: Box<str>,
    pub(crate) id: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    pub(crate) cluster: Option<Box<str>>,
    /// Sorted by key.
    pub(crate) tags: Box<[Tag]>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) place: PlaceId,
    pub(crate) kind: Text,
    pub(crate) engine: Option<Text>,
    pub(crate) encrypted: Option<bool>,
    pub(crate) active: bool,
    /// There may be other tags than these.
    pub(crate) tags_unread: bool,
    /// The ARN goes on, nobody knows how: the resource is not deployed yet.
    pub(crate) arn_end_unread: bool,
}

/// A tag of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) key: Text,
    /// `None` when the value is not known.
    pub(crate) value: Option<Text>,
}

/// What an inventory does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// The Region.
    pub region: &'a RegionName,
    /// What could not be read; `None` when the document says nothing of the place.
    pub part: Option<Part>,
    /// Why, as far as that was written down.
    pub why: &'a str,
}

impl Inventory {
    /// An inventory that knows nothing yet.
    #[must_use]
    pub fn new(as_of: Timestamp) -> Self {
        Self {
            as_of,
            texts: Texts::default(),
            places: Vec::new(),
            place_ids: HashMap::new(),
            resources: Vec::new(),
            plans: Vec::new(),
            vaults: Vec::new(),
            recovery_points: Vec::new(),
            restores: Vec::new(),
        }
    }

    /// Reads a document. `file` is what the faults call it.
    ///
    /// # Errors
    /// The first fault found: with line and column, the JSON path, and what would be right.
    pub fn read(file: &str, text: &str) -> Result<Self, Box<Fault>> {
        read::inventory(None, file, text)
    }

    /// Reads one more document. What all of them say is as of the earliest: until then each of them knows everything. An account
    /// and Region is in one of them only.
    ///
    /// # Errors
    /// The first fault found, as [`Self::read`] has it; the inventory is gone then.
    pub fn read_more(self, file: &str, text: &str) -> Result<Self, Box<Fault>> {
        read::inventory(Some(self), file, text)
    }

    /// The inventory that a document describes.
    ///
    /// # Errors
    /// The first fault found, as a text with the JSON path and what would be right.
    pub fn of(document: Document) -> Result<Self, String> {
        let Document { version: _, as_of, places, resources, plans, vaults, recovery_points, restores } = document;
        let mut inventory = Self::new(as_of);
        let at = |list: &str, index: usize, fault: String| format!("`{list}[{index}]`: {fault}");
        for (index, place) in places.into_iter().enumerate() {
            inventory.add_place(place).map_err(|fault| at("places", index, fault))?;
        }
        for (index, resource) in resources.into_iter().enumerate() {
            inventory.add_resource(resource).map_err(|fault| at("resources", index, fault))?;
        }
        for plan in plans {
            inventory.add_plan(plan);
        }
        for vault in vaults {
            inventory.add_vault(vault);
        }
        for point in recovery_points {
            inventory.add_recovery_point(point);
        }
        inventory.restores.extend(restores);
        inventory.check_resources(0)?;
        Ok(inventory)
    }

    /// Adds what was read of an account and Region.
    ///
    /// # Errors
    /// When the place was added before, or a switch is written in another case than AWS Backup's.
    pub fn add_place(&mut self, place: document::Place) -> Result<(), String> {
        let id = self.place(place.account.as_str(), place.region.as_str())?;
        for name in place.opt_in.keys() {
            if let Some(right) = in_right_case(name, SWITCHES) {
                return Err(format!("AWS Backup has no switch `{name}`; did you mean `{right}`?"));
            }
        }
        match self.places.get_mut(id.index()) {
            Some(known) if known.read.is_none() => {
                known.read = Some(place);
                Ok(())
            }
            _ => Err(format!(
                "the account {} is there twice with the Region `{}`; keep one of the two",
                place.account, place.region
            )),
        }
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// When account, Region or ARN are wrong, or contradict each other, or the type is written in another case than AWS's.
    pub fn add_resource(&mut self, resource: document::Resource) -> Result<(), String> {
        let place = self.place(&resource.account, &resource.region)?;
        resource.check()?;
        let mut tags: Vec<Tag> = resource
            .tags
            .iter()
            .map(|(key, value)| Tag {
                key: self.texts.intern(key),
                value: value.as_ref().map(|value| self.texts.intern(value)),
            })
            .collect();
        tags.sort_unstable_by_key(|tag| tag.key);
        let unread = |part| resource.unread.contains(&part);
        let resource = Resource {
            place,
            kind: self.texts.intern(resource.kind.as_str()),
            engine: resource.engine.as_deref().map(|engine| self.texts.intern(engine)),
            encrypted: resource.encrypted,
            active: resource.active,
            tags_unread: unread(document::ResourcePart::Tags),
            arn_end_unread: unread(document::ResourcePart::ArnEnd),
            tags: tags.into(),
            created: resource.created,
            arn: resource.arn.into(),
            id: resource.id.map(Into::into),
            name: resource.name.map(Into::into),
            cluster: resource.cluster.map(Into::into),
        };
        self.resources.push(resource);
        Ok(())
    }

    /// Adds a backup plan with its selections.
    pub fn add_plan(&mut self, plan: Plan) {
        let place = self.place_of(&plan.account, &plan.region);
        self.plans.push(Placed { place, it: plan });
    }

    /// Adds a vault.
    pub fn add_vault(&mut self, vault: Vault) {
        let place = self.place_of(&vault.account, &vault.region);
        self.vaults.push(Placed { place, it: vault });
    }

    /// Adds a recovery point.
    pub fn add_recovery_point(&mut self, point: RecoveryPoint) {
        let place = self.place_of(&point.account, &point.region);
        self.recovery_points.push(Placed { place, it: point });
    }

    /// Adds a restore.
    pub fn add_restore(&mut self, restore: Restore) {
        self.restores.push(restore);
    }

    /// The moment that it is about.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// How many resources it has.
    #[must_use]
    pub fn resource_count(&self) -> usize {
        self.resources.len()
    }

    /// Whether it says anything of an account and Region.
    #[must_use]
    pub fn has_place(&self, account: &AccountId, region: &RegionName) -> bool {
        let key = (self.texts.find(account.as_str()), self.texts.find(region.as_str()));
        let (Some(account), Some(region)) = key else { return false };
        self.place_ids.contains_key(&(account, region))
    }

    /// The types of resources that no control is about, and how many resources there are of each.
    #[must_use]
    pub fn not_asked_about(&self) -> BTreeMap<&str, u64> {
        let mut counts: HashMap<Text, u64> = HashMap::new();
        for resource in &self.resources {
            *counts.entry(resource.kind).or_default() += 1;
        }
        let named = counts.into_iter().map(|(kind, count)| (self.texts.get(kind), count));
        named.filter(|(kind, _)| protected(kind).is_none()).collect()
    }

    /// The accounts and Regions that it says something of.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter()
    }

    /// What it does not know, place by place in the order of the document. Empty when everything was read.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap<'_>> {
        let mut gaps = Vec::new();
        for place in &self.places {
            let gap = |part, why| Gap { account: &place.account, region: &place.region, part, why };
            match &place.read {
                None => gaps.push(gap(None, "")),
                Some(read) => gaps.extend(read.unread.iter().map(|unread| gap(Some(unread.part), unread.why.as_str()))),
            }
        }
        gaps
    }

    /// The tags of a resource; a value that is not known is `None`.
    pub fn tags<'a>(&'a self, resource: &'a Resource) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        resource.tags.iter().map(|tag| (self.texts.get(tag.key), tag.value.map(|value| self.texts.get(value))))
    }

    /// The Config type of a resource.
    #[must_use]
    pub fn kind(&self, resource: &Resource) -> &str {
        self.texts.get(resource.kind)
    }

    /// Where a resource is.
    #[must_use]
    pub fn place_of_resource(&self, resource: &Resource) -> Option<&Place> {
        self.at(resource.place)
    }

    pub(crate) fn at(&self, place: PlaceId) -> Option<&Place> {
        self.places.get(place.index())
    }

    /// The entry for what a place did not let itself be read, if that covers the part.
    pub(crate) fn unread(&self, place: PlaceId, part: Part) -> Option<Gap<'_>> {
        let place = self.at(place)?;
        let gap = |part, why| Some(Gap { account: &place.account, region: &place.region, part, why });
        match &place.read {
            None => gap(None, ""),
            Some(read) => {
                read.unread.iter().find(|unread| unread.part == part).and_then(|unread| gap(Some(part), &unread.why))
            }
        }
    }

    fn place(&mut self, account: &str, region: &str) -> Result<PlaceId, String> {
        let key = (self.texts.intern(account), self.texts.intern(region));
        if let Some(id) = self.place_ids.get(&key) {
            return Ok(*id);
        }
        let account = AccountId::parse(account).map_err(|error| error.to_string())?;
        let region = RegionName::parse(region).map_err(|error| error.to_string())?;
        Ok(self.new_place(key, account, region))
    }

    fn place_of(&mut self, account: &AccountId, region: &RegionName) -> PlaceId {
        let key = (self.texts.intern(account.as_str()), self.texts.intern(region.as_str()));
        match self.place_ids.get(&key) {
            Some(id) => *id,
            None => self.new_place(key, account.clone(), region.clone()),
        }
    }

    fn new_place(&mut self, key: (Text, Text), account: AccountId, region: RegionName) -> PlaceId {
        let id = PlaceId(u32::try_from(self.places.len()).unwrap_or(u32::MAX));
        self.places.push(Place { account, region, read: None });
        self.place_ids.insert(key, id);
        id
    }

    /// What can be seen only when all resources are there. The first `known` of them are of documents before this one.
    fn check_resources(&self, known: usize) -> Result<(), String> {
        let mut seen = std::collections::HashSet::with_capacity(self.resources.len());
        for (index, resource) in self.resources.iter().enumerate() {
            // Before a deployment several resources have nothing but the same beginning.
            if !resource.arn_end_unread && !seen.insert(&*resource.arn) {
                let arn = crate::ids::shown(&resource.arn);
                let index = index.saturating_sub(known);
                return Err(format!("`resources[{index}]`: the resource `{arn}` is there twice; keep one of the two"));
            }
        }
        Ok(())
    }
}

impl PlaceId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Resource {
    /// The ARN; only its beginning when the resource is not deployed yet.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The id that AWS Config knows it by; the ARN where the document gives none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.arn)
    }

    /// The name that people use.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The ARN of the cluster that it is a member of.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// Whether its data is encrypted, where that is known.
    #[must_use]
    pub fn encrypted(&self) -> Option<bool> {
        self.encrypted
    }

    /// When it came to be.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// What its members name it by: its ARN, or its id where nobody knows the ARN yet.
    pub(crate) fn key(&self) -> &str {
        if self.arn_end_unread { self.id() } else { &self.arn }
    }

    pub(crate) fn tag(&self, key: Text) -> Option<Tag> {
        // A handful of tags, fifty at most: going through them is quicker than halving.
        self.tags.iter().find(|tag| tag.key == key).copied()
    }
}

impl document::Resource {
    /// Whether an inventory takes it, if its account and Region are some.
    ///
    /// # Errors
    /// When the ARN is none or contradicts account and Region, or the type is written in another case than AWS's.
    pub fn check(&self) -> Result<(), String> {
        check_arn(self)?;
        match in_right_case(self.kind.as_str(), protected_types()) {
            Some(right) => Err(format!("`type` is `{}`; did you mean `{right}`?", self.kind)),
            None => Ok(()),
        }
    }
}

/// Whether an ARN is one, and names the account and Region that stand beside it.
fn check_arn(resource: &document::Resource) -> Result<(), String> {
    let shown = || crate::ids::shown(&resource.arn);
    // A beginning may end before either of them.
    if resource.unread.contains(&document::ResourcePart::ArnEnd) && resource.arn.splitn(6, ':').nth(5).is_none() {
        return match resource.arn.strip_prefix("arn:") {
            Some(_) => Ok(()),
            None => Err(format!("`arn` is `{}`; an ARN begins with `arn:`", shown())),
        };
    }
    let mut parts = resource.arn.splitn(6, ':');
    let (Some("arn"), Some(_), Some(_), Some(region), Some(account), Some(_)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(format!(
            "`arn` is `{}`; an ARN has six parts with colons between, such as `arn:aws:s3:::my-bucket`",
            shown()
        ));
    };
    for (what, of_arn, beside) in [("region", region, &resource.region), ("account", account, &resource.account)] {
        if !of_arn.is_empty() && of_arn != beside {
            return Err(format!("`{what}` is `{beside}` and the ARN `{}` says `{of_arn}`; they must agree", shown()));
        }
    }
    Ok(())
}
