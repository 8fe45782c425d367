//! CodeCommit on bare git repositories: users push with git, functions read over the API.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::call::ApiCall;
use crate::http::{HttpRequest, HttpResponse};
use crate::{events, ids, wire};
use pull_requests::StoredPullRequest;

mod pull_requests;

/// The largest file that `GetFile` returns, in bytes.
const LARGEST_FILE: usize = 6 * 1024 * 1024;

const HOOK: &str = include_str!("../post-receive.py");

/// The repositories of the sandbox.
#[derive(Debug)]
pub struct CodeCommit {
    directory: PathBuf,
    account: String,
    region: String,
    comments: Mutex<Vec<Comment>>,
    pull_requests: Mutex<Vec<StoredPullRequest>>,
}

/// The longest comment, in characters (quotas of CodeCommit).
const LONGEST_COMMENT: usize = 10_240;

/// A comment on a commit or a pull request.
#[derive(Debug, Clone)]
struct Comment {
    pull_request: Option<String>,
    /// The `location` in a file.
    place: Option<Value>,
    author: String,
    repository: String,
    before: Option<String>,
    commit: String,
    content: String,
    token: Option<String>,
    id: String,
    at: String,
}

/// Code and message of an error.
struct CodeCommitError(&'static str, String);

type CodeCommitResult = Result<Value, CodeCommitError>;

fn error<T>(code: &'static str, message: impl Into<String>) -> Result<T, CodeCommitError> {
    Err(CodeCommitError(code, message.into()))
}

impl CodeCommit {
    pub(crate) fn new(directory: &Path, account: &str, region: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            comments: Mutex::default(),
            pull_requests: Mutex::default(),
        }
    }

    /// Creates an empty repository whose hook reports pushes to the gateway; returns the path to push to.
    pub(crate) fn create(&self, name: &str, gateway: &str, python: &Path) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::create_dir_all(&self.directory)?;
        let mut init = Command::new("git");
        clean(&mut init).args(["init", "--quiet", "--bare", "-b", "main", "--template=", "--"]).arg(&path);
        let output = init.output().context("the policy repository needs `git`, which cannot be run")?;
        if !output.status.success() {
            bail!("git init: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let hooks = path.join("hooks");
        std::fs::create_dir_all(&hooks)?;
        std::fs::write(hooks.join("post-receive.py"), HOOK)?;
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        let hook = hooks.join("post-receive");
        let script = format!(
            "#!/bin/sh\nexec {} -I hooks/post-receive.py {}\n",
            quoted(&python.to_string_lossy()),
            quoted(&format!("{gateway}/_sandbox/push?repository={}", wire::percent_encode(name)))
        );
        std::fs::write(&hook, script)?;
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.git"))
    }

    fn arn(&self, name: &str) -> String {
        format!("arn:aws:codecommit:{}:{}:{name}", self.region, self.account)
    }

    /// Returns the events of a push; `updates` is a list of `{"old", "new", "ref"}`.
    pub(crate) fn pushed(&self, repository: &str, updates: &Value) -> Vec<Value> {
        let updates = updates.as_array().into_iter().flatten();
        let events = updates.flat_map(|update| {
            let of_source = update["ref"].as_str().map(|name| self.source_pushed(repository, name));
            self.state_change(repository, update).into_iter().chain(of_source.unwrap_or_default())
        });
        events.collect()
    }

    fn state_change(&self, repository: &str, update: &Value) -> Option<Value> {
        let (old, new, full) = (update["old"].as_str()?, update["new"].as_str()?, update["ref"].as_str()?);
        let branch = full.strip_prefix("refs/heads/").map(|name| ("branch", name));
        let (kind, name) = branch.or_else(|| full.strip_prefix("refs/tags/").map(|name| ("tag", name)))?;
        let absent = |id: &str| id.bytes().all(|byte| byte == b'0');
        let mut detail = json!({
            "repositoryName": repository, "repositoryId": repository_id(repository),
            "referenceType": kind, "referenceName": name, "referenceFullName": full,
        });
        detail["event"] = json!(match (absent(old), absent(new)) {
            (true, _) => "referenceCreated",
            (_, true) => "referenceDeleted",
            _ => "referenceUpdated",
        });
        if !absent(new) {
            detail["commitId"] = json!(new);
        }
        if !absent(old) {
            detail["oldCommitId"] = json!(old);
        }
        let arn = self.arn(repository);
        Some(events::event(
            &self.account,
            &self.region,
            "aws.codecommit",
            "CodeCommit Repository State Change",
            &[arn],
            &detail,
        ))
    }

    /// Answers a call of a function, or of a user; returns the events that it causes.
    pub(crate) fn answer(
        &self,
        call: &ApiCall,
        request: &HttpRequest,
        function: Option<&str>,
    ) -> (HttpResponse, Vec<Value>) {
        let Ok(ask) = serde_json::from_slice::<Value>(&request.body) else {
            return (wire::json_error(400, "SerializationException", "the body is not valid JSON"), Vec::new());
        };
        let caller = self.caller(function);
        let answer = match Self::is_of_pull_requests(&call.operation) {
            true => self.on_pull_request(&call.operation, &ask, &caller),
            false => self.operate(&call.operation, &ask, &caller).map(|answer| (answer, Vec::new())),
        };
        match answer {
            Ok((answer, events)) => (wire::json_response(&answer), events),
            Err(CodeCommitError(code, message)) => (wire::json_error(400, code, &message), Vec::new()),
        }
    }

    /// Returns the ARN of a caller. Lambda's session has the name of the function, and so has its role here.
    fn caller(&self, function: Option<&str>) -> String {
        match function {
            Some(name) => format!("arn:aws:sts::{}:assumed-role/{name}/{name}", self.account),
            None => format!("arn:aws:iam::{}:root", self.account),
        }
    }

    fn operate(&self, operation: &str, ask: &Value, caller: &str) -> CodeCommitResult {
        if operation == "ListRepositories" {
            let entries = std::fs::read_dir(&self.directory).into_iter().flatten().filter_map(Result::ok);
            let names = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".git").map(str::to_owned));
            let rows = names.map(|name| json!({"repositoryName": name, "repositoryId": repository_id(&name)}));
            return Ok(json!({"repositories": rows.collect::<Vec<_>>()}));
        }
        let Some(name) = ask["repositoryName"].as_str() else {
            return error("RepositoryNameRequiredException", "A repository name is required");
        };
        let simple = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !simple || name.is_empty() || name.starts_with('.') {
            return error("InvalidRepositoryNameException", format!("{name} is not a valid repository name"));
        }
        let repository = Repository { path: self.path(name) };
        if !repository.path.is_dir() {
            return error("RepositoryDoesNotExistException", format!("{name} does not exist"));
        }
        match operation {
            "GetRepository" => Ok(self.metadata(name, &repository)),
            "ListBranches" => Ok(json!({"branches": repository.branches()})),
            "GetBranch" => repository.get_branch(ask),
            "GetCommit" => repository.get_commit(ask),
            "GetFile" => repository.get_file(ask),
            "GetFolder" => repository.get_folder(ask),
            "GetDifferences" => repository.get_differences(ask),
            "PostCommentForComparedCommit" => self.post_comment(name, &repository, ask, None, caller),
            "GetCommentsForComparedCommit" => Ok(self.comments_on(name, ask)),
            _ => error("InvalidAction", format!("operation {operation} is not supported")),
        }
    }

    /// Adds a comment to a commit, a comparison, or a pull request at a location; a repeated token returns the same comment.
    fn post_comment(
        &self,
        name: &str,
        repository: &Repository,
        ask: &Value,
        on: Option<(&str, Option<Value>)>,
        author: &str,
    ) -> CodeCommitResult {
        let text = |name: &str| ask[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let Some(commit) = text("afterCommitId") else {
            return error("CommitIdRequiredException", "An after commit ID is required");
        };
        let Some(content) = text("content") else {
            return error("CommentContentRequiredException", "The comment is empty");
        };
        if content.chars().count() > LONGEST_COMMENT {
            return error(
                "CommentContentSizeLimitExceededException",
                format!("The comment is too large: the limit is {LONGEST_COMMENT} characters"),
            );
        }
        for id in text("beforeCommitId").iter().chain([&commit]) {
            if repository.object(&format!("{id}^{{commit}}")).is_none_or(|found| found.kind != "commit") {
                return error("CommitDoesNotExistException", format!("Could not find commit {id}"));
            }
        }
        let mut comments = self.comments.lock().unwrap_or_else(PoisonError::into_inner);
        let token = text("clientRequestToken");
        let before = comments.iter().find(|comment| token.is_some() && comment.token == token);
        let comment = match before {
            Some(before) if before.content == content && before.commit == commit => before.clone(),
            Some(_) => {
                let why = "The client request token was used before with other parameters";
                return error("IdempotencyParameterMismatchException", why);
            }
            None => {
                let comment = Comment {
                    pull_request: on.as_ref().map(|(id, _)| (*id).to_owned()),
                    place: on.and_then(|(_, place)| place),
                    author: author.to_owned(),
                    repository: name.to_owned(),
                    before: text("beforeCommitId"),
                    commit,
                    content,
                    token,
                    id: ids::uuid(),
                    at: ids::now_millis(),
                };
                comments.push(comment.clone());
                comment
            }
        };
        let mut answer = json!({
            "repositoryName": name, "afterCommitId": comment.commit, "comment": self.comment_json(&comment),
        });
        if let Some(before) = &comment.before {
            answer["beforeCommitId"] = json!(before);
        }
        Ok(answer)
    }

    fn comments_on(&self, name: &str, ask: &Value) -> Value {
        let comments = self.comments.lock().unwrap_or_else(PoisonError::into_inner);
        let matching = comments.iter().filter(|comment| {
            comment.repository == name && ask["afterCommitId"].as_str() == Some(comment.commit.as_str())
        });
        let all: Vec<Value> = matching.map(|comment| self.comment_json(comment)).collect();
        json!({"commentsForComparedCommitData": [
            {"repositoryName": name, "afterCommitId": ask["afterCommitId"], "comments": all},
        ]})
    }

    fn comment_json(&self, comment: &Comment) -> Value {
        let seconds = comment.at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
        json!({
            "commentId": comment.id, "content": comment.content, "clientRequestToken": comment.token, "deleted": false,
            "creationDate": seconds, "lastModifiedDate": seconds, "authorArn": comment.author,
        })
    }

    /// Returns the comments on commits, oldest first: the commit and the text.
    pub(crate) fn comments(&self, repository: &str) -> Vec<(String, String)> {
        let comments = self.comments.lock().unwrap_or_else(PoisonError::into_inner);
        let matching =
            comments.iter().filter(|comment| comment.repository == repository && comment.pull_request.is_none());
        matching.map(|comment| (comment.commit.clone(), comment.content.clone())).collect()
    }

    fn metadata(&self, name: &str, repository: &Repository) -> Value {
        let mut metadata = json!({
            "accountId": self.account, "repositoryId": repository_id(name), "repositoryName": name, "Arn": self.arn(name),
            "cloneUrlHttp": format!("https://git-codecommit.{}.amazonaws.com/v1/repos/{name}", self.region),
            "cloneUrlSsh": format!("ssh://git-codecommit.{}.amazonaws.com/v1/repos/{name}", self.region),
        });
        if repository.branches().iter().any(|branch| branch == "main") {
            metadata["defaultBranch"] = json!("main");
        }
        json!({"repositoryMetadata": metadata})
    }
}

/// Returns the same id in the form of a UUID for the same name.
fn repository_id(name: &str) -> String {
    let hex = ids::sha256(name);
    [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)]
        .map(|(from, to)| hex.get(from..to).unwrap_or_default().to_owned())
        .join("-")
}

/// Removes the settings of a surrounding git (a hook, a rebase) and of the user's configuration.
fn clean(command: &mut Command) -> &mut Command {
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_QUARANTINE_PATH"] {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C")
}

struct Repository {
    path: PathBuf,
}

struct GitObject {
    id: String,
    kind: String,
    content: Vec<u8>,
}

impl Repository {
    /// Runs git in the repository; `None` if it fails.
    fn git(&self, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let mut command = Command::new("git");
        clean(&mut command)
            .args(["--literal-pathspecs", "-c", "safe.directory=*", "--git-dir"])
            .arg(&self.path)
            .args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        child.stdin.take()?.write_all(input).ok()?;
        let output = child.wait_with_output().ok()?;
        output.status.success().then_some(output.stdout)
    }

    fn text(&self, arguments: &[&str]) -> Option<String> {
        Some(String::from_utf8_lossy(&self.git(arguments, b"")?).into_owned())
    }

    /// Reads an object by its name, which git reads from standard input: a name cannot be taken for an option.
    fn object(&self, name: &str) -> Option<GitObject> {
        if name.contains('\n') {
            return None;
        }
        let output = self.git(&["cat-file", "--batch"], format!("{name}\n").as_bytes())?;
        let end = output.iter().position(|byte| *byte == b'\n')?;
        let head = String::from_utf8_lossy(output.get(..end)?).into_owned();
        let [id, kind, size] = head.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let size: usize = size.parse().ok()?;
        Some(GitObject {
            id: id.to_owned(),
            kind: kind.to_owned(),
            content: output.get(end + 1..end + 1 + size)?.to_vec(),
        })
    }

    fn branches(&self) -> Vec<String> {
        let names = self.text(&["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"]).unwrap_or_default();
        names.lines().map(str::to_owned).collect()
    }

    /// Resolves a branch, a tag, `HEAD`, a full reference or a full commit id.
    fn commit(&self, specifier: &str) -> Result<String, CodeCommitError> {
        let is_id = specifier.len() == 40 && specifier.bytes().all(|byte| byte.is_ascii_hexdigit());
        let names = if is_id || specifier == "HEAD" || specifier.starts_with("refs/") {
            vec![specifier.to_owned()]
        } else {
            vec![format!("refs/heads/{specifier}"), format!("refs/tags/{specifier}")]
        };
        let found = names.iter().find_map(|name| self.object(&format!("{name}^{{commit}}")));
        match found {
            Some(object) if object.kind == "commit" => Ok(object.id),
            _ => error("CommitDoesNotExistException", format!("Could not find commit {specifier}")),
        }
    }

    fn get_branch(&self, ask: &Value) -> CodeCommitResult {
        let Some(name) = ask["branchName"].as_str() else {
            return error("BranchNameRequiredException", "A branch name is required");
        };
        match self.object(&format!("refs/heads/{name}^{{commit}}")) {
            Some(commit) if commit.kind == "commit" => {
                Ok(json!({"branch": {"branchName": name, "commitId": commit.id}}))
            }
            _ => error("BranchDoesNotExistException", format!("Branch {name} does not exist")),
        }
    }

    fn get_commit(&self, ask: &Value) -> CodeCommitResult {
        let Some(id) = ask["commitId"].as_str() else {
            return error("CommitIdRequiredException", "A commit ID is required");
        };
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return error("InvalidCommitIdException", format!("{id} is not a valid commit ID"));
        }
        match self.object(&format!("{id}^{{commit}}")) {
            Some(commit) if commit.kind == "commit" => Ok(json!({"commit": commit_json(&commit)})),
            _ => error("CommitIdDoesNotExistException", format!("Commit {id} does not exist")),
        }
    }

    fn get_file(&self, ask: &Value) -> CodeCommitResult {
        let commit = self.commit(ask["commitSpecifier"].as_str().unwrap_or("HEAD"))?;
        let Some(path) = ask["filePath"].as_str() else {
            return error("PathRequiredException", "A file path is required");
        };
        let path = path.trim_start_matches('/');
        let file = self.object(&format!("{commit}:{path}")).filter(|object| object.kind == "blob");
        let Some(file) = file else {
            return error("FileDoesNotExistException", format!("The file {path} does not exist at commit {commit}"));
        };
        if file.content.len() > LARGEST_FILE {
            return error("FileTooLargeException", format!("The file {path} is larger than {LARGEST_FILE} bytes"));
        }
        let mode = self.text(&["ls-tree", &commit, "--", path]).unwrap_or_default();
        Ok(json!({
            "commitId": commit, "blobId": file.id, "filePath": path, "fileMode": file_mode(mode.split(' ').next().unwrap_or_default()),
            "fileSize": file.content.len(), "fileContent": BASE64_STANDARD.encode(&file.content),
        }))
    }

    fn get_folder(&self, ask: &Value) -> CodeCommitResult {
        let commit = self.commit(ask["commitSpecifier"].as_str().unwrap_or("HEAD"))?;
        let folder = ask["folderPath"].as_str().unwrap_or_default().trim_matches('/');
        let tree = self.object(&format!("{commit}:{folder}")).filter(|object| object.kind == "tree");
        let Some(tree) = tree else {
            return error(
                "FolderDoesNotExistException",
                format!("The folder {folder} does not exist at commit {commit}"),
            );
        };
        let (mut files, mut folders, mut links, mut modules) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let listing = self.text(&["ls-tree", "-z", &tree.id]).unwrap_or_default();
        for (mode, id, name) in listing.split('\0').filter_map(tree_entry) {
            let absolute = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            let blob =
                json!({"blobId": id, "absolutePath": absolute, "relativePath": name, "fileMode": file_mode(mode)});
            match mode {
                "040000" => folders.push(json!({"treeId": id, "absolutePath": absolute, "relativePath": name})),
                "120000" => links.push(blob),
                "160000" => modules.push(json!({"commitId": id, "absolutePath": absolute, "relativePath": name})),
                _ => files.push(blob),
            }
        }
        Ok(json!({
            "commitId": commit, "folderPath": folder, "treeId": tree.id, "files": files, "subFolders": folders,
            "symbolicLinks": links, "subModules": modules,
        }))
    }

    fn get_differences(&self, ask: &Value) -> CodeCommitResult {
        let Some(after) = ask["afterCommitSpecifier"].as_str() else {
            return error("CommitRequiredException", "An after commit is required");
        };
        let after = self.commit(after)?;
        let mut differences = Vec::new();
        if let Some(before) = ask["beforeCommitSpecifier"].as_str() {
            let before = self.commit(before)?;
            let raw = self.text(&["diff-tree", "-r", "-z", "--no-renames", &before, &after]).unwrap_or_default();
            let mut fields = raw.split('\0');
            while let (Some(change), Some(path)) = (fields.next(), fields.next()) {
                let parts: Vec<&str> = change.trim_start_matches(':').split(' ').collect();
                let [before_mode, after_mode, before_id, after_id, kind] = parts[..] else { continue };
                let mut difference = json!({"changeType": kind.get(..1).unwrap_or("M")});
                if kind != "A" {
                    difference["beforeBlob"] = json!({"blobId": before_id, "path": path, "mode": before_mode});
                }
                if kind != "D" {
                    difference["afterBlob"] = json!({"blobId": after_id, "path": path, "mode": after_mode});
                }
                differences.push(difference);
            }
        } else {
            let listing = self.text(&["ls-tree", "-r", "-z", &after]).unwrap_or_default();
            differences.extend(listing.split('\0').filter_map(tree_entry).map(
                |(mode, id, path)| json!({"changeType": "A", "afterBlob": {"blobId": id, "path": path, "mode": mode}}),
            ));
        }
        Ok(json!({"differences": differences}))
    }
}

/// Parses a line of `git ls-tree -z`: mode, id and name.
fn tree_entry(line: &str) -> Option<(&str, &str, &str)> {
    let (head, name) = line.split_once('\t')?;
    let mut words = head.split(' ');
    let (mode, _, id) = (words.next()?, words.next()?, words.next()?);
    Some((mode, id.trim(), name))
}

fn file_mode(mode: &str) -> &'static str {
    match mode {
        "100755" => "EXECUTABLE",
        "120000" => "SYMLINK",
        _ => "NORMAL",
    }
}

fn commit_json(commit: &GitObject) -> Value {
    let raw = String::from_utf8_lossy(&commit.content).into_owned();
    let (head, message) = raw.split_once("\n\n").unwrap_or((&raw, ""));
    let field =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    let parents: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix("parent ")).collect();
    json!({
        "commitId": commit.id, "treeId": field("tree "), "parents": parents, "message": message,
        "author": person(&field("author ")), "committer": person(&field("committer ")), "additionalData": "",
    })
}

/// Converts `Name <mail> 1763633623 +0100` to the shape of the API, with git's date.
fn person(line: &str) -> Value {
    let (name, rest) = line.split_once('<').unwrap_or((line, ""));
    let (email, date) = rest.split_once('>').unwrap_or((rest, ""));
    json!({"name": name.trim(), "email": email.trim(), "date": date.trim()})
}

/// Returns a unique name for a repository of a test.
pub fn unique_name(prefix: &str) -> String {
    format!("{prefix}-{:04x}", ids::random() & 0xffff)
}

#[cfg(test)]
mod tests;
