//! The system clock.

use jiff::Timestamp;

use app::ports::Clock;

/// The wall clock of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the only source of time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
