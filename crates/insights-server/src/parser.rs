//! Tokens to commands, by recursive descent. It knows the grammar and no field: whether a name
//! exists and a type fits is decided in `compile`.

use crate::ast::{
    Arithmetic, Command, CommandKind, Comparison, Expression, Item, Kind, LikePattern, Literal, Name,
    Pattern, SortKey,
};
use crate::functions::period_milliseconds;
use crate::lexer::{Token, tokens};
use crate::malformed::{Parsed, Span, refuse};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html>
const LONGEST_QUERY: usize = 10_000;
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Limit.html>
pub(crate) const LARGEST_LIMIT: usize = 100_000;
/// Not a limit of the language: it keeps a hostile query from using up the stack.
const DEEPEST_NESTING: usize = 100;

/// Words that cannot name a field unless they stand in backticks.
const RESERVED: [&str; 8] = ["and", "or", "not", "in", "like", "as", "by", "stats"];

pub(crate) fn parse(text: &str) -> Parsed<Vec<Command>> {
    let length = text.chars().count();
    if length > LONGEST_QUERY {
        let start = text.char_indices().nth(LONGEST_QUERY).map_or(text.len(), |(at, _)| at);
        return refuse(
            Span { start, end: text.len() },
            format!("the query has {length} characters; {LONGEST_QUERY} are allowed"),
        );
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let mut commands = vec![parser.command()?];
    while parser.accept("|") {
        commands.push(parser.command()?);
    }
    if *parser.peek() != Token::End {
        return parser.unexpected("`|` or the end of the query");
    }
    Ok(commands)
}

struct Parser {
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn peek_second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].0
    }

    fn span(&self) -> Span {
        self.tokens[self.at].1
    }

    fn previous_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].1
    }

    fn advance(&mut self) -> (Token, Span) {
        let token = self.tokens[self.at].clone();
        // `End` is the last token and is never passed.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        refuse(self.span(), format!("expected {expected}, found {}", self.peek().describe()))
    }

    fn accept(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Punctuation(found) if *found == sign);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Parsed<Span> {
        let span = self.span();
        if self.accept(sign) { Ok(span) } else { self.unexpected(&format!("`{sign}`")) }
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn name(&mut self, what: &str) -> Parsed<Name> {
        let text = match self.peek() {
            Token::Backticked(name) => name.clone(),
            Token::Word(word) if !RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) => {
                word.clone()
            }
            _ => return self.unexpected(what),
        };
        let (_, span) = self.advance();
        Ok(Name { text, span })
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accept(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn command(&mut self) -> Parsed<Command> {
        let start = self.span();
        let Token::Word(word) = self.peek().clone() else {
            return self.unexpected("a command");
        };
        self.advance();
        let kind = match word.to_ascii_lowercase().as_str() {
            "fields" => CommandKind::Fields(self.list(Self::item)?),
            "display" => CommandKind::Display(self.list(|parser| parser.name("a field to display"))?),
            "filter" | "where" => CommandKind::Filter(self.expression()?),
            "parse" => self.parse_command()?,
            "stats" => self.stats_command()?,
            "sort" => CommandKind::Sort(self.list(Self::sort_key)?),
            "limit" => self.limit_command()?,
            "estimate" => CommandKind::Estimate,
            _ => {
                return refuse(
                    start,
                    format!(
                        "`{word}` is not a command known here; known are fields, display, filter, where, \
                         parse, stats, sort, limit and estimate"
                    ),
                );
            }
        };
        Ok(Command { kind, span: start.to(self.previous_span()) })
    }

    fn item(&mut self) -> Parsed<Item> {
        let expression = self.expression()?;
        let alias = if self.accept_word("as") { Some(self.name("a name after `as`")?) } else { None };
        Ok(Item { expression, alias })
    }

    fn parse_command(&mut self) -> Parsed<CommandKind> {
        let source = match self.peek() {
            Token::Word(_) | Token::Backticked(_) => Some(self.name("a field to parse")?),
            _ => None,
        };
        match self.advance() {
            (Token::Text(text), span) => {
                if !self.accept_word("as") {
                    return self.unexpected("`as` and a name for each *");
                }
                let names = self.list(|parser| parser.name("a name for a *"))?;
                Ok(CommandKind::Parse { source, pattern: Pattern::Glob { text, span, names } })
            }
            (Token::Regex(text), span) => {
                if self.at_word("as") {
                    return refuse(
                        self.span(),
                        "a regular expression names its fields itself, as in (?<name>...); it takes no `as`",
                    );
                }
                Ok(CommandKind::Parse { source, pattern: Pattern::Regex { text, span } })
            }
            (other, span) => refuse(
                span,
                format!("expected a quoted glob or a /regex/ to parse by, found {}", other.describe()),
            ),
        }
    }

    fn stats_command(&mut self) -> Parsed<CommandKind> {
        let results = self.list(Self::item)?;
        let keys = if self.accept_word("by") { self.list(Self::item)? } else { Vec::new() };
        Ok(CommandKind::Stats { results, keys })
    }

    fn sort_key(&mut self) -> Parsed<SortKey> {
        let name = self.name("a field to sort by (give an expression a name with `as` first)")?;
        let descending = if self.accept_word("desc") {
            true
        } else {
            self.accept_word("asc");
            false
        };
        Ok(SortKey { name, descending })
    }

    fn limit_command(&mut self) -> Parsed<CommandKind> {
        let span = self.span();
        match self.peek() {
            Token::Number(number)
                if number.fract() == 0.0 && (1.0..=LARGEST_LIMIT as f64).contains(number) =>
            {
                let limit = *number as usize;
                self.advance();
                Ok(CommandKind::Limit(limit))
            }
            Token::Number(_) => refuse(span, format!("limit takes a whole number from 1 to {LARGEST_LIMIT}")),
            _ => self.unexpected("a number of rows"),
        }
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEEPEST_NESTING {
            return refuse(self.span(), format!("more than {DEEPEST_NESTING} levels of nesting"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn expression(&mut self) -> Parsed<Expression> {
        self.nested(Self::disjunction)
    }

    fn disjunction(&mut self) -> Parsed<Expression> {
        let first = self.conjunction()?;
        let mut terms = vec![first];
        while self.accept_word("or") {
            terms.push(self.conjunction()?);
        }
        Ok(joined(terms, Kind::Or))
    }

    fn conjunction(&mut self) -> Parsed<Expression> {
        let first = self.negation()?;
        let mut terms = vec![first];
        while self.accept_word("and") {
            terms.push(self.negation()?);
        }
        Ok(joined(terms, Kind::And))
    }

    /// `not` binds looser than a comparison: `not a = 1` is `not (a = 1)`.
    fn negation(&mut self) -> Parsed<Expression> {
        let start = self.span();
        if self.accept_word("not") {
            let inner = self.nested(Self::negation)?;
            let span = start.to(inner.span);
            return Ok(Expression { kind: Kind::Not(Box::new(inner)), span });
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.sum()?;
        let comparison = match self.peek() {
            Token::Punctuation("=") => Comparison::Equal,
            Token::Punctuation("!=") => Comparison::NotEqual,
            Token::Punctuation("<") => Comparison::Less,
            Token::Punctuation("<=") => Comparison::LessOrEqual,
            Token::Punctuation(">") => Comparison::Greater,
            Token::Punctuation(">=") => Comparison::GreaterOrEqual,
            _ => return self.membership(left),
        };
        self.advance();
        let right = self.sum()?;
        let span = left.span.to(right.span);
        let chained = matches!(self.peek(), Token::Punctuation("=" | "!=" | "<" | "<=" | ">" | ">=" | "=~"));
        if chained {
            return refuse(self.span(), "comparisons cannot be chained; join them with `and`");
        }
        Ok(Expression { kind: Kind::Compare(comparison, Box::new((left, right))), span })
    }

    fn membership(&mut self, operand: Expression) -> Parsed<Expression> {
        let negated = self.at_word("not")
            && matches!(self.peek_second(), Token::Word(word)
                if word.eq_ignore_ascii_case("in") || word.eq_ignore_ascii_case("like"));
        if negated {
            self.advance();
        }
        let start = operand.span;
        let operand = Box::new(operand);
        let kind = if self.accept_word("in") {
            self.expect("[")?;
            let items = self.list(Self::literal)?;
            self.expect("]")?;
            Kind::OneOf { operand, items, negated }
        } else if self.accept_word("like") || self.accept("=~") {
            let pattern = match self.advance() {
                (Token::Text(text), _) => LikePattern::Substring(text),
                (Token::Regex(text), span) => LikePattern::Regex { text, span },
                (other, span) => {
                    return refuse(
                        span,
                        format!("expected quoted text or a /regex/, found {}", other.describe()),
                    );
                }
            };
            Kind::Like { operand, pattern, negated }
        } else {
            return Ok(*operand);
        };
        Ok(Expression { kind, span: start.to(self.previous_span()) })
    }

    fn literal(&mut self) -> Parsed<(Literal, Span)> {
        let start = self.span();
        let negative = self.accept("-");
        match self.advance() {
            (Token::Number(number), span) => {
                Ok((Literal::Number(if negative { -number } else { number }), start.to(span)))
            }
            (Token::Text(text), span) if !negative => Ok((Literal::Text(text), span)),
            (other, span) => refuse(
                span,
                format!("expected quoted text or a number in the list, found {}", other.describe()),
            ),
        }
    }

    fn sum(&mut self) -> Parsed<Expression> {
        self.chain(Self::product, |sign| match sign {
            "+" => Some(Arithmetic::Add),
            "-" => Some(Arithmetic::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Parsed<Expression> {
        self.chain(Self::power, |sign| match sign {
            "*" => Some(Arithmetic::Multiply),
            "/" => Some(Arithmetic::Divide),
            "%" => Some(Arithmetic::Remainder),
            _ => None,
        })
    }

    fn chain(
        &mut self,
        operand: impl Fn(&mut Self) -> Parsed<Expression>,
        operator: impl Fn(&str) -> Option<Arithmetic>,
    ) -> Parsed<Expression> {
        let mut left = operand(self)?;
        let mut links = 0;
        while let Token::Punctuation(sign) = self.peek() {
            let Some(arithmetic) = operator(sign) else { break };
            links += 1;
            if links > DEEPEST_NESTING {
                return refuse(self.span(), format!("more than {DEEPEST_NESTING} operators in a row"));
            }
            self.advance();
            let right = operand(self)?;
            let span = left.span.to(right.span);
            left = Expression { kind: Kind::Arithmetic(arithmetic, Box::new((left, right))), span };
        }
        Ok(left)
    }

    fn power(&mut self) -> Parsed<Expression> {
        let base = self.unary()?;
        if !self.accept("^") {
            return Ok(base);
        }
        let exponent = self.nested(Self::power)?;
        let span = base.span.to(exponent.span);
        Ok(Expression { kind: Kind::Arithmetic(Arithmetic::Power, Box::new((base, exponent))), span })
    }

    fn unary(&mut self) -> Parsed<Expression> {
        let start = self.span();
        if self.accept("-") {
            let inner = self.nested(Self::unary)?;
            let span = start.to(inner.span);
            return Ok(Expression { kind: Kind::Negate(Box::new(inner)), span });
        }
        self.primary()
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let span = self.span();
        let kind = match self.peek().clone() {
            Token::Number(number) => {
                self.advance();
                Kind::Number(number)
            }
            Token::Text(text) => {
                self.advance();
                Kind::Text(text)
            }
            Token::Period(count, unit) => {
                self.advance();
                Kind::Period(period_milliseconds(count, &unit, span)?)
            }
            Token::Punctuation("(") => {
                self.advance();
                let mut inner = self.expression()?;
                let end = self.expect(")")?;
                inner.span = span.to(end);
                return Ok(inner);
            }
            Token::Word(_) if *self.peek_second() == Token::Punctuation("(") => return self.call(),
            Token::Word(_) | Token::Backticked(_) => {
                Kind::Field(self.name("a field, a value or a function")?.text)
            }
            _ => return self.unexpected("a field, a value or a function"),
        };
        Ok(Expression { kind, span })
    }

    fn call(&mut self) -> Parsed<Expression> {
        let function = self.name("a function")?;
        self.expect("(")?;
        let is_count = function.text.eq_ignore_ascii_case("count");
        let kind = if self.accept(")") {
            match is_count {
                true => Kind::CountAll,
                false => Kind::Call { arguments: Vec::new(), function: function.clone() },
            }
        } else if is_count && self.accept("*") {
            self.expect(")")?;
            Kind::CountAll
        } else {
            let arguments = self.list(Self::expression)?;
            self.expect(")")?;
            Kind::Call { arguments, function: function.clone() }
        };
        Ok(Expression { kind, span: function.span.to(self.previous_span()) })
    }
}

fn joined(mut terms: Vec<Expression>, kind: impl FnOnce(Vec<Expression>) -> Kind) -> Expression {
    match (terms.len(), terms.first().map(|term| term.span), terms.last().map(|term| term.span)) {
        (2.., Some(first), Some(last)) => Expression { kind: kind(terms), span: first.to(last) },
        _ => terms.pop().expect("a chain is built from its first term"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(text: &str) -> Kind {
        match parse(&format!("filter {text}")).unwrap().pop().unwrap().kind {
            CommandKind::Filter(expression) => expression.kind,
            other => panic!("not a filter: {other:?}"),
        }
    }

    #[test]
    fn and_binds_tighter_than_or_and_not_looser_than_a_comparison() {
        let Kind::Or(terms) = condition("a = 1 or b = 2 and c = 3") else { panic!() };
        assert!(matches!(terms[1].kind, Kind::And(_)));
        let Kind::Not(inner) = condition("not a = 1") else { panic!() };
        assert!(matches!(inner.kind, Kind::Compare(..)));
    }

    #[test]
    fn multiplication_binds_tighter_and_powers_lean_right() {
        let Kind::Compare(_, sides) = condition("a + b * c ^ d ^ e = 1") else { panic!() };
        let Kind::Arithmetic(Arithmetic::Add, sum) = &sides.0.kind else { panic!() };
        let Kind::Arithmetic(Arithmetic::Multiply, product) = &sum.1.kind else { panic!() };
        let Kind::Arithmetic(Arithmetic::Power, power) = &product.1.kind else { panic!() };
        assert!(matches!(power.1.kind, Kind::Arithmetic(Arithmetic::Power, _)));
    }

    #[test]
    fn keywords_are_case_insensitive() {
        assert!(parse("STATS Count(*) AS n BY a | SORT n DESC | LIMIT 3").is_ok());
    }

    #[test]
    fn a_missing_command_is_refused_at_the_gap() {
        let refusal = parse("fields a | | limit 5").unwrap_err();
        assert_eq!(refusal.span, Span { start: 11, end: 12 });
        assert_eq!(refusal.message, "expected a command, found `|`");
        assert!(parse("").is_err());
    }

    #[test]
    fn nesting_that_would_use_up_the_stack_is_refused() {
        for text in [
            format!("filter {}a", "(".repeat(4_000)),
            format!("filter {}a", "not ".repeat(2_000)),
            format!("filter {}1 = 1", "-".repeat(4_000)),
            format!("filter a = 1{}", " + 1".repeat(2_000)),
            format!("filter 1{} = 1", "^1".repeat(4_000)),
        ] {
            assert!(parse(&text).unwrap_err().message.starts_with("more than 100"), "{}", &text[..30]);
        }
    }

    #[test]
    fn a_query_over_ten_thousand_characters_is_refused() {
        let padding = " ".repeat(LONGEST_QUERY - "limit 5".len());
        assert!(parse(&format!("limit 5{padding}")).is_ok());
        assert_eq!(parse(&format!("limit 5{padding} ")).unwrap_err().span.start, LONGEST_QUERY);
    }

    #[test]
    fn limits_that_the_language_does_not_have_are_refused() {
        for text in ["limit 0", "limit 100001", "limit 1.5", "limit ten", "limit any 5"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("limit 100000").is_ok());
    }
}
