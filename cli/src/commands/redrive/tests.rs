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
        assessed: Assessed { about: "orders\u{1b}[2J".to_owned(), reason: "it is odd".to_owned(), prospect },
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
    let page = show::page(&job(Action::Look), &looked);
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
send back with --send; throw away with --delete --only MESSAGE_ID
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
    let page = show::page(&job(Action::Send { force: false }), &worked);
    for said in [
        format!("  now     sent back to {THERE}\n"),
        "  now     kept back: it would come here again\n".to_owned(),
        "and may come twice\n".to_owned(),
        "not found: m-9; ".to_owned(),
        format!("2 messages sent back, 1 kept back in {HERE}\n"),
    ] {
        assert!(page.contains(&said), "{said}\n{page}");
    }
    assert_eq!(show::page(&job(Action::Look), &done(Vec::new())), format!("no messages in {HERE}\n"));
    let deleted = done(vec![handled("m-1", Prospect::Never, Fate::Deleted)]);
    assert!(show::page(&job(Action::Delete), &deleted).ends_with(&format!("1 message deleted from {HERE}\n")));
}

#[test]
fn messages_that_are_not_in_sight_are_counted_and_a_fifo_queue_says_why() {
    let more = Redriven { more: 7, ..done(vec![handled("m-1", Prospect::Readable, Fate::Seen)]) };
    let page = show::page(&job(Action::Look), &more);
    assert!(page.contains("; about 7 more (by the queue's own count") && !page.contains("FIFO"), "{page}");
    let fifo = Job { queue: format!("{HERE}.fifo"), ..job(Action::Look) };
    let page = show::page(&fifo, &more);
    assert!(page.contains("a FIFO queue shows the first of a group only"), "{page}");
    let empty = Redriven { more: 7, ..Redriven::default() };
    let page = show::page(&job(Action::Look), &empty);
    assert!(page.starts_with("0 messages in") && page.contains("about 7 more"), "{page}");
}

#[test]
fn programs_get_everything() {
    let worked = Redriven {
        more: 2,
        ..done(vec![handled("m-1", Prospect::Never, kept()), handled("m-2", Prospect::Readable, sent())])
    };
    let json = show::json(&job(Action::Send { force: false }), &worked);
    assert_eq!((&json["version"], &json["queue"], &json["more"]), (&1.into(), &HERE.into(), &2.into()));
    assert_eq!(json["error"], serde_json::Value::Null);
    let [kept, sent] = json["messages"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!(
        *kept,
        serde_json::json!({
            "id": "m-1", "sent": "2026-11-23T04:12:09.311Z", "receives": 6, "about": "orders\u{1b}[2J", "reason": "it is odd",
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
