//! The plan as JSON (`schemas/plan.schema.json`).

use serde_json::{Value, json};

use app::plan::{FrameworkPlan, PushPlan, UndeclaredAction, UndeclaredFramework};
use syntax::diagnostic::Diagnostic;

use super::{Planned, Subject};

/// The version of the JSON form. New fields do not change it.
const VERSION: u32 = 1;

pub(super) fn json(subject: &Subject, planned: &Planned) -> Value {
    let nothing = PushPlan {
        declared: Vec::new(),
        frameworks: Vec::new(),
        undeclared: Vec::new(),
        has_records: false,
        removing: false,
    };
    let (outlook, findings): (&PushPlan, &[Diagnostic]) = match planned {
        Ok(outlook) => (outlook, &[]),
        Err(diagnostics) => (&nothing, diagnostics),
    };
    json!({
        "version": VERSION,
        "owner": subject.owner,
        "commit": subject.commit,
        "findings": findings,
        "changes": outlook.is_change(),
        "frameworks": outlook.frameworks.iter().map(framework).collect::<Vec<_>>(),
        "undeclared": outlook.undeclared.iter().map(undeclared).collect::<Vec<_>>(),
        "remembered": outlook.has_records,
        "removing": outlook.removing,
        "notes": subject.notes,
    })
}

fn framework(outlook: &FrameworkPlan) -> Value {
    let mut value = json!(outlook.plan);
    if let Some(fields) = value.as_object_mut() {
        let busy = outlook.running_operation.as_ref().map(|busy| {
            json!({
                "id": busy.id,
                "operation": busy.operation.api_name(),
                "instances": busy.size,
                "since": busy.recorded_at,
            })
        });
        fields.insert("busy".into(), json!(busy));
        fields.insert("leftToFullReconciliation".into(), outlook.left_to_full_reconciliation.into());
    }
    value
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
