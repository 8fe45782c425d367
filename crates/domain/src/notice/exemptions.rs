//! The notice about exemptions that end soon.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::text::{self, and_more_below, count, field, fit, list, paragraph, quoted, section, shown};
use super::{Render, SHOWN};
use crate::policy::Exemption;

/// Accounts, resources and tags of an exemption that are shown; the others are counted.
const NAMED: usize = 5;

/// The exemptions of one owner that end within two weeks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringExemptions {
    /// The owner.
    pub owner: String,
    /// The exemptions, in the order of their last days.
    pub exemptions: Vec<ExpiringExemption>,
}

/// An exemption that ends soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringExemption {
    /// The exemption.
    pub exemption: Exemption,
    /// Open violations that it covers; their notices are sent on the day after its last day.
    pub violations: usize,
}

impl ExpiringExemptions {
    fn violations(&self) -> usize {
        self.exemptions.iter().map(|expiring| expiring.violations).fold(0, usize::saturating_add)
    }

    /// `1 exemption of data@example.com ends on 2026-12-31`.
    fn summary(&self, owner: &str) -> String {
        let first = self.exemptions.iter().map(|expiring| expiring.exemption.until).min();
        let first = first.map(|until| until.to_string()).unwrap_or_default();
        let number = count(self.exemptions.len(), "exemption");
        let end = if self.exemptions.len() == 1 { "ends on" } else { "end soon, the first on" };
        format!("{number} of {} {end} {first}", quoted(owner))
    }
}

impl Render for ExpiringExemptions {
    fn subject(&self) -> String {
        text::subject(&shown(&self.owner, 200), &[&|name| format!("[EXEMPTIONS] {}", self.summary(name))])
    }

    fn text(&self) -> String {
        let summary = format!(
            "{}. On the day after, a notice is sent for each resource that still breaks its control; today that would be {}.",
            self.summary(&shown(&self.owner, 200)),
            count(self.violations(), "violation"),
        );
        let exemptions: String = self.exemptions.iter().take(SHOWN).map(details).collect();
        let todo = "Make the resources compliant, or set a later `until` in the policy file with a reason that is still valid.";
        let more = and_more_below(self.exemptions.len().saturating_sub(SHOWN));
        [paragraph(&summary, 0), exemptions, more, section("What to do", &paragraph(todo, 2))].concat()
    }

    fn json(&self) -> Value {
        let exemptions = self.exemptions.iter().take(SHOWN).map(|ExpiringExemption { exemption, violations }| {
            let tags: BTreeMap<String, String> =
                exemption.tags.iter().take(NAMED).map(|(key, value)| (fit(key, 60), fit(value, 60))).collect();
            json!({
                "control": exemption.control.name,
                "resources": exemption.resources.iter().take(NAMED).map(|arn| fit(arn, 150)).collect::<Vec<_>>(),
                "resourceCount": exemption.resources.len(),
                "accounts": exemption.accounts.iter().take(NAMED).collect::<Vec<_>>(),
                "accountCount": exemption.accounts.len(),
                "tags": tags,
                "reason": fit(&exemption.reason, 250),
                "until": exemption.until,
                "violations": violations,
            })
        });
        json!({
            "reason": "exemptionsExpiring",
            "owner": fit(&self.owner, 500),
            "counts": { "exemptions": self.exemptions.len(), "violations": self.violations() },
            "exemptions": exemptions.collect::<Vec<_>>(),
            "more": self.exemptions.len().saturating_sub(SHOWN),
        })
    }
}

fn details(expiring: &ExpiringExemption) -> String {
    let ExpiringExemption { exemption, violations } = expiring;
    let accounts = exemption.accounts.iter().map(ToString::to_string);
    let resources = exemption.resources.iter().map(|arn| shown(&fit(arn, 150), 150));
    let tags = exemption.tags.iter().map(|(key, value)| shown(&fit(&format!("{key}={value}"), 100), 60));
    [
        format!("\n{} ends\n", exemption.until),
        field("Control", exemption.control.name),
        field("Resources", &first(resources)),
        field("Accounts", &first(accounts)),
        field("Tags", &first(tags)),
        field("Reason", &shown(&fit(&exemption.reason, 300), 200)),
        field("Covers", &count(*violations, "open violation")),
    ]
    .concat()
}

fn first(mut values: impl ExactSizeIterator<Item = String>) -> String {
    let shown: Vec<String> = values.by_ref().take(NAMED).collect();
    list(&shown, values.len())
}
