//! What the AWS article on `ErrorPortAllocation` has a person run: two Logs Insights queries on the
//! VPC's flow logs, one that counts records by destination address, and one that sums bytes by
//! client towards the address found.
//!
//! Source: "How do I resolve the `ErrorPortAllocation` error on my NAT gateway", AWS re:Post.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the two queries put first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Article {
    /// The destination address with the most records from the gateway's private address.
    pub destination: Option<IpAddr>,
    /// The client with the most bytes towards it, at the clients' own interfaces.
    pub client: Option<IpAddr>,
}

impl Article {
    /// Runs the two queries over lines of the default format: of the gateway whose private addresses
    /// these are, from `from` on.
    pub fn on<'a>(
        lines: impl Iterator<Item = &'a str> + Clone,
        gateway: &[IpAddr],
        inside: impl Fn(IpAddr) -> bool,
        from: i64,
    ) -> Self {
        let mut records: BTreeMap<IpAddr, u64> = BTreeMap::new();
        for (src, dst, _) in parsed(lines.clone(), from) {
            // The article takes one private address; gateways with more have their first.
            if gateway.first() == Some(&src) && !inside(dst) {
                *records.entry(dst).or_default() += 1;
            }
        }
        let destination = first(&records);
        let mut bytes: BTreeMap<IpAddr, u64> = BTreeMap::new();
        for (src, dst, size) in parsed(lines, from) {
            if Some(dst) == destination && inside(src) && !gateway.contains(&src) {
                *bytes.entry(src).or_default() += size;
            }
        }
        Self { destination, client: first(&bytes) }
    }
}

/// Source, destination and bytes of each line that is a record.
fn parsed<'a>(
    lines: impl Iterator<Item = &'a str>,
    from: i64,
) -> impl Iterator<Item = (IpAddr, IpAddr, u64)> {
    lines.filter_map(move |line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let start: i64 = fields.get(10)?.parse().ok()?;
        (start >= from).then_some(())?;
        Some((fields.get(3)?.parse().ok()?, fields.get(4)?.parse().ok()?, fields.get(9)?.parse().ok()?))
    })
}

fn first(counts: &BTreeMap<IpAddr, u64>) -> Option<IpAddr> {
    counts.iter().max_by_key(|(address, count)| (**count, std::cmp::Reverse(**address))).map(|(a, _)| *a)
}
