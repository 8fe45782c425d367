//! A policy as a story edits it, its text, and what it wants: worked out here anew, so that the product's own reading is held
//! against another.

use crate::places::{account, account_name, instance, region_name, unit};
use domain::rollout::{Instance, Parameters};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use testkit::simulator::{AccountState, Organization, Stack};

pub(crate) const PARAMETER: &str = "Days";
const DAYS: [&str; 3] = ["35", "90", "365"];

/// A policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// One with accounts, one with organizational units.
    pub(crate) frameworks: [Framework; 2],
    pub(crate) remove_undeclared: bool,
    /// The file cannot be read.
    pub(crate) broken: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Framework {
    pub(crate) declared: bool,
    /// Which target each account, or unit, is in; `None`: in none.
    pub(crate) members: Vec<Option<usize>>,
    pub(crate) targets: [Target; 2],
    pub(crate) template: usize,
    pub(crate) days: usize,
    pub(crate) rollout: usize,
    pub(crate) adopt: bool,
    /// Auto-deployment, and whether stacks of accounts that leave are retained.
    pub(crate) auto: (bool, bool),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Target {
    pub(crate) regions: BTreeSet<usize>,
    pub(crate) days: Option<usize>,
    pub(crate) only: BTreeSet<usize>,
    pub(crate) except: BTreeSet<usize>,
}

/// What a policy wants of one StackSet.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    /// Instances, their overrides and their stacks.
    pub(crate) instances: BTreeMap<Instance, (Parameters, Stack)>,
    /// Instances that it names and that StackSets never deploy to as things are.
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
  Framework:
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

impl Policy {
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

impl Framework {
    fn write(&self, number: usize, text: &mut String) {
        let Self { members, targets, template, rollout, adopt, auto, .. } = self;
        let name = crate::places::stack_set_name(number);
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
        for (target, Target { regions, days, only, except }) in targets.iter().enumerate() {
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

    /// What it wants of an organisation.
    pub(crate) fn wants(&self, number: usize, organization: &Organization) -> Wants {
        let mut wants = Wants::default();
        let base = days(self.days);
        for (at, target) in self.targets.iter().enumerate() {
            let overrides = target.days.map(days).unwrap_or_default();
            let mut parameters = base.clone();
            parameters.extend(overrides.clone());
            let stack = Stack { template: template(self.template), parameters };
            for member in (0..self.members.len()).filter(|member| self.members[*member] == Some(at)) {
                for who in 0..crate::places::ACCOUNTS.len() {
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
                            wants.skipped.insert(instance);
                        } else {
                            wants.instances.entry(instance).or_insert_with(|| (overrides.clone(), stack.clone()));
                        }
                    }
                }
            }
        }
        wants
    }
}

impl Wants {
    pub(crate) fn names(&self, instance: &Instance) -> bool {
        self.instances.contains_key(instance) || self.skipped.contains(instance)
    }
}

fn quoted(who: usize) -> String {
    format!("\"{}\"", account_name(who))
}

/// Only what `text` writes of it counts: a Region of a framework.
pub(crate) fn all_regions() -> BTreeSet<usize> {
    (0..crate::places::REGIONS.len()).collect()
}
