//! Scalars without quotes in YAML 1.1, which CloudFormation reads ("AWS CloudFormation template formats": YAML version 1.1).

use std::borrow::Cow;

use super::{Node, Value};

/// How CloudFormation reads a scalar where a string is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Yaml11 {
    /// As written.
    Written,
    /// As another text: `0400` as `256`, `yes` as `true`.
    Other(String),
    /// As a floating-point number of this value: `1e9`, `35.0`. AWS does not document the text of such a number.
    Number(String),
    /// As null.
    Null,
}

impl Yaml11 {
    /// Evaluates a scalar without quotes by the types of YAML 1.1 ("YAML Language-Independent Types": bool, float, int, null) as
    /// SnakeYAML and PyYAML implement them: `y` and `n` are strings.
    #[must_use]
    pub fn of_plain(text: &str) -> Self {
        let other = |new: String| if new == text { Self::Written } else { Self::Other(new) };
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "True" | "TRUE" => other("true".to_owned()),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" | "False" | "FALSE" => other("false".to_owned()),
            _ if !may_be_number(text) => Self::Written,
            _ => match (integer(text), float(text)) {
                (Some(number), _) => other(number),
                (None, Some(number)) if number == text => Self::Written,
                (None, Some(number)) => Self::Number(number),
                (None, None) => Self::Written,
            },
        }
    }
}

impl Node {
    /// Returns how CloudFormation reads a scalar. `None` for lists and mappings.
    #[must_use]
    pub fn yaml11(&self) -> Option<Yaml11> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(Yaml11::of_plain(text)),
            Value::Scalar { .. } => Some(Yaml11::Written),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Returns the text of a scalar as CloudFormation reads it. `None` for other nodes, null, and a number whose text is unknown.
    #[must_use]
    pub fn yaml11_text(&self) -> Option<Cow<'_, str>> {
        let text = self.as_str()?;
        match self.yaml11()? {
            Yaml11::Written => Some(Cow::Borrowed(text)),
            Yaml11::Other(other) => Some(Cow::Owned(other)),
            Yaml11::Number(_) | Yaml11::Null => None,
        }
    }
}

fn may_be_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
}

/// Returns the decimal digits of an integer.
fn integer(text: &str) -> Option<String> {
    let (sign, digits) = signed(text);
    let of_base = |digits: &str, base: u32| {
        let digits: String = digits.chars().filter(|c| *c != '_').collect();
        let is_valid = digits.chars().all(|c| c.is_digit(base));
        if !is_valid || digits.is_empty() { None } else { u128::from_str_radix(&digits, base).ok() }
    };
    let number = match digits.as_bytes() {
        [b'0', b'b', ..] => of_base(digits.get(2..)?, 2)?,
        [b'0', b'x', ..] => of_base(digits.get(2..)?, 16)?,
        [b'0'] => 0,
        [b'0', ..] => of_base(digits.get(1..)?, 8)?,
        // More digits than the type has.
        [b'1'..=b'9', ..] if digits.bytes().all(|b| b.is_ascii_digit()) => {
            return Some(format!("{sign}{digits}"));
        }
        [b'1'..=b'9', ..] if digits.contains(':') => sexagesimal(digits)?,
        [b'1'..=b'9', ..] => of_base(digits, 10)?,
        _ => return None,
    };
    Some(if number == 0 { "0".to_owned() } else { format!("{sign}{number}") })
}

/// Returns the sign, which is empty for a positive number, and the rest.
fn signed(text: &str) -> (&'static str, &str) {
    match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Returns the value of digits in base 60: `1:30` is 90.
fn sexagesimal(text: &str) -> Option<u128> {
    let mut parts = text.split(':');
    let first: String = parts.next()?.chars().filter(|c| *c != '_').collect();
    let mut number: u128 = Some(first).filter(|first| first.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    for part in parts {
        let is_valid = matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit());
        let part: u128 = Some(part).filter(|_| is_valid)?.parse().ok()?;
        number = Some(part).filter(|part| *part < 60).and_then(|part| number.checked_mul(60)?.checked_add(part))?;
    }
    Some(number)
}

/// Returns the value of a floating-point number.
fn float(text: &str) -> Option<String> {
    let (sign, digits) = signed(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Some(format!("{sign}Infinity"));
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some("NaN".to_owned());
    }
    if let Some((whole, fraction)) = digits.split_once('.').filter(|(whole, _)| whole.contains(':')) {
        let is_valid = fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_');
        let fraction: String = fraction.chars().filter(|c| *c != '_').collect();
        return is_valid
            .then(|| sexagesimal(whole))
            .flatten()
            .map(|number| shortest(sign, &format!("{number}.{fraction}0")))?;
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(signed(exponent).1)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_') && !part.starts_with('_');
    let is_number = is_digits(whole) && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    // A sign before a point makes it a string.
    let has_digits = !whole.is_empty() || (text == digits && fraction.starts_with(|c: char| c.is_ascii_digit()));
    let has_exponent = exponent.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    if !is_number || !has_digits || (exponent.is_some() && !has_exponent) || !(mantissa.contains('.') || has_exponent) {
        return None;
    }
    shortest(sign, &digits.chars().filter(|c| *c != '_').collect::<String>())
}

/// Returns a number without needless digits. A larger number than the type has is infinite.
fn shortest(sign: &str, digits: &str) -> Option<String> {
    let number: f64 = digits.parse().ok()?;
    Some(format!("{sign}{number}"))
}

#[cfg(test)]
mod tests {
    use super::Yaml11;

    // Long because it is one table of scalars.
    #[test]
    fn plain_scalars_follow_yaml_1_1() {
        // The values are those of PyYAML 6.0.3, except for `1e9`, which only SnakeYAML reads as a number.
        for (text, value) in [
            ("0400", "256"),
            ("012345670123", "1402433619"),
            ("-017", "-15"),
            ("00", "0"),
            ("0_7", "7"),
            ("0x1F", "31"),
            ("0xff_ff", "65535"),
            ("0b101", "5"),
            ("1_000", "1000"),
            ("+12", "12"),
            ("-0", "0"),
            ("1:30", "90"),
            ("12:30:45", "45045"),
            ("190:20:30", "685230"),
            ("-1:30", "-90"),
            ("yes", "true"),
            ("Yes", "true"),
            ("ON", "true"),
            ("True", "true"),
            ("TRUE", "true"),
            ("no", "false"),
            ("Off", "false"),
            ("False", "false"),
        ] {
            assert_eq!(Yaml11::of_plain(text), Yaml11::Other(value.to_owned()), "{text}");
        }
        for (text, value) in [
            ("35.0", "35"),
            ("1.10", "1.1"),
            ("1e9", "1000000000"),
            ("1.5e3", "1500"),
            ("2E-2", "0.02"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1_0.5", "10.5"),
            ("1:30.5", "90.5"),
            ("-.inf", "-Infinity"),
            (".nan", "NaN"),
        ] {
            assert_eq!(Yaml11::of_plain(text), Yaml11::Number(value.to_owned()), "{text}");
        }
        let written = [
            "true",
            "false",
            "y",
            "n",
            "0",
            "35",
            "-35",
            "123456789012",
            "098765432109",
            "0899",
            "35.5",
            "-1.25",
            "0o17",
            "0b2",
            "0xg",
            "1:60",
            "00:30",
            "01:30",
            "1:2:",
            "2010-09-09",
            "2027-01-31",
            "1.2.3",
            "1-2",
            "100%",
            "arn:aws:x",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "1e+",
            "_1",
            ".e1",
            "..",
            "yEs",
            "oN",
            "12345678901234567890123456789012345678901234567890",
        ];
        for text in written {
            assert_eq!(Yaml11::of_plain(text), Yaml11::Written, "{text}");
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(Yaml11::of_plain(text), Yaml11::Null, "{text}");
        }
    }
}
