/// The kind of a scalar in YAML 1.2's core schema (10.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// Empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// An integer or a floating point number.
    Number,
    /// A string: anything else, and everything in quotes.
    Text,
}

impl ScalarKind {
    /// Returns the kind of a scalar without quotes.
    pub(crate) fn of_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Self::Boolean,
            _ if is_number(text) => Self::Number,
            _ => Self::Text,
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean => "true or false",
            Self::Number => "a number",
            Self::Text => "a string",
        }
    }
}

fn is_number(text: &str) -> bool {
    let is_digits = |text: &str, radix: u32| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if let Some(digits) = text.strip_prefix("0o") {
        return is_digits(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return is_digits(digits, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(text, ".nan" | ".NaN" | ".NAN") || matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    is_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent), 10)
        && (is_digits(whole, 10) || is_digits(fraction, 10))
        && [whole, fraction].iter().all(|part| part.is_empty() || is_digits(part, 10))
}
