//! Resources that AWS Config cannot query, from their own services: file systems of FSx, volumes of Storage Gateway
//! and virtual machines of Backup gateway; and who manages a KMS key. Calls that return few fields do not justify four
//! more SDK clients.

use std::collections::BTreeMap;

use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use serde_json::{Value, json};

use app::inventory::Rows;
use app::ports::{PortErrorKind, Result};
use evaluation::inventory::document::{Resource, ResourcePart};
use framework::ids::{Location, ResourceType};

use super::MemberBackups;
use super::read::take;
use crate::error::unexpected;
use crate::pages::pages;
use crate::signed::{JsonCall, Signer};

/// Milliseconds between the attempts at one call.
const WAITS: [u64; 4] = [250, 500, 1_000, 2_000];

#[derive(Debug, Clone, Copy)]
struct Protocol {
    /// The service in host names and signatures.
    service: &'static str,
    /// `X-Amz-Target` up to the operation.
    target: &'static str,
    content_type: &'static str,
}

const KMS: Protocol = Protocol { service: "kms", target: "TrentService", content_type: "application/x-amz-json-1.1" };

#[derive(Debug)]
struct Service {
    kind: &'static str,
    protocol: Protocol,
    list: &'static str,
    /// The list in the response.
    items: &'static str,
    /// The page token in request and response.
    token: &'static str,
    /// The operation for tags, if the list has none, with its parameter for the ARN.
    tags: Option<(&'static str, &'static str)>,
}

const SERVICES: [Service; 3] = [
    Service {
        kind: "AWS::FSx::FileSystem",
        protocol: Protocol {
            service: "fsx",
            target: "AWSSimbaAPIService_v20180301",
            content_type: "application/x-amz-json-1.1",
        },
        list: "fsx:DescribeFileSystems",
        items: "FileSystems",
        token: "NextToken",
        tags: None,
    },
    Service {
        kind: "AWS::StorageGateway::Volume",
        protocol: Protocol {
            service: "storagegateway",
            target: "StorageGateway_20130630",
            content_type: "application/x-amz-json-1.1",
        },
        list: "storagegateway:ListVolumes",
        items: "VolumeInfos",
        token: "Marker",
        tags: Some(("storagegateway:ListTagsForResource", "ResourceARN")),
    },
    Service {
        kind: "AWS::BackupGateway::VirtualMachine",
        protocol: Protocol {
            service: "backup-gateway",
            target: "BackupOnPremises_v20210101",
            content_type: "application/x-amz-json-1.0",
        },
        list: "backup-gateway:ListVirtualMachines",
        items: "VirtualMachines",
        token: "NextToken",
        tags: Some(("backup-gateway:ListTagsForResource", "ResourceArn")),
    },
];

pub(super) async fn read(members: &MemberBackups, at: &Location, kind: &'static str) -> Result<Rows<Resource>> {
    let unknown = || unexpected("backup-compliance:inventory", format!("no service lists {kind}"));
    let service = SERVICES.iter().find(|service| service.kind == kind).ok_or_else(unknown)?;
    let client = &ServiceClient::new(members, at, service.protocol).await?;
    let mut rows = Rows::default();
    let unnamed = || format!("{} returned a resource without an ARN", service.list);
    client
        .pages(service.list, service.token, json!({}), |page| {
            let missing = || unexpected(service.list, format!("the response has no {}", service.items));
            for item in page.get(service.items).and_then(Value::as_array).ok_or_else(missing)? {
                take(&mut rows, at, resource(service, at, item).ok_or_else(unnamed));
            }
            Ok(())
        })
        .await?;
    let Some((operation, arn)) = service.tags else { return Ok(rows) };
    for mut resource in std::mem::take(&mut rows.items) {
        let mut found = BTreeMap::new();
        let read = client.pages(operation, service.token, json!({arn: resource.arn}), |page| {
            found.extend(tags(page));
            Ok(())
        });
        match read.await {
            Ok(()) => resource.tags = found,
            // Deleted since the list.
            Err(error) if error.kind == PortErrorKind::NotFound => continue,
            Err(error) => {
                resource.unread.push(ResourcePart::Tags);
                take(&mut rows, at, Err(format!("the tags of {} cannot be read: {error}", resource.arn)));
            }
        }
        rows.items.push(resource);
    }
    Ok(rows)
}

pub(super) async fn is_aws_managed_key(members: &MemberBackups, at: &Location, key: &str) -> Result<bool> {
    const OPERATION: &str = "kms:DescribeKey";
    let answer = ServiceClient::new(members, at, KMS).await?.call(OPERATION, &json!({"KeyId": key})).await?;
    match answer.pointer("/KeyMetadata/KeyManager").and_then(Value::as_str) {
        Some("AWS") => Ok(true),
        Some("CUSTOMER") => Ok(false),
        other => Err(unexpected(OPERATION, format!("the key manager is {}", other.unwrap_or("absent")))),
    }
}

struct ServiceClient {
    protocol: Protocol,
    signer: Signer,
    address: String,
}

impl ServiceClient {
    async fn new(members: &MemberBackups, at: &Location, protocol: Protocol) -> Result<Self> {
        let credentials = SharedCredentialsProvider::new(members.members.credentials(&at.account).await?);
        let (https, region) = (members.https.clone(), at.region.as_str());
        let signer = Signer::new(https, Some(credentials), protocol.service, region);
        let address = members.endpoint.clone().unwrap_or_else(|| {
            let suffix = crate::security_hub::dns_suffix(&members.partition);
            format!("https://{}.{}.{suffix}/", protocol.service, at.region)
        });
        Ok(Self { protocol, signer, address })
    }

    async fn call(&self, operation: &'static str, question: &Value) -> Result<Value> {
        let Protocol { target, content_type, .. } = self.protocol;
        let call = JsonCall { operation, address: &self.address, target, content_type, waits: &WAITS };
        self.signer.json(call, question).await
    }

    async fn pages(
        &self,
        operation: &'static str,
        field: &'static str,
        question: Value,
        mut take: impl FnMut(&Value) -> Result<()>,
    ) -> Result<()> {
        let ask = |token: Option<String>| {
            let mut question = question.clone();
            if let (Some(token), Some(fields)) = (token, question.as_object_mut()) {
                fields.insert(field.to_owned(), token.into());
            }
            async move { self.call(operation, &question).await }
        };
        pages(operation, ask, |page| {
            take(&page)?;
            Ok(page.get(field).and_then(Value::as_str).map(ToOwned::to_owned))
        })
        .await
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

fn resource(service: &Service, at: &Location, item: &Value) -> Option<Resource> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let created = item.get("CreationTime").and_then(Value::as_f64).filter(|seconds| seconds.abs() < 1e11);
    #[expect(clippy::cast_possible_truncation, reason = "fractions of a millisecond do not matter")]
    let created = created.and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok());
    Some(Resource {
        arn: ["ResourceARN", "VolumeARN", "ResourceArn"].into_iter().find_map(text)?.to_owned(),
        kind: ResourceType::parse(service.kind).ok()?,
        account: at.account.to_string(),
        region: at.region.to_string(),
        id: text("FileSystemId").or_else(|| text("VolumeId")).map(ToOwned::to_owned),
        name: text("Name").map(ToOwned::to_owned),
        tags: tags(item),
        cluster: None,
        engine: text("FileSystemType").map(ToOwned::to_owned),
        encrypted: text("KmsKeyId").map(|_| true),
        encryption_key: None,
        aws_managed_key: None,
        latest_restore_minutes: None,
        created,
        active: true,
        unread: Vec::new(),
    })
}
