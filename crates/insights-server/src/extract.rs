//! What `parse` does to one value: a glob or a regular expression splits it into fields. Globs are
//! split without a regular expression, as they run over every record.

use memchr::memmem;
use regex::Regex;

use crate::value::Value;

/// The slot a captured piece goes to, or `None` where nothing reads it.
pub(crate) type Destination = Option<usize>;

#[derive(Debug)]
pub(crate) enum Extraction {
    Glob(Glob),
    Regex { regex: Regex, captures: Vec<(usize, Destination)> },
}

/// A glob matches anywhere in the value; each `*` reaches to the next literal, a last one to the end.
#[derive(Debug)]
pub(crate) struct Glob {
    lead: Literal,
    captures: Vec<(Destination, Literal)>,
}

#[derive(Debug)]
enum Literal {
    Nothing,
    Byte(u8),
    Text(Box<memmem::Finder<'static>>),
}

impl Literal {
    fn new(text: &str) -> Literal {
        match text.as_bytes() {
            [] => Literal::Nothing,
            [byte] => Literal::Byte(*byte),
            bytes => Literal::Text(Box::new(memmem::Finder::new(bytes).into_owned())),
        }
    }

    /// Where the literal starts and ends in the text from `from` on.
    fn find(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let rest = &text.as_bytes()[from..];
        match self {
            Literal::Nothing => Some((from, from)),
            Literal::Byte(byte) => memchr::memchr(*byte, rest).map(|at| (from + at, from + at + 1)),
            Literal::Text(finder) => {
                finder.find(rest).map(|at| (from + at, from + at + finder.needle().len()))
            }
        }
    }
}

impl Glob {
    /// Splits at each `*`; `destinations` has one entry per star.
    pub(crate) fn new(pattern: &str, destinations: &[Destination]) -> Glob {
        let mut literals = pattern.split('*').map(Literal::new);
        let lead = literals.next().unwrap_or(Literal::Nothing);
        Glob { lead, captures: destinations.iter().copied().zip(literals).collect() }
    }

    fn split<'a>(&self, text: &'a str, slots: &mut [Value<'a>]) -> Option<()> {
        let (_, mut at) = self.lead.find(text, 0)?;
        for (destination, literal) in &self.captures {
            let (end, next) = match literal {
                Literal::Nothing => (text.len(), text.len()),
                literal => literal.find(text, at)?,
            };
            if let Some(slot) = destination {
                slots[*slot] = Value::Text(&text[at..end]);
            }
            at = next;
        }
        Some(())
    }
}

impl Extraction {
    pub(crate) fn destinations(&mut self) -> impl Iterator<Item = &mut Destination> {
        let (glob, regex) = match self {
            Extraction::Glob(glob) => (Some(glob.captures.iter_mut().map(|(slot, _)| slot)), None),
            Extraction::Regex { captures, .. } => (None, Some(captures.iter_mut().map(|(_, slot)| slot))),
        };
        glob.into_iter().flatten().chain(regex.into_iter().flatten())
    }

    /// Fills the slots, with missing values where the text does not match.
    pub(crate) fn apply<'a>(&self, value: Value<'a>, slots: &mut [Value<'a>]) {
        let text = match value {
            Value::Text(text) => Some(text),
            _ => None,
        };
        match self {
            Extraction::Glob(glob) => {
                if text.and_then(|text| glob.split(text, slots)).is_none() {
                    for slot in glob.captures.iter().filter_map(|(slot, _)| *slot) {
                        slots[slot] = Value::Missing;
                    }
                }
            }
            Extraction::Regex { regex, captures } => {
                let found = text.and_then(|text| regex.captures(text));
                for (group, slot) in captures {
                    if let Some(slot) = slot {
                        slots[*slot] = found
                            .as_ref()
                            .and_then(|found| found.get(*group))
                            .map_or(Value::Missing, |piece| Value::Text(piece.as_str()));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'a, const N: usize>(pattern: &str, text: &'a str) -> [Value<'a>; N] {
        let destinations: Vec<_> = (0..N).map(Some).collect();
        let mut slots = [Value::Text("left over"); N];
        Extraction::Glob(Glob::new(pattern, &destinations)).apply(Value::Text(text), &mut slots);
        slots
    }

    #[test]
    fn each_star_reaches_to_the_next_literal_or_the_end() {
        assert_eq!(split("* * *", "a b c d"), ["a", "b", "c d"].map(Value::Text));
        assert_eq!(split("user=*, took *ms", "12:00 user=x, took 5ms!"), ["x", "5"].map(Value::Text));
        assert_eq!(split("* *", "a "), ["a", ""].map(Value::Text));
    }

    #[test]
    fn a_value_that_does_not_match_leaves_every_field_missing() {
        assert_eq!(split("* * *", "a b"), [Value::Missing; 3]);
        assert_eq!(split("id=*;", "id=5"), [Value::Missing; 1]);
    }

    #[test]
    fn pieces_nobody_reads_are_skipped_over() {
        let mut slots = [Value::Missing; 1];
        let glob = Glob::new("* * *", &[None, Some(0), None]);
        Extraction::Glob(glob).apply(Value::Text("a b c"), &mut slots);
        assert_eq!(slots, [Value::Text("b")]);
    }

    #[test]
    fn literals_are_found_between_characters_of_several_bytes() {
        assert_eq!(split("*→*", "é→ü"), ["é", "ü"].map(Value::Text));
    }
}
