//! What could not be seen, and the one step that would show it.

use super::commands;
use super::commands::{quoted, region_option};
use super::findings::{Errors, Findings, UNKNOWN_ZONE, Unseen};
use super::refusals::Unplaced;
use super::verdict::{NOT_NEAR, hidden, perhaps_no_error, refused_uncounted};
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Verdict, greater_unshown_part};
use crate::evidence::{Attribution, RejectedWay, Source, TCP};
use crate::flow::Field;
use crate::gap::{Fix, Gap};
use crate::incident::NatGatewayId;
use crate::network::{GatewayKind, IDLE_TIMEOUT_SECONDS, MetricName, Network, Provenance};
use crate::words;

/// All gaps, those of the source first, then those that this diagnosis ran into.
pub(super) fn gaps(findings: &Findings<'_>, verdict: Verdict) -> Vec<Gap> {
    let mut gaps = findings.evidence.gaps.clone();
    gaps.extend(no_records(findings).or_else(|| missing_records(findings, verdict)).map(Gap::deciding));
    gaps.extend(skipped(findings));
    gaps.extend(capacity(findings));
    gaps.extend(addresses(findings));
    gaps.extend(clients(findings));
    gaps.extend(zones(findings));
    gaps.extend(ends(findings));
    gaps.extend(volumes(findings));
    gaps.extend(errors(findings, verdict));
    gaps.extend(unexplained(findings, verdict).map(Gap::deciding));
    gaps.extend(unplaced(findings));
    gaps.extend(connections_unseen(findings));
    gaps.extend(connections_uncounted(findings));
    gaps.extend(attempts_unseen(findings, verdict));
    gaps.extend(errors_unexplained(findings, verdict).map(Gap::deciding));
    gaps.extend(wide_range(findings, verdict).map(Gap::deciding));
    gaps.extend(uncounted(findings));
    gaps.extend(rejected(findings));
    gaps.extend(answers(findings));
    if matches!(verdict, Verdict::Confirmed | Verdict::Likely) {
        gaps.extend(super::remedies::endpoint_in_place(findings));
    }
    // Whoever found the gap may not know which incident it is about.
    let ask_again = commands::triage(findings.gateway_id(), findings.evidence.window, findings.region());
    for gap in &mut gaps {
        gap.fix.ask_by(&ask_again);
        // Where CloudWatch counted no error, the answer hangs on nothing else.
        gap.decides &= verdict != Verdict::NotSupported;
    }
    gaps
}

/// Records that flow logs left out.
fn skipped(findings: &Findings<'_>) -> Option<Gap> {
    let records = findings.evidence.coverage.skipdata;
    (records > 0).then(|| {
        Gap::new(
            "records that flow logs left out",
            format!("{}; each may stand for many flows", words::counted(records, "SKIPDATA record")),
            Fix::never("nothing brings them back: take the counts as lower bounds"),
        )
        .deciding()
    })
}

fn no_records(findings: &Findings<'_>) -> Option<Gap> {
    let coverage = &findings.evidence.coverage;
    // Of files the source itself says what they hold instead.
    let asked = matches!(coverage.source, Source::LogsInsights | Source::Athena);
    let none = coverage.records_read == 0 && asked;
    (none && !findings.evidence.unanswered).then(|| {
        Gap::new(
            "any traffic of the gateway",
            "the flow logs held no record of it when they were asked; they arrive 6 to 15 minutes late",
            Fix::ask_again("run again in 15 minutes"),
        )
    })
}

fn missing_records(findings: &Findings<'_>, verdict: Verdict) -> Option<Gap> {
    let coverage = &findings.evidence.coverage;
    // Ports that were held before matter no more where it is certain that all were.
    let enough = findings.complete || (findings.window_covered && verdict == Verdict::Confirmed);
    if enough || coverage.skipdata > 0 || coverage.damaged() {
        return None;
    }
    let (from, until) = (coverage.logs_from?, coverage.logs_until?);
    let again = match coverage.source {
        Source::Files => Fix::from("run again with the files of the missing minutes"),
        Source::LogsInsights | Source::S3 | Source::Athena => {
            Fix::ask_again("run again once they have arrived")
        }
    };
    let window = findings.evidence.window;
    let (start, end) = (findings.evidence.asked.start(), window.end());
    // What was never kept does not arrive later.
    let needed = start.as_second() - IDLE_TIMEOUT_SECONDS + LAST_SECONDS;
    let earlier = match coverage.kept_from.filter(|kept| kept.as_second() > needed) {
        Some(kept) => Fix::never(format!(
            "nothing brings them back. The log group holds nothing from before {}. It covers later incidents if it keeps its records for longer",
            words::instant(kept)
        )),
        // What begins earlier arrives earlier.
        None if coverage.source != Source::Files => Fix::never(
            "nothing brings them back. The flow log may have begun later than these minutes. It covers later incidents",
        ),
        None => again.clone(),
    };
    let reach = format!(
        "the records are of {}, and the window is {}",
        words::span(from, until),
        words::span(window.start(), end)
    );
    Some(if until.as_second() + LAST_SECONDS < end.as_second() {
        let what = if from <= start { "the last minutes of the window" } else { "part of the window" };
        Gap::new(what, reach, again)
    } else if from > start {
        Gap::new("part of the window", reach, earlier)
    } else if from.as_second() > needed {
        Gap::new(
            "ports that were last used before the records begin",
            format!(
                "the records begin at {}. A port is held for {IDLE_TIMEOUT_SECONDS} s after its last packet, so only records from that long before would show what was held at {}",
                words::instant(from),
                words::instant(start)
            ),
            earlier,
        )
    } else {
        Gap::new(
            "part of the window",
            format!("for {} s no record tells of the gateway, which usually has many", coverage.longest_hole),
            again,
        )
    })
}

/// Records that end so near to the end of the window are not what keeps it from being covered.
const LAST_SECONDS: i64 = 60;

/// Attempts that went into the gateway and never came out, without a destination that looks full.
fn unexplained(findings: &Findings<'_>, verdict: Verdict) -> Option<Gap> {
    let placed: u64 = findings.unplaced.iter().map(|unplaced| unplaced.attempts).sum();
    let attempts = findings.unexplained.saturating_sub(placed);
    if verdict != Verdict::CannotTell || attempts == 0 {
        return None;
    }
    // To which of the destinations that had ports left most of them were.
    let most =
        findings.destinations.iter().filter(|d| d.refused > 0 && !d.turned_away).max_by_key(|d| d.refused);
    let towards = most.map_or(String::new(), |most| {
        let were = if most.located { "were" } else { "may have been" };
        let attempts = match most.refused {
            all if all >= attempts => format!("They {were}"),
            some => format!("{} of them {were}", words::count(some)),
        };
        let client =
            most.clients.iter().max_by_key(|client| client.refused).filter(|client| client.refused > 0);
        let by = client.map_or(String::new(), |client| match client.refused {
            all if all >= most.refused => format!(" by {}", client.address),
            some => format!(", {} of these by {}", words::count(some), client.address),
        });
        let capacity = findings
            .capacity
            .map_or(String::new(), |capacity| format!(" of {}", words::count(u64::from(capacity))));
        format!(
            ". {attempts} towards {}{by}. That destination held at most {}{capacity} ports at once",
            most.label(),
            words::count(u64::from(most.held.at_most))
        )
    });
    Some(Gap::new(
        format!("why {} attempts never left the gateway", words::count(attempts)),
        format!(
            "the records show them go in{towards}. Records may be missing, or a rule of the gateway's subnet turned the attempts away"
        ),
        Fix::run(errors_metric(findings)),
    ))
}

/// Attempts on a port on which no server shows.
fn unplaced(findings: &Findings<'_>) -> Option<Gap> {
    let Unplaced { towards, attempts, client } = findings.unplaced.first()?;
    Some(
        Gap::new(
            format!(
                "which server on port {}/{} {} attempts were to",
                towards.port,
                words::protocol(towards.protocol),
                words::count(*attempts)
            ),
            format!(
                "they went into the gateway, most of them from {client}, and none came out. The format shows only their port"
            ),
            better_records(findings),
        )
        .deciding(),
    )
}

/// Connections that CloudWatch counted and no record shows.
fn connections_unseen(findings: &Findings<'_>) -> Option<Gap> {
    let active = findings.active.filter(|_| findings.complete && hidden(findings))?;
    let seen = words::count(active.seen_at_most());
    let beyond: Vec<String> = beyond_vpc(findings);
    let taken = match &beyond[..] {
        [] => String::new(),
        [one] => format!("; taken for a client, as its address is private: {one}"),
        [first, others @ ..] => format!(
            "; taken for clients, as their addresses are private: {first} and {}",
            words::counted(others.len() as u64, "other")
        ),
    };
    let fix = match beyond.first() {
        Some(address) => Fix::run_to(
            format!("see whether {address} is an interface of a VPC, or a server beyond it"),
            format!(
                "aws ec2 describe-network-interfaces --filters Name=addresses.private-ip-address,Values={address} --query 'NetworkInterfaces[].[PrivateIpAddress,VpcId,InterfaceType,Description]' --output text{}",
                region_option(findings.region())
            ),
        ),
        None => better_records(findings),
    };
    Some(
        Gap::new(
            format!("which destination {} active connections were to", words::count(active.counted as u64)),
            format!(
                "CloudWatch counted so many at once (ActiveConnectionCount), and the records allow {seen} at the most to all destinations together{taken}"
            ),
            fix,
        )
        .deciding(),
    )
}

/// Addresses that were taken for clients though they are outside the VPC, those with most ports first.
fn beyond_vpc(findings: &Findings<'_>) -> Vec<String> {
    let mut ports: std::collections::BTreeMap<std::net::IpAddr, u64> = std::collections::BTreeMap::new();
    let beyond = |client| findings.network.in_vpc(client) == Some(false);
    for (using, tally) in findings.evidence.clients.iter().filter(|(using, _)| beyond(using.client)) {
        *ports.entry(using.client).or_default() += tally.connections;
    }
    let mut ports: Vec<_> = ports.into_iter().collect();
    ports.sort_by_key(|(address, ports)| (std::cmp::Reverse(*ports), *address));
    ports.into_iter().map(|(address, _)| address.to_string()).collect()
}

/// Connections that the records certainly show and CloudWatch did not count.
fn connections_uncounted(findings: &Findings<'_>) -> Option<Gap> {
    let active = findings.active.filter(|active| active.fewer_than_seen())?;
    let gateway = findings.gateway_id()?;
    Some(Gap::new(
        "why CloudWatch counted fewer connections than the records show",
        format!(
            "ActiveConnectionCount came to {} at the most, and the records show {} in use at one instant: the figure is late or of another gateway, or the records are",
            words::count(active.counted as u64),
            words::count(active.seen_at_least())
        ),
        Fix::run_to(
            "look at it once more",
            commands::metric(
                MetricName::ActiveConnectionCount,
                gateway.as_str(),
                findings.metric_zone(),
                findings.evidence.window,
                findings.region(),
            ),
        ),
    ))
}

/// Attempts that CloudWatch counted, many times those that the records show.
fn attempts_unseen(findings: &Findings<'_>, verdict: Verdict) -> Option<Gap> {
    let Unseen { counted, seen } = findings.attempts_unseen?;
    let gap = Gap::new(
        format!("most of the {} attempts that CloudWatch counted", words::count(counted as u64)),
        format!(
            "the records show {} connections (ConnectionAttemptCount counts attempts): most of the traffic is not in them",
            words::count(seen)
        ),
        "give all records of the gateway's own interface, with traffic type ALL",
    );
    Some(Gap { decides: verdict == Verdict::CannotTell, ..gap })
}

/// Attempts that never left the gateway, beyond the errors that were counted in the same minutes.
fn uncounted(findings: &Findings<'_>) -> Option<Gap> {
    let counted = findings.errors.counted().filter(|_| findings.uncounted > 0)?;
    Some(Gap::new(
        format!("why {} more attempts never left the gateway", words::count(findings.uncounted)),
        format!(
            "CloudWatch counted {} errors in these minutes, and no more can have been refused for want of ports: something else kept the others, or the metric is of another gateway",
            words::count(counted as u64)
        ),
        Fix::run(errors_metric(findings)),
    ))
}

/// Packets back, of which the records show none at all.
fn answers(findings: &Findings<'_>) -> Option<Gap> {
    (findings.top().is_some() && !findings.answers_show()).then(|| {
        Gap::new(
            "whether anything was answered",
            "no record shows a packet back: either nothing was, or the log holds one direction only",
            "give the records of both directions, with nothing filtered out",
        )
    })
}

/// Packets that a rule turned away, which the gateway did not refuse.
fn rejected(findings: &Findings<'_>) -> Option<Gap> {
    /// Stray packets are turned away all the time.
    const MIN_WORTH_SAYING: u64 = 100;

    let of = |way| {
        let packets = findings.evidence.rejected.iter().filter(move |(of, _)| of.way == way);
        (packets.clone().map(|(_, packets)| packets).sum::<u64>(), packets.max_by_key(|(_, n)| **n))
    };
    // What comes from outside unasked is turned away as it should be; an answer is not.
    let ways = [
        (RejectedWay::In, "on the way into the gateway"),
        (RejectedWay::Out, "on the way out of the gateway"),
    ];
    let worth = ways.map(|(way, said)| (of(way), said)).into_iter();
    let ((packets, most), said) =
        worth.filter(|((packets, _), _)| *packets >= MIN_WORTH_SAYING).max_by_key(|((n, _), _)| *n)?;
    let (most, _) = most?;
    let server = most.destination.address.map_or_else(
        || format!("port {}", most.destination.port),
        |address| {
            words::endpoint(address, most.destination.port, &words::protocol(most.destination.protocol))
        },
    );
    let client = most.client.map_or(String::new(), |client| format!(" from {client}"));
    let subnet = findings.network.gateway.subnet_id.as_deref().unwrap_or("GATEWAY_SUBNET_ID");
    Some(Gap::new(
        format!("which rule turned {} packets away", words::count(packets)),
        format!(
            "{said}, most of them{client} towards {server}, their records say REJECT. A network ACL did that, not the gateway for want of ports, so we do not count them as refused"
        ),
        Fix::run(CommandLine::with(
            format!(
                "aws ec2 describe-network-acls --filters Name=association.subnet-id,Values={}{}",
                quoted(subnet),
                region_option(findings.region())
            ),
            &[Blank::GATEWAY_SUBNET_ID],
        )),
    ))
}

/// Clients of which nothing tells whether they are in the zone in question.
fn zones(findings: &Findings<'_>) -> Option<Gap> {
    if findings.zone_unknown() {
        if let Some(zone) = findings.incident.zone.as_deref() {
            let zone = words::outside(zone, 40);
            return Some(addresses_of_zone(findings, &zone).deciding());
        }
        return Some(
            Gap::new(
                "which zone's addresses ran out",
                "a regional gateway has ports for each zone apart, and nothing says which zone the alarm is on",
                Fix::run_to(
                    "look at each zone's errors",
                    commands::errors_metric(
                        findings.gateway_id(),
                        Some(UNKNOWN_ZONE),
                        findings.evidence.window,
                        findings.region()
                    )
                ),
            )
            .deciding(),
        );
    }
    let zone = findings.zone_in_question()?;
    let unknown =
        findings.top()?.clients.iter().find(|client| findings.zone_of_client(client.address).is_none())?;
    Some(Gap::new(
        format!("which clients are in {zone}"),
        format!(
            "a regional gateway's records show the clients of all zones alike, and nothing told the zone of {} and others",
            unknown.address
        ),
        Fix::run(CommandLine::with(
            format!(
                "aws ec2 describe-subnets --filters Name=vpc-id,Values={} --query 'Subnets[].[CidrBlock,AvailabilityZone,SubnetId]' --output text{}",
                quoted(findings.network.gateway.vpc_id.as_deref().unwrap_or("VPC_ID")),
                region_option(findings.region())
            ),
            &[Blank::VPC_ID],
        )),
    ))
}

/// The zone is known, and not which of the gateway's addresses are in it.
fn addresses_of_zone(findings: &Findings<'_>, zone: &str) -> Gap {
    let id = findings.gateway_id().map_or("NAT_GATEWAY_ID", NatGatewayId::as_str);
    Gap::new(
        format!("which of the gateway's addresses are in {zone}"),
        format!(
            "a regional gateway has ports for each zone apart. The alarm is on {zone}, and nothing says which addresses are in it"
        ),
        Fix::run_to(
            "look at the zone of each address, and give the zones in --context FILE",
            CommandLine::with(
                format!(
                    "aws ec2 describe-nat-gateways --nat-gateway-ids {id} --query 'NatGateways[].NatGatewayAddresses[].[PublicIp,AvailabilityZone,AvailabilityZoneId]' --output text{}",
                    region_option(findings.region())
                ),
                &[Blank::NAT_GATEWAY_ID],
            ),
        ),
    )
}

fn capacity(findings: &Findings<'_>) -> Option<Gap> {
    let gateway = &findings.network.gateway;
    if findings.capacity.is_none() {
        let fix = match findings.gateway_id() {
            Some(id) => Fix::run(format!(
                "aws ec2 describe-nat-gateways --nat-gateway-ids {id}{}",
                region_option(findings.region())
            )),
            None => "name its addresses with --nat-ip".into(),
        };
        let why = if gateway.addresses.is_empty() {
            "none of its addresses is known"
        } else {
            "none of its addresses is known to take connections"
        };
        return Some(Gap::new("how many ports the gateway has", why, fix).deciding());
    }
    (gateway.provenance == Provenance::Inferred).then(|| {
        let addresses = gateway.logged_addresses();
        let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let list = shown.join(", ");
        let fix = "name all of the gateway's addresses with --nat-ip; each adds to its capacity";
        match findings.gateway_id().or_else(|| findings.named_id().filter(|_| findings.of_another_kind())) {
            Some(id) if findings.of_another_kind() => Gap::new(
                format!("any traffic of {id}"),
                format!("its alarm is on a zone of a regional gateway, and these records are of one in a subnet, at {list}"),
                "give records with the field resource-id, which are of the regional gateway itself",
            )
            .deciding(),
            Some(id) if gateway.kind != GatewayKind::Regional => Gap::new(
                "which gateway these records belong to, and all of its addresses",
                format!(
                    "we assumed that they belong to {id} and that {}. Nothing in the files confirms either",
                    match &shown[..] {
                        [only] => format!("{only} is its only address"),
                        _ => format!("{} are its only addresses", words::list(&shown)),
                    }
                ),
                fix,
            )
            .deciding(),
            _ => Gap::new(
                "the gateway's addresses other than in these records",
                format!("nobody named them. We inferred {list} from the records"),
                fix,
            ),
        }
    })
}

fn addresses(findings: &Findings<'_>) -> Option<Gap> {
    let folded = findings.folded().addresses();
    (folded > 1 && findings.evidence.coverage.records_read > 0).then(|| {
        Gap::new(
            "which of the gateway's addresses each port belongs to",
            format!("the format lacks pkt-srcaddr, without which its {folded} addresses may show as one: each port seen may stand for up to {folded}"),
            better_records(findings),
        )
    })
}

fn clients(findings: &Findings<'_>) -> Option<Gap> {
    let top = findings.top()?;
    match top.clients.first().map_or(Attribution::None, |client| client.attribution) {
        Attribution::Connection => {
            let unshown = greater_unshown_part(&top.clients)?;
            Some(Gap::new(
                format!("who holds {} of the ports to {}", words::percent(unshown), top.label()),
                "the records show these ports on the gateway's side only: a log that was filtered looks like that",
                "give the whole flow log of the gateway's interface, with nothing filtered out",
            ))
        }
        Attribution::ClientInterface => Some(Gap::new(
            "which gateway each client's connections took",
            "the format lacks pkt-srcaddr and pkt-dstaddr, so clients were joined by their own interfaces",
            better_records(findings),
        )),
        Attribution::DestinationPort => Some(Gap::new(
            format!("which clients used {} itself", top.label()),
            format!(
                "the format lacks pkt-dstaddr, so clients are counted for every destination on port {}",
                top.destination.port
            ),
            better_records(findings),
        )),
        Attribution::None => Some(Gap::new(
            "the clients",
            "no record shows the traffic between clients and gateway",
            better_records(findings),
        )),
    }
}

fn ends(findings: &Findings<'_>) -> Option<Gap> {
    (!findings.evidence.ends_visible && findings.evidence.coverage.records_read > 0).then(|| {
        let estimates = match findings.network.metric(MetricName::ActiveConnectionCount) {
            Some(active) if findings.times_in_use.is_some() => format!(
                "the estimates within them come from ActiveConnectionCount, at most {} to all destinations together",
                words::count(active.value as u64)
            ),
            _ => "the estimates within them may be off by as much".to_owned(),
        };
        Gap::new(
            "when connections ended",
            format!(
                "the format lacks tcp-flags, so a port may have been held up to 350 s after its last packet. The ranges are wide, and {estimates}"
            ),
            better_records(findings),
        )
    })
}

/// Packets and bytes, of a format that lacks them.
fn volumes(findings: &Findings<'_>) -> Option<Gap> {
    let coverage = &findings.evidence.coverage;
    let [packets, bytes] = [Field::Packets, Field::Bytes].map(|field| coverage.lacks(field));
    let (what, why) = match (packets, bytes) {
        (false, false) => return None,
        (false, true) => {
            ("how many bytes were moved", "the format lacks bytes, so 0 B stands for each figure")
        }
        (true, _) => (
            "how many packets each record stands for",
            "the format lacks packets, so each record counts as one: more attempts may have been refused than show",
        ),
    };
    let why = if packets && bytes {
        format!("{why}. It lacks bytes too, so 0 B stands for each figure")
    } else {
        why.to_owned()
    };
    (coverage.records_read > 0).then(|| Gap::new(what, why, better_records(findings)))
}

fn errors(findings: &Findings<'_>, verdict: Verdict) -> Option<Gap> {
    let missing = matches!(findings.errors, Errors::Unknown)
        || (verdict == Verdict::CannotTell && findings.errors == Errors::Alarmed);
    missing.then(|| {
        let what = "how many connections the gateway refused";
        let why = match findings.errors {
            Errors::Alarmed => {
                "the alarm does not say how many, and the ErrorPortAllocation metric is not at hand"
            }
            _ if findings.incident.without_errors => {
                "the alarm saw no error itself, and the ErrorPortAllocation metric is not at hand"
            }
            _ => "neither an alarm nor the ErrorPortAllocation metric told",
        };
        Gap {
            decides: verdict == Verdict::CannotTell,
            ..Gap::new(what, why, Fix::run(errors_metric(findings)))
        }
    })
}

/// Errors and records that do not go together.
fn errors_unexplained(findings: &Findings<'_>, verdict: Verdict) -> Option<Gap> {
    let minutes =
        || Fix::run_to("compare the minutes of the errors with these records", errors_metric(findings));
    if refused_uncounted(findings) {
        return Some(Gap::new(
            "why CloudWatch counted no error",
            format!(
                "the records show {} attempts refused at a full destination. The metric or the records may be of another gateway",
                words::count(findings.refused)
            ),
            minutes(),
        ));
    }
    let near = f64::from(findings.least_capacity.or(findings.capacity)?) * NOT_NEAR;
    let far = findings.destinations.iter().all(|d| f64::from(d.held.at_most) < near);
    let full_on_one = findings.destinations.iter().find(|d| d.full_address.is_some());
    let explained = findings.unexplained > 0 || hidden(findings) || findings.of_another_kind();
    let none = !findings.errors.happened() || perhaps_no_error(findings);
    (verdict == Verdict::CannotTell && findings.complete && far && !explained && !none).then(|| {
        let counted = findings.errors.counted();
        // An alarm may fire without saying how many it saw.
        let counted = counted.map_or("the alarm's".to_owned(), |n| format!("the {} counted", words::count(n as u64)));
        Gap::new(
            format!("what {counted} errors were"),
            match full_on_one {
                Some(full) => format!(
                    "{} had all ports of one address, and no attempt to it is seen to have been refused",
                    full.label()
                ),
                None => "no destination was near its limit in the records. The metric or the records may be of another gateway".to_owned(),
            },
            minutes(),
        )
    })
}

/// Shows the errors of the window, minute by minute.
fn errors_metric(findings: &Findings<'_>) -> CommandLine {
    let (gateway, zone) = (findings.gateway_id(), findings.metric_zone());
    commands::errors_metric(gateway, zone, findings.evidence.window, findings.region())
}

/// A range that reaches the neighbourhood of capacity, and nothing that tells whether it was there.
fn wide_range(findings: &Findings<'_>, verdict: Verdict) -> Option<Gap> {
    // Where something else stands in the way, the range is not what the answer hangs on.
    let open = verdict == Verdict::CannotTell
        && findings.complete
        && !findings.zone_unknown()
        && !findings.of_another_kind()
        && !refused_uncounted(findings);
    let wide = findings.top().filter(|_| open)?;
    let near = findings.least_capacity.or(findings.capacity)?;
    if f64::from(wide.held.at_most) < f64::from(near) * NOT_NEAR {
        return None;
    }
    let what = format!("whether {} was full", wide.label());
    let window = findings.evidence.window;
    let metric = || match findings.errors {
        // How many there were is known; when they were is not.
        Errors::Counted(_) => {
            Fix::run_to("compare the minutes of the errors with those of its use", errors_metric(findings))
        }
        Errors::Alarmed | Errors::Unknown => Fix::run(errors_metric(findings)),
    };
    if wide.held.at_least == wide.held.at_most {
        let why = format!(
            "it held {} ports, which is nearer to capacity than such a count can be trusted to tell apart{}",
            words::count(u64::from(wide.held.at_most)),
            if findings.refused == 0 { ", and no refused attempt was found" } else { "" }
        );
        return Some(Gap::new(what, why, metric()));
    }
    let why = format!(
        "it held between {} and {} ports",
        words::count(u64::from(wide.held.at_least)),
        words::count(u64::from(wide.held.at_most))
    );
    Some(match findings.evidence.coverage.source {
        source @ (Source::LogsInsights | Source::Athena) => {
            let (who, get) = match source {
                Source::Athena => ("Athena", "copy the files of these minutes from S3"),
                _ => ("Logs Insights", "export these minutes of the log group"),
            };
            Gap::new(
                what,
                format!(
                    "{why}: {who} counted at the beginning of each minute, and between those every port used in the minute may have been held at once"
                ),
                Fix::run_to(format!("{get}, and count every second"), "nat-triage analyze --flow-logs FILES"),
            )
        }
        Source::Files | Source::S3 if findings.evidence.ends_visible => Gap::new(
            what,
            if wide.refused == 0 && findings.refused > 0 {
                format!("{why}, and no attempt to it is seen to have been refused")
            } else if findings.refused == 0 && wide.tally.ended > 0 {
                format!(
                    "{why}: connections began and ended within the same records, and no refused attempt speaks for either"
                )
            } else if findings.refused == 0 {
                format!("{why}, and no refused attempt speaks for its having been full")
            } else {
                format!(
                    "{why}, yet {} attempts to it were refused: if the gateway has fewer addresses than was said, it was full",
                    words::count(wide.refused)
                )
            },
            metric(),
        ),
        Source::Files | Source::S3 => {
            let why = if wide.destination.port == 0 {
                format!(
                    "{why}: of a protocol without ports, one record may stand for as many connections as it has packets"
                )
            } else {
                format!("{why}: the format shows no ends of connections")
            };
            match (findings.gateway_id(), findings.network.metric(MetricName::ActiveConnectionCount)) {
                (Some(gateway), None) if wide.destination.protocol == TCP => Gap::new(
                    what,
                    format!("{why}, and the gateway's own count of them is not at hand"),
                    Fix::run_to(
                        "give the maximum of its ActiveConnectionCount as a metric in --context FILE",
                        commands::metric(
                            MetricName::ActiveConnectionCount,
                            gateway.as_str(),
                            findings.metric_zone(),
                            window,
                            findings.region(),
                        ),
                    ),
                ),
                _ => Gap::new(what, why, better_records(findings)),
            }
        }
    })
}

/// The second flow log of [`better_format`], which shows the next incident.
fn better_records(findings: &Findings<'_>) -> Fix {
    Fix::run(better_format(findings)).for_next_incident()
}

/// Creates a second flow log on the gateway alone, with every field that a diagnosis uses. Formats
/// can't be edited.
pub(super) fn better_format(findings: &Findings<'_>) -> CommandLine {
    better_flow_log(findings.network, findings.gateway_id(), findings.region())
}

/// The same for any gateway.
pub(crate) fn better_flow_log(
    network: &Network,
    gateway_id: Option<&NatGatewayId>,
    region: Option<&str>,
) -> CommandLine {
    let gateway = &network.gateway;
    let (resource, id) = if gateway.kind == GatewayKind::Regional {
        ("RegionalNatGateway", gateway_id.map_or("NAT_GATEWAY_ID", |id| id.as_str()))
    } else {
        (
            "NetworkInterface",
            gateway.interface_ids.first().map_or("NAT_GATEWAY_INTERFACE_ID", |id| id.as_str()),
        )
    };
    let group = network
        .flow_logs
        .iter()
        .find_map(|log| log.log_group.as_deref())
        .map_or_else(|| "LOG_GROUP".into(), quoted);
    let text = format!(
        "aws ec2 create-flow-logs --resource-type {resource} --resource-ids {id} --traffic-type ALL --max-aggregation-interval 60 --log-destination-type cloud-watch-logs --log-group-name {group} --deliver-logs-permission-arn ROLE_ARN --log-format '{BETTER_FORMAT}'{}",
        region_option(region)
    );
    let unknown = [Blank::NAT_GATEWAY_ID, Blank::NAT_GATEWAY_INTERFACE_ID, Blank::LOG_GROUP, Blank::ROLE_ARN];
    CommandLine::with(text, &unknown)
}

/// The fourteen fields of version 2 in their order, so that what reads the default format still
/// does, then what a diagnosis uses.
const BETTER_FORMAT: &str = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status} ${vpc-id} ${subnet-id} ${instance-id} ${tcp-flags} ${type} ${pkt-srcaddr} ${pkt-dstaddr} ${region} ${az-id} ${flow-direction} ${traffic-path} ${pkt-dst-aws-service} ${resource-id} ${next-hop-interface-id}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_that_we_advise_has_what_we_miss() {
        let format: crate::flow::LogFormat = BETTER_FORMAT.parse().expect("valid");
        assert!(format.has_packet_addresses() && format.has(crate::flow::Field::TcpFlags));
        assert_eq!(&format.columns()[..14], crate::flow::LogFormat::version_2().columns());
    }
}
