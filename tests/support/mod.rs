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
pub(crate) mod event_bridge;
pub(crate) mod http;
pub(crate) mod incidents;
pub(crate) mod message;
#[cfg(feature = "aws")]
pub(crate) mod processes;
pub(crate) mod receivers;
#[cfg(feature = "aws")]
pub(crate) mod runtime_api;
#[cfg(feature = "aws")]
pub(crate) mod scene;
#[cfg(feature = "aws")]
pub(crate) mod subscriber;

use std::path::Path;

use nat_triage::contract::Diagnosis;
use nat_triage::report::text::text;

/// Mail without its line breaks.
pub(crate) fn prose(diagnosis: &Diagnosis) -> String {
    text(diagnosis).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The root of the checkout.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
