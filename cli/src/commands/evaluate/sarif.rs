//! Evaluations as SARIF 2.1.0. The position of a result is that of its item in the inventory document.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};

use evaluation::inventory::item_spans;
use evaluation::{ComplianceResult, ViolationExemption};
use framework::control::CONTROLS;

use super::{EvaluationWriter, LocatedEvaluation, SummaryRow, UnreadPart};
use crate::findings::machine::set;
use crate::findings::sarif::{self, FINGERPRINT, WorstResults, fingerprint, physical_location};
use crate::input;

/// Keeps the worst results and reads the documents again at the end, so that a million evaluations need no memory.
#[derive(Debug)]
pub(super) struct Sarif {
    inventories: Vec<PathBuf>,
    results: WorstResults<KeptResult>,
    has_exempt: bool,
}

#[derive(Debug)]
struct KeptResult {
    result: Value,
    document_key: String,
    logical: Value,
}

impl Sarif {
    pub(super) fn new(inventories: &[PathBuf]) -> Self {
        Self { inventories: inventories.to_vec(), results: WorstResults::default(), has_exempt: false }
    }

    /// Returns the physical locations of items by their keys.
    fn locations(&self, mut wanted: BTreeSet<String>) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for path in self.inventories.iter().filter(|path| input::is_repeatable(path)) {
            if wanted.is_empty() {
                break;
            }
            let Ok(text) = input::text(path, input::INVENTORY) else { continue };
            for (key, (from, to)) in item_spans(&text, &wanted) {
                wanted.remove(&key);
                found.insert(key, physical_location(&input::name(path), Some(from), Some(to)));
            }
        }
        found
    }
}

impl EvaluationWriter for Sarif {
    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<String> {
        let LocatedEvaluation { group, account, region, kind: of_type, evaluation, exemption } = located;
        let (rank, level, kind) = match (&evaluation.result, exemption) {
            (ComplianceResult::NotCompliant(_), None) => (0, "error", "fail"),
            (ComplianceResult::Undecided(_), _) => (1, "none", "open"),
            // Code scanning shows suppressed results too.
            (ComplianceResult::NotCompliant(_), Some(_)) => (2, "note", "fail"),
            (ComplianceResult::Compliant(_), _) => (3, "none", "pass"),
        };
        let control = evaluation.query.control;
        let (subject, id) = (&evaluation.subject, evaluation.subject.id());
        let full_name = located.arn().unwrap_or(id);
        let name = subject.name().unwrap_or(full_name);
        let fix = located.evaluation.fix().map(|fix| format!("; {fix}")).unwrap_or_default();
        let text = format!("{name} ({of_type}) in account {account} in {region}: {}{fix}", evaluation.result);
        let identity = json!([group.framework, control.name, account, region, of_type, full_name, id]);
        let mut result = json!({
            "ruleId": control.name,
            "ruleIndex": CONTROLS.iter().position(|own| own == control),
            "level": level,
            "kind": kind,
            "message": { "text": text },
            "partialFingerprints": { FINGERPRINT: fingerprint(&identity) },
        });
        if let Some(ViolationExemption { until, reason }) = exemption {
            self.has_exempt = true;
            let justification = format!("exempt until {until}: {reason}");
            set(&mut result, "suppressions", json!([{ "kind": "external", "justification": justification }]));
        }
        let at = group.controls.get(control.name).copied();
        set(&mut result, "locations", json!([{ "physicalLocation": physical_location(&group.template, at, None) }]));
        let logical = json!([{ "name": name, "fullyQualifiedName": full_name, "kind": "resource" }]);
        let document_key = subject.document_key(account, region);
        self.results.push(rank, KeptResult { result, document_key, logical });
        Ok(String::new())
    }

    fn end(&mut self, _: &[SummaryRow<'_>], _: &BTreeSet<UnreadPart>) -> anyhow::Result<String> {
        let kept = std::mem::take(&mut self.results).into_worst_first();
        let locations = self.locations(kept.iter().map(|kept| kept.document_key.clone()).collect());
        let rules: Vec<Value> = CONTROLS.iter().map(|control| sarif::rule(control.name)).collect();
        let frame = serde_json::to_string_pretty(&sarif::sarif_log(&rules, Vec::new()))?;
        // The list of results is the only empty one.
        let (head, tail) = frame.split_once("\"results\": []").unwrap_or((&frame, ""));
        let mut out = format!("{head}\"results\": [");
        for (number, KeptResult { mut result, document_key, logical }) in kept.into_iter().enumerate() {
            if let Some(location) = result.pointer_mut("/locations/0") {
                if let Some(physical) = locations.get(&document_key) {
                    set(location, "physicalLocation", physical.clone());
                }
                set(location, "logicalLocations", logical);
            }
            // If one result has `suppressions`, all must (section 3.27.23).
            if self.has_exempt && result.get("suppressions").is_none() {
                set(&mut result, "suppressions", json!([]));
            }
            out.push_str(if number > 0 { ",\n" } else { "\n" });
            out.push_str(&result.to_string());
        }
        Ok(format!("{out}\n]{tail}\n"))
    }
}
