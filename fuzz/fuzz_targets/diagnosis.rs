//! Whatever the records say, the diagnosis is made, its ranges are ranges, and each report can be written.
//! The length chooses whether the sample alarm stands beside the records.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nat_triage::alarm::{Outcome, outcomes_from_event};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::incident::Incident;
use nat_triage::network::{Known, Network};
use nat_triage::report;
use nat_triage::triage::triage;

static ALARM: LazyLock<Incident> = LazyLock::new(|| {
    let event = serde_json::from_slice(include_bytes!("../../events/alarm.json")).expect("it is JSON");
    match outcomes_from_event(&event).remove(0) {
        Outcome::Incident(incident) => incident,
        other => panic!("the sample alarm asks for an incident, not {other:?}"),
    }
});

fuzz_target!(|bytes: &[u8]| {
    let incident = if bytes.len() % 2 == 1 { ALARM.clone() } else { Incident::default() };
    let inputs = Inputs::from_memory([("input".to_owned(), bytes.to_vec())]);
    let source = FlowLogFiles::new(inputs, Options::default(), |_| {});
    let network = Known(Network::default());
    let Ok(triaged) = pollster::block_on(triage(incident, &network, &source, Limits::default())) else {
        return;
    };
    let diagnosis = &triaged.diagnosis;
    for destination in &diagnosis.destinations {
        let held = destination.held;
        assert!(held.at_least <= held.estimate && held.estimate <= held.at_most, "{held:?} is a range");
    }
    assert!(!diagnosis.headline.is_empty());
    drop(report::json(diagnosis));
    drop(report::text::text(diagnosis));
    drop(report::html::html(diagnosis));
    drop(report::markdown::markdown(diagnosis));
    drop(report::chat::chat(diagnosis, None));
    assert!(report::sms::sms(diagnosis).len() <= 1600, "SNS takes an SMS of at most 1,600 bytes");
    assert!(report::sms::subject(diagnosis).chars().count() < 100, "a subject has fewer than 100 characters");
});
