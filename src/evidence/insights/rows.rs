//! Rows of an answer, read into evidence.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::super::leg::unmapped;
use super::super::roles::MIN_MET;
use super::super::{ClientUse, Destination, Evidence, Held, OnAddress, Side, Steps, Tally, fullest_step};
use super::article;
use super::query::{Question, Scope, address};
use super::rung::Rung;
use crate::flow::record::MAX_RECORD_SECONDS;

/// One row: fields by name, each with its value as text; an absent field is left out.
pub type Row = BTreeMap<String, String>;

/// Why a row was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row of the answer has no usable {field}")]
pub(in crate::evidence) struct UnusableRow {
    /// The field that is missing or holds something else.
    field: String,
}

/// What a row says.
enum Said {
    /// So many records say that others were left out.
    Skipped(u64),
    /// So many records hold no port.
    Nothing(u64),
    /// Packets that only went to an address inside, from so many of the gateway's ports.
    Unasked { to: Option<IpAddr>, ports: u64, records: u64 },
    /// What somebody held.
    Held {
        side: Side,
        holder: IpAddr,
        destination: Destination,
        tally: Box<Tally>,
        seen: (Timestamp, Timestamp),
    },
    /// Packets that left the gateway and were turned away by a rule.
    TurnedAway { destination: Destination, tally: Box<Tally> },
}

/// What the rows of an answer came to.
#[derive(Debug, Default)]
pub(in crate::evidence) struct Tallied {
    /// Records for which they stand.
    pub(in crate::evidence) records: u64,
    /// Rows that were not understood, and why the first was not.
    pub(in crate::evidence) unusable: Option<(u64, UnusableRow)>,
}

/// Adds what rows say to the evidence. Of a row that lacks a field nothing is used.
pub(super) fn add(
    evidence: &mut Evidence,
    rows: &[Row],
    rung: Rung,
    question: &Question<'_>,
    scope: &Scope,
) -> Tallied {
    let mut tallied = Tallied::default();
    let mut turned_away = Vec::new();
    let mut on_addresses: BTreeMap<(Destination, IpAddr), Vec<Held>> = BTreeMap::new();
    for row in rows {
        let said = if rung.asks_every_minute() {
            of_every_minute(evidence.steps, row, rung, question)
        } else {
            of_one_minute(evidence.steps, row, rung, question, scope)
        };
        match said {
            Ok(said) => {
                if let Said::Held { side: Side::Gateway, holder, destination, tally, .. } = &said {
                    let held = on_addresses.entry((*destination, *holder)).or_default();
                    held.resize(evidence.steps.count(), Held::default());
                    held.iter_mut().zip(tally.all_held()).for_each(|(sum, held)| *sum = sum.plus(held));
                }
                tallied.records += add_said(evidence, said, &question.viewpoint.elsewhere, &mut turned_away)
            }
            Err(error) => tallied.unusable.get_or_insert((0, error)).0 += 1,
        }
    }
    let asked = evidence.asked_steps();
    for ((destination, address), held) in on_addresses {
        let Some((_, fullest)) = fullest_step(held[asked.clone()].iter().copied()) else { continue };
        // That question counts what may have been held at any time within the step: no estimate of what was at once.
        let hold = if rung == Rung::FirstAndLast { fullest.least } else { fullest.hold };
        let on = OnAddress { address, least: fullest.least, hold };
        let known = evidence.fullest_addresses.entry(destination).or_insert(on);
        if on.hold > known.hold {
            *known = on;
        }
    }
    // Towards a destination of which nothing is held, as everything was turned away, there is nothing to say.
    for (destination, tally) in turned_away {
        if let Some(total) = evidence.destinations.get_mut(&destination) {
            for (lost, more) in total.lost_at.iter_mut().zip(&tally.lost_at) {
                *lost += more;
            }
            total.sent += tally.sent;
        }
    }
    tallied
}

/// Adds what one row says; returns for how many records it stands.
fn add_said(
    evidence: &mut Evidence,
    said: Said,
    elsewhere: &[IpAddr],
    turned_away: &mut Vec<(Destination, Box<Tally>)>,
) -> u64 {
    let steps = evidence.steps;
    match said {
        Said::Skipped(records) => {
            evidence.coverage.skipdata += records;
            records
        }
        Said::Nothing(records) => records,
        Said::Unasked { to, ports, records } => {
            if let Some(address) = to {
                *evidence.unasked.entry(address).or_default() += ports;
            }
            records
        }
        Said::TurnedAway { destination, tally } => {
            let records = tally.records;
            evidence.coverage.records_read += records;
            turned_away.push((destination, tally));
            records
        }
        Said::Held { side, holder, destination, tally, seen } => {
            if side != Side::AtClient {
                let coverage = &mut evidence.coverage;
                coverage.records_read += tally.records;
                let (first, last) = seen;
                coverage.logs_from = Some(coverage.logs_from.map_or(first, |from| from.min(first)));
                coverage.logs_until = Some(coverage.logs_until.map_or(last, |until| until.max(last)));
            }
            let client = ClientUse { client: holder, destination };
            let into = match side {
                Side::Gateway if elsewhere.contains(&holder) => {
                    evidence.elsewhere.entry(destination).or_insert_with(|| Tally::empty(steps))
                }
                Side::Gateway => {
                    evidence.destinations.entry(destination).or_insert_with(|| Tally::empty(steps))
                }
                Side::Client => evidence.clients.entry(client).or_insert_with(|| Tally::empty(steps)),
                Side::AtClient => evidence.at_clients.entry(client).or_insert_with(|| Tally::empty(steps)),
            };
            into.add(&tally);
            tally.records
        }
    }
}

/// A row of a question about every minute.
fn of_every_minute(
    steps: Steps,
    row: &Row,
    rung: Rung,
    question: &Question<'_>,
) -> Result<Said, UnusableRow> {
    let side = match row.get("side").map_or("", String::as_str) {
        "skipped" => return number(row, "records").map(Said::Skipped),
        "unasked" => {
            let to = row.get("holder").and_then(|a| address(a));
            return Ok(Said::Unasked { to, ports: number(row, "ports")?, records: number(row, "records")? });
        }
        "gateway" | "turned-away" => Side::Gateway,
        "client" => Side::Client,
        "at-client" => Side::AtClient,
        _ => return Err(unusable("side")),
    };
    let turned_away = row.get("side").is_some_and(|side| side == "turned-away");
    let answered = number::<u64>(row, "answered")? > 0;
    let mut tally = Tally::empty(steps);
    for step in 0..steps.count() {
        let held = if answered { &mut tally.held } else { &mut tally.silent };
        let most = number(row, &format!("most{step}"))?;
        held[step] = match rung {
            Rung::EveryMinute => Held {
                least: number(row, &format!("least{step}"))?,
                hold: number(row, &format!("hold{step}"))?,
                most,
            },
            // Whenever within the step it may have been held, it may have been so at its beginning.
            _ => Held { least: 0, hold: most, most },
        };
        tally.lost_at[step] = number(row, &format!("lost{step}"))?;
    }
    if rung == Rung::FirstAndLast {
        let worst = steps.holding(question.worst).unwrap_or(0);
        let held = if answered { &mut tally.held } else { &mut tally.silent };
        held[worst].least = number(row, "least")?;
    }
    tally.connections = number(row, "ports")?;
    tally.unanswered = if answered { 0 } else { tally.connections };
    tally.records = number(row, "records")?;
    tally.active_seconds = number(row, "active")?;
    tally.sent = number(row, "sent")?;
    tally.ended = optional(row, "ends")?;
    tally.packets = optional(row, "pkts")?;
    tally.bytes = optional(row, "octets")?;
    let destination = Destination {
        address: row.get("server").and_then(|a| address(a)).map(unmapped),
        port: number(row, "serverPort")?,
        protocol: number(row, "ntProtocol")?,
    };
    let tally = Box::new(tally);
    if turned_away {
        return Ok(Said::TurnedAway { destination, tally });
    }
    let holder = row.get("holder").and_then(|a| address(a)).ok_or_else(|| unusable("holder"))?;
    let base = question.origin();
    let seen = (second(row, "first", base)?, second(row, "last", base)?);
    Ok(Said::Held { side, holder, destination, tally, seen })
}

/// A row of a question about one minute: packets towards a destination only.
fn of_one_minute(
    steps: Steps,
    row: &Row,
    rung: Rung,
    question: &Question<'_>,
    scope: &Scope,
) -> Result<Said, UnusableRow> {
    let legs = question.legs(scope);
    let [source, target, port, protocol] = article::columns(question, &legs, rung);
    let holder = row.get(&source).and_then(|a| address(a)).ok_or_else(|| unusable(&source))?;
    let viewpoint = question.viewpoint;
    let server = row.get(&target).and_then(|a| address(a));
    let side = match scope {
        Scope::Clients(_) => Side::AtClient,
        _ if viewpoint.addresses.contains(&holder) => Side::Gateway,
        _ => Side::Client,
    };
    let ports: u32 = number(row, "ports")?;
    let perhaps_to_server = side == Side::Gateway
        && legs.hides_servers()
        && server.is_some_and(|server| viewpoint.may_be_server(server));
    // Packets to an address inside are answers to a client, each from a server's port, unless they came from very many.
    if perhaps_to_server && (ports as usize) < MIN_MET {
        return number(row, "records").map(Said::Nothing);
    }
    // The text of this question does not choose: what comes back to the gateway or to a client is here as well.
    if rung == Rung::PlainFields && !perhaps_to_server {
        let to_client = server.is_none_or(|server| viewpoint.is_client(server));
        let to_gateway = server.is_some_and(|server| viewpoint.addresses.contains(&server));
        let outward = match side {
            Side::Gateway => !to_client && !to_gateway,
            Side::Client | Side::AtClient => viewpoint.is_client(holder) && (to_gateway || !to_client),
        };
        if !outward {
            return number(row, "records").map(Said::Nothing);
        }
    }
    let server = server.map(unmapped);
    let destination = Destination {
        address: server.filter(|_| !(legs.hides_servers() && side == Side::Client)),
        port: number(row, &port)?,
        protocol: number(row, &protocol)?,
    };
    let mut tally = Tally::empty(steps);
    if let Some(held) = tally.held.first_mut() {
        let least: u32 = optional(row, "least")?;
        let closed: u32 = optional(row, "closed")?;
        *held = Held { least, hold: ports.saturating_sub(closed).max(least), most: ports };
        tally.ended = u64::from(closed);
    }
    // What went in and never came out was lost between the two: of that these are the most on either side. The question
    // on plain fields can't tell an attempt's packets from others.
    if let Some(lost) = tally.lost_at.first_mut() {
        *lost = optional(row, if rung == Rung::PlainFields { "sent" } else { "tried" })?;
    }
    tally.connections = u64::from(ports);
    tally.records = number(row, "records")?;
    tally.sent = optional(row, "sent")?;
    tally.packets = tally.sent;
    tally.bytes = optional(row, "octets")?;
    let latest = question.window.end() + SignedDuration::from_secs(MAX_RECORD_SECONDS);
    let seen = (second(row, "first", 0)?, second(row, "last", 0)?.min(latest));
    Ok(Said::Held { side, holder, destination, tally: Box::new(tally), seen })
}

fn unusable(field: &str) -> UnusableRow {
    UnusableRow { field: field.to_owned() }
}

/// A whole number; Logs Insights may write one as `12.0` or `1.2E7`.
fn signed(row: &Row, field: &str) -> Result<i64, UnusableRow> {
    let text = row.get(field).ok_or_else(|| unusable(field))?;
    let whole = text.parse::<i64>().ok();
    let float =
        || text.parse::<f64>().ok().filter(|f| f.fract() == 0.0 && f.abs() < 9.0e15).map(|f| f as i64);
    whole.or_else(float).ok_or_else(|| unusable(field))
}

/// A time that counts from `base`.
fn second(row: &Row, field: &str, base: i64) -> Result<Timestamp, UnusableRow> {
    let counted = signed(row, field)?;
    base.checked_add(counted).and_then(|at| Timestamp::from_second(at).ok()).ok_or_else(|| unusable(field))
}

/// More than any count over a window: even ten thousand rows of it do not make sums overflow.
const MAX_COUNT: i64 = 1 << 50;

fn number<T: TryFrom<i64>>(row: &Row, field: &str) -> Result<T, UnusableRow> {
    let number = signed(row, field)?;
    T::try_from(number).ok().filter(|_| number <= MAX_COUNT).ok_or_else(|| unusable(field))
}

/// A number of a field that the format may lack, in which case it is not asked for.
fn optional<T: TryFrom<i64> + Default>(row: &Row, field: &str) -> Result<T, UnusableRow> {
    if row.contains_key(field) { number(row, field) } else { Ok(T::default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_in_every_notation() {
        let row = |text: &str| Row::from([("n".to_owned(), text.to_owned())]);
        assert_eq!(number::<u32>(&row("12"), "n"), Ok(12));
        assert_eq!(number::<u32>(&row("12.0"), "n"), Ok(12));
        assert_eq!(number::<u64>(&row("1.2E7"), "n"), Ok(12_000_000));
        assert!(number::<u64>(&row("1125899906842625"), "n").is_err(), "no window has so many");
        for text in ["", "-1", "1.5", "NaN", "x", "1e300"] {
            assert!(number::<u32>(&row(text), "n").is_err(), "{text}");
        }
    }
}
