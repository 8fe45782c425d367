//! The policy as a versioned object in S3, which CI writes, and the choice between it and a branch of CodeCommit.
//!
//! A revision is a version of the object. Its origin is known only from the metadata, which its writer chooses: it is shown as claimed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Response};

use app::deploy::RevisionOrder;
use app::deploy::archive::{LARGEST_ARCHIVE, PolicyArchive};
use app::deploy::ports::{PolicyRepository, RepositoryFile};
use app::events::OBJECT_KEY;
use app::ports::{PortErrorKind, Result};
use domain::rollout::transition::Revision;
use framework::ids::CommitId;
use syntax::diagnostic::Diagnostic;

use crate::codecommit::CodeCommitRepository;
use crate::error::{failure, invalid, optional, unexpected};
use crate::https::retried;
use crate::s3::Bucket;

/// Pauses between attempts, in milliseconds.
const WAITS: [u64; 2] = [200, 1_000];

/// The source of the policy.
#[derive(Debug, Clone)]
pub enum PolicyOrigin {
    /// A branch of a CodeCommit repository.
    Branch(CodeCommitRepository),
    /// An object in S3.
    Object(PolicyObject),
}

/// The object with the policy.
#[derive(Debug, Clone)]
pub struct PolicyObject {
    bucket: Bucket,
    /// The version that was read last. Every reconciliation reads it again, and a version never changes.
    last: Arc<Mutex<Option<ObjectVersion>>>,
}

/// A version of the object, as far as it was read.
#[derive(Debug, Clone)]
struct ObjectVersion {
    id: CommitId,
    claims: Claims,
    /// Bytes.
    size: u64,
    archive: Option<Arc<Archive>>,
}

type Archive = std::result::Result<PolicyArchive, Box<Diagnostic>>;

/// The origin of the object as its writer claims it, from the object's metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Claims {
    commit: Option<String>,
    reference: Option<String>,
    repository: Option<String>,
    run_url: Option<String>,
    run_number: Option<u64>,
}

impl Claims {
    fn read(headers: &HeaderMap) -> Self {
        let claim = |name: &str| {
            let value = headers.get(format!("x-amz-meta-{name}"))?.to_str().ok()?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        Self {
            commit: claim("commit"),
            reference: claim("ref"),
            repository: claim("repository"),
            run_url: claim("run-url"),
            run_number: claim("run-number").and_then(|number| number.parse().ok()),
        }
    }

    fn revision(&self, version: &CommitId) -> Revision {
        let part = |before: &str, claim: Option<&String>| claim.map(|claim| format!("{before} {claim}"));
        let number = self.run_number.map(|number| number.to_string());
        let parts = [
            part("commit", self.commit.as_ref()),
            part("of", self.repository.as_ref()),
            part("at", self.reference.as_ref()),
            part("by run", number.as_ref()),
        ];
        let claims = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let message = if claims.is_empty() { "no claim of its origin".to_owned() } else { format!("claims {claims}") };
        let author = self.run_url.as_ref().map_or_else(|| "unknown".to_owned(), |url| format!("claims {url}"));
        Revision { commit: version.clone(), author, message }
    }
}

impl PolicyObject {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { bucket, last: Arc::default() }
    }

    /// Reads the current version, or a version by its id; `None` if there is none.
    async fn describe(&self, version: Option<&CommitId>) -> Result<Option<ObjectVersion>> {
        const OPERATION: &str = "s3:HeadObject";
        if let Some(known) = self.known().filter(|known| Some(&known.id) == version) {
            return Ok(Some(known));
        }
        let found = self.send(OPERATION, Method::HEAD, version).await;
        // An object whose current version is a delete marker does not exist either. A denial has the same status if the role may not
        // list the bucket, which it may.
        let Some(found) = optional(found, |error| error.kind == PortErrorKind::NotFound)? else { return Ok(None) };
        let headers = found.headers();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let id = header("x-amz-version-id").filter(|id| *id != "null");
        let id =
            id.ok_or_else(|| unexpected(OPERATION, "the object has no versions: enable versioning of the bucket"))?;
        let id = CommitId::parse(id).map_err(invalid(OPERATION))?;
        let size = header("content-length").and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| unexpected(OPERATION, "the response has no `content-length`"))?;
        let archive = self.known().filter(|known| known.id == id).and_then(|known| known.archive);
        let found = ObjectVersion { id, claims: Claims::read(headers), size, archive };
        self.remember(&found);
        Ok(Some(found))
    }

    async fn archive(&self, version: &CommitId) -> Result<Arc<Archive>> {
        const OPERATION: &str = "s3:GetObject";
        let found = self.describe(Some(version)).await?;
        let found = found.ok_or_else(|| failure(OPERATION, PortErrorKind::NotFound, "the version does not exist"))?;
        if let Some(archive) = found.archive {
            return Ok(archive);
        }
        let archive = if found.size > LARGEST_ARCHIVE {
            Err(PolicyArchive::too_large())
        } else {
            PolicyArchive::read(self.send(OPERATION, Method::GET, Some(version)).await?.into_body().into())
        };
        let archive = Arc::new(archive);
        self.remember(&ObjectVersion { archive: Some(Arc::clone(&archive)), ..found });
        Ok(archive)
    }

    async fn send(
        &self,
        operation: &'static str,
        method: Method,
        version: Option<&CommitId>,
    ) -> Result<Response<Bytes>> {
        // The characters of a version id need no encoding.
        let version = version.map(|version| format!("?versionId={version}")).unwrap_or_default();
        let key = format!("{OBJECT_KEY}{version}");
        let send = || self.bucket.send(operation, method.clone(), &key, Bytes::new());
        retried(WAITS.map(Duration::from_millis), send).await
    }

    /// The lock is never poisoned: no panic is possible while it is held.
    fn known(&self) -> Option<ObjectVersion> {
        self.last.lock().ok()?.clone()
    }

    fn remember(&self, version: &ObjectVersion) {
        if let Ok(mut last) = self.last.lock() {
            *last = Some(version.clone());
        }
    }
}

impl PolicyRepository for PolicyObject {
    async fn head(&self) -> Result<Option<CommitId>> {
        Ok(self.describe(None).await?.map(|found| found.id))
    }

    async fn file(&self, commit: &CommitId, path: &str) -> Result<RepositoryFile> {
        Ok(match &*self.archive(commit).await? {
            Ok(archive) => archive.file(path),
            Err(refusal) => RepositoryFile::Refused(refusal.clone()),
        })
    }

    async fn commit(&self, commit: &CommitId) -> Result<Revision> {
        // Deleted in between: the notice matters more than its origin.
        let found = self.describe(Some(commit)).await?;
        Ok(found.map(|found| found.claims).unwrap_or_default().revision(commit))
    }

    async fn comment(&self, _: &CommitId, _: &str) -> Result<()> {
        Err(unexpected("s3:PutObject", "an object has no comments: set `CommentOnCommits` to `disabled`"))
    }

    async fn order(&self, commit: &CommitId) -> Result<RevisionOrder> {
        let found = self.describe(Some(commit)).await?;
        Ok(RevisionOrder::ClaimedRun(found.and_then(|found| found.claims.run_number)))
    }
}

impl PolicyRepository for PolicyOrigin {
    async fn head(&self) -> Result<Option<CommitId>> {
        match self {
            Self::Branch(branch) => branch.head().await,
            Self::Object(object) => object.head().await,
        }
    }

    async fn file(&self, commit: &CommitId, path: &str) -> Result<RepositoryFile> {
        match self {
            Self::Branch(branch) => branch.file(commit, path).await,
            Self::Object(object) => object.file(commit, path).await,
        }
    }

    async fn commit(&self, commit: &CommitId) -> Result<Revision> {
        match self {
            Self::Branch(branch) => branch.commit(commit).await,
            Self::Object(object) => object.commit(commit).await,
        }
    }

    async fn comment(&self, commit: &CommitId, text: &str) -> Result<()> {
        match self {
            Self::Branch(branch) => branch.comment(commit, text).await,
            Self::Object(object) => object.comment(commit, text).await,
        }
    }

    async fn order(&self, commit: &CommitId) -> Result<RevisionOrder> {
        match self {
            Self::Branch(branch) => branch.order(commit).await,
            Self::Object(object) => object.order(commit).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn claims(metadata: &[(&str, &[u8])]) -> Claims {
        let header = |(name, value): &(&str, &[u8])| {
            let name = HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes()).unwrap();
            (name, HeaderValue::from_bytes(value).unwrap())
        };
        Claims::read(&metadata.iter().map(header).collect())
    }

    #[test]
    fn origin_is_shown_as_claimed() {
        let version = CommitId::parse("tHXxZN9d_Hx.P0Gk3-d").unwrap();
        let whole = claims(&[
            ("commit", b"7f0103f1"),
            ("ref", b"refs/heads/main"),
            ("repository", b"github.com/acme/backup-frameworks"),
            ("run-url", b"https://github.com/acme/backup-frameworks/actions/runs/1"),
            ("run-number", b"42"),
        ]);
        let revision = whole.revision(&version);
        let message = "claims commit 7f0103f1 of github.com/acme/backup-frameworks at refs/heads/main by run 42";
        assert_eq!((revision.message.as_str(), &revision.commit), (message, &version));
        assert_eq!(revision.author, "claims https://github.com/acme/backup-frameworks/actions/runs/1");
        // Values that are not text or not a number claim nothing.
        let odd = claims(&[("commit", b" "), ("ref", b"\xff"), ("run-number", b"-1"), ("run-url", b"")]);
        assert_eq!(odd, Claims::default());
        let revision = odd.revision(&version);
        assert_eq!((revision.message.as_str(), revision.author.as_str()), ("no claim of its origin", "unknown"));
    }
}
