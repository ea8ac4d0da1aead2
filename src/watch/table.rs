//! How full each gateway is, as a person reads it on a terminal.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Level, Seen, State, Watch};
use crate::words::{self, count, counted, one_line, percent};

/// A paragraph for each gateway.
#[must_use]
pub fn table(watch: &Watch) -> String {
    let region =
        watch.region.as_ref().map_or(String::new(), |region| format!(" in {}", one_line(region, 40)));
    let gateways: BTreeSet<&str> = watch.gateways.iter().map(|seen| seen.watched.gateway.as_str()).collect();
    let mut text = format!(
        "At {}: {}{region}.\n",
        words::instant(watch.at),
        counted(gateways.len() as u64, "NAT gateway")
    );
    for seen in &watch.gateways {
        writeln!(text, "\n{}: {}", seen.watched.name(), state(seen)).expect("a string takes all");
        if let State::Read { destinations, .. } = &seen.state {
            for level in destinations {
                writeln!(text, "  {}", line(level)).expect("a string takes all");
            }
        }
    }
    for gap in &watch.gaps {
        writeln!(text, "\nNot known: {}: {}. {}", gap.what, gap.why, gap.fix).expect("a string takes all");
    }
    if watch.scanned_bytes > 0 {
        writeln!(text, "\nLogs Insights scanned {}.", words::bytes(watch.scanned_bytes))
            .expect("a string takes all");
    }
    text
}

/// What is known of a gateway, in a line.
fn state(seen: &Seen) -> String {
    let all = seen.connections.map_or_else(
        || "CloudWatch does not tell its connections".to_owned(),
        |all| format!("at most {} in all", counted(all, "TCP connection")),
    );
    let of = seen.capacity_per_destination.map_or_else(String::new, |capacity| {
        format!(", {} ports for each destination", count(u64::from(capacity)))
    });
    match &seen.state {
        State::Quiet => format!("{all}{of}. So no TCP destination can be filling up"),
        State::Resting { since } => {
            format!(
                "{all}{of}. Its flow logs were read at {}. Since then it got few more connections",
                words::instant(*since)
            )
        }
        State::Read { destinations, .. } if destinations.is_empty() => {
            format!("{all}{of}. Its flow logs show no destination in these minutes")
        }
        State::Read { refused, logs_until, .. } => {
            let refused = match refused {
                Some(refused) if *refused > 0.0 => {
                    format!(". It has refused {}", counted(refused.round() as u64, "connection"))
                }
                _ => String::new(),
            };
            let until = logs_until.map_or_else(String::new, |until| {
                format!(". Its flow logs reach until {}", words::instant(until))
            });
            format!("{all}{of}{refused}{until}")
        }
        State::Unknown { missing } => {
            format!(
                "not known: {}. {}",
                one_line(&missing.why, 300),
                one_line(&missing.fix.to_string(), 1_500)
            )
        }
    }
}

/// One destination in a line.
fn line(level: &Level) -> String {
    let held = level.held;
    let range = match (held.at_least, held.at_most) {
        (least, most) if least == most => count(u64::from(most)),
        (least, most) => format!("{} to {}", count(u64::from(least)), count(u64::from(most))),
    };
    let name = level.name.as_ref().map_or_else(String::new, |name| format!(" ({})", one_line(name, 80)));
    let holder = level.holder.as_ref().map_or_else(String::new, |holder| {
        format!(", {} of them by {}", percent(holder.share), holder.address)
    });
    format!(
        "{:>5}  {}{name}: {range} ports{holder}{}",
        percent(level.utilization),
        level.destination,
        pace(level)
    )
}

/// How it fills up, and when it would be full.
fn pace(level: &Level) -> String {
    let Some(filling) = level.filling else { return String::new() };
    let full = match filling.full_until {
        Some(until) => format!("between {} and {}", words::instant(filling.full_from), words::instant(until)),
        None => format!("not before {}", words::instant(filling.full_from)),
    };
    format!("; {} more a minute, full {full} at this pace", count(filling.ports_a_minute.round() as u64))
}
