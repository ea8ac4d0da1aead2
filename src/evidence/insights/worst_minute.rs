//! The third and the fourth rung: one minute only, the one in which most errors were counted. A port may have
//! been held in it where a record of it overlaps the minute or the idle timeout before it.
//!
//! Only packets towards the destination are read, so that the text needs no `if`: the language had none before
//! June 2026, and `GovCloud` and China may still have none.

use std::fmt::Write as _;

use super::query::{Question, Scope, Statuses, Unaskable};
use super::text::{Name, Text};
use crate::flow::Field;
use crate::network::IDLE_TIMEOUT_SECONDS;

/// Most packets of an attempt in vain within a record: the first, and six repetitions, as Linux makes by default
/// (`tcp_syn_retries`).
const MAX_TRIED: u32 = 7;

/// How ports are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Each once, by two `stats`; and those that a single record spans, which were certainly held.
    Exact,
    /// By one `stats`. `countDistinct` is approximate, by how much AWS does not say.
    Distinct,
}

pub(super) fn write(
    question: &Question<'_>,
    scope: &Scope,
    count: Count,
    text: &mut Text,
) -> Result<(), Unaskable> {
    let legs = question.legs(scope);
    question.select(scope, &legs, Statuses::Accepted, text)?;
    if let Some(outward) = legs.outward_only() {
        match legs.perhaps_to_server() {
            None => text.filter(outward),
            Some(perhaps) => text.filter(format_args!("{outward} or ({perhaps})")),
        }
    }
    let (from, to) = (question.window.start().as_second(), question.window.end().as_second());
    text.filter(format_args!("ntStart < {to} and ntEnd >= {}", from - IDLE_TIMEOUT_SECONDS));
    // Addresses of the gateway stay apart: each has ports of its own, with the same numbers.
    let keys = format!("{}, {}, ntDstport, ntProtocol", legs.source(), legs.target());
    let fields = Fields {
        packets: question.format.has(Field::Packets),
        bytes: question.format.has(Field::Bytes),
        ends: question.format.has(Field::TcpFlags),
        from,
    };
    let [ports, records, first, last, sent, tried, octets] =
        ["ports", "records", "first", "last", "sent", "tried", "octets"].map(|stem| text.name(stem));
    let (mut stats, each) = match count {
        Count::Exact => {
            let port = format!("{}, ntSrcport, {}, ntDstport, ntProtocol", legs.source(), legs.target());
            exact(&fields, &ports, &port, text)
        }
        Count::Distinct => {
            let distinct = text.dialect().count_distinct("ntSrcport");
            (format!("{distinct} as {ports}"), fields.of_records())
        }
    };
    let _ = write!(
        stats,
        ", {} as {records}, min({}) as {first}, max({}) as {last}",
        each.count, each.began, each.ended
    );
    if fields.packets {
        let _ = write!(stats, ", sum({}) as {sent}, sum({}) as {tried}", each.packets, each.tried);
    }
    if fields.bytes {
        let _ = write!(stats, ", sum({}) as {octets}", each.bytes);
    }
    text.stats(stats, keys);
    text.put_first(&ports);
    Ok(())
}

/// Which of the optional fields the format has, and when the minute begins.
struct Fields {
    packets: bool,
    bytes: bool,
    ends: bool,
    from: i64,
}

/// What the last `stats` adds up: expressions.
struct Each {
    count: String,
    began: String,
    ended: String,
    packets: String,
    tried: String,
    bytes: String,
}

impl Fields {
    /// Packets of records that began in the minute and hold no more than an attempt in vain does: 1 times those, 0
    /// times the others'. The two sides of a busy connection can begin on either side of a minute's beginning, and
    /// its packets would drown the attempts.
    fn packets_tried(&self) -> String {
        let few = format!("least(1, greatest(0, {} - ntPackets))", MAX_TRIED + 1);
        format!("ntPackets * {} * {few}", one_from("ntStart", self.from))
    }

    fn of_records(&self) -> Each {
        Each {
            count: "count(*)".into(),
            began: "ntStart".into(),
            ended: "ntEnd".into(),
            packets: "ntPackets".into(),
            tried: self.packets_tried(),
            bytes: "ntBytes".into(),
        }
    }
}

/// 1 where the whole number is `least` or more, else 0, in a text without `if`.
fn one_from(number: &str, least: i64) -> String {
    format!("least(1, greatest(0, {number} - {}))", least - 1)
}

/// Folds records into ports first.
fn exact(fields: &Fields, ports: &Name, port: &str, text: &mut Text) -> (String, Each) {
    let [spans, q1, s1, e1, c1, w1, m1, b1] =
        ["p1", "q1", "s1", "e1", "c1", "w1", "m1", "b1"].map(|stem| text.name(stem));
    let from = fields.from;
    // Where the record began before the minute and ended in it or later.
    let spanning = format!("least(1, greatest(0, {from} - ntStart)) * {}", one_from("ntEnd", from));
    let mut each =
        format!("count(*) as {q1}, min(ntStart) as {s1}, max(ntEnd) as {e1}, max({spanning}) as {spans}");
    if fields.ends {
        // The last end of a record with a FIN, which is bit 0, or a RST, which is bit 2.
        let reset = text.dialect().whole_parts("ntTcpFlags % 8", 4);
        let _ = write!(each, ", max(ntEnd * greatest(ntTcpFlags % 2, {reset})) as {c1}");
    }
    if fields.packets {
        let _ = write!(each, ", sum(ntPackets) as {w1}, sum({}) as {m1}", fields.packets_tried());
    }
    if fields.bytes {
        let _ = write!(each, ", sum(ntBytes) as {b1}");
    }
    text.stats(each, port);
    let [least, closed] = ["least", "closed"].map(|stem| text.name(stem));
    let mut stats = format!("count(*) as {ports}, sum({spans}) as {least}");
    if fields.ends {
        // Closed by its last record, and that before the minute.
        let _ = write!(
            stats,
            ", sum(least(1, greatest(0, {c1} - {e1} + 1)) * least(1, greatest(0, {from} - {e1}))) as {closed}"
        );
    }
    let each = Each {
        count: format!("sum({q1})"),
        began: s1.to_string(),
        ended: e1.to_string(),
        packets: w1.to_string(),
        tried: m1.to_string(),
        bytes: b1.to_string(),
    };
    (stats, each)
}
