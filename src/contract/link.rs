//! Where to look for oneself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A page of the AWS console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// What it shows.
    pub title: String,
    /// Its address.
    pub url: String,
}
