//! Commands to a plan: resolves every name to a slot, checks types and the order of commands, and
//! drops whatever nothing reads. All refusals that need no log group happen here.

mod expressions;
mod order;
mod streams;

use hashbrown::{HashMap, HashSet};

use self::expressions::{compile_regex, contains_aggregate};
use self::order::check_order;
use self::streams::streams_named;
use crate::ast::{Command, CommandKind, Item, Kind, Name, Pattern};
use crate::expression::Scalar;
use crate::extract::{Extraction, Glob};
use crate::malformed::{Parsed, Span, refuse};
use crate::plan::{
    Aggregate, Column, EVENT_FIELDS, FLOW_FIELDS, Grouping, INGESTION_TIME, LOG, LOG_STREAM, MESSAGE, Plan,
    Segment, SortBy, Step, TIMESTAMP,
};

/// What is known of a value before any record is seen. Parsed fields can be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Unknown,
    Number,
    /// A number of milliseconds that prints as a date.
    Time,
    Text,
}

pub(crate) fn compile(text: &str, commands: &[Command]) -> Parsed<Plan> {
    check_order(commands)?;
    let mut compiler = Compiler::new(text);
    for command in commands {
        compiler.command(command)?;
    }
    compiler.finish(commands)
}

/// The aggregates found while the result of a `stats` is compiled.
struct Sink {
    first_slot: usize,
    aggregates: Vec<Aggregate>,
}

struct Compiler<'q> {
    text: &'q str,
    names: HashMap<String, (usize, Type)>,
    /// Every name that the text has defined so far, also those that a `stats` has left behind.
    defined: HashSet<String>,
    /// Names that `fields` gave to another field, and to nothing that was computed.
    renamed: HashSet<String>,
    segment: Segment,
    used: HashSet<usize>,
    segments: Vec<Segment>,
    groupings: Vec<Grouping>,
    /// What `fields` and `stats` have selected for the output so far.
    selected: Vec<(String, usize, Type)>,
    displayed: Option<Vec<(String, usize, Type)>>,
    sort: Vec<SortBy>,
    limit: Option<usize>,
    estimate: bool,
    flow_fields: Vec<(String, Span)>,
    sink: Option<Sink>,
    /// Aliases of the command being compiled, which it may not refer to itself.
    pending: Vec<String>,
}

impl<'q> Compiler<'q> {
    fn new(text: &'q str) -> Self {
        let types = [
            (TIMESTAMP, Type::Time),
            (MESSAGE, Type::Unknown),
            (LOG_STREAM, Type::Text),
            (INGESTION_TIME, Type::Time),
            (LOG, Type::Text),
        ];
        let event = types.map(|(slot, kind)| (EVENT_FIELDS[slot].to_owned(), (slot, kind)));
        let flow = FLOW_FIELDS.iter().enumerate();
        let flow = flow.map(|(at, name)| ((*name).to_owned(), (EVENT_FIELDS.len() + at, Type::Unknown)));
        Compiler {
            text,
            names: event.into_iter().chain(flow).collect(),
            defined: HashSet::new(),
            renamed: HashSet::new(),
            segment: Segment { slots: EVENT_FIELDS.len() + FLOW_FIELDS.len(), steps: Vec::new() },
            used: HashSet::new(),
            segments: Vec::new(),
            groupings: Vec::new(),
            selected: Vec::new(),
            displayed: None,
            sort: Vec::new(),
            limit: None,
            estimate: false,
            flow_fields: Vec::new(),
            sink: None,
            pending: Vec::new(),
        }
    }

    fn command(&mut self, command: &Command) -> Parsed<()> {
        match &command.kind {
            CommandKind::Fields(items) => self.fields(items),
            CommandKind::Display(names) => {
                let shown = names.iter().map(|name| {
                    let (slot, kind) = self.resolve(&name.text, name.span)?;
                    Ok((name.text.clone(), slot, kind))
                });
                self.displayed = Some(shown.collect::<Parsed<_>>()?);
                Ok(())
            }
            CommandKind::Filter(expression) => {
                let condition = self.condition(expression)?;
                self.segment.steps.push(Step::Filter(condition));
                Ok(())
            }
            CommandKind::Parse { source, pattern } => self.parse(command.span, source.as_ref(), pattern),
            CommandKind::Stats { results, keys } => self.stats(results, keys),
            CommandKind::Sort(keys) => {
                for key in keys {
                    let (slot, _) = self.resolve(&key.name.text, key.name.span)?;
                    self.sort.push(SortBy { slot, descending: key.descending });
                }
                Ok(())
            }
            CommandKind::Limit(limit) => {
                self.limit = Some(*limit);
                Ok(())
            }
            CommandKind::Estimate => {
                self.estimate = true;
                Ok(())
            }
        }
    }

    fn finish(mut self, commands: &[Command]) -> Parsed<Plan> {
        let columns = match self.displayed.take() {
            Some(displayed) => displayed,
            None if self.selected.is_empty() => {
                vec![
                    ("@timestamp".into(), TIMESTAMP, Type::Time),
                    ("@message".into(), MESSAGE, Type::Unknown),
                ]
            }
            None => std::mem::take(&mut self.selected),
        };
        self.used.extend(columns.iter().map(|(_, slot, _)| *slot));
        self.close_segment(Segment::default());
        let columns = columns
            .into_iter()
            .map(|(name, slot, kind)| Column { name, slot, is_time: kind == Type::Time })
            .collect();
        Ok(Plan {
            segments: self.segments,
            groupings: self.groupings,
            columns,
            sort: self.sort,
            limit: self.limit,
            estimate: self.estimate,
            streams: streams_named(commands),
            flow_fields: self.flow_fields,
        })
    }

    /// Nothing later can read this segment's slots, so what has not been read by now is dropped.
    fn close_segment(&mut self, next: Segment) {
        let mut segment = std::mem::replace(&mut self.segment, next);
        let used = std::mem::take(&mut self.used);
        segment.steps.retain_mut(|step| match step {
            Step::Filter(_) => true,
            Step::Assign(slot, _) => used.contains(slot),
            Step::Extract { extraction, .. } => {
                let mut read = false;
                for destination in extraction.destinations() {
                    *destination = destination.filter(|slot| used.contains(slot));
                    read |= destination.is_some();
                }
                read
            }
        });
        self.segments.push(segment);
    }

    fn resolve(&mut self, name: &str, span: Span) -> Parsed<(usize, Type)> {
        if let Some((slot, kind)) = self.names.get(name).copied() {
            self.used.insert(slot);
            if self.groupings.is_empty()
                && (EVENT_FIELDS.len()..EVENT_FIELDS.len() + FLOW_FIELDS.len()).contains(&slot)
            {
                self.flow_fields.push((name.to_owned(), span));
            }
            return Ok((slot, kind));
        }
        if self.pending.iter().any(|pending| pending == name) {
            return refuse(
                span,
                format!("`{name}` is defined by this same command; only later commands can use it"),
            );
        }
        if !self.groupings.is_empty() {
            let mut emitted: Vec<_> = self.names.keys().map(String::as_str).collect();
            emitted.sort_unstable();
            return refuse(
                span,
                format!("the previous stats does not emit `{name}`; it emits {}", emitted.join(", ")),
            );
        }
        let hint = if self.text[span.end..].starts_with('-') {
            "; a name that contains - needs backticks around it"
        } else {
            "; define it with parse or fields first"
        };
        refuse(span, format!("the field `{name}` is not known{hint}"))
    }

    /// A name can be defined once in the whole text, and never where Insights discovers a field of that
    /// name: `MalformedQueryException`, in these words, is what live accounts are reported to answer (pull
    /// requests 3461, 3465 and 3558 of trade-tariff/trade-tariff-backend among others).
    fn define(&mut self, name: &Name, slot: usize, kind: Type) -> Parsed<()> {
        let known =
            [&EVENT_FIELDS[..], &FLOW_FIELDS[..]].iter().any(|known| known.contains(&name.text.as_str()));
        if known || !self.defined.insert(name.text.clone()) {
            let Span { start, end } = name.span;
            return refuse(
                name.span,
                format!("Ephemeral field is already defined: {} ([{start},{end}])", name.text),
            );
        }
        self.names.insert(name.text.clone(), (slot, kind));
        Ok(())
    }

    /// What a `stats` emits: a key that is a field keeps its name, which is no second definition.
    fn emit(&mut self, name: &Name, is_new: bool, slot: usize, kind: Type) -> Parsed<()> {
        if is_new {
            return self.define(name, slot, kind);
        }
        self.names.insert(name.text.clone(), (slot, kind));
        Ok(())
    }

    fn new_slot(&mut self) -> usize {
        self.segment.slots += 1;
        self.segment.slots - 1
    }

    fn column_name(&self, item: &Item) -> Name {
        match (&item.alias, &item.expression.kind) {
            (Some(alias), _) => alias.clone(),
            (None, Kind::Field(name)) => Name { text: name.clone(), span: item.expression.span },
            (None, _) => {
                let span = item.expression.span;
                Name { text: self.text[span.start..span.end].to_owned(), span }
            }
        }
    }

    fn set_pending(&mut self, items: &[Item]) {
        self.pending = items.iter().filter_map(|item| Some(item.alias.as_ref()?.text.clone())).collect();
    }

    fn fields(&mut self, items: &[Item]) -> Parsed<()> {
        self.set_pending(items);
        let compiled = items.iter().map(|item| self.scalar(&item.expression)).collect::<Parsed<Vec<_>>>()?;
        self.pending.clear();
        for (item, (scalar, kind)) in items.iter().zip(compiled) {
            let name = self.column_name(item);
            let names_a_field = matches!(item.expression.kind, Kind::Field(_));
            let is_plain_field = item.alias.is_none() && names_a_field;
            if is_plain_field && self.defined.contains(&name.text) {
                let Span { start, end } = name.span;
                return refuse(
                    name.span,
                    format!("Ephemeral field is already defined: {} ([{start},{end}])", name.text),
                );
            }
            if names_a_field && !is_plain_field {
                self.renamed.insert(name.text.clone());
            }
            let slot = match scalar {
                Scalar::Slot(slot) => slot,
                computed => {
                    let slot = self.new_slot();
                    self.segment.steps.push(Step::Assign(slot, computed));
                    slot
                }
            };
            if !is_plain_field {
                self.define(&name, slot, kind)?;
            }
            if !self.selected.iter().any(|(selected, ..)| *selected == name.text) {
                self.selected.push((name.text, slot, kind));
            }
        }
        Ok(())
    }

    fn parse(&mut self, span: Span, source: Option<&Name>, pattern: &Pattern) -> Parsed<()> {
        let (from, _) = match source {
            Some(name) => self.resolve(&name.text, name.span)?,
            None => self.resolve("@message", span)?,
        };
        let extraction = match pattern {
            Pattern::Glob { text, span, names } => {
                let stars = text.matches('*').count();
                if stars != names.len() {
                    return refuse(
                        *span,
                        format!("the glob has {stars} * and {} names for them", names.len()),
                    );
                }
                if text.contains("**") {
                    return refuse(*span, "two * in a row leave open where one ends and the next begins");
                }
                let mut destinations = Vec::new();
                for name in names {
                    let slot = self.new_slot();
                    self.define(name, slot, Type::Unknown)?;
                    destinations.push(Some(slot));
                }
                Extraction::Glob(Glob::new(text, &destinations))
            }
            Pattern::Regex { text, span } => {
                let regex = compile_regex(text, *span)?;
                let groups: Vec<(usize, String)> = regex
                    .capture_names()
                    .enumerate()
                    .filter_map(|(group, name)| Some((group, name?.to_owned())))
                    .collect();
                if groups.is_empty() {
                    return refuse(*span, "parse needs at least one named group, as in (?<name>...)");
                }
                let mut captures = Vec::new();
                for (group, text) in groups {
                    let slot = self.new_slot();
                    self.define(&Name { text, span: *span }, slot, Type::Unknown)?;
                    captures.push((group, Some(slot)));
                }
                Extraction::Regex { regex, captures }
            }
        };
        self.segment.steps.push(Step::Extract { from, extraction });
        Ok(())
    }

    fn stats(&mut self, results: &[Item], keys: &[Item]) -> Parsed<()> {
        self.set_pending(results);
        let mut key_scalars = Vec::new();
        let mut emitted: Vec<(Name, bool, usize, Type)> = Vec::new();
        let mut computed = Vec::new();
        for (slot, key) in keys.iter().enumerate() {
            let (scalar, kind) = self.scalar(&key.expression)?;
            key_scalars.push(scalar);
            emitted.push((self.column_name(key), key.alias.is_some(), slot, kind));
        }
        let mut aggregates = Vec::new();
        for item in results {
            self.sink = Some(Sink { first_slot: keys.len(), aggregates });
            let result = self.scalar(&item.expression);
            let sink = self.sink.take().expect("the sink was set three lines above");
            let found = sink.aggregates.len();
            aggregates = sink.aggregates;
            let (scalar, kind) = result?;
            if found == 0 || !contains_aggregate(&item.expression) {
                return refuse(
                    item.expression.span,
                    "stats needs an aggregate function here, such as count(*) or sum(...)",
                );
            }
            computed.push((self.column_name(item), scalar, kind));
        }
        self.pending.clear();

        let mut next = Segment { slots: keys.len() + aggregates.len(), steps: Vec::new() };
        for (name, scalar, kind) in computed {
            let slot = match scalar {
                Scalar::Slot(slot) => slot,
                computed => {
                    next.steps.push(Step::Assign(next.slots, computed));
                    next.slots += 1;
                    next.slots - 1
                }
            };
            emitted.push((name, true, slot, kind));
        }
        self.close_segment(next);
        self.groupings.push(Grouping { keys: key_scalars, aggregates });
        self.names.clear();
        self.selected.clear();
        self.displayed = None;
        // Aggregates that an expression combines are read by the segment's own first steps.
        self.used.extend(0..self.segment.slots);
        for (name, is_new, slot, kind) in emitted {
            self.emit(&name, is_new, slot, kind)?;
            self.selected.push((name.text, slot, kind));
        }
        Ok(())
    }
}
