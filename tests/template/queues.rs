//! No message is lost without notice: dead-letter queues, retries that fit the functions, alarms.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use app::deploy::{DeployCounts, redelivery};
use app::inventory::{RenewalEnd, RenewalSummary};
use app::report::BatchSummary;
use app::review::ReviewCounts;
use app::sweep::SweepSummary;

use super::events;
use super::parsed::ParsedTemplate;
use crate::files;

/// The queues that functions read from.
fn sources(template: &ParsedTemplate) -> Vec<(&str, &str, &Value)> {
    let mappings = template.of_type("AWS::Lambda::EventSourceMapping");
    let properties = mappings.into_iter().map(|id| template.properties(id));
    properties
        .map(|mapping| {
            let queue = mapping["EventSourceArn"]["Fn::GetAtt"][0].as_str().unwrap();
            (queue, mapping["FunctionName"]["Ref"].as_str().unwrap(), mapping)
        })
        .collect()
}

fn dead_letter<'template>(template: &'template ParsedTemplate, queue: &str) -> Option<&'template str> {
    template.properties(queue)["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0].as_str()
}

#[test]
fn queues_have_dead_letter_queues_of_their_type() {
    let template = ParsedTemplate::application();
    let sources = sources(&template);
    assert_eq!(
        sources.iter().map(|(queue, _, _)| *queue).collect::<Vec<_>>(),
        ["DeployQueue", "PreviewQueue", "ReportQueue"]
    );
    for (queue, _, _) in sources {
        let dead = dead_letter(&template, queue).unwrap_or_else(|| panic!("{queue} has none"));
        assert_eq!(template.properties(queue).get("FifoQueue"), template.properties(dead).get("FifoQueue"), "{queue}");
        // The age of a message is not reset in the dead-letter queue.
        let age = |queue: &str| template.properties(queue)["MessageRetentionPeriod"].as_i64().unwrap();
        assert!(age(dead) > age(queue), "{queue}");
    }
    for queue in ["DeployQueue", "PreviewQueue"] {
        assert_eq!(template.properties(queue)["ContentBasedDeduplication"], true, "{queue}");
    }
}

#[test]
fn visibility_timeout_covers_function_timeout() {
    let template = ParsedTemplate::application();
    for (queue, function, mapping) in sources(&template) {
        let timeout = template.properties(function)["Timeout"].as_i64().unwrap();
        let window = mapping["MaximumBatchingWindowInSeconds"].as_i64().unwrap_or(0);
        let hidden = template.properties(queue)["VisibilityTimeout"].as_i64().unwrap();
        let receives = template.properties(queue)["RedrivePolicy"]["maxReceiveCount"].as_i64().unwrap();
        if template.properties(queue)["FifoQueue"] == true {
            // All other triggers wait behind a message in flight. After an error, the function sets the time of the
            // next attempt itself; an invocation without a response must not delay the others for much longer than its
            // own timeout.
            let next_attempt = hidden - timeout;
            assert!((10..=60).contains(&next_attempt), "{queue}: {next_attempt} s after the function's timeout");
            // Attempts are at most a minute apart: this allows for five to fifteen minutes of errors.
            let longest = i64::try_from(redelivery::LONGEST.as_secs()).unwrap();
            assert!((300..=900).contains(&(receives * longest)), "{queue}: {receives} receives");
            let name = template.properties(function)["Environment"]["Variables"].as_object().unwrap();
            assert!(name.values().any(|value| *value == json!({"Ref": queue})), "{function} does not know {queue}");
        } else {
            assert!(hidden >= 6 * timeout + window, "{queue}");
            assert!(receives >= 5, "{queue}: {receives} receives");
        }
        assert_eq!(mapping["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{queue}");
        let size = mapping["BatchSize"].as_i64().unwrap();
        assert!(size <= 10 || window >= 1, "{queue}: Lambda rejects it");
        if template.properties(queue)["FifoQueue"] == true {
            assert!(size <= 10 && window == 0, "{queue}: Lambda rejects it");
        }
    }
}

/// The flush message of a digest window waits in the report queue, one second longer than the window.
#[test]
fn longest_digest_window_fits_sqs_delay() {
    const LONGEST_DELAY: i64 = 900;
    let template = ParsedTemplate::application();
    let parameter = &template.section("Parameters")["DigestWindowSeconds"];
    assert!(parameter["MaxValue"].as_i64().is_some_and(|seconds| seconds < LONGEST_DELAY));
    assert_eq!(parameter["MinValue"], 0);
}

/// A batch of `report` fits into its memory and into the payload of a function.
#[test]
fn batch_fits_into_one_invocation() {
    const PAYLOAD: usize = 6 * 1024 * 1024;
    let template = ParsedTemplate::application();
    let size = template.properties("ReportMessages")["BatchSize"].as_u64().unwrap();
    assert_eq!(size, 1000);
    let flood = files::read("events/config-flood.json");
    let message = flood.len() / events::inner("config-flood.json").len();
    assert!(message * usize::try_from(size).unwrap() < PAYLOAD, "{message} bytes a message");
    for id in ["ReportFunction", "SweepFunction"] {
        assert_eq!(template.properties(id)["MemorySize"], 512, "{id}");
    }
}

#[test]
fn dead_letter_queues_have_alarms() {
    let template = ParsedTemplate::application();
    let read: BTreeSet<&str> = sources(&template).iter().map(|(queue, _, _)| *queue).collect();
    let failed: BTreeSet<&str> =
        template.of_type("AWS::SQS::Queue").into_iter().filter(|queue| !read.contains(queue)).collect();
    let watched: BTreeSet<&str> = alarms(&template, "ApproximateNumberOfMessagesVisible")
        .iter()
        .map(|alarm| alarm["Value"]["Fn::GetAtt"][0].as_str().unwrap())
        .collect();
    assert_eq!(failed.len(), 4);
    assert_eq!(watched, failed);
}

#[test]
fn functions_have_error_alarms() {
    let template = ParsedTemplate::application();
    let watched: Vec<&str> =
        alarms(&template, "Errors").iter().map(|alarm| alarm["Value"]["Ref"].as_str().unwrap()).collect();
    assert_eq!(watched, template.of_type("AWS::Serverless::Function"));
}

/// Late processing raises no error, so that no other alarm fires.
#[test]
fn source_queues_have_age_alarms() {
    let template = ParsedTemplate::application();
    let mut watched = BTreeSet::new();
    for alarm in of_metric(&template, "ApproximateAgeOfOldestMessage") {
        let queue = alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0].as_str().unwrap();
        assert_eq!(alarm["Dimensions"], json!([{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]));
        assert_eq!((&alarm["Statistic"], &alarm["EvaluationPeriods"]), (&json!("Maximum"), &json!(1)), "{queue}");
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold", "{queue}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{queue}: an empty queue has no age");
        let number = |id: &str, name: &str| template.properties(id)[name].as_i64().unwrap();
        let threshold = alarm["Threshold"].as_i64().unwrap();
        // The age that normal operation reaches, and the age at which the alarm must have fired.
        let (normal, latest) = match queue {
            // A reconciliation that times out, the next attempt, and the longest pause between them. CloudFormation
            // waits for an hour.
            "DeployQueue" => (2 * number("DeployFunction", "Timeout") + 60, 1800),
            // A review that times out, the next attempt, and the longest pause between them.
            "PreviewQueue" => (2 * number("PreviewFunction", "Timeout") + 60, 1800),
            // The delay of the flush message of a digest window, and all attempts before the dead-letter queue.
            "ReportQueue" => {
                let window = template.section("Parameters")["DigestWindowSeconds"]["MaxValue"].as_i64().unwrap();
                let attempts = template.properties(queue)["RedrivePolicy"]["maxReceiveCount"].as_i64().unwrap();
                (window + 1 + attempts * number(queue, "VisibilityTimeout"), 3600)
            }
            other => panic!("{other}"),
        };
        let fires = threshold + alarm["Period"].as_i64().unwrap();
        assert!(normal < threshold && fires <= latest, "{queue}: {normal} < {threshold}, {fires} <= {latest}");
        assert!(fires < number(queue, "MessageRetentionPeriod"), "{queue}");
        watched.insert(queue);
    }
    assert_eq!(watched, sources(&template).iter().map(|(queue, _, _)| *queue).collect());
}

/// The alarms on missing invocations, by function.
fn missing_invocations(template: &ParsedTemplate) -> BTreeMap<&str, &Value> {
    let alarms = of_metric(template, "Invocations").into_iter();
    let alarms: BTreeMap<_, _> = alarms
        .map(|alarm| {
            assert_eq!((&alarm["Statistic"], &alarm["Threshold"]), (&json!("Sum"), &json!(1)));
            assert_eq!(alarm["ComparisonOperator"], "LessThanThreshold");
            assert_eq!(alarm["TreatMissingData"], "breaching", "without invocations there are no data");
            (alarm["Dimensions"][0]["Value"]["Ref"].as_str().unwrap(), alarm)
        })
        .collect();
    assert_eq!(alarms.keys().copied().collect::<Vec<_>>(), ["DeployFunction", "SweepFunction"]);
    alarms
}

#[test]
fn runbook_lists_every_alarm() {
    let runbook = files::read("docs/operations.md");
    let rows = runbook.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let listed: BTreeSet<&str> = rows.flat_map(|cell| cell.split('`')).collect();
    for id in ParsedTemplate::application().of_type("AWS::CloudWatch::Alarm") {
        assert!(listed.contains(id), "{id}");
    }
}

/// A phrase that a runbook searches the logs for is a message of the functions.
#[test]
fn runbook_log_phrases_are_log_messages() {
    let code: String = files::all()
        .iter()
        .filter(|path| path.starts_with("crates/app/src/") && path.ends_with(".rs"))
        .map(|path| files::read(path))
        .collect();
    let pages = ["docs/operations.md", "docs/limitations.md"].map(files::read).concat();
    let phrases: Vec<&str> =
        pages.split("--filter-pattern '\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(phrases.len(), 4, "{phrases:?}");
    for phrase in phrases {
        assert!(code.contains(&format!("\"{phrase}")), "no log message begins with `{phrase}`");
    }
}

/// CloudFormation waits for an hour, and one of these quick checks sends the response.
#[test]
fn quick_check_runs_every_ten_minutes() {
    let template = ParsedTemplate::application();
    let takes = |value: &str| template.takes("QuickCheckRate", value);
    for value in ["rate(1 minute)", "rate(2 minutes)", "rate(5 minutes)", "rate(10 minutes)"] {
        assert!(takes(value), "{value}");
    }
    for value in [
        "rate(1 hour)",
        "rate(11 minutes)",
        "rate(59 minutes)",
        "rate(100 minutes)",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(1 day)",
        "cron(0 * * * ? *)",
        "rate(5 minutes) ",
    ] {
        assert!(!takes(value), "{value}");
    }
    let alarm = missing_invocations(&template)["DeployFunction"];
    assert_eq!((&alarm["Period"], &alarm["EvaluationPeriods"]), (&json!(3 * 600), &json!(1)));
}

/// The alarm on missing sweeps fires after three intervals of each allowed rate, within the limits of CloudWatch.
#[test]
fn sweep_rates_have_matching_alarms() {
    const HOUR: i64 = 3600;
    let template = ParsedTemplate::application();
    let alarm = missing_invocations(&template)["SweepFunction"];
    let period = alarm["Period"].as_i64().unwrap();
    for hours in 1..=24 {
        let rate = if hours == 1 { "rate(1 hour)".to_owned() } else { format!("rate({hours} hours)") };
        assert!(template.takes("SweepRate", &rate), "{rate}");
        let text = alarm["EvaluationPeriods"].to_string().replace(r#"{"Ref":"SweepRate"}"#, &json!(rate).to_string());
        let periods = template.resolve(&serde_json::from_str(&text).unwrap());
        let periods: i64 = periods.as_str().unwrap().parse().unwrap();
        assert_eq!(period * periods, 3 * hours * HOUR, "{rate}");
        // The limit of `PutMetricAlarm` for periods of an hour and more.
        assert!(period >= HOUR && period * periods <= 7 * 24 * HOUR, "{rate}");
    }
    for rate in
        ["rate(59 minutes)", "rate(1 hours)", "rate(2 hour)", "rate(25 hours)", "rate(1 day)", "cron(0 3 * * ? *)"]
    {
        assert!(!template.takes("SweepRate", rate), "{rate}");
    }
}

/// Whether a function emits this metric itself: the metric's name is the name of a field in its response, capitalized.
fn counts(function: &str, metric: &str) -> bool {
    let counts = match function {
        "deploy" => {
            serde_json::to_value(DeployCounts { seconds_to_converge: Some(1), ..DeployCounts::default() }).unwrap()
        }
        "inventory" => serde_json::to_value(renewed()).unwrap(),
        "report" => serde_json::to_value(BatchSummary::default()).unwrap(),
        "sweep" => serde_json::to_value(SweepSummary::default()).unwrap(),
        "preview" => serde_json::to_value(ReviewCounts::default()).unwrap(),
        other => panic!("{other} counts nothing"),
    };
    let mut counts = counts.as_object().unwrap().iter();
    counts.any(|(name, count)| {
        let (first, rest) = name.split_at(1);
        format!("{}{rest}", first.to_uppercase()) == metric && count.is_u64()
    })
}

fn renewed() -> RenewalSummary {
    RenewalSummary {
        end: RenewalEnd::Fresh,
        stored: 0,
        locations: 0,
        failed_reads: 0,
        seconds_since_stored: Some(1),
        failures: Vec::new(),
    }
}

/// An inventory is renewed after 20 hours, and an invocation that is interrupted continues at the next interval: the alarm leaves a
/// day and a half. It also fires if the function does not run.
#[test]
fn missing_inventory_has_an_alarm() {
    let template = ParsedTemplate::application();
    let alarm = template.properties("MissingInventoryAlarm");
    assert_eq!(alarm["Period"].as_i64().unwrap() * alarm["EvaluationPeriods"].as_i64().unwrap(), 36 * 3600);
    assert_eq!((&alarm["Statistic"], &alarm["Threshold"]), (&json!("Sum"), &json!(1)));
    assert_eq!(alarm["ComparisonOperator"], "LessThanThreshold");
    assert_eq!(alarm["TreatMissingData"], "breaching");
    assert_eq!(alarm["AlarmActions"], json!([{"Ref": "NotificationTopic"}]));
    assert!(counts("inventory", alarm["MetricName"].as_str().unwrap()));
    assert_eq!(alarm["Dimensions"], json!([{"Name": "Function", "Value": "inventory"}]));
    let timeout = template.properties("InventoryFunction")["Timeout"].as_i64().unwrap();
    for (rate, minutes) in
        [("rate(15 minutes)", 15), ("rate(59 minutes)", 59), ("rate(1 hour)", 60), ("rate(3 hours)", 180)]
    {
        assert!(template.takes("InventoryRate", rate), "{rate}");
        assert!(minutes * 60 >= timeout, "{rate}: invocations would overlap");
    }
    for rate in ["rate(14 minutes)", "rate(60 minutes)", "rate(4 hours)", "rate(1 day)", "cron(0 3 * * ? *)"] {
        assert!(!template.takes("InventoryRate", rate), "{rate}");
    }
}

#[test]
fn failures_and_blind_spots_have_alarms() {
    let template = ParsedTemplate::application();
    let mut watched = BTreeSet::new();
    for id in template.of_type("AWS::CloudWatch::Alarm") {
        let alarm = template.properties(id);
        if alarm["Namespace"] != "BackupCompliance" || id == "MissingInventoryAlarm" {
            continue;
        }
        let metric = alarm["MetricName"].as_str().unwrap();
        let dimensions = alarm["Dimensions"].as_array().unwrap();
        assert_eq!(dimensions.len(), 1, "{id}");
        assert_eq!(dimensions[0]["Name"], "Function", "{id}");
        let function = dimensions[0]["Value"].as_str().unwrap();
        assert!(counts(function, metric), "{id}: {function} counts no `{metric}`");
        assert_eq!(alarm["Threshold"], 0, "{id}");
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold", "{id}");
        assert_eq!(alarm["AlarmActions"], json!([{"Ref": "NotificationTopic"}]), "{id}");
        let needed = alarm.get("DatapointsToAlarm").unwrap_or(&alarm["EvaluationPeriods"]);
        watched.insert((function, metric, needed.as_i64().unwrap()));
    }
    assert_eq!(
        watched,
        BTreeSet::from([
            ("deploy", "RolloutsFailed", 1),
            ("preview", "Failed", 1),
            ("report", "GivenUp", 1),
            ("report", "Rejected", 1),
            ("sweep", "BlindSpots", 3),
            ("sweep", "GivenUp", 1),
            ("sweep", "Rejected", 1)
        ])
    );
}

/// A widget with a wrong name shows an empty graph without an error.
#[test]
fn dashboard_uses_existing_metrics() {
    let template = ParsedTemplate::application();
    let dashboard = template.properties("Dashboard");
    let body = template.resolve(&dashboard["DashboardBody"]);
    let body: Value = serde_json::from_str(body.as_str().unwrap()).unwrap();
    let mut shown = BTreeSet::new();
    let mut places = BTreeSet::new();
    for widget in body["widgets"].as_array().unwrap() {
        let properties = &widget["properties"];
        let title = properties["title"].as_str().unwrap();
        assert_eq!(properties["region"], "us-east-1", "{title}");
        assert!(widget["x"].as_i64().unwrap() + widget["width"].as_i64().unwrap() <= 24, "{title}");
        assert!(places.insert((widget["y"].as_i64(), widget["x"].as_i64())), "{title}: over another one");
        for metric in properties["metrics"].as_array().unwrap() {
            let words: Vec<&str> = metric.as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let [namespace, name, dimension, of] = words.as_slice() else { panic!("{title}: {metric}") };
            let resource = of.trim_start_matches("${").split(['.', '}']).next().unwrap();
            match *namespace {
                "BackupCompliance" => {
                    assert_eq!(*dimension, "Function", "{title}");
                    assert!(counts(of, name), "{title}: {of} counts no `{name}`");
                }
                "AWS/SQS" => {
                    assert_eq!(*dimension, "QueueName", "{title}");
                    assert_eq!(*of, format!("${{{resource}.QueueName}}"), "{title}");
                    assert_eq!(template.resource(resource)["Type"], "AWS::SQS::Queue", "{title}");
                }
                "AWS/Lambda" => {
                    assert_eq!(*dimension, "FunctionName", "{title}");
                    assert_eq!(*of, format!("${{{resource}}}"), "{title}");
                    assert_eq!(template.resource(resource)["Type"], "AWS::Serverless::Function", "{title}");
                }
                other => panic!("{title}: {other}"),
            }
            shown.insert(format!("{name} {resource}"));
        }
    }
    for kind in ["AWS::SQS::Queue", "AWS::Serverless::Function"] {
        for id in template.of_type(kind) {
            assert!(shown.iter().any(|metric| metric.ends_with(&format!(" {id}"))), "{id} is not shown");
        }
    }
    for count in serde_json::to_value(DeployCounts { seconds_to_converge: Some(1), ..DeployCounts::default() })
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
    {
        let (first, rest) = count.split_at(1);
        assert!(shown.contains(&format!("{}{rest} deploy", first.to_uppercase())), "{count} is not shown");
    }
}

/// The alarms on a metric. All of them notify the topic.
fn of_metric<'template>(template: &'template ParsedTemplate, metric: &str) -> Vec<&'template Value> {
    let all = template.of_type("AWS::CloudWatch::Alarm").into_iter().map(|id| template.properties(id));
    all.filter(|alarm| alarm["MetricName"] == metric)
        .inspect(|alarm| assert_eq!(alarm["AlarmActions"], json!([{"Ref": "NotificationTopic"}])))
        .collect()
}

/// The dimensions of the alarms on a metric that fire at the first occurrence.
fn alarms<'template>(template: &'template ParsedTemplate, metric: &str) -> Vec<&'template Value> {
    of_metric(template, metric)
        .into_iter()
        .map(|alarm| {
            assert_eq!(alarm["Threshold"], 0);
            assert_eq!(alarm["EvaluationPeriods"], 1);
            assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold");
            assert_eq!(alarm["TreatMissingData"], "notBreaching");
            &alarm["Dimensions"][0]
        })
        .collect()
}

#[test]
fn undelivered_events_share_one_queue() {
    let template = ParsedTemplate::application();
    assert_eq!(
        template.properties("UndeliveredEventsQueue").get("FifoQueue"),
        None,
        "EventBridge takes no FIFO queue for this"
    );
    for id in template.of_type("AWS::Scheduler::Schedule") {
        let to = &template.properties(id)["Target"]["DeadLetterConfig"]["Arn"];
        assert_eq!(*to, json!({"Fn::GetAtt": ["UndeliveredEventsQueue", "Arn"]}), "{id}");
    }
}
