//! The component for GitLab.

use std::fs;

use serde_json::{Value, json};

use super::comments::{CommentApi, Host, TOKEN};
use super::component::{ComponentRun, definition};
use super::repository::{COVERAGE, Checkout, LIMIT, archive_name, policy, program, release};
use super::server::{Reply, Server};

/// A server of the release 1.2.3, and the hash of its archive.
fn releases(checkout: &Checkout) -> (Server, String) {
    let script =
        format!("#!/bin/sh\ntouch {}\nexec {} \"$@\"\n", checkout.beside("ran").display(), program().display());
    let (archive, hash) = release(&checkout.beside(""), &script);
    (Server::start(&[Reply::Bytes(archive)]), hash)
}

#[test]
fn note_is_posted_once_and_edited() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitLab));
    let (releases, hash) = releases(&checkout);
    (0..110).for_each(|number| api.add(&format!("remark {number}")));
    let run = ComponentRun::new(&checkout, &api, &releases, &hash);
    let job = run.run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    job.shows(&["**Backup Compliance: attention**", "comment posted\nverdict: attention\n"]);
    let report = fs::read_to_string(checkout.clone().join("backup-compliance/codequality.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report[0]["check_name"], COVERAGE);
    assert!(report[0]["fingerprint"].is_string() && report[0]["location"]["lines"]["begin"] == 1, "{report}");
    checkout.write("backup-compliance.yaml", &policy("framework.yaml", LIMIT));
    checkout.commit();
    let job = run.run();
    assert_eq!(job.status, Some(1), "{}", job.log);
    job.shows(&["comment edited\nverdict: blocked\n"]);
    let own = api.own();
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(own[0].contains("**Backup Compliance: blocked**"), "{}", own[0]);
    run.run().shows(&["comment unchanged"]);
    assert_eq!(api.writes(), ["POST", "PUT"]);
    assert_eq!(releases.received()[0].target, format!("/releases/v1.2.3/{}.tar.gz", archive_name()));
    assert!(!job.log.contains(TOKEN), "{}", job.log);
}

#[test]
fn archive_with_another_hash_is_not_unpacked() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitLab));
    let (releases, _) = releases(&checkout);
    for hash in ["0".repeat(64), String::new()] {
        let job = ComponentRun::new(&checkout, &api, &releases, &hash).run();
        assert_eq!(job.status, Some(2), "{}", job.log);
        job.shows(&["does not have the SHA-256 of the input `sha256`: the program is not started"]);
    }
    assert!(!checkout.beside("ran").exists() && api.server.received().is_empty());
    let missing = Server::start(&[Reply::Status(404, String::new())]);
    let job = ComponentRun::new(&checkout, &api, &missing, &"0".repeat(64)).run();
    assert_eq!(job.status, Some(2), "{}", job.log);
    job.shows(&["404"]);
}

#[test]
fn refused_note_keeps_the_verdict() {
    let checkout = Checkout::new();
    checkout.write("backup-compliance.yaml", &policy("framework.yaml", LIMIT));
    checkout.commit();
    let (releases, hash) = releases(&checkout);
    for (status, body, expected) in [
        (403, json!({ "message": "403 Forbidden" }), "status 403: 403 Forbidden; the token needs the scope `api`"),
        (401, json!({ "error": "insufficient_scope" }), "status 401: insufficient_scope; the token needs"),
        (
            422,
            json!({ "message": { "note": ["is too long"] } }),
            "status 422: {\"note\": [\"is too long\"]}; the next run",
        ),
        (500, json!("x"), "status 500: Whatever; the next run writes it"),
    ] {
        let api = CommentApi::refusing(Host::GitLab, Some(Reply::Status(status, body.to_string())));
        let job = ComponentRun::new(&checkout, &api, &releases, &hash).run();
        assert_eq!(job.status, Some(1), "{}", job.log);
        job.shows(&[&format!("the comment was not written: {expected}"), "verdict: blocked\n"]);
        assert!(!job.log.contains(TOKEN), "{}", job.log);
    }
}

#[test]
fn fork_and_push_get_no_note() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitLab));
    let (releases, hash) = releases(&checkout);
    let run = || ComponentRun::new(&checkout, &api, &releases, &hash);
    let fork = run().variable("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "77").without_variables("BACKUP_COMPLIANCE_TOKEN");
    let job = fork.run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    job.shows(&["the job of a merge request from a fork has no token that may comment"]);
    let job = run().without_variables("BACKUP_COMPLIANCE_TOKEN").run();
    job.shows(&["no comment is written: there is no token; the token needs the scope `api`"]);
    let push = run().without_variables("CI_MERGE_REQUEST").variable("CI_COMMIT_BEFORE_SHA", &checkout.base);
    let job = push.run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    job.shows(&["this is not a merge request: no comment is written", "verdict: attention"]);
    let job = run().input("comment", "false").run();
    assert_eq!(job.status, Some(0), "{}", job.log);
    assert!(api.server.received().is_empty());
}

#[test]
fn hostile_inputs_reach_no_shell() {
    let (checkout, api) = (Checkout::new(), CommentApi::start(Host::GitLab));
    let (releases, hash) = releases(&checkout);
    let hostile = "$(touch pwned)`touch pwned`\";touch pwned;#";
    for input in ["policy", "root", "before", "inventory", "sha256", "version"] {
        let run = ComponentRun::new(&checkout, &api, &releases, &hash).input(input, hostile);
        let job = run
            .variable("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", hostile)
            .variable("CI_MERGE_REQUEST_TITLE", hostile)
            .run();
        assert!(job.status.is_some(), "{input}");
        assert!(!checkout.clone().join("pwned").exists(), "{input}: {}", job.log);
    }
}

#[test]
fn inputs_have_an_effect() {
    let (inputs, jobs) = definition();
    let used = jobs.to_string();
    for name in inputs.as_object().unwrap().keys() {
        assert!(used.contains(&format!("$[[ inputs.{name} ]]")), "the input `{name}` has no effect");
    }
}
