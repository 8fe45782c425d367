//! Names that cannot be wrong: each is parsed once, at the edge, and believed from then on.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::fault::nearest;

mod regions;
#[cfg(test)]
mod tests;

pub use regions::{OPT_IN_REGIONS, REGIONS, is_opt_in};

/// Why a text is not the name it should be. The message says what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {fix}")]
pub struct IdError {
    /// What is wrong, with the input in backticks.
    pub problem: String,
    /// What would be right.
    pub fix: String,
}

impl IdError {
    fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { problem: problem.into(), fix: fix.into() }
    }
}

/// The same few traits for every identifier: they differ only in what `parse` accepts.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
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

identifier! {
    /// The name of a StackSet: a letter, then letters, digits and hyphens; at most 128 characters
    /// (`StackSetName` of the CloudFormation API).
    StackSetName
}

identifier! {
    /// The id of a commit: 40 hexadecimal digits in git and CodeCommit. Local stand-ins use shorter ones,
    /// so 1 to 64 letters and digits are taken.
    CommitId
}

identifier! {
    /// An organizational unit, such as `ou-abcd-11111111`, or the root of an organisation, such as `r-abcd`
    /// (`DeploymentTargets.OrganizationalUnitIds` of the CloudFormation API).
    UnitId
}

identifier! {
    /// A CloudFormation or Config resource type, such as `AWS::RDS::DBCluster`. AWS adds types all the time and Config
    /// has some of its own, so any text is taken.
    ResourceType
}

impl AccountId {
    /// Digits in an account id.
    pub const LENGTH: usize = 12;

    /// Reads an account id.
    ///
    /// # Errors
    /// When the text is not exactly 12 ASCII digits.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let fix = "an account id is 12 digits, such as \"111111111111\"";
        if let Some(odd) = text.chars().find(|c| !c.is_ascii_digit()) {
            return Err(IdError::new(
                format!("the account id `{}` contains `{}`", shown(text), odd.escape_debug()),
                fix,
            ));
        }
        match text.len() {
            Self::LENGTH => Ok(Self(text.to_owned())),
            0 => Err(IdError::new("the account id is empty", fix)),
            1 => Err(IdError::new(format!("the account id `{text}` has 1 digit"), fix)),
            digits => Err(IdError::new(format!("the account id `{}` has {digits} digits", shown(text)), fix)),
        }
    }
}

/// The partition that a Region is in, as it stands in ARNs. `aws` for a code that nobody knows yet.
#[must_use]
pub fn partition(region: &str) -> &'static str {
    const PARTITIONS: &[(&str, &str)] = &[("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc")];
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

impl RegionName {
    /// The partition that it is in, as it stands in ARNs.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        partition(self.as_str())
    }

    /// Reads a Region code as AWS returns it. A Region that is newer than [`REGIONS`] is accepted: a response of AWS is not a typing
    /// error.
    ///
    /// # Errors
    /// When the text does not have the form of a Region code.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if REGIONS.contains(&text) || is_region_code(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Self::unknown(text))
    }

    /// Reads a Region code that a person has written: one of [`REGIONS`] or of `newer`.
    ///
    /// # Errors
    /// When it is neither; the error names the nearest one that exists.
    pub fn parse_listed(text: &str, newer: &[Self]) -> Result<Self, IdError> {
        if REGIONS.contains(&text) || newer.iter().any(|region| region.as_str() == text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Self::unknown(text))
    }

    fn unknown(text: &str) -> IdError {
        let fix = match nearest(&text.to_ascii_lowercase(), REGIONS.iter().copied()) {
            Some(region) => format!("did you mean `{region}`?"),
            None => "a Region is written as its code, such as `eu-west-1`".to_owned(),
        };
        IdError::new(format!("there is no AWS Region `{}`", shown(text)), fix)
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
    /// Reads the id of an organizational unit or of a root.
    ///
    /// # Errors
    /// When AWS Organizations has no ids of this form.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let fix = "an organizational unit is written as its id, such as `ou-abcd-11111111`, the root of the organisation as `r-abcd`";
        let part = |part: &str, least: usize| {
            (least..=32).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let right = match (text.strip_prefix("ou-"), text.strip_prefix("r-")) {
            (Some(rest), _) => rest.split_once('-').is_some_and(|(root, unit)| part(root, 4) && part(unit, 8)),
            (None, Some(root)) => part(root, 4),
            (None, None) => false,
        };
        match right {
            true => Ok(Self(text.to_owned())),
            false if text.is_empty() => Err(IdError::new("the organizational unit is empty", fix)),
            false => Err(IdError::new(format!("`{}` is no organizational unit", shown(text)), fix)),
        }
    }

    /// Whether it is the root of an organisation, to which all accounts belong.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.starts_with("r-")
    }
}

impl StackSetName {
    /// Most characters AWS takes.
    pub const MAX_LENGTH: usize = 128;

    /// Reads a StackSet name.
    ///
    /// # Errors
    /// When CloudFormation would refuse it.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let fix = "a StackSet name is a letter followed by letters, digits and hyphens, 128 characters at most";
        let problem = if text.is_empty() {
            "the name is empty".to_owned()
        } else if let Some(odd) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            format!("the name `{}` contains `{}`", shown(text), odd.escape_debug())
        } else if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            format!("the name `{}` does not start with a letter", shown(text))
        } else if text.len() > Self::MAX_LENGTH {
            format!("the name `{}` has {} characters", shown(text), text.len())
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(IdError::new(problem, fix))
    }
}

impl CommitId {
    /// Reads a commit id.
    ///
    /// # Errors
    /// When the text is empty, longer than 64 characters, or has anything but letters and digits.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new(format!("`{}` is not a commit id", shown(text)), "a commit id is 40 hexadecimal digits"))
        }
    }

    /// The first eight characters: enough to find the commit, short enough to read.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl ResourceType {
    /// Reads a resource type.
    ///
    /// # Errors
    /// When the text is empty.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::new("the resource type is empty", "a resource type is such as `AWS::RDS::DBCluster`"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Input as shown in a message: one line, and not longer than a reader would look at.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    // `escape_debug` escapes quotes too, which only a Rust literal needs.
    out.replace("\\\"", "\"").replace("\\'", "'")
}
