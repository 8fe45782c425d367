//! The exemptions of violations. A policy declares them, so the caller matches them.

use std::collections::BTreeMap;

use jiff::civil::Date;

use framework::control::Control;
use framework::ids::{AccountId, RegionName};

use super::Subject;
use crate::inventory::Inventory;

/// An item that violates a control, with everything that an exemption can name.
#[derive(Debug, Clone)]
pub struct ViolatingItem<'a> {
    /// The control.
    pub control: &'static Control,
    /// The account; in a check, the account of the deployment, a placeholder if it is unknown.
    pub account: &'a AccountId,
    /// The Region; in a check, the Region of the deployment, a placeholder if it is unknown.
    pub region: &'a RegionName,
    /// The type in AWS Config.
    pub kind: &'a str,
    /// The id in AWS Config, or the ARN.
    pub id: &'a str,
    /// The ARN of a resource. An unknown end is written as `?`.
    pub arn: Option<String>,
    /// The known tags.
    pub tags: BTreeMap<String, String>,
}

impl<'a> ViolatingItem<'a> {
    /// Returns an evaluated item of an inventory.
    pub fn new(
        inventory: &'a Inventory,
        control: &'static Control,
        subject: &'a Subject<'a>,
        account: &'a AccountId,
        region: &'a RegionName,
    ) -> Self {
        let (kind, arn, tags) = match subject {
            Subject::Resource(resource) => {
                let end = if resource.arn_end_unread { "?" } else { "" };
                let symbol = |symbol| inventory.symbols.get(symbol).to_owned();
                let tags = resource.tags.iter().filter_map(|tag| Some((symbol(tag.key), symbol(tag.value?))));
                (inventory.kind(resource), Some(format!("{}{end}", resource.arn())), tags.collect())
            }
            Subject::Plan(plan) => ("AWS::Backup::BackupPlan", None, plan.tags.clone()),
            Subject::Vault(vault) => ("AWS::Backup::BackupVault", None, vault.tags.clone()),
            Subject::RecoveryPoint(point) => ("AWS::Backup::RecoveryPoint", None, point.tags.clone()),
        };
        Self { control, account, region, kind, id: subject.id(), arn, tags }
    }
}

/// The exemption that covers a violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationExemption {
    /// The last day.
    pub until: Date,
    /// The reason.
    pub reason: String,
}

/// Returns the exemption of a violation, if it is exempt.
pub type FindExemption<'a> = &'a dyn Fn(&ViolatingItem<'_>) -> Option<ViolationExemption>;
