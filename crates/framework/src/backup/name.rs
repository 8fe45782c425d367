//! Names of plans, rules, selections and vaults.
//!
//! Sources: API reference, `BackupPlanInput`, `BackupRuleInput`, `BackupSelection` and `CreateBackupVault`.

use syntax::text::printable;

use super::Rejection;
use super::arn::UNKNOWN;

/// A kind of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameFormat {
    property: &'static str,
    /// Characters beside letters and digits.
    others: &'static str,
}

/// The name of a plan.
pub const PLAN: NameFormat = NameFormat { property: "BackupPlanName", others: "-_." };

/// The name of a rule.
pub const RULE: NameFormat = NameFormat { property: "RuleName", others: "-_." };

/// The name of a selection. The API reference excludes the colon, the schema of CloudFormation includes it.
pub const SELECTION: NameFormat = NameFormat { property: "SelectionName", others: "-_.:" };

/// The name of a vault. One of a single character, which AWS Backup rejects too, is not reported: it occurs in examples only.
pub const VAULT: NameFormat = NameFormat { property: "BackupVaultName", others: "-_" };

const LONGEST: usize = 50;

impl NameFormat {
    /// Returns the property with the name.
    pub fn property(self) -> &'static str {
        self.property
    }

    /// Returns the rejection of a name, which may have unknown parts. An empty one may be the default of a parameter.
    pub fn rejection(self, name: &str) -> Option<Rejection> {
        let Self { property, others } = self;
        let is_known = !name.contains(UNKNOWN);
        let wrong = |c: &char| *c != UNKNOWN && !c.is_ascii_alphanumeric() && !others.contains(*c);
        let reason = match name.chars().find(wrong) {
            Some(' ') => "has a space".to_owned(),
            Some(c) => format!("has the character `{}`", printable(&c.to_string())),
            None => match name.chars().filter(|c| *c != UNKNOWN).count() {
                length if length > LONGEST => format!("has {length} characters"),
                _ => return None,
            },
        };
        let shown = if is_known { format!("the name `{}`", printable(name)) } else { format!("`{property}`") };
        let message = format!("{shown} {reason}, which AWS Backup rejects");
        let listed: Vec<String> = others.chars().map(|c| format!("`{c}`")).collect();
        let help = format!("use at most {LONGEST} letters, digits and {}", listed.join(", "));
        Some(Rejection::new(property, message, help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_documented_characters() {
        let (fifty, more) = ("a".repeat(50), "a".repeat(51));
        for (format, name, is_accepted) in [
            (PLAN, "Daily-35_v1.2", true),
            (PLAN, "daily backups", false),
            (PLAN, "täglich", false),
            (PLAN, "\u{fffc}-plan", true),
            (PLAN, "\u{fffc} plan", false),
            (PLAN, fifty.as_str(), true),
            (PLAN, more.as_str(), false),
            (PLAN, "", true),
            (RULE, "daily/35", false),
            (RULE, "5", true),
            (SELECTION, "team:orders", true),
            (SELECTION, "team orders", false),
            (VAULT, "main", true),
            (VAULT, "main.vault", false),
            (VAULT, "\u{fffc}", true),
        ] {
            assert_eq!(format.rejection(name).is_none(), is_accepted, "{name}");
        }
    }
}
