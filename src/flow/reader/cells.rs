//! The cells of one row, as spreadsheets and consoles write them.

/// The cells of a row, without the quotation marks around them and the spaces at their ends. A quotation mark
/// that is written twice stays so: no flow-log field holds one.
pub(super) fn cells(row: &[u8], between: u8) -> Cells<'_> {
    Cells { rest: Some(row), between }
}

/// See [`cells`].
pub(super) struct Cells<'r> {
    rest: Option<&'r [u8]>,
    between: u8,
}

impl<'r> Iterator for Cells<'r> {
    type Item = &'r [u8];

    fn next(&mut self) -> Option<&'r [u8]> {
        let rest = self.rest?;
        let start = rest.iter().position(|b| *b != b' ').unwrap_or(rest.len());
        let (cell, behind) = match rest.get(start..) {
            Some([b'"', quoted @ ..]) => {
                let end = closing_quote(quoted);
                (&quoted[..end], quoted.get(end + 1..).unwrap_or_default())
            }
            _ => {
                let end = rest.iter().position(|b| *b == self.between).unwrap_or(rest.len());
                (&rest[..end], &rest[end..])
            }
        };
        let next = behind.iter().position(|b| *b == self.between);
        self.rest = next.map(|at| &behind[at + 1..]);
        Some(cell.trim_ascii())
    }
}

/// Where the quotation mark is that ends the cell; the end of the row where the cell goes on in the next line.
fn closing_quote(quoted: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = quoted[at..].iter().position(|b| *b == b'"') {
        at += found;
        if quoted.get(at + 1) != Some(&b'"') {
            return at;
        }
        at += 2;
    }
    quoted.len()
}

/// The row without the frame that stands at both its ends, where it is drawn.
pub(super) fn names(row: &[u8], between: u8) -> &[u8] {
    if between != b'|' {
        return row;
    }
    let row = row.trim_ascii();
    let row = row.strip_prefix(b"|").unwrap_or(row);
    row.strip_suffix(b"|").unwrap_or(row)
}

/// A field's value as flow logs write it, from how tables write it: `-` for what is nothing, and whole numbers
/// without a decimal point.
pub(super) fn value(cell: &[u8]) -> &[u8] {
    const NOTHING: [&[u8]; 7] = [b"", b"null", b"NULL", b"None", b"NaN", b"nan", b"\\N"];
    if NOTHING.contains(&cell) {
        return b"-";
    }
    match cell.strip_suffix(b".0") {
        Some(whole) if !whole.is_empty() && whole.iter().all(u8::is_ascii_digit) => whole,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(row: &str, between: u8) -> Vec<&str> {
        cells(row.as_bytes(), between).map(|cell| std::str::from_utf8(cell).expect("UTF-8")).collect()
    }

    #[test]
    fn quotes_go_and_what_they_hold_stays_together() {
        assert_eq!(split(r#""a","b,c" , d,"#, b','), ["a", "b,c", "d", ""]);
        assert_eq!(split("a\t\tb", b'\t'), ["a", "", "b"]);
        assert_eq!(split(r#"1,"say ""hi"", then""#, b','), ["1", r#"say ""hi"", then"#]);
        assert_eq!(split(r#"1,"goes on"#, b','), ["1", "goes on"]);
        assert_eq!(split("", b','), [""]);
    }

    #[test]
    fn a_value_of_a_table_is_one_of_a_flow_log() {
        for (cell, expected) in
            [("", "-"), ("null", "-"), ("443.0", "443"), ("10.0.0.0", "10.0.0.0"), (".0", ".0"), ("OK", "OK")]
        {
            assert_eq!(value(cell.as_bytes()), expected.as_bytes(), "{cell:?}");
        }
    }
}
