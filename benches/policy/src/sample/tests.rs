use domain::lint::Level;

#[test]
fn everything_is_known_of_the_resources_that_are_measured() {
    let inventory = super::inventory(1_000).expect("an inventory");
    let tally = crate::work::evaluate(&inventory).expect("a tally");
    assert!(tally.compliant > 500 && tally.not_compliant > 100 && tally.undecided == 0, "{tally:?}");
}

/// New rules of lint find faults in samples too.
#[test]
fn the_templates_that_are_measured_have_no_errors() {
    for text in [super::TEN_CONTROLS, &super::large_template(), &super::large_json().to_string()] {
        assert!((1..1_048_576).contains(&text.len()));
        let errors = crate::work::lint(text).into_iter().filter(|found| found.level() == Level::Error);
        assert_eq!(errors.map(|found| found.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
    }
}
