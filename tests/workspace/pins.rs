//! The tools from PyPI have exact versions, so that a run can be repeated.

use crate::files;

/// `name==1.2.3` or `name[extra]==1.2.3`.
fn is_pinned(requirement: &str) -> bool {
    requirement.split_once("==").is_some_and(|(name, version)| {
        let of_name = |c: char| c.is_ascii_alphanumeric() || "-_.[]".contains(c);
        let of_version = |c: char| c.is_ascii_alphanumeric() || c == '.';
        !name.is_empty() && name.chars().all(of_name) && !version.is_empty() && version.chars().all(of_version)
    })
}

#[test]
fn tools_are_pinned() {
    let mut lists = 0;
    for entry in std::fs::read_dir(files::root().join("sandbox/tools")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(is_pinned(line), "{}: `{line}`", path.display());
        }
        lists += 1;
    }
    assert!(lists >= 3, "{lists}");
}

#[test]
fn version_range_is_not_a_pin() {
    assert!(is_pinned("moto[server]==5.2.5"));
    for loose in ["moto", "moto>=5", "moto~=5.2", "moto==5.*", "moto==", "==5", "moto==5,<6"] {
        assert!(!is_pinned(loose), "{loose}");
    }
}
