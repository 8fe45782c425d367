//! Outputs and parameters of CloudFormation stacks, in which the command line finds queues and the state table.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::Stack;

use app::inspect::Stacks;
use app::ports::Result;

use crate::clients::Clients;
use crate::error::{optional, wrap};

/// The stacks of this account and Region.
#[derive(Debug, Clone)]
pub struct CloudFormationStacks {
    client: aws_sdk_cloudformation::Client,
}

impl CloudFormationStacks {
    /// Creates the adapter.
    pub fn new(clients: &Clients) -> Self {
        Self { client: aws_sdk_cloudformation::Client::new(&clients.config) }
    }

    async fn stack(&self, name: &str) -> Result<Option<Stack>> {
        let answer = self.client.describe_stacks().stack_name(name).send().await;
        let answer = answer.map_err(wrap("cloudformation:DescribeStacks"));
        // The error code is `ValidationError`, as for all invalid input.
        let answer = optional(answer, |error| error.code.is_some() && error.message.contains("does not exist"))?;
        Ok(answer.and_then(|answer| answer.stacks?.into_iter().next()))
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
