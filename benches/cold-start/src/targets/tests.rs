use bench_common::stats::Spread;

use super::*;

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
fn check_compares_each_figure_with_its_target() {
    let subjects = [figures("floor", 2.0, 3.0), figures("report", 7.0, 10.0), figures("python", 200.0, 249.0)];
    let checks = check(&subjects).0;
    let met = checks.iter().map(|check| (check.figure.as_str(), check.met)).collect::<Vec<_>>();
    assert_eq!(
        met,
        [
            ("report: start / floor", true),
            ("report: Python start / start", true),
            ("report: Python cold / cold, HTTP", false),
            ("report: Python cold / cold, TLS", false),
            ("report: peak memory", false),
            ("report: zipped package", true),
        ]
    );
}

#[test]
fn check_omits_figures_without_measurements() {
    let checks = check(&[figures("deploy", 7.0, 10.0)]).0;
    let figures = checks.iter().map(|check| check.figure.as_str()).collect::<Vec<_>>();
    assert_eq!(figures, ["deploy: peak memory", "deploy: zipped package"]);
}
