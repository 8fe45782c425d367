//! AWS, with the credentials, the Region and the endpoints that the SDK finds in the environment.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::{Context as _, anyhow};
use app::inspect::Stacks as _;
use app::ports::{Clock as _, PortError, PortErrorKind};
use aws::{Clients, CloudFormationStacks, DeadLetterQueues, StateTable, SystemClock};
use jiff::Timestamp;

use crate::plain::shown;

/// The stack's name in every example and in the README.
pub(crate) const STACK: &str = "backup-compliance";

/// Clients of AWS.
#[derive(Debug)]
pub(crate) struct Cloud {
    clients: Clients,
}

impl Cloud {
    pub(crate) async fn connect() -> Self {
        Self { clients: Clients::connect().await }
    }

    pub(crate) fn queues(&self) -> DeadLetterQueues {
        DeadLetterQueues::new(self.clients.sqs())
    }

    pub(crate) fn state_table(&self, name: &str) -> StateTable {
        StateTable::new(self.clients.dynamodb(), name)
    }

    /// The outputs of the application's stack.
    ///
    /// # Errors
    /// When there is no such stack, or it cannot be asked.
    pub(crate) async fn outputs(&self, stack: &str) -> anyhow::Result<Outputs> {
        let outputs = CloudFormationStacks::new(self.clients.cloudformation()).outputs(stack).await;
        let outputs = outputs.map_err(|error| problem(&error))?.ok_or_else(|| {
            anyhow!(
                "there is no stack `{}` in this account and Region: name the application's with --stack",
                shown(stack)
            )
        })?;
        Ok(Outputs { stack: stack.to_owned(), outputs })
    }
}

/// The outputs of a stack.
#[derive(Debug)]
pub(crate) struct Outputs {
    stack: String,
    outputs: BTreeMap<String, String>,
}

impl Outputs {
    #[cfg(test)]
    pub(crate) fn of(stack: &str, outputs: BTreeMap<String, String>) -> Self {
        Self { stack: stack.to_owned(), outputs }
    }

    /// One of them.
    ///
    /// # Errors
    /// When the stack has none of that name.
    pub(crate) fn get(&self, key: &str) -> anyhow::Result<String> {
        self.outputs.get(key).cloned().with_context(|| {
            format!(
                "the stack `{}` has no output `{key}`: it is not Backup Compliance's, or of another version",
                shown(&self.stack)
            )
        })
    }
}

/// Now.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// Does something that waits for AWS.
///
/// # Errors
/// Its own, and when no runtime can be started.
pub(crate) fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// An error of AWS in one line, with what would help a person at a terminal.
pub(crate) fn problem(error: &PortError) -> anyhow::Error {
    anyhow!(explained(error))
}

fn explained(error: &PortError) -> String {
    let says = |words: &[&str]| words.iter().any(|word| error.message.contains(word));
    let code = error.code.as_deref().unwrap_or_default();
    if error.code.is_none() && says(&["Missing Region", "MissingRegion"]) {
        return "no AWS Region is known: set AWS_REGION to the application's, or AWS_PROFILE to a profile that has one"
            .to_owned();
    }
    if error.code.is_none()
        && says(&[
            "CredentialsNotLoaded",
            "no providers in chain provided credentials",
            "credential provider was not enabled",
            "failed to load credentials",
            "InvalidConfiguration(InvalidConfiguration",
            "ProviderError",
        ])
    {
        return format!(
            "no AWS credentials can be had: sign in, then set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a \
             profile of IAM Identity Center: eval \"$(aws configure export-credentials --format env)\" ({})",
            cause(&error.message)
        );
    }
    if ["ExpiredToken", "ExpiredTokenException", "RequestExpired"].contains(&code) {
        return shown(&format!("{error}; the credentials have expired: sign in again"));
    }
    if ["InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"].contains(&code) {
        return shown(&format!("{error}; these credentials are not valid, or not in this Region's partition"));
    }
    if error.kind == PortErrorKind::Denied {
        return shown(&format!(
            "{error}; the credentials in use, or a policy above them, do not allow `{}`",
            error.operation
        ));
    }
    shown(&error.explained())
}

/// The sentence of the SDK's chain of causes that says the most: the last one, without the `Debug` form that follows it.
fn cause(message: &str) -> String {
    let sentence = message.split(" (").next().unwrap_or(message);
    shown(sentence.rsplit(": ").next().unwrap_or(sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Option<&str>, message: &str, kind: PortErrorKind) -> PortError {
        PortError {
            operation: "sqs:ReceiveMessage",
            code: code.map(str::to_owned),
            message: message.to_owned(),
            request_id: None,
            kind,
        }
    }

    #[test]
    fn an_error_says_in_one_line_what_would_help() {
        let refused = PortErrorKind::Refused;
        for (error, said) in [
            (error(None, "failed: Missing Region", PortErrorKind::Retryable), "set AWS_REGION"),
            (
                error(
                    None,
                    "dispatch failure: other: the credential provider was not enabled: no providers in chain provided \
                     credentials (CredentialsNotLoaded(..))",
                    PortErrorKind::Retryable,
                ),
                "AWS_PROFILE or AWS_ACCESS_KEY_ID",
            ),
            (error(Some("ExpiredToken"), "old", PortErrorKind::Retryable), "sign in again"),
            (error(Some("InvalidClientTokenId"), "odd", PortErrorKind::Denied), "credentials are not valid"),
            (error(Some("AccessDenied"), "no", PortErrorKind::Denied), "do not allow `sqs:ReceiveMessage`"),
            (error(Some("Odd"), "a\nb\u{1b}[0m", refused), "sqs:ReceiveMessage failed: Odd: a\\nb\\u{1b}[0m"),
        ] {
            let line = explained(&error);
            assert!(line.contains(said), "{line}");
            assert!(!line.contains('\n') && !line.contains("role of this function"), "{line}");
        }
    }
}
