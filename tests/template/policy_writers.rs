//! The roles with which CI outside of AWS writes the policy: each trusts one branch of one repository, and writes one object.

use serde_json::{Value, json};

use app::events::OBJECT_KEY;

use super::parsed::{ParsedTemplate, listed};

const GITHUB: &str = "framework/prerequisites/github-oidc-role.yaml";
const GITLAB: &str = "framework/prerequisites/gitlab-oidc-role.yaml";

/// The statement of the trust policy, for an account without the identity provider and for one that has it.
fn trust(path: &str) -> [Value; 2] {
    let template = ParsedTemplate::read(path);
    let document = &template.properties("PolicyWriterRole")["AssumeRolePolicyDocument"];
    [&[][..], &["CreatesProvider"]].map(|not| {
        let document = match template.resolve_without(document, not) {
            Value::String(text) => serde_json::from_str(&text).unwrap(),
            document => document,
        };
        assert_eq!(document["Version"], "2012-10-17");
        let statements = document["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 1, "{path}: each statement admits a principal");
        statements[0].clone()
    })
}

#[test]
fn trust_is_pinned_to_audience_and_subject() {
    let github = json!({"StringEquals": {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:${Repository}:ref:refs/heads/main",
    }});
    let gitlab = json!({"StringEquals": {
        "gitlab.com:aud": "https://gitlab.com",
        "gitlab.com:sub": "project_path:${Project}:ref_type:branch:ref:main",
    }});
    for (path, condition, host) in
        [(GITHUB, github, "token.actions.githubusercontent.com"), (GITLAB, gitlab, "gitlab.com")]
    {
        for (statement, has_provider) in trust(path).into_iter().zip([false, true]) {
            assert_eq!(statement["Effect"], "Allow", "{path}");
            assert_eq!(statement["Action"], "sts:AssumeRoleWithWebIdentity", "{path}");
            // Without an operator for patterns, and without a condition that another one could widen.
            assert_eq!(statement["Condition"], condition, "{path}");
            let provider = &statement["Principal"]["Federated"];
            let existing = json!(format!("arn:aws:iam::000000000000:oidc-provider/{host}"));
            assert_eq!(*provider == existing, has_provider, "{path}: {provider}");
        }
        let template = ParsedTemplate::read(path);
        let provider = template.resolve(template.properties("Provider"));
        assert_eq!(provider["Url"], json!(format!("https://{host}")), "{path}");
        let audience = condition["StringEquals"][format!("{host}:aud")].clone();
        assert_eq!(provider["ClientIdList"], json!([audience]), "{path}");
        assert_eq!(template.resource("Provider")["Condition"], "CreatesProvider", "{path}");
    }
}

/// A wildcard, or a part of a subject that a parameter could add, would admit other repositories.
#[test]
fn parameters_cannot_widen_the_trust() {
    let (github, gitlab) = (ParsedTemplate::read(GITHUB), ParsedTemplate::read(GITLAB));
    for (name, is_valid) in [
        ("acme/backup-frameworks", true),
        ("acme/*", false),
        ("acme/backup:ref:refs/heads/main", false),
        ("acme", false),
        ("acme/a/b", false),
        ("", false),
    ] {
        assert_eq!(github.takes("Repository", name), is_valid, "{name}");
    }
    for (name, is_valid) in [
        ("acme/platform/backup", true),
        ("acme/backup", true),
        ("acme/*", false),
        ("acme", false),
        ("acme/a:ref", false),
    ] {
        assert_eq!(gitlab.takes("Project", name), is_valid, "{name}");
    }
    for template in [&github, &gitlab] {
        for (name, is_valid) in [
            ("main", true),
            ("releases/production", true),
            ("*", false),
            ("ma?n", false),
            ("a:b", false),
            ("a b", false),
            ("a\"b", false),
        ] {
            assert_eq!(template.takes("BranchName", name), is_valid, "{name}");
        }
        let bucket = ParsedTemplate::application().section("Outputs").contains_key("PolicyBucketName");
        assert!(bucket && template.section("Parameters").contains_key("PolicyBucketName"));
    }
    for (host, is_valid) in
        [("gitlab.com", true), ("gitlab.example.com", true), ("https://gitlab.com", false), ("gitlab.com\":\"", false)]
    {
        assert_eq!(gitlab.takes("Host", host), is_valid, "{host}");
    }
}

#[test]
fn writer_may_put_one_object() {
    let application = ParsedTemplate::application();
    for path in [GITHUB, GITLAB] {
        let template = ParsedTemplate::read(path);
        assert_eq!(template.of_type("AWS::IAM::Role"), ["PolicyWriterRole"], "{path}");
        let role = template.properties("PolicyWriterRole");
        assert!(role.get("ManagedPolicyArns").is_none(), "{path}");
        let policies = listed(&role["Policies"]);
        assert_eq!(policies.len(), 1, "{path}");
        let expected = json!([{
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::backup-compliance-policybucket-1a2b3c4d5e6f/{OBJECT_KEY}"),
        }]);
        assert_eq!(template.resolve(&policies[0]["PolicyDocument"]["Statement"]), expected, "{path}");
        // The bucket policy admits the role by its name.
        let name =
            |template: &ParsedTemplate, parameter: &str| template.section("Parameters")[parameter]["Default"].clone();
        assert_eq!(name(&template, "RoleName"), name(&application, "PolicyWriterRoleName"), "{path}");
        assert_eq!(role["RoleName"], json!({"Ref": "RoleName"}), "{path}");
        assert!(role.get("Path").is_none(), "{path}");
    }
}
