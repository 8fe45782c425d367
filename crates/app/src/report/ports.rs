//! The ports of `report`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use domain::violation::ViolationGroup;

use crate::ports::Call;
use crate::violations::ViolationEnv;

/// The adapters of [`Report`](super::Report).
pub trait ReportEnv: ViolationEnv<Store: WindowStore> {
    /// The queue that feeds this function.
    type Queue: ReportQueue;
}

/// The digest window of a group, during which notices are buffered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestWindow {
    /// The end.
    pub until: Timestamp,
    /// Whether the flush message for the end was sent.
    pub is_flush_requested: bool,
}

/// Access to digest windows.
pub trait WindowStore {
    /// Reads the existing windows of these groups, which may have ended.
    fn windows(&self, groups: &[ViolationGroup]) -> impl Call<BTreeMap<ViolationGroup, DigestWindow>>;
    /// Opens a window; `false` if another one has not ended at `now`.
    fn open_window(&self, group: &ViolationGroup, now: Timestamp, until: Timestamp) -> impl Call<bool>;
    /// Records that the flush message of the window that ends at `until` was sent. A later window is not changed.
    fn record_flush_request(&self, group: &ViolationGroup, until: Timestamp) -> impl Call<()>;
}

/// The queue that feeds `report`.
pub trait ReportQueue {
    /// Sends the flush message of a group with a delay.
    fn request_flush(&self, group: &ViolationGroup, after: std::time::Duration) -> impl Call<()>;
    /// Sends an invalid message to the dead-letter queue, with the reason.
    fn dead_letter(&self, body: &str, reason: &str) -> impl Call<()>;
}
