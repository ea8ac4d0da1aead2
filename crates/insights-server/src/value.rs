//! One field of one record, and the language's coercions: text that looks like a number counts as
//! one, and whatever cannot be computed is missing rather than an error.

use std::cmp::Ordering;

use jiff::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Missing,
    Number(f64),
    Text(&'a str),
}

impl<'a> Value<'a> {
    /// NaN stands for a missing number everywhere: it makes arithmetic missing and comparisons
    /// false, which is what the language does.
    pub(crate) fn from_number(number: f64) -> Value<'a> {
        if number.is_finite() { Value::Number(number) } else { Value::Missing }
    }

    pub(crate) fn number(self) -> f64 {
        match self {
            Value::Missing => f64::NAN,
            Value::Number(number) => number,
            Value::Text(text) => parse_number(text),
        }
    }

    pub(crate) fn is_missing(self) -> bool {
        matches!(self, Value::Missing)
    }
}

/// Plain decimal notation only: not `inf`, not a leading `+`, not surrounded by spaces.
pub(crate) fn parse_number(text: &str) -> f64 {
    let bytes = text.as_bytes();
    // Up to 15 digits are exact in an f64, and nearly every number in a flow log is one of these.
    if (1..=15).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit) {
        return bytes.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0')) as f64;
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let starts_with_digit = unsigned.first().is_some_and(u8::is_ascii_digit);
    let plain = unsigned.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    if !starts_with_digit || !plain {
        return f64::NAN;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).unwrap_or(f64::NAN)
}

/// Integers as integers as far as an f64 holds them exactly, otherwise the shortest decimal.
pub(crate) fn print_number(number: f64) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        (number as i64).to_string()
    } else {
        number.to_string()
    }
}

/// Timestamps print as the console shows them: UTC, to the millisecond.
pub(crate) fn print_time(milliseconds: f64) -> String {
    Timestamp::from_millisecond(milliseconds as i64)
        .map_or_else(|_| print_number(milliseconds), |at| at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// The order of `sort`: values that are not numbers come before those that are, and among them runs
/// of digits compare as numbers (by length, then digits) and the rest by Unicode value.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Sort.html>
pub(crate) fn natural_order(left: Value<'_>, right: Value<'_>) -> Ordering {
    let (left_number, right_number) = (left.number(), right.number());
    match (left_number.is_nan(), right_number.is_nan()) {
        (false, false) => left_number.total_cmp(&right_number),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (true, true) => match (left, right) {
            (Value::Text(left), Value::Text(right)) => chunked_order(left, right),
            _ => Ordering::Equal,
        },
    }
}

fn chunked_order(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() && !right.is_empty() {
        let (left_chunk, left_digits) = first_chunk(left);
        let (right_chunk, right_digits) = first_chunk(right);
        let order = if left_digits && right_digits {
            left_chunk.len().cmp(&right_chunk.len()).then(left_chunk.cmp(right_chunk))
        } else {
            left_chunk.cmp(right_chunk)
        };
        if order != Ordering::Equal {
            return order;
        }
        left = &left[left_chunk.len()..];
        right = &right[right_chunk.len()..];
    }
    left.len().cmp(&right.len())
}

fn first_chunk(text: &str) -> (&str, bool) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    (&text[..end], digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimal_text_counts_as_a_number() {
        for (text, number) in [("0", 0.0), ("443", 443.0), ("-2.5", -2.5), ("1e3", 1000.0), ("0443", 443.0)] {
            assert_eq!(parse_number(text), number, "{text}");
        }
        for text in
            ["", "-", "+1", " 1", "1 ", "inf", "nan", "10.0.0.1", "0x10", "1_000", ".5", "e5", "1e999"]
        {
            assert!(parse_number(text).is_nan(), "{text}");
        }
    }

    #[test]
    fn numbers_print_as_integers_or_as_short_as_possible() {
        let printed = [0.0, -0.0, 55_000.0, 0.1, 1.0 / 3.0, 9_007_199_254_740_992.0].map(print_number);
        assert_eq!(printed, ["0", "0", "55000", "0.1", "0.3333333333333333", "9007199254740992"]);
    }

    #[test]
    fn times_print_in_utc_to_the_millisecond() {
        assert_eq!(print_time(1_700_000_000_120.0), "2023-11-14 22:13:20.120");
        assert_eq!(print_time(0.0), "1970-01-01 00:00:00.000");
    }

    #[test]
    fn text_sorts_before_numbers_and_digit_runs_sort_as_numbers() {
        let mut values = ["10", "9", "eni-10", "eni-9", "-", "10.0.0.10", "10.0.0.9"].map(Value::Text);
        values.sort_by(|left, right| natural_order(*left, *right));
        assert_eq!(values, ["-", "10.0.0.9", "10.0.0.10", "eni-9", "eni-10", "9", "10"].map(Value::Text));
    }
}
