//! Imports findings into Security Hub, by signed requests without the SDK's client (`signed.rs` says why).

use std::collections::BTreeMap;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use futures_util::StreamExt;
use futures_util::stream::iter;
use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use app::ports::{PortError, PortErrorKind, Result};
use domain::notice::{FindingHome, Notice};
use framework::ids::AccountId;

use crate::batches::batches;
use crate::error::{failed_entry, failure, has_code, unexpected};
use crate::https::{Https, retried};
use crate::members::MemberAccounts;
use crate::signed::Signer;

const OPERATION: &str = "securityhub:BatchImportFindings";
/// Findings in one call: the limit of `BatchImportFindings`.
const BATCH: usize = 100;
/// Bytes in one call; the limit is 6 MB.
const BATCH_BYTES: usize = 5 * 1024 * 1024;
/// Pauses between attempts: there is one attempt more.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// Security Hub.
#[derive(Debug, Clone)]
pub struct SecurityHub {
    https: Https,
    endpoint: Option<String>,
    partition: String,
    importer: FindingImporter,
    deadline: Option<Instant>,
}

/// The account that imports a finding. Security Hub's default product accepts only findings of the calling account.
#[derive(Debug, Clone)]
pub(crate) enum FindingImporter {
    /// The application's account and Region, for the whole organization.
    Central(FindingHome, Option<SharedCredentialsProvider>),
    /// The account and Region of the violation, through the role in that account.
    Member(MemberAccounts),
}

/// Time for the imports of an invocation without a deadline.
const DEFAULT_BUDGET: Duration = Duration::from_mins(1);

/// Findings of one account and Region: the index of the notice, the id, and the finding as JSON.
type IndexedFindings = Vec<(usize, String, String)>;

/// Accounts served in parallel; the Regions of an account follow one another. `BatchImportFindings` allows 10 calls a second in
/// each account and Region ("Security Hub CSPM quotas").
const PARALLEL_ACCOUNTS: usize = 16;

impl SecurityHub {
    pub(crate) fn new(endpoint: Option<String>, partition: &str, importer: FindingImporter) -> Self {
        Self { https: Https::default(), endpoint, partition: partition.to_owned(), importer, deadline: None }
    }

    /// Returns a client that imports nothing after `deadline`. Later findings stay pending until the next sweep.
    pub(crate) fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Imports the finding of each notice that has one. Returns the outcome of each notice, in order.
    pub(crate) async fn import(&self, notices: &[Notice]) -> Vec<Result<()>> {
        let mut outcomes = vec![Ok(()); notices.len()];
        let mut accounts: BTreeMap<AccountId, BTreeMap<FindingHome, IndexedFindings>> = BTreeMap::new();
        for (index, notice) in notices.iter().enumerate() {
            let Some(home) = self.home(notice) else { continue };
            let Some(finding) = notice.finding(&home) else { continue };
            let id = finding.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let homes = accounts.entry(home.account.clone()).or_default();
            homes.entry(home).or_default().push((index, id, finding.to_string()));
        }
        let imports = accounts.into_values().map(|homes| self.import_in_account(homes));
        let mut imports = iter(imports).buffer_unordered(PARALLEL_ACCOUNTS);
        while let Some(imported) = imports.next().await {
            for (index, outcome) in imported {
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = outcome;
                }
            }
        }
        outcomes
    }

    /// Imports findings in the Regions of one account in sequence, so that the first assumes the role for all of them. Returns the
    /// outcomes by the index of the notice.
    async fn import_in_account(&self, homes: BTreeMap<FindingHome, IndexedFindings>) -> Vec<(usize, Result<()>)> {
        let mut outcomes = Vec::new();
        for (home, findings) in homes {
            let indexes: Vec<usize> = findings.iter().map(|(index, _, _)| *index).collect();
            let late = || failure(OPERATION, PortErrorKind::OutOfTime, "the invocation had no time left");
            let late = || indexes.iter().map(|index| (*index, Err(late()))).collect();
            let now = Instant::now();
            let deadline = self.deadline.unwrap_or_else(|| now + DEFAULT_BUDGET);
            // A timeout polls its future once, even after the deadline.
            let import = async { if now < deadline { Some(self.import_at(&home, findings).await) } else { None } };
            outcomes.extend(timeout_at(deadline, import).await.ok().flatten().unwrap_or_else(late));
        }
        outcomes
    }

    fn home(&self, notice: &Notice) -> Option<FindingHome> {
        match &self.importer {
            FindingImporter::Central(home, _) => Some(home.clone()),
            FindingImporter::Member(_) => notice.violation().map(|violation| {
                let (account, region) = (violation.key.account.clone(), violation.key.region.clone());
                FindingHome { account, region }
            }),
        }
    }

    async fn import_at(&self, home: &FindingHome, findings: IndexedFindings) -> Vec<(usize, Result<()>)> {
        let mut outcomes = Vec::new();
        // Of several findings with one id only the last, the current state, is sent. All share its outcome.
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        let mut notices: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, id, finding) in findings {
            notices.entry(id.clone()).or_default().push(index);
            last.insert(id, finding);
        }
        let signer = self.signer(home).await;
        for batch in batches(sized(last), BATCH, BATCH_BYTES) {
            let outcome = match &signer {
                Ok(signer) => self.send(home, signer, &batch).await,
                Err(error) => Err(error.clone()),
            };
            for (id, _) in batch {
                let outcome = match &outcome {
                    Ok(failed) => failed.get(&id).cloned().map_or(Ok(()), Err),
                    Err(error) => Err(error.clone()),
                };
                let indexes = notices.get(&id).into_iter().flatten();
                outcomes.extend(indexes.map(|index| (*index, outcome.clone())));
            }
        }
        outcomes
    }

    async fn signer(&self, home: &FindingHome) -> Result<Signer> {
        let credentials = match &self.importer {
            FindingImporter::Central(_, credentials) => credentials.clone(),
            FindingImporter::Member(members) => {
                Some(SharedCredentialsProvider::new(members.credentials(&home.account).await?))
            }
        };
        let (https, region) = (self.https.clone(), home.region.as_str());
        Ok(Signer::new(https, credentials, "securityhub", region))
    }

    /// Sends a batch, with retries. Returns the errors of rejected findings by their ids.
    async fn send(
        &self,
        home: &FindingHome,
        signer: &Signer,
        batch: &[(String, String)],
    ) -> Result<BTreeMap<String, PortError>> {
        let address = match &self.endpoint {
            Some(endpoint) => format!("{}/findings/import", endpoint.trim_end_matches('/')),
            None => format!("https://securityhub.{}.{}/findings/import", home.region, dns_suffix(&self.partition)),
        };
        let body = Bytes::from(body(batch));
        let headers = [("content-type", "application/json")];
        let response = retried(WAITS, || signer.send(OPERATION, Method::POST, &address, &headers, body.clone())).await;
        match response {
            Ok(response) => rejected(&response),
            // Security Hub is not enabled in this account and Region, so a permission would not help.
            Err(error) if error.kind != PortErrorKind::Retryable && has_code(&error, &["InvalidAccessException"]) => {
                Err(PortError { kind: PortErrorKind::Rejected, ..error })
            }
            Err(error) => Err(error),
        }
    }
}

fn sized(findings: BTreeMap<String, String>) -> impl Iterator<Item = (usize, (String, String))> {
    findings.into_iter().map(|(id, finding)| (finding.len(), (id, finding)))
}

fn body(batch: &[(String, String)]) -> String {
    let findings: Vec<&str> = batch.iter().map(|(_, finding)| finding.as_str()).collect();
    format!("{{\"Findings\":[{}]}}", findings.join(","))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImportResponse {
    #[serde(default)]
    failed_count: u64,
    #[serde(default)]
    failed_findings: Vec<FailedFinding>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailedFinding {
    id: String,
    #[serde(default)]
    error_code: String,
    error_message: Option<String>,
}

fn rejected(response: &[u8]) -> Result<BTreeMap<String, PortError>> {
    let response: ImportResponse = serde_json::from_slice(response)
        .map_err(|error| unexpected(OPERATION, format!("the response cannot be read: {error}")))?;
    if response.failed_count > 0 && response.failed_findings.is_empty() {
        let message = format!("{} findings were rejected, but the response does not name them", response.failed_count);
        return Err(unexpected(OPERATION, message));
    }
    let errors = response.failed_findings.into_iter().map(|FailedFinding { id, error_code, error_message }| {
        (id, failed_entry(OPERATION, &error_code, error_message.as_deref()))
    });
    Ok(errors.collect())
}

pub(crate) fn dns_suffix(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "amazonaws.com.cn",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(count: usize, size: usize) -> BTreeMap<String, String> {
        (0..count).map(|n| (format!("id-{n:04}"), format!("\"{}\"", "x".repeat(size)))).collect()
    }

    #[test]
    fn batches_respect_limits_of_count_and_bytes() {
        let sizes = |count, size| {
            batches(sized(findings(count, size)), BATCH, BATCH_BYTES).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(0, 10), [0; 0]);
        assert_eq!(sizes(201, 10), [100, 100, 1]);
        // The largest finding that Security Hub accepts has 240 KB.
        for batch in batches(sized(findings(60, 240 * 1024)), BATCH, BATCH_BYTES) {
            let sent = body(&batch);
            assert!(sent.len() < 6_000_000, "{}", sent.len());
            assert_eq!(
                serde_json::from_str::<Value>(&sent).unwrap()["Findings"].as_array().unwrap().len(),
                batch.len()
            );
        }
        // AWS rejects a finding that is larger than a call.
        assert_eq!(sizes(3, BATCH_BYTES + 1), [1, 1, 1]);
    }

    #[test]
    fn rejected_findings_are_returned_by_id() {
        let response = br#"{"FailedCount":1,"SuccessCount":2,"FailedFindings":[{"Id":"b","ErrorCode":"InvalidInput","ErrorMessage":"no"}]}"#;
        let errors = rejected(response).unwrap();
        let error = &errors["b"];
        assert_eq!(errors.len(), 1);
        assert_eq!(
            (error.kind, error.code.as_deref(), error.message.as_str()),
            (PortErrorKind::Rejected, Some("InvalidInput"), "no")
        );
        assert_eq!(rejected(br#"{"FailedCount":0,"SuccessCount":2,"FailedFindings":[]}"#).unwrap(), BTreeMap::new());
        assert_eq!(rejected(b"{}").unwrap(), BTreeMap::new());
        let retry = br#"{"FailedCount":1,"FailedFindings":[{"Id":"b","ErrorCode":"InternalError"}]}"#;
        assert_eq!(rejected(retry).unwrap()["b"].kind, PortErrorKind::Retryable);
        for odd in [&br#"{"FailedCount":2}"#[..], b"", b"<html>", br#"{"FailedFindings":[{}]}"#] {
            assert!(rejected(odd).is_err(), "{}", String::from_utf8_lossy(odd));
        }
    }

    #[test]
    fn dns_suffix_follows_partition() {
        assert_eq!(dns_suffix("aws"), "amazonaws.com");
        assert_eq!(dns_suffix("aws-us-gov"), "amazonaws.com");
        assert_eq!(dns_suffix("aws-cn"), "amazonaws.com.cn");
    }
}
