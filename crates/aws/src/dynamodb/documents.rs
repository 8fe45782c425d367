//! Documents in one attribute, which no query looks into. Small ones are JSON text, readable in the console; large ones are that
//! text in gzip format, as bytes.

use std::io::{Read as _, Write as _};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use app::ports::Result;

use super::{TableItem, read_text};
use crate::error::{invalid, unexpected};

const PUT: &str = "dynamodb:PutItem";
/// Bytes up to which a document is stored as text. A query returns 1 MB, and one call should read all rollouts.
const UNCOMPRESSED: usize = 100 * 1024;
/// DynamoDB's limit for an item, including attribute names ("Quotas in Amazon DynamoDB").
const LARGEST: usize = 400 * 1024;
/// Limit for decompression: no document that fits into an item is longer.
const UNPACKED: u64 = 64 * 1024 * 1024;

pub(super) fn document<T: Serialize>(value: &T) -> Result<AttributeValue> {
    let text = serde_json::to_string(value).map_err(invalid(PUT))?;
    if text.len() <= UNCOMPRESSED {
        return Ok(AttributeValue::S(text));
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    let packed = packed.write_all(text.as_bytes()).and_then(|()| packed.finish());
    packed.map(|bytes| AttributeValue::B(Blob::new(bytes))).map_err(invalid(PUT))
}

pub(super) fn read_document<T: DeserializeOwned>(item: &TableItem) -> Result<T> {
    let read = match item.get("document") {
        Some(AttributeValue::B(packed)) => unpacked(packed.as_ref()),
        Some(AttributeValue::S(text)) => serde_json::from_str(text).map_err(|error| error.to_string()),
        Some(_) => Err("the attribute `document` is neither text nor bytes".to_owned()),
        None => Err("the attribute `document` is missing".to_owned()),
    };
    read.map_err(|reason| {
        let (partition, sort) = item_key(item);
        unexpected("dynamodb:Query", format!("the item `{partition}` / `{sort}` cannot be read: {reason}"))
    })
}

fn unpacked<T: DeserializeOwned>(packed: &[u8]) -> std::result::Result<T, String> {
    let mut text = Vec::new();
    GzDecoder::new(packed).take(UNPACKED).read_to_end(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// Rejects an item above DynamoDB's size limit, with advice that DynamoDB's own error lacks.
pub(super) fn check_size(item: &TableItem) -> Result<()> {
    let size: usize = item.iter().map(|(name, value)| name.len().saturating_add(length(value))).sum();
    if size <= LARGEST {
        return Ok(());
    }
    let (partition, sort) = item_key(item);
    let help = match (partition, sort.starts_with('#')) {
        ("rollout" | "framework", false) => {
            "divide this framework of the policy into several with fewer accounts each, or with fewer targets whose parameters differ"
        }
        ("framework", true) => "shorten the exemptions of the policy: fewer exemptions, or fewer resources in each",
        _ => "the application does not support this size",
    };
    let kilobytes = size.div_ceil(1024);
    let message = format!("the item `{partition}` / `{sort}` has {kilobytes} KB, but DynamoDB accepts 400 KB: {help}");
    Err(unexpected(PUT, message))
}

fn item_key(item: &TableItem) -> (&str, &str) {
    (read_text(item, "pk").unwrap_or("?"), read_text(item, "sk").unwrap_or("?"))
}

/// An upper bound of the size that DynamoDB counts.
fn length(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        // Other attributes are short lists of short texts.
        _ => 64,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use app::ports::PortErrorKind;
    use framework::ids::AccountId;

    use super::super::{key, text};
    use super::*;

    fn item(document: AttributeValue) -> TableItem {
        let mut item = key("rollout", "org-baseline");
        item.insert("document".into(), document);
        item
    }

    /// Pseudorandom digits, which compress no better than real account ids.
    fn accounts(many: u64) -> BTreeSet<AccountId> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            AccountId::parse(&format!("{:012}", (state >> 16) % 1_000_000_000_000)).unwrap()
        };
        (0..many).map(|_| next()).collect()
    }

    #[test]
    fn small_document_is_text_and_large_one_is_gzip() {
        let small = accounts(5000);
        let stored = document(&small).unwrap();
        assert!(stored.as_s().is_ok_and(|text| text.starts_with('[')));
        assert_eq!(read_document::<BTreeSet<AccountId>>(&item(stored)).unwrap(), small);

        let large = accounts(10_000);
        let stored = document(&large).unwrap();
        // Nearly half of the text, with the least compressible accounts.
        assert!(
            stored.as_b().is_ok_and(|bytes| bytes.as_ref().len() < 75 * 1024),
            "{:?}",
            stored.as_b().map(|b| b.as_ref().len())
        );
        let large_item = item(stored);
        assert_eq!(read_document::<BTreeSet<AccountId>>(&large_item).unwrap(), large);
        check_size(&large_item).unwrap();
    }

    #[test]
    fn oversized_item_is_rejected_with_advice() {
        let error = check_size(&item(document(&accounts(100_000)).unwrap())).unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Rejected);
        for part in ["`rollout` / `org-baseline` has", "400 KB", "several with fewer accounts each"] {
            assert!(error.message.contains(part), "{error}");
        }
        let mut reporting = key("framework", "#reporting");
        reporting.insert("document".into(), text("x".repeat(LARGEST)));
        assert!(check_size(&reporting).unwrap_err().message.contains("fewer exemptions"));
    }

    #[test]
    fn unreadable_document_names_the_item() {
        let broken = [
            Some(AttributeValue::B(Blob::new([1, 2, 3]))),
            Some(AttributeValue::B(Blob::new(
                document(&accounts(10_000)).unwrap().as_b().unwrap().as_ref()[..90].to_vec(),
            ))),
            Some(text("{")),
            Some(AttributeValue::Bool(true)),
            None,
        ];
        for document in broken {
            let mut item = item(AttributeValue::Bool(false));
            match document {
                Some(document) => item.insert("document".into(), document),
                None => item.remove("document"),
            };
            let error = read_document::<BTreeSet<AccountId>>(&item).unwrap_err();
            assert!(error.message.contains("`rollout` / `org-baseline` cannot be read"), "{error}");
        }
    }
}
