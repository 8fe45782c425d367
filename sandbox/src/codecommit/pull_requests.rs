//! Pull requests: revisions, comments, approvals, and the merge by fast-forward.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::{CodeCommit, CodeCommitError, CodeCommitResult, Comment, LONGEST_COMMENT, Repository, error};
use crate::{events, ids};

/// A pull request. Its commits are those of its branches until it is closed.
#[derive(Debug, Clone)]
pub(super) struct StoredPullRequest {
    id: String,
    title: String,
    author: String,
    repository: String,
    source: String,
    destination: String,
    is_open: bool,
    is_merged: bool,
    /// Head of the source, head of the destination and merge base, when the pull request was last updated.
    commits: [String; 3],
    revision: String,
    /// The callers that approve the revision.
    approvals: BTreeSet<String>,
    /// Names of approval rules, each with the number of approvals and the patterns of approvers.
    rules: BTreeMap<String, (u64, Vec<String>)>,
}

impl StoredPullRequest {
    fn satisfied(&self) -> (Vec<&str>, Vec<&str>) {
        let is_satisfied = |(needed, pool): &(u64, Vec<String>)| {
            let approvals = self
                .approvals
                .iter()
                .filter(|caller| pool.is_empty() || pool.iter().any(|pattern| is_member(pattern, caller)));
            approvals.count() as u64 >= *needed
        };
        let names = |wanted: bool| {
            let rules = self.rules.iter().filter(|(_, rule)| is_satisfied(rule) == wanted);
            rules.map(|(name, _)| name.as_str()).collect()
        };
        (names(true), names(false))
    }
}

/// Whether a caller is in an approval pool; a session name may be `*`.
fn is_member(pattern: &str, caller: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == caller, |role| caller.starts_with(role))
}

/// An answer with the events that the call causes.
type WithEvents = Result<(Value, Vec<Value>), CodeCommitError>;

impl CodeCommit {
    /// Whether this is an operation on pull requests.
    pub(super) fn is_of_pull_requests(operation: &str) -> bool {
        operation.contains("PullRequest") || operation == "UpdateComment"
    }

    /// Answers an operation on pull requests.
    pub(super) fn on_pull_request(&self, operation: &str, ask: &Value, caller: &str) -> WithEvents {
        let quiet = |answer: CodeCommitResult| answer.map(|answer| (answer, Vec::new()));
        match operation {
            "CreatePullRequest" => self.create_pull_request(ask, caller),
            "UpdateComment" => quiet(self.update_comment(ask, caller)),
            "GetPullRequest" => quiet(self.with(ask, |found| Ok(self.pull_request_json(found)))),
            "GetCommentsForPullRequest" => {
                quiet(self.with(ask, |found| Ok(found.id.clone())).and_then(|id| self.comments_of(&id, ask)))
            }
            "PostCommentForPullRequest" => quiet(self.post_on_pull_request(ask, caller)),
            "UpdatePullRequestApprovalState" => self.set_approval(ask, caller),
            "CreatePullRequestApprovalRule" => quiet(self.with(ask, |found| create_rule(found, ask))),
            "EvaluatePullRequestApprovalRules" => quiet(self.with(ask, |found| {
                is_current(found, ask)?;
                let (yes, no) = found.satisfied();
                Ok(json!({"evaluation": {
                    "approved": no.is_empty(), "overridden": false, "approvalRulesSatisfied": yes, "approvalRulesNotSatisfied": no,
                }}))
            })),
            "MergePullRequestByFastForward" => self.merge(ask),
            "UpdatePullRequestStatus" => {
                let answer = self.with(ask, |found| {
                    is_open(found)?;
                    found.is_open = false;
                    Ok(self.pull_request_json(found))
                })?;
                let event = self.event_of(ask, "pullRequestStatusChanged", caller);
                Ok((answer, event.into_iter().collect()))
            }
            _ => error("InvalidAction", format!("operation {operation} is not supported")),
        }
    }

    /// Updates the open pull requests of a branch that was pushed; returns their events.
    pub(super) fn source_pushed(&self, repository: &str, reference: &str) -> Vec<Value> {
        let mut updated = Vec::new();
        for found in self.pull_requests().iter_mut() {
            if found.repository != repository || found.source != reference || !found.is_open {
                continue;
            }
            if let Some(commits) = self.commits(repository, &found.source, &found.destination) {
                found.commits = commits;
                found.revision = ids::sha256(&ids::uuid());
                found.approvals.clear();
                updated.push(found.clone());
            }
        }
        updated.iter().map(|found| self.event(found, "pullRequestSourceBranchUpdated", &found.author)).collect()
    }

    fn pull_requests(&self) -> MutexGuard<'_, Vec<StoredPullRequest>> {
        self.pull_requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repository_named(&self, name: &str) -> Option<Repository> {
        Some(Repository { path: self.path(name) }).filter(|repository| repository.path.is_dir())
    }

    /// Returns head of the source, head of the destination, and their merge base.
    fn commits(&self, repository: &str, source: &str, destination: &str) -> Option<[String; 3]> {
        let repository = self.repository_named(repository)?;
        let (source, destination) = (repository.commit(source).ok()?, repository.commit(destination).ok()?);
        let base = repository.text(&["merge-base", &source, &destination])?.trim().to_owned();
        Some([source, destination, base])
    }

    fn with<T>(
        &self,
        ask: &Value,
        act: impl FnOnce(&mut StoredPullRequest) -> Result<T, CodeCommitError>,
    ) -> Result<T, CodeCommitError> {
        let Some(id) = ask["pullRequestId"].as_str().filter(|id| !id.is_empty()) else {
            return error("PullRequestIdRequiredException", "A pull request ID is required");
        };
        if !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return error("InvalidPullRequestIdException", format!("{id} is not a valid pull request ID"));
        }
        match self.pull_requests().iter_mut().find(|found| found.id == id) {
            Some(found) => act(found),
            None => error("PullRequestDoesNotExistException", format!("Pull request {id} does not exist")),
        }
    }

    fn create_pull_request(&self, ask: &Value, caller: &str) -> WithEvents {
        let title = ask["title"].as_str().unwrap_or_default();
        if title.is_empty() || title.chars().count() > 150 {
            return error("InvalidTitleException", "A title has 1 to 150 characters");
        }
        let [target] = ask["targets"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            return error("InvalidTargetsException", "Exactly one target is supported");
        };
        let name = target["repositoryName"].as_str().unwrap_or_default();
        if self.repository_named(name).is_none() {
            return error("RepositoryDoesNotExistException", format!("{name} does not exist"));
        }
        let full = |key: &str, default: &str| {
            let reference = target[key].as_str().unwrap_or(default);
            let short = reference.strip_prefix("refs/heads/").unwrap_or(reference);
            format!("refs/heads/{short}")
        };
        let (source, destination) = (full("sourceReference", ""), full("destinationReference", "main"));
        let Some(commits) = self.commits(name, &source, &destination) else {
            return error("ReferenceDoesNotExistException", format!("{source} or {destination} does not exist"));
        };
        if commits[0] == commits[1] {
            return error("SourceAndDestinationAreSameException", "Source and destination are the same commit");
        }
        let mut all = self.pull_requests();
        let created = StoredPullRequest {
            id: (all.len() + 1).to_string(),
            title: title.to_owned(),
            author: caller.to_owned(),
            repository: name.to_owned(),
            source,
            destination,
            is_open: true,
            is_merged: false,
            commits,
            revision: ids::sha256(&ids::uuid()),
            approvals: BTreeSet::new(),
            rules: BTreeMap::new(),
        };
        all.push(created.clone());
        Ok((self.pull_request_json(&created), vec![self.event(&created, "pullRequestCreated", caller)]))
    }

    fn pull_request_json(&self, found: &StoredPullRequest) -> Value {
        let [source, destination, base] = &found.commits;
        let (yes, no) = found.satisfied();
        let rules: Vec<Value> = yes.into_iter().chain(no).map(|name| json!({"approvalRuleName": name})).collect();
        json!({"pullRequest": {
            "pullRequestId": found.id, "title": found.title, "authorArn": found.author, "revisionId": found.revision,
            "pullRequestStatus": if found.is_open { "OPEN" } else { "CLOSED" }, "approvalRules": rules,
            "pullRequestTargets": [{
                "repositoryName": found.repository, "sourceReference": found.source, "destinationReference": found.destination,
                "sourceCommit": source, "destinationCommit": destination, "mergeBase": base,
                "mergeMetadata": {"isMerged": found.is_merged},
            }],
        }})
    }

    fn event_of(&self, ask: &Value, kind: &str, caller: &str) -> Option<Value> {
        self.with(ask, |found| Ok(self.event(found, kind, caller))).ok()
    }

    /// <https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html>
    fn event(&self, found: &StoredPullRequest, kind: &str, caller: &str) -> Value {
        let [source, destination, base] = &found.commits;
        let detail = json!({
            "event": kind, "pullRequestId": found.id, "pullRequestStatus": if found.is_open { "Open" } else { "Closed" },
            "repositoryNames": [found.repository], "author": found.author, "callerUserArn": caller, "title": found.title,
            "sourceReference": found.source, "sourceCommit": source, "destinationReference": found.destination,
            "destinationCommit": destination, "mergeBase": base, "revisionId": found.revision,
            "isMerged": if found.is_merged { "True" } else { "False" },
        });
        let (arn, kind) = (self.arn(&found.repository), "CodeCommit Pull Request State Change");
        events::event(&self.account, &self.region, "aws.codecommit", kind, &[arn], &detail)
    }

    fn set_approval(&self, ask: &Value, caller: &str) -> WithEvents {
        self.with(ask, |found| {
            is_open(found)?;
            is_current(found, ask)?;
            match ask["approvalState"].as_str() {
                Some("APPROVE") if found.author == caller => {
                    return error("PullRequestCannotBeApprovedByAuthorException", "The author cannot approve");
                }
                Some("APPROVE") => drop(found.approvals.insert(caller.to_owned())),
                Some("REVOKE") => drop(found.approvals.remove(caller)),
                _ => return error("InvalidApprovalStateException", "APPROVE or REVOKE is expected"),
            }
            Ok(())
        })?;
        let event = self.event_of(ask, "pullRequestApprovalStateChanged", caller);
        Ok((json!({}), event.into_iter().collect()))
    }

    fn merge(&self, ask: &Value) -> WithEvents {
        let (answer, before) = self.with(ask, |found| {
            is_open(found)?;
            if !found.satisfied().1.is_empty() {
                let why = "The approval rules of the pull request are not satisfied";
                return error("PullRequestApprovalRulesNotSatisfiedException", why);
            }
            let Some(commits) = self.commits(&found.repository, &found.source, &found.destination) else {
                return error("ReferenceDoesNotExistException", "A branch of the pull request does not exist");
            };
            let [source, destination, base] = &commits;
            let repository = Repository { path: self.path(&found.repository) };
            if base != destination
                || repository.git(&["update-ref", &found.destination, source, destination], b"").is_none()
            {
                return error("ManualMergeRequiredException", "The branches have diverged");
            }
            let update = json!([{"old": destination, "new": source, "ref": found.destination}]);
            (found.is_open, found.is_merged, found.commits) = (false, true, commits.clone());
            Ok((self.pull_request_json(found), (found.repository.clone(), update)))
        })?;
        let mut events: Vec<Value> = self.event_of(ask, "pullRequestMergeStatusUpdated", "").into_iter().collect();
        events.extend(self.pushed(&before.0, &before.1));
        Ok((answer, events))
    }

    fn post_on_pull_request(&self, ask: &Value, caller: &str) -> CodeCommitResult {
        let (id, name) = self.with(ask, |found| Ok((found.id.clone(), found.repository.clone())))?;
        let Some(repository) = self.repository_named(ask["repositoryName"].as_str().unwrap_or_default()) else {
            return error("RepositoryDoesNotExistException", "The repository does not exist");
        };
        if ask["repositoryName"] != json!(name) {
            return error("RepositoryNotAssociatedWithPullRequestException", "The repository is another one");
        }
        let place = ask.get("location").filter(|place| !place.is_null()).cloned();
        let commit = ask["afterCommitId"].as_str().unwrap_or_default();
        if let Some(place) = &place {
            let file = place["filePath"].as_str().unwrap_or_default();
            let Some(found) = repository.object(&format!("{commit}:{file}")).filter(|found| found.kind == "blob")
            else {
                return error("PathDoesNotExistException", format!("{file} does not exist"));
            };
            let lines = String::from_utf8_lossy(&found.content).lines().count() as u64;
            if !place["filePosition"].as_u64().is_some_and(|line| (1..=lines).contains(&line)) {
                return error("InvalidFilePositionException", "The position is not in the file");
            }
        }
        let mut answer = self.post_comment(&name, &repository, ask, Some((&id, place)), caller)?;
        answer["pullRequestId"] = json!(id);
        Ok(answer)
    }

    fn comments_of(&self, id: &str, ask: &Value) -> CodeCommitResult {
        let comments = self.comments.lock().unwrap_or_else(PoisonError::into_inner);
        let of_request = comments.iter().filter(|comment| comment.pull_request.as_deref() == Some(id));
        let start: usize = ask["nextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or_default();
        let size = ask["maxResults"].as_u64().unwrap_or(100).clamp(1, 500) as usize;
        let all: Vec<&Comment> = of_request.collect();
        let page = all.iter().skip(start).take(size).map(|comment| {
            json!({
                "pullRequestId": id, "repositoryName": comment.repository, "afterCommitId": comment.commit,
                "beforeCommitId": comment.before, "location": comment.place, "comments": [self.comment_json(comment)],
            })
        });
        let mut answer = json!({"commentsForPullRequestData": page.collect::<Vec<_>>()});
        if start + size < all.len() {
            answer["nextToken"] = json!((start + size).to_string());
        }
        Ok(answer)
    }

    fn update_comment(&self, ask: &Value, caller: &str) -> CodeCommitResult {
        let (id, content) =
            (ask["commentId"].as_str().unwrap_or_default(), ask["content"].as_str().unwrap_or_default());
        if content.chars().count() > LONGEST_COMMENT {
            return error("CommentContentSizeLimitExceededException", "The comment is too large");
        }
        let mut comments = self.comments.lock().unwrap_or_else(PoisonError::into_inner);
        match comments.iter_mut().find(|comment| comment.id == id) {
            None => error("CommentDoesNotExistException", format!("{id} does not exist")),
            Some(comment) if comment.author != caller => {
                error("CommentNotCreatedByCallerException", "Only the author can edit a comment")
            }
            Some(comment) => {
                content.clone_into(&mut comment.content);
                let comment = comment.clone();
                Ok(json!({"comment": self.comment_json(&comment)}))
            }
        }
    }

    /// Makes another principal the author of a pull request or comment.
    pub(crate) fn set_author(&self, id: &str, author: &str) {
        if let Some(found) = self.pull_requests().iter_mut().find(|found| found.id == id) {
            author.clone_into(&mut found.author);
        }
        let mut comments = self.comments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(comment) = comments.iter_mut().find(|comment| comment.id == id) {
            author.clone_into(&mut comment.author);
        }
    }

    /// Returns the comments of a pull request: the line, if any, and the text.
    pub(crate) fn pull_request_comments(&self, id: &str) -> Vec<(Option<u64>, String)> {
        let comments = self.comments.lock().unwrap_or_else(PoisonError::into_inner);
        let of_request = comments.iter().filter(|comment| comment.pull_request.as_deref() == Some(id));
        let line = |comment: &Comment| comment.place.as_ref().and_then(|place| place["filePosition"].as_u64());
        of_request.map(|comment| (line(comment), comment.content.clone())).collect()
    }
}

fn is_open(found: &StoredPullRequest) -> Result<(), CodeCommitError> {
    match found.is_open {
        true => Ok(()),
        false => error("PullRequestAlreadyClosedException", format!("Pull request {} is closed", found.id)),
    }
}

fn is_current(found: &StoredPullRequest, ask: &Value) -> Result<(), CodeCommitError> {
    match ask["revisionId"].as_str() {
        None | Some("") => error("RevisionIdRequiredException", "A revision ID is required"),
        Some(revision) if revision == found.revision => Ok(()),
        Some(_) => error("RevisionNotCurrentException", "The revision is not the current one"),
    }
}

fn create_rule(found: &mut StoredPullRequest, ask: &Value) -> CodeCommitResult {
    let name = ask["approvalRuleName"].as_str().unwrap_or_default();
    let content = ask["approvalRuleContent"].as_str().unwrap_or_default();
    let content: Value = serde_json::from_str(content).unwrap_or_default();
    let statement = &content["Statements"][0];
    let Some(needed) = statement["NumberOfApprovalsNeeded"].as_u64().filter(|_| !name.is_empty()) else {
        return error("InvalidApprovalRuleContentException", "A name and `NumberOfApprovalsNeeded` are expected");
    };
    let pool = statement["ApprovalPoolMembers"].as_array().into_iter().flatten();
    let pool = pool.filter_map(|member| member.as_str().map(str::to_owned)).collect();
    found.rules.insert(name.to_owned(), (needed, pool));
    Ok(json!({"approvalRule": {"approvalRuleName": name}}))
}
