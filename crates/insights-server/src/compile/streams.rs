//! Which log streams a query names, for the default index on `@logStream`.

use crate::ast::{Command, CommandKind, Comparison, Expression, Kind, Literal};

/// The streams that every filter before the first `stats` agrees on. `like` never counts: it cannot
/// use an index.
pub(super) fn streams_named(commands: &[Command]) -> Option<Vec<String>> {
    let filters = commands
        .iter()
        .take_while(|command| !matches!(command.kind, CommandKind::Stats { .. }))
        .filter_map(|command| match &command.kind {
            CommandKind::Filter(expression) => Some(expression),
            _ => None,
        });
    filters
        .flat_map(|filter| match &filter.kind {
            Kind::And(terms) => terms.iter().collect(),
            _ => vec![filter],
        })
        .filter_map(named_by)
        .reduce(|left, right| left.into_iter().filter(|stream| right.contains(stream)).collect())
}

fn named_by(condition: &Expression) -> Option<Vec<String>> {
    let is_stream = |side: &Expression| matches!(&side.kind, Kind::Field(name) if name == "@logStream");
    match &condition.kind {
        Kind::Compare(Comparison::Equal, sides) => match (&sides.0, &sides.1) {
            (field, Expression { kind: Kind::Text(name), .. })
            | (Expression { kind: Kind::Text(name), .. }, field)
                if is_stream(field) =>
            {
                Some(vec![name.clone()])
            }
            _ => None,
        },
        Kind::OneOf { operand, items, negated: false } if is_stream(operand) => items
            .iter()
            .map(|(item, _)| match item {
                Literal::Text(name) => Some(name.clone()),
                Literal::Number(_) => None,
            })
            .collect(),
        _ => None,
    }
}
