//! What templates bring once they are deployed, as parts of an inventory.
//!
//! What a template cannot tell is marked as unread, so that a judgement which hangs on it is undecided. Assumed, and said here:
//! - CloudFormation puts the tags of the stack and its own `aws:cloudformation:*` tags on all resources that are judged;
//! - a plan or vault that has the name of one in the inventory before is the same one, before its change;
//! - a resource that is not deployed yet is in use.
//!
//! The volumes that an instance brings along are not in a template as resources, and are not judged.

use std::collections::BTreeMap;

use super::document::{self, Plan, PlanPart, ResourcePart, Selection, SelectionPart, TagValue, Unread};
use super::{Inventory, Part as PlacePart, Protected, protected};
use crate::fault::Position;
use crate::ids::{AccountId, IdError, RegionName, ResourceType};
use crate::template::{Content, Expansion, Part, Piece, Resource, Template};

mod plan;
mod selection;
mod text;
mod types;
mod vault;

use text::text;
use types::{AIR_GAPPED_VAULT, CLUSTER, GLOBAL_TABLE, Known, PLAN, SELECTION, VAULT};
pub(crate) use types::{TagForm, known};
use vault::vault_name;

/// Where templates are deployed, as far as that is known.
#[derive(Debug, Clone)]
pub struct Target {
    account: AccountId,
    region: RegionName,
    knows_account: bool,
    knows_region: bool,
    /// The switches of AWS Backup there that are known.
    pub opt_in: BTreeMap<String, bool>,
    /// The tags of the stacks.
    pub tags: BTreeMap<String, String>,
}

impl Target {
    /// A place. What is not known of it stays unknown in ARNs and pseudo parameters; without a Region the partition is `aws`.
    ///
    /// # Errors
    /// None that can happen: what stands in for an unknown place is checked like one that is given.
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

    /// The account, if it is known.
    #[must_use]
    pub fn account(&self) -> Option<&AccountId> {
        self.knows_account.then_some(&self.account)
    }

    /// The Region, if it is known.
    #[must_use]
    pub fn region(&self) -> Option<&RegionName> {
        self.knows_region.then_some(&self.region)
    }

    /// The values of pseudo parameters that follow from the place.
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

    /// The ARN of something of a service here as far as it is known, and whether that is all of it.
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

/// A template and the values that its parameters will have.
#[derive(Debug, Clone)]
pub struct Stack<'t> {
    /// The template.
    pub template: &'t Template,
    /// Values of parameters; pseudo parameters may be among them.
    pub parameters: BTreeMap<String, String>,
}

/// Which thing of an inventory, by its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A resource.
    Resource(usize),
    /// A backup plan.
    Plan(usize),
    /// A vault.
    Vault(usize),
}

/// Where something in an inventory stands in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What.
    pub thing: Thing,
    /// The number of its template.
    pub stack: usize,
    /// Its name in the template.
    pub logical_id: String,
    /// Its type in the template.
    pub kind: String,
    /// Where its name stands.
    pub at: Position,
    /// What may make good what is wrong with it, and only a deployment tells.
    pub doubts: Vec<String>,
}

/// Something in a template that only a deployment can make out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// The number of the template.
    pub stack: usize,
    /// Where it stands.
    pub at: Position,
    /// What it is.
    pub what: String,
}

/// What templates have added to an inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// What came from where.
    pub origins: Vec<Origin>,
    /// What could not be made out.
    pub unseen: Vec<Unseen>,
}

/// Adds what templates bring to what there is.
pub fn add(inventory: &mut Inventory, target: &Target, stacks: &[Stack<'_>]) -> Added {
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
    let mut adding = Adding {
        inventory,
        target,
        added: Added::default(),
        meant: Vec::new(),
        expansions: Vec::new(),
        vaults: Vec::new(),
    };
    let mut unseen = Vec::new();
    for (number, (stack, resources)) in stacks.iter().zip(&resources).enumerate() {
        unseen.extend(adding.unseen(number, stack, resources));
        adding.meant.push(adding.named(stack, resources));
        let vaults = resources.iter().filter(|resource| matches!(resource.kind, VAULT | AIR_GAPPED_VAULT));
        adding.vaults.push(vaults.map(|vault| (vault.logical_id.to_owned(), vault_name(stack, vault))).collect());
    }
    adding.place(unseen);
    for (number, (stack, resources)) in stacks.iter().zip(&resources).enumerate() {
        for resource in resources.iter().filter(|resource| resource.is_on != Some(false)) {
            match resource.kind {
                PLAN => adding.plan(number, stack, resource),
                VAULT | AIR_GAPPED_VAULT => adding.vault(number, stack, resource),
                _ => {}
            }
            if let Some(known) = known(resource.kind) {
                adding.resource(number, stack, resource, known);
            }
        }
    }
    // Their plans are all there now.
    for (number, (stack, resources)) in stacks.iter().zip(&resources).enumerate() {
        for resource in resources.iter().filter(|one| one.kind == SELECTION && one.is_on != Some(false)) {
            adding.selection(number, stack, resource);
        }
    }
    adding.added
}

/// What others in the same template can mean by the name of a resource.
#[derive(Debug, Clone)]
struct Meant {
    kind: &'static str,
    service: &'static str,
    arn_kind: &'static str,
    arn_attribute: &'static str,
    /// Its ARN, or what stands for it while nobody knows it.
    key: String,
    /// Its name, if that is known.
    name: Option<String>,
}

struct Adding<'i> {
    inventory: &'i mut Inventory,
    target: &'i Target,
    added: Added,
    /// By template and logical id.
    meant: Vec<BTreeMap<String, Meant>>,
    /// What is replaced before CloudFormation reads it, by template.
    expansions: Vec<Vec<Expansion>>,
    /// The names of vaults, likewise.
    vaults: Vec<BTreeMap<String, String>>,
}

/// Behind the name of a cluster that several clusters have.
pub(crate) const SEVERAL: &str = " (several clusters have this name)";

/// What stands for a resource whose ARN nobody knows. It is no pattern.
fn stand_in(stack: &Stack<'_>, logical_id: &str) -> String {
    format!("{}#{logical_id}", stack.template.file()).replace('*', "?")
}

fn property<'p>(resource: &'p Resource<'_>, name: &str) -> Option<&'p Part> {
    resource.properties.get(name)
}

impl Adding<'_> {
    /// What only a deployment can make out of a template.
    fn unseen(&mut self, number: usize, stack: &Stack<'_>, resources: &[Resource<'_>]) -> Vec<Unread> {
        let mut gaps = Vec::new();
        let expansions = stack.template.expansions();
        for expansion in &expansions {
            let is_inside = resources.iter().any(|resource| within(resource, expansion.at));
            self.added.unseen.push(Unseen {
                stack: number,
                at: expansion.at,
                what: if is_inside {
                    format!("what CloudFormation makes of {}", expansion.what)
                } else {
                    format!("which resources {} brings or changes", expansion.what)
                },
            });
            if !is_inside {
                let why = format!("{} in {} may bring more", expansion.what, stack.template.file());
                gaps.extend([PlacePart::Plans, PlacePart::Selections].map(|part| Unread { part, why: why.clone() }));
            }
        }
        self.expansions.push(expansions);
        for resource in resources.iter().filter(|resource| resource.is_on != Some(false)) {
            let is_stack = matches!(resource.kind, "AWS::CloudFormation::Stack" | "AWS::Serverless::Application");
            if is_stack || resource.kind.ends_with("::MODULE") {
                let what = format!("what the nested stack `{}` brings; check its template too", resource.logical_id);
                self.added.unseen.push(Unseen { stack: number, at: resource.at, what });
            }
        }
        gaps
    }

    /// Notes what is known of the place.
    fn place(&mut self, mut unread: Vec<Unread>) {
        let Target { account, region, opt_in, .. } = self.target;
        let id = self.inventory.place_of(account, region);
        let Some(place) = self.inventory.places.get_mut(id.index()) else { return };
        if place.read.is_none() {
            // Every Region has vaults that no template makes, and other templates make more.
            unread.push(Unread { part: PlacePart::Vaults, why: "there may be other vaults".to_owned() });
        }
        let read = place.read.get_or_insert_with(|| document::Place {
            account: account.clone(),
            region: region.clone(),
            opt_in: BTreeMap::new(),
            unread: Vec::new(),
        });
        read.opt_in.extend(opt_in.clone());
        for part in [PlacePart::RecoveryPoints, PlacePart::Restores] {
            unread.push(Unread { part, why: "only a deployment tells".to_owned() });
        }
        read.unread.extend(unread);
    }

    /// Whether something in a resource is replaced before CloudFormation reads it.
    fn has_expansion(&self, number: usize, resource: &Resource<'_>) -> bool {
        self.expansions.get(number).is_some_and(|all| all.iter().any(|expansion| within(resource, expansion.at)))
    }

    fn named(&self, stack: &Stack<'_>, resources: &[Resource<'_>]) -> BTreeMap<String, Meant> {
        let mut meant = BTreeMap::new();
        for resource in resources {
            let Some(known) = known(resource.kind) else { continue };
            let Some(protected) = protected(known.config_type) else { continue };
            let name = name_of(resource, known);
            let (arn, is_whole) = self.target.arn(protected.service, protected.arn_kind, name.as_deref());
            let key = if is_whole { arn } else { stand_in(stack, resource.logical_id) };
            let Protected { service, arn_kind, .. } = protected;
            meant.insert(
                resource.logical_id.to_owned(),
                Meant { kind: known.config_type, service, arn_kind, arn_attribute: known.arn, key, name },
            );
        }
        meant
    }

    fn origin(&mut self, thing: Thing, number: usize, resource: &Resource<'_>, mut doubts: Vec<String>) {
        if resource.is_on.is_none() {
            doubts.insert(0, conditional(resource));
        }
        self.added.origins.push(Origin {
            thing,
            stack: number,
            logical_id: resource.logical_id.to_owned(),
            kind: resource.kind.to_owned(),
            at: resource.at,
            doubts,
        });
    }

    fn resource(&mut self, number: usize, stack: &Stack<'_>, resource: &Resource<'_>, known: &'static Known) {
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
            // A tag of the resource goes before one of the stack, and one whose key nobody knows may have this one.
            tags.entry(key.clone()).or_insert_with(|| (!tags_unread).then(|| value.clone()));
        }
        tags.insert("aws:cloudformation:logical-id".to_owned(), Some(resource.logical_id.to_owned()));
        for key in ["aws:cloudformation:stack-id", "aws:cloudformation:stack-name"] {
            tags.entry(key.to_owned()).or_insert(None);
        }
        let mut doubts = Vec::new();
        if known.kind == "AWS::EFS::FileSystem" {
            let policy = property(resource, "BackupPolicy").map(|policy| policy.get("Status").and_then(text));
            let turned_on_by = match policy {
                Some(Some("DISABLED" | "DISABLING")) => None,
                Some(_) => Some("BackupPolicy"),
                // Those in one zone have them from the start (API reference, CreateFileSystem).
                None => property(resource, "AvailabilityZoneName").map(|_| "AvailabilityZoneName"),
            };
            if let Some(by) = turned_on_by {
                // EFS makes a plan of its own then, which selects by this tag.
                tags.insert("aws:elasticfilesystem:default-backup".to_owned(), Some("enabled".to_owned()));
                doubts.push(format!("what the automatic backups of EFS bring, which `{by}` turns on"));
            }
        }
        let flag = |name: Option<&str>| property(resource, name?).and_then(text).and_then(|text| text.parse().ok());
        let written = document::Resource {
            id: (!is_whole || self.has_twin(number, resource.logical_id)).then(|| stand_in(stack, resource.logical_id)),
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
        // It was made to be taken: the ARN names the place beside it.
        if self.inventory.add_resource(written).is_ok() {
            self.origin(Thing::Resource(index), number, resource, doubts);
        }
    }

    /// The clusters of this name, each with the number of its template and its logical id.
    fn clusters<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (usize, &'s str, &'s Meant)> {
        let all = self.meant.iter().enumerate();
        let all = all.flat_map(|(number, meant)| meant.iter().map(move |(id, meant)| (number, id.as_str(), meant)));
        all.filter(move |(_, _, meant)| meant.kind == CLUSTER && meant.name.as_deref() == Some(name))
    }

    /// Whether a cluster has the name of another one, and so its ARN where the place is known.
    fn has_twin(&self, number: usize, logical_id: &str) -> bool {
        let cluster = self.meant.get(number).and_then(|meant| meant.get(logical_id));
        cluster.and_then(|cluster| cluster.name.as_deref()).is_some_and(|name| self.clusters(name).nth(1).is_some())
    }

    /// What the cluster is called that an instance is a member of.
    fn cluster(&self, number: usize, stack: &Stack<'_>, resource: &Resource<'_>) -> Option<String> {
        let own = property(resource, "DBClusterIdentifier").filter(|_| resource.kind == "AWS::RDS::DBInstance")?;
        let key = |logical_id: &str, cluster: &Meant| match self.has_twin(number, logical_id) {
            true => stand_in(stack, logical_id),
            false => cluster.key.clone(),
        };
        if let Some((logical_id, None)) = own.reference()
            && let Some(cluster) = self.meant.get(number).and_then(|meant| meant.get(logical_id))
        {
            return Some(key(logical_id, cluster));
        }
        let Some(name) = text(own).map(str::to_lowercase) else { return Some("DBClusterIdentifier".to_owned()) };
        let here: Vec<_> = self.clusters(&name).filter(|(template, _, _)| *template == number).collect();
        let anywhere: Vec<_> = self.clusters(&name).collect();
        // One of its own template goes before those of others, which may be for other places.
        match (here.as_slice(), anywhere.as_slice()) {
            ([(_, logical_id, cluster)], _) => Some(key(logical_id, cluster)),
            ([], [(_, _, cluster)]) => Some(cluster.key.clone()),
            ([], []) => Some(self.target.arn("rds", "cluster:", Some(&name)).0),
            // Conditions may leave either.
            _ => Some(format!("{name}{SEVERAL}")),
        }
    }

    /// The tags of a resource as the template has them, and whether there may be more.
    fn tags(&self, resource: &Resource<'_>, known: &Known) -> (BTreeMap<String, Option<String>>, bool) {
        if known.kind != GLOBAL_TABLE {
            return text::tags(property(resource, known.tags), known.tag_form);
        }
        // Each Region has a table with tags of its own.
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
    format!("whether it is there, which its condition `{}` decides", resource.condition.unwrap_or("?"))
}

/// The name that ends its ARN. RDS writes names in lower case.
fn name_of(resource: &Resource<'_>, known: &Known) -> Option<String> {
    let name = text(property(resource, known.name?)?)?;
    Some(if known.kind.starts_with("AWS::RDS::") { name.to_lowercase() } else { name.to_owned() })
}

fn within(resource: &Resource<'_>, at: Position) -> bool {
    resource.body.at <= at && at < resource.body.end
}
