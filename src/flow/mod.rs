//! The vocabulary of VPC flow logs: fields, formats, records, and the files that hold them.
//! Knows nothing of NAT gateways, alarms or diagnoses.

pub mod field;
pub mod format;
pub mod groups;
pub mod reader;
pub mod record;

pub use field::Field;
pub use format::{FormatError, LogFormat};
pub use record::{Action, FlowRecord, Interval, Line, LineError, LineParser};
