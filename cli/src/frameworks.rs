//! What frameworks ask, and where: of a template on its own, or of a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use domain::evaluation::Asked;
use domain::fault::Fault;
use domain::framework::Framework;
use domain::ids::{AccountId, RegionName};
use domain::rollout::{AccountFilter, Desired};
use domain::template::{Resolved, Template};

use crate::repository::{self, EVENT_BUS, EVENT_BUS_PARAMETER};

type Parameters = BTreeMap<String, String>;

/// Everything that is asked.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    pub(crate) groups: Vec<Group>,
    /// What should be known about how they were read.
    pub(crate) remarks: Vec<String>,
    /// The parameters that the framework template declares; a policy gives its own.
    pub(crate) parameters: Vec<String>,
}

/// What a framework asks in some places.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) framework: String,
    pub(crate) asked: Vec<Asked>,
    places: Places,
}

#[derive(Debug)]
enum Places {
    Everywhere,
    These(BTreeSet<(AccountId, RegionName)>),
    /// Accounts of organizational units, which only the organisation knows.
    Units {
        accounts: AccountFilter,
        regions: BTreeSet<RegionName>,
    },
}

impl Group {
    /// Whether it asks in this account and Region; whatever is not known may be any.
    pub(crate) fn applies(&self, account: Option<&AccountId>, region: Option<&RegionName>) -> bool {
        match &self.places {
            Places::Everywhere => true,
            Places::These(places) => places.iter().any(|(own_account, own_region)| {
                account.is_none_or(|account| account == own_account) && region.is_none_or(|region| region == own_region)
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
            Places::These(places) => Some(places),
            Places::Everywhere | Places::Units { .. } => None,
        };
        named.into_iter().flatten().map(|(account, region)| (account, region))
    }
}

impl Questions {
    /// Reads a framework template, a policy file, or the policy of a folder.
    ///
    /// # Errors
    /// When it cannot be read, or lint finds an error in it.
    pub(crate) fn read(path: &Path, root: Option<&Path>, given: &Parameters) -> anyhow::Result<Self> {
        let mut questions = Self::default();
        let text = if path.is_dir() {
            None
        } else {
            let text = repository::read(path);
            Some(text.with_context(|| format!("cannot read the framework `{}`", path.display()))?)
        };
        match text.filter(|text| Template::is_meant(text)) {
            Some(text) => {
                let file = path.display().to_string();
                let template = Template::read(&file, &text).map_err(|faults| unusable(&faults))?;
                questions.parameters = template.parameters().keys().cloned().collect();
                let is_own = |name: &String| template.declares(name) || name.starts_with("AWS::");
                let own: Parameters =
                    given.iter().filter(|(name, _)| is_own(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
                let own = with_event_bus(&template, own);
                for (name, asked) in asked(&template, &own).map_err(|faults| unusable(&faults))? {
                    questions.groups.push(Group { framework: name, asked, places: Places::Everywhere });
                }
            }
            None => questions.policy(path, root)?,
        }
        if questions.groups.is_empty() {
            return Err(anyhow!("`{}` has no AWS::Backup::Framework that is in force", path.display()));
        }
        Ok(questions)
    }

    fn policy(&mut self, path: &Path, root: Option<&Path>) -> anyhow::Result<()> {
        let wanted = repository::policy(path, root)?.map_err(|faults| unusable(&faults))?;
        for framework in &wanted.frameworks {
            let desired = &framework.desired;
            let name = desired.name.to_string();
            let template = Template::read(&name, &desired.template).map_err(|faults| unusable(&faults))?;
            self.listed(&template, desired)?;
            for target in desired.permissions.service_managed().into_iter().flat_map(|service| &service.targets) {
                let mut parameters = desired.parameters.clone();
                parameters.extend(target.overrides.clone());
                for (_, asked) in asked(&template, &parameters).map_err(|faults| unusable(&faults))? {
                    let places = Places::Units { accounts: target.accounts.clone(), regions: target.regions.clone() };
                    self.groups.push(Group { framework: name.clone(), asked, places });
                }
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

    /// The instances that a framework lists, those together that are asked the same.
    fn listed(&mut self, template: &Template, desired: &Desired) -> anyhow::Result<()> {
        let name = desired.name.to_string();
        let mut known: BTreeMap<Parameters, usize> = BTreeMap::new();
        for (instance, wanted) in desired.instances.iter().filter(|(_, wanted)| wanted.unit.is_none()) {
            let mut parameters = desired.parameters.clone();
            parameters.extend((*wanted.overrides).clone());
            let place = (instance.account.clone(), instance.region.clone());
            if let Some(Group { places: Places::These(places), .. }) =
                known.get(&parameters).and_then(|group| self.groups.get_mut(*group))
            {
                places.insert(place);
                continue;
            }
            let mut of_place = parameters.clone();
            let plain = asked(template, &parameters);
            // A template whose frameworks depend on where they are is read for each place.
            let is_plain = plain.as_ref().is_ok_and(|all| all.iter().all(|(_, asked)| asked.iter().all(is_known)));
            let all = if is_plain {
                plain
            } else {
                of_place.insert("AWS::AccountId".to_owned(), instance.account.to_string());
                of_place.insert("AWS::Region".to_owned(), instance.region.to_string());
                asked(template, &of_place)
            };
            let all = all.map_err(|faults| unusable(&faults))?;
            let is_one = all.len() == 1;
            for (_, asked) in all {
                let places = Places::These([place.clone()].into());
                self.groups.push(Group { framework: name.clone(), asked, places });
            }
            if is_plain && is_one {
                known.insert(parameters, self.groups.len().saturating_sub(1));
            }
        }
        Ok(())
    }
}

fn is_known(asked: &Asked) -> bool {
    asked.unknown.is_empty() && asked.scope != domain::evaluation::Narrowed::Unknown
}

/// The frameworks of a template and what each of them asks.
fn asked(template: &Template, parameters: &Parameters) -> Result<Vec<(String, Vec<Asked>)>, Vec<Fault>> {
    let frameworks = Framework::read_all(template, parameters)?;
    let named = frameworks.iter().map(|framework| {
        let name = match &framework.name {
            Resolved::Text(name) => name.clone(),
            Resolved::Absent | Resolved::Unknown => framework.logical_id.clone(),
        };
        (name, Asked::all(framework, template, parameters))
    });
    Ok(named.collect())
}

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
