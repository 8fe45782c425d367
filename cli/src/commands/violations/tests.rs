use clap::Parser;
use jiff::ToSpan;

use app::ports::Versioned;
use domain::notice::{BlindSpot, BlindSpotCause, BlindSpotReason};
use domain::policy::Reporting;
use domain::violation::{
    self, ChangeOutcome, ComplianceChange, ComplianceType, OpenedBy, ResultOrdering, ViolationKey, ViolationRecord,
};
use testkit::world::World;

use super::*;

const CONTROL: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: ViolationsArgs,
}

fn args(line: &str) -> Result<ViolationsArgs, clap::Error> {
    Line::try_parse_from(std::iter::once("violations").chain(line.split_whitespace())).map(|line| line.args)
}

fn account(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn record(id: &str, hours: i64, severity: Severity) -> ViolationRecord {
    let since = now() - hours.hours();
    let change = ComplianceChange {
        key: ViolationKey {
            account: account("222222222222"),
            region: RegionName::parse("eu-west-1").unwrap(),
            control: CONTROL.to_owned(),
            resource_type: "AWS::RDS::DBCluster".to_owned(),
            resource_id: id.to_owned(),
        },
        compliance: ComplianceType::NonCompliant,
        ordering: ResultOrdering { triggered: since, recorded: since, notified: since },
        rule_name: "AURORA-rule".to_owned(),
        rule_arn: String::new(),
        annotation: Some("+not\nprotected".to_owned()),
        had_result: true,
        previous: None,
    };
    let ChangeOutcome::Store { record, .. } = violation::apply(None, &change) else {
        panic!("the first result is stored")
    };
    ViolationRecord { severity, opened_by: OpenedBy::Regression, ..*record }
}

/// Two open violations, one with a hostile name, an exempt one, and a blind spot.
fn world() -> World {
    let world = World::new();
    let mut named = record("orders", 40 * 24, Severity::High);
    named.resource.name = Some("=cmd|'/c calc'!A1\u{1b}[2J\u{202e}\", x".to_owned());
    named.resource.tags.insert("owner".to_owned(), "team-shop".to_owned());
    let mut exempt = record("scratch", 9 * 24, Severity::Low);
    exempt.exemption = Some(violation::AppliedExemption {
        reason: "not needed".to_owned(),
        owner: "lab".to_owned(),
        until: "2026-12-31".parse().unwrap(),
    });
    let records = [named, record("ledger", 5, Severity::Critical), exempt];
    {
        let mut state = world.state();
        for record in records {
            state.violations.insert(record.key.clone(), Versioned { value: record, version: 1 });
        }
        state.reporting = Some(Reporting::default());
        state.account_names = [(account("222222222222"), "prod\u{7}".to_owned())].into();
        state.blind = vec![BlindSpot {
            account: account("333333333333"),
            region: RegionName::parse("eu-central-1").unwrap(),
            reason: BlindSpotReason { cause: BlindSpotCause::NotRecording, detail: None },
            since: now() - 30.hours(),
        }];
    }
    world
}

async fn listing(line: &str) -> ViolationList {
    list(&world(), &args(line).unwrap().query(), now()).await.unwrap()
}

#[tokio::test]
async fn human_format_has_table_summary_and_blind_spots() {
    let listing = listing("").await;
    insta::assert_snapshot!("wide", human::page(&ListingView::new(&listing, None, false), None));
    insta::assert_snapshot!("columns_120", human::page(&ListingView::new(&listing, None, false), Some(120)));
    insta::assert_snapshot!("columns_80", human::page(&ListingView::new(&listing, Some(1), true), Some(80)));
}

#[tokio::test]
async fn exempt_violation_has_last_day() {
    let listing = listing("--exempt only").await;
    let page = human::page(&ListingView::new(&listing, None, true), None);
    assert!(page.contains("EXEMPT UNTIL\n") && page.contains("2026-12-31\n"), "{page}");
    assert!(page.contains("1 open violation matches: 1 low;"), "{page}");
    assert!(page.contains("(9 d); 1 of them exempt\n"), "{page}");
    let narrow = human::page(&ListingView::new(&listing, None, true), Some(60));
    assert!(narrow.contains("    exempt until 2026-12-31\n"), "{narrow}");
}

#[tokio::test]
async fn table_lines_fit_with_hostile_names() {
    let listing = listing("--exempt include").await;
    for room in 20..200 {
        let page = human::page(&ListingView::new(&listing, None, false), Some(room));
        let table: Vec<&str> = page.lines().take_while(|line| !line.is_empty()).collect();
        assert!(table.len() >= 4, "{page}");
        for line in table {
            assert!(console::measure_text_width(line) <= room, "{room}: {line}");
            assert!(!line.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{line:?}");
        }
    }
}

#[tokio::test]
async fn empty_list_is_not_reported_as_compliant() {
    let mut empty = listing("--control NOTHING_IS_CALLED_SO").await;
    let page = human::page(&ListingView::new(&empty, None, true), None);
    assert_eq!(
        page,
        "no open violation on record matches\n\nno framework is in force: no resource is evaluated, and an empty list does not mean \
         compliance\nblind spot: 333333333333 eu-central-1 since 2026-11-22 06:00 UTC: AWS Config does not record in the \
         account and Region; `aws configservice start-configuration-recorder --configuration-recorder-name default --region \
         eu-central-1`\n"
    );
    empty.blind.clear();
    empty.in_force = true;
    assert_eq!(human::page(&ListingView::new(&empty, None, false), None), "no open violations on record\n");
}

#[tokio::test]
async fn json_matches_snapshot() {
    let listing = listing("--exempt include").await;
    let json = machine::json(&ListingView::new(&listing, Some(2), false));
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&json).unwrap());
}

#[tokio::test]
async fn csv_cells_are_not_formulas() {
    let listing = listing("--exempt include").await;
    let text = machine::csv(&ListingView::new(&listing, None, false)).unwrap();
    insta::assert_snapshot!("csv", text);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 3);
    for cell in rows.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
        assert!(!cell.chars().any(char::is_control), "{cell:?}");
    }
    assert!(text.lines().count() == 4 && text.ends_with("\r\n"), "one line a row");
}

#[tokio::test]
async fn unknown_control_gets_note() {
    let listing = listing("").await;
    let notes =
        |names: &[&str]| unknown_controls(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &listing);
    assert_eq!(notes(&[CONTROL, &CONTROL.to_lowercase()]), Vec::<String>::new());
    let hint = notes(&["BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLANS", "odd\u{1b}"]);
    assert!(hint[0].ends_with(&format!("did you mean `{CONTROL}`?")), "{hint:?}");
    assert!(hint[1].contains("`odd\\u{1b}`"), "{hint:?}");
}

#[test]
fn arguments_set_query() {
    let args = args(
        "--in-account 222222222222 --in-account 333333333333 --in-region eu-west-1 --control A --severity high --owner b --older-than 7 \
         --exempt include --sort severity",
    );
    let query = args.unwrap().query();
    assert_eq!((query.accounts.len(), query.regions.len(), query.controls.len(), query.owners.len()), (2, 1, 1, 1));
    assert_eq!((query.severity, query.older_than), (Some(Severity::High), Some(7)));
    assert_eq!((query.exemptions, query.order), (Exemptions::Include, ViolationOrder::Severity));
    assert!(!self::args("").unwrap().narrows() && !self::args("--exempt include").unwrap().narrows());
    for line in ["--owner x", "--exempt only", "--older-than 3", "--in-region eu-west-1"] {
        assert!(self::args(line).unwrap().narrows(), "{line}");
    }
    for (line, message) in [
        ("--in-account 22222222222", "has 11 digits"),
        ("--in-region eu_west_1", "did you mean `eu-west-1`?"),
        ("--limit 0", "0"),
        ("--stack a --table b", "cannot be used with"),
        ("--severity awful", "possible values"),
    ] {
        let error = self::args(line).unwrap_err().to_string();
        assert!(error.contains(message), "{line}: {error}");
    }
}
