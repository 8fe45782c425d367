//! A rollout as it is generated, and told to whoever has to understand it.

use crate::places::{ACCOUNTS, MANAGEMENT, REGIONS, UNITS, account_name, region_name, stack_set_name};
use crate::policy::{Framework, Policy, ROLLOUTS, Target, all_regions};
use app::events::Look;
use app::lifecycle::RequestKind;
use app::ports::PortErrorKind;
use std::collections::BTreeSet;
use std::fmt;
use testkit::simulator::{AccountState, Dice, Faulty};

/// What befalls a fleet. Acts refer to nothing that another act must have made: any of them can be left out.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) seed: u64,
    /// What is in the repository first.
    pub(crate) policy: Policy,
    /// StackSets that are there before anybody looks.
    pub(crate) found: [Option<Found>; 2],
    /// Where each account is: in a unit, the root (3), or outside of the organisation.
    pub(crate) homes: Vec<Option<usize>>,
    /// Seconds for which an operation that was just accepted cannot be found.
    pub(crate) hidden: i64,
    /// Seconds for which a call is stale after another.
    pub(crate) stale: i64,
    pub(crate) acts: Vec<Act>,
}

/// A StackSet that nothing is remembered of.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) owner: Owner,
    pub(crate) managed: bool,
    /// It has the definition of the first policy.
    pub(crate) same: bool,
    pub(crate) other_model: bool,
    pub(crate) instances: Vec<FoundInstance>,
}

#[derive(Debug, Clone)]
pub(crate) struct FoundInstance {
    pub(crate) who: usize,
    pub(crate) place: usize,
    pub(crate) state: State,
    pub(crate) days: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Ours,
    Nobody,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Current,
    Failed,
    Cancelled,
    Inoperable,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Somebody pushes a change of the policy.
    Push(Edit),
    /// `deploy` is woken.
    Look(Wake),
    /// Time passes, in seconds.
    Wait(i64),
    /// An account moves to a unit, the root (3), or out of the organisation.
    Move { who: usize, to: Option<usize> },
    /// An account is suspended, closed, or open again.
    State { who: usize, state: AccountState },
    /// From now on something goes wrong there.
    Fault { who: usize, place: usize, times: Option<u32>, of: Faulty },
    /// Nothing goes wrong any more.
    Mend,
    /// Somebody works on a StackSet by hand.
    Hand { framework: usize, what: Hand },
    /// CloudFormation asks, and delivers what it asks so often.
    Ask { kind: RequestKind, times: usize },
    /// Lambda delivers the last request once more.
    Again,
}

#[derive(Debug, Clone)]
pub(crate) struct Wake {
    pub(crate) why: Why,
    pub(crate) repeated: bool,
    /// Dies after so many steps.
    pub(crate) dies_after: Option<usize>,
    pub(crate) faults: Vec<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Push,
    Ended(usize),
    Schedule(Look),
    Request,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) operation: &'static str,
    /// `None`: the call takes effect, and its answer is lost.
    pub(crate) kind: Option<PortErrorKind>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Hand {
    Drift,
    Delete { who: usize, place: usize },
    Create { who: usize, place: usize },
    Stop,
}

#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Member { framework: usize, member: usize, target: Option<usize> },
    Region { framework: usize, target: usize, region: usize },
    Days { framework: usize, target: Option<usize>, days: Option<usize> },
    Template { framework: usize, template: usize },
    Rollout { framework: usize, rollout: usize },
    Only { target: usize, who: usize },
    Except { target: usize, who: usize },
    Auto { enabled: bool, retain: bool },
    Adopt { framework: usize, on: bool },
    RemoveUndeclared(bool),
    Declared { framework: usize, on: bool },
    Broken(bool),
    Nothing,
}

/// What may happen, beyond edits, lost and repeated triggers, accounts that move and instances that fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    /// Calls are throttled, refused, and lose their answers; operations are not seen at once.
    pub(crate) faults: bool,
    pub(crate) crashes: bool,
    /// The application is deleted.
    pub(crate) removal: bool,
}

const OPERATIONS: [&str; 22] = [
    "cloudformation:DescribeStackSet",
    "cloudformation:ListStackInstances",
    "cloudformation:DescribeStackSetOperation",
    "cloudformation:CreateStackSet",
    "cloudformation:UpdateStackSet",
    "cloudformation:CreateStackInstances",
    "cloudformation:CreateStackInstances",
    "cloudformation:UpdateStackInstances",
    "cloudformation:DeleteStackInstances",
    "cloudformation:DeleteStackInstances",
    "cloudformation:DeleteStackSet",
    "cloudformation:StopStackSetOperation",
    "cloudformation:PutAnswer",
    "organizations:ListAccountsForParent",
    "codecommit:GetBranch",
    "codecommit:GetCommit",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:PutItem",
    "dynamodb:PutItem",
    "dynamodb:DeleteItem",
    "sns:Publish",
];

trait Choose {
    fn of<T: Clone>(&mut self, choices: &[T]) -> T;
}

impl Choose for Dice {
    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

impl Story {
    pub(crate) fn generate(theme: Theme, seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let mut homes: Vec<Option<usize>> = (0..ACCOUNTS.len()).map(|_| Some(dice.below(4))).collect();
        homes[MANAGEMENT] = Some(dice.of(&[0, 0, 3]));
        if dice.one_in(4) {
            homes[dice.below(MANAGEMENT)] = None;
        }
        let policy = first_policy(dice, &homes);
        let found = [0, 1].map(|framework| {
            let chance = if policy.frameworks[framework].declared { 3 } else { 8 };
            dice.one_in(chance).then(|| found(dice, framework))
        });
        let removal = theme.removal && !dice.one_in(3);
        let mut acts = vec![Act::Look(Wake::calm(Why::Push))];
        for _ in 0..4 + dice.below(12) {
            acts.push(act(dice, theme, &policy));
        }
        if removal {
            let at = 1 + dice.below(acts.len());
            acts.insert(at, Act::Ask { kind: RequestKind::Delete, times: 1 + usize::from(dice.one_in(4)) });
        }
        Self {
            seed: dice.roll(),
            policy,
            found,
            homes,
            hidden: if theme.faults { dice.of(&[0, 0, 30, 120]) } else { 0 },
            stale: if theme.faults { dice.of(&[0, 0, 0, 2]) } else { 0 },
            acts,
        }
    }

    /// Stories that are a little simpler.
    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        for index in 0..self.acts.len() {
            let mut without = self.clone();
            without.acts.remove(index);
            simpler.push(without);
        }
        for (index, act) in self.acts.iter().enumerate() {
            if let Act::Look(wake) = act {
                for wake in wake.simpler() {
                    let mut other = self.clone();
                    other.acts[index] = Act::Look(wake);
                    simpler.push(other);
                }
            }
        }
        for framework in 0..2 {
            if let Some(found) = &self.found[framework] {
                let mut without = self.clone();
                without.found[framework] = None;
                simpler.push(without);
                for index in 0..found.instances.len() {
                    let mut fewer = self.clone();
                    if let Some(found) = &mut fewer.found[framework] {
                        found.instances.remove(index);
                    }
                    simpler.push(fewer);
                }
            }
            let declared = self.policy.frameworks.iter().filter(|framework| framework.declared).count();
            let here = &self.policy.frameworks[framework];
            let mut with = |other: Framework| {
                let mut story = self.clone();
                story.policy.frameworks[framework] = other;
                simpler.push(story);
            };
            if here.declared && declared > 1 {
                with(Framework { declared: false, ..here.clone() });
            }
            if !here.declared {
                continue;
            }
            for member in (0..here.members.len()).filter(|member| here.members[*member].is_some()) {
                let mut fewer = here.clone();
                fewer.members[member] = None;
                with(fewer);
            }
            for target in 0..2 {
                for region in &here.targets[target].regions {
                    let mut fewer = here.clone();
                    fewer.targets[target].regions.remove(region);
                    if !fewer.targets[target].regions.is_empty() {
                        with(fewer);
                    }
                }
                let plain = Target { regions: here.targets[target].regions.clone(), ..Target::default() };
                if here.targets[target] != plain {
                    let mut plainer = here.clone();
                    plainer.targets[target] = plain;
                    with(plainer);
                }
            }
            if here.rollout > 0 {
                with(Framework { rollout: 0, ..here.clone() });
            }
        }
        for other in [Self { hidden: 0, ..self.clone() }, Self { stale: 0, ..self.clone() }] {
            if (other.hidden, other.stale) != (self.hidden, self.stale) {
                simpler.push(other);
            }
        }
        simpler
    }

    /// The simplest story around this one that still ends badly.
    pub(crate) fn simplest(self, ends_badly: impl Fn(&Self) -> bool) -> Self {
        let mut simplest = self;
        while let Some(simpler) = simplest.simpler().into_iter().find(&ends_badly) {
            simplest = simpler;
        }
        simplest
    }
}

fn first_policy(dice: &mut Dice, homes: &[Option<usize>]) -> Policy {
    let both = dice.one_in(2);
    let first = dice.below(2);
    let frameworks = [0, 1].map(|number| {
        let size = if number == 0 { MANAGEMENT } else { UNITS.len() };
        let mut members: Vec<Option<usize>> = (0..size)
            .map(|_| match dice.below(6) {
                0..=2 => Some(0),
                3 => Some(1),
                _ => None,
            })
            .collect();
        if members.iter().all(Option::is_none) {
            members[0] = Some(0);
        }
        let targets = [0, 1].map(|target| {
            let mut regions = BTreeSet::from([dice.below(REGIONS.len())]);
            if dice.one_in(2) {
                regions.insert(dice.below(REGIONS.len()));
            }
            let (mut only, mut except) = (BTreeSet::new(), BTreeSet::new());
            // An account that is in none of the units is a fault, which is one story in many.
            let listed = dice.below(MANAGEMENT);
            let inside =
                number == 1 && homes[listed].is_some_and(|home| home < UNITS.len() && members[home] == Some(target));
            match dice.below(8) {
                0 if inside || dice.one_in(8) => drop(only.insert(listed)),
                1 | 2 if inside || dice.one_in(8) => drop(except.insert(listed)),
                _ => {}
            }
            Target { regions, days: dice.of(&[None, None, Some(1), Some(2)]), only, except }
        });
        Framework {
            declared: both || number == first,
            members,
            targets,
            template: 0,
            days: 0,
            rollout: dice.below(ROLLOUTS.len()),
            adopt: dice.one_in(2),
            auto: dice.of(&[(true, false), (true, false), (true, true), (false, false)]),
        }
    });
    Policy { frameworks, remove_undeclared: !dice.one_in(3), broken: false }
}

fn found(dice: &mut Dice, framework: usize) -> Found {
    let owner = dice.of(&[Owner::Ours, Owner::Ours, Owner::Ours, Owner::Nobody, Owner::Nobody, Owner::Other]);
    let mut instances = Vec::new();
    for who in 0..MANAGEMENT {
        for place in all_regions() {
            if dice.one_in(3) {
                let state =
                    dice.of(&[State::Current, State::Current, State::Failed, State::Cancelled, State::Inoperable]);
                instances.push(FoundInstance { who, place, state, days: dice.of(&[None, None, Some(1)]) });
            }
        }
    }
    Found {
        owner,
        managed: !dice.one_in(3),
        same: owner == Owner::Ours && dice.one_in(2),
        other_model: framework == 0 && dice.one_in(16),
        instances,
    }
}

fn act(dice: &mut Dice, theme: Theme, policy: &Policy) -> Act {
    let units = policy.frameworks[1].declared;
    match dice.below(40) {
        0..=16 => Act::Look(wake(dice, theme)),
        17..=22 => Act::Wait(dice.of(&[5, 40, 100, 100, 300, 1_800, 3_700])),
        23..=29 => Act::Push(edit(dice, policy)),
        30..=32 if units => {
            Act::Move { who: dice.below(ACCOUNTS.len()), to: dice.of(&[Some(0), Some(1), Some(2), Some(3), None]) }
        }
        33 => Act::State {
            who: dice.below(MANAGEMENT),
            state: dice.of(&[
                AccountState::Suspended,
                AccountState::Suspended,
                AccountState::Closed,
                AccountState::Active,
                AccountState::Active,
            ]),
        },
        34..=35 => Act::Fault {
            who: dice.below(MANAGEMENT),
            place: dice.below(REGIONS.len()),
            times: dice.of(&[Some(1), Some(1), Some(2), Some(5), None]),
            of: dice.of(&[Faulty::Everything, Faulty::Deploying, Faulty::Deleting]),
        },
        36 => Act::Mend,
        37..=38 => Act::Hand {
            framework: dice.below(2),
            what: {
                let (who, place) = (dice.below(MANAGEMENT), dice.below(REGIONS.len()));
                dice.of(&[
                    Hand::Drift,
                    Hand::Delete { who, place },
                    Hand::Delete { who, place },
                    Hand::Create { who, place },
                    Hand::Stop,
                ])
            },
        },
        _ if dice.one_in(4) => Act::Again,
        _ => Act::Ask {
            kind: match dice.below(6) {
                0 if theme.removal => RequestKind::Delete,
                1 | 2 => RequestKind::Create,
                _ => RequestKind::Update,
            },
            times: 1 + usize::from(dice.one_in(4)),
        },
    }
}

fn wake(dice: &mut Dice, theme: Theme) -> Wake {
    let why = match dice.below(12) {
        0..=2 => Why::Push,
        3..=5 => Why::Ended(dice.below(2)),
        6..=8 => Why::Schedule(Look::Full),
        9 => Why::Schedule(Look::Light),
        _ => Why::Request,
    };
    let mut faults = Vec::new();
    while theme.faults && faults.len() < 3 && dice.one_in(2) {
        let kind = match dice.below(8) {
            0..=2 => None,
            3..=5 => Some(PortErrorKind::Retryable),
            6 => Some(PortErrorKind::Conflict),
            _ => Some(dice.of(&[PortErrorKind::Denied, PortErrorKind::Refused, PortErrorKind::Retryable])),
        };
        let operation = dice.of(&OPERATIONS);
        // What CloudFormation will never take is not answered.
        let kind = if operation == "cloudformation:PutAnswer" { kind.map(|_| PortErrorKind::Retryable) } else { kind };
        faults.push(Fault { operation, kind });
    }
    let dies_after = (theme.crashes && dice.one_in(3)).then(|| dice.below(44));
    Wake { why, repeated: dice.one_in(8), dies_after, faults }
}

fn edit(dice: &mut Dice, policy: &Policy) -> Edit {
    let declared: Vec<usize> = (0..2).filter(|number| policy.frameworks[*number].declared).collect();
    let framework = dice.of(&declared);
    let size = policy.frameworks[framework].members.len();
    match dice.below(24) {
        0..=5 => Edit::Member { framework, member: dice.below(size), target: dice.of(&[Some(0), Some(1), None]) },
        6..=8 => Edit::Region { framework, target: dice.below(2), region: dice.below(REGIONS.len()) },
        9..=11 => Edit::Days {
            framework,
            target: dice.of(&[None, Some(0), Some(1)]),
            days: dice.of(&[None, Some(0), Some(1), Some(2)]),
        },
        12..=13 => Edit::Template { framework, template: dice.below(2) },
        14 => Edit::Rollout { framework, rollout: dice.below(ROLLOUTS.len()) },
        15 => Edit::Only { target: dice.below(2), who: dice.below(MANAGEMENT) },
        16 => Edit::Except { target: dice.below(2), who: dice.below(MANAGEMENT) },
        17 => {
            let (enabled, retain) = dice.of(&[(true, false), (true, true), (false, false)]);
            Edit::Auto { enabled, retain }
        }
        18 => Edit::Adopt { framework, on: !dice.one_in(3) },
        19 => Edit::RemoveUndeclared(!dice.one_in(3)),
        // Without any framework a policy is refused.
        20..=21 if declared.len() == 2 => Edit::Declared { framework: dice.below(2), on: dice.one_in(3) },
        20 => Edit::Declared { framework: dice.below(2), on: !dice.one_in(8) },
        22 => Edit::Broken(dice.one_in(3)),
        _ => Edit::Nothing,
    }
}

impl Edit {
    pub(crate) fn apply(&self, policy: &mut Policy) {
        let frameworks = &mut policy.frameworks;
        let toggle = |set: &mut BTreeSet<usize>, one: usize| {
            if !set.remove(&one) {
                set.insert(one);
            }
        };
        match self {
            Self::Member { framework, member, target } => frameworks[*framework].members[*member] = *target,
            Self::Region { framework, target, region } => {
                let regions = &mut frameworks[*framework].targets[*target].regions;
                toggle(regions, *region);
                if regions.is_empty() {
                    regions.insert(*region);
                }
            }
            Self::Days { framework, target: Some(target), days } => {
                frameworks[*framework].targets[*target].days = *days;
            }
            Self::Days { framework, target: None, days } => frameworks[*framework].days = days.unwrap_or(0),
            Self::Template { framework, template } => frameworks[*framework].template = *template,
            Self::Rollout { framework, rollout } => frameworks[*framework].rollout = *rollout,
            Self::Only { target, who } => {
                frameworks[1].targets[*target].except.clear();
                toggle(&mut frameworks[1].targets[*target].only, *who);
            }
            Self::Except { target, who } => {
                frameworks[1].targets[*target].only.clear();
                toggle(&mut frameworks[1].targets[*target].except, *who);
            }
            Self::Auto { enabled, retain } => frameworks[1].auto = (*enabled, *retain),
            Self::Adopt { framework, on } => frameworks[*framework].adopt = *on,
            Self::RemoveUndeclared(on) => policy.remove_undeclared = *on,
            Self::Declared { framework, on } => frameworks[*framework].declared = *on,
            Self::Broken(broken) => policy.broken = *broken,
            Self::Nothing => {}
        }
    }
}

impl Wake {
    pub(crate) fn calm(why: Why) -> Self {
        Self { why, repeated: false, dies_after: None, faults: Vec::new() }
    }

    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        if self.repeated {
            simpler.push(Self { repeated: false, ..self.clone() });
        }
        if self.dies_after.is_some() {
            simpler.push(Self { dies_after: None, ..self.clone() });
        }
        for index in 0..self.faults.len() {
            let mut fewer = self.clone();
            fewer.faults.remove(index);
            simpler.push(fewer);
        }
        simpler
    }
}

fn home(to: Option<usize>) -> &'static str {
    match to {
        None => "nowhere",
        Some(3) => "the root",
        Some(number) => UNITS[number],
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let homes: Vec<String> =
            self.homes.iter().enumerate().map(|(who, to)| format!("{} in {}", account_name(who), home(*to))).collect();
        writeln!(f, "* {}", homes.join(", "))?;
        for (number, found) in self.found.iter().enumerate() {
            let Some(Found { owner, managed, same, other_model, instances }) = found else { continue };
            let name = stack_set_name(number);
            writeln!(
                f,
                "* there is a StackSet {name} of {owner:?}, managed execution {managed}, definition of the policy {same}, other permissions {other_model}"
            )?;
            for FoundInstance { who, place, state, days } in instances {
                writeln!(f, "    {}/{} {state:?} {days:?}", account_name(*who), region_name(*place))?;
            }
        }
        writeln!(f, "* operations hide for {} s, calls are stale for {} s", self.hidden, self.stale)?;
        for line in self.policy.text().lines() {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push(edit) => write!(f, "push: {edit:?}"),
            Self::Look(Wake { why, repeated, dies_after, faults }) => {
                write!(f, "deploy is woken by {why:?}")?;
                if *repeated {
                    write!(f, ", twice")?;
                }
                if let Some(steps) = dies_after {
                    write!(f, ", and dies after {steps} steps")?;
                }
                for Fault { operation, kind } in faults {
                    match kind {
                        None => write!(f, "; an answer of {operation} is lost")?,
                        Some(kind) => write!(f, "; {operation} fails ({kind:?})")?,
                    }
                }
                Ok(())
            }
            Self::Wait(seconds) => write!(f, "{seconds} seconds pass"),
            Self::Move { who, to } => write!(f, "account {} moves to {}", account_name(*who), home(*to)),
            Self::State { who, state } => write!(f, "account {} is {state:?}", account_name(*who)),
            Self::Fault { who, place, times, of } => {
                let times = times.map_or("always".to_owned(), |times| format!("{times} times"));
                write!(f, "{}/{} will fail {times} ({of:?})", account_name(*who), region_name(*place))
            }
            Self::Mend => write!(f, "nothing goes wrong any more"),
            Self::Hand { framework, what } => write!(f, "by hand on {}: {what:?}", stack_set_name(*framework)),
            Self::Ask { kind, times } => write!(f, "CloudFormation asks to {kind:?}, {times} times"),
            Self::Again => write!(f, "the last request comes again"),
        }
    }
}
