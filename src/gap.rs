//! What could not be seen. A missing permission, a late record, a lost file: each is a gap in the
//! report, with the one step that would close it, and never a failure of the whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that could not be seen, and what would show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// What could not be seen.
    pub what: String,
    /// Why not.
    pub why: String,
    /// The one command or step that would show it.
    pub fix: String,
}

impl Gap {
    /// A gap of these three parts.
    pub fn new(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), fix: fix.into() }
    }
}
