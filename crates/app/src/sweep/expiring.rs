//! Notices about exemptions that end soon.

use std::collections::{BTreeMap, BTreeSet};

use domain::notice::{ExpiringExemption, ExpiringExemptions, Notice};
use domain::policy::Exemption;
use domain::violation::ViolationRecord;

use super::{Round, Sweep, SweepSummary};
use crate::in_force::today;
use crate::ports::Result;
use crate::sweep::ports::{SweepEnv, SweepStore};
use crate::violations::ViolationStore;

/// Days before the end of an exemption.
const DAYS: u32 = 14;

impl<E: SweepEnv> Sweep<E> {
    /// Notifies each owner once of the exemptions that end soon.
    pub(super) async fn expiring(&self, round: &Round<'_>, swept: &mut SweepSummary) -> Result<()> {
        let today = today(round.now);
        let ending: BTreeMap<String, &Exemption> = round
            .reporting
            .exemptions
            .iter()
            .filter(|exemption| exemption.expires_within(today, DAYS))
            .map(|exemption| (exemption.digest().0, exemption))
            .collect();
        let known = self.store.notified_exemptions().await?;
        let mut notified: BTreeSet<String> =
            known.iter().filter(|digest| ending.contains_key(*digest)).cloned().collect();
        let mut by_owner: BTreeMap<&str, Vec<(&String, &Exemption)>> = BTreeMap::new();
        for (digest, exemption) in ending.iter().filter(|(digest, _)| !known.contains(*digest)) {
            by_owner.entry(&exemption.owner).or_default().push((digest, exemption));
        }
        if by_owner.is_empty() && notified == known {
            return Ok(());
        }
        let records = if by_owner.is_empty() { Vec::new() } else { self.exempt_records().await? };
        for (owner, mut exemptions) in by_owner {
            exemptions.sort_by_key(|(_, exemption)| exemption.until);
            let notice = Notice::ExemptionsExpiring(ExpiringExemptions {
                owner: owner.to_owned(),
                exemptions: exemptions
                    .iter()
                    .map(|(_, exemption)| ExpiringExemption {
                        exemption: (*exemption).clone(),
                        violations: records.iter().filter(|record| is_exempted_by(record, exemption)).count(),
                    })
                    .collect(),
            });
            if self.publish(&[notice], swept).await == [true] {
                notified.extend(exemptions.into_iter().map(|(digest, _)| digest.clone()));
            }
        }
        self.store.put_notified_exemptions(&notified).await
    }

    async fn exempt_records(&self) -> Result<Vec<ViolationRecord>> {
        let mut records = Vec::new();
        for account in ViolationStore::accounts(&self.store).await? {
            let open = self.store.open_in(&account).await?;
            records.extend(open.into_iter().map(|record| record.value).filter(|record| record.exemption.is_some()));
        }
        Ok(records)
    }
}

/// Whether the record has this exemption.
fn is_exempted_by(record: &ViolationRecord, exemption: &Exemption) -> bool {
    record.key.control == exemption.control.name
        && record.exemption.as_ref().is_some_and(|exempt| {
            (&exempt.owner, &exempt.reason, exempt.until) == (&exemption.owner, &exemption.reason, exemption.until)
        })
}
