//! The answer in the first two lines, which every report for people begins with.

use super::lines::WIDTH;
use super::wording::{capacity, number, outside, part_of_capacity, place, reach};
use crate::contract::{ClientOrder, DestinationReport, Diagnosis, Stage, UnplacedAttempts, Verdict};
use crate::network::NameSource;
use crate::words::{self, one_line};

/// A name of fewer characters than this says nothing any more.
const SHORTEST_NAME: usize = 12;

/// The answer in two lines of at most [`WIDTH`] characters: which destination, by name and address, and how
/// full; who holds it, and how sure we are.
pub(super) fn lead(diagnosis: &Diagnosis) -> [String; 2] {
    let so_far = if diagnosis.stage == Stage::Provisional { " so far" } else { "" };
    if diagnosis.drill {
        return drill(diagnosis, so_far);
    }
    if let Some((attempts, part)) = diagnosis.unplaced_attempts() {
        return unplaced(attempts, part, so_far);
    }
    let Some(top) = diagnosis.destinations.first() else {
        let what = "We cannot tell which destination ran out of ports.".to_owned();
        let why = match (diagnosis.was_answered(), diagnosis.stage) {
            (true, _) => format!("The flow logs show none of its traffic{so_far}; see below."),
            (false, Stage::Provisional) => {
                "The flow logs are still being read; a report follows if they show more.".to_owned()
            }
            (false, Stage::Final) => "No flow log gave an answer; see below how to mend that.".to_owned(),
        };
        return [what, why];
    };
    let capacity = capacity(diagnosis).map(words::count);
    let Some(capacity) = capacity else {
        let held = words::count(u64::from(top.held.estimate));
        return [
            about(top, "Most ports to ", &format!(": about {held} held (limit unknown)")),
            holder(top, &format!("Cannot tell{so_far}.")),
        ];
    };
    if let Some(lines) = scan(diagnosis, so_far) {
        return lines;
    }
    let full = words::percent(top.utilization.unwrap_or_default());
    let held = |held: u32| words::count(u64::from(held));
    let part = |held: u32| words::percent(part_of_capacity(diagnosis, held));
    match diagnosis.verdict {
        Verdict::Confirmed | Verdict::Likely if let Some(full) = top.full_address => {
            let confirmed = diagnosis.verdict == Verdict::Confirmed;
            let (is, sure) = if confirmed {
                ("is", format!("Confirmed{so_far}."))
            } else {
                ("probably", format!("Likely{so_far}, not proven."))
            };
            let of = words::percent(f64::from(full.held) / f64::from(full.of.max(1)));
            let on = full.address.map_or("one address".to_owned(), |address| address.to_string());
            let ports = words::count(u64::from(full.of));
            [about(top, "", &format!(" {is} full on {on}: {of} of {ports} ports")), holder(top, &sure)]
        }
        Verdict::Confirmed => [
            about(top, "", &format!(" is full: {full} of {capacity} NAT ports")),
            holder_or_scanner(diagnosis, top, &format!("Confirmed{so_far}.")),
        ],
        Verdict::Likely => [
            about(top, "", &format!(" probably full: {full} of {capacity} NAT ports")),
            holder_or_scanner(diagnosis, top, &format!("Likely{so_far}, not proven.")),
        ],
        Verdict::NotSupported if let Some(near) = diagnosis.near_without_errors() => [
            format!("No connection was refused for want of ports{so_far}."),
            about(near, "Near: ", &format!(", up to {} of {capacity} NAT ports", held(near.held.at_most))),
        ],
        Verdict::NotSupported => [
            match diagnosis.refused_attempts.counted.filter(|errors| *errors > 0.0) {
                Some(errors) => format!(
                    "No destination was near its limit{so_far}, yet {} counted.",
                    if errors == 1.0 {
                        "1 error was".to_owned()
                    } else {
                        format!("{} errors were", number(errors))
                    }
                ),
                None => format!("No destination was near its limit of {capacity} NAT ports{so_far}."),
            },
            about(top, "Fullest: ", &format!(", at most {} of that", part(top.held.at_most))),
        ],
        Verdict::CannotTell if let Some((doubtful, counted)) = diagnosis.refused_unproven() => {
            let attempts = words::count(doubtful.refused);
            let of_errors =
                counted.map_or(String::new(), |part| format!(" ({} of errors)", words::percent(part)));
            let to = if certainly_tried(doubtful) { "to" } else { "that may be to" };
            let said = format!("{attempts} attempts {to} {} never got out", place(doubtful));
            let whole = format!("{said}{of_errors}.");
            [
                if whole.chars().count() <= WIDTH { whole } else { format!("{said}.") },
                tried(doubtful, so_far, &reach(diagnosis, &doubtful.held)),
            ]
        }
        Verdict::CannotTell => {
            let reach = reach(diagnosis, &top.held);
            [
                format!("We cannot tell{so_far} {} ran out of its {capacity} ports.", which(diagnosis)),
                about(top, "Fullest seen: ", &format!(", {reach} of that")),
            ]
        }
    }
}

/// The same of an alarm that somebody set by hand.
fn drill(diagnosis: &Diagnosis, so_far: &str) -> [String; 2] {
    let arrives = "TEST: somebody set the alarm by hand, and this message arrives.".to_owned();
    if !diagnosis.was_answered() {
        let unread = match diagnosis.stage {
            Stage::Provisional => "The flow logs are still being read; a report follows if they show more.",
            Stage::Final => "But no flow log gave an answer; see below how to mend that.",
        };
        return [arrives, unread.to_owned()];
    }
    let works = "TEST: the path works; somebody set the alarm by hand.".to_owned();
    let now = match diagnosis.destinations.first() {
        None => format!("The gateway carried nothing in these minutes{so_far}."),
        Some(top) => match top.utilization {
            Some(part) => about(top, &format!("{} full now{so_far}: ", words::percent(part)), ""),
            None => about(
                top,
                "Fullest: ",
                &format!(", about {} ports", words::count(u64::from(top.held.estimate))),
            ),
        },
    };
    [works, now]
}

/// Attempts on a port on which no server shows: the port, and who made them.
fn unplaced(unplaced: UnplacedAttempts, part: Option<f64>, so_far: &str) -> [String; 2] {
    let attempts = words::count(unplaced.attempts);
    let of_errors = part.map_or(String::new(), |part| format!(" ({} of errors)", words::percent(part)));
    let said = format!("{attempts} attempts to port {} never got out", unplaced.port_label());
    let whole = format!("{said}{of_errors}.");
    let client = unplaced.client.to_string();
    let after = format!(" made most of them. Cannot tell{so_far} to which server.");
    let after =
        if client.len() + after.len() <= WIDTH { after } else { format!(" made most. Cannot tell{so_far}.") };
    [if whole.len() <= WIDTH { whole } else { format!("{said}.") }, format!("{client}{after}")]
}

/// Whether the records show that these clients' attempts were to this destination.
fn certainly_tried(destination: &DestinationReport) -> bool {
    destination.clients.first().is_some_and(|client| client.attribution.is_certain())
}

/// Who made most of the attempts that never left the gateway, and that it is not known why.
fn tried(destination: &DestinationReport, so_far: &str, reach: &str) -> String {
    let most =
        destination.clients.iter().filter(|client| client.refused > 0).max_by_key(|client| client.refused);
    let Some(client) = most else {
        return format!("Whose they were does not show. Cannot tell{so_far} why: {reach} of ports held.");
    };
    let share = words::percent(client.refused as f64 / destination.refused.max(1) as f64);
    let address = client.address.to_string();
    // An IPv6 address leaves no room for all of it.
    let after = [
        format!(" made {share} of them. Cannot tell{so_far} why: {reach} of ports held."),
        format!(" made {share}. Cannot tell{so_far}."),
    ];
    let fits = |after: &&String| address.len() + after.len() <= WIDTH;
    let after = after.iter().find(fits).unwrap_or(&after[1]);
    let name = named(client.name.as_deref(), "", &[&address, after]);
    format!("{address}{name}{after}")
}

/// `which destination` where errors were counted, so that one ran out; else `if a destination`.
fn which(diagnosis: &Diagnosis) -> &'static str {
    if diagnosis.refused_attempts.errors_seen { "which destination" } else { "if a destination" }
}

/// A scan where no destination is known to have been full: who scans then matters most.
fn scan(diagnosis: &Diagnosis, so_far: &str) -> Option<[String; 2]> {
    let scan = diagnosis.scan.as_ref()?;
    let client = scan.client?.to_string();
    let what = match diagnosis.verdict {
        Verdict::Confirmed | Verdict::Likely => return None,
        Verdict::NotSupported => format!("No destination was near its limit{so_far}."),
        Verdict::CannotTell => format!("We cannot tell{so_far} {} ran out of ports.", which(diagnosis)),
    };
    let (all, vain) = (words::count(scan.destinations), words::count(scan.in_vain));
    let tried = format!(" scans: it tried {all} destinations, {vain} in vain.");
    let name = named(scan.name.as_deref(), "", &[&client, &tried]);
    Some([format!("{client}{name}{tried}"), format!("May be compromised. {what}")])
}

/// Who holds most; where that is who scans, that it does.
fn holder_or_scanner(diagnosis: &Diagnosis, top: &DestinationReport, sure: &str) -> String {
    let holder_is = |client| top.clients.first().is_some_and(|holder| Some(holder.address) == client);
    let scans = diagnosis.scan.as_ref().is_some_and(|scan| holder_is(scan.client));
    let scanner = top.clients.first().filter(|client| scans && client.stands_out());
    let Some(client) = scanner else { return holder(top, sure) };
    let share = words::percent(client.share);
    let briefly = sure.split_once(',').map_or(sure.to_owned(), |(sure, _)| format!("{sure}."));
    let address = client.address.to_string();
    let after = [
        format!(" scans, may be compromised, holds {share}. {sure}"),
        format!(" scans (compromised?), holds {share}. {briefly}"),
        format!(" scans, holds {share}. {briefly}"),
    ];
    let after = after.iter().find(|after| address.len() + after.len() <= WIDTH).unwrap_or(&after[2]);
    let name = named(client.name.as_deref(), "", &[&address, after]);
    format!("{address}{name}{after}")
}

/// A destination with its name, as much of that as fits a line between two texts.
fn about(destination: &DestinationReport, before: &str, after: &str) -> String {
    let place = place(destination);
    // Whoever owns the address may call it what they like.
    let hint = match destination.name_source {
        Some(NameSource::ReverseDns) => "PTR ",
        Some(NameSource::ResolverQueryLog) | None => "",
    };
    let name = named(destination.name.as_deref(), hint, &[before, &place, after]);
    format!("{before}{place}{name}{after}")
}

/// Who holds most, as far as that is known, and how sure we are.
fn holder(top: &DestinationReport, sure: &str) -> String {
    let Some(client) = top.clients.first() else { return format!("Who holds them does not show. {sure}") };
    let share = client.share_in_words();
    if !client.stands_out() {
        return format!("No client stands out: the most is {share}. {sure}");
    }
    // An IPv6 address leaves no room for all of it.
    let briefly = sure.split_once(',').map_or(sure.to_owned(), |(sure, _)| format!("{sure}."));
    let holds = if client.attribution.is_certain() { "holds" } else { "may hold" };
    let address = client.address.to_string();
    let after = match top.greater_unshown_part().map(words::percent) {
        _ if top.clients_ordered_by == ClientOrder::RefusedAttempts => [
            format!(" made {share} of the refused attempts. {sure}"),
            format!(" made {share} of the refused attempts. {briefly}"),
            format!(" tried {share}. {briefly}"),
        ],
        Some(unshown) => [
            format!(" holds {share}. Who holds {unshown} does not show. {sure}"),
            format!(" holds {share}. Who holds {unshown} does not show. {briefly}"),
            format!(" {share}; {unshown} not shown. {briefly}"),
        ],
        None => [
            format!(" {holds} {share} of them. {sure}"),
            format!(" {holds} {share}. {sure}"),
            format!(" {holds} {share}. {briefly}"),
        ],
    };
    let fits = |after: &&String| address.len() + after.len() <= WIDTH;
    let after = after.iter().find(fits).unwrap_or(&after[2]);
    let name = named(client.name.as_deref(), "", &[&address, after]);
    format!("{address}{name}{after}")
}

/// ` (NAME)`, as much of the name as fits into a line beside these texts; nothing where that would say nothing.
fn named(name: Option<&str>, hint: &str, beside: &[&str]) -> String {
    const BRACKETS: usize = " ()".len();

    let used: usize = beside.iter().chain([&hint]).map(|text| text.chars().count()).sum();
    let room = WIDTH.saturating_sub(used + BRACKETS);
    let name = outside(name.unwrap_or_default());
    let fits = name.chars().count() <= room;
    if name.is_empty() || !(fits || room >= SHORTEST_NAME) {
        return String::new();
    }
    format!(" ({hint}{})", one_line(&name, room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_there_is_as_much_as_the_line_has_room_for() {
        let beside = "x".repeat(40);
        assert_eq!(named(Some("api.example.com"), "", &[&beside]), " (api.example.com)");
        assert_eq!(named(Some(&"y".repeat(100)), "", &[&beside]).chars().count(), WIDTH - 40);
        assert_eq!(named(Some("a name"), "", &[&"x".repeat(70)]), "");
        assert_eq!(named(Some("a\nb"), "hint: ", &[]), " (hint: a b)");
        assert_eq!(named(None, "hint: ", &[]), "");
    }
}
