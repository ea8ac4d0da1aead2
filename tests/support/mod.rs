//! What several of the tests lean on.

#[cfg(feature = "aws")]
pub(crate) mod athena;
#[cfg(feature = "aws")]
pub(crate) mod between;
pub(crate) mod chat;
pub(crate) mod cli;
pub(crate) mod contract;
pub(crate) mod delivery;
pub(crate) mod evaluator;
pub(crate) mod incidents;
pub(crate) mod message;
#[cfg(feature = "aws")]
pub(crate) mod processes;
#[cfg(feature = "aws")]
pub(crate) mod runtime_api;
#[cfg(feature = "aws")]
pub(crate) mod scene;
#[cfg(feature = "aws")]
pub(crate) mod subscriber;

use std::path::Path;

/// The root of the checkout.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
