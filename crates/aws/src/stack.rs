//! Outputs and parameters of CloudFormation stacks, in which the command line finds queues and the state table.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::Stack;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use app::inspect::Stacks;
use app::ports::Result;

use crate::error::wrap;

/// The stacks of this account and Region.
#[derive(Debug, Clone)]
pub struct CloudFormationStacks {
    client: aws_sdk_cloudformation::Client,
}

impl CloudFormationStacks {
    /// Creates the adapter.
    #[must_use]
    pub fn new(client: aws_sdk_cloudformation::Client) -> Self {
        Self { client }
    }

    async fn stack(&self, name: &str) -> Result<Option<Stack>> {
        match self.client.describe_stacks().stack_name(name).send().await {
            Ok(answer) => Ok(answer.stacks.unwrap_or_default().into_iter().next()),
            // The error code is `ValidationError`, as for all invalid input.
            Err(error) if error.message().is_some_and(|message| message.contains("does not exist")) => Ok(None),
            Err(error) => Err(wrap("cloudformation:DescribeStacks", &error)),
        }
    }
}

impl Stacks for CloudFormationStacks {
    async fn outputs(&self, stack: &str) -> Result<Option<BTreeMap<String, String>>> {
        Ok(self.stack(stack).await?.map(|stack| {
            let outputs = stack.outputs.unwrap_or_default().into_iter();
            outputs.filter_map(|output| Some((output.output_key?, output.output_value?))).collect()
        }))
    }

    async fn parameters(&self, stack: &str) -> Result<Option<BTreeMap<String, String>>> {
        Ok(self.stack(stack).await?.map(|stack| {
            let parameters = stack.parameters.unwrap_or_default().into_iter();
            parameters.filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value?))).collect()
        }))
    }
}
