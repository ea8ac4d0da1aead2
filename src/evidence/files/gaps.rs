//! What files do not tell, and what to do about it.

use std::net::IpAddr;

use super::common_ports::CommonPorts;
use super::instant;
use crate::evidence::Evidence;
use crate::evidence::infer::{Inference, Inferred, Suspect};
use crate::flow::LineError;
use crate::flow::reader::{Reading, RejectReason};
use crate::gap::WHICH_GATEWAY;
use crate::gap::{Fix, Gap};
use crate::incident::{Incident, InterfaceId};
use crate::network::{GatewayKind, IDLE_TIMEOUT_SECONDS, NatGateway, Provenance};
use crate::words;

/// One of several times of which the records are, far apart.
pub(super) struct Part {
    pub(super) span: (i64, i64),
    pub(super) others: Vec<(i64, i64)>,
}

impl Part {
    pub(super) fn gap(&self) -> Gap {
        let window = |(from, to): (i64, i64)| format!("{}/{}", instant(from), instant(to.saturating_add(1)));
        let span = |(from, to): (i64, i64)| words::span(instant(from), instant(to.saturating_add(1)));
        let others: Vec<String> = self.others.iter().take(MOST_PARTS).map(|other| span(*other)).collect();
        let more = self.others.len() - others.len();
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        Gap::new(
            "the other minutes in these files",
            format!(
                "the records are of times far apart, and no window was named: this is about {}, in which a destination was fullest; the others are {}{more}",
                span(self.span),
                words::list(&others),
            ),
            format!("look at each by itself, such as with --window {}", window(self.others[0])),
        )
    }
}

/// So many times are named.
pub(super) const MOST_PARTS: usize = 5;

/// What is missing of the gateway and its minutes, and what is missing elsewhere.
pub(super) struct Damage {
    pub(super) lines: u64,
    pub(super) lines_elsewhere: u64,
    pub(super) skipdata: u64,
    pub(super) skipdata_elsewhere: u64,
    /// For each failed file, whether it may hold records of the gateway.
    pub(super) failed: Vec<bool>,
}

impl Damage {
    pub(super) fn files(&self) -> u64 {
        self.failed.iter().filter(|concerns| **concerns).count() as u64
    }
}

/// Nobody named a gateway, and the records show none.
pub(super) fn no_gateway(times: &str, inference: &Inference) -> Gap {
    let whole = "give the whole flow log of the gateway's own interface";
    match inference.suspect() {
        None => Gap::new(
            "a NAT gateway",
            format!("there is no NAT gateway in these records: {times}, and no address in them takes traffic of others and sends it on"),
            whole,
        ),
        Some(Suspect { address, why }) => Gap::new(
            "a NAT gateway",
            format!("there is no NAT gateway at work in these records: {times}; {why}"),
            match address {
                Some(address) => format!("{whole}, or run again with --nat-ip {address} if that is the gateway"),
                None => whole.to_owned(),
            },
        ),
    }
    .deciding()
}

/// In the records of a gateway that was inferred there is one destination and no other, or one port in every record,
/// as in a file that was filtered: that no other was full, nothing says.
pub(super) fn one_destination(
    evidence: &mut Evidence,
    gateway: &NatGateway,
    ports: CommonPorts,
) -> Option<Gap> {
    let clients = evidence.clients.keys().map(|using| using.destination.address);
    let mut addresses: Vec<IpAddr> = evidence
        .destinations
        .keys()
        .map(|destination| destination.address)
        .chain(clients)
        .flatten()
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    let only = match (&addresses[..], ports.filtered_on()) {
        ([only], _) => format!("destinations other than {only}"),
        (_, Some(port)) => format!("destinations on other ports than {port}"),
        _ => return None,
    };
    evidence.filtered = gateway.provenance == Provenance::Inferred;
    // Where the records begin too late, that is what keeps the answer open.
    let begins = evidence.coverage.logs_from?.as_second();
    let reaches = begins + IDLE_TIMEOUT_SECONDS <= evidence.window.start().as_second();
    (evidence.filtered && reaches).then(|| {
        Gap::new(
            only,
            "the records show no other, as in a log that was filtered on one",
            "run again with all records of the gateway, and name it with --nat-ip",
        )
        .deciding()
    })
}

/// Where the window was not named, it begins once the records reach back far enough; what was before is said.
pub(super) fn beginning_gap(evidence: &Evidence, incident: &Incident) -> Option<Gap> {
    let from = evidence.coverage.logs_from.filter(|_| incident.window.is_none())?;
    let start = evidence.window.start();
    (from < start).then(|| {
        Gap::new(
            format!("what was held from {} on", words::span(from, start)),
            format!(
                "a port is held for {IDLE_TIMEOUT_SECONDS} s after its last packet, so that only records of the {IDLE_TIMEOUT_SECONDS} s before tell: the window begins where these do"
            ),
            "run again with the files of the minutes before as well",
        )
    })
}

/// The gateway with what nobody named of it, its addresses and interface, as the records tell.
pub(super) struct Told {
    pub(super) gateway: NatGateway,
    /// Whether nothing shows it talk to a server.
    pub(super) one_sided: bool,
    /// Whether there are several, and none was named.
    pub(super) several: bool,
    pub(super) gaps: Vec<Gap>,
}

impl Told {
    pub(super) fn of(named: &NatGateway, inference: &Inference) -> Self {
        let mut told = Self { gateway: named.clone(), one_sided: false, several: false, gaps: Vec::new() };
        if named.provenance == Provenance::Named
            && named.kind == GatewayKind::Regional
            && !inference.saw_regional()
        {
            told.gaps.push(Gap::new(
                "the public addresses that were named",
                "flow logs show public addresses only of regional gateways, and no record is of one; the private ones were inferred from the records",
                "name the gateway's private addresses with --nat-ip",
            ));
            told.gateway = NatGateway { kind: GatewayKind::Zonal, addresses: Vec::new(), ..named.clone() };
        }
        if !told.gateway.logged_addresses().is_empty() {
            return told;
        }
        match inference.finish(&told.gateway) {
            Some(Inferred { gateway, others, one_sided }) => {
                if one_sided {
                    let addresses: Vec<String> =
                        gateway.logged_addresses().iter().map(ToString::to_string).collect();
                    told.gaps.push(
                        Gap::new(
                            format!("whether {} is the gateway", words::list(&addresses)),
                            "it takes packets that are meant for others, and no record shows it talk to a server: a log that was filtered on a client looks like that",
                            "run again with all records of the interface",
                        )
                        .deciding(),
                    );
                }
                let (gateway_kind, by_interface) = (gateway.kind, !gateway.interface_ids.is_empty());
                told.gateway = gateway;
                (told.one_sided, told.several) = (one_sided, !others.is_empty());
                if !others.is_empty() {
                    told.gaps.push(Gap::new(
                        WHICH_GATEWAY,
                        format!(
                            "the records hold several and none was named: this is about the busiest; also seen: {}",
                            others.join(", ")
                        ),
                        // Gateways of several VPCs may have one private address.
                        match (gateway_kind, by_interface) {
                            (GatewayKind::Regional, _) => "run again with --nat-id naming the gateway in question",
                            (_, true) => "run again with --eni naming the gateway in question",
                            (_, false) => "run again with --nat-ip naming the gateway in question",
                        },
                    ).deciding());
                }
            }
            None => told.gateway.provenance = Provenance::Unknown,
        }
        told
    }
}

/// Several gateways have the address that was named, each in a VPC of its own, as their interfaces tell: the busiest
/// first.
pub(super) fn shared_address(gateway: &NatGateway, shown_on: &[InterfaceId]) -> Option<Gap> {
    let [busiest, others @ ..] = shown_on else { return None };
    let addresses: Vec<String> = gateway.logged_addresses().iter().map(ToString::to_string).collect();
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    (!others.is_empty()).then(|| {
        Gap::new(
            WHICH_GATEWAY,
            format!(
                "the records show {} at several interfaces, which are different gateways': this is about the busiest, {busiest}; also seen: {}",
                words::list(&addresses),
                others.join(", ")
            ),
            "run again with --eni naming the gateway in question",
        )
        .deciding()
    })
}

pub(super) fn reading_gaps(reading: &Reading, damage: &Damage) -> Vec<Gap> {
    let failed = reading.failed.iter().zip(&damage.failed);
    let mut gaps: Vec<Gap> = failed
        .clone()
        .take(MAX_NAMED)
        .map(|(failed, concerns)| {
            let gap = Gap::new(format!("the file {}", failed.name), failed.error.clone(), failed.fix.clone());
            if *concerns {
                return gap.deciding();
            }
            Gap { why: format!("{}; its name says that it is of another interface or time", gap.why), ..gap }
        })
        .collect();
    let unnamed = reading.failed.len().saturating_sub(MAX_NAMED);
    if unnamed > 0 {
        let decides = failed.skip(MAX_NAMED).any(|(_, concerns)| *concerns);
        let what = words::counted(unnamed as u64, "more file");
        let gap = Gap::new(what, "they cannot be read either", "see to those named first, and run again");
        gaps.push(Gap { decides, ..gap });
    }
    gaps.extend(reading.rejected.iter().take(MAX_NAMED).map(|rejected| {
        Gap::new(
            format!("{} of {}", words::counted(rejected.count, "line"), rejected.file),
            format!("{}; first at line {}: {}", rejected.reason, rejected.line, rejected.sample),
            match rejected.reason {
                RejectReason::NoFormat { .. } | RejectReason::Header(_) => Fix::run_to(
                    "pass --log-format with the fields as in the flow log's own format string",
                    "aws ec2 describe-flow-logs --query 'FlowLogs[].[FlowLogId,LogFormat]' --output text",
                ),
                RejectReason::Line(LineError::Length { .. }) => {
                    "look at the line in the file; where the fields are others, pass --log-format".into()
                }
                _ => "look at the line in the file; nothing else was lost".into(),
            },
        )
    }));
    let unnamed: u64 = reading.rejected.iter().skip(MAX_NAMED).map(|rejected| rejected.count).sum();
    if unnamed > 0 {
        gaps.push(Gap::new(
            words::counted(unnamed, "more line"),
            "they are of other files or have other faults than those named",
            "look at the lines named first",
        ));
    }
    let elsewhere = [(damage.skipdata_elsewhere, "SKIPDATA record"), (damage.lines_elsewhere, "unread line")];
    let elsewhere: Vec<String> = elsewhere
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, thing)| words::counted(*count, thing))
        .collect();
    if !elsewhere.is_empty() {
        gaps.push(Gap::new(
            "records of other interfaces or minutes",
            format!(
                "{}; by what they name, they are not of this gateway and its minutes",
                words::list(&elsewhere)
            ),
            "name that interface with --eni, or those minutes with --window, to ask about them",
        ));
    }
    if !reading.passed_over.is_empty() {
        let names = reading.passed_over.iter().take(MOST_PASSED_OVER);
        let mut named: Vec<String> =
            names.map(|passed| format!("{} ({})", passed.name, passed.what)).collect();
        let more = reading.passed_over.len() - named.len();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        gaps.push(Gap::new(
            format!(
                "flow logs in {} of the input",
                words::counted(reading.passed_over.len() as u64, "other file")
            ),
            format!("passed over: {}", words::list(&named)),
            "give those that should be flow logs again, in a shape that is read",
        ));
    }
    gaps
}

/// So many files that failed, and faults of lines, have a gap each; the others have one together.
pub(super) const MAX_NAMED: usize = 10;

/// So many files that were passed over are named.
pub(super) const MOST_PASSED_OVER: usize = 5;
