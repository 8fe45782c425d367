use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;

use app::inspect::{Assessment, DeadLetter, HandledMessage, Validity};
use app::ports::{PortError, PortErrorKind};

use super::*;

const HERE: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/dead";
const THERE: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/report";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: RedriveArgs,
}

fn args(line: &str) -> Result<RedriveArgs, clap::Error> {
    Line::try_parse_from(std::iter::once("redrive").chain(line.split_whitespace())).map(|line| line.args)
}

fn outputs() -> StackOutputs {
    let names = [
        "ReportDeadLetterQueueUrl",
        "ReportQueueUrl",
        "DeployDeadLetterQueueUrl",
        "DeployQueueUrl",
        "PreviewDeadLetterQueueUrl",
        "PreviewQueueUrl",
        "UndeliveredEventsQueueUrl",
    ];
    let outputs = names.map(|name| (name.to_owned(), format!("url of {name}"))).into();
    StackOutputs { stack: "stack".to_owned(), outputs }
}

#[test]
fn stack_outputs_name_the_queues() {
    let url = |name: &str| format!("url of {name}");
    for (line, queue, destination, reader) in [
        ("", "ReportDeadLetterQueueUrl", Destination::Queue(url("ReportQueueUrl")), Consumer::Report),
        ("report", "ReportDeadLetterQueueUrl", Destination::Queue(url("ReportQueueUrl")), Consumer::Report),
        ("deploy", "DeployDeadLetterQueueUrl", Destination::Queue(url("DeployQueueUrl")), Consumer::Deploy),
        ("preview", "PreviewDeadLetterQueueUrl", Destination::Queue(url("PreviewQueueUrl")), Consumer::Preview),
        (
            "undelivered",
            "UndeliveredEventsQueueUrl",
            Destination::Target(vec![url("ReportQueueUrl"), url("DeployQueueUrl"), url("PreviewQueueUrl")]),
            Consumer::Any,
        ),
    ] {
        let args = args(line).unwrap();
        assert_eq!(args.explicit_job().unwrap(), None);
        let job = args.stack_job(&outputs()).unwrap();
        assert_eq!((job.queue, job.destination, job.reader), (url(queue), destination, reader), "{line}");
        assert_eq!((job.action, job.limit), (Action::Show, Some(100)));
    }
    let none = StackOutputs { stack: "odd\u{1b}".to_owned(), outputs: BTreeMap::new() };
    let error = args("").unwrap().stack_job(&none).unwrap_err().to_string();
    assert!(error.contains("the stack `odd\\u{1b}` has no output `ReportDeadLetterQueueUrl`"), "{error}");
}

#[test]
fn arguments_select_the_action() {
    let job = |line: &str| args(line).unwrap().stack_job(&outputs()).unwrap();
    for (line, action, limit) in [
        ("--limit 3", Action::Show, Some(3)),
        ("--only a", Action::Show, None),
        ("--send", Action::Send { force: false }, None),
        ("--send --force --limit 2", Action::Send { force: true }, Some(2)),
        ("--delete --only a", Action::Delete, None),
    ] {
        let job = job(line);
        assert_eq!((job.action, job.limit), (action, limit), "{line}");
    }
    let only = job("--send --only a b --only c").only;
    assert_eq!(only.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);

    let job = args(&format!("--dead-letters {HERE} --to {THERE} --send")).unwrap().explicit_job().unwrap().unwrap();
    assert_eq!((job.queue.as_str(), job.destination), (HERE, Destination::Queue(THERE.to_owned())));
    assert!(
        args(&format!("--dead-letters {HERE}")).unwrap().explicit_job().unwrap().is_some(),
        "showing needs no destination"
    );
    for (line, said) in [
        (format!("--dead-letters {HERE} --send"), "--send needs --to"),
        (format!("--dead-letters {HERE} --to {HERE} --send"), "are the same queue"),
    ] {
        let error = args(&line).unwrap().explicit_job().unwrap_err().to_string();
        assert!(error.contains(said), "{line}: {error}");
    }
    for line in [
        "--force",
        "--delete",
        "--delete --send --only a",
        "--to there",
        "--limit 0",
        "somewhere",
        "deploy --dead-letters here",
        "--stack other --dead-letters here",
    ] {
        assert!(args(line).is_err(), "{line}");
    }
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

fn handled(id: &str, prospect: Validity, fate: RedriveOutcome) -> HandledMessage {
    HandledMessage {
        message: DeadLetter {
            id: id.to_owned(),
            body: "{\"a\":1}".to_owned(),
            sent: "2026-11-23T04:12:09.311Z".parse().ok(),
            receives: 6,
            ..DeadLetter::default()
        },
        assessed: Assessment {
            subject: "orders\u{1b}[2J".to_owned(),
            reason: "it is invalid".to_owned(),
            validity: prospect,
            is_logged: false,
        },
        outcome: fate,
    }
}

fn done(letters: Vec<HandledMessage>) -> RedriveResult {
    RedriveResult { messages: letters, ..RedriveResult::default() }
}

fn sent() -> RedriveOutcome {
    RedriveOutcome::Sent { to: THERE.to_owned() }
}

fn kept() -> RedriveOutcome {
    RedriveOutcome::NotSent { reason: "the message is invalid and would fail again".to_owned() }
}

#[test]
fn text_shows_messages_and_outcomes() {
    let looked = done(vec![
        handled("m-1", Validity::Valid, RedriveOutcome::Unchanged),
        handled("m-2", Validity::Invalid, RedriveOutcome::Unchanged),
    ]);
    let page = show::page(&job(Action::Show), &looked, None);
    assert_eq!(
        page,
        format!(
            "\
m-1  sent 2026-11-23 04:12 UTC, received 6 times
  subject  orders\\u{{1b}}[2J
  reason   it is invalid

m-2  sent 2026-11-23 04:12 UTC, received 6 times
  subject  orders\\u{{1b}}[2J
  reason   it is invalid

2 messages in {HERE}, 1 of them invalid
send back with --send; delete with --delete --only MESSAGE_ID
"
        )
    );
    let worked = RedriveResult {
        missing: ["m-9".to_owned()].into(),
        ..done(vec![
            handled("m-1", Validity::Valid, sent()),
            handled("m-2", Validity::Invalid, kept()),
            handled("m-3", Validity::Valid, RedriveOutcome::SentNotDeleted { to: THERE.to_owned() }),
        ])
    };
    let page = show::page(&job(Action::Send { force: false }), &worked, None);
    for said in [
        format!("  outcome  sent back to {THERE}\n"),
        "  outcome  not sent: the message is invalid and would fail again\n".to_owned(),
        "it may be processed twice\n".to_owned(),
        "not found: m-9; ".to_owned(),
        format!("2 messages sent back, 1 not sent from {HERE}\n"),
    ] {
        assert!(page.contains(&said), "{said}\n{page}");
    }
    assert_eq!(show::page(&job(Action::Show), &done(Vec::new()), None), format!("no messages in {HERE}\n"));
    let deleted = done(vec![handled("m-1", Validity::Invalid, RedriveOutcome::Deleted)]);
    assert!(show::page(&job(Action::Delete), &deleted, None).ends_with(&format!("1 message deleted from {HERE}\n")));
}

#[test]
fn hidden_messages_are_counted() {
    let more = RedriveResult { more: 7, ..done(vec![handled("m-1", Validity::Valid, RedriveOutcome::Unchanged)]) };
    let page = show::page(&job(Action::Show), &more, None);
    assert!(page.contains("; about 7 more (SQS's approximate count") && !page.contains("FIFO"), "{page}");
    let fifo = RedriveJob { queue: format!("{HERE}.fifo"), ..job(Action::Show) };
    let page = show::page(&fifo, &more, None);
    assert!(page.contains("a FIFO queue returns only the first messages of a group"), "{page}");
    let empty = RedriveResult { more: 7, ..RedriveResult::default() };
    let page = show::page(&job(Action::Show), &empty, None);
    assert!(page.starts_with("0 messages in") && page.contains("about 7 more"), "{page}");
}

#[test]
fn missing_named_messages_are_counted() {
    let only = |ids: &[&str]| RedriveJob { only: ids.iter().map(|id| (*id).to_owned()).collect(), ..job(Action::Show) };
    let none = RedriveResult { more: 3, missing: ["nosuch".to_owned()].into(), ..RedriveResult::default() };
    let page = show::page(&only(&["nosuch"]), &none, None);
    assert!(page.ends_with(&format!("\n0 of 1 named message in {HERE}; about 3 other messages in it\n")), "{page}");
    assert!(!page.contains("--send"), "there is nothing to send: {page}");
    let found = done(vec![handled("m-1", Validity::Valid, RedriveOutcome::Unchanged)]);
    let page = show::page(&only(&["m-1", "nosuch"]), &RedriveResult { more: 1, ..found.clone() }, None);
    assert!(page.contains(&format!("1 of 2 named messages in {HERE}; about 1 other message in it\n")), "{page}");
    let page = show::page(&only(&["m-1"]), &found, None);
    assert!(page.contains(&format!("1 of 1 named message in {HERE}\n")), "{page}");
    let deleted = done(vec![handled("m-1", Validity::Invalid, RedriveOutcome::Deleted)]);
    let delete = RedriveJob { action: Action::Delete, ..only(&["m-1"]) };
    let page = show::page(&delete, &RedriveResult { more: 2, ..deleted }, None);
    assert!(page.ends_with(&format!("1 message deleted from {HERE}; about 2 other messages in it\n")), "{page}");
}

#[test]
fn send_is_advised_only_if_a_message_would_be_sent() {
    let advice = |job: &RedriveJob, prospects: &[Validity]| {
        let letters = prospects.iter().map(|prospect| handled("m-1", *prospect, RedriveOutcome::Unchanged)).collect();
        let page = show::page(job, &done(letters), None);
        page.lines().last().unwrap().to_owned()
    };
    let look = job(Action::Show);
    let send = "send back with --send; delete with --delete --only MESSAGE_ID";
    assert_eq!(advice(&look, &[Validity::Valid]), send);
    assert_eq!(advice(&look, &[Validity::Invalid, Validity::Valid]), send);
    let never = advice(&look, &[Validity::Invalid, Validity::Invalid]);
    assert!(never.starts_with("invalid messages are not sent: delete with --delete --only MESSAGE_ID or"), "{never}");
    assert!(never.ends_with("--send --force"), "{never}");
    // Messages without a target, and a job without --to.
    let undelivered = RedriveJob { destination: Destination::Target(vec![THERE.to_owned()]), ..look.clone() };
    let advised = advice(&undelivered, &[Validity::Valid]);
    assert!(advised.starts_with("the messages are not addressed to a queue of this stack"), "{advised}");
    let unknown = RedriveJob { destination: Destination::Target(Vec::new()), ..look };
    assert!(advice(&unknown, &[Validity::Valid]).starts_with("send back with --to QUEUE_URL --send; "));
}

#[test]
fn help_and_output_agree_about_hidden_times() {
    use clap::CommandFactory as _;
    let help = Line::command().get_long_about().unwrap().to_string();
    let missing = RedriveResult { missing: ["m-9".to_owned()].into(), ..RedriveResult::default() };
    let page = show::page(&RedriveJob { only: ["m-9".to_owned()].into(), ..job(Action::Show) }, &missing, None);
    let (look, work) = (app::inspect::HIDDEN_TO_SHOW.as_secs(), app::inspect::HIDDEN_TO_CHANGE.as_secs());
    assert_eq!(work % 60, 0);
    for text in [help, page] {
        for time in [format!(" {look} seconds"), format!(" {} minutes", work / 60)] {
            assert!(text.contains(&time), "{time}: {text}");
        }
    }
}

#[test]
fn logged_error_is_shown_with_its_log_command() {
    let logged = || {
        let mut logged = handled("5fea7756-0ea4-451a-a703-a558b933e274", Validity::Valid, RedriveOutcome::Unchanged);
        logged.assessed.is_logged = true;
        logged
    };
    let look = job(Action::Show);
    let outputs = |name: &str, group: &str| StackOutputs {
        stack: "test".to_owned(),
        outputs: [(name.to_owned(), group.to_owned())].into(),
    };
    let report = outputs("ReportLogGroupName", "/aws/lambda/backup-compliance-report");
    let group = args("report").unwrap().log(&report);
    assert_eq!(group.as_ref().unwrap().group, "/aws/lambda/backup-compliance-report");
    let page = show::page(&look, &done(vec![logged()]), group.as_ref());
    let command = "aws logs filter-log-events --log-group-name /aws/lambda/backup-compliance-report --start-time 1795407129311 \
                   --filter-pattern '\"5fea7756-0ea4-451a-a703-a558b933e274\"' --query 'events[].message' --output text";
    assert!(page.contains(&format!("\n  log      {command}\n")), "{page}");
    let json = show::json(&look, &done(vec![logged()]), group.as_ref());
    assert_eq!(
        (&json["logGroup"], &json["messages"][0]["logCommand"]),
        (&"/aws/lambda/backup-compliance-report".into(), &command.into())
    );
    // A FIFO dead-letter queue does not keep the time of the first send.
    let fifo = RedriveJob { queue: format!("{HERE}.fifo"), ..look.clone() };
    let page = show::page(&fifo, &done(vec![logged()]), group.as_ref());
    assert!(page.contains(" --start-time 1795320729311 "), "{page}");

    // No command if the reason is known, if the function is unknown, or if a shell would interpret its text.
    let mut odd = logged();
    odd.message.id = "a'; rm -rf /'".to_owned();
    for (letters, group) in [
        (vec![handled("m-1", Validity::Valid, RedriveOutcome::Unchanged)], group.as_ref()),
        (vec![logged()], None),
        (vec![odd], group.as_ref()),
    ] {
        let page = show::page(&look, &done(letters), group);
        assert!(!page.contains("aws logs"), "{page}");
    }
    let deploy = outputs("DeployLogGroupName", "/aws/lambda/test-deploy-51af3dc0");
    let line = "deploy --profile prod --region eu-west-1";
    let log = args(line).unwrap().log(&deploy).unwrap();
    assert_eq!(
        (log.group.as_str(), log.options.as_str()),
        ("/aws/lambda/test-deploy-51af3dc0", " --profile prod --region eu-west-1")
    );
    assert!(
        show::page(&look, &done(vec![logged()]), Some(&log))
            .contains("--output text --profile prod --region eu-west-1\n")
    );
    assert!(args("deploy --profile $(x)").unwrap().log(&deploy).is_none());
    assert!(args("undelivered").unwrap().log(&deploy).is_none());
    let template = include_str!("../../../../template.yaml");
    for output in ["ReportLogGroupName", "DeployLogGroupName"] {
        assert!(template.contains(&format!("\n  {output}:\n")), "{output}");
    }
}

#[test]
fn json_contains_all_fields() {
    let worked = RedriveResult {
        more: 2,
        ..done(vec![handled("m-1", Validity::Invalid, kept()), handled("m-2", Validity::Valid, sent())])
    };
    let json = show::json(&job(Action::Send { force: false }), &worked, None);
    assert_eq!((&json["version"], &json["queue"], &json["more"]), (&1.into(), &HERE.into(), &2.into()));
    assert_eq!(json["error"], serde_json::Value::Null);
    let [kept, sent] = json["messages"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!(
        *kept,
        serde_json::json!({
            "id": "m-1", "sent": "2026-11-23T04:12:09.311Z", "receives": 6, "subject": "orders\u{1b}[2J", "reason": "it is invalid", "logCommand": null,
            "validity": "invalid", "outcome": "notSent", "to": null, "notSentReason": "the message is invalid and would fail again", "attributes": {},
            "body": "{\"a\":1}",
        })
    );
    assert_eq!((&sent["outcome"], &sent["to"]), (&"sent".into(), &THERE.into()));
}

#[test]
fn exit_status_is_1_if_messages_are_left() {
    let one = |fate: RedriveOutcome| done(vec![handled("m-1", Validity::Valid, fate)]);
    let send = job(Action::Send { force: false });
    let named = RedriveJob { only: ["m-1".to_owned()].into(), ..send.clone() };
    for (job, done, expected) in [
        (&job(Action::Show), done(Vec::new()), CommandOutcome::Clean),
        (&job(Action::Show), one(RedriveOutcome::Unchanged), CommandOutcome::Findings),
        (&job(Action::Show), RedriveResult { more: 1, ..done(Vec::new()) }, CommandOutcome::Findings),
        (&send, one(sent()), CommandOutcome::Clean),
        (&send, one(kept()), CommandOutcome::Findings),
        (&send, RedriveResult { more: 1, ..one(sent()) }, CommandOutcome::Findings),
        (&named, RedriveResult { more: 1, ..one(sent()) }, CommandOutcome::Clean),
        (&named, RedriveResult { missing: ["m-2".to_owned()].into(), ..one(sent()) }, CommandOutcome::Findings),
        (&job(Action::Delete), one(RedriveOutcome::Deleted), CommandOutcome::Clean),
    ] {
        assert_eq!(verdict(job, &done).unwrap(), expected, "{job:?} {done:?}");
    }
    let error = PortError {
        operation: "sqs:SendMessage",
        code: Some("AccessDenied".to_owned()),
        message: "no".to_owned(),
        request_id: None,
        kind: PortErrorKind::Denied,
    };
    let failed = RedriveResult { failed: Some(error), ..one(sent()) };
    let error = format!("{:#}", verdict(&send, &failed).unwrap_err());
    assert!(error.starts_with("ended early: sqs:SendMessage failed: AccessDenied: no"), "{error}");
}
