//! Hostile input: deep, long, repeated, or not text at all. The readers reject it with message and help, in bounded
//! time and memory.

use std::fs;
use std::time::{Duration, Instant};

use domain::policy::Policy;
use evaluation::inventory::Inventory;
use fuzzing::TARGETS;
use syntax::diagnostic::Diagnostic;
use syntax::template::Template;

/// The CPU time that counts as hanging, far above the usual time below a second; not a benchmark.
const MOST: Duration = Duration::from_secs(15);
/// MiB of the whole test, including about 40 for the input and its copy.
const MOST_MEMORY: u64 = 400;
const DEEP: usize = 100_000;

/// The CPU time of this thread, or the elapsed time if the kernel does not report it.
fn worked(started: Instant) -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| started.elapsed(), Duration::from_nanos)
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let before = worked(started);
    let done = work();
    let took = worked(started).saturating_sub(before);
    assert!(took < MOST, "{what} takes {took:?}");
    done
}

/// The peak memory of this process in MiB; nextest runs each test in a process.
fn assert_memory() {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let mib = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024;
    assert!(mib < MOST_MEMORY, "{mib} MiB");
}

fn assert_refused(what: &str, faults: &[Diagnostic]) {
    assert!(!faults.is_empty(), "{what} is refused without a reason");
    for fault in faults {
        let told = fault.to_string();
        assert!(!fault.message.is_empty() && !fault.help.is_empty() && told.len() < 2_000, "{what}: {told:.2000}");
    }
}

/// Passes a text that all readers of files reject to them and to all targets.
fn refused(what: &str, text: &str) {
    refused_as_file(what, text);
    for target in TARGETS {
        timed(&format!("{what}, {}", target.name), || (target.run)(text.as_bytes()));
    }
}

/// Passes a text to all readers of files.
fn refused_as_file(what: &str, text: &str) {
    let template = timed(&format!("{what}, a template"), || Template::read_source("template.yaml", text));
    assert_refused(what, &template.expect_err(what));
    let policy = timed(&format!("{what}, a policy"), || Policy::read("policy.yaml", text));
    assert_refused(what, &policy.expect_err(what));
    let inventory = timed(&format!("{what}, an inventory"), || Inventory::read("inventory.json", text));
    assert_refused(what, &[*inventory.expect_err(what)]);
}

#[test]
fn deep_input_is_rejected() {
    for (what, open, close) in [
        ("lists", "[", "]"),
        ("lists in JSON that nobody closes", "{\"a\":[", ""),
        ("objects", "{\"a\":", "}"),
        ("mappings", "{a: ", "}"),
        ("lists, a line each", "- ", ""),
        ("keys", "? ", ""),
        ("tagged lists", "!If [", "]"),
        ("functions", "{\"Fn::Not\":[", "]}"),
    ] {
        let deep = format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP));
        refused(what, &deep);
        refused(
            &format!("{what}, within a template"),
            &format!("Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Metadata: {deep}\n"),
        );
        refused(&format!("{what}, within JSON"), &format!("{{\"version\": 1, \"Resources\": {deep}}}"));
    }
    assert_memory();
}

#[test]
fn repeated_anchors_are_rejected() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", ")));
    }
    refused("an anchor bomb", &laughs);
    refused(
        "an anchor bomb within a template",
        &format!("Resources: {{}}\nMetadata:\n  {}", laughs.replace('\n', "\n  ")),
    );
    let aliases = |count: usize| format!("a: &a x\nb: [{}]\n", vec!["*a"; count].join(", "));
    refused("aliases", &aliases(DEEP));
    refused("more aliases", &aliases(10 * DEEP));
    let anchors: Vec<String> = (0..DEEP).map(|number| format!("- &a{number} x\n")).collect();
    refused("anchors", &anchors.concat());
    let merges: Vec<String> =
        (1..DEEP).map(|number| format!("a{number}: &a{number} {{<<: *a{}, k{number}: x}}\n", number - 1)).collect();
    refused("merge keys", &format!("a0: &a0 {{k: x}}\n{}", merges.concat()));
}

#[test]
fn odd_text_is_rejected() {
    for (what, text) in [
        ("nothing", ""),
        ("a byte order mark", "\u{feff}"),
        ("two byte order marks", "\u{feff}\u{feff}a: 1"),
        ("NUL", "\0"),
        ("NUL behind a text", "version: 1\0"),
        ("NUL in JSON", "{\"a\": \"\\u0000\"}"),
        ("half a character", "{\"a\": \"\\ud800\"}"),
        ("half a character as a key", "{\"\\udfff\": 1}"),
        ("half a character in YAML", "a: \"\\ud800\"\n"),
        ("carriage returns", "\r\r\r\r"),
        ("line ends of all kinds", "a: 1\r\nb: 2\rc: 3\u{2028}d: 4\u{85}e: 5\n"),
        ("a tab", "\t"),
        ("no number", "version: 1e999999999\nResources: {}"),
        ("no number in JSON", "{\"version\": 1e999999999}"),
        ("a tag without an end", "!<tag"),
        ("a directive", "%YAML 9.9\n---\na: 1"),
    ] {
        refused(what, text);
    }
    // In a valid file, these characters have no effect.
    let template = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n";
    for text in [template.replace('\n', "\r\n"), format!("\u{feff}{template}"), template.replace('\n', "\r")] {
        assert!(Template::read_source("template.yaml", &text).is_ok(), "{text:?}");
    }
}

#[test]
fn long_tokens_are_rejected() {
    for (what, text) in [
        ("a number", format!("version: {}\n", "9".repeat(DEEP))),
        ("a number in JSON", format!("{{\"version\": {}}}", "9".repeat(DEEP))),
        ("an exponent", format!("{{\"version\": 1e{}}}", "9".repeat(DEEP))),
        ("a key", format!("{}: 1\n", "k".repeat(10 * DEEP))),
        ("a key in JSON", format!("{{\"{}\": 1}}", "k".repeat(10 * DEEP))),
        ("a tag", format!("a: !{} b\n", "t".repeat(10 * DEEP))),
        ("an anchor", format!("a: &{} b\n", "t".repeat(10 * DEEP))),
        ("a comment", format!("#{}\n", "c".repeat(10 * DEEP))),
        ("keys", (0..DEEP).map(|number| format!("k{number}: 1\n")).collect()),
        ("the same key", "k: 1\n".repeat(DEEP)),
        ("blank lines", "\n".repeat(10 * DEEP)),
        ("documents", "---\na: 1\n".repeat(DEEP)),
        ("quotes", "'".repeat(10 * DEEP)),
        ("one line", format!("a: [{}", "x, ".repeat(10 * DEEP))),
    ] {
        refused_as_file(what, &text);
    }
    assert_memory();
}

#[test]
fn large_files_are_rejected() {
    let yaml: String = (0..1_400_000).map(|number| format!("k{number:06}: value\n")).collect();
    assert!(yaml.len() >= 20_000_000);
    refused_as_file("20 MB of YAML", &yaml);
    let number = "1,".repeat(10_000_000);
    refused_as_file("20 MB of JSON", &format!("{{\"version\": 1, \"resources\": [{number}1]}}"));
    refused_as_file("20 MB of brackets", &"[".repeat(20_000_000));
    assert_memory();
}

/// Templates within the limits of CloudFormation that expand exponentially in a naive reader.
#[test]
fn expanding_templates_take_bounded_time() {
    let framework = "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n";
    let control = "        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n";
    let chain = |operator: &str| -> String {
        let conditions = (0..150).map(|number| {
            let next = number + 1;
            format!("  C{number}: !{operator} [!Condition C{next}, !Condition C{next}]\n")
        });
        let conditions: String = conditions.collect();
        format!(
            "Conditions:\n{conditions}  C150: !Equals [!Ref AWS::StackName, x]\n{framework}        - !If [C0, {{ ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }}, !Ref AWS::NoValue]\n"
        )
    };
    for (what, text) in [
        ("conditions of conditions", chain("Or")),
        ("conditions of all conditions", chain("And")),
        (
            "a condition of itself",
            format!("Conditions:\n  C0: !Not [!Condition C0]\n{framework}        - !If [C0, !Ref A, !Ref B]\n"),
        ),
        ("controls", format!("{framework}{}", control.repeat(15_000))),
        (
            "odd keys",
            format!(
                "{framework}{control}      Tags:\n{}",
                (0..20_000).map(|number| format!("        Valu{number}: x\n")).collect::<String>()
            ),
        ),
        ("variables", format!("{framework}{control}      FrameworkName: !Sub '{}'\n", "${A}".repeat(100_000))),
        (
            "variables that do not end",
            format!("{framework}{control}      FrameworkName: !Sub '{}'\n", "${".repeat(100_000)),
        ),
        (
            "tables without a tag",
            format!(
                "Resources:\n{}  P: {{ Type: AWS::Backup::BackupPlan, Properties: {{ BackupPlan: {{ BackupPlanName: p }} }} }}\n  S: {{ Type: AWS::Backup::BackupSelection, \
                 Properties: {{ BackupPlanId: !Ref P, BackupSelection: {{ SelectionName: s, ListOfTags: [{{ ConditionType: STRINGEQUALS, ConditionKey: k, ConditionValue: v }}] }} }} }}\n",
                (0..490)
                    .map(|number| format!(
                        "  T{number}: {{ Type: AWS::DynamoDB::Table, Properties: {{ TableName: t }} }}\n"
                    ))
                    .collect::<String>()
            ),
        ),
    ] {
        let template = TARGETS.iter().filter(|target| matches!(target.name, "template" | "check"));
        for target in template {
            let started = Instant::now();
            let before = worked(started);
            (target.run)(text.as_bytes());
            let took = worked(started).saturating_sub(before);
            // A target evaluates a template several times.
            assert!(took < 8 * MOST, "{what} takes {took:?} in {}", target.name);
        }
    }
    assert_memory();
}
