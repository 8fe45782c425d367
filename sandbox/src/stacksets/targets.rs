//! The instances of a request: `Accounts`, or `DeploymentTargets` with units and an account filter.

use std::collections::{BTreeMap, BTreeSet};

use super::book::{InstanceOutcome, InstanceResult, StackSetRecord};
use super::errors::{ServiceResult, instance_not_found, invalid};
use crate::organization::AccountRestrictions;
use crate::wire::Form;

const UNITS: &str = "DeploymentTargets.OrganizationalUnitIds";
const FILTER: &str = "DeploymentTargets.AccountFilterType";

/// Returns the units that auto-deployment follows from now on: those without a filter or with `DIFFERENCE`.
pub(super) fn whole_units(form: &Form) -> Vec<String> {
    let whole = matches!(form.get(FILTER), None | Some("NONE" | "DIFFERENCE"));
    if whole { form.list(UNITS) } else { Vec::new() }
}

/// Whether the request has no account filter.
pub(super) fn without_filter(form: &Form) -> bool {
    matches!(form.get(FILTER), None | Some("NONE"))
}

/// Returns the instances of a request; none for an `UpdateStackSet` without targets.
pub(super) fn outcomes(
    form: &Form,
    set: &StackSetRecord,
    action: &str,
    restrictions: &AccountRestrictions,
    below: impl Fn(&str) -> Option<BTreeSet<String>>,
) -> ServiceResult<Vec<InstanceOutcome>> {
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
        in_units(&units, &within, form.get(FILTER), action, restrictions, below)?
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
    let mut outcomes: Vec<InstanceOutcome> = Vec::new();
    for (account, unit) in &accounts {
        for region in &regions {
            let location = (account.clone(), region.clone());
            let exists = set.members.contains_key(&location);
            // Accounts must exist as instances; units need not.
            if action == "UPDATE" && !exists && units.is_empty() {
                return Err(instance_not_found(set.name(), &location));
            }
            if exists || action == "CREATE" {
                outcomes.push(InstanceOutcome { location, unit: unit.clone(), result: InstanceResult::Succeeded });
            }
        }
    }
    Ok(outcomes)
}

/// Returns the accounts of units, each with the first of its units.
fn in_units(
    units: &[String],
    listed: &[String],
    filter: Option<&str>,
    action: &str,
    restrictions: &AccountRestrictions,
    below: impl Fn(&str) -> Option<BTreeSet<String>>,
) -> ServiceResult<BTreeMap<String, Option<String>>> {
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
            let is_selected = match filter {
                "INTERSECTION" => listed.contains(&account),
                "DIFFERENCE" => !listed.contains(&account),
                _ => true,
            };
            // StackSets with service-managed permissions are not deployed to the management account.
            if is_selected && account != restrictions.management {
                accounts.entry(account).or_insert_with(|| Some(unit.clone()));
            }
        }
    }
    if filter == "UNION" {
        accounts.extend(listed.iter().map(|account| (account.clone(), None)));
    }
    Ok(accounts)
}
