//! The contract: serialised, these types are the diagnosis in JSON. The rules above make it, and everything else only
//! reads it. Fields are added, never renamed.
//!
//! A type knows its own figures. What a limit makes of them is of the rules ([`crate::diagnosis`]).

mod again;
mod changes;
mod coverage;
mod destination;
mod diagnosis;
mod earlier;
mod gateway;
mod held;
mod link;
mod refused;
mod remedy;
mod verdict;

pub use again::{Again, News};
pub use changes::{ChangeReport, ChangesReport, Relation};
pub use coverage::{CoverageReport, QuestionReport};
pub(crate) use destination::greater_unshown_part;
pub use destination::{ClientOrder, ClientReport, DestinationReport};
pub use diagnosis::{Diagnosis, SCHEMA, Stage};
pub use earlier::EarlierReport;
pub use gateway::{GatewayReport, MetricReport};
pub use held::{FullAddress, HeldPorts, TimelineStep};
pub use link::Link;
pub use refused::{RefusedAttempts, UnplacedAttempts};
pub use remedy::{Command, Condition, Remedy, RemedyId, Scan, Undo, When};
pub use verdict::{Confidence, Pattern, Verdict};
