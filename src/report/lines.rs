//! Prose in lines that a phone shows without turning it.

/// Widest line of prose, in characters: what mail servers leave alone as well.
pub(super) const WIDTH: usize = 72;

/// Appends prose broken at spaces into lines of at most [`WIDTH`]. The first begins with `first`, and the
/// others are indented as far. A word that is longer than a line goes over several.
pub(super) fn wrap(out: &mut String, first: &str, prose: &str) {
    let indent = first.chars().count();
    out.push_str(first);
    let (mut column, mut begun) = (indent, false);
    for word in prose.split_whitespace().flat_map(|word| pieces(word, WIDTH - indent)) {
        let length = word.chars().count();
        if begun && column + 1 + length > WIDTH {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            (column, begun) = (indent, false);
        }
        if begun {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        begun = true;
    }
    out.push('\n');
}

/// A word in pieces of at most so many characters.
fn pieces(word: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let end = rest.char_indices().nth(most).map_or(rest.len(), |(end, _)| end);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(first: &str, prose: &str) -> String {
        let mut out = String::new();
        wrap(&mut out, first, prose);
        out
    }

    #[test]
    fn later_lines_stand_under_the_text_of_the_first() {
        let text = wrapped("1. ", &"word ".repeat(30));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("1. word") && lines[1].starts_with("   word"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH && !line.ends_with(' ')), "{text}");
        assert_eq!(text.split_whitespace().count(), 31);
    }

    #[test]
    fn a_word_that_is_too_long_for_a_line_goes_over_several() {
        let (whole, rest) = ("x".repeat(70), "x".repeat(30));
        assert_eq!(wrapped("- ", &format!("a {whole}{rest} b")), format!("- a\n  {whole}\n  {rest} b\n"));
        assert_eq!(wrapped("", ""), "\n");
    }
}
