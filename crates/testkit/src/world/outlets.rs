//! Where the use cases speak: the topic, CloudFormation, the queue. And the time.

use super::World;
use app::lifecycle::{Answer, ResponseUrl};
use app::ports::{Clock, DeployQueue, Notifier, Responder, Result};
use domain::notice::Notice;
use jiff::Timestamp;

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.state().now
    }
}

impl Notifier for World {
    async fn publish(&self, notices: &[Notice]) -> Vec<Result<()>> {
        let mut outcomes = Vec::new();
        for notice in notices {
            let told = self
                .remote("sns:Publish", |state| {
                    state.notices.push(notice.clone());
                    Ok(())
                })
                .await;
            outcomes.push(told);
        }
        outcomes
    }
}

impl Responder for World {
    async fn answer(&self, _url: &ResponseUrl, answer: &Answer) -> Result<()> {
        self.remote("cloudformation:PutAnswer", |state| {
            state.answers.push(answer.clone());
            Ok(())
        })
        .await
    }
}

impl DeployQueue for World {
    async fn look(&self, request_id: &str) -> Result<()> {
        self.remote("sqs:SendMessage", |state| {
            state.looks.push(request_id.to_owned());
            Ok(())
        })
        .await
    }
}
