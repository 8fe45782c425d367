use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Template {
    match Template::read("t.yaml", text) {
        Ok(template) => template,
        Err(faults) => panic!("{faults:#?}"),
    }
}

fn faults(text: &str) -> Vec<String> {
    Template::read("t", text).expect_err("should be refused").iter().map(ToString::to_string).collect()
}

const RESOURCE: &str = "Resources: { A: { Type: AWS::SNS::Topic } }\n";

#[test]
fn what_is_no_template_is_refused() {
    for (text, expected) in [
        ("", "t: the file is empty; a template is a mapping with `Resources`"),
        ("hello", "t:1:1: not a CloudFormation template: the file is a text; a template is a mapping with `Resources`"),
        (
            "a: 1",
            "t:1:1: not a CloudFormation template: `Resources` is missing; add `Resources` with an `AWS::Backup::Framework`",
        ),
        (
            "Resource: {}",
            "t:1:1: not a CloudFormation template: `Resources` is missing; is `Resource` meant to be `Resources`?",
        ),
        ("Resources:", "t:1:1: not a CloudFormation template: `Resources` is nothing; list resources by their names"),
        ("Resources: {}", "t:1:12: not a CloudFormation template: `Resources` is empty; list resources by their names"),
        (
            "Resources: [a]",
            "t:1:12: not a CloudFormation template: `Resources` is a list; list resources by their names",
        ),
        (
            "Resources:\n  A: {}",
            "t:2:3: the resource `A` has no `Type`; add one, such as `Type: AWS::Backup::Framework`",
        ),
        (
            "Resources:\n  A: &a { Type: T }\n  B: *a",
            "t:3:6: CloudFormation refuses YAML aliases; write out what the alias stands for",
        ),
        (&format!("{RESOURCE}Parameters: []"), "t:2:13: `Parameters` is a list; declare parameters by their names"),
        (
            &format!("{RESOURCE}Parameters: {{ P: {{}} }}"),
            "t:2:15: the parameter `P` has no `Type`; add one, such as `Type: String`",
        ),
        (
            &format!("{RESOURCE}Parameters: {{ P: {{ Type: String, Default: [1] }} }}"),
            "t:2:43: the default of the parameter `P` is a list; a default is one text; write lists as \"a,b\"",
        ),
    ] {
        assert_eq!(faults(text)[0], expected, "{text}");
    }
}

#[test]
fn a_template_is_as_large_as_cloud_formation_takes_and_no_larger() {
    let of_size = |bytes: usize| format!("{RESOURCE}#{}", "x".repeat(bytes - RESOURCE.len() - 1));
    assert_eq!(read(&of_size(Template::MAX)).text().len(), Template::MAX);
    assert_eq!(
        faults(&of_size(Template::MAX + 1)),
        ["t: the template has 1048577 bytes; CloudFormation takes 1048576 bytes at most: split it"]
    );
}

#[test]
fn parameters_have_their_defaults() {
    let template =
        read(&format!("{RESOURCE}Parameters:\n  A: {{ Type: Number, Default: 35 }}\n  B: {{ Type: String }}\n"));
    let expected = [("A".to_owned(), Some("35".to_owned())), ("B".to_owned(), None)];
    assert_eq!(template.parameters(), &BTreeMap::from(expected));
    assert!(template.declares("B") && !template.declares("C"));
}

#[test]
fn capabilities_are_exactly_those_needed() {
    use Capability::{AutoExpand, Iam, NamedIam};
    let cases: &[(&str, &[Capability])] = &[
        ("Resources: { A: { Type: AWS::Backup::Framework } }", &[]),
        ("Resources: { A: { Type: AWS::IAM::Role } }", &[Iam]),
        ("Resources: { A: { Type: AWS::IAM::Policy, Properties: { PolicyName: p } } }", &[Iam]),
        ("Resources: { A: { Type: AWS::IAM::Role, Properties: { RoleName: r } } }", &[NamedIam]),
        ("Resources: { A: { Type: AWS::IAM::Role, Properties: { RoleName: !Sub 'x-${AWS::Region}' } } }", &[NamedIam]),
        ("Resources: { A: { Type: AWS::IAM::Role, Properties: { RoleName: !Ref AWS::NoValue } } }", &[Iam]),
        ("Resources: { A: { Type: AWS::IAM::Role, Properties: { RoleName: { Ref: AWS::NoValue } } } }", &[Iam]),
        ("Resources: { A: { Type: AWS::IAM::AccessKey, Properties: { UserName: u } } }", &[Iam]),
        (
            "Resources: { A: { Type: AWS::IAM::User, Properties: { UserName: u } }, B: { Type: AWS::IAM::Role } }",
            &[NamedIam],
        ),
        ("Resources: { A: { Type: AWS::CloudFormation::Stack } }", &[AutoExpand]),
        ("Resources: { A: { Type: X::Y::Z::MODULE } }", &[AutoExpand]),
        (
            "Transform: AWS::Serverless-2016-10-31\nResources: { A: { Type: AWS::Serverless::Function } }",
            &[Iam, AutoExpand],
        ),
        ("Resources: { A: { Type: T, Properties: { 'Fn::Transform': { Name: AWS::Include } } } }", &[AutoExpand]),
        ("Resources: { A: { Type: T, Properties: { P: !Transform { Name: AWS::Include } } } }", &[AutoExpand]),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).capabilities(), *expected, "{text}");
    }
    assert_eq!(NamedIam.as_str(), "CAPABILITY_NAMED_IAM");
    assert_eq!(serde_json::to_value(NamedIam).expect("serialises"), NamedIam.as_str());
}

/// A template whose `Value` is `value`.
fn resolved(value: &str, given: &[(&str, &str)]) -> Resolved {
    let text = format!(
        r#"
Parameters:
  Days: {{ Type: Number, Default: 35 }}
  Env: {{ Type: String }}
  List: {{ Type: CommaDelimitedList, Default: "a,b" }}
  Ssm: {{ Type: "AWS::SSM::Parameter::Value<String>", Default: /name }}
  Secret: {{ Type: String, Default: "{{{{resolve:ssm:/x}}}}" }}
Conditions:
  Prod: !Equals [!Ref Env, prod]
  NotProd: {{ "Fn::Not": [{{ Condition: Prod }}] }}
  Home: !Equals [!Ref AWS::Region, eu-west-1]
  Neither: !And [!Condition Home, !Condition NotProd]
  Either: !Or [!Condition Home, !Condition Prod]
  Circle: !Not [!Condition Circle]
  Always: !Equals [1, "1"]
Resources:
  A: {{ Type: T, Value: {value} }}
"#
    );
    let template = read(&text);
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let node =
        template.root().get("Resources").and_then(|r| r.get("A")).and_then(|a| a.get("Value")).expect("the value");
    Resolver::new(&template, &given).resolve(node).into_resolved()
}

#[test]
fn functions_are_resolved_and_never_guessed() {
    let text = |text: &str| Resolved::Text(text.to_owned());
    let cases: &[(&str, Resolved)] = &[
        ("plain", text("plain")),
        ("35", text("35")),
        ("-1", text("-1")),
        ("True", text("true")),
        ("'010'", text("010")),
        ("010", Resolved::Unknown),
        ("0x1F", Resolved::Unknown),
        ("yes", Resolved::Unknown),
        ("1_000", Resolved::Unknown),
        ("12:30", Resolved::Unknown),
        ("1.5", Resolved::Unknown),
        ("2010-09-09", text("2010-09-09")),
        ("", Resolved::Absent),
        ("'{{resolve:secretsmanager:x}}'", Resolved::Unknown),
        ("!Ref Days", text("35")),
        ("{ Ref: Env }", text("prod")),
        ("!Ref List", Resolved::Unknown),
        ("!Ref Ssm", Resolved::Unknown),
        ("!Ref Secret", Resolved::Unknown),
        ("!Ref Nothing", Resolved::Unknown),
        ("!Ref AWS::Region", Resolved::Unknown),
        ("!Ref AWS::NoValue", Resolved::Absent),
        ("!Sub 'x-${Env}-${Days}'", text("x-prod-35")),
        ("!Sub 'x-${!Env}'", text("x-${Env}")),
        ("!Sub 'x-${AWS::Region}'", Resolved::Unknown),
        ("!Sub 'x-${A.Arn}'", Resolved::Unknown),
        ("!Sub 'x-${Env'", Resolved::Unknown),
        ("!Sub ['${X}-${Env}', { X: !Ref Days }]", text("35-prod")),
        ("!Sub ['${X}', { X: !GetAtt A.B }]", Resolved::Unknown),
        ("{ 'Fn::Sub': '${Env}' }", text("prod")),
        ("{ 'Fn::Sub': !Ref Env }", Resolved::Unknown),
        ("!If [Prod, a, b]", text("a")),
        ("!If [NotProd, a, !Ref AWS::NoValue]", Resolved::Absent),
        ("!If [Home, a, b]", Resolved::Unknown),
        ("!If [Neither, a, b]", text("b")),
        ("!If [Either, a, b]", text("a")),
        ("!If [Circle, a, b]", Resolved::Unknown),
        ("!If [Always, a, b]", text("a")),
        ("!If [Nothing, a, b]", Resolved::Unknown),
        ("{ 'Fn::If': [Prod, !If [Always, !Sub '${Env}', c], d] }", text("prod")),
        ("!If [Prod, a]", Resolved::Unknown),
        ("!Join ['-', [a, b]]", Resolved::Unknown),
        ("!ImportValue x", Resolved::Unknown),
        ("[a]", Resolved::Unknown),
    ];
    for (value, expected) in cases {
        assert_eq!(resolved(value, &[("Env", "prod")]), *expected, "{value}");
    }
    assert_eq!(resolved("!Ref Days", &[("Days", "90")]), text("90"));
    assert_eq!(resolved("!If [Prod, a, b]", &[("Env", "test")]), text("b"));
    assert_eq!(resolved("!If [Prod, a, b]", &[]), Resolved::Unknown, "no value and no default");
}

#[test]
fn long_chains_and_repeated_conditions_end() {
    let mut text = format!("{RESOURCE}Conditions:\n  C0: !Equals [a, a]\n");
    for n in 1..2000 {
        text.push_str(&format!("  C{n}: !And [{}]\n", vec![format!("!Condition C{}", n - 1); 10].join(", ")));
    }
    let template = read(&text);
    let given = BTreeMap::new();
    assert_eq!(Resolver::new(&template, &given).condition("C9"), Some(true));
    assert_eq!(Resolver::new(&template, &given).condition("C1999"), None, "too deep to say");

    let mut value = "''".to_owned();
    for _ in 0..30 {
        value = format!("!Sub ['{}', {{ a: {value} }}]", "${a}".repeat(20));
    }
    assert_eq!(
        resolved(&value, &[]),
        Resolved::Text(String::new()),
        "patterns in patterns cost no more than their text"
    );
}

proptest! {
    #[test]
    fn any_text_is_a_template_or_not(text in "(\\PC|\n|\t){0,200}") {
        if let Ok(template) = Template::read("t", &text) {
            prop_assert!(template.capabilities().len() < 3);
        }
    }
}
