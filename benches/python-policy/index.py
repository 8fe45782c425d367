"""Evaluates whether each resource of an inventory is in a backup plan: a plain Python evaluator for the benchmark.

It returns only counts, for complete inventories. It is optimized: patterns are compiled once, selections are grouped by
account and Region, and the first selection that matches a resource ends the search.
"""

import json
import re
import resource as process
import sys
import time

# The opt-in name of each type, the service and the prefix of the last part of its ARNs, and whether services share them.
TYPES = {
    "AWS::RDS::DBCluster": ("Aurora", "rds", "cluster:", True),
    "AWS::RDS::DBInstance": ("RDS", "rds", "db:", False),
    "AWS::EC2::Volume": ("EBS", "ec2", "volume/", False),
    "AWS::EC2::Instance": ("EC2", "ec2", "instance/", False),
    "AWS::EFS::FileSystem": ("EFS", "elasticfilesystem", "file-system/", False),
    "AWS::FSx::FileSystem": ("FSx", "fsx", "file-system/", True),
    "AWS::DynamoDB::Table": ("DynamoDB", "dynamodb", "table/", False),
    "AWS::S3::Bucket": ("S3", "s3", "", False),
    "AWS::StorageGateway::Volume": ("Storage Gateway", "storagegateway", "gateway/", False),
    "AWS::BackupGateway::VirtualMachine": ("VirtualMachine", "backup-gateway", "vm/", False),
}


def pattern(text):
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL).fullmatch


def names_type(text, service, kind):
    parts = text.split(":", 5)
    return len(parts) == 6 and parts[2] == service and parts[5].startswith(kind)


class Selection:
    def __init__(self, written):
        self.resources = [(text, pattern(text)) for text in written.get("resources", [])]
        self.not_resources = [pattern(text) for text in written.get("notResources", [])]
        self.tags = [(tag["key"], tag["value"]) for tag in written.get("listOfTags", [])]
        conditions = written.get("conditions", {})

        def pairs(operator):
            return [(one["key"].removeprefix("aws:ResourceTag/"), one["value"]) for one in conditions.get(operator, [])]

        self.equals = pairs("stringEquals")
        self.not_equals = pairs("stringNotEquals")
        self.like = [(key, pattern(value)) for key, value in pairs("stringLike")]
        self.not_like = [(key, pattern(value)) for key, value in pairs("stringNotLike")]

    def matches(self, resource, opted_in):
        tags = resource.get("tags", {})
        for key, value in self.equals:
            if tags.get(key) != value:
                return False
        for key, value in self.not_equals:
            if tags.get(key) == value:
                return False
        for key, like in self.like:
            if key not in tags or not like(tags[key]):
                return False
        for key, like in self.not_like:
            if key in tags and like(tags[key]):
                return False
        return self.is_selected(resource, tags, opted_in) and not any(match(resource["arn"]) for match in self.not_resources)

    def is_selected(self, resource, tags, opted_in):
        if not self.resources and not self.tags:
            return opted_in
        _, service, kind, shared = TYPES[resource["type"]]
        for text, match in self.resources:
            if match(resource["arn"]) and (opted_in or (not shared and names_type(text, service, kind))):
                return True
        return opted_in and any(tags.get(key) == value for key, value in self.tags)


def main(path):
    began = time.process_time()
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    read = time.process_time()
    switches = {(place["account"], place["region"]): place["optIn"] for place in document["places"]}
    selections = {}
    for plan in document["plans"]:
        own = selections.setdefault((plan["account"], plan["region"]), [])
        own.extend(Selection(written) for written in plan["selections"])
    compliant = not_compliant = 0
    for resource in document["resources"]:
        if resource["type"] not in TYPES:
            continue
        location = (resource["account"], resource["region"])
        opted_in = switches[location][TYPES[resource["type"]][0]]
        if any(selection.matches(resource, opted_in) for selection in selections.get(location, [])):
            compliant += 1
        else:
            not_compliant += 1
    evaluated = time.process_time()
    print(
        json.dumps(
            {
                "readSeconds": read - began,
                "seconds": evaluated - read,
                "compliant": compliant,
                "notCompliant": not_compliant,
                "peakMib": process.getrusage(process.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


main(sys.argv[1])
