//! Resources that AWS Config's queries do not know, from their own services: file systems of FSx, volumes of Storage Gateway and
//! virtual machines of Backup gateway.
//!
//! Plain requests, signed by AWS's own signing crate: three lists of a few fields need no three clients of the SDK.

use super::MemberBackups;
use crate::config::Pages;
use crate::error::unexpected;
use crate::signed::{JsonCall, Manner, Signer};
use app::inventory::{Odd, Rows, Spot};
use app::ports::{PortErrorKind, Result};
use aws_credential_types::provider::SharedCredentialsProvider;
use domain::ids::ResourceType;
use domain::inventory::document::{Resource, ResourcePart};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Waits between the attempts at one call; one attempt more than there are waits.
const WAITS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// How a service is asked for its resources.
#[derive(Debug)]
struct Service {
    kind: &'static str,
    /// In host names and signatures.
    name: &'static str,
    /// `X-Amz-Target` up to the operation.
    target: &'static str,
    content_type: &'static str,
    list: &'static str,
    /// The list in the answer.
    items: &'static str,
    /// The token for the next page, in question and answer.
    token: &'static str,
    arn: &'static str,
    id: Option<&'static str>,
    name_of: Option<&'static str>,
    /// The call for tags, where the list has none, with what it calls the ARN.
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

/// All resources of a type in a place.
pub(super) async fn read(members: &MemberBackups, at: Spot<'_>, kind: &'static str) -> Result<Rows<Resource>> {
    let service = SERVICES.iter().find(|service| service.kind == kind);
    let service =
        service.ok_or_else(|| unexpected("backup-compliance:inventory", format!("{kind} is of no service")))?;
    let asking = Asking::new(members, at, service).await?;
    let mut rows = Rows::default();
    let mut pages = Pages::of(service.list);
    while pages.more() {
        let question = pages.token().map_or_else(|| json!({}), |token| json!({service.token: token}));
        let answer = asking.ask(service.list, &question).await?;
        let items = answer.get(service.items).and_then(Value::as_array);
        let items = items.ok_or_else(|| unexpected(service.list, format!("no {} in the answer", service.items)))?;
        for item in items {
            match resource(service, at, item) {
                Some(resource) => rows.items.push(resource),
                None => rows.odd.push(Odd {
                    place: Some((at.account.clone(), at.region.clone())),
                    why: format!("{} shows one without an ARN", service.list),
                }),
            }
        }
        pages.turn(answer.get(service.token).and_then(Value::as_str))?;
    }
    if let Some((operation, arn)) = service.tags {
        let mut tagged = Vec::with_capacity(rows.items.len());
        for mut resource in rows.items {
            match asking.tags(service, operation, arn, &resource.arn).await {
                Ok(tags) => resource.tags = tags,
                // Deleted since it was listed.
                Err(error) if error.kind == PortErrorKind::NotFound => continue,
                Err(error) => {
                    resource.unread.push(ResourcePart::Tags);
                    let why = format!("the tags of {} cannot be read: {error}", resource.arn);
                    rows.odd.push(Odd { place: Some((at.account.clone(), at.region.clone())), why });
                }
            }
            tagged.push(resource);
        }
        rows.items = tagged;
    }
    Ok(rows)
}

/// One service in one place.
struct Asking<'a> {
    members: &'a MemberBackups,
    service: &'static Service,
    signer: Signer,
    address: String,
}

impl<'a> Asking<'a> {
    async fn new(members: &'a MemberBackups, at: Spot<'_>, service: &'static Service) -> Result<Self> {
        let credentials = SharedCredentialsProvider::new(members.members.credentials(at.account).await?);
        let signer = Signer::new(Some(credentials), service.name, at.region.as_str(), Manner::Usual);
        let address = members.endpoint.clone().unwrap_or_else(|| {
            let suffix = crate::security_hub::suffix(&members.partition);
            format!("https://{}.{}.{suffix}/", service.name, at.region)
        });
        Ok(Self { members, service, signer, address })
    }

    /// The answer; what may succeed later was tried again.
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

fn resource(service: &Service, at: Spot<'_>, item: &Value) -> Option<Resource> {
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
