//! Adds the resources of templates to an inventory, as they are after deployment.
//!
//! Unresolved parts are marked as unread, so that dependent results are undecided. Assumed:
//! - CloudFormation puts the tags of the stack and its own `aws:cloudformation:*` tags on all evaluated resources;
//! - a plan or vault with the name of an existing one replaces it;
//! - a resource that is not deployed yet will be in use.
//!
//! Volumes that an instance declares inline are not resources of the template, and are not evaluated.

use std::collections::BTreeMap;

use framework::ids::{AccountId, IdError, RegionName, ResourceType};
use syntax::diagnostic::Position;
use syntax::template::{Content, Expansion, Part, Piece, Resource, Template};

use super::document::{self, Plan, PlanPart, ResourcePart, Selection, SelectionPart, TagValue, Unread};
use super::{Inventory, LocationPart, ProtectedType, protected};
use text::text;
use types::{AIR_GAPPED_VAULT, CLUSTER, GLOBAL_TABLE, PLAN, SELECTION, TemplateType, VAULT};
use vault::vault_name;

mod plan;
mod selection;
mod text;
mod types;
mod vault;

pub(crate) use types::{TagForm, template_type};

/// The deployment target of templates, as far as known.
#[derive(Debug, Clone)]
pub struct DeploymentTarget {
    account: AccountId,
    region: RegionName,
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
    #[must_use]
    pub fn account(&self) -> Option<&AccountId> {
        self.knows_account.then_some(&self.account)
    }

    /// Returns the Region, if known.
    #[must_use]
    pub fn region(&self) -> Option<&RegionName> {
        self.knows_region.then_some(&self.region)
    }

    fn pseudo_parameters(&self) -> BTreeMap<String, String> {
        let mut parameters = BTreeMap::new();
        if self.knows_account {
            parameters.insert("AWS::AccountId".to_owned(), self.account.to_string());
        }
        if self.knows_region {
            parameters.insert("AWS::Region".to_owned(), self.region.to_string());
        }
        parameters.insert("AWS::Partition".to_owned(), self.region.partition().to_owned());
        parameters
    }

    /// Returns the known start of an ARN, and whether it is complete.
    fn arn(&self, service: &str, kind: &str, name: Option<&str>) -> (String, bool) {
        let mut arn = format!("arn:{}:{service}:", self.region.partition());
        if service == "s3" {
            arn.push_str("::");
        } else {
            if !self.knows_region {
                return (arn, false);
            }
            arn.push_str(self.region.as_str());
            arn.push(':');
            if !self.knows_account {
                return (arn, false);
            }
            arn.push_str(self.account.as_str());
            arn.push(':');
        }
        arn.push_str(kind);
        arn.push_str(name.unwrap_or_default());
        (arn, name.is_some())
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemId {
    /// A resource.
    Resource(usize),
    /// A backup plan.
    Plan(usize),
    /// A vault.
    Vault(usize),
}

/// The template resource that an item is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The item.
    pub item: ItemId,
    /// The index of the template.
    pub stack: usize,
    /// The logical id.
    pub logical_id: String,
    /// The CloudFormation type.
    pub kind: String,
    /// The position of the logical id.
    pub at: Position,
    /// Facts that only a deployment resolves, and that may change a violation.
    pub uncertainties: Vec<String>,
}

/// A part of a template that only a deployment resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnresolvedPart {
    /// The index of the template.
    pub stack: usize,
    /// The position.
    pub at: Position,
    /// The description.
    pub what: String,
}

/// The result of adding templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddedTemplates {
    /// The origins of items.
    pub origins: Vec<Origin>,
    /// The unresolved parts.
    pub unresolved: Vec<UnresolvedPart>,
}

/// Adds templates to an inventory.
pub fn add(inventory: &mut Inventory, target: &DeploymentTarget, stacks: &[TemplateStack<'_>]) -> AddedTemplates {
    let parameters: Vec<BTreeMap<String, String>> = stacks
        .iter()
        .map(|stack| {
            let mut parameters = target.pseudo_parameters();
            parameters.extend(stack.parameters.clone());
            parameters
        })
        .collect();
    let resources: Vec<Vec<Resource<'_>>> = stacks
        .iter()
        .zip(&parameters)
        .map(|(stack, parameters)| stack.template.resolved_resources(parameters))
        .collect();
    let mut import = TemplateImport {
        inventory,
        target,
        added: AddedTemplates::default(),
        references: Vec::new(),
        expansions: Vec::new(),
        vaults: Vec::new(),
    };
    let mut unresolved = Vec::new();
    for (number, (stack, resources)) in stacks.iter().zip(&resources).enumerate() {
        unresolved.extend(import.unresolved(number, stack, resources));
        import.references.push(import.named(stack, resources));
        let vaults = resources.iter().filter(|resource| matches!(resource.kind, VAULT | AIR_GAPPED_VAULT));
        import.vaults.push(vaults.map(|vault| (vault.logical_id.to_owned(), vault_name(stack, vault))).collect());
    }
    import.location(unresolved);
    for (number, (stack, resources)) in stacks.iter().zip(&resources).enumerate() {
        for resource in resources.iter().filter(|resource| resource.is_on != Some(false)) {
            match resource.kind {
                PLAN => import.plan(number, stack, resource),
                VAULT | AIR_GAPPED_VAULT => import.vault(number, stack, resource),
                _ => {}
            }
            if let Some(known) = template_type(resource.kind) {
                import.resource(number, stack, resource, known);
            }
        }
    }
    // After all plans.
    for (number, (stack, resources)) in stacks.iter().zip(&resources).enumerate() {
        for resource in resources.iter().filter(|one| one.kind == SELECTION && one.is_on != Some(false)) {
            import.selection(number, stack, resource);
        }
    }
    import.added
}

/// A resource that others in the template can refer to.
#[derive(Debug, Clone)]
struct ReferenceTarget {
    kind: &'static str,
    service: &'static str,
    arn_kind: &'static str,
    arn_attribute: &'static str,
    /// The ARN, or a placeholder while it is unknown.
    key: String,
    name: Option<String>,
}

struct TemplateImport<'i> {
    inventory: &'i mut Inventory,
    target: &'i DeploymentTarget,
    added: AddedTemplates,
    /// By template and logical id.
    references: Vec<BTreeMap<String, ReferenceTarget>>,
    /// Macros and includes, by template.
    expansions: Vec<Vec<Expansion>>,
    /// The names of vaults, by template and logical id.
    vaults: Vec<BTreeMap<String, String>>,
}

/// The suffix of a cluster name that several clusters share.
pub(crate) const AMBIGUOUS_CLUSTER: &str = " (several clusters have this name)";

/// A placeholder for an unknown ARN, which is not a pattern.
fn placeholder(stack: &TemplateStack<'_>, logical_id: &str) -> String {
    format!("{}#{logical_id}", stack.template.file()).replace('*', "?")
}

fn property<'p>(resource: &'p Resource<'_>, name: &str) -> Option<&'p Part> {
    resource.properties.get(name)
}

impl TemplateImport<'_> {
    /// Collects the unresolved parts of a template.
    fn unresolved(&mut self, number: usize, stack: &TemplateStack<'_>, resources: &[Resource<'_>]) -> Vec<Unread> {
        let mut gaps = Vec::new();
        let expansions = stack.template.expansions();
        for expansion in &expansions {
            let is_inside = resources.iter().any(|resource| within(resource, expansion.at));
            self.added.unresolved.push(UnresolvedPart {
                stack: number,
                at: expansion.at,
                what: if is_inside {
                    format!("the result of {}", expansion.what)
                } else {
                    format!("the resources that {} adds or changes", expansion.what)
                },
            });
            if !is_inside {
                let reason = format!("{} in {} may add more", expansion.what, stack.template.file());
                gaps.extend(
                    [LocationPart::Plans, LocationPart::Selections].map(|part| Unread { part, reason: reason.clone() }),
                );
            }
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
        let id = self.inventory.location_of(account, region);
        let Some(location) = self.inventory.locations.get_mut(id.index()) else { return };
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
        for part in [LocationPart::RecoveryPoints, LocationPart::Restores] {
            unread.push(Unread { part, reason: "known only at deployment".to_owned() });
        }
        record.unread.extend(unread);
    }

    /// Returns whether a macro or include is inside the resource.
    fn has_expansion(&self, number: usize, resource: &Resource<'_>) -> bool {
        self.expansions.get(number).is_some_and(|all| all.iter().any(|expansion| within(resource, expansion.at)))
    }

    fn named(&self, stack: &TemplateStack<'_>, resources: &[Resource<'_>]) -> BTreeMap<String, ReferenceTarget> {
        let mut references = BTreeMap::new();
        for resource in resources {
            let Some(known) = template_type(resource.kind) else { continue };
            let Some(protected) = protected(known.config_type) else { continue };
            let name = name_of(resource, known);
            let (arn, is_whole) = self.target.arn(protected.service, protected.arn_kind, name.as_deref());
            let key = if is_whole { arn } else { placeholder(stack, resource.logical_id) };
            let ProtectedType { service, arn_kind, .. } = protected;
            references.insert(
                resource.logical_id.to_owned(),
                ReferenceTarget { kind: known.config_type, service, arn_kind, arn_attribute: known.arn, key, name },
            );
        }
        references
    }

    fn origin(&mut self, item: ItemId, number: usize, resource: &Resource<'_>, mut uncertainties: Vec<String>) {
        if resource.is_on.is_none() {
            uncertainties.insert(0, conditional(resource));
        }
        self.added.origins.push(Origin {
            item,
            stack: number,
            logical_id: resource.logical_id.to_owned(),
            kind: resource.kind.to_owned(),
            at: resource.at,
            uncertainties,
        });
    }

    /// Long because it fills one struct, with a rule of AWS for several fields.
    fn resource(
        &mut self,
        number: usize,
        stack: &TemplateStack<'_>,
        resource: &Resource<'_>,
        known: &'static TemplateType,
    ) {
        let (Some(protected), Ok(kind)) = (protected(known.config_type), ResourceType::parse(known.config_type)) else {
            return;
        };
        let name = name_of(resource, known);
        let (arn, is_whole) = self.target.arn(protected.service, protected.arn_kind, name.as_deref());
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
        if known.kind == "AWS::EFS::FileSystem" {
            let policy = property(resource, "BackupPolicy").map(|policy| policy.get("Status").and_then(text));
            let turned_on_by = match policy {
                Some(Some("DISABLED" | "DISABLING")) => None,
                Some(_) => Some("BackupPolicy"),
                // One Zone file systems have automatic backups by default (API reference, CreateFileSystem).
                None => property(resource, "AvailabilityZoneName").map(|_| "AvailabilityZoneName"),
            };
            if let Some(by) = turned_on_by {
                // EFS then creates a plan that selects by this tag.
                tags.insert("aws:elasticfilesystem:default-backup".to_owned(), Some("enabled".to_owned()));
                uncertainties.push(format!("the effect of the automatic backups of EFS, which `{by}` enables"));
            }
        }
        let flag = |name: Option<&str>| property(resource, name?).and_then(text).and_then(|text| text.parse().ok());
        let written = document::Resource {
            id: (!is_whole || self.has_twin(number, resource.logical_id))
                .then(|| placeholder(stack, resource.logical_id)),
            arn,
            kind,
            account: self.target.account.to_string(),
            region: self.target.region.to_string(),
            name: Some(name.unwrap_or_else(|| resource.logical_id.to_owned())),
            tags,
            cluster: self.cluster(number, stack, resource),
            engine: known.engine.and_then(|name| property(resource, name)).and_then(text).map(str::to_lowercase),
            encrypted: flag(known.encrypted),
            created: None,
            active: true,
            unread,
        };
        let index = self.inventory.resources.len();
        // The ARN agrees with the location by construction.
        if self.inventory.add_resource(written).is_ok() {
            self.origin(ItemId::Resource(index), number, resource, uncertainties);
        }
    }

    /// Returns the clusters with this name, with template index and logical id.
    fn clusters<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (usize, &'s str, &'s ReferenceTarget)> {
        let all = self.references.iter().enumerate();
        let all = all.flat_map(|(number, references)| {
            references.iter().map(move |(id, references)| (number, id.as_str(), references))
        });
        all.filter(move |(_, _, references)| references.kind == CLUSTER && references.name.as_deref() == Some(name))
    }

    /// Returns whether another cluster has the same name, and so the same ARN.
    fn has_twin(&self, number: usize, logical_id: &str) -> bool {
        let cluster = self.references.get(number).and_then(|references| references.get(logical_id));
        cluster.and_then(|cluster| cluster.name.as_deref()).is_some_and(|name| self.clusters(name).nth(1).is_some())
    }

    /// Returns the reference of an instance to its cluster.
    fn cluster(&self, number: usize, stack: &TemplateStack<'_>, resource: &Resource<'_>) -> Option<String> {
        let own = property(resource, "DBClusterIdentifier").filter(|_| resource.kind == "AWS::RDS::DBInstance")?;
        let key = |logical_id: &str, cluster: &ReferenceTarget| match self.has_twin(number, logical_id) {
            true => placeholder(stack, logical_id),
            false => cluster.key.clone(),
        };
        if let Some((logical_id, None)) = own.reference()
            && let Some(cluster) = self.references.get(number).and_then(|references| references.get(logical_id))
        {
            return Some(key(logical_id, cluster));
        }
        let Some(name) = text(own).map(str::to_lowercase) else { return Some("DBClusterIdentifier".to_owned()) };
        let here: Vec<_> = self.clusters(&name).filter(|(template, _, _)| *template == number).collect();
        let anywhere: Vec<_> = self.clusters(&name).collect();
        // A cluster of the same template takes precedence, because other templates may have other targets.
        match (here.as_slice(), anywhere.as_slice()) {
            ([(_, logical_id, cluster)], _) => Some(key(logical_id, cluster)),
            ([], [(_, _, cluster)]) => Some(cluster.key.clone()),
            ([], []) => Some(self.target.arn("rds", "cluster:", Some(&name)).0),
            // Conditions may keep either.
            _ => Some(format!("{name}{AMBIGUOUS_CLUSTER}")),
        }
    }

    /// Returns the tags in the template, and whether there may be more.
    fn tags(&self, resource: &Resource<'_>, known: &TemplateType) -> (BTreeMap<String, Option<String>>, bool) {
        if known.kind != GLOBAL_TABLE {
            return text::tags(property(resource, known.tags), known.tag_form);
        }
        // A global table has tags in each Region.
        let replicas = property(resource, "Replicas").and_then(Part::items).unwrap_or_default();
        let here = replicas.iter().find(|replica| {
            self.target.knows_region && replica.get("Region").and_then(text) == Some(self.target.region.as_str())
        });
        match (here, replicas) {
            (Some(replica), _) | (None, [replica]) => text::tags(replica.get("Tags"), TagForm::Pairs),
            _ => (BTreeMap::new(), true),
        }
    }
}

fn conditional(resource: &Resource<'_>) -> String {
    format!("whether it exists, which its condition `{}` decides", resource.condition.unwrap_or("?"))
}

/// Returns the name at the end of the ARN. RDS converts names to lower case.
fn name_of(resource: &Resource<'_>, known: &TemplateType) -> Option<String> {
    let name = text(property(resource, known.name?)?)?;
    Some(if known.kind.starts_with("AWS::RDS::") { name.to_lowercase() } else { name.to_owned() })
}

fn within(resource: &Resource<'_>, at: Position) -> bool {
    resource.body.at <= at && at < resource.body.end
}
