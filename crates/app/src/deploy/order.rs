//! The order of the revisions of a policy source, and the refusal of an older one that was written again.

use framework::ids::CommitId;
use syntax::diagnostic::Diagnostic;

use super::ports::{DeployEnv, DeployStore};
use super::reconcile::Deploy;
use super::state::{AcceptedRevision, RevisionOrder};
use crate::events::OBJECT_KEY;
use crate::ports::Result;

/// A revision that may be put in force, and what is recorded of it.
#[derive(Debug, Default)]
pub(super) struct RevisionAcceptance {
    record: Option<AcceptedRevision>,
    /// The order is unknown.
    is_unordered: bool,
}

impl RevisionOrder {
    /// Decides whether a revision may follow the one that was accepted last. An equal number is a repeated run.
    pub(super) fn judge(
        self,
        commit: &CommitId,
        accepted: Option<&AcceptedRevision>,
    ) -> std::result::Result<RevisionAcceptance, Box<Diagnostic>> {
        let Self::ClaimedRun(claimed) = self else { return Ok(RevisionAcceptance::default()) };
        if accepted.is_some_and(|accepted| accepted.commit == *commit) {
            return Ok(RevisionAcceptance::default());
        }
        let greatest = accepted.and_then(|accepted| accepted.run);
        if let (Some(claimed), Some(greatest)) = (claimed, greatest)
            && claimed < greatest
        {
            let message = format!(
                "the object was written by run {claimed}, and the policy in force by run {greatest}: an older policy was written again"
            );
            let help = "start a new run of CI at the commit that should be in force; its metadata `run-number` must be a greater number";
            return Err(Box::new(Diagnostic::of_file(OBJECT_KEY, message, help)));
        }
        let record = AcceptedRevision { commit: commit.clone(), run: claimed.or(greatest) };
        Ok(RevisionAcceptance { record: Some(record), is_unordered: claimed.is_none() })
    }
}

impl<E: DeployEnv> Deploy<E> {
    /// Records a revision before it is put in force, with a warning if it may be an older one.
    pub(super) async fn accept(&self, RevisionAcceptance { record, is_unordered }: RevisionAcceptance) -> Result<()> {
        let Some(record) = record else { return Ok(()) };
        if is_unordered {
            let warning = format!(
                "The object `{OBJECT_KEY}` has no metadata `run-number`, so an older policy that is written again is not recognized."
            );
            self.warn(&[warning], &record.commit).await?;
        }
        self.store.put_accepted(&record).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(id: &str) -> CommitId {
        CommitId::parse(id).unwrap()
    }

    #[test]
    fn older_run_is_refused_and_unknown_one_is_not() {
        let accepted = |run| AcceptedRevision { commit: revision("v7"), run };
        for (claimed, greatest, recorded) in [
            (Some(8), Some(7), Ok(Some(8))),
            // A repeated run has the number of the first.
            (Some(7), Some(7), Ok(Some(7))),
            (Some(6), Some(7), Err("written by run 6, and the policy in force by run 7")),
            (Some(6), None, Ok(Some(6))),
            // The greatest number stays on record, so that the next claim is compared with it.
            (None, Some(7), Ok(Some(7))),
            (None, None, Ok(None)),
        ] {
            let judged = RevisionOrder::ClaimedRun(claimed).judge(&revision("v8"), Some(&accepted(greatest)));
            match (judged, recorded) {
                (Ok(judged), Ok(run)) => {
                    assert_eq!(judged.record, Some(AcceptedRevision { commit: revision("v8"), run }));
                    assert_eq!(judged.is_unordered, claimed.is_none());
                }
                (Err(diagnostic), Err(expected)) => assert!(diagnostic.message.contains(expected), "{diagnostic}"),
                (judged, expected) => panic!("{claimed:?} after {greatest:?}: {judged:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn known_revision_and_branch_record_nothing() {
        let accepted = AcceptedRevision { commit: revision("v7"), run: Some(7) };
        for order in [RevisionOrder::ClaimedRun(Some(1)), RevisionOrder::ClaimedRun(None), RevisionOrder::History] {
            assert_eq!(order.judge(&revision("v7"), Some(&accepted)).unwrap().record, None, "{order:?}");
        }
        assert_eq!(RevisionOrder::History.judge(&revision("v6"), Some(&accepted)).unwrap().record, None);
    }
}
