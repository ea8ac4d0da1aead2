//! What a diagnosis comes to, in sentences: every renderer says the same in the same words.

use super::again;
use super::earlier::{after_held, growth};
use crate::contract::{
    ClientOrder, ClientReport, Confidence, DestinationReport, Diagnosis, HeldPorts, Link, Pattern,
    RefusedAttempts, Remedy, Stage, Verdict, When,
};
use crate::evidence::Attribution;
use crate::gap::{Gap, Shows, WHICH_GATEWAY};
use crate::incident::TimeWindow;
use crate::network::{NameSource, OwnerSource};
use crate::words::{self, one_line};

/// Longest name from outside that is shown.
pub(super) const NAME: usize = 120;

/// A name from outside.
pub(super) fn outside(name: &str) -> String {
    words::outside(name, NAME)
}

/// Longest text of a gap that is shown.
pub(super) const FIX: usize = 400;

/// Ports that can be held towards one destination at once, where that is known.
pub(super) fn capacity(diagnosis: &Diagnosis) -> Option<u64> {
    diagnosis.nat_gateways.first()?.capacity_per_destination.map(u64::from)
}

/// So many ports as a fraction of capacity; 0 where that is not known.
pub(super) fn part_of_capacity(diagnosis: &Diagnosis, held: u32) -> f64 {
    capacity(diagnosis).map_or(0.0, |capacity| f64::from(held) / capacity.max(1) as f64)
}

/// `5% to 98%`: how full a destination was at the least and at the most; one figure where they read the same. More than
/// the capacity says that the gateway has more addresses than were told from the records, and not how full it was.
pub(super) fn reach(diagnosis: &Diagnosis, held: &HeldPorts) -> String {
    let parts = [held.at_least, held.at_most].map(|held| part_of_capacity(diagnosis, held));
    let [least, most] = parts.map(words::percent);
    match parts {
        [at_least, _] if at_least > 1.0 => "more than 100%".to_owned(),
        [_, at_most] if at_most > 1.0 => format!("{least} or more"),
        _ if least == most => most,
        _ => format!("{least} to {most}"),
    }
}

/// `46,200 (44,000 to 48,000)`: an estimate with its range, or one figure where both ends are alike.
pub(super) fn estimate_and_range(held: HeldPorts) -> String {
    let [least, estimate, most] =
        [held.at_least, held.estimate, held.at_most].map(|ports| words::count(u64::from(ports)));
    if least == most { least } else { format!("{estimate} ({least} to {most})") }
}

/// `203.0.113.10:443`: the protocol is said where it is not TCP.
pub(super) fn place(destination: &DestinationReport) -> String {
    let label = label(destination);
    label.strip_suffix("/tcp").map_or(label.clone(), str::to_owned)
}

/// `203.0.113.10:443/tcp`.
pub(super) fn label(destination: &DestinationReport) -> String {
    words::endpoint(destination.address, destination.port, &destination.protocol)
}

/// Which gateway, where it is as far as its alarm tells, which minutes.
pub(super) fn incident(diagnosis: &Diagnosis) -> String {
    let gateway = diagnosis.nat_gateways.first().and_then(|gateway| gateway.id.as_deref());
    let gateway = gateway.map_or_else(|| "A NAT gateway".to_owned(), |id| format!("NAT gateway {id}"));
    let alarm = diagnosis.alarm.as_ref();
    let region = alarm.and_then(|alarm| alarm.region.as_deref());
    let region = region.map_or(String::new(), |region| format!(" in {}", one_line(region, 30)));
    let account = alarm.and_then(|alarm| alarm.metric_account.as_deref().or(alarm.account.as_deref()));
    let account = account.map_or(String::new(), |account| format!(" of account {}", one_line(account, 20)));
    format!("{gateway}{region}{account}, {}.", minutes(diagnosis.window))
}

/// `2026-11-18 02:01 to 02:14 UTC`.
pub(super) fn minutes(window: TimeWindow) -> String {
    if window == TimeWindow::EPOCH {
        return "at a time that no record tells".into();
    }
    words::span(window.start(), window.end())
}

/// How sure, and why, and what sort of use it was, in a sentence or two.
pub(super) fn sure(diagnosis: &Diagnosis) -> String {
    let RefusedAttempts { found, counted, accounted, .. } = diagnosis.refused_attempts;
    let refused = diagnosis.destinations.first().map_or(0, |top| top.refused);
    let of_all = if refused < found { format!("; {} in all", words::count(found)) } else { String::new() };
    let of_counted =
        accounted.map_or(String::new(), |part| format!(" ({} of the errors counted)", words::percent(part)));
    let refused_there = words::count(refused);
    let which_gateway = diagnosis.deciding_gaps().any(|gap| gap.what == WHICH_GATEWAY);
    let verdict = match diagnosis.verdict {
        Verdict::Confirmed if refused > 0 => {
            format!(
                "Confirmed: the flow logs show the destination full, and {refused_there} attempts to it refused{of_all}{of_counted}."
            )
        }
        Verdict::Confirmed => {
            "Confirmed: errors were counted, and the flow logs show the destination full.".to_owned()
        }
        Verdict::Likely if refused > 0 && counted.is_none() => format!(
            "Likely: the flow logs show that the destination reached its limit, and {refused_there} attempts to it refused{of_all}. No metric is at hand to confirm this."
        ),
        Verdict::Likely if refused > 0 && which_gateway => format!(
            "Likely: the flow logs show that the destination reached its limit, and {refused_there} attempts to it refused{of_all}{of_counted}."
        ),
        Verdict::Likely if refused > 0 => format!(
            "Likely: the flow logs show that the destination reached its limit, and {refused_there} attempts refused{of_all}{of_counted}. Whether those attempts were to this destination is not certain."
        ),
        Verdict::Likely => {
            "Likely: the flow logs show that the destination reached its limit. Nothing else proves it."
                .to_owned()
        }
        Verdict::NotSupported => match counted.filter(|counted| *counted > 0.0) {
            Some(counted) => format!(
                "Not supported: the flow logs cover these minutes, and no destination was near its limit. CloudWatch counted {} errors all the same. Nothing in these records explains them.",
                number(counted)
            ),
            None if let Some(near) = diagnosis.near_without_errors() => format!(
                "Not supported: CloudWatch counted no port allocation error in these minutes, though a destination {} near its limit.",
                if near.is_full() { "came" } else { "may have come" }
            ),
            None => {
                "Not supported: the flow logs cover these minutes, and no destination was near its limit."
                    .to_owned()
            }
        },
        Verdict::CannotTell => {
            let unseen: Vec<String> = diagnosis.deciding_gaps().map(|gap| one_line(&gap.what, FIX)).collect();
            match &unseen[..] {
                [] => "Inconclusive: the evidence points neither way.".to_owned(),
                [gap] => format!("Cannot tell: we could not see {gap}."),
                [first, second] => {
                    format!("Cannot tell: we could not see {first}. We could not see {second} either.")
                }
                [first, second, third] => format!(
                    "Cannot tell: we could not see {first}. We could not see these either: {second}; {third}."
                ),
                [first, second, others @ ..] => format!(
                    "Cannot tell: we could not see {first}. We could not see these either: {second}; and {} more, named below.",
                    others.len()
                ),
            }
        }
    };
    let verdict = match diagnosis.verdict {
        Verdict::Likely if which_gateway => format!(
            "{verdict} The records show several gateways. This is the busiest of them, and not certainly the one in question."
        ),
        _ => verdict,
    };
    match diagnosis.pattern {
        Some(pattern) => format!("{verdict} Pattern: {}.", pattern_in_words(pattern)),
        None => verdict,
    }
}

/// The verdict whose colour the answer has: errors that nothing explains are no all-clear.
pub(super) fn coloured_as(diagnosis: &Diagnosis) -> Verdict {
    match diagnosis.verdict {
        Verdict::NotSupported if diagnosis.refused_attempts.counted > Some(0.0) => Verdict::CannotTell,
        verdict => verdict,
    }
}

/// The verdict as a word or two.
pub(super) fn verdict_in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "Confirmed",
        Verdict::Likely => "Likely",
        Verdict::NotSupported => "Not supported",
        Verdict::CannotTell => "Cannot tell",
    }
}

pub(super) fn pattern_in_words(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::LongLived => "long-lived (many connections kept in use)",
        Pattern::Leak => "leak (connections opened, then idle, not closed)",
        Pattern::Churn => "churn (short connections at a high rate)",
        Pattern::RetryStorm => "retry storm (attempts without answers)",
        Pattern::FanIn => "fan-in (very many clients, none remarkable)",
        Pattern::Scan => "scan (one client, very many destinations)",
    }
}

pub(super) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    }
}

/// When a remedy helps.
pub(super) fn when(when: When) -> &'static str {
    match when {
        When::Now => "now",
        When::Later => "later",
        When::NextIncident => "for the next incident",
    }
}

/// Which earlier remedy has the commands of this one, by its number; what decides an earlier one counts too.
pub(super) fn commands_of(remedies: &[Remedy], index: usize) -> Option<usize> {
    let commands = &remedies.get(index)?.commands;
    let decides = |earlier: &Remedy| match (&earlier.condition, &commands[..]) {
        (Some(condition), [only]) => condition.command == only.run,
        _ => false,
    };
    let same = |earlier: &Remedy| earlier.commands == *commands || decides(earlier);
    let earlier = remedies[..index].iter().position(same).filter(|_| !commands.is_empty());
    earlier.map(|earlier| earlier + 1)
}

/// Why a step has nothing to undo, in a sentence.
pub(super) fn nothing_to_undo(why: &str) -> String {
    format!("Nothing to undo: {why}.")
}

/// In which order to take a remedy's steps back, where it has several that can be.
pub(super) fn undo_order(remedy: &Remedy) -> Option<&'static str> {
    let undone = remedy.commands.iter().filter(|command| command.undo.command().is_some()).count();
    (undone > 1).then_some("To undo, run the undo commands in reverse order.")
}

/// What could not be seen, by what would show it: where one step shows several, it is said once.
pub(super) fn gaps_by_fix(gaps: &[Gap]) -> Vec<Vec<&Gap>> {
    let mut by_fix: Vec<Vec<&Gap>> = Vec::new();
    for gap in gaps {
        match by_fix.iter_mut().find(|group| group[0].fix == gap.fix) {
            Some(group) => group.push(gap),
            None => by_fix.push(vec![gap]),
        }
    }
    by_fix
}

/// What stands before the fix of some gaps: `To see it: `. Nothing where nothing shows them, which the fix says.
pub(super) fn to_see(gaps: &[&Gap]) -> &'static str {
    match (gaps[0].fix.shows(), gaps) {
        (Shows::Never, _) => "",
        (Shows::Now | Shows::NextIncident, [_]) => "To see it: ",
        (Shows::Now | Shows::NextIncident, _) => "To see them: ",
    }
}

/// Who scans, and what that may mean, where it shows who.
pub(super) fn scan_note(diagnosis: &Diagnosis) -> Option<String> {
    let scan = diagnosis.scan.as_ref()?;
    let client = scan.client?;
    Some(format!(
        "Scan: {client}{} tried {} destinations, {} of them without an answer or refused at once. If it is not meant to, it may be compromised.",
        scan.name.as_deref().map_or(String::new(), |name| format!(" ({})", outside(name))),
        words::count(scan.destinations),
        words::count(scan.in_vain)
    ))
}

/// What is said beside the answer: how often it happened, who scans, what else is full, what is new, and whether more follows.
pub(super) fn asides(diagnosis: &Diagnosis) -> Vec<String> {
    let said = [scan_note(diagnosis), others_full(diagnosis), growth(diagnosis), stage(diagnosis)];
    again::sentences(diagnosis).into_iter().chain(said.into_iter().flatten()).collect()
}

/// Destinations beside the first that had no port left either, so that nobody mends one and waits for
/// the others.
fn others_full(diagnosis: &Diagnosis) -> Option<String> {
    /// More than these are counted, not named.
    const NAMED: usize = 3;

    if !matches!(diagnosis.verdict, Verdict::Confirmed | Verdict::Likely) {
        return None;
    }
    let top = diagnosis.destinations.first()?;
    let certain = |other: &DestinationReport| {
        let at_least = part_of_capacity(diagnosis, other.held.at_least);
        diagnosis.verdict == Verdict::Confirmed && (other.refused > 0 || at_least >= 1.0)
    };
    let said = |other: &DestinationReport| {
        let doubt = if certain(other) { "" } else { ", not certain" };
        let full = words::percent(other.utilization.unwrap_or(1.0));
        let holder = other.clients.first().filter(|client| client.stands_out());
        let holder = holder.map_or(String::new(), |client| held_by(other, client));
        format!("{} ({full}{doubt}{holder})", label(other))
    };
    let full: Vec<String> =
        diagnosis.destinations.iter().skip(1).filter(|other| other.is_full()).map(said).collect();
    let more = match full.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more}{} more", or_more(diagnosis)),
    };
    let named = full[..full.len().min(NAMED)].join("; ");
    (!full.is_empty()).then(|| {
        format!("Also full: {named}{more}. The clients and fixes below are those of {}.", label(top))
    })
}

/// `, 80% held by 10.0.1.17`, and how certain that is.
pub(super) fn held_by(destination: &DestinationReport, client: &ClientReport) -> String {
    if destination.clients_ordered_by == ClientOrder::RefusedAttempts {
        return format!(", {} had {} of the refusals", client.address, words::percent(client.share));
    }
    let share = words::percent(client.share);
    if client.attribution.is_certain() {
        format!(", {share} held by {}", client.address)
    } else {
        format!(", {} may hold {share}", client.address)
    }
}

/// ` or` where not all destinations are listed and all that are listed are full: there may be more.
pub(super) fn or_more(diagnosis: &Diagnosis) -> &'static str {
    let listed = &diagnosis.destinations;
    let all = listed.len() as u64 >= diagnosis.destinations_seen;
    if all || !listed.iter().all(DestinationReport::is_full) { "" } else { " or" }
}

/// Says of a provisional report that another may follow.
fn stage(diagnosis: &Diagnosis) -> Option<String> {
    let due = diagnosis
        .coverage
        .records_due
        .map_or_else(String::new, |due| format!(" All of them should be there by {}.", words::instant(due)));
    match diagnosis.stage {
        Stage::Provisional => Some(format!(
            "Provisional: flow logs of these minutes are still arriving.{due} A final report follows if it says more."
        )),
        Stage::Final => None,
    }
}

/// `44,019 (between 324 and 44,019)`.
pub(super) fn range(held: &HeldPorts) -> String {
    if held.at_least == held.at_most {
        words::count(u64::from(held.at_least))
    } else {
        format!(
            "{} (between {} and {})",
            words::count(u64::from(held.estimate)),
            words::count(u64::from(held.at_least)),
            words::count(u64::from(held.at_most))
        )
    }
}

/// Ports held to a destination, and how full that makes it.
pub(super) fn held(destination: &DestinationReport) -> String {
    let full = destination
        .utilization
        .map_or(String::new(), |part| format!(", {} of capacity", words::percent(part)));
    format!("{}{full}{}", range(&destination.held), after_held(destination.held_earlier.as_ref()))
}

/// Ports held by a client.
pub(super) fn held_by_client(client: &ClientReport) -> String {
    format!("{}{}", range(&client.held), after_held(client.held_earlier.as_ref()))
}

/// The name of a destination, and whose word for it that is; what it is of, where AWS says so.
pub(super) fn destination_name(destination: &DestinationReport) -> Option<String> {
    let hint = match destination.name_source {
        Some(NameSource::ReverseDns) => " (by reverse DNS: its owner's name for it)",
        Some(NameSource::ResolverQueryLog) | None => "",
    };
    destination.name.as_deref().map(|name| format!("{}{hint}{}", outside(name), other_names(destination)))
}

/// How many other names lead to the same address, where any do.
pub(super) fn other_names(destination: &DestinationReport) -> String {
    /// So many are kept of one address; there may be more.
    const KEPT: u64 = 10;

    match destination.names_asked_for {
        0 | 1 => String::new(),
        KEPT.. => format!(", and {} or more other names", KEPT - 1),
        names => format!(", and {}", words::counted(names - 1, "other name")),
    }
}

/// Who has a client's address, and whether that is now or was then.
pub(super) fn client_name(client: &ClientReport) -> Option<(&'static str, String)> {
    let when = match client.name_source {
        Some(OwnerSource::FlowLog) => "Then",
        Some(OwnerSource::Lookup) | None => "Now",
    };
    client.name.as_deref().map(|name| (when, outside(name)))
}

/// Refused attempts, always said to be an inference; nothing where there are none.
pub(super) fn refused(attempts: u64) -> String {
    if attempts > 0 {
        format!("; {} attempts refused (inferred)", words::count(attempts))
    } else {
        String::new()
    }
}

/// What the clients of a destination are, and what they are ordered by.
pub(super) fn clients_heading(destination: &DestinationReport) -> String {
    let order = match destination.clients_ordered_by {
        ClientOrder::HeldPorts => "greatest holder first",
        ClientOrder::RefusedAttempts => "most refused first",
    };
    format!("Clients of {}, {order}", label(destination))
}

/// How clients were joined to the destination, where not by their connections.
pub(super) fn attribution_note(destination: &DestinationReport) -> Option<&'static str> {
    match (destination.clients.first()?.attribution, destination.clients_ordered_by) {
        (Attribution::Connection, _) => None,
        (Attribution::ClientInterface, _) => {
            Some("The format does not join clients and destinations. The clients' own interfaces do.")
        }
        (Attribution::DestinationPort, ClientOrder::HeldPorts) => Some(
            "The records join clients and destinations by port only, so other destinations on that port are counted in.",
        ),
        (Attribution::DestinationPort, ClientOrder::RefusedAttempts) => Some(
            "The records join clients and destinations by port only, so each share is of the refused attempts. We assumed that a client held the same share of the ports.",
        ),
        (Attribution::None, _) => Some("The records do not join these clients to the destination."),
    }
}

/// How many of a list, fullest first, are worth a block each: the first three, and whoever has a part of at
/// least a hundredth. The JSON has those that are listed at all.
pub(super) fn worth_showing(parts: impl Iterator<Item = Option<f64>>) -> usize {
    /// Shown whatever they hold.
    const AT_LEAST: usize = 3;
    const WORTH: f64 = 0.01;

    parts.enumerate().take_while(|(index, part)| *index < AT_LEAST || part.is_none_or(|p| p >= WORTH)).count()
}

/// How many there were beyond those that are listed; nothing where all are.
pub(super) fn not_listed(seen: u64, listed: usize, what: &str) -> Option<String> {
    let more = seen.saturating_sub(listed as u64);
    (more > 0).then(|| format!("Beyond these: {}.", words::counted(more, &format!("more {what}"))))
}

/// The queries that were run, each to open in Logs Insights.
pub(super) fn query_links(diagnosis: &Diagnosis) -> impl Iterator<Item = Link> {
    diagnosis.queries.iter().filter_map(|query| {
        let title = format!("Logs Insights: {}", query.purpose);
        query.console_url.clone().map(|url| Link { title, url })
    })
}

/// A metric's value, which is of whole things.
pub(super) fn number(value: f64) -> String {
    words::count(value.round().max(0.0) as u64)
}
