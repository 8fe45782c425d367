//! Rules about a template as a whole: BC001 to BC009.

family! {
    UNREADABLE "BC001" Error "The file is not a valid template"
        "The file is neither valid YAML nor valid JSON, exceeds the size limit of CloudFormation, or is nested too \
         deeply. The rule also rejects a file without `Resources`, and a resource or parameter without `Type`."
    ALIASES "BC002" Error "The template has YAML aliases or merge keys"
        "CloudFormation rejects templates with aliases (`*name`) and does not support merge keys (`<<`). Anchors \
         without aliases are accepted. The other rules still check the expanded content."
    NO_FRAMEWORK "BC003" Error "The template has no framework"
        "A template that a policy deploys must have a resource of the type `AWS::Backup::Framework`. A misspelled \
         type is the usual cause. The rule is silent if macros, `Fn::ForEach` or `Fn::Transform` generate \
         resources, because one of those may be a framework."
    PARAMETERS "BC004" Error "The values do not match the template's parameters"
        "CloudFormation rejects a value for an undeclared parameter and a missing value for a parameter without a \
         default. It also rejects values that `AllowedValues`, `AllowedPattern`, `MinValue`, `MaxLength` and \
         similar constraints exclude. Missing values are not reported for a template that is checked without a \
         policy."
    EXPANSION "BC005" Note "CloudFormation generates a part that cannot be checked"
        "CloudFormation replaces `Fn::ForEach`, `Fn::Transform` and macros before it processes the template. Their \
         result is unknown here, so no rule checks it."
    UNSEEN "BC006" Note "A part is known only at deployment and cannot be checked"
        "A control or list of controls from another source (`Fn::ImportValue`, `Fn::GetAtt`, a macro) is unknown \
         here, so no rule checks it. `check` and `evaluate` print a warning and do not evaluate such a control."
    UNDECLARED "BC007" Error "A reference names something that the template does not declare"
        "CloudFormation rejects a `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::If`, `Condition` or `DependsOn` whose name the \
         template does not declare, and references to resources in `Conditions` and `Rules`. Templates with macros or modules are not checked, because those can add declarations."
}
