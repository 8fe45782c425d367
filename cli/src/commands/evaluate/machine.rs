//! Judgements for programs and spreadsheets: JSON (schemas/evaluation.schema.json), CSV and SARIF 2.1.0.

use domain::control::CONTROLS;
use domain::evaluation::{Change, Flaw, Subject, Tally, Verdict};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::human::{MOST, fix, unread_line};
use super::out::{self, Out};
use super::{Row, Told, Unread};
use crate::findings::machine;
use crate::output;
use crate::plain::csv_row;

/// One object; its lists are written an item a line.
#[derive(Debug, Default)]
pub(super) struct Json {
    some: bool,
}

impl Out for Json {
    fn begin(&mut self, as_of: Timestamp, frameworks: &[&str]) -> anyhow::Result<()> {
        let (as_of, frameworks) = (json!(as_of.to_string()), json!(frameworks));
        out::write(&format!(
            "{{\n\"version\": 1,\n\"asOf\": {as_of},\n\"frameworks\": {frameworks},\n\"judgements\": ["
        ))
    }

    fn one(&mut self, told: &Told<'_>) -> anyhow::Result<()> {
        let comma = if self.some { "," } else { "" };
        self.some = true;
        out::write(&format!("{comma}\n{}", item(told)))
    }

    fn end(&mut self, rows: &[Row], unread: &[Unread]) -> anyhow::Result<()> {
        let summary: Vec<Value> = rows
            .iter()
            .map(|row| {
                let mut item = tally(&row.tally);
                machine::set(&mut item, "framework", row.framework.as_str().into());
                machine::set(&mut item, "control", row.control.name.into());
                item
            })
            .collect();
        let unread: Vec<Value> = unread
            .iter()
            .map(|Unread { account, region, part, why }| {
                let mut item = json!({ "account": account, "region": region });
                if let Some(part) = part {
                    machine::set(&mut item, "part", part.as_str().into());
                }
                if !why.is_empty() {
                    machine::set(&mut item, "why", why.as_str().into());
                }
                item
            })
            .collect();
        let end = if self.some { "\n" } else { "" };
        out::write(&format!("{end}],\n\"summary\": {},\n\"unread\": {}\n}}\n", json!(summary), json!(unread)))?;
        out::flush()
    }
}

/// How many judgements there are of each kind.
pub(crate) fn tally(tally: &Tally) -> Value {
    json!({ "compliant": tally.compliant, "notCompliant": tally.not_compliant, "undecided": tally.undecided })
}

fn item(told: &Told<'_>) -> Value {
    let judgement = &told.judgement;
    let mut item = json!({
        "verdict": judgement.verdict.word(),
        "framework": told.framework,
        "control": judgement.asked.control.name,
        "account": told.account,
        "region": told.region,
        "type": told.kind,
        "id": judgement.subject.id(),
        "reason": judgement.verdict.to_string(),
    });
    if let Some(name) = judgement.subject.name() {
        machine::set(&mut item, "name", name.into());
    }
    if let Subject::Resource(resource) = judgement.subject {
        machine::set(&mut item, "arn", resource.arn().into());
    }
    match &judgement.verdict {
        Verdict::Compliant(_) => {}
        Verdict::NotCompliant(flaw) => {
            machine::set(&mut item, "fix", fix(flaw, judgement.asked.control.remediation).into());
            if let Flaw::NotSelected(miss) = flaw {
                if let Some(near) = &miss.nearest {
                    machine::set(
                        &mut item,
                        "nearest",
                        json!({
                            "plan": near.plan.name,
                            "selection": near.selection.name,
                            "failed": near.failed.iter().map(ToString::to_string).collect::<Vec<_>>(),
                        }),
                    );
                }
                machine::set(&mut item, "changes", miss.changes.iter().map(change).collect());
                if let Some(cluster) = miss.cluster {
                    machine::set(&mut item, "cluster", cluster.into());
                }
            }
        }
        Verdict::Undecided(unknown) => {
            machine::set(&mut item, "unknown", unknown.iter().map(ToString::to_string).collect());
        }
    }
    item
}

fn change(change: &Change<'_>) -> Value {
    let with_now = |mut item: Value, now: &Option<&str>| {
        if let Some(now) = now {
            machine::set(&mut item, "now", (*now).into());
        }
        item
    };
    match change {
        Change::SetTag { key, value, now } => with_now(json!({ "kind": "setTag", "key": key, "value": value }), now),
        Change::RemoveTag { key, now } => with_now(json!({ "kind": "removeTag", "key": key }), now),
        Change::AddArn { plan, selection, arn } => {
            json!({ "kind": "addArn", "plan": plan.name, "selection": selection.name, "arn": arn })
        }
        Change::OptIn { account, region, service } => {
            json!({ "kind": "optIn", "account": account, "region": region, "service": service })
        }
    }
}

/// A row for each judgement.
#[derive(Debug)]
pub(super) struct Csv;

impl Out for Csv {
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
            "verdict",
            "reason",
            "fix",
        ])?)
    }

    fn one(&mut self, told: &Told<'_>) -> anyhow::Result<()> {
        let judgement = &told.judgement;
        let arn = match judgement.subject {
            Subject::Resource(resource) => resource.arn(),
            _ => "",
        };
        let fix = match &judgement.verdict {
            Verdict::NotCompliant(flaw) => fix(flaw, judgement.asked.control.remediation),
            Verdict::Compliant(_) | Verdict::Undecided(_) => String::new(),
        };
        out::write(&csv_row(&[
            told.framework,
            judgement.asked.control.name,
            told.account.as_str(),
            told.region.as_str(),
            told.kind,
            judgement.subject.id(),
            judgement.subject.name().unwrap_or_default(),
            arn,
            judgement.verdict.word(),
            &judgement.verdict.to_string(),
            &fix,
        ])?)
    }

    fn end(&mut self, _: &[Row], unread: &[Unread]) -> anyhow::Result<()> {
        out::flush()?;
        // A row is a judgement, and these are none.
        unread.iter().take(MOST).for_each(|unread| output::note(&format!("not read: {}", unread_line(unread))));
        if unread.len() > MOST {
            output::note(&format!("and {} more that were not read", unread.len() - MOST));
        }
        Ok(())
    }
}

/// Results without places in files: what they are about is in AWS, and named by its ARN or id.
#[derive(Debug, Default)]
pub(super) struct Sarif {
    some: bool,
    tail: String,
}

impl Out for Sarif {
    fn begin(&mut self, _: Timestamp, _: &[&str]) -> anyhow::Result<()> {
        let rules: Vec<Value> = CONTROLS.iter().map(|control| machine::rule(control.name)).collect();
        let frame = serde_json::to_string_pretty(&machine::sarif_log(&rules, Vec::new()))?;
        // The list of results is the only one that is empty.
        let (head, tail) = frame.split_once("\"results\": []").unwrap_or((&frame, ""));
        tail.clone_into(&mut self.tail);
        out::write(&format!("{head}\"results\": ["))
    }

    fn one(&mut self, told: &Told<'_>) -> anyhow::Result<()> {
        let judgement = &told.judgement;
        let (level, kind, more) = match &judgement.verdict {
            Verdict::Compliant(_) => ("none", "pass", String::new()),
            Verdict::NotCompliant(flaw) => {
                ("error", "fail", format!("; {}", fix(flaw, judgement.asked.control.remediation)))
            }
            Verdict::Undecided(_) => ("none", "open", String::new()),
        };
        let subject = match judgement.subject {
            Subject::Resource(resource) => resource.arn(),
            other => return self.result(told, level, kind, &more, other.id()),
        };
        self.result(told, level, kind, &more, subject)
    }

    fn end(&mut self, _: &[Row], _: &[Unread]) -> anyhow::Result<()> {
        out::write(&format!("\n]{}\n", self.tail))?;
        out::flush()
    }
}

impl Sarif {
    fn result(&mut self, told: &Told<'_>, level: &str, kind: &str, more: &str, subject: &str) -> anyhow::Result<()> {
        let control = told.judgement.asked.control;
        let name = told.judgement.subject.name().unwrap_or(subject);
        let result = json!({
            "ruleId": control.name,
            "ruleIndex": CONTROLS.iter().position(|own| own == control),
            "level": level,
            "kind": kind,
            "message": { "text": format!(
                "{name} ({}) in account {} in {}: {}{more}", told.kind, told.account, told.region, told.judgement.verdict
            ) },
            "locations": [{ "logicalLocations": [{ "name": name, "fullyQualifiedName": subject, "kind": "resource" }] }],
        });
        let comma = if self.some { "," } else { "" };
        self.some = true;
        out::write(&format!("{comma}\n{result}"))
    }
}
