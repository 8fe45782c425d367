//! A history as it is generated, and told to whoever has to understand it.

use app::ports::PortErrorKind;
use domain::violation::Outlet;
use std::collections::BTreeSet;
use std::fmt;

/// What befalls the application. Acts refer to nothing that another act must have made: any of them can be left out.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) outlets: BTreeSet<Outlet>,
    /// Seconds.
    pub(crate) window: u64,
    /// One bit for each message that ends a window: it is lost.
    pub(crate) lost_flushes: u64,
    pub(crate) acts: Vec<Act>,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// AWS Config comes to a result, and sends so many events of it (none: it is lost) into the queue, that far from its end. The
    /// aggregator may lag behind.
    Happens { resource: usize, result: Outcome, copies: usize, ahead: usize, lags: bool },
    /// A policy is published that exempts some resources for so many days, or nothing.
    Policy { exempt: Option<i32> },
    /// Somebody sends what can never be understood, or what is none of ours.
    Noise { poison: bool },
    /// Time passes.
    Wait(i64),
    /// Functions are invoked: one, or several at once. The table's indexes may not know of its last write.
    Invoked { calls: Vec<Call>, order: u64, faults: Vec<Fault>, index_lags: bool },
}

/// A result of a rule for a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Broken,
    Satisfied,
    NotApplicable,
    /// Config forgets it; the event says NOT_APPLICABLE.
    Deleted,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) what: Invocation,
    /// Dies after so many steps.
    pub(crate) dies_after: Option<usize>,
    /// Its clock is some seconds behind.
    pub(crate) behind: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Invocation {
    /// `report` gets messages from somewhere in the queue.
    Report { from: usize, count: usize },
    /// `sweep`; a short one has time for one account.
    Sweep { short: bool },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) operation: &'static str,
    /// `None`: the call takes effect, and its answer is lost.
    pub(crate) kind: Option<PortErrorKind>,
}

impl Fault {
    /// After it something may be told twice: it is not known to have been told.
    pub(crate) fn may_repeat(self) -> bool {
        self.kind.is_none() || self.operation == "dynamodb:PutItem"
    }

    /// An outlet would not take it, and would not if it were told again.
    pub(crate) fn refuses(self) -> bool {
        self.kind.is_some_and(|kind| kind != PortErrorKind::Retryable)
    }
}

/// What may happen in a history, beyond events in any order, lost and repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    pub(crate) faults: bool,
    pub(crate) crashes: bool,
    pub(crate) at_once: bool,
    pub(crate) all_outlets: bool,
}

/// SplitMix64: every seed is as good as any other.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end).unwrap()).unwrap()
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

const OPERATIONS: [&str; 15] = [
    "dynamodb:BatchGetItem",
    "dynamodb:PutItem",
    "dynamodb:PutItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:GetItem",
    "dynamodb:UpdateItem",
    "sqs:SendMessage",
    "sns:Publish",
    "sns:Publish",
    "sns:PublishChat",
    "securityhub:BatchImportFindings",
    "events:PutEvents",
    "config:",
];
const CONFIG: [&str; 3] = [
    "config:SelectAggregateResourceConfig",
    "config:DescribeAggregateComplianceByConfigRules",
    "config:GetAggregateComplianceDetailsByConfigRule",
];

impl Story {
    pub(crate) fn generate(theme: Theme, seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let mut outlets = BTreeSet::from([Outlet::Topic]);
        if theme.all_outlets && !dice.one_in(4) {
            outlets.extend([Outlet::Chat, Outlet::Finding, Outlet::Event]);
        }
        let mut resources = vec![dice.below(4)];
        for _ in 0..dice.below(3) {
            resources.push(dice.below(4));
        }
        // Half of the faulty histories have no fault after which anything may be told twice.
        let gentle = dice.one_in(2);
        let window = if dice.one_in(3) { 0 } else { 300 };
        let lost_flushes = dice.roll() & dice.roll() & dice.roll();
        let mut acts = Vec::new();
        if dice.one_in(4) {
            acts.push(Self::policy(dice));
        }
        // Now and then a resource goes back and forth faster than anybody can be told.
        if dice.one_in(24) {
            for number in 0..6 + dice.below(24) {
                let result = if number % 2 == 0 { Outcome::Broken } else { Outcome::Satisfied };
                acts.push(Act::Happens { resource: resources[0], result, copies: 1, ahead: 0, lags: false });
                if dice.one_in(3) {
                    acts.push(Self::act(dice, theme, &resources, gentle));
                }
            }
        }
        for _ in 0..5 + dice.below(12) {
            acts.push(Self::act(dice, theme, &resources, gentle));
        }
        Self { outlets, window, lost_flushes, acts }
    }

    fn act(dice: &mut Dice, theme: Theme, resources: &[usize], gentle: bool) -> Act {
        match dice.below(20) {
            0..=8 => Act::Happens {
                resource: dice.of(resources),
                result: match dice.below(12) {
                    0..=5 => Outcome::Broken,
                    6..=9 => Outcome::Satisfied,
                    10 => Outcome::NotApplicable,
                    _ => Outcome::Deleted,
                },
                copies: dice.of(&[0, 1, 1, 1, 1, 1, 1, 2, 2, 3]),
                ahead: dice.of(&[0, 0, 0, 1, 2, 3, 5]),
                lags: dice.one_in(6),
            },
            9 if dice.one_in(3) => Act::Noise { poison: dice.one_in(2) },
            9 if dice.one_in(2) => Self::policy(dice),
            9..=11 => Act::Wait(match dice.below(16) {
                0..=7 => 20,
                8..=11 => 310,
                12..=13 => 2_000,
                14 => 4_000,
                _ => 86_400 * dice.of(&[1, 8, 31]),
            }),
            _ => {
                let at_once = theme.at_once && dice.one_in(2);
                let count = if at_once { dice.of(&[2, 2, 3]) } else { 1 };
                let calls = (0..count).map(|_| Call {
                    what: if dice.one_in(6) {
                        Invocation::Sweep { short: dice.one_in(4) }
                    } else {
                        Invocation::Report { from: dice.below(4), count: 1 + dice.below(5) }
                    },
                    dies_after: (theme.crashes && dice.one_in(3)).then(|| dice.below(if at_once { 14 } else { 24 })),
                    behind: dice.one_in(6),
                });
                let calls = calls.collect();
                let mut faults = Vec::new();
                while theme.faults && faults.len() < 4 && dice.one_in(2) {
                    faults.push(Self::fault(dice, gentle));
                }
                let index_lags = theme.at_once && dice.one_in(6);
                Act::Invoked { calls, order: dice.roll(), faults, index_lags }
            }
        }
    }

    fn policy(dice: &mut Dice) -> Act {
        Act::Policy { exempt: dice.of(&[None, Some(-1), Some(0), Some(0), Some(5), Some(90)]) }
    }

    fn fault(dice: &mut Dice, gentle: bool) -> Fault {
        let operation = match dice.of(&OPERATIONS) {
            "config:" => dice.of(&CONFIG),
            "dynamodb:PutItem" if gentle => "sns:Publish",
            operation => operation,
        };
        let kind = match dice.below(6) {
            0 | 1 if !gentle => None,
            0..=3 => Some(PortErrorKind::Retryable),
            4 => Some(PortErrorKind::Denied),
            _ => Some(PortErrorKind::Refused),
        };
        Fault { operation, kind }
    }

    /// Stories that are a little simpler.
    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        for index in 0..self.acts.len() {
            let mut without = self.clone();
            without.acts.remove(index);
            simpler.push(without);
        }
        if self.outlets.len() > 1 {
            for outlet in &self.outlets {
                let mut without = self.clone();
                without.outlets.remove(outlet);
                simpler.push(without);
            }
        }
        if self.window > 0 {
            simpler.push(Self { window: 0, ..self.clone() });
        }
        if self.lost_flushes > 0 {
            simpler.push(Self { lost_flushes: 0, ..self.clone() });
        }
        for (index, act) in self.acts.iter().enumerate() {
            for act in act.simpler() {
                let mut other = self.clone();
                other.acts[index] = act;
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

impl Act {
    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        match self {
            Self::Happens { resource, result, copies, ahead, lags } => {
                let (resource, result, copies, ahead, lags) = (*resource, *result, *copies, *ahead, *lags);
                if copies > 1 {
                    simpler.push(Self::Happens { resource, result, copies: 1, ahead, lags });
                }
                if ahead > 0 {
                    simpler.push(Self::Happens { resource, result, copies, ahead: 0, lags });
                }
                if lags {
                    simpler.push(Self::Happens { resource, result, copies, ahead, lags: false });
                }
            }
            Self::Noise { .. } | Self::Policy { .. } => {}
            Self::Wait(seconds) => {
                simpler.extend([20, 310, 2_000].iter().filter(|less| *less < seconds).map(|less| Self::Wait(*less)));
            }
            Self::Invoked { calls, order, faults, index_lags } => {
                let with = |calls: &[Call], faults: &[Fault], index_lags| Self::Invoked {
                    calls: calls.to_vec(),
                    order: *order,
                    faults: faults.to_vec(),
                    index_lags,
                };
                if *index_lags {
                    simpler.push(with(calls, faults, false));
                }
                for index in 0..faults.len() {
                    let mut faults = faults.clone();
                    faults.remove(index);
                    simpler.push(with(calls, &faults, *index_lags));
                }
                for (index, Call { dies_after, behind, .. }) in calls.iter().enumerate() {
                    let mut fewer = calls.clone();
                    if fewer.len() > 1 {
                        fewer.remove(index);
                        simpler.push(with(&fewer, faults, *index_lags));
                    }
                    if dies_after.is_some() || *behind {
                        let mut calmer = calls.clone();
                        calmer[index].behind = false;
                        if *behind {
                            simpler.push(with(&calmer, faults, *index_lags));
                        }
                        calmer[index].dies_after = None;
                        simpler.push(with(&calmer, faults, *index_lags));
                    }
                }
            }
        }
        simpler
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Happens { resource, result, copies, ahead, lags } => {
                let lags = if *lags { "; the aggregator lags behind" } else { "" };
                write!(f, "Config finds r{resource} {result:?}; {copies} events, {ahead} before the queue's end{lags}")
            }
            Self::Policy { exempt: Some(days) } => {
                write!(f, "a policy is published; r0, r1 are exempt for {days} days")
            }
            Self::Policy { exempt: None } => write!(f, "a policy is published; nothing is exempt"),
            Self::Noise { poison: true } => write!(f, "a message comes that cannot be understood"),
            Self::Noise { poison: false } => write!(f, "an event comes that is none of ours"),
            Self::Wait(seconds) => write!(f, "{seconds} seconds pass"),
            Self::Invoked { calls, faults, index_lags, .. } => {
                for (index, Call { what, dies_after, behind }) in calls.iter().enumerate() {
                    if index > 0 {
                        write!(f, ", and at once ")?;
                    }
                    match what {
                        Invocation::Report { from, count } => write!(f, "report gets {count} messages from {from} on")?,
                        Invocation::Sweep { short: false } => write!(f, "sweep")?,
                        Invocation::Sweep { short: true } => write!(f, "sweep, with time for one account,")?,
                    }
                    if *behind {
                        write!(f, " by a clock that is behind")?;
                    }
                    if let Some(steps) = dies_after {
                        write!(f, " and dies after {steps} steps")?;
                    }
                }
                if *index_lags {
                    write!(f, "; the indexes lag behind")?;
                }
                for Fault { operation, kind } in faults {
                    match kind {
                        None => write!(f, "; an answer of {operation} is lost")?,
                        Some(kind) => write!(f, "; {operation} fails ({kind:?})")?,
                    }
                }
                Ok(())
            }
        }
    }
}
