//! An alarm that somebody put into ALARM by hand asks whether the path works, and not which destination is full.

use crate::contract::Diagnosis;
use crate::incident::Incident;
use crate::words;

/// The diagnosis of minutes without an error, as the answer to a drill.
pub(crate) fn answer(diagnosis: Diagnosis, incident: &Incident) -> Diagnosis {
    let headline = headline(&diagnosis);
    Diagnosis { drill: true, id: incident.id(), alarm: incident.alarm.clone(), headline, ..diagnosis }
}

fn headline(diagnosis: &Diagnosis) -> String {
    let id = diagnosis.nat_gateways.first().and_then(|gateway| gateway.id.as_deref());
    let gateway = id.map_or_else(|| "the NAT gateway".to_owned(), |id| format!("NAT gateway {id}"));
    if !diagnosis.was_answered() {
        return format!(
            "TEST: this message arrives, but no flow log of {gateway} gave an answer, so that a real alarm would get none either."
        );
    }
    let path = "TEST: the path works, and no error was counted";
    match diagnosis.destinations.first() {
        None => format!("{path}; {gateway} carried nothing in these minutes."),
        Some(top) => match top.utilization {
            Some(part) => format!(
                "{path}; {gateway} is {} full now: its fullest destination, {}, holds about {} ports.",
                words::percent(part),
                words::endpoint(top.address, top.port, &top.protocol),
                words::count(u64::from(top.held.estimate))
            ),
            None => format!(
                "{path}; how many ports {gateway} has is not known, and its fullest destination, {}, holds about {}.",
                words::endpoint(top.address, top.port, &top.protocol),
                words::count(u64::from(top.held.estimate))
            ),
        },
    }
}
