//! What the damage in the input concerns: the interface and the minutes that it names, and nothing else.

use hashbrown::HashMap;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Viewpoint;
use crate::flow::Interval;
use crate::network::GatewayKind;

/// Where and when something is missing, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    interface: Option<Box<[u8]>>,
    resource: Option<Box<[u8]>>,
    span: Option<(i64, i64)>,
}

/// How long before and after the time in its name a file of flow logs in S3 may have records of, in seconds. It
/// is written every five minutes, and records come up to a quarter of an hour late.
const AROUND_FILE: i64 = 3600;

/// Seconds that are taken for a record's: from 2001, when they got ten digits, to the last that fits 32 bits.
const SECONDS: std::ops::RangeInclusive<i64> = 1_000_000_000..=4_294_967_295;

/// So much of a line is looked through.
const LOOK: usize = 1024;

impl Spot {
    pub(super) fn of_interval(interval: &Interval<'_>) -> Self {
        Self {
            interface: interval.interface.map(Into::into),
            resource: interval.resource.map(Into::into),
            span: interval.span,
        }
    }

    /// Of a line that could not be read.
    pub(super) fn of_line(line: &[u8]) -> Self {
        let line = &line[..line.len().min(LOOK)];
        let words = line.split(|b| !b.is_ascii_alphanumeric() && *b != b'-');
        let seconds = words
            .filter(|word| word.len() == 10)
            .filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
            .filter(|second| SECONDS.contains(second));
        let span = seconds.fold(None, |span: Option<(i64, i64)>, second| {
            let (from, to) = span.unwrap_or((second, second));
            Some((from.min(second), to.max(second)))
        });
        Self { interface: id(line, b"eni-"), resource: id(line, b"nat-"), span }
    }

    /// Of a file, from what flow logs in S3 and exports of log groups are called.
    pub(super) fn of_file(name: &str) -> Self {
        let mut times = name.split(['_', '/']).filter_map(|part| {
            let time = part.strip_suffix('Z')?;
            let at = DateTime::strptime("%Y%m%dT%H%M", time).ok()?;
            Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
        });
        let span = times.next_back().map(|at| (at - AROUND_FILE, at + AROUND_FILE));
        Self { interface: id(name.as_bytes(), b"eni-"), resource: None, span }
    }
}

/// The first id that begins so.
fn id(text: &[u8], prefix: &[u8]) -> Option<Box<[u8]>> {
    let at = memchr::memmem::find(text, prefix)?;
    let digits = text[at + prefix.len()..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
    (digits >= 8).then(|| text[at..at + prefix.len() + digits].into())
}

/// The gateway and the minutes that are in question.
pub(super) struct Scope<'v> {
    pub(super) viewpoint: &'v Viewpoint,
    /// The interfaces whose records were the gateway's, where none was named.
    pub(super) seen_on: &'v [Box<[u8]>],
    /// First and last second; `None` where nothing tells.
    pub(super) span: Option<(i64, i64)>,
}

impl Scope<'_> {
    /// Whether what is missing there may matter. What does not say where it is may be anywhere.
    pub(super) fn concerns(&self, spot: &Spot) -> bool {
        let at_another_time =
            spot.span.zip(self.span).is_some_and(|((from, to), (first, last))| to < first || from > last);
        !at_another_time && !self.is_elsewhere(spot)
    }

    fn is_elsewhere(&self, spot: &Spot) -> bool {
        if self.viewpoint.kind == GatewayKind::Regional {
            let own = self.viewpoint.gateway.as_ref().map(|id| id.as_str().as_bytes());
            return match (&spot.resource, own) {
                (Some(resource), Some(own)) => **resource != *own,
                (Some(_), None) => false,
                (None, _) => spot.interface.is_some(),
            };
        }
        let Some(interface) = &spot.interface else { return false };
        let own = &self.viewpoint.interfaces;
        if own.is_empty() {
            !self.seen_on.is_empty() && !self.seen_on.contains(interface)
        } else {
            own.iter().all(|own| *own.as_str().as_bytes() != **interface)
        }
    }
}

/// Spots, each with how often. Those beyond so many may be anywhere.
#[derive(Default)]
pub(super) struct Spots {
    counts: HashMap<Spot, u64>,
    beyond: u64,
}

impl Spots {
    const MOST: usize = 10_000;

    pub(super) fn add(&mut self, spot: Spot) {
        if self.counts.len() < Self::MOST || self.counts.contains_key(&spot) {
            *self.counts.entry(spot).or_default() += 1;
        } else {
            self.beyond += 1;
        }
    }

    /// How many concern the gateway and its minutes, and how many do not.
    pub(super) fn concerning(&self, scope: &Scope<'_>) -> (u64, u64) {
        let (mut within, mut apart) = (self.beyond, 0);
        for (spot, count) in &self.counts {
            *if scope.concerns(spot) { &mut within } else { &mut apart } += count;
        }
        (within, apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_tells_its_interface_or_its_time() {
        let exported = Spot::of_file("export/0c1d/eni-0123456789abcdef0-all/000000.gz");
        assert_eq!(exported.interface.as_deref(), Some(&b"eni-0123456789abcdef0"[..]));
        let name = "123456789012_vpcflowlogs_eu-west-1_fl-0123456789abcdef0_20261118T0210Z_1a2b3c4d.log.gz";
        let at = 1_794_967_800;
        assert_eq!(Spot::of_file(name).span, Some((at - AROUND_FILE, at + AROUND_FILE)));
        assert_eq!(Spot::of_file("my eni-notes 2026Z_.log"), Spot::default());
    }

    #[test]
    fn a_line_that_is_not_read_tells_what_it_is_of() {
        let line = b"2 123456789012 eni-0123456789abcdef0 10.0.1.18 x 1 443 6 1 1 1795000000 1795000050 ACC";
        let spot = Spot::of_line(line);
        assert_eq!(spot.interface.as_deref(), Some(&b"eni-0123456789abcdef0"[..]));
        assert_eq!(spot.span, Some((1_795_000_000, 1_795_000_050)));
        assert_eq!(Spot::of_line(b"no flow log"), Spot::default());
    }
}
