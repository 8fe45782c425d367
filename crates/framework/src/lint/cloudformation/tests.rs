//! Tables of templates for each rule. Long because each rule has one.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::lint::{Diagnostic, LintContext, check_text};

const FRAMEWORK: &str = "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties: {FrameworkControls: [{ControlName: \
                         BACKUP_RECOVERY_POINT_ENCRYPTED}]}\n";

fn check(text: &str, parameters: &[&[(&str, &str)]]) -> Vec<Diagnostic> {
    let owned = |pairs: &&[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let variants: Vec<_> = parameters.iter().map(owned).collect();
    let today = Date::constant(2026, 11, 30);
    let all = check_text("t", text, &LintContext { variants: &variants, is_complete: false, today });
    all.into_iter().filter(|found| !["BC051", "BC054", "BC006"].contains(&found.rule.unwrap_or_default())).collect()
}

/// Rule and message of each diagnostic of a template.
fn found(text: &str) -> Vec<String> {
    check(text, &[&[]]).iter().map(|found| format!("{} {}", found.rule.unwrap_or("?"), found.message)).collect()
}

/// Checks sections before the resources, and resources after the framework.
fn with(sections: &str, more: &str) -> Vec<String> {
    found(&format!("{sections}{FRAMEWORK}{more}"))
}

/// Checks the value of a property of a topic.
fn value(sections: &str, value: &str) -> Vec<String> {
    with(sections, &format!("  T: {{Type: AWS::SNS::Topic, Properties: {{DisplayName: {value}}}}}\n"))
}

const NOTHING: [&str; 0] = [];

#[test]
fn nulls_are_errors() {
    assert_eq!(with("", ""), NOTHING);
    for (sections, more, expected) in [
        ("", "Outputs:\n", "BC110 `Outputs` is null"),
        ("Description:\n", "", "BC110 `Description` is null"),
        ("Conditions: ~\n", "", "BC110 `Conditions` is null"),
        ("Metadata: {a: [b, ]}\n", "Mappings: {}\nOutputs: {A: {Value: null}}\n", "BC110 `Value` is null"),
        ("", "  T: {Type: AWS::SNS::Topic, Properties: {Tags: [{Key: a, Value: }]}}\n", "BC110 `Value` is null"),
        ("", "  T:\n    Type: AWS::SNS::Topic\n    Properties:\n", "BC110 `Properties` is null"),
        (
            "",
            "  T:\n    Type: AWS::SNS::Topic\n    Properties:\n      Tags:\n        -\n",
            "BC110 an item of `Tags` is null",
        ),
        ("", "  T: {Type: AWS::SNS::Topic, Properties: {DisplayName: Null}}\n", "BC110 `DisplayName` is null"),
        (
            "",
            "  T: {Type: AWS::SNS::Topic, Properties: {DisplayName: !If [A, a, ~]}}\nConditions: {A: !Equals [a, a]}\n",
            "BC110 an item of `DisplayName` is null",
        ),
        ("Mappings: {A: {b: {c: }}}\n", "", "BC110 `c` is null"),
        ("Transform: AWS::Serverless-2016-10-31\n", "Outputs:\n", "BC110 `Outputs` is null"),
    ] {
        assert_eq!(with(sections, more), [expected], "{sections}{more}");
    }
    let json = "{\"Resources\": {\"F\": {\"Type\": \"AWS::Backup::Framework\", \"Metadata\": null, \"Properties\": \
                {\"FrameworkControls\": [{\"ControlName\": \"BACKUP_RECOVERY_POINT_ENCRYPTED\"}]}}}}";
    assert_eq!(found(json), ["BC110 `Metadata` is null"]);
    for (sections, more) in [
        ("Description: ''\nMetadata: {a: '', b: 'null', c: \"~\", d: nul}\n", ""),
        // The parameters of a macro are its own.
        ("", "  T: {Type: AWS::SNS::Topic, Properties: {Fn::Transform: {Name: N, Parameters: {A: }}}}\n"),
    ] {
        assert_eq!(
            with(sections, more).iter().filter(|found| found.starts_with("BC110")).count(),
            0,
            "{sections}{more}"
        );
    }
    assert_eq!(with("Transform: Mine\n", "Outputs:\n"), with("Transform: Mine\n", ""), "a macro may replace it");
}

// Long because it is one table of templates.
#[test]
fn skeleton_is_checked() {
    for (sections, more, expected) in [
        ("Output: {}\n", "", "BC111 a template has no section `Output`"),
        ("Globals: {}\n", "", "BC111 a template has no section `Globals`"),
        ("Parameter: {}\n", "", "BC111 a template has no section `Parameter`"),
        ("", "  T: {Type: AWS::SNS::Topic, Propertes: {}}\n", "BC111 the resource `T` has no attribute `Propertes`"),
        ("", "  T: {Type: AWS::SNS::Topic, DependOn: F}\n", "BC111 the resource `T` has no attribute `DependOn`"),
        ("Parameters: {A: {Type: String, Defalt: x}}\n", "", "BC111 the parameter `A` has no property `Defalt`"),
        ("Parameters: {A: {Type: String, Required: true}}\n", "", "BC111 the parameter `A` has no property `Required`"),
        (
            "",
            "  T_1: {Type: AWS::SNS::Topic}\n",
            "BC112 the name of the resource `T_1` is not alphanumeric: it contains `_`",
        ),
        (
            "Parameters: {a.b: {Type: String}}\n",
            "",
            "BC112 the name of the parameter `a.b` is not alphanumeric: it contains `.`",
        ),
        (
            "Mappings: {a-b: {c: {d: e}}}\n",
            "",
            "BC112 the name of the mapping `a-b` is not alphanumeric: it contains `-`",
        ),
        (
            "",
            "Outputs: {Größe: {Value: a}}\n",
            "BC112 the name of the output `Größe` is not alphanumeric: it contains `ö`",
        ),
        ("AWSTemplateFormatVersion: '2010-09-10'\n", "", "BC113 `AWSTemplateFormatVersion` is `2010-09-10`"),
        ("AWSTemplateFormatVersion: 1\n", "", "BC113 `AWSTemplateFormatVersion` is `1`"),
        ("AWSTemplateFormatVersion: [a]\n", "", "BC113 `AWSTemplateFormatVersion` is a list"),
        ("Description: [a]\n", "", "BC113 `Description` is a list"),
        ("Conditions: []\n", "", "BC113 `Conditions` is a list"),
        (
            "Parameters: {A: {Type: string, Default: x}}\n",
            "",
            "BC113 the type `string` of the parameter `A` does not exist",
        ),
        ("Parameters: {A: {Type: Boolean}}\n", "", "BC113 the type `Boolean` of the parameter `A` does not exist"),
        ("Parameters: {A: {Type: List}}\n", "", "BC113 the type `List` of the parameter `A` does not exist"),
        (
            "Parameters: {A: {Type: String, AllowedValues: a}}\n",
            "",
            "BC113 `AllowedValues` of the parameter `A` is a string",
        ),
        (
            "",
            "  T: {Type: AWS::SNS::Topic, DeletionPolicy: Keep}\n",
            "BC113 `DeletionPolicy` of the resource `T` is `Keep`",
        ),
        (
            "",
            "  T: {Type: AWS::SNS::Topic, DeletionPolicy: retain}\n",
            "BC113 `DeletionPolicy` of the resource `T` is `retain`",
        ),
        (
            "",
            "  T: {Type: AWS::SNS::Topic, UpdateReplacePolicy: RetainExceptOnCreate}\n",
            "BC113 `UpdateReplacePolicy` of the resource `T` is `RetainExceptOnCreate`",
        ),
        ("", "Outputs: {A: {Description: a}}\n", "BC113 the output `A` has no `Value`"),
        ("", "Outputs: {A: a}\n", "BC113 the output `A` has no `Value`"),
    ] {
        assert_eq!(with(sections, more), [expected], "{sections}{more}");
    }
    for (sections, more, expected) in [
        (
            "",
            "  T: {Type: AWS::SNS::Topic, DeletionPolicy: [Retain]}\n",
            "BC113 `DeletionPolicy` of the resource `T` is a list",
        ),
        (
            "",
            "  V: {Type: AWS::Backup::BackupVault, DeletionPolicy: Snapshot}\n",
            "BC113 `DeletionPolicy` of the resource `V` is `Snapshot`, which `AWS::Backup::BackupVault` does not support",
        ),
        ("Conditions: {A: true}\n", "", "BC113 the condition `A` is not a condition function"),
        (
            "Parameters: {P: {Type: String}}\nConditions: {A: !Ref P}\n",
            "",
            "BC113 the condition `A` is not a condition function",
        ),
        (
            "Conditions: {A: {Fn::Equals: [a, b], Fn::Not: [{Condition: B}]}, B: !Equals [a, a]}\n",
            "",
            "BC113 the condition `A` is not a condition function",
        ),
    ] {
        assert_eq!(with(sections, more), [expected], "{sections}{more}");
    }
    let long = "a".repeat(256);
    assert_eq!(with("", &format!("  {long}: {{Type: AWS::SNS::Topic}}\n")).len(), 1);
    assert_eq!(with(&format!("Description: {}\n", "a".repeat(1025)), ""), ["BC113 `Description` has 1025 bytes"]);
    for (sections, more) in [
        (
            "AWSTemplateFormatVersion: 2010-09-09\nDescription: a\nMetadata: {}\nMappings: {}\nConditions: {}\nRules: {}\nHooks: {}\n",
            "Outputs: {}\n",
        ),
        (
            "Parameters: {A: {Type: 'AWS::EC2::VPC::Id'}, B: {Type: 'List<AWS::EC2::Subnet::Id>'}, C: {Type: 'List<Number>'}}\n",
            "",
        ),
        (
            "Parameters: {A: {Type: 'AWS::SSM::Parameter::Value<List<String>>'}, B: {Type: CommaDelimitedList, NoEcho: true}}\n",
            "",
        ),
        (
            "Transform: AWS::Serverless-2016-10-31\nGlobals: {}\n",
            "  S: {Type: AWS::Serverless::Function, Connectors: {}, IgnoreGlobals: '*'}\n",
        ),
        ("Mappings: {A: {eu-west-1: {a_b: c}}}\nMetadata: {a-b: {Propertes: c}}\n", ""),
        (
            "",
            "  T: {Type: AWS::SNS::Topic, DeletionPolicy: Retain, UpdateReplacePolicy: Snapshot, Metadata: {}, DependsOn: F}\n",
        ),
        (
            "Transform: AWS::LanguageExtensions\nParameters: {P: {Type: String}}\n",
            "  T: {Type: AWS::SNS::Topic, DeletionPolicy: !Ref P}\n",
        ),
        ("Modules: {A: {Source: a.yaml}}\n", ""),
    ] {
        assert_eq!(with(sections, more), NOTHING, "{sections}{more}");
    }
}

#[test]
fn unknown_functions_are_errors() {
    for (text, expected) in [
        ("!Jion ['', [a, b]]", "BC114 the function `!Jion` does not exist"),
        ("!Reff F", "BC114 the function `!Reff` does not exist"),
        ("!ref F", "BC114 the function `!ref` does not exist"),
        ("!Getatt F.FrameworkArn", "BC114 the function `!Getatt` does not exist"),
        ("!GettAtt F.FrameworkArn", "BC114 the function `!GettAtt` does not exist"),
        ("!FindInMaps [a, b, c]", "BC114 the function `!FindInMaps` does not exist"),
        ("{'Fn::Joinn': ['', [a]]}", "BC114 the function `Fn::Joinn` does not exist"),
        ("{'Fn::sub': a}", "BC114 the function `Fn::sub` does not exist"),
        ("{'Fn::GetAttr': [F, FrameworkArn]}", "BC114 the function `Fn::GetAttr` does not exist"),
        ("!Sub ['${a}', {a: !Selct [0, [a]]}]", "BC114 the function `!Selct` does not exist"),
    ] {
        assert_eq!(value("", text), [expected], "{text}");
    }
    // AWS may add functions, and other tools have tags.
    for text in ["!Foo x", "{'Fn::Foo': x}", "!Rain::Embed x", "{'Fn::GetStackOutput': {StackName: a, OutputName: b}}"]
    {
        assert_eq!(value("", text), NOTHING, "{text}");
    }
    assert_eq!(value("Transform: Mine\n", "!Reff x").iter().filter(|found| found.starts_with("BC114")).count(), 0);
}

// Long because it is one table of functions.
#[test]
fn arguments_of_functions_are_checked() {
    let conditions = "Conditions: {A: !Equals [a, a]}\n";
    for (text, expected) in [
        ("!If [A, a]", "`Fn::If` has 2 values"),
        ("!If [A, a, b, c]", "`Fn::If` has 4 values"),
        ("!Join ['', a]", "`Fn::Join` joins a string"),
        ("!Join ['', [a], [b]]", "`Fn::Join` has 3 values"),
        ("!Join a", "`Fn::Join` is given a string"),
        ("!Select [2, [a, b]]", "`Fn::Select` selects index 2 of 2 items"),
        ("!Select [-1, [a, b]]", "`Fn::Select` has the index `-1`"),
        ("!Select [a, [a, b]]", "`Fn::Select` has the index `a`"),
        ("!Select [0]", "`Fn::Select` has 1 value"),
        ("!Select [0, a]", "`Fn::Select` selects from a string"),
        ("!Split [a]", "`Fn::Split` has 1 value"),
        ("!FindInMap [A, b]", "`Fn::FindInMap` has 2 values"),
        ("!Ref {a: b}", "`Ref` is given a mapping"),
        ("!Ref [F]", "`Ref` is given a list"),
        ("{Ref: [F]}", "`Ref` is given a list"),
        ("{Ref: {'Fn::Sub': F}}", "`Ref` is given a mapping"),
        ("!GetAtt F", "`Fn::GetAtt` has no attribute in `F`"),
        ("!GetAtt [F]", "`Fn::GetAtt` has 1 value(s)"),
        ("!GetAtt {a: b}", "`Fn::GetAtt` is given a mapping"),
        ("!Sub {a: b}", "`Fn::Sub` is given a mapping"),
        ("!Sub [a]", "`Fn::Sub` has a list of 1"),
        ("!Base64 [a]", "`Fn::Base64` is given a list"),
        ("!ImportValue [a]", "`Fn::ImportValue` is given a list"),
        ("!Cidr [a]", "`Fn::Cidr` has 1 value"),
    ] {
        assert_eq!(value(conditions, text), [format!("BC115 {expected}")], "{text}");
    }
    for (condition, expected) in [
        ("!And [!Equals [a, a]]", "`Fn::And` has 1 value"),
        ("!Or [!Condition A]", "`Fn::Or` has 1 value"),
        ("!Not [!Condition A, !Condition A]", "`Fn::Not` has 2 values"),
        ("!Not {Condition: A}", "`Fn::Not` is given a mapping"),
        ("!Equals [a]", "`Fn::Equals` has 1 value"),
        ("{'Fn::Or': [{Condition: A}]}", "`Fn::Or` has 1 value"),
    ] {
        let text = format!("Conditions: {{A: !Equals [a, a], B: {condition}}}\n");
        assert_eq!(with(&text, ""), [format!("BC115 {expected}")], "{condition}");
    }
    let list = "Parameters: {L: {Type: CommaDelimitedList}}\nConditions: {A: !Equals [a, a]}\n";
    for text in [
        "!If [A, a, b]",
        "!Join ['', !Ref L]",
        "!Join ['', {Ref: L}]",
        "!Select [5, !Ref L]",
        "!Select [!Ref AWS::Region, [a]]",
        "!Select ['1', [a, b]]",
        "!Cidr [a, 1]",
        "!GetAZs ''",
        "{'Fn::GetAZs': {Ref: 'AWS::Region'}}",
        "!Sub ['${a}', {a: b}]",
        "!GetAtt [F, FrameworkArn]",
        "!Base64 {'Fn::Sub': a}",
        "!ImportValue {'Fn::Sub': a}",
        "{Ref: F, Other: b}",
    ] {
        assert_eq!(value(list, text), NOTHING, "{text}");
    }
}

#[test]
fn language_extensions_need_their_transform() {
    for (text, expected) in [
        ("{'Fn::Length': [a, b]}", "BC116 `Fn::Length` needs the transform `AWS::LanguageExtensions`"),
        ("!Length [a, b]", "BC116 `Fn::Length` needs the transform `AWS::LanguageExtensions`"),
        ("{'Fn::ToJsonString': {a: b}}", "BC116 `Fn::ToJsonString` needs the transform `AWS::LanguageExtensions`"),
        (
            "!FindInMap [M, a, b, {DefaultValue: c}]",
            "BC116 the `DefaultValue` of `Fn::FindInMap` needs the transform `AWS::LanguageExtensions`",
        ),
    ] {
        let mappings = "Mappings: {M: {a: {b: c}}}\n";
        assert_eq!(value(mappings, text), [expected], "{text}");
        assert_eq!(value(&format!("Transform: [AWS::LanguageExtensions]\n{mappings}"), text), NOTHING, "{text}");
    }
    let extensions = "Transform: AWS::LanguageExtensions\n";
    assert_eq!(value(extensions, "{Ref: {'Fn::Sub': F}}"), NOTHING);
    assert_eq!(value(extensions, "{Ref: {a: b}}"), ["BC115 `Ref` is given a mapping"]);
}

#[test]
fn attributes_of_backup_types_are_checked() {
    for (text, expected) in [
        ("!GetAtt F.Arn", "BC117 `AWS::Backup::Framework` has no attribute `Arn`"),
        ("!GetAtt F.FrameworkName", "BC117 `AWS::Backup::Framework` has no attribute `FrameworkName`"),
        ("!GetAtt [F, frameworkArn]", "BC117 `AWS::Backup::Framework` has no attribute `frameworkArn`"),
        ("{'Fn::GetAtt': [F, Id]}", "BC117 `AWS::Backup::Framework` has no attribute `Id`"),
        ("!Sub '${F.Status}'", "BC117 `AWS::Backup::Framework` has no attribute `Status`"),
        ("!Sub ['${F.Arn}-${F}', {F: a}]", "BC117 `AWS::Backup::Framework` has no attribute `Arn`"),
        ("!If [A, !GetAtt F.Arn, a]", "BC117 `AWS::Backup::Framework` has no attribute `Arn`"),
    ] {
        assert_eq!(value("Conditions: {A: !Equals [a, a]}\n", text), [expected], "{text}");
    }
    for text in [
        "!GetAtt F.FrameworkArn",
        "!Sub '${F.DeploymentStatus} ${F.CreationTime}'",
        "!GetAtt [F, FrameworkStatus]",
        "!Sub '${!F.Arn}'",
        "!GetAtt [F, !Ref AWS::Region]",
    ] {
        assert_eq!(value("", text), NOTHING, "{text}");
    }
    let more = "  P: {Type: AWS::Backup::BackupPlan, Properties: {}}\n  V: {Type: AWS::Backup::BackupVault, Properties: {}}\nOutputs: {A: \
                {Value: !GetAtt P.Arn}, B: {Value: !GetAtt V.BackupVaultName}, C: {Value: !Sub '${V.Name}'}}\n";
    let help: Vec<String> = check(&format!("{FRAMEWORK}{more}"), &[&[]]).into_iter().map(|found| found.help).collect();
    assert_eq!(help, ["did you mean `BackupPlanArn`?", "did you mean `BackupVaultName`?"]);
}

#[test]
fn circular_dependencies_are_errors() {
    let topic = |id: &str, rest: &str| format!("  {id}: {{Type: AWS::SNS::Topic, {rest}}}\n");
    for (more, expected) in [
        (topic("T", "DependsOn: T"), "BC118 circular dependency: the resource `T` refers to itself"),
        (
            topic("T", "Properties: {DisplayName: !Sub '${T.TopicName}'}"),
            "BC118 circular dependency: the resource `T` refers to itself",
        ),
        (
            topic("T", "Properties: {Tags: [{Key: a, Value: !Ref T}]}"),
            "BC118 circular dependency: the resource `T` refers to itself",
        ),
        (
            topic("T", "DependsOn: [U]") + &topic("U", "DependsOn: [F, T]"),
            "BC118 circular dependency between resources: `T`, `U`",
        ),
        (
            topic("T", "DependsOn: V")
                + &topic("U", "Properties: {DisplayName: !GetAtt T.Arn}")
                + &topic("V", "DependsOn: U"),
            "BC118 circular dependency between resources: `T`, `U`, `V`",
        ),
    ] {
        assert_eq!(with("", &more), [expected], "{more}");
    }
    for (conditions, expected) in [
        ("A: !Not [!Condition A]", "BC118 circular dependency: the condition `A` refers to itself"),
        (
            "A: !Not [!Condition B], B: !Or [!Condition A, {Condition: A}]",
            "BC118 circular dependency between conditions: `A`, `B`",
        ),
    ] {
        assert_eq!(with(&format!("Conditions: {{{conditions}}}\n"), ""), [expected], "{conditions}");
    }
    for more in [
        topic("T", "DependsOn: F") + &topic("U", "DependsOn: [F, T]"),
        topic("T", "Metadata: {a: !Ref T}"),
        topic("T", "Properties: {DisplayName: !Sub '${!T}'}"),
        topic("T", "Properties: {DisplayName: !If [A, !Ref U, a]}") + &topic("U", "DependsOn: T"),
    ] {
        assert_eq!(with("Conditions: {A: !Equals [!Ref AWS::Region, a]}\n", &more), NOTHING, "{more}");
    }
    let serverless = "Transform: AWS::Serverless-2016-10-31\n";
    assert_eq!(with(serverless, &topic("T", "DependsOn: T")), NOTHING, "the transform renames resources");
}

#[test]
fn long_chain_of_references_is_checked() {
    let chain = |last: &str| -> String {
        let one = |n: usize| {
            format!(
                "  T{n}: {{Type: AWS::SNS::Topic, DependsOn: {}}}\n",
                if n == 0 { last.to_owned() } else { format!("T{}", n - 1) }
            )
        };
        (0..5_000).map(one).collect()
    };
    assert_eq!(with("", &chain("F")), NOTHING);
    let circle = with("", &chain("T4999"));
    assert!(circle[0].ends_with("`T8`, `T9` and 4990 more") && circle.len() == 1, "{circle:?}");
}

#[test]
fn no_value_as_text_is_an_error() {
    let no_value = "BC119 `AWS::NoValue` is a text here";
    for text in [
        "AWS::NoValue",
        "'AWS::NoValue'",
        "!If [A, a, AWS::NoValue]",
        "{'Fn::If': [A, a, AWS::NoValue]}",
        "[a, AWS::NoValue]",
    ] {
        assert_eq!(value("Conditions: {A: !Equals [a, a]}\n", text), [no_value], "{text}");
    }
    for text in [
        "!Ref AWS::NoValue",
        "{Ref: AWS::NoValue}",
        "!If [A, a, !Ref 'AWS::NoValue']",
        "'AWS::NoValue '",
        "!Sub '${AWS::NoValue}'",
    ] {
        assert_eq!(value("Conditions: {A: !Equals [a, a]}\n", text), NOTHING, "{text}");
    }
}

#[test]
fn lookups_are_checked_for_each_variant() {
    let mappings = "Parameters: {P: {Type: String, Default: prod}, Q: {Type: String}}\nMappings: {M: {prod: {days: '35'}, eu-west-1: {days: \
                    '7', more: [a]}, 111111111111: {days: '1'}}}\nConditions: {Home: !Equals [!Ref AWS::Region, eu-west-1]}\n";
    let of = |text: &str, variants: &[&[(&str, &str)]]| -> Vec<String> {
        let template =
            format!("{mappings}{FRAMEWORK}  T: {{Type: AWS::SNS::Topic, Properties: {{DisplayName: {text}}}}}\n");
        let all = check(&template, variants).into_iter();
        all.filter(|found| found.rule == Some("BC120"))
            .map(|found| format!("{} {}", found.rule.unwrap_or("?"), found.message))
            .collect()
    };
    for (text, expected) in [
        ("!FindInMap [Ms, prod, days]", "BC120 the template has no mapping `Ms`"),
        ("!FindInMap [M, dev, days]", "BC120 the mapping `M` has no key `dev`"),
        ("!FindInMap [M, prod, day]", "BC120 the key `prod` of the mapping `M` has no key `day`"),
        ("{'Fn::FindInMap': [M, prod, more]}", "BC120 the key `prod` of the mapping `M` has no key `more`"),
        ("!FindInMap [M, !Ref P, more]", "BC120 the key `prod` of the mapping `M` has no key `more`"),
        ("!FindInMap [M, !Ref Q, hours]", "BC120 no key of the mapping `M` has a key `hours`"),
        ("!FindInMap [M, !Ref AWS::Region, hours]", "BC120 no key of the mapping `M` has a key `hours`"),
        ("!Sub ['${a}', {a: !FindInMap [M, dev, days]}]", "BC120 the mapping `M` has no key `dev`"),
        ("!If [Home, !FindInMap [M, dev, days], a]", "BC120 the mapping `M` has no key `dev`"),
        ("!FindInMap [M, 0111, days]", "BC120 the mapping `M` has no key `73`"),
    ] {
        assert_eq!(of(text, &[&[]]), [expected], "{text}");
    }
    for text in [
        "!FindInMap [M, prod, days]",
        "!FindInMap [M, !Ref P, days]",
        "!FindInMap [M, !Ref Q, days]",
        "!FindInMap [M, !Ref AWS::Region, more]",
        "!FindInMap [!Ref Q, dev, days]",
        "!FindInMap [M, 111111111111, days]",
        "!FindInMap [M, !ImportValue x, days]",
    ] {
        assert_eq!(of(text, &[&[]]), NOTHING, "{text}");
    }
    let regions: &[&[(&str, &str)]] =
        &[&[("AWS::Region", "eu-west-1")], &[("AWS::Region", "us-east-1")], &[("AWS::Region", "us-east-2")]];
    let lookup = "!FindInMap [M, !Ref AWS::Region, days]";
    assert_eq!(
        of(lookup, regions),
        ["us-east-1", "us-east-2"].map(|region| format!("BC120 the mapping `M` has no key `{region}` (`AWS::Region`)"))
    );
    assert_eq!(of(&format!("!If [Home, {lookup}, a]"), regions), NOTHING, "the condition excludes the other Regions");
    assert_eq!(of(&format!("!If [Home, a, {lookup}]"), regions).len(), 2);
    let accounts: &[&[(&str, &str)]] = &[&[("AWS::AccountId", "111111111111")], &[("AWS::AccountId", "222222222222")]];
    assert_eq!(
        of("!FindInMap [M, !Ref AWS::AccountId, days]", accounts),
        ["BC120 the mapping `M` has no key `222222222222` (`AWS::AccountId`)"]
    );
    assert_eq!(
        of("!FindInMap [M, !Ref P, days]", &[&[("P", "test")]]),
        ["BC120 the mapping `M` has no key `test` (`P`)"]
    );
}

#[test]
fn lookups_that_may_succeed_are_not_reported() {
    for (sections, text) in [
        ("Transform: AWS::LanguageExtensions\nMappings: {M: {a: {b: c}}}\n", "!FindInMap [M, x, b, {DefaultValue: d}]"),
        ("Mappings: {M: {'Fn::Transform': {Name: AWS::Include}}}\n", "!FindInMap [M, x, b]"),
        ("Mappings: {'Fn::Transform': {Name: AWS::Include}}\n", "!FindInMap [M, x, b]"),
        ("Transform: Mine\n", "!FindInMap [M, x, b]"),
    ] {
        let found = value(sections, text);
        assert_eq!(found.iter().filter(|found| found.starts_with("BC120")).count(), 0, "{sections}{text}\n{found:?}");
    }
    let text = "Mappings: {M: {a: {b: c}}}\nConditions: {Never: !Equals [a, b]}\n";
    assert_eq!(
        with(text, "  T: {Type: AWS::SNS::Topic, Condition: Never, Properties: {DisplayName: !FindInMap [M, x, b]}}\n"),
        NOTHING
    );
    assert_eq!(with(text, "  T: {Type: AWS::SNS::Topic, Metadata: {A: !FindInMap [M, x, b]}}\n"), NOTHING);
}

#[test]
fn unquoted_values_are_warnings() {
    let of = |written: &str, read: &str| format!("BC121 CloudFormation reads the unquoted `{written}` as {read}");
    let topic = |properties: &str| format!("  T: {{Type: AWS::SNS::Topic, Properties: {{{properties}}}}}\n");
    for (sections, more, expected) in [
        ("", topic("Tags: [{Key: a, Value: yes}]"), of("yes", "`true`")),
        ("", topic("Tags: [{Key: 0400, Value: a}]"), of("0400", "`256`")),
        ("", topic("Tags: {a: 1e9}"), of("1e9", "the number `1000000000`")),
        ("", topic("Tags: [{Key: a, Value: !If [A, 1:30, b]}]"), of("1:30", "`90`")),
        ("", topic("TopicName: 35.0"), of("35.0", "the number `35`")),
        ("", topic("TopicName: 0x1F"), of("0x1F", "`31`")),
        ("", topic("AccountId: 012345670123"), of("012345670123", "`1402433619`")),
        ("", topic("P: {Principal: {AWS: [012345670123]}}"), of("012345670123", "`1402433619`")),
        ("", topic("ListOfTags: [{ConditionKey: a, ConditionValue: on}]"), of("on", "`true`")),
        ("Parameters: {P: {Type: String, Default: 1_000}}\n", String::new(), of("1_000", "`1000`")),
        ("Parameters: {P: {Type: String, AllowedValues: [a, No]}}\n", String::new(), of("No", "`false`")),
        ("Parameters: {P: {Type: Number, Default: 010}}\n", String::new(), of("010", "`8`")),
        ("Mappings: {M: {012345670123: {a: b}}}\n", String::new(), of("012345670123", "`1402433619`")),
        ("Mappings: {M: {a: {b: 0400}}}\n", String::new(), of("0400", "`256`")),
        ("", "Outputs: {O: {Value: a, Export: {Name: 0400}}}\n".to_owned(), of("0400", "`256`")),
        (
            "Rules: {R: {Assertions: [{Assert: !Equals [!Ref AWS::AccountId, 0777]}]}}\n",
            String::new(),
            of("0777", "`511`"),
        ),
    ] {
        let sections = format!("{sections}Conditions: {{A: !Equals [!Ref AWS::Region, a]}}\n");
        assert_eq!(with(&sections, &more), [expected], "{sections}{more}");
    }
    assert_eq!(with("Conditions: {A: !Equals [!Ref AWS::Region, True]}\n", ""), [of("True", "`true`")]);
    for (sections, more) in [
        ("", topic("FifoTopic: True, Enabled: yes, Mode: 0400, Number: 1e9, CopyTags: True")),
        (
            "",
            topic(
                "Tags: [{Key: a, Value: true, PropagateAtLaunch: True}, {Key: b, Value: '0400'}, {Key: c, Value: 35.5}]",
            ),
        ),
        (
            "",
            topic(
                "Tags: [{Key: a, Value: 0899}, {Key: b, Value: 123456789012}, {Key: c, Value: 2026-11-30}, {Key: d, Value: 1.2.3}]",
            ),
        ),
        (
            "Parameters: {P: {Type: Number, Default: 35.0}}\nMappings: {M: {a: {b: yes, c: 1.10}}}\nMetadata: {a: yes}\n",
            String::new(),
        ),
    ] {
        assert_eq!(with(sections, &more), NOTHING, "{sections}{more}");
    }
}

#[test]
fn quoted_value_is_as_written() {
    let text = FRAMEWORK.replace("{FrameworkControls", "{FrameworkTags: [{Key: a, Value: 0400 }], FrameworkControls");
    let found = check(&text, &[&[]]);
    let (fixed, applied) = syntax::diagnostic::apply(&text, [found[0].edits.as_slice()]);
    assert!(applied == 1 && fixed.contains("Value: \"0400\" }"), "{fixed}");
    assert!(check(&fixed, &[&[]]).is_empty());
}

#[test]
fn values_are_checked_as_cloudformation_reads_them() {
    let control = |name: &str, parameter: &str, value: &str| {
        found(&format!(
            "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties: {{FrameworkControls: [{{ControlName: {name}, \
             ControlInputParameters: [{{ParameterName: {parameter}, ParameterValue: {value}}}]}}]}}\n"
        ))
        .into_iter()
        .filter(|found| !found.starts_with("BC121"))
        .collect::<Vec<_>>()
    };
    let days = |value: &str| control("BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK", "requiredRetentionDays", value);
    assert_eq!(days("0400"), NOTHING);
    assert_eq!(days("35.0"), NOTHING, "AWS does not document the text");
    for value in ["35.5", "'35.5'", "'35.0'", "yes"] {
        assert_eq!(days(value).len(), 1, "{value}");
    }
    assert_eq!(days("0x99999"), ["BC034 the parameter `requiredRetentionDays` is `629145`"]);
    let account = |value: &str| control("BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT", "crossAccountList", value);
    assert_eq!(account("012345670123"), ["BC033 the parameter `crossAccountList` has the item `1402433619`"]);
    assert_eq!(account("'012345670123'"), NOTHING);
    assert_eq!(account("098765432109"), NOTHING, "not octal");
    let strict = |default: &str, allowed: &str| {
        let parameters = format!("Parameters: {{P: {{Type: String, Default: {default}, AllowedValues: {allowed}}}}}\n");
        with(&parameters, "").into_iter().filter(|found| !found.starts_with("BC121")).collect::<Vec<_>>()
    };
    assert_eq!(
        strict("yes", "['yes', 'no']"),
        ["BC004 the parameter `P` is `true`, which its declaration does not allow"]
    );
    assert_eq!(strict("yes", "[yes, no]"), NOTHING);
    assert_eq!(strict("'true'", "[yes, no]"), NOTHING);
    assert_eq!(strict("1.10", "['1.10']"), NOTHING, "AWS does not document the text");
}

#[test]
fn body_of_literal_loop_is_checked() {
    let of = |list: &str, name: &str| {
        found(&format!(
            "Transform: AWS::LanguageExtensions\nParameters: {{L: {{Type: CommaDelimitedList}}}}\nResources:\n  Fn::ForEach::L1:\n    - K\n    \
             - {list}\n    - F${{K}}:\n        Type: AWS::Backup::Framework\n        Properties:\n          FrameworkName: {name}\n          \
             FrameworkControls:\n            - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n              ControlScope: \
             {{ComplianceResourceTypes: [!Ref K]}}\n"
        ))
    };
    assert_eq!(of("[EBS, RDS]", "!Sub 'org_${K}'"), NOTHING);
    assert_eq!(
        of("[EBS, RDS]", "!Sub 'org-${K}'"),
        ["EBS", "RDS"].map(|kind| format!("BC011 the framework name `org-{kind}` contains `-`"))
    );
    assert_eq!(of("[EBS, XYZ]", "!Sub 'org_${K}'"), ["BC044 the resource type `XYZ` does not exist"]);
    assert_eq!(of("[EBS, RDS]", "org"), ["BC027 the framework `FRDS` has the same name as `FEBS`"]);
    assert_eq!(of("!Ref L", "!Sub 'org-${K}'").iter().filter(|found| !found.starts_with("BC005")).count(), 0);
}

#[test]
fn dependencies_and_rules_name_declared_parts() {
    let topic = |rest: &str| format!("  T: {{Type: AWS::SNS::Topic, {rest}}}\n");
    for (sections, more, expected) in [
        ("", topic("DependsOn: X"), "BC007 the template has no resource `X`"),
        ("", topic("DependsOn: [F, X]"), "BC007 the template has no resource `X`"),
        ("Parameters: {P: {Type: String}}\n", topic("DependsOn: P"), "BC007 the template has no resource `P`"),
        (
            "Rules: {R: {Assertions: [{Assert: !Equals [!Ref X, a]}]}}\n",
            String::new(),
            "BC007 `Ref` names `X`, which is neither a parameter nor a resource",
        ),
        (
            "Rules: {R: {RuleCondition: {'Fn::Equals': [{Ref: X}, a]}}}\n",
            String::new(),
            "BC007 `Ref` names `X`, which is neither a parameter nor a resource",
        ),
        (
            "Rules: {R: {RuleCondition: !Equals [!Ref F, a]}}\n",
            String::new(),
            "BC007 `Ref` in `Rules` names the resource `F`",
        ),
        ("Conditions: {A: !Equals [!Ref F, a]}\n", String::new(), "BC007 `Ref` in `Conditions` names the resource `F`"),
        ("Transform: AWS::LanguageExtensions\n", topic("DependsOn: X"), "BC007 the template has no resource `X`"),
    ] {
        assert_eq!(with(sections, &more), [expected], "{sections}{more}");
    }
    for (sections, more) in [
        ("", topic("DependsOn: F")),
        ("", topic("DependsOn: []")),
        (
            "Parameters: {P: {Type: String}}\nRules: {R: {Assertions: [{Assert: !Equals [!Ref P, !Ref AWS::Region]}]}}\n",
            String::new(),
        ),
        ("Transform: AWS::Serverless-2016-10-31\n", topic("DependsOn: X")),
        ("Modules: {X: {Source: a.yaml}}\n", topic("DependsOn: X")),
    ] {
        assert_eq!(with(sections, &more), NOTHING, "{sections}{more}");
    }
}
