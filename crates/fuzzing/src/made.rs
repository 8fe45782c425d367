//! Generates templates of applications and backups from bytes, one byte for each decision. Mutations of text mostly
//! become unreadable; mutations of decisions are always templates with known and unknown parts.

use serde_json::{Map, Value, json};

/// Types that Audit Manager evaluates, with their name property.
const RESOURCES: [(&str, &str); 10] = [
    ("AWS::DynamoDB::Table", "TableName"),
    ("AWS::RDS::DBCluster", "DBClusterIdentifier"),
    ("AWS::RDS::DBInstance", "DBInstanceIdentifier"),
    ("AWS::EC2::Volume", ""),
    ("AWS::EC2::Instance", ""),
    ("AWS::EFS::FileSystem", ""),
    ("AWS::FSx::FileSystem", ""),
    ("AWS::S3::Bucket", "BucketName"),
    ("AWS::Serverless::SimpleTable", "TableName"),
    ("AWS::DynamoDB::GlobalTable", "TableName"),
];
const CONDITIONS: [&str; 4] = ["On", "Off", "Open", "Here"];
const KEYS: [&str; 3] = ["backup", "stage", "aws:cloudformation:logical-id"];
const VALUES: [&str; 5] = ["daily", "prod", "weekly", "", "R0"];
const ARNS: [&str; 7] = [
    "*",
    "arn:aws:dynamodb:*:*:table/*",
    "arn:aws:rds:*:*:cluster:*",
    "arn:aws:rds:*:*:db:*",
    "arn:aws:s3:::*",
    "arn:aws:fsx:*",
    "arn:aws:dynamodb:eu-west-1:222222222222:table/prod",
];
const SCHEDULES: [&str; 5] =
    ["cron(0 3 * * ? *)", "rate(12 hours)", "cron(0 5 ? * MON-FRI *)", "rate(0 days)", "daily"];
const VAULTS: [&str; 2] = ["v", "w"];

/// The remaining decisions. After the last one, every decision is 0, the simplest choice.
struct Decisions<'d>(&'d [u8]);

impl Decisions<'_> {
    fn below(&mut self, bound: u8) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first % bound.max(1)
    }

    fn one_in(&mut self, bound: u8) -> bool {
        self.below(bound) == bound.saturating_sub(1) && bound > 1
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        let index = usize::from(self.below(u8::try_from(of.len()).unwrap_or(u8::MAX)));
        of.get(index).copied().unwrap_or_default()
    }

    /// Usually one of these values, otherwise an intrinsic function that may resolve to one.
    fn value(&mut self, of: &[&str], depth: u8) -> Value {
        match self.below(if depth == 0 { 10 } else { 16 }) {
            0..7 => self.pick(of).into(),
            7 => json!({ "Ref": self.pick(&["Stage", "Any", "AWS::Region", "AWS::StackName"]) }),
            8 => json!({ "Fn::Sub": self.pick(&["${Stage}", "${Any}-x", "${R0}", "${!Stage}", "${R0.Arn}", "${"]) }),
            9 => json!({ "Fn::FindInMap": ["M", { "Ref": "AWS::Region" }, "k"] }),
            10 | 11 => self.branch(|own| own.value(of, depth - 1)),
            12 => {
                json!({ "Fn::Join": [self.pick(&["", "-"]), [self.value(of, depth - 1), self.value(of, depth - 1)]] })
            }
            13 => {
                json!({ "Fn::GetAtt": [format!("R{}", self.below(9)), self.pick(&["Arn", "DBClusterArn", "BackupPlanId"])] })
            }
            14 => json!({ "Ref": format!("R{}", self.below(9)) }),
            _ => json!({ "Ref": "AWS::NoValue" }),
        }
    }

    /// An `Fn::If` whose second branch may be `AWS::NoValue`.
    fn branch(&mut self, mut one: impl FnMut(&mut Self) -> Value) -> Value {
        let condition = self.pick(&CONDITIONS);
        let (first, nothing) = (one(self), json!({ "Ref": "AWS::NoValue" }));
        let second = if self.one_in(2) { nothing } else { one(self) };
        json!({ "Fn::If": [condition, first, second] })
    }

    fn list(&mut self, most: u8, one: impl Fn(&mut Self) -> Value) -> Value {
        let all = |own: &mut Self| {
            let count = own.below(most + 1);
            Value::Array((0..count).map(|_| if own.one_in(8) { own.branch(&one) } else { one(own) }).collect())
        };
        if self.one_in(8) { self.branch(all) } else { all(self) }
    }

    fn tags(&mut self, is_mapping: bool) -> Value {
        if is_mapping {
            let mut tags = Map::new();
            for _ in 0..self.below(3) {
                tags.insert(self.pick(&KEYS).to_owned(), self.value(&VALUES, 1));
            }
            return Value::Object(tags);
        }
        self.list(3, |own| json!({ "Key": own.value(&KEYS, 0), "Value": own.value(&VALUES, 1) }))
    }

    fn conditions(&mut self, prefix: &str) -> Value {
        let prefixed = KEYS.map(|key| format!("{prefix}{key}"));
        let keys: Vec<&str> = prefixed.iter().map(String::as_str).collect();
        self.list(2, |own| {
            json!({ "ConditionType": "STRINGEQUALS", "ConditionKey": own.value(&keys, 0), "ConditionValue": own.value(&["daily", "prod", "d*", "*"], 1) })
        })
    }

    fn resource(&mut self) -> (&'static str, Map<String, Value>) {
        let index = usize::from(self.below(10));
        let (kind, name) = RESOURCES.get(index).copied().unwrap_or(("AWS::SQS::Queue", ""));
        let mut own = Map::new();
        let mut set = |name: &str, value: Value| drop(own.insert(name.to_owned(), value));
        if !name.is_empty() && self.one_in(2) {
            set(name, self.value(&["prod", "Prod", "*"], 2));
        }
        let tags = match kind {
            "AWS::EFS::FileSystem" => "FileSystemTags",
            "AWS::DynamoDB::GlobalTable" => "",
            _ => "Tags",
        };
        if tags.is_empty() {
            set(
                "Replicas",
                self.list(
                    2,
                    |own| json!({ "Region": own.value(&["eu-west-1", "us-east-1"], 0), "Tags": own.tags(false) }),
                ),
            );
        } else if !self.one_in(4) {
            set(tags, self.tags(kind == "AWS::Serverless::SimpleTable"));
        }
        match kind {
            "AWS::RDS::DBCluster" => set("Engine", self.value(&["aurora-mysql", "mysql", "neptune", "docdb"], 1)),
            "AWS::RDS::DBInstance" if self.one_in(2) => {
                let cluster = if self.one_in(2) { json!({ "Ref": "R0" }) } else { self.value(&["prod"], 1) };
                set("DBClusterIdentifier", cluster);
            }
            "AWS::FSx::FileSystem" => set("FileSystemType", self.value(&["WINDOWS", "ONTAP", "OPENZFS"], 1)),
            "AWS::EFS::FileSystem" if self.one_in(3) => {
                set("BackupPolicy", json!({ "Status": self.value(&["ENABLED", "DISABLED"], 1) }));
            }
            _ => set("BillingMode", "PAY_PER_REQUEST".into()),
        }
        (kind, own)
    }

    fn rule(&mut self) -> Value {
        let mut rule = Map::new();
        let mut set = |name: &str, value: Value| drop(rule.insert(name.to_owned(), value));
        set("RuleName", "r".into());
        set("TargetBackupVault", self.value(&VAULTS, 2));
        if !self.one_in(4) {
            set("ScheduleExpression", self.value(&SCHEDULES, 1));
        }
        if !self.one_in(4) {
            set("Lifecycle", json!({ "DeleteAfterDays": self.value(&["35", "7", "-1", "99999999999999999999"], 1) }));
        }
        if self.one_in(3) {
            let arns = [
                "arn:aws:backup:us-east-1:222222222222:backup-vault:v",
                "arn:aws:backup:eu-west-1:1:backup-vault:v",
                "x",
            ];
            set("CopyActions", self.list(2, |own| json!({ "DestinationBackupVaultArn": own.value(&arns, 2) })));
        }
        if self.one_in(3) {
            set("EnableContinuousBackup", self.value(&["true", "false"], 1));
        }
        Value::Object(rule)
    }

    fn selection(&mut self) -> Value {
        let mut own = Map::new();
        let mut set = |name: &str, value: Value| drop(own.insert(name.to_owned(), value));
        set("SelectionName", self.value(&["s", "t"], 0));
        if self.one_in(2) {
            set("Resources", self.list(2, |own| own.value(&ARNS, 2)));
        } else {
            set("ListOfTags", self.conditions(""));
        }
        if self.one_in(3) {
            set("NotResources", self.list(2, |own| own.value(&ARNS, 2)));
        }
        if self.one_in(2) {
            let operator = self.pick(&["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringOdd"]);
            let mut conditions = Map::new();
            conditions.insert(operator.to_owned(), self.conditions("aws:ResourceTag/"));
            set("Conditions", Value::Object(conditions));
        }
        Value::Object(own)
    }

    fn vault(&mut self, is_air_gapped: bool) -> Map<String, Value> {
        let mut own = Map::new();
        let mut set = |name: &str, value: Value| drop(own.insert(name.to_owned(), value));
        set("BackupVaultName", self.value(&VAULTS, 2));
        let days = json!({ "MinRetentionDays": self.value(&["7", "30"], 1), "MaxRetentionDays": self.value(&["30", "365"], 1) });
        match (is_air_gapped, days) {
            (true, Value::Object(days)) => own.extend(days),
            (_, days) if self.one_in(2) => set("LockConfiguration", days),
            _ => {}
        }
        if self.one_in(2) {
            let actions = [
                "backup:DeleteRecoveryPoint",
                "backup:UpdateRecoveryPointLifecycle",
                "backup:PutBackupVaultAccessPolicy",
            ];
            let statement = json!({
                "Effect": self.value(&["Deny", "Allow"], 0),
                "Principal": self.value(&["*"], 1),
                "Action": self.list(4, |own| own.value(&actions, 0)),
                "Resource": "*",
            });
            own.insert("AccessPolicy".to_owned(), json!({ "Version": "2012-10-17", "Statement": [statement] }));
        }
        own
    }
}

/// Returns the template for these decisions.
pub(crate) fn template(decisions: &[u8]) -> String {
    let mut decisions = Decisions(decisions);
    let form = decisions.below(6);
    let mut resources = Map::new();
    for number in 0..1 + decisions.below(7) {
        let (kind, properties) = match decisions.below(12) {
            0..5 => decisions.resource(),
            5 | 6 => {
                let rules = decisions.list(2, Decisions::rule);
                let plan = json!({ "BackupPlanName": decisions.value(&["p", "q"], 1), "BackupPlanRule": rules });
                ("AWS::Backup::BackupPlan", Map::from_iter([("BackupPlan".to_owned(), plan)]))
            }
            7 | 8 => {
                let plan = match decisions.below(4) {
                    3 => decisions.value(&["p", "id"], 2),
                    _ => json!({ "Ref": format!("R{}", decisions.below(8)) }),
                };
                let own = [("BackupPlanId".to_owned(), plan), ("BackupSelection".to_owned(), decisions.selection())];
                ("AWS::Backup::BackupSelection", Map::from_iter(own))
            }
            9 => ("AWS::Backup::BackupVault", decisions.vault(false)),
            10 => ("AWS::Backup::LogicallyAirGappedBackupVault", decisions.vault(true)),
            _ => ("AWS::CloudFormation::Stack", Map::new()),
        };
        let mut resource = json!({ "Type": kind, "Properties": properties });
        if decisions.one_in(4)
            && let Some(resource) = resource.as_object_mut()
        {
            resource.insert("Condition".to_owned(), decisions.pick(&CONDITIONS).into());
        }
        resources.insert(format!("R{number}"), resource);
    }
    let template = json!({
        "Parameters": { "Stage": { "Type": "String", "Default": "prod" }, "Any": { "Type": "String" } },
        "Conditions": {
            "On": { "Fn::Equals": [{ "Ref": "Stage" }, "prod"] },
            "Off": { "Fn::Equals": [{ "Ref": "Stage" }, "test"] },
            "Open": { "Fn::Equals": [{ "Ref": "Any" }, "x"] },
            "Here": { "Fn::Equals": [{ "Ref": "AWS::Region" }, "eu-west-1"] },
        },
        "Mappings": { "M": { "eu-west-1": { "k": "daily" }, "us-east-1": { "k": "weekly" } } },
        "Resources": resources,
    });
    let mut text = String::new();
    match form {
        0..3 => block(&template, 0, &mut text),
        3 => {
            block(&template, 0, &mut text);
            text = text.replace('\n', "\r\n");
        }
        4 => text = format!("{template:#}\n"),
        _ => text = template.to_string(),
    }
    text
}

/// Block YAML with short intrinsic functions.
fn block(value: &Value, indent: usize, text: &mut String) {
    let own = "  ".repeat(indent);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                text.push_str(&format!("{own}{}:", word(key)));
                behind(value, indent, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                text.push_str(&format!("{own}-"));
                match item {
                    Value::Object(entries) if function(entries).is_none() && !entries.is_empty() => {
                        // The first entry follows the dash.
                        let mut inner = String::new();
                        block(item, indent + 1, &mut inner);
                        text.push(' ');
                        text.push_str(inner.trim_start());
                    }
                    _ => behind(item, indent, text),
                }
            }
        }
        other => text.push_str(&format!("{own}{other}\n")),
    }
}

/// Writes the value after a key or a dash.
fn behind(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(entries) if let Some((name, argument)) = function(entries) => {
            text.push_str(&format!(" !{name} {argument}\n"));
        }
        Value::Object(entries) if !entries.is_empty() => {
            text.push('\n');
            block(value, indent + 1, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(value, indent + 1, text);
        }
        Value::String(scalar) => text.push_str(&format!(" {}\n", word(scalar))),
        other => text.push_str(&format!(" {other}\n")),
    }
}

/// Returns name and argument of an intrinsic function.
fn function(entries: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = entries.iter().next().filter(|_| entries.len() == 1)?;
    let name = name.strip_prefix("Fn::").or((name == "Ref").then_some("Ref"))?;
    Some((name, argument))
}

/// Quotes a text unless YAML reads it as the same string.
fn word(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !matches!(text, "true" | "false");
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}
