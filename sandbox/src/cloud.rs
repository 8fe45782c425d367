//! The whole local cloud: servers, gateway, stand-ins, and what tests ask of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::backup::Backup;
use crate::client::Client;
use crate::codecommit::CodeCommit;
use crate::config::{Config, Evaluation, Hidden, Resource};
use crate::events;
use crate::faults::{Fault, Faults};
use crate::gateway::{Gateway, State};
use crate::http::{self, Request};
use crate::journal::{Entry, Journal, Mark};
use crate::live::Live;
use crate::mailbox::{Mail, Mailbox};
use crate::organization::Organization;
use crate::process::{self, Guard, Running};
use crate::securityhub::SecurityHub;
use crate::stacksets::StackSets;
use crate::tools::Tools;

/// How a cloud is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// The central account.
    pub account: String,
    /// The Region of the application.
    pub region: String,
    /// The name of the policy repository, created empty.
    pub repository: String,
    /// How long an operation of a StackSet takes.
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

/// A running cloud. Everything of it is gone when this is dropped, or when this process ends in any way.
#[derive(Debug)]
pub struct Cloud {
    options: Options,
    directory: PathBuf,
    repository_path: PathBuf,
    ministack: SocketAddr,
    moto: SocketAddr,
    state: Arc<State>,
    gateway: Gateway,
    guard: Guard,
}

/// The access key of people and tools; functions have the account id instead.
pub const ACCESS_KEY: &str = "test";

impl Cloud {
    /// Starts a cloud of its own: free ports, a fresh directory under `target/sandbox`.
    ///
    /// # Errors
    /// When a server does not come up; the message has the end of its log.
    pub fn start(tools: &Tools, options: Options) -> Result<Self> {
        let id = process::new_id();
        let directory = tools.workspace.join("target/sandbox/clouds").join(&id);
        std::fs::create_dir_all(directory.join("tmp")).with_context(|| format!("create `{}`", directory.display()))?;
        let guard = Guard::start(&tools.python, &id, Some(&directory))?;
        let mut gateway = Gateway::bind()?;
        let url = format!("http://{}", gateway.address);
        let (ministack, moto) = servers(&guard, tools, &options, &directory, &url)?;
        let inside = Client::new(ministack, ACCESS_KEY, &options.region);
        let codecommit = CodeCommit::new(&directory.join("repositories"), &options.account, &options.region);
        let repository_path = codecommit.create(&options.repository, &url, &tools.python)?;
        let organization = Arc::new(Organization::new(&options.account));
        let state = Arc::new(State {
            account: options.account.clone(),
            region: options.region.clone(),
            ministack,
            inside: inside.clone(),
            journal: Journal::default(),
            faults: Faults::default(),
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
            live: Live::default(),
            organization,
            securityhub: SecurityHub::new(&options.account, &options.region),
            mailbox: Mailbox::default(),
            log: directory.join("gateway.log"),
        });
        gateway.serve(Arc::clone(&state))?;
        Ok(Self { options, directory, repository_path, ministack, moto, state, gateway, guard })
    }

    /// The address of the one endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.gateway.address)
    }

    /// A client of the endpoint, as a person with credentials of the central account.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.gateway.address, ACCESS_KEY, &self.options.region)
    }

    /// How this cloud was started.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The mark of the cloud's processes.
    #[must_use]
    pub fn id(&self) -> &str {
        self.guard.id()
    }

    /// The ports: gateway, MiniStack, moto.
    #[must_use]
    pub fn ports(&self) -> [u16; 3] {
        [self.gateway.address.port(), self.ministack.port(), self.moto.port()]
    }

    /// Where the cloud keeps its files: `ministack.log`, `moto.log`, `gateway.log`, `repositories/`.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The policy repository: `git push` to this path.
    #[must_use]
    pub fn repository_path(&self) -> &Path {
        &self.repository_path
    }

    /// Creates another empty repository; returns the path to push to.
    ///
    /// # Errors
    /// When git fails.
    pub fn create_repository(&self, name: &str, tools: &Tools) -> Result<PathBuf> {
        self.state.codecommit.create(name, &self.url(), &tools.python)
    }

    /// What makes a program talk to this cloud, and to nothing else, whatever the user's own AWS settings are.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.url(), &self.options.region)
    }

    /// The requests so far.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.state.journal
    }

    /// The changing calls of a Lambda function (a part of its name) since a mark.
    #[must_use]
    pub fn mutating_calls_of(&self, function: &str, mark: Mark) -> Vec<Entry> {
        let mut calls = self.state.journal.calls_of(function, mark);
        calls.retain(|call| call.mutating);
        calls
    }

    /// Refuses the next `times` calls of an operation as AWS would, in the service's own wire format.
    pub fn fail_next(&self, service: &str, operation: &str, status: u16, code: &str, message: &str, times: u32) {
        self.state.faults.add(Fault {
            service: service.to_owned(),
            operation: operation.to_owned(),
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            times,
        });
    }

    /// Forgets the faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Lets the next `times` StackSet operations fail in one account and Region, with this reason.
    pub fn fail_instance(&self, account: &str, region: &str, reason: &str, times: u32) {
        self.state.stacksets.fail_instance(account, region, reason, times);
    }

    /// Delivers an event to a bus (`default`, or the name or ARN of another); returns the rules it matched.
    ///
    /// # Errors
    /// When there is no such bus, or a target refuses the event.
    pub fn deliver(&self, bus: &str, event: &Value) -> Result<Vec<String>> {
        events::deliver(&self.state.inside, bus, event)
    }

    /// Delivers many events to a bus; returns the rules that took any of them.
    ///
    /// # Errors
    /// As [`Cloud::deliver`].
    pub fn deliver_all(&self, bus: &str, events: &[Value]) -> Result<Vec<String>> {
        events::deliver_all(&self.state.inside, bus, events)
    }

    /// Subscribes the mailbox to a topic, as a person would with an e-mail address.
    ///
    /// # Errors
    /// When the subscription is refused or not confirmed.
    pub fn open_mailbox(&self, topic_arn: &str) -> Result<()> {
        self.state.mailbox.subscribe(&self.state.inside, topic_arn, &self.url())
    }

    /// What has come into the mailbox, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.state.mailbox.all()
    }

    /// Adds a resource to what Config has recorded.
    pub fn add_resource(&self, resource: Resource) {
        self.state.config.add(resource);
    }

    /// Removes a resource from what Config has recorded.
    pub fn remove_resource(&self, account: &str, region: &str, resource_type: &str, resource_id: &str) {
        self.state.config.remove(account, region, resource_type, resource_id);
    }

    /// AWS Config, to set what it shows and what it does not.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// Lets a rule find something of a resource. Gives the event that Config sends when the result is another than before, or the
    /// first: [`Cloud::deliver`] it, or lose it.
    pub fn evaluate(&self, evaluation: &Evaluation) -> Option<Value> {
        self.state.config.evaluate(evaluation)
    }

    /// Makes an account and Region a blind spot: the aggregator shows nothing of it, and no role of the account can be assumed.
    /// With `false`, everything can be seen again.
    pub fn blind(&self, account: &str, region: &str, blind: bool) {
        self.state.config.hide(account, region, blind.then_some(Hidden::Everything));
        self.state.organization.open(account, !blind);
    }

    /// Whether roles of an account can be assumed, as they all can at first.
    pub fn let_in(&self, account: &str, open: bool) {
        self.state.organization.open(account, open);
    }

    /// Lets an account into the organisation under a name, or changes its name.
    pub fn join(&self, account: &str, name: &str) {
        self.state.organization.join(account, name);
        self.state.account_moved(account);
    }

    /// Moves an account into a unit; StackSets with auto-deployment follow.
    pub fn put_into(&self, account: &str, unit: &str) {
        self.state.organization.put(account, unit);
        self.state.account_moved(account);
    }

    /// Lets an account leave the organisation; StackSets with auto-deployment follow.
    pub fn leave(&self, account: &str) {
        self.state.organization.leave(account);
        self.state.account_moved(account);
    }

    /// Suspends an account, or takes that back: StackSets leave it alone meanwhile.
    pub fn suspend(&self, account: &str, suspended: bool) {
        self.state.organization.suspend(account, suspended);
    }

    /// Creates an organizational unit below another one or the root; gives its id.
    #[must_use]
    pub fn create_unit(&self, parent: &str, name: &str) -> String {
        self.state.organization.create_unit(parent, name)
    }

    /// Makes another account the organisation's management account, and the central account a delegated administrator of StackSets.
    pub fn delegate(&self, management_account: &str) {
        self.state.organization.delegate(management_account);
    }

    /// Whether StackSets may act in the organisation (trusted access), as they may at first.
    pub fn trusted_access(&self, trusted: bool) {
        self.state.organization.trust(trusted);
    }

    /// Whether an account has the execution role of self-managed StackSets, as they all have at first.
    pub fn execution_role(&self, account: &str, there: bool) {
        self.state.stacksets.execution_role(account, there);
    }

    /// Comments on commits of a repository, oldest first: the commit and the text.
    #[must_use]
    pub fn comments(&self, repository: &str) -> Vec<(String, String)> {
        self.state.codecommit.comments(repository)
    }

    /// Switches Security Hub on or off in an account and Region; at first it is on where the application is.
    pub fn security_hub(&self, account: &str, region: &str, on: bool) {
        if on {
            self.state.securityhub.enable(account, region);
        } else {
            self.state.securityhub.disable(account, region);
        }
    }

    /// Every finding of Security Hub, in all accounts and Regions.
    #[must_use]
    pub fn findings(&self) -> Vec<Value> {
        self.state.securityhub.findings()
    }

    /// AWS Backup in the member accounts, to set what is there.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.state.live
    }

    /// The Audit Manager frameworks of a member account in a Region, in the shape of `DescribeFramework`.
    ///
    /// # Errors
    /// When a deployed template cannot be read.
    pub fn frameworks(&self, account: &str, region: &str) -> Result<Vec<Value>> {
        self.state.backup.frameworks(account, region, &self.state.stacksets)
    }

    /// What still runs of this cloud.
    #[must_use]
    pub fn running(&self) -> Vec<Running> {
        process::running(self.id())
    }

    /// Leaves the directory with the logs in place when the cloud stops.
    pub fn keep_directory(&self) {
        self.guard.keep_directory();
    }

    /// Stops everything at once; returns what is still running: nothing, if all is well.
    #[must_use = "what is still running would be left behind"]
    pub fn stop(self) -> Vec<Running> {
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

/// Gives a program the environment of the cloud and takes away what would overrule it.
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

/// Starts both emulators and waits until they answer; with other ports when somebody was quicker to take one.
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
            bail!("{name} ended at once ({status}):\n{}", tail());
        }
        if http::send(server, &Request::new("GET", path)).is_ok_and(|response| response.is_success()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{name} did not answer within a minute:\n{}", tail());
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Collects the process when it ends, so that it does not stay behind as a zombie.
fn reap(mut process: Child) {
    std::thread::spawn(move || process.wait());
}
