//! Whole documents in an attribute: nothing queries inside them. Small ones are JSON text, which people can read in the console;
//! large ones are that text in the gzip format, as bytes.

use super::{Item, read_text};
use crate::error::unexpected;
use app::ports::Result;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{Read as _, Write as _};

const PUT: &str = "dynamodb:PutItem";
/// Longer documents are compressed. A query reads 1 MB at once, and what is remembered of all rollouts should be one call.
const PLAIN: usize = 100 * 1024;
/// DynamoDB takes items of 400 KB, the names of their attributes included ("Quotas in Amazon DynamoDB").
const LARGEST: usize = 400 * 1024;
/// No document that fits into an item is longer than this; a few bytes could claim to be gigabytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// A document as it is stored.
pub(super) fn document<T: Serialize>(value: &T) -> Result<AttributeValue> {
    let text = serde_json::to_string(value).map_err(|error| unexpected(PUT, error.to_string()))?;
    if text.len() <= PLAIN {
        return Ok(AttributeValue::S(text));
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    let packed = packed.write_all(text.as_bytes()).and_then(|()| packed.finish());
    packed.map(|bytes| AttributeValue::B(Blob::new(bytes))).map_err(|error| unexpected(PUT, error.to_string()))
}

/// The document of an item, in either form.
pub(super) fn read_document<T: DeserializeOwned>(item: &Item) -> Result<T> {
    let read = match item.get("document") {
        Some(AttributeValue::B(packed)) => unpacked(packed.as_ref()),
        Some(AttributeValue::S(text)) => serde_json::from_str(text).map_err(|error| error.to_string()),
        Some(_) => Err("its document is neither text nor bytes".to_owned()),
        None => Err("it has no document".to_owned()),
    };
    read.map_err(|why| {
        let (partition, sort) = place(item);
        unexpected("dynamodb:Query", format!("the item `{partition}` / `{sort}` cannot be read: {why}"))
    })
}

fn unpacked<T: DeserializeOwned>(packed: &[u8]) -> std::result::Result<T, String> {
    let mut text = Vec::new();
    GzDecoder::new(packed).take(LONGEST).read_to_end(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// Refuses an item that DynamoDB would refuse, and says what would help, which DynamoDB cannot.
pub(super) fn fits(item: &Item) -> Result<()> {
    let size: usize = item.iter().map(|(name, value)| name.len().saturating_add(length(value))).sum();
    if size <= LARGEST {
        return Ok(());
    }
    let (partition, sort) = place(item);
    let fix = match (partition, sort.starts_with('#')) {
        ("rollout" | "framework", false) => {
            "divide this framework of the policy into several with fewer accounts each, or with fewer targets whose parameters differ"
        }
        ("framework", true) => {
            "shorten what the policy says about violations: fewer exemptions, or fewer resources in each"
        }
        _ => "this is more than the application is made for",
    };
    let kilobytes = size.div_ceil(1024);
    let message = format!("the item `{partition}` / `{sort}` has {kilobytes} KB, and DynamoDB takes 400 KB: {fix}");
    Err(unexpected(PUT, message))
}

fn place(item: &Item) -> (&str, &str) {
    (read_text(item, "pk").unwrap_or("?"), read_text(item, "sk").unwrap_or("?"))
}

/// At least what DynamoDB counts.
fn length(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        // Nothing else is stored but short lists of short texts.
        _ => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{key, text};
    use super::*;
    use app::ports::PortErrorKind;
    use domain::ids::AccountId;
    use std::collections::BTreeSet;

    fn item(document: AttributeValue) -> Item {
        let mut item = key("rollout", "org-baseline");
        item.insert("document".into(), document);
        item
    }

    /// Digits without a pattern: compression must not have it easier than with real account ids.
    fn accounts(many: u64) -> BTreeSet<AccountId> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            AccountId::parse(&format!("{:012}", (state >> 16) % 1_000_000_000_000)).unwrap()
        };
        (0..many).map(|_| next()).collect()
    }

    #[test]
    fn small_documents_are_text_and_large_ones_are_packed_and_both_come_back() {
        let small = accounts(5000);
        let stored = document(&small).unwrap();
        assert!(stored.as_s().is_ok_and(|text| text.starts_with('[')));
        assert_eq!(read_document::<BTreeSet<AccountId>>(&item(stored)).unwrap(), small);

        let large = accounts(10_000);
        let stored = document(&large).unwrap();
        // Nearly half of what the digits take as text, with the worst of accounts.
        assert!(
            stored.as_b().is_ok_and(|bytes| bytes.as_ref().len() < 75 * 1024),
            "{:?}",
            stored.as_b().map(|b| b.as_ref().len())
        );
        let large_item = item(stored);
        assert_eq!(read_document::<BTreeSet<AccountId>>(&large_item).unwrap(), large);
        fits(&large_item).unwrap();
    }

    #[test]
    fn what_does_not_fit_says_what_to_do() {
        let error = fits(&item(document(&accounts(100_000)).unwrap())).unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused);
        for part in ["`rollout` / `org-baseline` has", "400 KB", "several with fewer accounts each"] {
            assert!(error.message.contains(part), "{error}");
        }
        let mut reporting = key("framework", "#reporting");
        reporting.insert("document".into(), text("x".repeat(LARGEST)));
        assert!(fits(&reporting).unwrap_err().message.contains("fewer exemptions"));
    }

    #[test]
    fn what_cannot_be_read_names_the_item() {
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
