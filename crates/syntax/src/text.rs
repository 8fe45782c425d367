//! Helpers for the texts that users write and read.

mod typing_error;

pub use typing_error::typing_error;

/// Returns the candidate that resembles a misspelled word most, if one is similar enough to be suggested.
///
/// Case and the difference between `_` and `-` do not count. Of equally similar candidates the first is returned.
pub fn closest_match<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    /// Bytes. Longer input is not a typing error, and comparing it costs time in proportion to its length.
    const LONGEST: usize = 256;
    if word.len() > LONGEST {
        return None;
    }
    let word = normalized(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&word, &normalized(candidate)), candidate))
        .filter(|(similarity, _)| *similarity >= 0.6)
        .reduce(|best, new| if best.0 >= new.0 { best } else { new })
        .map(|(_, candidate)| candidate)
}

fn normalized(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

/// Whether a character is invisible and may change how the text around it is displayed: direction marks and overrides, joiners,
/// line and paragraph separators.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// Returns input as it is quoted in a message: control characters escaped, cut after 60 characters.
pub fn printable(text: &str) -> String {
    const MOST: usize = 60;
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    // `escape_debug` escapes quotes too, which only a Rust literal needs.
    out.replace("\\\"", "\"").replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::closest_match;

    #[test]
    fn closest_match_suggests_similar_words() {
        let words = ["accounts", "regions", "parameters"];
        for (word, near) in [
            ("acounts", Some("accounts")),
            ("region", Some("regions")),
            ("Regions", Some("regions")),
            ("paramters", Some("parameters")),
            ("x", None),
            ("", None),
            ("schedule", None),
        ] {
            assert_eq!(closest_match(word, words), near, "{word}");
        }
        assert_eq!(closest_match("max_concurrency", ["maxConcurrency"]), Some("maxConcurrency"));
        assert_eq!(closest_match(&"a".repeat(300), ["a"]), None);
    }
}
