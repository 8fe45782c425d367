//! Decides whether a misspelled word has one certain correction, so that a program may apply it.

/// Most characters by which a typing error differs: two of Damerau and Levenshtein.
const MOST: usize = 2;
/// Characters of the word for each character that may differ: among shorter words, other words are as close (`EKS` and `EBS`).
const CHARACTERS_FOR_EACH: usize = 4;
/// Bytes. Longer input is not a typing error, and comparing it costs time in proportion to its length.
const LONGEST: usize = 256;

/// Returns the candidate that a word is a typing error of, if there is certainly one.
///
/// The word differs only in case and separators, or in at most two characters. No other candidate is as close, and no whole word differs:
/// `MIN_AGE` is not a typing error of `MAX_AGE`, nor of `AGE`. Everything else is at most a suggestion
/// ([`closest_match`](super::closest_match)).
pub fn typing_error<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let own = letters(word);
    let mut best: Option<(usize, &str)> = None;
    let mut is_ambiguous = false;
    for candidate in candidates {
        let distance = if own.is_empty() { MOST + 1 } else { bounded_distance(&own, &letters(candidate)) };
        match best {
            _ if distance > MOST => {}
            Some((least, _)) if distance > least => {}
            Some((least, first)) if distance == least => is_ambiguous |= first != candidate,
            Some(_) | None => (best, is_ambiguous) = (Some((distance, candidate)), false),
        }
    }
    let (distance, candidate) = best.filter(|_| !is_ambiguous)?;
    let longest = own.chars().count().max(letters(candidate).chars().count());
    let is_slip = distance == 0 || (distance * CHARACTERS_FOR_EACH <= longest && has_same_words(word, candidate));
    is_slip.then_some(candidate)
}

/// Returns the distance, or any number above [`MOST`] for words of too different lengths.
fn bounded_distance(one: &str, other: &str) -> usize {
    match one.len().abs_diff(other.len()) {
        // A character has at most four bytes.
        difference if difference > 4 * MOST => difference,
        _ => strsim::damerau_levenshtein(one, other),
    }
}

/// The word in lower case without separators.
fn letters(word: &str) -> String {
    word.chars().filter(|c| !is_separator(*c)).flat_map(char::to_lowercase).collect()
}

fn is_separator(c: char) -> bool {
    matches!(c, '_' | '-' | ' ' | '.')
}

/// Whether no part of the words differs as a whole. Parts are separated by `_`, `-`, blanks and capitals.
fn has_same_words(one: &str, other: &str) -> bool {
    let (one, other) = (parts(one), parts(other));
    if one.len() == other.len() {
        // Two letters of one word are rarely mistyped, nor is the first: `UNENCRYPTED` is another word than `ENCRYPTED`, `MINIMUM` than
        // `MAXIMUM`. Two may be missing.
        let is_slip = |(a, b): (&String, &String)| {
            let distance = strsim::damerau_levenshtein(a, b);
            let is_short = || a.len() != b.len() && a.chars().next() == b.chars().next();
            (distance < 2 || is_short()) && 2 * distance <= a.chars().count().max(b.chars().count())
        };
        return one.iter().zip(&other).all(is_slip);
    }
    let (short, long) = if one.len() < other.len() { (&one, &other) } else { (&other, &one) };
    // With the same letters in a row, only a separator is missing.
    let without = |skipped: usize| long.iter().enumerate().filter(move |(at, _)| *at != skipped).map(|(_, part)| part);
    !(0..long.len()).any(|skipped| without(skipped).eq(short.iter()))
}

fn parts(word: &str) -> Vec<String> {
    let has_small = word.chars().any(char::is_lowercase);
    let mut parts: Vec<String> = Vec::new();
    let mut is_new = true;
    let mut was_small = false;
    for c in word.chars() {
        if is_separator(c) || c == ':' {
            is_new = true;
            continue;
        }
        if is_new || (has_small && was_small && c.is_uppercase()) {
            parts.push(String::new());
        }
        is_new = false;
        was_small = c.is_lowercase();
        if let Some(part) = parts.last_mut() {
            part.extend(c.to_lowercase());
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::typing_error;

    const CONTROLS: [&str; 6] = [
        "BACKUP_RECOVERY_POINT_ENCRYPTED",
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
        "BACKUP_LAST_RECOVERY_POINT_CREATED",
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION",
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT",
        "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT",
    ];

    #[test]
    fn slips_of_case_and_typing_are_certain() {
        for (word, meant) in [
            ("backup_recovery_point_encrypted", CONTROLS[0]),
            ("Backup-Recovery-Point-Encrypted", CONTROLS[0]),
            ("BackupRecoveryPointEncrypted", CONTROLS[0]),
            ("BACKUP RECOVERY POINT ENCRYPTED", CONTROLS[0]),
            ("BACKUP_RECOVERY_POINTS_ENCRYPTED", CONTROLS[0]),
            ("BACKUP_RECOVRY_POINT_ENCRYPTED", CONTROLS[0]),
            ("BACKUP_RECOVERY_POINT_ENCYRPTED", CONTROLS[0]),
            ("BACKUP_RESOURCE_PROTECTED_BY_BACKUP_PLAN", CONTROLS[1]),
            ("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLANS", CONTROLS[1]),
            ("BACKUPRESOURCES_PROTECTED_BY_BACKUPPLAN", CONTROLS[1]),
            ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGOIN", CONTROLS[3]),
            ("RESOURCES_IN_LOGICALY_AIR_GAPED_VAULT", CONTROLS[5]),
        ] {
            assert_eq!(typing_error(word, CONTROLS), Some(meant), "{word}");
        }
    }

    #[test]
    fn other_words_are_not_certain() {
        for word in [
            "BACKUP_RECOVERY_POINT_CREATED",
            "EBS_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            "RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            "BACKUP_RESOURCES_PROTECTED_BY_CROSS",
            "BACKUP_RECOVERY_POINT_DECRYPTED",
            "BACKUP_RECOVERY_POINT_UNENCRYPTED",
            "BACKUP_RECOVERY_POINT_INCREPTED",
            "BACKUP_RESOURCES_PROTECTED_BY_PLAN",
            "BACKUP_RESOURCES_PROTECTED_BY_A_BACKUP_PLAN",
            "X_BACKUP_RECOVERY_POINT_ENCRYPTED",
            "RESOURCES_ON_LOGICALLY_AIR_GAPPED_VAULTS_",
            "ENCRYPTED",
            "",
            "_",
        ] {
            let found = typing_error(word, CONTROLS);
            let is_expected = word.starts_with("RESOURCES_ON").then_some(CONTROLS[5]);
            assert_eq!(found, is_expected, "{word}");
        }
        assert_eq!(typing_error(&"a".repeat(300), ["a"]), None);
    }

    #[test]
    fn short_and_ambiguous_words_are_not_certain() {
        let types = ["Aurora", "DynamoDB", "EBS", "EC2", "EFS", "FSx", "RDS", "S3"];
        for word in ["EKS", "ECS", "ECR", "DRS", "SNS", "RDB", "DMS", "Dynamo", "EC", "EBF"] {
            assert_eq!(typing_error(word, types), None, "{word}");
        }
        for (word, meant) in [("ebs", "EBS"), ("Arora", "Aurora"), ("dynamo-db", "DynamoDB"), ("FSX", "FSx")] {
            assert_eq!(typing_error(word, types), Some(meant), "{word}");
        }
        let limits = ["minRetentionDays", "maxRetentionDays"];
        assert_eq!(typing_error("mixRetentionDays", limits), None);
        assert_eq!(typing_error("minRetentionDay", limits), Some("minRetentionDays"));
        assert_eq!(typing_error("maxRetentionDays", ["minRetentionDays"]), None);
        assert_eq!(typing_error("MAXIMUM_RETENTION", ["MINIMUM_RETENTION"]), None);
        assert_eq!(typing_error("Valu", ["Key", "Value"]), Some("Value"));
        assert_eq!(typing_error("Tag", ["Tags", "Type"]), Some("Tags"));
    }
}
