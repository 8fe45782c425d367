//! The channels that notices about violations are delivered to.

use std::collections::BTreeSet;

use tokio::time::Instant;

use app::deploy::ports::Notifier;
use app::ports::Result;
use app::violations::NotificationChannels;
use domain::notice::Notice;
use domain::violation::Channel;

use crate::events::EventBus;
use crate::security_hub::SecurityHub;
use crate::sns::Topic;

/// The enabled channels of this application.
#[derive(Debug, Clone)]
pub struct Channels {
    notifications: Topic,
    chat: Option<Topic>,
    security_hub: Option<SecurityHub>,
    event_bus: Option<EventBus>,
}

impl Channels {
    /// The notification topic, which is always enabled, and the optional channels.
    pub fn new(
        notifications: Topic,
        chat: Option<Topic>,
        security_hub: Option<SecurityHub>,
        event_bus: Option<EventBus>,
    ) -> Self {
        Self { notifications, chat, security_hub, event_bus }
    }

    /// Returns the channels for one invocation: no finding is imported after `deadline`.
    pub fn until(&self, deadline: Instant) -> Self {
        let security_hub = self.security_hub.as_ref().map(|hub| hub.until(deadline));
        Self { security_hub, ..self.clone() }
    }
}

impl NotificationChannels for Channels {
    fn enabled(&self) -> BTreeSet<Channel> {
        [
            Some(Channel::Topic),
            self.chat.as_ref().map(|_| Channel::Chat),
            self.security_hub.as_ref().map(|_| Channel::SecurityHub),
            self.event_bus.as_ref().map(|_| Channel::EventBus),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    async fn deliver(&self, channel: Channel, notices: &[Notice]) -> Vec<Result<()>> {
        match (channel, &self.chat, &self.security_hub, &self.event_bus) {
            (Channel::Topic, ..) => self.notifications.publish(notices).await,
            (Channel::Chat, Some(chat), ..) => chat.publish(notices).await,
            (Channel::SecurityHub, _, Some(hub), _) => hub.import(notices).await,
            (Channel::EventBus, .., Some(bus)) => bus.put(notices).await,
            // A delivery that was pending when its channel was disabled is complete.
            _ => vec![Ok(()); notices.len()],
        }
    }
}
