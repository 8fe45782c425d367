//! The reporting rules of the policy: published when they have changed, with warnings about them.

use std::collections::BTreeSet;

use jiff::civil::Date;
use tracing::{info, warn};

use domain::notice::{Notice, PolicyWarnings};
use domain::policy::{Exemption, Reporting};
use domain::violation::ViolationStatus;
use framework::ids::{AccountId, CommitId};
use syntax::diagnostic::Diagnostic;

use super::desired::{DesiredFramework, DesiredPolicy};
use super::ports::{DeployEnv, DeployStore};
use super::reconcile::Deploy;
use super::state::DeployState;
use crate::in_force::today;
use crate::ports::{Clock, PortErrorKind, Result};
use crate::violations::ViolationStore;

/// Most accounts whose open violations are compared with the exemptions: one query each.
const MOST_ACCOUNTS: usize = 200;
/// Accounts named in a warning.
const NAMED: usize = 3;

impl<E: DeployEnv> Deploy<E> {
    /// Publishes the reporting rules if they have changed, and reports warnings about them. Independent of rollouts: an exemption
    /// applies at once, even if a rollout fails.
    pub(super) async fn publish_reporting(
        &self,
        memory: &DeployState,
        wanted: &DesiredPolicy,
        commit: &CommitId,
    ) -> Result<Vec<String>> {
        if memory.reporting_digest.as_deref() == Some(wanted.reporting.digest().0.as_str()) {
            return Ok(Vec::new());
        }
        let today = today(self.clock.now());
        let mut warnings = wanted.warnings(today);
        warnings.extend(self.without_violations(memory, wanted, today).await?);
        warnings.sort_by_key(|warning| warning.at);
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        // Warnings go out before the digest is stored: a crash in between repeats them.
        self.warn(&warnings, commit).await?;
        self.store.put_reporting(&wanted.reporting).await?;
        info!(commit = %commit, exemptions = wanted.reporting.exemptions.len(), "published exemptions and severities");
        Ok(warnings)
    }

    pub(super) async fn warn(&self, warnings: &[String], commit: &CommitId) -> Result<()> {
        if warnings.is_empty() {
            return Ok(());
        }
        warn!(commit = %commit, warnings = ?warnings, "the policy has warnings");
        let notice = Notice::PolicyWarnings(PolicyWarnings {
            commit: commit.clone(),
            repository: self.application.repository.clone(),
            branch: self.application.branch.clone(),
            warnings: warnings.to_vec(),
        });
        match self.notify(&notice).await {
            Err(error) if error.kind != PortErrorKind::Retryable => {
                warn!(%error, "the notice of warnings was not published");
                Ok(())
            }
            published => published,
        }
    }

    /// Returns a warning for each valid exemption that covers no open violation. Exemptions of frameworks without a rollout are
    /// skipped; so are all where there are too many accounts to query.
    async fn without_violations(
        &self,
        memory: &DeployState,
        wanted: &DesiredPolicy,
        today: Date,
    ) -> Result<Vec<Diagnostic>> {
        let is_checked = |exemption: &Exemption| {
            let frameworks = wanted.frameworks.iter();
            let mut with_control =
                frameworks.filter(|framework| framework.published.has(exemption.control.name)).peekable();
            with_control.peek().is_some()
                && with_control.all(|framework| memory.rollouts.contains_key(&framework.desired.name))
                && wanted.exemption_problem(exemption, today).is_none()
        };
        let exemptions = &wanted.reporting.exemptions;
        let mut unused: Vec<usize> =
            exemptions.iter().enumerate().filter(|(_, one)| is_checked(one)).map(|(number, _)| number).collect();
        if unused.is_empty() {
            return Ok(Vec::new());
        }
        match self.retain_unused(&wanted.reporting, &mut unused, today).await {
            Ok(true) => {}
            Ok(false) => {
                info!(MOST_ACCOUNTS, "too many accounts to find unused exemptions");
                return Ok(Vec::new());
            }
            Err(error) if error.kind == PortErrorKind::Retryable => return Err(error),
            Err(error) => {
                warn!(%error, "unused exemptions could not be found");
                return Ok(Vec::new());
            }
        }
        let help = "check its resources, accounts and tags, or remove it";
        Ok(unused
            .into_iter()
            .filter_map(|number| wanted.warning(number, "the exemption covers no open violation on record", help))
            .collect())
    }

    /// Retains the exemptions that cover no open violation on record; `false` if there are too many accounts to query.
    async fn retain_unused(&self, reporting: &Reporting, numbers: &mut Vec<usize>, today: Date) -> Result<bool> {
        let of = |number: &usize| reporting.exemptions.get(*number);
        let mut accounts = self.store.accounts().await?;
        if numbers.iter().filter_map(of).all(|exemption| !exemption.accounts.is_empty()) {
            let named: BTreeSet<&AccountId> =
                numbers.iter().filter_map(of).flat_map(|exemption| &exemption.accounts).collect();
            accounts.retain(|account| named.contains(account));
        }
        if accounts.len() > MOST_ACCOUNTS {
            return Ok(false);
        }
        for account in accounts {
            if numbers.is_empty() {
                break;
            }
            let open = self.store.open_in(&account).await?;
            let open: Vec<_> =
                open.iter().map(|record| &record.value).filter(|r| r.status == ViolationStatus::Open).collect();
            numbers.retain(|number| {
                of(number).is_some_and(|exemption| {
                    !open.iter().any(|record| exemption.covers(&record.key, &record.resource, today))
                })
            });
        }
        Ok(true)
    }
}

impl DesiredPolicy {
    /// Returns a warning for each exemption that has ended or can match nothing, and those about frameworks that share accounts.
    #[must_use]
    pub fn warnings(&self, today: Date) -> Vec<Diagnostic> {
        let exemptions = self.reporting.exemptions.iter().enumerate();
        exemptions
            .filter_map(|(number, exemption)| {
                let (message, help) = self.exemption_problem(exemption, today)?;
                self.warning(number, message, help)
            })
            .chain(self.crowded.iter().cloned())
            .collect()
    }

    /// Message and help of the first problem of an exemption.
    fn exemption_problem(&self, exemption: &Exemption, today: Date) -> Option<(String, String)> {
        let Exemption { control, accounts, until, .. } = exemption;
        if *until < today {
            let message = format!("the exemption has ended: its last day was {until}");
            return Some((message, "remove it, or give it a later last day".to_owned()));
        }
        let variants = || self.frameworks.iter().flat_map(|framework| &framework.published.variants);
        let with_control = || variants().filter(|variant| variant.controls.contains_key(control.name));
        if with_control().next().is_none() {
            let message = format!("the exemption matches nothing: no framework of this policy has `{}`", control.name);
            return Some((message, "remove it, or name a control that is in force".to_owned()));
        }
        // The accounts of organizational units are unknown before AWS Organizations was read.
        if !self.frameworks.iter().all(DesiredFramework::are_accounts_known) {
            return None;
        }
        let targets: BTreeSet<&AccountId> = variants().flat_map(|variant| &variant.accounts).collect();
        let elsewhere: Vec<&AccountId> = accounts.iter().filter(|account| !targets.contains(account)).collect();
        if let Some(one) = elsewhere.first() {
            let message = match elsewhere.len() {
                1 => format!("account {one} of the exemption is in no target of this policy"),
                _ => format!("accounts {} of the exemption are in no target of this policy", named(&elsewhere)),
            };
            return Some((message, "correct `accounts`, or remove those that were deleted".to_owned()));
        }
        let matches = accounts.is_empty()
            || accounts.iter().any(|account| with_control().any(|variant| variant.accounts.contains(account)));
        (!matches).then(|| {
            let message =
                format!("the exemption matches nothing: `{}` is in force in none of its accounts", control.name);
            (message, "remove it, or name accounts in which the control is in force".to_owned())
        })
    }
}

fn named(accounts: &[&AccountId]) -> String {
    let shown: Vec<&str> = accounts.iter().take(NAMED).map(|account| account.as_str()).collect();
    match accounts.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
