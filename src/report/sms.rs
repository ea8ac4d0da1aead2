//! The diagnosis in one text message, and as the subject of a mail.

use super::again;
use super::wording::{capacity, held_by, number, or_more, part_of_capacity, place, reach};
use crate::contract::{Diagnosis, Stage, Verdict};
use crate::words::{self, ascii_line};

/// One message part that every phone takes: 140 characters, all of them in the GSM alphabet.
const LONGEST: usize = 140;

/// Fewer than 100 characters are allowed (`PublishInput` in the Amazon SNS API).
pub(super) const SUBJECT: usize = 99;

/// Destination, how full, who holds it, how sure; at most 140 characters of the GSM alphabet.
#[must_use]
pub fn sms(diagnosis: &Diagnosis) -> String {
    gsm_line(&with_prefix(diagnosis, LONGEST), LONGEST)
}

/// A text that is no diagnosis.
#[must_use]
pub fn note(text: &str) -> String {
    gsm_line(text, LONGEST)
}

/// The subject of a mail: ASCII, at most 99 characters, the answer itself.
#[must_use]
pub fn subject(diagnosis: &Diagnosis) -> String {
    ascii_line(&with_prefix(diagnosis, SUBJECT), SUBJECT)
}

/// The answer; first of all that it is one more of an incident that was reported.
fn with_prefix(diagnosis: &Diagnosis, most: usize) -> String {
    let prefix = again::prefix(diagnosis);
    let answer = answer(diagnosis, most - prefix.len());
    prefix + &answer
}

/// As many characters of a gateway's id as it is recognised by: `nat-0a1b2c3d`.
pub(super) const ID: usize = 12;

/// The answer, with who holds the ports and what else is full where that fits into `most` characters: half an
/// address would name somebody else.
fn answer(diagnosis: &Diagnosis, most: usize) -> String {
    let gateway = diagnosis.nat_gateways.first();
    let id = gateway.and_then(|g| g.id.as_deref()).unwrap_or("gateway");
    let id = id.get(..ID).unwrap_or(id);
    let so_far = if diagnosis.stage == Stage::Provisional { " so far" } else { "" };
    if diagnosis.drill {
        if !diagnosis.was_answered() {
            return match diagnosis.stage {
                Stage::Provisional => {
                    format!("TEST: this arrives; the flow logs of NAT {id} are still being read")
                }
                Stage::Final => format!("TEST: this arrives, but no flow log of NAT {id} gave an answer"),
            };
        }
        let now = match diagnosis.destinations.first().map(|top| top.utilization) {
            Some(Some(part)) => format!("is {} full now", words::percent(part)),
            Some(None) => "has a limit that is not known".to_owned(),
            None => "carries nothing".to_owned(),
        };
        return format!("TEST: the path works; NAT {id} {now}{so_far}");
    }
    if let Some((unplaced, part)) = diagnosis.unplaced_attempts() {
        let attempts = words::count(unplaced.attempts);
        let of_errors = part.map_or(String::new(), |part| format!(", {} of errors", words::percent(part)));
        let seen =
            format!("; {attempts} attempts to port {} never got out{of_errors}", unplaced.port_label());
        let by = format!(", most by {}", unplaced.client);
        return add_what_fits(format!("NAT {id}: cannot tell{so_far}"), vec![seen, by], most);
    }
    let Some(top) = diagnosis.destinations.first() else {
        let why = match (diagnosis.was_answered(), diagnosis.stage) {
            (true, _) => "nothing of it in the flow logs",
            (false, Stage::Provisional) => "the flow logs are still being read",
            (false, Stage::Final) => "no flow log gave an answer",
        };
        return format!("NAT {id}: cannot tell{so_far}, {why}; see the report");
    };
    let place = place(top);
    let of = |part: f64, held: u32| match capacity(diagnosis) {
        Some(capacity) => format!("{} of {} ports", words::percent(part), words::count(capacity)),
        None => format!("{} ports", words::count(u64::from(held))),
    };
    let full = match top.full_address {
        Some(full) => {
            let on = full.address.map_or("one address".to_owned(), |address| address.to_string());
            let part = words::percent(f64::from(full.held) / f64::from(full.of.max(1)));
            format!("{part} of {} ports on {on}", words::count(u64::from(full.of)))
        }
        None => of(top.utilization.unwrap_or_default(), top.held.estimate),
    };
    let (answer, more) = match diagnosis.verdict {
        Verdict::Confirmed => {
            let others = diagnosis.destinations.iter().skip(1).filter(|other| other.is_full()).count();
            let others = if others > 0 {
                format!("; {others}{} more full", or_more(diagnosis))
            } else {
                String::new()
            };
            (format!("NAT {id}: {place} at {full}"), vec![holder(diagnosis), scanner(diagnosis), others])
        }
        Verdict::Likely => {
            let answer = format!("NAT {id}: {place} probably full{so_far}, {full}");
            (answer, vec![holder(diagnosis)])
        }
        Verdict::NotSupported if let Some(near) = diagnosis.near_without_errors() => {
            let held = words::count(u64::from(near.held.at_most));
            let capacity = words::count(capacity(diagnosis).unwrap_or_default());
            let near = format!("; {}: up to {held} of {capacity}", self::place(near));
            (format!("NAT {id}: nothing refused for want of ports{so_far}"), vec![near])
        }
        Verdict::NotSupported => {
            let at_most = of(part_of_capacity(diagnosis, top.held.at_most), top.held.at_most);
            let counted = diagnosis.refused_attempts.counted.filter(|errors| *errors > 0.0);
            let yet = counted.map_or(String::new(), |errors| format!(", yet {} errors", number(errors)));
            let answer = format!("NAT {id}: no destination near its limit{so_far}{yet}");
            (answer, vec![scanner(diagnosis), format!("; {place}: at most {at_most}")])
        }
        Verdict::CannotTell if let Some((_, counted)) = diagnosis.refused_unproven() => {
            let of_errors =
                counted.map_or(String::new(), |part| format!(", {} of errors", words::percent(part)));
            let attempts = words::count(top.refused);
            let seen = format!("; {attempts} attempts to {place} never got out{of_errors}");
            (format!("NAT {id}: cannot tell{so_far}"), vec![seen, tried_by(diagnosis)])
        }
        Verdict::CannotTell => {
            let full = match capacity(diagnosis) {
                Some(capacity) => {
                    format!("{} of {} ports", reach(diagnosis, &top.held), words::count(capacity))
                }
                None => full,
            };
            let seen = format!("; most seen {place} at {full}");
            (format!("NAT {id}: cannot tell{so_far}"), vec![scanner(diagnosis), seen])
        }
    };
    add_what_fits(answer, more, most)
}

/// A text with as many of the clauses as fit whole into `most` characters.
fn add_what_fits(answer: String, clauses: Vec<String>, most: usize) -> String {
    clauses.into_iter().fold(
        answer,
        |said, clause| {
            if said.len() + clause.len() <= most { said + &clause } else { said }
        },
    )
}

/// Who scans, where that shows: what the night is about where no destination is known to have been full.
fn scanner(diagnosis: &Diagnosis) -> String {
    let Some(scan) = &diagnosis.scan else { return String::new() };
    let scans = |client| format!("; {client} scans {} destinations", words::count(scan.destinations));
    scan.client.map_or(String::new(), scans)
}

/// Who holds them, and how certain that is.
fn holder(diagnosis: &Diagnosis) -> String {
    match diagnosis.destinations.first().and_then(|top| Some((top, top.clients.first()?))) {
        Some((_, client)) if !client.stands_out() => ", no client stands out".to_owned(),
        Some((top, client)) => held_by(top, client),
        None => String::new(),
    }
}

/// Who made most of the attempts that never left the gateway.
fn tried_by(diagnosis: &Diagnosis) -> String {
    let clients = diagnosis.destinations.first().into_iter().flat_map(|top| &top.clients);
    let most = clients.filter(|client| client.refused > 0).max_by_key(|client| client.refused);
    most.map_or(String::new(), |client| format!(", most by {}", client.address))
}

/// Text in the basic GSM alphabet, where every character is one of the 140: its ASCII part, without those
/// that it writes with two.
///
/// Source: 3GPP TS 23.038, the default alphabet and its extension table.
fn gsm_line(text: &str, most: usize) -> String {
    let basic = |c: char| match c {
        '[' | '{' => '(',
        ']' | '}' => ')',
        '`' | '^' | '\\' | '~' | '|' => '?',
        other => other,
    };
    ascii_line(&text.chars().map(basic).collect::<String>(), most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_takes_the_room_of_two() {
        assert_eq!(gsm_line("[a]{b}`^\\~|_€é", 140), "(a)(b)?????_??");
        assert_eq!(gsm_line(&"[".repeat(200), 140).len(), 140);
    }
}
