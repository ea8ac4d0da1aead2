//! What sort of use filled the destination, with the figures that decided it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::findings::{Findings, Ranked};
use super::{Pattern, Verdict};
use crate::report::words;

/// A client that tries this many destinations is scanning.
const SCANNED_DESTINATIONS: usize = 1_000;

/// With this many clients, of whom none holds more than [`REMARKABLE`], nobody stands out.
const MANY_CLIENTS: usize = 100;
const REMARKABLE: f64 = 0.05;

/// The pattern, and what it rests on; `None` where the evidence does not tell.
pub(super) fn pattern(findings: &Findings<'_>, verdict: Verdict) -> Option<(Pattern, Vec<String>)> {
    if let Some(scan) = scan(findings, verdict) {
        return Some(scan);
    }
    if matches!(verdict, Verdict::NotSupported | Verdict::CannotTell) {
        return None;
    }
    let top = findings.top()?;
    retry_storm(top).or_else(|| fan_in(top)).or_else(|| by_life(findings, top))
}

/// One client towards very many destinations, none of which is near capacity.
fn scan(findings: &Findings<'_>, verdict: Verdict) -> Option<(Pattern, Vec<String>)> {
    if matches!(verdict, Verdict::Confirmed | Verdict::Likely) {
        return None;
    }
    let mut tried: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for using in findings.evidence.clients.keys() {
        *tried.entry(using.client).or_default() += 1;
    }
    let (client, destinations) = tried.into_iter().max_by_key(|(_, n)| *n)?;
    (destinations >= SCANNED_DESTINATIONS).then(|| {
        (Pattern::Scan, vec![format!("{client} tried {} destinations", words::count(destinations as u64))])
    })
}

/// Most attempts left the gateway and were never answered.
fn retry_storm(top: &Ranked) -> Option<(Pattern, Vec<String>)> {
    let part = part(top.tally.unanswered, top.tally.connections)?;
    (part > 0.5).then(|| {
        (
            Pattern::RetryStorm,
            vec![format!(
                "{} of {} connections ({}) left the gateway and were never answered",
                words::count(top.tally.unanswered),
                words::count(top.tally.connections),
                words::percent(part)
            )],
        )
    })
}

/// Very many clients, none remarkable.
fn fan_in(top: &Ranked) -> Option<(Pattern, Vec<String>)> {
    let greatest = top.clients.first()?;
    (top.clients.len() >= MANY_CLIENTS && greatest.share <= REMARKABLE).then(|| {
        (
            Pattern::FanIn,
            vec![format!(
                "{} clients, of whom the greatest holds {}",
                words::count(top.clients.len() as u64),
                words::percent(greatest.share)
            )],
        )
    })
}

/// How connections live: whether they end, and how much of the time that they hold a port they use
/// it. Only a format with tcp-flags tells.
fn by_life(findings: &Findings<'_>, top: &Ranked) -> Option<(Pattern, Vec<String>)> {
    if !findings.evidence.ends_visible {
        return None;
    }
    let ended = part(top.tally.ended, top.tally.connections)?;
    let in_use = part(u64::from(top.held.at_least), u64::from(top.held.estimate))?;
    let mean_active = top.tally.active_seconds as f64 / top.tally.connections as f64;
    let pattern = if ended < 0.5 && in_use < 0.5 {
        Pattern::Leak
    } else if ended >= 0.5 && mean_active < 60.0 {
        Pattern::Churn
    } else if in_use >= 0.5 {
        Pattern::LongLived
    } else {
        return None;
    };
    Some((
        pattern,
        vec![
            format!(
                "{} of {} connections ({}) were seen to end",
                words::count(top.tally.ended),
                words::count(top.tally.connections),
                words::percent(ended)
            ),
            format!(
                "at most {} of {} held ports ({}) carried packets at the same time",
                words::count(u64::from(top.held.at_least)),
                words::count(u64::from(top.held.estimate)),
                words::percent(in_use)
            ),
            format!("a connection was in use for {mean_active:.0} s on average"),
        ],
    ))
}

fn part(of: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| of as f64 / all as f64)
}
