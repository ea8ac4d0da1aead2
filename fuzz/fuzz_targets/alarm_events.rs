//! Whatever an event holds, reading it ends in outcomes of which no two are of one transition.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nat_triage::alarm::{Outcome, outcomes_from_event};

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = serde_json::from_slice(bytes) else { return };
    let outcomes = outcomes_from_event(&event);
    assert!(!outcomes.is_empty(), "an event always gets an answer");
    let mut ids = Vec::new();
    for outcome in outcomes {
        match outcome.from_event_alone() {
            Outcome::Incident(incident) => {
                ids.push(incident.id());
                if let Some(window) = incident.window {
                    assert!(window.start() < window.end(), "a window has a beginning and an end");
                }
            }
            Outcome::Composite(composite) => drop(composite.from_event_alone()),
            Outcome::Ignored(ignored) => assert!(!ignored.reason.is_empty(), "a reason is a text"),
            Outcome::Ended(ended) => drop(ended.reason()),
            Outcome::Unusable(error) => assert!(!error.to_string().is_empty(), "an error is a text"),
        }
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "one transition is asked about once");
});
