//! Figures for CloudWatch: a line on standard output in the embedded metric format, which needs no call and no permission.

use app::ports::Clock;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::io::Write;

const NAMESPACE: &str = "BackupCompliance";
/// What CloudWatch takes from one line.
const MOST: usize = 100;

/// Writes figures, `(name, value, unit)` each. The function's name is the only dimension: one for each account or control would be
/// a metric to pay for each.
pub fn emit(clock: &impl Clock, function: &str, figures: &[(&str, f64, &str)]) {
    if let Some(line) = line(clock.now().as_millisecond(), function, figures) {
        // Nobody is to fail because nobody counts.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

/// Writes all numbers of a result: those whose names begin with `seconds` as seconds, all others as counts.
pub fn emit_counts(clock: &impl Clock, function: &str, result: &impl Serialize) {
    let counts = counts(result);
    let figures: Vec<_> = counts.iter().map(|(name, value)| (name.as_str(), *value, unit(name))).collect();
    emit(clock, function, &figures);
}

fn line(millis: i64, function: &str, figures: &[(&str, f64, &str)]) -> Option<String> {
    let figures: Vec<_> = figures.iter().filter(|(_, value, _)| value.is_finite()).take(MOST).collect();
    if figures.is_empty() {
        return None;
    }
    let metrics: Vec<Value> = figures.iter().map(|(name, _, unit)| json!({"Name": name, "Unit": unit})).collect();
    let mut fields: Map<String, Value> =
        figures.iter().map(|(name, value, _)| ((*name).to_owned(), json!(value))).collect();
    fields.insert("Function".into(), json!(function));
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": metrics});
    fields.insert("_aws".into(), json!({"Timestamp": millis, "CloudWatchMetrics": [directive]}));
    Some(Value::Object(fields).to_string())
}

/// The numbers at the top of a result, by their names with a capital: `blindSpots` becomes `BlindSpots`.
fn counts(result: &impl Serialize) -> Vec<(String, f64)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(result) else { return Vec::new() };
    let numbers = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?)));
    numbers.map(|(name, value)| (capitalised(&name), value)).collect()
}

fn unit(name: &str) -> &'static str {
    if name.starts_with("Seconds") { "Seconds" } else { "Count" }
}

fn capitalised(name: &str) -> String {
    let mut rest = name.chars();
    rest.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Done {
        blind_spots: usize,
        share: f64,
        complete: bool,
        failures: Vec<String>,
        none: Option<u32>,
    }

    #[test]
    fn numbers_become_metrics_and_nothing_else_does() {
        let done = Done { blind_spots: 2, share: 0.5, complete: true, failures: vec!["x".into()], none: None };
        let counts = counts(&done);
        assert_eq!(counts, [("BlindSpots".to_owned(), 2.0), ("Share".to_owned(), 0.5)]);
        assert_eq!((unit("SecondsToConverge"), unit("BlindSpots")), ("Seconds", "Count"));
        let figures: Vec<_> = counts.iter().map(|(name, value)| (name.as_str(), *value, "Count")).collect();
        let written: Value = serde_json::from_str(&line(7, "sweep", &figures).unwrap()).unwrap();
        assert_eq!(
            written,
            json!({
                "BlindSpots": 2.0, "Share": 0.5, "Function": "sweep",
                "_aws": {"Timestamp": 7, "CloudWatchMetrics": [{
                    "Namespace": "BackupCompliance", "Dimensions": [["Function"]],
                    "Metrics": [{"Name": "BlindSpots", "Unit": "Count"}, {"Name": "Share", "Unit": "Count"}],
                }]},
            })
        );
    }

    #[test]
    fn a_line_is_one_line_and_nothing_is_written_about_nothing() {
        let odd = line(0, "a\nb", &[("A", 1.0, "Count"), ("B", f64::NAN, "Count")]).unwrap();
        assert!(!odd.contains('\n') && !odd.contains("\"B\""), "{odd}");
        assert_eq!(line(0, "report", &[]), None);
        assert_eq!(line(0, "report", &[("A", f64::INFINITY, "Count")]), None);
        assert!(counts(&5).is_empty());
    }
}
