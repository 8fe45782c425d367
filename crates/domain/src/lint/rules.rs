//! The rules. `docs/rules.md` is made from them: `UPDATE_DOCS=1 cargo nextest run -p domain`.
//!
//! An id is never given to another rule. Tens go together: 00 the template, 10 the framework, 20 its controls, 30 their parameters,
//! 40 their scopes, 50 how controls go together and what stands around them, 60 the policy, 90 suppressions.

use super::rule::Example::{self, Change, Controls, Many, Properties, Regions, Template};
use super::rule::Level::{Error, Note, Warning};
use super::rule::{Level, Rule};

macro_rules! rules {
    ($($name:ident: $id:literal $level:ident $title:literal $explanation:literal bad $bad:expr; good $good:expr;)*) => {
        $(
            #[doc = concat!($id, ": ", $title, ".")]
            pub(crate) static $name: Rule = rule($id, $level, $title, $explanation, $bad, $good);
        )*

        /// Every rule, in the order of their ids.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

const fn rule(
    id: &'static str,
    level: Level,
    title: &'static str,
    explanation: &'static str,
    bad: Example,
    good: Example,
) -> Rule {
    Rule { id, level, title, explanation, bad, good }
}

rules! {
    UNREADABLE: "BC001" Error "The template cannot be read"
        "The file is no YAML or JSON, is larger than CloudFormation takes, is nested too deeply, or is no CloudFormation template: \
         `Resources` is missing, a resource or a parameter has no `Type`."
        bad Template("Resources:\n  Framework:\n    Properties:\n      FrameworkName: org_backup\n");
        good Properties("FrameworkControls:\n  - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");

    ALIASES: "BC002" Error "The template has YAML aliases or merge keys"
        "CloudFormation refuses templates with aliases (`*name`), and merge keys (`<<`) are of no use without them. Anchors alone do \
         no harm. What aliases stand for is judged all the same."
        bad Template("\
Resources:
  First: &topic
    Type: AWS::SNS::Topic
  Second: *topic
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Template("\
Resources:
  First:
    Type: AWS::SNS::Topic
  Second:
    Type: AWS::SNS::Topic
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");

    NO_FRAMEWORK: "BC003" Error "The template has no framework"
        "A template that a policy rolls out must have a resource of the type `AWS::Backup::Framework`. Often the type is misspelt. Where macros, \
         `Fn::ForEach` or `Fn::Transform` make resources, there may be one that cannot be seen."
        bad Template("\
Resources:
  Framework:
    Type: AWS::Backup::Frameworks
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Properties("FrameworkControls:\n  - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");

    PARAMETERS: "BC004" Error "The template's parameters do not fit the values that it is given"
        "A value is given for a parameter that the template does not declare, a parameter without a default is given none, or a \
         value is none that the declaration allows (`AllowedValues`, `AllowedPattern`, `MinValue`, `MaxLength` and the like): \
         CloudFormation refuses all of them. Looked at on its own, a template may leave values to its deployment."
        bad Template("\
Parameters:
  RetentionDays:
    Type: Number
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters:
            - ParameterName: requiredRetentionDays
              ParameterValue: !Ref RetentionDays
");
        good Template("\
Parameters:
  RetentionDays:
    Type: Number
    Default: 35
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters:
            - ParameterName: requiredRetentionDays
              ParameterValue: !Ref RetentionDays
");

    EXPANSION: "BC005" Note "A part is made by CloudFormation and cannot be judged"
        "`Fn::ForEach`, `Fn::Transform` and macros are replaced by something else before CloudFormation reads the template. What they \
         become is not known here, so nothing is said about it."
        bad Template("\
Transform: OrganisationMacro
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Properties("FrameworkControls:\n  - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");

    UNSEEN: "BC006" Note "A part is known only at deployment and cannot be judged"
        "A control, or a list of controls, that comes from elsewhere (`Fn::ImportValue`, `Fn::GetAtt`, a macro) is not known here, so \
         nothing is said about it. `check` and `evaluate` say so with a warning: of such a control they judge nothing."
        bad Controls("- Fn::ImportValue: shared-control\n");
        good Controls("- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");

    UNDECLARED: "BC007" Error "A name stands for nothing"
        "`Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::If` and `Condition` must name what the template has: CloudFormation refuses it otherwise. \
         Templates with macros or modules are left out, which may have more than can be seen."
        bad Template("\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Condition: IsHome
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Template("\
Conditions:
  IsHome: !Equals [!Ref AWS::Region, eu-west-1]
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Condition: IsHome
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");

    SHAPE: "BC010" Error "A list, a mapping or a text stands where CloudFormation wants something else"
        "`FrameworkControls`, `ControlInputParameters` and the entries of `ControlScope` are lists; names and values are texts; \
         `Properties` and `ControlScope` are mappings. The API of AWS Backup has tags as a mapping, CloudFormation as a list."
        bad Controls("\
- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ControlScope:
    Tags:
      environment: prod
");
        good Controls("\
- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ControlScope:
    Tags:
      - Key: environment
        Value: prod
");

    FRAMEWORK_NAME: "BC011" Error "The framework's name has characters that AWS Backup refuses"
        "A name is a letter followed by letters, digits and underscores, 256 at most. Hyphens and dots, usual elsewhere, are refused \
         only when the framework is created. What is known of a name counts: every Region has a hyphen, so that `${AWS::Region}` in a \
         name is wrong everywhere."
        bad Properties("\
FrameworkName: org-backup
FrameworkControls:
  - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Properties("\
FrameworkName: org_backup
FrameworkControls:
  - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");

    NO_CONTROLS: "BC012" Error "The framework has no controls"
        "A framework needs at least one control. It has none too if every control in the list is switched off by its `Fn::If`."
        bad Template("\
Parameters:
  Encrypted:
    Type: String
    Default: 'no'
Conditions:
  ChecksEncryption: !Equals [!Ref Encrypted, 'yes']
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - !If
          - ChecksEncryption
          - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
          - !Ref AWS::NoValue
");
        good Properties("FrameworkControls:\n  - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");

    UNKNOWN_PROPERTY: "BC013" Error "A property does not exist"
        "CloudFormation refuses a resource with properties that its type does not have, and parts of it likewise."
        bad Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
  ControlInputParameter:
    - ParameterName: requiredRetentionDays
      ParameterValue: \"35\"
");
        good Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
  ControlInputParameters:
    - ParameterName: requiredRetentionDays
      ParameterValue: \"35\"
");

    DESCRIPTION: "BC014" Error "The framework's description is blank or too long"
        "A description has 1,024 characters at most, and one that is not blank. Without one the property is left out."
        bad Properties("\
FrameworkDescription: \" \"
FrameworkControls:
  - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Properties("\
FrameworkDescription: What every account of the organisation is measured by
FrameworkControls:
  - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");

    CONTROL_SHAPE: "BC020" Error "An entry of `FrameworkControls` is no control"
        "Every entry is a mapping with a `ControlName`."
        bad Controls("- BACKUP_RECOVERY_POINT_ENCRYPTED\n");
        good Controls("- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");

    UNKNOWN_CONTROL: "BC021" Error "There is no such control"
        "AWS Backup Audit Manager has the eleven controls that [controls.md](controls.md) lists. CloudFormation takes any name and \
         fails only when the framework is created, in every account."
        bad Controls("- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTION_ENABLED\n");
        good Controls("- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");

    REPEATED_CONTROL: "BC022" Error "A control is used twice for the same resources"
        "A framework may use a control several times if each use is for other resources. The order in which types are listed makes \
         no difference."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope: { ComplianceResourceTypes: [EBS, RDS] }
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope: { ComplianceResourceTypes: [RDS, EBS] }
");
        good Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope: { ComplianceResourceTypes: [EBS, RDS] }
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope: { ComplianceResourceTypes: [S3] }
");

    COVERED_CONTROL: "BC023" Warning "A control is used for some resources and for all"
        "A control without `ControlScope` judges everything that it can. The same control with the same parameters for some of them \
         adds nothing but a second violation for each, and counts towards the quota."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope: { ComplianceResourceTypes: [EBS] }
");
        good Controls("- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n");

    TOO_MANY: "BC024" Warning "More controls or frameworks than an account may have"
        "An account may have 50 controls in a Region, counted over all its frameworks, and 15 frameworks. AWS raises both on request, \
         so this is no error; without that the rollout fails. Frameworks of which a condition is undecided do not count; those of a policy \
         count together where they go to the same account and Region."
        bad Many(51, "\
- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ControlScope: { Tags: [{ Key: team, Value: team-N }] }
");
        good Controls("- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");

    EQUAL_FRAMEWORKS: "BC025" Error "Two frameworks have equal controls"
        "AWS Backup refuses a framework whose controls, parameters and scopes are those of another in the same account and Region. Two are told of only if they are there together for certain: in one template, or \
         from two frameworks of a policy."
        bad Template("\
Resources:
  First:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: first
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  Second:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: second
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Template("\
Resources:
  First:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: first
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  Second:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: second
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
");

    SELF_COLLISION: "BC026" Error "A replacement collides with what it replaces"
        "With another `FrameworkName` or another logical id, CloudFormation creates the new framework before it deletes the old one, \
         and AWS Backup refuses two with equal controls. Change a control or parameter with the name, or keep the name; to change \
         the name alone takes two rollouts. Only a comparison with the template before the change can find this."
        bad Change("\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: backup
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
", "\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: org_backup
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Change("\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: backup
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
", "\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: org_backup
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
");

    EQUAL_NAMES: "BC027" Error "Two frameworks have the same name"
        "The name of a framework is its own in an account and Region: AWS Backup refuses to create a second one of the same name. \
         Frameworks whose conditions shut each other out may share a name."
        bad Template("\
Resources:
  First:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: org_backup
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  Second:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: org_backup
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
");
        good Template("\
Resources:
  First:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: org_backup
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  Second:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: org_backup_plans
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
");

    UNKNOWN_PARAMETER: "BC030" Error "The control has no such parameter"
        "Each control takes the parameters that [controls.md](controls.md) lists, and some take none."
        bad Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
  ControlInputParameters:
    - ParameterName: requiredRetentionDay
      ParameterValue: \"35\"
");
        good Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
  ControlInputParameters:
    - ParameterName: requiredRetentionDays
      ParameterValue: \"35\"
");

    REPEATED_PARAMETER: "BC031" Error "A parameter is given twice"
        "Of two values for one parameter only one could count."
        bad Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredRetentionDays, ParameterValue: \"35\" }
    - { ParameterName: requiredRetentionDays, ParameterValue: \"90\" }
");
        good Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredRetentionDays, ParameterValue: \"90\" }
");

    PARAMETER_SHAPE: "BC032" Error "A parameter has no name or no value"
        "CloudFormation wants both `ParameterName` and `ParameterValue` of each. Where there is nothing to say, the parameter is left \
         out."
        bad Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
  ControlInputParameters:
    - ParameterName: requiredRetentionDays
");
        good Controls("- ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK\n");

    VALUE_TYPE: "BC033" Error "A parameter's value is of the wrong kind"
        "Numbers are whole and written in digits, units are `hours` or `days`, lists have commas and no spaces. An empty value is none \
         of these: leave the parameter out."
        bad Controls("\
- ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredFrequencyUnit, ParameterValue: Hours }
    - { ParameterName: requiredFrequencyValue, ParameterValue: \"24\" }
");
        good Controls("\
- ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredFrequencyUnit, ParameterValue: hours }
    - { ParameterName: requiredFrequencyValue, ParameterValue: \"24\" }
");

    VALUE_RANGE: "BC034" Error "A parameter's value is out of range"
        "The bounds are in [controls.md](controls.md). Those of ages and frequencies depend on the unit: more than 24 hours between \
         backups is written in days."
        bad Controls("\
- ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredFrequencyUnit, ParameterValue: hours }
    - { ParameterName: requiredFrequencyValue, ParameterValue: \"48\" }
");
        good Controls("\
- ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredFrequencyUnit, ParameterValue: days }
    - { ParameterName: requiredFrequencyValue, ParameterValue: \"2\" }
");

    MISSING_PARAMETER: "BC035" Warning "A parameter is missing without which the control says nothing"
        "The AWS Config rule behind the control requires the parameter. AWS's own sample leaves it out, so this is no error."
        bad Controls("- ControlName: RESTORE_TIME_FOR_RESOURCES_MEET_TARGET\n");
        good Controls("\
- ControlName: RESTORE_TIME_FOR_RESOURCES_MEET_TARGET
  ControlInputParameters:
    - { ParameterName: maxRestoreTime, ParameterValue: \"720\" }
");

    LEAST_ABOVE_MOST: "BC036" Error "The least is more than the most"
        "No vault can keep backups for at least 90 and at most 30 days: every resource would break the control."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK
  ControlInputParameters:
    - { ParameterName: minRetentionDays, ParameterValue: \"90\" }
    - { ParameterName: maxRetentionDays, ParameterValue: \"30\" }
");
        good Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK
  ControlInputParameters:
    - { ParameterName: minRetentionDays, ParameterValue: \"30\" }
    - { ParameterName: maxRetentionDays, ParameterValue: \"90\" }
");

    HALF_A_PERIOD: "BC037" Warning "A number without its unit, or a unit without its number"
        "What is left out has its default, 1 or `days`: `24` alone means 24 days, and `hours` alone means every hour."
        bad Controls("\
- ControlName: BACKUP_LAST_RECOVERY_POINT_CREATED
  ControlInputParameters:
    - { ParameterName: recoveryPointAgeValue, ParameterValue: \"24\" }
");
        good Controls("\
- ControlName: BACKUP_LAST_RECOVERY_POINT_CREATED
  ControlInputParameters:
    - { ParameterName: recoveryPointAgeValue, ParameterValue: \"24\" }
    - { ParameterName: recoveryPointAgeUnit, ParameterValue: hours }
");

    SHORT_AIR_GAP: "BC038" Note "The age allowed in an air-gapped vault is shorter than AWS recommends"
        "AWS recommends at least 7 days (168 hours) for the age of the newest recovery point in a logically air-gapped vault. The \
         default is 1 day, which plans that copy once a week break on six days."
        bad Controls("\
- ControlName: RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT
  ControlInputParameters:
    - { ParameterName: recoveryPointAgeValue, ParameterValue: \"24\" }
    - { ParameterName: recoveryPointAgeUnit, ParameterValue: hours }
");
        good Controls("\
- ControlName: RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT
  ControlInputParameters:
    - { ParameterName: recoveryPointAgeValue, ParameterValue: \"8\" }
    - { ParameterName: recoveryPointAgeUnit, ParameterValue: days }
");

    REPEATED_ITEM: "BC039" Warning "A list names something twice"
        "Regions, accounts and roles count once however often they are named, and there are at most five accounts or roles. The second \
         is often meant to be another."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION
  ControlInputParameters:
    - { ParameterName: crossRegionList, ParameterValue: \"eu-west-1,eu-west-1\" }
");
        good Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION
  ControlInputParameters:
    - { ParameterName: crossRegionList, ParameterValue: \"eu-west-1,eu-central-1\" }
");

    SCOPE_NOT_ALLOWED: "BC040" Error "The control cannot be narrowed like this"
        "Controls of plans and vaults take a tag or one resource, those of recovery points a tag only, and that of air-gapped vaults no \
         tag."
        bad Controls("\
- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ControlScope:
    ComplianceResourceTypes: [EBS]
");
        good Controls("\
- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ControlScope:
    Tags: [{ Key: environment, Value: prod }]
");

    SEVERAL_TAGS: "BC041" Error "A control is narrowed to more than one tag"
        "AWS Backup takes one key with at most one value. For several, use the control once for each."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    Tags:
      - { Key: environment, Value: prod }
      - { Key: team, Value: data }
");
        good Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    Tags:
      - { Key: environment, Value: prod }
");

    SEVERAL_RESOURCES: "BC042" Error "A control is narrowed to more than one resource"
        "`ComplianceResourceIds` is a list, and takes one id."
        bad Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED
  ControlScope:
    ComplianceResourceIds: [default, archive]
    ComplianceResourceTypes: [\"AWS::Backup::BackupVault\"]
");
        good Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED
  ControlScope:
    ComplianceResourceIds: [archive]
    ComplianceResourceTypes: [\"AWS::Backup::BackupVault\"]
");

    EMPTY_SCOPE: "BC043" Warning "A list in a scope is empty"
        "An empty list narrows nothing: the control judges everything that it can. It is empty too if every `Fn::If` in it is off."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    ComplianceResourceTypes: []
");
        good Controls("- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n");

    UNKNOWN_TYPE: "BC044" Error "There is no such resource type"
        "`ComplianceResourceTypes` takes the names of services as AWS Backup writes them (`Aurora`, `EBS`, `Storage Gateway`), not the \
         types of CloudFormation, and only those that Audit Manager judges."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    ComplianceResourceTypes: [\"AWS::RDS::DBCluster\"]
");
        good Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    ComplianceResourceTypes: [Aurora]
");

    TYPE_SPELLING: "BC045" Warning "A resource type is spelt otherwise than AWS documents it"
        "Whether AWS Backup minds the case of letters here is not documented. The spelling of AWS's own console is safe."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    ComplianceResourceTypes: [StorageGateway, ebs]
");
        good Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    ComplianceResourceTypes: [Storage Gateway, EBS]
");

    RESOURCE_WITHOUT_TYPE: "BC046" Warning "One resource is named without its type"
        "AWS's samples give the type with the id: ids of different types can be alike."
        bad Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED
  ControlScope:
    ComplianceResourceIds: [default]
");
        good Controls("\
- ControlName: BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED
  ControlScope:
    ComplianceResourceIds: [default]
    ComplianceResourceTypes: [\"AWS::Backup::BackupVault\"]
");

    MIXED_SCOPE: "BC047" Warning "A control is narrowed in several ways at once"
        "A scope is resource types, or one tag, or one resource. What AWS makes of several is not documented."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    ComplianceResourceTypes: [EBS]
    Tags: [{ Key: environment, Value: prod }]
");
        good Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    Tags: [{ Key: environment, Value: prod }]
");

    TAG_SHAPE: "BC048" Error "A tag of a scope has no key"
        "A tag is a mapping with a `Key`, and a `Value` unless any will do."
        bad Controls("\
- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ControlScope:
    Tags: [{ Value: prod }]
");
        good Controls("\
- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ControlScope:
    Tags: [{ Key: environment, Value: prod }]
");

    REPEATED_TYPE: "BC049" Warning "A resource type is listed twice"
        "The second is often meant to be another."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    ComplianceResourceTypes: [EBS, EBS]
");
        good Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
  ControlScope:
    ComplianceResourceTypes: [EBS, EFS]
");

    CIRCULAR: "BC050" Warning "A control looks only at what is selected anyway"
        "The control is narrowed to the tag by which a backup selection of the same template picks resources. Whatever has the tag is \
         selected, and whatever was forgotten does not have it: the control can hardly find anything. Narrow it by something that \
         says what must be backed up, such as the environment, or not at all."
        bad Template("\
Resources:
  Plan:
    Type: AWS::Backup::BackupPlan
    Properties:
      BackupPlan:
        BackupPlanName: daily
        BackupPlanRule:
          - { RuleName: daily, TargetBackupVault: Default, ScheduleExpression: \"cron(0 3 * * ? *)\" }
  Selection:
    Type: AWS::Backup::BackupSelection
    Properties:
      BackupPlanId: !Ref Plan
      BackupSelection:
        SelectionName: tagged
        IamRoleArn: !Sub \"arn:${AWS::Partition}:iam::${AWS::AccountId}:role/backup\"
        ListOfTags:
          - { ConditionType: STRINGEQUALS, ConditionKey: backup, ConditionValue: \"true\" }
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
          ControlScope:
            Tags: [{ Key: backup, Value: \"true\" }]
");
        good Template("\
Resources:
  Selection:
    Type: AWS::Backup::BackupSelection
    Properties:
      BackupPlanId: 0a1b2c3d-0000-4000-8000-000000000000
      BackupSelection:
        SelectionName: tagged
        IamRoleArn: !Sub \"arn:${AWS::Partition}:iam::${AWS::AccountId}:role/backup\"
        ListOfTags:
          - { ConditionType: STRINGEQUALS, ConditionKey: backup, ConditionValue: \"true\" }
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
          ControlScope:
            Tags: [{ Key: environment, Value: prod }]
");

    NOT_FORWARDED: "BC051" Warning "Nothing forwards compliance changes"
        "The template has a framework and no EventBridge rule for `Config Rules Compliance Change`, so the central account hears of \
         violations only when the sweep looks. A rule that is disabled, has no targets, or is about other messages or other Config rules \
         forwards nothing. Take over rule and role from the starter framework."
        bad Controls("- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");
        good Template("\
Parameters:
  ComplianceEventBusArn:
    Type: String
    Default: \"\"
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ComplianceChangeRule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [aws.config]
        detail-type: [Config Rules Compliance Change]
      Targets:
        - { Id: central, Arn: !Ref ComplianceEventBusArn }
");

    ONE_WAY: "BC052" Warning "What ends a violation is not forwarded"
        "The rule lets only NON_COMPLIANT pass. A violation is closed by the event that says COMPLIANT or NOT_APPLICABLE, and without it \
         stays open until the sweep looks."
        bad Template("\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ComplianceChangeRule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [aws.config]
        detail-type: [Config Rules Compliance Change]
        detail:
          newEvaluationResult:
            complianceType: [NON_COMPLIANT]
      Targets:
        - { Id: central, Arn: \"arn:aws:events:eu-west-1:111111111111:event-bus/central\" }
");
        good Template("\
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
  ComplianceChangeRule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [aws.config]
        detail-type: [Config Rules Compliance Change]
      Targets:
        - { Id: central, Arn: \"arn:aws:events:eu-west-1:111111111111:event-bus/central\" }
");

    NOT_RECORDED: "BC053" Warning "The template's recorder leaves out types that the controls need"
        "AWS Config must record the types of AWS Backup and the types that are judged, or controls have no result and no events arrive."
        bad Template("\
Resources:
  Recorder:
    Type: AWS::Config::ConfigurationRecorder
    Properties:
      RoleARN: !Sub \"arn:${AWS::Partition}:iam::${AWS::AccountId}:role/config\"
      RecordingGroup:
        ResourceTypes: [\"AWS::Backup::BackupPlan\"]
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Template("\
Resources:
  Recorder:
    Type: AWS::Config::ConfigurationRecorder
    Properties:
      RoleARN: !Sub \"arn:${AWS::Partition}:iam::${AWS::AccountId}:role/config\"
      RecordingGroup:
        ResourceTypes:
          - AWS::Backup::BackupPlan
          - AWS::Backup::BackupSelection
          - AWS::Backup::BackupVault
          - AWS::Backup::RecoveryPoint
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");

    RECORDER_ELSEWHERE: "BC054" Note "These types must be recorded in every account"
        "The template has no recorder of AWS Config, which is usual: one is there already. It must record what the controls look at, or \
         they have no result."
        bad Controls("- ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n");
        good Template("\
Resources:
  Recorder:
    Type: AWS::Config::ConfigurationRecorder
    Properties:
      RoleARN: !Sub \"arn:${AWS::Partition}:iam::${AWS::AccountId}:role/config\"
      RecordingGroup: { AllSupported: true }
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");

    RETENTION_BELOW_FREQUENCY: "BC055" Warning "Backups may end before the next is made"
        "A plan that runs every 14 days and keeps backups for 7 satisfies the control, and has no backup half of the time. Retention \
         should be at least as long as the time between backups."
        bad Controls("\
- ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredFrequencyUnit, ParameterValue: days }
    - { ParameterName: requiredFrequencyValue, ParameterValue: \"14\" }
    - { ParameterName: requiredRetentionDays, ParameterValue: \"7\" }
");
        good Controls("\
- ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredFrequencyUnit, ParameterValue: days }
    - { ParameterName: requiredFrequencyValue, ParameterValue: \"7\" }
    - { ParameterName: requiredRetentionDays, ParameterValue: \"35\" }
");

    CONTRADICTION: "BC056" Warning "Two controls contradict each other"
        "What satisfies the one breaks the other: plans may run every 7 days, but a recovery point may be only 1 day old; plans must keep \
         backups 35 days, recovery points 90; the vault may keep them 30 days at most."
        bad Controls("\
- ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredFrequencyUnit, ParameterValue: days }
    - { ParameterName: requiredFrequencyValue, ParameterValue: \"7\" }
- ControlName: BACKUP_LAST_RECOVERY_POINT_CREATED
  ControlInputParameters:
    - { ParameterName: recoveryPointAgeUnit, ParameterValue: days }
    - { ParameterName: recoveryPointAgeValue, ParameterValue: \"1\" }
");
        good Controls("\
- ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
  ControlInputParameters:
    - { ParameterName: requiredFrequencyUnit, ParameterValue: days }
    - { ParameterName: requiredFrequencyValue, ParameterValue: \"1\" }
- ControlName: BACKUP_LAST_RECOVERY_POINT_CREATED
  ControlInputParameters:
    - { ParameterName: recoveryPointAgeUnit, ParameterValue: days }
    - { ParameterName: recoveryPointAgeValue, ParameterValue: \"2\" }
");

    NO_BOUNDS: "BC057" Note "The bounds of the vault lock bound nothing"
        "Every lock keeps backups between 1 and 36,500 days. The control then asks for a lock and no more, which it does without \
         parameters too."
        bad Controls("\
- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK
  ControlInputParameters:
    - { ParameterName: minRetentionDays, ParameterValue: \"1\" }
    - { ParameterName: maxRetentionDays, ParameterValue: \"36500\" }
");
        good Controls("- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK\n");

    OLD_RULES: "BC058" Note "An older Config rule asks the same"
        "The Config rules `DYNAMODB_IN_BACKUP_PLAN`, `EBS_IN_BACKUP_PLAN`, `EFS_IN_BACKUP_PLAN` and `RDS_IN_BACKUP_PLAN` ask whether a \
         resource is in a backup plan, for one type each. A framework that asks it too evaluates, and is charged, twice."
        bad Template("\
Resources:
  OldRule:
    Type: AWS::Config::ConfigRule
    Properties:
      Source: { Owner: AWS, SourceIdentifier: EBS_IN_BACKUP_PLAN }
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
");
        good Controls("- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n");

    REGION: "BC060" Warning "A framework goes to a Region without Audit Manager"
        "AWS Backup is in more Regions than its Audit Manager, and creating a framework fails in the others. AWS opens Regions from time \
         to time, so this is no error. It stands in the policy file, where a template's suppressions do not reach."
        bad Regions("il-central-1");
        good Regions("eu-west-1");

    OPT_IN_REGION: "BC061" Warning "A framework for accounts goes to a Region that is disabled by default"
        "With accounts as targets, StackSets assumes the administration role in each Region. In a Region that an account has to enable \
         first, it does so as `cloudformation.REGION.amazonaws.com`, and the operation fails in every account if the role does not trust \
         that principal. The template `framework/prerequisites/administration-role.yaml` adds it for each Region of its parameter \
         `OptInRegions`; the finding has the value for the whole policy. The role cannot be seen from here, so this is found also when it \
         is right. With organizational units as targets AWS maintains the roles. It stands in the policy file, where a template's \
         suppressions do not reach."
        bad Regions("af-south-1");
        good Regions("eu-west-1");

    SUPPRESSION: "BC090" Warning "A suppression cannot be understood"
        "A suppression names a rule, says why, and until when: under `Metadata: BackupCompliance: Suppress` of the template or of a \
         resource. All three are needed."
        bad Template("\
Metadata:
  BackupCompliance:
    Suppress:
      - { rule: BC051, until: 2099-12-31 }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Template(SUPPRESSED);

    SUPPRESSION_ENDED: "BC091" Warning "A suppression has ended"
        "After its last day a suppression does nothing. Mend what it hides, or give it a new day with a reason that still holds."
        bad Template("\
Metadata:
  BackupCompliance:
    Suppress:
      - { rule: BC051, reason: the rule is rolled out by itself, until: 2020-12-31 }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Template(SUPPRESSED);

    SUPPRESSION_UNUSED: "BC092" Warning "A suppression hides nothing"
        "What it was for has been mended, or it stands at a resource that the finding is not about. Remove it, so that it does not hide \
         the next one."
        bad Template("\
Metadata:
  BackupCompliance:
    Suppress:
      - { rule: BC055, reason: weekly plans are on their way out, until: 2099-12-31 }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Template(SUPPRESSED);

    SUPPRESSION_OF_ERROR: "BC093" Warning "An error cannot be suppressed"
        "Errors are what AWS refuses: hiding one would only move it into the rollout, in every account. Suppressions are for warnings and \
         notes about the template."
        bad Template("\
Metadata:
  BackupCompliance:
    Suppress:
      - { rule: BC011, reason: we like hyphens, until: 2099-12-31 }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
");
        good Template(SUPPRESSED);
}

/// A suppression as it should be.
const SUPPRESSED: &str = "\
Metadata:
  BackupCompliance:
    Suppress:
      - { rule: BC051, reason: the rule is rolled out by itself, until: 2099-12-31 }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
";
