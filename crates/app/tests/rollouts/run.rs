//! A rollout as it happens: pushes, looks, StackSets and the organisation.

use crate::oracle::Watch;
use crate::places::{ACCOUNTS, MANAGEMENT, UNITS, account, instance, root, stack_set, unit};
use crate::policy::{Policy, template};
use crate::story::{Act, Fault, Found, Hand, Owner, State, Story, Wake, Why};
use app::deploy::{Phase, PolicyAt, Seen as Looked};
use app::events::{Look, Trigger};
use app::lifecycle::{Envelope, Handled, Lifecycle, RequestKind};
use app::ports::{PortError, PortErrorKind};
use domain::ids::{CommitId, UnitId};
use domain::rollout::{
    AutoDeployment, CallAs, DetailedStatus, Filter, InstanceStatus, Parameters, PermissionModel, Places, Through,
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use testkit::deploy::{Deployer, EVENT_BUS, POLICY_FILE, deploy};
use testkit::simulator::{
    Definition, InstanceFault, Preferences, Progress, Scope, SimulatedInstance, SimulatedStackSet, Simulator, Task,
};
use testkit::world::World;

/// What our tag says.
pub(crate) const OWNER: &str = "backup-policy@main";
/// Looks after which a fleet that still moves will never rest.
const PATIENCE: usize = 160;
/// Full looks that find nothing to do, one after the other, before it is at rest.
const RESTS: usize = 2;

/// What became of a story.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) world: World,
    pub(crate) simulator: Simulator,
    pub(crate) policy: Policy,
    pub(crate) commit: CommitId,
    pub(crate) watch: Watch,
    requests: usize,
    last_request: Option<Value>,
    /// The last completed look refused the policy.
    pub(crate) rejected: bool,
    pub(crate) counts: Seen,
    trace: Option<Vec<String>>,
}

/// What has been seen in all stories of a test: a test that sees nothing shows nothing.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) stories: usize,
    pub(crate) looks: usize,
    pub(crate) operations: usize,
    pub(crate) succeeded: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    pub(crate) rejected: usize,
    pub(crate) faults: usize,
    pub(crate) crashes: usize,
    pub(crate) repeated: usize,
    pub(crate) by_others: usize,
    pub(crate) on_their_own: usize,
    pub(crate) removed: usize,
    pub(crate) let_go: usize,
    pub(crate) answered: usize,
    pub(crate) deleted: usize,
}

impl Seen {
    pub(crate) fn add(&mut self, run: &Run) {
        let Self {
            stories,
            looks,
            operations,
            succeeded,
            failed,
            skipped,
            rejected,
            faults,
            crashes,
            repeated,
            by_others,
            on_their_own,
            removed,
            let_go,
            answered,
            deleted,
        } = &run.counts;
        self.stories += stories;
        self.looks += looks;
        self.operations += operations;
        self.succeeded += succeeded;
        self.failed += failed;
        self.skipped += skipped;
        self.rejected += rejected;
        self.faults += faults;
        self.crashes += crashes;
        self.repeated += repeated;
        self.by_others += by_others;
        self.on_their_own += on_their_own;
        self.removed += removed;
        self.let_go += let_go;
        self.answered += answered;
        self.deleted += deleted;
    }

    /// Whether enough of everything has been seen.
    pub(crate) fn is_telling(&self, faults: bool, crashes: bool, removal: bool) -> bool {
        let share = |count: usize, of: usize| count >= self.stories / of;
        let always = [
            self.operations,
            self.succeeded,
            self.failed * 8,
            self.rejected * 8,
            self.by_others * 8,
            self.on_their_own * 16,
            self.removed * 64,
            self.let_go * 64,
            self.skipped * 32,
            self.answered * 8,
        ];
        always.iter().all(|count| share(*count, 1))
            && (!faults || share(self.faults, 2) && share(self.repeated, 64))
            && (!crashes || share(self.crashes, 4))
            && (!removal || share(self.deleted, 4))
    }
}

impl Run {
    /// Lets a story happen, and judges it.
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
        if let Err(why) = &ended {
            trace.push(format!("=> {why}"));
        }
        (trace, ended.map(|()| run))
    }

    fn new(story: &Story, traced: bool) -> Self {
        let world = World::new();
        let simulator = Simulator::new(&world, story.seed);
        let text = story.policy.text();
        let (one, two) = (template(0), template(1));
        let files =
            [(POLICY_FILE, Some(text.as_str())), ("0.yaml", Some(one.as_str())), ("1.yaml", Some(two.as_str()))];
        let commit = world.push("Start", &files);
        {
            let mut cloud = simulator.cloud();
            cloud.settings.hidden_for = SignedDuration::from_secs(story.hidden);
            cloud.settings.stale_within = SignedDuration::from_secs(story.stale);
            let organization = &mut cloud.organization;
            organization.root = Some(root());
            organization.management = Some(account(MANAGEMENT));
            organization.parents = BTreeMap::from([(unit(0), root()), (unit(1), unit(0)), (unit(2), root())]);
            for (who, to) in story.homes.iter().enumerate() {
                if let Some(unit) = home(*to) {
                    organization.accounts.insert(account(who), unit);
                }
            }
        }
        let mut run = Self {
            world,
            simulator,
            policy: story.policy.clone(),
            commit,
            watch: Watch::default(),
            requests: 0,
            last_request: None,
            rejected: false,
            counts: Seen { stories: 1, ..Seen::default() },
            trace: traced.then(Vec::new),
        };
        for (number, found) in story.found.iter().enumerate() {
            if let Some(found) = found {
                run.find(number, found);
            }
        }
        run
    }

    /// Puts a StackSet there that nothing is remembered of.
    fn find(&mut self, number: usize, found: &Found) {
        let Found { owner, managed, same, other_model, instances } = found;
        let policy = PolicyAt { commit: &self.commit, policy_file: POLICY_FILE, event_bus_arn: EVENT_BUS };
        let wanted = drive(policy.read(&self.world)).and_then(Result::ok).and_then(Result::ok);
        let desired = wanted.and_then(|wanted| {
            let mut frameworks = wanted.frameworks.into_iter().map(|framework| framework.desired);
            frameworks.find(|desired| desired.name == stack_set(number))
        });
        let service = (number == 1) != *other_model;
        let old = Definition {
            template: "an old one".into(),
            parameters: Parameters::new(),
            owner: None,
            digest: None,
            tags: BTreeMap::from([("team".to_owned(), "backup".to_owned())]),
            auto_deployment: service.then_some(AutoDeployment { enabled: false, retain_stacks: false }),
        };
        let mut definition = match desired {
            Some(desired) if *same => Definition::of(&desired, OWNER, &old.tags),
            _ => old,
        };
        definition.owner = match owner {
            Owner::Ours => Some(OWNER.to_owned()),
            Owner::Nobody => None,
            Owner::Other => Some("another@main".to_owned()),
        };
        if *owner == Owner::Nobody {
            definition.digest = None;
        }
        let model = if service { PermissionModel::ServiceManaged } else { PermissionModel::SelfManaged };
        let mut new = SimulatedStackSet::new(&stack_set(number), definition, model, CallAs::Own);
        new.managed_execution = *managed;
        let mut cloud = self.simulator.cloud();
        for found in instances {
            let mut overrides = Parameters::new();
            if let Some(days) = found.days {
                overrides.insert(crate::policy::PARAMETER.to_owned(), format!("{days}"));
            }
            let (status, detailed) = match found.state {
                State::Current => (InstanceStatus::Current, DetailedStatus::Succeeded),
                State::Failed => (InstanceStatus::Outdated, DetailedStatus::Failed),
                State::Cancelled => (InstanceStatus::Outdated, DetailedStatus::Cancelled),
                State::Inoperable => (InstanceStatus::Inoperable, DetailedStatus::Inoperable),
            };
            let through = cloud.organization.accounts.get(&account(found.who)).cloned();
            let through = if service { through.or_else(|| Some(unit(2))) } else { None };
            new.instances.insert(
                instance(found.who, found.place),
                SimulatedInstance {
                    status,
                    detailed,
                    reason: None,
                    stack: Some(new.definition.stack(&overrides)),
                    overrides: Arc::new(overrides),
                    unit: through,
                },
            );
        }
        cloud.stack_sets.insert(stack_set(number), new);
    }

    fn all(&mut self, story: &Story) -> Result<(), String> {
        for act in &story.acts {
            self.say(|| format!("* {act}"));
            self.pass(SignedDuration::from_secs(1))?;
            self.act(act)?;
        }
        self.say(|| "* all is well from now on".into());
        self.rest()?;
        crate::oracle::judge(self)
    }

    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Push(edit) => {
                edit.apply(&mut self.policy);
                let text = self.policy.text();
                self.commit = self.world.push("Edit", &[(POLICY_FILE, Some(&text))]);
            }
            Act::Look(wake) => self.look(wake).map(drop)?,
            Act::Wait(seconds) => self.pass(SignedDuration::from_secs(*seconds))?,
            Act::Move { who, to } => {
                // StackSets would create again, without overrides, what it has deleted since the last look: nobody can see that.
                if self.watch.unseen.iter().any(|(_, instance)| instance.account == account(*who)) {
                    self.say(|| "  not yet: nobody has looked since".into());
                } else {
                    self.simulator.move_account(&account(*who), home(*to).as_ref());
                }
            }
            Act::State { who, state } => self.simulator.set_state(&account(*who), *state),
            Act::Fault { who, place, times, of } => {
                let fault = InstanceFault { times: *times, reason: "it does not work".into(), of: *of };
                self.simulator.cloud().faults.insert(instance(*who, *place), fault);
            }
            Act::Mend => self.simulator.cloud().faults.clear(),
            Act::Hand { framework, what } => self.by_hand(*framework, *what),
            Act::Ask { kind, times } => self.ask(*kind, *times)?,
            Act::Again => {
                if let Some(event) = self.last_request.clone() {
                    self.deliver(&event)?;
                }
            }
        }
        self.watch_events()
    }

    fn by_hand(&mut self, framework: usize, what: Hand) {
        let name = stack_set(framework);
        let (task, who, place) = match what {
            Hand::Drift => (Task::DetectDrift, 0, 0),
            Hand::Delete { who, place } => (Task::Delete { retain: false }, who, place),
            Hand::Create { who, place } => {
                let at = instance(who, place);
                let cloud = self.simulator.cloud();
                let wants = self.policy.frameworks[framework].wants(framework, &cloud.organization);
                let known = cloud.stack_sets.get(&name).is_some_and(|found| found.instances.contains_key(&at));
                // What is made without overrides where some are wanted cannot be told from what we have made.
                if wants.names(&at) || known || self.watch.unseen.contains(&(name.clone(), at)) {
                    return;
                }
                (Task::Create(Parameters::new()), who, place)
            }
            Hand::Stop => {
                let running = {
                    let cloud = self.simulator.cloud();
                    let runs = cloud.stack_sets.get(&name).into_iter().flat_map(|found| found.operations.values());
                    runs.filter(|run| run.progress == Progress::Running).map(|run| run.id.clone()).next_back()
                };
                if let Some(id) = running {
                    self.simulator.stop_by_hand(&name, &id);
                    self.counts.by_others += 1;
                }
                return;
            }
        };
        let at = instance(who, place);
        let through = {
            let cloud = self.simulator.cloud();
            let found = cloud.stack_sets.get(&name);
            let service = found.is_some_and(|found| found.permissions == PermissionModel::ServiceManaged);
            let unit = cloud.organization.accounts.get(&at.account).cloned().unwrap_or_else(root);
            service.then_some(Through { unit, filter: Filter::Listed })
        };
        let places = Places { accounts: BTreeSet::from([at.account]), regions: BTreeSet::from([at.region]), through };
        let scope = if matches!(task, Task::DetectDrift) { Scope::All } else { Scope::Places(places) };
        let started = self.simulator.by_hand(&name, task, scope, Preferences::default());
        self.counts.by_others += usize::from(started.is_ok());
        self.say(|| format!("  {started:?}"));
    }

    fn ask(&mut self, kind: RequestKind, times: usize) -> Result<(), String> {
        // CloudFormation asks one thing at a time, and nothing of what is gone.
        if !self.world.state().requests.is_empty() || self.watch.is_gone {
            return Ok(());
        }
        self.requests += 1;
        let word = match kind {
            RequestKind::Create => "Create",
            RequestKind::Update => "Update",
            RequestKind::Delete => "Delete",
        };
        let event = json!({
            "RequestType": word,
            "ResponseURL": "https://example.com/answer",
            "StackId": "stack",
            "RequestId": format!("r{}", self.requests),
            "LogicalResourceId": "Rollout",
            "PhysicalResourceId": "backup-compliance",
            "ResourceProperties": {},
        });
        self.watch.asked.insert(format!("r{}", self.requests), kind);
        for _ in 0..times {
            self.deliver(&event)?;
        }
        self.last_request = Some(event);
        Ok(())
    }

    fn deliver(&mut self, event: &Value) -> Result<(), String> {
        let envelope = Envelope::read(event)?;
        let lifecycle =
            Lifecycle { requests: self.world.clone(), queue: self.world.clone(), clock: self.world.clone() };
        match drive(lifecycle.take(event, envelope)) {
            Some(Handled::Handed(_)) => Ok(()),
            other => Err(format!("the request was not handed over: {other:?}")),
        }
    }

    fn deploy(&self) -> Deployer<Simulator> {
        deploy("backup-policy", &self.world, &self.simulator)
    }

    /// One look; how it ended, if it did.
    fn look(&mut self, wake: &Wake) -> Result<Option<Result<Looked, PortError>>, String> {
        if self.watch.is_gone {
            return Ok(None);
        }
        let trigger = match wake.why {
            Why::Push => Trigger::Push,
            Why::Ended(number) => Trigger::OperationEnded { stack_set: stack_set(number).to_string() },
            Why::Schedule(look) => Trigger::Schedule(look),
            Why::Request => Trigger::Request { id: format!("r{}", self.requests) },
        };
        let triggers = vec![trigger; 1 + usize::from(wake.repeated)];
        for Fault { operation, kind } in &wake.faults {
            match kind {
                Some(kind) => self.world.fail_next(operation, *kind),
                None => self.world.lose_next_answer(operation),
            }
        }
        self.world.take_calls();
        let heeds_requests = matches!(wake.why, Why::Schedule(_) | Why::Request);
        self.watch.before(&self.world, &self.simulator, heeds_requests);
        self.world.state().dies_in = wake.dies_after;
        let deploy = self.deploy();
        let done = drive(deploy.handle(&triggers));
        self.world.state().dies_in = None;
        let left = self.world.take_faults().len();
        let happened = wake.faults.len() - left;
        self.counts.looks += 1;
        self.counts.faults += happened;
        self.counts.crashes += usize::from(done.is_none());
        self.say(|| match &done {
            None => "  dies".into(),
            Some(Ok(seen)) => format!("  {:?} {:?} {:?}", seen.frameworks, seen.rejected, seen.skipped),
            Some(Err(error)) => format!("  {error}"),
        });
        if let Some(Ok(seen)) = &done
            && seen.commit.is_some()
        {
            self.rejected = !seen.rejected.is_empty();
            self.counts.rejected += usize::from(self.rejected);
        }
        let calls = self.world.take_calls();
        self.watch.disturbed |= happened > 0 || done.is_none();
        self.watch_look(&calls, done.as_ref())?;
        self.watch.disturbed = false;
        Ok(done)
    }

    /// Time passes, and what happens in it is watched.
    fn pass(&mut self, time: SignedDuration) -> Result<(), String> {
        self.simulator.advance(time);
        self.watch_events()
    }

    /// Looks, without trouble, until nothing moves.
    fn rest(&mut self) -> Result<(), String> {
        self.pass(SignedDuration::from_mins(3))?;
        {
            let mut cloud = self.simulator.cloud();
            cloud.settings.stale_within = SignedDuration::ZERO;
            cloud.settings.hidden_for = SignedDuration::ZERO;
        }
        let mut rests = 0;
        for _ in 0..PATIENCE {
            let busy = self.simulator.is_busy();
            let why = if busy {
                self.simulator.run_until_idle();
                self.watch_events()?;
                Why::Ended(0)
            } else {
                self.pass(SignedDuration::from_mins(6))?;
                Why::Schedule(Look::Full)
            };
            self.say(|| format!("* {why:?}"));
            let calls = self.counts.operations + self.counts.removed + self.watch.told;
            match self.look(&Wake::calm(why))? {
                None if self.watch.is_gone => return Ok(()),
                None => return Err("a look without trouble comes to no end".into()),
                Some(Err(error)) if error.kind != PortErrorKind::Conflict => {
                    return Err(format!("a look without trouble failed: {error}"));
                }
                Some(_) => {}
            }
            let moved = self.counts.operations + self.counts.removed + self.watch.told != calls;
            rests = if moved || busy || self.simulator.is_busy() { 0 } else { rests + 1 };
            if rests == RESTS {
                let state = self.world.state();
                let hangs = state.rollouts.values().find(|rollout| rollout.value.phase.is_busy());
                return match hangs {
                    Some(hangs) if !state.removing && !self.rejected => {
                        Err(format!("the rollout of {} hangs: {:?}", hangs.value.name, hangs.value.phase))
                    }
                    _ => Ok(()),
                };
            }
        }
        Err("it never comes to rest".into())
    }

    pub(crate) fn phase(&self, number: usize) -> Option<Phase> {
        self.world.state().rollouts.get(&stack_set(number)).map(|rollout| rollout.value.phase)
    }

    /// Whether AWS has refused a call of the last attempt.
    pub(crate) fn was_refused(&self, number: usize) -> bool {
        let state = self.world.state();
        let ended = state.rollouts.get(&stack_set(number)).and_then(|rollout| rollout.value.ended.as_ref());
        ended.is_some_and(|ended| ended.trouble.is_some())
    }

    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }
}

fn home(to: Option<usize>) -> Option<UnitId> {
    to.map(|number| if number < UNITS.len() { unit(number) } else { root() })
}

/// Runs a future to its end; `None`: it waits for what never comes, as a process does that has died.
fn drive<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

const _: () = assert!(ACCOUNTS.len() == MANAGEMENT + 1);
