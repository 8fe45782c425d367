//! The XML of StackSets, instances and operations in the Query protocol.

use super::book::{InstanceResult, OperationStage, StackInstance, StackSetOperation, StackSetRecord};
use crate::ids::AccountRegion;
use crate::wire::{Form, xml_escape};

/// Returns an element with text; empty if the text is empty.
fn element(name: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<{name}>{}</{name}>", xml_escape(text)) }
}

fn list<T: AsRef<str>>(name: &str, texts: impl IntoIterator<Item = T>) -> String {
    let members: String =
        texts.into_iter().map(|text| format!("<member>{}</member>", xml_escape(text.as_ref()))).collect();
    format!("<{name}>{members}</{name}>")
}

fn pairs<'a>(name: &str, key: &str, value: &str, pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let member = |(k, v): (&String, &String)| {
        format!("<member><{key}>{}</{key}><{value}>{}</{value}></member>", xml_escape(k), xml_escape(v))
    };
    format!("<{name}>{}</{name}>", pairs.into_iter().map(member).collect::<String>())
}

impl StackSetRecord {
    fn head(&self, status: &str) -> String {
        let definition = &self.definition;
        let model = if definition.service_managed { "SERVICE_MANAGED" } else { "SELF_MANAGED" };
        let auto = definition.auto_deployment.map_or(String::new(), |(enabled, retain)| {
            let retain =
                if enabled { element("RetainStacksOnAccountRemoval", &retain.to_string()) } else { String::new() };
            format!("<AutoDeployment><Enabled>{enabled}</Enabled>{retain}</AutoDeployment>")
        });
        format!(
            "{}{}{}<Status>{status}</Status><PermissionModel>{model}</PermissionModel>{auto}\
             <ManagedExecution><Active>{}</Active></ManagedExecution>",
            element("StackSetName", self.name()),
            element("StackSetId", &self.id),
            element("Description", &definition.description),
            self.managed_execution
        )
    }

    /// Returns a row of `ListStackSets`.
    pub(super) fn summary_xml(&self) -> String {
        self.head("ACTIVE")
    }

    /// Returns the result of `DescribeStackSet`.
    pub(super) fn described_xml(&self, arn: &str, status: &str) -> String {
        let definition = &self.definition;
        let mut units: Vec<&String> = self.auto_targets.keys().collect();
        units.extend(self.members.values().filter_map(|member| member.unit.as_ref()));
        units.sort();
        units.dedup();
        let mut regions: Vec<&String> = self.members.keys().map(|(_, region)| region).collect();
        regions.sort();
        regions.dedup();
        let units = if definition.service_managed { list("OrganizationalUnitIds", units) } else { String::new() };
        let roles = if definition.service_managed {
            String::new()
        } else {
            let execution = definition.execution_role.as_deref().unwrap_or("AWSCloudFormationStackSetExecutionRole");
            element("AdministrationRoleARN", definition.administration_role.as_deref().unwrap_or_default())
                + &element("ExecutionRoleName", execution)
        };
        format!(
            "<StackSet>{}{}{}{}{}{}{roles}{units}{}</StackSet>",
            self.head(status),
            element("StackSetARN", arn),
            element("TemplateBody", &definition.template),
            pairs("Parameters", "ParameterKey", "ParameterValue", &definition.parameters),
            list("Capabilities", &definition.capabilities),
            pairs("Tags", "Key", "Value", &definition.tags),
            list("Regions", regions)
        )
    }

    /// Returns the rows of `ListStackInstances` that match the filters of a request.
    pub(super) fn members_xml(&self, form: &Form) -> Vec<String> {
        let matches = |name: &str, value: &str| form.get(name).is_none_or(|filter| filter == value);
        let filters: Vec<(&str, &str)> = (1..)
            .map_while(|n| {
                let of = |field: &str| form.get(&format!("Filters.member.{n}.{field}"));
                Some((of("Name")?, of("Values")?))
            })
            .collect();
        let members = self.members.iter().filter(|((account, region), member)| {
            matches("StackInstanceAccount", account)
                && matches("StackInstanceRegion", region)
                && filters.iter().all(|(name, value)| match *name {
                    "DETAILED_STATUS" => member.detailed == *value,
                    "LAST_OPERATION_ID" => member.last_operation == *value,
                    _ => true,
                })
        });
        members.map(|(location, member)| member.xml(&self.id, location, false)).collect()
    }

    /// Returns the rows of `ListStackSetAutoDeploymentTargets`.
    pub(super) fn auto_targets_xml(&self) -> Vec<String> {
        let targets = self.auto_targets.iter().filter(|(_, regions)| !regions.is_empty());
        targets.map(|(unit, regions)| element("OrganizationalUnitId", unit) + &list("Regions", regions)).collect()
    }
}

impl StackInstance {
    pub(super) fn xml(&self, set: &str, (account, region): &AccountRegion, with_overrides: bool) -> String {
        let overrides = if with_overrides {
            pairs("ParameterOverrides", "ParameterKey", "ParameterValue", &self.overrides)
        } else {
            String::new()
        };
        format!(
            "<StackSetId>{}</StackSetId><Region>{region}</Region><Account>{account}</Account>{}\
             <Status>{}</Status><StackInstanceStatus><DetailedStatus>{}</DetailedStatus></StackInstanceStatus>\
             <DriftStatus>NOT_CHECKED</DriftStatus>{}{}{}{overrides}",
            xml_escape(set),
            element("StackId", &self.stack_id),
            self.status,
            self.detailed,
            element("OrganizationalUnitId", self.unit.as_deref().unwrap_or_default()),
            element("LastOperationId", &self.last_operation),
            element("StatusReason", &self.reason),
        )
    }
}

impl StackSetOperation {
    pub(super) fn xml(&self, set: &str) -> String {
        format!(
            "<OperationId>{}</OperationId><StackSetId>{}</StackSetId><Action>{}</Action><Status>{}</Status>\
             <CreationTimestamp>{}</CreationTimestamp>{}<RetainStacks>{}</RetainStacks>\
             <StatusDetails><FailedStackInstancesCount>{}</FailedStackInstancesCount></StatusDetails>",
            xml_escape(&self.id),
            xml_escape(set),
            self.action,
            self.status(),
            self.created,
            element("EndTimestamp", self.ended.as_deref().unwrap_or_default()),
            self.retain,
            self.failed()
        )
    }

    pub(super) fn results_xml(&self) -> Vec<String> {
        let row = |outcome: &super::book::InstanceOutcome| {
            let (status, reason) = match (self.stage, &outcome.result) {
                (OperationStage::Queued, _) => ("PENDING", ""),
                (OperationStage::Running(_), _) => ("RUNNING", ""),
                (OperationStage::Ended, InstanceResult::Succeeded) => ("SUCCEEDED", ""),
                (OperationStage::Ended, InstanceResult::Failed(reason)) => ("FAILED", reason.as_str()),
                (OperationStage::Ended, InstanceResult::Skipped) => ("SUCCEEDED", "The account is suspended"),
                (OperationStage::Ended, InstanceResult::Cancelled) => ("CANCELLED", self.cancellation_reason()),
            };
            let (account, region) = &outcome.location;
            let unit = element("OrganizationalUnitId", outcome.unit.as_deref().unwrap_or_default());
            let reason = element("StatusReason", reason);
            format!("<Account>{account}</Account><Region>{region}</Region><Status>{status}</Status>{reason}{unit}")
        };
        self.outcomes.iter().map(row).collect()
    }
}
