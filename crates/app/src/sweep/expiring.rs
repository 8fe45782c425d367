//! Notices about exemptions that end soon.

use std::collections::{BTreeMap, BTreeSet};

use domain::notice::{ExpiringExemption, ExpiringExemptions, Notice};
use domain::policy::Exemption;
use domain::violation::ViolationRecord;

use super::Round;
use crate::in_force::today;
use crate::ports::Result;
use crate::sweep::ports::{SweepEnv, SweepStore};
use crate::violations::ViolationStore;

const DAYS: u32 = 14;

impl<E: SweepEnv> Round<'_, E> {
    /// Notifies each owner once of the exemptions that end soon.
    pub(super) async fn expiring(&mut self) -> Result<()> {
        let today = today(self.context.now);
        let ending = self.context.reporting.exemptions.iter().filter(|exemption| exemption.expires_within(today, DAYS));
        let ending: BTreeMap<String, &Exemption> = ending.map(|exemption| (exemption.digest().0, exemption)).collect();
        let store = &self.sweep.store;
        let known = store.notified_exemptions().await?;
        let mut notified: BTreeSet<String> =
            known.iter().filter(|digest| ending.contains_key(*digest)).cloned().collect();
        let mut by_owner: BTreeMap<&str, Vec<(&String, &Exemption)>> = BTreeMap::new();
        for (digest, exemption) in ending.iter().filter(|(digest, _)| !known.contains(*digest)) {
            by_owner.entry(&exemption.owner).or_default().push((digest, exemption));
        }
        if by_owner.is_empty() && notified == known {
            return Ok(());
        }
        let mut records = Vec::new();
        let accounts = if by_owner.is_empty() { BTreeSet::new() } else { ViolationStore::accounts(store).await? };
        for account in accounts {
            let open = store.open_in(&account).await?.into_iter().map(|record| record.value);
            records.extend(open.filter(|record| record.exemption.is_some()));
        }
        for (owner, mut exemptions) in by_owner {
            exemptions.sort_by_key(|(_, exemption)| exemption.until);
            let expiring = exemptions.iter().map(|(_, exemption)| ExpiringExemption {
                exemption: (*exemption).clone(),
                violations: records.iter().filter(|record| is_exempted_by(record, exemption)).count(),
            });
            let notice = ExpiringExemptions { owner: owner.to_owned(), exemptions: expiring.collect() };
            if self.publish(&[Notice::ExemptionsExpiring(notice)]).await == [true] {
                notified.extend(exemptions.into_iter().map(|(digest, _)| digest.clone()));
            }
        }
        store.put_notified_exemptions(&notified).await
    }
}

fn is_exempted_by(record: &ViolationRecord, exemption: &Exemption) -> bool {
    record.key.control == exemption.control.name
        && record.exemption.as_ref().is_some_and(|exempt| {
            (&exempt.owner, &exempt.reason, exempt.until) == (&exemption.owner, &exemption.reason, exemption.until)
        })
}
