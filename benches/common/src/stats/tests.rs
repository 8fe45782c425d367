use super::*;

#[test]
fn spread_percentiles_are_measured_values() {
    let values = (1..=10).rev().map(f64::from).collect::<Vec<_>>();
    assert_eq!(Spread::of(&values), Some(Spread { p50: 5.0, p90: 9.0, min: 1.0, max: 10.0 }));
}

#[test]
fn spread_of_one_value_is_that_value() {
    assert_eq!(Spread::of(&[2.5]), Some(Spread { p50: 2.5, p90: 2.5, min: 2.5, max: 2.5 }));
}

#[test]
fn spread_of_no_values_is_none() {
    assert_eq!(Spread::of(&[]), None);
}
