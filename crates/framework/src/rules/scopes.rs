//! Rules about the scopes of controls: BC040 to BC049.

family! {
    SCOPE_NOT_ALLOWED "BC040" Error "The control does not support this scope"
        "Controls for plans and vaults support a tag or one resource, controls for recovery points only a tag. The \
         control for air-gapped vaults does not support tags."
    SEVERAL_TAGS "BC041" Error "A scope has more than one tag"
        "AWS Backup accepts one key with at most one value. Use the control once for each tag."
    SEVERAL_RESOURCES "BC042" Error "A scope has more than one resource"
        "`ComplianceResourceIds` is a list but accepts only one id."
    EMPTY_SCOPE "BC043" Warning "A list in a scope is empty"
        "An empty list does not limit the scope: the control evaluates every resource it supports. The rule also \
         applies if `Fn::If` excludes every item."
    UNKNOWN_TYPE "BC044" Error "The resource type does not exist in Audit Manager"
        "`ComplianceResourceTypes` has names of services as AWS Backup writes them (`Aurora`, `EBS`, `Storage \
         Gateway`). CloudFormation types and services that Audit Manager does not evaluate are rejected."
    TYPE_SPELLING "BC045" Warning "A resource type differs from AWS's documented spelling"
        "AWS does not document whether AWS Backup ignores case here. The spelling of the AWS console is safe."
    RESOURCE_WITHOUT_TYPE "BC046" Warning "A resource id has no resource type"
        "AWS's samples give the type with the id, because resources of different types can have equal ids."
    MIXED_SCOPE "BC047" Warning "A scope combines types, tags or ids"
        "A scope is a list of resource types, one tag, or one resource. AWS does not document a combination."
    TAG_SHAPE "BC048" Error "A tag of a scope has no key"
        "A tag is a mapping with a `Key` and, unless any value matches, a `Value`."
    TYPE_WITHOUT_RULE "BC130" Warning "The control has no rule for the resource type"
        "Audit Manager evaluates a control by AWS Config managed rules, one for each resource type. AWS Config has no \
         rule of `RESTORE_TIME_FOR_RESOURCES_MEET_TARGET` for Storage Gateway and virtual machines, and none of \
         `RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT` for DynamoDB, FSx and RDS. Resources of these types are not \
         judged. AWS does not document whether Audit Manager rejects or ignores such a scope."
    TYPES_OF_ID "BC131" Warning "A resource id has several resource types"
        "A scope of one resource has one id in `ComplianceResourceIds` and its type in `ComplianceResourceTypes`. AWS \
         does not document what several types beside an id mean."
    REPEATED_TYPE "BC049" Warning "A resource type is listed twice"
        "Often a different type was intended."
}
