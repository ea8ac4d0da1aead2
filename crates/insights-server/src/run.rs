//! Runs a plan over events: one pass, record by record, up to the first grouping, then group by
//! group from each grouping to the next.

use std::cmp::{Ordering, Reverse};

use bumpalo::Bump;

use crate::aggregate::{Groups, Interner};
use crate::dialect::Dialect;
use crate::expression::Surroundings;
use crate::plan::{
    EVENT_FIELDS, FLOW_FIELDS, INGESTION_TIME, LOG, LOG_STREAM, MESSAGE, Plan, Segment, SortBy, Step,
    TIMESTAMP,
};
use crate::query::Window;
use crate::store::LogEvent;
use crate::value::{Value, natural_order, print_number, print_time};

/// The events of one stream that a query reads, with what their fields say of where they stand.
pub(crate) struct StreamOfEvents<'a> {
    pub(crate) log: &'a str,
    pub(crate) stream: &'a str,
    /// The discovered flow-log fields apply.
    pub(crate) is_default_flow_log: bool,
    pub(crate) events: Vec<&'a LogEvent>,
}

pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<(String, String)>>,
    /// Events that passed every filter before the first `stats`.
    pub(crate) matched: u64,
}

pub(crate) fn run(
    plan: &Plan,
    streams: &[StreamOfEvents<'_>],
    window: Window,
    limit: usize,
    dialect: &Dialect,
) -> Answer {
    let arena = Bump::new();
    let (start_ms, end_ms) = (window.start_ms() as f64, window.end_ms() as f64);
    let around = Surroundings { arena: &arena, start_ms, end_ms };
    let most_groups = dialect.max_groups.unwrap_or(usize::MAX);
    let mut interner = Interner::new(&arena);
    let mut matched = 0;
    let mut rows = Rows::new(plan);

    let mut groups = plan.groupings.first().map(Groups::new);
    each_event(plan, streams, &around, |pointer, slots| {
        matched += 1;
        if dialect.one_record_in.is_some_and(|one| matched % one != 0) {
            return;
        }
        match &mut groups {
            Some(groups) => groups.add(slots, &around, &mut interner),
            None => rows.push(Some(pointer), slots),
        }
    });
    for (at, segment) in plan.segments.iter().enumerate().skip(1) {
        let Some(previous) = groups.take() else { break };
        let mut next = plan.groupings.get(at).map(Groups::new);
        let mut slots = vec![Value::Missing; segment.slots];
        for group in 0..previous.len().min(most_groups) {
            previous.fill(group, &interner, &mut slots);
            if !passes(segment, &mut slots, &around) {
                continue;
            }
            match &mut next {
                Some(next) => next.add(&slots, &around, &mut interner),
                None => rows.push(None, &slots),
            }
        }
        groups = next;
    }
    Answer { rows: rows.finish(limit), matched }
}

fn each_event<'a>(
    plan: &'a Plan,
    streams: &'a [StreamOfEvents<'a>],
    around: &Surroundings<'a>,
    mut take: impl FnMut(u64, &[Value<'a>]),
) {
    let Some(segment) = plan.segments.first() else { return };
    let mut slots = vec![Value::Missing; segment.slots];
    let mut pointer = 0;
    for stream in streams {
        slots[LOG_STREAM] = Value::Text(stream.stream);
        slots[LOG] = Value::Text(stream.log);
        for event in &stream.events {
            pointer += 1;
            slots[TIMESTAMP] = Value::Number(event.timestamp_ms as f64);
            slots[INGESTION_TIME] = Value::Number(event.ingestion_ms as f64);
            slots[MESSAGE] = Value::Text(&event.message);
            if !plan.flow_fields.is_empty() {
                discover(&event.message, stream.is_default_flow_log, &mut slots[EVENT_FIELDS.len()..]);
            }
            if passes(segment, &mut slots, around) {
                take(pointer, &slots);
            }
        }
    }
}

/// A message has the discovered fields only if it is a default-format record: 14 fields, version 2.
fn discover<'a>(message: &'a str, is_default_flow_log: bool, slots: &mut [Value<'a>]) {
    let slots = &mut slots[..FLOW_FIELDS.len()];
    let mut pieces = message.split(' ');
    let mut complete = is_default_flow_log && message.starts_with("2 ");
    for slot in slots.iter_mut() {
        match pieces.next() {
            Some(piece) if complete && !piece.is_empty() => *slot = Value::Text(piece),
            _ => complete = false,
        }
    }
    if !complete || pieces.next().is_some() {
        slots.fill(Value::Missing);
    }
}

fn passes<'a>(segment: &'a Segment, slots: &mut [Value<'a>], around: &Surroundings<'a>) -> bool {
    for step in &segment.steps {
        match step {
            Step::Filter(condition) => {
                if !condition.holds(slots, around) {
                    return false;
                }
            }
            Step::Assign(slot, scalar) => slots[*slot] = scalar.value(slots, around),
            Step::Extract { from, extraction } => extraction.apply(slots[*from], slots),
        }
    }
    true
}

/// The rows of the answer, of which only the fields that are shown or sorted by are kept.
struct Rows<'a, 'p> {
    plan: &'p Plan,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    shown: Box<[Value<'a>]>,
    order: Box<[Value<'a>]>,
    timestamp: f64,
    /// Which event this is, where the row is one.
    pointer: Option<u64>,
}

impl<'a, 'p> Rows<'a, 'p> {
    fn new(plan: &'p Plan) -> Self {
        Rows { plan, rows: Vec::new() }
    }

    fn push(&mut self, pointer: Option<u64>, slots: &[Value<'a>]) {
        let timestamp = if pointer.is_some() { slots[TIMESTAMP].number() } else { 0.0 };
        self.rows.push(Row {
            shown: self.plan.columns.iter().map(|column| slots[column.slot]).collect(),
            order: self.plan.sort.iter().map(|key| slots[key.slot]).collect(),
            timestamp,
            pointer,
        });
    }

    /// Events that nobody sorts come newest first, as the console shows them.
    fn finish(mut self, limit: usize) -> Vec<Vec<(String, String)>> {
        if !self.plan.sort.is_empty() {
            self.rows.sort_by(|left, right| order(&self.plan.sort, left, right));
        } else if self.plan.groupings.is_empty() {
            self.rows.sort_by_key(|row| Reverse(row.timestamp as i64));
        }
        self.rows.truncate(limit);
        self.rows.iter().map(|row| self.print(row)).collect()
    }

    /// A field without a value is left out of its row.
    fn print(&self, row: &Row<'a>) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = self
            .plan
            .columns
            .iter()
            .zip(&row.shown)
            .filter_map(|(column, value)| {
                let printed = match value {
                    Value::Missing => return None,
                    value if column.is_time => print_time(value.number()),
                    Value::Number(number) => print_number(*number),
                    Value::Text(text) => (*text).to_owned(),
                };
                Some((column.name.clone(), printed))
            })
            .collect();
        if let Some(pointer) = row.pointer {
            fields.push(("@ptr".to_owned(), format!("event-{pointer:012x}")));
        }
        fields
    }
}

/// Rows without a value to sort by come last in both directions (the reference is silent); ties keep
/// their order.
fn order(keys: &[SortBy], left: &Row<'_>, right: &Row<'_>) -> Ordering {
    for ((key, left), right) in keys.iter().zip(&left.order).zip(&right.order) {
        let order = match (left.is_missing(), right.is_missing()) {
            (false, false) if key.descending => natural_order(*right, *left),
            (false, false) => natural_order(*left, *right),
            (left, right) => left.cmp(&right),
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}
