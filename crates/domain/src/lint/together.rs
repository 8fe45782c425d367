//! Frameworks of several templates that a policy brings to the same accounts and Regions.

use std::collections::{BTreeMap, BTreeSet};

use super::combined::{CONTROLS, FRAMEWORKS};
use super::{Rule, rules};
use crate::fault::{Fault, Faults, Position, Source};
use crate::framework::{Framework, Narrowing};
use crate::ids::{RegionName, shown};
use crate::template::Resolved;

/// What a framework of a policy brings to some places.
#[derive(Clone, Debug)]
pub struct Placed {
    /// What the policy calls it: its StackSet.
    pub name: String,
    /// Where the policy declares the target.
    pub at: Position,
    /// The ids of the accounts, or of organizational units all of whose accounts are meant.
    pub accounts: BTreeSet<String>,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
    /// The frameworks of its template there.
    pub frameworks: Vec<Framework>,
}

/// A control as Audit Manager compares it: name, parameters, scope.
type Compared<'f> = Vec<(&'static str, &'f BTreeMap<String, String>, Narrowing)>;

/// What is wrong with the frameworks of a policy together: two with equal controls or the same name in an account and Region, and more
/// than an account may have there. `file` and `text` are those of the policy file.
#[must_use]
pub fn together(file: &str, text: &str, placed: &[Placed]) -> Vec<Fault> {
    let source = Source::new(file, text);
    let mut faults = Faults::new(&source);
    let mut by_controls: BTreeMap<Compared<'_>, Vec<&Placed>> = BTreeMap::new();
    let mut by_name: BTreeMap<&str, Vec<&Placed>> = BTreeMap::new();
    for one in placed {
        for framework in &one.frameworks {
            if framework.is_known && !framework.controls.is_empty() {
                by_controls.entry(compared(framework)).or_default().push(one);
            }
            // One whose condition is undecided may not be there.
            if let Resolved::Text(name) = &framework.name
                && framework.unknown.is_empty()
            {
                by_name.entry(name).or_default().push(one);
            }
        }
    }
    for those in by_controls.into_values() {
        collide(&mut faults, &those, &rules::EQUAL_FRAMEWORKS, |first, second, place| {
            let problem = format!("the framework `{second}` has the controls of `{first}`, and both go to {place}");
            (problem, "AWS Backup refuses the second: keep one there, or let a control or parameter differ")
        });
    }
    for (name, those) in by_name {
        collide(&mut faults, &those, &rules::EQUAL_NAMES, |first, second, place| {
            let name = shown(name);
            let problem = format!("`{first}` and `{second}` both have a framework `{name}` in {place}");
            (problem, "AWS Backup refuses the second: give one of them another `FrameworkName`")
        });
    }
    counts(&mut faults, placed);
    faults.into_vec()
}

fn compared(framework: &Framework) -> Compared<'_> {
    let mut controls: Compared<'_> = framework
        .controls
        .iter()
        .map(|used| (used.control.name, &used.parameters, used.scope.clone().sorted()))
        .collect();
    controls.sort_unstable();
    controls
}

/// Tells of each that meets one before it, once.
fn collide(
    faults: &mut Faults<'_, '_>,
    those: &[&Placed],
    rule: &'static Rule,
    words: impl Fn(&str, &str, &str) -> (String, &'static str),
) {
    for (index, second) in those.iter().enumerate() {
        let mut before = those.iter().take(index).filter(|first| first.name != second.name);
        if let Some((first, place)) = before.find_map(|first| Some((first, meeting(first, second)?))) {
            let (problem, fix) = words(&shown(&first.name), &shown(&second.name), &place);
            faults.tell(rule, second.at, problem, fix, Vec::new());
        }
    }
}

/// A place to which both go: "111111111111 eu-west-1".
fn meeting(first: &Placed, second: &Placed) -> Option<String> {
    let account = first.accounts.intersection(&second.accounts).next()?;
    let region = first.regions.intersection(&second.regions).next()?;
    Some(format!("{account} in {region}"))
}

/// Quotas of an account in a Region, over all frameworks of the policy. What is too much in one template alone is told there.
fn counts(faults: &mut Faults<'_, '_>, placed: &[Placed]) {
    let mut sums: BTreeMap<(&str, &RegionName), (usize, usize, BTreeSet<&str>)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for one in placed {
        let there = || one.frameworks.iter().filter(|framework| framework.unknown.is_empty());
        let (controls, frameworks) =
            (there().map(|framework| framework.controls.len()).sum::<usize>(), there().count());
        for (account, region) in
            one.accounts.iter().flat_map(|account| one.regions.iter().map(move |region| (account, region)))
        {
            let (all_controls, all_frameworks, names) = sums.entry((account, region)).or_default();
            *all_controls += controls;
            *all_frameworks += frameworks;
            names.insert(&one.name);
            for (number, most, what) in
                [(*all_controls, CONTROLS, "controls"), (*all_frameworks, FRAMEWORKS, "frameworks")]
            {
                if number > most && names.len() > 1 && told.insert((one.at, what)) {
                    let names: Vec<String> = names.iter().map(|name| format!("`{}`", shown(name))).collect();
                    let problem = format!(
                        "{} have {number} {what} together in {account} in {region}, and an account may have {most} in a Region",
                        names.join(", ")
                    );
                    let fix = "use fewer, or ask AWS for a higher quota in every account";
                    faults.tell(&rules::TOO_MANY, one.at, problem, fix, Vec::new());
                }
            }
        }
    }
}
