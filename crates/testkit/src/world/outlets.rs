//! The notification topic, the responder, the queue, and the clock.

use jiff::Timestamp;

use app::deploy::ports::Notifier;
use app::lifecycle::RequestAnswer;
use app::lifecycle::ports::{DeployQueue, Responder};
use app::ports::{Clock, Result};
use domain::notice::Notice;

use super::World;

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
    async fn answer(&self, answer: &RequestAnswer) -> Result<()> {
        self.remote("cloudformation:PutAnswer", |state| {
            state.answers.push(answer.clone());
            Ok(())
        })
        .await
    }
}

impl DeployQueue for World {
    async fn request_reconciliation(&self, request_id: &str) -> Result<()> {
        self.remote("sqs:SendMessage", |state| {
            state.looks.push(request_id.to_owned());
            Ok(())
        })
        .await
    }
}
