//! The mailbox of the local cloud: receives the notices of a topic in place of an e-mail address.
//!
//! MiniStack does not send e-mail. A subscription with the protocol `http` receives the same text, because the
//! notices have no separate text for it. The gateway confirms the subscription, as a user does by the link in the
//! first e-mail.

use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::client::CloudClient;
use crate::wait;

/// One received notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// The subject line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The message attribute `kind`.
    pub kind: String,
}

/// The received notices, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mails: Mutex<Vec<Mail>>,
    confirmed: Mutex<Vec<String>>,
}

impl Mailbox {
    /// Receives a message that SNS posts to the gateway.
    pub(crate) fn receive(&self, client: &CloudClient, message: &Value) -> Result<()> {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        match message["Type"].as_str() {
            Some("SubscriptionConfirmation") => {
                let (topic, token) = (text("TopicArn"), text("Token"));
                client.query("sns", "ConfirmSubscription", &[("TopicArn", &topic), ("Token", &token)])?;
                if let Ok(mut confirmed) = self.confirmed.lock() {
                    confirmed.push(topic);
                }
            }
            Some("Notification") => {
                let kind = message["MessageAttributes"]["kind"]["Value"].as_str().unwrap_or_default().to_owned();
                if let Ok(mut mails) = self.mails.lock() {
                    mails.push(Mail { subject: text("Subject"), text: text("Message"), kind });
                }
            }
            other => bail!("`{}` is not a type of message that SNS posts", other.unwrap_or_default()),
        }
        Ok(())
    }

    pub(crate) fn all(&self) -> Vec<Mail> {
        self.mails.lock().map(|mails| mails.clone()).unwrap_or_default()
    }

    /// Subscribes this mailbox to a topic and waits for the confirmation.
    pub(crate) fn subscribe(&self, client: &CloudClient, topic: &str, gateway: &str) -> Result<()> {
        let endpoint = format!("{gateway}/_sandbox/mail");
        client
            .query("sns", "Subscribe", &[("TopicArn", topic), ("Protocol", "http"), ("Endpoint", &endpoint)])
            .context("subscribe the mailbox")?;
        wait::until("a confirmed subscription of the mailbox", || {
            let confirmed = self.confirmed.lock().map(|confirmed| confirmed.clone()).unwrap_or_default();
            let is_confirmed = confirmed.iter().any(|confirmed| confirmed == topic);
            Ok(wait::when(is_confirmed, || format!("subscriptions to {confirmed:?}")))
        })
    }
}
