//! The calls to AWS of each case that the end-to-end tests run, in order. No other file has lists of calls.
//!
//! Each check prints its case as a row of a table for the documents.

use crate::application::FunctionProcess;

const QUERY: &str = "dynamodb:Query";
const GET: &str = "dynamodb:GetItem";
const SCAN: &str = "dynamodb:Scan";
const READ: &str = "dynamodb:BatchGetItem";
const PUT: &str = "dynamodb:PutItem";
const UPDATE: &str = "dynamodb:UpdateItem";
const SELECT: &str = "config:SelectAggregateResourceConfig";
const ITEMS: &str = "config:BatchGetAggregateResourceConfig";
const RULES: &str = "config:DescribeAggregateComplianceByConfigRules";
const RESULTS: &str = "config:GetAggregateComplianceDetailsByConfigRule";
const PUBLISH: &str = "sns:PublishBatch";
const SEND: &str = "sqs:SendMessage";
pub(crate) const IMPORT: &str = "securityhub:BatchImportFindings";
const EVENTS: &str = "events:PutEvents";
const ASSUME: &str = "sts:AssumeRole";
const ACCOUNTS: &str = "organizations:ListAccounts";
const BRANCH: &str = "codecommit:GetBranch";
const FILE: &str = "codecommit:GetFile";
const COMMIT: &str = "codecommit:GetCommit";
const STACK_SET: &str = "cloudformation:DescribeStackSet";
const INSTANCES: &str = "cloudformation:ListStackInstances";

/// The rest of a reconciliation of an unchanged policy, after the state was read.
const UNCHANGED: &[&str] = &[BRANCH, FILE, FILE, STACK_SET];
/// The end of a rollout.
const ENDED: &[&str] = &["cloudformation:DescribeStackSetOperation", INSTANCES, PUBLISH, PUT];
/// AWS Config has no resource with the id of the sample event, so that both queries for a resource are made.
const UNKNOWN: &[&str] = &[QUERY, READ, SELECT, ITEMS];
/// A query for backup plans, then one notice.
const PLANS_AND_NOTICE: &[&str] = &[SELECT, PUBLISH, PUT];
/// The message that ends a digest window.
const SCHEDULE_FLUSH: &[&str] = &[READ, SEND, UPDATE];
/// The calls of a sweep before the first account.
const BEGIN: &[&str] = &[QUERY, GET, SCAN, SCAN];
/// The calls after the last account: blind spots, ending exemptions, due reminders, and the end of the sweep.
const END: &[&str] = &[PUT, GET, GET, GET, PUT];
/// The first sweep stores the begin of the first week.
const END_FIRST: &[&str] = &[PUT, GET, GET, GET, PUT, PUT];

/// The calls of each case, as parts that follow each other.
const CASES: &[(&str, &[&[&str]])] = &[
    ("deploy: ignored event", &[]),
    ("deploy: operation of another StackSet", &[&[QUERY]]),
    ("deploy: quick check without pending rollouts", &[&[QUERY, QUERY]]),
    ("deploy: no branch yet", &[&[QUERY, BRANCH]]),
    (
        "deploy: first rollout",
        &[
            &[QUERY],
            UNCHANGED,
            // Reporting settings are published and remembered.
            &[PUT, PUT, COMMIT],
            // The state before, from which it is known since when a framework is in force.
            &[GET, PUT, PUT],
            &["cloudformation:CreateStackSet", STACK_SET, PUT, "cloudformation:CreateStackInstances"],
        ],
    ),
    ("deploy: rollout ended", &[&[QUERY], UNCHANGED, ENDED]),
    ("deploy: unchanged policy", &[&[QUERY], UNCHANGED]),
    ("deploy: batch of several triggers", &[&[QUERY, QUERY], UNCHANGED]),
    ("deploy: full reconciliation without changes", &[&[QUERY, QUERY], UNCHANGED, &[INSTANCES]]),
    ("deploy: changed exemptions", &[&[QUERY], UNCHANGED, &[SCAN, PUBLISH, PUT, PUT]]),
    (
        "deploy: changed framework",
        &[&[QUERY], UNCHANGED, &[COMMIT, GET, PUT, INSTANCES, PUT, "cloudformation:UpdateStackSet"]],
    ),
    ("deploy: rollout ended, by quick check", &[&[QUERY, QUERY], UNCHANGED, ENDED]),
    ("deploy: AWS unavailable", &[&["sqs:ChangeMessageVisibilityBatch"]]),
    ("deploy: template over a megabyte", &[&[PUBLISH, PUT]]),
    ("deploy: staged template", &[&["s3:PutObject", "cloudformation:UpdateStackSet", "s3:DeleteObject"]]),
    ("lifecycle: request queued", &[&[PUT, SEND]]),
    ("report: opened", &[UNKNOWN, &[PUT], PLANS_AND_NOTICE]),
    ("report: opened, resource known", &[&[QUERY, READ, SELECT, PUT], PLANS_AND_NOTICE]),
    // Backup plans do not matter for other controls.
    ("report: opened, control without plans", &[&[QUERY, READ, SELECT, PUT, PUBLISH, PUT]]),
    ("report: opened, unknown control", &[UNKNOWN, &[PUT, PUBLISH, PUT]]),
    ("report: opened, after a conflict", &[UNKNOWN, &[PUT, READ, PUT], PLANS_AND_NOTICE]),
    ("report: opened, all channels", &[&[QUERY, READ, SELECT, PUT, SELECT, IMPORT, EVENTS, PUBLISH, PUBLISH, PUT]]),
    ("report: resolved, all channels", &[&[QUERY, READ, PUT, IMPORT, EVENTS, PUBLISH, PUBLISH, PUT]]),
    ("report: opened, finding in member account", &[UNKNOWN, &[PUT, SELECT, ASSUME, IMPORT, PUBLISH, PUT]]),
    ("report: resolved, finding in member account", &[&[QUERY, READ, PUT, IMPORT, PUBLISH, PUT]]),
    ("report: resolved", &[&[QUERY, READ, PUT, PUBLISH, PUT]]),
    ("report: known", &[&[QUERY, READ]]),
    ("report: recorded", &[&[QUERY, READ, PUT]]),
    ("report: exempt", &[&[QUERY, READ, SELECT, PUT]]),
    ("report: ignored event", &[]),
    ("report: unknown account", &[&[QUERY]]),
    ("report: dead letter", &[&[SEND]]),
    ("report: twelve at once", &[UNKNOWN, &[PUT; 12], &[SELECT, PUBLISH], &[PUT; 12]]),
    ("report: flush without notices", &[&[QUERY, QUERY]]),
    ("report: flush with a pending delivery", &[&[QUERY, QUERY, PUBLISH, PUT]]),
    ("report: opened, begins a window", &[UNKNOWN, &[PUT, READ, PUT], PLANS_AND_NOTICE]),
    ("report: opened, begins a window, control without plans", &[&[QUERY, READ, SELECT, PUT, READ, PUT, PUBLISH, PUT]]),
    // The first buffered notice schedules the end of the window.
    ("report: first buffered", &[&[QUERY, READ, PUT], SCHEDULE_FLUSH]),
    ("report: next buffered", &[&[QUERY, READ, SELECT, PUT, READ]]),
    ("report: eleven buffered", &[UNKNOWN, &[PUT; 11], SCHEDULE_FLUSH]),
    ("report: flush of an open window", &[&[QUERY, QUERY, READ]]),
    // The digest begins another window; notices that arrive at this moment are delivered at its end.
    ("report: flush of eleven", &[&[QUERY, QUERY, READ, PUT, SEND, UPDATE, SELECT, PUBLISH], &[PUT; 11]]),
    ("report: flush of two", &[&[QUERY, QUERY, READ, PUT, SEND, UPDATE, SELECT, PUBLISH], &[PUT; 2]]),
    ("sweep: no framework in force", &[BEGIN, &[GET, GET, GET, PUT, PUT]]),
    ("sweep: lost event", &[BEGIN, &[QUERY, RULES, RESULTS, READ, SELECT, PUT], PLANS_AND_NOTICE, END]),
    ("sweep: no change", &[BEGIN, &[QUERY, RULES, RESULTS], END]),
    ("sweep: compliant again", &[BEGIN, &[QUERY, RULES, RESULTS, PUT, PUBLISH, PUT], END]),
    // The rule of the resource has no result: the inventory shows whether the resource exists.
    ("sweep: resource deleted", &[BEGIN, &[QUERY, RULES, SELECT, ITEMS, RESULTS, PUT, PUBLISH, PUT], END]),
    ("sweep: lost event, by query", &[BEGIN, &[QUERY, RULES, SELECT, READ, SELECT, PUT], PLANS_AND_NOTICE, END_FIRST]),
    ("sweep: compliant again, by query", &[BEGIN, &[QUERY, RULES, SELECT, SELECT, PUT, PUBLISH, PUT], END]),
    (
        "sweep: lost event, in the account",
        &[
            BEGIN,
            &[QUERY, RULES, SELECT],
            &[ASSUME, "config:DescribeConfigRules", "config:GetComplianceDetailsByConfigRule"],
            &[READ, SELECT, ITEMS, PUT],
            PLANS_AND_NOTICE,
            END,
        ],
    ),
    ("sweep: blind spot", &[BEGIN, &[QUERY, RULES, SELECT, ASSUME, PUT, GET, PUBLISH, PUT, GET, GET, PUT]]),
    (
        "sweep: organization, chat and findings",
        &[
            &[QUERY, GET, ACCOUNTS, PUT, SCAN, SCAN],
            &[QUERY, RULES, RESULTS, READ, SELECT, PUT, SELECT, IMPORT, PUBLISH, PUBLISH, PUT],
            END_FIRST,
        ],
    ),
    ("sweep: organization, no change", &[&[QUERY, GET, ACCOUNTS, SCAN, SCAN, QUERY, RULES, RESULTS], END_FIRST]),
    (
        "sweep: organization, finding renewed",
        &[&[QUERY, GET, ACCOUNTS, SCAN, SCAN, QUERY, RULES, RESULTS, PUT, IMPORT, PUT], END],
    ),
    // The account is read too: it has no data.
    (
        "sweep: pending delivery",
        &[&[QUERY, GET, SCAN, SELECT, PUBLISH, PUT, SCAN, QUERY, RULES, SELECT, SELECT, ITEMS], END],
    ),
];

/// Prints the calls of a function since its last event as a row of a table.
pub(crate) fn print(case: &str, calls: &[String]) {
    println!("| {case} | {} | {} |", calls.len(), calls.join(" "));
}

/// Checks the calls of a function since its last event against the case of this name.
pub(crate) fn check(function: &FunctionProcess<'_>, case: &str) {
    check_calls(&function.calls(), case);
}

/// Checks these calls against the case of this name.
pub(crate) fn check_calls(calls: &[String], case: &str) {
    print(case, calls);
    let (_, expected) = CASES.iter().find(|(name, _)| *name == case).unwrap_or_else(|| panic!("no case `{case}`"));
    assert_eq!(calls, expected.concat(), "{case}");
}

#[test]
fn cost_cases_have_unique_names() {
    let mut names: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}
