//! The fifteen statements that follow from the examples of the AWS Backup developer guide, "Assign resources with AWS
//! CLI".

use evaluation::inventory::document::{Document, Resource, ResourcePart, Selection};
use evaluation::{ComplianceResult, Evaluator, FailedClause, NonComplianceReason, RemediationStep};

use super::world::{
    COVERAGE, all, asked, document, inventory, pairs, plan, resource, selection, sign, verdicts, with, words,
};

/// Returns the short names of the resources that the selections of one plan match.
fn taken(selections: Vec<Selection>, resources: Vec<Resource>, off: &[&str]) -> Vec<String> {
    let mut document = document();
    for service in off {
        assert_eq!(document.locations[0].opt_in.insert((*service).to_owned(), false), Some(true), "{service}");
    }
    document.plans.push(plan(selections));
    document.resources = resources;
    let verdicts = verdicts(document, &asked(COVERAGE, &[]));
    assert!(!verdicts.values().any(|sign| *sign == '?'), "{verdicts:?}");
    let taken = verdicts.into_iter().filter(|(_, sign)| *sign == '+');
    taken.map(|(arn, _)| arn.splitn(6, ':').nth(5).unwrap().to_owned()).collect()
}

fn plain(shorts: &[&str]) -> Vec<Resource> {
    shorts.iter().map(|short| resource(short, &[])).collect()
}

const MIXED: [&str; 9] =
    ["volume/v", "instance/i", "cluster:c", "db:d", "table/t", "file-system/fsx", "file-system/efs", "vm/m", "bucket"];

fn all_but(left_out: &[&str]) -> Vec<String> {
    let mut all: Vec<(String, String)> = MIXED
        .iter()
        .filter(|short| !left_out.contains(short))
        .map(|short| (resource(short, &[]).arn, (*short).to_owned()))
        .collect();
    all.sort();
    all.into_iter().map(|(_, short)| short).collect()
}

#[test]
fn statement_1_star_selects_all_enabled_services() {
    let star = || vec![selection(&["*"], &[], &[])];
    assert_eq!(taken(star(), plain(&MIXED), &[]), all_but(&[]));
    assert_eq!(taken(star(), plain(&MIXED), &["EBS", "S3"]), all_but(&["volume/v", "bucket"]));
}

#[test]
fn statement_2_star_excludes_volumes() {
    let selection = selection(&["*"], &["arn:aws:ec2:*:*:volume/*"], &[]);
    assert_eq!(taken(vec![selection], plain(&MIXED), &[]), all_but(&["volume/v"]));
}

#[test]
fn statement_3_star_with_condition() {
    let selection = with(selection(&["*"], &["arn:aws:ec2:*:*:volume/*"], &[]), [&["backup=true"], &[], &[], &[]]);
    let resources = vec![
        resource("volume/v", &["backup=true"]),
        resource("instance/i", &["backup=true"]),
        resource("instance/j", &["backup=false"]),
        resource("instance/k", &[]),
    ];
    assert_eq!(taken(vec![selection], resources, &[]), ["instance/i"]);
}

#[test]
fn statement_4_two_conditions_and_a_db_pattern() {
    let selection = with(
        selection(&["arn:aws:ec2:*:*:volume/*", "arn:aws:rds:*:*:db:*"], &[], &[]),
        [&["backup=true", "stage=prod"], &[], &[], &[]],
    );
    let both = ["backup=true", "stage=prod"];
    let resources = vec![
        resource("volume/v", &both),
        resource("volume/w", &["backup=true"]),
        resource("db:d", &both),
        resource("cluster:c", &both),
        resource("instance/i", &both),
    ];
    assert_eq!(taken(vec![selection], resources, &[]), ["volume/v", "db:d"]);
}

#[test]
fn statement_5_negative_condition_without_the_tag() {
    let selection = with(selection(&["*"], &[], &[]), [&["backup=true"], &["stage=test"], &[], &[]]);
    let resources = vec![
        resource("volume/a", &["backup=true"]),
        resource("volume/b", &["backup=true", "stage=prod"]),
        resource("volume/c", &["backup=true", "stage=test"]),
        resource("volume/d", &["stage=prod"]),
    ];
    assert_eq!(taken(vec![selection], resources, &[]), ["volume/a", "volume/b"]);
}

#[test]
fn statement_6_like_and_not_like() {
    let selection = with(selection(&["*"], &[], &[]), [&[], &[], &["key1=include*"], &["key2=*exclude*"]]);
    let resources = vec![
        resource("volume/a", &["key1=include me"]),
        resource("volume/b", &["key1=include", "key2=keep"]),
        resource("volume/c", &["key1=include", "key2=do exclude me"]),
        resource("volume/d", &["key1=do include"]),
        resource("volume/e", &["key2=keep"]),
    ];
    assert_eq!(taken(vec![selection], resources, &[]), ["volume/a", "volume/b"]);
}

#[test]
fn statement_7_rds_exclusion_covers_cluster_engines() {
    let selection = selection(&[], &["arn:aws:fsx:*", "arn:aws:rds:*"], &["backup=true"]);
    let mut resources: Vec<Resource> = MIXED.iter().map(|short| resource(short, &["backup=true"])).collect();
    resources.push(resource("table/untagged", &[]));
    assert_eq!(
        taken(vec![selection], resources, &[]),
        all_but(&["file-system/fsx", "cluster:c", "db:d"]),
        "and what has no tag is not in"
    );
}

/// Audit Manager does not evaluate Neptune and DocumentDB, whose ARNs are those of RDS.
#[test]
fn statement_7_neptune_and_documentdb_not_evaluated() {
    let mut document = document();
    for engine in ["neptune", "docdb", "aurora-mysql", "mysql"] {
        let mut cluster = resource(&format!("cluster:{engine}"), &[]);
        cluster.engine = Some(engine.to_owned());
        document.resources.push(cluster);
    }
    let asked_of = verdicts(document, &asked(COVERAGE, &[]));
    let asked_of: Vec<&str> = asked_of.keys().map(|arn| arn.rsplit(':').next().unwrap()).collect();
    assert_eq!(asked_of, ["aurora-mysql", "mysql"]);
}

#[test]
fn statement_8_any_value_of_a_tag() {
    let selection = with(selection(&["*"], &[], &[]), [&[], &[], &["backup=*"], &[]]);
    let resources =
        vec![resource("volume/a", &["backup=whatever"]), resource("volume/b", &["backup="]), resource("volume/c", &[])];
    assert_eq!(taken(vec![selection], resources, &[]), ["volume/a", "volume/b"]);
}

#[test]
fn statement_9_condition_applies_to_both_lists() {
    let selection = with(
        selection(&["arn:aws:fsx:*", "arn:aws:rds:*:*:cluster:my-aurora-cluster"], &[], &["backup=true"]),
        [&[], &["stage=test"], &[], &[]],
    );
    let resources = vec![
        resource("file-system/fsx1", &[]),
        resource("file-system/fsx2", &["stage=test"]),
        resource("cluster:my-aurora-cluster", &["stage=prod"]),
        resource("cluster:other", &[]),
        resource("table/a", &["backup=true"]),
        resource("table/b", &["backup=true", "stage=test"]),
        resource("table/c", &[]),
    ];
    assert_eq!(taken(vec![selection], resources, &[]), ["table/a", "file-system/fsx1", "cluster:my-aurora-cluster"]);
}

#[test]
fn statement_10_two_selections_of_one_plan() {
    let all_but_volumes = selection(&[], &["arn:aws:ec2:*:*:volume/*"], &["backup=true"]);
    let volumes =
        with(selection(&["arn:aws:ec2:*:*:volume/*"], &[], &[]), [&["backup=true"], &["stage=test"], &[], &[]]);
    let resources = vec![
        resource("table/a", &["backup=true", "stage=test"]),
        resource("table/b", &[]),
        resource("volume/a", &["backup=true", "stage=test"]),
        resource("volume/b", &["backup=true"]),
        resource("volume/c", &[]),
    ];
    assert_eq!(taken(vec![all_but_volumes, volumes], resources, &[]), ["table/a", "volume/b"]);
}

#[test]
fn statement_11_type_pattern_needs_no_opt_in() {
    let selection = selection(&["arn:aws:ec2:*:*:instance/*"], &[], &[]);
    assert_eq!(taken(vec![selection], plain(&MIXED), &["EC2", "EBS"]), ["instance/i"]);
}

#[test]
fn statement_12_service_pattern_needs_opt_in() {
    let of_service = || vec![selection(&["arn:aws:ec2:*"], &[], &[])];
    assert_eq!(taken(of_service(), plain(&MIXED), &["EC2"]), ["volume/v"]);
    assert_eq!(taken(of_service(), plain(&MIXED), &[]), ["instance/i", "volume/v"]);
}

#[test]
fn statement_13_clusters_always_need_aurora_opt_in() {
    for pattern in ["arn:aws:rds:*:*:cluster:*", "arn:aws:rds:eu-west-1:111122223333:cluster:c"] {
        let by_pattern = || vec![selection(&[pattern], &[], &[])];
        assert_eq!(taken(by_pattern(), plain(&MIXED), &["Aurora"]), Vec::<String>::new());
        assert_eq!(taken(by_pattern(), plain(&MIXED), &[]), ["cluster:c"]);
    }
    let by_pattern = vec![selection(&["arn:aws:fsx:*:*:file-system/*"], &[], &[])];
    assert_eq!(taken(by_pattern, plain(&MIXED), &["FSx"]), Vec::<String>::new(), "and those of FSx likewise");
}

#[test]
fn statement_14_empty_selection_selects_everything() {
    assert_eq!(taken(vec![selection(&[], &[], &[])], plain(&MIXED), &["EC2"]), all_but(&["instance/i"]));
}

#[test]
fn statement_15_values_are_case_sensitive() {
    let list = selection(&[], &[], &["backup=True"]);
    let condition = with(selection(&[], &[], &[]), [&["Stage=prod"], &[], &[], &[]]);
    let like = with(selection(&[], &[], &[]), [&[], &[], &["stage=Prod*"], &[]]);
    let resources = vec![
        resource("table/a", &["backup=true"]),
        resource("table/b", &["stage=prod"]),
        resource("table/c", &["Stage=Prod"]),
        resource("table/d", &["backup=True"]),
    ];
    assert_eq!(taken(vec![list, condition, like], resources, &[]), ["table/d"]);
}

/// One Aurora instance, its cluster, and a plan that selects instances or clusters.
#[test]
fn cluster_member_is_evaluated_as_its_cluster() {
    for (selections, expected) in [
        (vec![selection(&["arn:aws:rds:*:*:db:*"], &[], &[])], '-'),
        (vec![selection(&["arn:aws:rds:*:*:cluster:*"], &[], &[])], '+'),
        (vec![selection(&[], &[], &["backup=true"])], '-'),
    ] {
        let mut document = document();
        let cluster = resource("cluster:orders", &["stage=prod"]);
        let mut member = resource("db:orders-1", &["backup=true"]);
        member.cluster = Some(cluster.arn.clone());
        document.resources = vec![member, cluster];
        document.plans.push(plan(selections));
        let verdicts = verdicts(document, &asked(COVERAGE, &[]));
        assert_eq!(verdicts.values().collect::<String>(), format!("{expected}{expected}"), "{verdicts:?}");
    }
    // An unread cluster is not a cluster without tags.
    let mut document = document();
    let mut member = resource("db:orders-1", &[]);
    member.cluster = Some("arn:aws:rds:eu-west-1:111122223333:cluster:gone".to_owned());
    document.resources.push(member);
    assert_eq!(
        words(document, &asked(COVERAGE, &[])),
        "UNDECIDED: unknown: its cluster `arn:aws:rds:eu-west-1:111122223333:cluster:gone`"
    );
}

/// An ARN that ends before its name, as before a deployment.
#[test]
fn partial_arn_is_matched_by_its_start() {
    for (pattern, expected) in [
        ("*", '+'),
        ("arn:aws:dynamodb:*:*:table/*", '+'),
        ("arn:aws:dynamodb:*:*:table/orders", '?'),
        ("arn:aws:dynamodb:*:*:table/*s", '?'),
        ("arn:aws:ec2:*", '-'),
    ] {
        let mut document = document();
        let mut table = resource("table/", &[]);
        table.unread.push(ResourcePart::ArnEnd);
        document.resources.push(table);
        document.plans.push(plan(vec![selection(&[pattern], &[], &[])]));
        let verdicts = verdicts(document, &asked(COVERAGE, &[]));
        assert_eq!(verdicts.into_values().collect::<String>(), expected.to_string(), "{pattern}");
    }
}

/// Returns the steps proposed for the only resource, as text.
fn proposed(document: Document) -> Vec<String> {
    let inventory = inventory(&document);
    let asked = [asked(COVERAGE, &[])];
    let all = all(&Evaluator::new(&inventory, &asked));
    let ComplianceResult::NotCompliant(NonComplianceReason::NotSelected(not_selected)) = &all[0].result else {
        panic!("{all:?}")
    };
    not_selected.steps.iter().map(ToString::to_string).collect()
}

#[test]
fn condition_key_without_prefix_is_undecided() {
    let mut document = document();
    document.resources.push(resource("table/orders", &["backup=yes"]));
    let mut own = selection(&["*"], &[], &[]);
    own.conditions.string_equals = pairs(&["backup=yes"], "");
    document.plans.push(plan(vec![own]));
    assert_eq!(
        words(document.clone(), &asked(COVERAGE, &[])),
        "UNDECIDED: unknown: the effect of the condition key `backup`, which lacks the prefix `aws:ResourceTag/`"
    );
    document.plans[0].selections[0].not_resources = vec!["*".to_owned()];
    assert!(words(document, &asked(COVERAGE, &[])).starts_with("NON_COMPLIANT"), "whatever the key means");
}

/// An unknown opt-in setting is not reported as disabled, and enabling it is not proposed.
#[test]
fn unread_facts_are_not_a_reason() {
    let mut document = document();
    document.locations[0].opt_in.remove("DynamoDB");
    document.resources.push(resource("table/orders", &[]));
    document.plans.push(plan(vec![with(selection(&["*"], &[], &[]), [&["backup=yes"], &[], &[], &[]])]));
    assert_eq!(
        words(document.clone(), &asked(COVERAGE, &[])),
        "NON_COMPLIANT: no plan selects it; the closest selection is `selection` of the plan `gold`: the condition StringEquals \
         `backup` `yes` does not hold (the tag is absent)"
    );
    assert_eq!(proposed(document), ["tag it `backup` = `yes`"]);
}

#[test]
fn impossible_steps_are_not_proposed() {
    let mut document = document();
    document.resources.push(resource("table/orders", &[]));
    let of = |selection: Selection, document: &Document| {
        let mut document = document.clone();
        document.plans.push(plan(vec![selection]));
        proposed(document)
    };
    let none = Vec::<String>::new();
    assert_eq!(of(with(selection(&["*"], &[], &[]), [&["a=b*"], &[], &[], &[]]), &document), none, "no value has a *");
    assert_eq!(of(with(selection(&["*"], &[], &[]), [&[], &[], &["a=b?"], &[]]), &document), none, "nor a ?");
    // One ARN more than AWS Backup accepts.
    let full: Vec<String> =
        (0..500).map(|number| format!("arn:aws:ec2:eu-west-1:111122223333:volume/{number}")).collect();
    let mut own = selection(&[], &[], &[]);
    own.resources = full;
    assert_eq!(of(own.clone(), &document), none);
    own.resources.pop();
    assert_eq!(of(own, &document).len(), 1);
}

#[test]
fn unselected_resource_names_closest_selection() {
    let mut document = document();
    document.resources.push(resource("cluster:orders", &["stage=prod", "backup=yes"]));
    let far = with(selection(&["*"], &[], &[]), [&["a=1", "b=2", "c=3"], &[], &[], &[]]);
    let near = Selection { name: "tagged".to_owned(), ..selection(&[], &[], &["backup=true"]) };
    document.plans.push(plan(vec![far, near]));
    assert_eq!(
        words(document.clone(), &asked(COVERAGE, &[])),
        "NON_COMPLIANT: no plan selects it; the closest selection is `tagged` of the plan `gold`: neither its ARN nor a tag \
         matches"
    );
    assert_eq!(proposed(document.clone()), ["tag it `backup` = `true` (currently `yes`)"]);

    // The existing tag is the one that excludes it.
    document.plans[0].selections = vec![with(selection(&["*"], &[], &[]), [&[], &["backup=yes"], &[], &[]])];
    assert_eq!(proposed(document.clone()), ["remove the tag `backup` from it (currently `yes`)"]);

    // Only the service is not enabled.
    document.plans[0].selections = vec![selection(&["*"], &[], &[])];
    document.locations[0].opt_in.insert("Aurora".to_owned(), false);
    assert_eq!(
        proposed(document.clone()),
        ["enable Aurora in the settings of AWS Backup of account 111122223333 in eu-west-1"]
    );

    // A list of ARNs accepts one more.
    document.locations[0].opt_in.insert("Aurora".to_owned(), true);
    document.plans[0].selections = vec![selection(&["arn:aws:rds:*:*:cluster:other"], &[], &[])];
    assert_eq!(
        proposed(document.clone()),
        [
            "add `arn:aws:rds:eu-west-1:111122223333:cluster:orders` to the resources of the selection `selection` of the plan `gold`"
        ]
    );

    // An exclusion by name overrides a tag.
    document.plans[0].selections = vec![selection(&["*"], &["arn:aws:rds:*"], &[])];
    assert_eq!(proposed(document.clone()), Vec::<String>::new());
    assert!(words(document.clone(), &asked(COVERAGE, &[])).ends_with("`arn:aws:rds:*` excludes it"));

    document.plans.clear();
    assert_eq!(
        words(document, &asked(COVERAGE, &[])),
        "NON_COMPLIANT: no plan selects it; its account and Region have none"
    );
}

#[test]
fn failed_condition_names_the_found_value() {
    let mut document = document();
    document.resources.push(resource("volume/a", &["stage=test"]));
    document.plans.push(plan(vec![with(selection(&["*"], &[], &[]), [&["backup=true"], &["stage=test"], &[], &[]])]));
    let inventory = inventory(&document);
    let asked = [asked(COVERAGE, &[])];
    let all = all(&Evaluator::new(&inventory, &asked));
    assert_eq!(sign(&all[0].result), '-');
    let ComplianceResult::NotCompliant(NonComplianceReason::NotSelected(not_selected)) = &all[0].result else {
        panic!("{all:?}")
    };
    let near = not_selected.closest.as_ref().unwrap();
    let found: Vec<Option<&str>> = near
        .failed
        .iter()
        .map(|clause| match clause {
            FailedClause::Condition { found, .. } => *found,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, [None, Some("test")]);
    assert!(
        matches!(
            not_selected.steps.as_slice(),
            [
                RemediationStep::SetTag { key: "backup", current: None, .. },
                RemediationStep::RemoveTag { key: "stage", current: Some("test") }
            ]
        ),
        "{:?}",
        not_selected.steps
    );
}
