//! A generated history and its text form.

use std::collections::BTreeSet;
use std::fmt;

use app::ports::PortErrorKind;
use domain::violation::Channel;
use testkit::simulator::Dice;

/// The acts of a history. No act depends on another one: any of them can be left out.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) outlets: BTreeSet<Channel>,
    /// Seconds.
    pub(crate) window: u64,
    /// One bit for each message that ends a window: it is lost.
    pub(crate) lost_flushes: u64,
    pub(crate) acts: Vec<HistoryAct>,
}

#[derive(Debug, Clone)]
pub(crate) enum HistoryAct {
    /// AWS Config has a result, and sends this number of events of it (0: lost) into the queue, at this distance from
    /// its end. The aggregator may lag behind.
    Evaluated { resource: usize, result: RuleResult, copies: usize, ahead: usize, lags: bool },
    /// A policy is published that exempts some resources for this number of days, or none.
    Policy { exempt: Option<i32> },
    /// An invalid or a foreign message arrives.
    Noise { invalid: bool },
    /// Time passes.
    Wait(i64),
    /// Functions are invoked: one, or several concurrently. The table's indexes may not contain its last write.
    Invoked { calls: Vec<FunctionCall>, order: u64, faults: Vec<CallFault>, index_lags: bool },
}

/// A result of a rule for a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuleResult {
    Broken,
    Satisfied,
    NotApplicable,
    /// AWS Config deletes the result; the event has NOT_APPLICABLE.
    Deleted,
}

#[derive(Debug, Clone)]
pub(crate) struct FunctionCall {
    pub(crate) what: InvokedFunction,
    /// The process dies after this number of steps.
    pub(crate) dies_after: Option<usize>,
    /// Its clock is this number of seconds behind.
    pub(crate) behind: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum InvokedFunction {
    /// `report` receives messages from anywhere in the queue.
    Report { from: usize, count: usize },
    /// `sweep`; a short one has time for one account.
    Sweep { short: bool },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct CallFault {
    pub(crate) operation: &'static str,
    /// `None`: the call takes effect, and its response is lost.
    pub(crate) kind: Option<PortErrorKind>,
}

impl CallFault {
    /// Afterwards a delivery may be repeated: it is not known whether it happened.
    pub(crate) fn may_repeat(self) -> bool {
        self.kind.is_none() || self.operation == "dynamodb:PutItem"
    }

    /// A channel rejects the notice, and would reject it again.
    pub(crate) fn rejects(self) -> bool {
        self.kind.is_some_and(|kind| kind != PortErrorKind::Retryable)
    }
}

/// The faults of a history, in addition to reordered, lost and repeated events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryTheme {
    pub(crate) faults: bool,
    pub(crate) crashes: bool,
    pub(crate) concurrent: bool,
    pub(crate) all_outlets: bool,
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

impl History {
    pub(crate) fn generate(theme: HistoryTheme, seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let mut outlets = BTreeSet::from([Channel::Topic]);
        if theme.all_outlets && !dice.one_in(4) {
            outlets.extend([Channel::Chat, Channel::SecurityHub, Channel::EventBus]);
        }
        let mut resources = vec![dice.below(4)];
        for _ in 0..dice.below(3) {
            resources.push(dice.below(4));
        }
        // Half of the faulty histories have no fault after which a delivery may be repeated.
        let gentle = dice.one_in(2);
        let window = if dice.one_in(3) { 0 } else { 300 };
        let lost_flushes = dice.roll() & dice.roll() & dice.roll();
        let mut acts = Vec::new();
        if dice.one_in(4) {
            acts.push(Self::policy(dice));
        }
        // Sometimes a resource changes faster than notices can be delivered.
        if dice.one_in(24) {
            for number in 0..6 + dice.below(24) {
                let result = if number % 2 == 0 { RuleResult::Broken } else { RuleResult::Satisfied };
                acts.push(HistoryAct::Evaluated { resource: resources[0], result, copies: 1, ahead: 0, lags: false });
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

    fn act(dice: &mut Dice, theme: HistoryTheme, resources: &[usize], gentle: bool) -> HistoryAct {
        match dice.below(20) {
            0..=8 => HistoryAct::Evaluated {
                resource: dice.pick(resources),
                result: match dice.below(12) {
                    0..=5 => RuleResult::Broken,
                    6..=9 => RuleResult::Satisfied,
                    10 => RuleResult::NotApplicable,
                    _ => RuleResult::Deleted,
                },
                copies: dice.pick(&[0, 1, 1, 1, 1, 1, 1, 2, 2, 3]),
                ahead: dice.pick(&[0, 0, 0, 1, 2, 3, 5]),
                lags: dice.one_in(6),
            },
            9 if dice.one_in(3) => HistoryAct::Noise { invalid: dice.one_in(2) },
            9 if dice.one_in(2) => Self::policy(dice),
            9..=11 => HistoryAct::Wait(match dice.below(16) {
                0..=7 => 20,
                8..=11 => 310,
                12..=13 => 2_000,
                14 => 4_000,
                _ => 86_400 * dice.pick(&[1, 8, 31]),
            }),
            _ => {
                let concurrent = theme.concurrent && dice.one_in(2);
                let count = if concurrent { dice.pick(&[2, 2, 3]) } else { 1 };
                let calls = (0..count).map(|_| FunctionCall {
                    what: if dice.one_in(6) {
                        InvokedFunction::Sweep { short: dice.one_in(4) }
                    } else {
                        InvokedFunction::Report { from: dice.below(4), count: 1 + dice.below(5) }
                    },
                    dies_after: (theme.crashes && dice.one_in(3)).then(|| dice.below(if concurrent { 14 } else { 24 })),
                    behind: dice.one_in(6),
                });
                let calls = calls.collect();
                let mut faults = Vec::new();
                while theme.faults && faults.len() < 4 && dice.one_in(2) {
                    faults.push(Self::fault(dice, gentle));
                }
                let index_lags = theme.concurrent && dice.one_in(6);
                HistoryAct::Invoked { calls, order: dice.roll(), faults, index_lags }
            }
        }
    }

    fn policy(dice: &mut Dice) -> HistoryAct {
        HistoryAct::Policy { exempt: dice.pick(&[None, Some(-1), Some(0), Some(0), Some(5), Some(90)]) }
    }

    fn fault(dice: &mut Dice, gentle: bool) -> CallFault {
        let operation = match dice.pick(&OPERATIONS) {
            "config:" => dice.pick(&CONFIG),
            "dynamodb:PutItem" if gentle => "sns:Publish",
            operation => operation,
        };
        let kind = match dice.below(6) {
            0 | 1 if !gentle => None,
            0..=3 => Some(PortErrorKind::Retryable),
            4 => Some(PortErrorKind::Denied),
            _ => Some(PortErrorKind::Rejected),
        };
        CallFault { operation, kind }
    }

    /// Slightly simpler histories.
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

    /// The simplest history near this one that still fails.
    pub(crate) fn simplest(self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut simplest = self;
        while let Some(simpler) = simplest.simpler().into_iter().find(&fails) {
            simplest = simpler;
        }
        simplest
    }
}

impl HistoryAct {
    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        match self {
            Self::Evaluated { resource, result, copies, ahead, lags } => {
                let (resource, result, copies, ahead, lags) = (*resource, *result, *copies, *ahead, *lags);
                if copies > 1 {
                    simpler.push(Self::Evaluated { resource, result, copies: 1, ahead, lags });
                }
                if ahead > 0 {
                    simpler.push(Self::Evaluated { resource, result, copies, ahead: 0, lags });
                }
                if lags {
                    simpler.push(Self::Evaluated { resource, result, copies, ahead, lags: false });
                }
            }
            Self::Noise { .. } | Self::Policy { .. } => {}
            Self::Wait(seconds) => {
                simpler.extend([20, 310, 2_000].iter().filter(|less| *less < seconds).map(|less| Self::Wait(*less)));
            }
            Self::Invoked { calls, order, faults, index_lags } => {
                let with = |calls: &[FunctionCall], faults: &[CallFault], index_lags| Self::Invoked {
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
                for (index, FunctionCall { dies_after, behind, .. }) in calls.iter().enumerate() {
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

impl fmt::Display for HistoryAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evaluated { resource, result, copies, ahead, lags } => {
                let lags = if *lags { "; the aggregator lags behind" } else { "" };
                write!(f, "Config finds r{resource} {result:?}; {copies} events, {ahead} before the queue's end{lags}")
            }
            Self::Policy { exempt: Some(days) } => {
                write!(f, "a policy is published; r0, r1 are exempt for {days} days")
            }
            Self::Policy { exempt: None } => write!(f, "a policy is published; nothing is exempt"),
            Self::Noise { invalid: true } => write!(f, "a message comes that cannot be understood"),
            Self::Noise { invalid: false } => write!(f, "an event comes that is none of ours"),
            Self::Wait(seconds) => write!(f, "{seconds} seconds pass"),
            Self::Invoked { calls, faults, index_lags, .. } => {
                for (index, FunctionCall { what, dies_after, behind }) in calls.iter().enumerate() {
                    if index > 0 {
                        write!(f, ", and at once ")?;
                    }
                    match what {
                        InvokedFunction::Report { from, count } => {
                            write!(f, "report gets {count} messages from {from} on")?
                        }
                        InvokedFunction::Sweep { short: false } => write!(f, "sweep")?,
                        InvokedFunction::Sweep { short: true } => write!(f, "sweep, with time for one account,")?,
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
                for CallFault { operation, kind } in faults {
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
