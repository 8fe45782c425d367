//! Formats the summary as Markdown tables.

use std::fmt::Write as _;

use bench_common::stats::Spread;
use bench_common::table::{lay_out, row as header};

use crate::figures::{Figures, Times};
use crate::results::ColdStartSummary;

const NONE: &str = "–";

pub(crate) fn render(summary: &ColdStartSummary) -> String {
    let mut text = format!(
        "{} rounds, interleaved, on {}; Python {}\n\
         Times in ms, median / 90th percentile. Start: process start to the first request for an event, with one bundle of\n\
         certificates as on Lambda; \"start, own\": with the default certificates of this machine.\n\n",
        summary.rounds,
        summary.machine.machine.describe(),
        summary.machine.python,
    );
    let mut rows = vec![header(&[
        "function",
        "start",
        "start, own",
        "first HTTP",
        "warm HTTP",
        "start TLS",
        "first TLS",
        "warm TLS",
        "peak MiB",
        "zip MB",
    ])];
    rows.extend(summary.subjects.iter().map(row));
    lay_out(&mut text, &rows);

    let named = |name: &str| summary.subjects.iter().find(|figures| figures.name == name);
    text.push('\n');
    let mut rows =
        vec![header(&["median ratios", "start / floor", "Python / start", "Python / cold HTTP", "Python / cold TLS"])];
    for own in &summary.subjects {
        let start = |figures: &Figures| figures.http.as_ref().map(|times| times.start.p50);
        let cold = |times: Option<&Times>| times.map(|times| times.cold.p50);
        let ratio = |above: Option<f64>, below: Option<f64>| match (above, below) {
            (Some(above), Some(below)) => format!("{:.1}", above / below),
            _ => NONE.to_owned(),
        };
        let python = named("python");
        rows.push(vec![
            own.name.to_owned(),
            ratio(start(own), named("floor").and_then(start)),
            ratio(python.and_then(start), start(own)),
            ratio(python.and_then(|p| cold(p.http.as_ref())), cold(own.http.as_ref())),
            ratio(python.and_then(|p| cold(p.tls.as_ref())), cold(own.tls.as_ref())),
        ]);
    }
    lay_out(&mut text, &rows);

    summary.targets.render(&mut text);

    text.push_str("\nAWS calls of one invocation:\n");
    for figures in &summary.subjects {
        let calls = figures.calls.iter().map(|(operation, n)| format!("{operation} x{n}")).collect::<Vec<_>>();
        let calls = if calls.is_empty() { "none".to_owned() } else { calls.join(", ") };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "- {}: {calls}", figures.name);
    }
    text
}

fn row(figures: &Figures) -> Vec<String> {
    let of = |times: Option<&Times>, pick: fn(&Times) -> Spread| {
        times.map(pick).map_or_else(|| NONE.to_owned(), |spread| format!("{:.2} / {:.2}", spread.p50, spread.p90))
    };
    let (http, tls) = (figures.http.as_ref(), figures.tls.as_ref());
    vec![
        figures.name.to_owned(),
        of(http, |times| times.start),
        of(figures.directory.as_ref(), |times| times.start),
        of(http, |times| times.first),
        of(http, |times| times.warm),
        of(tls, |times| times.start),
        of(tls, |times| times.first),
        of(tls, |times| times.warm),
        figures.memory_mib.map_or_else(|| NONE.to_owned(), |memory| format!("{:.1}", memory.max)),
        format!("{:.2}", figures.zipped_mb),
    ]
}
