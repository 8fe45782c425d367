//! A small policy repository to push.

/// A framework with the coverage control, with a retention and the event bus as parameters.
pub(crate) const FRAMEWORK: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  ComplianceEventBusArn: { Type: String, Default: "" }
  MinimumRetentionDays: { Type: String, Default: "35" }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: backup_compliance
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters:
            - { ParameterName: requiredRetentionDays, ParameterValue: !Ref MinimumRetentionDays }
"#;

/// The policy for accounts in two Regions; the last account with an override, if requested.
pub(crate) fn policy(accounts: &[&str], retention_of_last: Option<&str>) -> String {
    let (last, others) = match retention_of_last {
        Some(_) => accounts.split_last().map_or((None, accounts), |(last, others)| (Some(*last), others)),
        None => (None, accounts),
    };
    let list = |accounts: &[&str]| accounts.iter().map(|a| format!("\"{a}\"")).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "version: 1\nframeworks:\n  - name: backup-compliance\n    template: framework.yaml\n    targets:\n      - accounts: [{}]\n        regions: [us-east-1, eu-west-1]\n",
        list(others)
    );
    if let (Some(last), Some(days)) = (last, retention_of_last) {
        text.push_str(&format!(
            "      - accounts: [\"{last}\"]\n        regions: [us-east-1, eu-west-1]\n        parameters: {{ MinimumRetentionDays: \"{days}\" }}\n"
        ));
    }
    text
}

pub(crate) const ONE: &str = "111111111111";
pub(crate) const TWO: &str = "222222222222";
pub(crate) const THREE: &str = "333333333333";
