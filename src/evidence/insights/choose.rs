//! Which flow log is asked, and with which question the ladder begins.

use jiff::Timestamp;

use super::query;
use super::rung::Rung;
use crate::flow::{Field, FormatError, LogFormat};
use crate::gap::{Fix, Gap};
use crate::incident::TimeWindow;
use crate::network::{FlowLog, FlowLogDestination, LogClass, Network, TrafficType};
use crate::words;

/// The flow log that is asked, with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) log_groups: Vec<String>,
    pub(super) format: LogFormat,
    pub(super) traffic: TrafficType,
    pub(super) aggregation_seconds: u32,
    /// Whether clients' interfaces are in it as well.
    pub(super) covers_clients: bool,
    /// Before when none of the log groups holds anything, where that is known of all.
    pub(super) kept_from: Option<Timestamp>,
    /// How many bytes the log groups hold in all, where that is known of all.
    pub(super) stored_bytes: Option<u64>,
    /// The question to begin with.
    pub(super) first: Rung,
    /// Whether Logs Insights discovers fields in its log groups.
    pub(super) discovers_fields: bool,
    /// Which it is, and what speaks for it.
    pub(super) why: String,
}

impl Chosen {
    /// This flow log, as the one that is asked.
    pub(super) fn only(log: &FlowLog, format: &LogFormat, region: Option<&str>) -> Self {
        Self {
            log_groups: log.log_group.iter().cloned().collect(),
            format: format.clone(),
            traffic: log.traffic,
            aggregation_seconds: log.aggregation_seconds,
            covers_clients: !log.resource_id.starts_with("eni-"),
            kept_from: log.kept_from,
            stored_bytes: log.stored_bytes,
            first: first_rung(log.log_class, region),
            discovers_fields: log.log_class == Some(LogClass::Standard),
            why: String::new(),
        }
    }
}

/// The question to begin with, by what the class of a log group and its partition take.
///
/// Sources: "stats" in the Amazon CloudWatch Logs user guide (ten on Standard, two on Infrequent Access; of
/// the class Essentials it says nothing); What's New of 2026-06-17 (ten `stats` and `if` in all commercial
/// Regions, so perhaps in no others).
fn first_rung(class: Option<LogClass>, region: Option<&str>) -> Rung {
    if region.is_some_and(|region| ["cn-", "us-gov-", "us-iso"].iter().any(|of| region.starts_with(of))) {
        return Rung::WorstMinute;
    }
    match class {
        // A class that could not be asked for is mostly the usual one; where it is not, the first question is refused
        // at once, which scans nothing.
        Some(LogClass::Standard) | None => Rung::EveryMinute,
        Some(LogClass::InfrequentAccess | LogClass::Other | LogClass::Delivery) => Rung::FirstAndLast,
    }
}

/// The flow log that shows the most; the ones that can't be used leave a gap.
pub(super) fn choose(network: &Network, gaps: &mut Vec<Gap>) -> Option<Chosen> {
    let mut usable: Vec<(u32, &FlowLog, LogFormat)> = Vec::new();
    let mut unusable: Vec<Gap> = Vec::new();
    for log in &network.flow_logs {
        match readable(log) {
            Ok(format) => usable.push((worth(log, &format), log, format)),
            Err(gap) => unusable.push(gap),
        }
    }
    // Logs that can't be used matter only where no other can.
    let Some((_, log, format)) = usable.iter().max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.id.cmp(&a.1.id)))
    else {
        if network.flow_logs.is_empty() && !network.flow_logs_unknown {
            let none = Gap::new(
                "any traffic of the gateway",
                "no flow log covers its interface, subnet or VPC",
                "create one, as the remedies say",
            );
            gaps.push(none.deciding());
        }
        gaps.extend(unusable.into_iter().map(Gap::deciding));
        return None;
    };
    let same = |other: &&(u32, &FlowLog, LogFormat)| {
        other.2 == *format && other.1.traffic == log.traffic && other.1.resource_id == log.resource_id
    };
    let mut log_groups: Vec<String> =
        usable.iter().filter(same).filter_map(|(_, log, _)| log.log_group.clone()).collect();
    log_groups.sort_unstable();
    log_groups.dedup();
    gaps.extend(indistinct(log, format, &usable));
    if let Some(error) = &log.delivery_error {
        gaps.push(Gap::new(
            format!("records that flow log {} failed to deliver", log.id),
            error.clone(),
            "check the flow log's role and its log group's policy",
        ));
    }
    if log.log_class == Some(LogClass::InfrequentAccess) {
        gaps.push(Gap::new(
            "the gateway's log streams by themselves",
            format!(
                "the log group of flow log {} is of the class Infrequent Access, in which log streams are not indexed: each query scans, and is charged for, the whole group's minutes",
                log.id
            ),
            "create a flow log of only the gateway in a log group of the Standard class, which nothing else writes to",
        ));
    }
    let stored = usable.iter().filter(same).map(|(_, log, _)| log.stored_bytes).sum::<Option<u64>>();
    Some(Chosen {
        kept_from: usable.iter().filter(same).map(|(_, log, _)| log.kept_from).min().flatten(),
        stored_bytes: stored,
        log_groups,
        why: reason(log, format, network.flow_logs.len()) + &instead(network),
        ..Chosen::only(log, format, network.region.as_deref())
    })
}

/// The flow log that shows the most of those whose files in S3 can be read, its format, and what speaks for it.
pub(in crate::evidence) fn best_in_bucket(network: &Network) -> Option<(&FlowLog, LogFormat, String)> {
    let readable = |log: &&FlowLog| log.in_bucket.is_some() && log.traffic != TrafficType::Reject;
    let formats =
        network.flow_logs.iter().filter(readable).filter_map(|log| Some((log, log.format.parse().ok()?)));
    most_telling(formats).map(|(log, format)| {
        let why = reason(log, &format, network.flow_logs.len());
        (log, format, why)
    })
}

fn most_telling<'a>(
    usable: impl Iterator<Item = (&'a FlowLog, LogFormat)>,
) -> Option<(&'a FlowLog, LogFormat)> {
    usable.max_by(|(a, of_a), (b, of_b)| worth(a, of_a).cmp(&worth(b, of_b)).then_with(|| b.id.cmp(&a.id)))
}

/// The best flow log in S3 where it shows more than the one that Logs Insights would be asked about, and what speaks for it.
pub(in crate::evidence) fn better_in_bucket(network: &Network) -> Option<(&FlowLog, LogFormat, String)> {
    let (log, format, why) = best_in_bucket(network)?;
    let usable = network.flow_logs.iter().filter_map(|log| Some((log, readable(log).ok()?)));
    let (other, of_other) = most_telling(usable)?;
    let gained = gained((log, &format), (other, &of_other));
    let why = format!(
        "{why}; {} in CloudWatch Logs was not asked, as it shows no {}",
        other.id,
        gained.join(" and no ")
    );
    (!gained.is_empty()).then_some((log, format, why))
}

/// What a flow log shows and the other one does not, where it shows all else that the other does.
fn gained(
    (log, format): (&FlowLog, &LogFormat),
    (other, of_other): (&FlowLog, &LogFormat),
) -> Vec<&'static str> {
    let mine = merits(log, format).map(|(has, _)| has);
    let theirs = merits(other, of_other).map(|(has, _)| has);
    // The last two are about speed and price in Logs Insights.
    let lacks = mine[..5].iter().zip(&theirs[..5]).any(|(mine, theirs)| *theirs && !*mine);
    let loses_clients = !format.has_packet_addresses()
        && log.resource_id.starts_with("eni-")
        && !other.resource_id.starts_with("eni-");
    let loses_gateway = of_other.has(Field::ResourceId) && !format.has(Field::ResourceId);
    if lacks || loses_clients || loses_gateway {
        return Vec::new();
    }
    let [_, joins, ends, ..] = [0, 1, 2].map(|merit: usize| mine[merit] && !theirs[merit]);
    let gains = [(joins, "clients beside their destinations"), (ends, "ends of connections")];
    gains.into_iter().filter_map(|(gains, what)| gains.then_some(what)).collect()
}

/// Which flow log in S3 would be read instead, in words.
fn instead(network: &Network) -> String {
    better_in_bucket(network).map_or_else(String::new, |(better, ..)| {
        format!("; {} in S3 shows more, and is read instead where its files are there in time", better.id)
    })
}

/// Another flow log whose lines in the same log group look like this one's.
fn indistinct(log: &FlowLog, format: &LogFormat, usable: &[(u32, &FlowLog, LogFormat)]) -> Option<Gap> {
    let (_, other, _) = usable.iter().find(|(_, other, of)| {
        other.log_group == log.log_group && of != format && query::alike(of, format)
    })?;
    Some(Gap::new(
        format!("which records are those of flow log {}", log.id),
        format!(
            "flow log {} writes lines of the same shape to {}, in another order of fields: some may have been read wrongly",
            other.id,
            log.log_group.as_deref().unwrap_or("the same log group")
        ),
        "give one of the two a log group of its own",
    ))
}

/// Nothing of the window can be there: no query is worth its price.
pub(super) fn before_its_time(chosen: &Chosen, window: TimeWindow, from: Timestamp) -> Gap {
    Gap::new(
        "any traffic of the gateway",
        format!(
            "the window ended at {}, and {} holds nothing from before {}: it was created later, or keeps records no longer",
            words::instant(window.end()),
            chosen.log_groups.join(", "),
            words::instant(from)
        ),
        Fix::run_to(
            "read the records from elsewhere, if they were delivered elsewhere too",
            "nat-triage analyze --flow-logs FILES --event EVENT.json",
        ),
    )
    .deciding()
}

/// The format of a flow log that Logs Insights can be asked about, or why it can't be.
fn readable(log: &FlowLog) -> Result<LogFormat, Gap> {
    let what = format!("flow log {}", log.id);
    if let Some(files) = &log.in_bucket {
        return Err(Gap::new(
            what,
            "it is delivered to S3, where Logs Insights can't ask",
            format!(
                "read its files: nat-triage analyze --flow-logs {}",
                words::in_shell(&files.place.to_string())
            ),
        ));
    }
    if log.destination != FlowLogDestination::CloudWatchLogs || log.log_group.is_none() {
        return Err(Gap::new(
            what,
            "it is not delivered to CloudWatch Logs, which is where we can ask",
            "copy its files and run nat-triage analyze --flow-logs FILES, or create a second flow log to a log group",
        ));
    }
    if log.log_class == Some(LogClass::Delivery) {
        return Err(Gap::new(
            what,
            "its log group is of the class Delivery, which Logs Insights can't ask",
            "create a second flow log to a log group of the Standard class",
        ));
    }
    if log.traffic == TrafficType::Reject {
        return Err(Gap::new(
            what,
            "it holds only rejected traffic, in which no held port shows",
            "create a second flow log with traffic type ALL",
        ));
    }
    log.format.parse().map_err(|error: FormatError| {
        Gap::new(what, error.to_string(), "create a second flow log with the fields that are missing")
    })
}

/// How much a flow log shows: joined clients first, then ends of connections, then short records,
/// then all traffic, then the gateway's own interface, whose group is small.
fn worth(log: &FlowLog, format: &LogFormat) -> u32 {
    merits(log, format).iter().fold(0, |sum, (has, _)| sum * 2 + u32::from(*has))
}

/// What speaks for a flow log, most important first, in words.
fn merits(log: &FlowLog, format: &LogFormat) -> [(bool, &'static str); 7] {
    // Of a group that takes two `stats` the ends can't be asked.
    let takes_three = matches!(log.log_class, Some(LogClass::Standard) | None);
    let ends = format.has(Field::TcpFlags) && takes_three;
    let own = log.resource_id.starts_with("eni-") || log.resource_id.starts_with("nat-");
    [
        (log.delivery_error.is_none(), "is delivered without errors"),
        (format.has_packet_addresses(), "joins clients and destinations"),
        (ends, "shows ends of connections"),
        (log.aggregation_seconds <= 60, "has records of a minute"),
        (log.traffic == TrafficType::All, "holds all traffic"),
        (own, "is of only the gateway"),
        (log.log_class == Some(LogClass::Standard), "has its streams indexed"),
    ]
}

/// `fl-1 of vpc-1, of 3 that cover the gateway: it …, … and …`.
fn reason(log: &FlowLog, format: &LogFormat, of: usize) -> String {
    let merits: Vec<&str> =
        merits(log, format).into_iter().filter_map(|(has, merit)| has.then_some(merit)).collect();
    let of = if of == 1 {
        "the one that covers the gateway".to_owned()
    } else {
        format!("of {of} that cover the gateway")
    };
    let merits = merits.join(", ");
    if log.is_named() {
        return format!("the flow log {}: it {merits}", log.id);
    }
    format!("{} of {}, {of}: it {merits}", log.id, log.resource_id)
}
