//! The control queries of frameworks with their locations, from a template or a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use anyhow::{anyhow, ensure};
use jiff::civil::Date;

use domain::policy::{ExemptionMatch, Reporting};
use domain::rollout::{AccountFilter, Desired, Parameters};
use domain::violation::{ResourceDetails, ViolationKey};
use evaluation::{ControlQuery, ViolatingItem, ViolationExemption};
use framework::ids::{AccountId, RegionName};
use framework::{EquivalentLocations, Framework};
use syntax::diagnostic::{Diagnostic, Level, Position};
use syntax::template::{Resolved, Template};

use crate::input;
use crate::repository::{self, EVENT_BUS, EVENT_BUS_PARAMETER};

#[derive(Clone, Debug, Default)]
pub(crate) struct ControlQueries {
    pub(crate) groups: Vec<QueryGroup>,
    /// Remarks about assumptions.
    pub(crate) remarks: Vec<String>,
    /// The declared parameters of a template; empty for a policy, which has its own values.
    pub(crate) parameters: Vec<String>,
    /// The exemptions of the policy; none for a template.
    reporting: Reporting,
    readings: Vec<TemplateReading>,
}

/// The queries of a framework in some locations.
#[derive(Clone, Debug)]
pub(crate) struct QueryGroup {
    pub(crate) framework: String,
    pub(crate) asked: Vec<ControlQuery>,
    /// Diagnostics of unknown parts, which are not evaluated.
    pub(crate) unknown: Vec<Diagnostic>,
    /// The template, and the positions of its controls by name.
    pub(crate) template: String,
    pub(crate) controls: BTreeMap<&'static str, Position>,
    places: QueryLocations,
    /// Restrictions of [`Self::places`]; empty means any.
    accounts: BTreeSet<AccountId>,
    regions: BTreeSet<RegionName>,
}

#[derive(Clone, Debug)]
enum QueryLocations {
    Everywhere,
    These(Rc<BTreeSet<(AccountId, RegionName)>>),
    /// Accounts of organizational units, which are known only to the organization.
    Units {
        accounts: AccountFilter,
        regions: BTreeSet<RegionName>,
    },
}

/// A template with its parameter values in some locations.
#[derive(Clone, Debug)]
struct TemplateReading {
    /// The StackSet; `None` for a template without a policy, which uses the names of its frameworks.
    name: Option<String>,
    template: Rc<Template>,
    parameters: Parameters,
    places: QueryLocations,
}

impl QueryGroup {
    /// Whether it applies to an account and Region; `None` means any.
    pub(crate) fn applies(&self, account: Option<&AccountId>, region: Option<&RegionName>) -> bool {
        self.is_within(account, region)
            && match &self.places {
                QueryLocations::Everywhere => true,
                QueryLocations::These(_) => self.named().any(|(own_account, own_region)| {
                    account.is_none_or(|account| account == own_account)
                        && region.is_none_or(|region| region == own_region)
                }),
                QueryLocations::Units { accounts, regions } => {
                    account.is_none_or(|account| accounts.selects(account))
                        && region.is_none_or(|region| regions.contains(region))
                }
            }
    }

    /// Whether the restrictions allow an account and Region; `None` means any.
    fn is_within(&self, account: Option<&AccountId>, region: Option<&RegionName>) -> bool {
        account.is_none_or(|account| self.accounts.is_empty() || self.accounts.contains(account))
            && region.is_none_or(|region| self.regions.is_empty() || self.regions.contains(region))
    }

    /// Returns the listed locations, if it lists any.
    fn named(&self) -> impl Iterator<Item = (&AccountId, &RegionName)> {
        let named = match &self.places {
            QueryLocations::These(places) => Some(places.iter()),
            QueryLocations::Everywhere | QueryLocations::Units { .. } => None,
        };
        let named = named.into_iter().flatten().map(|(account, region)| (account, region));
        named.filter(|(account, region)| self.is_within(Some(account), Some(region)))
    }
}

impl ControlQueries {
    /// Reads a framework template, a policy file, or the policy in a folder. An error of lint is an error.
    pub(crate) fn read(path: &Path, root: Option<&Path>, given: &Parameters) -> anyhow::Result<Self> {
        let mut questions = Self::default();
        let text = (!path.is_dir()).then(|| input::template(path)).transpose()?;
        let text = text.transpose().map_err(|diagnostic| unusable(vec![diagnostic]))?;
        match text.filter(|text| Template::is_intended(text)) {
            Some(text) => {
                let file = path.display().to_string();
                let template = Template::read(&file, &text).map_err(unusable)?;
                questions.parameters = template.parameters().keys().cloned().collect();
                let mut parameters = given.clone();
                parameters.retain(|name, _| template.declares(name) || name.starts_with("AWS::"));
                if template.declares(EVENT_BUS_PARAMETER) {
                    parameters.entry(EVENT_BUS_PARAMETER.to_owned()).or_insert_with(|| EVENT_BUS.to_owned());
                }
                let (template, places) = (Rc::new(template), QueryLocations::Everywhere);
                questions.readings.push(TemplateReading { name: None, template, parameters, places });
            }
            None => questions.policy(path, root)?,
        }
        let questions = questions.at(&BTreeSet::new(), &BTreeSet::new())?;
        let is_framework = !questions.groups.is_empty();
        ensure!(is_framework, "`{}` has no AWS::Backup::Framework whose condition holds", path.display());
        Ok(questions)
    }

    /// Returns the locations that the policy lists.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&AccountId, &RegionName)> {
        self.groups.iter().flat_map(QueryGroup::named)
    }

    /// Returns the queries for these accounts and Regions; empty means any. An error of lint in a template there is an error.
    pub(crate) fn at(mut self, accounts: &BTreeSet<AccountId>, regions: &BTreeSet<RegionName>) -> anyhow::Result<Self> {
        self.groups.clear();
        for reading in &self.readings {
            reading.groups(accounts, regions, &mut self.groups)?;
        }
        Ok(self)
    }

    pub(crate) fn has_exemptions(&self) -> bool {
        !self.reporting.exemptions.is_empty()
    }

    /// Returns the exemption of the policy that covers a violation on a day (UTC), as `report` finds it.
    pub(crate) fn exemption(&self, item: &ViolatingItem<'_>, today: Date) -> Option<ViolationExemption> {
        let key = ViolationKey {
            resource_id: item.id.to_owned(),
            account: item.account.clone(),
            region: item.region.clone(),
            control: item.control.name.to_owned(),
            resource_type: item.kind.to_owned(),
        };
        let resource = ResourceDetails { name: None, arn: item.arn.clone(), tags: item.tags.clone() };
        match self.reporting.match_exemptions(&key, &resource, today) {
            ExemptionMatch::Covered(exemption) => {
                Some(ViolationExemption { until: exemption.until, reason: exemption.reason.clone() })
            }
            ExemptionMatch::Unmatched | ExemptionMatch::NearMiss(_) => None,
        }
    }

    fn policy(&mut self, path: &Path, root: Option<&Path>) -> anyhow::Result<()> {
        let repository::PolicyFiles { desired: wanted, file: _, templates } = repository::read_policy(path, root)?;
        let wanted = wanted.map_err(unusable)?;
        self.reporting = wanted.reporting;
        for framework in &wanted.frameworks {
            let desired = &framework.desired;
            let name = desired.name.to_string();
            let file = templates.iter().find(|(_, text)| **text == desired.template).map_or(&name, |(file, _)| file);
            let template = Rc::new(Template::read(file, &desired.template).map_err(unusable)?);
            self.listed(&template, desired);
            for target in desired.permissions.service_managed().into_iter().flat_map(|service| &service.targets) {
                let places =
                    QueryLocations::Units { accounts: target.accounts.clone(), regions: target.regions.clone() };
                self.readings.push(TemplateReading::of(desired, &template, &target.overrides, places));
                let remark = format!(
                    "the accounts of the organizational units of `{name}` are unknown: every account that is not excluded is evaluated"
                );
                if !self.remarks.contains(&remark) {
                    self.remarks.push(remark);
                }
            }
        }
        Ok(())
    }

    /// Adds the listed instances of a framework, grouped by their values.
    fn listed(&mut self, template: &Rc<Template>, desired: &Desired) {
        let mut alike: BTreeMap<&Parameters, BTreeSet<(AccountId, RegionName)>> = BTreeMap::new();
        for (instance, wanted) in desired.instances.iter().filter(|(_, wanted)| wanted.unit.is_none()) {
            let place = (instance.account.clone(), instance.region.clone());
            alike.entry(&*wanted.overrides).or_default().insert(place);
        }
        for (overrides, places) in alike {
            let places = QueryLocations::These(Rc::new(places));
            self.readings.push(TemplateReading::of(desired, template, overrides, places));
        }
    }
}

impl TemplateReading {
    fn of(desired: &Desired, template: &Rc<Template>, overrides: &Parameters, places: QueryLocations) -> Self {
        let mut parameters = desired.parameters.clone();
        parameters.extend(overrides.clone());
        Self { name: Some(desired.name.to_string()), template: Rc::clone(template), parameters, places }
    }

    /// Adds the queries for each group of locations with the same frameworks.
    /// Long because one pass over the targets keeps unknown parts beside their group.
    fn groups(
        &self,
        accounts: &BTreeSet<AccountId>,
        regions: &BTreeSet<RegionName>,
        groups: &mut Vec<QueryGroup>,
    ) -> anyhow::Result<()> {
        let (accounts, regions) = match &self.places {
            QueryLocations::Everywhere => (accounts.clone(), regions.clone()),
            QueryLocations::These(places) => places.iter().cloned().unzip(),
            QueryLocations::Units { accounts: filter, regions } => {
                (accounts.iter().filter(|account| filter.selects(account)).cloned().collect(), regions.clone())
            }
        };
        let mut classes = EquivalentLocations::of(&self.template, &accounts, &regions, true);
        if let ([class], QueryLocations::Everywhere | QueryLocations::Units { .. }) = (&mut *classes, &self.places) {
            // The result is the same everywhere, not only in the given locations.
            class.accounts.clear();
            if matches!(self.places, QueryLocations::Everywhere) {
                class.regions.clear();
            }
        }
        for EquivalentLocations { accounts, regions, pseudo } in classes {
            let group = QueryGroup {
                framework: self.name.clone().unwrap_or_else(|| self.template.file().to_owned()),
                asked: Vec::new(),
                unknown: Vec::new(),
                template: self.template.file().to_owned(),
                controls: BTreeMap::new(),
                places: self.places.clone(),
                accounts,
                regions,
            };
            if matches!(self.places, QueryLocations::These(_)) && group.named().next().is_none() {
                continue;
            }
            let mut parameters = self.parameters.clone();
            // Given values override pseudo parameters.
            for (name, value) in pseudo {
                parameters.entry(name).or_insert(value);
            }
            let frameworks = Framework::read_all(&self.template, &parameters).map_err(unusable)?;
            let generated = self.template.resource_expansion().map(|expansion| {
                let message = format!("the result of {} is unknown before a deployment", expansion.what);
                self.unknown(expansion.at, &message, "evaluate the processed template too")
            });
            if frameworks.is_empty() && generated.is_some() {
                groups.push(QueryGroup { unknown: generated.clone().into_iter().collect(), ..group.clone() });
            }
            for framework in frameworks {
                let name = match (&self.name, &framework.name) {
                    (Some(name), _) | (None, Resolved::Text(name)) => name.clone(),
                    (None, Resolved::Absent | Resolved::Unknown) => framework.logical_id.clone(),
                };
                let unknown = framework.unknown.iter().map(|unseen| {
                    let is_open = |name: &str| !parameters.contains_key(name) && self.template.depends_on(name);
                    let help = match ["AWS::Region", "AWS::AccountId"].into_iter().any(is_open) {
                        true => "give the location with --account and --region",
                        false => "check the deployed framework",
                    };
                    self.unknown(unseen.at, &format!("{} is known only at deployment", unseen.what), help)
                });
                groups.push(QueryGroup {
                    framework: name,
                    asked: ControlQuery::all(&framework, &self.template, &parameters),
                    controls: framework.controls.iter().map(|used| (used.control.name, used.at)).collect(),
                    unknown: unknown.chain(generated.clone()).collect(),
                    ..group.clone()
                });
            }
        }
        Ok(())
    }

    fn unknown(&self, at: Position, message: &str, help: &str) -> Diagnostic {
        let message = format!("{message} and is not evaluated");
        Diagnostic {
            // Parts that are known only at deployment.
            rule: Some("BC006"),
            level: Level::Note,
            ..Diagnostic::at(self.template.file(), self.template.text(), at, message, help)
        }
    }
}

/// Returns the first diagnostic as an error, with the number of others.
pub(crate) fn unusable(diagnostics: Vec<Diagnostic>) -> anyhow::Error {
    let first = diagnostics.first().map(ToString::to_string).unwrap_or_default();
    match diagnostics.len() {
        0 | 1 => anyhow!("{first}"),
        n => anyhow!("{first} (and {} more, see `backup-compliance lint`)", n - 1),
    }
}
