//! A flow log that shows more, where the one at hand shows too little.

use super::{Offer, Offered, Rule, Worth};
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Command, Confidence, Remedy, RemedyId, Scan, When};
use crate::diagnosis::commands::region_option;
use crate::diagnosis::findings::Findings;
use crate::diagnosis::gaps;
use crate::evidence::Source;
use crate::network::{FlowLog, FlowLogDestination, LogClass, Provenance, TrafficType};

/// Seconds of the shorter of the two aggregation intervals that flow logs know.
const SHORTER: u32 = 60;

/// Whether a flow log delivers the traffic that held ports show in to where we look.
fn delivers(findings: &Findings<'_>, log: &FlowLog) -> bool {
    let within_reach = match findings.evidence.coverage.source {
        Source::Files | Source::S3 | Source::Athena => true,
        Source::LogsInsights => {
            log.destination == FlowLogDestination::CloudWatchLogs && log.log_class != Some(LogClass::Delivery)
        }
    };
    within_reach && log.traffic != TrafficType::Reject && log.delivery_error.is_none()
}

/// What a flow log of this format and interval lacks.
fn lacks(formats: &[String], aggregation_seconds: u32) -> Vec<String> {
    let lack = |field: &str| formats.iter().any(|format| !format.contains(field));
    let mut lacks = Vec::new();
    if lack("${pkt-dstaddr}") || lack("${pkt-srcaddr}") {
        lacks.push("pkt-srcaddr and pkt-dstaddr, which join clients to destinations".to_owned());
    }
    if lack("${tcp-flags}") {
        lacks.push("tcp-flags, which show when a port was given back".to_owned());
    }
    if aggregation_seconds > SHORTER {
        lacks.push(format!("records shorter than {aggregation_seconds} s"));
    }
    lacks
}

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::EnableFlowLogs, RemedyId::ImproveFlowLogFormat],
    when: "next-incident",
    offered: "there is no usable flow log; or it lacks what the answer needs",
    why: "the next incident gets its diagnosis",
    caution: "delivery is charged by volume",
    offer: Offered::Always(flow_logs),
};

fn flow_logs(findings: &Findings<'_>, _: Option<&Scan>) -> Option<Offer> {
    let coverage = &findings.evidence.coverage;
    let none = coverage.records_read == 0 && coverage.formats.is_empty();
    let lacks = if none {
        // Of a gateway that was not found, or whose flow logs could not be asked for, nothing is
        // known to be missing.
        let known = matches!(findings.network.gateway.provenance, Provenance::LookedUp | Provenance::Named);
        let there = findings.network.flow_logs.iter().any(|log| delivers(findings, log));
        if !known || there || findings.network.flow_logs_unknown {
            return None;
        }
        Vec::new()
    } else {
        let lacks = lacks(&coverage.formats, coverage.aggregation_seconds);
        // One with everything may be there already: made since, or delivered elsewhere.
        let mut others = findings.network.flow_logs.iter().filter(|log| delivers(findings, log));
        if lacks.is_empty()
            || others
                .any(|log| self::lacks(std::slice::from_ref(&log.format), log.aggregation_seconds).is_empty())
        {
            return None;
        }
        lacks
    };
    let region = region_option(findings.region());
    Some(Offer {
        worth: Worth::Solves,
        headroom: None,
        remedy: Remedy {
            id: if none { RemedyId::EnableFlowLogs } else { RemedyId::ImproveFlowLogFormat },
            when: When::NextIncident,
            condition: None,
            title: if none { "Create a flow log for the gateway" } else { "Add a second flow log with more fields" }.into(),
            why: if none {
                "No flow log of the gateway could be read.".into()
            } else {
                format!("The flow log lacks {}.", lacks.join("; "))
            },
            effect: if none {
                "Records arrive from about ten minutes later. If the errors last that long, ask again then: the records name the destination. What happened before stays unknown."
            } else {
                "The diagnosis of the next incident has narrow ranges and names clients. This does not help with the present one."
            }
            .into(),
            commands: vec![Command {
                does: "creates a flow log of only the gateway".into(),
                run: gaps::better_format(findings),
                verify: format!("aws ec2 describe-flow-logs{region}").into(),
                undo: CommandLine::with(format!("aws ec2 delete-flow-logs --flow-log-ids NEW_FLOW_LOG_ID{region}"), &[Blank::NEW_FLOW_LOG_ID]).into(),
            }],
            hazards: vec!["Delivery is charged by volume. A flow log of only the gateway's interface is far smaller than the VPC's.".into()],
            monthly_cost_usd: None,
            confidence: Confidence::High,
        },
    })
}
