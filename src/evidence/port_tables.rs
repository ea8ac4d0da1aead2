//! The lives of all ports, kept by other threads than the one that takes the records: finding a port among a million
//! waits for memory, and most of the time goes there.
//!
//! Each thread has the ports of its own, and adds to each of them in the order of the records: how many there are
//! changes nothing.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use hashbrown::HashMap;

use super::lives::{Lives, Stretch};

/// So many additions go to a thread at once.
const BATCH: usize = 4096;

/// Batches that wait for a thread.
const MAX_WAITING: usize = 4;

/// More threads than this one taker of records cannot keep busy.
const MAX_THREADS: usize = 4;

/// So many ports are looked up before the first is added to: more than memory serves at once.
const TOUCHED_AT_ONCE: usize = 32;

/// A port, by its holder's number.
type Port = (u32, u16);

/// The lives of the ports of one side of one destination.
#[derive(Default)]
pub(super) struct PortTable(Vec<(Port, Lives)>);

impl PortTable {
    /// Each port's lives, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Port, &Lives)> {
        self.0.iter().map(|(port, lives)| (port, lives))
    }

    /// The lives alone.
    pub(super) fn lives(&self) -> impl Iterator<Item = &Lives> {
        self.0.iter().map(|(_, lives)| lives)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets the ports whose lives are not `wanted`.
    pub(super) fn retain(&mut self, wanted: impl Fn(&Lives) -> bool) {
        self.0.retain(|(_, lives)| wanted(lives));
    }
}

/// What one record adds to a port.
struct Addition {
    table: usize,
    port: Port,
    stretch: Stretch,
}

/// A share of the ports of one table. Where the lives of a port are is found in entries of twelve bytes, of which the
/// cache holds many.
#[derive(Default)]
struct Table {
    places: HashMap<Port, u32>,
    lives: Vec<(Port, Lives)>,
}

impl Table {
    fn add(&mut self, port: Port, stretch: Stretch, ends_visible: bool) {
        let place = *self.places.entry(port).or_insert_with(|| {
            if self.lives.len() == self.lives.capacity() {
                // By half of what is there: to double it would leave more room empty.
                self.lives.reserve_exact(1 + self.lives.len() / 2);
            }
            self.lives.push((port, Lives::default()));
            u32::try_from(self.lives.len() - 1).expect("fewer ports than there are records in memory")
        });
        self.lives[place as usize].1.add(stretch, ends_visible);
    }
}

/// The tables of one share of the ports.
struct Share {
    tables: Vec<Table>,
    ends_visible: bool,
}

impl Share {
    fn add(&mut self, additions: &[Addition]) {
        for additions in additions.chunks(TOUCHED_AT_ONCE) {
            // Each lookup waits for memory. Looked up one after the other with nothing in between, they wait together.
            let mut places = [None; TOUCHED_AT_ONCE];
            for (found, Addition { table, port, .. }) in places.iter_mut().zip(additions) {
                *found = self.tables.get(*table).and_then(|table| table.places.get(port)).copied();
            }
            let touched = additions.iter().zip(places).filter_map(|(addition, place)| {
                let place = place? as usize;
                self.tables[addition.table].lives[place].1.last_start()
            });
            std::hint::black_box(touched.max());
            for (&Addition { table, port, stretch }, place) in additions.iter().zip(places) {
                if table >= self.tables.len() {
                    self.tables.resize_with(table + 1, Table::default);
                }
                let table = &mut self.tables[table];
                match place {
                    Some(place) => table.lives[place as usize].1.add(stretch, self.ends_visible),
                    None => table.add(port, stretch, self.ends_visible),
                }
            }
        }
    }

    fn settled(self) -> Vec<Vec<(Port, Lives)>> {
        let mut tables: Vec<Vec<(Port, Lives)>> = self.tables.into_iter().map(|table| table.lives).collect();
        let lives = tables.iter_mut().flatten();
        lives.for_each(|(_, lives)| lives.settle(self.ends_visible));
        tables
    }

    /// Adds what comes, until no more does.
    fn keep(mut self, additions: &Receiver<Vec<Addition>>) -> Vec<Vec<(Port, Lives)>> {
        additions.iter().for_each(|additions| self.add(&additions));
        self.settled()
    }
}

/// A thread with a share of the ports.
struct Keeper {
    additions: SyncSender<Vec<Addition>>,
    thread: JoinHandle<Vec<Vec<(Port, Lives)>>>,
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
    pub(super) fn add(&mut self, table: usize, port: Port, stretch: Stretch) {
        let share = usize::from(port.1) % self.waiting.len();
        let waiting = &mut self.waiting[share];
        waiting.push(Addition { table, port, stretch });
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
                let share = Share { tables: Vec::new(), ends_visible: self.ends_visible };
                let (additions, to_add) = sync_channel(MAX_WAITING);
                Keeper { additions, thread: thread::spawn(move || share.keep(&to_add)) }
            })
            .collect();
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = (0..threads).map(|_| Vec::with_capacity(BATCH)).collect();
        for Addition { table, port, stretch } in waiting.into_iter().flatten() {
            self.add(table, port, stretch);
        }
    }

    /// The tables with all that was added, by their numbers.
    pub(super) fn finish(self) -> Vec<PortTable> {
        let mut tables: Vec<PortTable> = Vec::new();
        tables.resize_with(self.tables, PortTable::default);
        let mut put = |share: Vec<Vec<(Port, Lives)>>| {
            for (table, mut ports) in tables.iter_mut().zip(share) {
                if table.is_empty() { table.0 = ports } else { table.0.append(&mut ports) }
            }
        };
        if self.keepers.is_empty() {
            let mut share = Share { tables: Vec::new(), ends_visible: self.ends_visible };
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
    use crate::flow::record::TcpFlags;

    /// Records of so many ports in two tables, each port used three times.
    fn filled(ports: u32, mut tables: PortTables) -> Vec<Vec<(Port, Vec<Stretch>)>> {
        let numbers = [tables.new_table(), tables.new_table()];
        for at in [1_000, 5_000, 3_000] {
            for n in 0..ports {
                let port = (n / 60_000, u16::try_from(n % 60_000).expect("a port"));
                let stretch = Stretch::new(at + n % 60, at + n % 60 + 5, true, 1, TcpFlags(3));
                tables.add(numbers[n as usize % 2], port, stretch);
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
