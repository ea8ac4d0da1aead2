//! Which port numbers are taken, and which one is handed out next.
//!
//! One pool serves one (NAT address, destination) or one (client, destination). AWS documents the
//! range and the limit, not the order of allocation, so the order is a choice of the incident.

use std::collections::{BTreeSet, VecDeque};

use crate::rng::Rng;

/// First source port a NAT gateway uses.
pub const FIRST_NAT_PORT: u16 = 1024;

/// Last source port a NAT gateway uses.
pub const LAST_NAT_PORT: u16 = 65535;

/// Simultaneous connections per (NAT address, destination), as AWS documents it. Less than the
/// 64,512 ports of the range.
pub const PORTS_PER_ADDRESS: u32 = 55_000;

/// The order in which free ports are handed out. AWS documents none, so what is built on flow logs
/// must hold under each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Any free port, evenly.
    Random,
    /// The next free port after the last one handed out, wrapping around.
    Sequential,
    /// The free port that has been free longest.
    LeastRecentlyUsed,
}

/// Beyond this many ports a bitmap of the whole range is cheaper than a tree.
const DENSE_ABOVE: usize = 128;

#[derive(Debug)]
enum Taken {
    Few(BTreeSet<u16>),
    Many(Box<[u64]>),
}

/// A range of ports of which at most `limit` are taken at a time.
#[derive(Debug)]
pub(crate) struct PortPool {
    first: u16,
    size: u32,
    limit: u32,
    held: u32,
    allocation: Allocation,
    next: u32,
    fresh: u32,
    freed: VecDeque<u16>,
    taken: Taken,
}

impl PortPool {
    pub(crate) fn new(first: u16, last: u16, limit: u32, allocation: Allocation, start: u32) -> Self {
        let size = u32::from(last - first) + 1;
        Self {
            first,
            size,
            limit: limit.min(size),
            held: 0,
            allocation,
            next: start % size,
            fresh: 0,
            freed: VecDeque::new(),
            taken: Taken::Few(BTreeSet::new()),
        }
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> u32 {
        self.held
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held >= self.limit
    }

    /// Takes a port, or says that none may be taken.
    pub(crate) fn take(&mut self, rng: &mut Rng) -> Option<u16> {
        if self.is_full() {
            return None;
        }
        let offset = match self.allocation {
            Allocation::Random => loop {
                let offset = rng.below(u64::from(self.size)) as u32;
                if !self.is_taken(offset) {
                    break offset;
                }
            },
            Allocation::Sequential => {
                let mut offset = self.next;
                while self.is_taken(offset) {
                    offset = (offset + 1) % self.size;
                }
                self.next = (offset + 1) % self.size;
                offset
            }
            Allocation::LeastRecentlyUsed => {
                if self.fresh < self.size {
                    self.fresh += 1;
                    (self.next + self.fresh - 1) % self.size
                } else {
                    let port = self.freed.pop_front().expect("a pool that is not full has a free port");
                    u32::from(port - self.first)
                }
            }
        };
        self.set(offset, true);
        self.held += 1;
        Some(self.first + offset as u16)
    }

    /// Gives a taken port back.
    pub(crate) fn give_back(&mut self, port: u16) {
        let offset = u32::from(port - self.first);
        debug_assert!(self.is_taken(offset), "only a taken port can be given back");
        self.set(offset, false);
        self.held -= 1;
        if self.allocation == Allocation::LeastRecentlyUsed {
            self.freed.push_back(port);
        }
    }

    fn is_taken(&self, offset: u32) -> bool {
        match &self.taken {
            Taken::Few(set) => set.contains(&(offset as u16)),
            Taken::Many(bits) => bits[offset as usize / 64] & (1 << (offset % 64)) != 0,
        }
    }

    fn set(&mut self, offset: u32, value: bool) {
        if let Taken::Few(set) = &mut self.taken {
            if !value {
                set.remove(&(offset as u16));
                return;
            }
            if set.len() < DENSE_ABOVE {
                set.insert(offset as u16);
                return;
            }
            let mut bits = vec![0u64; (self.size as usize).div_ceil(64)].into_boxed_slice();
            for &taken in set.iter() {
                bits[usize::from(taken) / 64] |= 1 << (taken % 64);
            }
            self.taken = Taken::Many(bits);
        }
        if let Taken::Many(bits) = &mut self.taken {
            let mask = 1u64 << (offset % 64);
            let word = &mut bits[offset as usize / 64];
            if value { *word |= mask } else { *word &= !mask }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(allocation: Allocation, limit: u32) -> PortPool {
        PortPool::new(FIRST_NAT_PORT, LAST_NAT_PORT, limit, allocation, 0)
    }

    #[test]
    fn a_pool_hands_out_its_limit_of_different_ports_and_no_more() {
        for allocation in [Allocation::Random, Allocation::Sequential, Allocation::LeastRecentlyUsed] {
            let mut rng = Rng::new(1);
            let mut pool = pool(allocation, PORTS_PER_ADDRESS);
            let mut ports = BTreeSet::new();
            while let Some(port) = pool.take(&mut rng) {
                assert!(port >= FIRST_NAT_PORT);
                assert!(ports.insert(port), "{allocation:?} handed out {port} twice");
            }
            assert_eq!(ports.len() as u32, PORTS_PER_ADDRESS);
            assert_eq!(pool.held(), PORTS_PER_ADDRESS);
            pool.give_back(*ports.first().expect("ports were taken"));
            assert!(pool.take(&mut rng).is_some());
            assert!(pool.is_full());
        }
    }

    #[test]
    fn least_recently_used_returns_to_a_port_only_after_all_others() {
        let mut rng = Rng::new(1);
        let mut pool = PortPool::new(1, 4, 2, Allocation::LeastRecentlyUsed, 0);
        let taken: Vec<u16> = (0..6)
            .map(|_| {
                let port = pool.take(&mut rng).expect("one of two is free");
                pool.give_back(port);
                port
            })
            .collect();
        assert_eq!(taken, [1, 2, 3, 4, 1, 2]);
    }

    #[test]
    fn sequential_skips_what_is_taken_and_wraps() {
        let mut rng = Rng::new(1);
        let mut pool = PortPool::new(1, 3, 3, Allocation::Sequential, 1);
        assert_eq!(pool.take(&mut rng), Some(2));
        assert_eq!(pool.take(&mut rng), Some(3));
        pool.give_back(2);
        assert_eq!(pool.take(&mut rng), Some(1));
        assert_eq!(pool.take(&mut rng), Some(2));
        assert_eq!(pool.take(&mut rng), None);
    }
}
