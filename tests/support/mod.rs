//! What several of the tests lean on.

#[cfg(feature = "aws")]
pub(crate) mod between;
pub(crate) mod cli;
pub(crate) mod evaluator;
pub(crate) mod incidents;
pub(crate) mod processes;
#[cfg(feature = "aws")]
pub(crate) mod runtime_api;
#[cfg(feature = "aws")]
pub(crate) mod scene;
