//! How violations are judged and told: published when it has changed, with what is odd about it.

use super::memory::Memory;
use super::reconcile::Deploy;
use super::wanted::{Wanted, WantedFramework};
use crate::in_force::today;
use crate::ports::{
    Clock, DeployStore, Notifier, OrganizationalUnits, PolicyRepository, PortErrorKind, RequestStore, Responder,
    Result, StackSets, ViolationStore,
};
use domain::fault::Fault;
use domain::ids::{AccountId, CommitId};
use domain::notice::{Notice, PolicyWarnings};
use domain::policy::{Exemption, Reporting};
use domain::violation::Status;
use jiff::civil::Date;
use std::collections::BTreeSet;
use tracing::{info, warn};

/// Accounts whose open violations are held against the exemptions: one query each.
const MOST_ACCOUNTS: usize = 200;
/// Accounts named in a warning.
const NAMED: usize = 3;

impl<G, S, O, M, N, R, C> Deploy<G, S, O, M, N, R, C>
where
    G: PolicyRepository,
    S: StackSets,
    O: OrganizationalUnits,
    M: DeployStore + RequestStore + ViolationStore,
    N: Notifier,
    R: Responder,
    C: Clock,
{
    /// Publishes what the policy says about violations, if it is not what was published last, and says what is odd about it.
    /// The rollouts are another matter: an exemption holds at once, also where they fail.
    pub(super) async fn publish_reporting(
        &self,
        memory: &Memory,
        wanted: &Wanted,
        commit: &CommitId,
    ) -> Result<Vec<String>> {
        if memory.reporting.as_deref() == Some(wanted.reporting.digest().0.as_str()) {
            return Ok(Vec::new());
        }
        let today = today(self.clock.now());
        let mut warnings = wanted.warnings(today);
        warnings.extend(self.without_violations(memory, wanted, today).await?);
        warnings.sort_by_key(|warning| warning.at);
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        // Told before it is remembered: a look that ends in between tells again and does not forget.
        self.warn(&warnings, commit).await?;
        self.memory.put_reporting(&wanted.reporting).await?;
        info!(commit = %commit, exemptions = wanted.reporting.exemptions.len(), "exemptions and severities are published");
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
        match self.tell(&notice).await {
            Err(error) if error.kind != PortErrorKind::Retryable => {
                warn!(%error, "the warnings could not be told; they are in this log");
                Ok(())
            }
            told => told,
        }
    }

    /// Exemptions that nothing else is wrong with and that cover no open violation. Nothing is said of frameworks that are only
    /// just rolled out, nor where asking would take too long.
    async fn without_violations(&self, memory: &Memory, wanted: &Wanted, today: Date) -> Result<Vec<Fault>> {
        let in_question = |exemption: &Exemption| {
            let frameworks = wanted.frameworks.iter();
            let mut with_it = frameworks.filter(|framework| framework.facts.has(exemption.control.name)).peekable();
            with_it.peek().is_some()
                && with_it.all(|framework| memory.rollouts.contains_key(&framework.desired.name))
                && wanted.oddity(exemption, today).is_none()
        };
        let exemptions = &wanted.reporting.exemptions;
        let mut idle: Vec<usize> =
            exemptions.iter().enumerate().filter(|(_, one)| in_question(one)).map(|(number, _)| number).collect();
        if idle.is_empty() {
            return Ok(Vec::new());
        }
        match self.cover_nothing(&wanted.reporting, &mut idle, today).await {
            Ok(true) => {}
            Ok(false) => {
                info!(MOST_ACCOUNTS, "too many accounts to say which exemptions cover nothing");
                return Ok(Vec::new());
            }
            Err(error) if error.kind == PortErrorKind::Retryable => return Err(error),
            Err(error) => {
                warn!(%error, "nobody can say which exemptions cover nothing");
                return Ok(Vec::new());
            }
        }
        let fix = "check its resources, accounts and tags, or remove it";
        Ok(idle
            .into_iter()
            .filter_map(|number| wanted.warning(number, "the exemption covers no open violation on record", fix))
            .collect())
    }

    /// Leaves those of the exemptions that cover no open violation on record; `false` when that was too much to ask.
    async fn cover_nothing(&self, reporting: &Reporting, numbers: &mut Vec<usize>, today: Date) -> Result<bool> {
        let of = |number: &usize| reporting.exemptions.get(*number);
        let mut accounts = self.memory.accounts().await?;
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
            let open = self.memory.open_in(&account).await?;
            let open: Vec<_> = open.iter().map(|record| &record.value).filter(|r| r.status == Status::Open).collect();
            numbers.retain(|number| {
                of(number).is_some_and(|exemption| {
                    !open.iter().any(|record| exemption.covers(&record.key, &record.resource, today))
                })
            });
        }
        Ok(true)
    }
}

impl Wanted {
    /// What is odd about the exemptions as such: those that have ended, and those that can match nothing; and about the frameworks
    /// together.
    #[must_use]
    pub fn warnings(&self, today: Date) -> Vec<Fault> {
        let odd = self.reporting.exemptions.iter().enumerate();
        odd.filter_map(|(number, exemption)| {
            let (problem, fix) = self.oddity(exemption, today)?;
            self.warning(number, problem, fix)
        })
        .chain(self.crowded.iter().cloned())
        .collect()
    }

    /// Problem and fix of the first thing that is odd about an exemption.
    fn oddity(&self, exemption: &Exemption, today: Date) -> Option<(String, String)> {
        let Exemption { control, accounts, until, .. } = exemption;
        if *until < today {
            let problem = format!("the exemption has ended: its last day was {until}");
            return Some((problem, "remove it, or give it a later last day".to_owned()));
        }
        let variants = || self.frameworks.iter().flat_map(|framework| &framework.facts.variants);
        let with_control = || variants().filter(|variant| variant.controls.contains_key(control.name));
        if with_control().next().is_none() {
            let problem = format!("the exemption matches nothing: no framework of this policy has `{}`", control.name);
            return Some((problem, "remove it, or name a control that is in force".to_owned()));
        }
        // Who is in organizational units nobody knows before AWS was asked.
        if !self.frameworks.iter().all(WantedFramework::is_placed) {
            return None;
        }
        let targets: BTreeSet<&AccountId> = variants().flat_map(|variant| &variant.accounts).collect();
        let elsewhere: Vec<&AccountId> = accounts.iter().filter(|account| !targets.contains(account)).collect();
        if let Some(one) = elsewhere.first() {
            let problem = match elsewhere.len() {
                1 => format!("account {one} of the exemption is in no target of this policy"),
                _ => format!("accounts {} of the exemption are in no target of this policy", named(&elsewhere)),
            };
            return Some((problem, "correct `accounts`, or remove what is no longer there".to_owned()));
        }
        let matches = accounts.is_empty()
            || accounts.iter().any(|account| with_control().any(|variant| variant.accounts.contains(account)));
        (!matches).then(|| {
            let problem =
                format!("the exemption matches nothing: `{}` is in force in none of its accounts", control.name);
            (problem, "remove it, or name accounts in which the control is in force".to_owned())
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
