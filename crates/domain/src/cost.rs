//! The cost of the evaluations of frameworks, as a range.
//!
//! AWS bills an evaluation of a control for a resource (AWS Backup, "Metering, costs, and billing"). The lower end is the price of Audit
//! Manager; the upper end adds the price of an evaluation of an AWS Config rule, since AWS does not document that the rules of Audit
//! Manager are exempt from it. Configuration items are not included: a framework does not change what AWS Config records.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Dated prices.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prices {
    /// The day of the price list.
    pub as_of: Date,
    /// The currency (ISO 4217).
    pub currency: String,
    /// The Region of the price list.
    pub region: String,
    /// One evaluation by Audit Manager.
    pub audit_manager_evaluation: Price,
    /// One evaluation of an AWS Config rule, in the first tier.
    pub config_rule_evaluation: Price,
}

/// A price.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// US dollars for one.
    pub usd: f64,
    /// Whether it was seen in a price list of AWS.
    pub confirmed: bool,
}

/// An amount in US dollars a month.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct CostRange {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A control whose evaluations change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostDriver {
    /// The control.
    pub control: &'static str,
    /// The change of its evaluations a month.
    pub evaluations: f64,
}

/// The cost before and after a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CostChange {
    /// The currency (ISO 4217).
    pub currency: String,
    /// The day of the prices.
    pub prices_of: Date,
    /// The names of prices that are not confirmed.
    pub unconfirmed: Vec<&'static str>,
    /// Before the change.
    pub before: CostRange,
    /// After the change.
    pub after: CostRange,
    /// The increase, lower end first; negative for a decrease.
    pub increase: CostRange,
    /// The controls whose evaluations change, the largest change first.
    pub drivers: Vec<CostDriver>,
}

impl Prices {
    /// Reads a price list.
    ///
    /// # Errors
    /// The text is not JSON of this form.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns the price list of this version.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn of_this_version() -> Result<Self, serde_json::Error> {
        Self::read(include_str!("cost/prices.json"))
    }

    fn range(&self, evaluations: f64) -> CostRange {
        let low = evaluations * self.audit_manager_evaluation.usd;
        CostRange { low, high: low + evaluations * self.config_rule_evaluation.usd }
    }

    /// Returns the change of the cost for evaluations a month, by control.
    pub fn change(&self, before: &BTreeMap<&'static str, f64>, after: &BTreeMap<&'static str, f64>) -> CostChange {
        let (old, new) = (self.range(before.values().sum()), self.range(after.values().sum()));
        let (low, high) = (new.low - old.low, new.high - old.high);
        let of = |evaluations: &BTreeMap<&'static str, f64>, control| evaluations.get(control).copied().unwrap_or(0.0);
        let mut drivers: Vec<CostDriver> = before
            .keys()
            .chain(after.keys().filter(|control| !before.contains_key(*control)))
            .map(|control| CostDriver { control, evaluations: of(after, control) - of(before, control) })
            .filter(|driver| driver.evaluations != 0.0)
            .collect();
        drivers.sort_by(|one, other| other.evaluations.abs().total_cmp(&one.evaluations.abs()));
        let prices = [
            ("auditManagerEvaluation", self.audit_manager_evaluation),
            ("configRuleEvaluation", self.config_rule_evaluation),
        ];
        CostChange {
            currency: self.currency.clone(),
            prices_of: self.as_of,
            unconfirmed: prices.into_iter().filter(|(_, price)| !price.confirmed).map(|(name, _)| name).collect(),
            before: old,
            after: new,
            increase: CostRange { low: low.min(high), high: low.max(high) },
            drivers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: &[(&'static str, f64)], after: &[(&'static str, f64)]) -> CostChange {
        let of = |list: &[(&'static str, f64)]| list.iter().copied().collect();
        Prices::of_this_version().expect("prices").change(&of(before), &of(after))
    }

    #[test]
    fn prices_of_this_version_are_read() {
        let prices = Prices::of_this_version().expect("prices");
        assert!(prices.audit_manager_evaluation.usd > 0.0 && prices.config_rule_evaluation.usd > 0.0);
        assert!(Prices::read("{}").is_err());
    }

    #[test]
    fn cost_of_large_organization_is_a_range() {
        // 100 resources in each of 400 accounts and Regions, once a day: 1.2 million evaluations a month.
        let evaluations = 100.0 * 400.0 * 30.4;
        let found = change(&[], &[("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", evaluations)]);
        assert_eq!((found.after.low.round(), found.after.high.round()), (1_520.0, 2_736.0));
        assert_eq!((found.before, found.increase), (CostRange::default(), found.after));
        assert_eq!(found.unconfirmed, ["auditManagerEvaluation"]);
    }

    #[test]
    fn drivers_are_the_changed_controls() {
        let found = change(&[("A", 10.0), ("B", 5.0), ("C", 1.0)], &[("B", 5.0), ("C", 3.0), ("D", 4.0)]);
        let drivers: Vec<_> = found.drivers.iter().map(|driver| (driver.control, driver.evaluations)).collect();
        assert_eq!(drivers, [("A", -10.0), ("D", 4.0), ("C", 2.0)]);
        assert!(found.increase.low < found.increase.high && found.increase.high < 0.0);
    }
}
