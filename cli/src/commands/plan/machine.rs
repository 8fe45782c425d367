//! The plan as JSON (`schemas/plan.schema.json`).

use serde_json::{Value, json};

use app::deploy::InFlight;
use app::plan::{FrameworkPlan, PushPlan, UndeclaredAction, UndeclaredFramework};

use super::{Planned, PlannedState};
use crate::findings::machine::set;

pub(super) fn json(subject: &PlannedState, planned: &Planned) -> Value {
    let outlook = planned.as_ref().ok();
    let frameworks = outlook.iter().flat_map(|outlook| &outlook.frameworks);
    let undeclared = outlook.iter().flat_map(|outlook| &outlook.undeclared);
    json!({
        "version": 1,
        "owner": subject.owner,
        "commit": subject.commit,
        "findings": planned.as_ref().err().map(Vec::as_slice).unwrap_or_default(),
        "changes": outlook.is_some_and(PushPlan::is_change),
        "frameworks": frameworks.map(framework).collect::<Vec<_>>(),
        "undeclared": undeclared.map(self::undeclared).collect::<Vec<_>>(),
        "remembered": outlook.is_some_and(|outlook| outlook.has_records),
        "removing": outlook.is_some_and(|outlook| outlook.removing),
        "notes": subject.notes,
    })
}

fn framework(outlook: &FrameworkPlan) -> Value {
    let mut value = json!(outlook.plan);
    set(&mut value, "busy", json!(outlook.running_operation.as_ref().map(operation)));
    set(&mut value, "leftToFullReconciliation", outlook.left_to_full_reconciliation.into());
    value
}

pub(crate) fn operation(in_flight: &InFlight) -> Value {
    let InFlight { id, operation, size, recorded_at } = in_flight;
    json!({ "id": id, "operation": operation.api_name(), "instances": size, "since": recorded_at })
}

fn undeclared(undeclared: &UndeclaredFramework) -> Value {
    let (action, removal) = match &undeclared.action {
        UndeclaredAction::Keep => ("left", None),
        UndeclaredAction::OtherOwner => ("notOurs", None),
        UndeclaredAction::Missing => ("gone", None),
        UndeclaredAction::Remove(removal) => ("removed", Some(removal)),
    };
    json!({ "stackSet": undeclared.name, "commit": undeclared.commit, "action": action, "plan": removal })
}
