//! Numbers and endpoints as people read them, and text from outside made harmless: the same in every
//! report.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;

/// With a comma between thousands: `55,000`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of a thing: `1 line`, `2,000 lines`.
#[must_use]
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A clause as a sentence: `Stop it` of `stop it`.
#[must_use]
pub fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// A sentence within another one: `stop it` of `Stop it`.
#[must_use]
pub fn uncapitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// `1st`, `2nd`, `3rd`, `11th`.
#[must_use]
pub fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// A word for a POSIX shell that stands for `text` and nothing else. Line breaks and other control
/// characters, which no id or name of AWS has, are dropped: a terminal would act on them.
#[must_use]
pub fn in_shell(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !is_unprintable(*c)).collect();
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:@,=".contains(c);
    if !plain.is_empty() && plain.chars().all(safe) && !plain.starts_with('-') {
        plain
    } else {
        format!("'{}'", plain.replace('\'', r"'\''"))
    }
}

/// What stands in a command for a value that none may take.
pub(crate) const NOT_USABLE: &str = "NOT_USABLE";

/// An argument of a command that people paste, as a word for the shell.
///
/// The AWS CLI takes a value that begins with a hyphen for an option, and one with a scheme for something to load,
/// whatever the shell's quotes say: a blank stands for such a one, which its reader has to look up.
#[must_use]
pub fn argument(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !is_unprintable(*c)).collect();
    in_shell(if plain.starts_with('-') || plain.contains("://") { NOT_USABLE } else { &plain })
}

/// A list in a sentence: `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list(items: &[impl std::fmt::Display]) -> String {
    match items {
        [] => String::new(),
        [one] => one.to_string(),
        [others @ .., last] => {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            format!("{} and {last}", others.join(", "))
        }
    }
}

/// A fraction of 1 as whole percents. What is not quite all never reads as 100%, and what is not
/// quite nothing never as 0%.
#[must_use]
pub fn percent(fraction: f64) -> String {
    let percents = fraction * 100.0;
    if fraction < 1.0 && percents >= 99.5 {
        "over 99%".into()
    } else if fraction > 0.0 && percents < 0.5 {
        "under 1%".into()
    } else {
        format!("{:.0}%", percents.round())
    }
}

/// Bytes with a unit of powers of 1024: `1.4 GiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A second: `2026-11-18 02:14:00 UTC`.
#[must_use]
pub fn instant(at: Timestamp) -> String {
    at.strftime("%F %T UTC").to_string()
}

/// A stretch of time: `2026-11-18 02:01 to 02:14 UTC`, with seconds where there are any.
#[must_use]
pub fn span(start: Timestamp, end: Timestamp) -> String {
    let whole_minutes = start.as_second() % 60 == 0 && end.as_second() % 60 == 0;
    let clock = if whole_minutes { "%H:%M" } else { "%H:%M:%S" };
    let [day, end_day] = [start, end].map(|at| at.strftime("%F").to_string());
    let end_day = if end_day == day { String::new() } else { format!("{end_day} ") };
    format!("{day} {} to {end_day}{} UTC", start.strftime(clock), end.strftime(clock))
}

/// An address with its port and protocol, IPv6 in brackets, ICMP without a port.
#[must_use]
pub fn endpoint(address: IpAddr, port: u16, protocol: &str) -> String {
    match address {
        _ if protocol.starts_with("icmp") => format!("{address} {protocol}"),
        IpAddr::V4(v4) => format!("{v4}:{port}/{protocol}"),
        IpAddr::V6(v6) => format!("[{v6}]:{port}/{protocol}"),
    }
}

/// The name of an IANA protocol number; the number itself where NAT gateways do not translate it.
#[must_use]
pub fn protocol(protocol: u8) -> String {
    match protocol {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "icmpv6".into(),
        other => other.to_string(),
    }
}

/// US dollars, to the cent, and never a charge as nothing.
#[must_use]
pub fn dollars(amount: f64) -> String {
    if amount > 0.0 && amount < 0.01 { "less than $0.01".into() } else { format!("${amount:.2}") }
}

/// Whether a character acts instead of showing: on a terminal, or on the order or the place of what stands
/// beside it; or shows nothing at all, as letters do that only fill a place.
///
/// Source: the Unicode categories Cc, Cf, Zl and Zp, as of the general punctuation, the marks of scripts, the
/// interlinear annotations and the tags; of letters and symbols, those that are called fillers or blank.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    let formats = matches!(
        c,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    c.is_control() || formats
}

/// One line of printable text, of at most `most` characters: control characters and those that turn
/// the reading direction become spaces, and what is cut off shows as an ellipsis.
#[must_use]
pub fn one_line(text: &str, most: usize) -> String {
    let mut characters = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c });
    let mut line: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// Text that somebody else chose, such as a name, on one line, and no link: programs that show mail make one of
/// whatever looks like it.
#[must_use]
pub fn outside(text: &str, most: usize) -> String {
    one_line(&without_links(text), most).trim().to_owned()
}

/// The same text where nothing looks like a link: no scheme, and no host that begins with `www.`.
#[must_use]
pub fn without_links(text: &str) -> String {
    let text = text.replace("://", ": //");
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = find_www(rest) {
        plain.push_str(&rest[..at + WWW]);
        plain.push(' ');
        rest = &rest[at + WWW..];
    }
    plain + rest
}

/// The letters that hosts begin with which programs take for links without a scheme.
const WWW: usize = "www".len();

fn find_www(text: &str) -> Option<usize> {
    text.as_bytes().windows(WWW + 1).position(|four| four.eq_ignore_ascii_case(b"www."))
}

/// Text for a terminal's error stream, with its line breaks: what a terminal would act on shows as a replacement
/// character.
#[must_use]
pub fn for_terminal(text: &str) -> String {
    text.chars()
        .map(|c| if c != '\n' && is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// JSON text in which no character acts on a terminal or on the order of what stands beside it: such a character
/// stands in a string only, where its escape means the same.
#[must_use]
pub fn escaped_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_unprintable(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
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
    fn numbers_read_the_same_everywhere() {
        assert_eq!(
            [count(0), count(999), count(55_000), count(1_234_567)],
            ["0", "999", "55,000", "1,234,567"]
        );
        assert_eq!([percent(0.0), percent(0.001), percent(0.814)], ["0%", "under 1%", "81%"]);
        assert_eq!([percent(0.005), percent(0.0149), percent(0.985)], ["1%", "1%", "99%"]);
        assert_eq!([percent(0.998), percent(1.0)], ["over 99%", "100%"]);
        assert_eq!([bytes(512), bytes(1_503_238_554)], ["512 B", "1.4 GiB"]);
        assert_eq!([dollars(0.0), dollars(0.001), dollars(1.5)], ["$0.00", "less than $0.01", "$1.50"]);
    }

    #[test]
    fn a_list_reads_as_one() {
        assert_eq!(list(&["a"; 0]), "");
        assert_eq!([list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
    }

    #[test]
    fn times_name_their_day_once_and_always_their_zone() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(instant(at("2026-11-18T02:14:05Z")), "2026-11-18 02:14:05 UTC");
        let within = span(at("2026-11-18T02:01:00Z"), at("2026-11-18T02:14:00Z"));
        assert_eq!(within, "2026-11-18 02:01 to 02:14 UTC");
        let over_midnight = span(at("2026-11-18T23:59:30Z"), at("2026-11-19T00:10:00Z"));
        assert_eq!(over_midnight, "2026-11-18 23:59:30 to 2026-11-19 00:10:00 UTC");
    }

    #[test]
    fn json_shows_nothing_that_acts_and_means_the_same() {
        let hostile = "a\u{9b}31m\u{202e}b\u{e0041}\u{7f}ü";
        let json = serde_json::json!({ hostile: [hostile] }).to_string();
        let escaped = escaped_json(&json);
        assert!(!escaped.chars().any(is_unprintable), "{escaped:?}");
        assert!(escaped.contains(r"a\u009b31m\u202eb\udb40\udc41\u007fü"), "{escaped}");
        let [read, written] = [&escaped, &json].map(|text| serde_json::from_str::<serde_json::Value>(text));
        assert_eq!(read.expect("JSON"), written.expect("JSON"));
    }

    #[test]
    fn a_hostile_name_stays_on_its_line_and_recognisable() {
        assert_eq!(one_line("nat\r\nSubject: x\u{202e}evil", 80), "nat  Subject: x evil");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(one_line("a\u{61c}b\u{ad}c\u{e0041}d", 80), "a b c d");
        assert_eq!(one_line("a\u{3164}b\u{2800}c", 80), "a b c");
        assert_eq!(outside(" https://evil.example\u{200b} ", 80), "https: //evil.example");
        assert_eq!(outside("see WWW.evil.example, www.x", 80), "see WWW .evil.example, www .x");
        assert_eq!(for_terminal("a\u{1b}]0;x\u{7}\nb\u{9b}"), "a\u{fffd}]0;x\u{fffd}\nb\u{fffd}");
        assert_eq!(ascii_line("größe\n", 80), "gr??e ");
        assert_eq!(ascii_line(&"x".repeat(1000), 99).len(), 99);
    }
}
