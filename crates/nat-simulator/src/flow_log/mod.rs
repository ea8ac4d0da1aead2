//! What VPC flow logs would have shown of a simulation.
//!
//! `format` knows the fields and how a line is written, `view` what can be asked for, `legs` which
//! interface sees which addresses of a packet, `render` how packets become records.

mod format;
mod legs;
mod render;
mod view;

pub use format::{Field, FormatError, LogFormat};
pub(crate) use render::{records, write_text};
pub use view::{Duplicates, FlowKey, Record, View, Viewpoint};
