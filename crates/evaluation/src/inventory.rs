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
use service::in_right_case;

pub(crate) use service::PROTECTED;

mod backup_policy;
pub mod document;
mod interner;
pub(crate) mod item_span;
pub(crate) mod partial_arn;
mod read;
mod service;
pub mod template;
pub mod terraform;
#[cfg(test)]
mod tests;
mod types;

pub use backup_policy::BackupPolicyFile;
pub use document::{Document, LocationPart, Plan, RecoveryPoint, Restore, Rule, Selection, Vault};
pub(crate) use interner::Symbol;
pub use item_span::{ItemSpan, item_spans};
pub use service::OPT_IN_SERVICES;
pub(crate) use service::{ProtectedType, protected};

/// The state of an organization at one point in time.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    pub(crate) as_of: Timestamp,
    pub(crate) symbols: Interner,
    pub(crate) locations: Vec<InventoryLocation>,
    location_ids: HashMap<(Symbol, Symbol), LocationId>,
    pub(crate) resources: Vec<StoredResource>,
    pub(crate) plans: Vec<Located<Plan>>,
    pub(crate) vaults: Vec<Located<Vault>>,
    /// The placeholders of vaults whose name several templates use, with the index of the vault.
    pub(crate) vault_aliases: Vec<(String, usize)>,
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
    /// `None` if the document does not contain the location.
    pub(crate) record: Option<document::LocationRecord>,
    /// The account is that of an unknown deployment target.
    pub(crate) has_unknown_account: bool,
    /// The Region is that of an unknown deployment target.
    pub(crate) has_unknown_region: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) location: LocationId,
    pub(crate) item: T,
}

/// A resource that may need a backup. Strings that many resources share are interned.
#[derive(Debug, Clone)]
pub struct StoredResource {
    pub(crate) arn: Box<str>,
    pub(crate) id: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    pub(crate) cluster: Option<Box<str>>,
    /// Sorted by key.
    pub(crate) tags: Box<[Tag]>,
    pub(crate) location: LocationId,
    pub(crate) kind: Symbol,
    pub(crate) engine: Option<Symbol>,
    pub(crate) active: bool,
    /// There may be more tags.
    pub(crate) tags_unread: bool,
    /// The ARN is incomplete, because the resource is not deployed yet.
    pub(crate) arn_end_unread: bool,
    /// The whole ARN with its unknown parts, for [`partial_arn::matches`].
    pub(crate) partial_arn: Option<Box<str>>,
    /// Whether AWS manages its KMS key, if known.
    pub(crate) aws_managed_key: Option<bool>,
}

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
    pub fn new(as_of: Timestamp) -> Self {
        Self { as_of, ..Self::default() }
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

    fn add_location(&mut self, location: document::LocationRecord) -> Result<(), String> {
        for name in location.opt_in.keys() {
            if let Some(right) = in_right_case(name, OPT_IN_SERVICES) {
                return Err(format!("AWS Backup has no service `{name}`; did you mean `{right}`?"));
            }
        }
        let id = self.location_of(&location.account, &location.region);
        let known = self.locations.get_mut(id.index()).filter(|known| known.record.is_none());
        let Some(known) = known else {
            let (account, region) = (location.account, location.region);
            return Err(format!("the account {account} is listed twice with the Region `{region}`; remove one"));
        };
        known.record = Some(location);
        Ok(())
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
        let arn_end_unread = unread(document::ResourcePart::ArnEnd);
        // Account and Region are before the fifth colon, so that only the name is unknown.
        let is_name_only = arn_end_unread && resource.arn.matches(':').count() >= 5;
        if let Some(minutes) = resource.latest_restore_minutes {
            // It is the most recent one.
            let completed = Timestamp::MAX;
            self.restores.push(Restore { resource: resource.arn.clone(), completed, minutes });
        }
        let resource = StoredResource {
            location,
            kind: self.symbols.intern(resource.kind.as_str()),
            engine: resource.engine.as_deref().map(|engine| self.symbols.intern(engine)),
            active: resource.active,
            tags_unread: unread(document::ResourcePart::Tags),
            arn_end_unread,
            partial_arn: is_name_only.then(|| format!("{}{}", resource.arn, partial_arn::NAME).into()),
            aws_managed_key: resource.aws_managed_key,
            tags: tags.into(),
            arn: resource.arn.into(),
            id: resource.id.map(Into::into),
            name: resource.name.map(Into::into),
            cluster: resource.cluster.map(Into::into),
        };
        self.resources.push(resource);
        Ok(())
    }

    pub(crate) fn add_plan(&mut self, plan: Plan) {
        let location = self.location_of(&plan.account, &plan.region);
        self.plans.push(Located { location, item: plan });
    }

    fn add_vault(&mut self, vault: Vault) {
        let location = self.location_of(&vault.account, &vault.region);
        self.vaults.push(Located { location, item: vault });
    }

    fn add_recovery_point(&mut self, point: RecoveryPoint) {
        let location = self.location_of(&point.account, &point.region);
        self.recovery_points.push(Located { location, item: point });
    }

    /// Returns the time that ages count to.
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Returns whether the inventory contains a location.
    pub fn has_location(&self, account: &AccountId, region: &RegionName) -> bool {
        let key = self.symbols.find(account.as_str()).zip(self.symbols.find(region.as_str()));
        key.is_some_and(|key| self.location_ids.contains_key(&key))
    }

    /// Counts the resources whose types no control evaluates.
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
    pub fn gaps(&self) -> Vec<InventoryGap<'_>> {
        self.locations.iter().flat_map(InventoryLocation::gaps).collect()
    }

    /// Returns the AWS Config type of a resource.
    pub fn kind(&self, resource: &StoredResource) -> &str {
        self.symbols.get(resource.kind)
    }

    /// Returns the location of a resource.
    pub fn location_of_resource(&self, resource: &StoredResource) -> Option<&InventoryLocation> {
        self.locations.get(resource.location.index())
    }

    pub(crate) fn unread(&self, location: LocationId, part: LocationPart) -> Option<InventoryGap<'_>> {
        self.locations.get(location.index())?.gaps().find(|gap| gap.part.is_none_or(|own| own == part))
    }

    fn location(&mut self, account: &str, region: &str) -> Result<LocationId, String> {
        let key = (self.symbols.intern(account), self.symbols.intern(region));
        if let Some(id) = self.location_ids.get(&key) {
            return Ok(*id);
        }
        let account = AccountId::parse(account).map_err(|error| error.to_string())?;
        let region = RegionName::parse(region).map_err(|error| error.to_string())?;
        Ok(self.location_of(&account, &region))
    }

    fn location_of(&mut self, account: &AccountId, region: &RegionName) -> LocationId {
        let key = (self.symbols.intern(account.as_str()), self.symbols.intern(region.as_str()));
        *self.location_ids.entry(key).or_insert_with(|| {
            let id = LocationId(u32::try_from(self.locations.len()).unwrap_or(u32::MAX));
            let (account, region) = (account.clone(), region.clone());
            self.locations.push(InventoryLocation {
                account,
                region,
                record: None,
                has_unknown_account: false,
                has_unknown_region: false,
            });
            id
        })
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

impl InventoryLocation {
    fn gaps(&self) -> impl Iterator<Item = InventoryGap<'_>> {
        let Self { account, region, record, .. } = self;
        let whole = record.is_none().then_some(InventoryGap { account, region, part: None, reason: "" });
        let parts = record.iter().flat_map(|record| &record.unread);
        whole.into_iter().chain(parts.map(move |unread| InventoryGap {
            account,
            region,
            part: Some(unread.part),
            reason: &unread.reason,
        }))
    }
}

impl LocationId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl StoredResource {
    /// Returns the ARN; only its start if the resource is not deployed yet.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Returns the id in AWS Config, or the ARN if the document has none.
    pub(crate) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.arn)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
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
        match in_right_case(self.kind.as_str(), PROTECTED.iter().map(|protected| protected.config_type)) {
            Some(right) => Err(format!("`type` is `{}`; did you mean `{right}`?", self.kind)),
            None => Ok(()),
        }
    }
}

fn check_arn(resource: &document::Resource) -> Result<(), String> {
    let shown = || syntax::text::printable(&resource.arn);
    let is_incomplete = resource.unread.contains(&document::ResourcePart::ArnEnd);
    let mut parts = resource.arn.splitn(6, ':');
    let (region, account) = match [(); 6].map(|()| parts.next()) {
        // It may end before Region and account.
        [Some("arn"), Some(_), .., None] if is_incomplete => return Ok(()),
        [.., None] if is_incomplete => return Err(format!("`arn` is `{}`; an ARN begins with `arn:`", shown())),
        [Some("arn"), _, _, Some(region), Some(account), Some(_)] => (region, account),
        _ => {
            let help = "an ARN has six parts with colons between, such as `arn:aws:s3:::my-bucket`";
            return Err(format!("`arn` is `{}`; {help}", shown()));
        }
    };
    for (what, of_arn, beside) in [("region", region, &resource.region), ("account", account, &resource.account)] {
        if !of_arn.is_empty() && of_arn != beside {
            return Err(format!("`{what}` is `{beside}`, but `{of_arn}` in the ARN `{}`; make them equal", shown()));
        }
    }
    Ok(())
}
