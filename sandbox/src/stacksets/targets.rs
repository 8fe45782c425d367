//! Which instances a request is about: `Accounts`, or `DeploymentTargets` with units and an account filter.

use std::collections::{BTreeMap, BTreeSet};

use super::book::{Fate, Outcome, Place, Set};
use super::{instance_not_found, invalid};
use crate::http::Response;
use crate::organization::Standing;
use crate::wire::Form;

const UNITS: &str = "DeploymentTargets.OrganizationalUnitIds";
const FILTER: &str = "DeploymentTargets.AccountFilterType";

/// The units that a request is about but for accounts that it leaves out: those that are followed from then on.
pub(super) fn whole_units(form: &Form) -> Vec<String> {
    let whole = matches!(form.get(FILTER), None | Some("NONE" | "DIFFERENCE"));
    if whole { form.list(UNITS) } else { Vec::new() }
}

/// Whether no account is filtered.
pub(super) fn without_filter(form: &Form) -> bool {
    matches!(form.get(FILTER), None | Some("NONE"))
}

/// The instances; none for an update of the StackSet that names none.
pub(super) fn outcomes(
    form: &Form,
    set: &Set,
    action: &str,
    standing: &Standing,
    below: impl Fn(&str) -> Option<BTreeSet<String>>,
) -> Result<Vec<Outcome>, Response> {
    let top = form.list("Accounts");
    let within = form.list("DeploymentTargets.Accounts");
    let units = form.list(UNITS);
    let regions = form.list("Regions");
    let update_all = form.get("Action") == Some("UpdateStackSet");
    if update_all && top.is_empty() && within.is_empty() && units.is_empty() && regions.is_empty() {
        return Ok(Vec::new());
    }
    if regions.is_empty() {
        return Err(invalid("Regions must be given"));
    }
    let accounts: BTreeMap<String, Option<String>> = if set.definition.service_managed {
        if units.is_empty() || !top.is_empty() {
            let why = "StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as target";
            return Err(invalid(why));
        }
        in_units(&units, &within, form.get(FILTER), action, standing, below)?
    } else {
        if !units.is_empty() {
            return Err(invalid("StackSets with SELF_MANAGED permission model can only have Account as target"));
        }
        let accounts = if top.is_empty() { within } else { top };
        if accounts.is_empty() {
            return Err(invalid("Accounts must be given"));
        }
        accounts.into_iter().map(|account| (account, None)).collect()
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (account, unit) in &accounts {
        for region in &regions {
            let place: Place = (account.clone(), region.clone());
            let is_there = set.members.contains_key(&place);
            // Whoever names accounts is told of those that are not there; units have whom they have.
            if action == "UPDATE" && !is_there && units.is_empty() {
                return Err(instance_not_found(set.name(), account, region));
            }
            if is_there || action == "CREATE" {
                outcomes.push(Outcome { place, unit: unit.clone(), result: Fate::Succeeds });
            }
        }
    }
    Ok(outcomes)
}

/// The accounts of units, each with the first unit that it is in.
fn in_units(
    units: &[String],
    listed: &[String],
    filter: Option<&str>,
    action: &str,
    standing: &Standing,
    below: impl Fn(&str) -> Option<BTreeSet<String>>,
) -> Result<BTreeMap<String, Option<String>>, Response> {
    let filter = filter.unwrap_or("NONE");
    match (filter, listed.is_empty()) {
        ("NONE", false) => return Err(invalid("AccountFilterType must be given with Accounts")),
        ("INTERSECTION" | "DIFFERENCE" | "UNION", true) => {
            return Err(invalid("Accounts must be given with AccountFilterType"));
        }
        ("UNION", _) if action == "CREATE" => {
            return Err(invalid("AccountFilterType UNION is not supported for CreateStackInstances"));
        }
        ("NONE" | "INTERSECTION" | "DIFFERENCE" | "UNION", _) => {}
        _ => return Err(invalid(&format!("AccountFilterType {filter} is not valid"))),
    }
    let mut accounts = BTreeMap::new();
    for unit in units {
        let Some(members) = below(unit) else {
            return Err(invalid(&format!("OrganizationalUnit {unit} does not exist in the organization")));
        };
        for account in members {
            let wanted = match filter {
                "INTERSECTION" => listed.contains(&account),
                "DIFFERENCE" => !listed.contains(&account),
                _ => true,
            };
            // StackSets with service-managed permissions are never deployed to the management account.
            if wanted && account != standing.management {
                accounts.entry(account).or_insert_with(|| Some(unit.clone()));
            }
        }
    }
    if filter == "UNION" {
        accounts.extend(listed.iter().map(|account| (account.clone(), None)));
    }
    Ok(accounts)
}
