//! The execution of a history: AWS Config, the queue, and functions that are invoked, fail and die. Long because each
//! act changes the same state.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde_json::{Value, json};

use app::deploy::{ControlVariant, PublishedFramework};
use app::events::{BatchMessage, flush_message};
use app::report::{BatchSummary, Report};
use app::sweep::ports::EvaluationResult;
use app::sweep::{Sweep, SweepSummary};
use domain::policy::{Exemption, Reporting};
use domain::violation::{ComplianceType, ViolationKey};
use framework::ids::{AccountId, RegionName, StackSetName};
use testkit::simulator::Dice;
use testkit::world::World;

use super::history::{CallFault, FunctionCall, History, HistoryAct, InvokedFunction, RuleResult};
use super::oracle;

/// The queue moves a message to its dead-letter queue after this number of receives.
const RECEIVES: usize = 5;
/// Maximum delay in seconds of the aggregator behind AWS Config.
const LAGS: i64 = 300;
/// A clock that is wrong.
const BEHIND: SignedDuration = SignedDuration::from_secs(3);
const REGION: &str = "eu-west-1";
const ACCOUNTS: [&str; 2] = ["222222222222", "333333333333"];
const CONTROLS: [&str; 2] = ["BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "BACKUP_LAST_RECOVERY_POINT_CREATED"];
const FRAMEWORK: &str = "1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";
const KIND: &str = "AWS::RDS::DBCluster";
/// Account and control of each resource: two share a group.
const RESOURCES: [(usize, usize); 4] = [(0, 0), (0, 0), (0, 1), (1, 0)];

/// The result of a history, for the oracle.
#[derive(Debug)]
pub(crate) struct HistoryRun {
    pub(crate) world: World,
    queue: Vec<QueuedMessage>,
    messages: usize,
    flushes: u32,
    /// Results that the aggregator does not show yet.
    unseen: BTreeMap<usize, (RuleResult, Timestamp)>,
    /// The times at which AWS Config found each resource non-compliant.
    pub(crate) broken: BTreeMap<usize, Vec<Timestamp>>,
    /// Resources whose last result is non-compliant.
    pub(crate) open: BTreeSet<usize>,
    /// Invalid messages, and those of them that the queue itself moved to the dead-letter queue.
    pub(crate) invalid: usize,
    pub(crate) put_aside: usize,
    /// A fault has happened after which a delivery may be unrecorded.
    pub(crate) may_repeat: bool,
    /// Functions ran concurrently.
    pub(crate) were_concurrent: bool,
    /// Functions delivered to subscribers concurrently: of two invocations of `report` only one does, in a window; but
    /// there may be no window, and a sweep respects none.
    pub(crate) raced: bool,
    /// An event was lost or rejected for which only the sweep compensates.
    needs_sweep: bool,
    pub(crate) crashes: usize,
    pub(crate) faults: usize,
    /// Updates that a channel received more than once.
    pub(crate) repeated: usize,
    trace: Option<Vec<String>>,
    traced: [usize; 4],
}

#[derive(Debug, Clone)]
struct QueuedMessage {
    id: String,
    event: Value,
    about: MessageSubject,
    receives: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum MessageSubject {
    Resource(usize),
    Flush(String),
    Invalid(String),
    Nothing,
}

enum InvocationResult {
    Reported(BatchSummary),
    Swept(Result<SweepSummary, String>),
}

type RunningFunction<'r> = Pin<Box<dyn Future<Output = InvocationResult> + 'r>>;

pub(crate) fn key(resource: usize) -> ViolationKey {
    let (account, control) = RESOURCES[resource];
    ViolationKey {
        account: AccountId::parse(ACCOUNTS[account]).unwrap(),
        region: RegionName::parse(REGION).unwrap(),
        control: CONTROLS[control].into(),
        resource_type: KIND.into(),
        resource_id: format!("r{resource}"),
    }
}

/// The resource of a key.
pub(crate) fn resource(key: &ViolationKey) -> usize {
    key.resource_id[1..].parse().unwrap()
}

fn rule(resource: usize) -> String {
    format!("{}-{FRAMEWORK}", CONTROLS[RESOURCES[resource].1])
}

/// With one time only, to which the others default: a test of this many histories saves the parsing.
fn event(resource: usize, result: RuleResult, at: Timestamp) -> Value {
    let account = ACCOUNTS[RESOURCES[resource].0];
    let word = match result {
        RuleResult::Broken => "NON_COMPLIANT",
        RuleResult::Satisfied => "COMPLIANT",
        RuleResult::NotApplicable | RuleResult::Deleted => "NOT_APPLICABLE",
    };
    json!({
        "source": "aws.config",
        "detail-type": "Config Rules Compliance Change",
        "account": account,
        "detail": {
            "awsAccountId": account,
            "awsRegion": REGION,
            "configRuleName": rule(resource),
            "configRuleARN": format!("arn:aws:config:{REGION}:{account}:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd"),
            "resourceType": KIND,
            "resourceId": format!("r{resource}"),
            "newEvaluationResult": {
                "evaluationResultIdentifier": { "orderingTimestamp": at.to_string() },
                "complianceType": word,
            },
        },
    })
}

impl HistoryRun {
    fn new(history: &History, traced: bool) -> Self {
        let world = World::new();
        {
            let region = RegionName::parse(REGION).unwrap();
            let accounts = ACCOUNTS.map(|account| AccountId::parse(account).unwrap());
            let mut state = world.state();
            state.channels = history.outlets.clone();
            state.written = Some(Vec::new());
            let name = StackSetName::parse("backup-compliance-main").unwrap();
            let variant = ControlVariant {
                accounts: accounts.iter().cloned().collect(),
                regions: BTreeSet::from([region.clone()]),
                controls: CONTROLS.iter().map(|control| ((*control).to_owned(), BTreeMap::new())).collect(),
                since: BTreeMap::new(),
            };
            state.frameworks.insert(name.clone(), PublishedFramework { stack_set: name, variants: vec![variant] });
            for account in accounts {
                let rules = CONTROLS.map(|control| (format!("{control}-{FRAMEWORK}"), Vec::new()));
                state.compliance.insert((account, region.clone()), BTreeMap::from(rules));
            }
        }
        Self {
            world,
            queue: Vec::new(),
            messages: 0,
            flushes: 0,
            unseen: BTreeMap::new(),
            broken: BTreeMap::new(),
            open: BTreeSet::new(),
            invalid: 0,
            put_aside: 0,
            may_repeat: false,
            were_concurrent: false,
            raced: false,
            needs_sweep: false,
            crashes: 0,
            faults: 0,
            repeated: 0,
            trace: traced.then(Vec::new),
            traced: [0; 4],
        }
    }

    /// Runs a history and checks its properties.
    pub(crate) fn of(history: &History) -> Result<Self, String> {
        Self::execute(history, false).1
    }

    /// Runs a history and returns its steps as text.
    pub(crate) fn trace(history: &History) -> Vec<String> {
        Self::execute(history, true).0
    }

    fn execute(history: &History, traced: bool) -> (Vec<String>, Result<Self, String>) {
        let mut run = Self::new(history, traced);
        let ended = run.all(history);
        let mut trace = run.trace.take().unwrap_or_default();
        let verdict = ended.and_then(|()| oracle::check(&run));
        if let Err(why) = &verdict {
            trace.push(format!("=> {why}"));
        }
        (trace, verdict.map(|repeated| Self { repeated, ..run }))
    }

    fn all(&mut self, history: &History) -> Result<(), String> {
        for act in &history.acts {
            self.note(|| format!("* {act}"));
            self.act(history, act)?;
            self.come_due(history);
            self.note_news();
        }
        self.note(|| "* no faults from now on".into());
        self.show_all();
        self.drain(history)?;
        // Longer than a window, twice: its end is delivered in its own window.
        for _ in 0..2 {
            self.pass(SignedDuration::from_mins(6));
            self.come_due(history);
            self.drain(history)?;
        }
        self.check_nothing_waits()?;
        for _ in 0..2 {
            self.pass(SignedDuration::from_mins(61));
            self.note(|| "* an hour passes".into());
            self.come_due(history);
            self.drain(history)?;
            let mut complete = false;
            for _ in 0..4 {
                complete = self.sweep()?;
                if complete {
                    break;
                }
            }
            if !complete {
                return Err("the sweep comes to no end".into());
            }
            self.note_news();
        }
        self.drain(history)
    }

    fn check_nothing_waits(&self) -> Result<(), String> {
        let state = self.world.state();
        match state.violations.values().find(|record| !record.value.pending.is_empty()) {
            Some(record) if !self.needs_sweep => Err(format!(
                "nothing was lost or rejected, and r{} still waits for the sweep to deliver {:?}",
                resource(&record.value.key),
                record.value.pending
            )),
            _ => Ok(()),
        }
    }

    fn act(&mut self, history: &History, act: &HistoryAct) -> Result<(), String> {
        self.pass(SignedDuration::from_millis(10));
        match act {
            HistoryAct::Evaluated { resource, result, copies, ahead, lags } => {
                let now = self.world.state().now;
                if *result == RuleResult::Broken {
                    self.broken.entry(*resource).or_default().push(now);
                    self.open.insert(*resource);
                } else {
                    self.open.remove(resource);
                }
                if *lags || self.unseen.contains_key(resource) {
                    self.unseen.insert(*resource, (*result, now));
                } else {
                    self.show(*resource, *result, now);
                }
                for _ in 0..*copies {
                    self.send(event(*resource, *result, now), MessageSubject::Resource(*resource), *ahead);
                }
            }
            HistoryAct::Noise { invalid: true } => {
                self.invalid += 1;
                self.messages += 1;
                let about = MessageSubject::Invalid(format!("m{}", self.messages));
                self.send(json!({ "source": "aws.config", "detail-type": "Config Rules Compliance Change" }), about, 0);
            }
            HistoryAct::Noise { invalid: false } => {
                self.send(json!({ "source": "aws.ec2" }), MessageSubject::Nothing, 0)
            }
            HistoryAct::Policy { exempt } => self.publish(*exempt),
            HistoryAct::Wait(seconds) => {
                self.pass(SignedDuration::from_secs(*seconds));
                if *seconds > LAGS {
                    self.show_all();
                }
            }
            HistoryAct::Invoked { calls, order, faults, index_lags } => {
                self.world.state().index_lags = *index_lags;
                // The index may not contain a pending delivery yet, or still contain a completed one.
                self.needs_sweep |= *index_lags;
                self.may_repeat |= *index_lags;
                let done = self.invoked(history, calls, *order, faults);
                self.world.state().index_lags = false;
                done?;
            }
        }
        Ok(())
    }

    fn pass(&self, time: SignedDuration) {
        let mut state = self.world.state();
        state.now = state.now.checked_add(time).unwrap();
    }

    fn publish(&self, exempt: Option<i32>) {
        let mut state = self.world.state();
        let today = state.now.to_zoned(TimeZone::UTC).date();
        let (account, control) = RESOURCES[0];
        let exemptions = exempt.map(|days| Exemption {
            control: framework::control::find(CONTROLS[control]).unwrap(),
            resources: vec!["*".into()],
            accounts: vec![AccountId::parse(ACCOUNTS[account]).unwrap()],
            tags: BTreeMap::new(),
            reason: "a test".into(),
            owner: "team".into(),
            until: today.checked_add(Span::new().days(days)).unwrap(),
        });
        state.reporting = Some(Reporting { exemptions: exemptions.into_iter().collect(), ..Reporting::default() });
    }

    /// The aggregator shows a result.
    fn show(&self, resource: usize, result: RuleResult, at: Timestamp) {
        let key = key(resource);
        let mut state = self.world.state();
        let rules = state.compliance.get_mut(&(key.account, key.region)).unwrap();
        let results = rules.get_mut(&rule(resource)).unwrap();
        results.retain(|result| result.resource_id != key.resource_id);
        let compliance = match result {
            RuleResult::Broken => ComplianceType::NonCompliant,
            RuleResult::Satisfied => ComplianceType::Compliant,
            RuleResult::NotApplicable => ComplianceType::NotApplicable,
            RuleResult::Deleted => return,
        };
        results.push(EvaluationResult {
            rule_name: rule(resource),
            rule_arn: String::new(),
            resource_type: key.resource_type,
            resource_id: key.resource_id,
            compliance,
            triggered: at,
            recorded: at,
            annotation: None,
        });
    }

    fn show_all(&mut self) {
        for (resource, (result, at)) in std::mem::take(&mut self.unseen) {
            self.show(resource, result, at);
        }
    }

    fn send(&mut self, event: Value, about: MessageSubject, ahead: usize) {
        self.messages += 1;
        let place = self.queue.len().saturating_sub(ahead);
        self.queue.insert(place, QueuedMessage { id: format!("m{}", self.messages), event, about, receives: 0 });
    }

    /// Windows that have ended send their messages.
    fn come_due(&mut self, history: &History) {
        let due: Vec<_> = {
            let mut state = self.world.state();
            let now = state.now;
            state.flushes.extract_if(.., |(at, _)| *at <= now).collect()
        };
        for (_, group) in due {
            let lost = history.lost_flushes.checked_shr(self.flushes).is_some_and(|bits| bits & 1 == 1);
            self.flushes += 1;
            if lost {
                self.needs_sweep = true;
                self.note(|| format!("  the end of the window of {group} is lost"));
            } else {
                self.send(flush_message(&group), MessageSubject::Flush(group.to_string()), 0);
            }
        }
    }

    fn receive(&mut self, from: usize, count: usize) -> Vec<QueuedMessage> {
        let from = if self.queue.is_empty() { 0 } else { from % self.queue.len() };
        let end = self.queue.len().min(from + count);
        self.queue.drain(from..end).collect()
    }

    fn give_back(&mut self, received: Vec<QueuedMessage>, failed: impl Fn(&QueuedMessage) -> bool) {
        for mut message in received.into_iter().filter(failed) {
            message.receives += 1;
            if message.receives < RECEIVES {
                self.queue.push(message);
            } else {
                self.needs_sweep = true;
                self.put_aside += usize::from(matches!(message.about, MessageSubject::Invalid(_)));
                self.note(|| format!("  {} goes to the dead-letter queue", message.id));
            }
        }
    }

    /// Delivers the messages in the queue, without faults.
    fn drain(&mut self, history: &History) -> Result<(), String> {
        while !self.queue.is_empty() {
            self.pass(SignedDuration::from_millis(10));
            let what = InvokedFunction::Report { from: 0, count: 10 };
            self.invoked(history, &[FunctionCall { what, dies_after: None, behind: false }], 0, &[])?;
            self.note_news();
        }
        Ok(())
    }

    fn sweep(&mut self) -> Result<bool, String> {
        match drive(self.start(Duration::ZERO, InvokedFunction::Sweep { short: false }, &[])) {
            Some(InvocationResult::Swept(Ok(swept))) if swept.failures.is_empty() => Ok(swept.complete),
            Some(InvocationResult::Swept(Ok(swept))) => {
                Err(format!("a sweep without trouble failed: {:?}", swept.failures))
            }
            Some(InvocationResult::Swept(Err(error))) => Err(format!("a sweep without trouble failed: {error}")),
            Some(InvocationResult::Reported(_)) | None => Err("a sweep without trouble came to no end".into()),
        }
    }

    fn start<'r>(&self, window: Duration, what: InvokedFunction, received: &[QueuedMessage]) -> RunningFunction<'r> {
        let world = self.world.clone();
        match what {
            InvokedFunction::Report { .. } => {
                let messages: Vec<BatchMessage> = received
                    .iter()
                    .map(|queued| BatchMessage {
                        id: queued.id.clone(),
                        receipt: String::new(),
                        receives: 1,
                        body: queued.id.clone(),
                        event: Ok(queued.event.clone()),
                    })
                    .collect();
                Box::pin(async move {
                    let report = Report::<World> {
                        store: world.clone(),
                        channels: world.clone(),
                        resources: world.clone(),
                        queue: world.clone(),
                        clock: world,
                        digest_window: window,
                    };
                    InvocationResult::Reported(report.handle(&messages).await)
                })
            }
            InvokedFunction::Sweep { short } => Box::pin(async move {
                let sweep = Sweep::<World> {
                    store: world.clone(),
                    channels: world.clone(),
                    resources: world.clone(),
                    source: world.clone(),
                    organization: world.clone(),
                    clock: world,
                };
                let asked = Cell::new(0);
                let time_left = || {
                    asked.set(asked.get() + 1);
                    short.then(|| Duration::from_secs(if asked.get() > 1 { 10 } else { 600 }))
                };
                InvocationResult::Swept(sweep.run(time_left).await.map_err(|error| error.to_string()))
            }),
        }
    }

    /// Long because the steps of concurrent functions share their faults.
    fn invoked(
        &mut self,
        history: &History,
        calls: &[FunctionCall],
        order: u64,
        faults: &[CallFault],
    ) -> Result<(), String> {
        for fault in faults {
            match fault.kind {
                Some(kind) => self.world.fail_next(fault.operation, kind),
                None => self.world.lose_next_answer(fault.operation),
            }
        }
        let window = Duration::from_secs(history.window);
        let mut running = Vec::new();
        for call in calls {
            let received = match call.what {
                InvokedFunction::Report { from, count } => self.receive(from, count),
                InvokedFunction::Sweep { .. } => Vec::new(),
            };
            running.push((self.start(window, call.what, &received), received));
        }
        let (started, received): (Vec<RunningFunction<'_>>, Vec<Vec<QueuedMessage>>) = running.into_iter().unzip();
        let done = match (started, calls) {
            (mut started, [only]) if started.len() == 1 => {
                self.world.state().dies_in = only.dies_after;
                let behind = if only.behind { BEHIND } else { SignedDuration::ZERO };
                self.pass(-behind);
                let done = started.pop().map(drive);
                self.pass(behind);
                self.world.state().dies_in = None;
                done.into_iter().collect()
            }
            (started, calls) => {
                self.were_concurrent = true;
                self.raced |=
                    history.window == 0 || calls.iter().any(|call| matches!(call.what, InvokedFunction::Sweep { .. }));
                self.world.state().yields = true;
                let done = self.concurrent(started, calls, order);
                self.world.state().yields = false;
                done
            }
        };
        let happened = consumed(faults, &self.world.take_faults());
        self.faults += happened.len();
        self.may_repeat |= calls.len() > 1 || happened.iter().any(|fault| fault.may_repeat());
        // A channel that rejected a notice would reject it again; and a sweep is never redelivered.
        let sweeps = calls.iter().any(|call| matches!(call.what, InvokedFunction::Sweep { .. }));
        self.needs_sweep |= happened.iter().any(|fault| sweeps || fault.rejects());
        let alone = calls.len() == 1;
        for (done, received) in done.into_iter().zip(received) {
            match done {
                None => {
                    self.needs_sweep |= sweeps;
                    self.note(|| "  dies".into());
                    self.crashes += 1;
                    self.may_repeat = true;
                    self.give_back(received, |_| true);
                }
                Some(InvocationResult::Swept(swept)) => self.note(|| format!("  {swept:?}")),
                Some(InvocationResult::Reported(reported)) => {
                    let about: BTreeSet<&MessageSubject> = received
                        .iter()
                        .filter(|queued| reported.failed.contains(&queued.id))
                        .map(|queued| &queued.about)
                        .collect();
                    if alone {
                        fair(&about, &happened, &reported)?;
                    }
                    if !reported.failed.is_empty() {
                        self.note(|| format!("  to come again: {:?}", reported.failed));
                    }
                    self.give_back(received, |queued| reported.failed.contains(&queued.id));
                }
            }
        }
        Ok(())
    }

    /// Runs functions concurrently, step by step, in an order from the dice. Time passes as they run.
    fn concurrent(
        &self,
        started: Vec<RunningFunction<'_>>,
        calls: &[FunctionCall],
        order: u64,
    ) -> Vec<Option<InvocationResult>> {
        let waker = Waker::from(Arc::new(WakeFlag(AtomicBool::new(false))));
        let mut dice = Dice::new(order);
        let mut done: Vec<Option<InvocationResult>> = calls.iter().map(|_| None).collect();
        let mut left: Vec<_> = started.into_iter().zip(calls).enumerate().collect();
        let mut steps = vec![0; calls.len()];
        while !left.is_empty() {
            let turn = dice.below(left.len());
            // Several steps at a time, so that one function may be far ahead of another.
            for _ in 0..1 + dice.below(4) {
                let (index, (running, call)) = &mut left[turn];
                let behind = if call.behind { BEHIND } else { SignedDuration::ZERO };
                self.pass(SignedDuration::from_millis(1) - behind);
                let polled = running.as_mut().poll(&mut Context::from_waker(&waker));
                self.pass(behind);
                let dies = call.dies_after == Some(steps[*index]);
                steps[*index] += 1;
                if let Poll::Ready(outcome) = polled {
                    done[*index] = Some(outcome);
                } else if !dies {
                    continue;
                }
                drop(left.remove(turn));
                break;
            }
        }
        done
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    fn note_news(&mut self) {
        let Some(trace) = &mut self.trace else { return };
        let state = self.world.state();
        let written = state.written.as_deref().unwrap_or_default();
        for written in &written[self.traced[0]..] {
            let owed: Vec<String> = written
                .after
                .pending
                .iter()
                .map(|debt| format!("{:?}@{} to {:?}", debt.update, oracle::short(debt.at), debt.channels))
                .collect();
            trace.push(format!(
                "  stored: r{} is {:?}, pending: {}",
                resource(&written.after.key),
                written.after.status,
                if owed.is_empty() { "nothing".into() } else { owed.join(", ") }
            ));
        }
        for notice in &state.notices[self.traced[1]..] {
            trace.push(format!("  delivered to subscribers: {}", oracle::words(notice)));
        }
        for (outlet, notice) in &state.delivered[self.traced[2]..] {
            trace.push(format!("  delivered to {outlet:?}: {}", oracle::words(notice)));
        }
        for (message, why) in &state.dead_letters[self.traced[3]..] {
            trace.push(format!("  dead-lettered {message}: {why}"));
        }
        self.traced = [written.len(), state.notices.len(), state.delivered.len(), state.dead_letters.len()];
    }
}

/// The injected faults that happened: all except the remaining ones.
fn consumed(asked: &[CallFault], left: &[&'static str]) -> Vec<CallFault> {
    let mut happened = asked.to_vec();
    for operation in left {
        if let Some(last) = happened.iter().rposition(|fault| fault.operation == *operation) {
            happened.remove(last);
        }
    }
    happened
}

/// A valid message must not return.
fn fair(failed: &BTreeSet<&MessageSubject>, faults: &[CallFault], reported: &BatchSummary) -> Result<(), String> {
    let alone = match faults {
        [] => failed.is_empty(),
        // A failure for one violation, group or message affects this one only.
        [only] if !matches!(only.operation, "dynamodb:BatchGetItem" | "dynamodb:Query") => {
            let groups: BTreeSet<String> = failed
                .iter()
                .map(|about| match about {
                    MessageSubject::Resource(resource) => key(*resource).group().to_string(),
                    MessageSubject::Flush(group) => group.clone(),
                    MessageSubject::Invalid(id) => id.clone(),
                    MessageSubject::Nothing => "none of ours".into(),
                })
                .collect();
            groups.len() <= 1
        }
        _ => !failed.contains(&MessageSubject::Nothing),
    };
    if alone { Ok(()) } else { Err(format!("messages that were fine are to come again: {failed:?}, {reported:?}")) }
}

struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future to its end; `None`: it waits forever, like a process that has died.
fn drive(mut running: RunningFunction<'_>) -> Option<InvocationResult> {
    let flag = Arc::new(WakeFlag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    loop {
        match running.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return Some(done),
            Poll::Pending if flag.0.swap(false, Ordering::Relaxed) => {}
            Poll::Pending => return None,
        }
    }
}
