//! Rules about the parameters of controls: BC030 to BC039.

family! {
    UNKNOWN_PARAMETER "BC030" Error "The control does not have this parameter"
        "[controls.md](controls.md) lists the parameters of each control. Some controls have none."
    REPEATED_PARAMETER "BC031" Error "A parameter has two values"
        "A control uses only one value for each parameter."
    PARAMETER_SHAPE "BC032" Error "A parameter has no name or no value"
        "CloudFormation requires both `ParameterName` and `ParameterValue`. Omit the parameter to use its default."
    VALUE_TYPE "BC033" Error "The value of a parameter has the wrong type"
        "Numbers are integers in digits, units are `hours` or `days`, and lists are separated by commas without \
         spaces. Omit the parameter instead of giving an empty value. The known parts of `Fn::Sub` and of values with \
         a dynamic reference are checked too. The `Ref` of a role is its name; `Fn::GetAtt` has its ARN."
    VALUE_RANGE "BC034" Error "The value of a parameter is out of range"
        "[controls.md](controls.md) has the limits. Those of ages and frequencies depend on the unit: a frequency \
         above 24 hours must be given in days."
    MISSING_PARAMETER "BC035" Warning "A required parameter is missing"
        "The AWS Config rule behind the control requires the parameter. AWS's own sample omits it, so this is a \
         warning."
    LEAST_ABOVE_MOST "BC036" Error "The minimum exceeds the maximum"
        "A vault cannot keep backups for at least 90 and at most 30 days, so every resource would be non-compliant."
    HALF_A_PERIOD "BC037" Warning "A number without its unit, or a unit without its number"
        "The omitted parameter has its default, 1 or `days`: `24` alone means 24 days, and `hours` alone means \
         every hour."
    SHORT_AIR_GAP "BC038" Note "The maximum age in an air-gapped vault is below AWS's recommendation"
        "AWS recommends at least 7 days (168 hours) for the age of the newest recovery point in a logically air- \
         gapped vault. With the default of 1 day, a plan that copies weekly is non-compliant on six days of seven."
    BLANK_IN_LIST "BC132" Warning "A list of ARNs has white space"
        "AWS documents lists that are separated by commas. A sample of AWS has a space after the comma; whether the \
         control then ignores the ARN is not documented. Lists without spaces are safe."
    NOT_A_PRINCIPAL "BC133" Warning "An ARN is not that of a principal"
        "`principalArnList` names the principals that may delete recovery points: roles of IAM. An ARN of another \
         service or of a policy allows no principal."
    REPEATED_ITEM "BC039" Warning "A list has a duplicate item"
        "Duplicate Regions, accounts and roles have no effect, but a list has at most five accounts or roles. Often \
         a different item was intended."
}
