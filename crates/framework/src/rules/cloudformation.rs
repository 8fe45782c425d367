//! Rules about what CloudFormation rejects or reads differently in any template: BC110 to BC121.

family! {
    NULL "BC110" Error "The template has a null value"
        "CloudFormation rejects every null: \"'null' values are not allowed in templates\". A key without a value, a \
         `-` without an item, `~` and `null` are nulls."
    UNKNOWN_PART "BC111" Error "A section, attribute or parameter property does not exist"
        "CloudFormation rejects unknown sections of a template, unknown attributes of a resource beside `Type` and \
         `Properties`, and unknown properties of a parameter."
    LOGICAL_ID "BC112" Error "A logical id is not alphanumeric"
        "The names of resources, parameters, mappings and outputs have letters and digits only, at most 255."
    SKELETON "BC113" Error "A value of the template's skeleton is invalid"
        "The format version is 2010-09-09. CloudFormation rejects unknown types of parameters, unknown deletion \
         policies, sections that are not mappings, and outputs without `Value`."
    UNKNOWN_FUNCTION "BC114" Error "The function does not exist"
        "CloudFormation rejects unknown tags and functions. The rule reports only those that resemble a function, \
         because AWS may add others."
    ARGUMENTS "BC115" Error "A function has invalid arguments"
        "CloudFormation rejects a function with too few or too many values, and values of the wrong kind. An index of \
         `Fn::Select` must be in the list."
    TRANSFORM "BC116" Error "A function needs the transform AWS::LanguageExtensions"
        "`Fn::Length`, `Fn::ToJsonString`, `Fn::ForEach` and the `DefaultValue` of `Fn::FindInMap` exist only in \
         templates with the transform `AWS::LanguageExtensions`."
    ATTRIBUTE "BC117" Error "The resource type does not have the attribute"
        "`Fn::GetAtt` and `${Resource.Attribute}` read attributes that the resource type returns. The rule knows the \
         attributes of the types of AWS Backup."
    CIRCLE "BC118" Error "Resources or conditions depend on each other"
        "CloudFormation rejects a circular dependency, and a resource that refers to itself. The rule does not count \
         references within `Fn::If`."
    NO_VALUE "BC119" Error "AWS::NoValue is written as text"
        "The pseudo parameter removes a property or an item only as `!Ref AWS::NoValue`. The text alone is a value."
    LOOKUP "BC120" Error "A look-up in Mappings finds nothing"
        "CloudFormation rejects `Fn::FindInMap` if the mapping or one of the two keys does not exist. Keys that \
         depend on the Region, the account or a parameter are looked up for each target of the policy. A look-up \
         with a `DefaultValue` may fail."
    UNQUOTED "BC121" Warning "CloudFormation reads a value without quotes as another value"
        "CloudFormation reads YAML 1.1: without quotes `0400` is the octal number 256, `yes` is `true` and `1:30` is \
         90. The other rules check the value as CloudFormation reads it. Only values that are used as strings are \
         reported."
}
