//! CloudWatch metrics as lines on standard output in the embedded metric format, which need no API call and no permission.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};

use app::ports::Clock;

const NAMESPACE: &str = "BackupCompliance";
/// Metrics in one line: the limit of the embedded metric format.
const LIMIT: usize = 100;

/// Writes metrics, each as `(name, value, unit)`. The function's name is the only dimension, since each account or control as a
/// dimension would be a billed metric.
pub fn emit(clock: &impl Clock, function: &str, metrics: &[(&str, f64, &str)]) {
    if let Some(line) = line(clock.now().as_millisecond(), function, metrics) {
        // A lost metric must not fail the invocation.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

/// Writes the numbers of a result: fields whose names begin with `seconds` in seconds, all others as counts.
pub fn emit_counts(clock: &impl Clock, function: &str, result: &impl Serialize) {
    let counts = counts(result);
    let metrics: Vec<_> = counts.iter().map(|(name, value)| (name.as_str(), *value, unit(name))).collect();
    emit(clock, function, &metrics);
}

fn line(millis: i64, function: &str, metrics: &[(&str, f64, &str)]) -> Option<String> {
    let metrics: Vec<_> = metrics.iter().filter(|(_, value, _)| value.is_finite()).take(LIMIT).collect();
    if metrics.is_empty() {
        return None;
    }
    let definitions: Vec<Value> = metrics.iter().map(|(name, _, unit)| json!({"Name": name, "Unit": unit})).collect();
    let mut fields: Map<String, Value> =
        metrics.iter().map(|(name, value, _)| ((*name).to_owned(), json!(value))).collect();
    fields.insert("Function".into(), json!(function));
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": definitions});
    fields.insert("_aws".into(), json!({"Timestamp": millis, "CloudWatchMetrics": [directive]}));
    Some(Value::Object(fields).to_string())
}

/// The numeric fields of a result as metric names and values: `blindSpots` becomes `BlindSpots`.
fn counts(result: &impl Serialize) -> Vec<(String, f64)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(result) else { return Vec::new() };
    let numbers = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?)));
    numbers.map(|(name, value)| (capitalized(&name), value)).collect()
}

fn unit(name: &str) -> &'static str {
    if name.starts_with("Seconds") { "Seconds" } else { "Count" }
}

fn capitalized(name: &str) -> String {
    let mut rest = name.chars();
    rest.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Numbers {
        blind_spots: usize,
        share: f64,
        complete: bool,
        failures: Vec<String>,
        none: Option<u32>,
    }

    #[test]
    fn only_numeric_fields_become_metrics() {
        let numbers = Numbers { blind_spots: 2, share: 0.5, complete: true, failures: vec!["x".into()], none: None };
        let counts = counts(&numbers);
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
    fn line_has_no_line_feed_and_no_infinite_values() {
        let odd = line(0, "a\nb", &[("A", 1.0, "Count"), ("B", f64::NAN, "Count")]).unwrap();
        assert!(!odd.contains('\n') && !odd.contains("\"B\""), "{odd}");
        assert_eq!(line(0, "report", &[]), None);
        assert_eq!(line(0, "report", &[("A", f64::INFINITY, "Count")]), None);
        assert!(counts(&5).is_empty());
    }
}
