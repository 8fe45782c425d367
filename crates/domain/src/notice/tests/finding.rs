use super::home;
use super::samples::{self, changes, opened, region, update};
use crate::notice::*;
use crate::violation::{ClosedReason, ResourceDetails};

#[test]
fn finding_status_follows_update() {
    let exempt = samples::exempt();
    for (what, status, state, severity) in [
        (Update::Opened, "FAILED", "ACTIVE", "HIGH"),
        (Update::Refreshed, "FAILED", "ACTIVE", "HIGH"),
        (Update::ExemptionEnded(exempt.clone()), "FAILED", "ACTIVE", "HIGH"),
        // The resource still breaks the control.
        (Update::Exempted(exempt), "FAILED", "ARCHIVED", "INFORMATIONAL"),
        (Update::Resolved(ClosedReason::Satisfied), "PASSED", "ACTIVE", "INFORMATIONAL"),
        (Update::Resolved(ClosedReason::NotApplicable), "NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL"),
        (Update::Resolved(ClosedReason::ResourceGone), "NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL"),
        (Update::Resolved(ClosedReason::ControlRemoved), "NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL"),
        (Update::Resolved(ClosedReason::FrameworkRemoved), "NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL"),
    ] {
        let violation = update(what.clone(), 2);
        let updated = violation.recorded_at.to_string();
        let finding = Notice::from(violation).finding(&home()).expect("a finding");
        let found = (&finding["Compliance"]["Status"], &finding["RecordState"]);
        assert_eq!(found, (&json!(status), &json!(state)), "{what:?}");
        assert_eq!(finding["FindingProviderFields"]["Severity"]["Label"], severity, "{what:?}");
        assert_eq!(finding["UpdatedAt"], updated);
        assert_eq!(finding["CreatedAt"], "2026-11-23T04:12:09.311Z");
        assert_eq!(
            finding["Id"],
            "backup-compliance/222222222222/eu-west-1/BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN/AWS::RDS::DBCluster/cluster-7XK3Q"
        );
    }
    for notice in [Notice::ViolationDigest(changes()), Notice::BlindSpots(samples::blind())] {
        assert_eq!((notice.finding(&home()), notice.event()), (None, None));
    }
}

#[test]
fn finding_names_importing_and_owning_account() {
    let finding = |home: &FindingHome, violation: ViolationNotice| {
        Notice::ViolationOpened(violation).finding(home).expect("a finding")
    };
    let document = finding(&home(), opened());
    assert_eq!(document["AwsAccountId"], "111111111111");
    assert_eq!(document["ProductArn"], "arn:aws:securityhub:eu-west-1:111111111111:product/111111111111/default");
    assert_eq!(document["ProductFields"]["backup-compliance/account"], "222222222222");
    let resource = json!({
        "Type": "AwsRdsDbCluster",
        "Id": "arn:aws:rds:eu-west-1:222222222222:cluster:orders",
        "Partition": "aws",
        "Region": "eu-west-1",
        "Tags": { "environment": "prod", "owner": "orders-team@example.com", "service": "checkout" },
    });
    assert_eq!(document["Resources"], json!([resource]));
    for (name, partition) in [("cn-north-1", "aws-cn"), ("us-gov-east-1", "aws-us-gov"), ("eusc-de-east-1", "aws-eusc")]
    {
        let mut violation = opened();
        violation.key.region = region(name);
        let document = finding(&FindingHome { region: region(name), ..home() }, violation);
        assert_eq!(document["Resources"][0]["Partition"], partition);
        let arn = format!("arn:{partition}:securityhub:{name}:111111111111:product/111111111111/default");
        assert_eq!(document["ProductArn"], arn);
    }
}

#[test]
fn finding_has_no_blank_or_oversized_field() {
    let tags = (0..60).map(|n| (format!("tag-{n:02}"), if n == 0 { "  ".to_owned() } else { "v".repeat(300) }));
    let resource = ResourceDetails { name: None, arn: None, tags: tags.collect() };
    let mut violation = ViolationNotice { resource, rule_arn: String::new(), ..opened() };
    violation.key.resource_id = "n".repeat(1_000);
    let one = Notice::ViolationOpened(violation.clone()).finding(&home()).expect("a finding");
    let tags = one["Resources"][0]["Tags"].as_object().expect("tags");
    assert_eq!((tags.len(), tags.get("tag-00")), (50, None));
    assert!(one["ProductFields"].get("backup-compliance/configRuleArn").is_none());
    violation.key.resource_id.push('n');
    let other = Notice::ViolationOpened(violation).finding(&home()).expect("a finding");
    assert_ne!(one["Id"], other["Id"], "names that differ only in the part that is cut");
    assert_ne!(one["Resources"][0]["Id"], other["Resources"][0]["Id"]);
    assert_eq!(one["Id"].as_str().map(str::len), Some(512));
}
