use super::*;
use bench_common::stats::Spread;

fn spread(value: f64) -> Spread {
    Spread { p50: value, p90: value, min: value, max: value }
}

fn figures(name: &'static str, start: f64, cold: f64) -> Figures {
    let times = Times { start: spread(start), first: spread(1.0), warm: spread(1.0), cold: spread(cold) };
    Figures {
        name,
        zipped_mb: 4.0,
        http: Some(times.clone()),
        tls: Some(times.clone()),
        directory: Some(times),
        memory_mib: Some(spread(16.5)),
        calls: std::collections::BTreeMap::new(),
    }
}

#[test]
fn each_figure_is_held_against_its_aim() {
    let subjects = [figures("floor", 2.0, 3.0), figures("report", 7.0, 10.0), figures("python", 200.0, 249.0)];
    let met = all(&subjects).into_iter().map(|reach| (reach.figure, reach.met)).collect::<Vec<_>>();
    assert_eq!(
        met,
        [
            ("start / floor", true),
            ("Python start / start", true),
            ("Python cold / cold, HTTP", false),
            ("Python cold / cold, TLS", false),
            ("peak memory", false),
            ("zipped package", true),
        ]
    );
}

#[test]
fn what_was_not_measured_has_no_verdict() {
    let reaches = all(&[figures("deploy", 7.0, 10.0)]);
    assert_eq!(reaches.iter().map(|reach| reach.figure).collect::<Vec<_>>(), ["peak memory", "zipped package"]);
}
