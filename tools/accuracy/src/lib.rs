//! How often the diagnosis is right, measured on simulated incidents whose truth is known, beside
//! what AWS's own two queries say of the same records.
//!
//! The simulator is a model, so agreement with it is consistency, not proof from the field.

mod article;
mod trial;

pub use article::Article;
pub use trial::{Score, Trial};
