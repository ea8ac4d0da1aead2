//! Several addresses that show as one: flow logs of a zonal gateway show its secondary addresses as
//! the primary, unless they have the packets' own addresses, and a port that is taken on two of them
//! then shows once.
//!
//! Source: "Flow log limitations" in the Amazon VPC user guide.

use crate::evidence::Held;

/// Ports 1024 to 65535: those that an address has towards one destination.
///
/// Source: "NAT gateway basics" in the Amazon VPC user guide.
pub(super) const PORT_NUMBERS: u32 = 64_512;

/// The same, to reckon with.
const NUMBERS: f64 = PORT_NUMBERS as f64;

/// So many addresses' ports show as one address's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Folded {
    addresses: u32,
}

impl Folded {
    pub(super) fn new(addresses: u32) -> Self {
        Self { addresses: addresses.max(1) }
    }

    /// How many they are.
    pub(super) fn addresses(self) -> u32 {
        self.addresses
    }

    /// Distinct port numbers that show when so many ports are held on all addresses together: of the
    /// port numbers, each taken on each address with the same chance, those taken on at least one.
    pub(super) fn shown(self, held: f64) -> f64 {
        if self.addresses == 1 {
            return held;
        }
        let addresses = f64::from(self.addresses);
        NUMBERS * (1.0 - (1.0 - held / addresses / NUMBERS).max(0.0).powf(addresses))
    }

    /// The ports that stand behind so many distinct port numbers: as many as show that many.
    pub(super) fn behind(self, shown: u32) -> u32 {
        if self.addresses == 1 {
            // Whoever shows every address may well show more ports than one has.
            return shown;
        }
        let addresses = f64::from(self.addresses);
        let free = (1.0 - f64::from(shown) / NUMBERS).max(0.0);
        (addresses * NUMBERS * (1.0 - free.powf(addresses.recip()))).round() as u32
    }

    /// The range of ports behind a range of port numbers: the lower end as if each stood for one port,
    /// the upper as if each stood for one on every address.
    pub(super) fn unfolded(self, held: Held) -> Held {
        Held {
            least: held.least,
            hold: self.behind(held.hold),
            most: held.most.saturating_mul(self.addresses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_show_by_their_own_addresses_are_taken_as_they_are() {
        let held = Held { least: 1, hold: 90_000, most: 110_000 };
        assert_eq!(Folded::new(1).unfolded(held), held);
        assert_eq!(Folded::new(0).addresses(), 1);
    }

    #[test]
    fn few_ports_seldom_meet_on_two_addresses_and_many_do() {
        assert_eq!(Folded::new(8).behind(100), 100);
        let full = Folded::new(2).shown(110_000.0).round() as u32;
        assert!((63_000..64_000).contains(&full), "{full}");
    }

    proptest::proptest! {
        #[test]
        fn what_stands_behind_shows_again(addresses in 1_u32..=8, each in 0_u32..=55_000) {
            let folded = Folded::new(addresses);
            let held = addresses * each;
            let shown = folded.shown(f64::from(held)).round() as u32;
            // Where nearly every number shows, each stands for ports without end.
            proptest::prop_assume!(shown < 60_000);
            proptest::prop_assert!(folded.behind(shown).abs_diff(held) <= 8, "{shown}");
        }
    }
}
