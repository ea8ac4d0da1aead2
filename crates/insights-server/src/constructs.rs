//! Which constructs of the language a query uses, by the names that a table of their sources has.

use std::collections::BTreeMap;

use crate::ast::{
    Arithmetic, Command, CommandKind, Comparison, Expression, Item, Kind, LikePattern, Literal, Pattern,
};
use crate::functions::aggregation;
use crate::malformed::Span;

/// What a query uses, each construct with the place of its first use.
#[derive(Debug, Default)]
pub(crate) struct Constructs {
    pub(crate) used: BTreeMap<String, Span>,
    /// The place of each `stats`, with how many aggregate functions stand in it.
    pub(crate) stats: Vec<(Span, usize)>,
    aggregates: usize,
}

impl Constructs {
    pub(crate) fn of(commands: &[Command]) -> Constructs {
        let mut constructs = Constructs::default();
        for command in commands {
            constructs.command(command);
        }
        constructs
    }

    fn note(&mut self, name: &str, span: Span) {
        self.used.entry(name.to_owned()).or_insert(span);
    }

    fn command(&mut self, command: &Command) {
        let span = command.span;
        match &command.kind {
            CommandKind::Fields(items) => {
                self.note("fields", span);
                self.items(items);
            }
            CommandKind::Display(_) => self.note("display", span),
            CommandKind::Filter(expression) => {
                self.note(if self.stats.is_empty() { "filter" } else { "filter after stats" }, span);
                self.expression(expression);
            }
            CommandKind::Parse { pattern, .. } => self.note(
                match pattern {
                    Pattern::Glob { .. } => "parse by a glob",
                    Pattern::Regex { .. } => "parse by a regular expression",
                },
                span,
            ),
            CommandKind::Stats { results, keys } => {
                self.note("stats", span);
                if !keys.is_empty() {
                    self.note("by", span);
                }
                if !self.stats.is_empty() {
                    self.note("stats after stats", span);
                }
                self.aggregates = 0;
                self.items(results);
                self.items(keys);
                self.stats.push((span, self.aggregates));
            }
            CommandKind::Sort(_) => self.note("sort", span),
            CommandKind::Limit(_) => self.note("limit", span),
            CommandKind::Estimate => self.note("estimate", span),
        }
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            if item.alias.is_some() {
                self.note("as", item.expression.span);
            }
            self.expression(&item.expression);
        }
    }

    fn expression(&mut self, expression: &Expression) {
        let span = expression.span;
        match &expression.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Period(_) | Kind::Field(_) => {}
            Kind::Negate(inner) => {
                self.note("- before a number", span);
                self.expression(inner);
            }
            Kind::Arithmetic(operator, sides) => {
                self.note(
                    match operator {
                        Arithmetic::Add => "+",
                        Arithmetic::Subtract => "-",
                        Arithmetic::Multiply => "*",
                        Arithmetic::Divide => "/",
                        Arithmetic::Remainder => "%",
                        Arithmetic::Power => "^",
                    },
                    span,
                );
                self.expression(&sides.0);
                self.expression(&sides.1);
            }
            Kind::Compare(comparison, sides) => {
                self.note(
                    match comparison {
                        Comparison::Equal => "=",
                        Comparison::NotEqual => "!=",
                        Comparison::Less => "<",
                        Comparison::LessOrEqual => "<=",
                        Comparison::Greater => ">",
                        Comparison::GreaterOrEqual => ">=",
                    },
                    span,
                );
                self.expression(&sides.0);
                self.expression(&sides.1);
            }
            Kind::OneOf { operand, negated, items } => {
                let texts = items.iter().all(|(item, _)| matches!(item, Literal::Text(_)));
                self.note(
                    match (negated, texts) {
                        (false, true) => "in",
                        (true, true) => "not in",
                        (_, false) => "in a list of numbers",
                    },
                    span,
                );
                self.expression(operand);
            }
            Kind::Like { operand, pattern, .. } => {
                self.note(
                    match pattern {
                        LikePattern::Substring(_) => "like a text",
                        LikePattern::Regex { .. } => "like a regular expression",
                    },
                    span,
                );
                self.expression(operand);
            }
            Kind::And(terms) => self.terms("and", terms, span),
            Kind::Or(terms) => self.terms("or", terms, span),
            Kind::Not(inner) => {
                self.note("not", span);
                self.expression(inner);
            }
            Kind::Call { function, arguments } => {
                self.note(&function.text, function.span);
                self.aggregates += usize::from(aggregation(&function.text).is_some());
                arguments.iter().for_each(|argument| self.expression(argument));
            }
            Kind::CountAll => {
                self.note("count(*)", span);
                self.aggregates += 1;
            }
        }
    }

    fn terms(&mut self, operator: &str, terms: &[Expression], span: Span) {
        self.note(operator, span);
        terms.iter().for_each(|term| self.expression(term));
    }
}
