//! Where a report goes, what can go wrong with it, whose turn it is to send it, and what is known to have gone out.

mod episode;
mod lease;
mod ledger;
mod outbox;

use crate::report::Message;

pub use episode::Episode;
pub use lease::{Leases, Taken, Turn, hold, wait_for_turn};
pub use ledger::{Ledger, Memory, Sent};
pub use outbox::{Outbox, Pages};

/// What the publisher gave for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message's id, where the publisher gives one.
    pub message_id: Option<String>,
}

/// Why a message did not go out.
#[derive(Debug, thiserror::Error)]
#[error("failed to publish to {topic}: {why}; {fix}")]
pub struct PublishError {
    /// Where it should have gone.
    pub topic: String,
    /// What came back, code and message.
    pub why: String,
    /// What to do about it.
    pub fix: String,
}

/// Sends a report out.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait Publisher {
    /// Sends one message, once.
    ///
    /// # Errors
    /// When it did not go out.
    async fn publish(&self, message: &Message) -> Result<Receipt, PublishError>;
}

/// No topic: the result is only returned and logged.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl Publisher for Nowhere {
    async fn publish(&self, _: &Message) -> Result<Receipt, PublishError> {
        Ok(Receipt { message_id: None })
    }
}
