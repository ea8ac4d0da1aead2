//! Text from outside, made harmless for a line of plain text.

/// One line of printable text, of at most `most` characters: control characters and those that turn
/// the reading direction become spaces, and what is cut off shows as an ellipsis.
#[must_use]
pub fn one_line(text: &str, most: usize) -> String {
    let harmless = |c: char| {
        let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || turns { ' ' } else { c }
    };
    let mut characters = text.chars().map(harmless);
    let mut line: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// The same in ASCII, for a subject: what is not becomes a question mark.
#[must_use]
pub fn ascii_line(text: &str, most: usize) -> String {
    let ascii: String = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    let line = one_line(&ascii, usize::MAX);
    if line.len() <= most { line } else { format!("{}...", &line[..most.saturating_sub(3)]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_on_its_line_and_recognisable() {
        assert_eq!(one_line("nat\r\nSubject: x\u{202e}evil", 80), "nat  Subject: x evil");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(ascii_line("größe\n", 80), "gr??e ");
        assert_eq!(ascii_line(&"x".repeat(1000), 99).len(), 99);
    }
}
