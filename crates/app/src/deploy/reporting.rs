//! The reporting rules of the policy: published when they have changed, with warnings about them.

use std::collections::BTreeSet;

use jiff::civil::Date;
use tracing::{info, warn};

use domain::notice::{Notice, PolicyWarnings};
use domain::policy::{Exemption, PolicyScope};
use domain::violation::ViolationStatus;
use framework::ids::{AccountId, CommitId};
use syntax::diagnostic::{Diagnostic, Position};

use super::desired::DesiredPolicy;
use super::ports::{DeployEnv, DeployStore};
use super::reconcile::Deploy;
use super::state::DeployState;
use crate::in_force::today;
use crate::ports::{Clock, PortErrorKind, Result};
use crate::violations::ViolationStore;

/// Most accounts whose open violations are compared with the exemptions: one query each.
const MOST_ACCOUNTS: usize = 200;

impl<E: DeployEnv> Deploy<E> {
    /// Publishes changed reporting rules, with warnings about them. An exemption applies at once, even if a rollout fails.
    pub(super) async fn publish_reporting(
        &self,
        memory: &DeployState,
        policy: &DesiredPolicy,
        commit: &CommitId,
    ) -> Result<Vec<String>> {
        if memory.reporting_digest.as_deref() == Some(policy.reporting.digest().0.as_str()) {
            return Ok(Vec::new());
        }
        let today = today(self.clock.now());
        let mut warnings = policy.warnings(today);
        warnings.extend(self.without_violations(memory, policy, today).await?);
        warnings.sort_by_key(|warning| warning.at);
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        // Warnings go out before the digest is stored: a crash in between repeats them.
        self.warn(&warnings, commit).await?;
        self.store.put_reporting(&policy.reporting).await?;
        info!(commit = %commit, exemptions = policy.reporting.exemptions.len(), "published exemptions and severities");
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
        policy: &DesiredPolicy,
        today: Date,
    ) -> Result<Vec<Diagnostic>> {
        let scope = policy.scope();
        let is_checked = |exemption: &Exemption| {
            let frameworks = policy.frameworks.iter();
            let mut with_control =
                frameworks.filter(|framework| framework.published.has(exemption.control.name)).peekable();
            with_control.peek().is_some()
                && with_control.all(|framework| memory.rollouts.contains_key(&framework.desired.name))
                && exemption_problem(&scope, exemption, today).is_none()
        };
        let mut unused: Vec<(Position, &Exemption)> =
            policy.exemptions().filter(|(_, exemption)| is_checked(exemption)).collect();
        if unused.is_empty() {
            return Ok(Vec::new());
        }
        match self.retain_unused(&mut unused, today).await {
            Err(error) if error.kind != PortErrorKind::Retryable => {
                warn!(%error, "unused exemptions could not be found");
                unused.clear();
            }
            retained => retained?,
        }
        let message = "the exemption covers no open violation on record";
        let help = "check its resources, accounts and tags, or remove it";
        Ok(unused.into_iter().map(|(at, _)| policy.diagnostic(at, message, help)).collect())
    }

    /// Retains the exemptions that cover no open violation on record; none if there are too many accounts to query.
    async fn retain_unused(&self, unused: &mut Vec<(Position, &Exemption)>, today: Date) -> Result<()> {
        let mut accounts = self.store.accounts().await?;
        if unused.iter().all(|(_, exemption)| !exemption.accounts.is_empty()) {
            let named: BTreeSet<&AccountId> = unused.iter().flat_map(|(_, exemption)| &exemption.accounts).collect();
            accounts.retain(|account| named.contains(account));
        }
        if accounts.len() > MOST_ACCOUNTS {
            info!(MOST_ACCOUNTS, "too many accounts to find unused exemptions");
            unused.clear();
        }
        for account in accounts {
            if unused.is_empty() {
                break;
            }
            let mut open = self.store.open_in(&account).await?;
            open.retain(|record| record.value.status == ViolationStatus::Open);
            let covers = |exemption: &Exemption| {
                open.iter().any(|record| exemption.covers(&record.value.key, &record.value.resource, today))
            };
            unused.retain(|(_, exemption)| !covers(exemption));
        }
        Ok(())
    }
}

impl DesiredPolicy {
    /// Returns a warning for each exemption that has ended, each exemption and severity rule that can match nothing, and those about
    /// frameworks and their targets.
    pub fn warnings(&self, today: Date) -> Vec<Diagnostic> {
        let scope = self.scope();
        let exemptions =
            self.exemptions().filter_map(|(at, exemption)| Some((at, exemption_problem(&scope, exemption, today)?)));
        let rules = self.severity_at.iter().copied().zip(&self.reporting.severity);
        let rules = rules.filter_map(|(at, rule)| Some((at, scope.unmatched_severity_rule(rule)?)));
        let problems = exemptions.chain(rules).map(|(at, (message, help))| self.diagnostic(at, message, help));
        problems.chain(self.crowded.iter().cloned()).collect()
    }

    /// The accounts and Regions in which each control is in force.
    fn scope(&self) -> PolicyScope {
        let mut scope = PolicyScope::default();
        for framework in &self.frameworks {
            for variant in &framework.published.variants {
                scope.add(variant.controls.keys().map(String::as_str), &variant.accounts, &variant.regions);
            }
            if !framework.accounts_known {
                scope.add_unknown_accounts();
            }
            if !framework.controls_known {
                scope.add_unknown_controls();
            }
        }
        scope
    }

    /// The exemptions with their positions in the policy file.
    fn exemptions(&self) -> impl Iterator<Item = (Position, &Exemption)> {
        self.exemptions_at.iter().copied().zip(&self.reporting.exemptions)
    }
}

/// Message and help of the first problem of an exemption.
fn exemption_problem(scope: &PolicyScope, exemption: &Exemption, today: Date) -> Option<(String, &'static str)> {
    let until = exemption.until;
    if until < today {
        let message = format!("the exemption has ended: its last day was {until}");
        return Some((message, "remove it, or give it a later last day"));
    }
    scope.unmatched_exemption(exemption)
}
