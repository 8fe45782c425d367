//! The inventory in the application's bucket.

use app::inventory::{InventoryListing, InventoryStore, StoredInventory};
use app::ports::Result;

use super::World;

impl InventoryStore for World {
    async fn listing(&self) -> Result<InventoryListing> {
        self.remote("s3:ListBucket", |state| {
            let stored_at = state.inventory.as_ref().map(|stored| stored.stored_at);
            Ok(InventoryListing { stored_at, has_partial: state.partial_inventory.is_some() })
        })
        .await
    }

    async fn newest(&self) -> Result<Option<StoredInventory>> {
        self.remote("s3:GetObject", |state| Ok(state.inventory.clone())).await
    }

    async fn put_newest(&self, text: &str) -> Result<()> {
        self.remote("s3:PutObject", |state| {
            state.inventory = Some(StoredInventory { text: text.to_owned(), stored_at: state.now });
            Ok(())
        })
        .await
    }

    async fn partial(&self) -> Result<Option<String>> {
        self.remote("s3:GetObject", |state| Ok(state.partial_inventory.clone())).await
    }

    async fn put_partial(&self, text: &str) -> Result<()> {
        self.remote("s3:PutObject", |state| {
            state.partial_inventory = Some(text.to_owned());
            Ok(())
        })
        .await
    }

    async fn remove_partial(&self) -> Result<()> {
        self.remote("s3:DeleteObject", |state| {
            state.partial_inventory = None;
            Ok(())
        })
        .await
    }

    async fn remove_inventories(&self) -> Result<()> {
        self.remove_partial().await?;
        self.remote("s3:DeleteObject", |state| {
            state.inventory = None;
            Ok(())
        })
        .await
    }
}
