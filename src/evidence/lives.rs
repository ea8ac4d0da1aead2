//! When one port was in use, pieced together from records that come in any order.

use std::ops::Range;

use super::packed::Packed;
use super::{Held, Steps};
use crate::flow::record::TcpFlags;
use crate::network::IDLE_TIMEOUT_SECONDS;

/// Packets that trail behind a FIN or RST (a last ACK, say) can fall into the next record. That late
/// they are taken for part of the connection that ended, not for a new one.
const TRAILING_SECONDS: i64 = 60;

/// Longest that such a trail is, in seconds.
const TRAIL: u32 = 2;

/// An answer comes within seconds; later than this, what comes back belongs to something else.
const ANSWER_SECONDS: i64 = 60;

/// A second that comes after all others: there are millions of stretches, and an `Option` would double
/// their times.
pub(super) const NEVER: u32 = u32::MAX;

/// A stretch within which the port was in use: from one packet to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// First packet, in seconds of the Unix epoch.
    pub(super) start: u32,
    /// Last packet.
    pub(super) last: u32,
    /// First packet towards the destination, or [`NEVER`].
    pub(super) first_out: u32,
    /// First packet back, or [`NEVER`].
    pub(super) first_in: u32,
    /// First packet of what certainly belongs to one connection, or [`NEVER`].
    pub(super) sure_from: u32,
    /// Last packet of that.
    pub(super) sure_until: u32,
    /// Packets towards the destination.
    pub(super) sent: u32,
    /// Whether a connection was seen to begin in it.
    pub(super) opened: bool,
    /// Whether a RST was seen in it.
    pub(super) reset: bool,
    /// Whether the client was seen to end its side.
    pub(super) finished_out: bool,
    /// Whether the server was.
    pub(super) finished_in: bool,
}

impl Stretch {
    /// What one record shows.
    ///
    /// A record with a beginning and an end may be of two connections, one after the other, on the
    /// same port, with any silence in between.
    pub(super) fn new(start: u32, last: u32, outward: bool, packets: u64, flags: TcpFlags) -> Self {
        let one = !(flags.opens() && flags.closes());
        Self {
            start,
            last,
            first_out: if outward { start } else { NEVER },
            first_in: if outward { NEVER } else { start },
            sure_from: if one { start } else { NEVER },
            sure_until: if one { last } else { 0 },
            sent: if outward { u32::try_from(packets).unwrap_or(u32::MAX) } else { 0 },
            opened: flags.opens(),
            reset: flags.resets(),
            finished_out: outward && flags.finishes(),
            finished_in: !outward && flags.finishes(),
        }
    }

    fn start(self) -> i64 {
        i64::from(self.start)
    }

    fn last(self) -> i64 {
        i64::from(self.last)
    }

    fn overlaps(self, other: Self) -> bool {
        self.start <= other.last && other.start <= self.last
    }

    /// Whether `next`, which begins after this ends, is certainly the same connection.
    fn continues_in(self, next: Self, ends_visible: bool) -> bool {
        let gap = next.start() - self.last();
        if self.ended() {
            // What goes on for longer is a new connection, whose beginning fell into the same record
            // as the end of the old one.
            return ends_visible && !next.opened && gap < TRAILING_SECONDS && next.last - next.start <= TRAIL;
        }
        let answers = self.first_in == NEVER && next.first_out == NEVER && gap < ANSWER_SECONDS;
        // Beyond the answer, only formats with tcp-flags can tell.
        answers || (ends_visible && !next.opened && gap < IDLE_TIMEOUT_SECONDS)
    }

    /// The last second at which a stretch that begins later may belong to this one: what [`Stretch::continues_in`]
    /// allows at the most.
    pub(super) fn reach(self, ends_visible: bool) -> u32 {
        let silence = match (self.ended(), ends_visible) {
            (true, true) => TRAILING_SECONDS,
            (true, false) => 0,
            (false, true) => IDLE_TIMEOUT_SECONDS,
            (false, false) if self.first_in == NEVER => ANSWER_SECONDS,
            (false, false) => 0,
        };
        u32::try_from(self.last() + silence).unwrap_or(u32::MAX)
    }

    /// Whether `next` begins in the second after this one's last packet, and nothing says that a connection ended in
    /// between: records are cut there, as those of a busy connection are at the end of each interval.
    fn goes_on_at_once_in(self, next: Self) -> bool {
        !self.ended()
            && !next.opened
            && self.sure_until != 0
            && next.start() - i64::from(self.sure_until) <= 1
    }

    /// Whether both show the same packets, as records of two flow logs do: one flow log's records of
    /// one port share a second at the most.
    fn repeats_records_of(self, other: Self) -> bool {
        let shared = i64::from(self.last.min(other.last)) - i64::from(self.start.max(other.start));
        shared > 0 || (self.start, self.last) == (other.start, other.last)
    }

    fn joined(self, next: Self) -> Self {
        let sent = if self.repeats_records_of(next) {
            self.sent.max(next.sent)
        } else {
            self.sent.saturating_add(next.sent)
        };
        Self {
            start: self.start.min(next.start),
            last: self.last.max(next.last),
            first_out: self.first_out.min(next.first_out),
            first_in: self.first_in.min(next.first_in),
            sure_from: self.sure_from.min(next.sure_from),
            sure_until: self.sure_until.max(next.sure_until),
            sent,
            opened: self.opened || next.opened,
            reset: self.reset || next.reset,
            finished_out: self.finished_out || next.finished_out,
            finished_in: self.finished_in || next.finished_in,
        }
    }

    /// Whether the connection was seen to end: by a RST, or by both of its sides. One that a server
    /// has ended and the client has not (`CLOSE_WAIT`) is still there.
    pub(super) fn ended(self) -> bool {
        let unanswered = self.first_in == NEVER;
        self.reset || (self.finished_out && (self.finished_in || unanswered))
    }

    /// Where nothing came back: the packets that were sent.
    pub(super) fn unanswered(self) -> Option<u64> {
        (self.first_in == NEVER && self.sent > 0).then_some(u64::from(self.sent))
    }

    /// How many first packets went without an answer before one came, told by how long that took:
    /// a TCP client repeats its SYN after 1, 3, 7 … seconds (RFC 6298, 2.1 and 5.5). The times of
    /// records are whole seconds, so that an answer just after the turn of one reads as one repeat:
    /// an upper bound.
    pub(super) fn repeats(self) -> u64 {
        if self.first_in == NEVER || self.first_out >= self.first_in {
            return 0;
        }
        u64::from((self.first_in - self.first_out + 1).ilog2())
    }

    /// When so many first packets of the client were sent: a TCP client repeats its SYN after 1, 3, 7 …
    /// seconds (RFC 6298, 2.1 and 5.5). Of more than a client repeats, as datagrams are, nothing tells, and
    /// they are spread evenly.
    pub(super) fn sent_over(self, packets: u64, mut sent: impl FnMut(i64, u64)) {
        /// Linux repeats a SYN six times, others as often or less.
        const MOST_REPEATED: u64 = 10;
        let (start, lasted) = (self.start(), self.last() - self.start());
        if packets <= MOST_REPEATED {
            for repeat in 0..packets {
                sent(start + lasted.min((1_i64 << repeat) - 1), 1);
            }
            return;
        }
        let seconds = u64::try_from(lasted + 1).unwrap_or(1);
        let (each, more) = (packets / seconds, packets % seconds);
        for second in 0..seconds {
            let packets = each + u64::from(second < more);
            if packets > 0 {
                sent(start + i64::try_from(second).unwrap_or(lasted), packets);
            }
        }
    }

    /// Seconds from the first packet to the last.
    pub(super) fn active_seconds(self) -> u64 {
        u64::from(self.last - self.start)
    }
}

/// When a port was held, by one stretch of its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    /// The first packet.
    pub(super) start: i64,
    /// From the first to the last packet that certainly belong to one connection.
    pub(super) sure: Option<(i64, i64)>,
    /// The last second at which the port may still have been held; the first of the next stretch at
    /// the latest.
    pub(super) until: i64,
}

/// All that is known of one port towards one destination (or of one client's port): stretches of
/// use, in order and apart.
///
/// A connection in use through many records is one stretch, so that memory grows with connections,
/// not with records. Records come about in order: the last stretch is at hand, and those before it are packed.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    last: Option<Stretch>,
    earlier: Packed,
    /// Those that begin before the last, until [`Lives::settle`] puts them into their place. Few ports have any.
    #[expect(clippy::box_collection, reason = "there are millions of ports, and it is nearly always empty")]
    waiting: Option<Box<Vec<Stretch>>>,
    sent: bool,
}

/// A stretch of which the place is before so many others waits for it: records that come newest first would move all
/// that are there, each time.
const MAX_MOVED: usize = 64;

/// So many stretches wait for their place at the least: to put them there, all are unpacked and packed again.
const MIN_WAITING: usize = 16;

impl Lives {
    /// Adds what one record showed. Once all are added, [`Lives::settle`] puts the last into their place.
    pub(super) fn add(&mut self, stretch: Stretch, ends_visible: bool) {
        self.sent |= stretch.first_out != NEVER;
        let Some(last) = self.last else {
            self.last = Some(stretch);
            return;
        };
        if let Some(waiting) = &mut self.waiting {
            waiting.push(stretch);
            // Half as many as there are: so each is sorted a few times only, however many there will be.
            if waiting.len() > MIN_WAITING.max(self.earlier.about() / 2) {
                self.settle(ends_visible);
            }
            return;
        }
        if stretch.start > last.start {
            self.put_last(last, stretch, ends_visible);
        } else if !self.earlier.may_reach(stretch.start) {
            // Nearly always the other direction of the last: what is before need not be unpacked.
            self.put_last(stretch, last, ends_visible);
        } else if !self.insert(last, stretch, ends_visible) {
            self.waiting = Some(Box::new(vec![stretch]));
        }
    }

    /// Inserts a stretch that does not begin after the last; whether its place is near enough. Those before its place
    /// stay as they are, and those after it from the first on that does not join.
    fn insert(&mut self, last: Stretch, stretch: Stretch, ends_visible: bool) -> bool {
        let before = self.earlier.last();
        if before.is_none_or(|before| before.start < stretch.start) {
            // Nearly always its place is right before the last.
            let joined = before.and_then(|before| join(before, stretch, ends_visible));
            if joined.is_some() {
                self.earlier.pop(ends_visible);
            }
            self.put_last(joined.unwrap_or(stretch), last, ends_visible);
            return true;
        }
        let mut after = [last; MAX_MOVED];
        let mut moved = 1;
        let before = loop {
            match self.earlier.last() {
                Some(before) if before.start >= stretch.start => {
                    if moved == MAX_MOVED {
                        after[1..].iter().rev().for_each(|stretch| self.earlier.push(stretch, ends_visible));
                        return false;
                    }
                    self.earlier.pop(ends_visible);
                    after[moved] = before;
                    moved += 1;
                }
                before => break before,
            }
        };
        let joined = before.and_then(|before| join(before, stretch, ends_visible));
        if joined.is_some() {
            self.earlier.pop(ends_visible);
        }
        let mut inserted = joined.unwrap_or(stretch);
        while let Some(joined) =
            moved.checked_sub(1).and_then(|next| join(inserted, after[next], ends_visible))
        {
            inserted = joined;
            moved -= 1;
        }
        if moved == 0 {
            self.last = Some(inserted);
        } else {
            self.earlier.push(&inserted, ends_visible);
            after[1..moved].iter().rev().for_each(|stretch| self.earlier.push(stretch, ends_visible));
        }
        true
    }

    /// Puts a stretch behind the one that is to be the last before it, or joins the two.
    fn put_last(&mut self, before: Stretch, stretch: Stretch, ends_visible: bool) {
        self.last = Some(join(before, stretch, ends_visible).unwrap_or_else(|| {
            self.earlier.push(&before, ends_visible);
            stretch
        }));
    }

    /// Puts those into their place that still wait for it.
    pub(super) fn settle(&mut self, ends_visible: bool) {
        if let Some(waiting) = self.waiting.take() {
            // Of those that begin at once, the one that was added last goes first, as in `add`.
            let waiting = (*waiting).into_iter().rev();
            let mut all: Vec<Stretch> = waiting.chain(self.earlier.iter()).chain(self.last).collect();
            all.sort_by_key(|stretch| stretch.start);
            self.rebuild(all, ends_visible);
        }
    }

    /// Joins stretches in their order where they belong together.
    fn rebuild(&mut self, all: Vec<Stretch>, ends_visible: bool) {
        (self.last, self.earlier) = (None, Packed::default());
        for next in all {
            match self.last {
                Some(last) => self.put_last(last, next, ends_visible),
                None => self.last = Some(next),
            }
        }
    }

    /// When the last stretch begins.
    pub(super) fn last_start(&self) -> Option<u32> {
        self.last.map(|stretch| stretch.start)
    }

    /// Looks at what [`Lives::add`] will look at before the last stretch, for one that begins at `start`: it may be far
    /// away in memory.
    #[inline]
    pub(super) fn touch_before(&self, start: u32) -> u32 {
        let is_after = self.last.is_none_or(|last| start > last.start);
        if is_after || !self.earlier.may_reach(start) { 0 } else { self.earlier.touch() }
    }

    /// The stretches, in order.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch> {
        debug_assert!(self.waiting.is_none(), "settled before it is read");
        self.earlier.iter().chain(self.last)
    }

    /// Whether anything was sent towards the destination. What only comes in, unasked, meets no
    /// connection and holds no port.
    pub(super) fn sent_any(&self) -> bool {
        self.sent
    }

    /// Each stretch with the time for which it held the port.
    pub(super) fn holdings(&self) -> impl Iterator<Item = (Stretch, Holding)> {
        let mut stretches = self.stretches().peekable();
        let mut before: Option<Stretch> = None;
        std::iter::from_fn(move || {
            let stretch = stretches.next()?;
            let goes_on = before.replace(stretch).is_some_and(|before| before.goes_on_at_once_in(stretch));
            let held_until =
                if stretch.ended() { stretch.last() } else { stretch.last() + IDLE_TIMEOUT_SECONDS };
            let until = stretches.peek().map_or(held_until, |next| held_until.min(next.start()));
            let from = i64::from(stretch.sure_from) - i64::from(goes_on);
            let sure = (stretch.sure_from != NEVER).then_some((from, i64::from(stretch.sure_until)));
            Some((stretch, Holding { start: stretch.start(), sure, until }))
        })
    }

    #[cfg(test)]
    fn count_into(&self, steps: Steps, held: &mut [Held], counted: impl Fn(Stretch) -> bool) {
        let holdings: Vec<(Stretch, Holding)> = self.holdings().collect();
        count_into(&holdings, steps, held, counted);
    }
}

/// Adds a port, by its holdings, to the count of every step at which a stretch that is `counted` held it.
///
/// Records have whole seconds, and a step's instant is the beginning of one: what began within
/// that second was not held yet, what ended within it still was.
pub(super) fn count_into(
    holdings: &[(Stretch, Holding)],
    steps: Steps,
    held: &mut [Held],
    counted: impl Fn(Stretch) -> bool,
) {
    let mut unmarked = 0;
    for &(_, Holding { start, sure, until }) in holdings.iter().filter(|(stretch, _)| counted(*stretch)) {
        if let Some((first, last)) = sure {
            for step in steps.instants_within(first + 1, last) {
                held[step].least += 1;
            }
        }
        for step in steps.instants_within(start + 1, until) {
            held[step].hold += 1;
        }
        let Range { start: from, end } = steps.overlapping(start, until);
        for step in held.iter_mut().take(end).skip(from.max(unmarked)) {
            step.most += 1;
        }
        unmarked = unmarked.max(end);
    }
}

/// The two as one, where they are one.
fn join(a: Stretch, b: Stretch, ends_visible: bool) -> Option<Stretch> {
    let (earlier, later) = if a.start <= b.start { (a, b) } else { (b, a) };
    (earlier.overlaps(later) || earlier.continues_in(later, ends_visible)).then(|| earlier.joined(later))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of packets towards the destination, or back where `flags` has a `<`.
    fn stretch(start: u32, last: u32, flags: &str) -> Stretch {
        let mut stretch = Stretch::new(start, last, !flags.contains('<'), 1, TcpFlags::default());
        (stretch.opened, stretch.reset) = (flags.contains('S'), flags.contains('R'));
        stretch.finished_out = flags.contains('F') && !flags.contains('<');
        stretch.finished_in = flags.contains('F') && flags.contains('<');
        stretch
    }

    fn spans(lives: &Lives) -> Vec<(i64, i64, i64)> {
        lives.holdings().map(|(stretch, held)| (held.start, stretch.last(), held.until)).collect()
    }

    fn lives(stretches: &[Stretch], ends_visible: bool) -> Lives {
        let mut lives = Lives::default();
        for &stretch in stretches {
            lives.add(stretch, ends_visible);
        }
        lives.settle(ends_visible);
        lives
    }

    #[test]
    fn a_connection_in_use_through_many_records_is_one_stretch() {
        let records = [stretch(0, 55, "S"), stretch(60, 118, ""), stretch(121, 150, "F")];
        let connection = lives(&records, true);
        assert_eq!(spans(&connection), [(0, 150, 150)]);
    }

    #[test]
    fn without_an_end_the_port_stays_held_for_the_idle_timeout() {
        assert_eq!(spans(&lives(&[stretch(0, 5, "S")], true)), [(0, 5, 355)]);
    }

    #[test]
    fn a_connection_cut_at_a_full_minute_is_held_at_that_minute() {
        let second = |s| jiff::Timestamp::from_second(s).expect("valid");
        let window = crate::incident::TimeWindow::new(second(0), second(240)).expect("in order");
        let minutes = [stretch(5, 59, ""), stretch(60, 119, ""), stretch(120, 170, "")];
        for ends_visible in [true, false] {
            let mut held = vec![Held::default(); 4];
            lives(&minutes, ends_visible).count_into(Steps::over(window), &mut held, |_| true);
            let least: Vec<u32> = held.iter().map(|held| held.least).collect();
            assert_eq!(least, [0, 1, 1, 0], "{ends_visible}");
        }
    }

    #[test]
    fn a_port_used_twice_is_not_held_in_between() {
        let twice = lives(&[stretch(0, 5, "SF"), stretch(200, 205, "SF")], true);
        assert_eq!(spans(&twice), [(0, 5, 5), (200, 205, 205)]);
    }

    #[test]
    fn the_last_packets_behind_an_end_do_not_hold_the_port_again() {
        let trailing = lives(&[stretch(0, 59, "SF"), stretch(60, 60, "")], true);
        assert_eq!(spans(&trailing), [(0, 60, 60)]);
    }

    #[test]
    fn without_flags_a_silence_may_be_a_gap_between_two_connections() {
        let silent = lives(&[stretch(0, 5, ""), stretch(100, 105, "")], false);
        assert_eq!(spans(&silent), [(0, 5, 100), (100, 105, 455)]);
    }

    #[test]
    fn a_port_perhaps_used_twice_is_held_for_certain_at_no_time() {
        let minute = |record: u32, opens: bool, closes: bool| {
            let flags = TcpFlags(u8::from(opens) * 2 + u8::from(closes));
            Stretch::new(record * 60, record * 60 + 50, true, 10, flags)
        };
        let sure = |stretches: &[Stretch]| {
            lives(stretches, true).holdings().map(|(_, held)| held.sure).collect::<Vec<_>>()
        };
        assert_eq!(sure(&[minute(0, true, true)]), [None]);
        assert_eq!(sure(&[minute(0, true, false), minute(1, false, true)]), [Some((0, 110))]);
    }

    #[test]
    fn packets_that_two_flow_logs_show_are_counted_once() {
        let logs = [stretch(0, 7, "S"), stretch(0, 1, "S"), stretch(3, 7, "S")];
        let sent: Vec<_> = lives(&logs, true).stretches().map(|stretch| stretch.sent).collect();
        assert_eq!(sent, [1]);
    }

    #[test]
    fn a_connection_that_only_the_server_ended_is_held() {
        let half = lives(&[stretch(0, 9, "S"), stretch(0, 9, "SF<")], true);
        assert_eq!(spans(&half), [(0, 9, 359)]);
        let both = lives(&[stretch(0, 9, "SF"), stretch(0, 9, "SF<")], true);
        assert_eq!(spans(&both), [(0, 9, 9)]);
        let reset = lives(&[stretch(0, 9, "SR"), stretch(0, 9, "S<")], true);
        assert_eq!(spans(&reset), [(0, 9, 9)]);
    }

    #[test]
    fn an_answer_belongs_to_what_was_sent_before_it() {
        for ends_visible in [true, false] {
            let answered = lives(&[stretch(0, 0, "S"), stretch(1, 1, "S<")], ends_visible);
            assert_eq!(spans(&answered), [(0, 1, 351)]);
            assert!(answered.stretches().all(|stretch| stretch.unanswered().is_none()));
        }
    }

    #[test]
    fn a_later_answer_does_not_answer_an_earlier_attempt() {
        let twice = lives(&[stretch(0, 7, "S"), stretch(100, 105, "SF"), stretch(100, 105, "SF<")], true);
        let unanswered: Vec<_> = twice.stretches().map(Stretch::unanswered).collect();
        assert_eq!(unanswered, [Some(1), None]);
    }

    #[test]
    fn the_wait_for_an_answer_tells_how_often_syn_was_repeated() {
        let repeats = |wait| {
            let connection = lives(&[stretch(0, 30, "S"), stretch(wait, 30, "S<")], true);
            connection.stretches().map(Stretch::repeats).sum::<u64>()
        };
        assert_eq!([0, 1, 2, 3, 6, 7, 15].map(repeats), [0, 1, 1, 2, 2, 3, 4]);
    }

    #[test]
    fn whatever_the_order_a_port_used_very_often_comes_to_the_same() {
        let records: Vec<Stretch> = (0..3_000).map(|n| stretch(n * 7, n * 7 + 1, "SF")).collect();
        let in_order: Vec<Stretch> = lives(&records, true).stretches().collect();
        assert_eq!(in_order.len(), 3_000);
        let mixed = |step: usize| (0..3_000).map(|n| records[n * step % 3_000]).collect::<Vec<_>>();
        for other in [records.iter().rev().copied().collect(), mixed(7), mixed(1_499)] {
            assert_eq!(lives(&other, true).stretches().collect::<Vec<_>>(), in_order);
        }
    }

    /// What [`Lives::add`] comes to, by going through all stretches again each time.
    fn rebuilt(stretches: &[Stretch]) -> Vec<Stretch> {
        let mut kept: Vec<Stretch> = Vec::new();
        for &stretch in stretches {
            let at = kept.partition_point(|other| other.start < stretch.start);
            kept.insert(at, stretch);
            for next in std::mem::take(&mut kept) {
                match kept.last_mut().and_then(|last| Some((join(*last, next, true)?, last))) {
                    Some((joined, last)) => *last = joined,
                    None => kept.push(next),
                }
            }
        }
        kept
    }

    proptest! {
        #[test]
        fn what_begins_beyond_its_reach_does_not_belong_to_a_stretch(
            (first, second) in (0_usize..5, 0_usize..5),
            (lasts, after, again) in (0_u32..60, 0_u32..400, 0_u32..60),
            ends_visible in any::<bool>(),
        ) {
            let flags = ["", "S", "F", "SR", "S<"];
            let before = stretch(1_000, 1_000 + lasts, flags[first]);
            let next = stretch(1_000 + lasts + after, 1_000 + lasts + after + again, flags[second]);
            if join(before, next, ends_visible).is_some() {
                prop_assert!(next.start <= before.reach(ends_visible));
            }
        }

        #[test]
        fn what_is_inserted_changes_nothing_but_its_neighbours(
            records in proptest::collection::vec((0_u32..3_000, 0_u32..60, 0_usize..5), 1..60)
        ) {
            let flags = ["", "S", "F", "SF", "S<"];
            let records: Vec<Stretch> =
                records.into_iter().map(|(start, lasts, n)| stretch(start, start + lasts, flags[n])).collect();
            let added: Vec<Stretch> = lives(&records, true).stretches().collect();
            prop_assert_eq!(added, rebuilt(&records));
        }

        #[test]
        fn the_order_of_overlapping_records_does_not_matter(
            mut stretches in prop::collection::vec((0_u32..2000, 0_u32..80), 1..12),
        ) {
            let forwards: Vec<_> = stretches.iter().map(|(s, l)| stretch(*s, s + l, "")).collect();
            stretches.reverse();
            let backwards: Vec<_> = stretches.iter().map(|(s, l)| stretch(*s, s + l, "")).collect();
            prop_assert_eq!(
                spans(&lives(&forwards, false)),
                spans(&lives(&backwards, false))
            );
        }

        #[test]
        fn a_step_counts_a_port_once_and_most_is_never_below_least(
            stretches in prop::collection::vec((1000_u32..2000, 0_u32..80, any::<bool>(), any::<bool>()), 1..12),
            ends_visible in any::<bool>(),
        ) {
            let at = |s| jiff::Timestamp::from_second(s).expect("valid");
            let steps = Steps::over(crate::incident::TimeWindow::new(at(1000), at(2000)).expect("valid"));
            let records: Vec<_> = stretches
                .iter()
                .map(|&(start, length, opened, closed)| Stretch {
                    opened,
                    reset: closed,
                    ..stretch(start, start + length, "")
                })
                .collect();
            let mut held = vec![Held::default(); steps.count()];
            lives(&records, ends_visible).count_into(steps, &mut held, |_| true);
            for step in held {
                prop_assert!(step.least <= step.hold && step.hold <= step.most && step.most <= 1);
            }
        }
    }
}
