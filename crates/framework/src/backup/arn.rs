//! ARNs of vaults in rules, and ARNs and patterns of resources in selections.
//!
//! Sources: API reference, `CopyAction` and `BackupSelection`; Service Authorization Reference, the formats of ARNs.

use syntax::text::{closest_match, printable};

use super::{Rejection, quoted};

/// A character in place of text that is known only at deployment.
pub const UNKNOWN: char = '\u{fffc}';

const VAULT: &str = "backup-vault:";

/// Returns the rejection of a text that is not the ARN of a vault. `property` is that of the rule or copy.
pub fn vault(property: &'static str, arn: &str) -> Option<Rejection> {
    let is_known = !arn.contains(UNKNOWN);
    let reject = |corrected: Option<String>| {
        let message = match is_known {
            true => format!("`{}` is not the ARN of a backup vault", printable(arn)),
            false => format!("`{property}` is not the ARN of a backup vault"),
        };
        let help = match &corrected {
            Some(corrected) => format!("write `{}`", quoted(corrected)),
            None => "write `arn:aws:backup:<region>:<account>:backup-vault:<name>`".to_owned(),
        };
        Some(Rejection { property, message, help, corrected: corrected.filter(|_| is_known) })
    };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [start, partition, service, region, account, resource] = parts.as_slice() else {
        // A name, or a text whose unknown part may be the rest of an ARN.
        return if is_known && !arn.is_empty() { reject(None) } else { None };
    };
    if [start, partition].iter().any(|part| part.contains(UNKNOWN)) && *start != "arn" {
        return None;
    }
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is = |text: &str, expected: &dyn Fn(&str) -> bool| text.contains(UNKNOWN) || expected(text);
    if *start != "arn" || !is(service, &|service| service == "backup") {
        return reject(None);
    }
    if !is(region, &|region| !region.is_empty() && !region.contains('*')) || !is(account, &is_account) {
        return reject(None);
    }
    let (known, has_unknown) = match resource.split_once(UNKNOWN) {
        Some((known, _)) => (known, true),
        None => (*resource, false),
    };
    match known.strip_prefix(VAULT) {
        Some("") if !has_unknown => reject(None),
        Some(name) if name.contains(['*', ':', '/']) => reject(None),
        Some(_) => None,
        None if has_unknown && VAULT.starts_with(known) => None,
        None => {
            let name = known.rsplit_once([':', '/']).map_or(known, |(_, name)| name);
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            let corrected = || format!("arn:{partition}:backup:{region}:{account}:{VAULT}{name}");
            reject((is_name && is_known).then(corrected))
        }
    }
}

/// The starts of the last part of the ARNs that AWS Backup selects, by service.
const KINDS: &[(&str, &[&str])] = &[
    ("rds", &["db:", "cluster:"]),
    ("ec2", &["volume/", "instance/"]),
    ("dynamodb", &["table/"]),
    ("elasticfilesystem", &["file-system/"]),
    ("fsx", &["file-system/", "volume/"]),
];

/// Words that users write for a kind, by service.
const SYNONYMS: &[(&str, &str, &str)] = &[
    ("rds", "instance", "db:"),
    ("rds", "db-instance", "db:"),
    ("rds", "dbinstance", "db:"),
    ("rds", "database", "db:"),
    ("rds", "dbinstanceidentifier", "db:"),
    ("rds", "clusteridentifier", "cluster:"),
    ("rds", "dbclusteridentifier", "cluster:"),
    ("rds", "db-cluster", "cluster:"),
    ("rds", "dbcluster", "cluster:"),
    ("ec2", "ec2", "instance/"),
    ("elasticfilesystem", "filesystem", "file-system/"),
    ("elasticfilesystem", "efs", "file-system/"),
    ("fsx", "filesystem", "file-system/"),
];

/// Returns the rejection of an ARN or pattern that matches no resource of AWS Backup: a wrong resource type, an ARN of an S3 object,
/// or an ARN without Region and account.
///
/// Only for services whose ARNs have one documented format, and only where no wildcard can cover the difference.
pub fn matches_nothing(property: &'static str, pattern: &str) -> Option<Rejection> {
    let parts: Vec<&str> = pattern.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, resource] = parts.as_slice() else { return None };
    let is_known = !pattern.contains(UNKNOWN);
    let shown = if is_known { format!("`{}`", printable(pattern)) } else { format!("the ARN in `{property}`") };
    let reject = |why: String, changed: &str, [region, account, resource]: [&str; 3]| {
        let whole = format!("arn:{partition}:{service}:{region}:{account}:{resource}");
        let help = if is_known { format!("write `{}`", quoted(&whole)) } else { changed.to_owned() };
        let message = format!("{shown} matches no resource: {why}");
        // An exclusion that begins to match would remove resources from the backups.
        let is_certain = is_known && property != "NotResources";
        Some(Rejection { property, message, help, corrected: is_certain.then_some(whole) })
    };
    if *service == "s3" {
        let is_any = |part: &str| part.is_empty() || part.starts_with('*') || part.contains(UNKNOWN);
        if !is_any(region) || !is_any(account) {
            let why = "the ARN of a bucket has no Region and no account".to_owned();
            return reject(why, "write `:::` before the name of the bucket", ["", "", resource]);
        }
        let (bucket, _) = resource.split_once('/')?;
        let why = "it is the ARN of an object, and AWS Backup selects buckets".to_owned();
        // A whole bucket is not what was written.
        let rejection = reject(why, "remove the part after the name of the bucket", [region, account, bucket]);
        return rejection.map(|rejection| Rejection { corrected: None, ..rejection });
    }
    let (_, kinds) = KINDS.iter().find(|(known, _)| known == service)?;
    let end = resource.find(['*', UNKNOWN]).unwrap_or(resource.len());
    let known = resource.get(..end).unwrap_or_default();
    if let Some(kind) = kinds.iter().find(|kind| kind.starts_with(known) || known.starts_with(**kind)) {
        if !region.is_empty() && !account.is_empty() {
            return None;
        }
        let filled = |part: &str| if part.is_empty() { "*".to_owned() } else { part.to_owned() };
        let why = format!("ARNs with `{kind}` have a Region and an account");
        let help = "write `*` for the Region and the account";
        return reject(why, help, [&filled(region), &filled(account), resource]);
    }
    let (word, rest) = known
        .split_once([':', '/'])
        .map_or((known, ""), |(word, _)| (word, resource.get(word.len().saturating_add(1)..).unwrap_or_default()));
    let lower = word.to_ascii_lowercase();
    let of_synonym =
        SYNONYMS.iter().find(|(own, synonym, _)| own == service && *synonym == lower).map(|(.., kind)| *kind);
    let same_word = |kind: &&&str| kind.trim_end_matches([':', '/']) == lower;
    let kind = of_synonym.or_else(|| kinds.iter().find(same_word).copied());
    let list = kinds.join("` and `");
    match kind.filter(|_| word.len() < known.len()) {
        Some(kind) => {
            let why = format!("its resource type is `{}`, and that of AWS Backup is `{kind}`", printable(word));
            let changed = format!("write `{kind}` as the resource type");
            reject(why, &changed, [region, account, &format!("{kind}{rest}")])
        }
        None => {
            let near = closest_match(word, kinds.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
            let message = format!("{shown} matches no resource: its resource type is `{}`", printable(word));
            let help = format!("use `{list}`, which AWS Backup selects{}", near.unwrap_or_default());
            Some(Rejection::new(property, message, help))
        }
    }
}

/// Returns the rejection of a text that is neither an ARN nor a pattern.
pub fn not_an_arn(property: &'static str, text: &str) -> Option<Rejection> {
    // Without a wildcard and without an unknown part, the whole ARN must be in the text.
    if text.is_empty() || text.contains(['*', UNKNOWN]) {
        return None;
    }
    let is_arn = text.starts_with("arn:") && text.splitn(6, ':').count() == 6;
    (!is_arn).then(|| {
        let message = format!("`{}` is not an ARN", printable(text));
        Rejection::new(property, message, "write the ARN of the resource, or a pattern with `*`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COPY: &str = "DestinationBackupVaultArn";

    #[test]
    fn vault_arns_are_accepted() {
        for arn in [
            "arn:aws:backup:eu-central-1:999999999999:backup-vault:dr",
            "arn:aws-cn:backup:cn-north-1:999999999999:backup-vault:D-r_1",
            "arn:\u{fffc}:backup:\u{fffc}:\u{fffc}:backup-vault:dr",
            "arn:aws:backup:eu-west-1:\u{fffc}:backup-vault:\u{fffc}",
            "arn:aws:backup:eu-west-1:999999999999:\u{fffc}",
            "arn:aws:backup:eu-west-1:999999999999:backup-\u{fffc}",
            "\u{fffc}:backup-vault:dr",
            "\u{fffc}",
            "arn:\u{fffc}",
            "",
        ] {
            assert_eq!(vault(COPY, arn), None, "{arn}");
        }
    }

    #[test]
    fn other_arns_are_not_those_of_vaults() {
        let right = "arn:aws:backup:eu-central-1:999999999999:backup-vault:dr";
        for (arn, corrected) in [
            ("arn:aws:backup:eu-central-1:999999999999:vault:dr", Some(right)),
            ("arn:aws:backup:eu-central-1:999999999999:backup-vault/dr", Some(right)),
            ("arn:aws:backup:eu-central-1:999999999999:dr", Some(right)),
            ("arn:aws:backup:eu-central-1:999999999999:backup-vault:", None),
            ("arn:aws:backup:eu-central-1:999999999999:backup-vault:*", None),
            ("arn:aws:backup:eu-central-1:9999:backup-vault:dr", None),
            ("arn:aws:backup::999999999999:backup-vault:dr", None),
            ("arn:aws:backup:*:999999999999:backup-vault:dr", None),
            ("arn:aws:s3:::dr", None),
            ("arn:aws:glacier:eu-west-1:999999999999:vaults/dr", None),
            ("dr", None),
            ("arn:aws:backup:dr", None),
            ("arn:\u{fffc}:backup:\u{fffc}:\u{fffc}:vault:dr", None),
            ("arn:aws:backup:eu-west-1:\u{fffc}:vault:\u{fffc}", None),
        ] {
            let rejection = vault(COPY, arn).unwrap_or_else(|| panic!("{arn} is accepted"));
            assert_eq!(rejection.corrected.as_deref(), corrected, "{arn}");
        }
    }

    #[test]
    fn patterns_with_matches_are_accepted() {
        for pattern in [
            "*",
            "arn:aws:*",
            "arn:aws:ec2:*",
            "arn:aws:ec2:*:*:*",
            "arn:aws:ec2:*:*:volume/*",
            "arn:aws:ec2:*:*:instance/i-1",
            "arn:aws:ec2:*:*:inst*",
            "arn:aws:ec2:eu-west-1:111111111111:*",
            "arn:aws:rds:*:*:db:*",
            "arn:aws:rds:*:*:cluster:*",
            "arn:aws:rds:*:*:c*",
            "arn:aws:rds:*:*:\u{fffc}",
            "arn:\u{fffc}:dynamodb:\u{fffc}:\u{fffc}:table/\u{fffc}",
            "arn:aws:dynamodb:*:*:table/orders",
            "arn:aws:elasticfilesystem:*:*:file-system/*",
            "arn:aws:fsx:*:*:volume/*",
            "arn:aws:fsx:*:*:file-system/*",
            "arn:aws:s3:::*",
            "arn:aws:s3:::bucket",
            "arn:aws:s3:*:*:bucket",
            "arn:aws:s3*",
            "arn:aws:storagegateway:*:*:gateway/*",
            "arn:aws:cloudformation:*:*:stack/*",
            "arn:aws:redshift:*:*:cluster:*",
            "arn:aws:timestream:*:*:database/*",
            "arn:aws:dsql:*:*:cluster/*",
            "arn:*:rds:*:*:db:*",
            "orders",
        ] {
            assert_eq!(matches_nothing("Resources", pattern), None, "{pattern}");
        }
    }

    #[test]
    fn patterns_without_matches_are_corrected() {
        for (pattern, corrected) in [
            ("arn:aws:rds:*:*:instance:*", Some("arn:aws:rds:*:*:db:*")),
            ("arn:aws:rds:*:*:instance/*", Some("arn:aws:rds:*:*:db:*")),
            (
                "arn:aws:rds:eu-west-1:111111111111:instance:orders",
                Some("arn:aws:rds:eu-west-1:111111111111:db:orders"),
            ),
            ("arn:aws:rds:*:*:clusterIdentifier:*", Some("arn:aws:rds:*:*:cluster:*")),
            ("arn:aws:rds:*:*:cluster/*", Some("arn:aws:rds:*:*:cluster:*")),
            ("arn:aws:rds:*:*:DB:*", Some("arn:aws:rds:*:*:db:*")),
            ("arn:aws:ec2:*:*:volume:*", Some("arn:aws:ec2:*:*:volume/*")),
            ("arn:aws:ec2:*:*:instance:*", Some("arn:aws:ec2:*:*:instance/*")),
            ("arn:aws:ec2:*:*:snapshot/*", None),
            ("arn:aws:rds:*:*:snapshot:*", None),
            ("arn:aws:dynamodb:*:*:table:orders", Some("arn:aws:dynamodb:*:*:table/orders")),
            ("arn:aws:dynamodb:*:*:orders", None),
            ("arn:aws:dynamodb:::table/orders", Some("arn:aws:dynamodb:*:*:table/orders")),
            ("arn:aws:ec2:::volume/*", Some("arn:aws:ec2:*:*:volume/*")),
            ("arn:aws:elasticfilesystem:*:*:filesystem/*", Some("arn:aws:elasticfilesystem:*:*:file-system/*")),
            ("arn:aws:s3:::bucket/*", None),
            ("arn:aws:s3:::*/*", None),
            ("arn:aws:s3:eu-west-1:111111111111:bucket", Some("arn:aws:s3:::bucket")),
            ("arn:\u{fffc}:rds:\u{fffc}:\u{fffc}:instance:*", None),
            ("arn:\u{fffc}:s3:::\u{fffc}/*", None),
        ] {
            let rejection = matches_nothing("Resources", pattern).unwrap_or_else(|| panic!("{pattern} is accepted"));
            assert_eq!(rejection.corrected.as_deref(), corrected, "{pattern}");
            if let Some(corrected) = corrected {
                assert_eq!(matches_nothing("Resources", corrected), None, "{pattern}");
            }
            let excluded = matches_nothing("NotResources", pattern).unwrap();
            assert_eq!(excluded.corrected, None, "{pattern}");
        }
    }

    #[test]
    fn names_are_not_arns() {
        for (text, is_arn) in [
            ("orders", false),
            ("arn:aws:dynamodb:table/orders", false),
            ("vol-0123456789abcdef0", false),
            ("arn:aws:s3:::orders", true),
            ("*", true),
            ("\u{fffc}", true),
            ("", true),
        ] {
            assert_eq!(not_an_arn("Resources", text).is_none(), is_arn, "{text}");
        }
    }
}
