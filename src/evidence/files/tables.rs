//! What is counted of each destination while records are read.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::evidence::port_tables::PortTable;
use crate::flow::FlowRecord;

/// A small number for an address, so that keys are small.
#[derive(Default)]
pub(super) struct Interner {
    numbers: HashMap<IpAddr, u32>,
    pub(super) addresses: Vec<IpAddr>,
}

impl Interner {
    pub(super) fn number(&mut self, address: IpAddr) -> u32 {
        *self.numbers.entry(address).or_insert_with(|| {
            self.addresses.push(address);
            u32::try_from(self.addresses.len() - 1).expect("fewer addresses than IPv4 has")
        })
    }
}

/// Volume, which needs no times.
#[derive(Clone, Copy, Default)]
pub(super) struct Volume {
    pub(super) sent: u64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
}

impl Volume {
    pub(super) fn add(&mut self, record: &FlowRecord<'_>, outward: bool) {
        self.sent = self.sent.saturating_add(if outward { record.packets } else { 0 });
        self.packets = self.packets.saturating_add(record.packets);
        self.bytes = self.bytes.saturating_add(record.bytes);
        self.records += 1;
    }
}

/// The volumes of all holders while records are read.
#[derive(Default)]
pub(super) struct Volumes {
    all: Vec<(Owner, Volume)>,
    places: HashMap<Owner, usize>,
}

/// The number of a table, and of a holder.
type Owner = (usize, u32);

impl Volumes {
    /// The place of one holder's in one table.
    pub(super) fn place(&mut self, table: usize, holder: u32) -> usize {
        *self.places.entry((table, holder)).or_insert_with(|| {
            self.all.push(((table, holder), Volume::default()));
            self.all.len() - 1
        })
    }

    /// Adds a record to a place.
    #[inline]
    pub(super) fn add(&mut self, place: usize, record: &FlowRecord<'_>, outward: bool) {
        self.all[place].1.add(record, outward);
    }

    /// The volumes of so many tables, by holder.
    pub(super) fn by_table(self, tables: usize) -> Vec<Vec<(u32, Volume)>> {
        let mut by_table = vec![Vec::new(); tables];
        for ((table, holder), volume) in self.all {
            by_table[table].push((holder, volume));
        }
        by_table
    }
}

/// One side of one destination: the lives of each port, and the volume of each holder.
#[derive(Default)]
pub(super) struct Ports {
    /// Which of the tables has the lives, and the volumes, until they are settled.
    pub(super) table: usize,
    pub(super) lives: PortTable,
    /// By holder, each once.
    pub(super) volumes: Vec<(u32, Volume)>,
}

impl Ports {
    pub(super) fn of_table(table: usize) -> Self {
        Self { table, ..Self::default() }
    }
}
