//! The second rung: two `stats`. The first and the last packet of each port say when it may have been held.
//!
//! Ends of connections and separate lives of one port are given up, so that every count is an upper bound: a
//! port that was used twice looks held in between. Only at the beginning of the worst minute it is also
//! counted which ports a single record spans, which were certainly held.

use std::fmt::Write as _;

use super::query::{PortFields, Question, Scope, Statuses, Unaskable, name_ports, name_rows};
use super::text::Text;
use crate::flow::Field;
use crate::network::IDLE_TIMEOUT_SECONDS;

/// `tcp-flags` of records in which one connection may have ended and another begun: SYN with FIN, RST or both.
const OPENED_AND_CLOSED: &str = r#"["3", "6", "7", "19", "22", "23"]"#;

pub(super) fn write(question: &Question<'_>, scope: &Scope, text: &mut Text) -> Result<(), Unaskable> {
    let legs = question.legs(scope);
    question.select(scope, &legs, Statuses::All, text)?;
    let fields = name_ports(question, &legs, text);
    let PortFields { side, inward, holder, port, server, server_port, began, ended, sent, .. } = &fields;
    let (packets, bytes) = (question.format.has(Field::Packets), question.format.has(Field::Bytes));
    let keys = format!("{side}, {holder}, {port}, {server}, {server_port}, ntProtocol");

    let [begins, ends, answered, out, spans, count, w1, b1] =
        ["s1", "e1", "answered", "k1", "p1", "q1", "w1", "b1"].map(|stem| text.name(stem));
    let steps = question.steps;
    let worst = steps.holding(question.worst).unwrap_or(0);
    let at = steps.at(worst) - question.origin();
    let apart = if question.format.has(Field::TcpFlags) {
        format!(" and ntTcpFlags not in {OPENED_AND_CLOSED}")
    } else {
        String::new()
    };
    let mut ports = format!(
        "stats min({began}) as {begins}, max({ended}) as {ends}, max({inward}) as {answered}, sum({sent}) as {out}, max(if({began} < {at} and {ended} >= {at}{apart}, 1, 0)) as {spans}, count(*) as {count}"
    );
    if packets {
        let _ = write!(ports, ", sum(ntPackets) as {w1}");
    }
    if bytes {
        let _ = write!(ports, ", sum(ntBytes) as {b1}");
    }
    let _ = write!(ports, " by {keys}");
    text.command(ports);
    let row = name_rows(&fields, &out, text);

    let mut sums = String::from("stats ");
    for step in 0..steps.count() {
        let from = steps.at(step) - question.origin();
        let to = from + steps.seconds();
        let [most, lost] = ["most", "lost"].map(|stem| text.name(&format!("{stem}{step}")));
        let _ = write!(
            sums,
            "sum(if({begins} < {to} and {ends} >= {}, 1, 0)) as {most}, sum(if({answered} = 0 and {begins} >= {from} and {begins} < {to}, {out}, 0)) as {lost}, ",
            from - IDLE_TIMEOUT_SECONDS
        );
    }
    let [least, first, last, out_all, pkts, octets, records, active, all] =
        ["least", "first", "last", "sent", "pkts", "octets", "records", "active", "ports"]
            .map(|stem| text.name(stem));
    let _ = write!(sums, "sum({spans}) as {least}, min({begins}) as {first}, max({ends}) as {last}");
    if packets {
        let _ = write!(sums, ", sum({w1}) as {pkts}");
    }
    if bytes {
        let _ = write!(sums, ", sum({b1}) as {octets}");
    }
    let _ = write!(
        sums,
        ", sum({out}) as {out_all}, sum({count}) as {records}, sum({ends} - {begins}) as {active}, count(*) as {all} by {row}, {answered}"
    );
    text.command(sums);
    text.command(format_args!("sort {all} desc"));
    Ok(())
}
