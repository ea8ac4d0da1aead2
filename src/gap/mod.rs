//! What could not be seen. A missing permission, a late record, a lost file: each is a gap in the
//! report, with the one step that would close it, and never a failure of the whole.

mod fix;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use fix::{ASK_AGAIN, Fix, Shows};

/// What could not be seen where the records show several gateways and none of them is named.
pub const WHICH_GATEWAY: &str = "which gateway is in question";

/// Something that could not be seen, and what would show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// What could not be seen.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What would show it.
    #[serde(flatten)]
    pub fix: Fix,
    /// Whether the verdict hangs on it.
    #[serde(default)]
    pub decides: bool,
}

impl Gap {
    /// A gap of these three parts, whatever it is the verdict would be the same.
    pub fn new(what: impl Into<String>, why: impl Into<String>, fix: impl Into<Fix>) -> Self {
        Self { what: what.into(), why: why.into(), fix: fix.into(), decides: false }
    }

    /// The same, as one that the verdict hangs on.
    #[must_use]
    pub fn deciding(self) -> Self {
        Self { decides: true, ..self }
    }
}
