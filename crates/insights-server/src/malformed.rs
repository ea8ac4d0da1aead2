//! Why a query is refused, and where in its text. Positions are bytes inside the crate and
//! characters outside it, as `queryCompileError.location` counts them.

/// A stretch of the query text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end }
    }
}

/// A refusal on its way out, before the query text is at hand to count characters.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) span: Span,
    pub(crate) message: String,
}

pub(crate) type Parsed<T> = Result<T, Refusal>;

pub(crate) fn refuse<T>(span: Span, message: impl Into<String>) -> Parsed<T> {
    Err(Refusal { span, message: message.into() })
}

/// A query the server would answer with `MalformedQueryException`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (characters {start} to {end})")]
pub struct MalformedQuery {
    /// What is wrong and, where it is known, what to write instead.
    pub message: String,
    /// The first offending character, counted from 0.
    pub start: usize,
    /// One past the last offending character.
    pub end: usize,
}

impl Refusal {
    pub(crate) fn in_text(self, text: &str) -> MalformedQuery {
        let characters_before = |byte: usize| text.char_indices().take_while(|(at, _)| *at < byte).count();
        MalformedQuery {
            message: self.message,
            start: characters_before(self.span.start),
            end: characters_before(self.span.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_rather_than_bytes() {
        let refusal = Refusal { span: Span { start: 5, end: 8 }, message: "no".into() };
        let malformed = refusal.in_text("é = xyz");
        assert_eq!((malformed.start, malformed.end), (4, 7));
    }
}
