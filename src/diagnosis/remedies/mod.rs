//! Fixes, each gated on its evidence, ranked by how much it helps now.
//!
//! The order is total, and the same for the same evidence:
//!
//! 1. what helps within minutes, then what has to be approved or rewritten first, then what helps
//!    with the next incident only ([`When`]);
//! 2. within each, what is certain before what only wins time, and that before what rests on something that could
//!    not be seen ([`Condition`]); last, what breaks off connections that are needed;
//! 3. of those, what rests on one of several readings of the evidence (low confidence) last;
//! 4. then by headroom: the part of the destination's ports that would be free afterwards, counting
//!    both those who hold one now and those who were refused. That is what makes taking a destination
//!    off the gateway, stopping a holder, moving clients away and adding addresses comparable. What
//!    can't be put into a figure comes after what can;
//! 5. then by confidence, and at last in the order of [`RemedyId`].
//!
//! A destination without a port left always gets a step that helps within minutes: where no rule offers one, the
//! greatest holders are named who hold a tenth or more, and where no record names them, the way to a second gateway.

mod add_addresses;
mod caps;
mod demand;
mod flow_logs;
mod gateway_endpoint;
mod idle_connections;
mod interface_endpoint;
mod ipv6_egress;
mod isolate;
mod limit_client;
mod per_zone;
mod placement;
mod retry_storm;
mod reuse_connections;
mod split;
mod spread;
mod vpc_resolver;

use std::cmp::Reverse;

use super::commands::{describe_owners, errors_since, shown};
use super::findings::{Findings, Ranked};
use crate::command_line::CommandLine;
use crate::contract::{
    ClientReport, Command, Confidence, Pattern, Remedy, RemedyId, Scan, Undo, Verdict, When,
};
use crate::evidence::Attribution;
use crate::words;
use demand::Demand;

pub(super) use gateway_endpoint::endpoint_in_place;

/// A remedy that frees less than this part of the ports is not worth what it may break.
const WORTH: f64 = 0.1;

/// Seconds after which a gateway lets go of an idle connection, as a word in sentences.
const IDLE: &str = "350 s";

/// Hours of a month, as AWS's price lists count them.
const HOURS_A_MONTH: f64 = 730.0;

/// What a remedy is worth beside others, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// What filled the ports does so no more, or has room.
    Solves,
    /// What filled the ports fills them again.
    WinsTime,
    /// Connections that are needed break off.
    BreaksOffWhatIsNeeded,
}

/// Every remedy there is, a file each; `docs/remedies.md` lists them in this order.
const RULES: &[Rule] = &[
    gateway_endpoint::RULE,
    isolate::RULE,
    limit_client::RULE,
    retry_storm::RULE,
    add_addresses::RULE,
    per_zone::RULE,
    split::RULE,
    interface_endpoint::RULE,
    vpc_resolver::RULE,
    idle_connections::RULE,
    reuse_connections::RULE,
    spread::RULE,
    ipv6_egress::RULE,
    flow_logs::RULE,
];

/// One remedy: for the documents when it is offered, why it helps and what it may break, each as a clause; and what
/// offers it.
struct Rule {
    /// Its names: several where one file serves several services.
    ids: &'static [RemedyId],
    /// When it helps.
    when: &'static str,
    /// What the evidence has to show.
    offered: &'static str,
    /// Why it helps.
    why: &'static str,
    /// What it may break.
    caution: &'static str,
    offer: Offered,
}

/// What offers a remedy, where the evidence supports it.
enum Offered {
    /// Whether a destination is full or not.
    Always(fn(&Findings<'_>, Option<&Scan>) -> Option<Offer>),
    /// Only against a shortage.
    Shortage(fn(&Shortage<'_>) -> Option<Offer>),
}

/// The page `docs/remedies.md`.
#[must_use]
pub fn as_markdown() -> String {
    let mut rows = String::new();
    for Rule { ids, when, offered, why, caution, .. } in RULES {
        let ids: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
        rows.push_str(&format!("| {} | {when} | {offered} | {why} | {caution} |\n", ids.join(", ")));
    }
    include_str!("page.md").replace("{remedies}\n", &rows)
}

/// A remedy with what it is ranked by.
#[derive(Debug)]
struct Offer {
    /// The part of the destination's ports that would be free afterwards; negative where the remedy
    /// alone does not suffice; `None` where no figure can be put to it.
    headroom: Option<f64>,
    worth: Worth,
    remedy: Remedy,
}

impl Offer {
    /// What the order goes by. Whole percents: nothing here is good for more.
    fn key(&self) -> impl Ord + use<> {
        let percent = self.headroom.map(|part| (part * 100.0).round() as i64);
        let Remedy { id, when, ref condition, confidence, .. } = self.remedy;
        let class = match (self.worth, condition) {
            (Worth::Solves, None) => 0,
            (Worth::WinsTime, None) => 1,
            (Worth::Solves | Worth::WinsTime, Some(_)) => 2,
            (Worth::BreaksOffWhatIsNeeded, None) => 3,
            (Worth::BreaksOffWhatIsNeeded, Some(_)) => 4,
        };
        let doubtful = confidence == Confidence::Low;
        (when, class, doubtful, self.worth, Reverse(percent), Reverse(confidence), id)
    }
}

/// What the remedies are for: a destination without a port left.
struct Shortage<'a> {
    findings: &'a Findings<'a>,
    top: &'a Ranked,
    verdict: Verdict,
    pattern: Option<Pattern>,
    scan: Option<&'a Scan>,
    /// Ports that can be held towards it at once.
    capacity: u32,
}

/// The remedies that the evidence supports, most helpful first.
pub(super) fn remedies(
    findings: &Findings<'_>,
    verdict: Verdict,
    pattern: Option<Pattern>,
    scan: Option<&Scan>,
) -> Vec<Remedy> {
    let always = |rule: &Rule| match rule.offer {
        Offered::Always(offer) => offer(findings, scan),
        Offered::Shortage(_) => None,
    };
    let mut offers: Vec<Offer> = RULES.iter().filter_map(always).collect();
    let mut reason = None;
    if let (Some(top), Some(capacity)) = (findings.top(), findings.capacity)
        && matches!(verdict, Verdict::Confirmed | Verdict::Likely)
    {
        let shortage = Shortage { findings, top, verdict, pattern, scan, capacity };
        offers.extend(against(&shortage));
        reason = add_addresses::why_none(&shortage);
    }
    let mut remedies = ranked(offers);
    // Whoever thinks of more addresses first, as AWS's own article does, reads here why that is no way out.
    if let (Some(first), Some(reason)) = (remedies.first_mut(), reason) {
        first.why = format!("{} {reason}", first.why);
    }
    remedies
}

/// What helps against a shortage: always something that helps within minutes.
fn against(shortage: &Shortage<'_>) -> Vec<Offer> {
    let against = |rule: &Rule| match rule.offer {
        Offered::Shortage(offer) => offer(shortage),
        Offered::Always(_) => None,
    };
    let mut offers: Vec<Offer> = RULES.iter().filter_map(against).collect();
    let now = |offers: &[Offer]| offers.iter().any(|offer| offer.remedy.when == When::Now);
    let isolated = shortage.isolates_greatest_holder();
    // Isolating whoever scans is such a step, and in a fan-in nobody holds enough for it to help.
    if !now(&offers) && !isolated && shortage.pattern != Some(Pattern::FanIn) {
        offers.extend(limit_client::limit_greatest_holders(shortage));
    }
    if !now(&offers) && !isolated {
        offers.push(split::find_out_who_could_move(shortage));
    }
    offers
}

fn ranked(mut offers: Vec<Offer>) -> Vec<Remedy> {
    offers.sort_by_key(Offer::key);
    offers.into_iter().map(|offer| offer.remedy).collect()
}

impl<'a> Shortage<'a> {
    fn region(&self) -> Option<&'a str> {
        self.findings.region()
    }

    /// Connections that want a port at once: those that hold one, and those that were refused.
    fn demand(&self) -> Demand {
        Demand::of(self)
    }

    /// The part of `capacity` ports that is free once a part of the demand, as a fraction of 1, is
    /// gone. By the least that is wanted at once: what is above it may be the same connections, tried again.
    fn headroom(&self, gone: f64, capacity: u32) -> f64 {
        1.0 - self.demand().least as f64 * (1.0 - gone) / f64::from(capacity.max(1))
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

    /// Whether the attempts bring nothing: they would fill another gateway, and help nobody there.
    fn brings_nothing(&self) -> bool {
        matches!(self.pattern, Some(Pattern::RetryStorm | Pattern::Scan))
    }

    /// Whether the greatest holder is who scans: isolating a client is more than capping it.
    fn isolates_greatest_holder(&self) -> bool {
        let holder = self.top.clients.first().map(|client| client.address);
        self.scan.is_some_and(|scan| scan.client.is_some() && scan.client == holder)
    }

    /// Whether the connections are known to be what the clients need. For a leak more ports are more to leak; a
    /// retry storm or a scan is not demand; where the pattern is not known, neither is this.
    fn is_real_demand(&self) -> bool {
        matches!(self.pattern, Some(Pattern::LongLived | Pattern::Churn | Pattern::FanIn))
    }

    /// What room for more connections is worth: where they are not needed, they fill it as well.
    fn worth_of_room(&self) -> Worth {
        if self.is_real_demand() { Worth::Solves } else { Worth::WinsTime }
    }

    /// What shows that a remedy worked: the errors of the day since then stop.
    fn errors_stop(&self) -> CommandLine {
        errors_since(self.findings)
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
        let command = |run: String| Command {
            does: format!("shows who owns {}{vpc}", words::list(&listed)),
            run: run.into(),
            verify: self.errors_stop(),
            undo: Undo::nothing("this only shows who owns the address"),
        };
        describe_owners(&addresses, self.region()).into_iter().map(command).collect()
    }

    /// Shows who the greatest holder is; where none stands out, who the greatest few are. Of those that are
    /// known already, nothing.
    fn who_holds_most(&self) -> Vec<Command> {
        self.who_owns(self.greatest().iter().filter(|client| client.name.is_none()))
    }

    /// The greatest holder; where none stands out, the greatest few.
    fn greatest(&self) -> &'a [ClientReport] {
        const FEW: usize = 3;

        let clients = &self.top.clients;
        let alone = clients.first().is_some_and(ClientReport::stands_out);
        &clients[..clients.len().min(if alone { 1 } else { FEW })]
    }

    /// The same, where they hold so much together that stopping them frees ports worth what it breaks off.
    fn greatest_worth_stopping(&self) -> &'a [ClientReport] {
        let greatest = self.greatest();
        let share: f64 = greatest.iter().map(|client| client.share).sum();
        if share < WORTH { &[] } else { greatest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Condition;

    fn offer(id: RemedyId, when: When, headroom: Option<f64>, confidence: Confidence) -> Offer {
        let remedy = Remedy {
            id,
            title: String::new(),
            when,
            condition: None,
            why: String::new(),
            effect: String::new(),
            commands: Vec::new(),
            hazards: Vec::new(),
            monthly_cost_usd: None,
            confidence,
        };
        Offer { headroom, worth: Worth::Solves, remedy }
    }

    fn conditional(mut offer: Offer) -> Offer {
        offer.remedy.condition = Some(Condition { unknown: String::new(), command: String::new().into() });
        offer
    }

    /// In the order that they are to have.
    fn offers() -> Vec<Offer> {
        use Confidence::{High, Low, Medium};
        use When::{Later, NextIncident, Now};
        vec![
            offer(RemedyId::GatewayEndpointS3, Now, Some(1.0), High),
            offer(RemedyId::LimitConnectionsPerClient, Now, Some(0.81), High),
            offer(RemedyId::NatGatewayPerAz, Now, Some(0.501), High),
            offer(RemedyId::SplitOverGateways, Now, Some(0.499), Medium),
            offer(RemedyId::InterfaceEndpoint, Now, None, High),
            offer(RemedyId::StopRetryStorm, Now, Some(0.9), Low),
            Offer { worth: Worth::WinsTime, ..offer(RemedyId::AddNatAddresses, Now, Some(0.2), High) },
            conditional(offer(RemedyId::GatewayEndpointDynamoDb, Now, Some(1.0), High)),
            Offer {
                worth: Worth::BreaksOffWhatIsNeeded,
                ..offer(RemedyId::IsolateClient, Now, Some(1.0), High)
            },
            offer(RemedyId::UseVpcResolver, Later, Some(1.0), High),
            offer(RemedyId::CloseIdleConnections, Later, None, Medium),
            offer(RemedyId::ReuseConnections, Later, None, Medium),
            offer(RemedyId::Ipv6Egress, Later, Some(1.0), Low),
            offer(RemedyId::ImproveFlowLogFormat, NextIncident, None, High),
        ]
    }

    #[test]
    fn what_frees_most_tonight_comes_first_in_whatever_order() {
        let ids = |remedies: Vec<Remedy>| remedies.into_iter().map(|r| r.id).collect::<Vec<_>>();
        let wanted: Vec<RemedyId> = offers().into_iter().map(|offer| offer.remedy.id).collect();
        for turned in 0..wanted.len() {
            let mut shuffled = offers();
            shuffled.rotate_left(turned);
            shuffled.swap(0, wanted.len() / 2);
            assert_eq!(ids(ranked(shuffled)), wanted);
        }
    }

    #[test]
    fn each_remedy_has_one_rule() {
        let mut ids: Vec<RemedyId> = RULES.iter().flat_map(|rule| rule.ids).copied().collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{ids:?}");
    }
}
