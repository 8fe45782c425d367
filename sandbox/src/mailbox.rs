//! A mailbox: what a person with an e-mail subscription reads.
//!
//! MiniStack does not send e-mail. A plain `http` subscription gets the same text, since the notices have no text of their own
//! for that protocol; the gateway confirms it, as a person would by the link in the first e-mail, and keeps what comes.

use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::client::Client;
use crate::wait;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// The subject line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The attribute `kind`.
    pub kind: String,
}

/// What has come, in order.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mails: Mutex<Vec<Mail>>,
    confirmed: Mutex<Vec<String>>,
}

impl Mailbox {
    /// Takes what SNS posts.
    pub(crate) fn take(&self, client: &Client, message: &Value) -> Result<()> {
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
            other => bail!("SNS posts no `{}`", other.unwrap_or_default()),
        }
        Ok(())
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> Vec<Mail> {
        self.mails.lock().map(|mails| mails.clone()).unwrap_or_default()
    }

    /// Subscribes this mailbox to a topic and waits until the subscription holds.
    pub(crate) fn subscribe(&self, client: &Client, topic: &str, gateway: &str) -> Result<()> {
        let endpoint = format!("{gateway}/_sandbox/mail");
        client
            .query("sns", "Subscribe", &[("TopicArn", topic), ("Protocol", "http"), ("Endpoint", &endpoint)])
            .context("subscribe the mailbox")?;
        wait::until("a confirmed subscription of the mailbox", || {
            let confirmed = self.confirmed.lock().map(|confirmed| confirmed.clone()).unwrap_or_default();
            let is_there = confirmed.iter().any(|confirmed| confirmed == topic);
            Ok(wait::when(is_there, || format!("subscriptions to {confirmed:?}")))
        })
    }
}
