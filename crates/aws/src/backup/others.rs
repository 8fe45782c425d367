//! Resources that AWS Config cannot query, from their own services: file systems of FSx, volumes of Storage Gateway
//! and virtual machines of Backup gateway.
//!
//! Plain signed requests: three lists of few fields do not justify three more SDK clients.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use serde_json::{Value, json};

use app::inventory::{InvalidRow, LocationRef, Rows};
use app::ports::{PortErrorKind, Result};
use evaluation::inventory::document::{Resource, ResourcePart};
use framework::ids::ResourceType;

use super::MemberBackups;
use crate::config::Pages;
use crate::error::unexpected;
use crate::signed::{JsonCall, Signer, SigningStyle};

/// Delays between the attempts at one call.
const WAITS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The list operation of a service.
#[derive(Debug)]
struct Service {
    kind: &'static str,
    /// In host names and signatures.
    name: &'static str,
    /// `X-Amz-Target` up to the operation.
    target: &'static str,
    content_type: &'static str,
    list: &'static str,
    /// The list in the response.
    items: &'static str,
    /// The page token in request and response.
    token: &'static str,
    arn: &'static str,
    id: Option<&'static str>,
    name_of: Option<&'static str>,
    /// The operation for tags, if the list has none, with its parameter for the ARN.
    tags: Option<(&'static str, &'static str)>,
}

const SERVICES: [Service; 3] = [
    Service {
        kind: "AWS::FSx::FileSystem",
        name: "fsx",
        target: "AWSSimbaAPIService_v20180301",
        content_type: "application/x-amz-json-1.1",
        list: "fsx:DescribeFileSystems",
        items: "FileSystems",
        token: "NextToken",
        arn: "ResourceARN",
        id: Some("FileSystemId"),
        name_of: None,
        tags: None,
    },
    Service {
        kind: "AWS::StorageGateway::Volume",
        name: "storagegateway",
        target: "StorageGateway_20130630",
        content_type: "application/x-amz-json-1.1",
        list: "storagegateway:ListVolumes",
        items: "VolumeInfos",
        token: "Marker",
        arn: "VolumeARN",
        id: Some("VolumeId"),
        name_of: None,
        tags: Some(("storagegateway:ListTagsForResource", "ResourceARN")),
    },
    Service {
        kind: "AWS::BackupGateway::VirtualMachine",
        name: "backup-gateway",
        target: "BackupOnPremises_v20210101",
        content_type: "application/x-amz-json-1.0",
        list: "backup-gateway:ListVirtualMachines",
        items: "VirtualMachines",
        token: "NextToken",
        arn: "ResourceArn",
        id: None,
        name_of: Some("Name"),
        tags: Some(("backup-gateway:ListTagsForResource", "ResourceArn")),
    },
];

/// Lists the resources of a type in a location.
pub(super) async fn read(members: &MemberBackups, at: LocationRef<'_>, kind: &'static str) -> Result<Rows<Resource>> {
    let service = SERVICES.iter().find(|service| service.kind == kind);
    let service =
        service.ok_or_else(|| unexpected("backup-compliance:inventory", format!("no service lists {kind}")))?;
    let client = ServiceClient::new(members, at, service).await?;
    let mut rows = Rows::default();
    let mut pages = Pages::of(service.list);
    while pages.more() {
        let question = pages.token().map_or_else(|| json!({}), |token| json!({service.token: token}));
        let answer = client.ask(service.list, &question).await?;
        let items = answer.get(service.items).and_then(Value::as_array);
        let items = items.ok_or_else(|| unexpected(service.list, format!("the response has no {}", service.items)))?;
        for item in items {
            match resource(service, at, item) {
                Some(resource) => rows.items.push(resource),
                None => rows.invalid.push(InvalidRow {
                    location: Some((at.account.clone(), at.region.clone())),
                    message: format!("{} returned a resource without an ARN", service.list),
                }),
            }
        }
        pages.turn(answer.get(service.token).and_then(Value::as_str))?;
    }
    if let Some((operation, arn)) = service.tags {
        let mut tagged = Vec::with_capacity(rows.items.len());
        for mut resource in rows.items {
            match client.tags(service, operation, arn, &resource.arn).await {
                Ok(tags) => resource.tags = tags,
                // Deleted since the list.
                Err(error) if error.kind == PortErrorKind::NotFound => continue,
                Err(error) => {
                    resource.unread.push(ResourcePart::Tags);
                    let message = format!("the tags of {} cannot be read: {error}", resource.arn);
                    rows.invalid.push(InvalidRow { location: Some((at.account.clone(), at.region.clone())), message });
                }
            }
            tagged.push(resource);
        }
        rows.items = tagged;
    }
    Ok(rows)
}

/// A service in one location.
struct ServiceClient<'a> {
    members: &'a MemberBackups,
    service: &'static Service,
    signer: Signer,
    address: String,
}

impl<'a> ServiceClient<'a> {
    async fn new(members: &'a MemberBackups, at: LocationRef<'_>, service: &'static Service) -> Result<Self> {
        let credentials = SharedCredentialsProvider::new(members.members.credentials(at.account).await?);
        let signer = Signer::new(Some(credentials), service.name, at.region.as_str(), SigningStyle::Standard);
        let address = members.endpoint.clone().unwrap_or_else(|| {
            let suffix = crate::security_hub::dns_suffix(&members.partition);
            format!("https://{}.{}.{suffix}/", service.name, at.region)
        });
        Ok(Self { members, service, signer, address })
    }

    /// Sends a request, with retries.
    async fn ask(&self, operation: &'static str, question: &Value) -> Result<Value> {
        let Service { target, content_type, .. } = *self.service;
        let call = JsonCall { operation, address: &self.address, target, content_type, waits: &WAITS };
        self.signer.json(&self.members.https, call, question).await
    }

    async fn tags(
        &self,
        service: &Service,
        operation: &'static str,
        name: &str,
        arn: &str,
    ) -> Result<BTreeMap<String, Option<String>>> {
        let mut found = BTreeMap::new();
        let mut pages = Pages::of(operation);
        while pages.more() {
            let mut question = json!({name: arn});
            if let (Some(token), Some(fields)) = (pages.token(), question.as_object_mut()) {
                fields.insert(service.token.to_owned(), token.into());
            }
            let answer = self.ask(operation, &question).await?;
            found.extend(tags(&answer));
            pages.turn(answer.get(service.token).and_then(Value::as_str))?;
        }
        Ok(found)
    }
}

fn tags(of: &Value) -> BTreeMap<String, Option<String>> {
    let tags = of.get("Tags").and_then(Value::as_array).into_iter().flatten();
    let pair = |tag: &Value| {
        let text = |name: &str| tag.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        Some((text("Key")?, text("Value")))
    };
    tags.filter_map(pair).collect()
}

fn resource(service: &Service, at: LocationRef<'_>, item: &Value) -> Option<Resource> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let created = item.get("CreationTime").and_then(Value::as_f64).filter(|seconds| seconds.abs() < 1e11);
    #[expect(clippy::cast_possible_truncation, reason = "fractions of a millisecond do not matter")]
    let created = created.and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok());
    Some(Resource {
        arn: text(service.arn)?.to_owned(),
        kind: ResourceType::parse(service.kind).ok()?,
        account: at.account.to_string(),
        region: at.region.to_string(),
        id: service.id.and_then(text).map(ToOwned::to_owned),
        name: service.name_of.and_then(text).map(ToOwned::to_owned),
        tags: tags(item),
        cluster: None,
        engine: text("FileSystemType").map(ToOwned::to_owned),
        encrypted: text("KmsKeyId").map(|_| true),
        created,
        active: true,
        unread: Vec::new(),
    })
}
