use framework::lint::Level;

#[test]
fn inventory_has_no_undecided_resources() {
    let inventory = super::inventory(1_000).expect("an inventory");
    let tally = crate::work::evaluate(&inventory).expect("a tally");
    assert!(tally.compliant > 500 && tally.not_compliant > 100 && tally.undecided == 0, "{tally:?}");
}

/// New lint rules also apply to the templates.
#[test]
fn templates_have_no_lint_errors() {
    for text in [super::TEN_CONTROLS, &super::large_template(), &super::large_json().to_string()] {
        assert!((1..1_048_576).contains(&text.len()));
        let errors = crate::work::lint(text).into_iter().filter(|found| found.level == Level::Error);
        assert_eq!(errors.map(|found| found.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
    }
}
