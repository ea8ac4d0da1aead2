//! The first rung: one scan answers for every minute, with ends of connections and refused attempts.
//!
//! Records are first folded per port and minute, so that two lives of one port stay apart; then per port into
//! "held at this instant or not"; then summed per destination and client.

use std::fmt::Write as _;

use super::query::{PortFields, Question, Scope, Statuses, Unaskable, name_ports, name_rows};
use super::text::Text;
use crate::flow::Field;
use crate::network::IDLE_TIMEOUT_SECONDS;

/// Seconds after everything: what a timestamp can hold ends before it, wherever times are counted from.
const FAR: u64 = 999_999_999_999;

pub(super) fn write(question: &Question<'_>, scope: &Scope, text: &mut Text) -> Result<(), Unaskable> {
    let legs = question.legs(scope);
    question.select(scope, &legs, Statuses::All, text)?;
    let fields = name_ports(question, &legs, text);
    fold(question, &fields, text);
    Ok(())
}

/// Folds records into ports, ports into instants, and sums.
///
/// Of each port and instant the packet before (`p`) and the next one (`n`) are kept: at the instant the port
/// was held for certain where it lies within a record, or where no end was ever seen on the port and the
/// silence is too short for the gateway to have let go, or where one record ends and the next begins at once, as
/// those of a busy connection do at the end of each interval; and it may have been held (`h`) where no end was seen
/// before it, for the idle timeout.
fn fold(question: &Question<'_>, fields: &PortFields, text: &mut Text) {
    let PortFields { side, outward, inward, holder, port, server, server_port, began, ended, sent } = fields;
    let ends = question.format.has(Field::TcpFlags);
    let (packets, bytes) = (question.format.has(Field::Packets), question.format.has(Field::Bytes));
    let keys = format!("{side}, {holder}, {port}, {server}, {server_port}, ntProtocol");
    let dialect = text.dialect();

    let minute = text.name("ntMinute");
    let mut more = format!("{} as {minute}", dialect.whole_parts("ntStart", 60));
    let out = if packets {
        let name = text.name("ntSent");
        let _ = write!(more, ", {sent} as {name}");
        name.to_string()
    } else {
        outward.to_string()
    };
    let (finished, reset, opened) = (text.name("ntFin"), text.name("ntRst"), text.name("ntSyn"));
    if ends {
        // FIN is bit 0, SYN bit 1 and RST bit 2: the language has no operator for bits.
        let _ = write!(
            more,
            ", ntTcpFlags % 2 as {finished}, if(ntTcpFlags % 8 >= 4, 1, 0) as {reset}, if(ntTcpFlags % 4 >= 2, 1, 0) as {opened}"
        );
    }
    text.fields(more);

    // Per port and minute: first (s), last (e), RST (r), FIN out (x) and back (y), SYN (o), first packet out (f)
    // and back (g), answer (i), packets out (k: one flow log makes one record of them, two make two of the same
    // packets).
    let [s1, e1, r1, x1, y1, o1, f1, g1, i1, k1, w1, b1, q1] =
        ["s1", "e1", "r1", "x1", "y1", "o1", "f1", "g1", "i1", "k1", "w1", "b1", "q1"]
            .map(|stem| text.name(stem));
    let mut minutes = format!("min({began}) as {s1}, max({ended}) as {e1}");
    if ends {
        let _ = write!(
            minutes,
            ", max({reset}) as {r1}, max({finished} * {outward}) as {x1}, max({finished} * {inward}) as {y1}, max({opened}) as {o1}, min(if({outward} = 1, {began}, {FAR})) as {f1}, min(if({outward} = 1, {FAR}, {began})) as {g1}"
        );
    }
    let _ = write!(minutes, ", max({inward}) as {i1}, max({out}) as {k1}");
    if packets {
        let _ = write!(minutes, ", sum(ntPackets) as {w1}");
    }
    if bytes {
        let _ = write!(minutes, ", sum(ntBytes) as {b1}");
    }
    let _ = write!(minutes, ", count(*) as {q1}");
    text.stats(minutes, format_args!("{keys}, {minute}"));

    // Whether it ended (c: by a RST or by both sides), from when it is held for certain (a: not where a
    // connection may have ended before another began), its step (j), first packets that got no answer (u): all
    // of an attempt without one, else as many as fit into the wait for it, repeated after 1, 3, 7 … seconds.
    let [a1, c1, j1, u1] = ["a1", "c1", "j1", "u1"].map(|stem| text.name(stem));
    let first = question.steps.start() - question.origin();
    let step = dialect.whole_parts(&format!("({s1} - {first})"), question.steps.seconds());
    let step = format!("{step} as {j1}");
    let turned_away = dialect.quoted("turned-away");
    if ends {
        text.fields(format_args!(
            "if({r1} = 1 or ({x1} = 1 and ({y1} = 1 or {i1} = 0)), 1, 0) as {c1}, if({o1} = 1 and {r1} + {x1} + {y1} > 0, {FAR}, {s1}) as {a1}, {step}, if({i1} = 0, if({o1} = 1 or ntProtocol != 6 or {side} = {turned_away}, {k1}, 0), if({o1} = 0 or {g1} - {f1} < 1, 0, if({g1} - {f1} < 3, 1, if({g1} - {f1} < 7, 2, if({g1} - {f1} < 15, 3, 4))))) as {u1}"
        ));
    } else {
        text.fields(format_args!("{step}, if({i1} = 0, {k1}, 0) as {u1}"));
    }
    // Without ends every record speaks for the port from its first packet on.
    let certain_from = if ends { &a1 } else { &s1 };

    let c2 = text.name("c2");
    let mut ports = String::new();
    let mut held = String::new();
    let mut sums = String::new();
    for step in 0..question.steps.count() {
        let at = question.steps.at(step) - question.origin();
        let comma = if step == 0 { "" } else { ", " };
        let [n, p, m, u, h] = ["n", "p", "m", "v", "h"].map(|stem| text.name(&format!("{stem}{step}")));
        // Last end before the instant, and whether that was an end for good: in the lowest bit.
        let (last, certain, may) = if ends {
            (
                format!("{e1} * 2 + {c1}"),
                format!(
                    "{n} < {at} or (2 * {n} - {p} < 3 and {p} % 2 = 0) or ({c2} = 0 and 2 * {n} - {p} < {})",
                    2 * IDLE_TIMEOUT_SECONDS
                ),
                format!("{p} >= {} or ({p} % 2 = 0 and {p} >= {})", 2 * at, 2 * (at - IDLE_TIMEOUT_SECONDS)),
            )
        } else {
            (
                e1.to_string(),
                format!("{n} < {at} or {n} - {p} < 2"),
                format!("{p} >= {}", at - IDLE_TIMEOUT_SECONDS),
            )
        };
        let _ = write!(
            ports,
            "min(if({e1} >= {at}, {certain_from}, {FAR})) as {n}, max(if({s1} < {at}, {last}, 0)) as {p}, max(if({j1} = {step}, 1, 0)) as {m}, sum(if({j1} = {step}, {u1}, 0)) as {u}, "
        );
        let _ = write!(held, "{comma}if({may}, 1, 0) as {h}");
        let [least, hold, most, lost] =
            ["least", "hold", "most", "lost"].map(|stem| text.name(&format!("{stem}{step}")));
        let _ = write!(
            sums,
            "sum(if({certain}, 1, 0)) as {least}, sum({h}) as {hold}, sum(if({m} + {h} > 0, 1, 0)) as {most}, sum({u}) as {lost}, "
        );
    }
    let [s2, e2, answered, k2, w2, b2, q2, d2] =
        ["s2", "e2", "answered", "k2", "w2", "b2", "q2", "d2"].map(|stem| text.name(stem));
    let _ = write!(ports, "min({s1}) as {s2}, max({e1}) as {e2}, max({i1}) as {answered}, sum({k1}) as {k2}");
    if ends {
        let _ = write!(ports, ", max({c1}) as {c2}");
    }
    if packets {
        let _ = write!(ports, ", sum({w1}) as {w2}");
    }
    if bytes {
        let _ = write!(ports, ", sum({b1}) as {b2}");
    }
    let _ = write!(ports, ", sum({q1}) as {q2}, sum({e1} - {s1}) as {d2}");
    text.stats(ports, keys);
    let row = name_rows(fields, &k2, text);
    text.fields(held);

    let [first, last, ended, sent, pkts, octets, records, active, count] =
        ["first", "last", "ends", "sent", "pkts", "octets", "records", "active", "ports"]
            .map(|stem| text.name(stem));
    let _ = write!(sums, "min({s2}) as {first}, max({e2}) as {last}");
    let mut lasted = d2.to_string();
    if ends {
        let _ = write!(sums, ", sum({c2}) as {ended}");
        lasted = format!("if({c2} = 0, {e2} - {s2}, {d2})");
    }
    if packets {
        let _ = write!(sums, ", sum({w2}) as {pkts}");
    }
    if bytes {
        let _ = write!(sums, ", sum({b2}) as {octets}");
    }
    let _ = write!(
        sums,
        ", sum({k2}) as {sent}, sum({q2}) as {records}, sum({lasted}) as {active}, count(*) as {count}"
    );
    text.stats(sums, format_args!("{row}, {answered}"));
    text.put_first(&count);
}
