//! What a query says, before anyone asks whether its names and types make sense.

use crate::malformed::Span;

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) kind: CommandKind,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum CommandKind {
    Fields(Vec<Item>),
    Display(Vec<Name>),
    Filter(Expression),
    Parse { source: Option<Name>, pattern: Pattern },
    Stats { results: Vec<Item>, keys: Vec<Item> },
    Sort(Vec<SortKey>),
    Limit(usize),
    Estimate,
}

#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// `expression` or `expression as name`.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) expression: Expression,
    pub(crate) alias: Option<Name>,
}

#[derive(Debug)]
pub(crate) struct SortKey {
    pub(crate) name: Name,
    pub(crate) descending: bool,
}

#[derive(Debug)]
pub(crate) enum Pattern {
    Glob { text: String, span: Span, names: Vec<Name> },
    Regex { text: String, span: Span },
}

#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Number(f64),
    Text(String),
    /// Milliseconds.
    Period(f64),
    Field(String),
    Negate(Box<Expression>),
    Arithmetic(Arithmetic, Box<(Expression, Expression)>),
    Compare(Comparison, Box<(Expression, Expression)>),
    OneOf {
        operand: Box<Expression>,
        items: Vec<(Literal, Span)>,
        negated: bool,
    },
    Like {
        operand: Box<Expression>,
        pattern: LikePattern,
        negated: bool,
    },
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Call {
        function: Name,
        arguments: Vec<Expression>,
    },
    /// `count(*)`.
    CountAll,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Number(f64),
    Text(String),
}

#[derive(Debug)]
pub(crate) enum LikePattern {
    Substring(String),
    Regex { text: String, span: Span },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
