//! AWS clients with the credentials, Region and endpoints that the AWS CLI would use.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::{Context as _, anyhow};
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;

use app::inspect::Stacks as _;
use app::ports::{Clock as _, PortError, PortErrorKind};
use aws::{Clients, CloudFormationStackSets, CloudFormationStacks, NO_CREDENTIALS, StateTable, SystemClock};

use crate::output;
use crate::plain::escaped;

/// The default name of the application's stack.
pub(crate) const STACK: &str = "backup-compliance";

/// Options of commands that call AWS, with the same meaning as in the AWS CLI.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "AWS")]
pub(crate) struct AwsOptions {
    /// Use this profile instead of `AWS_PROFILE` and credentials in the environment.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    profile: Option<String>,
    /// Use this Region instead of `AWS_REGION` and that of the profile.
    #[arg(long, value_name = "CODE", value_parser = NonEmptyStringValueParser::new())]
    region: Option<String>,
}

impl AwsOptions {
    /// The same options for a command of the AWS CLI, each after a space; `None` if a value needs quotes in a shell.
    pub(crate) fn options(&self) -> Option<String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | '+');
        let options = [("profile", self.profile.as_ref()), ("region", self.region.as_ref())];
        let options = options.into_iter().filter_map(|(name, value)| Some((name, value?)));
        options.map(|(name, value)| value.chars().all(is_plain).then(|| format!(" --{name} {value}"))).collect()
    }
}

pub(crate) async fn connect(access: &AwsOptions) -> anyhow::Result<Clients> {
    let access = aws::ProfileOptions { profile: access.profile.clone(), region: access.region.clone() };
    Clients::at_terminal(&access).await.map_err(|error| anyhow!(escaped(&error.to_string())))
}

/// StackSets, to be read only: without a template bucket and roles.
pub(crate) fn stack_sets(aws: &Clients) -> CloudFormationStackSets {
    CloudFormationStackSets::new(aws, aws.template_bucket(""), "", "")
}

/// Reads outputs and parameters of the application's stack; `None` if it does not exist.
pub(crate) async fn application(aws: &Clients, stack: &str) -> Result<Option<ApplicationStack>, PortError> {
    let _reading = reading(stack);
    let stacks = CloudFormationStacks::new(aws);
    let Some(outputs) = stacks.outputs(stack).await? else { return Ok(None) };
    let parameters = stacks.parameters(stack).await?.unwrap_or_default();
    Ok(Some(ApplicationStack { outputs: StackOutputs { stack: stack.to_owned(), outputs }, parameters }))
}

pub(crate) async fn outputs(aws: &Clients, stack: &str) -> anyhow::Result<StackOutputs> {
    let reading = reading(stack);
    let outputs = CloudFormationStacks::new(aws).outputs(stack).await;
    drop(reading);
    let outputs = outputs.map_err(aws_error)?.with_context(|| {
        let stack = escaped(stack);
        format!(
            "the stack `{stack}` does not exist in this account and Region: name the application's stack with --stack"
        )
    })?;
    Ok(StackOutputs { stack: stack.to_owned(), outputs })
}

fn reading(stack: &str) -> output::Steps {
    let steps = output::Steps::new();
    steps.at(format!("reading the stack `{}`", escaped(stack)));
    steps
}

/// Opens the state table: the named one, or that of the stack.
pub(crate) async fn state_table(aws: &Clients, table: Option<&str>, stack: &str) -> anyhow::Result<StateTable> {
    let table = match table {
        Some(table) => table.to_owned(),
        None => outputs(aws, stack).await?.get("StateTableName")?,
    };
    Ok(StateTable::new(aws, &table))
}

#[derive(Debug)]
pub(crate) struct ApplicationStack {
    pub(crate) outputs: StackOutputs,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl ApplicationStack {
    /// The bucket with the policy, unless it is in CodeCommit.
    pub(crate) fn policy_bucket(&self) -> Option<&str> {
        self.outputs.outputs.get("PolicyBucketName").map(String::as_str)
    }
}

#[derive(Debug)]
pub(crate) struct StackOutputs {
    pub(crate) stack: String,
    pub(crate) outputs: BTreeMap<String, String>,
}

impl StackOutputs {
    pub(crate) fn get(&self, key: &str) -> anyhow::Result<String> {
        self.outputs.get(key).cloned().with_context(|| {
            let stack = escaped(&self.stack);
            format!("the stack `{stack}` has no output `{key}`: it is not a stack of Backup Compliance, or of another version")
        })
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Formats an error of AWS in one line, with a fix for users of the command line.
pub(crate) fn aws_error(error: PortError) -> anyhow::Error {
    anyhow!(explained(&error))
}

fn explained(error: &PortError) -> String {
    const EXPORT: &str = "`eval \"$(aws configure export-credentials --format env)\"`";
    // An error that is not a service's response ends with debug output of the SDK.
    let debug_output = ["DispatchFailure", "TimeoutError", "ConstructionFailure", "ResponseError", "ServiceError"];
    let starts = debug_output.iter().filter_map(|name| error.message.find(&format!(" ({name}("))).min();
    let message = starts.and_then(|at| error.message.get(..at)).unwrap_or(&error.message);
    let message = message.strip_prefix("dispatch failure: other: ").unwrap_or(message);
    let contains = |words: &str| error.code.is_none() && error.message.contains(words);
    if contains("Missing Region") {
        return "no AWS Region is configured: set --region or AWS_REGION, or use a profile with a Region".to_owned();
    }
    if contains("requires following cargo feature(s)") {
        return format!(
            "this program does not support the sign-in method of the profile; use the AWS CLI for it: {EXPORT}"
        );
    }
    if let Some((_, reason)) = message.split_once(NO_CREDENTIALS).filter(|_| error.code.is_none()) {
        return escaped(&format!("{NO_CREDENTIALS}{reason}"));
    }
    if contains("CredentialsNotLoaded") || contains("InvalidConfiguration(") || contains("ProviderError(") {
        return format!(
            "{NO_CREDENTIALS}sign in and name the profile with --profile or AWS_PROFILE, set AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or export those of the AWS CLI: {EXPORT}"
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
        // `fix` is for the roles of functions.
        _ if error.kind == PortErrorKind::Denied => {
            Some(format!("the credentials in use, or a policy above them, do not allow `{}`", error.operation))
        }
        _ => error.fix(),
    };
    escaped(&advice.map_or_else(|| error.to_string(), |advice| format!("{error}; {advice}")))
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
    fn explained_errors_are_one_line_with_a_fix() {
        let refused = PortErrorKind::Rejected;
        for (error, expected) in [
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
                "use the AWS CLI for it",
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
            assert!(line.contains(expected), "{line}");
            assert!(!line.contains("Failure("), "{line}");
            assert!(!line.contains('\n') && !line.contains("role of this function"), "{line}");
        }
    }
}
