//! The application without `sam`: what template.yaml makes, made by hand, and functions that are started one by one.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use app::deploy::{FrameworkFacts, Variant};
use domain::ids::{AccountId, RegionName, StackSetName};
use domain::policy::Reporting;
use domain::violation::Record;
use jiff::SignedDuration;
use sandbox::aging::age;
use sandbox::client::Client;
use sandbox::cloud::{Cloud, Options};
use sandbox::config::AGGREGATOR;
use sandbox::events::samples;
use sandbox::http::Request;
use sandbox::journal::Mark;
use sandbox::tools::Tools;
use sandbox::wait::{self, Observed};
use sandbox::wire;
use serde_json::{Value, json};
use testkit::runtime_api::{Function, Launch, Outcome};
use tokio::runtime::{Builder, Runtime};

use crate::binaries::{program, workspace};

pub(crate) const TABLE: &str = "state";
pub(crate) const BUCKET: &str = "templates";
pub(crate) const STACK_SET: &str = "backup-compliance";

/// A cloud with what the functions need, and a clone of the policy repository.
pub(crate) struct Application {
    pub(crate) cloud: Cloud,
    pub(crate) client: Client,
    pub(crate) topic: String,
    pub(crate) notices: String,
    pub(crate) deploy_queue: String,
    pub(crate) report_queue: String,
    pub(crate) report_dead_letters: String,
    work: PathBuf,
    runtime: Runtime,
    /// How many hours its state is older than it was written.
    aged: Cell<i64>,
    /// What the functions have written, oldest line first.
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

/// What a queue is told when every message was dealt with, and when some were not.
pub(crate) fn failures(ids: &[&str]) -> Value {
    json!({"batchItemFailures": ids.iter().map(|id| json!({"itemIdentifier": id})).collect::<Vec<_>>()})
}

impl Application {
    /// Operations are over when they are accepted: nothing has to be waited for.
    pub(crate) fn start() -> Self {
        Self::start_with(Duration::ZERO)
    }

    /// Operations take a while.
    pub(crate) fn start_with(operation_delay: Duration) -> Self {
        let tools = Tools::ensure(&workspace(), &mut |_| {}).unwrap();
        let cloud = Cloud::start(&tools, Options { operation_delay, ..Options::default() }).unwrap();
        let client = cloud.client();
        create_table(&client);
        assert!(client.send("s3", Request::new("PUT", &format!("/{BUCKET}"))).unwrap().is_success());
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
        for (path, content) in files {
            match content {
                Some(content) => std::fs::write(self.work.join(path), content).unwrap(),
                None => std::fs::remove_file(self.work.join(path)).unwrap(),
            }
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["push", "--quiet", self.cloud.repository_path().to_str().unwrap(), "main"]);
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
            "lifecycle" => {
                vec![("STATE_TABLE_NAME", text(TABLE)), ("DEPLOY_QUEUE_URL", self.deploy_queue.clone())]
            }
            "report" => vec![
                ("STATE_TABLE_NAME", text(TABLE)),
                ("NOTIFICATION_TOPIC_ARN", self.topic.clone()),
                ("REPORT_QUEUE_URL", self.report_queue.clone()),
                ("REPORT_DEAD_LETTER_QUEUE_URL", self.report_dead_letters.clone()),
                // Nothing is held: one event, one notice.
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
            other => panic!("there is no function `{other}`"),
        }
    }

    /// Starts a function with its settings.
    pub(crate) fn function(&self, name: &str) -> Running<'_> {
        self.launch(name, |launch| launch.envs(self.settings(name)))
    }

    /// Starts a function with other settings, or more of them.
    pub(crate) fn function_with(&self, name: &str, settings: &[(&str, &str)]) -> Running<'_> {
        let more = settings.iter().copied();
        self.launch(name, |launch| launch.envs(self.settings(name)).envs(more))
    }

    /// Starts a function with whatever `prepare` gives it beyond the cloud.
    pub(crate) fn launch(&self, name: &str, prepare: impl FnOnce(Launch) -> Launch) -> Running<'_> {
        let launch = Launch::new(program(name, &self.cloud.directory().join("tmp/functions")))
            .name(name)
            .envs(self.cloud.environment())
            .env("RUST_BACKTRACE", "0");
        let log = Arc::clone(&self.log);
        let launch = launch.on_line(move |line| log.lock().unwrap().push(line.to_owned()));
        let function = self.runtime.block_on(prepare(launch).start()).unwrap();
        Running { application: self, function, name: name.to_owned(), mark: self.cloud.journal().mark() }
    }

    /// What the topic was told since the last time, `expected` notices and no more; a kind each, the documents with them.
    pub(crate) fn take_notices(&self, expected: &[&str]) -> Vec<Value> {
        let mut documents: Vec<Value> = Vec::new();
        self.wait_for(&format!("{} notices {expected:?}", expected.len()), || {
            for body in self.client.sqs_take(&self.notices, u32::from(documents.len() < expected.len()))? {
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
    /// When it does not: with what was expected and observed, and the end of the functions' log.
    pub(crate) fn wait_for<T>(&self, expected: &str, poll: impl FnMut() -> anyhow::Result<Observed<T>>) -> T {
        wait::until(expected, poll)
            .unwrap_or_else(|error| panic!("{error:#}{}", wait::tail("the functions", &self.log.lock().unwrap())))
    }

    /// The items of a partition of the state table (the beginning of its key).
    pub(crate) fn items(&self, partition: &str) -> Vec<Value> {
        let mut items = self.client.scan(TABLE).unwrap();
        items.retain(|item| item["pk"]["S"].as_str().is_some_and(|key| key.starts_with(partition)));
        items
    }

    /// Lets time pass until so many hours after the start: the state ages.
    pub(crate) fn be_at(&self, hours: i64) {
        let more = hours - self.aged.replace(hours);
        assert!(more >= 0, "time does not run backwards");
        if more > 0 {
            age(&self.client, TABLE, SignedDuration::from_hours(more)).unwrap();
        }
    }

    /// Forgets the items of a partition.
    pub(crate) fn forget(&self, partition: &str) {
        for item in self.items(partition) {
            let ask = json!({"TableName": TABLE, "Key": {"pk": item["pk"], "sk": item["sk"]}});
            self.client.json("dynamodb", "DynamoDB_20120810.DeleteItem", &ask).unwrap();
        }
    }

    /// The violations on record.
    pub(crate) fn records(&self) -> Vec<Record> {
        let items = self.items("violation#");
        items.iter().map(|item| serde_json::from_str(item["document"]["S"].as_str().unwrap()).unwrap()).collect()
    }

    /// Puts an item with a document.
    pub(crate) fn put(&self, partition: &str, sort: &str, document: &Value) {
        let item = json!({"pk": {"S": partition}, "sk": {"S": sort}, "document": {"S": document.to_string()}});
        let ask = json!({"TableName": TABLE, "Item": item});
        self.client.json("dynamodb", "DynamoDB_20120810.PutItem", &ask).unwrap();
    }

    /// Puts a framework in force, as far as `report` and `sweep` know.
    pub(crate) fn in_force(&self, accounts: &[&str], regions: &[&str], controls: &[&str]) {
        let variant = Variant {
            accounts: accounts.iter().map(|account| AccountId::parse(account).unwrap()).collect(),
            regions: regions.iter().map(|region| RegionName::parse(region).unwrap()).collect(),
            controls: controls.iter().map(|control| ((*control).to_owned(), [].into())).collect(),
            since: [].into(),
        };
        let facts = FrameworkFacts { stack_set: StackSetName::parse(STACK_SET).unwrap(), variants: vec![variant] };
        self.put("framework", STACK_SET, &json!(facts));
    }

    /// Publishes what the policy says about violations.
    pub(crate) fn publish(&self, reporting: &Reporting) {
        self.put("framework", "#reporting", &json!(reporting));
    }

    /// Takes the messages of a queue with their attributes, in the form in which Lambda hands a batch to a function; waits up to
    /// `seconds` for the first.
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

    /// The instances of the StackSet, `account/region status`.
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

    /// Ends the cloud; nothing may be left.
    pub(crate) fn stop(self) {
        assert_eq!(self.cloud.stop(), []);
    }
}

fn create_table(client: &Client) {
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

/// A function that runs.
pub(crate) struct Running<'a> {
    application: &'a Application,
    function: Function,
    name: String,
    mark: Mark,
}

impl Running<'_> {
    /// Gives it an event.
    pub(crate) fn invoke(&mut self, event: &Value) -> Outcome {
        self.invoke_within(event, Duration::from_secs(60))
    }

    /// Gives it an event and a deadline.
    pub(crate) fn invoke_within(&mut self, event: &Value, time: Duration) -> Outcome {
        self.mark = self.application.cloud.journal().mark();
        self.application.runtime.block_on(self.function.invoke(event, time)).outcome
    }

    /// Gives it an event that it must answer.
    pub(crate) fn answer(&mut self, event: &Value) -> Value {
        match self.invoke(event) {
            Outcome::Response(answer) => answer,
            other => panic!("{}: {other:?}\n{}", self.name, self.function.log().join("\n")),
        }
    }

    /// Gives it an event that it must refuse; what it says.
    pub(crate) fn refuse(&mut self, event: &Value) -> String {
        match self.invoke(event) {
            Outcome::Error { message, .. } => message,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    /// What it asked of AWS since its last event, in order: `service:Operation`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self.application.cloud.journal().calls_of(&self.name, self.mark);
        calls.into_iter().map(|call| format!("{}:{}", call.service, call.operation)).collect()
    }

    /// Those that change something.
    pub(crate) fn changes(&self) -> Vec<String> {
        let calls = self.application.cloud.mutating_calls_of(&self.name, self.mark);
        calls.into_iter().map(|call| format!("{}:{}", call.service, call.operation)).collect()
    }

    /// How its start went: an error if it ended.
    pub(crate) fn ready(&mut self) -> Result<(), Outcome> {
        self.application.runtime.block_on(self.function.ready()).map(drop)
    }

    /// Ends it; everything it wrote.
    pub(crate) fn stop(self) -> String {
        self.application.runtime.block_on(self.function.stop()).join("\n")
    }
}
