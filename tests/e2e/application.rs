//! The application without `sam`: the resources of template.yaml, created by calls, and functions that are started one
//! by one.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use app::deploy::{ControlVariant, PublishedFramework};
use domain::policy::Reporting;
use domain::violation::ViolationRecord;
use framework::ids::{AccountId, RegionName, StackSetName};
use runtime_api::{Function, InvocationOutcome, Launch};
use sandbox::aging::move_state_back;
use sandbox::client::CloudClient;
use sandbox::cloud::{LocalCloud, Options};
use sandbox::config::AGGREGATOR;
use sandbox::events::samples;
use sandbox::http::HttpRequest;
use sandbox::journal::Mark;
use sandbox::tools::Tools;
use sandbox::wait::{self, Observation};
use sandbox::wire;

use crate::binaries::{program, workspace};

pub(crate) const TABLE: &str = "state";
pub(crate) const BUCKET: &str = "templates";
pub(crate) const STACK_SET: &str = "backup-compliance";

/// A cloud with the resources that the functions need, and a clone of the policy repository.
pub(crate) struct DeployedApplication {
    pub(crate) cloud: LocalCloud,
    pub(crate) client: CloudClient,
    pub(crate) topic: String,
    pub(crate) notices: String,
    pub(crate) deploy_queue: String,
    pub(crate) report_queue: String,
    pub(crate) report_dead_letters: String,
    work: PathBuf,
    runtime: Runtime,
    /// The age in hours that is subtracted from the times in its state.
    aged: Cell<i64>,
    /// The output of the functions, oldest line first.
    log: Arc<Mutex<Vec<String>>>,
}

/// The text of a file of the repository.
pub(crate) fn file(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"))
}

/// A sample event, by its path in `events/`, with its times moved to the present.
pub(crate) fn event(name: &str) -> Value {
    samples::read(&workspace().join("events").join(name)).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The event in the only message of a sample batch.
pub(crate) fn bare(name: &str) -> Value {
    serde_json::from_str(event(name)["Records"][0]["body"].as_str().unwrap()).unwrap()
}

/// The response to SQS if every message was processed, and if some failed.
pub(crate) fn failures(ids: &[&str]) -> Value {
    json!({"batchItemFailures": ids.iter().map(|id| json!({"itemIdentifier": id})).collect::<Vec<_>>()})
}

impl DeployedApplication {
    /// StackSet operations end when they are accepted, without waiting.
    pub(crate) fn start() -> Self {
        Self::start_with(Duration::ZERO)
    }

    /// StackSet operations take some time.
    pub(crate) fn start_with(operation_delay: Duration) -> Self {
        let tools = Tools::ensure(&workspace(), &mut |_| {}).unwrap();
        let cloud = LocalCloud::start(&tools, Options { operation_delay, ..Options::default() }).unwrap();
        let client = cloud.client();
        create_table(&client);
        assert!(client.send("s3", HttpRequest::new("PUT", &format!("/{BUCKET}"))).unwrap().is_success());
        let created = client.query("sns", "CreateTopic", &[("Name", "notices")]).unwrap();
        let topic = wire::xml_text(&created, "TopicArn").unwrap();
        let notices = client.subscribe_queue(&topic, "notices").unwrap();
        let attributes = json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"});
        let ask = json!({"QueueName": "deploy.fifo", "Attributes": attributes});
        let queue = client.json("sqs", "AmazonSQS.CreateQueue", &ask).unwrap();
        let [report_queue, report_dead_letters] = ["report", "report-dead-letters"].map(|name| {
            let queue = client.json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": name})).unwrap();
            queue["QueueUrl"].as_str().unwrap().to_owned()
        });
        let work = cloud.directory().join("tmp/work");
        std::fs::create_dir_all(&work).unwrap();
        let application = Self {
            deploy_queue: queue["QueueUrl"].as_str().unwrap().to_owned(),
            report_queue,
            report_dead_letters,
            runtime: Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
            cloud,
            client,
            topic,
            notices,
            work,
            aged: Cell::new(0),
            log: Arc::default(),
        };
        application.git(&["init", "--quiet", "-b", "main"]);
        application
    }

    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "core.autocrlf=false"];
        let output = Command::new("git").current_dir(&self.work).args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits and pushes files, `None` to remove one; returns the commit.
    pub(crate) fn push(&self, message: &str, files: &[(&str, Option<&[u8]>)]) -> String {
        self.push_to("main", message, files)
    }

    /// Commits on top of the local head and pushes to a branch; returns the commit.
    pub(crate) fn push_to(&self, branch: &str, message: &str, files: &[(&str, Option<&[u8]>)]) -> String {
        for (path, content) in files {
            match content {
                Some(content) => std::fs::write(self.work.join(path), content).unwrap(),
                None => std::fs::remove_file(self.work.join(path)).unwrap(),
            }
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        let to = format!("main:{branch}");
        self.git(&["push", "--quiet", self.cloud.repository_path().to_str().unwrap(), &to]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes the starter policy.
    pub(crate) fn push_starter(&self) -> String {
        let (policy, framework) = (file("framework/backup-compliance.yaml"), file("framework/framework.yaml"));
        let files =
            [("backup-compliance.yaml", Some(policy.as_bytes())), ("framework.yaml", Some(framework.as_bytes()))];
        self.push("Start with three controls", &files)
    }

    /// The variables of a function, as template.yaml sets them.
    pub(crate) fn settings(&self, function: &str) -> Vec<(&'static str, String)> {
        let text = |text: &str| text.to_owned();
        match function {
            "deploy" => vec![
                ("REPOSITORY_NAME", self.cloud.options().repository.clone()),
                ("BRANCH_NAME", text("main")),
                ("POLICY_FILE", text("backup-compliance.yaml")),
                ("STATE_TABLE_NAME", text(TABLE)),
                ("NOTIFICATION_TOPIC_ARN", self.topic.clone()),
                ("COMPLIANCE_EVENT_BUS_ARN", text("arn:aws:events:us-east-1:000000000000:event-bus/backup-compliance")),
                ("TEMPLATE_BUCKET_NAME", text(BUCKET)),
                ("DEPLOY_QUEUE_URL", self.deploy_queue.clone()),
                (
                    "ADMINISTRATION_ROLE_ARN",
                    text("arn:aws:iam::000000000000:role/AWSCloudFormationStackSetAdministrationRole"),
                ),
                ("EXECUTION_ROLE_NAME", text("AWSCloudFormationStackSetExecutionRole")),
                ("ORGANIZATIONAL_UNITS", text("enabled")),
                ("COMMENT_ON_COMMITS", text("disabled")),
            ],
            "inventory" => vec![
                ("CONFIG_AGGREGATOR_NAME", text(AGGREGATOR)),
                ("INVENTORY_ROLE_NAME", text("backup-compliance-inventory")),
                ("TEMPLATE_BUCKET_NAME", text(BUCKET)),
            ],
            "lifecycle" => {
                vec![("STATE_TABLE_NAME", text(TABLE)), ("DEPLOY_QUEUE_URL", self.deploy_queue.clone())]
            }
            "report" => vec![
                ("STATE_TABLE_NAME", text(TABLE)),
                ("NOTIFICATION_TOPIC_ARN", self.topic.clone()),
                ("REPORT_QUEUE_URL", self.report_queue.clone()),
                ("REPORT_DEAD_LETTER_QUEUE_URL", self.report_dead_letters.clone()),
                // No digest window: one event, one notice.
                ("DIGEST_WINDOW_SECONDS", text("0")),
                ("SECURITY_HUB", text("off")),
                ("CONFIG_AGGREGATOR_NAME", text(AGGREGATOR)),
            ],
            "sweep" => vec![
                ("STATE_TABLE_NAME", text(TABLE)),
                ("NOTIFICATION_TOPIC_ARN", self.topic.clone()),
                ("SECURITY_HUB", text("off")),
                ("CONFIG_AGGREGATOR_NAME", text(AGGREGATOR)),
            ],
            "preview" => vec![
                ("REPOSITORY_NAME", self.cloud.options().repository.clone()),
                ("BRANCH_NAME", text("main")),
                ("POLICY_FILE", text("backup-compliance.yaml")),
                ("TEMPLATE_BUCKET_NAME", text(BUCKET)),
                ("PREVIEW_QUEUE_URL", self.deploy_queue.clone()),
                ("APPROVE_PULL_REQUESTS", text("enabled")),
            ],
            other => panic!("there is no function `{other}`"),
        }
    }

    /// Starts a function with its settings.
    pub(crate) fn function(&self, name: &str) -> FunctionProcess<'_> {
        self.launch(name, |launch| launch.envs(self.settings(name)))
    }

    /// Starts a function with changed or additional settings.
    pub(crate) fn function_with(&self, name: &str, settings: &[(&str, &str)]) -> FunctionProcess<'_> {
        let more = settings.iter().copied();
        self.launch(name, |launch| launch.envs(self.settings(name)).envs(more))
    }

    /// Starts a function after `prepare` has changed its launch.
    pub(crate) fn launch(&self, name: &str, prepare: impl FnOnce(Launch) -> Launch) -> FunctionProcess<'_> {
        let launch = Launch::new(program(name, &self.cloud.directory().join("tmp/functions")))
            .name(name)
            .envs(self.cloud.environment())
            .env("RUST_BACKTRACE", "0");
        let log = Arc::clone(&self.log);
        let launch = launch.on_line(move |line| log.lock().unwrap().push(line.to_owned()));
        let function = self.runtime.block_on(prepare(launch).start()).unwrap();
        FunctionProcess { application: self, function, name: name.to_owned(), mark: self.cloud.journal().mark() }
    }

    /// The notices that the topic received since the last call: `expected` ones and no more, each with its kind and
    /// document.
    pub(crate) fn take_notices(&self, expected: &[&str]) -> Vec<Value> {
        let mut documents: Vec<Value> = Vec::new();
        self.wait_for(&format!("{} notices {expected:?}", expected.len()), || {
            for body in self.client.sqs_receive(&self.notices, u32::from(documents.len() < expected.len()))? {
                let message: Value = serde_json::from_str(&body).unwrap();
                let document: Value = serde_json::from_str(message["Message"].as_str().unwrap()).unwrap();
                assert_eq!(message["MessageAttributes"]["kind"]["Value"], document["kind"]);
                documents.push(document);
            }
            Ok(wait::when(documents.len() >= expected.len(), || format!("{}: {documents:?}", documents.len())))
        });
        let mut kinds: Vec<&str> = documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, expected, "{documents:?}");
        documents
    }

    /// Polls until `poll` breaks with a value.
    ///
    /// # Panics
    /// If it never does: with the expectation, the last observation, and the end of the functions' log.
    pub(crate) fn wait_for<T>(&self, expected: &str, poll: impl FnMut() -> anyhow::Result<Observation<T>>) -> T {
        wait::until(expected, poll)
            .unwrap_or_else(|error| panic!("{error:#}{}", wait::tail("the functions", &self.log.lock().unwrap())))
    }

    /// The items of a partition of the state table, by the beginning of the key.
    pub(crate) fn items(&self, partition: &str) -> Vec<Value> {
        let mut items = self.client.scan(TABLE).unwrap();
        items.retain(|item| item["pk"]["S"].as_str().is_some_and(|key| key.starts_with(partition)));
        items
    }

    /// Ages the state, so that this number of hours have passed since the start.
    pub(crate) fn be_at(&self, hours: i64) {
        let more = hours - self.aged.replace(hours);
        assert!(more >= 0, "time does not run backwards");
        if more > 0 {
            move_state_back(&self.client, TABLE, SignedDuration::from_hours(more)).unwrap();
        }
    }

    /// Deletes the items of a partition.
    pub(crate) fn forget(&self, partition: &str) {
        for item in self.items(partition) {
            let ask = json!({"TableName": TABLE, "Key": {"pk": item["pk"], "sk": item["sk"]}});
            self.client.json("dynamodb", "DynamoDB_20120810.DeleteItem", &ask).unwrap();
        }
    }

    /// The stored violations.
    pub(crate) fn records(&self) -> Vec<ViolationRecord> {
        let items = self.items("violation#");
        items.iter().map(|item| serde_json::from_str(item["document"]["S"].as_str().unwrap()).unwrap()).collect()
    }

    /// Puts an item with a document.
    pub(crate) fn put(&self, partition: &str, sort: &str, document: &Value) {
        let item = json!({"pk": {"S": partition}, "sk": {"S": sort}, "document": {"S": document.to_string()}});
        let ask = json!({"TableName": TABLE, "Item": item});
        self.client.json("dynamodb", "DynamoDB_20120810.PutItem", &ask).unwrap();
    }

    /// Puts a framework in force, as `report` and `sweep` read it.
    pub(crate) fn in_force(&self, accounts: &[&str], regions: &[&str], controls: &[&str]) {
        let variant = ControlVariant {
            accounts: accounts.iter().map(|account| AccountId::parse(account).unwrap()).collect(),
            regions: regions.iter().map(|region| RegionName::parse(region).unwrap()).collect(),
            controls: controls.iter().map(|control| ((*control).to_owned(), [].into())).collect(),
            since: [].into(),
        };
        let facts = PublishedFramework { stack_set: StackSetName::parse(STACK_SET).unwrap(), variants: vec![variant] };
        self.put("framework", STACK_SET, &json!(facts));
    }

    /// Publishes the reporting settings of the policy.
    pub(crate) fn publish(&self, reporting: &Reporting) {
        self.put("framework", "#reporting", &json!(reporting));
    }

    /// Receives the messages of a queue with their attributes, in the form of a batch that Lambda delivers to a
    /// function. Waits up to `seconds` for the first.
    pub(crate) fn take_batch(&self, queue: &str, seconds: u32) -> Value {
        let ask = json!({
            "QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": seconds, "MessageAttributeNames": ["All"],
        });
        let answer = self.client.json("sqs", "AmazonSQS.ReceiveMessage", &ask).unwrap();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        let records = messages.iter().map(|message| {
            let delete = json!({"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]});
            self.client.json("sqs", "AmazonSQS.DeleteMessage", &delete).unwrap();
            let attributes = message["MessageAttributes"].as_object().cloned().unwrap_or_default();
            let attributes = attributes.into_iter().map(|(name, value)| {
                (name, json!({"stringValue": value["StringValue"], "dataType": value["DataType"]}))
            });
            json!({
                "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
                "attributes": {}, "messageAttributes": attributes.collect::<serde_json::Map<_, _>>(),
                "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:queue", "awsRegion": "us-east-1",
            })
        });
        json!({"Records": records.collect::<Vec<_>>()})
    }

    /// The instances of the StackSet, as `account/region status`.
    pub(crate) fn instances(&self) -> Vec<String> {
        let xml = self.client.query("cloudformation", "ListStackInstances", &[("StackSetName", STACK_SET)]).unwrap();
        let mut instances: Vec<String> = wire::xml_elements(&xml, "member")
            .into_iter()
            .filter_map(|member| {
                let text = |name: &str| wire::xml_text(member, name);
                Some(format!("{}/{} {}", text("Account")?, text("Region")?, text("Status")?))
            })
            .collect();
        instances.sort();
        instances
    }

    /// Stops the cloud; no process may be left.
    pub(crate) fn stop(self) {
        assert_eq!(self.cloud.stop(), []);
    }
}

fn create_table(client: &CloudClient) {
    let text = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let keys = |hash: &str, range: &str| json!([{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}]);
    let index = |name: &str, hash: &str, range: &str| json!({"IndexName": name, "KeySchema": keys(hash, range), "Projection": {"ProjectionType": "ALL"}});
    let attributes = ["pk", "sk", "pending_group", "pending_since", "open_account", "open_since"];
    let table = json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes.map(text),
        "KeySchema": keys("pk", "sk"),
        "GlobalSecondaryIndexes": [
            index("pending", "pending_group", "pending_since"),
            index("open", "open_account", "open_since"),
        ],
    });
    client.json("dynamodb", "DynamoDB_20120810.CreateTable", &table).unwrap();
}

/// A running function.
pub(crate) struct FunctionProcess<'a> {
    application: &'a DeployedApplication,
    function: Function,
    name: String,
    mark: Mark,
}

impl FunctionProcess<'_> {
    /// Invokes it with an event.
    pub(crate) fn invoke(&mut self, event: &Value) -> InvocationOutcome {
        self.invoke_within(event, Duration::from_secs(60))
    }

    /// Invokes it with an event and a deadline.
    pub(crate) fn invoke_within(&mut self, event: &Value, time: Duration) -> InvocationOutcome {
        self.mark = self.application.cloud.journal().mark();
        self.application.runtime.block_on(self.function.invoke(event, time)).outcome
    }

    /// Invokes it with an event to which it must respond.
    pub(crate) fn answer(&mut self, event: &Value) -> Value {
        match self.invoke(event) {
            InvocationOutcome::Response(answer) => answer,
            other => panic!("{}: {other:?}\n{}", self.name, self.function.log().join("\n")),
        }
    }

    /// Invokes it with an event that it must reject; returns the error.
    pub(crate) fn refuse(&mut self, event: &Value) -> String {
        match self.invoke(event) {
            InvocationOutcome::Error { message, .. } => message,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    /// Its calls to AWS since its last event, in order: `service:Operation`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self.application.cloud.journal().calls_of(&self.name, self.mark);
        calls.into_iter().map(|call| format!("{}:{}", call.service, call.operation)).collect()
    }

    /// The calls that change a resource.
    pub(crate) fn changes(&self) -> Vec<String> {
        let calls = self.application.cloud.mutating_calls_of(&self.name, self.mark);
        calls.into_iter().map(|call| format!("{}:{}", call.service, call.operation)).collect()
    }

    /// The result of its start: an error if it ended.
    pub(crate) fn ready(&mut self) -> Result<(), InvocationOutcome> {
        self.application.runtime.block_on(self.function.ready()).map(drop)
    }

    /// Stops it and returns its output.
    pub(crate) fn stop(self) -> String {
        self.application.runtime.block_on(self.function.stop()).join("\n")
    }
}
