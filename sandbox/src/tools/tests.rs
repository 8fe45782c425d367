use super::*;

#[test]
fn every_package_is_pinned_exactly() {
    for environment in [&CLOUD, &SAM, &PYTHON_FUNCTION] {
        let packages = packages(environment.requirements);
        assert!(!packages.is_empty(), "{} is empty", environment.name);
        for package in packages {
            assert!(
                package.split_once("==").is_some_and(|(name, version)| !name.is_empty() && !version.contains('*')),
                "{package}"
            );
        }
    }
}

#[test]
fn a_comment_does_not_reinstall_but_a_version_does() {
    assert_eq!(digest("# why\na==1\n"), digest("a==1"));
    assert_ne!(digest("a==1"), digest("a==2"));
}
