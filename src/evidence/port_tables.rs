//! The lives of all ports, kept by other threads than the one that takes the records: finding a port among a million
//! waits for memory, and most of the time goes there.
//!
//! Each thread has the ports of its own, and adds to each of them in the order of the records: how many there are
//! changes nothing.

use std::hash::BuildHasher as _;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use hashbrown::DefaultHashBuilder;

use super::lives::{Lives, Stretch};
use crate::flow::record::TcpFlags;

/// So many additions go to a thread at once.
const BATCH: usize = 4096;

/// Batches that wait for a thread.
const MAX_WAITING: usize = 4;

/// More threads than this one taker of records cannot keep busy.
const MAX_THREADS: usize = 4;

/// So many ports are looked up before the first is added to: more than memory serves at once.
const TOUCHED_AT_ONCE: usize = 32;

/// The ports of fewer chunks are counted sooner than a thread begins.
const MIN_CHUNKS: usize = 4;

/// A port, by its holder's number.
pub(super) type Port = (u32, u16);

/// Some ports with their lives. They stay where they are when more come: to move them would need the room twice.
pub(super) type Chunk = Vec<(Port, Lives)>;

/// So many ports are in each chunk but the last.
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 10;

/// The lives of the ports of one side of one destination.
#[derive(Default)]
pub(super) struct PortTable(Vec<Chunk>);

impl PortTable {
    /// Each port's lives, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Port, &Lives)> {
        self.0.iter().flatten().map(|(port, lives)| (port, lives))
    }

    /// What all ports come to: `count` counts some of them, on each core as many, and `join` adds that of others.
    pub(super) fn sum<T: Send>(
        &self,
        count: impl Fn(&[Chunk]) -> T + Sync,
        mut join: impl FnMut(&mut T, T),
    ) -> T {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let shares = cores.min(self.0.len() / MIN_CHUNKS);
        if shares < 2 {
            return count(&self.0);
        }
        thread::scope(|scope| {
            let mut parts = self.0.chunks(self.0.len().div_ceil(shares));
            let first = parts.next().unwrap_or_default();
            let count = &count;
            let others: Vec<_> = parts.map(|part| scope.spawn(move || count(part))).collect();
            let mut sum = count(first);
            for other in others {
                join(&mut sum, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            sum
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    /// Forgets the ports whose lives are not `wanted`.
    pub(super) fn retain(&mut self, wanted: impl Fn(&Lives) -> bool) {
        self.0.iter_mut().for_each(|chunk| chunk.retain(|(_, lives)| wanted(lives)));
    }
}

/// What one record shows of the use of a port.
#[derive(Clone, Copy)]
pub(super) struct Use {
    /// First packet, in seconds of the Unix epoch.
    pub(super) start: u32,
    /// Seconds to the last packet: a record spans few.
    pub(super) lasted: u16,
    /// Whether the packets went towards the destination.
    pub(super) outward: bool,
    pub(super) flags: TcpFlags,
    /// How many, or as many as there is a number for.
    pub(super) packets: u32,
}

impl Use {
    fn stretch(self) -> Stretch {
        let Self { start, lasted, outward, flags, packets } = self;
        Stretch::new(start, start.saturating_add(lasted.into()), outward, packets.into(), flags)
    }
}

/// What one record adds to a port. There are as many as records, and all go from one core to another: they are small.
#[derive(Clone, Copy)]
struct Addition {
    table: u32,
    holder: u32,
    port: u16,
    used: Use,
}

impl Addition {
    fn table(&self) -> usize {
        self.table as usize
    }

    fn port(&self) -> Port {
        (self.holder, self.port)
    }
}

/// A share of the ports of one table. Where the lives of a port are is found in slots of four bytes, of which the cache
/// holds many.
#[derive(Default)]
struct Table {
    /// By hash, from its slot on: one more than a place among the lives, or 0. At least a third of them are 0.
    slots: Vec<u32>,
    chunks: Vec<Chunk>,
    /// How many ports there are.
    ports: usize,
}

impl Table {
    /// Fewest slots; always a power of two.
    const MIN_SLOTS: usize = 64;

    /// What stands in the first slot of a hash.
    #[inline]
    fn first_slot(&self, hash: u64) -> u32 {
        self.slots.get(hash as usize & self.slots.len().wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// The lives of the port that a slot leads to.
    #[inline]
    fn at(&self, slot: u32) -> Option<&(Port, Lives)> {
        let place = slot.wrapping_sub(1) as usize;
        self.chunks.get(place >> CHUNK_BITS)?.get(place % CHUNK)
    }

    /// The lives of the port that a slot leads to, to add to them.
    #[inline]
    fn at_mut(&mut self, slot: u32) -> Option<&mut (Port, Lives)> {
        let place = slot.wrapping_sub(1) as usize;
        self.chunks.get_mut(place >> CHUNK_BITS)?.get_mut(place % CHUNK)
    }

    /// Adds to a port, wherever it is.
    fn add(&mut self, port: Port, hash: u64, hasher: &Hasher, stretch: Stretch, ends_visible: bool) {
        if self.ports >= self.slots.len() / 3 * 2 {
            self.make_slots(hasher);
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some((of, lives)) = self.at_mut(self.slots[at]) {
            if *of == port {
                return lives.add(stretch, ends_visible);
            }
            at = (at + 1) & mask;
        }
        if self.ports.is_multiple_of(CHUNK) {
            // Most tables are small.
            self.chunks.push(Vec::with_capacity(if self.ports == 0 { 1 } else { CHUNK }));
        }
        let mut lives = Lives::default();
        lives.add(stretch, ends_visible);
        self.chunks.last_mut().expect("one was pushed before the first port").push((port, lives));
        self.ports += 1;
        self.slots[at] = u32::try_from(self.ports).expect("fewer ports than there are records in memory");
    }

    /// Makes twice as many slots.
    fn make_slots(&mut self, hasher: &Hasher) {
        let slots = (self.slots.len() * 2).max(Self::MIN_SLOTS);
        self.slots = vec![0; slots];
        for (slot, (port, _)) in (1..).zip(self.chunks.iter().flatten()) {
            let mut at = hasher.hash_one(port) as usize & (slots - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (slots - 1);
            }
            self.slots[at] = slot;
        }
    }
}

/// Hashes ports with a secret: nobody can choose ports that meet in one slot.
type Hasher = DefaultHashBuilder;

/// The tables of one share of the ports.
struct Share {
    tables: Vec<Table>,
    hasher: Hasher,
    ends_visible: bool,
}

impl Share {
    fn new(ends_visible: bool) -> Self {
        Self { tables: Vec::new(), hasher: Hasher::default(), ends_visible }
    }

    fn add(&mut self, additions: &[Addition]) {
        let tables = additions.iter().map(|addition| addition.table() + 1).max().unwrap_or(0);
        if tables > self.tables.len() {
            self.tables.resize_with(tables, Table::default);
        }
        for additions in additions.chunks(TOUCHED_AT_ONCE) {
            // To find a port waits for memory three times. What many ports wait for the first time is asked for in one
            // go, and then the second, so that the waits overlap.
            let mut found = [(0, 0); TOUCHED_AT_ONCE];
            for ((hash, slot), addition) in found.iter_mut().zip(additions) {
                *hash = self.hasher.hash_one(addition.port());
                *slot = self.tables[addition.table()].first_slot(*hash);
            }
            let mut touched = 0;
            for ((_, slot), addition) in found.iter_mut().zip(additions) {
                match self.tables[addition.table()].at(*slot) {
                    Some((of, lives)) if *of == addition.port() => touched ^= lives.last_start().unwrap_or(0),
                    _ => *slot = 0,
                }
            }
            for ((_, slot), addition) in found.iter().zip(additions) {
                if let Some((_, lives)) = self.tables[addition.table()].at(*slot) {
                    touched ^= lives.touch_before(addition.used.start);
                }
            }
            std::hint::black_box(touched);
            for (addition, (hash, slot)) in additions.iter().zip(found) {
                let table = &mut self.tables[addition.table()];
                let stretch = addition.used.stretch();
                match table.at_mut(slot) {
                    Some((_, lives)) => lives.add(stretch, self.ends_visible),
                    None => table.add(addition.port(), hash, &self.hasher, stretch, self.ends_visible),
                }
            }
        }
    }

    fn settled(self) -> Vec<Vec<Chunk>> {
        let mut tables: Vec<Vec<Chunk>> = self.tables.into_iter().map(|table| table.chunks).collect();
        let lives = tables.iter_mut().flatten().flatten();
        lives.for_each(|(_, lives)| lives.settle(self.ends_visible));
        tables
    }

    /// Adds what comes, until no more does.
    fn keep(mut self, additions: &Receiver<Vec<Addition>>) -> Vec<Vec<Chunk>> {
        additions.iter().for_each(|additions| self.add(&additions));
        self.settled()
    }
}

/// A thread with a share of the ports.
struct Keeper {
    additions: SyncSender<Vec<Addition>>,
    thread: JoinHandle<Vec<Vec<Chunk>>>,
}

/// All tables while records are read.
pub(super) struct PortTables {
    ends_visible: bool,
    tables: usize,
    /// Begun with the first full batch: most files have few records.
    keepers: Vec<Keeper>,
    /// What waits to be handed to each keeper; all together as long as there is none.
    waiting: Vec<Vec<Addition>>,
}

impl PortTables {
    /// No tables; `ends_visible` says whether the records show ends of connections.
    pub(super) fn new(ends_visible: bool) -> Self {
        Self { ends_visible, tables: 0, keepers: Vec::new(), waiting: vec![Vec::new()] }
    }

    /// The number of a new table.
    pub(super) fn new_table(&mut self) -> usize {
        self.tables += 1;
        self.tables - 1
    }

    /// Adds what a record shows of a port.
    #[inline]
    pub(super) fn add(&mut self, table: usize, (holder, port): Port, used: Use) {
        let table = u32::try_from(table).expect("fewer tables than there are records in memory");
        self.hold(Addition { table, holder, port, used });
    }

    #[inline]
    fn hold(&mut self, addition: Addition) {
        let share = match self.waiting.len() {
            1 => 0,
            shares => usize::from(addition.port) % shares,
        };
        let waiting = &mut self.waiting[share];
        waiting.push(addition);
        if waiting.len() == BATCH {
            self.hand_over(share);
        }
    }

    fn hand_over(&mut self, share: usize) {
        if self.keepers.is_empty() {
            self.begin();
            return;
        }
        let batch = std::mem::replace(&mut self.waiting[share], Vec::with_capacity(BATCH));
        // It ends early by a panic only, which `finish` passes on.
        let _ = self.keepers[share].additions.send(batch);
    }

    /// Begins the threads, and shares out what waits.
    fn begin(&mut self) {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.saturating_sub(1).clamp(1, MAX_THREADS);
        self.keepers = (0..threads)
            .map(|_| {
                let share = Share::new(self.ends_visible);
                let (additions, to_add) = sync_channel(MAX_WAITING);
                Keeper { additions, thread: thread::spawn(move || share.keep(&to_add)) }
            })
            .collect();
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = (0..threads).map(|_| Vec::with_capacity(BATCH)).collect();
        waiting.into_iter().flatten().for_each(|addition| self.hold(addition));
    }

    /// The tables with all that was added, by their numbers.
    pub(super) fn finish(self) -> Vec<PortTable> {
        let mut tables: Vec<PortTable> = Vec::new();
        tables.resize_with(self.tables, PortTable::default);
        let mut put = |share: Vec<Vec<Chunk>>| {
            tables.iter_mut().zip(share).for_each(|(table, mut chunks)| table.0.append(&mut chunks));
        };
        if self.keepers.is_empty() {
            let mut share = Share::new(self.ends_visible);
            self.waiting.iter().for_each(|additions| share.add(additions));
            put(share.settled());
            return tables;
        }
        for (Keeper { additions, thread }, waiting) in self.keepers.into_iter().zip(self.waiting) {
            let _ = additions.send(waiting);
            drop(additions);
            put(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of so many ports in two tables, each port used three times.
    fn filled(ports: u32, mut tables: PortTables) -> Vec<Vec<(Port, Vec<Stretch>)>> {
        let numbers = [tables.new_table(), tables.new_table()];
        for at in [1_000, 5_000, 3_000] {
            for n in 0..ports {
                let port = (n / 60_000, u16::try_from(n % 60_000).expect("a port"));
                let (start, flags) = (at + n % 60, TcpFlags(3));
                let used = Use { start, lasted: 5, outward: true, flags, packets: 1 };
                tables.add(numbers[n as usize % 2], port, used);
            }
        }
        let sorted = |table: PortTable| {
            let mut ports: Vec<(Port, Vec<Stretch>)> =
                table.iter().map(|(port, lives)| (*port, lives.stretches().collect())).collect();
            ports.sort_by_key(|(port, _)| *port);
            ports
        };
        tables.finish().into_iter().map(sorted).collect()
    }

    #[test]
    fn threads_change_nothing() {
        let many = filled(BATCH as u32 * 3, PortTables::new(true));
        assert_eq!(many.iter().map(Vec::len).sum::<usize>(), BATCH * 3);
        for (port, stretches) in many.iter().flatten() {
            let starts: Vec<u32> = stretches.iter().map(|stretch| stretch.start).collect();
            let first = 1_000 + (port.0 * 60_000 + u32::from(port.1)) % 60;
            assert_eq!(starts, [first, first + 2_000, first + 4_000], "{port:?}");
        }
        let few = filled(BATCH as u32 / 8, PortTables::new(true));
        for (few, many) in few.iter().zip(&many) {
            assert_eq!(few[..], many[..few.len()]);
        }
    }

    #[test]
    fn a_table_without_ports_is_there_and_empty() {
        let mut tables = PortTables::new(false);
        tables.new_table();
        let tables = tables.finish();
        assert!(tables.len() == 1 && tables[0].is_empty());
    }
}
