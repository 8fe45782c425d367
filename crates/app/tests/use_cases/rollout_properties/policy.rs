//! A generated policy, its text, and its desired state, computed independently of the product.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use domain::rollout::{Instance, Parameters};
use testkit::simulator::{AccountState, SimulatedOrganization, SimulatedStack};

use super::fixture::{account, account_name, instance, region_name, unit};

pub(crate) const PARAMETER: &str = "Days";
const DAYS: [&str; 3] = ["35", "90", "365"];

/// A policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CasePolicy {
    /// One framework with accounts, one with organizational units.
    pub(crate) frameworks: [CaseFramework; 2],
    pub(crate) remove_undeclared: bool,
    /// The file is invalid.
    pub(crate) broken: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaseFramework {
    pub(crate) declared: bool,
    /// The target of each account, or unit; `None`: in no target.
    pub(crate) members: Vec<Option<usize>>,
    pub(crate) targets: [CaseTarget; 2],
    pub(crate) template: usize,
    pub(crate) days: usize,
    pub(crate) rollout: usize,
    pub(crate) adopt: bool,
    /// Automatic deployment, and whether stacks of accounts that leave are retained.
    pub(crate) auto: (bool, bool),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CaseTarget {
    pub(crate) regions: BTreeSet<usize>,
    pub(crate) days: Option<usize>,
    pub(crate) only: BTreeSet<usize>,
    pub(crate) except: BTreeSet<usize>,
}

/// The desired state of one StackSet.
#[derive(Debug, Default)]
pub(crate) struct DesiredStackSet {
    /// Instances, their overrides and their stacks.
    pub(crate) instances: BTreeMap<Instance, (Parameters, SimulatedStack)>,
    /// Instances that the policy names and to which StackSets never deploys in the current state.
    pub(crate) skipped: BTreeSet<Instance>,
}

pub(crate) const ROLLOUTS: [&str; 5] = [
    "",
    "{ maxConcurrency: 1, failureTolerance: 0, concurrencyMode: strict, regions: sequential }",
    "{ maxConcurrency: 2, failureTolerance: 1, concurrencyMode: strict, regions: sequential }",
    "{ maxConcurrency: 50%, failureTolerance: 0, concurrencyMode: soft, regions: parallel }",
    "{ maxConcurrency: 100%, failureTolerance: 100%, concurrencyMode: soft, regions: sequential }",
];

pub(crate) fn template(number: usize) -> String {
    format!(
        r#"AWSTemplateFormatVersion: "2010-09-09"
Description: "{number}"
Parameters:
  {PARAMETER}: {{ Type: String, Default: "7" }}
Resources:
  CaseFramework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: backup_compliance
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters: [{{ ParameterName: requiredRetentionDays, ParameterValue: !Ref {PARAMETER} }}]
"#
    )
}

fn days(number: usize) -> Parameters {
    Parameters::from([(PARAMETER.to_owned(), DAYS[number].to_owned())])
}

impl CasePolicy {
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("version: 1\n");
        if self.broken {
            text.push_str("frameworks: nonsense\n");
            return text;
        }
        if self.remove_undeclared {
            text.push_str("removeUndeclared: true\n");
        }
        text.push_str("frameworks:\n");
        for (number, framework) in self.frameworks.iter().enumerate().filter(|(_, framework)| framework.declared) {
            framework.write(number, &mut text);
        }
        text
    }
}

impl CaseFramework {
    fn write(&self, number: usize, text: &mut String) {
        let Self { members, targets, template, rollout, adopt, auto, .. } = self;
        let name = super::fixture::stack_set_name(number);
        let days = DAYS[self.days];
        write!(
            text,
            "  - name: {name}\n    template: {template}.yaml\n    parameters: {{ {PARAMETER}: \"{days}\" }}\n    adopt: {adopt}\n"
        )
        .unwrap();
        if *rollout > 0 {
            writeln!(text, "    rollout: {}", ROLLOUTS[*rollout]).unwrap();
        }
        if number == 1 {
            let (enabled, retain) = *auto;
            let retain = if enabled { format!(", retainStacks: {retain}") } else { String::new() };
            writeln!(text, "    autoDeployment: {{ enabled: {enabled}{retain} }}").unwrap();
        }
        text.push_str("    targets:\n");
        for (target, CaseTarget { regions, days, only, except }) in targets.iter().enumerate() {
            let here: Vec<String> = (0..members.len())
                .filter(|member| members[*member] == Some(target))
                .map(|member| if number == 0 { quoted(member) } else { unit(member).to_string() })
                .collect();
            if here.is_empty() {
                continue;
            }
            let key = if number == 0 { "accounts" } else { "organizationalUnits" };
            let names: Vec<&str> = regions.iter().map(|region| region_name(*region)).collect();
            writeln!(text, "      - {key}: [{}]\n        regions: [{}]", here.join(", "), names.join(", ")).unwrap();
            for (key, listed) in [("onlyAccounts", only), ("excludedAccounts", except)] {
                if number == 1 && !listed.is_empty() {
                    let listed: Vec<String> = listed.iter().map(|account| quoted(*account)).collect();
                    writeln!(text, "        {key}: [{}]", listed.join(", ")).unwrap();
                }
            }
            if let Some(days) = days {
                writeln!(text, "        parameters: {{ {PARAMETER}: \"{}\" }}", DAYS[*days]).unwrap();
            }
        }
    }

    /// The desired state for an organization.
    pub(crate) fn desired(&self, number: usize, organization: &SimulatedOrganization) -> DesiredStackSet {
        let mut desired = DesiredStackSet::default();
        let base = days(self.days);
        for (at, target) in self.targets.iter().enumerate() {
            let overrides = target.days.map(days).unwrap_or_default();
            let mut parameters = base.clone();
            parameters.extend(overrides.clone());
            let stack = SimulatedStack { template: template(self.template), parameters };
            for member in (0..self.members.len()).filter(|member| self.members[*member] == Some(at)) {
                for who in 0..super::fixture::ACCOUNTS.len() {
                    let here =
                        if number == 0 { who == member } else { organization.contains(&unit(member), &account(who)) };
                    let listed = number == 0
                        || (target.only.is_empty() || target.only.contains(&who)) && !target.except.contains(&who);
                    if !here || !listed {
                        continue;
                    }
                    let left_alone = number == 1
                        && (organization.management == Some(account(who))
                            || organization.state(&account(who)) != AccountState::Active);
                    for place in &target.regions {
                        let instance = instance(who, *place);
                        if left_alone {
                            desired.skipped.insert(instance);
                        } else {
                            desired.instances.entry(instance).or_insert_with(|| (overrides.clone(), stack.clone()));
                        }
                    }
                }
            }
        }
        desired
    }
}

impl DesiredStackSet {
    pub(crate) fn names(&self, instance: &Instance) -> bool {
        self.instances.contains_key(instance) || self.skipped.contains(instance)
    }
}

fn quoted(who: usize) -> String {
    format!("\"{}\"", account_name(who))
}

/// Only the Regions that `text` writes count.
pub(crate) fn all_regions() -> BTreeSet<usize> {
    (0..super::fixture::REGIONS.len()).collect()
}
