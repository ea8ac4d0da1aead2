//! The diagnosis as people and machines read it. Pure: a diagnosis in, text out.

mod again;
mod attributes;
mod basis;
mod changes;
pub mod chat;
mod checkup;
mod earlier;
mod event;
mod first_step;
mod fleet;
pub mod html;
mod lead;
mod lines;
pub mod markdown;
pub mod message;
mod recovery;
pub mod schema;
pub mod sms;
pub mod text;
mod timeline;
mod trouble;
mod warning;
mod wording;

pub use attributes::Attribute;
pub use event::{BusEvent, SOURCE as EVENT_SOURCE};
pub use message::{HttpsReaders, Message};
pub use trouble::{Kind as TroubleKind, Trouble};

use crate::contract::Diagnosis;
use crate::words;

/// The diagnosis in JSON, for people to read through: indented, with a line end.
#[must_use]
pub fn json(diagnosis: &Diagnosis) -> String {
    let text = serde_json::to_string_pretty(diagnosis).expect("a diagnosis holds nothing that JSON cannot");
    words::escaped_json(&text) + "\n"
}
