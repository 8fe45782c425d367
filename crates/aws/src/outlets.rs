//! Everybody who is told of violations.

use crate::events::EventBus;
use crate::security_hub::SecurityHub;
use crate::sns::Topic;
use app::ports::{Notifier, Outlets, Result};
use domain::notice::Notice;
use domain::violation::Outlet;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// The outlets of this application, those that are switched on.
#[derive(Debug, Clone)]
pub struct Channels {
    notifications: Topic,
    chat: Option<Topic>,
    security_hub: Option<SecurityHub>,
    event_bus: Option<EventBus>,
}

impl Channels {
    /// The notification topic, and what else there is.
    #[must_use]
    pub fn new(
        notifications: Topic,
        chat: Option<Topic>,
        security_hub: Option<SecurityHub>,
        event_bus: Option<EventBus>,
    ) -> Self {
        Self { notifications, chat, security_hub, event_bus }
    }
}

impl Channels {
    /// The same for one invocation: after `deadline` no finding is imported any more.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        let security_hub = self.security_hub.as_ref().map(|hub| hub.until(deadline));
        Self { security_hub, ..self.clone() }
    }
}

impl Outlets for Channels {
    fn in_use(&self) -> BTreeSet<Outlet> {
        [
            Some(Outlet::Topic),
            self.chat.as_ref().map(|_| Outlet::Chat),
            self.security_hub.as_ref().map(|_| Outlet::Finding),
            self.event_bus.as_ref().map(|_| Outlet::Event),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    async fn tell(&self, outlet: Outlet, notices: &[Notice]) -> Vec<Result<()>> {
        let told = match outlet {
            Outlet::Topic => Some(self.notifications.publish(notices).await),
            Outlet::Chat => match &self.chat {
                Some(chat) => Some(chat.publish(notices).await),
                None => None,
            },
            Outlet::Finding => match &self.security_hub {
                Some(hub) => Some(hub.import(notices).await),
                None => None,
            },
            Outlet::Event => match &self.event_bus {
                Some(bus) => Some(bus.put(notices).await),
                None => None,
            },
        };
        // What was owed to an outlet that was switched off since is not owed any more.
        told.unwrap_or_else(|| vec![Ok(()); notices.len()])
    }
}
