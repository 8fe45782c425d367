//! What frameworks ask, and where: of a template on its own, or of a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use anyhow::anyhow;
use domain::evaluation::Asked;
use domain::fault::{Fault, Position};
use domain::framework::Framework;
use domain::ids::{AccountId, RegionName};
use domain::rollout::{AccountFilter, Desired};
use domain::template::{Alike, Resolved, Template};

use crate::input;
use crate::repository::{self, EVENT_BUS, EVENT_BUS_PARAMETER};

type Parameters = BTreeMap<String, String>;

/// Everything that is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Questions {
    pub(crate) groups: Vec<Group>,
    /// What should be known about how they were read.
    pub(crate) remarks: Vec<String>,
    /// The parameters that the framework template declares; a policy gives its own.
    pub(crate) parameters: Vec<String>,
    readings: Vec<Reading>,
}

/// What a framework asks in some places.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) framework: String,
    pub(crate) asked: Vec<Asked>,
    /// What else it may ask, which is not known: where that stands in the template, and why it is not. None of it is judged.
    pub(crate) unknown: Vec<Fault>,
    places: Places,
    /// It asks only in those of [`Self::places`] that are among these; an empty list stands for any.
    accounts: BTreeSet<AccountId>,
    regions: BTreeSet<RegionName>,
}

#[derive(Clone, Debug)]
enum Places {
    Everywhere,
    These(Rc<BTreeSet<(AccountId, RegionName)>>),
    /// Accounts of organizational units, which only the organisation knows.
    Units {
        accounts: AccountFilter,
        regions: BTreeSet<RegionName>,
    },
}

/// A template with the values that it has in some places.
#[derive(Clone, Debug)]
struct Reading {
    /// Its StackSet; a template on its own goes by the names of its frameworks.
    name: Option<String>,
    template: Rc<Template>,
    parameters: Parameters,
    places: Places,
}

impl Group {
    /// Whether it asks in this account and Region; whatever is not known may be any.
    pub(crate) fn applies(&self, account: Option<&AccountId>, region: Option<&RegionName>) -> bool {
        let is_among = account.is_none_or(|account| self.accounts.is_empty() || self.accounts.contains(account))
            && region.is_none_or(|region| self.regions.is_empty() || self.regions.contains(region));
        is_among
            && match &self.places {
                Places::Everywhere => true,
                Places::These(_) => self.named().any(|(own_account, own_region)| {
                    account.is_none_or(|account| account == own_account)
                        && region.is_none_or(|region| region == own_region)
                }),
                Places::Units { accounts, regions } => {
                    account.is_none_or(|account| accounts.admits(account))
                        && region.is_none_or(|region| regions.contains(region))
                }
            }
    }

    /// The places that it names, if it names any.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&AccountId, &RegionName)> {
        let named = match &self.places {
            Places::These(places) => Some(places.iter()),
            Places::Everywhere | Places::Units { .. } => None,
        };
        named.into_iter().flatten().map(|(account, region)| (account, region)).filter(|(account, region)| {
            (self.accounts.is_empty() || self.accounts.contains(*account))
                && (self.regions.is_empty() || self.regions.contains(*region))
        })
    }
}

impl Questions {
    /// Reads a framework template, a policy file, or the policy of a folder.
    ///
    /// # Errors
    /// When it cannot be read, or lint finds an error in it.
    pub(crate) fn read(path: &Path, root: Option<&Path>, given: &Parameters) -> anyhow::Result<Self> {
        let mut questions = Self::default();
        let text = if path.is_dir() { None } else { Some(input::template(path)?.map_err(|fault| unusable(&[fault]))?) };
        match text.filter(|text| Template::is_meant(text)) {
            Some(text) => {
                let file = path.display().to_string();
                let template = Template::read(&file, &text).map_err(|faults| unusable(&faults))?;
                questions.parameters = template.parameters().keys().cloned().collect();
                let is_own = |name: &String| template.declares(name) || name.starts_with("AWS::");
                let own: Parameters =
                    given.iter().filter(|(name, _)| is_own(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
                let parameters = with_event_bus(&template, own);
                let template = Rc::new(template);
                questions.readings.push(Reading { name: None, template, parameters, places: Places::Everywhere });
            }
            None => questions.policy(path, root)?,
        }
        let questions = questions.at(&BTreeSet::new(), &BTreeSet::new())?;
        if questions.groups.is_empty() {
            return Err(anyhow!("`{}` has no AWS::Backup::Framework that is in force", path.display()));
        }
        Ok(questions)
    }

    /// The same where it is asked in these accounts and Regions, as far as they are known: none stands for any.
    ///
    /// # Errors
    /// When lint finds an error in a template there.
    pub(crate) fn at(mut self, accounts: &BTreeSet<AccountId>, regions: &BTreeSet<RegionName>) -> anyhow::Result<Self> {
        self.groups.clear();
        for reading in &self.readings {
            reading.groups(accounts, regions, &mut self.groups)?;
        }
        Ok(self)
    }

    fn policy(&mut self, path: &Path, root: Option<&Path>) -> anyhow::Result<()> {
        let repository::Read { wanted, file: _, templates } = repository::read_policy(path, root)?;
        let wanted = wanted.map_err(|faults| unusable(&faults))?;
        for framework in &wanted.frameworks {
            let desired = &framework.desired;
            let name = desired.name.to_string();
            let file = templates.iter().find(|(_, text)| **text == desired.template).map_or(&name, |(file, _)| file);
            let template = Rc::new(Template::read(file, &desired.template).map_err(|faults| unusable(&faults))?);
            self.listed(&template, desired);
            for target in desired.permissions.service_managed().into_iter().flat_map(|service| &service.targets) {
                let mut parameters = desired.parameters.clone();
                parameters.extend(target.overrides.clone());
                let places = Places::Units { accounts: target.accounts.clone(), regions: target.regions.clone() };
                let template = Rc::clone(&template);
                self.readings.push(Reading { name: Some(name.clone()), template, parameters, places });
                let remark = format!(
                    "which accounts are in the organizational units of `{name}` is not known here: every account that is not \
                     excluded is judged"
                );
                if !self.remarks.contains(&remark) {
                    self.remarks.push(remark);
                }
            }
        }
        Ok(())
    }

    /// The instances that a framework lists, those together that have the same values.
    fn listed(&mut self, template: &Rc<Template>, desired: &Desired) {
        let mut alike: BTreeMap<&Parameters, BTreeSet<(AccountId, RegionName)>> = BTreeMap::new();
        for (instance, wanted) in desired.instances.iter().filter(|(_, wanted)| wanted.unit.is_none()) {
            let place = (instance.account.clone(), instance.region.clone());
            alike.entry(&*wanted.overrides).or_default().insert(place);
        }
        for (overrides, places) in alike {
            let mut parameters = desired.parameters.clone();
            parameters.extend(overrides.clone());
            let places = Places::These(Rc::new(places));
            let template = Rc::clone(template);
            self.readings.push(Reading { name: Some(desired.name.to_string()), template, parameters, places });
        }
    }
}

impl Reading {
    /// What the frameworks ask, read for each of the places between which the template makes a difference.
    fn groups(
        &self,
        accounts: &BTreeSet<AccountId>,
        regions: &BTreeSet<RegionName>,
        groups: &mut Vec<Group>,
    ) -> anyhow::Result<()> {
        let (accounts, regions) = match &self.places {
            Places::Everywhere => (accounts.clone(), regions.clone()),
            Places::These(places) => places.iter().cloned().unzip(),
            Places::Units { accounts: filter, regions } => {
                (accounts.iter().filter(|account| filter.admits(account)).cloned().collect(), regions.clone())
            }
        };
        let mut classes = self.template.alike(&accounts, &regions, true);
        if matches!(self.places, Places::Everywhere | Places::Units { .. }) && classes.len() == 1 {
            // It makes no difference: what was asked for is not all that there is.
            for class in classes.iter_mut() {
                class.accounts.clear();
                if matches!(self.places, Places::Everywhere) {
                    class.regions.clear();
                }
            }
        }
        for Alike { accounts, regions, pseudo } in classes {
            let mut group = Group {
                framework: String::new(),
                asked: Vec::new(),
                unknown: Vec::new(),
                places: self.places.clone(),
                accounts,
                regions,
            };
            if matches!(self.places, Places::These(_)) && group.named().next().is_none() {
                continue;
            }
            let mut parameters = self.parameters.clone();
            // What people say is so, though they may say it of the pseudo parameters too.
            for (name, value) in pseudo {
                parameters.entry(name).or_insert(value);
            }
            let frameworks = Framework::read_all(&self.template, &parameters).map_err(|faults| unusable(&faults))?;
            let made = self.template.brings_resources().map(|expansion| {
                let problem = format!("what {} makes cannot be known before a deployment", expansion.what);
                self.unknown(expansion.at, &problem, "evaluate the processed template too")
            });
            if frameworks.is_empty()
                && let Some(made) = &made
            {
                let framework = self.name.clone().unwrap_or_else(|| self.template.file().to_owned());
                group = Group { framework, unknown: vec![made.clone()], ..group };
                groups.push(group);
                continue;
            }
            for framework in frameworks {
                let name = match (&self.name, &framework.name) {
                    (Some(name), _) | (None, Resolved::Text(name)) => name.clone(),
                    (None, Resolved::Absent | Resolved::Unknown) => framework.logical_id.clone(),
                };
                let unknown = framework.unknown.iter().map(|unseen| {
                    let depends = ["AWS::Region", "AWS::AccountId"];
                    let is_open = |name: &&str| !parameters.contains_key(*name) && self.template.depends_on(name);
                    let fix = match depends.iter().any(is_open) {
                        true => "say with --in-account and --in-region where it is asked",
                        false => "look at the framework that is deployed",
                    };
                    self.unknown(unseen.at, &format!("{} is known only at deployment", unseen.what), fix)
                });
                groups.push(Group {
                    framework: name,
                    asked: Asked::all(&framework, &self.template, &parameters),
                    unknown: unknown.chain(made.clone()).collect(),
                    places: self.places.clone(),
                    accounts: group.accounts.clone(),
                    regions: group.regions.clone(),
                });
            }
        }
        Ok(())
    }

    fn unknown(&self, at: Position, problem: &str, fix: &str) -> Fault {
        let problem = format!("{problem}, and nothing of it is judged");
        Fault { rule: Some(UNSEEN), ..Fault::at(self.template.file(), self.template.text(), at, problem, fix) }
    }
}

/// The rule of lint about what is known only at deployment.
const UNSEEN: &str = "BC006";

fn with_event_bus(template: &Template, mut parameters: Parameters) -> Parameters {
    if template.declares(EVENT_BUS_PARAMETER) {
        parameters.entry(EVENT_BUS_PARAMETER.to_owned()).or_insert_with(|| EVENT_BUS.to_owned());
    }
    parameters
}

/// One line about something that cannot be used for its faults.
pub(crate) fn unusable(faults: &[Fault]) -> anyhow::Error {
    let first = faults.first().map(ToString::to_string).unwrap_or_default();
    match faults.len() {
        0 | 1 => anyhow!("{first}"),
        n => anyhow!("{first} (and {} more, see `backup-compliance lint`)", n - 1),
    }
}
