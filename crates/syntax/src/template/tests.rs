use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Template {
    match Template::read("t.yaml", text) {
        Ok(template) => template,
        Err(diagnostics) => panic!("{diagnostics:#?}"),
    }
}

fn diagnostics(text: &str) -> Vec<String> {
    Template::read("t", text).expect_err("should be rejected").iter().map(ToString::to_string).collect()
}

const RESOURCE: &str = "Resources: { A: { Type: AWS::SNS::Topic } }\n";

// Long because it is one table of templates.
#[test]
fn invalid_template_is_rejected() {
    for (text, expected) in [
        ("", "t: the file is empty; write a mapping with `Resources`"),
        ("hello", "t:1:1: not a CloudFormation template: the file is a string; write a mapping with `Resources`"),
        (
            "a: 1",
            "t:1:1: not a CloudFormation template: `Resources` is missing; add `Resources` with an `AWS::Backup::Framework`",
        ),
        (
            "Resource: {}",
            "t:1:1: not a CloudFormation template: `Resources` is missing; did you mean `Resources` instead of `Resource`?",
        ),
        (
            "Resources:",
            "t:1:1: not a CloudFormation template: `Resources` is nothing; add resources by their logical ids",
        ),
        (
            "Resources: {}",
            "t:1:12: not a CloudFormation template: `Resources` is empty; add resources by their logical ids",
        ),
        (
            "Resources: [a]",
            "t:1:12: not a CloudFormation template: `Resources` is a list; add resources by their logical ids",
        ),
        (
            "Resources:\n  A: { Type: !Rain::Module b.yaml }",
            "t:2:14: the `Type` of the resource `A` is an object of `Rain::Module`; replace it with `rain pkg` first",
        ),
        (
            "{\"Resources\": {\"A\": {\"Type\": {\"Rain::Module\": \"b.yaml\"}}}}",
            "t:1:30: the `Type` of the resource `A` is an object of `Rain::Module`; replace it with `rain pkg` first",
        ),
        (
            "{\n  // a \"comment\"\n  \"Resources\": {}\n}",
            "t:2:3: not valid YAML or JSON: JSON has no comments; remove the comments, or write YAML, in which `#` begins a comment",
        ),
        (
            "{\"Resources\": {\"A\": {\"Type\": \"http://a\"}} /* b */}",
            "t:1:43: not valid YAML or JSON: JSON has no comments; remove the comments, or write YAML, in which `#` begins a comment",
        ),
        (
            "Resources:\n  A: { Type: !AWS::DynamoDB::Table }",
            "t:2:3: the resource `A` has no `Type`; add one, such as `Type: AWS::Backup::Framework`",
        ),
        (
            "Resources:\n  A: {}",
            "t:2:3: the resource `A` has no `Type`; add one, such as `Type: AWS::Backup::Framework`",
        ),
        (
            "Resources:\n  A: &a { Type: T }\n  B: *a",
            "t:3:6: CloudFormation rejects YAML aliases; write the anchored content here",
        ),
        (&format!("{RESOURCE}Parameters: []"), "t:2:13: `Parameters` is a list; write a mapping of parameters"),
        (
            &format!("{RESOURCE}Parameters: {{ P: {{}} }}"),
            "t:2:15: the parameter `P` has no `Type`; add one, such as `Type: String`",
        ),
        (
            &format!("{RESOURCE}Parameters: {{ P: {{ Type: String, Default: [1] }} }}"),
            "t:2:43: the default of the parameter `P` is a list; write a string; a list is \"a,b\"",
        ),
    ] {
        assert_eq!(diagnostics(text)[0], expected, "{text}");
    }
}

#[test]
fn intended_template_is_recognized() {
    for text in [
        "Resources: {}",
        "AWSTemplateFormatVersion: x",
        "{\"Resources\": 1}",
        "Type: [AWS::Backup::Framework",
        "Outputs: 1",
    ] {
        assert!(Template::is_intended(text), "{text}");
    }
    for text in ["", "version: 1\nframeworks: []", "a", "[Resources]", "version: [", "frameworks: [{ template: t }]"] {
        assert!(!Template::is_intended(text), "{text}");
    }
}

#[test]
fn valid_yaml_has_no_syntax_error() {
    for text in ["a: [", "{{- if x }}\nkind: a\n{{- end }}\n", "a:\n\t- b", "{ \"a\": \"b\" \"c\" }"] {
        let diagnostic = Template::syntax_error("t", text).unwrap();
        assert!(
            diagnostic.message.starts_with("not valid YAML: ") && diagnostic.rule == Some("BC001"),
            "{text}: {diagnostic}"
        );
    }
    for text in ["", "# a\n", "[1]", "a: 1\n---\nb: 2\n", "a: &b 1\nc: *b", "a: 1\na: 2", "a: !other b", "\u{0}"] {
        assert_eq!(Template::syntax_error("t", text), None, "{text:?}");
    }
}

#[test]
fn template_above_size_limit_is_rejected() {
    let of_size = |bytes: usize| format!("{RESOURCE}#{}", "x".repeat(bytes - RESOURCE.len() - 1));
    assert_eq!(read(&of_size(Template::MAX)).text().len(), Template::MAX);
    assert_eq!(
        diagnostics(&of_size(Template::MAX + 1)),
        ["t: the template has 1048577 bytes; split it: the limit of CloudFormation is 1048576 bytes"]
    );
}

#[test]
fn parameters_have_defaults() {
    let template =
        read(&format!("{RESOURCE}Parameters:\n  A: {{ Type: Number, Default: 35 }}\n  B: {{ Type: String }}\n"));
    let expected = [("A".to_owned(), Some("35".to_owned())), ("B".to_owned(), None)];
    assert_eq!(template.parameters(), &BTreeMap::from(expected));
    assert!(template.declares("B") && !template.declares("C"));
}

#[test]
fn capabilities_are_the_required_ones() {
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
    assert_eq!(serde_json::to_value(NamedIam).expect("JSON"), NamedIam.as_str());
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
Mappings:
  Map:
    prod: {{ days: 7, list: [c, d] }}
    loop: {{ again: !FindInMap [Map, loop, again] }}
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

// Long because it is one table of functions.
#[test]
fn functions_resolve_or_are_unknown() {
    let text = |text: &str| Resolved::Text(text.to_owned());
    let cases: &[(&str, Resolved)] = &[
        ("plain", text("plain")),
        ("35", text("35")),
        ("-1", text("-1")),
        ("True", text("true")),
        ("'010'", text("010")),
        ("010", text("8")),
        ("0899", text("0899")),
        ("0x1F", text("31")),
        ("35.5", text("35.5")),
        ("35.0", Resolved::Unknown),
        ("1e9", Resolved::Unknown),
        ("AWS::NoValue", Resolved::Unknown),
        ("yes", text("true")),
        ("Off", text("false")),
        ("'yes'", text("yes")),
        ("oN", text("oN")),
        ("y", Resolved::Unknown),
        ("No", text("false")),
        ("1_000", text("1000")),
        ("12:30", text("750")),
        ("1.5", text("1.5")),
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
        ("!Join ['-', [a, b]]", text("a-b")),
        ("!Join ['', [a, !Ref Env, !Ref AWS::NoValue, 1]]", text("aprod1")),
        ("!Join [',', !Ref List]", text("a,b")),
        ("!Join ['-', [a, !Ref AWS::Region]]", Resolved::Unknown),
        ("{ 'Fn::Join': ['-', [a, [b]]] }", Resolved::Unknown),
        ("!Select [1, [a, b]]", text("b")),
        ("!Select ['0', !Ref List]", text("a")),
        ("!Select [2, [a, b]]", Resolved::Unknown),
        ("!Select [0, !Split ['/', x/y]]", text("x")),
        ("!Select [1, !Split ['/', !Sub '${Env}/${Days}']]", text("35")),
        ("!Split ['/', x/y]", Resolved::Unknown),
        ("!FindInMap [Map, prod, days]", text("7")),
        ("!FindInMap [Map, !Ref Env, days]", text("7")),
        ("!FindInMap [Map, test, days]", Resolved::Unknown),
        ("!FindInMap [Map, test, days, { DefaultValue: 1 }]", text("1")),
        ("!FindInMap [Map, !Ref AWS::Region, days, { DefaultValue: 1 }]", Resolved::Unknown),
        ("!Select [1, !FindInMap [Map, prod, list]]", text("d")),
        ("!FindInMap [Map, loop, again]", Resolved::Unknown),
        ("!GetAtt A.Arn", Resolved::Unknown),
        ("!Base64 x", Resolved::Unknown),
        ("!Cidr [a, 1, 1]", Resolved::Unknown),
        ("{ 'Fn::ForEach::X': [Y, [a], b] }", Resolved::Unknown),
        ("{ Condition: Prod }", Resolved::Unknown),
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
fn long_condition_chains_terminate() {
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

const APPLICATION: &str = r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: { Type: String, Default: test }
  Types: { Type: "List<String>", Default: "a, b" }
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsHome: !Equals [!Ref AWS::Region, eu-west-1]
Mappings:
  Tags: { test: { list: [x, z] } }
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Condition: IsProd
    Properties:
      TableName: !Sub "${Stage}-orders"
      Tags:
        - { Key: backup, Value: yes }
        - !If [IsProd, { Key: a, Value: b }, !Ref AWS::NoValue]
        - !If [IsHome, { Key: c, Value: d }, !Ref AWS::NoValue]
      Policy: { Statement: { Effect: Deny, Condition: { Bool: { "aws:SecureTransport": false } } } }
  Home:
    Type: AWS::S3::Bucket
    Condition: IsHome
  Selection:
    Type: AWS::Backup::BackupSelection
    Properties:
      BackupPlanId: !Ref Plan
      Arns:
        - !GetAtt Table.Arn
        - !Sub "arn:${AWS::Partition}:dynamodb:*:*:table/${Table}"
        - { "Fn::Join": ["", ["arn:aws:s3:::", { Ref: Home }]] }
        - !Sub "${Elsewhere}/x"
      Types: !Ref Types
      Named: !FindInMap [Tags, !Ref Stage, list]
      Imported: !ImportValue x
  Plan: { Type: AWS::Backup::BackupPlan }
  "Fn::ForEach::Loop": [X, [a, b], { "Bucket${X}": { Type: AWS::S3::Bucket } }]
"#;

#[test]
fn resource_properties_are_resolved() {
    let template = read(APPLICATION);
    let given = BTreeMap::from([("AWS::Partition".to_owned(), "aws".to_owned())]);
    let resources = template.resolved_resources(&given);
    let seen: Vec<_> = resources.iter().map(|r| (r.logical_id, r.kind, r.at.line, r.condition, r.is_on)).collect();
    assert_eq!(
        seen,
        [
            ("Table", "AWS::DynamoDB::Table", 12, Some("IsProd"), Some(false)),
            ("Home", "AWS::S3::Bucket", 22, Some("IsHome"), None),
            ("Selection", "AWS::Backup::BackupSelection", 25, None, Some(true)),
            ("Plan", "AWS::Backup::BackupPlan", 37, None, Some(true)),
        ]
    );
    let table = &resources[0].properties;
    assert_eq!(table.get("TableName").and_then(Part::as_text), Some("test-orders"));
    let tags = table.get("Tags").and_then(Part::items).expect("tags");
    assert_eq!(tags.len(), 2, "one is absent, one is unknown");
    assert_eq!(
        tags[0].get("Value").map(|value| (value.as_text(), value.at)),
        Some((Some("true"), Position { line: 18, column: 33 }))
    );
    assert_eq!((&tags[1].content, tags[1].is_known()), (&Content::Unknown, false));
    let condition = table.get("Policy").and_then(|p| p.get("Statement")).and_then(|s| s.get("Condition"));
    let bool = condition.and_then(|c| c.get("Bool")).and_then(|b| b.get("aws:SecureTransport"));
    assert_eq!(bool.and_then(Part::as_text), Some("false"));

    let selection = &resources[2].properties;
    assert_eq!(selection.get("BackupPlanId").and_then(Part::reference), Some(("Plan", None)));
    let arns = selection.get("Arns").and_then(Part::items).expect("ARNs");
    assert_eq!(arns[0].reference(), Some(("Table", Some("Arn"))));
    let resource = |name: &str| Piece::Resource { logical_id: name.to_owned(), attribute: None };
    let pieces = |text: &str, name: &str| Content::Pieces(vec![Piece::Text(text.to_owned()), resource(name)]);
    assert_eq!(arns[1].content, pieces("arn:aws:dynamodb:*:*:table/", "Table"));
    assert_eq!(arns[2].content, pieces("arn:aws:s3:::", "Home"));
    assert_eq!(arns[3].content, Content::Pieces(vec![Piece::Unknown, Piece::Text("/x".to_owned())]));
    assert!(arns[2].is_known() && !arns[3].is_known());
    let texts = |key: &str| -> Vec<&str> {
        selection.get(key).and_then(Part::items).expect("a list").iter().filter_map(Part::as_text).collect()
    };
    assert_eq!((texts("Types"), texts("Named")), (vec!["a", "b"], vec!["x", "z"]));
    assert_eq!(selection.get("Imported").map(|part| &part.content), Some(&Content::Unknown));

    assert_eq!(
        template.expansions(),
        [Expansion { at: Position { line: 38, column: 3 }, what: "`Fn::ForEach`".to_owned() }]
    );
}

#[test]
fn expansions_are_listed() {
    let expansions = |text: &str| -> Vec<String> { read(text).expansions().into_iter().map(|one| one.what).collect() };
    for (text, expected) in [
        ("", &[][..]),
        ("Transform: [AWS::LanguageExtensions, Mine]\n", &["the macro `Mine`"]),
        ("Transform: { Name: AWS::Include, Parameters: { Location: l } }\n", &["the macro `AWS::Include`"]),
        ("Mappings: { 'Fn::Transform': { Name: AWS::Include } }\n", &["`Fn::Transform`"]),
        ("Outputs: { A: { Value: !Transform { Name: N } } }\n", &["`Fn::Transform`"]),
    ] {
        assert_eq!(expansions(&format!("{text}{RESOURCE}")), expected, "{text}");
    }
}

#[test]
fn aliases_are_expanded_in_sources_only() {
    let text = "Common: &common { Type: T, Properties: &p { A: 1 } }\nResources:\n  X: *common\n  Y:\n    <<: *common\n    Type: U\n";
    let template = Template::read_source("t", text).expect("a source");
    let none = BTreeMap::new();
    let resources = template.resolved_resources(&none);
    let seen: Vec<_> =
        resources.iter().map(|r| (r.logical_id, r.kind, r.properties.get("A").and_then(Part::as_text))).collect();
    assert_eq!(seen, [("X", "T", Some("1")), ("Y", "U", Some("1"))]);
    assert_eq!(
        diagnostics(text),
        [
            "t:3:6: CloudFormation rejects YAML aliases; write the anchored content here",
            "t:5:5: CloudFormation rejects YAML merge keys (`<<`); write the merged keys here",
            "t:5:9: CloudFormation rejects YAML aliases; write the anchored content here",
        ]
    );
    assert!(Template::read("t", "Resources:\n  X: &anchor { Type: T }\n").is_ok(), "an anchor alone does no harm");
}

#[test]
fn all_json_syntax_is_read() {
    let text = "\u{feff}{\r\n\t\"Resources\" :\t{\r\n\t\t\"A\": {\"Type\":\"T\",\"Properties\":{\"P\":\"\\ud83d\\ude00 \\/\",\"N\":12,\"B\":true,\"Z\":null,\
                \"E\":[]}}\r\n\t}\r\n}\r\n";
    let template = read(text);
    let none = BTreeMap::new();
    let resource = &template.resolved_resources(&none)[0];
    let get = |key: &str| resource.properties.get(key).and_then(Part::as_text);
    assert_eq!((get("P"), get("N"), get("B"), get("Z")), (Some("\u{1f600} /"), Some("12"), Some("true"), None));
    assert_eq!(resource.properties.get("E").and_then(Part::items), Some(&[][..]));
    assert_eq!(
        (resource.at, resource.properties.at),
        (Position { line: 3, column: 3 }, Position { line: 3, column: 33 })
    );
    assert!(diagnostics("{\"Resources\": {\"A\": {\"Type\": \"\\ud83d\"}}}")[0].contains("unpaired surrogate"));
    assert!(
        diagnostics("{\"Resources\": {\"A\": {\"Type\": \"T\",,}}}")[0].contains("not valid"),
        "{:?}",
        diagnostics("{,}")
    );
}

#[test]
fn hostile_templates_stay_within_the_budget() {
    // A list in a mapping that is named everywhere.
    let list = vec!["x"; 10_000].join(", ");
    let named = vec!["!FindInMap [M, a, b]"; 5_000].join(", ");
    let text = format!(
        "Mappings: {{ M: {{ a: {{ b: [{list}] }} }} }}\nResources: {{ A: {{ Type: T, Properties: {{ P: [{named}] }} }} }}"
    );
    let template = read(&text);
    let none = BTreeMap::new();
    let resources = template.resolved_resources(&none);
    let parts = resources[0].properties.get("P").and_then(Part::items).expect("a list");
    assert_eq!(parts.len(), 5_000);
    assert_eq!(parts[0].items().map(<[Part]>::len), Some(10_000));
    assert_eq!(parts[4_999].content, Content::Unknown);

    // A list in a mapping that names itself.
    let text = "Mappings: { M: { a: { b: [!FindInMap [M, a, b]] } } }\nResources: { A: { Type: T, Properties: { P: !FindInMap [M, a, b] } } }";
    assert!(!read(text).resolved_resources(&none)[0].properties.is_known());

    // 100,000 aliases of a large value, and as many of a small one.
    let aliases = vec!["*a"; 100_000].join(", ");
    let large = format!("Resources: {{ A: {{ Type: T, Properties: {{ P: &a [1, 2, 3, 4], Q: [{aliases}] }} }} }}");
    assert!(Template::read_source("t", &large).expect_err("too many")[0].message.contains("has more than"));
    let small = format!("Resources: {{ A: {{ Type: T, Properties: {{ P: &a 1, Q: [{aliases}] }} }} }}");
    let template = Template::read_source("t", &small).expect("they fit");
    let resources = template.resolved_resources(&none);
    assert_eq!(resources[0].properties.get("Q").and_then(Part::items).map(<[Part]>::len), Some(100_000));
    assert_eq!(diagnostics(&small).len(), 101, "a hundred, and that there are more");
}

proptest! {
    #[test]
    fn mutated_template_resolves_without_panic(text in crate::yaml::tests::edited::edited(APPLICATION)) {
        if let Ok(template) = Template::read_source("t", &text) {
            for resource in template.resolved_resources(&BTreeMap::new()) {
                prop_assert!(resource.at.line > 0 && !resource.kind.is_empty());
            }
            let _ = template.expansions();
        }
    }

    /// JSON is YAML: whatever both readers take, they read alike.
    #[test]
    fn json_and_yaml_are_equal(text in "[a-z \\\\\"é]{0,12}", number in -1000_i32..1000, flag in any::<bool>()) {
        let document = serde_json::json!({ "Resources": { "A": { "Type": "T", "Properties": { "P": text, "L": [number, flag, null] } } } });
        for json in [document.to_string(), serde_json::to_string_pretty(&document).expect("JSON")] {
            let from_json = read(&json);
            // A comment makes it no JSON, so that it is read as YAML.
            let from_yaml = read(&format!("{json}\n# no JSON\n"));
            prop_assert!(from_json.root().same_as(from_yaml.root()));
            prop_assert_eq!(from_json.root(), from_yaml.root(), "places too");
        }
    }

    #[test]
    fn any_text_is_read_without_panic(text in "(\\PC|\n|\t){0,200}") {
        if let Ok(template) = Template::read("t", &text) {
            prop_assert!(template.capabilities().len() < 3);
        }
    }
}

#[test]
fn broken_template_is_still_intended() {
    for text in [
        "Resources:\n  A: [\n",
        "{\n  \"Resources\": {,}\n",
        "Conditions: {\nResources:\n",
        "AWSTemplateFormatVersion: '2010-09-09'\nA: [",
    ] {
        assert!(Template::is_intended(text), "{text}");
    }
    for text in ["version: 1\nframeworks: [\n", "version: 1\nframeworks: []\n", "a: Resources\nb: [\n"] {
        assert!(!Template::is_intended(text), "{text}");
    }
    let large = format!("Resources:\n  A: {{ Type: T }}\n# {}\n", "x".repeat(Template::MAX));
    assert!(Template::is_intended(&large));
    let diagnostic = &diagnostics(&large)[0];
    assert!(diagnostic.contains("the limit of CloudFormation is 1048576 bytes"), "{diagnostic}");
}

#[test]
fn lookups_depend_on_pseudo_parameters() {
    let depends = |more: &str| {
        let text = format!("Mappings: {{M: {{a: {{b: c}}}}}}\nResources:\n  T: {{Type: AWS::SNS::Topic}}\n{more}");
        read(&text).depends_on("AWS::Region")
    };
    assert!(!depends(""));
    assert!(!depends("Outputs: {O: {Value: !Ref AWS::Region}}\n"), "it is the same template in each Region");
    assert!(depends("Outputs: {O: {Value: !FindInMap [M, !Ref AWS::Region, b]}}\n"));
    assert!(depends("Outputs: {O: {Value: {'Fn::FindInMap': [M, {Ref: 'AWS::Region'}, b]}}}\n"));
    assert!(depends(
        "  Fn::ForEach::A: [X, [a], {'F${X}': {Type: AWS::Backup::Framework, Properties: {FrameworkName: !Ref AWS::Region}}}]\n"
    ));
    assert!(!depends("  U: {Type: AWS::SNS::Topic, Properties: {TopicName: !FindInMap [M, a, b]}}\n"));
}
