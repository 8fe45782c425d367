//! Evaluation results as AWS Config's API returns them.

use aws_sdk_config::types::{ComplianceType as ApiComplianceType, EvaluationResult as ApiResult};
use aws_smithy_types::DateTime;
use jiff::{Timestamp, Unit};

use app::ports::Result;
use app::sweep::ports::EvaluationResult;
use domain::violation::ComplianceType;

use crate::error::{has_code, optional, unexpected};

/// Returns `None` for a result with another compliance type. An incomplete result is an error: skipped, it would close a violation.
pub(super) fn read(
    result: &ApiResult,
    operation: &'static str,
    rule: &str,
    arn: &str,
    compliance: ComplianceType,
) -> Result<Option<EvaluationResult>> {
    if result.compliance_type().and_then(|kind| ComplianceType::from_api(kind.as_str())) != Some(compliance) {
        return Ok(None);
    }
    let missing = |field: &str| unexpected(operation, format!("a result of `{rule}` has no {field}"));
    let identifier = result.evaluation_result_identifier();
    let qualifier = identifier.and_then(|identifier| identifier.evaluation_result_qualifier());
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let ordering = identifier.and_then(|identifier| identifier.ordering_timestamp());
    let (recorded, invoked) = (result.result_recorded_time(), result.config_rule_invoked_time());
    let first = |times: [Option<&DateTime>; 3]| times.into_iter().flatten().find_map(timestamp);
    Ok(Some(EvaluationResult {
        rule_name: rule.to_owned(),
        rule_arn: arn.to_owned(),
        resource_type: text(qualifier.and_then(|q| q.resource_type())).ok_or_else(|| missing("resource type"))?,
        resource_id: text(qualifier.and_then(|q| q.resource_id())).ok_or_else(|| missing("resource id"))?,
        compliance,
        triggered: first([ordering, invoked, recorded]).ok_or_else(|| missing("time"))?,
        recorded: first([recorded, invoked, ordering]).ok_or_else(|| missing("time"))?,
        annotation: text(result.annotation()),
    }))
}

/// Rounds to the millisecond. The API encodes times as floating-point seconds, which are some nanoseconds off: unrounded, a result
/// would differ from that of its event.
fn timestamp(time: &DateTime) -> Option<Timestamp> {
    let nanos = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanos).ok()?.round(Unit::Millisecond).ok()
}

pub(super) fn api_type(compliance: ComplianceType) -> ApiComplianceType {
    match compliance {
        ComplianceType::Compliant => ApiComplianceType::Compliant,
        ComplianceType::NonCompliant => ApiComplianceType::NonCompliant,
        ComplianceType::NotApplicable => ApiComplianceType::NotApplicable,
    }
}

/// Accepts that a rule was deleted after it was listed.
pub(super) fn unless_missing(outcome: Result<()>) -> Result<Option<()>> {
    optional(outcome, |error| has_code(error, &["NoSuchConfigRuleException"]))
}

#[cfg(test)]
mod tests {
    use aws_sdk_config::types::{EvaluationResultIdentifier, EvaluationResultQualifier};

    use super::*;

    #[test]
    fn float_time_rounds_to_the_original_millisecond() {
        let original: Timestamp = "2026-11-23T12:00:00.311Z".parse().unwrap();
        let seconds = original.as_second();
        for nanos in [310_999_870, 311_000_000, 311_000_108, 311_000_499] {
            assert_eq!(timestamp(&DateTime::from_secs_and_nanos(seconds, nanos)), Some(original), "{nanos}");
        }
        let next = timestamp(&DateTime::from_secs_and_nanos(seconds, 999_999_880));
        assert_eq!(next.map(|time| time.as_millisecond()), Some((seconds + 1) * 1000));
    }

    #[test]
    fn missing_times_are_replaced_by_others() {
        let at = |second| Some(DateTime::from_secs_and_nanos(second, 311_000_000));
        let (ordering, recorded, invoked) = (at(10), at(30), at(20));
        let qualifier = EvaluationResultQualifier::builder().resource_type("AWS::S3::Bucket").resource_id("b").build();
        let identifier = |time: Option<DateTime>| {
            EvaluationResultIdentifier::builder()
                .evaluation_result_qualifier(qualifier.clone())
                .set_ordering_timestamp(time)
                .build()
        };
        let convert = |result: &ApiResult, compliance: ComplianceType| {
            super::read(result, "config:DescribeConfigRules", "rule", "", compliance)
        };
        let read = |ordering: Option<DateTime>, recorded: Option<DateTime>, invoked: Option<DateTime>| {
            let result = ApiResult::builder()
                .evaluation_result_identifier(identifier(ordering))
                .compliance_type(ApiComplianceType::NonCompliant)
                .set_result_recorded_time(recorded)
                .set_config_rule_invoked_time(invoked)
                .annotation("");
            convert(&result.build(), ComplianceType::NonCompliant)
        };
        let times = |result: Result<Option<EvaluationResult>>| {
            let result = result.unwrap().unwrap();
            assert_eq!(result.annotation, None);
            (result.triggered.as_millisecond(), result.recorded.as_millisecond())
        };
        assert_eq!(times(read(ordering, recorded, invoked)), (10_311, 30_311));
        assert_eq!(times(read(None, recorded, invoked)), (20_311, 30_311));
        assert_eq!(times(read(None, recorded, None)), (30_311, 30_311));
        assert_eq!(times(read(ordering, None, None)), (10_311, 10_311));
        assert!(read(None, None, None).unwrap_err().to_string().contains("`rule` has no time"));
        let bare = ApiResult::builder().compliance_type(ApiComplianceType::NonCompliant).build();
        assert!(convert(&bare, ComplianceType::NonCompliant).is_err());
        assert_eq!(convert(&bare, ComplianceType::Compliant).unwrap(), None, "another compliance type");
    }
}
