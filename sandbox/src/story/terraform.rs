//! The chapter about an application in Terraform: one missing tag, found before the deployment.

use anyhow::Result;
use serde_json::{Value, json};

use super::StoryRun;
use super::context::StoryContext;

pub(super) fn all(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("A Terraform plan lacks one tag");
    story.narrate(
        "A table in a plan of Terraform is in no backup plan: the backup plan selects the tag `backup` = `daily`.",
    );
    let folder = story.cloud.directory().join("orders");
    std::fs::create_dir_all(&folder)?;
    let framework = context.checkout.directory().join("framework.yaml");
    std::fs::copy(framework, folder.join("framework.yaml"))?;
    let check = ["check", "--framework", "framework.yaml", "--opt-in", "all", "tfplan.json"];
    std::fs::write(folder.join("tfplan.json"), plan(&json!({})).to_string())?;
    let (text, status) = story.run(&check, &folder)?;
    story.check("the check fails", status == Some(1), &format!("exit status {status:?}"));
    story.contains(
        "the finding names the resource and the tag",
        &text,
        &["aws_dynamodb_table.orders", "backup", "daily"],
    );
    story.narrate("The tag is added to the table.");
    std::fs::write(folder.join("tfplan.json"), plan(&json!({"backup": "daily"})).to_string())?;
    let (_, status) = story.run(&check, &folder)?;
    story.check("the check passes", status == Some(0), &format!("exit status {status:?}"));
    Ok(())
}

/// Returns a plan in the form of `terraform show -json`: a table with these tags, and a backup plan with a selection by tag.
fn plan(tags: &Value) -> Value {
    let change = |kind: &str, name: &str, after: &Value, expressions: &Value| {
        let address = format!("{kind}.{name}");
        let unknown = json!({"id": true, "arn": true, "plan_id": true, "condition": true, "not_resources": true});
        let change = json!({"actions": ["create"], "after": after, "after_unknown": unknown, "after_sensitive": {}});
        let change = json!({"address": address, "mode": "managed", "type": kind, "name": name, "change": change});
        let block = json!({
            "address": address, "mode": "managed", "type": kind, "name": name, "provider_config_key": "aws",
            "expressions": expressions,
        });
        (change, block)
    };
    let tag = json!({"type": "STRINGEQUALS", "key": "backup", "value": "daily"});
    let rule = json!({"rule_name": "daily", "target_vault_name": "main", "schedule": "cron(0 5 * * ? *)"});
    let reference = json!({"plan_id": {"references": ["aws_backup_plan.daily.id", "aws_backup_plan.daily"]}});
    let table = json!({"name": "orders", "tags": tags, "tags_all": tags});
    let (changes, blocks): (Vec<Value>, Vec<Value>) = [
        change("aws_dynamodb_table", "orders", &table, &json!({})),
        change("aws_backup_plan", "daily", &json!({"name": "daily", "rule": [rule]}), &json!({})),
        change("aws_backup_selection", "by_tag", &json!({"name": "by-tag", "selection_tag": [tag]}), &reference),
    ]
    .into_iter()
    .unzip();
    let region = json!({"region": {"constant_value": "eu-west-1"}});
    json!({
        "format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": changes,
        "configuration": {
            "provider_config": {"aws": {"name": "aws", "expressions": region}}, "root_module": {"resources": blocks},
        },
    })
}
