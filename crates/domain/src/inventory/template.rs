//! What templates bring once they are deployed, as parts of an inventory.
//!
//! What a template cannot tell is marked as unread, so that a judgement which hangs on it is undecided. Assumed, and said here:
//! - CloudFormation puts the tags of the stack and its own `aws:cloudformation:*` tags on all resources that are judged;
//! - a plan or vault that has the name of one in the inventory before is the same one, before its change;
//! - a resource that is not deployed yet is in use.
//!
//! The volumes that an instance brings along are not in a template as resources, and are not judged.

use std::collections::BTreeMap;

use super::document::{
    self, CopyAction, Lifecycle, Lock, LockMode, Plan, PlanPart, ResourcePart, Rule, RulePart, Selection,
    SelectionPart, TagValue, Unread, Vault, VaultKind, VaultPart,
};
use super::{Inventory, Part as PlacePart, Protected, protected};
use crate::fault::Position;
use crate::ids::{AccountId, IdError, RegionName, ResourceType};
use crate::template::{Content, Expansion, Part, Piece, Resource, Template};

mod selection;
mod text;

use text::{prefix, text};

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

/// How a type writes its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagForm {
    /// A list of `Key` and `Value`.
    Pairs,
    /// A mapping.
    Mapping,
}

/// A type of CloudFormation that becomes a resource which Audit Manager asks about.
#[derive(Debug)]
pub(crate) struct Known {
    kind: &'static str,
    config_type: &'static str,
    /// The property with its name, which ends its ARN.
    name: Option<&'static str>,
    /// The property with its tags.
    pub(crate) tags: &'static str,
    pub(crate) tag_form: TagForm,
    /// The attribute that is its ARN.
    arn: &'static str,
    engine: Option<&'static str>,
    encrypted: Option<&'static str>,
}

const KNOWN: &[Known] = &[
    Known {
        kind: "AWS::RDS::DBCluster",
        config_type: "AWS::RDS::DBCluster",
        name: Some("DBClusterIdentifier"),
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "DBClusterArn",
        engine: Some("Engine"),
        encrypted: Some("StorageEncrypted"),
    },
    Known {
        kind: "AWS::RDS::DBInstance",
        config_type: "AWS::RDS::DBInstance",
        name: Some("DBInstanceIdentifier"),
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "DBInstanceArn",
        engine: Some("Engine"),
        encrypted: Some("StorageEncrypted"),
    },
    Known {
        kind: "AWS::EC2::Volume",
        config_type: "AWS::EC2::Volume",
        name: None,
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "",
        engine: None,
        encrypted: Some("Encrypted"),
    },
    Known {
        kind: "AWS::EC2::Instance",
        config_type: "AWS::EC2::Instance",
        name: None,
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "",
        engine: None,
        encrypted: None,
    },
    Known {
        kind: "AWS::EFS::FileSystem",
        config_type: "AWS::EFS::FileSystem",
        name: None,
        tags: "FileSystemTags",
        tag_form: TagForm::Pairs,
        arn: "Arn",
        engine: None,
        encrypted: Some("Encrypted"),
    },
    Known {
        kind: "AWS::FSx::FileSystem",
        config_type: "AWS::FSx::FileSystem",
        name: None,
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "ResourceARN",
        engine: Some("FileSystemType"),
        encrypted: None,
    },
    Known {
        kind: "AWS::DynamoDB::Table",
        config_type: "AWS::DynamoDB::Table",
        name: Some("TableName"),
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "Arn",
        engine: None,
        encrypted: None,
    },
    Known {
        kind: GLOBAL_TABLE,
        config_type: "AWS::DynamoDB::Table",
        name: Some("TableName"),
        tags: "",
        tag_form: TagForm::Pairs,
        arn: "Arn",
        engine: None,
        encrypted: None,
    },
    // SAM makes a table of it, with these properties as they are.
    Known {
        kind: "AWS::Serverless::SimpleTable",
        config_type: "AWS::DynamoDB::Table",
        name: Some("TableName"),
        tags: "Tags",
        tag_form: TagForm::Mapping,
        arn: "Arn",
        engine: None,
        encrypted: None,
    },
    Known {
        kind: "AWS::S3::Bucket",
        config_type: "AWS::S3::Bucket",
        name: Some("BucketName"),
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "Arn",
        engine: None,
        encrypted: None,
    },
];

const GLOBAL_TABLE: &str = "AWS::DynamoDB::GlobalTable";
const CLUSTER: &str = "AWS::RDS::DBCluster";
const PLAN: &str = "AWS::Backup::BackupPlan";
const SELECTION: &str = "AWS::Backup::BackupSelection";
const VAULT: &str = "AWS::Backup::BackupVault";
const AIR_GAPPED_VAULT: &str = "AWS::Backup::LogicallyAirGappedBackupVault";

pub(crate) fn known(kind: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.kind == kind)
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
            id: (!is_whole).then(|| stand_in(stack, resource.logical_id)),
            arn,
            kind,
            account: self.target.account.to_string(),
            region: self.target.region.to_string(),
            name: Some(name.unwrap_or_else(|| resource.logical_id.to_owned())),
            tags,
            cluster: self.cluster(number, resource),
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

    /// What the cluster is called that an instance is a member of.
    fn cluster(&self, number: usize, resource: &Resource<'_>) -> Option<String> {
        let own = property(resource, "DBClusterIdentifier").filter(|_| resource.kind == "AWS::RDS::DBInstance")?;
        let unknown = || Some("DBClusterIdentifier".to_owned());
        let named = |name: &str| {
            let clusters = self.meant.iter().flat_map(BTreeMap::values).filter(|meant| meant.kind == CLUSTER);
            let mut own = clusters.filter(|meant| meant.name.as_deref() == Some(name));
            (own.next(), own.next())
        };
        if let Some((logical_id, None)) = own.reference()
            && let Some(cluster) = self.meant.get(number).and_then(|meant| meant.get(logical_id))
        {
            // Of two with one name, conditions may leave either, and with the place known their ARNs are one.
            let has_twin = cluster.name.as_deref().is_some_and(|name| named(name).1.is_some());
            return if has_twin { unknown() } else { Some(cluster.key.clone()) };
        }
        let Some(name) = text(own).map(str::to_lowercase) else { return unknown() };
        match named(&name) {
            (Some(cluster), None) => Some(cluster.key.clone()),
            (Some(_), Some(_)) => unknown(),
            (None, _) => Some(self.target.arn("rds", "cluster:", Some(&name)).0),
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

    fn vault(&mut self, number: usize, stack: &Stack<'_>, resource: &Resource<'_>) {
        let name = vault_name(stack, resource);
        let air_gapped = resource.kind == AIR_GAPPED_VAULT;
        let mut unread = Vec::new();
        let policy = property(resource, "AccessPolicy");
        let policy = match policy.map(text::json) {
            Some(None) => {
                unread.push(VaultPart::Policy);
                None
            }
            Some(policy) => policy,
            None => None,
        };
        let (tags, tags_unread) = text::tags(property(resource, "BackupVaultTags"), TagForm::Mapping);
        let tags_unread = tags_unread || tags.values().any(Option::is_none);
        if tags_unread {
            unread.push(VaultPart::Tags);
        }
        let lock_part = if air_gapped { Some(&resource.properties) } else { property(resource, "LockConfiguration") };
        let mut lock = None;
        if let Some(part) = lock_part {
            let days = |name: &str| match part.get(name) {
                None => Some(None),
                Some(days) => text(days).and_then(|days| days.parse().ok()).map(Some),
            };
            match (part.entries(), days("MinRetentionDays"), days("MaxRetentionDays")) {
                (Some(_), Some(min_retention_days), Some(max_retention_days)) if resource.is_on == Some(true) => {
                    let is_compliance = air_gapped || part.get("ChangeableForDays").is_some();
                    let mode = if is_compliance { LockMode::Compliance } else { LockMode::Governance };
                    lock = Some(Lock { min_retention_days, max_retention_days, mode });
                }
                _ => unread.push(VaultPart::Lock),
            }
        }
        let vault = Vault {
            name,
            account: self.target.account.clone(),
            region: self.target.region.clone(),
            kind: if air_gapped { VaultKind::AirGapped } else { VaultKind::Ordinary },
            tags: tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            encryption_key: property(resource, "EncryptionKeyArn").and_then(text).map(str::to_owned),
            policy,
            lock,
            unread,
        };
        let place = self.inventory.place_of(&vault.account, &vault.region);
        if property(resource, "BackupVaultName").is_none_or(|name| text(name).is_none())
            && let Some(here) = self.inventory.places.get_mut(place.index()).and_then(|place| place.read.as_mut())
        {
            // A rule that names a vault may mean this one.
            let why = format!("the vault `{}` in {} may have any name", resource.logical_id, stack.template.file());
            here.unread.push(Unread { part: PlacePart::Vaults, why });
        }
        let origins = &self.added.origins;
        let of_before = self.inventory.vaults.iter().enumerate().position(|(index, known)| {
            known.place == place
                && known.it.name == vault.name
                // Of two with one name in the templates, conditions may leave either.
                && !origins.iter().any(|origin| origin.thing == Thing::Vault(index))
        });
        let index = match of_before {
            Some(index) => {
                if let Some(known) = self.inventory.vaults.get_mut(index) {
                    known.it = vault;
                }
                index
            }
            None => {
                self.inventory.add_vault(vault);
                self.inventory.vaults.len().saturating_sub(1)
            }
        };
        self.origin(Thing::Vault(index), number, resource, Vec::new());
    }

    fn plan(&mut self, number: usize, stack: &Stack<'_>, resource: &Resource<'_>) {
        let own = property(resource, "BackupPlan");
        let name = own.and_then(|own| own.get("BackupPlanName")).and_then(text).unwrap_or(resource.logical_id);
        let mut unread = Vec::new();
        let (tags, tags_unread) = text::tags(property(resource, "BackupPlanTags"), TagForm::Mapping);
        if tags_unread || tags.values().any(Option::is_none) {
            unread.push(PlanPart::Tags);
        }
        let mut rules = Vec::new();
        match own.map(|own| (own.entries().is_some(), own.get("BackupPlanRule"))) {
            Some((true, Some(list))) => match list.items() {
                Some(items) => {
                    for item in items {
                        match item.entries() {
                            Some(_) => rules.push(self.rule(number, item)),
                            None => unread.push(PlanPart::Rules),
                        }
                    }
                }
                None => unread.push(PlanPart::Rules),
            },
            Some((true, None)) | None => {}
            Some((false, _)) => unread.push(PlanPart::Rules),
        }
        if self.has_expansion(number, resource) {
            unread.push(PlanPart::Rules);
        }
        unread.dedup();
        let plan = Plan {
            id: stand_in(stack, resource.logical_id),
            name: name.to_owned(),
            account: self.target.account.clone(),
            region: self.target.region.clone(),
            tags: tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            rules,
            selections: Vec::new(),
            unread,
        };
        let place = self.inventory.place_of(&plan.account, &plan.region);
        let origins = &self.added.origins;
        let of_before = self.inventory.plans.iter().enumerate().position(|(index, known)| {
            known.place == place
                && known.it.name == plan.name
                // Two templates may each have one of the name.
                && !origins.iter().any(|origin| origin.thing == Thing::Plan(index))
        });
        let index = match of_before {
            Some(index) => {
                if let Some(known) = self.inventory.plans.get_mut(index) {
                    // Those that people made by hand stay; nobody knows which these are.
                    let mut selections = std::mem::take(&mut known.it.selections);
                    for selection in &mut selections {
                        if !selection.unread.contains(&SelectionPart::Existence) {
                            selection.unread.push(SelectionPart::Existence);
                        }
                    }
                    known.it = Plan { selections, ..plan };
                }
                index
            }
            None => {
                self.inventory.add_plan(plan);
                self.inventory.plans.len().saturating_sub(1)
            }
        };
        self.origin(Thing::Plan(index), number, resource, Vec::new());
    }

    fn rule(&self, number: usize, part: &Part) -> Rule {
        let mut unread = Vec::new();
        let known = |name: &str| part.get(name).and_then(text);
        if part.get("ScheduleExpression").is_some() && known("ScheduleExpression").is_none() {
            unread.push(RulePart::Schedule);
        }
        let target = part.get("TargetBackupVault");
        let target_vault = match target.map(|target| (text(target), target.reference())) {
            Some((Some(name), _)) => Some(name.to_owned()),
            Some((None, Some((logical_id, None | Some("BackupVaultName"))))) => {
                self.vaults.get(number).and_then(|vaults| vaults.get(logical_id)).cloned()
            }
            _ => None,
        };
        if target_vault.is_none() {
            unread.push(RulePart::TargetVault);
        }
        let lifecycle = part.get("Lifecycle").map_or(Some(Lifecycle::default()), lifecycle_of);
        if lifecycle.is_none() {
            unread.push(RulePart::Lifecycle);
        }
        let mut copies = Vec::new();
        if let Some(list) = part.get("CopyActions") {
            let items = list.items();
            for item in items.unwrap_or_default() {
                match item.get("DestinationBackupVaultArn").and_then(|arn| self.copy(arn)) {
                    Some(vault) => copies.push(CopyAction {
                        vault,
                        lifecycle: item.get("Lifecycle").and_then(lifecycle_of).unwrap_or_default(),
                    }),
                    None => unread.push(RulePart::Copies),
                }
            }
            if items.is_none() {
                unread.push(RulePart::Copies);
            }
        }
        unread.dedup();
        Rule {
            name: known("RuleName").unwrap_or_default().to_owned(),
            schedule: known("ScheduleExpression").map(str::to_owned),
            target_vault: target_vault.unwrap_or_default(),
            lifecycle: lifecycle.unwrap_or_default(),
            // What is not known may be so: then a schedule that is too seldom is undecided.
            continuous: part.get("EnableContinuousBackup").is_some_and(|flag| text(flag) != Some("false")),
            copies,
            start_window_minutes: known("StartWindowMinutes").and_then(|minutes| minutes.parse().ok()),
            completion_window_minutes: known("CompletionWindowMinutes").and_then(|minutes| minutes.parse().ok()),
            unread,
        }
    }

    /// Where a copy goes, as far as Region and account tell. Where it is not known whether that is another place, nobody knows.
    ///
    /// Where the plan's own account or Region is not known, the copy's is left out of the ARN: nobody knows whether it is another.
    fn copy(&self, arn: &Part) -> Option<String> {
        if let Some((_, Some("BackupVaultArn"))) = arn.reference() {
            let Target { account, region, .. } = self.target;
            return Some(format!("arn:{}:backup:{region}:{account}:backup-vault:?", region.partition()));
        }
        let known = prefix(arn);
        let mut parts: Vec<&str> = known.splitn(6, ':').collect();
        let [_, _, _, region, account, _] = parts.as_mut_slice() else { return None };
        if !self.target.knows_region {
            *region = "";
        }
        if !self.target.knows_account {
            *account = "";
        }
        Some(parts.join(":"))
    }
}

fn conditional(resource: &Resource<'_>) -> String {
    format!("whether it is there, which its condition `{}` decides", resource.condition.unwrap_or("?"))
}

/// What a vault is called, or what stands for its name.
fn vault_name(stack: &Stack<'_>, resource: &Resource<'_>) -> String {
    let name = property(resource, "BackupVaultName").and_then(text);
    name.map_or_else(|| stand_in(stack, resource.logical_id), str::to_owned)
}

/// The name that ends its ARN. RDS writes names in lower case.
fn name_of(resource: &Resource<'_>, known: &Known) -> Option<String> {
    let name = text(property(resource, known.name?)?)?;
    Some(if known.kind.starts_with("AWS::RDS::") { name.to_lowercase() } else { name.to_owned() })
}

fn lifecycle_of(part: &Part) -> Option<Lifecycle> {
    part.entries()?;
    let days = |name: &str| match part.get(name) {
        None => Some(None),
        Some(days) => text(days).and_then(|days| days.parse().ok()).map(Some),
    };
    Some(Lifecycle {
        cold_after_days: days("MoveToColdStorageAfterDays").unwrap_or_default(),
        delete_after_days: days("DeleteAfterDays")?,
    })
}

fn within(resource: &Resource<'_>, at: Position) -> bool {
    resource.body.at <= at && at < resource.body.end
}
