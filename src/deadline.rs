//! What time it is, and how long there is: every wait is bounded by it, and time is kept back to publish.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Kept back for rendering and publishing.
pub const PUBLISHING: Duration = Duration::from_secs(15);

/// Longest that a round of look-ups may take, with all retries of each. They answer within a second or two
/// when all is well.
const LOOK_UPS: Duration = Duration::from_secs(30);

/// Longest that a Lambda function may run.
///
/// Source: "Lambda quotas" in the AWS Lambda developer guide (15 minutes). A deadline further off,
/// or long past, is no deadline: `cargo lambda watch` sends one in 1970.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Without a known deadline, as long as a person waits.
const UNKNOWN: Duration = Duration::from_secs(5 * 60);

/// An instant by which everything has to be done.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The deadline of a Lambda invocation, in milliseconds of the Unix epoch, as seen at `now_ms`.
    /// An implausible one means that it is not known, not that it has passed.
    #[must_use]
    pub fn of_invocation(deadline_ms: u64, now_ms: u64) -> Self {
        let remaining = Duration::from_millis(deadline_ms.saturating_sub(now_ms));
        if remaining.is_zero() || remaining > LONGEST + Duration::from_secs(60) {
            Self::after(UNKNOWN)
        } else {
            Self::after(remaining)
        }
    }

    /// The same, with time kept back for publishing: [`PUBLISHING`], or a third of what is left
    /// where that is less.
    #[must_use]
    pub fn before_publishing(self) -> Self {
        let kept = PUBLISHING.min(self.remaining() / 3);
        Self(self.0 - kept)
    }

    /// The end of what one round of look-ups may take of it: never more than half a minute.
    #[must_use]
    pub fn of_look_ups(self) -> Self {
        self.for_one_thing(LOOK_UPS)
    }

    /// The end of what one thing may take of it: a third of what is left, and at `most` so long. One that
    /// hangs must not cost the time for what comes after it.
    #[must_use]
    pub fn for_one_thing(self, most: Duration) -> Self {
        Self::after(most.min(self.remaining() / 3))
    }

    /// How much is left; nothing once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// When it is, for timeouts.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }
}

/// The time of day: read once, and carried on by the clock that also measures waits.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    read: Timestamp,
    at: Instant,
}

impl Clock {
    /// A clock that shows `now` at this moment.
    #[must_use]
    pub fn showing(now: Timestamp) -> Self {
        Self { read: now, at: Instant::now() }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.at.elapsed()).unwrap_or(SignedDuration::MAX);
        self.read.checked_add(since).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000_000;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_in_1970_means_unknown_not_passed() {
        assert_eq!(Deadline::of_invocation(600_000, NOW).remaining(), UNKNOWN);
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_kept_back_to_publish() {
        let long = Deadline::of_invocation(NOW + 900_000, NOW);
        assert_eq!(long.before_publishing().remaining(), Duration::from_secs(885));
        let short = Deadline::of_invocation(NOW + 9_000, NOW);
        assert_eq!(short.before_publishing().remaining(), Duration::from_secs(6));
    }
}
