use serde::Serialize;

/// A rule of lint.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id, which never changes and is never used again: `BC021`.
    pub id: &'static str,
    /// How bad it is to break it.
    pub level: Level,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why that is wrong and what would be right, as sentences.
    pub explanation: &'static str,
    /// An example that breaks it.
    pub bad: Example,
    /// The same as it would be right.
    pub good: Example,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// AWS refuses it, or it leaves the framework without a meaning.
    Error,
    /// AWS takes it, and it is seldom what people want.
    Warning,
    /// Good to know.
    Note,
}

impl Level {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Note];

    /// The word for it, which SARIF uses too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// An example for a rule.
#[derive(Debug, PartialEq, Eq)]
pub enum Example {
    /// The items of `FrameworkControls`.
    Controls(&'static str),
    /// So many items of `FrameworkControls`, with their number in place of `N`.
    Many(usize, &'static str),
    /// `Properties` of a framework.
    Properties(&'static str),
    /// A whole template.
    Template(&'static str),
    /// A template before and after a change.
    Change(&'static str, &'static str),
    /// Regions of a policy.
    Regions(&'static str),
}

impl Example {
    /// The template that the example is from; for a change, the one after it.
    #[must_use]
    pub fn template(&self) -> String {
        let indented = |text: &str, by: usize| -> String {
            text.trim_end().lines().map(|line| format!("{:by$}{line}\n", "")).collect()
        };
        let head = "Resources:\n  Framework:\n    Type: AWS::Backup::Framework\n    Properties:\n";
        match self {
            Self::Controls(controls) => {
                format!("{head}      FrameworkName: org_backup\n      FrameworkControls:\n{}", indented(controls, 8))
            }
            Self::Many(times, control) => {
                let controls: String = (1..=*times).map(|n| control.replace("-N", &format!("-{n}"))).collect();
                format!("{head}      FrameworkName: org_backup\n      FrameworkControls:\n{}", indented(&controls, 8))
            }
            Self::Properties(properties) => format!("{head}{}", indented(properties, 6)),
            Self::Template(template) | Self::Change(_, template) => (*template).to_owned(),
            Self::Regions(_) => String::new(),
        }
    }
}
