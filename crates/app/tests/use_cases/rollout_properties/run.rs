//! The execution of a rollout: pushes, reconciliations, StackSets and the organization.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use serde_json::{Value, json};

use app::deploy::{Phase, PolicySource, ReconcileSummary as Looked};
use app::events::{DeployTrigger, ReconcileScope};
use app::lifecycle::{RequestEnvelope, RequestKind, StackLifecycle};
use app::ports::{PortError, PortErrorKind};
use domain::rollout::{
    AccountFilterType, AutoDeployment, CallAs, DeploymentTargets, DetailedStatus, InstanceStatus, OperationTargets,
    Parameters, PermissionModel,
};
use framework::ids::{CommitId, UnitId};
use testkit::deploy::{Deployer, EVENT_BUS, POLICY_FILE, deploy};
use testkit::simulator::{
    InjectedInstanceFault, OperationScope, OperationTask, SimulatedDefinition, SimulatedInstance, SimulatedPreferences,
    SimulatedProgress, SimulatedStackSet, Simulator,
};
use testkit::world::World;

use super::case::{
    InitialOwner, InitialStackSet, InitialState, ManualChange, RolloutAct, RolloutCase, RolloutFault, ScriptedTrigger,
    TriggerReason,
};
use super::fixture::{ACCOUNTS, MANAGEMENT, UNITS, account, instance, root, stack_set, unit};
use super::oracle::RolloutMonitor;
use super::policy::{CasePolicy, template};

/// The value of the owner tag.
pub(crate) const OWNER: &str = "backup-policy@main";
/// The number of reconciliations after which a fleet that still changes is considered unstable.
const MOST_RECONCILIATIONS: usize = 160;
/// The number of consecutive full reconciliations without changes before the fleet is considered stable.
const STABLE_RECONCILIATIONS: usize = 2;

/// The result of a rollout.
#[derive(Debug)]
pub(crate) struct RolloutRun {
    pub(crate) world: World,
    pub(crate) simulator: Simulator,
    pub(crate) policy: CasePolicy,
    pub(crate) commit: CommitId,
    pub(crate) watch: RolloutMonitor,
    requests: usize,
    last_request: Option<Value>,
    /// The last completed reconciliation rejected the policy.
    pub(crate) rejected: bool,
    pub(crate) counts: RolloutStatistics,
    trace: Option<Vec<String>>,
}

/// Statistics of all rollouts of a test: a test without these cases proves nothing.
#[derive(Debug, Default)]
pub(crate) struct RolloutStatistics {
    pub(crate) cases: usize,
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

impl RolloutStatistics {
    pub(crate) fn add(&mut self, run: &RolloutRun) {
        let Self {
            cases,
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
        self.cases += cases;
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

    /// Whether each case occurred often enough.
    pub(crate) fn is_representative(&self, faults: bool, crashes: bool, removal: bool) -> bool {
        let share = |count: usize, of: usize| count >= self.cases / of;
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

impl RolloutRun {
    /// Runs a rollout and checks its properties.
    pub(crate) fn of(case: &RolloutCase) -> Result<Self, String> {
        Self::execute(case, false).1
    }

    /// Runs a rollout and returns its steps as text.
    pub(crate) fn trace(case: &RolloutCase) -> Vec<String> {
        Self::execute(case, true).0
    }

    fn execute(case: &RolloutCase, traced: bool) -> (Vec<String>, Result<Self, String>) {
        let mut run = Self::new(case, traced);
        let ended = run.all(case);
        let mut trace = run.trace.take().unwrap_or_default();
        if let Err(why) = &ended {
            trace.push(format!("=> {why}"));
        }
        (trace, ended.map(|()| run))
    }

    fn new(case: &RolloutCase, traced: bool) -> Self {
        let world = World::new();
        let simulator = Simulator::new(&world, case.seed);
        let text = case.policy.text();
        let (one, two) = (template(0), template(1));
        let files =
            [(POLICY_FILE, Some(text.as_str())), ("0.yaml", Some(one.as_str())), ("1.yaml", Some(two.as_str()))];
        let commit = world.push("Start", &files);
        {
            let mut cloud = simulator.cloud();
            cloud.settings.hidden_for = SignedDuration::from_secs(case.hidden);
            cloud.settings.stale_within = SignedDuration::from_secs(case.stale);
            let organization = &mut cloud.organization;
            organization.root = Some(root());
            organization.management = Some(account(MANAGEMENT));
            organization.parents = BTreeMap::from([(unit(0), root()), (unit(1), unit(0)), (unit(2), root())]);
            for (who, to) in case.homes.iter().enumerate() {
                if let Some(unit) = home(*to) {
                    organization.accounts.insert(account(who), unit);
                }
            }
        }
        let mut run = Self {
            world,
            simulator,
            policy: case.policy.clone(),
            commit,
            watch: RolloutMonitor::default(),
            requests: 0,
            last_request: None,
            rejected: false,
            counts: RolloutStatistics { cases: 1, ..RolloutStatistics::default() },
            trace: traced.then(Vec::new),
        };
        for (number, found) in case.found.iter().enumerate() {
            if let Some(found) = found {
                run.find(number, found);
            }
        }
        run
    }

    /// Creates a StackSet of which no state is stored.
    fn find(&mut self, number: usize, found: &InitialStackSet) {
        let InitialStackSet { owner, managed, same, other_model, instances } = found;
        let policy = PolicySource { commit: &self.commit, policy_file: POLICY_FILE, event_bus_arn: EVENT_BUS };
        let wanted = drive(policy.read(&self.world)).and_then(Result::ok).and_then(Result::ok);
        let desired = wanted.and_then(|wanted| {
            let mut frameworks = wanted.frameworks.into_iter().map(|framework| framework.desired);
            frameworks.find(|desired| desired.name == stack_set(number))
        });
        let service = (number == 1) != *other_model;
        let old = SimulatedDefinition {
            template: "an old one".into(),
            parameters: Parameters::new(),
            owner: None,
            digest: None,
            tags: BTreeMap::from([("team".to_owned(), "backup".to_owned())]),
            auto_deployment: service.then_some(AutoDeployment { enabled: false, retain_stacks: false }),
        };
        let mut definition = match desired {
            Some(desired) if *same => SimulatedDefinition::of(&desired, OWNER, &old.tags),
            _ => old,
        };
        definition.owner = match owner {
            InitialOwner::Ours => Some(OWNER.to_owned()),
            InitialOwner::Untagged => None,
            InitialOwner::Other => Some("another@main".to_owned()),
        };
        if *owner == InitialOwner::Untagged {
            definition.digest = None;
        }
        let model = if service { PermissionModel::ServiceManaged } else { PermissionModel::SelfManaged };
        let mut new = SimulatedStackSet::new(&stack_set(number), definition, model, CallAs::Own);
        new.managed_execution = *managed;
        let mut cloud = self.simulator.cloud();
        for found in instances {
            let mut overrides = Parameters::new();
            if let Some(days) = found.days {
                overrides.insert(super::policy::PARAMETER.to_owned(), format!("{days}"));
            }
            let (status, detailed) = match found.state {
                InitialState::Current => (InstanceStatus::Current, DetailedStatus::Succeeded),
                InitialState::Failed => (InstanceStatus::Outdated, DetailedStatus::Failed),
                InitialState::Cancelled => (InstanceStatus::Outdated, DetailedStatus::Cancelled),
                InitialState::Inoperable => (InstanceStatus::Inoperable, DetailedStatus::Inoperable),
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

    fn all(&mut self, case: &RolloutCase) -> Result<(), String> {
        for act in &case.acts {
            self.note(|| format!("* {act}"));
            self.pass(SignedDuration::from_secs(1))?;
            self.act(act)?;
        }
        self.note(|| "* no faults from now on".into());
        self.rest()?;
        super::oracle::check_final_state(self)
    }

    fn act(&mut self, act: &RolloutAct) -> Result<(), String> {
        match act {
            RolloutAct::Push(edit) => {
                edit.apply(&mut self.policy);
                let text = self.policy.text();
                self.commit = self.world.push("Edit", &[(POLICY_FILE, Some(&text))]);
            }
            RolloutAct::Reconcile(wake) => self.look(wake).map(drop)?,
            RolloutAct::Wait(seconds) => self.pass(SignedDuration::from_secs(*seconds))?,
            RolloutAct::Move { who, to } => {
                // StackSets would create instances again, without overrides, that it has deleted since the last
                // reconciliation: this cannot be observed.
                if self.watch.unseen.iter().any(|(_, instance)| instance.account == account(*who)) {
                    self.note(|| "  not yet: no reconciliation since".into());
                } else {
                    self.simulator.move_account(&account(*who), home(*to).as_ref());
                }
            }
            RolloutAct::State { who, state } => self.simulator.set_state(&account(*who), *state),
            RolloutAct::Fault { who, place, times, of } => {
                let fault = InjectedInstanceFault { times: *times, reason: "it does not work".into(), of: *of };
                self.simulator.cloud().faults.insert(instance(*who, *place), fault);
            }
            RolloutAct::Fix => self.simulator.cloud().faults.clear(),
            RolloutAct::Manual { framework, what } => self.by_hand(*framework, *what),
            RolloutAct::Request { kind, times } => self.ask(*kind, *times)?,
            RolloutAct::Redeliver => {
                if let Some(event) = self.last_request.clone() {
                    self.deliver(&event)?;
                }
            }
        }
        self.watch_events()
    }

    fn by_hand(&mut self, framework: usize, what: ManualChange) {
        let name = stack_set(framework);
        let (task, who, place) = match what {
            ManualChange::Drift => (OperationTask::DetectDrift, 0, 0),
            ManualChange::Delete { who, place } => (OperationTask::Delete { retain: false }, who, place),
            ManualChange::Create { who, place } => {
                let at = instance(who, place);
                let cloud = self.simulator.cloud();
                let desired = self.policy.frameworks[framework].desired(framework, &cloud.organization);
                let known = cloud.stack_sets.get(&name).is_some_and(|found| found.instances.contains_key(&at));
                // An instance that is created without desired overrides is indistinguishable from one of the
                // application.
                if desired.names(&at) || known || self.watch.unseen.contains(&(name.clone(), at)) {
                    return;
                }
                (OperationTask::Create(Parameters::new()), who, place)
            }
            ManualChange::Stop => {
                let running = {
                    let cloud = self.simulator.cloud();
                    let runs = cloud.stack_sets.get(&name).into_iter().flat_map(|found| found.operations.values());
                    runs.filter(|run| run.progress == SimulatedProgress::Running).map(|run| run.id.clone()).next_back()
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
            service.then_some(DeploymentTargets { unit, filter: AccountFilterType::Listed })
        };
        let fixture =
            OperationTargets { accounts: BTreeSet::from([at.account]), regions: BTreeSet::from([at.region]), through };
        let scope = if matches!(task, OperationTask::DetectDrift) {
            OperationScope::All
        } else {
            OperationScope::Places(fixture)
        };
        let started = self.simulator.by_hand(&name, task, scope, SimulatedPreferences::default());
        self.counts.by_others += usize::from(started.is_ok());
        self.note(|| format!("  {started:?}"));
    }

    fn ask(&mut self, kind: RequestKind, times: usize) -> Result<(), String> {
        // CloudFormation sends one request at a time, and none for a deleted stack.
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
        let envelope = RequestEnvelope::read(event)?;
        let lifecycle = StackLifecycle::<World> {
            requests: self.world.clone(),
            queue: self.world.clone(),
            clock: self.world.clone(),
        };
        match drive(lifecycle.receive(event, envelope)) {
            Some(Ok(_)) => Ok(()),
            other => Err(format!("the request was not handed over: {other:?}")),
        }
    }

    fn deploy(&self) -> Deployer<Simulator> {
        deploy("backup-policy", &self.world, &self.simulator)
    }

    /// One reconciliation; its result, if it completed.
    fn look(&mut self, wake: &ScriptedTrigger) -> Result<Option<Result<Looked, PortError>>, String> {
        if self.watch.is_gone {
            return Ok(None);
        }
        let trigger = match wake.why {
            TriggerReason::Push => DeployTrigger::Push,
            TriggerReason::Ended(number) => DeployTrigger::OperationEnded(stack_set(number).to_string()),
            TriggerReason::Schedule(look) => DeployTrigger::Schedule(look),
            TriggerReason::Request => DeployTrigger::Request(format!("r{}", self.requests)),
        };
        let triggers = vec![trigger; 1 + usize::from(wake.repeated)];
        for RolloutFault { operation, kind } in &wake.faults {
            match kind {
                Some(kind) => self.world.fail_next(operation, *kind),
                None => self.world.lose_next_answer(operation),
            }
        }
        self.world.take_calls();
        let heeds_requests = matches!(wake.why, TriggerReason::Schedule(_) | TriggerReason::Request);
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
        self.note(|| match &done {
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
        self.watch_reconciliation(&calls, done.as_ref())?;
        self.watch.disturbed = false;
        Ok(done)
    }

    /// Lets time pass and records the events.
    fn pass(&mut self, time: SignedDuration) -> Result<(), String> {
        self.simulator.advance(time);
        self.watch_events()
    }

    /// Reconciles without faults until the fleet is stable.
    fn rest(&mut self) -> Result<(), String> {
        self.pass(SignedDuration::from_mins(3))?;
        {
            let mut cloud = self.simulator.cloud();
            cloud.settings.stale_within = SignedDuration::ZERO;
            cloud.settings.hidden_for = SignedDuration::ZERO;
        }
        let mut rests = 0;
        for _ in 0..MOST_RECONCILIATIONS {
            let busy = self.simulator.is_busy();
            let why = if busy {
                self.simulator.run_until_idle();
                self.watch_events()?;
                TriggerReason::Ended(0)
            } else {
                self.pass(SignedDuration::from_mins(6))?;
                TriggerReason::Schedule(ReconcileScope::Full)
            };
            self.note(|| format!("* {why:?}"));
            let calls = self.counts.operations + self.counts.removed + self.watch.notice_count;
            match self.look(&ScriptedTrigger::without_faults(why))? {
                None if self.watch.is_gone => return Ok(()),
                None => return Err("a reconciliation without faults does not end".into()),
                Some(Err(error)) if error.kind != PortErrorKind::Conflict => {
                    return Err(format!("a reconciliation without faults failed: {error}"));
                }
                Some(_) => {}
            }
            let moved = self.counts.operations + self.counts.removed + self.watch.notice_count != calls;
            rests = if moved || busy || self.simulator.is_busy() { 0 } else { rests + 1 };
            if rests == STABLE_RECONCILIATIONS {
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

    /// Whether AWS has rejected a call of the last attempt.
    pub(crate) fn was_rejected(&self, number: usize) -> bool {
        let state = self.world.state();
        let ended = state.rollouts.get(&stack_set(number)).and_then(|rollout| rollout.value.ended.as_ref());
        ended.is_some_and(|ended| ended.error.is_some())
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }
}

fn home(to: Option<usize>) -> Option<UnitId> {
    to.map(|number| if number < UNITS.len() { unit(number) } else { root() })
}

/// Runs a future to its end; `None`: it waits forever, like a process that has died.
fn drive<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

const _: () = assert!(ACCOUNTS.len() == MANAGEMENT + 1);
