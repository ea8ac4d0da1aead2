//! Compiled expressions and their evaluation. Fields are slot numbers, and conditions and values are
//! different types, so nothing is looked up and no type is checked per record.

use std::net::IpAddr;

use bumpalo::Bump;
use hashbrown::HashSet;
use ipnet::IpNet;
use regex::Regex;

use crate::ast::{Arithmetic, Comparison};
use crate::functions::{Family, is_private};
use crate::value::{Value, print_number};

/// What an expression may ask about besides the record.
pub(crate) struct Surroundings<'a> {
    /// Holds the strings that expressions compute.
    pub(crate) arena: &'a Bump,
    pub(crate) start_ms: f64,
    pub(crate) end_ms: f64,
}

#[derive(Debug)]
pub(crate) enum Scalar {
    Number(f64),
    Text(Box<str>),
    Slot(usize),
    Negate(Box<Scalar>),
    Arithmetic(Arithmetic, Box<(Scalar, Scalar)>),
    If(Box<(Condition, Scalar, Scalar)>),
    Case(Vec<(Condition, Scalar)>, Box<Scalar>),
    Numeric(fn(f64) -> f64, Box<Scalar>),
    /// The result is missing as soon as one of the values is.
    Extreme {
        greatest: bool,
        of: Vec<Scalar>,
    },
    Coalesce(Vec<usize>),
    Length(Box<Scalar>),
    Contains(Box<(Scalar, Scalar)>),
    Concat(Vec<Scalar>),
    RoundTime {
        up: bool,
        period_ms: f64,
        time: Box<Scalar>,
    },
    QueryStart,
    QueryEnd,
}

/// A comparison with a missing operand does not hold, whichever comparison it is; `not` turns the
/// answer round, but `not in` and `not like` are comparisons themselves.
#[derive(Debug)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    CompareNumbers(Comparison, Box<(Scalar, Scalar)>),
    Compare(Comparison, Box<(Scalar, Scalar)>),
    OneOf { operand: Scalar, set: Set, negated: bool },
    Like { operand: Scalar, pattern: Pattern, negated: bool },
    IsPresent(usize),
    IsValidIp(Family, Scalar),
    IsInSubnet(Family, Scalar, IpNet),
    IsPrivateIp(Scalar),
}

#[derive(Debug)]
pub(crate) enum Pattern {
    Substring(String),
    Regex(Regex),
}

/// The right side of `in`.
#[derive(Debug, Default)]
pub(crate) struct Set {
    pub(crate) texts: HashSet<String>,
    /// The texts that look like numbers, for operands that are numbers.
    pub(crate) numbers_in_texts: Vec<f64>,
    pub(crate) numbers: Vec<f64>,
}

impl Set {
    fn contains(&self, value: Value<'_>) -> bool {
        match value {
            Value::Missing => false,
            Value::Text(text) => {
                self.texts.contains(text)
                    || (!self.numbers.is_empty() && self.numbers.contains(&value.number()))
            }
            Value::Number(number) => {
                self.numbers.contains(&number) || self.numbers_in_texts.contains(&number)
            }
        }
    }
}

impl Scalar {
    /// NaN where the value is missing or is not a number.
    pub(crate) fn number(&self, slots: &[Value<'_>], around: &Surroundings<'_>) -> f64 {
        match self {
            Scalar::Number(number) => *number,
            Scalar::Slot(slot) => slots[*slot].number(),
            Scalar::Negate(inner) => -inner.number(slots, around),
            Scalar::Arithmetic(operator, sides) => {
                let (left, right) = (sides.0.number(slots, around), sides.1.number(slots, around));
                compute(*operator, left, right)
            }
            Scalar::If(parts) => {
                let branch = if parts.0.holds(slots, around) { &parts.1 } else { &parts.2 };
                branch.number(slots, around)
            }
            Scalar::Case(branches, default) => chosen(branches, default, slots, around).number(slots, around),
            Scalar::Numeric(function, inner) => finite(function(inner.number(slots, around))),
            Scalar::Extreme { greatest, of } => {
                extreme(*greatest, of.iter().map(|one| one.number(slots, around)))
            }
            Scalar::Length(inner) => match text_of(inner, slots, around) {
                Some(text) => text.as_str().chars().count() as f64,
                None => f64::NAN,
            },
            Scalar::Contains(sides) => {
                match (text_of(&sides.0, slots, around), text_of(&sides.1, slots, around)) {
                    (Some(text), Some(part)) => f64::from(u8::from(text.as_str().contains(part.as_str()))),
                    _ => f64::NAN,
                }
            }
            Scalar::RoundTime { up, period_ms, time } => {
                let periods = time.number(slots, around) / period_ms;
                finite(if *up { periods.ceil() } else { periods.floor() } * period_ms)
            }
            Scalar::QueryStart => around.start_ms,
            Scalar::QueryEnd => around.end_ms,
            Scalar::Text(text) => crate::value::parse_number(text),
            Scalar::Coalesce(fields) => coalesced(fields, slots).number(),
            Scalar::Concat(parts) => {
                concatenated(parts, slots, around).map_or(f64::NAN, |text| crate::value::parse_number(&text))
            }
        }
    }

    pub(crate) fn value<'a>(&'a self, slots: &[Value<'a>], around: &Surroundings<'a>) -> Value<'a> {
        match self {
            Scalar::Slot(slot) => slots[*slot],
            Scalar::Text(text) => Value::Text(text),
            Scalar::If(parts) => {
                let branch = if parts.0.holds(slots, around) { &parts.1 } else { &parts.2 };
                branch.value(slots, around)
            }
            Scalar::Case(branches, default) => chosen(branches, default, slots, around).value(slots, around),
            Scalar::Coalesce(fields) => coalesced(fields, slots),
            Scalar::Concat(parts) => match concatenated(parts, slots, around) {
                Some(text) => Value::Text(around.arena.alloc_str(&text)),
                None => Value::Missing,
            },
            numeric => Value::from_number(numeric.number(slots, around)),
        }
    }
}

/// Results out of range are missing, like those of a division by zero.
fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { f64::NAN }
}

fn compute(operator: Arithmetic, left: f64, right: f64) -> f64 {
    finite(match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
        // NaN to the power of 0 is 1 for a machine, and still missing for a query.
        Arithmetic::Power if left.is_nan() || right.is_nan() => f64::NAN,
        Arithmetic::Power => left.powf(right),
    })
}

fn extreme(greatest: bool, numbers: impl Iterator<Item = f64>) -> f64 {
    numbers
        .reduce(|best, number| match () {
            () if best.is_nan() || number.is_nan() => f64::NAN,
            () if (number > best) == greatest => number,
            () => best,
        })
        .unwrap_or(f64::NAN)
}

fn chosen<'e>(
    branches: &'e [(Condition, Scalar)],
    default: &'e Scalar,
    slots: &[Value<'_>],
    around: &Surroundings<'_>,
) -> &'e Scalar {
    branches
        .iter()
        .find(|(condition, _)| condition.holds(slots, around))
        .map_or(default, |(_, result)| result)
}

fn coalesced<'a>(fields: &[usize], slots: &[Value<'a>]) -> Value<'a> {
    fields.iter().map(|slot| slots[*slot]).find(|value| !value.is_missing()).unwrap_or(Value::Missing)
}

fn concatenated(parts: &[Scalar], slots: &[Value<'_>], around: &Surroundings<'_>) -> Option<String> {
    let mut whole = String::new();
    for part in parts {
        whole.push_str(text_of(part, slots, around)?.as_str());
    }
    Some(whole)
}

/// Text that is borrowed where it exists and made where it has to be.
enum TextOf<'s> {
    Borrowed(&'s str),
    Made(String),
}

impl TextOf<'_> {
    fn as_str(&self) -> &str {
        match self {
            TextOf::Borrowed(text) => text,
            TextOf::Made(text) => text,
        }
    }
}

fn text_of<'s>(scalar: &'s Scalar, slots: &[Value<'s>], around: &Surroundings<'_>) -> Option<TextOf<'s>> {
    let made = |number: f64| number.is_finite().then(|| TextOf::Made(print_number(number)));
    let from_value = |value: Value<'s>| match value {
        Value::Text(text) => Some(TextOf::Borrowed(text)),
        Value::Number(number) => made(number),
        Value::Missing => None,
    };
    match scalar {
        Scalar::Slot(slot) => from_value(slots[*slot]),
        Scalar::Text(text) => Some(TextOf::Borrowed(text)),
        Scalar::Coalesce(fields) => from_value(coalesced(fields, slots)),
        Scalar::Concat(parts) => concatenated(parts, slots, around).map(TextOf::Made),
        Scalar::If(parts) => {
            text_of(if parts.0.holds(slots, around) { &parts.1 } else { &parts.2 }, slots, around)
        }
        Scalar::Case(branches, default) => text_of(chosen(branches, default, slots, around), slots, around),
        numeric => made(numeric.number(slots, around)),
    }
}

impl Condition {
    pub(crate) fn holds(&self, slots: &[Value<'_>], around: &Surroundings<'_>) -> bool {
        match self {
            Condition::All(terms) => terms.iter().all(|term| term.holds(slots, around)),
            Condition::Any(terms) => terms.iter().any(|term| term.holds(slots, around)),
            Condition::Not(inner) => !inner.holds(slots, around),
            Condition::CompareNumbers(comparison, sides) => {
                compare_numbers(*comparison, sides.0.number(slots, around), sides.1.number(slots, around))
            }
            Condition::Compare(comparison, sides) => with_value(&sides.0, slots, around, |left| {
                with_value(&sides.1, slots, around, |right| compare(*comparison, left, right))
            }),
            Condition::OneOf { operand, set, negated } => with_value(operand, slots, around, |value| {
                !value.is_missing() && set.contains(value) != *negated
            }),
            Condition::Like { operand, pattern, negated } => match text_of(operand, slots, around) {
                None => false,
                Some(text) => {
                    let found = match pattern {
                        Pattern::Substring(part) => text.as_str().contains(part.as_str()),
                        Pattern::Regex(regex) => regex.is_match(text.as_str()),
                    };
                    found != *negated
                }
            },
            Condition::IsPresent(slot) => !slots[*slot].is_missing(),
            Condition::IsValidIp(family, operand) => {
                address(operand, slots, around).is_some_and(|address| family.admits(address))
            }
            Condition::IsInSubnet(family, operand, network) => address(operand, slots, around)
                .is_some_and(|address| family.admits(address) && network.contains(&address)),
            Condition::IsPrivateIp(operand) => address(operand, slots, around).is_some_and(is_private),
        }
    }
}

/// Evaluates without the arena, so that a condition leaves nothing behind.
fn with_value<T>(
    scalar: &Scalar,
    slots: &[Value<'_>],
    around: &Surroundings<'_>,
    then: impl FnOnce(Value<'_>) -> T,
) -> T {
    match scalar {
        Scalar::Slot(slot) => then(slots[*slot]),
        Scalar::Text(text) => then(Value::Text(text)),
        Scalar::Coalesce(fields) => then(coalesced(fields, slots)),
        Scalar::If(parts) => {
            with_value(if parts.0.holds(slots, around) { &parts.1 } else { &parts.2 }, slots, around, then)
        }
        Scalar::Case(branches, default) => {
            with_value(chosen(branches, default, slots, around), slots, around, then)
        }
        Scalar::Concat(parts) => match concatenated(parts, slots, around) {
            Some(text) => then(Value::Text(&text)),
            None => then(Value::Missing),
        },
        numeric => then(Value::from_number(numeric.number(slots, around))),
    }
}

fn address(operand: &Scalar, slots: &[Value<'_>], around: &Surroundings<'_>) -> Option<IpAddr> {
    text_of(operand, slots, around)?.as_str().parse().ok()
}

fn compare_numbers(comparison: Comparison, left: f64, right: f64) -> bool {
    match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => !left.is_nan() && !right.is_nan() && left != right,
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    }
}

/// Two texts are equal when they are the same; they are ordered as numbers when both are, as text
/// when neither is. A text against a number counts only if it looks like one.
fn compare(comparison: Comparison, left: Value<'_>, right: Value<'_>) -> bool {
    if let (Value::Text(left_text), Value::Text(right_text)) = (left, right) {
        match comparison {
            Comparison::Equal => return left_text == right_text,
            Comparison::NotEqual => return left_text != right_text,
            _ if left.number().is_nan() && right.number().is_nan() => {
                return match comparison {
                    Comparison::Less => left_text < right_text,
                    Comparison::LessOrEqual => left_text <= right_text,
                    Comparison::Greater => left_text > right_text,
                    _ => left_text >= right_text,
                };
            }
            _ => {}
        }
    }
    compare_numbers(comparison, left.number(), right.number())
}
