//! The plan for programs: `schemas/plan.schema.json`.

use app::plan::{FrameworkOutlook, Outlook, Undeclared, UndeclaredFate};
use domain::fault::Fault;
use domain::rollout::plan::Plan;
use serde_json::{Value, json};

use super::{Planned, Subject};

/// The version of the JSON form. Fields are added without a new one.
const VERSION: u32 = 1;

pub(super) fn json(subject: &Subject, planned: &Planned) -> Value {
    let nothing = Outlook {
        declared: Vec::new(),
        frameworks: Vec::new(),
        undeclared: Vec::new(),
        remembered: false,
        removing: false,
    };
    let (outlook, findings): (&Outlook, &[Fault]) = match planned {
        Ok(outlook) => (outlook, &[]),
        Err(faults) => (&nothing, faults),
    };
    json!({
        "version": VERSION,
        "owner": subject.owner,
        "commit": subject.commit,
        "findings": findings,
        "changes": outlook.is_change(),
        "frameworks": outlook.frameworks.iter().map(framework).collect::<Vec<_>>(),
        "undeclared": outlook.undeclared.iter().map(undeclared).collect::<Vec<_>>(),
        "remembered": outlook.remembered,
        "removing": outlook.removing,
        "notes": subject.notes,
    })
}

fn framework(outlook: &FrameworkOutlook) -> Value {
    let mut value = plan(&outlook.plan);
    if let Some(fields) = value.as_object_mut() {
        let busy = outlook.busy.as_ref().map(|busy| {
            json!({
                "id": busy.id,
                "operation": busy.operation.api(),
                "instances": busy.size,
                "since": busy.since,
            })
        });
        fields.insert("busy".into(), json!(busy));
        fields.insert("leftToFullLook".into(), outlook.left_to_full_look.into());
    }
    value
}

fn plan(plan: &Plan) -> Value {
    json!(plan)
}

fn undeclared(undeclared: &Undeclared) -> Value {
    let (fate, removal) = match &undeclared.fate {
        UndeclaredFate::Left => ("left", None),
        UndeclaredFate::NotOurs => ("notOurs", None),
        UndeclaredFate::Gone => ("gone", None),
        UndeclaredFate::Removed(removal) => ("removed", Some(plan(removal))),
    };
    json!({ "stackSet": undeclared.name, "commit": undeclared.commit, "fate": fate, "plan": removal })
}
