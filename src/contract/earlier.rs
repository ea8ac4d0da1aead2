//! What was held an hour earlier.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::incident::TimeWindow;

/// The minutes an hour before those in question. What was held in them stands beside what was held now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EarlierReport {
    /// The minutes.
    pub window: TimeWindow,
}
