//! What one invocation of the function leaves to the next: flow logs may arrive later than Lambda lets a function
//! wait. Pure: another module invokes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::incident::Incident;
use crate::publish::Sent;

/// By which an event is known as one of ours.
const SCHEMA: &str = "nat-triage.continuation.v1";

/// How often an incident is left to a further invocation. Records of a flow log with an interval of ten minutes are
/// due within 20 minutes of the window's end, and an invocation lasts 15.
pub const MAX_CONTINUATIONS: u32 = 2;

/// Largest event of an asynchronous invocation, in bytes.
///
/// Source: `Invoke` in the AWS Lambda API reference, which takes 1 MB asynchronously today. It took 256 KB before, and
/// an incident needs a few.
const MAX_BYTES: usize = 256 * 1024;

/// An incident whose flow logs are still arriving, as one invocation leaves it to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Continuation {
    schema: String,
    /// How many invocations have looked at it before.
    pub round: u32,
    /// What is looked into.
    pub incident: Incident,
    /// The event that told of it.
    pub event: Value,
    /// What its reader was told last; `null` where nothing went out.
    pub told: Option<Sent>,
    /// What the queries of the earlier invocations scanned, in bytes: all of them share one limit.
    pub scanned_bytes: u64,
}

impl Continuation {
    /// An incident after `round` invocations.
    #[must_use]
    pub fn new(round: u32, incident: Incident, event: Value, told: Option<Sent>, scanned_bytes: u64) -> Self {
        Self { schema: SCHEMA.into(), round, incident, event, told, scanned_bytes }
    }

    /// The event that first told of an incident that another version of the program left, which this one cannot read:
    /// to begin with it anew loses nothing. `None` of any other event, and of one beyond the most.
    #[must_use]
    pub fn original_of(event: &Value) -> Option<&Value> {
        let round = event["round"].as_u64().filter(|round| *round <= u64::from(MAX_CONTINUATIONS));
        (event["schema"] == SCHEMA && round.is_some()).then(|| &event["event"])
    }

    /// The continuation that an event is; `None` of any other event, and of one beyond the most.
    #[must_use]
    pub fn of_event(event: &Value) -> Option<Self> {
        if event["schema"] != SCHEMA {
            return None;
        }
        let found = Self::deserialize(event);
        found.ok().filter(|found| (1..=MAX_CONTINUATIONS).contains(&found.round))
    }

    /// The event for the next invocation; `None` where Lambda would not take it.
    #[must_use]
    pub fn to_event(&self) -> Option<Vec<u8>> {
        let fits = self.round <= MAX_CONTINUATIONS;
        serde_json::to_vec(self).ok().filter(|event| fits && event.len() <= MAX_BYTES)
    }
}

/// Who goes on with an incident where this process has no time left.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait Successor {
    /// Leaves the incident to another process, with what its reader was told last. `false` where nobody goes on.
    async fn take_over(&self, told: Option<&Sent>) -> bool;
}

/// Nobody goes on.
impl Successor for () {
    async fn take_over(&self, _: Option<&Sent>) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::Stage;

    fn left(round: u32, event: Value) -> Continuation {
        let told = Sent { stage: Stage::Provisional, answer: None };
        Continuation::new(round, Incident::default(), event, Some(told), 7)
    }

    #[test]
    fn the_next_invocation_reads_what_the_last_one_left() {
        let left = left(1, json!({ "alarmData": {} }));
        let event = left.to_event().expect("it fits");
        let event = serde_json::from_slice(&event).expect("JSON");
        assert_eq!(Continuation::of_event(&event), Some(left));
    }

    #[test]
    fn an_incident_is_left_to_a_few_invocations_at_most() {
        assert_eq!(left(MAX_CONTINUATIONS + 1, Value::Null).to_event(), None);
        let forged = serde_json::to_value(left(MAX_CONTINUATIONS + 1, Value::Null)).expect("JSON");
        assert_eq!(Continuation::of_event(&forged), None);
    }

    #[test]
    fn an_event_that_lambda_would_refuse_is_not_left() {
        assert_eq!(left(1, json!({ "junk": "x".repeat(MAX_BYTES) })).to_event(), None);
    }

    #[test]
    fn what_another_version_left_begins_anew() {
        let alarm = json!({ "alarmData": {} });
        let left =
            json!({ "schema": SCHEMA, "round": 1, "incident": { "of": "another version" }, "event": alarm });
        assert_eq!(Continuation::of_event(&left), None);
        assert_eq!(Continuation::original_of(&left), Some(&alarm));
        let beyond = json!({ "schema": SCHEMA, "round": MAX_CONTINUATIONS + 1, "event": alarm });
        assert_eq!(Continuation::original_of(&beyond), None);
        assert_eq!(Continuation::original_of(&alarm), None);
    }

    #[test]
    fn an_alarm_is_no_continuation() {
        assert_eq!(Continuation::of_event(&json!({ "source": "aws.cloudwatch" })), None);
        assert_eq!(Continuation::of_event(&json!({ "schema": SCHEMA, "round": "one" })), None);
    }
}
