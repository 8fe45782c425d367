//! The action for GitHub.

use std::fs;

use serde_json::{Value, json};

use super::action::{ActionRun, definition, pull_request};
use super::comments::{CommentApi, Host, LONGEST, TOKEN};
use super::repository::{COVERAGE, Checkout, LIMIT, archive_name, executable, policy, program, release};
use super::server::{Reply, Server};

#[test]
fn first_run_posts_comment_and_reports() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitHub));
    let run = ActionRun::new(&checkout, &api);
    let job = run.run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    job.shows(&[
        &format!("::warning file=backup-compliance.yaml,line=1,title={COVERAGE}::2 new violations of"),
        "comment posted\nverdict: attention\n",
    ]);
    let own = api.own();
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(own[0].starts_with("<!-- backup-compliance:preview "), "{}", own[0]);
    assert!(own[0].contains("\n**Backup Compliance: attention**\n"), "{}", own[0]);
    assert!(own[0].contains("\n**New violations (2)**\n") && own[0].contains("table/a"), "{}", own[0]);
    assert_eq!(own[0].split_once('\n').unwrap().1.trim(), run.summary().trim());
    assert_eq!(run.output("verdict"), "attention");
    let log: Value = serde_json::from_str(&fs::read_to_string(run.output("sarif")).unwrap()).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], COVERAGE);
    let document: Value = serde_json::from_str(&fs::read_to_string(run.output("json")).unwrap()).unwrap();
    assert_eq!((&document["before"], &document["after"]), (&json!(checkout.base), &json!("HEAD")));
    assert!(!job.log.contains(TOKEN), "{}", job.log);
}

#[test]
fn later_run_edits_the_comment() {
    let (mut checkout, api) = (Checkout::new(), CommentApi::start(Host::GitHub));
    // The comment is on the second page.
    (0..110).for_each(|number| api.add(&format!("remark {number}")));
    assert_eq!(ActionRun::new(&checkout, &api).run().status, Some(0));
    let first = api.own().remove(0);
    // Of a person who copied the marker.
    api.comments().insert(0, json!({ "id": 999, "body": first, "user": { "login": "person", "type": "User" } }));
    checkout.write("backup-compliance.yaml", &policy("framework.yaml", LIMIT));
    checkout.head = checkout.commit();
    let job = ActionRun::new(&checkout, &api).run();
    assert_eq!(job.status, Some(1), "{}", job.log);
    job.shows(&["comment edited\nverdict: blocked\n"]);
    let own = api.own();
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(own[0].contains("**Backup Compliance: blocked**"), "{}", own[0]);
    assert_eq!(api.comments()[0]["body"], json!(first));
    let job = ActionRun::new(&checkout, &api).run();
    job.shows(&["comment unchanged\nverdict: blocked\n"]);
    // Another policy of the repository has a comment of its own.
    assert_eq!(ActionRun::new(&checkout, &api).input("policy", "./backup-compliance.yaml").run().status, Some(1));
    assert_eq!(api.own().len(), 2);
    assert_eq!(api.writes(), ["POST", "PATCH", "POST"]);
}

#[test]
fn fork_without_token_gets_no_comment() {
    let checkout = Checkout::new();
    let mut event = pull_request(&checkout);
    event["pull_request"]["head"]["repo"]["full_name"] = json!("other/policy");
    let notice = "::notice::no comment is written: the job of a pull request from a fork has no token";
    let api = CommentApi::start(Host::GitHub);
    let job = ActionRun::new(&checkout, &api).event(event.clone()).input("token", "").run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    job.shows(&[notice, "verdict: attention"]);
    assert!(api.server.received().is_empty());
    // The token of a fork can read only. Its repository may have been deleted.
    let denied = Reply::Status(403, json!({ "message": "Resource not accessible by integration" }).to_string());
    let api = CommentApi::refusing(Host::GitHub, Some(denied));
    event["pull_request"]["head"]["repo"] = Value::Null;
    let run = ActionRun::new(&checkout, &api).event(event);
    let job = run.run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    job.shows(&[notice]);
    assert!(run.summary().contains("**Backup Compliance: attention**"), "{}", run.summary());
}

/// A program whose output is longer than that of `preview`, which limits itself.
fn long_output(checkout: &Checkout) -> String {
    let result = json!({
        "ruleId": "BC001", "level": "error", "message": { "text": "m" },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "a.yaml" }, "region": { "startLine": 1 } } }],
    });
    let sarif = json!({ "runs": [{ "results": vec![result; 12] }] });
    let markdown: String = (0..5000).map(|number| format!("- line {number} of the text 🦀\n")).collect();
    for (name, text) in
        [("json", json!({ "verdict": "ok" }).to_string()), ("sarif", sarif.to_string()), ("markdown", markdown)]
    {
        fs::write(checkout.beside(name), text).unwrap();
    }
    let script = checkout.beside("recorded");
    let folder = checkout.beside("").display().to_string();
    executable(
        &script,
        &format!("#!/bin/sh\nfor last; do :; done\ncat \"{folder}/$(expr \"$last\" : '--format=\\(.*\\)')\"\n"),
    );
    script.to_str().unwrap().to_owned()
}

#[test]
fn long_comment_is_cut_and_counted() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitHub));
    // `--format` is the last argument without an inventory.
    let run = ActionRun::new(&checkout, &api).input("program", &long_output(&checkout)).input("inventory", "");
    let job = run.run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    let body = api.own().remove(0);
    assert!(body.encode_utf16().count() <= LONGEST && body.len() > LONGEST / 2, "{}", body.len());
    let shown = body.matches("- line ").count();
    let end = format!("\n{} more lines are left out; the summary of the job has them.", 5000 - shown);
    assert!(body.ends_with(&end), "{}", &body[body.len() - 200..]);
    assert_eq!(run.summary().matches("- line ").count(), 5000);
    assert_eq!(job.log.matches("::error file=a.yaml,line=1,title=BC001::m\n").count(), 10, "{}", job.log);
    job.shows(&["2 more annotations of the level error are left out"]);
}

#[test]
fn refused_comment_keeps_the_verdict() {
    let checkout = Checkout::new();
    checkout.write("backup-compliance.yaml", &policy("framework.yaml", LIMIT));
    checkout.commit();
    let message = |text: &str| json!({ "message": text }).to_string();
    let permission = "grant the job `pull-requests: write`";
    for (reply, expected) in [
        (Reply::Status(403, message("not accessible")), format!("status 403: not accessible; {permission}")),
        (Reply::Status(422, message("Validation failed")), "status 422: Validation failed; the next run".to_owned()),
        (Reply::Status(500, "<html>\n::error::x".to_owned()), "status 500: Whatever; the next run".to_owned()),
        (Reply::Status(302, String::new()), "status 302: Whatever; the next run".to_owned()),
        (Reply::Status(200, "[".to_owned()), "no valid answer of 127.0.0.1:".to_owned()),
        (Reply::Break, "no valid answer of 127.0.0.1:".to_owned()),
    ] {
        let api = CommentApi::refusing(Host::GitHub, Some(reply));
        let job = ActionRun::new(&checkout, &api).run();
        assert_eq!(job.status, Some(1), "{}", job.log);
        job.shows(&[&format!("::warning::the comment was not written: {expected}"), "verdict: blocked\n"]);
        assert!(!job.log.contains(TOKEN) && !job.log.contains("\n::error::x"), "{}", job.log);
    }
    let api = CommentApi::start(Host::GitHub);
    let job = ActionRun::new(&checkout, &api).input("token", "wrong").run();
    job.shows(&[&format!("status 401: Bad credentials; {permission}")]);
    let job = ActionRun::new(&checkout, &api).input("token", &format!("{TOKEN}\nx: y")).run();
    job.shows(&["the token contains white space"]);
    assert!(job.status == Some(1) && !job.log.contains(TOKEN), "{}", job.log);
}

#[test]
fn archive_runs_with_the_pinned_hash_only() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitHub));
    let ran = checkout.beside("ran");
    let script = format!("#!/bin/sh\ntouch {}\nexec {} \"$@\"\n", ran.display(), program().display());
    let (archive, hash) = release(&checkout.beside(""), &script);
    let releases = Server::start(&[Reply::Bytes(archive)]);
    let url = format!("http://{}/releases", releases.address());
    let other = "0".repeat(64);
    let name = archive_name();
    let run = |version: &str, sha256: &str| {
        let run = ActionRun::new(&checkout, &api).input("program", "").input("url", &url);
        run.input("version", version).input("sha256", sha256).run()
    };
    for (version, sha256, expected) in [
        (
            "1.2.3",
            other.as_str(),
            format!("has the SHA-256 {hash}, but `sha256` pins {other}: the program is not started"),
        ),
        ("1.2.3", "", format!("`sha256` has no hash for `{name}.tar.gz`")),
        ("1.2.3", &format!("{hash}  other.tar.gz"), format!("`sha256` has no hash for `{name}.tar.gz`")),
        ("", &hash, "`version` is ``: give the version of a release".to_owned()),
        ("../1", &hash, "`version` is `../1`".to_owned()),
    ] {
        let job = run(version, sha256);
        assert_eq!(job.status, Some(2), "{}", job.log);
        job.shows(&[&expected, "verdict: unknown"]);
    }
    assert!(!ran.exists());
    // The comment says so, instead of a verdict of an earlier run.
    assert!(api.own()[0].contains("**Backup Compliance: the change was not evaluated**"), "{:?}", api.own());
    let sums = format!("{other}  other.tar.gz\n{hash}  {name}.tar.gz\n");
    for (version, sha256) in [("1.2.3", hash.as_str()), ("v1.2.3", sums.as_str())] {
        let job = run(version, sha256);
        assert_eq!(job.status, Some(0), "{}", job.log);
    }
    assert!(ran.exists());
    assert_eq!(releases.received()[0].target, format!("/releases/v1.2.3/{name}.tar.gz"));
    assert_eq!(releases.received()[0].header("authorization"), None);
}

#[test]
fn hostile_names_reach_no_shell_and_no_command() {
    let (mut checkout, api) = (Checkout::new(), CommentApi::start(Host::GitHub));
    let hostile = "a%0A::error::b $(touch pwned) `touch pwned`;touch pwned.yaml";
    fs::create_dir(checkout.clone().join(hostile)).unwrap();
    let template = format!("{hostile}/framework.yaml");
    checkout.write(&template, "Resources: {}\n");
    checkout.write("backup-compliance.yaml", &policy(&template, ""));
    checkout.head = checkout.commit();
    let mut event = pull_request(&checkout);
    event["pull_request"]["head"]["ref"] = json!("x\";touch pwned;#\n::error::y");
    event["pull_request"]["title"] = json!("$(touch pwned)\n::error::y");
    let job = ActionRun::new(&checkout, &api).event(event.clone()).run();
    assert_eq!(job.status, Some(1), "{}", job.log);
    job.shows(&["::error file=a%250A%3A%3Aerror%3A%3Ab $(touch pwned)"]);
    let before = "$(touch pwned)`touch pwned`;touch pwned\n::error::x";
    let job =
        ActionRun::new(&checkout, &api).event(event).input("before", before).input("policy", "$(touch pwned)").run();
    assert_eq!(job.status, Some(2), "{}", job.log);
    job.shows(&["::error::error: `$(touch pwned)"]);
    assert!(!job.log.contains("\n::error::x") && !job.log.contains("##["), "{}", job.log);
    assert!(!checkout.clone().join("pwned").exists());
    // A name that ends the marker's HTML comment.
    let job = ActionRun::new(&checkout, &api).input("policy", "-->\n@all").run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    assert!(api.own().iter().all(|body| body.lines().next().unwrap().matches("-->").count() == 1), "{:?}", api.own());
}

#[test]
fn text_in_logs_is_no_workflow_command() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitHub));
    let script = checkout.beside("noisy");
    executable(
        &script,
        &format!("#!/bin/sh\nprintf '::error::x\\n##[error]y\\033[31m\\n' >&2\nexec {} \"$@\"\n", program().display()),
    );
    let job = ActionRun::new(&checkout, &api).input("program", script.to_str().unwrap()).run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    let (before, rest) = job.log.split_once("::error::x\n##[error]y").unwrap();
    let stop = before.lines().last().unwrap().strip_prefix("::stop-commands::").unwrap();
    assert!(stop.len() == 32 && rest.contains(&format!("\n::{stop}::\n")) && !rest.contains('\u{1b}'), "{}", job.log);
}

#[test]
fn push_has_reports_and_no_comment() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitHub));
    let run = ActionRun::new(&checkout, &api).event(json!({ "ref": "refs/heads/main", "before": checkout.base }));
    let job = run.run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    job.shows(&["this is not a pull request: no comment is written", "verdict: attention"]);
    assert!(api.server.received().is_empty() && run.summary().contains("attention"));
    // A new branch, and an event without a commit.
    for event in [json!({ "before": "0".repeat(40) }), json!({ "action": "created" })] {
        let job = ActionRun::new(&checkout, &api).event(event).run();
        assert_eq!(job.status, Some(2), "{}", job.log);
        job.shows(&["::error::the event has no commit to compare with: give `before`"]);
    }
}

#[test]
fn merge_commit_is_compared_with_its_base() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitHub));
    // The base has a commit that the branch has not: its effect is not that of the pull request.
    checkout.git(&["checkout", "--quiet", "-b", "trunk", &checkout.base]);
    checkout.write("other.txt", "other");
    let trunk = checkout.commit();
    checkout.git(&["merge", "--quiet", "--no-edit", &checkout.head]);
    let run = ActionRun::new(&checkout, &api);
    assert_eq!(run.run().status, Some(0));
    let document: Value = serde_json::from_str(&fs::read_to_string(run.output("json")).unwrap()).unwrap();
    assert_eq!(document["before"], json!(trunk));
    let mut event = pull_request(&checkout);
    event["pull_request"]["base"]["sha"] = json!("1".repeat(40));
    event["pull_request"]["head"]["sha"] = json!("2".repeat(40));
    let job = run.event(event).run();
    assert_eq!(job.status, Some(2));
    job.shows(&["the clone has no common commit of 1111", "fetch the whole history"]);
}

#[test]
fn invalid_inputs_are_not_a_verdict() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitHub));
    for (input, value, expected) in [
        ("strict", "yes", "`strict` is `yes`: give `true` or `false`"),
        ("comment", "no", "`comment` is `no`: give `true` or `false`"),
        ("program", "/nonexistent", "`/nonexistent` is not an executable file (`program`)"),
        ("program", "/bin/true", "the output of `preview --format json` has no verdict"),
        ("inventory", "missing.json", "missing.json"),
    ] {
        let job = ActionRun::new(&checkout, &api).input(input, value).run();
        assert_eq!(job.status, Some(2), "{input}: {}", job.log);
        job.shows(&[expected]);
    }
    assert_eq!(ActionRun::new(&checkout, &api).input("strict", "true").input("comment", "false").run().status, Some(1));
}

#[test]
fn expressions_are_in_env_only() {
    let action = definition();
    for step in action["runs"]["steps"].as_array().unwrap() {
        assert!(!step["run"].as_str().unwrap().contains("${{"), "{step}");
    }
    let used: String = action["runs"]["steps"][0]["env"].to_string();
    for name in action["inputs"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("inputs.{name} ")), "the input `{name}` has no effect");
    }
}
