//! Adds the resources of templates to an inventory, as they are after deployment.
//!
//! Unresolved parts are marked as unread, so that dependent results are undecided. Assumed:
//! - CloudFormation puts the tags of the stack and its own `aws:cloudformation:*` tags on all evaluated resources;
//! - a plan or vault with the name of an existing one replaces it;
//! - a resource that is not deployed yet will be in use.
//!
//! A plan or selection that AWS Backup rejects is left out, and the lock of a vault that it rejects: they cover nothing.
//!
//! The volumes that an instance creates are evaluated as one resource beside it.

use std::collections::{BTreeMap, BTreeSet};

use framework::ids::{AccountId, IdError, RegionName, ResourceType};
use framework::lint::{BackupDiagnostics, check_backup};
use syntax::diagnostic::Position;
use syntax::template::{Content, Expansion, Part, Piece, Template, TemplateResource};

use super::document::{self, Plan, PlanPart, ResourcePart, Selection, SelectionPart, TagValue, Unread};
use super::partial_arn::{NAME, UNKNOWN_ACCOUNT, UNKNOWN_REGION, with_unknowns};
use super::{Inventory, Located, LocationId, LocationPart, ProtectedType, protected};
use text::text_of;
use types::{AIR_GAPPED_VAULT, CLUSTER, GLOBAL_TABLE, PLAN, SELECTION, TemplateType, VAULT};
use vault::vault_name;

mod instance;
mod not_judged;
mod plan;
mod selection;
mod text;
mod types;
mod vault;

pub(crate) use instance::{PROPAGATE, VolumeTags};
pub use not_judged::NotJudged;
pub(crate) use types::{GLOBAL_TABLE as GLOBAL_TABLE_TYPE, TagForm, template_type};

/// The deployment target of templates, as far as known.
#[derive(Debug, Clone)]
pub struct DeploymentTarget {
    pub(crate) account: AccountId,
    pub(crate) region: RegionName,
    knows_account: bool,
    knows_region: bool,
    /// The known opt-in services.
    pub opt_in: BTreeMap<String, bool>,
    /// The tags of the stacks.
    pub tags: BTreeMap<String, String>,
}

impl DeploymentTarget {
    /// Creates a target. Unknown parts stay unknown in ARNs and pseudo parameters; without a Region, the partition is
    /// `aws`.
    ///
    /// # Errors
    /// Never: the placeholders are valid.
    pub fn new(account: Option<AccountId>, region: Option<RegionName>) -> Result<Self, IdError> {
        let (knows_account, knows_region) = (account.is_some(), region.is_some());
        Ok(Self {
            account: account.map_or_else(|| AccountId::parse("000000000000"), Ok)?,
            region: region.map_or_else(|| RegionName::parse("us-east-1"), Ok)?,
            knows_account,
            knows_region,
            opt_in: BTreeMap::new(),
            tags: BTreeMap::new(),
        })
    }

    /// Returns the account, if known.
    pub fn account(&self) -> Option<&AccountId> {
        self.knows_account.then_some(&self.account)
    }

    /// Returns the Region, if known.
    pub fn region(&self) -> Option<&RegionName> {
        self.knows_region.then_some(&self.region)
    }

    /// Returns the partition: that of the Region, or `aws` unless a template names another one.
    fn partition(&self, stacks: &[TemplateStack<'_>]) -> Option<&'static str> {
        let names_other = |stack: &TemplateStack<'_>| stack.template.text().contains("arn:aws-");
        (self.knows_region || !stacks.iter().any(names_other)).then(|| self.region.partition())
    }

    fn pseudo_parameters(&self, partition: Option<&str>) -> BTreeMap<String, String> {
        let known = [
            ("AWS::AccountId", self.account().map(AccountId::as_str)),
            ("AWS::Region", self.region().map(RegionName::as_str)),
            ("AWS::Partition", partition),
        ];
        known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
    }

    /// Returns an ARN with its unknown parts.
    fn arn(&self, partition: Option<&str>, known: &TemplateType, name: Option<&str>) -> Option<String> {
        let ProtectedType { service, arn_kind, .. } = protected(known.config_type)?;
        let partition = partition.unwrap_or("${AWS::Partition}");
        let (region, account) = match *service {
            "s3" => ("", ""),
            _ => (
                self.region().map_or(UNKNOWN_REGION, RegionName::as_str),
                self.account().map_or(UNKNOWN_ACCOUNT, AccountId::as_str),
            ),
        };
        let start = format!("arn:{partition}:{service}:{region}:{account}:{arn_kind}");
        let start = with_unknowns(&start);
        Some(name.map_or_else(|| format!("{start}{}{NAME}", known.id_start()), |name| format!("{start}{name}")))
    }
}

/// Returns the known start of an ARN; the whole ARN if it is known.
fn known_start(arn: &str) -> &str {
    arn.split(super::partial_arn::is_unknown).next().unwrap_or_default()
}

/// A template with parameter values.
#[derive(Debug, Clone)]
pub struct TemplateStack<'t> {
    /// The template.
    pub template: &'t Template,
    /// Parameter values, which may include pseudo parameters.
    pub parameters: BTreeMap<String, String>,
}

/// An item of the inventory, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemId {
    Resource(usize),
    Plan(usize),
    Vault(usize),
}

/// The template resource that an item is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) item: ItemId,
    /// The index of the template.
    pub(crate) stack: usize,
    pub(crate) logical_id: String,
    /// The CloudFormation type.
    pub(crate) kind: String,
    /// The position of the logical id.
    pub(crate) at: Position,
    /// Facts that only a deployment resolves, and that may change a violation.
    pub(crate) uncertainties: Vec<String>,
    /// The tags of the volumes that the instance creates; `None` if the item is not these volumes.
    pub(crate) volumes: Option<VolumeTags>,
}

/// A part of a template that only a deployment resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnresolvedPart {
    /// The index of the template.
    pub(crate) stack: usize,
    pub(crate) at: Position,
    pub(crate) what: String,
}

/// The origins of added items, and the parts that are not resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddedTemplates {
    pub(crate) origins: Vec<Origin>,
    pub(crate) unresolved: Vec<UnresolvedPart>,
    /// By template.
    pub(crate) not_judged: Vec<Vec<NotJudged>>,
    /// The lint diagnostics of the backup plans, selections and vaults of each template.
    pub(crate) backup: Vec<BackupDiagnostics>,
}

/// Adds templates to an inventory.
pub fn add(inventory: &mut Inventory, target: &DeploymentTarget, stacks: &[TemplateStack<'_>]) -> AddedTemplates {
    let partition = target.partition(stacks);
    let parameters = |stack: &TemplateStack<'_>| {
        let mut parameters = target.pseudo_parameters(partition);
        parameters.extend(stack.parameters.clone());
        parameters
    };
    let parameters: Vec<BTreeMap<String, String>> = stacks.iter().map(parameters).collect();
    let all = stacks.iter().zip(&parameters);
    let backup = all.clone().map(|(stack, own)| check_backup(stack.template, own)).collect();
    let resources: Vec<Vec<TemplateResource<'_>>> =
        all.map(|(stack, own)| stack.template.resolved_resources(own)).collect();
    let mut import = TemplateImport {
        location: inventory.location_of(&target.account, &target.region),
        inventory,
        target,
        partition,
        files: stacks.iter().map(|stack| stack.template.file()).collect(),
        added: AddedTemplates { backup, ..AddedTemplates::default() },
        references: Vec::new(),
        expansions: Vec::new(),
        vaults: Vec::new(),
        shared_vault_names: BTreeSet::new(),
    };
    let mut unresolved = Vec::new();
    for (number, (stack, resources)) in stacks.iter().zip(&resources).enumerate() {
        unresolved.extend(import.unresolved(number, stack, resources));
        import.references.push(import.named(stack, resources));
        let vaults = resources.iter().filter(|resource| matches!(resource.kind, VAULT | AIR_GAPPED_VAULT));
        import.vaults.push(vaults.map(|vault| (vault.logical_id.to_owned(), vault_name(stack, vault))).collect());
    }
    let mut seen = BTreeSet::new();
    for names in &import.vaults {
        let names: BTreeSet<&String> = names.values().collect();
        import.shared_vault_names.extend(names.into_iter().filter(|name| !seen.insert(*name)).cloned());
    }
    import.location(unresolved);
    import.added.not_judged = resources.iter().map(|resources| not_judged::types(resources)).collect();
    let all = stacks.iter().zip(&resources).enumerate();
    let all = all.flat_map(|(number, (stack, resources))| resources.iter().map(move |own| (number, stack, own)));
    let all = all.filter(|(_, _, resource)| resource.is_on != Some(false));
    for (number, stack, resource) in all.clone() {
        match resource.kind {
            PLAN if import.is_rejected(number, resource) => {}
            PLAN => import.plan(number, stack, resource),
            VAULT | AIR_GAPPED_VAULT => import.vault(number, stack, resource),
            _ => {
                import.resource(number, stack, resource);
                import.volumes(number, stack, resource);
            }
        }
    }
    // After all plans.
    for (number, stack, resource) in all.filter(|(_, _, resource)| resource.kind == SELECTION) {
        if !import.is_rejected(number, resource) {
            import.selection(number, stack, resource);
        }
    }
    import.added
}

/// A resource that others in the template can refer to.
#[derive(Debug, Clone)]
struct ReferenceTarget {
    known: &'static TemplateType,
    protected: &'static ProtectedType,
    /// The ARN, or a placeholder while it is unknown.
    key: String,
    name: Option<String>,
}

struct TemplateImport<'i> {
    inventory: &'i mut Inventory,
    target: &'i DeploymentTarget,
    partition: Option<&'static str>,
    /// The names of the templates.
    files: Vec<&'i str>,
    /// The location of the target.
    location: LocationId,
    added: AddedTemplates,
    /// By template and logical id.
    references: Vec<BTreeMap<String, ReferenceTarget>>,
    /// Macros and includes, by template.
    expansions: Vec<Vec<Expansion>>,
    /// The names of vaults, by template and logical id.
    vaults: Vec<BTreeMap<String, String>>,
    /// The names of vaults that several templates use.
    shared_vault_names: BTreeSet<String>,
}

/// Separates a cluster name that several clusters share from their list.
pub(crate) const AMBIGUOUS_CLUSTER: &str = " is ambiguous: ";

/// A placeholder for an unknown ARN, which is not a pattern.
fn placeholder(stack: &TemplateStack<'_>, logical_id: &str) -> String {
    format!("{}#{logical_id}", stack.template.file()).replace('*', "?")
}

impl TemplateImport<'_> {
    /// Returns whether CloudFormation fails to create a plan, selection or vault.
    fn is_rejected(&self, number: usize, resource: &TemplateResource<'_>) -> bool {
        self.added.backup.get(number).is_some_and(|backup| backup.rejected.contains(resource.logical_id))
    }

    /// Returns the index of the deployed item that an item of a template replaces. Conditions may keep either of two
    /// items of templates with one name.
    fn replaced<T>(&self, all: &[Located<T>], id: fn(usize) -> ItemId, has_name: impl Fn(&T) -> bool) -> Option<usize> {
        let is_new = |index| self.added.origins.iter().any(|origin| origin.item == id(index));
        let mut all = all.iter().enumerate();
        all.position(|(index, one)| one.location == self.location && has_name(&one.item) && !is_new(index))
    }

    /// Collects the unresolved parts of a template.
    fn unresolved(
        &mut self,
        number: usize,
        stack: &TemplateStack<'_>,
        resources: &[TemplateResource<'_>],
    ) -> Vec<Unread> {
        let mut gaps = Vec::new();
        let expansions = stack.template.expansions();
        for expansion in &expansions {
            let is_inside = resources.iter().any(|resource| within(resource, expansion.at));
            let what = if is_inside {
                format!("the result of {}", expansion.what)
            } else {
                let reason = format!("{} in {} may add more", expansion.what, stack.template.file());
                let parts = [LocationPart::Plans, LocationPart::Selections];
                gaps.extend(parts.map(|part| Unread { part, reason: reason.clone() }));
                format!("the resources that {} adds or changes", expansion.what)
            };
            self.added.unresolved.push(UnresolvedPart { stack: number, at: expansion.at, what });
        }
        self.expansions.push(expansions);
        for resource in resources.iter().filter(|resource| resource.is_on != Some(false)) {
            let is_stack = matches!(resource.kind, "AWS::CloudFormation::Stack" | "AWS::Serverless::Application");
            if is_stack || resource.kind.ends_with("::MODULE") {
                let what =
                    format!("the resources of the nested stack `{}`; check its template too", resource.logical_id);
                self.added.unresolved.push(UnresolvedPart { stack: number, at: resource.at, what });
            }
        }
        gaps
    }

    /// Adds the known data of the target location.
    fn location(&mut self, mut unread: Vec<Unread>) {
        let DeploymentTarget { account, region, opt_in, .. } = self.target;
        let Some(location) = self.inventory.locations.get_mut(self.location.index()) else { return };
        location.has_unknown_account = !self.target.knows_account;
        location.has_unknown_region = !self.target.knows_region;
        if location.record.is_none() {
            // Every Region has vaults that are not from templates.
            unread.push(Unread { part: LocationPart::Vaults, reason: "there may be other vaults".to_owned() });
        }
        let record = location.record.get_or_insert_with(|| document::LocationRecord {
            account: account.clone(),
            region: region.clone(),
            opt_in: BTreeMap::new(),
            unread: Vec::new(),
        });
        record.opt_in.extend(opt_in.clone());
        let later = [LocationPart::RecoveryPoints, LocationPart::Restores];
        unread.extend(later.map(|part| Unread { part, reason: "known only at deployment".to_owned() }));
        record.unread.extend(unread);
    }

    /// Returns whether a macro or include is inside the resource.
    fn has_expansion(&self, number: usize, resource: &TemplateResource<'_>) -> bool {
        self.expansions.get(number).is_some_and(|all| all.iter().any(|expansion| within(resource, expansion.at)))
    }

    fn named(
        &self,
        stack: &TemplateStack<'_>,
        resources: &[TemplateResource<'_>],
    ) -> BTreeMap<String, ReferenceTarget> {
        let mut references = BTreeMap::new();
        for resource in resources {
            let Some(known) = template_type(resource.kind) else { continue };
            let Some(protected) = protected(known.config_type) else { continue };
            let name = name_of(resource, known);
            let arn = self.target.arn(self.partition, known, name.as_deref());
            let arn = arn.filter(|arn| known_start(arn) == arn);
            let key = arn.unwrap_or_else(|| placeholder(stack, resource.logical_id));
            let target = ReferenceTarget { known, protected, key, name };
            references.insert(resource.logical_id.to_owned(), target);
        }
        references
    }

    fn origin(&mut self, item: ItemId, number: usize, resource: &TemplateResource<'_>, mut uncertainties: Vec<String>) {
        if resource.is_on.is_none() {
            let condition = resource.condition.unwrap_or("?");
            uncertainties.insert(0, format!("whether it exists, which its condition `{condition}` decides"));
        }
        self.added.origins.push(Origin {
            item,
            stack: number,
            logical_id: resource.logical_id.to_owned(),
            kind: resource.kind.to_owned(),
            at: resource.at,
            uncertainties,
            volumes: None,
        });
    }

    fn resource(&mut self, number: usize, stack: &TemplateStack<'_>, resource: &TemplateResource<'_>) {
        let Some(known) = template_type(resource.kind) else { return };
        let name = name_of(resource, known);
        let partial_name = known.name.and_then(|name| text::with_pseudo(resource.properties.get(name)?));
        let partial_name = partial_name.filter(|_| name.is_none());
        let arn = self.target.arn(self.partition, known, name.as_deref().or(partial_name.as_deref()));
        let (Some(partial), Ok(kind)) = (arn, ResourceType::parse(known.config_type)) else { return };
        let arn = known_start(&partial).to_owned();
        let is_whole = arn == partial;
        let mut unread = Vec::new();
        if !is_whole {
            unread.push(ResourcePart::ArnEnd);
        }
        let (mut tags, tags_unread) = self.tags(resource, known);
        if tags_unread || self.has_expansion(number, resource) {
            unread.push(ResourcePart::Tags);
        }
        for (key, value) in &self.target.tags {
            // Tags of the resource override those of the stack; an unresolved key may be this one.
            tags.entry(key.clone()).or_insert_with(|| (!tags_unread).then(|| value.clone()));
        }
        tags.insert("aws:cloudformation:logical-id".to_owned(), Some(resource.logical_id.to_owned()));
        for key in ["aws:cloudformation:stack-id", "aws:cloudformation:stack-name"] {
            tags.entry(key.to_owned()).or_insert(None);
        }
        let mut uncertainties = Vec::new();
        if let Some(by) = automatic_backups(resource) {
            // EFS then creates a plan that selects by this tag.
            tags.insert("aws:elasticfilesystem:default-backup".to_owned(), Some("enabled".to_owned()));
            uncertainties.push(format!("the effect of the automatic backups of EFS, which `{by}` enables"));
        }
        let written = document::Resource {
            id: (!is_whole || self.is_twin(known, name.as_deref())).then(|| placeholder(stack, resource.logical_id)),
            arn,
            kind,
            account: self.target.account.to_string(),
            region: self.target.region.to_string(),
            name: Some(name.unwrap_or_else(|| resource.logical_id.to_owned())),
            tags,
            cluster: self.cluster(number, stack, resource),
            engine: known.engine.and_then(|name| text_of(&resource.properties, name)).map(str::to_lowercase),
            // No control for resources evaluates it.
            encrypted: None,
            encryption_key: None,
            aws_managed_key: None,
            latest_restore_minutes: None,
            created: None,
            active: true,
            unread,
        };
        let index = self.inventory.resources.len();
        // The ARN agrees with the location by construction.
        if self.inventory.add_resource(written).is_ok() {
            self.complete_arn(partial);
            self.origin(ItemId::Resource(index), number, resource, uncertainties);
        }
    }

    /// Gives the last resource its ARN with the unknown parts.
    fn complete_arn(&mut self, partial: String) {
        let is_known = self.target.knows_account && self.target.knows_region;
        // Patterns with pseudo parameters may also match a whole ARN.
        if let Some(added) = self.inventory.resources.last_mut().filter(|added| added.arn_end_unread || !is_known) {
            added.partial_arn = Some(partial.into());
        }
    }

    /// Returns the clusters with this name, with template index and logical id.
    fn clusters<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (usize, &'s str, &'s ReferenceTarget)> {
        let all = self.references.iter().enumerate();
        let all = all.flat_map(|(number, own)| own.iter().map(move |(id, target)| (number, id.as_str(), target)));
        all.filter(move |(.., own)| own.known.config_type == CLUSTER && own.name.as_deref() == Some(name))
    }

    /// Returns whether a resource is one of several clusters with its name.
    fn is_twin(&self, known: &TemplateType, name: Option<&str>) -> bool {
        known.config_type == CLUSTER && self.has_twin(name)
    }

    /// Returns whether several clusters have this name, and so the same ARN.
    fn has_twin(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.clusters(name).nth(1).is_some())
    }

    /// Returns the reference of an instance to its cluster.
    fn cluster(&self, number: usize, stack: &TemplateStack<'_>, resource: &TemplateResource<'_>) -> Option<String> {
        let own = resource.properties.get("DBClusterIdentifier").filter(|_| resource.kind == "AWS::RDS::DBInstance")?;
        let key = |logical_id: &str, cluster: &ReferenceTarget| match self.has_twin(cluster.name.as_deref()) {
            true => placeholder(stack, logical_id),
            false => cluster.key.clone(),
        };
        if let Some((logical_id, None)) = own.reference()
            && let Some(cluster) = self.references.get(number).and_then(|references| references.get(logical_id))
        {
            return Some(key(logical_id, cluster));
        }
        let Some(name) = own.as_text().map(str::to_lowercase) else { return Some("DBClusterIdentifier".to_owned()) };
        let here: Vec<_> = self.clusters(&name).filter(|(template, ..)| *template == number).collect();
        let anywhere: Vec<_> = self.clusters(&name).collect();
        // A cluster of the same template takes precedence, because other templates may have other targets.
        match (here.as_slice(), anywhere.as_slice()) {
            ([(_, logical_id, cluster)], _) => Some(key(logical_id, cluster)),
            ([], [(_, _, cluster)]) => Some(cluster.key.clone()),
            ([], []) => {
                let arn = self.target.arn(self.partition, template_type(CLUSTER)?, Some(&name));
                arn.map(|arn| known_start(&arn).to_owned())
            }
            // Conditions may keep either.
            (here, anywhere) => {
                let all = if here.is_empty() { anywhere } else { here };
                let file = |number: &usize| self.files.get(*number).copied().unwrap_or_default();
                let named = all.iter().take(3).map(|(number, id, _)| format!("`{id}` in {}", file(number)));
                let more = if all.len() > 3 { ", ..." } else { "" };
                Some(format!("{name}{AMBIGUOUS_CLUSTER}{}{more}", named.collect::<Vec<_>>().join(", ")))
            }
        }
    }

    /// Returns the tags in the template, and whether there may be more.
    fn tags(&self, resource: &TemplateResource<'_>, known: &TemplateType) -> (BTreeMap<String, Option<String>>, bool) {
        if known.kind != GLOBAL_TABLE {
            return text::tags(resource.properties.get(known.tags), known.tag_form);
        }
        // A global table has tags in each Region.
        let replicas = resource.properties.get("Replicas").and_then(Part::items).unwrap_or_default();
        let here = replicas.iter().find(|replica| {
            self.target.knows_region && text_of(replica, "Region") == Some(self.target.region.as_str())
        });
        match (here, replicas) {
            (Some(replica), _) | (None, [replica]) => text::tags(replica.get("Tags"), TagForm::Pairs),
            _ => (BTreeMap::new(), true),
        }
    }
}

/// Returns the name at the end of the ARN. RDS converts names to lower case.
fn name_of(resource: &TemplateResource<'_>, known: &TemplateType) -> Option<String> {
    let name = text_of(&resource.properties, known.name?)?;
    Some(if known.kind.starts_with("AWS::RDS::") { name.to_lowercase() } else { name.to_owned() })
}

/// Returns the property that enables the automatic backups of an EFS file system.
fn automatic_backups(resource: &TemplateResource<'_>) -> Option<&'static str> {
    if resource.kind != "AWS::EFS::FileSystem" {
        return None;
    }
    match resource.properties.get("BackupPolicy").map(|policy| text_of(policy, "Status")) {
        Some(Some("DISABLED" | "DISABLING")) => None,
        Some(_) => Some("BackupPolicy"),
        // One Zone file systems have automatic backups by default (API reference, CreateFileSystem).
        None => resource.properties.get("AvailabilityZoneName").map(|_| "AvailabilityZoneName"),
    }
}

fn within(resource: &TemplateResource<'_>, at: Position) -> bool {
    resource.body.at <= at && at < resource.body.end
}
