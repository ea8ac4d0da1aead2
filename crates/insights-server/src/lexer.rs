//! Query text to tokens. A `/` starts a regular expression only where the language has one: after
//! `like` and `=~`, and once in a `parse` command; elsewhere it divides.

use crate::malformed::{Parsed, Span, refuse};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A keyword, a function's name, or a field.
    Word(String),
    /// A field in backticks: never a keyword.
    Backticked(String),
    Number(f64),
    /// A number with a unit, as in `bin(5m)`.
    Period(f64, String),
    Text(String),
    Regex(String),
    Punctuation(&'static str),
    End,
}

impl Token {
    pub(crate) fn describe(&self) -> String {
        match self {
            Token::Word(word) => format!("`{word}`"),
            Token::Backticked(name) => format!("the field `{name}`"),
            Token::Number(number) => format!("the number {number}"),
            Token::Period(count, unit) => format!("the period {count}{unit}"),
            Token::Text(text) => format!("the text \"{text}\""),
            Token::Regex(regex) => format!("the regular expression /{regex}/"),
            Token::Punctuation(sign) => format!("`{sign}`"),
            Token::End => "the end of the query".to_owned(),
        }
    }
}

/// Longer signs first, so that `<=` is not read as `<`.
const PUNCTUATION: [&str; 19] =
    ["=~", "!=", "<=", ">=", "|", ",", "(", ")", "[", "]", "+", "-", "*", "/", "%", "^", "=", "<", ">"];

pub(crate) fn tokens(text: &str) -> Parsed<Vec<(Token, Span)>> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), parse_awaits_pattern: false };
    while lexer.step()? {}
    let end = Span { start: text.len(), end: text.len() };
    lexer.tokens.push((Token::End, end));
    Ok(lexer.tokens)
}

struct Lexer<'q> {
    text: &'q str,
    at: usize,
    tokens: Vec<(Token, Span)>,
    parse_awaits_pattern: bool,
}

impl Lexer<'_> {
    fn step(&mut self) -> Parsed<bool> {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else { return Ok(false) };
        let start = self.at;
        let token = match first {
            c if c.is_whitespace() => {
                self.at += c.len_utf8();
                return Ok(true);
            }
            '#' => {
                self.at += rest.find('\n').unwrap_or(rest.len());
                return Ok(true);
            }
            '"' | '\'' => {
                self.parse_awaits_pattern = false;
                Token::Text(self.delimited(first, "the text")?)
            }
            '`' => Token::Backticked(self.delimited('`', "the field name")?),
            '/' if self.regex_may_start() => {
                self.parse_awaits_pattern = false;
                Token::Regex(self.regex()?)
            }
            '0'..='9' => self.number()?,
            c if c.is_alphabetic() || c == '_' || c == '@' => self.word(),
            _ => self.punctuation(first)?,
        };
        self.tokens.push((token, Span { start, end: self.at }));
        Ok(true)
    }

    fn regex_may_start(&self) -> bool {
        let after_like = match self.tokens.last() {
            Some((Token::Word(word), _)) => word.eq_ignore_ascii_case("like"),
            Some((Token::Punctuation(sign), _)) => *sign == "=~",
            _ => false,
        };
        after_like || self.parse_awaits_pattern
    }

    /// Only the escapes that text needs are known; a pattern's `\d` belongs between slashes.
    fn delimited(&mut self, quote: char, what: &str) -> Parsed<String> {
        let start = self.at;
        let mut content = String::new();
        let mut characters = self.text[start + 1..].char_indices();
        while let Some((at, c)) = characters.next() {
            if c == quote {
                self.at = start + 1 + at + quote.len_utf8();
                return Ok(content);
            }
            if c != '\\' || quote == '`' {
                content.push(c);
                continue;
            }
            match characters.next() {
                Some((_, escaped @ ('"' | '\'' | '\\'))) => content.push(escaped),
                _ => {
                    let span = Span { start: start + 1 + at, end: start + 1 + at + 1 };
                    return refuse(
                        span,
                        "only \\\", \\' and \\\\ are known after a backslash in quoted text",
                    );
                }
            }
        }
        refuse(
            Span { start, end: self.text.len() },
            format!("{what} that starts here is not closed with {quote}"),
        )
    }

    fn regex(&mut self) -> Parsed<String> {
        let start = self.at;
        let mut content = String::new();
        let mut characters = self.text[start + 1..].char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '/' => {
                    self.at = start + 1 + at + 1;
                    return Ok(content);
                }
                '\\' => match characters.next() {
                    Some((_, '/')) => content.push('/'),
                    Some((_, escaped)) => content.extend(['\\', escaped]),
                    None => content.push('\\'),
                },
                other => content.push(other),
            }
        }
        refuse(
            Span { start, end: self.text.len() },
            "the regular expression that starts here is not closed with /",
        )
    }

    fn number(&mut self) -> Parsed<Token> {
        let start = self.at;
        let rest = &self.text[start..];
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut length = digits(rest);
        if let Some(fraction) = rest[length..].strip_prefix('.') {
            match digits(fraction) {
                0 => {
                    let span = Span { start, end: start + length + 1 };
                    return refuse(span, "a number needs a digit after its decimal point");
                }
                decimals => length += 1 + decimals,
            }
        }
        let unit: String = rest[length..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        self.at = start + length + unit.len();
        let number = rest[..length].parse().map_err(|_| crate::malformed::Refusal {
            span: Span { start, end: start + length },
            message: "this number cannot be read".into(),
        })?;
        Ok(if unit.is_empty() { Token::Number(number) } else { Token::Period(number, unit) })
    }

    fn word(&mut self) -> Token {
        let rest = &self.text[self.at..];
        let length =
            rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '@' | '.'))).unwrap_or(rest.len());
        let word = rest[..length].to_owned();
        let starts_a_command = matches!(self.tokens.last(), None | Some((Token::Punctuation("|"), _)));
        if starts_a_command {
            self.parse_awaits_pattern = word.eq_ignore_ascii_case("parse");
        }
        self.at += length;
        Token::Word(word)
    }

    fn punctuation(&mut self, first: char) -> Parsed<Token> {
        let rest = &self.text[self.at..];
        if let Some(sign) = PUNCTUATION.iter().find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            return Ok(Token::Punctuation(sign));
        }
        let span = Span { start: self.at, end: self.at + first.len_utf8() };
        let hint = match first {
            '&' | '!' => "; the Boolean operators are `and`, `or` and `not`",
            _ => "",
        };
        refuse(span, format!("`{first}` has no meaning in a query{hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Token> {
        tokens(text).unwrap().into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn a_slash_divides_except_where_a_pattern_is_expected() {
        assert!(kinds("filter a / 2 > b / 3").contains(&Token::Punctuation("/")));
        assert!(kinds("filter a like /x y/").contains(&Token::Regex("x y".into())));
        assert!(kinds(r"filter a =~ /a\/b\d/").contains(&Token::Regex(r"a/b\d".into())));
        assert!(kinds("parse @message /(?<n>.)/").contains(&Token::Regex("(?<n>.)".into())));
    }

    #[test]
    fn comments_run_to_the_end_of_the_line_and_not_into_quoted_text() {
        assert_eq!(
            kinds("limit 5 # not / this\n"),
            [Token::Word("limit".into()), Token::Number(5.0), Token::End]
        );
        assert!(kinds("filter a = '#1'").contains(&Token::Text("#1".into())));
    }

    #[test]
    fn names_hold_at_signs_dots_and_underscores() {
        assert_eq!(kinds("@a.b_c")[0], Token::Word("@a.b_c".into()));
        assert_eq!(kinds("`pkt-srcaddr`")[0], Token::Backticked("pkt-srcaddr".into()));
    }

    #[test]
    fn an_unclosed_quote_is_refused_where_it_starts() {
        let refusal = tokens("filter a = 'x").unwrap_err();
        assert_eq!(refusal.span.start, 11);
    }

    #[test]
    fn signs_of_other_languages_are_refused() {
        assert!(tokens("filter a && b").unwrap_err().message.contains("`and`"));
        assert!(tokens("filter a; b").is_err());
    }
}
