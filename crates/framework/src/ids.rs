//! Identifiers, each parsed once at the boundary and valid from then on.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use syntax::text::{closest_match, printable};

mod regions;
#[cfg(test)]
mod tests;

pub use regions::{OPT_IN_REGIONS, REGIONS, is_opt_in};

/// A rejected identifier, with message and help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct IdError {
    /// The message, with the input in backticks.
    pub message: String,
    /// The instruction that fixes it.
    pub help: String,
}

impl IdError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

// The identifiers differ only in the texts that `parse` accepts.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(String);

        impl $name {
            /// Returns the identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

identifier! {
    /// An AWS account id: exactly 12 digits, leading zeros included.
    AccountId
}

identifier! {
    /// The code of an AWS Region, such as `eu-west-1`.
    RegionName
}

/// An account and a Region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
}

impl fmt::Display for Location {
    /// `111122223333/eu-west-1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

identifier! {
    /// The name of a StackSet: a letter, then letters, digits and hyphens; at most 128 characters
    /// (`StackSetName` of the CloudFormation API).
    StackSetName
}

identifier! {
    /// The id of a revision of the policy: a commit (40 hexadecimal digits in git and CodeCommit; test doubles use shorter ones), or a
    /// version of an S3 object (letters, digits, full stops, underscores and hyphens).
    CommitId
}

identifier! {
    /// An organizational unit, such as `ou-abcd-11111111`, or the root of an organization, such as `r-abcd`
    /// (`DeploymentTargets.OrganizationalUnitIds` of the CloudFormation API).
    UnitId
}

identifier! {
    /// A CloudFormation or Config resource type, such as `AWS::RDS::DBCluster`. AWS adds types continuously and Config has its own, so any
    /// text is accepted.
    ResourceType
}

impl AccountId {
    /// Digits in an account id.
    pub const LENGTH: usize = 12;

    /// Parses an account id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let message = match (text.chars().find(|c| !c.is_ascii_digit()), text.len()) {
            (None, Self::LENGTH) => return Ok(Self(text.to_owned())),
            (Some(invalid), _) => format!("the account id `{}` contains `{}`", printable(text), invalid.escape_debug()),
            (None, 0) => "the account id is empty".to_owned(),
            (None, 1) => format!("the account id `{text}` has 1 digit"),
            (None, digits) => format!("the account id `{}` has {digits} digits", printable(text)),
        };
        Err(IdError::new(message, "write 12 digits, such as \"111111111111\""))
    }
}

/// Returns the partition of a Region in ARNs; `aws` for an unknown code.
pub fn partition(region: &str) -> &'static str {
    const PARTITIONS: &[(&str, &str)] = &[("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc")];
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

impl RegionName {
    /// Returns the partition in ARNs.
    pub fn partition(&self) -> &'static str {
        partition(self.as_str())
    }

    /// Parses a Region code from AWS. A Region newer than [`REGIONS`] is accepted, because AWS's responses have no typing errors.
    ///
    /// # Errors
    /// When the text does not have the form of a Region code.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Self::parse_known(text, || is_region_code(text))
    }

    /// Parses a Region code that a user wrote: one of [`REGIONS`] or of `newer`.
    ///
    /// # Errors
    /// When it is neither; the error suggests the most similar Region.
    pub fn parse_listed(text: &str, newer: &[Self]) -> Result<Self, IdError> {
        Self::parse_known(text, || newer.iter().any(|region| region.as_str() == text))
    }

    fn parse_known(text: &str, is_newer: impl FnOnce() -> bool) -> Result<Self, IdError> {
        if REGIONS.contains(&text) || is_newer() {
            return Ok(Self(text.to_owned()));
        }
        let help = match closest_match(&text.to_ascii_lowercase(), REGIONS.iter().copied()) {
            Some(region) => format!("did you mean `{region}`?"),
            None => "use a Region code, such as `eu-west-1`".to_owned(),
        };
        Err(IdError::new(format!("the AWS Region `{}` does not exist", printable(text)), help))
    }
}

/// Whether a text has the form of a Region code: words of letters, then a number, joined by hyphens, such as `us-gov-west-1`.
fn is_region_code(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    (2..=4).contains(&words.len())
        && words.iter().all(|word| (2..=16).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase()))
        && matches!(number.len(), 1 | 2)
        && number.bytes().all(|b| b.is_ascii_digit())
}

impl UnitId {
    /// Parses the id of an organizational unit or of a root.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let help = "use the id of an organizational unit, such as `ou-abcd-11111111`, or of the root of the organization, such as `r-abcd`";
        let part = |part: &str, min: usize| {
            (min..=32).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let is_valid = match (text.strip_prefix("ou-"), text.strip_prefix("r-")) {
            (Some(rest), _) => rest.split_once('-').is_some_and(|(root, unit)| part(root, 4) && part(unit, 8)),
            (None, Some(root)) => part(root, 4),
            (None, None) => false,
        };
        match is_valid {
            true => Ok(Self(text.to_owned())),
            false if text.is_empty() => Err(IdError::new("the organizational unit is empty", help)),
            false => Err(IdError::new(format!("`{}` is not the id of an organizational unit", printable(text)), help)),
        }
    }
}

impl StackSetName {
    /// Parses a StackSet name that CloudFormation would accept.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        const MOST: usize = 128;
        let help = "use a letter followed by letters, digits and hyphens, at most 128 characters";
        let message = if text.is_empty() {
            "the name is empty".to_owned()
        } else if let Some(invalid) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            format!("the name `{}` contains `{}`", printable(text), invalid.escape_debug())
        } else if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            format!("the name `{}` does not start with a letter", printable(text))
        } else if text.len() > MOST {
            format!("the name `{}` has {} characters", printable(text), text.len())
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(IdError::new(message, help))
    }
}

impl CommitId {
    /// Bytes in a version id of S3, at most.
    /// [AWS](https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html)
    const LONGEST: usize = 1_024;

    /// Parses the id of a commit, or of a version of an object.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new(
                format!("`{}` is not a commit id", printable(text)),
                "use 40 hexadecimal digits, or the version id of an S3 object",
            ))
        }
    }

    /// Returns the first eight characters, for display.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl ResourceType {
    /// Parses a resource type: any text but an empty one.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::new("the resource type is empty", "use a type such as `AWS::RDS::DBCluster`"));
        }
        Ok(Self(text.to_owned()))
    }
}
