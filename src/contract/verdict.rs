//! How sure we are, of what sort the use was, and how far a statement can be relied on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How sure we are that a destination ran out of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The range reaches capacity while errors were counted, and something beside it agrees.
    Confirmed,
    /// The range reaches capacity, and nothing beside it tells.
    Likely,
    /// Full coverage, and nothing near capacity.
    NotSupported,
    /// The evidence leaves it open; the gaps say what is missing.
    CannotTell,
}

impl Verdict {
    /// As the contract spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Likely => "likely",
            Self::NotSupported => "not-supported",
            Self::CannotTell => "cannot-tell",
        }
    }
}

/// What sort of use filled the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Many connections kept in use.
    LongLived,
    /// Opened, then idle, not closed.
    Leak,
    /// Short connections at a high rate.
    Churn,
    /// Attempts without answers.
    RetryStorm,
    /// Very many clients, none remarkable.
    FanIn,
    /// One client, very many destinations.
    Scan,
}

/// How far a statement can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// One of several readings of the evidence.
    Low,
    /// The best reading of the evidence.
    Medium,
    /// Counted directly.
    High,
}
