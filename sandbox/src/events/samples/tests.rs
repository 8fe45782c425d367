use super::*;

#[test]
fn moved_by_changes_times_only() {
    let text = r#"{"time":"2026-11-23T04:12:09.311Z","at":"2026-12-31T23:59:59+01:00","day":"2026-11-23","id":"é2026-13-40T99:99:99"}"#;
    let expected = r#"{"time":"2026-11-24T05:12:09.311Z","at":"2027-01-02T00:59:59+01:00","day":"2026-11-23","id":"é2026-13-40T99:99:99"}"#;
    assert_eq!(moved_by(text, SignedDuration::from_hours(25)), expected);
    assert_eq!(moved_by("2026-11-23T04:12:0é", SignedDuration::from_hours(1)), "2026-11-23T04:12:0é");
}

#[test]
fn moved_end_of_samples_is_now() {
    let end: Timestamp = moved(NOW).parse().unwrap();
    assert_eq!(end.as_second(), now().as_second());
}

#[test]
fn samples_are_not_later_than_their_end() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut read = 0;
    for folder in [folder.clone(), folder.join("bad")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "json") {
                let text = std::fs::read_to_string(&path).unwrap();
                let times = text.as_bytes().windows(LENGTH).filter_map(|w| std::str::from_utf8(w).ok());
                for time in times.filter(|time| is_time(time)) {
                    assert!(time < &NOW[..LENGTH], "{}: {time} is later than {NOW}", path.display());
                    read += 1;
                }
            }
        }
    }
    assert!(read > 100, "{read}");
}
