//! Host names of destinations, and how far each can be relied on.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::nat64_destination;

/// Where a host name came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NameSource {
    /// Resolver query logs: what the VPC's clients asked for, with the answer they got.
    ResolverQueryLog,
    /// The name that the address's owner gave it: a hint, not what clients asked for.
    ReverseDns,
}

/// A host name with the addresses that were answered for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostName {
    /// The name. It comes from outside, and may hold anything.
    pub name: String,
    /// What was answered for it, IPv4 (A) and IPv6 (AAAA).
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Where it came from.
    pub source: NameSource,
}

impl HostName {
    /// Whether a server's own IPv6 address was answered for it. Addresses that DNS64 made from IPv4
    /// ones lead through the gateway all the same.
    #[must_use]
    pub fn answered_ipv6(&self) -> bool {
        self.addresses.iter().any(|a| matches!(a, IpAddr::V6(v6) if nat64_destination(*v6).is_none()))
    }

    /// Whether it is of the form that host names have (RFC 1123, and underscores, which are in use).
    /// A resolver can be asked for anything else, too.
    #[must_use]
    pub fn is_host(&self) -> bool {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let name = self.name.strip_suffix('.').unwrap_or(&self.name);
        name.len() <= 253 && name.split('.').all(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, addresses: &[&str]) -> HostName {
        HostName {
            name: name.into(),
            addresses: addresses.iter().map(|a| a.parse().expect("valid")).collect(),
            source: NameSource::ResolverQueryLog,
        }
    }

    #[test]
    fn what_dns64_made_is_no_ipv6_of_the_server() {
        assert!(!name("a.example", &["203.0.113.10", "64:ff9b::203.0.113.10"]).answered_ipv6());
        assert!(name("a.example", &["203.0.113.10", "2001:db8::10"]).answered_ipv6());
    }

    #[test]
    fn a_host_name_is_letters_digits_hyphens_and_dots() {
        for host in ["api.example.com", "api.example.com.", "_x.example", "a"] {
            assert!(name(host, &[]).is_host(), "{host}");
        }
        for other in ["", ".", "-rf.example", "a b", "a$(reboot)", "a..b", "a\nb", "größe.example"] {
            assert!(!name(other, &[]).is_host(), "{other}");
        }
    }
}
