//! What the command line looks into: open violations, and dead-letter queues.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, and the panic says where"
)]

use app::inspect::{
    Action, DeadLetters, Destination, Exemptions, Fate, Job, Letter, NoRedrive, Order, Outgoing, Prospect, Query,
    QueueFacts, Reader, Redriven, assess, open_violations, redrive,
};
use app::ports::{PortErrorKind, Result, Versioned};
use domain::control::Severity;
use domain::ids::{AccountId, RegionName};
use domain::notice::{BlindCause, BlindReason, BlindSpot};
use domain::policy::Reporting;
use domain::violation::{Change, Compliance, Exempt, Key, Ordering, Outcome, Record, Status, apply};
use jiff::{Timestamp, ToSpan};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
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

fn record(owner_of: &str, region: &str, control: &str, id: &str, days: i64) -> Record {
    let since = now() - (days * 24).hours();
    let change = Change {
        key: Key {
            account: account(owner_of),
            region: RegionName::parse(region).unwrap(),
            control: control.to_owned(),
            resource_type: "AWS::RDS::DBCluster".to_owned(),
            resource_id: id.to_owned(),
        },
        compliance: Compliance::NonCompliant,
        ordering: Ordering { triggered: since, recorded: since, notified: since },
        rule_name: format!("{control}-rule"),
        rule_arn: "arn".to_owned(),
        annotation: None,
        had_result: true,
        previous: None,
    };
    let Outcome::Store { record, .. } = apply(None, &change) else { panic!("the first result is stored") };
    *record
}

fn exempt(record: Record, until: &str) -> Record {
    let exempt = Exempt { reason: "scratch".to_owned(), owner: "lab".to_owned(), until: until.parse().unwrap() };
    Record { exempt: Some(exempt), ..record }
}

fn owned(mut record: Record, tag: &str, owner: &str) -> Record {
    record.resource.tags.insert(tag.to_owned(), owner.to_owned());
    record
}

fn world() -> World {
    let world = World::new();
    let closed = Record { status: Status::Closed, ..record("111111111111", "eu-west-1", COVERED, "closed", 9) };
    let records = [
        owned(record("111111111111", "eu-west-1", COVERED, "orders", 3), "team", "Shop"),
        Record { severity: Severity::Critical, ..record("222222222222", "eu-central-1", RECENT, "ledger", 1) },
        record("222222222222", "eu-west-1", COVERED, "week", 7),
        exempt(record("222222222222", "eu-west-1", COVERED, "scratch", 30), "2026-12-31"),
        // Its exemption ended yesterday, and no sweep was there since.
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
                reason: BlindReason { cause: BlindCause::NotRecording, detail: None },
                since: now(),
            })
            .to_vec();
    }
    world
}

async fn names(query: Query) -> Vec<String> {
    let listing = open_violations(&world(), &query, now(), |_, _| ()).await.unwrap();
    listing.violations.into_iter().map(|violation| violation.record.key.resource_id).collect()
}

#[tokio::test]
async fn open_violations_are_listed_with_owner_name_and_age_and_exempt_ones_are_counted() {
    let mut steps = Vec::new();
    let listing = open_violations(&world(), &Query::default(), now(), |done, of| steps.push((done, of))).await.unwrap();
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
    assert_eq!(listing.exempt_left_out, 1);
    assert_eq!(steps, [(1, 3), (2, 3), (3, 3)]);
    assert!(!listing.in_force, "no framework was published");
    let blind: Vec<_> = listing.blind.iter().map(|spot| spot.account.as_str()).collect();
    assert_eq!(blind, ["111111111111", "333333333333"]);
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let of = Query::default;
    for (what, query, expected) in [
        ("account", Query { accounts: [account("222222222222")].into(), ..of() }, &["week", "ledger"][..]),
        ("Region", Query { regions: [RegionName::parse("eu-central-1").unwrap()].into(), ..of() }, &["ledger"]),
        ("control", Query { controls: vec![RECENT.to_lowercase()], ..of() }, &["ledger"]),
        ("severity", Query { severity: Some(Severity::High), ..of() }, &["ledger"]),
        ("its own severity", Query { severity: Some(Severity::Critical), ..of() }, &["ledger"]),
        ("owner", Query { owners: vec!["nobody".to_owned(), "shop".to_owned()], ..of() }, &["orders"]),
        ("age, to the hour", Query { older_than: Some(7), ..of() }, &["ended", "week"]),
        ("older than it is", Query { older_than: Some(41), ..of() }, &[]),
        (
            "exempt too",
            Query { exemptions: Exemptions::Include, older_than: Some(7), ..of() },
            &["ended", "scratch", "week"],
        ),
        ("exempt only", Query { exemptions: Exemptions::Only, ..of() }, &["scratch"]),
    ] {
        assert_eq!(names(query).await, expected, "{what}");
    }
}

#[tokio::test]
async fn every_order_is_by_age_within() {
    for (order, expected) in [
        (Order::Age, ["ended", "week", "orders", "ledger"]),
        (Order::Account, ["orders", "week", "ledger", "ended"]),
        (Order::Control, ["ledger", "ended", "week", "orders"]),
        (Order::Severity, ["ledger", "ended", "week", "orders"]),
    ] {
        assert_eq!(names(Query { order, ..Query::default() }).await, expected, "{order:?}");
    }
}

#[tokio::test]
async fn blind_spots_are_those_of_the_places_that_are_asked_for() {
    let query = Query { accounts: [account("333333333333")].into(), ..Query::default() };
    let listing = open_violations(&world(), &query, now(), |_, _| ()).await.unwrap();
    let blind: Vec<_> = listing.blind.iter().map(|spot| spot.account.as_str()).collect();
    assert_eq!(blind, ["333333333333"]);
}

#[tokio::test]
async fn half_a_list_is_no_list() {
    let world = world();
    // The first query reads what is in force, the second the first account.
    for operation in ["dynamodb:Query", "dynamodb:Scan", "dynamodb:GetItem"] {
        world.fail_next(operation, PortErrorKind::Denied);
        let error = open_violations(&world, &Query::default(), now(), |_, _| ()).await.unwrap_err();
        assert_eq!((error.operation, error.kind), (operation, PortErrorKind::Denied));
    }
    assert!(open_violations(&world, &Query::default(), now(), |_, _| ()).await.is_ok());
}

// ----------------------------------------------------------------------------------------------------------- dead letters

const HERE: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/dead";
const THERE: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/report";
const FIFO: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/deploy.fifo";

/// Queues that hide what is taken until it is given back, and hand out a new receipt each time.
#[derive(Default)]
struct Queues {
    state: Mutex<State>,
}

/// Queue, body, and for a FIFO queue group and deduplication id.
type Sent = (String, String, Option<(String, String)>);

#[derive(Default)]
struct State {
    here: Vec<(Letter, bool)>,
    sent: Vec<Sent>,
    hands_on_after: Option<u32>,
    receipts: u32,
    hidden_for: BTreeSet<Duration>,
    /// Calls that fail: the name, and how many go well before.
    fails: Option<(&'static str, usize)>,
    /// After this many takings everything that was taken comes into sight again.
    runs_out_after: Option<usize>,
    takings: usize,
}

impl State {
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
    fn with(letters: impl IntoIterator<Item = Letter>) -> Self {
        let queues = Self::default();
        queues.state().here = letters.into_iter().map(|letter| (letter, false)).collect();
        queues
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What is there, and whether all of it is in sight.
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
        Ok(QueueFacts { waiting, hidden, hands_on_after: state.hands_on_after })
    }

    async fn take(&self, queue: &str, hidden: Duration) -> Result<Vec<Letter>> {
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

    async fn give_back(&self, queue: &str, receipts: &[String]) -> Result<()> {
        let mut state = self.state();
        assert_eq!(queue, HERE);
        state.call("sqs:ChangeMessageVisibility")?;
        for receipt in receipts {
            let at = state.by_receipt(receipt).expect("the last receipt of a message that is there");
            state.here[at].1 = false;
        }
        Ok(())
    }

    async fn send(&self, queue: &str, letter: &Outgoing<'_>) -> Result<()> {
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

fn letter(id: &str, body: &str, attributes: &[(&str, &str)]) -> Letter {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Letter { id: id.to_owned(), body: body.to_owned(), attributes, ..Letter::default() }
}

fn readable(id: &str) -> Letter {
    letter(id, &sample("config-noncompliant.json"), &[])
}

fn hopeless(id: &str) -> Letter {
    letter(id, "nonsense", &[("reason", "the message body is not JSON")])
}

fn job(action: Action) -> Job {
    Job {
        queue: HERE.to_owned(),
        destination: Destination::Queue(THERE.to_owned()),
        reader: Reader::Report,
        only: BTreeSet::new(),
        limit: None,
        action,
    }
}

const SEND: Action = Action::Send { force: false };

async fn ran(queues: &Queues, job: &Job) -> Redriven {
    redrive(queues, job, |_, _| ()).await.unwrap()
}

fn fates(redriven: &Redriven) -> Vec<(&str, &Fate)> {
    redriven.letters.iter().map(|handled| (handled.letter.id.as_str(), &handled.fate)).collect()
}

#[tokio::test]
async fn looking_leaves_every_message_where_it_was_and_in_sight() {
    let ids: Vec<String> = (0..8).map(|number| format!("m-{number}")).collect();
    let queues = Queues::with(ids.iter().map(|id| readable(id)));
    let mut steps = Vec::new();
    let redriven = redrive(&queues, &job(Action::Look), |taken, of| steps.push((taken, of))).await.unwrap();
    let seen: Vec<_> = redriven.letters.iter().map(|handled| handled.letter.id.clone()).collect();
    assert_eq!(seen, ids);
    assert!(redriven.letters.iter().all(|handled| handled.fate == Fate::Seen));
    assert_eq!((redriven.more, redriven.failed), (0, None));
    assert_eq!(queues.left(), (ids, true));
    assert_eq!(queues.sent(), []);
    assert_eq!(steps, [(3, 8), (6, 8), (8, 8)]);
    assert!(queues.state().hidden_for.iter().all(|hidden| *hidden <= Duration::from_secs(30)));
}

#[tokio::test]
async fn messages_that_come_round_again_are_told_once_and_given_back_by_their_last_receipt() {
    let queues = Queues::with(["a", "b", "c", "d"].map(readable));
    queues.state().runs_out_after = Some(1);
    let redriven = ran(&queues, &job(Action::Look)).await;
    // The second taking brought the first three again: it is known by then that no new ones are in sight.
    assert_eq!(fates(&redriven).iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(redriven.more, 1);
    assert!(queues.left().1);
}

#[tokio::test]
async fn what_can_be_read_is_sent_back_and_what_never_can_is_kept_unless_forced() {
    let letters = || [readable("a"), hopeless("b"), letter("c", "{\"source\":\"aws.config\"", &[]), readable("d")];
    let queues = Queues::with(letters());
    let redriven = ran(&queues, &job(SEND)).await;
    let to = Fate::Sent { to: THERE.to_owned() };
    let kept = Fate::KeptBack { why: "it would come here again".to_owned() };
    assert_eq!(fates(&redriven), [("a", &to), ("b", &kept), ("c", &kept), ("d", &to)]);
    assert_eq!(queues.left(), (vec!["b".to_owned(), "c".to_owned()], true));
    let event = sample("config-noncompliant.json");
    assert_eq!(queues.sent(), [(THERE.to_owned(), event.clone()), (THERE.to_owned(), event)]);

    let queues = Queues::with(letters());
    let redriven = ran(&queues, &job(Action::Send { force: true })).await;
    assert!(redriven.letters.iter().all(|handled| handled.fate == to));
    assert_eq!(queues.left(), (vec![], true));
    assert_eq!(queues.sent().len(), 4);
}

#[tokio::test]
async fn a_message_is_deleted_only_after_the_queue_has_taken_it() {
    let queues = Queues::with(["a", "b", "c", "d"].map(readable));
    queues.state().fails = Some(("sqs:SendMessage", 1));
    let redriven = ran(&queues, &job(SEND)).await;
    let expected =
        [("a", Fate::Sent { to: THERE.to_owned() }), ("b", Fate::KeptBack { why: "the queue did not take it".into() })];
    assert_eq!(fates(&redriven), expected.iter().map(|(id, fate)| (*id, fate)).collect::<Vec<_>>());
    assert_eq!(redriven.failed.unwrap().operation, "sqs:SendMessage");
    assert_eq!(redriven.more, 2);
    assert_eq!(queues.left(), (vec!["b".into(), "c".into(), "d".into()], true));

    // Sent, and its deletion failed: said, and not brought into sight to be sent again.
    let queues = Queues::with([readable("a")]);
    queues.state().fails = Some(("sqs:DeleteMessage", 0));
    let redriven = ran(&queues, &job(SEND)).await;
    assert_eq!(fates(&redriven), [("a", &Fate::SentAndStillHere { to: THERE.to_owned() })]);
    assert_eq!(redriven.failed.unwrap().operation, "sqs:DeleteMessage");
    assert_eq!(queues.left(), (vec!["a".into()], false));
}

#[tokio::test]
async fn only_the_named_ones_and_no_more_than_the_limit() {
    let queues = Queues::with(["a", "b", "c", "d", "e"].map(readable));
    let only = BTreeSet::from(["b".to_owned(), "e".to_owned(), "z".to_owned()]);
    let redriven = ran(&queues, &Job { only: only.clone(), ..job(Action::Delete) }).await;
    assert_eq!(fates(&redriven), [("b", &Fate::Deleted), ("e", &Fate::Deleted)]);
    assert_eq!((redriven.more, redriven.missing), (3, BTreeSet::from(["z".to_owned()])));
    assert_eq!(queues.left(), (vec!["a".into(), "c".into(), "d".into()], true));
    assert_eq!(queues.sent(), []);

    let nosuch = Job { only: ["nosuch".to_owned()].into(), ..job(Action::Look) };
    let redriven = ran(&queues, &nosuch).await;
    assert_eq!((redriven.letters.len(), redriven.more, redriven.missing), (0, 3, nosuch.only));

    let redriven = ran(&queues, &Job { limit: Some(2), ..job(SEND) }).await;
    assert_eq!((redriven.letters.len(), redriven.more), (2, 1));
    assert_eq!(queues.left(), (vec!["d".into()], true));
}

#[tokio::test]
async fn a_fifo_queue_gets_the_group_and_an_id_of_its_own() {
    let push = sample("codecommit-push.json");
    let grouped = Letter { group: Some("other".to_owned()), ..letter("a", &push, &[]) };
    let queues = Queues::with([grouped, letter("b", &push, &[])]);
    let to = Job { destination: Destination::Queue(FIFO.to_owned()), reader: Reader::Deploy, ..job(SEND) };
    ran(&queues, &to).await;
    let fifo: Vec<_> = queues.state().sent.iter().map(|(_, _, fifo)| fifo.clone().unwrap()).collect();
    assert_eq!(fifo, [("other".to_owned(), "redrive-a".to_owned()), ("deploy".to_owned(), "redrive-b".to_owned())]);
}

#[tokio::test]
async fn undelivered_events_go_where_they_were_meant_for() {
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
    let redriven = ran(&queues, &Job { destination, reader: Reader::Either, ..job(SEND) }).await;
    let told: Vec<_> = redriven
        .letters
        .iter()
        .map(|handled| match &handled.fate {
            Fate::Sent { to } => (handled.letter.id.as_str(), to.as_str()),
            Fate::KeptBack { why } => (handled.letter.id.as_str(), why.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            ("report", THERE),
            ("deploy", FIFO),
            ("other", "its target `arn:aws:sqs:eu-west-1:999999999999:preport` is no queue of this stack"),
            (
                "function",
                "its target `arn:aws:lambda:eu-west-1:999999999999:function:sweep` is no queue: what it asked for must be \
                 done there"
            ),
            ("odd", "its target `report` is no ARN"),
            ("none", "it does not say what it was meant for (no attribute TARGET_ARN)"),
        ]
    );
    assert!(queues.left().1);
}

#[tokio::test]
async fn a_queue_that_hands_messages_on_is_not_touched() {
    let queues = Queues::with([readable("a")]);
    queues.state().hands_on_after = Some(5);
    let error = redrive(&queues, &job(SEND), |_, _| ()).await.unwrap_err();
    assert_eq!(error, NoRedrive::HandsOn { queue: HERE.to_owned(), receives: 5 });
    assert_eq!(queues.state().takings, 0);
}

#[tokio::test]
async fn a_failure_before_anything_was_taken_is_an_error_and_a_later_one_is_told_with_what_was_done() {
    for (operation, takings) in [("sqs:GetQueueAttributes", 0), ("sqs:ReceiveMessage", 0)] {
        let queues = Queues::with([readable("a")]);
        queues.state().fails = Some((operation, 0));
        let NoRedrive::Port(error) = redrive(&queues, &job(SEND), |_, _| ()).await.unwrap_err() else {
            panic!("a port's")
        };
        assert_eq!(error.operation, operation);
        assert_eq!(queues.state().takings, takings);
    }
    let queues = Queues::with(["a", "b", "c", "d"].map(readable));
    queues.state().fails = Some(("sqs:ReceiveMessage", 1));
    let redriven = ran(&queues, &job(Action::Look)).await;
    assert_eq!((redriven.letters.len(), redriven.more), (3, 1));
    assert_eq!(redriven.failed.unwrap().operation, "sqs:ReceiveMessage");
    assert!(queues.left().1);
    // What cannot be given back comes into sight by itself.
    queues.state().fails = Some(("sqs:ChangeMessageVisibility", 0));
    let redriven = ran(&queues, &job(Action::Look)).await;
    assert_eq!((redriven.letters.len(), redriven.failed), (4, None));
}

// ---------------------------------------------------------------------------------------------------------------- reading

#[test]
fn a_message_says_what_it_is_about_and_why_it_is_here() {
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
            Reader::Report,
            Prospect::Readable,
            about,
            "failed every time it was tried, and can be read",
        ),
        (letter("", &change, &undelivered), Reader::Either, Prospect::Readable, about, not_delivered),
        (
            letter("", &change, &[("reason", "odd")]),
            Reader::Report,
            Prospect::Never,
            about,
            "odd (this program can read it",
        ),
        (
            letter("", &ruined, &[]),
            Reader::Report,
            Prospect::Never,
            "aws.config Config Rules",
            "has no `newEvaluationResult`",
        ),
        (
            letter("", &ruined, &undelivered),
            Reader::Either,
            Prospect::Never,
            "aws.config",
            "cannot be understood either",
        ),
        (letter("", flush, &[]), Reader::Report, Prospect::Readable, "held of 222222222222, X", "can be read"),
        (letter("", &push, &[]), Reader::Report, Prospect::NotOurs, "aws.codecommit", "not for us, would be dropped"),
        (letter("", &push, &[]), Reader::Deploy, Prospect::Readable, "push to the branch main of", "can be read"),
        (letter("", &push, &[]), Reader::Either, Prospect::Readable, "push to the branch main of", "can be read"),
        (letter("", &change, &[]), Reader::Deploy, Prospect::NotOurs, "aws.config", "none of ours"),
        (letter("", "{\n\"a\"", &[]), Reader::Report, Prospect::Never, "{\n\"a\"", "not JSON at line 2"),
        (letter("", " ", &[]), Reader::Report, Prospect::Never, "an empty message", "not JSON"),
        (letter("", "[1]", &[]), Reader::Report, Prospect::Never, "[1]", "not a JSON object"),
    ];
    for (letter, reader, prospect, about, reason) in cases {
        let assessed = assess(&letter, reader);
        assert_eq!(assessed.prospect, prospect, "{assessed:?}");
        assert!(assessed.about.contains(about), "{about}: {assessed:?}");
        assert!(assessed.reason.contains(reason), "{reason}: {assessed:?}");
        assert_eq!(assessed.is_logged, reason.ends_with("can be read"), "{assessed:?}");
    }
}

#[test]
fn every_sample_that_wakes_deploy_is_readable_to_it() {
    for name in ["codecommit-push.json", "stackset-operation.json", "schedule-light.json", "schedule-full.json"] {
        let assessed = assess(&letter("", &sample(name), &[]), Reader::Deploy);
        assert_eq!(assessed.prospect, Prospect::Readable, "{name}: {assessed:?}");
    }
}
