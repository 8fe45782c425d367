//! A local cloud and clients of the SDK for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::config::Credentials;
use serde_json::{Value, json};

use aws::Clients;
use sandbox::client::CloudClient;
use sandbox::cloud::{LocalCloud, Options};
use sandbox::tools::Tools;

/// A cloud for one test.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) cloud: LocalCloud,
    pub(crate) clients: Clients,
}

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

impl Local {
    pub(crate) async fn start() -> Self {
        let tools = Tools::ensure(&workspace(), &mut |_| {}).unwrap();
        // Long enough that a few calls meet a running operation.
        let options = Options { operation_delay: Duration::from_millis(1500), ..Options::default() };
        let cloud = LocalCloud::start(&tools, options).unwrap();
        Self { clients: clients_at(cloud.url(), &cloud.options().region).await, cloud }
    }

    /// Clients without state, as those of another execution environment.
    pub(crate) async fn new_clients(&self) -> Clients {
        clients_at(self.cloud.url(), &self.cloud.options().region).await
    }

    pub(crate) fn client(&self) -> CloudClient {
        self.cloud.client()
    }

    /// The operations of a service that were called since a mark.
    pub(crate) fn calls(&self, service: &str, mark: sandbox::journal::Mark) -> Vec<String> {
        let entries = self.cloud.journal().since(mark);
        entries.into_iter().filter(|entry| entry.service == service).map(|entry| entry.operation).collect()
    }

    /// The state table as `template.yaml` defines it.
    pub(crate) fn state_table(&self) -> &'static str {
        let table = "state";
        let client = self.client();
        client.json("dynamodb", "DynamoDB_20120810.CreateTable", &state_table(table)).unwrap();
        let ttl =
            json!({"TableName": table, "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": true}});
        client.json("dynamodb", "DynamoDB_20120810.UpdateTimeToLive", &ttl).unwrap();
        table
    }
}

fn state_table(name: &str) -> Value {
    let text = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let keys = |hash: &str, range: &str| json!([{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}]);
    let index = |name: &str, hash: &str, range: &str| json!({"IndexName": name, "KeySchema": keys(hash, range), "Projection": {"ProjectionType": "ALL"}});
    let attributes = ["pk", "sk", "pending_group", "pending_since", "open_account", "open_since"];
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes.map(text),
        "KeySchema": keys("pk", "sk"),
        "GlobalSecondaryIndexes": [
            index("pending", "pending_group", "pending_since"),
            index("open", "open_account", "open_since"),
        ],
    })
}

/// Clients of a server with scripted replies.
pub(crate) async fn clients_of(server: &crate::server::Server) -> Clients {
    clients_at(format!("http://{}", server.address()), "eu-west-1").await
}

async fn clients_at(url: String, region: &str) -> Clients {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .load()
        .await;
    Clients::from_config(config)
}
