//! The local cloud: starts the servers and the gateway, and gives tests access to the emulators.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::backup::Backup;
use crate::client::CloudClient;
use crate::codecommit::CodeCommit;
use crate::config::{Config, Hidden, RecordedResource, RuleEvaluation};
use crate::events;
use crate::faults::{FaultInjector, InjectedFault};
use crate::gateway::{Backend, Gateway};
use crate::http::{self, HttpRequest};
use crate::journal::{Entry, Journal, Mark};
use crate::mailbox::{Mail, Mailbox};
use crate::member_services::MemberServices;
use crate::organization::Organizations;
use crate::process::{self, Guard, RunningProcess};
use crate::securityhub::SecurityHubEmulator;
use crate::stacksets::StackSets;
use crate::tools::Tools;

/// Options of [`LocalCloud::start`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The central account.
    pub account: String,
    /// The Region of the application.
    pub region: String,
    /// The policy repository, created empty.
    pub repository: String,
    /// How long a StackSet operation takes.
    pub operation_delay: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            repository: "backup-policy".to_owned(),
            operation_delay: Duration::from_millis(300),
        }
    }
}

/// A running cloud. Its processes and files are removed when it is dropped, or when this process ends in any way.
#[derive(Debug)]
pub struct LocalCloud {
    options: Options,
    directory: PathBuf,
    repository_path: PathBuf,
    ministack: SocketAddr,
    moto: SocketAddr,
    state: Arc<Backend>,
    gateway: Gateway,
    guard: Guard,
}

/// The access key of users and tools; functions have the account id as access key.
pub const ACCESS_KEY: &str = "test";

impl LocalCloud {
    /// Starts a cloud on free ports, with a new directory under `target/sandbox`.
    ///
    /// # Errors
    /// When a server does not start; the message has the end of its log.
    pub fn start(tools: &Tools, options: Options) -> Result<Self> {
        let id = process::new_id();
        let directory = tools.workspace.join("target/sandbox/clouds").join(&id);
        std::fs::create_dir_all(directory.join("tmp")).with_context(|| format!("create `{}`", directory.display()))?;
        let guard = Guard::start(&tools.python, &id, Some(&directory))?;
        let mut gateway = Gateway::bind()?;
        let url = format!("http://{}", gateway.address);
        let (ministack, moto) = servers(&guard, tools, &options, &directory, &url)?;
        let inside = CloudClient::new(ministack, ACCESS_KEY, &options.region);
        let codecommit = CodeCommit::new(&directory.join("repositories"), &options.account, &options.region);
        let repository_path = codecommit.create(&options.repository, &url, &tools.python)?;
        let organization = Arc::new(Organizations::new(&options.account));
        let state = Arc::new(Backend {
            account: options.account.clone(),
            region: options.region.clone(),
            ministack,
            inside: inside.clone(),
            journal: Journal::default(),
            faults: FaultInjector::default(),
            stacksets: Arc::new(StackSets::new(
                moto,
                inside,
                &options.account,
                &options.region,
                options.operation_delay,
                Arc::clone(&organization),
            )),
            codecommit,
            config: Config::new(&options.account, &options.region),
            backup: Backup::new(&tools.python),
            live: MemberServices::default(),
            organization,
            securityhub: SecurityHubEmulator::new(&options.account, &options.region),
            mailbox: Mailbox::default(),
            log: directory.join("gateway.log"),
        });
        gateway.serve(Arc::clone(&state))?;
        Ok(Self { options, directory, repository_path, ministack, moto, state, gateway, guard })
    }

    /// Returns the URL of the endpoint.
    pub fn url(&self) -> String {
        format!("http://{}", self.gateway.address)
    }

    /// Returns a client with the credentials of a user in the central account.
    pub fn client(&self) -> CloudClient {
        CloudClient::new(self.gateway.address, ACCESS_KEY, &self.options.region)
    }

    /// Returns the options that this cloud was started with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the id that marks the cloud's processes.
    pub fn id(&self) -> &str {
        self.guard.id()
    }

    /// Returns the ports of the gateway, MiniStack and moto.
    pub fn ports(&self) -> [u16; 3] {
        [self.gateway.address.port(), self.ministack.port(), self.moto.port()]
    }

    /// Returns the cloud's directory: `ministack.log`, `moto.log`, `gateway.log`, `repositories/`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the path of the policy repository, for `git push`.
    pub fn repository_path(&self) -> &Path {
        &self.repository_path
    }

    /// Creates another empty repository; returns the path to push to.
    pub fn create_repository(&self, name: &str, tools: &Tools) -> Result<PathBuf> {
        self.state.codecommit.create(name, &self.url(), &tools.python)
    }

    /// Returns the environment in which a program calls this cloud only, whatever the user's own AWS settings are.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.url(), &self.options.region)
    }

    /// Returns the journal of all requests.
    pub fn journal(&self) -> &Journal {
        &self.state.journal
    }

    /// Returns the mutating calls of a Lambda function (a part of its name) since a mark.
    pub fn mutating_calls_of(&self, function: &str, mark: Mark) -> Vec<Entry> {
        let mut calls = self.state.journal.calls_of(function, mark);
        calls.retain(|call| call.mutating);
        calls
    }

    /// Fails the next `times` calls of an operation, in the service's own wire format.
    pub fn fail_next(&self, service: &str, operation: &str, status: u16, code: &str, message: &str, times: u32) {
        self.state.faults.add(InjectedFault {
            service: service.to_owned(),
            operation: operation.to_owned(),
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            times,
        });
    }

    /// Removes the injected faults that did not occur yet.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Fails the next `times` StackSet operations in one account and Region, with this reason.
    pub fn fail_instance(&self, account: &str, region: &str, reason: &str, times: u32) {
        self.state.stacksets.fail_instance(account, region, reason, times);
    }

    /// Delivers an event to a bus (`default`, or the name or ARN of another); returns the rules it matched.
    pub fn deliver(&self, bus: &str, event: &Value) -> Result<Vec<String>> {
        events::deliver(&self.state.inside, bus, event)
    }

    /// Delivers events to a bus; returns the rules that matched any of them.
    pub fn deliver_all(&self, bus: &str, events: &[Value]) -> Result<Vec<String>> {
        events::deliver_all(&self.state.inside, bus, events)
    }

    /// Subscribes the mailbox to a topic, in place of an e-mail address.
    pub fn open_mailbox(&self, topic_arn: &str) -> Result<()> {
        self.state.mailbox.subscribe(&self.state.inside, topic_arn, &self.url())
    }

    /// Returns the received notices, oldest first.
    pub fn notices(&self) -> Vec<Mail> {
        self.state.mailbox.all()
    }

    /// Adds a resource to the recorded resources of AWS Config.
    pub fn add_resource(&self, resource: RecordedResource) {
        self.state.config.add(resource);
    }

    /// Removes a resource from the recorded resources of AWS Config.
    pub fn remove_resource(&self, account: &str, region: &str, resource_type: &str, resource_id: &str) {
        self.state.config.remove(account, region, resource_type, resource_id);
    }

    /// Returns AWS Config, to change its data and visibility.
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// Stores the result of a rule for a resource. Returns the event that Config sends if the result is new or
    /// changed. The caller delivers the event with [`LocalCloud::deliver`], or drops it.
    pub fn evaluate(&self, evaluation: &RuleEvaluation) -> Option<Value> {
        self.state.config.evaluate(evaluation)
    }

    /// Makes an account and Region a blind spot: the aggregator shows no data of it, and no role of the account can
    /// be assumed. `false` ends this.
    pub fn set_blind_spot(&self, account: &str, region: &str, blind: bool) {
        self.state.config.set_hidden(account, region, blind.then_some(Hidden::Everything));
        self.state.organization.set_assume_role_allowed(account, !blind);
    }

    /// Sets whether roles of an account can be assumed; all can at the start.
    pub fn set_assume_role_allowed(&self, account: &str, open: bool) {
        self.state.organization.set_assume_role_allowed(account, open);
    }

    /// Adds an account to the organization under a name, or changes its name.
    pub fn add_account(&self, account: &str, name: &str) {
        self.state.organization.add_account(account, name);
        self.state.account_moved(account);
    }

    /// Moves an account to a unit; auto-deployment of StackSets follows.
    pub fn move_account(&self, account: &str, unit: &str) {
        self.state.organization.move_account(account, unit);
        self.state.account_moved(account);
    }

    /// Removes an account from the organization; auto-deployment of StackSets follows.
    pub fn remove_account(&self, account: &str) {
        self.state.organization.remove_account(account);
        self.state.account_moved(account);
    }

    /// Suspends an account, or ends its suspension: StackSets skip suspended accounts.
    pub fn set_suspended(&self, account: &str, suspended: bool) {
        self.state.organization.set_suspended(account, suspended);
    }

    /// Creates an organizational unit below another one or the root; returns its id.
    pub fn create_unit(&self, parent: &str, name: &str) -> String {
        self.state.organization.create_unit(parent, name)
    }

    /// Makes another account the management account, and the central account a delegated administrator of StackSets.
    pub fn set_management_account(&self, management_account: &str) {
        self.state.organization.set_management_account(management_account);
    }

    /// Sets whether StackSets has trusted access to the organization; it has at the start.
    pub fn set_trusted_access(&self, trusted: bool) {
        self.state.organization.set_trusted_access(trusted);
    }

    /// Sets whether an account has the execution role of self-managed StackSets; all accounts have it at the start.
    pub fn set_execution_role(&self, account: &str, there: bool) {
        self.state.stacksets.set_execution_role(account, there);
    }

    /// Returns the comments on commits of a repository, oldest first: the commit and the text.
    pub fn comments(&self, repository: &str) -> Vec<(String, String)> {
        self.state.codecommit.comments(repository)
    }

    /// Returns the comments of a pull request, oldest first: the line, if any, and the text.
    pub fn pull_request_comments(&self, id: &str) -> Vec<(Option<u64>, String)> {
        self.state.codecommit.pull_request_comments(id)
    }

    /// Makes another principal the author of a pull request or comment: all callers but the functions are one.
    pub fn set_author(&self, id: &str, author: &str) {
        self.state.codecommit.set_author(id, author);
    }

    /// Enables or disables Security Hub; it is enabled at the start where the application is.
    pub fn set_security_hub(&self, account: &str, region: &str, on: bool) {
        if on {
            self.state.securityhub.enable(account, region);
        } else {
            self.state.securityhub.disable(account, region);
        }
    }

    /// Returns the findings of all accounts and Regions.
    pub fn findings(&self) -> Vec<Value> {
        self.state.securityhub.findings()
    }

    /// Returns AWS Backup of the member accounts, to change its data.
    pub fn member_services(&self) -> &MemberServices {
        &self.state.live
    }

    /// Returns the Audit Manager frameworks of a member account in a Region, in the shape of `DescribeFramework`.
    pub fn frameworks(&self, account: &str, region: &str) -> Result<Vec<Value>> {
        self.state.backup.frameworks(account, region, &self.state.stacksets)
    }

    /// Returns the running processes of this cloud.
    pub fn running(&self) -> Vec<RunningProcess> {
        process::running(self.id())
    }

    /// Keeps the directory with the logs when the cloud stops.
    pub fn keep_directory(&self) {
        self.guard.keep_directory();
    }

    /// Stops all processes; returns those that are still running.
    #[must_use = "remaining processes are an error"]
    pub fn stop(self) -> Vec<RunningProcess> {
        self.guard.stop()
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }
}

fn environment(url: &str, region: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", url.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY.to_owned()),
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_PAGER", String::new()),
    ]
}

/// Sets the cloud's environment and removes the variables that override it.
pub(crate) fn set_environment<'a>(command: &'a mut Command, url: &str, region: &str) -> &'a mut Command {
    let overruling = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| {
        name.starts_with("AWS_ENDPOINT_URL_")
            || matches!(name.as_str(), "AWS_PROFILE" | "AWS_DEFAULT_PROFILE" | "AWS_SESSION_TOKEN" | "AWS_CA_BUNDLE")
    });
    for name in overruling {
        command.env_remove(name);
    }
    for proxy in ["HTTP_PROXY", "http_proxy"] {
        command.env_remove(proxy);
    }
    command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    command.envs(environment(url, region))
}

/// Starts both emulators and waits until they answer; tries other ports when another process takes one first.
fn servers(
    guard: &Guard,
    tools: &Tools,
    options: &Options,
    directory: &Path,
    url: &str,
) -> Result<(SocketAddr, SocketAddr)> {
    let mut attempt = 1;
    loop {
        match start_servers(guard, tools, options, directory, url) {
            Err(_) if attempt < 3 => attempt += 1,
            other => return other,
        }
    }
}

fn start_servers(
    guard: &Guard,
    tools: &Tools,
    options: &Options,
    directory: &Path,
    url: &str,
) -> Result<(SocketAddr, SocketAddr)> {
    let (ministack, moto) = (process::free_port()?, process::free_port()?);
    let temporary = directory.join("tmp");
    let mut command = Command::new(&tools.ministack);
    set_environment(&mut command, url, &options.region)
        .current_dir(directory)
        .env("TMPDIR", &temporary)
        .env("STATE_DIR", directory.join("state"))
        .env("S3_DATA_DIR", directory.join("s3"))
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", ministack.port().to_string())
        .env("MINISTACK_ACCOUNT_ID", &options.account)
        .env("MINISTACK_REGION", &options.region)
        .env("LAMBDA_EXECUTOR", "local")
        .env("SFTP_ENABLED", "0")
        .env("IOT_MTLS_ENABLED", "0")
        .env("LOG_LEVEL", "INFO");
    let ministack_log = directory.join("ministack.log");
    let mut ministack_process = process::spawn_logged(guard, &mut command, &ministack_log)?;
    let mut command = Command::new(&tools.moto_server);
    set_environment(&mut command, url, &options.region)
        .current_dir(directory)
        .env("TMPDIR", &temporary)
        .env("MOTO_ACCOUNT_ID", &options.account)
        .args(["-H", "127.0.0.1", "-p", &moto.port().to_string()]);
    let moto_log = directory.join("moto.log");
    let mut moto_process = process::spawn_logged(guard, &mut command, &moto_log)?;
    await_server("MiniStack", ministack, "/_ministack/health", &mut ministack_process, &ministack_log)?;
    await_server("moto", moto, "/moto-api/", &mut moto_process, &moto_log)?;
    reap(ministack_process);
    reap(moto_process);
    Ok((ministack, moto))
}

fn await_server(name: &str, server: SocketAddr, path: &str, process: &mut Child, log: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let tail = || {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.lines().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    };
    loop {
        if let Some(status) = process.try_wait()? {
            bail!("{name} exited during its start ({status}):\n{}", tail());
        }
        if http::send(server, &HttpRequest::new("GET", path)).is_ok_and(|response| response.is_success()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{name} did not answer within 60 s:\n{}", tail());
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Waits for the process, so that it does not become a zombie.
fn reap(mut process: Child) {
    std::thread::spawn(move || process.wait());
}
