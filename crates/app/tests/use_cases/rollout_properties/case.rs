//! A generated rollout and its text form.
//! Long because generation, simplification and text of a case need the same types.

use std::collections::BTreeSet;
use std::fmt;

use app::events::ReconcileScope;
use app::lifecycle::RequestKind;
use app::ports::PortErrorKind;
use testkit::simulator::{AccountState, Dice, FaultyWork};

use super::fixture::{ACCOUNTS, MANAGEMENT, REGIONS, UNITS, account_name, region_name, stack_set_name};
use super::policy::{CaseFramework, CasePolicy, CaseTarget, ROLLOUTS, all_regions};

/// The acts of a rollout. No act depends on another one: any of them can be left out.
#[derive(Debug, Clone)]
pub(crate) struct RolloutCase {
    pub(crate) seed: u64,
    /// The first policy in the repository.
    pub(crate) policy: CasePolicy,
    /// StackSets that exist before the first reconciliation.
    pub(crate) found: [Option<InitialStackSet>; 2],
    /// The location of each account: a unit, the root (3), or outside of the organization.
    pub(crate) homes: Vec<Option<usize>>,
    /// Seconds for which an operation cannot be found after its acceptance.
    pub(crate) hidden: i64,
    /// Seconds for which a call is stale after another.
    pub(crate) stale: i64,
    pub(crate) acts: Vec<RolloutAct>,
}

/// A StackSet of which no state is stored.
#[derive(Debug, Clone)]
pub(crate) struct InitialStackSet {
    pub(crate) owner: InitialOwner,
    pub(crate) managed: bool,
    /// It has the definition of the first policy.
    pub(crate) same: bool,
    pub(crate) other_model: bool,
    pub(crate) instances: Vec<InitialInstance>,
}

#[derive(Debug, Clone)]
pub(crate) struct InitialInstance {
    pub(crate) who: usize,
    pub(crate) place: usize,
    pub(crate) state: InitialState,
    pub(crate) days: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InitialOwner {
    Ours,
    Untagged,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InitialState {
    Current,
    Failed,
    Cancelled,
    Inoperable,
}

#[derive(Debug, Clone)]
pub(crate) enum RolloutAct {
    /// A user pushes a change of the policy.
    Push(PolicyEdit),
    /// `deploy` is triggered.
    Reconcile(ScriptedTrigger),
    /// Time passes, in seconds.
    Wait(i64),
    /// An account moves to a unit, the root (3), or out of the organization.
    Move { who: usize, to: Option<usize> },
    /// An account is suspended, closed, or reopened.
    State { who: usize, state: AccountState },
    /// From now on work fails there.
    Fault { who: usize, place: usize, times: Option<u32>, of: FaultyWork },
    /// Work succeeds again.
    Fix,
    /// A user changes a StackSet by hand.
    Manual { framework: usize, what: ManualChange },
    /// CloudFormation sends a request, and delivers it this number of times.
    Request { kind: RequestKind, times: usize },
    /// Lambda delivers the last request again.
    Redeliver,
}

#[derive(Debug, Clone)]
pub(crate) struct ScriptedTrigger {
    pub(crate) why: TriggerReason,
    pub(crate) repeated: bool,
    /// The process dies after this number of steps.
    pub(crate) dies_after: Option<usize>,
    pub(crate) faults: Vec<RolloutFault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TriggerReason {
    Push,
    Ended(usize),
    Schedule(ReconcileScope),
    Request,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RolloutFault {
    pub(crate) operation: &'static str,
    /// `None`: the call takes effect, and its response is lost.
    pub(crate) kind: Option<PortErrorKind>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum ManualChange {
    Drift,
    Delete { who: usize, place: usize },
    Create { who: usize, place: usize },
    Stop,
}

#[derive(Debug, Clone)]
pub(crate) enum PolicyEdit {
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

/// The faults of a rollout, in addition to edits, lost and repeated triggers, moving accounts and failing instances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RolloutTheme {
    /// Calls are throttled or denied, and lose their responses; operations are visible with a delay.
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

impl RolloutCase {
    pub(crate) fn generate(theme: RolloutTheme, seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let mut homes: Vec<Option<usize>> = (0..ACCOUNTS.len()).map(|_| Some(dice.below(4))).collect();
        homes[MANAGEMENT] = Some(dice.pick(&[0, 0, 3]));
        if dice.one_in(4) {
            homes[dice.below(MANAGEMENT)] = None;
        }
        let policy = first_policy(dice, &homes);
        let found = [0, 1].map(|framework| {
            let chance = if policy.frameworks[framework].declared { 3 } else { 8 };
            dice.one_in(chance).then(|| found(dice, framework))
        });
        let removal = theme.removal && !dice.one_in(3);
        let mut acts = vec![RolloutAct::Reconcile(ScriptedTrigger::without_faults(TriggerReason::Push))];
        for _ in 0..4 + dice.below(12) {
            acts.push(act(dice, theme, &policy));
        }
        if removal {
            let at = 1 + dice.below(acts.len());
            acts.insert(at, RolloutAct::Request { kind: RequestKind::Delete, times: 1 + usize::from(dice.one_in(4)) });
        }
        Self {
            seed: dice.roll(),
            policy,
            found,
            homes,
            hidden: if theme.faults { dice.pick(&[0, 0, 30, 120]) } else { 0 },
            stale: if theme.faults { dice.pick(&[0, 0, 0, 2]) } else { 0 },
            acts,
        }
    }

    /// Slightly simpler rollouts.
    /// Long because each part of a case has one simplification.
    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        for index in 0..self.acts.len() {
            let mut without = self.clone();
            without.acts.remove(index);
            simpler.push(without);
        }
        for (index, act) in self.acts.iter().enumerate() {
            if let RolloutAct::Reconcile(wake) = act {
                for wake in wake.simpler() {
                    let mut other = self.clone();
                    other.acts[index] = RolloutAct::Reconcile(wake);
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
            let mut with = |other: CaseFramework| {
                let mut case = self.clone();
                case.policy.frameworks[framework] = other;
                simpler.push(case);
            };
            if here.declared && declared > 1 {
                with(CaseFramework { declared: false, ..here.clone() });
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
                let plain = CaseTarget { regions: here.targets[target].regions.clone(), ..CaseTarget::default() };
                if here.targets[target] != plain {
                    let mut plainer = here.clone();
                    plainer.targets[target] = plain;
                    with(plainer);
                }
            }
            if here.rollout > 0 {
                with(CaseFramework { rollout: 0, ..here.clone() });
            }
        }
        for other in [Self { hidden: 0, ..self.clone() }, Self { stale: 0, ..self.clone() }] {
            if (other.hidden, other.stale) != (self.hidden, self.stale) {
                simpler.push(other);
            }
        }
        simpler
    }

    /// The simplest rollout near this one that still fails.
    pub(crate) fn simplest(self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut simplest = self;
        while let Some(simpler) = simplest.simpler().into_iter().find(&fails) {
            simplest = simpler;
        }
        simplest
    }
}

fn first_policy(dice: &mut Dice, homes: &[Option<usize>]) -> CasePolicy {
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
            // An account that is in none of the units is invalid, which is tested in one of many rollouts.
            let listed = dice.below(MANAGEMENT);
            let inside =
                number == 1 && homes[listed].is_some_and(|home| home < UNITS.len() && members[home] == Some(target));
            match dice.below(8) {
                0 if inside || dice.one_in(8) => drop(only.insert(listed)),
                1 | 2 if inside || dice.one_in(8) => drop(except.insert(listed)),
                _ => {}
            }
            CaseTarget { regions, days: dice.pick(&[None, None, Some(1), Some(2)]), only, except }
        });
        CaseFramework {
            declared: both || number == first,
            members,
            targets,
            template: 0,
            days: 0,
            rollout: dice.below(ROLLOUTS.len()),
            adopt: dice.one_in(2),
            auto: dice.pick(&[(true, false), (true, false), (true, true), (false, false)]),
        }
    });
    CasePolicy { frameworks, remove_undeclared: !dice.one_in(3), broken: false }
}

fn found(dice: &mut Dice, framework: usize) -> InitialStackSet {
    let owner = dice.pick(&[
        InitialOwner::Ours,
        InitialOwner::Ours,
        InitialOwner::Ours,
        InitialOwner::Untagged,
        InitialOwner::Untagged,
        InitialOwner::Other,
    ]);
    let mut instances = Vec::new();
    for who in 0..MANAGEMENT {
        for place in all_regions() {
            if dice.one_in(3) {
                let state = dice.pick(&[
                    InitialState::Current,
                    InitialState::Current,
                    InitialState::Failed,
                    InitialState::Cancelled,
                    InitialState::Inoperable,
                ]);
                instances.push(InitialInstance { who, place, state, days: dice.pick(&[None, None, Some(1)]) });
            }
        }
    }
    InitialStackSet {
        owner,
        managed: !dice.one_in(3),
        same: owner == InitialOwner::Ours && dice.one_in(2),
        other_model: framework == 0 && dice.one_in(16),
        instances,
    }
}

fn act(dice: &mut Dice, theme: RolloutTheme, policy: &CasePolicy) -> RolloutAct {
    let units = policy.frameworks[1].declared;
    match dice.below(40) {
        0..=16 => RolloutAct::Reconcile(wake(dice, theme)),
        17..=22 => RolloutAct::Wait(dice.pick(&[5, 40, 100, 100, 300, 1_800, 3_700])),
        23..=29 => RolloutAct::Push(edit(dice, policy)),
        30..=32 if units => RolloutAct::Move {
            who: dice.below(ACCOUNTS.len()),
            to: dice.pick(&[Some(0), Some(1), Some(2), Some(3), None]),
        },
        33 => RolloutAct::State {
            who: dice.below(MANAGEMENT),
            state: dice.pick(&[
                AccountState::Suspended,
                AccountState::Suspended,
                AccountState::Closed,
                AccountState::Active,
                AccountState::Active,
            ]),
        },
        34..=35 => RolloutAct::Fault {
            who: dice.below(MANAGEMENT),
            place: dice.below(REGIONS.len()),
            times: dice.pick(&[Some(1), Some(1), Some(2), Some(5), None]),
            of: dice.pick(&[FaultyWork::Everything, FaultyWork::Deploying, FaultyWork::Deleting]),
        },
        36 => RolloutAct::Fix,
        37..=38 => RolloutAct::Manual {
            framework: dice.below(2),
            what: {
                let (who, place) = (dice.below(MANAGEMENT), dice.below(REGIONS.len()));
                dice.pick(&[
                    ManualChange::Drift,
                    ManualChange::Delete { who, place },
                    ManualChange::Delete { who, place },
                    ManualChange::Create { who, place },
                    ManualChange::Stop,
                ])
            },
        },
        _ if dice.one_in(4) => RolloutAct::Redeliver,
        _ => RolloutAct::Request {
            kind: match dice.below(6) {
                0 if theme.removal => RequestKind::Delete,
                1 | 2 => RequestKind::Create,
                _ => RequestKind::Update,
            },
            times: 1 + usize::from(dice.one_in(4)),
        },
    }
}

fn wake(dice: &mut Dice, theme: RolloutTheme) -> ScriptedTrigger {
    let why = match dice.below(12) {
        0..=2 => TriggerReason::Push,
        3..=5 => TriggerReason::Ended(dice.below(2)),
        6..=8 => TriggerReason::Schedule(ReconcileScope::Full),
        9 => TriggerReason::Schedule(ReconcileScope::QuickCheck),
        _ => TriggerReason::Request,
    };
    let mut faults = Vec::new();
    while theme.faults && faults.len() < 3 && dice.one_in(2) {
        let kind = match dice.below(8) {
            0..=2 => None,
            3..=5 => Some(PortErrorKind::Retryable),
            6 => Some(PortErrorKind::Conflict),
            _ => Some(dice.pick(&[PortErrorKind::Denied, PortErrorKind::Rejected, PortErrorKind::Retryable])),
        };
        let operation = dice.pick(&OPERATIONS);
        // A request that CloudFormation would never accept is not answered.
        let kind = if operation == "cloudformation:PutAnswer" { kind.map(|_| PortErrorKind::Retryable) } else { kind };
        faults.push(RolloutFault { operation, kind });
    }
    let dies_after = (theme.crashes && dice.one_in(3)).then(|| dice.below(44));
    ScriptedTrigger { why, repeated: dice.one_in(8), dies_after, faults }
}

fn edit(dice: &mut Dice, policy: &CasePolicy) -> PolicyEdit {
    let declared: Vec<usize> = (0..2).filter(|number| policy.frameworks[*number].declared).collect();
    let framework = dice.pick(&declared);
    let size = policy.frameworks[framework].members.len();
    match dice.below(24) {
        0..=5 => {
            PolicyEdit::Member { framework, member: dice.below(size), target: dice.pick(&[Some(0), Some(1), None]) }
        }
        6..=8 => PolicyEdit::Region { framework, target: dice.below(2), region: dice.below(REGIONS.len()) },
        9..=11 => PolicyEdit::Days {
            framework,
            target: dice.pick(&[None, Some(0), Some(1)]),
            days: dice.pick(&[None, Some(0), Some(1), Some(2)]),
        },
        12..=13 => PolicyEdit::Template { framework, template: dice.below(2) },
        14 => PolicyEdit::Rollout { framework, rollout: dice.below(ROLLOUTS.len()) },
        15 => PolicyEdit::Only { target: dice.below(2), who: dice.below(MANAGEMENT) },
        16 => PolicyEdit::Except { target: dice.below(2), who: dice.below(MANAGEMENT) },
        17 => {
            let (enabled, retain) = dice.pick(&[(true, false), (true, true), (false, false)]);
            PolicyEdit::Auto { enabled, retain }
        }
        18 => PolicyEdit::Adopt { framework, on: !dice.one_in(3) },
        19 => PolicyEdit::RemoveUndeclared(!dice.one_in(3)),
        // A policy without frameworks is rejected.
        20..=21 if declared.len() == 2 => PolicyEdit::Declared { framework: dice.below(2), on: dice.one_in(3) },
        20 => PolicyEdit::Declared { framework: dice.below(2), on: !dice.one_in(8) },
        22 => PolicyEdit::Broken(dice.one_in(3)),
        _ => PolicyEdit::Nothing,
    }
}

impl PolicyEdit {
    pub(crate) fn apply(&self, policy: &mut CasePolicy) {
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

impl ScriptedTrigger {
    pub(crate) fn without_faults(why: TriggerReason) -> Self {
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

impl fmt::Display for RolloutCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let homes: Vec<String> =
            self.homes.iter().enumerate().map(|(who, to)| format!("{} in {}", account_name(who), home(*to))).collect();
        writeln!(f, "* {}", homes.join(", "))?;
        for (number, found) in self.found.iter().enumerate() {
            let Some(InitialStackSet { owner, managed, same, other_model, instances }) = found else { continue };
            let name = stack_set_name(number);
            writeln!(
                f,
                "* there is a StackSet {name} of {owner:?}, managed execution {managed}, definition of the policy {same}, other permissions {other_model}"
            )?;
            for InitialInstance { who, place, state, days } in instances {
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

impl fmt::Display for RolloutAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push(edit) => write!(f, "push: {edit:?}"),
            Self::Reconcile(ScriptedTrigger { why, repeated, dies_after, faults }) => {
                write!(f, "deploy is woken by {why:?}")?;
                if *repeated {
                    write!(f, ", twice")?;
                }
                if let Some(steps) = dies_after {
                    write!(f, ", and dies after {steps} steps")?;
                }
                for RolloutFault { operation, kind } in faults {
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
            Self::Fix => write!(f, "nothing goes wrong any more"),
            Self::Manual { framework, what } => write!(f, "by hand on {}: {what:?}", stack_set_name(*framework)),
            Self::Request { kind, times } => write!(f, "CloudFormation asks to {kind:?}, {times} times"),
            Self::Redeliver => write!(f, "the last request comes again"),
        }
    }
}
