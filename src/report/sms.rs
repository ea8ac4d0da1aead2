//! The diagnosis in one text message.

use crate::diagnosis::{Diagnosis, Verdict};
use crate::words::{self, ascii_line};

/// One message part that every phone takes: 140 characters, all of them in the GSM alphabet.
const LONGEST: usize = 140;

/// Destination, how full, who holds it, how sure; at most 140 characters of the GSM alphabet.
#[must_use]
pub fn sms(diagnosis: &Diagnosis) -> String {
    ascii_line(&answer(diagnosis), LONGEST)
}

/// The subject of a mail: ASCII, at most 99 characters, the answer itself.
#[must_use]
pub fn subject(diagnosis: &Diagnosis) -> String {
    ascii_line(&answer(diagnosis), 99)
}

fn answer(diagnosis: &Diagnosis) -> String {
    let gateway = diagnosis.nat_gateways.first();
    let id = gateway.and_then(|g| g.id.as_deref()).unwrap_or("gateway");
    // The first digits of an id are enough to recognise it by.
    let id = id.get(..12).unwrap_or(id);
    let Some(top) = diagnosis.destinations.first() else {
        return format!("NAT {id}: cannot tell, nothing of it in the flow logs; see the report");
    };
    let place = if top.address.is_ipv6() {
        format!("[{}]:{}", top.address, top.port)
    } else {
        format!("{}:{}", top.address, top.port)
    };
    let full = match (top.utilization, gateway.and_then(|g| g.capacity_per_destination)) {
        (Some(utilization), Some(capacity)) => {
            format!("{} of {} ports", words::percent(utilization), words::count(u64::from(capacity)))
        }
        _ => format!("{} ports", words::count(u64::from(top.held.estimate))),
    };
    let holder = top.clients.first().map_or(String::new(), |client| {
        format!(", {} held by {}", words::percent(client.share), client.address)
    });
    match diagnosis.verdict {
        Verdict::Confirmed => format!("NAT {id}: {place} at {full}{holder}"),
        Verdict::Likely => format!("NAT {id}: {place} probably full, {full}{holder}"),
        Verdict::NotSupported => format!("NAT {id}: no destination near its limit; most {place} at {full}"),
        Verdict::CannotTell => format!("NAT {id}: cannot tell; most seen {place} at {full}{holder}"),
    }
}
