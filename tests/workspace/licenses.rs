//! Licenses and bans of `deny.toml`, checked against the dependency tree where cargo-deny is not installed.

use std::sync::LazyLock;

use super::cargo::{Package, tree};
use crate::files;

/// All packages that are compiled on this machine, for tests and build scripts too.
static PACKAGES: LazyLock<Vec<Package>> =
    LazyLock::new(|| tree(&["--workspace", "--edges", "normal,build,dev", "--all-features"]));

/// The quoted values of a list in `deny.toml`: of all of it, or of one key of its tables.
fn listed(section: &str, key: &str, field: Option<&str>) -> Vec<String> {
    let text = files::read("deny.toml");
    let from = text.split_once(&format!("[{section}]\n")).unwrap_or_else(|| panic!("no section `{section}`")).1;
    let list = from.split_once(&format!("\n{key} = [\n")).unwrap_or_else(|| panic!("no list `{key}`")).1;
    let list = list.split_once("\n]").unwrap().0;
    let quoted = |text: &str| text.split('"').nth(1).map(str::to_owned);
    let values: Vec<String> = list
        .lines()
        .filter_map(|line| match field {
            None => quoted(line),
            Some(field) => line.split_once(&format!("{field} = ")).and_then(|(_, rest)| quoted(rest)),
        })
        .collect();
    assert!(!values.is_empty(), "`{section}.{key}` is empty");
    values
}

/// Whether an expression offers an allowed license. `/` is the form from before SPDX.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let result = either(&mut words, allowed);
    result && words.next().is_none()
}

type LicenseTokens<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut LicenseTokens, allowed: &[String]) -> bool {
    let mut result = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        result |= both(words, allowed);
    }
    result
}

fn both(words: &mut LicenseTokens, allowed: &[String]) -> bool {
    let mut result = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        result &= one(words, allowed);
    }
    result
}

fn one(words: &mut LicenseTokens, allowed: &[String]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let result = either(words, allowed);
        return words.next_if_eq(&")").is_some() && result;
    }
    let Some(id) = words.next() else { return false };
    // An exception only adds rights. It still needs an entry of its own, as in cargo-deny.
    let id = if words.next_if_eq(&"WITH").is_some() {
        format!("{id} WITH {}", words.next().unwrap_or_default())
    } else {
        id.to_owned()
    };
    allowed.contains(&id)
}

#[test]
fn licenses_are_allowed() {
    let allowed = listed("licenses", "allow", None);
    assert!(PACKAGES.len() > 200, "{}", PACKAGES.len());
    let faults: Vec<&Package> = PACKAGES.iter().filter(|package| !satisfied(&package.license, &allowed)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn banned_packages_are_not_used() {
    for ban in listed("bans", "deny", Some("crate")) {
        let (name, major) = ban.split_once('@').unwrap_or((&ban, ""));
        let found: Vec<&Package> = PACKAGES
            .iter()
            .filter(|package| package.name == name && (major.is_empty() || package.major() == major))
            .collect();
        assert!(found.is_empty(), "{ban}: {found:?}");
    }
}

#[test]
fn license_expressions_are_parsed() {
    let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned()];
    for right in
        ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-3.0", "MIT AND (Apache-2.0 OR ISC)", "(MIT)", "GPL-3.0 AND ISC OR MIT"]
    {
        assert!(satisfied(right, &allowed), "{right}");
    }
    for wrong in
        ["", "ISC", "MIT AND ISC", "MIT AND (GPL-3.0 OR ISC)", "Apache-2.0 WITH LLVM-exception", "MIT)", "MIT MIT"]
    {
        assert!(!satisfied(wrong, &allowed), "{wrong}");
    }
}
