"""The logic of the public sample for reporting compliance changes, reduced to its calls.

For each event, it looks up the resource and imports one finding into Security Hub with the id of the event. It stores no
record: it does not detect duplicates, and does not resolve findings.
"""

import os
from datetime import datetime, timezone

import boto3
from botocore.exceptions import ClientError

CONFIG = boto3.client("config")
SECURITY_HUB = boto3.client("securityhub")
AGGREGATOR = os.environ["CONFIG_AGGREGATOR_NAME"]
ACCOUNT = os.environ["ACCOUNT_ID"]
REGION = os.environ["AWS_REGION"]
FAILED = {"COMPLIANT": "PASSED", "NON_COMPLIANT": "FAILED"}


def handler(event, _context):
    detail = event["detail"]
    result = detail["newEvaluationResult"]
    name = look_up(detail)
    now = datetime.now(timezone.utc).isoformat()
    finding = {
        "SchemaVersion": "2018-10-08",
        "Id": event["id"],
        "ProductArn": f"arn:aws:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default",
        "GeneratorId": "python-sample",
        "AwsAccountId": ACCOUNT,
        "Types": ["Software and Configuration Checks"],
        "CreatedAt": now,
        "UpdatedAt": now,
        "Severity": {"Label": "HIGH"},
        "Title": detail["configRuleName"][:256],
        "Description": f"{name} is {result['complianceType']} in account {detail['awsAccountId']}"[:1024],
        "Resources": [{"Type": "Other", "Id": detail["resourceId"]}],
        "Compliance": {"Status": FAILED.get(result["complianceType"], "NOT_AVAILABLE")},
    }
    SECURITY_HUB.batch_import_findings(Findings=[finding])


def look_up(detail):
    identifier = {
        "SourceAccountId": detail["awsAccountId"],
        "SourceRegion": detail["awsRegion"],
        "ResourceId": detail["resourceId"],
        "ResourceType": detail["resourceType"],
    }
    try:
        item = CONFIG.get_aggregate_resource_config(
            ConfigurationAggregatorName=AGGREGATOR, ResourceIdentifier=identifier
        )["ConfigurationItem"]
    except ClientError:
        return detail["resourceId"]
    return item.get("resourceName") or detail["resourceId"]
