//! What the program promises, checked on the whole library and on the real binaries.

mod agreement;
mod alarm_events;
#[cfg(feature = "aws")]
mod athena;
#[cfg(feature = "aws")]
mod athena_wire;
mod changes;
#[cfg(feature = "aws")]
mod changes_wire;
mod check_ups;
mod cli;
mod contradictions;
mod cost;
mod counted;
mod documents;
mod drills;
mod earlier;
mod event_bus;
#[cfg(feature = "aws")]
mod faults;
mod files;
mod flow_logs;
mod host_names;
mod in_bucket;
#[cfg(feature = "aws")]
mod in_bucket_wire;
mod insights_queries;
mod ladder;
mod late_logs;
mod misleading;
mod mutations;
mod permissions;
mod readme;
mod recoveries;
mod remedies;
mod repeats;
mod reports;
mod shapes;
mod support;
mod telemetry;
mod watch;
#[cfg(feature = "aws")]
mod wire;
