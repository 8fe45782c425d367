//! `preview`: reviews pull requests of the policy repository.
//!
//! A trigger only names a pull request. A review reads its current revision, previews the change, and makes the comments and the approval
//! agree with the result. A late, repeated or reordered trigger therefore has no other effect than the newest one.

mod changed_lines;
pub mod ports;
mod trigger;

pub use trigger::{ReviewTrigger, review_trigger};

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::Serialize;
use serde_json::json;
use tracing::{error, info, warn};

use domain::cost::Prices;
use domain::preview::{ChangeVerdict, MAX_COMMENT_CHARACTERS, Preview, finding_comment};
use domain::rollout::digest_of;
use evaluation::inventory::Inventory;
use framework::ids::CommitId;
use syntax::diagnostic::Diagnostic;

use crate::deploy::{PolicyFiles, PolicySource, UNKNOWN_EVENT_BUS};
use crate::in_force::today;
use crate::inventory::InventoryStore as _;
use crate::ports::{Clock as _, PortError, PortErrorKind, Result};
use crate::preview::{PolicyState, preview};
use changed_lines::changed_lines;
use ports::{
    Approval, ApprovalOutcome, CommentLine, EditOutcome, NewComment, PullRequest, PullRequests as _, ReviewEnv,
};

/// Most comments at lines of one revision; the comment on the pull request lists all findings.
const MOST_AT_LINES: usize = 20;

/// The settings of the reviews.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewScope {
    /// The policy repository.
    pub repository: String,
    /// The branch whose pull requests are reviewed.
    pub branch: String,
    /// The path of the policy file.
    pub policy_file: String,
    /// Whether a revision with the verdict `ok` is approved.
    pub approve: bool,
}

/// The use case.
#[derive(Debug)]
pub struct Review<E: ReviewEnv> {
    /// The settings.
    pub scope: ReviewScope,
    /// The policy repository.
    pub repository: E::Repository,
    /// Its pull requests.
    pub pull_requests: E::PullRequests,
    /// The stored inventory of the organization.
    pub inventories: E::Inventories,
    /// The clock.
    pub clock: E::Clock,
}

/// The number of pull requests and changes of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewCounts {
    /// Reviewed pull requests.
    pub reviewed: u64,
    /// Reviews with the verdict `blocked`.
    pub blocked: u64,
    /// Comments that were posted, those at lines included.
    pub posted: u64,
    /// Comments that were edited.
    pub edited: u64,
    /// Approved revisions.
    pub approved: u64,
    /// Revisions without approval, or whose approval was revoked.
    pub not_approved: u64,
    /// Triggers that need no review: of another repository or branch, or a closed pull request.
    pub ignored: u64,
    /// Triggers that are not valid.
    pub invalid: u64,
    /// Reviews that failed and cannot succeed later.
    pub failed: u64,
}

/// The policy before and after a change.
struct PolicyChange {
    before: Option<PolicyFiles>,
    after: PolicyFiles,
}

impl PolicyChange {
    /// Whether the files of the policy are equal.
    fn is_empty(&self) -> bool {
        let texts = |files: &PolicyFiles| (files.text.clone(), files.templates.clone());
        self.before.as_ref().map(texts) == Some(texts(&self.after))
    }
}

impl<E: ReviewEnv> Review<E> {
    /// Reviews the pull request of each trigger once.
    ///
    /// # Errors
    /// A failure that may pass, after all other pull requests were reviewed: all triggers are to be sent again.
    pub async fn handle(&self, triggers: &[ReviewTrigger]) -> Result<ReviewCounts> {
        let mut counts = ReviewCounts::default();
        let mut ids: Vec<&str> = Vec::new();
        for trigger in triggers {
            match trigger {
                ReviewTrigger::PullRequest(id) if ids.contains(&id.as_str()) => {}
                ReviewTrigger::PullRequest(id) => ids.push(id),
                ReviewTrigger::Ignored(reason) => {
                    info!(reason, "ignored");
                    counts.ignored += 1;
                }
                ReviewTrigger::Invalid(reason) => {
                    error!(reason, "event not understood");
                    counts.invalid += 1;
                }
            }
        }
        let (mut later, inventory) = (None, OnceLock::new());
        for id in ids {
            match self.review(id, &inventory, &mut counts).await {
                Ok(()) => {}
                Err(failure) if is_temporary(&failure) => later = Some(failure),
                Err(failure) => {
                    error!(pull_request = id, reason = failure.with_fix(), "review failed");
                    counts.failed += 1;
                }
            }
        }
        later.map_or(Ok(counts), Err)
    }

    async fn review(&self, id: &str, inventory: &OnceLock<Option<Inventory>>, counts: &mut ReviewCounts) -> Result<()> {
        let Some(request) = self.pull_requests.pull_request(id).await? else {
            info!(pull_request = id, "ignored: it does not exist");
            counts.ignored += 1;
            return Ok(());
        };
        if let Some(reason) = self.not_reviewed(&request) {
            info!(pull_request = id, reason, "ignored");
            counts.ignored += 1;
            return Ok(());
        }
        let base = request.merge_base.as_ref().unwrap_or(&request.destination_commit);
        let before = self.files(base).await?;
        let before = Some(before).filter(|files| files.text.is_some());
        let change = PolicyChange { before, after: self.files(&request.source_commit).await? };
        let inventory = if change.is_empty() { None } else { self.inventory(inventory).await? };
        let preview = self.preview(&request, base, &change, inventory)?;
        counts.reviewed += 1;
        counts.blocked += u64::from(preview.verdict == ChangeVerdict::Blocked);
        info!(pull_request = id, commit = %request.source_commit, verdict = preview.verdict.word(), "reviewed");
        self.comment(&request, base, &change, &preview, counts).await?;
        if self.scope.approve {
            let is_judged = change.is_empty() || preview.verdict == ChangeVerdict::Ok;
            self.approve(&request, is_judged, counts).await?;
        }
        Ok(())
    }

    /// Returns the reason why a pull request is not reviewed.
    fn not_reviewed(&self, request: &PullRequest) -> Option<&'static str> {
        let ReviewScope { repository, branch, .. } = &self.scope;
        if !request.is_open {
            return Some("it is closed");
        }
        if request.repository != *repository {
            return Some("it is in another repository");
        }
        let destination = request.destination.strip_prefix("refs/heads/").unwrap_or(&request.destination);
        (destination != branch).then_some("its destination is another branch")
    }

    async fn files(&self, commit: &CommitId) -> Result<PolicyFiles> {
        let policy_file = &self.scope.policy_file;
        PolicySource { commit, policy_file, event_bus_arn: UNKNOWN_EVENT_BUS }.read_files(&self.repository).await
    }

    /// Reads the stored inventory, once for all pull requests of a batch. One that is not valid counts as none.
    async fn inventory<'c>(&self, cache: &'c OnceLock<Option<Inventory>>) -> Result<Option<&'c Inventory>> {
        if let Some(known) = cache.get() {
            return Ok(known.as_ref());
        }
        let stored = self.inventories.newest().await?;
        let inventory = stored.map(|stored| Inventory::read("the stored inventory", &stored.text)).transpose();
        let inventory = inventory.unwrap_or_else(|diagnostic| {
            error!(reason = %diagnostic, "the stored inventory is not valid");
            None
        });
        Ok(cache.get_or_init(|| inventory).as_ref())
    }

    fn preview(
        &self,
        request: &PullRequest,
        base: &CommitId,
        change: &PolicyChange,
        inventory: Option<&Inventory>,
    ) -> Result<Preview> {
        let now = self.clock.now();
        let state = |commit: &CommitId, files| PolicyState::new(commit.as_str(), files, today(now));
        let before = state(base, change.before.clone());
        let after = state(&request.source_commit, Some(change.after.clone()));
        let prices = Prices::of_this_version().map_err(|failure| invalid(failure.to_string()))?;
        preview(before, after, inventory, &prices, now).map_err(|diagnostics| {
            let all: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
            invalid(all.join("; "))
        })
    }

    /// Makes the comments agree with the preview. A change without effect on the policy adds no comment.
    async fn comment(
        &self,
        request: &PullRequest,
        base: &CommitId,
        change: &PolicyChange,
        preview: &Preview,
        counts: &mut ReviewCounts,
    ) -> Result<()> {
        let known = self.pull_requests.comments(&request.id).await?;
        let ReviewScope { repository, branch, policy_file, .. } = &self.scope;
        let marker = format!("[backup-compliance preview: {policy_file}, ");
        let last = format!("\n\n{marker}{} on {}]", short(&request.source_commit), short(base));
        // Each line break of the last line counts twice, as in the preview.
        let room = MAX_COMMENT_CHARACTERS.saturating_sub(last.chars().count()).saturating_sub(2);
        let text = preview.markdown(room) + &last;
        let identity = (repository, branch, policy_file, &request.id);
        let is_own = |content: &str| content.lines().next_back().is_some_and(|line| line.starts_with(&marker));
        let own: Vec<_> = known.iter().filter(|one| one.line.is_none() && is_own(&one.text)).collect();
        let mut foreign: usize = 0;
        let mut is_current = own.is_empty() && change.is_empty();
        for comment in own.into_iter().rev() {
            if comment.text == text {
                is_current = true;
                break;
            }
            match self.pull_requests.edit(&comment.id, &text).await? {
                EditOutcome::Edited => {
                    counts.edited += 1;
                    is_current = true;
                    break;
                }
                // The role of this function was another one when it was written.
                EditOutcome::NotAuthor => foreign += 1,
            }
        }
        if !is_current {
            // Constant while the comment exists: of two concurrent reviews, one posts it.
            let token = digest_of(&json!([identity, foreign])).0;
            self.pull_requests.post(&new_comment(request, None, &text, &token)).await?;
            counts.posted += 1;
        }
        let tokens: BTreeSet<&str> = known.iter().filter_map(|comment| comment.token.as_deref()).collect();
        for finding in at_changed_lines(change, &preview.findings) {
            // Without the commit and line: a finding is commented once, in whatever revision it first appears.
            let token = digest_of(&json!([identity, finding.file, finding.rule, finding.message])).0;
            if tokens.contains(token.as_str()) {
                continue;
            }
            let line = finding.at.map(|at| CommentLine { file: finding.file.clone(), line: at.line });
            match self.pull_requests.post(&new_comment(request, line, &finding_comment(finding), &token)).await {
                Ok(()) => counts.posted += 1,
                Err(failure) if is_temporary(&failure) => return Err(failure),
                // The comment on the pull request has the finding too.
                Err(failure) => warn!(reason = %failure, "no comment at the line of a finding"),
            }
        }
        Ok(())
    }

    async fn approve(&self, request: &PullRequest, is_judged: bool, counts: &mut ReviewCounts) -> Result<()> {
        let approval = if is_judged { Approval::Approve } else { Approval::Revoke };
        match self.pull_requests.set_approval(request, approval).await? {
            ApprovalOutcome::Set if is_judged => counts.approved += 1,
            ApprovalOutcome::Set => counts.not_approved += 1,
            // The event of the newer revision follows.
            ApprovalOutcome::RevisionNotCurrent => info!(pull_request = request.id, "not approved: newer revision"),
            ApprovalOutcome::Closed => info!(pull_request = request.id, "not approved: closed in the meantime"),
            ApprovalOutcome::Author => {
                warn!(pull_request = request.id, "not approved: its author is the role of this function");
                counts.not_approved += 1;
            }
        }
        Ok(())
    }
}

fn new_comment<'a>(
    request: &'a PullRequest,
    line: Option<CommentLine>,
    text: &'a str,
    token: &'a str,
) -> NewComment<'a> {
    NewComment { request, line, text, token }
}

/// Returns the findings on changed lines, the first [`MOST_AT_LINES`].
fn at_changed_lines<'a>(change: &PolicyChange, findings: &'a [Diagnostic]) -> Vec<&'a Diagnostic> {
    let text = |files: &PolicyFiles, file: &str| match file == files.path {
        true => files.text.clone(),
        false => files.templates.get(file).cloned(),
    };
    let files: BTreeSet<&str> = findings.iter().map(|finding| finding.file.as_str()).collect();
    let mut changed = BTreeSet::new();
    for file in files {
        let before = change.before.as_ref().and_then(|files| text(files, file)).unwrap_or_default();
        let after = text(&change.after, file).unwrap_or_default();
        changed.extend(changed_lines(&before, &after).into_iter().map(|line| (file, line)));
    }
    let is_changed =
        |finding: &&Diagnostic| finding.at.is_some_and(|at| changed.contains(&(finding.file.as_str(), at.line)));
    findings.iter().filter(is_changed).take(MOST_AT_LINES).collect()
}

/// Returns the first digits of a commit id, as git shows it.
fn short(commit: &CommitId) -> String {
    commit.as_str().chars().take(8).collect()
}

/// Whether the same call may succeed later. A conflict is a comment or record that another review has just written.
fn is_temporary(failure: &PortError) -> bool {
    matches!(failure.kind, PortErrorKind::Retryable | PortErrorKind::OutOfTime | PortErrorKind::Conflict)
}

fn invalid(message: String) -> PortError {
    PortError { operation: "preview", code: None, message, request_id: None, kind: PortErrorKind::Rejected }
}
