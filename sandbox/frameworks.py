"""Reads the Audit Manager frameworks of CloudFormation templates; resolves conditions and simple functions.

Standard input: a JSON list of {"template", "parameters", "account", "region"}. Standard output: a JSON list of
frameworks in the shape of DescribeFramework, without times and ARNs.
"""
import json
import re
import sys

import yaml


class Loader(yaml.SafeLoader):
    pass


def function(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix: value}


Loader.add_multi_constructor("!", function)
NOTHING = object()


class Stack:
    def __init__(self, template, given, account, region):
        self.template = template
        self.values = {"AWS::AccountId": account, "AWS::Region": region, "AWS::Partition": "aws", "AWS::NoValue": NOTHING}
        for name, parameter in (template.get("Parameters") or {}).items():
            value = given.get(name, parameter.get("Default", ""))
            is_list = parameter.get("Type", "").startswith("List<") or parameter.get("Type") == "CommaDelimitedList"
            self.values[name] = [part.strip() for part in str(value).split(",")] if is_list else str(value)

    def condition(self, value):
        if isinstance(value, str):
            return self.condition((self.template.get("Conditions") or {}).get(value))
        if not isinstance(value, dict) or len(value) != 1:
            return True
        name, argument = next(iter(value.items()))
        if name == "Condition":
            return self.condition(argument)
        if name == "Fn::Equals":
            return self.resolve(argument[0]) == self.resolve(argument[1])
        if name == "Fn::Not":
            return not self.condition(argument[0])
        if name in ("Fn::And", "Fn::Or"):
            return (all if name == "Fn::And" else any)([self.condition(part) for part in argument])
        return True

    def resolve(self, value):
        if isinstance(value, list):
            return [part for part in map(self.resolve, value) if part is not NOTHING]
        if not isinstance(value, dict):
            return value if isinstance(value, (str, bool)) or value is None else str(value)
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return self.values.get(argument, argument)
            if name == "Fn::If":
                return self.resolve(argument[1] if self.condition(argument[0]) else argument[2])
            if name == "Fn::Sub":
                text, more = (argument, {}) if isinstance(argument, str) else argument
                known = {**self.values, **{key: self.resolve(part) for key, part in more.items()}}
                return re.sub(r"\$\{([^!}]+)\}", lambda found: str(known.get(found[1], found[0])), text)
            if name == "Fn::Join":
                return argument[0].join(map(str, self.resolve(argument[1])))
        resolved = {key: self.resolve(part) for key, part in value.items()}
        return {key: part for key, part in resolved.items() if part is not NOTHING}

    def frameworks(self):
        for logical_id, resource in (self.template.get("Resources") or {}).items():
            if resource.get("Type") != "AWS::Backup::Framework":
                continue
            if "Condition" in resource and not self.condition(resource["Condition"]):
                continue
            properties = self.resolve(resource.get("Properties") or {})
            controls = properties.get("FrameworkControls") or []
            for control in controls:
                scope = control.get("ControlScope")
                if scope and isinstance(scope.get("Tags"), list):
                    # CloudFormation has a list of pairs, the API a map.
                    scope["Tags"] = {tag["Key"]: tag.get("Value", "") for tag in scope["Tags"]}
            yield {
                "FrameworkName": properties.get("FrameworkName") or logical_id + "_sandbox",
                "FrameworkDescription": properties.get("FrameworkDescription", ""),
                "FrameworkControls": controls,
            }


found = []
for stack in json.load(sys.stdin):
    template = yaml.load(stack["template"], Loader) or {}
    found.extend(Stack(template, stack["parameters"], stack["account"], stack["region"]).frameworks())
json.dump(found, sys.stdout, default=str)
