//! The stored violations and the notification channels.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use app::in_force::{InForce, PolicyDirectory};
use app::ports::{PortErrorKind, Result, Versioned};
use app::report::ports::{DigestWindow, ReportQueue, WindowStore};
use app::sweep::ports::{Organization, ReminderWeek, SweepProgress, SweepStore};
use app::violations::{NotificationChannels, PendingPage, PendingPosition, ViolationStore};
use domain::notice::{BlindSpot, Notice};
use domain::violation::{Channel, ViolationGroup, ViolationKey, ViolationRecord, ViolationStatus};
use framework::ids::AccountId;

use super::{StoredWrite, World, WorldState, error};

impl WorldState {
    /// The records as the indexes contain them.
    fn indexed(&self) -> impl Iterator<Item = &Versioned<ViolationRecord>> {
        let unknown = self.last_write.as_ref().filter(|_| self.index_lags);
        self.violations.iter().filter_map(move |(key, record)| match unknown {
            Some((written, before)) if written == key => before.as_ref(),
            _ => Some(record),
        })
    }
}

impl ViolationStore for World {
    async fn read(&self, keys: &[ViolationKey]) -> Result<BTreeMap<ViolationKey, Versioned<ViolationRecord>>> {
        const OPERATION: &str = "dynamodb:BatchGetItem";
        self.remote(OPERATION, |state| {
            if keys.iter().any(|key| key.sort_key().len() > 1024) {
                // The table rejects the whole call.
                return Err(error(OPERATION, PortErrorKind::Rejected));
            }
            let found =
                keys.iter().filter_map(|key| state.violations.get(key).map(|record| (key.clone(), record.clone())));
            Ok(found.collect())
        })
        .await
    }

    async fn put(&self, record: &Versioned<ViolationRecord>) -> Result<u64> {
        const OPERATION: &str = "dynamodb:PutItem";
        self.remote(OPERATION, |state| {
            let key = &record.value.key;
            if state.violations.get(key).map_or(0, |stored| stored.version) != record.version {
                return Err(error(OPERATION, PortErrorKind::Conflict));
            }
            let version = record.version + 1;
            let before = state.violations.insert(key.clone(), Versioned { value: record.value.clone(), version });
            state.last_write = Some((key.clone(), before.clone()));
            let (notices, told) = (state.notices.len(), state.delivered.len());
            if let Some(written) = &mut state.written {
                let before = before.map(|before| before.value);
                written.push(StoredWrite { before, after: record.value.clone(), notices, delivered: told });
            }
            Ok(version)
        })
        .await
    }

    async fn pending_for(&self, group: &ViolationGroup) -> Result<Vec<Versioned<ViolationRecord>>> {
        self.remote("dynamodb:Query", |state| {
            let owing = state.indexed().filter(|record| !record.value.pending.is_empty());
            Ok(owing.filter(|record| record.value.key.group() == *group).cloned().collect())
        })
        .await
    }

    async fn pending(&self, before: Timestamp, position: Option<PendingPosition>, limit: usize) -> Result<PendingPage> {
        const AFTER: &str = "after";
        let after = position.and_then(|position| position.0.get(AFTER).cloned());
        self.remote("dynamodb:Scan", |state| {
            let pending =
                state.indexed().filter(|record| record.value.next_delivery().is_some_and(|since| since < before));
            let mut pending: Vec<_> = pending.map(|record| (record.value.key.to_string(), record.clone())).collect();
            pending.sort_by(|(one, _), (other, _)| one.cmp(other));
            pending.retain(|(name, _)| after.as_ref().is_none_or(|after| name > after));
            let more = pending.len() > limit;
            pending.truncate(limit);
            let next = pending.last().filter(|_| more).map(|(name, _)| name.clone());
            Ok(PendingPage {
                records: pending.into_iter().map(|(_, record)| record).collect(),
                next: next.map(|name| PendingPosition([(AFTER.to_owned(), name)].into())),
            })
        })
        .await
    }

    async fn open_in(&self, account: &AccountId) -> Result<Vec<Versioned<ViolationRecord>>> {
        self.remote("dynamodb:Query", |state| {
            let open = state.indexed().filter(|record| record.value.status == ViolationStatus::Open);
            Ok(open.filter(|record| record.value.key.account == *account).cloned().collect())
        })
        .await
    }

    async fn accounts(&self) -> Result<BTreeSet<AccountId>> {
        self.remote("dynamodb:Scan", |state| {
            let open = state.indexed().filter(|record| record.value.status == ViolationStatus::Open);
            Ok(open.map(|record| record.value.key.account.clone()).collect())
        })
        .await
    }
}

impl WindowStore for World {
    async fn windows(&self, groups: &[ViolationGroup]) -> Result<BTreeMap<ViolationGroup, DigestWindow>> {
        self.remote("dynamodb:BatchGetItem", |state| {
            let found =
                groups.iter().filter_map(|group| state.windows.get(group).map(|window| (group.clone(), *window)));
            Ok(found.collect())
        })
        .await
    }

    async fn open_window(&self, group: &ViolationGroup, now: Timestamp, until: Timestamp) -> Result<bool> {
        self.remote("dynamodb:PutItem", |state| {
            if state.windows.get(group).is_some_and(|window| window.until > now) {
                return Ok(false);
            }
            state.windows.insert(group.clone(), DigestWindow { until, is_flush_requested: false });
            Ok(true)
        })
        .await
    }

    async fn record_flush_request(&self, group: &ViolationGroup, until: Timestamp) -> Result<()> {
        self.remote("dynamodb:UpdateItem", |state| {
            if let Some(window) = state.windows.get_mut(group).filter(|window| window.until == until) {
                window.is_flush_requested = true;
            }
            Ok(())
        })
        .await
    }
}

impl ReportQueue for World {
    async fn request_flush(&self, group: &ViolationGroup, after: Duration) -> Result<()> {
        self.remote("sqs:SendMessage", |state| {
            let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
            state.flushes.push((state.now.checked_add(after).unwrap_or(Timestamp::MAX), group.clone()));
            Ok(())
        })
        .await
    }

    async fn dead_letter(&self, body: &str, reason: &str) -> Result<()> {
        self.remote("sqs:SendMessage", |state| {
            state.dead_letters.push((body.to_owned(), reason.to_owned()));
            Ok(())
        })
        .await
    }
}

impl PolicyDirectory for World {
    async fn in_force(&self) -> Result<InForce> {
        self.remote("dynamodb:Query", |state| {
            Ok(InForce {
                frameworks: state.frameworks.values().cloned().collect(),
                reporting: state.reporting.clone(),
                accounts: state.account_names.clone(),
            })
        })
        .await
    }
}

impl NotificationChannels for World {
    fn enabled(&self) -> BTreeSet<Channel> {
        self.state().channels.clone()
    }

    async fn deliver(&self, outlet: Channel, notices: &[Notice]) -> Vec<Result<()>> {
        let operation = match outlet {
            Channel::Topic => "sns:Publish",
            Channel::Chat => "sns:PublishChat",
            Channel::SecurityHub => "securityhub:BatchImportFindings",
            Channel::EventBus => "events:PutEvents",
        };
        let mut outcomes = Vec::new();
        for notice in notices {
            let told = self.remote(operation, |state| {
                match outlet {
                    Channel::Topic => state.notices.push(notice.clone()),
                    Channel::Chat | Channel::SecurityHub | Channel::EventBus => {
                        state.delivered.push((outlet, notice.clone()))
                    }
                }
                Ok(())
            });
            outcomes.push(told.await);
        }
        outcomes
    }
}

impl SweepStore for World {
    async fn progress(&self) -> Result<Versioned<Option<SweepProgress>>> {
        self.remote("dynamodb:GetItem", |state| Ok(state.progress.clone())).await
    }

    async fn put_progress(&self, progress: &Versioned<Option<SweepProgress>>) -> Result<u64> {
        const OPERATION: &str = "dynamodb:PutItem";
        self.remote(OPERATION, |state| {
            if state.progress.version != progress.version {
                return Err(error(OPERATION, PortErrorKind::Conflict));
            }
            state.progress = Versioned { value: progress.value.clone(), version: progress.version + 1 };
            Ok(state.progress.version)
        })
        .await
    }

    async fn blind_spots(&self) -> Result<Vec<BlindSpot>> {
        self.remote("dynamodb:GetItem", |state| Ok(state.blind.clone())).await
    }

    async fn put_blind_spots(&self, spots: &[BlindSpot]) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.blind = spots.to_vec();
            Ok(())
        })
        .await
    }

    async fn notified_exemptions(&self) -> Result<BTreeSet<String>> {
        self.remote("dynamodb:GetItem", |state| Ok(state.expiry_told.clone())).await
    }

    async fn put_notified_exemptions(&self, told: &BTreeSet<String>) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.expiry_told = told.clone();
            Ok(())
        })
        .await
    }

    async fn reminders(&self) -> Result<Option<ReminderWeek>> {
        self.remote("dynamodb:GetItem", |state| Ok(state.reminders.clone())).await
    }

    async fn put_reminders(&self, reminders: &ReminderWeek) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.reminders = Some(reminders.clone());
            Ok(())
        })
        .await
    }

    async fn put_accounts(&self, accounts: &BTreeMap<AccountId, String>) -> Result<()> {
        self.remote("dynamodb:PutItem", |state| {
            state.account_names = accounts.clone();
            Ok(())
        })
        .await
    }
}

impl Organization for World {
    async fn accounts(&self) -> Result<Option<BTreeMap<AccountId, String>>> {
        self.remote("organizations:ListAccounts", |state| Ok(state.organization.clone())).await
    }
}
