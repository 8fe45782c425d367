//! Data for the command line: open violations and dead-letter queues. Long because the fake queues serve all of its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use app::inspect::{
    Action, Consumer, DeadLetter, DeadLetters, Destination, Exemptions, OutgoingMessage, QueueFacts, RedriveError,
    RedriveJob, RedriveOutcome, RedriveResult, Validity, ViolationOrder, ViolationQuery, assess, open_violations,
    redrive,
};
use app::ports::{PortErrorKind, Result, Versioned};
use domain::notice::{BlindSpot, BlindSpotCause, BlindSpotReason};
use domain::policy::Reporting;
use domain::violation::{
    AppliedExemption, ChangeOutcome, ComplianceChange, ComplianceType, ResultOrdering, ViolationKey, ViolationRecord,
    ViolationStatus, apply,
};
use framework::control::Severity;
use framework::ids::{AccountId, RegionName};
use testkit::world::World;

// ------------------------------------------------------------------------------------------------------------- violations

const COVERED: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const RECENT: &str = "BACKUP_LAST_RECOVERY_POINT_CREATED";

fn account(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn record(owner_of: &str, region: &str, control: &str, id: &str, days: i64) -> ViolationRecord {
    let since = now() - (days * 24).hours();
    let change = ComplianceChange {
        key: ViolationKey {
            account: account(owner_of),
            region: RegionName::parse(region).unwrap(),
            control: control.to_owned(),
            resource_type: "AWS::RDS::DBCluster".to_owned(),
            resource_id: id.to_owned(),
        },
        compliance: ComplianceType::NonCompliant,
        ordering: ResultOrdering { triggered: since, recorded: since, notified: since },
        rule_name: format!("{control}-rule"),
        rule_arn: "arn".to_owned(),
        annotation: None,
        had_result: true,
        previous: None,
    };
    let ChangeOutcome::Store { record, .. } = apply(None, &change) else { panic!("the first result is stored") };
    *record
}

fn exempt(record: ViolationRecord, until: &str) -> ViolationRecord {
    let exempt =
        AppliedExemption { reason: "scratch".to_owned(), owner: "lab".to_owned(), until: until.parse().unwrap() };
    ViolationRecord { exemption: Some(exempt), ..record }
}

fn owned(mut record: ViolationRecord, tag: &str, owner: &str) -> ViolationRecord {
    record.resource.tags.insert(tag.to_owned(), owner.to_owned());
    record
}

fn world() -> World {
    let world = World::new();
    let closed = ViolationRecord {
        status: ViolationStatus::Closed,
        ..record("111111111111", "eu-west-1", COVERED, "closed", 9)
    };
    let records = [
        owned(record("111111111111", "eu-west-1", COVERED, "orders", 3), "team", "Shop"),
        ViolationRecord { severity: Severity::Critical, ..record("222222222222", "eu-central-1", RECENT, "ledger", 1) },
        record("222222222222", "eu-west-1", COVERED, "week", 7),
        exempt(record("222222222222", "eu-west-1", COVERED, "scratch", 30), "2026-12-31"),
        // Its exemption ended yesterday, and no sweep ran since.
        exempt(record("333333333333", "eu-west-1", COVERED, "ended", 40), "2026-11-22"),
        closed,
    ];
    {
        let mut state = world.state();
        for record in records {
            state.violations.insert(record.key.clone(), Versioned { value: record, version: 1 });
        }
        state.reporting = Some(Reporting { owner_tag: "team".to_owned(), ..Reporting::default() });
        state.account_names = BTreeMap::from([(account("222222222222"), "prod".to_owned())]);
        state.blind = [("333333333333", "eu-west-1"), ("111111111111", "us-east-1")]
            .map(|(owner, region)| BlindSpot {
                account: account(owner),
                region: RegionName::parse(region).unwrap(),
                reason: BlindSpotReason { cause: BlindSpotCause::NotRecording, detail: None },
                since: now(),
            })
            .to_vec();
    }
    world
}

async fn names(query: ViolationQuery) -> Vec<String> {
    let listing = open_violations(&world(), &query, now(), |_, _| ()).await.unwrap();
    listing.violations.into_iter().map(|violation| violation.record.key.resource_id).collect()
}

#[tokio::test]
async fn open_violations_are_listed_and_exempt_counted() {
    let mut steps = Vec::new();
    let listing =
        open_violations(&world(), &ViolationQuery::default(), now(), |done, of| steps.push((done, of))).await.unwrap();
    let told: Vec<_> = listing
        .violations
        .iter()
        .map(|v| (v.record.key.resource_id.as_str(), v.days, v.owner.as_deref(), v.account_name.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("ended", 40, None, None),
            ("week", 7, None, Some("prod")),
            ("orders", 3, Some("Shop"), None),
            ("ledger", 1, None, Some("prod")),
        ]
    );
    assert_eq!(listing.excluded_exempt, 1);
    assert_eq!(steps, [(1, 3), (2, 3), (3, 3)]);
    assert!(!listing.in_force, "no framework was published");
    let blind: Vec<_> = listing.blind.iter().map(|spot| spot.account.as_str()).collect();
    assert_eq!(blind, ["111111111111", "333333333333"]);
}

#[tokio::test]
async fn filters_limit_the_list() {
    let of = ViolationQuery::default;
    for (case, query, expected) in [
        ("account", ViolationQuery { accounts: [account("222222222222")].into(), ..of() }, &["week", "ledger"][..]),
        (
            "Region",
            ViolationQuery { regions: [RegionName::parse("eu-central-1").unwrap()].into(), ..of() },
            &["ledger"],
        ),
        ("control", ViolationQuery { controls: vec![RECENT.to_lowercase()], ..of() }, &["ledger"]),
        ("severity", ViolationQuery { severity: Some(Severity::High), ..of() }, &["ledger"]),
        ("its own severity", ViolationQuery { severity: Some(Severity::Critical), ..of() }, &["ledger"]),
        ("owner", ViolationQuery { owners: vec!["unknown".to_owned(), "shop".to_owned()], ..of() }, &["orders"]),
        ("age, to the hour", ViolationQuery { older_than: Some(7), ..of() }, &["ended", "week"]),
        ("older than it is", ViolationQuery { older_than: Some(41), ..of() }, &[]),
        (
            "exempt too",
            ViolationQuery { exemptions: Exemptions::Include, older_than: Some(7), ..of() },
            &["ended", "scratch", "week"],
        ),
        ("exempt only", ViolationQuery { exemptions: Exemptions::Only, ..of() }, &["scratch"]),
    ] {
        assert_eq!(names(query).await, expected, "{case}");
    }
}

#[tokio::test]
async fn orders_are_by_age_within() {
    for (order, expected) in [
        (ViolationOrder::Age, ["ended", "week", "orders", "ledger"]),
        (ViolationOrder::Account, ["orders", "week", "ledger", "ended"]),
        (ViolationOrder::Control, ["ledger", "ended", "week", "orders"]),
        (ViolationOrder::Severity, ["ledger", "ended", "week", "orders"]),
    ] {
        assert_eq!(names(ViolationQuery { order, ..ViolationQuery::default() }).await, expected, "{order:?}");
    }
}

#[tokio::test]
async fn blind_spots_match_the_filter() {
    let query = ViolationQuery { accounts: [account("333333333333")].into(), ..ViolationQuery::default() };
    let listing = open_violations(&world(), &query, now(), |_, _| ()).await.unwrap();
    let blind: Vec<_> = listing.blind.iter().map(|spot| spot.account.as_str()).collect();
    assert_eq!(blind, ["333333333333"]);
}

#[tokio::test]
async fn partial_list_is_an_error() {
    let world = world();
    // The first query reads the frameworks in force, the second the first account.
    for operation in ["dynamodb:Query", "dynamodb:Scan", "dynamodb:GetItem"] {
        world.fail_next(operation, PortErrorKind::Denied);
        let error = open_violations(&world, &ViolationQuery::default(), now(), |_, _| ()).await.unwrap_err();
        assert_eq!((error.operation, error.kind), (operation, PortErrorKind::Denied));
    }
    assert!(open_violations(&world, &ViolationQuery::default(), now(), |_, _| ()).await.is_ok());
}

// ----------------------------------------------------------------------------------------------------------- dead letters

const HERE: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/dead";
const THERE: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/report";
const FIFO: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/deploy.fifo";

/// Queues in which received messages are invisible until released, with a new receipt each time.
#[derive(Default)]
struct Queues {
    state: Mutex<QueueState>,
}

/// Queue, body, and for a FIFO queue group and deduplication id.
type Sent = (String, String, Option<(String, String)>);

#[derive(Default)]
struct QueueState {
    here: Vec<(DeadLetter, bool)>,
    sent: Vec<Sent>,
    hands_on_after: Option<u32>,
    receipts: u32,
    hidden_for: BTreeSet<Duration>,
    /// Calls that fail: the name, and the number of successes before.
    fails: Option<(&'static str, usize)>,
    /// After this number of receives, all received messages become visible again.
    runs_out_after: Option<usize>,
    takings: usize,
}

impl QueueState {
    fn call(&mut self, name: &'static str) -> Result<()> {
        match &mut self.fails {
            Some((fails, 0)) if *fails == name => {
                self.fails = None;
                Err(testkit::world::error(name, PortErrorKind::Denied))
            }
            Some((fails, left)) if *fails == name => {
                *left -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn by_receipt(&mut self, receipt: &str) -> Option<usize> {
        self.here.iter().position(|(letter, _)| letter.receipt == receipt)
    }
}

impl Queues {
    fn with(letters: impl IntoIterator<Item = DeadLetter>) -> Self {
        let queues = Self::default();
        queues.state().here = letters.into_iter().map(|letter| (letter, false)).collect();
        queues
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap()
    }

    /// The messages, and whether all of them are visible.
    fn left(&self) -> (Vec<String>, bool) {
        let state = self.state();
        (state.here.iter().map(|(l, _)| l.id.clone()).collect(), state.here.iter().all(|(_, hidden)| !hidden))
    }

    fn sent(&self) -> Vec<(String, String)> {
        self.state().sent.iter().map(|(to, body, _)| (to.clone(), body.clone())).collect()
    }
}

impl DeadLetters for Queues {
    async fn facts(&self, queue: &str) -> Result<QueueFacts> {
        let mut state = self.state();
        assert_eq!(queue, HERE);
        state.call("sqs:GetQueueAttributes")?;
        let hidden = state.here.iter().filter(|(_, hidden)| *hidden).count() as u64;
        let waiting = state.here.len() as u64 - hidden;
        Ok(QueueFacts { waiting, hidden, max_receives: state.hands_on_after })
    }

    async fn receive(&self, queue: &str, hidden: Duration) -> Result<Vec<DeadLetter>> {
        let mut state = self.state();
        assert_eq!(queue, HERE);
        state.call("sqs:ReceiveMessage")?;
        state.hidden_for.insert(hidden);
        if state.runs_out_after == Some(state.takings) {
            state.here.iter_mut().for_each(|(_, hidden)| *hidden = false);
        }
        state.takings += 1;
        let mut receipts = state.receipts;
        let mut taken = Vec::new();
        for (letter, hidden) in state.here.iter_mut().filter(|(_, hidden)| !hidden).take(3) {
            receipts += 1;
            letter.receipt = format!("receipt-{receipts}");
            letter.receives += 1;
            *hidden = true;
            taken.push(letter.clone());
        }
        state.receipts = receipts;
        Ok(taken)
    }

    async fn release(&self, queue: &str, receipts: &[String]) -> Result<()> {
        let mut state = self.state();
        assert_eq!(queue, HERE);
        state.call("sqs:ChangeMessageVisibility")?;
        for receipt in receipts {
            let at = state.by_receipt(receipt).expect("the last receipt of a message that is there");
            state.here[at].1 = false;
        }
        Ok(())
    }

    async fn send(&self, queue: &str, letter: &OutgoingMessage<'_>) -> Result<()> {
        let mut state = self.state();
        state.call("sqs:SendMessage")?;
        let fifo = letter.fifo.as_ref().map(|(group, id)| ((*group).to_owned(), id.clone()));
        assert_eq!(fifo.is_some(), queue.ends_with(".fifo"));
        state.sent.push((queue.to_owned(), letter.body.to_owned(), fifo));
        Ok(())
    }

    async fn delete(&self, queue: &str, receipt: &str) -> Result<()> {
        let mut state = self.state();
        assert_eq!(queue, HERE);
        state.call("sqs:DeleteMessage")?;
        let at = state.by_receipt(receipt).expect("the last receipt of a message that is there");
        state.here.remove(at);
        Ok(())
    }
}

/// The body of the message in a sample event.
fn sample(name: &str) -> String {
    let text = std::fs::read_to_string(format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let event: serde_json::Value = serde_json::from_str(&text).unwrap();
    event["Records"][0]["body"].as_str().map_or(text, str::to_owned)
}

fn letter(id: &str, body: &str, attributes: &[(&str, &str)]) -> DeadLetter {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    DeadLetter { id: id.to_owned(), body: body.to_owned(), attributes, ..DeadLetter::default() }
}

fn readable(id: &str) -> DeadLetter {
    letter(id, &sample("config-noncompliant.json"), &[])
}

fn hopeless(id: &str) -> DeadLetter {
    letter(id, "nonsense", &[("reason", "the message body is not JSON")])
}

fn job(action: Action) -> RedriveJob {
    RedriveJob {
        queue: HERE.to_owned(),
        destination: Destination::Queue(THERE.to_owned()),
        reader: Consumer::Report,
        only: BTreeSet::new(),
        limit: None,
        action,
    }
}

const SEND: Action = Action::Send { force: false };

async fn ran(queues: &Queues, job: &RedriveJob) -> RedriveResult {
    redrive(queues, job, |_, _| ()).await.unwrap()
}

fn fates(redriven: &RedriveResult) -> Vec<(&str, &RedriveOutcome)> {
    redriven.messages.iter().map(|handled| (handled.message.id.as_str(), &handled.outcome)).collect()
}

#[tokio::test]
async fn inspection_leaves_messages_visible() {
    let ids: Vec<String> = (0..8).map(|number| format!("m-{number}")).collect();
    let queues = Queues::with(ids.iter().map(|id| readable(id)));
    let mut steps = Vec::new();
    let redriven = redrive(&queues, &job(Action::Show), |taken, of| steps.push((taken, of))).await.unwrap();
    let seen: Vec<_> = redriven.messages.iter().map(|handled| handled.message.id.clone()).collect();
    assert_eq!(seen, ids);
    assert!(redriven.messages.iter().all(|handled| handled.outcome == RedriveOutcome::Unchanged));
    assert_eq!((redriven.more, redriven.failed), (0, None));
    assert_eq!(queues.left(), (ids, true));
    assert_eq!(queues.sent(), []);
    assert_eq!(steps, [(3, 8), (6, 8), (8, 8)]);
    assert!(queues.state().hidden_for.iter().all(|hidden| *hidden <= Duration::from_secs(30)));
}

#[tokio::test]
async fn repeated_messages_are_released_by_last_receipt() {
    let queues = Queues::with(["a", "b", "c", "d"].map(readable));
    queues.state().runs_out_after = Some(1);
    let redriven = ran(&queues, &job(Action::Show)).await;
    // The second receive returned the first three again: no new messages are visible.
    assert_eq!(fates(&redriven).iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(redriven.more, 1);
    assert!(queues.left().1);
}

#[tokio::test]
async fn readable_messages_are_redriven_and_others_kept() {
    let letters = || [readable("a"), hopeless("b"), letter("c", "{\"source\":\"aws.config\"", &[]), readable("d")];
    let queues = Queues::with(letters());
    let redriven = ran(&queues, &job(SEND)).await;
    let to = RedriveOutcome::Sent { to: THERE.to_owned() };
    let kept = RedriveOutcome::NotSent { reason: "the message is invalid and would fail again".to_owned() };
    assert_eq!(fates(&redriven), [("a", &to), ("b", &kept), ("c", &kept), ("d", &to)]);
    assert_eq!(queues.left(), (vec!["b".to_owned(), "c".to_owned()], true));
    let event = sample("config-noncompliant.json");
    assert_eq!(queues.sent(), [(THERE.to_owned(), event.clone()), (THERE.to_owned(), event)]);

    let queues = Queues::with(letters());
    let redriven = ran(&queues, &job(Action::Send { force: true })).await;
    assert!(redriven.messages.iter().all(|handled| handled.outcome == to));
    assert_eq!(queues.left(), (vec![], true));
    assert_eq!(queues.sent().len(), 4);
}

#[tokio::test]
async fn message_is_deleted_after_its_redrive() {
    let queues = Queues::with(["a", "b", "c", "d"].map(readable));
    queues.state().fails = Some(("sqs:SendMessage", 1));
    let redriven = ran(&queues, &job(SEND)).await;
    let expected = [
        ("a", RedriveOutcome::Sent { to: THERE.to_owned() }),
        ("b", RedriveOutcome::NotSent { reason: "the queue rejected the message".into() }),
    ];
    assert_eq!(fates(&redriven), expected.iter().map(|(id, fate)| (*id, fate)).collect::<Vec<_>>());
    assert_eq!(redriven.failed.unwrap().operation, "sqs:SendMessage");
    assert_eq!(redriven.more, 2);
    assert_eq!(queues.left(), (vec!["b".into(), "c".into(), "d".into()], true));

    // Sent, but not deleted: reported, and not released, since a release would send it again.
    let queues = Queues::with([readable("a")]);
    queues.state().fails = Some(("sqs:DeleteMessage", 0));
    let redriven = ran(&queues, &job(SEND)).await;
    assert_eq!(fates(&redriven), [("a", &RedriveOutcome::SentNotDeleted { to: THERE.to_owned() })]);
    assert_eq!(redriven.failed.unwrap().operation, "sqs:DeleteMessage");
    assert_eq!(queues.left(), (vec!["a".into()], false));
}

#[tokio::test]
async fn redrive_respects_ids_and_limit() {
    let queues = Queues::with(["a", "b", "c", "d", "e"].map(readable));
    let only = BTreeSet::from(["b".to_owned(), "e".to_owned(), "z".to_owned()]);
    let redriven = ran(&queues, &RedriveJob { only: only.clone(), ..job(Action::Delete) }).await;
    assert_eq!(fates(&redriven), [("b", &RedriveOutcome::Deleted), ("e", &RedriveOutcome::Deleted)]);
    assert_eq!((redriven.more, redriven.missing), (3, BTreeSet::from(["z".to_owned()])));
    assert_eq!(queues.left(), (vec!["a".into(), "c".into(), "d".into()], true));
    assert_eq!(queues.sent(), []);

    let nosuch = RedriveJob { only: ["nosuch".to_owned()].into(), ..job(Action::Show) };
    let redriven = ran(&queues, &nosuch).await;
    assert_eq!((redriven.messages.len(), redriven.more, redriven.missing), (0, 3, nosuch.only));

    let redriven = ran(&queues, &RedriveJob { limit: Some(2), ..job(SEND) }).await;
    assert_eq!((redriven.messages.len(), redriven.more), (2, 1));
    assert_eq!(queues.left(), (vec!["d".into()], true));
}

#[tokio::test]
async fn fifo_queue_gets_group_and_new_id() {
    let push = sample("codecommit-push.json");
    let grouped = DeadLetter { group: Some("other".to_owned()), ..letter("a", &push, &[]) };
    let queues = Queues::with([grouped, letter("b", &push, &[])]);
    let to = RedriveJob { destination: Destination::Queue(FIFO.to_owned()), reader: Consumer::Deploy, ..job(SEND) };
    ran(&queues, &to).await;
    let fifo: Vec<_> = queues.state().sent.iter().map(|(_, _, fifo)| fifo.clone().unwrap()).collect();
    assert_eq!(fifo, [("other".to_owned(), "redrive-a".to_owned()), ("deploy".to_owned(), "redrive-b".to_owned())]);
}

#[tokio::test]
async fn undelivered_events_go_to_their_queue() {
    let arn = |rest: &str| format!("arn:aws:sqs:eu-west-1:999999999999:{rest}");
    let event = sample("config-noncompliant.json");
    let failed =
        |id: &str, target: &str| letter(id, &event, &[("ERROR_CODE", "NO_PERMISSIONS"), ("TARGET_ARN", target)]);
    let queues = Queues::with([
        failed("report", &arn("report")),
        failed("deploy", &arn("deploy.fifo")),
        failed("other", &arn("preport")),
        failed("function", "arn:aws:lambda:eu-west-1:999999999999:function:sweep"),
        failed("odd", "report"),
        letter("none", &event, &[]),
    ]);
    let destination = Destination::Target(vec![FIFO.to_owned(), THERE.to_owned()]);
    let redriven = ran(&queues, &RedriveJob { destination, reader: Consumer::Any, ..job(SEND) }).await;
    let told: Vec<_> = redriven
        .messages
        .iter()
        .map(|handled| match &handled.outcome {
            RedriveOutcome::Sent { to } => (handled.message.id.as_str(), to.as_str()),
            RedriveOutcome::NotSent { reason: why } => (handled.message.id.as_str(), why.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            ("report", THERE),
            ("deploy", FIFO),
            ("other", "the target `arn:aws:sqs:eu-west-1:999999999999:preport` is not a queue of this stack"),
            (
                "function",
                "the target `arn:aws:lambda:eu-west-1:999999999999:function:sweep` is not a queue: invoke it \
                 directly"
            ),
            ("odd", "the target `report` is not an ARN"),
            ("none", "the message has no attribute TARGET_ARN"),
        ]
    );
    assert!(queues.left().1);
}

#[tokio::test]
async fn queue_with_redrive_policy_is_not_read() {
    let queues = Queues::with([readable("a")]);
    queues.state().hands_on_after = Some(5);
    let error = redrive(&queues, &job(SEND), |_, _| ()).await.unwrap_err();
    assert_eq!(error, RedriveError::NotADeadLetterQueue { queue: HERE.to_owned(), receives: 5 });
    assert_eq!(queues.state().takings, 0);
}

#[tokio::test]
async fn later_failure_is_reported_with_completed_work() {
    for (operation, takings) in [("sqs:GetQueueAttributes", 0), ("sqs:ReceiveMessage", 0)] {
        let queues = Queues::with([readable("a")]);
        queues.state().fails = Some((operation, 0));
        let RedriveError::Port(error) = redrive(&queues, &job(SEND), |_, _| ()).await.unwrap_err() else {
            panic!("a port's")
        };
        assert_eq!(error.operation, operation);
        assert_eq!(queues.state().takings, takings);
    }
    let queues = Queues::with(["a", "b", "c", "d"].map(readable));
    queues.state().fails = Some(("sqs:ReceiveMessage", 1));
    let redriven = ran(&queues, &job(Action::Show)).await;
    assert_eq!((redriven.messages.len(), redriven.more), (3, 1));
    assert_eq!(redriven.failed.unwrap().operation, "sqs:ReceiveMessage");
    assert!(queues.left().1);
    // Messages that cannot be released become visible by themselves.
    queues.state().fails = Some(("sqs:ChangeMessageVisibility", 0));
    let redriven = ran(&queues, &job(Action::Show)).await;
    assert_eq!((redriven.messages.len(), redriven.failed), (4, None));
}

// ---------------------------------------------------------------------------------------------------------------- reading

/// Long because it is one table of messages.
#[test]
fn message_is_described_with_reason() {
    let change = sample("config-noncompliant.json");
    let about = "222222222222 eu-west-1: AWS::RDS::DBCluster orders is NON_COMPLIANT by";
    let ruined = change.replace("\"newEvaluationResult\"", "\"other\"");
    assert_ne!(change, ruined);
    let undelivered = [
        ("ERROR_CODE", "NO_PERMISSIONS"),
        ("ERROR_MESSAGE", "the key's policy"),
        ("RETRY_ATTEMPTS", "0"),
        ("RULE_ARN", "arn:aws:events:eu-west-1:999999999999:rule/bus/changes"),
        ("TARGET_ARN", "arn:aws:sqs:eu-west-1:999999999999:report"),
    ];
    let not_delivered = "not delivered: NO_PERMISSIONS: the key's policy (retries: 0); rule changes; target report";
    let flush = r#"{"source":"backup-compliance.report","flush":{"account":"222222222222","control":"X"}}"#;
    let push = sample("codecommit-push.json");
    let cases = [
        (
            letter("", &change, &[]),
            Consumer::Report,
            Validity::Valid,
            about,
            "every attempt failed, although the message is valid",
        ),
        (letter("", &change, &undelivered), Consumer::Any, Validity::Valid, about, not_delivered),
        (
            letter("", &change, &[("reason", "odd")]),
            Consumer::Report,
            Validity::Invalid,
            about,
            "odd (this command can read the message",
        ),
        (
            letter("", &ruined, &[]),
            Consumer::Report,
            Validity::Invalid,
            "aws.config Config Rules",
            "has no `newEvaluationResult`",
        ),
        (
            letter("", &ruined, &undelivered),
            Consumer::Any,
            Validity::Invalid,
            "aws.config",
            "the message is also invalid",
        ),
        (
            letter("", flush, &[]),
            Consumer::Report,
            Validity::Valid,
            "flush message for 222222222222, X",
            "the message is valid",
        ),
        (
            letter("", &push, &[]),
            Consumer::Report,
            Validity::Foreign,
            "aws.codecommit",
            "not addressed to this application, would be dropped",
        ),
        (
            letter("", &push, &[]),
            Consumer::Deploy,
            Validity::Valid,
            "push to the branch main of",
            "the message is valid",
        ),
        (letter("", &push, &[]), Consumer::Any, Validity::Valid, "push to the branch main of", "the message is valid"),
        (letter("", &change, &[]), Consumer::Deploy, Validity::Foreign, "aws.config", "is not a trigger"),
        (letter("", "{\n\"a\"", &[]), Consumer::Report, Validity::Invalid, "{\n\"a\"", "not JSON at line 2"),
        (letter("", " ", &[]), Consumer::Report, Validity::Invalid, "an empty message", "not JSON"),
        (letter("", "[1]", &[]), Consumer::Report, Validity::Invalid, "[1]", "not a JSON object"),
    ];
    for (letter, reader, prospect, about, reason) in cases {
        let assessed = assess(&letter, reader);
        assert_eq!(assessed.validity, prospect, "{assessed:?}");
        assert!(assessed.subject.contains(about), "{about}: {assessed:?}");
        assert!(assessed.reason.contains(reason), "{reason}: {assessed:?}");
        assert_eq!(assessed.is_logged, reason.ends_with("the message is valid"), "{assessed:?}");
    }
}

#[test]
fn sample_triggers_of_deploy_are_readable() {
    for name in ["codecommit-push.json", "stackset-operation.json", "schedule-light.json", "schedule-full.json"] {
        let assessed = assess(&letter("", &sample(name), &[]), Consumer::Deploy);
        assert_eq!(assessed.validity, Validity::Valid, "{name}: {assessed:?}");
    }
}
