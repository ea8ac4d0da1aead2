//! The answer in one sentence.

use super::findings::{Errors, Findings, Ranked};
use super::refusals::FEWEST;
use crate::contract::{ClientOrder, Verdict};
use crate::network::NameSource;
use crate::words;

/// Longest name of a client or a destination that is said in the answer; the report has more of it.
const NAME: usize = 48;

/// Says which destination, how full, who holds it and how sure, or why that cannot be said.
pub(super) fn headline(findings: &Findings<'_>, verdict: Verdict) -> String {
    let interface = findings.network.gateway.interface_ids.first();
    let gateway = match (findings.gateway_id(), interface) {
        (Some(id), _) => format!("NAT gateway {id}"),
        (None, Some(interface)) if findings.evidence.several_gateways => {
            format!("The NAT gateway at {interface}")
        }
        _ => "The NAT gateway".to_owned(),
    };
    let Some(top) = findings.top() else {
        let why = if findings.evidence.unanswered {
            "its flow logs gave no answer"
        } else {
            "the flow logs show no traffic between it and any server in these minutes"
        };
        return format!("{gateway}: {why}, so we cannot tell.");
    };
    let (label, held_by) = (called(top), holder(top));
    let Some(capacity) = findings.capacity else {
        return format!(
            "{gateway}: how many ports it has is not known; the most ports, about {}, were held to {label}{held_by}.",
            words::count(u64::from(top.held.estimate))
        );
    };
    let of_capacity = |held: u32| {
        format!(
            "{} of {} ports ({})",
            words::count(u64::from(held)),
            words::count(u64::from(capacity)),
            words::percent(f64::from(held) / f64::from(capacity))
        )
    };
    let most = top.held.at_most;
    match verdict {
        Verdict::Confirmed | Verdict::Likely if let Some(full) = top.full_address => {
            let probably = if verdict == Verdict::Confirmed { "" } else { "probably " };
            let address = full
                .address
                .map_or("one of its addresses".to_owned(), |address| format!("its address {address}"));
            format!(
                "{gateway} {probably}ran out of ports to {label} on {address}: {} of that address's {} ports held{held_by}.",
                words::count(u64::from(full.held)),
                words::count(u64::from(full.of))
            )
        }
        Verdict::Confirmed => {
            format!(
                "{gateway} ran out of ports to {label}: {} held{held_by}.",
                of_capacity(top.held.estimate)
            )
        }
        Verdict::Likely => {
            format!(
                "{gateway} probably ran out of ports to {label}: about {} held{held_by}.",
                of_capacity(top.held.estimate)
            )
        }
        Verdict::NotSupported if findings.errors == Errors::Counted(0.0) => {
            format!(
                "{gateway} refused nothing in these minutes: no port allocation error was counted; no destination held more than {}.",
                of_capacity(most)
            )
        }
        Verdict::NotSupported => {
            format!(
                "{gateway} had ports left to every destination: none held more than {}.",
                of_capacity(most)
            )
        }
        Verdict::CannotTell => {
            let which = if findings.errors_seen() {
                "which destination it ran out of ports to"
            } else {
                "whether it ran out of ports"
            };
            if top.refused >= FEWEST && top.pointed_to {
                return format!(
                    "{gateway}: we cannot tell {which} for certain; {} attempts {} {label} never left it{}, and it held at most {}.",
                    words::count(top.refused),
                    if top.located { "to" } else { "that may be to" },
                    tried_by(top),
                    of_capacity(top.held.at_most)
                );
            }
            if let Some(unplaced) = findings.unplaced_attempts() {
                return format!(
                    "{gateway}: we cannot tell {which}; {} attempts on port {}, most of them by {}, never left it, and no server on that port shows.",
                    words::count(unplaced.attempts),
                    unplaced.port_label(),
                    unplaced.client
                );
            }
            let held = &top.held;
            format!(
                "{gateway}: we cannot tell {which}; the fullest destination seen, {label}, held {}{}{held_by}.",
                if held.at_least < held.at_most {
                    format!("between {} and ", words::count(u64::from(held.at_least)))
                } else {
                    String::new()
                },
                of_capacity(held.at_most)
            )
        }
    }
}

/// Who made most of the attempts that never left, as a clause.
fn tried_by(destination: &Ranked) -> String {
    let most = destination.clients.iter().max_by_key(|client| client.refused);
    most.filter(|client| client.refused > 0).map_or(String::new(), |client| {
        let share = words::percent(client.refused as f64 / destination.refused.max(1) as f64);
        format!(" ({share} of them by {})", client.address)
    })
}

/// A destination with its name, where it has one.
fn called(destination: &Ranked) -> String {
    let name = destination.name.as_ref().map_or(String::new(), |host| {
        let hint = match host.source {
            NameSource::ResolverQueryLog => "",
            NameSource::ReverseDns => " by reverse DNS",
        };
        format!(" ({}{hint})", words::outside(&host.name, NAME))
    });
    format!("{}{name}", destination.label())
}

/// Who holds most of a destination's ports, as a clause; nothing where that does not show.
fn holder(destination: &Ranked) -> String {
    let Some(client) = destination.clients.first() else { return String::new() };
    let share = client.share_in_words();
    if !client.stands_out() {
        return format!("; no client stands out, the most is {share}");
    }
    let name = client.name.as_ref();
    let name = name.map_or(String::new(), |name| format!(" ({})", words::outside(name, NAME)));
    if destination.client_order == ClientOrder::RefusedAttempts {
        return format!(", {share} of the refused attempts made by {}{name}", client.address);
    }
    if client.attribution.is_certain() {
        format!(", {share} of them held by {}{name}", client.address)
    } else {
        format!(", of which {}{name} may hold {share}", client.address)
    }
}
