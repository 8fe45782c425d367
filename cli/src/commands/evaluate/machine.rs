//! Evaluations as JSON (schemas/evaluation.schema.json) and CSV.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use evaluation::{ComplianceResult, EvaluationCounts, NonComplianceReason, RemediationStep};

use super::{EvaluationWriter, LocatedEvaluation, SummaryRow, UnreadPart};
use crate::findings::machine::{self, without_nulls};
use crate::plain::csv_row;

/// One object, with one list item on each line.
#[derive(Debug, Default)]
pub(super) struct Json {
    items: Items,
}

/// Separates the items of a list.
#[derive(Debug, Default)]
struct Items(bool);

impl Items {
    fn next(&mut self, item: &Value) -> String {
        let comma = if std::mem::replace(&mut self.0, true) { "," } else { "" };
        format!("{comma}\n{item}")
    }
}

impl EvaluationWriter for Json {
    fn begin(&mut self, as_of: Timestamp, frameworks: &[&str]) -> anyhow::Result<String> {
        let (as_of, frameworks) = (json!(as_of.to_string()), json!(frameworks));
        Ok(format!("{{\n\"version\": 1,\n\"asOf\": {as_of},\n\"frameworks\": {frameworks},\n\"evaluations\": ["))
    }

    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<String> {
        Ok(self.items.next(&item(located)))
    }

    fn end(&mut self, rows: &[SummaryRow<'_>], unread: &BTreeSet<UnreadPart>) -> anyhow::Result<String> {
        let row = |row: &SummaryRow<'_>| counts(Some(row.framework), row.control.name, &row.counts);
        let part = |UnreadPart { account, region, part, reason }: &UnreadPart| {
            let reason = Some(reason).filter(|reason| !reason.is_empty());
            without_nulls(json!({ "account": account, "region": region, "part": part, "reason": reason }))
        };
        let (summary, unread): (Value, Value) = (rows.iter().map(row).collect(), unread.iter().map(part).collect());
        let end = if self.items.0 { "\n" } else { "" };
        Ok(format!("{end}],\n\"summary\": {summary},\n\"unread\": {unread}\n}}\n"))
    }
}

pub(crate) fn counts(framework: Option<&str>, control: &str, counts: &EvaluationCounts) -> Value {
    without_nulls(json!({
        "framework": framework,
        "control": control,
        "compliant": counts.compliant,
        "notCompliant": counts.not_compliant,
        "undecided": counts.undecided,
        "exempt": (counts.exempt > 0).then_some(counts.exempt),
    }))
}

fn item(located: &LocatedEvaluation<'_>) -> Value {
    let evaluation = &located.evaluation;
    let mut item = json!({
        "compliance": evaluation.result.word(),
        "framework": located.group.framework,
        "control": evaluation.query.control.name,
        "account": located.account,
        "region": located.region,
        "type": located.kind,
        "id": evaluation.subject.id(),
        "name": evaluation.subject.name(),
        "arn": located.arn(),
        "reason": evaluation.result.to_string(),
        "fix": located.evaluation.fix(),
        "exemption": located.exemption.as_ref().map(|own| json!({ "until": own.until, "reason": own.reason })),
    });
    match &evaluation.result {
        ComplianceResult::NotCompliant(NonComplianceReason::NotSelected(not_selected)) => {
            let closest = not_selected.closest.as_ref().map(|near| {
                let failed: Vec<String> = near.failed.iter().map(ToString::to_string).collect();
                json!({ "plan": near.plan.name, "selection": near.selection.name, "failed": failed })
            });
            machine::set(&mut item, "closestSelection", closest.into());
            machine::set(&mut item, "remediation", not_selected.steps.iter().map(change).collect());
            machine::set(&mut item, "cluster", not_selected.cluster.into());
        }
        ComplianceResult::Undecided(unknown) => {
            machine::set(&mut item, "uncertainties", unknown.iter().map(ToString::to_string).collect());
        }
        ComplianceResult::Compliant(_) | ComplianceResult::NotCompliant(_) => {}
    }
    without_nulls(item)
}

fn change(change: &RemediationStep<'_>) -> Value {
    without_nulls(match change {
        RemediationStep::SetTag { key, value, current, .. } => {
            json!({ "kind": "setTag", "key": key, "value": value, "current": current })
        }
        RemediationStep::RemoveTag { key, current } => {
            json!({ "kind": "removeTag", "key": key, "current": current })
        }
        RemediationStep::AddArn { plan, selection, arn } => {
            json!({ "kind": "addArn", "plan": plan.name, "selection": selection.name, "arn": arn })
        }
        RemediationStep::TurnOnAutomaticBackups => json!({ "kind": "turnOnAutomaticBackups" }),
        RemediationStep::OptIn { account, region, service } => {
            json!({ "kind": "optIn", "account": account, "region": region, "service": service })
        }
    })
}

/// One row for each evaluation.
#[derive(Debug)]
pub(super) struct Csv;

impl EvaluationWriter for Csv {
    fn begin(&mut self, _: Timestamp, _: &[&str]) -> anyhow::Result<String> {
        let of_resource = "resource_type,resource_id,resource_name,resource_arn";
        Ok(format!(
            "framework,control,account,region,{of_resource},compliance,reason,fix,exempt_until,exemption_reason\r\n"
        ))
    }

    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<String> {
        let (evaluation, exemption) = (&located.evaluation, located.exemption.as_ref());
        csv_row(&[
            &located.group.framework,
            evaluation.query.control.name,
            located.account.as_str(),
            located.region.as_str(),
            located.kind,
            evaluation.subject.id(),
            evaluation.subject.name().unwrap_or_default(),
            located.arn().unwrap_or_default(),
            evaluation.result.word(),
            &evaluation.result.to_string(),
            &located.evaluation.fix().unwrap_or_default(),
            &exemption.map(|own| own.until.to_string()).unwrap_or_default(),
            exemption.map(|own| own.reason.as_str()).unwrap_or_default(),
        ])
    }
}
