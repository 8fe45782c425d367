"""The work of `report` as a plain Python function, for the benchmark of the Rust function.

It is optimized: it creates its clients once at import, does not retry, and logs errors only.
"""

import json
import os
import re
from datetime import datetime, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

CONFIG = Config(retries={"total_max_attempts": 1})
DYNAMODB = boto3.client("dynamodb", config=CONFIG)
SNS = boto3.client("sns", config=CONFIG)
TABLE = os.environ["STATE_TABLE_NAME"]
TOPIC = os.environ["NOTIFICATION_TOPIC_ARN"]

# <resource type>-<control>-<uuid>; without the type for controls of recovery points and plans.
RULE_NAME = re.compile(r"^(?:[A-Z0-9]+-)?(?P<control>[A-Z_]+)-[0-9a-f-]{36}$")


def handler(event, _context):
    failures = []
    for record in event["Records"]:
        try:
            apply(json.loads(record["body"]))
        except Exception as error:  # an invalid message must not block the others
            print(json.dumps({"level": "ERROR", "messageId": record["messageId"], "error": repr(error)}))
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def apply(event):
    detail = event["detail"]
    if "/aws-service-rule/backup.amazonaws.com/" not in detail["configRuleARN"]:
        return
    result = detail["newEvaluationResult"]
    identifier = result["evaluationResultIdentifier"]
    qualifier = identifier["evaluationResultQualifier"]
    match = RULE_NAME.match(qualifier["configRuleName"])
    control = match["control"] if match else qualifier["configRuleName"]
    violation = {
        "account": detail["awsAccountId"],
        "region": detail["awsRegion"],
        "control": control,
        "resourceType": qualifier["resourceType"],
        "resourceId": qualifier["resourceId"],
        "since": identifier["orderingTimestamp"],
    }
    key = {
        "pk": {"S": f"violation#{violation['account']}#{violation['region']}"},
        "sk": {"S": f"{control}#{violation['resourceType']}#{violation['resourceId']}"},
    }
    opened = result["complianceType"] == "NON_COMPLIANT"

    known = DYNAMODB.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
    if known and known["ordered"]["S"] >= violation["since"]:
        return
    was_open = known is not None and known["open"]["BOOL"]
    controls = DYNAMODB.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "framework"}},
    )["Items"]
    required = next((c["required"]["S"] for c in controls if c["control"]["S"] == control), None)

    try:
        DYNAMODB.put_item(
            TableName=TABLE,
            Item=key
            | {
                "open": {"BOOL": opened},
                "ordered": {"S": violation["since"]},
                "document": {"S": json.dumps(violation)},
                "pending_kind": {"S": "violation"},
                "pending_since": {"S": datetime.now(timezone.utc).isoformat()},
            },
            ConditionExpression="attribute_not_exists(pk) OR ordered < :ordered",
            ExpressionAttributeValues={":ordered": {"S": violation["since"]}},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return
        raise

    if opened != was_open:
        publish("violation.opened" if opened else "violation.resolved", violation, required)
    DYNAMODB.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="REMOVE pending_kind, pending_since",
        ConditionExpression="ordered = :ordered",
        ExpressionAttributeValues={":ordered": {"S": violation["since"]}},
    )


def publish(kind, violation, required):
    text = (
        f"{violation['resourceType']} {violation['resourceId']} in account {violation['account']}, "
        f"{violation['region']}: {violation['control']} since {violation['since']}."
    )
    if required:
        text += f" The framework requires {required}."
    document = json.dumps({"version": 1, "kind": kind, **violation})
    SNS.publish(
        TopicArn=TOPIC,
        Subject=f"{kind}: {violation['resourceId']}"[:100],
        MessageStructure="json",
        Message=json.dumps(
            {"default": text, "email": text, "sqs": document, "lambda": document, "https": document}
        ),
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value}
            for name, value in {
                "kind": kind,
                "account": violation["account"],
                "region": violation["region"],
                "control": violation["control"],
            }.items()
        },
    )
