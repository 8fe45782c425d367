//! `InventoryStore`.

use app::inventory::{InventoryListing, InventoryStore};
use app::ports::PortErrorKind;
use sandbox::http::HttpRequest;
use testkit::world::World;

use crate::cloud::{Local, clients_of};
use crate::server::{Reply, Server};

const BUCKET: &str = "inventories";

/// The contract, on an empty store.
async fn check(store: &impl InventoryStore) {
    assert_eq!(store.listing().await.unwrap(), InventoryListing::default());
    assert_eq!(store.newest().await.unwrap(), None);
    assert_eq!(store.partial().await.unwrap(), None);
    // Without an object.
    store.remove_partial().await.unwrap();
    store.remove_inventories().await.unwrap();

    let lines = "{\"read\":\"ümlaut\"}\n".repeat(10_000);
    store.put_partial("first\n").await.unwrap();
    store.put_partial(&lines).await.unwrap();
    assert_eq!(store.partial().await.unwrap().as_deref(), Some(lines.as_str()));
    assert_eq!(store.listing().await.unwrap(), InventoryListing { stored_at: None, has_partial: true });
    assert_eq!(store.newest().await.unwrap(), None);

    store.put_newest("{}").await.unwrap();
    store.put_newest("{\"resources\":[]}").await.unwrap();
    let newest = store.newest().await.unwrap().unwrap();
    assert_eq!(newest.text, "{\"resources\":[]}");
    let listing = store.listing().await.unwrap();
    assert_eq!(listing, InventoryListing { stored_at: Some(newest.stored_at), has_partial: true });

    store.remove_partial().await.unwrap();
    assert_eq!(store.listing().await.unwrap(), InventoryListing { has_partial: false, ..listing });
    assert_eq!(store.partial().await.unwrap(), None);
    store.put_partial("a\n").await.unwrap();
    store.remove_inventories().await.unwrap();
    assert_eq!(store.listing().await.unwrap(), InventoryListing::default());
}

#[tokio::test]
async fn inventories_are_stored_and_removed() {
    check(&World::new()).await;

    let local = Local::start().await;
    let client = local.client();
    assert!(client.send("s3", HttpRequest::new("PUT", &format!("/{BUCKET}"))).unwrap().is_success());
    // Other objects of the bucket stay.
    let template = HttpRequest::new("PUT", &format!("/{BUCKET}/templates/one"));
    assert!(client.send("s3", template).unwrap().is_success());
    let store = local.clients.inventory_bucket(BUCKET);
    check(&store).await;
    let left = client.send("s3", HttpRequest::new("GET", &format!("/{BUCKET}/templates/one"))).unwrap();
    assert!(left.is_success());

    // An object of another origin.
    let foreign = HttpRequest::new("PUT", &format!("/{BUCKET}/inventory/latest.json.gz")).body("{}");
    assert!(client.send("s3", foreign).unwrap().is_success());
    let error = store.newest().await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Rejected);
    assert!(error.message.contains("`inventory/latest.json.gz` cannot be read"), "{error}");
    let missing = local.clients.inventory_bucket("missing").listing().await.unwrap_err();
    assert_eq!(missing.kind, PortErrorKind::NotFound);
}

#[tokio::test]
async fn throttled_bucket_is_asked_again() {
    let slow = || Reply::Status(503, "<Error><Code>SlowDown</Code><Message>later</Message></Error>".to_owned());
    let list = "<ListBucketResult><Contents><Key>inventory/latest.json.gz</Key>\
                <LastModified>2026-12-01T03:00:00.000Z</LastModified></Contents></ListBucketResult>";
    let server = Server::start(&[slow(), Reply::Status(200, list.to_owned())]);
    let store = clients_of(&server).await.inventory_bucket(BUCKET);
    let listing = store.listing().await.unwrap();
    assert_eq!(listing.stored_at, Some("2026-12-01T03:00:00Z".parse().unwrap()));
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].target, format!("/{BUCKET}/?list-type=2&prefix=inventory%2F"));
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let server = Server::start(&[Reply::Status(403, denied.to_owned())]);
    let error = clients_of(&server).await.inventory_bucket(BUCKET).listing().await.unwrap_err();
    assert_eq!((error.operation, error.kind), ("s3:ListBucket", PortErrorKind::Denied));
}
