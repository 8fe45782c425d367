//! Exemptions that end soon.

use super::{Round, Sweep, Swept};
use crate::in_force::today;
use crate::ports::{
    BackupPlans, Clock, ComplianceSource, Organization, Outlets, PolicyDirectory, ResourceDirectory, Result,
    SweepStore, ViolationStore,
};
use domain::notice::{ExpiringExemption, ExpiringExemptions, Notice};
use domain::policy::Exemption;
use domain::violation::Record;
use std::collections::{BTreeMap, BTreeSet};

/// Owners hear of it so many days before.
const DAYS: u32 = 14;

impl<S, O, D, R, X, G, C> Sweep<S, O, D, R, X, G, C>
where
    S: ViolationStore + SweepStore,
    O: Outlets,
    D: PolicyDirectory,
    R: ResourceDirectory + BackupPlans,
    X: ComplianceSource,
    G: Organization,
    C: Clock,
{
    /// Tells each owner once of the exemptions that end soon.
    pub(super) async fn expiring(&self, round: &Round<'_>, swept: &mut Swept) -> Result<()> {
        let today = today(round.now);
        let ending: BTreeMap<String, &Exemption> = round
            .reporting
            .exemptions
            .iter()
            .filter(|exemption| exemption.expires_within(today, DAYS))
            .map(|exemption| (exemption.digest().0, exemption))
            .collect();
        let known = self.store.expiry_told().await?;
        let mut told: BTreeSet<String> = known.iter().filter(|name| ending.contains_key(*name)).cloned().collect();
        let mut by_owner: BTreeMap<&str, Vec<(&String, &Exemption)>> = BTreeMap::new();
        for (name, exemption) in ending.iter().filter(|(name, _)| !known.contains(*name)) {
            by_owner.entry(&exemption.owner).or_default().push((name, exemption));
        }
        if by_owner.is_empty() && told == known {
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
                        violations: records.iter().filter(|record| kept_quiet(record, exemption)).count(),
                    })
                    .collect(),
            });
            if self.tell_people(&[notice], swept).await == [true] {
                told.extend(exemptions.into_iter().map(|(name, _)| name.clone()));
            }
        }
        self.store.put_expiry_told(&told).await
    }

    async fn exempt_records(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for account in ViolationStore::accounts(&self.store).await? {
            let open = self.store.open_in(&account).await?;
            records.extend(open.into_iter().map(|record| record.value).filter(|record| record.exempt.is_some()));
        }
        Ok(records)
    }
}

/// Whether a record is kept quiet by this exemption, as far as the record tells.
fn kept_quiet(record: &Record, exemption: &Exemption) -> bool {
    record.key.control == exemption.control.name
        && record.exempt.as_ref().is_some_and(|exempt| {
            (&exempt.owner, &exempt.reason, exempt.until) == (&exemption.owner, &exemption.reason, exemption.until)
        })
}
