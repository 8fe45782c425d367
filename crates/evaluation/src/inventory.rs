//! The inventory to evaluate: resources, backup plans with their selections, vaults, recovery points, restores and the
//! opted-in services, at one point in time; and the parts that could not be read.
//!
//! [`document`] is the JSON form, one struct for each object (`schemas/inventory.schema.json`); [`Inventory`] holds
//! the same data in a third of the memory.
//!
//! An absent entry means that the item does not exist; a part that could not be read is listed under `unread`. A
//! result that depends on an unread part is undecided.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use framework::ids::{AccountId, RegionName};
use syntax::diagnostic::Diagnostic;

use interner::Interner;
use service::{in_right_case, protected_types};

pub mod document;
mod interner;
mod read;
mod service;
pub mod template;
#[cfg(test)]
mod tests;

pub use document::{Document, LocationPart, Plan, RecoveryPoint, Restore, Rule, Selection, Vault};
pub(crate) use interner::Symbol;
pub use service::OPT_IN_SERVICES;
pub(crate) use service::{ProtectedType, protected};

/// The state of an organization at one point in time.
#[derive(Debug, Clone)]
pub struct Inventory {
    pub(crate) as_of: Timestamp,
    pub(crate) symbols: Interner,
    pub(crate) locations: Vec<InventoryLocation>,
    location_ids: HashMap<(Symbol, Symbol), LocationId>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) plans: Vec<Located<Plan>>,
    pub(crate) vaults: Vec<Located<Vault>>,
    pub(crate) recovery_points: Vec<Located<RecoveryPoint>>,
    pub(crate) restores: Vec<Restore>,
}

/// The index of a location in the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LocationId(u32);

/// An account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryLocation {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// The data that was read; `None` if the document does not contain the location.
    pub record: Option<document::LocationRecord>,
}

/// An item with its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) location: LocationId,
    pub(crate) item: T,
}

/// A resource that may need a backup. Strings that many resources share are interned.
#[derive(Debug, Clone)]
pub struct Resource {
    pub(crate) arn: Box<str>,
    pub(crate) id: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    pub(crate) cluster: Option<Box<str>>,
    /// Sorted by key.
    pub(crate) tags: Box<[Tag]>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) location: LocationId,
    pub(crate) kind: Symbol,
    pub(crate) engine: Option<Symbol>,
    pub(crate) encrypted: Option<bool>,
    pub(crate) active: bool,
    /// There may be more tags.
    pub(crate) tags_unread: bool,
    /// The ARN is incomplete, because the resource is not deployed yet.
    pub(crate) arn_end_unread: bool,
}

/// A tag of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) key: Symbol,
    /// `None` if the value is unknown.
    pub(crate) value: Option<Symbol>,
}

/// A part that was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryGap<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// The Region.
    pub region: &'a RegionName,
    /// The part; `None` for a location that the document does not contain.
    pub part: Option<LocationPart>,
    /// The reason, if recorded.
    pub reason: &'a str,
}

impl Inventory {
    /// Returns an empty inventory.
    #[must_use]
    pub fn new(as_of: Timestamp) -> Self {
        Self {
            as_of,
            symbols: Interner::default(),
            locations: Vec::new(),
            location_ids: HashMap::new(),
            resources: Vec::new(),
            plans: Vec::new(),
            vaults: Vec::new(),
            recovery_points: Vec::new(),
            restores: Vec::new(),
        }
    }

    /// Reads a document. Diagnostics name it `file`.
    ///
    /// # Errors
    /// The first error, with line and column, JSON path and fix.
    pub fn read(file: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        read::inventory(None, file, text)
    }

    /// Reads one more document. The result is as of the earliest document. A location may be in one document only.
    ///
    /// # Errors
    /// The first error, as for [`Self::read`]; the inventory is dropped.
    pub fn read_more(self, file: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        read::inventory(Some(self), file, text)
    }

    /// Converts a document.
    ///
    /// # Errors
    /// The first error, with its JSON path and fix.
    pub fn of(document: Document) -> Result<Self, String> {
        let Document { version: _, as_of, locations, resources, plans, vaults, recovery_points, restores } = document;
        let mut inventory = Self::new(as_of);
        let at = |list: &str, index: usize, diagnostic: String| format!("`{list}[{index}]`: {diagnostic}");
        for (index, location) in locations.into_iter().enumerate() {
            inventory.add_location(location).map_err(|diagnostic| at("locations", index, diagnostic))?;
        }
        for (index, resource) in resources.into_iter().enumerate() {
            inventory.add_resource(resource).map_err(|diagnostic| at("resources", index, diagnostic))?;
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

    /// Adds a location.
    ///
    /// # Errors
    /// The location was added before, or the name of a service differs in case.
    pub fn add_location(&mut self, location: document::LocationRecord) -> Result<(), String> {
        let id = self.location(location.account.as_str(), location.region.as_str())?;
        for name in location.opt_in.keys() {
            if let Some(right) = in_right_case(name, OPT_IN_SERVICES) {
                return Err(format!("AWS Backup has no service `{name}`; did you mean `{right}`?"));
            }
        }
        match self.locations.get_mut(id.index()) {
            Some(known) if known.record.is_none() => {
                known.record = Some(location);
                Ok(())
            }
            _ => Err(format!(
                "the account {} is listed twice with the Region `{}`; remove one",
                location.account, location.region
            )),
        }
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// Account, Region or ARN are invalid or inconsistent, or the type differs in case.
    pub fn add_resource(&mut self, resource: document::Resource) -> Result<(), String> {
        let location = self.location(&resource.account, &resource.region)?;
        resource.check()?;
        let mut tags: Vec<Tag> = resource
            .tags
            .iter()
            .map(|(key, value)| Tag {
                key: self.symbols.intern(key),
                value: value.as_ref().map(|value| self.symbols.intern(value)),
            })
            .collect();
        tags.sort_unstable_by_key(|tag| tag.key);
        let unread = |part| resource.unread.contains(&part);
        let resource = Resource {
            location,
            kind: self.symbols.intern(resource.kind.as_str()),
            engine: resource.engine.as_deref().map(|engine| self.symbols.intern(engine)),
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
        let location = self.location_of(&plan.account, &plan.region);
        self.plans.push(Located { location, item: plan });
    }

    /// Adds a vault.
    pub fn add_vault(&mut self, vault: Vault) {
        let location = self.location_of(&vault.account, &vault.region);
        self.vaults.push(Located { location, item: vault });
    }

    /// Adds a recovery point.
    pub fn add_recovery_point(&mut self, point: RecoveryPoint) {
        let location = self.location_of(&point.account, &point.region);
        self.recovery_points.push(Located { location, item: point });
    }

    /// Adds a restore.
    pub fn add_restore(&mut self, restore: Restore) {
        self.restores.push(restore);
    }

    /// Returns the time that ages count to.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Returns the number of resources.
    #[must_use]
    pub fn resource_count(&self) -> usize {
        self.resources.len()
    }

    /// Returns whether the inventory contains a location.
    #[must_use]
    pub fn has_location(&self, account: &AccountId, region: &RegionName) -> bool {
        let key = (self.symbols.find(account.as_str()), self.symbols.find(region.as_str()));
        let (Some(account), Some(region)) = key else { return false };
        self.location_ids.contains_key(&(account, region))
    }

    /// Counts the resources whose types no control evaluates.
    #[must_use]
    pub fn unevaluated_types(&self) -> BTreeMap<&str, u64> {
        let mut counts: HashMap<Symbol, u64> = HashMap::new();
        for resource in &self.resources {
            *counts.entry(resource.kind).or_default() += 1;
        }
        let named = counts.into_iter().map(|(kind, count)| (self.symbols.get(kind), count));
        named.filter(|(kind, _)| protected(kind).is_none()).collect()
    }

    /// Iterates over the locations.
    pub fn locations(&self) -> impl Iterator<Item = &InventoryLocation> {
        self.locations.iter()
    }

    /// Returns the unread parts in the order of the document.
    #[must_use]
    pub fn gaps(&self) -> Vec<InventoryGap<'_>> {
        let mut gaps = Vec::new();
        for location in &self.locations {
            let gap =
                |part, reason| InventoryGap { account: &location.account, region: &location.region, part, reason };
            match &location.record {
                None => gaps.push(gap(None, "")),
                Some(record) => {
                    gaps.extend(record.unread.iter().map(|unread| gap(Some(unread.part), unread.reason.as_str())))
                }
            }
        }
        gaps
    }

    /// Iterates over the tags of a resource; an unknown value is `None`.
    pub fn tags<'a>(&'a self, resource: &'a Resource) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        resource.tags.iter().map(|tag| (self.symbols.get(tag.key), tag.value.map(|value| self.symbols.get(value))))
    }

    /// Returns the AWS Config type of a resource.
    #[must_use]
    pub fn kind(&self, resource: &Resource) -> &str {
        self.symbols.get(resource.kind)
    }

    /// Returns the location of a resource.
    #[must_use]
    pub fn location_of_resource(&self, resource: &Resource) -> Option<&InventoryLocation> {
        self.at(resource.location)
    }

    pub(crate) fn at(&self, location: LocationId) -> Option<&InventoryLocation> {
        self.locations.get(location.index())
    }

    /// Returns the entry for an unread part of a location.
    pub(crate) fn unread(&self, location: LocationId, part: LocationPart) -> Option<InventoryGap<'_>> {
        let location = self.at(location)?;
        let gap =
            |part, reason| Some(InventoryGap { account: &location.account, region: &location.region, part, reason });
        match &location.record {
            None => gap(None, ""),
            Some(record) => record
                .unread
                .iter()
                .find(|unread| unread.part == part)
                .and_then(|unread| gap(Some(part), &unread.reason)),
        }
    }

    fn location(&mut self, account: &str, region: &str) -> Result<LocationId, String> {
        let key = (self.symbols.intern(account), self.symbols.intern(region));
        if let Some(id) = self.location_ids.get(&key) {
            return Ok(*id);
        }
        let account = AccountId::parse(account).map_err(|error| error.to_string())?;
        let region = RegionName::parse(region).map_err(|error| error.to_string())?;
        Ok(self.new_location(key, account, region))
    }

    fn location_of(&mut self, account: &AccountId, region: &RegionName) -> LocationId {
        let key = (self.symbols.intern(account.as_str()), self.symbols.intern(region.as_str()));
        match self.location_ids.get(&key) {
            Some(id) => *id,
            None => self.new_location(key, account.clone(), region.clone()),
        }
    }

    fn new_location(&mut self, key: (Symbol, Symbol), account: AccountId, region: RegionName) -> LocationId {
        let id = LocationId(u32::try_from(self.locations.len()).unwrap_or(u32::MAX));
        self.locations.push(InventoryLocation { account, region, record: None });
        self.location_ids.insert(key, id);
        id
    }

    /// Checks that ARNs are unique. The first `known` resources are from earlier documents.
    fn check_resources(&self, known: usize) -> Result<(), String> {
        let mut seen = std::collections::HashSet::with_capacity(self.resources.len());
        for (index, resource) in self.resources.iter().enumerate() {
            // Before a deployment, several resources may share the known start of their ARNs.
            if !resource.arn_end_unread && !seen.insert(&*resource.arn) {
                let arn = syntax::text::printable(&resource.arn);
                let index = index.saturating_sub(known);
                return Err(format!("`resources[{index}]`: the resource `{arn}` is listed twice; remove one"));
            }
        }
        Ok(())
    }
}

impl LocationId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Resource {
    /// Returns the ARN; only its start if the resource is not deployed yet.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Returns the id in AWS Config, or the ARN if the document has none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.arn)
    }

    /// Returns the display name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the ARN of its cluster.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// Returns whether the data is encrypted, if known.
    #[must_use]
    pub fn encrypted(&self) -> Option<bool> {
        self.encrypted
    }

    /// Returns the creation time, if known.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// Returns the ARN, or the id if the ARN is incomplete: cluster members refer to it.
    pub(crate) fn key(&self) -> &str {
        if self.arn_end_unread { self.id() } else { &self.arn }
    }

    pub(crate) fn tag(&self, key: Symbol) -> Option<Tag> {
        // At most 50 tags, so that a linear search is the fastest.
        self.tags.iter().find(|tag| tag.key == key).copied()
    }
}

impl document::Resource {
    /// Validates ARN and type.
    ///
    /// # Errors
    /// The ARN is invalid or contradicts account and Region, or the type differs from AWS's in case.
    pub fn check(&self) -> Result<(), String> {
        check_arn(self)?;
        match in_right_case(self.kind.as_str(), protected_types()) {
            Some(right) => Err(format!("`type` is `{}`; did you mean `{right}`?", self.kind)),
            None => Ok(()),
        }
    }
}

fn check_arn(resource: &document::Resource) -> Result<(), String> {
    let shown = || syntax::text::printable(&resource.arn);
    // An incomplete ARN may end before Region and account.
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
            return Err(format!("`{what}` is `{beside}`, but `{of_arn}` in the ARN `{}`; make them equal", shown()));
        }
    }
    Ok(())
}
