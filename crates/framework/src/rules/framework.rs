//! Rules about the properties of a framework: BC010 to BC019.

family! {
    SHAPE "BC010" Error "A value has the wrong YAML type"
        "`FrameworkControls`, `ControlInputParameters` and the entries of `ControlScope` are lists. Names and \
         values are strings. `Properties` and `ControlScope` are mappings. Tags are a list in CloudFormation, \
         although they are a mapping in the API of AWS Backup."
    FRAMEWORK_NAME "BC011" Error "The framework name has characters that AWS Backup rejects"
        "A name is a letter followed by letters, digits and underscores, at most 256 characters. AWS Backup rejects \
         hyphens and dots only when it creates the framework. A partly known name is checked too: every Region code \
         has a hyphen, so `${AWS::Region}` in a name is always wrong."
    NO_CONTROLS "BC012" Error "The framework has no controls"
        "A framework needs at least one control. The rule also applies if `Fn::If` excludes every control in the \
         list."
    UNKNOWN_PROPERTY "BC013" Error "The property does not exist"
        "CloudFormation rejects a resource with a property that its type does not define. The same applies to \
         nested properties."
    ALLOWED_NAME "BC015" Warning "An allowed value of a parameter makes the framework name invalid"
        "The name contains a parameter, and one of its `AllowedValues` has characters that AWS Backup rejects in a \
         name. The template fails wherever that value is used. With a policy, the values of its targets are checked \
         instead."
    MAYBE_NO_CONTROLS "BC016" Warning "The list of controls can be empty"
        "Every control depends on a condition that the template does not decide, and all conditions can be false at \
         once. AWS Backup rejects a framework without controls. Keep one control without a condition, or give the \
         framework a `Condition` that excludes it then."
    DESCRIPTION "BC014" Error "The framework description is blank or too long"
        "A description has 1 to 1,024 characters and is not blank. Omit the property if there is no description."
}
