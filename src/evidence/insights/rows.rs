//! Rows of an answer, read into evidence.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::super::leg::unmapped;
use super::super::{ClientUse, Destination, Evidence, Held, Side, Tally};
use super::query::{address, side_from_name};

/// One row: fields by name, each with its value as text; an absent field is left out.
pub type Row = BTreeMap<String, String>;

/// Why a row was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row of the answer has no usable {field}")]
pub(super) struct UnusableRow {
    /// The field that is missing or holds something else.
    pub(super) field: String,
}

/// Adds what a row says to the evidence; `elsewhere` are the gateway's addresses in other zones,
/// and its times count from `origin`.
///
/// # Errors
/// When the row lacks a field that the query asked for; nothing of it is then used.
pub(super) fn add(
    evidence: &mut Evidence,
    row: &Row,
    elsewhere: &[IpAddr],
    origin: i64,
) -> Result<(), UnusableRow> {
    let name = row.get("side").map_or("", String::as_str);
    if name == "skipped" {
        evidence.coverage.skipdata += number::<u64>(row, "records")?;
        return Ok(());
    }
    let side = side_from_name(name).ok_or_else(|| unusable("side"))?;
    let answered = number::<u64>(row, "answered")? > 0;
    let tally = tally(evidence, row, answered)?;
    let holder: IpAddr = row.get("holder").and_then(|a| address(a)).ok_or_else(|| unusable("holder"))?;
    let destination = Destination {
        address: row.get("server").and_then(|a| address(a)).map(unmapped),
        port: number(row, "dport")?,
        protocol: number(row, "ntProtocol")?,
    };
    let base = origin;
    if side != Side::AtClient {
        let first = base + signed(row, "first")?;
        let last = base + signed(row, "last")?;
        let second = |s: i64| Timestamp::from_second(s).map_err(|_| unusable("first"));
        let coverage = &mut evidence.coverage;
        coverage.records_read += tally.records;
        coverage.logs_from =
            Some(coverage.logs_from.map_or(second(first)?, |t| t.min(second(first).unwrap_or(t))));
        coverage.logs_until =
            Some(coverage.logs_until.map_or(second(last)?, |t| t.max(second(last).unwrap_or(t))));
    }
    let steps = evidence.steps;
    let into = match side {
        Side::Gateway if elsewhere.contains(&holder) => {
            evidence.elsewhere.entry(destination).or_insert_with(|| Tally::empty(steps))
        }
        Side::Gateway => evidence.destinations.entry(destination).or_insert_with(|| Tally::empty(steps)),
        Side::Client => evidence
            .clients
            .entry(ClientUse { client: holder, destination })
            .or_insert_with(|| Tally::empty(steps)),
        Side::AtClient => evidence
            .at_clients
            .entry(ClientUse { client: holder, destination })
            .or_insert_with(|| Tally::empty(steps)),
    };
    into.add(&tally);
    Ok(())
}

fn tally(evidence: &Evidence, row: &Row, answered: bool) -> Result<Tally, UnusableRow> {
    let mut tally = Tally::empty(evidence.steps);
    for step in 0..evidence.steps.count() {
        let held = if answered { &mut tally.held } else { &mut tally.silent };
        held[step] = Held {
            least: number(row, &format!("least{step}"))?,
            hold: number(row, &format!("hold{step}"))?,
            most: number(row, &format!("most{step}"))?,
        };
        tally.lost_at[step] = number(row, &format!("lost{step}"))?;
    }
    tally.connections = number(row, "ports")?;
    tally.unanswered = if answered { 0 } else { tally.connections };
    tally.records = number(row, "records")?;
    tally.active_seconds = number(row, "active")?;
    tally.sent = number(row, "sent")?;
    // Fields that the format lacks are not asked for.
    let optional = |field: &str| if row.contains_key(field) { number(row, field) } else { Ok(0) };
    tally.ended = optional("ends")?;
    tally.packets = optional("packets")?;
    tally.bytes = optional("bytes")?;
    Ok(tally)
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

fn number<T: TryFrom<i64>>(row: &Row, field: &str) -> Result<T, UnusableRow> {
    T::try_from(signed(row, field)?).map_err(|_| unusable(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_notation_that_stands_for_a_whole_one() {
        let row = |text: &str| Row::from([("n".to_owned(), text.to_owned())]);
        assert_eq!(number::<u32>(&row("12"), "n"), Ok(12));
        assert_eq!(number::<u32>(&row("12.0"), "n"), Ok(12));
        assert_eq!(number::<u64>(&row("1.2E7"), "n"), Ok(12_000_000));
        for text in ["", "-1", "1.5", "NaN", "x", "1e300"] {
            assert!(number::<u32>(&row(text), "n").is_err(), "{text}");
        }
    }
}
