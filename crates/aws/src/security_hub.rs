//! Findings of Security Hub.
//!
//! One plain request, signed by AWS's own signing crate. The SDK's client for Security Hub has types for the details of every
//! resource of AWS, which makes it by far the largest of all; the finding is JSON that we make ourselves.

use crate::error::{partial, unexpected};
use crate::https::Https;
use crate::members::Members;
use crate::signed::{Manner, Signer};
use app::ports::{PortError, PortErrorKind, Result};
use aws_credential_types::provider::SharedCredentialsProvider;
use domain::ids::AccountId;
use domain::notice::{FindingHome, Notice};
use futures_util::StreamExt;
use futures_util::stream::iter;
use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

const OPERATION: &str = "securityhub:BatchImportFindings";
/// `BatchImportFindings` takes at most 100 findings.
const BATCH: usize = 100;
/// And 6 MB in one request.
const BATCH_BYTES: usize = 5 * 1024 * 1024;
/// Waits between the attempts; one attempt more than there are waits.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// Security Hub.
#[derive(Debug, Clone)]
pub struct SecurityHub {
    https: Https,
    endpoint: Option<String>,
    partition: String,
    importer: Importer,
    deadline: Option<Instant>,
}

/// Who imports a finding. With the default product that must be the account that the finding names.
#[derive(Debug, Clone)]
pub(crate) enum Importer {
    /// The application's own account and Region, for the whole organisation.
    Central(FindingHome, Option<SharedCredentialsProvider>),
    /// The account and Region of the violation, through the role there.
    Member(Members),
}

/// The time for imports where the invocation has no deadline.
const DEFAULT_BUDGET: Duration = Duration::from_mins(1);

/// Findings of one home: which notice each is of, its id, and the finding as JSON.
type Findings = Vec<(usize, String, String)>;

/// Accounts served side by side. `BatchImportFindings` allows 10 calls a second in each account and Region ("Security Hub CSPM
/// quotas"), and an account has a few Regions, one after another.
const ACCOUNTS_AT_ONCE: usize = 16;

fn out_of_time() -> PortError {
    PortError { kind: PortErrorKind::OutOfTime, ..unexpected(OPERATION, "no time was left for it") }
}

impl SecurityHub {
    pub(crate) fn new(https: Https, endpoint: Option<String>, partition: &str, importer: Importer) -> Self {
        Self { https, endpoint, partition: partition.to_owned(), importer, deadline: None }
    }

    /// The same, with no import after `deadline`. Findings that are late stay pending, and the next sweep imports them.
    pub(crate) fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Imports the finding of each notice that has one; the outcome of each notice, in order.
    pub(crate) async fn import(&self, notices: &[Notice]) -> Vec<Result<()>> {
        let mut outcomes = vec![Ok(()); notices.len()];
        let mut homes: BTreeMap<FindingHome, Findings> = BTreeMap::new();
        for (index, notice) in notices.iter().enumerate() {
            let Some(home) = self.home(notice) else { continue };
            let Some(finding) = notice.finding(&home) else { continue };
            let id = finding.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned();
            homes.entry(home).or_default().push((index, id, finding.to_string()));
        }
        let mut accounts: BTreeMap<AccountId, Vec<(FindingHome, Findings)>> = BTreeMap::new();
        for (home, findings) in homes {
            accounts.entry(home.account.clone()).or_default().push((home, findings));
        }
        let mut imports =
            iter(accounts.into_values().map(|homes| self.import_in_account(homes))).buffer_unordered(ACCOUNTS_AT_ONCE);
        while let Some(imported) = imports.next().await {
            for (index, outcome) in imported {
                if let Some(place) = outcomes.get_mut(index) {
                    *place = outcome;
                }
            }
        }
        outcomes
    }

    /// Imports findings in the Regions of one account, one after another: the first assumes the role for all of them. Gives the
    /// outcome of each notice, by its index.
    async fn import_in_account(&self, homes: Vec<(FindingHome, Findings)>) -> Vec<(usize, Result<()>)> {
        let mut outcomes = Vec::new();
        for (home, findings) in homes {
            let indexes: Vec<usize> = findings.iter().map(|(index, _, _)| *index).collect();
            let now = Instant::now();
            let deadline = self.deadline.unwrap_or_else(|| now + DEFAULT_BUDGET);
            let imported =
                if now < deadline { timeout_at(deadline, self.import_at(&home, findings)).await.ok() } else { None };
            match imported {
                Some(imported) => outcomes.extend(imported),
                None => outcomes.extend(indexes.into_iter().map(|index| (index, Err(out_of_time())))),
            }
        }
        outcomes
    }

    fn home(&self, notice: &Notice) -> Option<FindingHome> {
        match &self.importer {
            Importer::Central(home, _) => Some(home.clone()),
            Importer::Member(_) => notice.violation().map(|violation| {
                let (account, region) = (violation.key.account.clone(), violation.key.region.clone());
                FindingHome { account, region }
            }),
        }
    }

    async fn import_at(&self, home: &FindingHome, findings: Findings) -> Vec<(usize, Result<()>)> {
        let mut outcomes = Vec::new();
        // A finding is a state: of several with one id only the last is sent, and all share its outcome.
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        let mut notices: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, id, finding) in findings {
            notices.entry(id.clone()).or_default().push(index);
            last.insert(id, finding);
        }
        let signer = self.signer(home).await;
        for batch in batches(last) {
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
            Importer::Central(_, credentials) => credentials.clone(),
            Importer::Member(members) => {
                Some(SharedCredentialsProvider::new(members.credentials(&home.account).await?))
            }
        };
        Ok(Signer::new(credentials, "securityhub", home.region.as_str(), Manner::Usual))
    }

    /// Sends a batch, with a few attempts; the findings that were refused, by id.
    async fn send(
        &self,
        home: &FindingHome,
        signer: &Signer,
        batch: &[(String, String)],
    ) -> Result<BTreeMap<String, PortError>> {
        let address = match &self.endpoint {
            Some(endpoint) => format!("{}/findings/import", endpoint.trim_end_matches('/')),
            None => {
                format!("https://securityhub.{}.{}/findings/import", home.region, suffix(&self.partition))
            }
        };
        let body = Bytes::from(body(batch));
        let mut waits = WAITS.iter();
        loop {
            let headers = [("content-type", "application/json")];
            let request = signer.signed(OPERATION, Method::POST, &address, &headers, body.clone()).await?;
            match self.https.send(OPERATION, request).await {
                Ok(answer) => return failed(&answer),
                Err(error) if error.kind == PortErrorKind::Retryable => match waits.next() {
                    Some(wait) => sleep(*wait).await,
                    None => return Err(error),
                },
                // Security Hub is not enabled there: no permission would help.
                Err(error) if error.code.as_deref() == Some("InvalidAccessException") => {
                    return Err(PortError { kind: PortErrorKind::Refused, ..error });
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// In calls that are not too large.
fn batches(findings: BTreeMap<String, String>) -> Vec<Vec<(String, String)>> {
    let mut batches: Vec<Vec<(String, String)>> = Vec::new();
    let mut bytes = 0_usize;
    for (id, finding) in findings {
        let size = finding.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH && bytes.saturating_add(size) <= BATCH_BYTES => {
                bytes = bytes.saturating_add(size);
                batch.push((id, finding));
            }
            _ => {
                bytes = size;
                batches.push(vec![(id, finding)]);
            }
        }
    }
    batches
}

/// The findings are JSON already.
fn body(batch: &[(String, String)]) -> String {
    let findings: Vec<&str> = batch.iter().map(|(_, finding)| finding.as_str()).collect();
    format!("{{\"Findings\":[{}]}}", findings.join(","))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
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

/// The findings that an answer says were refused.
fn failed(answer: &[u8]) -> Result<BTreeMap<String, PortError>> {
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|error| unexpected(OPERATION, format!("an odd answer: {error}")))?;
    if answer.failed_count > 0 && answer.failed_findings.is_empty() {
        return Err(unexpected(
            OPERATION,
            format!("{} findings were refused, nobody knows which", answer.failed_count),
        ));
    }
    let failed = answer.failed_findings.into_iter();
    Ok(failed
        .map(|FailedFinding { id, error_code, error_message }| {
            (id, partial(OPERATION, &error_code, error_message.as_deref()))
        })
        .collect())
}

/// What host names of a partition end in.
pub(crate) fn suffix(partition: &str) -> &'static str {
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
    fn a_call_holds_a_hundred_findings_and_not_too_many_bytes() {
        let sizes = |count, size| batches(findings(count, size)).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(0, 10), [0; 0]);
        assert_eq!(sizes(201, 10), [100, 100, 1]);
        // Findings of the greatest size that there is.
        for batch in batches(findings(60, 240 * 1024)) {
            let sent = body(&batch);
            assert!(sent.len() < 6_000_000, "{}", sent.len());
            assert_eq!(
                serde_json::from_str::<Value>(&sent).unwrap()["Findings"].as_array().unwrap().len(),
                batch.len()
            );
        }
        // One that is larger than a call is AWS's to refuse.
        assert_eq!(sizes(3, BATCH_BYTES + 1), [1, 1, 1]);
    }

    #[test]
    fn refused_findings_are_told_by_their_ids() {
        let answer = br#"{"FailedCount":1,"SuccessCount":2,"FailedFindings":[{"Id":"b","ErrorCode":"InvalidInput","ErrorMessage":"no"}]}"#;
        let refused = failed(answer).unwrap();
        let error = &refused["b"];
        assert_eq!(refused.len(), 1);
        assert_eq!(
            (error.kind, error.code.as_deref(), error.message.as_str()),
            (PortErrorKind::Refused, Some("InvalidInput"), "no")
        );
        assert_eq!(failed(br#"{"FailedCount":0,"SuccessCount":2,"FailedFindings":[]}"#).unwrap(), BTreeMap::new());
        assert_eq!(failed(b"{}").unwrap(), BTreeMap::new());
        let retry = br#"{"FailedCount":1,"FailedFindings":[{"Id":"b","ErrorCode":"InternalError"}]}"#;
        assert_eq!(failed(retry).unwrap()["b"].kind, PortErrorKind::Retryable);
        for odd in [&br#"{"FailedCount":2}"#[..], b"", b"<html>", br#"{"FailedFindings":[{}]}"#] {
            assert!(failed(odd).is_err(), "{}", String::from_utf8_lossy(odd));
        }
    }

    #[test]
    fn hosts_end_in_what_their_partition_has() {
        assert_eq!(suffix("aws"), "amazonaws.com");
        assert_eq!(suffix("aws-us-gov"), "amazonaws.com");
        assert_eq!(suffix("aws-cn"), "amazonaws.com.cn");
    }
}
