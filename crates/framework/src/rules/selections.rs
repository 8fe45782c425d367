//! Rules about backup selections: BC080 to BC089.

family! {
    NOTHING_SELECTED "BC080" Error "The selection has neither resources nor tags"
        "AWS Backup rejects a selection in which `Resources` and `ListOfTags` are both missing or empty. `Conditions` and \
         `NotResources` only narrow a selection. A page of AWS states that such a selection selects everything; AWS \
         Backup answers \"Either 'ListOfTags' or 'Resources' section must be non-empty\"."
    TAG_OPERATOR "BC081" Error "An entry of `ListOfTags` has an operator that AWS Backup rejects"
        "The only `ConditionType` is `STRINGEQUALS`, in capital letters. Other operators exist in `Conditions` only."
    PREFIXED_TAG "BC082" Warning "A key of `ListOfTags` has the prefix of `Conditions`"
        "The keys of `ListOfTags` are tag keys, such as `backup`. `aws:ResourceTag/` belongs to the keys of `Conditions`. \
         AWS accepts the selection, but does not document which resources it selects."
    BARE_CONDITION "BC083" Warning "A key of `Conditions` lacks its prefix"
        "The keys of `Conditions` are `aws:ResourceTag/` and a tag key. AWS accepts other keys, but does not document \
         their effect."
    UNION "BC084" Warning "A selection has wildcards and tags, and selects the union"
        "`Resources` and `ListOfTags` select independently of each other: a resource is selected if it matches a pattern \
         or has one of the tags. To select the resources of a type that have a tag, use `Resources` and `Conditions`."
    NOT_ARN "BC085" Error "An item of a selection is not an ARN"
        "`Resources` and `NotResources` have ARNs, and patterns with `*`. `Ref` of a table, bucket, file system or \
         database is a name or an id."
    NO_MATCH "BC086" Warning "A pattern of a selection matches no resource"
        "The resource type of the pattern does not occur in the ARNs of the service, or the ARN is that of an S3 object. \
         RDS instances are `db:`, and clusters `cluster:`."
    TOO_MANY_ARNS "BC087" Error "A selection has too many ARNs"
        "A list has at most 500 ARNs, and at most 30 with wildcards."
    CONTRADICTION "BC088" Error "Two conditions on one tag never hold together"
        "All conditions of a selection must hold, also several on one tag. A selection with `StringEquals` for two values \
         of one tag selects nothing. Use one selection for each value, or a pattern."
    OPERATOR "BC089" Error "The condition operator does not exist"
        "`Conditions` has `StringEquals`, `StringLike`, `StringNotEquals` and `StringNotLike`. They are case-sensitive."
}
