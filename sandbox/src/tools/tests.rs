use super::*;

#[test]
fn requirements_are_pinned() {
    for environment in [&CLOUD, &SAM, &PYTHON_FUNCTION, &CLOUDFORMATION_VALIDATE] {
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
fn digest_ignores_comments() {
    assert_eq!(digest("# why\na==1\n"), digest("a==1"));
    assert_ne!(digest("a==1"), digest("a==2"));
}
