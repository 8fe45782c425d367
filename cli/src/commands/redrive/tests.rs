use std::collections::BTreeMap;

use app::inspect::{Assessed, Handled, Letter, Prospect};
use app::ports::{PortError, PortErrorKind};
use clap::Parser;

use super::*;

const HERE: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/dead";
const THERE: &str = "https://sqs.eu-west-1.amazonaws.com/999999999999/report";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(line: &str) -> Result<Args, clap::Error> {
    Line::try_parse_from(std::iter::once("redrive").chain(line.split_whitespace())).map(|line| line.args)
}

fn outputs() -> Outputs {
    let names = [
        "ReportDeadLetterQueueUrl",
        "ReportQueueUrl",
        "DeployDeadLetterQueueUrl",
        "DeployQueueUrl",
        "UndeliveredEventsQueueUrl",
    ];
    Outputs::of("stack", names.map(|name| (name.to_owned(), format!("url of {name}"))).into())
}

#[test]
fn the_stack_says_where_the_queues_are() {
    let url = |name: &str| format!("url of {name}");
    for (line, queue, destination, reader) in [
        ("", "ReportDeadLetterQueueUrl", Destination::Queue(url("ReportQueueUrl")), Reader::Report),
        ("report", "ReportDeadLetterQueueUrl", Destination::Queue(url("ReportQueueUrl")), Reader::Report),
        ("deploy", "DeployDeadLetterQueueUrl", Destination::Queue(url("DeployQueueUrl")), Reader::Deploy),
        (
            "undelivered",
            "UndeliveredEventsQueueUrl",
            Destination::Target(vec![url("ReportQueueUrl"), url("DeployQueueUrl")]),
            Reader::Either,
        ),
    ] {
        let args = args(line).unwrap();
        assert_eq!(args.named().unwrap(), None);
        let job = args.of_stack(&outputs()).unwrap();
        assert_eq!((job.queue, job.destination, job.reader), (url(queue), destination, reader), "{line}");
        assert_eq!((job.action, job.limit), (Action::Look, Some(100)));
    }
    let none = Outputs::of("odd\u{1b}", BTreeMap::new());
    let error = args("").unwrap().of_stack(&none).unwrap_err().to_string();
    assert!(error.contains("the stack `odd\\u{1b}` has no output `ReportDeadLetterQueueUrl`"), "{error}");
}

#[test]
fn arguments_say_what_is_to_be_done() {
    let job = |line: &str| args(line).unwrap().of_stack(&outputs()).unwrap();
    for (line, action, limit) in [
        ("--limit 3", Action::Look, Some(3)),
        ("--only a", Action::Look, None),
        ("--send", Action::Send { force: false }, None),
        ("--send --force --limit 2", Action::Send { force: true }, Some(2)),
        ("--delete --only a", Action::Delete, None),
    ] {
        let job = job(line);
        assert_eq!((job.action, job.limit), (action, limit), "{line}");
    }
    let only = job("--send --only a b --only c").only;
    assert_eq!(only.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);

    let job = args(&format!("--dead-letters {HERE} --to {THERE} --send")).unwrap().named().unwrap().unwrap();
    assert_eq!((job.queue.as_str(), job.destination), (HERE, Destination::Queue(THERE.to_owned())));
    assert!(
        args(&format!("--dead-letters {HERE}")).unwrap().named().unwrap().is_some(),
        "looking needs no destination"
    );
    for (line, said) in [
        (format!("--dead-letters {HERE} --send"), "--send needs --to"),
        (format!("--dead-letters {HERE} --to {HERE} --send"), "are the same queue"),
    ] {
        let error = args(&line).unwrap().named().unwrap_err().to_string();
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

fn handled(id: &str, prospect: Prospect, fate: Fate) -> Handled {
    Handled {
        letter: Letter {
            id: id.to_owned(),
            body: "{\"a\":1}".to_owned(),
            sent: "2026-11-23T04:12:09.311Z".parse().ok(),
            receives: 6,
            ..Letter::default()
        },
        assessed: Assessed {
            about: "orders\u{1b}[2J".to_owned(),
            reason: "it is odd".to_owned(),
            prospect,
            is_logged: false,
        },
        fate,
    }
}

fn done(letters: Vec<Handled>) -> Redriven {
    Redriven { letters, ..Redriven::default() }
}

fn sent() -> Fate {
    Fate::Sent { to: THERE.to_owned() }
}

fn kept() -> Fate {
    Fate::KeptBack { why: "it would come here again".to_owned() }
}

#[test]
fn people_see_what_is_there_and_what_became_of_it() {
    let looked =
        done(vec![handled("m-1", Prospect::Readable, Fate::Seen), handled("m-2", Prospect::Never, Fate::Seen)]);
    let page = show::page(&job(Action::Look), &looked, None);
    assert_eq!(
        page,
        format!(
            "\
m-1  sent 2026-11-23 04:12 UTC, received 6 times
  about   orders\\u{{1b}}[2J
  reason  it is odd

m-2  sent 2026-11-23 04:12 UTC, received 6 times
  about   orders\\u{{1b}}[2J
  reason  it is odd

2 messages in {HERE}, 1 of them never to be understood
send back with --send; delete with --delete --only MESSAGE_ID
"
        )
    );
    let worked = Redriven {
        missing: ["m-9".to_owned()].into(),
        ..done(vec![
            handled("m-1", Prospect::Readable, sent()),
            handled("m-2", Prospect::Never, kept()),
            handled("m-3", Prospect::Readable, Fate::SentAndStillHere { to: THERE.to_owned() }),
        ])
    };
    let page = show::page(&job(Action::Send { force: false }), &worked, None);
    for said in [
        format!("  now     sent back to {THERE}\n"),
        "  now     kept back: it would come here again\n".to_owned(),
        "and may come twice\n".to_owned(),
        "not found: m-9; ".to_owned(),
        format!("2 messages sent back, 1 kept back in {HERE}\n"),
    ] {
        assert!(page.contains(&said), "{said}\n{page}");
    }
    assert_eq!(show::page(&job(Action::Look), &done(Vec::new()), None), format!("no messages in {HERE}\n"));
    let deleted = done(vec![handled("m-1", Prospect::Never, Fate::Deleted)]);
    assert!(show::page(&job(Action::Delete), &deleted, None).ends_with(&format!("1 message deleted from {HERE}\n")));
}

#[test]
fn messages_that_are_not_in_sight_are_counted_and_a_fifo_queue_says_why() {
    let more = Redriven { more: 7, ..done(vec![handled("m-1", Prospect::Readable, Fate::Seen)]) };
    let page = show::page(&job(Action::Look), &more, None);
    assert!(page.contains("; about 7 more (by the queue's own count") && !page.contains("FIFO"), "{page}");
    let fifo = Job { queue: format!("{HERE}.fifo"), ..job(Action::Look) };
    let page = show::page(&fifo, &more, None);
    assert!(page.contains("a FIFO queue shows the first of a group only"), "{page}");
    let empty = Redriven { more: 7, ..Redriven::default() };
    let page = show::page(&job(Action::Look), &empty, None);
    assert!(page.starts_with("0 messages in") && page.contains("about 7 more"), "{page}");
}

#[test]
fn named_messages_that_are_not_found_are_counted_beside_the_others() {
    let only = |ids: &[&str]| Job { only: ids.iter().map(|id| (*id).to_owned()).collect(), ..job(Action::Look) };
    let none = Redriven { more: 3, missing: ["nosuch".to_owned()].into(), ..Redriven::default() };
    let page = show::page(&only(&["nosuch"]), &none, None);
    assert!(page.ends_with(&format!("\n0 of 1 named message in {HERE}; about 3 other messages in it\n")), "{page}");
    assert!(!page.contains("--send"), "there is nothing to send: {page}");
    let found = done(vec![handled("m-1", Prospect::Readable, Fate::Seen)]);
    let page = show::page(&only(&["m-1", "nosuch"]), &Redriven { more: 1, ..found.clone() }, None);
    assert!(page.contains(&format!("1 of 2 named messages in {HERE}; about 1 other message in it\n")), "{page}");
    let page = show::page(&only(&["m-1"]), &found, None);
    assert!(page.contains(&format!("1 of 1 named message in {HERE}\n")), "{page}");
    let deleted = done(vec![handled("m-1", Prospect::Never, Fate::Deleted)]);
    let delete = Job { action: Action::Delete, ..only(&["m-1"]) };
    let page = show::page(&delete, &Redriven { more: 2, ..deleted }, None);
    assert!(page.ends_with(&format!("1 message deleted from {HERE}; about 2 other messages in it\n")), "{page}");
}

#[test]
fn sending_is_advised_only_where_a_message_would_be_sent() {
    let advice = |job: &Job, prospects: &[Prospect]| {
        let letters = prospects.iter().map(|prospect| handled("m-1", *prospect, Fate::Seen)).collect();
        let page = show::page(job, &done(letters), None);
        page.lines().last().unwrap().to_owned()
    };
    let look = job(Action::Look);
    let send = "send back with --send; delete with --delete --only MESSAGE_ID";
    assert_eq!(advice(&look, &[Prospect::Readable]), send);
    assert_eq!(advice(&look, &[Prospect::Never, Prospect::Readable]), send);
    let never = advice(&look, &[Prospect::Never, Prospect::Never]);
    assert!(never.starts_with("--send keeps them back: delete with --delete --only MESSAGE_ID, or"), "{never}");
    assert!(never.ends_with("--send --force"), "{never}");
    // They do not say where they belong, or nobody has said it.
    let undelivered = Job { destination: Destination::Target(vec![THERE.to_owned()]), ..look.clone() };
    let advised = advice(&undelivered, &[Prospect::Readable]);
    assert!(advised.starts_with("--send keeps them back: they were not meant for a queue of this stack"), "{advised}");
    let unknown = Job { destination: Destination::Target(Vec::new()), ..look };
    assert!(advice(&unknown, &[Prospect::Readable]).starts_with("send back with --to QUEUE_URL --send; "));
}

#[test]
fn help_and_output_agree_about_the_time_that_messages_are_hidden() {
    use clap::CommandFactory as _;
    let help = Line::command().get_long_about().unwrap().to_string();
    let missing = Redriven { missing: ["m-9".to_owned()].into(), ..Redriven::default() };
    let page = show::page(&Job { only: ["m-9".to_owned()].into(), ..job(Action::Look) }, &missing, None);
    let (look, work) = (app::inspect::HIDDEN_TO_LOOK.as_secs(), app::inspect::HIDDEN_TO_WORK.as_secs());
    assert_eq!(work % 60, 0);
    for text in [help, page] {
        for time in [format!(" {look} seconds"), format!(" {} minutes", work / 60)] {
            assert!(text.contains(&time), "{time}: {text}");
        }
    }
}

#[test]
fn error_that_only_the_log_has_comes_with_the_command_that_reads_it() {
    let logged = || {
        let mut logged = handled("5fea7756-0ea4-451a-a703-a558b933e274", Prospect::Readable, Fate::Seen);
        logged.assessed.is_logged = true;
        logged
    };
    let look = job(Action::Look);
    let outputs = |name: &str, group: &str| Outputs::of("test", [(name.to_owned(), group.to_owned())].into());
    let report = outputs("ReportLogGroupName", "/aws/lambda/backup-compliance-report");
    let group = args("report").unwrap().log(&report);
    assert_eq!(group.as_ref().unwrap().group, "/aws/lambda/backup-compliance-report");
    let page = show::page(&look, &done(vec![logged()]), group.as_ref());
    let command = "aws logs filter-log-events --log-group-name /aws/lambda/backup-compliance-report --start-time 1795407129311 \
                   --filter-pattern '\"5fea7756-0ea4-451a-a703-a558b933e274\"' --query 'events[].message' --output text";
    assert!(page.contains(&format!("\n  log     {command}\n")), "{page}");
    let json = show::json(&look, &done(vec![logged()]), group.as_ref());
    assert_eq!(
        (&json["logGroup"], &json["messages"][0]["logCommand"]),
        (&"/aws/lambda/backup-compliance-report".into(), &command.into())
    );
    // A FIFO queue forgets when the message was first sent.
    let fifo = Job { queue: format!("{HERE}.fifo"), ..look.clone() };
    let page = show::page(&fifo, &done(vec![logged()]), group.as_ref());
    assert!(page.contains(" --start-time 1795320729311 "), "{page}");

    // Where the reason is known, or the function is not, there is no command; nor one that a shell would take for another.
    let mut odd = logged();
    odd.letter.id = "a'; rm -rf /'".to_owned();
    for (letters, group) in [
        (vec![handled("m-1", Prospect::Readable, Fate::Seen)], group.as_ref()),
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
fn programs_get_everything() {
    let worked = Redriven {
        more: 2,
        ..done(vec![handled("m-1", Prospect::Never, kept()), handled("m-2", Prospect::Readable, sent())])
    };
    let json = show::json(&job(Action::Send { force: false }), &worked, None);
    assert_eq!((&json["version"], &json["queue"], &json["more"]), (&1.into(), &HERE.into(), &2.into()));
    assert_eq!(json["error"], serde_json::Value::Null);
    let [kept, sent] = json["messages"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!(
        *kept,
        serde_json::json!({
            "id": "m-1", "sent": "2026-11-23T04:12:09.311Z", "receives": 6, "about": "orders\u{1b}[2J", "reason": "it is odd", "logCommand": null,
            "prospect": "never", "outcome": "keptBack", "to": null, "why": "it would come here again", "attributes": {},
            "body": "{\"a\":1}",
        })
    );
    assert_eq!((&sent["outcome"], &sent["to"]), (&"sent".into(), &THERE.into()));
}

#[test]
fn the_exit_status_says_whether_messages_are_left() {
    let one = |fate: Fate| done(vec![handled("m-1", Prospect::Readable, fate)]);
    let send = job(Action::Send { force: false });
    let named = Job { only: ["m-1".to_owned()].into(), ..send.clone() };
    for (job, done, expected) in [
        (&job(Action::Look), done(Vec::new()), Verdict::Clean),
        (&job(Action::Look), one(Fate::Seen), Verdict::Findings),
        (&job(Action::Look), Redriven { more: 1, ..done(Vec::new()) }, Verdict::Findings),
        (&send, one(sent()), Verdict::Clean),
        (&send, one(kept()), Verdict::Findings),
        (&send, Redriven { more: 1, ..one(sent()) }, Verdict::Findings),
        (&named, Redriven { more: 1, ..one(sent()) }, Verdict::Clean),
        (&named, Redriven { missing: ["m-2".to_owned()].into(), ..one(sent()) }, Verdict::Findings),
        (&job(Action::Delete), one(Fate::Deleted), Verdict::Clean),
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
    let failed = Redriven { failed: Some(error), ..one(sent()) };
    let error = format!("{:#}", verdict(&send, &failed).unwrap_err());
    assert!(error.starts_with("ended before its time: sqs:SendMessage failed: AccessDenied: no"), "{error}");
}
