//! Evaluations as JSON (schemas/evaluation.schema.json), CSV and SARIF 2.1.0.

use jiff::Timestamp;
use serde_json::{Value, json};

use evaluation::{ComplianceResult, EvaluationCounts, NonComplianceReason, RemediationStep, Subject};
use framework::control::CONTROLS;

use super::human::{MOST, fix, unread_line};
use super::out::{self, EvaluationWriter};
use super::{LocatedEvaluation, SummaryRow, UnreadPart};
use crate::findings::machine;
use crate::output;
use crate::plain::csv_row;

/// One object, with one list item on each line.
#[derive(Debug, Default)]
pub(super) struct Json {
    some: bool,
}

impl EvaluationWriter for Json {
    fn begin(&mut self, as_of: Timestamp, frameworks: &[&str]) -> anyhow::Result<()> {
        let (as_of, frameworks) = (json!(as_of.to_string()), json!(frameworks));
        out::write(&format!(
            "{{\n\"version\": 1,\n\"asOf\": {as_of},\n\"frameworks\": {frameworks},\n\"evaluations\": ["
        ))
    }

    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<()> {
        let comma = if self.some { "," } else { "" };
        self.some = true;
        out::write(&format!("{comma}\n{}", item(located)))
    }

    fn end(&mut self, rows: &[SummaryRow], unread: &[UnreadPart]) -> anyhow::Result<()> {
        let summary: Vec<Value> = rows
            .iter()
            .map(|row| {
                let mut item = counts(&row.counts);
                machine::set(&mut item, "framework", row.framework.as_str().into());
                machine::set(&mut item, "control", row.control.name.into());
                item
            })
            .collect();
        let unread: Vec<Value> = unread
            .iter()
            .map(|UnreadPart { account, region, part, reason }| {
                let mut item = json!({ "account": account, "region": region });
                if let Some(part) = part {
                    machine::set(&mut item, "part", part.as_str().into());
                }
                if !reason.is_empty() {
                    machine::set(&mut item, "reason", reason.as_str().into());
                }
                item
            })
            .collect();
        let end = if self.some { "\n" } else { "" };
        out::write(&format!("{end}],\n\"summary\": {},\n\"unread\": {}\n}}\n", json!(summary), json!(unread)))?;
        out::flush()
    }
}

pub(crate) fn counts(counts: &EvaluationCounts) -> Value {
    json!({ "compliant": counts.compliant, "notCompliant": counts.not_compliant, "undecided": counts.undecided })
}

fn item(located: &LocatedEvaluation<'_>) -> Value {
    let evaluation = &located.evaluation;
    let mut item = json!({
        "compliance": evaluation.result.word(),
        "framework": located.framework,
        "control": evaluation.query.control.name,
        "account": located.account,
        "region": located.region,
        "type": located.kind,
        "id": evaluation.subject.id(),
        "reason": evaluation.result.to_string(),
    });
    if let Some(name) = evaluation.subject.name() {
        machine::set(&mut item, "name", name.into());
    }
    if let Subject::Resource(resource) = evaluation.subject {
        machine::set(&mut item, "arn", resource.arn().into());
    }
    match &evaluation.result {
        ComplianceResult::Compliant(_) => {}
        ComplianceResult::NotCompliant(reason) => {
            machine::set(&mut item, "fix", fix(reason, evaluation.query.control.remediation).into());
            if let NonComplianceReason::NotSelected(not_selected) = reason {
                if let Some(near) = &not_selected.closest {
                    machine::set(
                        &mut item,
                        "closestSelection",
                        json!({
                            "plan": near.plan.name,
                            "selection": near.selection.name,
                            "failed": near.failed.iter().map(ToString::to_string).collect::<Vec<_>>(),
                        }),
                    );
                }
                machine::set(&mut item, "remediation", not_selected.steps.iter().map(change).collect());
                if let Some(cluster) = not_selected.cluster {
                    machine::set(&mut item, "cluster", cluster.into());
                }
            }
        }
        ComplianceResult::Undecided(unknown) => {
            machine::set(&mut item, "uncertainties", unknown.iter().map(ToString::to_string).collect());
        }
    }
    item
}

fn change(change: &RemediationStep<'_>) -> Value {
    let with_current = |mut item: Value, current: &Option<&str>| {
        if let Some(current) = current {
            machine::set(&mut item, "current", (*current).into());
        }
        item
    };
    match change {
        RemediationStep::SetTag { key, value, current } => {
            with_current(json!({ "kind": "setTag", "key": key, "value": value }), current)
        }
        RemediationStep::RemoveTag { key, current } => {
            with_current(json!({ "kind": "removeTag", "key": key }), current)
        }
        RemediationStep::AddArn { plan, selection, arn } => {
            json!({ "kind": "addArn", "plan": plan.name, "selection": selection.name, "arn": arn })
        }
        RemediationStep::OptIn { account, region, service } => {
            json!({ "kind": "optIn", "account": account, "region": region, "service": service })
        }
    }
}

/// One row for each evaluation.
#[derive(Debug)]
pub(super) struct Csv;

impl EvaluationWriter for Csv {
    fn begin(&mut self, _: Timestamp, _: &[&str]) -> anyhow::Result<()> {
        out::write(&csv_row(&[
            "framework",
            "control",
            "account",
            "region",
            "resource_type",
            "resource_id",
            "resource_name",
            "resource_arn",
            "compliance",
            "reason",
            "fix",
        ])?)
    }

    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<()> {
        let evaluation = &located.evaluation;
        let arn = match evaluation.subject {
            Subject::Resource(resource) => resource.arn(),
            _ => "",
        };
        let fix = match &evaluation.result {
            ComplianceResult::NotCompliant(reason) => fix(reason, evaluation.query.control.remediation),
            ComplianceResult::Compliant(_) | ComplianceResult::Undecided(_) => String::new(),
        };
        out::write(&csv_row(&[
            located.framework,
            evaluation.query.control.name,
            located.account.as_str(),
            located.region.as_str(),
            located.kind,
            evaluation.subject.id(),
            evaluation.subject.name().unwrap_or_default(),
            arn,
            evaluation.result.word(),
            &evaluation.result.to_string(),
            &fix,
        ])?)
    }

    fn end(&mut self, _: &[SummaryRow], unread: &[UnreadPart]) -> anyhow::Result<()> {
        out::flush()?;
        // Unread parts are not evaluations, so they have no rows.
        unread.iter().take(MOST).for_each(|unread| output::note(&format!("not read: {}", unread_line(unread))));
        if unread.len() > MOST {
            output::note(&format!("and {} more unread parts", unread.len() - MOST));
        }
        Ok(())
    }
}

/// Results without file positions: their subjects are in AWS, named by ARN or id.
#[derive(Debug, Default)]
pub(super) struct Sarif {
    some: bool,
    tail: String,
}

impl EvaluationWriter for Sarif {
    fn begin(&mut self, _: Timestamp, _: &[&str]) -> anyhow::Result<()> {
        let rules: Vec<Value> = CONTROLS.iter().map(|control| machine::rule(control.name)).collect();
        let frame = serde_json::to_string_pretty(&machine::sarif_log(&rules, Vec::new()))?;
        // The list of results is the only empty one.
        let (head, tail) = frame.split_once("\"results\": []").unwrap_or((&frame, ""));
        tail.clone_into(&mut self.tail);
        out::write(&format!("{head}\"results\": ["))
    }

    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<()> {
        let evaluation = &located.evaluation;
        let (level, kind, more) = match &evaluation.result {
            ComplianceResult::Compliant(_) => ("none", "pass", String::new()),
            ComplianceResult::NotCompliant(reason) => {
                ("error", "fail", format!("; {}", fix(reason, evaluation.query.control.remediation)))
            }
            ComplianceResult::Undecided(_) => ("none", "open", String::new()),
        };
        let subject = match evaluation.subject {
            Subject::Resource(resource) => resource.arn(),
            other => return self.result(located, level, kind, &more, other.id()),
        };
        self.result(located, level, kind, &more, subject)
    }

    fn end(&mut self, _: &[SummaryRow], _: &[UnreadPart]) -> anyhow::Result<()> {
        out::write(&format!("\n]{}\n", self.tail))?;
        out::flush()
    }
}

impl Sarif {
    fn result(
        &mut self,
        located: &LocatedEvaluation<'_>,
        level: &str,
        kind: &str,
        more: &str,
        subject: &str,
    ) -> anyhow::Result<()> {
        let control = located.evaluation.query.control;
        let name = located.evaluation.subject.name().unwrap_or(subject);
        let result = json!({
            "ruleId": control.name,
            "ruleIndex": CONTROLS.iter().position(|own| own == control),
            "level": level,
            "kind": kind,
            "message": { "text": format!(
                "{name} ({}) in account {} in {}: {}{more}", located.kind, located.account, located.region, located.evaluation.result
            ) },
            "locations": [{ "logicalLocations": [{ "name": name, "fullyQualifiedName": subject, "kind": "resource" }] }],
        });
        let comma = if self.some { "," } else { "" };
        self.some = true;
        out::write(&format!("{comma}\n{result}"))
    }
}
