//! Expressions of a query to expressions of a plan: types, functions and aggregates.

use super::{Compiler, Type};
use crate::ast::{Comparison, Expression, Kind, LikePattern, Literal, Name};
use crate::expression::{self, Condition, Scalar, Set};
use crate::functions::{Aggregation, Function, aggregation, function, network};
use crate::malformed::{Parsed, Span, refuse};
use crate::plan::Aggregate;
use crate::value::parse_number;

impl Compiler<'_> {
    pub(super) fn scalar(&mut self, expression: &Expression) -> Parsed<(Scalar, Type)> {
        match &expression.kind {
            Kind::Number(number) => Ok((Scalar::Number(*number), Type::Number)),
            Kind::Text(text) => Ok((Scalar::Text(text.as_str().into()), Type::Text)),
            Kind::Period(_) => {
                refuse(expression.span, "a period has a meaning only in bin, datefloor and dateceil")
            }
            Kind::Field(name) => {
                if self.sink.is_some() {
                    return refuse(
                        expression.span,
                        format!(
                            "`{name}` stands outside an aggregate function; aggregate it or move it behind `by`"
                        ),
                    );
                }
                let (slot, kind) = self.resolve(name, expression.span)?;
                Ok((Scalar::Slot(slot), kind))
            }
            Kind::Negate(inner) => {
                let inner = self.number(inner)?;
                Ok((Scalar::Negate(Box::new(inner)), Type::Number))
            }
            Kind::Arithmetic(operator, sides) => {
                let sides = (self.number(&sides.0)?, self.number(&sides.1)?);
                Ok((Scalar::Arithmetic(*operator, Box::new(sides)), Type::Number))
            }
            Kind::CountAll => self.aggregate(expression, Aggregation::Count, None),
            Kind::Call { function: name, arguments } => self.call(expression, name, arguments),
            Kind::Compare(..)
            | Kind::OneOf { .. }
            | Kind::Like { .. }
            | Kind::And(_)
            | Kind::Or(_)
            | Kind::Not(_) => {
                refuse(expression.span, "this is a condition, which is not a value; use if(condition, 1, 0)")
            }
        }
    }

    fn number(&mut self, expression: &Expression) -> Parsed<Scalar> {
        match self.scalar(expression)? {
            (_, Type::Text) => refuse(expression.span, "a number is needed here, and this is text"),
            (scalar, _) => Ok(scalar),
        }
    }

    fn text(&mut self, expression: &Expression) -> Parsed<Scalar> {
        match self.scalar(expression)? {
            (_, Type::Number | Type::Time) => {
                refuse(expression.span, "text is needed here, and this is a number")
            }
            (scalar, _) => Ok(scalar),
        }
    }

    fn call(
        &mut self,
        expression: &Expression,
        name: &Name,
        arguments: &[Expression],
    ) -> Parsed<(Scalar, Type)> {
        if let Some(aggregation) = aggregation(&name.text) {
            return match arguments {
                [argument] => self.aggregate(expression, aggregation, Some(argument)),
                _ => refuse(
                    expression.span,
                    format!("`{}` takes one argument, not {}", name.text, arguments.len()),
                ),
            };
        }
        let function = self.known_function(expression, name, arguments.len())?;
        let numeric = |scalar| Ok((scalar, Type::Number));
        match function {
            Function::If => {
                let condition = self.condition(&arguments[0])?;
                let (yes, yes_type) = self.scalar(&arguments[1])?;
                let (no, no_type) = self.scalar(&arguments[2])?;
                let kind = self.branches(expression.span, yes_type, no_type)?;
                Ok((Scalar::If(Box::new((condition, yes, no))), kind))
            }
            Function::Case => self.case(expression, arguments),
            Function::Abs => numeric(Scalar::Numeric(f64::abs, Box::new(self.number(&arguments[0])?))),
            Function::Ceil => numeric(Scalar::Numeric(f64::ceil, Box::new(self.number(&arguments[0])?))),
            Function::Floor => numeric(Scalar::Numeric(f64::floor, Box::new(self.number(&arguments[0])?))),
            Function::Sqrt => numeric(Scalar::Numeric(f64::sqrt, Box::new(self.number(&arguments[0])?))),
            Function::ToInt => numeric(Scalar::Numeric(f64::trunc, Box::new(self.scalar(&arguments[0])?.0))),
            Function::ToNumber => {
                numeric(Scalar::Numeric(|number| number, Box::new(self.scalar(&arguments[0])?.0)))
            }
            Function::Greatest | Function::Least => {
                let of = arguments.iter().map(|one| self.number(one)).collect::<Parsed<_>>()?;
                numeric(Scalar::Extreme { greatest: function == Function::Greatest, of })
            }
            Function::Coalesce => {
                let mut kinds = Vec::new();
                let mut slots = Vec::new();
                for argument in arguments {
                    let (slot, kind) = self.field(argument, "coalesce")?;
                    slots.push(slot);
                    kinds.push(kind);
                }
                let kind = kinds.into_iter().reduce(common).unwrap_or(Type::Unknown);
                Ok((Scalar::Coalesce(slots), kind))
            }
            Function::StrLen => numeric(Scalar::Length(Box::new(self.text(&arguments[0])?))),
            Function::StrContains => {
                let sides = (self.text(&arguments[0])?, self.text(&arguments[1])?);
                numeric(Scalar::Contains(Box::new(sides)))
            }
            Function::Concat => {
                let parts = arguments.iter().map(|one| self.text(one)).collect::<Parsed<_>>()?;
                Ok((Scalar::Concat(parts), Type::Text))
            }
            Function::Bin => {
                let period_ms = self.period(&arguments[0])?;
                if self.sink.is_some() || !self.names.contains_key("@timestamp") {
                    return refuse(
                        expression.span,
                        "bin always rounds @timestamp, which is not at hand here; carry max(@timestamp) along \
                         and use datefloor or dateceil on it",
                    );
                }
                let (slot, _) = self.resolve("@timestamp", expression.span)?;
                let time = Box::new(Scalar::Slot(slot));
                Ok((Scalar::RoundTime { up: false, period_ms, time }, Type::Time))
            }
            Function::DateFloor | Function::DateCeil => {
                let time = Box::new(self.number(&arguments[0])?);
                let period_ms = self.period(&arguments[1])?;
                let up = function == Function::DateCeil;
                Ok((Scalar::RoundTime { up, period_ms, time }, Type::Time))
            }
            Function::QueryStartTime => numeric(Scalar::QueryStart),
            Function::QueryEndTime => numeric(Scalar::QueryEnd),
            Function::IsPresent
            | Function::IsValidIp(_)
            | Function::IsInSubnet(_)
            | Function::IsPrivateIp => {
                refuse(expression.span, "this is a condition, which is not a value; use if(condition, 1, 0)")
            }
        }
    }

    fn known_function(&self, expression: &Expression, name: &Name, given: usize) -> Parsed<Function> {
        let Some((function, (least, most))) = function(&name.text) else {
            return refuse(name.span, format!("the function `{}` is not known here", name.text));
        };
        if given < least || most.is_some_and(|most| given > most) {
            let takes = match most {
                Some(most) if most == least => format!("{least}"),
                Some(most) => format!("{least} to {most}"),
                None => format!("at least {least}"),
            };
            return refuse(
                expression.span,
                format!(
                    "`{}` takes {takes} argument{}, not {given}",
                    name.text,
                    if takes == "1" { "" } else { "s" }
                ),
            );
        }
        Ok(function)
    }

    /// The type of a value that is one of two. What becomes of a number beside a parsed text is not
    /// documented.
    fn branches(&self, span: Span, one: Type, other: Type) -> Parsed<Type> {
        let is_number = |kind| matches!(kind, Type::Number | Type::Time);
        if is_number(one) == is_number(other) {
            return Ok(common(one, other));
        }
        refuse(
            span,
            "one branch is a number and the other a text or a parsed field; calculate with the field first",
        )
    }

    fn case(&mut self, expression: &Expression, arguments: &[Expression]) -> Parsed<(Scalar, Type)> {
        let (default, branches) = match arguments.split_last() {
            Some((default, branches)) if branches.len().is_multiple_of(2) => (default, branches),
            _ => {
                return refuse(
                    expression.span,
                    "case takes pairs of a condition and a value, then a default value",
                );
            }
        };
        let mut compiled = Vec::new();
        let (default, mut kind) = self.scalar(default)?;
        for pair in branches.chunks_exact(2) {
            let condition = self.condition(&pair[0])?;
            let (value, value_type) = self.scalar(&pair[1])?;
            kind = self.branches(expression.span, kind, value_type)?;
            compiled.push((condition, value));
        }
        Ok((Scalar::Case(compiled, Box::new(default)), kind))
    }

    fn field(&mut self, expression: &Expression, function: &str) -> Parsed<(usize, Type)> {
        match (&expression.kind, self.sink.is_some()) {
            (Kind::Field(name), false) => self.resolve(name, expression.span),
            _ => refuse(expression.span, format!("{function} takes the names of fields")),
        }
    }

    fn period(&self, expression: &Expression) -> Parsed<f64> {
        match expression.kind {
            Kind::Period(milliseconds) => Ok(milliseconds),
            _ => refuse(expression.span, "a period is needed here, like 1m or 5m"),
        }
    }

    fn aggregate(
        &mut self,
        expression: &Expression,
        aggregation: Aggregation,
        argument: Option<&Expression>,
    ) -> Parsed<(Scalar, Type)> {
        let Some(mut sink) = self.sink.take() else {
            return refuse(
                expression.span,
                "an aggregate function belongs in stats, and not inside another aggregate function",
            );
        };
        let compiled = self.aggregate_of(expression, aggregation, argument);
        let slot = sink.first_slot + sink.aggregates.len();
        let result = compiled.map(|(aggregate, kind)| {
            sink.aggregates.push(aggregate);
            (Scalar::Slot(slot), kind)
        });
        self.sink = Some(sink);
        result
    }

    fn aggregate_of(
        &mut self,
        expression: &Expression,
        aggregation: Aggregation,
        argument: Option<&Expression>,
    ) -> Parsed<(Aggregate, Type)> {
        let Some(argument) = argument else {
            return Ok((Aggregate::Count(None), Type::Number));
        };
        if let Kind::Field(name) = &argument.kind
            && self.renamed.contains(name)
        {
            return refuse(
                argument.span,
                format!(
                    "`{name}` only renames a field: a live account is reported to answer nothing for its aggregate"
                ),
            );
        }
        let (value, kind) = self.scalar(argument)?;
        let number = |aggregate| Ok((aggregate, Type::Number));
        if kind == Type::Text {
            match aggregation {
                Aggregation::Sum | Aggregation::Average => {
                    return refuse(argument.span, "a number is needed here, and this is text");
                }
                Aggregation::Min | Aggregation::Max => {
                    return refuse(argument.span, "this is text; use sortsFirst or sortsLast");
                }
                _ => {}
            }
        }
        match aggregation {
            Aggregation::Count => number(Aggregate::Count(Some(value))),
            Aggregation::CountDistinct => number(Aggregate::CountDistinct(value)),
            Aggregation::Sum => number(Aggregate::Sum(value)),
            Aggregation::Average => number(Aggregate::Average(value)),
            Aggregation::Min => number(Aggregate::Min(value)),
            Aggregation::Max => number(Aggregate::Max(value)),
            Aggregation::Earliest | Aggregation::Latest => {
                if !self.names.contains_key("@timestamp") {
                    return refuse(
                        expression.span,
                        "earliest and latest go by @timestamp, which the previous stats does not emit",
                    );
                }
                let (time, _) = self.resolve("@timestamp", expression.span)?;
                let latest = aggregation == Aggregation::Latest;
                Ok((Aggregate::ByTime { latest, value, time }, kind))
            }
            Aggregation::SortsFirst | Aggregation::SortsLast => {
                let last = aggregation == Aggregation::SortsLast;
                Ok((Aggregate::ByOrder { last, value }, kind))
            }
        }
    }

    pub(super) fn condition(&mut self, expression: &Expression) -> Parsed<Condition> {
        match &expression.kind {
            Kind::And(terms) => {
                Ok(Condition::All(terms.iter().map(|term| self.condition(term)).collect::<Parsed<_>>()?))
            }
            Kind::Or(terms) => {
                Ok(Condition::Any(terms.iter().map(|term| self.condition(term)).collect::<Parsed<_>>()?))
            }
            Kind::Not(inner) => Ok(Condition::Not(Box::new(self.condition(inner)?))),
            Kind::Compare(comparison, sides) => self.compare(*comparison, &sides.0, &sides.1),
            Kind::OneOf { operand, items, negated } => {
                let (operand, kind) = self.scalar(operand)?;
                let mut set = Set::default();
                for (item, span) in items {
                    match item {
                        Literal::Number(number) => set.numbers.push(*number),
                        Literal::Text(text) => {
                            let number = parse_number(text);
                            if !number.is_nan() {
                                set.numbers_in_texts.push(number);
                            } else if matches!(kind, Type::Number | Type::Time) {
                                return refuse(*span, "a number is looked up in the list, and this is text");
                            }
                            set.texts.insert(text.clone());
                        }
                    }
                }
                Ok(Condition::OneOf { operand, set, negated: *negated })
            }
            Kind::Like { operand, pattern, negated } => {
                let operand = self.text(operand)?;
                let pattern = match pattern {
                    LikePattern::Substring(text) => expression::Pattern::Substring(text.clone()),
                    LikePattern::Regex { text, span } => {
                        expression::Pattern::Regex(compile_regex(text, *span)?)
                    }
                };
                Ok(Condition::Like { operand, pattern, negated: *negated })
            }
            Kind::Call { function: name, arguments } if aggregation(&name.text).is_none() => {
                self.boolean_call(expression, name, arguments)
            }
            _ => {
                // Compiled for its own refusals first: an unknown name is the better message.
                self.scalar(expression)?;
                refuse(expression.span, "this is a value, not a condition; compare it with something")
            }
        }
    }

    fn boolean_call(
        &mut self,
        expression: &Expression,
        name: &Name,
        arguments: &[Expression],
    ) -> Parsed<Condition> {
        match self.known_function(expression, name, arguments.len())? {
            Function::IsPresent => Ok(Condition::IsPresent(self.field(&arguments[0], "ispresent")?.0)),
            Function::IsValidIp(family) => Ok(Condition::IsValidIp(family, self.text(&arguments[0])?)),
            Function::IsPrivateIp => Ok(Condition::IsPrivateIp(self.text(&arguments[0])?)),
            Function::IsInSubnet(family) => {
                let operand = self.text(&arguments[0])?;
                let Kind::Text(subnet) = &arguments[1].kind else {
                    return refuse(arguments[1].span, "the subnet has to be quoted text here");
                };
                Ok(Condition::IsInSubnet(family, operand, network(subnet, family, arguments[1].span)?))
            }
            _ => {
                self.scalar(expression)?;
                refuse(expression.span, "this is a value, not a condition; compare it with something")
            }
        }
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        left: &Expression,
        right: &Expression,
    ) -> Parsed<Condition> {
        let (left_scalar, left_type) = self.scalar(left)?;
        let (right_scalar, right_type) = self.scalar(right)?;
        let is_number = |kind| matches!(kind, Type::Number | Type::Time);
        for (number, other, expression) in
            [(left_type, &right_scalar, right), (right_type, &left_scalar, left)]
        {
            if let (true, Scalar::Text(text)) = (is_number(number), other)
                && parse_number(text).is_nan()
            {
                return refuse(expression.span, "a number is compared with this text, which is not a number");
            }
        }
        let sides = Box::new((left_scalar, right_scalar));
        Ok(if is_number(left_type) || is_number(right_type) {
            Condition::CompareNumbers(comparison, sides)
        } else {
            Condition::Compare(comparison, sides)
        })
    }
}

fn common(left: Type, right: Type) -> Type {
    match (left, right) {
        _ if left == right => left,
        (Type::Number | Type::Time, Type::Number | Type::Time) => Type::Number,
        _ => Type::Unknown,
    }
}

pub(super) fn compile_regex(text: &str, span: Span) -> Parsed<regex::Regex> {
    regex::Regex::new(text).or_else(|problem| {
        let reason = problem.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        refuse(span, format!("the regular expression cannot be read: {reason}"))
    })
}

pub(super) fn contains_aggregate(expression: &Expression) -> bool {
    match &expression.kind {
        Kind::CountAll => true,
        Kind::Call { function, arguments } => {
            aggregation(&function.text).is_some() || arguments.iter().any(contains_aggregate)
        }
        Kind::Negate(inner) | Kind::Not(inner) => contains_aggregate(inner),
        Kind::Arithmetic(_, sides) | Kind::Compare(_, sides) => {
            contains_aggregate(&sides.0) || contains_aggregate(&sides.1)
        }
        Kind::OneOf { operand, .. } | Kind::Like { operand, .. } => contains_aggregate(operand),
        Kind::And(terms) | Kind::Or(terms) => terms.iter().any(contains_aggregate),
        Kind::Number(_) | Kind::Text(_) | Kind::Period(_) | Kind::Field(_) => false,
    }
}
