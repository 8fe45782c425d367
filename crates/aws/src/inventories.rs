//! The inventory in the application's bucket: two objects in gzip format.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use hyper::{Method, Response};
use jiff::Timestamp;

use app::inventory::{InventoryListing, InventoryStore, StoredInventory};
use app::ports::{PortErrorKind, Result};

use crate::error::{invalid, optional, unexpected};
use crate::https::{elements, retried, text_of};
use crate::s3::Bucket;

const NEWEST: &str = "inventory/latest.json.gz";
const PARTIAL: &str = "inventory/partial.json.gz";
/// `ListObjectsV2` of both. A `GetObject` of a missing key would be denied, since the roles may list this prefix only.
const LIST: &str = "?list-type=2&prefix=inventory%2F";
/// Named by its permission.
const LIST_OPERATION: &str = "s3:ListBucket";
const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";
const DELETE: &str = "s3:DeleteObject";
/// Limit of a text, so that an object cannot exhaust the memory of a function.
const LONGEST: u64 = 1 << 30;
/// Milliseconds between attempts.
const WAITS: [u64; 3] = [200, 1_000, 4_000];

/// The inventory in the application's bucket.
#[derive(Debug, Clone)]
pub struct InventoryBucket {
    bucket: Bucket,
}

impl InventoryBucket {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    async fn send(&self, operation: &'static str, method: Method, key: &str, body: Bytes) -> Result<Bytes> {
        let waits = WAITS.into_iter().map(Duration::from_millis);
        let response = retried(waits, || self.bucket.send(operation, method.clone(), key, body.clone())).await;
        response.map(Response::into_body)
    }

    /// The time of each object.
    async fn list(&self) -> Result<Vec<(String, Timestamp)>> {
        let response = self.send(LIST_OPERATION, Method::GET, LIST, Bytes::new()).await?;
        let response = String::from_utf8_lossy(&response);
        let object = |element: &str| {
            let key = text_of(element, "Key")?;
            Some((key, text_of(element, "LastModified")?.parse::<Timestamp>().ok()?))
        };
        let objects = elements(&response, "Contents").into_iter();
        let read: Option<Vec<_>> = objects.map(object).collect();
        read.ok_or_else(|| unexpected(LIST_OPERATION, "the response has an object without a key or time"))
    }

    async fn put(&self, key: &str, text: &str) -> Result<()> {
        let packed = packed(text).map_err(invalid(PUT))?;
        self.send(PUT, Method::PUT, key, Bytes::from(packed)).await.map(drop)
    }

    async fn get(&self, key: &str) -> Result<Option<String>> {
        let packed = self.send(GET, Method::GET, key, Bytes::new()).await;
        // Another invocation may have removed it since it was listed.
        let packed = optional(packed, |error| error.kind == PortErrorKind::NotFound)?;
        packed.map(|packed| unpacked(&packed, LONGEST).map_err(|fault| unreadable(key, &fault))).transpose()
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.send(DELETE, Method::DELETE, key, Bytes::new()).await.map(drop)
    }
}

fn unreadable(key: &str, fault: &str) -> app::ports::PortError {
    unexpected(
        GET,
        format!("the object `{key}` cannot be read: {fault}; delete it, and the next inventory replaces it"),
    )
}

fn packed(text: &str) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes())?;
    packed.finish()
}

fn unpacked(packed: &[u8], longest: u64) -> Result<String, String> {
    let mut text = String::new();
    let read = GzDecoder::new(packed).take(longest.saturating_add(1)).read_to_string(&mut text);
    match read {
        Ok(_) if text.len() as u64 > longest => Err(format!("it has more than {longest} bytes")),
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

impl InventoryStore for InventoryBucket {
    async fn listing(&self) -> Result<InventoryListing> {
        let mut listing = InventoryListing::default();
        for (key, time) in self.list().await? {
            match key.as_str() {
                NEWEST => listing.stored_at = Some(time),
                PARTIAL => listing.has_partial = true,
                _ => {}
            }
        }
        Ok(listing)
    }

    async fn newest(&self) -> Result<Option<StoredInventory>> {
        let Some(stored_at) = self.listing().await?.stored_at else { return Ok(None) };
        Ok(self.get(NEWEST).await?.map(|text| StoredInventory { text, stored_at }))
    }

    async fn put_newest(&self, text: &str) -> Result<()> {
        self.put(NEWEST, text).await
    }

    async fn partial(&self) -> Result<Option<String>> {
        self.get(PARTIAL).await
    }

    async fn put_partial(&self, text: &str) -> Result<()> {
        self.put(PARTIAL, text).await
    }

    async fn remove_partial(&self) -> Result<()> {
        self.delete(PARTIAL).await
    }

    async fn remove_inventories(&self) -> Result<()> {
        self.delete(PARTIAL).await?;
        self.delete(NEWEST).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_packed_and_unpacked() {
        let text = "{\"resources\":[]}\n".repeat(1000);
        let bytes = packed(&text).unwrap();
        assert!(bytes.len() * 10 < text.len(), "{}", bytes.len());
        let length = text.len() as u64;
        assert_eq!(unpacked(&bytes, length).unwrap(), text);
        assert!(unpacked(&bytes, length - 1).unwrap_err().contains("more than"));
        for broken in [&b""[..], b"plain text", bytes.get(..bytes.len() - 9).unwrap()] {
            assert!(unpacked(broken, length).is_err());
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_an_error() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"\xff\xfe").unwrap();
        assert!(unpacked(&packed.finish().unwrap(), 10).is_err());
    }
}
