//! Kleene's three-valued logic.

/// A truth value. `and` is the minimum of two values, `or` their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ternary {
    No,
    Unknown,
    Yes,
}

impl Ternary {
    pub(crate) fn and(self, other: Self) -> Self {
        self.min(other)
    }

    pub(crate) fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// `Unknown`, or else `No`.
    pub(crate) fn unknown_if(is_unknown: bool) -> Self {
        if is_unknown { Self::Unknown } else { Self::No }
    }

    pub(crate) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Ternary {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}
