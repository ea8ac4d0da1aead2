//! What sort of use filled the destination, with the figures that decided it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::findings::{Findings, Ranked};
use crate::contract::{Pattern, Scan, Verdict};
use crate::evidence::{ClientUse, Destination, TCP, Tally};
use crate::flow::Field;
use crate::words;

/// A client that tries this many destinations, half of them in vain, is scanning.
const SCANNED_DESTINATIONS: usize = 100;

/// A TCP connection with no more packets than this, both ways, carried nothing: a SYN and its answer
/// at the most.
const IN_VAIN: u64 = 3;

/// With this many clients, of whom none stands out, it is their number.
const MANY_CLIENTS: usize = 30;

/// A pattern, and what it rests on.
type Called = (Pattern, Vec<String>);

/// The pattern; `None` where the evidence does not tell.
pub(super) fn pattern(findings: &Findings<'_>, verdict: Verdict) -> Option<Called> {
    let scan = scan(findings).map(|found| (found.client, called(&found)));
    if matches!(verdict, Verdict::NotSupported | Verdict::CannotTell) {
        return scan.map(|(_, scan)| scan);
    }
    let top = findings.top()?;
    // Somebody else's scan of other destinations did not fill this one.
    let filled_it = |scanner: Option<IpAddr>| match scanner {
        Some(scanner) => top.clients.first().is_some_and(|client| client.address == scanner),
        None => top.clients.is_empty() || part(top.tally.unanswered, top.tally.connections) > Some(0.5),
    };
    if let Some((scanner, scan)) = scan
        && filled_it(scanner)
    {
        return Some(scan);
    }
    // Where only the clients' side shows, nothing tells an attempt without an answer from one whose answer was left out.
    if findings.evidence.destinations.is_empty() {
        return None;
    }
    // A leak is one however many clients take part in it.
    let life = by_life(findings, top);
    let leak = life.clone().filter(|(pattern, _)| *pattern == Pattern::Leak);
    let storm = retry_storm(top).filter(|_| findings.answers_show());
    storm.or(leak).or_else(|| fan_in(top)).or(life)
}

/// One client towards very many destinations, most of which do not answer, or refuse; with the client,
/// where the records name it.
pub(super) fn scan(findings: &Findings<'_>) -> Option<Scan> {
    let evidence = findings.evidence;
    if !findings.answers_show() {
        return None;
    }
    let packets = !evidence.coverage.lacks(Field::Packets);
    let by_client = |uses: &BTreeMap<ClientUse, Tally>| {
        let mut tried: BTreeMap<IpAddr, (usize, usize)> = BTreeMap::new();
        for (using, tally) in uses.iter().filter(|(using, _)| using.destination.address.is_some()) {
            let (all, vain) = tried.entry(using.client).or_default();
            *all += 1;
            *vain += usize::from(in_vain(using.destination, tally, packets));
        }
        // A crawler that is answered must not hide a scanner that is not.
        let scanning = tried.into_iter().filter(|(_, (all, vain))| is_scan(*all, *vain));
        let most = scanning.max_by_key(|(_, (_, vain))| *vain);
        most.map(|(client, (all, vain))| (Some(client), all, vain))
    };
    // A format that hides the destinations at the gateway shows them at the clients' own interfaces;
    // failing those, the gateway's side shows that they were tried, but not by whom.
    let by_anyone = || {
        let vain = evidence.destinations.iter().filter(|(d, tally)| in_vain(**d, tally, packets)).count();
        (None, evidence.destinations.len(), vain)
    };
    let (client, all, vain) = by_client(&evidence.clients)
        .into_iter()
        .chain(by_client(&evidence.at_clients))
        .chain([by_anyone()])
        .find(|(_, all, vain)| is_scan(*all, *vain))?;
    let owner = client.and_then(|client| findings.network.owner_of(client));
    Some(Scan {
        client,
        name: owner.map(|owner| owner.name.clone()),
        destinations: all as u64,
        in_vain: vain as u64,
    })
}

/// Whether so many destinations, of which so many brought nothing, are a scan.
fn is_scan(all: usize, vain: usize) -> bool {
    all >= SCANNED_DESTINATIONS && vain * 2 >= all
}

/// A scan as a pattern, with what it rests on.
fn called(scan: &Scan) -> Called {
    let who = scan.client.map_or("clients that the records do not name".to_owned(), |c| c.to_string());
    let (all, vain) = (words::count(scan.destinations), words::count(scan.in_vain));
    let why = format!("{who} tried {all} destinations, {vain} of them without an answer or refused at once");
    (Pattern::Scan, vec![why])
}

/// Whether nothing came of what was tried. Where the records do not tell `packets`, few of them say nothing.
fn in_vain(destination: Destination, tally: &Tally, packets: bool) -> bool {
    let nothing_sent = packets && destination.protocol == TCP && tally.packets <= tally.connections * IN_VAIN;
    tally.unanswered > 0 || (tally.packets > 0 && nothing_sent)
}

/// Most attempts left the gateway and were never answered.
fn retry_storm(top: &Ranked) -> Option<Called> {
    // Much that goes by UDP is never answered, and is not meant to be.
    if top.destination.protocol != TCP {
        return None;
    }
    let part = part(top.tally.unanswered, top.tally.connections)?;
    (part > 0.5).then(|| {
        (
            Pattern::RetryStorm,
            vec![format!(
                "{} of {} gateway ports used ({}) were taken by attempts that were never answered",
                words::count(top.tally.unanswered),
                words::count(top.tally.connections),
                words::percent(part)
            )],
        )
    })
}

/// Very many clients, none remarkable.
fn fan_in(top: &Ranked) -> Option<Called> {
    let greatest = top.clients.first()?;
    (top.clients.len() >= MANY_CLIENTS && !greatest.stands_out()).then(|| {
        (
            Pattern::FanIn,
            vec![format!(
                "{} clients, of whom the greatest holds {}",
                words::count(top.clients.len() as u64),
                greatest.share_in_words()
            )],
        )
    })
}

/// How connections live: whether they end, and how much of the time that they hold a port they use
/// it. Only a format with tcp-flags tells.
fn by_life(findings: &Findings<'_>, top: &Ranked) -> Option<Called> {
    if !findings.evidence.ends_visible || top.destination.protocol != TCP {
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
                "of {1} gateway ports used, {0} ({2}) were seen to be released",
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
            format!("a port was in use for {mean_active:.0} s on average"),
        ],
    ))
}

fn part(of: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| of as f64 / all as f64)
}
