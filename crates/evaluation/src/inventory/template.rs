//! Adds the resources of templates and Terraform plans to an inventory, as they are after deployment.
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

use framework::ids::{AccountId, IdError, RegionName, UnitId};
use framework::lint::{BackupDiagnostics, check_backup, check_backup_resources};
use syntax::diagnostic::Position;
use syntax::template::{Content, Expansion, Part, Piece, Template, TemplateResource};

use super::backup_policy::BackupPolicyFile;
use super::document::{self, Plan, PlanPart, Selection, SelectionPart, TagValue, Unread};
use super::partial_arn::{NAME, UNKNOWN_ACCOUNT, UNKNOWN_REGION, with_unknowns};
use super::terraform::{PlannedResource, TerraformPlan};
use super::types::{AIR_GAPPED_VAULT, PLAN, SELECTION, TemplateType, VAULT};
use super::{Inventory, Located, LocationId, LocationPart, ProtectedType, protected};
use resource::name_of;
use vault::vault_name;

mod instance;
mod not_judged;
mod organization;
mod plan;
mod resource;
mod selection;
mod text;
mod vault;

pub(crate) use super::types::{GLOBAL_TABLE as GLOBAL_TABLE_TYPE, TagForm, template_type};
pub(crate) use instance::{PROPAGATE, VolumeTags};
pub use not_judged::NotJudged;
pub(crate) use organization::ORGANIZATION_PLAN;

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
    /// The organizational units of the account, from the root down, whose backup policies apply to it; empty if they are unknown.
    pub units: Vec<UnitId>,
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
            units: Vec::new(),
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
    fn partition(&self, files: &[CheckedFile<'_>]) -> Option<&'static str> {
        let names_other = |stack: &TemplateStack<'_>| stack.template.text().contains("arn:aws-");
        let mut stacks = files.iter().filter_map(CheckedFile::template);
        (self.knows_region || !stacks.any(names_other)).then(|| self.region.partition())
    }

    /// Returns the target in another Region.
    fn in_region(&self, region: RegionName) -> Self {
        Self { region, knows_region: true, ..self.clone() }
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
    /// The tags of this stack, beside those of all stacks of the deployment target.
    pub tags: BTreeMap<String, String>,
    /// The logical ids of nested stacks whose templates are among the files.
    pub nested: BTreeSet<String>,
}

impl<'t> TemplateStack<'t> {
    /// Returns a stack without tags of its own.
    pub fn new(template: &'t Template, parameters: BTreeMap<String, String>) -> Self {
        Self { template, parameters, tags: BTreeMap::new(), nested: BTreeSet::new() }
    }
}

/// A file whose resources are added to an inventory.
#[derive(Debug, Clone)]
pub enum CheckedFile<'t> {
    /// A template.
    Template(TemplateStack<'t>),
    /// A plan of Terraform.
    Terraform(&'t TerraformPlan),
    /// A backup policy of AWS Organizations.
    Policy(&'t BackupPolicyFile),
}

impl<'t> CheckedFile<'t> {
    /// Returns the name.
    pub fn file(&self) -> &'t str {
        match self {
            Self::Template(stack) => stack.template.file(),
            Self::Terraform(plan) => plan.file(),
            Self::Policy(policy) => policy.file(),
        }
    }

    /// Returns the text, in which positions are. Findings about a plan of Terraform are in its sources.
    pub(crate) fn text(&self) -> &'t str {
        match self {
            Self::Template(stack) => stack.template.text(),
            Self::Terraform(_) => "",
            Self::Policy(policy) => policy.text(),
        }
    }

    /// Returns the template, if it is one.
    pub fn template(&self) -> Option<&TemplateStack<'t>> {
        if let Self::Template(stack) = self { Some(stack) } else { None }
    }

    /// Returns the plan of Terraform, if it is one.
    pub fn terraform(&self) -> Option<&'t TerraformPlan> {
        if let Self::Terraform(plan) = self { Some(plan) } else { None }
    }

    /// Returns the backup policy, if it is one.
    pub(crate) fn policy(&self) -> Option<&'t BackupPolicyFile> {
        if let Self::Policy(policy) = self { Some(policy) } else { None }
    }
}

/// An item of the inventory, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemId {
    Resource(usize),
    Plan(usize),
    Vault(usize),
}

/// The resource of a template or plan that an item is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) item: ItemId,
    /// The index of the file.
    pub(crate) stack: usize,
    /// The logical id, or the address in a Terraform plan.
    pub(crate) logical_id: String,
    /// The type in CloudFormation or Terraform.
    pub(crate) kind: String,
    /// The position of the logical id in a template.
    pub(crate) at: Position,
    /// Facts that only a deployment resolves, and that may change a violation.
    pub(crate) uncertainties: Vec<String>,
    /// The tags of the volumes that the instance creates; `None` if the item is not these volumes.
    pub(crate) volumes: Option<VolumeTags>,
    /// The path of the CDK construct.
    pub(crate) construct: Option<String>,
}

/// A part of a template that only a deployment resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnresolvedPart {
    /// The index of the template.
    pub(crate) stack: usize,
    pub(crate) at: Position,
    pub(crate) what: String,
    pub(crate) fix: &'static str,
    /// It may change the plans of every file, so that it is reported for a file that only provides plans too.
    pub(crate) is_about_plans: bool,
}

impl UnresolvedPart {
    fn new(stack: usize, at: Position, what: String) -> Self {
        Self { stack, at, what, fix: "known only at deployment", is_about_plans: false }
    }
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

/// The resources of a file.
struct ImportFile<'i> {
    name: &'i str,
    plan: Option<&'i TerraformPlan>,
    resources: Vec<TemplateResource<'i>>,
    /// The index of the deployment target of each resource.
    targets: Vec<usize>,
    /// The tags of the stack.
    tags: BTreeMap<String, String>,
}

/// Adds the resources of files to an inventory.
pub fn add(inventory: &mut Inventory, target: &DeploymentTarget, files: &[CheckedFile<'_>]) -> AddedTemplates {
    let partition = target.partition(files);
    let parameters = |file: &CheckedFile<'_>| {
        let mut parameters = target.pseudo_parameters(partition);
        parameters.extend(file.template().map(|stack| stack.parameters.clone()).unwrap_or_default());
        parameters
    };
    let parameters: Vec<BTreeMap<String, String>> = files.iter().map(parameters).collect();
    let mut targets = vec![target.clone()];
    let read = |(file, own)| read(file, own, &mut targets);
    let (imported, backup): (Vec<ImportFile<'_>>, _) = files.iter().zip(&parameters).map(read).unzip();
    let locations = targets.iter().map(|target| inventory.location_of(&target.account, &target.region)).collect();
    let mut import = TemplateImport {
        inventory,
        base: target,
        targets: &targets,
        locations,
        current: 0,
        partition,
        files: &imported,
        added: AddedTemplates { backup, ..AddedTemplates::default() },
        references: Vec::new(),
        expansions: Vec::new(),
        vaults: Vec::new(),
        shared_vault_names: BTreeSet::new(),
    };
    let mut unresolved = Vec::new();
    for (number, file) in files.iter().enumerate() {
        unresolved.extend(import.unresolved(number, file));
        let references = import.named(number);
        import.references.push(references);
        import.vaults.push(import.named_vaults(number));
    }
    let mut seen = BTreeSet::new();
    for names in &import.vaults {
        let names: BTreeSet<&String> = names.values().map(|(name, _)| name).collect();
        import.shared_vault_names.extend(names.into_iter().filter(|name| !seen.insert(*name)).cloned());
    }
    let has_open_region = || imported.iter().any(|file| file.targets.contains(&0));
    if targets.len() > 1 && !target.knows_region && has_open_region() {
        let reason = UNKNOWN_REGIONS;
        let parts = [LocationPart::Plans, LocationPart::Selections, LocationPart::Vaults];
        unresolved.extend(parts.map(|part| Unread { part, reason: reason.to_owned() }));
    }
    (0..targets.len()).for_each(|target| import.location(target, unresolved.clone()));
    import.settings(files);
    import.policies(files);
    import.added.not_judged = imported.iter().map(not_judged::types).collect();
    import.resources();
    import.added
}

/// Returns the resources of a file, with the diagnostics about its plans, selections and vaults.
fn read<'i>(
    file: &CheckedFile<'i>,
    parameters: &'i BTreeMap<String, String>,
    targets: &mut Vec<DeploymentTarget>,
) -> (ImportFile<'i>, BackupDiagnostics) {
    let name = file.file();
    match file {
        CheckedFile::Template(stack) => {
            let resources = stack.template.resolved_resources(parameters);
            let own = vec![0; resources.len()];
            let backup = check_backup(stack.template, parameters);
            (ImportFile { name, plan: None, resources, targets: own, tags: stack.tags.clone() }, backup)
        }
        CheckedFile::Terraform(plan) => {
            let mut own = Vec::new();
            let mut resources = Vec::new();
            for PlannedResource { resource, region } in plan.resources() {
                let index = region.map_or(0, |region| {
                    let known = targets.iter().position(|target| target.region() == Some(&region));
                    known.unwrap_or_else(|| {
                        targets.extend(targets.first().map(|base| base.in_region(region)));
                        targets.len().saturating_sub(1)
                    })
                });
                own.push(index);
                resources.push(resource);
            }
            let backup = check_backup_resources(&resources);
            (ImportFile { name, plan: Some(plan), resources, targets: own, tags: BTreeMap::new() }, backup)
        }
        CheckedFile::Policy(_) => (
            ImportFile { name, plan: None, resources: Vec::new(), targets: Vec::new(), tags: BTreeMap::new() },
            BackupDiagnostics::default(),
        ),
    }
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
    /// The target of templates.
    base: &'i DeploymentTarget,
    /// It, and those of other Regions in plans.
    targets: &'i [DeploymentTarget],
    /// The location of each target.
    locations: Vec<LocationId>,
    /// The index of the target of the current resource.
    current: usize,
    partition: Option<&'static str>,
    files: &'i [ImportFile<'i>],
    added: AddedTemplates,
    /// By file and logical id.
    references: Vec<BTreeMap<String, ReferenceTarget>>,
    /// Macros and includes, by file.
    expansions: Vec<Vec<Expansion>>,
    /// The names of vaults with the indexes of their targets, by file and logical id.
    vaults: Vec<BTreeMap<String, (String, usize)>>,
    /// The names of vaults that several files use.
    shared_vault_names: BTreeSet<String>,
}

/// Separates a cluster name that several clusters share from their list.
pub(crate) const AMBIGUOUS_CLUSTER: &str = " is ambiguous: ";

/// The reason why plans may be in any Region.
pub(crate) const UNKNOWN_REGIONS: &str = "the Region of some resources";

/// A placeholder for an unknown ARN, which is not a pattern.
fn placeholder(file: &str, logical_id: &str) -> String {
    format!("{file}#{logical_id}").replace('*', "?")
}

impl<'i> TemplateImport<'i> {
    fn target(&self) -> &'i DeploymentTarget {
        self.targets.get(self.current).unwrap_or(self.base)
    }

    /// Adds all resources, and selections after all plans.
    fn resources(&mut self) {
        let files: &'i [ImportFile<'i>] = self.files;
        for is_selection in [false, true] {
            for (number, file) in files.iter().enumerate() {
                for (resource, target) in file.resources.iter().zip(&file.targets) {
                    if resource.is_on == Some(false) || (resource.kind == SELECTION) != is_selection {
                        continue;
                    }
                    self.current = *target;
                    self.one(number, resource);
                }
            }
        }
    }

    fn one(&mut self, number: usize, resource: &TemplateResource<'_>) {
        match resource.kind {
            PLAN | SELECTION if self.is_rejected(number, resource) => {}
            PLAN => self.plan(number, resource),
            SELECTION => self.selection(number, resource),
            VAULT | AIR_GAPPED_VAULT => self.vault(number, resource),
            _ => {
                self.resource(number, resource);
                self.volumes(number, resource);
            }
        }
    }

    fn file(&self, number: usize) -> &'i str {
        self.files.get(number).map_or("", |file| file.name)
    }

    /// Returns the plan of Terraform that a file is.
    fn terraform(&self, number: usize) -> Option<&'i TerraformPlan> {
        self.files.get(number).and_then(|file| file.plan)
    }

    fn placeholder(&self, number: usize, logical_id: &str) -> String {
        placeholder(self.file(number), logical_id)
    }

    fn named_vaults(&self, number: usize) -> BTreeMap<String, (String, usize)> {
        let Some(file) = self.files.get(number) else { return BTreeMap::new() };
        let all = file.resources.iter().zip(&file.targets);
        let vaults = all.filter(|(resource, _)| matches!(resource.kind, VAULT | AIR_GAPPED_VAULT));
        let vaults =
            vaults.map(|(vault, target)| (vault.logical_id.to_owned(), (vault_name(file.name, vault), *target)));
        vaults.collect()
    }

    /// Adds the opt-in settings of Terraform plans.
    fn settings(&mut self, files: &[CheckedFile<'_>]) {
        for settings in files.iter().filter_map(CheckedFile::terraform).flat_map(TerraformPlan::settings) {
            let index = self.targets.iter().position(|target| target.region() == settings.region.as_ref());
            let location = index.and_then(|index| self.locations.get(index));
            let location = location.and_then(|location| self.inventory.locations.get_mut(location.index()));
            if let Some(record) = location.and_then(|location| location.record.as_mut()) {
                record.opt_in.extend(settings.opt_in);
            }
        }
    }

    /// Returns whether the deployment fails to create a plan, selection or vault.
    fn is_rejected(&self, number: usize, resource: &TemplateResource<'_>) -> bool {
        self.added.backup.get(number).is_some_and(|backup| backup.rejected.contains(resource.logical_id))
    }

    /// Returns the index of the deployed item that an item of a template replaces. Conditions may keep either of two
    /// items of templates with one name.
    fn replaced<T>(&self, all: &[Located<T>], id: fn(usize) -> ItemId, has_name: impl Fn(&T) -> bool) -> Option<usize> {
        let is_new = |index| self.added.origins.iter().any(|origin| origin.item == id(index));
        let mut all = all.iter().enumerate();
        all.position(|(index, one)| {
            Some(&one.location) == self.locations.get(self.current) && has_name(&one.item) && !is_new(index)
        })
    }

    /// Collects the unresolved parts of a file.
    fn unresolved(&mut self, number: usize, file: &CheckedFile<'_>) -> Vec<Unread> {
        let mut gaps = Vec::new();
        let CheckedFile::Template(stack) = file else {
            for gap in self.terraform(number).map(TerraformPlan::gaps).unwrap_or_default() {
                let reason = format!("{gap} ({})", self.file(number));
                let parts = [LocationPart::Plans, LocationPart::Selections, LocationPart::Vaults];
                gaps.extend(parts.map(|part| Unread { part, reason: reason.clone() }));
                let what = format!("the rest of the plan: {gap}");
                self.added.unresolved.push(UnresolvedPart::new(number, Position { line: 1, column: 1 }, what));
            }
            self.expansions.push(Vec::new());
            return gaps;
        };
        let resources = self.files.get(number).map(|file| file.resources.as_slice()).unwrap_or_default();
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
            self.added.unresolved.push(UnresolvedPart::new(number, expansion.at, what));
        }
        self.expansions.push(expansions);
        for resource in resources.iter().filter(|resource| resource.is_on != Some(false)) {
            let is_stack = matches!(resource.kind, "AWS::CloudFormation::Stack" | "AWS::Serverless::Application");
            if (is_stack || resource.kind.ends_with("::MODULE")) && !stack.nested.contains(resource.logical_id) {
                let what =
                    format!("the resources of the nested stack `{}`; check its template too", resource.logical_id);
                self.added.unresolved.push(UnresolvedPart::new(number, resource.at, what));
            }
        }
        gaps
    }

    /// Adds the known data of the location of a target.
    fn location(&mut self, index: usize, mut unread: Vec<Unread>) {
        let (Some(target), Some(location)) = (self.targets.get(index), self.locations.get(index)) else { return };
        let DeploymentTarget { account, region, opt_in, .. } = target;
        let Some(location) = self.inventory.locations.get_mut(location.index()) else { return };
        location.has_unknown_account = !target.knows_account;
        location.has_unknown_region |= !target.knows_region;
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

    fn named(&self, number: usize) -> BTreeMap<String, ReferenceTarget> {
        let mut references = BTreeMap::new();
        let Some(file) = self.files.get(number) else { return references };
        for (resource, target) in file.resources.iter().zip(&file.targets) {
            let (Some(known), Some(target)) = (template_type(resource.kind), self.targets.get(*target)) else {
                continue;
            };
            let Some(protected) = protected(known.config_type) else { continue };
            let name = name_of(resource, known);
            let arn = target.arn(self.partition, known, name.as_deref());
            let arn = arn.filter(|arn| known_start(arn) == arn);
            let key = arn.unwrap_or_else(|| placeholder(file.name, resource.logical_id));
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
        let kind = self.terraform(number).and_then(|plan| plan.kind(resource.logical_id)).unwrap_or(resource.kind);
        self.added.origins.push(Origin {
            item,
            stack: number,
            logical_id: resource.logical_id.to_owned(),
            kind: kind.to_owned(),
            at: resource.at,
            uncertainties,
            volumes: None,
            construct: text::construct(resource.body),
        });
    }

    /// Returns the tags that CloudFormation adds to the resources of a stack.
    fn tags_of_stack(&self, number: usize) -> BTreeMap<&'i str, &'i str> {
        let own = self.files.get(number).map(|file| &file.tags).into_iter().flatten();
        let all = self.target().tags.iter().chain(own);
        all.map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

fn within(resource: &TemplateResource<'_>, at: Position) -> bool {
    resource.body.at <= at && at < resource.body.end
}
