//! Which addresses are private, and what a NAT64 address stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is of a range that does not route on the internet: RFC 1918, the shared range
/// 100.64.0.0/10 (which VPCs use for pods), link-local, and unique local IPv6.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// The IPv4 address inside a NAT64 address of the well-known prefix `64:ff9b::/96` (RFC 6052), by
/// which IPv6 clients reach IPv4 servers through a NAT gateway.
#[must_use]
pub fn nat64_destination(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

/// The NAT64 address that stands for an IPv4 server.
#[must_use]
pub fn nat64_address(server: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = server.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_what_does_not_route_on_the_internet() {
        for inside in ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.9", "fd00::1"] {
            assert!(is_private(inside.parse().expect("valid")), "{inside}");
        }
        for outside in ["203.0.113.10", "100.128.0.1", "172.32.0.1", "2600:1f18::1"] {
            assert!(!is_private(outside.parse().expect("valid")), "{outside}");
        }
    }

    #[test]
    fn a_nat64_address_names_its_ipv4_server() {
        let address = "64:ff9b::203.0.113.10".parse().expect("valid");
        assert_eq!(nat64_destination(address), Some(Ipv4Addr::new(203, 0, 113, 10)));
        assert_eq!(nat64_address(Ipv4Addr::new(203, 0, 113, 10)), address);
        assert_eq!(nat64_destination("2600::1".parse().expect("valid")), None);
    }
}
