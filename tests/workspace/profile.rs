//! Deliberate settings of the build that are easily lost.

use crate::files;

/// The value of a key in a section of a TOML file, without the comment behind it.
fn value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == format!("[{section}]");
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            return Some(value.split('#').next().unwrap_or_default().trim().to_owned());
        }
    }
    None
}

#[test]
fn release_profile_reports_panics_and_overflows() {
    let manifest = files::read("Cargo.toml");
    assert_eq!(value(&manifest, "profile.release", "panic").as_deref(), Some("\"unwind\""));
    assert_eq!(value(&manifest, "profile.release", "overflow-checks").as_deref(), Some("true"));
    assert_eq!(value(&manifest, "workspace.lints.rust", "unsafe_code").as_deref(), Some("\"forbid\""));
}

#[test]
fn tls_starts_without_collecting_jitter() {
    let config = files::read(".cargo/config.toml");
    assert_eq!(value(&config, "env", "AWS_LC_SYS_NO_JITTER_ENTROPY").as_deref(), Some("\"1\""));
}

#[test]
fn sdk_has_no_legacy_features() {
    let manifest = files::read("Cargo.toml");
    let dependencies = manifest.split_once("[workspace.dependencies]\n").unwrap().1.split_once("\n[").unwrap().0;
    let mut seen = 0;
    for line in dependencies.lines().filter(|line| line.starts_with("aws-sdk-") || line.starts_with("aws-config ")) {
        assert!(line.contains("default-features = false"), "{line}");
        seen += 1;
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn value_is_read_from_its_section() {
    let text = "[a]\nx = 1 # one\n[b]\ny = 2\n";
    assert_eq!(value(text, "a", "x").as_deref(), Some("1"));
    assert_eq!(value(text, "b", "x"), None);
    assert_eq!(value(text, "a", "y"), None);
}
