//! Outputs of CloudFormation stacks: where the command line finds queues and the state table.

use crate::error::wrap;
use app::inspect::Stacks;
use app::ports::Result;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::collections::BTreeMap;

/// The stacks of this account and Region.
#[derive(Debug, Clone)]
pub struct CloudFormationStacks {
    client: aws_sdk_cloudformation::Client,
}

impl CloudFormationStacks {
    /// Asks through this client.
    #[must_use]
    pub fn new(client: aws_sdk_cloudformation::Client) -> Self {
        Self { client }
    }
}

impl Stacks for CloudFormationStacks {
    async fn outputs(&self, stack: &str) -> Result<Option<BTreeMap<String, String>>> {
        let answer = match self.client.describe_stacks().stack_name(stack).send().await {
            Ok(answer) => answer,
            // The code is that of every input that is refused.
            Err(error) if error.message().is_some_and(|message| message.contains("does not exist")) => return Ok(None),
            Err(error) => return Err(wrap("cloudformation:DescribeStacks", &error)),
        };
        let stack = answer.stacks.unwrap_or_default().into_iter().next();
        Ok(stack.map(|stack| {
            let outputs = stack.outputs.unwrap_or_default().into_iter();
            outputs.filter_map(|output| Some((output.output_key?, output.output_value?))).collect()
        }))
    }
}
