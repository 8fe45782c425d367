//! A history as it happens: AWS Config, the queue, and functions that are invoked, fail and die.

use crate::oracle;
use crate::story::{Act, Call, Dice, Fault, Invocation, Outcome, Story};
use app::deploy::{FrameworkFacts, Variant};
use app::events::{Message, flush_message};
use app::ports::EvaluationResult;
use app::report::{Report, Reported};
use app::sweep::{Sweep, Swept};
use domain::ids::{AccountId, RegionName, StackSetName};
use domain::policy::{Exemption, Reporting};
use domain::violation::{Compliance, Key};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use testkit::world::World;

/// The queue gives up on a message that came so often.
const RECEIVES: usize = 5;
/// Seconds that may pass before the aggregator shows what Config has found.
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

/// What became of a history, for the oracle.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) world: World,
    queue: Vec<Queued>,
    messages: usize,
    flushes: u32,
    /// What the aggregator does not show yet.
    unseen: BTreeMap<usize, (Outcome, Timestamp)>,
    /// Times at which Config found each resource broken.
    pub(crate) broken: BTreeMap<usize, Vec<Timestamp>>,
    /// Resources whose last result is that they are broken.
    pub(crate) open: BTreeSet<usize>,
    /// Messages that can never be understood, and those of them that the queue put aside itself.
    pub(crate) poison: usize,
    pub(crate) put_aside: usize,
    /// Something has happened after which it may not be known that something was told.
    pub(crate) may_repeat: bool,
    /// Functions ran at once.
    pub(crate) were_at_once: bool,
    /// Functions told people at once: of two reports only one does, in a window; but there may be none, and a sweep heeds none.
    pub(crate) raced: bool,
    /// Something was lost or refused for which only the sweep makes up.
    needs_sweep: bool,
    pub(crate) crashes: usize,
    pub(crate) faults: usize,
    /// Turns that an outlet was told more than once.
    pub(crate) repeated: usize,
    trace: Option<Vec<String>>,
    traced: [usize; 4],
}

#[derive(Debug, Clone)]
struct Queued {
    id: String,
    event: Value,
    about: About,
    receives: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Resource(usize),
    Flush(String),
    Poison(String),
    Nothing,
}

enum Done {
    Reported(Reported),
    Swept(Result<Swept, String>),
}

type Running<'r> = Pin<Box<dyn Future<Output = Done> + 'r>>;

pub(crate) fn key(resource: usize) -> Key {
    let (account, control) = RESOURCES[resource];
    Key {
        account: AccountId::parse(ACCOUNTS[account]).unwrap(),
        region: RegionName::parse(REGION).unwrap(),
        control: CONTROLS[control].into(),
        resource_type: KIND.into(),
        resource_id: format!("r{resource}"),
    }
}

/// The resource of a key.
pub(crate) fn resource(key: &Key) -> usize {
    key.resource_id[1..].parse().unwrap()
}

fn rule(resource: usize) -> String {
    format!("{}-{FRAMEWORK}", CONTROLS[RESOURCES[resource].1])
}

/// With one time only, to which the others default: a test of so many histories has few to read.
fn event(resource: usize, result: Outcome, at: Timestamp) -> Value {
    let account = ACCOUNTS[RESOURCES[resource].0];
    let word = match result {
        Outcome::Broken => "NON_COMPLIANT",
        Outcome::Satisfied => "COMPLIANT",
        Outcome::NotApplicable | Outcome::Deleted => "NOT_APPLICABLE",
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

impl Run {
    fn new(story: &Story, traced: bool) -> Self {
        let world = World::new();
        {
            let region = RegionName::parse(REGION).unwrap();
            let accounts = ACCOUNTS.map(|account| AccountId::parse(account).unwrap());
            let mut state = world.state();
            state.outlets = story.outlets.clone();
            state.written = Some(Vec::new());
            let name = StackSetName::parse("backup-compliance-main").unwrap();
            let variant = Variant {
                accounts: accounts.iter().cloned().collect(),
                regions: BTreeSet::from([region.clone()]),
                controls: CONTROLS.iter().map(|control| ((*control).to_owned(), BTreeMap::new())).collect(),
                since: BTreeMap::new(),
            };
            state.frameworks.insert(name.clone(), FrameworkFacts { stack_set: name, variants: vec![variant] });
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
            poison: 0,
            put_aside: 0,
            may_repeat: false,
            were_at_once: false,
            raced: false,
            needs_sweep: false,
            crashes: 0,
            faults: 0,
            repeated: 0,
            trace: traced.then(Vec::new),
            traced: [0; 4],
        }
    }

    /// Lets a history happen, and judges it.
    pub(crate) fn of(story: &Story) -> Result<Self, String> {
        Self::happen(story, false).1
    }

    /// The same in words, line by line.
    pub(crate) fn told(story: &Story) -> Vec<String> {
        Self::happen(story, true).0
    }

    fn happen(story: &Story, traced: bool) -> (Vec<String>, Result<Self, String>) {
        let mut run = Self::new(story, traced);
        let ended = run.all(story);
        let mut trace = run.trace.take().unwrap_or_default();
        let verdict = ended.and_then(|()| oracle::judge(&run));
        if let Err(why) = &verdict {
            trace.push(format!("=> {why}"));
        }
        (trace, verdict.map(|repeated| Self { repeated, ..run }))
    }

    fn all(&mut self, story: &Story) -> Result<(), String> {
        for act in &story.acts {
            self.say(|| format!("* {act}"));
            self.act(story, act)?;
            self.come_due(story);
            self.say_news();
        }
        self.say(|| "* all is well from now on".into());
        self.show_all();
        self.drain(story)?;
        // Longer than a window, and twice: its end is told in a window of its own.
        for _ in 0..2 {
            self.pass(SignedDuration::from_mins(6));
            self.come_due(story);
            self.drain(story)?;
        }
        self.nothing_waits_for_the_sweep()?;
        for _ in 0..2 {
            self.pass(SignedDuration::from_mins(61));
            self.say(|| "* an hour passes".into());
            self.come_due(story);
            self.drain(story)?;
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
            self.say_news();
        }
        self.drain(story)
    }

    fn nothing_waits_for_the_sweep(&self) -> Result<(), String> {
        let state = self.world.state();
        match state.violations.values().find(|record| !record.value.owed.is_empty()) {
            Some(record) if !self.needs_sweep => Err(format!(
                "nothing was lost or refused, and still r{} waits for the sweep to tell {:?}",
                resource(&record.value.key),
                record.value.owed
            )),
            _ => Ok(()),
        }
    }

    fn act(&mut self, story: &Story, act: &Act) -> Result<(), String> {
        self.pass(SignedDuration::from_millis(10));
        match act {
            Act::Happens { resource, result, copies, ahead, lags } => {
                let now = self.world.state().now;
                if *result == Outcome::Broken {
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
                    self.send(event(*resource, *result, now), About::Resource(*resource), *ahead);
                }
            }
            Act::Noise { poison: true } => {
                self.poison += 1;
                self.messages += 1;
                let about = About::Poison(format!("m{}", self.messages));
                self.send(json!({ "source": "aws.config", "detail-type": "Config Rules Compliance Change" }), about, 0);
            }
            Act::Noise { poison: false } => self.send(json!({ "source": "aws.ec2" }), About::Nothing, 0),
            Act::Policy { exempt } => self.publish(*exempt),
            Act::Wait(seconds) => {
                self.pass(SignedDuration::from_secs(*seconds));
                if *seconds > LAGS {
                    self.show_all();
                }
            }
            Act::Invoked { calls, order, faults, index_lags } => {
                self.world.state().index_lags = *index_lags;
                // It may not show yet what is to be told, or show still what was told.
                self.needs_sweep |= *index_lags;
                self.may_repeat |= *index_lags;
                let done = self.invoked(story, calls, *order, faults);
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
            control: domain::control::find(CONTROLS[control]).unwrap(),
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
    fn show(&self, resource: usize, result: Outcome, at: Timestamp) {
        let key = key(resource);
        let mut state = self.world.state();
        let rules = state.compliance.get_mut(&(key.account, key.region)).unwrap();
        let results = rules.get_mut(&rule(resource)).unwrap();
        results.retain(|result| result.resource_id != key.resource_id);
        let compliance = match result {
            Outcome::Broken => Compliance::NonCompliant,
            Outcome::Satisfied => Compliance::Compliant,
            Outcome::NotApplicable => Compliance::NotApplicable,
            Outcome::Deleted => return,
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

    fn send(&mut self, event: Value, about: About, ahead: usize) {
        self.messages += 1;
        let place = self.queue.len().saturating_sub(ahead);
        self.queue.insert(place, Queued { id: format!("m{}", self.messages), event, about, receives: 0 });
    }

    /// Windows that have ended send their messages.
    fn come_due(&mut self, story: &Story) {
        let due: Vec<_> = {
            let mut state = self.world.state();
            let now = state.now;
            state.flushes.extract_if(.., |(at, _)| *at <= now).collect()
        };
        for (_, group) in due {
            let lost = story.lost_flushes.checked_shr(self.flushes).is_some_and(|bits| bits & 1 == 1);
            self.flushes += 1;
            if lost {
                self.needs_sweep = true;
                self.say(|| format!("  the end of the window of {group} is lost"));
            } else {
                self.send(flush_message(&group), About::Flush(group.to_string()), 0);
            }
        }
    }

    fn receive(&mut self, from: usize, count: usize) -> Vec<Queued> {
        let from = if self.queue.is_empty() { 0 } else { from % self.queue.len() };
        let end = self.queue.len().min(from + count);
        self.queue.drain(from..end).collect()
    }

    fn give_back(&mut self, received: Vec<Queued>, failed: impl Fn(&Queued) -> bool) {
        for mut message in received.into_iter().filter(failed) {
            message.receives += 1;
            if message.receives < RECEIVES {
                self.queue.push(message);
            } else {
                self.needs_sweep = true;
                self.put_aside += usize::from(matches!(message.about, About::Poison(_)));
                self.say(|| format!("  {} goes to the dead-letter queue", message.id));
            }
        }
    }

    /// What is in the queue is delivered, without trouble.
    fn drain(&mut self, story: &Story) -> Result<(), String> {
        while !self.queue.is_empty() {
            self.pass(SignedDuration::from_millis(10));
            let what = Invocation::Report { from: 0, count: 10 };
            self.invoked(story, &[Call { what, dies_after: None, behind: false }], 0, &[])?;
            self.say_news();
        }
        Ok(())
    }

    fn sweep(&mut self) -> Result<bool, String> {
        match drive(self.start(Duration::ZERO, Invocation::Sweep { short: false }, &[])) {
            Some(Done::Swept(Ok(swept))) if swept.failures.is_empty() => Ok(swept.complete),
            Some(Done::Swept(Ok(swept))) => Err(format!("a sweep without trouble failed: {:?}", swept.failures)),
            Some(Done::Swept(Err(error))) => Err(format!("a sweep without trouble failed: {error}")),
            Some(Done::Reported(_)) | None => Err("a sweep without trouble came to no end".into()),
        }
    }

    fn start<'r>(&self, window: Duration, what: Invocation, received: &[Queued]) -> Running<'r> {
        let world = self.world.clone();
        match what {
            Invocation::Report { .. } => {
                let messages: Vec<Message> = received
                    .iter()
                    .map(|queued| Message {
                        id: queued.id.clone(),
                        receipt: String::new(),
                        receives: 1,
                        body: queued.id.clone(),
                        event: Ok(queued.event.clone()),
                    })
                    .collect();
                Box::pin(async move {
                    let report = Report {
                        store: world.clone(),
                        outlets: world.clone(),
                        directory: world.clone(),
                        resources: world.clone(),
                        queue: world.clone(),
                        clock: world,
                        window,
                    };
                    Done::Reported(report.handle(&messages).await)
                })
            }
            Invocation::Sweep { short } => Box::pin(async move {
                let sweep = Sweep {
                    store: world.clone(),
                    outlets: world.clone(),
                    directory: world.clone(),
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
                Done::Swept(sweep.run(time_left).await.map_err(|error| error.to_string()))
            }),
        }
    }

    fn invoked(&mut self, story: &Story, calls: &[Call], order: u64, faults: &[Fault]) -> Result<(), String> {
        for fault in faults {
            match fault.kind {
                Some(kind) => self.world.fail_next(fault.operation, kind),
                None => self.world.lose_next_answer(fault.operation),
            }
        }
        let window = Duration::from_secs(story.window);
        let mut running = Vec::new();
        for call in calls {
            let received = match call.what {
                Invocation::Report { from, count } => self.receive(from, count),
                Invocation::Sweep { .. } => Vec::new(),
            };
            running.push((self.start(window, call.what, &received), received));
        }
        let (started, received): (Vec<Running<'_>>, Vec<Vec<Queued>>) = running.into_iter().unzip();
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
                self.were_at_once = true;
                self.raced |=
                    story.window == 0 || calls.iter().any(|call| matches!(call.what, Invocation::Sweep { .. }));
                self.world.state().yields = true;
                let done = self.at_once(started, calls, order);
                self.world.state().yields = false;
                done
            }
        };
        let happened = consumed(faults, &self.world.take_faults());
        self.faults += happened.len();
        self.may_repeat |= calls.len() > 1 || happened.iter().any(|fault| fault.may_repeat());
        // What the outlet refuses it would refuse again; and nobody delivers a sweep again.
        let sweeps = calls.iter().any(|call| matches!(call.what, Invocation::Sweep { .. }));
        self.needs_sweep |= happened.iter().any(|fault| sweeps || fault.refuses());
        let alone = calls.len() == 1;
        for (done, received) in done.into_iter().zip(received) {
            match done {
                None => {
                    self.needs_sweep |= sweeps;
                    self.say(|| "  dies".into());
                    self.crashes += 1;
                    self.may_repeat = true;
                    self.give_back(received, |_| true);
                }
                Some(Done::Swept(swept)) => self.say(|| format!("  {swept:?}")),
                Some(Done::Reported(reported)) => {
                    let about: BTreeSet<&About> = received
                        .iter()
                        .filter(|queued| reported.failed.contains(&queued.id))
                        .map(|queued| &queued.about)
                        .collect();
                    if alone {
                        fair(&about, &happened, &reported)?;
                    }
                    if !reported.failed.is_empty() {
                        self.say(|| format!("  to come again: {:?}", reported.failed));
                    }
                    self.give_back(received, |queued| reported.failed.contains(&queued.id));
                }
            }
        }
        Ok(())
    }

    /// Runs functions at once, step by step; the dice say whose turn it is. Time goes by as they run.
    fn at_once(&self, started: Vec<Running<'_>>, calls: &[Call], order: u64) -> Vec<Option<Done>> {
        let waker = Waker::from(Arc::new(Woken(AtomicBool::new(false))));
        let mut dice = Dice::new(order);
        let mut done: Vec<Option<Done>> = calls.iter().map(|_| None).collect();
        let mut left: Vec<_> = started.into_iter().zip(calls).enumerate().collect();
        let mut steps = vec![0; calls.len()];
        while !left.is_empty() {
            let turn = dice.below(left.len());
            // Some steps at a time, so that one may be far ahead of another.
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

    fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    fn say_news(&mut self) {
        let Some(trace) = &mut self.trace else { return };
        let state = self.world.state();
        let written = state.written.as_deref().unwrap_or_default();
        for written in &written[self.traced[0]..] {
            let owed: Vec<String> = written
                .after
                .owed
                .iter()
                .map(|debt| format!("{:?}@{} to {:?}", debt.what, oracle::short(debt.at), debt.outlets))
                .collect();
            trace.push(format!(
                "  on record: r{} is {:?}, owed: {}",
                resource(&written.after.key),
                written.after.status,
                if owed.is_empty() { "nothing".into() } else { owed.join(", ") }
            ));
        }
        for notice in &state.notices[self.traced[1]..] {
            trace.push(format!("  told people: {}", oracle::words(notice)));
        }
        for (outlet, notice) in &state.told[self.traced[2]..] {
            trace.push(format!("  told {outlet:?}: {}", oracle::words(notice)));
        }
        for (message, why) in &state.buried[self.traced[3]..] {
            trace.push(format!("  buried {message}: {why}"));
        }
        self.traced = [written.len(), state.notices.len(), state.told.len(), state.buried.len()];
    }
}

/// The faults that happened: of those asked for, all that are not left.
fn consumed(asked: &[Fault], left: &[&'static str]) -> Vec<Fault> {
    let mut happened = asked.to_vec();
    for operation in left {
        if let Some(last) = happened.iter().rposition(|fault| fault.operation == *operation) {
            happened.remove(last);
        }
    }
    happened
}

/// A message that was fine is not to come again.
fn fair(failed: &BTreeSet<&About>, faults: &[Fault], reported: &Reported) -> Result<(), String> {
    let alone = match faults {
        [] => failed.is_empty(),
        // What fails for one violation, group or message, fails for this one only.
        [only] if !matches!(only.operation, "dynamodb:BatchGetItem" | "dynamodb:Query") => {
            let groups: BTreeSet<String> = failed
                .iter()
                .map(|about| match about {
                    About::Resource(resource) => key(*resource).group().to_string(),
                    About::Flush(group) => group.clone(),
                    About::Poison(id) => id.clone(),
                    About::Nothing => "none of ours".into(),
                })
                .collect();
            groups.len() <= 1
        }
        _ => !failed.contains(&About::Nothing),
    };
    if alone { Ok(()) } else { Err(format!("messages that were fine are to come again: {failed:?}, {reported:?}")) }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future to its end; `None`: it waits for what never comes, as a process does that has died.
fn drive(mut running: Running<'_>) -> Option<Done> {
    let flag = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    loop {
        match running.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return Some(done),
            Poll::Pending if flag.0.swap(false, Ordering::Relaxed) => {}
            Poll::Pending => return None,
        }
    }
}
