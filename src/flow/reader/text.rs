//! Text, line by line, straight from the window: nothing is allocated per line.

use std::io::BufRead as _;

use memchr::{memchr_iter, memchr2_iter};

use super::ahead::{self, BLOCK};
use super::error::FileError;
use super::messages::{MOST_LINE, Messages};
use super::window::Window;

/// Reads lines to the end, or until the messages have enough.
pub(super) fn read(window: &mut Window<'_>, messages: &mut Messages<'_>) -> Result<(), FileError> {
    let before = messages.seen();
    let damaged = |source, messages: &Messages<'_>| FileError::Damaged { lines: messages.number(), source };
    let mut within_long_line = false;
    // `--query 'events[].message' --output text` puts a tab between messages, and all of them on one line.
    let tabs_end_lines = messages.are_in_one_line(window.buffered());
    let mut places = Vec::new();
    // Whether the lines at hand may be parsed many at once.
    let mut may_be_many = !tabs_end_lines;
    loop {
        let buffered = window.buffered();
        let mut from = 0;
        places.clear();
        if tabs_end_lines {
            places.extend(memchr2_iter(b'\n', b'\t', buffered));
        }
        let ends = memchr_iter(b'\n', if tabs_end_lines { &[] } else { buffered });
        let mut has_found = false;
        for to in ends.chain(places.iter().copied()) {
            let line = &buffered[from..to];
            from = to + 1;
            if std::mem::take(&mut within_long_line) {
                continue;
            }
            messages.line(line);
            if messages.enough() {
                return Ok(());
            }
            if may_be_many && messages.has_found() {
                has_found = true;
                break;
            }
        }
        if has_found {
            window.consume(from);
            may_be_many = false;
            let Some(parser) = messages.bare_parser() else { continue };
            loop {
                let ahead = window.peek(BLOCK).map_err(|source| damaged(source, messages))?.len();
                if ahead == BLOCK && messages.wants_many() {
                    return ahead::read(window, messages, &parser);
                }
                if !ahead::read_here(window, messages, &parser) {
                    break;
                }
                if messages.enough() {
                    return Ok(());
                }
                if !messages.is_read_by(&parser) {
                    // The lines that follow are read by another.
                    may_be_many = true;
                    break;
                }
            }
            continue;
        }
        let rest = buffered.len() - from;
        if !within_long_line && rest > MOST_LINE {
            messages.line(&buffered[from..]);
            within_long_line = true;
        }
        window.consume(if within_long_line { from + rest } else { from });
        may_be_many = !tabs_end_lines;
        match window.fill() {
            Ok(true) => {}
            Ok(false) => {
                if !within_long_line {
                    messages.line(window.buffered());
                }
                return messages.something_since(before);
            }
            // The line that breaks off is left out: half a number is a number too.
            Err(source) => return Err(damaged(source, messages)),
        }
    }
}
