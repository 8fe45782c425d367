//! Scenarios of violations: frameworks in force, results in AWS Config, events, sweeps, and the notices that follow.
//!
//! ```
//! use domain::violation::ComplianceType;
//! use testkit::scenario::{HOME, Scenario};
//!
//! let scenario = Scenario::new();
//! scenario.in_force(&[HOME]).config("orders", ComplianceType::NonCompliant);
//! scenario.sweep();
//! scenario.expect_opened("orders");
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use app::deploy::{ControlVariant, PublishedFramework};
use app::events::{Batch, BatchMessage};
use app::report::{BatchSummary, Report};
use app::sweep::ports::EvaluationResult;
use app::sweep::{Sweep, SweepSummary};
use app::violations::ResourceId;
use domain::notice::Notice;
use domain::violation::{ClosedReason, ComplianceType, ResourceDetails, Update};
use framework::ids::{AccountId, RegionName, StackSetName};

use crate::world::World;

/// The control of all scenarios.
pub const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
/// The name of the control's rule in AWS Config.
pub const RULE: &str = "AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";
/// The account of all events.
pub const HOME: &str = "222222222222";
const REGION: &str = "eu-west-1";
const CLUSTER: &str = "AWS::RDS::DBCluster";

/// A world at 06:30, two hours after its events. All resources are Aurora clusters in `eu-west-1`.
///
/// It derefs to the [`World`], for faults and for state without a method here.
#[derive(Debug)]
pub struct Scenario {
    world: World,
}

impl Default for Scenario {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Scenario {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Scenario {
    /// A world without frameworks, results and violations.
    pub fn new() -> Self {
        let world = World::new();
        world.state().now = time(150, "00");
        Self { world }
    }

    /// Puts the coverage control in force in exactly these accounts.
    pub fn in_force(&self, accounts: &[&str]) -> &Self {
        let name = id(StackSetName::parse("backup-compliance"));
        let variant = ControlVariant {
            accounts: accounts.iter().map(|id| account(id)).collect(),
            regions: BTreeSet::from([region()]),
            controls: BTreeMap::from([(COVERAGE.to_owned(), BTreeMap::new())]),
            since: BTreeMap::new(),
        };
        let facts = PublishedFramework { stack_set: name.clone(), variants: vec![variant] };
        self.state().frameworks.insert(name, facts);
        self
    }

    /// Puts the result for a cluster of [`HOME`] into AWS Config, found at 04:10.
    pub fn config(&self, resource: &str, compliance: ComplianceType) -> &Self {
        self.config_at(HOME, resource, Some(compliance), 10)
    }

    /// Puts the result for a cluster into AWS Config, found at this minute after 04:00. `None` removes the result.
    pub fn config_at(&self, owner: &str, resource: &str, compliance: Option<ComplianceType>, minute: u8) -> &Self {
        let mut state = self.state();
        let rules = state.compliance.entry((account(owner), region())).or_default();
        let results = rules.entry(RULE.to_owned()).or_default();
        results.retain(|result| result.resource_id != resource);
        results.extend(compliance.map(|compliance| EvaluationResult {
            rule_name: RULE.into(),
            rule_arn: String::new(),
            resource_type: CLUSTER.into(),
            resource_id: resource.into(),
            compliance,
            triggered: time(minute, "09.311"),
            recorded: time(minute, "29.902"),
            annotation: None,
        }));
        drop(state);
        self
    }

    /// Puts a cluster with its details into AWS Config.
    pub fn resource(&self, owner: &str, resource: &str, facts: ResourceDetails) -> &Self {
        self.state().resources.insert(cluster(owner, resource), facts);
        self
    }

    /// Advances the clock by hours.
    pub fn after_hours(&self, hours: i64) -> &Self {
        self.after_seconds(hours * 3600)
    }

    /// Advances the clock by seconds.
    pub fn after_seconds(&self, seconds: i64) -> &Self {
        let mut state = self.state();
        state.now = state.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        drop(state);
        self
    }

    /// Delivers events to `report`, without a digest window.
    pub fn report(&self, events: &[Value]) -> BatchSummary {
        self.report_within(Duration::ZERO, events)
    }

    /// Delivers events to `report` with this digest window.
    pub fn report_within(&self, window: Duration, events: &[Value]) -> BatchSummary {
        run(report(&self.world, window).handle(&batch(events)))
    }

    /// Runs a sweep without a time limit.
    pub fn sweep(&self) -> SweepSummary {
        self.sweep_within(|| None)
    }

    /// Runs a sweep that ends when `time_left` is short.
    #[expect(clippy::expect_used, reason = "a scenario without the state of the sweep cannot continue")]
    pub fn sweep_within(&self, time_left: impl Fn() -> Option<Duration>) -> SweepSummary {
        let sweep = Sweep::<World> {
            store: self.world.clone(),
            channels: self.world.clone(),
            resources: self.world.clone(),
            source: self.world.clone(),
            organization: self.world.clone(),
            clock: self.world.clone(),
        };
        run(sweep.run(time_left)).expect("the sweep reads its state")
    }

    /// The kinds of the notices since the last time they were taken.
    pub fn kinds(&self) -> Vec<&'static str> {
        self.take_notices().iter().map(Notice::kind).collect()
    }

    /// The reasons of the `violation.resolved` notices since the last time notices were taken.
    pub fn closings(&self) -> Vec<ClosedReason> {
        let closing = |notice: &Notice| match notice {
            Notice::ViolationResolved(notice) => match notice.update {
                Update::Resolved(closing) => Some(closing),
                _ => None,
            },
            _ => None,
        };
        self.take_notices().iter().filter_map(closing).collect()
    }

    /// Expects exactly one notice since the last time: `violation.opened` for this cluster.
    #[track_caller]
    pub fn expect_opened(&self, resource: &str) -> &Self {
        let notices = self.take_notices();
        let opened = notices.iter().filter_map(|notice| match notice {
            Notice::ViolationOpened(notice) => Some(notice.key.resource_id.as_str()),
            _ => None,
        });
        assert_eq!((notices.len(), opened.collect::<Vec<_>>()), (1, vec![resource]), "{notices:?}");
        self
    }

    /// Expects notices of these kinds since the last time, and no others.
    #[track_caller]
    pub fn expect(&self, kinds: &[&str]) -> &Self {
        assert_eq!(self.kinds(), kinds);
        self
    }

    /// Expects no notice since the last time.
    #[track_caller]
    pub fn expect_silence(&self) -> &Self {
        self.expect(&[])
    }
}

/// `report` on a world.
pub fn report(world: &World, window: Duration) -> Report<World> {
    Report {
        store: world.clone(),
        channels: world.clone(),
        resources: world.clone(),
        queue: world.clone(),
        clock: world.clone(),
        digest_window: window,
    }
}

/// An event of AWS Config about a cluster of [`HOME`], at this minute after 04:00.
pub fn event(resource: &str, compliance: &str, minute: u8) -> Value {
    json!({
        "source": "aws.config",
        "detail-type": "Config Rules Compliance Change",
        "account": HOME,
        "region": REGION,
        "time": format!("2026-11-20T04:{minute:02}:31Z"),
        "detail": {
            "messageType": "ComplianceChangeNotification",
            "awsAccountId": HOME,
            "awsRegion": REGION,
            "configRuleName": RULE,
            "configRuleARN": "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd",
            "resourceType": CLUSTER,
            "resourceId": resource,
            "newEvaluationResult": {
                "evaluationResultIdentifier": { "orderingTimestamp": format!("2026-11-20T04:{minute:02}:09.311Z") },
                "complianceType": compliance,
                "resultRecordedTime": format!("2026-11-20T04:{minute:02}:29.902Z"),
                "annotation": "The resource is not protected by a backup plan.",
            },
            "notificationCreationTime": format!("2026-11-20T04:{minute:02}:31.377Z"),
        },
    })
}

/// The messages of an SQS batch with these bodies, with the ids `m0`, `m1`, … A string is a body as it is.
pub fn batch(events: &[Value]) -> Vec<BatchMessage> {
    let records: Vec<Value> = events
        .iter()
        .enumerate()
        .map(|(index, event)| {
            let body = event.as_str().map_or_else(|| event.to_string(), ToOwned::to_owned);
            json!({ "messageId": format!("m{index}"), "eventSource": "aws:sqs", "body": body })
        })
        .collect();
    let batch = Batch::read(json!({ "Records": records }));
    assert!(batch.queued, "SQS records are a batch of a queue");
    batch.messages
}

/// A cluster of an account, as AWS Config names it.
pub fn cluster(owner: &str, resource: &str) -> ResourceId {
    ResourceId { account: account(owner), region: region(), kind: CLUSTER.into(), id: resource.into() }
}

/// Minutes after 04:00 on the day of the events.
///
/// # Panics
/// For seconds that are not two digits with a fraction.
#[expect(clippy::expect_used, reason = "a literal of a test")]
pub fn time(minutes: u8, seconds: &str) -> Timestamp {
    format!("2026-11-20T{:02}:{:02}:{seconds}Z", 4 + minutes / 60, minutes % 60).parse().expect("a time")
}

/// The account with this id.
pub fn account(text: &str) -> AccountId {
    id(AccountId::parse(text))
}

/// The Region of all resources.
pub fn region() -> RegionName {
    id(RegionName::parse(REGION))
}

#[expect(clippy::expect_used, reason = "a literal of a test")]
fn id<T, E: std::fmt::Debug>(parsed: Result<T, E>) -> T {
    parsed.expect("a well-formed id")
}

/// Runs a future that waits for nothing: all calls of a world are ready at once.
#[expect(clippy::panic, reason = "a call that never returns is a fault that a scenario does not inject")]
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1_000_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("a call never returns")
}
