//! Rules about the controls of a framework: BC020 to BC029.

family! {
    CONTROL_SHAPE "BC020" Error "An entry of `FrameworkControls` is not a control"
        "Every entry is a mapping with a `ControlName`."
    UNKNOWN_CONTROL "BC021" Error "The control does not exist"
        "AWS Backup Audit Manager has the eleven controls of [controls.md](controls.md). CloudFormation accepts any \
         name and fails in every account when it creates the framework."
    REPEATED_CONTROL "BC022" Error "A control is used twice for the same resources"
        "A framework may use a control several times if each use selects different resources. The order of listed \
         types does not matter."
    COVERED_CONTROL "BC023" Warning "A control is used for all resources and again for some"
        "A control without `ControlScope` evaluates every resource it supports. A second use with the same \
         parameters for some of them opens a second violation for each and counts towards the quota."
    TOO_MANY "BC024" Warning "More controls or frameworks than the quota"
        "An account may have 50 controls over all frameworks of a Region, and 15 frameworks. AWS raises both quotas \
         on request, so this is a warning; without an increase the rollout fails. Frameworks with an undecided \
         condition are not counted. Frameworks of a policy are counted together where they share an account and \
         Region."
    EQUAL_FRAMEWORKS "BC025" Error "Two frameworks have equal controls"
        "AWS Backup rejects a framework whose controls, parameters and scopes equal those of another in the same \
         account and Region. The rule reports only frameworks that certainly coexist, in one template or in two \
         frameworks of a policy."
    SELF_COLLISION "BC026" Error "A replacement collides with the framework it replaces"
        "When `FrameworkName` or the logical id changes, CloudFormation creates the new framework before it deletes \
         the old one. AWS Backup rejects two frameworks with equal controls. Change a control or parameter together \
         with the name, keep the name, or deploy in two rollouts. Only `lint --base` finds this, because it \
         compares two versions of the template."
    OVERLAPPING_SCOPES "BC028" Warning "Two uses of a control evaluate the same resources"
        "Two scopes with equal parameters have a resource type in common, so a resource of that type has two \
         violations. Give each type to one use, or use different parameters."
    EQUAL_NAMES "BC027" Error "Two frameworks have the same name"
        "Framework names are unique in an account and Region: AWS Backup rejects a second framework of the same \
         name. Frameworks with mutually exclusive conditions may share a name."
}
