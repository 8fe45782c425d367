//! AWS, with the credentials, the Region and the endpoints that the AWS CLI would use.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::{Context as _, anyhow};
use app::inspect::Stacks as _;
use app::ports::{Clock as _, PortError, PortErrorKind};
use aws::{
    Clients, CloudFormationStackSets, CloudFormationStacks, CodeCommitRepository, ConfigAggregator, DeadLetterQueues,
    MemberBackups, NO_CREDENTIALS, OrganizationUnits, StateTable, SystemClock,
};
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;

use crate::output;
use crate::plain::shown;

/// The stack's name in every example and in the README.
pub(crate) const STACK: &str = "backup-compliance";

/// Options of every command that calls AWS, with the meaning that they have in the AWS CLI.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "AWS")]
pub(crate) struct Access {
    /// The profile with the credentials, instead of `AWS_PROFILE` and of credentials in the environment.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    profile: Option<String>,
    /// The Region that is called, instead of `AWS_REGION` and of the profile's.
    #[arg(long, value_name = "CODE", value_parser = NonEmptyStringValueParser::new())]
    region: Option<String>,
}

impl Access {
    /// The same options for a command of the AWS CLI, each with a space before it; `None` where a shell would read a value otherwise than
    /// it is meant.
    pub(crate) fn options(&self) -> Option<String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | '+');
        let mut options = String::new();
        for (name, value) in [("profile", &self.profile), ("region", &self.region)] {
            let Some(value) = value else { continue };
            if !value.chars().all(is_plain) {
                return None;
            }
            options.push_str(&format!(" --{name} {value}"));
        }
        Some(options)
    }
}

/// Clients of AWS.
#[derive(Debug)]
pub(crate) struct Cloud {
    clients: Clients,
}

impl Cloud {
    /// # Errors
    /// When there is no such profile.
    pub(crate) async fn connect(access: &Access) -> anyhow::Result<Self> {
        let access = aws::Access { profile: access.profile.clone(), region: access.region.clone() };
        let clients = Clients::at_terminal(&access).await.map_err(|error| anyhow!(shown(&error.to_string())))?;
        Ok(Self { clients })
    }

    pub(crate) fn queues(&self) -> DeadLetterQueues {
        DeadLetterQueues::new(self.clients.sqs())
    }

    pub(crate) fn state_table(&self, name: &str) -> StateTable {
        StateTable::new(self.clients.dynamodb(), name)
    }

    /// StackSets, to be looked at: a template is never staged, and no roles are ever named.
    pub(crate) fn stack_sets(&self) -> CloudFormationStackSets {
        CloudFormationStackSets::new(self.clients.cloudformation(), self.clients.template_bucket(""), "", "")
    }

    /// A branch of a repository in CodeCommit.
    pub(crate) fn repository(&self, name: &str, branch: &str) -> CodeCommitRepository {
        CodeCommitRepository::new(self.clients.codecommit(), name, branch)
    }

    /// The organizational units.
    pub(crate) fn units(&self) -> OrganizationUnits {
        self.clients.organizational_units(true)
    }

    /// The aggregator of this name.
    pub(crate) fn aggregator(&self, name: &str) -> ConfigAggregator {
        self.clients.patient_aggregator(name)
    }

    /// AWS Backup in member accounts, through the role of this name.
    pub(crate) fn member_backups(&self, role: &str) -> MemberBackups {
        self.clients.member_backups(role)
    }

    /// What the application's stack says of itself; `None` where there is no such stack.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(crate) async fn application(&self, stack: &str) -> Result<Option<Application>, PortError> {
        let _waiting = reading(stack);
        let stacks = CloudFormationStacks::new(self.clients.cloudformation());
        let Some(outputs) = stacks.outputs(stack).await? else { return Ok(None) };
        let parameters = stacks.parameters(stack).await?.unwrap_or_default();
        Ok(Some(Application { outputs: Outputs { stack: stack.to_owned(), outputs }, parameters }))
    }

    /// The outputs of the application's stack.
    ///
    /// # Errors
    /// When there is no such stack, or it cannot be asked.
    pub(crate) async fn outputs(&self, stack: &str) -> anyhow::Result<Outputs> {
        let waiting = reading(stack);
        let outputs = CloudFormationStacks::new(self.clients.cloudformation()).outputs(stack).await;
        drop(waiting);
        let outputs = outputs.map_err(|error| problem(&error))?.ok_or_else(|| {
            anyhow!(
                "there is no stack `{}` in this account and Region: name the application's with --stack",
                shown(stack)
            )
        })?;
        Ok(Outputs { stack: stack.to_owned(), outputs })
    }
}

fn reading(stack: &str) -> output::Waiting {
    let waiting = output::Waiting::new();
    waiting.on(format!("reading the stack `{}`", shown(stack)));
    waiting
}

/// The application's stack.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) outputs: Outputs,
    /// The values of its parameters.
    pub(crate) parameters: BTreeMap<String, String>,
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
    const EXPORT: &str = "`eval \"$(aws configure export-credentials --format env)\"`";
    // An error that is no service's answer ends with the whole of the SDK's insides.
    let insides = ["DispatchFailure", "TimeoutError", "ConstructionFailure", "ResponseError", "ServiceError"];
    let starts = insides.iter().filter_map(|name| error.message.find(&format!(" ({name}("))).min();
    let message = starts.and_then(|at| error.message.get(..at)).unwrap_or(&error.message);
    let message = message.strip_prefix("dispatch failure: other: ").unwrap_or(message);
    let says = |words: &str| error.code.is_none() && error.message.contains(words);
    if says("Missing Region") {
        return "no AWS Region is known: name the application's with --region or AWS_REGION, or a profile that has one"
            .to_owned();
    }
    if says("requires following cargo feature(s)") {
        return format!(
            "this program cannot sign in with the kind of profile that is named; let the AWS CLI do it: {EXPORT}"
        );
    }
    if let Some((_, reason)) = message.split_once(NO_CREDENTIALS).filter(|_| error.code.is_none()) {
        return shown(&format!("{NO_CREDENTIALS}{reason}"));
    }
    if says("CredentialsNotLoaded") || says("InvalidConfiguration(") || says("ProviderError(") {
        return format!(
            "{NO_CREDENTIALS}sign in and name the profile with --profile or AWS_PROFILE, set AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or take over those of the AWS CLI: {EXPORT}"
        );
    }
    let error = PortError { message: message.to_owned(), ..error.clone() };
    let advice = match error.code.as_deref() {
        Some("ExpiredToken" | "ExpiredTokenException" | "RequestExpired") => {
            Some("the credentials have expired: sign in again".to_owned())
        }
        Some("InvalidClientTokenId" | "UnrecognizedClientException" | "SignatureDoesNotMatch") => {
            Some("these credentials are not valid, or not in this Region's partition".to_owned())
        }
        // The port's own advice is for a function.
        _ if error.kind == PortErrorKind::Denied => {
            Some(format!("the credentials in use, or a policy above them, do not allow `{}`", error.operation))
        }
        _ => error.advice(),
    };
    shown(&advice.map_or_else(|| error.to_string(), |advice| format!("{error}; {advice}")))
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
            (
                error(None, "failed: Missing Region (DispatchFailure(..))", PortErrorKind::Retryable),
                "--region or AWS_REGION",
            ),
            (
                error(
                    None,
                    "io error: client error (Connect): refused (DispatchFailure(DispatchFailure { a }))",
                    PortErrorKind::Retryable,
                ),
                "sqs:ReceiveMessage failed: io error: client error (Connect): refused",
            ),
            (
                error(
                    None,
                    "dispatch failure: other: the credential provider was not enabled: no providers in chain provided \
                     credentials (DispatchFailure(CredentialsNotLoaded(..)))",
                    PortErrorKind::Retryable,
                ),
                "set AWS_ACCESS_KEY_ID and",
            ),
            (
                error(
                    None,
                    "dispatch failure: other: feature: This behavior requires following cargo feature(s) enabled: sso. (DispatchFailure(..))",
                    PortErrorKind::Retryable,
                ),
                "let the AWS CLI do it",
            ),
            (
                error(
                    None,
                    "dispatch failure: other: the host `a.b` cannot be reached: io error (DispatchFailure(..))",
                    PortErrorKind::Retryable,
                ),
                "sqs:ReceiveMessage failed: the host `a.b` cannot be reached: io error",
            ),
            (error(Some("ExpiredToken"), "old", PortErrorKind::Retryable), "sign in again"),
            (error(Some("InvalidClientTokenId"), "odd", PortErrorKind::Denied), "credentials are not valid"),
            (error(Some("AccessDenied"), "no", PortErrorKind::Denied), "do not allow `sqs:ReceiveMessage`"),
            (error(Some("Odd"), "a\nb\u{1b}[0m", refused), "sqs:ReceiveMessage failed: Odd: a\\nb\\u{1b}[0m"),
        ] {
            let line = explained(&error);
            assert!(line.contains(said), "{line}");
            assert!(!line.contains("Failure("), "{line}");
            assert!(!line.contains('\n') && !line.contains("role of this function"), "{line}");
        }
    }
}
