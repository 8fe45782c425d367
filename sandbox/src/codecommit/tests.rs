use super::*;

struct Fixture {
    directory: tempfile::TempDir,
    service: CodeCommit,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let service = CodeCommit::new(&directory.path().join("repositories"), "000000000000", "us-east-1");
        service.create("policy", "http://127.0.0.1:1", Path::new("python3")).unwrap();
        Self { directory, service }
    }

    fn git(&self, arguments: &[&str]) -> String {
        let work = self.directory.path().join("work");
        std::fs::create_dir_all(&work).unwrap();
        let mut command = Command::new("git");
        let output = clean(&mut command)
            .current_dir(&work)
            .args(["-c", "user.name=Mary Major", "-c", "user.email=mary@example.com"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commits files and pushes; returns the commit.
    fn push(&self, files: &[(&str, &[u8])]) -> String {
        let work = self.directory.path().join("work");
        if !work.exists() {
            self.git(&["init", "--quiet", "-b", "main"]);
        }
        for (path, content) in files {
            std::fs::create_dir_all(work.join(path).parent().unwrap()).unwrap();
            std::fs::write(work.join(path), content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", "subject\n\nbody"]);
        self.git(&["push", "--quiet", self.service.path("policy").to_str().unwrap(), "main"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn ask(&self, operation: &str, mut ask: Value) -> Result<Value, &'static str> {
        ask["repositoryName"] = json!("policy");
        self.service.operate(operation, &ask, "root").map_err(|CodeCommitError(code, _)| code)
    }
}

#[test]
fn empty_repository_has_no_branch_and_no_commit() {
    let fixture = Fixture::new();
    assert_eq!(fixture.ask("GetBranch", json!({"branchName": "main"})), Err("BranchDoesNotExistException"));
    assert_eq!(fixture.ask("GetFile", json!({"filePath": "a"})), Err("CommitDoesNotExistException"));
}

#[test]
fn repository_reads_branch_commit_file_and_folder() {
    let fixture = Fixture::new();
    let commit = fixture.push(&[("framework.yaml", b"a: \xc3\xbc\n"), ("sub/run.sh", b"#!/bin/sh\n")]);

    let branch = fixture.ask("GetBranch", json!({"branchName": "main"})).unwrap();
    assert_eq!(branch["branch"]["commitId"], commit);

    let answer = fixture.ask("GetCommit", json!({"commitId": commit})).unwrap();
    assert_eq!(answer["commit"]["author"]["name"], "Mary Major");
    assert_eq!(answer["commit"]["author"]["email"], "mary@example.com");
    assert_eq!(answer["commit"]["message"], "subject\n\nbody\n");
    assert_eq!(answer["commit"]["parents"], json!([]));

    for specifier in ["main", "refs/heads/main", commit.as_str()] {
        let file = fixture.ask("GetFile", json!({"commitSpecifier": specifier, "filePath": "framework.yaml"})).unwrap();
        assert_eq!(file["fileContent"], "YTogw7wK", "{specifier}");
    }
    let folder = fixture.ask("GetFolder", json!({"folderPath": "/"})).unwrap();
    assert_eq!(
        (&folder["files"][0]["relativePath"], &folder["subFolders"][0]["relativePath"]),
        (&json!("framework.yaml"), &json!("sub"))
    );
}

#[test]
fn repository_missing_objects_have_own_errors() {
    let fixture = Fixture::new();
    let commit = fixture.push(&[("a", b"1"), ("sub/b", b"2")]);
    let file = |specifier: &str, path: &str| {
        fixture.ask("GetFile", json!({"commitSpecifier": specifier, "filePath": path})).unwrap_err()
    };
    assert_eq!(file("main", "missing"), "FileDoesNotExistException");
    assert_eq!(file("main", "sub"), "FileDoesNotExistException");
    assert_eq!(file("other", "a"), "CommitDoesNotExistException");
    assert_eq!(file("--all", "a"), "CommitDoesNotExistException");
    assert_eq!(
        fixture.ask("GetCommit", json!({"commitId": commit.replace(|_| true, "0")})),
        Err("CommitIdDoesNotExistException")
    );
    assert_eq!(fixture.ask("GetBranch", json!({"branchName": "x\ny"})), Err("BranchDoesNotExistException"));
    let missing =
        fixture.service.operate("GetBranch", &json!({"repositoryName": "other", "branchName": "main"}), "root");
    assert_eq!(missing.map_err(|CodeCommitError(code, _)| code), Err("RepositoryDoesNotExistException"));
}

#[test]
fn get_file_over_six_megabytes_is_rejected() {
    let fixture = Fixture::new();
    fixture.push(&[("large", &vec![b'x'; LARGEST_FILE + 1]), ("fits", &vec![b'x'; LARGEST_FILE])]);
    assert_eq!(fixture.ask("GetFile", json!({"filePath": "large"})), Err("FileTooLargeException"));
    assert!(fixture.ask("GetFile", json!({"filePath": "fits"})).is_ok());
}

#[test]
fn differences_are_added_modified_and_deleted() {
    let fixture = Fixture::new();
    let before = fixture.push(&[("changed", b"1"), ("gone", b"1")]);
    std::fs::remove_file(fixture.directory.path().join("work/gone")).unwrap();
    let after = fixture.push(&[("changed", b"2"), ("new", b"1")]);
    let ask = json!({"beforeCommitSpecifier": before, "afterCommitSpecifier": after});
    let answer = fixture.ask("GetDifferences", ask).unwrap();
    let changes = answer["differences"].as_array().unwrap();
    let kinds: Vec<_> = changes.iter().filter_map(|change| change["changeType"].as_str()).collect();
    assert_eq!(kinds, ["M", "D", "A"]);
    let all = fixture.ask("GetDifferences", json!({"afterCommitSpecifier": after})).unwrap();
    assert_eq!(all["differences"].as_array().map(Vec::len), Some(2));
}

#[test]
fn push_creates_the_documented_events() {
    let fixture = Fixture::new();
    let (none, one, two) = ("0".repeat(40), "1".repeat(40), "2".repeat(40));
    let updates = json!([
        {"old": none, "new": one, "ref": "refs/heads/main"}, {"old": one, "new": two, "ref": "refs/heads/feature/x"},
        {"old": two, "new": none, "ref": "refs/tags/v1"}, {"old": none, "new": one, "ref": "refs/notes/commits"},
    ]);
    let events = fixture.service.pushed("policy", &updates);
    let details: Vec<_> = events
        .iter()
        .map(|event| (event["detail"]["event"].as_str().unwrap(), event["detail"]["referenceType"].as_str().unwrap()))
        .collect();
    assert_eq!(details, [("referenceCreated", "branch"), ("referenceUpdated", "branch"), ("referenceDeleted", "tag")]);
    assert_eq!(events[0]["resources"], json!(["arn:aws:codecommit:us-east-1:000000000000:policy"]));
    assert_eq!(events[0]["detail"].get("oldCommitId"), None);
    assert_eq!(events[1]["detail"]["referenceName"], "feature/x");
    assert_eq!(events[2]["detail"].get("commitId"), None);
}

#[test]
fn comment_repeated_token_is_posted_once() {
    let fixture = Fixture::new();
    let commit = fixture.push(&[("a.txt", b"one")]);
    let post = |content: &str, token: &str| {
        let ask = json!({"afterCommitId": commit, "content": content, "clientRequestToken": token});
        fixture.ask("PostCommentForComparedCommit", ask).map(|answer| answer["comment"]["commentId"].clone())
    };
    let first = post("5 of 6", "t1").unwrap();
    assert_eq!(post("5 of 6", "t1").unwrap(), first);
    assert_ne!(post("6 of 6", "t2").unwrap(), first);
    assert_eq!(post("other", "t1"), Err("IdempotencyParameterMismatchException"));
    assert_eq!(post("", "t3"), Err("CommentContentRequiredException"));
    assert!(post(&"x".repeat(LONGEST_COMMENT), "t4").is_ok());
    assert_eq!(post(&"x".repeat(LONGEST_COMMENT + 1), "t5"), Err("CommentContentSizeLimitExceededException"));
    let nowhere = json!({"afterCommitId": "0".repeat(40), "content": "text"});
    assert_eq!(fixture.ask("PostCommentForComparedCommit", nowhere), Err("CommitDoesNotExistException"));
    let read = fixture.ask("GetCommentsForComparedCommit", json!({"afterCommitId": commit})).unwrap();
    let comments = read["commentsForComparedCommitData"][0]["comments"].as_array().unwrap().clone();
    assert_eq!(comments.iter().map(|comment| &comment["content"]).take(2).collect::<Vec<_>>(), ["5 of 6", "6 of 6"]);
    assert_eq!(fixture.service.comments("policy").len(), 3);
}
