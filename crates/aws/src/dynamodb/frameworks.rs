//! The policy in force. Partition `framework`: one item for each StackSet, one for the policy's reporting settings, one for the
//! names of accounts. `deploy` and `sweep` write it, `report` and `sweep` read it.

use app::in_force::{InForce, PolicyDirectory};
use app::ports::Result;

use super::{StateTable, read_document, read_text};

pub(super) const FRAMEWORKS: &str = "framework";
/// First character of sort keys that are not StackSet names.
pub(super) const MARK: char = '#';
pub(super) const REPORTING: &str = "#reporting";
pub(super) const ACCOUNTS: &str = "#accounts";

impl PolicyDirectory for StateTable {
    async fn in_force(&self) -> Result<InForce> {
        let mut in_force = InForce::default();
        for item in self.partition(FRAMEWORKS).await? {
            match read_text(&item, "sk") {
                Some(REPORTING) => in_force.reporting = Some(read_document(&item)?),
                Some(ACCOUNTS) => in_force.accounts = read_document(&item)?,
                // An item of a later version.
                Some(mark) if mark.starts_with(MARK) => {}
                _ => in_force.frameworks.push(read_document(&item)?),
            }
        }
        Ok(in_force)
    }
}
