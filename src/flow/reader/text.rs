//! Text, line by line, straight from the window: nothing is allocated per line.

use std::io::BufRead as _;

use memchr::{memchr_iter, memchr2_iter};

use super::ahead;
use super::error::FileError;
use super::messages::{MOST_LINE, Messages};
use super::window::Window;

/// Reads lines to the end, or until the messages have enough.
pub(super) fn read(window: &mut Window<'_>, messages: &mut Messages<'_>) -> Result<(), FileError> {
    let before = messages.seen();
    let mut within_long_line = false;
    // `--query 'events[].message' --output text` puts a tab between messages, and all of them on one line.
    let tabs_end_lines = messages.are_in_one_line(window.buffered());
    let mut places = Vec::new();
    loop {
        let buffered = window.buffered();
        let mut from = 0;
        places.clear();
        if tabs_end_lines {
            places.extend(memchr2_iter(b'\n', b'\t', buffered));
        }
        let ends = memchr_iter(b'\n', if tabs_end_lines { &[] } else { buffered });
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
        }
        let rest = buffered.len() - from;
        if !within_long_line && rest > MOST_LINE {
            messages.line(&buffered[from..]);
            within_long_line = true;
        }
        window.consume(if within_long_line { from + rest } else { from });

        if !tabs_end_lines
            && !within_long_line
            && let Some(parser) = messages.bare_parser()
        {
            return ahead::read(window, messages, &parser);
        }
        match window.fill() {
            Ok(true) => {}
            Ok(false) => {
                if !within_long_line {
                    messages.line(window.buffered());
                }
                return messages.something_since(before);
            }
            // The line that breaks off is left out: half a number is a number too.
            Err(source) => return Err(FileError::Damaged { lines: messages.number(), source }),
        }
    }
}
