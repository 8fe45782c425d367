use serde::Serialize;

/// The rule that a diagnostic reports a violation of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId {
    /// The id, which never changes and is never reused: `BC021`.
    pub id: &'static str,
    /// The severity of every diagnostic of the rule.
    pub level: Level,
}

/// The file is not a CloudFormation template. The catalog of lint rules has the explanation.
pub const UNREADABLE: RuleId = RuleId { id: "BC001", level: Level::Error };

/// The template has YAML aliases or merge keys. The catalog of lint rules has the explanation.
pub const ALIASES: RuleId = RuleId { id: "BC002", level: Level::Error };

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// AWS rejects it, or the framework has no effect.
    Error,
    /// AWS accepts it, but it is rarely intended.
    Warning,
    /// Information only.
    Note,
}

impl Level {
    /// All levels, the most severe first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Note];

    /// Returns the level in lower case, as SARIF writes it too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}
