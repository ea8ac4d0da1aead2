//! How often the diagnosis is right, measured on simulated incidents whose truth is known, beside
//! what AWS's own two queries say of the same records.
//!
//! The simulator is a model, so agreement with it is consistency, not proof from the field.

mod article;
mod case;
pub mod early;
mod evaluator;
mod score;
mod setup;
mod table;
mod trial;
mod world;

pub use article::Article;
pub use case::{Case, Kept};
pub use score::Score;
pub use setup::{Fault, Reader, Setup};
pub use table::Table;
pub use trial::{Outcome, Trial};
