//! The control queries of frameworks with their locations, from a template or a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::civil::Date;

use domain::policy::{ExemptionMatch, Reporting};
use domain::rollout::{AccountFilter, Desired, Parameters};
use domain::violation::{ResourceDetails, ViolationKey};
use evaluation::inventory::Inventory;
use evaluation::{ControlQuery, ViolatingItem, ViolationExemption};
use framework::ids::{AccountId, RegionName};
use framework::{EquivalentLocations, Framework};
use syntax::diagnostic::{Diagnostic, Level, Position};
use syntax::template::{Resolved, Template};

use crate::deploy::DesiredPolicy;
use crate::deploy::desired::{EVENT_BUS_PARAMETER, UNKNOWN_EVENT_BUS};

/// The control queries of a policy or a framework template.
#[derive(Clone, Debug, Default)]
pub struct ControlQueries {
    /// The queries by framework and locations.
    pub groups: Vec<QueryGroup>,
    /// Remarks about assumptions.
    pub remarks: Vec<String>,
    /// The declared parameters of a template; empty for a policy, which has its own values.
    pub parameters: Vec<String>,
    /// The exemptions of the policy; none for a template.
    reporting: Reporting,
    readings: Vec<TemplateReading>,
}

/// The queries of a framework in some locations.
#[derive(Clone, Debug)]
pub struct QueryGroup {
    /// The StackSet, or the framework of a template without a policy.
    pub framework: String,
    /// The queries.
    pub asked: Vec<ControlQuery>,
    /// Diagnostics of unknown parts, which are not evaluated.
    pub unknown: Vec<Diagnostic>,
    /// The file name of the template.
    pub template: String,
    /// The positions of its controls by name.
    pub controls: BTreeMap<&'static str, Position>,
    places: QueryLocations,
    /// Restrictions of [`Self::places`]; empty means any.
    accounts: BTreeSet<AccountId>,
    regions: BTreeSet<RegionName>,
}

/// A part of the inventory that was not read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadPart {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// As in documents; `None` for a whole location.
    pub part: Option<String>,
    /// The reason.
    pub reason: String,
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
    pub fn applies(&self, account: Option<&AccountId>, region: Option<&RegionName>) -> bool {
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
    /// Reads the frameworks of a template without a policy, with the given parameter values.
    pub fn of_template(template: Template, given: &Parameters) -> Self {
        let mut parameters = given.clone();
        parameters.retain(|name, _| template.declares(name) || name.starts_with("AWS::"));
        if template.declares(EVENT_BUS_PARAMETER) {
            parameters.entry(EVENT_BUS_PARAMETER.to_owned()).or_insert_with(|| UNKNOWN_EVENT_BUS.to_owned());
        }
        let declared = template.parameters().keys().cloned().collect();
        let (template, places) = (Rc::new(template), QueryLocations::Everywhere);
        let reading = TemplateReading { name: None, template, parameters, places };
        Self { parameters: declared, readings: vec![reading], ..Self::default() }
    }

    /// Reads the frameworks of a policy. `templates` has the text of each template by file name.
    ///
    /// # Errors
    /// The diagnostics of a template that is not valid.
    pub fn of_policy(policy: &DesiredPolicy, templates: &BTreeMap<String, String>) -> Result<Self, Vec<Diagnostic>> {
        let mut queries = Self { reporting: policy.reporting.clone(), ..Self::default() };
        for framework in &policy.frameworks {
            let desired = &framework.desired;
            let name = desired.name.to_string();
            let file = templates.iter().find(|(_, text)| **text == desired.template).map_or(&name, |(file, _)| file);
            let template = Rc::new(Template::read(file, &desired.template)?);
            queries.listed(&template, desired);
            for target in desired.permissions.service_managed().into_iter().flat_map(|service| &service.targets) {
                let places =
                    QueryLocations::Units { accounts: target.accounts.clone(), regions: target.regions.clone() };
                queries.readings.push(TemplateReading::of(desired, &template, &target.overrides, places));
                let remark = format!(
                    "the accounts of the organizational units of `{name}` are unknown: every account that is not excluded is evaluated"
                );
                if !queries.remarks.contains(&remark) {
                    queries.remarks.push(remark);
                }
            }
        }
        Ok(queries)
    }

    /// Returns the locations that the policy lists.
    pub fn named(&self) -> impl Iterator<Item = (&AccountId, &RegionName)> {
        self.groups.iter().flat_map(QueryGroup::named)
    }

    /// Returns the queries for these accounts and Regions; empty means any.
    ///
    /// # Errors
    /// The diagnostics of a template that is not valid with the values of a location.
    pub fn at(
        mut self,
        accounts: &BTreeSet<AccountId>,
        regions: &BTreeSet<RegionName>,
    ) -> Result<Self, Vec<Diagnostic>> {
        self.groups.clear();
        for reading in &self.readings {
            reading.groups(accounts, regions, &mut self.groups)?;
        }
        Ok(self)
    }

    /// Returns the queries for the accounts and Regions of an inventory.
    ///
    /// # Errors
    /// As [`Self::at`].
    pub fn over(self, inventory: &Inventory) -> Result<Self, Vec<Diagnostic>> {
        let locations = inventory.locations();
        let (accounts, regions) = locations.map(|location| (location.account.clone(), location.region.clone())).unzip();
        self.at(&accounts, &regions)
    }

    /// Whether the policy has exemptions.
    pub fn has_exemptions(&self) -> bool {
        !self.reporting.exemptions.is_empty()
    }

    /// Returns the exemption of the policy that covers a violation on a day (UTC), as `report` finds it.
    pub fn exemption(&self, item: &ViolatingItem<'_>, today: Date) -> Option<ViolationExemption> {
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

    /// Returns the parts in scope that the inventory lacks, and controls that are known only at deployment.
    pub fn unread(&self, inventory: &Inventory, is_in_scope: impl Fn(&AccountId) -> bool) -> BTreeSet<UnreadPart> {
        let applies = |account, region| self.groups.iter().any(|group| group.applies(Some(account), Some(region)));
        let gaps = inventory.gaps().into_iter().filter(|gap| applies(gap.account, gap.region)).map(|gap| {
            let part = gap.part.and_then(|part| Some(serde_json::to_value(part).ok()?.as_str()?.to_owned()));
            (gap.account, gap.region, part, gap.reason.to_owned())
        });
        // Unknown controls of a framework were not evaluated in any location in its scope.
        let unknown = self.groups.iter().filter(|group| !group.unknown.is_empty()).flat_map(|group| {
            let locations = inventory.locations().map(|location| (&location.account, &location.region));
            let locations = locations.filter(move |(account, region)| group.applies(Some(account), Some(region)));
            locations.flat_map(move |(account, region)| {
                let reasons = group.unknown.iter().map(ToString::to_string);
                reasons.map(move |reason| (account, region, Some("framework".to_owned()), reason))
            })
        });
        let missing = self.named().filter(|(account, region)| !inventory.has_location(account, region));
        let missing = missing.map(|(account, region)| (account, region, None, "no document contains it".to_owned()));
        let all = gaps.chain(unknown).chain(missing).filter(|(account, ..)| is_in_scope(account));
        let part = |(account, region, part, reason): (&AccountId, &RegionName, _, _)| UnreadPart {
            account: account.clone(),
            region: region.clone(),
            part,
            reason,
        };
        all.map(part).collect()
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
    ) -> Result<(), Vec<Diagnostic>> {
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
            let frameworks = Framework::read_all(&self.template, &parameters)?;
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
