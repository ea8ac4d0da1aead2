//! Fixes, each gated on its evidence, ranked by how much it helps now.
//!
//! The order is total, and the same for the same evidence:
//!
//! 1. what helps within minutes, then what has to be approved or rewritten first, then what helps
//!    with the next incident alone ([`When`]);
//! 2. within each, what rests on one of several readings of the evidence (low confidence) last;
//! 3. then by headroom: the part of the destination's ports that would be free afterwards, counting
//!    both those who hold one now and those who were refused. That is what makes taking a destination
//!    off the gateway, stopping a holder, moving clients away and adding addresses comparable. What
//!    can't be put into a figure comes after what can;
//! 4. then by confidence, and at last in the order of [`ORDER`].

mod add_addresses;
mod client_changes;
mod flow_logs;
mod gateway_endpoint;
mod interface_endpoint;
mod ipv6_egress;
mod limit_client;
mod per_zone;
mod placement;
mod spread;

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use super::commands::{describe_owners, errors_metric, shown};
use super::findings::{Findings, Ranked};
use super::{ClientReport, Command, Confidence, NOTHING_TO_UNDO, Pattern, Remedy, Verdict};
use crate::evidence::Attribution;
use crate::incident::TimeWindow;
use crate::words;

pub(super) use gateway_endpoint::endpoint_in_place;

/// Every remedy that there is; what comes first wins a tie. Taking traffic off the gateway costs
/// nothing and touches no client's software, so it comes before stopping a client, and that before
/// what costs money.
const ORDER: [&str; 14] = [
    "gateway-endpoint-s3",
    "gateway-endpoint-dynamodb",
    "limit-connections-per-client",
    "stop-retry-storm",
    "add-nat-addresses",
    "nat-gateway-per-az",
    "interface-endpoint",
    "use-vpc-resolver",
    "close-idle-connections",
    "reuse-connections",
    "spread-destination",
    "ipv6-egress",
    "enable-flow-logs",
    "improve-flow-log-format",
];

/// A remedy that frees less than this part of the ports is not worth what it may break.
const WORTH: f64 = 0.1;

/// Seconds after which a gateway lets go of an idle connection, as a word in sentences.
const IDLE: &str = "350 s";

/// Hours of a month, as AWS's price lists count them.
const HOURS_A_MONTH: f64 = 730.0;

/// When a remedy helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    /// Within minutes of running its commands, or of stopping a process.
    Tonight,
    /// Once somebody has approved it, or changed a client's software or settings.
    Later,
    /// With the next incident alone.
    NextTime,
}

/// A remedy with what it is ranked by.
#[derive(Debug)]
struct Offer {
    when: When,
    /// The part of the destination's ports that would be free afterwards; negative where the remedy
    /// alone does not suffice; `None` where no figure can be put to it.
    headroom: Option<f64>,
    remedy: Remedy,
}

impl Offer {
    /// What the order goes by. Whole percents: nothing here is good for more.
    fn key(&self) -> impl Ord + use<> {
        let percent = self.headroom.map(|part| (part * 100.0).round() as i64);
        let place = ORDER.iter().position(|id| *id == self.remedy.id);
        let low = self.remedy.confidence == Confidence::Low;
        (self.when, low, Reverse(percent), Reverse(self.remedy.confidence), place)
    }
}

/// What the remedies are for: a destination without a port left.
struct Shortage<'a> {
    findings: &'a Findings<'a>,
    top: &'a Ranked,
    verdict: Verdict,
    pattern: Option<Pattern>,
    /// Ports that can be held towards it at once.
    capacity: u32,
}

/// Connections that a destination without a port left turned away.
#[derive(Clone, Copy, Debug)]
struct RefusedDemand {
    connections: u64,
    /// Of these, how many would have wanted a port at once.
    at_once: u64,
    /// Whether there were more of them than show.
    at_least: bool,
}

/// The remedies that the evidence supports, most helpful first.
pub(super) fn remedies(findings: &Findings<'_>, verdict: Verdict, pattern: Option<Pattern>) -> Vec<Remedy> {
    let mut offers = Vec::new();
    if let (Some(top), Some(capacity)) = (findings.top(), findings.capacity)
        && matches!(verdict, Verdict::Confirmed | Verdict::Likely)
    {
        let shortage = Shortage { findings, top, verdict, pattern, capacity };
        offers.extend(gateway_endpoint::gateway_endpoint(&shortage));
        offers.extend(limit_client::limit_connections_per_client(&shortage));
        offers.extend(client_changes::stop_retry_storm(&shortage));
        offers.extend(add_addresses::add_nat_addresses(&shortage));
        offers.extend(per_zone::nat_gateway_per_az(&shortage));
        offers.extend(interface_endpoint::interface_endpoint(&shortage));
        offers.extend(client_changes::use_vpc_resolver(&shortage));
        offers.extend(client_changes::close_idle_connections(&shortage));
        offers.extend(client_changes::reuse_connections(&shortage));
        offers.extend(spread::spread_destination(&shortage));
        offers.extend(ipv6_egress::ipv6_egress(&shortage));
    }
    offers.extend(flow_logs::flow_logs(findings));
    ranked(offers)
}

fn ranked(mut offers: Vec<Offer>) -> Vec<Remedy> {
    offers.sort_by_key(Offer::key);
    offers.into_iter().map(|offer| offer.remedy).collect()
}

impl<'a> Shortage<'a> {
    fn region(&self) -> Option<&'a str> {
        self.findings.region()
    }

    /// The refused connections, and how many of them would have wanted a port at the same time: all of
    /// them where connections last; where they are short, those whose lives would have met (rate times
    /// mean life).
    ///
    /// Where connections are short, clients use their own ports again soon, and records show several
    /// connections as one: the gateway's own counts of attempts and of those established tell more,
    /// and without them the figures are lower bounds.
    fn refused(&self) -> RefusedDemand {
        let shown = self.top.refused_connections;
        if self.pattern != Some(Pattern::Churn) {
            return RefusedDemand { connections: shown, at_once: shown, at_least: false };
        }
        let window = self.findings.evidence.window.seconds() as f64;
        let tally = &self.top.tally;
        let life = tally.active_seconds as f64 / tally.connections.max(1) as f64;
        let at_once = (shown as f64 * (life / window).min(1.0)).ceil() as u64;
        let count = |name: &str| self.findings.network.metric(name).map_or(0.0, |metric| metric.value);
        let (attempts, established) = (count("ConnectionAttemptCount"), count("ConnectionEstablishedCount"));
        if established > 0.0 && attempts - established > shown as f64 {
            let refused = attempts - established;
            let by_metrics = f64::from(self.top.held.estimate) * refused / established;
            let at_once = at_once.max(by_metrics.ceil() as u64);
            return RefusedDemand { connections: refused as u64, at_once, at_least: false };
        }
        RefusedDemand { connections: shown, at_once, at_least: true }
    }

    /// Connections that want a port at once: those that hold one, and those that were refused.
    fn demand(&self) -> u64 {
        u64::from(self.top.held.estimate) + self.refused().at_once
    }

    /// The part of `capacity` ports that is free once a part of the demand, as a fraction of 1, is
    /// gone.
    fn headroom(&self, gone: f64, capacity: u32) -> f64 {
        1.0 - self.demand() as f64 * (1.0 - gone) / f64::from(capacity.max(1))
    }

    /// How sure the clients of the destination are known to be its clients, at the most `best`.
    fn at_most(&self, best: Confidence) -> Confidence {
        let attribution = self.top.clients.first().map_or(Attribution::None, |client| client.attribution);
        let joined = match attribution {
            Attribution::Connection if self.verdict == Verdict::Confirmed => Confidence::High,
            Attribution::Connection | Attribution::ClientInterface => Confidence::Medium,
            Attribution::DestinationPort | Attribution::None => Confidence::Low,
        };
        joined.min(best)
    }

    /// Whether the connections are what the clients need. For a leak more ports are more to leak; a
    /// retry storm or a scan is not demand; where the pattern is not known, neither is this.
    fn is_real_demand(&self) -> bool {
        matches!(self.pattern, Some(Pattern::LongLived | Pattern::Churn | Pattern::FanIn))
    }

    /// What shows that a remedy worked: the errors of the day since then stop.
    fn errors_stop(&self) -> String {
        const DAY: SignedDuration = SignedDuration::from_hours(24);

        let findings = self.findings;
        let since = findings.evidence.window.end();
        let until = since.checked_add(DAY).unwrap_or(Timestamp::MAX);
        let window = TimeWindow::new(since, until).unwrap_or(findings.evidence.window);
        errors_metric(findings.gateway_id(), findings.incident.zone.as_deref(), window, self.region())
    }

    /// Shows who owns clients' addresses: the way to whoever can change what they do.
    fn who_owns<'c>(&self, clients: impl IntoIterator<Item = &'c ClientReport>) -> Vec<Command> {
        let addresses: Vec<_> = clients.into_iter().map(|client| client.address).collect();
        let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        // Private addresses may be in use in several VPCs.
        let gateway = self.findings.network.gateway.vpc_id.as_deref();
        let vpc = match gateway {
            Some(vpc) => format!(" (the gateway is in {})", shown(vpc)),
            None => ", in every VPC that has it".to_owned(),
        };
        let command = |run| Command {
            does: format!("shows who owns {}{vpc}", words::list(&listed)),
            run,
            verify: self.errors_stop(),
            undo: format!("{NOTHING_TO_UNDO}: this only shows who owns the address"),
        };
        describe_owners(&addresses, self.region()).into_iter().map(command).collect()
    }

    /// Shows who the greatest holder is; where none stands out, who the greatest few are.
    fn who_holds_most(&self) -> Vec<Command> {
        const FEW: usize = 3;

        let alone = self.top.clients.first().is_some_and(ClientReport::stands_out);
        self.who_owns(self.top.clients.iter().take(if alone { 1 } else { FEW }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(id: &str, when: When, headroom: Option<f64>, confidence: Confidence) -> Offer {
        let remedy = Remedy {
            id: id.into(),
            title: String::new(),
            why: String::new(),
            effect: String::new(),
            commands: Vec::new(),
            hazards: Vec::new(),
            monthly_cost_usd: None,
            confidence,
        };
        Offer { when, headroom, remedy }
    }

    /// In the order that they are to have.
    fn offers() -> Vec<Offer> {
        use Confidence::{High, Low, Medium};
        use When::{Later, NextTime, Tonight};
        vec![
            offer("gateway-endpoint-s3", Tonight, Some(1.0), High),
            offer("limit-connections-per-client", Tonight, Some(0.81), High),
            offer("nat-gateway-per-az", Tonight, Some(0.501), High),
            offer("add-nat-addresses", Tonight, Some(0.499), Medium),
            offer("interface-endpoint", Tonight, None, High),
            offer("stop-retry-storm", Tonight, Some(0.9), Low),
            offer("use-vpc-resolver", Later, Some(1.0), High),
            offer("close-idle-connections", Later, None, Medium),
            offer("reuse-connections", Later, None, Medium),
            offer("ipv6-egress", Later, Some(1.0), Low),
            offer("improve-flow-log-format", NextTime, None, High),
        ]
    }

    #[test]
    fn what_frees_the_most_ports_tonight_comes_first_whatever_the_order_it_was_thought_of() {
        let ids = |remedies: Vec<Remedy>| remedies.into_iter().map(|r| r.id).collect::<Vec<_>>();
        let wanted: Vec<String> = offers().into_iter().map(|offer| offer.remedy.id).collect();
        for turned in 0..wanted.len() {
            let mut shuffled = offers();
            shuffled.rotate_left(turned);
            shuffled.swap(0, wanted.len() / 2);
            assert_eq!(ids(ranked(shuffled)), wanted);
        }
    }

    #[test]
    fn a_tie_is_decided_by_the_order_of_the_list_and_no_id_is_listed_twice() {
        let tied = |ids: [&str; 14]| {
            ids.map(|id| offer(id, When::Tonight, Some(0.5), Confidence::Medium)).into_iter().collect()
        };
        let mut backwards = ORDER;
        backwards.reverse();
        let ids: Vec<String> = ranked(tied(backwards)).into_iter().map(|r| r.id).collect();
        assert_eq!(ids, ORDER);
        let unique: std::collections::BTreeSet<_> = ORDER.into_iter().collect();
        assert_eq!(unique.len(), ORDER.len());
    }
}
